"""The plan closest to the reference, against least-distance programming by non-negative least squares."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog, nnls

from kpiopt.graph import build_graph
from kpiopt.program.formulation.blocks import Reference
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.ties import closest_plan
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.program.trust.certificate import verify_quadratic
from kpiopt.scenario.scenario import Decide, Goal
from tests.builders import Cell, build_kpi, build_scenario, build_units
from tests.nights import rest_at_night
from tests.program.random_programs import program


def least_distance(arrays, weight, centre):
    """Minimise sum weight (x - centre)^2 over G x >= h (Lawson & Hanson 1974, chapter 23, algorithm LDP).

    With y = sqrt(weight) (x - centre) that is the shortest y with G y >= h, and the residual of the non-negative least
    squares problem [G'; h'] u = (0, …, 0, 1) is proportional to it.
    """
    a, eye = arrays.matrix.toarray(), np.eye(arrays.n_columns)
    sides = [(a, arrays.row_lower, 1.0), (a, arrays.row_upper, -1.0)]
    sides += [(eye, arrays.column_lower, 1.0), (eye, arrays.column_upper, -1.0)]
    g = np.vstack([sign * m[np.isfinite(side)] for m, side, sign in sides])
    h = np.concatenate([sign * side[np.isfinite(side)] for _, side, sign in sides]) - g @ centre
    g = g / np.sqrt(weight)
    matrix = np.vstack([g.T, h])
    goal = np.zeros(len(matrix))
    goal[-1] = 1.0
    u, _ = nnls(matrix, goal, maxiter=10_000)
    residual = matrix @ u - goal
    return centre - residual[:-1] / residual[-1] / np.sqrt(weight)


def degenerate(rng):
    """A face in round numbers, with sides that meet in one point, twins, sums of rows, and boxes without width."""
    n, m = int(rng.integers(2, 8)), int(rng.integers(1, 6))
    inside = rng.integers(-2, 3, n).astype(float)
    matrix = rng.integers(-2, 3, (m, n)).astype(float)
    matrix = np.vstack([matrix, matrix[0], 2.0 * matrix[-1], matrix.sum(axis=0)])
    value = matrix @ inside
    room = rng.integers(0, 3, (2, len(value))).astype(float)
    lower = np.where(rng.random(len(value)) < 0.6, value - room[0], -np.inf)
    upper = np.where(rng.random(len(value)) < 0.6, value + room[1], np.inf)
    box = rng.integers(0, 3, (2, n)).astype(float)
    zeros = np.zeros(n)
    return ProgramArrays(
        zeros, 0.0, sp.csr_array(matrix), lower, upper, inside - box[0], inside + box[1], zeros.astype(bool)
    )


@pytest.mark.parametrize("seed", rest_at_night(range(300), 60))
def test_random_degenerate_faces(seed):
    rng = np.random.default_rng(seed)
    face = degenerate(rng)
    weight = 10.0 ** rng.uniform(-1, 1, face.n_columns)
    centre = rng.integers(-4, 5, face.n_columns) * float(rng.integers(0, 2))
    plan = closest_plan(face, Reference(weight, centre))
    np.testing.assert_allclose(plan.x, least_distance(face, weight, centre), atol=1e-8)
    assert verify_quadratic(face, weight, centre, plan.x, plan.row_dual).passed


@pytest.mark.parametrize("seed", rest_at_night(range(40), 12))
def test_determined_columns_and_very_different_sizes(seed):
    """Money beside counts: columns and rows scaled by up to a million, and a column that follows from the others."""
    rng = np.random.default_rng(1000 + seed)
    plain = degenerate(rng)
    n, m = plain.n_columns, plain.n_rows
    weight, centre = 10.0 ** rng.uniform(-1, 1, n), rng.normal(size=n)
    expected = least_distance(plain, weight, centre)
    size, rows = 10.0 ** rng.integers(-6, 7, n), 10.0 ** rng.integers(-3, 4, m)
    total = rng.integers(-2, 3, n).astype(float)
    matrix = sp.block_array(
        [[sp.diags_array(rows) @ plain.matrix @ sp.diags_array(1.0 / size), None], [-total[None, :] / size, [[1.0]]]]
    )
    reach = float(np.abs(total) @ np.maximum(np.abs(plain.column_lower), np.abs(plain.column_upper))) + 1.0
    face = ProgramArrays(
        np.zeros(n + 1),
        0.0,
        sp.csr_array(matrix),
        np.append(plain.row_lower * rows, 0.0),
        np.append(plain.row_upper * rows, 0.0),
        np.append(plain.column_lower * size, -reach),
        np.append(plain.column_upper * size, reach),
        np.zeros(n + 1, dtype=bool),
    )
    plan = closest_plan(face, Reference(np.append(weight / size**2, 0.0), np.append(centre * size, 0.0)))
    np.testing.assert_allclose(plan.x[:n] / size, expected, atol=1e-7)
    assert plan.x[n] == pytest.approx(float(total @ expected), abs=1e-7)


def test_a_face_that_is_one_point():
    face = program([[1.0, 1.0], [1.0, -1.0]], 0.0, (0.0, 10.0), ([4.0, 2.0], [4.0, 2.0]))
    plan = closest_plan(face, Reference(np.array([1.0, 5.0]), np.zeros(2)))
    np.testing.assert_allclose(plan.x, [3.0, 1.0], atol=1e-12)


def test_a_face_that_is_one_point_through_inequalities_alone():
    """x + y >= 4 with x <= 3 and y <= 1; each limit twice."""
    face = program([[1.0, 1.0], [2.0, 2.0], [1.0, 0.0]], 0.0, (0.0, [3.0, 1.0]), ([4.0, 8.0, 3.0], np.inf))
    plan = closest_plan(face, Reference(np.array([1.0, 5.0]), np.zeros(2)))
    np.testing.assert_allclose(plan.x, [3.0, 1.0], atol=1e-12)


def test_boxes_without_width():
    face = program([[1.0, 1.0, 1.0]], 0.0, ([0.0, 2.0, 0.0], [5.0, 2.0, 5.0]), (6.0, 6.0))
    plan = closest_plan(face, Reference(np.ones(3), np.zeros(3)))
    np.testing.assert_allclose(plan.x, [2.0, 2.0, 2.0], atol=1e-12)


def test_a_total_is_split_in_proportion():
    """Weights 1 / w make the split of a total proportional to w, whatever its size."""
    share = np.array([1e-3, 1.0, 20.0, 4e4])
    face = program([np.ones(4)], 0.0, (0.0, 1e6), (1e5, 1e5))
    plan = closest_plan(face, Reference(1.0 / share, np.zeros(4)))
    np.testing.assert_allclose(plan.x, 1e5 * share / share.sum(), rtol=1e-11)


def test_a_reference_that_lies_outside_is_met_as_nearly_as_the_limits_allow():
    """Ann was to have 130 and Bob 105; only 20 may be added: the nearest point gives up 7.5 of each."""
    units = build_units({"co": None, "ann": "co", "bob": "co"})
    rows = [Cell(u, "deals", 100.0, high=50.0, reference=r, pay_rate=1.0) for u, r in (("ann", 130.0), ("bob", 105.0))]
    scenario = build_scenario(
        units,
        [build_kpi("deals")],
        rows,
        goals=[Goal("deals", "deals", 0, 220.0)],
        decide=Decide(order=("goals", "cost", "reference")),
    )
    cascade = build_cascade(build_graph(scenario))
    solution = solve_program(cascade.program, SolverOptions())
    np.testing.assert_allclose(cascade.columns.stretch.of(solution.x), [20.0, 0.0], atol=1e-9)
    near = replace(scenario, cells=replace(scenario.cells, reference=np.array([118.0, 112.0])))
    cascade = build_cascade(build_graph(near))
    solution = solve_program(cascade.program, SolverOptions())
    np.testing.assert_allclose(cascade.columns.stretch.of(solution.x), [13.0, 7.0], atol=1e-9)


@pytest.mark.parametrize("seed", rest_at_night(range(20), 8))
def test_slack_gives_up_just_what_it_may(seed):
    """With slack on the first of two steps the second one's value is that of a program with a row for the first."""
    rng = np.random.default_rng(seed)
    units = build_units({"co": None, **{f"u{i}": "co" for i in range(4)}})
    rows = [
        Cell(f"u{i}", "deals", 100.0, high=float(rng.integers(5, 30)), pay_rate=float(rng.integers(1, 9)))
        for i in range(4)
    ]
    slack = float(rng.choice([0.05, 0.2, 0.5]))
    scenario = build_scenario(
        units,
        [build_kpi("deals")],
        rows,
        goals=[Goal("deals", "deals", 0, 400.0 + float(rng.integers(5, 60)), hard=False)],
        decide=Decide(order=("goals", "fairness", "cost", "reference"), slack={"fairness": slack}),
    )
    posed = build_cascade(build_graph(scenario)).program
    solution = solve_program(posed, SolverOptions())
    goals, fairness, cost = posed.objectives
    arrays = posed.arrays()
    a, equal = arrays.matrix.toarray(), arrays.row_lower == arrays.row_upper
    low, up = np.isfinite(arrays.row_lower) & ~equal, np.isfinite(arrays.row_upper) & ~equal

    def least(objective, kept):
        rows = np.vstack([a[up], -a[low], *(o.cost for o, _ in kept)])
        sides = np.concatenate([arrays.row_upper[up], -arrays.row_lower[low], [v - o.offset for o, v in kept]])
        box = list(zip(arrays.column_lower, arrays.column_upper, strict=True))
        found = linprog(objective.cost, rows, sides, a[equal], arrays.row_upper[equal], box, method="highs-ds")
        return found.fun + objective.offset

    first = least(goals, [])
    second = least(fairness, [(goals, first + 1e-9)])
    third = least(cost, [(goals, first + 1e-9), (fairness, second * (1.0 + slack) + 1e-9)])
    assert [s.value for s in solution.steps[:3]] == pytest.approx([first, second, third], rel=1e-5, abs=1e-6)
    assert fairness.cost @ solution.x <= second * (1.0 + slack) + 1e-9
