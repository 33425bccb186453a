"""When a value hits its target: rounded to the KPI's step, it reaches it.

Rounding is to the nearest multiple of the step, halves towards the better side. For a KPI without a step the value
itself must reach the target, up to `TOLERANCE` of the larger of target and change, so that a plan that meets a goal
exactly is not a miss by the last digit of a floating-point number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.rows import as_rows

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class HitRule:
    """Thresholds of some nodes.

    Attributes
    ----------
    nodes : (n,) int
    rows : slice or (n,) int
        The same, for reading.
    threshold : (n,) float
        Deviation from the baseline at which the outcome changes.
    is_down : (n,) bool
        Whether a hit is a deviation below the threshold instead of one at or above it.
    """

    nodes: Integers
    rows: slice | Integers
    threshold: Floats
    is_down: NDArray[np.bool_]

    def hits(self, delta: Floats) -> NDArray[np.bool_]:
        """Return which draws hit, (n, n_draws) bool, from deviations of all nodes (n_nodes, n_draws)."""
        reached: NDArray[np.bool_] = delta[self.rows] >= self.threshold[:, None]
        reached ^= self.is_down[:, None]
        return reached


def build_hit_rule(graph: CausalGraph, nodes: Integers, targets: Floats) -> HitRule:
    """Return the rule for KPI nodes and their targets (n,), each in its KPI's unit."""
    up = graph.sign[nodes]
    step = graph.scenario.kpi_step[graph.kpi[nodes]]
    baseline = graph.baseline[nodes]
    value = np.where(step > 0, _stepped(up * targets, step), _plain(up * targets, up * baseline))
    threshold = up * value - baseline
    is_down = up < 0
    # For `down` a value at the threshold is a hit: the first miss is the next number above it.
    return HitRule(nodes, as_rows(nodes), np.where(is_down, np.nextafter(threshold, np.inf), threshold), is_down)


def _stepped(target: Floats, step: Floats) -> Floats:
    """Least value that rounds half up to the target or better, higher being better."""
    safe = np.where(step > 0, step, 1.0)
    return (np.ceil(target / safe - TOLERANCE) - 0.5) * safe


def _plain(target: Floats, baseline: Floats) -> Floats:
    return target - TOLERANCE * np.maximum(np.abs(target), np.abs(target - baseline))
