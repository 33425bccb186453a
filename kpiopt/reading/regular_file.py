"""Reading files: only regular files, never a blocking open; those that a document names never outside the project."""

from __future__ import annotations

import errno
import os
import re
import stat
from io import BufferedReader
from pathlib import Path

from kpiopt.errors import InputError, Location, Problem, ScenarioError, SecurityError
from kpiopt.reading.key_path import did_you_mean

ROOT_MARKERS = ("pyproject.toml", ".git", "kpiopt.toml")
"""A folder that holds one of these is the root of a project."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|(?:file|data|https?|ftp):", re.IGNORECASE)
_DRIVE_OR_SHARE = re.compile(r"[A-Za-z]:|\\\\|//")
# A pipe without a writer would block an ordinary open; symbolic links are resolved before, and none is followed then.
_OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
_RULE = "paths are relative to the file that contains them and stay inside the project"


class NotRegularError(OSError):
    """What stands at a path is a device, a pipe or a socket: it could block, or never end."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "is a device, pipe or socket, not a regular file")


def open_regular(path: Path, *, follow: bool = True) -> BufferedReader:
    """Open a regular file for reading; the one way in which kpiopt opens what others have written.

    Parameters
    ----------
    follow : bool
        Whether a link at the path is followed; not where the path was resolved and checked before.

    Raises
    ------
    OSError
        As the operating system gives it; `NotRegularError` for what is neither a file nor a folder.
    ValueError
        Where the path has a NUL character.
    """
    descriptor = os.open(os.path.realpath(path) if follow else path, _OPEN_FLAGS)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise NotRegularError
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, most: int) -> bytes:
    """Read a whole regular file of at most so many bytes, links followed.

    Raises
    ------
    OSError
        As `open_regular`, and where the file is larger.
    ValueError
        Where the path has a NUL character.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return content


def is_regular(path: Path) -> bool:
    """Whether a regular file stands at a path, links followed; never raises."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def project_root(scenario: Path) -> Path:
    """Return the folder that no path in a document may leave.

    That is the nearest folder at or above the scenario file which holds `pyproject.toml`, `.git` or `kpiopt.toml`.
    Where there is none, it is the folder above the scenario's own, so that `scenarios/` and `models/` can stand side
    by side anywhere; the root of the file system is never taken.

    Parameters
    ----------
    scenario : Path
        The main file, symbolic links resolved.
    """
    folder = scenario.parent
    for candidate in (folder, *folder.parents):
        if any(_exists(candidate / marker) for marker in ROOT_MARKERS):
            return candidate
    above = folder.parent
    return folder if above == above.parent else above


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def display_path(path: Path) -> str:
    """Write a path for messages: relative to the working folder where it lies in or beside it, else absolute."""
    here = Path.cwd()
    if path.is_relative_to(here):
        return path.relative_to(here).as_posix()
    if here.parent != here.parent.parent and path.is_relative_to(here.parent):
        return f"../{path.relative_to(here.parent).as_posix()}"
    return path.as_posix()


def resolve_inside(text: str, folder: Path, root: Path, location: Location | None) -> Path:
    """Resolve a path that a document names; the file need not exist.

    Parameters
    ----------
    text : str
        The path as written.
    folder : Path
        The folder of the file that contains it.
    root : Path
        The project root, see `project_root`.
    location : Location or None
        Where it is written.

    Raises
    ------
    SecurityError
        If the path is absolute, a URL, begins with "~", leaves the root (also through a symbolic link), or is a
        device, pipe or socket.
    ScenarioError
        If it is empty or written with backslashes.
    """
    kind = _unsafe_kind(text)
    if kind:
        raise SecurityError(Problem("E-path-outside", f"'{text}' is {kind}", _RULE, "write a relative path", location))
    if not text.strip() or "\\" in text:
        what = "has backslashes" if text.strip() else "is empty"
        raise ScenarioError(Problem("E-path-form", f"the path '{text}' {what}", _RULE, "write folder/file", location))
    path = Path(os.path.realpath(folder / text))
    if not path.is_relative_to(root):
        message = f"'{text}' leads to {path}, outside the project folder {root}"
        fix = "move the file into the project, or mark a folder above both with an empty kpiopt.toml"
        raise SecurityError(Problem("E-path-outside", message, _RULE, fix, location))
    refuse_special_file(path, text, location)
    return path


def _unsafe_kind(text: str) -> str:
    if text.startswith("~"):
        return "a home folder"
    if text.startswith("/") or _DRIVE_OR_SHARE.match(text):
        return "an absolute path"
    if _URL.match(text):
        return "a URL"
    return "no file name: it has a NUL character" if "\0" in text else ""


def refuse_special_file(path: Path, text: str, location: Location | None) -> None:
    """Refuse devices, pipes and sockets, which could block or never end.

    Raises
    ------
    SecurityError
        If `path` exists and is neither a regular file nor a folder.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # what reads the file says it better
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise SecurityError(_not_regular(text, location))


def _not_regular(text: str, location: Location | None) -> Problem:
    message = f"'{text}' is a device, pipe or socket"
    return Problem("E-file-special", message, "only regular files are read", "name an ordinary file", location)


DOCUMENT = "a TOML document", "move units and cells to tables (CSV or Parquet)"


def read_regular_file(
    path: Path, text: str, limit: int, location: Location | None, kind: tuple[str, str] = DOCUMENT
) -> bytes:
    """Read a whole file of at most `limit` bytes.

    Parameters
    ----------
    path : Path
        The file, symbolic links resolved.
    text : str
        The path as the planner wrote it.
    limit : int
        Largest size in bytes; a larger file is refused before it is read.
    location : Location or None
        Where the path is written.
    kind : (str, str)
        What the file is, and what to do where it is too large.

    Raises
    ------
    SecurityError
        If it is not a regular file or too large.
    ScenarioError
        If it does not exist, is a folder or may not be read.
    """
    try:
        with open_regular(path, follow=False) as stream:
            size = os.fstat(stream.fileno()).st_size
            raw = stream.read(limit + 1) if size <= limit else b""
    except NotRegularError:
        raise SecurityError(_not_regular(text, location)) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, text, location, error) from None
    if len(raw) > limit or size > limit:
        raise SecurityError(_too_large(text, max(size, len(raw)), limit, location, kind))
    return raw


def _too_large(text: str, size: int, limit: int, location: Location | None, kind: tuple[str, str]) -> Problem:
    what, fix = kind
    return Problem("E-file-size", f"'{text}' has {size:,} bytes", f"{what} has at most {limit:,} bytes", fix, location)


def unreadable(path: Path, text: str, location: Location | None, error: OSError | ValueError) -> InputError:
    """Return the error for a file that cannot be opened, with the path as given and resolved."""
    if isinstance(error, ValueError):
        reason, fix = "cannot be read (a NUL character in its name)", "check the spelling"
    elif isinstance(error, IsADirectoryError):
        reason, fix = "is a folder", "name a file in it"
    elif isinstance(error, FileNotFoundError):
        reason, fix = "does not exist", _neighbour(path)
    else:
        reason, fix = f"cannot be read ({error.strerror})", "check its permissions"
    message = f"the file '{text}' {reason} ({path})"
    return ScenarioError(Problem("E-file-missing", message, fix=fix, location=location))


def _neighbour(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return f"the folder {path.parent} does not exist either"
    return did_you_mean(path.name, names) or "check the spelling"
