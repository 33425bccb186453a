"""Axes as planners write them, and the points that come of them."""

from dataclasses import replace
from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import UsageError
from kpiopt.studies.sweep.axes import Axis, Point, points_of, read_axes, spaced, value_text

SCENARIO = Path(__file__).parents[3] / "scenarios" / "hand-solved.toml"


@pytest.fixture(scope="module")
def scenario():
    return kpiopt.load(SCENARIO)


def axes(scenario, *over):
    return {axis.path: axis.values for axis in read_axes(scenario, over)}


def test_the_files_own_axes(scenario):
    assert axes(scenario) == {"budget.pay.limit": (200, 300, 400, 500, 600, 700)}
    listed = replace(scenario, sweep={"simulation.seed": [1, 2], "goal.sales.hard": {"values": [False, True]}})
    assert axes(listed) == {"simulation.seed": (1, 2), "goal.sales.hard": (False, True)}
    with pytest.raises(UsageError, match="no budget 'gold'"):
        axes(replace(scenario, sweep={"budget.gold.limit": [1]}))


def test_axes_of_the_command_line_replace_them(scenario):
    over = ["budget.pay.limit=500_000:900_000:5", "goal.sales.at=ann,bob", 'cell."ann/sales".lock=1.5,2']
    assert axes(scenario, *over) == {
        "budget.pay.limit": (500_000, 600_000, 700_000, 800_000, 900_000),
        "goal.sales.at": ("ann", "bob"),
        'cell."ann/sales".lock': (1.5, 2),
    }


COMPLAINTS = "kpi.sales.drivers.complaints.contribution"


@pytest.mark.parametrize(
    ("path", "token", "values"),
    [
        ("decide.slack.cost", "0:1:5", (0, 0.25, 0.5, 0.75, 1)),
        ("decide.slack.cost", "1 : 0 : 3", (1, 0.5, 0)),
        ("decide.slack.cost", "-0.0, 1", (0, 1)),
        ("simulation.draws", "7:7:1", (7,)),
        ("simulation.draws", "3", (3,)),
        (COMPLAINTS, '"38 to 42","40 to 44"', ("38 to 42", "40 to 44")),
        (COMPLAINTS, "38 to 42, 40 to 44", ("38 to 42", "40 to 44")),
        (COMPLAINTS, "{ normal = [0, 1] }, 5", ({"normal": [0, 1]}, 5)),
        ("decide.order", '["goals"],["cost", "goals"]', (["goals"], ["cost", "goals"])),
        ("simulation.method", "sobol,random", ("sobol", "random")),
        ("goal.sales.hard", "true,false", (True, False)),
        ("unit.ann.capacity.hours", "0x10,1_000", (16, 1000)),
        ("capacity.hours.scale", "0.9,1", (0.9, 1)),
        ("correlation.'factor.market ~ kpi.sales.drivers.visits'", "0,0.5", (0, 0.5)),
    ],
)
def test_forms_of_values(scenario, path, token, values, monkeypatch):
    monkeypatch.setattr("kpiopt.scenario.checks.axes._is_pair", lambda *_: True)
    ((_, found),) = axes(scenario, f"{path}={token}").items()
    assert found == values


def test_a_quantity_is_named_as_a_study_names_it(scenario):
    assert axes(scenario, "kpi.sales.drivers.visits=90,110") == {"kpi.sales.drivers.visits.contribution": (90, 110)}
    assert axes(scenario, "cells.max_stretch=0.9,1.1") == {"cells.max_stretch": (0.9, 1.1)}
    assert axes(scenario, "cell.ann/sales.max_stretch=5,6") == {'cell."ann/sales".max_stretch': (5, 6)}
    assert axes(replace(scenario, sweep={"cells.max_stretch": [0.5, 1.0]})) == {"cells.max_stretch": (0.5, 1.0)}


def test_ends_are_exact_and_whole_numbers_stay_whole():
    values = spaced(0.1, 0.7, 4)
    assert (values[0], values[-1]) == (0.1, 0.7)
    assert [type(v) for v in spaced(0, 10, 5)] == [int, float, int, float, int]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget.pay.limit", "does not begin with a path and ="),
        ("=3", "does not begin with a path and ="),
        ("budget.gold.limit=1,2", "no budget 'gold'"),
        ("budget.pay=1,2", "no value"),
        ("goal.sale.target=1,2", "did you mean 'sales'"),
        ("capacity.hour.scale=1,2", "no capacity 'hour'"),
        ('cell."ann/sale".lock=1,2', "no cell 'ann/sale'"),
        ("unit.anna.size=1,2", "no unit 'anna'"),
        ("a.b=1", "no section 'a'"),
        ("decide.order=", "no values"),
        ("simulation.seed=1:2:0", "number of values is '0'"),
        ("simulation.seed=1:2:x", "number of values is 'x'"),
        ("simulation.seed=1:x:3", "'x' is no number"),
        ("simulation.seed=1:2:1", "one value cannot be two ends"),
        ("simulation.seed=x,,y", "a value is missing"),
        ("simulation.seed=1,", "a value is missing"),
        ("simulation.seed=1:2", "a range is first:last:number"),
        ("simulation.seed=1:2:3:4", "a range is first:last:number"),
        ("simulation.seed=1:2:1e9", "number of values is '1e9'"),
        ("simulation.draws=10:20:4", "must be a whole number, not the number 13.3"),
        ("simulation.method=sobol,randm", "did you mean 'random'"),
        ("budget.pay.limit=...", 'must be a number, not the text "..."'),
        ("budget.pay.limit=true,5", "must be a number, not true"),
        ('budget.pay.limit="5",6', "write 5 without quotes"),
        ("budget.pay.limit=[1, 2],3", "must be a number, not the list"),
        ("budget.pay.limit={a=1}", "must be a number, not a table"),
        ("budget.pay.limit=5,nan", "nan is not a finite number"),
        ("budget.pay.limit=inf", "inf is not a finite number"),
        ("budget.pay.limit=nan:1:3", "nan is not a finite number"),
        ("budget.pay.limit=1e400", "1e400 is not a finite number"),
        ("budget.pay.limit=2026-01-01", "is a date"),
        ("budget.pay.limit=99999999999999999999", "too large"),
        (f"budget.pay.limit={'9' * 5000}", "at most 19 digits"),
        (f"budget.pay.limit={'[' * 2000}", "nest deeper"),
        ("budget.pay.limit=[1,2", "neither TOML nor plain text"),
        ("budget.pay.limt=1", "did you mean 'limit'"),
        ("goal.sales.hard=yes", "true or false"),
        ("kpi.sales.drivers=1,2", "sweep a value in it: kpi.sales.drivers.visits"),
        ("cells.pay_rate=-1,2", "is a factor on numbers of the tables, 0 or more"),
        ("kpi.sales.drivers.visit.contribution=1,2", "no driver 'visit'; did you mean 'visits'"),
        ("kpi.sales.drivers.visits.contribution=much", "not a quantity"),
        ("kpi.sales.drivers.visits.contribution={samples='a.csv#b'}", "cannot be read here"),
        ("decide.slack.fairnes=0", "did you mean 'fairness'"),
        ("decide.effort_price.hour=0", "no resource 'hour'; did you mean 'hours'"),
        ('cell."ann/sales".effort.gold=1', "no resource 'gold'"),
        ("unit.ann.capacity.gold=1", "no resource 'gold'"),
        ("correlation.'a ~ b'=0.5", "no two quantities 'a ~ b'"),
        ("kpi.sales.unit=USD,EUR", "kpi.sales.unit is a text for people, not a number"),
        ("kpi.sales.unit=1:3:3", "kpi.sales.unit is a text for people, not a number"),
        ('unit.ann.name="Ann"', "is a text for people"),
        ("schema=1", "'schema' changes no figure"),
        ("tables.cells=a.csv", "files are not swept"),
        ("variant.lean.budget.pay.limit=1", "variants are not swept"),
    ],
)
def test_what_is_no_axis_says_why(scenario, text, message):
    with pytest.raises(UsageError, match=message):
        read_axes(scenario, [text])


def test_all_wrong_axes_are_reported_at_once(scenario):
    wrong = ["a", "simulation.seed=1:2:0", "budget.pay.limit=x,y", "goal.sales.target=1", 'goal."sales".target=nan']
    with pytest.raises(UsageError) as failure:
        read_axes(scenario, [*wrong, 'goal."sales".target=2'])
    assert [p.code for p in failure.value.problems] == [*["E-axis"] * 4, "E-number-range", "E-axis"]
    assert failure.value.problems[-1].message == "goal.sales.target has two axes"


def test_an_axis_inside_another_one_is_refused(scenario):
    with pytest.raises(UsageError, match=r"the axis decide\.slack\.cost is a part of the axis decide\.slack"):
        read_axes(scenario, ["decide.slack.cost=0,1", "decide.slack={ fairness = 0.1 }"])


def test_a_number_out_of_range_is_left_to_its_point(scenario):
    assert axes(scenario, "budget.pay.limit=-5,1e30") == {"budget.pay.limit": (-5, 1e30)}


def test_no_axis_at_all_is_refused(scenario):
    with pytest.raises(UsageError, match="nothing to sweep over"):
        read_axes(replace(scenario, sweep={}))


def test_cross_product_turns_the_last_axis_fastest():
    points = points_of([Axis("a.b", (1, 2)), Axis("c.d", ("x", "y"))])
    assert points[1] == Point(1, (("a.b", 1), ("c.d", "y")))
    assert [p.overrides for p in points] == [
        ("a.b=1", 'c.d="x"'), ("a.b=1", 'c.d="y"'), ("a.b=2", 'c.d="x"'), ("a.b=2", 'c.d="y"'),
    ]  # fmt: skip


def test_zipped_axes_go_together():
    points = points_of([Axis("a.b", (1, 2)), Axis("c.d", (5, 6))], zipped=True)
    assert [tuple(v for _, v in p.values) for p in points] == [(1, 5), (2, 6)]
    with pytest.raises(UsageError, match=r"a\.b has 2, c\.d has 1"):
        points_of([Axis("a.b", (1, 2)), Axis("c.d", (5,))], zipped=True)


@pytest.mark.parametrize("values", [(1, 2, 1), (1, 1.0), ([1], [1])])
def test_a_point_that_is_there_twice_is_refused(values):
    with pytest.raises(UsageError, match=r"the point a\.b=.* is there twice"):
        points_of([Axis("a.b", values)])
    assert len(points_of([Axis("a.b", values), Axis("c.d", tuple(range(len(values))))], zipped=True)) == len(values)
    assert len(points_of([Axis("a.b", (True, 1, "1"))])) == 3


def test_too_many_points_are_refused_before_anything_is_solved():
    with pytest.raises(UsageError, match="1,000,000 points"):
        points_of([Axis(f"a.x{i}", tuple(range(100))) for i in range(3)])


@pytest.mark.parametrize("value", [3, 2.5, 1e-9, True, 'say "hi"', ["a", 1], {"normal": [0, 1]}])
def test_values_come_back_through_an_override(value, tmp_path):
    from kpiopt.reading.override import read_overrides

    layer = read_overrides([f"p.q={value_text(value)}"])
    assert layer.data == {"p": {"q": value}}
