"""Peers asked for equal odds: the stretch that each cell attains with the same probability, by its own chances.

A cell attains its target b + x where its baseline exceeds its mean b by more than what execution leaves of x undone:
D >= x (1 - xi), in the KPI's direction. X_n(p) is the stretch with which cell n has the odds p, and x_n / X_n is what
fairness compares. The odds p are those with which the X_n of a KPI come to what its goal needs; where no goal tells,
they are half-way between those of no stretch and those of an endless one.

Where execution is above 1 as often as D is above 0, odds do not fall with stretch. There X_n(p) is the quantile of D
itself: the target that the cell reaches of its own accord with the odds p, 30 % where no goal tells.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from kpiopt.scenario.scenario import Floats, Integers, Scenario

OWN_ACCORD = 0.3
"""Odds of reaching the target of its own accord, where no goal tells."""
APART = 0.02
"""Least difference of odds between no stretch and an endless one that tells cells apart."""
GRID, FINE, HALVINGS = 41, 201, 50
SIZES = np.geomspace(1e-4, 1e3, 141)
"""Stretches at which odds are computed, as shares of the range of a cell's baseline."""


def chance_scale(scenario: Scenario, cell: Integers, pool: Integers, brings: Floats, gap: Floats) -> Floats:
    """Return X_n of some cells, (n,) float, in the KPI's unit.

    Parameters
    ----------
    cell : (n,) int
        Rows of `scenario.horizon`, each with an uncertain baseline.
    pool : (n,) int
        The cells that have the same odds together, by number.
    brings : (n,) float
        What one of each cell's stretch brings to the goal of its pool.
    gap : (n_pools,) float
        What the goal of each pool needs; NaN where none tells.
    """
    beyond = _baselines(scenario, cell)
    done = _executions(scenario, cell)
    found = np.empty(len(cell))
    for number in np.unique(pool).tolist():
        here = np.flatnonzero(pool == number)
        chances = _Chances(beyond[here], done[here])
        found[here] = chances.stretch(chances.odds_for(brings[here], float(gap[number])))
    return found


def has_chance(scenario: Scenario, cell: Integers) -> NDArray[np.bool_]:
    """Return which cells' baselines are uncertain, (n,) bool."""
    horizon, noise = scenario.horizon, scenario.noise
    drawn = np.array([i in horizon.baseline_quantity for i in cell.tolist()], dtype=bool)
    return drawn if noise is None else drawn | (_noise(scenario, cell)[0] > 0.0)


def keeps_its_odds(scenario: Scenario, cell: Integers) -> NDArray[np.bool_]:
    """Return whose odds hardly fall however much is asked, (n,) bool: no stretch of theirs has less odds than others.

    Parameters
    ----------
    cell : (n,) int
        Rows of `scenario.horizon`, each with an uncertain baseline.
    """
    chances = _Chances(_baselines(scenario, cell), _executions(scenario, cell))
    return np.asarray(chances.end > chances.start - APART)


class _Chances:
    """X_n(p) of the cells of a pool, from quantiles of D (n, FINE) and of execution (n, GRID)."""

    def __init__(self, beyond: Floats, done: Floats) -> None:
        self.beyond, self.done, self.share = beyond, done, _middles(FINE)
        self.span = np.maximum(beyond[:, -1] - beyond[:, 0], 1e-300)
        self.start = np.array([1.0 - np.interp(0.0, row, self.share, 0.0, 1.0) for row in beyond])
        self.end = np.mean(np.where(done < 1.0, 0.0, np.where(done > 1.0, 1.0, self.start[:, None])), axis=1)
        self.falls = bool(self.end.max() <= self.start.min() - APART)
        self.low = float(self.end.max()) + 1e-3 if self.falls else 1e-3
        self.high = float(self.start.min()) - 1e-3

    @cached_property
    def odds(self) -> Floats:
        """Odds of each cell at each of the stretches, (n, len(SIZES)) float."""
        rows = zip(self.beyond, 1.0 - self.done, self.span, strict=True)
        return np.array([self._odds(row, left, span) for row, left, span in rows])

    def _odds(self, beyond: Floats, left: Floats, span: float) -> Floats:
        """Odds of attaining each of the stretches, falling, (len(SIZES),) float."""
        needed = np.outer(SIZES * span, left)
        odds = 1.0 - np.interp(needed, beyond, self.share, left=0.0, right=1.0).mean(axis=1)
        falling: Floats = np.minimum.accumulate(odds)
        return falling

    def stretch(self, odds: float) -> Floats:
        """Return X_n of these odds, (n,) float, above 0."""
        if self.falls:
            found = [np.interp(-odds, -row, SIZES) * span for row, span in zip(self.odds, self.span, strict=True)]
        else:
            found = [np.interp(1.0 - odds, self.share, row) for row in self.beyond]
        above: Floats = np.maximum(np.array(found), 1e-6 * self.span)
        return above

    def odds_for(self, brings: Floats, gap: float) -> float:
        """Return the odds with which the stretches come to a gap, as far as they can."""
        if not gap > 0.0 or not np.any(brings > 0.0):
            return 0.5 * (self.low + self.high) if self.falls else min(OWN_ACCORD, self.high)
        low, high = self.low, self.high
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            enough = float(brings @ self.stretch(middle)) >= gap
            low, high = (middle, high) if enough else (low, middle)
        return low


def _middles(count: int) -> Floats:
    """Shares in the middle of so many equal parts."""
    return (np.arange(count) + 0.5) / count


def _baselines(scenario: Scenario, cell: Integers) -> Floats:
    """Return quantiles of D, the baseline beyond its mean in the KPI's direction, (n, FINE) float, ascending."""
    horizon, points = scenario.horizon, _middles(FINE)
    found, (sds, additive) = np.empty((len(cell), FINE)), _noise(scenario, cell)
    for i, at in enumerate(cell.tolist()):
        mean, sign = float(horizon.baseline[at]), float(scenario.kpi_sign[horizon.kpi[at]])
        quantity = horizon.baseline_quantity.get(at)
        drawn = np.array([mean]) if quantity is None else quantity.quantile(_middles(GRID))
        sd = float(sds[i])
        z = ndtri(points if quantity is None else _middles(GRID))
        values = drawn[:, None] + sd * z if additive[i] else drawn[:, None] * np.exp(sd * z - sd**2 / 2)
        found[i] = np.quantile(sign * (values - mean), points, method="hazen")
    return found


def _noise(scenario: Scenario, cell: Integers) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the sd of the noise of cells over the horizon, 0 where there is none, and which of it is additive."""
    noise = scenario.noise
    if noise is None:
        return np.zeros(len(cell)), np.zeros(len(cell), dtype=bool)
    count = 1 if scenario.whole is None else scenario.n_periods
    additive = np.array([*noise.additive, False])[noise.group[cell * count]]
    flow = np.array([kpi.kind == "flow" for kpi in scenario.kpis.values()], dtype=bool)[scenario.horizon.kpi[cell]]
    each = noise.sd.reshape(-1, count)[cell]
    return np.where(additive & flow, each.sum(axis=1), each[:, 0]), additive


def _executions(scenario: Scenario, cell: Integers) -> Floats:
    """Return quantiles of execution, (n, GRID) float."""
    each = np.array([np.broadcast_to(q.quantile(_middles(GRID)), GRID) for q in scenario.uncertainty.execution])
    return each[scenario.horizon.execution[cell]]
