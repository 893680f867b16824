"""Read a record out of a bundle as a person reads it: page by page, nothing restored.

However many messages a record has, not more than a page of them is in memory.
"""

import heapq
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from ..lib.bundle import BundleForeign

#: Messages on a page.
PAGE = 30
#: Attachments, activities, followers, tags … of which not more are shown.
PARTS = 200
#: Columns that hold bytes or search vectors, never shown.
_HEAVY = frozenset(["db_datas", "index_content"])

#: Tables whose rows belong to a message, and the column that names it.
_OF_MESSAGE = {
    "mail_tracking_value": "mail_message_id",
    "mail_message_reaction": "message_id",
    "message_attachment_rel": "message_id",
}


class Row(dict):
    """Texts by column; a column that did not exist at that time holds nothing."""

    def __missing__(self, key):
        return None


@dataclass
class Reading:
    """What a person is shown of a record."""

    #: The record's own row.
    row: Row = field(default_factory=Row)
    #: Columns of every table, as they were.
    columns: dict[str, list[str]] = field(default_factory=dict)
    #: Newest first, not more than a page.
    messages: list[dict] = field(default_factory=list)
    has_more: bool = False
    #: The message before the page, where there is one.
    previous: Row | None = None
    message_count: int = 0
    #: ``{table: {message id: rows}}``
    of_message: dict[str, dict[int, list]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    #: ``{attachment id: row}``: the latest, those of the messages, and images.
    files: dict[int, dict] = field(default_factory=dict)
    file_count: int = 0
    #: Rows of the other tables, not more than :data:`PARTS` of each.
    parts: dict[str, list[dict]] = field(default_factory=lambda: defaultdict(list))


def read_page(
    get_record: Callable, model: str, table: str, digest: str, before: int | None = None
) -> Reading:
    """Read a record with a page of its messages.

    The bundle is gone through twice, because what belongs to a message may come
    before it.

    :param get_record: returns a fresh :class:`~..lib.reader.RecordReader`
    :param model: model of the record
    :param table: its table
    :param digest: of its rows, as they were captured
    :param before: id of a message; only older ones are shown
    :raise BundleError: when what is read is not what was captured
    """
    reading = Reading()
    _Messages(reading, model, before).run(get_record(), table, digest)
    _Parts(reading, model, table).run(get_record(), table, digest)
    linked = {
        int(row["attachment_id"])
        for rows in reading.of_message["message_attachment_rel"].values()
        for row in rows
    }
    if missing := linked - reading.files.keys():
        # Older than the latest files, and not known before the links were read.
        _Files(reading, model, missing).run(get_record(), table, digest)
    return reading


def read_file(get_record: Callable, model: str, attachment_id: int, digest: str):
    """Read the row of one attachment, and where its bytes are.

    :param get_record: as in :func:`read_page`
    :param attachment_id: its id
    :return: ``(row, record reader, entry of the blob or None)``, ``row`` is None when
        there is no such attachment
    :raise BundleError: when what is read is not what was captured
    """
    reading, record = Reading(), get_record()
    _Files(reading, model, {attachment_id}).run(record, None, digest)
    blobs = {blob.name: blob for blob in record.blobs}
    return reading.files.get(attachment_id), record, blobs.get(str(attachment_id))


class _Pass:
    """One walk over all rows of a record, which ends with the proof of them."""

    def __init__(self, reading, model):
        self.reading, self.model = reading, model

    def run(self, record, root_table, digest):
        tables = record.bundle.header.tables
        columns = {table.name: [c for c, _type in table.columns] for table in tables}
        self.reading.columns, self.id = columns, record.id
        for table, line in record.lines():
            if self.wants(table, root_table):
                self.take(
                    table, Row(zip(columns[table], json.loads(line), strict=True))
                )
        self.finish()
        if record.rows_digest != digest:
            raise BundleForeign("the rows are not those that were captured")

    def is_own(self, row):
        """Tell whether a row refers to the record itself, not to one of its parts."""
        owner = row["model"] or row["res_model"]
        return owner == self.model and row["res_id"] == str(self.id)

    def wants(self, table, root_table):
        raise NotImplementedError

    def take(self, table, row):
        raise NotImplementedError

    def finish(self):
        """Complete the reading after the last row."""


class _Messages(_Pass):
    """The first walk: the record's own row, and the page of messages."""

    def __init__(self, reading, model, before):
        super().__init__(reading, model)
        self.before, self.heap = before, []

    def wants(self, table, root_table):
        return table in ("mail_message", root_table)

    def take(self, table, row):
        number = int(row["id"])
        if table != "mail_message":
            self.reading.row = row
        elif self.is_own(row) and row["message_type"] != "user_notification":
            self.reading.message_count += 1
            if number == self.before:
                self.reading.previous = row
            if self.before is None or number < self.before:
                heapq.heappush(self.heap, (number, row))
                if len(self.heap) > PAGE + 1:
                    heapq.heappop(self.heap)

    def finish(self):
        page = [row for _number, row in sorted(self.heap, reverse=True)]
        self.reading.has_more = len(page) > PAGE
        self.reading.messages = page[:PAGE]


class _Parts(_Pass):
    """The second walk: what belongs to the page of messages and to the record."""

    def __init__(self, reading, model, table):
        super().__init__(reading, model)
        self.root_table = table
        self.shown = {int(row["id"]) for row in reading.messages}
        self.latest, self.linked = [], {}

    def wants(self, table, root_table):
        return table not in ("mail_message", root_table)

    def take(self, table, row):
        if table in _OF_MESSAGE:
            message = int(row[_OF_MESSAGE[table]] or 0)
            if message in self.shown:
                self.reading.of_message[table][message].append(row)
        elif table == "ir_attachment":
            self._take_file(row)
        elif len(self.reading.parts[table]) < PARTS:
            self.reading.parts[table].append(row)

    def _take_file(self, row):
        number = int(row["id"])
        row = _without_bytes(row)
        if row["res_field"]:
            if self.is_own(row) and row["res_field"] == "image_128":
                self.linked[number] = row
            return
        self.reading.file_count += 1
        # Numbers grow with time: what is pushed out is the oldest of all so far.
        heapq.heappush(self.latest, (number, row))
        if len(self.latest) > PARTS:
            heapq.heappop(self.latest)

    def finish(self):
        self.reading.files = {**self.linked, **dict(sorted(self.latest, reverse=True))}


class _Files(_Pass):
    """A walk for some attachments only."""

    def __init__(self, reading, model, ids):
        super().__init__(reading, model)
        self.ids = ids

    def wants(self, table, root_table):
        return table == "ir_attachment"

    def take(self, table, row):
        if int(row["id"]) in self.ids:
            single = len(self.ids) == 1
            self.reading.files[int(row["id"])] = row if single else _without_bytes(row)


def _without_bytes(row):
    """Keep what is said of a file."""
    return Row((name, value) for name, value in row.items() if name not in _HEAVY)
