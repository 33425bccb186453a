"""A small program without the columns that equations define: values, shortfalls, whatever has no say of its own.

Values of units have boxes from interval arithmetic, far from everything that decides. Where numbers are many sizes
apart, such boxes hide which limits hold; without these columns what is left speaks of decisions alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.trust.arrays import Floats, ProgramArrays

MOST_ENTRIES = 1_000_000
"""Rows times columns up to which a program is small."""
LEAST_PIVOT = 1e-6
"""Share of an equation's largest coefficient below which a column is not what it defines."""


@dataclass(frozen=True)
class Substitution:
    """A program and what is left of it.

    Attributes
    ----------
    whole, left : ProgramArrays
        The rows of `left` are the other rows of `whole`, then the boxes of the columns that were taken out.
    kept, gone : (k,) and (g,) int
        Columns of `whole`.
    rows, equations : (r,) and (g,) int
        Rows of `whole`.
    """

    whole: ProgramArrays
    left: ProgramArrays
    kept: NDArray[np.int64]
    gone: NDArray[np.int64]
    rows: NDArray[np.int64]
    equations: NDArray[np.int64]

    def restore(self, x: Floats, row_dual: Floats) -> tuple[Floats, Floats]:
        """Return point and duals of the whole program, of an objective without the columns that were taken out."""
        whole, matrix = self.whole, self.whole.matrix.toarray()
        defining = matrix[np.ix_(self.equations, self.gone)]
        point, dual = np.zeros(whole.n_columns), np.zeros(whole.n_rows)
        point[self.kept] = x
        rest = whole.row_lower[self.equations] - matrix[self.equations] @ point
        point[self.gone] = np.linalg.solve(defining, rest)
        dual[self.rows], reduced = row_dual[: len(self.rows)], row_dual[len(self.rows) :]
        dual[self.equations] = np.linalg.solve(defining.T, -(matrix.T @ dual)[self.gone] - reduced)
        return np.clip(point, whole.column_lower, whole.column_upper), dual


def substitute(arrays: ProgramArrays, has_say: NDArray[np.bool_]) -> Substitution | None:
    """Take out columns that equations define and the objective does not count.

    Parameters
    ----------
    has_say : (n,) bool
        Columns that the objective counts; they stay.

    Returns
    -------
    Substitution or None
        None where nothing can be taken out, or the program is not small.
    """
    m, n = arrays.matrix.shape
    found = _pair(arrays, has_say) if 0 < m * n <= MOST_ENTRIES else []
    if not found:
        return None
    equations, gone = (np.array(each, dtype=np.int64) for each in zip(*found, strict=True))
    kept, rows = np.setdiff1d(np.arange(n), gone), np.setdiff1d(np.arange(m), equations)
    matrix, low, high = arrays.matrix.toarray(), arrays.row_lower, arrays.row_upper
    defining = matrix[np.ix_(equations, gone)]
    slope = np.linalg.solve(defining, matrix[np.ix_(equations, kept)])
    level = np.linalg.solve(defining, low[equations])
    through = matrix[np.ix_(rows, gone)]
    moved = through @ level
    left = ProgramArrays(
        arrays.cost[kept],
        arrays.offset,
        sp.csr_array(np.vstack([matrix[np.ix_(rows, kept)] - through @ slope, -slope])),
        np.concatenate([low[rows] - moved, arrays.column_lower[gone] - level]),
        np.concatenate([high[rows] - moved, arrays.column_upper[gone] - level]),
        arrays.column_lower[kept],
        arrays.column_upper[kept],
        arrays.integer[kept],
    )
    return Substitution(arrays, left, kept, gone, rows, equations)


def _pair(arrays: ProgramArrays, has_say: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return equations with the column that each defines, by elimination: the one that moves it most."""
    work, free = arrays.matrix.toarray(), ~has_say
    span = arrays.column_upper - arrays.column_lower
    reach = np.where(np.isfinite(span), span, 1.0)
    found: list[tuple[int, int]] = []
    for row in np.flatnonzero(arrays.row_lower == arrays.row_upper).tolist():
        size = np.abs(work[row])
        column = int(np.argmax(np.where(free & (size > LEAST_PIVOT * size.max(initial=0.0)), size * reach, -1.0)))
        if not free[column] or size[column] * reach[column] <= 0.0:
            continue
        found.append((row, column))
        free[column] = False
        factor = work[:, column] / work[row, column]
        factor[row] = 0.0
        work -= np.outer(factor, work[row])
    return found
