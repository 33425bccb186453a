"""Whole-number decisions: the strict order by mixed-integer programs, the reference by outer approximation.

For every choice of the whole numbers the rest is the continuous order of `steps`. A mixed-integer program per objective
finds the choices with the best values; among them the reference, a convex separable quadratic, is bounded from below by
its tangents (Duran & Grossmann 1986, doi:10.1007/BF02592064): a mixed-integer program proposes a choice, the continuous
order evaluates it exactly, adds tangents there and cuts the choice off, until no proposal can be better. What is still
equal goes by id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import Problem, Uncertified
from kpiopt.program.formulation.blocks import Integers, LinearProgram, Objective, Reference
from kpiopt.program.order.steps import (
    FreshSolver,
    InfeasibleProgram,
    Solution,
    append_row,
    objectives_of,
    require_optimal,
    solve_order,
    solve_steps,
    verify_answer,
)
from kpiopt.program.order.ties import ClosestPlan, closest_plan
from kpiopt.program.solver.answer import Answer, Ranging, SolverOptions
from kpiopt.program.solver.other_solver import open_session
from kpiopt.program.solver.reduction import is_large
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.program.trust.certificate import Certificate, verify_mip

EQUAL = 1e-9
SAME_REFERENCE = 1e-7
PROPOSALS = 500
AT_REFERENCE = 1e-14
"""A plan this close to the reference is at it, but for rounding."""

NEAR = 1e-6
"""Share of a column's largest distance from its centre within which a tangent is taken at the centre itself."""


def fix_columns(arrays: ProgramArrays, columns: Integers, values: Floats) -> ProgramArrays:
    """Return the program with some columns fixed and no whole-number columns left."""
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    lower[columns] = upper[columns] = values
    return replace(arrays, column_lower=lower, column_upper=upper, integer=np.zeros(arrays.n_columns, dtype=bool))


def solve_whole(
    program: LinearProgram, options: SolverOptions, progress: Callable[[str], None], near: Solution | None = None
) -> Solution:
    """Solve a program with whole-number columns in its strict order.

    Parameters
    ----------
    near : Solution, optional
        A solution of a program of the same shape that differs little; its choice of whole numbers is tried first. The
        answer does not depend on it, but for the last digits; ranges of duals are left out.

    Raises
    ------
    InfeasibleProgram
        With a verified Farkas proof of the continuous relaxation.
    Unbounded, Uncertified, LimitReached
    """
    search = _Search(program, options, FreshSolver() if near is None else _NearbySolver(near))
    if near is not None:
        search.begin(near.x)
    for position, objective in enumerate(objectives_of(program)):
        progress(objective.label)
        search.settle(position)
    if program.reference is not None:
        progress("whole numbers closest to the reference")
        search.approximate(program.reference)
    return search.finish()


class _NearbySolver(FreshSolver):
    """Steps from scratch, without ranges; the plan closest to the reference from the active limits of another one."""

    def __init__(self, near: Solution) -> None:
        self.near = near

    def solve(
        self, position: int, posed: ProgramArrays, objective: Objective, options: SolverOptions
    ) -> tuple[Answer, Ranging | None, Certificate]:
        """Solve a step over the face that the steps before it left, and verify the answer over that face."""
        if is_large(posed):
            return super().solve(position, posed, objective, options)
        answer = open_session(posed, options).solve()
        require_optimal(posed, answer, objective)
        return answer, None, verify_answer(posed, answer)

    def closest(self, face: ProgramArrays, reference: Reference) -> ClosestPlan:
        """Find the plan closest to the reference on the last face."""
        tie = self.near.tie
        return closest_plan(face, reference, None if tie is None else tie.point)


@dataclass
class _Search:
    """The best choice so far, and the program that is left to better ones."""

    program: LinearProgram
    options: SolverOptions
    solver: FreshSolver

    def __post_init__(self) -> None:
        self.arrays = self.left = self.program.arrays()
        self.whole = np.flatnonzero(self.arrays.integer)
        self.certificates: list[Certificate] = []
        self.best: Solution | None = None
        self.evaluated: dict[bytes, Solution] = {}

    def begin(self, near: Floats) -> None:
        """Try the choice of a solution of another program, as far as it is one here."""
        levels = np.clip(near[self.whole], self.arrays.column_lower[self.whole], self.arrays.column_upper[self.whole])
        try:
            self._take(np.rint(levels))
        except InfeasibleProgram:
            return

    def settle(self, position: int) -> None:
        """Find the best value of one objective, and leave only choices that keep it."""
        objective = objectives_of(self.program)[position]
        posed = replace(self.left, cost=objective.cost, offset=objective.offset)
        least = _least_value(posed)
        if self.best is not None and self.best.steps[position].value <= least:
            self.certificates.append(verify_mip(posed, self.best.x, least))
        else:
            answer = open_session(posed, self.options).solve()
            require_optimal(posed, answer, objective)
            if self._is_better(position, answer.objective):
                self._take(np.rint(answer.x[self.whole]))
            self.certificates.append(verify_mip(posed, self._rounded(answer.x), answer.dual_bound))
        assert self.best is not None
        value = self.best.steps[position].value
        allowed = value + objective.slack * abs(value) + EQUAL * max(1.0, abs(value))
        self.left = append_row(self.left, objective.cost, allowed - objective.offset)

    def _is_better(self, position: int, value: float) -> bool:
        """Whether a value of an objective is better than that of the best choice so far."""
        if self.best is None:
            return True
        ours = self.best.steps[position].value
        return value < ours - EQUAL * max(1.0, abs(ours))

    def _rounded(self, x: Floats) -> Floats:
        whole = x.copy()
        whole[self.whole] = np.rint(x[self.whole])
        return whole

    def _take(self, levels: Floats) -> None:
        """Evaluate a choice and keep it as the best."""
        self.best = self._evaluate(levels)

    def _evaluate(self, levels: Floats) -> Solution:
        key = (levels + 0.0).tobytes()  # 0 and -0 are the same choice
        if key not in self.evaluated:
            ours = replace(
                self.options, solver="highs"
            )  # another solver settles the steps; it need not see all choices
            fixed = fix_columns(self.arrays, self.whole, levels)
            self.evaluated[key] = solve_order(self.program, fixed, ours, solver=self.solver)
        return self.evaluated[key]

    def _is_as_good(self, other: Solution) -> bool:
        """Whether another choice keeps the values of all objectives."""
        assert self.best is not None
        pairs = zip(other.steps[: len(self.certificates)], self.best.steps, strict=False)
        return all(a.value <= b.value + EQUAL * max(1.0, abs(b.value)) for a, b in pairs)

    def approximate(self, reference: Reference) -> None:
        """Find the choice closest to the reference; equal ones go by id."""
        assert self.best is not None
        lowest = reference.value(self.best.x)
        if lowest <= reference.offset + AT_REFERENCE:
            return
        tangents = self._begin_tangents(reference, lowest)
        tangents.exclude(self.whole, np.rint(self.best.x[self.whole]))
        for _ in range(PROPOSALS):
            proposal, bound = tangents.propose(self.options)
            if proposal is None or bound >= reference.value(self.best.x) / lowest * (1.0 - SAME_REFERENCE):
                break
            self._consider(proposal, tangents, reference)
        else:
            raise _gave_up()
        if bound * lowest <= self._highest_tie(reference) or self._has_tie(reference):
            self._settle_by_id(self._begin_tangents(reference, lowest), reference, lowest)

    def _highest_tie(self, reference: Reference) -> float:
        """Return a reference above which no choice is as close as the best one."""
        assert self.best is not None
        return reference.value(self.best.x) * (1.0 + 4.0 * SAME_REFERENCE)

    def _has_tie(self, reference: Reference) -> bool:
        """Whether another choice that was evaluated is as good and as close as the best one."""
        others = [found for found in self.evaluated.values() if found is not self.best and self._is_as_good(found)]
        return any(reference.value(found.x) <= self._highest_tie(reference) for found in others)

    def _begin_tangents(self, reference: Reference, lowest: float) -> _Tangents:
        assert self.best is not None
        tangents = _Tangents(self.left, reference, 1.0 / lowest)
        tangents.add(self.best.x)
        return tangents

    def _consider(self, proposal: Floats, tangents: _Tangents, reference: Reference) -> None:
        """Evaluate a proposal; keep it when it is strictly better. Its tangents stay, the choice is cut off.

        Without the cut the same choice could come again for ever: the tolerance of the objectives that are kept leaves
        it a bound a little below its exact value.
        """
        assert self.best is not None
        try:
            found = self._evaluate(np.rint(proposal[self.whole]))
        except InfeasibleProgram:
            found = None
        tangents.add(proposal if found is None else found.x)
        tangents.exclude(self.whole, np.rint(proposal[self.whole]))
        if found is None or not self._is_as_good(found):
            return
        if reference.value(found.x) < reference.value(self.best.x) * (1.0 - SAME_REFERENCE):
            self.best = found

    def _settle_by_id(self, tangents: _Tangents, reference: Reference, lowest: float) -> None:
        """Among choices with the same reference give as much as possible to the unit whose id comes first."""
        assert self.best is not None
        limit = reference.value(self.best.x) / lowest * (1.0 + SAME_REFERENCE)
        tangents.cap(limit)
        for column in sorted(self.whole.tolist(), key=self.program.column_name):
            for _ in range(PROPOSALS):
                proposal = tangents.most(column, self.options)
                if proposal is None or np.rint(proposal[column]) <= np.rint(self.best.x[column]):
                    break
                found = self._evaluate(np.rint(proposal[self.whole]))
                tangents.add(found.x)
                if self._is_as_good(found) and reference.value(found.x) / lowest <= limit:
                    self.best = found
                else:
                    tangents.exclude(self.whole, np.rint(proposal[self.whole]))
            tangents.hold(column, float(np.rint(self.best.x[column])))

    def finish(self) -> Solution:
        """Return the best choice with the certificates of the mixed-integer programs."""
        assert self.best is not None
        steps = list(self.best.steps)
        for i, certificate in enumerate(self.certificates):
            steps[i] = replace(steps[i], certificate=certificate)
        return replace(self.best, steps=tuple(steps))


def _least_value(arrays: ProgramArrays) -> float:
    """Return what an objective has at least in its boxes, whatever the rows say."""
    ends = np.where(arrays.cost > 0.0, arrays.column_lower, arrays.column_upper)
    return dot(arrays.cost, np.where(arrays.cost == 0.0, 0.0, ends)) + arrays.offset


def _gave_up() -> Uncertified:
    return Uncertified(
        Problem(
            "E-whole-numbers",
            f"{PROPOSALS} choices of whole numbers did not settle which is closest to the reference",
            rule="among equally good plans exactly one is published",
            fix="let fewer initiatives be whole, or give `decide.order` a step that settles more",
        )
    )


class _Tangents:
    """A mixed-integer program with columns theta_j above tangents of factor * weight_j (x_j - centre_j)^2."""

    def __init__(self, arrays: ProgramArrays, reference: Reference, factor: float) -> None:
        self.decided = np.flatnonzero(reference.weight > 0.0)
        self.weight = factor * reference.weight[self.decided]
        self.centre = reference.centre[self.decided]
        self.n = arrays.n_columns
        q = len(self.decided)
        lower, upper = arrays.column_lower[self.decided], arrays.column_upper[self.decided]
        self.reach = np.maximum(np.abs(lower - self.centre), np.abs(upper - self.centre))
        highest = self.weight * self.reach**2
        self.arrays = replace(
            arrays,
            cost=np.concatenate([np.zeros(self.n), np.ones(q)]),
            offset=factor * reference.offset,
            matrix=sp.csr_array(sp.hstack([arrays.matrix, sp.csr_array((arrays.n_rows, q))])),
            column_lower=np.concatenate([arrays.column_lower, np.zeros(q)]),
            column_upper=np.concatenate([arrays.column_upper, 1.01 * highest + 1e-9]),
            integer=np.concatenate([arrays.integer, np.zeros(q, dtype=bool)]),
        )
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            self._add_at(lower + share * (upper - lower))

    def add(self, x: Floats) -> None:
        """Add the tangents at a point, and at the whole numbers next to it."""
        self._add_at(x[self.decided])

    def _add_at(self, point: Floats) -> None:
        """Add tangents at a point, moved to the centre where it is nearly there: tiny slopes would ruin the scaling."""
        q = len(self.decided)
        point = np.where(np.abs(point - self.centre) < NEAR * self.reach, self.centre, point)
        slope = 2.0 * self.weight * (point - self.centre)
        height = self.weight * (point - self.centre) ** 2 - slope * point
        each = np.arange(q)
        columns, values = np.concatenate([self.decided, self.n + each]), np.concatenate([-slope, np.ones(q)])
        shape = (q, self.arrays.n_columns)
        rows = sp.csr_array((values, (np.concatenate([each, each]), columns)), shape=shape)
        rows.eliminate_zeros()
        self._append(rows, height, np.full(q, np.inf))

    def _append(self, rows: sp.csr_array, lower: Floats, upper: Floats) -> None:
        self.arrays = replace(
            self.arrays,
            matrix=sp.csr_array(sp.vstack([self.arrays.matrix, rows])),
            row_lower=np.concatenate([self.arrays.row_lower, lower]),
            row_upper=np.concatenate([self.arrays.row_upper, upper]),
        )

    def exclude(self, whole: Integers, levels: Floats) -> None:
        """Cut off one choice v: p_j, q_j binary, x_j >= v_j + 1 where p_j, x_j <= v_j - 1 where q_j, sum p + q >= 1."""
        lower, upper = self.arrays.column_lower[whole], self.arrays.column_upper[whole]
        above, below = np.where(levels < upper, 1.0, 0.0), np.where(levels > lower, 1.0, 0.0)
        first, k = self.arrays.n_columns, len(whole)
        self._append_binaries(np.concatenate([above, below]))
        each = np.arange(k)
        picked = sp.csr_array((np.ones(k), (each, whole)), shape=(k, first))
        up = sp.hstack([picked, -sp.diags_array(levels + 1.0 - lower), sp.csr_array((k, k))])
        down = sp.hstack([picked, sp.csr_array((k, k)), sp.diags_array(upper - levels + 1.0)])
        moved = sp.hstack([sp.csr_array((1, first)), sp.csr_array(np.ones((1, 2 * k)))])
        rows = sp.csr_array(sp.vstack([up, down, moved]))
        free = np.full(k, np.inf)
        self._append(rows, np.concatenate([lower, -free, [1.0]]), np.concatenate([free, upper, [np.inf]]))

    def _append_binaries(self, upper: Floats) -> None:
        n, arrays = len(upper), self.arrays
        self.arrays = replace(
            arrays,
            cost=np.concatenate([arrays.cost, np.zeros(n)]),
            matrix=sp.csr_array(sp.hstack([arrays.matrix, sp.csr_array((arrays.n_rows, n))])),
            column_lower=np.concatenate([arrays.column_lower, np.zeros(n)]),
            column_upper=np.concatenate([arrays.column_upper, upper]),
            integer=np.concatenate([arrays.integer, np.ones(n, dtype=bool)]),
        )

    def cap(self, limit: float) -> None:
        """Leave only choices whose reference is at most `limit`."""
        row = sp.csr_array(self.arrays.cost[None, :])
        self._append(row, np.array([-np.inf]), np.array([limit - self.arrays.offset]))

    def hold(self, column: int, value: float) -> None:
        """Fix one whole number."""
        self.arrays.column_lower[column] = self.arrays.column_upper[column] = value

    def propose(self, options: SolverOptions) -> tuple[Floats | None, float]:
        """Return the most promising choice and the bound it proves; None where no choice is left."""
        answer = Session(self.arrays, options).solve()
        if not answer.has_point:
            return None, np.inf
        return answer.x[: self.n], answer.dual_bound

    def most(self, column: int, options: SolverOptions) -> Floats | None:
        """Return a choice with as much as possible of one whole number."""
        cost = np.zeros(self.arrays.n_columns)
        cost[column] = -1.0
        answer = Session(replace(self.arrays, cost=cost, offset=0.0), options).solve()
        return answer.x[: self.n] if answer.has_point else None


def solve_program(
    program: LinearProgram,
    options: SolverOptions,
    progress: Callable[[str], None] = lambda _: None,
    near: Solution | None = None,
) -> Solution:
    """Solve a program in its strict order, whatever its columns are.

    Parameters
    ----------
    near : Solution, optional
        A solution of a program of the same shape that differs little; with whole numbers it saves time.

    Raises
    ------
    InfeasibleProgram
        With a verified Farkas proof.
    Unbounded, Uncertified, LimitReached
    """
    has_whole = any(bool(block.integer.any()) for block in program.columns)
    return solve_whole(program, options, progress, near) if has_whole else solve_steps(program, options, progress)
