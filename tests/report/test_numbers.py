"""Numbers as planners read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.cli.runs import _result_text
from kpiopt.report.numbers import (
    amount,
    change,
    change_of_target,
    decimals_of_step,
    goal_amounts,
    percent,
    points,
    relative_change,
    round_amount,
)
from kpiopt.scenario.scenario import Kpi
from kpiopt.simulation.odds import Estimate


@pytest.mark.parametrize(
    ("value", "unit", "step", "text"),
    [
        (46_200_000.0, "USD", 1000, "46,200,000 USD"),
        (71.24, "points", 0.5, "71.2 points"),
        (0.125, "", 0.125, "0.125"),
        (1234.5, "h", None, "1,234 h"),
        (-1234.5678, "", None, "-1,235"),
        (0.000123456, "", None, "0.000123"),
        (12.3456, "", None, "12.35"),
        (5.0, "", None, "5"),
        (400.0000000001, "", None, "400"),
        (0.9999, "", None, "0.9999"),
        (0.0, "USD", None, "0 USD"),
        (-0.0, "", 0.1, "0.0"),
        (-0.004, "", 0.1, "0.0"),
    ],
)
def test_amounts(value, unit, step, text):
    assert amount(value, unit, step) == text


@pytest.mark.parametrize(
    ("step", "decimals"), [(1, 0), (1000, 0), (0.5, 1), (0.25, 2), (0.1, 1), (0.05, 2), (2.5, 1), (1e-6, 6), (1e-9, 9)]
)
def test_decimals_of_a_step(step, decimals):
    assert decimals_of_step(step) == decimals


def test_baselines_are_data_and_not_rounded_to_a_step():
    """80.297 is 80.3 also beside a goal of 83.5 in steps of 0.5; the plan is rounded as it is compared."""
    kpi = Kpi("fix", "Fix", None, "%", 1, "mean", 0.5, "flow", None, ())
    assert goal_amounts(kpi, 83.5, 83.3, 80.297) == ("83.5", "83.5", "", "80.3")
    thousands = Kpi("sales", "Sales", None, "USD", 1, "sum", 1000, "flow", None, ())
    assert goal_amounts(thousands, 44_000, 43_000, 41_234)[3] == "41,234"


def test_changes_carry_their_sign():
    assert change(1500, "USD") == "+1,500 USD"
    assert change(-0.25, "", 0.05) == "-0.25"
    assert relative_change(106.2, 100) == "+6.2 %"
    assert relative_change(-90, -100) == "+10.0 %"
    assert relative_change(3, 0) == "new"
    assert percent(0.0617) == "6.2 %"


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_what_is_shown_is_near_what_is_meant(value):
    shown = float(amount(value).replace(",", ""))
    assert abs(shown - value) <= max(0.5 if abs(value) >= 1000 else 5.01e-4 * abs(value), 5.01e-7)


@given(st.floats(1e-6, 1e12))
def test_a_little_more_is_a_round_small_part_of_a_limit(size):
    more = round_amount(size)
    assert more == 1 or (size / 1001 < more < size / 99 and math.log10(more) % 1 == 0)


def test_changes_of_a_percentage_are_points_and_nothing_has_no_sign():
    assert change(-1.0, "%", 0.5) == "-1.0 points"
    assert change(-0.01, "%", 0.1) == "0.0 points"
    assert change_of_target(36.0, 37.0, "%", 0.5) == "-1.0 points"
    assert relative_change(99.99, 100.0) == "0.0 %"
    assert points(Estimate(0.0, -0.0, 0.0, "certain")) == "0.0 (0.0 to 0.0)"


def test_a_list_of_runs_writes_odds_as_the_summary_does():
    row = {"readable": True, "complete": True, "kind": "run", "goals": 1, "goals_met": 1}
    rare, sure = Estimate(0.0, 0.0, 2e-4, "exact"), Estimate(1.0, 1.0, 1.0, "certain")
    assert _result_text({**row, "all_goals": rare.as_dict()}) == "1 of 1 goals met, odds less than 0.020 %"
    assert _result_text({**row, "all_goals": sure.as_dict()}) == "1 of 1 goals met, odds certain"
