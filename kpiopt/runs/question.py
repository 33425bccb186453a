"""The question a run answers: the resolved document, the bytes of its tables, the versions. Its hash names the run."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpiopt.errors import Location, Problem, ScenarioError
from kpiopt.reading.document import Document
from kpiopt.reading.key_path import KeyPath
from kpiopt.reading.regular_file import display_path, read_bytes, unreadable
from kpiopt.reading.tables.table_file import MAX_FILE_BYTES
from kpiopt.workers.versions import hash_file, installed_versions

SLUG_LENGTH = 40
ASCII_FOR_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
"""Letters that are no letter with an accent, so that taking accents off would drop them."""


@dataclass(frozen=True)
class InputCopy:
    """A table, sample file or rules file of the scenario, and the name of its copy in the run folder.

    Attributes
    ----------
    display : str
        The path for messages.
    name : str
        Such as "inputs/units.csv".
    sha256 : str
        Of `content`.
    """

    path: Path
    display: str
    name: str
    sha256: str
    content: bytes


@dataclass(frozen=True)
class Question:
    """What is asked, independent of where its files stand.

    Attributes
    ----------
    name : str
        The run's name, `<slug>-<id>`: equal for equal questions.
    digest : str
        SHA-256 of the resolved document, the inputs' bytes, the versions and the settings, hexadecimal.
    toml : str
        The resolved document, loadable by itself beside the copied inputs.
    documents : mapping of str to str
        TOML files that were merged -> SHA-256.
    settings : mapping
        Options of the command that change what the run holds and are not in the document.
    """

    name: str
    digest: str
    toml: str
    inputs: tuple[InputCopy, ...]
    documents: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]

    @property
    def files(self) -> tuple[tuple[str, bytes], ...]:
        """The resolved document and the copies of its inputs, by their names in a folder of their own."""
        return (("scenario.toml", self.toml.encode()), *((copy.name, copy.content) for copy in self.inputs))


def pose_question(document: Document, settings: Mapping[str, Any] | None = None) -> Question:
    """Gather what a run depends on.

    Parameters
    ----------
    settings : mapping, optional
        Options of the command that change what the run holds and are not in the document.

    Raises
    ------
    ScenarioError
        When an input cannot be read.
    """
    replaced: dict[KeyPath, str] = {}
    copies: dict[Path, InputCopy] = {}
    for path, text in file_references(document.data):
        file_name, mark, part = text.partition("#")
        source = document.resolve(path, file_name)
        if source not in copies:
            copies[source] = _read_input(source, path, len(copies))
        replaced[path] = f"{copies[source].name}{mark}{part}"
    toml = document.to_toml(replaced)
    inputs = tuple(copies.values())
    versions = installed_versions()
    digest = digest_of(toml, {c.name: c.sha256 for c in inputs}, versions, settings or {})
    name = run_name(str(document.data.get("name", "")), digest)
    return Question(name, digest, toml, inputs, document.files, versions, settings or {})


def run_name(scenario_name: str, digest: str) -> str:
    """Return the name of the run that answers a question: `<slug>-<id>`."""
    return f"{slug(scenario_name)}-{digest[:8]}"


def file_references(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield every value that names a file: tables, samples of quantities, the rules file."""
    for role, entry in data.get("tables", {}).items():
        yield (("tables", role, "path"), entry["path"]) if isinstance(entry, dict) else (("tables", role), entry)
    rules = data.get("rules", {}).get("file")
    if rules is not None:
        yield ("rules", "file"), rules
    yield from _sample_references(data, ())


def _sample_references(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "samples" and isinstance(child, str):
                yield (*path, key), child
            else:
                yield from _sample_references(child, (*path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _sample_references(child, (*path, i))


def _read_input(source: Path, path: KeyPath, number: int) -> InputCopy:
    """Read an input; its copy is named by what it is for, never by user text."""
    try:
        content = read_bytes(source, MAX_FILE_BYTES)
    except OSError as error:
        raise unreadable(source, display_path(source), None, error) from None
    role = {"tables": str(path[1]), "rules": "rules"}.get(str(path[0]), f"samples-{number}")
    name = f"inputs/{slug(role)}{source.suffix.lower()}"
    return InputCopy(source, display_path(source), name, hashlib.sha256(content).hexdigest(), content)


def require_same_files(question: Question, files: Mapping[str, str]) -> None:
    """Raise when a file is no longer what was checked.

    Parameters
    ----------
    files : mapping of str to str
        Path for messages -> SHA-256 as it was when the scenario was loaded.

    Raises
    ------
    ScenarioError
    """
    changed = [c.display for c in question.inputs if files.get(c.display, c.sha256) != c.sha256]
    if changed:
        raise ScenarioError(
            *(
                Problem("E-input-changed", "the file changed while it was being read", "", "run again", Location(file))
                for file in changed
            )
        )


def hash_again(question: Question) -> dict[str, str | None]:
    """Return the present SHA-256 of every file of a question, by its path for messages; None where it is gone."""
    paths = [(c.display, c.path) for c in question.inputs]
    paths += [(display, Path(display)) for display in question.documents]
    return {display: hash_file(path) for display, path in paths}


def slug(text: str) -> str:
    """Return a short name for a folder: lower-case ASCII letters, digits and hyphens, at most 40 characters.

    Examples
    --------
    >>> slug("FY27 Basisplan für ../München"), slug("Großes Haus")
    ('fy27-basisplan-fur-munchen', 'grosses-haus')
    """
    letters = unicodedata.normalize("NFKD", text.lower()).translate(ASCII_FOR_LETTERS)
    plain = letters.encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].strip("-") or "run"


def digest_of(toml: str, inputs: Mapping[str, str], versions: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a question: its resolved document, its inputs' digests by name, versions and settings."""
    parts = {"document": toml, "inputs": inputs, "versions": versions, "settings": settings}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
