"""Goals and nodes of the graph by name, and targets by period, as a planner reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.report.grid import Grid
from kpiopt.report.numbers import amount, percent, target_step
from kpiopt.run.run import GoalResult, Run
from kpiopt.scenario.scenario import Kpi, Scenario

SHOWN_PERIODS = 6


def goal_kpi(scenario: Scenario, goal: str) -> str:
    """Return the name of a goal's KPI; with the goal's id where another goal is about the same value."""
    wanted = scenario.goals[goal]
    at = wanted.kpi, wanted.unit, wanted.period
    about = [g.id for g in scenario.goals.values() if (g.kpi, g.unit, g.period) == at]
    name = scenario.kpis[wanted.kpi].name
    return name if len(about) == 1 else f"{name} ({goal})"


def goal_name_in(scenario: Scenario, goal: str) -> str:
    """Return a goal's name: the KPI's, with its period, and its unit where that is not the whole organization."""
    wanted = scenario.goals[goal]
    name, period = goal_kpi(scenario, goal), scenario.period_name(wanted.period)
    name = f"{name} in {period}" if period else name
    return name if wanted.unit == 0 else f"{name} ({scenario.units.names[wanted.unit]})"


def goal_at(scenario: Scenario, goal: str) -> str:
    """Return where a goal stands, "Sales at North in 2027-Q2"; with its id where that could be another goal too."""
    wanted = scenario.goals[goal]
    place, period = f"at {scenario.units.names[wanted.unit]}", scenario.period_name(wanted.period)
    name = f"{scenario.kpis[wanted.kpi].name} {place}" + (f" in {period}" if period else "")
    same = [g for g in scenario.goals.values() if (g.kpi, g.unit) == (wanted.kpi, wanted.unit)]
    return name if len(same) == 1 else f"{name} (goal {goal})"


def targets_by_period(run: Run, kpis: Sequence[tuple[str, Kpi]]) -> Grid:
    """Lay out the targets of the horizon and of the first periods.

    Parameters
    ----------
    run : Run
        With periods.
    kpis : sequence of (str, Kpi)
        What is shown, with the name it bears.
    """
    assert run.scenario.periods is not None
    names = run.scenario.periods.names
    more = (f"… {len(names) - SHOWN_PERIODS} more",) if len(names) > SHOWN_PERIODS else ()
    grid = Grid(("targets by period", "in all", *names[:SHOWN_PERIODS], *more))
    for name, kpi in kpis:
        nodes = [run.graph.find_node(kpi.id, 0, t) for t in range(-1, min(len(names), SHOWN_PERIODS))]
        values = [None if node < 0 else float(run.plan.target[node]) for node in nodes]
        shown = ["" if value is None else amount(value, "", target_step(kpi, value)) for value in values]
        grid.add(name, *shown, *("" for _ in more))
    return grid


def target_words(run: Run, result: GoalResult) -> str:
    """Tell the target from what is asked, where rounding or a cushion make them differ."""
    kpi, node = run.scenario.kpis[result.goal.kpi], run.graph.goal_node(result.goal)
    step = target_step(kpi, float(run.plan.target[node]))
    target = amount(float(run.plan.target[node]), kpi.unit, step)
    if not np.isfinite(run.plan.target[node]) or target == amount(result.asked, kpi.unit, step):
        return ""
    cushion = float(run.plan.over_assignment[node])
    with_it = f"with its cushion of {percent(cushion)}" if np.isfinite(cushion) else "rounded"
    return f"; {with_it}, the target is {target}"


def kpi_of(graph: CausalGraph, node: int) -> Kpi:
    """Return the KPI of a KPI node."""
    return list(graph.scenario.kpis.values())[int(graph.kpi[node])]


def node_title(graph: CausalGraph, node: int) -> str:
    """Return a node's name for a planner: "Sales at Team North", "Coaching at Ann", "Market growth"."""
    scenario = graph.scenario
    if graph.kind[node] == NodeKind.FACTOR:
        return list(scenario.factors.values())[int(graph.factor[node])].name
    unit, period = scenario.units.names[graph.unit[node]], scenario.period_name(int(graph.period[node]))
    if graph.kind[node] == NodeKind.INITIATIVE:
        initiative = int(graph.level_initiative[graph.level[node]])
        begun = f", begun in {period}" if period else ""
        return f"{list(scenario.initiatives.values())[initiative].name} at {unit}{begun}"
    built = "what was built up of " if graph.kind[node] == NodeKind.BUILT else ""
    return f"{built}{kpi_of(graph, node).name} at {unit}" + (f" in {period}" if period else "")
