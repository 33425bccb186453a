"""Bring rounded counts back inside capacities and budgets, keeping totals where the limits let them.

Rounding up costs a little more than the unrounded plan; where a limit binds that is too much. Single parts of the
broken limit go down one step, those that were rounded up most first. Then, from the lowest unit up, other parts of the
same KPI with room in all of their own limits take these steps over, so that the totals above them stay. What nobody
can take is lost to the total.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.plan.limits import LimitRows
from kpiopt.plan.parts import Parts
from kpiopt.scenario.scenario import Integers

PASSES = 10  # a limit can only break anew while others are repaired where some rate is below 0


def repair(parts: Parts, rows: LimitRows, counts: Integers) -> Integers:
    """Move counts by single steps until every limit holds, or no step helps.

    Parameters
    ----------
    counts : (m,) int
        Counts of steps, inner parts the sum of their children.

    Returns
    -------
    (m,) int
        Repaired counts, inner parts again the sum of their children. A limit may remain broken where the boxes of
        its cells leave no way.
    """
    draft = _Repair(parts, rows, counts)
    if np.any(draft.room < 0.0):
        draft.lower()
        draft.hand_over()
    return parts.rolled_up(draft.counts)


class _Repair:
    """Counts and the room of each limit while they are repaired."""

    def __init__(self, parts: Parts, rows: LimitRows, counts: Integers) -> None:
        self.parts = parts
        self.rows = rows
        self.counts = counts.copy()
        self.room = rows.room_left(parts, counts)
        self.by_part = rows.matrix.tocsc()
        self.start = counts
        self.full = np.zeros(len(parts), dtype=bool)

    def lower(self) -> None:
        """Take steps back in every broken limit, the narrowest first."""
        width = np.diff(self.rows.matrix.indptr)
        for _ in range(PASSES):
            broken = np.flatnonzero(self.room < 0.0)
            for row in broken[np.argsort(width[broken], kind="stable")].tolist():
                while self.room[row] < 0.0 and self._lower_in(row):
                    pass
            if not np.any(self.room[broken] >= 0.0):
                return

    def _lower_in(self, row: int) -> bool:
        """Take one step from as many parts of a limit as it needs; tell whether there was one to take."""
        matrix = self.rows.matrix
        here = slice(matrix.indptr[row], matrix.indptr[row + 1])
        member, rate = matrix.indices[here], matrix.data[here]
        able = (rate > 0.0) & (self.counts[member] > self.parts.low[member])
        member, rate = member[able], rate[able]
        if not len(member):
            return False
        excess = self.counts[member] - self.parts.steps[member]
        up = excess > 0.0
        if np.any(up):
            member, rate, excess = member[up], rate[up], excess[up]
        order = np.lexsort((-member, -np.round(excess, 6)))
        enough = int(np.searchsorted(np.cumsum(rate[order]), -self.room[row])) + 1
        self._move(member[order[:enough]], -1)
        return True

    def _move(self, moved: NDArray[np.integer], by: int) -> None:
        """Move some parts by whole steps and book what that takes of each limit."""
        self.counts[moved] += by
        start = self.by_part.indptr[moved]
        length = self.by_part.indptr[moved + 1] - start
        entry = np.repeat(start - np.cumsum(length) + length, length) + np.arange(length.sum())
        np.subtract.at(self.room, self.by_part.indices[entry], by * self.by_part.data[entry])

    def hand_over(self) -> None:
        """Give the steps that were taken back to others of the same KPI, as near in the organization as can be."""
        parts = self.parts
        missing = np.zeros(len(parts), dtype=np.int64)
        child = np.flatnonzero(parts.parent >= 0)
        np.add.at(missing, parts.parent[child], (self.start - self.counts)[child] * ~parts.is_inner[child])
        inner = np.flatnonzero(parts.is_inner)
        for part in inner[np.argsort(-parts.depth[inner], kind="stable")].tolist():
            left = self._raise_below(part, int(missing[part]), nearest=True)
            if parts.parent[part] >= 0:
                missing[parts.parent[part]] += left
            else:
                self._raise_below(part, left, nearest=False)

    def _raise_below(self, part: int, missing: int, *, nearest: bool) -> int:
        """Raise parts below one by single steps; return how many steps nobody could take.

        With `nearest`, no part goes beyond the next count above its unrounded value.
        """
        parts = self.parts
        while missing > 0:
            below = np.arange(part + 1, parts.last[part])
            goal = np.ceil(parts.steps[below]) if nearest else parts.high[below]
            able = (self.counts[below] < np.minimum(goal, parts.high[below])) & ~self.full[below]
            below = below[able & ~parts.is_inner[below]]
            short = parts.steps[below] - self.counts[below]
            taken = self._raise_in_turn(below[np.argsort(-np.round(short, 6), kind="stable")], missing)
            if not taken:
                break
            missing -= taken
        return missing

    def _raise_in_turn(self, candidates: NDArray[np.integer], missing: int) -> int:
        """Raise candidates one after the other where all of their limits have room; return how many were."""
        taken = 0
        columns = self.by_part
        for part in candidates.tolist():
            if taken == missing:
                break
            here = slice(columns.indptr[part], columns.indptr[part + 1])
            row, rate = columns.indices[here], columns.data[here]
            if np.any((rate > 0.0) & (rate > self.room[row])):
                self.full[part] = True
                continue
            self.counts[part] += 1
            self.room[row] -= rate
            taken += 1
        return taken
