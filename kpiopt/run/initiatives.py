"""What the plan does of each initiative: where, when, to which level, and what that adds to goals and KPIs."""

from __future__ import annotations

from typing import Any

import numpy as np

from kpiopt.graph import CausalGraph, straight
from kpiopt.plan import Plan
from kpiopt.scenario.scenario import Floats


def initiatives_as_dict(plan: Plan) -> list[dict[str, Any]]:
    """Return the JSON form of every decision about an initiative, in the order of `graph.level_node`.

    `contributes` is what its level is expected to add to each goal's value, `kpis` what it adds to each KPI at the
    root; both in the KPI's own unit, along all ways, what it does not change left out. Where a curve is on the way,
    each of those that move its cause together has its share of the effect.
    """
    graph, scenario = straight(plan.graph, plan.stretch, plan.levels), plan.graph.scenario
    if not graph.n_levels:
        return []
    goals = contributions(graph, plan.levels, {g.id: graph.goal_node(g) for g in scenario.goals.values()})
    roots = {kpi: graph.find_node(kpi) for kpi in scenario.kpis}
    kpis = contributions(graph, plan.levels, {kpi: node for kpi, node in roots.items() if node >= 0})
    initiatives = list(scenario.initiatives.values())
    places = zip(graph.level_initiative, graph.level_unit, graph.level_start, plan.levels, strict=True)
    return [
        {
            "id": initiatives[i].id,
            "initiative": initiatives[i].id,
            "unit": scenario.units.ids[u],
            "start": scenario.period_name(int(start)),
            "level": float(level),
            "max": initiatives[i].maximum,
            "contributes": _of(goals, row),
            "kpis": _of(kpis, row),
        }
        for row, (i, u, start, level) in enumerate(places)
    ]


def contributions(graph: CausalGraph, levels: Floats, nodes: dict[str, int]) -> dict[str, Floats]:
    """Return what each level is expected to add to some nodes, by the nodes' names, each (n_levels,) float."""
    found = {}
    for name, node in nodes.items():
        weight = np.zeros(graph.n_nodes)
        weight[node] = 1.0
        found[name] = graph.sweep_back(weight)[graph.level_node] * levels
    return found


def _of(added: dict[str, Floats], row: int) -> dict[str, float]:
    return {name: float(amounts[row]) for name, amounts in added.items() if amounts[row]}
