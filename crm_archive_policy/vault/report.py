"""What a restore found that was not as it had been, and what came of it."""

from typing import NamedTuple

#: Outcomes after which nothing was changed.
REFUSALS = frozenset(
    ["id_taken", "unique_taken", "required_gone", "required_column", "bad_value"]
)


class Finding(NamedTuple):
    """One kind of difference, in one column or table.

    ``kind`` is one of

    * ``column_gone``: the column is no more, its value stays in the bundle;
    * ``table_gone``: the table is no more, its rows stay in the bundle;
    * ``target_gone``: what the value pointed at is no more, it was emptied;
    * ``target_merged``: it was merged, the value follows;
    * ``target_replaced``: a person has chosen another one;
    * ``row_gone``: what owned the row is no more, so the row is not brought back;
    * ``value_converted``: the column has another type, the value was converted
      without loss;
    * ``live_kept``: a live row takes the place of this one (unique), it was kept;
    * ``reference_changed``: a row that referred to the record was changed or deleted;
    * ``shell_changed``: somebody has written on what was left behind, the archived
      value was put back;
    * ``id_taken``, ``unique_taken``, ``required_gone``, ``required_column``,
      ``bad_value``: the restore is refused, nothing was changed.
    """

    kind: str
    table: str
    column: str = ""
    #: Number of rows.
    count: int = 1
    #: For ``target_*`` and ``required_gone``: the table pointed at.
    target: str = ""
    #: For ``target_*`` and ``required_gone``: the ids pointed at, at most ten.
    ids: tuple[int, ...] = ()

    @property
    def refuses(self) -> bool:
        """:return: whether the restore cannot go on"""
        return self.kind in REFUSALS


class RestoreRefused(Exception):
    """The records cannot be brought back as they were; nothing was changed."""

    def __init__(self, findings):
        """:param findings: list of :class:`Finding`, the refusing ones among them"""
        super().__init__(", ".join(f"{f.kind} {f.table}.{f.column}" for f in findings))
        self.findings = list(findings)
