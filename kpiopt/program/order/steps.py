"""The strict order: solve one objective after the other, each on the optimal face of those before, then break ties.

    step 1   minimise c_1'x over P                      value z_1, dual y_1, face F_1 = P complementary to y_1
    step k   minimise c_k'x over F_(k-1)                value z_k, …
    last     minimise the reference over F_K            the plan

Every step carries a certificate over its face. That the face holds all that the earlier steps leave is certified by
prices p_i >= 0 of the earlier values: y_k + sum p_i y_i is a dual solution of c_k + sum p_i c_i over P, so what an
earlier step's own certificate leaves open counts p_i times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.deadline import TIME_LIMIT
from kpiopt.errors import LimitReached, Problem, Unbounded, Uncertified
from kpiopt.program.formulation.blocks import LinearProgram, Objective, Reference, as_read
from kpiopt.program.order.face import SolvedStep, price_faces, restrict_to_face
from kpiopt.program.order.ranges import find_free
from kpiopt.program.order.ties import ClosestPlan, closest_plan, reference_size
from kpiopt.program.solver.answer import Answer, Ranging, SolverOptions, Status
from kpiopt.program.solver.other_solver import open_session
from kpiopt.program.solver.reduction import is_large
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.program.trust.certificate import (
    Certificate,
    verify_infeasible,
    verify_optimal,
    verify_quadratic,
    verify_unbounded,
)
from kpiopt.program.trust.tolerances import CERTIFIED, CLOSER_DUAL, LAST_DIGITS, ROUNDED_DUAL, VALUE_RESIDUE, VALUE_SLIP
from kpiopt.program.trust.whole_tree import TreeProof, worst_allowed

Progress = Callable[[str], None]

REFERENCE_UNIT = "mean square of relative stretch"
CLOSER = (ROUNDED_DUAL, CLOSER_DUAL)
"""Shares below which duals are taken for rounding, one after the other: where weights or scales are far apart, a dual
that counts can be small."""


@dataclass(frozen=True)
class StepResult:
    """What one step of the order gave.

    Attributes
    ----------
    name : str
        "goals", "fairness", "cost", "maximize" or "reference".
    value : float
        Optimal value, in `unit`, as the program minimizes it.
    row_dual : (m,) float
        Duals of the program's rows in this step (change of the value per unit of the row's side).
    ranging : Ranging or None
        For each row, between which sides the dual holds.
    attempt : str
        Rung of the retry ladder that gave the answer.
    """

    name: str
    priority: int | None
    value: float
    unit: str
    row_dual: Floats
    ranging: Ranging | None
    certificate: Certificate
    attempt: str
    seconds: float

    @property
    def label(self) -> str:
        """Name with priority, such as "goals 1"."""
        return self.name if self.priority is None else f"{self.name} {self.priority}"

    @property
    def reached(self) -> float:
        """The value as it is published: of "maximize" what is as large as it can be, not its negative."""
        return as_read(self.name, self.value)


@dataclass(frozen=True)
class Solution:
    """A certified solution of all steps.

    Attributes
    ----------
    x : (n,) float
        The plan's columns.
    faces : tuple of ProgramArrays
        What each objective was solved over; the last is what they all leave to the reference.
    solved : tuple of SolvedStep
        The objectives' values and duals over these faces.
    tree : TreeProof or None
        With whole numbers: why no other choice of them is better. Faces and duals are those of the plan's own choice.
    """

    x: Floats
    steps: tuple[StepResult, ...]
    tie: ClosestPlan | None
    faces: tuple[ProgramArrays, ...]
    solved: tuple[SolvedStep, ...]
    tree: TreeProof | None = None

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Columns that the objectives before the reference did not fix, (n,) bool."""
        return find_free(self.faces[-1])


def proved_by_tree(solution: Solution, tree: TreeProof, found: Sequence[Certificate]) -> Solution:
    """Return a solution of one choice of whole numbers with the proof that no other is better.

    Where a step has slack its value is the best of all choices, which this one may give up in part.
    """
    steps = [
        replace(result, certificate=certificate, value=_clean(certificate.objective) if step.slack else result.value)
        for result, certificate, step in zip(solution.steps, found, tree.steps, strict=True)
    ]
    return replace(solution, steps=tuple(steps), tree=tree)


class StepSolver(Protocol):
    """How the steps are solved; whatever the way, every answer is certified."""

    def solve(
        self, position: int, posed: ProgramArrays, objective: Objective, options: SolverOptions
    ) -> tuple[Answer, Ranging | None, Certificate]:
        """Solve a step over the face that the steps before it left, and verify the answer over that face."""

    def closest(self, face: ProgramArrays, reference: Reference) -> ClosestPlan:
        """Find the plan closest to the reference on the last face."""


class BorderlineProgram(Uncertified):
    """The rows contradict each other by so little that rounding decides."""


def borderline_problem(mend: str) -> Problem:
    """Say that limits clash by a hair, and what would mend it where that is known."""
    return Problem(
        "E-borderline",
        "the limits contradict each other by so little that rounding decides",
        rule="infeasible and feasible are published only where they are proved with a margin",
        fix=mend or "loosen the tightest limit by a rounding step, or make the conflict plain",
    )


class InfeasibleProgram(Exception):
    """There is no plan; carries the verified proof, with the rows' weights where whole numbers are not the reason."""

    def __init__(self, certificate: Certificate, ray: Floats | None) -> None:
        super().__init__("infeasible")
        self.certificate, self.ray = certificate, ray


@dataclass
class _Order:
    """The steps done so far: the whole program with give-up rows, the face left, and the steps' duals."""

    whole: ProgramArrays
    face: ProgramArrays
    significant: float
    done: list[SolvedStep] = field(default_factory=list)
    results: list[StepResult] = field(default_factory=list)
    x: Floats = field(default_factory=lambda: np.empty(0))
    faces: list[ProgramArrays] = field(default_factory=list)
    solved: list[SolvedStep] = field(default_factory=list)
    limits: Mapping[int, float] = field(default_factory=dict)


def solve_steps(program: LinearProgram, options: SolverOptions, progress: Progress = lambda _: None) -> Solution:
    """Solve a program without whole-number columns in its strict order.

    Raises
    ------
    InfeasibleProgram
        With a verified Farkas proof.
    Unbounded, Uncertified, LimitReached
    """
    return solve_order(program, program.arrays(), options, progress)


def solve_order(
    program: LinearProgram,
    arrays: ProgramArrays,
    options: SolverOptions,
    progress: Progress = lambda _: None,
    solver: StepSolver | None = None,
    limits: Mapping[int, float] | None = None,
) -> Solution:
    """Solve the steps of a program over given arrays (such as with whole numbers fixed).

    Where the plan is not certified, what was taken for rounding may have counted: the order is taken again with answers
    as precise as floats can be, with smaller duals, at last in fractions.

    Parameters
    ----------
    limits : mapping of int to float, optional
        What later steps may bring a step with slack to, where that does not follow from these arrays alone.
    """
    limits, solver = limits or {}, solver or FreshSolver()
    for significant in CLOSER:
        with suppress(Uncertified):
            return _solve_order(program, _Order(arrays, arrays, significant, limits=limits), options, progress, solver)
        options = replace(options, precise=True)
    last = _Order(arrays, arrays, LAST_DIGITS, limits=limits)
    return _solve_order(program, last, replace(options, exact=True), progress, solver)


def _solve_order(
    program: LinearProgram, order: _Order, options: SolverOptions, progress: Progress, solver: StepSolver
) -> Solution:
    for position, objective in enumerate(objectives_of(program)):
        progress(objective.label)
        _take_step(order, position, objective, options, solver)
    left = (*order.faces, order.face), tuple(order.solved)
    if program.reference is None:
        return Solution(order.x, tuple(order.results), None, *left)
    progress("reference")
    options.deadline.require("the plan closest to the reference was found")
    tie = _break_ties(order, program, solver)
    _check_values_kept(program, order.results, tie.x)
    return Solution(tie.x, tuple(order.results), tie, *left)


def objectives_of(program: LinearProgram) -> tuple[Objective, ...]:
    """Return the objectives in their order; a program without any is still to be feasible."""
    return program.objectives or (Objective("feasibility", None, np.zeros(program.n_columns)),)


def _take_step(order: _Order, position: int, objective: Objective, options: SolverOptions, solver: StepSolver) -> None:
    """Solve one step over the face, certify it over the whole program, and hand on its own face."""
    options.deadline.require(f"the step {objective.label} was solved")
    posed = replace(order.face, cost=objective.cost, offset=objective.offset)
    try:
        answer, ranging, found = solver.solve(position, posed, objective, options)
    except InfeasibleProgram as failure:
        if position == 0:
            raise
        raise _lost_face(objective) from failure  # the program has plans: an earlier step has a value by a hair
    value = value_of(objective, answer.x)
    size = _size(posed, objective.cost, value - objective.offset)
    certificate = _certify(order, objective.label, found, size, answer.row_dual, objective.cost)
    gap = max(0.0, certificate.relative_gap - VALUE_SLIP) * size
    step = SolvedStep(objective.cost, objective.offset, value, answer.row_dual, answer.reduced_cost, answer.x, gap)
    order.results.append(
        StepResult(
            objective.name,
            objective.priority,
            value,
            objective.unit,
            answer.row_dual,
            ranging,
            certificate,
            answer.attempt,
            answer.seconds,
        )
    )
    order.x = answer.x
    order.faces.append(order.face)
    order.solved.append(step)
    if objective.slack > 0.0:
        attained = dot(objective.cost, answer.x) + objective.offset
        _give_up(order, objective, order.limits.get(position, worst_allowed(attained, objective.slack)))
    else:
        order.face = restrict_to_face(order.face, step, order.significant)
        order.done.append(step)


def _lost_face(objective: Objective) -> Uncertified:
    """Say that no plan was left to a step."""
    return Uncertified(
        Problem(
            "E-uncertified",
            f"the steps before left no plan to the step {objective.label}, by less than a solver can tell",
            rule="no certificate, no targets",
            fix="look for numbers of very different size",
        )
    )


class FreshSolver:
    """Every step from scratch; a large one by an interior-point method, and by simplex where that is not certified."""

    def solve(
        self, position: int, posed: ProgramArrays, objective: Objective, options: SolverOptions
    ) -> tuple[Answer, Ranging | None, Certificate]:
        """Solve a step over the face that the steps before it left, and verify the answer over that face."""
        large = is_large(posed)
        if large and (options.solver, options.method) == ("highs", "simplex"):
            from kpiopt.program.solver.large import propose_answers  # small plans start without it

            for answer in propose_answers(posed, options):
                found = verify_answer(posed, answer)
                if found.passed:
                    return answer, None, found
        session = open_session(posed, options)
        answer = session.solve()
        require_optimal(posed, answer, objective)
        ranging = session.ranging() if np.any(answer.row_dual) and not large else None
        return answer, ranging, verify_answer(posed, answer)

    def closest(self, face: ProgramArrays, reference: Reference) -> ClosestPlan:
        """Find the plan closest to the reference on the last face."""
        return closest_plan(face, reference)


def verify_answer(posed: ProgramArrays, answer: Answer) -> Certificate:
    """Check an answer of a step over its face."""
    value = dot(posed.cost, answer.x) if answer.has_point else 0.0
    return verify_optimal(posed, answer.x, answer.row_dual, size=_size(posed, posed.cost, value))


def value_of(objective: Objective, x: Floats) -> float:
    """Return an objective's value without a rounding residue: values are sums of terms of size about 1 or larger."""
    return _clean(dot(objective.cost, x) + objective.offset)


def _clean(value: float) -> float:
    return 0.0 if abs(value) < VALUE_RESIDUE else value


def _give_up(order: _Order, objective: Objective, limit: float) -> None:
    """Let later steps worsen this one: a row cost'x + offset <= limit in place of its face."""
    order.whole = append_row(order.whole, objective.cost, limit - objective.offset)
    order.face = append_row(order.face, objective.cost, limit - objective.offset)
    order.done = [replace(step, row_dual=np.append(step.row_dual, 0.0)) for step in order.done]


def append_row(arrays: ProgramArrays, coefficients: Floats, upper: float) -> ProgramArrays:
    """Return the program with one more row, coefficients'x <= upper; `coefficients`, (n,) float."""
    row = sp.csr_array(coefficients[None, :])
    return replace(
        arrays,
        matrix=sp.csr_array(sp.vstack([arrays.matrix, row])),
        row_lower=np.append(arrays.row_lower, -np.inf),
        row_upper=np.append(arrays.row_upper, upper),
    )


def _certify(
    order: _Order, label: str, found: Certificate, size: float, row_dual: Floats, gradient: Floats
) -> Certificate:
    """Add to a certificate over the face what the faces before it leave open: the priced gaps of their steps."""
    prices = price_faces(order.whole, order.done, row_dual, gradient)
    gap = found.relative_gap + float(prices @ [step.gap for step in order.done]) / size
    certificate = replace(found, relative_gap=gap, passed=found.passed and gap <= CERTIFIED)
    _require_certificate(certificate, label)
    return certificate


def _size(arrays: ProgramArrays, cost: Floats, value: float) -> float:
    """Return what a gap of an objective is compared with: its value, or what its terms can be, up to 1."""
    reach = np.maximum(np.abs(arrays.column_lower), np.abs(arrays.column_upper))
    return max(abs(value), min(1.0, dot(np.abs(cost), reach))) or 1.0


def _break_ties(order: _Order, program: LinearProgram, solver: StepSolver) -> ClosestPlan:
    """Take the last step and certify it the same way."""
    assert program.reference is not None
    started = time.perf_counter()
    reference = program.reference
    tie = solver.closest(order.face, reference)
    size = reference_size(reference, tie.x)
    posed = replace(order.face, cost=np.zeros(program.n_columns), offset=reference.offset)
    found = verify_quadratic(posed, reference.weight, reference.centre, tie.x, tie.row_dual, size=size)
    gradient = 2.0 * reference.weight * (tie.x - reference.centre)
    certificate = _certify(order, "reference", found, size, tie.row_dual, gradient)
    order.results.append(
        StepResult(
            "reference",
            None,
            reference.value(tie.x),
            REFERENCE_UNIT,
            tie.row_dual,
            None,
            certificate,
            tie.method,
            time.perf_counter() - started,
        )
    )
    return tie


def require_optimal(arrays: ProgramArrays, answer: Answer, objective: Objective) -> None:
    """Turn every ending but a proved optimum into the exception that says so."""
    if answer.status is Status.OPTIMAL:
        return
    if answer.status is Status.INFEASIBLE and answer.ray is not None:
        certificate = verify_infeasible(arrays, answer.ray)
        if certificate.passed:
            raise InfeasibleProgram(certificate, answer.ray)
    if answer.status is Status.BORDERLINE:
        raise BorderlineProgram(borderline_problem(""))
    ray = answer.ray if answer.status is Status.UNBOUNDED else None
    if ray is not None and verify_unbounded(arrays, ray, answer.x).passed:
        raise Unbounded(Problem("E-unbounded", f"the step {objective.label} has no end"))
    if answer.status in (Status.TIME_LIMIT, Status.INTERRUPTED):
        raise LimitReached(
            Problem(
                TIME_LIMIT,
                f"the step {objective.label} was stopped before its optimum was proved",
                rule="a plan that is not proved is not published",
                fix="allow more time with --time-limit",
            )
        )
    raise _uncertified(f"the step {objective.label} ended without a proof ({answer.status.value})")


def _uncertified(message: str) -> Uncertified:
    fix = "look for numbers of very different size, or limits that contradict each other by a hair"
    return Uncertified(Problem("E-uncertified", message, rule="no certificate, no targets", fix=fix))


def _require_certificate(certificate: Certificate, label: str) -> None:
    if not certificate.passed:
        residual, gap = f"{certificate.primal_residual:.1e}", f"{certificate.relative_gap:.1e}"
        said = f"scaled residual {residual}, relative gap {gap}, both may be {CERTIFIED:.0e}"
        raise _uncertified(f"the answer of step {label} failed its independent check: {said}")


def _check_values_kept(program: LinearProgram, results: Sequence[StepResult], x: Floats) -> None:
    """The plan must give every earlier step its value (within its slack), to 1e-9."""
    for objective, result in zip(program.objectives, results, strict=False):
        kept = dot(objective.cost, x) + objective.offset
        allowed = result.value + objective.slack * abs(result.value)
        size = max(1.0, abs(result.value), float(np.abs(objective.cost * x).sum()))
        if kept - allowed > CERTIFIED * size:
            raise Uncertified(
                Problem(
                    "E-order",
                    f"the plan gives step {result.label} the value {kept:.12g}, its optimum is {result.value:.12g}",
                    rule="a later step may not worsen an earlier one",
                    fix="look for numbers of very different size",
                )
            )
