"""One process at a time writes a run folder; the operating system releases the lock of a process that dies."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from kpiopt.errors import Locked, OutputError, Problem
from kpiopt.reading.regular_file import open_regular
from kpiopt.runs.durable import failing_as_output

_HELD = (errno.EACCES, errno.EDEADLK) if sys.platform == "win32" else (errno.EAGAIN, errno.EWOULDBLOCK)
"""What the system says of a lock that another process holds; whatever else it says is not about others."""

NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
"""A lock that is a link would be signed over what it points to, or be waited for where that is missing."""


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock while the block runs; the lock file says who holds it and is removed afterwards.

    Raises
    ------
    Locked
        When another process holds it.
    OutputError
        When the lock file cannot be made.
    """
    handle = _acquire(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path) -> int:
    """Open and lock; a file that its former holder removed in between is not the one to hold, so try again."""
    while True:
        with failing_as_output(path):
            try:
                path.parent.mkdir(exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINKS, 0o644)
            except FileNotFoundError:
                if path.parent.parent.is_dir():  # another process has removed its empty folder in between
                    continue
                raise
        try:
            is_ours = _lock_or_close(handle)
        except OSError as error:
            raise OutputError(_no_locks(path, error)) from error
        if not is_ours:
            raise Locked(_who_holds(path))
        if _is_same_file(handle, path):
            _sign(handle)
            return handle
        os.close(handle)


def _sign(handle: int) -> None:
    """Write who holds a lock; it is held all the same where no space is left for that."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(_holder()).encode())


def _lock_or_close(handle: int) -> bool:
    """Return whether the lock is ours now.

    Raises
    ------
    OSError
        Where the file system knows no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno not in _HELD:
            raise
        return False
    return True


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _holder() -> dict[str, str | int]:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": started}


def _no_locks(path: Path, error: OSError) -> Problem:
    return Problem(
        "E-lock",
        f"{path} cannot be locked: {error.strerror or error}",
        rule="one process at a time writes a run, which only a lock can promise",
        fix="choose a folder on a disk of this machine with --out: not every network drive knows locks",
    )


def _who_holds(path: Path) -> Problem:
    """Name the process that holds a lock, as far as its file tells."""
    try:
        with open_regular(path) as file:
            holder = json.loads(file.read(4096))
        who = f"process {holder['pid']} on {holder['host']}, since {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another process"
    name = path.name.removeprefix(".").removesuffix(".lock").removesuffix(".journal")
    return Problem(
        "E-locked",
        f"the run {name} is being written by {who}",
        rule="one process at a time writes a run",
        fix="wait for it, or choose another folder with --out",
    )
