"""Axes as planners write them, and the points that come of them."""

from dataclasses import replace
from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import UsageError
from kpiopt.runs.axes import Axis, Point, points_of, read_axes, spaced, value_text

SCENARIO = Path(__file__).parents[2] / "scenarios" / "hand-solved.toml"


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
    over = ["budget.pay.limit=500_000:900_000:5", "decide.order=goals,cost", 'cell."ann/sales".lock=1.5,2']
    assert axes(scenario, *over) == {
        "budget.pay.limit": (500_000, 600_000, 700_000, 800_000, 900_000),
        "decide.order": ("goals", "cost"),
        'cell."ann/sales".lock': (1.5, 2),
    }


@pytest.mark.parametrize(
    ("token", "values"),
    [
        ("0:1:5", (0, 0.25, 0.5, 0.75, 1)),
        ("1:0:3", (1, 0.5, 0)),
        ("7:7:1", (7,)),
        ("3", (3,)),
        ('"38 to 42","40 to 44"', ("38 to 42", "40 to 44")),
        ("[1, 2],[3]", ([1, 2], [3])),
        ('["goals"],["cost", "goals"]', (["goals"], ["cost", "goals"])),
        ("true,false", (True, False)),
    ],
)
def test_forms_of_values(scenario, token, values):
    assert axes(scenario, f"simulation.draws={token}") == {"simulation.draws": values}


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
    ],
)
def test_what_is_no_axis_says_why(scenario, text, message):
    with pytest.raises(UsageError, match=message):
        read_axes(scenario, [text])


def test_all_wrong_axes_are_reported_at_once(scenario):
    with pytest.raises(UsageError) as failure:
        read_axes(scenario, ["a", "simulation.seed=1:2:0", "decide.order=goals", "decide.order=cost"])
    assert [p.code for p in failure.value.problems] == ["E-axis"] * 3


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


def test_too_many_points_are_refused_before_anything_is_solved():
    with pytest.raises(UsageError, match="1,000,000 points"):
        points_of([Axis(f"a.x{i}", tuple(range(100))) for i in range(3)])


@pytest.mark.parametrize("value", [3, 2.5, 1e-9, True, 'say "hi"', ["a", 1], {"normal": [0, 1]}])
def test_values_come_back_through_an_override(value, tmp_path):
    from kpiopt.scenario.override import read_overrides

    layer = read_overrides([f"p.q={value_text(value)}"])
    assert layer.data == {"p": {"q": value}}
