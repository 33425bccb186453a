"""The shipped scenarios: their expected answers, a second opinion on them, and what a planner would check by hand.

`python -m tests.test_scenarios` writes the expected answers anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpiopt.errors import Infeasible
from kpiopt.graph import NodeKind
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import check_scenario, load_scenario
from tests.second_opinion import Opinion

SCENARIOS = Path(__file__).parent.parent / "scenarios"
IMPOSSIBLE = ("hand-solved", "adventureworks-base", "adventureworks-stretched", "scorecard")
SOLVED = (*IMPOSSIBLE, "canada-service-standards", "adventureworks-fitted")
BY_PERIOD = ("scorecard-quarters", "adventureworks-quarters")
VARIANTS = (
    ("hand-solved", "lean"),
    ("adventureworks-base", "lean"),
    ("adventureworks-base", "growing_market"),
    ("adventureworks-fitted", "last_year_plus"),
    ("adventureworks-stretched", "more_hours"),
    ("adventureworks-stretched", "bolder"),
    ("scorecard", "lean"),
    ("scorecard", "people_first"),
)
ODDS = 0.03
each_scenario = pytest.mark.parametrize("name", SOLVED)
each_question = pytest.mark.parametrize(("name", "variant"), [*((n, None) for n in SOLVED), *VARIANTS])


@cache
def solve(name: str, variant: str | None = None, *, simulate: bool = False) -> Run:
    scenario = load_scenario(SCENARIOS / f"{name}.toml", variant=variant)
    return solve_scenario(scenario, options=SolveOptions(simulate=simulate))


def answer_of(run: Run) -> dict[str, Any]:
    """What is kept of a run: everything that a reader of the plan would see, and no noise."""
    answer, graph = run.as_dict(), run.graph
    kpi_nodes = np.flatnonzero(graph.kind == NodeKind.KPI).tolist()
    keys = ("goal", "kpi", "unit", "baseline", "target", "plan", "shortfall")
    return {
        "scenario": run.scenario.name,
        "steps": [{key: step[key] for key in ("step", "priority", "value") if key in step} for step in answer["steps"]],
        "goals": [{key: goal[key] for key in keys} | {"odds": goal["odds"]["estimate"]} for goal in answer["goals"]],
        "all_goals": answer["all_goals"]["estimate"],
        "pay": {key: answer["pay"][key] for key in ("plan", "limit", "mean") if key in answer["pay"]},
        "binding": sorted(limit["name"] for limit in answer["limits"] if limit["binding"]),
        "levels": {
            graph.node_name(node): round(float(level), 9)
            for node, level in zip(graph.level_node.tolist(), run.plan.levels, strict=True)
        },
        "targets": {graph.node_name(node): float(run.plan.target[node]) for node in sorted(kpi_nodes)},
    }


def expected_answer(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((SCENARIOS / "expected" / f"{name}.json").read_text(encoding="utf-8"))
    return answer


def without_odds(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in goal.items() if key != "odds"} for goal in answer["goals"]]


def assert_close(found: Any, expected: Any, **tolerance: float) -> None:
    """Compare nested lists and tables; numbers within a tolerance."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_close(found[key], expected[key], **tolerance)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, **tolerance)
    elif isinstance(expected, int | float):
        assert found == pytest.approx(expected, **tolerance)
    else:
        assert found == expected


@each_scenario
def test_plan_is_the_expected_one(name: str) -> None:
    found, expected = answer_of(solve(name, simulate=True)), expected_answer(name)
    assert_close(without_odds(found), without_odds(expected), rel=1e-6, abs=1e-6)
    for key in ("scenario", "steps", "binding", "levels", "targets"):
        assert_close(found[key], expected[key], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", [pytest.param(BY_PERIOD[0], marks=pytest.mark.nightly), BY_PERIOD[1]])
def test_the_plan_by_quarter_is_the_expected_one(name: str) -> None:
    """`scenarios/by_period`: without the odds, and its targets by quarter add up."""
    found = answer_of(solve(f"by_period/{name}", simulate=True))
    expected = json.loads((SCENARIOS / "by_period" / "expected" / f"{name}.json").read_text(encoding="utf-8"))
    assert_close(without_odds(found), without_odds(expected), rel=1e-6, abs=1e-6)
    for key in ("scenario", "steps", "binding", "levels", "targets"):
        assert_close(found[key], expected[key], rel=1e-6, abs=1e-6)
    assert found["all_goals"] == pytest.approx(expected["all_goals"], abs=ODDS)


@each_scenario
def test_odds_and_pay_are_near_the_expected_ones(name: str) -> None:
    found, expected = answer_of(solve(name, simulate=True)), expected_answer(name)
    odds = [goal["odds"] for goal in found["goals"]]
    assert odds == pytest.approx([goal["odds"] for goal in expected["goals"]], abs=ODDS)
    assert found["all_goals"] == pytest.approx(expected["all_goals"], abs=ODDS)
    assert_close(found["pay"], expected["pay"], rel=0.01)


@each_question
def test_a_second_opinion_finds_the_same_values(name: str, variant: str | None) -> None:
    second = Opinion(SCENARIOS / f"{name}.toml", variant).solve()
    found = [step.value for step in solve(name, variant).solution.steps]
    assert found[:-1] == pytest.approx(second, rel=1e-5, abs=1e-6)


@each_question
def test_the_plan_keeps_every_limit_and_explains_its_goals(name: str, variant: str | None) -> None:
    """Limits and plan values by the second opinion's own reading of the files."""
    run, opinion = solve(name, variant), Opinion(SCENARIOS / f"{name}.toml", variant)
    graph = run.graph
    stretch = {graph.node_name(node): x for node, x in zip(graph.cell_node.tolist(), run.plan.stretch, strict=True)}
    level = {graph.node_name(node): a for node, a in zip(graph.level_node.tolist(), run.plan.levels, strict=True)}
    x = np.array(
        [level[f"initiative.{d[0]}@{d[1]}"] if len(d) == 3 else stretch[f"{d[0]}/{d[1]}"] for d in opinion.column]
    )
    for row, limit in opinion.limits():
        assert row @ x <= limit + 1e-6 * max(1.0, abs(limit))
    for goal in run.goals:
        node = (goal.unit, goal.goal.kpi)
        row, constant = opinion.change(node)
        assert opinion.value_before(node) + row @ x + constant == pytest.approx(goal.plan, rel=1e-9)


@each_question
def test_every_step_is_certified(name: str, variant: str | None) -> None:
    assert all(step.certificate.passed for step in solve(name, variant).solution.steps)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_the_impossible_variant_is_proved_impossible_and_says_what_would_help(name: str) -> None:
    with pytest.raises(Infeasible) as failure:
        solve(name, "impossible")
    assert "--set" in failure.value.problems[0].fix


@pytest.mark.parametrize("name", ["adventureworks-base", "adventureworks-stretched"])
def test_targets_of_salespeople_add_up_through_territories_and_groups_to_the_company(name: str) -> None:
    run = solve(name)
    graph, units = run.graph, run.scenario.units
    for kpi in ("sales", "orders", "lines", "training_days"):
        target = {
            unit: run.plan.target[graph.find_node(kpi, unit)] for unit in units.ids if graph.find_node(kpi, unit) >= 0
        }
        for unit in target:
            below = [units.ids[i] for i, p in enumerate(units.parent) if p >= 0 and units.ids[p] == unit]
            parts = [target[child] for child in below if child in target]
            assert not parts or sum(parts) == target[unit], (kpi, unit)


def test_the_stretched_plan_is_harder_in_every_way() -> None:
    base, stretched = (solve(name, simulate=True).as_dict() for name in SOLVED[1:3])
    assert base["goals"][0]["shortfall"] == 0.0 < stretched["goals"][0]["shortfall"]
    assert stretched["all_goals"]["estimate"] < base["all_goals"]["estimate"]
    assert stretched["goals"][0]["odds"]["estimate"] < base["goals"][0]["odds"]["estimate"]
    assert sum(limit["binding"] for limit in stretched["limits"]) > sum(limit["binding"] for limit in base["limits"])
    assert stretched["pay"]["plan"] > base["pay"]["plan"]


def test_less_time_and_money_cost_goals() -> None:
    lean, base = ([step.value for step in solve("scorecard", v).solution.steps[:3]] for v in ("lean", None))
    assert lean > base, "in the strict order, so as lists"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_scenario_and_variant_checks_without_errors(path: Path) -> None:
    scenario, problems, _ = check_scenario(path)
    assert scenario is not None and not problems.errors
    for variant in scenario.variants:
        assert not check_scenario(path, variant=variant)[1].errors, variant


def test_every_scenario_to_solve_has_an_expected_answer() -> None:
    asked = {path.stem for path in SCENARIOS.glob("*.toml")} - {"adventureworks-targets-check"}
    assert asked == set(SOLVED) == {path.stem for path in (SCENARIOS / "expected").glob("*.json")}


if __name__ == "__main__":
    for scenario_name in (*SOLVED, *(f"by_period/{one}" for one in BY_PERIOD)):
        text = json.dumps(answer_of(solve(scenario_name, simulate=True)), indent=1)
        place = (SCENARIOS / scenario_name).parent / "expected" / f"{Path(scenario_name).name}.json"
        place.write_text(text + "\n", encoding="utf-8")
