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
from kpiopt.program.trust.tolerances import CERTAIN_MARGIN
from kpiopt.scenario.scenario import Floats, Integers, SimulationSettings
from kpiopt.simulation.hits import HitRule, as_rows, goal_rule
from kpiopt.simulation.planning.backwards import Backwards
from kpiopt.simulation.planning.condensed import Condensed, condense
from kpiopt.simulation.planning.memory import most_kept
from kpiopt.simulation.propagate import Passage
from kpiopt.simulation.redraw import DrawBook, Redraw, chunk_size, draw_book, nodes_before

Flags = NDArray[np.bool_]
PLANNING, CHECKING = "planning/", "checking/"
"""What the streams of the draws begin with that a plan is made on, and that it is checked on before it is published."""

CHECKED, CHECKED_NUMBERS = 1 << 16, 1 << 25
"""Draws that a plan is checked on, and numbers (256 MB) that are kept of them: they tell less than half of what the
draws of `[simulation]` leave open, so that these hardly ever say less than was promised. Where there are too many
numbers there are fewer of these draws, but never fewer than the plan was made on."""


@dataclass(frozen=True)
class PlanningDraws(Redraw):
    """Draws kept for planning.

    Attributes
    ----------
    goals : tuple of int
        Positions of the goals that are looked at, ascending: only what these depend on is drawn.
    """

    goals: tuple[int, ...]

    def margins(self, stretch: Floats, levels: Floats) -> Floats:
        """Return how far each draw's value lies beyond what hits each goal, (n_goals, n_draws) float, in its direction.

        A value that rounds to the target is a hit, up to `leeway` below it. Of a goal that is the same in all draws
        the whole target is asked, as of a plan value. NaN for goals that are not looked at.
        """
        own = self._beyond(stretch, levels)
        uncertain = ~is_certain(own)
        own[uncertain] += self.leeway[list(self.goals)][uncertain, None]
        if len(own) == len(self._least):
            return own
        found = np.full((len(self._least), own.shape[1]), np.nan)
        found[list(self.goals)] = own
        return found

    def _beyond(self, stretch: Floats, levels: Floats) -> Floats:
        """Return how far each draw's value lies beyond the target of each goal that is looked at, in its direction."""
        own = np.empty((len(self.goals), self.book.layout.draws))
        sign, least = np.where(self.rule.is_down, -1.0, 1.0)[:, None], self._least[list(self.goals), None]
        for here, delta in self._goal_chunks(stretch, levels):
            own[:, here] = sign * (delta - least)
        return own

    @property
    def _goal_rule(self) -> HitRule:
        rule, here = goal_rule(self.graph), list(self.goals)
        return HitRule(rule.nodes[here], as_rows(rule.nodes[here]), rule.threshold[here], rule.is_down[here])

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
        """Deviation from the baseline that is asked of each goal, (n_goals,) float."""
        target = np.array([goal.target for goal in self.graph.scenario.goals.values()], dtype=np.float64)
        return target - self.graph.baseline[goal_rule(self.graph).nodes]

    @cached_property
    def leeway(self) -> Floats:
        """What a hit of each goal may lack of its target, (n_goals,) float."""
        return np.abs(self._least - goal_rule(self.graph).threshold)

    def effects(self, stretch: Floats, levels: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Return what a unit of each decision adds to a weighted sum of margins, at a plan.

        Goes back along the edges, draw by draw; what a bound of a KPI cuts off in a draw passes nothing on.

        Parameters
        ----------
        stretch : (n_cells,) float
        levels : (n_levels,) float
        weight : (n_goals, n_draws) float
            Only goals that are looked at count.

        Returns
        -------
        (n_cells,) and (n_levels,) float
        """
        graph, weight = self.graph, weight[list(self.goals)]
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
        drawn = np.zeros(self._drawn_reach.shape[1])
        for row in np.flatnonzero(back.any(axis=1)).tolist():
            entries = slice(*self._drawn_reach.indptr[row : row + 2].tolist())
            cells, summed = self._drawn_reach.indices[entries].astype(np.int64), np.zeros(entries.stop - entries.start)
            for number, start in enumerate(range(0, weight.shape[1], self.book.chunk)):
                part = back[row, start : start + self.book.chunk]
                if part.any():  # a sum of its own for each cell: the same for any number of threads
                    summed += np.einsum("ij,j->i", self.book.execution[number][as_rows(cells)], part)
            drawn[cells] += self._drawn_reach.data[entries] * summed
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
        if cells + levels < len(goals) * draws:
            return self._slopes_by_decision(goals)
        found = np.zeros((len(goals), draws, cells)), np.zeros((len(goals), draws, levels))
        for place, goal in enumerate(goals.tolist()):
            for draw in range(draws):
                weight = np.zeros((len(self._least), draws))
                weight[goal, draw] = 1.0
                found[0][place, draw], found[1][place, draw] = self.effects(np.zeros(cells), np.zeros(levels), weight)
        return found

    def _slopes_by_decision(self, goals: Integers) -> tuple[Floats, Floats]:
        """Return the same by one pass over all draws for each decision."""
        sizes = len(self.graph.scenario.cells), len(self.graph.level_node)
        found = [np.zeros((len(goals), self.book.layout.draws, size)) for size in sizes]
        nothing = np.zeros(sizes[0]), np.zeros(sizes[1])
        start, moves = (
            self._beyond(*nothing),
            np.concatenate([self.graph.scenario.cells.has_decision, np.ones(sizes[1], bool)]),
        )
        here = np.searchsorted(self.goals, goals)
        for at in np.flatnonzero(moves).tolist():
            one = np.zeros(sum(sizes))
            one[at] = 1.0
            block, place = (0, at) if at < sizes[0] else (1, at - sizes[0])
            found[block][:, :, place] = (self._beyond(one[: sizes[0]], one[sizes[0] :]) - start)[here]
        return found[0], found[1]

    @property
    def is_bent(self) -> bool:
        """Whether a bound or a curve keeps margins from being straight in the decisions."""
        return self._is_bounded or any(level.curves for level in self._passage.levels)

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
        found = sp.csr_array(entries, shape=(reach.shape[0], len(self.book.execution[0])))
        found.sort_indices()
        return found


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
    return np.asarray(np.ptp(margins, axis=1) <= CERTAIN_MARGIN * np.maximum(1.0, np.abs(margins).max(axis=1)))


def planning_draws(graph: CausalGraph, goals: Sequence[int] | None = None) -> PlanningDraws:
    """Draw what `[odds]` asks for.

    Parameters
    ----------
    goals : sequence of int, optional
        Positions of the goals that are looked at, by default all: only what these depend on is drawn.

    Raises
    ------
    LimitReached
        Where the draws take more numbers than are kept.
    """
    odds, most = graph.scenario.odds, most_kept()
    draws = _drawn(graph, goals, PLANNING, [odds.draws], most)
    if draws is None:
        cells = int(np.count_nonzero(_cells_before(graph, _positions(graph, goals))))
        problem = Problem(
            "E-odds-draws",
            f"{odds.draws:,} draws of {cells:,} decisions are more than are kept to plan on",
            rule=f"draws times uncertain quantities are at most {most:,} with the memory that is free",
            fix=f"write [odds] draws = {max(32, most // max(1, 2 * cells)):,}, or fewer".replace(",", "_"),
        )
        raise LimitReached(problem)
    return draws


def checking_draws(graph: CausalGraph, goals: Sequence[int] | None = None) -> PlanningDraws:
    """Draw what plans are checked on before they are published; as much is known to fit as planning has kept."""
    least = graph.scenario.odds.draws
    sizes = [size for size in (CHECKED, CHECKED >> 1, CHECKED >> 2, CHECKED >> 3) if size > least]
    found = _drawn(graph, goals, CHECKING, sizes, CHECKED_NUMBERS)
    return found or _drawn(graph, goals, CHECKING, [least], most_kept()) or planning_draws(graph, goals)


def _drawn(
    graph: CausalGraph, wanted: Sequence[int] | None, apart: str, sizes: Sequence[int], most: int
) -> PlanningDraws | None:
    """Return the most draws of those sizes that are kept; None where even the fewest are too many.

    They are kept with the graph, so that all plans of one command are made on the same ones.
    """
    last: PlanningDraws | None = graph.kept.get(apart)
    odds, goals = graph.scenario.odds, _positions(graph, wanted)
    if last is not None and last.graph is graph and last.goals == goals:
        return last
    cells = _cells_before(graph, goals)
    same = last is not None and last.book.graph.scenario.odds
    if (
        last is not None
        and same
        and (same.draws, same.seed) == (odds.draws, odds.seed)
        and last.book.fits(graph)
        and np.array_equal(last.book.looked_at, cells)
    ):
        book: DrawBook | None = last.book
    else:
        settings = (SimulationSettings(draws, odds.seed) for draws in sizes)
        made = (draw_book(graph, each, apart=apart, most=most, cells=cells) for each in settings)
        book = next((book for book in made if book), None)
    if book is None:
        return None
    graph.kept[apart] = drawn = PlanningDraws(graph, book, goals)
    return drawn  # not the one that is kept: another thread may have put its own there


def _positions(graph: CausalGraph, goals: Sequence[int] | None) -> tuple[int, ...]:
    return tuple(range(len(graph.scenario.goals)) if goals is None else sorted(set(goals)))


def _cells_before(graph: CausalGraph, goals: tuple[int, ...]) -> Flags:
    """Return which cells have a decision that some goals depend on, (n_cells,) bool."""
    before = np.zeros(graph.n_nodes, dtype=bool)
    before[nodes_before(graph, goal_rule(graph).nodes[list(goals)])] = True
    return np.asarray(graph.scenario.cells.has_decision & before[graph.entry_node])
