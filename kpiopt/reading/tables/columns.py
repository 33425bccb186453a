"""Raw columns to typed ones: every value understood or reported, none guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kpiopt.errors import SPELLED_OUT, Problem, Problems, TableError
from kpiopt.reading.tables.messages import Explanation, listing, show
from kpiopt.reading.tables.number import (
    SPACES,
    NumberForm,
    ask_thousands,
    explain_number,
    explain_range,
    number_pattern,
    parse_numbers,
    plain_digits,
    thousands_suspects,
)
from kpiopt.reading.tables.raw import RawColumn, RawTable
from kpiopt.reading.tables.table import ColumnRule, Place, Table, TableRule
from kpiopt.reading.tables.text import clean_ids, clean_text, explain_character, spell_out

_FIX_TEXT_IN_EXCEL = (
    "in Excel: mark the column, Data > Text to Columns > Finish, and save; or let kpiopt check write a mended copy: "
    "--fix-text-numbers FILE"
)

MAX_TEXT = 32_767
"""Longest text of one field in bytes: what a cell of a workbook holds."""

SHARES = ("availability", "weight")
"""Columns that hold a share, whatever the KPI is in."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column being read: its rule, its raw form and where findings go."""

    rule: ColumnRule
    raw: RawColumn
    place: Place
    form: NumberForm
    findings: Problems

    def errors(self, where: NDArray[np.bool_], explain: Callable[[int], Explanation]) -> None:
        self.errors_at(np.flatnonzero(where).tolist(), explain)

    def errors_at(self, rows: Sequence[int], explain: Callable[[int], Explanation]) -> None:
        self.findings.each(rows, self.place.problems(self.rule.name, explain))


def build_table(raw: RawTable, rule: TableRule, digest: str, findings: Problems) -> Table:
    """Turn raw columns into typed ones and check the table's key.

    Raises
    ------
    TableError, NumericsError
        With everything that was found in the file.
    """
    columns: dict[str, NDArray[Any]] = {}
    keys: dict[str, pl.Series] = {}
    texts: dict[str, dict[int, str]] = {}
    for name, raw_column in raw.columns.items():
        column_rule = rule.column(name)
        if column_rule is None:
            continue  # reported with the header
        column = _Column(column_rule, raw_column, raw.place, raw.form, findings)
        if column_rule.kind == "number":
            columns[name] = _read_numbers(column, raw_column.text.str.strip_chars(SPACES))
        elif column_rule.kind == "value":
            columns[name] = _read_values(column)
        elif column_rule.kind == "quantity":
            columns[name], texts[name] = _read_quantities(column)
        else:
            cleaned = _read_text(column)
            columns[name] = cleaned.to_numpy()
            if name in (*rule.key, *rule.besides):
                keys[name] = cleaned
    _check_rows(raw, keys, rule, findings)
    findings.raise_errors(TableError)
    percent = {name: column.percent for name, column in raw.columns.items() if column.percent}
    return Table(columns, texts, raw.place, digest, tuple(findings.warnings), percent)


def _read_text(column: _Column) -> pl.Series:
    is_id = column.rule.kind == "id"
    too_long = (column.raw.text.str.len_bytes() > MAX_TEXT).to_numpy()
    if too_long.any():
        column.errors(too_long, _explain_long)
        column.findings.raise_errors(TableError)  # at once: a few such values can fill the memory when they are copied
    clean = clean_ids(column.raw.text) if is_id else clean_text(column.raw.text)
    column.errors(clean.refused, lambda row: explain_character(clean.text[row], is_id=is_id))
    _note_changes(column, clean.changed, clean.text)
    _warn_mixed_scripts(column, clean.mixed, clean.text)
    return clean.text


def _explain_long(_: int) -> Explanation:
    return (
        "E-table-long",
        f"the text is longer than {MAX_TEXT:,} bytes",
        "what a workbook's cell can hold",
        "shorten it",
    )


def _note_changes(column: _Column, changed: NDArray[np.bool_], text: pl.Series) -> None:
    rows = np.flatnonzero(changed)
    if not rows.size:
        return
    first = int(rows[0])
    message = (
        f"{rows.size:,} ids of column {column.rule.name} have spaces around or another Unicode form; the first is "
        f"{spell_out(column.raw.text[first])}, read as {show(text[first])}"
    )
    column.findings.warn("N-id-normalised", message, column.place.location(first, column.rule.name))


def _warn_mixed_scripts(column: _Column, mixed: NDArray[np.bool_], text: pl.Series) -> None:
    seen: set[str] = set()
    for row in np.flatnonzero(mixed).tolist():
        value = text[row]
        if value in seen:
            continue
        seen.add(value)
        message = f"the id mixes letters of several scripts that look alike: {spell_out(value)}"
        where = column.place.location(row, column.rule.name)
        column.findings.warn("W-mixed-script", message, where, fix="retype the id if that is not intended")
        if len(seen) == SPELLED_OUT:
            break


def _read_numbers(column: _Column, text: pl.Series) -> NDArray[np.float64]:
    """Read fields as numbers; `text` is the column's text, with "" where no number is expected."""
    if column.raw.number is not None:
        _refuse_text_numbers(column, text)
        return column.raw.number
    text = column.form.without_groups(text)
    parsed = parse_numbers(text, column.form.decimal)
    column.errors(parsed.out_of_range, lambda row: explain_range(text[row]))
    if parsed.malformed.any() or not column.form.is_certain:
        _refuse_malformed(column, text, np.flatnonzero(parsed.malformed))
        suspects = np.flatnonzero(thousands_suspects(text, column.form) & ~parsed.malformed)
        if suspects.size:
            asked = ask_thousands(text.gather(suspects).to_list(), column.form)
            column.errors_at(suspects[:1].tolist(), lambda _: asked)
    return parsed.values


def _refuse_malformed(column: _Column, text: pl.Series, rows: NDArray[np.integer[Any]]) -> None:
    """Report what is no plain number; another decimal mark once for the column, for it is one thing to declare."""
    mark, other = column.form.decimal, "." if column.form.decimal == "," else ","
    marked = text.gather(rows).str.contains(rf"^[+-]?[0-9]+{re.escape(other)}[0-9]+$").to_numpy()

    def explain(row: int) -> Explanation:
        code, message, rule, fix = explain_number(
            text[row], mark, column.rule.name if column.rule.name in SHARES else ""
        )
        return code, message, rule, fix if column.form.may_declare else fix.partition(", or declare")[0]

    def explain_all(row: int) -> Explanation:
        code, message, rule, fix = explain(row)
        return code, f"{message} ({len(same):,} such numbers in this column)", rule, fix

    same = [row for row in rows[marked].tolist() if explain(row)[0] == "E-number-decimal"]
    others = np.setdiff1d(rows, same[1:], assume_unique=True)
    first = same[0] if len(same) > 1 else -1
    column.errors_at(others.tolist(), lambda row: (explain_all if row == first else explain)(row))


def _read_values(column: _Column) -> NDArray[np.object_]:
    """Read fields that hold numbers or text, (n,) object: float, str, or None where empty."""
    text = clean_text(column.raw.text).text
    column.errors(clean_text(column.raw.text).refused, lambda row: explain_character(text[row], is_id=False))
    if column.raw.number is not None:
        numbers = column.raw.number
    else:
        plain = column.form.without_groups(text)
        is_number = plain.str.contains(f"^{number_pattern(column.form.decimal)}$")
        numbers = _read_numbers(column, plain.zip_with(is_number, pl.Series([""]).new_from_index(0, len(plain))))
    if not column.form.is_certain:
        ranges = enumerate(_sides(value) for value in text.to_list())
        number = number_pattern(column.form.decimal)
        _ask_about_ranges(column, {r: s for r, s in ranges if len(s) == 2 and all(re.fullmatch(number, x) for x in s)})
    values = [float(n) if n == n else t or None for n, t in zip(numbers.tolist(), text.to_list(), strict=True)]
    return np.array([*values, None], dtype=object)[:-1]


def _refuse_text_numbers(column: _Column, text: pl.Series) -> None:
    """Report text in a typed number column; a number stored as text is told apart from other text."""

    def explain(row: int) -> Explanation:
        code, message, rule, fix = explain_number(text[row])
        if "declare" in fix:  # typed files have no marks to declare
            fix = f"type it as a number: {plain_digits(text[row])}"
        if is_number[row]:
            message = f"{show(text[row])} is a number stored as text"
            fix = _FIX_TEXT_IN_EXCEL if column.place.sheet else "write the column as numbers"
            return "E-number-as-text", message, "numbers are stored as numbers", fix
        return code, message, rule, fix

    is_number = text.str.contains(f"^{number_pattern()}$").to_numpy()
    column.errors((text != "").to_numpy(), explain)


def _read_quantities(column: _Column) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Read numbers, and set aside the text of distributions by row."""
    text = column.raw.text.str.strip_chars(SPACES)
    is_text = text.str.contains(r"^\{|\s(?i:to)\s")
    rows = np.flatnonzero(is_text.to_numpy())
    if not rows.size:
        return _read_numbers(column, text), {}
    distributions = {row: _range(text[row], column.form) for row in rows.tolist()}
    _check_ranges(column, distributions)
    if column.form.decimal == ",":
        distributions = {r: value if value[0] == "{" else value.replace(",", ".") for r, value in distributions.items()}
    return _read_numbers(column, text.set(is_text, "")), distributions


def _range(text: str, form: NumberForm) -> str:
    """Return a range with declared separators of thousands taken out of its numbers."""
    return text if text[0] == "{" else " to ".join(form.plain(side) for side in _sides(text))


def _sides(text: str) -> list[str]:
    return re.split(r"\s+to\s+", text, flags=re.IGNORECASE)


def _check_ranges(column: _Column, distributions: dict[int, str]) -> None:
    """Refuse "a to b" where a or b is no plain number; what the numbers mean is checked where they are understood."""
    number, form = number_pattern(column.form.decimal), column.form
    ranges = {row: _sides(text) for row, text in distributions.items() if text[0] != "{"}
    plain = {
        row: len(sides) == 2 and all(re.fullmatch(number, side) for side in sides) for row, sides in ranges.items()
    }

    def explain(row: int) -> Explanation:
        bad = next((side for side in ranges[row] if not re.fullmatch(number, side)), distributions[row])
        code, message, _, fix = explain_number(bad, form.decimal)
        if "declare" in fix and not form.may_declare:
            fix = f"write it with points and without separators of thousands, such as {plain_digits(bad)}"
        return code, f"in {show(distributions[row])}, {message}", "a range is two numbers, such as 38 to 42", fix

    wrong = [row for row, is_plain in plain.items() if not is_plain]
    column.errors_at(wrong, explain)
    if not form.is_certain:
        _ask_about_ranges(column, {row: sides for row, sides in ranges.items() if plain[row]})


def _ask_about_ranges(column: _Column, ranges: dict[int, list[str]]) -> None:
    """Ask what the marks of ranges mean where all of their numbers could be grouped by thousands."""
    form = column.form
    marked = {row: [side for side in sides if form.decimal in side] for row, sides in ranges.items()}
    doubtful = [
        r for r, sides in marked.items() if sides and all(re.fullmatch(form.could_be_grouped, s) for s in sides)
    ]

    def ask(row: int) -> Explanation:
        code, message, rule, fix = ask_thousands(marked[row][:1], form)
        return code, f"in {show(' to '.join(ranges[row]))}, {message}", rule, fix

    column.errors_at(doubtful, ask)


def _check_rows(raw: RawTable, columns: dict[str, pl.Series], rule: TableRule, findings: Problems) -> None:
    """Refuse rows without any value, rows without their key, and rows that repeat a key."""
    keys = {name: series for name, series in columns.items() if name not in rule.besides}
    if not keys:
        return
    filled = {name: (series != "").to_numpy() for name, series in keys.items()}
    complete = np.logical_and.reduce(list(filled.values()))
    if not complete.all():
        void = np.flatnonzero(~complete & _is_void(raw))
        findings.each(void.tolist(), raw.place.problems(next(iter(keys)), _explain_void))
        totals = np.setdiff1d(np.flatnonzero(_is_total(raw, keys, complete)), void, assume_unique=True)
        findings.each(totals.tolist(), raw.place.problems(next(iter(keys)), _explain_total))
        known = np.union1d(void, totals)
        for name, has_value in filled.items():
            rows = np.setdiff1d(np.flatnonzero(~has_value), known, assume_unique=True)
            explain = partial(_explain_missing, name, tuple(keys))
            findings.each(rows.tolist(), raw.place.problems(name, explain))
    _check_duplicates(raw, {**keys, **columns}, complete, rule, findings)


def _is_void(raw: RawTable) -> NDArray[np.bool_]:
    if raw.place.sheet:  # empty rows of a sheet have been passed over, what is left holds something
        return np.zeros(len(raw.place.row_number), dtype=np.bool_)
    void = np.ones(len(raw.place.row_number), dtype=np.bool_)
    for column in raw.columns.values():
        void &= (column.text.str.strip_chars(SPACES) == "").to_numpy()
        if column.number is not None:
            void &= np.isnan(column.number)
    return void


_TOTAL = r"^(?i:(?:grand |sub)?totals?|sum|all|overall|summe|gesamt|insgesamt|total général|totale)\b"


def reads_like_a_total(name: str) -> bool:
    """Tell whether a key is what people write before a total."""
    return re.match(_TOTAL, name) is not None


def _is_total(raw: RawTable, keys: dict[str, pl.Series], complete: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark rows that seem to sum up those above, (n,) bool.

    A part of the key is missing and what is there says so, or the row holds nothing but numbers.
    """
    says_so = np.logical_or.reduce([series.str.contains(_TOTAL).to_numpy() for series in keys.values()])
    only_numbers = ~complete
    for column in raw.columns.values():
        only_numbers &= column.text.str.contains(r"^[\s+.,0-9-]*$").to_numpy()
    for series in keys.values():
        only_numbers &= (series == "").to_numpy()
    return np.asarray((~complete & says_so) | only_numbers)


def _explain_total(_: int) -> Explanation:
    return (
        "E-table-total",
        "the row has no key and seems to be a total of the rows above",
        "totals follow from the rows below a unit; they are no rows of a table",
        "delete the row, or move it to another sheet or file; write its key if it is no total",
    )


def _explain_void(_: int) -> Explanation:
    return "E-table-empty-row", "the row has only empty fields", "a row holds at least its key", "delete the row"


def _explain_missing(name: str, keys: tuple[str, ...], _: int) -> Explanation:
    return (
        "E-table-missing",
        f"the field is empty: no {name}",
        f"every row has a {' and a '.join(keys)}",
        f"write the {name}",
    )


def _check_duplicates(
    raw: RawTable, keys: dict[str, pl.Series], complete: NDArray[np.bool_], rule: TableRule, findings: Problems
) -> None:
    """Report each repeated key once, with all rows that hold it; none of them wins."""
    frame = pl.DataFrame(list(keys.values())).rename(dict(zip([s.name for s in keys.values()], keys, strict=True)))
    if frame.n_unique() == len(frame):
        return
    rows = frame.with_row_index("#row").filter(pl.Series(complete))
    groups = rows.group_by(list(keys), maintain_order=True).agg("#row").filter(pl.col("#row").list.len() > 1)
    findings.each(groups["#row"].to_list(), partial(_duplicate, raw, keys, rule))


def _duplicate(raw: RawTable, keys: dict[str, pl.Series], table: TableRule, rows: list[int]) -> Problem:
    column = next(iter(keys))
    keys = {name: series for name, series in keys.items() if name in table.key or series[rows[0]]}
    what = ", ".join(f"{name} {show(series[rows[0]])}" for name, series in keys.items())
    places = [raw.place.location(row, column) for row in rows[:SPELLED_OUT]]
    message = f"{what} stands in {len(rows)} rows: {listing([int(n) for n in raw.place.row_number[rows]], SPELLED_OUT)}"
    spellings = list(dict.fromkeys(raw.columns[name].text[row] for name in keys for row in rows))
    if len(spellings) > len(keys):  # the rows look the same but are not spelled the same
        message += f"; they differ only in what cannot be seen: {listing([spell_out(s) for s in spellings])}"
    rule = f"one row for each {' and '.join(keys)}"
    return Problem("E-table-duplicate", message, rule, "keep one of the rows", places[0], tuple(places[1:]))
