"""What a planner says about totals: rows of the cells table for units above other cells of the KPI."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows of the cells table for units that have cells of the same KPI below: what holds for their total.

    Attributes
    ----------
    cell : (n,) int
        Positions in `Cells`; none of them has a decision.
    low, high : (n,) float
        Range of the roll-up of the stretches below, a lock applied; infinite where there is none.
    target : (n,) float
        Target fixed by a person; NaN where free.
    """

    cell: Integers
    low: Floats
    high: Floats
    target: Floats

    @property
    def is_locked(self) -> NDArray[np.bool_]:
        """Whether a person fixed the roll-up of the stretches, (n,) bool."""
        return np.asarray(self.low == self.high)


def no_totals() -> Totals:
    """Return the totals of a scenario without any."""
    return Totals(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0), np.empty(0))
