"""A history: what each unit reached in each past period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Location, Problem, UsageError
from kpiopt.learning.periods import PeriodGrid

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """The past of one KPI at all units that have one.

    Attributes
    ----------
    units : tuple of str
        In the order of the file.
    value, target, volume : (n_units, n_periods) float
        In the KPI's own unit; NaN where not known.
    size : (n_units,) float
        Given size, else the mean volume where all units have one, else the mean of |value|; > 0.
    measurement_sd : (n_units, n_periods) float
        Standard deviation of the measurement's own noise; NaN where not known.
    given_size : (n_units, n_periods) float or None
        Size as the file gives it; NaN, or None everywhere, where it does not.
    """

    kpi: str
    units: tuple[str, ...]
    value: Floats
    target: Floats
    volume: Floats
    size: Floats
    measurement_sd: Floats
    given_size: Floats | None = None

    def until(self, count: int) -> Series:
        """Return what was known after the first `count` periods; sizes that were not given follow from that."""
        value, given = self.value[:, :count], None if self.given_size is None else self.given_size[:, :count]
        volume = self.volume[:, :count]
        cut = replace(
            self, value=value, target=self.target[:, :count], volume=volume,
            measurement_sd=self.measurement_sd[:, :count], given_size=given, size=sizes_of(value, given, volume),
        )  # fmt: skip
        return cut.of(np.flatnonzero(np.isfinite(cut.value).any(axis=1)))

    def of(self, rows: NDArray[np.int64]) -> Series:
        """Return some of the units."""
        return Series(
            self.kpi, tuple(self.units[i] for i in rows.tolist()), self.value[rows], self.target[rows],
            self.volume[rows], self.size[rows], self.measurement_sd[rows],
            None if self.given_size is None else self.given_size[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class History:
    """Everything a history file says.

    Attributes
    ----------
    grid : PeriodGrid
        From the first to the last period that occurs.
    series : mapping of str to Series
        By KPI, in the order of the file.
    factors : mapping of str to (n_periods,) float
        NaN where not known.
    sha256 : str
        Digest of the file's bytes.
    notes : tuple of str
        What was read with a remark.
    places : mapping of (str, str) to Location
        Where each unit and KPI stands first, by ("unit", name) and ("kpi", name).
    percent : mapping of str to list of (float, Location)
        KPIs with values other than 0 that a workbook shows as percentages, and these.
    """

    grid: PeriodGrid
    series: Mapping[str, Series]
    factors: Mapping[str, Floats]
    sha256: str
    notes: tuple[str, ...] = ()
    places: Mapping[tuple[str, str], Location] = field(default_factory=dict)
    percent: Mapping[str, list[tuple[float, Location]]] = field(default_factory=dict)

    def until(self, count: int) -> History:
        """Return the history as it was known after its first `count` periods."""
        return replace(
            self,
            grid=self.grid.until(count),
            series={kpi: series.until(count) for kpi, series in self.series.items()},
            factors={name: values[:count] for name, values in self.factors.items()},
        )


def sizes_of(value: Floats, given: Floats | None, volume: Floats) -> Floats:
    """Return each unit's last given size, else its mean volume, else the mean of its |value|, never 0, (n_units,).

    `value`, (n_units, T) float, in the KPI's unit; `given`, (n_units, T) float; `volume`, (n_units, T) float.
    """
    sizes, given = np.empty(len(value)), np.full(value.shape, np.nan) if given is None else given
    by_volume = np.isfinite(volume).any(axis=1).all()
    for i, (row, size) in enumerate(zip(volume if by_volume else value, given, strict=True)):
        known, seen = size[np.isfinite(size)], np.abs(row[np.isfinite(row)])
        sizes[i] = known[-1] if len(known) else float(seen.mean()) if len(seen) else np.nan
    usable = sizes[np.isfinite(sizes) & (sizes > 0.0)]
    sizes[~(sizes > 0.0)] = usable.min() if len(usable) else 1.0
    return sizes


def horizon_of(history: History, asked: int | None) -> int:
    """Return how many periods to forecast: a year, or what is asked for, no more than are known.

    Raises
    ------
    UsageError
        Where the horizon is longer than the past.
    """
    if asked is None:
        return history.grid.per_year
    grid = history.grid
    if asked > grid.count:
        message = f"a horizon of {asked:,} periods is longer than the history"
        rule = f"the history has {grid.count:,} periods, {grid.names[0]} to {grid.names[-1]}"
        raise UsageError(Problem("E-horizon", message, rule, f"ask for {grid.count:,} periods at most"))
    return asked
