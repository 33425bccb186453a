"""Top-down meets bottom-up: goals split by the rule, offers rolled up, and the plan, at every level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.plan import Plan
from kpiopt.plan.split_rule import parse_rule, split_gaps
from kpiopt.run.asks import Gap
from kpiopt.scenario.scenario import Floats


def find_gaps(plan: Plan) -> tuple[Gap, ...]:
    """Return a row for every unit and KPI with an offer at it or below, in the order of the targets table."""
    graph = plan.graph
    scenario = graph.scenario
    if np.isnan(scenario.horizon.offered).all():
        return ()
    bottom_up, counted = _rolled_up(graph)
    top_down = _split(graph)
    nodes = plan.nodes[counted[plan.nodes] & (graph.period[plan.nodes] < 0)]
    return tuple(
        Gap(
            scenario.units.ids[graph.unit[node]],
            scenario.kpi_ids[graph.kpi[node]],
            None if np.isnan(top_down[node]) else float(top_down[node]),
            float(bottom_up[node]),
            float(plan.expected[node]),
            float(plan.target[node]),
        )
        for node in nodes.tolist()
    )


def _rolled_up(graph: CausalGraph) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what is offered at every node, and which nodes have an offer at them or below; (n_nodes,) each."""
    own = np.full(graph.n_nodes, np.nan)
    own[graph.whole_node] = graph.scenario.horizon.offered
    above, coefficient = graph.roll_up_above
    moved, counted = np.zeros(graph.n_nodes), ~np.isnan(own)
    depth = np.where(graph.kpi >= 0, graph.scenario.units.depth[graph.unit], -1)
    for level in range(int(depth.max(initial=0)), -1, -1):
        here = np.flatnonzero(depth == level)
        moved[here] = np.where(np.isnan(own[here]), moved[here], own[here] - graph.baseline[here])
        up = here[above[here] >= 0]
        np.add.at(moved, above[up], coefficient[up] * moved[up])
        counted[above[up[counted[up]]]] = True
    return graph.baseline + moved, counted


def _split(graph: CausalGraph) -> Floats:
    """Return what goals ask of every node when they are split in proportion, (n_nodes,); NaN where none reaches it."""
    scenario, units = graph.scenario, graph.scenario.units
    wanted = np.full(graph.n_nodes, np.nan)
    if not scenario.goals:
        return wanted
    stretch = split_gaps(graph, parse_rule("proportional")).stretch
    asked = graph.baseline + graph.asked_change(stretch, np.zeros(graph.n_levels))
    for goal in scenario.goals.values():
        below = (graph.unit >= goal.unit) & (graph.unit < units.end[goal.unit])
        over = (graph.unit <= goal.unit) & (goal.unit < units.end[np.maximum(graph.unit, 0)])
        here = (graph.kpi == scenario.kpi_position[goal.kpi]) & (below | over)
        wanted[here] = asked[here]
    return wanted
