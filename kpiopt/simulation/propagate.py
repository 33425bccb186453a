"""Draws through the causal graph: deviations from the mean baseline, swept in topological order.

In a draw, node n deviates from its mean baseline b_n by

    delta_n = (baseline_n(draw) - b_n) + s_n x_n xi_n + sum_{m -> n} c_mn(draw) delta_m

with s the direction sign, x the planned stretch, xi the execution and c the contributions; a factor's delta is its
drawn value. Blocks of draws go through sparse products, one for each topological level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import NumericsError, Problem
from kpiopt.graph import CausalGraph
from kpiopt.scenario.curve import Curve
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.hits import as_rows
from kpiopt.simulation.inputs import TILE, RandomInputs, ScoreSource, Tile, build_inputs
from kpiopt.simulation.noise import NoiseDraws

Fixed = Mapping[int, float] | None
Watch = Mapping[int, Floats] | None


@dataclass(frozen=True)
class Block:
    """One block of draws.

    Attributes
    ----------
    delta : (n_nodes, n_draws) float
        Deviations from the mean baselines, each in its KPI's unit.
    realised : (n_kept, n_draws) float
        Realised stretch of the cells that `Propagation.kept_cells` lists.
    """

    delta: Floats
    realised: Floats


@dataclass(frozen=True)
class EdgeFactors:
    """What uncertain edges multiply their tails by: a drawn contribution, a drawn factor of the unit, or both.

    Attributes
    ----------
    row : (n,) int
        Row of the contribution among the drawn values, of the unit's factor where the contribution is a number.
    both, between_row : (n_both,) int
        Edges that have both, and the rows of their units' factors.
    """

    row: Integers
    both: Integers
    between_row: Integers

    def multiply(self, values: Floats, tails: Floats, out: Floats) -> None:
        """Write drawn contributions times tails, (n, n_draws) float, to `out`."""
        np.multiply(values[self.row], tails, out=out)
        if len(self.both):
            out[self.both] *= values[self.between_row]


def edge_factors(graph: CausalGraph, quantity_row: Integers, edges: Integers) -> EdgeFactors:
    """Return the factors of some uncertain edges.

    Parameters
    ----------
    quantity_row : (n_quantities,) int
        Row of each of the graph's quantities among the drawn values.
    edges : (n,) int
    """
    quantity, between = graph.edge_quantity[edges], graph.edge_between[edges]
    both = np.flatnonzero((quantity >= 0) & (between >= 0))
    row = quantity_row[np.where(quantity >= 0, quantity, between)] if len(edges) else edges
    return EdgeFactors(row, both, quantity_row[between[both]] if len(both) else both)


def scale_noise(
    graph: CausalGraph, noise: NoiseDraws, quantity_row: Integers, factor: Floats, values: Floats
) -> Floats:
    """Return the change that noise makes at its nodes: relative to the baseline, as drawn where it is uncertain.

    Parameters
    ----------
    factor : (n, n_draws) float
        From `NoiseDraws.factor`; overwritten.
    values : (n_values, n_draws) float
        Drawn values of the named quantities.
    """
    quantity = graph.node_quantity[noise.nodes]
    drawn = np.flatnonzero((quantity >= 0) & ~noise.additive[:, 0])
    base = np.where(noise.additive | (quantity >= 0)[:, None], 1.0, graph.baseline[noise.nodes, None])
    factor *= base
    if len(drawn):
        factor[drawn] *= values[quantity_row[quantity[drawn]]]
        factor[drawn] *= graph.quantity_share[noise.nodes[drawn], None]
    return factor


@dataclass(frozen=True)
class Level:
    """The nodes start … stop - 1 of one topological level and the edges that lead to them.

    Edges with an uncertain contribution have a row of their own behind the nodes' rows, first … last - 1, for the drawn
    contribution times the deviation of `tail[i]`. `matrix` adds up nodes' rows with certain
    coefficients and these rows with coefficient 1. `bounds`: which of the nodes are bounded, and between which
    deviations each stays. `curves`: nodes that bend what reaches them.
    """

    start: int
    stop: int
    matrix: sp.csr_array
    first: int
    last: int
    tail: Integers
    factors: EdgeFactors
    bounds: tuple[Integers, Floats, Floats]
    curves: tuple[tuple[int, Curve], ...]


@dataclass(frozen=True)
class Passage:
    """The way of draws through some nodes of a graph: level by level, each from those before it.

    Attributes
    ----------
    nodes : (n,) int
        Ascending; with each node all that lead to it.
    levels : tuple of Level
        Nodes in them are positions among `nodes`.
    drawn_edges : (n_drawn,) int
        Uncertain edges between these nodes; each has a row of its own.
    """

    nodes: Integers
    levels: tuple[Level, ...]
    drawn_edges: Integers

    @property
    def n_rows(self) -> int:
        """Nodes, and one row for each uncertain edge between them."""
        return len(self.nodes) + len(self.drawn_edges)

    def sweep(self, rows: Floats, values: Floats, fixed: Fixed = None, watch: Watch = None) -> None:
        """Add to each node what its causes do to it, in place; what goes beyond a bound is not passed on.

        Parameters
        ----------
        rows : (n_rows, n_draws) float
            Own deviations of the nodes; then what uncertain edges carry, which is written.
        values : (n_values, n_draws) float
            Drawn values of the named quantities.
        fixed : mapping of int to float, optional
            Nodes that deviate by so much whatever their causes do.
        watch : mapping of int to (n_draws,) float, optional
            Where to write what reaches nodes, before curves and bounds.
        """
        for level in self.levels:
            if level.last > level.first:
                level.factors.multiply(values, rows[level.tail], rows[level.first : level.last])
            if level.matrix.nnz:
                rows[level.start : level.stop] += level.matrix @ rows
            for node, reached in (watch or {}).items():
                if level.start <= node < level.stop:
                    reached[:] = rows[node]
            for node, curve in level.curves:
                rows[node] = curve.at(rows[node])
            place, low, high = level.bounds
            if len(place):
                rows[place] = np.clip(rows[place], low, high)
            for node, change in (fixed or {}).items():
                if level.start <= node < level.stop:
                    rows[node] = change


def build_passage(graph: CausalGraph, quantity_row: Integers, nodes: Integers | None = None) -> Passage:
    """Return the way through some nodes, all where none are given.

    Parameters
    ----------
    quantity_row : (n_quantities,) int
        Row of each of the graph's quantities among the drawn values.
    nodes : (n,) int, optional
        Ascending; with each node all that lead to it.
    """
    nodes = np.arange(graph.n_nodes) if nodes is None else nodes
    place = np.full(graph.n_nodes, -1, dtype=np.int64)
    place[nodes] = np.arange(len(nodes))
    edges = np.flatnonzero(place[graph.head] >= 0)
    head, tail = place[graph.head[edges]], place[graph.tail[edges]]
    quantity, coefficient = graph.edge_quantity[edges], graph.coefficient[edges].copy()
    is_drawn = (quantity >= 0) | (graph.edge_between[edges] >= 0)
    row = len(nodes) + np.concatenate([[0], np.cumsum(is_drawn)])
    column = np.where(is_drawn, row[:-1], tail)
    coefficient[quantity >= 0] = graph.share[edges][quantity >= 0]
    levels = []
    for start, stop in pairwise(np.searchsorted(nodes, graph.level_bounds).tolist()):
        e = slice(*np.searchsorted(head, [start, stop]).tolist())
        matrix = sp.csr_array((coefficient[e], (head[e] - start, column[e])), shape=(stop - start, int(row[-1])))
        factors = edge_factors(graph, quantity_row, edges[e][is_drawn[e]])
        ends = int(row[e.start]), int(row[e.stop])
        bounds = _bounds(graph, nodes[start:stop], start)
        curves = tuple((int(np.searchsorted(nodes, n)), c) for n, c in _curves(graph, nodes[start:stop]))
        levels.append(Level(start, stop, matrix, *ends, tail[e][is_drawn[e]], factors, bounds, curves))
    return Passage(nodes, tuple(levels), edges[is_drawn])


def _curves(graph: CausalGraph, nodes: Integers) -> list[tuple[int, Curve]]:
    """Return those of some nodes of one level that are curves."""
    if not len(nodes) or not len(graph.curves.node):
        return []
    return [pair for pair in graph.curves.between(int(nodes[0]), int(nodes[-1]) + 1) if pair[0] in nodes]


def _bounds(graph: CausalGraph, nodes: Integers, start: int) -> tuple[Integers, Floats, Floats]:
    """Return which of some nodes are bounded, counted from `start`, and between which deviations each stays."""
    place = np.flatnonzero(np.isin(nodes, graph.bounded))
    low, high = (graph.bounds[:, nodes[place]] - graph.baseline[nodes[place]])[:, :, None]
    return start + place, low, high


@dataclass(frozen=True, slots=True)
class _PlacedTile:
    """A tile of cells and where its draws go.

    Attributes
    ----------
    change : (n, 1) float
        Sign times stretch of each cell.
    nodes : slice or (n,) int
    is_alone : bool
        Whether nothing else is added at these nodes: they can be written instead of read, added to and written.
    kept, kept_row, kept_sign : (n_kept,) int, (n_kept,) int, (n_kept, 1) float
        Which of the cells are kept one by one, where, and their stretch per unit of change.
    """

    tile: Tile
    change: Floats
    nodes: slice | Integers
    is_alone: bool
    kept: Integers
    kept_row: Integers
    kept_sign: Floats


class Propagation:
    """A plan, ready for draws.

    Parameters
    ----------
    stretch : (n_cells,) float
        Planned stretch, each in its KPI's unit.
    levels : (n_levels,) float
        Levels of initiatives.
    fixed : mapping of int to float, optional
        Nodes that are set to a value whatever their causes do (an intervention), in the KPI's unit.
    kept_cells : (n_kept,) int, optional
        Cells whose realised stretch is wanted one by one.
    shift : (n_nodes,) float, optional
        What is added at nodes in every draw, in each KPI's unit.
    """

    def __init__(
        self,
        graph: CausalGraph,
        stretch: Floats,
        levels: Floats,
        fixed: Mapping[int, float] | None = None,
        kept_cells: Integers | None = None,
        shift: Floats | None = None,
    ) -> None:
        self.graph = graph
        self.inputs: RandomInputs = build_inputs(graph, stretch)
        self.stretch = np.asarray(stretch, dtype=np.float64)
        self.levels = np.asarray(levels, dtype=np.float64)
        self.kept_cells = np.empty(0, dtype=np.int64) if kept_cells is None else kept_cells
        self.fixed = {node: value - float(graph.baseline[node]) for node, value in (fixed or {}).items()}
        self._certain_change = self._sum_certain(self.levels)
        if shift is not None:
            self._certain_change += shift
        self._uncertain_nodes = np.flatnonzero(graph.node_quantity >= 0)
        self._uncertain_row = self.inputs.quantity_row[graph.node_quantity[self._uncertain_nodes]]
        self._uncertain_start = (self._certain_change - graph.baseline)[self._uncertain_nodes, None]
        self._is_drawn = graph.node_quantity >= 0
        if self.inputs.noise is not None:
            self._is_drawn[self.inputs.noise.nodes] = True
        self._passage = build_passage(graph, self.inputs.quantity_row)
        self._kept_row = np.full(len(self.stretch), -1, dtype=np.int64)
        self._kept_row[self.kept_cells] = np.arange(len(self.kept_cells))
        self._tiles: dict[int, tuple[_PlacedTile, ...]] = {}

    def _sum_certain(self, levels: Floats) -> Floats:
        """What is the same in every draw: initiative levels, certain factors, stretch with certain execution."""
        graph = self.graph
        certain = np.where(graph.node_quantity < 0, graph.factor_mean, 0.0)
        executed = graph.per_stretch * graph.executed(self.stretch)
        executed[self.inputs.cells] = 0.0
        certain[graph.entry_node] += executed
        certain[graph.level_node] += levels
        return certain

    def make_workspace(self, n_draws: int) -> Floats:
        """Return an array that `run` may fill again and again: fresh memory for each block costs more than the sums."""
        return np.empty((self._passage.n_rows, n_draws))

    def run(
        self,
        scores: ScoreSource,
        n_draws: int,
        first_draw: int = 0,
        workspace: Floats | None = None,
        watch: Watch = None,
    ) -> Block:
        """Return one block of draws.

        Parameters
        ----------
        scores : callable
            Rows of `inputs` -> independent standard normal scores, (n_rows, n_draws).
        first_draw : int
            Number of the block's first draw, for messages.
        workspace : (n_rows, at least n_draws) float, optional
            From `make_workspace`; the block's deviations then stand in it, until the next run.
        watch : mapping of int to (n_draws,) float, optional
            As for `Passage.sweep`.

        Raises
        ------
        NumericsError
            Where a value is not finite; names the KPI and the draw.
        """
        graph = self.graph
        with np.errstate(over="ignore", invalid="ignore"):
            values, common = self.inputs.draw_shared(scores, n_draws)
            rows = (self.make_workspace(n_draws) if workspace is None else workspace)[:, :n_draws]
            delta = rows[: graph.n_nodes]
            delta[:] = self._certain_change[:, None]
            self._add_uncertain_nodes(delta, values)
            self._add_noise(delta, values, scores, common)
            realised = self._add_execution(delta, scores, common)
            self._passage.sweep(rows, values, self.fixed, watch)
            self._check_finite(delta, first_draw)
        return Block(delta, realised)

    def _add_uncertain_nodes(self, delta: Floats, values: Floats) -> None:
        graph, nodes, n_draws = self.graph, self._uncertain_nodes, delta.shape[1]
        size = max(1, TILE // n_draws)
        for start in range(0, len(nodes), size):
            part = slice(start, start + size)
            drawn = values[self._uncertain_row[part]] * graph.quantity_share[nodes[part], None]
            drawn += self._uncertain_start[part]
            delta[nodes[part]] = drawn

    def _add_noise(self, delta: Floats, values: Floats, scores: ScoreSource, common: Floats) -> None:
        noise = self.inputs.noise
        if noise is not None:
            change = self.inputs.draw_noise(scores, common)
            delta[noise.nodes] += scale_noise(self.graph, noise, self.inputs.quantity_row, change, values)

    def _add_execution(self, delta: Floats, scores: ScoreSource, common: Floats) -> Floats:
        n_draws = delta.shape[1]
        realised = np.repeat(self.graph.executed(self.stretch)[self.kept_cells, None], n_draws, axis=1)
        if n_draws not in self._tiles:
            self._tiles[n_draws] = tuple(map(self._place_tile, self.inputs.tiles(n_draws)))
        for tile in self._tiles[n_draws]:
            change = self.inputs.draw_execution(scores, common, tile.tile)
            change *= tile.change
            if len(tile.kept):
                realised[tile.kept_row] = change[tile.kept] * tile.kept_sign
            if tile.is_alone:
                delta[tile.nodes] = change
            else:
                delta[tile.nodes] += change
        return realised

    def _place_tile(self, tile: Tile) -> _PlacedTile:
        graph = self.graph
        cells = self.inputs.cells[tile.start : tile.stop]
        nodes = graph.entry_node[cells]
        kept = np.flatnonzero(self._kept_row[cells] >= 0)
        return _PlacedTile(
            tile=tile,
            change=(self.stretch[cells] * graph.per_stretch[cells])[:, None],
            nodes=as_rows(nodes),
            is_alone=bool(np.all(self._certain_change[nodes] == 0) and not np.any(self._is_drawn[nodes])),
            kept=kept,
            kept_row=self._kept_row[cells[kept]],
            kept_sign=1.0 / graph.per_stretch[cells[kept], None],
        )

    def respond(
        self, values: Floats, own: Floats, workspace: Floats, fixed: Fixed = None, watch: Watch = None
    ) -> tuple[Floats, Floats]:
        """Return what a change at some nodes does in each draw, along all paths.

        Parameters
        ----------
        values : (n_quantities, n_draws) float
            From `inputs.draw_shared`.
        own : (n_nodes,) float
        workspace : (n_rows, n_draws) float
            From `make_workspace`; filled.
        fixed, watch
            As for `Passage.sweep`.

        Returns
        -------
        change : (n_nodes, n_draws) float
            Stands in the workspace, until the next call.
        carried : (n_edges,) float
            Mean change that each edge carries to its head, in the head's unit.
        """
        graph = self.graph
        workspace[: graph.n_nodes] = own[:, None]
        self._passage.sweep(workspace, values, {**self.fixed, **(fixed or {})}, watch)
        carried = graph.coefficient * workspace[: graph.n_nodes].mean(axis=1)[graph.tail]
        carried[self._passage.drawn_edges] = workspace[graph.n_nodes :].mean(axis=1)
        return workspace[: graph.n_nodes], carried

    def carried_by_draw(self, workspace: Floats) -> Floats:
        """Return what each edge carried in each draw of the last `respond`, (n_edges, n_draws) float.

        `workspace`, (n_rows, n_draws) float, is the one that it filled.
        """
        graph = self.graph
        carried = graph.coefficient[:, None] * workspace[: graph.n_nodes][graph.tail]
        carried[self._passage.drawn_edges] = workspace[graph.n_nodes :]
        return np.asarray(carried)

    def _check_finite(self, delta: Floats, first_draw: int) -> None:
        if np.isfinite(delta.sum()) or np.isfinite(delta).all():
            return
        node, draw = (int(i[0]) for i in np.nonzero(~np.isfinite(delta)))
        raise NumericsError(
            Problem(
                "E-draw-not-finite",
                f"the value of {self.graph.node_name(node)} is not finite in draw {first_draw + draw}",
                rule="every realised value must be a finite number",
                fix="look for distributions with extreme tails among its drivers (kpiopt check shows them)",
            )
        )
