"""The certificate: true proofs pass, bounds hold in rational arithmetic, measures mean what the module says."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpiopt.errors import Unbounded, Uncertified
from kpiopt.program.formulation.blocks import Objective
from kpiopt.program.order.steps import require_optimal
from kpiopt.program.solver.answer import Answer, Status
from kpiopt.program.trust.certificate import (
    linear_bound,
    primal_residual,
    quadratic_bound,
    verify_infeasible,
    verify_optimal,
    verify_quadratic,
    verify_unbounded,
)
from tests.program.random_programs import INF, program, random_program

SEEDS = st.integers(0, 100_000)
WYNDOR = program([[1, 0], [0, 2], [3, 2]], [-3, -5], columns=(0, 100), rows=(-INF, [4, 12, 18]))


def known_feasible(rng):
    """A program with a feasible point: rows are drawn around its values, whose rounding the rows' slack covers."""
    arrays = random_program(rng, spread=3.0)
    x = arrays.column_lower + rng.random(arrays.n_columns) * (arrays.column_upper - arrays.column_lower)
    activity = arrays.matrix @ x
    room = 1e-6 * (abs(arrays.matrix) @ np.abs(x) + 1.0)
    lower = np.where(np.isfinite(arrays.row_lower), activity - room, -INF)
    upper = np.where(np.isfinite(arrays.row_upper), activity + room, INF)
    return replace(arrays, row_lower=lower, row_upper=upper), x


def rational_dot(a, b):
    return sum((Fraction(p) * Fraction(q) for p, q in zip(a, b, strict=True)), Fraction(0))


@given(SEEDS)
def test_no_feasible_point_goes_below_the_linear_bound_of_any_multipliers(seed):
    rng = np.random.default_rng(seed)
    arrays, x = known_feasible(rng)
    y = rng.standard_normal(arrays.n_rows) * 10.0 ** rng.uniform(-3, 3)
    assert Fraction(linear_bound(arrays, y)) <= rational_dot(arrays.cost, x)


@given(SEEDS)
def test_no_feasible_point_goes_below_the_quadratic_bound_of_any_multipliers(seed):
    rng = np.random.default_rng(seed)
    arrays, x = known_feasible(rng)
    weight = np.where(rng.random(arrays.n_columns) < 0.3, 0.0, 10.0 ** rng.uniform(-3, 3, arrays.n_columns))
    centre = rng.standard_normal(arrays.n_columns)
    y = rng.standard_normal(arrays.n_rows) * 10.0 ** rng.uniform(-3, 3)
    squares = sum(
        (Fraction(w) * (Fraction(v) - Fraction(c)) ** 2 for w, v, c in zip(weight, x, centre, strict=True)), Fraction(0)
    )
    assert Fraction(quadratic_bound(arrays, weight, centre, y)) <= squares + rational_dot(arrays.cost, x)


@given(SEEDS)
def test_the_quadratic_bound_of_whole_numbers_is_the_least_of_all_of_them(seed):
    """One column alone: never above the least, and below it by the last digits of its own height and price only."""
    rng = np.random.default_rng(seed)
    low = float(rng.integers(-3, 3)) * 10.0 ** rng.integers(0, 7)
    high, tenth = low + float(rng.integers(0, 6)), float(rng.integers(-10, 70)) / 10
    weight, centre = 10.0 ** rng.uniform(-9, 0), low + tenth
    price = float(rng.choice([0.0, 1.0, rng.standard_normal()])) * weight
    arrays = replace(program([[1]], [price], columns=(low, high), rows=(-INF, INF)), integer=np.array([True]))
    found = Fraction(quadratic_bound(arrays, np.array([weight]), np.array([centre]), np.zeros(1)))
    heights = {
        v: Fraction(weight) * (Fraction(v) - Fraction(centre)) ** 2 + Fraction(price) * Fraction(v)
        for v in np.arange(low, high + 1.0)
    }
    best = min(heights, key=lambda v: heights[v])
    size = float(abs(heights[best] - Fraction(price) * Fraction(best))) + abs(price) * (abs(best) + 1.0)
    others = sum(height <= heights[best] + Fraction(1e-12) * Fraction(size) for height in heights.values()) > 1
    assert 0 <= heights[best] - found <= Fraction(1e-14) * Fraction(size + others * weight) + Fraction(1e-300)


@given(SEEDS)
def test_a_reference_that_is_reached_costs_no_digits(seed):
    rng = np.random.default_rng(seed)
    end = rng.choice([1.0, 3.0, 1 / 3, 0.1], 4) * 10.0 ** rng.uniform(-3, 9, 4)
    arrays = program(np.zeros((1, 4)), np.zeros(4), columns=(np.where(end < 1.0, end, 0.0), end), rows=(-INF, INF))
    assert quadratic_bound(arrays, 10.0 ** rng.uniform(-9, 0, 4), end, np.zeros(1)) == pytest.approx(0.0, abs=1e-18)


@given(SEEDS)
def test_the_quadratic_bound_loses_only_the_last_digits_of_each_price(seed):
    rng = np.random.default_rng(seed)
    arrays, _ = known_feasible(rng)
    n, big = arrays.n_columns, 10.0 ** rng.uniform(0, 6, arrays.n_columns)
    fixed = replace(arrays, column_lower=big, column_upper=big, cost=np.zeros(n))
    weight, y = 10.0 ** rng.uniform(-12, 0, n), rng.standard_normal(arrays.n_rows) * 10.0 ** rng.uniform(-3, 3)
    y = np.where((y > 0) & np.isneginf(arrays.row_lower) | (y < 0) & np.isposinf(arrays.row_upper), 0.0, y)
    least, sizes = Fraction(0), 0.0
    for v, low, high in zip(y, arrays.row_lower, arrays.row_upper, strict=True):
        least += Fraction(v) * Fraction(low if v > 0 else high) if v else 0
    for j in range(n):
        d = -rational_dot(arrays.matrix[:, [j]].toarray()[:, 0], y)
        least += Fraction(weight[j]) * Fraction(big[j]) ** 2 + d * Fraction(big[j])
        sizes += abs(float(d)) * big[j] + 8.0 * weight[j] * big[j] ** 2
    lost = least - Fraction(quadratic_bound(fixed, weight, np.zeros(n), y))
    assert 0 <= lost <= 2.0 * np.finfo(float).eps * (sizes + abs(float(least)))


@given(SEEDS)
def test_over_a_box_alone_both_bounds_are_the_minimum(seed):
    rng = np.random.default_rng(seed)
    n = 5
    lower = rng.standard_normal(n)
    upper = lower + rng.random(n) + 0.1
    arrays = program(np.zeros((1, n)), rng.standard_normal(n), columns=(lower, upper))
    ends = np.minimum(arrays.cost * lower, arrays.cost * upper).sum()
    assert linear_bound(arrays, np.zeros(1)) == pytest.approx(ends, rel=1e-12)
    weight, centre = rng.random(n) + 0.1, rng.standard_normal(n)
    grid = lower[:, None] + (upper - lower)[:, None] * np.linspace(0, 1, 20_001)
    heights = weight[:, None] * (grid - centre[:, None]) ** 2 + arrays.cost[:, None] * grid
    found = quadratic_bound(arrays, weight, centre, np.zeros(1))
    assert found <= heights.min(axis=1).sum() + 1e-12
    assert found == pytest.approx(heights.min(axis=1).sum(), abs=1e-7)


def test_the_textbook_optimum_passes_with_its_shadow_prices():
    certificate = verify_optimal(WYNDOR, np.array([2.0, 6.0]), np.array([0.0, -1.5, -1.0]))
    assert certificate.passed
    assert certificate.objective == -36.0
    assert -36.0 - 1e-13 < certificate.bound <= -36.0
    assert certificate.primal_residual == certificate.relative_gap == 0.0


def test_a_multiplier_on_an_open_side_counts_as_zero():
    with_nonsense = verify_optimal(WYNDOR, np.array([2.0, 6.0]), np.array([7.0, -1.5, -1.0]))
    assert with_nonsense.bound == pytest.approx(-36.0, abs=1e-13)


def test_the_worst_row_is_named():
    certificate = verify_optimal(WYNDOR, np.array([2.0, 7.0]), np.array([0.0, -1.5, -1.0]))
    assert not certificate.passed
    assert str(certificate.worst) == "row 1"
    assert certificate.primal_residual == pytest.approx(2.0 / 14.0)


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**-20, 1.0])
def test_a_violation_does_not_hide_in_a_small_unit_of_measure(factor):
    small = replace(WYNDOR, matrix=WYNDOR.matrix * factor, row_upper=WYNDOR.row_upper * factor)
    residual, _ = primal_residual(small, np.array([2.0, 6.0 + 6e-6]))
    assert residual > 1e-8


@pytest.mark.parametrize("factor", [1e-9, 1e-6, 1.0, 1e6])
def test_a_wrong_optimum_does_not_hide_in_a_small_unit_of_the_objective(factor):
    small = replace(WYNDOR, cost=WYNDOR.cost * factor)
    duals = np.array([0.0, -1.5, -1.0]) * factor
    assert verify_optimal(small, np.array([2.0, 6.0]), duals).passed
    assert not verify_optimal(small, np.array([2.0, 6.0 - 1e-5]), duals).passed


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_an_offset_neither_hides_a_gap_nor_makes_one(offset):
    moved = replace(WYNDOR, offset=offset)
    duals = np.array([0.0, -1.5, -1.0])
    assert verify_optimal(moved, np.array([2.0, 6.0]), duals).passed
    assert not verify_optimal(moved, np.array([2.0, 6.0 - 1e-6]), duals).passed


def test_a_program_without_objective_needs_only_a_feasible_point():
    nothing = replace(WYNDOR, cost=np.zeros(2), offset=3.5)
    assert verify_optimal(nothing, np.array([1.0, 1.0]), np.zeros(3)).passed
    assert not verify_optimal(nothing, np.array([5.0, 1.0]), np.zeros(3)).passed


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_never_passes(broken):
    x, duals = np.array([2.0, 6.0]), np.array([0.0, -1.5, -1.0])
    for i in range(2):
        wrong = x.copy()
        wrong[i] = broken
        assert not verify_optimal(WYNDOR, wrong, duals).passed
    assert not verify_optimal(WYNDOR, x, np.array([0.0, broken, -1.0])).passed
    assert not verify_optimal(replace(WYNDOR, cost=np.array([broken, -5.0])), x, duals).passed
    assert not verify_optimal(replace(WYNDOR, row_upper=np.array([4.0, np.nan, 18.0])), x, duals).passed


def test_vectors_of_the_wrong_length_never_pass():
    assert not verify_optimal(WYNDOR, np.array([2.0]), np.array([0.0, -1.5, -1.0])).passed
    assert not verify_optimal(WYNDOR, np.array([2.0, 6.0]), np.array([-1.5, -1.0])).passed
    assert not verify_infeasible(WYNDOR, np.array([1.0])).passed


def test_projection_onto_a_simplex_has_its_closed_form():
    # The point of sum x = 1, x >= 0 closest to (0.9, 0.5, -0.4) is (0.7, 0.3, 0); the multiplier of the sum is -0.4.
    arrays = program([[1, 1, 1]], 0.0, columns=(0, 1), rows=(1, 1))
    centre, weight = np.array([0.9, 0.5, -0.4]), np.ones(3)
    right = verify_quadratic(arrays, weight, centre, np.array([0.7, 0.3, 0.0]), np.array([-0.4]))
    assert right.passed
    assert right.objective == pytest.approx(0.24)
    assert not verify_quadratic(arrays, weight, centre, np.array([0.7, 0.2, 0.1]), np.array([-0.4])).passed
    assert not verify_quadratic(arrays, weight, centre, np.array([0.7, 0.3, 0.0]), np.array([0.4])).passed
    assert not verify_quadratic(arrays, -weight, centre, np.array([0.7, 0.3, 0.0]), np.array([-0.4])).passed


def test_clashing_limits_are_proved_and_hairs_are_borderline():
    clash = program([[1], [1]], 0.0, columns=(0, 10), rows=([3, -INF], [INF, 2]))
    ray = np.array([1.0, -1.0])
    assert verify_infeasible(clash, ray).passed
    assert verify_infeasible(clash, ray).margin == pytest.approx(1 / 3)
    hair = replace(clash, row_lower=np.array([2.0 + 1e-7, -INF]))
    certificate = verify_infeasible(hair, ray)
    assert not certificate.passed
    assert certificate.borderline
    feasible = replace(clash, row_lower=np.array([2.0, -INF]))
    assert not verify_infeasible(feasible, ray).passed
    assert not verify_infeasible(feasible, ray).borderline


@settings(max_examples=300)
@given(SEEDS)
def test_no_weights_prove_a_feasible_program_infeasible(seed):
    rng = np.random.default_rng(seed)
    arrays, _ = known_feasible(rng)
    ray = rng.standard_normal(arrays.n_rows) * 10.0 ** rng.uniform(-4, 4, arrays.n_rows)
    assert not verify_infeasible(arrays, ray, margin=0.0).passed


def test_unboundedness_needs_a_point_and_a_direction():
    endless = program([[1, -1]], [-1, 0], columns=(0, INF), rows=(-INF, 1))
    start, direction = np.zeros(2), np.ones(2)
    assert verify_unbounded(endless, direction, start).passed
    assert not verify_unbounded(endless, np.array([1.0, 0.0]), start).passed
    assert not verify_unbounded(endless, -direction, start).passed
    assert not verify_unbounded(endless, direction, np.array([5.0, 0.0])).passed
    assert not verify_unbounded(WYNDOR, direction, start).passed


def test_no_end_is_told_only_with_its_proof():
    endless = program([[1, -1]], [-1, 0], columns=(0, INF), rows=(-INF, 1))
    objective = Objective("goals", None, endless.cost)
    proved = Answer(Status.UNBOUNDED, x=np.zeros(2), ray=np.ones(2))
    with pytest.raises(Unbounded):
        require_optimal(endless, proved, objective)
    for wrong in ({"ray": np.array([1.0, 0.0])}, {"ray": None}, {"x": np.empty(0)}):
        with pytest.raises(Uncertified):
            require_optimal(endless, replace(proved, **wrong), objective)


def test_the_json_form_has_no_infinities():
    failed = verify_optimal(WYNDOR, np.array([np.nan, 1.0]), np.zeros(3))
    text = json.dumps(failed.as_dict(), allow_nan=False)
    assert json.loads(text)["passed"] is False
    passed = verify_optimal(WYNDOR, np.array([2.0, 6.0]), np.array([0.0, -1.5, -1.0])).as_dict()
    assert passed["kind"] == "optimal" and passed["passed"] is True and passed["objective"] == -36.0


@pytest.mark.parametrize("x", [[101.0, 0.0], [-1.0, 0.0]])
def test_a_column_outside_its_box_never_passes(x):
    box = program([[1, 0]], [0, 0], columns=(0, 100), rows=(-INF, [1e9]))
    residual, worst = primal_residual(box, np.array(x))
    assert residual > 1e-3 and (worst.kind, worst.position) == ("column", 0)
    assert not verify_optimal(box, np.array(x), np.zeros(1)).passed


def test_a_column_without_an_end_bounds_nothing_where_the_objective_goes_there():
    open_end = program([[1, 1]], [-1, 0], columns=(0, INF), rows=(-INF, [10]))
    assert linear_bound(open_end, np.zeros(1)) == -INF
    assert linear_bound(open_end, np.array([-1.0])) == pytest.approx(-10.0)


def test_a_weight_below_zero_has_no_bound():
    box = program([[1, 0]], [0, 0], columns=(0, 1), rows=(-INF, [1]))
    concave = verify_quadratic(box, np.array([-1.0, 1.0]), np.zeros(2), np.zeros(2), np.zeros(1))
    assert not concave.passed


class TestSlips:
    """What the 53 bits of a proof's numbers explain is no gap; anything beyond it is."""

    SIZE = 1e-12
    THIRDS = program([[3]], [1], columns=(0, 1e6), rows=(1, [1]))

    def test_the_rounding_of_point_and_multiplier_is_no_gap(self):
        """Neither x = 1/3 nor y = 1/3 can be written."""
        third = np.array([1 / 3])
        certificate = verify_optimal(self.THIRDS, third, third, size=self.SIZE)
        assert certificate.passed and certificate.objective != certificate.bound

    @pytest.mark.parametrize("off", [1e-13, 1e-12, -1e-12])
    def test_a_gap_beyond_it_is_told(self, off):
        third = np.array([1 / 3])
        narrow = replace(self.THIRDS, column_upper=np.array([1.0]))
        assert verify_optimal(narrow, third, third, size=self.SIZE).passed
        assert not verify_optimal(narrow, third + off, third, size=self.SIZE).passed

    def test_a_reduced_cost_that_is_rounding_may_move_over_the_whole_box(self):
        """3 x 0.1 is not 0.3 in 53 bits: what is left of the reduced cost counts 5.6e-11 over a box of 1e6."""
        tenths = replace(self.THIRDS, cost=np.array([0.3]))
        certificate = verify_optimal(tenths, np.array([1 / 3]), np.array([0.1]), size=self.SIZE)
        assert certificate.passed and certificate.objective - certificate.bound > 1e-11

    def test_the_whole_box_is_what_lies_between_its_ends(self):
        tenths = replace(self.THIRDS, cost=np.array([0.3]), column_lower=np.array([-1e6]))
        assert verify_optimal(tenths, np.array([1 / 3]), np.array([0.1]), size=self.SIZE).passed

    def test_a_wrong_multiplier_is_not_excused_by_a_wide_box(self):
        third = np.array([1 / 3])
        assert not verify_optimal(self.THIRDS, third, third * (1 + 1e-12), size=self.SIZE).passed

    def test_a_reduced_cost_that_sums_to_0_in_53_bits_counts_as_what_it_is(self):
        """0.1 x 4347.718160440626 rounds to 434.7718160440626…: what is left, 1e-14, counts 5e-9 over a box of 5e5."""
        dual, half = 4347.718160440626, 434.77181604406263
        arrays = program([[1.0, 1.0], [0.1, 0.0]], [0, half], columns=([0, 0], [5e5, 10]), rows=([2, -INF], [INF, 0]))
        certificate = verify_optimal(arrays, np.array([0.0, 2.0]), np.array([half, -dual]), size=self.SIZE * 1e9)
        assert certificate.objective - certificate.bound == pytest.approx(4.99e-9, rel=0.01)
        assert certificate.passed
