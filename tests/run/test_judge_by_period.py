"""Rules and plans made elsewhere, judged by period: splits worked out by hand, round trips, and limits by period."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import TableError
from kpiopt.graph import build_graph
from kpiopt.run.broken import use_of_limits
from kpiopt.run.judge import judge_rule
from kpiopt.run.run import JudgedPlan, Run
from tests.run.test_periods import random_text

TEXT = """schema = 1
name = "Rules by period"
PERIODS
[kpi.sales]
SEASON
[kpi.rate]
roll_up = "mean"
[kpi.skill]
kind = "stock"
carry = 0.5
[unit.co]
capacity.hours = 100
[unit.a]
parent = "co"
size = 1
[unit.b]
parent = "co"
size = 3
[cell."a/sales"]
baseline = 100
max_stretch = 20
effort.hours = 1
[cell."b/sales"]
baseline = 300
max_stretch = 40
[cell."a/rate"]
baseline = 10
max_stretch = 5
[cell."b/rate"]
baseline = 10
max_stretch = 5
[cell."a/skill"]
baseline = 50
max_stretch = 50
[cell."b/skill"]
baseline = 50
max_stretch = 50
"""
HALVES, SEASON = 'periods = ["H1", "H2"]', "season = [0.4, 0.6]"


def write(tmp_path: Path, goals: str, *, periods: str = HALVES, more: str = "") -> Path:
    text = TEXT.replace("PERIODS", periods).replace("SEASON", SEASON if periods else "")
    text = text if periods else text.replace("carry = 0.5\n", "")
    path = tmp_path / "scenario.toml"
    path.write_text(text + goals + more, "utf-8")
    return path


def judged(tmp_path: Path, goals: str, rule: str = "proportional", *, periods: str = HALVES) -> JudgedPlan:
    return judge_rule(build_graph(kpiopt.load(write(tmp_path, goals, periods=periods))), rule)


def stretch_of(found: JudgedPlan) -> dict[str, float]:
    names = [found.graph.node_name(int(node)) for node in found.graph.cell_node]
    return {n: float(x) for n, x in zip(names, found.plan.stretch, strict=True) if x}


def test_the_gap_of_the_year_goes_by_season(tmp_path: Path) -> None:
    """40 more a year: 10 and 30 by last year's shares, each 4 to 6 over the halves."""
    found = judged(tmp_path, "[goal.sales]\ntarget = 440\n")
    assert stretch_of(found) == pytest.approx({"a/sales/H1": 4, "a/sales/H2": 6, "b/sales/H1": 12, "b/sales/H2": 18})
    assert found.goals[0].plan == pytest.approx(440)


def test_the_gap_of_a_period_is_split_in_that_period(tmp_path: Path) -> None:
    """240 in H2 by season, 260 are wanted: 20 there and nothing before."""
    found = judged(tmp_path, '[goal.g]\nkpi = "sales"\nperiod = "H2"\ntarget = 260\n')
    assert stretch_of(found) == pytest.approx({"a/sales/H2": 5, "b/sales/H2": 15})
    assert found.goals[0].plan == pytest.approx(260)


def test_of_goals_of_the_year_and_of_a_period_the_larger_counts_in_each_period(tmp_path: Path) -> None:
    goals = '[goal.sales]\ntarget = 440\n[goal.g]\nkpi = "sales"\nperiod = "H1"\ntarget = 180\n'
    found = judged(tmp_path, goals)
    assert stretch_of(found) == pytest.approx({"a/sales/H1": 5, "a/sales/H2": 6, "b/sales/H1": 15, "b/sales/H2": 18})


def test_a_mean_rises_alike_in_every_period(tmp_path: Path) -> None:
    found = judged(tmp_path, "[goal.rate]\ntarget = 12\n")
    values = found.plan.targets.filter(found.plan.targets["kpi"] == "rate")["plan"].to_list()
    assert values == pytest.approx([12.0] * 9)


def test_a_stock_is_worked_for_alike_in_every_period(tmp_path: Path) -> None:
    """30 more at the end of 100: with half carried over, 20 in each half come to 10 + 20."""
    found = judged(tmp_path, "[goal.skill]\ntarget = 130\n")
    assert stretch_of(found) == pytest.approx({f"{u}/skill/{t}": 10 for u in "ab" for t in ("H1", "H2")})
    assert found.goals[0].plan == pytest.approx(130)
    early = judged(tmp_path, '[goal.g]\nkpi = "skill"\nperiod = "H1"\ntarget = 130\n')
    assert stretch_of(early) == pytest.approx({"a/skill/H1": 15, "b/skill/H1": 15})


@pytest.mark.parametrize(
    ("rule", "right"),
    [
        ("even", {"a": 20.0, "b": 20.0}),
        ("last-year+8%", {"a": 8.0, "b": 24.0}),
        ("column:size", {"a": 10.0, "b": 30.0}),
    ],
)
def test_other_rules(tmp_path: Path, rule: str, right: dict[str, float]) -> None:
    text = write(tmp_path, "[goal.sales]\ntarget = 440\n")
    text.write_text(text.read_text("utf-8").replace("max_stretch = 20\n", "max_stretch = 20\nsize = 1\n"), "utf-8")
    text.write_text(text.read_text("utf-8").replace("max_stretch = 40\n", "max_stretch = 40\nsize = 3\n"), "utf-8")
    found = stretch_of(judge_rule(build_graph(kpiopt.load(text)), rule))
    sales = {f"{u}/sales/{t}": w * x for u, x in right.items() for t, w in (("H1", 0.4), ("H2", 0.6))}
    assert {name: x for name, x in found.items() if "sales" in name} == pytest.approx(sales)


def test_a_rule_without_periods_is_that_of_the_horizon(tmp_path: Path) -> None:
    goals = "[goal.sales]\ntarget = 440\n[goal.rate]\ntarget = 12\n"
    for rule in ("proportional", "even", "last-year+5%"):
        year, halves = judged(tmp_path, goals, rule, periods=""), judged(tmp_path, goals, rule)
        assert [g.plan for g in halves.goals] == pytest.approx([g.plan for g in year.goals], rel=1e-12)
        if rule != "last-year+5%":  # a stock that fades is worked for more
            assert halves.plan.whole_stretch.tolist() == pytest.approx(year.plan.stretch.tolist(), rel=1e-12)
            assert (halves.worst_stretch, halves.fairness) == pytest.approx((year.worst_stretch, year.fairness))


def test_limits_that_a_rule_breaks_are_named_with_their_period(tmp_path: Path) -> None:
    """100 hours are 50 in each half; 110 more sales of a at an hour each are 44 and 66."""
    more = "[guardrail.g]\nper_period = true\nramp = 0.5\n"
    path = write(tmp_path, '[goal.sales]\nat = "a"\ntarget = 210\n', more=more)
    found = judge_rule(build_graph(kpiopt.load(path)), "proportional")
    broken = {b.name: (b.limit, b.used) for b in found.broken}
    assert broken["capacity.hours@co/H2"] == pytest.approx((50.0, 66.0))
    assert broken["max_stretch@a/sales"] == pytest.approx((20.0, 110.0))
    assert broken["max_stretch@a/sales/H1"] == pytest.approx((8.0, 44.0))
    assert "capacity.hours@co/H1" not in broken
    uneven = write(tmp_path, '[goal.g]\nkpi = "sales"\nat = "a"\nperiod = "H2"\ntarget = 96\n', more=more)
    broken = {b.name: (b.limit, b.used) for b in judge_rule(build_graph(kpiopt.load(uneven)), "even").broken}
    assert broken["ramp@a/sales/H2"] == pytest.approx((0.5, 0.6))


PLAN = """unit,kpi,period,target,stretch
a,sales,,110,
b,sales,H1,130,
b,sales,H2,190,
a,rate,,,2
b,rate,H1,11,
b,rate,H2,,0
a,skill,H1,60,
a,skill,H2,,5
b,skill,,80,
co,sales,H2,256,
"""


def given(tmp_path: Path, plan: str, goals: str = "") -> JudgedPlan:
    table = tmp_path / "plan.csv"
    table.write_text(plan, "utf-8")
    return judge_rule(build_graph(kpiopt.load(write(tmp_path, goals))), str(table))


def test_a_table_of_targets_by_period_and_over_the_horizon(tmp_path: Path) -> None:
    """A row without a period goes by season; of a stock the same is done in each, 20 for 30 at the end."""
    found = given(tmp_path, PLAN)
    right = {"a/sales/H1": 4, "a/sales/H2": 6, "b/sales/H1": 10, "b/sales/H2": 10}
    right |= {"a/rate/H1": 1, "a/rate/H2": 1, "b/rate/H1": 0.5}
    right |= {"a/skill/H1": 10, "a/skill/H2": 5, "b/skill/H1": 20, "b/skill/H2": 20}
    assert stretch_of(found) == pytest.approx(right)
    assert [note.code for note in found.notes] == []


def test_what_a_year_leaves_beside_a_period_falls_to_the_others(tmp_path: Path) -> None:
    """a: 110 in the year, 41 in H1, so 69 in H2. A year that disagrees with all its periods is told."""
    plan = PLAN.replace("a,sales,,110,", "a,sales,,110,\na,sales,H1,41,").replace(
        "b,sales,H1", "b,sales,,330,\nb,sales,H1"
    )
    found = given(tmp_path, plan)
    assert stretch_of(found)["a/sales/H1"] == pytest.approx(1)
    assert stretch_of(found)["a/sales/H2"] == pytest.approx(9)
    assert [note.code for note in found.notes] == ["W-plan-total", "W-plan-total"]
    assert "330" in found.notes[0].message + found.notes[1].message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("b,sales,H2,190,\n", "", "E-plan-missing"),
        ("b,sales,H2,190,", "b,sales,H3,190,", "E-unknown-period"),
        ("b,sales,H2,190,", "b,sales,H1,190,", "E-table-duplicate"),
        ("a,sales,,110,", "a,sales,,,10\na,sales,H1,44,", "E-plan-figure"),
        ("a,sales,,110,", "a,sales,,,", "E-plan-figure"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, old: str, new: str, code: str) -> None:
    with pytest.raises(TableError) as caught:
        given(tmp_path, PLAN.replace(old, new))
    assert code in [problem.code for problem in caught.value.problems]


def _table_of(run: Run) -> str:
    rows = run.targets.filter(run.targets["period"].is_not_null()).select("unit", "kpi", "period", "target").iter_rows()
    return "unit,kpi,period,target\n" + "".join(f"{u},{k},{p},{t!r}\n" for u, k, p, t in rows)


def check_round_trip(tmp_path: Path, seed: int) -> float:
    """Judge the targets of a plan without initiatives as if they came from elsewhere; return the largest deviation."""
    path = tmp_path / f"s{seed}.toml"
    text = random_text(seed)
    text = text[: text.index("[initiative")] + text[text.index("[budget") :] if "[initiative" in text else text
    path.write_text(text, "utf-8")
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    table = tmp_path / f"p{seed}.csv"
    table.write_text(_table_of(run), "utf-8")
    found = judge_rule(run.graph, str(table))
    used = {limit.name: limit.used for limit in use_of_limits(run.graph, run.plan.stretch)}
    assert used == pytest.approx({limit.name: limit.used for limit in run.limits}, rel=1e-9, abs=1e-9)
    assert found.broken == ()
    values = [step.value for step in run.solution.steps if step.name == "fairness"]
    assert found.fairness == pytest.approx(values[0], rel=1e-6, abs=1e-9) if values else True
    return float(np.abs(found.plan.stretch - run.plan.stretch).max(initial=0.0))


def test_the_plans_own_targets_ask_for_what_the_plan_asks(tmp_path: Path) -> None:
    assert max(check_round_trip(tmp_path, seed) for seed in range(6)) < 1e-6


def test_the_summary_says_what_was_bought_over_the_spreadsheet(tmp_path: Path) -> None:
    goals = '[goal.sales]\ntarget = 440\n[goal.early]\nkpi = "sales"\nperiod = "H1"\ntarget = 170\n'
    run = kpiopt.solve(kpiopt.load(write(tmp_path, goals, more="[simulation]\ndraws = 64\n")))
    (rule,) = run.rules
    assert rule.label == "proportional"
    assert rule.simulation is not None
    assert run.as_dict()["rules"]["proportional"]["goals"]
    found = kpiopt.compare(f"{tmp_path / 'scenario.toml'}", f"{tmp_path / 'scenario.toml'}@even")
    assert len(found.others) == 1
