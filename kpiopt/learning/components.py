"""What a forecast is made of: the functions of time of organization, regions and units, and their variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTY: dict[str, tuple[float, float]] = {
    "drift": (0.05, 0.7),
    "season": (0.20, 1.0),
    "spot": (0.10, 1.0),
    "quarter": (0.20, 1.0),
    "shock": (0.15, 1.0),
    "common_walk": (0.20, 1.0),
    "region_shock": (0.10, 1.0),
    "region_walk": (0.15, 1.0),
    "level": (0.8, 0.7),
    "walk": (0.4, 1.0),
    "swing": (0.10, 1.0),
    "small_swing": (0.10, 1.0),
    "own_season": (0.15, 1.0),
    "own_quarter": (0.15, 1.0),
    "noise": (0.3, 0.7),
    "small_noise": (0.2, 1.0),
}
"""Each component's penalty: its log standard deviation is normal around log(first) with the second as deviation."""

SEASON_LENGTH = 0.49
"""Squared length scale of the smooth season, in turns of the year."""

MEAN_SD = 1.0
"""Prior standard deviation of the common level around the mean of the data, on the link scale."""


@dataclass(frozen=True)
class Components:
    """The unit matrices of every component on a grid, by the level of the tree that has them.

    Attributes
    ----------
    root, region, unit : dict of str to (T, T) float
        Covariance of each component where its variance is 1.
    small : dict of str to (T, T) float
        Components of units whose variance grows as that of the noise where a unit is small.
    """

    root: dict[str, Floats]
    region: dict[str, Floats]
    unit: dict[str, Floats]
    small: dict[str, Floats]

    @property
    def names(self) -> tuple[str, ...]:
        """All components, those of the noise last."""
        return (*self.root, *self.region, *self.of_units)

    @property
    def of_units(self) -> tuple[str, ...]:
        """The components of units, those of the noise last."""
        return (*self.unit, *self.small, "noise", "small_noise")

    def above(self, variance: dict[str, float]) -> tuple[Floats, Floats]:
        """Return the prior covariance of the functions of root and region, (T, T) each."""
        size = len(self.unit["level"])
        common = MEAN_SD**2 * np.ones((size, size)) + _mix(self.root, variance, size)
        return common, _mix(self.region, variance, size)

    def own(self, variance: dict[str, float], small: Floats) -> Floats:
        """Return the prior covariance of the functions of units, (k, T, T), whose w_i are `small`."""
        size = len(self.unit["level"])
        return _mix(self.unit, variance, size) + small[:, None, None] * _mix(self.small, variance, size)


def _mix(parts: dict[str, Floats], variance: dict[str, float], size: int) -> Floats:
    mixed = np.zeros((size, size))
    for name, matrix in parts.items():
        mixed += variance[name] * matrix
    return mixed


def build_components(count: int, per_year: int, phase: int, *, has_regions: bool) -> Components:
    """Build the components on a grid.

    Parameters
    ----------
    count : int
        Number of periods, future ones included.
    per_year, phase : int
        Periods of a year, and the place of the first one in it.
    has_regions : bool
        Whether there is more than one group of units.
    """
    time = np.arange(count)
    place = (time + phase) % per_year
    apart = np.abs(place[:, None] - place[None])
    apart = np.minimum(apart, per_year - apart)
    smooth = np.exp(-2.0 * np.sin(np.pi * apart / per_year) ** 2 / SEASON_LENGTH)
    walk = np.minimum(time[:, None] + 1, time[None] + 1) / per_year
    root = {
        "shock": np.eye(count),
        "common_walk": walk,
        "drift": np.outer(time + 1.0, time + 1.0) / per_year**2,
    }
    swing = np.exp(-np.abs(time[:, None] - time[None]).astype(float))
    unit = {"level": np.ones((count, count)), "walk": walk, "swing": swing}
    if per_year > 1:
        root |= {"season": smooth, "spot": (apart == 0).astype(float)}
        unit["own_season"] = smooth
    if per_year == 12:
        root["quarter"] = unit["own_quarter"] = (place[:, None] % 3 == place[None] % 3).astype(float)
    region = {"region_shock": np.eye(count), "region_walk": walk} if has_regions else {}
    return Components(root, region, unit, {"small_swing": swing})
