"""The strategy map held against history: each drawn edge by sign and strength, each missing edge by what it implies.

A map says more than its arrows: where a and b are not linked, nothing of a is left in b once b's drawn causes are
taken out. What is left is tested within units and periods, units as clusters. A cause that is measured with noise
leaves something by itself; so each finding comes with the reliability of the causes that would explain it away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.contributions import Panel, Slope, estimate_slopes, point_slopes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
LEAST_SIZE = 1e-3
"""Share of the mean size below which a unit's own size is not trusted."""
RELIABILITIES = np.linspace(0.99, 0.5, 50)


@dataclass(frozen=True)
class MissingEdge:
    """A link that the map does not draw.

    Attributes
    ----------
    slope : Slope
        What is left of the cause in the effect.
    p_value : float
        Adjusted for the number of links tested (Holm 1979).
    reliability : float or None
        Reliability of the drawn causes that would explain it away; None where none from 0.5 up does.
    """

    cause: str
    effect: str
    slope: Slope
    p_value: float
    reliability: float | None


def find_missing(
    values: Mapping[str, Floats],
    causes: Mapping[str, tuple[str, ...]],
    adds: Collection[str] = (),
    group: Integers | None = None,
) -> list[MissingEdge]:
    """Test every link that is not drawn, along the order of the map.

    Parameters
    ----------
    values : mapping of str to (n_units, n_periods) float
        By KPI, in an order in which causes stand before effects.
    causes : mapping of str to tuple of str
        Drawn causes of each KPI.
    adds : collection of str
        KPIs that add up over units: what units have in common in a period is in proportion to their size.
    group : (n_units,) int, optional
        Region of each unit; regions have period means of their own.
    """
    order, found = list(values), []
    for j, effect in enumerate(order):
        drawn = tuple(c for c in causes.get(effect, ()) if c in values)
        if not drawn:
            continue
        for cause in order[:j]:
            if cause in drawn or effect in causes.get(cause, ()):
                continue
            scaled = by_size(values, size_of(values, (cause, *drawn)) if {effect, cause, *drawn} <= set(adds) else None)
            slopes = estimate_slopes(panel_of(scaled, effect, (cause, *drawn), group=group))
            if slopes is not None:
                found.append((cause, effect, drawn, slopes[0], scaled))
    adjusted = _holm([slope.p_value for *_, slope, _ in found])
    return [
        MissingEdge(
            cause, effect, slope, p,
            _explaining(scaled, cause, effect, drawn, group) if p < 0.05 else None,
        )
        for (cause, effect, drawn, slope, scaled), p in zip(found, adjusted, strict=True)
    ]  # fmt: skip


def size_of(values: Mapping[str, Floats], causes: tuple[str, ...]) -> Floats:
    """Return how large each unit is in the causes: mean |value| beside that of all units, (n_units,); 1 where it is 0.

    Never by the effect: units whose contribution is large would count less for it.
    """
    sizes = []
    for cause in causes:
        known = np.isfinite(values[cause])
        size = np.where(known, np.abs(values[cause]), 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        mean = float(size.mean()) or 1.0
        sizes.append(np.where(size > LEAST_SIZE * mean, size / mean, 1.0))
    found: Floats = np.mean(sizes, axis=0)
    return found


def by_size(values: Mapping[str, Floats], size: Floats | None) -> Mapping[str, Floats]:
    """Return all values over the units' sizes: slopes stay what they are, season and noise become alike."""
    return values if size is None else {kpi: v / size[:, None] for kpi, v in values.items()}


def panel_of(
    values: Mapping[str, Floats],
    effect: str,
    drivers: tuple[str, ...],
    noise: Floats | None = None,
    lag: int | tuple[int, ...] = 0,
    group: Integers | None = None,
) -> Panel:
    """Return the observations of a KPI and its drivers, `lag` periods earlier; regions have periods of their own."""
    driven = values[effect]
    n, count = driven.shape
    unit, period = np.meshgrid(np.arange(n), np.arange(count), indexing="ij")
    if group is not None:
        period = period + count * group[:, None]
    columns = []
    lags = (lag,) * len(drivers) if isinstance(lag, int) else lag
    for driver, lag in zip(drivers, lags, strict=True):
        moved = np.full(driven.shape, np.nan)
        moved[:, lag:] = values[driver][:, : count - lag]
        columns.append(moved.ravel())
    quiet = np.zeros(len(drivers)) if noise is None else noise
    return Panel(unit.ravel(), period.ravel(), driven.ravel(), np.stack(columns, axis=1), quiet)


def _holm(values: list[float]) -> list[float]:
    order = np.argsort(values)
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order.tolist()):
        largest = max(largest, min(1.0, values[i] * (len(values) - rank)))
        adjusted[i] = largest
    return adjusted


def _explaining(
    values: Mapping[str, Floats], cause: str, effect: str, drawn: tuple[str, ...], group: Integers | None
) -> float | None:
    """Return the largest reliability of the drawn causes at which what is left changes its sign."""
    first = point_slopes(panel_of(values, effect, (cause, *drawn), group=group))
    within = np.array([_within_variance(values[name]) for name in drawn])
    for reliability in RELIABILITIES.tolist():
        noise = np.concatenate([[0.0], within * (1.0 - reliability)])
        slopes = point_slopes(panel_of(values, effect, (cause, *drawn), noise, group=group))
        if first is not None and slopes is not None and slopes[0] * first[0] <= 0.0:
            return float(reliability)
    return None


def _within_variance(values: Floats) -> float:
    """Return the variance that is left once units and periods have their means."""
    left = values - np.nanmean(values, axis=1, keepdims=True)
    left = left - np.nanmean(left, axis=0, keepdims=True)
    return float(np.nanvar(left))
