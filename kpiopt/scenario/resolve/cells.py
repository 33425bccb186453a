"""Cells in their final form: baselines rolled up, boxes from guardrails, decisions, execution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kpiopt.reading.findings import Findings
from kpiopt.reading.tables.table import Table
from kpiopt.scenario.bounds import closed
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.periods import SinglePeriods
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.resolve.by_period import resolve_single_periods
from kpiopt.scenario.resolve.cell_table import CellTable, adjust_cells, build_cell_table
from kpiopt.scenario.resolve.quantity_reader import QuantityReader, require_positive_mean
from kpiopt.scenario.resolve.selection import Mask, Selector
from kpiopt.scenario.roll_up import RollUp, build_roll_up
from kpiopt.scenario.scenario import Cells, Floats, Integers, Uncertainty, Units
from kpiopt.scenario.totals import Totals


@dataclass(frozen=True)
class ResolvedCells:
    """Cells and what they were made of.

    Attributes
    ----------
    table : CellTable
        The fields as given, bulk edits applied; the baseline as stated.
    coefficient : (n_edges,) float
        Coefficients of the roll-up edges.
    baseline : (n_pairs,) float
        Baseline of every pair of the roll-up as the graph will have it; NaN where it is not known.
    single : SinglePeriods or None
        What rows say about single periods; None where there are none.
    """

    cells: Cells
    table: CellTable
    roll_up: RollUp
    coefficient: Floats
    baseline: Floats
    uncertainty: Uncertainty
    totals: Totals
    single: SinglePeriods | None = None


def resolve_cells(
    findings: Findings,
    model: ScenarioDocument,
    units: Units,
    table: Table | None,
    reader: QuantityReader,
    root_baseline: dict[str, Quantity],
) -> ResolvedCells:
    """Build the cells.

    Parameters
    ----------
    root_baseline : dict of str to Quantity
        KPI -> its baseline at the root, where one is given.
    """
    selector = Selector(findings, units, model)
    stated, single = resolve_single_periods(findings, model, build_cell_table(findings, model, units, table, reader))
    kpis = model.kpi.items()
    rolls = [entry.roll_up != "none" for _, entry in kpis]
    roll_up = build_roll_up(units, stated.unit, stated.kpi, rolls, [kpi in root_baseline for kpi, _ in kpis])
    inner = roll_up.is_parent[roll_up.cell >= 0]
    given = adjust_cells(findings, model, stated, selector, inner)
    is_mean = np.array([entry.roll_up == "mean" for _, entry in kpis], dtype=bool)
    coefficient, _ = roll_up.weights(given_sizes(roll_up, given), is_mean)
    baseline = _baselines(roll_up, given, coefficient, root_baseline, bounds_of(model))
    uncertainty, execution = _execution(findings, model, given, selector, reader)
    growth, near_peers = _growth(findings, model, given, selector, inner), _beside_peers(model, given, selector)
    boxes = closed(*_boxes(given, baseline[roll_up.cell >= 0], growth))
    cells = _build(given, baseline[roll_up.cell >= 0], execution, growth, *(np.where(inner, np.nan, b) for b in boxes))
    cells = replace(cells, has_decision=cells.has_decision & ~inner, near_peers=near_peers)
    totals = _totals(given, inner, *boxes)
    return ResolvedCells(cells, given, roll_up, coefficient, baseline, uncertainty, totals, single)


def given_sizes(roll_up: RollUp, given: CellTable) -> Floats:
    """Return the size of every pair where the cell or its unit gives one, (n_pairs,) float; NaN elsewhere."""
    size = roll_up.of_cells(given.fields["size"])
    return np.where(np.isnan(size), given.units.size[roll_up.unit], size)


def bounds_of(model: ScenarioDocument) -> Floats:
    """Return the least and the largest value of each KPI, (2, n_kpis) float; infinite where there is none."""
    ends = [
        (-np.inf if entry.min is None else entry.min, np.inf if entry.max is None else entry.max)
        for entry in model.kpi.values()
    ]
    return np.array(ends, dtype=np.float64).reshape(-1, 2).T


def _baselines(
    roll_up: RollUp, given: CellTable, coefficient: Floats, root_baseline: dict[str, Quantity], bounds: Floats
) -> Floats:
    own = roll_up.of_cells(given.fields["baseline"])
    for position, kpi in enumerate(given.kpi_ids):
        if kpi in root_baseline:
            pair = roll_up.find(0, position)[0]
            if np.isnan(own[pair]):
                own[pair] = root_baseline[kpi].mean
    own = np.clip(own, *bounds[:, roll_up.kpi]) if roll_up.count else own
    return roll_up.total(own, coefficient)


def _totals(given: CellTable, inner: Mask, lower: Floats, upper: Floats) -> Totals:
    """Collect what rows of units above cells of the KPI say about their totals."""
    lock, target = given.fields["lock"], given.fields["lock_target"]
    low = _default(np.where(np.isnan(lock), lower, lock), -np.inf)
    high = _default(np.where(np.isnan(lock), upper, lock), np.inf)
    cell = np.flatnonzero(inner & (np.isfinite(low) | np.isfinite(high) | ~np.isnan(target)))
    return Totals(cell, low[cell], high[cell], target[cell])


def _build(
    given: CellTable, baseline: Floats, execution: Integers, growth: Floats, lower: Floats, upper: Floats
) -> Cells:
    fields = given.fields
    lock, lock_target = fields["lock"], fields["lock_target"]
    has_decision = ~np.isnan(upper) | ~np.isnan(lock) | ~np.isnan(lock_target)
    unboxed = np.isnan(upper)
    return Cells(
        unit=given.unit,
        kpi=given.kpi,
        baseline=baseline,
        baseline_quantity=given.baseline_quantity,
        min_stretch=_default(np.where(unboxed, lock, lower), 0.0),
        max_stretch=_default(np.where(unboxed, lock, upper), 0.0),
        has_decision=has_decision,
        lock=lock,
        reference=fields["reference"],
        pay_rate=fields["pay_rate"],
        weight=fields["weight"],
        size=fields["size"],
        effort={resource: _default(fields[f"effort.{resource}"], 0.0) for resource in given.resources},
        execution=execution,
        lock_reason=_texts(given, "lock_reason"),
        growth=growth,
        lock_owner=_texts(given, "lock_owner"),
        lock_target=lock_target,
        commit=fields["commit"],
    )


def _texts(given: CellTable, column: str) -> dict[int, str]:
    """Return a text column's fields that are given, by cell."""
    texts = np.where(given.has_row, given.rows.texts(column)[given.row], "")
    return {cell: texts[cell] for cell in np.flatnonzero(texts != "").tolist()}


def _default(values: Floats, value: float) -> Floats:
    return np.where(np.isnan(values), value, values)


def _growth(findings: Findings, model: ScenarioDocument, given: CellTable, selector: Selector, inner: Mask) -> Floats:
    """Return the ends that guardrails give, as shares of the baseline, (2, n_cells); NaN where a cell has its own.

    A row about a total gets none: its range is what is written in it.
    """
    growth = np.full((2, len(given)), np.nan)
    own = np.array([given.fields["min_stretch"], given.fields["max_stretch"]])
    for name, entry in model.guardrail.items():
        selected = selector.cells_of(entry.where, ("guardrail", name, "where"), given.unit, given.kpi)
        if entry.growth is None:
            continue
        chosen = selected & ~inner
        if np.any(selected) and not np.any(chosen):
            message = f"guardrail.{name}.growth changes nothing: every row that it is about is one of a total"
            rule, fix = "the range of a total is what its own row says", "write max_stretch in the rows of the totals"
            findings.at("W-no-effect", message, ("guardrail", name, "growth"), rule=rule, fix=fix, key=True)
        growth[:, chosen] = np.array(entry.growth)[:, None]
        is_used = np.isnan(own[1]) | (np.isnan(own[0]) & (entry.growth[0] > 0.0))
        if np.any(chosen) and not np.any(is_used[chosen]):
            message = f"guardrail.{name}.growth changes nothing: every cell that it is about has a range of its own"
            rule, fix = "a cell's own max_stretch counts before growth", "empty the cells' max_stretch, or remove it"
            findings.at("W-no-effect", message, ("guardrail", name, "growth"), rule=rule, fix=fix, key=True)
    return np.where(np.isnan(own), growth, np.nan)


def _beside_peers(model: ScenarioDocument, given: CellTable, selector: Selector) -> Floats | None:
    """Return least and largest stretch beside the mean of the peers, (2, n_cells); of several that match, the last."""
    found = np.full((2, len(given)), np.nan)
    for name, entry in model.guardrail.items():
        if entry.least is None and entry.most is None:
            continue
        chosen = selector.cells_of(entry.where, ("guardrail", name, "where"), given.unit, given.kpi)
        for side, share in enumerate((entry.least, entry.most)):
            if share is not None:
                found[side, chosen] = share
    return None if np.isnan(found).all() else found


def _boxes(given: CellTable, baseline: Floats, growth: Floats) -> tuple[Floats, Floats]:
    """Return smallest and largest stretch of each cell, its own or from guardrails; NaN where there is none."""
    lower, upper = growth * np.abs(baseline)
    own_lower, own_upper = given.fields["min_stretch"], given.fields["max_stretch"]
    return np.where(np.isnan(own_lower), lower, own_lower), np.where(np.isnan(own_upper), upper, own_upper)


def _execution(
    findings: Findings, model: ScenarioDocument, given: CellTable, selector: Selector, reader: QuantityReader
) -> tuple[Uncertainty, Integers]:
    """Return all distributions of execution, and which one each cell has; the most specific statement counts."""
    quantities, paths = [Quantity.number(1.0)], ["uncertainty.execution"]
    place = findings.document.origin
    if model.uncertainty.execution is not None:
        path: tuple[str, ...] = ("uncertainty", "execution")
        found = require_positive_mean(findings, reader.at(path, model.uncertainty.execution), paths[0], place(path))
        quantities[0] = found or quantities[0]
    index = np.zeros(len(given), dtype=np.int64)
    for name, entry in model.execution.items():
        path = ("execution", name)
        chosen = selector.cells_of(entry.where, (*path, "where"), given.unit, given.kpi)
        found = reader.at((*path, "value"), entry.value)
        require_positive_mean(findings, found, f"execution.{name}", place((*path, "value")))
        if found is not None:
            index[chosen] = len(quantities)
            quantities.append(found)
            paths.append(f"execution.{name}.value")
    _add_cells_own(findings, given, reader, index, quantities, paths)
    return Uncertainty(tuple(quantities), tuple(paths), dict(model.uncertainty.common)), index


def _add_cells_own(
    findings: Findings,
    given: CellTable,
    reader: QuantityReader,
    index: Integers,
    quantities: list[Quantity],
    paths: list[str],
) -> None:
    """Add what the cells table says in its column `execution`; equal statements share one entry."""
    numbers = given.rows.numbers("execution")[given.row]
    texts = given.rows.quantities.get("execution", {})
    own = np.flatnonzero(~np.isnan(numbers) | np.isin(given.row, list(texts))).tolist()
    known: dict[Quantity, int] = {}
    for cell in own:
        row = int(given.row[cell])
        name = given.name(cell)
        found = (
            reader.of_row(given.rows, row, "execution", name) if row in texts else Quantity.number(float(numbers[cell]))
        )
        if found is None:
            continue
        if found not in known:
            known[found] = len(quantities)
            quantities.append(found)
            paths.append(f"cell.{name}.execution")
            require_positive_mean(findings, found, f"execution of {name}", given.location(cell, "execution"))
        index[cell] = known[found]
