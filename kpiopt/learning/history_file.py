"""The file of a history: read where it can mean one thing only, asked about in a sentence where it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import MORE, InputError, Location, Problem, TableError
from kpiopt.learning.history import Floats, History, Series, sizes_of
from kpiopt.learning.period_names import RULE, Period, read_period, read_periods, rows_of_each, what_to_do
from kpiopt.learning.periods import PeriodGrid, grid_of, period_name
from kpiopt.reading.tables.csv_file import CsvStyle
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import ColumnRule, Table, TableRule
from kpiopt.scenario.checks.percent_formats import problem_of

HISTORY_TABLE = TableRule(
    name="history",
    columns=(
        ColumnRule("unit", "id", required=True),
        ColumnRule("kpi", "id", required=True),
        ColumnRule("period", "id", required=True, dates=True),
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
        ColumnRule("period", "id", required=True, dates=True),
        ColumnRule("value", "number", required=True),
    ),
    prefixes=(),
    key=("factor", "period"),
)
"""What outside influences were: one row per factor and period."""


LARGEST = 1e15
"""Size beyond which a value is a slip: sums of such values have no digits left."""
MANY_COLUMNS = 3
"""Unknown columns that are periods from which on they are what a table is made of."""
LONG_GAP = 10
"""Years without a value after which the periods before or beyond are a slip."""
AS_THEY_ARE = CsvStyle()


def read_history(path: Path, factors: Path | None = None, style: CsvStyle = AS_THEY_ARE) -> History:
    """Read a history, and the factors' past where there is one.

    Parameters
    ----------
    path : Path
        "book.xlsx#sheet" where a workbook has several sheets.
    style : CsvStyle
        How CSV files separate fields and write numbers, where that is not "," and ".".

    Raises
    ------
    TableError
        With all errors: rows that cannot be read, periods of different form, two rows for one period, values that
        cannot be.
    """
    table = _read(path, HISTORY_TABLE, style)
    periods = _periods(table)
    _refuse_values(table)
    _refuse_two_rows(table, periods)
    grid = _grid(table, periods)
    rows = rows_of_each(table.texts("kpi").tolist())
    series = {kpi: _series(table, kpi, np.array(which), periods, grid) for kpi, which in rows.items()}
    first: dict[tuple[str, str], int] = {}
    for kind in ("unit", "kpi"):
        for row, name in enumerate(table.texts(kind).tolist()):
            first.setdefault((kind, name), row)
    shown: dict[str, list[tuple[float, Location]]] = {}
    for row, value in _shown_as_percent(table):
        shown.setdefault(table.texts("kpi")[row], []).append((value, table.location(row, "value")))
    notes = (*(note.message for note in table.notes), *_spelling(table, periods), *_gaps(grid, series))
    whole = History(
        grid, series, {}, table.sha256, notes,
        {key: table.location(row, key[0]) for key, row in first.items()},
        shown,
    )  # fmt: skip
    known = _until_the_last_value(whole)
    return _with_factors(known, factors, style) if factors else known


def _read(path: Path, rule: TableRule, style: CsvStyle) -> Table:
    name, _, sheet = str(path).partition("#") if ".xlsx#" in str(path).lower() else (str(path), "", "")
    marks = {"delimiter": style.delimiter, "decimal": style.decimal, "thousands": style.thousands}
    try:
        return read_table(Path(name), name, rule, sheet=sheet or None, **marks)
    except InputError as error:
        problems = _columns_of_periods(error.problems, name) or error.problems
        raise type(error)(*(_with_options(problem) for problem in problems)) from None


def _columns_of_periods(problems: Sequence[Problem], file: str) -> list[Problem]:
    """Ask once about a table that has a column for every period; nothing where it has none."""
    unknown = {p: found[1] for p in problems if (found := re.fullmatch(r"unknown column '(.+)'", p.message))}
    periods = [p for p, name in unknown.items() if read_period(name) is not None]
    if len(periods) < MANY_COLUMNS:
        return []
    or_more = " or more" if any(MORE in p.message for p in problems) else ""
    message = f"{len(periods)}{or_more} columns are periods, such as '{unknown[periods[0]]}'"
    fix = "write one row for each period, with the columns period and value (Excel: Data > From Table > Unpivot)"
    one = Problem("E-history-wide", message, "a history has one row for each unit, KPI and period", fix, Location(file))
    others = [p for p in problems if p not in periods and MORE not in p.message and "no column" not in p.message]
    return [one, *others]


def _with_options(problem: Problem) -> Problem:
    """Say how a file's marks are declared on the command line, where there are no [tables]."""
    fix = re.sub(r"declare it: \w+ = \{ path = \"…\", (.*?) \} under \[tables\]", r"add \1", problem.fix)
    fix = re.sub(r"(under \[tables\], )?declare ", "add ", re.sub(r" (for this table )?under \[tables\]", "", fix))
    fix = re.sub(r'(delimiter|decimal|thousands) = ("[^"]+")', r"--\1 \2", fix.replace(" for this table", ""))
    return replace(problem, fix=fix)


def _periods(table: Table) -> list[Period]:
    """Return the period of every row; each kind of name that cannot be read is told once."""
    names = table.texts("period").tolist()
    found, why = read_periods(names)
    problems = []
    for reason, rows in rows_of_each(why.get(name) for name in names).items():
        also = f" ({len(rows):,} such rows)" if len(rows) > 1 else ""
        place = table.location(rows[0], "period")
        problems.append(
            Problem("E-history-period", f"'{names[rows[0]]}' {reason}{also}", RULE, what_to_do(reason), place)
        )
    if problems:
        raise TableError(*problems)
    return [period for period in found if period is not None]


def _spelling(table: Table, periods: Sequence[Period]) -> list[str]:
    """Tell how periods were read where the history spells them otherwise."""
    for name, period in zip(table.texts("period").tolist(), periods, strict=True):
        read = period_name(period.number, period.per_year, period.fiscal)
        if name.strip() != read:
            return [f"periods are read as {read} where {name} is written"]
    return []


def _gaps(grid: PeriodGrid, series: Mapping[str, Series]) -> list[str]:
    """Tell of periods inside the history of which nothing is known."""
    known: NDArray[np.bool_] = np.logical_or.reduce([np.isfinite(s.value).any(axis=0) for s in series.values()])
    last = int(np.flatnonzero(known)[-1]) if known.any() else 0
    empty = np.flatnonzero(~known[:last])
    if not len(empty):
        return []
    return [f"{len(empty)} period{'s' * (len(empty) > 1)} without any value, such as {grid.names[int(empty[0])]}"]


def _refuse_values(table: Table) -> None:
    """Refuse values that cannot be: sizes that are not above 0, deviations and volumes below 0, numbers too large."""
    problems = []
    for column, least, rule in (
        ("size", "above 0", "a size is above 0; leave it empty to take the mean of the values"),
        ("volume", "0 or more", "a volume counts cases"),
        ("measurement_sd", "0 or more", "a standard deviation is no less than 0"),
        ("value", "", f"values are below {LARGEST:g}"),
        ("target", "", f"targets are below {LARGEST:g}"),
    ):
        numbers = table.numbers(column)
        wrong = np.abs(numbers) >= LARGEST
        if least:
            wrong |= numbers <= 0.0 if least == "above 0" else numbers < 0.0
        rows = np.flatnonzero(wrong)
        if rows.size:
            also = f" ({rows.size:,} such rows)" if rows.size > 1 else ""
            code = "E-history-size" if column == "size" else "E-history-value"
            message = f"the {column} is {numbers[rows[0]]:g}{also}"
            problems.append(Problem(code, message, rule, "correct it, or leave it empty where it is not known",
                                    table.location(int(rows[0]), column)))  # fmt: skip
    if problems:
        raise TableError(*problems)


def _refuse_two_rows(table: Table, periods: Sequence[Period]) -> None:
    """Refuse two rows for one period, however it is spelled."""
    units, kpis = table.texts("unit").tolist(), table.texts("kpi").tolist()
    seen: dict[tuple[str, str, int], int] = {}
    problems = []
    for row, key in enumerate(zip(units, kpis, (p.number for p in periods), strict=True)):
        first = seen.setdefault(key, row)
        if first != row:
            name = period_name(periods[row].number, periods[row].per_year, periods[row].fiscal)
            message = f"unit '{key[0]}', kpi '{key[1]}' has two rows for {name}"
            problems.append(Problem("E-table-duplicate", message, "one row for each unit, kpi and period",
                                    "keep one of the rows", table.location(first, "period"),
                                    (table.location(row, "period"),)))  # fmt: skip
    if problems:
        raise TableError(*problems[:50])


def _grid(table: Table, periods: Sequence[Period]) -> PeriodGrid:
    """Return the grid of all periods; one far from all others is a slip, not a gap."""
    numbers = np.array([period.number for period in periods])
    order = np.argsort(numbers, kind="stable")
    apart = np.diff(numbers[order])
    if apart.size and apart.max() > LONG_GAP * periods[0].per_year:
        at = int(apart.argmax())
        row = int(order[at] if at + 1 <= len(numbers) - at - 1 else order[at + 1])
        name = table.texts("period")[row]
        message = f"'{name}' is {int(apart[at]) // periods[0].per_year} years from the next period"
        rule = f"between two periods lie no more than {LONG_GAP} years"
        raise TableError(
            Problem(
                "E-history-gap", message, rule, "correct the year, or leave the row out", table.location(row, "period")
            )
        )
    return grid_of(periods)


def _series(table: Table, kpi: str, rows: NDArray[np.int64], periods: Sequence[Period], grid: PeriodGrid) -> Series:
    names = table.texts("unit")[rows]
    units = tuple(dict.fromkeys(names.tolist()))
    at = {unit: i for i, unit in enumerate(units)}
    place = np.array([at[name] for name in names]), np.array([grid.place(periods[row]) for row in rows.tolist()])

    def spread(column: str) -> Floats:
        out = np.full((len(units), grid.count), np.nan)
        out[place] = table.numbers(column)[rows]
        return out

    value, given, volume = spread("value"), spread("size"), spread("volume")
    sizes = sizes_of(value, given, volume)
    return Series(kpi, units, value, spread("target"), volume, sizes, spread("measurement_sd"), given)


def _until_the_last_value(history: History) -> History:
    """Return what is known: periods at the end that have rows and no value are still to come."""
    seen = np.array([np.isfinite(series.value).any(axis=0) for series in history.series.values()])
    known: NDArray[np.bool_] = np.logical_or.reduce(seen)
    if known[-1] or not known.any():
        return history
    last = int(np.flatnonzero(known)[-1])
    names = history.grid.names
    note = f"{names[last + 1]} to {names[-1]} have rows without a value: what is known ends with {names[last]}"
    return replace(history.until(last + 1), notes=(*history.notes, note))


def _shown_as_percent(table: Table) -> list[tuple[int, float]]:
    """Return the rows whose value a workbook shows as a percentage; 0 % is 0 either way."""
    values = table.numbers("value")
    return [(row, float(values[row])) for row in sorted(table.percent.get("value", ())) if values[row]]


def _with_factors(history: History, path: Path, style: CsvStyle) -> History:
    table, grid = _read(path, FACTORS_TABLE, style), history.grid
    periods = _periods(table)
    if shown := [(value, table.location(row, "value")) for row, value in _shown_as_percent(table)]:
        raise TableError(problem_of(shown, "a factor has no unit of measure"))
    found: dict[str, Floats] = {}
    outside = []
    for row, (name, period) in enumerate(zip(table.texts("factor"), periods, strict=True)):
        if period.form != (grid.per_year, grid.fiscal):
            message = (
                f"'{table.texts('period')[row]}' is not a period like those of the history, such as {grid.names[0]}"
            )
            fix = "write factors by the periods of the history"
            raise TableError(Problem("E-history-period", message, RULE, fix, table.location(row, "period")))
        position = grid.place(period)
        values = found.setdefault(name, np.full(grid.count, np.nan))
        if position is None:
            outside.append(row)
        else:
            values[position] = table.numbers("value")[row]
    first = f", such as {table.texts('period')[outside[0]]}" if outside else ""
    note = f"{len(outside)} row{'s' * (len(outside) > 1)} of the factors outside of the history{first}: not used"
    return replace(history, factors=found, notes=(*history.notes, *[note] * bool(outside)))
