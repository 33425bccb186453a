"""A passage through few nodes: where draws bend or multiply nothing, sums along certain edges are formed once.

Kept are the nodes that goals are about, those that an uncertain edge leaves, and those that a bound or a curve changes.
What any other node deviates by reaches them through certain edges alone, by one number: with A the certain edges out of
such nodes, R = E + E A + E A A + ... with E the rows of the kept ones, and what is kept deviates by R times the own
deviations of all nodes, and by what kept nodes do to each other. So a pass over 100,000 cells is one sparse product,
and only the few kept nodes go through the graph draw by draw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from kpiopt.scenario.scenario import Integers
from kpiopt.simulation.propagate import Level, Passage

FEW = 8
"""A passage is condensed where it has so many times more nodes than are kept."""


@dataclass(frozen=True)
class Condensed:
    """A passage whose other nodes are summed up.

    Attributes
    ----------
    kept : (k,) int
        Positions of the kept nodes in the passage, ascending.
    reach : (k, n) sparse
        What a unit of each node's own deviation adds to each kept node, along certain edges between other nodes.
    passage : Passage
        Through the kept nodes.
    """

    kept: Integers
    reach: sp.csr_array
    passage: Passage


def condense(passage: Passage, goals: Integers) -> Condensed | None:
    """Return a passage condensed; None where most of its nodes would be kept.

    Parameters
    ----------
    goals : (n_goals,) int
        Positions of the nodes that goals are about.
    """
    n = len(passage.nodes)
    is_kept = np.zeros(n, dtype=bool)
    is_kept[goals] = True
    for level in passage.levels:
        is_kept[level.tail] = True
        is_kept[level.bounds[0]] = True
        is_kept[[node for node, _ in level.curves]] = True
    kept = np.flatnonzero(is_kept)
    if len(kept) * FEW > n:
        return None
    edges = sp.csr_array(sp.vstack([level.matrix for level in passage.levels], format="csr"))
    others = sp.csr_array(edges[:, :n] @ sp.diags_array(np.where(is_kept, 0.0, 1.0)))
    others.eliminate_zeros()
    reach = more = sp.csr_array((np.ones(len(kept)), (np.arange(len(kept)), kept)), shape=(len(kept), n))
    while (more := sp.csr_array(more @ others)).nnz:
        reach = reach + more
    shift = len(kept) - n
    columns = np.concatenate([kept, np.arange(n, passage.n_rows)])
    matrix = sp.csr_array(sp.csc_array(reach @ edges)[:, columns])
    place = np.cumsum(is_kept) - 1
    levels = tuple(
        _condense(level, np.searchsorted(kept, [level.start, level.stop]), matrix, place, shift)
        for level in passage.levels
    )
    return Condensed(kept, sp.csr_array(reach), Passage(passage.nodes[kept], levels, passage.drawn_edges))


def _condense(level: Level, ends: Integers, matrix: sp.csr_array, place: Integers, shift: int) -> Level:
    """Return a level of kept nodes; rows of uncertain edges are filled where they were."""
    start, stop = ends.tolist()
    bounded, low, high = level.bounds
    return replace(
        level,
        start=start,
        stop=stop,
        matrix=sp.csr_array(matrix[start:stop]),
        first=level.first + shift,
        last=level.last + shift,
        tail=place[level.tail],
        bounds=(place[bounded], low, high),
        curves=tuple((int(place[node]), curve) for node, curve in level.curves),
    )
