"""A plan that no program made, judged like one: odds, pay, fairness, and the limits that it would break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph
from kpiopt.graph.effort import counted_stretch
from kpiopt.plan import Plan, build_plan
from kpiopt.plan.given_plan import read_given_plan
from kpiopt.plan.limits import sum_below
from kpiopt.plan.split_rule import SplitPlan, parse_rule, reach_locks, split_gaps
from kpiopt.program.order.prices import LimitResult
from kpiopt.program.trust.arrays import dot
from kpiopt.program.trust.tolerances import USED_UP
from kpiopt.run.promised import PromiseResult, about_odds
from kpiopt.run.run import BrokenLimit, GoalResult, JudgedPlan, Spending
from kpiopt.scenario.peers import peer_groups
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation import Simulation
from kpiopt.simulation.hits import fall_short

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
    if graph.scenario.periods is not None:
        fix = "leave it out, or judge it without [periods]"
        why = "a rule splits the gap of one period and a table names the targets of one, and the plan has several"
        raise UsageError(Problem("E-periods-rule", f"{rule} cannot be judged", why, fix))
    given = read_given_plan(graph, Path(rule)) if read.kind == "table" else split_gaps(graph, read)
    return judge_plan(graph, rule, given, draw)


def judge_plan(graph: CausalGraph, label: str, given: SplitPlan, draw: Draw | None = None) -> JudgedPlan:
    """Judge what is asked of every cell, without any initiative.

    Parameters
    ----------
    label : str
        What the plan is called.
    given : SplitPlan
    draw : callable, optional
        Estimates the odds of a plan.
    """
    stretch = given.stretch
    plan = round_freely(graph, stretch)
    limits = use_of_limits(graph, stretch)
    simulation = draw(plan) if draw else None
    if simulation:
        plan = plan.annotate(odds=np.vstack([simulation.node_odds, simulation.node_intervals]))
    worst, fairness = _stretches(graph, stretch)
    return JudgedPlan(
        label=label,
        plan=plan,
        goals=goal_results(plan),
        limits=limits,
        spending=_spending(graph, stretch),
        simulation=simulation,
        broken=tuple(_broken(graph, stretch, limits)),
        worst_stretch=worst,
        fairness=fairness,
        notes=given.notes,
    )


def round_freely(graph: CausalGraph, stretch: Floats) -> Plan:
    """Build and round a plan that need not keep any limit: totals add up, and nothing is moved into a range."""
    scenario, cells = graph.scenario, graph.scenario.cells
    step = scenario.kpi_step[cells.kpi]
    free = replace(
        cells,
        min_stretch=np.where(stretch < cells.min_stretch, stretch - step, cells.min_stretch),
        max_stretch=np.where(stretch > cells.max_stretch, stretch + step, cells.max_stretch),
        has_decision=cells.has_decision | (stretch != 0.0),
    )
    opened = replace(scenario, cells=free, units=replace(scenario.units, capacity={}), budgets={})
    plan = build_plan(replace(graph, scenario=opened), stretch, np.zeros(graph.n_levels))
    return replace(plan, graph=graph)


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
        effort = cells.effort.get(resource, np.zeros(len(cells)))
        below = sum_below(units, np.bincount(cells.unit, effort * counted, len(units)).astype(np.float64))
        for u in np.flatnonzero(~np.isnan(capacity)).tolist():
            found.append(_limit(f"capacity.{resource}@{units.ids[u]}", resource, capacity[u], below[u]))
    paid = np.bincount(cells.unit, np.nan_to_num(cells.pay_rate) * worked, len(units))
    pay = np.nan_to_num(units.target_incentive) + paid
    for budget in scenario.budgets.values():
        used = float(pay[budget.scope : units.end[budget.scope]].sum()) if budget.resource == "pay" else 0.0
        found.append(_limit(f"budget.{budget.id}", budget.resource, budget.limit, used))
    return tuple(found)


def _limit(name: str, resource: str, limit: float, used: float) -> LimitResult:
    binding = used >= limit - USED_UP * abs(limit)
    return LimitResult(name, resource, float(limit), float(used), bool(binding))


def _spending(graph: CausalGraph, stretch: Floats) -> Spending:
    scenario = graph.scenario
    whole = [b.limit for b in scenario.budgets.values() if b.resource == "pay" and b.scope == 0]
    incentives = float(np.nansum(scenario.units.target_incentive))
    paid = dot(np.nan_to_num(scenario.cells.pay_rate), np.maximum(stretch, 0.0))
    return Spending(incentives + paid, min(whole, default=None), 0.0)


def _broken(graph: CausalGraph, stretch: Floats, limits: tuple[LimitResult, ...]) -> Iterator[BrokenLimit]:
    """Yield capacities, budgets, initiatives that must run and ranges of cells that are not kept.

    A lock counts whatever the range says.
    """
    for limit in limits:
        if limit.used > limit.limit + USED_UP * abs(limit.limit):
            yield BrokenLimit(limit.name, limit.limit, limit.used)
    for initiative in graph.scenario.initiatives.values():
        if initiative.levels and initiative.levels[0] > 0.0:  # it runs in every plan, and there is none here
            for unit in initiative.units.tolist():
                where = f"{initiative.id}@{graph.scenario.units.ids[unit]}"
                yield BrokenLimit(f"initiative.{where}", initiative.levels[0], 0.0)
    cells = graph.scenario.cells
    size = np.maximum(np.abs(cells.baseline), graph.scenario.kpi_step[cells.kpi])
    near = USED_UP * np.maximum(size, np.abs(stretch))
    for name, bound, beyond in (
        ("max_stretch", cells.max_stretch, stretch - cells.max_stretch),
        ("min_stretch", cells.min_stretch, cells.min_stretch - stretch),
    ):
        for cell in np.flatnonzero((beyond > near) & ~cells.is_locked).tolist():
            where = graph.node_name(int(graph.cell_node[cell]))
            yield BrokenLimit(f"{name}@{where}", float(bound[cell]), float(stretch[cell]))
    locked = np.flatnonzero(cells.is_locked)
    fixed = reach_locks(graph, stretch)
    for cell in locked[np.abs(stretch - fixed)[locked] > near[locked]].tolist():
        yield BrokenLimit(
            f"lock@{graph.node_name(int(graph.cell_node[cell]))}", float(fixed[cell]), float(stretch[cell])
        )


def _stretches(graph: CausalGraph, stretch: Floats) -> tuple[float, float | None]:
    """Return the largest relative stretch, and the value of the step "fairness"; None without peers."""
    scenario, cells = graph.scenario, graph.scenario.cells
    size = graph.stretch_scale
    relative = stretch / np.where(size > 0.0, size, 1.0)
    cell = np.flatnonzero(cells.has_decision & ~cells.is_locked)
    worst = float(relative[~cells.is_locked].max(initial=0.0))
    if not len(cell):
        return worst, None
    peers = peer_groups(scenario, cell, np.arange(len(cell)))
    largest = np.zeros(len(peers.count))
    np.maximum.at(largest, peers.group, relative[cell])
    return worst, float(peers.count @ largest / peers.count.sum())
