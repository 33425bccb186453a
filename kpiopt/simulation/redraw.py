"""The odds of many plans from the same draws: everything random is drawn once and kept, plans go through it in turn.

What a plan changes (stretch, initiative levels, certain coefficients, goals) enters draws only through sums and
products of what is kept, and only nodes that a goal depends on are looked at. The sums are those of `propagate` in the
same order, so that the odds are those of `simulate`, draw by draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kpiopt.deadline import NEVER, Deadline
from kpiopt.graph import CausalGraph
from kpiopt.scenario.scenario import Floats, Integers, Scenario, SimulationSettings
from kpiopt.simulation.certainty import varying_nodes
from kpiopt.simulation.hits import HitRule, as_rows, goal_rule
from kpiopt.simulation.inputs import RandomInputs, Tile, build_inputs
from kpiopt.simulation.noise import NoiseDraws
from kpiopt.simulation.odds import Estimate, judge_odds, judge_together
from kpiopt.simulation.propagate import Passage, build_passage, scale_noise
from kpiopt.simulation.simulate import block_size
from kpiopt.simulation.streams import Layout, Streams, lay_out

MOST_NUMBERS = 1 << 27
"""Draws that would take more numbers (1 GB) are not kept, wherever: they are drawn again, with the same result."""

CHUNK_NUMBERS = 1 << 18
LEAST_CHUNK, LARGEST_CHUNK = 1 << 4, 1 << 10
"""Draws that go through the graph at a time: so many that their numbers stay within the processor's cache."""


def chunk_size(n_rows: int) -> int:
    """Return how many draws of so many numbers go through the graph at a time."""
    return max(LEAST_CHUNK, min(LARGEST_CHUNK, CHUNK_NUMBERS // max(1, n_rows)))


@dataclass(frozen=True)
class DrawBook:
    """Everything random in a family of plans, drawn once.

    Attributes
    ----------
    graph : CausalGraph
        Of the scenario it was drawn for.
    values : (n_quantities, n_draws) float
        Draws of the named quantities, replicate after replicate.
    quantity_row : (n,) int
        Row of each of the graph's quantities.
    execution : tuple of (n_drawn, chunk) float
        Draws of execution, chunk after chunk: each is read at one go.
    execution_row : (n_cells,) int
        Row of each cell, -1 where its execution is certain or it has no decision.
    noise_draws : (n_noisy, n_draws) float
        What baselines are changed by, see `NoiseDraws.factor`.
    looked_at : (n_cells,) bool
        Cells whose execution was drawn where it is uncertain.
    """

    graph: CausalGraph
    layout: Layout
    values: Floats
    quantity_row: Integers
    execution: tuple[Floats, ...]
    execution_row: Integers
    noise: NoiseDraws | None
    noise_draws: Floats
    looked_at: NDArray[np.bool_]

    @property
    def chunk(self) -> int:
        """Draws in each chunk; the last one may have fewer."""
        return int(self.execution[0].shape[1])

    def fits(self, graph: CausalGraph) -> bool:
        """Whether another graph's plans have the same draws: only certain numbers may differ."""
        return self.graph is graph or _same_chance(self.graph, graph)


def draw_book(
    graph: CausalGraph,
    settings: SimulationSettings | None = None,
    *,
    apart: str = "",
    most: int = MOST_NUMBERS,
    cells: NDArray[np.bool_] | None = None,
    deadline: Deadline = NEVER,
) -> DrawBook | None:
    """Draw everything that is random in plans of a graph; None where that is too much to keep, or not of fixed size.

    Parameters
    ----------
    settings : SimulationSettings, optional
        The scenario's own by default.
    apart : str
        What the names of the streams begin with: such draws have nothing to do with those of `simulate`.
    most : int
        How many numbers are kept.
    cells : (n_cells,) bool, optional
        Those whose execution is drawn, by default all with a decision. The others' draws are the same without them.
    deadline : Deadline
        When drawing ends.

    Raises
    ------
    LimitReached
    """
    scenario = graph.scenario
    settings = settings or scenario.simulation
    if settings.precision is not None:
        return None
    looked_at = scenario.cells.has_decision if cells is None else scenario.cells.has_decision & cells
    inputs = build_inputs(graph, looked_at.astype(np.float64))
    layout = lay_out(settings.draws, settings.method)
    n_noisy = len(inputs.noise.cells) if inputs.noise else 0
    if (len(inputs.quantities) + len(inputs.cells) + n_noisy) * layout.draws > most:
        return None
    values = np.empty((len(inputs.quantities), layout.draws))
    chunk = chunk_size(graph.n_nodes)
    sizes = [min(chunk, layout.draws - start) for start in range(0, layout.draws, chunk)]
    execution = tuple(np.empty((len(inputs.cells), size)) for size in sizes)
    noise = np.empty((n_noisy, layout.draws))
    streams = Streams(settings.seed, [apart + name for name in inputs.names], layout)
    _fill(streams, block_size(graph.n_nodes, layout), inputs, values, execution, noise, deadline)
    row = np.full(len(scenario.cells), -1, dtype=np.int64)
    row[inputs.cells] = np.arange(len(inputs.cells))
    return DrawBook(graph, layout, values, inputs.quantity_row, execution, row, inputs.noise, noise, looked_at)


def _fill(
    streams: Streams,
    block: int,
    inputs: RandomInputs,
    values: Floats,
    execution: tuple[Floats, ...],
    noise: Floats,
    deadline: Deadline,
) -> None:
    """Draw block by block, as `simulate` does."""
    layout = streams.layout
    for replicate in range(layout.replicates):
        points = streams.replicate(replicate)
        for start in range(0, layout.size, block):
            stop = min(start + block, layout.size)
            here = slice(replicate * layout.size + start, replicate * layout.size + stop)
            scores = points.scores(start, stop)
            values[:, here], common = inputs.draw_shared(scores, stop - start)
            if len(noise):
                noise[:, here] = inputs.draw_noise(scores, common)
            for tile in inputs.tiles(stop - start):
                deadline.require("the draws for odds were made")
                _spread(execution, tile, here.start, inputs.draw_execution(scores, common, tile))


def _spread(execution: tuple[Floats, ...], tile: Tile, first: int, drawn: Floats) -> None:
    """Write the draws of some cells, from the draw `first` on, to their chunks."""
    chunk, done = execution[0].shape[1], 0
    while done < drawn.shape[1]:
        number, within = divmod(first + done, chunk)
        room = execution[number][tile.start : tile.stop, within:]
        part = drawn[:, done : done + room.shape[1]]
        room[:, : part.shape[1]] = part
        done += part.shape[1]


def _same_chance(first: CausalGraph, second: CausalGraph) -> bool:
    a, b = first.scenario, second.scenario
    return (
        a.simulation == b.simulation
        and a.uncertainty == b.uncertainty
        and a.correlation == b.correlation
        and first.quantities == second.quantities
        and _same_cells(a, b)
        and (a.noise is None if b.noise is None else b.noise.is_alike(a.noise))
    )


def _same_cells(a: Scenario, b: Scenario) -> bool:
    if a.cells is b.cells and a.units is b.units:
        return True
    names = ("unit", "kpi", "execution", "has_decision")
    return (
        a.kpi_ids == b.kpi_ids
        and (a.units.ids, a.units.levels) == (b.units.ids, b.units.levels)
        and np.array_equal(a.units.parent, b.units.parent)
        and all(np.array_equal(getattr(a.cells, name), getattr(b.cells, name)) for name in names)
    )


def nodes_before(graph: CausalGraph, nodes: Integers) -> Integers:
    """Return the nodes that some nodes depend on, and these themselves, ascending, (k,) int."""
    wanted = np.zeros(graph.n_nodes, dtype=bool)
    wanted[nodes] = True
    for start, stop in list(pairwise(graph.level_bounds.tolist()))[:0:-1]:
        first, last = np.searchsorted(graph.head, [start, stop])
        used = np.flatnonzero(wanted[graph.head[first:last]]) + first
        wanted[graph.tail[used]] = True
    return np.flatnonzero(wanted)


@dataclass(frozen=True)
class GoalDraws:
    """What one plan's draws did to the goals.

    Attributes
    ----------
    hits : (n_goals, n_replicates, size) bool
    varies : (n_goals,) bool
        Goals whose value differs between draws.
    """

    hits: NDArray[np.bool_]
    varies: NDArray[np.bool_]

    @property
    def odds(self) -> tuple[Estimate, ...]:
        """The odds of each goal, in the scenario's order."""
        size = self.hits.shape[2]
        counts = np.count_nonzero(self.hits, axis=2)
        return tuple(judge_odds(c, size, varies=v) for c, v in zip(counts, self.varies.tolist(), strict=True))

    @property
    def all_goals(self) -> Estimate | None:
        """The odds of all goals together; None without goals."""
        together: NDArray[np.bool_] = np.all(self.hits, axis=0)
        return judge_together(self.odds, np.count_nonzero(together, axis=1), together.shape[1])


@dataclass(frozen=True)
class Redraw:
    """A graph whose plans go through kept draws.

    Attributes
    ----------
    book : DrawBook
        It must fit the graph.
    """

    graph: CausalGraph
    book: DrawBook

    @property
    def _goal_rule(self) -> HitRule:
        """When each goal that is looked at is hit, over all nodes."""
        return goal_rule(self.graph)

    @cached_property
    def rule(self) -> HitRule:
        """When each goal is hit, over the relevant nodes."""
        rule = self._goal_rule
        place = np.searchsorted(self._relevant, rule.nodes)
        return replace(rule, nodes=place, rows=as_rows(place))

    @cached_property
    def _relevant(self) -> Integers:
        """Nodes that a goal depends on, ascending, (n_relevant,) int."""
        return nodes_before(self.graph, self._goal_rule.nodes)

    @cached_property
    def _place(self) -> Integers:
        """Position of each node among the relevant ones, -1 elsewhere, (n_nodes,) int."""
        place = np.full(self.graph.n_nodes, -1, dtype=np.int64)
        place[self._relevant] = np.arange(len(self._relevant))
        return place

    @cached_property
    def _passage(self) -> Passage:
        return build_passage(self.graph, self.book.quantity_row, self._relevant)

    def draw(self, stretch: Floats, levels: Floats) -> GoalDraws:
        """Send a plan through the draws.

        Parameters
        ----------
        stretch : (n_cells,) float
            Planned stretch, each in its KPI's unit; 0 where the scenario of the book has no decision.
        levels : (n_levels,) float
        """
        layout = self.book.layout
        hits = np.empty((len(self.rule.nodes), layout.draws), dtype=bool)
        for here, delta in self._chunks(stretch, levels):
            hits[:, here] = self.rule.hits(delta)
        return GoalDraws(hits.reshape(len(hits), layout.replicates, layout.size), self._varies(hits, stretch, levels))

    def _chunks(self, stretch: Floats, levels: Floats) -> Iterator[tuple[slice, Floats]]:
        """Yield draws and the deviations of the relevant nodes in them; these are overwritten by the next ones."""
        plan, chunk, draws = self._plan(stretch, levels), self.book.chunk, self.book.layout.draws
        room = np.empty((self._passage.n_rows, chunk))
        for number, start in enumerate(range(0, draws, chunk)):
            here = slice(start, min(start + chunk, draws))
            rows = room if here.stop - start == chunk else np.empty((self._passage.n_rows, here.stop - start))
            yield here, self._deviations(plan, here, self.book.execution[number], rows)

    def _varies(self, hits: NDArray[np.bool_], stretch: Floats, levels: Floats) -> NDArray[np.bool_]:
        """Whether goals vary; looked up only where all draws agree."""
        varies = np.asarray(hits.any(axis=1) & ~hits.all(axis=1))
        if not varies.all():
            varies |= varying_nodes(self.graph, stretch, levels)[goal_rule(self.graph).nodes]
        return varies

    @cached_property
    def _drawn(self) -> Integers:
        """Cells with drawn execution at relevant nodes."""
        return np.flatnonzero((self._place[self.graph.entry_node] >= 0) & (self.book.execution_row >= 0))

    @cached_property
    def _drawn_place(self) -> slice | Integers:
        """Relevant nodes that their stretch changes first: each has one of its own."""
        return as_rows(self._place[self.graph.entry_node[self._drawn]])

    @cached_property
    def _drawn_row(self) -> slice | Integers:
        """Their rows of drawn execution."""
        return as_rows(self.book.execution_row[self._drawn])

    def _plan(self, stretch: Floats, levels: Floats) -> _Plan:
        """Gather what a plan changes at the relevant nodes."""
        graph, drawn = self.graph, self._drawn
        certain = np.where(graph.node_quantity < 0, graph.factor_mean, 0.0)
        executed = graph.executed(stretch)
        executed[drawn] = np.minimum(executed[drawn], 0.0)
        certain[graph.entry_node] += graph.per_stretch * executed
        certain[graph.level_node] += levels
        change = (np.maximum(stretch[drawn], 0.0) * graph.per_stretch[drawn])[:, None]
        return _Plan(certain[self._relevant], change)

    def _deviations(self, plan: _Plan, here: slice, execution: Floats, rows: Floats) -> Floats:
        """Return the deviations of the relevant nodes in some draws, (n_relevant, n) float, in the rows given."""
        self._start(plan.certain, here, rows)
        rows[self._drawn_place] += execution[self._drawn_row] * plan.change
        self._passage.sweep(rows, self.book.values[:, here])
        return rows[: len(self._relevant)]

    def _start(self, certain: Floats, here: slice, rows: Floats) -> Floats:
        """Write what the relevant nodes deviate by on their own, all but their stretch, to the rows given."""
        n, graph, book = len(self._relevant), self.graph, self.book
        rows[:n] = certain[:, None]
        uncertain = np.flatnonzero(graph.node_quantity[self._relevant] >= 0)
        if len(uncertain):
            nodes = self._relevant[uncertain]
            drawn = book.values[book.quantity_row[graph.node_quantity[nodes]], here]
            drawn *= graph.quantity_share[nodes, None]
            rows[uncertain] = drawn + (certain[uncertain] - graph.baseline[nodes])[:, None]
        self._add_noise(rows, here)
        return rows

    def _add_noise(self, rows: Floats, here: slice) -> None:
        noise, book = self.book.noise, self.book
        if noise is not None:
            is_here = self._place[noise.nodes] >= 0
            change = scale_noise(
                self.graph, noise, book.quantity_row, book.noise_draws[:, here].copy(), book.values[:, here]
            )
            rows[self._place[noise.nodes[is_here]]] += change[is_here]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a plan changes at the relevant nodes.

    Attributes
    ----------
    certain : (n_relevant,) float
    change : (n_drawn, 1) float
        What the stretch of each cell with drawn execution changes.
    """

    certain: Floats
    change: Floats
