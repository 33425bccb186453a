"""The weighted causal graph: scenario -> nodes in topological order and sparse coefficients."""

from kpiopt.graph.causal_graph import CausalGraph
from kpiopt.graph.compile import build_graph
from kpiopt.graph.kinds import EdgeKind, NamedQuantity, NodeKind
from kpiopt.graph.straight import straight

__all__ = ["CausalGraph", "EdgeKind", "NamedQuantity", "NodeKind", "build_graph", "straight"]
