"""Largest-remainder apportionment down the organization, on whole counts of steps.

From the top down, each unit's count of steps is split among its children: every child gets its unrounded value rounded
down, and the steps that are left go to the largest remainders, ties to the lowest unit id. Among all splits of the
unit's count this one has the least sum of absolute deviations [1]_. Boxes of cells are kept: a range of counts that
each subtree can take is summed from the bottom up first.

References
----------
.. [1] M. L. Balinski, H. P. Young, "Fair Representation", 2nd ed., Brookings Institution Press, 2001 (Hamilton's
   method).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.plan.over_time import apportion_over_time, tops_over_time
from kpiopt.plan.parts import Parts, binned, nearest, noise
from kpiopt.scenario.scenario import Floats, Integers


def apportion(parts: Parts) -> Integers:
    """Round every part to a count of steps so that each inner part is exactly the sum of its children.

    The top of a roll-up, and every target that is rounded on its own, takes the nearest count, halves up, as far as
    the boxes below allow.

    Parameters
    ----------
    parts : Parts
        With `low <= high` everywhere.

    Returns
    -------
    (m,) int
        Counts of steps in the KPI's sense.
    """
    low, high = preferred_range(parts)
    counts = np.clip(nearest(parts.steps), parts.low, parts.high)
    for flow in parts.flows:
        counts[flow.part] = tops_over_time(parts, flow)
    for children in reversed(parts.children_by_depth):
        counts[children] = _split(parts, children, counts, low, high)
    for flow in parts.flows:
        counts[flow.part] = apportion_over_time(parts, flow, counts[flow.part], low[flow.part], high[flow.part])
    return counts


def preferred_range(parts: Parts) -> tuple[Integers, Integers]:
    """Counts next to the unrounded value that a subtree can take when each of its parts does the same.

    Returns
    -------
    pair of (m,) int
        Least and largest; they differ by at most 1.
    """
    low, high = np.zeros((2, len(parts)), dtype=np.int64)
    floor, ceil = np.floor(parts.steps).astype(np.int64), np.ceil(parts.steps).astype(np.int64)
    least, most = np.where(parts.is_inner, 0, parts.low), np.where(parts.is_inner, 0, parts.high)

    def settle(some: NDArray[np.intp] | Integers) -> None:
        low[some] = np.clip(np.clip(floor[some], least[some], most[some]), parts.low[some], parts.high[some])
        high[some] = np.clip(np.clip(ceil[some], least[some], most[some]), parts.low[some], parts.high[some])

    for children in parts.children_by_depth:
        settle(children)
        np.add.at(least, parts.parent[children], low[children])
        np.add.at(most, parts.parent[children], high[children])
    settle(np.flatnonzero(parts.parent < 0))
    return low, high


def _split(parts: Parts, children: Integers, counts: Integers, low: Integers, high: Integers) -> Integers:
    """Split the counts of some parents among all their children, which are given in unit order."""
    parents, group = np.unique(parts.parent[children], return_inverse=True)
    left = counts[parents]
    np.subtract.at(left, group, low[children])
    takers = np.flatnonzero(high[children] > low[children])
    remainder = parts.steps[children[takers]] - low[children[takers]]
    rank = _rank(group[takers], remainder, noise(parts.steps[parents])[group[takers]])
    shares = low[children].copy()
    shares[takers] += rank < left[group[takers]]
    np.subtract.at(left, group, shares - low[children])
    for stuck in np.flatnonzero(left).tolist():
        mine = np.flatnonzero(group == stuck)
        sign = 1 if left[stuck] > 0 else -1
        bound = parts.high if sign > 0 else parts.low
        room = sign * (bound[children[mine]] - shares[mine])
        shares[mine] += sign * spread(sign * int(left[stuck]), room)
    return shares


def _rank(group: Integers, remainder: Floats, quantum: Floats) -> Integers:
    """Position of each member in its group, largest remainder first, ties in the order given, (n,) int."""
    order = np.lexsort((-binned(remainder, quantum), group))
    ordered = group[order]
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return rank


def spread(amount: int, room: Integers) -> Integers:
    """Hand out whole steps as evenly as the room of each member allows, the first members first.

    Parameters
    ----------
    amount : int
        At most the sum of `room`.
    room : (n,) int

    Returns
    -------
    (n,) int
    """
    lowest, highest = 0, int(room.max(initial=0))
    while lowest < highest:
        level = (lowest + highest + 1) // 2
        if int(np.minimum(room, level).sum()) <= amount:
            lowest = level
        else:
            highest = level - 1
    given = np.minimum(room, lowest)
    more = np.flatnonzero(room > lowest)[: amount - int(given.sum())]
    given[more] += 1
    return given
