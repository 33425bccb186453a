"""Explanations are exact accounts: parts and origins add up, effects are what a changed plan really does."""

import numpy as np
import pytest

from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.studies.explain import explain_target, find_target, list_targets

SCENARIO = """schema = 1
name = "Chain"
[kpi.sales]
name = "Sales"
unit = "USD"
direction = "up"
roll_up = "sum"
[kpi.sales.drivers]
visits = { contribution = 40, at = "person" }
market = { contribution = 500 }
[kpi.visits]
name = "Visits"
direction = "up"
roll_up = "sum"
[kpi.complaints]
name = "Complaints"
direction = "down"
roll_up = "sum"
[kpi.complaints.drivers]
visits = { contribution = -0.1, at = "person" }
[factor.market]
name = "Market"
value = 2
[initiative.coaching]
name = "Coaching"
units = { level = "person" }
max = 5
uses = { cash = 1 }
effects = { visits = 3 }
[budget.cash]
limit = 100
[goal.sales]
target = 3000
[uncertainty]
execution = 0.8
[unit.shop]
level = "company"
[unit.ann]
parent = "shop"
level = "person"
[unit.bob]
parent = "shop"
level = "person"
[cell."ann/sales"]
baseline = 1000
max_stretch = 500
[cell."bob/sales"]
baseline = 900
max_stretch = 500
[cell."ann/visits"]
baseline = 10
max_stretch = 10
[cell."bob/visits"]
baseline = 10
max_stretch = 10
[cell."ann/complaints"]
baseline = 9
max_stretch = 5
"""


@pytest.fixture
def graph(tmp_path):
    (tmp_path / "s.toml").write_text(SCENARIO)
    return build_graph(load_scenario(tmp_path / "s.toml"))


@pytest.fixture
def plan(graph):
    rng = np.random.default_rng(5)
    return rng.random(len(graph.scenario.cells)) * 5, rng.random(graph.n_levels) * 4


def test_a_target_by_hand(graph):
    """Ann: 100 x 0.8 own, 2 sessions x 3 visits and 4 x 0.8 visits of her own, 40 each; the market is above her."""
    cells = graph.scenario.cells
    names = [f"{graph.scenario.units.ids[u]}/{graph.scenario.kpi_ids[k]}" for u, k in zip(cells.unit, cells.kpi)]  # noqa: B905
    stretch = np.zeros(len(cells))
    stretch[names.index("ann/sales")], stretch[names.index("ann/visits")] = 100, 4
    levels = np.array([2.0 if graph.node_name(n) == "initiative.coaching@ann" else 0.0 for n in graph.level_node])
    found = explain_target(graph, stretch, levels, find_target(graph, "ann/sales"))
    assert found.own_expected == pytest.approx(80)
    assert found.own_asked == pytest.approx(100)
    visits = 4 * 0.8 + 2 * 3
    assert {p.name: p.contribution for p in found.parts} == pytest.approx({"ann/visits": 40 * visits})
    origins = {p.name: p.contribution for p in found.origins}
    assert origins == pytest.approx({"ann/sales": 80, "ann/visits": 40 * 3.2, "initiative.coaching@ann": 240})
    top = explain_target(graph, stretch, levels, find_target(graph, "shop/sales"))
    assert {p.name: p.contribution for p in top.parts} == pytest.approx(
        {"ann/sales": 80 + 40 * visits, "bob/sales": 0.0, "factor.market": 1000}
    )


def test_parts_and_origins_add_up_at_every_node(graph, plan):
    for node in range(graph.n_nodes):
        found = explain_target(graph, *plan, node)
        change = found.expected - found.baseline
        assert sum(p.contribution for p in found.parts) + found.own_expected == pytest.approx(change, abs=1e-9)
        assert sum(p.contribution for p in found.origins) == pytest.approx(change, abs=1e-9)


def test_effects_on_goals_are_what_a_changed_plan_does(graph, plan):
    stretch, levels = plan
    goal = graph.find_node("sales")
    before = graph.expected_change(stretch, levels)[goal]
    for cell, node in enumerate(graph.cell_node.tolist()):
        more = stretch.copy()
        more[cell] += 1
        after = graph.expected_change(more, levels)[goal]
        (effect,) = explain_target(graph, stretch, levels, node).goals
        assert after - before == pytest.approx(graph.sign[node] * 0.8 * effect.per_unit, abs=1e-9)


def test_unknown_targets_name_what_is_near(graph):
    with pytest.raises(UsageError, match="did you mean 'sales'"):
        find_target(graph, "ann/slaes")
    with pytest.raises(UsageError, match="did you mean 'ann'"):
        find_target(graph, "anne/sales")
    with pytest.raises(UsageError, match="complaints has no value at bob"):
        find_target(graph, "bob/complaints")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("nix", "goals sales; units shop, ann, bob; KPIs sales, visits, complaints; initiatives coaching"),
        ("ann", "say which target: ann/"),
        ("visits", "ann/visits"),
        ("slaes", "did you mean 'sales'"),
        ("budget.cahs", "did you mean 'budget.cash'"),
        ("nix/sales", "there are: shop, ann, bob"),
        ("ann/nix", "there are: sales, visits, complaints"),
    ],
)
def test_a_name_that_nobody_knows_lists_what_there_is(graph, text, fix):
    with pytest.raises(UsageError) as caught:
        find_target(graph, text)
    assert fix in caught.value.problems[0].fix and text.partition("/")[0] in str(caught.value)


def test_what_is_asked_adds_up_to_the_target(graph, plan):
    stretch, levels = plan
    for name in list_targets(graph):
        found = explain_target(graph, stretch, levels, find_target(graph, name))
        asked = found.baseline + found.own_asked + sum(part.contribution for part in found.asked_parts)
        assert asked == pytest.approx(found.asked, rel=1e-12)


def test_targets_are_found_by_names_and_goals_by_ids(graph):
    assert find_target(graph, "shop/Sales") == find_target(graph, "shop/sales") == find_target(graph, "sales")
    assert find_target(graph, "Sales") == find_target(graph, "sales")  # a goal by the name of its KPI
    assert "ann/visits" in list_targets(graph)
    with pytest.raises(UsageError, match="no unit is called"):
        find_target(graph, "anne/sales")


def test_own_effort_stands_beside_that_of_peers(graph):
    cells = graph.scenario.cells
    names = [f"{graph.scenario.units.ids[u]}/{graph.scenario.kpi_ids[k]}" for u, k in zip(cells.unit, cells.kpi)]  # noqa: B905
    stretch = np.zeros(len(cells))
    stretch[names.index("ann/sales")], stretch[names.index("bob/sales")] = 100.0, 45.0
    found = explain_target(graph, stretch, np.zeros(graph.n_levels), find_target(graph, "ann/sales"))
    assert (found.own_share, found.peer_share, found.peers) == (0.1, 0.05, 1)
