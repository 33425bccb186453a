"""Odds are the same, to the last bit, wherever their draws are computed."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.errors import NumericsError, Problem, UsageError
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.run.spread import spread_by
from kpiopt.scenario.load import load_scenario
from kpiopt.simulation.intervene import intervene
from kpiopt.simulation.simulate import simulate
from kpiopt.workers.job import SERIAL, Executor, Failure, Place
from tests.nights import rest_at_night

SCENARIO = Path(__file__).parents[2] / "scenarios" / "scorecard.toml"
EXECUTORS = [Executor(Place.THREADS, 3), Executor(Place.PROCESSES, 1), Executor(Place.PROCESSES, 2)]


@pytest.fixture(scope="module")
def plan():
    run = solve_scenario(load_scenario(SCENARIO), options=SolveOptions(simulate=False))
    return run.graph, run.plan.stretch, run.plan.levels, run.plan.target


def everything(simulation) -> bytes:
    return pickle.dumps((simulation.as_dict(), simulation.node_odds.tobytes()))


@pytest.mark.parametrize("executor", rest_at_night([EXECUTORS[0], EXECUTORS[2], EXECUTORS[1]], 2), ids=str)
def test_every_executor_draws_the_same_odds(plan, executor):
    here = simulate(*plan)
    there = simulate(*plan, spread=spread_by(executor))
    assert everything(there) == everything(here)


def test_solving_with_an_executor_is_solving(plan):
    scenario = load_scenario(SCENARIO.with_name("hand-solved.toml"))
    runs = [solve_scenario(scenario, options=SolveOptions(executor=executor)) for executor in (SERIAL, EXECUTORS[-1])]
    assert runs[0].as_dict() == runs[1].as_dict()
    assert runs[0].targets.equals(runs[1].targets)


def test_interventions_too(plan):
    act = [f"{next(iter(plan[0].scenario.initiatives))}=0"]
    here, there = (intervene(*plan, act=act, spread=spread_by(e)) for e in (SERIAL, EXECUTORS[0]))
    assert (everything(there.before), everything(there.after)) == (everything(here.before), everything(here.after))
    assert there.odds == here.odds


def test_the_command_takes_an_executor(tmp_path, capsys):
    words = ["--out", str(tmp_path), "--json"]
    assert main(["solve", str(SCENARIO.with_name("hand-solved.toml")), *words]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    answers = []
    for executor in ("serial", "processes:2"):
        assert main(["simulate", run, "--executor", executor, "--draws", "9999", *words]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]


def test_the_serial_executor_needs_nothing():
    assert spread_by(SERIAL) is None


def test_a_failure_is_raised_as_the_error_it_was():
    error = NumericsError(Problem("E-draw-value", "not finite"))
    again = Failure.of(error).as_error()
    assert (type(again), again.problems) == (NumericsError, error.problems)
    assert Failure.of(ZeroDivisionError("x")).as_error().exit_code == 1


def test_errors_of_draws_arrive(plan, monkeypatch):
    graph, stretch, levels, targets = plan
    with pytest.raises(UsageError):
        simulate(graph, stretch, levels, targets, spread=spread_by(Executor(Place.DASK, address="tcp://127.0.0.1:9")))
    broken = np.where(stretch > 0, np.inf, stretch)
    with pytest.raises(NumericsError):
        simulate(graph, broken, levels, targets, spread=spread_by(EXECUTORS[0]))
