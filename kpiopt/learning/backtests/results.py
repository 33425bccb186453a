"""What a back-test found: scores by KPI, level and horizon, targets beside others, a verdict in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.backtests.scores import (
    Coverage,
    Reliability,
    TargetError,
    add_coverage,
    by_cluster,
    coverage,
    crps,
    log_score,
    reliability,
    target_error,
    transform,
)
from kpiopt.scenario.scenario import ORGANIZATION

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

UNIT = "unit"
FEW_TARGETS = 3
BINS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Where each fifth of the odds begins."""


@dataclass(frozen=True)
class LevelScore:
    """How forecasts of one KPI did at one level of the organization and one horizon.

    Attributes
    ----------
    crps : float
        Mean CRPS as a share of the mean of what happened; that of a forecast by one number is its absolute error.
    naive, last : float
        The same of last year's periods and of the last period.
    transform : tuple of float
        The probability integral transform of every case.
    gain : tuple of float
        How much smaller the CRPS is than that of last year, as a share of it, and its 95 % interval by clusters: units,
        regions, or origins.
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
    gain: tuple[float, float, float]


@dataclass(frozen=True)
class PlanScore:
    """How near targets came to what happened, for one KPI and horizon: mean absolute error as a share of it.

    Attributes
    ----------
    plan : TargetError
        Targets that the model would have given, with the gain over last year + x %.
    last_year, last_period : float
        Last year's values and those of the last period, raised by x % so that they add up to the same.
    given : float or None
        The history's own targets; None where it has none.
    odds : Reliability
        Odds that the plan gave its targets, and whether what happened reached them.
    by_size : tuple of float
        Correlation of the logarithms of attainment and target, of the plan and of last year + x %: -1 where whoever was
        lucky last year is asked for that luck again. NaN where there are fewer than 3 targets.
    """

    kpi: str
    horizon: int
    plan: TargetError
    last_year: float
    last_period: float
    given: float | None
    odds: Reliability
    by_size: tuple[float, float]


@dataclass(frozen=True)
class Backtest:
    """What a back-test found.

    Attributes
    ----------
    origins : tuple of str
        The last known period of each.
    targets : Reliability or None
        Odds given to the history's own targets; None where it has none.
    periods : int
        Periods whose targets were judged.
    notes : tuple of str
        What could not be tested.
    """

    origins: tuple[str, ...]
    scores: tuple[LevelScore, ...]
    targets: Reliability | None
    periods: int
    plans: tuple[PlanScore, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_calibrated(self) -> bool:
        """Whether all coverage lies in its binomial band, and odds given to targets near what happened."""
        return all(score.coverage.is_right for score in self.scores) and not self.wrong_odds and not self.untold

    @property
    def untold(self) -> str:
        """The first KPI with too few cases at every level for its ranges to be found too wide; "" where none has."""
        kpis = dict.fromkeys(score.kpi for score in self.scores)
        told = {score.kpi for score in self.scores if score.coverage.can_tell}
        return next((kpi for kpi in kpis if kpi not in told), "")

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
        """One sentence; the word calibrated only where every coverage lies in its band, and could lie outside."""
        wrong = [s for s in self.scores if not s.coverage.is_right]
        if not wrong and self.wrong_odds:
            low, high, count, share = self.wrong_odds[0]
            return f"not right: {count} targets were given {low:.0%} to {high:.0%}, {share:.0%} of them were hit"
        if not wrong and self.untold:
            most = max(s.coverage.count for s in self.scores if s.kpi == self.untold)
            cases = f"{most} case{'s' if most != 1 else ''}"
            return f"cannot tell: {cases} of {self.untold} are too few to find ranges too wide; give more of the past"
        if not wrong:
            return "calibrated: every 5-to-95 % range held what it should, as far as so many cases can tell"
        worst = min(wrong, key=lambda s: -abs(s.coverage.share - 0.9))
        side = "too narrow" if worst.coverage.share < worst.coverage.low else "too wide"
        return (
            f"not right: 5-to-95 % ranges of {worst.kpi} ({worst.level}, {worst.horizon} ahead) held "
            f"{worst.coverage.share:.0%} of {worst.coverage.count} cases, they are {side}"
        )


@dataclass(frozen=True)
class Case:
    """One KPI at one origin and horizon: joint draws of the units, what happened, and forecasts by one number.

    `groups` is the unit of each level above, (n_units,) each; -1 where there is none. `weight` is what each unit counts
    in the mean of all, where the KPI is one; None where units add up.
    """

    draws: Floats
    happened: Floats
    naive: Floats
    last: Floats
    target: Floats
    groups: dict[str, Integers]
    units: tuple[str, ...]
    weight: Floats | None = None


@dataclass(frozen=True)
class Planned:
    """Targets of one KPI planned at one origin, beside those made otherwise, and what happened, (n_units,) each.

    `hit` is whether what happened reached the target of the plan; `weight` that of a `Case`.
    """

    units: tuple[str, ...]
    plan: Floats
    odds: Floats
    naive: Floats
    last: Floats
    given: Floats
    happened: Floats
    hit: NDArray[np.bool_]
    weight: Floats | None = None


def level_score(kpi: str, horizon: int, level: str, cases: list[Case]) -> LevelScore:
    """Score forecasts of one KPI at one level, over all origins."""
    parts = [_at_level(case, level) for case in cases]
    size = float(np.concatenate([np.abs(p.happened) for p in parts]).mean()) or 1.0
    own = np.concatenate([crps(p.draws, p.happened) for p in parts])
    naive = np.concatenate([np.abs(p.naive - p.happened) for p in parts])
    last = np.concatenate([np.abs(p.last - p.happened) for p in parts])
    logs = np.concatenate([log_score(p.draws, p.happened) for p in parts])
    held = [coverage(p.draws, p.happened) for p in parts]
    clusters = [name for i, p in enumerate(parts) for name in (p.units if level != ORGANIZATION else (str(i),))]
    return LevelScore(
        kpi, level, horizon, float(own.mean()) / size, float(naive.mean()) / size, float(last.mean()) / size,
        float(np.nanmean(logs)) if np.isfinite(logs).any() else float("nan"), add_coverage(held),
        tuple(np.concatenate([transform(p.draws, p.happened) for p in parts]).tolist()),
        by_cluster(own, naive, clusters),
    )  # fmt: skip


def plan_score(kpi: str, horizon: int, plans: list[Planned]) -> PlanScore | None:
    """Score targets made anew; None where nothing above 0 happened to units that had a year before."""
    usable = [(p.happened > 0.0) & (p.naive > 0.0) & (p.last > 0.0) for p in plans]
    if not any(ok.any() for ok in usable):
        return None
    pairs = [(p, ok) for p, ok in zip(plans, usable, strict=True) if ok.any()]
    happened = np.concatenate([p.happened[ok] for p, ok in pairs])
    plan = np.concatenate([p.plan[ok] for p, ok in pairs])
    naive = np.concatenate([_raised(p.naive, p, ok) for p, ok in pairs])
    last = np.concatenate([_raised(p.last, p, ok) for p, ok in pairs])
    given = np.concatenate([p.given[ok] for p, ok in pairs])
    names = [u for p, ok in pairs for u, k in zip(p.units, ok.tolist(), strict=True) if k]
    odds = np.concatenate([p.odds[ok] for p, ok in pairs])
    asked = np.isfinite(given)
    return PlanScore(
        kpi, horizon, target_error(plan, naive, happened, names), _error(naive, happened), _error(last, happened),
        _error(given[asked], happened[asked]) if asked.any() else None,
        reliability(odds, np.concatenate([p.hit[ok] for p, ok in pairs]).astype(float)),
        (_by_size(plan, happened), _by_size(naive, happened)),
    )  # fmt: skip


def _by_size(target: Floats, happened: Floats) -> float:
    """Return the correlation of log attainment with log target."""
    usable = (target > 0.0) & (happened > 0.0)
    size = np.log(target[usable])
    attained = np.log(happened[usable]) - size
    if len(size) < FEW_TARGETS or not size.std() or not attained.std():
        return float("nan")
    return float(np.corrcoef(size, attained)[0, 1])


def _error(target: Floats, happened: Floats) -> float:
    return float((np.abs(target - happened) / happened).mean())


def _raised(values: Floats, planned: Planned, ok: NDArray[np.bool_]) -> Floats:
    """Return values + x % of some units, so that together they are what the plan asks of these."""
    weight = np.ones(len(ok)) if planned.weight is None else planned.weight
    weight = weight[ok] if weight[ok].any() else np.ones(int(ok.sum()))
    raised: Floats = values[ok] * (weight @ planned.plan[ok]) / (weight @ values[ok])
    return raised


def _at_level(case: Case, level: str) -> Case:
    """Take the units of each one at a level above together, as total or mean; units without one there are left out."""
    if level == UNIT:
        return case
    group = np.zeros(len(case.units), dtype=np.int64) if level == ORGANIZATION else case.groups[level]
    names = np.unique(group[group >= 0])
    marks = (group[:, None] == names[None]).astype(np.float64)
    if case.weight is not None:
        weighted = marks * case.weight[:, None]
        marks = np.where(weighted.sum(axis=0) > 0.0, weighted, marks)
        marks /= marks.sum(axis=0)
    return Case(
        case.draws @ marks, case.happened @ marks, case.naive @ marks, case.last @ marks, case.target @ marks, {},
        tuple(map(str, names.tolist())),
    )  # fmt: skip
