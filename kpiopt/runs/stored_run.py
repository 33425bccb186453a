"""A kept run or sweep as it stands on disk: what it says, whether it is whole, and whether it is one at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpiopt.errors import InputError, OutputError, Problem
from kpiopt.reading.regular_file import is_regular, read_bytes
from kpiopt.workers.versions import hash_file

RUN_FILE = "run.json"
SWEEP_FILE = "sweep.json"
DOCUMENT_FILES = (RUN_FILE, SWEEP_FILE)
EVIDENCE_FILE = "evidence.npz"
SUMMARY_FILE = "summary.txt"
REPORT_FILE = "report.html"
WORKBOOK_FILE = "plan.xlsx"
RISK_FILE = "risk.json"
"""What odds cost, where that was asked."""

LARGEST_DOCUMENT = 1 << 30
SHOWN = 5
"""How many of the files that are not as they were are named."""

_NAME = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}")
_OWN_FILES = frozenset([
    *DOCUMENT_FILES, "scenario.toml", "inputs", "targets.csv", "targets.parquet", "goals.csv", "limits.csv", "odds.csv",
    "initiatives.csv", "gap.csv", "certificate.json", EVIDENCE_FILE, SUMMARY_FILE, REPORT_FILE,
    WORKBOOK_FILE, RISK_FILE, "points.csv",
])  # fmt: skip
_LEFT_BY_SYSTEMS = frozenset([".DS_Store", "Thumbs.db", "desktop.ini"])


@dataclass(frozen=True)
class StoredRun:
    """The folder of a run, or of a sweep, on disk.

    Attributes
    ----------
    document : dict
        What `run.json` or `sweep.json` holds; empty where it cannot be read or was changed.
    damage : tuple of str
        Files that are missing or of another size than the document says.
    reason : str
        What is wrong with the document itself.
    closed : tuple of str
        Files that may not be read, which says nothing of what they hold.
    """

    folder: Path
    document: dict[str, Any]
    damage: tuple[str, ...] = ()
    reason: str = ""
    closed: tuple[str, ...] = ()

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
    def files(self) -> list[Path]:
        """The document, every file that it lists and every file that it was made of; they need not be there."""
        around = Path(self.manifest.get("working_folder", "."))
        inputs = [around / entry["file"] for entry in self.manifest.get("inputs", ())]
        return [*(self.folder / name for name in (*DOCUMENT_FILES, *self.manifest.get("files", ()))), *inputs]

    @property
    def is_sweep(self) -> bool:
        """Whether it answers a sweep and not one scenario."""
        return _document_file(self.folder) == SWEEP_FILE

    @property
    def is_complete(self) -> bool:
        """Whether every file is there with its size."""
        return bool(self.document) and not self.damage


def read_run(folder: Path) -> StoredRun:
    """Read a run folder; what is wrong with it is part of the answer."""
    from kpiopt.runs.run_document import parse_document  # pydantic, only where there is a run

    name = _document_file(folder) or RUN_FILE
    if _is_closed(folder):
        return StoredRun(folder, {}, (name,), "no permission", (name,))
    try:
        document = parse_document(read_run_file(folder / name))
    except PermissionError:
        return StoredRun(folder, {}, (name,), "no permission", (name,))
    except (OSError, ValueError) as error:
        return StoredRun(folder, {}, (name,), error.strerror or "" if isinstance(error, OSError) else str(error))
    files = document["manifest"]["files"]
    closed = tuple(name for name in files if is_regular(folder / name) and not os.access(folder / name, os.R_OK))
    damage = tuple(name for name, entry in files.items() if _size(folder / name) != entry["bytes"])
    return StoredRun(folder, document, damage, closed=closed)


def read_run_file(path: Path) -> bytes:
    """Read a file of a run folder: a regular one, and not without end.

    Raises
    ------
    OSError, ValueError
    """
    return read_bytes(path, LARGEST_DOCUMENT)


def read_summary(run: StoredRun) -> str:
    """Read the summary of a run.

    Raises
    ------
    OutputError
        Where it cannot be read.
    """
    try:
        return read_run_file(run.folder / SUMMARY_FILE).decode()
    except (OSError, ValueError) as error:
        raise damaged_run(run, f"{SUMMARY_FILE} ({error})") from None


def read_risk(folder: Path) -> dict[str, Any] | None:
    """Read what odds cost; None where that was not asked when the run was made, or is damaged."""
    try:
        found = json.loads(read_run_file(folder / RISK_FILE))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run or a sweep: by its name and contents, or by its document where it was renamed."""
    if _is_named_like_run(folder) or _has_strange_document(folder):
        return True
    return _document_file(folder) is not None and bool(read_run(folder).document)


def may_be_run(folder: Path) -> bool:
    """Whether it is worth a closer look if a folder is a run."""
    return _document_file(folder) is not None or _is_named_like_run(folder) or _has_strange_document(folder)


def is_run_name(name: str) -> bool:
    """Whether a name is one that runs are given, `<slug>-<id>`."""
    return _NAME.fullmatch(name) is not None


def _is_named_like_run(folder: Path) -> bool:
    """Whether a folder bears the name of a run and has at least its question left."""
    if not is_run_name(folder.name):
        return False
    return any(is_regular(folder / name) for name in (*DOCUMENT_FILES, "scenario.toml")) or _is_closed(folder)


def _has_strange_document(folder: Path) -> bool:
    """Whether something else than a file, such as a pipe, stands where the document of a run was, beside its proof."""
    if not any(is_regular(folder / name) for name in (EVIDENCE_FILE, "points.csv")):
        return False
    return any(os.path.lexists(folder / name) and not is_regular(folder / name) for name in DOCUMENT_FILES)


def _is_closed(folder: Path) -> bool:
    """Whether a folder may not be looked into."""
    try:
        (folder / RUN_FILE).stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return False


def foreign_files(run: StoredRun) -> list[str]:
    """Return what stands in a run's folder and was not written there by kpiopt."""
    known = _OWN_FILES | _LEFT_BY_SYSTEMS | {Path(name).parts[0] for name in run.manifest.get("files", {})}
    try:
        return sorted(entry.name for entry in run.folder.iterdir() if entry.name not in known)
    except OSError as error:
        raise damaged_run(run, error.strerror or str(error)) from None


def require_readable(run: StoredRun) -> None:
    """Raise when a file of a run may not be read: what it holds is not known then, and it is not called damaged.

    Raises
    ------
    InputError
    """
    if run.closed:
        more = f" and {len(run.closed) - 1} more" if len(run.closed) > 1 else ""
        message = f"{run.folder / run.closed[0]}{more} may not be read: no permission"
        rule = "files of a run are for their owner alone, because they tell pay"
        raise InputError(
            Problem("E-run-closed", message, rule, "ask its owner for a copy, or for the right to read it")
        )


def require_complete(run: StoredRun) -> None:
    """Raise when a file of a run is missing or cut short.

    Raises
    ------
    OutputError
    """
    require_readable(run)
    if not run.is_complete:
        raise damaged_run(run, ", ".join(run.damage[:SHOWN]) + (f" ({run.reason})" if run.reason else ""))


def damaged_run(run: StoredRun, what: str) -> OutputError:
    """Return the error for a run that is not as it was written."""
    return OutputError(
        Problem(
            "E-run-damaged",
            f"{run.folder} is not as it was written: {what}",
            rule="a run is used as it was written or not at all",
            fix="solve its scenario again",
        )
    )


OF_ANOTHER_KIND = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError)
"""What using a value leads to that is missing, or of another kind than was written."""


@contextmanager
def reading_kept(run: StoredRun) -> Iterator[None]:
    """Turn what a figure of another kind than was written leads to, wherever it is used, into a damaged run.

    Raises
    ------
    OutputError
    """
    try:
        yield
    except OF_ANOTHER_KIND as error:
        reason = " ".join(str(error).split())[:200]
        raise damaged_run(run, f"a value is not what stood there ({type(error).__name__}: {reason})") from error


def _document_file(folder: Path) -> str | None:
    """Return the name of the file that makes a folder a run or a sweep."""
    return next((name for name in DOCUMENT_FILES if is_regular(folder / name)), None)


def altered_files(run: StoredRun) -> list[str]:
    """Return the files of a run that are not, byte for byte, what its manifest says."""
    files = run.manifest.get("files", {})
    return [name for name, entry in files.items() if hash_file(run.folder / name) != entry.get("sha256")]


def is_intact(run: StoredRun) -> bool:
    """Whether a run is whole and unaltered."""
    return run.is_complete and not altered_files(run)


def _size(path: Path) -> int | None:
    return path.stat().st_size if is_regular(path) else None
