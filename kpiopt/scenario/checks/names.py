"""Names in settings and tables that mean nothing, or that differ from others by letter case alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from kpiopt.errors import Location, ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, walk
from kpiopt.reading.layer import COMMAND_LINE
from kpiopt.reading.rows import Rows
from kpiopt.reading.toml.text import scan_typed_key
from kpiopt.scenario.resolve.cells import ResolvedCells
from kpiopt.scenario.resolve.units import ResolvedUnits
from kpiopt.scenario.scenario import Scenario

KEYED = (
    "perspective", "objective", "kpi", "factor", "initiative", "goal", "capacity", "budget", "pay_plan", "unit", "cell",
    "guardrail", "adjust", "execution", "noise", "effort_curve", "ramp",
    "assign",
)  # fmt: skip
"""Sections of entries by id."""

LIMIT_FAMILIES = ("budget", "capacity", "per_period", "max_stretch", "min_stretch", "assign", "lock", "goal")
"""What can give way where no plan exists; `[relax]` names one of these or a single limit."""


def check_relax(findings: Findings, scenario: Scenario) -> None:
    """Every key of `[relax]` names a family of limits or a limit that there is."""
    if not scenario.relax or not findings.is_whole("budget", "goal", "unit", "units", "cell", "cells", "kpi", "joins"):
        return
    known = list(_limits(scenario))
    names = set(known)
    for key in scenario.relax:
        if key not in names:
            message, rule = f"there is no limit '{key}'", f"[relax] is keyed by a family ({', '.join(LIMIT_FAMILIES)}) "
            rule += 'or by the name of a limit, such as "budget.pay" or "capacity.hours@north"'
            fix = findings.nearest(key, known) or "correct or remove the key"
            findings.at("E-unknown-limit", message, ("relax", key), rule=rule, fix=fix, key=True, kind=ModelError)
    said = {str(key) for path, _ in walk(findings.document.merged.data.get("variant", {})) for key in path}
    for key in sorted(scenario.relax.keys() & (_empty_families(findings, scenario) - said)):
        message = f"relax.{key} changes nothing: the scenario has none"
        fix, rule = "correct or remove it", "a setting that nothing depends on is often a slip"
        findings.at("W-no-effect", message, ("relax", key), rule=rule, fix=fix, key=True)


def _empty_families(findings: Findings, scenario: Scenario) -> set[str]:
    """Return the families of limits of which a scenario has none."""
    data = findings.document.data
    there = {
        "budget": bool(scenario.budgets),
        "capacity": bool(scenario.units.capacity),
        "assign": bool(data.get("assign")),
        "lock": bool(scenario.cells.is_locked.any()) or scenario.periods is not None,
        "per_period": any(entry.get("per_period") for entry in data.get("guardrail", {}).values()),
    }
    return {family for family, is_there in there.items() if not is_there}


def _limits(scenario: Scenario) -> Iterator[str]:
    """Yield the names of everything that can give way, as a diagnosis writes them."""
    units, cells, kpis = scenario.units, scenario.cells, scenario.kpi_ids
    yield from LIMIT_FAMILIES
    yield from (f"budget.{name}" for name in scenario.budgets)
    yield from (f"goal.{name}" for name in scenario.goals)
    for resource, capacity in units.capacity.items():
        yield from (
            f"capacity.{resource}@{unit}" for unit, amount in zip(units.ids, capacity, strict=True) if amount >= 0
        )
    yield from (f"{kind} under {unit}" for kind in ("min_stretch", "max_stretch") for unit in units.ids)
    locked = [i for i, lock in enumerate(cells.lock.tolist()) if lock == lock]
    yield from (f"lock of {units.ids[cells.unit[i]]}/{kpis[cells.kpi[i]]}" for i in locked)


def check_overrides(findings: Findings, rows: Mapping[str, Rows]) -> None:
    """An override changes what there is; something new is written whole, such as --set 'goal.x={target=5}'.

    Parameters
    ----------
    rows : mapping of str to Rows
        Rows of "unit" and of "cell".
    """
    document = findings.document
    for section in KEYED:
        paths: Iterable[KeyPath] = [(section, key) for key in findings.declared(section)]
        if section in rows:
            paths = [path for path in rows[section].added.values() if path[0] == section]
        for path in paths:
            place = document.key_location(path)
            if section == "capacity" and path[1] in rows["unit"].family("capacity."):
                continue  # the units' table has it
            if place.file != COMMAND_LINE or (scan_typed_key(place.text, COMMAND_LINE) or ((), 0))[0] == path:
                continue
            known = [other for other in findings.declared(section) if document.key_location((section, other)) != place]
            if section in rows:
                columns = (rows[section].texts(name).tolist() for name in ("unit", "kpi")[: 1 + (section == "cell")])
                known = [name for key in zip(*columns, strict=True) if (name := "/".join(key)) != path[1]]
            if section == "capacity":
                known += list(rows["unit"].family("capacity."))
            message, rule = f"there is no {section.replace('_', ' ')} '{path[1]}'", "--set changes what there is"
            fix = (
                findings.nearest(str(path[1]), known) or f"to add it, write it whole: --set '{section}.{path[1]}={{…}}'"
            )
            findings.only(Problem("E-set-unknown", message, rule, fix, place), ModelError)


SELECTIVE = ("guardrail", "adjust", "execution", "noise", "effort_curve", "ramp")
"""Sections whose entries mean all cells where they do not say which."""


def check_variant_names(findings: Findings) -> None:
    """A variant changes what there is; a new entry that could mean all cells says which ones it means."""
    for section in SELECTIVE:
        for name in findings.declared(section):
            path: KeyPath = (section, name)
            entry = findings.document.data[section][name]
            if not isinstance(entry, dict) or "where" in entry or not findings.is_new_in_variant(path):
                continue
            known = [other for other in findings.declared(section) if other != name]
            fix = findings.nearest(name, known)
            fix = f"{fix}{'; ' if fix else ''}to add it, write in it where = {{…}}, the cells that it means"
            note_variant_name(findings, path, f"there is no {section} '{name}' that this variant could change", fix)


def note_variant_name(findings: Findings, path: KeyPath, message: str, fix: str) -> None:
    """Note that an entry of a variant changes nothing that there is."""
    rule = "a variant changes what there is, and what it adds is used"
    findings.at("E-variant-unknown-name", message, path, rule=rule, fix=fix, key=True, kind=ModelError)


def check_letter_case(findings: Findings, organization: ResolvedUnits, found: ResolvedCells) -> None:
    """No two ids of units, levels, roles, pay plans or resources differ by letter case alone.

    Where a table writes "Team" in one row and "team" in another, peers and selections would silently fall apart.
    """
    rows = organization.rows
    for column, what in (("unit", "units"), ("level", "levels"), ("role", "roles"), ("pay_plan", "pay plans")):

        def place(row: int, column: str = column) -> Location:
            return rows.location(row, column)

        _check_twins(findings, what, rows.texts(column).tolist(), place)
    resources = [(organization.rows, f"capacity.{name}") for name in organization.rows.family("capacity.")]
    resources += [(found.table.rows, f"effort.{name}") for name in found.table.rows.family("effort.")]
    names = [column.partition(".")[2] for _, column in resources]
    _check_twins(findings, "resources", names, lambda i: _header(*resources[i]))


def _header(rows: Rows, column: str) -> Location:
    return rows.location(0, column) if rows.table is None else rows.table.place.header(column)


def _check_twins(findings: Findings, what: str, names: Sequence[str], place: Callable[[int], Location]) -> None:
    first: dict[str, int] = {}
    told = set()
    for position, name in _first_of_each(names):
        before = first.setdefault(name.casefold(), position)
        if before == position or name.casefold() in told:
            continue
        told.add(name.casefold())
        message = f"the {what} '{names[before]}' and '{name}' differ only by letter case"
        rule = "ids differ by more than letter case, so that a slip does not make two things of one"
        where, other = place(position), place(before)
        findings.add(Problem("E-key-case", message, rule, "use one spelling", where, (other,)), ModelError)


def _first_of_each(names: Sequence[str]) -> Iterable[tuple[int, str]]:
    """Return each different name with the position where it first stands."""
    seen: dict[str, int] = {}
    for position, name in enumerate(names):
        if name:
            seen.setdefault(name, position)
    return ((position, name) for name, position in seen.items())
