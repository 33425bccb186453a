"""What single limits leave of the whole numbers, before anything is branched on.

A largest level far beyond what the limits allow ("no limit") lets every search and every proof lose its digits to
levels that no plan has. Of a level a limit leaves what the ends of the other columns leave it: at most limit / use
where uses are not negative. Nothing here is trusted: what is split off is bounded exactly by `whole_tree`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from kpiopt.program.formulation.blocks import Integers
from kpiopt.program.trust.arrays import Floats, ProgramArrays

LEFT = 0.5
"""What leaves more than this share of a level's range is left to the search."""
NEAR = 1e-9
"""Share of a level by which a quotient below it may be rounding; the exact bound decides."""


class Implied(NamedTuple):
    """Level `i` is at most (or at least) `level`, as a row's lower (`sign` 1) or upper side (-1) shows."""

    i: int
    level: float
    is_most: bool
    row: int
    sign: float


def implied_levels(arrays: ProgramArrays, whole: Integers, low: Floats, high: Floats) -> Iterator[Implied]:
    """Yield the ends that single rows imply for whole numbers within [low, high], where they leave much less.

    Parameters
    ----------
    arrays : ProgramArrays
        With finite boxes.
    whole : (k,) int
        The whole-number columns.
    low, high : (k,) float
    """
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    lower[whole], upper[whole] = low, high
    matrix = sp.coo_array(arrays.matrix)
    ends = np.sort([matrix.data * lower[matrix.col], matrix.data * upper[matrix.col]], axis=0)
    least, most = (np.bincount(matrix.row, end, arrays.n_rows)[matrix.row] - end for end in ends)
    place = np.full(arrays.n_columns, -1)
    place[whole] = np.arange(len(whole))
    ours = np.flatnonzero((place[matrix.col] >= 0) & (matrix.data != 0.0))
    found: dict[tuple[int, bool], Implied] = {}
    for sign, left in ((-1.0, arrays.row_upper[matrix.row] - least), (1.0, arrays.row_lower[matrix.row] - most)):
        for e in ours[np.isfinite(left[ours])].tolist():
            i, row, value = int(place[matrix.col[e]]), int(matrix.row[e]), float(matrix.data[e])
            is_most, end = (value > 0.0) == (sign < 0.0), float(left[e]) / value
            near = NEAR * max(1.0, abs(end))
            level = float(np.floor(end + near) if is_most else np.ceil(end - near))
            kept = found.get((i, is_most))
            if kept is None or (level < kept.level) == is_most:
                found[i, is_most] = Implied(i, level, is_most, row, sign)
    for implied in found.values():
        width = high[implied.i] - low[implied.i]
        left_over = implied.level - low[implied.i] if implied.is_most else high[implied.i] - implied.level
        if width >= 2.0 and 0.0 <= left_over <= LEFT * width:
            yield implied
