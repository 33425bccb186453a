"""Rules of pay by period, in scopes and with initiatives, on deviations that are written down instead of drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import ModelError
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.simulation.payout import Payout, build_payout, pay_limits, rules_by_period, units_in_scope
from kpiopt.simulation.propagate import Block

TEXT = """
schema = 1
name = "Pay by period"
periods = ["a", "b"]
[kpi.calls]
[kpi.sales]
[unit.co]
[unit.mid]
parent = "co"
[unit.ann]
parent = "mid"
target_incentive = 1000
pay_plan = "rep"
[unit.bob]
parent = "mid"
target_incentive = 2000
[unit.zoe]
parent = "co"
[cell."ann/sales"]
baseline = 100
max_stretch = 50
weight = 0.5
[cell."ann/calls"]
baseline = 40
weight = 0.5
[cell."bob/sales"]
baseline = 200
max_stretch = 50
weight = 1
[cell."zoe/sales"]
baseline = 100
max_stretch = 50
pay_rate = 3
[pay_plan.rep]
payout = [[0, 0], [1, 1], [2, 3]]
every = "period"
[initiative.course]
units = ["mid"]
max = 10
uses.pay = 7
effects.sales = 1
[initiative.talk]
units = ["co"]
max = 10
uses.cash = 1
effects.sales = 1
[budget.all]
resource = "pay"
limit = 5000
[budget.middle]
resource = "pay"
limit = 4000
scope = "mid"
every = "period"
[budget.cash]
limit = 1
money = true
"""


def compiled(folder: Path, text: str = TEXT) -> tuple[CausalGraph, Payout, np.ndarray, np.ndarray]:
    """Zoe stretches by 4 and 6; the course runs at 2 in the first period and 3 in the second."""
    (folder / "s.toml").write_text(text)
    graph = build_graph(load_scenario(folder / "s.toml"))
    cells = graph.scenario.cells
    stretch = np.zeros(len(cells))
    zoe = graph.scenario.units.position["zoe"]
    stretch[cells.unit == zoe] = [4.0, 6.0]
    levels = np.where(graph.level_start == 0, 2.0, 3.0)
    return graph, build_payout(graph, stretch, levels, graph.baseline), stretch, levels


def sales(graph: CausalGraph) -> int:
    return graph.scenario.kpi_position["sales"]


def block_of(graph: CausalGraph, payout: Payout, realised: list[float], by_node: dict[tuple[str, int], float]) -> Block:
    delta = np.zeros((graph.n_nodes, 1))
    for (unit, period), change in by_node.items():
        at = np.array([graph.scenario.units.position[unit]])
        delta[graph.find_nodes(at, sales(graph), period)] = change
    assert len(payout.rated_cells) == len(realised)
    return Block(delta, np.array(realised)[:, None])


def test_pay_over_the_horizon_and_in_each_period(tmp_path: Path) -> None:
    graph, payout, _, levels = compiled(tmp_path)
    ids = graph.scenario.units.ids
    assert [ids[u] for u in payout.units] == ["mid", "ann", "bob", "zoe"]
    # Levels of 2 and 3 at 7 each; a rate of 3 on 4 and 6; half of Ann's incentive goes by what she attains.
    assert payout.plan.tolist() == [35, 1000, 2000, 30]
    assert payout.all_hit == pytest.approx([35, 1000, 2000, 30])
    # Ann's 50 in each period: 25 and 75 of 50, so 0.5 and 1 + 2 x 0.5 of half of 500; her calls are as
    # planned. Bob 20 above 200 over the year.
    block = block_of(graph, payout, [5.0, -1.0], {("ann", 0): -25.0, ("ann", 1): 25.0, ("bob", -1): 20.0})
    assert payout.pay(block)[:, 0] == pytest.approx([35, 250 * 0.5 + 250 * 2 + 500, 2000 * 1.1, 15])
    first, second = rules_by_period(graph, payout, levels)
    assert first.pay(block)[:, 0] == pytest.approx([14, 250 * 0.5 + 250, 1100, 15])
    assert second.pay(block)[:, 0] == pytest.approx([21, 250 * 2 + 250, 1100, 0])
    assert first.units.tolist() == second.units.tolist() == payout.units.tolist()


def test_targets_far_below_one_are_targets(tmp_path: Path) -> None:
    graph, payout, stretch, levels = compiled(tmp_path)
    small = build_payout(graph, stretch, levels, graph.baseline / 1000)
    assert small.plan.tolist() == payout.plan.tolist()
    half = block_of(graph, payout, [0.0, 0.0], {("bob", -1): -199.8})
    assert small.pay(half)[2, 0] == pytest.approx(2000)
    for target in (0.0, -1.0):
        with pytest.raises(ModelError, match="its attainment means nothing"):
            build_payout(graph, stretch, levels, np.full(graph.n_nodes, target))


def test_whose_pay_varies(tmp_path: Path) -> None:
    graph, payout, _, levels = compiled(tmp_path)
    none, cells = np.zeros(graph.n_nodes, dtype=bool), np.zeros(len(graph.scenario.cells), dtype=bool)
    assert payout.varies(none, cells).tolist() == [False] * 4
    assert payout.varies(none, ~cells).tolist() == [False, False, False, True]
    assert payout.varies(~none, cells).tolist() == [False, True, True, False]
    only = none.copy()
    only[graph.find_nodes(np.array([graph.scenario.units.position["ann"]]), sales(graph), 1)] = True
    first, second = rules_by_period(graph, payout, levels)
    assert first.varies(only, cells).tolist() == [False] * 4
    assert second.varies(only, cells).tolist() == [False, True, False, False]


def test_budgets_and_who_is_in_them(tmp_path: Path) -> None:
    graph, payout, _, levels = compiled(tmp_path)
    scenario = graph.scenario
    found = {limit.name: limit for limit in pay_limits(scenario, payout)}
    assert sorted(found) == ["all", "middle", "middle/a", "middle/b"]
    assert [found[n].periods for n in ("all", "middle", "middle/a", "middle/b")] == [(), (0, 1), (0,), (1,)]
    assert [found[n].limit for n in ("all", "middle", "middle/b")] == [5000, 4000, 4000]
    assert (found["all"].scope, found["middle"].scope) == (slice(0, 4), slice(0, 3))
    at = scenario.units.position
    assert [units_in_scope(scenario, payout, at[u]) for u in ("ann", "bob", "zoe")] == [
        slice(1, 2), slice(2, 3), slice(3, 4),
    ]  # fmt: skip
    _, whole, _, levels = compiled(tmp_path, TEXT.replace('scope = "mid"\nevery = "period"', 'scope = "mid"'))
    graph = build_graph(load_scenario(tmp_path / "s.toml"))
    assert rules_by_period(graph, whole, levels) == ()
    other = 'resource = "pay"\nlimit = 4000\nscope = "mid"\nevery = "period"'
    text = TEXT.replace(other, other.replace('resource = "pay"', 'resource = "cash"')).replace(
        "[budget.cash]", "[budget.gold]"
    )
    graph, whole, _, levels = compiled(tmp_path, text)
    assert rules_by_period(graph, whole, levels) == ()
    assert [limit.name for limit in pay_limits(graph.scenario, whole)] == ["all"]
