"""Rows of a table with what the document says about them: `[unit.x]` and `[cell."x/kpi"]` add rows or change them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Location
from kpiopt.reading.document import Document
from kpiopt.reading.key_path import KeyPath, is_number
from kpiopt.reading.tables.table import Floats, Table, TableRule, Texts
from kpiopt.reading.toml.checks import normal_form


@dataclass(frozen=True, slots=True)
class Patch:
    """What one table of the document says about a row.

    Attributes
    ----------
    path : KeyPath
        Where it stands.
    row : int
        Row of the file's table that it changes, -1 for a row of its own.
    values : mapping of str to value
        Column -> new value; the columns of the key included.
    keys : mapping of str to KeyPath
        Column -> where the value stands, for columns that are not written under their own name.
    """

    path: KeyPath
    row: int
    values: Mapping[str, Any]
    keys: Mapping[str, KeyPath]

    def path_of(self, column: str) -> KeyPath:
        """Return where the value of a column stands."""
        return self.keys.get(column, (*self.path, column))


@dataclass(frozen=True)
class Rows:
    """Columns of a table, changes of the document included.

    Attributes
    ----------
    count : int
        Number of rows: those of the file, then those that only the document has.
    columns : mapping of str to (count,) array
        As in `Table`.
    quantities : mapping of str to mapping of int to value
        Quantity column -> row -> what stands for a distribution there; the array holds NaN.
    patched : mapping of (int, str) to KeyPath
        Where the values stand that the document gives.
    added : mapping of int to KeyPath
        Where the rows stand that only the document has.
    """

    count: int
    columns: Mapping[str, NDArray[Any]]
    quantities: Mapping[str, Mapping[int, Any]]
    table: Table | None
    document: Document
    patched: Mapping[tuple[int, str], KeyPath]
    added: Mapping[int, KeyPath]

    def texts(self, column: str) -> Texts:
        """Return an id or text column, (count,) str; "" where not given."""
        return self.columns.get(column, np.full(self.count, "", dtype=object))

    def numbers(self, column: str) -> Floats:
        """Return a number or quantity column, (count,) float; NaN where not given."""
        return self.columns.get(column, np.full(self.count, np.nan))

    def family(self, prefix: str) -> dict[str, Floats]:
        """Return the columns whose name starts with `prefix`, keyed by the rest of their name."""
        return {name.removeprefix(prefix): column for name, column in self.columns.items() if name.startswith(prefix)}

    def location(self, row: int, column: str) -> Location:
        """Return where a value stands, or its row where it is not given."""
        if (row, column) in self.patched:
            return self.document.origin(self.patched[row, column])
        if row in self.added or self.table is None:
            return self.document.key_location(self.added[row])
        return self.table.location(row, column)

    def path(self, row: int, column: str) -> KeyPath | None:
        """Return the value's path in the document; None where the file's table gives it."""
        return self.patched.get((row, column))


def merge_rows(rule: TableRule, table: Table | None, patches: Sequence[Patch], document: Document) -> Rows:
    """Lay the document's tables over the rows of the file."""
    n_file = table.n_rows if table else 0
    added = [patch for patch in patches if patch.row < 0]
    count = n_file + len(added)
    names = dict.fromkeys([*(table.columns if table else ()), *(c for patch in patches for c in patch.values)])
    columns = {name: _column(rule, name, table, count) for name in names}
    texts = table.quantity_text.items() if table else ()
    quantities: dict[str, dict[int, Any]] = {
        name: {row: _table_or_text(text) for row, text in given.items()} for name, given in texts
    }
    rows = {id(patch): n_file + i for i, patch in enumerate(added)}
    patched: dict[tuple[int, str], KeyPath] = {}
    for patch in patches:
        row = rows.get(id(patch), patch.row)
        for name, value in patch.values.items():
            is_plain = columns[name].dtype == object or is_number(value)
            columns[name][row] = value if is_plain else np.nan
            quantities.setdefault(name, {}).pop(row, None)
            if not is_plain:
                quantities[name][row] = value
            patched[row, name] = patch.path_of(name)
    return Rows(count, columns, quantities, table, document, patched, {rows[id(p)]: p.path for p in added})


def _table_or_text(text: str) -> Any:
    """Return an inline table of TOML, such as { normal = [100, 10] }, as a table; all other text as it is."""
    if not text.startswith("{"):
        return text
    try:
        return normal_form(tomllib.loads(f"value = {text}")["value"])
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text  # no quantity begins like that: it is refused where it is read as one


def _column(rule: TableRule, name: str, table: Table | None, count: int) -> NDArray[Any]:
    """Return a column of the file, made longer for the document's own rows; it may be written to."""
    column_rule = rule.column(name)
    is_text = column_rule is not None and column_rule.kind in ("id", "text", "flag")
    column: NDArray[Any] = np.full(count, "" if is_text else np.nan, dtype=object if is_text else np.float64)
    if table is not None and table.has(name):
        column[: table.n_rows] = table.columns[name]
    return column
