"""Promised odds in plans by period and beside cushions, against draws of an own simulation that shares no code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt

SEASON, SD, DRAWS = np.array([0.3, 0.3, 0.4]), 6.0, 100_000
TEXT = """
schema = 1
name = "By period"
currency = "USD"
PERIODS
[kpi.sales]
unit = "USD"
roll_up = "sum"
drivers.market = 6
SEASONS
[factor.market]
name = "Market"
value = { normal = [0, 1] }
[unit.company]
level = "top"
[unit.north]
parent = "company"
level = "team"
[unit.south]
parent = "company"
level = "team"
[cell."north/sales"]
baseline = 100
max_stretch = 60
effort.hours = 1
[cell."south/sales"]
baseline = 100
max_stretch = 60
effort.hours = 2
[uncertainty]
execution = { uniform = [0.5, 1.1] }
[decide]
order = ["goals", "cost", "reference"]
effort_price = { hours = 1 }
[goal.year]
kpi = "sales"
target = 240
p_min = 0.8
[odds]
draws = 1024
p_min = 0.7
"""
SPRING = '[goal.spring]\nkpi = "sales"\nperiod = "Q1"\ntarget = 72\np_min = 0.75\n'
QUARTERS = TEXT.replace("PERIODS", 'periods = ["Q1", "Q2", "Q3"]').replace("SEASONS", "season = [0.3, 0.3, 0.4]")
WHOLE = TEXT.replace("PERIODS\n", "").replace("SEASONS\n", "")
CUSHION = '[over_assignment]\nteam = { goal = "year", odds = 0.9 }\n'


@pytest.mark.parametrize("text", [QUARTERS + SPRING, WHOLE + CUSHION], ids=["periods", "cushion"])
def test_odds_are_those_of_an_own_simulation(tmp_path: Path, text: str) -> None:
    """Execution is drawn once for a cell's horizon, the market once for all; a cushion changes no promise."""
    path = tmp_path / "plan.toml"
    path.write_text(text)
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    scenario, rng = run.scenario, np.random.default_rng(11)
    periods = scenario.cell_period if scenario.periods is not None else np.zeros(len(run.plan.stretch), dtype=int)
    season = SEASON if scenario.periods is not None else np.ones(1)
    execution = rng.uniform(0.5, 1.1, (len(scenario.units.ids), DRAWS))
    value = season[:, None] * (200 + SD * rng.normal(size=DRAWS))
    for unit, period, stretch in zip(scenario.cells.unit, periods, run.plan.stretch, strict=True):
        value[max(period, 0)] += stretch * execution[unit]
    hit = {"year": value.sum(axis=0) >= 240, "spring": value[0] >= 72}
    assert len(run.promises) == 1 + len(scenario.goals) and all(promise.is_kept for promise in run.promises)
    for promise in run.promises:
        share = np.all([hit[goal] for goal in promise.goals], axis=0).mean()
        assert share == pytest.approx(promise.planned, abs=0.02) and share > promise.p_min - 0.01
    assert all(finding.passed for finding in kpiopt.verify(run))
