"""Pages of comparisons and sweeps: the winner is the one that the draws tell, every figure is that of the answer."""

import html
import re
from dataclasses import replace
from functools import cache

import pytest

import kpiopt
from kpiopt.report.compare_page import render_compare_page
from kpiopt.report.compared.verdict import headline, paired
from kpiopt.report.numbers import amount, points
from kpiopt.report.sweep_page import render_sweep_page
from tests.report.browser import assert_readable
from tests.report.organizations import HOSTILE, write_scorecard

HAND = "scenarios/hand-solved.toml"
FEW = ("simulation.draws=512",)


def words(page):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@cache
def compared():
    return kpiopt.compare(HAND, f"{HAND}:lean", f"{HAND}:impossible", f"{HAND}@even", overrides=FEW)


def test_the_winner_is_the_one_with_the_best_odds_of_those_that_can_be_done():
    """The even split breaks limits, "impossible" has no plan, and lean loses in the same draws."""
    said = headline(compared())
    best = compared().base.simulation.all_goals
    assert said.startswith(f"hand-solved has the best odds of all goals: {best.text}.")
    assert "No plan: hand-solved:impossible." in said and "@even cannot be done as it stands" in said


def test_a_better_scenario_is_named_with_its_lead_and_its_price():
    found = kpiopt.compare(f"{HAND}:lean", HAND, overrides=FEW)
    lead = paired(found.base, found.others[0].second)
    assert lead.is_resolved and lead.difference.estimate > 0
    said = headline(found)
    assert f"{points(lead.difference)} points against {found.base.label}." in said
    assert "Its plan costs 100 USD more in pay and initiatives." in said


def test_equals_are_told_as_equals_and_other_goals_as_another_question(tmp_path):
    path = write_scorecard(tmp_path, 12, draws=256)
    variants = '[variant.same]\nname = "The same"\n[variant.easier]\ngoal.k0.target = 100\n'
    path.write_text(path.read_text("utf-8") + variants, "utf-8")
    said = headline(kpiopt.compare(path, f"{path}:same", f"{path}:easier"))
    assert "made12 and made12:same have the best odds of all goals" in said and "do not tell them apart" in said
    assert "made12:easier has other goals or targets than made12: its odds answer another question." in said


def test_every_difference_and_who_is_asked_what_stand_on_the_page():
    found, said = compared(), words(render_compare_page(compared()))
    for other in (found.others[0], found.others[2]):
        assert points(other.all_goals.difference) in said
        node = other.second.graph.find_node("visits", "ann")
        assert amount(float(other.second.plan.target[node]), "", other.second.scenario.kpis["visits"].step) in said
    for title in (
        "Difference to hand-solved",
        "Cost against odds",
        "Growth that is asked",
        "Who is asked what in each",
    ):
        assert title in said


@cache
def swept():
    return kpiopt.sweep(HAND, ["budget.pay.limit=200,400,600,700"], overrides=FEW)


def test_a_sweep_says_where_its_odds_are_best_and_what_is_used_up_where():
    said = words(render_sweep_page(swept()))
    odds = [r.all_goals for r in swept().results]
    least, best = min(odds, key=lambda o: o.estimate), max(odds, key=lambda o: o.estimate)
    assert f"from {least.text} with Budget for pay = 200 to {best.text} with Budget for pay = 600" in said
    assert "pay budget 3 of 4 200; 400; 600" in said or "pay budget 2 of 4 200; 400" in said
    assert "Odds over Budget for pay" in said and "Peers' largest stretch" in said


def test_points_without_a_plan_are_counted_and_drawn_as_gaps():
    two = kpiopt.sweep(HAND, ["budget.pay.limit=0,600", "goal.sales.weight=1,2"], overrides=FEW, simulate=False)
    assert words(render_sweep_page(two))
    none = replace(two, results=tuple(replace(r, status="infeasible", goals=()) for r in two.results))
    assert "0 of 4 points have a plan" in words(render_sweep_page(none))


@pytest.mark.parametrize("n", [40, *(pytest.param(n, marks=pytest.mark.nightly) for n in (12, 80))])
def test_no_text_stands_over_another_and_no_name_runs(tmp_path, n):
    path = write_scorecard(tmp_path, n, names=HOSTILE, draws=256)
    path.write_text(path.read_text("utf-8") + "[variant.lean]\nbudget.cash.limit = 100\n", "utf-8")
    pages = [render_compare_page(kpiopt.compare(path, f"{path}:lean"))]
    pages.append(render_sweep_page(kpiopt.sweep(path, ["budget.cash.limit=100,500"])))
    for page in pages:
        tags = {tag.lower() for tag in re.findall(r"<([a-zA-Z]+)", page)}
        assert not tags & {"script", "img", "foreignobject", "iframe", "a", "object", "embed", "link"}
        assert_readable(tmp_path / "page.html", page)
