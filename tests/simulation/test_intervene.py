"""Interventions, paired differences, and a plan carried to another scenario."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation.difference import compare_odds
from kpiopt.simulation.intervene import intervene
from kpiopt.simulation.simulate import simulate
from tests.builders import Cause, Cell, build_initiative, build_kpi, build_scenario, build_units
from tests.simulation.maps import EVEN, compiled, goal, structural, teams

SETTINGS = SimulationSettings(4096, 3)


def chain(**settings: object):
    """wind -> a -> b -> c, each with noise of its own."""
    return structural(
        {"a": {"wind": 1.0}, "b": {"a": 2.0}, "c": {"b": -3.0}},
        constants={"a": 10.0, "b": 5.0, "c": 1.0},
        noises={"wind": EVEN, "a": EVEN, "b": EVEN, "c": EVEN},
        **settings,
    )


def test_doing_cuts_the_causes_and_moves_what_follows() -> None:
    result = intervene(*compiled(chain(goals=[goal("c", 0.0)])), settings=SETTINGS, do=["b=9"])
    changes = {c.name: c for c in result.changes}
    assert changes["co/a"].change.estimate == 0
    assert changes["co/b"].after == 9
    assert changes["co/b"].change.estimate == pytest.approx(4, abs=0.1)
    assert changes["co/c"].change.estimate == pytest.approx(-12, abs=0.3)
    after = {
        result.after.graph.node_name(int(n)): d
        for n, d in zip(result.after.nodes, result.after.distributions, strict=True)
    }
    assert after["co/b"].sd == pytest.approx(0, abs=1e-9)
    assert after["co/c"].sd == pytest.approx(1, rel=0.03)
    assert [c.name for c in result.changes] == ["co/a", "co/b", "co/c"]


def test_odds_before_and_after_are_paired() -> None:
    """With the wind at 1 the goal has even odds; without, those of a normal with variance 2."""
    scenario = chain(goals=[goal("a", 11.0)])
    result = intervene(*compiled(scenario), settings=SETTINGS, do=["factor.wind=1"])
    assert result.odds[0].goal == "a"
    assert result.odds[-1].goal is None
    difference = result.odds[0].difference
    exact = 0.5 - norm.sf(1 / np.sqrt(2))
    assert difference.low <= exact <= difference.high
    assert result.odds[0].is_resolved
    assert difference.estimate == pytest.approx(result.odds[0].second.estimate - result.odds[0].first.estimate)


def acting():
    units = build_units({"co": None, "t1": "co", "t2": "co"}, levels={"t1": "team", "t2": "team"})
    return build_scenario(
        units,
        [build_kpi("coverage", roll_up="mean"), build_kpi("sales", baseline=100.0)],
        [Cell("t1", "coverage", 0.5, 0.2, size=3), Cell("t2", "coverage", 0.5, 0.2, size=1)],
        initiatives=[build_initiative("coaching", [1, 2], whole=True, maximum=20, effects={"coverage": 0.01})],
    )


def test_acting_sets_the_level_everywhere_or_at_one_unit() -> None:
    graph = build_graph(acting())
    stretch, levels = np.zeros(2), np.zeros(2)
    everywhere = intervene(graph, stretch, levels, settings=SETTINGS, act=["coaching=10"])
    one = intervene(graph, stretch, levels, settings=SETTINGS, act=["coaching@t1=10"])
    found = [{c.name: c.change.estimate for c in r.changes}["co/coverage"] for r in (everywhere, one)]
    assert found == pytest.approx([0.1, 0.075])
    assert levels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("do", "act", "words"),
    [
        (["salse=3"], [], "did you mean 'sales'"),
        (["sales"], [], "does not read name=number"),
        (["sales=nan"], [], "does not read name=number"),
        (["sales=1e300"], [], "at most 1e\\+12"),
        (["sales@t1=3"], [], "sales has no value at t1"),
        (["sales@t9=3"], [], 'there is no unit "t9"'),
        (["factor.market=3"], [], 'there is no factor "market"'),
        ([], ["coching=3"], "did you mean 'coaching'"),
        ([], ["coaching=21"], "0 to 20"),
        ([], ["coaching=-1"], "0 to 20"),
        ([], ["coaching=1.5"], "whole numbers"),
        ([], ["coaching@co=1"], "does not decide"),
    ],
)
def test_interventions_that_cannot_be_are_refused(do: list[str], act: list[str], words: str) -> None:
    graph = build_graph(acting())
    with pytest.raises(UsageError, match=words):
        intervene(graph, np.zeros(2), np.zeros(2), do=do, act=act)


def test_doing_what_happens_anyway_changes_nothing() -> None:
    """Metamorphic: setting a certain KPI to its own value is no change at all, draw by draw."""
    scenario = structural({"a": {}, "b": {"a": 2.0}}, constants={"a": 3.0}, noises={"b": EVEN}, goals=[goal("b", 0.3)])
    result = intervene(*compiled(scenario), settings=SETTINGS, do=["a=3"])
    assert all(c.change.estimate == c.change.low == c.change.high == 0 for c in result.changes)
    assert result.odds[0].difference.estimate == 0
    assert not result.odds[0].is_resolved


def test_paired_intervals_are_far_narrower_than_independent_ones() -> None:
    """Two nearly equal plans with common random numbers against fresh ones."""
    scenario, stretch = teams(20, common={"organization": 0.3}, goals=[goal("sales", 2160.0)])
    graph = build_graph(scenario)
    first = simulate(graph, stretch, np.zeros(0), settings=SimulationSettings(16384, 1, "random"))
    second = simulate(graph, stretch * 1.002, np.zeros(0), settings=SimulationSettings(16384, 1, "random"))
    paired = compare_odds(first, second)[0]
    apart = np.hypot(*(g.high - g.low for g in (first.goals[0].odds, second.goals[0].odds)))
    assert paired.difference.high - paired.difference.low < apart / 5
    assert paired.is_resolved
    with pytest.raises(UsageError, match="same seed"):
        compare_odds(first, simulate(graph, stretch, np.zeros(0), settings=SimulationSettings(16384, 2, "random")))


def test_interventions_leave_the_plan_as_it_was() -> None:
    graph, stretch, levels = compiled(chain())
    before = simulate(graph, stretch, levels, settings=SETTINGS)
    again = intervene(graph, stretch, levels, settings=SETTINGS, do=["a=0"]).before
    assert repr(before.distributions) == repr(again.distributions)


def bounded():
    """fix (a mean, 0 to 100) of two people drives what each of them sells."""
    units = build_units({"co": None, "t1": "co", "t2": "co"}, levels={"t1": "team", "t2": "team"})
    return build_scenario(
        units,
        [replace(build_kpi("fix", roll_up="mean"), low=0.0, high=100.0), build_kpi("sales")],
        [
            Cell("t1", "fix", 80.0, 10.0, size=1), Cell("t2", "fix", 95.0, 5.0, size=1),
            Cell("t1", "sales", 100.0, 10.0), Cell("t2", "sales", 200.0, 10.0),
        ],
        causes={"sales": [Cause("fix", 10.0, "team")]},
    )  # fmt: skip


def changes_by(scenario, *do: str) -> dict[str, float]:
    graph = build_graph(scenario)
    found = intervene(graph, np.zeros(4), np.zeros(0), settings=SimulationSettings(16, 1), do=do)
    return {c.name: c.after for c in found.changes} | {"notes": found.after.notes}


def test_setting_a_kpi_moves_the_units_below_as_adding_does() -> None:
    """87.5 to 89.5 is 2 more for both, so 20 more sales each, however it is said."""
    for do in ("fix=89.5", "fix+=2"):
        found = changes_by(bounded(), do)
        assert found["co/fix"] == pytest.approx(89.5), do
        assert found["co/sales"] == pytest.approx(340.0), do
        assert not found["notes"], do


def test_units_at_their_bound_leave_the_rest_to_others() -> None:
    """95 is 7.5 more for both: t2 stops at 100, so t1 goes to 90; what is set further down holds there."""
    assert changes_by(bounded(), "fix=95")["co/sales"] == pytest.approx(300 + 10 * (10 + 5))
    assert changes_by(bounded(), "fix=100")["co/sales"] == pytest.approx(300 + 10 * (20 + 5))
    both = changes_by(bounded(), "fix=89.5", "fix@t1=80")
    assert both["t1/fix"] == pytest.approx(80.0)
    assert both["co/sales"] == pytest.approx(320.0)


@pytest.mark.parametrize(
    ("do", "words"), [("fix=101", "at most 100"), ("fix=-5", "at least 0"), ("fix@t2=101", "at most 100")]
)
def test_no_kpi_is_set_beyond_its_bounds(do: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        changes_by(bounded(), do)


def test_what_a_bound_stops_is_told() -> None:
    (note,) = changes_by(bounded(), "fix+=30")["notes"]
    assert note.code == "W-intervention-bound"
    assert "co/fix changes by 12.5 and not by 30: the KPI is at most 100" in note.message
