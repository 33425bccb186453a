"""Plans with whole numbers: what slack is relative to, what the proof says, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.errors import Infeasible, LimitReached
from kpiopt.program.order import branching
from kpiopt.report.page.kept_files import plain_text
from kpiopt.report.summary import render_summary
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario

FAULTS = Path(__file__).parents[2] / "data" / "faults" / "whole"


def solve(path: Path) -> Run:
    return solve_scenario(load_scenario(path), options=SolveOptions(simulate=False))


def values(run: Run) -> dict[str, float]:
    return {step.name: step.value for step in run.solution.steps}


def test_slack_is_relative_to_the_best_value_over_all_choices() -> None:
    """The goal's best is 0.8 with the machine; without it 0.9. Later steps may give up a fifth of 0.8, not of 0.9."""
    run = solve(FAULTS / "slack_whole.toml")
    assert values(run) == pytest.approx({"goals": 0.8, "cost": 4.0, "reference": 1.6e-3})
    assert run.plan.levels == pytest.approx(0.0)
    assert [(goal.plan, goal.shortfall) for goal in run.goals] == [pytest.approx((4.0, 96.0))]


def test_the_reference_picks_among_the_choices_that_slack_allows() -> None:
    run = solve(FAULTS / "slack_ref.toml")
    assert run.plan.levels == pytest.approx([2.0, 2.0])
    assert values(run) == pytest.approx({"goals": 0.61, "reference": 4.444444444e-4})
    assert [goal.shortfall for goal in run.goals] == pytest.approx([62.0])


def test_a_limit_a_hair_below_a_whole_number_is_a_limit() -> None:
    run = solve(FAULTS / "hair2.toml")
    assert run.plan.levels == pytest.approx(2.0)
    assert values(run)["goals"] == pytest.approx(0.8)


def test_no_whole_numbers_fit() -> None:
    with pytest.raises(Infeasible) as failure:
        solve(FAULTS / "whole_inf.toml")
    assert failure.value.details["certificate"]["passed"]
    assert failure.value.details["certificate"]["margin"] > 0.1
    assert failure.value.details["repair"]["set"] == ["budget.cash.limit=1"]


def test_a_repair_of_whole_numbers_mends(tmp_path: Path) -> None:
    text = (FAULTS / "whole_inf.toml").read_text("utf-8").replace("limit = 0.6", "limit = 1")
    (tmp_path / "mended.toml").write_text(text, "utf-8")
    assert solve(tmp_path / "mended.toml").plan.levels == pytest.approx(1.0)


def many_machines(path: Path) -> Path:
    """Twelve machines of nearly the same worth: each choice is nearly as good as many others."""
    rng = np.random.default_rng(3)
    text = ['schema = 1\nname = "many"\n[kpi.g]\nbaseline = 0\n[unit.company]\n[goal.g]\ntarget = 10000']
    for i in range(12):
        text.append(f"[initiative.i{i}]\nmax = 3\nwhole = true\nuses = {{ cash = {rng.integers(90, 110)} }}")
        text.append(f"effects = {{ g = {rng.integers(900, 1100) / 10} }}")
    path.write_text("\n".join([*text, "[budget.cash]\nlimit = 1234"]), "utf-8")
    return path


def test_a_search_that_is_too_long_says_how_far_the_best_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = many_machines(tmp_path / "many.toml")
    best = solve(path)
    monkeypatch.setattr(branching, "NODES", 10)
    with pytest.raises(LimitReached) as failure:
        solve(path)
    known = failure.value.details["best_known"]
    assert "at most" in failure.value.problems[0].message
    assert known["value"] - known["at_most_from_best"] <= values(best)["goals"] + 1e-9 <= known["value"] + 2e-9
    assert main(["solve", str(path), "--no-simulation", "--out", str(tmp_path / "runs"), "--json"]) == 7
    told = json.loads(capsys.readouterr().out)
    assert told["diagnosis"]["proved"] is False
    assert not list((tmp_path / "runs").glob("*/targets.csv"))


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter")
    assert main(["init", str(folder)]) == 0
    return folder / "scenario.toml"


def solve_with_cash(path: Path, cash: float) -> Run:
    scenario = load_scenario(path, overrides=[f"budget.cash.limit={cash}"])
    return solve_scenario(scenario, options=SolveOptions(simulate=False))


def test_the_next_steps_of_a_limit_are_what_solving_there_gives(starter: Path) -> None:
    """Coaching is bought in sessions of 400: with 3,600 or 4,400 there are plans, and they are other plans."""
    run = solve_with_cash(starter, 4000)
    cash = next(limit for limit in run.limits if limit.name == "budget.cash")
    assert cash.price_less is None
    for step, limit in ((cash.next_less, 3600), (cash.next_more, 4400)):
        there = values(solve_with_cash(starter, limit))
        assert step is not None
        assert (step.limit, step.has_plan, step.step) == (limit, True, "fairness")
        assert step.change == pytest.approx(there["fairness"] - values(run)["fairness"], rel=1e-6)
        assert abs(step.change) > 1e-4
    text = " ".join(plain_text(render_summary(run), 110).split())
    assert "worth nothing" not in text
    assert "there is no plan" not in text
    average = "the average of the peer groups' largest stretches would be"
    assert f"With 400 less of the cash budget (3,600), {average}" in text
    assert f"With 400 more of the cash budget (4,400), {average}" in text
