"""Every term of the certificate by hand: a change of any sign, scale or comparison changes one of these answers."""

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.program.trust.certificate import (
    Certificate,
    linear_bound,
    primal_residual,
    quadratic_bound,
    verify_infeasible,
    verify_optimal,
    verify_quadratic,
    verify_unbounded,
)
from tests.program.random_programs import INF, program

BOX = program([[1, 1]], [1, 2], columns=(1, 4), rows=(3, 7), offset=10.0)
"""Minimise x + 2 y + 10 over 3 <= x + y <= 7 in the box [1, 4]: 2 + 2 + 10 = 14 at (2, 1), with multiplier 1."""
AT, PRICE = np.array([2.0, 1.0]), np.array([1.0])


def test_objective_and_bound_are_told_with_the_offset():
    certificate = verify_optimal(BOX, AT, PRICE)
    assert certificate.passed
    assert certificate.objective == 14.0
    assert certificate.bound == pytest.approx(14.0, abs=1e-12)
    assert linear_bound(BOX, PRICE) == pytest.approx(4.0, abs=1e-12)


def test_either_side_of_a_row_gives_its_part_of_the_bound():
    """Multiplier -1 points to the upper side: -7 + min of (1 + 1) x + (2 + 1) y over the box = -7 + 5."""
    assert linear_bound(BOX, np.array([-1.0])) == pytest.approx(-2.0, abs=1e-12)
    assert linear_bound(BOX, np.array([0.0])) == pytest.approx(3.0, abs=1e-12)
    assert linear_bound(BOX, np.array([3.0])) == pytest.approx(9 + 4 * -2 + 4 * -1, abs=1e-12)


@pytest.mark.parametrize("box", [(-INF, 4.0), (1.0, INF), (-INF, INF)])
def test_an_open_column_that_the_objective_does_not_feel_costs_no_bound(box):
    one = program([[0, 1]], [0, 1], columns=([box[0], 1.0], [box[1], 4.0]))
    assert linear_bound(one, np.zeros(1)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("size", [1.0, 0.5, 4.0])
def test_a_gap_is_a_share_of_the_size_that_is_given(size):
    for off, gap in (([1e-6, 0.0], 1e-6), ([0.0, 1e-6], 2e-6)):
        assert verify_optimal(BOX, AT + off, PRICE, size=size).relative_gap == pytest.approx(gap / size, rel=1e-6)


@pytest.mark.parametrize(("extent", "size"), [(0.25, 0.25), (8.0, 1.0)])
def test_a_small_objective_is_compared_with_what_it_could_be_but_at_most_with_one(extent, size):
    """The objective is 0; its column reaches 0.25 or 8."""
    one = program([[1]], [1], columns=(0, extent), rows=(0, INF))
    found = verify_optimal(one, np.array([1e-6]), np.zeros(1))
    assert found.relative_gap == pytest.approx(1e-6 / size, rel=1e-6)


def test_a_large_objective_is_compared_with_itself_without_the_offset():
    """x = 4 + 1e-6 of an optimum of 4, with an offset that would hide it."""
    one = program([[1]], [1], columns=(0, 8), rows=(4, INF), offset=1e6)
    found = verify_optimal(one, np.array([4 + 1e-6]), np.array([1.0]))
    assert found.relative_gap == pytest.approx(1e-6 / (4 + 1e-6), rel=1e-6)


@pytest.mark.parametrize(
    ("x", "residual", "worst"),
    [
        ([1.0, 1.0], 1 / 3, "row 0"),  # below its lower side of 3: by 1 of 3
        ([4.0, 4.0], 1 / 8, "row 0"),  # above its upper side of 7: by 1 of a turnover of 8
        ([5.0, 1.0], 1 / 5, "column 0"),  # above its end of 4: by 1 of 5
        ([2.5, 0.5], 0.5, "column 1"),  # below its end of 1: by 0.5, of at least 1
    ],
)
def test_a_violation_is_a_share_of_what_is_compared(x, residual, worst):
    found, where = primal_residual(BOX, np.array(x))
    assert found == pytest.approx(residual, rel=1e-12)
    assert str(where) == worst


@pytest.mark.parametrize(("extent", "floor"), [(0.25, 0.25), (8.0, 1.0), (INF, 1.0)])
def test_a_violation_near_zero_is_compared_with_what_could_be_but_at_most_with_one(extent, floor):
    one = program([[1]], [0], columns=(-extent, extent), rows=(0, INF))
    assert primal_residual(one, np.array([-1e-6]))[0] == pytest.approx(1e-6 / floor, rel=1e-6)


def test_a_residual_at_the_tolerance_passes_and_one_above_it_does_not():
    residual, _ = primal_residual(BOX, np.array([2.0 - 1e-6, 1.0]))
    loose = {"size": 1e6}
    assert verify_optimal(BOX, np.array([2.0 - 1e-6, 1.0]), PRICE, tolerance=residual, **loose).passed
    assert not verify_optimal(
        BOX, np.array([2.0 - 1e-6, 1.0]), PRICE, tolerance=np.nextafter(residual, 0), **loose
    ).passed


def test_a_point_within_its_limits_has_no_worst_place():
    assert primal_residual(BOX, AT) == (0.0, None)


def test_the_larger_of_two_violations_is_the_worst():
    two = program([[1, 0], [0, 1]], [0, 0], columns=(-9, 9), rows=(-INF, [1, 1]))
    assert str(primal_residual(two, np.array([2.0, 4.0]))[1]) == "row 1"
    assert str(primal_residual(two, np.array([4.0, 2.0]))[1]) == "row 0"


class TestQuadratic:
    """Minimise w (x - c)^2 + a x over a box, one column at a time."""

    @staticmethod
    def bound(weight, centre, cost, box, whole=()):
        arrays = program([[0]], [cost], columns=box, whole=whole)
        return quadratic_bound(arrays, np.array([weight]), np.array([centre]), np.zeros(1))

    @pytest.mark.parametrize(
        ("weight", "centre", "cost", "box", "least"),
        [
            (2.0, 3.0, 4.0, (0, 10), 2 * 1 + 4 * 2),  # inside: x = 3 - 4 / 4 = 2
            (2.0, 3.0, 16.0, (0, 10), 2 * 9),  # below the box: x = 0
            (2.0, 3.0, -40.0, (0, 10), 2 * 49 - 400),  # above the box: x = 10
            (0.0, 3.0, 4.0, (1, 10), 4),  # no weight: a line
            (0.0, 3.0, -4.0, (1, 10), -40),
        ],
    )
    def test_its_least_value(self, weight, centre, cost, box, least):
        assert self.bound(weight, centre, cost, box) == pytest.approx(least, abs=1e-11)
        assert self.bound(weight, centre, cost, box) <= least

    @pytest.mark.parametrize(
        ("weight", "centre", "cost", "box", "least"),
        [
            (2.0, 3.4, 0.0, (0, 10), 2 * 0.16),  # 3
            (2.0, 3.6, 0.0, (0, 10), 2 * 0.16),  # 4
            (2.0, 3.6, 2.0, (0, 10), 2 * 0.36 + 6),  # 3.1 without whole numbers: 3
            (2.0, -3.4, 0.0, (-10, 10), 2 * 0.16),  # -3
            (2.0, 30.0, 0.0, (0, 10), 800),  # the box ends at 10
            (2.0, 0.5, 3.0, (1, 10), 0.5 + 3),  # the box begins at 1
        ],
    )
    def test_its_least_value_at_a_whole_number(self, weight, centre, cost, box, least):
        assert self.bound(weight, centre, cost, box, [0]) == pytest.approx(least, abs=1e-11)

    def test_a_column_without_weight_is_allowed_and_told_with_offset(self):
        arrays = program([[1, 1]], [0, 1], columns=(0, 10), rows=(4, INF), offset=5.0)
        right = verify_quadratic(arrays, np.array([1.0, 0.0]), np.array([1.0, 0.0]), np.array([1.5, 2.5]), np.ones(1))
        assert right.passed
        assert right.objective == pytest.approx(0.25 + 2.5 + 5)
        assert right.bound == pytest.approx(7.75, abs=1e-9)

    @pytest.mark.parametrize(("extent", "size"), [(0.25, 0.0625), (8.0, 1.0)])
    def test_a_small_distance_is_compared_with_what_it_could_be_but_at_most_with_one(self, extent, size):
        arrays = program([[0]], [0], columns=(0, extent))
        found = verify_quadratic(arrays, np.ones(1), np.zeros(1), np.array([1e-3]), np.zeros(1))
        assert found.relative_gap == pytest.approx(1e-6 / size, rel=1e-6)

    def test_size_is_the_one_that_is_given(self):
        arrays = program([[0]], [0], columns=(0, 8))
        found = verify_quadratic(arrays, np.ones(1), np.zeros(1), np.array([1e-3]), np.zeros(1), size=4.0)
        assert found.relative_gap == pytest.approx(1e-6 / 4, rel=1e-6)


class TestUnbounded:
    """A start within the limits, and a direction that stays within them and lowers the objective."""

    ENDLESS = program([[1, -1], [-1, 1]], [-1, 0], columns=(0, INF), rows=([-INF, -5], [1, INF]))
    START, AWAY = np.zeros(2), np.ones(2)

    def test_the_right_direction_passes(self):
        assert verify_unbounded(self.ENDLESS, self.AWAY, self.START).passed

    @pytest.mark.parametrize("length", [1e-3, 0.5, 7.0, 1e3])
    def test_a_direction_has_no_length(self, length):
        assert verify_unbounded(self.ENDLESS, length * self.AWAY, self.START).passed

    @pytest.mark.parametrize("away", [[1, 0], [-1, -1], [0, 1], [0, 0]])
    def test_a_wrong_direction_does_not(self, away):
        assert not verify_unbounded(self.ENDLESS, np.array(away, dtype=float), self.START).passed

    @pytest.mark.parametrize(
        "change",
        [
            {"column_upper": np.array([9.0, INF])},
            {"row_upper": np.array([INF, 3.0]), "matrix": program([[1, -1], [0, 1]], 0).matrix},
            {"row_lower": np.array([-INF, -3.0]), "matrix": program([[1, -1], [0, -1]], 0).matrix},
        ],
    )
    def test_a_direction_that_leaves_a_limit_does_not(self, change):
        assert not verify_unbounded(replace(self.ENDLESS, **change), self.AWAY, self.START).passed

    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    def test_columns_may_be_open_on_the_side_that_is_taken(self, sign):
        down = program([[0]], [-sign], columns=(-INF, INF))
        assert verify_unbounded(down, np.array([sign]), np.zeros(1)).passed
        assert not verify_unbounded(down, np.array([-sign]), np.zeros(1)).passed

    def test_limits_need_not_be_at_zero(self):
        """At the start x = 5 in a box that begins at 5, with a row from 5 upwards."""
        high = program([[1]], [-1], columns=(5, INF), rows=(5, INF))
        assert verify_unbounded(high, np.ones(1), np.array([5.0])).passed
        low = program([[1]], [1], columns=(-INF, -5), rows=(-INF, -5))
        assert verify_unbounded(low, -np.ones(1), np.array([-5.0])).passed

    def test_a_start_outside_the_limits_does_not_pass_and_is_told(self):
        found = verify_unbounded(self.ENDLESS, self.AWAY, np.array([5.0, 0.0]))
        assert not found.passed and found.primal_residual == pytest.approx(0.8)

    def test_a_start_as_far_outside_as_is_tolerated_passes(self):
        start = np.array([5.0, 0.0])
        far = verify_unbounded(self.ENDLESS, self.AWAY, start).primal_residual
        assert verify_unbounded(self.ENDLESS, self.AWAY, start, tolerance=far).passed
        assert not verify_unbounded(self.ENDLESS, self.AWAY, start, tolerance=np.nextafter(far, 0)).passed

    @pytest.mark.parametrize(("fall", "passes"), [(1e-12, False), (1e-3, True), (-1e-3, False)])
    def test_what_falls_by_less_than_rounding_does_not_fall(self, fall, passes):
        flat = program([[0, 0]], [1, -1 - fall], columns=(0, INF))
        assert verify_unbounded(flat, np.ones(2), np.zeros(2)).passed == passes


class TestInfeasible:
    """Rows that ask for more than the box gives."""

    def test_the_margin_is_the_excess_as_a_share_of_what_is_asked(self):
        """x + y >= 12 in [1, 4]: at most 8."""
        clash = replace(BOX, row_lower=np.array([12.0]), row_upper=np.array([INF]))
        found = verify_infeasible(clash, np.ones(1))
        assert found.passed and found.margin == pytest.approx(4 / 12) and not found.borderline
        assert not verify_infeasible(clash, -np.ones(1)).passed
        assert verify_infeasible(clash, 7 * np.ones(1)).margin == pytest.approx(4 / 12)

    def test_an_upper_side_below_what_the_box_holds(self):
        clash = replace(BOX, row_lower=np.array([-INF]), row_upper=np.array([0.5]))
        found = verify_infeasible(clash, -np.ones(1))
        assert found.passed and found.margin == pytest.approx(1.5 / 1)

    def test_borderline_is_what_does_not_pass_but_clashes(self):
        assert Certificate("infeasible", passed=False, margin=1e-9).borderline
        assert not Certificate("infeasible", passed=False, margin=0.0).borderline
        assert not Certificate("infeasible", passed=True, margin=1e-9).borderline
        assert not Certificate("optimal", passed=False, margin=1e-9).borderline


@pytest.mark.parametrize(
    "change",
    [
        {"column_upper": np.array([-INF, 4.0])},
        {"column_lower": np.array([INF, 1.0])},
        {"row_upper": np.array([-INF])},
        {"row_lower": np.array([INF])},
        {"offset": INF},
        {"offset": np.nan},
        {"cost": np.array([1.0])},
        {"integer": np.array([True])},
        {"row_lower": np.array([3.0, 3.0])},
    ],
)
def test_data_that_cannot_be_computed_with_prove_nothing(change):
    broken = replace(BOX, **change)
    assert not verify_optimal(broken, AT, PRICE).passed
    assert not verify_quadratic(broken, np.zeros(2), AT, AT, PRICE).passed
    assert not verify_infeasible(broken, PRICE).passed
    assert not verify_unbounded(broken, AT, AT).passed
