"""Effort that grows faster than stretch: curves of tiers, and which cells have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Tier = tuple[float, float]
"""Up to which relative stretch it reaches, and how many times effort counts in it."""


@dataclass(frozen=True)
class EffortCurves:
    """Curves of effort by tiers of relative stretch.

    Attributes
    ----------
    tiers : tuple of tuple of Tier
        One curve each; the last tier goes on.
    group : (n_cells,) int
        Curve of each cell of `Scenario.horizon`, -1 where effort is proportional.
    """

    tiers: tuple[tuple[Tier, ...], ...]
    group: NDArray[np.int64]

    def is_alike(self, other: EffortCurves | None) -> bool:
        """Whether other curves mean the same."""
        return other is not None and self.tiers == other.tiers and np.array_equal(self.group, other.group)


def bends_of(tiers: Sequence[Tier]) -> list[tuple[float, float, float, float]]:
    """Return the tiers after the first that count more than the one before.

    Returns
    -------
    list of (start, more, multiplier, constant)
        Where each begins, by how much its multiplier is higher, the multiplier m, and c such that x counts m x - c.
    """
    found, constant = list[tuple[float, float, float, float]](), 0.0
    for (start, before), (_, multiplier) in pairwise(tiers):
        if multiplier != before:
            constant += (multiplier - before) * start
            found.append((start, multiplier - before, multiplier, constant))
    return found
