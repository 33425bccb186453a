"""The last resort of a small program: the simplex method in rational arithmetic, which knows no rounding.

Where figures nearly tie, every method in 53 bits can take a rounding for a decision, or a decision for a rounding. A
program of a few thousand coefficients is then solved in fractions: first towards its limits, one violated column or
row at a time (Dutertre and de Moura 2006, doi:10.1007/11817963_11), then to its optimum, both by the least index
(Bland 1977, doi:10.1287/moor.2.2.103), so that it comes to an end. Limits that contradict each other by less than
`SIDES_MEET` are moved to what can be had, as limits of numbers that were rounded are.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from kpiopt.deadline import Deadline
from kpiopt.program.solver.answer import At, Basis, Ranging
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.tolerances import SIDES_MEET

LARGEST = 4_000
"""Rows times columns of a program that is solved in fractions; more takes minutes."""
ZERO = Fraction(0)
Side = Fraction | None


class Exact(NamedTuple):
    """An optimum of the rational simplex method, with what it leaves."""

    x: Floats
    row_dual: Floats
    basis: Basis
    ranges: Ranging

    def ranging(self) -> Ranging:
        """Return the ranges in which duals and optimal point hold."""
        return self.ranges


def solve_in_fractions(arrays: ProgramArrays, deadline: Deadline) -> Exact | Floats | None:
    """Solve a small continuous program without rounding.

    Returns
    -------
    Exact or (m,) float or None
        An optimum; or weights of rows that prove a clash; or None where the program is too large, has whole numbers or
        no end, or time is over.
    """
    if np.any(arrays.integer) or arrays.n_rows * arrays.n_columns > LARGEST:
        return None
    tableau = Tableau(arrays, deadline)
    ray = tableau.reach_limits()
    if ray is not None or deadline.is_over:
        return ray
    return tableau.optimum() if tableau.improve() else None


class Tableau:
    """Basic columns and rows as sums of the others: columns are 0 … n - 1, rows n … n + m - 1, row = its activity."""

    def __init__(self, arrays: ProgramArrays, deadline: Deadline) -> None:
        self.arrays, self.deadline, self.n = arrays, deadline, arrays.n_columns
        self.low = _exact_sides([*arrays.column_lower, *arrays.row_lower])
        self.high = _exact_sides([*arrays.column_upper, *arrays.row_upper])
        self.value = [self._start(j) for j in range(self.n)]
        self.rows: dict[int, dict[int, Fraction]] = {}
        a = arrays.matrix
        for i in range(arrays.n_rows):
            entries = range(a.indptr[i], a.indptr[i + 1])
            self.rows[self.n + i] = {int(a.indices[k]): Fraction(float(a.data[k])) for k in entries if a.data[k] != 0.0}
            self.value.append(self._sum(self.n + i))
        self.gain = {j: Fraction(float(c)) for j, c in enumerate(arrays.cost) if c != 0.0}

    def _start(self, j: int) -> Fraction:
        """Put a column at its end nearest to 0."""
        ends = [end for end in (self.low[j], self.high[j]) if end is not None]
        return min(ends, key=abs, default=ZERO)

    def _sum(self, basic: int) -> Fraction:
        return sum((a * self.value[j] for j, a in self.rows[basic].items()), ZERO)

    def _may_rise(self, j: int) -> bool:
        high = self.high[j]
        return high is None or self.value[j] < high

    def _may_fall(self, j: int) -> bool:
        low = self.low[j]
        return low is None or self.value[j] > low

    def _move(self, j: int, by: Fraction) -> None:
        """Move a column that is not basic, and all basic ones with it."""
        self.value[j] += by
        for basic, row in self.rows.items():
            if j in row:
                self.value[basic] += row[j] * by

    def _exchange(self, basic: int, j: int) -> None:
        """Let a column or row that is not basic take the place of a basic one."""
        row = self.rows.pop(basic)
        pivot = row.pop(j)
        new = {k: -a / pivot for k, a in row.items()}
        new[basic] = 1 / pivot
        for other in [*self.rows.values(), self.gain]:
            _substitute(other, j, new)
        self.rows[j] = new

    def reach_limits(self) -> Floats | None:
        """Bring every column and row between its sides; return weights of rows that prove that it cannot be."""
        while not self.deadline.is_over:
            outside = min((b for b in self.rows if self._beyond(b)), default=None)
            if outside is None:
                return None
            short = self._beyond(outside)
            ways = (j for j, a in self.rows[outside].items() if self._helps(j, a * short))
            j = min(ways, default=None)
            if j is not None:
                self._move(j, short / self.rows[outside][j])
                self._exchange(outside, j)
            elif abs(short) > Fraction(SIDES_MEET) * self._size(outside):
                return self._clash(outside, short)
            elif short > 0:
                self.low[outside] = self.value[outside]
            else:
                self.high[outside] = self.value[outside]
        return None

    def _beyond(self, b: int) -> Fraction:
        """Return how far a value is from its sides, > 0 where it has to rise."""
        low, high, value = self.low[b], self.high[b], self.value[b]
        if low is not None and value < low:
            return low - value
        return high - value if high is not None and value > high else ZERO

    def _helps(self, j: int, towards: Fraction) -> bool:
        return self._may_rise(j) if towards > 0 else self._may_fall(j)

    def _size(self, basic: int) -> Fraction:
        """Return the largest term that a basic value is made of."""
        return max((abs(a * self.value[j]) for j, a in self.rows[basic].items()), default=ZERO)

    def _clash(self, outside: int, short: Fraction) -> Floats:
        """Return the weights of rows of the sum that a value outside its sides is."""
        weights = {outside: Fraction(1), **{j: -a for j, a in self.rows[outside].items()}}
        sign = 1 if short > 0 else -1
        return np.array([float(sign * weights.get(self.n + i, ZERO)) for i in range(self.arrays.n_rows)])

    def improve(self) -> bool:
        """Go from plan to better plan until there is none; False where there is no end, or time is over."""
        while not self.deadline.is_over:
            better = (j for j, d in self.gain.items() if self._helps(j, -d))
            j = min(better, default=None)
            if j is None:
                return True
            sign = -1 if self.gain[j] > 0 else 1
            steps = [(room, k) for k in (j, *self.rows) if (room := self._room(k, j, sign)) is not None]
            if not steps:
                return False
            step, leaves = min(steps)
            self._move(j, sign * step)
            if leaves != j:
                self._exchange(leaves, j)
        return False

    def _room(self, k: int, j: int, sign: int) -> Fraction | None:
        """Return how far j can move before k is at a side, None where it never is."""
        rate = sign * (Fraction(1) if k == j else self.rows[k].get(j, ZERO))
        side = self.high[k] if rate > 0 else self.low[k]
        return None if rate == 0 or side is None else (side - self.value[k]) / rate

    def optimum(self) -> Exact:
        """Read the point, the duals, the basis and the ranges in which they hold."""
        m, n = self.arrays.n_rows, self.n
        x = np.array([float(v) for v in self.value[:n]])
        dual = np.array([float(self.gain.get(n + i, ZERO)) for i in range(m)])
        places = np.array([self._place(j) for j in range(n + m)], dtype=np.int8)
        rows = [self._row_range(n + i) for i in range(m)]
        ends = [np.array([pair[k] for pair in rows]) for k in (0, 1)]
        return Exact(x, dual, Basis(places[:n], places[n:]), Ranging(*ends))

    def _place(self, j: int) -> At:
        if j in self.rows:
            return At.BASIC
        if self.value[j] == self.low[j]:
            return At.LOWER
        return At.UPPER if self.value[j] == self.high[j] else At.ZERO

    def _row_range(self, i: int) -> tuple[float, float]:
        """Return between which sides of a row its dual holds."""
        value = float(self.value[i])
        if i in self.rows:
            return (value, np.inf) if self.high[i] is not None else (-np.inf, value)
        down, up = ([r for k in self.rows if (r := self._room(k, i, sign)) is not None] for sign in (-1, 1))
        return (value - float(min(down)) if down else -np.inf), (value + float(min(up)) if up else np.inf)


def _substitute(row: dict[int, Fraction], j: int, by: dict[int, Fraction]) -> None:
    """Put a sum into the place of one of a row's terms."""
    factor = row.pop(j, None)
    if factor is None:
        return
    for k, a in by.items():
        entry = row.get(k, ZERO) + factor * a
        if entry:
            row[k] = entry
        else:
            row.pop(k, None)


def _exact_sides(sides: Iterable[float]) -> list[Side]:
    return [Fraction(float(side)) if np.isfinite(side) else None for side in sides]
