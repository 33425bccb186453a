"""Impossible is an answer: why the limits clash and what would mend it, in the names of the file.

Sensible default willingness: money gives way before people, people before promises. `[relax]` overrides the weight of
a family ("budget", "capacity", "max_stretch", "min_stretch", "lock", "goal") or of one limit by its name; the weight is
what giving way by 100 % of the limit costs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import numpy as np

from kpiopt.errors import Infeasible, Problem, Uncertified
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.order.diagnosis import Change, Handle, Repair, Side, cheapest_repair, find_conflict, single_repairs
from kpiopt.program.order.steps import borderline_problem
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.certificate import Certificate

WEIGHTS = {"budget": 1.0, "capacity": 3.0, "max_stretch": 10.0, "min_stretch": 10.0, "lock": 30.0, "goal": 100.0}
GLADLY = 1e-6
SHOWN = 8
NEARLY_AS_CHEAP = 3.0
DIGITS = 4


@dataclass(frozen=True)
class _Lever:
    """Something in the file that can give way.

    Attributes
    ----------
    name : str
        Such as "budget.pay", "min_stretch under north", "goal.sales".
    handle : Handle
        Its sides; the amount is in the limit's unit, or a share for a group of stretches.
    kind : str
        Its family in `[relax]`.
    """

    name: str
    kind: str
    handle: Handle
    columns: tuple[int, ...] = ()


def explain_infeasible(cascade: Cascade, certificate: Certificate, ray: Floats, options: SolverOptions) -> Infeasible:
    """Turn a proof of infeasibility into an error that says how to mend it.

    Parameters
    ----------
    cascade : Cascade
    certificate : Certificate
        Of the Farkas proof.
    ray : (m,) float
        The proof.

    Returns
    -------
    Infeasible
        Its problems are the cheapest repair, alternatives nearly as cheap, and the smallest conflict when it is short;
        `details` holds the same for machines, with `--set` assignments that apply each repair.
    """
    arrays = _opened(cascade)
    levers = list(_levers(cascade))
    by_handle = {lever.handle.name: lever for lever in levers}
    handles = [lever.handle for lever in levers]
    repair = cheapest_repair(arrays, handles, options)
    alone = single_repairs(arrays, handles, None, options)
    near = [r for r in alone if repair is None or r.price <= NEARLY_AS_CHEAP * repair.price * (1 + 1e-9)]
    conflict = find_conflict(cascade.program.arrays(), ray, options)
    words = _Words(cascade, by_handle)
    details = {
        "certificate": certificate.as_dict(),
        "repair": words.repair(repair) if repair else None,
        "alternatives": [words.repair(r) for r in near if repair is None or not _same(r, repair)],
        "conflict": words.conflict(conflict) if conflict else None,
    }
    return Infeasible(*_problems(details), details=details)


def explain_borderline(cascade: Cascade, options: SolverOptions) -> Uncertified:
    """Turn a clash by a hair into an error that says by how much, and which limit would give way."""
    levers = list(_levers(cascade))
    repair = cheapest_repair(_opened(cascade), [lever.handle for lever in levers], options)
    if repair is None:
        return Uncertified(borderline_problem(""))
    words = _Words(cascade, {lever.handle.name: lever for lever in levers}).repair(repair)
    return Uncertified(borderline_problem(f"make it plain, or {words['text']}{_assignments(words)}"))


def _same(a: Repair, b: Repair) -> bool:
    return [c.handle.name for c in a.changes] == [c.handle.name for c in b.changes]


def _opened(cascade: Cascade) -> ProgramArrays:
    """Open the boxes of columns that only follow from decisions: a repair may carry them further than the data do."""
    arrays, columns = cascade.program.arrays(), cascade.columns
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    for block in (columns.change, columns.shortfall, columns.largest):
        at = block.positions
        reach = 1e3 * np.maximum(np.maximum(np.abs(lower[at]), np.abs(upper[at])), 1.0)
        lower[at] = np.where(lower[at] < 0.0, -reach, lower[at])
        upper[at] = reach
    return replace(arrays, column_lower=lower, column_upper=upper)


def _weight(cascade: Cascade, kind: str, name: str) -> float:
    relax = cascade.graph.scenario.relax
    return max(float(relax.get(name, relax.get(kind, WEIGHTS[kind]))), GLADLY)


def _levers(cascade: Cascade) -> Iterator[_Lever]:
    """Yield everything that can give way."""
    for limit in cascade.limits:
        kind = limit.name.partition(".")[0]
        price = _weight(cascade, kind, limit.name) / max(abs(limit.value), 1.0)
        yield _Lever(limit.name, kind, Handle(limit.name, (Side("row", limit.row, True),), (1.0,), price))
    yield from _stretch_levers(cascade)
    rows = cascade.program.row_block("goal")
    for i, goal in enumerate(cascade.columns.goals):
        if goal.hard and rows is not None:
            name = f"goal.{goal.id}"
            price = _weight(cascade, "goal", name) / float(cascade.columns.goal_scale[i])
            yield _Lever(name, "goal", Handle(name, (Side("row", rows.start + i, False),), (1.0,), price))


def _stretch_levers(cascade: Cascade) -> Iterator[_Lever]:
    """Yield the smallest and largest stretches below each unit as one share, and every lock by itself."""
    columns, scenario = cascade.columns, cascade.graph.scenario
    lock = scenario.cells.lock[columns.stretch_cell]
    parent = scenario.units.parent[columns.stretch_unit]
    group = np.where(parent >= 0, parent, columns.stretch_unit)
    for unit in np.unique(group).tolist():
        for kind, bound in (("min_stretch", columns.stretch.lower), ("max_stretch", columns.stretch.upper)):
            member = np.flatnonzero((group == unit) & np.isnan(lock) & (bound > 0.0))
            if len(member):
                name = f"{kind} under {scenario.units.ids[unit]}"
                sides = tuple(Side("column", columns.stretch.start + j, kind == "max_stretch") for j in member.tolist())
                most = 1.0 if kind == "min_stretch" else np.inf
                handle = Handle(name, sides, tuple(bound[member].tolist()), _weight(cascade, kind, name), most)
                yield _Lever(name, kind, handle, tuple(member.tolist()))
    for j in np.flatnonzero(~np.isnan(lock)).tolist():
        for direction, is_upper in (("lower", False), ("raise", True)):
            name = f"lock of {columns.stretch.label(j)}"
            price = _weight(cascade, "lock", name) / max(float(lock[j]), float(columns.scale[j]) * 0.01)
            most = np.inf if is_upper else float(lock[j])
            handle = Handle(
                f"{direction} {name}", (Side("column", columns.stretch.start + j, is_upper),), (1.0,), price, most
            )
            yield _Lever(name, "lock", handle, (j,))


class _Words:
    """Says sides and repairs in the words of the file."""

    def __init__(self, cascade: Cascade, levers: dict[str, _Lever]) -> None:
        self.cascade, self.levers = cascade, levers
        self.scenario = cascade.graph.scenario
        self.limits = {limit.name: limit for limit in cascade.limits}

    def repair(self, repair: Repair) -> dict[str, Any]:
        """Return a repair: its changes in words and as assignments."""
        changes = [self._change(change) for change in repair.changes]
        return {
            "text": ", and ".join(change["text"] for change in changes),
            "set": [assignment for change in changes for assignment in change["set"]],
            "changes": changes,
        }

    def _change(self, change: Change) -> dict[str, Any]:
        lever = self.levers[change.handle.name]
        say = {"budget": self._budget, "capacity": self._capacity, "goal": self._goal, "lock": self._lock}
        text, assignments, before, after = say.get(lever.kind, self._stretches)(lever, change.amount)
        return {"limit": lever.name, "text": text, "from": before, "to": after, "set": assignments}

    def _budget(self, lever: _Lever, amount: float) -> tuple[str, list[str], float, float]:
        limit = self.limits[lever.name]
        after = _outward(limit.value + amount, amount)
        money = self.scenario.budgets[lever.name.partition(".")[2]].money
        unit = self.scenario.currency if money else limit.resource
        text = f"raise {lever.name} by {_difference(after - limit.value)} {unit} to {_plain(after)}".replace("  ", " ")
        return text, [f"{lever.name}.limit={_digits(after)}"], limit.value, after

    def _capacity(self, lever: _Lever, amount: float) -> tuple[str, list[str], float, float]:
        limit = self.limits[lever.name]
        after = _outward(limit.value + amount, amount)
        unit = self.scenario.units.ids[limit.unit]
        scale = self.scenario.document.get("capacity", {}).get(limit.resource, {}).get("scale", 1.0)
        path = f"unit.{json.dumps(unit)}.capacity.{json.dumps(limit.resource)}"
        who = self.scenario.units.names[limit.unit]
        more = f"{_difference(after - limit.value)} more {limit.resource}"
        text = f"give {who} {more} ({_plain(after)} instead of {_plain(limit.value)})"
        return text, [f"{path}={_digits(after / scale if scale else after)}"], limit.value, after

    def _goal(self, lever: _Lever, amount: float) -> tuple[str, list[str], float, float]:
        goal = self.scenario.goals[lever.name.partition(".")[2]]
        kpi = self.scenario.kpis[goal.kpi]
        after = -_outward(-kpi.sign * goal.target + amount, amount) * kpi.sign
        verb = "lower" if kpi.sign > 0 else "raise"
        text = f"{verb} the hard goal {goal.id} from {_plain(goal.target)} to {_plain(after)} {kpi.unit}".rstrip()
        return text, [f"goal.{json.dumps(goal.id)}.target={_digits(after)}"], goal.target, after

    def _lock(self, lever: _Lever, amount: float) -> tuple[str, list[str], float, float]:
        columns = self.cascade.columns
        cell = int(columns.stretch_cell[lever.columns[0]])
        before = float(self.scenario.cells.lock[cell])
        after = before + amount if lever.handle.sides[0].is_upper else before - amount
        text = f"move the {lever.name} from {_plain(before)} to {_plain(after)}"
        return text, [f"{self._cell_path(lever.columns[0])}.lock={_digits(after)}"], before, after

    def _stretches(self, lever: _Lever, amount: float) -> tuple[str, list[str], float, float]:
        share = min(_outward(amount, amount), lever.handle.most)
        raised = lever.kind == "max_stretch"
        factor = 1.0 + share if raised else 1.0 - share
        bound = self.cascade.columns.stretch.upper if raised else self.cascade.columns.stretch.lower
        assignments = [f"{self._cell_path(j)}.{lever.kind}={_digits(float(bound[j]) * factor)}" for j in lever.columns]
        verb = "raise" if raised else "lower"
        return f"{verb} {lever.name} by {100 * share:.4g} %", assignments, 1.0, factor

    def _cell_path(self, member: int) -> str:
        return f"cell.{json.dumps(self.cascade.columns.stretch.label(member))}"

    def conflict(self, sides: Sequence[Side]) -> list[str]:
        """Return the members of a conflict that stand in the file; what only follows from them is left out."""
        return [text for side in sides if (text := self._side(side))]

    def _side(self, side: Side) -> str:
        program = self.cascade.program
        if side.kind == "row":
            name = program.row_name(side.position)
            limit = next((x for x in self.cascade.limits if x.row == side.position), None)
            if limit is not None:
                return f"{limit.name} <= {_plain(limit.value)}"
            if name.startswith("rules["):
                return f"the rule {name[6:-1]} of {Path(self.scenario.rules or 'the rules file').name}"
            return f"goal.{name[5:-1]} (hard)" if name.startswith("goal[") else ""
        name = program.column_name(side.position)
        if not name.startswith(("stretch[", "level[")):
            return ""
        block = self.cascade.columns.stretch if name.startswith("stretch[") else self.cascade.columns.level
        member = side.position - block.start
        bound = float(block.upper[member] if side.is_upper else block.lower[member])
        what = ("max_stretch" if side.is_upper else "min_stretch") if name.startswith("stretch[") else "level"
        return f"{what} of {block.label(member)} {'<=' if side.is_upper else '>='} {_plain(bound)}"


def _problems(details: dict[str, Any]) -> Iterator[Problem]:
    """Say the diagnosis: what would mend it first, then why."""
    repair, conflict = details["repair"], details["conflict"]
    mend = f"cheapest repair: {repair['text']}" if repair else "no change of these limits alone is enough"
    yield Problem(
        "E-infeasible",
        "no plan keeps all limits; proved, not guessed",
        rule="capacities, budgets, minimum and maximum stretches, locks and hard goals hold all at once",
        fix=mend + _assignments(repair),
    )
    for other in details["alternatives"][:SHOWN]:
        yield Problem("N-alternative", f"or: {other['text']}", fix=_assignments(other).strip(" ()"))
    if conflict:
        yield Problem(
            "N-conflict", "these contradict each other, and without any one of them they do not: " + "; ".join(conflict)
        )


def _assignments(repair: dict[str, Any] | None) -> str:
    if not repair or len(repair["set"]) > SHOWN:
        return ""
    return "  (" + " ".join(f"--set '{assignment}'" for assignment in repair["set"]) + ")"


def _outward(value: float, amount: float) -> float:
    """Round a value up to four digits of the change; rounding residue of the solver does not count."""
    grid = 10.0 ** (floor(log10(max(abs(amount), 1e-12))) - DIGITS + 1)
    return float(f"{ceil(value / grid - 1e-8) * grid:.12g}")


def _digits(value: float) -> str:
    return f"{value:.15g}"


def _difference(value: float) -> str:
    return _plain(float(f"{value:.4g}"))


def _plain(value: float) -> str:
    return f"{value:,.10g}"
