"""A rule's plan is judged like an optimal one: same draws, pay, fairness, and the limits that it would break."""

import json
from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.run.judge import judge_rule
from kpiopt.run.solve import CELLS_BESIDE, SolveOptions, solve_scenario
from kpiopt.runs.store import RunStore
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Budget, Goal
from kpiopt.simulation.simulate import simulate
from kpiopt.studies.comparison.comparison_answer import comparisons_as_dict
from kpiopt.studies.comparison.contenders import compare_contenders, read_contenders
from tests.builders import Cell, build_kpi, build_scenario, build_units

SCENARIOS = Path(__file__).parents[2] / "scenarios"
HAND, ADVENTURE = SCENARIOS / "hand-solved.toml", SCENARIOS / "adventureworks-base.toml"


def small(**more):
    """100 more sales by |b|: ann 25 and bob 75; ann may grow by 20, bob must by 80, the team has 60 hours."""
    units = build_units(
        {"co": None, "ann": "co", "bob": "co"},
        incentives={"ann": 40, "bob": 60},
        capacity={"hours": {"co": 60, "ann": 50}},
    )
    rows = [
        Cell("ann", "sales", 100, 20, effort={"hours": 1}, pay_rate=2),
        Cell("bob", "sales", 300, 500, 80, effort={"hours": 0.5}, pay_rate=1),
    ]
    budgets = [Budget("pay", "pay", 224.0, 0), Budget("bob", "pay", 135.0, 2), Budget("cash", "cash", 0.0, 0)]
    return build_scenario(
        units, [build_kpi("sales", step=10)], rows, goals=[Goal("sales", "sales", 0, 500.0)], budgets=budgets,
        execution=(0.8,), **more,
    )  # fmt: skip


def test_limits_pay_and_fairness_by_hand():
    judged = judge_rule(build_graph(small()), "proportional")
    # 25 x 1 + 75 x 0.5 = 62.5 hours; pay 40 + 60 + 25 x 2 + 75 = 225, 135 of it bob's.
    assert [(b.name, b.limit, b.used) for b in judged.broken] == [
        ("capacity.hours@co", 60.0, 62.5),
        ("budget.pay", 224.0, 225.0),
        ("max_stretch@ann/sales", 20.0, 25.0),
        ("min_stretch@bob/sales", 80.0, 75.0),
    ]
    assert (judged.spending.pay, judged.spending.pay_limit) == (225.0, 224.0)
    assert (judged.worst_stretch, judged.fairness) == pytest.approx((0.25, 0.25))


def test_what_is_asked_adds_up_to_the_goal_and_is_not_moved_into_a_range():
    judged = judge_rule(build_graph(small()), "proportional")
    (goal,) = judged.goals
    assert (goal.asked, goal.plan, goal.met) == (500.0, 480.0, False)
    targets = {row["unit"]: row["target"] for row in judged.plan.targets.to_dicts()}
    assert targets["co"] == targets["ann"] + targets["bob"] == 500
    assert targets["ann"] in (120.0, 130.0)


def test_odds_beside_a_solve_are_those_of_the_same_draws():
    run = solve_scenario(load_scenario(ADVENTURE))
    (judged,) = run.rules
    plan = judged.plan
    alone = simulate(run.graph, plan.stretch, plan.levels, plan.target)
    assert judged.simulation.all_goals == alone.all_goals
    entry = run.as_dict()["rules"]["proportional"]
    assert entry["all_goals"] == alone.all_goals.as_dict()
    assert [g["odds"] for g in entry["goals"]] == [g.odds.as_dict() for g in alone.goals]
    assert entry["worst_stretch"] == judged.worst_stretch and entry["pay"]["plan"] == judged.spending.pay


def test_the_targets_of_the_run_do_not_depend_on_what_stands_beside_it():
    found = load_scenario(HAND)
    runs = [solve_scenario(found, options=SolveOptions(beside=b)) for b in ((), None, ("even", "last-year+8%"))]
    assert [list(run.as_dict()["rules"]) for run in runs] == [[], ["proportional"], ["even", "last-year+8%"]]
    assert all(run.targets.equals(runs[0].targets) for run in runs)


def test_above_20_000_cells_only_where_asked_for(monkeypatch):
    assert CELLS_BESIDE == 20_000
    found = load_scenario(HAND)
    monkeypatch.setattr("kpiopt.run.solve.CELLS_BESIDE", len(found.cells) - 1)
    assert solve_scenario(found, options=SolveOptions(simulate=False)).rules == ()
    assert len(solve_scenario(found, options=SolveOptions(simulate=False, beside=("proportional",))).rules) == 1


def test_the_command_prints_the_plan_and_keeps_nothing(tmp_path, capsys):
    words = ["solve", str(HAND), "--rule", "proportional", "--out", str(tmp_path / "runs")]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["rule"], document["certified"]) == ("kpiopt.rule/1", "proportional", False)
    # The hand-solved model asks 8,000 of sales, 3 of 5 of Ann: 4,800 of 3,600 that she may give; pay 0.1 each.
    assert document["broken_limits"] == [
        {"name": "budget.pay", "limit": 700.0, "used": 800.0},
        {"name": "max_stretch@ann/sales", "limit": 3600.0, "used": 4800.0},
        {"name": "max_stretch@bob/sales", "limit": 2400.0, "used": 3200.0},
    ]
    assert {t["unit"]: t["stretch"] for t in document["targets"] if t["kpi"] == "complaints"} == {
        "company": None, "ann": 3.0, "bob": 2.0,
    }  # fmt: skip
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "Not certified" in text and "pay budget" in text
    assert not (tmp_path / "runs").exists()


def test_a_slip_in_the_rule_is_a_usage_error(tmp_path, capsys):
    assert main(["solve", str(HAND), "--rule", "proportionate", "--out", str(tmp_path)]) == 2
    assert main(["solve", str(HAND), "--beside", "proportionate", "--out", str(tmp_path)]) == 2
    assert main(["solve", str(HAND), str(HAND), "--rule", "even", "--out", str(tmp_path)]) == 2
    assert "E-rule" in capsys.readouterr().err


def test_a_run_with_rules_beside_it_is_verified(tmp_path, capsys):
    words = ["solve", str(HAND), "--out", str(tmp_path), "--json"]
    for more in ([], ["--beside", "even", "--beside", "last-year+8%"], ["--no-simulation"]):
        assert main([*words, *more]) == 0
        document = json.loads(capsys.readouterr().out)
        assert list(document["rules"]) == ([r for r in more if r[0] != "-"] or ["proportional"])
        summary = Path(document["folder"], "summary.txt").read_text("utf-8")
        assert summary.count("Beside ") == len(document["rules"])
        assert main(["verify", document["folder"]]) == 0
        capsys.readouterr()


def test_forged_figures_of_a_rule_are_found(tmp_path, capsys):
    from kpiopt.runs.run_document import seal

    assert main(["solve", str(HAND), "--out", str(tmp_path), "--json"]) == 0
    file = Path(json.loads(capsys.readouterr().out)["folder"], "run.json")
    document = json.loads(file.read_text("utf-8"))
    document["rules"]["proportional"]["pay"]["plan"] = 500.0
    file.write_text(json.dumps(seal(document)), "utf-8")
    assert main(["verify", str(file.parent)]) == 6
    assert "rules.proportional.pay.plan" in "".join(capsys.readouterr())


def test_a_rule_stands_in_for_a_scenario_in_compare(tmp_path):
    sources = [str(HAND), f"{HAND}@proportional", f"{HAND}:lean@even", f"{HAND}@column:baseline"]
    found = compare_contenders(read_contenders(sources, RunStore(tmp_path)), SolveOptions())
    document = comparisons_as_dict(found)
    sides = [document["base"], *(entry["scenario"] for entry in document["comparisons"])]
    assert [side["rule"] for side in sides] == [None, "proportional", "even", "column:baseline"]
    assert sides[1]["broken_limits"][0] == {"name": "budget.pay", "limit": 700.0, "used": 800.0}
    assert sides[2]["broken_limits"][0] == {"name": "budget.pay", "limit": 500.0, "used": 800.0}
    assert (sides[0]["pay"], sides[1]["pay"]) == pytest.approx((600.0, 800.0))
    assert found.others[0].inputs == () or not found.others[0].inputs
    assert np.array_equal(found.others[0].second.plan.stretch, found.others[2].second.plan.stretch)


def test_compare_says_what_is_no_rule(tmp_path):
    with pytest.raises(UsageError, match="no rule"):
        read_contenders([str(HAND), f"{HAND}@proportionate"], RunStore(tmp_path))


def test_rules_that_the_time_does_not_reach_are_told():
    from kpiopt.deadline import Deadline, Replay
    from kpiopt.program.solver.answer import SolverOptions

    found = load_scenario(HAND)
    late = Replay.of([{"what": "rules", "done": 0, "total": 1}])
    run = solve_scenario(found, options=SolveOptions(SolverOptions(deadline=late)))
    assert run.rules == () and [part.what for part in run.not_done] == ["rules"]
    assert run.simulation is not None
    inside = solve_scenario(found, options=SolveOptions(SolverOptions(deadline=Deadline.after(600))))
    assert len(inside.rules) == 1 and inside.not_done == ()


HEADROOM = """
schema = 1
name = "Shares"
[kpi.share]
roll_up = "mean"
min = 0
max = 1
scale = "headroom"
step = 0.01
[goal.share]
target = 0.8
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/share"]
baseline = 0.2
max_stretch = 0.8
[cell."b/share"]
baseline = 0.8
max_stretch = 0.2
"""


def test_a_rule_is_judged_by_what_its_kpi_is_compared_by(tmp_path):
    """Both gain 60 % of what they have, b only up to its bound: 0.12 and 0.48 of 0.8 and 0.2, so 0.15 and 2.4."""
    path = tmp_path / "scenario.toml"
    path.write_text(HEADROOM, encoding="utf-8")
    judged = judge_rule(build_graph(load_scenario(path)), "proportional")
    assert (judged.worst_stretch, judged.fairness) == pytest.approx((2.4, 2.4))
