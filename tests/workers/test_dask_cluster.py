"""The same answers from a Dask cluster, whatever happens to its workers."""

import pickle
import socket
import sys

import pytest

from kpiopt.errors import LimitReached, UsageError
from kpiopt.workers import dask_cluster, versions
from kpiopt.workers.executor import execute, parse_executor
from kpiopt.workers.job import SERIAL, Failure
from tests.workers.dask_workers import loopback_cluster
from tests.workers.toy_job import Squares


def squares(points, executor, job=None, on_each=lambda found: None):
    found = {}

    def on_done(key, answer):
        found[key] = answer if isinstance(answer, Failure) else answer[0]
        on_each(found)

    execute(job or Squares(), points, executor, on_done)
    return found


def test_one_of_two_workers_killed_in_the_middle(tmp_path):
    points = {str(i): ("slow", 0.02 + i / 997) for i in range(30)}
    with loopback_cluster(tmp_path, workers=2) as cluster:

        def kill_one(found):
            if len(found) == 5:
                cluster.workers[0].kill()

        found = squares(points, parse_executor(cluster.address), on_each=kill_one)
        assert cluster.workers[0].wait(10) < 0
    assert found == squares(points, SERIAL)


@pytest.mark.nightly
def test_a_point_that_kills_workers_is_marked_and_what_was_beside_it_is_answered(tmp_path):
    points = {"poison": ("die", 0.0), **{str(i): ("slow", 0.05) for i in range(6)}}
    with loopback_cluster(tmp_path, workers=2) as cluster:
        cluster.keep_up(2, deaths=12)
        found = squares(points, parse_executor(cluster.address))
    assert isinstance(found["poison"], Failure)
    assert found["poison"].problems[0].code == "E-worker-lost"
    assert [found[str(i)] for i in range(6)] == [0.05 * 0.05] * 6


def test_failures_come_back_with_their_problems(tmp_path):
    with loopback_cluster(tmp_path, workers=1) as cluster:
        executor = parse_executor(cluster.address)
        found = squares({"a": ("infeasible", 0.0), "b": ("square", 2.0)}, executor)
        assert (found["a"].kind, found["b"]) == ("Infeasible", 4.0)
        with pytest.raises(Exception, match="cannot be prepared"):
            squares({"a": ("square", 1.0)}, executor, Squares(broken=True))


def test_no_scheduler_is_said_in_words(monkeypatch):
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        squares({"a": ("square", 1.0)}, parse_executor("dask://127.0.0.1:9"))


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"kpiopt\[dask\]"):
        squares({"a": ("square", 1.0)}, parse_executor("dask://127.0.0.1:9"))


def test_workers_with_other_versions_are_refused(tmp_path, monkeypatch):
    with loopback_cluster(tmp_path, workers=1) as cluster:
        monkeypatch.setattr(versions, "_version_of", lambda package: "0.1")
        with pytest.raises(UsageError, match=r"numpy .*, not 0\.1"):
            squares({"a": ("square", 1.0)}, parse_executor(cluster.address))


def test_a_worker_that_joins_later_with_other_versions_answers_nothing():
    packed = pickle.dumps((Squares(), {**versions.installed_versions(), "numpy": "0.1"}))
    answer = dask_cluster._answer_remotely(packed, ("square", 2.0))
    assert isinstance(answer.error, UsageError)
    assert "a worker has numpy" in str(answer.error)


def test_a_cluster_without_workers_is_given_up_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "EMPTY_SECONDS", 0.2)
    with loopback_cluster(tmp_path, workers=0) as cluster, pytest.raises(LimitReached, match="start workers"):
        squares({"a": ("square", 1.0)}, parse_executor(cluster.address))


def test_a_cluster_that_ends_ends_the_job_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 1.0)
    points = {str(i): ("slow", 0.05) for i in range(40)}
    with loopback_cluster(tmp_path, workers=1) as cluster:

        def end(found):
            if len(found) == 3:
                cluster.end_scheduler()

        with pytest.raises(LimitReached, match=r"does not answer any more|has had no worker"):
            squares(points, parse_executor(cluster.address), on_each=end)


def test_a_port_that_says_nothing_is_no_cluster(monkeypatch):
    """Something that accepts connections and never speaks would keep a client waiting for ever."""
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(UsageError, match="it says nothing"):
            squares({"1": ("fast", 1.0)}, parse_executor(f"dask://127.0.0.1:{port}"))


def test_a_port_on_which_nobody_listens_is_no_cluster():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UsageError, match="no Dask scheduler answers"):
        squares({"1": ("fast", 1.0)}, parse_executor(f"dask://127.0.0.1:{port}"))
