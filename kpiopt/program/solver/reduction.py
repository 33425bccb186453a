"""A smaller program with the same optima: what the sides and boxes settle by themselves is taken out before a solve.

Most columns of a large step are settled by the steps before it, and many rows speak of a single column or can never
be broken. Rounds of a few rules find them (Andersen & Andersen 1995, doi:10.1007/BF01586000): fixed columns are
substituted, rows that the boxes keep are dropped, rows of one column become its bounds, columns that nothing holds
back go to the end of their box. The answer of what is left is restored to the whole program with duals for every row;
nothing here is trusted, the whole program's certificate judges it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.program.trust.tolerances import NEAR_SIDE, SIDES_MEET

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

LARGE = 20_000
"""Rows and columns from which a program is large."""
ROUNDS = 20


@dataclass(frozen=True)
class _Bounds:
    """Rows of one column that became its bounds in one round.

    Attributes
    ----------
    row, column : (k,) int
    coefficient : (k,) float
    is_lower : (k,) bool
        Whether the row gave the column's lower bound, else its upper one.
    """

    row: Integers
    column: Integers
    coefficient: Floats
    is_lower: Bools


@dataclass(frozen=True)
class Reduction:
    """A program and what is left of it.

    Attributes
    ----------
    columns, rows : (k,) and (l,) int
        Where the columns and rows of `left` stand in `whole`.
    x : (n,) float
        Values of the columns that were taken out, 0 elsewhere.
    lower, upper : (n,) float
        The boxes, as narrow as rows of one column make them.
    """

    whole: ProgramArrays
    left: ProgramArrays
    columns: Integers
    rows: Integers
    x: Floats
    lower: Floats
    upper: Floats
    bounds: tuple[_Bounds, ...]

    def restore_point(self, x: Floats) -> Floats:
        """Return the point of the whole program, (n,) float, for a point of what is left."""
        point = self.x.copy()
        point[self.columns] = x
        return np.clip(point, self.whole.column_lower, self.whole.column_upper)

    def restore_duals(self, point: Floats, row_dual: Floats, gradient: Floats) -> Floats:
        """Return duals of the rows of the whole program, (m,) float.

        A row that became a bound takes over the reduced cost of its column, those first that were found last.

        Parameters
        ----------
        point : (n,) float
            Of the whole program.
        row_dual : (l,) float
            Of what is left.
        gradient : (n,) float
            Of the objective of the whole program at the point.
        """
        y = np.zeros(self.whole.n_rows)
        y[self.rows] = row_dual
        near = NEAR_SIDE * np.maximum(self.upper - self.lower, 0.0)
        at_lower, at_upper = point - self.lower <= near, self.upper - point <= near
        transposed = sp.csr_array(self.whole.matrix.T)
        for found in reversed(self.bounds):
            column = found.column
            reduced = gradient[column] - transposed[column] @ y
            presses = np.where(found.is_lower, (reduced > 0.0) & at_lower[column], (reduced < 0.0) & at_upper[column])
            y[found.row[presses]] += (reduced / found.coefficient)[presses]
        return y


def is_large(arrays: ProgramArrays) -> bool:
    """Whether a program is better reduced before it is solved."""
    return arrays.n_columns + arrays.n_rows >= LARGE


def reduce_program(arrays: ProgramArrays, curvature: Floats | None = None) -> Reduction | None:
    """Take out what is settled.

    Parameters
    ----------
    curvature : (n,) float, optional
        Where it is not 0, the objective is not linear in the column.

    Returns
    -------
    Reduction or None
        None where sides or boxes contradict each other: that is for the whole program to prove.
    """
    state = _State.of(arrays, np.zeros(arrays.n_columns) if curvature is None else curvature)
    try:
        state.substitute_fixed()
        for _ in range(ROUNDS):
            if not state.take_round():
                break
    except _Contradiction:
        return None
    return state.reduction()


class _Contradiction(Exception):
    """Sides or boxes contradict each other."""


@dataclass
class _State:
    """What is left after some rounds.

    Attributes
    ----------
    row_of, column_of, value : (nnz,) int, int and float
        Entries of the matrix.
    lower, upper, row_lower, row_upper : float
        Boxes and sides; sides that cannot be broken are opened.
    columns, rows : bool
        What is left.
    lower_row, upper_row : (n,) int
        Row that gave a column its bound, -1 for its own.
    """

    arrays: ProgramArrays
    curvature: Floats
    row_of: Integers
    column_of: Integers
    value: Floats
    lower: Floats
    upper: Floats
    row_lower: Floats
    row_upper: Floats
    columns: Bools
    rows: Bools
    lower_row: Integers
    upper_row: Integers
    bounds: list[_Bounds] = field(default_factory=list)

    @classmethod
    def of(cls, arrays: ProgramArrays, curvature: Floats) -> _State:
        matrix, n, m = arrays.matrix.tocoo(), arrays.n_columns, arrays.n_rows
        present = matrix.data != 0.0
        return cls(
            arrays,
            curvature,
            matrix.row[present].astype(np.int64),
            matrix.col[present].astype(np.int64),
            matrix.data[present],
            arrays.column_lower.copy(),
            arrays.column_upper.copy(),
            arrays.row_lower.copy(),
            arrays.row_upper.copy(),
            np.ones(n, dtype=bool),
            np.ones(m, dtype=bool),
            np.full(n, -1, dtype=np.int64),
            np.full(n, -1, dtype=np.int64),
        )

    def take_round(self) -> bool:
        """Apply every rule once; return whether anything was found."""
        before = np.count_nonzero(self.columns) + np.count_nonzero(self.rows)
        fixed = self._fixed_part()
        self._open_kept_sides(fixed)
        self._turn_into_bounds(fixed)
        self._release()
        self.substitute_fixed()
        return bool(np.count_nonzero(self.columns) + np.count_nonzero(self.rows) < before)

    def substitute_fixed(self) -> None:
        """Take out columns whose box is a point."""
        self._close_hairs()
        self.columns &= self.lower < self.upper

    def _close_hairs(self) -> None:
        """Make boxes that rounding has turned inside out a point, within the column's own box."""
        crossed = np.flatnonzero(self.lower > self.upper)
        if not len(crossed):
            return
        low, high = self.lower[crossed], self.upper[crossed]
        if np.any(low - high > SIDES_MEET * np.maximum(1.0, np.abs(low))):
            raise _Contradiction
        own_low, own_high = self.arrays.column_lower[crossed], self.arrays.column_upper[crossed]
        self.lower[crossed] = self.upper[crossed] = np.clip(0.5 * (low + high), own_low, own_high)

    def _fixed_part(self) -> Floats:
        """Return what the columns that were taken out add to each row, (m,) float."""
        return np.asarray(self.arrays.matrix @ np.where(self.columns, 0.0, self.lower))

    def _open_kept_sides(self, fixed: Floats) -> None:
        """Open sides that no point of the boxes breaks, and take out rows that are open on both."""
        live = self.columns[self.column_of] & self.rows[self.row_of]
        row, column, value = self.row_of[live], self.column_of[live], self.value[live]
        up = value > 0.0
        m = len(fixed)
        least = fixed + np.bincount(row, value * np.where(up, self.lower[column], self.upper[column]), m)
        most = fixed + np.bincount(row, value * np.where(up, self.upper[column], self.lower[column]), m)
        self._require_consistent(least, most)
        self.row_upper[most <= self.row_upper] = np.inf
        self.row_lower[least >= self.row_lower] = -np.inf
        empty = np.bincount(row, minlength=m) == 0
        self.rows &= ~empty & (np.isfinite(self.row_lower) | np.isfinite(self.row_upper))

    def _require_consistent(self, least: Floats, most: Floats) -> None:
        size = SIDES_MEET * np.maximum(1.0, np.maximum(np.abs(least), np.abs(most)))
        if np.any(self.rows & ((least > self.row_upper + size) | (most < self.row_lower - size))):
            raise _Contradiction

    def _turn_into_bounds(self, fixed: Floats) -> None:
        """Make rows of one column its bounds, where they are narrower than its box, and take these rows out."""
        live = np.flatnonzero(self.columns[self.column_of] & self.rows[self.row_of])
        single = np.bincount(self.row_of[live], minlength=len(fixed)) == 1
        entry = live[single[self.row_of[live]]]
        row, column, value = self.row_of[entry], self.column_of[entry], self.value[entry]
        first, second = (self.row_lower[row] - fixed[row]) / value, (self.row_upper[row] - fixed[row]) / value
        low, high = np.where(value > 0.0, first, second), np.where(value > 0.0, second, first)
        gave_lower = _tighten(self.lower, self.lower_row, row, column, low, np.greater)
        gave_upper = _tighten(self.upper, self.upper_row, row, column, high, np.less)
        for gave, is_lower in ((gave_lower, True), (gave_upper, False)):
            if np.any(gave):
                side = np.full(np.count_nonzero(gave), is_lower)
                self.bounds.append(_Bounds(row[gave], column[gave], value[gave], side))
        self.rows[row] = False

    def _release(self) -> None:
        """Send columns to an end of their box that neither rows nor the cost hold back from it."""
        live = self.columns[self.column_of] & self.rows[self.row_of]
        row, column, up = self.row_of[live], self.column_of[live], self.value[live] > 0.0
        has_upper, has_lower = np.isfinite(self.row_upper[row]), np.isfinite(self.row_lower[row])
        n, cost, linear = len(self.columns), self.arrays.cost, self.columns & (self.curvature == 0.0)
        held_down = np.bincount(column, np.where(up, has_upper, has_lower), n) > 0
        held_up = np.bincount(column, np.where(up, has_lower, has_upper), n) > 0
        down = linear & ~held_up & (cost >= 0.0) & np.isfinite(self.lower)
        up_end = linear & ~down & ~held_down & (cost <= 0.0) & np.isfinite(self.upper)
        self.upper[down] = self.lower[down]
        self.lower[up_end] = self.upper[up_end]

    def reduction(self) -> Reduction:
        """Return what is left."""
        arrays, fixed = self.arrays, self._fixed_part()
        columns, rows = np.flatnonzero(self.columns), np.flatnonzero(self.rows)
        x = np.where(self.columns, 0.0, self.lower)
        left = ProgramArrays(
            arrays.cost[columns],
            arrays.offset + dot(arrays.cost, x),
            sp.csr_array(arrays.matrix[rows][:, columns]),
            self.row_lower[rows] - fixed[rows],
            self.row_upper[rows] - fixed[rows],
            self.lower[columns],
            self.upper[columns],
            arrays.integer[columns],
        )
        bounds = tuple(self._of_last(found) for found in self.bounds)
        return Reduction(arrays, left, columns, rows, x, self.lower, self.upper, bounds)

    def _of_last(self, found: _Bounds) -> _Bounds:
        """Keep of a round the bounds that no later round has narrowed."""
        giver = np.where(found.is_lower, self.lower_row[found.column], self.upper_row[found.column])
        last = giver == found.row
        return replace(
            found,
            row=found.row[last],
            column=found.column[last],
            coefficient=found.coefficient[last],
            is_lower=found.is_lower[last],
        )


def _tighten(
    bound: Floats, giver: Integers, row: Integers, column: Integers, value: Floats, narrower: np.ufunc
) -> Bools:
    """Narrow bounds in place; return which rows now give one. Of equal ones the first row does."""
    order = np.lexsort((row, -value if narrower is np.greater else value, column))
    first = np.ones(len(order), dtype=bool)
    first[1:] = column[order][1:] != column[order][:-1]
    best = order[first]
    best = best[narrower(value[best], bound[column[best]])]
    bound[column[best]], giver[column[best]] = value[best], row[best]
    gave = np.zeros(len(row), dtype=bool)
    gave[best] = True
    return gave
