"""Which bounds of KPIs some draw can reach while levers are moved; the others may be forgotten, for levers and draws.

An organization of thirty people with percentages from 0 to 100 has hundreds of bounds, and nothing comes near most of
them. In every draw each node lies within an interval that no moves of the levers leave: their ranges, carried along the
edges with the signs that these have in the draw. Clipping something on the way keeps it in there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kpiopt.graph import CausalGraph
from kpiopt.scenario.curve import Curve
from kpiopt.scenario.scenario import Floats, Integers, SimulationSettings
from kpiopt.simulation.propagate import Passage, Propagation, build_passage
from kpiopt.simulation.streams import Streams, lay_out

NEAR = 1e-9


def without_idle_bounds(
    graph: CausalGraph,
    stretch: Floats,
    levels: Floats,
    own: Sequence[Floats],
    ranges: Sequence[tuple[float, float]],
    settings: SimulationSettings,
) -> CausalGraph:
    """Return the graph with only those bounds that a draw can reach, itself where it has none.

    Parameters
    ----------
    stretch, levels : (n_cells,), (n_levels,) float
        The plan.
    own : sequence of (n_nodes,) float
        What a move of each lever by 1 adds at nodes.
    ranges : sequence of (float, float)
        The least and the largest move of each.
    settings : SimulationSettings
        The draws that levers are judged by.
    """
    bounded = graph.bounded
    if not len(bounded):
        return graph
    least, most = np.zeros(graph.n_nodes), np.zeros(graph.n_nodes)
    for one, (low, high) in zip(own, ranges, strict=True):
        least += np.minimum(one * min(low, 0.0), one * max(high, 0.0))
        most += np.maximum(one * min(low, 0.0), one * max(high, 0.0))
    layout, propagation = lay_out(settings.draws, settings.method), Propagation(graph, stretch, levels)
    streams = Streams(settings.seed, propagation.inputs.names, layout)
    passage = build_passage(graph, propagation.inputs.quantity_row)
    reached = np.zeros(len(bounded), dtype=bool)
    low, high = graph.bounds[:, bounded] - graph.baseline[bounded]
    near = NEAR * np.maximum(np.abs(graph.baseline[bounded]), 1.0)
    for replicate in range(layout.replicates):
        scores = streams.replicate(replicate).scores(0, layout.size)
        base = np.empty((len(bounded), layout.size))
        propagation.run(scores, layout.size, watch=dict(zip(bounded.tolist(), base, strict=True)))
        values, _ = propagation.inputs.draw_shared(scores, layout.size)
        lower, upper = _intervals(passage, values, least, most)
        reached |= ((base + lower[bounded]).min(axis=1) <= low + near) | (
            (base + upper[bounded]).max(axis=1) >= high - near
        )
    return _lifted(graph, bounded[~reached])


def _intervals(passage: Passage, values: Floats, least: Floats, most: Floats) -> tuple[Floats, Floats]:
    """Return between which changes each node stays in each draw, two of (n_rows, n_draws) float."""
    lower, upper = (np.zeros((passage.n_rows, values.shape[1])) for _ in range(2))
    lower[: len(least)], upper[: len(most)] = least[:, None], most[:, None]
    for level in passage.levels:
        if level.last > level.first:
            one, other = (np.empty((level.last - level.first, values.shape[1])) for _ in range(2))
            level.factors.multiply(values, lower[level.tail], one)
            level.factors.multiply(values, upper[level.tail], other)
            lower[level.first : level.last] = np.minimum(one, other)
            upper[level.first : level.last] = np.maximum(one, other)
        if level.matrix.nnz:
            raising, lowering = level.matrix.maximum(0.0), level.matrix.minimum(0.0)
            here = slice(level.start, level.stop)
            lower[here] += raising @ lower + lowering @ upper
            upper[here] += raising @ upper + lowering @ lower
        for node, curve in level.curves:
            lower[node], upper[node] = _bent(curve, lower[node], upper[node])
    return lower, upper


def _bent(curve: Curve, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Return between which changes what leaves a curve stays, wherever on it a draw begins, (n_draws,) float each."""
    ends = [slope * end for slope in (curve.slopes.min(), curve.slopes.max()) for end in (lower, upper)]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _lifted(graph: CausalGraph, nodes: Integers) -> CausalGraph:
    """Return the graph without the bounds of some nodes."""
    bounds = graph.bounds.copy()
    bounds[:, nodes] = np.array([[-np.inf], [np.inf]])
    lifted = replace(graph)
    vars(lifted)["bounds"] = bounds  # else found out anew from the KPIs
    return lifted
