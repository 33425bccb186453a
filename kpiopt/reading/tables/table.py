"""Tables: the rules a table must follow, and what reading one yields.

A `TableRule` names the columns of the format, a `Table` holds typed columns and remembers where each value stood, so
that everything found later can still be reported as "cells.csv:412 column baseline" or "plan.xlsx!cells!D7".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Location, Problem
from kpiopt.reading.tables.messages import Explanation

Kind = Literal["id", "text", "flag", "number", "quantity", "value"]
Texts = NDArray[np.object_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What a column must hold.

    Attributes
    ----------
    name : str
        Its name in the header.
    kind : {"id", "text", "flag", "number", "quantity", "value"}
        An id is text that other parts of the scenario refer to; a quantity is a number or text such as "38 to 42",
        a value a number or any text.
    required : bool
        Whether the column must be there; its fields may still be empty, which means "not given".
    dates : bool
        Whether dates of a workbook are taken as text, 2026-01-31; elsewhere they are refused.
    """

    name: str
    kind: Kind
    required: bool = False
    dates: bool = False


SAMPLES = "samples"
"""The name of tables whose form cannot be declared: a quantity names their file."""


@dataclass(frozen=True, slots=True)
class TableRule:
    """What a table must look like.

    Attributes
    ----------
    name : str
        Its key under `[tables]`; `SAMPLES` of files that quantities name.
    columns : tuple of ColumnRule
        The columns with fixed names.
    prefixes : tuple of (str, Kind)
        Open families of columns, such as "capacity." for one column per resource.
    key : tuple of str
        Columns that must be filled and, taken together, unique.
    may_be_empty : bool
        Whether a header without rows is fine.
    besides : tuple of str
        Further columns of the key that may be left empty.
    """

    name: str
    columns: tuple[ColumnRule, ...]
    prefixes: tuple[tuple[str, Kind], ...]
    key: tuple[str, ...]
    may_be_empty: bool = False
    besides: tuple[str, ...] = ()

    def column(self, name: str) -> ColumnRule | None:
        """Return the rule of the column called `name`, or None where the format has no such column."""
        for rule in self.columns:
            if rule.name == name:
                return rule
        for prefix, kind in self.prefixes:
            if name.startswith(prefix) and len(name) > len(prefix):
                return ColumnRule(name, kind)
        return None

    def parts_of(self, name: str, kpis: Collection[str]) -> dict[str, str]:
        """Return what each column of the key holds in the row that the document calls `name`.

        Parameters
        ----------
        kpis : collection of str
            Where a key may have one more part, "unit/kpi/period", the KPIs tell whether it has.
        """
        if self.besides:
            rest, slash, last = name.rpartition("/")
            if slash and last not in kpis and rest.rpartition("/")[2] in kpis and "/" in rest:
                return {**self.parts_of(rest, kpis), self.besides[0]: last}
        return dict(zip(self.key, name.rsplit("/", len(self.key) - 1), strict=True))

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must be there."""
        return tuple(rule.name for rule in self.columns if rule.required)


UNITS_TABLE = TableRule(
    name="units",
    columns=(
        ColumnRule("unit", "id", required=True),
        ColumnRule("name", "text"),
        ColumnRule("parent", "id", required=True),
        ColumnRule("level", "id"),
        ColumnRule("role", "id"),
        ColumnRule("size", "number"),
        ColumnRule("target_incentive", "number"),
        ColumnRule("pay_plan", "id"),
        ColumnRule("head_count", "number"),
        ColumnRule("availability", "number"),
        ColumnRule("start", "id"),
    ),
    prefixes=(("capacity.", "number"),),
    key=("unit",),
)
"""The organization: one row per unit; `parent` is empty for the root only."""

CELLS_TABLE = TableRule(
    name="cells",
    columns=(
        ColumnRule("unit", "id", required=True),
        ColumnRule("kpi", "id", required=True),
        ColumnRule("period", "id"),
        ColumnRule("baseline", "quantity", required=True),
        ColumnRule("min_stretch", "number"),
        ColumnRule("max_stretch", "number"),
        ColumnRule("pay_rate", "number"),
        ColumnRule("weight", "number"),
        ColumnRule("size", "number"),
        ColumnRule("lock", "number"),
        ColumnRule("lock_target", "number"),
        ColumnRule("lock_reason", "text"),
        ColumnRule("lock_owner", "text"),
        ColumnRule("reference", "number"),
        ColumnRule("commit", "number"),
        ColumnRule("own", "flag"),
        ColumnRule("execution", "quantity"),
        ColumnRule("noise_sd", "number"),
    ),
    prefixes=(("effort.", "number"),),
    key=("unit", "kpi"),
    besides=("period",),
)
"""The (unit, KPI) pairs: one row per cell; with periods, further rows for what is said about single ones."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows and columns of a table stand in its file.

    Attributes
    ----------
    display : str
        The file as the planner would write it.
    row_number : (n_rows,) int
        1-based line of a CSV record's first line, row of a worksheet, or data row of a Parquet file.
    sheet : str
        Name of the worksheet; empty for other files.
    letters : mapping of str to str
        Column name -> column letters of the worksheet.
    """

    display: str
    row_number: Integers
    sheet: str = ""
    letters: Mapping[str, str] = field(default_factory=dict)

    def location(self, row: int, column: str) -> Location:
        """Return the place of one field; `row` counts the data rows from 0."""
        number = int(self.row_number[row])
        if self.sheet:
            return Location(self.display, cell=f"{self.sheet}!{self.letters.get(column, 'A')}{number}")
        return Location(self.display, line=number, field=column)

    def problems(self, column: str, explain: Callable[[int], Explanation]) -> Callable[[int], Problem]:
        """Return what tells the problem of a field of the column, from what is wrong in each row."""

        def problem(row: int) -> Problem:
            code, message, rule, fix = explain(row)
            return Problem(code, message, rule, fix, self.location(row, column))

        return problem

    def header(self, column: str) -> Location:
        """Return the place of a column as a whole."""
        if self.sheet:
            return Location(self.display, cell=f"{self.sheet}!{self.letters.get(column, '')}".rstrip("!"))
        return Location(self.display, field=column)


@dataclass(frozen=True)
class Table:
    """A table as it was read: typed columns and the place of every value.

    Attributes
    ----------
    columns : mapping of str to (n_rows,) array
        Ids and text as object arrays of str, "" for an empty field; numbers and quantities as float64, NaN for an
        empty field. Numbers are finite. Only columns that the file has.
    quantity_text : mapping of str to mapping of int to str
        Quantity column -> data row -> the text of a distribution, such as "38 to 42"; the array holds NaN there.
    row_number : (n_rows,) int
        1-based row in the file, see `Place`.
    sha256 : str
        Digest of the file's bytes.
    notes : tuple of Problem
        What was read with a remark: "N-…" notes and "W-…" warnings.
    percent : mapping of str to frozenset of int
        Column -> data rows whose number a workbook shows as a percentage: 0.81 as 81 %.
    """

    columns: Mapping[str, NDArray[Any]]
    quantity_text: Mapping[str, Mapping[int, str]]
    place: Place
    sha256: str
    notes: tuple[Problem, ...] = ()
    percent: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of data rows."""
        return len(self.place.row_number)

    @property
    def row_number(self) -> Integers:
        """1-based row of each data row in the file, (n_rows,) int."""
        return self.place.row_number

    def has(self, column: str) -> bool:
        """Whether the file has the column."""
        return column in self.columns

    def location(self, row: int, column: str) -> Location:
        """Return where a value stands; `row` counts the data rows from 0."""
        return self.place.location(row, column)

    def texts(self, column: str) -> Texts:
        """Return an id or text column, (n_rows,) str; all "" where the file has no such column."""
        return self.columns.get(column, np.full(self.n_rows, "", dtype=object))

    def numbers(self, column: str) -> Floats:
        """Return a number or quantity column, (n_rows,) float; all NaN where the file has no such column."""
        return self.columns.get(column, np.full(self.n_rows, np.nan))

    def family(self, prefix: str) -> dict[str, Floats]:
        """Return the columns whose name starts with `prefix`, keyed by the rest of their name."""
        return {name.removeprefix(prefix): column for name, column in self.columns.items() if name.startswith(prefix)}
