"""The linear program as plain arrays: what the solver session reads and the certificate re-checks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ProgramArrays:
    """minimise cost'x + offset  subject to  row_lower <= A x <= row_upper,  column_lower <= x <= column_upper.

    Attributes
    ----------
    cost : (n,) float
    matrix : (m, n) sparse CSR, float
        Original, unscaled coefficients.
    row_lower, row_upper : (m,) float
        ±inf where a side is open.
    column_lower, column_upper : (n,) float
    integer : (n,) bool
        Columns that must be whole numbers.
    """

    cost: Floats
    offset: float
    matrix: sp.csr_array
    row_lower: Floats
    row_upper: Floats
    column_lower: Floats
    column_upper: Floats
    integer: NDArray[np.bool_]

    @property
    def n_columns(self) -> int:
        """Number of columns n."""
        return len(self.cost)

    @property
    def n_rows(self) -> int:
        """Number of rows m."""
        return len(self.row_lower)


def dot(a: Floats, b: Floats) -> float:
    """Return the sum of products of `a` and `b`, (n,) float each.

    Its digits do not depend on the number of processors, as those of BLAS do.
    """
    return float(np.sum(a * b))


def row_sizes(matrix: sp.csr_array, x: Floats) -> Floats:
    """Return the sum of the sizes of each row's terms, |A| |x|, (m,) float, of `matrix`, (m, n)."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return _sums(rows, np.abs(matrix.data) * np.abs(x)[matrix.indices], matrix.shape[0])


def column_sizes(matrix: sp.csr_array, y: Floats) -> Floats:
    """Return the sum of the sizes of each column's terms, |A|' |y|, (n,) float, of `matrix`, (m, n)."""
    sizes = np.abs(matrix.data) * np.repeat(np.abs(y), np.diff(matrix.indptr))
    return _sums(matrix.indices, sizes, matrix.shape[1])


def column_sums(matrix: sp.csr_array, y: Floats) -> Floats:
    """Return A'y, (n,) float, of `matrix`, (m, n)."""
    return _sums(matrix.indices, matrix.data * np.repeat(y, np.diff(matrix.indptr)), matrix.shape[1])


def _sums(place: NDArray[Any], terms: Floats, count: int) -> Floats:
    """Add terms one after the other at their places: the digits of a sparse product, without its objects."""
    return np.asarray(np.bincount(place, terms, count), dtype=np.float64)


def fix_sides(
    arrays: ProgramArrays,
    columns: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    rows: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> ProgramArrays:
    """Return the program with some columns and rows fixed at a side.

    Parameters
    ----------
    columns, rows : pair of (n,) and pair of (m,) bool
        Which are fixed at their lower side, and which at their upper one.
    """
    (down, up), (low, high) = columns, rows
    return replace(
        arrays,
        column_lower=np.where(up, arrays.column_upper, arrays.column_lower),
        column_upper=np.where(down, arrays.column_lower, arrays.column_upper),
        row_lower=np.where(high, arrays.row_upper, arrays.row_lower),
        row_upper=np.where(low, arrays.row_lower, arrays.row_upper),
    )


def fix_columns(arrays: ProgramArrays, which: NDArray[Any], values: Floats) -> ProgramArrays:
    """Return the continuous program with some columns fixed, inside their bounds.

    Parameters
    ----------
    which : (n,) bool or (k,) int
        The k columns that are fixed.
    values : (k,) float
    """
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    lower[which] = upper[which] = np.clip(values, lower[which], upper[which])
    return replace(arrays, column_lower=lower, column_upper=upper, integer=np.zeros(arrays.n_columns, dtype=bool))


def extent_of(arrays: ProgramArrays) -> Floats:
    """Return the larger size of each column's bounds, 1 where a side is open."""
    larger = np.maximum(np.abs(arrays.column_lower), np.abs(arrays.column_upper))
    return np.where(np.isfinite(larger), larger, 1.0)
