"""A plan that no program made, judged like one: odds, pay, fairness, and the limits that it would break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from kpiopt.graph import CausalGraph, build_graph
from kpiopt.graph.capacities import capacity_names, season_of_capacity
from kpiopt.graph.effort import counted_stretch
from kpiopt.plan import Plan, build_plan
from kpiopt.plan.chosen import spared_cells
from kpiopt.plan.given_plan import read_given_plan
from kpiopt.plan.limits import sum_below
from kpiopt.plan.split_rule import SplitPlan, parse_rule, reach_locks, split_gaps
from kpiopt.program.order.prices import LimitResult
from kpiopt.program.trust.arrays import dot
from kpiopt.program.trust.tolerances import USED_UP, is_exceeded, is_used_up
from kpiopt.run.promised import PromiseResult, about_odds
from kpiopt.run.run import BrokenLimit, GoalResult, JudgedPlan, Spending
from kpiopt.scenario.peers import peer_groups
from kpiopt.scenario.scenario import Cells, Floats, Scenario
from kpiopt.simulation.hits import fall_short
from kpiopt.simulation.results import Simulation

Draw = Callable[[Plan], Simulation]


def judge_rule(graph: CausalGraph, rule: str, draw: Draw | None = None) -> JudgedPlan:
    """Judge the plan that a spreadsheet would give, or one made elsewhere.

    Parameters
    ----------
    rule : str
        As `parse_rule` reads it: a rule, or the name of a table.
    draw : callable, optional
        Estimates the odds of a plan.

    Raises
    ------
    UsageError
        Where there is no such rule, or the cells have not what it needs.
    TableError
        With all that is wrong in the table.
    """
    read = parse_rule(rule)
    given = read_given_plan(graph, Path(rule)) if read.kind == "table" else split_gaps(graph, read)
    return judge_plan(graph, rule, given, draw)


def judge_plan(graph: CausalGraph, label: str, given: SplitPlan, draw: Draw | None = None) -> JudgedPlan:
    """Judge what is asked of every cell, without any initiative.

    Parameters
    ----------
    label : str
        What the plan is called.
    draw : callable, optional
        Estimates the odds of a plan.
    """
    stretch = given.stretch
    plan = round_freely(graph, stretch)
    limits = use_of_limits(graph, stretch)
    simulation = draw(plan) if draw else None
    if simulation:
        plan = plan.annotate(odds=np.vstack([simulation.node_odds, simulation.node_intervals]))
    worst, fairness = stretches(graph, stretch)
    return JudgedPlan(
        label=label,
        plan=plan,
        goals=goal_results(plan),
        limits=limits,
        spending=_spending(graph, stretch),
        simulation=simulation,
        broken=tuple(_broken_anywhere(graph, stretch, limits)),
        worst_stretch=worst,
        fairness=fairness,
        notes=given.notes,
    )


def round_freely(graph: CausalGraph, stretch: Floats) -> Plan:
    """Build and round a plan that need not keep any limit: totals add up, and nothing is moved into a range."""
    scenario = graph.scenario
    cells = _opened(scenario, scenario.cells, stretch)
    whole = None if scenario.whole is None else _opened(scenario, scenario.whole, over_horizon(scenario, stretch))
    units = replace(scenario.units, capacity={})
    opened = replace(scenario, cells=cells, whole=whole, units=units, budgets={})
    plan = build_plan(replace(graph, scenario=opened), stretch, np.zeros(graph.n_levels))
    return replace(plan, graph=graph)


def _opened(scenario: Scenario, cells: Cells, stretch: Floats) -> Cells:
    """Widen the ranges that a stretch leaves."""
    step = scenario.kpi_step[cells.kpi]
    return replace(
        cells,
        min_stretch=np.where(stretch < cells.min_stretch, stretch - step, cells.min_stretch),
        max_stretch=np.where(stretch > cells.max_stretch, stretch + step, cells.max_stretch),
        has_decision=cells.has_decision | (stretch != 0.0),
        lock=np.where(stretch == cells.lock, cells.lock, np.nan) if len(cells) != len(scenario.horizon) else cells.lock,
    )


def over_horizon(scenario: Scenario, stretch: Floats) -> Floats:
    """Return the stretch of each cell over the horizon, (n_horizon_cells,) float."""
    return np.bincount(scenario.cell_base, stretch, len(scenario.horizon)).astype(np.float64)


def goal_results(plan: Plan, promises: tuple[PromiseResult, ...] = ()) -> tuple[GoalResult, ...]:
    """Compare every goal with the plan value at its node, or with what was promised of its odds."""
    graph, units = plan.graph, plan.graph.scenario.units
    short, met = about_odds(graph, *fall_short(graph, plan.expected), promises)
    return tuple(
        GoalResult(
            goal,
            units.ids[goal.unit],
            float(graph.baseline[node]),
            goal.target,
            float(plan.expected[node]),
            float(plan.asked[node]),
            float(short[i]),
            bool(met[i]),
        )
        for i, goal in enumerate(graph.scenario.goals.values())
        for node in [graph.goal_node(goal)]
    )


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


def _spending(graph: CausalGraph, stretch: Floats) -> Spending:
    scenario = graph.scenario
    whole = [b.limit for b in scenario.budgets.values() if b.resource == "pay" and b.scope == 0 and not b.by_period]
    incentives = float(np.nansum(scenario.units.target_incentive))
    paid = dot(np.nan_to_num(scenario.cells.pay_rate), np.maximum(stretch, 0.0))
    return Spending(incentives + paid, min(whole, default=None), 0.0)


def _broken_anywhere(graph: CausalGraph, stretch: Floats, limits: tuple[LimitResult, ...]) -> Iterator[BrokenLimit]:
    """Yield what a plan does not keep, and with their names what only variants of a robust plan have against it."""
    own = list(_broken(graph, stretch, limits))
    yield from own
    for variant, other in graph.scenario.robust:
        theirs = build_graph(other)
        if len(theirs.cell_node) == len(stretch):
            for limit in _broken(theirs, stretch, use_of_limits(theirs, stretch)):
                if limit not in own:
                    yield replace(limit, name=f"{limit.name} ({variant})")


def _broken(graph: CausalGraph, stretch: Floats, limits: tuple[LimitResult, ...]) -> Iterator[BrokenLimit]:
    """Yield capacities, budgets, initiatives that must run and ranges of cells that are not kept.

    A lock counts whatever the range says.
    """
    for limit in limits:
        if is_exceeded(limit.limit, limit.used):
            yield BrokenLimit(limit.name, limit.limit, limit.used)
    for initiative in graph.scenario.initiatives.values():
        if initiative.levels and initiative.levels[0] > 0.0:  # it runs in every plan, and there is none here
            for unit in initiative.units.tolist():
                where = f"{initiative.id}@{graph.scenario.units.ids[unit]}"
                yield BrokenLimit(f"initiative.{where}", initiative.levels[0], 0.0)
    yield from _too_many_kpis(graph, stretch)
    scenario, cells, node = graph.scenario, graph.scenario.horizon, graph.whole_node
    fixed, spared = over_horizon(scenario, reach_locks(graph, stretch)), spared_cells(graph, stretch)
    by_period, stretch = stretch, over_horizon(scenario, stretch)
    yield from _broken_in_periods(graph, by_period)
    size = np.maximum(np.abs(cells.baseline), graph.scenario.kpi_step[cells.kpi])
    near = USED_UP * np.maximum(size, np.abs(stretch))
    for name, bound, beyond in (
        ("max_stretch", cells.max_stretch, stretch - cells.max_stretch),
        ("min_stretch", cells.min_stretch, cells.min_stretch - stretch),
    ):
        for cell in np.flatnonzero((beyond > near) & ~cells.is_locked & ~spared).tolist():
            yield BrokenLimit(f"{name}@{graph.node_name(int(node[cell]))}", float(bound[cell]), float(stretch[cell]))
    locked = np.flatnonzero(cells.is_locked)
    for cell in locked[np.abs(stretch - fixed)[locked] > near[locked]].tolist():
        yield BrokenLimit(f"lock@{graph.node_name(int(node[cell]))}", float(fixed[cell]), float(stretch[cell]))


def _broken_in_periods(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
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


def _too_many_kpis(graph: CausalGraph, stretch: Floats) -> Iterator[BrokenLimit]:
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


def stretches(graph: CausalGraph, stretch: Floats) -> tuple[float, float | None]:
    """Return the largest relative stretch, and the value of the step "fairness"; None without peers."""
    scenario, cells, size = graph.scenario, graph.scenario.horizon, graph.stretch_scale
    relative = over_horizon(scenario, stretch / np.where(size > 0.0, size, 1.0))
    cell = np.flatnonzero(cells.has_decision & ~cells.is_locked)
    worst = float(relative[~cells.is_locked].max(initial=0.0))
    if not len(cell):
        return worst, None
    peers = peer_groups(scenario, cell, np.arange(len(cell)))
    largest = np.full(len(peers.count), -np.inf)
    np.maximum.at(largest, peers.group, relative[cell])
    return worst, float(peers.count @ largest / peers.count.sum())
