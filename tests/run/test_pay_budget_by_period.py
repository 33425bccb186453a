"""A pay budget that holds in every period, with none over the horizon."""

import pytest

import kpiopt
from kpiopt.report.summary import _pay_lines

TEXT = """schema = 1
name = "pay"
periods = ["a", "b"]
[kpi.s]
step = 1
[goal.s]
target = 110
[unit.co]
target_incentive = 100
[cell."co/s"]
baseline = 100
max_stretch = 20
weight = 1
[budget.pay]
limit = {limit}
every = "period"
[uncertainty]
execution = "0.5 to 1.1"
[simulation]
draws = 1024
"""


@pytest.mark.parametrize("limit", [60, 40])
def test_it_is_held_against_an_equal_part_of_the_incentives(limit, tmp_path):
    (tmp_path / "s.toml").write_text(TEXT.format(limit=limit))
    scenario = kpiopt.load(tmp_path / "s.toml")
    told = [w for w in scenario.warnings if w.code == "W-infeasible-budget"]
    assert len(told) == (limit == 40)
    if told:
        assert "is 40 in every period, but target incentives of 50 come on average to 50" in told[0].message
        return
    run = kpiopt.solve(scenario)
    assert run.simulation.pay.over == {}
    lines = "\n".join(_pay_lines(run))
    assert "Budget pay in every period: 60, of which at most 50 is used at plan, in a; its odds are not told." in lines
