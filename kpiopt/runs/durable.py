"""Files that are there whole or not at all: written, forced to disk, then renamed.

Every change to a runs folder goes through these few functions, so that a full disk, a lost power supply or a killed
process can be tested at each of them.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kpiopt.errors import OutputError, Problem
from kpiopt.reading.regular_file import open_regular
from kpiopt.runs.stored_run import DOCUMENT_FILES

ASIDE_NAME = 100
"""How much of a file's name the one that is written aside bears: names have an end at 255 bytes."""

WRITTEN_BY = "written by kpiopt"
"""What files that could be anybody's say near their beginning or end."""

PRIVATE = 0o600
"""Mode of what tells who is paid what, as results do."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MARKS = (
    b"Content-Security-Policy\" content=\"default-src 'none'", b'"title": "kpiopt scenario"', b'"schema": "kpiopt.map/',
    WRITTEN_BY.encode(),
)  # fmt: skip


def write_file(path: Path, content: bytes, *, is_private: bool = True) -> None:
    """Write a new file and force it to disk.

    Parameters
    ----------
    is_private : bool
        Whether it is for its owner alone, as what tells pay is; else the system's usual mode (umask) holds.

    Raises
    ------
    OutputError
        When it cannot be written; the message says how much space it needs.
    """
    with failing_as_output(path, len(content)), path.open("xb") as file:
        if is_private and os.name != "nt":
            os.fchmod(file.fileno(), PRIVATE)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes, *, is_private: bool = True) -> None:
    """Write a file aside and rename it over an earlier one, which stays as it was when anything fails.

    Parameters
    ----------
    path, content, is_private
        As for `write_file`.

    Raises
    ------
    OutputError
    """
    with failing_as_output(path):
        aside = path.with_name(f".{path.name[:ASIDE_NAME]}.{os.getpid()}.partial")
    try:
        with failing_as_output(path):
            aside.unlink(missing_ok=True)
        write_file(aside, content, is_private=is_private)
        move(aside, path)
    except BaseException:
        with suppress(OSError, ValueError):  # a place where nothing can be written: nothing is there to be removed
            aside.unlink(missing_ok=True)
        raise


def write_output(
    path: Path,
    content: bytes,
    inputs: Iterable[str | Path] = (),
    *,
    force: bool | None = None,
    is_private: bool = True,
) -> None:
    """Write a file that a planner names, whole or not at all; see `require_place` and `write_file`.

    Raises
    ------
    OutputError
    """
    require_place(path, inputs, force=force)
    replace_file(Path(os.path.realpath(path)), content, is_private=is_private)


def require_place(path: Path, inputs: Iterable[str | Path] = (), *, force: bool | None = None) -> None:
    """Check that a file can be written, before the work that it is to hold: in a folder, over nothing of anybody's.

    Parameters
    ----------
    inputs : iterable of str or Path
        Files of the scenario: nothing is ever written over them.
    force : bool, optional
        Whether a file that kpiopt did not write may be replaced; None for a command that does not ask.

    Raises
    ------
    OutputError
    """
    rule = "results are written beside what they are made of, over nothing that is not kpiopt's own"
    with failing_as_output(path):
        place = Path(os.path.realpath(path))
        if any(_is_same(place, Path(os.path.realpath(file))) for file in inputs):
            raise _no_place("E-output-is-input", f"{path} is a file of the scenario", rule, "choose another name")
        mode = _mode(place)
        if str(path) in ("", ".") or (mode is not None and stat.S_ISDIR(mode)):
            raise _no_place("E-output", f"{str(path)!r} is a folder", rule, "name a file in it")
        if mode is not None and stat.S_ISLNK(mode):
            raise _no_place("E-output-special", f"{path} is a link in a circle", rule, "name an ordinary file")
        if mode is not None and not stat.S_ISREG(mode):
            raise _no_place("E-output-special", f"{path} is a device, pipe or socket", rule, "name an ordinary file")
        if not place.parent.is_dir():
            message = f"{path} cannot be made: there is no folder {path.parent}"
            raise _no_place("E-output-missing", message, rule, "make the folder, or choose another name")
        if mode is None or force is None or _is_ours(place):
            return
        if any((place.parent / name).is_file() for name in DOCUMENT_FILES):
            raise _no_place("E-output-exists", f"{path} belongs to a kept run", rule, "choose another name")
        if path.is_symlink():
            raise _no_place("E-output-exists", f"{path} is a link to {place}", rule, "name the file itself")
        if not force:
            message = f"{path} is there already, and kpiopt did not write it"
            raise _no_place("E-output-exists", message, rule, "choose another name, or say --force to replace it")


def _no_place(code: str, message: str, rule: str, fix: str) -> OutputError:
    return OutputError(Problem(code, message, rule, fix))


def _is_same(place: Path, file: Path) -> bool:
    """Whether two paths lead to one file, be it by another name of it."""
    with suppress(OSError):
        return place == file or place.samefile(file)
    return False


def _mode(place: Path) -> int | None:
    """Return what stands at a path; None where nothing does."""
    try:
        return place.lstat().st_mode
    except FileNotFoundError:
        return None


def _is_ours(place: Path) -> bool:
    """Whether a file is empty, or begins or ends as those that kpiopt writes."""
    with open_regular(place) as file:
        ends = file.read(4096)
        file.seek(max(len(ends), os.fstat(file.fileno()).st_size - 64))
        ends += file.read()
    return not ends or any(mark in ends for mark in _MARKS)


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
    except ValueError as error:
        if "\0" not in str(path):
            raise
        fix = "correct the name"
        raise OutputError(Problem("E-output", f"{path} cannot be written: a NUL character in it", fix=fix)) from error
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
                fix="choose a place that you may write to",
            )
        ) from error
