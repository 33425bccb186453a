"""Sweeps from Python: a frame with one row for each point."""

from pathlib import Path

import pytest

import kpiopt
from kpiopt.runs.executor import Failure

HAND = Path(__file__).parents[2] / "scenarios" / "hand-solved.toml"


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
