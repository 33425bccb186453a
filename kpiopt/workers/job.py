"""Jobs: what is done with many points, where, and what becomes of a point without an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from kpiopt import errors
from kpiopt.errors import ExitCode, KpioptError, LimitReached, Problem, as_known_error

P = TypeVar("P")


R = TypeVar("R")


PointT = TypeVar("PointT", contravariant=True)


ResultT = TypeVar("ResultT", covariant=True)


ATTEMPTS = 3
"""How often a point is handed out whose worker dies."""


class Job(Protocol[PointT, ResultT]):
    """What is done with every point. It travels to the workers, so it can be pickled, and so can points and results."""

    def prepare(self) -> Callable[[PointT], ResultT]:
        """Return the function that answers a point; called once by each worker, and used by that worker alone."""
        ...


@dataclass(frozen=True)
class Failure:
    """A point without an answer.

    Attributes
    ----------
    kind : str
        Name of the error's class.
    attempts : int
        How often it was tried.
    """

    kind: str
    exit_code: ExitCode
    problems: tuple[Problem, ...]
    attempts: int = 1

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure that an exception stands for."""
        known = as_known_error(error)
        return cls(type(known).__name__, known.exit_code, known.problems)

    def as_error(self) -> KpioptError:
        """Return the error once more, for a point that nothing can do without."""
        return getattr(errors, self.kind, KpioptError)(*self.problems)


class Place(Enum):
    """Where points are answered."""

    SERIAL = "serial"
    THREADS = "threads"
    PROCESSES = "processes"
    DASK = "dask"


@dataclass(frozen=True)
class Executor:
    """Where points are answered, and by how many workers.

    Attributes
    ----------
    workers : int
        For threads and processes.
    address : str
        Of a Dask scheduler, as "tcp://host:port".
    """

    place: Place = Place.SERIAL
    workers: int = 1
    address: str = ""

    def __str__(self) -> str:
        if self.place is Place.SERIAL:
            return "serial"
        if self.place is Place.DASK:
            return f"dask://{self.address.removeprefix('tcp://')}"
        return f"{self.place.value}:{self.workers}"


SERIAL = Executor()


@dataclass(frozen=True)
class Assignment(Generic[P, R]):
    """A job, the points that are left of it, and who is told about each.

    Attributes
    ----------
    points : mapping of str to point
        By their keys, in the order in which they are handed out.
    on_done : callable
        Called in the caller's thread with a point's key and its result or failure, in the order in which they finish.
    is_stopping : callable
        Whether to hand out no more points.
    """

    job: Job[P, R]
    points: Mapping[str, P]
    on_done: Callable[[str, R | Failure], None]
    is_stopping: Callable[[], bool]


def answer_point(function: Callable[[P], R], point: P) -> R | Failure:
    """Answer one point; an error becomes a failure."""
    try:
        return function(point)
    except Exception as error:
        return Failure.of(error)


def lost_worker(attempts: int) -> Failure:
    """Return the failure of a point whose workers died."""
    problem = Problem(
        "E-worker-lost",
        f"the worker died {attempts} times while it answered this point",
        rule="a point that kills its workers is left out, so that the others can go on",
        fix="solve this point alone; where memory runs out, use fewer workers",
    )
    return Failure(LimitReached.__name__, LimitReached.exit_code, (problem,), attempts)


def workers_die(what: str, fix: str = "") -> LimitReached:
    """Return the error for workers that never come to a point."""
    return LimitReached(
        Problem(
            "E-workers",
            what,
            rule="what has been answered is kept; the same command goes on from there",
            fix=fix or "try --executor serial, or fewer workers where memory runs out",
        )
    )
