"""The document: TOML files merged into one, with the origin of each value.

Last wins: documents named by `extends` in their order, the document itself, the chosen `[variant.NAME]`, and
overrides of the command line. Tables merge key by key, a scalar or an array replaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpiopt.errors import Location, Problem, UsageError
from kpiopt.reading.extends import ExtendsReader
from kpiopt.reading.key_path import KeyPath, did_you_mean, dotted
from kpiopt.reading.layer import Clash, Layer, entries, is_table, merge
from kpiopt.reading.override import read_overrides
from kpiopt.reading.regular_file import display_path, resolve_inside
from kpiopt.reading.sections import TableDocument
from kpiopt.reading.toml.checks import case_problems
from kpiopt.reading.toml.emit import emit_toml

__all__ = ["Document", "dotted", "read_document"]

AND = "+"
"""Joins variants that are laid over each other: in "lean+ambitious" the later one wins."""


@dataclass(frozen=True)
class Document:
    """One resolved document.

    Attributes
    ----------
    source : Path
        The main file, symbolic links resolved.
    root : Path
        The folder that no path may leave.
    files : dict of str to str
        Path for messages -> SHA-256 of the bytes, for every document that was read; the main file first.
    variants : tuple of str
        Names of all variants that the documents define.
    variant : str or None
        The chosen one.
    notes : tuple of Problem
        What is worth saying although nothing is wrong.
    layer : Layer
        The values with their marks.
    merged : Layer
        The same without the chosen variant and overrides, but with all variants under the key `variant`.
    robust : dict
        What the variants set that `[decide] robust` names, overrides on top: the resolved document keeps them.
    """

    source: Path
    root: Path
    files: dict[str, str]
    variants: tuple[str, ...]
    variant: str | None
    notes: tuple[Problem, ...]
    layer: Layer = field(repr=False)
    merged: Layer = field(repr=False)
    robust: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """Plain TOML values after `extends`, the variant and overrides, without the keys `extends` and `variant`.

        Keys of what was extended come first. Every number is finite, there are no dates, and -0.0 is 0.0.
        """
        return self.layer.data

    def origin(self, path: KeyPath) -> Location:
        """Return where the final value at `path` stands.

        Parameters
        ----------
        path : tuple of str or int
            Keys from the root; it need not exist.

        Returns
        -------
        Location
            The beginning of a value, the header of a table; of a path that does not exist the nearest table around
            it; `Location("--set", text=override)` for an override.
        """
        return self.layer.value_location(path) or Location(display_path(self.source))

    def key_location(self, path: KeyPath) -> Location:
        """Return where the key of `path` stands, as `origin` does for its value."""
        return self.layer.key_location(path) or Location(display_path(self.source))

    def resolve(self, path: KeyPath, text: str) -> Path:
        """Resolve a file name found at `path`, relative to the file that contains it.

        Names given by `--set` are relative to the folder of the main file. What stands behind "#" in a name (a sheet
        or a column) is for the caller to cut off before.

        Raises
        ------
        SecurityError
            If the name is absolute, a URL, begins with "~", leaves the project (see
            `kpiopt.reading.regular_file.project_root`), or is a device, pipe or socket.
        ScenarioError
            If it is empty or written with backslashes.
        """
        found = self.layer.find(path)
        file = found[0].file if found else None
        folder = file.path.parent if file else self.source.parent
        return resolve_inside(text, folder, self.root, self.origin(path))

    def shown_as_percent(self) -> Iterator[KeyPath]:
        """Yield the paths of final values that a workbook shows as percentages: 0.9 as 90 %."""
        for path, mark in self.layer.marks.items():
            if isinstance(mark.file, TableDocument) and mark.path in mark.file.percent:
                yield path

    def show_origin(self) -> list[tuple[str, Any, Location]]:
        """List every final value with its dotted path and place, in order of appearance."""
        leaves = [(path, value) for path, value in entries(self.data) if not (is_table(value) and value)]
        return [(dotted(path), value, self.origin(path)) for path, value in leaves]

    def to_toml(self, replace: Mapping[KeyPath, Any] | None = None) -> str:
        """Write the resolved document as TOML that needs no other document.

        Parameters
        ----------
        replace : mapping of path to value, optional
            Values to write instead, such as the names of tables that were copied beside the text.

        Raises
        ------
        KeyError or IndexError
            If a path to replace is not in the document.
        """
        data = deepcopy(self.data)
        if self.robust:
            data["variant"] = deepcopy(self.robust)
        for path, value in (replace or {}).items():
            _replace(data, path, value)
        return emit_toml(data)


def read_document(path: Path | str, *, variant: str | None = None, overrides: Sequence[str] = ()) -> Document:
    """Read a scenario file with everything that it extends.

    Parameters
    ----------
    path : Path or str
        The main file.
    variant : str, optional
        Name of the `[variant.NAME]` to lay over the document, or several such as "lean+ambitious", the last on top.
    overrides : sequence of str
        "path=value" each, see `kpiopt.reading.override.read_overrides`.

    Raises
    ------
    UsageError
        If the variant does not exist, or an override cannot be read.
    ScenarioError
        If the file cannot be read, or a document breaks a rule of the format.
    SecurityError
        If a path leaves the project, or a file is too large, nests too deep or is not a regular file.
    NumericsError
        If all that is wrong are numbers that are not finite.
    """
    read_overrides(overrides)  # what cannot be read is told before any file is
    reader = ExtendsReader(path)
    merged = reader.read()
    reader.add(_variant_form_problems(merged))
    reader.raise_errors()
    names = tuple(merged.data.get("variant", {}))
    chosen = _variant_layer(merged, variant, names, reader.source)
    below = merge(merged.without("variant"), reader.with_tables(chosen))
    typed = reader.with_tables(read_overrides(overrides, below.data))
    layer = merge(below, typed)
    reader.add(_clash_problem(clash) for clash in layer.clashes)
    reader.add(case_problems(merged.data, merged.key_location))
    if variant or overrides:
        reader.add(case_problems(layer.data, layer.key_location))
    reader.raise_errors()
    files = {file.display: file.sha256 for file in reader.files.values()}
    robust = _kept_variants(merged, layer, typed)
    return Document(reader.source, reader.root, files, names, variant, reader.notes, layer, merged, robust)


def _replace(data: Any, path: KeyPath, value: Any) -> None:
    *around, last = path
    for key in around:
        data = data[key]
    data[last]  # the path must exist
    data[last] = value


def _variant_form_problems(merged: Layer) -> Iterator[Problem]:
    """Yield a problem for each variant that is no table, or that sets what a variant cannot change."""
    place, variants = merged.key_location, merged.data.get("variant", {})
    rule = "a variant is a table [variant.NAME] with the keys that it changes"
    if not is_table(variants):
        yield Problem("E-variant-form", "'variant' is not a table of variants", rule, "", place(("variant",)))
        return
    for name, patch in variants.items():
        if not is_table(patch):
            yield Problem("E-variant-form", f"variant.{name} is not a table", rule, "", place(("variant", name)))
            continue
        for key in ("schema", "extends", "variant"):
            if key in patch:
                message = f"a variant cannot set '{key}'"
                yield Problem("E-variant-key", message, rule, "remove the key", place(("variant", name, key)))


def _variant_layer(merged: Layer, variant: str | None, names: tuple[str, ...], source: Path) -> Layer:
    """Return what the chosen variants change, laid over each other in their order."""
    layer = Layer()
    for name in _chosen(variant, names, source) if variant is not None else ():
        layer = merge(layer, merged.below("variant", name))
    return layer


def _kept_variants(merged: Layer, layer: Layer, typed: Layer) -> dict[str, Any]:
    """Return the variants that `[decide] robust` names, with what was typed on top of each."""
    decide = layer.data.get("decide")
    named = decide.get("robust") if is_table(decide) else None
    variants = merged.data.get("variant", {})
    known = [name for name in named if isinstance(name, str) and name in variants] if isinstance(named, list) else []
    return {name: merge(merged.below("variant", name), typed).data for name in known}


def _chosen(variant: str, names: tuple[str, ...], source: Path) -> tuple[str, ...]:
    """Return the variants of a name such as "lean+ambitious"; a variant may have a "+" in its own name."""
    if variant in names:
        return (variant,)
    cuts = (i for i, character in enumerate(variant) if character == AND)
    for cut in cuts:
        if variant[:cut] in names:
            return (variant[:cut], *_chosen(variant[cut + 1 :], names, source))
    first = variant.partition(AND)[0]
    known = f"its variants are {', '.join(names)}" if names else "it has no variants"
    message, fix = f"there is no variant '{first}': {known}", did_you_mean(first, names)
    raise UsageError(Problem("E-variant-unknown", message, "", fix, Location(display_path(source))))


def _clash_problem(clash: Clash) -> Problem:
    name = dotted(clash.path)
    first, second = clash.first.value_location(), clash.second.value_location()
    message = f"two extended documents set {name} differently"
    rule = "where extended documents disagree, the document that extends them decides"
    return Problem("E-extends-clash", message, rule, f"set {name} in this document", second, (first,))
