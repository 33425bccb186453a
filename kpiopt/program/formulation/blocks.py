"""LinearProgram: named blocks of columns and rows over sparse arrays.

A program is written in three statements, each over arrays: `add_columns`, `add_rows`, `set objectives`. A block has one
name, the name of its rule in `docs/formulation.md`; its members are labelled by the ids of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot

Integers = NDArray[np.int64]
Label = Callable[[int], str]


@dataclass(frozen=True)
class Columns:
    """A block of columns.

    Attributes
    ----------
    name : str
        Such as "stretch".
    start : int
        Position of its first column.
    lower, upper : (n,) float
        A finite box; the certificate needs one.
    integer : (n,) bool
    label : callable
        Member number -> its ids, such as "north/sales".
    """

    name: str
    start: int
    lower: Floats
    upper: Floats
    integer: NDArray[np.bool_]
    label: Label

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def positions(self) -> Integers:
        """Positions of the block's columns."""
        return np.arange(self.start, self.start + len(self))

    def of(self, values: Floats) -> Floats:
        """Return this block's part of `values`, (n_columns,) float."""
        return values[self.start : self.start + len(self)]


class Terms(NamedTuple):
    """Coefficients of one block of columns in a block of rows, as triplets of member numbers."""

    columns: Columns
    row: Integers
    member: Integers
    value: Floats


@dataclass(frozen=True)
class Rows:
    """A block of rows, lower <= A x <= upper.

    Attributes
    ----------
    name : str
        Such as "capacity".
    start : int
        Position of its first row.
    lower, upper : (m,) float
        ±inf where a side is open.
    label : callable
        Member number -> its ids, such as "hours@north".
    """

    name: str
    start: int
    lower: Floats
    upper: Floats
    terms: tuple[Terms, ...]
    label: Label

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def positions(self) -> Integers:
        """Positions of the block's rows."""
        return np.arange(self.start, self.start + len(self))


@dataclass(frozen=True)
class Objective:
    """One linear step of the strict order: minimise cost'x + offset.

    Attributes
    ----------
    name : str
        "goals", "fairness", "cost" or "maximize".
    priority : int or None
        The goals' priority; None for the other steps.
    cost : (n,) float
    slack : float
        Share of the optimal value that later steps may give up.
    unit : str
        What the value counts, in a planner's words: "goal shortfall", "USD".
    """

    name: str
    priority: int | None
    cost: Floats
    offset: float = 0.0
    slack: float = 0.0
    unit: str = ""

    @property
    def label(self) -> str:
        """Name with priority, such as "goals 1"."""
        return self.name if self.priority is None else f"{self.name} {self.priority}"


@dataclass(frozen=True)
class Reference:
    """The last step: minimise sum_j weight_j (x_j - centre_j)^2 + offset, strictly convex in all decisions.

    Attributes
    ----------
    weight : (n,) float
        Above 0 for every decision, 0 for columns that decisions determine.
    centre : (n,) float
    """

    weight: Floats
    centre: Floats
    offset: float = 0.0

    def value(self, x: Floats) -> float:
        """Return the objective at x."""
        return dot(self.weight, (x - self.centre) ** 2) + self.offset


@dataclass(frozen=True)
class LinearProgram:
    """Blocks, the order of objectives, and the reference that makes the plan unique."""

    name: str
    columns: tuple[Columns, ...]
    rows: tuple[Rows, ...]
    objectives: tuple[Objective, ...]
    reference: Reference | None

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return sum(len(block) for block in self.columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(len(block) for block in self.rows)

    def column_block(self, name: str) -> Columns:
        """Return the block of columns of that name."""
        return next(block for block in self.columns if block.name == name)

    def row_block(self, name: str) -> Rows | None:
        """Return the block of rows of that name, None where the program has none."""
        return next((block for block in self.rows if block.name == name), None)

    def column_name(self, position: int) -> str:
        """Return "block[ids]" of a column."""
        return _name_at(self.columns, position)

    def row_name(self, position: int) -> str:
        """Return "block[ids]" of a row."""
        return _name_at(self.rows, position)

    def order_of_ties(self) -> Integers:
        """Return the whole-number columns in the order that tells equal choices apart: of the first, more is better.

        By name, blocks in their order; but idle ones, missed goals and spared cells from the last name on, so that of
        two of which either would do the first one runs, is met or is answered for.
        """
        order: list[int] = []
        for block in self.columns:
            whole = block.positions[block.integer].tolist()
            order += sorted(whole, key=self.column_name, reverse=block.name in ("idle", "missed", "spared"))
        return np.array(order, dtype=np.int64)

    def arrays(self, objective: Objective | None = None) -> ProgramArrays:
        """Return the program as plain arrays with one of its objectives (none: cost 0)."""
        n = self.n_columns
        return ProgramArrays(
            cost=np.zeros(n) if objective is None else objective.cost,
            offset=0.0 if objective is None else objective.offset,
            matrix=_join_rows(self.rows, self.n_rows, n),
            row_lower=_joined([r.lower for r in self.rows]),
            row_upper=_joined([r.upper for r in self.rows]),
            column_lower=_joined([c.lower for c in self.columns]),
            column_upper=_joined([c.upper for c in self.columns]),
            integer=np.concatenate([np.empty(0, dtype=bool), *(c.integer for c in self.columns)]),
        )

    def arrays_like(self, other: LinearProgram, arrays: ProgramArrays) -> ProgramArrays:
        """Return plain arrays with cost 0, sharing the matrix of another program's where both have the same terms."""
        same = len(self.rows) == len(other.rows) and all(
            a.terms is b.terms for a, b in zip(self.rows, other.rows, strict=True)
        )
        if not same or self.columns is not other.columns:
            return self.arrays()
        lower, upper = _joined([r.lower for r in self.rows]), _joined([r.upper for r in self.rows])
        return replace(arrays, row_lower=lower, row_upper=upper)

    def __repr__(self) -> str:
        blocks = [*(f"{len(b):,} {b.name}" for b in self.columns), *(f"{len(b):,} {b.name} rows" for b in self.rows)]
        return f"LinearProgram({self.name!r}: {', '.join(blocks)})"

    def __str__(self) -> str:
        return "\n".join(program_text(self))


@dataclass
class ProgramBuilder:
    """Collects blocks; `finish` freezes them."""

    name: str
    columns: list[Columns] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)

    def add_columns(
        self, name: str, lower: Floats, upper: Floats, label: Label, integer: NDArray[np.bool_] | None = None
    ) -> Columns:
        """Add a block of columns and return it, to be used in rows."""
        start = sum(len(block) for block in self.columns)
        whole = np.zeros(len(lower), dtype=bool) if integer is None else integer
        block = Columns(name, start, np.asarray(lower, float), np.asarray(upper, float), whole, label)
        self.columns.append(block)
        return block

    def add_rows(self, name: str, terms: Sequence[Terms], lower: Floats, upper: Floats, label: Label) -> Rows:
        """Add a block of rows lower <= sum of terms <= upper."""
        start = sum(len(block) for block in self.rows)
        block = Rows(name, start, np.asarray(lower, float), np.asarray(upper, float), tuple(terms), label)
        self.rows.append(block)
        return block

    @property
    def n_columns(self) -> int:
        """Number of columns so far."""
        return sum(len(block) for block in self.columns)

    def finish(self, objectives: Sequence[Objective], reference: Reference | None) -> LinearProgram:
        """Freeze the program; blocks without members are left out."""
        columns = tuple(block for block in self.columns if len(block))
        rows = tuple(block for block in self.rows if len(block))
        return LinearProgram(self.name, columns, rows, tuple(objectives), reference)


def _name_at(blocks: Sequence[Columns] | Sequence[Rows], position: int) -> str:
    for block in blocks:
        if position < block.start + len(block):
            return f"{block.name}[{block.label(position - block.start)}]"
    raise IndexError(position)


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.empty(0), *parts])


def _join_rows(rows: Sequence[Rows], n_rows: int, n_columns: int) -> sp.csr_array:
    terms = [(block.start, term) for block in rows for term in block.terms]
    row = np.concatenate([np.empty(0, dtype=np.int64), *(start + term.row for start, term in terms)])
    column = np.concatenate([np.empty(0, dtype=np.int64), *(t.columns.start + t.member for _, t in terms)])
    value = _joined([term.value for _, term in terms])
    matrix = sp.csr_array((value, (row, column)), shape=(n_rows, n_columns))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def program_text(program: LinearProgram) -> Iterator[str]:
    """Yield the program as text that a person can read, one line per objective, row and column.

    Numbers are written with 12 significant digits; two programs are the same where their texts are.
    """
    names = [program.column_name(j) for j in range(program.n_columns)]
    yield f"program {program.name}"
    for objective in program.objectives:
        yield f"minimise {objective.label}: {_linear(objective.cost, names, objective.offset)}"
    if program.reference is not None:
        yield f"minimise reference: {_quadratic(program.reference, names)}"
    arrays = program.arrays()
    for i in range(program.n_rows):
        row = arrays.matrix[[i]].toarray()[0]
        yield f"{program.row_name(i)}: {_between(_linear(row, names), arrays.row_lower[i], arrays.row_upper[i])}"
    for j, name in enumerate(names):
        kind = "whole " if arrays.integer[j] else ""
        yield kind + _between(name, arrays.column_lower[j], arrays.column_upper[j])


def _number(value: float) -> str:
    return f"{value:.12g}"


def _linear(coefficients: Floats, names: Sequence[str], offset: float = 0.0) -> str:
    terms = [f"{_number(coefficients[j])} {names[j]}" for j in np.flatnonzero(coefficients).tolist()]
    return " + ".join([*terms, _number(offset)] if offset or not terms else terms).replace("+ -", "- ")


def _quadratic(reference: Reference, names: Sequence[str]) -> str:
    terms = []
    for j in np.flatnonzero(reference.weight).tolist():
        centre = f" - {_number(reference.centre[j])}" if reference.centre[j] else ""
        terms.append(f"{_number(reference.weight[j])} ({names[j]}{centre})^2".replace("- -", "+ "))
    return " + ".join([*terms, _number(reference.offset)] if reference.offset or not terms else terms)


def _between(middle: str, lower: float, upper: float) -> str:
    if lower == upper:
        return f"{middle} = {_number(lower)}"
    below = f"{_number(lower)} <= " if np.isfinite(lower) else ""
    above = f" <= {_number(upper)}" if np.isfinite(upper) else ""
    return f"{below}{middle}{above}"


def as_read(step: str, value: float) -> float:
    """Turn a step's minimized value into the one that is published, and back.

    Parameters
    ----------
    step : str
        Name or label of the step.
    """
    return -value if step == "maximize" and value else value


def label_of(labels: Sequence[str], member: int) -> str:
    """Return the label of a member of a block; `partial` of its labels is what a block keeps."""
    return labels[member]
