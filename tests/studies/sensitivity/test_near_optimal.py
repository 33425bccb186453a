"""Nearly as good plans: ranges against other programs, and every alternative checked against its promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from kpiopt.errors import UsageError
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Budget, Goal
from kpiopt.studies.family import PlanFamily, Planned
from kpiopt.studies.sensitivity.near_optimal import Alternatives, find_alternatives
from tests.builders import Cell, build_kpi, build_scenario, build_units

SCENARIOS = Path(__file__).parents[3] / "scenarios"


def two_sellers(budget: float = 1000.0) -> Planned:
    """Goal 220 from 2 x 100: 20 more, at a pay of 1 a unit by a, 2 by b; fairness would settle it, cost may give."""
    units = build_units({"co": None, "a": "co", "b": "co"})
    rows = [Cell("a", "sales", 100.0, 50.0, pay_rate=1.0), Cell("b", "sales", 100.0, 50.0, pay_rate=2.0)]
    scenario = build_scenario(
        units, [build_kpi("sales")], rows, goals=[Goal("sales", "sales", 0, 220.0)],
        budgets=[Budget("pay", "pay", budget, 0)],
    )  # fmt: skip
    return PlanFamily(replace(scenario, decide=replace(scenario.decide, order=("goals", "cost", "reference")))).base


def test_without_slack_the_cheapest_plan_is_the_only_one() -> None:
    found = find_alternatives(two_sellers(), 0.0)
    assert {r.name: (r.low, r.high) for r in found.ranges} == {
        "a/sales": pytest.approx((120.0, 120.0), abs=1e-6),
        "b/sales": pytest.approx((100.0, 100.0), abs=1e-6),
    }
    assert found.distance == pytest.approx(0.0, abs=1e-8)


def test_ten_percent_more_money_moves_two_units_of_sales() -> None:
    """Cost 20 may become 22: b sells y for 2 y, a 20 - y, so y goes to 2; or a sells 2 more than the goal asks."""
    found = find_alternatives(two_sellers(), 0.1)
    assert {r.name: (r.low, r.high) for r in found.ranges} == {
        "a/sales": pytest.approx((118.0, 122.0), abs=1e-6),
        "b/sales": pytest.approx((100.0, 102.0), abs=1e-6),
    }
    assert found.steps == (("goals 1", 0.0, 0.0), ("cost", pytest.approx(20.0), pytest.approx(22.0)))
    targets = dict(zip(("a", "b"), found.different.target[found.different.graph.cell_node], strict=True))
    assert targets == pytest.approx({"a": 118.0, "b": 102.0}, abs=1e-6)
    assert found.distance == pytest.approx((2.0 + 2.0) / 100.0 / 2.0, abs=1e-8)


def ends_by_another_solver(planned: Planned, slack: float) -> dict[str, tuple[float, float]]:
    """Least and largest stretch of each cell, by SciPy from the program's own arrays."""
    program = planned.cascade.program
    arrays = program.arrays()
    rows, sides = [arrays.matrix.toarray(), -arrays.matrix.toarray()], [arrays.row_upper, -arrays.row_lower]
    for objective, step in zip(program.objectives, planned.solution.steps, strict=False):
        rows.append(objective.cost[None, :])
        sides.append(np.array([step.value + slack * abs(step.value) - objective.offset + 1e-9]))
    matrix, side = np.vstack(rows), np.concatenate(sides)
    keep = np.isfinite(side)
    bounds = np.stack([arrays.column_lower, arrays.column_upper], axis=1)
    found = {}
    stretch = planned.cascade.columns.stretch
    for i, column in enumerate(stretch.positions.tolist()):
        cost = np.eye(program.n_columns)[column]
        ends = [linprog(s * cost, matrix[keep], side[keep], bounds=bounds).fun * s for s in (1.0, -1.0)]
        found[stretch.label(i)] = (ends[0], ends[1])
    return found


def test_ranges_are_those_of_another_solver() -> None:
    """Complaints and visits have no causes of their own, so their targets are baseline and stretch."""
    planned = PlanFamily(load_scenario(SCENARIOS / "hand-solved.toml")).base
    expected = ends_by_another_solver(planned, 0.02)
    baseline = {"ann/visits": 300.0, "bob/visits": 200.0, "ann/complaints": 30.0, "bob/complaints": 20.0}
    found = {r.name: (r.low, r.high) for r in find_alternatives(planned, 0.02).ranges}
    for name, start in baseline.items():
        sign = -1.0 if name.endswith("complaints") else 1.0
        ends = sorted(start + sign * value for value in expected[name])
        assert found[name] == pytest.approx(ends, abs=1e-4)


@pytest.mark.parametrize("name", ["adventureworks-base", "scorecard"])
def test_the_different_plan_keeps_its_promise(name: str) -> None:
    planned = PlanFamily(load_scenario(SCENARIOS / f"{name}.toml")).base
    found = find_alternatives(planned, 0.02)
    assert found.distance > 0.0
    check_promise(planned, found)


def check_promise(planned: Planned, found: Alternatives) -> None:
    """The different plan stays within every range, and funds whole initiatives in whole numbers."""
    ranges = {r.name: r for r in found.ranges}
    columns, plan = planned.cascade.columns, found.different
    for i, cell in enumerate(columns.stretch_cell.tolist()):
        asked, entry = float(plan.asked[plan.graph.cell_node[cell]]), ranges[columns.stretch.label(i)]
        room = 1e-5 * max(1.0, abs(asked))
        assert entry.low - room <= asked <= entry.high + room
        assert entry.low - room <= entry.now <= entry.high + room
    whole = columns.level.integer
    assert plan.levels[whole] == pytest.approx(np.rint(plan.levels[whole]))


def test_a_negative_slack_is_refused() -> None:
    with pytest.raises(UsageError, match="means nothing"):
        find_alternatives(two_sellers(), -0.1)
