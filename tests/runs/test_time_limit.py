"""Time limits in Python: the same promise as on the command line."""

import inspect
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import kpiopt
from kpiopt.deadline import Deadline, ended_by


@pytest.fixture(scope="module")
def run():
    return kpiopt.solve("scenarios/hand-solved.toml", simulate=False)


def test_every_word_that_computes_takes_a_time_limit():
    words = [getattr(kpiopt, name) for name in kpiopt.__all__]
    functions = {word.__name__: word for word in words if inspect.isfunction(word)}
    without = {name for name, word in functions.items() if "time_limit" not in inspect.signature(word).parameters}
    assert len(functions) > 8 and without == {"load", "check"}


@pytest.mark.parametrize("word", ["verify", "explain"])
def test_verify_and_explain_end_in_time(run, word):
    target = [next(iter(run.scenario.goals))] if word == "explain" else []
    whole = getattr(kpiopt, word)(run, *target)
    limited = getattr(kpiopt, word)(run, *target, time_limit=60)
    assert str(limited) == str(whole)
    with pytest.raises(kpiopt.LimitReached, match="the time limit of 0 s"):
        getattr(kpiopt, word)(run, *target, time_limit=0)
    with pytest.raises(kpiopt.UsageError, match="a time limit of -1 seconds"):
        getattr(kpiopt, word)(run, *target, time_limit=-1)


def test_goals_are_named_as_on_the_command_line(run):
    goal = next(iter(run.scenario.goals))
    assert kpiopt.explain(run, f"goal.{goal}").name == kpiopt.explain(run, goal).name


def test_work_is_cut_short_and_a_timer_of_the_caller_goes_on():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 30.0)
    try:
        with (
            pytest.raises(kpiopt.LimitReached, match="before it was done"),
            ended_by(Deadline.after(0.02), "it was done"),
        ):
            time.sleep(10)
        assert not rung and 0.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 30.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_another_thread_tells_at_the_end_that_it_took_too_long(run):
    def late():
        with ended_by(Deadline.after(0.01), "it was done"):
            time.sleep(0.05)

    with ThreadPoolExecutor(1) as pool, pytest.raises(kpiopt.LimitReached):
        pool.submit(late).result()
