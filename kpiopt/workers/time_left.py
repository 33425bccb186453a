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
        self._clock = clock
        self._started: tuple[float, int] | None = None
        self._first: tuple[float, int] | None = None

    def tell(self, done: int, total: int) -> str:
        """Return how far the points are, as "7 of 100, about 3 min left".

        The first call says how many were done before, such as by an earlier process; they say nothing about speed. Nor
        does the first point: workers make ready before it. The rest is judged by those that follow, once they have
        taken half as long as it did, so that the first answers of many workers do not count as their pace.
        """
        now, text = self._clock(), f"{done:,} of {total:,}"
        self._started = self._started or (now, done)
        if self._first is None and done > self._started[1]:
            self._first = now, done
        if self._first is None or done >= total:
            return text
        since, before = self._first
        if done <= before or now - since < 0.5 * (since - self._started[0]):
            return text
        return f"{text}, {duration_text((now - since) / (done - before) * (total - done))} left"


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
