"""What drives a goal: the importance of every uncertain quantity, from the draws themselves.

First-order indices say which share of the variance would go if a quantity were known; they are estimated from given
data by comparing means in slices of equal count (Plischke, Borgonovo and Smith 2013, DOI 10.1016/j.ejor.2012.11.047).
Rank correlations (Spearman) give the direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph, straight
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Floats, SimulationSettings
from kpiopt.simulation.discovery import Box, find_box
from kpiopt.simulation.hits import goal_rule
from kpiopt.simulation.propagate import Propagation
from kpiopt.simulation.simulate import block_size
from kpiopt.simulation.streams import Streams, lay_out

LARGEST_SAMPLE = 1 << 14
SINGLE_CELLS = 64
"""Cells with the largest effect are listed one by one; the others together, by KPI."""


@dataclass(frozen=True, slots=True)
class Importance:
    """One uncertain quantity's part in a goal.

    Attributes
    ----------
    name : str
        The quantity's name; "other cells' execution: <kpi>" for cells taken together.
    rank_correlation : float
        Between the quantity and the goal's value.
    first_order : float
        Share of the variance of the goal's value that would go if the quantity were known; at least 0.
    """

    name: str
    rank_correlation: float
    first_order: float


@dataclass(frozen=True)
class GoalDrivers:
    """What drives one goal.

    Attributes
    ----------
    variance : float
        Variance of the goal's value, in the square of its KPI's unit.
    importances : tuple of Importance
        Most important first.
    box : Box or None
        When the goal fails mostly; None where it almost never or almost always fails.
    """

    goal: str
    variance: float
    importances: tuple[Importance, ...]
    box: Box | None


def first_order_index(x: Floats, y: Floats) -> float:
    """Return the first-order index of x for y from given data.

    Parameters
    ----------
    x, y : (n,) float
        A quantity and the outcome in the same draws.

    Returns
    -------
    float
        Share of the variance of y between slices of equal count, about twice the cube root of n, less what chance alone
        would give (the variance within slices makes their means differ); may be slightly below 0 for a quantity without
        effect.
    """
    n = len(x)
    slices = max(2, min(64, round(2 * float(np.cbrt(n)))))
    total = float(np.sum((y - y.mean()) ** 2))
    if total == 0 or np.all(x == x[0]):
        return 0.0
    ordered = y[np.argsort(x, kind="stable")]
    bounds = np.arange(slices + 1) * n // slices
    counts = np.diff(bounds)
    means = np.add.reduceat(ordered, bounds[:-1]) / counts
    between = float(np.sum(counts * (means - y.mean()) ** 2))
    within = (total - between) / (n - slices)
    return (between - (slices - 1) * within) / total


def rank_correlation(x: Floats, y: Floats) -> float:
    """Return Spearman's rank correlation; 0 where one of the two is constant."""
    from scipy.stats import rankdata

    a, b = rankdata(x), rankdata(y)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b)) / scale if scale else 0.0


@dataclass(frozen=True)
class _Sample:
    """Draws with their inputs: names, values (n_inputs, n), the goal's deviations (n,) and hits (n,)."""

    names: tuple[str, ...]
    inputs: Floats
    outcome: Floats
    hits: NDArray[np.bool_]


def explain_odds(
    graph: CausalGraph,
    stretch: Floats,
    levels: Floats,
    goal: str,
    settings: SimulationSettings | None = None,
) -> GoalDrivers:
    """Return what drives a goal, from the same draws as its odds (the first 16,384 of them).

    Parameters
    ----------
    graph, stretch, levels, settings
        As for `simulate`.
    goal : str
        Goal id.
    """
    settings = settings or graph.scenario.simulation
    sample = _draw_sample(graph, stretch, levels, goal, settings)
    importances = [
        Importance(name, rank_correlation(x, sample.outcome), max(0.0, first_order_index(x, sample.outcome)))
        for name, x in zip(sample.names, sample.inputs, strict=True)
    ]
    order = sorted(range(len(importances)), key=lambda i: (-importances[i].first_order, importances[i].name))
    box = find_box(sample.names, sample.inputs, ~sample.hits)
    return GoalDrivers(goal, float(sample.outcome.var()), tuple(importances[i] for i in order), box)


def _draw_sample(
    graph: CausalGraph, stretch: Floats, levels: Floats, goal: str, settings: SimulationSettings
) -> _Sample:
    layout = lay_out(min(settings.draws, LARGEST_SAMPLE), settings.method)
    propagation = Propagation(graph, stretch, levels)
    streams = Streams(settings.seed, propagation.inputs.names, layout)
    rule, position = goal_rule(graph), list(graph.scenario.goals).index(goal)
    node = int(rule.nodes[position])
    groups = _Groups.build(propagation, graph, node)
    block = block_size(graph.n_nodes, layout)
    inputs, outcomes, hits = [], [], []
    for replicate in range(layout.replicates):
        points = streams.replicate(replicate)
        for start in range(0, layout.size, block):
            stop = min(start + block, layout.size)
            scores = points.scores(start, stop)
            drawn = propagation.run(scores, stop - start, replicate * layout.size + start)
            values, common = propagation.inputs.draw_shared(scores, stop - start)
            first = propagation.inputs.n_shared
            own = scores(slice(first, first + len(propagation.inputs.cells)))
            inputs.append(np.concatenate([values, groups.common_values(common), groups.own_values(own)]))
            outcomes.append(drawn.delta[node])
            hits.append(rule.hits(drawn.delta)[position])
    return _Sample(groups.names, np.concatenate(inputs, axis=1), np.concatenate(outcomes), np.concatenate(hits))


@dataclass(frozen=True)
class _Groups:
    """How sources are listed: quantities and common parts one by one, cells singly or together, noise by common parts.

    Attributes
    ----------
    execution : Quantity
        Common parts are shown as the execution that they alone would give.
    weight : (n_own,) float
        Linear effect of each cell's own score on the goal.
    single : (n_single,) int
        Cells listed one by one, as rows of own scores, with their distributions.
    together : (n_groups, n_own) bool
        Cells taken together.
    """

    names: tuple[str, ...]
    execution: Quantity
    weight: Floats
    single: tuple[tuple[int, Quantity], ...]
    together: NDArray[np.bool_]

    @classmethod
    def build(cls, propagation: Propagation, graph: CausalGraph, node: int) -> _Groups:
        inputs, scenario = propagation.inputs, graph.scenario
        goal_weight = np.zeros(graph.n_nodes)
        goal_weight[node] = 1.0
        cells = inputs.cells
        linear = straight(graph, propagation.stretch, propagation.levels, tangent=True)
        effect = linear.sweep_back(goal_weight)[graph.entry_node[cells]]
        effect = effect * graph.per_stretch[cells] * propagation.stretch[cells]
        quantities = [q for first, last, q in inputs.groups for _ in range(first, last)]
        sds = np.array([q.standard_deviation for q in quantities])
        weight = effect * sds * inputs.own_weight
        largest = np.argsort(-np.abs(weight), kind="stable")[:SINGLE_CELLS]
        largest = np.sort(largest[weight[largest] != 0])
        kpi = scenario.cells.kpi[cells]
        rest = weight != 0
        rest[largest] = False
        kpis = np.unique(kpi[rest])
        names = (
            *inputs.quantity_names,
            *inputs.names[inputs.n_sources : inputs.n_shared],
            *(inputs.names[inputs.n_shared + i] for i in largest.tolist()),
            *(f"other cells' execution: {scenario.kpi_ids[k]}" for k in kpis.tolist()),
        )
        single = tuple((i, quantities[i]) for i in largest.tolist())
        return cls(names, scenario.uncertainty.execution[0], weight, single, rest & (kpi == kpis[:, None]))

    def common_values(self, common: Floats) -> Floats:
        return self.execution.at_score(common) if not self.execution.is_number else common

    def own_values(self, own: Floats) -> Floats:
        rows = [quantity.at_score(own[i]) for i, quantity in self.single]
        rows += [np.sum(self.weight[members, None] * own[members], axis=0) for members in self.together]
        return np.array(rows).reshape(len(rows), own.shape[1])
