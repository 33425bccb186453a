"""A bridge adds up, whatever differs between two plans, and names what a planner would name."""

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.plan import build_plan
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Goal
from kpiopt.studies.comparison.bridge import build_bridge, groups_below
from tests.builders import (
    Cause,
    Cell,
    build_initiative,
    build_kpi,
    build_scenario,
    build_units,
    random_decisions,
    random_scenario,
)
from tests.nights import rest_at_night


def plan_of(scenario, seed):
    graph = build_graph(scenario)
    return build_plan(graph, *random_decisions(scenario, seed, graph.n_levels))


def changed(scenario, rng):
    """Another scenario: other baselines, execution, contributions and factor; sometimes no initiative."""
    cells = replace(scenario.cells, baseline=scenario.cells.baseline * rng.uniform(0.9, 1.1, len(scenario.cells)))
    kpis = {
        key: replace(
            kpi,
            drivers=tuple(
                replace(d, contribution=Quantity.number(d.contribution.mean * rng.uniform(0.5, 1.5)))
                for d in kpi.drivers
            ),
        )
        for key, kpi in scenario.kpis.items()
    }
    execution = tuple(Quantity.number(q.mean * rng.uniform(0.8, 1.0)) for q in scenario.uncertainty.execution)
    factors = {k: replace(f, value=Quantity.number(f.value.mean + rng.normal())) for k, f in scenario.factors.items()}
    return replace(
        scenario,
        cells=cells,
        kpis=kpis,
        factors=factors,
        uncertainty=replace(scenario.uncertainty, execution=execution),
        initiatives={} if rng.uniform() < 0.3 else scenario.initiatives,
    )


@pytest.mark.parametrize("seed", rest_at_night(range(40), 12))
def test_parts_add_up_to_the_change_of_the_plan_value(seed):
    rng = np.random.default_rng(seed)
    scenario = random_scenario(seed)
    first, second = plan_of(scenario, seed), plan_of(changed(scenario, rng), seed + 1)
    found = 0
    for kpi in scenario.kpis:
        for unit in (scenario.units.ids[0], scenario.units.ids[-1]):
            bridge = build_bridge(kpi, unit, first, second)
            if bridge is None:
                continue
            found += 1
            size = max(1.0, abs(bridge.first), abs(bridge.second), *(abs(p.amount) for p in bridge.parts))
            assert sum(p.amount for p in bridge.parts) == pytest.approx(bridge.second - bridge.first, abs=1e-11 * size)
            node = second.graph.find_node(kpi, unit)
            assert bridge.second == second.expected[node]
    assert found


def test_equal_plans_have_an_empty_bridge():
    plan = plan_of(two_regions(), 1)
    assert build_bridge("sales", "co", plan, plan).parts == ()


def two_regions(**changes):
    """Company -> north (n1, n2), south; visits drive sales at the company."""
    units = build_units({"co": None, "north": "co", "n1": "north", "n2": "north", "south": "co"})
    rows = [Cell(u, k, 100.0, 50.0) for u in ("n1", "n2", "south") for k in ("sales", "visits")]
    initiative = build_initiative("training", [units.position["south"]], effects={"sales": 3.0}, uses={"cash": 1.0})
    settings = {"execution": (0.5,), "factors": {"market": 2.0}, "visit": 4.0, **changes}
    return build_scenario(
        units,
        [build_kpi("visits"), build_kpi("sales")],
        rows,
        causes={"sales": [Cause("visits", settings["visit"]), Cause("market", 10.0)]},
        factors=settings["factors"],
        initiatives=[initiative],
        execution=settings["execution"],
        goals=[Goal("sales", "sales", 0, 500.0)],
    )


def amounts(first, second):
    plans = []
    for scenario, stretch, level in (first, second):
        graph = build_graph(scenario)
        plans.append(build_plan(graph, np.array(stretch, float), np.array([level])))
    return {(p.kind, p.unit, p.about): p.amount for p in build_bridge("sales", "co", *plans).parts}


# Cells stand in the order of units (n1, n2, south), visits before sales.
def test_stretch_is_grouped_by_the_unit_below_the_goals():
    base = two_regions()
    found = amounts((base, [0] * 6, 0.0), (base, [1, 10, 2, 20, 3, 30], 2.0))
    assert found == pytest.approx(
        {
            ("stretch", "north", "sales"): 0.5 * (10 + 20),
            ("stretch", "north", "visits"): 4.0 * 0.5 * (1 + 2),
            ("stretch", "south", "sales"): 0.5 * 30,
            ("stretch", "south", "visits"): 4.0 * 0.5 * 3,
            ("initiative", None, "training"): 3.0 * 2.0,
        }
    )


def test_a_stronger_driver_moves_links_and_leaves_stretch_alone():
    stretch = [1, 10, 2, 20, 3, 30]
    found = amounts((two_regions(), stretch, 1.0), (two_regions(visit=6.0), stretch, 1.0))
    assert found == pytest.approx({("links", None, None): 2.0 * 0.5 * (1 + 2 + 3)})


def test_better_execution_and_a_better_market_are_told_apart():
    stretch = [0, 10, 0, 20, 0, 30]
    second = two_regions(execution=(0.75,), factors={"market": 5.0})
    found = amounts((two_regions(), stretch, 0.0), (second, stretch, 0.0))
    assert found == pytest.approx({("execution", None, None): 0.25 * 60, ("factor", None, "market"): 10.0 * 3.0})


def test_units_belong_to_the_branch_they_leave_the_spine_by():
    units = two_regions().units
    name = units.ids
    seen = {unit: [name[g] for g in groups_below(units, units.position[unit])] for unit in ("co", "north")}
    assert dict(zip(name, seen["co"], strict=True)) == {
        "co": "co", "north": "north", "n1": "north", "n2": "north", "south": "south",
    }  # fmt: skip
    assert dict(zip(name, seen["north"], strict=True)) == {
        "co": "co", "north": "north", "n1": "n1", "n2": "n2", "south": "south",
    }  # fmt: skip


def test_a_place_that_one_plan_does_not_have_has_no_bridge():
    plan = plan_of(two_regions(), 0)
    assert build_bridge("sales", "west", plan, plan) is None
    assert build_bridge("margin", "co", plan, plan) is None


def test_stretch_of_a_kpi_whose_direction_turned_leaves_and_comes_as_a_whole():
    units = build_units({"co": None, "a": "co"})
    plans = []
    for sign, stretch in ((1, 4.0), (-1, 3.0)):
        scenario = build_scenario(units, [build_kpi("x", sign=sign)], [Cell("a", "x", 100, 10)])
        plans.append(build_plan(build_graph(scenario), np.array([stretch]), np.zeros(0)))
    bridge = build_bridge("x", "co", *plans)
    assert (bridge.first, bridge.second) == (104.0, 97.0)
    assert [(part.kind, part.unit, part.amount) for part in bridge.parts] == [("stretch", "a", -7.0)]
