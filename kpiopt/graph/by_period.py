"""What is asked of a cell over the horizon, spread over its periods as a spreadsheet would."""

from __future__ import annotations

import numpy as np

from kpiopt.scenario.scenario import Floats, Integers, Scenario


def season_of_stretch(scenario: Scenario) -> Floats:
    """Return the share of a stretch over the horizon that stands in each period, (n_kpis, T) float: the KPI's season.

    One column of ones where there are no periods.
    """
    return np.ones((len(scenario.kpis), 1)) if scenario.periods is None else scenario.periods.season


def added_by_stretch(scenario: Scenario, period: int = -1) -> Floats:
    """Return what one of a stretch in each period adds to a value, (n_kpis, T) float.

    Parameters
    ----------
    period : int
        The period whose value it is; -1 for the horizon.
    """
    periods = scenario.periods
    if periods is None:
        return np.ones((len(scenario.kpis), 1))
    kinds = np.array([kpi.kind for kpi in scenario.kpis.values()], dtype=object)[:, None]
    each = np.arange(len(periods))
    last = len(periods) - 1 if period < 0 else period
    left = np.where(each <= last, periods.carry[:, None] ** np.maximum(last - each, 0), 0.0)
    own = np.ones(len(periods)) if period < 0 else (each == period).astype(np.float64)
    rate = own if period < 0 else own / periods.season
    return np.where(kinds == "stock", left, np.where(kinds == "rate", rate, own))


def stretch_for_change(scenario: Scenario, period: int = -1) -> Floats:
    """Return the stretches by period that change a value by 1, (n_kpis, T) float: by season, those that reach it.

    Of a stock they are equal in all periods until then.

    Parameters
    ----------
    period : int
        The period whose value it is; -1 for the horizon.
    """
    adds = added_by_stretch(scenario, period)
    share = np.where(adds > 0.0, season_of_stretch(scenario), 0.0)
    return np.asarray(share / (share * adds).sum(axis=1, keepdims=True))


def over_periods(scenario: Scenario, wanted: Floats, share: Floats) -> Floats:
    """Return what is wanted of the cells of `scenario.horizon` by period, (n_cells,) float.

    Parameters
    ----------
    wanted : (n_horizon_cells,) float
    share : (n_kpis, T) float
        By KPI and period.
    """
    return (wanted[:, None] * share[scenario.horizon.kpi]).ravel()


def locked_stretch(scenario: Scenario) -> Floats:
    """Return what locks fix of each cell: over the horizon by season, where single periods have none; NaN elsewhere.

    A lock of a total is about the cells below it, and fixes none of them.
    """
    lock = scenario.horizon.lock.copy()
    lock[scenario.totals.cell] = np.nan
    locked = over_periods(scenario, lock, season_of_stretch(scenario))
    single = None if scenario.periods is None else scenario.periods.single
    if single is None:
        return locked
    own, rest = single.lock, lock - np.nansum(single.lock, axis=1)
    share = np.where(np.isnan(own), season_of_stretch(scenario)[scenario.horizon.kpi], 0.0)
    total = share.sum(axis=1, keepdims=True)
    left = rest[:, None] * share / np.where(total > 0.0, total, 1.0)
    mixed = np.where(np.isnan(own), left, own).ravel()
    has_own = np.repeat(~np.isnan(own).all(axis=1), scenario.n_periods)
    return np.where(has_own, mixed, locked)


def node_periods(scenario: Scenario, period: int) -> int:
    """Return a period in whose nodes the roll-up of a value can be followed; that of the horizon is as in any."""
    return -1 if scenario.periods is None else max(period, 0)


def rows_of(scenario: Scenario, cell: Integers) -> Integers:
    """Return the rows in `scenario.cells` of cells of the horizon, (n, T) int."""
    return cell[:, None] * scenario.n_periods + np.arange(scenario.n_periods)


def rolled_up(baseline: Floats, edges: tuple[Integers, Integers, Floats], depth: Integers) -> Floats:
    """Return the baselines of all nodes of one period from those of the nodes that nothing rolls up to.

    Parameters
    ----------
    edges : children, parents and coefficients
    depth : (n_nodes,) int
        Depth of each node's unit.
    """
    child, parent, coefficient = edges
    baseline = baseline.copy()
    baseline[parent] = 0.0
    for level in range(int(depth.max(initial=0)), 0, -1):
        here = depth[child] == level
        baseline += np.bincount(parent[here], coefficient[here] * baseline[child[here]], len(baseline))
    return baseline


def baselines_by_period(
    scenario: Scenario,
    baseline: Floats,
    share: Floats,
    cell: Integers,
    edges: tuple[Integers, Integers, Floats],
    depth: Integers,
) -> tuple[Floats, Floats]:
    """Return the baselines of the nodes of all periods, and which part each has of what is drawn over the horizon.

    A period has its share of the horizon's baseline, or what rows of single periods say.

    Parameters
    ----------
    baseline : (n,) float
        Over the horizon.
    share : (T * n,) float
        Part of it that each period has.
    cell : (n,) int
        Row in `scenario.horizon`, -1 where there is none.
    edges, depth
        As in `rolled_up`.
    """
    assert scenario.periods is not None
    periods, spread = scenario.periods, np.tile(baseline, scenario.n_periods) * share
    if periods.single is None:
        return spread, share
    own = np.asarray(~np.isnan(periods.single.baseline).all(axis=1))
    here = np.flatnonzero((cell >= 0) & own[cell])
    moved = spread.reshape(len(periods), -1)
    moved[:, here] = scenario.cells.baseline.reshape(-1, len(periods))[cell[here]].T
    found, whole = (
        np.concatenate([rolled_up(values, edges, depth) for values in moved]),
        np.tile(baseline, len(periods)),
    )
    return found, np.where(whole != 0.0, found / np.where(whole != 0.0, whole, 1.0), share)
