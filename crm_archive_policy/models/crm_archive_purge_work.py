"""Carrying out an approved purge: first decided, then destroyed, then told."""

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..lib import faults


class CrmArchivePurge(models.Model):
    """Three steps, each in a transaction of its own in the scheduled action.

    *Decide*: lock, ask holds, retention and duties once more, empty the live rows and
    the index. From then on nobody can bring the record back. *Destroy*: the key of the
    record, or its place in the bundle. *Remove*: the object that was replaced. Each may
    be stopped at any moment and is done again.
    """

    _inherit = "crm.archive.purge"

    def _start_run(self):
        self.env["crm.archive.run"]._start_purge(self)

    # ------------------------------------------------------------
    # DECIDING
    # ------------------------------------------------------------

    def _carry_out(self, lines):
        """Take records away whose time has come; note why others stay.

        :param lines: some of the waiting lines
        :return: the lines
        """
        self.ensure_one()
        faults.point("purge: begun")
        for model_name, group in lines.grouped("res_model").items():
            away = set(group._find_vaulted().mapped("res_id"))
            vaulted = group.filtered(lambda line, ids=away: line.res_id in ids)
            self._carry_out_vaulted(model_name, vaulted)
            self._carry_out_live(model_name, group - vaulted)
        faults.point("purge: decided")
        return lines

    def _carry_out_vaulted(self, model_name, lines):
        entries = lines._find_vaulted()._lock_vaulted()
        by_id = {entry.res_id: entry for entry in entries}
        untils = entries._get_kept_until()
        lines.filtered(lambda line: line.res_id not in by_id)._set_kept("changed")
        lines = lines.filtered(lambda line: line.res_id in by_id)
        held = set(entries._get_held().mapped("res_id"))
        free = self._keep_others(model_name, lines, held, untils)
        for act, group in free.grouped("act").items():
            own = entries.browse(by_id[res_id].id for res_id in group.mapped("res_id"))
            own._scrub(self, thoroughly=act == "delete")
            group._settle(self, act)

    def _carry_out_live(self, model_name, lines):
        records = self.env[model_name].sudo().with_context(active_test=False)
        records = records.browse(lines.mapped("res_id")).exists()
        present = set(records.ids)
        lines.filtered(lambda line: line.res_id not in present)._set_kept("gone")
        locked = records.try_lock_for_update()
        locked.invalidate_recordset()
        if self.kind == "retention":
            locked = locked.filtered(lambda r: r.archive_state == "archived")
        by_id = {record.id: record for record in locked}
        changed = lines.filtered(
            lambda line: line.res_id in present and line.res_id not in by_id
        )
        changed._set_kept("changed")
        lines = lines.filtered(lambda line: line.res_id in by_id)
        held = set(locked._get_held().ids)
        untils = {record.id: record.retention_date for record in locked}
        free = self._keep_others(model_name, lines, held, untils)
        for act, group in free.grouped("act").items():
            self._take_away(act, locked.browse(group.mapped("res_id")), group)

    def _keep_others(self, model_name, lines, held, untils):
        """Note what stays, and why.

        :param set held: ids under a legal hold
        :param dict untils: until when each record is kept, by its id
        :return: the lines of what may go
        """
        today = self.env["crm.archive.retention"]._get_retention_today()
        records = self.env[model_name].browse(lines.mapped("res_id"))
        duties, users = records._find_archive_duties(), records._find_archive_users()
        reasons = {"hold": held, "user": users, "duty": duties, "retention": set()}
        for line in lines:
            until = untils[line.res_id]
            over = until and until < today
            if not over and (until or self.kind == "retention"):
                reasons["retention"].add(line.res_id)
        for outcome, ids in reasons.items():
            kept = lines.filtered(lambda line, ids=ids: line.res_id in ids)
            kept._set_kept(outcome)
            if self.kind == "erasure" and outcome in ("duty", "retention"):
                kept._restrict()
            lines -= kept
        return lines

    def _take_away(self, act, records, lines):
        """Delete or anonymise live records.

        What other data refers to is anonymised when it cannot be deleted.
        """
        if act == "delete":
            gone = records._delete_for_good()
            deleted = lines.filtered(lambda line: line.res_id in gone)
            deleted._settle(self, act)
            lines -= deleted
            lines.outcome = "linked"
            records = records.browse(lines.mapped("res_id"))
        if lines:
            records._anonymise()
            lines._settle(self, "anonymise")

    # ------------------------------------------------------------
    # DESTROYING
    # ------------------------------------------------------------

    def _find_bundles(self):
        """Return the bundles that still hold something of decided records.

        :return: dict ``{bundle: ids to destroy in it}``
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT entry.bundle_id, line.res_id
                  FROM crm_archive_purge_line line
                  JOIN crm_archive_entry entry ON entry.res_model = line.res_model
                                              AND entry.res_id = line.res_id
                  JOIN crm_archive_bundle bundle ON bundle.id = entry.bundle_id
                 WHERE line.purge_id = %(id)s AND line.state = 'decided'
                   AND entry.state <> 'vaulted' AND entry.place_digest IS NOT NULL
                   AND bundle.state IN ('used', 'damaged')
                 UNION
                SELECT bundle.id, line.res_id
                  FROM crm_archive_bundle bundle
                  CROSS JOIN LATERAL jsonb_array_elements_text(
                       CASE jsonb_typeof(bundle.unused_ids)
                       WHEN 'array' THEN bundle.unused_ids ELSE '[]' END) unused(id)
                  JOIN crm_archive_purge_line line ON line.res_id = unused.id::integer
                                                  AND line.res_model = bundle.res_model
                 WHERE line.purge_id = %(id)s AND line.state = 'decided'
                   AND bundle.state IN ('used', 'damaged')
                 ORDER BY 1, 2
                """,
                id=self.id,
            )
        )
        found = {}
        for bundle_id, res_id in rows:
            bundle = self.env["crm.archive.bundle"].browse(bundle_id)
            found.setdefault(bundle, []).append(res_id)
        return found

    def _destroy(self, bundle, ids):
        """Make the content of records unreadable for good, in one bundle.

        :param bundle: ``crm.archive.bundle``
        :param ids: record ids
        """
        bundle._destroy_records(ids, {"request": self.id})
        faults.point("purge: content destroyed")

    def _claim_leftovers(self):
        """Take in what nobody needs any more and still holds the records.

        The sweep leaves replaced objects alone for some days, and what was written
        and not taken yet; an erasure does not wait for that.
        """
        bundles = self.env["crm.archive.bundle"].sudo()
        decided = self.line_ids.filtered(lambda line: line.state == "decided")
        for model_name, lines in decided.grouped("res_model").items():
            ids = set(lines.mapped("res_id"))
            left = bundles.search(
                [
                    ("res_model", "=", model_name),
                    ("state", "in", ("written", "obsolete")),
                    ("purge_id", "=", False),
                ]
            )
            left.filtered(lambda bundle, ids=ids: bundle._may_hold(ids)).write(
                {"state": "obsolete", "purge_id": self.id}
            )

    def _find_obsolete(self):
        """Return the replaced bundles whose objects are still there."""
        return (
            self.env["crm.archive.bundle"]
            .sudo()
            .search([("state", "=", "obsolete"), ("purge_id", "=", self.id)])
        )

    def _remove(self, bundles):
        """Delete the objects that were replaced, now that this is committed.

        :param bundles: obsolete ``crm.archive.bundle``
        :raise UserError: when the store did not let it happen; it is tried again
        """
        left = bundles - bundles._remove_object()
        if left:
            raise UserError(
                self.env._(
                    "A replaced object could not be deleted from the store yet: "
                    "%(trouble)s",
                    trouble=left[0].trouble,
                )
            )
        faults.point("purge: objects removed")

    # ------------------------------------------------------------
    # TELLING
    # ------------------------------------------------------------

    def _complete(self):
        """Write the certificate, now that nothing is left."""
        now = self.env.cr.now()
        self.line_ids.filtered(lambda line: line.state == "decided").write(
            {"state": "done", "date_done": now}
        )
        self.write({"state": "done", "done_date": now})
        self._forget_person()
        self._certify()


class CrmArchivePurgeLine(models.Model):
    _inherit = "crm.archive.purge.line"

    def _find_vaulted(self):
        """Return the entries of these lines that are in the vault."""
        entries = self.env["crm.archive.entry"]
        for model_name, group in self.grouped("res_model").items():
            entries |= entries._find_for(model_name, group.mapped("res_id"))
        return entries

    def _settle(self, purge, act):
        """Note that records have gone: the lines, older entries and the audit log."""
        for model_name, group in self.grouped("res_model").items():
            records = self.env[model_name].browse(group.mapped("res_id"))
            self.env["crm.archive.entry"]._scrub_former(purge, records, act)
            action = "anonymise" if act == "anonymise" else "purge"
            if purge.kind == "erasure":
                action = "erase"
            self.env["crm.archive.log"]._append(
                action, records, {"request": purge.id, "act": act}
            )
        self.write({"state": "decided"})

    def _restrict(self):
        """Store only: what has to be kept is out of everybody's sight but the
        archive's, and used for nothing (GDPR Art. 18, PIPL Art. 47)."""
        for model_name, group in self.grouped("res_model").items():
            group._find_vaulted().write({"is_restricted": True})
            records = self.env[model_name].sudo().with_context(active_test=False)
            records = records.browse(group.mapped("res_id")).exists()
            live = records.filtered(lambda r: r.archive_state in ("live", "pending"))
            live._archive({"archive_restricted": True}, {"how": "erasure"})
            archived = records.filtered(lambda r: r.archive_state == "archived") - live
            if archived:
                archived._move({"archive_restricted": True})


class CrmArchiveEntry(models.Model):
    _inherit = "crm.archive.entry"

    def _get_kept_until(self):
        """Return until when records are kept, also by what was decided since.

        :return: dict ``{record id: date or False}``
        """
        untils = {entry.res_id: entry.retention_date for entry in self}
        for model_name, group in self.grouped("res_model").items():
            rows = self.env[model_name].sudo().with_context(active_test=False)
            for row in rows.browse(group.mapped("res_id")).exists():
                if row.retention_date:
                    until = untils[row.id] or row.retention_date
                    untils[row.id] = max(until, row.retention_date)
        return untils

    @api.model
    def _scrub_former(self, purge, records, act):
        """Forget what the index still says of earlier stays in the vault.

        :param purge: the request
        :param records: records that have gone
        :param str act: ``delete`` or ``anonymise``
        """
        former = self.sudo().search(
            [
                ("res_model", "=", records._name),
                ("res_id", "in", records.ids),
                ("state", "=", "restored"),
            ]
        )
        if former:
            former._scrub(purge, thoroughly=act == "delete")
