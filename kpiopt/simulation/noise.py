"""Noise of baselines in draws: b becomes b exp(sd z - sd^2 / 2), or b + sd z; only leaves have baselines of their own.

z has the parts in common with other cells that `[noise.NAME] common` says, as execution has them: streams
"noise.NAME" of the organization, "noise.NAME@unit" of a unit, "cell.<unit>/<kpi>.noise" of the cell itself. Where the
baseline is a distribution as well, its drawn value takes the place of b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.graph.kinds import EdgeKind
from kpiopt.scenario.scenario import Floats, Integers


@dataclass(frozen=True)
class NoiseDraws:
    """The cells with noise, sorted by node, and how their scores become changes.

    Attributes
    ----------
    cells, nodes : (n,) int
    sd : (n, 1) float
    additive : (n, 1) bool
    own_weight : (n, 1) float
    common_weight : (n, n_common) CSR
        Over the common parts of all noises.
    """

    cells: Integers
    nodes: Integers
    sd: Floats
    additive: NDArray[np.bool_]
    own_weight: Floats
    common_weight: sp.csr_array
    common_names: tuple[str, ...]

    def factor(self, own: Floats, common: Floats) -> Floats:
        """Return the change relative to the baseline, or itself where noise is additive, (n, n_draws) float.

        Overwrites `own`, the cells' own scores; `common` are the common parts' scores.
        """
        own *= self.own_weight
        if self.common_names:
            own += self.common_weight @ common
        own *= self.sd
        relative = np.expm1(np.minimum(own - self.sd**2 / 2, 709.0))
        return np.where(self.additive, own, relative)


def noisy_nodes(graph: CausalGraph) -> Integers:
    """Return the leaves whose baseline has noise, ascending, (n,) int."""
    noise = graph.scenario.noise
    if noise is None:
        return np.empty(0, dtype=np.int64)
    is_parent = np.zeros(graph.n_nodes, dtype=bool)
    is_parent[graph.head[graph.edge_kind == EdgeKind.ROLL_UP]] = True
    nodes = graph.cell_node[noise.sd > 0]
    additive = np.array([*noise.additive, False])[noise.group[noise.sd > 0]]
    has_spread = (graph.baseline[nodes] != 0) | (graph.node_quantity[nodes] >= 0) | additive
    return np.sort(nodes[~is_parent[nodes] & has_spread])
