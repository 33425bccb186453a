"""The graph: golden edges, an independent recursion, published path models, and what must not matter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import ModelError
from kpiopt.graph import CausalGraph, EdgeKind, build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Floats, Scenario
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
from tests.graph.reference import Recursion
from tests.nights import rest_at_night

DATA = Path(__file__).parent.parent / "data"


def edges_as_text(graph: CausalGraph) -> list[str]:
    return sorted(
        f"{graph.node_name(t)} -> {graph.node_name(h)} {c:g} {EdgeKind(k).name.lower()}"
        for t, h, c, k in zip(
            graph.tail.tolist(), graph.head.tolist(), graph.coefficient, graph.edge_kind.tolist(), strict=True
        )
    )


def by_name(graph: CausalGraph, values: Floats) -> dict[str, float]:
    return {graph.node_name(n): float(v) for n, v in enumerate(values)}


def strategy_map(contributions: dict[tuple[str, str], float], kpis: list[str]) -> CausalGraph:
    """KPIs at the company only, with a baseline of 0 and cause -> effect contributions."""
    causes = {k: [Cause(cause, c) for (cause, effect), c in contributions.items() if effect == k] for k in kpis}
    built = [build_kpi(k, roll_up="none", baseline=0.0) for k in kpis]
    return build_graph(build_scenario(build_units({"co": None}), built, [], causes=causes))


def total_effects(graph: CausalGraph, cause: str) -> dict[str, float]:
    own = np.zeros(graph.n_nodes)
    own[graph.find_node(cause)] = 1.0
    total = graph.sweep(own)
    return {kpi: float(total[graph.find_node(kpi)]) for kpi in graph.scenario.kpis}


def shop(idle: tuple[tuple[str, str], ...] = ()) -> Scenario:
    """A company of two teams; `idle` adds units (with their parents) that sell nothing so far."""
    people = ["ann", "bob", "cat"]
    units = build_units(
        {"co": None, "north": "co", "south": "co", "ann": "north", "bob": "north", "cat": "south", **dict(idle)},
        sizes={"ann": 1.0, "bob": 3.0, "cat": 4.0},
        levels={"north": "team", "south": "team", **dict.fromkeys(people, "person")},
    )
    kpis = [build_kpi("sales"), build_kpi("quality", roll_up="mean"), build_kpi("brand", roll_up="none", baseline=50.0)]
    rows = [
        *(Cell(p, "sales", 100.0 * i, 50.0) for i, p in enumerate(people, start=1)),
        *(Cell(p, "quality", 1.0 * i, 2.0) for i, p in enumerate(people, start=5)),
        *(Cell(unit, "sales", 0.0, 10.0) for unit, _ in idle),
    ]
    course = [units.position["north"], units.position["ann"]]
    return build_scenario(
        units,
        kpis,
        rows,
        causes={
            "sales": [Cause("quality", 10.0, at="person"), Cause("brand", 4.0), Cause("market", 7.0, at="south")],
            "brand": [Cause("market", 0.5), Cause("quality", 3.0, lag=1)],
        },
        factors={"market": 2.0},
        initiatives=[build_initiative("course", course, effects={"quality": 0.5, "brand": 0.1})],
        execution=(0.5,),
    )


def test_edges_of_a_small_shop_are_exactly_these() -> None:
    assert edges_as_text(build_graph(shop())) == sorted(
        [
            "ann/sales -> north/sales 1 roll_up",
            "bob/sales -> north/sales 1 roll_up",
            "cat/sales -> south/sales 1 roll_up",
            "north/sales -> co/sales 1 roll_up",
            "south/sales -> co/sales 1 roll_up",
            "ann/quality -> north/quality 0.25 roll_up",
            "bob/quality -> north/quality 0.75 roll_up",
            "cat/quality -> south/quality 1 roll_up",
            "north/quality -> co/quality 0.5 roll_up",
            "south/quality -> co/quality 0.5 roll_up",
            "ann/quality -> ann/sales 10 cause",
            "bob/quality -> bob/sales 10 cause",
            "cat/quality -> cat/sales 10 cause",
            "co/brand -> co/sales 4 cause",
            "factor.market -> south/sales 7 factor",
            "factor.market -> co/brand 0.5 factor",
            # brand has no value at north and ann, so the course acts on the company's
            "initiative.course@north -> north/quality 0.5 initiative",
            "initiative.course@ann -> ann/quality 0.5 initiative",
            "initiative.course@north -> co/brand 0.1 initiative",
            "initiative.course@ann -> co/brand 0.1 initiative",
        ]
    )


def test_values_of_a_small_shop_by_hand() -> None:
    graph = build_graph(shop())
    cells = graph.scenario.cells
    stretch = np.where(cells.kpi == 0, 20.0, 1.0)
    levels = np.array([2.0, 4.0])
    expected = by_name(graph, graph.baseline + graph.expected_change(stretch, levels))
    asked = by_name(graph, graph.baseline + graph.asked_change(stretch, levels))
    assert expected["ann/quality"] == pytest.approx(5 + 0.5 + 2)
    assert expected["north/quality"] == pytest.approx(0.25 * 7.5 + 0.75 * 6.5 + 1)
    assert expected["co/brand"] == pytest.approx(50 + 1 + 0.6)
    assert expected["ann/sales"] == pytest.approx(100 + 10 + 25)
    assert asked["ann/sales"] == pytest.approx(100 + 20 + 25)
    assert asked["ann/quality"] == pytest.approx(5 + 1 + 2)
    assert expected["co/sales"] == pytest.approx(600 + 30 + 25 + 5 + 5 + 14 + 4 * 1.6)
    assert asked["co/sales"] == pytest.approx(600 + 60 + 25 + 5 + 5 + 14 + 4 * 1.6)


@pytest.mark.parametrize("seed", rest_at_night(range(150), 25))
def test_plan_values_and_targets_agree_with_the_recursion(seed: int) -> None:
    scenario = random_scenario(seed, n_units=1 + seed % 17)
    graph = build_graph(scenario)
    stretch, levels = random_decisions(scenario, seed, graph.n_levels)
    initiatives = list(scenario.initiatives)
    named = {
        (initiatives[i], scenario.units.ids[u]): float(a)
        for i, u, a in zip(graph.level_initiative, graph.level_unit, levels, strict=True)
    }
    truth = Recursion(scenario, stretch, named)
    pairs = [(u, k) for u in scenario.units.ids for k in scenario.kpis]
    nodes = {pair: graph.find_node(pair[1], pair[0]) for pair in pairs}
    assert {p for p, n in nodes.items() if n >= 0} == {p for p in pairs if truth.exists(*p)}
    expected, asked = graph.expected_change(stretch, levels), graph.asked_change(stretch, levels)
    for pair, node in nodes.items():
        if node >= 0:
            assert graph.baseline[node] == pytest.approx(truth.baseline(*pair), rel=1e-12, abs=1e-9)
            assert expected[node] == pytest.approx(truth.expected(*pair), rel=1e-10, abs=1e-9)
            assert asked[node] == pytest.approx(truth.asked(*pair), rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("seed", rest_at_night(range(60), 15))
def test_sweeps_are_the_dense_inverse(seed: int) -> None:
    graph = build_graph(random_scenario(seed, n_units=14))
    dense = np.zeros((graph.n_nodes, graph.n_nodes))
    np.add.at(dense, (graph.head, graph.tail), graph.coefficient)
    inverse = np.linalg.inv(np.eye(graph.n_nodes) - dense)
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(graph.n_nodes, 3))
    np.testing.assert_allclose(graph.sweep(own), inverse @ own, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(graph.sweep_back(own[:, 0]), own[:, 0] @ inverse, rtol=1e-9, atol=1e-9)
    assert np.all(graph.tail < graph.head)
    assert np.all(np.diff(graph.topological_level) >= 0)
    assert np.all(graph.topological_level[graph.tail] < graph.topological_level[graph.head])


@pytest.mark.parametrize("seed", rest_at_night(range(30), 10))
def test_mean_roll_up_is_the_ratio_of_sums_through_all_levels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(8)]
    teams = {p: str(rng.choice(["east", "west", "co"])) for p in people}
    units = build_units({"co": None, "east": "co", "west": "co", **teams})
    orders = dict(zip(people, rng.integers(1, 50, 8).tolist(), strict=True))
    sales = dict(zip(people, rng.uniform(10, 1000, 8).tolist(), strict=True))
    rows = [Cell(p, "order-value", sales[p] / orders[p], 5.0, size=orders[p]) for p in people]
    graph = build_graph(build_scenario(units, [build_kpi("order-value", roll_up="mean")], rows))
    value = by_name(graph, graph.baseline)
    assert value["co/order-value"] == pytest.approx(sum(sales.values()) / sum(orders.values()))
    for team in {"east", "west"} & set(teams.values()):
        mine = [p for p in people if teams[p] == team]
        assert value[f"{team}/order-value"] == pytest.approx(sum(sales[p] for p in mine) / sum(orders[p] for p in mine))


def test_published_path_model_of_customer_satisfaction() -> None:
    published = json.loads((DATA / "satisfaction_path_model.json").read_text(encoding="utf-8"))
    effects = {tuple(name.split("->")): e for name, e in published["effects"].items()}
    graph = strategy_map({pair: e["direct"] for pair, e in effects.items()}, published["variables"])
    for cause in published["variables"]:
        total = total_effects(graph, cause)
        for (source, effect), e in effects.items():
            if source == cause:
                assert total[effect] == pytest.approx(e["total"], abs=1e-12)
                assert total[effect] - e["direct"] == pytest.approx(e["indirect"], abs=1e-12)


def test_published_employee_customer_profit_chain() -> None:
    # 5 units of employee attitude drive 1.3 units of customer impression and 0.5 % of revenue growth
    # (Rucci, Kirn, Quinn: The employee-customer-profit chain at Sears, Harvard Business Review 76(1), 1998)
    chain = {("attitude", "impression"): 1.3 / 5, ("impression", "revenue"): 0.5 / 1.3}
    total = total_effects(strategy_map(chain, ["revenue", "impression", "attitude"]), "attitude")
    assert 5 * total["impression"] == pytest.approx(1.3)
    assert 5 * total["revenue"] == pytest.approx(0.5)


def cycle_message(causes: dict[str, list[Cause]]) -> str:
    kpis = sorted({*causes, *(c.cause for drivers in causes.values() for c in drivers)})
    built = [build_kpi(k, roll_up="none", baseline=1.0) for k in kpis]
    with pytest.raises(ModelError) as error:
        build_graph(build_scenario(build_units({"co": None}), built, [], causes=causes))
    (problem,) = error.value.problems
    assert problem.code == "E-cycle" and ".drivers." in (problem.fix or "")
    return problem.message


def test_the_shortest_cycle_is_named() -> None:
    long = {f"k{i}": [Cause(f"k{(i + 1) % 6}", 1.0)] for i in range(6)}
    message = cycle_message({**long, "k4": [Cause("k5", 1.0), Cause("k3", 1.0)], "z": [Cause("k0", 1.0)]})
    assert message.endswith("co/k3 -> co/k4 -> co/k3")


def test_a_kpi_that_drives_itself_is_a_cycle() -> None:
    assert cycle_message({"a": [Cause("a", 0.5)]}).endswith("co/a -> co/a")


def test_a_cycle_through_the_organization_is_found() -> None:
    units = build_units({"co": None, "ann": "co"})
    kpis = [build_kpi("a"), build_kpi("b")]
    rows = [Cell("ann", k, 1.0, 1.0) for k in "ab"]
    causes = {"a": [Cause("b", 1.0, at="ann")], "b": [Cause("a", 1.0)]}
    assert build_graph(build_scenario(units, kpis, rows, causes=causes)).n_nodes == 4
    with pytest.raises(ModelError, match="circle"):
        build_graph(build_scenario(units, kpis, rows, causes={**causes, "b": [Cause("a", 1.0, at="ann")]}))


def test_a_lag_opens_a_cycle() -> None:
    kpis = [build_kpi(k, roll_up="none", baseline=1.0) for k in "ab"]
    causes = {"a": [Cause("b", 1.0, lag=1)], "b": [Cause("a", 1.0)]}
    graph = build_graph(build_scenario(build_units({"co": None}), kpis, [], causes=causes))
    assert edges_as_text(graph) == ["co/a -> co/b 1 cause"]


def test_mean_of_units_without_size_is_refused() -> None:
    units = build_units({"co": None, "a": "co", "b": "co"})
    rows = [Cell(u, "score", 1.0, size=0.0) for u in "ab"]
    with pytest.raises(ModelError, match="below co/score have a total size of 0"):
        build_graph(build_scenario(units, [build_kpi("score", roll_up="mean")], rows))


def test_effect_on_a_kpi_without_value_is_refused() -> None:
    units = build_units({"co": None, "a": "co", "b": "co"})
    rows = [Cell("a", "score", 1.0)]
    course = build_initiative("course", [2], effects={"score": 1.0})
    with pytest.raises(ModelError, match=r"initiative\.course acts on score"):
        build_graph(build_scenario(units, [build_kpi("score", roll_up="none")], rows, initiatives=[course]))


def scaled(scenario: Scenario, kpi: str, by: float) -> Scenario:
    """The same scenario with one KPI measured in other units."""

    def contribution(cause: str, effect: str) -> float:
        return (by if effect == kpi else 1.0) / (by if cause == kpi else 1.0)

    kpis = {
        k.id: replace(
            k,
            drivers=tuple(
                replace(d, contribution=Quantity.number(d.contribution.mean * contribution(d.cause, k.id)))
                for d in k.drivers
            ),
        )
        for k in scenario.kpis.values()
    }
    initiatives = {
        i.id: replace(
            i,
            effects=tuple(
                replace(e, contribution=Quantity.number(e.contribution.mean * contribution("", e.kpi)))
                for e in i.effects
            ),
        )
        for i in scenario.initiatives.values()
    }
    baseline = scenario.cells.baseline * np.where(scenario.cells.kpi == scenario.kpi_position[kpi], by, 1.0)
    return replace(scenario, kpis=kpis, initiatives=initiatives, cells=replace(scenario.cells, baseline=baseline))


@pytest.mark.parametrize("seed", rest_at_night(range(40), 10))
def test_measuring_a_kpi_in_thousandths_changes_nothing_else(seed: int) -> None:
    scenario = random_scenario(seed)
    graph = build_graph(scenario)
    stretch, levels = random_decisions(scenario, seed, graph.n_levels)
    kpi = scenario.kpi_ids[seed % len(scenario.kpis)]
    mine = scenario.cells.kpi == scenario.kpi_position[kpi]
    other = build_graph(scaled(scenario, kpi, 1000.0))
    for change in ("expected_change", "asked_change"):
        before = by_name(graph, graph.baseline + getattr(graph, change)(stretch, levels))
        after = by_name(other, other.baseline + getattr(other, change)(np.where(mine, 1000 * stretch, stretch), levels))
        for name, value in before.items():
            factor = 1000.0 if name.endswith(f"/{kpi}") else 1.0
            assert after[name] == pytest.approx(factor * value, rel=1e-9, abs=1e-7)


def test_idle_units_change_nothing() -> None:
    found = []
    for scenario in (shop(), shop(idle=(("dan", "south"), ("east", "co"), ("eve", "east")))):
        graph = build_graph(scenario)
        named = np.array(scenario.units.ids)[scenario.cells.unit]
        stretch = np.where(np.isin(named, ["dan", "east", "eve"]), 0.0, 1.5)
        levels = np.array([2.0, 4.0])
        found.append(by_name(graph, graph.baseline + graph.expected_change(stretch, levels)))
    before, after = found
    assert {name: after[name] for name in before} == pytest.approx(before, rel=1e-12)
    assert {name: after[name] for name in after.keys() - before.keys()} == {
        "dan/sales": 0.0, "east/sales": 0.0, "eve/sales": 0.0
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_order_of_rows_and_units_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = {f"p{i}": ["east", "west"][i % 2] for i in range(6)}
    rows = [Cell(p, k, 10.0 + i, 3.0) for i, p in enumerate(people) for k in ("sales", "calls")]
    kpis = [build_kpi("sales"), build_kpi("calls")]

    def compiled(order_units: list[str], order_rows: list[int]) -> CausalGraph:
        units = build_units({"co": None, **{u: people.get(u, "co") for u in order_units}})
        causes = {"sales": [Cause("calls", 0.5, at="east")]}
        return build_graph(build_scenario(units, kpis, [rows[i] for i in order_rows], causes=causes))

    names = ["east", "west", *people]
    first = compiled(names, list(range(len(rows))))
    other = compiled([str(n) for n in rng.permutation(names)], rng.permutation(len(rows)).tolist())
    for field in ("unit", "kpi", "cell", "baseline", "tail", "head", "coefficient", "edge_kind"):
        assert np.array_equal(getattr(first, field), getattr(other, field))
