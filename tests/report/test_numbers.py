"""Numbers as planners read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.report.numbers import amount, change, decimals_of_step, percent, relative_change, round_amount


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
