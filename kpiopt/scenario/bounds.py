"""One rule for figures of the file that rounding alone keeps apart: 0.07 x 100 is not above 7."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats

ROUNDING = 1e-12
"""Share of their size by which two bounds that were meant to be equal may differ: what a few thousand operations on
figures of 16 digits can add up to, and a million times less than the shares that planners write."""

SMALLEST, LARGEST = 1e-9, 1e12
RANGE_RULE = f"numbers other than 0 lie between {SMALLEST:g} and {LARGEST:g} in size"


def out_of_range(value: float) -> bool:
    """Whether a number is too large or too close to 0 to compute with safely."""
    return value != 0 and not SMALLEST <= abs(value) <= LARGEST


def is_above(value: Floats | float, bound: Floats | float) -> NDArray[np.bool_]:
    """Whether `value`, (n,) float, exceeds `bound`, (n,) float, by more than rounding; False where either is NaN."""
    noise = ROUNDING * np.maximum(np.abs(value), np.abs(bound))
    return np.asarray(value - noise > bound)


def closed(lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Make boxes whose ends only rounding keeps apart the point at the lower of the two; leave all others.

    Parameters
    ----------
    lower, upper : (n,) float
        NaN where there is none.

    Returns
    -------
    pair of (n,) float
    """
    is_point = ~(is_above(upper, lower) | is_above(lower, upper) | np.isnan(lower) | np.isnan(upper))
    point = np.minimum(lower, upper)
    return np.where(is_point, point, lower), np.where(is_point, point, upper)
