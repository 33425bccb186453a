"""A graph without curves that says the same of one plan: shares along a curve, and what one more of a cause does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kpiopt.graph.causal_graph import CausalGraph
from kpiopt.graph.curves import ResponseCurves
from kpiopt.scenario.scenario import Floats


def straight(graph: CausalGraph, stretch: Floats, levels: Floats, *, tangent: bool = False) -> CausalGraph:
    """Return the graph with each curve replaced by a coefficient, itself where there are none.

    By default that is the curve's mean slope from no change of its cause up to the plan's, so that changes add up to
    the plan's; whoever moves the cause by a part of its change then has that part of the effect.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
    tangent : bool
        Whether the slope at the plan stands there instead, which tells what one more of a cause does.
    """
    curves = graph.curves
    if not len(curves.node):
        return graph
    change = graph.expected_change(stretch, levels)[curves.tail].tolist()
    pairs = zip(curves.curve, change, strict=True)
    slope = np.array([curve.slope_at(x) if tangent else curve.chord(x) for curve, x in pairs])
    via = curves.place(graph.tail)
    kept = np.flatnonzero(curves.place(graph.head) < 0)
    tail = np.where(via >= 0, curves.tail[via], graph.tail)[kept]
    order = np.lexsort((tail, graph.head[kept]))
    kept, tail = kept[order], tail[order]
    times = np.where(via >= 0, slope[via], 1.0)[kept]
    nothing = np.empty(0, dtype=np.int64)
    found = replace(
        graph,
        tail=tail,
        head=graph.head[kept],
        coefficient=graph.coefficient[kept] * times,
        share=graph.share[kept] * times,
        edge_kind=graph.edge_kind[kept],
        edge_quantity=graph.edge_quantity[kept],
        edge_between=graph.edge_between[kept],
        curves=ResponseCurves(nothing, nothing, (), ()),
    )
    vars(found)["clipped"] = graph.clipped  # what bounds take without any decision, where curves begin
    return found
