"""The weighted causal graph: scenario -> nodes in topological order and sparse coefficients."""

from kpiopt.graph.causal_graph import CausalGraph, EdgeKind, NamedQuantity, NodeKind
from kpiopt.graph.compile import build_graph

__all__ = ["CausalGraph", "EdgeKind", "NamedQuantity", "NodeKind", "build_graph"]
