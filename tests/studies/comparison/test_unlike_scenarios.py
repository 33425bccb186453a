"""Scenarios that differ in what a value means: other units of measure, currencies, goals, organizations."""

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.plan import build_plan
from kpiopt.report.comparison_text import listed_inputs, listed_targets, money_lines, odds_rows, setting_text
from kpiopt.report.numbers import points
from kpiopt.run.solve import SolveOptions
from kpiopt.runs.store import RunStore
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.comparison.contenders import compare_contenders, read_contenders
from kpiopt.studies.comparison.plan_changes import compare_targets
from tests.builders import Cell, build_kpi, build_scenario, build_units

SHOPS = """
schema = 1
name = "Two shops"
currency = "EUR"
[kpi.sales]
name = "Sales"
unit = "EUR"
roll_up = "sum"
step = 100
[kpi.sales.drivers]
visits = { contribution = { normal = [100, 10] }, at = "shop" }
[kpi.visits]
name = "Visits"
unit = "visits"
roll_up = "sum"
step = 1
[unit.co]
level = "company"
[unit.a]
parent = "co"
level = "shop"
target_incentive = 1000
[unit.b]
parent = "co"
level = "shop"
[cell."a/sales"]
baseline = 100_000
max_stretch = 10_000
weight = 1
[cell."a/visits"]
baseline = 300
max_stretch = 60
[cell."b/visits"]
baseline = 0
max_stretch = 60
[cell."b/sales"]
baseline = 50_000
[initiative.coupons]
name = "Coupons"
units = { level = "shop" }
max = 10
uses = { cash = 1 }
[initiative.coupons.effects]
visits = 2
[budget.cash]
limit = 5
[goal.sales]
target = 160_000
[simulation]
draws = 1024
seed = 3
"""


@pytest.fixture
def against(tmp_path):
    """Return a function that compares the two shops with a changed copy."""

    def compared(*changes, base=SHOPS):
        text = base
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        files = [tmp_path / "one.toml", tmp_path / "two.toml"]
        for file, content in zip(files, (base, text), strict=True):
            file.write_text(content, "utf-8")
        contenders = read_contenders([str(file) for file in files], RunStore(tmp_path / "runs"))
        (found,) = compare_contenders(contenders, SolveOptions()).others
        return found

    return compared


IN_THOUSANDS = [
    ('unit = "EUR"', 'unit = "kEUR"'),
    ("step = 100", "step = 0.1"),
    ("[100, 10]", "[0.1, 0.01]"),
    ("baseline = 100_000", "baseline = 100"),
    ("max_stretch = 10_000", "max_stretch = 10"),
    ("baseline = 50_000", "baseline = 50"),
    ("target = 160_000", "target = 160"),
]

IN_HUNDREDS_OF_VISITS = [
    ('unit = "visits"', 'unit = "100 visits"'),
    ("[100, 10]", "[10000, 1000]"),
    ("baseline = 300", "baseline = 3"),
    ("max_stretch = 60", "max_stretch = 0.6"),
    ("step = 1\n", "step = 0.01\n"),
    ("visits = 2", "visits = 0.02"),
]


def test_values_in_another_unit_of_measure_are_never_subtracted(against):
    found = against(*IN_THOUSANDS)
    assert [(m.kpi, m.first, m.second) for m in found.other_measures] == [("sales", "EUR", "kEUR")]
    assert not found.bridges
    assert "sales" not in {move.kpi for move in found.targets}
    assert found.all_goals.difference.estimate == 0  # the question is the same


def test_a_driver_in_another_unit_of_measure_does_not_look_like_other_stretch(against):
    (bridge,) = against(*IN_HUNDREDS_OF_VISITS).bridges
    assert bridge.first == pytest.approx(bridge.second)
    assert not bridge.parts


def test_money_in_two_currencies_is_never_subtracted(against):
    found = against(('currency = "EUR"', 'currency = "USD"'))
    assert found.pay.difference is None and found.pay.drawn is not None
    assert next(money_lines(found)) == "Pay at plan: 1,000 EUR → 1,000 USD, in two currencies."


def test_a_goal_that_is_about_something_else_is_another_goal(against):
    found = against(("target = 160_000", 'target = 110_000\nat = "a"'))
    sides = [(goal.first is None, goal.second is None, goal.odds) for goal in found.goals]
    assert sides == [(False, True, None), (True, False, None)]
    assert found.all_goals and not found.same_goals
    assert odds_rows(found)[-1][0] == "All goals of each"


def test_the_same_goals_with_other_targets_are_the_same_goals(against):
    found = against(("target = 160_000", "target = 161_000"))
    assert found.same_goals and found.goals[0].odds


def test_a_number_that_became_a_distribution_is_one_change(against):
    (change,) = against(("visits = 2", "visits = { uniform = [1, 3] }")).inputs
    assert (change.path, change.first.value) == ("initiative.coupons.effects.visits", 2)
    assert change.second.value == {"uniform": [1, 3]}
    assert setting_text(change.second) == "uniform = 1, 3"


def test_a_unit_of_one_side_only_is_listed_as_one_change(against):
    renamed = [("[unit.b]", "[unit.c]"), ('"b/visits"', '"c/visits"'), ('"b/sales"', '"c/sales"')]
    found = against(*renamed)
    changes = {change.path: change for change in listed_inputs(found)}
    things = ("unit.{}", 'cell."{}/visits"', 'cell."{}/sales".baseline')
    assert set(changes) == {thing.format(unit) for unit in "bc" for thing in things}
    assert changes["unit.c"].first is None
    assert changes["unit.c"].second.value == {"parent": "co", "level": "shop"}
    assert changes["unit.c"].second.origin.endswith("two.toml:24:10")
    assert "unit.c.parent" in {change.path for change in found.inputs}


def test_initiatives_at_another_level_are_results(against):
    levels = {(c.initiative, c.unit): (c.first, c.second) for c in against(("limit = 5", "limit = 0")).initiatives}
    assert levels and sum(first for first, _ in levels.values()) == pytest.approx(5)
    assert all(second == 0 for _, second in levels.values())


def test_targets_of_one_side_only_come_after_those_that_moved(against):
    renamed = [("[unit.b]", "[unit.c]"), ('"b/visits"', '"c/visits"'), ('"b/sales"', '"c/sales"')]
    found = against(("target = 160_000", "target = 155_000"), *renamed)
    shares = [move.share for move in found.targets]
    known = [share for share in shares if share is not None]
    assert known and shares == [*sorted(known, reverse=True), *[None] * (len(shares) - len(known))]
    assert {move.unit for move in found.targets if move.share is None} == {"b", "c"}


def test_a_small_step_from_nothing_is_a_small_move():
    levels = {"co": "company", **dict.fromkeys("abc", "shop")}
    units = build_units({"co": None, **dict.fromkeys("abc", "co")}, levels=levels)
    cells = [Cell("a", "x", 0, 10), Cell("b", "x", 100, 100), Cell("c", "x", 110, 100)]
    graph = build_graph(build_scenario(units, [build_kpi("x", step=1.0)], cells))
    first, second = (build_plan(graph, np.array(stretch), np.zeros(0)) for stretch in ([0.0, 0, 0], [1.0, 50, 0]))
    moved, n = compare_targets(first, second)
    shares = {move.unit: move.share for move in moved}
    assert n == 4 and shares == pytest.approx({"co": 51 / 261, "b": 50 / 150, "a": 1 / (261 / 3)})


def test_a_unit_that_repeats_its_only_moving_child_is_listed_once(against):
    only_a_sells = SHOPS.replace('[cell."b/sales"]\nbaseline = 50_000\n', "")
    found = against(("target = 160_000", "target = 102_000"), base=only_a_sells)
    assert {move.unit for move in found.targets if move.kpi == "sales"} == {"a", "co"}
    assert [move.unit for move in listed_targets(found, 99) if move.kpi == "sales"] == ["a"]


def test_files_of_the_same_name_are_told_apart_by_their_folder(tmp_path):
    files = [tmp_path / year / "plan.toml" for year in ("2026", "2027")]
    for file in files:
        file.parent.mkdir()
        file.write_text(SHOPS, "utf-8")
    contenders = read_contenders([str(file) for file in files], RunStore(tmp_path / "runs"))
    assert [contender.label for contender in contenders] == ["2026/plan", "2027/plan"]


@pytest.mark.parametrize(
    ("estimate", "low", "high", "text"),
    [
        (-0.174, -0.179, -0.168, "-17.4 (-17.9 to -16.8)"),
        (0.0037, -0.0002, 0.0076, "+0.37 (-0.02 to +0.76)"),
        (0.0, -0.0003, 0.0003, "0.00 (-0.03 to +0.03)"),
        (0.0, 0.0, 0.0, "0.0 (0.0 to 0.0)"),
        (-0.0206, -0.0209, -0.0203, "-2.06 (-2.09 to -2.03)"),
        (1.0, 0.9995, 1.0, "+100.00 (+99.95 to +100.00)"),
    ],
)
def test_an_end_of_an_interval_is_never_rounded_to_nothing(estimate, low, high, text):
    assert points(Estimate(estimate, low, high, "exact")) == text
