"""Topological levels, cycles and sorted look-ups on edge arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from kpiopt.scenario.roll_up import distinct
from kpiopt.scenario.scenario import Integers


def look_up(keys: Integers, values: Integers, wanted: Integers) -> Integers:
    """Return for each `wanted`, (n,) int, the value of its key in the sorted `keys`, (k,) int; -1 where it is absent.

    `values`, (k,) int, stand beside the keys.
    """
    if not len(keys):
        return np.full(np.shape(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], -1)


def topological_levels(n: int, tail: Integers, head: Integers) -> Integers:
    """Return the longest-path level of each node, -1 for nodes on or behind a cycle (Kahn, one layer at a time)."""
    level = np.full(n, -1, dtype=np.int64)
    waiting = np.bincount(head, minlength=n)
    out = sp.csr_array((np.ones(len(tail)), (tail, head)), shape=(n, n))
    out.sum_duplicates()
    frontier = np.flatnonzero(waiting == 0)
    depth = 0
    while len(frontier):
        level[frontier] = depth
        reached = out[frontier]
        np.subtract.at(waiting, reached.indices, reached.data.astype(np.int64))
        candidates = distinct(reached.indices.astype(np.int64))
        frontier = candidates[waiting[candidates] == 0]
        depth += 1
    return level


def shortest_cycle(nodes: Integers, tail: Integers, head: Integers) -> list[int]:
    """Return a shortest cycle among some nodes, beginning at its lowest node (the first 200 are tried)."""
    import networkx as nx  # only when there is a cycle to name

    inside = np.isin(tail, nodes) & np.isin(head, nodes)
    digraph = nx.DiGraph(zip(tail[inside].tolist(), head[inside].tolist(), strict=True))
    components = [sorted(c) for c in nx.strongly_connected_components(digraph)]
    loops = [[n] for n in sorted(digraph) if digraph.has_edge(n, n)]
    for start in [n for c in sorted(c for c in components if len(c) > 1) for n in c][:200]:
        for following in sorted(digraph.successors(start)):
            if nx.has_path(digraph, following, start):
                back = nx.shortest_path(digraph, following, start)
                loops.append([start, *back[:-1]])
    return min(loops, key=len)


def drivers_of(cycle: Sequence[str]) -> str:
    """Return the drivers that close a circle of "unit/kpi", by their paths: "kpi.a.drivers.b or kpi.b.drivers.a"."""
    kpis = [name.rpartition("/")[2] for name in cycle]
    steps = zip(kpis, [*kpis[1:], kpis[0]], strict=True)
    alone = len(set(kpis)) == 1
    return " or ".join(dict.fromkeys(f"kpi.{after}.drivers.{kpi}" for kpi, after in steps if kpi != after or alone))
