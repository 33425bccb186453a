"""Edges of effects that are handed down to cells, of units' own factors and of curves, written down by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.graph import CausalGraph, EdgeKind, build_graph
from kpiopt.scenario.load import load_scenario

TEXT = """
schema = 1
name = "Handed down"
[kpi.calls]
[kpi.sales]
[kpi.score]
roll_up = "mean"
[factor.market]
value = 3
[unit.co]
[unit.north]
parent = "co"
level = "team"
[unit.ann]
parent = "north"
size = 1
[unit.bob]
parent = "north"
[unit.eve]
parent = "co"
level = "team"
size = 2
[cell."ann/sales"]
baseline = -100
size = 5
[cell."bob/sales"]
baseline = 300
[cell."eve/sales"]
baseline = 600
[cell."ann/calls"]
baseline = 0
[cell."bob/calls"]
baseline = 0
[cell."eve/score"]
baseline = 7
[cell."bob/score"]
baseline = 5
size = 1
"""


def into(folder: Path, extra: str, kind: EdgeKind) -> tuple[CausalGraph, dict[str, float]]:
    (folder / "s.toml").write_text(TEXT + extra)
    graph = build_graph(load_scenario(folder / "s.toml"))
    edges = np.flatnonzero(graph.edge_kind == kind)
    return graph, {graph.node_name(int(graph.head[e])): float(graph.coefficient[e]) for e in edges.tolist()}


@pytest.mark.parametrize(
    ("kpi", "at", "spread", "right"),
    [
        ("sales", "co", "baseline", {"ann/sales": 1.0, "bob/sales": 3.0, "eve/sales": 6.0}),
        ("sales", "north", "baseline", {"ann/sales": 2.5, "bob/sales": 7.5}),
        # Ann's cell says 5, Bob nothing, Eve's unit 2.
        ("sales", "co", "size", {"ann/sales": 6.25, "bob/sales": 1.25, "eve/sales": 2.5}),
        ("sales", "co", "even", {"ann/sales": 10 / 3, "bob/sales": 10 / 3, "eve/sales": 10 / 3}),
        ("calls", "co", "baseline", {"ann/calls": 5.0, "bob/calls": 5.0}),  # nothing was there
        ("score", "co", "even", {"bob/score": 10.0, "eve/score": 10.0}),  # a mean: each gets all of it
        ("sales", "eve", "even", {"eve/sales": 10.0}),  # a cell itself
    ],
)
def test_an_effect_is_handed_down(tmp_path: Path, kpi: str, at: str, spread: str, right: dict[str, float]) -> None:
    effect = f'{kpi} = {{ contribution = 10, spread = "{spread}" }}'
    text = f'[initiative.push]\nunits = ["{at}"]\nmax = 1\n[initiative.push.effects]\n{effect}\n'
    graph, found = into(tmp_path, text, EdgeKind.INITIATIVE)
    assert found == pytest.approx(right)
    assert graph.n_levels == 1
    change = graph.expected_change(np.zeros(7), np.array([2.0]))
    if kpi != "score":
        assert change[graph.find_node(kpi)] == pytest.approx(20)


def test_without_it_the_effect_stays_at_its_unit(tmp_path: Path) -> None:
    text = '[initiative.push]\nunits = ["north", "eve"]\nmax = 1\neffects = { sales = 10 }\n'
    assert into(tmp_path, text, EdgeKind.INITIATIVE)[1] == {"north/sales": 10.0, "eve/sales": 10.0}


def test_sizes_weigh_a_mean(tmp_path: Path) -> None:
    """Eve counts 2 and north 1, which is Bob's, whose cell says so."""
    graph, _ = into(tmp_path, "", EdgeKind.ROLL_UP)
    score = graph.find_node("score")
    shares = {graph.node_name(int(graph.tail[e])): graph.coefficient[e] for e in np.flatnonzero(graph.head == score)}
    assert shares == pytest.approx({"eve/score": 2 / 3, "north/score": 1 / 3})
    assert graph.baseline[graph.find_node("score")] == pytest.approx((2 * 7 + 5) / 3)
    assert graph.baseline[graph.find_node("sales")] == 800
    assert graph.size[[graph.find_node("score", u) for u in ("co", "north", "bob", "eve")]].tolist() == [3, 1, 1, 2]


def test_each_unit_has_its_own_factor_of_a_contribution(tmp_path: Path) -> None:
    driver = '[kpi.sales.drivers]\nmarket = { contribution = "1 to 3", at = "team", between = 0.2 }\n'
    graph, found = into(tmp_path, driver, EdgeKind.FACTOR)
    assert sorted(found) == ["eve/sales", "north/sales"]
    edges = np.flatnonzero(graph.edge_kind == EdgeKind.FACTOR)
    path = "kpi.sales.drivers.market"
    own = {graph.node_name(int(graph.head[e])): graph.quantities[graph.edge_between[e]].name for e in edges.tolist()}
    assert own == {"eve/sales": f"{path}@eve", "north/sales": f"{path}@north"}
    assert {graph.quantities[graph.edge_quantity[e]].name for e in edges.tolist()} == {path}
    assert [q.name for q in graph.quantities] == [path, f"{path}@eve", f"{path}@north"]
