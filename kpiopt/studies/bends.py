"""Where a graph is bent: at response curves and at bounds of KPIs. Cut there, everything else is linear.

What reaches a bend in a draw is what reaches it without any move, plus what levers and other bends add; what leaves it
is bent, and from there on acts in proportion. So a page that knows what reaches each bend, and what one more that
leaves it does, can answer "what if" by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kpiopt.graph import CausalGraph
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.hits import HitRule
from kpiopt.simulation.propagate import Propagation
from kpiopt.simulation.streams import Layout

MOST_BENDS = 40


@dataclass(frozen=True)
class Shown:
    """What is watched draw by draw: some nodes, and sums of what edges carry.

    Attributes
    ----------
    nodes : (n_shown,) int
    flows : (n_flows, n_edges) CSR
    """

    nodes: Integers
    flows: sp.csr_array


@dataclass(frozen=True)
class Bend:
    """A piecewise linear function of what reaches a node: points, and slopes before the first and after the last."""

    node: int
    points: tuple[tuple[float, float], ...]
    first: float
    last: float


@dataclass(frozen=True)
class BendEffects:
    """What reaches bends, and what one more that leaves them does, in every draw.

    Attributes
    ----------
    bends : tuple of Bend
        Each after those that reach it.
    base : (n_bends, n_draws) float
        What reaches each before anything is moved.
    reached : (n_levers, n_bends, n_draws) float
        Change of it for a move of a lever by 1.
    between : (n_bends, n_bends, n_draws) float
        What one more that leaves the first changes of what reaches the second.
    on_goals, on_nodes, on_flows : (n_bends, n_goals or n_shown or n_flows, n_draws) float
        What one more that leaves a bend does to the margins of goals, and to what is shown.
    """

    bends: tuple[Bend, ...]
    base: Floats
    reached: Floats
    between: Floats
    on_goals: Floats
    on_nodes: Floats
    on_flows: Floats


def bend_nodes(graph: CausalGraph) -> Integers:
    """Return the nodes at which a change is bent, ascending: causes stand before effects."""
    return np.union1d(graph.curves.node, graph.bounded).astype(np.int64)


def _bend(graph: CausalGraph, node: int) -> Bend:
    curve = int(graph.curves.place(np.array([node]))[0]) if len(graph.curves.node) else -1
    if curve >= 0:
        found = graph.curves.curve[curve]
        return Bend(node, found.points, float(found.slopes[0]), float(found.slopes[-1]))
    low, high = (float(end) for end in graph.bounds[:, node] - graph.baseline[node])
    points = tuple((end, end) for end in (low, high) if np.isfinite(end))
    return Bend(node, points, float(not np.isfinite(low)), float(not np.isfinite(high)))


class Cuts:
    """A graph cut at its bends, while it is drawn."""

    def __init__(
        self, propagation: Propagation, rule: HitRule, layout: Layout, n_levers: int, shown: Shown | None
    ) -> None:
        graph, draws = propagation.graph, layout.draws
        self._propagation, self._rule, self._size = propagation, rule, layout.size
        self._shown = shown or Shown(np.empty(0, dtype=np.int64), sp.csr_array((0, len(graph.tail))))
        nodes = bend_nodes(graph).tolist()
        self.still = dict.fromkeys(nodes, 0.0)
        n = len(nodes)
        self.effects = BendEffects(
            tuple(_bend(graph, node) for node in nodes),
            np.zeros((n, draws)),
            np.zeros((n_levers, n, draws)),
            np.zeros((n, n, draws)),
            np.zeros((n, len(rule.nodes), draws)),
            np.zeros((n, len(self._shown.nodes), draws)),
            np.zeros((n, self._shown.flows.shape[0], draws)),
        )

    def watch_base(self, part: slice) -> dict[int, Floats]:
        """Return where to write what reaches bends before anything is moved."""
        return self._watch(self.effects.base, part)

    def watch_lever(self, lever: int, part: slice) -> dict[int, Floats]:
        """Return where to write what a lever changes of it."""
        return self._watch(self.effects.reached[lever], part)

    def _watch(self, reached: Floats, part: slice) -> dict[int, Floats]:
        return {bend.node: reached[i, part] for i, bend in enumerate(self.effects.bends)}

    def measure(self, values: Floats, workspace: Floats, part: slice) -> None:
        """Find what one more that leaves each bend does in a block of draws."""
        found, nothing = self.effects, np.zeros(self._propagation.graph.n_nodes)
        sign = np.where(self._rule.is_down, -1.0, 1.0)[:, None]
        for i, bend in enumerate(found.bends):
            fixed, watch = {**self.still, bend.node: 1.0}, self._watch(found.between[i], part)
            change, _ = self._propagation.respond(values, nothing, workspace, fixed, watch)
            found.on_goals[i, :, part] = sign * change[self._rule.nodes]
            found.on_nodes[i, :, part] = change[self._shown.nodes]
            if self._shown.flows.shape[0]:
                found.on_flows[i, :, part] = self._shown.flows @ self._propagation.carried_by_draw(workspace)
