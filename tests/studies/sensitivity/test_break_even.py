"""Break-even values worked out by hand, and confirmed by solving the scenario on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.errors import UsageError
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.studies.family import PlanFamily, Planned
from kpiopt.studies.sensitivity.break_even import (
    BreakEven,
    find_break_even,
    kind_changes,
    shortest_between,
    target_changes,
)

HAND_SOLVED = Path(__file__).parents[3] / "scenarios" / "hand-solved.toml"


def study(path: str, ends: tuple[float, float] | None = None) -> BreakEven:
    inputs = Inputs(load_scenario(HAND_SOLVED), lambda further: load_scenario(HAND_SOLVED, overrides=further))
    return find_break_even(PlanFamily(inputs.scenario), inputs, path, ends)


def solved(override: str) -> Planned:
    return PlanFamily(load_scenario(HAND_SOLVED, overrides=[override])).base


def test_pay_holds_sales_back_below_six_hundred() -> None:
    """All sales stretch there is costs 600; with less it is no longer at its most. Each 10 USD less is one visit more.

    Targets of visits go in steps of 0.5 and the company's stands at 517.5: it moves by more than one step where 518.25
    are asked, rounded to 518.5: 75 USD of sales less, that is 7.5 USD of pay.
    """
    found = study("budget.pay.limit")
    assert found.kind_above is None and found.targets_above is None
    below, targets = found.kind_below, found.targets_below
    assert below is not None and targets is not None and below.confirmed and targets.confirmed
    assert below.outside < 600.0 < below.inside
    assert below.inside - below.outside < 0.02
    assert "budget.pay: has room -> used up" in below.changes
    assert targets.outside == pytest.approx(592.5, abs=0.02)
    assert "target company/visits: 517.5 -> 518.5" in targets.changes


@pytest.mark.parametrize("path", ["budget.pay.limit", "goal.sales.target", "kpi.sales.drivers.visits"])
def test_both_sides_are_what_solving_the_file_gives(path: str) -> None:
    found, base = study(path), PlanFamily(load_scenario(HAND_SOLVED)).base
    written = path.replace("drivers.visits", "drivers.visits.contribution")
    pairs = [(found.kind_below, kind_changes), (found.kind_above, kind_changes)]
    pairs += [(found.targets_below, target_changes), (found.targets_above, target_changes)]
    crossings = [(crossing, changes) for crossing, changes in pairs if crossing is not None]
    assert crossings
    for crossing, changes in crossings:
        assert crossing.confirmed
        assert changes(base, solved(f"{written}={crossing.inside!r}")) == ()
        assert changes(base, solved(f"{written}={crossing.outside!r}")) == crossing.changes


def test_a_goal_nobody_can_reach_any_more() -> None:
    """Sales 6,000, visits for 60 hours of 2 x 30 at one hour each 6,000, ten complaints 500: 112,500 and no more."""
    found = study("goal.sales.target", (108_000.0, 113_000.0))
    assert found.kind_above is not None
    first = found.kind_above.inside
    far = study("goal.sales.target", (first, 120_000.0)) if first >= 108_000.0 and first > 112_000.0 else found
    assert far.kind_above is not None
    missed = [c for c in far.kind_above.changes if c.startswith("goal sales")]
    assert bool(missed) == (far.kind_above.outside > 112_500.0)


def test_no_plan_is_a_change() -> None:
    path = "capacity.hours.scale"
    hard = ["goal.sales.hard=true"]
    inputs = Inputs(
        load_scenario(HAND_SOLVED, overrides=hard), lambda more: load_scenario(HAND_SOLVED, overrides=[*hard, *more])
    )
    found = find_break_even(PlanFamily(inputs.scenario), inputs, path, (0.0, 0.2 + 0.8))
    assert found.kind_below is not None
    lowest = find_break_even(
        PlanFamily(inputs.at(path, 0.25)), Inputs(inputs.at(path, 0.25), inputs.read), path, (0.0, 0.25)
    )
    assert lowest.kind_below is not None
    assert lowest.kind_below.changes[0].startswith(("no plan", "capacity"))


def test_a_range_without_the_present_value_is_refused() -> None:
    with pytest.raises(UsageError, match="does not hold the present value"):
        study("budget.pay.limit", (0.0, 100.0))


def test_a_number_that_is_zero_needs_a_range() -> None:
    inputs = Inputs(load_scenario(HAND_SOLVED, overrides=["budget.pay.limit=0"]))
    with pytest.raises(UsageError, match="no range around it"):
        find_break_even(PlanFamily(inputs.scenario), inputs, "budget.pay.limit")


@pytest.mark.parametrize(
    ("ends", "value"),
    [
        ((599.993, 600.007), 600.0),
        ((0.30996, 0.31004), 0.31),
        ((-0.25004, -0.24996), -0.25),
        ((-1e-6, 2e-6), 0.0),
        ((0.0, -3.0), 0.0),
        ((1234567.21, 1234567.42), 1234567.3),
        ((7.5, 7.5), 7.5),
        ((9.99996, 10.00004), 10.0),
    ],
)
def test_a_break_even_value_has_as_few_digits_as_it_may(ends: tuple[float, float], value: float) -> None:
    assert shortest_between(*ends) == value
    assert shortest_between(*ends[::-1]) == value
