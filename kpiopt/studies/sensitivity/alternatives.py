"""Equally good plans: how far each target could go without making any step of the order worse.

Among these plans the reference picks one. Where a range is a single value, the objectives alone have decided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.order.ranges import find_ranges
from kpiopt.program.order.steps import Solution
from kpiopt.scenario.scenario import Floats, Integers


@dataclass(frozen=True)
class TargetRanges:
    """Unrounded targets over all equally good plans, in the KPI's own unit.

    Attributes
    ----------
    nodes : (k,) int
        Nodes of the graph.
    low, high : (k,) float
    """

    nodes: Integers
    low: Floats
    high: Floats


def target_ranges(cascade: Cascade, solution: Solution, nodes: Integers | None = None) -> TargetRanges:
    """Find the least and the largest target of some nodes among all plans that are as good in every step.

    Whole numbers stay as they are in the plan. Two linear programs a node, each from the basis of the one before.

    Parameters
    ----------
    cascade : Cascade
    solution : Solution
        Of the cascade's program.
    nodes : (k,) int, optional
        Nodes of the graph; by default those of all cells with a decision.
    """
    graph, columns = cascade.graph, cascade.columns
    chosen = columns.stretch_node if nodes is None else np.asarray(nodes, dtype=np.int64)
    rows = [target_coefficients(cascade, node) for node in chosen.tolist()]
    functions = sp.csr_array(np.array(rows).reshape(len(rows), cascade.program.n_columns))
    low, high = find_ranges(solution.faces[-1], functions)
    nothing = graph.asked_change(np.zeros(len(graph.scenario.cells)), np.zeros(graph.n_levels))
    start = (graph.baseline + nothing)[chosen]
    return TargetRanges(chosen, start + low, start + high)


def target_coefficients(cascade: Cascade, node: int) -> Floats:
    """Return the change of a node's target per unit of each column, (n_columns,) float.

    Stretch counts in full where it is rolled up, and times its mean execution where it is a cause on the way.
    """
    graph, columns = cascade.graph, cascade.columns
    rolled = graph.sweep_back(np.eye(1, graph.n_nodes, node)[0], graph.roll_up_matrix)
    caused = graph.sweep_back(graph.cause_matrix.T @ rolled)
    coefficients = np.zeros(cascade.program.n_columns)
    at = columns.stretch_node
    coefficients[columns.stretch.positions] = graph.sign[at] * (rolled[at] + columns.execution * caused[at])
    coefficients[columns.level.positions] = caused[graph.level_node]
    return coefficients
