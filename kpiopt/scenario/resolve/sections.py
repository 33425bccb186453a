"""Settings that name other parts of the file: correlation, sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.scenario import Cells, Factor, Initiative, Kpi, Scenario, Uncertainty, Units

_RULE = 'a correlation is keyed "a ~ b" by the paths of two uncertain quantities of this file'


def resolve_correlation(
    findings: Findings, model: ScenarioDocument, quantities: Mapping[str, bool]
) -> dict[tuple[str, str], float]:
    """Return correlations by pairs of canonical names.

    Parameters
    ----------
    quantities : mapping of str to bool
        Canonical name of every quantity -> whether it is uncertain.
    """
    found: dict[frozenset[str], str] = {}
    correlation = {}
    for key, value in model.correlation.items():
        pair = _pair(findings, key, quantities)
        if pair is None:
            continue
        path = ("correlation", key)
        if frozenset(pair) in found:
            others, fix = [("correlation", found[frozenset(pair)])], "keep one of the two"
            message = f"'{key}' is given twice"
            findings.at("E-correlation", message, path, rule=_RULE, fix=fix, key=True, kind=ModelError, others=others)
        found[frozenset(pair)] = key
        certain = [name for name in pair if not quantities[name]]
        if certain:
            message = f"'{certain[0]}' is a plain number, so its correlation has no effect"
            findings.at("W-correlation", message, path, rule=_RULE, fix="make it a distribution", key=True)
        else:
            correlation[pair] = float(value)
    return correlation


def _pair(findings: Findings, key: str, quantities: Mapping[str, bool]) -> tuple[str, str] | None:
    path = ("correlation", key)
    names = [part.strip() for part in key.split("~")]
    if len(names) != 2 or not all(names):
        findings.at("E-correlation", f"'{key}' is not a pair", path, rule=_RULE, key=True, kind=ModelError)
        return None
    first, second = (_canonical(name, quantities) for name in names)
    for name, canonical in zip(names, (first, second), strict=True):
        if canonical is None and findings.is_whole(name.partition(".")[0], "units", "cells"):
            fix = findings.nearest(name, list(quantities)) or "name a quantity by its path, such as factor.market"
            message = f"there is no quantity '{name}'"
            findings.at("E-unknown-quantity", message, path, rule=_RULE, fix=fix, key=True, kind=ModelError)
    if first is None or second is None:
        return None
    if first == second:
        message = f"'{first}' is correlated with itself"
        findings.at("E-correlation", message, path, rule=_RULE, fix="name two quantities", key=True, kind=ModelError)
        return None
    return first, second


def _canonical(name: str, quantities: Mapping[str, bool]) -> str | None:
    plain = name.replace('"', "")
    for candidate in (plain, plain.removesuffix(".value"), plain.removesuffix(".contribution")):
        if candidate in quantities:
            return candidate
    return None


def is_pair_of_quantities(scenario: Scenario, key: str) -> bool:
    """Whether a key such as "a ~ b" names two different quantities of a scenario."""
    part = scenario.kpis, scenario.factors, scenario.initiatives, scenario.units, scenario.cells, scenario.uncertainty
    known = name_quantities(*part)
    names = [_canonical(name.strip(), known) for name in key.split("~")]
    return len(names) == 2 and None not in names and names[0] != names[1]


def name_quantities(
    kpis: Mapping[str, Kpi],
    factors: Mapping[str, Factor],
    initiatives: Mapping[str, Initiative],
    units: Units,
    cells: Cells,
    uncertainty: Uncertainty,
) -> dict[str, bool]:
    """Return the canonical name of every quantity -> whether it is uncertain."""
    names = {f"factor.{factor.id}": not factor.value.is_number for factor in factors.values()}
    for kpi in kpis.values():
        names |= {driver.path: not driver.contribution.is_number for driver in kpi.drivers}
        if kpi.baseline is not None:
            names[f"kpi.{kpi.id}.baseline"] = not kpi.baseline.is_number
    for initiative in initiatives.values():
        names |= {effect.path: not effect.contribution.is_number for effect in initiative.effects}
    for path, quantity in zip(uncertainty.paths, uncertainty.execution, strict=True):
        if not path.startswith("cell."):
            names[path.removesuffix(".value")] = not quantity.is_number
    ids = list(kpis)
    for cell, quantity in cells.baseline_quantity.items():
        names[f"cell.{units.ids[cells.unit[cell]]}/{ids[cells.kpi[cell]]}.baseline"] = not quantity.is_number
    return names


def resolve_sweep(findings: Findings, model: ScenarioDocument) -> dict[str, Any]:
    """Return the sweep as written; each axis says its values once."""
    written = findings.document.data.get("sweep")
    axes = dict(written) if isinstance(written, dict) else {}
    rule = "an axis has from, to and steps, or a list of values"
    for key in model.sweep:
        wrong, fix = _axis_fault(key, axes[key])
        if wrong:
            findings.at("E-sweep", f"the axis '{key}' {wrong}", ("sweep", key), rule=rule, fix=fix, kind=ModelError)
    return axes


def _axis_fault(key: str, entry: Any) -> tuple[str, str]:
    """Say what is wrong with the form of an axis, and what to do; "" where it is right."""
    if isinstance(entry, list):
        return "", ""
    form, range_keys = "write { from = …, to = …, steps = … } or a list of values", {"from", "to", "steps"}
    if "values" in entry:
        return ("says it twice", form) if range_keys & entry.keys() else ("", "")
    if not range_keys <= entry.keys():
        quoted = any(mark in key for mark in ".\"'")
        return "is not complete", form if quoted else f'put the whole path in quotes: "{key}.…" = …'
    if (entry["steps"] == 1) != (entry["from"] == entry["to"]):
        count = "has one value for two ends" if entry["steps"] == 1 else "has the same value at both ends"
        return count, "write the values as a list"
    return "", ""
