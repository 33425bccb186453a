"""What a plan that no program made does not keep: every kind of row and box that limits the plans of the program.

One function for each kind, as it is written in `program/formulation/`: a test holds that a plan without a finding is
one that the program allows, and that one with a finding is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from kpiopt.graph import CausalGraph, build_graph
from kpiopt.graph.capacities import capacity_names, season_of_capacity
from kpiopt.graph.effort import counted_stretch
from kpiopt.plan.chosen import spared_cells
from kpiopt.plan.limits import sum_below
from kpiopt.plan.plan import rolled_up_stretch
from kpiopt.plan.split_rule import reach_locks
from kpiopt.program.formulation.compared import compare_plan, needs_mean, peer_shares
from kpiopt.program.order.prices import LimitResult
from kpiopt.program.trust.tolerances import USED_UP, is_exceeded, is_used_up
from kpiopt.run.run import BrokenLimit
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation.hits import fall_short


def broken_anywhere(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """Yield what a plan does not keep, and with their names what only variants of a robust plan have against it.

    Parameters
    ----------
    stretch : (n_cells,) float
        What is asked of every cell; initiatives are at 0.
    """
    own = list(_broken(graph, stretch))
    yield from own
    for variant, other in graph.scenario.robust:
        theirs = build_graph(other)
        if len(theirs.cell_node) == len(stretch):
            for limit in _broken(theirs, stretch):
                if limit not in own:
                    yield replace(limit, name=f"{limit.name} ({variant})")


def _broken(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    for limit in use_of_limits(graph, stretch):
        if is_exceeded(limit.limit, limit.used):
            yield BrokenLimit(limit.name, limit.limit, limit.used)
    yield from _initiatives(graph.scenario)
    yield from _numbers_of_kpis(graph, stretch)
    yield from _in_periods(graph, stretch)
    yield from _ranges(graph, stretch)
    yield from _totals(graph, stretch)
    yield from _bounds(graph, stretch)
    yield from _near_peers(graph, stretch)
    yield from _hard_goals(graph, stretch)


def over_horizon(scenario: Scenario, stretch: Floats) -> Floats:
    """Return the stretch of each cell over the horizon, (n_horizon_cells,) float."""
    return np.bincount(scenario.cell_base, stretch, len(scenario.horizon)).astype(np.float64)


def use_of_limits(graph: CausalGraph, stretch: Floats) -> tuple[LimitResult, ...]:
    """Return what stretches use of every capacity and budget, initiatives at 0."""
    scenario, units, cells = graph.scenario, graph.scenario.units, graph.scenario.cells
    worked, counted, found = np.maximum(stretch, 0.0), counted_stretch(graph, stretch), []
    for resource, capacity in units.capacity.items():
        effort = cells.effort.get(resource, np.zeros(len(cells))) * counted
        holder = np.flatnonzero(~np.isnan(capacity))
        share, names = season_of_capacity(scenario, resource, holder), capacity_names(scenario, resource, holder)
        used = np.array([sum_below(units, by_unit)[holder] for by_unit in _by_period(scenario, effort)])
        for i, (name, limit) in enumerate(zip(names, (share * capacity[holder]).ravel().tolist(), strict=True)):
            period = scenario.period_name(i // len(holder))
            found.append(_limit(name, resource, limit, float(used.flat[i]), period))
    paid = _by_period(scenario, np.nan_to_num(cells.pay_rate) * worked)
    pay = paid + np.nan_to_num(units.target_incentive) / len(paid)
    for budget in scenario.budgets.values():
        spent = pay[:, budget.scope : units.end[budget.scope]].sum(axis=1) * (budget.resource == "pay")
        if not budget.by_period:
            found.append(_limit(f"budget.{budget.id}", budget.resource, budget.limit, float(spent.sum())))
            continue
        for t, used_up in enumerate(spent.tolist()):
            name, period = f"budget.{budget.id}/{scenario.period_name(t)}", scenario.period_name(t)
            found.append(_limit(name, budget.resource, budget.limit, used_up, period))
    return tuple(found)


def _by_period(scenario: Scenario, amounts: Floats) -> Floats:
    """Sum amounts of cells by period and unit, (T, n_units) float; one row where there are no periods."""
    count, n_units = scenario.n_periods, len(scenario.units)
    row = np.maximum(scenario.cell_period, 0) * n_units + scenario.cells.unit
    return np.bincount(row, amounts, count * n_units).astype(np.float64).reshape(count, n_units)


def _limit(name: str, resource: str, limit: float, used: float, period: str | None = None) -> LimitResult:
    return LimitResult(name, resource, float(limit), float(used), is_used_up(limit, used), period=period)


def _value(graph: CausalGraph, stretch: Floats) -> Floats:
    """Return the expected value of every node without initiatives, bounds of KPIs not applied, (n_nodes,) float."""
    return np.asarray(graph.baseline + graph.expected_change(stretch, np.zeros(graph.n_levels)))


def _hard_goals(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """Goals that every plan has to meet on average; promised odds are told with the goals."""
    hard = [(i, goal) for i, goal in enumerate(graph.scenario.goals.values()) if goal.hard and goal.p_min is None]
    if not hard:
        return
    value = _value(graph, stretch)
    met = fall_short(graph, value)[1]
    for i, goal in hard:
        if not met[i]:
            yield BrokenLimit(f"goal.{goal.id}", goal.target, float(value[graph.goal_node(goal)]))


def _initiatives(scenario: Scenario) -> Iterator[BrokenLimit]:
    """Initiatives that run in every plan."""
    for initiative in scenario.initiatives.values():
        if initiative.levels and initiative.levels[0] > 0.0:  # there is none here
            for unit in initiative.units.tolist():
                yield BrokenLimit(f"initiative.{initiative.id}@{scenario.units.ids[unit]}", initiative.levels[0], 0.0)


def _numbers_of_kpis(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """Yield the units that answer for more KPIs than the plan may choose, or for one that weighs too little."""
    chosen = graph.scenario.chosen
    if chosen is None:
        return
    kept = ~spared_cells(graph, stretch)[chosen.cell]
    answers = np.bincount(chosen.of_unit, kept, len(chosen.unit)).astype(np.int64) + chosen.n_locked
    for place in np.flatnonzero(answers > chosen.most).tolist():
        where = f"assign.{chosen.name[place]}@{graph.scenario.units.ids[chosen.unit[place]]}"
        yield BrokenLimit(where, float(chosen.most[place]), float(answers[place]))
    for at in np.flatnonzero(kept & chosen.light).tolist():
        where = f"assign.{chosen.name[chosen.of_unit[at]]}@{graph.node_name(int(graph.whole_node[chosen.cell[at]]))}"
        yield BrokenLimit(where, 0.0, 1.0)
    held = graph.scenario.horizon.min_stretch[chosen.cell] > 0.0
    may_fill = np.bincount(chosen.of_unit, ~held & ~chosen.light, len(chosen.unit)).astype(np.int64)
    asked = np.bincount(chosen.of_unit, held & kept, len(chosen.unit)).astype(np.int64)
    got = asked + may_fill + chosen.n_locked
    for place in np.flatnonzero(got < chosen.least).tolist():
        where = f"assign.{chosen.name[place]}@{graph.scenario.units.ids[chosen.unit[place]]}"
        yield BrokenLimit(where, float(chosen.least[place]), float(got[place]))


def _ranges(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """Ranges and locks of cells; a lock counts whatever the range says."""
    scenario, cells, node = graph.scenario, graph.scenario.horizon, graph.whole_node
    fixed, spared = over_horizon(scenario, reach_locks(graph, stretch)), spared_cells(graph, stretch)
    stretch = over_horizon(scenario, stretch)
    size = np.maximum(np.abs(cells.baseline), scenario.kpi_step[cells.kpi])
    near = USED_UP * np.maximum(size, np.abs(stretch))
    for name, bound, beyond in (
        ("max_stretch", cells.max_stretch, stretch - cells.max_stretch),
        ("min_stretch", cells.min_stretch, cells.min_stretch - stretch),
    ):
        for cell in np.flatnonzero((beyond > near) & ~cells.is_locked & ~spared).tolist():
            yield BrokenLimit(f"{name}@{graph.node_name(int(node[cell]))}", float(bound[cell]), float(stretch[cell]))
    locked = np.setdiff1d(np.flatnonzero(cells.is_locked), scenario.totals.cell)
    for cell in locked[np.abs(stretch - fixed)[locked] > near[locked]].tolist():
        yield BrokenLimit(f"lock@{graph.node_name(int(node[cell]))}", float(fixed[cell]), float(stretch[cell]))


def _totals(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """Ranges and locks of totals, each against the roll-up of the stretches below; a locked target as the stretch.

    That is the one with which the total would be asked for its target.
    """
    totals = graph.scenario.totals
    if not len(totals.cell):
        return
    node = graph.whole_node[totals.cell]
    used = rolled_up_stretch(graph, over_horizon(graph.scenario, stretch))[node]
    near = USED_UP * np.maximum(np.abs(graph.baseline[node]), np.maximum(np.abs(used), 1.0))
    asked = graph.baseline + graph.asked_change(stretch, np.zeros(graph.n_levels))
    fixed = used + graph.sign[node] * (totals.target - asked[node])
    lock = np.where(np.isnan(fixed), np.where(totals.is_locked, totals.low, np.nan), fixed)
    has_range = ~totals.is_locked
    for name, bound, broken in (
        ("max_stretch", totals.high, has_range & (used - totals.high > near)),
        ("min_stretch", totals.low, has_range & (totals.low - used > near)),
        ("lock", lock, np.abs(used - lock) > near),
    ):
        for i in np.flatnonzero(broken).tolist():
            yield BrokenLimit(f"{name}@{graph.node_name(int(node[i]))}", float(bound[i]), float(used[i]))


def _bounds(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """Bounds of KPIs that values leave; the plan is judged as if they came to the bound."""
    node = graph.bounded
    if not len(node):
        return
    value, (low, high) = _value(graph, stretch)[node], graph.bounds[:, node]
    near = USED_UP * np.maximum(np.abs(graph.baseline[node]), np.maximum(np.abs(value), 1e-3))
    for name, bound, broken in (("max", high, value - high > near), ("min", low, low - value > near)):
        for i in np.flatnonzero(broken).tolist():
            yield BrokenLimit(f"{name}@{graph.node_name(int(node[i]))}", float(bound[i]), float(value[i]))


def _near_peers(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """The band around the mean of peers, and guardrails beside it; in what is compared, relative stretch or load."""
    scenario = graph.scenario
    if not needs_mean(scenario):
        return
    compared, values = compare_plan(graph, stretch, np.zeros(graph.n_levels))
    mean = (np.bincount(compared.group, values, len(compared.count)) / compared.count)[compared.group]
    none, band = np.full(len(values), np.nan), scenario.fairness.band
    width = none if band is None else np.full(len(values), band)
    least, most = (none, none) if scenario.fairness.measure == "load" else peer_shares(graph)
    near = USED_UP * np.maximum(np.abs(values), np.maximum(np.abs(mean), 1e-3))
    for name, bound, broken in (
        ("fairness.band", mean + width, values - mean - width > near),
        ("fairness.band", mean - width, mean - width - values > near),
        ("most", most * mean, values - most * mean > near),
        ("least", least * mean, least * mean - values > near),
    ):
        for i in np.flatnonzero(broken).tolist():
            yield BrokenLimit(f"{name}@{compared.label(i)}", float(bound[i]), float(values[i]))


def _in_periods(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
    """Yield what is not kept in single periods: their ranges, their locks, and ramps between them.

    Where a cell falls below its range over the horizon, that says it for the periods too.
    """
    scenario, periods, cells = graph.scenario, graph.scenario.periods, graph.scenario.cells
    if periods is None:
        return
    share = periods.season[cells.kpi, scenario.cell_period] * graph.stretch_scale
    near = USED_UP * np.maximum(share, np.abs(stretch))
    said = scenario.horizon.is_locked if periods.single is None else scenario.horizon.is_locked & ~periods.single.said
    held = (periods.by_period & ~said)[scenario.cell_base]
    locked = np.zeros(len(cells), dtype=bool)
    whole, of_horizon = over_horizon(scenario, stretch), scenario.horizon.min_stretch
    below = (whole - of_horizon >= -USED_UP * np.maximum(np.abs(whole), np.abs(of_horizon)))[scenario.cell_base]
    if periods.single is not None:
        locked, below = ~np.isnan(periods.single.lock.ravel()), below | ~np.isnan(periods.single.min_stretch.ravel())
        held = held | ~np.isnan(periods.single.max_stretch.ravel())
    for name, bound, broken in (
        ("max_stretch", cells.max_stretch, held & ~locked & (stretch - cells.max_stretch > near)),
        ("min_stretch", cells.min_stretch, below & ~locked & (cells.min_stretch - stretch > near)),
        ("lock", cells.lock, locked & (np.abs(stretch - np.nan_to_num(cells.lock)) > near)),
    ):
        for cell in np.flatnonzero(broken).tolist():
            where = graph.node_name(int(graph.cell_node[cell]))
            yield BrokenLimit(f"{name}@{where}", float(bound[cell]), float(stretch[cell]))
    change = np.abs(np.diff(stretch / np.where(share > 0.0, share, 1.0), prepend=0.0))
    ramp = np.where(scenario.cell_period > 0, periods.ramp[scenario.cell_base], np.nan)
    for cell in np.flatnonzero(change - ramp > USED_UP * np.maximum(change, 1.0)).tolist():
        yield BrokenLimit(f"ramp@{graph.node_name(int(graph.cell_node[cell]))}", float(ramp[cell]), float(change[cell]))
