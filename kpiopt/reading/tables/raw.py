"""What a file holds before any value is understood: named columns of text or of typed numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from kpiopt.errors import Location, Problem, Problems
from kpiopt.reading.key_path import did_you_mean
from kpiopt.reading.tables.messages import listing, show
from kpiopt.reading.tables.number import NumberForm
from kpiopt.reading.tables.table import Floats, Place, TableRule


@dataclass(frozen=True, slots=True)
class RawColumn:
    """One column as it stands in the file.

    Attributes
    ----------
    text : (n,) series of str
        Text fields; "" where empty, or where the file holds a typed number.
    number : (n,) float or None
        Typed numbers, NaN where there is none; None in a CSV file, which has no types.
    percent : frozenset of int
        Data rows whose number the file shows as a percentage: 0.81 as 81 %.
    """

    text: pl.Series
    number: Floats | None = None
    percent: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file's columns, known to the format, and the place of its rows.

    Attributes
    ----------
    form : NumberForm
        How numbers in text are written.
    """

    columns: dict[str, RawColumn]
    place: Place
    form: NumberForm = field(default_factory=NumberForm)


REMARKS = "notes"
"""A column of this name, and any whose name begins with "#", holds remarks for people and is not read."""

HEADER_ROWS = 20
"""Among so many rows with content the header is looked for; what stands above it is a title."""


def is_remark(name: str) -> bool:
    """Whether a column with this header holds remarks for people."""
    return name.startswith("#") or name == REMARKS


def find_header(rows: Sequence[Sequence[str]], rule: TableRule) -> int:
    """Return which of the first rows is the header: the one with all required columns, else with most known ones."""
    names = [set(row) for row in rows[:HEADER_ROWS]]
    known = [sum(rule.column(name) is not None for name in found if name) for found in names]
    whole = (i for i, found in enumerate(names) if found.issuperset(rule.required))
    return next(whole, known.index(max(known)) if known else 0)


def refuse_data_as_titles(
    titles: Sequence[Sequence[str]], header: Sequence[str], at: Callable[[int], Location], findings: Problems
) -> None:
    """Refuse rows above the header that look like rows of the table: nothing that is data is passed over.

    Parameters
    ----------
    titles : sequence of sequence of str
        The fields of the rows above the header.
    header : sequence of str
        The fields of the header.
    at : callable
        Position among `titles` -> place.
    """
    columns = sum(bool(name) for name in header)
    for i, row in enumerate(titles):
        filled = [field for field in row if field]
        is_data = len(filled) >= max(2, columns) or (len(filled) > 1 and any(_NUMBER.match(f) for f in filled))
        if is_data and not filled[0].startswith("#"):
            message = f"the row above the header looks like a row of the table: {listing([show(f) for f in filled])}"
            fix = 'move it below the header; if it is a remark, delete it or let it begin with "#"'
            rule = "above the header are titles: fewer fields than the header has, and no numbers"
            findings.add(Problem("E-table-header", message, rule, fix, at(i)))


_NUMBER = re.compile(r"[+-]?[0-9][0-9.,' \u00a0]*%?$")


def title_note(titles: Sequence[str], at: Location) -> Problem:
    """Return the note that rows above the header were passed over."""
    first = next((title for title in titles if title), "")
    message = f"above the header {len(titles):,} row(s) of titles are passed over, such as {show(first)}"
    return Problem("N-table-title", message, location=at)


def check_header(names: Sequence[str], rule: TableRule, at: Callable[[int], Location], findings: Problems) -> None:
    """Find unknown, repeated and missing columns; nameless ones are judged by what stands below.

    Parameters
    ----------
    names : sequence of str
        The header's fields, trimmed.
    at : callable
        Position in the header -> place.
    """
    known = [column.name for column in rule.columns] + [prefix for prefix, _ in rule.prefixes]
    allowed = f"columns of {rule.name}: {', '.join(f'{n}…' if n.endswith('.') else n for n in known)}"
    unknown = [i for i, n in enumerate(names) if n and rule.column(n) is None and not is_remark(n)]
    missing = [name for name in rule.required if name not in names]
    written = {_as_written(name) for name in names}
    strange = [names[i] for i in unknown if rule.column(_as_written(names[i])) is None]
    lacking = [name for name in missing if name not in written]
    if strange and {"kpi", "baseline"} <= set(lacking) and "unit" in written:
        findings.add(_wide_problem(strange, rule, at(0)))
        return
    if lacking == ["baseline"] and len(strange) > 1 and not any(did_you_mean(name, ["baseline"]) for name in strange):
        findings.add(_spread_problem(strange, rule, at(0)))
        return
    meant = {i: _as_written(names[i]) for i in unknown if rule.column(_as_written(names[i])) is not None}
    if len(meant) > 1:
        pairs = listing([f"{name} for {show(names[i])}" for i, name in meant.items()], len(meant))
        message = f"{len(meant)} columns are not named as the format names them"
        findings.add(Problem("E-table-column", message, allowed, f"write {pairs}", at(min(meant))))
        unknown = [i for i in unknown if i not in meant]
        missing = [name for name in missing if name not in meant.values()]

    def strange_column(i: int) -> Problem:
        fix = (
            _translated(names[i], rule)
            or did_you_mean(names[i], known)
            or _twin_of(names[i])
            or "rename or delete the column"
        )
        fix = f'{fix}; if it holds remarks, name it "#{names[i]}" or "{REMARKS}"'
        return Problem("E-table-column", f"unknown column {show(names[i])}", allowed, fix, at(i))

    findings.each(unknown, strange_column)
    for name in dict.fromkeys(n for n in names if n and not is_remark(n) and names.count(n) > 1):
        numbers = [i for i, other in enumerate(names, start=1) if other == name]
        message = f"the header has {show(name)} more than once, as columns {listing(numbers)}"
        place = at(numbers[1] - 1)
        findings.add(Problem("E-table-header", message, "each column stands once", "rename or delete one", place))
    for name in missing:
        fix = f"add it; required are {listing(rule.required)}"
        findings.add(Problem("E-table-column", f"the table has no column '{name}'", allowed, fix, at(0)))


def nameless_problem(number: int, at: Location) -> Problem:
    """Return what is wrong with values below an empty header; `number` counts columns from 1."""
    fix = f'name it, delete the whole column, or head it "#" or "{REMARKS}" if it holds remarks'
    return Problem("E-table-column", f"column {number} has values but no name", "every column has a name", fix, at)


def _wide_problem(names: Sequence[str], rule: TableRule, at: Location) -> Problem:
    message = f"the table is wide: it has columns {listing([show(n) for n in names])} where one row per KPI is expected"
    example = f"write one row for each unit and KPI, such as: unit, {names[0]}, its baseline"
    return Problem("E-table-wide", message, f"required columns are {listing(rule.required)}", example, at)


def _spread_problem(names: Sequence[str], rule: TableRule, at: Location) -> Problem:
    message = f"the table is wide: it has columns {listing([show(n) for n in names])} where 'baseline' is expected"
    example = "write one row for each unit, KPI and period, with columns period and baseline"
    return Problem("E-table-wide", message, f"required columns are {listing(rule.required)}", example, at)


def _as_written(name: str) -> str:
    """Return a header as the format would write it: small letters, and _ between words."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


_IN_OTHER_WORDS = {
    "unit": "einheit organisationseinheit orgeinheit bereich abteilung team",
    "kpi": "kennzahl kenngröße messgröße",
    "baseline": "basis basiswert basislinie ausgangswert istwert ist_wert ist",
    "parent": "übergeordnet übergeordnete_einheit obereinheit oberbereich",
}
"""Columns that tables must have -> what German tables call them."""


def _translated(name: str, rule: TableRule) -> str:
    """Return "did you mean 'unit'?" for the German name of a column that the table has, or an empty string."""
    meant = (column for column, words in _IN_OTHER_WORDS.items() if _as_written(name) in words.split())
    return next((f"did you mean '{column}'?" for column in meant if rule.column(column) is not None), "")


def _twin_of(name: str) -> str:
    foreign = [f"U+{ord(c):04X}" for c in name if not 0x20 <= ord(c) <= 0x7E]
    return f"the name contains {listing(foreign)}" if foreign else ""


def text_from_numbers_note(count: int, location: Location) -> Problem:
    """Return the note that whole numbers were taken as ids or text."""
    message = f"{count:,} values of this column are numbers in the file; their digits are taken as text"
    return Problem("N-text-from-number", message, fix="store ids as text if they have leading zeros", location=location)
