"""A change of a unit's value handed down to the units below, and what the parts count in the whole."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from kpiopt.graph.causal_graph import CausalGraph
from kpiopt.graph.kinds import EdgeKind, NodeKind
from kpiopt.scenario.scenario import Floats


def share_below(graph: CausalGraph, at: Floats, weight: Floats | None = None) -> Floats:
    """Hand a change at some nodes down along the roll-up.

    A child of a `mean` gets the whole change; children of a `sum` share it by their weights, equally where all are 0.

    Parameters
    ----------
    at : (n_nodes,) or (n_nodes, k) float
        Change of the value at each node that is handed down, such as 1 at the organization's node of a KPI.
    weight : (n_nodes,) float, optional
        Weight of each node among its siblings, >= 0; the size of its baseline by default.

    Returns
    -------
    (n_nodes,) or (n_nodes, k) float
        Change of every node: the given nodes and all below them.
    """
    roll = np.flatnonzero(graph.edge_kind == EdgeKind.ROLL_UP)
    child, parent = graph.tail[roll], graph.head[roll]
    is_sum = np.array([k.roll_up == "sum" for k in graph.scenario.kpis.values()] or [False])[graph.kpi[child]]
    size = (np.abs(graph.baseline) if weight is None else weight)[child]
    total = np.bincount(parent, size, graph.n_nodes)[parent]
    count = np.bincount(parent, minlength=graph.n_nodes)[parent]
    share = np.where(total > 0, size / np.where(total > 0, total, 1.0), 1.0 / np.maximum(count, 1))
    data = np.where(is_sum, share, 1.0)
    matrix = sp.csr_array((data, (parent, child)), shape=(graph.n_nodes, graph.n_nodes))
    return graph.sweep_back(at, matrix)


def weight_above(graph: CausalGraph, unit: int) -> Floats:
    """Return what one more at each node adds to the same KPI's value at a unit, by roll-up alone, (n_nodes,) float.

    With periods it is the value of the horizon that counts.
    """
    at = ((graph.kind == NodeKind.KPI) & (graph.unit == unit) & (graph.period < 0)).astype(np.float64)
    return graph.sweep_back(at, graph.roll_up_matrix)


def one_over_horizon(graph: CausalGraph) -> Floats:
    """Return how a change by 1 of the horizon stands at nodes, as a contribution is meant, (n_nodes,) float.

    A flow's is spread by its season, a rate's and a stock's is there in every period; an initiative is begun in the
    first period in which it may. Without periods it is 1 everywhere.
    """
    one, periods = np.ones(graph.n_nodes), graph.scenario.periods
    if periods is None:
        return one
    node = np.flatnonzero((graph.kind == NodeKind.KPI) & (graph.period >= 0))
    flow = np.array([kpi.kind == "flow" for kpi in graph.scenario.kpis.values()])[graph.kpi[node]]
    one[node] = np.where(flow, periods.season[graph.kpi[node], graph.period[node]], 1.0)
    one[((graph.kind == NodeKind.KPI) & (graph.period < 0)) | (graph.kind == NodeKind.BUILT)] = 0.0
    first = [min(i.starts or (0,)) for i in graph.scenario.initiatives.values()]
    one[graph.level_node] = graph.level_start == np.array([*first, 0])[graph.level_initiative]
    return one


def leaves_below(graph: CausalGraph, node: int) -> Floats:
    """Return how a change of 1 at a node is shared among the nodes below it that roll up from nothing, (n_nodes,)."""
    at = np.zeros(graph.n_nodes)
    at[node] = 1.0
    shares = share_below(graph, at)
    shares[np.unique(graph.head[graph.edge_kind == EdgeKind.ROLL_UP])] = 0.0
    return shares


def values_below(graph: CausalGraph, node: int, value: float, plan: Floats) -> dict[int, float]:
    """Return the values of a node and all below it where the node has a value, by node.

    What rolls up from nothing moves by its part, as `leaves_below` has it, and stops at its KPI's bounds: the others
    move further then. What is nobody's change stays what it is in the plan.

    Parameters
    ----------
    plan : (n_nodes,) float
        Values that the node and those below have now.
    """
    at = np.zeros(graph.n_nodes)
    at[node] = 1.0
    below = np.flatnonzero(share_below(graph, at, np.ones(graph.n_nodes)) > 0)
    part, counts = leaves_below(graph, node), graph.sweep_back(at, graph.select_edges([EdgeKind.ROLL_UP]))
    low, high = np.minimum(graph.bounds[0], plan), np.maximum(graph.bounds[1], plan)
    moved = np.zeros(graph.n_nodes)
    free = np.flatnonzero((part != 0) & (counts != 0))
    while len(free):
        each = (value - plan[node] - counts @ moved) / float(counts[free] @ part[free])
        wanted = plan[free] + moved[free] + each * part[free]
        inside = np.clip(wanted, low[free], high[free])
        moved[free] = inside - plan[free]
        if np.all(inside == wanted):
            break
        free = free[inside == wanted]
    change = graph.sweep(moved, graph.select_edges([EdgeKind.ROLL_UP]))
    return {**{n: float(plan[n] + change[n]) for n in below.tolist()}, node: value}
