"""When a value hits its target, by the rule of `scenario.target_grid`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.scenario.target_grid import least_hit, target_noise


@dataclass(frozen=True, slots=True)
class HitRule:
    """Thresholds of some nodes.

    Attributes
    ----------
    nodes : (n,) int
    rows : slice or (n,) int
        The same, for reading.
    threshold : (n,) float
        Deviation from the baseline at which the outcome changes.
    is_down : (n,) bool
        Whether a hit is a deviation below the threshold instead of one at or above it.
    """

    nodes: Integers
    rows: slice | Integers
    threshold: Floats
    is_down: NDArray[np.bool_]

    def hits(self, delta: Floats) -> NDArray[np.bool_]:
        """Return which draws hit, (n, n_draws) bool, from all nodes' deviations `delta`, (n_nodes, n_draws)."""
        reached: NDArray[np.bool_] = delta[self.rows] >= self.threshold[:, None]
        reached ^= self.is_down[:, None]
        return reached


def build_hit_rule(graph: CausalGraph, nodes: Integers, targets: Floats) -> HitRule:
    """Return the rule for KPI nodes and their targets (n,), each in its KPI's unit."""
    sign, step = graph.sign[nodes], graph.scenario.kpi_step[graph.kpi[nodes]]
    threshold = least_hit(targets, graph.baseline[nodes], step, sign) - graph.baseline[nodes]
    is_down = sign < 0
    # For `down` a value at the threshold is a hit: the first miss is the next number above it.
    return HitRule(nodes, as_rows(nodes), np.where(is_down, np.nextafter(threshold, np.inf), threshold), is_down)


def goal_rule(graph: CausalGraph) -> HitRule:
    """Return the hit rule of all goals, in the scenario's order."""
    goals = graph.scenario.goals.values()
    nodes = np.array([graph.goal_node(g) for g in goals], dtype=np.int64)
    return build_hit_rule(graph, nodes, np.array([g.target for g in goals], dtype=np.float64))


def fall_short(graph: CausalGraph, value: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return by how much values fall short of the goals, and whether they meet them.

    Parameters
    ----------
    value : (n_nodes,) float

    Returns
    -------
    short : (n_goals,) float
        In the KPI's unit, 0 where it is rounding noise.
    met : (n_goals,) bool
        By the same rule as hits in draws: a goal may be met although a part of a step is missing.
    """
    rule, target = goal_rule(graph), np.array([g.target for g in graph.scenario.goals.values()], dtype=np.float64)
    baseline = graph.baseline[rule.nodes]
    short = graph.sign[rule.nodes] * (target - value[rule.nodes])
    met = rule.hits((value - graph.baseline)[:, None])[:, 0]
    return np.where(short > target_noise(target, baseline), short, 0.0), met


def as_rows(positions: Integers) -> slice | Integers:
    """Return a slice where positions are successive: reading rows through it copies nothing."""
    n = len(positions)
    if n and positions[-1] - positions[0] == n - 1 and np.all(np.diff(positions) == 1):
        return slice(int(positions[0]), int(positions[0]) + n)
    return positions
