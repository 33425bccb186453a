"""Cells over the horizon become one cell for each period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.periods import Periods, spread_noise
from kpiopt.scenario.scenario import Cells, Floats, Scenario


def spread_over_periods(scenario: Scenario) -> Scenario:
    """Return the scenario with one cell for each cell and period; itself where there are no periods."""
    periods = scenario.periods
    if periods is None:
        return scenario
    noise = spread_noise(scenario.noise, periods, _share(scenario, periods, scenario.cells))
    return with_cells(replace(scenario, noise=noise), scenario.cells)


def with_cells(scenario: Scenario, whole: Cells) -> Scenario:
    """Return the scenario in which other things are said about the same (unit, KPI) pairs over the horizon."""
    periods = scenario.periods
    if periods is None:
        return replace(scenario, cells=whole)
    return replace(scenario, cells=_by_period(scenario, periods, whole), whole=whole)


def _share(scenario: Scenario, periods: Periods, whole: Cells) -> Floats:
    """Part of what is said about the horizon's value that a period has, (n_cells * T,) float."""
    kinds = np.array([kpi.kind for kpi in scenario.kpis.values()] + [""], dtype=object)[whole.kpi]
    return np.where((kinds == "flow")[:, None], periods.season[whole.kpi], 1.0).ravel()


def _by_period(scenario: Scenario, periods: Periods, whole: Cells) -> Cells:
    """Spread cells: what a person fixed or allowed holds for the sum over the periods."""
    count, share = len(periods), _share(scenario, periods, whole)

    def each(values: NDArray[np.float64]) -> Floats:
        return np.repeat(values, count)

    lock = np.where(whole.lock == 0.0, 0.0, np.nan)
    low = np.where(whole.lock < 0.0, whole.lock, 0.0)
    high = np.where(np.isnan(whole.lock), whole.max_stretch, np.maximum(whole.lock, 0.0))
    largest = np.where(periods.by_period[:, None], periods.season[whole.kpi], 1.0).ravel()
    return Cells(
        unit=np.repeat(whole.unit, count),
        kpi=np.repeat(whole.kpi, count),
        baseline=each(whole.baseline) * share,
        baseline_quantity={},
        min_stretch=each(low),
        max_stretch=each(high) * largest,
        has_decision=np.repeat(whole.has_decision, count),
        lock=each(lock),
        reference=each(whole.reference) * share,
        pay_rate=each(whole.pay_rate),
        weight=each(whole.weight),
        size=each(whole.size),
        effort={resource: each(effort) for resource, effort in whole.effort.items()},
        execution=np.repeat(whole.execution, count),
        lock_reason=periods.rows(whole.lock_reason),
        growth=None,
        lock_owner=periods.rows(whole.lock_owner),
    )
