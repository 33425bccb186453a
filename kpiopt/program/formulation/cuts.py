"""A cascade held to its promises: cuts as rows of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from kpiopt.program.formulation.blocks import Columns, Integers, Rows, Terms
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.columns import DecisionColumns
from kpiopt.program.formulation.promises import Cut, Cuts, Flags, Promise, promises_of
from kpiopt.program.trust.arrays import Floats, dot

ROOM = 1.01
"""How much wider than needed the box of a shortfall is: no bound of it may hold a plan back."""


class Margins(Protocol):
    """The draws that a plan is made on."""

    @property
    def is_bent(self) -> bool:
        """Whether a bound or a curve keeps margins from being straight in the decisions."""

    def margins(self, stretch: Floats, levels: Floats) -> Floats:
        """Return how far each draw's value lies beyond each goal's target, (n_goals, n_draws) float."""

    def effects(self, stretch: Floats, levels: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Return what a unit of each decision adds to a weighted sum of margins, at a plan."""


def matching_tail(margin: Floats, needed: int) -> float:
    """Return how many of the worst draws have the mean margin that `needed` of all draws reach.

    Parts of a draw count. All draws where even their mean is below it.
    """
    ordered = np.sort(margin)
    excess = np.cumsum(ordered - ordered[len(ordered) - needed])
    after = np.flatnonzero(excess[len(ordered) - needed :] >= 0.0)
    if not len(after):
        return float(len(ordered))
    j = len(ordered) - needed + int(after[0])
    if j == 0 or excess[j] <= 0.0:
        return float(len(ordered) if excess[-1] <= 0.0 else j + 1)
    before = float(excess[j - 1])
    return j - before / float(excess[j] - before)


def tail_weights(margin: Floats, tail: float) -> Floats:
    """Return 1 for the worst draws, a part for the last of them, 0 elsewhere; together `tail`, (n_draws,) float."""
    order = np.argsort(margin, kind="stable")
    whole = int(tail)
    weight = np.zeros(len(margin))
    weight[order[:whole]] = 1.0
    if whole < len(margin):
        weight[order[whole]] = tail - whole
    return weight


def build_cut(
    draws: Margins,
    columns: DecisionColumns,
    position: int,
    promise: Promise,
    weight: Floats,
    counted: Flags,
    at: tuple[Floats, Floats],
    mean: float | None = None,
) -> Cut:
    """Return the row that is the tangent at a plan to the mean margin of some draws.

    Parameters
    ----------
    position : int
        Of the promise.
    weight : (n_draws,) float
    counted : (k, n_draws) bool
        Which of the promise's goals make up the margin of each draw.
    at : pair of (n_stretch,) and (n_levels,) float
        The plan.
    mean : float, optional
        The mean margin of these draws there, where it is known.
    """
    total, cell = float(weight.sum()), columns.stretch_cell
    share = np.zeros((len(columns.goals), len(weight)))
    share[promise.goals] = counted * (weight / total) / promise.scale[:, None]
    stretch = np.zeros(len(columns.scenario.cells))
    stretch[cell] = at[0]
    cells, level = draws.effects(stretch, at[1], share)
    if mean is None:
        own = promise.goals  # margins of goals that nothing is promised of are not there
        mean = float(np.sum(share[own] * draws.margins(stretch, at[1])[own]))
    return Cut(position, weight, counted, cells[cell], level, mean - dot(cells[cell], at[0]) - dot(level, at[1]), *at)


def with_cuts(cascade: Cascade, held_to: Cuts) -> Cascade:
    """Return a cascade whose program keeps cuts.

    Parameters
    ----------
    cascade : Cascade
        Without cuts.
    """
    cuts, lift, promises = held_to.cuts, held_to.lift, promises_of(cascade.columns, held_to.odds)
    if not cuts:
        return replace(cascade, cuts=held_to)
    columns, program = cascade.columns, cascade.program
    which = np.array([cut.promise for cut in cuts], dtype=np.int64)
    held = np.array([promise.column for promise in promises], dtype=np.int64)[which]
    least = np.where([cut.is_exact for cut in cuts], 0.0, lift[which])
    blocks = tuple(_widened(block, columns, cuts, held, least) for block in program.columns)
    terms = [
        _terms(columns.stretch, [cut.stretch for cut in cuts]),
        _terms(columns.level, [cut.level for cut in cuts]),
        *(_shortfall_terms(block, held) for block in blocks if block.name in ("shortfall", "together", "risk")),
    ]
    side = least - np.array([cut.constant for cut in cuts])
    names = [f"{promises[p].name} {np.count_nonzero(which[: i + 1] == p)}" for i, p in enumerate(which.tolist())]
    rows = Rows("promise", program.n_rows, side, np.full(len(cuts), np.inf), tuple(terms), names.__getitem__)
    steps = [replace(o, slack=max(o.slack, held_to.left)) if o.name == "cvar" else o for o in program.objectives]
    program = replace(program, columns=blocks, rows=(*program.rows, rows), objectives=tuple(steps))
    return replace(cascade, program=program, cuts=held_to)


def _terms(block: Columns, values: Sequence[Floats]) -> Terms:
    row, member = np.nonzero(np.array(values).reshape(len(values), len(block)))
    return Terms(block, row, member, np.array(values)[row, member] if len(row) else np.empty(0))


def _shortfall_terms(block: Columns, held: Integers) -> Terms:
    row = np.flatnonzero((held >= block.start) & (held < block.start + len(block)))
    return Terms(block, row, held[row] - block.start, np.ones(len(row)))


def _widened(block: Columns, columns: DecisionColumns, cuts: Sequence[Cut], held: Integers, lift: Floats) -> Columns:
    """Let shortfalls be as large as the cuts can ask for anywhere within the boxes of the decisions."""
    upper = block.upper.copy()
    for cut, column, least in zip(cuts, held.tolist(), lift.tolist(), strict=True):
        if block.start <= column < block.start + len(block):
            worst = cut.constant + _least(cut.stretch, columns.stretch) + _least(cut.level, columns.level)
            upper[column - block.start] = max(upper[column - block.start], ROOM * (least - worst))
    return block if np.array_equal(upper, block.upper) else replace(block, upper=upper)


def _least(effect: Floats, block: Columns) -> float:
    return float(np.sum(np.where(effect > 0.0, effect * block.lower, effect * block.upper)))
