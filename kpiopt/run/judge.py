"""A plan that no program made, judged like one: odds, pay, fairness, and the limits that it would break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from kpiopt.graph import CausalGraph
from kpiopt.plan import Plan, build_plan
from kpiopt.plan.given_plan import read_given_plan
from kpiopt.plan.split_rule import SplitPlan, parse_rule, split_gaps
from kpiopt.program.formulation.compared import compare_plan
from kpiopt.program.trust.arrays import dot
from kpiopt.run.broken import broken_anywhere, over_horizon, use_of_limits
from kpiopt.run.promised import PromiseResult, about_odds
from kpiopt.run.run import GoalResult, JudgedPlan, Spending
from kpiopt.scenario.peers import peer_groups
from kpiopt.scenario.scenario import Cells, Floats, Scenario
from kpiopt.scenario.totals import no_totals
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
        broken=tuple(broken_anywhere(graph, stretch)),
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
    opened = replace(scenario, cells=cells, whole=whole, units=units, budgets={}, totals=no_totals())
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


def _spending(graph: CausalGraph, stretch: Floats) -> Spending:
    scenario = graph.scenario
    whole = [b.limit for b in scenario.budgets.values() if b.resource == "pay" and b.scope == 0 and not b.by_period]
    incentives = float(np.nansum(scenario.units.target_incentive))
    paid = dot(np.nan_to_num(scenario.cells.pay_rate), np.maximum(stretch, 0.0))
    return Spending(incentives + paid, min(whole, default=None), 0.0)


def stretches(graph: CausalGraph, stretch: Floats) -> tuple[float, float | None]:
    """Return the largest relative stretch, and the value of the step "fairness"; None without peers."""
    scenario, cells, size = graph.scenario, graph.scenario.horizon, graph.stretch_scale
    relative = over_horizon(scenario, stretch / np.where(size > 0.0, size, 1.0))
    cell = np.flatnonzero(cells.has_decision & ~cells.is_locked)
    worst = float(relative[~cells.is_locked].max(initial=0.0))
    if scenario.fairness.measure != "stretch":
        compared, values = compare_plan(graph, stretch, np.zeros(graph.n_levels))
        return worst, compared.step_value(values)
    if not len(cell):
        return worst, None
    peers = peer_groups(scenario, cell, np.arange(len(cell)))
    largest = np.full(len(peers.count), -np.inf)
    np.maximum.at(largest, peers.group, relative[cell])
    return worst, float(peers.count @ largest / peers.count.sum())
