"""The gate: scaling changes no digit and drops nothing; what cannot be trusted is refused with its place."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.errors import NumericsError
from kpiopt.program.solver.gate import check_numbers, find_scaling
from tests.program.random_programs import INF, program, random_program

SEEDS = st.integers(0, 100_000)


def is_power_of_two(values):
    return np.all(np.frexp(values)[0] == 0.5)


@given(SEEDS, st.sampled_from([0.0, 0.5, 1.0]))
def test_scaling_is_exact_and_undone_by_its_inverse(seed, share):
    arrays = random_program(np.random.default_rng(seed), spread=6.0, whole=0.3)
    scaling = find_scaling(arrays, share)
    assert is_power_of_two(scaling.row) and is_power_of_two(scaling.column) and is_power_of_two([scaling.objective])
    scaled = scaling.apply(arrays)
    back = scaled.matrix.toarray() / scaling.row[:, None] / scaling.column[None, :]
    assert np.array_equal(back, arrays.matrix.toarray())
    assert np.array_equal(scaled.cost / scaling.column / scaling.objective, arrays.cost)
    assert np.array_equal(scaled.row_lower / scaling.row, arrays.row_lower)
    assert np.array_equal(scaled.column_upper * scaling.column, arrays.column_upper)


@given(SEEDS)
def test_whole_number_columns_keep_their_scale(seed):
    arrays = random_program(np.random.default_rng(seed), spread=4.0, whole=0.5)
    assert np.all(find_scaling(arrays).column[arrays.integer] == 1.0)


@given(SEEDS)
def test_scaled_coefficients_are_far_from_what_solvers_drop(seed):
    arrays = random_program(np.random.default_rng(seed), spread=6.0)
    scaled = find_scaling(arrays).apply(arrays).matrix.data
    assert np.abs(scaled[scaled != 0.0]).min(initial=1.0) > 1e-9


def test_units_of_measure_are_scaled_away():
    # A program in cents, thousands and millions at once; after scaling everything is of size about 1.
    rows, columns = 10.0 ** np.array([-6, 0, 6]), 10.0 ** np.array([6, 0, -6])
    arrays = program(np.outer(rows, columns), columns, columns=(0, 1 / columns), rows=(-INF, rows))
    scaled = find_scaling(arrays).apply(arrays)
    assert np.abs(np.log2(scaled.matrix.data)).max() <= 2
    assert np.abs(np.log2(scaled.cost)).max() <= 2


def test_programs_without_entries_are_left_alone():
    for arrays in (program(np.zeros((0, 2)), 0.0, columns=(0, 1)), program(np.zeros((2, 0)), np.zeros(0))):
        scaling = find_scaling(arrays)
        assert np.all(scaling.row == 1.0) and scaling.objective == 1.0


def refusal(arrays):
    with pytest.raises(NumericsError) as error:
        check_numbers(arrays)
    return error.value.problems


def test_all_faults_are_reported_at_once_with_their_places():
    arrays = program([[1, np.nan], [np.inf, 1]], [1e15, 1], columns=([0, 2], [1, 1]), rows=(-INF, [1e20, 1]))
    problems = refusal(arrays)
    text = " ".join(problem.message for problem in problems)
    for place in ("row 0: nan", "row 1: inf", "column 0: 1e+15", "row 0: 1e+20", "column 1: 2 above 1"):
        assert place in text
    assert {problem.code for problem in problems} == {"E-number", "E-sides-crossed"}


def test_many_faults_are_counted():
    (problem,) = refusal(program([[1.0] * 9], [np.nan] * 9, columns=(0, 1)))
    assert "and 4 more" in problem.message


def test_sides_may_be_open_but_not_the_wrong_way():
    check_numbers(program([[1]], 1.0, columns=(-INF, INF), rows=(-INF, INF)))
    assert refusal(program([[1]], 1.0, columns=(0, 1), rows=(INF, INF)))
    assert refusal(program([[1]], 1.0, columns=(-INF, -INF)))


def test_the_constant_must_be_a_number():
    assert "constant" in refusal(replace(program([[1]], 1.0, columns=(0, 1)), offset=np.nan))[0].message
