import logging
import time

from psycopg2 import DatabaseError, OperationalError

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..lib.stores import StoreTemporary
from ..vault.report import RestoreRefused
from .big_integer import BigInteger
from .crm_archive_bundle_verify import DAMAGES
from .vault_errors import VAULT_ERRORS, vault_error
from .vault_findings import describe

_logger = logging.getLogger(__name__)

#: Records rehearsed in one transaction, all of one bundle.
DRILL_BATCH = 20

#: A button rehearses so many records itself, the scheduled action the others.
DRILL_INLINE = 100

#: A rehearsal waits no longer than this for somebody else's lock.
LOCK_TIMEOUT = "5s"

#: Refusals that a person settles by choosing something else; no reason to ring.
CHOICES = frozenset(["required_gone"])


class CrmArchiveDrill(models.Model):
    """What came of rehearsing the restore of one record."""

    _name = "crm.archive.drill"
    _description = "Restore Rehearsal"
    _order = "id desc"
    _log_access = False
    _rec_name = "date"

    run_id = fields.Many2one(
        "crm.archive.run", required=True, readonly=True, ondelete="cascade", index=True
    )
    entry_id = fields.Many2one(
        "crm.archive.entry",
        "Record",
        required=True,
        readonly=True,
        ondelete="cascade",
        index=True,
    )
    store_id = fields.Many2one("crm.archive.store", readonly=True, ondelete="set null")
    company_id = fields.Many2one(related="entry_id.company_id", store=True)
    date = fields.Datetime(required=True, readonly=True, index=True)
    outcome = fields.Selection(
        [
            ("exact", "Exactly as it was"),
            ("drift", "With differences"),
            ("failed", "Failed"),
        ],
        required=True,
        readonly=True,
    )
    message = fields.Text("What Was Found", readonly=True)
    duration_ms = fields.Integer("Duration (ms)", readonly=True, aggregator="avg")
    row_count = fields.Integer("Rows", readonly=True)
    size = BigInteger("Bytes", readonly=True, help="Rows and files.")


class CrmArchiveRun(models.Model):
    """Drills: records are really restored, compared and taken back again."""

    _inherit = "crm.archive.run"

    kind = fields.Selection(
        selection_add=[("drill", "Rehearse restores")], ondelete={"drill": "cascade"}
    )
    drill_ids = fields.One2many("crm.archive.drill", "run_id", readonly=True)
    exact_count = fields.Integer("Exactly as They Were", readonly=True)
    drift_count = fields.Integer(
        "With Differences",
        readonly=True,
        help="They would come back, and the restore would say what is not as it was: "
        "a field or a salesperson that is no more.",
    )

    @api.depends("kind")
    def _compute_name(self):
        super()._compute_name()
        for run in self.filtered(lambda run: run.kind == "drill"):
            run.name = self.env._("Drill · run %(number)s", number=run.id or "")

    # ------------------------------------------------------------
    # STARTING
    # ------------------------------------------------------------

    @api.model
    def _start_drill(self, entries, store=None):
        """Rehearse the restore of entries.

        :param entries: ``crm.archive.entry``; the caller has checked the rights
        :param store: set when they stand for this store
        :return: the run
        :raise UserError: when there is none
        """
        entries = entries.filtered(lambda entry: entry.state == "vaulted")
        if not entries:
            raise UserError(
                self.env._("Nothing to rehearse: no such records are in the vault.")
            )
        ids = entries.sorted(lambda entry: (entry.bundle_id.id, entry.id)).ids
        return self._start_upkeep("drill", ids, store, len(ids) <= DRILL_INLINE)

    def _find_upkeep(self, kind, store):
        if kind != "drill":
            return super()._find_upkeep(kind, store)
        return store._get_drill_sample().sorted(lambda e: (e.bundle_id.id, e.id))

    # ------------------------------------------------------------
    # WORKING
    # ------------------------------------------------------------

    def _step_upkeep(self, plan):
        if self.kind != "drill":
            return super()._step_upkeep(plan)
        entries = self.env["crm.archive.entry"].browse(plan[:DRILL_BATCH]).exists()
        bundle = entries[:1].bundle_id
        count = 0
        for entry in entries:
            if entry.bundle_id != bundle:
                break
            if entry.state == "vaulted":
                self._drill(entry)
            count += 1
        results = self.drill_ids.filtered(lambda d: d.entry_id in entries[:count])
        if results:
            self._log_drill(results)
        # Those that are no more are dealt with as well.
        return (
            plan.index(entries[count - 1].id) + 1 if count else len(plan[:DRILL_BATCH])
        )

    def _drill(self, entry):
        """Rehearse one restore and note what came of it.

        :raise OperationalError: when somebody else is at the same rows
        :raise StoreTemporary: when the store does not answer at the moment
        """
        started = time.monotonic()
        outcome, message = self._rehearse(entry)
        self.env["crm.archive.drill"].create(
            {
                "run_id": self.id,
                "entry_id": entry.id,
                "store_id": entry.store_id.id,
                "date": fields.Datetime.now(),
                "outcome": outcome,
                "message": message,
                "duration_ms": round((time.monotonic() - started) * 1000),
                "row_count": entry.place_rows,
                "size": entry.place_size + entry.place_blob_size,
            }
        )
        if outcome == "failed":
            self._note_trouble(entry, message)
        else:
            self._count(**{f"{outcome}_count": 1})

    def _rehearse(self, entry):
        """Restore an entry in a savepoint that is rolled back.

        :return: ``(outcome, what was found, in words)``
        """
        try:
            with self.env.cr.savepoint() as savepoint:
                self.env.cr.execute(SQL("SET LOCAL lock_timeout = %s", LOCK_TIMEOUT))
                found = entry._rehearse()
                savepoint.rollback()
        except (OperationalError, StoreTemporary):
            raise
        except RestoreRefused as error:
            refusals = [finding for finding in error.findings if finding.refuses]
            is_choice = all(finding.kind in CHOICES for finding in refusals)
            text = self._describe_findings(refusals)
            return ("drift" if is_choice else "failed"), text
        except VAULT_ERRORS as error:
            self._look_at_bundle(entry, error)
            return "failed", str(vault_error(self.env, error))
        except Exception as error:  # noqa: BLE001 - any module's code may raise
            # Other errors than ours may quote what they choked on.
            trace = not isinstance(error, DatabaseError)
            told = "Rehearsal of entry %s failed: %s"
            _logger.warning(told, entry.id, type(error).__name__, exc_info=trace)
            is_told = isinstance(error, UserError)
            return "failed", str(error) if is_told else type(error).__name__
        findings = [finding for each in found.values() for finding in each]
        if findings:
            return "drift", self._describe_findings(findings)
        return "exact", False

    def _describe_findings(self, findings):
        return "\n".join(describe(self.env, finding) for finding in findings)

    def _look_at_bundle(self, entry, error):
        """Find out whether the stored data is to blame, and note it there."""
        if isinstance(error, DAMAGES):
            entry.bundle_id._verify()
            if entry.bundle_id.state == "damaged":
                self._count(damaged_count=1)

    def _log_drill(self, results):
        outcomes = results.mapped("outcome")
        self.env["crm.archive.log"]._append(
            "drill",
            results.entry_id,
            {outcome: outcomes.count(outcome) for outcome in set(outcomes)},
            run=self,
        )

    # ------------------------------------------------------------
    # THE END
    # ------------------------------------------------------------

    def _get_upkeep_bundles(self, ids):
        if self.kind != "drill":
            return super()._get_upkeep_bundles(ids)
        return self.env["crm.archive.entry"].browse(ids).exists().bundle_id

    def _describe_failure(self):
        if self.kind != "drill":
            return super()._describe_failure()
        return self.env._(
            "Rehearsing the restore failed for %(count)s of %(total)s records: as "
            "things are, they would not come back.",
            count=self.error_count,
            total=self.done_count,
        )

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_drill(self):
        """Rehearse the restore of a few records that this run moved to the vault.

        :return: window action of the new run
        """
        self.ensure_one()
        self.env["crm.archive.entry"].browse()._check_may_restore()
        self.check_access("read")
        stores = self.env["crm.archive.store"]
        entries = stores._get_drill_sample([("run_id", "=", self.id)])
        return self._start_drill(entries)._get_action()


class CrmArchiveEntry(models.Model):
    """Rehearsing the restore of chosen records."""

    _inherit = "crm.archive.entry"

    drill_ids = fields.One2many(
        "crm.archive.drill",
        "entry_id",
        "Rehearsals",
        readonly=True,
        groups="crm_archive_policy.group_archive_officer,"
        "crm_archive_policy.group_archive_auditor",
    )

    def action_drill(self):
        """Restore these records on trial: everything is taken back again.

        :return: window action of the run
        :raise AccessError: for other people than officers
        """
        self._check_may_restore()
        return self.env["crm.archive.run"]._start_drill(self.sudo())._get_action()
