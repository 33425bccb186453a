"""A reduced program has the optima of the whole one, and its answers come back with duals that prove it."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from kpiopt.deadline import Deadline
from kpiopt.errors import Problem, Uncertified
from kpiopt.graph import build_graph
from kpiopt.program.formulation.blocks import Reference
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.steps import solve_steps
from kpiopt.program.order.ties import closest_plan
from kpiopt.program.solver import active_set
from kpiopt.program.solver import large as large_module
from kpiopt.program.solver import reduction as reduction_module
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.large import propose_answers
from kpiopt.program.solver.reduction import reduce_program
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.program.trust.certificate import primal_residual, verify_optimal, verify_quadratic
from tests.builders import random_scenario
from tests.nights import rest_at_night
from tests.program.random_programs import INF, program, random_program


def settled_program(seed: int) -> ProgramArrays:
    """A random program with fixed columns, rows of one column, costs of 0 and sides that cannot be broken."""
    rng = np.random.default_rng(seed)
    base = random_program(rng, most=9)
    matrix = base.matrix.toarray() * (rng.random(base.matrix.shape) < 0.5)
    inside = rng.uniform(base.column_lower, base.column_upper)
    fixed = rng.random(base.n_columns) < 0.25
    activity = matrix @ inside
    slack = np.abs(activity) * rng.random(base.n_rows) * (rng.random(base.n_rows) < 0.7)
    return replace(
        base,
        matrix=sp.csr_array(matrix),
        row_lower=np.where(rng.random(base.n_rows) < 0.5, activity - slack, -INF),
        row_upper=np.where(rng.random(base.n_rows) < 0.5, activity + slack, INF),
        column_lower=np.where(fixed, inside, base.column_lower),
        column_upper=np.where(fixed, inside, base.column_upper),
        cost=np.where(rng.random(base.n_columns) < 0.3, 0.0, base.cost),
    )


@pytest.mark.parametrize("start", rest_at_night(range(0, 400, 100), 1))
def test_restored_answers_are_proved_in_the_whole_program(start):
    n_smaller = 0
    for seed in range(start, start + 100):
        whole = settled_program(seed)
        reduction = reduce_program(whole)
        assert reduction is not None
        n_smaller += reduction.left.n_columns < whole.n_columns
        x, y = np.empty(0), np.zeros(len(reduction.rows))
        if reduction.left.n_columns:
            answer = Session(reduction.left).solve()
            assert answer.status is Status.OPTIMAL
            x, y = answer.x, answer.row_dual
        point = reduction.restore_point(x)
        assert verify_optimal(whole, point, reduction.restore_duals(point, y, whole.cost)).passed, seed
        fresh = Session(whole).solve()
        assert float(whole.cost @ point) + whole.offset == pytest.approx(fresh.objective, rel=1e-9, abs=1e-9)
    assert n_smaller > 90


def test_each_rule_by_hand():
    """x0 is fixed; row 1 makes x1 <= 4; row 2 can never be broken; x3 costs nothing and only helps row 0."""
    whole = program(
        [[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
        cost=[5.0, 1.0, 2.0, 0.0],
        columns=([3.0, 0.0, 0.0, 0.0], [3.0, 9.0, 5.0, 2.0]),
        rows=([8.0, -INF, -INF], [INF, 8.0, 6.0]),
    )
    reduction = reduce_program(whole)
    assert reduction.columns.tolist() == [1, 2]
    assert reduction.rows.tolist() == [0]
    assert reduction.left.row_lower.tolist() == [8.0 - 3.0 - 2.0]
    assert reduction.left.column_upper.tolist() == [4.0, 5.0]
    assert reduction.left.offset == 15.0
    point = reduction.restore_point(np.array([3.0, 0.0]))
    assert point.tolist() == [3.0, 3.0, 0.0, 2.0]


def test_a_column_that_only_the_first_round_releases_takes_its_rows_with_it():
    """x2 bounds x0 from above and costs nothing: at its upper end it bounds nothing, however early that is found."""
    whole = program(
        [[1.0, 1.0, 0.0], [1.0, 0.0, -1.0]],
        cost=[1.0, 2.0, 0.0],
        columns=(0.0, [5.0, 5.0, 6.0]),
        rows=([2.0, -INF], [INF, 0.0]),
    )
    reduction = reduce_program(whole)
    assert reduction.columns.tolist() == [0, 1]
    assert reduction.rows.tolist() == [0]
    assert reduction.restore_point(np.array([2.0, 0.0])).tolist() == [2.0, 0.0, 6.0]


def test_a_row_that_became_a_bound_takes_over_what_its_column_is_worth():
    """minimise -x with 2 x <= 8: one more of the side is worth half of one more x."""
    whole = program([[2.0]], cost=-1.0, columns=(0.0, 9.0), rows=(-INF, 8.0))
    reduction = reduce_program(whole)
    assert len(reduction.columns) == 0
    point = reduction.restore_point(np.empty(0))
    assert point.tolist() == [4.0]
    assert reduction.restore_duals(point, np.empty(0), whole.cost).tolist() == [-0.5]


@pytest.mark.parametrize(
    ("columns", "rows"),
    [(([0.0, 0.0], [1.0, 1.0]), (3.0, INF)), (([0.0, 1.0], [9.0, 1.0]), (-INF, 0.5))],
    ids=["out of reach", "fixed beyond a side"],
)
def test_contradictions_are_left_to_the_whole_program(columns, rows):
    assert reduce_program(program([[1.0, 1.0]], cost=1.0, columns=columns, rows=rows)) is None


def test_sides_that_cross_by_rounding_are_equal():
    third = 1.0 / 3.0
    whole = program([[3.0, 0.0], [1.0, 0.0]], cost=[1.0, 1.0], columns=(0.0, 1.0), rows=([1.0, -INF], [1.0, third]))
    whole = replace(whole, row_upper=np.array([1.0, np.nextafter(third, 0.0)]))
    reduction = reduce_program(whole)
    assert primal_residual(whole, reduction.restore_point(np.zeros(len(reduction.columns))))[0] < 1e-15


@pytest.mark.parametrize("small", [0, 2_000])
@pytest.mark.parametrize("seed", rest_at_night(range(40), 12))
def test_every_way_of_a_large_program_gives_the_proved_optimum(seed, small, monkeypatch):
    monkeypatch.setattr(large_module, "SMALL", small)
    whole = settled_program(seed)
    fresh = Session(whole).solve()
    found = [a for a in propose_answers(whole, SolverOptions()) if verify_optimal(whole, a.x, a.row_dual).passed]
    assert found
    assert [a.objective for a in found] == pytest.approx([fresh.objective] * len(found), rel=1e-9, abs=1e-9)


def test_where_one_way_fails_the_others_are_tried(monkeypatch):
    """Equations that cannot be solved are no answer, and do not end the search for one."""
    monkeypatch.setattr(large_module, "SMALL", 0)
    monkeypatch.setattr(active_set, "factorise", _fail)
    whole = unsettled_program()
    answers = list(propose_answers(whole, SolverOptions()))
    assert answers
    assert {answer.attempt for answer in answers} <= {"interior point, as asked", "reduced, as asked"}
    assert all(verify_optimal(whole, answer.x, answer.row_dual).passed for answer in answers)


def _fail(*_):
    raise Uncertified(Problem("E-uncertified", "no factors"))


def unsettled_program() -> ProgramArrays:
    """The first random program of which something is left."""
    programs = (random_program(np.random.default_rng(seed), most=12) for seed in range(100))
    return next(p for p in programs if reduce_program(p).left.n_columns > 4)


def test_no_way_is_begun_when_the_time_is_up(monkeypatch):
    monkeypatch.setattr(large_module, "SMALL", 0)
    program_ = unsettled_program()
    assert len(list(propose_answers(program_, SolverOptions(deadline=Deadline.after(60.0))))) >= 2
    monkeypatch.setattr(large_module, "solve_interior", _fail)
    assert list(propose_answers(program_, SolverOptions(deadline=Deadline.after(0.0)))) == []


@pytest.mark.parametrize("seed", rest_at_night(range(60), 15))
def test_the_closest_plan_is_the_same_when_it_is_reduced(seed, monkeypatch):
    whole = settled_program(seed)
    rng = np.random.default_rng(seed)
    reference = Reference(rng.uniform(0.1, 3.0, whole.n_columns), rng.normal(size=whole.n_columns))
    plain = closest_plan(whole, reference)
    monkeypatch.setattr(reduction_module, "LARGE", 0)
    reduced = closest_plan(whole, reference)
    assert reduced.x == pytest.approx(plain.x, rel=1e-9, abs=1e-9)
    posed = replace(whole, cost=np.zeros(whole.n_columns), offset=0.0)
    assert verify_quadratic(posed, reference.weight, reference.centre, reduced.x, reduced.row_dual).passed


@pytest.mark.parametrize("small", [0, 2_000])
@pytest.mark.parametrize("seed", rest_at_night(range(12), 5))
def test_scenarios_have_the_same_plan_when_they_count_as_large(seed, small, monkeypatch):
    program_ = build_cascade(build_graph(random_scenario(seed))).program
    plain = solve_steps(program_, SolverOptions())
    monkeypatch.setattr(reduction_module, "LARGE", 0)
    monkeypatch.setattr(large_module, "SMALL", small)
    large = solve_steps(program_, SolverOptions())
    assert [s.value for s in large.steps] == pytest.approx([s.value for s in plain.steps], rel=1e-9, abs=1e-9)
    decided = program_.reference.weight > 0
    assert large.x[decided] == pytest.approx(plain.x[decided], rel=1e-9, abs=1e-8)
