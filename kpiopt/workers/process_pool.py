"""Points answered in processes that are started afresh; each has one point in hand, so a death has one suspect."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

from kpiopt.errors import as_known_error
from kpiopt.workers.job import ATTEMPTS, Assignment, Executor, Failure, answer_point, lost_worker, workers_die

P = TypeVar("P")
R = TypeVar("R")

POLL_SECONDS = 0.1
_GUARD = (
    "where memory runs out, use fewer workers, or --executor serial; a Python script that starts processes stands in a "
    'file and calls kpiopt below if __name__ == "__main__":'
)


def answer_in_processes(assignment: Assignment[P, R], executor: Executor) -> None:
    """Answer points with a fixed number of processes; one that dies is replaced.

    Raises
    ------
    KpioptError
        What a process could not prepare.
    LimitReached
        Where processes die before they have a point in hand.
    """
    pool = _Pool(assignment, min(executor.workers, len(assignment.points)))
    with _running(pool):
        while pool.has_work:
            pool.hand_out()
            pool.pass_on()


class _Worker:
    """A process, the pipe to it, and the point that it has in hand."""

    def __init__(self, job: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs, job), daemon=True)
        with _blocked_interruption():
            self.process.start()
        theirs.close()  # ours must be the only other end, or the end of the process would go unnoticed
        self.is_ready = False
        self.in_hand: str | None = None

    def send(self, key: str, point: object) -> None:
        """Hand over a point; a dead process is noticed when it is read from."""
        self.in_hand = key
        try:
            self.pipe.send(point)
        except OSError:
            return

    def end(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Pool(Generic[P, R]):
    """Processes and the points that are left."""

    def __init__(self, assignment: Assignment[P, R], size: int) -> None:
        self._assignment = assignment
        self._job = pickle.dumps(assignment.job)
        self._size = size
        self._left = deque(assignment.points)
        self._deaths: Counter[str] = Counter()
        self._early_deaths = 0
        self.workers: list[_Worker] = []

    @property
    def has_work(self) -> bool:
        """Whether a point is in hand or will be handed out."""
        in_hand = any(worker.in_hand is not None for worker in self.workers)
        return in_hand or bool(self._left and not self._assignment.is_stopping())

    def hand_out(self) -> None:
        """Start processes where there are too few, and give those that are ready their next point."""
        if self._assignment.is_stopping():
            return
        busy = sum(worker.in_hand is not None for worker in self.workers)
        while len(self.workers) < min(self._size, busy + len(self._left)):
            self.workers.append(_Worker(self._job))
        for worker in self.workers:
            if worker.is_ready and worker.in_hand is None and self._left:
                key = self._left.popleft()
                worker.send(key, self._assignment.points[key])

    def pass_on(self) -> None:
        """Wait a little for answers and pass them on."""
        by_pipe = {worker.pipe: worker for worker in self.workers}
        for pipe in wait(list(by_pipe), timeout=POLL_SECONDS):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                message = pickle.loads(worker.pipe.recv_bytes())
            except (EOFError, OSError):
                self._bury(worker)
            else:
                self._receive(worker, message)

    def _receive(self, worker: _Worker, message: Any) -> None:
        """Take an answer; the first message of a process says whether it is ready."""
        if not worker.is_ready:
            if isinstance(message, BaseException):
                raise message
            worker.is_ready, self._early_deaths = True, 0
            return
        key, worker.in_hand = worker.in_hand, None
        assert key is not None
        self._assignment.on_done(key, message)

    def _bury(self, worker: _Worker) -> None:
        """Note whom a dead process had in hand."""
        self.workers.remove(worker)
        worker.end()
        key = worker.in_hand
        if key is None:
            self._early_deaths += 1
            if self._early_deaths >= ATTEMPTS * self._size:
                raise workers_die(f"{self._early_deaths} worker processes died before they began a point", _GUARD)
            return
        self._deaths[key] += 1
        if self._deaths[key] >= ATTEMPTS:
            self._assignment.on_done(key, lost_worker(ATTEMPTS))
        else:
            self._left.appendleft(key)


@contextmanager
def _running(pool: _Pool[P, R]) -> Iterator[None]:
    """End all processes on every way out."""
    try:
        yield
    finally:
        for worker in pool.workers:
            worker.end()


@contextmanager
def _blocked_interruption() -> Iterator[None]:
    """Let a process that is started in the block inherit that Ctrl-C is blocked, from its first moment on."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # started with the first process, it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Wait for the end of the process that hands out points, and end: nobody waits for the point in hand."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _serve(pipe: Connection, job: bytes) -> None:
    """Answer points until the pipe closes; whether to stop is decided on the other side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    function = _prepare(pipe, job)
    while function is not None:
        try:
            _send(pipe, answer_point(function, pipe.recv()))
        except (EOFError, OSError):
            return


def _send(pipe: Connection, answer: object) -> None:
    """Send an answer; one that cannot travel is a failure of its point."""
    try:
        content = pickle.dumps(answer)
    except Exception as error:
        content = pickle.dumps(Failure.of(error))
    pipe.send_bytes(content)


def _prepare(pipe: Connection, job: bytes) -> Callable[[Any], Any] | None:
    """Make ready and say so, or say why not."""
    try:
        function: Callable[[Any], Any] = pickle.loads(job).prepare()
    except Exception as error:
        _send(pipe, as_known_error(error))
        return None
    _send(pipe, None)
    return function
