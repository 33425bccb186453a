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
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.inputs import RandomInputs, ScoreSource, build_inputs

TILE = 1 << 15
"""Numbers that are drawn at a time, so that they stay in the processor's cache until they are used."""


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
class _Level:
    """The nodes start … stop - 1 of one topological level and the edges that lead to them.

    `certain` @ delta covers edges with certain coefficients; an uncertain edge i adds coefficient[i] times the drawn
    contribution `row[i]` times delta[`tail[i]`], and `gather` sums those by head.
    """

    start: int
    stop: int
    certain: sp.csr_array
    tail: Integers
    row: Integers
    gather: sp.csr_array


class Propagation:
    """A plan, ready for draws.

    Parameters
    ----------
    graph : CausalGraph
    stretch : (n_cells,) float
        Planned stretch, each in its KPI's unit.
    levels : (n_levels,) float
        Levels of initiatives.
    fixed : mapping of int to float, optional
        Nodes that are set to a value whatever their causes do (an intervention), in the KPI's unit.
    kept_cells : (n_kept,) int, optional
        Cells whose realised stretch is wanted one by one.
    """

    def __init__(
        self,
        graph: CausalGraph,
        stretch: Floats,
        levels: Floats,
        fixed: Mapping[int, float] | None = None,
        kept_cells: Integers | None = None,
    ) -> None:
        self.graph = graph
        self.inputs: RandomInputs = build_inputs(graph, stretch)
        self.stretch = np.asarray(stretch, dtype=np.float64)
        self.kept_cells = np.empty(0, dtype=np.int64) if kept_cells is None else kept_cells
        self.fixed = {node: value - float(graph.baseline[node]) for node, value in (fixed or {}).items()}
        self._certain_change = self._sum_certain(np.asarray(levels, dtype=np.float64))
        self._uncertain_nodes = np.flatnonzero(graph.node_quantity >= 0)
        self._levels = [self._compile_level(start, stop) for start, stop in pairwise(graph.level_bounds.tolist())]
        self._kept_row = np.full(len(self.stretch), -1, dtype=np.int64)
        self._kept_row[self.kept_cells] = np.arange(len(self.kept_cells))

    def _sum_certain(self, levels: Floats) -> Floats:
        """What is the same in every draw: initiative levels, certain factors, stretch with certain execution."""
        graph = self.graph
        certain = np.where(graph.node_quantity < 0, graph.factor_mean, 0.0)
        executed = graph.sign[graph.cell_node] * graph.execution_mean * self.stretch
        executed[self.inputs.cells] = 0.0
        certain[graph.cell_node] += executed
        certain[graph.level_node] += levels
        return certain

    def _compile_level(self, start: int, stop: int) -> _Level:
        graph = self.graph
        first, last = np.searchsorted(graph.head, [start, stop])
        tail, head = graph.tail[first:last], graph.head[first:last] - start
        is_uncertain = graph.edge_quantity[first:last] >= 0
        coefficient = np.where(is_uncertain, 0.0, graph.coefficient[first:last])
        keep, n = ~is_uncertain, stop - start
        certain = sp.csr_array((coefficient[keep], (head[keep], tail[keep])), shape=(n, graph.n_nodes))
        drawn = np.flatnonzero(is_uncertain)
        gather = sp.csr_array((np.ones(len(drawn)), (head[drawn], np.arange(len(drawn)))), shape=(n, len(drawn)))
        row = self.inputs.quantity_row[graph.edge_quantity[first:last][drawn]]
        return _Level(start, stop, certain, tail[drawn], row, gather)

    def run(self, scores: ScoreSource, n_draws: int, first_draw: int = 0) -> Block:
        """Return one block of draws.

        Parameters
        ----------
        scores : callable
            Rows of `inputs` -> independent standard normal scores, (n_rows, n_draws).
        n_draws : int
        first_draw : int
            Number of the block's first draw, for messages.

        Raises
        ------
        NumericsError
            Where a value is not finite; names the KPI and the draw.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            values, common = self.inputs.draw_shared(scores)
            delta = np.repeat(self._certain_change[:, None], n_draws, axis=1)
            self._add_uncertain_nodes(delta, values)
            realised = self._add_execution(delta, scores, common)
            self._sweep(delta, values)
            self._check_finite(delta, first_draw)
        return Block(delta, realised)

    def _add_uncertain_nodes(self, delta: Floats, values: Floats) -> None:
        graph = self.graph
        for node in self._uncertain_nodes.tolist():
            row = self.inputs.quantity_row[graph.node_quantity[node]]
            delta[node] += values[row] - graph.baseline[node]

    def _add_execution(self, delta: Floats, scores: ScoreSource, common: Floats) -> Floats:
        graph, inputs = self.graph, self.inputs
        n_draws = delta.shape[1]
        realised = np.repeat((self.stretch * graph.execution_mean)[self.kept_cells, None], n_draws, axis=1)
        tile = max(1, TILE // n_draws)
        for first, last, _ in inputs.groups:
            for start in range(first, last, tile):
                stop = min(start + tile, last)
                cells = inputs.cells[start:stop]
                change = inputs.draw_execution(scores, common, start, stop)
                change *= self.stretch[cells, None]
                kept = np.flatnonzero(self._kept_row[cells] >= 0)
                realised[self._kept_row[cells[kept]]] = change[kept]
                nodes = graph.cell_node[cells]
                change *= graph.sign[nodes, None]
                delta[nodes] += change
        return realised

    def _sweep(self, delta: Floats, values: Floats) -> None:
        for level in self._levels:
            here = delta[level.start : level.stop]
            if level.certain.nnz:
                here += level.certain @ delta
            if len(level.tail):
                here += level.gather @ (values[level.row] * delta[level.tail])
            for node, change in self.fixed.items():
                if level.start <= node < level.stop:
                    delta[node] = change

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
