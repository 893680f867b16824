from contextlib import contextmanager

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib import faults
from ..lib.bundle import (
    BundleCorrupt,
    BundleReader,
    BundleTooLarge,
    BundleWriter,
    Expect,
    Keyring,
    Record,
    Spec,
    Table,
    keyring_key,
    object_key,
    verify,
)
from ..vault.capture import Content, RecordTooLarge, discover
from ..vault.catalog import fix_text_format
from ..vault.files import FileDamaged, find_files
from ..vault.graph import Graph
from .big_integer import BigInteger
from .crm_archive_written import Written
from .vault_errors import vault_error

#: Rows read at once; a record with more is streamed alone.
ROWS_MAX = 10_000


class CrmArchiveBundle(models.Model):
    """One object in a store: the rows of some records, written once and verified.

    A bundle is *written* first, which deletes nothing; the records are taken out of
    the live tables afterwards, in a transaction of its own (:class:`Written`). What
    was written and never taken is swept.
    """

    _name = "crm.archive.bundle"
    _description = "Archive Bundle"
    _order = "id desc"

    name = fields.Char("Identity", required=True, readonly=True)
    store_id = fields.Many2one(
        "crm.archive.store",
        required=True,
        readonly=True,
        ondelete="restrict",
        index=True,
    )
    company_id = fields.Many2one("res.company", readonly=True, ondelete="restrict")
    run_id = fields.Many2one(
        "crm.archive.run", readonly=True, ondelete="set null", index="btree_not_null"
    )
    res_model = fields.Char("Model", required=True, readonly=True)
    state = fields.Selection(
        [
            ("written", "Written, not in use yet"),
            ("used", "In use"),
            ("damaged", "Damaged"),
            ("removed", "Removed"),
        ],
        default="written",
        required=True,
        readonly=True,
        index=True,
    )
    keeps_row = fields.Boolean(
        readonly=True, help="The records' own rows stay in their table."
    )
    database_uuid = fields.Char(
        "Written by",
        readonly=True,
        help="The database that wrote it. A copy of this one, or one restored from a "
        "backup, has another identity and reads what the original has written.",
    )
    header_digest = fields.Char(readonly=True)
    sha256 = fields.Char("SHA-256", readonly=True)
    size = BigInteger("Bytes", readonly=True)
    content_size = BigInteger(
        "Bytes of Content", readonly=True, help="Uncompressed, attachments included."
    )
    record_count = fields.Integer("Records", readonly=True)
    unused_ids = fields.Json(
        readonly=True, help="Records that changed after they were written."
    )
    is_encrypted = fields.Boolean("Encrypted", readonly=True)
    compression = fields.Char(readonly=True)
    verify_date = fields.Datetime("Verified on", readonly=True)
    trouble = fields.Char(readonly=True)
    entry_ids = fields.One2many("crm.archive.entry", "bundle_id")

    _name_unique = models.UniqueIndex("(name)")

    # ------------------------------------------------------------
    # WRITING
    # ------------------------------------------------------------

    @api.model
    def _write_records(self, records, run=None):
        """Write archived records into bundles, and verify them; nothing is deleted.

        :param records: records of one model
        :param run: the run it is part of
        :return: :class:`Written`
        :raise StoreError: when the store fails; nothing has changed then
        :raise UserError: when a record cannot be captured
        """
        records._revoke_links()
        self.env.flush_all()
        fix_text_format(self.env.cr)
        written = Written(self.env, records._name, run)
        keeps_row = records._archive_keeps_row
        found = discover(Graph(self.env, records._name, keeps_row), records.ids)
        if found.blocked:
            # What too much refers to keeps its row; its history leaves all the same.
            blocked = set(found.blocked)
            free = [root for root in found.roots if root not in blocked]
            found = discover(found.graph, free)
            graph = Graph(self.env, records._name, keep_row=True)
            self._write_found(discover(graph, sorted(blocked)), written)
        self._write_found(found, written)
        return written

    def _write_found(self, found, written):
        """Write one bundle; leave out what cannot be captured, with the reason."""
        for root, table in found.blocked_parts.items():
            written.refuse(
                root,
                self.env._(
                    "Rows of the table “%(table)s” refer to a part of this record "
                    "and forbid its deletion.",
                    table=table,
                ),
            )
        roots = [
            root
            for root in found.roots
            if root not in written.refused and found.keys[found.graph.root].get(root)
        ]
        while roots:
            try:
                return self._write_object(found, roots, written)
            except FileDamaged as error:
                written.refuse(error.root, self._describe_damaged(error))
                roots.remove(error.root)
            except RecordTooLarge as error:
                reason = vault_error(self.env, error.__cause__)
                written.refuse(error.root, str(reason))
                roots.remove(error.root)
        return None

    def _describe_damaged(self, error):
        return self.env._(
            "The file of the attachment %(id)s is missing or damaged. Put it back "
            "from a backup, or delete the attachment.",
            id=error.attachment_id,
        )

    def _write_object(self, found, roots, written):
        """Write the records to the store, read them back and note where they are."""
        run, graph = written.run, found.graph
        policy = run.policy_id if run else self.env["crm.archive.policy"]
        store = policy.store_id or self.env["crm.archive.store"]._get_default(
            policy.company_id or self.env.company
        )
        store._check_writable()
        spec = self._prepare_spec(graph, store, len(roots))
        masters, keyring = store._get_masters(), None
        if masters:
            keyring = Keyring(
                spec.bundle_id, spec.database_uuid, masters.current, masters
            )
        with store._open() as target:
            with target.create(object_key(spec.bundle_id)) as out:
                writer = BundleWriter(out, spec, keyring=keyring)
                for record in self._iter_content(found, roots):
                    _add(writer, record)
                summary = writer.close()
            faults.point("vault: object written")
            if keyring:
                target.put(keyring_key(spec.bundle_id), keyring.dumps())
            bundle = self.create(
                {
                    **self._prepare_written(summary, keyring),
                    "database_uuid": spec.database_uuid,
                    "store_id": store.id,
                    "company_id": policy.company_id.id,
                    "run_id": run.id if run else False,
                    "res_model": graph.model_name,
                    "keeps_row": graph.keep_row,
                }
            )
            bundle._verify_written(target, keyring, summary)
        faults.point("vault: bundle verified")
        written.add(bundle, summary, {root: found.versions[root] for root in roots})
        return bundle

    def _prepare_spec(self, graph, store, count):
        """Return what the bundle is going to hold.

        :param graph: :class:`~..vault.graph.Graph` of the records
        :param store: ``crm.archive.store``
        :param int count: number of records
        """
        columns = {table: graph.catalog.columns(table) for table in graph.tables}
        return Spec(
            database_uuid=store._get_database_uuid(),
            model=graph.model_name,
            tables=[
                Table(table, tuple((c.name, c.type) for c in own.values()))
                for table, own in columns.items()
            ],
            records=count,
            producer=self._get_producer(),
        )

    @api.model
    def _prepare_written(self, summary, keyring):
        """Return the values of a bundle that follow from what was written.

        :param summary: :class:`~..lib.bundle.Summary`
        :param keyring: its key ring, ``None`` in the clear
        """
        return {
            "name": summary.bundle_id,
            "header_digest": summary.header_digest,
            "sha256": summary.sha256,
            "size": summary.size,
            "content_size": sum(e.size + e.blob_size for e in summary.entries),
            "record_count": len(summary.entries),
            "is_encrypted": bool(keyring),
            "compression": summary.compression,
            "verify_date": fields.Datetime.now(),
        }

    def _iter_content(self, found, roots):
        """Yield the records for the writer, in bounded memory."""
        catalog = found.graph.catalog
        columns = {table: list(catalog.columns(table)) for table in found.graph.tables}
        content = Content(found, columns)
        blobs = find_files(self.env, found)
        for group in _group_by_rows(found, roots):
            if len(group) > 1 or found.count(group[0]) <= ROWS_MAX:
                content.load(group)
            for root in group:
                back = [list(each) for each in found.back.get(root, ())]
                meta = {"back": back} if back else {}
                yield Record(root, content.rows(root), blobs.get(root, ()), meta)

    def _get_producer(self):
        module = self.env["ir.module.module"].sudo()._get("crm_archive_policy")
        return f"crm_archive_policy {module.latest_version or ''}".strip()

    def _verify_written(self, target, keyring, summary):
        """Read everything back and compare it with what was meant to be written.

        :raise BundleCorrupt: when the store holds something else
        :raise StoreError: when it holds nothing, or cannot be read
        """
        wanted = {
            entry.id: (entry.digest, entry.rows_digest) for entry in summary.entries
        }

        def check(source):
            reader = BundleReader(source, self._get_expect(), keyring)
            report = verify(reader, parse=False)
            got = {
                root: (digest, report.rows_digests.get(root))
                for root, digest in report.digests.items()
            }
            if got != wanted or report.sha256 != summary.sha256:
                raise BundleCorrupt("the store holds something else than was written")

        target.check(object_key(self.name), check)
        if keyring:
            self._verify_keyring(target, keyring.dumps())

    def _verify_keyring(self, target, wanted):
        """Read the key ring back as well: without it the object is worth nothing."""

        def check(source):
            if source.read() != wanted:
                raise BundleCorrupt("the store holds another key ring than was written")

        target.check(keyring_key(self.name), check)

    # ------------------------------------------------------------
    # READING
    # ------------------------------------------------------------

    def _get_expect(self):
        """Return what this database knows of the bundle."""
        return Expect(
            bundle_id=self.name,
            database_uuid=self.database_uuid or None,
            model=self.res_model,
            header_digest=self.header_digest,
        )

    @contextmanager
    def _open_reader(self, thorough=False):
        """Open the bundle for reading.

        :param bool thorough: read all of it first; a mirror takes the chance to
            heal what is damaged
        :return: context manager that gives a :class:`~..lib.bundle.BundleReader`
        :raise StoreError: when the object is not there or cannot be reached
        :raise BundleError: when it is damaged, foreign, or its key is missing
        """
        self.ensure_one()
        with self.store_id.sudo()._open() as store:
            keyring = self._load_keyring(store)

            def check(source):
                return verify(
                    BundleReader(source, self._get_expect(), keyring), decrypt=False
                )

            key = object_key(self.name)
            with store.open(key, check if thorough else None) as source:
                yield BundleReader(source, self._get_expect(), keyring)

    def _load_keyring(self, store):
        if not self.is_encrypted:
            return None
        masters = self.store_id._get_reading_masters()
        return Keyring.loads(store.get(keyring_key(self.name)), masters)

    def action_view_entries(self):
        """Show the records of this bundle.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_entry_action"
            ),
            "domain": [("bundle_id", "=", self.id)],
            "context": {},
        }

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        if self.filtered(lambda b: b.state in ("used", "damaged")):
            raise UserError(
                self.env._(
                    "A bundle in use holds archived records and cannot be deleted."
                )
            )


def _add(writer, record):
    """Write a record; one that is too large stops nobody but itself."""
    try:
        writer.add(record)
    except BundleTooLarge as error:
        raise RecordTooLarge(record.id) from error


def _group_by_rows(found, roots):
    """Group records so that a group has not more than :data:`ROWS_MAX` rows."""
    group, total = [], 0
    for root in roots:
        count = found.count(root)
        if group and total + count > ROWS_MAX:
            yield group
            group, total = [], 0
        group.append(root)
        total += count
    if group:
        yield group
