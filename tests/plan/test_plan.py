"""The plan: what is expected, what is asked, and the table that planners read."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from kpiopt.graph import build_graph
from kpiopt.plan import Plan, build_plan
from kpiopt.scenario.scenario import Scenario
from tests.builders import Cause, Cell, build_initiative, build_kpi, build_scenario, build_units

COLUMNS = [
    "unit", "kpi", "period", "baseline", "plan", "target", "stretch", "min_stretch", "max_stretch", "reference",
    "binding", "odds", "odds_low", "odds_high", "lock_reason", "lock_owner",
    "unassigned", "unassigned_target", "over_assignment",
]  # fmt: skip


def service_company() -> Scenario:
    """Two teams of people; complaints go down and drive satisfaction, satisfaction drives sales at the company."""
    units = build_units({"co": None, "north": "co", "south": "co", "ann": "north", "bob": "north", "cat": "south"})
    kpis = [
        build_kpi("sales", step=10.0),
        build_kpi("complaints", sign=-1, step=1.0),
        build_kpi("satisfaction", roll_up="none", baseline=7.0),
    ]
    rows = [
        Cell("ann", "sales", 100.0, 30.0, execution=1),
        Cell("bob", "sales", 200.0, 40.0, low=5.0, execution=1, reference=215.0),
        Cell("cat", "sales", 300.0),
        Cell("ann", "complaints", 12.0, 6.0),
        Cell("cat", "complaints", 20.0, 9.0, lock=4.0),
    ]
    return build_scenario(
        units,
        kpis,
        rows,
        causes={
            "satisfaction": [Cause("complaints", -0.05), Cause("market", 0.5)],
            "sales": [Cause("satisfaction", 20.0)],
        },
        factors={"market": 0.2},
        initiatives=[build_initiative("coaching", [1, 5], effects={"complaints": -0.5})],
        execution=(1.0, 0.8),
    )


@pytest.fixture
def plan() -> Plan:
    # sales of ann, complaints of ann, sales of bob, sales of cat, complaints of cat
    return build_plan(build_graph(service_company()), np.array([30.0, 2.0, 5.0, 0.0, 4.0]), np.array([2.0, 1.0]))


def value(plan: Plan, column: str, unit: str, kpi: str) -> object:
    row = plan.targets.filter((pl.col("unit") == unit) & (pl.col("kpi") == kpi))
    assert len(row) == 1
    return row[column].item()


def test_plan_values_and_targets_by_hand(plan: Plan) -> None:
    graph = plan.graph
    # complaints: ann 12 - 2, cat 20 - 4, coaching -1 at north and -0.5 at south
    assert plan.expected[graph.find_node("complaints")] == pytest.approx(32 - 2 - 4 - 1 - 0.5)
    satisfaction = 7.0 + 0.05 * 7.5 + 0.5 * 0.2
    assert plan.expected[graph.find_node("satisfaction")] == pytest.approx(satisfaction)
    caused = 20 * (satisfaction - 7.0)
    assert plan.expected[graph.find_node("sales")] == pytest.approx(600 + 0.8 * 35 + caused)
    assert plan.asked[graph.find_node("sales")] == pytest.approx(600 + 35 + caused)
    assert value(plan, "plan", "north", "sales") == pytest.approx(300 + 0.8 * 35)
    assert plan.asked[graph.find_node("sales", "north")] == pytest.approx(335)


def test_rounded_targets_by_hand(plan: Plan) -> None:
    # asked 644.5 -> 640. Bob's 205 may not go below 205, so north takes 340 of it and the company's own 9.5 none
    assert value(plan, "target", "co", "sales") == 640.0
    assert value(plan, "target", "north", "sales") == 340.0
    assert value(plan, "target", "south", "sales") == 300.0
    assert value(plan, "target", "ann", "sales") == 130.0
    assert value(plan, "target", "bob", "sales") == 210.0
    assert value(plan, "target", "co", "satisfaction") == plan.asked[plan.graph.find_node("satisfaction")]


def test_table_has_the_documented_columns_in_order(plan: Plan) -> None:
    table = plan.targets
    assert table.columns == COLUMNS
    text = {"unit", "kpi", "period", "binding", "lock_reason", "lock_owner"}
    assert table.dtypes == [pl.String if name in text else pl.Float64 for name in COLUMNS]
    assert table.select("unit", "kpi").rows() == [
        ("co", "sales"), ("co", "complaints"), ("co", "satisfaction"),
        ("north", "sales"), ("north", "complaints"),
        ("ann", "sales"), ("ann", "complaints"), ("bob", "sales"),
        ("south", "sales"), ("south", "complaints"), ("cat", "sales"), ("cat", "complaints"),
    ]  # fmt: skip


def test_table_says_nothing_where_there_is_nothing_to_say(plan: Plan) -> None:
    table = plan.targets
    assert table["period"].null_count() == len(table)
    assert table["odds"].null_count() == len(table)
    assert [value(plan, c, "north", "sales") for c in ("stretch", "min_stretch", "max_stretch")] == [None] * 3
    assert value(plan, "stretch", "cat", "sales") == 0.0
    assert value(plan, "max_stretch", "cat", "sales") is None
    assert value(plan, "reference", "bob", "sales") == 215.0
    assert value(plan, "reference", "ann", "sales") is None
    assert not any(table[c].is_nan().any() for c in ("baseline", "plan", "target", "stretch", "reference"))


def test_binding_names_what_stops_a_cell(plan: Plan) -> None:
    assert value(plan, "binding", "ann", "sales") == "max_stretch"
    assert value(plan, "binding", "bob", "sales") == "min_stretch"
    assert value(plan, "binding", "cat", "complaints") == "lock"
    assert value(plan, "binding", "ann", "complaints") == ""
    assert value(plan, "binding", "cat", "sales") == ""
    assert value(plan, "binding", "co", "sales") == ""


def test_findings_of_the_caller_appear_in_the_table(plan: Plan) -> None:
    limits = np.array(["capacity.hours@ann", "capacity.hours@ann", "", "", ""], dtype=object)
    odds = np.linspace(0.1, 0.9, 3 * plan.graph.n_nodes).reshape(3, -1)
    told = plan.annotate(binding_limits=limits).annotate(odds=odds)
    assert value(told, "binding", "ann", "sales") == "max_stretch; capacity.hours@ann"
    assert value(told, "binding", "ann", "complaints") == "capacity.hours@ann"
    assert value(told, "binding", "bob", "sales") == "min_stretch"
    assert value(told, "odds", "cat", "sales") == odds[0, plan.graph.find_node("sales", "cat")]
    assert value(told, "odds_high", "cat", "sales") == odds[2, plan.graph.find_node("sales", "cat")]
    assert value(plan, "binding", "ann", "complaints") == ""


def test_rounded_stretch_is_what_targets_ask(plan: Plan) -> None:
    # bob is asked 210 - 200; ann's 130, complaints of ann 10 and of cat 16 stand on the grid
    assert plan.rounded_stretch.tolist() == pytest.approx([30.0, 2.0, 10.0, 0.0, 4.0])


def test_plan_shows_itself(plan: Plan) -> None:
    assert repr(plan) == "Plan('test': 12 targets, 4 cells stretched)"
