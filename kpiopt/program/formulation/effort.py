"""How effort counts stretch: a column of its own where it grows faster, a factor elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpiopt.graph import CausalGraph
from kpiopt.graph.effort import bends_of_effort, counted_stretch
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder, Terms
from kpiopt.scenario.scenario import Floats, Integers


@dataclass(frozen=True)
class EffortColumns:
    """How effort counts each stretch.

    Attributes
    ----------
    load : Columns
        y_n, the stretch as effort counts it, for cells whose effort grows faster than their stretch.
    loaded : (n_load,) int
        Position in `stretch` of each of them.
    factor : (n_stretch,) float
        How many times the effort of each stretch counts where it has no y_n.
    """

    load: Columns
    loaded: Integers
    factor: Floats


def add_loads(build: ProgramBuilder, graph: CausalGraph, cell: Integers, stretch: Columns) -> EffortColumns:
    """y_n in [0, L_n(max_stretch_n)], the stretch of a cell as its effort curve counts it."""
    loaded, factor = stretch_with_bends(graph, cell, stretch)
    highest, node = np.zeros(len(graph.scenario.cells)), graph.cell_node[cell[loaded]]
    highest[cell] = stretch.upper
    most = 1.01 * counted_stretch(graph, highest)[cell[loaded]]
    load = build.add_columns("load", np.zeros(len(loaded)), most, lambda i: graph.node_name(int(node[i])))
    return EffortColumns(load, loaded, factor)


def stretch_with_bends(graph: CausalGraph, cell: Integers, stretch: Columns) -> tuple[Integers, Floats]:
    """Return which stretches can reach a bend of their effort, and how many times the effort of the others counts."""
    bends, (lower, upper) = bends_of_effort(graph), np.zeros((2, len(graph.scenario.cells)))
    lower[cell], upper[cell] = stretch.lower, stretch.upper
    reached, works = bends.start < upper[bends.cell], np.zeros(len(upper), dtype=bool)
    for effort in graph.scenario.cells.effort.values():
        works |= effort != 0.0
    bent = np.isin(np.arange(len(upper)), bends.cell[reached & works[bends.cell]])
    is_fixed = (lower == upper) & (upper > 0.0)
    times = np.where(is_fixed, bends.counted(upper) / np.where(is_fixed, upper, 1.0), bends.first)
    return np.flatnonzero(bent[cell] & ~is_fixed[cell]), times[cell]


def add_effort_curve_rows(
    build: ProgramBuilder, graph: CausalGraph, effort: EffortColumns, stretch: Columns, stretch_cell: Integers
) -> None:
    """y_n - m_k x_n >= - sum_{j <= k} (m_j - m_{j-1}) r_j w_n for tier k, of multiplier m_k, from r_k w_n on.

    With periods r_k w_t w_n. y_n takes the place of x_n in what uses effort.
    """
    cell, bends = stretch_cell[effort.loaded], bends_of_effort(graph)
    place = np.full(len(graph.scenario.cells), -1, dtype=np.int64)
    place[cell] = np.arange(len(cell))
    here = np.flatnonzero(place[bends.cell] >= 0)
    of = np.concatenate([np.arange(len(cell)), place[bends.cell[here]]])
    slope = np.concatenate([bends.first[cell], bends.slope[here]])
    constant = np.concatenate([np.zeros(len(cell)), bends.constant[here]])
    each = np.arange(len(of))
    terms = [
        Terms(effort.load, each, of, np.ones(len(of))),
        Terms(stretch, each, effort.loaded[of], -slope),
    ]

    def label(i: int) -> str:
        return f"{graph.node_name(int(graph.cell_node[cell[of[i]]]))}: {slope[i]:g}"

    build.add_rows("effort_curve", terms, 0.0 - constant, np.full(len(of), np.inf), label)
