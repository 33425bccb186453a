"""Targets made elsewhere are judged by the same odds, pay and limits as the plans of kpiopt."""

import json
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import TableError
from kpiopt.graph import build_graph
from kpiopt.plan.given_plan import read_given_plan
from kpiopt.run.judge import judge_rule
from kpiopt.run.solve import SolveOptions, judge_scenario

HAND = Path(__file__).parents[2] / "scenarios" / "hand-solved.toml"
TEXT = """
schema = 1
name = "Two teams"
[kpi.visits]
step = 1
[kpi.sales]
step = 1
[kpi.sales.drivers]
visits = { contribution = 2, at = "team" }
[unit.company]
[unit.north]
parent = "company"
level = "team"
[unit.south]
parent = "company"
level = "team"
[cell."north/visits"]
baseline = 10
max_stretch = 5
[cell."south/visits"]
baseline = 20
max_stretch = 5
[cell."north/sales"]
baseline = 100
max_stretch = 30
[cell."south/sales"]
baseline = 100
lock = 10
[goal.sales]
target = 230
"""
PLAN = "unit,kpi,target\nnorth,visits,13\nsouth,visits,20\nnorth,sales,126\nsouth,sales,115\n"


def judged_plan(tmp_path, plan=PLAN, text=TEXT):
    scenario, table = tmp_path / "s.toml", tmp_path / "plan.csv"
    scenario.write_text(text, "utf-8")
    table.write_text(plan, "utf-8")
    return judge_rule(build_graph(kpiopt.load(scenario)), str(table))


def test_a_target_is_all_that_is_asked_effects_included(tmp_path):
    """North's 3 more visits bring 6 of its 26 more sales; 20 are its own stretch."""
    judged = judged_plan(tmp_path)
    units, kpis = judged.scenario.units.ids, judged.scenario.kpi_ids
    cells = judged.scenario.cells
    stretch = {f"{units[u]}/{kpis[k]}": s for u, k, s in zip(cells.unit, cells.kpi, judged.plan.stretch, strict=True)}
    assert stretch == pytest.approx({"north/visits": 3, "south/visits": 0, "north/sales": 20, "south/sales": 15})
    assert [goal.asked for goal in judged.goals] == pytest.approx([241.0])
    assert [(b.name, b.limit, b.used) for b in judged.broken] == [("lock@south/sales", 10.0, 15.0)]


def test_stretches_may_stand_beside_targets_and_totals_are_compared(tmp_path):
    plan = "unit,kpi,target,stretch\nnorth,visits,,3\nsouth,visits,,0\nnorth,sales,126,\nsouth,sales,,10\n"
    plan += "company,sales,240,\ncompany,visits,33,\n"
    judged = judged_plan(tmp_path, plan)
    assert [goal.asked for goal in judged.goals] == pytest.approx([236.0])
    assert judged.broken == ()
    (note,) = [n for n in judged.notes if n.code == "W-plan-total"]
    assert "company/sales is 240 in the table, and what is below adds up to 236" in note.message


def test_everything_wrong_is_told_at_once(tmp_path):
    plan = "unit,kpi,target,stretch\nnorht,visits,13,\nnorth,salse,1,\nnorth,sales,,\nsouth,sales,1,1\n"
    with pytest.raises(TableError) as caught:
        judged_plan(tmp_path, plan)
    codes = [problem.code for problem in caught.value.problems]
    assert sorted(codes) == sorted(
        ["E-unknown-unit", "E-unknown-kpi", "E-plan-figure", "E-plan-figure", "E-plan-missing"]
    )
    said = "\n".join(str(problem) for problem in caught.value.problems)
    assert "did you mean 'north'?" in said and "north/visits, south/visits" in said


def test_targets_of_a_solve_given_back_have_its_odds_and_pay(tmp_path):
    run = kpiopt.solve(kpiopt.load(HAND))
    table = tmp_path / "plan.csv"
    run.targets.select("unit", "kpi", "target").write_csv(table)
    judged = judge_scenario(run.scenario, str(table), SolveOptions())
    assert judged.plan.target == pytest.approx(run.plan.target, nan_ok=True)
    assert judged.broken == ()
    assert [goal.odds.estimate for goal in judged.simulation.goals] == pytest.approx(
        [goal.odds.estimate for goal in run.simulation.goals], abs=1e-12
    )
    again = read_given_plan(run.graph, table)
    assert np.abs(again.stretch - run.plan.stretch).max() <= 1e-9 * np.abs(run.plan.stretch).max()


def test_on_the_command_line(tmp_path, capsys):
    scenario, table = tmp_path / "s.toml", tmp_path / "plan.csv"
    scenario.write_text(TEXT, "utf-8")
    table.write_text(PLAN, "utf-8")
    words = ["solve", str(scenario), "--set", "simulation.draws=256"]
    assert main([*words, "--plan", str(table), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["broken_limits"][0]["name"] == "lock@south/sales"
    assert main([*words, "--beside", str(table)]) == 2
    assert "--plan" in capsys.readouterr().err
    assert main([*words, "--plan", str(table), "--rule", "even"]) == 2
    assert main([*words, "--plan", "even"]) == 2
    assert main(["compare", str(scenario), f"{scenario}@{table}", "--out", str(tmp_path / "runs"), "--json"]) == 0


def test_a_target_that_cannot_be_is_told(tmp_path):
    """Beyond the KPI's bound it is judged as the bound; that is not done unsaid."""
    text = TEXT.replace("[kpi.visits]", "[kpi.visits]\nmax = 24\nmin = 0")
    scenario, table = tmp_path / "s.toml", tmp_path / "plan.csv"
    scenario.write_text(text, "utf-8")
    table.write_text(PLAN.replace("south,visits,20", "south,visits,25").replace("north,visits,13", "north,visits,-1"))
    found = {p.location.line: p.message for p in read_given_plan(build_graph(kpiopt.load(scenario)), table).notes
             if p.code == "W-plan-bound"}  # fmt: skip
    assert found == {
        2: "north/visits is asked for -1, which cannot be: judged as 0",
        3: "south/visits is asked for 25, which cannot be: judged as 24",
    }


def test_marks_of_a_plan_are_not_said_to_belong_under_tables(tmp_path):
    with pytest.raises(TableError, match="save the plan with commas") as error:
        judged_plan(tmp_path, PLAN.replace(",", ";"))
    assert "[tables]" not in str(error.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("column", "figure"), [("target", "1e300"), ("target", "-2e12"), ("stretch", "1.1e12")])
def test_figures_beyond_those_of_a_scenario_are_refused(tmp_path, column, figure):
    """The limit of the format holds for plans: each with its place, what it is, the rule and what to do."""
    (tmp_path / "s.toml").write_text(TEXT)
    rows = ["north,visits,13,", "south,visits,20,", "north,sales,126,", "south,sales,115,"]
    rows[2] = f"north,sales,{figure}," if column == "target" else f"north,sales,,{figure}"
    (tmp_path / "plan.csv").write_text("\n".join(["unit,kpi,target,stretch", *rows]) + "\n")
    with pytest.raises(TableError) as caught:
        read_given_plan(build_graph(kpiopt.load(tmp_path / "s.toml")), tmp_path / "plan.csv")
    (problem,) = caught.value.problems
    assert problem.code == "E-number-range" and problem.location.line == 4 and problem.fix
    assert f"{float(figure):g}" in problem.message and "1e+12" in problem.rule
    (tmp_path / "plan.csv").write_text("\n".join(["unit,kpi,target,stretch", *rows]).replace(figure, "1e12") + "\n")
    assert read_given_plan(build_graph(kpiopt.load(tmp_path / "s.toml")), tmp_path / "plan.csv").stretch.shape == (4,)
