"""How much effort stretch takes: the stretch that counts, tier by tier, where a cell has a curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpiopt.graph.causal_graph import CausalGraph
from kpiopt.scenario.effort import bends_of
from kpiopt.scenario.scenario import Floats, Integers


@dataclass(frozen=True)
class Bends:
    """Where the effort of cells grows faster: it counts max(x, 0) and, for each bend, by max(x - start, 0) more.

    Attributes
    ----------
    first : (n_cells,) float
        How many times effort counts from a stretch of 0 on; 1 without a curve.
    cell : (n_bends,) int
        Cell of each further tier; tiers of a cell stand together, ascending.
    start, more : (n_bends,) float
        Stretch from which on it counts, in the KPI's unit, and by how many times of effort more.
    slope, constant : (n_bends,) float
        From there to the next bend, a stretch x counts slope x - constant.
    """

    first: Floats
    cell: Integers
    start: Floats
    more: Floats
    slope: Floats
    constant: Floats

    def counted(self, stretch: Floats) -> Floats:
        """Return the stretch of each cell as its effort counts it, (n_cells,) float."""
        beyond = self.more * np.maximum(stretch[self.cell] - self.start, 0.0)
        return self.first * np.maximum(stretch, 0.0) + np.bincount(self.cell, beyond, len(stretch))

    def rate(self, stretch: Floats) -> Floats:
        """Return how many times the next unit of stretch of each cell counts, (n_cells,) float."""
        beyond = np.where(stretch[self.cell] >= self.start, self.more, 0.0)
        return np.asarray(self.first + np.bincount(self.cell, beyond, len(stretch)))


def bends_of_effort(graph: CausalGraph) -> Bends:
    """Return the bends of every cell's effort: of a tier that begins at relative stretch r at r w_t w_n."""
    scenario, curves = graph.scenario, graph.scenario.effort_curves
    first, found = np.ones(len(scenario.cells)), list[tuple[Integers, Floats]]()
    if curves is not None:
        group, scale = curves.group[scenario.cell_base], graph.stretch_scale.copy()
        if scenario.periods is not None:
            scale *= scenario.periods.season[scenario.cells.kpi, scenario.cell_period]
        for position, tiers in enumerate(curves.tiers):
            here = np.flatnonzero(group == position)
            first[here] = tiers[0][1]
            for start, more, slope, constant in bends_of(tiers):
                each = np.ones(len(here))
                found.append((here, np.array([start * scale[here], more * each, slope * each, constant * scale[here]])))
    cell = np.concatenate([np.empty(0, dtype=np.int64), *(here for here, _ in found)])
    order = np.argsort(cell, kind="stable")
    return Bends(first, cell[order], *np.concatenate([np.empty((4, 0)), *(n for _, n in found)], axis=1)[:, order])


def counted_stretch(graph: CausalGraph, stretch: Floats) -> Floats:
    """Return the stretch of each cell as its effort counts it, (n_cells,) float."""
    return bends_of_effort(graph).counted(stretch)
