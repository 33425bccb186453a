"""Why a target is what it is: what it is made of, where its change comes from in the end, what it does for the goals.

The graph is linear, so every account is exact: the parts add up to the change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph
from kpiopt.reading.key_path import did_you_mean
from kpiopt.scenario.scenario import Floats

NOISE = 1e-12
"""Contributions that are a smaller share of the largest one are rounding residue."""


@dataclass(frozen=True, slots=True)
class Part:
    """One cause of a change.

    Attributes
    ----------
    node : int
    name : str
        "unit/kpi", "factor.<id>" or "initiative.<id>@<unit>".
    change : float
        Change of the cause, in its own unit; the level of an initiative.
    coefficient : float
        Change of the explained value per unit of it.
    contribution : float
        Their product, in the explained KPI's unit.
    """

    node: int
    name: str
    change: float
    coefficient: float
    contribution: float


@dataclass(frozen=True, slots=True)
class GoalEffect:
    """What one more unit at the explained node adds to a goal's value, in the goal's unit; along all paths."""

    goal: str
    per_unit: float


@dataclass(frozen=True)
class Explanation:
    """An account of one node of the plan, in the KPI's unit.

    Attributes
    ----------
    node : int
    name : str
        "unit/kpi".
    baseline, expected, asked : float
        Baseline, plan value, unrounded target.
    own_expected, own_asked : float
        Change by the node's own stretch: times mean execution, and in full. Signed: negative where lower is better.
    parts : tuple of Part
        Direct causes (roll-up, drivers, factors, initiatives), the largest contribution first. Together with
        `own_expected` they add up to `expected` - `baseline`.
    origins : tuple of Part
        Where the change comes from in the end: stretches of cells, levels of initiatives, factors, each along all
        paths. They add up to `expected` - `baseline`.
    goals : tuple of GoalEffect
    """

    node: int
    name: str
    baseline: float
    expected: float
    asked: float
    own_expected: float
    own_asked: float
    parts: tuple[Part, ...]
    origins: tuple[Part, ...]
    goals: tuple[GoalEffect, ...]


def find_target(graph: CausalGraph, text: str) -> int:
    """Return the node of "unit/kpi".

    Raises
    ------
    UsageError
        When there is none; the message names what comes near.
    """
    unit, _, kpi = text.rpartition("/")
    scenario = graph.scenario
    if unit in scenario.units.position and kpi in scenario.kpi_position:
        node = graph.find_node(kpi, unit)
        if node >= 0:
            return node
        message, near = f"{kpi} has no value at {unit}", ""
    else:
        known = scenario.kpi_ids if unit in scenario.units.position else scenario.units.ids
        wrong = kpi if unit in scenario.units.position else unit
        message, near = f"there is no target {text!r}", did_you_mean(wrong, known)
    raise UsageError(Problem("E-target", message, rule="a target is named unit/kpi", fix=near))


def explain_target(graph: CausalGraph, stretch: Floats, levels: Floats, node: int) -> Explanation:
    """Explain the value of one node of a plan.

    Parameters
    ----------
    graph : CausalGraph
    stretch : (n_cells,) float
        In each cell's KPI unit.
    levels : (n_levels,) float
    node : int
    """
    own, delta = graph.own_change(stretch, levels), graph.expected_change(stretch, levels)
    in_full = graph.own_change(stretch, levels, executed=False)
    baseline = float(graph.baseline[node])
    return Explanation(
        node,
        graph.node_name(node),
        baseline,
        baseline + float(delta[node]),
        baseline + float(graph.asked_change(stretch, levels)[node]),
        float(own[node]),
        float(in_full[node]),
        _direct_parts(graph, delta, node),
        _origins(graph, own, node),
        _goal_effects(graph, node),
    )


def _direct_parts(graph: CausalGraph, delta: Floats, node: int) -> tuple[Part, ...]:
    edges = np.flatnonzero(graph.head == node)
    pairs = zip(graph.tail[edges].tolist(), graph.coefficient[edges].tolist(), strict=True)
    return _ordered([_part(graph, tail, float(delta[tail]), coefficient) for tail, coefficient in pairs])


def _origins(graph: CausalGraph, own: Floats, node: int) -> tuple[Part, ...]:
    """Share a node's change out among everything that changes of its own accord: row `node` of (I - C)^-1."""
    unit = np.zeros(graph.n_nodes)
    unit[node] = 1.0
    effect = graph.sweep_back(unit)
    contribution = np.abs(effect * own)
    sources = np.flatnonzero(contribution > NOISE * contribution.max(initial=0.0)).tolist()
    return _ordered([_part(graph, m, float(own[m]), float(effect[m])) for m in sources])


def _part(graph: CausalGraph, node: int, change: float, coefficient: float) -> Part:
    return Part(node, graph.node_name(node), change, coefficient, coefficient * change)


def _ordered(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda p: (-abs(p.contribution), p.name)))


def _goal_effects(graph: CausalGraph, node: int) -> tuple[GoalEffect, ...]:
    """Follow one more unit at the node along the map to every goal's node."""
    unit = np.zeros(graph.n_nodes)
    unit[node] = 1.0
    reached = graph.sweep(unit)
    goals = graph.scenario.goals.values()
    return tuple(GoalEffect(g.id, float(reached[graph.find_node(g.kpi, g.unit)])) for g in goals)
