"""A kept run or sweep as it stands on disk: what it says, whether it is whole, and whether it is one at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpiopt.errors import OutputError, Problem
from kpiopt.workers.versions import hash_file

RUN_FILE = "run.json"
SWEEP_FILE = "sweep.json"
DOCUMENT_FILES = (RUN_FILE, SWEEP_FILE)
EVIDENCE_FILE = "evidence.npz"
SCHEMAS = ("kpiopt.solve/", "kpiopt.sweep/")

_NAME = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}")
_OWN_FILES = frozenset([
    *DOCUMENT_FILES, "scenario.toml", "inputs", "targets.csv", "targets.parquet", "goals.csv", "limits.csv", "odds.csv",
    "initiatives.csv", "certificate.json", EVIDENCE_FILE, "summary.txt", "points.csv",
])  # fmt: skip
_LEFT_BY_SYSTEMS = frozenset([".DS_Store", "Thumbs.db", "desktop.ini"])


@dataclass(frozen=True)
class StoredRun:
    """The folder of a run, or of a sweep, on disk.

    Attributes
    ----------
    folder : Path
    document : dict
        What `run.json` or `sweep.json` holds; empty where it cannot be read.
    damage : tuple of str
        Files that are missing or of another size than the document says.
    """

    folder: Path
    document: dict[str, Any]
    damage: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The run's name, `<slug>-<id>`."""
        return self.folder.name

    @property
    def manifest(self) -> dict[str, Any]:
        """How the run came about."""
        return dict(self.document.get("manifest", {}))

    @property
    def answer(self) -> dict[str, Any]:
        """The document without its manifest, naming the folder as it was asked for."""
        return {**{k: v for k, v in self.document.items() if k != "manifest"}, "folder": str(self.folder)}

    @property
    def is_sweep(self) -> bool:
        """Whether it answers a sweep and not one scenario."""
        return (self.folder / SWEEP_FILE).is_file()

    @property
    def is_complete(self) -> bool:
        """Whether every file is there with its size."""
        return bool(self.document) and not self.damage


def read_run(folder: Path) -> StoredRun:
    """Read a run folder; what is wrong with it is part of the answer."""
    name = _document_file(folder) or RUN_FILE
    try:
        document = json.loads((folder / name).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return StoredRun(folder, {}, (name,))
    if not _is_document(document):
        return StoredRun(folder, {}, (name,))
    files = document["manifest"]["files"]
    return StoredRun(
        folder, document, tuple(name for name, entry in files.items() if _size(folder / name) != entry["bytes"])
    )


def _is_document(document: Any) -> bool:
    """Whether a document is the answer of a run or of a sweep with its manifest, as far as others count on it."""
    if not isinstance(document, dict) or not str(document.get("schema", "")).startswith(SCHEMAS):
        return False
    manifest = document.get("manifest")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return False
    listed = (document.get("goals", []), "shortfall"), (document.get("points", []), "status")
    return (
        all(_is_entry(name, entry) for name, entry in manifest["files"].items())
        and isinstance(manifest.get("started"), str)
        and all(isinstance(rows, list) and all(isinstance(r, dict) and key in r for r in rows) for rows, key in listed)
    )


def _is_entry(name: str, entry: Any) -> bool:
    """Whether a manifest's entry is about a file of the folder."""
    is_inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    return is_inside and isinstance(entry, Mapping) and isinstance(entry.get("bytes"), int)


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run or a sweep: by its name and contents, or by its document where it was renamed."""
    return _is_named_like_run(folder) or (_document_file(folder) is not None and bool(read_run(folder).document))


def may_be_run(folder: Path) -> bool:
    """Whether it is worth a closer look if a folder is a run."""
    return _document_file(folder) is not None or _is_named_like_run(folder)


def _is_named_like_run(folder: Path) -> bool:
    """Whether a folder bears the name of a run, `<slug>-<id>`, and has at least its question left."""
    is_named = _NAME.fullmatch(folder.name) is not None
    return is_named and any((folder / name).is_file() for name in (*DOCUMENT_FILES, "scenario.toml"))


def foreign_files(run: StoredRun) -> list[str]:
    """Return what stands in a run's folder and was not written there by kpiopt."""
    known = _OWN_FILES | _LEFT_BY_SYSTEMS | {Path(name).parts[0] for name in run.manifest.get("files", {})}
    return sorted(entry.name for entry in run.folder.iterdir() if entry.name not in known)


def require_complete(run: StoredRun) -> None:
    """Raise when a file of a run is missing or cut short.

    Raises
    ------
    OutputError
    """
    if not run.is_complete:
        raise OutputError(
            Problem(
                "E-run-damaged",
                f"{run.folder} is not whole: {', '.join(run.damage)}",
                rule="a run is used as it was written or not at all",
                fix="solve its scenario again",
            )
        )


def _document_file(folder: Path) -> str | None:
    """Return the name of the file that makes a folder a run or a sweep."""
    return next((name for name in DOCUMENT_FILES if (folder / name).is_file()), None)


def altered_files(run: StoredRun) -> list[str]:
    """Return the files of a run that are not, byte for byte, what its manifest says."""
    files = run.manifest.get("files", {})
    return [name for name, entry in files.items() if hash_file(run.folder / name) != entry.get("sha256")]


def is_intact(run: StoredRun) -> bool:
    """Whether a run is whole and unaltered."""
    return run.is_complete and not altered_files(run)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
