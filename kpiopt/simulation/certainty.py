"""What is certain: values that no distribution reaches, and inputs that are written as plain numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation.noise import noisy_nodes

Flags = NDArray[np.bool_]


def drawn_cells(graph: CausalGraph, stretch: Floats) -> Flags:
    """Return which cells realise another share of their stretch in every draw, (n_cells,) bool."""
    spread = np.array([_is_spread(q) for q in graph.scenario.uncertainty.execution])
    return np.asarray((stretch > 0) & spread[graph.scenario.cells.execution], dtype=np.bool_)


def varying_nodes(
    graph: CausalGraph, stretch: Floats, levels: Floats, fixed: Mapping[int, float] | None = None
) -> Flags:
    """Return which nodes' values differ between draws of a plan, (n_nodes,) bool.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
    fixed : mapping of int to float, optional
        Nodes that are set to a value whatever their causes do, in the KPI's unit.
    """
    spread = np.array([*(_is_spread(q.quantity) for q in graph.quantities), False])
    varies: Flags = spread[graph.node_quantity]
    varies[graph.entry_node[drawn_cells(graph, stretch)]] = True
    varies[noisy_nodes(graph)] = True
    delta, drawn = graph.own_change(stretch, levels), spread[graph.edge_quantity] | spread[graph.edge_between]
    for start, stop in pairwise(graph.level_bounds.tolist()):
        edges = slice(*np.searchsorted(graph.head, [start, stop]).tolist())
        tail = graph.tail[edges]
        passes_on = drawn[edges] | (graph.coefficient[edges] != 0)
        reached = (varies[tail] & passes_on) | (drawn[edges] & (delta[tail] != 0))
        varies[graph.head[edges][reached]] = True
        delta[start:stop] += graph.matrix[start:stop] @ delta
        graph.curves.bend(delta, start, stop)
        for node, value in (fixed or {}).items():
            if start <= node < stop:
                varies[node], delta[node] = False, value - graph.baseline[node]
    return varies


def _is_spread(quantity: Quantity) -> bool:
    return not quantity.is_number and quantity.standard_deviation > 0


def certain_inputs(scenario: Scenario) -> tuple[str, ...]:
    """Return the paths of inputs that have no spread; "cells.<kpi>.baseline" are all baselines of a KPI's cells."""
    return tuple(path for path, is_certain in _inputs(scenario) if is_certain)


def count_inputs(scenario: Scenario) -> int:
    """Return how many inputs `certain_inputs` chooses from."""
    return sum(1 for _ in _inputs(scenario))


def _inputs(scenario: Scenario) -> Iterator[tuple[str, bool]]:
    cells, used = scenario.cells, np.unique(scenario.cells.execution[scenario.cells.has_decision])
    for i in used.tolist():
        yield scenario.uncertainty.paths[i], not _is_spread(scenario.uncertainty.execution[i])
    baselines = scenario.horizon.baseline_quantity.items()
    uncertain = {int(scenario.horizon.kpi[row]) for row, quantity in baselines if _is_spread(quantity)}
    if scenario.noise is not None:
        uncertain |= set(cells.kpi[scenario.noise.sd > 0].tolist())
    for position, kpi in enumerate(scenario.kpis.values()):
        if np.any(cells.kpi == position):
            yield f"cells.{kpi.id}.baseline", position not in uncertain
        elif kpi.baseline is not None:
            yield f"kpi.{kpi.id}.baseline", not _is_spread(kpi.baseline)
        for driver in (d for d in kpi.drivers if d.curve is None or d.between):
            yield driver.path, not (_is_spread(driver.contribution) or driver.between)
    for factor in scenario.factors.values():
        yield f"factor.{factor.id}" + (".value" if factor.period < 0 else ""), not _is_spread(factor.value)
    for initiative in scenario.initiatives.values():
        for effect in (e for e in initiative.effects if e.curve is None or e.between):
            yield effect.path, not (_is_spread(effect.contribution) or effect.between)
