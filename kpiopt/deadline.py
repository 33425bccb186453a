"""The time that a command may take: one promise, carried through everything that it does."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kpiopt.errors import LimitReached, Problem, UsageError


@dataclass(frozen=True)
class Deadline:
    """A moment at which work ends, wherever it stands.

    Attributes
    ----------
    moment : float
        By `time.monotonic`; inf for none.
    seconds : float
        How long the whole was given.

    Examples
    --------
    >>> Deadline.after(60).is_over
    False
    >>> Deadline().left
    inf
    """

    moment: float = float("inf")
    seconds: float = float("inf")

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that lies so many seconds from now.

        Raises
        ------
        UsageError
            Where that is no number of seconds.
        """
        if not seconds >= 0.0:
            problem = Problem("E-time-limit-form", f"a time limit of {seconds:g} seconds", rule="it is 0 or more")
            raise UsageError(problem)
        return cls(time.monotonic() + seconds, seconds)

    @property
    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self.moment - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.moment

    def require(self, what: str) -> None:
        """Raise where the time is up before something is done.

        Raises
        ------
        LimitReached
        """
        if self.is_over:
            raise self.reached(what)

    def reached(self, what: str) -> LimitReached:
        """Return the error that says what was not done in the time."""
        return LimitReached(
            Problem(
                "E-time-limit",
                f"the time limit of {self.seconds:g} s was reached before {what}",
                rule="a plan that is not proved is not published",
                fix="allow more time with --time-limit",
            )
        )

    def __reduce__(self) -> tuple[object, tuple[float, float]]:
        """Travel to another process or machine, whose clock starts elsewhere, with the seconds that are left."""
        return _resumed, (self.left, self.seconds)


def _resumed(left: float, seconds: float) -> Deadline:
    return Deadline(time.monotonic() + left, seconds)


NEVER = Deadline()
