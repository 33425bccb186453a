"""A scenario file and its tables -> the frozen `Scenario`, or everything that is wrong with it.

Reading goes on past an error as far as it can: the document against the format, the tables, then what they say
together. What an error makes unknowable is not guessed at and not complained about again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kpiopt.errors import InputError, NumericsError, Problem, Problems, ScenarioError
from kpiopt.reading.document import Document, read_document
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import dotted, walk
from kpiopt.reading.regular_file import display_path, read_regular_file
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import CELLS_TABLE, UNITS_TABLE, Table, TableRule
from kpiopt.scenario.bounds import RANGE_RULE, out_of_range
from kpiopt.scenario.checks.asked import check_asked
from kpiopt.scenario.checks.axes import check_sweep
from kpiopt.scenario.checks.cells import CellChecks, check_shares
from kpiopt.scenario.checks.idle import check_idle
from kpiopt.scenario.checks.limits import LimitChecks
from kpiopt.scenario.checks.measures import MeasureChecks
from kpiopt.scenario.checks.names import check_letter_case, check_overrides, check_relax, check_variant_names
from kpiopt.scenario.checks.never import check_never
from kpiopt.scenario.checks.outliers import check_outliers
from kpiopt.scenario.checks.percent_formats import PercentFormats
from kpiopt.scenario.checks.reconciliation import check_reconciliation
from kpiopt.scenario.checks.robust import add_robust
from kpiopt.scenario.checks.strategy_map import MapChecks
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.errors_in_words import validate_document
from kpiopt.scenario.numbers.quantities import name_quantities
from kpiopt.scenario.resolve.assign import check_assign, resolve_chosen
from kpiopt.scenario.resolve.by_period import spread_over_periods
from kpiopt.scenario.resolve.cell_table import own_parts
from kpiopt.scenario.resolve.cells import ResolvedCells, resolve_cells
from kpiopt.scenario.resolve.curves import check_curves_and_odds
from kpiopt.scenario.resolve.effort import resolve_effort_curves
from kpiopt.scenario.resolve.fairness import check_beside_peers, check_chance, resolve_fairness
from kpiopt.scenario.resolve.noise import resolve_noise
from kpiopt.scenario.resolve.over_assignment import (
    check_cushioned_locks,
    resolve_over_assignment,
    take_out_of_locks,
)
from kpiopt.scenario.resolve.people import resolve_people
from kpiopt.scenario.resolve.periods import resolve_periods, resolve_recourse
from kpiopt.scenario.resolve.plan import (
    PAY,
    check_common,
    resolve_budgets,
    resolve_decide,
    resolve_goals,
    resolve_odds,
    resolve_pay_plans,
    resolve_simulation,
)
from kpiopt.scenario.resolve.quantity_reader import QuantityReader, Sample
from kpiopt.scenario.resolve.sections import resolve_correlation, resolve_sweep
from kpiopt.scenario.resolve.strategy_map import (
    MapResolver,
    resolve_factors,
    resolve_objectives,
    resolve_perspectives,
    resolve_root_baselines,
)
from kpiopt.scenario.resolve.units import ResolvedUnits, resolve_units
from kpiopt.scenario.scenario import ChosenKpis, Scenario

LARGEST_RULES = 1_000_000
RULES = "a rules file", "name the file that defines add_rules, and keep data out of it"
"""Bytes of a rules file."""


def load_scenario(path: Path | str, *, variant: str | None = None, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario.

    Parameters
    ----------
    path : Path or str
        The scenario file.
    variant : str, optional
        Name of a `[variant.NAME]` of the file.
    overrides : sequence of str
        "path=value" each, as after `--set`.

    Raises
    ------
    InputError
        With everything that is wrong, as the subclass of the first error; `NumericsError` where all of it is numbers
        that cannot be computed with.
    UsageError
        If the variant does not exist.
    """
    findings = Findings(read_document(path, variant=variant, overrides=overrides))
    scenario = add_robust(findings, _assemble(findings), partial(_read_variant, path, overrides))
    findings.raise_errors()
    assert scenario is not None, "without an error there is a scenario"
    return scenario


@dataclass(frozen=True)
class FileReader:
    """Reads a scenario again with further overrides; it can be sent to workers.

    Attributes
    ----------
    overrides : sequence of str
        With which it was read.
    """

    path: Path | str
    variant: str | None = None
    overrides: Sequence[str] = ()

    def __call__(self, further: Sequence[str] = ()) -> Scenario:
        """Return the scenario with these overrides on top."""
        return load_scenario(self.path, variant=self.variant, overrides=[*self.overrides, *further])


def check_scenario(
    path: Path | str, *, variant: str | None = None, overrides: Sequence[str] = ()
) -> tuple[Scenario | None, Problems, Document | None]:
    """Read a scenario and collect everything there is to say about it.

    Parameters
    ----------
    path, variant, overrides
        As for `load_scenario`.

    Returns
    -------
    scenario : Scenario or None
        None where there are errors.
    problems : Problems
        Errors, warnings and notes in the order of the files.
    document : Document or None
        None where the TOML files themselves cannot be read.

    Raises
    ------
    UsageError
        If the variant does not exist.
    """
    try:
        document = read_document(path, variant=variant, overrides=overrides)
    except InputError as error:
        return None, Problems(list(error.problems)), None
    findings = Findings(document)
    scenario = add_robust(findings, _assemble(findings), partial(_read_variant, path, overrides))
    _check_other_variants(findings, path, overrides)
    return None if findings.errors else scenario, Problems(findings.sorted()), document


def check_variant(
    path: Path | str, variant: str, known: Collection[Problem], overrides: Sequence[str] = ()
) -> tuple[Scenario | None, list[Problem]]:
    """Read a scenario with a variant as it would be solved.

    Returns
    -------
    scenario : Scenario or None
        None where there are errors.
    problems : list of Problem
        What is wrong with this variant and not among the `known` problems of the scenario itself; each says so.
    """
    scenario: Scenario | None = None
    try:
        findings = Findings(read_document(path, variant=variant, overrides=overrides))
        scenario = _assemble(findings)
        found = findings.sorted()
    except InputError as error:
        found = list(error.problems)
    return scenario, [in_variant(problem, variant) for problem in found if problem not in known]


def _read_variant(path: Path | str, overrides: Sequence[str], variant: str) -> tuple[Scenario | None, list[Problem]]:
    """Read one variant; errors say that they are in it."""
    return check_variant(path, variant, (), overrides)


def in_variant(problem: Problem, variant: str) -> Problem:
    """Return a problem that says in which variant it was found."""
    return replace(problem, message=f"in variant '{variant}': {problem.message}")


def _check_other_variants(findings: Findings, path: Path | str, overrides: Sequence[str]) -> None:
    """Note what is wrong with the form of variants that are not chosen."""
    known = set(findings.sorted())
    for name in findings.document.variants:
        if name == findings.document.variant:
            continue
        try:
            other = Findings(read_document(path, variant=name, overrides=overrides))
        except InputError as error:
            found = list(error.problems)
        else:
            validate_document(other)
            found = other.sorted()
        for problem in found:
            if problem.is_error and problem not in known:
                findings.add(problem, ScenarioError)


@dataclass
class _Tables:
    """The tables that the document names, their digests, and samples that a workbook shows as percentages."""

    units: Table | None = None
    cells: Table | None = None
    files: dict[str, str] = field(default_factory=dict)
    samples: Sequence[Sample] = ()


def _assemble(findings: Findings) -> Scenario | None:
    """Resolve a document; None where there are errors."""
    model = validate_document(findings)
    _check_numbers(findings, findings.document.data)
    tables = _read_tables(findings, model)
    reader = QuantityReader(findings)
    tables.samples = reader.shown_as_percent
    units = resolve_units(findings, model, tables.units, own_parts(model, tables.cells))
    return _resolve(findings, model, tables, reader, units)


def _check_numbers(findings: Findings, data: dict[str, Any]) -> None:
    """Note numbers of the document that cannot be computed with safely."""
    for path, value in walk(data):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and path[0] not in ("simulation", "odds") and out_of_range(float(value)):
            message, fix = f"{dotted(path)} is {value:g}", "choose a larger or smaller unit of measure"
            findings.at("E-number-range", message, path, rule=RANGE_RULE, fix=fix, kind=NumericsError)


def _read_tables(findings: Findings, model: ScenarioDocument) -> _Tables:
    tables = _Tables()
    if not findings.is_whole("tables"):
        findings.damaged |= {"units", "unit", "cells", "cell"}  # a table may be missing for that reason
    tables.units = _read_table(findings, model, UNITS_TABLE, tables.files)
    tables.cells = _read_table(findings, model, CELLS_TABLE, tables.files)
    return tables


def _read_table(findings: Findings, model: ScenarioDocument, rule: TableRule, files: dict[str, str]) -> Table | None:
    """Read one table; a table that cannot be read damages the section of the same name."""
    entry = getattr(model.tables, rule.name)
    if entry is None:
        return None
    path = ("tables", rule.name)
    file, _, sheet = entry.path.partition("#")
    try:
        resolved = findings.document.resolve(path, file)
        table = read_table(
            resolved,
            display_path(resolved),
            rule,
            sheet=sheet or None,
            delimiter=entry.delimiter,
            decimal=entry.decimal,
            thousands=entry.thousands,
        )
    except InputError as error:
        findings.take(error)
        findings.damaged |= {rule.name, rule.name.removesuffix("s")}
        return None
    files[display_path(resolved)] = table.sha256
    for note in table.notes:
        findings.add(note)
    _check_table_numbers(findings, table)
    return table


def _check_table_numbers(findings: Findings, table: Table) -> None:
    for name, values in table.columns.items():
        if values.dtype != np.float64:
            continue
        size = np.abs(values)
        rows = np.flatnonzero((size != 0) & ~np.isnan(size) & ~((size >= 1e-9) & (size <= 1e12)))

        def extreme(row: int, name: str = name, values: Any = values) -> Problem:
            message, fix = f"{name} is {values[row]:g}", "choose a larger or smaller unit of measure"
            return Problem("E-number-range", message, RANGE_RULE, fix, table.location(row, name))

        findings.each(rows.tolist(), extreme, NumericsError)


def _resolve(
    findings: Findings, model: ScenarioDocument, tables: _Tables, reader: QuantityReader, resolved: ResolvedUnits
) -> Scenario | None:
    resolved, by_unit = resolve_people(findings, model, resolved)
    units, document = resolved.units, findings.document
    root_baseline = resolve_root_baselines(model, reader)
    found = resolve_cells(findings, model, units, tables.cells, reader, root_baseline)
    places = MapResolver(findings, model, units, found.roll_up, reader)
    kpis, initiatives = places.kpis(root_baseline), places.initiatives()
    factors, goals = resolve_factors(findings, model, reader), resolve_goals(findings, model, units, found.roll_up)
    check_common(findings, found.uncertainty.common, units)
    names = name_quantities(kpis, factors, initiatives, units, found.cells, found.uncertainty)
    correlation, written_at = resolve_correlation(findings, model, names)
    scenario = Scenario(
        name=model.name,
        currency=model.currency,
        perspectives=resolve_perspectives(model),
        objectives=resolve_objectives(findings, model),
        kpis=kpis,
        factors=factors,
        initiatives=initiatives,
        goals=goals,
        budgets=resolve_budgets(findings, model, units),
        pay_plans=resolve_pay_plans(findings, model),
        units=units,
        cells=found.cells,
        totals=found.totals,
        decide=resolve_decide(findings, model, _resources(model, resolved, found)),
        fairness=resolve_fairness(findings, model),
        over_assignment=resolve_over_assignment(findings, model, units),
        reconcile=0.0 if model.reconcile is None else model.reconcile.weight,
        uncertainty=found.uncertainty,
        noise=resolve_noise(findings, model, units, found),
        effort_curves=resolve_effort_curves(findings, model, units, found.cells),
        correlation=correlation,
        correlation_at=written_at,
        simulation=resolve_simulation(model),
        odds=resolve_odds(findings, model),
        sweep=resolve_sweep(findings, model),
        relax=dict(model.relax),
        rules=_rules(findings, model),
        variants=document.variants,
        variant=document.variant,
        source=str(document.source),
        document=document.data,
        files={**document.files, **tables.files, **reader.files},
        periods=resolve_periods(findings, model, units, found.cells, by_unit, found.single),
        recourse=resolve_recourse(findings, model),
    )
    chosen = _check(findings, model, scenario, resolved, found, tables)
    if findings.errors:
        return None
    return spread_over_periods(take_out_of_locks(replace(scenario, chosen=chosen, warnings=tuple(findings.sorted()))))


def _check(
    findings: Findings,
    model: ScenarioDocument,
    scenario: Scenario,
    resolved: ResolvedUnits,
    found: ResolvedCells,
    tables: _Tables,
) -> ChosenKpis | None:
    """Note what does not fit together; return the units whose KPIs the plan chooses."""
    units, kpis = resolved.units, scenario.kpis
    CellChecks(findings, model, resolved, found).run()
    check_shares(findings, model, scenario, found)
    LimitChecks(findings, scenario, resolved).run()
    check_curves_and_odds(findings, model)
    MapChecks(findings, model, kpis, scenario.goals, units, found, scenario.periods).run()
    MeasureChecks(findings, model, kpis, scenario.initiatives).run()
    shown = (("unit", tables.units), ("cell", tables.cells))
    PercentFormats(findings, model, kpis, shown, tables.samples).run()
    check_cushioned_locks(findings, scenario)
    check_assign(findings, model, units, found)
    check_chance(findings, scenario, found.table)
    check_beside_peers(findings, scenario, model)
    check_letter_case(findings, resolved, found)
    check_relax(findings, scenario)
    check_overrides(findings, {"unit": resolved.rows, "cell": found.table.rows})
    check_variant_names(findings)
    check_idle(findings, model, scenario)
    check_never(findings, model, scenario, found.roll_up)
    check_asked(findings, model)
    check_sweep(findings, scenario)
    _check_baselines(findings, scenario, found)
    return resolve_chosen(findings, model, units, found.cells, found.single)


def _check_baselines(findings: Findings, scenario: Scenario, found: ResolvedCells) -> None:
    if findings.is_whole("kpi", "cell", "cells", "unit", "joins"):
        check_reconciliation(findings, list(scenario.kpis.values()), found)
        check_outliers(findings, list(scenario.kpis.values()), scenario.units, found.table)


def _resources(model: ScenarioDocument, resolved: ResolvedUnits, found: ResolvedCells) -> set[str]:
    used = {name for entry in model.initiative.values() for name in (*entry.uses, *entry.runs, *entry.setup)}
    budgets = {entry.resource or key for key, entry in model.budget.items()}
    return {PAY, *used, *budgets, *resolved.units.capacity, *found.cells.effort}


def _rules(findings: Findings, model: ScenarioDocument) -> str | None:
    if model.rules is None:
        return None
    try:
        path = findings.document.resolve(("rules", "file"), model.rules.file)
        place = findings.document.origin(("rules", "file"))
        read_regular_file(path, model.rules.file, LARGEST_RULES, place, RULES)
        return str(path)
    except InputError as error:
        findings.take(error)
        return None
