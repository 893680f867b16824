import logging
from ast import literal_eval

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_archive_policy import DOMAIN_MAX_TERMS
from .query_tools import as_domain

_logger = logging.getLogger(__name__)

#: Records that are put on hold, or let go, together.
BATCH_SIZE = 5000

#: A button deals with so many records itself; the scheduled action with the others.
INLINE_MAX = 20_000

#: Fields that list records by hand, by model.
LIST_FIELDS = {"res.partner": "partner_ids", "crm.lead": "lead_ids"}

#: What makes up a hold. Nothing of it changes once the hold is lifted.
DATA_FIELDS = {
    "name",
    "reference",
    "reason",
    "kind",
    "res_model",
    "domain",
    "partner_ids",
    "lead_ids",
    "company_id",
    "user_id",
    "date_end",
}

#: Which records a hold covers; fixed when it starts.
SCOPE_FIELDS = {"kind", "res_model", "domain", "company_id"}

#: Set by starting and lifting, never by hand.
STATE_FIELDS = {
    "state",
    "date_start",
    "start_user_id",
    "lift_date",
    "lift_user_id",
    "lift_reason",
    "is_end_notified",
    "is_releasing",
    "error",
}


class CrmArchiveHold(models.Model):
    """A legal hold: what it covers is neither archived, nor deleted, nor merged.

    It goes from draft to active to lifted, and never back. Which records it covers
    is written down in ``crm.archive.hold.record``; ``archive_on_hold`` on the
    record says that at least one active hold covers it.
    """

    _name = "crm.archive.hold"
    _description = "Legal Hold"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    name = fields.Char("Matter", required=True, tracking=True)
    reference = fields.Char(
        tracking=True, help="Number of the case, order or investigation."
    )
    reason = fields.Text(required=True, tracking=True)
    user_id = fields.Many2one(
        "res.users",
        "Owner",
        required=True,
        default=lambda self: self.env.user,
        domain="[('share', '=', False)]",
        tracking=True,
        help="Answers for the hold, and is reminded at its planned end.",
    )
    company_id = fields.Many2one(
        "res.company",
        default=lambda self: self.env.company,
        tracking=True,
        help="A domain finds records of this company and shared ones; empty: those "
        "of every company that who starts the hold has access to.",
    )
    state = fields.Selection(
        [("draft", "Draft"), ("active", "In force"), ("lifted", "Lifted")],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        index=True,
        tracking=True,
    )
    # scope
    kind = fields.Selection(
        [("list", "Chosen records"), ("domain", "All that match")],
        "Covers",
        default="list",
        required=True,
        help="What comes to match later is held from then on.",
    )
    partner_ids = fields.Many2many(
        "res.partner",
        "crm_archive_hold_res_partner_rel",
        string="Contacts",
        context={"active_test": False},
        copy=False,
    )
    lead_ids = fields.Many2many(
        "crm.lead",
        "crm_archive_hold_crm_lead_rel",
        string="Leads",
        context={"active_test": False},
        copy=False,
    )
    res_model = fields.Selection(
        selection="_selection_res_model", string="Model", default="res.partner"
    )
    domain = fields.Char("Records", default="[]", tracking=True)
    record_count = fields.Integer("Held Records", compute="_compute_record_count")
    # course
    date_start = fields.Datetime("In force since", readonly=True, copy=False)
    start_user_id = fields.Many2one(
        "res.users", "Started by", readonly=True, copy=False
    )
    date_end = fields.Date(
        "Planned End",
        copy=False,
        tracking=True,
        help="The owner is reminded on that day. A hold never ends by itself.",
    )
    is_end_notified = fields.Boolean(readonly=True, copy=False)
    lift_date = fields.Datetime("Lifted on", readonly=True, copy=False)
    lift_user_id = fields.Many2one("res.users", "Lifted by", readonly=True, copy=False)
    lift_reason = fields.Text("Lifted because", readonly=True, copy=False)
    is_releasing = fields.Boolean(
        readonly=True,
        copy=False,
        help="Lifted, and some of its records are still to be released.",
    )
    error = fields.Text(
        "Failure",
        readonly=True,
        copy=False,
        help="Why new records cannot be found. Those already held stay held.",
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.model
    def _selection_res_model(self):
        return [
            (name, self.env["ir.model"]._get(name).name)
            for name in self.env["crm.archive.policy"]._get_lifecycle_models()
        ]

    def _compute_record_count(self):
        counts = dict(
            self.env["crm.archive.hold.record"]._read_group(
                [("hold_id", "in", self.ids)], ["hold_id"], ["__count"]
            )
        )
        for hold in self:
            hold.record_count = counts.get(hold, 0)

    @api.constrains("kind", "domain", "res_model")
    def _check_domain(self):
        for hold in self.filtered(lambda hold: hold.kind == "domain"):
            try:
                hold._get_domain().validate(self.env[hold.res_model])
            except (ValueError, SyntaxError, KeyError, TypeError, MemoryError) as error:
                raise ValidationError(
                    self.env._(
                        "The records of the hold “%(name)s” cannot be found with "
                        "%(domain)s: %(error)s. Correct it with the domain editor.",
                        name=hold.name,
                        domain=(hold.domain or "")[:200],
                        error=str(error)[:500],
                    )
                ) from error

    def _get_domain(self):
        """Return the domain parsed; nothing in it is ever executed.

        :raise ValueError: when it is not a list of literals, or far too long
        """
        self.ensure_one()
        terms = literal_eval((self.domain or "[]").strip())
        if not isinstance(terms, list):
            raise ValueError(self.env._("a domain is a list of conditions"))  # noqa: TRY004 - the caller's contract
        if len(terms) > DOMAIN_MAX_TERMS:
            raise ValueError(
                self.env._("more than %(max)s conditions", max=DOMAIN_MAX_TERMS)
            )
        return Domain(terms)

    # ------------------------------------------------------------
    # ORM
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_state_fields(
                name
                for name in STATE_FIELDS & vals.keys()
                if vals[name] and (name, vals[name]) != ("state", "draft")
            )
        return super().create(vals_list)

    def write(self, vals):
        """A hold in force only grows, a lifted one stays what it was."""
        self._check_state_fields(STATE_FIELDS & vals.keys())
        active = self.filtered(lambda hold: hold.state == "active")
        if DATA_FIELDS & vals.keys() and any(hold.state == "lifted" for hold in self):
            raise UserError(
                self.env._("A lifted hold stays as it is. Start a new one instead.")
            )
        if active and SCOPE_FIELDS & vals.keys():
            raise UserError(
                self.env._(
                    "What a hold covers is fixed once it is in force. Start a new "
                    "hold, then lift this one."
                )
            )
        listed = {hold: hold._get_listed() for hold in active}
        result = super().write(vals)
        if "date_end" in vals:
            self._write_state({"is_end_notified": False})
        for hold, before in listed.items():
            if vals.keys() & set(LIST_FIELDS.values()):
                hold._take_added(before)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_started(self):
        if any(hold.state != "draft" for hold in self):
            raise UserError(
                self.env._(
                    "A hold that has been in force is never deleted: it says what was "
                    "held, and why. Lift it instead."
                )
            )

    def _check_state_fields(self, names):
        names = sorted(names)
        if names:
            raise AccessError(
                self.env._(
                    "“%(field)s” follows from starting and lifting the hold. Use the "
                    "buttons instead.",
                    field=self._fields[names[0]]._description_string(self.env),
                )
            )

    def _write_state(self, vals):
        """Write what :meth:`write` refuses; the caller has checked the rights."""
        return super().write(vals)

    @api.model
    def _get_list_field(self, model_name):
        """Return the name of the field that lists records of a model."""
        return LIST_FIELDS[model_name]

    def _get_listed(self):
        """Return the records listed by hand, as ``{model name: records}``."""
        self.ensure_one()
        return {
            model_name: self.sudo()[name].with_context(active_test=False)
            for model_name, name in LIST_FIELDS.items()
        }

    def _take_added(self, before):
        """Hold what was added to the list of an active hold.

        :param before: the records listed until now, ``{model name: records}``
        :raise UserError: when a record was taken off the list
        """
        for model_name, records in self._get_listed().items():
            if before[model_name] - records:
                raise UserError(
                    self.env._(
                        "A record leaves a hold only when the hold is lifted. Lift "
                        "it with a reason, and start a new one for what remains."
                    )
                )
            (records - before[model_name]).with_env(self.env).check_access("read")
        self._take()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def _check_may_decide(self):
        """Only managers start and lift holds.

        :raise AccessError: for anybody else
        """
        if not self.env.user.has_group("crm_archive_policy.group_archive_manager"):
            raise AccessError(
                self.env._("Only archive managers start and lift legal holds.")
            )
        self.check_access("write")

    def action_start(self):
        """Put the hold in force: from now on nothing takes its records away.

        A domain may match a million records. Those that are left to the scheduled
        action are covered already: see :meth:`_find_covered`.
        """
        self._check_may_decide()
        for hold in self:
            hold._check_startable()
            hold._write_state(
                {
                    "state": "active",
                    "date_start": self.env.cr.now(),
                    "start_user_id": self.env.uid,
                }
            )
            hold._log("hold", {"reference": hold.reference or None})
            if hold._take(INLINE_MAX) >= INLINE_MAX:
                hold._trigger_cron()
        return True

    def _check_startable(self):
        if self.state != "draft":
            raise UserError(
                self.env._(
                    "“%(name)s” has been started before. A hold is started once.",
                    name=self.name,
                )
            )
        listed = self._get_listed().values()
        if self.kind == "list" and not any(listed):
            raise UserError(
                self.env._(
                    "“%(name)s” covers nothing yet. Add contacts or leads first.",
                    name=self.name,
                )
            )
        for records in listed:
            records.with_env(self.env).check_access("read")

    def action_lift(self):
        """Open the dialog that lifts the hold.

        :return: window action
        """
        self.ensure_one()
        self._check_may_decide()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Lift the Hold"),
            "res_model": "crm.archive.hold.lift",
            "view_mode": "form",
            "target": "new",
            "context": {"default_hold_id": self.id},
        }

    def _lift(self, reason):
        """End the hold for good; what no other hold covers is free again.

        :param str reason: why
        :raise UserError: without a reason, or when the hold is not in force
        """
        self.ensure_one()
        self._check_may_decide()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the hold is lifted."))
        if self.state != "active":
            raise UserError(self.env._("“%(name)s” is not in force.", name=self.name))
        self._serialise()
        self._write_state(
            {
                "state": "lifted",
                "lift_date": self.env.cr.now(),
                "lift_user_id": self.env.uid,
                "lift_reason": reason.strip(),
                "is_releasing": True,
            }
        )
        self.activity_unlink(["mail.mail_activity_data_todo"])
        self._log("lift")
        if self._release(INLINE_MAX) >= INLINE_MAX:
            self._trigger_cron()

    def _trigger_cron(self):
        """Have the scheduled action go on at once; the rights are checked."""
        self.env.ref("crm_archive_policy.ir_cron_refresh_holds").sudo()._trigger()

    def action_view_records(self):
        """List what the hold covers, or covered.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_hold_record_action"
            ),
            "domain": [("hold_id", "=", self.id)],
        }

    # ------------------------------------------------------------
    # TAKING AND RELEASING
    # ------------------------------------------------------------

    def _get_scope(self):
        """Return where the records of the hold are found.

        A domain is evaluated with the rights of who started the hold: it neither
        reaches nor reveals more than that person sees.

        :return: list of ``(model, domain)``
        """
        self.ensure_one()
        if self.kind == "list":
            return [
                (records.browse(), Domain("id", "in", records.ids))
                for records in self._get_listed().values()
                if records
            ]
        user = self.start_user_id
        companies = self.company_id or user.company_ids
        model = (
            self.env[self.res_model]
            .with_user(user)
            .with_context(active_test=False, allowed_company_ids=companies.ids)
        )
        domain = self._get_domain()
        if self.company_id:
            domain &= Domain("company_id", "in", [self.company_id.id, False])
        domain.validate(model)  # a module may have gone, and its fields with it
        return [(model, domain)]

    def _take(self, limit=None):
        """Put on hold what the hold covers and what is not held by it yet.

        :param int limit: stop when there are so many
        :return: number of records
        """
        self.ensure_one()
        count = 0
        self._serialise()
        for model, domain in self._get_scope():
            domain &= ~as_domain(self._get_member_condition(model._name))
            while found := model.search(domain, order="id", limit=BATCH_SIZE):
                self._take_batch(found)
                count += len(found)
                found.invalidate_recordset(flush=False)  # flat memory
                if limit and count >= limit:
                    return count
        return count

    def _get_member_condition(self, model_name):
        """Return the SQL condition of the records that the hold has taken."""
        hold_id = self.id

        def is_member(alias):
            return SQL(
                "EXISTS (SELECT 1 FROM crm_archive_hold_record member WHERE "
                "member.hold_id = %s AND member.res_model = %s AND member.res_id = %s)",
                hold_id,
                model_name,
                SQL.identifier(alias, "id"),
            )

        return is_member

    def _take_batch(self, found):
        """Write down that the hold covers these records, and mark them."""
        records = (
            self.env[found._name].browse(found.ids).with_context(active_test=False)
        ).sudo()
        self.env.execute_query(
            SQL(
                """
                INSERT INTO crm_archive_hold_record (hold_id, res_model, res_id, date)
                SELECT %s, %s, unnest(%s::integer[]), %s
                    ON CONFLICT DO NOTHING
             RETURNING id
                """,
                self.id,
                records._name,
                records.ids,
                self.env.cr.now(),
            )
        )
        self.env["crm.archive.hold.record"].invalidate_model()
        records.fetch(["archive_on_hold", "archive_state"])  # and no other column
        records.filtered(lambda r: not r.archive_on_hold)._move(
            {"archive_on_hold": True}
        )
        self._cancel_candidates(records)
        records._log_archive("hold", {"hold": self.id})

    def _cancel_candidates(self, records):
        """Nothing waits for being archived while it is on hold."""
        pending = records.filtered(lambda r: r.archive_state == "pending")
        if not pending:
            return
        self.env["crm.archive.candidate"].sudo().search(
            [
                ("res_model", "=", records._name),
                ("res_id", "in", pending.ids),
                ("verdict", "in", ("pending", "approved")),
            ]
        ).write(
            {"verdict": "cancelled", "note": self.env._("A legal hold is in force.")}
        )
        pending._set_pending(False)

    def _release(self, limit=None):
        """Let go of the records that no other active hold covers.

        :param int limit: stop when there are so many
        :return: number of records
        """
        self.ensure_one()
        count = 0
        self._serialise()
        for model_name in self.env["crm.archive.policy"]._get_lifecycle_models():
            while ids := self._get_free_ids(model_name):
                records = self.env[model_name].browse(ids)
                records._move({"archive_on_hold": False})
                records._log_archive("lift", {"hold": self.id})
                records.invalidate_recordset(flush=False)
                count += len(ids)
                if limit and count >= limit:
                    return count
        self._write_state({"is_releasing": False})
        return count

    def _get_free_ids(self, model_name):
        """Return ids of the next records that only this lifted hold has marked."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT member.res_id
                  FROM crm_archive_hold_record member
                  JOIN %s record ON record.id = member.res_id AND record.archive_on_hold
                 WHERE member.hold_id = %s AND member.res_model = %s
                   AND NOT EXISTS (
                    SELECT 1 FROM crm_archive_hold_record other
                      JOIN crm_archive_hold hold ON hold.id = other.hold_id
                     WHERE hold.state = 'active'
                       AND other.res_model = member.res_model
                       AND other.res_id = member.res_id)
                 ORDER BY member.res_id LIMIT %s
                """,
                SQL.identifier(self.env[model_name]._table),
                self.id,
                model_name,
                BATCH_SIZE,
            )
        )
        return [res_id for (res_id,) in rows]

    def _serialise(self):
        """Make two transactions that start, lift or extend holds notice each other.

        Each sees the database as it was when it began: lifting one hold while
        another takes the same records would leave them unmarked. Touching the holds
        that matter makes the second one fail, and Odoo tries it again.
        """
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_archive_hold SET state = state "
            "WHERE state = 'active' OR is_releasing"
        )

    def _log(self, action, details=None):
        """Append the audit line about the hold itself."""
        self.env["crm.archive.log"]._append(action, self, details)

    # ------------------------------------------------------------
    # RECORDS THAT COME TO MATCH
    # ------------------------------------------------------------

    @api.model
    def _get_active_domains(self, model_name=None):
        """Return the active holds over a domain, as superuser."""
        domain = Domain("state", "=", "active") & Domain("kind", "=", "domain")
        if model_name:
            domain &= Domain("res_model", "=", model_name)
        return self.sudo().search(domain)

    @api.model
    def _find_covered(self, records):
        """Return those of the records that match an active hold's domain.

        :param records: contacts or leads, as superuser
        """
        covered = records.browse()
        if not records:
            return covered
        for hold in self._get_active_domains(records._name):
            try:
                scope = hold._get_scope()
            except (ValueError, SyntaxError, KeyError, TypeError):
                continue  # its members are marked; _refresh tells the owner
            for model, domain in scope:
                found = model.search(domain & Domain("id", "in", records.ids))
                covered |= records.browse(found.ids)
        return covered

    @api.model
    def _refresh(self, model_name=None):
        """Take what has come to match the domains of active holds.

        :param str model_name: only holds over this model
        """
        for hold in self._get_active_domains(model_name):
            hold._refresh_safely()

    def _refresh_safely(self, limit=None):
        """Take new records; a hold that cannot find them says so to its owner.

        :param int limit: stop when there are so many
        :return: number of records
        """
        self.ensure_one()
        count, error = 0, False
        try:
            with self.env.cr.savepoint():
                count = self._take(limit)
        except OperationalError:
            raise
        except Exception as exception:  # noqa: BLE001 - any module's search may raise
            _logger.warning(
                "Legal hold %s cannot find its records: %s",
                self.id,
                type(exception).__name__,
            )
            error = str(exception)[:500]
        if error and error != self.error:
            self._remind(self.env._("The hold cannot find new records"), error)
        if error != self.error:
            self._write_state({"error": error})
        return count

    @api.model
    def _cron_refresh(self):
        """Take new records, release those of lifted holds, remind of planned ends."""
        cron = self.env["ir.cron"]
        work = [hold._refresh_safely for hold in self._get_active_domains()]
        lifted = self.sudo().search([("is_releasing", "=", True)])
        work += [hold._release for hold in lifted]
        cron._commit_progress(remaining=len(work))
        for step in work:
            while step(BATCH_SIZE) >= BATCH_SIZE:
                if not cron._commit_progress():
                    return
            if not cron._commit_progress(1):
                return
        self._remind_of_end()

    @api.model
    def _remind_of_end(self):
        """Ask the owners of holds whose planned end has come what is to be done."""
        holds = self.sudo().search(
            [
                ("state", "=", "active"),
                ("date_end", "<=", fields.Date.today()),
                ("is_end_notified", "=", False),
            ]
        )
        for hold in holds:
            hold._remind(
                self.env._("Planned end of the legal hold"),
                self.env._(
                    "Lift it, or set a later end. Until then it stays in force."
                ),
            )
        holds._write_state({"is_end_notified": True})

    def _remind(self, summary, note):
        self.activity_schedule(
            "mail.mail_activity_data_todo",
            user_id=self.user_id.id,
            summary=summary,
            note=note,
        )
