"""Organizations with a past and many futures of it: what forecasts of baselines say is held against all of them.

Nothing is made as the pool assumes it: levels of units, regions and organization fall back to where they were
(autoregressions, no walks), noise is heavy-tailed, autocorrelated, and falls with the root of size; the season has a
second wave, and is stronger in some units than in others; customers of every other unit order in one month of the
quarter.
"""

from __future__ import annotations

import sys

import numpy as np

from kpiopt.learning.forecast import Question, forecast
from kpiopt.learning.history import Series
from kpiopt.learning.periods import PeriodGrid

FUTURES = 50
"""Futures of every past: what chance alone brings is taken out of coverage and bias."""


def question_and_futures(
    seed: int, units: int, periods: int, *, per_year: int = 12, horizon: int = 3, counts: bool = False
) -> tuple[Question, np.ndarray]:
    """Return what is asked of a forecast, and what every unit brings over the horizon, (FUTURES, units)."""
    rng = np.random.default_rng([seed, units, periods, per_year])
    group = np.arange(units) % max(1, min(4, units // 3))
    time, size = np.arange(periods + horizon), np.exp(0.8 * rng.normal(size=units))
    turn = 2 * np.pi * (time + rng.integers(per_year)) / per_year
    season = 0.2 * np.sin(turn) + 0.1 * np.sin(2 * turn + rng.uniform(0, 6))
    mean = np.log((5.0 if counts else 100.0) * size)[:, None] + rng.uniform(0.5, 1.5, (units, 1)) * season
    mean = mean + rng.normal(0.03, 0.04) * time / per_year
    if per_year == 12:
        own = np.where(np.arange(units) % 2 == 0, rng.uniform(0.0, 0.8, units), 0.0)
        mean = mean + own[:, None] * (time[None] % 3 == rng.integers(3, size=(units, 1)))
    walks = [_falling_back(rng, k, periods, horizon, *law, per_year) for k, law in (
        (1, (0.10, 0.5)), (group.max() + 1, (0.10, 0.5)), (units, (0.20, 1.0)))]  # fmt: skip
    logs = mean + walks[0] + walks[1][:, group] + walks[2]
    sd = (0.25 if per_year == 12 else 0.15) * size**-0.5
    logs = logs + np.minimum(sd, 0.5)[:, None] * _noise(rng, units, periods, horizon)
    value = rng.poisson(np.exp(logs)).astype(float) if counts else np.exp(logs)
    past, nothing = value[0, :, :periods], np.full((units, periods), np.nan)
    names = tuple(f"u{i}" for i in range(units))
    series = Series("sales", names, past, nothing, nothing, np.maximum(past.mean(axis=1), 1e-3), nothing)
    asked = Question(series, PeriodGrid(per_year, 0, periods), group, horizon, averages=False)
    return asked, value[:, :, periods:].sum(axis=2)


def _falling_back(rng, count: int, periods: int, horizon: int, sd: float, years: float, per_year: int) -> np.ndarray:
    """Autoregressions with this stationary deviation, forgotten in so many years; one past, many futures."""
    phi = np.exp(-1.0 / (years * per_year))
    out = np.empty((FUTURES, count, periods + horizon))
    out[:, :, 0] = sd * rng.normal(size=count)
    for k in range(1, periods + horizon):
        fresh = rng.normal(size=count) if k < periods else rng.normal(size=(FUTURES, count))
        out[:, :, k] = phi * out[:, :, k - 1] + sd * np.sqrt(1 - phi**2) * fresh
    return out


def _noise(rng, units: int, periods: int, horizon: int) -> np.ndarray:
    """t noise of variance 1 and autocorrelation 0.2; one past, many futures."""
    fresh = rng.standard_t(5, size=(FUTURES, units, periods + horizon)) * np.sqrt(0.6 * 0.96)
    fresh[:, :, :periods] = fresh[:1, :, :periods]
    for k in range(1, periods + horizon):
        fresh[:, :, k] += 0.2 * fresh[:, :, k - 1]
    return fresh


def held_and_bias(seed: int, units: int, periods: int, **how) -> np.ndarray:
    """Share of futures in the 95 % ranges of units and of the whole, and how far units are off, in deviations."""
    asked, futures = question_and_futures(seed, units, periods, **how)
    draws = forecast(asked, 1000, np.random.default_rng(seed)).draws
    held = []
    for drawn, came in ((draws, futures), (draws.sum(axis=1), futures.sum(axis=1))):
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        held.append(np.mean((low <= came) & (came <= high)))
    return np.array([*held, np.mean((futures - draws.mean(axis=0)) / draws.std(axis=0))])


if __name__ == "__main__":
    units, periods, seeds, first = map(int, (*sys.argv[1:], "0")[:4])
    found = np.array([held_and_bias(seed, units, periods) for seed in range(first, first + seeds)])
    for name, mean, error in zip(
        ("units", "whole", "bias"), found.mean(axis=0), found.std(axis=0) / np.sqrt(seeds - 1), strict=True
    ):
        sys.stdout.write(f"{name} {mean:.3f} +- {error:.3f}\n")
