"""Collects what is wrong with a scenario, each with its place, so that all of it is reported at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from kpiopt.errors import InputError, Problem, Problems
from kpiopt.reading.document import Document
from kpiopt.reading.key_path import KeyPath, did_you_mean
from kpiopt.reading.layer import COMMAND_LINE

_SUGGESTED = 10
"""For how many unknown names the nearest known one is looked for; in a large organization each search takes time."""


class Findings(Problems):
    """Errors, warnings and notes of one scenario.

    Attributes
    ----------
    document : Document
        Where paths are looked up.
    damaged : set of str
        Sections of the document that lost entries to errors; what counts on them being complete is not checked.
        "units" and "cells" stand for tables that cannot be read, "joins" for rows of cells whose unit or KPI does not
        exist.
    """

    def __init__(self, document: Document) -> None:
        super().__init__(document.notes)
        self.files = document.files
        self.document = document
        self.damaged: set[str] = set()
        self._suggested = 0

    def is_whole(self, *sections: str) -> bool:
        """Whether no section has lost anything to errors, so that something missing there is truly missing."""
        return not self.damaged.intersection(sections)

    def only(self, problem: Problem, kind: type[InputError]) -> None:
        """Note a problem in place of all that was noted at its place, which only follows from it."""
        self.items = [other for other in self.items if other.location != problem.location]
        self.add(problem, kind)

    def at(
        self,
        code: str,
        message: str,
        path: KeyPath,
        *,
        rule: str = "",
        fix: str = "",
        key: bool = False,
        kind: type[InputError] = InputError,
        others: Iterable[KeyPath] = (),
    ) -> None:
        """Note a problem with the value at `path` of the document, or with its key."""
        place = self.document.key_location(path) if key else self.document.origin(path)
        further = tuple(self.document.key_location(other) for other in others)
        self.add(Problem(code, message, rule, fix, place, further), kind)

    def nearest(self, name: str, known: Collection[str]) -> str:
        """Return "did you mean 'x'?", or which names there are where none is near and they are few."""
        self._suggested += 1
        suggestion = did_you_mean(name, known) if self._suggested <= _SUGGESTED else ""
        if suggestion or not known or len(known) > 12:
            return suggestion
        return f"there are: {', '.join(known)}"

    def unknown(self, what: str, name: str, known: Collection[str], path: KeyPath, kind: type[InputError]) -> None:
        """Note that `name` is not the id of any `what`, unless that cannot be told."""
        if what in ("unit", "level", "role") and not self.is_whole("units"):
            return
        article = "an" if what[0] in "aeio" else "a"  # not before "unit"
        rule = f"an id stands for something that is defined in the file or its tables: here {article} {what}"
        fix = self.nearest(name, known) or f"define the {what}, or correct the id"
        code = f"E-unknown-{what.lower().replace(' ', '-')}"
        self.at(code, f"there is no {what} '{name}'", path, rule=rule, fix=fix, kind=kind)

    def declared(self, section: str) -> Collection[str]:
        """Ids that the document declares in a section, those of entries with errors included."""
        entries: Any = self.document.data.get(section, {})
        return list(entries) if isinstance(entries, dict) else []

    def is_new_in_variant(self, path: KeyPath) -> bool:
        """Whether the entry at `path[:2]` stands in the chosen variant and nowhere below it."""
        document = self.document
        below = document.merged.data.get(str(path[0]), {})
        typed = document.key_location(path[:2]).file == COMMAND_LINE
        return document.variant is not None and path[1] not in below and not typed
