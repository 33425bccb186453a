"""From a node to a goal, KPI by KPI: along which chain of causes one more of it arrives, and how much of it.

A chain is told by its KPIs, not by its nodes: a cause that is handed down to a hundred teams and adds up again is one
chain. The graph is linear, so the chains of a node add up to its total effect.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.graph.hand_down import one_over_horizon
from kpiopt.scenario.scenario import Floats

Booleans = np.ndarray[tuple[int], np.dtype[np.bool_]]
MOST_LINKS, MOST_STATES = 12, 400
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Link:
    """A KPI that a chain passes.

    Attributes
    ----------
    kpi : int
        Position of the KPI.
    amount : float
        Its change, in its own unit: at the unit itself where the chain is still there, else at the root; NaN where the
        KPI has no value of the root, so that what is changed are several values.
    at_own : bool
        Whether the change is at the unit where the chain began, and the chain has not left it before.
    """

    kpi: int
    amount: float
    at_own: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """One way from a node to a goal.

    Attributes
    ----------
    links : tuple of Link
        The KPIs on the way, the last one is the goal's.
    effect : float
        What arrives at the goal, in the goal's unit, for one more at the node.
    """

    links: tuple[Link, ...]
    effect: float


def one_more(graph: CausalGraph, node: int) -> dict[int, float]:
    """Return how one more at a node begins, node -> change: of the horizon, as its periods have it."""
    if graph.scenario.periods is None or graph.kind[node] != NodeKind.KPI or graph.period[node] >= 0:
        return {node: 1.0}
    every = np.arange(graph.scenario.n_periods)
    nodes = graph.find_nodes(np.full(len(every), graph.unit[node]), int(graph.kpi[node]), every)
    return dict(zip(nodes.tolist(), one_over_horizon(graph)[nodes].tolist(), strict=True))


class Paths:
    """The edges of a graph by their cause, to follow them upwards."""

    def __init__(self, graph: CausalGraph) -> None:
        self.graph = graph
        order = np.argsort(graph.tail, kind="stable")
        self._head, self._coefficient = graph.head[order], graph.coefficient[order]
        self._start = np.searchsorted(graph.tail[order], np.arange(graph.n_nodes + 1))
        self._kpi: list[int] = graph.kpi.tolist()
        self._reaching: dict[int, Booleans] = {}

    def effects(self, goal_node: int) -> Floats:
        """Return what one more at each node adds to a goal's node, along all paths, (n_nodes,) float."""
        at = np.zeros(self.graph.n_nodes)
        at[goal_node] = 1.0
        return self.graph.sweep_back(at)

    def chains(self, node: int, goal_node: int) -> list[Chain]:
        """Return the chains from a node to a goal, the largest effect first; they add up to the total effect.

        One more over the horizon is spread over its periods as a contribution is meant.

        Very many are cut off; what is left out is the total effect less their sum.
        """
        home = int(self.graph.unit[node]) if self.graph.kind[node] != NodeKind.FACTOR else -1
        reach = self._reach(goal_node)
        found: list[Chain] = []
        states: list[tuple[dict[int, float], tuple[Link, ...]]] = [(one_more(self.graph, node), ())]
        count = 0
        while states and count < MOST_STATES:
            change, links = states.pop()
            count += 1
            inside, beyond = self._within(change)
            kpi = self._kpi[next(iter(change))]
            if kpi >= 0:
                links = (*links, self._link(kpi, inside, home if all(link.at_own for link in links) else -1))
            if abs(inside.get(goal_node, 0.0)) > 0.0:
                found.append(Chain(links, inside[goal_node]))
            if len(links) < MOST_LINKS:
                states += [(dict(part), links) for part in beyond.values() if any(reach[node] for node in part)]
        largest = max((abs(chain.effect) for chain in found), default=0.0)
        kept = [chain for chain in found if abs(chain.effect) > TINY * largest]
        return sorted(kept, key=lambda chain: (-abs(chain.effect), [link.kpi for link in chain.links]))

    def _reach(self, goal_node: int) -> Booleans:
        """Return which nodes have a path to the goal, also where paths cancel, (n_nodes,) bool."""
        if goal_node in self._reaching:
            return self._reaching[goal_node]
        matrix = self.graph.matrix.copy()
        matrix.data = (matrix.data != 0.0).astype(np.float64)
        at = np.zeros(self.graph.n_nodes)
        at[goal_node] = 1.0
        self._reaching[goal_node] = np.asarray(self.graph.sweep_back(at, matrix) > 0.0)
        return self._reaching[goal_node]

    def _within(self, change: dict[int, float]) -> tuple[dict[int, float], dict[int, dict[int, float]]]:
        """Follow a change within its KPI; return it there, and what it passes on to each other KPI.

        Also where that does not lead to the goal: a KPI is told of as what it adds up to.
        """
        inside = defaultdict(float, change)
        beyond: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        waiting, known = list(change), set(change)
        heapq.heapify(waiting)
        kpi = self._kpi[waiting[0]]
        while waiting:
            node = heapq.heappop(waiting)
            for i in range(int(self._start[node]), int(self._start[node + 1])):
                head = int(self._head[i])
                moved = inside[node] * float(self._coefficient[i])
                if moved == 0.0:
                    continue
                if self._kpi[head] != kpi:
                    beyond[self._kpi[head]][head] += moved
                    continue
                inside[head] += moved
                if head not in known:
                    known.add(head)
                    heapq.heappush(waiting, head)
        return dict(inside), beyond

    def _link(self, kpi: int, inside: dict[int, float], home: int) -> Link:
        told = [node for node in inside if self.graph.period[node] < 0] or list(inside)
        own = [node for node in told if int(self.graph.unit[node]) == home]
        if own:
            return Link(kpi, inside[own[0]], at_own=True)
        whole = [inside[node] for node in told if int(self.graph.unit[node]) == 0]
        return Link(kpi, whole[0] if whole else math.nan, at_own=False)
