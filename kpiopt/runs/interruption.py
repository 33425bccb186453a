"""Ctrl-C while points are being answered: what is in hand is finished where that takes less than a second.

The signal is noted instead of raised, so that it never falls between finishing a point and keeping it. Who hands out
points asks `requested` and stops doing so. When patience ends, or on a second Ctrl-C, it is raised after all.
"""

from __future__ import annotations

import signal
import threading
from _thread import interrupt_main
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE_SECONDS = 0.8

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first one is noted, the second one does what it did before."""
        handler = self._before[signal.Signals(number)]
        if self._number is not None and callable(handler):
            handler(number, frame)
        self._number = number
        self._timer = threading.Timer(self._patience, _signal_main_thread, (number,))
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Handle signals as before."""
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_noted(self) -> None:
        """Raise the signal that was noted, if there was one."""
        if self._number is not None:
            signal.raise_signal(self._number)


def _signal_main_thread(number: int) -> None:
    """Send a signal to the main thread; where threads cannot be sent one, it is noticed at its next step."""
    thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and thread is not None:
        signal.pthread_kill(thread, number)
    else:
        interrupt_main(signal.Signals(number))


@contextmanager
def deferred_interruption(patience: float = PATIENCE_SECONDS) -> Iterator[Interruption]:
    """Note SIGINT and SIGTERM while the block runs, and raise what was noted when it ends; nothing in other threads."""
    interruption = Interruption(patience)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    for number in _SIGNALS:
        signal.signal(number, interruption.note)
    try:
        yield interruption
    finally:
        interruption.end()
    interruption.raise_noted()
