"""CSV files: bytes to named columns of text, with the line of every record."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kpiopt.errors import InternalError, Location, Problem, Problems, TableError
from kpiopt.reading.tables.encoding import normalise_csv
from kpiopt.reading.tables.messages import Explanation, refuse, show
from kpiopt.reading.tables.number import SPACES, NumberForm
from kpiopt.reading.tables.raw import (
    HEADER_ROWS,
    RawColumn,
    RawTable,
    check_header,
    find_header,
    nameless_problem,
    refuse_data_as_titles,
    title_note,
)
from kpiopt.reading.tables.records import BadQuote, Records, scan_records
from kpiopt.reading.tables.table import SAMPLES, Place, TableRule
from kpiopt.reading.tables.text import clean_header

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_OPTIONS_RULE = 'delimiter is one of "," ";" "|" or a tab, decimal is "." or ",", thousands is another mark'
_HINT = re.compile(r'"?sep=(.)"?')


@dataclass(frozen=True, slots=True)
class CsvStyle:
    """How a file is declared to be written; None where nothing is said."""

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None


def read_csv(data: bytes, display: str, rule: TableRule, findings: Problems, style: CsvStyle) -> RawTable:
    """Read a CSV file into columns of text.

    Parameters
    ----------
    data : bytes
        The whole file.
    style : CsvStyle
        As declared for the table. Commas between fields and a decimal point where nothing is said; a first line such
        as "sep=;", which Excel understands, names the delimiter as well.

    Raises
    ------
    TableError
        If the file has no readable structure; what concerns single rows goes to `findings`.
    """
    data = normalise_csv(data, display, findings)
    hint = _HINT.fullmatch(data.partition(b"\n")[0].decode())
    style = _hinted(style, hint[1], rule, display) if hint else style
    separator, form = _options(style, display, rule)
    records = scan_records(data, separator)
    if isinstance(records, BadQuote):
        raise TableError(_quote_problem(records, display))
    filled = np.flatnonzero(~_blank(data, records))[1 if hint else 0 :]
    if not filled.size:
        raise refuse("E-table-empty", "the file has only blank lines: 0 rows", display, fix="write a header and rows")
    first = [_record(data, records, i) for i in filled[:HEADER_ROWS].tolist()]
    other = _plain_delimiter(first, separator, rule)
    if other != separator and rule.name == SAMPLES:
        return read_csv(data, display, rule, findings, replace(style, delimiter=other))
    _require_delimiter(other, separator, rule, Location(display, int(records.line[filled[0]])))
    above = find_header([_split(record, separator) for record in first], rule)
    header, body = filled[above], filled[above + 1 :]
    place = Location(display, int(records.line[header]))
    if above:
        lines, titles = records.line[filled], [_split(record, separator) for record in first[: above + 1]]
        refuse_data_as_titles(titles[:above], titles[above], lambda i: Location(display, int(lines[i])), findings)
        findings.add(title_note([record.strip(f"{separator} ") for record in first[:above]], place))
    names = _split(first[above], separator)
    check_header(names, rule, lambda _: place, findings)
    if not body.size and not rule.may_be_empty:
        findings.add(Problem("E-table-empty", "the table has a header but 0 rows", location=Location(display)))
    if len(set(names)) < len(names) or not body.size or not any(rule.column(name) for name in names):
        findings.raise_errors(TableError)  # the rows make no sense under such a header
    regular = body[records.fields[body] == len(names)]
    _check_shape(records, body, len(names), display, findings)
    inner = [name if rule.column(name) else f"#{i}" for i, name in enumerate(names)]
    frame = _parse(_only(data, records, regular), inner, separator, len(regular))
    for number, name in enumerate(names, start=1):
        if not name and (frame[inner[number - 1]].str.strip_chars(SPACES) != "").any():
            findings.add(nameless_problem(number, place))
    columns = {name: RawColumn(frame[name]) for name in inner if rule.column(name)}
    return RawTable(columns, Place(display, records.line[regular]), form)


def _hinted(style: CsvStyle, delimiter: str, rule: TableRule, display: str) -> CsvStyle:
    """Take the delimiter from the file's first line, which must not contradict what is declared."""
    if style.delimiter in (None, delimiter):
        return replace(style, delimiter=delimiter)
    message = f"the first line says sep={delimiter}, but delimiter = {show(style.delimiter)} is declared"
    fix = f"delete the line, or declare delimiter = {show(delimiter)} for {rule.name} under [tables]"
    raise refuse("E-table-delimiter", message, display, rule=_OPTIONS_RULE, fix=fix)


def _options(style: CsvStyle, display: str, rule: TableRule) -> tuple[str, NumberForm]:
    separator = style.delimiter or ","
    mark = style.decimal or ("," if style.thousands == "." else ".")
    thousands = style.thousands or ""
    if separator not in _DELIMITERS or mark not in (".", ",") or thousands not in ("", ".", ",", " ", "'"):
        message = f"delimiter = {show(separator)} with decimal = {show(mark)} cannot be used"
        raise refuse("E-table-option", message, display, rule=_OPTIONS_RULE)
    if thousands == mark:
        message = f"{show(mark)} cannot be the decimal mark and separate thousands as well"
        raise refuse("E-table-option", message, display, rule=_OPTIONS_RULE)
    is_certain = separator == "," or bool(style.decimal or thousands)
    return separator, NumberForm("," if mark == "," else ".", thousands, is_certain, rule.name != SAMPLES)


def _blank(data: bytes, records: Records) -> NDArray[np.bool_]:
    """Mark lines with nothing but spaces, (n,) bool."""
    blank = records.blank.copy()
    for i in np.flatnonzero((records.fields == 1) & ~blank).tolist():
        blank[i] = not _record(data, records, i).strip(" \u00a0")
    return blank


def _record(data: bytes, records: Records, index: int) -> str:
    return data[records.start[index] : records.end[index]].decode()


def _split(record: str, delimiter: str) -> list[str]:
    """Split the header; its quotes have been checked."""
    fields = next(csv.reader([record.replace("\n", " ")], delimiter=delimiter), [])
    return [clean_header(name) for name in fields]


def _plain_delimiter(first: list[str], separator: str, rule: TableRule) -> str:
    """Return what plainly separates the fields, whatever titles stand above: the declared one, or another."""

    def is_known(name: str) -> bool:
        column = rule.column(name)
        return column is not None and (rule.name != SAMPLES or column.required)  # of samples all others may be there

    def known(delimiter: str) -> int:
        rows = (_split(record, delimiter) for record in first)
        return max(sum(is_known(name) for name in names) for names in rows)

    best = max(_DELIMITERS, key=known)
    return best if known(best) > known(separator) else separator


def _require_delimiter(found: str, separator: str, rule: TableRule, at: Location) -> None:
    """Refuse a file that is separated by something else than declared."""
    if found == separator:
        return
    also = ', and decimal = "," if its numbers have a decimal comma' if found == ";" else ""
    written = "\\t" if found == "\t" else found
    fix = f'declare it: {rule.name} = {{ path = "…", delimiter = "{written}" }} under [tables]{also}'
    message = f"the fields are separated by a {_DELIMITERS[found]}, not by a {_DELIMITERS[separator]}"
    raise TableError(Problem("E-table-delimiter", message, _OPTIONS_RULE, fix, at))


def _check_shape(records: Records, body: NDArray[np.int64], expected: int, display: str, findings: Problems) -> None:
    """Report records with too few or too many fields."""
    irregular = body[records.fields[body] != expected]

    def explain(row: int) -> Explanation:
        count = int(records.fields[row])
        what = "only " if count < expected else ""
        fix = (
            "write every field, empty ones too"
            if count < expected
            else "put text with a separator in quotes; write numbers without separators"
        )
        message = f"the row has {what}{count} fields, the header has {expected}"
        return "E-table-shape", message, "every row has as many fields as the header", fix

    findings.each(irregular.tolist(), Place(display, records.line).problems("", explain))


def _only(data: bytes, records: Records, keep: NDArray[np.int64]) -> bytes:
    """Return the bytes of some records, each with its line break."""
    first = int(records.start[keep[0]]) if keep.size else 0
    if keep.size and keep[-1] - keep[0] + 1 == keep.size:  # the ordinary case: nothing to leave out
        return data[first : int(records.end[keep[-1]]) + 1]
    chosen = np.zeros(len(records.start), dtype=np.bool_)
    chosen[keep] = True
    mask = np.repeat(chosen, records.end - records.start + 1)
    return np.frombuffer(data, dtype=np.uint8)[mask].tobytes()


def _parse(body: bytes, names: list[str], separator: str, n_rows: int) -> pl.DataFrame:
    """Let polars cut the fields: the structure is known to be regular, all columns stay text."""
    schema = dict.fromkeys(names, pl.String)
    if not n_rows:
        return pl.DataFrame(schema=schema)
    frame = pl.read_csv(body, has_header=False, schema=schema, separator=separator, infer_schema=False)
    if frame.height != n_rows:
        raise InternalError(f"{n_rows} records were found but {frame.height} were read")
    return frame.fill_null("")


def _quote_problem(bad: BadQuote, display: str) -> Problem:
    rule = 'a quoted field starts and ends with ", and a quote inside it is doubled'
    if not bad.opened:
        message = "a quote stands inside a field that does not start with one"
        fix = "remove spaces before the quote, or double it and quote the whole field"
    elif bad.ended_at is None:
        message, fix = f"the quote opened in line {bad.line} is never closed", "close or remove it"
    else:
        message = f"the field quoted from line {bad.line} goes on after its closing quote in line {bad.ended_at}"
        fix = "close the field, or double the quotes inside it"
    return Problem("E-table-quote", message, rule, fix, Location(display, bad.line))
