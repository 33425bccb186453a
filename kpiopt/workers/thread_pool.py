"""Points answered in threads: the solver and the draws let other threads run meanwhile, and nothing is copied."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from kpiopt.workers.job import Assignment, Executor, Failure, answer_point

P = TypeVar("P")
R = TypeVar("R")

POLL_SECONDS = 0.1


def answer_in_threads(assignment: Assignment[P, R], executor: Executor) -> None:
    """Answer points with a fixed number of threads.

    Raises
    ------
    Exception
        What a thread could not prepare.
    """
    pool = _Pool(assignment)
    with _running(pool, min(executor.workers, len(assignment.points))):
        while pool.in_work:
            pool.pass_on()


class _Pool(Generic[P, R]):
    """Threads that take points from one queue and put answers into another."""

    def __init__(self, assignment: Assignment[P, R]) -> None:
        self._assignment = assignment
        self._left = iter(assignment.points.items())
        self._taking = threading.Lock()
        self._ended = threading.Event()
        self._answers: queue.SimpleQueue[tuple[str, R | Failure] | BaseException | None] = queue.SimpleQueue()
        self.in_work = 0

    def start(self, workers: int) -> list[threading.Thread]:
        """Start the threads."""
        threads = [threading.Thread(target=self._work, name=f"kpiopt-{i}") for i in range(workers)]
        self.in_work = workers
        for thread in threads:
            thread.start()
        return threads

    def end(self) -> None:
        """Hand out no more points."""
        self._ended.set()

    def pass_on(self) -> None:
        """Wait for the next answer and pass it on."""
        try:
            answer = self._answers.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return
        if answer is None:
            self.in_work -= 1
        elif isinstance(answer, BaseException):
            raise answer
        else:
            self._assignment.on_done(*answer)

    def _take(self) -> tuple[str, P] | None:
        with self._taking:
            stopping = self._ended.is_set() or self._assignment.is_stopping()
            return None if stopping else next(self._left, None)

    def _work(self) -> None:
        try:
            function = self._assignment.job.prepare()
            while (taken := self._take()) is not None:
                key, point = taken
                self._answers.put((key, answer_point(function, point)))
        except BaseException as error:
            self._answers.put(error)
        finally:
            self._answers.put(None)


@contextmanager
def _running(pool: _Pool[P, R], workers: int) -> Iterator[None]:
    """Wait for the threads on every way out: one that is left inside the solver would crash the process at its end."""
    threads = pool.start(workers)
    try:
        yield
    finally:
        pool.end()
        for thread in threads:
            thread.join()
