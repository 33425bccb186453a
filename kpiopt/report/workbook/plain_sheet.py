"""A worksheet that writes what this house puts into cells, faster: a formula is taken as it is, a cell is one string.

The library looks through every formula for thirty functions of new versions of Excel, and builds every cell from lists
of attributes. Ours hold none of these functions. The bytes are the same; a test holds that. For it two methods are
overridden that the library keeps to itself, so only versions that were tried are allowed.
"""

from __future__ import annotations

from typing import Any

from xlsxwriter.worksheet import Worksheet

from kpiopt.errors import printable
from kpiopt.reading.tables.workbook_sheet import column_letters
from kpiopt.report.workbook.sheet import Field, Formula

LETTERS = [column_letters(i + 1) for i in range(256)]
ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


LONGEST_TEXT = 32_000
"""Excel holds 32,767 characters in a cell."""


class PlainSheet(Worksheet):  # type: ignore[misc]  # the library has no types
    """A worksheet of numbers, texts and plain formulas."""

    def put(self, row: int, column: int, value: Field, style: Any) -> None:
        """Write one cell, counted from 0, as what it is: text is never taken for a formula, a link or a number."""
        if value is None or value == "":
            self._write_blank(row, column, None, style)
        elif isinstance(value, Formula):
            shown = printable(value.value) if isinstance(value.value, str) else value.value + 0.0
            self._write_formula(row, column, value.text, style, shown)
        elif isinstance(value, bool):
            self._write_boolean(row, column, value, style)
        elif isinstance(value, str):
            self._write_string(row, column, shown_text(value), style)
        else:
            self._write_number(row, column, value + 0.0, style)

    def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:
        return formula.removeprefix("=")

    def _write_cell(self, row: int, col: int, cell: Any) -> None:
        kind = type(cell).__name__
        number = cell.format.xf_index if cell.format else None
        if number is None or col >= len(LETTERS) or kind not in WRITTEN or _is_special(cell):
            super()._write_cell(row, col, cell)
            return
        place = f'<c r="{LETTERS[col]}{row + 1}" s="{number}"'
        self.fh.write(WRITTEN[kind](place, cell))


def shown_text(text: str) -> str:
    """Return a text as a cell holds it: without control characters, not longer than Excel allows."""
    text = printable(text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _is_special(cell: Any) -> bool:
    """Whether a formula's value is an error or a truth value."""
    value = getattr(cell, "value", 0.0)
    return isinstance(value, bool) or (isinstance(value, str) and value.startswith("#"))


def _number(place: str, cell: Any) -> str:
    return f"{place}><v>{cell.number:.16G}</v></c>"


def _string(place: str, cell: Any) -> str:
    return f'{place} t="s"><v>{cell.string}</v></c>'


def _blank(place: str, cell: Any) -> str:
    return f"{place}/>"


def _formula(place: str, cell: Any) -> str:
    value, kind = cell.value, ""
    if isinstance(value, str):
        value, kind = value.translate(ESCAPED), ' t="str"' if value else ""
    return f"{place}{kind}><f>{cell.formula.translate(ESCAPED)}</f><v>{value}</v></c>"


WRITTEN = {"Number": _number, "String": _string, "Blank": _blank, "Formula": _formula}
