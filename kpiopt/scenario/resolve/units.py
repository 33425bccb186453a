"""The organization: rows of units -> `Units` in depth-first order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.reading.rows import Patch, Rows, merge_rows
from kpiopt.reading.tables.table import UNITS_TABLE, Table
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.resolve.shown_names import shown_names
from kpiopt.scenario.scenario import OWN, Floats, Integers, Units

_RULE = "the organization is a tree: exactly one unit has no parent, every other one has an existing parent"


_CYCLES_SHOWN = 20


@dataclass(frozen=True)
class ResolvedUnits:
    """The organization and where its units stand in the input.

    Attributes
    ----------
    row : (n,) int
        Row of each unit in `rows`.
    """

    units: Units
    rows: Rows
    row: Integers


def resolve_units(
    findings: Findings, model: ScenarioDocument, table: Table | None, own: Mapping[str, KeyPath] | None = None
) -> ResolvedUnits:
    """Build the organization.

    Where it is no tree, that is noted, the section is marked as damaged, and stray units are put below the root, so
    that everything else can still be checked.

    Parameters
    ----------
    own : mapping of str to KeyPath, optional
        Units with cells for what they do themselves, and where these stand; each gets a unit below it for them.
    """
    patches = _patches(model, table)
    known = {*(patch.values["unit"] for patch in patches), *(table.texts("unit").tolist() if table else ())}
    for unit, path in (own or {}).items():
        if unit in known and f"{unit}{OWN}" not in known:
            values = {"unit": f"{unit}{OWN}", "parent": unit}
            patches.append(Patch(path, -1, values, dict.fromkeys(values, path)))
    rows = merge_rows(UNITS_TABLE, table, patches, findings.document)
    if not rows.count:
        if findings.is_whole("unit"):
            _note_empty(findings)
        findings.damaged |= {"unit", "units"}
        stand_in = Patch(("unit",), -1, {"unit": "", "parent": ""}, {})
        rows = merge_rows(UNITS_TABLE, None, [stand_in], findings.document)
    ids = rows.texts("unit").tolist()
    parent, depth = _tree(findings, rows, {unit: row for row, unit in enumerate(ids)})
    order, subtree = depth_first_order(ids, parent, depth)
    units = _build(findings, model, rows, parent, order, subtree)
    return ResolvedUnits(units, rows, order)


def _patches(model: ScenarioDocument, table: Table | None) -> list[Patch]:
    row_of = {unit: row for row, unit in enumerate(table.texts("unit").tolist())} if table and model.unit else {}
    patches = []
    for unit, entry in model.unit.items():
        path: KeyPath = ("unit", unit)
        values: dict[str, Any] = {"unit": unit, **entry.model_dump(exclude_none=True, exclude={"capacity"})}
        keys: dict[str, KeyPath] = {"unit": path}
        for resource, amount in entry.capacity.items():
            values[f"capacity.{resource}"] = amount
            keys[f"capacity.{resource}"] = (*path, "capacity", resource)
        patches.append(Patch(path, row_of.get(unit, -1), values, keys))
    return patches


def _note_empty(findings: Findings) -> None:
    findings.add(
        Problem(
            "E-no-units",
            "the organization has no units",
            _RULE,
            'write [unit.company], or name a table: [tables] units = "units.csv"; in a workbook it is the sheet units',
            findings.document.origin(("tables",)),
        ),
        ModelError,
    )


def _tree(findings: Findings, rows: Rows, row_of: Mapping[str, int]) -> tuple[Integers, Integers]:
    """Return the row of each unit's parent (-1 for the one root) and its depth."""
    names = rows.texts("parent").tolist()
    parent = np.array([row_of.get(name, -2) if name else -1 for name in names], dtype=np.int64)
    missing, roots = np.flatnonzero(parent == -2), np.flatnonzero(parent == -1).tolist()
    _note_unknown_parents(findings, rows, missing.tolist(), row_of)
    if len(roots) > 1:
        _note_roots(findings, rows, roots)
    if not roots:
        roots = [int(missing[0]) if len(missing) else _note_cycle(findings, rows, parent, 0)]
    parent[[*missing.tolist(), *roots]] = roots[0]
    parent[roots[0]] = -1
    depth = tree_depths(parent)
    for _ in range(_CYCLES_SHOWN):
        if (depth >= 0).all():
            break
        parent[_note_cycle(findings, rows, parent, int(np.argmin(depth)))] = roots[0]
        depth = tree_depths(parent)
    parent[depth < 0] = roots[0]
    return parent, tree_depths(parent)


def _note_unknown_parents(findings: Findings, rows: Rows, missing: list[int], known: Mapping[str, int]) -> None:
    names = rows.texts("parent")
    declared = set(findings.declared("unit"))
    if missing:
        findings.damaged.add("unit")

    def unknown(row: int) -> Problem:
        fix = findings.nearest(names[row], known.keys()) or "add the unit, or correct the parent"
        message = f"unit '{rows.texts('unit')[row]}' has the parent '{names[row]}', which does not exist"
        return Problem("E-unknown-parent", message, _RULE, fix, rows.location(row, "parent"))

    findings.each([row for row in missing if names[row] not in declared], unknown, ModelError)


def _note_roots(findings: Findings, rows: Rows, roots: list[int]) -> None:
    if not findings.is_whole("unit"):
        return  # a parent may be among what is noted already
    findings.damaged.add("unit")
    ids = rows.texts("unit")
    names = ", ".join(f"'{ids[row]}'" for row in roots[:8]) + (
        f" and {len(roots) - 8:,} more" if len(roots) > 8 else ""
    )
    findings.add(
        Problem(
            "E-several-roots",
            f"{len(roots):,} units have no parent: {names}",
            _RULE,
            "give all but the top unit a parent",
            rows.location(roots[1], "parent"),
            tuple(rows.location(row, "parent") for row in [roots[0], *roots[2:8]]),
        ),
        ModelError,
    )


def _note_cycle(findings: Findings, rows: Rows, parent: Integers, start: int) -> int:
    """Follow the parents from a unit that never reaches a root, name the circle and return a unit of it."""
    findings.damaged.add("unit")
    seen: dict[int, int] = {}
    at = start
    while at not in seen:
        seen[at] = len(seen)
        at = int(parent[at])
    circle = list(seen)[seen[at] :]
    ids = rows.texts("unit")
    findings.add(
        Problem(
            "E-unit-cycle",
            "units are each other's parents: " + " -> ".join(str(ids[row]) for row in [*circle, at]),
            _RULE,
            "correct one of these parents",
            rows.location(at, "parent"),
            tuple(rows.location(row, "parent") for row in circle[1:8]),
        ),
        ModelError,
    )
    return at


def depth_first_order(ids: list[str], parent: Integers, depth: Integers) -> tuple[Integers, Integers]:
    """Return rows in depth-first order, siblings by id, and the size of each one's subtree in that order."""
    rank = np.empty(len(ids), dtype=np.int64)
    rank[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    subtree = np.ones(len(ids), dtype=np.int64)
    layers = [np.flatnonzero(depth == level) for level in range(int(depth.max()) + 1)]
    for layer in layers[:0:-1]:
        np.add.at(subtree, parent[layer], subtree[layer])
    position = np.zeros(len(ids), dtype=np.int64)
    for layer in layers[1:]:
        siblings = layer[np.lexsort((rank[layer], parent[layer]))]
        before = np.cumsum(subtree[siblings]) - subtree[siblings]
        _, first, group = np.unique(parent[siblings], return_index=True, return_inverse=True)
        position[siblings] = position[parent[siblings]] + 1 + before - before[first][group]
    order = np.argsort(position)
    return order, subtree[order]


def tree_depths(parent: Integers) -> Integers:
    """Return the distance from the root by row; -1 for rows that never reach it."""
    depth = np.where(parent < 0, 0, -1)
    waiting = np.flatnonzero(depth < 0)
    level = 0
    while len(waiting):
        found = depth[parent[waiting]] == level
        level += 1
        depth[waiting[found]] = level
        if not found.any():
            break
        waiting = waiting[~found]
    return depth


def _build(
    findings: Findings,
    model: ScenarioDocument,
    rows: Rows,
    parent: Integers,
    order: Integers,
    subtree: Integers,
) -> Units:
    position = np.empty(len(order) + 1, dtype=np.int64)
    position[order], position[-1] = np.arange(len(order)), -1
    ids = rows.texts("unit")[order]
    names = rows.texts("name")[order]
    names = np.array(shown_names(ids.tolist(), np.where(names == "", ids, names).tolist()), dtype=object)
    own = np.array([unit.endswith(OWN) for unit in ids.tolist()], dtype=bool) & (position[parent[order]] >= 0)
    names[own] = [f"{names[p]}{OWN}" for p in position[parent[order]][own].tolist()]
    return Units(
        ids=tuple(ids.tolist()),
        names=tuple(names.tolist()),
        parent=position[parent[order]],
        end=np.arange(len(order)) + subtree,
        levels=_column(rows, "level", order),
        roles=_column(rows, "role", order),
        size=_checked(findings, rows, "size")[order],
        target_incentive=_checked(findings, rows, "target_incentive")[order],
        pay_plans=_pay_plans(findings, model, rows, order),
        capacity=_capacities(findings, model, rows, order),
        place=order,
    )


def _column(rows: Rows, name: str, order: Integers) -> tuple[str, ...]:
    return tuple(rows.texts(name)[order].tolist())


def _checked(findings: Findings, rows: Rows, column: str) -> Floats:
    """Return a column whose numbers must not be negative."""
    values = rows.numbers(column)

    def negative(row: int) -> Problem:
        message = f"unit '{rows.texts('unit')[row]}' has the {column} {values[row]:g}"
        return Problem(
            "E-negative", message, f"{column} is at least 0", "correct the number", rows.location(row, column)
        )

    findings.each(np.flatnonzero(values < 0).tolist(), negative, ModelError)
    return values


def _pay_plans(findings: Findings, model: ScenarioDocument, rows: Rows, order: Integers) -> tuple[str, ...]:
    plans = rows.texts("pay_plan")
    known = set(findings.declared("pay_plan")) | {""}
    bad: NDArray[np.bool_] = np.array([plan not in known for plan in plans.tolist()], dtype=bool)

    def unknown(row: int) -> Problem:
        message = f"unit '{rows.texts('unit')[row]}' has the pay plan '{plans[row]}', which does not exist"
        fix = findings.nearest(plans[row], list(model.pay_plan)) or f"write [pay_plan.{plans[row]}]"
        rule = "a pay plan is defined under [pay_plan.NAME]"
        return Problem("E-unknown-pay-plan", message, rule, fix, rows.location(row, "pay_plan"))

    findings.each(np.flatnonzero(bad).tolist(), unknown, ModelError)
    return tuple(plans[order].tolist())


def _capacities(findings: Findings, model: ScenarioDocument, rows: Rows, order: Integers) -> dict[str, Floats]:
    """Return capacities by resource, scaled; resources without any are left out."""
    capacity = {}
    for resource, amounts in rows.family("capacity.").items():
        _checked(findings, rows, f"capacity.{resource}")
        scale = model.capacity[resource].scale if resource in model.capacity else 1.0
        if not np.isnan(amounts).all():
            capacity[resource] = amounts[order] * scale
    for resource in model.capacity:
        if resource not in capacity and model.capacity[resource].per_head is None and findings.is_whole("unit"):
            rule = "[capacity.<resource>] sets what holds for a resource that units have a capacity of"
            fix = findings.nearest(resource, capacity) or f"give units a column capacity.{resource}, or remove this"
            message = f"no unit has a capacity of '{resource}'"
            path = ("capacity", resource)
            findings.at("E-unknown-resource", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
    return capacity
