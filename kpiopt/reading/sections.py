"""Sections of a document as tables: one row for each entry, the same columns as the section has keys.

`[tables]` may name a table for each keyed section; a workbook whose sheets are called like these is a whole document.
What a table says is a layer below the document that names it, so the document, its variants and `--set` change it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpiopt.errors import Location, Problem, ScenarioError, TableError
from kpiopt.reading.key_path import KeyPath, did_you_mean, dotted
from kpiopt.reading.layer import Layer, Mark, entries
from kpiopt.reading.regular_file import display_path
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import ColumnRule, Kind, Table, TableRule
from kpiopt.reading.tables.table_file import read_table_bytes
from kpiopt.reading.tables.workbook_archive import read_parts
from kpiopt.reading.tables.workbook_sheet import read_index
from kpiopt.reading.toml.checks import normal_form
from kpiopt.reading.toml.text import scan_key

SETTINGS = "settings"

SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    SETTINGS: ("", ("key",)),
    "perspectives": ("perspective", ("perspective",)),
    "objectives": ("objective", ("objective",)),
    "kpis": ("kpi", ("kpi",)),
    "drivers": ("kpi", ("kpi", "cause")),
    "factors": ("factor", ("factor",)),
    "initiatives": ("initiative", ("initiative",)),
    "effects": ("initiative", ("initiative", "kpi")),
    "goals": ("goal", ("goal",)),
    "budgets": ("budget", ("budget",)),
    "pay_plans": ("pay_plan", ("pay_plan",)),
    "guardrails": ("guardrail", ("guardrail",)),
    "correlations": ("correlation", ("first", "second")),
}
"""Name of a table -> the section that it fills, and the columns that name an entry."""

BULK_TABLES = ("units", "cells")
"""Sheets that stay tables: they may have any number of rows."""

_TEXTS = (
    "name", "description", "objective", "perspective", "unit", "kpi", "at", "scope", "resource", "direction", "roll_up",
    "kind", "spread", "period", "where.level", "where.role", "where.kpi", "where.under", "where.unit", "units.level",
    "units.under", "units.unit",
)  # fmt: skip
"""Columns of text: a number in them is taken by its digits."""


@dataclass(frozen=True)
class TablePlaces:
    """Where the values of a document stand that tables give.

    Attributes
    ----------
    file : str
        The file, for what has no place of its own.
    places : dict of path to Location
    """

    file: str
    places: dict[KeyPath, Location] = field(default_factory=dict)

    def value_location(self, path: KeyPath) -> Location:
        """Return where the value of `path` stands, or of the nearest table around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path) or Location(self.file)

    key_location = value_location


@dataclass(frozen=True, eq=False)
class TableDocument:
    """What tables say of a document; it stands where a `TomlFile` does.

    Attributes
    ----------
    path, display, sha256
        The file, its name for messages and the digest of its bytes.
    data : dict
        Plain values, as TOML would give them.
    problems : tuple of Problem
        Notes.
    percent : set of path
        Values that a workbook shows as percentages: 0.9 as 90 %.
    """

    path: Path
    display: str
    sha256: str
    data: dict[str, Any] = field(repr=False)
    places: TablePlaces = field(repr=False)
    problems: tuple[Problem, ...] = ()
    percent: set[KeyPath] = field(default_factory=set, repr=False)

    def layer(self) -> Layer:
        """Return the values with their marks."""
        return Layer(self.data, {path: Mark(self, path) for path, _ in entries(self.data)}).without("extends")


def section_rule(name: str) -> TableRule:
    """Return the rule of a section's table: key columns are required, others are judged as keys of the format."""
    keys = SECTIONS[name][1]
    columns = tuple(ColumnRule(key, "id", required=True) for key in keys)
    columns += tuple(ColumnRule(text, "text") for text in _TEXTS if text not in keys)
    unique = () if name == "pay_plans" else keys
    others: tuple[tuple[str, Kind], ...] = (("", "value"),)
    return TableRule(name, columns, others, unique, may_be_empty=True)


def read_section(path: Path, name: str, **options: str | None) -> TableDocument:
    """Read the table of one section.

    Parameters
    ----------
    path : Path
        The file, symbolic links resolved.
    name : str
        A key of `SECTIONS`.
    **options : str or None
        `sheet`, `delimiter`, `decimal` and `thousands`, as for `read_table`.

    Raises
    ------
    InputError
        With everything that is wrong with the table.
    """
    display = display_path(path)
    table = read_table(path, display, section_rule(name), **options)
    document = TableDocument(path, display, table.sha256, {}, TablePlaces(display), table.notes)
    _fill(document, name, table)
    if problems := list(_misplaced(document)):
        raise TableError(*problems)
    return document


def _misplaced(document: TableDocument) -> Iterator[Problem]:
    """Yield a problem for each setting that only the file that names the table can make."""
    keys: list[KeyPath] = [("extends",)] if "extends" in document.data else []
    keys += [("schema",)] if document.data.get("schema", 1) != 1 else []
    tables = document.data.get("tables")
    keys += [("tables", name) for name in tables if name in SECTIONS] if isinstance(tables, dict) else []
    for key in keys:
        message, place = f"a table of settings cannot set {dotted(key)}", document.places.value_location(key)
        rule = "the format's version and other documents are named by the file that names this table"
        yield Problem("E-table-setting", message, rule, "move it there", place)


def read_workbook_document(path: Path) -> TableDocument:
    """Read a workbook that is a whole document: sheets called like the tables, `settings` for everything else.

    Raises
    ------
    InputError
        With everything that is wrong with its sheets.
    """
    display = display_path(path)
    data = read_table_bytes(path, display)
    sheets = [sheet.name for sheet in read_index(read_parts(data, display), display).sheets]
    document = TableDocument(path, display, hashlib.sha256(data).hexdigest(), {}, TablePlaces(display))
    problems = list(_unknown_sheets(sheets, display))
    for name in sheets:
        if name in SECTIONS:
            try:
                _fill(document, name, read_table(path, display, section_rule(name), sheet=name))
            except (TableError, ScenarioError) as error:
                problems += error.problems
        elif name in BULK_TABLES:
            _put(document, ("tables", name), f"{path.name}#{name}", Location(display, cell=name))
    if problems:
        raise TableError(*problems)
    return document


def _unknown_sheets(sheets: list[str], display: str) -> Iterator[Problem]:
    known = (*SECTIONS, *BULK_TABLES)
    if not set(sheets) & {SETTINGS, "kpis"}:
        message = f"the workbook is no scenario: it has neither a sheet '{SETTINGS}' nor 'kpis'"
        fix = "name its tables in a .toml file under [tables], or start with kpiopt init --excel"
        yield Problem("E-workbook-scenario", message, f"sheets are {', '.join(known)}", fix, Location(display))
        return
    for name in sheets:
        if name not in known and not name.startswith("#"):
            near, remark = did_you_mean(name, known), f'if it holds remarks, name it "#{name}"'
            fix = f"{near or 'rename it'}; {remark}"
            message, rule = f"the sheet '{name}' is none of a scenario", f"sheets are {', '.join(known)}"
            yield Problem("E-workbook-sheet", message, rule, fix, Location(display, cell=name))


def _fill(document: TableDocument, name: str, table: Table) -> None:
    """Put what the rows of a table say into the document."""
    section, keys = SECTIONS[name]
    problems: list[Problem] = []
    inner = {column: _inside(column, table, problems) for column in table.columns if column not in keys}
    for row in range(table.n_rows):
        ids, place = [str(table.texts(key)[row]) for key in keys], table.location(row, keys[0])
        try:
            given = {
                column: _value(found, table.location(row, column), is_text=column in _TEXTS)
                for column in inner
                if (found := table.columns[column][row]) not in (None, "")
            }
            base = _base(name, section, ids, place)
            if name == "pay_plans":
                _add_point(document, base, given, place)
            if set(given) == {_ALONE.get(name)}:  # the short form: a value instead of a table
                column = next(iter(given))
                paths = {column: base}
            else:
                _put(document, base, {}, place)
                paths = {column: (*base, *inner[column]) for column in given}
            for column, value in given.items():
                _put(document, paths[column], value, table.location(row, column))
                if row in table.percent.get(column, ()):
                    document.percent.add(paths[column])
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise TableError(*problems)


_ALONE = {SETTINGS: "value", "drivers": "contribution", "effects": "contribution", "correlations": "correlation"}
"""Column that is the entry's value itself where no other is filled."""


def _inside(column: str, table: Table, problems: list[Problem]) -> tuple[str, ...]:
    """Read a header such as `uses.cash` as the path of a key inside the entry."""
    found = scan_key(column, table.place.display)
    if found is None or found[1] != len(column):
        rule = "a column is called like a key of the section, such as name or uses.cash"
        fix = "put names with other characters than letters, digits, - and _ in quotes"
        problems.append(Problem("E-table-column", f"'{column}' is no key", rule, fix, table.place.header(column)))
        return (column,)
    return found[0]


def _base(name: str, section: str, ids: list[str], place: Location) -> tuple[str, ...]:
    """Return the path of the entry of a row."""
    if not all(ids):
        raise ScenarioError(Problem("E-table-missing", "the row has no key", "every row names its entry", "", place))
    if name == SETTINGS:
        found = scan_key(ids[0], place.file)
        if found is None or found[1] != len(ids[0]):
            rule = "a setting is named by its path, such as currency or decide.order"
            raise ScenarioError(Problem("E-set-form", f"'{ids[0]}' is no path", rule, "", place))
        return found[0]
    if name in ("drivers", "effects"):
        return section, ids[0], name, ids[1]
    return (section, " ~ ".join(ids)) if name == "correlations" else (section, ids[0])


def _add_point(document: TableDocument, base: KeyPath, given: dict[str, Any], place: Location) -> None:
    """Add the point of a row to its pay plan, and take it out of the row."""
    point = [given.pop(column) for column in ("attainment", "payout") if column in given]
    if len(point) == 1:
        message, rule = "the row has half a point", "a point of a pay plan has an attainment and a payout"
        raise ScenarioError(Problem("E-table-missing", message, rule, "fill both columns", place))
    entry = document.data.setdefault(str(base[0]), {}).setdefault(base[1], {})
    if point:
        entry.setdefault("payout", []).append(point)
        document.places.places.setdefault((*base, "payout"), place)


def _value(found: Any, place: Location, *, is_text: bool) -> Any:
    """Return the value of a field: whole numbers as such, text that is an array, a table or a truth value as that."""
    if isinstance(found, float):
        return int(found) if found.is_integer() and abs(found) < 2**53 else found
    text = str(found)
    if not is_text and text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    if text[0] not in "[{\"'":
        return text
    try:
        return normal_form(tomllib.loads(f"value = {text}")["value"])
    except (tomllib.TOMLDecodeError, ValueError):
        message = f"'{text}' begins like TOML but is none"
        fix = "close all quotes and brackets; text that begins with one is put in quotes as a whole"
        raise ScenarioError(Problem("E-table-value", message, "", fix, place)) from None


def _put(document: TableDocument, path: KeyPath, value: Any, place: Location) -> None:
    """Set one value; an empty table only makes sure that there is one."""
    around: Any = document.data
    for depth, key in enumerate(path[:-1], start=1):
        around = around.setdefault(key, {})
        document.places.places.setdefault(path[:depth], place)
        if not isinstance(around, dict):
            message = f"{'.'.join(map(str, path[:depth]))} is given as a value and as a table"
            raise ScenarioError(Problem("E-table-value", message, location=place))
    if value == {} and isinstance(around.get(path[-1], {}), dict):
        around.setdefault(path[-1], {})
    else:
        around[path[-1]] = value
    document.places.places.setdefault(path, place)
    if value != {}:
        document.places.places[path] = place
