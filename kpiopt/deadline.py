"""The time that a command may take: one promise, carried through everything that it does."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from kpiopt.errors import ExitCode, LimitReached, Problem, UsageError

TIME_LIMIT = "E-time-limit"
"""Code of the problem that says what was not reached."""

WHOLE = "an answer is told whole, or not at all"


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

    def ends(self, what: str, done: int, total: int) -> bool:
        """Whether a part of an answer ends where so much of it is done."""
        return self.is_over

    def require(self, what: str) -> None:
        """Raise where the time is up before something is done.

        Raises
        ------
        LimitReached
        """
        if self.is_over:
            raise self.reached(what)

    def reached(self, what: str, rule: str = "a plan that is not proved is not published") -> LimitReached:
        """Return the error that says what was not done in the time, and why nothing of it is told."""
        return LimitReached(
            Problem(
                TIME_LIMIT,
                f"the time limit of {self.seconds:g} s was reached before {what}",
                rule=rule,
                fix="allow more time with --time-limit",
            )
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process or machine, whose clock starts elsewhere, with the seconds that are left."""
        return _resumed, (self.left, self.seconds)


@dataclass(frozen=True)
class NotDone:
    """A part of an answer that the time did not reach; the rest of the answer stands.

    Attributes
    ----------
    what : str
        "prices", "odds", "points" …
    text : str
        In words, such as "prices of 12 limits were not computed in the time".
    """

    what: str
    text: str
    done: int = 0
    total: int = 1

    def as_dict(self) -> dict[str, str | int]:
        """Return the JSON form."""
        return {"what": self.what, "text": self.text, "done": self.done, "total": self.total}


@dataclass(frozen=True)
class Replay(Deadline):
    """The end of an answer that was cut short: the same answer once more, whatever the clock says.

    Attributes
    ----------
    parts : mapping of str to (int, int)
        How much was done, and of how much, by the name of the part.
    """

    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, not_done: Iterable[Mapping[str, Any]]) -> Replay:
        """Return the end of an answer with these missing parts, in their JSON form."""
        return cls(parts={part["what"]: (part["done"], part["total"]) for part in not_done})

    def ends(self, what: str, done: int, total: int) -> bool:
        """Whether a part was cut short where so much of it is done."""
        most, of = self.parts.get(what, (total, 0))
        return total == of and done >= most

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as it stands."""
        return Replay, (self.moment, self.seconds, self.parts)


def not_done_problems(parts: Iterable[NotDone]) -> tuple[Problem, ...]:
    """Return what is to be said about parts that the time did not reach."""
    return tuple(Problem("W-not-done", part.text, fix="allow more time with --time-limit") for part in parts)


def _resumed(left: float, seconds: float) -> Deadline:
    return Deadline(time.monotonic() + left, seconds)


NEVER = Deadline()


class _TimeUp(SystemExit):
    """Unwinds the main thread where the time is up."""


@contextmanager
def ended_by(deadline: Deadline, what: str) -> Iterator[None]:
    """End work at a deadline wherever it stands, for answers that are told whole or not at all.

    In another thread than the main one it is told at the end of the work that it took too long.

    Parameters
    ----------
    what : str
        What is not done then, such as "the run was verified".

    Raises
    ------
    LimitReached
    """
    if deadline.is_over:
        raise deadline.reached(what, WHOLE)
    is_main = threading.current_thread() is threading.main_thread()
    if math.isinf(deadline.moment) or not is_main or not hasattr(signal, "setitimer"):
        yield
        if deadline.is_over:
            raise deadline.reached(what, WHOLE)
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TimeUp(int(ExitCode.LIMIT))

    before = signal.signal(signal.SIGALRM, stop)
    begun, (left, interval) = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, max(1e-6, deadline.left))
    try:
        yield
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    except _TimeUp:
        raise deadline.reached(what, WHOLE) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        left = max(1e-6, left + begun - time.monotonic()) if left else 0.0  # of whoever calls
        signal.setitimer(signal.ITIMER_REAL, left, interval)
