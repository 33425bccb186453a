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

from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph
from kpiopt.plan.apportionment import apportion, nearest
from kpiopt.plan.limits import build_limit_rows
from kpiopt.plan.parts import MOST_STEPS, Parts, build_parts, noise, stretch_box
from kpiopt.plan.repair import repair
from kpiopt.scenario.scenario import Floats, Integers


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
    """

    target: Floats
    stretch: Floats
    notes: tuple[Problem, ...]


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
    decided = parts.cell >= 0
    moved[parts.cell[decided]] += (rounded - parts.value)[decided]
    rounded += parts.offset
    node = parts.node[~parts.is_own]
    target[node] = graph.sign[node] * rounded[~parts.is_own] + 0.0
    return Rounding(target, moved, tuple(notes))


def _count(graph: CausalGraph, parts: Parts, stretch: Floats, levels: Floats) -> tuple[Integers, dict[int, Problem]]:
    """Apportion and repair; return the counts and the KPIs whose step must be refused."""
    rows = build_limit_rows(graph, parts, stretch, levels)
    counts = repair(parts, rows, apportion(parts))
    refused: dict[int, Problem] = {}
    for row in np.flatnonzero(rows.room_left(parts, counts) < 0.0).tolist():
        here = slice(rows.matrix.indptr[row], rows.matrix.indptr[row + 1])
        member, rate = rows.matrix.indices[here], rows.matrix.data[here]
        worst = member[np.argmax(rate * (counts[member] - parts.steps[member]))]
        why = f"no multiples of {parts.step[worst]:,g} near the plan keep {rows.names[row]}"
        refused.setdefault(int(parts.kpi[worst]), _refusal(graph, parts, worst, why, f"raise {rows.names[row]}"))
    for part in np.flatnonzero(parts.is_inner & ((counts < parts.low) | (counts > parts.high))).tolist():
        why = f"no multiples of {parts.step[part]:,g} near the plan keep the total of {_name(graph, parts, part)}"
        refused.setdefault(int(parts.kpi[part]), _refusal(graph, parts, part, why, "leave that total more room"))
    return counts, refused or _refuse_goals(graph, parts, counts)


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
            limit = "what a person fixed for the total"
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


def _refuse_goals(graph: CausalGraph, parts: Parts, counts: Integers) -> dict[int, Problem]:
    """Refuse the step of KPIs whose rounded target at a hard goal falls more than half a step short of the plan."""
    place = np.full(graph.n_nodes, -1, dtype=np.int64)
    place[parts.node[~parts.is_own]] = np.flatnonzero(~parts.is_own)
    refused: dict[int, Problem] = {}
    for goal in graph.scenario.goals.values():
        part = int(place[graph.find_node(goal.kpi, goal.unit)])
        if goal.hard and part >= 0 and parts.steps[part] - counts[part] > 0.5 + noise(parts.steps[[part]])[0]:
            why = f"limits would round the hard goal {goal.id} down by more than half a step"
            refused.setdefault(int(parts.kpi[part]), _refusal(graph, parts, part, why, "leave the limits more room"))
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
    """Note every total that limits keep away from the multiple nearest to it."""
    top = np.flatnonzero(parts.is_inner & (parts.parent < 0))
    wanted = nearest(parts.steps[top])
    moved = np.flatnonzero(counts[top] != wanted)
    top, sign = top[moved], graph.sign[parts.node[top[moved]]]
    rounded = sign * (step_values(counts[top], parts.kpi[top], parts.step[top]) + parts.offset[top])
    usual = sign * (step_values(wanted[moved], parts.kpi[top], parts.step[top]) + parts.offset[top])
    return [
        Problem(
            "W-rounding-total",
            f"limits hold the rounded total of {graph.node_name(int(parts.node[part]))} at {got:,.{digits}f}, "
            f"where {near:,.{digits}f} would be nearest to the plan",
            rule="a total is the multiple of the step nearest to the plan, unless limits of its parts forbid it",
            fix="write a finer step, or give the binding limits a little more room",
        )
        for part, got, near in zip(top.tolist(), rounded.tolist(), usual.tolist(), strict=True)
        for digits in (max(0, -int(Decimal(repr(float(parts.step[part]))).normalize().as_tuple().exponent)),)
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
