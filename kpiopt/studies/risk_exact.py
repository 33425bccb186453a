"""How much a plan that keeps its promised odds by rows gives away: the same promises solved exactly, draw by draw.

The program is that of `kpiopt.program.order.promised.draw_by_draw`. Only where it is small, and where margins are
linear in the decisions: no KPI has bounds. Where it is not done, it is said why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kpiopt.deadline import Deadline
from kpiopt.program.formulation.blocks import as_read
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.promises import Promise
from kpiopt.program.order.promised.draw_by_draw import count_alike, write_draw_by_draw
from kpiopt.program.order.steps import Solution, append_row
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays, dot
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
TOLD = 1e-5
"""Share of a step's size from which on a gap is told: what steps before it were left for rounding can buy as much."""


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
        return max(0.0, worse) if worse > TOLD * max(1.0, abs(self.exact)) else 0.0

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
    draws = planning_draws(cascade.graph)
    if goals * written <= MOST or count_alike(cascade.columns, cascade.promises, draws) <= MOST:
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
    program, draws, cuts = cascade.program, planning_draws(cascade.graph), cascade.cuts
    bare = replace(program, rows=tuple(rows for rows in program.rows if rows.name != "promise"))
    added = cuts.added if len(cuts.added) else np.zeros(len(cascade.promises))
    arrays, counting = write_draw_by_draw(bare.arrays(), cascade, draws, added)
    for promise, counted in zip(cascade.promises, counting, strict=True):
        row = np.zeros(arrays.n_columns)
        row[counted.columns] = -counted.times
        arrays = append_row(arrays, row, -float(_needed(cascade, promise, counted.number)))
    return arrays


def _needed(cascade: Cascade, promise: Promise, number: int) -> int:
    """Return how many draws have to be hit: more than are promised where other draws asked for more of them."""
    cuts, n = cascade.cuts, planning_draws(cascade.graph).book.layout.draws
    held = [int(cut.weight.sum()) for cut in cuts.cuts if cut.promise == number and not cut.is_exact]
    more = max(held, default=0) if cuts.made_again and not cuts.added.any() else 0
    return max(promise.needed(n), more)
