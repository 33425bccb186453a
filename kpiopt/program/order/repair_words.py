"""A repair, and a conflict, in the words of the file: what to change, and the `--set` assignments that change it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.program.formulation.blocks import Columns, Rows
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.constraints import Limit
from kpiopt.program.order.diagnosis import Change, Handle, Repair, Side
from kpiopt.scenario.scenario import OWN

DIGITS = 4
PER_PERIOD = "per_period"
BY_CELL = 8
"""Cells up to which each of a group gets an assignment of its own; more are changed together where that is possible."""


@dataclass(frozen=True)
class Lever:
    """Something in the file that can give way.

    Attributes
    ----------
    name : str
        Such as "budget.pay", "min_stretch under north", "goal.sales".
    kind : str
        Its family in `[relax]`.
    handle : Handle
        Its sides; the amount is in the limit's unit, or a share for a group of stretches.
    columns : tuple of int
        Members of the stretch columns that it moves.
    """

    name: str
    kind: str
    handle: Handle
    columns: tuple[int, ...] = ()


class Words:
    """Says sides and repairs in the words of the file.

    Parameters
    ----------
    levers : dict of str to Lever
        By the names of their handles.
    """

    def __init__(self, cascade: Cascade, levers: dict[str, Lever]) -> None:
        self.cascade, self.levers = cascade, levers
        self.scenario = cascade.graph.scenario
        self.limits = {without_period(limit): limit for limit in cascade.limits}

    def repair(self, repair: Repair) -> dict[str, Any]:
        """Return a repair: its changes in words and as assignments, and its price by the weights of `[relax]`."""
        changes = [self._change(change, i) for i, change in enumerate(repair.changes)]
        return {
            "text": ", and ".join(change["text"] for change in changes),
            "price": repair.price,
            "set": [assignment for change in changes for assignment in change["set"]],
            "changes": changes,
        }

    def limit_at(self, lever: Lever, after: float) -> tuple[str, list[str]]:
        """Return in words and as assignments that a budget or a capacity is moved to a value."""
        text, assignments, _, _ = (self._budget_to if lever.kind == "budget" else self._capacity_to)(lever, after)
        return text, assignments

    def _change(self, change: Change, number: int) -> dict[str, Any]:
        lever = self.levers[change.handle.name]
        if lever.kind in ("min_stretch", "max_stretch"):
            text, assignments, before, after = self._stretches(lever, change.amount, number)
        else:
            say = {
                "budget": self._budget,
                "capacity": self._capacity,
                "goal": self._goal,
                "lock": self._lock,
                "total": self._total,
                "assign": self._assign,
                PER_PERIOD: self._per_period,
            }
            text, assignments, before, after = say[lever.kind](lever, change.amount)
        return {"limit": lever.name, "text": text, "from": before, "to": after, "set": assignments}

    def _budget(self, lever: Lever, amount: float) -> tuple[str, list[str], float, float]:
        limit = self.limits[lever.name]
        return self._budget_to(lever, outward(limit.value + amount, amount))

    def _budget_to(self, lever: Lever, after: float) -> tuple[str, list[str], float, float]:
        limit = self.limits[lever.name]
        budget = lever.name.partition(".")[2]
        unit = self.scenario.currency if self.scenario.budgets[budget].money else limit.resource
        text = f"raise {lever.name} by {_difference(after - limit.value)} {unit} to {plain(after)}".replace("  ", " ")
        return text, [f"budget.{_key(budget)}.limit={_digits(after)}"], limit.value, after

    def _capacity(self, lever: Lever, amount: float) -> tuple[str, list[str], float, float]:
        limits = [limit for limit in self.cascade.limits if without_period(limit) == lever.name]
        scale = self._scale(limits[0])
        after = outward(sum(limit.value for limit in limits) / scale + amount / scale, amount / scale)
        return self._capacity_to(lever, after * scale)

    def _scale(self, limit: Limit) -> float:
        """Return the factor between a unit's capacity in the file and what it has; 1 where the file has heads."""
        heads = self.scenario.units.heads.get(limit.resource)
        if heads is not None and not np.isnan(heads[limit.unit]):
            return 1.0
        return float(self.scenario.document.get("capacity", {}).get(limit.resource, {}).get("scale", 1.0)) or 1.0

    def _capacity_to(self, lever: Lever, after: float) -> tuple[str, list[str], float, float]:
        limits = [limit for limit in self.cascade.limits if without_period(limit) == lever.name]
        limit = replace(limits[0], value=sum(limit.value for limit in limits))
        unit, scale = self.scenario.units.ids[limit.unit], self._scale(limit)
        path = f"unit.{json.dumps(unit)}.capacity.{json.dumps(limit.resource)}"
        who = self.scenario.units.names[limit.unit]
        more = f"{_difference(after - limit.value)} more {limit.resource}"
        has = f"{plain(after)} instead of {plain(limit.value)}"
        heads = self.scenario.units.heads.get(limit.resource, np.full(limit.unit + 1, np.nan))[limit.unit]
        if not np.isnan(heads) and limit.value > 0.0:
            text, more = f"give {who} {more} ({has})", heads * after / limit.value
            assignment = f"unit.{json.dumps(unit)}.head_count={_digits(more)}"
            return f"{text}, {plain(more)} heads instead of {plain(heads)}", [assignment], limit.value, after
        written = after if scale == 1.0 else float(f"{after / scale:.12g}")
        if scale != 1.0:
            scaled = f"capacity.{_key(limit.resource)}.scale = {plain(scale)}"
            has = f"in the file {plain(written)} instead of {plain(limit.value / scale)}, of which {scaled} makes {has}"
        return f"give {who} {more} ({has})", [f"{path}={_digits(written)}"], limit.value, after

    def _goal(self, lever: Lever, amount: float) -> tuple[str, list[str], float, float]:
        goal = self.scenario.goals[lever.name.partition(".")[2]]
        kpi = self.scenario.kpis[goal.kpi]
        after = -outward(-kpi.sign * goal.target + amount, amount) * kpi.sign
        verb = "lower" if kpi.sign > 0 else "raise"
        text = f"{verb} the hard goal {goal.id} from {plain(goal.target)} to {plain(after)} {kpi.unit}".rstrip()
        return text, [f"goal.{json.dumps(goal.id)}.target={_digits(after)}"], goal.target, after

    def _lock(self, lever: Lever, amount: float) -> tuple[str, list[str], float, float]:
        columns, side, member = self.cascade.columns, lever.handle.sides[0], lever.columns[0]
        field, before = "lock", float(self.scenario.cells.lock[self._cell(member)])
        move = amount if side.is_upper else -amount
        if np.isnan(before):
            field, before = "lock_target", float(self.scenario.cells.fixed_target[self._cell(member)])
            move *= 1.0 if side.kind == "row" else float(columns.graph.sign[columns.stretch_node[member]])
            before, move = (value * self._lock_factor(self._cell(member)) for value in (before, move))
        after = without_residue(before + move, move)
        text = f"move the {lever.name} from {plain(before)} to {plain(after)}"
        return text, [f"{self._cell_path(member, lever)}.{field}={_digits(after)}"], before, after

    def _per_period(self, lever: Lever, amount: float) -> tuple[str, list[str], float, float]:
        names = self._guardrails_by_period
        text = f"take per_period away from {self._by_period(' and ')}"
        return text, [f"guardrail.{_key(name)}.per_period=false" for name in names], 1.0, 0.0

    @property
    def _guardrails_by_period(self) -> list[str]:
        return [name for name, entry in self.scenario.document.get("guardrail", {}).items() if entry.get("per_period")]

    def _by_period(self, between: str = " or ") -> str:
        return between.join(f"guardrail.{name}" for name in self._guardrails_by_period)

    def _assign(self, lever: Lever, amount: float) -> tuple[str, list[str], float, float]:
        field, _, entry = lever.name.partition(" of assign.")
        kpis = list(self.scenario.document["assign"][entry].get("kpis", [0, len(self.scenario.kpis)]))
        place = ("least", "most").index(field)
        before, count = kpis[place], ceil(amount - 1e-6)
        kpis[place] = before + (count if field == "most" else -count)
        verb = "raise" if field == "most" else "lower"
        text = f"{verb} the {field} KPIs of assign '{entry}' from {before} to {kpis[place]}"
        return text, [f"assign.{json.dumps(entry)}.kpis=[{kpis[0]}, {kpis[1]}]"], float(before), float(kpis[place])

    def _lock_factor(self, cell: int) -> float:
        """Return what over-assignment makes of one unit of a locked target."""
        factor = self.scenario.horizon.lock_factor
        return 1.0 if factor is None else float(factor[cell])

    def _total(self, lever: Lever, amount: float) -> tuple[str, list[str], float, float]:
        side = lever.handle.sides[0]
        field, _, label = lever.name.partition(" of ")
        program = self.cascade.program
        rows = program.row_block(
            "lock_target" if field == "lock_target" else program.row_name(side.position).split("[")[0]
        )
        assert rows is not None
        unit, _, kpi = label.rpartition("/")
        start = float(self.cascade.graph.baseline[self.cascade.graph.find_node(kpi, unit)])
        bound = (rows.upper if side.is_upper else rows.lower)[side.position - rows.start]
        before = float(bound) + (start if field == "lock_target" else 0.0)
        after = before + (outward(amount, amount) if side.is_upper else -outward(amount, amount))
        if field == "lock_target":
            factor = self._lock_factor(int(self.cascade.graph.whole_cell[self.cascade.graph.find_node(kpi, unit)]))
            before, after = before * factor, after * factor
        text = f"move the {field} of the total of {label} from {plain(before)} to {plain(after)}"
        return text, [f"cell.{json.dumps(label)}.{field}={_digits(after)}"], before, after

    def _stretches(self, lever: Lever, amount: float, number: int) -> tuple[str, list[str], float, float]:
        share = min(outward(amount, amount), lever.handle.most)
        side = 1.0 if lever.kind == "max_stretch" else -1.0
        factor = 1.0 + side * share
        verb = "raise" if side > 0.0 else "lower"
        members = np.array(lever.columns)
        together = self._together(lever, members, factor, number) if len(members) > BY_CELL else None
        if together is None:
            block = self._block(lever)
            bound = (block.upper if side > 0.0 else block.lower)[members]
            ends = (side * outward(side * (b + side * amount * b), amount * b) for b in bound.tolist())
            cells = zip(members.tolist(), ends, strict=True)
            together = [f"{self._cell_path(j, lever)}.{lever.kind}={_digits(value)}" for j, value in cells]
            factor = 1.0 + side * amount
        return f"{verb} {lever.name} by {100 * abs(factor - 1.0):.4g} %", together, 1.0, factor

    def _together(self, lever: Lever, members: NDArray[np.int64], factor: float, number: int) -> list[str] | None:
        """Return one bulk edit or guardrail for all cells of a group; None where it would mean other cells as well."""
        columns, cells = self.cascade.columns, self.scenario.cells
        if self.scenario.periods is not None:
            return None
        own, parent = columns.stretch_unit[members], self.scenario.units.parent
        if cells.growth is None or len(np.unique(parent[own])) > 1:
            return None
        kpis = np.unique(columns.stretch_kpi[members])
        meant = (parent[cells.unit] == parent[own[0]]) & np.isin(cells.kpi, kpis)
        growth = cells.growth[int(lever.kind == "max_stretch")][meant]
        where = {
            "parent": self.scenario.units.ids[int(parent[own[0]])],
            "kpi": [self.scenario.kpi_ids[k] for k in kpis],
        }
        name = f"repair-{number + 1}"
        if np.all(np.isnan(growth)) and cells.has_decision[meant].all() and not cells.is_locked[meant].any():
            return [f"adjust.{name}={{ where = {_table(where)}, scale = {{ {lever.kind} = {_digits(factor)} }} }}"]
        ends = np.unique(cells.growth[:, meant], axis=1)
        if ends.shape[1] == 1 and not np.isnan(ends).any():
            low, high = ends[:, 0].tolist()
            low, high = (low, high * factor) if lever.kind == "max_stretch" else (low * factor, high)
            return [f"guardrail.{name}={{ where = {_table(where)}, growth = [{_digits(low)}, {_digits(high)}] }}"]
        return None

    def _cell(self, member: int) -> int:
        return int(self.cascade.columns.stretch_cell[member])

    def _block(self, lever: Lever) -> Rows | Columns:
        """Return the rows or columns that a lever's members are: over the horizon, or of single periods."""
        stretch = self.cascade.columns.stretch
        over = None if lever.handle.sides[0].kind == "column" else self.cascade.program.row_block("range")
        return over or stretch

    def _cell_path(self, member: int, lever: Lever) -> str:
        return f"cell.{json.dumps(self._block(lever).label(member).replace(f'{OWN}/', '/'))}"

    def _bound(self, side: Side) -> str:
        arrays = self.cascade.program.arrays()
        return plain(float((arrays.row_upper if side.is_upper else arrays.row_lower)[side.position]))

    def conflict(self, sides: Sequence[Side], by_period: bool = False) -> list[str]:
        """Return the members of a conflict that stand in the file; what only follows from them is left out.

        Parameters
        ----------
        by_period : bool
            Whether it would end without `per_period`, which may be hidden in what follows from the stretches.
        """
        found = list(dict.fromkeys(text for side in sides if (text := self._side(side))))
        hidden = by_period and not any(text.startswith(PER_PERIOD) for text in found)
        return [*found, f"{PER_PERIOD} of {self._by_period()}"] if hidden else found

    def _side(self, side: Side) -> str:
        program = self.cascade.program
        if side.kind == "row":
            name = program.row_name(side.position)
            limit = next((x for x in self.cascade.limits if x.row == side.position), None)
            if limit is not None:
                due = f", of which {plain(limit.base)} are due as target incentives" if limit.base else ""
                return f"{limit.name} <= {plain(limit.value)}{due}"
            return self._row(side, name)
        return self._column(side)

    def _row(self, side: Side, name: str) -> str:
        """Say a side of a row that is no capacity and no budget; nothing of one that only follows from others."""
        block, _, at = name.removesuffix("]").partition("[")
        end, least = ("max", "at most") if side.is_upper else ("min", "at least")
        rows = self.cascade.program.row_block("range")
        i = -1 if rows is None or block != "range" else side.position - rows.start
        if rows is not None and i >= 0 and rows.lower[i] == rows.upper[i]:
            return f"lock of {at} = {self._bound(side)} over the periods"
        words = {
            "rules": f"the rule {at} of {Path(self.scenario.rules or 'the rules file').name}",
            "lock_target": f"lock_target of {at}",
            "bound": f"the {end} of the KPI at {at}",
            "range": f"{end}_stretch of {at}, {self._bound(side)} over the periods",
            "ramp": f"the ramp of {at}",
            "band": f"fairness.band of {at}",
            "peers": f"the guardrail of {at} of its peers' mean",
            "levels": f"levels of the initiative {at}",
            "once": f"the initiative {at} begins once",
            "needs": f"needs of the initiative {at}",
            "not_with": f"not_with of the initiative {at}",
            "start": f"max of the initiative {at}, {self._bound(side)}",
            "total": f"the total of {at} {least} {self._bound(side)}",
            "goal": f"goal.{at} (hard)",
        }
        return words.get(block, "")

    def _column(self, side: Side) -> str:
        program = self.cascade.program
        name = program.column_name(side.position)
        if not name.startswith(("stretch[", "level[")):
            return ""
        block = self.cascade.columns.stretch if name.startswith("stretch[") else self.cascade.columns.level
        member = side.position - block.start
        bound = float(block.upper[member] if side.is_upper else block.lower[member])
        periods = self.scenario.periods
        if periods is not None and name.startswith("stretch["):
            cell, single = self._cell(member), periods.single
            ends = () if single is None else (single.lock, single.max_stretch if side.is_upper else single.min_stretch)
            if all(np.isnan(end.ravel()[cell]) for end in ends):
                if not side.is_upper or not in_shares(self.cascade)[member]:
                    return ""
                return f"{PER_PERIOD} of {self._by_period()}: the stretch of {block.label(member)} <= {plain(bound)}"
        if name.startswith("stretch[") and self.scenario.cells.is_locked[self._cell(member)]:
            return f"lock of {block.label(member)} = {plain(bound)}"
        what = ("max_stretch" if side.is_upper else "min_stretch") if name.startswith("stretch[") else "level"
        return f"{what} of {block.label(member)} {'<=' if side.is_upper else '>='} {plain(bound)}"


def in_shares(cascade: Cascade) -> NDArray[np.bool_]:
    """Say of each stretch whether `per_period` of a guardrail holds it to its period's share."""
    columns, periods = cascade.columns, cascade.graph.scenario.periods
    if periods is None:
        return np.zeros(len(columns.stretch), dtype=bool)
    return periods.by_period[columns.decided[columns.stretch_decided]]


def without_period(limit: Limit) -> str:
    """Return the name of a limit as the file has it, the same in all periods."""
    return limit.name if limit.period is None else limit.name.removesuffix(f"/{limit.period}")


def _table(values: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"


def _key(name: str) -> str:
    """Return a name as a key of TOML."""
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else json.dumps(name)


def outward(value: float, amount: float) -> float:
    """Return a value rounded up to four digits of the change; rounding residue of the solver does not count."""
    grid = 10.0 ** (floor(log10(max(abs(amount), 1e-12))) - DIGITS + 1)
    return float(f"{ceil(value / grid - 1e-8) * grid:.12g}")


def without_residue(value: float, amount: float) -> float:
    """Return a value as four digits of the change write it, where only rounding residue of the solver is between."""
    short = outward(value, amount)
    return short if f"{short:.9g}" == f"{value:.9g}" else value


def _digits(value: float) -> str:
    return f"{value:.15g}"


def _difference(value: float) -> str:
    return plain(float(f"{value:.4g}"))


def plain(value: float) -> str:
    """Return a number as it stands in a sentence."""
    return f"{value:,.10g}"
