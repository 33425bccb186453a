"""One number changed in a loaded scenario, for the few whose meaning is plain; everything else is read again.

A sweep over a budget does not read a hundred thousand rows a hundred times. The result is what reading the file with
the same override gives, which a test holds for every path that is patched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kpiopt.reading.toml.text import scan_key
from kpiopt.scenario.resolve.quantity_reader import out_of_range
from kpiopt.scenario.scenario import Scenario

Key = tuple[str, ...]


def read_path(text: str) -> Key | None:
    """Return the keys of a dotted path, None where it is none.

    Examples
    --------
    >>> read_path('cell."x/sales".max_stretch')
    ('cell', 'x/sales', 'max_stretch')
    """
    found = scan_key(text, "--over")
    return found[0] if found and found[1] == len(text) else None


def patch_scenario(scenario: Scenario, changes: Mapping[str, Any]) -> Scenario | None:
    """Return the scenario with other numbers, None where that takes another reading.

    Parameters
    ----------
    scenario : Scenario
    changes : mapping of str to value
        Dotted path -> new value. Patched are budgets' limits and goals' targets and weights that the scenario has.
    """
    for path, value in changes.items():
        key = read_path(path)
        patched = _patched(scenario, key, value) if key else None
        if patched is None:
            return None
        scenario = patched
    return scenario


def _patched(scenario: Scenario, key: Key, value: Any) -> Scenario | None:
    if len(key) != 3 or isinstance(value, bool) or not isinstance(value, int | float) or out_of_range(float(value)):
        return None
    section, name, field = key
    document = with_value(scenario.document, key, value)
    if section == "budget" and name in scenario.budgets and field == "limit" and value >= 0:
        budgets = {**scenario.budgets, name: replace(scenario.budgets[name], limit=float(value))}
        return replace(scenario, budgets=budgets, document=document)
    if section == "goal" and name in scenario.goals and (field == "target" or (field == "weight" and value > 0)):
        goal = scenario.goals[name]
        changed = replace(goal, target=float(value)) if field == "target" else replace(goal, weight=float(value))
        return replace(scenario, goals={**scenario.goals, name: changed}, document=document)
    return None


def with_value(document: Mapping[str, Any], key: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a document with one value changed; what is not on its path is shared."""
    head, *rest = key
    inner = document.get(head)
    return {**document, head: with_value(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value}
