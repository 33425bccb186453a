"""Optimal faces: what a solved step leaves to the steps after it.

The points that are optimal for a linear program are exactly those complementary to any one of its dual solutions: a
column with a reduced cost stays at its bound, a row with a dual stays at its side. Handing on this face instead of a
row "objective <= value" keeps the next program small, well scaled and with an interior, and hands on the step's value
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.trust.arrays import Floats, ProgramArrays, column_sums, fix_sides, row_sizes
from kpiopt.program.trust.tolerances import LAST_DIGITS, NEAR_SIDE, OF_TERMS, ROUNDED_DUAL


@dataclass(frozen=True)
class SolvedStep:
    """A step's dual solution over the face it was solved on, kept to certify the steps after it.

    Attributes
    ----------
    cost : (n,) float
    value : float
        Optimal value of cost'x + offset.
    row_dual : (m,) float
    reduced_cost : (n,) float
        cost - A'row_dual.
    x : (n,) float
    gap : float
        What its certificate leaves open between value and bound.
    """

    cost: Floats
    offset: float
    value: float
    row_dual: Floats
    reduced_cost: Floats
    x: Floats
    gap: float


def restrict_to_face(arrays: ProgramArrays, step: SolvedStep, significant: float = ROUNDED_DUAL) -> ProgramArrays:
    """Fix columns and rows that have a significant dual at the side it points to.

    A dual is significant where it could change the objective by more than a share of the largest such change within
    the boxes; what lies below is the solver's rounding. Where that share is the least, a reduced cost counts as well
    that is more than the rounding of its own terms, and a row's dual that cancels the cost of a column: beside a goal
    at a hair's distance, others' are tiny shares.
    """
    span = arrays.column_upper - arrays.column_lower
    column_impact = np.abs(step.reduced_cost) * span
    row_impact = np.abs(step.row_dual) * row_sizes(arrays.matrix, span)
    least = significant * max(column_impact.max(initial=0.0), row_impact.max(initial=0.0))
    near = NEAR_SIDE * np.maximum(span, 1e-300)
    column_counts, row_counts = column_impact > least, row_impact > least
    if significant <= LAST_DIGITS:
        columns, rows = _beyond_rounding(arrays, step)
        column_counts, row_counts = column_counts | columns, row_counts | rows
    down = (step.reduced_cost > 0) & column_counts & (step.x - arrays.column_lower <= near)
    up = (step.reduced_cost < 0) & column_counts & (arrays.column_upper - step.x <= near)
    return fix_sides(arrays, (down, up), ((step.row_dual > 0) & row_counts, (step.row_dual < 0) & row_counts))


def same_face(arrays: ProgramArrays, before: ProgramArrays, after: ProgramArrays) -> ProgramArrays:
    """Fix in other arrays the columns and rows that were fixed between two programs, at the same side.

    Parameters
    ----------
    arrays, before, after : ProgramArrays
        Of the same shape.
    """
    down, up = after.column_upper != before.column_upper, after.column_lower != before.column_lower
    low, high = after.row_upper != before.row_upper, after.row_lower != before.row_lower
    return fix_sides(arrays, (down, up), (low, high))


def _beyond_rounding(arrays: ProgramArrays, step: SolvedStep) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which reduced costs are more than rounding, and which duals of rows cancel the cost of a column."""
    sizes = abs(arrays.matrix)
    terms = np.abs(step.cost) + sizes.T @ np.abs(step.row_dual)
    counts = np.abs(step.reduced_cost) > OF_TERMS * terms
    cancelled = np.flatnonzero((step.cost != 0.0) & ~counts)
    share = sp.csr_array(sizes[:, cancelled]).multiply(np.abs(step.row_dual)[:, None]).multiply(1.0 / terms[cancelled])
    return counts, sp.csr_array(share > OF_TERMS).sum(axis=1) > 0


def price_faces(arrays: ProgramArrays, steps: list[SolvedStep], row_dual: Floats, gradient: Floats) -> Floats:
    """Price the values of earlier steps so that duals over the face become duals over the whole program.

    A dual over the face may point the wrong way on a side that an earlier step has fixed. Adding that step's own dual
    solution, times a price of its value, turns the sign; the last step is treated first.

    Parameters
    ----------
    arrays : ProgramArrays
        The whole program, before any face.
    steps : list of SolvedStep
        Earlier steps in order.
    row_dual, gradient : (m,) and (n,) float
        Duals over the face, and the objective's gradient.

    Returns
    -------
    (n_steps,) float
        Price of each earlier step's value, >= 0.
    """
    y, d = row_dual.copy(), gradient - column_sums(arrays.matrix, row_dual)
    prices = np.zeros(len(steps))
    span = arrays.column_upper - arrays.column_lower
    for i in range(len(steps) - 1, -1, -1):
        step = steps[i]
        column = _price(step.reduced_cost, d, span > 0)
        row = _price(step.row_dual, y, arrays.row_lower != arrays.row_upper)
        prices[i] = max(column, row)
        y = y + prices[i] * step.row_dual
        d = d + prices[i] * step.reduced_cost
    return prices


def _price(earlier: Floats, later: Floats, counts: NDArray[np.bool_]) -> float:
    """Return the least p >= 0 at which later + p earlier points the way of earlier where both are significant."""
    size = ROUNDED_DUAL * np.abs(earlier).max(initial=0.0)
    wrong = counts & (np.abs(earlier) > size) & (np.sign(earlier) * later < 0)
    return float(np.max(-later[wrong] / earlier[wrong], initial=0.0))
