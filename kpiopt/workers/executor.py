"""Executors: many points answered one after another, in threads, in processes or on a Dask cluster.

An executor decides where a point is answered, never what the answer is: a point's answer depends on the job and the
point alone, so all executors and all numbers of workers give the same, to the last bit. A point whose worker dies is
tried again; one that kills its workers, or that has no answer, is marked and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from kpiopt import errors
from kpiopt.errors import ExitCode, KpioptError, LimitReached, Problem, UsageError, as_known_error
from kpiopt.workers.interruption import deferred_interruption

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
    exit_code : ExitCode
    problems : tuple of Problem
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
    place : Place
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
    job : Job
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


def parse_executor(text: str) -> Executor:
    """Read what stands behind `--executor`.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> parse_executor("processes:2").workers
    2
    """
    name, _, rest = text.partition(":")
    if name == "serial" and not rest:
        return SERIAL
    if name in ("threads", "processes") and (not rest or (rest.isdecimal() and 1 <= int(rest) <= 1024)):
        return Executor(Place(name), int(rest) if rest else _processors())
    host, _, port = rest.removeprefix("//").rpartition(":")
    if name == "dask" and rest.startswith("//") and host and port.isdecimal() and int(port) < 65536:
        return Executor(Place.DASK, address=f"tcp://{host}:{int(port)}")
    raise UsageError(
        Problem(
            "E-executor",
            f"there is no executor {text!r}",
            rule="an executor is serial, threads:N, processes:N (N from 1 to 1024) or dask://HOST:PORT",
            fix="for instance --executor processes:4",
        )
    )


def _processors() -> int:
    """Return how many processors this process may use."""
    import os  # only where the number is not given

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def execute(
    job: Job[P, R], points: Mapping[str, P], executor: Executor, on_done: Callable[[str, R | Failure], None]
) -> None:
    """Answer points; returns when each has a result or a failure.

    Parameters
    ----------
    job : Job
    points : mapping of str to point
        By keys that name them in messages.
    executor : Executor
    on_done : callable
        Called in this thread with the key and the result or failure of each point, in the order in which they finish.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, after at most a second for what is in hand.
    UsageError
        Where there is no such cluster, or it has other versions.
    LimitReached
        Where workers die without having begun a point.
    KpioptError
        What `job.prepare` raises.
    """
    if not points:
        return
    with deferred_interruption() as interruption:
        _answer_at(executor)(Assignment(job, points, on_done, lambda: interruption.requested), executor)
    if interruption.requested:  # the caller's own handler took note of the signal and raised nothing
        raise KeyboardInterrupt


def _answer_at(executor: Executor) -> Callable[[Assignment[P, R], Executor], None]:
    """Return the function of an executor; the others stay unimported."""
    if executor.place is Place.THREADS:
        from kpiopt.workers.thread_pool import answer_in_threads

        return answer_in_threads
    if executor.place is Place.PROCESSES:
        from kpiopt.workers.process_pool import answer_in_processes

        return answer_in_processes
    if executor.place is Place.DASK:
        from kpiopt.workers.dask_cluster import answer_on_cluster

        return answer_on_cluster
    return _answer_serially


def _answer_serially(assignment: Assignment[P, R], _: Executor) -> None:
    function = assignment.job.prepare()
    for key, point in assignment.points.items():
        if assignment.is_stopping():
            return
        assignment.on_done(key, answer_point(function, point))


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
