"""The unique plan: the point of a polyhedron that is closest to the reference.

The steps before leave a face of equally good plans. On it the reference is a strictly convex quadratic, so exactly one
plan is closest. An interior-point method finds it to some seven digits and with it the limits that hold; solving the
optimality conditions with these limits as equations, and exchanging limits until every sign is right, gives it to the
accuracy of the data (the primal-dual active set method; Hintermüller, Ito & Kunisch 2002,
doi:10.1137/S1052623401383558). The answer is a function of the polyhedron alone: not of the order of rows, nor of the
vertex at which a simplex method stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kpiopt.errors import Problem, Uncertified
from kpiopt.program.formulation.blocks import Reference
from kpiopt.program.solver.active_set import solve_equations
from kpiopt.program.solver.interior import InteriorPoint, ScaledProgram, Sides, scale_program, solve_interior
from kpiopt.program.solver.rational_closest import closest_in_fractions
from kpiopt.program.solver.reduction import Reduction, reduce_program
from kpiopt.program.solver.refinement import estimate_error, left_open
from kpiopt.program.solver.substitution import substitute
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.tolerances import AT_SIDE, CERTIFIED, LEAVES_SIDE, SIGN_OF_DUAL

EXCHANGES = 60
NEAR_EXCHANGES = 4
SCALINGS = ((False, False), (True, False), (True, True))
"""How decisions and the objective are scaled, one way after the other until the plan is closest beyond doubt: by their
weights; by their boxes; and with an objective of size 1."""


@dataclass(frozen=True)
class ClosestPlan:
    """The answer of the last step.

    Attributes
    ----------
    x : (n,) float
    row_dual : (m,) float
        Multipliers of the rows for minimise sum weight (x - centre)^2; >= 0 on an active lower side.
    method : str
        "interior point + active set", or "reduced gradient in fractions".
    exchanges : int
        How often the set of active limits was exchanged after the interior-point method.
    point : InteriorPoint
        The answer in the scaled program with its active limits, to begin with where the program changes a little.
    """

    x: Floats
    row_dual: Floats
    method: str
    exchanges: int
    point: InteriorPoint


def closest_plan(arrays: ProgramArrays, reference: Reference, near: InteriorPoint | None = None) -> ClosestPlan:
    """Minimise the reference over the rows and boxes of `arrays` (its cost and integrality are not looked at).

    Parameters
    ----------
    near : InteriorPoint, optional
        Answer of a program of the same shape that differs little; the interior-point method is left out where the
        active limits are found from there.

    Raises
    ------
    Uncertified
        Where no set of active limits satisfies the optimality conditions, or none of the plans keeps all limits.
    """
    if near is not None:
        plan = closest_plan_near(arrays, reference, near)
        if plan is not None:
            return plan
    reduction = reduce_program(replace(arrays, cost=np.zeros(arrays.n_columns), offset=0.0), reference.weight)
    plan = None if reduction is None else _restored(reduction, reference)
    plan = plan if plan and _error(arrays, reference, plan) <= CERTIFIED else _better(arrays, reference, plan)
    if plan is None or estimate_error(arrays, plan.x, np.zeros(arrays.n_rows)).primal > CERTIFIED:
        raise Uncertified(
            Problem(
                "E-tie-rule",
                f"the plan closest to the reference was not found in {EXCHANGES} exchanges of limits"
                if plan is None
                else "no plan keeps all limits that the steps before left to the plan closest to the reference",
                rule="among equally good plans exactly one is published",
                fix="leave less to the last step: give `decide.order` a step that settles more",
            )
        )
    return plan


def _better(arrays: ProgramArrays, reference: Reference, plan: ClosestPlan | None) -> ClosestPlan | None:
    """Minimise the reference of the whole program: of what its reduction left out, some boxes can be very wide."""
    other = _closest(arrays, reference)
    if plan is None or other is None:
        return plan or other
    return min(plan, other, key=lambda found: _error(arrays, reference, found))


def _closest(arrays: ProgramArrays, reference: Reference) -> ClosestPlan | None:
    """Minimise the reference from scratch; None where no set of active limits is right."""
    best, least = None, np.inf
    for by_boxes, is_sized in SCALINGS:
        problem = scale_program(arrays, reference.weight, reference.centre, by_boxes=by_boxes, is_sized=is_sized)
        found = _exchange(problem, solve_interior(problem), EXCHANGES)
        if found is not None:
            plan = _plan(arrays, problem, *found, "interior point + active set")
            if by_boxes:  # later programs begin where the usual scaling would be
                gradient = 2.0 * reference.weight * (plan.x - reference.centre)
                plan = replace(plan, point=_as_point(arrays, reference, plan.x, plan.row_dual, gradient))
            error = _error(arrays, reference, plan)
            if best is None or error < least:
                best, least = plan, error
            if error <= AT_SIDE:
                return best
    for way in (_of_decisions, _in_fractions):
        other = way(arrays, reference)
        if other is not None and (error := _error(arrays, reference, other)) < least:
            best, least = other, error
        if least <= AT_SIDE:
            break
    return best


def _in_fractions(arrays: ProgramArrays, reference: Reference) -> ClosestPlan | None:
    """Minimise the reference of a small program without rounding."""
    found = closest_in_fractions(arrays, reference.weight, reference.centre)
    if found is None:
        return None
    point = _as_point(arrays, reference, *found, 2.0 * reference.weight * (found[0] - reference.centre))
    return ClosestPlan(*found, "reduced gradient in fractions", 0, point)


def _of_decisions(arrays: ProgramArrays, reference: Reference) -> ClosestPlan | None:
    """Minimise the reference over what is left without columns that equations define."""
    found = substitute(arrays, reference.weight > 0.0)
    if found is None:
        return None
    inner = Reference(reference.weight[found.kept], reference.centre[found.kept])
    reduction = reduce_program(found.left, inner.weight)
    plan = _closest(found.left, inner) if reduction is None else _restored(reduction, inner)
    if plan is None:
        return None
    x, row_dual = found.restore(plan.x, plan.row_dual)
    point = _as_point(arrays, reference, x, row_dual, 2.0 * reference.weight * (x - reference.centre))
    return ClosestPlan(x, row_dual, plan.method, plan.exchanges, point)


def _error(arrays: ProgramArrays, reference: Reference, plan: ClosestPlan) -> float:
    """Return by how much a plan misses rows, or the least reference by its multipliers, whichever is more."""
    posed = replace(arrays, cost=2.0 * reference.weight * (plan.x - reference.centre))
    gap = left_open(posed, plan.x, plan.row_dual) / reference_size(reference, plan.x)
    return max(gap, estimate_error(posed, plan.x, np.zeros(arrays.n_rows)).primal)


def reference_size(reference: Reference, x: Floats) -> float:
    """Return what a gap of the last step is compared with."""
    return max(reference.value(x), 1e-6)


def _restored(reduction: Reduction, reference: Reference) -> ClosestPlan | None:
    """Find the closest plan of what is left of a program, as a plan of the whole."""
    whole, kept = reduction.whole, reduction.columns
    x, row_dual, exchanges = np.empty(0), np.zeros(len(reduction.rows)), 0
    if len(kept):
        plan = _closest(reduction.left, Reference(reference.weight[kept], reference.centre[kept]))
        if plan is None:
            return None
        x, row_dual, exchanges = plan.x, plan.row_dual, plan.exchanges
    x = reduction.restore_point(x)
    gradient = 2.0 * reference.weight * (x - reference.centre)
    row_dual = reduction.restore_duals(x, row_dual, gradient)
    point = _as_point(whole, reference, x, row_dual, gradient)
    return ClosestPlan(x, row_dual, "interior point + active set", exchanges, point)


def _as_point(
    arrays: ProgramArrays, reference: Reference, x: Floats, row_dual: Floats, gradient: Floats
) -> InteriorPoint:
    """Return a plan in the scaled program, with the sides that its multipliers point to."""
    problem = scale_program(arrays, reference.weight, reference.centre)
    reduced = (gradient - arrays.matrix.T @ row_dual) * problem.scale
    multiplier, y = row_dual * problem.row_scale, x / problem.scale
    near = AT_SIDE * np.maximum(1.0, np.abs(y))
    at_lower, at_upper = y - problem.lower <= near, problem.upper - y <= near
    columns = np.where(at_lower & (reduced > LEAVES_SIDE), -1, np.where(at_upper & (reduced < -LEAVES_SIDE), 1, 0))
    point = InteriorPoint(y, multiplier, -np.sign(multiplier).astype(np.int8), columns.astype(np.int8))
    return _without_fixed(problem, point)


def closest_plan_near(arrays: ProgramArrays, reference: Reference, near: InteriorPoint) -> ClosestPlan | None:
    """Minimise the reference, beginning with the active limits of another answer; None where they do not lead on."""
    problem = scale_program(arrays, reference.weight, reference.centre)
    found = _exchange(problem, _without_fixed(problem, near), NEAR_EXCHANGES)
    return _plan(arrays, problem, *found, "active set") if found and _is_inside(problem, found[0]) else None


def _plan(
    arrays: ProgramArrays, problem: ScaledProgram, point: InteriorPoint, exchanges: int, method: str
) -> ClosestPlan:
    x = np.clip(point.y * problem.scale, arrays.column_lower, arrays.column_upper)
    return ClosestPlan(x, problem.size * point.multiplier / problem.row_scale, method, exchanges, point)


def _is_inside(problem: ScaledProgram, point: InteriorPoint) -> bool:
    """Whether a point keeps all rows: equations that contradict each other have a compromise for a solution."""
    value = problem.matrix @ point.y
    slack = AT_SIDE * np.maximum(1.0, np.abs(value))
    return bool(np.all((value >= problem.row_lower - slack) & (value <= problem.row_upper + slack)))


def _without_fixed(problem: ScaledProgram, point: InteriorPoint) -> InteriorPoint:
    """Rows that are equations and fixed columns have no active side."""
    equal, fixed = problem.row_lower == problem.row_upper, problem.lower == problem.upper
    rows, columns = np.where(equal, 0, point.rows), np.where(fixed, 0, point.columns)
    return replace(point, rows=rows.astype(np.int8), columns=columns.astype(np.int8))


def _exchange(problem: ScaledProgram, point: InteriorPoint, most: int) -> tuple[InteriorPoint, int] | None:
    """Solve with the active sides as equations; exchange violated for wrongly signed sides until none is left.

    Returns
    -------
    (InteriorPoint, int) or None
        The answer and the number of exchanges; None after `most` of them.
    """
    equal = problem.row_lower == problem.row_upper
    fixed = problem.lower == problem.upper
    for exchanges in range(most):
        y, multiplier = solve_equations(problem, point)
        activity = problem.matrix @ y
        gradient = problem.curvature * y + problem.linear - problem.matrix.T @ multiplier
        rows = np.where(equal, 0, _new_sides(point.rows, multiplier, activity, problem.row_lower, problem.row_upper))
        columns = np.where(fixed, 0, _new_sides(point.columns, gradient, y, problem.lower, problem.upper))
        if np.array_equal(rows, point.rows) and np.array_equal(columns, point.columns):
            return replace(point, y=y, multiplier=multiplier), exchanges
        point = InteriorPoint(y, multiplier, rows.astype(np.int8), columns.astype(np.int8))
    return None


def _new_sides(sides: Sides, multiplier: Floats, value: Floats, lower: Floats, upper: Floats) -> Sides:
    """Drop sides whose multiplier pulls the wrong way, add sides that are violated."""
    slack = LEAVES_SIDE * np.maximum(1.0, np.abs(value))
    keep = (sides == -1) & (multiplier >= -SIGN_OF_DUAL) | (sides == 1) & (multiplier <= SIGN_OF_DUAL)
    return np.where(value < lower - slack, -1, np.where(value > upper + slack, 1, np.where(keep, sides, 0))).astype(
        np.int8
    )
