"""Executors: the same answers everywhere; deaths, failures and interruptions cost nobody else anything."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kpiopt.errors import ExitCode, LimitReached, ModelError, UsageError
from kpiopt.workers.executor import choose_executor, execute, parse_executor
from kpiopt.workers.job import SERIAL, Executor, Failure, Place
from tests.workers.toy_job import Dying, DyingEveryOtherStart, Squares, Unpicklable

THREADS = Executor(Place.THREADS, 3)
PROCESSES = Executor(Place.PROCESSES, 2)
EVERYWHERE = pytest.mark.parametrize("executor", [SERIAL, THREADS, PROCESSES], ids=str)


def answers(job, points, executor):
    found = {}

    def on_done(key, answer):
        assert key not in found
        assert threading.current_thread() is threading.main_thread()
        found[key] = answer

    execute(job, points, executor, on_done)
    return found


@EVERYWHERE
def test_every_point_is_answered_once_whoever_does_it(executor):
    points = {f"p{i}": ("square", i / 7) for i in range(40)}
    found = answers(Squares(), points, executor)
    assert {key: answer[0] for key, answer in found.items()} == {f"p{i}": (i / 7) ** 2 for i in range(40)}


def test_work_is_spread():
    points = {str(i): ("slow", 0.05) for i in range(8)}
    places = {
        executor.place: {where for _, where in answers(Squares(), points, executor).values()}
        for executor in (SERIAL, THREADS, PROCESSES)
    }
    assert len(places[Place.SERIAL]) == 1
    assert len(places[Place.THREADS]) == 3
    assert {where.split("/")[0] for where in places[Place.THREADS]} == {str(os.getpid())}
    assert str(os.getpid()) not in {where.split("/")[0] for where in places[Place.PROCESSES]}
    assert len(places[Place.PROCESSES]) == 2


@EVERYWHERE
def test_a_point_without_an_answer_is_marked_and_the_rest_goes_on(executor):
    points = {"a": ("square", 2.0), "b": ("infeasible", 0.0), "c": ("bug", 0.0), "d": ("square", 3.0)}
    found = answers(Squares(), points, executor)
    assert (found["a"][0], found["d"][0]) == (4.0, 9.0)
    assert (found["b"].kind, found["b"].exit_code) == ("Infeasible", ExitCode.INFEASIBLE)
    assert found["b"].problems[0].message == "no plan"
    assert found["c"].exit_code is ExitCode.INTERNAL
    assert "ZeroDivisionError" in found["c"].problems[0].message


@EVERYWHERE
def test_what_cannot_be_prepared_ends_the_job(executor):
    with pytest.raises(ModelError, match="cannot be prepared") as refused:
        answers(Squares(broken=True), {str(i): ("square", 1.0) for i in range(5)}, executor)
    assert refused.value.exit_code == ExitCode.INPUT


@EVERYWHERE
def test_no_points_need_no_workers(executor):
    assert answers(Dying(), {}, executor) == {}


def test_a_killed_process_is_replaced_and_its_point_tried_again(tmp_path):
    points = {"a": ("square", 2.0), "b": ("die once", 3.0), "c": ("die once", 4.0), "d": ("square", 5.0)}
    found = answers(Squares(str(tmp_path)), points, PROCESSES)
    assert {key: answer[0] for key, answer in found.items()} == {"a": 4.0, "b": 9.0, "c": 16.0, "d": 25.0}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["died-3.0", "died-4.0"]


def test_a_point_that_kills_its_workers_is_marked_alone():
    points = {"a": ("die", 0.0), **{str(i): ("square", float(i)) for i in range(6)}}
    found = answers(Squares(), points, PROCESSES)
    assert isinstance(found["a"], Failure)
    assert (found["a"].problems[0].code, found["a"].attempts) == ("E-worker-lost", 3)
    assert [found[str(i)][0] for i in range(6)] == [float(i * i) for i in range(6)]


def test_processes_that_never_come_to_a_point_are_given_up():
    with pytest.raises(LimitReached, match=r"died before they began(?s:.*)__main__") as refused:
        answers(Dying(), {"a": ("square", 1.0)}, PROCESSES)
    assert refused.value.exit_code == ExitCode.LIMIT


def test_early_deaths_count_only_while_no_process_comes_to_a_point(tmp_path):
    points = {str(i): ("die once", float(i)) for i in range(5)}
    found = answers(DyingEveryOtherStart(str(tmp_path)), points, Executor(Place.PROCESSES, 1))
    assert [answer[0] for answer in found.values()] == [float(i * i) for i in range(5)]


def test_processes_end_with_the_one_that_hands_out_points(tmp_path):
    """All of them hold our end of stderr, so reading it ends with the last; their points would take ten minutes."""
    script = (
        "from pathlib import Path; from kpiopt.workers.executor import *; from tests.workers.toy_job import Squares\n"
        "points = {'a': ('square', 1.0), 'b': ('slow', 600.0), 'c': ('slow', 600.0)}\n"
        "if __name__ == '__main__':\n"
        "    execute(Squares(), points, parse_executor('processes:2'), lambda key, answer: print(key, flush=True))"
    )
    words, options = [sys.executable, "-c", script], {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, cwd=Path(__file__).parents[2], **options)
    assert process.stdout.readline() == b"a\n"
    process.kill()
    assert process.communicate(timeout=60) == (b"", b"")


def test_an_answer_that_cannot_travel_is_a_failure_of_its_point():
    assert isinstance(answers(Unpicklable(), {"a": ("square", 1.0)}, PROCESSES)["a"], Failure)


@pytest.mark.parametrize("executor", [SERIAL, THREADS, PROCESSES], ids=str)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_is_in_hand_and_hands_out_no_more(executor, number):
    before = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    found, points = {}, {str(i): ("slow", 0.3) for i in range(60)}

    def on_done(key, answer):
        found[key] = answer
        if len(found) == 2:
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # the signal is handled here, in the middle of keeping a point

    try:
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            execute(Squares(), points, executor, on_done)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert 2 <= len(found) <= 2 + 2 * executor.workers
    assert all(answer[0] == pytest.approx(0.09) for answer in found.values())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("executor", [SERIAL, PROCESSES], ids=str)
def test_what_takes_too_long_is_given_up_after_an_interruption(executor):
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    points = {"a": ("slow", 60.0), "b": ("slow", 60.0)}
    started = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        answers(Squares(), points, executor)
    assert time.monotonic() - started < 30  # the points would take a minute each


@pytest.mark.parametrize("executor", [SERIAL, THREADS], ids=str)
def test_a_handler_that_only_takes_note_ends_it_all_the_same(executor):
    noted, found = [], {}
    before = signal.signal(signal.SIGTERM, lambda number, frame: noted.append(number))

    def on_done(key, answer):
        found[key] = answer
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        with pytest.raises(KeyboardInterrupt):
            execute(Squares(), {str(i): ("slow", 0.01) for i in range(600)}, executor, on_done)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert noted
    assert len(found) < 600


def test_signals_that_are_ignored_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        points = {str(i): ("square", float(i)) for i in range(5)}
        found = {}
        execute(Squares(), points, SERIAL, lambda k, a: (found.update({k: a}), os.kill(os.getpid(), signal.SIGHUP)))
        assert len(found) == 5
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_that_would_end_the_process_ends_it_when_patience_does():
    """As from a script of the planner's own, where nobody handles SIGTERM."""
    script = (
        "import os, signal, threading; from kpiopt.workers.executor import *; from kpiopt.workers.job import SERIAL\n"
        "from tests.workers.toy_job import Squares\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "execute(Squares(), {'a': ('slow', 600.0)}, SERIAL, print)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], timeout=60, check=False)
    assert done.returncode == -signal.SIGTERM


def test_an_error_of_the_caller_ends_all_workers():
    def refuse(key, answer):
        raise OSError("disk full")

    for executor in (SERIAL, THREADS, PROCESSES):
        with pytest.raises(OSError, match="disk full"):
            execute(Squares(), {str(i): ("square", 1.0) for i in range(9)}, executor, refuse)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("kpiopt-")] == []


@pytest.mark.parametrize(
    ("text", "executor"),
    [
        ("serial", SERIAL),
        ("threads:2", Executor(Place.THREADS, 2)),
        ("processes:16", Executor(Place.PROCESSES, 16)),
        ("dask://10.0.0.7:8786", Executor(Place.DASK, address="tcp://10.0.0.7:8786")),
        ("dask://[::1]:8786", Executor(Place.DASK, address="tcp://[::1]:8786")),
    ],
)
def test_executors_are_named_on_the_command_line(text, executor):
    assert parse_executor(text) == executor
    assert str(executor) == text


def test_the_number_of_workers_may_be_left_to_the_machine():
    assert parse_executor("threads").workers >= 1


@pytest.mark.parametrize(
    "text",
    ["", "gpu", "threads:0", "threads:-1", "processes:1.5", "serial:2", "threads:99999", "dask:h:1", "dask://h",
     "dask://:80", "dask://h:99999", "threads:²"],
)  # fmt: skip
def test_other_executors_are_refused_in_words(text):
    with pytest.raises(UsageError, match="serial, threads:N, processes:N") as refused:
        parse_executor(text)
    assert refused.value.exit_code == ExitCode.USAGE


def test_workers_are_short_for_threads():
    assert choose_executor(None, None) == choose_executor("serial", None) == SERIAL
    assert choose_executor(None, 3) == choose_executor("threads:3", 3) == Executor(Place.THREADS, 3)
    assert choose_executor("processes:2", None) == Executor(Place.PROCESSES, 2)
    for executor, workers in (("threads:2", 3), ("processes:3", 3), ("serial", 2), ("threads:x", 2), (None, 5000)):
        with pytest.raises(UsageError) as caught:
            choose_executor(executor, workers)
        assert caught.value.problems[0].code == "E-executor"
