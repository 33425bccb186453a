"""The certificate: an answer checked against the original data, by code that shares nothing with solver or builder.

For minimise c'x + offset, L <= A x <= U, l <= x <= u, and any multipliers y of the rows with y_i >= 0 where U_i is
infinite and y_i <= 0 where L_i is infinite,

    c'x + offset  >=  offset + sum_i (y_i L_i if y_i > 0 else y_i U_i) + sum_j min(d_j l_j, d_j u_j),   d = c - A'y

for every feasible x. The right side is evaluated so that rounding can only lower it: it is a bound that needs no trust
in y. A multiplier on an open side is set to 0 first. The same inequality with c = 0 proves infeasibility (Farkas) where
the bound is above 0.

Measures, each compared with 1e-9:

- primal residual of a row: violation / max(|side|, sum_j |a_ij x_j|, floor_i), floor_i = min(1, sum_j |a_ij| e_j),
  with e_j the larger size of the column's finite bounds (1 where it has an open side): never more lenient than
  violation / max(1, |side|, sum_j |a_ij x_j|), and the same in any unit that makes the row small;
- relative gap: |objective - bound|, less what writing the numbers in 53 bits can cause (2^-51 of all terms that x and
  d enter, and reduced costs that rounding cannot tell from 0), over max(|c'x|, min(1, sum_j |c_j| e_j)); the offset is
  left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from kpiopt.program.trust.arrays import (
    Floats,
    ProgramArrays,
    column_sizes,
    column_sums,
    dot,
    extent_of,
    row_sizes,
)
from kpiopt.program.trust.exact import UNIT_ROUNDOFF, Lines, exact_dot, exact_row_sums, lower_sum, split_products
from kpiopt.program.trust.tolerances import BORDERLINE, CERTIFIED


class Worst(NamedTuple):
    """The place with the largest residual."""

    kind: str
    position: int

    def __str__(self) -> str:
        return f"{self.kind} {self.position}"


@dataclass(frozen=True)
class Certificate:
    """What an independent check of an answer found.

    Attributes
    ----------
    kind : str
        "optimal", "infeasible" or "unbounded".
    passed : bool
        Whether every measure is within the tolerance.
    primal_residual : float
        Largest scaled violation of a row or bound.
    relative_gap : float
        Scaled difference of objective and bound.
    objective, bound : float
        Correctly rounded objective, and a value that no feasible point goes below.
    integrality : float
        Always 0, as whole numbers are fixed before an answer is checked; what is kept of runs has it.
    margin : float
        For "infeasible": by how much the rows ask for more than the boxes can give, as a share of what they ask.
    worst : Worst or None
        Row or column with the largest residual.
    """

    kind: str
    passed: bool
    primal_residual: float = 0.0
    relative_gap: float = 0.0
    objective: float = 0.0
    bound: float = 0.0
    integrality: float = 0.0
    margin: float = 0.0
    worst: Worst | None = None

    @property
    def borderline(self) -> bool:
        """Whether the limits contradict each other, but by less than 2e-7 of their size."""
        return self.kind == "infeasible" and not self.passed and self.margin > 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form; what is not finite becomes null."""
        if self.kind == "infeasible":
            return {"kind": self.kind, "margin": _json(self.margin), "passed": self.passed}
        return {
            "kind": self.kind,
            "primal_residual": _json(self.primal_residual),
            "relative_gap": _json(self.relative_gap),
            "objective": _json(self.objective),
            "bound": _json(self.bound),
            "integrality": _json(self.integrality),
            "passed": self.passed,
        }


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def verify_optimal(
    arrays: ProgramArrays,
    x: Floats,
    row_dual: Floats,
    *,
    size: float | None = None,
    tolerance: float = CERTIFIED,
) -> Certificate:
    """Check a proposed optimum of a program without regard to whole numbers.

    Parameters
    ----------
    arrays : ProgramArrays
        Original data.
    x : (n,) float
    row_dual : (m,) float
        Any multipliers; the better they are the tighter the bound.
    size : float, optional
        What the gap is compared with; by default the objective's own size.

    Returns
    -------
    Certificate
        Not passed where a number is missing or not finite.
    """
    if not (_fits(arrays, x) and _all_finite(row_dual, arrays.n_rows)):
        return _failed("optimal")
    value = exact_dot(arrays.cost, x)
    size = size or max(abs(value), _natural_size(np.abs(arrays.cost), extent_of(arrays)))
    slip = _slip(arrays, x, row_dual, arrays.cost)
    return _judge(arrays, x, _Gap(value, linear_bound(arrays, row_dual), size, slip), tolerance)


def verify_quadratic(
    arrays: ProgramArrays,
    weight: Floats,
    centre: Floats,
    x: Floats,
    row_dual: Floats,
    *,
    size: float | None = None,
    tolerance: float = CERTIFIED,
) -> Certificate:
    """Check a proposed minimum of sum_j weight_j (x_j - centre_j)^2 + cost'x + offset over the program's rows and box.

    The bound is the Lagrangian dual, one parabola or line per column over its box, in closed form.

    Parameters
    ----------
    weight, centre : (n,) float
        weight >= 0.
    size : float, optional
        What the gap is compared with; by default the objective's own size.
    """
    n = arrays.n_columns
    given = _all_finite(weight, n) and _all_finite(centre, n) and bool(np.all(weight >= 0.0))
    if not (given and _fits(arrays, x) and _all_finite(row_dual, arrays.n_rows)):
        return _failed("optimal")
    distance = dot(weight, (x - centre) ** 2)
    linear = exact_dot(arrays.cost, x)
    extent = extent_of(arrays)
    reach = (extent + np.abs(centre)) ** 2
    own = max(distance, abs(linear), _natural_size(weight, reach), _natural_size(np.abs(arrays.cost), extent))
    slip = _slip(arrays, x, row_dual, 2.0 * weight * (x - centre) + arrays.cost)
    gap = _Gap(distance + linear, quadratic_bound(arrays, weight, centre, row_dual), size or own, slip)
    return _judge(arrays, x, gap, tolerance)


def verify_infeasible(arrays: ProgramArrays, ray: Floats, *, margin: float = BORDERLINE) -> Certificate:
    """Check a Farkas proof: the rows, weighted by `ray`, ask for more than any point of the box gives.

    A proof whose margin is a share of at most 2e-7 of what the rows ask is right but borderline, and does not pass:
    limits that clash by a hair come from rounded figures, not from a plan.

    Parameters
    ----------
    ray : (m,) float
        Weights of the rows; > 0 for a lower side, < 0 for an upper side.
    """
    if not (_data_is_sound(arrays) and _all_finite(ray, arrays.n_rows)):
        return _failed("infeasible")
    y = _project(arrays, ray)
    d = -exact_row_sums(arrays.matrix.tocsc(), y, np.zeros(arrays.n_columns))
    side, end = _sides(arrays, y), _ends(d, arrays)
    excess = _sum_below(y, side, d, end)
    size = max(np.abs(y * side).max(initial=0.0), np.abs(d * end).max(initial=0.0))
    share = excess / float(size) if excess > 0.0 else 0.0
    return Certificate("infeasible", passed=share > margin, margin=share)


def verify_unbounded(arrays: ProgramArrays, ray: Floats, x: Floats, *, tolerance: float = CERTIFIED) -> Certificate:
    """Check a proof of unboundedness: a feasible point and a direction that stays feasible and lowers the objective."""
    if not (_fits(arrays, x) and _all_finite(ray, arrays.n_columns)):
        return _failed("unbounded")
    far = np.where
    direction = ProgramArrays(
        arrays.cost,
        0.0,
        arrays.matrix,
        far(np.isfinite(arrays.row_lower), 0.0, -np.inf),
        far(np.isfinite(arrays.row_upper), 0.0, np.inf),
        far(np.isfinite(arrays.column_lower), 0.0, -np.inf),
        far(np.isfinite(arrays.column_upper), 0.0, np.inf),
        arrays.integer,
    )
    start, worst = primal_residual(arrays, x)
    along, _ = primal_residual(direction, ray)
    falls = exact_dot(arrays.cost, ray) < -tolerance * float(np.abs(arrays.cost * ray).sum())
    residual = max(start, along)
    return Certificate("unbounded", falls and residual <= tolerance, primal_residual=residual, worst=worst)


def primal_residual(arrays: ProgramArrays, x: Floats) -> tuple[float, Worst | None]:
    """Return the largest scaled violation of a row or a bound, and where it is; see the module for the scale."""
    row, column = _row_residuals(arrays, x), _column_residuals(arrays, x)
    largest_row, largest_column = float(row.max(initial=0.0)), float(column.max(initial=0.0))
    if max(largest_row, largest_column) == 0.0:
        return 0.0, None
    if largest_row >= largest_column:
        return largest_row, Worst("row", int(row.argmax()))
    return largest_column, Worst("column", int(column.argmax()))


def _row_residuals(arrays: ProgramArrays, x: Floats) -> Floats:
    """Scale the exact violation of each row's sides."""
    turnover = row_sizes(arrays.matrix, x)
    floor = np.minimum(1.0, row_sizes(arrays.matrix, extent_of(arrays)))
    size = np.maximum(turnover, floor)
    below = _beyond(arrays.matrix, x, arrays.row_lower, -1.0)
    above = _beyond(arrays.matrix, x, arrays.row_upper, 1.0)
    lower, upper = np.abs(_finite_or_0(arrays.row_lower)), np.abs(_finite_or_0(arrays.row_upper))
    return np.maximum(_share(below, np.maximum(size, lower)), _share(above, np.maximum(size, upper)))


def _beyond(matrix: sp.csr_array, x: Floats, side: Floats, sign: float) -> Floats:
    """Return sign times how far each row lies above its side, correctly rounded; 0 for open sides."""
    found, rows = np.zeros(len(side)), np.flatnonzero(np.isfinite(side))
    found[rows] = sign * exact_row_sums(Lines.of(matrix, rows), x, -side[rows])
    return found


def _finite_or_0(side: Floats) -> Floats:
    return np.where(np.isfinite(side), side, 0.0)


def _column_residuals(arrays: ProgramArrays, x: Floats) -> Floats:
    violation = np.maximum(np.maximum(arrays.column_lower - x, x - arrays.column_upper), 0.0)
    return _share(violation, np.maximum(np.abs(x), np.minimum(1.0, extent_of(arrays))))


def _share(violation: Floats, size: Floats) -> Floats:
    return np.where(violation > 0.0, violation / np.where(size > 0.0, size, np.finfo(float).tiny), 0.0)


def linear_bound(arrays: ProgramArrays, row_dual: Floats) -> float:
    """Return a value that cost'x (without the offset) does not go below on the program's rows and box."""
    y = _project(arrays, row_dual)
    d = -exact_row_sums(arrays.matrix.tocsc(), y, -arrays.cost)
    return _sum_below(y, _sides(arrays, y), d, _ends(d, arrays))


def quadratic_bound(arrays: ProgramArrays, weight: Floats, centre: Floats, row_dual: Floats) -> float:
    """Return a value that sum weight (x - centre)^2 + cost'x does not go below on the program's rows and box.

    Columns that must be whole numbers are taken at whole numbers.
    """
    y = _project(arrays, row_dual)
    d = -exact_row_sums(arrays.matrix.tocsc(), y, -arrays.cost)
    lower, upper = arrays.column_lower, arrays.column_upper
    flat = weight == 0.0
    w = np.where(flat, 1.0, weight)
    half = d / (2.0 * w)
    whole = arrays.integer & ~flat
    # Where the lowest point lies is told from differences, which are rounded once: near an end no digits are lost.
    at_lower, at_upper = (centre - lower) - half <= 0.0, (centre - upper) - half >= 0.0
    inside = ~(at_lower | at_upper | whole)
    at_whole, unsure = _best_whole(w, centre, d, (lower, upper))
    end = np.where(whole, at_whole, np.where(at_lower, lower, upper))
    end = np.where(inside | flat, centre, end)
    # At an end, the true lowest point may lie inside by rounding; the parabola is then lower by w times its square.
    slip = np.where(whole, 0.0, w * (8.0 * np.finfo(float).eps * (np.abs(end - centre) + np.abs(half))) ** 2)
    at = np.where(flat, _ends(d, arrays), end)  # bent: d at + the rest is the parabola's least
    rest = np.where(flat, 0.0, np.where(inside, -d * half / 2.0, w * (end - centre) ** 2) - slip)
    size = np.where(flat, 0.0, np.where(inside, np.abs(d * half), w * (end - centre) ** 2))
    size += np.where(whole, unsure, 0.0)
    return _sum_below(y, _sides(arrays, y), d, at, (rest, 8.0 * size))


def _best_whole(weight: Floats, centre: Floats, d: Floats, box: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the whole number in a whole box at which weight (x - centre)^2 + d x is least.

    Returns
    -------
    best, unsure : (n,) float
        Where rounding does not tell which of two is best, the sizes of what was compared; without end where it does
        not even tell which two; otherwise 0.
    """
    half = d / (2.0 * weight)
    lowest, error = centre - half, 8.0 * UNIT_ROUNDOFF * (np.abs(centre) + np.abs(half))
    is_lost = (error > 0.25) & (lowest > box[0] - 1.0 - error) & (lowest < box[1] + 1.0 + error)
    below = np.floor(lowest)
    first, second = np.clip(below, *box), np.clip(below + 1.0, *box)
    bent, other = weight * (first - centre) ** 2, weight * (second - centre) ** 2
    ahead = (bent - other) + d * (first - second)
    sizes = bent + other + np.abs(d)
    is_close = (first != second) & (np.abs(ahead) <= 16.0 * UNIT_ROUNDOFF * sizes)
    unsure = np.where(is_lost, np.inf, np.where(is_close, sizes, 0.0))
    return np.where(ahead <= 0.0, first, second), unsure


def _project(arrays: ProgramArrays, row_dual: Floats) -> Floats:
    """Set multipliers of open sides to 0."""
    is_open = (row_dual > 0.0) & np.isneginf(arrays.row_lower) | (row_dual < 0.0) & np.isposinf(arrays.row_upper)
    return np.where(is_open, 0.0, row_dual)


def _sides(arrays: ProgramArrays, y: Floats) -> Floats:
    """Return the side each multiplier points to, 0 where there is none."""
    return np.where(y > 0.0, arrays.row_lower, np.where(y < 0.0, arrays.row_upper, 0.0))


def _ends(d: Floats, arrays: ProgramArrays) -> Floats:
    """Return the end of each column's box at which d x is least, 0 where d is 0."""
    return np.where(d > 0.0, arrays.column_lower, np.where(d < 0.0, arrays.column_upper, 0.0))


def _sum_below(
    y: Floats, side: Floats, d: Floats, end: Floats, more: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
) -> float:
    """Return a value not above y'side + d'end + the sum of more, where of the products only d is rounded (once).

    `more` are further summands, and for each the sizes of what it was computed from, once for each rounding.
    """
    if np.any(np.isinf(end)):
        return -np.inf
    head, tail = split_products(np.concatenate([y, d]), np.concatenate([side, end]))
    slip = np.concatenate([np.zeros(len(head) + len(y)), np.abs(d * end), more[1]])
    return lower_sum(np.concatenate([head, tail, more[0]]), slip, 1)


def _natural_size(coefficient: Floats, extent: Floats) -> float:
    return min(1.0, dot(coefficient, extent))


class _Gap(NamedTuple):
    """Objective and bound, both without the offset, the size they are compared at, and what rounding explains."""

    value: float
    bound: float
    size: float
    slip: float = 0.0

    @property
    def share(self) -> float:
        distance = abs(self.value - self.bound)
        return max(0.0, distance - self.slip) / (self.size or 1.0) if math.isfinite(distance) else math.inf


def _slip(arrays: ProgramArrays, x: Floats, y: Floats, gradient: Floats) -> float:
    """Return how far objective and bound can be apart because x, y and the reduced costs are written in 53 bits."""
    reduced = np.abs(gradient - column_sums(arrays.matrix, y))
    terms = np.abs(gradient) + column_sizes(arrays.matrix, y)
    width = np.where(
        np.isfinite(arrays.column_upper - arrays.column_lower), arrays.column_upper - arrays.column_lower, 0.0
    )
    rounded = 4.0 * UNIT_ROUNDOFF * (dot(terms, np.abs(x)) + dot(reduced, extent_of(arrays)))
    zero = np.flatnonzero((reduced <= 4.0 * UNIT_ROUNDOFF * terms) & (width > 0.0))
    exact = exact_row_sums(Lines.of(arrays.matrix.tocsc(), zero), y, -gradient[zero])
    return rounded + dot(np.abs(exact), width[zero])


def _judge(arrays: ProgramArrays, x: Floats, gap: _Gap, tolerance: float) -> Certificate:
    residual, worst = primal_residual(arrays, x)
    return Certificate(
        kind="optimal",
        passed=residual <= tolerance and gap.share <= tolerance,
        primal_residual=residual,
        relative_gap=gap.share,
        objective=gap.value + arrays.offset,
        bound=gap.bound + arrays.offset,
        worst=worst,
    )


def _failed(kind: str) -> Certificate:
    return Certificate(kind, passed=False, primal_residual=math.inf, relative_gap=math.inf)


def _all_finite(vector: Floats, length: int) -> bool:
    return np.shape(vector) == (length,) and bool(np.all(np.isfinite(vector)))


def _fits(arrays: ProgramArrays, x: Floats) -> bool:
    return _data_is_sound(arrays) and _all_finite(x, arrays.n_columns)


def _data_is_sound(arrays: ProgramArrays) -> bool:
    """Tell whether shapes agree and every number can be computed with."""
    m, n = arrays.matrix.shape
    sides = [arrays.row_lower, arrays.row_upper, arrays.column_lower, arrays.column_upper]
    shapes = [len(side) for side in sides] == [m, m, n, n] and len(arrays.cost) == len(arrays.integer) == n
    numbers = np.concatenate([arrays.cost, arrays.matrix.data, [arrays.offset]])
    lower, upper = np.concatenate(sides[0::2]), np.concatenate(sides[1::2])
    ordered = bool(np.all(lower < np.inf) and np.all(upper > -np.inf))
    return shapes and ordered and bool(np.all(np.isfinite(numbers)))
