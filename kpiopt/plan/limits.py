"""Capacities and pay budgets as rows over rounded parts: how much room each has left, and what one step takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.graph.capacities import capacity_names, season_of_capacity
from kpiopt.graph.effort import bends_of_effort
from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.plan.parts import BOUND_TOLERANCE, FARTHEST, FLOAT_TOLERANCE, Parts
from kpiopt.scenario.scenario import Floats, Integers, Units


@dataclass(frozen=True)
class LimitRows:
    """Limits that rounding can break: what is used by the stretch of every cell that rounded parts move.

    Attributes
    ----------
    names : tuple of str
        "capacity.<resource>@<unit>" or "budget.<id>".
    room : (n_rows,) float
        What the unrounded plan leaves of each limit, tolerance included, in the limit's unit.
    use : (n_rows, n_columns) CSR
        Use per unit of stretch. A column is a cell; behind the cells, as if they were cells, stand the parts of
        stretch from which on effort counts more, and with periods the cells again, as their ranges count them.
    move : (n_columns, m) CSR
        Change of stretch per step of each part.
    planned : (n_columns,) float
        Stretch that the unrounded plan asks.
    floor : (n_columns,) float
        0 where only what is above 0 counts: effort and pay; minus infinity for ranges over the horizon.
    group : (n_rows,) int
        Limits of the same group have no part in common; groups of the lowest units come first.
    """

    names: tuple[str, ...]
    room: Floats
    use: sp.csr_array
    move: sp.csr_array
    planned: Floats
    floor: Floats
    group: Integers

    def room_left(self, parts: Parts, counts: Integers) -> Floats:
        """Room that rounding to `counts`, (m,) int, leaves, (n_rows,) float; below 0 where a limit is broken."""
        used = np.maximum(self.stretch_at(parts, counts), self.floor) - np.maximum(self.planned, self.floor)
        left: Floats = self.room - self.use @ used
        return left

    def stretch_at(self, parts: Parts, counts: Integers) -> Floats:
        """Stretch that `counts`, (m,) int, of steps ask, (n_columns,) float."""
        asked: Floats = self.planned + self.move @ (counts - parts.value / parts.step)
        return asked


@dataclass(frozen=True)
class Moves:
    """How rounded targets move stretches: cell `cell[i]` by `per_unit[i]` for each unit that part `part[i]` moves.

    Attributes
    ----------
    part, cell : (n,) int
    per_unit : (n,) float
        Stretch per unit of the target, in the KPI's sense.
    """

    part: Integers
    cell: Integers
    per_unit: Floats


def build_moves(graph: CausalGraph, parts: Parts) -> Moves:
    """Collect what each part moves: its own cell, and of a stock what is to be done again one period later."""
    part = np.flatnonzero(parts.cell >= 0)
    cell, periods = parts.cell[part], graph.scenario.periods
    per_unit = 1.0 / np.abs(graph.per_stretch[cell])
    if periods is None:
        return Moves(part, cell, per_unit)
    builds = graph.kind[graph.entry_node[cell]] == NodeKind.BUILT
    later = np.flatnonzero(builds & (graph.scenario.cell_period[cell] < len(periods) - 1))
    carry = periods.carry[graph.scenario.cells.kpi[cell[later]]]
    return Moves(
        np.concatenate([part, part[later]]),
        np.concatenate([cell, cell[later] + 1]),
        np.concatenate([per_unit, -carry]),
    )


def build_limit_rows(graph: CausalGraph, parts: Parts, stretch: Floats, levels: Floats) -> LimitRows:
    """Collect capacities of all resources and pay budgets; what initiatives spend does not change by rounding.

    With periods, the largest stretch over the horizon of each cell as well.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
    """
    scenario, units = graph.scenario, graph.scenario.units
    draft = _Draft(graph, parts, stretch)
    for resource, capacity in units.capacity.items():
        holder = np.flatnonzero(~np.isnan(capacity))
        share = season_of_capacity(scenario, resource, holder)
        names = capacity_names(scenario, resource, holder)
        for i, period in enumerate(range(len(share)) if scenario.periods is not None else (-1,)):
            fixed = _sum_at(graph.level_unit, use_of_levels(graph, levels, resource, period), len(units))
            some = names[i * len(holder) : (i + 1) * len(holder)]
            effort = scenario.cells.effort.get(resource)
            if effort is not None:
                draft.add(some, holder, share[i] * capacity[holder], effort, fixed, period, is_effort=True)
    budgets = [b for b in scenario.budgets.values() if b.resource == "pay"]
    rate, spent = np.nan_to_num(scenario.cells.pay_rate), use_of_levels(graph, levels, "pay")
    fixed = np.nan_to_num(units.target_incentive) + _sum_at(graph.level_unit, spent, len(units))
    for budget in budgets:
        scope, limit = np.array([budget.scope]), np.array([budget.limit])
        if not budget.by_period:
            draft.add([f"budget.{budget.id}"], scope, limit, rate, fixed)
            continue
        for period in range(scenario.n_periods):
            spent = _sum_at(graph.level_unit, use_of_levels(graph, levels, "pay", period), len(units))
            due = np.nan_to_num(units.target_incentive) / scenario.n_periods + spent
            draft.add([f"budget.{budget.id}/{scenario.period_name(period)}"], scope, limit, rate, due, period)
    if scenario.periods is not None:
        draft.add_ranges()
    return draft.finish()


class _Draft:
    """Rows while they are collected."""

    def __init__(self, graph: CausalGraph, parts: Parts, stretch: Floats) -> None:
        self.graph, self.moves = graph, build_moves(graph, parts)
        self.cells, self.units, self.parts, self.stretch = graph.scenario.cells, graph.scenario.units, parts, stretch
        self.bends = bends_of_effort(graph)
        self.names: list[str] = []
        self.rooms: list[Floats] = []
        self.matrices: list[sp.csr_array] = []
        self.depths: list[Integers] = []

    def add(
        self,
        names: list[str],
        holder: Integers,
        limit: Floats,
        rate: Floats,
        fixed: Floats,
        period: int = -1,
        *,
        is_effort: bool = False,
    ) -> None:
        """Add one row for each unit in `holder`: the use of its subtree, `fixed` by unit plus rate x stretch."""
        cells, parts, moves, bends = self.cells, self.parts, self.moves, self.bends
        if period >= 0:
            rate = np.where(self.graph.scenario.cell_period == period, rate, 0.0)
        counted = bends.counted(self.stretch) if is_effort else np.maximum(self.stretch, 0.0)
        spent = np.where(cells.has_decision, rate * counted, 0.0)
        use = sum_below(self.units, fixed + _sum_at(cells.unit, spent, len(self.units)))
        moved = np.flatnonzero(rate[moves.cell] != 0.0)
        part, cell = moves.part[moved], moves.cell[moved]
        of_part = rate[cell] * moves.per_unit[moved]
        size = _sum_at(parts.unit[part], np.abs(of_part * parts.value[part]), len(self.units))
        tolerance = BOUND_TOLERANCE * np.abs(limit) + FLOAT_TOLERANCE * sum_below(self.units, size)[holder]
        self.names += names
        self.depths.append(self.units.depth[holder])
        self.rooms.append(np.maximum(limit - use[holder], 0.0) + tolerance)
        used = np.unique(cell)
        unit, each = cells.unit[used], rate[used] * (bends.first[used] if is_effort else 1.0)
        if is_effort:
            more = np.flatnonzero(np.isin(bends.cell, used))
            unit = np.concatenate([unit, cells.unit[bends.cell[more]]])
            each = np.concatenate([each, rate[bends.cell[more]] * bends.more[more]])
            used = np.concatenate([used, len(cells) + more])
        row, member = _pairs_below(self.units, holder, unit)
        self.matrices.append(sp.csr_array((each[member], (row, used[member])), shape=(len(holder), self.width)))

    @property
    def width(self) -> int:
        """Number of cells, of the further tiers of their effort, and with periods of cells for their ranges."""
        again = 0 if self.graph.scenario.periods is None else len(self.cells)
        return len(self.cells) + len(self.bends.cell) + again

    def add_ranges(self) -> None:
        """Add one row for each cell with a decision: its stretch over the horizon is at most the largest."""
        scenario, moves, parts = self.graph.scenario, self.moves, self.parts
        base, horizon = scenario.cell_base, scenario.horizon
        cell, row = np.unique(base[moves.cell], return_inverse=True)
        whole = np.bincount(base, self.stretch, len(horizon))[cell]
        most = np.where(np.isnan(horizon.lock), horizon.max_stretch, horizon.lock)[cell]
        most = np.where(
            np.isnan(horizon.fixed_target[cell]), most, whole + FARTHEST * scenario.kpi_step[horizon.kpi[cell]]
        )
        step = scenario.kpi_step[horizon.kpi[cell]]
        size = np.bincount(row, np.abs(moves.per_unit * parts.value[moves.part]), len(cell))
        tolerance = BOUND_TOLERANCE * np.maximum(np.abs(most), step) + FLOAT_TOLERANCE * size
        self.names += [f"max_stretch@{self.graph.node_name(int(self.graph.whole_node[c]))}" for c in cell.tolist()]
        self.depths.append(np.zeros(len(cell), dtype=np.int64))
        self.rooms.append(np.maximum(most - whole, 0.0) + tolerance)
        moved, first = np.unique(moves.cell, return_index=True)
        entry = (np.ones(len(moved)), (row[first], self.width - len(self.cells) + moved))
        self.matrices.append(sp.csr_array(entry, shape=(len(cell), self.width)))

    def finish(self) -> LimitRows:
        """Stack the rows."""
        empty, moves, step = sp.csr_array((0, self.width)), self.moves, self.parts.step
        use = sp.csr_array(sp.vstack([empty, *self.matrices], format="csr"))
        per_step = moves.per_unit * step[moves.part]
        move = sp.csr_array((per_step, (moves.cell, moves.part)), shape=(len(self.cells), len(step)))
        again = np.arange(self.width - len(self.cells) - len(self.bends.cell))
        move = sp.csr_array(sp.vstack([move, move[self.bends.cell], move[again]]))
        planned = [self.stretch, self.stretch[self.bends.cell] - self.bends.start, self.stretch[again]]
        floor = np.repeat([0.0, -np.inf], [self.width - len(again), len(again)])
        batch = np.repeat(np.arange(len(self.depths)), [len(d) for d in self.depths])
        depth = np.concatenate([np.empty(0, dtype=np.int64), *self.depths])
        group = np.unique(np.stack([-depth, batch], axis=1), axis=0, return_inverse=True)[1].ravel()
        room = np.concatenate([np.empty(0), *self.rooms])
        return LimitRows(tuple(self.names), room, use, move, np.concatenate(planned), floor, group)


def _sum_at(position: Integers, values: Floats, n: int) -> Floats:
    return np.bincount(position, values, n).astype(np.float64)


def sum_below(units: Units, values: Floats) -> Floats:
    """Sum `values`, (n_units,) float, over each unit's subtree."""
    total = values.copy()
    for depth in range(int(units.depth.max(initial=0)), 0, -1):
        here = np.flatnonzero(units.depth == depth)
        np.add.at(total, units.parent[here], total[here])
    return total


def _pairs_below(units: Units, holder: Integers, unit: Integers) -> tuple[Integers, Integers]:
    """All pairs (position in holder, member) where the member's unit lies in the holder's subtree."""
    row_of = np.full(len(units), -1, dtype=np.int64)
    row_of[holder] = np.arange(len(holder))
    member, at = np.arange(len(unit)), unit
    rows, members = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    while len(at):
        held = row_of[at] >= 0
        rows.append(row_of[at[held]])
        members.append(member[held])
        above = units.parent[at]
        member, at = member[above >= 0], above[above >= 0]
    return np.concatenate(rows), np.concatenate(members)
