"""Chains from a KPI to a goal add up to its total effect, and each is what following it by hand gives."""

from __future__ import annotations

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.studies.paths import Paths


@pytest.mark.parametrize("name", ["hand-solved", "adventureworks-base", "scorecard"])
def test_chains_add_up_to_the_total_effect(name):
    graph = build_graph(kpiopt.load(f"scenarios/{name}.toml"))
    paths = Paths(graph)
    for goal in graph.scenario.goals.values():
        at = graph.find_node(goal.kpi, goal.unit)
        effects = paths.effects(at)
        for node in range(graph.n_nodes):
            chains = paths.chains(node, at)
            assert sum(c.effect for c in chains) == pytest.approx(effects[node], rel=1e-9, abs=1e-12)
            assert [abs(c.effect) for c in chains] == sorted((abs(c.effect) for c in chains), reverse=True)


def test_a_chain_is_followed_by_hand(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("""schema = 1
name = "Chain"
[kpi.training]
name = "Training"
roll_up = "mean"
[kpi.quality]
name = "Quality"
roll_up = "mean"
[kpi.quality.drivers]
training = { contribution = 0.4, at = "team" }
[kpi.sales]
name = "Sales"
[kpi.sales.drivers]
quality = { contribution = 120, at = "team" }
training = { contribution = -7, at = "organization" }
[goal.sales]
target = 300
[unit.top]
[unit.a]
parent = "top"
level = "team"
size = 1
[unit.b]
parent = "top"
level = "team"
size = 3
[cell."a/training"]
baseline = 1
max_stretch = 5
size = 1
[cell."b/training"]
baseline = 1
size = 3
[cell."a/quality"]
baseline = 50
size = 1
[cell."b/quality"]
baseline = 50
size = 3
[cell."a/sales"]
baseline = 100
[cell."b/sales"]
baseline = 100
""", encoding="utf-8")  # fmt: skip
    graph = build_graph(kpiopt.load(path))
    goal = graph.find_node("sales", 0)
    first, second = Paths(graph).chains(graph.find_node("training", "a"), goal)
    names = [graph.scenario.kpi_ids[link.kpi] for link in first.links]
    assert names == ["training", "quality", "sales"]
    assert [link.amount for link in first.links] == pytest.approx([1.0, 0.4, 48.0])
    assert all(link.at_own for link in first.links) and first.effect == pytest.approx(48.0)
    assert [graph.scenario.kpi_ids[link.kpi] for link in second.links] == ["training", "sales"]
    assert second.effect == pytest.approx(-7 * 0.25)
    assert not second.links[-1].at_own
    assert np.isclose(Paths(graph).effects(goal)[graph.find_node("training", "a")], 48.0 - 1.75)
