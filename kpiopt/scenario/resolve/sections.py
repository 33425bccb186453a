"""Settings that name other parts of the file: correlation, sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kpiopt.errors import Location, ModelError
from kpiopt.reading.findings import Findings
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.numbers.quantities import canonical
from kpiopt.scenario.quantity import Quantity

_RULE = 'a correlation is keyed "a ~ b" by the paths of two uncertain quantities of this file'


def resolve_correlation(
    findings: Findings, model: ScenarioDocument, named: Mapping[str, Quantity]
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], Location]]:
    """Return correlations and where they are written, both by pairs of canonical names.

    Parameters
    ----------
    named : mapping of str to Quantity
        From `name_quantities`; the execution of single cells cannot be correlated.
    """
    quantities = {name.removesuffix(".value"): not q.is_number for name, q in named.items() if _is_of_all(name)}
    found: dict[frozenset[str], str] = {}
    correlation, places = {}, {}
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
        if certain and not value:
            continue  # 0 takes back what an extended document says
        if certain:
            message = f"'{certain[0]}' is a plain number, so its correlation has no effect"
            findings.at("W-correlation", message, path, rule=_RULE, fix="make it a distribution", key=True)
        else:
            correlation[pair], places[pair] = float(value), findings.document.key_location(path)
    return correlation, places


def _is_of_all(name: str) -> bool:
    return not (name.startswith("cell.") and name.endswith(".execution"))


def _pair(findings: Findings, key: str, quantities: Mapping[str, bool]) -> tuple[str, str] | None:
    path = ("correlation", key)
    names = [part.strip() for part in key.split("~")]
    if len(names) != 2 or not all(names):
        findings.at("E-correlation", f"'{key}' is not a pair", path, rule=_RULE, key=True, kind=ModelError)
        return None
    first, second = (canonical(name, quantities) for name in names)
    for name, found in zip(names, (first, second), strict=True):
        if found is None and findings.is_whole(name.partition(".")[0], "units", "cells"):
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
