"""Initiatives as they are decided: the levels there are, where effects work, what they need and exclude."""

from __future__ import annotations

from collections.abc import Mapping

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, value_at
from kpiopt.scenario.actions import exclusions, inside, needed_units
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.strategy_map import InitiativeEntry
from kpiopt.scenario.links import Initiative, Integers
from kpiopt.scenario.scenario import Units


def resolve_levels(findings: Findings, key: str, entry: InitiativeEntry) -> tuple[float, tuple[float, ...]]:
    """Return the largest level of an initiative and the levels there are, none where every level up to it is one."""
    path: KeyPath = ("initiative", key)
    if entry.levels is None:
        given = value_at(findings.document.data, path) or {}
        if not {"max", "levels"} & given.keys():  # a wrong one is told where it stands
            message, rule = f"initiative '{key}' has neither max nor levels", "a level has a largest value"
            fix = "write max = …, or the levels there are, such as levels = [0, 10, 25]"
            findings.at("E-levels", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
        return entry.max or 0.0, ()
    levels, most = tuple(sorted(set(entry.levels))), max(entry.levels)
    wrong, rule = "", "levels are different numbers, one of them above 0"
    if len(levels) < len(entry.levels):
        wrong = f"initiative '{key}' names a level twice: {', '.join(f'{v:g}' for v in entry.levels)}"
    elif most == 0.0:
        wrong = f"initiative '{key}' has no level above 0"
    elif entry.max is not None and entry.max < most:
        wrong, rule = f"initiative '{key}' has the max {entry.max:g} and the level {most:g}", "no level is above max"
    elif entry.whole and any(not v.is_integer() for v in levels):
        wrong, rule = f"initiative '{key}' is whole, but has the levels {levels}", "levels of whole = true are whole"
    if wrong:
        findings.at("E-levels", wrong, (*path, "levels"), rule=rule, fix="correct the levels", kind=ModelError)
    return most, levels


def places_of_effect(units: Units, deciding: Integers, at: Integers, *, is_level: bool) -> tuple[tuple[int, int], ...]:
    """Return the pairs (position among the deciding units, unit at which it works) of an effect.

    Parameters
    ----------
    at : (n,) int
        The units that `at` names.
    is_level : bool
        Whether it names a level: of these units those at or below the deciding one take part. A single unit that is
        named takes part wherever it is.
    """
    if not is_level and len(at) == 1:
        return tuple((i, int(at[0])) for i in range(len(deciding)))
    return tuple((i, v) for i, u in enumerate(deciding.tolist()) for v in inside(units, u, at).tolist())


def check_relations(
    findings: Findings, model: ScenarioDocument, initiatives: Mapping[str, Initiative], units: Units
) -> None:
    """Note what initiatives need or exclude that cannot be: unknown names, themselves, nobody who decides about it."""
    for key, entry in model.initiative.items():
        for field, names in (("needs", entry.needs), ("not_with", entry.not_with)):
            for name in names or ():
                _check_other(findings, model, key, field, name)
        excluded = {
            *(entry.not_with or ()),
            *(name for name, it in model.initiative.items() if key in (it.not_with or ())),
        }
        for name in sorted({*(entry.needs or ())} & excluded):
            message, rule = f"initiative '{key}' needs '{name}' and excludes it", "what is needed is not excluded"
            findings.at("E-needs", message, ("initiative", key), rule=rule, fix="remove one", key=True, kind=ModelError)
    if findings.is_whole("initiative", "unit", "units"):
        _check_units(findings, initiatives, units)


def _check_other(findings: Findings, model: ScenarioDocument, key: str, field: str, name: str) -> None:
    path: KeyPath = ("initiative", key, field)
    if name == key:
        message, rule = f"initiative '{key}' names itself in {field}", "it is about other initiatives"
        findings.at("E-needs", message, path, rule=rule, fix="remove it", key=True, kind=ModelError)
    elif name not in model.initiative and name not in findings.declared("initiative"):
        findings.unknown("initiative", name, model.initiative, path, ModelError)


def _check_units(findings: Findings, initiatives: Mapping[str, Initiative], units: Units) -> None:
    """Each needed initiative is decided about at or above whoever needs it; each exclusion meets somewhere."""
    met = {frozenset([a[0], b[0]]) for a, b in exclusions(units, initiatives)}
    for key, initiative in initiatives.items():
        for name in (n for n in initiative.needs if n in initiatives and n != key):
            at = needed_units(units, initiative, initiatives[name])
            if (at < 0).any():
                unit = units.ids[initiative.units[int((at < 0).argmax())]]
                message = f"initiative '{key}' at '{unit}' needs '{name}', which is decided neither there nor above"
                rule = "what an initiative needs is decided at the same unit, or at one above it"
                fix = f"give '{name}' these units or one above them"
                path: KeyPath = ("initiative", key, "needs")
                findings.at("E-needs", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
            other = initiatives[name]
            if not (other.levels or other.whole):
                message = f"initiative '{key}' needs '{name}', which may run at a millionth of its max"
                rule = "a level above 0 is enough for what needs it"
                fix = f"write levels = [0, …] or whole = true for '{name}'"
                findings.at("W-needs", message, ("initiative", key, "needs"), rule=rule, fix=fix, key=True)
        for name in (n for n in initiative.not_with if n in initiatives and n != key):
            if frozenset([key, name]) not in met:
                message = f"initiatives '{key}' and '{name}' exclude each other, but meet at no unit or one above"
                findings.at("W-no-effect", message, ("initiative", key, "not_with"), fix="remove it", key=True)
