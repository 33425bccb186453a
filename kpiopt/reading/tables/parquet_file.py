"""Parquet files: an allow-list of column types, nothing converted silently, no partial table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from tempfile import TemporaryFile

import numpy as np
import polars as pl

from kpiopt.errors import LimitReached, Location, Problem, Problems, TableError
from kpiopt.reading.tables.messages import Explanation, refuse, show
from kpiopt.reading.tables.number import NumberForm
from kpiopt.reading.tables.parquet_pages import check_pages
from kpiopt.reading.tables.raw import RawColumn, RawTable, check_header, text_from_numbers_note
from kpiopt.reading.tables.table import ColumnRule, Floats, Place, TableRule

MAX_ROWS = 50_000_000
"""A few compressed kilobytes can claim any number of rows, so they are counted before they are read."""

EXACT_INTEGERS = 2**53
"""Up to this size a float holds every whole number exactly."""

_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_FLOATS = (pl.Float32, pl.Float64, pl.Decimal)
_TEXTS = (pl.String, pl.Categorical, pl.Enum, pl.Null)
_RULE = (
    "columns are text, categories, whole numbers up to 64 bits (unsigned: 32), decimals or floats; "
    "ids and text are never floats or decimals"
)


def read_parquet(data: bytes, display: str, rule: TableRule, findings: Problems) -> RawTable:
    """Read a Parquet file into columns of text and typed numbers.

    Raises
    ------
    TableError
        If the file is damaged, or a column's type is not on the list.
    LimitReached
        If it claims more than `MAX_ROWS` rows.
    """
    if not (data.startswith(b"PAR1") and data.endswith(b"PAR1")):
        what = "it is encrypted" if data.endswith(b"PARE") else "it does not start and end with PAR1"
        raise _damaged(what, display)
    with _refusing_damage(display):
        n_rows = check_pages(data)
        schema = pl.read_parquet_schema(BytesIO(data))
    check_header(list(schema), rule, lambda _: Location(display), findings)
    rules = [found for name in schema if (found := rule.column(name)) is not None]
    for column in rules:
        _check_type(column, schema[column.name], display, findings)
    findings.raise_errors(TableError)
    if n_rows > MAX_ROWS:
        message = f"the file claims {n_rows:,} rows, more than {MAX_ROWS:,}"
        raise LimitReached(Problem("E-table-size", message, location=Location(display)))
    if not n_rows:
        raise refuse("E-table-empty", "the table has columns but 0 rows", display)
    with _refusing_damage(display):
        frame = pl.read_parquet(BytesIO(data), columns=[column.name for column in rules])
    if frame.height != n_rows:
        raise _damaged(f"it announces {n_rows:,} rows and holds {frame.height:,}", display)
    place = Place(display, np.arange(1, n_rows + 1))
    return RawTable(
        {c.name: _column(frame[c.name], c, place, findings) for c in rules},
        place,
        NumberForm(is_certain=False, may_declare=False),
    )


def _damaged(what: str, display: str) -> Exception:
    fix = "write the file again"
    return refuse("E-table-damaged", f"the Parquet file is truncated or damaged: {what}", display, fix=fix)


@contextmanager
def _refusing_damage(display: str) -> Iterator[None]:
    """Turn what polars raises on damaged bytes, a crash of its Rust code included, into a refusal."""
    try:
        with _without_panics():
            yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _damaged(reason.removeprefix("parquet: "), display) from None


@contextmanager
def _without_panics() -> Iterator[None]:
    """Hold back what is written to standard error until the block has ended well.

    Rust code announces its crashes there, on the descriptor itself, past Python's own stream.
    """
    try:
        kept = os.dup(2)
    except OSError:  # closed from the beginning
        yield
        return
    with TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.truncate(0)
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            _pass_on(held.read())


def _pass_on(text: bytes) -> None:
    if text:
        os.write(2, text)


def _check_type(column: ColumnRule, dtype: pl.DataType, display: str, findings: Problems) -> None:
    is_number, is_flag = column.kind in ("number", "quantity"), column.kind == "flag" and dtype == pl.Boolean
    if dtype in _TEXTS or dtype in _INTEGERS or (is_number and dtype in _FLOATS) or is_flag:
        return
    fix = f"write it as {'text' if column.kind in ('id', 'text', 'flag') else 'a float'}"
    message = (
        f"the column is of type {dtype}, which is not read as {'an' if column.kind == 'id' else 'a'} {column.kind}"
    )
    findings.add(Problem("E-table-type", message, _RULE, fix, Location(display, field=column.name)))


def _column(series: pl.Series, column: ColumnRule, place: Place, findings: Problems) -> RawColumn:
    if series.dtype in (pl.Categorical, pl.Enum, pl.Null):  # a column without any value has no type
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        text = series.fill_null("")
        # A Parquet column has one type, so where one quantity is "38 to 42" the numbers beside it are text as well.
        return RawColumn(text, None if column.kind == "quantity" else np.full(len(text), np.nan))
    if column.kind == "flag":
        return RawColumn(series.cast(pl.String).fill_null(""))
    if column.kind in ("id", "text"):
        findings.add(text_from_numbers_note(series.len() - series.null_count(), place.header(column.name)))
        return RawColumn(series.cast(pl.String).fill_null(""))
    return RawColumn(pl.Series(values=[""]).new_from_index(0, len(series)), _numbers(series, column, place, findings))


def _numbers(series: pl.Series, column: ColumnRule, place: Place, findings: Problems) -> Floats:
    """Return typed numbers as floats, NaN for null; refuse what is not finite or not exact."""
    values = series.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64) + 0.0
    given = series.is_not_null().to_numpy()
    wrong = given & ~np.isfinite(values)
    if series.dtype == pl.Int64:  # compared as integers: as a float 2^53 + 1 is 2^53 already
        inexact = (series > EXACT_INTEGERS) | (series < -EXACT_INTEGERS)
        wrong |= inexact.fill_null(False).to_numpy()

    def explain(row: int) -> Explanation:
        message = f"{show(series[row])} cannot be held exactly, or is not finite"
        return "E-number-range", message, "numbers are finite, whole numbers below 2^53", "leave it empty for not given"

    findings.each(np.flatnonzero(wrong).tolist(), place.problems(column.name, explain))
    return values
