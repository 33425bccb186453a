"""The runs folder: finished runs side by side, each whole; a run in the making is hidden until it is done.

runs/base-3f2a91c0/             a finished run
runs/.base-3f2a91c0.partial/    a run in the making; left behind by a killed process, it is removed by the next
runs/.base-3f2a91c0.former/     an earlier folder of the same run while the new one takes its place
runs/.base-3f2a91c0.lock        who is writing
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpiopt.errors import Locked, OutputError, Problem, UsageError
from kpiopt.runs.durable import make_folder, move, remove_if_empty, remove_tree, write_file
from kpiopt.runs.lock import hold_lock
from kpiopt.runs.question import hash_file

RUN_FILE = "run.json"
SWEEP_FILE = "sweep.json"
DOCUMENT_FILES = (RUN_FILE, SWEEP_FILE)
EVIDENCE_FILE = "evidence.npz"


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


@dataclass(frozen=True)
class Staging:
    """A run in the making.

    Attributes
    ----------
    folder : Path
        The hidden folder that holds its files.
    target : Path
        Where it will stand.
    """

    folder: Path
    target: Path

    def write(self, name: str, content: bytes) -> None:
        """Write one file; `name` may have one folder in front, as "inputs/units.csv"."""
        path = self.folder / name
        if not path.parent.exists():
            make_folder(path.parent)
        write_file(path, content)

    def publish(self) -> Path:
        """Rename the folder to its name; one that stood there steps aside first and is removed afterwards.

        Raises
        ------
        OutputError
        """
        former = _hidden(self.target, "former")
        if self.target.exists():
            move(self.target, former)
        move(self.folder, self.target)
        remove_tree(former)
        return self.target


@dataclass(frozen=True)
class RunStore:
    """A folder of runs.

    Attributes
    ----------
    root : Path
    """

    root: Path

    @contextmanager
    def staging(self, name: str) -> Iterator[Staging]:
        """Prepare a hidden folder for one run; it is gone afterwards unless it was published.

        Raises
        ------
        Locked
            When another process writes the same run.
        OutputError
            When the runs folder cannot be written.
        """
        target = self.root / name
        with ExitStack() as stack:
            stack.callback(remove_if_empty, self.root)
            stack.enter_context(hold_lock(_hidden(target, "lock")))
            _recover(target)
            self._clean()
            staging = Staging(_hidden(target, "partial"), target)
            stack.callback(remove_tree, staging.folder)
            make_folder(staging.folder)
            yield staging

    def _clean(self) -> None:
        """Tidy up after processes that were killed, run by run, leaving alone what is being written."""
        for suffix in ("partial", "former"):
            for left in self.root.glob(f".*.{suffix}"):
                target = self.root / left.name.removeprefix(".").removesuffix(f".{suffix}")
                try:
                    with hold_lock(_hidden(target, "lock")):
                        _recover(target)
                except Locked:
                    continue

    def runs(self) -> list[StoredRun]:
        """Return runs and sweeps in the order in which they were started, by their own record."""
        if not self.root.is_dir():
            return []
        folders = (f for f in self.root.iterdir() if not f.name.startswith(".") and _document_file(f))
        return sorted((read_run(folder) for folder in folders), key=lambda r: (r.manifest.get("started", ""), r.name))

    def find(self, text: str) -> StoredRun:
        """Return the run of one scenario by its folder, its name or the beginning of its name or id.

        Raises
        ------
        UsageError
            When there is none, or more than one, or it is a sweep.
        """
        found = self.find_any(text)
        if not found.is_sweep:
            return found
        raise UsageError(
            Problem(
                "E-run-sweep",
                f"{found.name} is a sweep: it has many points, and no plan of its own",
                rule="this is about the run of one scenario",
                fix="solve the point that you mean: kpiopt solve SCENARIO --set PATH=VALUE",
            )
        )

    def find_any(self, text: str) -> StoredRun:
        """Return a run or a sweep by its folder, its name or the beginning of its name or id.

        Raises
        ------
        UsageError
            When there is none, or more than one.
        """
        for folder in (Path(text), self.root / text):
            if _document_file(folder):
                return read_run(folder)
        found = [r for r in self.runs() if r.name.startswith(text) or r.name.rpartition("-")[2].startswith(text)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(r.name for r in (found or self.runs())[:10])
        raise UsageError(
            Problem(
                "E-run",
                f"{text!r} names {len(found)} runs in {self.root}" if found else f"no run {text!r} in {self.root}",
                fix=f"choose one of: {known}" if known else "solve a scenario first: kpiopt solve SCENARIO",
            )
        )

    def remove(self, run: StoredRun) -> None:
        """Remove a run; hidden first, so that a run half removed never looks whole."""
        with hold_lock(_hidden(run.folder, "lock")):
            gone = _hidden(run.folder, "partial")
            remove_tree(gone)
            move(run.folder, gone)
            remove_tree(gone)


def open_store(root: Path, inputs: Iterable[Path] = ()) -> RunStore:
    """Check that a folder can hold runs, before anything is solved.

    Parameters
    ----------
    root : Path
        It is made where its parent exists.
    inputs : iterable of Path
        The files of the scenario; runs are not written among them.

    Raises
    ------
    OutputError
    """
    if root.exists() and not root.is_dir():
        raise _refusal("E-output-file", root, "is a file, not a folder")
    if any(path.resolve().parent == root.resolve() for path in inputs):
        raise _refusal("E-output-is-input", root, "is the folder of the scenario or of its tables")
    if not root.exists():
        if not root.parent.is_dir():
            raise _refusal("E-output-missing", root, f"cannot be made: there is no folder {root.parent}")
        make_folder(root)
    return RunStore(root)


def read_run(folder: Path) -> StoredRun:
    """Read a run folder; what is wrong with it is part of the answer."""
    name = _document_file(folder) or RUN_FILE
    try:
        document = json.loads((folder / name).read_text("utf-8"))
        files = document["manifest"]["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return StoredRun(folder, {}, (name,))
    damage = (name for name, entry in files.items() if _size(folder / name) != entry["bytes"])
    return StoredRun(folder, document, tuple(damage))


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
    return [name for name, entry in files.items() if hash_file(run.folder / name) != entry["sha256"]]


def is_intact(run: StoredRun) -> bool:
    """Whether a run is whole and unaltered."""
    return run.is_complete and not altered_files(run)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _hidden(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.name}.{suffix}")


def _recover(target: Path) -> None:
    """Finish what a killed process left of a run; the caller holds its lock."""
    former = _hidden(target, "former")
    if former.exists() and not target.exists():
        move(former, target)
    remove_tree(former)
    remove_tree(_hidden(target, "partial"))


def _refusal(code: str, root: Path, what: str) -> OutputError:
    return OutputError(
        Problem(code, f"{root} {what}", rule="runs are written into a folder of their own", fix="choose another --out")
    )
