from collections import defaultdict
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .query_tools import id_array

#: Context key: what happens now was set off by a mail that a machine wrote. An
#: answer of that kind means nothing; a new lead is proposed, but restores nothing.
AUTOMATIC = "archive_recontact_automatic"

ACTIVITY = "crm_archive_policy.mail_activity_type_recontact"

#: Days after which a decided line is of no use to anybody.
KEEP_DAYS = 365


class CrmArchiveRecontact(models.Model):
    """An archived person who got in touch again: the restore is proposed here.

    A line names two records and says by what they were matched. It holds no copy
    of anything personal, so it may outlive both of them.
    """

    _name = "crm.archive.recontact"
    _description = "Archive Re-contact"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "archived_name"

    archived_model = fields.Char(required=True, readonly=True)
    archived_id = fields.Many2oneReference(
        "Archived Record", model_field="archived_model", required=True, readonly=True
    )
    archived_name = fields.Char(compute="_compute_names")
    new_model = fields.Char(readonly=True)
    new_id = fields.Many2oneReference(
        "New Record", model_field="new_model", readonly=True
    )
    new_name = fields.Char(compute="_compute_names")
    is_duplicate = fields.Boolean(
        compute="_compute_is_duplicate", help="Both are contacts, or both are leads."
    )
    match_kind = fields.Selection(
        [
            ("email", "Same e-mail address"),
            ("phone", "Same phone number"),
            ("reply", "Answer to an old message"),
        ],
        "Recognised by",
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        [
            ("proposed", "Proposed"),
            ("restored", "Restored"),
            ("dismissed", "Dismissed"),
        ],
        default="proposed",
        required=True,
        readonly=True,
        index=True,
    )
    policy_id = fields.Many2one(
        "crm.archive.policy", readonly=True, ondelete="set null"
    )
    company_id = fields.Many2one("res.company", readonly=True)
    user_id = fields.Many2one("res.users", "Responsible", readonly=True)
    decision_user_id = fields.Many2one("res.users", "Decided by", readonly=True)
    decision_date = fields.Datetime(readonly=True)

    _open_idx = models.Index("(archived_id, archived_model) WHERE state = 'proposed'")

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("archived_model", "archived_id", "new_model", "new_id")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_names(self):
        """Name only what the user may see."""
        for prefix in ("archived", "new"):
            names = {}
            for model_name, lines in self.grouped(f"{prefix}_model").items():
                if model_name and model_name in self.env:
                    records = lines._get_records(prefix)._filtered_access("read")
                    names.update(
                        ((model_name, record.id), record.display_name)
                        for record in records
                    )
            for line in self:
                res_id = line[f"{prefix}_id"]
                name = names.get((line[f"{prefix}_model"], res_id))
                if not name and res_id:
                    name = self.env._("Record %(id)s", id=res_id)
                line[f"{prefix}_name"] = name

    @api.depends("archived_model", "new_model")
    def _compute_is_duplicate(self):
        for line in self:
            line.is_duplicate = line.archived_model == line.new_model

    def _get_records(self, prefix):
        """Return the records that these lines name; all of one model.

        :param str prefix: ``archived`` or ``new``
        """
        model = self.env[self[:1][f"{prefix}_model"]].with_context(active_test=False)
        return model.browse(self.mapped(f"{prefix}_id")).exists()

    # ------------------------------------------------------------
    # ANSWERING
    # ------------------------------------------------------------

    @api.model
    def _receive(self, matches):
        """Restore what policies restore by themselves, and propose the rest.

        An import restores nothing and sends no activities; its proposals wait in
        the list.

        :param matches: list of :class:`Match`
        """
        matches = self._skip_proposed(matches)
        if not matches:
            return
        is_import = bool(self.env.context.get("import_file"))
        may_restore = not is_import and not self.env.context.get(AUTOMATIC)
        values = self._prepare_lines(matches)
        restored = set()
        for model_name, group in _group_by_model(matches).items():
            wanted = {m.archived.id for m in group if m.mode == "restore"}
            if wanted and may_restore:
                archived = self.env[model_name].browse(wanted)
                restored.update(self._restore_by_itself(archived))
        lines = self._create_lines(values, restored)
        if not is_import:
            lines._ask()

    def _skip_proposed(self, matches):
        """Without a new record to name, one proposal for an archived one is enough."""
        nameless = [match.archived.id for match in matches if not match.new]
        if not nameless:
            return matches
        lines = self.sudo().search(
            [("archived_id", "in", nameless), ("state", "=", "proposed")]
        )
        known = {(line.archived_model, line.archived_id) for line in lines}
        return [
            match
            for match in matches
            if match.new or (match.archived._name, match.archived.id) not in known
        ]

    @api.model
    def _restore_by_itself(self, archived):
        """Restore as the policy says, for the mail gateway and web forms too.

        A person gets nothing restored that he may not see: for him it is proposed
        to an officer, and he never hears of it.

        :param archived: records in the environment of whoever got in touch
        :return: list of ``(model, id)`` of what was restored
        """
        visible = archived if archived.env.su else archived._filtered_access("read")
        restored = visible.sudo()._restore({"cause": "came_back", "how": "recontact"})
        return [(record._name, record.id) for record in restored]

    def _prepare_lines(self, matches):
        """Return the values of the lines; a restore would take the policy away."""
        users = self._get_responsibles([match.archived for match in matches])
        return [
            {
                "archived_model": archived._name,
                "archived_id": archived.id,
                "new_model": new._name if new else False,
                "new_id": new.id,
                "match_kind": kind,
                "policy_id": archived.archive_policy_id.id,
                "company_id": archived.company_id.id,
                "user_id": users[archived._name, archived.id].id,
            }
            for new, archived, kind, _mode in matches
        ]

    def _create_lines(self, values, restored):
        """Write the lines: nobody has rights to create them.

        :param list values: from :meth:`_prepare_lines`
        :param restored: ``(model, id)`` of the records that are back already
        """
        now = self.env.cr.now()
        for vals in values:
            if (vals["archived_model"], vals["archived_id"]) in restored:
                vals.update(state="restored", decision_date=now)
        quiet = dict.fromkeys(
            ("mail_create_nolog", "mail_create_nosubscribe", "tracking_disable"), True
        )
        lines = self.sudo().with_context(**quiet).create(values)
        lines.filtered(lambda line: line.state == "restored")._link_restored()
        return lines

    def _get_responsibles(self, archived):
        """Return who decides about each archived record.

        The owner, if still there and allowed to see it; else the responsible of the
        policy; else an archive manager.

        :param list archived: archived records, as superuser
        :return: ``{(model, id): user}``
        """
        group = self.env.ref("crm_archive_policy.group_archive_manager").sudo()
        managers = group.all_user_ids.sorted("id")
        users = {}
        for record in archived:
            candidates = record.user_id | record.archive_policy_id.user_id | managers
            users[record._name, record.id] = next(
                (user for user in candidates if self._can_decide(user, record)),
                self.env["res.users"],
            )
        return users

    @api.model
    def _can_decide(self, user, record):
        """Tell whether a user is there and may see an archived record."""
        return (
            user.active
            and not user.share
            and (not record.company_id or record.company_id in user.company_ids)
            and (
                not record.archive_restricted
                or user.has_group("crm_archive_policy.group_archive_user")
            )
        )

    def _ask(self):
        """Give the responsible one activity for each archived record.

        A record that is back by itself asks for one only when a duplicate of it was
        entered as well, to be merged.
        """
        lines = self.filtered(
            lambda line: (
                line.user_id
                and (line.state == "proposed" or (line.is_duplicate and line.new_id))
            )
        )
        if not lines:
            return
        earlier = self.search(
            [
                ("archived_id", "in", lines.mapped("archived_id")),
                ("state", "=", "proposed"),
                ("id", "not in", lines.ids),
            ]
        )
        asked = {(line.archived_model, line.archived_id) for line in earlier}
        summaries = {
            "proposed": self.env._("An archived person is back: restore?"),
            "restored": self.env._("Restored by itself: merge the duplicate?"),
        }
        values = []
        for line in lines:
            key = line.archived_model, line.archived_id
            if key in asked:
                continue
            asked.add(key)
            values.append(
                {
                    "activity_type_id": self.env.ref(ACTIVITY).id,
                    "automated": True,
                    "res_model_id": self.env["ir.model"]._get_id(self._name),
                    "res_id": line.id,
                    "user_id": line.user_id.id,
                    "summary": summaries[line.state],
                }
            )
        self.env["mail.activity"].with_context(mail_activity_quick_update=True).create(
            values
        )

    # ------------------------------------------------------------
    # AFTERWARDS
    # ------------------------------------------------------------

    def _link_restored(self):
        """Give new leads without a customer the contact that came back."""
        for line in self:
            if (line.archived_model, line.new_model) != ("res.partner", "crm.lead"):
                continue
            lead = self.env["crm.lead"].sudo().browse(line.new_id).exists()
            if lead and not lead.partner_id:
                lead.partner_id = line.archived_id

    @api.model
    @api.model
    def _get_archived_domain(self, model_name, ids):
        """Return what is proposed about records; their ids travel as one literal."""

        def is_about(model, alias, query):
            column = model._field_to_sql(alias, "archived_id", query)
            return SQL("%s = ANY(%s)", column, id_array(ids))

        return Domain("archived_model", "=", model_name) & Domain.custom(
            to_sql=is_about
        )

    def _close_for(self, records):
        """Close what was proposed about records that are restored now.

        :param records: contacts or leads, restored whichever way
        """
        about = self._get_archived_domain(records._name, records.ids)
        lines = self.sudo().search(about & Domain("state", "=", "proposed"))
        if lines:
            lines._decide("restored")
            lines._link_restored()

    def _decide(self, state):
        """Close the lines; nobody has rights to write them.

        :param str state: ``restored`` or ``dismissed``
        """
        lines = self.sudo()
        lines.write(
            {
                "state": state,
                "decision_user_id": self.env.uid,
                "decision_date": self.env.cr.now(),
            }
        )
        lines.activity_ids.unlink()

    @api.autovacuum
    def _gc_decided(self):
        """Forget lines that were decided long ago; the audit log knows the restore."""
        limit = fields.Datetime.now() - timedelta(days=KEEP_DAYS)
        self.search(
            [("state", "!=", "proposed"), ("write_date", "<", limit)], limit=10_000
        ).unlink()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def _check_may_decide(self):
        """Refuse whoever may not change the archived records, or comes too late.

        :return: the archived records, model by model
        """
        self.check_access("read")
        decided = self.filtered(lambda line: line.state != "proposed")
        if decided:
            raise UserError(
                self.env._(
                    "“%(name)s” has been decided already. Reload the list to see the "
                    "current state.",
                    name=decided[0].archived_name,
                )
            )
        groups = [
            lines._get_records("archived")
            for lines in self.grouped("archived_model").values()
        ]
        for records in groups:
            records.check_access("write")
        return groups

    def action_restore(self):
        """Bring the archived records back, because the people are.

        :return: notification that says how many
        """
        details, restored = {"cause": "came_back", "how": "recontact"}, 0
        for records in self._check_may_decide():
            restored += len(records._restore(details))
        # What somebody deleted meanwhile cannot come back: nothing is left to ask.
        left = self.filtered(lambda line: line.state == "proposed")
        left._decide("dismissed")
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "%(count)s restored, exactly as before.", count=restored
                ),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_dismiss(self):
        """Leave the archived records where they are."""
        self._check_may_decide()
        self._decide("dismissed")
        return True

    def action_open_archived(self):
        """Open the archived record.

        :return: window action
        """
        return self._get_open_action("archived")

    def action_open_new(self):
        """Open the new record.

        :return: window action
        """
        return self._get_open_action("new")

    def _get_open_action(self, prefix):
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": self[f"{prefix}_model"],
            "res_id": self[f"{prefix}_id"],
            "view_mode": "form",
            "context": {"active_test": False},
        }

    def action_merge(self):
        """Open core's own dialog that merges the restored and the new record.

        :return: window action
        :raise UserError: as long as one of them is archived or gone
        """
        self.ensure_one()
        self.check_access("read")
        records = self.env[self.archived_model].browse([self.archived_id, self.new_id])
        if (
            self.new_model != self.archived_model
            or not all(record.active for record in records.exists())
            or len(records.exists()) < 2
        ):
            raise UserError(
                self.env._(
                    "There are no two active records to merge. Restore the archived "
                    "one first."
                )
            )
        records.check_access("write")
        wizards = {
            "res.partner": "base.partner.merge.automatic.wizard",
            "crm.lead": "crm.merge.opportunity",
        }
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Merge"),
            "res_model": wizards[self.archived_model],
            "view_mode": "form",
            "target": "new",
            "context": {"active_model": records._name, "active_ids": records.ids},
        }


def _group_by_model(matches):
    """Return the matches by the model of the archived record."""
    groups = defaultdict(list)
    for match in matches:
        groups[match.archived._name].append(match)
    return groups
