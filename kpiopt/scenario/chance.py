"""Peers asked for equal odds: the stretch that each cell attains with the same probability, by its own chances.

A cell attains its target b + x where its baseline exceeds its mean b by more than what execution leaves of x undone:
D >= x (1 - xi), in the KPI's direction. D has the cell's own noise, and what noise of its causes at its unit brings
over the horizon, as if each were drawn by itself: of that a fitted baseline keeps only the rest as its own. X_n(p) is
the stretch with which cell n has the odds p, and x_n / X_n is what fairness compares. The odds p are those with which
the X_n of a KPI come to what its goal needs; where no goal tells, they are half-way between those of no stretch and
those of an endless one.

Where execution is above 1 as often as D is above 0, odds do not fall with stretch. There X_n(p) is the quantile of D
itself: the target that the cell reaches of its own accord with the odds p, 30 % where no goal tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.links import Driver
from kpiopt.scenario.quantity import Quantity
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
    """Return which cells' baselines are uncertain, by themselves or by a cause, (n,) bool."""
    noises = _Noises(scenario)
    return np.array([noises.is_uncertain(at) for at in cell.tolist()], dtype=bool)


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
    horizon, noises = scenario.horizon, _Noises(scenario)
    sign = scenario.kpi_sign[horizon.kpi[cell]].tolist()
    rows = [_quantiles(s * noises.whole(at)) for s, at in zip(sign, cell.tolist(), strict=True)]
    return np.array(rows).reshape(len(cell), FINE)


class _Noises:
    """How far baselines are from their means: what is a cell's own, and what noise of causes brings it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, horizon = scenario, scenario.horizon
        self.sd, self.additive = _noise(scenario, np.arange(len(horizon.baseline)))
        self.row = {pair: i for i, pair in enumerate(zip(horizon.unit.tolist(), horizon.kpi.tolist(), strict=True))}
        self.acts = {d.path: frozenset(d.units.tolist()) for kpi in scenario.kpis.values() for d in kpi.drivers}

    def own(self, at: int) -> Floats:
        """Return a cell's own deviations, equally likely, in the KPI's unit, (k,) float."""
        horizon = self.scenario.horizon
        mean, sd, quantity = float(horizon.baseline[at]), float(self.sd[at]), horizon.baseline_quantity.get(at)
        drawn = np.array([mean]) if quantity is None else quantity.quantile(_middles(GRID))
        from scipy.special import ndtri  # 0.1 s that most plans do not need for planning

        z = ndtri(_middles(FINE if quantity is None else GRID))
        values = drawn[:, None] + sd * z if self.additive[at] else drawn[:, None] * np.exp(sd * z - sd**2 / 2)
        return np.asarray(values - mean).ravel()

    def whole(self, at: int) -> Floats:
        """Return a cell's deviations with all that noise of its causes at its unit brings, (k,) float."""
        found = self.own(at)
        for driver, cause in self.causes(at):
            reach = self._reach(int(self.scenario.horizon.kpi[at]), driver)
            brought = self._of_factor(driver, reach) if cause is None else reach.sum() * self.whole(cause)
            each = _quantiles(brought)[:, None] * _contributions(driver)
            found = (_quantiles(found)[:, None] + _quantiles(each)).ravel()
        return found

    def is_uncertain(self, at: int) -> bool:
        """Whether a cell's baseline or a cause of it at its unit scatters."""
        if at in self.scenario.horizon.baseline_quantity or self.sd[at] > 0.0:
            return True
        return any(cause is None or self.is_uncertain(cause) for _, cause in self.causes(at))

    def causes(self, at: int) -> Iterator[tuple[Driver, int | None]]:
        """Yield the causes that act at a cell's unit and scatter, with their cell; None for factors."""
        horizon = self.scenario.horizon
        unit, kpi = int(horizon.unit[at]), int(horizon.kpi[at])
        for driver in self.scenario.kpis[self.scenario.kpi_ids[kpi]].drivers:
            reach = self._reach(kpi, driver)
            if unit not in self.acts[driver.path] or driver.slope == 0.0 or not reach.any():
                continue
            if driver.is_factor:
                if next(self._drawn(driver, reach), None):
                    yield driver, None
                continue
            cause = self.row.get((unit, self.scenario.kpi_position[driver.cause]))
            if cause is not None and self.is_uncertain(cause):
                yield driver, cause

    def _reach(self, kpi: int, driver: Driver) -> Floats:
        """Return how much of a contribution the horizon has from the cause in each period, (T,) float: lags take some.

        Of a flow's total, each period has its share; what else is a cause holds in every period.
        """
        kpis, periods = self.scenario.kpis, self.scenario.periods
        if periods is None:
            return np.array([float(driver.lag == 0)])
        flows = not driver.is_factor and kpis[driver.cause].kind == "flow"
        last = len(periods) - 1
        if kpis[self.scenario.kpi_ids[kpi]].kind == "stock":
            arrives = periods.left(np.full(last + 1, kpi), np.arange(last + 1)) if flows else np.eye(last + 1)[last]
        else:
            arrives = np.ones(last + 1) if flows else periods.season[kpi]
        found = np.append(arrives[driver.lag :], np.zeros(min(driver.lag, last + 1)))
        return found * periods.season[self.scenario.kpi_position[driver.cause]] if flows else found

    def _drawn(self, driver: Driver, reach: Floats) -> Iterator[tuple[Quantity, float]]:
        """Yield the uncertain values of a factor and how much of a contribution the horizon has from each."""
        for factor in self.scenario.factors.values():
            share = float(reach.sum() if factor.period < 0 else reach[factor.period])
            if factor.cause == driver.cause and share != 0.0 and not factor.value.is_number:
                yield factor.value, share

    def _of_factor(self, driver: Driver, reach: Floats) -> Floats:
        """Return the deviations of a factor over the horizon, each of its values drawn by itself, (k,) float."""
        found = np.zeros(1)
        for value, share in self._drawn(driver, reach):
            each = share * (value.quantile(_middles(FINE)) - value.mean)
            found = (_quantiles(found)[:, None] + each).ravel()
        return found


def _quantiles(values: Floats) -> Floats:
    """Return the quantiles of equally likely values, (FINE,) float, ascending."""
    return np.asarray(np.quantile(values, _middles(FINE), method="hazen"))


def _contributions(driver: Driver) -> Floats:
    """Return equally likely contributions of a driver at one unit, (k,) float."""
    drawn = (
        np.broadcast_to(driver.contribution.quantile(_middles(GRID)), GRID) if driver.curve is None else driver.slope
    )
    sd = np.sqrt(np.log1p(driver.between**2))
    from scipy.special import ndtri

    moved = np.exp(sd * ndtri(_middles(GRID)) - sd**2 / 2) if sd > 0.0 else np.ones(1)
    return np.outer(drawn, moved).ravel()


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
