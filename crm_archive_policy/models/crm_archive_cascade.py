from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .query_tools import PREFETCH, id_array

#: What may happen to the open leads of an archived contact.
LEAD_CASCADE = [
    ("keep", "Stay open"),
    ("lose", "Are marked as lost"),
    ("archive", "Are archived too"),
]

#: What losing a lead changes, put back when its contact is restored.
LOST_FIELDS = (
    "active",
    "probability",
    "automated_probability",
    "date_closed",
    "lost_reason_id",
)


class CrmArchiveMixin(models.AbstractModel):
    """Remembers with which contact a record was archived, to come back with it."""

    _inherit = "crm.archive.mixin"

    archive_cascade_partner_id = fields.Many2one(
        "res.partner",
        "Archived with",
        readonly=True,
        copy=False,
        index="btree_not_null",
        prefetch=PREFETCH,
        help="Archived or lost because of this contact; restored together with it.",
    )

    def _link_cascade(self, origins):
        """Note with which contact each record went, in one statement.

        :param dict origins: ``{record id: contact id}``
        """
        if not origins:
            return
        self.env.cr.execute(
            SQL(
                "UPDATE %s AS record SET archive_cascade_partner_id = origin.partner_id"
                " FROM unnest(%s, %s) AS origin(id, partner_id)"
                " WHERE record.id = origin.id",
                SQL.identifier(self._table),
                id_array(origins),
                id_array(origins.values()),
            )
        )
        self.invalidate_model(["archive_cascade_partner_id"])

    def _filter_unguarded(self, policy):
        """Return the records that no guard protects from a policy.

        :param policy: on whose behalf; none when a person decides, who has seen what
            goes along and is stopped by an error where it must not
        """
        if not policy:
            self._check_archivable()
            return self
        guards = policy._get_guards(self._name)
        verdicts = guards._get_verdicts(self)
        return self.filtered(lambda record: record.id not in verdicts)


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _cascade(self, values, policy=None, *, children=False, leads="keep"):
        """Take along what hangs on these archived contacts.

        Runs as the lifecycle does (superuser in the name of a person); what a guard
        protects from the policy stays.

        :param dict values: lifecycle fields, as for ``_archive``
        :param policy: on whose behalf, none when a person archives by hand
        :param bool children: archive the contact persons and addresses
        :param str leads: a key of :data:`LEAD_CASCADE`
        :return: the children that were archived
        """
        contacts = self.sudo().with_context(active_test=False)
        taken = contacts.browse()
        if children:
            taken = contacts._cascade_children(values, policy)
        if leads != "keep":
            (contacts | taken)._cascade_leads(values, policy, leads)
        return taken.with_env(self.env)

    def _cascade_children(self, values, policy):
        found = self._get_cascade_children()._filter_unguarded(policy)
        children = found._archive(values, {"how": "cascade"})
        origins = {}
        for child in children:
            parent = child.parent_id
            while parent not in self:
                parent = parent.parent_id
            origins[child.id] = parent.id
        children._link_cascade(origins)
        return children

    def _get_cascade_children(self):
        """Return the live contacts below these contacts."""
        return self.search(
            Domain("id", "child_of", self.ids)
            & Domain("id", "not in", self.ids)
            & Domain("archive_state", "in", ("live", "pending"))
            & Domain("active", "=", True)
        )

    def _cascade_leads(self, values, policy, how):
        leads = self.env["crm.lead"].search(
            [
                ("partner_id", "in", self.ids),
                ("won_status", "=", "pending"),
                ("archive_state", "in", ("live", "pending")),
                ("active", "=", True),
            ]
        )
        leads = leads._filter_unguarded(policy)
        if how == "archive":
            leads = leads._archive(values, {"how": "cascade"})
        else:
            leads._lose_by_cascade()
        leads._link_cascade({lead.id: lead.partner_id.id for lead in leads})

    def _restore(self, details=None):
        """Bring back with a contact what went with it, and nothing else."""
        restored = super()._restore(details)
        domain = [("archive_cascade_partner_id", "in", restored.ids)]
        for model_name in ("res.partner", "crm.lead"):
            if not restored:
                break
            model = self.env[model_name].sudo().with_context(active_test=False)
            model.search(domain)._restore_cascaded()
        return restored

    def _restore_cascaded(self):
        self._restore({"how": "cascade"})


class CrmLead(models.Model):
    _inherit = "crm.lead"

    def _lose_by_cascade(self):
        """Mark open leads as lost, remembering in SQL what that overwrites."""
        if not self:
            return
        self.flush_recordset()
        pairs = SQL(", ").join(
            SQL("%s, to_jsonb(%s)", name, SQL.identifier(name)) for name in LOST_FIELDS
        )
        self.env.cr.execute(
            SQL(
                "UPDATE crm_lead SET archive_snapshot = jsonb_build_object(%s)"
                " WHERE id = ANY(%s)",
                pairs,
                id_array(self.ids),
            )
        )
        self.invalidate_recordset(["archive_snapshot"])
        self.action_set_lost()

    def _write_active(self, vals):
        """Who reopens a lead that was lost with its contact has decided about it:
        the contact's return reopens it no more, whatever becomes of it by then."""
        reopened = self.browse()
        if vals[self._active_name]:
            reopened = self.sudo().filtered(
                lambda lead: (
                    lead.archive_state in ("live", "pending")
                    and lead.archive_cascade_partner_id
                )
            )
        result = super()._write_active(vals)
        if reopened:
            reopened._move(
                {"archive_cascade_partner_id": False, "archive_snapshot": False}
            )
        return result

    def _restore_cascaded(self):
        """Restore archived leads, and reopen those that were lost in a cascade."""
        archived = self.filtered(lambda lead: lead.archive_state == "archived")
        if archived:
            archived._restore({"how": "cascade"})
        lost = (self - archived).filtered(lambda lead: not lead.active)
        if lost:
            lost._reopen_lost()
            lost._log_archive("restore", {"how": "cascade"})

    def _reopen_lost(self):
        """Give leads back what losing them in a cascade has overwritten.

        One write opens them all; what each had before is put back in SQL, as it was
        remembered: a probability of its own each would be a write each.
        """
        self._move({"archive_cascade_partner_id": False}, {"active": True})
        self.flush_recordset()
        names = [name for name in LOST_FIELDS if name != self._active_name]
        assignments = SQL(", ").join(
            SQL("%s = old.%s", SQL.identifier(name), SQL.identifier(name))
            for name in names
        )
        self.env.execute_query(
            SQL(
                """
                UPDATE crm_lead SET %s, archive_snapshot = NULL
                  FROM crm_lead lost CROSS JOIN LATERAL
                       jsonb_populate_record(NULL::crm_lead, lost.archive_snapshot) old
                 WHERE lost.id = crm_lead.id AND lost.id = ANY(%s)
                   AND lost.archive_snapshot IS NOT NULL
                """,
                assignments,
                id_array(self.ids),
            )
        )
        self.invalidate_recordset([*names, "archive_snapshot"], flush=False)
        self.modified(names)
