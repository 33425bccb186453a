"""How long the rest of many points will take, from how long those before took."""

from __future__ import annotations

import time
from collections.abc import Callable


class TimeLeft:
    """A clock for points that are answered one after another or side by side.

    Parameters
    ----------
    clock : callable
        Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._first = clock, (clock(), 0)
        self._is_started = False

    def tell(self, done: int, total: int) -> str:
        """Return how far the points are, as "7 of 100, about 3 min left".

        The first call says how many were done before, such as by an earlier process; they say nothing about speed.
        """
        now = self._clock()
        if not self._is_started:
            self._first, self._is_started = (now, done), True
        started, before = self._first
        text = f"{done:,} of {total:,}"
        if done <= before or done >= total:
            return text
        return f"{text}, {duration_text((now - started) / (done - before) * (total - done))} left"


def duration_text(seconds: float) -> str:
    """Return a duration for a reader.

    Examples
    --------
    >>> duration_text(200)
    'about 3 min'
    """
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} s"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"
