"""How much a plan that keeps its promised odds by rows gives away: the same promises solved exactly, draw by draw.

Every planning draw has a whole number of its own that says whether it is hit, so that no approximation is left:

    m_gd(x) / scale_g + f + M_gd (1 - y_d) >= added      for each goal g and draw d,    sum_d y_d >= ceil(p n)

Draws that are alike share a whole number, which counts as often as they are drawn. Only where that is small, and where
margins are linear in the decisions: no KPI has bounds. Where it is not done, it is said why.

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
from kpiopt.scenario.settings import RISK_STEPS
from kpiopt.simulation.planning.margins import planning_draws

MOST = 2_000
"""Draws times goals up to which promises are solved exactly."""
FEWEST = 32
"""Draws that there are at least."""
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


@dataclass(frozen=True)
class ExactPlan:
    """A plan's promises solved exactly.

    Attributes
    ----------
    steps : tuple of ExactStep
        Up to the first in which the plan could be better, or that was solved.
    reason : str
        Why they end before that, and what to write; "" where they do not, or nothing is promised.
    """

    steps: tuple[ExactStep, ...] = ()
    reason: str = ""


NOT_ASKED = ExactPlan()
"""Of a plan that promises nothing."""


def solve_exactly(cascade: Cascade, solution: Solution, options: SolverOptions | None = None) -> ExactPlan:
    """Solve a plan's promises exactly, where that is small enough.

    Parameters
    ----------
    cascade : Cascade
        With the cuts that hold it to its promises.
    solution : Solution
        Of its program.
    """
    if not cascade.promises or (reason := _not_exact(cascade)):
        return ExactPlan(reason=reason if cascade.promises else "")
    arrays, found = _with_draws(cascade), list[ExactStep]()
    for objective, ours in zip(cascade.program.objectives, solution.steps, strict=False):
        cost = np.concatenate([objective.cost, np.zeros(arrays.n_columns - len(objective.cost))])
        posed = replace(arrays, cost=cost, offset=objective.offset)
        limit = Deadline.after(min(SECONDS, options.deadline.left if options else SECONDS))
        answer = Session(posed, SolverOptions(deadline=limit)).solve()
        if answer.status is not Status.OPTIMAL:
            return ExactPlan(tuple(found), _no_end(cascade, ours.label))
        value = dot(cost, answer.x) + objective.offset
        step = ExactStep(ours.label, ours.reached, as_read(ours.name, value))
        found.append(step)
        if step.gap:
            break
        room = objective.slack * abs(value) + SAME * max(1.0, abs(value))
        arrays = append_row(arrays, cost, max(value + room, ours.value) - objective.offset)
    return ExactPlan(tuple(found))


def _not_exact(cascade: Cascade) -> str:
    """Return why a plan's promises are not solved exactly, and what to write; "" where they are."""
    scenario = cascade.graph.scenario
    goals, written = sum(len(promise.goals) for promise in cascade.promises), scenario.odds.draws
    steps = [step for step in scenario.decide.order if step in RISK_STEPS]
    if steps:
        return f"that is not done with the step {steps[0]}; leave it out of [decide] order"
    if len(cascade.graph.bounded) or scenario.curved:
        return "margins are not linear where KPIs have bounds or curves"
    if goals * written <= MOST:
        return ""
    few = 2 ** int(np.log2(MOST // goals)) if goals * FEWEST <= MOST else 0
    write = f"; write [odds] draws = {few}" if few else ""
    return f"{written:,} draws times {goals:,} promised goals are more than {MOST:,}{write}"


def _no_end(cascade: Cascade, step: str) -> str:
    """Return the reason where a step was not solved to the end."""
    fewer = planning_draws(cascade.graph).book.layout.draws // 2
    write = f"; write [odds] draws = {fewer}" if fewer >= FEWEST else ""
    return f"step {step} was not solved to the end in {SECONDS:g} s, or in the time of the command{write}"


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
    """Add a whole number for draws that are alike, the rows that make it 0 where a goal is missed, and their count."""
    k, margin = len(promise.goals), at_nothing[promise.goals] / promise.scale[:, None]
    slopes, margin, times = _alike(slopes.reshape(k, margin.shape[1], -1), margin)
    n = len(times)
    lower, upper = (side[: slopes.shape[1]] for side in (arrays.column_lower, arrays.column_upper))
    least = np.sum(np.where(slopes > 0.0, slopes * lower, slopes * upper), axis=1) + margin.ravel()
    big = np.maximum(0.0, added - least)
    padding = np.zeros((k * n, arrays.n_columns - slopes.shape[1]))
    draw = sp.csr_array((-big, (np.arange(k * n), np.tile(np.arange(n), k))), shape=(k * n, n))
    rows = sp.hstack([sp.csr_array(slopes), sp.csr_array(padding), draw])
    count = sp.hstack([sp.csr_array((1, arrays.n_columns)), sp.csr_array(times[None, :])])
    before = sp.hstack([arrays.matrix, sp.csr_array((arrays.n_rows, n))])
    return replace(
        arrays,
        cost=np.concatenate([arrays.cost, np.zeros(n)]),
        matrix=sp.csr_array(sp.vstack([before, rows, count])),
        row_lower=np.concatenate([arrays.row_lower, added - margin.ravel() - big, [promise.needed(int(times.sum()))]]),
        row_upper=np.concatenate([arrays.row_upper, np.full(k * n + 1, np.inf)]),
        column_lower=np.concatenate([arrays.column_lower, np.zeros(n)]),
        column_upper=np.concatenate([arrays.column_upper, np.ones(n)]),
        integer=np.concatenate([arrays.integer, np.ones(n, dtype=bool)]),
    )


def _alike(slopes: Floats, margin: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the slopes (k * m, n_columns) and margins (k, m) of draws that differ, and how often each is drawn, (m,).

    Parameters
    ----------
    slopes : (k, n, n_columns) float
    margin : (k, n) float
    """
    every = np.concatenate([slopes, margin[:, :, None]], axis=2).transpose(1, 0, 2).reshape(margin.shape[1], -1)
    size = np.maximum(np.abs(every).max(axis=0), 1e-300)
    _, first, times = np.unique(np.round(every / size, 11), axis=0, return_index=True, return_counts=True)
    return slopes[:, first].reshape(-1, slopes.shape[2]), margin[:, first], times.astype(float)
