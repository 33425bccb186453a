"""The unique plan: the point of a polyhedron that is closest to the reference.

The steps before leave a face of equally good plans. On it the reference is a strictly convex quadratic, so exactly one
plan is closest. An interior-point method finds it to some seven digits and with it the limits that hold; solving the
optimality conditions with these limits as equations, and exchanging limits until every sign is right, gives it to the
accuracy of the data (the primal-dual active set method; Hintermüller, Ito & Kunisch 2002,
doi:10.1137/S1052623401383558). The answer is a function of the polyhedron alone: not of the order of rows, nor of the
vertex at which a simplex method stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from kpiopt.errors import Problem, Uncertified
from kpiopt.program.arrays import Floats, ProgramArrays
from kpiopt.program.blocks import Reference
from kpiopt.program.interior import ScaledProgram, Sides, scale_program, solve_interior

EXCHANGES = 60
TOLERANCE = 1e-11


@dataclass(frozen=True)
class ClosestPlan:
    """The answer of the last step.

    Attributes
    ----------
    x : (n,) float
    row_dual : (m,) float
        Multipliers of the rows for minimise sum weight (x - centre)^2; >= 0 on an active lower side.
    method : str
        "interior point + active set".
    exchanges : int
        How often the set of active limits was exchanged after the interior-point method.
    """

    x: Floats
    row_dual: Floats
    method: str
    exchanges: int


def closest_plan(arrays: ProgramArrays, reference: Reference) -> ClosestPlan:
    """Minimise the reference over the rows and boxes of `arrays` (its cost and integrality are not looked at).

    Raises
    ------
    Uncertified
        Where no set of active limits satisfies the optimality conditions.
    """
    problem = scale_program(arrays, reference.weight, reference.centre)
    guess = solve_interior(problem)
    y, multiplier, exchanges = _exchange(problem, *guess)
    x = np.clip(y * problem.scale, arrays.column_lower, arrays.column_upper)
    return ClosestPlan(x, multiplier / problem.row_scale, "interior point + active set", exchanges)


def _exchange(problem: ScaledProgram, y: Floats, rows: Sides, columns: Sides) -> tuple[Floats, Floats, int]:
    """Solve with the active sides as equations; exchange violated for wrongly signed sides until none is left."""
    equal = problem.row_lower == problem.row_upper
    fixed = problem.lower == problem.upper
    for exchanges in range(EXCHANGES):
        y, multiplier = _solve_equations(problem, rows, columns, equal, fixed, y)
        activity = problem.matrix @ y
        gradient = problem.curvature * y + problem.linear - problem.matrix.T @ multiplier
        new_rows = _new_sides(rows, multiplier, activity, problem.row_lower, problem.row_upper)
        new_columns = _new_sides(columns, gradient, y, problem.lower, problem.upper)
        if np.array_equal(new_rows[~equal], rows[~equal]) and np.array_equal(new_columns[~fixed], columns[~fixed]):
            return y, multiplier, exchanges
        rows, columns = new_rows, new_columns
    raise Uncertified(
        Problem(
            "E-tie-rule",
            f"the plan closest to the reference was not found in {EXCHANGES} exchanges of limits",
            rule="among equally good plans exactly one is published",
            fix="leave less to the last step: give `decide.order` a step that settles more",
        )
    )


def _new_sides(sides: Sides, multiplier: Floats, value: Floats, lower: Floats, upper: Floats) -> Sides:
    """Drop sides whose multiplier pulls the wrong way, add sides that are violated."""
    slack = TOLERANCE * np.maximum(1.0, np.abs(value))
    keep = (sides == -1) & (multiplier >= -1e-9) | (sides == 1) & (multiplier <= 1e-9)
    return np.where(value < lower - slack, -1, np.where(value > upper + slack, 1, np.where(keep, sides, 0))).astype(
        np.int8
    )


def _solve_equations(
    problem: ScaledProgram,
    rows: Sides,
    columns: Sides,
    equal: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    near: Floats,
) -> tuple[Floats, Floats]:
    """Minimise with active rows and columns as equations: regularised factors, refined against the true system."""
    held = (columns != 0) | fixed
    y = np.where(columns > 0, problem.upper, np.where(held, problem.lower, near))
    active = np.flatnonzero((rows != 0) | equal)
    level = np.where(rows > 0, problem.row_upper, problem.row_lower)[active]
    free = np.flatnonzero(~held)
    part = sp.csr_array(problem.matrix[active])
    inner = sp.csr_array(part[:, free])
    hessian = problem.curvature[free]
    proximal, dual_proximal = 1e-8, 1e-9
    system = sp.block_array(
        [[sp.diags_array(hessian + proximal), inner.T], [inner, -dual_proximal * sp.eye_array(len(active))]],
        format="csc",
    )
    # A minimum-degree order of this symmetric system keeps it as sparse as the program itself; column orders do not.
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    multiplier = np.zeros(len(active))
    best = np.inf
    for _ in range(40):
        gradient = -(hessian * y[free] + problem.linear[free] + inner.T @ multiplier)
        gap = level - part @ y
        error = max(np.abs(gradient).max(initial=0.0), np.abs(gap).max(initial=0.0))
        if error < 1e-15 or (error < 1e-12 and error > 0.5 * best):
            break
        best = min(best, error)
        step = factors.solve(np.concatenate([gradient, gap]))
        y[free] += step[: len(free)]
        multiplier += step[len(free) :]
    full = np.zeros(len(rows))
    full[active] = -multiplier
    return y, full
