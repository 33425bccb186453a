"""Quantities of a scenario by name, and the scenario in which some of them certainly have a value."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace

import numpy as np

from kpiopt.scenario.bounds import closed
from kpiopt.scenario.links import Factor, Initiative
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.resolve.by_period import with_cells
from kpiopt.scenario.roll_up import build_roll_up
from kpiopt.scenario.scenario import Cells, Kpi, Scenario, Uncertainty, Units


def canonical(path: str, known: Container[str]) -> str | None:
    """Return the name of the quantity that a path of the file means; None where it is none of the known ones.

    Quotes, and the `.value` or `.contribution` under which it may be written, can be left out.
    """
    plain = path.replace('"', "")
    ways = plain, plain.removesuffix(".value"), plain.removesuffix(".contribution"), f"{plain}.value"
    return next((name for name in ways if name in known), None)


def quantities_of(scenario: Scenario) -> dict[str, Quantity]:
    """Return every number that may be a distribution, by name: see `name_quantities`."""
    links = scenario.kpis, scenario.factors, scenario.initiatives
    return name_quantities(*links, scenario.units, scenario.stated, scenario.uncertainty)


def name_quantities(
    kpis: Mapping[str, Kpi],
    factors: Mapping[str, Factor],
    initiatives: Mapping[str, Initiative],
    units: Units,
    cells: Cells,
    uncertainty: Uncertainty,
) -> dict[str, Quantity]:
    """Return every number that may be a distribution, by name: factors, contributions, effects, baselines, execution.

    Cells' baselines are listed where they are distributions.
    """
    found = {f"factor.{f.id}": f.value for f in factors.values()}
    for kpi in kpis.values():
        found |= {driver.path: driver.contribution for driver in kpi.drivers if driver.curve is None}
        if kpi.baseline is not None:
            found[f"kpi.{kpi.id}.baseline"] = kpi.baseline
    for initiative in initiatives.values():
        found |= {effect.path: effect.contribution for effect in initiative.effects if effect.curve is None}
    kpi_ids = list(kpis)
    for row, quantity in cells.baseline_quantity.items():
        found[f"cell.{units.ids[cells.unit[row]]}/{kpi_ids[cells.kpi[row]]}.baseline"] = quantity
    return found | dict(zip(uncertainty.paths, uncertainty.execution, strict=True))


def _cell_name(scenario: Scenario, row: int) -> str:
    cells = scenario.stated
    unit, kpi = scenario.units.ids[cells.unit[row]], scenario.kpi_ids[cells.kpi[row]]
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
    """Return the scenario with other quantities under some of the names of `quantities_of`, its variants as well."""
    robust = tuple((name, replace_quantities(other, others)) for name, other in scenario.robust)
    return replace(_replaced(scenario, others), robust=robust)


def _replaced(scenario: Scenario, others: Mapping[str, Quantity]) -> Scenario:
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
        uncertainty=replace(uncertainty, execution=tuple(execution)),
    )
    cells = _fix_baselines(scenario, fixed)
    return moved if cells is scenario.stated else follow_baselines(with_cells(moved, cells))


def follow_baselines(scenario: Scenario) -> Scenario:
    """Return the scenario with what follows from its baselines: those rolled up, and what guardrails allow for them."""
    cells, units, kpis = scenario.stated, scenario.units, scenario.kpis.values()
    rolls, at_root = [k.roll_up != "none" for k in kpis], [k.baseline is not None for k in kpis]
    roll_up = build_roll_up(units, cells.unit, cells.kpi, rolls, at_root)
    own, size = roll_up.of_cells(cells.baseline), roll_up.of_cells(cells.size)
    for position, kpi in enumerate(kpis):
        pair = roll_up.find(0, position)[0] if kpi.baseline is not None else -1
        if pair >= 0 and np.isnan(own[pair]):
            own[pair] = kpi.baseline.mean if kpi.baseline is not None else np.nan
    own = np.clip(own, *np.array([(k.low, k.high) for k in kpis]).T[:, roll_up.kpi]) if roll_up.count else own
    size = np.where(np.isnan(size), units.size[roll_up.unit], size)
    coefficient, _ = roll_up.weights(size, np.array([k.roll_up == "mean" for k in kpis], dtype=bool))
    baseline = roll_up.total(own, coefficient)[roll_up.cell >= 0]
    return _with_growth(with_cells(scenario, replace(cells, baseline=baseline)))


def _with_growth(scenario: Scenario) -> Scenario:
    """Apply the guardrails that are shares of the baseline to cells with a decision."""
    cells = scenario.stated
    if cells.growth is None or np.all(np.isnan(cells.growth)):
        return scenario
    moved = np.where(cells.has_decision, cells.growth * np.abs(cells.baseline), np.nan)
    sides = zip(moved, (cells.min_stretch, cells.max_stretch), strict=True)
    low, high = closed(*(np.where(np.isnan(end), side, end) for end, side in sides))
    return with_cells(scenario, replace(cells, min_stretch=low, max_stretch=high))


def _fix_kpi(kpi: Kpi, fixed: Callable[[str, Quantity], Quantity]) -> Kpi:
    drivers = tuple(replace(d, contribution=fixed(d.path, d.contribution)) for d in kpi.drivers)
    baseline = None if kpi.baseline is None else fixed(f"kpi.{kpi.id}.baseline", kpi.baseline)
    return replace(kpi, drivers=drivers, baseline=baseline)


def _fix_baselines(scenario: Scenario, fixed: Callable[[str, Quantity], Quantity]) -> Cells:
    cells = scenario.stated
    quantities = {row: fixed(_cell_name(scenario, row), q) for row, q in cells.baseline_quantity.items()}
    changed = [row for row, q in quantities.items() if q is not cells.baseline_quantity[row]]
    if not changed:
        return cells
    baseline = cells.baseline.copy()
    baseline[changed] = [quantities[row].mean for row in changed]
    uncertain = {row: quantity for row, quantity in quantities.items() if not quantity.is_number}
    return replace(cells, baseline=baseline, baseline_quantity=uncertain)
