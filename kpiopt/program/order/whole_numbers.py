"""Whole-number decisions: the strict order over all choices of them, with a proof that none is better.

For every choice of the whole numbers the rest is the continuous order of `steps`. A mixed-integer program per objective
proposes a choice; the tree of `branching` then shows that no other is better, or finds one that is. Whatever a step is
measured by (its value, its slack) comes from the best value over all choices. What is still equal at the end goes by
id. The finished tree is checked by `kpiopt.program.trust.whole_tree` on the numbers that are published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.errors import LimitReached, Problem, Uncertified
from kpiopt.program.formulation.blocks import LinearProgram, Objective, Reference
from kpiopt.program.order.branching import NODES, Branching, TreeTooLarge
from kpiopt.program.order.steps import (
    BorderlineProgram,
    FreshSolver,
    InfeasibleProgram,
    Solution,
    append_row,
    borderline_problem,
    objectives_of,
    proved_by_tree,
    require_optimal,
    solve_order,
    solve_steps,
    verify_answer,
)
from kpiopt.program.order.ties import ClosestPlan, closest_plan
from kpiopt.program.solver.answer import Answer, Ranging, SolverOptions, Status
from kpiopt.program.solver.other_solver import open_session
from kpiopt.program.solver.reduction import is_large
from kpiopt.program.trust.arrays import Floats, ProgramArrays, fix_columns
from kpiopt.program.trust.certificate import Certificate
from kpiopt.program.trust.tolerances import SAME_REFERENCE, VALUE_SLIP
from kpiopt.program.trust.whole_tree import (
    OrderStep,
    Relaxation,
    comes_after,
    limit_slip,
    tie_order,
    verify_tree,
)

BETTER = 2.0 * VALUE_SLIP
"""By which share of its size a step's value has to be lower to be another value."""


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
        With a verified proof.
    Unbounded, Uncertified, LimitReached
    """
    search = _Search(program, options, near)
    search.progress = progress
    for position, objective in enumerate(objectives_of(program)):
        progress(objective.label)
        search.settle(position)
    if program.reference is not None:
        progress("whole numbers closest to the reference")
        search.approximate()
    return search.finish()


@dataclass
class WithoutRanges(FreshSolver):
    """Steps from scratch, without ranges; the closest plan from the active limits of another one where there is one."""

    near: Solution | None

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
        tie = self.near.tie if self.near else None
        return closest_plan(face, reference, None if tie is None else tie.point)


class _Search:
    """The best choice so far, and the tree that rules out the others."""

    def __init__(self, program: LinearProgram, options: SolverOptions, near: Solution | None) -> None:
        self.program, self.options, self.near = program, options, near
        self.arrays = program.arrays()
        self.whole = np.flatnonzero(self.arrays.integer)
        self.names = program.order_of_ties()
        self.tree = Branching(self.arrays, options)
        self.settled: list[OrderStep] = []
        self.limits: dict[int, float] = {}
        self.evaluated: dict[bytes, Solution | None] = {}
        self.best: Solution | None = None
        self.lowest: Solution | None = None
        self.is_asked = False
        self.progress: Callable[[str], None] = lambda _: None
        if near is not None:
            lower, upper = self.tree.boxes[0]
            self.best = self._evaluate(np.clip(np.rint(near.x[self.whole]), lower, upper))

    @property
    def step(self) -> OrderStep:
        """The step being settled, with the point of its best known value."""
        position, objectives = len(self.settled), objectives_of(self.program)
        if position < len(objectives):
            objective = objectives[position]
            witness = np.empty(0) if self.best is None else self.best.solved[position].x
            return OrderStep(objective.cost, objective.offset, objective.slack, witness)
        reference, lowest = self.program.reference, self.lowest
        assert reference is not None and lowest is not None
        nothing = np.zeros(self.program.n_columns)
        return OrderStep(nothing, reference.offset, 0.0, lowest.x, reference.weight, reference.centre)

    def settle(self, position: int) -> None:
        """Find the best value of one objective, and leave only choices that keep it."""
        objective = objectives_of(self.program)[position]
        self.is_asked = False
        if self.best is None:
            self.propose()
        self._close_branches(objective.label)
        if self.best is None:
            raise self._no_choice()
        self.settled.append(self.step)
        if objective.slack > 0.0:
            self.limits[position] = self.settled[-1].limit
            self.evaluated.clear()
            self.best = self._evaluate(np.rint(self.best.x[self.whole]))

    def propose(self) -> None:
        """Let the mixed-integer solver propose a choice, once in a step; its word about others is not relied on."""
        if self.is_asked:
            return
        self.is_asked, position = True, len(self.settled)
        objective = objectives_of(self.program)[position]
        left = Relaxation(self.arrays, ()).within(*self.tree.boxes[self.tree.root])
        for step in self.settled:
            left = append_row(left, step.cost, step.limit + limit_slip(step, self._reach()) - step.offset)
        posed = replace(left, cost=objective.cost, offset=objective.offset)
        if self.best is not None and self._is_least(position, posed):
            return
        answer = open_session(posed, self.options).solve()
        if position == 0 and answer.status is Status.INFEASIBLE and answer.ray is not None:
            require_optimal(posed, answer, objective)
        if answer.has_point:
            self.consider(np.rint(answer.x[self.whole]))

    def _is_least(self, position: int, posed: ProgramArrays) -> bool:
        """Whether the best value is what the objective has at least in its boxes, whatever the rows say."""
        assert self.best is not None
        ends = np.where(posed.cost > 0.0, posed.column_lower, posed.column_upper)
        least = float(np.sum(posed.cost * np.where(posed.cost == 0.0, 0.0, ends))) + posed.offset
        return self.best.steps[position].value <= least

    def _close_branches(self, label: str) -> None:
        try:
            self.tree.settle(len(self.settled), Relaxation(self.arrays, self.settled), self)
        except TreeTooLarge as failure:
            raise self._best_known(label, failure.lowest) from None

    def approximate(self) -> None:
        """Find the choice closest to the reference; equal ones go by id."""
        self.lowest, self.is_asked = self.best, True
        self._close_branches("reference")

    def consider(self, levels: Floats) -> None:
        """Evaluate a choice, and take it where it is better."""
        found = self._evaluate(levels)
        if found is None or not self._is_as_good(found):
            return
        if self.lowest is not None:
            self._take_closest(found)
            return
        step, position = self.step, len(self.settled)
        least = np.inf if self.best is None else step.best - BETTER * step.size(self._reach())
        if step.value(found.solved[position].x) < least:
            self.best = found

    def _take_closest(self, found: Solution) -> None:
        """Keep the lowest reference, and of all that are as low the first by id."""
        step = self.step
        if step.value(found.x) < step.best:
            self.lowest = found
        step = self.step
        most = step.best + SAME_REFERENCE * step.size(self._reach())
        every = [other for other in self.evaluated.values() if other is not None and self._is_as_good(other)]
        equal = [other for other in every if step.value(other.x) <= most]
        order = tie_order(step, self.names)
        self.best = max(equal, key=lambda other: [sign * round(float(other.x[j])) for j, sign in order])

    def _is_as_good(self, found: Solution) -> bool:
        """Whether a choice keeps what the steps before this one settled."""
        pairs = zip(self.settled, found.solved, strict=False)
        return all(
            step.slack > 0.0 or step.value(own.x) <= step.limit + limit_slip(step, self._reach()) for step, own in pairs
        )

    def point(self, levels: Floats) -> Floats | None:
        """Return the plan of one choice, None where it has none."""
        found = self._evaluate(levels)
        return None if found is None else found.x

    def is_behind(self, low: Floats, high: Floats) -> bool:
        """Whether every choice within a box gives way to the best one where both are equally good."""
        assert self.best is not None
        box = dict(zip(self.whole.tolist(), zip(low.tolist(), high.tolist(), strict=True), strict=True))
        return comes_after(self.step, self.best.x, self.names, box)

    def undecided(self, low: Floats, high: Floats) -> tuple[int, float] | None:
        """Return the first whole number that tells a box's choices from the best one, and where; None where all do."""
        assert self.best is not None
        place = {j: i for i, j in enumerate(self.whole.tolist())}
        for j, sign in tie_order(self.step, self.names):
            i, level = place[j], float(np.rint(self.best.x[j]))
            if not low[i] <= level <= high[i]:
                return None
            if low[i] < high[i]:
                is_above = low[i] == level or (sign < 0.0 and level < high[i])  # what comes after is split off first
                return i, level if is_above else level - 1.0
        return None

    def tell(self, branchings: int, lowest: float) -> None:
        """Say how far a long search is: no open branch has less than `lowest`."""
        position, objectives = len(self.settled), objectives_of(self.program)
        label = objectives[position].label if position < len(objectives) else "reference"
        words = f"step {label}: {branchings:,} branchings over whole numbers"
        if self.best is not None:
            value = self.step.value(self.step.witness)
            far = max(0.0, value - lowest)
            words += f", best known {value:.6g}" + (f", at most {far:.2g} from the best" if np.isfinite(far) else "")
        self.progress(words)

    def giving_way(self) -> Floats:
        """Return how early each whole number gives way where choices are equally good, from 0 to 1."""
        order = [j for j, sign in tie_order(self.step, self.names) if sign < 0.0]
        late = dict(zip(order, np.linspace(1.0, 0.0, len(order)), strict=True))
        return np.array([late.get(j, 0.0) for j in self.whole.tolist()])

    @property
    def choice(self) -> list[float]:
        """The whole numbers of the plan as it would be published now, none where no choice is known."""
        return [] if self.best is None else np.rint(self.best.x[self.whole]).tolist()

    def _reach(self) -> Floats:
        return np.maximum(np.abs(self.arrays.column_lower), np.abs(self.arrays.column_upper))

    def _evaluate(self, levels: Floats) -> Solution | None:
        """Solve the strict order of a choice; None where it has no plan that can be certified."""
        key = (levels + 0.0).tobytes()  # 0 and -0 are the same choice
        if key not in self.evaluated:
            try:
                self.evaluated[key] = self._solve_choice(levels, WithoutRanges(self.near))
            except (InfeasibleProgram, Uncertified):
                self.evaluated[key] = None
        return self.evaluated[key]

    def _solve_choice(self, levels: Floats, solver: FreshSolver) -> Solution:
        ours = replace(self.options, solver="highs")  # another solver proposes; it need not see all choices
        fixed = fix_columns(self.arrays, self.whole, levels)
        return solve_order(self.program, fixed, ours, solver=solver, limits=self.limits)

    def _no_choice(self) -> InfeasibleProgram | BorderlineProgram:
        """Say that no whole numbers fit, with the proof."""
        (certificate,) = verify_tree(self.arrays, self.tree.proof((), np.empty(0), self.names))
        if certificate.passed:
            return InfeasibleProgram(certificate, None)
        return BorderlineProgram(borderline_problem(""))

    def _best_known(self, label: str, lowest: float) -> LimitReached:
        """Say how good the best known choice is, and how far it can be from the best."""
        stopped = "at the time limit" if self.options.deadline.is_over else f"after {NODES:,} branchings"
        problem = Problem(
            "E-whole-limit",
            f"the search was stopped {stopped} before whole numbers that keep all limits were found; "
            "whether there are any is not known",
            rule=f"a plan is published when it is proved the best, and that there is none when every choice is ruled "
            f"out, within the time limit and {NODES:,} branchings",
            fix="let fewer initiatives be whole, choose fewer KPIs, or allow more time with --time-limit",
        )
        if self.best is None:
            return LimitReached(problem)
        value = self.step.best
        far = value - lowest
        words = f"at most {far:.6g} from the best" if np.isfinite(far) else "how far from the best is not known"
        message = f"step {label} was stopped before its optimum was proved: best known {value:.10g}, {words}"
        levels = {self.program.column_name(j): float(np.rint(self.best.x[j])) for j in self.whole.tolist()}
        known = {
            "step": label,
            "value": value,
            "at_most_from_best": far if np.isfinite(far) else None,
            "levels": levels,
        }
        return LimitReached(replace(problem, message=message), details={"proved": False, "best_known": known})

    def finish(self) -> Solution:
        """Return the best choice with the proof, checked on the numbers that are published."""
        assert self.best is not None
        best = self.best
        if self.near is None:
            best = self._solve_choice(np.rint(best.x[self.whole]), FreshSolver())
        steps = [step if step.slack > 0.0 else replace(step, witness=best.x) for step in self.settled]
        if self.lowest is not None:
            steps.append(self.step)
        proof = self.tree.proof(tuple(steps), best.x, self.names)
        found = verify_tree(self.arrays, proof)
        for result, certificate in zip(best.steps, found, strict=True):
            _require_proved(certificate, result.label)
        return proved_by_tree(best, proof, found)


def _require_proved(found: Certificate, label: str) -> None:
    if not found.passed:
        raise Uncertified(
            Problem(
                "E-uncertified",
                f"step {label}: the proof over whole numbers failed its independent check: scaled residual "
                f"{found.primal_residual:.1e}, relative gap {found.relative_gap:.1e}",
                rule="no certificate, no targets",
                fix="look for numbers of very different size, or limits that contradict each other by a hair",
            )
        )


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
