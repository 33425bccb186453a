"""Efficient frontiers: plans that no other beats in two measures, their knees, and the price of the next point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpiopt.scenario.scenario import Floats, Integers

LEAST_BEND = 0.05
"""A knee stands out from the line between the frontier's ends by at least this share of its height."""

SAME = 1e-9
"""Measures that differ by less, relative to their size, are the same."""


@dataclass(frozen=True)
class Frontier:
    """The efficient points of two measures.

    Attributes
    ----------
    x_name, y_name : str
        The measures; less of x is better, more (or less) of y.
    points : (n,) int
        Positions of the efficient points, by ascending x.
    x, y : (n,) float
        Their measures.
    knees : (n_knees,) int
        Positions in `points` at which the gain begins to fall off.
    more_is_better : bool
        Whether more of y is better.
    all_x, all_y : (n_points,) float
        The measures of all points; NaN where a point has no plan.
    """

    x_name: str
    y_name: str
    points: Integers
    x: Floats
    y: Floats
    knees: Integers
    more_is_better: bool
    all_x: Floats
    all_y: Floats

    @property
    def prices(self) -> Floats:
        """What the step to the next point costs: more of x per unit that y becomes better, (n - 1,) float."""
        gain = np.diff(self.y if self.more_is_better else -self.y)
        return np.diff(self.x) / gain


def find_frontier(x_name: str, x: Floats, y_name: str, y: Floats, *, more_is_better: bool = True) -> Frontier:
    """Find the efficient points, and the knees among them.

    Parameters
    ----------
    x, y : (n,) float
        Measures of all points; NaN where a point has no plan.
    more_is_better : bool
        Whether more of y is better; less of x always is.
    """
    gain = y if more_is_better else -y
    points = efficient_points(x, gain)
    knees = find_knees(x[points], gain[points])
    return Frontier(x_name, y_name, points, x[points], y[points], knees, more_is_better, x, y)


def efficient_points(cost: Floats, gain: Floats) -> Integers:
    """Return the points that no other beats: none costs at most as much and gains at least as much, one of it strictly.

    Of equal points the first stands for all. By ascending cost, (n,) int.
    """
    known = np.flatnonzero(np.isfinite(cost) & np.isfinite(gain))
    level = _levels(cost[known])
    order = np.lexsort((known, -gain[known], level))
    best, kept, last = -np.inf, [], -1
    for i in order.tolist():
        is_better = gain[known[i]] > best + SAME * max(1.0, abs(best) if np.isfinite(best) else 0.0)
        if is_better and level[i] > last:
            kept.append(int(known[i]))
            best, last = gain[known[i]], level[i]
    return np.array(kept, dtype=np.int64)


def _levels(values: Floats) -> Integers:
    """Number values by size; what differs by rounding only has the same number, (n,) int."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    steps = np.diff(ordered) > SAME * np.maximum(1.0, np.abs(ordered[1:]))
    level = np.empty(len(values), dtype=np.int64)
    level[order] = np.concatenate([[0], np.cumsum(steps)]) if len(values) else 0
    return level


def find_knees(cost: Floats, gain: Floats) -> Integers:
    """Return the knees of a frontier: where a little more cost begins to bring much less gain.

    Both measures are scaled to 0 … 1; candidates are the local maxima of gain - cost, and one is a knee where the
    difference falls by more than the mean step of cost before the next local maximum (Kneedle; Satopää, Albrecht, Irwin
    & Raghavan 2011, doi:10.1109/ICDCSW.2011.20, with sensitivity 1 and no smoothing, as plans have no noise to smooth).
    Candidates below or hardly above the line between the ends are left out: there a frontier does not bend down.

    Parameters
    ----------
    cost, gain : (n,) float
        Of efficient points, both ascending.
    """
    if len(cost) < 3:
        return np.empty(0, dtype=np.int64)
    x, y = _scaled(cost), _scaled(gain)
    above = y - x
    peaks = np.flatnonzero((above[1:-1] >= above[:-2]) & (above[1:-1] > above[2:])) + 1
    fall = float(np.mean(np.diff(x)))
    ends = [*peaks[1:].tolist(), len(above)]
    knees = [
        peak
        for peak, end in zip(peaks.tolist(), ends, strict=False)
        if above[peak] >= LEAST_BEND and above[peak + 1 : end].min() < above[peak] - fall
    ]
    return np.array(knees, dtype=np.int64)


def _scaled(values: Floats) -> Floats:
    span = values[-1] - values[0]
    return (values - values[0]) / span if span > 0 else np.zeros(len(values))
