"""Large programs: reduced to what is not settled, then solved by an interior-point method, else by the simplex method.

Answers come back for the whole program and are proposals: they are certified there like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from kpiopt.deadline import Deadline
from kpiopt.program.solver.active_set import guess_face, solve_at_point
from kpiopt.program.solver.answer import Answer, SolverOptions, Status
from kpiopt.program.solver.interior import InteriorPoint, ScaledProgram, scale_linear, solve_interior
from kpiopt.program.solver.reduction import Reduction, reduce_program
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays, dot
from kpiopt.program.trust.tolerances import NEAR_SIDE

SMALL = 2_000
"""Rows and columns up to which what is left of a large program goes to the simplex method first."""


def propose_answers(arrays: ProgramArrays, options: SolverOptions) -> Iterator[Answer]:
    """Yield optimal answers of a large program, each found in another way, until the caller has one that is proved.

    All ways together keep to the deadline, as far as an interior-point method can be held to one: not within a run.
    """
    started = time.monotonic()
    reduction = reduce_program(arrays)
    if reduction is None:
        return
    for solve in _ways(reduction.left, options.deadline):
        answer = solve(options)
        if answer.status is Status.OPTIMAL:
            yield restored_answer(reduction, answer, time.monotonic() - started)


def _ways(left: ProgramArrays, deadline: Deadline) -> Iterator[Callable[[SolverOptions], Answer]]:
    """Yield the ways to solve what is left of a large program, the quickest first."""
    if not left.n_columns:
        yield lambda _: Answer(Status.OPTIMAL, row_dual=np.zeros(left.n_rows), attempt="settled by earlier steps")
        return
    if left.n_columns + left.n_rows > SMALL and not deadline.is_over:
        scaled = scale_linear(left)
        point = solve_interior(scaled[0])
        if np.all(np.isfinite(point.y)):
            yield lambda _: solve_at_point(left, scaled, point)
            yield lambda options: _on_guessed_face(left, scaled[0], point, options)
    yield lambda options: _by_simplex(left, options, "reduced")


def _by_simplex(left: ProgramArrays, options: SolverOptions, before: str) -> Answer:
    answer = Session(left, options).solve()
    return replace(answer, attempt=f"{before}, {answer.attempt}")


def _on_guessed_face(
    left: ProgramArrays, problem: ScaledProgram, point: InteriorPoint, options: SolverOptions
) -> Answer:
    """Leave to the simplex method what an interior point is in doubt about."""
    started = time.monotonic()
    reduction = reduce_program(guess_face(left, problem, point))
    if reduction is None:
        return Answer(Status.UNKNOWN)
    answer = _by_simplex(reduction.left, options, "interior point")
    if answer.status is not Status.OPTIMAL:
        return Answer(Status.UNKNOWN)
    return restored_answer(reduction, answer, time.monotonic() - started)


def restored_answer(reduction: Reduction, answer: Answer, seconds: float) -> Answer:
    """Return an answer of what is left as one of the whole program."""
    whole = reduction.whole
    x = reduction.restore_point(answer.x)
    row_dual = reduction.restore_duals(x, answer.row_dual, whole.cost)
    reduced = whole.cost - whole.matrix.T @ row_dual
    span = np.maximum(whole.column_upper - whole.column_lower, 0.0)
    inside = np.minimum(x - whole.column_lower, whole.column_upper - x) > NEAR_SIDE * span
    value = dot(whole.cost, x) + whole.offset
    return replace(
        answer,
        x=x,
        row_dual=row_dual,
        reduced_cost=np.where(inside, 0.0, reduced),
        objective=value,
        seconds=seconds,
    )
