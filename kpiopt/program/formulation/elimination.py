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

from kpiopt.errors import ModelError, Problem
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.graph.by_period import added_by_stretch, rows_of
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


LEAST_LEFT = 1e-6
"""Share of a stock's stretch that must be left in the last period for a locked target to count on it."""
MOST_ROUNDS = 60


def stretch_range(graph: CausalGraph, levels: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the least and the largest stretch of every cell, locks applied, a pair of (n_cells,) float.

    A lock counts whatever the range says. Where the target is locked, the stretch is what effects leave of it, below 0
    too. Only where it may lie on both sides of 0 and a stretch above 0 counts otherwise than one below (`is_priced`),
    it stays at least 0, and the plan says so. Where the plan chooses whether a unit answers for a cell, 0 is possible,
    and where it weighs too little for that nothing else.

    Parameters
    ----------
    levels : pair of (n_levels,) float
        Least and largest initiative levels.
    """
    cells, horizon = graph.scenario.cells, graph.scenario.horizon
    free = np.isnan(cells.lock)
    lower = np.where(free, cells.min_stretch, cells.lock)
    upper = np.where(free, cells.max_stretch, cells.lock)
    lower, upper = _with_spared(graph, lower, upper)
    upper = _inside_bounds(graph, lower, upper)
    fixed = np.flatnonzero(~np.isnan(horizon.fixed_target) & horizon.has_decision)
    if not len(fixed):
        return lower, upper
    if graph.scenario.periods is not None:
        return _left_by_period(graph, fixed, lower, upper, levels)
    lower[fixed], upper[fixed] = 0.0, 0.0
    for level in np.unique(graph.topological_level[graph.cell_node[fixed]]).tolist():
        here = fixed[graph.topological_level[graph.cell_node[fixed]] == level]
        least, most = _left_of_target(graph, here, change_interval(graph, (lower, upper), levels))
        held = (most > 0.0) & is_priced(graph)[here]
        lower[here], upper[here] = np.where(held, np.maximum(least, 0.0), least), most
    return lower, upper


def _left_by_period(
    graph: CausalGraph, fixed: Integers, lower: Floats, upper: Floats, levels: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Give each period of cells with a locked target what could be left of it, were all of it left to that period.

    What one such cell leaves depends on others that act on it, so that all are gone through until nothing moves.

    Raises
    ------
    ModelError
        Where they drive each other on and on, over lags (`E-lock-target-lags`).
    """
    scenario = graph.scenario
    rows = rows_of(scenario, fixed)
    added = added_by_stretch(scenario)[scenario.horizon.kpi[fixed]]
    share = np.where(added > LEAST_LEFT, 1.0 / np.maximum(added, LEAST_LEFT), 0.0)
    lower[rows], upper[rows] = 0.0, 0.0
    for _ in range(MOST_ROUNDS):
        before = lower[rows], upper[rows]
        own = _own_change(graph, fixed, before, added)
        low, high = (end[graph.whole_node[fixed]] for end in change_interval(graph, (lower, upper), levels))
        least, most = _left_of_ends(graph, fixed, (low - own[0], high - own[1]))
        held = (most > 0.0) & is_priced(graph)[rows[:, 0]]
        least = np.where(held, np.maximum(least, 0.0), least)
        lower[rows] = share * np.minimum(least, 0.0)[:, None]
        upper[rows] = share * np.maximum(most, 0.0)[:, None]
        hair = 1e-9 * (upper[rows] - lower[rows])
        if np.all((np.abs(lower[rows] - before[0]) <= hair) & (np.abs(upper[rows] - before[1]) <= hair)):
            lower[rows], upper[rows] = (1.0 + 1e-6) * lower[rows], (1.0 + 1e-6) * upper[rows]
            return lower, upper
    name = graph.node_name(int(graph.whole_node[fixed[0]]))
    message = f"locked targets ({name} and others) drive each other from period to period without an end"
    rule, fix = (
        "what is left of a locked target has a largest amount",
        "write `lock` for some of them, or take a lag out",
    )
    raise ModelError(Problem("E-lock-target-lags", message, rule, fix))


def _own_change(graph: CausalGraph, cell: Integers, box: tuple[Floats, Floats], added: Floats) -> tuple[Floats, Floats]:
    """Return by how much their own boxes, (n, T) each, widen what `change_interval` says of cells over the horizon."""
    sign, execution = graph.sign[graph.whole_node[cell]], graph.execution_mean[rows_of(graph.scenario, cell)]
    ends = [sign * (added * np.where(end > 0.0, execution, 1.0) * end).sum(axis=1) for end in box]
    return np.minimum(*ends), np.maximum(*ends)


def _with_spared(graph: CausalGraph, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Let cells be spared that the plan chooses, and spare those that weigh too little."""
    scenario = graph.scenario
    if scenario.chosen is None:
        return lower, upper
    may_be = np.isin(scenario.cell_base, scenario.chosen.cell)
    light = np.isin(scenario.cell_base, scenario.chosen.cell[scenario.chosen.light])
    return np.where(may_be, np.minimum(lower, 0.0), lower), np.where(light, 0.0, upper)


def _left_of_target(graph: CausalGraph, cell: Integers, change: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Least and largest stretch that changes of their nodes leave of locked targets, 0 where noise alone parts it."""
    node = graph.whole_node[cell]
    return _left_of_ends(graph, cell, (change[0][node], change[1][node]))


def _left_of_ends(graph: CausalGraph, cell: Integers, change: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Least and largest stretch that changes of cells over the horizon leave of locked targets."""
    node, target = graph.whole_node[cell], graph.scenario.horizon.fixed_target[cell]
    ends = np.stack([graph.sign[node] * (target - graph.baseline[node] - end) for end in change])
    ends[np.abs(ends) <= 1e-12 * np.maximum(np.abs(target), np.abs(graph.baseline[node]))] = 0.0
    return ends.min(axis=0), ends.max(axis=0)


def is_priced(graph: CausalGraph) -> NDArray[np.bool_]:
    """Whether a stretch above 0 takes effort or pay, or is not realised in full, as none below 0 is. (n_cells,)."""
    cells = graph.scenario.cells
    efforts = [np.nan_to_num(effort) != 0.0 for effort in cells.effort.values()]
    return np.asarray(np.any([np.nan_to_num(cells.pay_rate) != 0.0, graph.execution_mean != 1.0, *efforts], axis=0))


def held_at_zero(graph: CausalGraph, levels: tuple[Floats, Floats]) -> Integers:
    """Return the cells whose locked target could leave less than 0, which `stretch_range` does not follow."""
    horizon = graph.scenario.horizon
    fixed = np.flatnonzero(~np.isnan(horizon.fixed_target) & horizon.has_decision)
    rows, (lower, upper) = rows_of(graph.scenario, fixed), stretch_range(graph, levels)
    at_zero = (lower[rows] == 0.0).all(axis=1) & (upper[rows] > 0.0).any(axis=1) & is_priced(graph)[rows[:, 0]]
    lower[rows], upper[rows] = 0.0, 0.0
    least, most = _left_of_target(graph, fixed, change_interval(graph, (lower, upper), levels))
    cells: Integers = fixed[(least < 0.0) & (most > 0.0) & at_zero]
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
