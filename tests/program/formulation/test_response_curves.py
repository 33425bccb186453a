"""Response curves: worked out by hand, against a second program over random organizations, and in the draws."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import kpiopt
from kpiopt.cli.app import app
from kpiopt.errors import UsageError
from kpiopt.graph import straight
from kpiopt.report.outlook import curve_sentences
from kpiopt.run.initiatives import initiatives_as_dict
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.curve import Curve
from kpiopt.simulation.redraw import Redraw, draw_book
from kpiopt.studies.comparison.bridge import build_bridge
from kpiopt.studies.explain import explain_target
from kpiopt.studies.explain_limit import explain_initiative
from tests.from_text import codes, run_of
from tests.program.curve_organizations import CurveOracle, random_organization

ADS = """
schema = 1
name = "ads"
[kpi.sales]
unit = "USD"
baseline = 1000
[initiative.ads]
max = 50
uses = {{ cash = 1 }}
effects = {{ sales = {{ curve = {curve} }} }}
[initiative.fairs]
max = 50
uses = {{ cash = 1 }}
effects = {{ sales = 2.5 }}
[budget.cash]
limit = {cash}
[goal.sales]
target = 1200
[unit.co]
"""
FALLING, S_SHAPED = "[[0, 0], [10, 40], [30, 70]]", "[[0, 0], [10, 10], [20, 60], [30, 70]]"


def solve_ads(folder: Path, curve: str, cash: float = 30) -> tuple[Run, list[float], float]:
    run = run_of(folder, ADS.format(curve=curve, cash=cash))
    return run, run.plan.levels.tolist(), float(run.goals[0].plan)


def test_diminishing_returns_are_taken_up_to_the_bend(tmp_path: Path) -> None:
    """Ads bring 4 each up to 10, then 1.5; fairs 2.5 each: 10 of one and 20 of the other, 40 + 50. No whole numbers."""
    run, levels, plan = solve_ads(tmp_path, FALLING)
    assert levels == pytest.approx([10, 20])
    assert plan == pytest.approx(1090)
    assert not run.cascade.program.arrays().integer.any()


def test_an_s_shaped_curve_is_climbed_or_left_alone(tmp_path: Path) -> None:
    """20 ads bring 60, 3 each: with 30 to spend they and 10 fairs, 85. With 15, ads would bring 35, and fairs 37.5."""
    run, levels, plan = solve_ads(tmp_path, S_SHAPED)
    assert levels == pytest.approx([20, 10])
    assert plan == pytest.approx(1085)
    assert run.cascade.program.arrays().integer.sum() == 2
    _, levels, plan = solve_ads(tmp_path, S_SHAPED, cash=15)
    assert levels == pytest.approx([0, 15])
    assert plan == pytest.approx(1037.5)


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    """10 ads and 20 fairs bring 40 + 60; with 15 to spend 15 ads, 40 + 7.5."""
    page = (Path(__file__).parents[3] / "docs" / "actions.md").read_text("utf-8")
    (text,) = [block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if 'name = "campaign"' in block]
    run = run_of(tmp_path, text)
    assert (run.plan.levels.tolist(), run.goals[0].plan) == (pytest.approx([10, 20]), pytest.approx(1100))
    run = run_of(tmp_path, text.replace("limit = 30", "limit = 15"))
    assert (run.plan.levels.tolist(), run.goals[0].plan) == (pytest.approx([15, 0]), pytest.approx(1047.5))


def test_beyond_its_points_a_curve_goes_on(tmp_path: Path) -> None:
    """Up to 50 ads: 40 + 60 = 100 at 1.5 each from 10 on, without any fairs, of which none is allowed."""
    text = ADS.format(curve=FALLING, cash=90).replace("effects = { sales = 2.5 }", "effects = { sales = 1 }")
    run = run_of(tmp_path, text)
    assert run.plan.levels.tolist() == pytest.approx([50, 40])
    assert run.goals[0].plan == pytest.approx(1000 + 40 + 1.5 * 40 + 40)


def test_a_straight_curve_is_a_contribution(tmp_path: Path) -> None:
    bent, straight_ = (
        run_of(tmp_path, ADS.format(curve="[[0, 0], [10, 27], [20, 54]]", cash=40).replace(old, new))
        for old, new in (("", ""), ("{ curve = [[0, 0], [10, 27], [20, 54]] }", "2.7"))
    )
    assert bent.plan.levels == pytest.approx(straight_.plan.levels)
    assert bent.goals[0].plan == pytest.approx(straight_.goals[0].plan)


DRIVEN = """
schema = 1
name = "driven"
[kpi.visits]
[kpi.errors]
direction = "down"
roll_up = "none"
baseline = 20
[kpi.errors.drivers]
visits = {{ curve = [[0, 0], [10, 1], [30, 9]], trade_off = true }}
[kpi.sales]
baseline = 1000
[kpi.sales.drivers]
visits = {{ curve = [[0, 0], [10, 100], [40, 190]] }}
errors = -2
market = {{ curve = [[-1, -30], [0, 0], [1, 10]] }}
[factor.market]
value = {market}
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/visits"]
baseline = 100
max_stretch = 20
[cell."b/visits"]
baseline = 300
max_stretch = 20
[goal.sales]
target = {sales}
[goal.errors]
target = {errors}
priority = 2
[uncertainty]
execution = 0.5
"""


def test_a_kpi_moves_another_along_its_curve(tmp_path: Path) -> None:
    """1,109 of sales are 15 visits: from 10 on, v of them bring 100 + 3 (v - 10) - 2 (1 + 0.4 (v - 10)).

    Half of every stretch is realised, so 30 are asked for: b's most are 20, and a, of 100, is asked for the rest.
    """
    run = run_of(tmp_path, DRIVEN.format(market=0, sales=1109, errors=20))
    assert run.goals[0].plan == pytest.approx(1109)
    assert run.goals[1].plan == pytest.approx(20 + 1 + 0.4 * 5)
    assert run.plan.stretch.tolist() == pytest.approx([10, 20])


def test_more_errors_than_the_goal_allows_are_not_made(tmp_path: Path) -> None:
    """Errors first: up to 21 of them there are 10 visits, for 100 - 2."""
    text = DRIVEN.format(market=0, sales=1200, errors=21).replace("priority = 2", "priority = 1\nhard = true")
    run = run_of(tmp_path, text)
    assert run.goals[0].plan == pytest.approx(1098)
    assert run.goals[1].plan == pytest.approx(21)


def test_draws_go_along_the_curve(tmp_path: Path) -> None:
    """Uniform between -1 and 1: a half of the draws lose 15 on average, the other half win 5. The mean is -5."""
    text = DRIVEN.format(market="{ uniform = [-1, 1] }", sales=900, errors=30) + "[simulation]\ndraws = 4096\n"
    run = run_of(tmp_path, text, simulate=True)
    assert run.simulation is not None
    assert run.goals[0].plan == pytest.approx(1000)
    (said,) = curve_sentences(run.simulation, run.plan.expected)
    drawn = dict(zip(run.simulation.nodes.tolist(), run.simulation.distributions, strict=True))
    spread = drawn[run.graph.find_node("sales")]
    assert spread.mean.estimate == pytest.approx(995, abs=0.05)
    assert spread.quantiles[0].value == pytest.approx(1000 - 27, abs=0.2)
    assert spread.quantiles[2].value == pytest.approx(1000 + 9, abs=0.2)
    assert "from the plan: causes act by curves" in said


def test_kept_draws_are_those_of_the_simulation(tmp_path: Path) -> None:
    text = DRIVEN.format(market="{ normal = [0.2, 1] }", sales=1020, errors=20.5)
    text = text.replace("execution = 0.5", 'execution = "0.3 to 0.7"') + "[simulation]\ndraws = 1024\n"
    run = run_of(tmp_path, text, simulate=True)
    book = draw_book(run.graph)
    assert run.simulation is not None
    assert book is not None
    again = Redraw(run.graph, book).draw(run.plan.stretch, run.plan.levels)
    assert [o.estimate for o in again.odds] == [g.odds.estimate for g in run.simulation.goals]


def test_shares_along_a_curve_add_up(tmp_path: Path) -> None:
    """25 of the ads' 40 + 22.5 per 25: 2.5 each on average, 1.5 for one more. Both kinds of shares are told."""
    text = ADS.format(curve=FALLING, cash=45).replace("max = 50", "max = 25", 1).replace("2.5 }", "1 }")
    run = run_of(tmp_path, text)
    ads, fairs = initiatives_as_dict(run.plan)
    assert ads["contributes"] == {"sales": pytest.approx(62.5)}
    assert fairs["contributes"] == {"sales": pytest.approx(20)}
    graph, stretch, levels = run.graph, run.plan.stretch, run.plan.levels
    found = explain_target(graph, stretch, levels, graph.find_node("sales"))
    assert {p.name: p.contribution for p in found.parts} == {
        "initiative.ads@co": pytest.approx(62.5),
        "initiative.fairs@co": pytest.approx(20),
    }
    assert sum(p.contribution for p in found.origins) == pytest.approx(found.expected - found.baseline)
    (level,) = explain_initiative(graph, stretch, levels, (), run.scenario.initiatives["ads"], "")
    assert level.per_level[0].per_unit == pytest.approx(1.5)
    assert level.planned[0].per_unit == pytest.approx(62.5)
    other = run_of(tmp_path, ADS.format(curve=FALLING, cash=10))
    bridge = build_bridge("sales", "co", other.plan, run.plan)
    assert bridge is not None
    assert sum(part.amount for part in bridge.parts) == pytest.approx(bridge.second - bridge.first)


def test_a_graph_without_curves_says_the_same_of_its_plan(tmp_path: Path) -> None:
    run = run_of(tmp_path, DRIVEN.format(market=0.5, sales=1100, errors=20))
    found = straight(run.graph, run.plan.stretch, run.plan.levels)
    same = found.kind != 4
    assert found.expected_change(run.plan.stretch, run.plan.levels)[same] == pytest.approx(
        run.graph.expected_change(run.plan.stretch, run.plan.levels)[same]
    )


def test_a_kept_plan_with_pieces_is_verified(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(ADS.format(curve=S_SHAPED, cash=30), "utf-8")
    result = CliRunner().invoke(
        app, ["solve", str(tmp_path / "s.toml"), "--out", str(tmp_path / "runs"), "--no-simulation", "--json"]
    )
    assert result.exit_code == 0
    assert all(finding.passed for finding in kpiopt.verify(Path(json.loads(result.stdout)["folder"])))


def test_points_can_be_set(tmp_path: Path) -> None:
    """With 8 for each of the first 10 ads, 80 + 50."""
    path = tmp_path / "s.toml"
    path.write_text(ADS.format(curve=FALLING, cash=30), "utf-8")
    found = kpiopt.load(path, overrides=["initiative.ads.effects.sales.curve=[[0, 0], [10, 80], [30, 90]]"])
    assert kpiopt.solve(found, simulate=False).goals[0].plan == pytest.approx(1130)


def test_a_curve_may_stand_in_a_table(tmp_path: Path) -> None:
    text = ADS.format(curve=FALLING, cash=30).replace(
        "effects = { sales = { curve = [[0, 0], [10, 40], [30, 70]] } }\n", ""
    )
    (tmp_path / "e.csv").write_text('initiative,kpi,curve\nads,sales,"[[0, 0], [10, 40], [30, 70]]"\n', "utf-8")
    run = run_of(tmp_path, text + '[tables]\neffects = "e.csv"\n')
    assert run.goals[0].plan == pytest.approx(1090)


@pytest.mark.parametrize(
    ("curve", "code"),
    [
        ("{ curve = [[0, 0], [10, 40], [10, 50]] }", "E-curve"),
        ("{ curve = [[10, 40], [30, 70]] }", "E-curve"),
        ("{ curve = [[0, 0], [10, 40]], contribution = 4 }", "E-curve"),
        ("{ lag = 0 }", "E-missing-key"),
    ],
)
def test_wrong_curves_are_refused(tmp_path: Path, curve: str, code: str) -> None:
    assert codes(tmp_path, ADS.format(curve="[]", cash=30).replace("{ curve = [] }", curve)) == [code]


def test_what_curves_are_not_asked_is_refused(tmp_path: Path) -> None:
    text = ADS.format(curve=FALLING, cash=30)
    assert codes(tmp_path, text.replace("target = 1200", "target = 1200\np_min = 0.5")) == ["E-curve-odds"]
    assert codes(tmp_path, text + '[periods]\nnames = ["H1", "H2"]\n') == ["E-periods-curve"]
    (tmp_path / "s.toml").write_text(text, "utf-8")
    with pytest.raises(UsageError, match="what odds cost is not told with curves") as refused:
        solve_scenario(kpiopt.load(tmp_path / "s.toml"), options=SolveOptions(risk=True))
    (problem,) = refused.value.problems
    assert "a slope of its own" in problem.rule and "kpiopt sweep --over" in problem.fix


def test_the_sweep_that_is_advised_in_place_of_promises_tells_odds(tmp_path: Path) -> None:
    """Luck has a deviation of 20: odds of the first goal are those of what the second asks beyond it."""
    text = ADS.format(curve=FALLING, cash=30).replace("[kpi.sales]\n", "[kpi.sales]\ndrivers.luck = 20\n")
    text = (
        text.replace("[goal.sales]\n", "[goal.safe]\nkpi = 'sales'\n") + "[goal.first]\nkpi = 'sales'\ntarget = 1030\n"
    )
    text += "[factor.luck]\nname = 'Luck'\nvalue = { normal = [0, 1] }\n[simulation]\ndraws = 256\n"
    (tmp_path / "s.toml").write_text(text, "utf-8")
    study = kpiopt.sweep(kpiopt.load(tmp_path / "s.toml"), over=["goal.safe.target=1030,1050,1070"])
    odds = [next(g.odds.estimate for g in point.goals if g.goal == "first") for point in study.results]
    assert odds[0] == pytest.approx(0.5, abs=0.06) and odds[1] == pytest.approx(0.84, abs=0.06) and odds[2] > 0.95


def test_slopes_of_a_curve() -> None:
    curve = Curve(((0.0, 0.0), (10.0, 40.0), (30.0, 70.0)))
    assert curve.at(np.array([-5.0, 0.0, 5.0, 10.0, 20.0, 50.0])).tolist() == [-20, 0, 20, 40, 55, 100]
    assert (curve.slope_at(10.0), curve.slope_at(9.0), curve.chord(20.0), curve.chord(0.0)) == (1.5, 4, 2.75, 4)


def agrees(seed: int, folder: Path) -> None:
    """Compare the plan's steps with those of a program written by somebody else."""
    data, text = random_organization(seed)
    run = run_of(folder, text)
    oracle = CurveOracle(data)
    shortfall, cost = (step["value"] for step in json.loads(json.dumps(run.as_dict()["steps"]))[:2])
    best = oracle.shortfall()
    assert shortfall == pytest.approx(best, abs=1e-6), seed
    assert cost == pytest.approx(oracle.cost(best), abs=1e-5), seed
    values = oracle.values(run.plan.stretch.tolist(), run.plan.levels.tolist())
    for goal in run.goals:
        assert goal.plan == pytest.approx(values[goal.goal.kpi], abs=1e-7), seed


@pytest.mark.parametrize("seed", range(12))
def test_random_organizations_against_a_second_program(seed: int, tmp_path: Path) -> None:
    agrees(seed, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(12, 312))
def test_many_random_organizations_against_a_second_program(seed: int, tmp_path: Path) -> None:
    agrees(seed, tmp_path)
