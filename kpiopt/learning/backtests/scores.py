"""Scores of forecasts and odds against what happened, each with what chance alone would give.

CRPS of draws (Gneiting and Raftery 2007, doi:10.1198/016214506000001437), log score, coverage of the central 90 %,
probability integral transform; Brier score and reliability by isotonic regression (CORP, Dimitriadis, Gneiting and
Jordan 2021, doi:10.1073/pnas.2016191118).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import isotonic_regression

Floats = NDArray[np.float64]

NOMINAL = 0.90
LEVEL = 0.95


@dataclass(frozen=True)
class Coverage:
    """How often the 5-to-95 % range held what happened.

    Attributes
    ----------
    low, high : float
        Where the share would lie in 95 of 100 cases if the ranges were right: a binomial band.
    """

    held: int
    count: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Share that was held."""
        return self.held / self.count if self.count else float("nan")

    @property
    def is_right(self) -> bool:
        """Whether the share lies in the band."""
        return bool(self.count) and self.low <= self.share <= self.high

    @property
    def can_tell(self) -> bool:
        """Whether there are cases enough for the band to end below 1: with fewer, no range could be found too wide."""
        return bool(self.count) and self.high < 1.0


def crps(draws: Floats, happened: Floats) -> Floats:
    """Return the continuous ranked probability score of each column of draws, (n,) in the values' own unit.

    Parameters
    ----------
    draws : (n_draws, n) float
    happened : (n,) float
    """
    ordered = np.sort(draws, axis=0)
    count = len(ordered)
    rank = (2.0 * np.arange(1, count + 1) - count - 1.0)[:, None]
    apart = (rank * ordered).sum(axis=0) / count**2
    result: Floats = np.abs(draws - happened).mean(axis=0) - apart
    return result


def log_score(draws: Floats, happened: Floats) -> Floats:
    """Return minus the log density of log(value), by a normal curve through `draws`, (n_draws, n); less is better.

    `happened`, (n,) float, in the unit of the draws.
    """
    positive = (draws > 0.0).all(axis=0) & (happened > 0.0)
    logs, seen = np.log(np.where(positive, draws, 1.0)), np.log(np.where(positive, happened, 1.0))
    mean, sd = logs.mean(axis=0), np.maximum(logs.std(axis=0), 1e-6)
    score: Floats = 0.5 * np.log(2.0 * np.pi) + np.log(sd) + 0.5 * ((seen - mean) / sd) ** 2
    return np.where(positive, score, np.nan)


def coverage(draws: Floats, happened: Floats) -> Coverage:
    """Return how often the 5-to-95 % range of `draws`, (n_draws, n) float, held what `happened`, (n,) float."""
    low, high = np.percentile(draws, [5.0, 95.0], axis=0)
    return _covered(int(((low <= happened) & (happened <= high)).sum()), len(happened))


def add_coverage(parts: Sequence[Coverage]) -> Coverage:
    """Return the coverage of several tests together."""
    return _covered(sum(part.held for part in parts), sum(part.count for part in parts))


def _covered(held: int, count: int) -> Coverage:
    low, high = (float(stats.binom.ppf(q, max(count, 1), NOMINAL)) for q in ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0))
    return Coverage(held, count, low / max(count, 1), high / max(count, 1))


def by_cluster(own: Floats, other: Floats, clusters: Sequence[str]) -> tuple[float, float, float]:
    """Return how much smaller the mean of `own` is than that of `other`, as a share, and its 95 % interval.

    The interval is a jackknife over clusters with a t of one degree of freedom less than there are: what one unit did
    in five periods is no five cases. Without two clusters, or where all of the other's error is one cluster's, it is
    everything; where the other has no error at all, the share is minus infinity.
    """
    names, at = np.unique(np.asarray(clusters), return_inverse=True)
    total = np.array([np.bincount(at, v, len(names)) for v in (own, other)])
    if total[1].sum() <= 0.0:
        return 0.0 if total[0].sum() <= 0.0 else float("-inf"), float("-inf"), 1.0
    gain = 1.0 - float(total[0].sum() / total[1].sum())
    if len(names) < 2 or (total[1].sum() - total[1] <= 0.0).any():
        return gain, float("-inf"), 1.0
    rest = total.sum(axis=1, keepdims=True) - total
    parts = 1.0 - rest[0] / rest[1]
    error = float(np.sqrt((len(names) - 1) / len(names) * ((parts - parts.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.5 + LEVEL / 2.0, len(names) - 1)) * error
    return gain, gain - half, min(gain + half, 1.0)


@dataclass(frozen=True)
class TargetError:
    """Mean absolute error of targets, as a share of what happened.

    Attributes
    ----------
    gain : tuple of float
        How much smaller it is than that of the other targets, as a share, and its 95 % interval by clusters.
    """

    error: float
    count: int
    gain: tuple[float, float, float]


def target_error(target: Floats, other: Floats, happened: Floats, clusters: Sequence[str]) -> TargetError:
    """Hold `target`, (n,) float, against what `happened`, (n,) float > 0, beside `other`, (n,) float, for the same."""
    own, compared = (np.abs(values - happened) / happened for values in (target, other))
    return TargetError(float(own.mean()), len(own), by_cluster(own, compared, clusters))


def transform(draws: Floats, happened: Floats) -> Floats:
    """Return the share of `draws`, (n_draws, n) float, below what `happened`, (n,) float: its integral transform."""
    below: Floats = (draws < happened).mean(axis=0) + 0.5 * (draws == happened).mean(axis=0)
    return below


@dataclass(frozen=True)
class Reliability:
    """Odds that were given, and how often the event happened.

    Attributes
    ----------
    given, happened : (n,) float
        Odds in ascending order; 1 where it happened.
    calibrated : (n,) float
        Isotonic regression of `happened` on `given`.
    brier, miscalibration, discrimination, uncertainty : float
        brier = miscalibration - discrimination + uncertainty.
    """

    given: Floats
    happened: Floats
    calibrated: Floats
    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float

    def bin(self, low: float, high: float) -> tuple[int, float, float, float]:
        """Return count, share that happened and its 95 % interval (Clopper-Pearson) where odds lay in [low, high]."""
        inside = (self.given >= low) & (self.given <= high)
        count, hits = int(inside.sum()), int(self.happened[inside].sum())
        if count == 0:
            return 0, float("nan"), 0.0, 1.0
        lower = float(stats.beta.ppf(0.025, hits, count - hits + 1)) if hits else 0.0
        upper = float(stats.beta.ppf(0.975, hits + 1, count - hits)) if hits < count else 1.0
        return count, hits / count, lower, upper


def reliability(given: Floats, happened: Floats) -> Reliability:
    """Hold odds against what happened.

    Parameters
    ----------
    given, happened : (n,) float
        Odds, and 1 where the event happened, else 0.
    """
    order = np.argsort(given, kind="stable")
    given, happened = given[order], happened[order]
    fitted = np.asarray(isotonic_regression(happened).x) if len(given) else happened
    brier, best = float(((given - happened) ** 2).mean()), float(((fitted - happened) ** 2).mean())
    base = float(((happened.mean() - happened) ** 2).mean())
    return Reliability(given, happened, fitted, brier, brier - best, base - best, base)
