"""One plan: the same targets whatever the order of columns and rows, the seed, presolve, and the method."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from kpiopt.graph import NodeKind, build_graph
from kpiopt.plan import build_plan
from kpiopt.program.formulation.blocks import Columns, LinearProgram, Reference, Rows, Terms
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.scenario.load import load_scenario
from tests.nights import rest_at_night

SCENARIOS = [
    ("adventureworks-base", None), ("hand-solved", None), ("scorecard", None), ("adventureworks-stretched", None),
    ("adventureworks-base", "lean"),
]  # fmt: skip
CORNERS = [(False, "simplex"), (True, "ipm"), (True, "simplex"), (False, "ipm")]
EXACT = 1e-9


def permuted(program: LinearProgram, rng: np.random.Generator) -> tuple[LinearProgram, np.ndarray]:
    """The same program with its columns and rows in another order; also where each new column stood."""
    arrays, old = program.arrays(), rng.permutation(program.n_columns)
    rows = rng.permutation(program.n_rows)
    names = [program.column_name(j) for j in range(program.n_columns)]
    columns = Columns(
        "x", 0, arrays.column_lower[old], arrays.column_upper[old], arrays.integer[old], lambda i: names[old[i]]
    )
    matrix = sp.coo_array(arrays.matrix[rows][:, old])
    terms = Terms(columns, matrix.row.astype(np.int64), matrix.col.astype(np.int64), matrix.data)
    block = Rows("row", 0, arrays.row_lower[rows], arrays.row_upper[rows], (terms,), str)
    objectives = tuple(replace(o, cost=o.cost[old]) for o in program.objectives)
    reference = program.reference and Reference(program.reference.weight[old], program.reference.centre[old])
    return LinearProgram(program.name, (columns,), (block,), objectives, reference), old


class Plans:
    """All distinct plans that a scenario was given."""

    def __init__(self, name, variant):
        self.graph = build_graph(load_scenario(f"scenarios/{name}.toml", variant=variant))
        self.cascade = build_cascade(self.graph)
        self.decisions = np.flatnonzero(self.cascade.program.reference.weight > 0.0)
        self.first = solve_program(self.cascade.program, SolverOptions())
        self.targets = {self.rounded(self.first.x)}
        self.free = {self.first.free.tobytes()}

    def rounded(self, x):
        """The targets of KPIs that have a rounding step; others are compared unrounded."""
        columns = self.cascade.columns
        plan = build_plan(self.graph, columns.stretch_of_cells(x), columns.level.of(x))
        stepped = (self.graph.kind == NodeKind.KPI) & (self.graph.scenario.kpi_step[self.graph.kpi] > 0.0)
        return plan.target[stepped].tobytes()

    def add(self, order, options):
        """Solve in a random order of columns and rows; the unrounded plan must be the first one."""
        program, old = permuted(self.cascade.program, np.random.default_rng(order))
        solution = solve_program(program, options)
        x, free = np.empty(len(old)), np.empty(len(old), dtype=bool)
        x[old], free[old] = solution.x, solution.free
        at, ours = self.decisions, self.first.x[self.decisions]
        assert np.all(np.abs(x[at] - ours) <= EXACT * np.maximum(1.0, np.abs(ours))), (order, options)
        self.targets.add(self.rounded(x))
        self.free.add(free.tobytes())


def options_of(seed, presolve, method):
    return SolverOptions(random_seed=seed, presolve=presolve, method=method)


@pytest.mark.parametrize(("name", "variant"), rest_at_night(SCENARIOS, 3))
def test_one_plan_in_a_sample_of_orders_seeds_presolve_and_methods(name, variant):
    plans = Plans(name, variant)
    for k, (presolve, method) in enumerate(CORNERS[:2]):
        plans.add(order=k, options=options_of(7 * k, presolve=presolve, method=method))
    assert len(plans.targets) == 1
    assert len(plans.free) == 1


@pytest.mark.nightly
@pytest.mark.parametrize("method", ["simplex", "ipm"])
@pytest.mark.parametrize("presolve", [True, False])
@pytest.mark.parametrize(("name", "variant"), SCENARIOS)
def test_one_plan_over_all_orders_and_seeds(name, variant, presolve, method):
    plans = Plans(name, variant)
    for order in range(50):
        for seed in range(50):
            plans.add(order, options_of(seed, presolve, method))
    assert len(plans.targets) == 1
    assert len(plans.free) == 1


@pytest.mark.parametrize("name", rest_at_night(["adventureworks-base", "scorecard"], 1))
def test_one_plan_whatever_the_number_of_threads(name):
    plans = Plans(name, None)
    plans.add(order=0, options=SolverOptions(threads=2))
    plans.add(order=0, options=SolverOptions(threads=1))
    assert len(plans.targets) == 1
