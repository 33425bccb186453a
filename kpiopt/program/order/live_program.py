"""A live program: solved once, then again for other numbers from where it was.

The first solution is the anchor: each later program of the same shape starts from it, never from its neighbour, so
that its answer does not depend on what was solved before it.

    1. Where no dual of any step touches what has changed and the anchor's plan keeps the new limits, it is the plan,
       and its certificates hold: changed sides enter neither bound nor residual.
    2. Where the anchor's plan is possible and the duals of the objectives touch nothing that has changed, these keep
       their values and duals, and the plan closest to the reference is sought from the anchor's active limits.
    3. Otherwise each step is solved by the simplex method in a session that was kept, from the anchor's basis. The
       steps of a large program are solved from scratch: the way from the anchor's basis is longer than that of an
       interior-point method. But where a single limit has moved, those steps keep their duals whose value is known to
       be attainable that far.

Answers of the second and third kind are proposals, and nothing about them is trusted. The order is taken from its
beginning with them: every step is certified in the new program as a fresh solution is, and what does not pass is solved
from scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import Uncertified
from kpiopt.program.formulation.blocks import LinearProgram, Objective, Reference
from kpiopt.program.order.face import SolvedStep, restrict_to_face, same_face
from kpiopt.program.order.proof import same_matrix
from kpiopt.program.order.steps import (
    FreshSolver,
    InfeasibleProgram,
    Solution,
    append_row,
    objectives_of,
    solve_order,
    verify_answer,
)
from kpiopt.program.order.ties import ClosestPlan, closest_plan, closest_plan_near
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import Answer, Basis, Ranging, SolverOptions, Status
from kpiopt.program.solver.large import propose_answers
from kpiopt.program.solver.reduction import is_large
from kpiopt.program.solver.refinement import estimate_error
from kpiopt.program.solver.session import LADDER, Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.program.trust.certificate import Certificate, verify_infeasible
from kpiopt.program.trust.exact import exact_row_sums
from kpiopt.program.trust.tolerances import KEEPS_AWAY, KEEPS_LIMITS

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Change:
    """Where a program differs from the anchor.

    Attributes
    ----------
    rows, columns : (m,) and (n,) bool
        Rows whose sides differ, columns whose bounds differ.
    coefficients, objectives : bool
        Whether any coefficient of the rows, any objective or the reference differs.
    """

    rows: NDArray[np.bool_]
    columns: NDArray[np.bool_]
    coefficients: bool
    objectives: bool


@dataclass(frozen=True)
class _Proposal:
    """Answers that are yet to be certified: the duals of every step, and the plan."""

    row_duals: tuple[Floats, ...]
    plan: ClosestPlan


class LiveProgram:
    """A program that is solved again and again for other numbers.

    Parameters
    ----------
    program : LinearProgram
        The anchor; it is solved at once, from scratch.

    Raises
    ------
    InfeasibleProgram
        With a verified Farkas proof.
    Unbounded, Uncertified, LimitReached
    """

    def __init__(self, program: LinearProgram, options: SolverOptions, progress: Progress = lambda _: None) -> None:
        self._program, self._options = program, options
        self._arrays = program.arrays()
        self.solution = solve_program(program, options, progress)
        self._sessions: dict[int, tuple[Session, Basis]] = {}
        self._rays: list[Floats] = []
        self._ends: dict[tuple[int, int], float] = {}

    def solve(self, program: LinearProgram, progress: Progress = lambda _: None) -> Solution:
        """Solve another program, warm where it has the anchor's shape.

        The answer is the one that `solve_program` gives, but for the last digits; ranges of duals are left out where a
        step was not solved from scratch.

        Raises
        ------
        InfeasibleProgram
            With a verified Farkas proof.
        Unbounded, Uncertified, LimitReached
        """
        arrays = program.arrays_like(self._program, self._arrays)
        if not self._fits(program, arrays):
            return solve_program(program, self._options, progress)
        change = self._change(program, arrays)
        if self._carries_over(arrays, change):
            return self._carried(arrays)
        self._require_no_known_clash(arrays)
        try:
            return self._solve_near(program, arrays, change, progress)
        except InfeasibleProgram as failure:
            self._rays += [] if failure.ray is None else [failure.ray]
            raise

    def _solve_near(
        self, program: LinearProgram, arrays: ProgramArrays, change: _Change, progress: Progress
    ) -> Solution:
        """Certify what the anchor leads to; where there is no certificate, solve from scratch."""
        proposal = self._propose(program, arrays, change)
        if proposal is not None:
            with suppress(Uncertified):
                return solve_order(program, arrays, self._options, progress, _Proposed(proposal))
        return solve_program(program, self._options, progress)

    def _require_no_known_clash(self, arrays: ProgramArrays) -> None:
        """Raise where the proof of an earlier clash holds for this program as well."""
        for ray in self._rays:
            certificate = verify_infeasible(arrays, ray)
            if certificate.passed:
                raise InfeasibleProgram(certificate, ray)

    def _carries_over(self, arrays: ProgramArrays, change: _Change) -> bool:
        """Whether the anchor's plan and all its duals have nothing to do with what has changed."""
        anchor = self.solution
        assert anchor.tie is not None
        if change.coefficients or change.objectives:
            return False
        m, rows = len(change.rows), np.flatnonzero(change.rows)
        duals = [anchor.tie.row_dual, *(step.row_dual for step in anchor.solved)]
        if any(np.any(dual[:m][rows]) for dual in duals):
            return False
        given_up = (s.x for s, o in zip(anchor.solved, objectives_of(self._program), strict=True) if o.slack > 0.0)
        return all(self._is_free_of(arrays, change, x) for x in (anchor.x, *given_up))

    def _is_free_of(self, arrays: ProgramArrays, change: _Change, x: Floats) -> bool:
        """Whether a point keeps the sides that have changed and touches none of the bounds that have.

        The plan attains the values of all steps but those with a slack. What these had attained before later steps gave
        up a part of it must be possible as well, or else they could not have these values any more.
        """
        rows = np.flatnonzero(change.rows)
        part, zero = sp.csr_array(arrays.matrix[rows]), np.zeros(len(rows))
        low, high = np.isfinite(arrays.row_lower[rows]), np.isfinite(arrays.row_upper[rows])
        below = exact_row_sums(part, x, np.where(low, -arrays.row_lower[rows], zero))
        above = exact_row_sums(part, x, np.where(high, -arrays.row_upper[rows], zero))
        columns, old = np.flatnonzero(change.columns), self._arrays
        at, lower, upper = x[columns], arrays.column_lower[columns], arrays.column_upper[columns]
        inside = (at > np.maximum(lower, old.column_lower[columns])) & (
            at < np.minimum(upper, old.column_upper[columns])
        )
        return bool(np.all(~low | (below >= 0.0)) and np.all(~high | (above <= 0.0)) and np.all(inside))

    def _carried(self, arrays: ProgramArrays) -> Solution:
        """Return the anchor's solution as the new program's, over faces of the new program."""
        faces = [arrays]
        kept = self.solution.faces
        for before, after, objective in zip(kept[:-1], kept[1:], objectives_of(self._program), strict=True):
            if objective.slack > 0.0:
                faces.append(append_row(faces[-1], objective.cost, float(after.row_upper[-1])))
            else:
                faces.append(same_face(faces[-1], before, after))
        steps = tuple(replace(step, ranging=None) for step in self.solution.steps)
        return replace(self.solution, steps=steps, faces=tuple(faces))

    def _fits(self, program: LinearProgram, arrays: ProgramArrays) -> bool:
        """Whether only numbers differ from the anchor, and all decisions are continuous."""
        ours, theirs = objectives_of(self._program), objectives_of(program)
        return (
            self.solution.tie is not None
            and program.reference is not None
            and self._options.solver == "highs"
            and not np.any(self._arrays.integer)
            and not np.any(arrays.integer)
            and arrays.matrix.shape == self._arrays.matrix.shape
            and [(o.label, o.slack) for o in ours] == [(o.label, o.slack) for o in theirs]
        )

    def _propose(self, program: LinearProgram, arrays: ProgramArrays, change: _Change) -> _Proposal | None:
        """Find answers without proof; None where that fails."""
        large = is_large(arrays)
        ways = [len(self.solution.solved)] if self._is_value_kept(program, arrays, change) else []
        for n_kept in [*ways, self._n_attained(program, arrays, change) if large else 0]:
            try:
                return self._walk(program, arrays, n_kept)
            except _NoProposal:
                continue
        return None

    def _n_attained(self, program: LinearProgram, arrays: ProgramArrays, change: _Change) -> int:
        """Return how many of the first steps surely keep value and duals, where one row has a new upper side."""
        rows = np.flatnonzero(change.rows)
        if len(rows) != 1 or np.any(change.columns) or np.any(self._arrays.row_lower != arrays.row_lower):
            return 0
        row, n_kept = int(rows[0]), 0
        for position, objective in enumerate(objectives_of(program)):
            is_kept = objective.slack == 0.0 and self._is_untouched(position, objective, change)
            if not is_kept or arrays.row_upper[row] < self._end(position, row):
                break
            n_kept = position + 1
        return n_kept

    def _end(self, position: int, row: int) -> float:
        """Return how far a row's upper side may come down until the steps up to this one lose their value."""
        if (position, row) not in self._ends:
            face = self.solution.faces[position + 1]
            least = np.asarray(face.matrix[[row]].todense(), dtype=np.float64).ravel()
            objective = Objective("feasibility", None, least)
            posed = replace(face, cost=least, offset=0.0)
            self._ends[position, row] = np.inf
            with suppress(Uncertified):
                answer, _, found = FreshSolver().solve(position, posed, objective, self._options)
                if found.passed:
                    self._ends[position, row] = answer.objective + KEEPS_AWAY * max(1.0, abs(answer.objective))
        return self._ends[position, row]

    def _is_value_kept(self, program: LinearProgram, arrays: ProgramArrays, change: _Change) -> bool:
        """Whether the anchor's plan is possible here and no step's duals have to do with what has changed.

        Then every step keeps its value, and only what is closest to the reference may be another plan.
        """
        untouched = (self._is_untouched(i, o, change) for i, o in enumerate(objectives_of(program)))
        return (
            all(untouched) and estimate_error(arrays, self.solution.x, np.zeros(arrays.n_rows)).primal <= KEEPS_LIMITS
        )

    def _change(self, program: LinearProgram, arrays: ProgramArrays) -> _Change:
        a, b = self._arrays, arrays
        pairs = zip(objectives_of(self._program), objectives_of(program), strict=True)
        same = all(x is y or (x.offset == y.offset and np.array_equal(x.cost, y.cost)) for x, y in pairs)
        return _Change(
            (a.row_lower != b.row_lower) | (a.row_upper != b.row_upper),
            (a.column_lower != b.column_lower) | (a.column_upper != b.column_upper),
            not same_matrix(a, b),
            not (same and _same_reference(self._program, program)),
        )

    def _walk(self, program: LinearProgram, arrays: ProgramArrays, n_kept: int) -> _Proposal:
        """Go through the steps; the first ones keep the anchor's duals, the others are solved."""
        assert program.reference is not None and self.solution.tie is not None
        face, duals, anchor = arrays, [], self.solution
        for position, objective in enumerate(objectives_of(program)):
            kept = position < n_kept
            solved = anchor.solved[position] if kept else self._solve(position, objective, face)
            duals.append(solved.row_dual)
            if objective.slack > 0.0:
                limit = solved.value + objective.slack * abs(solved.value) - objective.offset
                face = append_row(face, objective.cost, limit)
            elif kept:
                face = same_face(face, anchor.faces[position], anchor.faces[position + 1])
            else:
                face = restrict_to_face(face, solved)
        return self._closest(face, program.reference, tuple(duals), is_sure=n_kept < len(duals))

    def _closest(
        self, face: ProgramArrays, reference: Reference, duals: tuple[Floats, ...], *, is_sure: bool
    ) -> _Proposal:
        """Find the closest plan on a face; one that is not sure may be empty."""
        if np.any(face.row_lower > face.row_upper) or np.any(face.column_lower > face.column_upper):
            raise _NoProposal
        assert self.solution.tie is not None
        near, tie = self.solution.tie.point, None
        with suppress(Uncertified):
            tie = closest_plan(face, reference) if is_sure else closest_plan_near(face, reference, near)
        if tie is None:
            raise _NoProposal
        return _Proposal(duals, tie)

    def _is_untouched(self, position: int, objective: Objective, change: _Change) -> bool:
        """Whether the anchor's duals of a step say nothing about what has changed."""
        anchor = self.solution.solved[position]
        m = len(change.rows)
        return (
            not change.coefficients
            and objective.offset == anchor.offset
            and np.array_equal(objective.cost, anchor.cost)
            and not np.any(anchor.row_dual[:m][change.rows])
            and not np.any(anchor.reduced_cost[change.columns])
        )

    def _solve(self, position: int, objective: Objective, face: ProgramArrays) -> SolvedStep:
        """Solve a step without proof: in its session and from the anchor's basis, or a large one from scratch."""
        posed = replace(face, cost=objective.cost, offset=objective.offset)
        if is_large(posed):
            return self._solve_large(posed, objective)
        session, basis = self._sessions.get(position) or self._open(position)
        if same_matrix(session.arrays, posed):
            _retarget(session, posed)
        else:
            session = Session(posed, self._options)
        session.set_basis(basis)
        answer = session.solve()
        if answer.attempt != LADDER[0].name:
            self._sessions.pop(position, None)  # another rung scales the session anew, which the next solve would feel
        if answer.status is not Status.OPTIMAL:
            raise _NoProposal
        return _as_step(objective, answer)

    def _solve_large(self, posed: ProgramArrays, objective: Objective) -> SolvedStep:
        for answer in propose_answers(posed, self._options):
            if estimate_error(posed, answer.x, answer.row_dual).within(KEEPS_LIMITS, KEEPS_LIMITS):
                return _as_step(objective, answer)
        raise _NoProposal

    def _open(self, position: int) -> tuple[Session, Basis]:
        """Solve the anchor's step by the simplex method, to have a basis to start from."""
        face, objective = self.solution.faces[position], objectives_of(self._program)[position]
        posed = replace(face, cost=objective.cost, offset=objective.offset)
        session = Session(posed, self._options)
        if session.solve().status is not Status.OPTIMAL:
            raise _NoProposal
        self._sessions[position] = session, session.basis()
        return self._sessions[position]


class _NoProposal(Exception):
    """The anchor does not help here."""


@dataclass(frozen=True)
class _Proposed:
    """Steps that are certified as proposed, or solved from scratch."""

    proposal: _Proposal

    def solve(
        self, position: int, posed: ProgramArrays, objective: Objective, options: SolverOptions
    ) -> tuple[Answer, Ranging | None, Certificate]:
        """Certify the proposal of a step over its face."""
        x, row_dual = self.proposal.plan.x, self.proposal.row_duals[position]
        reduced = posed.cost - posed.matrix.T @ row_dual
        value = dot(posed.cost, x) + posed.offset
        answer = Answer(Status.OPTIMAL, x, row_dual, reduced, value, attempt="from the anchor")
        found = verify_answer(posed, answer)
        return (answer, None, found) if found.passed else FreshSolver().solve(position, posed, objective, options)

    def closest(self, face: ProgramArrays, reference: Reference) -> ClosestPlan:
        """Return the proposed plan where all steps were certified with it."""
        plan = self.proposal.plan
        inside = estimate_error(face, plan.x, np.zeros(face.n_rows)).primal <= KEEPS_LIMITS
        return plan if inside else closest_plan(face, reference, plan.point)


def _as_step(objective: Objective, answer: Answer) -> SolvedStep:
    cost, offset, value = objective.cost, objective.offset, answer.objective
    return SolvedStep(cost, offset, value, answer.row_dual, answer.reduced_cost, answer.x, 0.0)


def _same_reference(first: LinearProgram, second: LinearProgram) -> bool:
    a, b = first.reference, second.reference
    return a is b or (
        a is not None
        and b is not None
        and a.offset == b.offset
        and np.array_equal(a.weight, b.weight)
        and np.array_equal(a.centre, b.centre)
    )


def _retarget(session: Session, wanted: ProgramArrays) -> None:
    """Change sides, bounds and costs of a session to those of a program with the same coefficients."""
    has = session.arrays
    rows = np.flatnonzero((has.row_lower != wanted.row_lower) | (has.row_upper != wanted.row_upper))
    columns = np.flatnonzero((has.column_lower != wanted.column_lower) | (has.column_upper != wanted.column_upper))
    if len(rows):
        session.change_row_bounds(rows, wanted.row_lower[rows], wanted.row_upper[rows])
    if len(columns):
        session.change_column_bounds(columns, wanted.column_lower[columns], wanted.column_upper[columns])
    if has.offset != wanted.offset or not np.array_equal(has.cost, wanted.cost):
        session.change_costs(wanted.cost, wanted.offset)
