"""The rational simplex method: the solver's optima, proofs and ranges, and no rounding where figures tie."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kpiopt
from kpiopt.deadline import Deadline
from kpiopt.program.solver import session
from kpiopt.program.solver.answer import At, Status
from kpiopt.program.solver.rational import LARGEST, Exact, solve_in_fractions
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.certificate import verify_infeasible, verify_optimal
from tests.program.order.frozen_scenarios import frozen_scenario
from tests.program.random_programs import INF, program, random_program

SEEDS = st.integers(0, 100_000)
NEVER = Deadline()
WYNDOR = program([[1, 0], [0, 2], [3, 2]], [-3, -5], columns=(0, 100), rows=(-INF, [4, 12, 18]))


def solve(arrays):
    found = solve_in_fractions(arrays, NEVER)
    assert isinstance(found, Exact)
    return found


def test_the_textbook_example_with_its_prices_and_ranges():
    found = solve(WYNDOR)
    assert found.x.tolist() == [2.0, 6.0]
    assert found.row_dual.tolist() == [0.0, -1.5, -1.0]
    assert found.basis.columns.tolist() == [At.BASIC, At.BASIC]
    assert found.basis.rows.tolist() == [At.BASIC, At.UPPER, At.UPPER]
    ranges = found.ranging()
    assert ranges.row_from.tolist() == [2.0, 6.0, 12.0]
    assert ranges.row_to.tolist() == [INF, 18.0, 24.0]


@settings(max_examples=25)
@given(SEEDS)
def test_random_programs_have_the_solvers_value_and_a_certificate(seed):
    arrays = random_program(np.random.default_rng(seed), spread=1.0, most=7)
    answer, found = Session(arrays).solve(), solve(arrays)
    assert answer.status is Status.OPTIMAL
    certificate = verify_optimal(arrays, found.x, found.row_dual)
    assert certificate.passed
    assert certificate.objective == pytest.approx(answer.objective, rel=1e-9, abs=1e-9)


@settings(max_examples=25)
@given(SEEDS)
def test_ranges_are_those_in_which_the_answer_does_not_change(seed):
    """At both ends of every finite range, and not beyond, duals (rows) and the point (costs) stay."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 4, 2)
    arrays = program(
        rng.standard_normal((m, n)), rng.standard_normal(n), columns=(0, 5), rows=(-INF, rng.uniform(1, 3, m))
    )
    found = solve(arrays)
    value = float(arrays.cost @ found.x)
    for i in np.flatnonzero(found.row_dual):
        for end, beyond in ((found.ranges.row_from[i], -0.1), (found.ranges.row_to[i], 0.1)):
            if np.isfinite(end):
                inside, outside = arrays.row_upper.copy(), arrays.row_upper.copy()
                inside[i], outside[i] = end, end + beyond
                moved = float(arrays.cost @ solve(replace(arrays, row_upper=inside)).x)
                assert moved - value == pytest.approx(found.row_dual[i] * (end - arrays.row_upper[i]), abs=1e-9)
                after = solve_in_fractions(replace(arrays, row_upper=outside), NEVER)
                line = value + found.row_dual[i] * (end + beyond - arrays.row_upper[i])
                assert not isinstance(after, Exact) or float(arrays.cost @ after.x) > line + 1e-9


@settings(max_examples=25)
@given(SEEDS)
def test_what_clashes_is_proved(seed):
    rng = np.random.default_rng(seed)
    arrays = random_program(rng, most=6)
    ray = rng.standard_normal(arrays.n_rows)
    d = arrays.matrix.T @ ray
    most = np.where(d > 0, arrays.column_upper, arrays.column_lower) @ d
    row = program([d], 0.0).matrix
    clash = replace(
        arrays,
        matrix=type(arrays.matrix)(np.vstack([arrays.matrix.toarray(), row.toarray()])),
        row_lower=np.append(arrays.row_lower, most + 0.5),
        row_upper=np.append(arrays.row_upper, INF),
    )
    found = solve_in_fractions(clash, NEVER)
    assert isinstance(found, np.ndarray)
    assert verify_infeasible(clash, found).passed


@pytest.mark.parametrize(("over", "solved"), [(1e-17, True), (1e-13, True), (1e-9, False)])
def test_limits_that_contradict_each_other_by_a_rounding_are_moved(over, solved):
    """x + y = 1 at y = 1 is x = 0: x + (1 - 2 h) y can be 1 - 2 h, and is asked to be 1 + h."""
    hair = program([[1, 1], [1, 1 - 2 * over]], [1, 2], columns=([0, 1], 1), rows=([1, 1 + over], [1, INF]))
    assert isinstance(solve_in_fractions(hair, NEVER), Exact) == solved


def test_a_free_column_stays_where_nothing_moves_it_and_is_found_where_something_does():
    free = program([[1, 1]], [1, 0], columns=(-INF, INF), rows=(3, 3))
    assert solve_in_fractions(free, NEVER) is None  # no end
    held = replace(free, cost=np.zeros(2))
    assert solve(held).x.sum() == 3.0


def test_large_programs_whole_numbers_and_no_time_are_left_to_others():
    big = program(np.ones((2, LARGEST)), 0.0, columns=(0, 1), rows=(0, 1))
    assert solve_in_fractions(big, NEVER) is None
    assert solve_in_fractions(replace(WYNDOR, integer=np.array([True, False])), NEVER) is None
    assert solve_in_fractions(WYNDOR, Deadline.after(0)) is None


def test_it_comes_to_an_end_where_many_choices_are_equal():
    """Beale's example, in which the steepest way goes round for ever."""
    beale = program(
        [[0.25, -8, -1, 9], [0.5, -12, -0.5, 3], [0, 0, 1, 0]],
        [-0.75, 20, -0.5, 6],
        columns=(0, 1e6),
        rows=(-INF, [0, 0, 1]),
    )
    assert float(beale.cost @ solve(beale).x) == -1.25


def test_a_session_ends_with_it_where_nothing_else_is_certified(tmp_path, monkeypatch):
    path = tmp_path / "tied.toml"
    path.write_text(frozen_scenario(300078), "utf-8")
    usual = kpiopt.solve(path, simulate=False).solution
    monkeypatch.setattr(session, "LADDER", ())
    run = kpiopt.solve(path, simulate=False)
    assert {step.attempt for step in run.solution.steps} == {"in fractions", "interior point + active set"}
    assert run.solution.x == pytest.approx(usual.x, rel=1e-12)
