"""Interruption: Ctrl-C ends with 130, SIGTERM (or a closed terminal) with 143, within two seconds.

The Python handlers raise, so that everything unwinds: the solver is cancelled, temporary folders are removed, locks
are released. Where the main thread is deep in compiled code and cannot unwind in time, a watcher thread ends the
process; what it leaves behind is marked as unfinished and is removed by the next run.

Time limits: work ends at its deadline by itself wherever it looks at the clock: between steps, in the solver's
iterations, in every block of draws. But some of it is compiled code that looks at nothing and lets no other thread run,
such as a factorisation of an interior-point method. So a command with a time limit is done by a child of this process,
which ends the child where it is still at work well after the limit; what it was about to keep is unfinished, and
removed by the next run. Where there is no `fork` (Windows) the looks at the clock are all there is. Commands whose
answer is whole or nothing need no looks: an alarm unwinds them as Ctrl-C does. A limit counts from the process's start.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from kpiopt.cli.failure import end_with
from kpiopt.cli.terminal import show_cursor
from kpiopt.deadline import WHOLE, Deadline
from kpiopt.errors import ExitCode

GRACE_SECONDS = 1.5
WATCH_SECONDS = 0.1

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _CODES[signal.SIGHUP] = ExitCode.TERMINATED


_told: list[ExitCode] = []


def stopped_by() -> ExitCode | None:
    """Return the exit code of the first signal of this command: compiled code may turn its exception into another."""
    return _told[0] if _told else None


def _raise_exit(number: int, _frame: FrameType | None) -> None:
    """Unwind the main thread with the signal's exit code."""
    _told.append(_CODES[signal.Signals(number)])
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
    _told.clear()
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


STILL_SECONDS = 1.5
"""After the limit, for work that has no certified plan: it is told by then that the time is up, or stands still."""
CERTIFIED_SECONDS = 30.0
"""After the limit, for work that has a certified plan: to round it, to write it down and to say what is missing."""

LONGEST_START = 600.0
"""Seconds beyond which the age that the system tells of a process that just starts is no age."""

_begun: float | None = None

_OPTION = "--time-limit"
_CERTIFIED = b"c"
_to_guard: int | None = None


def run_guarded(run: Callable[[], int], words: Sequence[str]) -> int:
    """Run a command; where it has a time limit, in a child that is ended well after it.

    Parameters
    ----------
    run : callable
        The whole command.
    words : sequence of str
        The words of the command line.

    Returns
    -------
    int
        The exit code; 7 where the child had to be ended.
    """
    global _begun
    _begun = time.monotonic() - _age()
    seconds = limit_of(words)
    if math.isinf(seconds) or not hasattr(os, "fork"):
        return run()
    deadline = command_deadline(seconds)
    from_child, to_guard = os.pipe()
    from_guard, to_child = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(from_child)
        os.close(to_child)
        return _run_watched(run, to_guard, from_guard)
    os.close(to_guard)
    os.close(from_guard)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: os.kill(child, received))
    return _watch(child, from_child, deadline, words)


def command_deadline(seconds: float) -> Deadline:
    """Return the deadline of a command: so long after the start of its process, or from now where Python calls it."""
    from_now = Deadline.after(seconds)
    return from_now if _begun is None else Deadline(_begun + seconds, seconds)


def _age() -> float:
    """Return how long this process has been there: by the system where it tells, else by the work it has done."""
    worked = time.process_time()
    try:
        ticks = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return worked
    return age if worked <= age <= LONGEST_START else worked


def limit_of(words: Sequence[str]) -> float:
    """Return the time limit that words of a command line ask for; inf where there is none, or it is no number."""
    found = math.inf
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name != _OPTION:
            continue
        text = value if equals else "".join(words[i + 1 : i + 2])
        try:
            found = float(text)
        except ValueError:
            return math.inf
    return found if found >= 0.0 else math.inf


def mark_certified() -> None:
    """Tell the guard that there is an answer worth waiting for, such as a certified plan."""
    if _to_guard is not None:
        os.write(_to_guard, _CERTIFIED)


def _run_watched(run: Callable[[], int], to_guard: int, from_guard: int) -> int:
    """Run the command in a process group of its own, where Ctrl-C comes from the guard; end with it."""
    global _to_guard
    os.setpgid(0, 0)
    _to_guard = to_guard
    threading.Thread(target=_end_with_guard, args=(from_guard,), daemon=True).start()
    return run()


def _end_with_guard(from_guard: int) -> None:
    """Wait until the guard is gone, however it ended, and go too."""
    os.read(from_guard, 1)
    os._exit(int(ExitCode.TERMINATED))


def _watch(child: int, from_child: int, deadline: Deadline, words: Sequence[str]) -> int:
    """Wait for the child's end; end it where it overstays."""
    end = max(deadline.moment, time.monotonic()) + STILL_SECONDS
    while True:
        ready, _, _ = select.select([from_child], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            show_cursor()
            return int(end_with(deadline.reached("the work came to an end", WHOLE), words, debug=False))
        if os.read(from_child, 1) != _CERTIFIED:  # closed: the child has ended
            status = os.waitpid(child, 0)[1]
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        end = max(deadline.moment, time.monotonic()) + CERTIFIED_SECONDS
