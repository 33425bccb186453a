"""Rows of arrays."""

from __future__ import annotations

import numpy as np

from kpiopt.scenario.scenario import Integers


def as_rows(positions: Integers) -> slice | Integers:
    """Return a slice where positions are successive: reading rows through it copies nothing."""
    n = len(positions)
    if n and positions[-1] - positions[0] == n - 1 and np.all(np.diff(positions) == 1):
        return slice(int(positions[0]), int(positions[0]) + n)
    return positions
