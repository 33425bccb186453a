"""What a worksheet's XML says and a reader of values leaves out: errors, formulas without value, merged and hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from posixpath import normpath
from typing import NamedTuple

from kpiopt.errors import Location, Problem, TableError
from kpiopt.reading.key_path import did_you_mean
from kpiopt.reading.tables.messages import listing, refuse, show
from kpiopt.reading.tables.workbook_archive import WORKBOOK_PART, parse_xml

MAX_SHEET_ROWS = 1_048_576
MAX_SHEET_COLUMNS = 16_384

_RELATIONS_PART = "xl/_rels/workbook.xml.rels"
_STYLES_PART = "xl/styles.xml"
_LITERALS = re.compile(r'"[^"]*"|\\.|[_*].|\[[^\]]*\]')
"""What a number format shows as it stands, or as room: not the number."""
_SCALING = re.compile(r"[0#?],+(?![0#?,])")
"""Commas behind the last digit, each of which takes a thousand away."""
_RELATION_ID = "http://schemas.openxmlformats.org/officeDocument/2006/relationships id"
_STRICT_RELATION_ID = "http://purl.oclc.org/ooxml/officeDocument/relationships id"


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A sheet as the workbook lists it; `part` is its XML part, "" where it has none."""

    name: str
    part: str
    hidden: bool


@dataclass(slots=True)
class WorkbookIndex:
    """The workbook's list of sheets.

    Attributes
    ----------
    date_system : str
        "1900" or "1904": the day from which Excel's date serials count.
    stale : bool
        Whether the program that wrote the file asks Excel to compute all formulas when it opens it.
    """

    sheets: list[SheetEntry] = field(default_factory=list)
    date_system: str = "1900"
    stale: bool = False


class _IndexHandler:
    """Collects the workbook part's sheets (name, relation, state) and calculation settings."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str, bool]] = []
        self.date_system = "1900"
        self.stale = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local_name(tag)
        if name == "sheet":
            relation = attributes.get(_RELATION_ID) or attributes.get(_STRICT_RELATION_ID, "")
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", ""), relation, hidden))
        elif name == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            self.date_system = "1904"
        elif name == "calcPr":
            self.stale = attributes.get("fullCalcOnLoad") in ("1", "true")

    def end(self, tag: str) -> None:
        """Nothing ends here that matters."""

    def text(self, data: str) -> None:
        """No text matters here."""


class _RelationHandler:
    """Collects the targets of relations by their id."""

    def __init__(self) -> None:
        self.targets: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if local_name(tag) == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            path = target[1:] if target.startswith("/") else normpath(f"xl/{target}")
            self.targets[attributes.get("Id", "")] = path

    def end(self, tag: str) -> None:
        """Nothing ends here that matters."""

    def text(self, data: str) -> None:
        """No text matters here."""


def read_index(parts: Mapping[str, bytes], display: str) -> WorkbookIndex:
    """Read the list of sheets and where each stands in the archive."""
    index, relations = _IndexHandler(), _RelationHandler()
    parse_xml(parts[WORKBOOK_PART], WORKBOOK_PART, display, index)
    parse_xml(parts.get(_RELATIONS_PART, b"<none/>"), _RELATIONS_PART, display, relations)
    sheets = [SheetEntry(name, relations.targets.get(relation, ""), hidden) for name, relation, hidden in index.sheets]
    return WorkbookIndex(sheets, index.date_system, index.stale)


def choose_sheet(index: WorkbookIndex, wanted: str | None, parts: Mapping[str, bytes], display: str) -> SheetEntry:
    """Return the sheet called `wanted`, or the only one where none is named."""
    names = [sheet.name for sheet in index.sheets]
    if wanted is None and len(names) != 1:
        fix = f'write "{display}#<sheet>"; the sheets are {listing([show(n) for n in names]) if names else "none"}'
        raise refuse("E-workbook-sheet", f"the workbook has {len(names)} sheets", display, fix=fix)
    for sheet in index.sheets:
        if wanted is None or sheet.name == wanted:
            if not re.search(r"/worksheets/", sheet.part) or sheet.part not in parts:
                raise refuse("E-workbook-sheet", f"{show(sheet.name)} is a chart or has no cells", display)
            return sheet
    fix = did_you_mean(wanted or "", names) or f"the sheets are {listing([show(n) for n in names])}"
    raise refuse("E-workbook-sheet", f"the workbook has no sheet {show(wanted)}", display, fix=fix)


@dataclass(slots=True)
class SheetFacts:
    """What stands beside the values of a worksheet. Cells are (row, column), counted from 1.

    Attributes
    ----------
    valueless : list of (int, int)
        Formulas without a stored value.
    errors : dict of (int, int) to str
        Error values such as "#N/A".
    merged : list of str
        Merged ranges, such as "A2:A5".
    formulas, hidden_rows, hidden_columns : int
        How many there are.
    last_row, last_column : int
        The furthest cell.
    values : dict of (int, int) to (str, str)
        Kind and text of every cell with a value, as the XML has them.
    repeated : list of (int, int)
        Cells that stand in the file twice, and the first cells of rows that do.
    percent, scaled : set of (int, int)
        Numbers that the sheet shows as percentages, and as thousands or millions: 200000 as 200.
    """

    valueless: list[tuple[int, int]] = field(default_factory=list)
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)
    formulas: int = 0
    hidden_rows: int = 0
    hidden_columns: int = 0
    last_row: int = 0
    last_column: int = 0
    values: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    repeated: list[tuple[int, int]] = field(default_factory=list)
    percent: set[tuple[int, int]] = field(default_factory=set)
    scaled: set[tuple[int, int]] = field(default_factory=set)


class _SheetHandler:
    """Walks a worksheet; one call per element, so each does little."""

    def __init__(self, styles: ShownStyles) -> None:
        self.facts = SheetFacts()
        self._styles = styles
        self._style = ""
        self._hints = 0
        self._row = 0
        self._column = 0
        self._kind = ""
        self._formula = False
        self._value: str | None = None
        self._inside = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local_name(tag)
        if name == "c":
            self._start_cell(attributes)
        elif name in ("v", "t"):
            self._inside = not self._hints
            self._value = self._value or ""
        elif name == "rPh":
            self._hints += 1
        elif name == "f":
            self._formula = True
        elif name == "row":
            above, self._row, self._column = self._row, int(attributes.get("r", self._row + 1)), 0
            if self._row <= above:
                self.facts.repeated.append((self._row, 1))
            self.facts.hidden_rows += attributes.get("hidden") in ("1", "true")
        elif name == "mergeCell":
            self.facts.merged.append(attributes.get("ref", ""))
        elif name == "col" and attributes.get("hidden") in ("1", "true"):
            self.facts.hidden_columns += int(attributes["max"]) - int(attributes["min"]) + 1

    def _start_cell(self, attributes: dict[str, str]) -> None:
        if reference := attributes.get("r"):
            self._row, self._column = cell_position(reference)
        else:
            self._column += 1
        self._kind = attributes.get("t", "n")
        self._style = attributes.get("s", "")
        self._formula, self._value = False, None

    def text(self, data: str) -> None:
        if self._inside:
            self._value = (self._value or "") + data

    def end(self, tag: str) -> None:
        name = local_name(tag)
        if name in ("v", "t"):
            self._inside = False
        elif name == "rPh":
            self._hints -= 1
        elif name == "c":
            self._end_cell()

    def _end_cell(self) -> None:
        if self._value is None and not self._formula:
            return  # a format without content
        facts, cell = self.facts, (self._row, self._column)
        if cell in facts.values and (not facts.repeated or facts.repeated[-1][0] != cell[0]):
            facts.repeated.append(cell)
        facts.values[cell] = (self._kind, self._value or "")
        if self._kind == "n" and self._value:
            if self._style in self._styles.percent:
                facts.percent.add(cell)
            if self._style in self._styles.scaled:
                facts.scaled.add(cell)
        facts.last_row = max(facts.last_row, self._row)
        facts.last_column = max(facts.last_column, self._column)
        facts.formulas += self._formula
        if self._kind == "e":
            facts.errors[cell] = self._value or "error"
        elif self._formula and not self._value and not (self._kind == "str" and self._value is not None):
            facts.valueless.append(cell)


class ShownStyles(NamedTuple):
    """Cell formats, as cells name them, that show another number than the cell holds."""

    percent: frozenset[str]
    scaled: frozenset[str]


class _StylesHandler:
    """Collects which cell formats show percentages, and which leave thousands away."""

    def __init__(self) -> None:
        self.percent: set[str] = set()
        self.scaled: set[str] = set()
        self._percent_formats = {"9", "10"}  # built in: 0% and 0.00%
        self._scaled_formats = set[str]()
        self._inside = False
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name, number = local_name(tag), attributes.get("numFmtId", "")
        if name == "numFmt":
            code = _LITERALS.sub("", attributes.get("formatCode", ""))
            if "%" in code:
                self._percent_formats.add(number)
            if _SCALING.search(code):
                self._scaled_formats.add(number)
        elif name == "cellXfs":
            self._inside = True
        elif name == "xf" and self._inside:
            if number in self._percent_formats:
                self.percent.add(str(self._count))
            if number in self._scaled_formats:
                self.scaled.add(str(self._count))
            self._count += 1

    def end(self, tag: str) -> None:
        if local_name(tag) == "cellXfs":
            self._inside = False

    def text(self, data: str) -> None:
        """No text matters here."""


def read_shown_styles(parts: Mapping[str, bytes], display: str) -> ShownStyles:
    """Return the cell formats that show another number than the cell holds."""
    handler = _StylesHandler()
    parse_xml(parts.get(_STYLES_PART, b"<none/>"), _STYLES_PART, display, handler)
    return ShownStyles(frozenset(handler.percent), frozenset(handler.scaled))


def scan_sheet(parts: Mapping[str, bytes], sheet: SheetEntry, display: str) -> SheetFacts:
    """Read the facts of a worksheet.

    Raises
    ------
    TableError
        If cells stand where no worksheet has any.
    """
    handler = _SheetHandler(read_shown_styles(parts, display))
    try:
        parse_xml(parts[sheet.part], sheet.part, display, handler)
    except (ValueError, KeyError) as error:
        raise _malformed(sheet, display, str(error)) from None
    facts = handler.facts
    if facts.last_row > MAX_SHEET_ROWS or facts.last_column > MAX_SHEET_COLUMNS:
        raise _malformed(sheet, display, f"a cell in row {facts.last_row}, column {facts.last_column}")
    return facts


def _malformed(sheet: SheetEntry, display: str, reason: str) -> TableError:
    message = f"the sheet {show(sheet.name)} is damaged: {reason}"
    return TableError(Problem("E-table-damaged", message, fix="open and save it in Excel", location=Location(display)))


def cell_position(reference: str) -> tuple[int, int]:
    """Return row and column, from 1, of a reference such as "D7"."""
    match = re.fullmatch(r"([A-Z]{1,3})([0-9]{1,7})", reference)
    if match is None:
        raise ValueError(f"'{reference[:20]}' is no cell")
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(match[2]), column


def cell_reference(row: int, column: int) -> str:
    """Return the name of a cell counted from 1: (7, 4) is "D7"."""
    return f"{column_letters(column)}{row}"


def column_letters(column: int) -> str:
    """Return the letters of a column counted from 1: 1 is "A", 28 is "AB"."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def local_name(tag: str) -> str:
    """Return the name of an element without its namespace."""
    return tag.rpartition(" ")[2]
