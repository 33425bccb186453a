"""The draws that a plan with promised odds is made on: margins of goals, and what each decision does to them.

They come from streams of their own ("planning/<name>"), so that the draws of `[simulation]`, which judge the plan, are
none that planning has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import LimitReached, Problem
from kpiopt.graph import CausalGraph
from kpiopt.scenario.scenario import Floats, Integers, SimulationSettings
from kpiopt.simulation.hits import as_rows, goal_rule
from kpiopt.simulation.redraw import MOST_NUMBERS, DrawBook, Redraw, draw_book

Flags = NDArray[np.bool_]
PLANNING, CHECKING = "planning/", "checking/"
"""What the streams of the draws begin with that a plan is made on, and that it is checked on before it is published."""

CHECKED, CHECKED_NUMBERS = 1 << 16, 1 << 25
"""Draws that a plan is checked on, and numbers (256 MB) that are kept of them: they tell less than half of what the
draws of `[simulation]` leave open, so that these hardly ever say less than was promised. Where there are too many
numbers there are fewer of these draws, but never fewer than the plan was made on."""

CERTAIN = 1e-12
"""Share of its size by which the margin of a goal that nothing uncertain reaches may differ between draws."""
_LAST: dict[str, DrawBook] = {}
"""The last draws: all plans of one command are made on the same ones."""


@dataclass(frozen=True)
class PlanningDraws(Redraw):
    """Draws kept for planning."""

    def margins(self, stretch: Floats, levels: Floats) -> Floats:
        """Return how far each draw's value lies beyond what hits each goal, (n_goals, n_draws) float, in its direction.

        A value that rounds to the target is a hit, up to `leeway` below it. Of a goal that is the same in all draws
        the whole target is asked, as of a plan value.
        """
        found = np.empty((len(self.rule.nodes), self.book.layout.draws))
        sign = np.where(self.rule.is_down, -1.0, 1.0)[:, None]
        for here, delta in self._chunks(stretch, levels):
            found[:, here] = sign * (delta[self.rule.rows] - self._least)
        found[~is_certain(found)] += self.leeway[~is_certain(found), None]
        return found

    @cached_property
    def _least(self) -> Floats:
        """Deviation from the baseline that is asked of each goal, (n_goals, 1) float."""
        target = np.array([goal.target for goal in self.graph.scenario.goals.values()], dtype=np.float64)
        return (target - self.graph.baseline[goal_rule(self.graph).nodes])[:, None]

    @property
    def leeway(self) -> Floats:
        """What a hit of each goal may lack of its target, (n_goals,) float."""
        return np.abs(self._least[:, 0] - self.rule.threshold)

    def effects(self, stretch: Floats, levels: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Return what a unit of each decision adds to a weighted sum of margins, at a plan.

        Goes back along the edges, draw by draw; what a bound of a KPI cuts off in a draw passes nothing on.

        Parameters
        ----------
        stretch : (n_cells,) float
        levels : (n_levels,) float
        weight : (n_goals, n_draws) float

        Returns
        -------
        (n_cells,) and (n_levels,) float
        """
        graph, sign = self.graph, np.where(self.rule.is_down, -1.0, 1.0)[:, None]
        at_cells, at_levels = self._place[graph.entry_node], self._place[graph.level_node]
        cells, total = np.zeros(len(at_cells)), np.zeros(len(self._relevant))
        for number, (here, clipped) in enumerate(self._clipped(stretch, levels)):
            counted = np.flatnonzero(weight[:, here].any(axis=0))
            if not len(counted):
                continue
            back = np.zeros((self._passage.n_rows, len(counted)))
            np.add.at(back, self.rule.nodes, sign * weight[:, here][:, counted])
            cut_off = None if clipped is None else clipped[:, counted]
            self._go_back(back, cut_off, self.book.values[:, here][:, counted])
            total += back[: len(total)].sum(axis=1)
            drawn = self.book.execution[number][self._drawn_row][:, counted]
            cells[self._drawn] += np.einsum("ij,ij->i", back[self._drawn_place], drawn)
        certain = (at_cells >= 0) & (self.book.execution_row < 0)
        cells[certain] = (total[at_cells] * graph.execution_mean)[certain]
        return cells * graph.per_stretch, np.where(at_levels >= 0, total[at_levels], 0.0)

    def slopes(self, goals: Integers) -> tuple[Floats, Floats]:
        """Return what a unit of each decision adds to goals' margins in each draw, where no KPI has bounds.

        Parameters
        ----------
        goals : (k,) int

        Returns
        -------
        (k, n_draws, n_cells) and (k, n_draws, n_levels) float
        """
        draws, cells, levels = self.book.layout.draws, len(self.graph.scenario.cells), len(self.graph.level_node)
        found = np.zeros((len(goals), draws, cells)), np.zeros((len(goals), draws, levels))
        for place, goal in enumerate(goals.tolist()):
            for draw in range(draws):
                weight = np.zeros((len(self.rule.nodes), draws))
                weight[goal, draw] = 1.0
                found[0][place, draw], found[1][place, draw] = self.effects(np.zeros(cells), np.zeros(levels), weight)
        return found

    def _clipped(self, stretch: Floats, levels: Floats) -> Iterator[tuple[slice, Flags | None]]:
        """Yield draws and where bounds cut values off in them, (n_relevant, n) bool; None where nothing is bounded."""
        if not np.any(self._place[self.graph.bounded] >= 0):
            for start in range(0, self.book.layout.draws, self.book.chunk):
                yield slice(start, min(start + self.book.chunk, self.book.layout.draws)), None
            return
        for here, delta in self._chunks(stretch, levels):
            clipped = np.zeros(delta.shape, dtype=bool)
            for level in self._passage.levels:
                place, low, high = level.bounds
                clipped[place] = (delta[place] <= low) | (delta[place] >= high)
            yield here, clipped

    def _go_back(self, back: Floats, clipped: Flags | None, values: Floats) -> None:
        """Add to each node's weight that of all that it moves, (n_rows, n) float, in place."""
        levels, certain = self._passage.levels, self._certain
        for level, (tails, together), (rows, matrix) in zip(
            levels[::-1], self._tails[::-1], certain[::-1], strict=True
        ):
            here = slice(level.start, level.stop)
            if clipped is not None:
                back[here][clipped[here]] = 0.0
            if level.matrix.nnz:
                back[rows] += matrix @ back[here]
            if level.last > level.first:
                drawn = np.empty((level.last - level.first, back.shape[1]))
                level.factors.multiply(values, back[level.first : level.last], drawn)
                back[tails] += together @ drawn

    @cached_property
    def _certain(self) -> list[tuple[slice | Integers, sp.csr_array]]:
        """Of each level the rows that its certain edges come from, and these edges backwards, (k, n_nodes) sparse."""
        found = []
        for level in self._passage.levels:
            rows = np.unique(level.matrix.indices).astype(np.int64)
            found.append((as_rows(rows), sp.csr_array(sp.csc_array(level.matrix)[:, rows].T)))
        return found

    @cached_property
    def _tails(self) -> list[tuple[Integers, sp.csr_array]]:
        """Of each level the nodes that its uncertain edges come from, and which edges come from each."""
        found = []
        for level in self._passage.levels:
            tails, row = np.unique(level.tail, return_inverse=True)
            entries = np.ones(len(row)), (row, np.arange(len(row)))
            found.append((tails, sp.csr_array(entries, shape=(len(tails), len(row)))))
        return found


def is_certain(margins: Floats) -> Flags:
    """Return which margins are the same in all draws, (n,) bool."""
    return np.asarray(np.ptp(margins, axis=1) <= CERTAIN * np.maximum(1.0, np.abs(margins).max(axis=1)))


def planning_draws(graph: CausalGraph) -> PlanningDraws:
    """Draw what `[odds]` asks for.

    Raises
    ------
    LimitReached
        Where the draws take more numbers than are kept.
    """
    odds = graph.scenario.odds
    book = _drawn(graph, PLANNING, [odds.draws], MOST_NUMBERS)
    if book is None:
        cells = int(np.count_nonzero(graph.scenario.cells.has_decision))
        problem = Problem(
            "E-odds-draws",
            f"{odds.draws:,} draws of {cells:,} decisions are more than are kept to plan on",
            rule=f"draws times uncertain quantities are at most {MOST_NUMBERS:,}",
            fix=f"write [odds] draws = {max(32, MOST_NUMBERS // max(1, 2 * cells)):,}, or fewer".replace(",", "_"),
        )
        raise LimitReached(problem)
    return PlanningDraws(graph, book)


def checking_draws(graph: CausalGraph) -> PlanningDraws:
    """Draw what plans are checked on before they are published; as much is known to fit as planning has kept."""
    least = graph.scenario.odds.draws
    sizes = [size for size in (CHECKED, CHECKED >> 1, CHECKED >> 2, CHECKED >> 3) if size > least]
    book = _drawn(graph, CHECKING, sizes, CHECKED_NUMBERS) or _drawn(graph, CHECKING, [least], MOST_NUMBERS)
    return PlanningDraws(graph, book) if book else planning_draws(graph)


def _drawn(graph: CausalGraph, apart: str, sizes: Sequence[int], most: int) -> DrawBook | None:
    """Return the most draws of those sizes that are kept; None where even the fewest are too many."""
    odds, last = graph.scenario.odds, _LAST.get(apart)
    same = last is not None and last.graph.scenario.odds
    if last is not None and same and (same.draws, same.seed) == (odds.draws, odds.seed) and last.fits(graph):
        return last
    settings = (SimulationSettings(draws, odds.seed) for draws in sizes)
    book = next((book for each in settings if (book := draw_book(graph, each, apart=apart, most=most))), None)
    if book is not None:
        _LAST[apart] = book
    return book
