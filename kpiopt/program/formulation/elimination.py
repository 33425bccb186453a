"""Substitution of the value equations: only nodes where paths branch or goals look keep a column of their own.

A node with a single way on hands its change to the next node; following these ways, every such node ends at one *hub*
with one coefficient. Hubs are goals' nodes, nodes with several ways on, and curves. Each cell then stands in one value
row only, whatever the depth of the organization.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.scenario.scenario import Floats, Integers


@dataclass(frozen=True)
class Elimination:
    """Where the change of each node goes.

    Attributes
    ----------
    hub : (n_hubs,) int
        Nodes that keep a column, ascending.
    hub_of : (n,) int
        Position in `hub` that a node's change ends at; -1 where it reaches no goal.
    coefficient : (n,) float
        Change of that hub per unit change of the node.
    tail, into, weight : (n_ways,) int, int, float
        Ways from hubs, factors and initiatives (nodes `tail`) into hubs (positions `into`).
    """

    hub: Integers
    hub_of: Integers
    coefficient: Floats
    tail: Integers
    into: Integers
    weight: Floats


def eliminate(graph: CausalGraph, goal_nodes: Integers) -> Elimination:
    """Find the hubs and follow every other node to its hub."""
    relevant = _reaches(graph, goal_nodes)
    edges = np.flatnonzero(relevant[graph.head] & (graph.coefficient != 0.0))
    ways_on = np.bincount(graph.tail[edges], minlength=graph.n_nodes)
    is_source = (graph.kind == NodeKind.FACTOR) | (graph.kind == NodeKind.INITIATIVE)
    is_hub = relevant & ~is_source & (ways_on != 1)
    is_hub[goal_nodes] = True
    is_hub[graph.curves.node] = relevant[graph.curves.node]
    hub = np.flatnonzero(is_hub)
    hub_of, coefficient = _follow(graph, hub, edges[~(is_hub | is_source)[graph.tail[edges]]])
    ways = edges[(is_hub | is_source)[graph.tail[edges]]]
    head = graph.head[ways]
    return Elimination(
        hub, hub_of, coefficient, graph.tail[ways], hub_of[head], graph.coefficient[ways] * coefficient[head]
    )


def _reaches(graph: CausalGraph, targets: Integers) -> NDArray[np.bool_]:
    """Tell which nodes have a path to one of the targets, (n,) bool."""
    reached = np.zeros(graph.n_nodes, dtype=bool)
    reached[targets] = True
    pattern = sp.csr_array(
        ((graph.coefficient != 0.0).astype(np.int8), (graph.head, graph.tail)), shape=(graph.n_nodes, graph.n_nodes)
    )
    bounds = graph.level_bounds
    for level in range(len(bounds) - 2, 0, -1):
        start, stop = bounds[level], bounds[level + 1]
        rows = pattern[start:stop][reached[start:stop]]
        reached[rows.indices[rows.data != 0]] = True
    return reached


def _follow(graph: CausalGraph, hub: Integers, edges: Integers) -> tuple[Integers, Floats]:
    """Follow the single ways on, last topological level first."""
    hub_of = np.full(graph.n_nodes, -1, dtype=np.int64)
    coefficient = np.zeros(graph.n_nodes)
    hub_of[hub] = np.arange(len(hub))
    coefficient[hub] = 1.0
    way = np.full(graph.n_nodes, -1, dtype=np.int64)
    way[graph.tail[edges]] = edges
    for start, stop in zip(graph.level_bounds[-2::-1], graph.level_bounds[:0:-1], strict=True):
        nodes = np.arange(start, stop)[way[start:stop] >= 0]
        head = graph.head[way[nodes]]
        hub_of[nodes] = hub_of[head]
        coefficient[nodes] = graph.coefficient[way[nodes]] * coefficient[head]
    return hub_of, coefficient


def stretch_range(graph: CausalGraph, levels: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the least and the largest stretch of every cell, locks applied, a pair of (n_cells,) float.

    A lock counts whatever the range says. Where the target is locked, the stretch is what effects leave of it, below 0
    too. Only where it may lie on both sides of 0 and a stretch above 0 counts otherwise than one below (`is_priced`),
    it stays at least 0, and the plan says so.

    Parameters
    ----------
    levels : pair of (n_levels,) float
        Least and largest initiative levels.
    """
    cells, target = graph.scenario.cells, graph.scenario.cells.fixed_target
    free = np.isnan(cells.lock)
    lower = np.where(free, cells.min_stretch, cells.lock)
    upper = np.where(free, cells.max_stretch, cells.lock)
    upper = _inside_bounds(graph, lower, upper)
    fixed = np.flatnonzero(~np.isnan(target) & cells.has_decision)
    if not len(fixed):
        return lower, upper
    lower[fixed], upper[fixed] = 0.0, 0.0
    for level in np.unique(graph.topological_level[graph.cell_node[fixed]]).tolist():
        here = fixed[graph.topological_level[graph.cell_node[fixed]] == level]
        least, most = _left_of_target(graph, here, change_interval(graph, (lower, upper), levels))
        held = (most > 0.0) & is_priced(graph)[here]
        lower[here], upper[here] = np.where(held, np.maximum(least, 0.0), least), most
    return lower, upper


def _left_of_target(graph: CausalGraph, cell: Integers, change: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Least and largest stretch that changes of their nodes leave of locked targets, 0 where noise alone parts it."""
    node, target = graph.cell_node[cell], graph.scenario.cells.fixed_target[cell]
    ends = np.stack([graph.sign[node] * (target - graph.baseline[node] - end[node]) for end in change])
    ends[np.abs(ends) <= 1e-12 * np.maximum(np.abs(target), np.abs(graph.baseline[node]))] = 0.0
    return ends.min(axis=0), ends.max(axis=0)


def is_priced(graph: CausalGraph) -> NDArray[np.bool_]:
    """Whether a stretch above 0 takes effort or pay, or is not realised in full, as none below 0 is. (n_cells,)."""
    cells = graph.scenario.cells
    efforts = [np.nan_to_num(effort) != 0.0 for effort in cells.effort.values()]
    return np.asarray(np.any([np.nan_to_num(cells.pay_rate) != 0.0, graph.execution_mean != 1.0, *efforts], axis=0))


def held_at_zero(graph: CausalGraph, levels: tuple[Floats, Floats]) -> Integers:
    """Return the cells whose locked target could leave less than 0, which `stretch_range` does not follow."""
    fixed = np.flatnonzero(~np.isnan(graph.scenario.cells.fixed_target) & graph.scenario.cells.has_decision)
    lower, upper = stretch_range(graph, levels)
    lower[fixed], upper[fixed], box = 0.0, 0.0, (lower[fixed], upper[fixed])
    least, most = _left_of_target(graph, fixed, change_interval(graph, (lower, upper), levels))
    cells: Integers = fixed[(least < 0.0) & (most > 0.0) & (box[0] == 0.0) & (box[1] > 0.0) & is_priced(graph)[fixed]]
    return cells


def _inside_bounds(graph: CausalGraph, lower: Floats, upper: Floats) -> Floats:
    """Lower the largest stretch of cells that nothing else moves to what the bounds of their KPI leave."""
    if not len(graph.bounded):
        return upper
    node, cells = graph.cell_node, graph.scenario.cells
    alone = (graph.topological_level[node] == 0) & cells.has_decision & ~cells.is_locked
    alone &= graph.entry_node == node
    start, (least, most) = graph.baseline[node], graph.bounds[:, node]
    room = np.where(graph.sign[node] > 0, most - start, start - least) / graph.execution_mean
    room = room / np.abs(graph.per_stretch)
    room = np.where(room > 1e-12 * np.abs(start), room, 0.0)
    return np.where(alone & (room >= lower), np.minimum(upper, room), upper)


def nodes_at_risk(graph: CausalGraph, low: Floats, high: Floats) -> Integers:
    """Return the nodes whose value could leave their KPI's bounds, given the least and the largest change."""
    node = graph.bounded
    start, (least, most) = graph.baseline[node], graph.bounds[:, node]
    hair = 1e-12 * np.maximum(np.abs(start), 1e-3)
    risky: Integers = node[(start + low[node] < least - hair) | (start + high[node] > most + hair)]
    return risky


def change_interval(
    graph: CausalGraph, stretch: tuple[Floats, Floats], levels: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Bound the expected change of every node from the boxes of the decisions.

    Parameters
    ----------
    stretch : pair of (n_cells,) float
        Least and largest stretch.
    levels : pair of (n_levels,) float
        Least and largest initiative levels.

    Returns
    -------
    pair of (n,) float
        Least and largest change, by interval arithmetic (every path counted with its own sign).
    """
    ends = [graph.own_change(s, a) for s, a in zip(stretch, levels, strict=True)]
    low, high = np.minimum(*ends), np.maximum(*ends)
    up, down = graph.matrix.maximum(0.0), graph.matrix.minimum(0.0)
    for level in range(1, len(graph.level_bounds) - 1):
        here = slice(graph.level_bounds[level], graph.level_bounds[level + 1])
        low[here], high[here] = (
            low[here] + up[here] @ low + down[here] @ high,
            high[here] + up[here] @ high + down[here] @ low,
        )
        for node, curve in graph.curves.between(here.start, here.stop):
            reached = curve.pieces(low[node], high[node])[1]
            low[node], high[node] = reached.min(), reached.max()
    return low, high
