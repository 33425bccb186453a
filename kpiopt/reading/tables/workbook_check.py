"""What two readers make of one worksheet, compared: where they differ, neither is believed.

The fast reader of values takes `2<!-- x -->00` for 2 and drops `<![CDATA[5]]>`; files that no spreadsheet program
wrote repeat rows. Our own walk over the same XML tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta

from kpiopt.errors import Location, Problem, Problems
from kpiopt.reading.tables.messages import show
from kpiopt.reading.tables.workbook_archive import parse_xml
from kpiopt.reading.tables.workbook_sheet import SheetFacts, cell_reference, local_name

Cell = str | float | int | bool | datetime | date | time | timedelta
Grid = list[list[Cell]]

_STRINGS_PART = "xl/sharedstrings.xml"
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class _StringsHandler:
    """Collects the shared strings; phonetic hints are no part of them."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._inside = False
        self._hints = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local_name(tag)
        if name == "si":
            self.strings.append("")
        elif name == "rPh":
            self._hints += 1
        self._inside = name == "t" and not self._hints

    def end(self, tag: str) -> None:
        self._inside = False
        self._hints -= local_name(tag) == "rPh"

    def text(self, data: str) -> None:
        if self._inside and self.strings:
            self.strings[-1] += data


def compare_readers(
    facts: SheetFacts, grid: Grid, parts: Mapping[str, bytes], sheet: Location, findings: Problems
) -> None:
    """Report cells that stand twice, and cells of which the two readers have different values.

    Parameters
    ----------
    facts : SheetFacts
        What our own walk found.
    grid : list of lists
        What the reader of values found, from A1 on.
    """
    strings = shared_strings(parts, sheet.file)

    def problem(cell: tuple[int, int], message: str) -> Problem:
        at = Location(sheet.file, cell=f"{sheet.cell}!{cell_reference(*cell)}")
        rule = "a cell has one value, whichever program reads it"
        return Problem("E-workbook-differs", message, rule, "open and save the workbook in Excel", at)

    def different(cell: tuple[int, int]) -> Problem:
        kind, ours = facts.values.get(cell, ("n", ""))
        written, theirs = _text(kind, ours, strings), _found(grid, cell)
        if kind == "n" and isinstance(theirs, str) and _is_number(written) and written.strip() == theirs.strip():
            number = show(written.strip())
            return problem(cell, f"the number {number} has blanks beside it here, so its reader takes it for text")
        if isinstance(theirs, str) and written.strip() == theirs.strip():
            return problem(cell, f"the file holds {show(written)} as a number here, which is none")
        return problem(cell, f"the file holds {show(written)} here, but its reader understands {show(theirs)}")

    findings.each(facts.repeated, lambda cell: problem(cell, "the cell, or its row, stands in the file twice"))
    filled = {(r, c) for r, row in enumerate(grid, start=1) for c, v in enumerate(row, start=1) if v != ""}
    cells = sorted(facts.values.keys() | filled)
    unlike = [cell for cell in cells if not _agree(facts.values.get(cell, ("n", "")), _found(grid, cell), strings)]
    findings.each([cell for cell in unlike if cell not in set(facts.repeated)], different)


def shared_strings(parts: Mapping[str, bytes], display: str) -> Sequence[str]:
    """Return the texts that cells share, as they are numbered."""
    handler = _StringsHandler()
    for name, xml in parts.items():
        if name.casefold() == _STRINGS_PART:
            parse_xml(xml, name, display, handler)
    return handler.strings


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _found(grid: Grid, cell: tuple[int, int]) -> Cell:
    row, column = cell[0] - 1, cell[1] - 1
    return grid[row][column] if row < len(grid) and column < len(grid[row]) else ""


def _text(kind: str, value: str, strings: Sequence[str]) -> str:
    if kind == "s":
        return strings[int(value)] if value.strip().isdecimal() and int(value) < len(strings) else ""
    return value


def _agree(ours: tuple[str, str], theirs: Cell, strings: Sequence[str]) -> bool:
    """Whether both readers found the same value."""
    kind, value = ours
    if isinstance(theirs, (date, time, timedelta)) or kind in ("d", "e"):
        return True  # refused or reported elsewhere, wherever they matter
    if isinstance(theirs, bool):
        return (
            kind == "b" and value.strip() in ("0", "1", "true", "false") and theirs == (value.strip() in ("1", "true"))
        )
    if isinstance(theirs, str):
        return _plain(_text(kind, value, strings)) == _plain(theirs) and (kind != "n" or not theirs)
    try:
        return float(value) == theirs or (theirs != theirs and kind == "n")
    except ValueError:
        return False


def _plain(text: str) -> str:
    """Bring text to one form: escapes of characters resolved, line ends and spaces around levelled."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\r\n", "\n").replace("\r", "\n").strip()
