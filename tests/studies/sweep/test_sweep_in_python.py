"""Sweeps from Python: a frame with one row for each point."""

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import UsageError
from kpiopt.workers.job import Failure
from tests.nights import rest_at_night
from tests.workers.dask_workers import loopback_cluster

HAND = Path(__file__).parents[3] / "scenarios" / "hand-solved.toml"


def test_the_files_own_axes_give_a_frame():
    frame = kpiopt.sweep(HAND).frame
    assert frame["budget.pay.limit"].to_list() == [200, 300, 400, 500, 600, 700]
    assert frame["pay"].to_list() == pytest.approx([200, 300, 400, 500, 600, 600], rel=1e-9)
    assert frame["goal.sales.plan"].to_list() == pytest.approx([108_000] * 6, rel=1e-9)


def test_a_point_that_fails_is_a_row_with_its_problem():
    answer = kpiopt.sweep(HAND, ["budget.pay.limit=-1,600"], simulate=False)
    assert isinstance(answer.results[0], Failure)
    assert answer.frame["status"].to_list() == ["failed", "optimal"]
    assert "budget.pay.limit" in answer.frame["problem"][0]


@pytest.mark.parametrize("executor", rest_at_night(["threads:2", "processes:2"], 1))
def test_executors_give_the_same_frame(executor):
    told = []
    there = kpiopt.sweep(HAND, executor=executor, on_progress=lambda done, total: told.append((done, total)))
    assert there.frame.equals(kpiopt.sweep(HAND).frame)
    assert told == [(i, 6) for i in range(7)]


@pytest.mark.nightly
def test_a_cluster_gets_the_files_with_the_job(tmp_path):
    with loopback_cluster(tmp_path, workers=1) as cluster:
        there = kpiopt.sweep(HAND, overrides=["goal.sales.target=104_000"], executor=cluster.address)
    assert there.frame.equals(kpiopt.sweep(HAND, overrides=["goal.sales.target=104_000"]).frame)


def test_solving_and_simulating_take_executors_by_name():
    here = kpiopt.solve(kpiopt.load(HAND))
    there = kpiopt.solve(kpiopt.load(HAND), executor="threads:2")
    assert there.as_dict() == here.as_dict()
    odds = [kpiopt.simulate(here, draws=3000, executor=executor).as_dict() for executor in ("serial", "threads:3")]
    assert odds[0] == odds[1]
    with pytest.raises(UsageError, match="no executor 'gpu'"):
        kpiopt.simulate(here, executor="gpu")
