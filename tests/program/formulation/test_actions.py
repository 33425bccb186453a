"""Initiatives that are more than a level: worked out by hand, and against trying every choice."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import KpioptError
from kpiopt.run.run import Run
from tests.program.action_organizations import (
    best_by_trying,
    draw_organization,
    is_allowed,
    write_organization,
)

PLANT = """
schema = 1
name = "actions"
[kpi.out]
[kpi.care]
[unit.plant]
[unit.a]
parent = "plant"
level = "team"
[unit.b]
parent = "plant"
level = "team"
[cell."a/out"]
baseline = 100
[cell."b/out"]
baseline = 100
[cell."a/care"]
baseline = 50
[cell."b/care"]
baseline = 50
[budget.cash]
limit = 100
[goal.out]
target = 250
"""
CRM = """
[initiative.crm]
levels = [0, 10, 25]
uses = { cash = 2 }
setup = { cash = 30 }
effects = { out = { contribution = 1, at = "team" } }
"""
COURSE = """
[initiative.course]
units = { level = "team" }
max = 4
needs = ["crm"]
uses = { cash = 1 }
effects = { out = 3 }
"""


def solve(tmp_path: Path, text: str) -> Run:
    path = tmp_path / "s.toml"
    path.write_text(PLANT + text, "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=False)


def levels_of(run: Run) -> dict[str, float]:
    """Return the levels above 0 by "initiative@unit"."""
    found = run.as_dict()["initiatives"]
    where = {f"{e['id']}@{e['unit']}" + (f"/{e['start']}" if e["start"] else ""): e["level"] for e in found}
    return {key: level for key, level in where.items() if level}


def codes(tmp_path: Path, text: str) -> set[str]:
    path = tmp_path / "s.toml"
    path.write_text(PLANT + text, "utf-8")
    with pytest.raises(KpioptError) as caught:
        kpiopt.load(path)
    return {problem.code for problem in caught.value.problems}


def used(run: Run, name: str) -> float:
    return next(limit.used for limit in run.limits if limit.name == name)


def test_the_level_is_one_of_those_there_are_and_setup_is_paid_once(tmp_path: Path) -> None:
    """50 are missing: 25 levels at both teams bring them for 2 x 25 + 30 of cash, which leaves nothing undone."""
    run = solve(tmp_path, CRM)
    assert levels_of(run) == {"crm@plant": 25.0}
    assert used(run, "budget.cash") == pytest.approx(80.0, abs=1e-9)
    assert run.spending.initiatives == pytest.approx(80.0, abs=1e-9)
    (entry,) = run.as_dict()["initiatives"]
    assert entry["contributes"] == {"out": 50.0}
    assert entry["kpis"] == {"out": 50.0}


def test_no_level_between_two_steps(tmp_path: Path) -> None:
    """With 79 of cash the level 25 is out of reach, and 10 brings 20 of 50."""
    run = solve(tmp_path, (CRM + "[budget.more]\nresource = 'cash'\nlimit = 79\n"))
    assert levels_of(run) == {"crm@plant": 10.0}
    assert run.goals[0].shortfall == pytest.approx(30.0, abs=1e-9)


def test_levels_without_0_are_run_whatever_they_bring(tmp_path: Path) -> None:
    run = solve(tmp_path, CRM.replace("[0, 10, 25]", "[10, 25]").replace("contribution = 1", "contribution = -1"))
    assert levels_of(run) == {"crm@plant": 10.0}


def test_what_needs_another_runs_only_beside_it(tmp_path: Path) -> None:
    """8 sessions bring 24, with the smallest CRM 44 for 58; the goal is met by the largest CRM alone, for 80.

    With 60 of cash there is no way but the first; with 30 there is neither CRM nor course.
    """
    assert levels_of(solve(tmp_path, CRM + COURSE)) == {"crm@plant": 25.0}
    less = "[budget.less]\nresource = 'cash'\nlimit = {}\n"
    run = solve(tmp_path, CRM + COURSE + less.format(60))
    assert levels_of(run) == pytest.approx({"crm@plant": 10.0, "course@a": 4.0, "course@b": 4.0})
    assert run.goals[0].shortfall == pytest.approx(6.0, abs=1e-8)
    run = solve(tmp_path, CRM + COURSE + less.format(30))
    assert levels_of(run) == {}


def test_of_two_that_exclude_each_other_one_runs_at_a_unit(tmp_path: Path) -> None:
    """Team a presses and b as well, or one of them learns: at each team 4 x 3 of learning beat one press of 5."""
    text = COURSE.replace('needs = ["crm"]', 'not_with = ["press"]') + (
        '[initiative.press]\nunits = { level = "team" }\nmax = 1\nwhole = true\nuses = { cash = 1 }\n'
        "effects = { out = 5 }\n"
    )
    assert levels_of(solve(tmp_path, text)) == pytest.approx({"course@a": 4.0, "course@b": 4.0})
    run = solve(tmp_path, text + "[budget.few]\nresource = 'cash'\nlimit = 2\n")
    assert levels_of(run) == {"press@a": 1.0, "press@b": 1.0}
    both = solve(tmp_path, text.replace('units = { level = "team" }\nmax = 1', "max = 1"))
    assert levels_of(both) == pytest.approx({"course@a": 4.0, "course@b": 4.0})  # the plant's would exclude both


def test_of_two_that_would_do_the_first_one_runs(tmp_path: Path) -> None:
    """Both teams' presses are alike and one meets the goal: ties go by id, and nothing is set up for nothing."""
    text = (
        '[initiative.press]\nunits = { level = "team" }\nmax = 1\nsetup = { cash = 7 }\nuses = { cash = 1 }\n'
        "effects = { out = 60 }\n[decide]\norder = ['goals', 'cost']\n"
    )
    run = solve(tmp_path, text)
    assert levels_of(run) == pytest.approx({"press@a": 5 / 6})
    assert used(run, "budget.cash") == pytest.approx(7.0 + 5 / 6)


def test_setup_without_a_price_is_not_paid_for_nothing(tmp_path: Path) -> None:
    """Set-up takes hours that nobody prices: a tie, and the plan leaves them alone."""
    text = (
        '[initiative.idle]\nunits = ["b"]\nmax = 1\nsetup = { hours = 5 }\nuses = { hours = 1 }\n'
        "effects = { care = 1 }\n"
        "[unit.b.capacity]\nhours = 100\n"
    )
    run = solve(tmp_path, text)
    assert levels_of(run) == {}
    assert used(run, "capacity.hours@b") == 0.0


def test_levels_from_0_to_max_are_whole_numbers(tmp_path: Path) -> None:
    whole = COURSE.replace('needs = ["crm"]', "whole = true").replace("max = 4", "max = 2")
    listed = COURSE.replace('needs = ["crm"]', "").replace("max = 4", "levels = [0, 1, 2]")
    limit = "[budget.few]\nresource = 'cash'\nlimit = 3\n"
    first, second = solve(tmp_path, whole + limit), solve(tmp_path, listed + limit)
    assert levels_of(first) == levels_of(second)
    assert first.plan.target.tolist() == second.plan.target.tolist()


PERIODS = '[periods]\nnames = ["H1", "H2"]\n'


def test_with_periods_it_begins_once_and_is_set_up_then(tmp_path: Path) -> None:
    """A level that runs all year brings 25 a team; half a year half of it. 79 in the first half forbid the start."""
    text = PERIODS + CRM.replace("[0, 10, 25]", "[0, 25]") + "[budget.half]\nresource = 'cash'\nevery = 'period'\n"
    run = solve(tmp_path, text + "limit = 80\n")
    assert levels_of(run) == {"crm@plant/H1": 25.0}
    assert used(run, "budget.half/H1") == pytest.approx(80.0, abs=1e-9)
    assert used(run, "budget.half/H2") == 0.0
    assert levels_of(solve(tmp_path, text + "limit = 79\n")) == {}


def test_with_periods_what_is_needed_begins_no_later(tmp_path: Path) -> None:
    """The CRM may begin in H2 only, and so the course as well: half of 24."""
    run = solve(tmp_path, PERIODS + CRM.replace("levels", 'start = ["H2"]\nlevels') + COURSE)
    begun = levels_of(run)
    assert set(begun) == {"crm@plant/H2", "course@a/H2", "course@b/H2"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (CRM.replace("[0, 10, 25]", "[10, 10]"), "E-levels"),
        (CRM.replace("[0, 10, 25]", "[0]"), "E-levels"),
        (CRM.replace("levels", "max = 20\nlevels"), "E-levels"),
        (CRM.replace("levels = [0, 10, 25]", ""), "E-levels"),
        (CRM.replace("levels", "whole = true\nlevels").replace("10,", "2.5,"), "E-levels"),
        (CRM + COURSE.replace('["crm"]', '["crn"]'), "E-unknown-initiative"),
        (COURSE.replace('["crm"]', '["course"]'), "E-needs"),
        (CRM + COURSE.replace('needs = ["crm"]', 'needs = ["crm"]\nnot_with = ["crm"]'), "E-needs"),
        (CRM.replace("levels", 'needs = ["course"]\nlevels') + COURSE.replace('needs = ["crm"]', ""), "E-needs"),
        (CRM.replace("cash = 30", "gold = 30"), "E-resource"),
        (CRM.replace('"team"', '"squad"'), "E-unknown-at"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, text: str, code: str) -> None:
    assert code in codes(tmp_path, text)


def test_a_needed_initiative_by_degree_is_begun(tmp_path: Path) -> None:
    """The base brings nothing; it still runs, at a millionth of its max, and `check` says what would be better."""
    text = (
        "[initiative.base]\nmax = 10\nuses = { cash = 1 }\neffects = { care = 1 }\n"
        '[initiative.more]\nneeds = ["base"]\nmax = 1\nuses = { cash = 1 }\neffects = { out = 50 }\n'
    )
    run = solve(tmp_path, text)
    assert levels_of(run) == pytest.approx({"base@plant": 1e-5, "more@plant": 1.0}, rel=1e-6)
    assert "W-needs" in {problem.code for problem in run.scenario.warnings}


def compare_with_trying(path: Path, seed: int) -> None:
    organization = draw_organization(seed)
    best = best_by_trying(organization)
    write_organization(path, organization)
    if best is None:
        with pytest.raises(KpioptError):
            kpiopt.solve(kpiopt.load(path), simulate=False)
        return
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    scale = organization.gap
    assert run.goals[0].shortfall == pytest.approx(best[0], abs=2e-5 * scale), seed
    cost = next(step.value for step in run.solution.steps if step.name == "cost")
    assert cost == pytest.approx(best[1], rel=1e-5, abs=1e-4), seed
    found = {(e["id"], e["unit"]): e["level"] for e in run.as_dict()["initiatives"]}
    assert is_allowed(organization, found), seed
    for action in organization.actions:
        for unit in action.units:
            level = found[action.name, unit]
            assert not action.levels or level in (pytest.approx(v, abs=1e-9) for v in action.levels)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 5])
def test_no_choice_is_better(tmp_path: Path, seed: int) -> None:
    compare_with_trying(tmp_path / "s.toml", seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 300))
def test_no_choice_is_better_at_length(tmp_path: Path, seed: int) -> None:
    compare_with_trying(tmp_path / "s.toml", seed)


TOGETHER = """
[unit.c]
parent = "plant"
head_count = 2
availability = 0.9
[cell."c/out"]
baseline = 100
max_stretch = 20
effort.hours = 100
[kpi.out]
step = 1
[capacity.hours]
per_head = 1500
[ramp.new]
months = [0.2, 0.5]
[effort_curve.hard]
tiers = [[0.05, 1.0], [0.1, 2.0]]
[goal.care]
target = 150
[decide]
order = ["met", "goals", "cost"]
effort_price = { hours = 0.1 }
"""


def test_a_kept_run_verifies_with_actions_tiers_heads_and_goals_counted(tmp_path: Path) -> None:
    """355 of out are 55 more: the CRM brings 50 for 80, c the last 5 at once the effort; of care nobody brings 50."""
    path = tmp_path / "s.toml"
    plant = PLANT.replace("[kpi.out]\n", "").replace("target = 250", "target = 355")
    path.write_text(plant + CRM + COURSE + TOGETHER, "utf-8")
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    assert {goal.goal.id: goal.met for goal in run.goals} == {"out": True, "care": False}
    assert used(run, "capacity.hours@c") <= 2 * 0.9 * 1500 * (0.2 + 11 * 0.5) / 12 + 1e-9
    assert main(["solve", str(path), "--out", str(tmp_path / "runs"), "--no-simulation"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert main(["verify", str(folder)]) == 0
