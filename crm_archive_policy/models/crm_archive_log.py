import json
from contextlib import closing

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ..lib import canonical, chain
from .query_tools import id_array

#: Key of the advisory lock that serialises appends; any constant will do.
LOCK_KEY = 0x43524D41


class CrmArchiveLog(models.Model):
    """Append-only, hash-chained audit of everything that happens to archived data.

    An act on a batch is one line that names all its records in an integer array
    with a GIN index, so the log stays small and one record's history is found at
    once. Lines are written in SQL, in the transaction of what they describe;
    triggers refuse every later change.

    There is one chain for all companies. It has to be free of gaps to prove that no
    line is missing, so writers wait for each other for the moment that a line takes;
    with a chain a company they would not wait less where it matters, within a company,
    while acts of the database as a whole (rights, settings, stores for everybody)
    would belong to no chain, and a company's whole chain could be taken away without
    a trace in the others. Who reads which lines is a matter of the company of each
    line; the digests that prove them name nothing and nobody.
    """

    _name = "crm.archive.log"
    _description = "Archive Audit Log"
    _order = "sequence desc"
    _log_access = False
    _rec_name = "sequence"

    sequence = fields.Integer("No.", required=True, readonly=True)
    date = fields.Datetime(required=True, readonly=True, index=True)
    user_id = fields.Many2one("res.users", readonly=True, ondelete="restrict")
    action = fields.Selection(
        [
            ("archive", "Archived"),
            ("restore", "Restored"),
            ("pend", "Proposed by a policy"),
            ("keep", "Kept"),
            ("approve", "Approved"),
            ("create", "Created"),
            ("write", "Changed"),
            ("unlink", "Deleted"),
            ("run", "Run"),
            ("vault", "Moved to the vault"),
            ("read", "Content read"),
            ("export", "Exported"),
            ("verify", "Verified"),
            ("drill", "Restore rehearsed"),
            ("sweep", "Swept"),
            ("purge", "Purged"),
            ("anonymise", "Anonymised"),
            ("erase", "Erased"),
            ("heal", "Healed from its mirror"),
            ("rotate", "Keys rotated"),
            ("adopt", "Store taken over"),
            ("hold", "Placed on hold"),
            ("lift", "Hold lifted"),
            ("retention", "Retention changed"),
            ("rights", "Rights changed"),
            ("review", "Rights reviewed"),
            ("sign", "Report signed"),
            ("ask", "Approval asked for"),
            ("grant", "Approval given"),
            ("refuse", "Approval refused"),
            ("expire", "Approval expired"),
        ],
        required=True,
        readonly=True,
    )
    res_model = fields.Char("Model", readonly=True)
    res_id = fields.Many2oneReference(
        "Record",
        model_field="res_model",
        compute="_compute_res_id",
        search="_search_res_id",
        help="The record, when the line is about a single one.",
    )
    res_count = fields.Integer("Records", compute="_compute_res_id")
    company_id = fields.Many2one("res.company", readonly=True, ondelete="restrict")
    policy_id = fields.Many2one(
        "crm.archive.policy", readonly=True, ondelete="restrict"
    )
    run_id = fields.Many2one("crm.archive.run", readonly=True, ondelete="restrict")
    reason_id = fields.Many2one(
        "crm.archive.reason", readonly=True, ondelete="restrict"
    )
    details = fields.Text(readonly=True)
    remote_address = fields.Char("From", readonly=True)
    version = fields.Integer(readonly=True)
    previous = fields.Char("Previous Digest", readonly=True)
    digest = fields.Char(readonly=True)

    _sequence_unique = models.UniqueIndex("(sequence)")

    def init(self):
        """Create what the ORM has no field for: the array and the triggers."""
        self.env.cr.execute(
            """
            ALTER TABLE crm_archive_log
                ADD COLUMN IF NOT EXISTS res_ids integer[] NOT NULL DEFAULT '{}';
            CREATE INDEX IF NOT EXISTS crm_archive_log_res_ids_index
                ON crm_archive_log USING gin (res_ids);
            CREATE OR REPLACE FUNCTION crm_archive_log_refuse() RETURNS trigger AS $$
            BEGIN
                RAISE EXCEPTION 'The archive audit log is append-only: % refused', TG_OP
                    USING ERRCODE = 'insufficient_privilege';
            END $$ LANGUAGE plpgsql;
            DROP TRIGGER IF EXISTS crm_archive_log_no_change ON crm_archive_log;
            CREATE TRIGGER crm_archive_log_no_change
                BEFORE UPDATE OR DELETE ON crm_archive_log
                FOR EACH ROW EXECUTE FUNCTION crm_archive_log_refuse();
            DROP TRIGGER IF EXISTS crm_archive_log_no_truncate ON crm_archive_log;
            CREATE TRIGGER crm_archive_log_no_truncate
                BEFORE TRUNCATE ON crm_archive_log
                FOR EACH STATEMENT EXECUTE FUNCTION crm_archive_log_refuse();
            """
        )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends_context("uid")
    def _compute_res_id(self):
        rows = dict(
            self.env.execute_query(
                SQL(
                    "SELECT id, res_ids FROM crm_archive_log WHERE id = ANY(%s)",
                    list(self.ids),
                )
            )
        )
        for line in self:
            ids = rows.get(line.id) or []
            line.res_count = len(ids)
            line.res_id = ids[0] if len(ids) == 1 else False

    @api.model
    def _search_res_id(self, operator, value):
        if operator != "in":
            return NotImplemented
        ids = [int(res_id) for res_id in value if res_id]

        def names_record(_model, alias, _query):
            return SQL("%s && %s::integer[]", SQL.identifier(alias, "res_ids"), ids)

        return Domain.custom(to_sql=names_record)

    # ------------------------------------------------------------
    # ORM: append-only
    # ------------------------------------------------------------

    # pylint: disable=method-required-super,no-raise-unlink

    @api.model_create_multi
    def create(self, vals_list):
        raise self._get_append_only_error()

    def write(self, vals):
        raise self._get_append_only_error()

    def unlink(self):
        raise self._get_append_only_error()

    # pylint: enable=method-required-super,no-raise-unlink

    def _get_append_only_error(self):
        return UserError(
            self.env._("The audit log is append-only: its lines never change.")
        )

    # ------------------------------------------------------------
    # APPEND
    # ------------------------------------------------------------

    @api.model
    def _append(self, action, records, details=None, *, policy=None, run=None):
        """Append one line, in the current transaction, about a batch of records.

        :param str action: one of the values of the field ``action``
        :param records: recordset the line is about
        :param dict details: JSON values; never personal data
        :param policy: policy on whose behalf it happened; by default taken from the
            context of a run
        :param run: the run it was part of, likewise
        """
        context = self.env.context
        run = run or self.env["crm.archive.run"].browse(context.get("archive_run_id"))
        details = dict(details or {})
        policy = policy or run.sudo().policy_id
        if not policy and isinstance(details.get("policy"), int):
            # Somebody decided about what this policy has named.
            policy = policy.browse(details["policy"])
        # A list is the old and the new reason of a policy that was changed.
        reason_id = None
        if not isinstance(details.get("reason_id"), list):
            reason_id = details.pop("reason_id", None)
        self.env.flush_all()
        self.env.cr.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        sequence, previous, now = self._get_head()
        fields_ = {
            "sequence": sequence + 1,
            "date": now.isoformat(sep=" ", timespec="microseconds"),
            "user_id": self.env.uid,
            "action": action,
            "res_model": records._name,
            "res_ids": list(records.ids),
            "company_id": self.env.company.id,
            "policy_id": policy.id or None,
            "run_id": run.id or None,
            "reason_id": reason_id or None,
            "details": canonical.dumps(details).decode() if details else None,
            "remote_address": self._get_remote_address(),
        }
        row = {
            **fields_,
            "date": now,
            "version": chain.VERSION,
            "previous": previous,
            "digest": chain.digest(previous, fields_),
        }
        row["res_ids"] = id_array(row["res_ids"])
        self.env.cr.execute(
            SQL(
                "INSERT INTO crm_archive_log (%s) VALUES (%s)",
                SQL(", ").join(map(SQL.identifier, chain.COLUMNS)),
                SQL(", ").join(SQL("%s", row[name]) for name in chain.COLUMNS),
            )
        )

    def _get_head(self):
        """Return number and digest of the last line, and the time, under the lock.

        Odoo's transactions are REPEATABLE READ: once this one waited for the lock,
        it still cannot see the lines that were committed meanwhile, and would fork
        the chain. A second connection sees them; lines of this very transaction
        are seen by this one. The higher number is the head.

        :return: ``(sequence, digest, time in UTC)``
        """
        query = """
            SELECT sequence, digest, clock_timestamp() AT TIME ZONE 'UTC'
              FROM crm_archive_log ORDER BY sequence DESC LIMIT 1
        """
        heads = []
        with closing(self.env.registry.cursor()) as fresh:
            for cr in (self.env.cr, fresh):
                cr.execute(query)
                heads += cr.fetchall()
        if heads:
            return max(heads)
        self.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
        return 0, chain.GENESIS, self.env.cr.fetchone()[0]

    @api.model
    def _get_remote_address(self):
        """Return the client's IP address, or None outside of a request."""
        from odoo.http import request  # noqa: PLC0415 - absent in a shell

        return request.httprequest.remote_addr if request else None

    def _get_details(self):
        """Return the details as a dict."""
        self.ensure_one()
        return json.loads(self.details) if self.details else {}
