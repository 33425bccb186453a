"""A scenario's document as tables: sheets of a workbook, or TOML with tables beside it, without loss."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpiopt.reading.document import Document
from kpiopt.reading.key_path import KeyPath, dotted, key_text, quote
from kpiopt.reading.layer import entries, is_table
from kpiopt.reading.sections import SECTIONS, SETTINGS
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import CELLS_TABLE, UNITS_TABLE, Table, TableRule
from kpiopt.reading.toml.emit import emit_toml, value_text
from kpiopt.runs.question import file_references

Row = dict[str, Any]


@dataclass(frozen=True)
class ScenarioTables:
    """A whole scenario as rows.

    Attributes
    ----------
    document : dict
        The merged document with its variants, without units, cells and tables; of cells only samples, whose files are
        named beside no other table than the document.
    units, cells : list of dict
        Rows by column.
    """

    document: dict[str, Any]
    units: list[Row]
    cells: list[Row]

    def sheets(self) -> dict[str, list[Row]]:
        """Return the rows of every sheet of a workbook that says the same."""
        return {
            SETTINGS: list(_settings(self.document)),
            **{name: list(_section_rows(self.document, name)) for name in SECTIONS if name != SETTINGS},
            "units": [{c: _field(v) for c, v in row.items()} for row in self.units],
            "cells": [{c: _field(v) for c, v in row.items()} for row in self.cells],
        }

    def toml(self, tables: Mapping[str, str]) -> str:
        """Return the document as TOML that names its tables."""
        return emit_toml({**self.document, **({"tables": dict(tables)} if tables else {})})


def scenario_tables(document: Document, target: Path) -> ScenarioTables:
    """Take a document apart for a file at `target`; names of files are made relative to it."""
    data: dict[str, Any] = {**document.merged.data, "schema": document.data.get("schema", 1)}
    for path, text in list(file_references({k: v for k, v in document.data.items() if k != "tables"})):
        file, mark, part = text.partition("#")
        relative = Path(os.path.relpath(document.resolve(path, file), target.resolve().parent)).as_posix()
        data = _replaced(data, path, f"{relative}{mark}{part}")
    rows = {
        rule.name: _rows(rule, _read(document, rule), data.get(rule.name.removesuffix("s"), {}), data.get("kpi", {}))
        for rule in (UNITS_TABLE, CELLS_TABLE)
    }
    kept = {k: v for k, v in data.items() if k not in ("tables", "unit", "cell")}
    if samples := {name: s for name, cell in data.get("cell", {}).items() if (s := _samples(cell))}:
        kept["cell"] = samples
    return ScenarioTables(kept, rows["units"], rows["cells"])


def csv_text(rows: list[Row]) -> str:
    """Write rows as a CSV table; columns in the order in which they first appear."""
    stream = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: _field(value) for column, value in row.items()} for row in rows)
    return stream.getvalue()


def _read(document: Document, rule: TableRule) -> Table | None:
    entry = document.data.get("tables", {}).get(rule.name)
    if entry is None:
        return None
    options = dict(entry) if isinstance(entry, dict) else {"path": entry}
    file, _, sheet = options.pop("path").partition("#")
    path = document.resolve(("tables", rule.name), file)
    return read_table(path, str(path), rule, sheet=sheet or None, **options)


def _rows(rule: TableRule, table: Table | None, patches: Mapping[str, Any], kpis: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a table with the document's own entries laid over them."""
    rows: dict[str, Row] = {}
    for i in range(table.n_rows if table else 0):
        assert table is not None
        found = {name: table.quantity_text.get(name, {}).get(i, column[i]) for name, column in table.columns.items()}
        row = {name: value for name, value in found.items() if value != "" and value == value}
        rows["/".join(str(row[key]) for key in (*rule.key, *rule.besides) if key in row)] = row
    for name, entry in patches.items():
        row = rows.setdefault(name, dict(rule.parts_of(name, kpis)))
        for key, value in entry.items():
            if key in _samples(entry):
                row.pop(key, None)
                continue
            row |= {f"{key}.{part}": v for part, v in value.items()} if key in ("capacity", "effort") else {key: value}
    used = dict.fromkeys(column for row in rows.values() for column in row)
    offered = [*rule.key, *rule.besides, *rule.required, *(c.name for c in rule.columns), *used]
    columns = [column for column in dict.fromkeys(offered) if column not in rule.besides or column in used]
    return [{column: row.get(column) for column in columns} for row in rows.values()] if rows else []


def _samples(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a cell draws from a file: a field of a table cannot name one."""
    return {key: value for key, value in entry.items() if isinstance(value, dict) and "samples" in value}


def _field(value: Any) -> Any:
    """Return a value as the field of a table of units or cells."""
    if isinstance(value, dict):
        return value_text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _settings(document: dict[str, Any]) -> Iterator[Row]:
    """Yield every value that no other sheet holds, by its path."""
    sections = {section for name, (section, _) in SECTIONS.items() if name != SETTINGS}
    rest = {key: value for key, value in document.items() if key not in sections}
    for path, value in entries(rest):
        if not (is_table(value) and value):
            yield {"key": dotted(path), "value": cell_text(value)}


def _section_rows(document: dict[str, Any], name: str) -> Iterator[Row]:
    section, keys = SECTIONS[name]
    for key, entry in document.get(section, {}).items():
        if name == "correlations":
            first, _, second = key.partition("~")
            yield {"first": first.strip(), "second": second.strip(), "correlation": entry}
        elif name in ("drivers", "effects"):
            for other, link in entry.get(name, {}).items():
                link = link if is_table(link) else {"contribution": link}
                yield {keys[0]: key, keys[1]: other, **_flat(link)}
        elif name == "pay_plans":
            more = _flat({k: v for k, v in entry.items() if k != "payout"})
            for i, (attainment, payout) in enumerate(entry.get("payout", [])):
                yield {"pay_plan": key, "attainment": attainment, "payout": payout, **(more if not i else {})}
        else:
            apart = {"kpis": "drivers", "initiatives": "effects"}.get(name)
            yield {keys[0]: key, **_flat({k: v for k, v in entry.items() if k != apart})}


def _flat(entry: Mapping[str, Any]) -> Row:
    """Return an entry's values by column: uses.cash for a key inside a table."""
    return {
        ".".join(key_text(str(part)) for part in path): cell_text(value)
        for path, value in entries(dict(entry))
        if not (is_table(value) and value)
    }


def cell_text(value: Any) -> Any:
    """Return a value as a cell: numbers, truth values and plain text as they are, everything else as TOML."""
    if isinstance(value, list | dict):
        return value_text(value)
    if isinstance(value, str) and (not value or value[0] in "[{\"'" or value.casefold() in ("true", "false")):
        return quote(value)
    return value


def _replaced(data: Any, path: KeyPath, value: Any) -> Any:
    """Return a document with another value at a path that it has."""
    if not path:
        return value
    if isinstance(data, list):
        return [_replaced(item, path[1:], value) if i == path[0] else item for i, item in enumerate(data)]
    return {key: (_replaced(item, path[1:], value) if key == path[0] else item) for key, item in data.items()}
