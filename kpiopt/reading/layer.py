"""Layers of a document: deep merge that remembers where each value came from.

Tables merge key by key; a scalar or an array replaces. A distribution such as `{ normal = [0, 1] }` is one value and
replaces as a whole: merged with `{ uniform = [0, 1] }` it would be two distributions at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from kpiopt.errors import Location
from kpiopt.reading.key_path import KeyPath
from kpiopt.reading.toml.toml_file import TomlFile

COMMAND_LINE = "--set"
"""The name of the command line as a source of values."""

DISTRIBUTIONS = ("normal", "lognormal", "triangular", "pert", "uniform", "beta", "discrete", "samples")


class Places(Protocol):
    """Tells where values stand in a file."""

    def value_location(self, path: KeyPath) -> Location:
        """Return where a value stands."""

    def key_location(self, path: KeyPath) -> Location:
        """Return where a key stands."""


class Source(Protocol):
    """A file that gives values: a TOML document, or a table of one of its sections."""

    @property
    def path(self) -> Path:
        """The file, symbolic links resolved."""

    @property
    def places(self) -> Places:
        """Where its values stand."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value came from: a path in a file, or an override of the command line.

    Attributes
    ----------
    file : Source or None
        None for an override.
    path : KeyPath
        The value's path inside the file; inside a variant it begins with "variant".
    override : str
        The override as typed.
    """

    file: Source | None
    path: KeyPath
    override: str = ""

    def value_location(self, inside: KeyPath = ()) -> Location:
        """Return where the value stands, or something `inside` it."""
        return self.file.places.value_location((*self.path, *inside)) if self.file else self._typed()

    def key_location(self, inside: KeyPath = ()) -> Location:
        """Return where the key stands, or that of something `inside` the value."""
        return self.file.places.key_location((*self.path, *inside)) if self.file else self._typed()

    def _typed(self) -> Location:
        return Location(COMMAND_LINE, text=self.override)


@dataclass(frozen=True, slots=True)
class Clash:
    """Two extended documents give one key different values."""

    path: KeyPath
    first: Mark
    second: Mark


@dataclass(frozen=True, slots=True)
class Layer:
    """Merged values with their marks.

    Attributes
    ----------
    data : dict
        Plain TOML values; keys of what was extended come first.
    marks : dict of path to Mark
        For each table the place that first wrote it, for each other value the place that it came from.
    clashes : tuple of Clash
        Keys that extended documents set differently and nothing above them has set since.
    """

    data: dict[str, Any] = field(default_factory=dict)
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    clashes: tuple[Clash, ...] = ()

    def find(self, path: KeyPath) -> tuple[Mark, KeyPath] | None:
        """Return the mark of `path` or of what is around it, and the rest of the path inside that."""
        for cut in range(len(path), 0, -1):
            if path[:cut] in self.marks:
                return self.marks[path[:cut]], path[cut:]
        return None

    def key_location(self, path: KeyPath) -> Location | None:
        """Return where the key of `path` stands, or of the nearest table around it."""
        found = self.find(path)
        return found[0].key_location(found[1]) if found else None

    def value_location(self, path: KeyPath) -> Location | None:
        """Return where the value of `path` stands, or the nearest table around it."""
        found = self.find(path)
        return found[0].value_location(found[1]) if found else None

    def without(self, *keys: str) -> Layer:
        """Return the layer without some top-level keys."""
        data = {key: value for key, value in self.data.items() if key not in keys}
        return Layer(data, {p: mark for p, mark in self.marks.items() if p[0] not in keys}, self.clashes)

    def dropped(self, path: KeyPath) -> Layer:
        """Return the layer without the value at a path of two keys; what is not changed is shared."""
        outer, inner = path
        rest = {key: value for key, value in self.data[str(outer)].items() if key != inner}
        data = {key: (rest if key == outer else value) for key, value in self.data.items() if key != outer or rest}
        return Layer(data, {p: mark for p, mark in self.marks.items() if p[:2] != path}, self.clashes)

    def below(self, *path: str) -> Layer:
        """Return the table at `path` as a layer of its own."""
        data = self.data
        for key in path:
            data = data[key]
        n = len(path)
        marks = {p[n:]: mark for p, mark in self.marks.items() if p[:n] == path and len(p) > n}
        return Layer(data, marks)


def is_table(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value is merged key by key."""
    return isinstance(value, dict) and not _is_distribution(value)


def _is_distribution(value: dict[str, Any]) -> bool:
    if len(value) != 1:
        return False
    (name, parameters), *_ = value.items()
    return isinstance(parameters, str if name == "samples" else list) and name in DISTRIBUTIONS


def entries(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the path of every table and of every value that is merged as a whole, in order."""
    waiting: list[tuple[KeyPath, Any]] = [(path, value)]
    while waiting:
        place, found = waiting.pop()
        if place:
            yield place, found
        if not place or is_table(found):
            waiting += [((*place, key), child) for key, child in reversed(found.items())]


def file_layer(file: TomlFile) -> Layer:
    """Return what one file says, without what it extends."""
    marks = {path: Mark(file, path) for path, _ in entries(file.data)}
    return Layer(file.data, marks).without("extends")


def override_layer(path: tuple[str, ...], value: Any, text: str) -> Layer:
    """Return one override of the command line as a layer."""
    data = value
    for key in reversed(path):
        data = {key: data}
    mark = Mark(None, path, text)
    return Layer(data, {inside: mark for inside, _ in entries(data)})


def merge(below: Layer, above: Layer) -> Layer:
    """Lay one layer over another; neither is changed.

    Clashes below are settled where the upper layer sets the key itself.
    """
    marks = dict(below.marks)
    data = _patched(below.data, above.data, (), marks, above.marks)
    unsettled = (clash for clash in below.clashes if not sets(above.data, clash.path))
    return Layer(data, marks, (*unsettled, *above.clashes))


def _patched(
    old: dict[str, Any], new: dict[str, Any], path: KeyPath, marks: dict[KeyPath, Mark], new_marks: dict[KeyPath, Mark]
) -> dict[str, Any]:
    """Return `old` with `new` laid over it and bring `marks` up to date; what is unchanged is shared, not copied."""
    data = dict(old)
    for key, value in new.items():
        here = (*path, key)
        if is_table(value) and is_table(old.get(key)):
            data[key] = _patched(old[key], value, here, marks, new_marks)
            continue
        for gone, _ in entries(old.get(key), here):
            marks.pop(gone, None)
        data[key] = value
        marks |= {added: new_marks[added] for added, _ in entries(value, here)}
    return data


def join(first: Layer, second: Layer) -> Layer:
    """Merge two documents that one document extends side by side, and note where they disagree."""
    clashes = tuple(_disagreements(first, second))
    merged = merge(first, second)
    return Layer(merged.data, merged.marks, (*first.clashes, *second.clashes, *clashes))


def _disagreements(first: Layer, second: Layer) -> Iterator[Clash]:
    for path, value in entries(second.data):
        other = _value_at(first.data, path)
        if other is _NOTHING or (is_table(value) and is_table(other)) or _is_same(value, other):
            continue
        yield Clash(path, first.marks[path], second.marks[path])


_NOTHING = object()


def _value_at(data: Any, path: KeyPath) -> Any:
    for key in path:
        if not is_table(data) or key not in data:
            return _NOTHING
        data = data[str(key)]
    return data


def _is_same(first: Any, second: Any) -> bool:
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)


def sets(data: dict[str, Any], path: KeyPath) -> bool:
    """Whether a layer gives `path`, or what is around it, a value as a whole."""
    value: Any = data
    for key in path:
        if not is_table(value):
            return True
        if key not in value:
            return False
        value = value[str(key)]
    return not is_table(value)
