"""The strategy map held against history: each drawn edge by sign and strength, each missing edge by what it implies.

A map says more than its arrows: where a and b are not linked, nothing of a is left in b once b's drawn causes are
taken out. What is left is tested within units and periods, units as clusters. A cause that is measured with noise
leaves something by itself; so each finding comes with the reliability of the causes that would explain it away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.contributions import Panel, Slope, estimate_slopes

Floats = NDArray[np.float64]
RELIABILITIES = np.linspace(0.99, 0.5, 50)


@dataclass(frozen=True)
class MissingEdge:
    """A link that the map does not draw.

    Attributes
    ----------
    cause, effect : str
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


def find_missing(values: Mapping[str, Floats], causes: Mapping[str, tuple[str, ...]]) -> list[MissingEdge]:
    """Test every link that is not drawn, along the order of the map.

    Parameters
    ----------
    values : mapping of str to (n_units, n_periods) float
        By KPI, in an order in which causes stand before effects.
    causes : mapping of str to tuple of str
        Drawn causes of each KPI.
    """
    order, found = list(values), []
    for j, effect in enumerate(order):
        drawn = tuple(c for c in causes.get(effect, ()) if c in values)
        if not drawn:
            continue
        for cause in order[:j]:
            if cause in drawn or effect in causes.get(cause, ()):
                continue
            slopes = estimate_slopes(panel_of(values, effect, (cause, *drawn)))
            if slopes is not None:
                found.append((cause, effect, drawn, slopes[0]))
    adjusted = _holm([slope.p_value for *_, slope in found])
    return [
        MissingEdge(cause, effect, slope, p, _explaining(values, cause, effect, drawn) if p < 0.05 else None)
        for (cause, effect, drawn, slope), p in zip(found, adjusted, strict=True)
    ]


def panel_of(
    values: Mapping[str, Floats], effect: str, drivers: tuple[str, ...], noise: Floats | None = None, lag: int = 0
) -> Panel:
    """Return the observations of a KPI and its drivers, these `lag` periods earlier."""
    driven = values[effect]
    n, count = driven.shape
    unit, period = np.meshgrid(np.arange(n), np.arange(count), indexing="ij")
    columns = []
    for driver in drivers:
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


def _explaining(values: Mapping[str, Floats], cause: str, effect: str, drawn: tuple[str, ...]) -> float | None:
    """Return the largest reliability of the drawn causes at which what is left changes its sign."""
    first = estimate_slopes(panel_of(values, effect, (cause, *drawn)))
    within = np.array([_within_variance(values[name]) for name in drawn])
    for reliability in RELIABILITIES.tolist():
        noise = np.concatenate([[0.0], within * (1.0 - reliability)])
        slopes = estimate_slopes(panel_of(values, effect, (cause, *drawn), noise))
        if first and slopes and slopes[0].estimate * first[0].estimate <= 0.0:
            return float(reliability)
    return None


def _within_variance(values: Floats) -> float:
    """Return the variance that is left once units and periods have their means."""
    left = values - np.nanmean(values, axis=1, keepdims=True)
    left = left - np.nanmean(left, axis=0, keepdims=True)
    return float(np.nanvar(left))
