"""Points answered on a Dask cluster that somebody else has started.

The scheduler hands a task whose worker died to another worker, and gives up after a few. A task may be among them only
because it waited beside a harmful one: it is tried again alone before its point is marked.
"""

from __future__ import annotations

import logging
import pickle
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kpiopt.errors import Problem, UsageError
from kpiopt.workers.job import ATTEMPTS, Assignment, Executor, Failure, answer_point, lost_worker, workers_die
from kpiopt.workers.versions import installed_versions

if TYPE_CHECKING:
    from distributed import Client, Future

P = TypeVar("P")
R = TypeVar("R")

POLL_SECONDS = 0.1
CONNECT_SECONDS = 10.0
EMPTY_SECONDS = 30.0
"""How long a cluster may be without a worker."""

_START_WORKERS = "start workers (dask worker HOST:PORT), or try --executor processes:4 on this machine"
_START_SCHEDULER = "start the cluster again, or try --executor processes:4 on this machine"
_LOGGERS = ("distributed", "distributed.client", "distributed.core", "distributed.comm")

_prepared = threading.local()


def answer_on_cluster(assignment: Assignment[P, R], executor: Executor) -> None:
    """Answer points on a cluster.

    Raises
    ------
    UsageError
        Where Dask is not installed, there is no such cluster, or its workers have other versions.
    LimitReached
        Where the cluster has no worker.
    KpioptError
        What a worker could not prepare.
    """
    with _connected(executor) as client:
        _require_same_versions(client)
        cluster = _Cluster(assignment, client)
        while cluster.has_work:
            cluster.hand_out()
            cluster.pass_on()


class _Cluster(Generic[P, R]):
    """A client, the points that are left, and those in hand."""

    def __init__(self, assignment: Assignment[P, R], client: Client) -> None:
        self._assignment, self._client = assignment, client
        # Carried by a task, not scattered: the scheduler can compute a task again when its workers are lost.
        self._job = client.submit(bytes, pickle.dumps((assignment.job, installed_versions())), pure=False)
        self._left = deque(assignment.points)
        self._suspects: deque[str] = deque()
        self._in_hand: dict[Future, tuple[str, bool]] = {}
        self._empty_since: float | None = None

    @property
    def has_work(self) -> bool:
        """Whether a point is in hand or will be handed out."""
        waiting = self._left or self._suspects
        return bool(self._in_hand) or bool(waiting and not self._assignment.is_stopping())

    def hand_out(self) -> None:
        """Give every thread of the cluster a point; when nothing else is left, suspects one by one."""
        if self._assignment.is_stopping():
            return
        room = self._count_threads() - len(self._in_hand)
        while self._left and room > 0:
            self._submit(self._left.popleft(), is_alone=False)
            room -= 1
        if room > 0 and self._suspects and not self._left and not self._in_hand:
            self._submit(self._suspects.popleft(), is_alone=True)

    def _submit(self, key: str, *, is_alone: bool) -> None:
        point = self._assignment.points[key]
        future = self._client.submit(_answer_remotely, self._job, point, pure=False, retries=0)
        self._in_hand[future] = key, is_alone

    def _count_threads(self) -> int:
        """Return the threads of all workers; a cluster that stays empty is given up."""
        try:
            threads = sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise workers_die(f"the Dask scheduler does not answer any more: {error}", _START_SCHEDULER) from error
        if threads:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = time.monotonic()
        elif time.monotonic() - self._empty_since > EMPTY_SECONDS:
            raise workers_die(f"the cluster has had no worker for {EMPTY_SECONDS:.0f} seconds", _START_WORKERS)
        return int(threads)

    def pass_on(self) -> None:
        """Wait a little for answers and pass them on."""
        finished = [future for future in self._in_hand if future.done()]
        if not finished:
            time.sleep(POLL_SECONDS / 10 if self._in_hand else POLL_SECONDS)
            self._count_threads()
        for future in finished:
            key, is_alone = self._in_hand.pop(future)
            self._receive(key, future, is_alone=is_alone)

    def _receive(self, key: str, future: Future, *, is_alone: bool) -> None:
        """Take an answer, or note that there will be none from these workers."""
        if future.status == "finished":
            answer = future.result()
            if isinstance(answer, _Unprepared):
                raise answer.error
            self._assignment.on_done(key, answer)
        elif is_alone:
            self._assignment.on_done(key, _why_lost(future))
        else:
            self._suspects.append(key)


def _why_lost(future: Future) -> Failure:
    """Return why a task that was alone has no result."""
    error = future.exception() if future.status == "error" else None
    if error is None or type(error).__name__ == "KilledWorker":
        return lost_worker(ATTEMPTS)
    return Failure.of(error)


class _Unprepared:
    """A job that a worker could not prepare."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _answer_remotely(packed: bytes, point: Any) -> Any:
    """Answer a point on a worker; what a thread prepared for a job it keeps for its other points."""
    if getattr(_prepared, "packed", None) != packed:
        try:
            _prepared.function = _prepare(packed)
        except Exception as error:
            return _Unprepared(error)
        _prepared.packed = packed
    function: Callable[[Any], Any] = _prepared.function
    return answer_point(function, point)


def _prepare(packed: bytes) -> Callable[[Any], Any]:
    """Make ready for a job, also on a worker that joined the cluster after the others were asked for their versions."""
    job, versions = pickle.loads(packed)
    _require_versions(versions, {"a worker": installed_versions()})
    function: Callable[[Any], Any] = job.prepare()
    return function


@contextmanager
def _connected(executor: Executor) -> Iterator[Client]:
    """Connect to a scheduler; what is in hand when the block ends early is cancelled."""
    try:
        from distributed import Client  # an extra that is seldom there
    except ImportError:
        raise UsageError(
            Problem("E-dask", "Dask distributed is not installed", fix='install it with: pip install "kpiopt[dask]"')
        ) from None
    with _quiet():
        _require_scheduler(executor.address)
        try:
            client = Client(executor.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise UsageError(_no_scheduler(executor.address, error)) from error
        with client:
            yield client


def _require_scheduler(address: str) -> None:
    """Raise unless something that speaks Dask's language answers: a client would wait for ever where nothing does.

    A scheduler is the first to speak on a new connection.
    """
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS) as connection:
            if connection.recv(1):
                return
        raise ConnectionError("it has closed the connection")
    except TimeoutError as error:
        raise UsageError(_no_scheduler(address, "it says nothing")) from error
    except OSError as error:
        raise UsageError(_no_scheduler(address, error)) from error


def _no_scheduler(address: str, why: object) -> Problem:
    return Problem("E-cluster", f"no Dask scheduler answers at {address}: {why}", fix="start it first")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's own log off the terminal: what it tells is raised as well."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _require_same_versions(client: Client) -> None:
    """Raise where a worker has other versions, before any is given a point."""
    ours = installed_versions()
    try:
        found = client.run(installed_versions)
    except ImportError as error:
        raise UsageError(
            Problem(
                "E-cluster-versions", f"a worker has no kpiopt: {error}", fix=f"install kpiopt {ours['kpiopt']} there"
            )
        ) from error
    _require_versions(ours, found)


def _require_versions(ours: Mapping[str, str], found: Mapping[str, Mapping[str, str]]) -> None:
    """Raise where versions by worker are not ours: its figures might differ in their last digits."""
    differing = {
        f"{address} has {package} {theirs.get(package)}, not {version}"
        for address, theirs in found.items()
        for package, version in ours.items()
        if theirs.get(package) != version
    }
    if differing:
        raise UsageError(
            Problem(
                "E-cluster-versions",
                "; ".join(sorted(differing)),
                rule="all workers compute with the same versions, so that all answers are the same to the last bit",
                fix="install the same versions on every worker",
            )
        )
