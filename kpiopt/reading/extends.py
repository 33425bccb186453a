"""Follows `extends` from file to file and merges what they say."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kpiopt.errors import Location, Problem, Problems, ScenarioError, SecurityError, printable
from kpiopt.reading.key_path import KeyPath
from kpiopt.reading.layer import Layer, file_layer, join, merge
from kpiopt.reading.regular_file import display_path, project_root, resolve_inside, unreadable
from kpiopt.reading.sections import SECTIONS, TableDocument, read_section, read_workbook_document
from kpiopt.reading.toml.toml_file import TomlFile, read_toml_file

MAX_EXTENDS = 16
"""Documents in one chain of `extends`."""


def _resolved(path: str) -> Path:
    """Resolve links as far as there are any; a path that cannot be one is left for `_check_source` to refuse."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return Path(path)


class ExtendsReader:
    """Reads a scenario file and all that it extends, each file once, and collects what is wrong with any of them.

    Attributes
    ----------
    source : Path
        The main file, symbolic links resolved.
    root : Path
        The project root, see `project_root`.
    files : dict of Path to TomlFile or TableDocument
        Every file that was read, in order of reading.
    """

    def __init__(self, path: Path | str) -> None:
        self.given = str(path)
        self.source = _resolved(self.given)
        self.root = project_root(self.source)
        self.files: dict[Path, TomlFile | TableDocument] = {}
        self._layers: dict[Path, Layer] = {}
        self._found = Problems()

    def read(self) -> Layer:
        """Read everything and merge it; clashes that nothing has settled are still in the layer.

        Raises
        ------
        SecurityError, NumericsError, ScenarioError
            Everything that is wrong with any of the files.
        """
        self._check_source()
        with self._found.collecting():
            self._layers[self.source] = self._merge(self.source, self.given, None, ())
        self.raise_errors()
        return self._layers[self.source]

    def add(self, problems: Iterator[Problem]) -> None:
        """Note further problems."""
        self._found.extend(problems)

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What is worth saying but stops nothing."""
        return tuple(self._found.warnings)

    def raise_errors(self) -> None:
        """Raise all errors found so far as one exception."""
        kind = SecurityError if SecurityError in self._found.kinds else ScenarioError
        self._found.files = [file.display for file in self.files.values()]
        self._found.raise_errors(kind)

    def _check_source(self) -> None:
        """Refuse a main file that is none."""
        try:
            if not self.given.strip():
                raise IsADirectoryError
            if stat.S_ISDIR(self.source.stat().st_mode):
                raise IsADirectoryError
        except (OSError, ValueError) as error:
            raise unreadable(self.source, self.given, None, error) from None

    def _merge(self, path: Path, text: str, location: Location | None, chain: tuple[Path, ...]) -> Layer:
        """Return what a file says on top of what it extends."""
        if path in chain:
            raise ScenarioError(self._cycle((*chain[chain.index(path) :], path), location))
        if len(chain) >= MAX_EXTENDS:
            message = f"more than {MAX_EXTENDS} documents extend each other in a chain"
            raise SecurityError(Problem("E-extends-depth", message, "", "merge some of them", location))
        if path in self._layers:
            return self._layers[path]
        file: TomlFile | TableDocument
        if path.suffix.lower() == ".xlsx":
            file, own = self._workbook(path)
        else:
            file = read_toml_file(path, text, location)
            own = file_layer(file)
        self.files[path] = file
        self._found.extend(file.problems)
        layer = self._extended(file, (*chain, path))
        self._layers[path] = merge(layer, self.with_tables(own))
        return self._layers[path]

    def _workbook(self, path: Path) -> tuple[TableDocument, Layer]:
        document = read_workbook_document(path)
        return document, document.layer()

    def with_tables(self, layer: Layer) -> Layer:
        """Return a layer with what the tables say that it names for sections of the document, below its own values."""
        named = layer.data.get("tables", {})
        sections = [name for name in named if name in SECTIONS] if isinstance(named, dict) else []
        below = Layer()
        for name in sections:
            with self._found.collecting():
                below = merge(below, self._section(layer, name, named[name]))
        for name in sections:
            layer = layer.dropped(("tables", name))
        return merge(below, layer) if sections else layer

    def _section(self, layer: Layer, name: str, entry: Any) -> Layer:
        """Return what the table of one section says."""
        options = {"path": entry} if isinstance(entry, str) else entry
        place = layer.value_location(("tables", name))
        known = {"path", "delimiter", "decimal", "thousands"}
        if not isinstance(options, dict) or "path" not in options or set(options) - known:
            rule = 'a table is "file.csv", "book.xlsx#sheet" or { path = "file.csv", delimiter = ";", … }'
            raise ScenarioError(Problem("E-table-entry", f"tables.{name} names no table", rule, "", place))
        found = layer.find(("tables", name))
        folder = found[0].file.path.parent if found and found[0].file else self.source.parent
        file, _, sheet = str(options["path"]).partition("#")
        style = {key: value for key, value in options.items() if key != "path"}
        document = read_section(resolve_inside(file, folder, self.root, place), name, sheet=sheet or None, **style)
        self.files.setdefault(document.path, document)
        self._found.extend(document.problems)
        return document.layer()

    def _cycle(self, chain: tuple[Path, ...], location: Location | None) -> Problem:
        names = " -> ".join(display_path(path) for path in chain)
        return Problem("E-extends-cycle", f"documents extend each other in a circle: {names}", "", "", location)

    def _extended(self, file: TomlFile | TableDocument, chain: tuple[Path, ...]) -> Layer:
        """Return the documents that a file extends, merged in order."""
        merged = Layer()
        for path, text in self._extends_entries(file):
            location = file.places.value_location(path)
            with self._found.collecting():
                target = resolve_inside(text, file.path.parent, self.root, location)
                merged = join(merged, self._merge(target, text, location, chain))
        return merged

    def _extends_entries(self, file: TomlFile | TableDocument) -> Iterator[tuple[KeyPath, str]]:
        value: Any = file.data.get("extends", [])
        entries: list[tuple[KeyPath, Any]] = [(("extends",), value)]
        if isinstance(value, list):
            entries = [(("extends", i), item) for i, item in enumerate(value)]
        for path, entry in entries:
            if isinstance(entry, str):
                yield path, entry
            else:
                message = f"extends has {printable(repr(entry))[:60]}, which is not the path of a document"
                rule = 'extends = "path" or extends = ["first", "second"]'
                location = file.places.value_location(path)
                self._found.add(Problem("E-extends-form", message, rule, "", location))
