"""What an axis of a sweep may name and hold: a value that the scenario has, and values that can stand there.

A path that names nothing would add something to every point; a value of another kind would make points that cannot be
read. Both are slips, and found before anything is solved. A number that is only out of range is left to its point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, did_you_mean, dotted, is_number, value_at, with_value
from kpiopt.reading.layer import is_table
from kpiopt.reading.toml.text import read_path
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.errors_in_words import BOUNDS, faults_of
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.numbers.quantities import canonical, quantities_of
from kpiopt.scenario.quantity import parse_quantity
from kpiopt.scenario.resolve.plan import PAY
from kpiopt.scenario.scenario import Scenario

KEYED = (
    "adjust", "assign", "budget", "capacity", "cell", "effort_curve", "execution", "factor", "goal", "guardrail",
    "initiative", "kpi", "noise", "pay_plan", "ramp", "unit",
)  # fmt: skip
SETTINGS = ("correlation", "decide", "fairness", "odds", "over_assignment", "reconcile", "simulation", "uncertainty")

_NOT_SWEPT = {
    "tables": "files are not swept; write a variant for each, and kpiopt compare solves them all",
    "rules": "files are not swept; write a variant for each, and kpiopt compare solves them all",
    "variant": "variants are not swept; kpiopt compare solves them all",
}

_WORDS = ("name", "description", "unit", "lock_reason", "lock_owner")
_BY_RESOURCE = ("capacity", "effort", "uses", "effort_price")
_QUANTITIES = (
    ("cell", "*", "baseline"), ("cell", "*", "execution"), ("execution", "*", "value"), ("factor", "*", "value"),
    ("initiative", "*", "effects", "*"), ("initiative", "*", "effects", "*", "contribution"), ("kpi", "*", "baseline"),
    ("kpi", "*", "drivers", "*"), ("kpi", "*", "drivers", "*", "contribution"), ("uncertainty", "execution"),
)  # fmt: skip


def check_sweep(findings: Findings, scenario: Scenario) -> None:
    """Note the axes of `[sweep]` that name no value of the scenario, or hold values that cannot stand there."""
    inputs = Inputs(scenario)
    for text, entry in scenario.sweep.items():
        key = read_path(text)
        if key and not findings.is_whole(str(key[0]), "sweep", "units", "cells", "joins"):
            continue
        values = _sample(entry)
        fault, wrong_values = axis_faults(inputs, axis_path(inputs, text, values), values)
        if fault:
            rule = "an axis is keyed by the path of a value in this file, such as budget.pay.limit"
            message = f"the axis '{text}' names no value of this file: {fault}"
            findings.at("E-unknown-path", message, ("sweep", text), rule=rule, key=True, kind=ModelError)
        for wrong in wrong_values:
            rule = "a value of an axis can stand where the axis points"
            message = f"the axis '{text}' cannot be: {wrong}"
            findings.at("E-sweep", message, ("sweep", text), rule=rule, kind=ModelError)


def axis_path(inputs: Inputs, text: str, values: Sequence[Any]) -> str | None:
    """Return the path of the file that an axis means, also where it is named as a study names it; None for no path.

    A quantity may be named without the `.contribution` or `.value` under which the file writes it.
    """
    key, scenario = read_path(text), inputs.scenario
    is_whole = bool(key) and not (is_table(value_at(scenario.document, key or ())) and not all(map(is_table, values)))
    if key and is_whole and not place_fault(scenario, key):
        return dotted(key)
    name = inputs.resolve(text)
    if name in inputs.quantities or inputs.number(name):
        return dotted(inputs.key(name))
    return dotted(key) if key else None


def axis_faults(inputs: Inputs, path: str | None, values: Sequence[Any]) -> tuple[str, list[str]]:
    """Say why a path names no value of the scenario ("" where it does), and which values cannot stand there."""
    key = read_path(path) if path else None
    if not key or path is None:
        return "it is no path", []
    fault = place_fault(inputs.scenario, key)
    if not fault and not (key[0] == "pay_plan" and all(map(is_number, values))):
        return "", value_faults(inputs.scenario, key, values)
    number = inputs.number(path)
    if number is None:
        return fault, []
    wrong = [value for value in values if not inputs.is_outside_file(path, value)]
    return "", [f"{path} is a factor on numbers of the tables, {number.least:g} or more"] if wrong else []


def _sample(entry: Any) -> Sequence[Any]:
    """Return the values of an axis as far as their kind goes: all of a list, one from inside of a range."""
    if isinstance(entry, list):
        return entry
    if entry.get("values") is not None:
        return list(entry["values"])
    if any(entry.get(name) is None for name in ("from", "to", "steps")):
        return ()
    first, last, number = entry["from"], entry["to"], entry["steps"]
    step = (last - first) / max(1, number - 1)
    is_whole = isinstance(first, int) and isinstance(last, int) and float(step).is_integer()
    return (first, last) if is_whole else (first, last, float(first + step))


def place_fault(scenario: Scenario, key: KeyPath) -> str:
    """Say why a path names no value that the scenario has; "" where it does."""
    section, *rest = map(str, key)
    if section not in KEYED and section not in SETTINGS:
        return _section_fault(section)
    if len(rest) < (2 if section in KEYED else 1):
        return "it names no value"
    if section == "correlation":
        return "" if _is_pair(scenario, rest[0]) else f"there are no two quantities {rest[0]!r}"
    if section in KEYED:
        fault = _absent(section, rest[0], _names(scenario, section))
        if fault:
            return fault
    if any(isinstance(part, int) for part in key) and value_at(scenario.document, key) is None:
        return f"there is nothing at {dotted(key)}"
    return _inner_fault(scenario, key)


def _is_pair(scenario: Scenario, key: str) -> bool:
    """Whether a key such as "a ~ b" names two different quantities."""
    known = quantities_of(scenario)
    names = [canonical(name.strip(), known) for name in key.split("~")]
    return len(names) == 2 and None not in names and names[0] != names[1]


def _section_fault(section: str) -> str:
    if section in _NOT_SWEPT:
        return _NOT_SWEPT[section]
    if section in {field.alias or name for name, field in ScenarioDocument.model_fields.items()}:
        return f"{section!r} changes no figure of a plan"
    advice = did_you_mean(section, (*KEYED, *SETTINGS))
    return f"there is no section {section!r}{f'; {advice}' if advice else ''}"


def _inner_fault(scenario: Scenario, key: KeyPath) -> str:
    """Say what is wrong further inside: a cause or a resource that is not there, or words that change nothing."""
    if key[-1] in _WORDS and key[-2] not in ("drivers", "effects", *_BY_RESOURCE):
        return f"{dotted(key)} is a text for people, not a number: it changes no figure of a plan"
    for depth, part in enumerate(key[1:-1], start=1):
        if part in ("drivers", "effects") and key[0] in ("kpi", "initiative") and depth == 2:
            what = "driver" if part == "drivers" else "effect"
            return _absent(what, str(key[depth + 1]), value_at(scenario.document, key[: depth + 1]) or {})
        if part in _BY_RESOURCE and (depth > 1 or key[0] == "decide"):
            return _absent("resource", str(key[depth + 1]), _resources(scenario))
    return ""


def _absent(what: str, name: str, known: Collection[str]) -> str:
    if name in known:
        return ""
    advice = did_you_mean(name, known)
    return f"there is no {what} {name!r}{f'; {advice}' if advice else ''}"


def _names(scenario: Scenario, section: str) -> Collection[str]:
    """Return the ids that a section of the scenario has."""
    units = scenario.units
    if section == "unit":
        return units.ids
    if section == "capacity":
        return tuple(units.capacity)
    if section == "cell":
        return _cell_names(scenario)
    return tuple(scenario.document.get(section, {}))


def _cell_names(scenario: Scenario) -> list[str]:
    """Return the ids of all cells, and of their rows of single periods."""
    cells, periods = scenario.horizon, scenario.periods
    pairs = zip(cells.unit.tolist(), cells.kpi.tolist(), strict=True)
    names = [f"{scenario.units.ids[u]}/{scenario.kpi_ids[k]}" for u, k in pairs]
    if periods is None or periods.single is None:
        return names
    rows = np.argwhere(periods.single.has_row).tolist()
    return [*names, *(f"{names[cell]}/{periods.names[t]}" for cell, t in rows)]


def _resources(scenario: Scenario) -> set[str]:
    used = {resource for initiative in scenario.initiatives.values() for resource in initiative.resources}
    limited = {budget.resource for budget in scenario.budgets.values()}
    return {PAY, *used, *limited, *scenario.units.capacity, *scenario.cells.effort}


def value_faults(scenario: Scenario, key: KeyPath, values: Sequence[Any]) -> list[str]:
    """Say which values cannot stand at a path, whatever their size; each fault once.

    Parameters
    ----------
    values : sequence
        Of numbers one of each type is looked at, the others fare alike.
    """
    seen: dict[str, None] = {}
    for value in _different_kinds(values):
        seen |= dict.fromkeys(_faults(scenario, key, value))
    return list(seen)


def _different_kinds(values: Sequence[Any]) -> list[Any]:
    numbers = {type(v): v for v in reversed(values) if isinstance(v, int | float)}
    return [*numbers.values(), *(v for v in values if not isinstance(v, int | float))]


def _faults(scenario: Scenario, key: KeyPath, value: Any) -> Iterator[str]:
    present = value_at(scenario.document, key)
    if is_table(present) and not isinstance(value, dict):
        inside = ", ".join(dotted((*key, name)) for name in present)
        yield f"{dotted(key)} is a table; sweep a value in it: {inside}"
        return
    yield from faults_of(_extract(scenario.document, key, value), but=BOUNDS)
    if any(_fits(key, pattern) for pattern in _QUANTITIES) and not is_table(value):
        try:
            parse_quantity(value, None)
        except ValueError as error:
            yield str(error)


def _extract(document: Mapping[str, Any], key: KeyPath, value: Any) -> dict[str, Any]:
    """Return a document that holds the entry of a path only, with the value in it."""
    section, name = str(key[0]), str(key[1])
    entries = document.get(section, {})
    kept = {name: entries[name]} if section in KEYED and name in entries else {}
    head = {"schema": 1, "name": "axis", section: entries if section in SETTINGS else kept}
    extracted: dict[str, Any] = with_value(head, key, value)
    return extracted


def _fits(key: KeyPath, pattern: Sequence[str]) -> bool:
    return len(key) == len(pattern) and all(wanted in ("*", part) for part, wanted in zip(key, pattern, strict=True))
