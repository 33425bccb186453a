"""What the objectives leave open: ranges against SciPy, free columns against ranges, targets against the graph."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.ranges import find_free, find_ranges
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.solver.session import Session
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Decide, Goal
from kpiopt.studies.sensitivity.near_optimal import target_coefficients
from tests.builders import Cell, build_kpi, build_scenario, build_units, random_scenario
from tests.nights import rest_at_night
from tests.program.random_programs import program, random_program


def target_ranges(cascade, solution, nodes=None):
    """Least and largest target of some nodes among all plans that are as good in every step."""
    graph, columns = cascade.graph, cascade.columns
    chosen = columns.stretch_node if nodes is None else np.asarray(nodes, dtype=np.int64)
    rows = [target_coefficients(cascade, node) for node in chosen.tolist()]
    functions = sp.csr_array(np.array(rows).reshape(len(rows), cascade.program.n_columns))
    low, high = find_ranges(solution.faces[-1], functions)
    nothing = graph.asked_change(np.zeros(len(graph.scenario.cells)), np.zeros(graph.n_levels))
    start = (graph.baseline + nothing)[chosen]
    return SimpleNamespace(low=start + low, high=start + high)


def scipy_range(arrays, cost):
    """Minimum and maximum by another solver's interface."""
    a, equal = arrays.matrix.toarray(), arrays.row_lower == arrays.row_upper
    upper, lower = np.isfinite(arrays.row_upper) & ~equal, np.isfinite(arrays.row_lower) & ~equal
    rows, sides = np.vstack([a[upper], -a[lower]]), np.concatenate([arrays.row_upper[upper], -arrays.row_lower[lower]])
    box = list(zip(arrays.column_lower, arrays.column_upper, strict=True))
    ends = [
        linprog(s * cost, rows, sides, a[equal], arrays.row_upper[equal], box, method="highs-ds").fun for s in (1, -1)
    ]
    return ends[0], -ends[1]


@pytest.mark.parametrize("seed", rest_at_night(range(30), 10))
def test_ranges_and_freedom_of_random_faces(seed):
    """Rounded data, duplicate rows and redundant limits, so that many sides hold with equality without saying so."""
    rng = np.random.default_rng(seed)
    arrays = random_program(rng, most=6)
    n, inside = arrays.n_columns, np.rint(arrays.column_lower + rng.random(arrays.n_columns))
    matrix = np.rint(arrays.matrix.toarray() * 2)
    matrix = np.vstack([matrix, matrix[:1], matrix.sum(axis=0, keepdims=True)])
    value = matrix @ inside
    tight = rng.random(len(value)) < 0.6
    low = np.where(rng.random(len(value)) < 0.5, value - np.where(tight, 0.0, 2.0), -np.inf)
    high = np.where(rng.random(len(value)) < 0.5, value + np.where(tight, 0.0, 2.0), np.inf)
    face = replace(
        arrays,
        cost=np.zeros(n),
        offset=0.0,
        matrix=sp.csr_array(matrix),
        row_lower=low,
        row_upper=high,
        column_lower=inside - np.rint(rng.random(n)),
        column_upper=inside + np.rint(rng.random(n)),
    )
    found = find_ranges(face, sp.csr_array(np.eye(n)))
    expected = np.array([scipy_range(face, unit) for unit in np.eye(n)]).T
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert find_free(face).tolist() == (expected[1] - expected[0] > 1e-7).tolist()


def test_a_column_tied_to_a_fixed_one_is_not_free():
    """x + y = 2 and x - y >= 0 and x - y <= 0: both are 1, though no box says so."""
    face = program([[1.0, 1.0], [1.0, -1.0], [1.0, -1.0]], 0.0, (0.0, 5.0), ([2.0, 0.0, -np.inf], [2.0, np.inf, 0.0]))
    assert find_free(face).tolist() == [False, False]
    face = replace(face, row_upper=np.array([2.0, np.inf, 1.0]))
    assert find_free(face).tolist() == [True, True]


def test_without_columns_nothing_is_free():
    face = program(np.zeros((1, 0)), 0.0)
    assert find_free(face).tolist() == []


def solved(scenario):
    cascade = build_cascade(build_graph(scenario))
    return cascade, solve_program(cascade.program, SolverOptions())


def test_two_who_could_share_differently():
    """20 more deals from Ann (at most 15) and Bob (at most 12): Ann from 8 to 15, Bob from 5 to 12, together 20."""
    units = build_units({"co": None, "ann": "co", "bob": "co"})
    rows = [Cell("ann", "deals", 100.0, high=15.0), Cell("bob", "deals", 50.0, high=12.0)]
    scenario = build_scenario(
        units,
        [build_kpi("deals")],
        rows,
        goals=[Goal("deals", "deals", 0, 170.0)],
        decide=Decide(order=("goals", "cost", "reference")),
    )
    with_price = replace(
        scenario, cells=replace(scenario.cells, pay_rate=np.array([2.0, 2.0]))
    )  # the same pay for all, so that no more than 20 are asked
    cascade, solution = solved(with_price)
    nodes = [cascade.graph.find_node("deals", unit) for unit in ("ann", "bob", "co")]
    ranges = target_ranges(cascade, solution, np.array(nodes))
    np.testing.assert_allclose(ranges.low, [108.0, 55.0, 170.0], atol=1e-9)
    np.testing.assert_allclose(ranges.high, [115.0, 62.0, 170.0], atol=1e-9)
    assert solution.free[cascade.columns.stretch.positions].tolist() == [True, True]


@pytest.mark.parametrize("seed", range(8))
def test_targets_of_every_equally_good_plan_lie_in_their_ranges(seed):
    """The plan's and those of ten vertices of the face, by the graph's own reckoning from the decisions."""
    scenario = random_scenario(seed, n_units=7)
    goals = {"first": Goal("first", scenario.kpi_ids[0], 0, 1e4)}
    scenario = replace(scenario, goals=goals, decide=Decide(order=("goals", "reference")))
    cascade, solution = solved(scenario)
    graph, columns = cascade.graph, cascade.columns
    nodes = np.arange(graph.n_nodes)[graph.kind == 0][-6:]
    ranges = target_ranges(cascade, solution, nodes)
    face = solution.faces[-1]

    def targets(x):
        return (graph.baseline + graph.asked_change(columns.stretch_of_cells(x), columns.level.of(x)))[nodes]

    plan = targets(solution.x)
    size = np.maximum(1.0, np.abs(plan))
    assert np.all(plan >= ranges.low - 1e-8 * size)
    assert np.all(plan <= ranges.high + 1e-8 * size)
    rng = np.random.default_rng(seed)
    for _ in range(10):
        vertex = Session(replace(face, cost=rng.standard_normal(face.n_columns), offset=0.0)).solve().x
        assert np.all(targets(vertex) >= ranges.low - 1e-7 * size)
        assert np.all(targets(vertex) <= ranges.high + 1e-7 * size)


def test_nothing_is_left_to_choose_in_the_hand_solved_plan():
    """The file says so: everybody is at the largest relative stretch of the group."""
    cascade, solution = solved(load_scenario("scenarios/hand-solved.toml"))
    assert not solution.free[cascade.columns.stretch.positions].any()
    ranges = target_ranges(cascade, solution)
    np.testing.assert_allclose(ranges.high, ranges.low, rtol=1e-9)
