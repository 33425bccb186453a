"""Targets of flows, exact over units and over periods.

The two families of sums, children to their parent in every period and periods to the horizon at every unit, make a
network, so that a rounding exists in which every target and every sum of it is one of the two multiples next to its
unrounded value. It is found from the top down: the top takes in each period what brings its total so far nearest to the
plan's; below it, period by period, the steps of a parent go to the children that are farthest behind their own total
so far. A child whose total over the horizon is then more than a step off exchanges steps with its siblings within
periods, along a shortest chain, until it is not.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from kpiopt.plan.parts import FlowParts, Parts, binned, nearest, noise, snapped
from kpiopt.scenario.scenario import Floats, Integers


def tops_over_time(parts: Parts, flow: FlowParts) -> Integers:
    """Return counts of the tops of a flow in each period, (T, m) int: totals so far are nearest to the plan's."""
    steps = np.cumsum(parts.value[flow.part], axis=0) / parts.step[flow.part]
    # What ranges over the horizon keep from the nearest total is spread over the periods.
    total = np.clip(nearest(snapped(steps[-1])), flow.low, flow.high)
    missing = np.where(total == nearest(snapped(steps[-1])), 0.0, total - steps[-1])
    share = np.arange(1, len(steps) + 1)[:, None] / len(steps)
    so_far = nearest(snapped(steps + missing * share))
    counts = np.diff(so_far, axis=0, prepend=0)
    return np.clip(counts, parts.low[flow.part], parts.high[flow.part])


def range_over_time(parts: Parts, flow: FlowParts) -> tuple[Integers, Integers]:
    """Return the least and the largest count over the horizon that each part should have, a pair of (m,) int."""
    steps = snapped(parts.value[flow.part].sum(axis=0) / parts.step[flow.part[0]])
    floor, ceil = np.floor(steps).astype(np.int64), np.ceil(steps).astype(np.int64)
    return np.clip(floor, flow.low, flow.high), np.clip(ceil, flow.low, flow.high)


def apportion_over_time(parts: Parts, flow: FlowParts, counts: Integers, low: Integers, high: Integers) -> Integers:
    """Split the counts of the tops of a flow down the organization, period by period.

    Parameters
    ----------
    counts : (T, m) int
        Those of the tops are kept.
    low, high : (T, m) int
        Counts next to the unrounded value that a subtree can take in each period.

    Returns
    -------
    (T, m) int
    """
    n_periods = len(flow.part)
    first = int(flow.part[0, 0])
    parent = np.where(parts.parent[flow.part[0]] >= 0, parts.parent[flow.part[0]] - first, -1)
    depth = parts.depth[flow.part[0]]
    so_far = np.cumsum(parts.value[flow.part], axis=0) / parts.step[flow.part]
    least, most = range_over_time(parts, flow)
    for level in np.unique(depth[parent >= 0]).tolist():
        child = np.flatnonzero((parent >= 0) & (depth == level))
        given = np.zeros(len(child), dtype=np.int64)
        for t in range(n_periods):
            behind = so_far[t, child] - given - low[t, child]
            quantum = noise(so_far[t, child])
            share = _hand_out(
                counts[t, parent[child]],
                parent[child],
                behind,
                quantum,
                low[t, child],
                high[t, child],
                counts[t, child],
            )
            counts[t, child] = share
            given += share
        off = np.flatnonzero((given < least[child]) | (given > most[child]))
        for top in np.unique(parent[child[off]]).tolist():
            mine = child[parent[child] == top]
            counts[:, mine] = _exchange(counts[:, mine], low[:, mine], high[:, mine], least[mine], most[mine])
    return counts


def _hand_out(
    total: Integers, parent: Integers, behind: Floats, quantum: Floats, low: Integers, high: Integers, usual: Integers
) -> Integers:
    """Return low plus one step for those farthest behind, so that children add up to their parent.

    Where a parent's count is beyond what its children should have, they keep the usual split.
    """
    parents, group = np.unique(parent, return_inverse=True)
    extra = np.zeros(len(parents), dtype=np.int64)
    extra[group] = total
    np.subtract.at(extra, group, low)
    takers = np.flatnonzero(high > low)
    order = takers[np.lexsort((-binned(behind[takers], quantum[takers].max(initial=1e-6)), group[takers]))]
    rank = np.arange(len(order)) - np.searchsorted(group[order], group[order])
    share = low.copy()
    share[order] += rank < extra[group[order]]
    np.subtract.at(extra, group, share - low)
    return np.where(extra[group] == 0, share, usual)


def _exchange(counts: Integers, low: Integers, high: Integers, least: Integers, most: Integers) -> Integers:
    """Bring totals over the horizon of some siblings into their ranges, totals in each period unchanged.

    Parameters
    ----------
    counts, low, high : (T, n) int
    least, most : (n,) int
        Range of each sibling's total.
    """
    counts = counts.copy()
    for _ in range(2 * counts.size):
        total = counts.sum(axis=0)
        over, under = np.flatnonzero(total > most), np.flatnonzero(total < least)
        if len(over):
            chain = _chain(counts, low, high, int(over[0]), total < most, down=True)
        elif len(under):
            chain = _chain(counts, low, high, int(under[0]), total > least, down=False)
        else:
            break
        if chain is None:
            break
        for period, loses, gains in chain:
            counts[period, loses] -= 1
            counts[period, gains] += 1
    return counts


def _chain(
    counts: Integers, low: Integers, high: Integers, start: int, ends: NDArray[np.bool_], *, down: bool
) -> list[tuple[int, int, int]] | None:
    """Return a shortest chain of exchanges (period, who loses, who gains) that moves a step from or to `start`."""
    n_periods = len(counts)
    before: dict[int, tuple[int, int]] = {start: (-1, -1)}
    queue = deque([start])
    while queue:
        at = queue.popleft()
        if at != start and ends[at]:
            chain = []
            while at != start:
                period, previous = before[at]
                chain.append((period, previous, at) if down else (period, at, previous))
                at = previous
            return chain
        for period in range(n_periods):
            can = counts[period, at] > low[period, at] if down else counts[period, at] < high[period, at]
            if not can:
                continue
            other = counts[period] < high[period] if down else counts[period] > low[period]
            for following in np.flatnonzero(other).tolist():
                if following not in before:
                    before[following] = (period, at)
                    queue.append(following)
    return None
