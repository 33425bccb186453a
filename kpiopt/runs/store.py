"""The runs folder: finished runs side by side, each whole; a run in the making is hidden until it is done.

runs/base-3f2a91c0/             a finished run
runs/.base-3f2a91c0.partial/    a run in the making; left behind by a killed process, it is removed by the next
runs/.base-3f2a91c0.former/     an earlier folder of the same run while the new one takes its place
runs/.base-3f2a91c0.lock        who is writing
runs/.sweep-….journal/          the points of a sweep that is not finished
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kpiopt.errors import KpioptError, Locked, OutputError, Problem, UsageError
from kpiopt.runs.durable import (
    failing_as_output,
    make_folder,
    move,
    remove_if_empty,
    remove_tree,
    sync_folder,
    write_file,
)
from kpiopt.runs.lock import hold_lock
from kpiopt.runs.stored_run import StoredRun, foreign_files, is_run, may_be_run, read_run


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
        with failing_as_output(self.folder):
            for folder in (self.folder, *(path for path in self.folder.iterdir() if path.is_dir())):
                sync_folder(folder)
        former = _hidden(self.target, "former")
        if self.target.exists():
            move(self.target, former)
        move(self.folder, self.target)
        remove_tree(former)
        return self.target


@dataclass(frozen=True)
class RunStore:
    """A folder of runs."""

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
                except (Locked, OutputError):  # in use, or somebody else's
                    continue

    def runs(self) -> list[StoredRun]:
        """Return runs and sweeps in the order in which they were started, by their own record."""
        found = [run for run in map(read_run, self._folders()) if run.document or is_run(run.folder)]
        return sorted(found, key=lambda run: (run.manifest.get("started", ""), run.name))

    def _folders(self) -> list[Path]:
        """Return the folders that may be runs; those that begin with a dot are being made or removed."""
        try:
            entries = sorted(self.root.iterdir())
        except (FileNotFoundError, ValueError):
            return []
        except OSError as error:
            raise _refusal("E-runs-unreadable", self.root, f"cannot be read: {error.strerror}") from None
        return [f for f in entries if not f.name.startswith(".") and may_be_run(f)]

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
        for folder in (Path(text), self.root / text) if text else ():
            folder = folder if folder.name not in ("", "..") else Path(os.path.realpath(folder))
            if is_run(folder):
                return read_run(folder)
        names = [folder.name for folder in self._folders() if is_run(folder)]
        found = [n for n in names if text and (n.startswith(text) or n.rpartition("-")[2].startswith(text))]
        if len(found) == 1:
            return read_run(self.root / found[0])
        known = ", ".join(self._with_times(found) if found else names[:10])
        raise UsageError(
            Problem(
                "E-run",
                f"{text!r} names {len(found)} runs in {self.root}" if found else f"no run {text!r} in {self.root}",
                fix=f"choose one of: {known}" if known else "solve a scenario first: kpiopt solve SCENARIO",
            )
        )

    def _with_times(self, names: Sequence[str]) -> list[str]:
        """Return names of runs with the time at which each was made, the newest first; ten at most."""
        made = sorted(((self._started(name), name) for name in names), reverse=True)
        return [f"{name} of {time[:16].replace('T', ' ')} UTC" if time else name for time, name in made[:10]]

    def _started(self, name: str) -> str:
        """Return when a run was begun; "" where its folder does not say."""
        try:
            return str(read_run(self.root / name).document["manifest"]["started"])
        except (KpioptError, KeyError, TypeError):
            return ""

    def find_removable(self, texts: Iterable[str]) -> list[StoredRun]:
        """Return runs that may be removed, each once: they stand in this folder and hold nothing but themselves.

        Raises
        ------
        UsageError
            Naming all that may not; then none is to be removed.
        """
        found: dict[Path, StoredRun] = {}
        problems: list[Problem] = []
        for text in texts:
            try:
                run = self.find_any(text)
            except UsageError as error:
                problems += error.problems
                continue
            problems += self._objections(run)
            found[Path(os.path.realpath(run.folder.parent)) / run.name] = run
        if problems:
            raise UsageError(*problems)
        return list(found.values())

    def _objections(self, run: StoredRun) -> Iterator[Problem]:
        if os.path.realpath(run.folder.parent) != os.path.realpath(self.root):
            message, fix = f"{run.folder} does not stand in {self.root}", f"say --out {run.folder.parent}"
            yield Problem("E-run-elsewhere", message, "runs are removed from one runs folder", fix)
        foreign = foreign_files(run)
        if foreign:
            message = f"{run.folder} holds what is not of the run: {', '.join(foreign[:5])}"
            yield Problem("E-run-foreign", message, "only what kpiopt wrote is removed", "move it elsewhere first")

    def remove(self, run: StoredRun) -> None:
        """Remove a run; hidden first, so that a run half removed never looks whole."""
        with hold_lock(_hidden(run.folder, "lock")):
            gone = _hidden(run.folder, "partial")
            remove_tree(gone)
            if run.folder.is_symlink() or run.folder.exists():  # else another process was quicker
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
    with failing_as_output(root):
        real = Path(os.path.realpath(root))
        if os.path.lexists(real) and not real.is_dir():
            is_circle = real.is_symlink()  # every other link was followed
            raise _refusal("E-output-file", root, "is a link in a circle" if is_circle else "is a file, not a folder")
        if any(Path(os.path.realpath(path)).parent == real for path in inputs):
            raise _refusal("E-output-is-input", root, "is the folder of the scenario or of its tables")
        if not root.exists():
            if not root.parent.is_dir():
                raise _refusal("E-output-missing", root, f"cannot be made: there is no folder {root.parent}")
            root.mkdir(exist_ok=True)
    return RunStore(root)


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
