"""A passage gone back: what a change at each node does to a weighted sum of others, draw by draw."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.hits import as_rows
from kpiopt.simulation.propagate import Passage

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Backwards:
    """The way back through a passage."""

    passage: Passage

    def sweep(self, back: Floats, clipped: Flags | None, values: Floats) -> None:
        """Add to each node's weight that of all that it moves, in place.

        Parameters
        ----------
        back : (n_rows, n_draws) float
        clipped : (n_nodes, n_draws) bool or None
            Where a bound cuts a value off: nothing is passed on.
        values : (n_values, n_draws) float
            Drawn values of the named quantities.
        """
        for level, (tails, together), (rows, matrix) in zip(
            self.passage.levels[::-1], self._tails[::-1], self._certain[::-1], strict=True
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
        for level in self.passage.levels:
            rows = np.unique(level.matrix.indices).astype(np.int64)
            found.append((as_rows(rows), sp.csr_array(sp.csc_array(level.matrix)[:, rows].T)))
        return found

    @cached_property
    def _tails(self) -> list[tuple[Integers, sp.csr_array]]:
        """Of each level the nodes that its uncertain edges come from, and which edges come from each."""
        found = []
        for level in self.passage.levels:
            tails, row = np.unique(level.tail, return_inverse=True)
            entries = np.ones(len(row)), (row, np.arange(len(row)))
            found.append((tails, sp.csr_array(entries, shape=(len(tails), len(row)))))
        return found
