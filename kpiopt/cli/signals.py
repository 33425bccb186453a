"""Interruption: Ctrl-C ends with 130, SIGTERM with 143, within two seconds whatever the solver is doing.

The Python handlers raise, so that everything unwinds: the solver is cancelled, temporary folders are removed, locks
are released. Where the main thread is deep in compiled code and cannot unwind in time, a watcher thread ends the
process; what it leaves behind is marked as unfinished and is removed by the next run.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kpiopt.errors import ExitCode

GRACE_SECONDS = 1.5

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


def _raise_exit(number: int, _frame: FrameType | None) -> None:
    """Unwind the main thread with the signal's exit code."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(int(ExitCode.TERMINATED))


@contextmanager
def handled_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into exceptions, with a watcher that enforces the deadline; restores on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise_exit) for number in _CODES}
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    earlier = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    finished = threading.Event()
    threading.Thread(target=_enforce_deadline, args=(reader, finished), daemon=True).start()
    try:
        yield
    finally:
        finished.set()
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()


def _enforce_deadline(reader: socket.socket, finished: threading.Event) -> None:
    """Wait for the first signal (one byte, its number); end the process when it has not unwound in time."""
    with reader:  # open to the end: a second signal must find somebody to write to
        received = reader.recv(1)
        if received and not finished.wait(GRACE_SECONDS):
            os._exit(int(_CODES.get(signal.Signals(received[0]), ExitCode.INTERRUPTED)))
