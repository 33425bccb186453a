"""Execution from history: what share of what was asked came true, and where the run rate was going by itself.

    (value - baseline) / baseline = drift + execution x (target - baseline) / baseline + noise

with last year's value of the same period as the baseline, and noise that grows with the larger of baseline and target:
who is asked for three times as much misses by three times as much. The regression is robust (Huber weights), its
standard errors a jackknife over units. Asks that already knew what would come make execution look better than it is;
the mean ask of the other units of the region, in the same period, is an instrument against that, the difference a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kpiopt.learning.contributions import deviation_between
from kpiopt.learning.history import Series

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HUBER = 1.345
"""Residuals beyond this many robust deviations lose weight; 95 % efficient for normal noise."""
EXACT = 1e-3
"""Scatter below which nobody reached what was asked by effort: rounding leaves that much."""
MAD = 0.6745
LEAST_SPREAD = 0.02
"""Standard deviation of asks, as a share of the baseline, below which nothing can be told."""
FEW = 12
LEAK_LEVEL = 0.05


@dataclass(frozen=True)
class Execution:
    """What history says of execution.

    Attributes
    ----------
    slope, slope_error : float
        Share of the ask that came true.
    drift, drift_error : float
        Change against last year that came without any ask, as a share of the baseline.
    between : float
        Standard deviation of the share between units.
    instrumented, instrumented_error : float or None
        The share by the instrument.
    leak : float or None
        p-value of no inside knowledge in the asks; None where it cannot be tested.
    noise : float
        Robust standard deviation of what is left, as a share of the larger of baseline and target.
    verdict : str
        "told" or "cannot tell", with the reason.
    """

    slope: float
    slope_error: float
    drift: float
    drift_error: float
    between: float
    instrumented: float | None
    instrumented_error: float | None
    leak: float | None
    noise: float
    observations: int
    units: int
    verdict: str

    @property
    def is_told(self) -> bool:
        """Whether the share can be used."""
        return self.verdict == "told"


@dataclass(frozen=True)
class _Asks:
    unit: Integers
    ask: Floats
    change: Floats
    instrument: Floats

    @property
    def weight(self) -> Floats:
        """Baseline over the larger of baseline and target, (n,): what noise is proportional to, inverted."""
        return 1.0 / np.maximum(1.0, 1.0 + self.ask)


def estimate_execution(series: Series, group: Integers, per_year: int) -> Execution | None:
    """Estimate the execution of one KPI; None where the history has no targets a year after a value.

    Parameters
    ----------
    group : (n_units,) int
        Region of each unit.
    per_year : int
        Periods of a year.
    """
    asks = _asks(series, group, per_year)
    units = np.unique(asks.unit)
    if len(asks.ask) < FEW or len(units) < 3:
        return None if not len(asks.ask) else _not_told(asks, f"only {len(asks.ask)} asks of {len(units)} units")
    if float(asks.ask.std()) < LEAST_SPREAD:
        return _not_told(asks, "asks hardly differ")
    whole, error = _jackknife(asks, _robust)
    instrumented = instrumented_error = leak = None
    if np.isfinite(asks.instrument).sum() >= FEW and np.nanstd(asks.instrument) > LEAST_SPREAD / 2.0:
        second, second_error = _jackknife(asks, _instrumented)
        instrumented, instrumented_error = float(second[1]), float(second_error[1])
        leak = _leak(asks, len(units))
    rest = (asks.change - whole[0] - whole[1] * asks.ask) * asks.weight
    noise = float(np.median(np.abs(rest - np.median(rest)))) / MAD
    if noise < EXACT:
        return _not_told(asks, "values follow from targets without any scatter, as if one were made from the other")
    verdict = "told" if error[1] < 0.5 else "cannot tell: the asks say too little"
    return Execution(
        float(whole[1]), float(error[1]), float(whole[0]), float(error[0]), _between(asks),
        instrumented, instrumented_error, leak, noise, len(asks.ask), len(units), verdict,
    )  # fmt: skip


def _asks(series: Series, group: Integers, per_year: int) -> _Asks:
    """Return every ask with a value of its own and one a year before, as shares of that."""
    value, target = series.value, series.target
    before = np.full(value.shape, np.nan)
    before[:, per_year:] = value[:, :-per_year] if per_year < value.shape[1] else np.nan
    ok = np.isfinite(value) & np.isfinite(target) & np.isfinite(before) & (before > 0.0)
    ask = np.where(ok, target / np.where(ok, before, 1.0) - 1.0, np.nan)
    change = np.where(ok, value / np.where(ok, before, 1.0) - 1.0, np.nan)
    instrument = np.full(value.shape, np.nan)
    for region in np.unique(group):
        rows = np.flatnonzero(group == region)
        known = np.isfinite(ask[rows])
        total, count = np.where(known, ask[rows], 0.0).sum(axis=0), known.sum(axis=0)
        others = count - known
        mean = (total - np.where(known, ask[rows], 0.0)) / np.maximum(others, 1)
        instrument[rows] = np.where(others > 0, mean, np.nan)
    unit = np.repeat(np.arange(len(value))[:, None], value.shape[1], axis=1)
    return _Asks(unit[ok], ask[ok], change[ok], instrument[ok])


def _not_told(asks: _Asks, why: str) -> Execution:
    nan = float("nan")
    count = len(np.unique(asks.unit))
    return Execution(nan, nan, nan, nan, nan, None, None, None, nan, len(asks.ask), count, f"cannot tell: {why}")


def _robust(asks: _Asks) -> Floats:
    """Return drift and share by Huber's regression."""
    table = np.stack([np.ones_like(asks.ask), asks.ask], axis=1) * asks.weight[:, None]
    change = asks.change * asks.weight
    weight: NDArray[np.floating[Any]] = np.ones_like(asks.ask)
    found = np.zeros(2)
    for _ in range(50):
        root = np.sqrt(weight)
        further = np.linalg.lstsq(table * root[:, None], change * root, rcond=None)[0]
        rest = change - table @ further
        scale = max(float(np.median(np.abs(rest - np.median(rest)))) / MAD, 1e-12)
        weight = np.minimum(1.0, HUBER * scale / np.maximum(np.abs(rest), 1e-300))
        if np.allclose(found, further, rtol=1e-9, atol=1e-12):
            break
        found = further
    return found


def _instrumented(asks: _Asks) -> Floats:
    """Return drift and share by the mean ask of the others, the same robust weights."""
    ok = np.isfinite(asks.instrument)
    ask, change, instrument = asks.ask[ok], asks.change[ok], asks.instrument[ok]
    level = asks.weight[ok]
    rest = (change - np.median(change)) * level
    scale = max(float(np.median(np.abs(rest))) / MAD, 1e-12)
    weight = np.minimum(1.0, 3.0 * HUBER * scale / np.maximum(np.abs(rest), 1e-300)) * level**2
    left = np.stack([np.ones_like(ask), instrument], axis=1) * weight[:, None]
    right = np.stack([np.ones_like(ask), ask], axis=1)
    return np.asarray(np.linalg.lstsq(left.T @ right, left.T @ change, rcond=None)[0])


def _jackknife(asks: _Asks, estimate: object) -> tuple[Floats, Floats]:
    """Return an estimate and its standard errors, units left out one by one."""
    assert callable(estimate)
    units = np.unique(asks.unit)
    whole = np.asarray(estimate(asks))
    parts = np.array([estimate(_without(asks, unit)) for unit in units])
    return whole, np.sqrt((len(units) - 1) / len(units) * ((parts - whole) ** 2).sum(axis=0))


def _without(asks: _Asks, unit: int) -> _Asks:
    keep = asks.unit != unit
    return _Asks(asks.unit[keep], asks.ask[keep], asks.change[keep], asks.instrument[keep])


def _leak(asks: _Asks, units: int) -> float:
    """Return the one-sided p-value of robust minus instrumented share, by its own jackknife."""

    def gap(part: _Asks) -> Floats:
        return np.array([float(_robust(part)[1] - _instrumented(part)[1])])

    whole, error = _jackknife(asks, gap)
    return float(stats.t.sf(float(whole[0]) / max(float(error[0]), 1e-12), units - 1))


def _between(asks: _Asks) -> float:
    """Return the standard deviation of the share between units."""
    slopes, squares, rest, freedom = [], [], [], []
    for unit in np.unique(asks.unit):
        rows = asks.unit == unit
        weight = asks.weight[rows]
        ask, change = (weight * (v[rows] - np.average(v[rows], weights=weight**2)) for v in (asks.ask, asks.change))
        square = float(ask @ ask)
        if rows.sum() < 4 or square < rows.sum() * LEAST_SPREAD**2:
            continue
        slopes.append(float(ask @ change) / square)
        squares.append(square)
        rest.append(float(((change - slopes[-1] * ask) ** 2).sum()))
        freedom.append(float(rows.sum() - 2))
    return deviation_between(np.array(slopes), np.array(squares), np.array(rest), np.array(freedom))
