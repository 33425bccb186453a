"""Sheets of .xlsx workbooks: typed cells to named columns, everything doubtful refused with its cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import TypeGuard

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kpiopt.errors import Location, Problem, Problems, SecurityError, TableError
from kpiopt.reading.tables.messages import Explanation, listing, refuse, show
from kpiopt.reading.tables.number import NumberForm
from kpiopt.reading.tables.raw import (
    HEADER_ROWS,
    RawColumn,
    RawTable,
    check_header,
    find_header,
    is_remark,
    refuse_data_as_titles,
    text_from_numbers_note,
    title_note,
)
from kpiopt.reading.tables.table import ColumnRule, Place, TableRule
from kpiopt.reading.tables.text import clean_header
from kpiopt.reading.tables.workbook_archive import pack_parts, read_parts
from kpiopt.reading.tables.workbook_check import Cell, Grid, compare_readers
from kpiopt.reading.tables.workbook_sheet import (
    SheetEntry,
    SheetFacts,
    WorkbookIndex,
    cell_position,
    cell_reference,
    choose_sheet,
    column_letters,
    read_index,
    scan_sheet,
)

MAX_GRID = 20_000_000
"""Cells of the rectangle from A1 to the furthest cell: the reader of values holds all of them, empty ones too."""

MAX_WHOLE = 1e15
"""Excel shows whole numbers up to here with all their digits."""


def read_workbook(data: bytes, display: str, rule: TableRule, findings: Problems, sheet: str | None) -> RawTable:
    """Read a worksheet into columns of text and typed numbers.

    The header is the first row with content; rows without content are passed over.

    Parameters
    ----------
    sheet : str or None
        Name of the worksheet; None where the workbook has one only.

    Raises
    ------
    TableError
        If there is no such sheet, or it cannot be read as a table.
    SecurityError
        If the workbook could do harm.
    """
    parts = read_parts(data, display)
    index = read_index(parts, display)
    entry = choose_sheet(index, sheet, parts, display)
    facts = scan_sheet(parts, entry, display)
    at = Location(display, cell=entry.name)
    _note_remarks(parts, index, entry, facts, at, findings)
    grid = _read_grid(parts, entry, facts, display)
    compare_readers(facts, grid, parts, at, findings)
    filled = [row for row, cells in enumerate(grid) if any(_is_filled(cell) for cell in cells)]
    above = find_header([_names(grid[row]) for row in filled[:HEADER_ROWS]], rule)
    if len(filled) - above < 2 and not (rule.may_be_empty and filled):
        _check_facts(facts, 0, set(range(facts.last_column)), at, findings)
        message = f"the sheet {show(entry.name)} has {'a header but ' if filled else ''}0 rows"
        findings.add(Problem("E-table-empty", message, location=at))
        findings.raise_errors(TableError)
    _note_titles(grid, filled[:above], filled[above], at, findings)
    header, remarks = _header(grid, filled[above], rule, at, findings)
    read = set(range(facts.last_column)) - remarks
    _check_facts(facts, filled[above], read, at, findings)
    body = [row for row in filled[above + 1 :] if any(_is_filled(grid[row][column]) for column in read)]
    letters = {name: column_letters(column + 1) for name, column in header.items()}
    place = Place(display, np.array(body, dtype=np.int64) + 1, entry.name, letters)
    _check_surplus(grid, body, {*header.values(), *remarks}, place, findings)
    reader = _Reader(place, index.date_system, facts, findings)
    columns = {}
    for name, column in header.items():
        found = rule.column(name)
        if found is not None:
            columns[name] = reader.column(found, column, [grid[row][column] for row in body])
    return RawTable(columns, place, NumberForm(is_certain=False, may_declare=False))


def _names(cells: list[Cell]) -> list[str]:
    return [clean_header(str(cell)) for cell in cells]


def _note_titles(grid: Grid, rows: list[int], header: int, at: Location, findings: Problems) -> None:
    """Note the rows above the header, but for those that say themselves that they are remarks."""

    def place(i: int) -> Location:
        return Location(at.file, cell=f"{at.cell}!{cell_reference(rows[i] + 1, 1)}")

    refuse_data_as_titles([_names(grid[row]) for row in rows], _names(grid[header]), place, findings)
    titles = [next(str(cell) for cell in grid[row] if _is_filled(cell)) for row in rows]
    titles = [title for title in titles if not title.startswith("#")]
    if titles:
        findings.add(title_note(titles, at))


def _is_filled(cell: Cell) -> bool:
    return not (isinstance(cell, str) and not cell.strip())


def _check_facts(facts: SheetFacts, header: int, read: set[int], sheet: Location, findings: Problems) -> None:
    """Report merged cells, error values and formulas that were never computed, from the header on and in `read`."""

    def problem(code: str, message: str, rule: str, fix: str, cell: str) -> Problem:
        return Problem(code, message, rule, fix, Location(sheet.file, cell=f"{sheet.cell}!{cell}"))

    def matters(cell: tuple[int, int]) -> bool:
        return cell[0] > header and cell[1] - 1 in read

    def is_read(cells: str) -> bool:
        first, last = (cell_position(end) for end in (cells.split(":") * 2)[:2])
        return last[0] > header and any(column - 1 in read for column in range(first[1], last[1] + 1))

    def merged(cells: str) -> Problem:
        message, fix = f"the cells {cells} are merged: only the first holds a value", "unmerge and fill each cell"
        return problem("E-workbook-merged", message, "tables have no merged cells", fix, cells)

    def error(cell: tuple[int, int]) -> Problem:
        message, rule = f"the cell holds the error {facts.errors[cell]}", "an error is no value"
        return problem("E-workbook-error", message, rule, "mend the formula", cell_reference(*cell))

    def valueless(cell: tuple[int, int]) -> Problem:
        message, fix = "the formula has no stored value", "open and save the workbook in Excel"
        rule = "formulas are not computed here"
        return problem("E-workbook-formula", message, rule, fix, cell_reference(*cell))

    findings.each([cells for cells in facts.merged if is_read(cells)], merged)
    findings.each([cell for cell in facts.errors if matters(cell)], error)
    findings.each([cell for cell in facts.valueless if matters(cell)], valueless)


def _note_remarks(
    parts: Mapping[str, bytes],
    index: WorkbookIndex,
    entry: SheetEntry,
    facts: SheetFacts,
    at: Location,
    findings: Problems,
) -> None:
    """Note what a person looking at the sheet would not see, or would see otherwise."""
    hidden = sum(other.hidden for other in index.sheets)
    counts = ((facts.hidden_rows, "hidden rows"), (facts.hidden_columns, "hidden columns"))
    seen = [f"{count:,} {what} (read like the others)" for count, what in counts if count]
    seen += [f"{hidden:,} hidden sheets"] if hidden else []
    seen += ["hidden itself"] if entry.hidden else []
    if seen:
        findings.warn("N-workbook-hidden", f"the sheet {show(entry.name)} has or is: {listing(seen)}", at)
    links = sum(name.startswith("xl/externalLinks/") and name.endswith(".xml") for name in parts)
    if links:
        findings.warn("N-workbook-links", f"{links} links to other workbooks are ignored; stored values are read", at)
    if index.stale and facts.formulas:
        message = f"the values of {facts.formulas:,} formulas may never have been computed"
        fix = "open and save the workbook in Excel, so that the stored values are right"
        findings.warn("W-workbook-formula", message, at, fix=fix)


def _read_grid(parts: Mapping[str, bytes], entry: SheetEntry, facts: SheetFacts, display: str) -> Grid:
    """Return all cells from A1 on, as calamine understands them; an empty cell is ""."""
    import python_calamine  # only workbooks need it

    if facts.last_row * facts.last_column > MAX_GRID:
        message = f"the sheet spans {facts.last_row:,} rows x {facts.last_column:,} columns"
        fix = "delete cells far from the table, or save it as .csv"
        problem = Problem(
            "E-workbook-span", message, f"at most {MAX_GRID:,} cells", fix, Location(display, cell=entry.name)
        )
        raise SecurityError(problem)
    others = {name for name in parts if name.startswith(("xl/worksheets/", "xl/externalLinks/"))} - {entry.part}
    archive = pack_parts({name: xml for name, xml in parts.items() if name not in others})
    try:
        book = python_calamine.load_workbook(archive)
        grid: Grid = book.get_sheet_by_name(entry.name).to_python(skip_empty_area=False)
    except BaseException as error:  # a crash of its Rust code is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise refuse("E-table-damaged", f"the workbook is damaged: {error}", display) from None
    return grid


def _header(
    grid: Grid, row: int, rule: TableRule, sheet: Location, findings: Problems
) -> tuple[dict[str, int], set[int]]:
    """Return column name -> position, and the positions of remarks; reports what is wrong with the header."""
    names = _names(grid[row])

    def at(column: int) -> Location:
        return Location(sheet.file, cell=f"{sheet.cell}!{cell_reference(row + 1, column + 1)}")

    check_header(names, rule, at, findings)
    remarks = {column for column, name in enumerate(names) if is_remark(name)}
    known = [(name, column) for column, name in enumerate(names) if name and column not in remarks]
    if len(dict(known)) < len(known):
        findings.raise_errors(TableError)
    return dict(known), remarks


def _check_surplus(grid: Grid, rows: list[int], known: set[int], place: Place, findings: Problems) -> None:
    """Refuse values in columns without a header."""
    surplus = [
        (row, column)
        for row in rows
        for column, cell in enumerate(grid[row])
        if column not in known and _is_filled(cell)
    ]

    def describe(cell: tuple[int, int]) -> Problem:
        row, column = cell
        message = f"the cell holds {show(grid[row][column])}, but its column has no header"
        at = Location(place.display, cell=f"{place.sheet}!{cell_reference(row + 1, column + 1)}")
        return Problem("E-table-shape", message, "", "name the column or clear the cell", at)

    findings.each(surplus, describe)


class _Reader:
    """Turns the cells of one column after another into text and numbers."""

    def __init__(self, place: Place, date_system: str, facts: SheetFacts, findings: Problems) -> None:
        self._place = place
        self._date_system = date_system
        self._facts = facts
        self._findings = findings

    def column(self, rule: ColumnRule, position: int, cells: list[Cell]) -> RawColumn:
        """Read one column, counted from 0; dates, logical values and what is not finite are refused in all of them."""
        if rule.kind in ("value", "flag"):
            cells = [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
        if rule.dates:
            cells = [_as_text(cell) for cell in cells]
        wrong = [row for row, cell in enumerate(cells) if not isinstance(cell, str) and not _is_number(cell)]
        self._findings.each(wrong, self._place.problems(rule.name, lambda row: self._explain(cells[row])))
        number = np.array([cell if _is_number(cell) else np.nan for cell in cells], dtype=np.float64)
        text = [cell if isinstance(cell, str) else "" for cell in cells]
        if rule.kind in ("number", "quantity", "value"):
            scaled = self._shown(self._facts.scaled, position)
            self._findings.each(
                scaled, self._place.problems(rule.name, lambda row: _explain_scaled(float(number[row])))
            )
            shown = frozenset(self._shown(self._facts.percent, position))
            return RawColumn(pl.Series(text, dtype=pl.String), number + 0.0, shown)
        for row in wrong:
            text[row] = str(cells[row])  # else the field would be reported as empty as well
        return RawColumn(self._with_digits(rule, text, number))

    def _shown(self, cells: set[tuple[int, int]], position: int) -> list[int]:
        """Return the data rows of a column that are among some cells of the sheet."""
        numbers = self._place.row_number.tolist() if cells else []
        return [i for i, row in enumerate(numbers) if (row, position + 1) in cells]

    def _with_digits(self, rule: ColumnRule, text: list[str], number: NDArray[np.float64]) -> pl.Series:
        """Take whole numbers in a text column by their digits; refuse others, whose digits Excel may not show."""
        given = np.flatnonzero(~np.isnan(number))
        if given.size:
            values = number[given]
            fits = (np.floor(values) == values) & (np.abs(values) < MAX_WHOLE)
            explain = self._place.problems(rule.name, lambda row: _explain_fraction(float(number[row])))
            self._findings.each(given[~fits].tolist(), explain)
            if rule.kind != "flag":  # 1 and 0 are how a sheet says yes and no
                first = self._place.location(int(given[0]), rule.name)
                self._findings.add(text_from_numbers_note(given.size, first))
        for row in given.tolist():
            text[row] = f"{number[row] + 0.0:.0f}"
        return pl.Series(rule.name, text, dtype=pl.String)

    def _explain(self, cell: Cell) -> Explanation:
        if isinstance(cell, bool):
            message, rule = f"the cell is the logical value {str(cell).upper()}", "no column holds logical values"
            return "E-table-type", message, rule, "format the cell as a number or text"
        if isinstance(cell, float):
            return "E-number-range", f"the cell holds {cell}", "numbers are finite", "clear the cell for not given"
        message = f"the cell is a date or time, {cell} (the workbook counts days from {self._date_system})"
        return "E-table-date", message, "no column of this table holds dates", "format the cell as a number or text"


def _as_text(cell: Cell) -> Cell:
    """Return a day as text, 2026-01-31; everything else as it is."""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell
    return cell.isoformat() if isinstance(cell, date) else cell


def _is_number(cell: Cell) -> TypeGuard[float]:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool) and math.isfinite(cell)


def _explain_scaled(value: float) -> Explanation:
    message = f"the cell holds {value:,.12g}, and its format shows it in thousands or millions"
    fix = f"choose a format that shows all digits, and check that {value:,.12g} is what is meant in the column's unit"
    return "E-scaled-format", message, "what a sheet shows is what is read", fix


def _explain_fraction(value: float) -> Explanation:
    message = f"the cell is the number {value!r} where text is expected"
    return "E-table-type", message, "ids and text are text or whole numbers", "format the cell as text and retype it"
