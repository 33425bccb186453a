"""The plain numbers of a scenario: limits, goals and assumptions that are certain, and how each is changed in memory.

Numbers that stand in a table once for every cell or unit are moved together: "cells.pay_rate" is a factor on all of
them, 1 as things stand, "cells.sales.baseline" one on those of a KPI. Each by itself can be named as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.key_path import dotted
from kpiopt.scenario.bounds import is_above
from kpiopt.scenario.numbers.quantities import follow_baselines, quantities_of, replace_quantities
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.resolve.by_period import with_cells
from kpiopt.scenario.scenario import Cells, Floats, Integers, Scenario

Change = Callable[[Scenario, float], Scenario]


@dataclass(frozen=True, slots=True)
class PlainNumber:
    """A number that is certain.

    Attributes
    ----------
    kind : str
        "limit", "goal" or "assumption".
    change : callable or None
        (scenario, value) -> the scenario with that value; None where only reading the file again does it.
    least, most : float
        Between which values it may be.
    whole : bool
        Whether only whole numbers make a difference.
    """

    kind: str
    value: float
    change: Change | None
    least: float = -np.inf
    most: float = np.inf
    whole: bool = False


def plain_numbers(scenario: Scenario) -> dict[str, PlainNumber]:
    """Return every plain number that is moved on its own account, by path."""
    return dict(
        [
            *_limits(scenario),
            *_goals(scenario),
            *_quantities(scenario),
            *_initiatives(scenario),
            *_settings(scenario),
            *_factors(scenario),
        ]
    )


def _put(table: str, key: str, field: str, scenario: Scenario, value: float) -> Scenario:
    entries: Mapping[str, Any] = getattr(scenario, table)
    changed: Any = {**entries, key: replace(entries[key], **{field: value})}
    return replace(scenario, **{table: changed})


def _limits(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    for budget in scenario.budgets.values():
        change = partial(_put, "budgets", budget.id, "limit")
        yield f"budget.{budget.id}.limit", PlainNumber("limit", budget.limit, change, 0.0)
    for resource in scenario.units.capacity:
        scale = capacity_scale(scenario, resource)
        scaled = partial(_scale_capacity, resource, scale) if scale > 0.0 else None
        yield f"capacity.{resource}.scale", PlainNumber("limit", scale, scaled, 0.0)
    for name, entry in scenario.document.get("guardrail", {}).items():
        for position, share in enumerate(entry.get("growth", [])):
            path = dotted(("guardrail", name, "growth", position))
            yield path, PlainNumber("limit", float(share), None, 0.0)


def capacity_scale(scenario: Scenario, resource: str) -> float:
    """Return the scale of a capacity, 1 where the file has none."""
    return float(scenario.document.get("capacity", {}).get(resource, {}).get("scale", 1.0))


def _scale_capacity(resource: str, before: float, scenario: Scenario, value: float) -> Scenario:
    return _with_capacity(scenario, resource, scenario.units.capacity[resource] / before * value)


def _with_capacity(scenario: Scenario, resource: str, amounts: Floats) -> Scenario:
    units = replace(scenario.units, capacity={**scenario.units.capacity, resource: amounts})
    return replace(scenario, units=units)


def _goals(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    """Targets, and weights where a goal of the same priority has one to be weighed against."""
    priorities = [g.priority for g in scenario.goals.values() if not g.hard]
    for goal in scenario.goals.values():
        yield f"goal.{goal.id}.target", PlainNumber("goal", goal.target, partial(_put, "goals", goal.id, "target"))
        if not goal.hard and priorities.count(goal.priority) > 1:
            change = partial(_put, "goals", goal.id, "weight")
            yield f"goal.{goal.id}.weight", PlainNumber("goal", goal.weight, change, 0.0)


def _quantities(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    """The certain quantities that the file writes down."""
    for name, quantity in quantities_of(scenario).items():
        is_default = name == scenario.uncertainty.paths[0] and "uncertainty" not in scenario.document
        if quantity.is_number and not is_default:
            yield name, PlainNumber("assumption", quantity.mean, partial(_certainly, name))


def _certainly(name: str, scenario: Scenario, value: float) -> Scenario:
    return replace_quantities(scenario, {name: Quantity.number(value)})


def _initiatives(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    for initiative in scenario.initiatives.values():
        path, change = f"initiative.{initiative.id}", partial(_put, "initiatives", initiative.id, "maximum")
        most = PlainNumber("assumption", initiative.maximum, change, 0.0, whole=initiative.whole)
        if not initiative.levels:
            yield f"{path}.max", most
        for field in ("uses", "setup"):
            for resource, use in getattr(initiative, field).items():
                change = partial(_use, initiative.id, field, resource)
                yield f"{path}.{field}.{resource}", PlainNumber("assumption", use, change, 0.0)


def _use(initiative: str, field: str, resource: str, scenario: Scenario, value: float) -> Scenario:
    entry = scenario.initiatives[initiative]
    moved: Any = {field: {**getattr(entry, field), resource: value}}
    changed = replace(entry, **moved)
    return replace(scenario, initiatives={**scenario.initiatives, initiative: changed})


def _settings(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    """What the order of the objectives, pay plans and the laws of chance are given as numbers."""
    for field in ("effort_price", "slack"):
        for key, value in getattr(scenario.decide, field).items():
            change = partial(_entry_of, "decide", field, key)
            yield f"decide.{field}.{key}", PlainNumber("assumption", value, change, 0.0)
    for plan in scenario.pay_plans.values():
        yield f"pay_plan.{plan.id}.payout", PlainNumber("assumption", 1.0, partial(_scale_payout, plan.id), 0.0)
        if plan.cap is not None:
            change = partial(_put, "pay_plans", plan.id, "cap")
            yield f"pay_plan.{plan.id}.cap", PlainNumber("assumption", plan.cap, change, 0.0)
    if any(not q.is_number for q in scenario.uncertainty.execution):
        is_table = isinstance(scenario.document.get("uncertainty", {}).get("common"), Mapping)
        for level, share in scenario.uncertainty.common.items():
            path = dotted(("uncertainty", "common", level)) if is_table else "uncertainty.common"
            change = partial(_entry_of, "uncertainty", "common", level)
            yield path, PlainNumber("assumption", share, change, 0.0, 1.0)
    for (a, b), r in scenario.correlation.items():
        change = partial(_correlate, (a, b))
        yield dotted(("correlation", f"{a} ~ {b}")), PlainNumber("assumption", r, change, -1.0, 1.0)


def _entry_of(part: str, field: str, key: str, scenario: Scenario, value: float) -> Scenario:
    owner: Any = getattr(scenario, part)
    return replace(scenario, **{part: replace(owner, **{field: {**getattr(owner, field), key: value}})})


def _scale_payout(plan: str, scenario: Scenario, factor: float) -> Scenario:
    entry = scenario.pay_plans[plan]
    changed = replace(entry, share=tuple(factor * share for share in entry.share))
    return replace(scenario, pay_plans={**scenario.pay_plans, plan: changed})


def _correlate(pair: tuple[str, str], scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, correlation={**scenario.correlation, pair: value})


# ------------------------------------------------------------------------------------------ what stands in the tables
_LIMITS = ("min_stretch", "max_stretch")


def _factors(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    """Factors on what all cells or units have: pay, efforts, own ranges of stretch, incentives, baselines by KPI."""
    everywhere = np.arange(len(scenario.stated))
    for field in ("max_stretch", "min_stretch", "pay_rate", *(f"effort.{r}" for r in scenario.stated.effort)):
        yield from _factor(scenario, f"cells.{field}", field, everywhere)
    for position, kpi in enumerate(scenario.kpis):
        rows = np.flatnonzero(scenario.stated.kpi == position)
        yield from _factor(scenario, f"cells.{kpi}.baseline", "baseline", rows)
    if np.nansum(scenario.units.target_incentive) > 0.0:
        yield "units.target_incentive", PlainNumber("assumption", 1.0, _scale_incentives, 0.0)


def kpi_factors(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    """Yield the factors on what the cells of one KPI have, baselines apart."""
    for position, kpi in enumerate(scenario.kpis):
        rows = np.flatnonzero(scenario.stated.kpi == position)
        for field in ("max_stretch", "min_stretch", "pay_rate", *(f"effort.{r}" for r in scenario.stated.effort)):
            yield from _factor(scenario, f"cells.{kpi}.{field}", field, rows)


def _factor(scenario: Scenario, path: str, field: str, rows: Integers) -> Iterator[tuple[str, PlainNumber]]:
    rows = rows[_own(scenario.stated, field)[rows]]
    if len(rows):
        kind = "limit" if field in _LIMITS else "assumption"
        yield path, PlainNumber(kind, 1.0, partial(_scale_cells, field, rows), 0.0)


def _own(cells: Cells, field: str) -> NDArray[np.bool_]:
    """Which cells have a number of their own there: certain, not 0, and not from a guardrail or a lock."""
    there: NDArray[np.bool_] = np.nan_to_num(_column(cells, field)) != 0.0
    if field == "baseline":
        there[list(cells.baseline_quantity)] = False
    if field in _LIMITS:
        there &= ~cells.is_locked
        if cells.growth is not None:
            there &= np.isnan(cells.growth[_LIMITS.index(field)])
    return there


def _column(cells: Cells, field: str) -> Floats:
    family, _, resource = field.partition(".")
    values: Floats = cells.effort[resource] if resource else getattr(cells, family)
    return values


def _with_column(scenario: Scenario, field: str, values: Floats) -> Scenario:
    cells = scenario.stated
    family, _, resource = field.partition(".")
    column: Any = {**cells.effort, resource: values} if resource else values
    changed = replace(cells, **{family: column})
    moved = with_cells(scenario, changed)
    if field == "baseline":
        return follow_baselines(moved)
    if field in _LIMITS and np.any(is_above(changed.min_stretch, changed.max_stretch)):
        raise ModelError(Problem("E-cell-box", "the smallest stretch of some cell would be above its largest"))
    return moved


def _scale_cells(field: str, rows: Integers, scenario: Scenario, factor: float) -> Scenario:
    values = _column(scenario.stated, field).copy()
    values[rows] *= factor
    return _with_column(scenario, field, values)


def _scale_incentives(scenario: Scenario, factor: float) -> Scenario:
    units = scenario.units
    return replace(scenario, units=replace(units, target_incentive=units.target_incentive * factor))


def single_numbers(scenario: Scenario) -> dict[str, PlainNumber]:
    """Return the numbers of single cells and units, and the factors by KPI, which move only when they are named."""
    of_cells = (*_cell_numbers(scenario), *_numbers_of_periods(scenario))
    return dict([*kpi_factors(scenario), *unit_numbers(scenario), *of_cells])


def unit_numbers(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    """Yield capacities and target incentives of single units."""
    units = scenario.units
    for resource, amounts in units.capacity.items():
        scale = capacity_scale(scenario, resource)
        for position in np.flatnonzero(~np.isnan(amounts)).tolist() if scale > 0.0 else ():
            change = partial(_set_capacity, resource, position, scale)
            path = f"unit.{units.ids[position]}.capacity.{resource}"
            yield path, PlainNumber("limit", float(amounts[position]) / scale, change, 0.0)
    for position in np.flatnonzero(~np.isnan(units.target_incentive)).tolist():
        path, value = f"unit.{units.ids[position]}.target_incentive", float(units.target_incentive[position])
        yield path, PlainNumber("assumption", value, partial(_set_incentive, position), 0.0)


def _set_capacity(resource: str, unit: int, scale: float, scenario: Scenario, value: float) -> Scenario:
    amounts = scenario.units.capacity[resource].copy()
    amounts[unit] = value * scale
    return _with_capacity(scenario, resource, amounts)


def _set_incentive(unit: int, scenario: Scenario, value: float) -> Scenario:
    incentives = scenario.units.target_incentive.copy()
    incentives[unit] = value
    return replace(scenario, units=replace(scenario.units, target_incentive=incentives))


def _cell_numbers(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    cells, units = scenario.stated, scenario.units.ids
    names = [
        f"cell.{units[u]}/{scenario.kpi_ids[k]}" for u, k in zip(cells.unit.tolist(), cells.kpi.tolist(), strict=True)
    ]
    for field in ("baseline", *_LIMITS, "pay_rate", *(f"effort.{r}" for r in cells.effort)):
        kind, least = ("limit" if field in _LIMITS else "assumption"), (-np.inf if field == "baseline" else 0.0)
        column = _column(cells, field)
        for row in np.flatnonzero(_own(cells, field)).tolist():
            change = partial(_set_cell, field, row)
            yield f"{names[row]}.{field}", PlainNumber(kind, float(column[row]), change, least)


def _numbers_of_periods(scenario: Scenario) -> Iterator[tuple[str, PlainNumber]]:
    """Yield what the rows of single periods say; what follows from it for the others is found by reading again."""
    periods, cells = scenario.periods, scenario.horizon
    if periods is None or periods.single is None:
        return
    for field in ("baseline", *_LIMITS, "lock"):
        values: Floats = getattr(periods.single, field)
        given = periods.single.has_baseline if field == "baseline" else ~np.isnan(values)
        kind, least = ("limit", 0.0) if field in _LIMITS else ("assumption", -np.inf)
        for row, t in np.argwhere(given).tolist():
            unit, kpi = scenario.units.ids[cells.unit[row]], scenario.kpi_ids[cells.kpi[row]]
            path = dotted(("cell", f"{unit}/{kpi}/{periods.names[t]}", field))
            yield path, PlainNumber(kind, float(values[row, t]), None, least)


def _set_cell(field: str, row: int, scenario: Scenario, value: float) -> Scenario:
    values = _column(scenario.stated, field).copy()
    values[row] = value
    return _with_column(scenario, field, values)
