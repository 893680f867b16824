from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_archive_interaction import COMPARE, InteractionSource
from .query_tools import PREFETCH, identifier_id


class ResPartner(models.Model):
    _inherit = ["res.partner", "crm.archive.mixin"]
    _name = "res.partner"

    archive_duplicate_of_id = fields.Many2one(
        "res.partner",
        "Duplicate of",
        readonly=True,
        copy=False,
        index="btree_not_null",
        prefetch=PREFETCH,
        help="The record with the longer history, which was kept instead.",
    )

    _archive_state_idx = models.Index("(archive_state) WHERE archive_state <> 'live'")
    # Equality look-ups of duplicates and of people who get in touch again.
    _duplicate_email_idx = models.Index(
        "(email_normalized) WHERE email_normalized IS NOT NULL"
    )
    _duplicate_phone_idx = models.Index(
        "(phone_sanitized) WHERE phone_sanitized IS NOT NULL"
    )

    @api.model
    def _get_interaction_sources(self):
        customer_moves = ["out_invoice", "out_refund", "in_invoice", "in_refund"]
        return [
            *super()._get_interaction_sources(),
            # Written by the person, wherever it was.
            InteractionSource(
                "mail.message",
                "author_id",
                "date",
                [("message_type", "in", ["email", "comment"])],
            ),
            InteractionSource("calendar.attendee", "partner_id", "event_id.start", []),
            InteractionSource("crm.lead", "partner_id", "create_date", []),
            InteractionSource(
                "sale.order", "partner_id", "date_order", [("state", "!=", "cancel")]
            ),
            InteractionSource(
                "purchase.order",
                "partner_id",
                "date_order",
                [("state", "!=", "cancel")],
            ),
            InteractionSource(
                "account.move",
                "partner_id",
                "invoice_date",
                [("move_type", "in", customer_moves), ("state", "=", "posted")],
            ),
            InteractionSource("event.registration", "partner_id", "create_date", []),
            InteractionSource("pos.order", "partner_id", "date_order", []),
            InteractionSource(
                "website.visitor", "partner_id", "last_connection_datetime", []
            ),
            InteractionSource(
                "res.users.log", "create_uid.partner_id", "create_date", []
            ),
        ]

    # ------------------------------------------------------------
    # A company is as alive as its contacts
    # ------------------------------------------------------------

    def _get_last_interaction_dates(self):
        dates = super()._get_last_interaction_dates()
        children = self.sudo().search(
            [("parent_id", "in", self.ids), ("active", "=", True)]
        )
        child_dates = super(ResPartner, children)._get_last_interaction_dates()
        for child in children:
            date = child_dates.get(child.id)
            parent_id = child.parent_id.id
            if date and (not dates.get(parent_id) or date > dates[parent_id]):
                dates[parent_id] = date
        return dates

    def _get_interaction_exists(self, alias, operator, date):
        """Add the same question about the active children.

        One ``EXISTS`` a source here as well, which leaves each to an anti-join.
        """
        yield from super()._get_interaction_exists(alias, operator, date)
        is_child = SQL("child.parent_id = %s AND child.active", identifier_id(alias))
        own = SQL(" OR ").join(
            SQL("%s %s %s", SQL.identifier("child", name), COMPARE[operator], date)
            for name in self._get_interaction_fields()
        )
        yield SQL(
            "EXISTS (SELECT 1 FROM res_partner child WHERE %s AND (%s))", is_child, own
        )
        for query, link, sign_date in self._get_interaction_queries():
            query.add_join("JOIN", "child", "res_partner", SQL("child.id = %s", link))
            query.add_where(SQL("%s %s %s", sign_date, COMPARE[operator], date))
            query.add_where(is_child)
            yield SQL("EXISTS %s", query.subselect(SQL("1")))

    # ------------------------------------------------------------
    # DATA QUALITY
    # ------------------------------------------------------------

    @api.model
    def _get_unreachable_domain(self):
        """A person is reached by way of the company, and the other way round."""
        return (
            super()._get_unreachable_domain()
            & Domain("parent_id", "=", False)
            & Domain("child_ids", "not any", [("active", "=", True)])
        )

    @api.model
    def _get_duplicate_domain(self):
        """Further addresses of a contact repeat its e-mail and are no duplicates."""
        return super()._get_duplicate_domain() & Domain("type", "=", "contact")

    def _exclude_from_duplicates(self, query, key):
        """Whoever uses the address of their own company is somebody else."""
        super()._exclude_from_duplicates(query, key)
        query.add_where(
            SQL(
                "NOT EXISTS (SELECT 1 FROM res_partner own_company"
                " WHERE own_company.id = %s AND %s = %s AND own_company.active)",
                SQL.identifier(query.table, "parent_id"),
                SQL.identifier("own_company", key),
                SQL.identifier(query.table, key),
            )
        )

    # ------------------------------------------------------------
    # LIFECYCLE
    # ------------------------------------------------------------

    def _check_archivable(self):
        """Nobody archives themselves, another user, or a company of this database."""
        super()._check_archivable()
        if self.env.user.partner_id in self:
            raise UserError(
                self.env._(
                    "You cannot archive your own contact. Take it out of the selection."
                )
            )
        company = (
            self.env["res.company"].sudo().search([("partner_id", "in", self.ids)])
        )
        if company:
            raise UserError(
                self.env._(
                    "%(name)s is one of your own companies and cannot be archived.",
                    name=company[0].display_name,
                )
            )
        users = self.env["res.users"].sudo().search([("partner_id", "in", self.ids)])
        if users:
            raise UserError(
                self.env._(
                    "%(name)s signs in with this contact. Archive the user first.",
                    name=users[0].display_name,
                )
            )
