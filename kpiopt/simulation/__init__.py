"""Draws through the causal graph: streams, propagation, odds and pay."""

from kpiopt.simulation.odds import Estimate, QuantileEstimate
from kpiopt.simulation.results import Distribution, GoalOdds, PayOdds, PeerSpread, Simulation
from kpiopt.simulation.simulate import simulate

__all__ = [
    "Distribution",
    "Estimate",
    "GoalOdds",
    "PayOdds",
    "PeerSpread",
    "QuantileEstimate",
    "Simulation",
    "simulate",
]
