"""Iterative refinement: digits that the solver's tolerances leave out.

The error of an answer is posed as a program of its own, with sides and costs moved to the answer and magnified by
powers of two; its solution, made small again, corrects the answer (Gleixner, Steffy & Wolter 2016,
doi:10.1287/ijoc.2016.0692). A program that is infeasible by less than the tolerance shows here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.solver.answer import At, Basis
from kpiopt.program.trust.arrays import Floats, ProgramArrays, column_sizes, column_sums, dot, extent_of, row_sizes
from kpiopt.program.trust.exact import UNIT_ROUNDOFF, exact_row_sums

SMALLEST_VIOLATION = 2.0**-50
ABOVE_ROUNDING = 2.0**-20
"""Smallest violation that is magnified to size 1 where a row out of reach, which rounding leaves open by 2^-52, would
be magnified beyond the solver's tolerance with the rest and made a clash."""
LARGEST_COST = 2.0**23
STANDS_OFF = 1e-12
"""Share of its terms by which a row that is at its side may be off it."""
_AT_SIDE = 1e-13
_OPEN = 1e19


@dataclass(frozen=True)
class Error:
    """Estimated error of a primal and dual point.

    Attributes
    ----------
    primal : float
        Largest violation of a row or bound relative to its sides and terms.
    gap : float
        Complementarity (what duals times slacks add up to) relative to the objective.
    """

    primal: float
    gap: float

    @property
    def larger(self) -> float:
        """The larger of the two."""
        return max(self.primal, self.gap)

    def within(self, primal: float, gap: float) -> bool:
        """Whether both are at most the given ones."""
        return self.primal <= primal and self.gap <= gap


def estimate_error(arrays: ProgramArrays, x: Floats, y: Floats) -> Error:
    """Estimate the error of an answer in plain floating point; the certificate decides, this only says where to go on.

    The scales are those of the certificate.
    """
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        return Error(math.inf, math.inf)
    activity = arrays.matrix @ x
    return Error(_primal_error(arrays, x, activity), _gap(arrays, x, y, activity))


def _primal_error(arrays: ProgramArrays, x: Floats, activity: Floats) -> float:
    floor = np.minimum(1.0, row_sizes(arrays.matrix, extent_of(arrays)))
    size = np.maximum(row_sizes(arrays.matrix, x), floor)
    rows = _relative(activity, arrays.row_lower, arrays.row_upper, size)
    columns = _relative(x, arrays.column_lower, arrays.column_upper, np.minimum(1.0, extent_of(arrays)))
    return max(rows, columns)


def _relative(value: Floats, lower: Floats, upper: Floats, size: Floats) -> float:
    """Return the largest violation of sides relative to size and side."""
    below = np.maximum(lower - value, 0.0)
    above = np.maximum(value - upper, 0.0)
    scale = np.maximum(size, np.where(below > 0.0, np.abs(lower), np.where(above > 0.0, np.abs(upper), 1.0)))
    violation = np.maximum(below, above)
    with np.errstate(over="ignore"):  # against a size of next to nothing
        share = violation / np.maximum(scale, np.finfo(float).tiny)
    return float(np.where(violation > 0.0, share, 0.0).max(initial=0.0))


def _gap(arrays: ProgramArrays, x: Floats, y: Floats, activity: Floats) -> float:
    natural = min(1.0, dot(np.abs(arrays.cost), extent_of(arrays)))
    size = max(abs(dot(arrays.cost, x)), natural) or 1.0
    return _left_open(arrays, x, y, activity) / size


def left_open(arrays: ProgramArrays, x: Floats, y: Floats) -> float:
    """Return by how much the objective of an answer may be above the least one, in its own unit, less rounding."""
    return _left_open(arrays, x, y, arrays.matrix @ x)


def _left_open(arrays: ProgramArrays, x: Floats, y: Floats, activity: Floats) -> float:
    d = arrays.cost - column_sums(arrays.matrix, y)
    terms = np.abs(arrays.cost) + column_sizes(arrays.matrix, y)
    rounding = 4.0 * UNIT_ROUNDOFF
    columns = _complementarity(
        np.where(np.abs(d) <= rounding * terms, 0.0, d), x, arrays.column_lower, arrays.column_upper
    )
    rows = _complementarity(y, activity, arrays.row_lower, arrays.row_upper)
    return max(0.0, columns + rows - rounding * dot(terms, np.abs(x)))


def _complementarity(dual: Floats, value: Floats, lower: Floats, upper: Floats) -> float:
    """Sum |dual| times the distance to the side it points to; an open side counts as one of the value's own size."""
    side = np.where(dual > 0.0, lower, upper)
    reach = np.where(np.isfinite(side), np.abs(value - np.where(np.isfinite(side), side, 0.0)), 1.0 + np.abs(value))
    return dot(np.abs(dual), reach)


def stands_off(arrays: ProgramArrays, x: Floats, y: Floats) -> bool:
    """Whether a row has a dual but is not at the side that it points to, which a gap alone does not show.

    Where another goal counts for far more, such a dual leaves next to no gap, but what it says would be held for all
    later steps: the row at its side, and what it is made of where it stands.
    """
    activity = arrays.matrix @ x
    side = np.where(y > 0.0, arrays.row_lower, arrays.row_upper)
    size = np.maximum(abs(arrays.matrix) @ np.abs(x), np.where(np.isfinite(side), np.abs(side), 0.0))
    return bool(np.any((y != 0.0) & (np.abs(activity - side) > STANDS_OFF * size)))


@dataclass(frozen=True)
class Refinement:
    """The program of an answer's error.

    Attributes
    ----------
    program : ProgramArrays
        minimise D (d'z + y'r) over A z = r, K (L - A x) <= r <= K (U - A x), K (l - x) <= z <= K (u - x). Rows that are
        equations or have no dual do without a column r of their own.
    primal_factor, dual_factor : float
        K and D, powers of two.
    x, y : (n,) and (m,) float
        The answer to correct.
    priced : (k,) int
        Rows with a column r.
    """

    program: ProgramArrays
    primal_factor: float
    dual_factor: float
    x: Floats
    y: Floats
    priced: NDArray[np.int64]

    def corrected(self, z: Floats, w: Floats) -> tuple[Floats, Floats]:
        """Return x + z / K and y + w / D."""
        return self.x + z[: len(self.x)] / self.primal_factor, self.y + w / self.dual_factor

    def start(self, basis: Basis) -> Basis:
        """Turn a basis of the answer's program into one of this program."""
        if np.any(basis.rows < 0):
            return Basis(np.full(self.program.n_columns, -1, np.int8), basis.rows)
        rows = basis.rows.copy()
        rows[self.priced] = At.LOWER
        return Basis(np.concatenate([basis.columns, basis.rows[self.priced]]), rows)

    def corrected_basis(self, basis: Basis) -> Basis:
        """Turn a basis of this program into one of the answer's program."""
        rows, own = basis.rows.copy(), basis.columns[len(self.x) :]
        rows[self.priced] = np.where(rows[self.priced] == At.BASIC, np.int8(At.BASIC), own)
        return Basis(basis.columns[: len(self.x)], rows)


def pose_refinement(arrays: ProgramArrays, x: Floats, y: Floats, smallest: float = SMALLEST_VIOLATION) -> Refinement:
    """Pose the program of an answer's error.

    Parameters
    ----------
    arrays : ProgramArrays
        Scaled near 1, as the solver's tolerances are absolute.
    smallest : float
        Violations below this one are not magnified to size 1.
    """
    low, high = np.isfinite(arrays.row_lower), np.isfinite(arrays.row_upper)
    below = np.where(low, -exact_row_sums(arrays.matrix, x, np.where(low, -arrays.row_lower, 0.0)), -np.inf)
    above = np.where(high, -exact_row_sums(arrays.matrix, x, np.where(high, -arrays.row_upper, 0.0)), np.inf)
    left, right = arrays.column_lower - x, arrays.column_upper - x
    reduced = -exact_row_sums(arrays.matrix.tocsc(), y, -arrays.cost)
    k = _factor(max(smallest, _violation(below, above), _violation(left, right)))
    largest = max(np.abs(reduced).max(initial=0.0), np.abs(y).max(initial=0.0))
    d = _factor(max(_wrong_dual(y, below, above), _wrong_dual(reduced, left, right), largest / LARGEST_COST))
    below, above, left, right = (_opened(k * side) for side in (below, above, left, right))
    priced = np.flatnonzero((y != 0.0) & (arrays.row_lower < arrays.row_upper))
    program = ProgramArrays(
        cost=d * np.concatenate([reduced, y[priced]]),
        offset=0.0,
        matrix=_with_row_columns(arrays.matrix, priced),
        row_lower=_with_zeros(below, priced),
        row_upper=_with_zeros(above, priced),
        column_lower=np.concatenate([left, below[priced]]),
        column_upper=np.concatenate([right, above[priced]]),
        integer=np.zeros(arrays.n_columns + len(priced), dtype=bool),
    )
    return Refinement(program, k, d, x, y, priced)


def _with_row_columns(matrix: sp.csr_array, rows: NDArray[np.int64]) -> sp.csr_array:
    """Append a column -1 for each of the rows."""
    entries = (np.full(len(rows), -1.0), (rows, np.arange(len(rows))))
    return sp.csr_array(sp.hstack([matrix, sp.csr_array(entries, shape=(matrix.shape[0], len(rows)))]))


def _with_zeros(sides: Floats, rows: NDArray[np.int64]) -> Floats:
    zeroed = sides.copy()
    zeroed[rows] = 0.0
    return zeroed


def _violation(below: Floats, above: Floats) -> float:
    """Return the largest violation, given the distances to the lower (<= 0) and the upper side (>= 0)."""
    return float(np.maximum(np.maximum(below, -above), 0.0).max(initial=0.0))


def _wrong_dual(dual: Floats, below: Floats, above: Floats) -> float:
    """Return the largest dual that points to a side the value does not lie at."""
    distance = np.where(dual > 0.0, -below, above)
    return float(np.abs(dual[distance > _AT_SIDE]).max(initial=0.0))


def _factor(violation: float) -> float:
    exponent = -math.log2(max(violation, SMALLEST_VIOLATION))
    return 2.0 ** max(0, math.floor(exponent))


def _opened(sides: Floats) -> Floats:
    """Sides that are too far away to matter are open."""
    return np.where(sides >= _OPEN, np.inf, np.where(sides <= -_OPEN, -np.inf, sides))
