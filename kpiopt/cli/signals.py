"""Interruption: Ctrl-C ends with 130, SIGTERM (or a closed terminal) with 143, within two seconds.

The Python handlers raise, so that everything unwinds: the solver is cancelled, temporary folders are removed, locks
are released. Where the main thread is deep in compiled code and cannot unwind in time, a watcher thread ends the
process; what it leaves behind is marked as unfinished and is removed by the next run.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from kpiopt.cli.terminal import show_cursor
from kpiopt.errors import ExitCode

GRACE_SECONDS = 1.5
WATCH_SECONDS = 0.1

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _CODES[signal.SIGHUP] = ExitCode.TERMINATED


def _raise_exit(number: int, _frame: FrameType | None) -> None:
    """Unwind the main thread with the signal's exit code."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(int(ExitCode.TERMINATED))


def _handled() -> list[signal.Signals]:
    """Return the signals that are handled: not SIGHUP where somebody ignores it (nohup)."""
    return [n for n in _CODES if n.name != "SIGHUP" or signal.getsignal(n) == signal.SIG_DFL]


@contextmanager
def handled_signals(on_deadline: Callable[[ExitCode], None] = lambda code: None) -> Iterator[None]:
    """Turn signals into exceptions, with a watcher that enforces the deadline; restores on the way out.

    Parameters
    ----------
    on_deadline : callable
        Called with the exit code right before the watcher ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise_exit) for number in _handled()}
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    earlier = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    finished = threading.Event()
    threading.Thread(target=_enforce_deadline, args=(reader, finished, on_deadline), daemon=True).start()
    try:
        yield
    finally:
        finished.set()
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()


def _enforce_deadline(
    reader: socket.socket, finished: threading.Event, on_deadline: Callable[[ExitCode], None]
) -> None:
    """Wait for the first signal (one byte, its number); end the process when it has not unwound in time."""
    with reader:  # open to the end: a second signal must find somebody to write to
        code, held_up = _first_signal(reader)
        if code is not None and not finished.wait(max(0.0, GRACE_SECONDS - held_up)):
            show_cursor()
            on_deadline(code)
            os._exit(int(code))


def _first_signal(reader: socket.socket) -> tuple[ExitCode | None, float]:
    """Return the exit code of the first signal, and how long it may have waited while compiled code held up Python."""
    reader.settimeout(WATCH_SECONDS)
    seen = time.monotonic()
    while True:
        try:
            received = reader.recv(1)
        except TimeoutError:
            seen = time.monotonic()
            continue
        if not received or received[0] in _CODES:
            code = _CODES[signal.Signals(received[0])] if received else None
            return code, max(0.0, time.monotonic() - seen - WATCH_SECONDS)
