"""The periods of a plan, and cells by period: one decision becomes one for each period.

A stretch x_nt is what is worked for in period t; summed over the periods it is the stretch of a plan without any. What
a planner says about a cell (range, lock, effort, weight, noise) is said about the horizon and stands in
`Periods.cells`; the cells of the scenario are then one for each of them and each period, in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.noise import Noise

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Ranges = tuple[Floats, Floats, Floats, NDArray[np.bool_]]
Row = TypeVar("Row")


@dataclass(frozen=True)
class SinglePeriods:
    """What the rows of single periods say about cells.

    Attributes
    ----------
    baseline : (n_horizon_cells, T) float
        Baselines of all periods of the cells of which some period has one of its own; NaN elsewhere.
    min_stretch, max_stretch, lock, reference : (n_horizon_cells, T) float
        NaN where a period has none of its own.
    has_row, has_baseline : (n_horizon_cells, T) bool
        Which periods have a row, and which have a baseline in it.
    of_baseline, of_min, of_max : (n_horizon_cells,) float
        What stood over the horizon when these were written; where that is moved, they follow.
    lock_reason, lock_owner : mapping of (int, int) to str
        By cell and period.
    """

    baseline: Floats
    min_stretch: Floats
    max_stretch: Floats
    lock: Floats
    reference: Floats
    has_row: NDArray[np.bool_]
    has_baseline: NDArray[np.bool_]
    of_baseline: Floats
    of_min: Floats
    of_max: Floats
    lock_reason: Mapping[tuple[int, int], str]
    lock_owner: Mapping[tuple[int, int], str]

    def baselines(self, now: Floats, season: Floats, is_flow: NDArray[np.bool_]) -> Floats:
        """Return the baselines by period of cells whose baseline over the horizon is another now, (n, T) float.

        They move in proportion, as what is drawn does; from 0 a flow's by season, others' all by the same amount.
        """
        gap = np.where(now == self.of_baseline, 0.0, now - self.of_baseline)[:, None]
        base = np.where(self.of_baseline != 0.0, self.of_baseline, 1.0)[:, None]
        from_zero = np.where(is_flow[:, None], season, 1.0)
        return np.asarray(
            self.baseline + gap * np.where(self.of_baseline[:, None] != 0.0, self.baseline / base, from_zero)
        )

    def bound(self, name: str, now: Floats) -> Floats:
        """Return the least ("min") or the largest ("max") stretches of single periods, (n, T) float."""
        values, before = (self.min_stretch, self.of_min) if name == "min" else (self.max_stretch, self.of_max)
        moved = (before > 0.0) & (now != before)
        factor = np.where(moved, now / np.where(moved, before, 1.0), 1.0)
        return np.asarray(values * factor[:, None])

    @cached_property
    def said(self) -> NDArray[np.bool_]:
        """Whether some period of a cell has a range or a lock of its own, (n,) bool."""
        return np.asarray(~np.isnan(np.stack([self.min_stretch, self.max_stretch, self.lock])).all(axis=(0, 2)))

    def held(self, whole: Ranges, by_period: Ranges) -> tuple[Floats, Floats]:
        """Return the range over the horizon as it holds, a pair of (n,) float.

        Locks of single periods count whatever it says: it gives way as far as they, and the ranges of the other
        periods, ask for.

        Parameters
        ----------
        whole, by_period : min_stretch, max_stretch, lock and whether there is a decision
            Over the horizon, (n,), and of all periods, (n * T,).
        """
        low, high, lock, has_decision = whole
        ends = (np.where(np.isnan(by_period[2]), end, by_period[2]) for end in by_period[:2])
        least, most = (end.reshape(self.lock.shape).sum(axis=1) for end in ends)
        gives_way = ~np.isnan(self.lock).all(axis=1) & np.isnan(lock) & has_decision
        least_kept = np.where(low > 0.0, most, least)  # a min_stretch of 0 is what each period keeps by itself
        low = np.where(gives_way, np.minimum(low, least_kept), low)
        return low, np.where(gives_way, np.maximum(high, least), high)


@dataclass(frozen=True)
class Periods:
    """Periods and what KPIs and capacities do in them.

    Attributes
    ----------
    names : tuple of str
        First to last; T of them.
    season : (n_kpis, T) float
        w_t: share of the horizon's volume in each period, equal for a stock.
    carry : (n_kpis,) float
        Share of a stock's improvement that is still there one period later.
    capacity : mapping of str to (T,) float
        By resource: share of the horizon's capacity in each period; (n_units, T) where units differ in it.
    ramp : (n_horizon_cells,) float
        Largest change of x_nt / (w_t w_n) from one period to the next; NaN where there is no limit.
    by_period : (n_horizon_cells,) bool
        Whether x_nt is at most w_t times the largest stretch.
    single : SinglePeriods or None
        What is said about single periods of cells; None where nothing is.
    """

    names: tuple[str, ...]
    season: Floats
    carry: Floats
    capacity: Mapping[str, Floats]
    ramp: Floats
    by_period: NDArray[np.bool_]
    single: SinglePeriods | None = None

    def __len__(self) -> int:
        return len(self.names)

    def ranges(
        self, kpi: Integers, most: Floats, lock: Floats, own: tuple[Floats, Floats], fixed: Floats
    ) -> tuple[Floats, Floats]:
        """Return the least and the largest stretch of each period of cells, a pair of (n_cells, T) float.

        A period without a range of its own has none but that of the sum, to which what others are locked at below 0
        leaves more room. The share of the largest stretch that a guardrail gives each period holds beside its own.

        Parameters
        ----------
        most, lock : (n_cells,) float
            Over the horizon.
        own : pair of (n_cells, T) float
            Least and largest stretches of single periods; NaN where there is none.
        fixed : (n_cells, T) float
            Their locks.
        """
        at, total = (
            np.where(np.isnan(fixed), np.nan_to_num(own[0]), fixed),
            np.where(np.isnan(lock), most, lock)[:, None],
        )
        is_below = ~np.isnan(lock)[:, None] & (total - np.nansum(fixed, axis=1, keepdims=True) < 0.0)
        above, below = np.maximum(at, 0.0), np.minimum(at, 0.0)
        low = np.where(is_below, total - above.sum(axis=1, keepdims=True) + above, 0.0)
        high = np.maximum(total - below.sum(axis=1, keepdims=True) + below, 0.0)
        share = np.where(self.by_period[:, None], self.share(kpi, most, lock), np.nan)
        high = np.where(is_below, 0.0, high)
        high = np.where(np.isnan(share), np.where(np.isnan(own[1]), high, own[1]), np.fmin(own[1], share))
        return np.where(np.isnan(own[0]), low, own[0]), high

    def share(self, kpi: Integers, most: Floats, lock: Floats) -> Floats:
        """Return each period's share of cells' largest stretch, (n_cells, T) float; a lock above it counts instead."""
        return np.asarray(self.season[kpi] * np.fmax(most, lock)[:, None])

    @cached_property
    def position(self) -> dict[str, int]:
        """Name -> position."""
        return {name: i for i, name in enumerate(self.names)}

    def by_row(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Repeat what holds for a cell in every period."""
        return np.repeat(values, len(self))

    def left(self, kpi: Integers, period: Integers) -> Floats:
        """Return the share of what is worked for in a period that is there in the last one, (n,) float."""
        return np.asarray(self.carry[kpi] ** (len(self) - 1 - period), dtype=np.float64)

    def rows(self, of_cell: Mapping[int, Row]) -> dict[int, Row]:
        """Repeat what some cells have in every period."""
        count = len(self)
        return {cell * count + t: value for cell, value in of_cell.items() for t in range(count)}


def split_period(periods: Periods | None, name: str) -> tuple[str, str]:
    """Split "name/period" into the name and " in period"; the second is empty where no period is named."""
    rest, _, last = name.rpartition("/")
    return (rest, f" in {last}") if periods is not None and last in periods.names else (name, "")


def spread_noise(noise: Noise | None, periods: Periods, share: Floats) -> Noise | None:
    """Return the noise of cells by period: one score for the horizon, so that all periods move together.

    Parameters
    ----------
    share : (n_cells * T,) float
        What additive noise of the horizon comes to in each period.
    """
    if noise is None:
        return None
    group, sd = np.repeat(noise.group, len(periods)), np.repeat(noise.sd, len(periods))
    additive = np.array([*noise.additive, False])[group]
    return replace(noise, group=group, sd=np.where(additive, sd * share, sd))
