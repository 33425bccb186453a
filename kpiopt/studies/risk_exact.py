"""How much a plan that keeps its promised odds by rows gives away: the same promises solved exactly, draw by draw.

Every planning draw has a whole number of its own that says whether it is hit, so that no approximation is left:

    m_gd(x) / scale_g + f + M_gd (1 - y_d) >= added      for each goal g and draw d,    sum_d y_d >= ceil(p n)

Only where that is small, and where margins are linear in the decisions: no KPI has bounds.

Reference: Luedtke and Ahmed (2008), A sample approximation approach for optimization with probabilistic constraints.
DOI 10.1137/070702928
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpiopt.deadline import Deadline
from kpiopt.program.formulation.blocks import as_read
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.promises import Promise
from kpiopt.program.order.steps import Solution, append_row
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.simulation.planning.margins import planning_draws

MOST = 2_000
"""Draws times goals up to which promises are solved exactly."""
SECONDS = 20.0
"""Time that one step of it may take."""
SAME = 1e-6
"""Share of a step's size by which two values are the same: what whole-number answers are exact to."""


@dataclass(frozen=True)
class ExactStep:
    """One step of the order, as the plan has it and as it could be.

    Attributes
    ----------
    step : str
    plan, exact : float
    """

    step: str
    plan: float
    exact: float

    @property
    def gap(self) -> float:
        """What the plan gives away, in the step's unit; never below 0."""
        worse = self.exact - self.plan if self.step == "maximize" else self.plan - self.exact
        return max(0.0, worse) if worse > SAME * max(1.0, abs(self.exact)) else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"step": self.step, "plan": self.plan, "exact": self.exact, "gap": self.gap}


def exact_steps(cascade: Cascade, solution: Solution, options: SolverOptions | None = None) -> tuple[ExactStep, ...]:
    """Solve a plan's promises exactly and return its steps up to the first in which it could be better.

    Empty where it promises nothing, where that is too large or not linear, or where the time was not enough.

    Parameters
    ----------
    cascade : Cascade
        With the cuts that hold it to its promises.
    solution : Solution
        Of its program.
    """
    promises, scenario = cascade.promises, cascade.graph.scenario
    size = sum(len(promise.goals) for promise in promises) * scenario.odds.draws
    special = any(promise.is_mean or promise.name == "odds" for promise in promises)
    if not promises or special or size > MOST or len(cascade.graph.bounded) or scenario.curved:
        return ()
    arrays, found = _with_draws(cascade), []
    for objective, ours in zip(cascade.program.objectives, solution.steps, strict=False):
        cost = np.concatenate([objective.cost, np.zeros(arrays.n_columns - len(objective.cost))])
        posed = replace(arrays, cost=cost, offset=objective.offset)
        limit = Deadline.after(min(SECONDS, options.deadline.left if options else SECONDS))
        answer = Session(posed, SolverOptions(deadline=limit)).solve()
        if answer.status is not Status.OPTIMAL:
            return ()
        value = dot(cost, answer.x) + objective.offset
        step = ExactStep(ours.label, ours.reached, as_read(ours.name, value))
        found.append(step)
        if step.gap:
            break
        room = objective.slack * abs(value) + SAME * max(1.0, abs(value))
        arrays = append_row(arrays, cost, max(value + room, ours.value) - objective.offset)
    return tuple(found)


def _with_draws(cascade: Cascade) -> ProgramArrays:
    """Return the program whose draws are each hit or not, in place of the rows that hold it to its promises."""
    program, columns = cascade.program, cascade.columns
    bare = replace(program, rows=tuple(rows for rows in program.rows if rows.name != "promise"))
    arrays, draws, n = bare.arrays(), planning_draws(cascade.graph), cascade.graph.scenario.odds.draws
    n = draws.book.layout.draws
    nothing = np.zeros(len(columns.scenario.cells)), np.zeros(len(columns.level))
    at_nothing = draws.margins(*nothing)
    for number, promise in enumerate(cascade.promises):
        added = float(cascade.cuts.added[number]) if len(cascade.cuts.added) else 0.0
        arrays = _counting(arrays, cascade, promise, _slopes(cascade, promise, n), at_nothing, added)
    return arrays


def _slopes(cascade: Cascade, promise: Promise, n: int) -> Floats:
    """Return what a unit of each column adds to each goal's margin in each draw, (k * n, n_columns) float."""
    columns, k = cascade.columns, len(promise.goals)
    cells, levels = planning_draws(cascade.graph).slopes(promise.goals)
    found = np.zeros((k, n, cascade.program.n_columns))
    found[:, :, columns.stretch.positions] = cells[:, :, columns.stretch_cell]
    found[:, :, columns.level.positions] = levels
    found /= np.reshape(promise.scale, (k, 1, 1))
    found[:, :, promise.column] = 1.0
    return found.reshape(k * n, -1)


def _counting(
    arrays: ProgramArrays, cascade: Cascade, promise: Promise, slopes: Floats, at_nothing: Floats, added: float
) -> ProgramArrays:
    """Add a whole number for each draw, the rows that make it 0 where a goal is missed, and the row that counts."""
    n, k = at_nothing.shape[1], len(promise.goals)
    margin = at_nothing[promise.goals] / promise.scale[:, None]
    lower, upper = (side[: slopes.shape[1]] for side in (arrays.column_lower, arrays.column_upper))
    least = np.sum(np.where(slopes > 0.0, slopes * lower, slopes * upper), axis=1) + margin.ravel()
    big = np.maximum(0.0, added - least)
    padding = np.zeros((k * n, arrays.n_columns - slopes.shape[1]))
    draw = sp.csr_array((-big, (np.arange(k * n), np.tile(np.arange(n), k))), shape=(k * n, n))
    rows = sp.hstack([sp.csr_array(slopes), sp.csr_array(padding), draw])
    count = sp.hstack([sp.csr_array((1, arrays.n_columns)), sp.csr_array(np.ones((1, n)))])
    before = sp.hstack([arrays.matrix, sp.csr_array((arrays.n_rows, n))])
    return replace(
        arrays,
        cost=np.concatenate([arrays.cost, np.zeros(n)]),
        matrix=sp.csr_array(sp.vstack([before, rows, count])),
        row_lower=np.concatenate([arrays.row_lower, added - margin.ravel() - big, [promise.needed(n)]]),
        row_upper=np.concatenate([arrays.row_upper, np.full(k * n + 1, np.inf)]),
        column_lower=np.concatenate([arrays.column_lower, np.zeros(n)]),
        column_upper=np.concatenate([arrays.column_upper, np.ones(n)]),
        integer=np.concatenate([arrays.integer, np.ones(n, dtype=bool)]),
    )
