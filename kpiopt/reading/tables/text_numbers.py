"""Numbers that a workbook stores as text, written as numbers into a copy; everything else stays byte for byte."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from kpiopt.errors import Problem
from kpiopt.reading.tables.number import SPACES, number_pattern
from kpiopt.reading.tables.workbook_archive import read_parts
from kpiopt.reading.tables.workbook_check import shared_strings
from kpiopt.reading.tables.workbook_sheet import cell_position, cell_reference, local_name, read_index

_TAG = re.compile(rb"<([^\s/>]+)")
_NUMBER = re.compile(number_pattern())


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where a sheet has text in place of numbers.

    Attributes
    ----------
    columns : mapping of int to int
        Column -> first row, both from 1; from there on the column holds numbers.
    cells : collection of (int, int)
        Single cells: row and column.
    """

    columns: Mapping[int, int] = field(default_factory=dict)
    cells: Collection[tuple[int, int]] = ()

    def holds(self, row: int, column: int) -> bool:
        """Whether a number is wanted in a cell."""
        return row >= self.columns.get(column, row + 1) or (row, column) in self.cells


def find_text_numbers(problems: Iterable[Problem]) -> dict[str, dict[str, Wanted]]:
    """Return from findings, by workbook and sheet, where a number is stored as text."""
    found: dict[str, dict[str, Wanted]] = {}
    for problem in problems:
        if not is_text_number(problem) or problem.location is None:
            continue
        sheet, _, reference = problem.location.cell.rpartition("!")
        row, column = cell_position(reference)
        wanted = found.setdefault(problem.location.file, {}).setdefault(sheet, Wanted())
        if problem.code == "E-number-as-text":
            columns = {**wanted.columns, column: min(row, wanted.columns.get(column, row))}
            found[problem.location.file][sheet] = Wanted(columns, wanted.cells)
        else:
            found[problem.location.file][sheet] = Wanted(wanted.columns, {*wanted.cells, (row, column)})
    return found


def is_text_number(problem: Problem) -> bool:
    """Whether a finding is about a number that a cell of a workbook stores as text."""
    if problem.location is None or not problem.location.cell:
        return False
    wants_number = problem.code == "E-type" and "number, not the text" in problem.message
    return problem.code == "E-number-as-text" or wants_number


def mend_text_numbers(data: bytes, display: str, wanted: Mapping[str, Wanted]) -> tuple[bytes, list[str]]:
    """Return a copy of a workbook in which text is a number where one is wanted, and the cells that were changed.

    Only text that is a plain number is changed, with or without spaces around it; "1,234" could mean two things.

    Parameters
    ----------
    wanted : mapping of str to Wanted
        By sheet.

    Raises
    ------
    TableError, SecurityError
        Where the file is no workbook that is read here.
    """
    parts = read_parts(data, display)
    strings = shared_strings(parts, display)
    mended: dict[str, bytes] = {}
    cells: list[str] = []
    for sheet in read_index(parts, display).sheets:
        if sheet.name in wanted and sheet.part in parts:
            content, places = _mend_sheet(parts[sheet.part], strings, wanted[sheet.name])
            mended[sheet.part] = content
            cells += [f"{sheet.name}!{cell_reference(*place)}" for place in places]
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry, mended.get(entry.filename) or source.read(entry))
    return stream.getvalue(), cells


class _CellFinder:
    """Walks a sheet and notes which bytes are cells of text that should be a number."""

    def __init__(self, xml: bytes, strings: Collection[str], wanted: Wanted) -> None:
        self.changes: list[tuple[int, int, bytes, tuple[int, int]]] = []
        self._xml, self._strings, self._wanted = xml, list(strings), wanted
        self._row = self._column = self._start = 0
        self._cell: dict[str, str] | None = None
        self._text, self._inside, self._formula, self._hints = "", False, False, 0
        self.parser = expat.ParserCreate("UTF-8", namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._begin, self._finish
        self.parser.CharacterDataHandler = self._characters

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        name = local_name(tag)
        if name == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), 0
        elif name == "c":
            at = (self._row, self._column + 1)
            self._row, self._column = cell_position(attributes["r"]) if "r" in attributes else at
            self._start, self._cell = self.parser.CurrentByteIndex, attributes
            self._text, self._formula = "", False
        elif name == "f":
            self._formula = True
        elif name == "rPh":
            self._hints += 1
        self._inside = name in ("v", "t") and not self._hints

    def _characters(self, text: str) -> None:
        if self._inside:
            self._text += text

    def _finish(self, tag: str) -> None:
        name = local_name(tag)
        self._inside = False
        self._hints -= name == "rPh"
        if name == "c" and self._cell is not None:
            self._close(self._cell)
            self._cell = None

    def _close(self, attributes: dict[str, str]) -> None:
        kind, text = attributes.get("t", "n"), self._text
        if self._formula or kind not in ("s", "str", "inlineStr") or not self._wanted.holds(self._row, self._column):
            return
        if kind == "s":
            text = self._strings[int(text)] if text.strip().isdecimal() and int(text) < len(self._strings) else ""
        text = text.strip(SPACES)
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            return
        tag = _TAG.match(self._xml, self._start)
        assert tag is not None
        prefix = tag[1].rpartition(b":")
        value = prefix[0] + prefix[1] + b"v"
        style = f' s="{int(attributes["s"])}"' if attributes.get("s", "").isdecimal() else ""
        place = (self._row, self._column)
        new = f' r="{cell_reference(*place)}"{style}><'.encode() + value + b">" + _number(text) + b"</" + value + b">"
        end = self._xml.index(b">", self.parser.CurrentByteIndex) + 1
        self.changes.append((self._start, end, b"<" + tag[1] + new + b"</" + tag[1] + b">", place))


def _number(text: str) -> bytes:
    """Return a plain number as a cell stores it: whole ones with all their digits."""
    value = float(text)
    return (str(int(text)) if re.fullmatch(r"[+-]?\d{1,15}", text) else repr(value)).encode()


def _mend_sheet(xml: bytes, strings: Collection[str], wanted: Wanted) -> tuple[bytes, list[tuple[int, int]]]:
    finder = _CellFinder(xml, strings, wanted)
    finder.parser.Parse(xml, True)
    pieces, at = [], 0
    for start, end, new, _ in finder.changes:
        pieces += [xml[at:start], new]
        at = end
    return b"".join([*pieces, xml[at:]]), [place for *_, place in finder.changes]
