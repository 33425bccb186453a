"""Ctrl-C while points are being answered: what is in hand is finished where that takes less than a second.

The signal is noted instead of raised, so that it never falls between finishing a point and keeping it. Who hands out
points asks `requested` and stops doing so. When patience ends, or on a second Ctrl-C, it is raised after all.
"""

from __future__ import annotations

import signal
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE_SECONDS = 0.8
WATCH_SECONDS = 0.1

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interruption:
    """Whether somebody wants to stop.

    Parameters
    ----------
    patience : float
        Seconds from the signal until it is raised.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._number: int | None = None
        self._timer: threading.Timer | None = None
        self._ended = threading.Event()
        self._seen = time.monotonic()
        self._before = _handlers()

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def begin(self) -> None:
        """Note signals from now on."""
        threading.Thread(target=self._watch, daemon=True).start()
        for number in self._before:
            signal.signal(number, self.note)

    def _watch(self) -> None:
        """Remember when Python code last ran: compiled code may hold it up, and signals with it."""
        while not self._ended.wait(WATCH_SECONDS):
            self._seen = time.monotonic()

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first one is noted, the second one does what it did before."""
        if self._number is not None:
            self._pass_on(signal.Signals(number), frame)
            return
        self._number = number
        held_up = max(0.0, time.monotonic() - self._seen - WATCH_SECONDS)
        self._timer = threading.Timer(max(0.0, self._patience - held_up), _signal_main_thread, (number,))
        self._timer.daemon = True
        self._timer.start()

    def _pass_on(self, number: signal.Signals, frame: FrameType | None) -> None:
        """Do what a signal did before."""
        handler = self._before[number]
        if callable(handler):
            handler(number, frame)
        else:
            signal.signal(number, handler)
            signal.raise_signal(number)

    def end(self) -> None:
        """Handle signals as before."""
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_noted(self) -> None:
        """Raise the signal that was noted, if there was one."""
        if self._number is not None:
            signal.raise_signal(self._number)


def _handlers() -> dict[signal.Signals, Any]:
    """Return what is done now on the signals that ask to stop; not those that are ignored, as SIGHUP under nohup."""
    numbers = [signal.Signals[name] for name in _NAMES if hasattr(signal, name)]
    found = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}


def _signal_main_thread(number: int) -> None:
    """Send a signal to the main thread; where threads cannot be sent one, it is noticed at its next step."""
    thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and thread is not None:
        signal.pthread_kill(thread, number)
    else:
        interrupt_main(signal.Signals(number))


@contextmanager
def deferred_interruption(patience: float = PATIENCE_SECONDS) -> Iterator[Interruption]:
    """Note SIGINT, SIGTERM and SIGHUP while the block runs; raise what was noted when it ends. Main thread only."""
    interruption = Interruption(patience)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    interruption.begin()
    try:
        yield interruption
    finally:
        interruption.end()
    interruption.raise_noted()
