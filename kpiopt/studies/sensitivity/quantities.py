"""Quantities of a scenario by name, and the scenario in which some of them certainly have a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from kpiopt.graph import build_graph
from kpiopt.scenario.bounds import closed
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Cells, Floats, Kpi, Scenario


def name_of(scenario: Scenario, path: str) -> str:
    """Return the name of the quantity at a path of the file; other paths as they are."""
    if path in quantities_of(scenario):
        return path
    return path.removesuffix(".value").removesuffix(".contribution")


def quantities_of(scenario: Scenario) -> dict[str, Quantity]:
    """Return every number that may be a distribution, by name: factors, contributions, effects, baselines, execution.

    Cells' baselines are listed where they are distributions.
    """
    found = {f"factor.{f.id}": f.value for f in scenario.factors.values()}
    for kpi in scenario.kpis.values():
        found |= {driver.path: driver.contribution for driver in kpi.drivers}
        if kpi.baseline is not None:
            found[f"kpi.{kpi.id}.baseline"] = kpi.baseline
    for initiative in scenario.initiatives.values():
        found |= {effect.path: effect.contribution for effect in initiative.effects}
    found |= {_cell_name(scenario, row): q for row, q in scenario.cells.baseline_quantity.items()}
    return found | dict(zip(scenario.uncertainty.paths, scenario.uncertainty.execution, strict=True))


def _cell_name(scenario: Scenario, row: int) -> str:
    unit, kpi = scenario.units.ids[scenario.cells.unit[row]], scenario.kpi_ids[scenario.cells.kpi[row]]
    return f"cell.{unit}/{kpi}.baseline"


def fix_quantities(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """Return the scenario in which some quantities certainly have a value.

    A quantity that was uncertain stays a source of draws, of spread 0: those it is correlated with keep theirs.

    Parameters
    ----------
    values : mapping of str to float
        By names of `quantities_of`.
    """
    present = quantities_of(scenario)
    return replace_quantities(scenario, {name: _fixed(present[name], float(v)) for name, v in values.items()})


def _fixed(quantity: Quantity, value: float) -> Quantity:
    return Quantity.number(value) if quantity.is_number else Quantity("normal", (value, 0.0))


def replace_quantities(scenario: Scenario, others: Mapping[str, Quantity]) -> Scenario:
    """Return the scenario with other quantities under some of the names of `quantities_of`."""

    def fixed(name: str, quantity: Quantity) -> Quantity:
        return others.get(name, quantity)

    uncertainty = scenario.uncertainty
    execution = (fixed(p, q) for p, q in zip(uncertainty.paths, uncertainty.execution, strict=True))
    moved = replace(
        scenario,
        factors={k: replace(f, value=fixed(f"factor.{k}", f.value)) for k, f in scenario.factors.items()},
        kpis={k: _fix_kpi(kpi, fixed) for k, kpi in scenario.kpis.items()},
        initiatives={
            k: replace(i, effects=tuple(replace(e, contribution=fixed(e.path, e.contribution)) for e in i.effects))
            for k, i in scenario.initiatives.items()
        },
        cells=_fix_baselines(scenario, fixed),
        uncertainty=replace(uncertainty, execution=tuple(execution)),
    )
    return moved if moved.cells is scenario.cells else follow_baselines(moved)


def follow_baselines(scenario: Scenario) -> Scenario:
    """Return the scenario with the ranges of stretch that guardrails give for its baselines, also those rolled up."""
    cells = scenario.cells
    if cells.growth is None or np.all(np.isnan(cells.growth)):
        return scenario
    graph = build_graph(scenario)
    ends = cells.growth * np.abs(graph.baseline[graph.cell_node])
    low, high = _following(np.where(cells.has_decision, ends, np.nan), cells.min_stretch, cells.max_stretch)
    totals = scenario.totals
    ends = np.where(np.isnan(cells.lock), ends, np.nan)[:, totals.cell]
    least, most = _following(ends, totals.low, totals.high)
    return replace(
        scenario,
        cells=replace(cells, min_stretch=low, max_stretch=high),
        totals=replace(totals, low=least, high=most),
    )


def _following(ends: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return ranges with the ends that guardrails give; NaN where one gives none."""
    return closed(*(np.where(np.isnan(given), own, given) for given, own in zip(ends, (low, high), strict=True)))


def _fix_kpi(kpi: Kpi, fixed: Callable[[str, Quantity], Quantity]) -> Kpi:
    drivers = tuple(replace(d, contribution=fixed(d.path, d.contribution)) for d in kpi.drivers)
    baseline = None if kpi.baseline is None else fixed(f"kpi.{kpi.id}.baseline", kpi.baseline)
    return replace(kpi, drivers=drivers, baseline=baseline)


def _fix_baselines(scenario: Scenario, fixed: Callable[[str, Quantity], Quantity]) -> Cells:
    cells = scenario.cells
    quantities = {row: fixed(_cell_name(scenario, row), q) for row, q in cells.baseline_quantity.items()}
    changed = [row for row, q in quantities.items() if q is not cells.baseline_quantity[row]]
    if not changed:
        return cells
    baseline = cells.baseline.copy()
    baseline[changed] = [quantities[row].mean for row in changed]
    return replace(cells, baseline=baseline, baseline_quantity=quantities)
