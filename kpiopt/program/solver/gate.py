"""The gate: numbers are checked and scaled before the solver sees them.

HiGHS drops coefficients of size 1e-9 and less, takes bounds of 1e20 for open, and goes on after a rejected row. What it
could misread is refused here; the rest is scaled by exact powers of two, which changes no digit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import NumericsError, Problem, Problems
from kpiopt.program.trust.arrays import Floats, ProgramArrays

LARGEST_COEFFICIENT = 1e15
OPEN_BOUND = 1e20
_SHOWN = 5
_PASSES = 4


def check_numbers(arrays: ProgramArrays) -> None:
    """Refuse numbers that a solver cannot be trusted with.

    Raises
    ------
    NumericsError
        With one problem per kind of fault, naming the first places.
    """
    found = Problems()
    row = np.repeat(np.arange(arrays.n_rows), np.diff(arrays.matrix.indptr))
    _note(found, "coefficient", ~_is_moderate(arrays.matrix.data), arrays.matrix.data, "row", row)
    _note(found, "cost", ~_is_moderate(arrays.cost), arrays.cost, "column")
    if not np.isfinite(arrays.offset):
        found.add(Problem("E-number", f"the objective's constant is {arrays.offset}", "numbers are finite"))
    _check_sides(found, arrays.row_lower, arrays.row_upper, "row")
    _check_sides(found, arrays.column_lower, arrays.column_upper, "column")
    found.raise_errors(NumericsError)


def _is_moderate(values: Floats) -> NDArray[np.bool_]:
    return np.abs(values) < LARGEST_COEFFICIENT


def _check_sides(found: Problems, lower: Floats, upper: Floats, kind: str) -> None:
    for name, side, is_open in (("lower", lower, np.isneginf(lower)), ("upper", upper, np.isposinf(upper))):
        _note(found, f"{name} side", ~(is_open | (np.abs(side) < OPEN_BOUND)), side, kind)
    crossed = np.flatnonzero(lower > upper)
    if len(crossed):
        places = ", ".join(f"{kind} {i}: {lower[i]:g} above {upper[i]:g}" for i in crossed[:_SHOWN].tolist())
        message = f"lower side above upper side ({places}{_and_more(len(crossed))})"
        found.add(Problem("E-sides-crossed", message, "a lower side is at most the upper side"))


def _note(
    found: Problems,
    what: str,
    is_bad: NDArray[np.bool_],
    values: Floats,
    kind: str,
    position: NDArray[np.int64] | None = None,
) -> None:
    bad = np.flatnonzero(is_bad)
    if not len(bad):
        return
    where = bad if position is None else position[bad]
    places = ", ".join(
        f"{kind} {i}: {v:g}" for i, v in zip(where[:_SHOWN].tolist(), values[bad].tolist(), strict=False)
    )
    message = f"{what} not usable ({places}{_and_more(len(bad))})"
    rule = "coefficients and costs are finite and below 1e15, sides below 1e20 or open"
    found.add(Problem("E-number", message, rule, "choose larger units of measure, such as thousands"))


def _and_more(count: int) -> str:
    return f", and {count - _SHOWN} more" if count > _SHOWN else ""


@dataclass(frozen=True)
class Scaling:
    """Exact powers of two for rows, columns and objective.

    The scaled program has matrix R A S, cost t S c, row sides R L, bounds S^-1 l. So x = S x', y = R y' / t.

    Attributes
    ----------
    row : (m,) float
        R.
    column : (n,) float
        S; 1 for whole-number columns.
    objective : float
        t.
    """

    row: Floats
    column: Floats
    objective: float

    def apply(self, arrays: ProgramArrays) -> ProgramArrays:
        """Return the scaled program; its offset is 0."""
        matrix = arrays.matrix.copy()
        matrix.data = matrix.data * np.repeat(self.row, np.diff(matrix.indptr)) * self.column[matrix.indices]
        return replace(
            arrays,
            cost=arrays.cost * self.column * self.objective,
            offset=0.0,
            matrix=matrix,
            row_lower=arrays.row_lower * self.row,
            row_upper=arrays.row_upper * self.row,
            column_lower=arrays.column_lower / self.column,
            column_upper=arrays.column_upper / self.column,
        )


def find_scaling(arrays: ProgramArrays, box_share: float = 0.5) -> Scaling:
    """Find powers of two that bring coefficients, boxes, sides and costs near 1.

    Geometric scaling: rows and columns in turn are divided by the geometric middle of their smallest and largest
    coefficient (Curtis & Reid 1972, doi:10.1093/imamat/10.1.118, treat the least-squares relative of it). Columns move
    part of the way to a box of width 1, and share a factor that centres the rows' sides.

    Parameters
    ----------
    box_share : float
        0: columns are scaled by their coefficients; 1: by the width of their box.
    """
    matrix = sp.csr_array(arrays.matrix)
    row = np.repeat(np.arange(arrays.n_rows), np.diff(matrix.indptr))
    used = matrix.data != 0.0
    row, column, size = row[used], matrix.indices[used], np.log2(np.abs(matrix.data[used]))
    width = _width(arrays)
    r, s = np.zeros(arrays.n_rows), np.zeros(arrays.n_columns)
    for _ in range(_PASSES):
        r = -_middle_by(row, size + s[column], arrays.n_rows)
        s = -_middle_by(column, size + r[row], arrays.n_columns)
        s = np.where(arrays.integer, 0.0, _towards(s, width, box_share))
    s = np.where(arrays.integer, 0.0, np.rint(s + _side_level(arrays, r)))
    r = -_middle_by(row, size + s[column], arrays.n_rows)
    column_scale = _power_of_two(s)
    costs = np.abs(arrays.cost * column_scale)
    costs = costs[costs > 0.0]
    t = float(_power_of_two(np.array([-_middle(np.log2(costs))]))[0]) if len(costs) else 1.0
    return Scaling(_power_of_two(r), column_scale, t)


def _width(arrays: ProgramArrays) -> Floats:
    """Return the exponent of each box's width, nan where it is 0 or open."""
    width = arrays.column_upper - arrays.column_lower
    known = np.isfinite(width) & (width > 0.0)
    return np.where(known, np.log2(np.where(known, width, 1.0)), np.nan)


def _towards(s: Floats, width: Floats, share: float) -> Floats:
    """Move scales part of the way to the boxes' widths, whose common size does not count."""
    known = ~np.isnan(width)
    if share == 0.0 or not np.any(known):
        return s
    level = _middle((width - s)[known])
    return np.where(known, (1.0 - share) * s + share * (np.where(known, width, 0.0) - level), s)


def _side_level(arrays: ProgramArrays, r: Floats) -> float:
    """Return the exponent of the geometric middle of the scaled rows' sides."""
    sides = np.concatenate([arrays.row_lower, arrays.row_upper])
    exponents = np.concatenate([r, r])
    known = np.isfinite(sides) & (sides != 0.0)
    return _middle(np.log2(np.abs(sides[known])) + exponents[known]) if np.any(known) else 0.0


def _middle(exponents: Floats) -> float:
    return float(exponents.min() + exponents.max()) / 2.0


def _middle_by(group: NDArray[np.int64], exponents: Floats, count: int) -> Floats:
    """Return the middle of smallest and largest exponent of each group, 0 for empty groups."""
    smallest, largest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(smallest, group, exponents)
    np.maximum.at(largest, group, exponents)
    filled = np.isfinite(smallest)
    return np.where(filled, (np.where(filled, smallest, 0.0) + np.where(filled, largest, 0.0)) / 2.0, 0.0)


def _power_of_two(exponents: Floats) -> Floats:
    whole = np.clip(np.rint(exponents), -400, 400).astype(np.int64)
    return np.ldexp(np.ones(len(whole)), whole)
