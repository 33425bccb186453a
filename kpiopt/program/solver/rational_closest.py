"""The closest plan of a small program in rational arithmetic: the last resort of the last step.

Beside limits that nearly tie, a limit that holds cannot be told from one that nearly does by figures of 53 bits, and
the closest plan is one of these limits. In fractions it can: from a plan, along the way to the least reference in what
is free, to the limit that stops it, and away from the first limit that holds back without need (the reduced gradient
method with the least index first; Wolfe 1962, and Murtagh and Saunders 1978, doi:10.1007/BF01588950).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from kpiopt.deadline import Deadline
from kpiopt.program.solver.rational import LARGEST, ZERO, Tableau
from kpiopt.program.trust.arrays import Floats, ProgramArrays

MOVES = 20
"""So many moves for each column and row, and then it is given up."""


def closest_in_fractions(arrays: ProgramArrays, weight: Floats, centre: Floats) -> tuple[Floats, Floats] | None:
    """Minimise sum weight (x - centre)^2 over the rows and boxes of a small program without rounding.

    Parameters
    ----------
    weight, centre : (n,) float
        weight >= 0.

    Returns
    -------
    ((n,) float, (m,) float) or None
        The point and the rows' multipliers, >= 0 on an active lower side; None where the program is too large, or has
        no plan.
    """
    if arrays.n_rows * arrays.n_columns > LARGEST:
        return None
    search = _Closest(arrays, weight, centre)
    return search.answer() if search.reach_limits() is None and search.approach() else None


class _Closest(Tableau):
    """A tableau some of whose columns and rows that are not basic are free of their sides."""

    def __init__(self, arrays: ProgramArrays, weight: Floats, centre: Floats) -> None:
        super().__init__(arrays, Deadline())
        self.pull = {j: 2 * Fraction(float(w)) for j, w in enumerate(weight) if w > 0.0}
        self.centre = [Fraction(float(c)) for c in centre]
        self.free: set[int] = set()

    def _slope(self, j: int) -> Fraction:
        """Return by how much the reference rises with a column or row that is not basic."""
        own = self.pull.get(j, ZERO) * (self.value[j] - self.centre[j]) if j < self.n else ZERO
        felt = ((k, self.rows[k][j]) for k in self.pull if k in self.rows and j in self.rows[k])
        return own + sum((self.pull[k] * (self.value[k] - self.centre[k]) * a for k, a in felt), ZERO)

    def approach(self) -> bool:
        """Go to the closest plan; False where it takes too many moves."""
        sides = range(self.n + self.arrays.n_rows)
        self.free = {j for j in sides if j not in self.rows and self._may_rise(j) and self._may_fall(j)}
        for _ in range(MOVES * len(sides)):
            slopes = {j: self._slope(j) for j in sorted(self.free)}
            if not any(slopes.values()):
                held = (j for j in sides if j not in self.rows and j not in self.free)
                slope: dict[int, Fraction] = {}
                freed = next(
                    (j for j in held if (d := slope.setdefault(j, self._slope(j))) and self._helps(j, -d)), None
                )
                if freed is None:
                    return True
                self.free.add(freed)
                slopes[freed] = slope[freed]
            self._step(self._way(slopes))
        return False

    def _way(self, slopes: dict[int, Fraction]) -> dict[int, Fraction]:
        """Return the way to the least reference in what is free: Gaussian elimination of the normal equations."""
        names = list(slopes)
        left: list[list[Fraction]] = [[self._bend(i, j) for j in names] + [-slopes[i]] for i in names]
        pivots: list[tuple[int, int]] = []
        for column in range(len(names)):
            taken = {row for row, _ in pivots}
            row = next((r for r in range(len(names)) if r not in taken and left[r][column]), None)
            if row is None:
                continue  # nothing else depends on it
            left[row] = [entry / left[row][column] for entry in left[row]]
            for r, other in enumerate(left):
                if r != row and other[column]:
                    left[r] = [a - other[column] * b for a, b in zip(other, left[row], strict=True)]
            pivots.append((row, column))
        return {names[column]: left[row][-1] for row, column in pivots if left[row][-1]}

    def _bend(self, i: int, j: int) -> Fraction:
        """Return by how much the slope of i rises with j."""
        own = self.pull.get(i, ZERO) if i == j else ZERO
        both = (k for k in self.pull if k in self.rows and i in self.rows[k] and j in self.rows[k])
        return own + sum((self.pull[k] * self.rows[k][i] * self.rows[k][j] for k in both), ZERO)

    def _step(self, way: dict[int, Fraction]) -> None:
        """Go a way to its end, or to the first side that stops it, which holds from then on."""
        rates = dict(way)
        for k, row in self.rows.items():
            rates[k] = sum((a * way[j] for j, a in row.items() if j in way), ZERO)
        rooms = [(room, k) for k in sorted(rates) if (room := self._room_along(k, rates[k])) is not None]
        step, stops = min(rooms, default=(Fraction(1), -1))
        for j, by in way.items():
            self._move(j, min(step, Fraction(1)) * by)
        if step >= 1:
            return
        if stops in self.rows:
            enters = min(j for j in self.rows[stops] if j in way)
            self._exchange(stops, enters)
            stops = enters
        self.free.discard(stops)

    def _room_along(self, k: int, rate: Fraction) -> Fraction | None:
        side = self.high[k] if rate > 0 else self.low[k]
        return None if rate == 0 or side is None else (side - self.value[k]) / rate

    def answer(self) -> tuple[Floats, Floats]:
        """Return the point and the rows' multipliers."""
        held = [self.n + i for i in range(self.arrays.n_rows)]
        dual = [ZERO if i in self.rows or i in self.free else self._slope(i) for i in held]
        return np.array([float(v) for v in self.value[: self.n]]), np.array([float(d) for d in dual])
