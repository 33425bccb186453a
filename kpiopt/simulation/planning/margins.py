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
from kpiopt.simulation.hits import goal_rule
from kpiopt.simulation.planning.backwards import Backwards
from kpiopt.simulation.planning.condensed import Condensed, condense
from kpiopt.simulation.planning.memory import most_kept
from kpiopt.simulation.propagate import Passage
from kpiopt.simulation.redraw import DrawBook, Redraw, chunk_size, draw_book

Flags = NDArray[np.bool_]
PLANNING, CHECKING = "planning/", "checking/"
"""What the streams of the draws begin with that a plan is made on, and that it is checked on before it is published."""

CHECKED, CHECKED_NUMBERS = 1 << 16, 1 << 25
"""Draws that a plan is checked on, and numbers (256 MB) that are kept of them: they tell less than half of what the
draws of `[simulation]` leave open, so that these hardly ever say less than was promised. Where there are too many
numbers there are fewer of these draws, but never fewer than the plan was made on."""

CERTAIN = 1e-12
"""Share of its size by which the margin of a goal that nothing uncertain reaches may differ between draws."""
_LAST: dict[str, PlanningDraws] = {}
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
        for here, delta in self._goal_chunks(stretch, levels):
            found[:, here] = sign * (delta - self._least)
        found[~is_certain(found)] += self.leeway[~is_certain(found), None]
        return found

    def _goal_chunks(self, stretch: Floats, levels: Floats) -> Iterator[tuple[slice, Floats]]:
        """Yield draws and the deviations of the goals' nodes in them."""
        condensed = self._condensed
        if condensed is None:
            yield from ((here, delta[self.rule.rows]) for here, delta in self._chunks(stretch, levels))
        else:
            rows = np.searchsorted(condensed.kept, self.rule.nodes)
            yield from ((here, delta[rows]) for here, delta in self._kept_chunks(stretch, levels))

    @cached_property
    def _condensed(self) -> Condensed | None:
        return condense(self._passage, self.rule.nodes)

    @cached_property
    def _kept_start(self) -> Floats:
        """What the kept nodes deviate by whatever the plan is, before they act on each other, (k, n_draws) float."""
        assert self._condensed is not None
        reach, draws = self._condensed.reach, self.book.layout.draws
        found, none = np.zeros((reach.shape[0], draws)), np.zeros(len(self._relevant))
        uncertain = np.any(self.graph.node_quantity[self._relevant] >= 0)
        for start in range(0, draws if uncertain or self.book.noise is not None else 0, self.book.chunk):
            here = slice(start, min(start + self.book.chunk, draws))
            rows = np.empty((len(none), here.stop - start))
            found[:, here] = reach @ self._start(none, here, rows)
        return found

    def _kept_chunks(self, stretch: Floats, levels: Floats) -> Iterator[tuple[slice, Floats]]:
        """Yield draws and the deviations of the kept nodes in them; these are overwritten by the next ones."""
        assert self._condensed is not None
        plan, passage, draws = self._plan(stretch, levels), self._condensed.passage, self.book.layout.draws
        own = self._kept_start + (self._condensed.reach @ plan.certain)[:, None]
        change = np.zeros(len(self.book.execution[0]))
        change[self.book.execution_row[self._drawn]] = plan.change[:, 0]
        matrix = self._drawn_reach @ sp.diags_array(change)
        for number, start in enumerate(range(0, draws, self.book.chunk)):
            own[:, start : start + self.book.chunk] += matrix @ self.book.execution[number]
        chunk = chunk_size(passage.n_rows)
        for start in range(0, draws, chunk):
            here = slice(start, min(start + chunk, draws))
            rows = np.empty((passage.n_rows, here.stop - start))
            rows[: len(own)] = own[:, here]
            passage.sweep(rows, self.book.values[:, here])
            yield here, rows[: len(own)]

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
        graph = self.graph
        at_cells, at_levels = self._place[graph.entry_node], self._place[graph.level_node]
        signed = np.where(self.rule.is_down, -1.0, 1.0)[:, None] * weight
        cells = np.zeros(len(at_cells))
        total, cells[self._drawn] = (self._back if self._condensed is None else self._kept_back)(
            stretch, levels, signed
        )
        certain = (at_cells >= 0) & (self.book.execution_row < 0)
        cells[certain] = (total[at_cells] * graph.execution_mean)[certain]
        return cells * graph.per_stretch, np.where(at_levels >= 0, total[at_levels], 0.0)

    def _back(self, stretch: Floats, levels: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Return what a unit at each relevant node, and of drawn execution's change at each cell, adds in all draws."""
        drawn, total = np.zeros(len(self._drawn)), np.zeros(len(self._relevant))
        for number, (here, clipped) in enumerate(self._clipped(stretch, levels)):
            counted = np.flatnonzero(weight[:, here].any(axis=0))
            if not len(counted):
                continue
            back = np.zeros((self._passage.n_rows, len(counted)))
            np.add.at(back, self.rule.nodes, weight[:, here][:, counted])
            cut_off = None if clipped is None else clipped[:, counted]
            self._backwards.sweep(back, cut_off, self.book.values[:, here][:, counted])
            total += back[: len(total)].sum(axis=1)
            execution = self.book.execution[number][self._drawn_row][:, counted]
            drawn += np.einsum("ij,ij->i", back[self._drawn_place], execution)
        return total, drawn

    def _kept_back(self, stretch: Floats, levels: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Return the same by way of the kept nodes."""
        assert self._condensed is not None
        kept, reach, passage = self._condensed.kept, self._condensed.reach, self._condensed.passage
        back, chunk = np.zeros((len(kept), weight.shape[1])), chunk_size(passage.n_rows)
        clips = _cut_off(passage, self._kept_chunks(stretch, levels)) if self._is_bounded else None
        for start in range(0, weight.shape[1], chunk):
            here = slice(start, min(start + chunk, weight.shape[1]))
            rows = np.zeros((passage.n_rows, here.stop - start))
            np.add.at(rows, np.searchsorted(kept, self.rule.nodes), weight[:, here])
            self._backwards.sweep(rows, next(clips)[1] if clips else None, self.book.values[:, here])
            back[:, here] = rows[: len(kept)]
        drawn, to_cells = np.zeros(self._drawn_reach.shape[1]), sp.csr_array(self._drawn_reach.T)
        for number, start in enumerate(range(0, weight.shape[1], self.book.chunk)):
            execution = self.book.execution[number]
            counted = weight[:, start : start + self.book.chunk].any(axis=0)
            if counted.any():
                drawn += np.einsum("ij,ij->i", to_cells @ back[:, start : start + self.book.chunk], execution)
        return reach.T @ back.sum(axis=1), drawn[self.book.execution_row[self._drawn]]

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

    @property
    def _is_bounded(self) -> bool:
        return bool(np.any(self._place[self.graph.bounded] >= 0))

    def _clipped(self, stretch: Floats, levels: Floats) -> Iterator[tuple[slice, Flags | None]]:
        """Yield draws and where bounds cut values off in them, (n_relevant, n) bool; None where nothing is bounded."""
        if self._is_bounded:
            yield from _cut_off(self._passage, self._chunks(stretch, levels))
            return
        for start in range(0, self.book.layout.draws, self.book.chunk):
            yield slice(start, min(start + self.book.chunk, self.book.layout.draws)), None

    @cached_property
    def _backwards(self) -> Backwards:
        return Backwards(self._passage if self._condensed is None else self._condensed.passage)

    @cached_property
    def _drawn_reach(self) -> sp.csr_array:
        """What a unit of drawn execution's change adds to each kept node, (k, n_drawn_of_book) sparse."""
        assert self._condensed is not None
        reach = sp.coo_array(self._condensed.reach)
        column = np.full(len(self._relevant), -1, dtype=np.int64)
        column[self._place[self.graph.entry_node[self._drawn]]] = self.book.execution_row[self._drawn]
        here = column[reach.col] >= 0
        entries = reach.data[here], (reach.row[here], column[reach.col[here]])
        return sp.csr_array(entries, shape=(reach.shape[0], len(self.book.execution[0])))


def _cut_off(passage: Passage, chunks: Iterator[tuple[slice, Floats]]) -> Iterator[tuple[slice, Flags]]:
    """Yield draws and where bounds cut values off in them."""
    for here, delta in chunks:
        clipped = np.zeros(delta.shape, dtype=bool)
        for level in passage.levels:
            place, low, high = level.bounds
            clipped[place] = (delta[place] <= low) | (delta[place] >= high)
        yield here, clipped


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
    odds, most = graph.scenario.odds, most_kept()
    draws = _drawn(graph, PLANNING, [odds.draws], most)
    if draws is None:
        cells = int(np.count_nonzero(graph.scenario.cells.has_decision))
        problem = Problem(
            "E-odds-draws",
            f"{odds.draws:,} draws of {cells:,} decisions are more than are kept to plan on",
            rule=f"draws times uncertain quantities are at most {most:,} with the memory that is free",
            fix=f"write [odds] draws = {max(32, most // max(1, 2 * cells)):,}, or fewer".replace(",", "_"),
        )
        raise LimitReached(problem)
    return draws


def checking_draws(graph: CausalGraph) -> PlanningDraws:
    """Draw what plans are checked on before they are published; as much is known to fit as planning has kept."""
    least = graph.scenario.odds.draws
    sizes = [size for size in (CHECKED, CHECKED >> 1, CHECKED >> 2, CHECKED >> 3) if size > least]
    found = _drawn(graph, CHECKING, sizes, CHECKED_NUMBERS) or _drawn(graph, CHECKING, [least], most_kept())
    return found or planning_draws(graph)


def _drawn(graph: CausalGraph, apart: str, sizes: Sequence[int], most: int) -> PlanningDraws | None:
    """Return the most draws of those sizes that are kept; None where even the fewest are too many."""
    odds, last = graph.scenario.odds, _LAST.get(apart)
    if last is not None and last.graph is graph:
        return last
    same = last is not None and last.book.graph.scenario.odds
    if last is not None and same and (same.draws, same.seed) == (odds.draws, odds.seed) and last.book.fits(graph):
        book: DrawBook | None = last.book
    else:
        settings = (SimulationSettings(draws, odds.seed) for draws in sizes)
        book = next((book for each in settings if (book := draw_book(graph, each, apart=apart, most=most))), None)
    if book is not None:
        _LAST[apart] = PlanningDraws(graph, book)
    return _LAST[apart] if book else None
