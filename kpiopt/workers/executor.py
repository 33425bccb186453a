"""Executors: many points answered one after another, in threads, in processes or on a Dask cluster.

An executor decides where a point is answered, never what the answer is: a point's answer depends on the job and the
point alone, so all executors and all numbers of workers give the same, to the last bit. A point whose worker dies is
tried again; one that kills its workers, or that has no answer, is marked and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from kpiopt.errors import Problem, UsageError
from kpiopt.workers.interruption import deferred_interruption
from kpiopt.workers.job import SERIAL, Assignment, Executor, Failure, Job, P, Place, R, answer_point


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


def choose_executor(executor: str | None, workers: int | None) -> Executor:
    """Read `--executor` and `--workers N`, the short form of `--executor threads:N`; serial where neither is given.

    Raises
    ------
    UsageError
        Where there is no such executor, or the two say different things.

    Examples
    --------
    >>> choose_executor(None, 3) == choose_executor("threads:3", 3) == parse_executor("threads:3")
    True
    """
    if workers is None:
        return SERIAL if executor is None else parse_executor(executor)
    short = parse_executor(f"threads:{workers}")
    if executor is not None and parse_executor(executor) != short:
        raise UsageError(
            Problem(
                "E-executor",
                f"--executor {executor} and --workers {workers} say different things",
                rule="--workers N is short for --executor threads:N",
                fix="give one of them",
            )
        )
    return short


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
    points : mapping of str to point
        By keys that name them in messages.
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


def answers(
    job: Job[P, R], points: Sequence[P], executor: Executor, on_done: Callable[[int], None] = lambda _: None
) -> list[R]:
    """Answer points that are all needed; returns their answers in the order of the points.

    Parameters
    ----------
    job, points, executor
        As for `execute`.
    on_done : callable
        Told how many are answered, after each.

    Raises
    ------
    KeyboardInterrupt, UsageError, LimitReached
        As `execute` does.
    KpioptError
        The first failure, in the order of the points.
    """
    if executor.place is Place.SERIAL:
        function, serially = job.prepare(), []
        for point in points:
            serially.append(function(point))
            on_done(len(serially))
        return serially
    found: dict[str, R | Failure] = {}

    def keep(key: str, answer: R | Failure) -> None:
        found[key] = answer
        on_done(len(found))

    execute(job, {str(i): point for i, point in enumerate(points)}, executor, keep)
    ordered = []
    for i in range(len(points)):
        answer = found.pop(str(i))
        if isinstance(answer, Failure):
            raise answer.as_error()
        ordered.append(answer)
    return ordered


@dataclass(frozen=True)
class Ready(Generic[P, R]):
    """A job for which nothing has to be prepared; `function` goes to processes and clusters as it is."""

    function: Callable[[P], R]

    def prepare(self) -> Callable[[P], R]:
        """Return the function."""
        return self.function


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
