"""What a planner wrote, value by value with its place, so that two questions can be held against each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kpiopt.reading.document import Document
from kpiopt.reading.key_path import KeyPath, dotted, walk
from kpiopt.reading.regular_file import display_path
from kpiopt.reading.tables.read import read_table
from kpiopt.reading.tables.table import CELLS_TABLE, UNITS_TABLE, Table, TableRule
from kpiopt.runs.question import file_references
from kpiopt.studies.comparison.compare import Setting
from kpiopt.workers.versions import hash_file

TALK = ("schema", "name", "description", "sweep", "variant")
"""Sections that change no answer."""


def document_settings(document: Document) -> dict[str, Setting]:
    """Return the final values of a document by path; of files that it names, the digest of their bytes."""
    files = dict(file_references(document.data))
    found: dict[str, Setting] = {}
    for path, value in _leaves(document.data):
        text = files.get(path)
        shown = value if text is None else _file_digest(document, path, text)
        found[dotted(path)] = Setting(shown, str(document.origin(path)))
    return found


def written_settings(data: Mapping[str, Any], origin: str) -> dict[str, Setting]:
    """Return the final values of a document that is not at hand any more, all from one place."""
    return {dotted(path): Setting(value, origin) for path, value in _leaves(dict(data))}


def _leaves(data: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every value that is no table, arrays as a whole."""
    for path, value in walk(data):
        inside_array = any(isinstance(part, int) for part in path)
        if path and path[0] not in TALK and not inside_array and not (isinstance(value, dict) and value):
            yield path, value


def _file_digest(document: Document, path: KeyPath, text: str) -> str:
    file, mark, part = text.partition("#")
    digest = hash_file(document.resolve(path, file)) or "cannot be read"
    return f"sha256 {digest[:12]}{mark}{part}"


def table_settings(first: Document, second: Document) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """Return the values of the tables whose bytes differ between two documents, by path, for each of them."""
    a: dict[str, Setting] = {}
    b: dict[str, Setting] = {}
    for rule in (UNITS_TABLE, CELLS_TABLE):
        files = [_table_file(document, rule) for document in (first, second)]
        digests = [file and hash_file(file) for file in files]
        if digests[0] != digests[1] or _entry(first, rule) != _entry(second, rule):
            a |= _values(first, rule)
            b |= _values(second, rule)
    return a, b


def _entry(document: Document, rule: TableRule) -> dict[str, Any] | None:
    """Return how a table is named, but for its file."""
    entry = document.data.get("tables", {}).get(rule.name)
    if entry is None:
        return None
    options = {"path": entry} if isinstance(entry, str) else dict(entry)
    return {**options, "path": options["path"].partition("#")[2]}


def _table_file(document: Document, rule: TableRule) -> Path | None:
    entry = document.data.get("tables", {}).get(rule.name)
    if entry is None:
        return None
    text = entry if isinstance(entry, str) else entry["path"]
    return document.resolve(("tables", rule.name), text.partition("#")[0])


def _values(document: Document, rule: TableRule) -> dict[str, Setting]:
    """Return every given value of a table, under the path that would set it in the document."""
    file, options = _table_file(document, rule), _entry(document, rule)
    if file is None or options is None:
        return {}
    table = read_table(
        file,
        display_path(file),
        rule,
        sheet=options["path"] or None,
        delimiter=options.get("delimiter"),
        decimal=options.get("decimal"),
        thousands=options.get("thousands"),
    )
    section = rule.name.removesuffix("s")
    parts = zip(*(table.texts(name) for name in (*rule.key, *rule.besides)), strict=True)
    keys = ["/".join(part for part in each if part) for each in parts]
    return {
        dotted((section, keys[row], *column.split(".", 1))): Setting(value, str(table.location(row, column)))
        for column in table.columns
        if column not in (*rule.key, *rule.besides)
        for row, value in _given(table, column)
    }


def _given(table: Table, column: str) -> Iterator[tuple[int, Any]]:
    texts = table.quantity_text.get(column, {})
    for row, value in enumerate(table.columns[column].tolist()):
        if row in texts:
            yield row, texts[row]
        elif not (value == "" or (isinstance(value, float) and math.isnan(value))):
            yield row, value
