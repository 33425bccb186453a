"""Estimates with intervals that hold: odds, means and quantiles.

Odds of random draws get the exact binomial interval (Clopper and Pearson 1934, DOI 10.1093/biomet/26.4.404). Odds of
the randomised net get Student's t interval over its independent replicates; where hits or misses are fewer than
`FEW`, their spread says too little, and the exact binomial interval is used instead. Quantiles get order statistics
(Woodruff 1952, DOI 10.1080/01621459.1952.10483443).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats, Integers

LEVEL = 0.95
CERTAIN = "certain"
NEGLIGIBLE = 1e-9
"""Odds below are told as less than that: nobody reads twelve digits of nothing."""
FEW = 100
"""Below so many hits or misses the replicates' spread is not trusted."""

GRID_VARIANCE = 1.75
"""Added to the sum of squared deviations of the replicates' counts: a count is a whole number, and a net can give the
same count in all replicates although its expectation lies between two. Chosen so that 16 counts that take two
neighbouring values cover at least 96 %, whatever the share of each (measured; see docs/odds.md)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate and its 95 % interval.

    Attributes
    ----------
    estimate, low, high : float
        Probabilities between 0 and 1, or values in a KPI's unit.
    method : str
        "exact" (binomial), "replicates" (Student's t over replicates), "sample" (Student's t over draws),
        "order" (order statistics), "weights" (Student's t over importance weights) or "certain" (nothing uncertain
        reaches it: the interval has no width).
    """

    estimate: float
    low: float
    high: float
    method: str

    @property
    def is_certain(self) -> bool:
        """Whether it is known without draws, because nothing uncertain reaches it."""
        return self.method == CERTAIN

    @property
    def text(self) -> str:
        """Odds as a planner reads them, never without the interval and never 0 % or 100 %."""
        if self.is_certain:
            return "certain" if self.estimate else "never"
        if 0 < self.high < NEGLIGIBLE:
            return "less than 0.0000001 %"
        if 1 > self.low > 1 - NEGLIGIBLE:
            return "more than 99.9999999 %"
        if self.estimate <= 0:
            return f"less than {_percent(self.high, up=True)}"
        if self.estimate >= 1:
            return f"more than {_percent(self.low, up=False)}"
        ends = f"{_percent(self.low, up=False)} to {_percent(self.high, up=True)}"
        return f"{_percent(self.estimate)} ({ends})"

    def as_dict(self) -> dict[str, float]:
        """Return the JSON form; `certain` stands in it only where it is true."""
        certain = {"certain": True} if self.is_certain else {}
        return {"estimate": self.estimate, "low": self.low, "high": self.high, **certain}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Estimate:
        """Return an estimate from its JSON form."""
        return cls(entry["estimate"], entry["low"], entry["high"], CERTAIN if entry.get("certain") else "kept")


def _percent(share: float, *, up: bool | None = None) -> str:
    """Format a share so that two digits of the rarer side can be seen; `up` rounds an interval's end outwards."""
    rare = min(share, 1 - share)
    if rare <= 0:
        return f"{100 * share:.0f} %"
    digits = max(0, min(12, 1 - math.floor(math.log10(100 * rare) + 1e-9)))
    digits = digits if rare < 0.1 else 1
    scaled = 100 * share * 10**digits
    rounded = round(scaled) if up is None else math.ceil(scaled - 1e-9) if up else math.floor(scaled + 1e-9)
    return f"{rounded / 10**digits:.{digits}f} %"


def binomial_interval(hits: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval of a probability from `hits` of `n` independent draws."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high


@lru_cache
def student(degrees: int, level: float = LEVEL) -> float:
    """Return the two-sided critical value of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))


def interval_ends(hits: Integers, size: int) -> Floats:
    """Return the intervals of many probabilities at once, (2, n) float, each as `estimate_odds` gives it.

    Parameters
    ----------
    hits : (n_replicates, n) int
    size : int
        Draws in each replicate.
    """
    total, n = hits.sum(axis=0), size * len(hits)
    exact = (np.minimum(total, n - total) < FEW) | (len(hits) == 1)
    share, half = total / n, np.zeros(len(total))
    if len(hits) > 1:
        half = _half_widths(np.asarray(hits, dtype=np.float64)) / size
    ends = np.stack([np.maximum(share - half, 0.0), np.minimum(share + half, 1.0)])
    counts, place = np.unique(total[exact], return_inverse=True)
    bounds = np.array([binomial_interval(count, n) for count in counts.tolist()]).reshape(-1, 2)
    ends[:, exact] = bounds[place.ravel()].T
    return ends


def certain_odds(*, hit: bool) -> Estimate:
    """Return the odds of what every draw hits, or none, because nothing uncertain reaches it."""
    return Estimate(float(hit), float(hit), float(hit), CERTAIN)


def judge_odds(hits: Integers, size: int, *, varies: bool) -> Estimate:
    """Estimate a probability from `hits`, (n_replicates,) int, or say it for certain where the value does not vary."""
    return estimate_odds(hits, size) if varies else certain_odds(hit=bool(np.any(hits)))


def judge_together(goals: Sequence[Estimate], hits: Integers, size: int) -> Estimate | None:
    """Return the odds of all goals together from theirs and joint `hits`, (n_replicates,) int; None without goals."""
    if not goals:
        return None
    is_settled = all(g.is_certain for g in goals) or any(g.is_certain and not g.estimate for g in goals)
    return judge_odds(hits, size, varies=not is_settled)


def estimate_odds(hits: Integers, size: int) -> Estimate:
    """Estimate a probability.

    Parameters
    ----------
    hits : (n_replicates,) int
        Hits in each replicate; one entry for random draws.
    size : int
        Draws in each replicate.
    """
    total, n = int(hits.sum()), size * len(hits)
    low, high = interval_ends(hits[:, None], size)[:, 0].tolist()
    method = "exact" if len(hits) == 1 or min(total, n - total) < FEW else "replicates"
    return Estimate(total / n, low, high, method)


def _half_width(counts: Floats, grid_variance: float = GRID_VARIANCE) -> float:
    """Half width of Student's t interval of the mean count."""
    return float(_half_widths(counts[:, None], grid_variance)[0])


def _half_widths(counts: Floats, grid_variance: float = GRID_VARIANCE) -> Floats:
    """Half widths of the intervals of many mean counts over the replicates, (n_replicates, n)."""
    n = len(counts)
    squares = np.sum((counts - counts.mean(axis=0)) ** 2, axis=0) + grid_variance
    return np.asarray(student(n - 1) * np.sqrt(squares / (n - 1) / n))


def estimate_conditional_odds(both: Integers, condition: Integers) -> Estimate | None:
    """Estimate P(hit | condition) from counts in each replicate; None where the condition never held.

    Parameters
    ----------
    both, condition : (n_replicates,) int
        Draws in which both held, and in which the condition held.
    """
    hits, n = int(both.sum()), int(condition.sum())
    if n == 0:
        return None
    p = hits / n
    if len(both) == 1 or min(hits, n - hits) < FEW:
        return Estimate(p, *binomial_interval(hits, n), "exact")
    half = _half_width(both - p * condition) / float(condition.mean())
    return Estimate(p, max(0.0, p - half), min(1.0, p + half), "replicates")


def estimate_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Estimate:
    """Estimate P(second) - P(first) from the same draws.

    Parameters
    ----------
    first, second : (n_replicates, size) bool
        Hits of the two plans in the same draws.
    """
    difference = second.astype(np.int8) - first.astype(np.int8)
    n = difference.size
    estimate = float(difference.sum(dtype=np.int64) / n)
    changed = int(np.count_nonzero(difference))
    if len(difference) > 1 and changed >= FEW:
        half = _half_width(difference.sum(axis=1, dtype=np.float64)) / difference.shape[1]
        return Estimate(estimate, max(-1.0, estimate - half), min(1.0, estimate + half), "replicates")
    method = "exact" if changed < FEW else "sample"
    return Estimate(estimate, *_paired_interval(int(np.count_nonzero(difference > 0)), changed, n), method)


def _paired_interval(gained: int, changed: int, n: int) -> tuple[float, float]:
    """Interval of (gained - lost) / n from `changed` = gained + lost draws that differ.

    With enough of them, the normal interval of the mean of -1, 0 and 1. With few, exact intervals of the share of
    draws that differ and of the gained ones among them, each at 97.5 %, so that both hold together at 95 %.
    """
    if changed >= FEW:
        mean = (2 * gained - changed) / n
        half = 1.959963984540054 * math.sqrt(max(changed / n - mean * mean, 0.0) / n)
        return max(-1.0, mean - half), min(1.0, mean + half)
    level = (1 + LEVEL) / 2
    least, most = binomial_interval(changed, n, level)
    low, high = binomial_interval(gained, changed, level) if changed else (0.0, 1.0)
    return min((2 * low - 1) * least, (2 * low - 1) * most), max((2 * high - 1) * least, (2 * high - 1) * most)


def estimate_mean(sums: Floats, squares: Floats, size: int) -> tuple[Estimate, float]:
    """Estimate a mean and the standard deviation.

    Parameters
    ----------
    sums, squares : (n_replicates,) float
        Sums of the values and of their squares in each replicate; values are best taken relative to a point near
        their mean.
    size : int
        Draws in each replicate.

    Returns
    -------
    mean : Estimate
    sd : float
        Standard deviation of one draw.
    """
    n = size * len(sums)
    mean = float(sums.sum() / n)
    variance = max(float(squares.sum()) / n - mean * mean, 0.0) * n / max(n - 1, 1)
    if len(sums) > 1:
        half, method = _half_width(sums / size, 0.0), "replicates"
    else:
        half, method = student(max(n - 1, 1)) * math.sqrt(variance / n), "sample"
    return Estimate(mean, mean - half, mean + half, method), math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """A quantile with its order-statistic interval.

    Attributes
    ----------
    share : float
        Which quantile, such as 0.05.
    value : float
        Its estimate, in the KPI's unit.
    low, high : float or None
        The 95 % interval; None where the draws are too few for one.
    """

    share: float
    value: float
    low: float | None
    high: float | None


def estimate_quantiles(values: Floats, shares: Sequence[float]) -> tuple[QuantileEstimate, ...]:
    """Estimate quantiles and their order-statistic intervals.

    Parameters
    ----------
    values : (n_replicates, n_kept) float
        Kept draws by replicate.
    shares : sequence of float
        Between 0 and 1.
    """
    ordered = np.sort(values, axis=None)
    return tuple(_estimate_quantile(values, ordered, share) for share in shares)


def _estimate_quantile(values: Floats, ordered: Floats, share: float) -> QuantileEstimate:
    n = len(ordered)
    value = float(ordered[min(max(math.ceil(n * share) - 1, 0), n - 1)])
    if n < draws_for_quantile(share):
        return QuantileEstimate(share, value, None, None)
    if len(values) > 1 and min(share, 1 - share) * n >= FEW:
        half = _half_width(np.count_nonzero(values <= value, axis=1).astype(np.float64)) / values.shape[1]
        lower, upper = math.floor(n * (share - half)) - 1, math.ceil(n * (share + half)) - 1
    else:
        lower, upper = binomial_ranks(n, share)
    return QuantileEstimate(share, value, float(ordered[max(lower, 0)]), float(ordered[min(upper, n - 1)]))


def draws_for_quantile(share: float) -> int:
    """Return how many draws a two-sided 95 % order-statistic interval of a quantile needs."""
    tail = (1 - LEVEL) / 2
    return math.ceil(math.log(tail) / math.log(max(share, 1 - share)))


@lru_cache
def binomial_ranks(n: int, share: float) -> tuple[int, int]:
    """Return the positions (from 0) of the two of n ordered independent values that bound a quantile at 95 %."""
    from scipy.special import bdtr

    cumulative = bdtr(np.arange(n), n, share)
    lower = int(np.searchsorted(cumulative, (1 - LEVEL) / 2, side="right")) - 1
    upper = int(np.searchsorted(cumulative, (1 + LEVEL) / 2, side="left"))
    return lower, upper
