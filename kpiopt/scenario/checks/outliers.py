"""Figures about ten times (or a hundred times …) their peers: a slip of the decimal point or of the unit.

A figure is compared on a logarithmic scale with what its peers suggest:

- Where a unit has at least four figures in the same unit of measure (such as one KPI per month), each figure is
  explained by its unit and its KPI: a two-way fit by medians (median polish, Tukey 1977), which no single wrong figure
  can bend.
- Elsewhere by the median of the same KPI at the units of the same level and role, of which there must be five.

It is an outlier where it is off by more than a factor of 6.3 (closer to ten than to one would be 3.2; between, honest
data are found) and by more than five times the robust spread of such figures around what their peers suggest.

References
----------
J. W. Tukey, Exploratory Data Analysis, 1977, chapters 10 and 11; spread by the median absolute deviation,
https://doi.org/10.1080/01621459.1993.10476408 (Rousseeuw and Croux 1993).
"""

from __future__ import annotations

import numpy as np

from kpiopt.reading.findings import Findings
from kpiopt.scenario.checks.reconciliation import SLIPS
from kpiopt.scenario.resolve.cell_table import CellTable
from kpiopt.scenario.scenario import Floats, Integers, Kpi, Units

FIELDS = ("baseline", "reference", "commit", "min_stretch", "max_stretch")
VALUES = ("commit", "lock_target")
"""Fields that are values like the baseline of the same cell, and beside it where peers do not tell."""
FACTOR = 0.8
"""Logarithm to base 10 of the smallest factor that counts."""
LIKELY = 0.11
"""Logarithm to base 10 of how far a figure may be from what a slip by a power of ten makes of the usual one."""
SPREADS = 5.0
MIN_ROW, MIN_PEERS, MIN_COLUMN = 4, 5, 3
_SWEEPS = 5
_NORMAL = 1.4826
"""Median absolute deviation -> standard deviation of a normal distribution."""


def check_outliers(findings: Findings, kpis: list[Kpi], units: Units, table: CellTable) -> None:
    """Warn of each figure that is about ten times too large or too small beside its peers."""
    for field in FIELDS:
        values = table.fields[field]
        is_repeated = (values == table.fields["baseline"]) & (field != "baseline")
        cells = np.flatnonzero(np.isfinite(values) & (values != 0) & ~is_repeated)
        expected = _expected(np.log10(np.abs(values[cells])), table, cells, kpis, units)
        for cell, usual in zip(
            cells[~np.isnan(expected)].tolist(), expected[~np.isnan(expected)].tolist(), strict=True
        ):
            _warn(findings, table, field, cell, float(values[cell]), 10.0**usual)
    _check_beside_baseline(findings, table)


def _check_beside_baseline(findings: Findings, table: CellTable) -> None:
    """Warn of each offer and locked target that is about ten times its cell's baseline, or a tenth of it."""
    baseline = table.fields["baseline"]
    told = {problem.location for problem in findings.sorted() if problem.code == "W-outlier"}
    for field in VALUES:
        values = table.fields[field]
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(np.log10(np.abs(values / baseline))) >= FACTOR
        for cell in np.flatnonzero(far & (values != 0.0) & (baseline != 0.0)).tolist():
            if table.location(cell, field) not in told:
                _warn(
                    findings, table, field, cell, float(values[cell]), abs(float(baseline[cell])), "baseline suggests"
                )


def _warn(
    findings: Findings,
    table: CellTable,
    field: str,
    cell: int,
    value: float,
    usual: float,
    who: str = "peers suggest",
) -> None:
    ratio, rounded = abs(value) / usual, float(f"{usual:.3g}")
    size = f"{ratio:,.3g} times too large" if ratio > 1 else f"{1 / ratio:,.3g} times too small"
    message = f"{table.name(cell)} has the {field} {value:,.12g}, where its {who} about {rounded:,.12g}: {size}"
    likely = [words for factor, words in SLIPS.items() if abs(np.log10(ratio * factor)) <= LIKELY]
    message += f"; likely {likely[0]}" if likely else ""
    rule = "figures that are off by a power of ten are usually slips of the decimal point or of the unit"
    place = table.location(cell, field)
    findings.warn("W-outlier", message, place, rule=rule, fix="check the figure; if it is right, nothing is to be done")


def _expected(log: Floats, table: CellTable, cells: Integers, kpis: list[Kpi], units: Units) -> Floats:
    """Return the logarithm that peers suggest for outliers, NaN for all other figures, (n,) float."""
    kpi, unit = table.kpi[cells], table.unit[cells]
    _, measure = np.unique([k.unit for k in kpis], return_inverse=True)
    row = _codes(unit, measure[kpi])
    peer = _codes(kpi, _codes_of(units.levels)[unit], _codes_of(units.roles)[unit])
    suspect = _is_far(log, row, MIN_ROW) | _is_far(log, peer, MIN_PEERS)
    if not suspect.any():
        return np.full(len(log), np.nan)
    two_way = np.bincount(row)[row] >= MIN_ROW
    expected = np.full(len(log), np.nan)
    expected[two_way] = _outlying(
        log[two_way], fit_two_way(log[two_way], row[two_way], kpi[two_way]), measure[kpi][two_way]
    )
    alone = ~two_way & (np.bincount(peer)[peer] >= MIN_PEERS)
    expected[alone] = _outlying(log[alone], group_medians(log[alone], peer[alone])[peer[alone]], peer[alone])
    return expected


def _outlying(log: Floats, fit: Floats, group: Integers) -> Floats:
    """Return the fit where a figure is an outlier of its group, NaN elsewhere."""
    distance = np.abs(log - fit)
    if not len(log):
        return distance
    spread = _NORMAL * group_medians(distance, group)[group]
    return np.where((distance >= FACTOR) & (distance >= SPREADS * spread), fit, np.nan)


def fit_two_way(log: Floats, row: Integers, column: Integers) -> Floats:
    """Fit row effect + column effect by median polish; columns with too few figures have no effect of their own."""
    fit = np.zeros(len(log))
    if not len(log):
        return fit
    usable = np.bincount(column)[column] >= MIN_COLUMN
    for _ in range(_SWEEPS):
        fit += group_medians(log - fit, row)[row]
        fit += np.where(usable, group_medians(log - fit, column)[column], 0.0)
    return fit


def _is_far(log: Floats, group: Integers, least: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether a figure is far from the median of its group, which must have at least `least` members."""
    if not len(log):
        return np.zeros(0, dtype=bool)
    far: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.abs(log - group_medians(log, group)[group]) >= FACTOR / 2
    return far & (np.bincount(group)[group] >= least)


def group_medians(values: Floats, group: Integers) -> Floats:
    """Return the median of each group, indexed by group; NaN for groups without members.

    Logarithms lie within ±32, so one plain sort of 64 group + value orders all groups at once; that is several times
    faster than sorting by two keys, and exact to 1e-8 for a million groups.
    """
    ordered = np.sort(64.0 * group + values)
    count = np.bincount(group)
    first = np.cumsum(count) - count
    middle = np.full(len(count), np.nan)
    has = np.flatnonzero(count)
    low, high = first[has] + (count[has] - 1) // 2, first[has] + count[has] // 2
    middle[has] = (ordered[low] + ordered[high]) / 2 - 64.0 * has
    return middle


def _codes(*parts: Integers) -> Integers:
    """Number the distinct combinations of some codes."""
    key = parts[0].astype(np.int64)
    for part in parts[1:]:
        key = key * (int(part.max(initial=0)) + 1) + part
    return _rank(key)


def _codes_of(names: tuple[str, ...]) -> Integers:
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.fromiter((number[name] for name in names), dtype=np.int64, count=len(names))


def _rank(key: Integers) -> Integers:
    """Replace keys by 0, 1, … in their order."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    step = np.zeros(len(key), dtype=np.int64)
    step[1:] = ordered[1:] != ordered[:-1]
    rank = np.empty(len(key), dtype=np.int64)
    rank[order] = np.cumsum(step)
    return rank
