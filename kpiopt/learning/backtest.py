"""Back-tests: stand at past periods, forecast with what was known, and score what happened.

At every origin everything is learned anew from the periods before it. The horizon's values of units, regions and of
the organization come from the same joint draws; targets of the history are judged by the odds they would have been
given: what is expected without the ask, and the share of the ask that was realised before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import NumericsError, Problem
from kpiopt.learning.execution import Execution, estimate_execution
from kpiopt.learning.fit import averages, leaf_series, regions_of
from kpiopt.learning.forecast import Question, forecast, last_period, seasonal_naive
from kpiopt.learning.history import History, Series
from kpiopt.learning.scores import (
    Coverage,
    Reliability,
    add_coverage,
    coverage,
    crps,
    log_score,
    reliability,
    transform,
)
from kpiopt.scenario.scenario import Scenario

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEVELS = ("unit", "region", "organization")
BINS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Where each fifth of the odds begins."""


@dataclass(frozen=True)
class BacktestOptions:
    """How to test.

    Attributes
    ----------
    origins : int
        How many past periods to stand at.
    horizons : tuple of int
        Periods ahead, each a test of its own.
    draws, seed : int
    """

    origins: int = 5
    horizons: tuple[int, ...] = (1,)
    draws: int = 1000
    seed: int = 7


@dataclass(frozen=True)
class LevelScore:
    """How forecasts of one KPI did at one level of the organization and one horizon.

    Attributes
    ----------
    kpi, level : str
    horizon : int
    crps : float
        Mean CRPS as a share of the mean of what happened; that of a forecast by one number is its absolute error.
    naive, last : float
        The same of last year's periods and of the last period.
    log_score : float
    coverage : Coverage
    transform : tuple of float
        The probability integral transform of every case.
    """

    kpi: str
    level: str
    horizon: int
    crps: float
    naive: float
    last: float
    log_score: float
    coverage: Coverage
    transform: tuple[float, ...]


@dataclass(frozen=True)
class Backtest:
    """What a back-test found.

    Attributes
    ----------
    origins : tuple of str
        The last known period of each.
    scores : tuple of LevelScore
    targets : Reliability or None
        Odds given to the history's own targets; None where it has none.
    periods : int
        Periods whose targets were judged.
    """

    origins: tuple[str, ...]
    scores: tuple[LevelScore, ...]
    targets: Reliability | None
    periods: int

    @property
    def is_calibrated(self) -> bool:
        """Whether all coverage lies in its binomial band, and odds given to targets near what happened."""
        return all(score.coverage.is_right for score in self.scores) and not self.wrong_odds

    @property
    def wrong_odds(self) -> list[tuple[float, float, int, float]]:
        """Return from, to, count and hit share of odds that what happened contradicts."""
        found = []
        for low in BINS:
            count, share, lower, upper = self.targets.bin(low, low + 0.2) if self.targets else (0, 0.0, 0.0, 1.0)
            if count and not (lower <= low + 0.2 and upper >= low):
                found.append((low, low + 0.2, count, share))
        return found

    @property
    def verdict(self) -> str:
        """One sentence; the word calibrated only where every coverage lies in its band."""
        wrong = [s for s in self.scores if not s.coverage.is_right]
        if not wrong and self.wrong_odds:
            low, high, count, share = self.wrong_odds[0]
            return f"not right: {count} targets were given {low:.0%} to {high:.0%}, {share:.0%} of them were hit"
        if not wrong:
            return "calibrated: every 5-to-95 % range held what it should, as far as so many cases can tell"
        worst = min(wrong, key=lambda s: -abs(s.coverage.share - 0.9))
        side = "too narrow" if worst.coverage.share < worst.coverage.low else "too wide"
        return (
            f"not right: 5-to-95 % ranges of {worst.kpi} ({worst.level}, {worst.horizon} ahead) held "
            f"{worst.coverage.share:.0%} of {worst.coverage.count} cases, they are {side}"
        )

    @property
    def odds_line(self) -> str | None:
        """Return what became of middling odds, for one line under the odds of a plan; None where there were none."""
        if self.targets is None:
            return None
        count, share, *_ = self.targets.bin(0.4, 0.6)
        if count == 0:
            return None
        return f"of {count} past targets given 40 to 60 %, {share:.0%} were hit ({self.periods} past periods)"


@dataclass(frozen=True)
class _Case:
    """One KPI at one origin and horizon: joint draws of the units, what happened, and forecasts by one number."""

    draws: Floats
    happened: Floats
    naive: Floats
    last: Floats
    group: Integers


def backtest(
    history: History, model: Scenario | None, options: BacktestOptions, progress: Callable[[str], None] = lambda _: None
) -> Backtest:
    """Test forecasts and odds on a history.

    Parameters
    ----------
    history : History
    model : Scenario or None
        Gives the organization's tree and how KPIs add up.
    options : BacktestOptions
    progress : callable

    Raises
    ------
    NumericsError
        Where the history is too short for a single origin.
    """
    scores: list[LevelScore] = []
    given: list[float] = []
    hits: list[float] = []
    origins: dict[int, str] = {}
    periods: set[int] = set()
    for kpi, whole in history.series.items():
        series = leaf_series(whole, model, [])
        for horizon in options.horizons:
            cases = []
            for count in _origins(history, horizon, options.origins):
                progress(f"{kpi}, {horizon} ahead, as of {history.grid.names[count - 1]}")
                case, odds = _stand_at(history, series, model, count, horizon, options)
                cases.append(case)
                origins[count] = history.grid.names[count - 1]
                given += odds[0]
                hits += odds[1]
                periods |= set(range(count, count + horizon)) if odds[0] else set()
            scores += [_level_score(kpi, level, horizon, cases) for level in LEVELS if cases]
    if not scores:
        raise NumericsError(
            Problem(
                "E-history-short", "the history is too short to stand at a past period",
                rule="two years and the horizon are the least", fix="give more of the past, or a shorter --horizon",
            )
        )  # fmt: skip
    odds_found = reliability(np.array(given), np.array(hits)) if given else None
    return Backtest(tuple(origins[c] for c in sorted(origins)), tuple(scores), odds_found, len(periods))


def _origins(history: History, horizon: int, wanted: int) -> list[int]:
    """Return how many periods were known at each origin, the latest first, a horizon apart."""
    least = max(8, min(2 * history.grid.per_year, history.grid.count - horizon))
    counts = range(history.grid.count - horizon, least - 1, -max(1, horizon))
    return list(counts)[:wanted]


def _stand_at(
    history: History, series: Series, model: Scenario | None, count: int, horizon: int, options: BacktestOptions
) -> tuple[_Case, tuple[list[float], list[float]]]:
    """Forecast as of one origin, and judge the history's targets of the horizon."""
    group = regions_of(series.units, model)
    question = Question(series, history.grid, group, horizon, averages(series.kpi, model)).until(count)
    found = forecast(question, options.draws, np.random.default_rng([options.seed, count, horizon]))
    at = {unit: i for i, unit in enumerate(series.units)}
    rows = np.array([at[unit] for unit in question.series.units], dtype=np.int64)
    window = slice(count, count + horizon)
    happened, target = (_over(values[rows, window], question.averages) for values in (series.value, series.target))
    known = np.isfinite(happened)
    case = _Case(
        found.draws[:, known], happened[known], seasonal_naive(question)[known], last_period(question)[known],
        question.group[known],
    )  # fmt: skip
    execution = estimate_execution(question.series, question.group, history.grid.per_year)
    rng = np.random.default_rng([options.seed, count, horizon, 1])
    return case, _judge_targets(case, target[known], execution, rng)


def _over(values: Floats, as_mean: bool) -> Floats:
    total: Floats = values.mean(axis=1) if as_mean else values.sum(axis=1)
    return total


def _judge_targets(
    case: _Case, target: Floats, execution: Execution | None, rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Return the odds that targets would have been given, and whether they were hit.

    Where execution can be told, an ask moves last year's value by the drift and by the share of it that came true,
    each as uncertain as it was then. Elsewhere the forecast stands as it is: it knows of no ask.
    """
    asked = np.isfinite(target)
    if not asked.any():
        return [], []
    draws, goal, naive = case.draws[:, asked], target[asked], case.naive[asked]
    if execution is not None and execution.is_told and (naive > 0.0).all():
        draws = _realised(len(draws), naive, goal / naive - 1.0, execution, rng)
    odds = (draws >= goal).mean(axis=0)
    return odds.tolist(), (case.happened[asked] >= goal).astype(float).tolist()


def _realised(count: int, naive: Floats, ask: Floats, execution: Execution, rng: np.random.Generator) -> Floats:
    """Draw what becomes of asks: baseline x (1 + drift + share x ask + noise), (count, n)."""
    drift = execution.drift + execution.drift_error * rng.standard_normal((count, 1))
    own = execution.between * rng.standard_normal((count, len(ask)))
    share = execution.slope + execution.slope_error * rng.standard_normal((count, 1)) + own
    noise = execution.noise * np.maximum(1.0, 1.0 + ask) * rng.standard_normal((count, len(ask)))
    realised: Floats = naive * (1.0 + drift + share * ask + noise)
    return realised


def _level_score(kpi: str, level: str, horizon: int, cases: list[_Case]) -> LevelScore:
    parts = [_at_level(case, level) for case in cases]
    size = float(np.concatenate([np.abs(p.happened) for p in parts]).mean()) or 1.0
    own = np.concatenate([crps(p.draws, p.happened) for p in parts])
    naive = np.concatenate([np.abs(p.naive - p.happened) for p in parts])
    last = np.concatenate([np.abs(p.last - p.happened) for p in parts])
    logs = np.concatenate([log_score(p.draws, p.happened) for p in parts])
    held = [coverage(p.draws, p.happened) for p in parts]
    return LevelScore(
        kpi, level, horizon, float(own.mean()) / size, float(naive.mean()) / size, float(last.mean()) / size,
        float(np.nanmean(logs)) if np.isfinite(logs).any() else float("nan"), add_coverage(held),
        tuple(np.concatenate([transform(p.draws, p.happened) for p in parts]).tolist()),
    )  # fmt: skip


def _at_level(case: _Case, level: str) -> _Case:
    """Add the units up to their regions, or to the organization."""
    if level == "unit":
        return case
    group = case.group if level == "region" else np.zeros_like(case.group)
    names = np.unique(group)
    marks = (group[:, None] == names[None]).astype(np.float64)
    return _Case(case.draws @ marks, case.happened @ marks, case.naive @ marks, case.last @ marks, names)
