"""Normal scores -> values of many quantities at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.distribution import LARGEST_LOGARITHM, score_line
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Floats


@dataclass(frozen=True)
class Transform:
    """Values of quantities as functions of their scores.

    Attributes
    ----------
    location, scale : (n,) float
        Normal quantities are location + scale z, lognormal ones exp(location + scale z).
    is_lognormal : (n,) bool
    others : tuple of (row, Quantity)
        Quantities of other kinds, by their quantile functions.
    """

    location: Floats
    scale: Floats
    is_lognormal: NDArray[np.bool_]
    others: tuple[tuple[int, Quantity], ...]

    def apply(self, scores: Floats) -> Floats:
        """Return values (n, n_draws), each in its quantity's own unit, from scores; overwrites `scores`."""
        other_values = [quantity.at_score(scores[row]) for row, quantity in self.others]
        scores *= self.scale[:, None]
        scores += self.location[:, None]
        np.minimum(scores, LARGEST_LOGARITHM, out=scores, where=self.is_lognormal[:, None])
        np.exp(scores, out=scores, where=self.is_lognormal[:, None])
        for (row, _), values in zip(self.others, other_values, strict=True):
            scores[row] = values
        return scores


def build_transform(quantities: Sequence[Quantity]) -> Transform:
    """Compile the quantities of some rows."""
    lines = [score_line(q.kind, q.parameters) for q in quantities]
    numbers = np.array([line or (0.0, 1.0) for line in lines], dtype=np.float64).reshape(-1, 2)
    return Transform(
        location=numbers[:, 0].copy(),
        scale=numbers[:, 1].copy(),
        is_lognormal=np.array([q.kind == "lognormal" for q in quantities], dtype=bool),
        others=tuple((row, q) for row, q in enumerate(quantities) if lines[row] is None),
    )
