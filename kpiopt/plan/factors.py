"""What over-assignment multiplies targets by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.scenario.scenario import Cells, Floats, Scenario


def target_factors(graph: CausalGraph, shares: Mapping[str, float]) -> Floats:
    """Return F, what the target of each node is multiplied by, (n_nodes,) float; 1 where there is no cushion."""
    scenario, units = graph.scenario, graph.scenario.units
    up, down = np.ones(len(units)), np.ones(len(units))
    seen: list[frozenset[str]] = []
    for unit, above in enumerate(units.parent.tolist()):
        level = "" if units.is_own[unit] else units.levels[unit]
        passed = seen[above] if above >= 0 else frozenset()
        share = shares.get(level, 0.0) if level not in passed else 0.0
        up[unit], down[unit] = (f[above] if above >= 0 else 1.0 for f in (up, down))
        up[unit] *= 1.0 + share
        down[unit] *= 1.0 - share
        seen.append(passed | {level} if share else passed)
    chosen = np.zeros(graph.n_nodes, dtype=bool)
    node = np.flatnonzero(graph.kind == NodeKind.KPI)
    chosen[node] = np.array(scenario.over_assignment.kpis, dtype=bool)[graph.kpi[node]]
    factor = np.where(graph.sign > 0, up[graph.unit], down[graph.unit])
    return np.where(chosen, factor, 1.0)


def without_cushioned_locks(graph: CausalGraph, stretch: Floats) -> CausalGraph:
    """Return the graph with locked targets that include a cushion opened: it is the target with it that is rounded."""
    scenario, whole, totals = graph.scenario, graph.scenario.horizon, graph.scenario.totals
    given = scenario.over_assignment.given
    if not given or whole.lock_target is None:
        return graph
    cushioned = ~np.isnan(whole.lock_target) & (target_factors(graph, given)[graph.whole_node] != 1.0)
    if not cushioned.any():
        return graph
    left = replace(totals, target=np.where(cushioned[totals.cell], np.nan, totals.target))
    opened = replace(whole, lock_target=np.where(cushioned, np.nan, whole.lock_target))
    asked = np.bincount(scenario.cell_base, stretch, len(whole)).astype(np.float64)
    opened = _widened(scenario, opened, asked, cushioned)
    if scenario.periods is None:
        return replace(graph, scenario=replace(scenario, cells=opened, totals=left))
    cells = _widened(scenario, scenario.cells, stretch, cushioned[scenario.cell_base])
    return replace(graph, scenario=replace(scenario, cells=cells, whole=opened, totals=left))


def _widened(scenario: Scenario, cells: Cells, stretch: Floats, some: NDArray[np.bool_]) -> Cells:
    """Let the stretch of some cells move by a step."""
    step = scenario.kpi_step[cells.kpi]
    return replace(
        cells,
        min_stretch=np.where(some, stretch - step, cells.min_stretch),
        max_stretch=np.where(some, stretch + step, cells.max_stretch),
    )
