"""Files that are there whole or not at all: written, forced to disk, then renamed.

Every change to a runs folder goes through these few functions, so that a full disk, a lost power supply or a killed
process can be tested at each of them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kpiopt.errors import OutputError, Problem

_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and force it to disk.

    Raises
    ------
    OutputError
        When it cannot be written; the message says how much space it needs.
    """
    with failing_as_output(path, len(content)), path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file aside and rename it over an earlier one, which stays as it was when anything fails.

    Raises
    ------
    OutputError
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with failing_as_output(path):
            aside.unlink(missing_ok=True)
        write_file(aside, content)
        move(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def require_place(path: Path, inputs: Iterable[str | Path] = ()) -> None:
    """Check that a file can be written, before the work that it is to hold: in a folder, over nothing that is read.

    Parameters
    ----------
    path : Path
    inputs : iterable of str or Path
        Files of the scenario.

    Raises
    ------
    OutputError
    """
    rule = "results are written beside what they are made of"
    if any(path.resolve() == Path(file).resolve() for file in inputs):
        raise OutputError(
            Problem("E-output-is-input", f"{path} is a file of the scenario", rule, "choose another name")
        )
    if path.is_dir():
        raise OutputError(Problem("E-output", f"{path} is a folder", rule, "name a file in it"))
    if not path.parent.is_dir():
        message = f"{path} cannot be made: there is no folder {path.parent}"
        raise OutputError(Problem("E-output-missing", message, rule, "make the folder, or choose another name"))


def move(source: Path, target: Path) -> None:
    """Rename within one folder and force the folder to disk."""
    with failing_as_output(target):
        source.replace(target)
        sync_folder(target.parent)


def make_folder(path: Path) -> None:
    """Make a folder in an existing one."""
    with failing_as_output(path):
        path.mkdir()
        sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, or a file; nothing where there is none."""
    with failing_as_output(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_if_empty(path: Path) -> None:
    """Remove a folder in which nothing stands: a refused question leaves nothing behind."""
    with suppress(OSError):  # not there, or another process has begun to write in it
        path.rmdir()


def sync_folder(path: Path) -> None:
    """Force a folder's entries to disk; systems that cannot open a folder (Windows) do so by themselves."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def failing_as_output(path: Path, n_bytes: int | None = None) -> Iterator[None]:
    """Turn an operating system's refusal into an `OutputError` in plain words."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            needed = f"; it needs {n_bytes:,} bytes" if n_bytes is not None else ""
            raise OutputError(
                Problem(
                    "E-disk-full",
                    f"no space is left to write {path}{needed}",
                    rule="earlier runs stay as they are; nothing half-written is kept",
                    fix="free some space or choose another folder with --out",
                )
            ) from error
        raise OutputError(
            Problem(
                "E-output",
                f"{path} cannot be written: {error.strerror or error}",
                fix="choose a folder that you may write to with --out",
            )
        ) from error
