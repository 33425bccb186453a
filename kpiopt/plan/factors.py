"""What over-assignment multiplies targets by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.scenario.scenario import Floats


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
    scenario, cells, totals = graph.scenario, graph.scenario.cells, graph.scenario.totals
    given = scenario.over_assignment.given
    if not given or cells.lock_target is None or scenario.periods is not None:
        return graph
    cushioned = ~np.isnan(cells.lock_target) & (target_factors(graph, given)[graph.cell_node] != 1.0)
    if not cushioned.any():
        return graph
    step = scenario.kpi_step[cells.kpi]
    opened = replace(
        cells,
        lock_target=np.where(cushioned, np.nan, cells.lock_target),
        min_stretch=np.where(cushioned, stretch - step, cells.min_stretch),
        max_stretch=np.where(cushioned, stretch + step, cells.max_stretch),
    )
    left = replace(totals, target=np.where(cushioned[totals.cell], np.nan, totals.target))
    return replace(graph, scenario=replace(scenario, cells=opened, totals=left))
