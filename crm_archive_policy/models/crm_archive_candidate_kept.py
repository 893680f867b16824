from odoo import api, models
from odoo.tools import SQL

from .query_tools import id_array


class CrmArchiveCandidate(models.Model):
    """Many records that a policy lets go of at once are one statement."""

    _inherit = "crm.archive.candidate"

    @api.model
    def _create_kept(self, policy, records, *, keep_until, note):
        """Note that a policy leaves records alone until a day.

        They get the same values; owner and company are found as their ``_compute_*``
        methods do.

        :param policy: the policy
        :param records: contacts or leads
        :param date keep_until: first day on which the policy may name them again
        :param str note: why
        """
        records = records.sudo()
        # A model may have neither.
        company, owner_id = (
            SQL.identifier("record", name) if self._has_column(records, name) else None
            for name in ("company_id", "user_id")
        )
        records.flush_recordset()
        self.env["res.users"].flush_model(["active", "share"])
        now = self.env.cr.now()
        constants = {
            "policy_id": policy.id,
            "res_model": records._name,
            "verdict": "kept",
            "user_id": self.env.uid,
            "decision_date": now.replace(microsecond=0),
            "keep_until": keep_until,
            "note": note,
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
        }
        owner = policy.sudo().user_id
        self.env.cr.execute(
            SQL(
                "INSERT INTO crm_archive_candidate (res_id, company_id, owner_id, %s)"
                " SELECT record.id, coalesce(%s, %s::int4),"
                " coalesce(owner.id, %s), %s"
                " FROM %s record LEFT JOIN res_users owner ON owner.id = %s"
                " AND owner.active AND NOT owner.share"
                " WHERE record.id = ANY(%s) ORDER BY record.id",
                SQL(", ").join(map(SQL.identifier, constants)),
                company or SQL("NULL::int4"),
                policy.sudo().company_id.id or None,
                owner.id if self._is_reachable(owner) else None,
                SQL(", ").join(SQL("%s", value) for value in constants.values()),
                SQL.identifier(records._table),
                owner_id or SQL("NULL::int4"),
                id_array(records.ids),
            )
        )
        policy.invalidate_recordset()

    def _has_column(self, records, name):
        field = records._fields.get(name)
        return bool(field and field.store and field.column_type)
