"""Targets on the grid of each KPI's step, with exact totals, inside every limit.

Rules
-----
- `sum`: targets are whole multiples of the step, and the target of an inner unit is exactly the sum of its children's
  plus its own part (what its own stretch and its own causes add, rounded as one more child; no such child where it is
  0). The top takes the multiple nearest to its unrounded target, halves in the KPI's sense up, unless limits forbid.
- `mean` and `none`: every unit takes the nearest multiple on its own, because a mean of multiples is none.
- A rounded target moves the stretch of its cell by the same amount. The moved stretch stays in its box, and every
  capacity and pay budget holds with it (what is below 0 earns nothing), initiatives unchanged; a least stretch of 0
  does not keep a baseline off the grid from being rounded to the multiple below it. Cells without a decision take one
  of the two nearest multiples.
- A cell whose lock or range holds no multiple stays off the grid, and what it lies off is on top of the totals above
  it; all others are multiples of the step.
- Where no multiples keep a capacity, a budget or a hard goal, the step of that KPI is refused: its targets stay as they
  are, with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.plan.apportionment import apportion
from kpiopt.plan.limits import build_limit_rows, build_moves
from kpiopt.plan.parts import MOST_STEPS, Parts, nearest, noise, snapped
from kpiopt.plan.parts_of_plan import build_parts, stretch_box
from kpiopt.plan.repair import repair
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.scenario.target_grid import shown_decimals


@dataclass(frozen=True)
class Rounding:
    """Rounded targets and what they mean for the cells.

    Attributes
    ----------
    target : (n_nodes,) float
        Rounded targets in the KPI's unit; unrounded where the KPI has no step or its step is refused.
    stretch : (n_cells,) float
        Stretch that the rounded targets ask of each cell.
    notes : tuple of Problem
        Refused steps, cells off the grid and totals that limits keep away from their nearest multiple.
    is_rounded : (n_kpis,) bool
        KPIs with a step that is not refused.
    """

    target: Floats
    stretch: Floats
    notes: tuple[Problem, ...]
    is_rounded: NDArray[np.bool_]


def round_targets(graph: CausalGraph, own: Floats, asked: Floats, stretch: Floats, levels: Floats) -> Rounding:
    """Round the unrounded targets of a plan.

    Parameters
    ----------
    own : (n_nodes,) float
        What each node's own stretch and causes add, in the KPI's unit.
    asked : (n_nodes,) float
        Unrounded targets: baselines plus `own`, rolled up.
    stretch : (n_cells,) float
    levels : (n_levels,) float
    """
    wanted = graph.scenario.kpi_step > 0
    notes: list[Problem] = []
    while True:
        parts = build_parts(graph, own, asked, stretch, wanted)
        refused = _refuse_cells(graph, parts)
        if not refused:
            counts, refused = _count(graph, parts, stretch, levels)
        if not refused:
            break
        notes += refused.values()
        wanted[list(refused)] = False
    notes += [*_off_grid(graph, parts, stretch), *_moved_totals(graph, parts, counts)]
    rounded = step_values(counts, parts.kpi, parts.step)
    target, moved = asked.copy(), stretch.copy()
    moves = build_moves(graph, parts)
    np.add.at(moved, moves.cell, moves.per_unit * (rounded - parts.value)[moves.part])
    rounded += parts.offset
    node = parts.node[~parts.is_own]
    target[node] = graph.sign[node] * rounded[~parts.is_own] + 0.0
    _add_up_periods(graph, parts, counts, target)
    return Rounding(target, moved, tuple(notes), wanted)


def _add_up_periods(graph: CausalGraph, parts: Parts, counts: Integers, target: Floats) -> None:
    """Give the horizon the sum of its periods in a flow, and the last period's target in a stock or where it is all."""
    if graph.scenario.periods is None:
        return
    node = np.flatnonzero((graph.period < 0) & (graph.kind == NodeKind.KPI))
    only = graph.scenario.n_periods == 1
    node = node[np.array([only or k.kind == "stock" for k in graph.scenario.kpis.values()])[graph.kpi[node]]]
    target[node] = target[graph.find_nodes(graph.unit[node], graph.kpi[node], graph.scenario.n_periods - 1)]
    for flow in parts.flows:
        part = flow.part[:, ~parts.is_own[flow.part[0]]]
        node = graph.find_nodes(parts.unit[part[0]], parts.kpi[part[0]])
        total = step_values(counts[part].sum(axis=0), parts.kpi[part[0]], parts.step[part[0]])
        target[node] = graph.sign[node] * (total + parts.offset[part].sum(axis=0)) + 0.0


def _count(graph: CausalGraph, parts: Parts, stretch: Floats, levels: Floats) -> tuple[Integers, dict[int, Problem]]:
    """Apportion and repair; return the counts and the KPIs whose step must be refused."""
    rows = build_limit_rows(graph, parts, stretch, levels)
    counts = repair(parts, rows, apportion(parts))
    refused: dict[int, Problem] = {}
    for row in np.flatnonzero(rows.room_left(parts, counts) < 0.0).tolist():
        by_part = sp.csr_array(rows.use[[row]] @ rows.move)
        member, rate = by_part.indices, by_part.data
        worst = member[np.argmax(rate * (counts[member] - parts.steps[member]))]
        why = f"no multiples of {parts.step[worst]:,g} near the plan keep {rows.names[row]}"
        refused.setdefault(int(parts.kpi[worst]), _refusal(graph, parts, worst, why, f"raise {rows.names[row]}"))
    for part in np.flatnonzero(parts.is_inner & ((counts < parts.low) | (counts > parts.high))).tolist():
        why = f"no multiples of {parts.step[part]:,g} near the plan keep the total of {_name(graph, parts, part)}"
        refused.setdefault(int(parts.kpi[part]), _refusal(graph, parts, part, why, "leave that total more room"))
    refused = refused or _refuse_ranges(graph, parts, counts, stretch)
    return counts, refused or _refuse_goals(graph, parts, counts)


def _refuse_ranges(graph: CausalGraph, parts: Parts, counts: Integers, stretch: Floats) -> dict[int, Problem]:
    """Refuse the step of KPIs whose rounded targets leave the range of a cell over the horizon."""
    refused: dict[int, Problem] = {}
    scenario, horizon = graph.scenario, graph.scenario.horizon
    if scenario.periods is None:
        return refused
    left = []
    for flow in parts.flows:
        total = counts[flow.part].sum(axis=0)
        left += flow.part[0, (total < flow.low) | (total > flow.high)].tolist()
    moves, base = build_moves(graph, parts), scenario.cell_base
    moved = moves.per_unit * parts.step[moves.part] * (counts - parts.value / parts.step)[moves.part]
    whole = np.bincount(base, stretch, len(horizon))
    after = whole + np.bincount(base[moves.cell], moved, len(whole))
    least = np.where(np.isnan(horizon.lock), horizon.min_stretch, horizon.lock)
    hair = 1e-9 * np.maximum(np.abs(least), scenario.kpi_step[horizon.kpi])
    flows = np.array([k.kind == "flow" for k in scenario.kpis.values()] + [False])
    broken = (
        (least != 0.0)
        & np.isnan(horizon.fixed_target)
        & (after < np.minimum(least, whole) - hair)
        & ~flows[horizon.kpi]
    )
    for part in [*left, *moves.part[broken[base[moves.cell]]].tolist()]:
        node = int(graph.find_nodes(parts.unit[[part]], parts.kpi[[part]])[0])
        why = f"no multiples of {parts.step[part]:,g} near the plan keep the range of {graph.node_name(node)}"
        refused.setdefault(int(parts.kpi[part]), _refusal(graph, parts, part, why, "leave that range more room"))
    return refused


def _name(graph: CausalGraph, parts: Parts, part: int) -> str:
    return graph.node_name(int(parts.node[part]))


def _refuse_cells(graph: CausalGraph, parts: Parts) -> dict[int, Problem]:
    """Refuse the step of KPIs with more steps than can be told apart."""
    refused: dict[int, Problem] = {}
    for part in np.flatnonzero(np.abs(parts.steps) > MOST_STEPS).tolist():
        why = f"{parts.value[part]:,g} has too many steps of {parts.step[part]:,g}"
        refused.setdefault(int(parts.kpi[part]), _refusal(graph, parts, part, why, "write a coarser step"))
    return refused


def _off_grid(graph: CausalGraph, parts: Parts, stretch: Floats) -> list[Problem]:
    """Note, once for each KPI, the cells that their own lock or range keeps off the grid."""
    cells, notes = graph.scenario.cells, []
    for kpi in np.unique(parts.kpi[parts.off_grid]).tolist():
        here = parts.off_grid[parts.kpi[parts.off_grid] == kpi]
        part, cell, more = int(here[0]), int(parts.cell[here[0]]), len(here) - 1
        low, high = (float(bound[cell]) for bound in stretch_box(cells, stretch))
        limit = f"a stretch from {low:,g} to {high:,g}"
        if cell < 0 or not (cells.is_locked[cell] or high - low < parts.step[part]):
            limit = _limit_over_horizon(graph, int(parts.node[part]))
        elif cells.is_locked[cell]:
            fixed = cells.fixed_target[cell]
            limit = f"the lock at {low:,g}" if np.isnan(fixed) else f"the target locked at {fixed:,g}"
        others = f" (and {more:,} more of this KPI)" if more else ""
        message = (
            f"the target of {graph.node_name(int(parts.node[part]))}{others} is not rounded: "
            f"no multiple of {parts.step[part]:,g} keeps {limit}"
        )
        rule = "limits hold for rounded targets too; only what they keep off the grid stays off it, and its totals"
        fix = f"give kpi.{graph.scenario.kpi_ids[kpi]} a finer step, or change the limit"
        notes.append(Problem("W-off-grid", message, rule, fix))
    return notes


def _limit_over_horizon(graph: CausalGraph, node: int) -> str:
    """Say what holds a target whose own box is wide: the range of a rate or stock over all periods, or a total."""
    scenario, cell = graph.scenario, int(graph.cell[node])
    if scenario.periods is None or list(scenario.kpis.values())[graph.kpi[node]].kind == "flow":
        return "what a person fixed for the total"
    horizon, base = scenario.horizon, int(graph.whole_cell[node] if cell < 0 else scenario.cell_base[cell])
    if base < 0:
        return "what a person fixed for the total"
    if horizon.is_locked[base]:
        return "the lock over all periods"
    return f"a stretch from {horizon.min_stretch[base]:,g} to {horizon.max_stretch[base]:,g} over all periods"


def _refuse_goals(graph: CausalGraph, parts: Parts, counts: Integers) -> dict[int, Problem]:
    """Refuse the step of KPIs whose rounded target at a hard goal falls more than half a step short of the plan."""
    place = np.full(graph.n_nodes, -1, dtype=np.int64)
    place[parts.node[~parts.is_own]] = np.flatnonzero(~parts.is_own)
    steps, got, kpi = parts.steps, counts, parts.kpi
    for flow in parts.flows:  # goals over the horizon are about the sum
        part = flow.part[:, ~parts.is_own[flow.part[0]]]
        place[graph.find_nodes(parts.unit[part[0]], parts.kpi[part[0]])] = len(steps) + np.arange(part.shape[1])
        steps = np.concatenate([steps, snapped((parts.value[part] / parts.step[part]).sum(axis=0))])
        got, kpi = np.concatenate([got, counts[part].sum(axis=0)]), np.concatenate([kpi, parts.kpi[part[0]]])
    refused: dict[int, Problem] = {}
    for goal in graph.scenario.goals.values():
        at = int(place[graph.goal_node(goal)])
        if goal.hard and at >= 0 and steps[at] - got[at] > 0.5 + noise(steps[[at]])[0]:
            why = f"limits would round the hard goal {goal.id} down by more than half a step"
            first = int(np.flatnonzero(parts.kpi == kpi[at])[0])
            refused.setdefault(int(kpi[at]), _refusal(graph, parts, first, why, "leave the limits more room"))
    return refused


def _refusal(graph: CausalGraph, parts: Parts, part: int, why: str, fix: str) -> Problem:
    kpi = graph.scenario.kpi_ids[parts.kpi[part]]
    return Problem(
        "W-rounding-refused",
        f"the targets of {kpi} are not rounded: {why}",
        rule="limits hold for rounded targets too; where no multiples of the step keep them, the step is refused",
        fix=f"give kpi.{kpi} another step, or {fix}",
    )


def _moved_totals(graph: CausalGraph, parts: Parts, counts: Integers) -> list[Problem]:
    """Note every total that limits keep away from the multiple nearest to it; of a flow, that of the horizon."""
    by_period, notes = np.zeros(len(parts), dtype=bool), []
    for flow in parts.flows:
        by_period[flow.part] = True
        part = flow.part[:, parts.is_inner[flow.part[0]] & (parts.parent[flow.part[0]] < 0)]
        node = graph.find_nodes(parts.unit[part[0]], parts.kpi[part[0]])
        wanted = nearest(snapped((parts.value[part] / parts.step[part]).sum(axis=0)))
        notes += _moved(graph, parts, part[0], node, counts[part].sum(axis=0), wanted, parts.offset[part].sum(axis=0))
    top = np.flatnonzero(parts.is_inner & (parts.parent < 0) & ~by_period)
    return notes + _moved(graph, parts, top, parts.node[top], counts[top], nearest(parts.steps[top]), parts.offset[top])


def _moved(
    graph: CausalGraph, parts: Parts, part: Integers, node: Integers, counts: Integers, wanted: Integers, offset: Floats
) -> list[Problem]:
    """Note totals whose count is not the wanted one."""
    moved = np.flatnonzero(counts != wanted)
    part, node, offset, sign = part[moved], node[moved], offset[moved], graph.sign[node[moved]]
    rounded = sign * (step_values(counts[moved], parts.kpi[part], parts.step[part]) + offset)
    usual = sign * (step_values(wanted[moved], parts.kpi[part], parts.step[part]) + offset)
    return [
        Problem(
            "W-rounding-total",
            f"limits hold the rounded total of {graph.node_name(at)} at {got:,.{digits}f}, "
            f"where {near:,.{digits}f} would be nearest to the plan",
            rule="a total is the multiple of the step nearest to the plan, unless limits of its parts forbid it",
            fix="write a finer step, or give the binding limits a little more room",
        )
        for at, step, got, near in zip(
            node.tolist(), parts.step[part].tolist(), rounded.tolist(), usual.tolist(), strict=True
        )
        for least in (max(0, -int(Decimal(repr(step)).normalize().as_tuple().exponent)),)
        for digits in (max(shown_decimals(got, least), shown_decimals(near, least)),)
    ]


def step_values(counts: Integers, kpi: Integers, step: Floats) -> Floats:
    """Counts times steps, each the float nearest to the exact decimal number (0.3, not 0.30000000000000004)."""
    values = counts * step
    for position in np.unique(kpi).tolist():
        here = kpi == position
        exact = Decimal(repr(float(step[here][0])))
        digits = max(0, -int(exact.as_tuple().exponent))
        numerator = int(exact.scaleb(digits))
        if digits <= 15 and int(np.abs(counts[here]).max()) * numerator < 2**53:
            values[here] = (counts[here] * numerator) / 10.0**digits
    return values
