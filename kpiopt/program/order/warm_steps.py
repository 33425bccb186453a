"""Steps of programs that grow row by row: each from the basis at which the same step of the last one ended."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kpiopt.program.formulation.blocks import Objective
from kpiopt.program.order.steps import FreshSolver, require_optimal, verify_answer
from kpiopt.program.solver.answer import Answer, At, Basis, Ranging, SolverOptions
from kpiopt.program.solver.reduction import is_large
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.program.trust.certificate import Certificate


@dataclass
class WarmSteps(FreshSolver):
    """Steps without ranges. Which vertex a step ends at is of no account: the plan of a program is the unique one.

    Attributes
    ----------
    bases : dict of int to Basis
        Where each step of the last program ended.
    """

    bases: dict[int, Basis] = field(default_factory=dict)

    def solve(
        self, position: int, posed: ProgramArrays, objective: Objective, options: SolverOptions
    ) -> tuple[Answer, Ranging | None, Certificate]:
        """Solve a step over the face that the steps before it left, and verify the answer over that face."""
        if is_large(posed) or options.precise:
            return super().solve(position, posed, objective, options)
        session, basis = Session(posed, options), self.bases.get(position)
        if basis is not None and len(basis.columns) == posed.n_columns and len(basis.rows) <= posed.n_rows:
            more = np.full(posed.n_rows - len(basis.rows), At.BASIC, dtype=np.int8)
            session.set_basis(Basis(basis.columns, np.concatenate([basis.rows, more])))
        answer = session.solve()
        require_optimal(posed, answer, objective)
        self.bases[position] = session.basis()
        return answer, None, verify_answer(posed, answer)


def are_complete(arrays: ProgramArrays, options: SolverOptions) -> bool:
    """Whether steps are solved as they are anyway: large programs have no ranges that would be missing."""
    return is_large(arrays) and (options.solver, options.method) == ("highs", "simplex")
