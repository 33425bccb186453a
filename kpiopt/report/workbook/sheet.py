"""What a sheet of the plan's workbook is made of, apart from how a workbook is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kpiopt.reading.tables.workbook_sheet import column_letters

HEADER = 4
"""Row of the header, counted from 1 as in Excel: title, remark and an empty row stand above it."""
FIRST = HEADER + 1


@dataclass(frozen=True, slots=True)
class Formula:
    """A live formula with the value that it has.

    Attributes
    ----------
    text : str
        As in Excel, with "=".
    """

    text: str
    value: float | str


Field = str | float | bool | None | Formula


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes
    ----------
    kind : str
        "text", "wrap" (long text), "number" (in the row's own number format), "share", "odds", "money", "plain" or
        "flag".
    show : str
        What a conditional format adds: "bar", "heat", "growth", "red", "wrong" or nothing.
    """

    header: str
    kind: str = "text"
    show: str = ""
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of bars beside the table, drawn from a small block of its own that refers to the table.

    Attributes
    ----------
    series : sequence of (str, sequence of Formula)
        What each colour is, and its length in the order of `names`.
    is_share : bool
        Whether the axis ends at 100 %.
    """

    title: str
    names: Sequence[Formula]
    series: Sequence[tuple[str, Sequence[Formula]]]
    number_format: str
    is_share: bool = False


@dataclass(frozen=True)
class Sheet:
    """One sheet: a title, a remark, a table, charts beside it.

    Attributes
    ----------
    formats : sequence of str
        Number format of each row, for columns of kind "number".
    depths : sequence of int
        How deep each row stands in a tree; empty for a table that may be sorted.
    inner : sequence of bool
        Which rows have others below them.
    key_columns : int
        Columns that stay in sight.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Field]]
    remark: str = ""
    formats: Sequence[str] = ()
    depths: Sequence[int] = ()
    inner: Sequence[bool] = ()
    key_columns: int = 1
    charts: Sequence[Bars] = field(default=())

    def letters(self, header: str) -> str:
        """Return the letters of a column."""
        return column_letters([c.header for c in self.columns].index(header) + 1)

    def cell(self, header: str, row: int) -> str:
        """Return a cell of this sheet as other sheets name it; `row` counts from 0."""
        return f"{quoted(self.name)}!{self.letters(header)}{FIRST + row}"

    def span(self, header: str) -> str:
        """Return the cells of a column as other sheets name them."""
        letters = self.letters(header)
        return f"{quoted(self.name)}!${letters}${FIRST}:${letters}${FIRST + max(1, len(self.rows)) - 1}"


def quoted(name: str) -> str:
    """Return the name of a sheet as formulas have it."""
    return "'" + name.replace("'", "''") + "'"


def letters_of(columns: Sequence[Column]) -> dict[str, str]:
    """Return the letters of each column by its header."""
    return {column.header: column_letters(i + 1) for i, column in enumerate(columns)}
