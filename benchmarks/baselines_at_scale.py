"""Time the baselines of many series: `python benchmarks/baselines_at_scale.py [SERIES …]`, 36 months each, one core.

Asserts that totals of the draws are near the truth of the next twelve months, so nothing is timed that did not succeed.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from kpiopt.learning.forecast import Question, forecast
from kpiopt.learning.history import Series
from kpiopt.learning.periods import PeriodGrid

MONTHS, HORIZON, DRAWS, REGIONS = 36, 12, 1000, 20


def made_up(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return sales of units of very different size with a common season, walks and noise, (count, 48) float."""
    t = np.arange(MONTHS + HORIZON)
    size = np.exp(rng.normal(size=(count, 1)))
    walk = np.cumsum(0.04 * rng.normal(size=(count, len(t))), axis=1)
    region = np.cumsum(0.02 * rng.normal(size=(REGIONS, len(t))), axis=1)[np.arange(count) % REGIONS]
    season = 0.2 * np.sin(2 * np.pi * t / 12)
    values: np.ndarray = 100 * size * np.exp(season + walk + region + 0.15 * rng.normal(size=walk.shape))
    return values


def measure(count: int) -> tuple[float, float]:
    """Return processor seconds of fit, past scores and draws, and the total's error as a share of it."""
    rng = np.random.default_rng(1)
    values = made_up(count, rng)
    past, nothing = values[:, :MONTHS], np.full((count, MONTHS), np.nan)
    names = tuple(f"u{i}" for i in range(count))
    series = Series("sales", names, past, nothing, nothing, past.mean(axis=1), nothing)
    group = np.arange(count) % REGIONS
    begun = time.process_time()
    found = forecast(Question(series, PeriodGrid(12, 0, MONTHS), group, HORIZON, averages=False), DRAWS, rng)
    taken = time.process_time() - begun
    total = float(values[:, MONTHS:].sum())
    error = abs(float(found.draws.sum(axis=1).mean()) / total - 1.0)
    assert error < 0.15, f"the total is off by {error:.0%}"
    return taken, error


if __name__ == "__main__":
    print("| series | processor seconds | error of the total |\n|---|---|---|")
    for number in map(int, sys.argv[1:] or ("100", "1000", "10000")):
        seconds, off = measure(number)
        print(f"| {number:,} | {seconds:.1f} | {off:.1%} |")
