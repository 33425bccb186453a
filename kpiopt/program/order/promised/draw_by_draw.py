"""Promises as a program in which each planning draw has a whole number that says whether it is hit.

    m_gd(x) / scale_g + f + M_gd (1 - y_d) >= side      for each goal g and draw d,    sum_d y_d >= hits

Nothing is approximated. Draws that are alike share a whole number, which counts as often as they are drawn, and a goal
that nothing uncertain reaches has one row for all draws. Only where margins are linear in the decisions.

Reference: Luedtke and Ahmed (2008), A sample approximation approach for optimization with probabilistic constraints.
DOI 10.1137/070702928
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.columns import DecisionColumns
from kpiopt.program.formulation.cuts import Margins
from kpiopt.program.formulation.promises import Flags, Integers, Promise
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.tolerances import CERTAIN_MARGIN

ALIKE = 11
"""Digits to which the numbers of two draws agree that are the same draw."""


class LinearMargins(Margins, Protocol):
    """Draws whose margins are linear in the decisions, unless they are bent."""

    @property
    def leeway(self) -> Floats:
        """What a hit of each goal may lack of its target, (n_goals,) float."""

    def slopes(self, goals: Integers) -> tuple[Floats, Floats]:
        """Return what a unit of each decision adds to margins: (k, n_draws, n_cells) and (k, n_draws, n_levels)."""


@dataclass(frozen=True)
class Counting:
    """One promise in such a program.

    Attributes
    ----------
    number : int
        Of the promise.
    columns : (m,) int
        Whole numbers of the draws that differ.
    times : (m,) float
        How often each is drawn.
    alike : (n_draws,) int
        Which of them each draw is.
    """

    number: int
    columns: Integers
    times: Floats
    alike: Integers

    def hit(self, x: Floats) -> Flags:
        """Return the draws that a solution counts as hit, (n_draws,) bool."""
        return np.asarray(x[self.columns] > 0.5)[self.alike]


def count_alike(columns: DecisionColumns, promises: Sequence[Promise], draws: Margins) -> int:
    """Return how many draws differ, times the goals of each promise, by what a plan within the ranges says."""
    blocks, cells = (columns.stretch, columns.level), np.zeros(len(columns.scenario.cells))
    inside = [block.lower + _between(len(block)) * (block.upper - block.lower) for block in blocks]
    if not all(np.all(np.isfinite(each)) for each in inside):
        return draws.margins(cells, np.zeros(len(columns.level))).size
    cells[columns.stretch_cell] = inside[0]
    margins = draws.margins(cells, inside[1])
    return sum(len(p.goals) * len(_unique(margins[p.goals].T)[1]) for p in promises)


def _between(n: int) -> Floats:
    """Return shares that have nothing to do with each other, (n,) float."""
    return np.asarray(0.2 + 0.6 * np.modf(np.arange(1, n + 1) * 0.6180339887498949)[0])


def write_draw_by_draw(
    arrays: ProgramArrays, cascade: Cascade, draws: LinearMargins, side: Floats
) -> tuple[ProgramArrays, list[Counting]]:
    """Return a program in which every promise is about draws, and where they are; how many have to be hit is left open.

    Parameters
    ----------
    arrays : ProgramArrays
        Of the cascade, without rows that hold it to its promises.
    side : (n_promises,) float
        Margin that a hit needs.
    """
    columns, found = cascade.columns, list[Counting]()
    at_nothing = _at_nothing(columns, draws)
    for number, promise in enumerate(cascade.promises):
        goals = promise.goals
        slopes = _slopes(columns, promise, draws, arrays.n_columns)
        margin = at_nothing[goals]
        certain = _same_in_all(slopes) & _same_in_all(margin[:, :, None])
        margin = margin + np.where(certain, 0.0, draws.leeway[goals])[:, None]
        arrays, counting = _counting(arrays, promise, slopes, margin / promise.scale[:, None], certain, side[number])
        found.append(replace(counting, number=number))
    return arrays, found


def _at_nothing(columns: DecisionColumns, draws: LinearMargins) -> Floats:
    """Return the margins of the whole targets where nothing is done, (n_goals, n_draws) float."""
    nothing = np.zeros(len(columns.scenario.cells)), np.zeros(len(columns.level))
    margins = draws.margins(*nothing)
    with np.errstate(invalid="ignore"):
        certain = np.ptp(margins, axis=1) <= CERTAIN_MARGIN * np.maximum(1.0, np.abs(margins).max(axis=1))
    return np.asarray(margins - np.where(certain, 0.0, draws.leeway)[:, None])


def _same_in_all(values: Floats) -> Flags:
    """Return which goals have the same numbers in all draws, (k,) bool."""
    size = np.maximum(1.0, np.abs(values).max(axis=(1, 2), initial=0.0))
    return np.asarray(np.ptp(values, axis=1).max(axis=1, initial=0.0) <= CERTAIN_MARGIN * size)


def _slopes(columns: DecisionColumns, promise: Promise, draws: LinearMargins, n_columns: int) -> Floats:
    """Return what a unit of each column adds to each goal's relative margin in each draw, (k, n, n_columns) float."""
    cells, levels = draws.slopes(promise.goals)
    found = np.zeros((*cells.shape[:2], n_columns))
    found[:, :, columns.stretch.positions] = cells[:, :, columns.stretch_cell]
    found[:, :, columns.level.positions] = levels
    found /= np.reshape(promise.scale, (-1, 1, 1))
    found[:, :, promise.column] = 1.0
    return found


def _counting(
    arrays: ProgramArrays, promise: Promise, slopes: Floats, margin: Floats, certain: Flags, side: float
) -> tuple[ProgramArrays, Counting]:
    """Add a whole number for draws that are alike, and the rows that make it 0 where a goal is missed."""
    first, times, alike = _alike(slopes, margin)
    k, m, n = len(slopes), len(first), arrays.n_columns
    slopes, margin = slopes[:, first], margin[:, first]
    lower, upper = arrays.column_lower, arrays.column_upper.copy()
    used = np.abs(slopes).max(axis=(0, 1)) > 0.0
    reach = slopes[..., used]
    least = margin + np.where(reach > 0.0, reach * lower[used], reach * upper[used]).sum(axis=2)
    several = k > 1
    row = np.array([(g, d) for g in range(k) for d in (range(1) if several and certain[g] else range(m))])
    goal, draw = row[:, 0], row[:, 1]
    is_open = ~(certain[goal] & several)
    big = np.where(is_open, np.maximum(0.0, side - least[goal, draw]), 0.0)
    rows = sp.hstack(
        [sp.csr_array(slopes[goal, draw]), sp.csr_array((-big, (np.arange(len(row)), draw)), (len(row), m))]
    )
    wanted = np.where(is_open, side, 0.0) - margin[goal, draw] - big
    upper[promise.column] = max(upper[promise.column], 1.01 * float(np.max(side - least, initial=0.0)))
    wider = sp.hstack([arrays.matrix, sp.csr_array((arrays.n_rows, m))])
    posed = replace(
        arrays,
        cost=np.concatenate([arrays.cost, np.zeros(m)]),
        matrix=sp.csr_array(sp.vstack([wider, rows])),
        row_lower=np.concatenate([arrays.row_lower, wanted]),
        row_upper=np.concatenate([arrays.row_upper, np.full(len(row), np.inf)]),
        column_lower=np.concatenate([arrays.column_lower, np.zeros(m)]),
        column_upper=np.concatenate([upper, np.ones(m)]),
        integer=np.concatenate([arrays.integer, np.ones(m, dtype=bool)]),
    )
    return posed, Counting(-1, n + np.arange(m), times, alike)


def _alike(slopes: Floats, margin: Floats) -> tuple[Integers, Floats, Integers]:
    """Return the first of the draws that differ, how often each is drawn, and which of them every draw is."""
    every = np.concatenate([slopes, margin[:, :, None]], axis=2)
    return _unique(every.transpose(1, 0, 2).reshape(margin.shape[1], -1))


def _unique(rows: Floats) -> tuple[Integers, Floats, Integers]:
    """Return the first of the rows that differ by more than rounding, how often each is there, and which each is."""
    size = np.maximum(np.abs(rows).max(axis=0, initial=0.0), 1e-300)
    digits = np.round(rows / size, ALIKE) + 0.0
    _, first, inverse, times = np.unique(digits, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return first.astype(np.int64), times.astype(float), np.ravel(inverse).astype(np.int64)
