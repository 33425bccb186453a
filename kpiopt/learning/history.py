"""A history: what each unit reached in each past period, read strictly from a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, TableError
from kpiopt.learning.periods import RULE, PeriodGrid, form_of, grid_of
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import ColumnRule, Table, TableRule

Floats = NDArray[np.float64]

HISTORY_TABLE = TableRule(
    name="history",
    columns=(
        ColumnRule("unit", "id", required=True),
        ColumnRule("kpi", "id", required=True),
        ColumnRule("period", "id", required=True),
        ColumnRule("value", "number", required=True),
        ColumnRule("target", "number"),
        ColumnRule("size", "number"),
        ColumnRule("volume", "number"),
        ColumnRule("measurement_sd", "number"),
    ),
    prefixes=(),
    key=("unit", "kpi", "period"),
)
"""What was reached: one row per unit, KPI and period; an empty value is not known, which is not 0."""

FACTORS_TABLE = TableRule(
    name="factors",
    columns=(
        ColumnRule("factor", "id", required=True),
        ColumnRule("period", "id", required=True),
        ColumnRule("value", "number", required=True),
    ),
    prefixes=(),
    key=("factor", "period"),
)
"""What outside influences were: one row per factor and period."""


@dataclass(frozen=True)
class Series:
    """The past of one KPI at all units that have one.

    Attributes
    ----------
    kpi : str
    units : tuple of str
        In the order of the file.
    value, target, volume : (n_units, n_periods) float
        In the KPI's own unit; NaN where not known.
    size : (n_units,) float
        Given size, else the mean of |value|; > 0.
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
        cut = replace(
            self, value=value, target=self.target[:, :count], volume=self.volume[:, :count],
            measurement_sd=self.measurement_sd[:, :count], given_size=given, size=_sizes(value, given),
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
    """

    grid: PeriodGrid
    series: Mapping[str, Series]
    factors: Mapping[str, Floats]
    sha256: str

    def until(self, count: int) -> History:
        """Return the history as it was known after its first `count` periods."""
        return History(
            self.grid.until(count),
            {kpi: series.until(count) for kpi, series in self.series.items()},
            {name: values[:count] for name, values in self.factors.items()},
            self.sha256,
        )


def read_history(path: Path, factors: Path | None = None) -> History:
    """Read a history, and the factors' past where there is one.

    Raises
    ------
    TableError
        With all errors: rows that cannot be read, periods of different form, sizes that are not above 0.
    """
    table = read_table(path, str(path), HISTORY_TABLE)
    per_year = _form(table)
    grid = grid_of(table.texts("period"), per_year)
    kpis = list(dict.fromkeys(table.texts("kpi").tolist()))
    series = {kpi: _series(table, kpi, grid) for kpi in kpis}
    return History(grid, series, _factors(factors, grid) if factors else {}, table.sha256)


def _form(table: Table) -> int:
    """Return how many periods a year has; all must be of one form."""
    names = table.texts("period")
    forms = [form_of(name) for name in names]
    if not names.size:
        raise TableError(Problem("E-history-empty", "the history has no rows", fix="give one row per unit and period"))
    first = next((form for form in forms if form is not None), None)
    wrong = [row for row, form in enumerate(forms) if form is None or form != first]
    if wrong or first is None:
        raise TableError(
            *(
                Problem(
                    "E-history-period",
                    f"'{names[row]}' is not a period like the others",
                    RULE,
                    "write every period in the same form",
                    table.location(row, "period"),
                )
                for row in wrong[:50]
            )
        )
    return first


def _series(table: Table, kpi: str, grid: PeriodGrid) -> Series:
    rows = np.flatnonzero(table.texts("kpi") == kpi)
    names = table.texts("unit")[rows]
    units = tuple(dict.fromkeys(names.tolist()))
    at = {unit: i for i, unit in enumerate(units)}
    place = np.array([at[name] for name in names]), np.array([grid.position(p) for p in table.texts("period")[rows]])

    def spread(column: str) -> Floats:
        out = np.full((len(units), grid.count), np.nan)
        out[place] = table.numbers(column)[rows]
        return out

    value, given = spread("value"), spread("size")
    wrong = rows[np.isfinite(table.numbers("size")[rows]) & ~(table.numbers("size")[rows] > 0.0)]
    if len(wrong):
        rule = "a size is above 0; leave it empty to take the mean of the values"
        raise TableError(
            *(Problem("E-history-size", "the size is not above 0", rule, location=table.location(int(row), "size"))
              for row in wrong[:50])
        )  # fmt: skip
    sizes = _sizes(value, given)
    return Series(kpi, units, value, spread("target"), spread("volume"), sizes, spread("measurement_sd"), given)


def _sizes(value: Floats, given: Floats | None) -> Floats:
    """Return each unit's last given size, else the mean of its |value|, never 0."""
    sizes, given = np.empty(len(value)), np.full(value.shape, np.nan) if given is None else given
    for i, (row, size) in enumerate(zip(value, given, strict=True)):
        known, seen = size[np.isfinite(size)], np.abs(row[np.isfinite(row)])
        sizes[i] = known[-1] if len(known) else float(seen.mean()) if len(seen) else np.nan
    usable = sizes[np.isfinite(sizes) & (sizes > 0.0)]
    sizes[~(sizes > 0.0)] = usable.min() if len(usable) else 1.0
    return sizes


def _factors(path: Path, grid: PeriodGrid) -> dict[str, Floats]:
    table = read_table(path, str(path), FACTORS_TABLE)
    found: dict[str, Floats] = {}
    for row, (name, period) in enumerate(zip(table.texts("factor"), table.texts("period"), strict=True)):
        position = grid.position(period)
        values = found.setdefault(name, np.full(grid.count, np.nan))
        if position is not None:
            values[position] = table.numbers("value")[row]
    return found
