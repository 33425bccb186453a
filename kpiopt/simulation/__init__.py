"""Draws through the causal graph: streams, propagation, odds and pay."""
