"""Frontiers against brute force; knees where a curve is known to bend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.studies.sweep.frontier import efficient_points, find_frontier, find_knees

small = st.integers(0, 6).map(float)


def beats(a, b):
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@given(st.lists(st.tuples(small, small), min_size=1, max_size=12))
def test_efficient_points_are_those_that_no_other_beats(pairs):
    cost, gain = (np.array(column) for column in zip(*pairs, strict=True))
    kept = [pairs[i] for i in efficient_points(cost, gain)]
    assert sorted(kept) == sorted({p for p in pairs if not any(beats(q, p) for q in pairs)})
    assert kept == sorted(kept)


def test_points_without_a_plan_are_left_out():
    cost, gain = np.array([1.0, np.nan, 3.0]), np.array([0.1, 0.9, np.nan])
    assert efficient_points(cost, gain).tolist() == [0]


def test_costs_that_differ_by_rounding_are_one_cost():
    cost = np.array([90_678.0, 90_678.0 * (1 - 1e-13), 120_000.0])
    assert efficient_points(cost, np.array([0.32, 0.31, 0.35])).tolist() == [0, 2]


def test_a_bent_line_has_its_knee_at_the_bend():
    x = np.linspace(0, 10, 21)
    y = np.where(x <= 4, x, 4 + 0.1 * (x - 4))
    assert x[find_knees(x, y)].tolist() == [4.0]


def test_a_curve_of_falling_returns_has_its_knee_where_it_rises_as_the_line_between_its_ends():
    x = np.linspace(0, 1, 101)
    y = 1 - np.exp(-5 * x)
    slope = (y[-1] - y[0]) / (x[-1] - x[0])
    expected = np.log(5 / slope) / 5  # where 5 exp(-5 x) is that slope
    assert x[find_knees(x, y)] == pytest.approx([expected], abs=0.011)


def test_two_bends_are_two_knees():
    x = np.linspace(0, 12, 25)
    y = np.interp(x, [0, 2, 6, 8, 12], [0, 4, 4.4, 8, 8.4])
    assert x[find_knees(x, y)].tolist() == [2.0, 8.0]


def test_a_peak_is_a_knee_by_what_falls_before_the_next_peak():
    """In tenths the differences are 0 3 2.5 2.8 1 0 and a step is 2: only the second peak falls by more than that."""
    x = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    assert find_knees(x, x + np.array([0.0, 3.0, 2.5, 2.8, 1.0, 0.0])).tolist() == [3]
    assert find_knees(x, x + np.array([0.0, 3.0, 0.5, 2.8, 1.0, 0.0])).tolist() == [1, 3]


@pytest.mark.parametrize("y", [np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2])
def test_lines_and_rising_returns_have_no_knee(y):
    assert len(find_knees(np.linspace(0, 1, 9), y)) == 0


def test_prices_are_cost_per_gain_whichever_way_is_better():
    up = find_frontier("money", np.array([10.0, 30.0, 20.0]), "odds", np.array([0.1, 0.5, 0.3]))
    assert up.points.tolist() == [0, 2, 1]
    assert up.prices.tolist() == pytest.approx([50.0, 50.0])
    down = find_frontier("hours", np.array([10.0, 30.0]), "strain", np.array([0.5, 0.1]), more_is_better=False)
    assert down.y.tolist() == [0.5, 0.1]
    assert down.prices.tolist() == pytest.approx([50.0])
