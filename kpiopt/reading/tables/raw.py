"""What a file holds before any value is understood: named columns of text or of typed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from kpiopt.errors import Location, Problem
from kpiopt.reading.tables.number import DecimalMark
from kpiopt.reading.tables.table import Floats, Place, TableRule
from kpiopt.reading.tables.table_findings import TableFindings, listing, show, suggestion


@dataclass(frozen=True, slots=True)
class RawColumn:
    """One column as it stands in the file.

    Attributes
    ----------
    text : (n,) series of str
        Text fields; "" where empty, or where the file holds a typed number.
    number : (n,) float or None
        Typed numbers, NaN where there is none; None in a CSV file, which has no types.
    """

    text: pl.Series
    number: Floats | None = None


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file's columns, known to the format, and the place of its rows.

    Attributes
    ----------
    decimal : {".", ","}
        Decimal mark of numbers in text.
    """

    columns: dict[str, RawColumn]
    place: Place
    decimal: DecimalMark = "."


def check_header(names: Sequence[str], rule: TableRule, at: Location, findings: TableFindings) -> None:
    """Find unknown, nameless, repeated and missing columns.

    Parameters
    ----------
    names : sequence of str
        The header's fields, trimmed.
    at : Location
        The header row.
    """
    known = [column.name for column in rule.columns] + [prefix for prefix, _ in rule.prefixes]
    allowed = f"columns of {rule.name}: {', '.join(f'{n}…' if n.endswith('.') else n for n in known)}"
    for number, name in enumerate(names, start=1):
        if not name:
            message, fix = f"column {number} has no name", "name it, or delete the whole column"
        elif rule.column(name) is None:
            fix = suggestion(name, known) or _twin_of(name) or "rename or delete the column"
            message = f"unknown column {show(name)}"
        else:
            continue
        findings.error(Problem("E-table-column", message, allowed, fix, at))
    for name in dict.fromkeys(n for n in names if n and names.count(n) > 1):
        numbers = [i for i, other in enumerate(names, start=1) if other == name]
        message = f"the header has {show(name)} more than once, as columns {listing(numbers)}"
        findings.error(Problem("E-table-header", message, "each column stands once", "rename or delete one", at))
    for name in rule.required:
        if name not in names:
            message = f"the table has no column '{name}'"
            fix = f"add it; required are {listing(rule.required)}"
            findings.error(Problem("E-table-column", message, allowed, fix, at))


def _twin_of(name: str) -> str:
    foreign = [f"U+{ord(c):04X}" for c in name if not 0x20 <= ord(c) <= 0x7E]
    return f"the name contains {listing(foreign)}" if foreign else ""


def text_from_numbers_note(count: int, location: Location) -> Problem:
    """Return the note that whole numbers were taken as ids or text."""
    message = f"{count:,} values of this column are numbers in the file; their digits are taken as text"
    return Problem("N-text-from-number", message, fix="store ids as text if they have leading zeros", location=location)
