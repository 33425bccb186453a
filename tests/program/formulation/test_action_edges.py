"""Initiatives at the edge: one that can never run, a level with a single unit, slips in shares and relations."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import InputError

NEEDS = """
schema = 1
name = "t"
[kpi.out]
step = 0.1
[unit.co]
[cell."co/out"]
baseline = 100
[initiative.crm]
max = 0
[initiative.course]
max = 4
needs = ["crm"]
effects = { out = 3 }
[goal.out]
target = 110
"""
LEVEL = """
schema = 1
name = "t"
[kpi.out]
step = 0.1
[unit.co]
[unit.a]
parent = "co"
level = "region"
[unit.b]
parent = "co"
level = "team"
[cell."a/out"]
baseline = 100
[cell."b/out"]
baseline = 50
[initiative.course]
units = ["a"]
max = 4
effects = { out = { contribution = 3, at = "team" } }
[goal.out]
target = 160
"""
HEADS = """
schema = 1
name = "t"
periods.names = NAMES
[kpi.out]
step = 0.1
[unit.co]
head_count = 1
[capacity.hours]
per_head = 1000
[ramp.new]
months = MONTHS
[cell."co/out"]
baseline = 100
max_stretch = 30
effort.hours = 10
[goal.out]
target = 110
"""


def written(folder: Path, text: str) -> Path:
    (folder / "s.toml").write_text(text)
    return folder / "s.toml"


def codes(path: Path) -> set[str]:
    return {problem.code for problem in kpiopt.check(path).errors}


CASH = "uses = { cash = 1 }\nsetup = { cash = 7 }\n[budget.cash]\nlimit = 9\n"


@pytest.mark.parametrize("more", ["", CASH])
def test_what_needs_an_initiative_that_can_never_run_does_not_run(tmp_path, more):
    text = NEEDS.replace("max = 0\n", f"max = 0\n{more}")
    run = kpiopt.solve(written(tmp_path, text), simulate=False)
    assert run.plan.levels.tolist() == [0.0, 0.0]
    assert run.goals[0].shortfall == pytest.approx(10.0)
    possible = kpiopt.solve(written(tmp_path, text), simulate=False, overrides=["initiative.crm.max=1"])
    assert possible.goals[0].met


def test_a_level_with_a_single_unit_is_a_level(tmp_path):
    assert "E-effect-nowhere" in codes(written(tmp_path, LEVEL))
    below = LEVEL.replace('parent = "co"\nlevel = "team"', 'parent = "a"\nlevel = "team"')
    assert not codes(written(tmp_path, below.replace('[cell."a/out"]\nbaseline = 100\n', "")))
    assert not codes(written(tmp_path, LEVEL.replace('at = "team"', 'at = "b"')))


@pytest.mark.parametrize(
    ("names", "months", "code"),
    [
        ('["2027-Q1", "2027-Q2"]', "[0.2, 1.0]", None),
        ('["2027-Q1", "2027-Q4"]', "[0.2, 1.0]", "E-ramp"),
        ('["2027-Q4", "2027-Q1"]', "[0.2, 1.0]", "E-ramp"),
        ('["2027-Q1", "2027-Q2"]', "[20, 50, 100]", "E-ramp"),
    ],
)
def test_a_ramp_counts_months_that_follow_each_other_in_shares(tmp_path, names, months, code):
    found = codes(written(tmp_path, HEADS.replace("NAMES", names).replace("MONTHS", months)))
    assert found == ({code} if code else set())


def test_what_is_needed_is_not_excluded_from_the_other_side(tmp_path):
    text = NEEDS.replace("max = 0", 'max = 1\nnot_with = ["course"]')
    with pytest.raises(InputError, match="needs 'crm' and excludes it"):
        kpiopt.load(written(tmp_path, text))


def test_tiers_in_percent_are_told(tmp_path):
    text = HEADS.replace("periods.names = NAMES\n", "").replace("MONTHS", "[1.0]")
    text += "[effort_curve.hard]\ntiers = [[5, 1.0], [10, 2.0]]\n"
    messages = [problem.message for problem in kpiopt.check(written(tmp_path, text)).warnings]
    assert any("begins to bend at 500 % of the baseline" in message for message in messages)
