"""Which KPIs each unit answers for where the plan chooses, read off the stretches.

A cell with a stretch is chosen. Where a unit has fewer of these than its least number, its first others by id fill up
the number: they are chosen with a stretch of 0, as the order of ties has it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.scenario.scenario import Cells, Floats

NEGLIGIBLE = 1e-9
"""Share of its largest stretch up to which a cell has none."""


def spared_cells(graph: CausalGraph, stretch: Floats) -> NDArray[np.bool_]:
    """Return which rows of the horizon's cells nobody answers for, (n_horizon_cells,) bool.

    Parameters
    ----------
    stretch : (n_cells,) float
    """
    scenario, chosen = graph.scenario, graph.scenario.chosen
    horizon = scenario.horizon
    spared = np.zeros(len(horizon), dtype=bool)
    if chosen is None:
        return spared
    whole = np.bincount(scenario.cell_base, np.abs(stretch), len(horizon))
    spared[chosen.cell] = whole[chosen.cell] <= NEGLIGIBLE * np.abs(horizon.max_stretch[chosen.cell])
    answers = np.bincount(chosen.of_unit, ~spared[chosen.cell], len(chosen.unit)).astype(np.int64)
    missing = chosen.least - chosen.n_locked - answers
    may_fill = spared[chosen.cell] & ~chosen.light & (horizon.min_stretch[chosen.cell] <= 0.0)
    for place in np.flatnonzero(missing > 0).tolist():
        cells = chosen.cell[may_fill & (chosen.of_unit == place)].tolist()
        cells.sort(key=lambda cell: f"{graph.node_name(int(graph.whole_node[cell]))}]")
        spared[cells[: missing[place]]] = False
    return spared


def without_spared(graph: CausalGraph, stretch: Floats) -> CausalGraph:
    """Return the graph in which nothing is decided about spared cells: rounding leaves them at their baselines."""
    spared, scenario = spared_cells(graph, stretch), graph.scenario
    if not spared.any():
        return graph
    cells = _closed(scenario.cells, spared[scenario.cell_base])
    whole = None if scenario.whole is None else _closed(scenario.whole, spared)
    return replace(graph, scenario=replace(scenario, cells=cells, whole=whole))


def _closed(cells: Cells, spared: NDArray[np.bool_]) -> Cells:
    return replace(
        cells,
        has_decision=cells.has_decision & ~spared,
        min_stretch=np.where(spared, 0.0, cells.min_stretch),
        max_stretch=np.where(spared, 0.0, cells.max_stretch),
    )
