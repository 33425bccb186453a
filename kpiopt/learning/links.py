"""Links: the scale on which the values of a KPI move in proportion, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from kpiopt.errors import NumericsError, Problem
from kpiopt.learning.history import Series

Floats = NDArray[np.float64]
LinkName = Literal["log", "count", "identity"]

FEW_VALUES, FEW_PERIODS = 8, 4
"""The least from which anything can be learned."""
FEW = 20.0
"""Whole numbers with a smaller mean are taken as counts."""
GONE = 0.001
"""Chance beforehand that a unit that is idle at the end of its past is gone for good."""
FEW_COUNTED = 20.0
"""What is counted less often in all has no variances over time that could be told."""
CYCLES = (1, 3, 12)
"""Periods apart at which counts may repeat: where they do so better than by chance, they are no Poisson counts."""
DISPERSION_PRIOR = 20.0
"""Pairs of values that a dispersion is shrunk to that of a Poisson count by."""
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
    dispersion : float
        Variance of counts as a share of a Poisson count's, 1 at most; what is beyond that is noise of the pool.
    gone : (n,) float or None
        Chance that a unit that was idle to the end of the past stays so; None where none was.
    """

    name: LinkName
    values: Floats
    known: Floats
    idle: Floats
    scale: float
    dispersion: float = 1.0
    gone: Floats | None = None

    def back(self, values: Floats, unit: int, rng: np.random.Generator) -> Floats:
        """Return drawn values in the KPI's own unit; same shape as `values`."""
        if self.name == "identity":
            return values * self.scale
        level = np.exp(np.clip(values, -60.0, 60.0))
        if self.name == "count":
            level = np.minimum(level, 1e9)
            moved = level + np.sqrt(self.dispersion) * (rng.poisson(level) - level)
            whole: Floats = np.floor(moved + (rng.random(moved.shape) if self.dispersion < 1.0 else 0.5))
            return whole
        if self.idle[unit, 0] <= 0.0:
            return level
        share = rng.beta(self.idle[unit, 0], self.idle[unit, 1], size=(len(values), 1))
        drawn = np.where(rng.random(values.shape) < share, 0.0, level)
        if self.gone is not None:
            drawn[rng.random(len(drawn)) < self.gone[unit]] = 0.0
        return drawn


def has_enough(series: Series) -> bool:
    """Whether anything can be learned from a KPI's past."""
    seen = np.isfinite(series.value)
    return bool(seen.sum() >= FEW_VALUES and seen.any(axis=0).sum() >= FEW_PERIODS)


def require_enough(found: Iterable[Series]) -> None:
    """Refuse KPIs of which too little is known, all at once.

    Raises
    ------
    NumericsError
        Where there are fewer than 8 values or 4 periods: nothing can be learned from that.
    """
    problems = []
    for series in found:
        if not has_enough(series):
            seen = np.isfinite(series.value)
            values, periods = int(seen.sum()), int(seen.any(axis=0).sum())
            problems.append(
                Problem(
                    "E-history-short",
                    f"{series.kpi} has {values} value{'s' * (values != 1)} in {periods} period{'s' * (periods != 1)}",
                    rule="8 values in 4 periods are the least from which anything can be learned",
                    fix="give more of the past, or leave the KPI out of the history",
                )
            )
    if problems:
        raise NumericsError(*problems)


def link_series(series: Series) -> Link:
    """Put a KPI's past on its link scale.

    Raises
    ------
    NumericsError
        Where there are fewer than 8 values or 4 periods: nothing can be learned from that.
    """
    require_enough([series])
    seen = np.isfinite(series.value)
    if (series.value[seen] < 0.0).any():
        return _identity(series)
    if _are_counts(series.value[seen]):
        return _counts(series)
    return _logs(series, seen)


def _are_counts(present: Floats) -> bool:
    return bool(np.all((present >= 0.0) & (present == np.round(present))) and present.mean() < FEW)


def is_sparse(series: Series) -> bool:
    """Whether a KPI counts what hardly ever happened, so that variances over time cannot be told."""
    present = series.value[np.isfinite(series.value)]
    return _are_counts(present) and float(present.sum()) < FEW_COUNTED


def _identity(series: Series) -> Link:
    scale = float(np.nanstd(series.value)) or 1.0
    known = _zero(series.measurement_sd / scale) ** 2
    return Link("identity", series.value / scale, known, np.zeros((len(series.units), 2)), scale)


def _counts(series: Series) -> Link:
    """Link counts: where the search for their level begins, the mean of each unit, drawn a little to that of all."""
    counts, seen = series.value, np.isfinite(series.value)
    number, total = seen.sum(axis=1), np.where(seen, counts, 0.0).sum(axis=1)
    level = (total + (total.sum() + 0.5) / (number.sum() + 1.0)) / (number + 1.0)
    at, dispersion = np.broadcast_to(level[:, None], counts.shape), _dispersion(counts)
    known = np.where(seen, dispersion / at, 0.0)
    return Link("count", np.log(at) + (counts - at) / at, known, _none(series), 1.0, dispersion)


def _dispersion(value: Floats) -> float:
    """Return the variance of counts as a share of their mean, from pairs a cycle apart; 1 at most.

    Counts that repeat (who orders every quarter orders again) vary less than chance would have it. Of several cycles
    the one with the smallest share counts: all else that moves makes it larger.
    """
    found = [1.0]
    for cycle in CYCLES:
        now, before = value[:, cycle:], value[:, :-cycle]
        known = np.isfinite(now) & np.isfinite(before)
        total = float((now + before)[known].sum())
        if known.any() and total > 0.0:
            prior = DISPERSION_PRIOR * total / int(known.sum())
            found.append((float(((now - before)[known] ** 2).sum()) + prior) / (total + prior))
    return min(found)


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
    return Link("log", values, known, counts, 1.0, gone=_gone(series.value, counts))


def _gone(value: Floats, counts: Floats) -> Floats:
    """Return the chance that each unit is gone, from the periods without anything at its end.

    They are held against how often it was idle before: Polya's urn of its idle and busy periods.
    """
    run = idle_at_end(value)
    stays = np.exp(betaln(counts[:, 0], counts[:, 1]) - betaln(counts[:, 0] - run, counts[:, 1]))
    return np.asarray(np.where(run > 0, GONE / (GONE + (1.0 - GONE) * stays), 0.0))


def idle_at_end(value: Floats) -> NDArray[np.int64]:
    """Return for each unit in how many of its last known periods it was 0 throughout, (n,) int."""
    run = np.zeros(len(value), dtype=np.int64)
    for i, row in enumerate(value):
        busy = np.flatnonzero((known := row[np.isfinite(row)]) != 0.0)
        run[i] = len(known) - 1 - busy[-1] if len(busy) else len(known)
    return run


def _none(series: Series) -> Floats:
    return np.zeros((len(series.units), 2))


def _zero(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)
