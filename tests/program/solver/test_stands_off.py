"""A dual whose row is not at its side is found out, however little it costs."""

import numpy as np
import pytest
import scipy.sparse as sp

from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.solver.refinement import stands_off
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays

HAIR = 3e-8


def two_goals() -> ProgramArrays:
    """Return minimise 1e-5 f + 100 g over x + f >= 100 - 3e-8 and g >= 3, with x at most 100."""
    return ProgramArrays(
        cost=np.array([0.0, 1e-5, 100.0]),
        offset=0.0,
        matrix=sp.csr_array(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])),
        row_lower=np.array([100.0 - HAIR, 3.0]),
        row_upper=np.full(2, np.inf),
        column_lower=np.zeros(3),
        column_upper=np.array([100.0, 200.0, 10.0]),
        integer=np.zeros(3, dtype=bool),
    )


@pytest.mark.parametrize(
    ("x", "y", "off"),
    [
        ([100.0, 0.0, 3.0], [1e-5, 100.0], True),
        ([100.0, 0.0, 3.0], [0.0, 100.0], False),
        ([100.0 - HAIR, 0.0, 3.0], [1e-5, 100.0], False),
        ([100.0, 0.0, 3.0], [-1e-5, 100.0], True),
        ([100.0, 0.0, 4.0], [0.0, 100.0], True),
    ],
)
def test_a_row_off_its_side_has_no_dual(x, y, off):
    assert stands_off(two_goals(), np.array(x), np.array(y)) is off


def test_a_precise_answer_does_not_stand_off():
    arrays = two_goals()
    answer = Session(arrays, SolverOptions(precise=True)).solve()
    assert not stands_off(arrays, answer.x, answer.row_dual)
    assert arrays.cost @ answer.x == pytest.approx(300.0, rel=1e-15)
