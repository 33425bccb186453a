"""Limits that nearly coincide with the ends of ranges: the plan is found, and is the one worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.scenario.load import load_scenario

HAND_SOLVED = load_scenario(Path(__file__).parents[3] / "scenarios" / "hand-solved.toml")


@pytest.mark.parametrize("short", [10.0**-k for k in range(10)])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_pay_budget_a_hair_from_the_most_that_sales_can_use(short: float, side: float) -> None:
    """600 USD pay for all the sales stretch there is. With a little less, sales and visits share the gap."""
    limit = 600.0 + side * short
    scenario = replace(HAND_SOLVED, budgets={"pay": replace(HAND_SOLVED.budgets["pay"], limit=limit)})
    cascade = build_cascade(build_graph(scenario))
    solution = solve_program(cascade.program, SolverOptions())
    sales = min(limit, 600.0) / 0.1
    visits = (7_750.0 - sales) / 100.0
    stretch = dict(
        zip(map(cascade.columns.stretch.label, range(6)), cascade.columns.stretch.of(solution.x), strict=True)
    )
    assert stretch == pytest.approx(
        {
            "ann/sales": 0.6 * sales, "bob/sales": 0.4 * sales, "ann/visits": 0.6 * visits,
            "bob/visits": 0.4 * visits, "ann/complaints": 3.0, "bob/complaints": 2.0,
        },
        rel=1e-9,
    )  # fmt: skip
