"""Why not less, why not someone else: the plan made anew with less asked of one cell, and what that costs.

The answer is not guessed from prices: the program is solved again with the cell's stretch kept below what it is. What
the others take over is the cheapest swap there is, and the first step of the order that gets worse is its cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kpiopt.errors import Infeasible, LimitReached, Uncertified
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.program.formulation.blocks import as_read
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.steps import InfeasibleProgram
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.scenario.scenario import Floats

MOST_CELLS = 20_000
"""Cells up to which a plan is made anew for an explanation."""
WORSE = 1e-7
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step of the order, by the name that it is shown under, its value in the plan and in the plan made anew."""

    step: str
    before: float
    after: float
    unit: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A cell that is asked for more, or less, in the plan made anew; in its KPI's unit, above 0 for more effort."""

    unit: str
    kpi: str
    amount: float
    period: str | None = None


@dataclass(frozen=True)
class Swap:
    """What asking less of a cell would mean.

    Attributes
    ----------
    less : float
        By how much less is asked, in the KPI's unit.
    has_plan : bool
        Whether there is a plan at all without it.
    cost : StepChange or None
        The first step that gets worse; None where the plan is as good and only less like the reference.
    taken : tuple of Taken
        Cells whose stretch changes, those of the same KPI first, the largest change first.
    levels : tuple of (str, float)
        Initiatives whose level changes, "initiative@unit", and by how much.
    """

    less: float
    has_plan: bool
    cost: StepChange | None = None
    taken: tuple[Taken, ...] = ()
    levels: tuple[tuple[str, float], ...] = ()


def find_swap(
    graph: CausalGraph, stretch: Floats, levels: Floats, steps: Sequence[Mapping[str, Any]], cell: int
) -> Swap | None:
    """Ask less of a cell and plan anew.

    Parameters
    ----------
    stretch, levels : (n_cells,), (n_levels,) float
        The plan.
    steps : sequence of mapping
        The steps of the answer "kpiopt.solve/1".

    Returns
    -------
    Swap or None
        None where nothing less can be asked (no decision, a lock, the least already), where the scenario has rules of
        its own, or is larger than `MOST_CELLS`.
    """
    scenario, cells = graph.scenario, graph.scenario.cells
    less = _less(graph, stretch, cell)
    if not less or scenario.rules is not None or scenario.robust or len(cells) > MOST_CELLS:
        return None
    most = cells.max_stretch.copy()
    most[cell] = float(stretch[cell]) - less
    other = replace(scenario, cells=replace(cells, max_stretch=most))
    cascade = build_cascade(build_graph(other))
    try:
        solution = solve_program(cascade.program, SolverOptions())
    except (InfeasibleProgram, Infeasible):
        return Swap(less, has_plan=False)
    except (Uncertified, LimitReached):
        return None
    found, changed = cascade.columns.stretch_of_cells(solution.x), cascade.columns.level.of(solution.x)
    pairs = zip(steps, solution.steps, strict=True)
    names = [(_name(s), as_read(s["step"], float(s["value"])), after.value, after.unit) for s, after in pairs]
    worse = next((s for s in names[:-1] if s[2] - s[1] > WORSE * max(1.0, abs(s[1]))), None)
    moved = np.where(cells.has_decision, found - stretch, 0.0)  # totals follow from the cells below
    return Swap(
        less, True, _change(*worse) if worse else None, _taken(graph, moved, cell),
        _moved_levels(graph, changed - levels),
    )  # fmt: skip


def _change(step: str, before: float, after: float, unit: str) -> StepChange:
    return StepChange(step, as_read(step, before), as_read(step, after), unit)


def _less(graph: CausalGraph, stretch: Floats, cell: int) -> float:
    """Return a round amount, about a tenth to a half of the stretch, that could be taken from a cell; 0 where none."""
    cells = graph.scenario.cells
    if cell < 0 or not cells.has_decision[cell] or cells.is_locked[cell]:
        return 0.0
    x, room = float(stretch[cell]), float(stretch[cell] - cells.min_stretch[cell])
    if x <= 0 or room <= TINY * max(1.0, abs(x)):
        return 0.0
    return min(room, 10.0 ** math.floor(math.log10(x / 2)))


def _name(step: Mapping[str, Any]) -> str:
    return f"{step['step']} {step['priority']}" if "priority" in step else str(step["step"])


def _taken(graph: CausalGraph, moved: Floats, cell: int) -> tuple[Taken, ...]:
    """Return whose stretch changes, those of the same KPI first."""
    cells, scenario = graph.scenario.cells, graph.scenario
    size = np.maximum(np.abs(cells.baseline), scenario.kpi_step[cells.kpi])
    share = np.abs(moved) / np.where(size > 0, size, 1.0)
    known = [c for c in np.flatnonzero(share > TINY).tolist() if c != cell]
    known.sort(key=lambda c: (cells.kpi[c] != cells.kpi[cell], -share[c]))
    return tuple(
        Taken(
            scenario.units.ids[cells.unit[c]],
            scenario.kpi_ids[cells.kpi[c]],
            float(moved[c]),
            scenario.period_name(int(scenario.cell_period[c])),
        )
        for c in known
    )


def _moved_levels(graph: CausalGraph, moved: Floats) -> tuple[tuple[str, float], ...]:
    rows = np.flatnonzero(np.abs(moved) > TINY)
    return tuple((graph.node_name(int(graph.level_node[row])), float(moved[row])) for row in rows)
