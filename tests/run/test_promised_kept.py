"""Plans with promised odds are no worse than what their search has found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import kpiopt

MADE_AGAIN = """
schema = 1
name = "Again"
[kpi.k]
unit = "u"
direction = "down"
roll_up = "sum"
baseline = 100
[kpi.k.drivers]
f0 = { contribution = -1 }
f1 = { contribution = -1 }
[factor.f0]
value = { discrete = [[-5.07, 0.25], [5.36, 0.25], [1.37, 0.25], [-5.97, 0.25]] }
[factor.f1]
value = { discrete = [[4.92, 0.25], [5.82, 0.25], [-2.56, 0.25], [3.76, 0.25]] }
[initiative.a0]
units = ["org"]
max = 10
uses = { cash = 69.4 }
[initiative.a0.effects]
k = { discrete = [[-0.36, 0.5], [-1.08, 0.5]] }
[initiative.a1]
units = ["org"]
max = 6
uses = { cash = 125.1 }
[initiative.a1.effects]
k = -1.53
[initiative.a2]
units = ["org"]
max = 10
uses = { cash = 99.8 }
[initiative.a2.effects]
k = -0.91
[initiative.a3]
units = ["org"]
max = 7
uses = { cash = 79.9 }
[initiative.a3.effects]
k = -1.08
[goal.k]
target = 85.65
[odds]
p_min = 0.97
draws = 1024
[budget.cash]
limit = 2008.8
[decide]
order = ["goals","cost"]
[unit.org]
"""

FEW_HIT = """
schema = 1
name = "Few"
[kpi.sales]
unit = "u"
roll_up = "sum"
drivers.market = 10
[kpi.faults]
unit = "u"
direction = "down"
roll_up = "sum"
[factor.market]
value = { normal = [0, 1] }
[initiative.coach]
units = ["org"]
max = 8
uses = { hours = 6 }
[initiative.coach.effects]
faults = { normal = [-2, 0.6] }
[goal.sales]
target = 132
[goal.faults]
target = 92
[odds]
draws = 1024
[decide]
order = ["odds", "cost"]
effort_price = { hours = 1 }
[capacity.hours]
[unit.org]
capacity.hours = 30
[cell."org/sales"]
baseline = 100
max_stretch = 40
effort.hours = 1
[cell."org/faults"]
baseline = 100
max_stretch = 3
effort.hours = 4
"""


def solved(tmp_path: Path, text: str, **odds) -> kpiopt.Run:
    path = tmp_path / "kept.toml"
    path.write_text(text)
    scenario = kpiopt.load(path)
    return kpiopt.solve(replace(scenario, odds=replace(scenario.odds, **odds)), simulate=False)


def test_a_margin_that_cannot_be_had_in_full_costs_nothing(tmp_path):
    """Other draws lack more than the budget can buy: the promise is kept without it, and its step says so too."""
    run = solved(tmp_path, MADE_AGAIN)
    (promise,) = run.promises
    values = {step.name: step.value for step in run.solution.steps}
    assert promise.is_kept and promise.added == 0.0 and values["promise"] <= 1e-9
    assert values["cost"] < 2008.8 - 1.0


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("hours", [30, 36, 42])
def test_the_step_odds_has_what_it_found(tmp_path, seed, hours):
    """Goals of which one is certain as long as nothing is done for it: no plan may stand for less than it says."""
    run = solved(tmp_path, FEW_HIT.replace("hours = 30", f"hours = {hours}"), seed=seed)
    promise = next(p for p in run.promises if p.name == "odds")
    assert promise.is_kept and promise.planned >= promise.p_min > 0.0
    assert run.solution.steps[0].value <= 1e-9
