"""Targets on the grid of each KPI's step, with exact totals, inside every limit.

Rules
-----
- `sum`: targets are whole multiples of the step, and the target of an inner unit is exactly the sum of its children's
  plus its own part (what its own stretch and its own causes add, rounded as one more child; no such child where it is
  0). The top takes the multiple nearest to its unrounded target, halves in the KPI's sense up, unless limits forbid.
- `mean` and `none`: every unit takes the nearest multiple on its own, because a mean of multiples is none.
- A rounded target moves the stretch of its cell by the same amount. The moved stretch stays in its box, and every
  capacity and pay budget holds with it, initiatives unchanged. Cells without a decision take one of the two nearest
  multiples; no limit speaks of them.
- Where no multiples keep all limits, the step of that KPI is refused: its targets stay as they are, with a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph
from kpiopt.plan.apportionment import apportion
from kpiopt.plan.parts import Parts, build_parts, stretch_box
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
        Refused steps and totals that limits keep away from their nearest multiple.
    """

    target: Floats
    stretch: Floats
    notes: tuple[Problem, ...]


def round_targets(graph: CausalGraph, own: Floats, asked: Floats, stretch: Floats) -> Rounding:
    """Round the unrounded targets of a plan.

    Parameters
    ----------
    own : (n_nodes,) float
        What each node's own stretch and causes add, in the KPI's unit.
    asked : (n_nodes,) float
        Unrounded targets: baselines plus `own`, rolled up.
    stretch : (n_cells,) float
    """
    wanted = graph.scenario.kpi_step > 0
    notes: list[Problem] = []
    while True:
        parts = build_parts(graph, own, asked, stretch, wanted)
        refused = _refuse_boxes(graph, parts)
        if not refused:
            break
        notes += refused.values()
        wanted[list(refused)] = False
    counts = apportion(parts)
    rounded = step_values(counts, parts.kpi, parts.step)
    target, moved = asked.copy(), stretch.copy()
    decided = parts.cell >= 0
    moved[parts.cell[decided]] += (rounded - parts.value)[decided]
    node = parts.node[~parts.is_own]
    target[node] = graph.sign[node] * rounded[~parts.is_own] + 0.0
    return Rounding(target, moved, tuple(notes))


def _refuse_boxes(graph: CausalGraph, parts: Parts) -> dict[int, Problem]:
    """Refuse the step of KPIs that have a cell without any multiple in its box."""
    refused: dict[int, Problem] = {}
    for part in np.flatnonzero((parts.low > parts.high) & ~parts.is_inner).tolist():
        refused.setdefault(int(parts.kpi[part]), _box_problem(graph, parts, part))
    return refused


def _box_problem(graph: CausalGraph, parts: Parts, part: int) -> Problem:
    cells, cell, kpi = graph.scenario.cells, parts.cell[part], graph.scenario.kpi_ids[parts.kpi[part]]
    unit = graph.scenario.units.ids[parts.unit[part]]
    locked = not np.isnan(cells.lock[cell])
    low, high = (float(bound[cell]) for bound in stretch_box(cells))
    limit = f"the lock at {low:,g}" if locked else f"a stretch from {low:,g} to {high:,g}"
    return Problem(
        "W-rounding-refused",
        f"the targets of {kpi} are not rounded: no multiple of {parts.step[part]:,g} keeps {limit} of {unit}",
        rule="limits hold for rounded targets too; where no multiples of the step keep them, the step is refused",
        fix=f"give kpi.{kpi} a finer step, or change the {'lock' if locked else 'stretch limits'} of {unit}",
    )


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
