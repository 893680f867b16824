from contextlib import closing

from odoo import api, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ..lib import anchor, chain
from .crm_archive_sweep import get_sides
from .vault_errors import VAULT_ERRORS

#: Lines read at once while the chain is walked.
VERIFY_BATCH = 5000


class CrmArchiveLog(models.Model):
    """Proves that the lines are those that were written, all of them, in order."""

    _inherit = "crm.archive.log"

    # ------------------------------------------------------------
    # VERIFY
    # ------------------------------------------------------------

    @api.model
    def verify_chain(self):
        """Walk the whole chain and name the first line that does not fit.

        The chain shows lines that were changed, removed, moved or slipped in. What was
        noted in the stores shows lines that were cut off at the end, and a chain that
        was computed anew: then the first line is named that is not the one an anchor
        vouches for, or the last one before those that are missing.

        :return: dict ``{'ok': bool, 'checked': int, 'first_bad_id': int or False}``
        :raise AccessError: for a user who may not read the audit log
        """
        verdict = self._verify()[0]
        return {
            "ok": verdict.ok,
            "checked": verdict.checked,
            "first_bad_id": verdict.bad_key or False,
        }

    @api.model
    def _verify(self):
        """Compare the log with itself and with every anchor.

        :return: ``(verdict of lib.chain, AnchorReport)``
        :raise AccessError: for a user who may not read the audit log
        """
        self._check_may_verify()
        report = self._read_anchors()
        return chain.verify(self._iter_lines(), report.digests), report

    def _check_may_verify(self):
        """Refuse whoever may not read the audit log.

        The walk goes past the rights of the person, since one chain joins all
        companies; it tells a number of lines and the id of one, and nothing else.

        :raise AccessError: for other people than auditors and managers
        """
        if not self.has_access("read"):
            raise AccessError(
                self.env._("Only auditors and archive managers verify the audit log.")
            )

    def _iter_lines(self):
        """Yield the lines in the form that :func:`chain.verify` takes.

        Read by keyset, so a log of any length takes little memory; the id is part of
        the key, lest one of two lines with the same number be passed over.
        """
        # What has no number has no place in the order: it comes first.
        yield from map(chain.prepare_line, self._read_lines(SQL("sequence IS NULL")))
        after = SQL("sequence IS NOT NULL")
        while rows := self._read_lines(after):
            last = rows[-1]["sequence"], rows[-1]["id"]
            after = SQL("(sequence, id) > (%s, %s)", *last)
            yield from map(chain.prepare_line, rows)

    def _read_lines(self, condition):
        self.env.cr.execute(
            SQL(
                "SELECT %s FROM crm_archive_log WHERE %s"
                " ORDER BY sequence, id LIMIT %s",
                SQL(", ").join(map(SQL.identifier, ("id", *chain.COLUMNS))),
                condition,
                VERIFY_BATCH,
            )
        )
        return self.env.cr.dictfetchall()

    # ------------------------------------------------------------
    # ANCHORS
    # ------------------------------------------------------------

    def _read_anchors(self):
        """Read what the stores have noted about this log.

        Each side of a mirror is asked by itself: a forged copy must not hide a true
        one. Anchors of another database are about another log.

        :return: :class:`AnchorReport`
        """
        # Auditors need not be allowed to see stores: only digests come back.
        stores = self.env["crm.archive.store"].sudo().with_context(active_test=False)
        report = AnchorReport(stores._get_database_uuid())
        for store in stores.search([]):
            try:
                # A damaged database store must not end the transaction.
                with self.env.cr.savepoint(), closing(store._make_store()) as opened:
                    for side in get_sides(opened):
                        report.add(anchor.read_all(side))
            except VAULT_ERRORS as error:
                report.unread.append(f"{store.name}: {error}")
        return report

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_verify_chain(self):
        """Verify the chain from a button.

        :return: notification with the result
        """
        verdict, report = self._verify()
        if not verdict.ok:
            self.env["crm.archive.incident"]._report(verdict)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if verdict.ok else "danger",
                "sticky": not verdict.ok or bool(report.unread),
                "message": " ".join(self._describe_verdict(verdict, report)),
            },
        }

    @api.model
    def _describe_verdict(self, verdict, report=None):
        """Return in sentences what a verification has found.

        :param verdict: :class:`~..lib.chain.Verdict`
        :param report: :class:`AnchorReport`, to tell what was compared
        """
        values = {
            "line": verdict.bad_key or "–",
            "count": verdict.checked,
            "anchored": verdict.anchored,
        }
        sentences = {
            None: self.env._("%(count)s lines checked: the chain is intact.", **values),
            "broken": self.env._(
                "The chain is broken at line %(line)s: it or a line before it was "
                "changed, removed or moved. %(count)s lines before it are intact.",
                **values,
            ),
            "anchor": self.env._(
                "The chain was computed anew: the line with the ID %(line)s is not the "
                "one that an anchor vouches for. Lines up to No. %(anchored)s are "
                "vouched for.",
                **values,
            ),
            "cut": self.env._(
                "The end of the log is missing: anchors vouch for lines after the one "
                "with the ID %(line)s, which is the last.",
                **values,
            ),
        }
        yield sentences[verdict.trouble]
        if report is not None:
            yield from self._describe_anchors(verdict, report)

    def _describe_anchors(self, verdict, report):
        if verdict.ok and report.digests:
            yield self.env._(
                "%(count)s anchors agree, up to line No. %(anchored)s.",
                count=report.count,
                anchored=verdict.anchored,
            )
        elif not report.digests:
            yield self.env._("No anchor was found to compare it with.")
        if report.unread:
            yield self.env._(
                "Not everything could be compared: %(troubles)s",
                troubles="; ".join(report.unread),
            )


class AnchorReport:
    """What was found of anchors.

    :ivar digests: ``{sequence: set of digests}``
    :ivar count: anchors of this database
    :ivar foreign: anchors of other databases, left out
    :ivar unread: what could not be read, and why
    """

    def __init__(self, database_uuid):
        self.database_uuid = database_uuid
        self.count = self.foreign = 0
        self.unread = []
        self._anchors = {}

    @property
    def digests(self):
        return anchor.collect(self._anchors.values())

    def add(self, found):
        """Take what :func:`anchor.read_all` yields."""
        for key, item in found:
            if isinstance(item, Exception):
                self.unread.append(f"{key}: {item}")
            elif item.database_uuid != self.database_uuid:
                self.foreign += 1
            else:
                self.count += 1
                self._anchors[item.sequence, item.digest] = item
