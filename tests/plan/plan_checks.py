"""Checks of a rounded plan, written over names and exact decimals, without the arrays of the code under test."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from kpiopt.plan import Plan

Key = tuple[str, str]


@dataclass(frozen=True)
class Board:
    """Targets of a plan by (unit, KPI), with the tree to walk on."""

    plan: Plan
    target: dict[Key, float]
    asked: dict[Key, float]
    children: dict[str, list[str]]

    @property
    def rounded_kpis(self) -> list[str]:
        """KPIs with a step that was not refused."""
        refused = [n.message.split()[3] for n in self.plan.notes if n.code == "W-rounding-refused"]
        return [k.id for k in self.plan.graph.scenario.kpis.values() if k.step and k.id not in refused]

    def below(self, unit: str, kpi: str) -> list[Key]:
        """The targets that add up to one target."""
        if self.plan.graph.scenario.kpis[kpi].roll_up != "sum":
            return []
        return [(child, kpi) for child in self.children[unit] if (child, kpi) in self.target]


def lay_out(plan: Plan) -> Board:
    graph = plan.graph
    units = graph.scenario.units
    keys = {n: (units.ids[graph.unit[n]], graph.scenario.kpi_ids[graph.kpi[n]]) for n in plan.nodes.tolist()}
    children: dict[str, list[str]] = {u: [] for u in units.ids}
    for unit, parent in zip(units.ids, units.parent.tolist(), strict=True):
        if parent >= 0:
            children[units.ids[parent]].append(unit)
    return Board(
        plan,
        {key: float(plan.target[n]) for n, key in keys.items()},
        {key: float(plan.asked[n]) for n, key in keys.items()},
        children,
    )


def exact(value: float) -> Decimal:
    return Decimal(repr(value))


def assert_adds_up(board: Board) -> None:
    """Targets are multiples of the step; each is exactly the sum of those below plus an own part that is a multiple."""
    for (unit, kpi), target in board.target.items():
        if kpi not in board.rounded_kpis:
            assert target == board.asked[unit, kpi]
            continue
        step = exact(board.plan.graph.scenario.kpis[kpi].step or 0.0)
        below = board.below(unit, kpi)
        own = exact(target) - sum(exact(board.target[b]) for b in below)
        unrounded = board.asked[unit, kpi] - sum(board.asked[b] for b in below)
        noise = Decimal("1e-11") * (1 + abs(exact(target)))
        if kpi not in off_grid_kpis(board):
            assert exact(target) % step == 0, (unit, kpi, target)
            noise = Decimal(0)
        away = min(own % step, step - own % step)
        if below and abs(unrounded) < 1e-9 * (1.0 + abs(target)):
            assert abs(own) <= noise, (unit, kpi, own)
        elif away > noise:
            assert abs(float(own) - unrounded) <= float(noise), (unit, kpi, own)
            assert has_no_multiple(board, (unit, kpi), unrounded, float(step)), (unit, kpi, own)


def off_grid_kpis(board: Board) -> set[str]:
    """KPIs with a note that some cell stays off the grid."""
    messages = [n.message for n in board.plan.notes if n.code == "W-off-grid"]
    return {message.removeprefix("the target of ").split()[0].split("/")[1] for message in messages}


def has_no_multiple(board: Board, key: Key, value: float, step: float) -> bool:
    """Whether the lock or the range of a cell allows no multiple of the step."""
    scenario = board.plan.graph.scenario
    cells, sign = scenario.cells, scenario.kpis[key[1]].sign
    here = (cells.unit == scenario.units.position[key[0]]) & (cells.kpi == scenario.kpi_ids.index(key[1]))
    (i,) = np.flatnonzero(here & cells.has_decision).tolist()
    fixed = cells.lock[i] if np.isnan(cells.fixed_target[i]) else board.plan.stretch[i]
    low, high = (cells.min_stretch[i], cells.max_stretch[i]) if np.isnan(fixed) else (fixed, fixed)
    low = low if low > 0.0 or not np.isnan(fixed) else low - step
    ends = [sign * value + bound - float(board.plan.stretch[i]) for bound in (low, high)]
    return bool(np.floor(ends[1] / step - 1e-10) < np.ceil(ends[0] / step + 1e-10))


def moved_stretch(board: Board) -> dict[Key, float]:
    """Stretch that the rounded targets ask of every cell with a decision."""
    scenario = board.plan.graph.scenario
    cells, result = scenario.cells, {}
    for i in np.flatnonzero(cells.has_decision).tolist():
        unit, kpi = scenario.units.ids[cells.unit[i]], scenario.kpi_ids[cells.kpi[i]]
        below = board.below(unit, kpi)
        moved = board.target[unit, kpi] - sum(board.target[b] for b in below)
        moved -= board.asked[unit, kpi] - sum(board.asked[b] for b in below)
        result[unit, kpi] = float(board.plan.stretch[i]) + scenario.kpis[kpi].sign * moved
    return result


def below_the_grid(board: Board, key: Key, stretch: float) -> float:
    """How far the multiple below lies from the target of a cell without stretch: 0 where that is a multiple itself."""
    scenario = board.plan.graph.scenario
    kpi = scenario.kpis[key[1]]
    step = float(kpi.step or 0.0)
    if not step:
        return 0.0
    value = kpi.sign * (board.asked[key] - sum(board.asked[b] for b in board.below(*key))) - stretch
    return max(value - step * float(np.floor(value / step + 1e-6)), 0.0)


def assert_box_holds(board: Board, key: tuple[str, str], i: int, x: float) -> None:
    """A stretch stays within the range of its cell, or is its lock."""
    cells = board.plan.graph.scenario.cells
    low, high = (cells.lock[i],) * 2 if not np.isnan(cells.lock[i]) else (cells.min_stretch[i], cells.max_stretch[i])
    noise = 1e-9 * max(1.0, abs(high)) + 1e-12 * abs(board.asked[key])
    if low == 0.0 and not cells.is_locked[i]:
        low = -below_the_grid(board, key, float(board.plan.stretch[i]))
    assert low - noise <= x <= high + noise, (key, low, x, high)


def assert_limits_hold(board: Board) -> None:
    """Boxes, locks, capacities and pay budgets hold for the stretch that rounded targets ask."""
    plan = board.plan
    scenario, cells, units = plan.graph.scenario, plan.graph.scenario.cells, plan.graph.scenario.units
    moved = moved_stretch(board)
    cell = {(units.ids[u], scenario.kpi_ids[k]): i for i, (u, k) in enumerate(zip(cells.unit, cells.kpi, strict=True))}
    for key, x in moved.items():
        assert_box_holds(board, key, cell[key], x)

    def holds(used: float, limit: float, size: float) -> bool:
        return used <= limit + 1e-9 * max(abs(limit), 1.0) + 1e-12 * size

    def is_below(unit: str, top: str) -> bool:
        return unit == top or any(is_below(unit, child) for child in board.children[top])

    for resource, capacity in units.capacity.items():
        effort = cells.effort.get(resource, np.zeros(len(cells)))
        for top, limit in zip(units.ids, capacity.tolist(), strict=True):
            if not np.isnan(limit):
                mine = [key for key in moved if is_below(key[0], top)]
                used = sum(effort[cell[key]] * max(moved[key], 0.0) for key in mine)
                at = zip(plan.levels, plan.graph.level_initiative, plan.graph.level_unit, strict=True)
                uses = [i.uses.get(resource, 0.0) for i in scenario.initiatives.values()]
                used += sum(uses[initiative] * level for level, initiative, u in at if is_below(units.ids[u], top))
                assert holds(used, limit, sum(abs(board.asked[k]) for k in mine)), (resource, top, used, limit)
    for budget in scenario.budgets.values():
        if budget.resource == "pay":
            top = units.ids[budget.scope]
            mine = [key for key in moved if is_below(key[0], top)]
            used = sum(float(np.nan_to_num(cells.pay_rate[cell[key]])) * max(moved[key], 0.0) for key in mine)
            used += sum(
                t for u, t in zip(units.ids, units.target_incentive, strict=True) if is_below(u, top) and t == t
            )
            assert holds(used, budget.limit, sum(abs(board.asked[k]) for k in mine)), (budget.id, used, budget.limit)
