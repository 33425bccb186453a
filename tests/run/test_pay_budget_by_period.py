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
    assert list(run.simulation.pay.over) == ["pay", "pay/a", "pay/b"]
    lines = "\n".join(_pay_lines(run))
    assert "Budget pay in every period: 60, of which at most 50 is used at plan, in a." in lines
    # Half of 100 times the attainment of the year falls due in each period: more than 60 where it is above 1.2, never.
    assert "Probability of paying more than budget pay in some period: less than 0.36 % (a less than 0.36 %" in lines


BONUS = """schema = 1
name = "pay"
periods = ["a", "b"]
[kpi.s]
step = 1
[goal.s]
target = 140
[unit.co]
[unit.x]
parent = "co"
PLAN
[cell."x/s"]
baseline = 100
max_stretch = 40
pay_rate = 1
weight = 1
[cell."x/s/a"]
lock = 10
[cell."x/s/b"]
lock = 30
[budget.pay]
limit = LIMIT
every = "period"
[uncertainty]
execution = { discrete = [[0.5, 0.25], [1, 0.5], [1.5, 0.25]] }
[simulation]
draws = 4096
"""
STEPS = """[pay_plan.steps]
payout = [[0, 0], [1, 1], [1.05, 1], [1.1, 2]]
every = "period"
"""


@pytest.mark.parametrize(
    ("limit", "plan", "odds"),
    [
        # Commission alone: 10 and 30 at plan, 15 and 45 in a quarter of the draws.
        (40, "", (0.25, 0.0, 0.25)),
        # With 100 by attainment in steps: a pays 50 at attainments of 55 / 60, 60 / 60 and 65 / 60 (1.083: 1.667 times)
        # and 5, 10, 15 besides; b pays less than 50 at 65 / 80, 50 at 80 / 80, and at 95 / 80 twice of it, and 45.
        (85, "target_incentive = 100\npay_plan = 'steps'", (0.25, 0.25, 0.25)),
        (99, "target_incentive = 100\npay_plan = 'steps'", (0.25, 0.0, 0.25)),
    ],
)
def test_the_odds_of_each_period_by_hand(limit, plan, odds, tmp_path):
    text = BONUS.replace("LIMIT", str(limit)).replace("PLAN", plan)
    (tmp_path / "s.toml").write_text(text + (STEPS if plan else ""))
    run = kpiopt.solve(kpiopt.load(tmp_path / "s.toml"))
    pay, answer = run.simulation.pay.over, run.as_dict()
    assert (pay["pay"].estimate, pay["pay/a"].estimate, pay["pay/b"].estimate) == pytest.approx(odds, abs=0.01)
    assert pay["pay/b"].low <= 0.25 <= pay["pay/b"].high
    assert answer["pay"]["over_limit"]["estimate"] == pay["pay"].estimate
    told = {(e["budget"], e["period"]): e["estimate"] for e in answer["pay"]["over_by_period"]}
    assert told == {("pay", "a"): pay["pay/a"].estimate, ("pay", "b"): pay["pay/b"].estimate}
    limits = {e["name"]: e["over_limit"]["estimate"] for e in answer["limits"] if "over_limit" in e}
    assert limits == {"budget.pay/a": pay["pay/a"].estimate, "budget.pay/b": pay["pay/b"].estimate}
    line = next(line for line in _pay_lines(run) if "some period" in line)
    assert "; b 25" in line and "(" in line
