"""Steps of programs that grow row by row: each from where the same step of the last one ended.

Small programs begin at the basis of the last one. Of large ones that differ in sides alone, the duals of all steps are
kept: a plan on the face that they leave is optimal in every step, so only the plan closest to the reference has to be
found, from the limits that held before. As always each step is certified over its own face, and where one is not all
steps are solved from scratch.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from kpiopt.errors import Uncertified
from kpiopt.program.formulation.blocks import LinearProgram, Objective, Reference
from kpiopt.program.order.face import same_face
from kpiopt.program.order.proof import same_matrix
from kpiopt.program.order.steps import FreshSolver, Solution, require_optimal, verify_answer
from kpiopt.program.order.ties import ClosestPlan, closest_plan_near
from kpiopt.program.solver.answer import Answer, At, Basis, Ranging, SolverOptions, Status
from kpiopt.program.solver.reduction import is_large
from kpiopt.program.solver.refinement import estimate_error
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays, dot
from kpiopt.program.trust.certificate import Certificate
from kpiopt.program.trust.tolerances import KEEPS_LIMITS


@dataclass
class WarmSteps(FreshSolver):
    """Steps without ranges. Which vertex a step ends at is of no account: the plan of a program is the unique one.

    Attributes
    ----------
    bases : dict of int to Basis
        Where each step of the last program ended.
    last : Solution or None
        Of the last program.
    plan : ClosestPlan or None
        The one on the face that its duals leave of this program.
    """

    bases: dict[int, Basis] = field(default_factory=dict)
    last: Solution | None = None
    plan: ClosestPlan | None = None

    def begin(self, program: LinearProgram, arrays: ProgramArrays) -> None:
        """Look for a plan on the face that the duals of the last program leave of this one, where it is large."""
        last, reference, self.plan = self.last, program.reference, None
        if last is None or last.tie is None or reference is None or not is_large(arrays):
            return
        if any(o.slack > 0.0 for o in program.objectives) or not same_matrix(arrays, last.faces[0]):
            return
        face = same_face(arrays, last.faces[0], last.faces[-1])
        if np.all(face.row_lower <= face.row_upper) and np.all(face.column_lower <= face.column_upper):
            with suppress(Uncertified):
                self.plan = closest_plan_near(face, reference, last.tie.point)

    def solve(
        self, position: int, posed: ProgramArrays, objective: Objective, options: SolverOptions
    ) -> tuple[Answer, Ranging | None, Certificate]:
        """Solve a step over the face that the steps before it left, and verify the answer over that face."""
        if is_large(posed) or options.precise:
            return self._kept(position, posed) or super().solve(position, posed, objective, options)
        session, basis = Session(posed, options), self.bases.get(position)
        if basis is not None and len(basis.columns) == posed.n_columns and len(basis.rows) <= posed.n_rows:
            more = np.full(posed.n_rows - len(basis.rows), At.BASIC, dtype=np.int8)
            session.set_basis(Basis(basis.columns, np.concatenate([basis.rows, more])))
        answer = session.solve()
        require_optimal(posed, answer, objective)
        self.bases[position] = session.basis()
        return answer, None, verify_answer(posed, answer)

    def _kept(self, position: int, posed: ProgramArrays) -> tuple[Answer, Ranging | None, Certificate] | None:
        """Return the plan with the duals of the last program where they prove that it is optimal in a step."""
        if self.plan is None or self.last is None:
            return None
        x, row_dual = self.plan.x, self.last.solved[position].row_dual
        reduced, value = posed.cost - posed.matrix.T @ row_dual, dot(posed.cost, x) + posed.offset
        answer = Answer(Status.OPTIMAL, x, row_dual, reduced, value, attempt="duals of the rows before")
        found = verify_answer(posed, answer)
        if found.passed:
            return answer, None, found
        self.plan = None
        return None

    def closest(self, face: ProgramArrays, reference: Reference) -> ClosestPlan:
        """Find the plan closest to the reference on the last face."""
        if self.plan is not None and estimate_error(face, self.plan.x, np.zeros(face.n_rows)).primal <= KEEPS_LIMITS:
            return self.plan
        return super().closest(face, reference)


def are_complete(arrays: ProgramArrays, options: SolverOptions) -> bool:
    """Whether steps are solved as they are anyway: large programs have no ranges that would be missing."""
    return is_large(arrays) and (options.solver, options.method) == ("highs", "simplex")
