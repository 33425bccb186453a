"""What is certain is said to be certain, and nothing else is; one rule decides whether a value reaches its target."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.graph import build_graph
from kpiopt.report.numbers import goal_amounts
from kpiopt.run.solve import solve_scenario
from kpiopt.scenario.load import check_scenario, load_scenario
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.scenario.target_grid import least_hit, target_grid
from kpiopt.simulation.certainty import certain_inputs, varying_nodes
from kpiopt.simulation.propagate import Propagation
from kpiopt.simulation.simulate import simulate
from tests.builders import build_kpi
from tests.simulation.maps import EVEN, compiled, goal, structural, teams

CERTAIN = """
schema = 1
name = "Nothing is uncertain"
currency = "USD"
[kpi.sales]
unit = "USD"
[unit.company]
[cell."company/sales"]
baseline = 100
max_stretch = 50
pay_rate = 2
[goal.sales]
target = 120
[budget.pay]
limit = 50
"""
OFF_STEP = """
schema = 1
name = "off the step"
[kpi.p]
unit = "orders"
step = 1
[unit.company]
[unit.a]
parent = "company"
[unit.b]
parent = "company"
[cell."a/p"]
baseline = 50
max_stretch = 10
[cell."b/p"]
baseline = 50
max_stretch = 10
[goal.p]
target = 107.3
"""


def read(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


def solved(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> tuple[str, dict[str, Any]]:
    """The summary and the document of a scenario."""
    place = [str(path), *words, "--out", str(path.parent / "runs")]
    assert main(["solve", *place]) == 0
    text = capsys.readouterr().out
    assert main(["solve", *place, "--json"]) == 0
    return text, json.loads(capsys.readouterr().out)


def test_a_goal_that_nothing_uncertain_reaches_is_certain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = read(tmp_path, CERTAIN)
    text, document = solved(capsys, path)
    assert "sales: certain: nothing uncertain reaches this goal." in text
    assert "Taken as certain, all 2 inputs: uncertainty.execution, cells.sales.baseline." in text
    assert "%" not in text.split("odds in %")[1].split("Who is asked")[0].replace("95 % interval", "")
    certain = {"estimate": 1.0, "low": 1.0, "high": 1.0, "certain": True}
    assert document["goals"][0]["odds"] == document["all_goals"] == certain
    assert document["pay"]["over_limit"] == {"estimate": 0.0, "low": 0.0, "high": 0.0, "certain": True}
    assert document["certain_inputs"] == ["uncertainty.execution", "cells.sales.baseline"]
    text, document = solved(capsys, path, "--set", "goal.sales.target=160")
    assert "sales: never reached: nothing uncertain reaches this goal." in text
    assert document["goals"][0]["odds"] == {"estimate": 0.0, "low": 0.0, "high": 0.0, "certain": True}
    assert document["all_goals"]["certain"]


def test_every_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, runs = read(tmp_path, CERTAIN), str(tmp_path / "runs")
    run = solved(capsys, path)[1]["run"]

    def answer(*words: str) -> dict[str, Any]:
        assert main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert answer("simulate", run, "--out", runs)["goals"][0]["odds"]["certain"]
    swept = answer("sweep", str(path), "--over", "goal.sales.target=120,160", "--out", runs)
    assert [point["all_goals"] for point in swept["points"]] == [
        {"estimate": x, "low": x, "high": x, "certain": True} for x in (1.0, 0.0)
    ]
    assert answer("compare", str(path), f"{runs}/{run}", "--out", runs)["base"]["all_goals"]["certain"]
    assert answer("explain", run, "company/sales", "--out", runs)["odds"]["certain"]
    assert main(["explain", run, "company/sales", "--out", runs]) == 0
    assert "certain: nothing uncertain reaches this target" in " ".join(capsys.readouterr().out.split())


def test_odds_of_every_target_have_intervals(tmp_path: Path) -> None:
    text = CERTAIN + '[uncertainty]\nexecution = "0.6 to 1.4"\n'
    run = solve_scenario(load_scenario(read(tmp_path, text), overrides=["goal.sales.target=105"]))
    row = run.plan.targets.row(0, named=True)
    assert row["odds_low"] < row["odds"] < row["odds_high"]
    run = solve_scenario(load_scenario(read(tmp_path, CERTAIN)))
    row = run.plan.targets.row(0, named=True)
    assert (row["odds"], row["odds_low"], row["odds_high"]) == (1.0, 1.0, 1.0)


def test_what_varies_is_what_differs_between_draws() -> None:
    """Uncertain sources of every kind, some that act on nothing: against the draws themselves."""
    spread, point = Quantity("normal", (1.0, 0.2)), Quantity("uniform", (2.0, 2.0))
    scenario = structural(
        {"a": {"f": 1.0}, "b": {"a": 0.0}, "c": {"b": 1.0}, "d": {"c": 1.0}, "e": {"a": 2.0}, "z": {"g": 1.0}},
        noises={"f": EVEN, "g": point},
        contributions={("d", "c"): spread, ("z", "g"): spread},
    )
    graph, stretch, levels = compiled(scenario)
    varies = varying_nodes(graph, stretch, levels)
    propagation = Propagation(graph, stretch, levels)
    scores = np.random.default_rng(0).standard_normal((len(propagation.inputs.names), 50))
    delta = propagation.run(lambda rows: scores[rows].copy(), 50).delta
    assert varies.tolist() == (np.ptp(delta, axis=1) > 0).tolist()
    assert 0 < varies.sum() < len(varies)
    fixed = varying_nodes(graph, stretch, levels, {graph.find_node("a"): 3.0})
    assert not fixed[[graph.find_node("a"), graph.find_node("e")]].any()


def test_a_goal_that_hardly_ever_misses_is_not_certain() -> None:
    scenario, stretch = teams(2, goals=[goal("sales", 150.0), goal("sales", 900.0)])
    scenario = replace(scenario, goals={"low": replace(goal("sales", 150.0)), "high": goal("sales", 900.0)})
    found = simulate(build_graph(scenario), stretch, np.zeros(0), settings=SimulationSettings(256))
    low, high = (g.odds for g in found.goals)
    assert (low.estimate, high.estimate) == (1.0, 0.0)
    assert (low.is_certain, high.is_certain) == (False, False)
    assert (low.text[:9], high.text[:9]) == ("more than", "less than")
    assert low.low < 1
    assert high.high > 0


def test_certain_inputs_are_named(tmp_path: Path) -> None:
    scenario = load_scenario(Path(__file__).parents[2] / "scenarios" / "hand-solved.toml")
    paths = certain_inputs(scenario)
    assert set(paths) <= {
        "uncertainty.execution",
        *(f"cells.{k}.baseline" for k in scenario.kpis),
        *(f"kpi.{k}.baseline" for k in scenario.kpis),
        *(d.path for k in scenario.kpis.values() for d in k.drivers),
        *(e.path for i in scenario.initiatives.values() for e in i.effects),
        *(f"factor.{f}.value" for f in scenario.factors),
    }
    drivers = {d.path: d.contribution.is_number for k in scenario.kpis.values() for d in k.drivers}
    assert {path for path in paths if path in drivers} == {path for path, certain in drivers.items() if certain}


def by_hand(value: Fraction, target: Fraction, step: Fraction, sign: int) -> bool:
    """DESIGN 6.2 in exact arithmetic."""
    grid = step
    while (target / grid).denominator != 1:
        grid /= 10
    rounded = (sign * value / grid + Fraction(1, 2)).__floor__() * grid
    return rounded >= sign * target


@pytest.mark.parametrize("sign", [1, -1])
def test_one_rule_against_exact_fractions(sign: int) -> None:
    rng = np.random.default_rng(4)
    for _ in range(2000):
        step = Fraction(int(rng.choice([1, 5, 25, 1000])), int(rng.choice([1, 10, 100])))
        target = Fraction(int(rng.integers(1, 10**6)), int(rng.choice([1, 10, 100, 1000])))
        if (target / step * 10**6).denominator != 1:
            continue
        value = target + Fraction(int(rng.integers(-3000, 3000)), int(rng.choice([10, 100, 1000, 3000])))
        found = least_hit(*(np.array([float(x)]) for x in (target, 0.0, step, sign)))[0]
        if abs(sign * (float(value) - found)) > 1e-7:  # exact halves are looked at below
            assert (sign * float(value) >= sign * found) == by_hand(value, target, step, sign), (value, target, step)


def test_halves_go_to_the_better_side_and_grids_are_the_coarsest() -> None:
    one, two = np.ones(1), np.full(1, 2.0)
    assert least_hit(two, two, one, one)[0] == 1.5
    assert least_hit(two, two, one, -one)[0] == 2.5
    targets, steps = (
        np.array([107.0, 107.3, 107.25, 0.075, 3000.0, 1e9 + 0.4, 1 / 3]),
        np.array([1, 1, 1, 0.05, 1000, 1, 1]),
    )
    assert target_grid(targets, steps) == pytest.approx([1, 0.1, 0.01, 0.005, 1000, 0.1, 1e-12], rel=1e-12)
    assert target_grid(targets[:1], np.zeros(1))[0] == 0


def test_a_target_off_the_step_is_met_in_plan_and_draws_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = read(tmp_path, OFF_STEP)
    text, document = solved(capsys, path)
    goal_entry = document["goals"][0]
    assert goal_entry["met"]
    assert goal_entry["odds"]["estimate"] == 1.0
    row = next(line for line in text.splitlines() if line.strip().startswith("p, orders"))
    assert row.split() == ["p,", "orders", "100.0", "107.3", "107.3", "met", "certain"]
    found = [p for p in check_scenario(path)[1] if p.code == "W-goal-step"]
    assert len(found) == 1
    assert "107.3, no multiple of the step 1" in found[0].message
    assert not [p for p in check_scenario(path, overrides=["goal.p.target=107"])[1] if p.code == "W-goal-step"]


def test_met_is_what_draws_call_a_hit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At most 119.6 can be reached: rounded that is 120, but not 119.7, nor 120 on a KPI without a step."""
    path = read(tmp_path, CERTAIN.replace('unit = "USD"', 'unit = "USD"\nstep = 1').replace("= 50\npay", "= 19.6\npay"))
    for words, met, shown in (
        ((), True, ["100", "120", "120", "met"]),
        (("--set", "goal.sales.target=119.7"), False, ["100.0", "119.7", "119.6", "0.1"]),
        (("--set", "kpi.sales.step=0.01"), False, ["100.00", "120.00", "119.60", "0.40"]),
        (("--set", "kpi.sales.step=1", "--set", "goal.sales.target=121"), False, ["100", "121", "120", "1"]),
    ):
        text, document = solved(capsys, path, *words)
        entry = document["goals"][0]
        assert (entry["met"], entry["odds"]["estimate"]) == (met, float(met))
        row = next(line for line in text.splitlines() if line.strip().startswith("sales, USD"))
        assert row.split()[2:6] == shown


def test_figures_have_the_digits_that_decide() -> None:
    plain, stepped = build_kpi("k"), build_kpi("k", step=1000.0)
    assert goal_amounts(plain, 10_000.0, 9_999.6) == ("10,000.0", "9,999.6", "0.4")
    assert goal_amounts(plain, 10_000.0, 9_999.99996) == ("10,000.00000", "9,999.99996", "0.00004")
    assert goal_amounts(plain, 10_000.0, 10_000.0) == ("10,000", "10,000", "")
    assert goal_amounts(plain, 0.5, 0.75) == ("0.5000", "0.7500", "")
    assert goal_amounts(stepped, 44e6, 43_999_600.0, 40e6) == ("44,000,000", "44,000,000", "", "40,000,000")
    assert goal_amounts(stepped, 44_000_400.0, 44_000_300.0) == ("44,000,400", "44,000,300", "100")
    assert goal_amounts(build_kpi("k", sign=-1, step=1.0), 5.0, 5.5) == ("5", "5", "")
    assert goal_amounts(build_kpi("k", sign=-1, step=1.0), 5.0, 5.6) == ("5", "6", "1")
