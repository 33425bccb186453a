"""Bring rounded counts back inside capacities and budgets, keeping totals where the limits let them.

Rounding up costs a little more than the unrounded plan; where a limit binds that is too much. Single parts of the
broken limit go down one step, those that were rounded up most first. Then, from the lowest unit up, other parts of the
same KPI with room in all of their own limits take these steps over, so that the totals above them stay. Where none has
room, short chains of exchanges make some. What nobody can take is lost to the total.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.plan.limits import LimitRows
from kpiopt.plan.parts import Parts, binned
from kpiopt.scenario.scenario import Integers

PASSES = 10  # a limit can only break anew while others are repaired where some rate is below 0
CHAIN = 3  # exchanges in a row
WIDTH = 24  # parts tried at each of them
TRIES = 20_000  # exchanges tried in all
Positions = NDArray[np.integer]


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
        self.start = counts
        self.counts = counts.copy()
        self.room = rows.room_left(parts, counts)
        self.by_row = rows.matrix
        self.by_part = rows.matrix.tocsc()
        self.full = np.zeros(len(parts), dtype=bool)
        self.tries = float(TRIES)

    def lower(self) -> None:
        """Take steps back in every broken limit, the narrowest first."""
        width = np.diff(self.by_row.indptr)
        for _ in range(PASSES):
            broken = np.flatnonzero(self.room < 0.0)
            for row in broken[np.argsort(width[broken], kind="stable")].tolist():
                while self.room[row] < 0.0 and self._lower_in(row):
                    pass
            if not np.any(self.room[broken] >= 0.0):
                return

    def _lower_in(self, row: int) -> bool:
        """Take one step from as many parts of a limit as it needs; tell whether there was one to take."""
        member, rate, excess = self._givers(row)
        if not len(member):
            return False
        rounded_up = excess > 0.0
        if np.any(rounded_up):
            member, rate = member[rounded_up], rate[rounded_up]
        enough = int(np.searchsorted(np.cumsum(rate), -self.room[row])) + 1
        self._move(member[:enough], -1)
        return True

    def _givers(self, row: int) -> tuple[Positions, NDArray[np.float64], NDArray[np.float64]]:
        """Parts of a limit that can go down, their rates and excess over the unrounded value, largest excess first."""
        here = slice(self.by_row.indptr[row], self.by_row.indptr[row + 1])
        member, rate = self.by_row.indices[here], self.by_row.data[here]
        able = (rate > 0.0) & (self.counts[member] > self.parts.low[member])
        member, rate = member[able], rate[able]
        excess = self.counts[member] - self.parts.steps[member]
        order = np.lexsort((-member, -binned(excess)))
        return member[order], rate[order], excess[order]

    def _move(self, moved: Positions, by: int) -> None:
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
        tops = []
        for part in inner[np.argsort(-parts.depth[inner], kind="stable")].tolist():
            missing[part] = self._raise_below(part, int(missing[part]), nearest=True)
            if parts.parent[part] >= 0:
                missing[parts.parent[part]] += missing[part]
            else:
                tops.append(part)
        for top in tops:
            missing[top] = self._raise_below(top, int(missing[top]), nearest=False)
        for top in tops:
            while missing[top] > 0 and self._exchange(top, CHAIN):
                missing[top] -= 1

    def _raise_below(self, part: int, missing: int, *, nearest: bool) -> int:
        """Raise parts below one by single steps; return how many steps nobody could take.

        With `nearest`, no part goes beyond the next count above its unrounded value.
        """
        while missing > 0:
            takers = self._takers(part, nearest=nearest)
            taken = self._raise_in_turn(takers[~self.full[takers]], missing)
            if not taken:
                break
            missing -= taken
        return missing

    def _takers(self, part: int, *, nearest: bool) -> Positions:
        """Parts below one whose box lets them go up, those farthest below their unrounded value first."""
        parts = self.parts
        below = np.arange(part + 1, parts.last[part])
        highest = np.minimum(parts.high[below], np.ceil(parts.steps[below])) if nearest else parts.high[below]
        below = below[(self.counts[below] < highest) & ~parts.is_inner[below]]
        return below[np.argsort(-binned(parts.steps[below] - self.counts[below]), kind="stable")]

    def _raise_in_turn(self, candidates: Positions, missing: int) -> int:
        """Raise candidates one after the other where all of their limits have room; return how many were."""
        taken = 0
        for part in candidates.tolist():
            if taken == missing:
                break
            here = slice(self.by_part.indptr[part], self.by_part.indptr[part + 1])
            row, rate = self.by_part.indices[here], self.by_part.data[here]
            if np.any((rate > 0.0) & (rate > self.room[row])):
                self.full[part] = True
                continue
            self.counts[part] += 1
            self.room[row] -= rate
            taken += 1
        return taken

    def _exchange(self, top: int, chain: int) -> bool:
        """Raise some part below a top, making room by lowering another, whose own KPI is then served alike."""
        for part in self._takers(top, nearest=False)[:WIDTH].tolist():
            self.tries -= 1.0 + (self.parts.last[top] - top) / 1000.0
            if self.tries < 0.0:
                return False
            self._move(np.array([part]), 1)
            if self._make_room(part, chain):
                return True
            self._move(np.array([part]), -1)
        return False

    def _make_room(self, part: int, chain: int) -> bool:
        """Lower one part so that the limits of a raised one hold again; leave everything as it was if none helps."""
        rows = self.by_part.indices[self.by_part.indptr[part] : self.by_part.indptr[part + 1]]
        broken = rows[self.room[rows] < 0.0]
        if not len(broken):
            return True
        if not chain:
            return False
        givers, rate, _ = self._givers(int(broken[0]))
        for giver in givers[(rate >= -self.room[broken[0]]) & (givers != part)][:WIDTH].tolist():
            self._move(np.array([giver]), -1)
            if np.all(self.room[rows] >= 0.0) and (
                self.parts.parent[giver] < 0 or self._exchange(int(self.parts.top[giver]), chain - 1)
            ):
                return True
            self._move(np.array([giver]), 1)
        return False
