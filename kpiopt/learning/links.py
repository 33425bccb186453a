"""Links: the scale on which the values of a KPI move in proportion, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import NumericsError, Problem
from kpiopt.learning.history import Series

Floats = NDArray[np.float64]
LinkName = Literal["log", "count", "identity"]

FEW_VALUES, FEW_PERIODS = 8, 4
"""The least from which anything can be learned."""
FEW = 20.0
"""Whole numbers with a smaller mean are taken as counts."""
IDLE_PRIOR = 4.0
"""Periods that a unit's own share of idle periods is shrunk by, towards the share of all units."""


@dataclass(frozen=True)
class Link:
    """How the values of a KPI are put on the link scale.

    Attributes
    ----------
    name : str
        "log" of values above 0, idle periods a part of their own; "count" for small whole numbers; "identity" where
        values may be negative, in units of `scale`.
    values, known : (n, T) float
        On the link scale, and the noise variance that is known of each value.
    idle : (n, 2) float
        Pseudo counts of idle and of busy periods of each unit.
    scale : float
        Unit of an identity link, in the KPI's own unit; 1 for the others.
    """

    name: LinkName
    values: Floats
    known: Floats
    idle: Floats
    scale: float

    def back(self, values: Floats, unit: int, rng: np.random.Generator) -> Floats:
        """Return drawn values in the KPI's own unit; same shape as `values`."""
        if self.name == "identity":
            return values * self.scale
        level = np.exp(np.clip(values, -60.0, 60.0))
        if self.name == "count":
            return rng.poisson(np.minimum(level, 1e9)).astype(np.float64)
        if self.idle[unit, 0] <= 0.0:
            return level
        share = rng.beta(self.idle[unit, 0], self.idle[unit, 1], size=(len(values), 1))
        return np.where(rng.random(values.shape) < share, 0.0, level)


def link_series(series: Series) -> Link:
    """Put a KPI's past on its link scale.

    Raises
    ------
    NumericsError
        Where there are fewer than 8 values or 4 periods: nothing can be learned from that.
    """
    seen = np.isfinite(series.value)
    if seen.sum() < FEW_VALUES or seen.any(axis=0).sum() < FEW_PERIODS:
        raise NumericsError(
            Problem(
                "E-history-short",
                f"{series.kpi} has {int(seen.sum())} values in {int(seen.any(axis=0).sum())} periods",
                rule="8 values in 4 periods are the least from which anything can be learned",
                fix="give more of the past, or leave the KPI out of the history",
            )
        )
    present = series.value[seen]
    if (present < 0.0).any():
        return _identity(series)
    if np.all(present == np.round(present)) and present.mean() < FEW:
        return _counts(series)
    return _logs(series, seen)


def _identity(series: Series) -> Link:
    scale = float(np.nanstd(series.value)) or 1.0
    known = _zero(series.measurement_sd / scale) ** 2
    return Link("identity", series.value / scale, known, np.zeros((len(series.units), 2)), scale)


def _counts(series: Series) -> Link:
    """Link counts: log(y + 1/2) with the variance 1 / (y + 1/2) of a Poisson count (Anscombe 1948)."""
    values = np.log(series.value + 0.5)
    return Link("count", values, np.where(np.isfinite(values), 1.0 / (series.value + 0.5), 0.0), _none(series), 1.0)


def _logs(series: Series, seen: NDArray[np.bool_]) -> Link:
    busy = seen & (series.value > 0.0)
    values = np.full(series.value.shape, np.nan)
    values[busy] = np.log(series.value[busy])
    known = _zero(np.where(busy, series.measurement_sd / np.where(busy, series.value, 1.0), np.nan)) ** 2
    idle = (seen & ~busy).sum(axis=1).astype(np.float64)
    share = float(idle.sum() / seen.sum())
    if share == 0.0:
        return Link("log", values, known, _none(series), 1.0)
    counts = np.stack([idle + IDLE_PRIOR * share, busy.sum(axis=1) + IDLE_PRIOR * (1.0 - share)], axis=1)
    return Link("log", values, known, counts, 1.0)


def _none(series: Series) -> Floats:
    return np.zeros((len(series.units), 2))


def _zero(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)
