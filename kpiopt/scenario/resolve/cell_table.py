"""The rows of cells, joined to units and KPIs, sorted, and changed by bulk edits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np

from kpiopt.errors import Location, ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.reading.rows import Patch, Rows, merge_rows
from kpiopt.reading.tables.columns import reads_like_a_total
from kpiopt.reading.tables.table import CELLS_TABLE, Table
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.plan import AdjustEntry, FieldChanges
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.resolve.periods import period_names
from kpiopt.scenario.resolve.quantity_reader import QuantityReader
from kpiopt.scenario.resolve.selection import Mask, Selector
from kpiopt.scenario.scenario import OWN, Floats, Integers, Units

_UNKNOWN = -2
TRUE = ("true", "yes", "1")
_FALSE = ("", "false", "no", "0")
NUMBER_FIELDS = (
    "baseline",
    "min_stretch",
    "max_stretch",
    "pay_rate",
    "weight",
    "size",
    "lock",
    "lock_target",
    "reference",
    "commit",
    "noise_sd",
)


@dataclass(frozen=True)
class CellTable:
    """Cells in their final order with their fields as given.

    Attributes
    ----------
    unit, kpi : (n,) int
        Positions in `Units` and among the model's KPIs; sorted by unit then KPI.
    fields : mapping of str to (n,) float
        The numbers of `NUMBER_FIELDS` and "effort.<resource>"; NaN where not given.
    baseline_quantity : mapping of int to Quantity
        Cells whose baseline is a distribution; `fields` holds its mean.
    row : (n,) int
        Row of each cell in `rows`; where none is about the horizon, the first of its single periods.
    has_row : (n,) bool
        Whether a row is about the horizon.
    single_cell, single_period, single_row : (n_single,) int
        The rows of single periods: cell, period and row in `rows`.
    """

    units: Units
    kpi_ids: tuple[str, ...]
    unit: Integers
    kpi: Integers
    fields: Mapping[str, Floats]
    baseline_quantity: Mapping[int, Quantity]
    rows: Rows
    row: Integers
    has_row: Mask
    single_cell: Integers
    single_period: Integers
    single_row: Integers

    def __len__(self) -> int:
        return len(self.unit)

    def name(self, cell: int) -> str:
        """Return a cell's name, "unit/kpi"."""
        return f"{self.units.ids[self.unit[cell]]}/{self.kpi_ids[self.kpi[cell]]}"

    def without_totals(self, cells: Integers, model: ScenarioDocument) -> list[int]:
        """Return those of some cells that are no totals: nothing below rolls up to them."""
        rolls, kept = [entry.roll_up != "none" for entry in model.kpi.values()], list[int]()
        for cell in cells.tolist():
            unit, kpi = self.unit[cell], self.kpi[cell]
            below = (self.unit > unit) & (self.unit < self.units.end[unit]) & (self.kpi == kpi)
            kept += [cell] * (not rolls[kpi] or not below.any())
        return kept

    def location(self, cell: int, column: str) -> Location:
        """Return where a field of a cell stands."""
        return self.rows.location(int(self.row[cell]), column)

    @property
    def resources(self) -> list[str]:
        """Resources that effort is given for."""
        return [name.removeprefix("effort.") for name in self.fields if name.startswith("effort.")]


def build_cell_table(
    findings: Findings, model: ScenarioDocument, units: Units, table: Table | None, reader: QuantityReader
) -> CellTable:
    """Join cells to their units and KPIs; what does not exist is noted and left out."""
    rows = merge_rows(CELLS_TABLE, table, _patches(findings, model, table), findings.document)
    _name_own_parts(findings, rows)
    kpi_ids = tuple(model.kpi)
    unit = _positions(findings, rows, "unit", units.position)
    kpi = _positions(findings, rows, "kpi", {kpi: i for i, kpi in enumerate(kpi_ids)})
    period = _periods(findings, model, rows)
    row = np.flatnonzero((unit >= 0) & (kpi >= 0) & (period > _UNKNOWN))
    row = row[np.lexsort((period[row], kpi[row], unit[row]))]
    first = np.append(True, (np.diff(unit[row]) != 0) | (np.diff(kpi[row]) != 0))[: len(row)]
    single, cell, row = row[period[row] >= 0], (np.cumsum(first) - 1)[period[row] >= 0], row[first]
    has_row = period[row] < 0
    names = dict.fromkeys([*NUMBER_FIELDS, *(f"effort.{r}" for r in rows.family("effort."))])
    fields = {name: np.where(has_row, rows.numbers(name)[row], np.nan) for name in names}
    draft = CellTable(units, kpi_ids, unit[row], kpi[row], fields, {}, rows, row, has_row, cell, period[single], single)
    given = _quantities(draft, reader)
    for at, quantity in given.items():
        fields["baseline"][at] = quantity.mean
    return replace(draft, baseline_quantity=given)


def _periods(findings: Findings, model: ScenarioDocument, rows: Rows) -> Integers:
    """Return the period of each row, -1 where it is about the horizon and `_UNKNOWN` where there is no such period."""
    texts, names = rows.texts("period"), period_names(model)
    position = {"": -1, **{name: i for i, name in enumerate(names)}}
    found = np.fromiter((position.get(text, _UNKNOWN) for text in texts.tolist()), np.int64, rows.count)
    rule = "a period is one of [periods] names; an empty field is about all of them"

    def unknown(row: int) -> Problem:
        place = rows.location(row, "period")
        if not names:
            message = f"the row is about the period '{texts[row]}', but there are none"
            return Problem("E-no-periods", message, rule, "write [periods] names = […], or empty the field", place)
        message, near = f"there is no period '{texts[row]}'", findings.nearest(texts[row], names)
        return Problem("E-unknown-period", message, rule, near or "correct the period", place)

    if findings.is_whole("periods"):
        findings.each(np.flatnonzero(found == _UNKNOWN).tolist(), unknown, ModelError)
    if np.any(found == _UNKNOWN):
        findings.damaged.add("joins")
    return found


def own_parts(model: ScenarioDocument, table: Table | None) -> dict[str, KeyPath]:
    """Return the units with cells for what they do themselves, and where these stand in the document."""
    found: dict[str, KeyPath] = {}
    if table is not None and table.has("own"):
        own = [text.casefold() in TRUE for text in table.texts("own").tolist()]
        found = dict.fromkeys(table.texts("unit")[own].tolist(), ("tables", "cells"))
    for name, entry in model.cell.items():
        if entry.own:
            found.setdefault(CELLS_TABLE.parts_of(name, model.kpi)["unit"], ("cell", name, "own"))
    return found


def _name_own_parts(findings: Findings, rows: Rows) -> None:
    """Move the rows for what a unit does itself to the unit that stands for it."""
    texts = rows.texts("own")
    folded = [str(text).casefold() for text in texts.tolist()]
    wrong = [row for row, text in enumerate(folded) if text not in TRUE and text not in _FALSE]

    def unclear(row: int) -> Problem:
        message = f"own is '{texts[row]}'"
        rule = "own is true, yes or 1, or false, no or 0; empty means false"
        return Problem(
            "E-own", message, rule, "write true where the row is what the unit does itself", rows.location(row, "own")
        )

    findings.each(wrong, unclear, ModelError)
    for row in [row for row, text in enumerate(folded) if text in TRUE]:
        rows.columns["unit"][row] = f"{rows.columns['unit'][row]}{OWN}"


def _patches(findings: Findings, model: ScenarioDocument, table: Table | None) -> list[Patch]:
    row_of: dict[tuple[str, str, str], int] = {}
    if table and model.cell:
        names = zip(*(table.texts(c).tolist() for c in ("unit", "kpi", "period")), strict=True)
        row_of = {name: row for row, name in enumerate(names)}
    patches = []
    for name, entry in model.cell.items():
        path: KeyPath = ("cell", name)
        parts = CELLS_TABLE.parts_of(name, model.kpi) if "/" in name else {"unit": "", "kpi": ""}
        unit, kpi, period = parts["unit"], parts["kpi"], parts.get("period", "")
        if not unit or not kpi:
            rule = 'a cell is named by its unit and KPI: [cell."unit/kpi"]'
            findings.at(
                "E-cell-name", f"'{name}' is not the name of a cell", path, rule=rule, key=True, kind=ModelError
            )
            continue
        if "period" in parts and not period:
            rule = 'a row of one period is named by it: [cell."unit/kpi/period"]; one of the horizon ends with the KPI'
            message = f"'{name}' names no period after its last '/'"
            fix = f"name the period, or write [cell.{json.dumps(f'{unit}/{kpi}')}]"
            findings.at("E-unknown-period", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
            continue
        values = {**parts, **entry.model_dump(exclude_none=True, exclude={"effort", "own"})}
        if entry.own:
            values["own"] = "true"
        keys = {"unit": path, "kpi": path, "period": path}
        for resource, amount in entry.effort.items():
            values[f"effort.{resource}"] = amount
            keys[f"effort.{resource}"] = (*path, "effort", resource)
        patches.append(Patch(path, row_of.get((unit, kpi, period), -1), values, keys))
    return patches


def _positions(findings: Findings, rows: Rows, column: str, position: Mapping[str, int]) -> Integers:
    """Look ids up; -1 and a note where one does not exist."""
    ids = rows.texts(column).tolist()
    found = np.fromiter(map(position.get, ids, repeat(-1)), dtype=np.int64, count=len(ids))
    unknown_rows = np.flatnonzero(found < 0).tolist()
    declared = set(findings.declared(column)) if unknown_rows else set()
    missing = [row for row in unknown_rows if ids[row] not in declared]
    what = "KPI" if column == "kpi" else "unit"
    if len(missing):
        findings.damaged.add("joins")
    if column == "unit" and not findings.is_whole("units"):
        return found

    def unknown(row: int) -> Problem:
        fix = findings.nearest(ids[row], position) or f"define the {what}, or correct the id"
        if reads_like_a_total(ids[row]):
            fix = f"delete the row if it is a total: totals follow from the rows below a unit; else define the {what}"
        message = f"there is no {what} '{ids[row]}'"
        rule = "each cell belongs to a unit and a KPI that exist"
        return Problem(f"E-unknown-{what.lower()}", message, rule, fix, rows.location(row, column))

    findings.each(missing, unknown, ModelError)
    return found


def _quantities(cells: CellTable, reader: QuantityReader) -> dict[int, Quantity]:
    given = cells.rows.quantities.get("baseline", {})
    if not given:
        return {}
    cell_of = {row: cell for cell, row in enumerate(cells.row.tolist()) if cells.has_row[cell]}
    read = {
        cell_of[row]: reader.of_row(cells.rows, row, "baseline", cells.name(cell_of[row]))
        for row in given
        if row in cell_of
    }
    return {cell: quantity for cell, quantity in sorted(read.items()) if quantity is not None}


def adjust_cells(
    findings: Findings, model: ScenarioDocument, cells: CellTable, selector: Selector, inner: Mask
) -> CellTable:
    """Apply the bulk edits `[adjust.NAME]` in order of appearance.

    Parameters
    ----------
    inner : (n,) bool
        Which rows are about a total: they are scaled where they state a number, and set or added to only by an edit
        that selects nothing but totals; a weight in pay is everybody's own.
    """
    if not model.adjust:
        return cells
    fields = {name: values.copy() for name, values in cells.fields.items()}
    quantities = dict(cells.baseline_quantity)
    for name, entry in model.adjust.items():
        path = ("adjust", name)
        chosen = selector.cells_of(entry.where, (*path, "where"), cells.unit, cells.kpi)
        if chosen.any():
            _Edit(findings, path, chosen, inner, fields, quantities).apply(entry)
    return replace(cells, fields=fields, baseline_quantity=quantities)


@dataclass(frozen=True)
class _Edit:
    """One bulk edit of some cells; changes `fields` and `quantities`."""

    findings: Findings
    path: KeyPath
    chosen: Mask
    inner: Mask
    fields: dict[str, Floats]
    quantities: dict[int, Quantity]

    def apply(self, entry: AdjustEntry) -> None:
        for field, factor in _changes(entry.scale).items():
            if self._can_change(field, "scale"):
                self.fields[field][self._meant(field, "scale")] *= factor
        for field, value in _changes(entry.set).items():
            meant = self._meant(field, "set")
            self.fields.setdefault(field, np.full(len(self.chosen), np.nan))[meant] = value
            if field == "baseline":
                self._forget_distributions(meant)
        for field, amount in _changes(entry.add).items():
            if self._can_change(field, "add"):
                self.fields[field][self._meant(field, "add")] += amount

    def _meant(self, field: str, how: str) -> Mask:
        """Which of the chosen rows an edit of a field is about."""
        if field == "weight" or np.all(self.inner[self.chosen]):
            return self.chosen
        if how != "scale":
            return np.asarray(self.chosen & ~self.inner)
        stated = ~np.isnan(self.fields.get(field, np.full(len(self.chosen), np.nan)))
        return np.asarray(self.chosen & (~self.inner | stated))

    def _forget_distributions(self, meant: Mask) -> None:
        for cell in [cell for cell in self.quantities if meant[cell]]:
            del self.quantities[cell]

    def _can_change(self, field: str, how: str) -> bool:
        """Whether there is a number to change in a chosen cell; notes cells that have none."""
        path, meant = (*self.path, how, *field.split(".", 1)), self._meant(field, how)
        values = self.fields.get(field)
        given = 0 if values is None else int(np.count_nonzero(~np.isnan(values[meant])))
        total = int(np.count_nonzero(meant))
        if given < total and self.findings.is_whole("cell", "cells"):
            code = "W-adjust-partly" if given else "E-adjust-nothing"
            message = f"{total - given:,} of the {total:,} selected cells have no {field} of their own to change"
            fix = f"use `set`, or select only cells with their own {field}"
            rule = "edits change what the cells state themselves; guardrails are applied after them"
            self.findings.at(code, message, path, rule=rule, fix=fix, kind=ModelError)
        if field == "baseline" and any(meant[cell] for cell in self.quantities):
            message, fix = "a selected cell's baseline is a distribution", "use `set`, or leave such cells out"
            rule = "only numbers can be scaled or added to"
            self.findings.at("E-adjust-distribution", message, path, rule=rule, fix=fix, kind=ModelError)
            return False
        return given > 0


def _changes(changes: FieldChanges) -> dict[str, float]:
    """Return field -> number."""
    single = {field: value for field, value in changes.model_dump(exclude_none=True).items() if field != "effort"}
    return single | {f"effort.{resource}": value for resource, value in changes.effort.items()}
