"""Refinement: errors are seen, and corrected to the digits of the data."""

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.program.solver.answer import At, Basis
from kpiopt.program.solver.refinement import estimate_error, pose_refinement
from kpiopt.program.solver.session import Session, SolverOptions
from tests.nights import rest_at_night
from tests.program.random_programs import INF, program, random_program

WYNDOR = program([[1, 0], [0, 2], [3, 2]], [-3, -5], columns=(0, 100), rows=(-INF, [4, 12, 18]))
X, Y = np.array([2.0, 6.0]), np.array([0.0, -1.5, -1.0])


def test_the_right_answer_has_no_error():
    error = estimate_error(WYNDOR, X, Y)
    assert (error.primal, error.gap) == (0.0, 0.0)


def test_errors_are_measured_relative_to_their_row_and_objective():
    assert estimate_error(WYNDOR, X + np.array([0.0, 6e-6]), Y).primal == pytest.approx(1e-6, rel=1e-3)
    assert estimate_error(WYNDOR, X - np.array([0.0, 6e-6]), Y).gap == pytest.approx(30e-6 / 36, rel=1e-3)
    assert estimate_error(WYNDOR, X, Y - np.array([1e-6, 0.0, 0.0])).gap > 1e-8
    assert estimate_error(WYNDOR, np.array([np.nan, 0.0]), Y).primal == np.inf


@pytest.mark.parametrize("seed", rest_at_night(range(40), 12))
def test_a_rough_answer_becomes_exact_in_one_step(seed):
    rng = np.random.default_rng(seed)
    arrays = random_program(rng, spread=0.5)
    exact = Session(arrays).solve()
    rough_x = exact.x + 1e-6 * rng.standard_normal(len(exact.x))
    rough_y = exact.row_dual + 1e-6 * rng.standard_normal(len(exact.row_dual))
    posed = pose_refinement(arrays, rough_x, rough_y)
    answer = Session(posed.program, SolverOptions(presolve=False)).solve()
    x, y = posed.corrected(answer.x, answer.row_dual)
    assert arrays.cost @ x + arrays.offset == pytest.approx(exact.objective, rel=1e-13, abs=1e-13)
    assert estimate_error(arrays, x, y).within(1e-12, 1e-10)


def test_a_basis_survives_the_way_there_and_back():
    posed = pose_refinement(WYNDOR, X, Y)
    assert posed.priced.tolist() == [1, 2]
    basis = Basis(np.array([At.BASIC, At.BASIC], np.int8), np.array([At.BASIC, At.UPPER, At.UPPER], np.int8))
    back = posed.corrected_basis(posed.start(basis))
    assert back.rows.tolist() == basis.rows.tolist() and back.columns.tolist() == basis.columns.tolist()


def test_a_clash_below_the_solvers_tolerance_is_magnified():
    hair = program([[1], [1]], [1], columns=(0, 10), rows=([2.0 + 1e-10, -INF], [INF, 2.0]))
    posed = pose_refinement(hair, np.array([2.0]), np.zeros(2))
    gap = posed.program.row_lower[0] - posed.program.row_upper[1]
    assert gap == pytest.approx(1e-10 * posed.primal_factor, rel=1e-5)
    assert gap >= 0.5


def test_equations_keep_their_form():
    equation = replace(WYNDOR, row_lower=np.array([-INF, 12.0, -INF]))
    assert pose_refinement(equation, X, Y).priced.tolist() == [2]
