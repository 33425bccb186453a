"""Settings that name other parts of the file: correlation, sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kpiopt.errors import ModelError
from kpiopt.scenario.findings import Findings
from kpiopt.scenario.scenario import Cells, Factor, Initiative, Kpi, Uncertainty, Units
from kpiopt.scenario.schema import ScenarioDocument

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
    """Return the sweep as written, its axes checked."""
    rule = "an axis has from, to and steps, or a list of values"
    for key, axis in model.sweep.items():
        path = ("sweep", key)
        ends = (axis.from_, axis.to, axis.steps)
        if (axis.values is None) == any(end is None for end in ends) or (
            axis.values and any(e is not None for e in ends)
        ):
            message = f"the axis '{key}' is not complete" if axis.values is None else f"the axis '{key}' says it twice"
            fix = "write { from = …, to = …, steps = … } or a list of values"
            findings.at("E-sweep", message, path, rule=rule, fix=fix, kind=ModelError)
        section = key.partition(".")[0]
        if section not in findings.document.data and section not in ScenarioDocument.model_fields:
            known = [name for name in findings.document.data if isinstance(findings.document.data[name], dict)]
            fix = findings.nearest(section, known)
            message = f"the axis '{key}' names no value of this file"
            rule = "an axis is keyed by the path of a value in this file, such as budget.pay.limit"
            findings.at("E-unknown-path", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
    written = findings.document.data.get("sweep")
    return dict(written) if isinstance(written, dict) else {}
