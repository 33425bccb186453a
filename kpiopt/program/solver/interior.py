"""Interior-point solutions: a rough optimum, and which limits hold there.

An interior-point method finds the optimum of a large, degenerate program in a few dozen iterations, to eight digits.
That is not good enough to publish, but it tells which sides of rows and columns are active.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.trust.arrays import Floats, ProgramArrays

Sides = NDArray[np.int8]

SETTINGS = {
    "eps_abs": 1e-10,
    "eps_rel": 1e-11,
    "eps_duality_gap_abs": 1e-12,
    "eps_duality_gap_rel": 1e-13,
    "max_iter": 100,
    "verbose": False,
}
"""A gap closed so far leaves multipliers and slacks of every side far apart, for three more iterations."""
LEAST_PRODUCT = 1e-17
"""Mean product of multiplier and slack that is as good as 0: the method comes to 2.5e-18. The gap is the sum of these
products, so that of very many sides is closed when it is no more than this for each."""
FAR = 1e-3
"""Share of its box below which what the rows leave of a column tells its size: ends such as 1e9 mean "no limit"."""
NOTHING = 1e-8
"""Share of the largest column below which what the rows leave of one is rounding: it cannot move, and has no size."""
NOISE = 1e-11
"""Share of its box below which what the rows leave of a column is rounding too."""
PASSES = 8
"""How often ranges are passed on through rows, at most; each pass leads one level further."""
COST_SIZES = (1 / 3, 1 / 30, 3.0)
"""Largest cost of a linear program, as a share of the square root of its columns. Where that is 1/3, fairness steps of
100,000 cells take 25 to 60 iterations; costs of at most 1 took 30 to 140, and some never came to an end."""


@dataclass(frozen=True)
class ScaledProgram:
    """minimise 1/2 sum_j curvature_j y_j^2 + linear'y over scaled rows and a box; x = scale * y.

    Attributes
    ----------
    size : float
        What a quadratic objective was divided by.
    """

    matrix: sp.csr_array
    row_lower: Floats
    row_upper: Floats
    lower: Floats
    upper: Floats
    curvature: Floats
    linear: Floats
    scale: Floats
    row_scale: Floats
    size: float = 1.0


def scale_program(
    arrays: ProgramArrays, weight: Floats, centre: Floats, *, by_boxes: bool = False, is_sized: bool = False
) -> ScaledProgram:
    """Scale decisions to unit curvature and rows to unit size.

    Parameters
    ----------
    by_boxes : bool
        Whether decisions are scaled by their boxes instead: their curvatures then differ, but decisions of very small
        boxes keep their digits.
    is_sized : bool
        Whether the objective is divided by its largest curvature: where all are small it is told from rounding then.
    """
    span = np.maximum(np.abs(arrays.column_lower), np.abs(arrays.column_upper))
    implied = _implied_span(arrays)
    is_far = (implied < FAR * span) & (implied > NOTHING * implied.max(initial=0.0)) & (implied > NOISE * span)
    span = np.where(is_far, implied, span)
    decided = weight > 0.0
    box = np.where(span > 0.0, span, 1.0)
    scale = np.where(decided & (not by_boxes), 1.0 / np.sqrt(2.0 * np.where(decided, weight, 1.0)), box)
    curvature = 2.0 * weight * scale**2 if by_boxes else decided.astype(float)
    size = float(curvature.max(initial=0.0)) or 1.0 if is_sized else 1.0
    curvature = curvature / size
    matrix, largest = arrays.matrix.copy(), np.zeros(arrays.n_rows)
    matrix.data *= scale[matrix.indices]
    row = np.repeat(np.arange(arrays.n_rows), np.diff(matrix.indptr))
    np.maximum.at(largest, row, np.abs(matrix.data))
    row_scale = np.where(largest > 0.0, largest, 1.0)
    matrix.data *= (1.0 / row_scale)[row]
    matrix.eliminate_zeros()
    return ScaledProgram(
        matrix,
        arrays.row_lower / row_scale,
        arrays.row_upper / row_scale,
        arrays.column_lower / scale,
        arrays.column_upper / scale,
        curvature,
        np.where(decided, -curvature * centre / scale, 0.0),
        scale,
        row_scale,
        size,
    )


def _implied_span(arrays: ProgramArrays) -> Floats:
    """Return how large each column can be by its box and its rows, (n,) float; not below what rounding can tell."""
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    matrix = sp.coo_array(arrays.matrix)
    row, column, value = matrix.row, matrix.col, matrix.data
    for _ in range(PASSES):
        ends = _ordered(value * lower[column], value * upper[column])
        low, high = (np.bincount(row, end, arrays.n_rows) for end in ends)
        noise = 1e-12 * np.bincount(row, np.maximum(np.abs(ends[0]), np.abs(ends[1])), arrays.n_rows)[row]
        with np.errstate(invalid="ignore"):  # of a column without an end nothing follows
            most = arrays.row_upper[row] - (low[row] - ends[0]) + noise
            least = arrays.row_lower[row] - (high[row] - ends[1]) - noise
        bounds = _ordered(least / value, most / value)
        before = lower, upper
        lower, upper = lower.copy(), upper.copy()
        np.fmax.at(lower, column, bounds[0])
        np.fmin.at(upper, column, bounds[1])
        if np.all(upper - lower > 0.5 * (before[1] - before[0])):
            break
    return np.maximum(np.abs(lower), np.abs(upper))


def _ordered(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return the smaller and the larger of each pair; what is not a number counts as the larger."""
    return np.fmin(first, second), np.maximum(first, second)


@dataclass(frozen=True)
class InteriorPoint:
    """A rough optimum of a scaled program.

    Attributes
    ----------
    y : (n,) float
    multiplier : (m,) float
        Of the rows, >= 0 on a lower side.
    rows, columns : (m,) and (n,) int8
        Active side: -1 lower, 0 none, +1 upper. Rows that are equations and fixed columns have 0.
    """

    y: Floats
    multiplier: Floats
    rows: Sides
    columns: Sides


def solve_interior(problem: ScaledProgram) -> InteriorPoint:
    """Solve roughly; a linear program with its costs in another size where one does not lead to the end."""
    if np.any(problem.curvature):
        return _run(problem, 1.0)[0]
    points = (_run(problem, share * float(np.sqrt(len(problem.linear)))) for share in COST_SIZES)
    point, is_solved = next(points)
    while not is_solved:
        point, is_solved = next(points, (point, True))
    return point


def _run(problem: ScaledProgram, cost_size: float) -> tuple[InteriorPoint, bool]:
    """Return the point where the method stopped, and whether it closed the gap."""
    import piqp  # 0.1 s that a first look at a scenario does not need

    equal = problem.row_lower == problem.row_upper
    solver: Any = piqp.SparseSolver()
    for name, value in SETTINGS.items():
        setattr(solver.settings, name, value)
    sides = 2 * len(problem.lower) + len(equal)
    solver.settings.eps_duality_gap_abs = max(SETTINGS["eps_duality_gap_abs"], LEAST_PRODUCT * sides)
    solver.setup(
        _diagonal(problem.curvature),
        cost_size * problem.linear,
        sp.csc_matrix(problem.matrix[equal]),
        problem.row_lower[equal],
        sp.csc_matrix(problem.matrix[~equal]),
        problem.row_lower[~equal],
        problem.row_upper[~equal],
        problem.lower,
        problem.upper,
    )
    solver.solve()
    found = solver.result
    rows, multiplier = np.zeros(len(equal), dtype=np.int8), np.zeros(len(equal))
    rows[~equal] = _active(found.z_l, found.s_l, found.z_u, found.s_u)
    multiplier[~equal] = np.asarray(found.z_l) - np.asarray(found.z_u)
    multiplier[equal] = -np.asarray(found.y)
    columns = _active(found.z_bl, found.s_bl, found.z_bu, found.s_bu)
    columns[problem.lower == problem.upper] = 0
    point = InteriorPoint(np.array(found.x), multiplier / cost_size, rows, columns)
    return point, found.info.status == piqp.Status.PIQP_SOLVED


def _diagonal(values: Floats) -> sp.csc_matrix:
    filled = values != 0.0
    ends = np.concatenate([[0], np.cumsum(filled)])
    return sp.csc_matrix((values[filled], np.flatnonzero(filled), ends), (len(values), len(values)))


def scale_linear(arrays: ProgramArrays) -> tuple[ScaledProgram, float]:
    """Scale a linear program; also return the factor its objective was divided by."""
    nothing = np.zeros(arrays.n_columns)
    problem = scale_program(arrays, nothing, nothing)
    linear = arrays.cost * problem.scale
    size = float(np.abs(linear).max(initial=0.0)) or 1.0
    return replace(problem, linear=linear / size), size


def _active(z_lower: Floats, s_lower: Floats, z_upper: Floats, s_upper: Floats) -> Sides:
    """A side is active where its multiplier exceeds its slack."""
    lower, upper = np.asarray(z_lower) > np.asarray(s_lower), np.asarray(z_upper) > np.asarray(s_upper)
    return np.where(lower, -1, np.where(upper, 1, 0)).astype(np.int8)
