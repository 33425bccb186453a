"""Whether an initiative runs is decided by one rule: a level that is rounding is none, wherever it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import kpiopt
from kpiopt.graph.initiative_use import NOTHING
from kpiopt.report.limits import initiative_lines

SCENARIO = Path(__file__).parents[2] / "models" / "adventureworks" / "model.toml"


def test_a_level_that_is_rounding_is_not_told_as_chosen():
    run = kpiopt.solve(SCENARIO, simulate=False, beside=())
    largest = max(i.maximum for i in run.scenario.initiatives.values())
    assert largest > 2.0, "half of what is rounding is more than 1e-9"
    levels = 0.0 * run.plan.levels + 0.5 * NOTHING * min(i.maximum for i in run.scenario.initiatives.values())
    assert list(initiative_lines(replace(run, plan=replace(run.plan, levels=levels)))) == ["No initiative is chosen."]
    told = list(initiative_lines(replace(run, plan=replace(run.plan, levels=levels * 4.0))))
    assert told != ["No initiative is chosen."]
