"""What a legal hold covers: taking records, releasing them, finding new ones."""

import logging

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .query_tools import as_domain, id_array

_logger = logging.getLogger(__name__)

#: Records that are put on hold, or let go, together.
BATCH_SIZE = 5000


class CrmArchiveHold(models.Model):
    """How records come under a hold and out of it, in batches."""

    _inherit = "crm.archive.hold"

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
                SELECT %s, %s, unnest(%s), %s
                    ON CONFLICT DO NOTHING
             RETURNING id
                """,
                self.id,
                records._name,
                id_array(records.ids),
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
