"""The closest plan in fractions: the plan that conditions of optimality ask for, in programs of many kinds."""

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.program.solver.rational import LARGEST
from kpiopt.program.solver.rational_closest import closest_in_fractions
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.program.trust.certificate import verify_quadratic
from tests.program.random_programs import INF, program


def random_program(seed: int) -> tuple[ProgramArrays, np.ndarray, np.ndarray]:
    """Rows of many kinds around a known plan, of whole numbers, so that limits meet in one point often."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(2, 7)), int(rng.integers(0, 6))
    matrix, plan = rng.integers(-2, 3, (m, n)).astype(float), rng.integers(0, 4, n).astype(float)
    level = matrix @ plan
    below, above = (rng.choice([0.0, 1.0, np.inf], m, p=[0.5, 0.2, 0.3]) for _ in range(2))
    weight = np.where(rng.random(n) < 0.3, 0.0, rng.choice([1.0, 1e-9, 300.0], n))
    far = np.where(weight > 0.0, INF, 9.0)  # duals of a column without an end and without a pull would have to be exact
    ends = np.where(rng.random(n) < 0.3, -far, 0.0), np.where(rng.random(n) < 0.3, far, 4.0)
    arrays = program(matrix, [0.0] * n, columns=ends, rows=(level - below, level + above))
    return arrays, weight, rng.integers(-3, 6, n).astype(float)


@pytest.mark.parametrize("seed", range(60))
def test_the_point_is_closest_beyond_rounding(seed):
    arrays, weight, centre = random_program(seed)
    x, dual = closest_in_fractions(arrays, weight, centre)
    found = verify_quadratic(arrays, weight, centre, x, dual)
    assert found.passed, f"{found.primal_residual}, {found.relative_gap}"


def test_of_two_limits_a_hair_apart_the_one_that_holds():
    arrays = program([[1, 1], [1, 1]], [0, 0], columns=(0, 1), rows=([1.0 + 1e-13, 1.0], INF))
    x, dual = closest_in_fractions(arrays, np.array([1.0, 1.0]), np.zeros(2))
    assert x == pytest.approx([0.5 + 5e-14] * 2, abs=1e-16)
    assert dual.tolist() == [pytest.approx(1.0), 0.0]


def test_what_has_no_plan_or_is_too_large_is_left_to_others():
    clash = program([[1]], [0], columns=(0, 1), rows=(2, 3))
    assert closest_in_fractions(clash, np.ones(1), np.zeros(1)) is None
    n = LARGEST // 2 + 1
    big = program(np.ones((2, n)), [0] * n, columns=(0, 1), rows=(0, 1))
    assert closest_in_fractions(big, np.ones(n), np.zeros(n)) is None
    assert closest_in_fractions(replace(clash, row_lower=np.array([1.0])), np.ones(1), np.zeros(1))[0] == [1.0]
