"""Exact solutions from active sides: the optimality conditions with the limits that hold as equations.

An interior-point method tells which sides of rows and columns are active. With these as equations the optimality
conditions are linear; their solution has the accuracy of the data. For a linear program that is an optimum in the
inside of the optimal face with duals in the inside of theirs, which no vertex method gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from kpiopt.errors import Problem, Uncertified
from kpiopt.program.solver.answer import Answer, Status
from kpiopt.program.solver.interior import InteriorPoint, ScaledProgram
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot, fix_sides

_SYMMETRIC: dict[str, Any] = {
    "permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}
}  # fmt: skip
FACTORISATIONS: tuple[tuple[float, float, dict[str, Any]], ...] = (
    (1e-8, 1e-9, _SYMMETRIC), (1.0, 1e-9, _SYMMETRIC), (1e-8, 1e-9, {}), (1e-6, 1e-6, {})
)  # fmt: skip
"""Regularisation of columns and of rows, and how the factors are computed. Only without curvature may that of columns
be as large as 1, which leaves no pivot to chance where rows depend on each other."""
NORMAL = 1e-12
"""Regularisation of A A'."""
FEW_ROWS = 4
"""So many more columns than rows are better factored through the rows."""
PATIENCE = 4
DOUBT = 1e3
EXACT = 1e-15
ACCURATE = 1e-4
"""Factors that are as good as this lead to full accuracy in a few refinements."""
Solve = Callable[[Floats], Floats]


def solve_equations(problem: ScaledProgram, point: InteriorPoint) -> tuple[Floats, Floats]:
    """Solve the optimality conditions with the active sides of a point as equations, near that point.

    Returns
    -------
    y : (n,) float
    multiplier : (m,) float
        0 for rows that are not active.
    """
    equal, fixed = problem.row_lower == problem.row_upper, problem.lower == problem.upper
    held = (point.columns != 0) | fixed
    y = np.where(point.columns > 0, problem.upper, np.where(held, problem.lower, point.y))
    free = np.flatnonzero(~held)
    moving = np.diff(sp.csr_array(problem.matrix[:, free]).indptr) > 0
    side = np.where(point.rows > 0, problem.row_upper, problem.row_lower)
    wanted = (point.rows != 0) | equal
    still_value = problem.matrix @ np.where(held, y, 0.0)
    tight = np.abs(still_value - side) <= 1e-11 * np.maximum(1.0, np.abs(side))
    multiplier = np.where(wanted & (moving | tight), point.multiplier, 0.0)
    # A row out of place without a free column stays: its multiplier grows until an exchange frees one.
    beyond = ~tight & ((still_value < problem.row_lower) | (still_value > problem.row_upper))
    active = np.flatnonzero(wanted & (moving | beyond))
    level = side[active]
    part = sp.csr_array(problem.matrix[active])
    inner = sp.csr_array(part[:, free])
    still = problem.linear[free]
    curvature = problem.curvature[free]
    solve = factorise(curvature, inner)
    inside, prices, least, stalled = y[free], multiplier[active], np.inf, 0
    best = inside, prices
    while stalled < PATIENCE:
        y[free] = inside
        gradient = inner.T @ prices - curvature * inside - still
        gap = level - part @ y
        error = max(np.abs(gradient).max(initial=0.0), np.abs(gap).max(initial=0.0))
        stalled = 0 if error < 0.5 * least else stalled + 1
        if error <= least:  # of equal ones the last, in which rows out of place have gained weight
            least, best = error, (inside, prices)
        if error < EXACT:
            break
        step = solve(np.concatenate([gradient, gap]))
        inside, prices = inside + step[: len(free)], prices - step[len(free) :]
    y[free], multiplier[active] = best
    return y, multiplier


def factorise(curvature: Floats, inner: sp.csr_array) -> Solve:
    """Factor the regularised system [[D, A'], [A, 0]], without pivoting where that is accurate.

    A minimum-degree order of this symmetric system keeps it as sparse as the program itself; column orders with
    pivoting do not. But without pivoting the small entries on the diagonal may let rounding grow. Without curvature any
    D leads to the same solution, and few rows among many columns are factored through A A'.
    """
    is_curved = bool(np.any(curvature))
    if not is_curved and FEW_ROWS * inner.shape[0] < inner.shape[1]:
        through_rows = _through_rows(inner)
        if through_rows is not None and _is_accurate(_system(np.ones(inner.shape[1]), inner, NORMAL), through_rows):
            return through_rows
    solve: Solve | None = None
    for proximal, dual_proximal, settings in FACTORISATIONS:
        if is_curved and proximal == 1.0:
            continue
        system = _system(curvature + proximal, inner, dual_proximal)
        try:
            solve = splu(system, **settings).solve
        except RuntimeError:  # singular to working precision
            continue
        if _is_accurate(system, solve):
            break
    if solve is None:
        raise Uncertified(
            Problem(
                "E-uncertified",
                "the active limits make a system of equations that cannot be solved",
                rule="no certificate, no targets",
                fix="look for numbers of very different size",
            )
        )
    return solve


def _system(diagonal: Floats, inner: sp.csr_array, dual_proximal: float) -> sp.csc_array:
    return sp.block_array(
        [[sp.diags_array(diagonal), inner.T], [inner, -dual_proximal * sp.eye_array(inner.shape[0])]], format="csc"
    )


def _through_rows(inner: sp.csr_array) -> Solve | None:
    """Solve [[I, A'], [A, 0]] by the factors of A A', which is no larger than the rows are many."""
    m, n = inner.shape
    try:
        rows = splu(sp.csc_array(inner @ inner.T + NORMAL * sp.eye_array(m)), **_SYMMETRIC)
    except RuntimeError:  # singular to working precision
        return None

    def solve(right: Floats) -> Floats:
        price = rows.solve(inner @ right[:n] - right[n:])
        return np.concatenate([right[:n] - inner.T @ price, price])

    return solve


def _is_accurate(system: sp.csc_array, solve: Solve) -> bool:
    """Whether factors solve a system whose right side is made from a known solution."""
    wanted = system @ np.cos(np.arange(system.shape[0]))
    error = np.abs(system @ solve(wanted) - wanted).max(initial=0.0)
    return bool(error <= ACCURATE * np.abs(wanted).max(initial=0.0))


def solve_at_point(arrays: ProgramArrays, scaled: tuple[ScaledProgram, float], point: InteriorPoint) -> Answer:
    """Solve a linear program with the active sides of an interior point as equations.

    Parameters
    ----------
    scaled : (ScaledProgram, float)
        The program as `scale_linear` gives it.
    point : InteriorPoint
        What the interior-point method found.

    Returns
    -------
    Answer
        OPTIMAL with values and duals that are yet to be certified, or UNKNOWN.
    """
    started = time.perf_counter()
    problem, size = scaled
    try:
        y, multiplier = solve_equations(problem, point)
    except Uncertified:
        return Answer(Status.UNKNOWN)
    x = np.clip(y * problem.scale, arrays.column_lower, arrays.column_upper)
    row_dual = size * multiplier / problem.row_scale
    free = (point.columns == 0) & (problem.lower < problem.upper)
    reduced = np.where(free, 0.0, arrays.cost - arrays.matrix.T @ row_dual)
    value = dot(arrays.cost, x) + arrays.offset
    return Answer(
        Status.OPTIMAL, x, row_dual, reduced, value, attempt="interior point + active set",
        seconds=time.perf_counter() - started,
    )  # fmt: skip


def guess_face(arrays: ProgramArrays, problem: ScaledProgram, point: InteriorPoint) -> ProgramArrays:
    """Return the program with the sides fixed that an interior point leaves no doubt about.

    A side is beyond doubt where its multiplier exceeds its slack a thousand times; the few others stay as they are.
    """
    reduced = problem.linear - problem.matrix.T @ point.multiplier
    columns = _beyond_doubt(reduced, point.y, problem.lower, problem.upper)
    rows = _beyond_doubt(point.multiplier, problem.matrix @ point.y, problem.row_lower, problem.row_upper)
    return fix_sides(arrays, columns, rows)


def _beyond_doubt(
    multiplier: Floats, value: Floats, lower: Floats, upper: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which lower and which upper sides are active beyond doubt."""
    below, above = np.maximum(value - lower, 0.0), np.maximum(upper - value, 0.0)
    return (multiplier > DOUBT * below) & (below <= above), (-multiplier > DOUBT * above) & (above < below)
