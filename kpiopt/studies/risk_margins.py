"""What a plan keeps in hand for its odds: how much of each goal, who carries it, and in which draws it still breaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.program.trust.arrays import Floats
from kpiopt.simulation.importance import explain_odds
from kpiopt.simulation.planning.margins import is_certain, planning_draws

MOST_CARRIERS = 6
MOST_UNITS = 12
"""Units up to which each stands by itself; of more, those right below the organization stand for all below them."""
MOST_BREAKS = 3
LEAST_SHARE = 1e-6
"""Share of the largest part below which a part is rounding."""

PlanValues = tuple[Floats, Floats]
"""Stretch of every cell and levels of initiatives."""


@dataclass(frozen=True)
class GoalMargin:
    """What is kept in hand of one goal.

    Attributes
    ----------
    goal : str
    margin : float
        How far the mean over the planning draws lies beyond the target, in the KPI's unit; below 0 where it lacks.
    average : float
        The same of the plan on averages.
    carried : tuple of (str, float)
        Units and initiatives with what each brings more than in the plan on averages, the largest first.
    """

    goal: str
    margin: float
    average: float
    carried: tuple[tuple[str, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        carried = [{"by": name, "amount": amount} for name, amount in self.carried]
        return {"goal": self.goal, "margin": self.margin, "average": self.average, "carried": carried}


@dataclass(frozen=True)
class BreakingDraws:
    """The draws in which a plan misses some of its goals.

    Attributes
    ----------
    goal : str
    share : float
        In how many of these draws this goal is missed.
    when : str or None
        What describes its misses best; None where nothing does.
    """

    goal: str
    share: float
    when: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"goal": self.goal, "share_of_misses": self.share, "fails_mostly_when": self.when}


def goal_margins(graph: CausalGraph, plan: PlanValues, average: PlanValues) -> tuple[GoalMargin, ...]:
    """Return what a plan keeps in hand of every goal, against the plan on averages."""
    ours, theirs = _mean_margins(graph, plan), _mean_margins(graph, average)
    goals = list(graph.scenario.goals.values())
    return tuple(
        GoalMargin(goal.id, float(ours[i]), float(theirs[i]), tuple(_carriers(graph, i, plan, average)))
        for i, goal in enumerate(goals)
    )


def _mean_margins(graph: CausalGraph, plan: PlanValues) -> Floats:
    draws = planning_draws(graph)
    margins = draws.margins(*plan)
    return np.asarray(margins.mean(axis=1) - np.where(is_certain(margins), 0.0, draws.leeway))


def _carriers(graph: CausalGraph, goal: int, plan: PlanValues, average: PlanValues) -> Iterator[tuple[str, float]]:
    """Yield who brings how much more of a goal than in the plan on averages."""
    scenario = graph.scenario
    at = np.zeros(graph.n_nodes)
    at[graph.goal_node(list(scenario.goals.values())[goal])] = 1.0
    effect = graph.sweep_back(at) * scenario.kpis[list(scenario.goals.values())[goal].kpi].sign
    by_cell = effect[graph.entry_node] * graph.per_stretch * (graph.executed(plan[0]) - graph.executed(average[0]))
    by_level = effect[graph.level_node] * (plan[1] - average[1])
    unit = _shown_units(graph, np.flatnonzero(by_cell))
    parts: dict[str, float] = defaultdict(float)
    for position in np.flatnonzero(by_cell).tolist():
        parts[scenario.units.names[unit[position]]] += float(by_cell[position])
    names = [initiative.name for initiative in scenario.initiatives.values()]
    for position in np.flatnonzero(by_level).tolist():
        parts[names[graph.level_initiative[position]]] += float(by_level[position])
    largest = max((abs(amount) for amount in parts.values()), default=0.0)
    found = sorted(((n, a) for n, a in parts.items() if abs(a) > LEAST_SHARE * largest), key=lambda p: -abs(p[1]))
    yield from found[:MOST_CARRIERS]
    if len(found) > MOST_CARRIERS:
        yield f"{len(found) - MOST_CARRIERS} others", sum(amount for _, amount in found[MOST_CARRIERS:])


def _shown_units(graph: CausalGraph, cells: NDArray[np.int64]) -> dict[int, int]:
    """Return the unit that stands for each cell."""
    units, of_cell = graph.scenario.units, graph.scenario.cells.unit
    own = {int(cell): int(of_cell[cell]) for cell in cells.tolist()}
    if len(set(own.values())) <= MOST_UNITS:
        return own
    return {cell: _below_root(units.parent.tolist(), unit) for cell, unit in own.items()}


def _below_root(parent: list[int], unit: int) -> int:
    while parent[unit] >= 0 and parent[parent[unit]] >= 0:
        unit = parent[unit]
    return unit


def breaking_draws(graph: CausalGraph, plan: PlanValues) -> tuple[BreakingDraws, ...]:
    """Return which goals are missed where not all are hit, those missed most often first, and when they are."""
    draws = planning_draws(graph)
    margins = draws.margins(*plan)
    misses = margins + np.where(is_certain(margins), draws.leeway, 0.0)[:, None] < 0.0
    broken = np.count_nonzero(misses.any(axis=0))
    if not broken:
        return ()
    share = misses.sum(axis=1) / broken
    order = [i for i in np.argsort(-share, kind="stable").tolist() if share[i] > 0.0]
    goals = list(graph.scenario.goals)
    found = []
    for i in order[:MOST_BREAKS]:
        box = explain_odds(graph, *plan, goals[i]).box
        found.append(BreakingDraws(goals[i], float(share[i]), box.sentence if box else None))
    return tuple(found)
