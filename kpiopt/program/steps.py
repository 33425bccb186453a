"""The strict order: solve one objective after the other, each on the optimal face of those before, then break ties.

    step 1   minimise c_1'x over P                      value z_1, dual y_1, face F_1 = P complementary to y_1
    step k   minimise c_k'x over F_(k-1)                value z_k, …
    last     minimise the reference over F_K            the plan

Every step carries a certificate over all of P: with prices p_i >= 0 of the earlier values, y_k + sum p_i y_i is a dual
solution of c_k + sum p_i c_i, which bounds c_k'x from below wherever no earlier objective is worse than its value.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import LimitReached, Problem, Unbounded, Uncertified
from kpiopt.program.arrays import Floats, ProgramArrays
from kpiopt.program.blocks import LinearProgram, Objective
from kpiopt.program.certificate import Certificate, verify_optimal, verify_quadratic
from kpiopt.program.face import SolvedStep, lift_duals, restrict_to_face
from kpiopt.program.session import Answer, Ranging, Session, SolverOptions, Status
from kpiopt.program.ties import ClosestPlan, closest_plan

Progress = Callable[[str], None]


@dataclass(frozen=True)
class StepResult:
    """What one step of the order gave.

    Attributes
    ----------
    name : str
        "goals", "fairness", "cost", "maximize" or "reference".
    priority : int or None
    value : float
        Optimal value, in `unit`.
    row_dual : (m,) float
        Duals of the program's rows in this step (change of the value per unit of the row's side).
    ranging : Ranging or None
        For each row, between which sides the dual holds.
    certificate : Certificate
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


@dataclass(frozen=True)
class Solution:
    """A certified solution of all steps.

    Attributes
    ----------
    x : (n,) float
        The plan's columns.
    steps : tuple of StepResult
    free : (n,) bool
        Columns that the objectives before the reference did not fix.
    """

    x: Floats
    steps: tuple[StepResult, ...]
    free: Floats
    tie: ClosestPlan | None


class InfeasibleProgram(Exception):
    """The rows contradict each other; carries the verified proof for the diagnosis."""

    def __init__(self, certificate: Certificate, ray: Floats) -> None:
        super().__init__("infeasible")
        self.certificate, self.ray = certificate, ray


def solve_steps(program: LinearProgram, options: SolverOptions, progress: Progress = lambda _: None) -> Solution:
    """Solve a program without whole-number columns in its strict order.

    Raises
    ------
    InfeasibleProgram
        With a verified Farkas proof.
    Unbounded, Uncertified, LimitReached
    """
    whole, face = program.arrays(), program.arrays()
    done: list[SolvedStep] = []
    results: list[StepResult] = []
    x = None
    for objective in program.objectives:
        progress(objective.label)
        whole, face, step, result, x = _solve_step(objective, whole, face, done, options)
        done.append(step)
        results.append(result)
    if x is None:
        x = _solve_step(Objective("feasible", None, np.zeros(program.n_columns)), whole, face, done, options)[4]
    free = face.column_upper > face.column_lower
    if program.reference is None:
        return Solution(x, tuple(results), free, None)
    progress("reference")
    tie, result = _break_ties(program, whole, face, done)
    _check_values_kept(program, results, tie.x)
    return Solution(tie.x, (*results, result), free, tie)
