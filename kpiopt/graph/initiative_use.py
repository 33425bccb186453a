"""What initiatives use of a resource at given levels: so much per unit of level, and once for being set up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph.causal_graph import CausalGraph
from kpiopt.scenario.scenario import Floats

NOTHING = 1e-9
"""Share of the largest level up to which a level is rounding, and its initiative does not run."""


def runs_at(graph: CausalGraph, levels: Floats) -> NDArray[np.bool_]:
    """Return which initiatives run at given levels, (n_levels,) bool."""
    largest = np.array([*(i.maximum for i in graph.scenario.initiatives.values()), 0.0])[graph.level_initiative]
    return np.asarray(levels > NOTHING * largest)


def setup_use(graph: CausalGraph, resource: str, period: int | None = None) -> Floats:
    """Return what each initiative uses of a resource for being set up, in all periods or in one, (n_levels,) float."""
    once = [*(i.setup.get(resource, 0.0) for i in graph.scenario.initiatives.values()), 0.0]
    use = np.array(once)[graph.level_initiative]
    is_elsewhere = period is not None and graph.scenario.periods is not None
    return np.where(graph.level_start == period, use, 0.0) if is_elsewhere else use


def use_of_levels(graph: CausalGraph, levels: Floats, resource: str, period: int | None = None) -> Floats:
    """Return what each initiative uses of a resource at given levels, in all periods or in one, (n_levels,) float."""
    once = np.where(runs_at(graph, levels), setup_use(graph, resource, period), 0.0)
    return np.asarray(graph.use_per_level(resource, period) * levels + once)
