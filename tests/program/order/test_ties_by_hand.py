"""The tie rule's exchange of limits, sides and measures, with programs of one to three columns solved by hand."""

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.errors import Uncertified
from kpiopt.program.formulation.blocks import Reference
from kpiopt.program.order import ties
from kpiopt.program.solver.interior import scale_program
from tests.program.random_programs import INF, program

ONES = Reference(np.ones(2), np.zeros(2))


@pytest.mark.parametrize(
    ("side", "multiplier", "value", "right"),
    [
        (0, 0.0, 5.0, 0),  # inside
        (0, 3.0, 5.0, 0),
        (0, 0.0, 0.9, -1),  # below the lower side of 1
        (0, 0.0, 9.1, 1),  # above the upper side of 9
        (0, 0.0, 1.0 - 0.9e-11, 0),  # by less than the tolerance
        (0, 0.0, 1.0 - 1.1e-11, -1),
        (0, 0.0, 9.0 + 8.9e-11, 0),  # which grows with the value
        (0, 0.0, 9.0 + 9.2e-11, 1),
        (-1, 2.0, 1.0, -1),  # a lower side that is pushed against stays
        (-1, -0.9e-9, 1.0, -1),
        (-1, -1e-9, 1.0, -1),
        (-1, -1.1e-9, 1.0, 0),
        (1, -2.0, 9.0, 1),  # an upper side likewise
        (1, 0.9e-9, 9.0, 1),
        (1, 1e-9, 9.0, 1),
        (1, 1.1e-9, 9.0, 0),
        (-1, 2.0, 9.5, 1),  # what is violated comes first
        (1, -2.0, 0.5, -1),
    ],
)
def test_sides_are_dropped_and_added(side, multiplier, value, right):
    found = ties._new_sides(*(np.array([v]) for v in (side, multiplier, value, 1.0, 9.0)))
    assert found.tolist() == [right]


def test_the_total_is_met_with_the_least_change():
    """x + y = 4 with weights 1 and 3: 3 and 1, at a price of 6."""
    plan = ties.closest_plan(
        program([[1, 1]], 0, columns=(0, 9), rows=(4, 4)), Reference(np.array([1.0, 3.0]), np.zeros(2))
    )
    assert plan.x == pytest.approx([3, 1], abs=1e-12)
    assert plan.row_dual == pytest.approx([6], abs=1e-9)


@pytest.mark.parametrize(
    ("columns", "rows", "right", "price"),
    [
        ((0, 9), (4, INF), [2, 2], 4),  # the lower side of the row
        ((-9, 9), (-INF, -4), [-2, -2], -4),  # its upper side
        (([0, 0], [1, 9]), (4, INF), [1, 3], 6),  # the first column full
        (([3, 0], [9, 9]), (4, INF), [3, 1], 2),  # or held from below
        (([-9, -9], [9, -3]), (-INF, -4), [-1, -3], -2),
        (([2.5, 0], [2.5, 9]), (4, INF), [2.5, 1.5], 3),  # or fixed
        ((0, 9), (-INF, 4), [0, 0], 0),  # no side at all
    ],
)
def test_limits_that_hold(columns, rows, right, price):
    arrays = program([[1, 1]], 0, columns=columns, rows=rows)
    for find in (ties.closest_plan, ties._closest, ties._in_fractions):
        plan = find(arrays, ONES)
        assert plan.x == pytest.approx(right, abs=1e-10)
        assert plan.row_dual == pytest.approx([price], abs=1e-8)


def test_sides_of_a_plan_by_its_multipliers():
    """Four columns: at the lower end and pushed, at the upper end and pushed, between, fixed; rows with either sign."""
    arrays = program(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], 0,
        columns=([2, 0, 0, 5], [9, 3, 9, 5]), rows=([2, -INF, 4], [INF, 3, 4]),
    )  # fmt: skip
    reference = Reference(np.full(4, 0.5), np.zeros(4))  # a scale of 1
    x, dual = np.array([2.0, 3.0, 4.0, 5.0]), np.array([1.5, -1.0, 4.0])
    gradient = np.array([2.0, -1.5, 4.0, 9.0])
    point = ties._as_point(arrays, reference, x, dual, gradient)
    assert point.rows.tolist() == [-1, 1, 0]  # the last one is an equation
    assert point.columns.tolist() == [-1, 1, 0, 0]
    assert (point.y.tolist(), point.multiplier.tolist()) == (x.tolist(), dual.tolist())
    # Pushed by nothing, or away from the end, or not at it: no side.
    for gradient in ([1.5, -1.0, 4.0, 9.0], [1.5 + 0.9e-11, -1.0 - 0.9e-11, 4.0, 0.0], [1.0, 0.0, 4.0, 0.0]):
        assert ties._as_point(arrays, reference, x, dual, np.array(gradient)).columns.tolist() == [0, 0, 0, 0]
    off = ties._as_point(arrays, reference, np.array([2.1, 2.9, 4.0, 5.0]), dual, np.array([2.0, -1.5, 4.0, 9.0]))
    assert off.columns.tolist() == [0, 0, 0, 0]
    near = np.array([2.0 + 1.9e-10, 3.0 - 2.9e-10, 4.0, 5.0])
    assert ties._as_point(arrays, reference, near, dual, np.array([2.0, -1.5, 4, 9])).columns.tolist() == [-1, 1, 0, 0]


def test_a_plan_is_scaled_with_its_program():
    """Weight 2: a column counts half, x = y / 2; the row 4 x has a scale of 2."""
    arrays = program([[4]], 0, columns=(0, 9), rows=(8, INF))
    point = ties._as_point(
        arrays, Reference(np.array([2.0]), np.zeros(1)), np.array([2.0]), np.array([2.0]), np.array([8.0])
    )
    assert (point.y.tolist(), point.multiplier.tolist(), point.rows.tolist()) == ([4.0], [4.0], [-1])


def test_inside_is_within_all_rows():
    arrays = program([[1, 0], [0, 1]], 0, columns=(-9, 9), rows=([1, -INF], [INF, 4]))
    problem = scale_program(arrays, np.full(2, 0.5), np.zeros(2))
    point = ties._as_point(arrays, ONES, np.zeros(2), np.zeros(2), np.zeros(2))
    for y, right in (
        ([1, 4], True), ([2, 3], True), ([0.5, 3], False), ([2, 4.5], False), ([0.5, 4.5], False),
        ([1 - 0.9e-10, 4 + 3.9e-10], True), ([1 - 1.1e-10, 4], False), ([1, 4 + 4.2e-10], False),
    ):  # fmt: skip
        assert ties._is_inside(problem, replace(point, y=np.array(y, dtype=float))) == right


def test_the_error_of_a_plan_is_its_gap_or_what_it_misses():
    """x >= 2 at a weight of 1: at 3 there is a gap, at 1 the row is missed by 1."""
    arrays, reference = program([[1]], 0, columns=(0, 9), rows=(2, INF)), Reference(np.ones(1), np.zeros(1))
    plan = ties.closest_plan(arrays, reference)
    assert ties._error(arrays, reference, plan) <= 1e-12
    away = ties._error(arrays, reference, replace(plan, x=np.array([3.0])))
    # A multiplier of 4 on a row with 1 to spare, and a price of 2 x 3 - 4 on a column 3 above its lower end, of 9.
    assert away == pytest.approx((4 * 1 + 2 * 3) / 9)
    assert ties._error(arrays, reference, replace(plan, x=np.array([1.0]))) > 0.1
    assert ties.reference_size(reference, np.array([3.0])) == 9
    assert ties.reference_size(reference, np.array([1e-9])) == 1e-6


def test_beginning_near_the_answer():
    """The total of 4 becomes 5, and the first of two that may have 2 each is full then."""
    first = program([[1, 1]], 0, columns=([0, 0], [2.2, 9]), rows=(4, INF))
    plan = ties.closest_plan(first, ONES)
    assert plan.x == pytest.approx([2, 2])
    second = replace(first, row_lower=np.array([5.0]))
    near = ties.closest_plan_near(second, ONES, plan.point)
    assert near is not None
    assert near.x == pytest.approx([2.2, 2.8])
    assert (near.method, near.exchanges) == ("active set", 1)
    assert ties.closest_plan(second, ONES, plan.point).method == "active set"
    again = ties.closest_plan_near(second, ONES, near.point)
    assert again is not None
    assert again.exchanges == 0
    # Rows that contradict each other have a compromise for a solution, which is none.
    both = program([[1, 1], [1, 1]], 0, columns=(0, 9), rows=([4, 5], [4, 5]))
    point = ties._as_point(both, ONES, np.array([2.0, 2.0]), np.zeros(2), np.zeros(2))
    assert ties.closest_plan_near(both, ONES, point) is None


def test_columns_that_equations_define_are_left_out_and_come_back():
    """z = x + y without a weight; x + y >= 4."""
    arrays = program([[1, 1, -1], [0, 0, 1]], 0, columns=(0, 9), rows=([0, 4], [0, INF]))
    reference = Reference(np.array([1.0, 1.0, 0.0]), np.zeros(3))
    plan = ties._of_decisions(arrays, reference)
    assert plan is not None
    assert plan.x == pytest.approx([2, 2, 4])
    assert 2.0 * reference.weight * plan.x - arrays.matrix.T @ plan.row_dual == pytest.approx([0, 0, 0], abs=1e-9)


def test_a_price_that_rounding_cannot_tell_from_nothing_is_judged_in_the_scaled_program():
    """A weight of 5e9 makes a column count 1e5 times: a price of 1e-7 is 1e-12 then, and one of 1e-5 is 1e-10."""
    arrays = program([[0]], 0, columns=(2, 9))
    for price, side in ((1e-7, 0), (1e-5, -1)):
        point = ties._as_point(
            arrays, Reference(np.array([5e9]), np.zeros(1)), np.array([2.0]), np.zeros(1), np.array([price])
        )
        assert point.columns.tolist() == [side]


def test_multipliers_of_rows_that_were_left_out_come_back_with_the_centre():
    """x >= 2 is a row of its own: from a centre of 1 it costs 2 (2 - 1)."""
    arrays = program([[1, 0], [1, 1]], 0, columns=(-9, 9), rows=([2, -INF], [INF, 9]))
    plan = ties.closest_plan(arrays, Reference(np.ones(2), np.array([1.0, 0.5])))
    assert plan.x == pytest.approx([2, 0.5])
    assert plan.row_dual == pytest.approx([2, 0], abs=1e-9)


def test_scaled_by_boxes_the_point_is_that_of_the_usual_scaling(monkeypatch):
    """x at least 3 and x + y at least 4, weights of 4: y costs 8, x 24, of which its end bears 16."""
    monkeypatch.setattr(ties, "SCALINGS", ((True, False),))
    arrays = program([[1, 1]], 0, columns=([3, 0], [9, 9]), rows=(4, INF))
    plan = ties._closest(arrays, Reference(np.full(2, 4.0), np.zeros(2)))
    assert plan.x == pytest.approx([3, 1])
    assert (plan.point.columns.tolist(), plan.point.rows.tolist()) == ([-1, 0], [-1])


@pytest.mark.parametrize(
    ("errors", "chosen", "tried"),
    [
        ([ties.AT_SIDE], 0, 1),  # good enough: nothing else is tried
        ([1e-3, 1e-2, 1e-1, 1.0], 0, 4),
        ([1e-2, 1e-3, 1e-1, 1.0], 1, 4),
        ([1e-1, 1e-2, ties.AT_SIDE], 2, 3),
        ([1e-1, 1e-2, 1e-3, 1e-4], 3, 4),  # the one in fractions
    ],
)
def test_the_plan_with_the_least_error_is_taken(monkeypatch, errors, chosen, tried):
    seen = []

    def error(arrays, reference, plan):
        assert plan is not None
        seen.append(plan)
        return errors[len(seen) - 1]

    monkeypatch.setattr(ties, "_error", error)
    monkeypatch.setattr(ties, "_of_decisions", lambda *_: None)
    found = ties._closest(program([[1, 1]], 0, columns=(0, 9), rows=(4, INF)), ONES)
    assert len(seen) == tried
    assert found is seen[chosen]


@pytest.mark.parametrize(
    "arrays",
    [
        program([[1, 1], [1, 1]], 0, columns=(0, 9), rows=([4, 5], [4, 5])),
        program([[1, 1]], 0, columns=(0, 9), rows=(30, 30)),
        program([[1, -1], [1, 0]], 0, columns=(0, 9), rows=([0, 10], INF)),
    ],
)
def test_no_compromise_is_taken_for_a_plan(arrays):
    with pytest.raises(Uncertified, match="no plan keeps all limits"):
        ties.closest_plan(arrays, ONES)
