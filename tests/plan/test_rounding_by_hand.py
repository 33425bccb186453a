"""Rounded targets, what they ask and what refuses them, worked out on paper; plans are given, so nothing is solved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.plan import Plan, build_plan
from kpiopt.plan.rounding import step_values
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Goal
from tests.builders import Cell, build_kpi, build_scenario, build_units


def plan_of(scenario: object, stretch: list[float]) -> Plan:
    return build_plan(build_graph(scenario), np.array(stretch), np.zeros(0))


def by_period(folder: Path, kpi: str, cell: str, stretch: list[float], names: str = '["a", "b"]') -> Plan:
    text = f"""
schema = 1
name = "By period"
periods = {names}
[kpi.k]
step = 2
{kpi}
[unit.co]
[cell."co/k"]
baseline = 50
{cell or "max_stretch = 20"}
"""
    (folder / "s.toml").write_text(text)
    return plan_of(load_scenario(folder / "s.toml"), stretch)


def targets(plan: Plan, unit: str = "co") -> list[float]:
    """Targets of the periods, then that of the horizon."""
    count = plan.graph.scenario.n_periods
    return [float(plan.target[plan.graph.find_node("k", unit, t)]) for t in (*range(count), -1)]


@pytest.mark.parametrize(
    ("sign", "target", "stretch"),
    [
        # 11.5 + 22.25 = 33.75, so 34; by halves 5.75 and 11.125: the step that is left goes to the first.
        (1, [34, 12, 22], [1.5, 1.75]),
        # 9.5 + 18.25 = 27.75, so 28; of steps 4.75 and 9.125 the second has the larger way to go down.
        (-1, [28, 10, 18], [0.5, 2.25]),
    ],
)
def test_what_rounded_targets_ask(sign: int, target: list[float], stretch: list[float]) -> None:
    units = build_units({"co": None, "a": "co", "b": "co"})
    rows = [Cell("a", "k", 10.5, 9), Cell("b", "k", 20.25, 9), Cell("a", "plain", 7.3, 9)]
    scenario = build_scenario(units, [build_kpi("k", step=2.0, sign=sign), build_kpi("plain")], rows)
    plan = plan_of(scenario, [1.0, 0.123, 2.0])
    assert [plan.target[plan.graph.find_node("k", u)] for u in ("co", "a", "b")] == target
    assert plan.target[plan.graph.find_node("plain", "a")] == pytest.approx(7.423)
    assert plan.rounded_stretch == pytest.approx([stretch[0], 0.123, stretch[1]])
    assert plan.is_rounded.tolist() == [True, False]


def test_a_hard_goal_may_lose_half_a_step_but_no_more() -> None:
    units = build_units({"co": None, "a": "co", "b": "co"}, capacity={"hours": {"a": 3.25, "b": 3.25}})
    rows = [Cell(u, "k", 0.0, 9, effort={"hours": 1.0}) for u in "ab"]
    for target, stretch, right, code in (
        (6.5, [3.25, 3.25], 6.0, "W-rounding-total"),
        (6.51, [3.25, 3.26], 6.51, "W-rounding-refused"),
    ):
        goal = Goal("k", "k", 0, target, hard=True)
        scenario = build_scenario(units, [build_kpi("k", step=1.0)], rows, goals=[goal])
        plan = plan_of(scenario, stretch)
        assert plan.target[plan.graph.find_node("k")] == pytest.approx(right)
        assert [note.code for note in plan.notes] == [code]


def test_an_inner_total_off_its_nearest_multiple_is_no_news() -> None:
    """1.6 + 1.7 + 1.7 make 5: the larger remainders take the steps that are left, and the middle unit stands at 1."""
    units = build_units({"co": None, "mid": "co", "a": "mid", "b": "mid", "c": "co", "d": "co"})
    rows = [Cell(u, "k", value, 9) for u, value in (("a", 0.8), ("b", 0.8), ("c", 1.7), ("d", 1.7))]
    plan = plan_of(build_scenario(units, [build_kpi("k", step=1.0)], rows), [0.0] * 4)
    found = [plan.target[plan.graph.find_node("k", u)] for u in ("co", "mid", "a", "b", "c", "d")]
    assert found == [5, 1, 1, 0, 2, 2]
    assert plan.notes == ()


def test_a_total_that_limits_keep_lower_is_told_in_the_kpis_own_sense() -> None:
    """Complaints of 10 and 4 go down by 3.6 and 3.4, to 7: both are full, and 7.5 is the least of halves."""
    units = build_units({"co": None, "a": "co", "b": "co"}, capacity={"hours": {"a": 3.6, "b": 3.4}})
    rows = [Cell(u, "k", start, 9, effort={"hours": 1.0}) for u, start in (("a", 10.0), ("b", 4.0))]
    plan = plan_of(build_scenario(units, [build_kpi("k", step=0.5, sign=-1)], rows), [3.6, 3.4])
    assert [plan.target[plan.graph.find_node("k", u)] for u in ("co", "a", "b")] == [7.5, 6.5, 1.0]
    (note,) = plan.notes
    assert note.code == "W-rounding-total"
    assert "co/k at 7.5, where 7.0 would be nearest" in note.message


@pytest.mark.parametrize("count", [1, 2])
def test_one_that_pays_for_others_may_end_further_off_than_its_neighbours(tmp_path: Path, count: int) -> None:
    """b has to go up from 100.2 to 101, for 2.4 of pay that is used up: a goes down by 3, from 110 to 107.

    The total of 315.8 stays 316, since c is paid nothing for what it takes over: 108 where 105.6 was planned.
    """
    names = [f"p{t + 1}" for t in range(count)]
    text = f"""
schema = 1
name = "Pay"
periods = {names}
[kpi.k]
step = 1
[budget.pay]
limit = 10.6
every = "period"
[unit.co]
"""
    for unit, rate in (("a", 1), ("b", 3), ("c", 0)):
        text += f'[unit.{unit}]\nparent = "co"\n[cell."{unit}/k"]\nbaseline = {100 * count}\n'
        text += f"max_stretch = {50 * count}\npay_rate = {rate}\n"
    text += "".join(f'[cell."b/k/{name}"]\nmin_stretch = 0.2\n' for name in names)
    (tmp_path / "s.toml").write_text(text)
    plan = plan_of(load_scenario(tmp_path / "s.toml"), [x for x in (10, 0.2, 5.6) for _ in names])
    right = {"co": 316, "a": 107, "b": 101, "c": 108}
    assert {unit: targets(plan, unit) for unit in right} == {u: [n] * count + [n * count] for u, n in right.items()}
    assert plan.notes == ()


def test_the_horizon_of_each_kind(tmp_path: Path) -> None:
    # A flow: 25 + 1.3 and 25 + 2.9 make 54.2, so 54; the first has 26.3 so far, so 26, and 28 are left.
    assert targets(by_period(tmp_path, "", "", [1.3, 2.9])) == [26, 28, 54]
    assert targets(by_period(tmp_path, "", "", [3.1], '["a"]')) == [54, 54]
    # A stock: 51.3 and then 54.3; the horizon's is that of the last period.
    assert targets(by_period(tmp_path, 'kind = "stock"', "", [1.3, 3.0])) == [52, 54, 54]
    # A rate by itself: 50 + 0.9 x 2 and 50 + 2.7 x 2, on average 53.6.
    assert targets(by_period(tmp_path, 'kind = "rate"\nroll_up = "mean"', "", [0.9, 2.7])) == [52, 56, 54]
    # Where one period is all, its target is that of the horizon.
    assert targets(by_period(tmp_path, 'kind = "rate"\nroll_up = "mean"', "", [3.6], '["a"]')) == [54, 54]


@pytest.mark.parametrize(
    ("least", "most", "stretch", "right"),
    [
        # A rate keeps its range over all periods where every period does: both lie between 53 and 70.
        (3.0, 20.0, [1.6, 1.6], [54, 54]),
        (0.0, 20.0, [0.0, 0.49], [50, 50]),  # a least stretch of 0 keeps nobody from the multiple below
        (0.0, 20.0, [0.45, 2.55], [50, 56]),
    ],
)
def test_the_range_of_a_rate_over_the_horizon(
    tmp_path: Path, least: float, most: float, stretch: list[float], right: list[float]
) -> None:
    cell = f"min_stretch = {least}\nmax_stretch = {most}"
    plan = by_period(tmp_path, 'kind = "rate"\nroll_up = "mean"', cell, stretch)
    assert plan.notes == ()
    assert targets(plan)[:2] == right
    assert plan.rounded_stretch == pytest.approx([(t - 50) / 2 for t in right])


@pytest.mark.parametrize(
    ("cell", "limit"),
    [
        ("min_stretch = 3.2\nmax_stretch = 3.5", "keeps a stretch from 3.2 to 3.5 over all periods"),
        ("lock = 3.3", "the lock over all periods"),
    ],
)
def test_what_keeps_a_rate_off_its_step_is_named(tmp_path: Path, cell: str, limit: str) -> None:
    """Neither 52 nor 54 lies between 53.2 and 53.5."""
    plan = by_period(tmp_path, 'kind = "rate"\nroll_up = "mean"', cell, [1.65, 1.65])
    assert {note.code for note in plan.notes} == {"W-off-grid"}
    assert limit in plan.notes[0].message


def test_a_step_taken_back_is_as_long_as_it_is() -> None:
    """13.1 and 23 of steps of 2: the first is rounded up to 14, 0.9 above its hours; one step down leaves 1.1."""
    units = build_units({"co": None, "a": "co", "b": "co"}, capacity={"hours": {"a": 3.1}})
    rows = [Cell(u, "k", start, 9, effort={"hours": 1.0}) for u, start in (("a", 10.0), ("b", 20.0))]
    plan = plan_of(build_scenario(units, [build_kpi("k", step=2.0)], rows), [3.1, 3.0])
    assert [plan.target[plan.graph.find_node("k", u)] for u in ("co", "a", "b")] == [36, 12, 24]
    assert plan.notes == ()


def test_a_period_without_hours_gives_a_step_back(tmp_path: Path) -> None:
    """29.2 would be 30, which takes 5 of the 4.2 hours of the first period; 28 takes 3."""
    cell = "max_stretch = 20\neffort.hours = 1\n[capacity.hours]\n[unit.co.capacity]\nhours = 8.4"
    plan = by_period(tmp_path, "", cell.replace("[capacity.hours]\n", ""), [4.2, 1.0])
    assert targets(plan) == [28, 26, 54]


def test_values_of_counts() -> None:
    """Nearest to the decimal number where 53 bits hold it, a plain product elsewhere; each KPI by its own step."""
    counts, kpi = np.array([3, -7, 10**13, 4]), np.array([0, 0, 1, 2])
    found = step_values(counts, kpi, np.array([0.1, 0.1, 12345.678, 25.0]))
    assert found.tolist() == [0.3, -0.7, 10**13 * 12345.678, 100.0]


def test_a_total_that_a_person_fixed_is_named_where_it_keeps_targets_off_the_step(tmp_path: Path) -> None:
    """20.3 + 9.9 + 4 is 34.2, no multiple of 1; each of the two has a wide range of its own."""
    text = """
schema = 1
name = "A locked total"
[kpi.k]
step = 1
[unit.co]
[unit.b]
parent = "co"
[unit.c]
parent = "co"
[cell."co/k"]
lock = 4
[cell."b/k"]
baseline = 20.3
max_stretch = 5
[cell."c/k"]
baseline = 9.9
max_stretch = 5
"""
    (tmp_path / "s.toml").write_text(text)
    scenario = load_scenario(tmp_path / "s.toml")
    of_unit = {"co": 0.0, "b": 2.7, "c": 1.3}
    plan = plan_of(scenario, [of_unit[scenario.units.ids[unit]] for unit in scenario.cells.unit.tolist()])
    off = [note.message for note in plan.notes if note.code == "W-off-grid"]
    assert off and all("keeps what a person fixed for the total" in message for message in off)
