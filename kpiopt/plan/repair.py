"""Bring rounded counts back inside capacities and budgets, keeping totals where the limits let them.

Rounding up costs a little more than the unrounded plan; where a limit binds that is too much. Single parts of the
broken limit go down one step, those that were rounded up most first. Then, from the lowest unit up, other parts of the
same KPI with room in all of their own limits take these steps over, so that the totals above them stay. Where none has
room, short chains of exchanges make some. What nobody can take is lost to the total.
"""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.plan.limits import LimitRows
from kpiopt.plan.parts import Parts, binned
from kpiopt.scenario.scenario import Floats, Integers

PASSES = 10  # a limit can only break anew while others are repaired where some rate is below 0
CHAIN = 3  # exchanges in a row
WIDTH = 24  # parts tried at each of them
TRIES = 5_000  # exchanges tried in all
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
        self.room, self.stretch = rows.room_left(parts, counts), rows.stretch_at(parts, counts)
        self.group, self.floor = rows.group, rows.floor
        self.cells_of_row, self.rows_of_cell = rows.use, rows.use.tocsc()
        self.parts_of_cell, self.cells_of_part = rows.move, rows.move.tocsc()
        self.full = np.zeros(len(parts), dtype=bool)
        self.whole, self.left = _over_horizon(parts, counts)
        self.tries = float(TRIES)

    def lower(self) -> None:
        """Take steps back in every broken limit, those of the lowest units first."""
        for _ in range(PASSES):
            broken = self.room < 0.0
            for group in np.unique(self.group[broken]).tolist():
                while self._lower_in(np.flatnonzero((self.room < 0.0) & (self.group == group))):
                    pass
            if not np.any(self.room[broken] >= 0.0):
                return

    def _lower_in(self, rows: Positions) -> bool:
        """Take one step from as many parts as each of some disjoint limits needs; tell whether there was one."""
        row, member, rate = self._saved(rows)
        excess = self.counts[member] - self.parts.steps[member]
        able = (rate > 0.0) & self._can_fall(member)
        rounded_up = able & (excess > 0.0)
        has_rounded_up = np.bincount(row[rounded_up], minlength=len(rows)) > 0
        use = np.flatnonzero(np.where(has_rounded_up[row], rounded_up, able))
        use = use[np.lexsort((-member[use], -binned(excess[use]), row[use]))]
        use = use[_first_of_each(self.whole[member[use]])]  # two periods of one target, one after the other
        taken = np.cumsum(rate[use]) - rate[use]
        first = np.searchsorted(row[use], row[use])
        needed = taken - taken[first] < -self.room[rows][row[use]]
        self._move(member[use[needed]], -1)
        return bool(np.any(needed))

    def _givers(self, row: int) -> tuple[Positions, Floats]:
        """Parts of a limit that can go down and their rates, those farthest above their unrounded value first."""
        _, member, rate = self._saved(np.array([row]))
        able = (rate > 0.0) & self._can_fall(member)
        member, rate = member[able], rate[able]
        order = np.lexsort((-member, -binned(self.counts[member] - self.parts.steps[member])))
        return member[order], rate[order]

    def _can_fall(self, member: Positions) -> NDArray[np.bool_]:
        """Which parts can go down by a step, over the horizon as well."""
        whole = self.whole[member]
        return np.asarray((self.counts[member] > self.parts.low[member]) & ((whole < 0) | (self.left[whole] > 0)))

    def _move(self, moved: Positions, by: int) -> None:
        """Move some parts by one step and book what that takes of each limit."""
        entry, _ = _entries(self.cells_of_part, moved)
        cell, place = np.unique(self.cells_of_part.indices[entry], return_inverse=True)
        before = self.stretch[cell]
        self.counts[moved] += by
        np.add.at(self.left, self.whole[moved], by)
        self.stretch[cell] += by * np.bincount(place, self.cells_of_part.data[entry], len(cell))
        taken = np.maximum(self.stretch[cell], self.floor[cell]) - np.maximum(before, self.floor[cell])
        entry, line = _entries(self.rows_of_cell, cell)
        np.subtract.at(self.room, self.rows_of_cell.indices[entry], taken[line] * self.rows_of_cell.data[entry])

    def _saved(self, rows: Positions) -> tuple[Positions, Positions, Floats]:
        """What a step down of each part saves in some limits: position in `rows`, part and amount."""
        entry, line = _entries(self.cells_of_row, rows)
        cell = self.cells_of_row.indices[entry]
        at, of = _entries(self.parts_of_cell, cell)
        saved = self.cells_of_row.data[entry][of] * -self._taken(cell[of], -self.parts_of_cell.data[at])
        return _merged(line[of], self.parts_of_cell.indices[at], saved)

    def _asked(self, some: Positions) -> tuple[Positions, Positions, Floats]:
        """What a step up of some parts takes of every limit that it counts in: position in `some`, limit and amount."""
        entry, line = _entries(self.cells_of_part, some)
        cell = self.cells_of_part.indices[entry]
        at, of = _entries(self.rows_of_cell, cell)
        taken = self.rows_of_cell.data[at] * self._taken(cell, self.cells_of_part.data[entry])[of]
        return _merged(line[of], self.rows_of_cell.indices[at], taken)

    def _taken(self, cell: Positions, change: Floats) -> Floats:
        """What changes of stretch change where they count, (n,) float."""
        stretch, floor = self.stretch[cell], self.floor[cell]
        return np.asarray(np.maximum(stretch + change, floor) - np.maximum(stretch, floor))

    def hand_over(self) -> None:
        """Give the steps that were taken back to others of the same KPI, as near in the organization as can be."""
        parts = self.parts
        missing = np.zeros(len(parts), dtype=np.int64)
        child = np.flatnonzero(parts.parent >= 0)
        np.add.at(missing, parts.parent[child], (self.start - self.counts)[child] * ~parts.is_inner[child])
        inner = np.flatnonzero(parts.is_inner)
        tops = []
        for part in inner[np.argsort(-parts.depth[inner], kind="stable")].tolist():
            if missing[part]:
                missing[part] = self._raise_below(part, int(missing[part]), nearest=True)
            if parts.parent[part] >= 0:
                missing[parts.parent[part]] += missing[part]
            else:
                tops.append(part)
        for top in tops:
            missing[top] = self._raise_below(top, int(missing[top]), nearest=False)
        for top in tops:
            while missing[top] > 0 and any(self._exchange(top, chain) for chain in range(1, CHAIN + 1)):
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
            _, row, rate = self._asked(np.array([part]))
            if np.any((rate > 0.0) & (rate > self.room[row])):
                self.full[part] = True
                continue
            self._move(np.array([part]), 1)
            taken += 1
        return taken

    def _exchange(self, top: int, chain: int, row: int = -1) -> bool:
        """Raise some part below a top, making room by lowering another, whose own KPI is then served alike."""
        takers = self._takers(top, nearest=False)
        for part in _in_turn(takers, self._modest(takers, row)):
            self.tries -= 1.0 + (self.parts.last[top] - top) / 1000.0
            if self.tries < 0.0:
                return False
            self._move(np.array([part]), 1)
            if self._make_room(part, chain):
                return True
            self._move(np.array([part]), -1)
        return False

    def _modest(self, takers: Positions, row: int) -> Positions:
        """Takers below their unrounded value that only one limit blocks, those first that take least of it.

        The limit is `row`, or the one that blocks most of the takers where `row` is -1.
        """
        line, rows, rate = self._asked(takers)
        blocks = (rate > 0.0) & (rate > self.room[rows])
        if row < 0:
            row = int(np.bincount(rows[blocks], minlength=1).argmax())
        free = np.bincount(line[blocks & (rows != row)], minlength=len(takers)) == 0
        share = np.bincount(line, np.where(rows == row, rate, 0.0), len(takers))
        modest = np.flatnonzero(free & (self.counts[takers] < self.parts.steps[takers]))
        return takers[modest[np.argsort(share[modest], kind="stable")]]

    def _make_room(self, part: int, chain: int) -> bool:
        """Lower one part so that the limits of a raised one hold again; leave everything as it was if none helps."""
        _, rows, _ = self._asked(np.array([part]))
        broken = rows[self.room[rows] < 0.0]
        if not len(broken):
            return True
        if not chain:
            return False
        row = int(broken[0])
        givers, rate = self._givers(row)
        enough = (rate >= -self.room[row]) & (givers != part)
        givers, rate = givers[enough], rate[enough]
        high = np.flatnonzero(self.counts[givers] > self.parts.steps[givers])
        for giver in _in_turn(givers, givers[high[np.argsort(-rate[high], kind="stable")]]):
            self._move(np.array([giver]), -1)
            if np.all(self.room[rows] >= 0.0) and (
                self.parts.parent[giver] < 0 or self._exchange(int(self.parts.top[giver]), chain - 1, row)
            ):
                return True
            self._move(np.array([giver]), 1)
        return False


def _over_horizon(parts: Parts, counts: Integers) -> tuple[Integers, Integers]:
    """Return which target over the horizon each part of a flow is a period of, and how many steps that can go down.

    Others have none: -1, for which the last entry stands.
    """
    whole, left = np.full(len(parts), -1, dtype=np.int64), [np.zeros(0, dtype=np.int64)]
    for flow in parts.flows:
        whole[flow.part] = sum(map(len, left)) + np.arange(flow.part.shape[1])
        left.append(counts[flow.part].sum(axis=0) - flow.low)
    return whole, np.append(np.concatenate(left), 0)


def _first_of_each(whole: Integers) -> Positions:
    """Return the positions of those that belong to no target over the horizon, and of the first of each, in order."""
    _, first = np.unique(whole, return_index=True)
    return np.flatnonzero((whole < 0) | np.isin(np.arange(len(whole)), first))


def _in_turn(first: Positions, second: Positions) -> list[int]:
    """Take the beginnings of two orders in turn, each part once, WIDTH parts in all."""
    pairs = zip_longest(first[:WIDTH].tolist(), second[:WIDTH].tolist())
    return list(dict.fromkeys(part for pair in pairs for part in pair if part is not None))[:WIDTH]


def _merged(line: Positions, other: Positions, amount: Floats) -> tuple[Positions, Positions, Floats]:
    """Add up amounts of the same pair: a step of a stock moves the stretch of two periods."""
    if not len(line):
        return line, other, amount
    width = int(other.max()) + 1
    pair, place = np.unique(line * width + other, return_inverse=True)
    return pair // width, pair % width, np.bincount(place, amount).astype(np.float64)


def _entries(matrix: sp.csr_array | sp.csc_array, lines: Positions) -> tuple[Positions, Positions]:
    """Positions of the entries of some rows (columns) of a sparse matrix, and which of the lines each belongs to."""
    start = matrix.indptr[lines]
    length = matrix.indptr[lines + 1] - start
    line = np.repeat(np.arange(len(lines)), length)
    return (start - np.cumsum(length) + length)[line] + np.arange(len(line)), line
