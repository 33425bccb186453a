"""Rules: gaps split as a spreadsheet would, against splits worked out by hand and by plain recursion."""

import numpy as np
import pytest

from kpiopt.errors import UsageError
from kpiopt.graph import EdgeKind, build_graph
from kpiopt.plan.split_rule import parse_rule, split_gaps
from kpiopt.scenario.scenario import Goal
from tests.builders import Cause, Cell, build_kpi, build_scenario, build_units, random_scenario
from tests.nights import rest_at_night

TREE = {"co": None, "north": "co", "south": "co", "ann": "north", "bob": "north", "cid": "south"}


def scenario(rows, goals, *, kpi=None, **more):
    kpis = kpi or [build_kpi("sales")]
    return build_scenario(build_units(TREE), kpis, rows, goals=[Goal(f"g{i}", *g) for i, g in enumerate(goals)], **more)


def asked(found, rule):
    graph = build_graph(found)
    split = split_gaps(graph, parse_rule(rule))
    names = [graph.node_name(int(node)).partition("/")[0] for node in graph.cell_node]
    return dict(zip(names, split.stretch.tolist(), strict=True)), [note.code for note in split.notes]


SALES = [Cell("ann", "sales", 100, 5), Cell("bob", "sales", 300, 500), Cell("cid", "sales", 600, size=1)]
SIZED = [Cell("ann", "sales", 100, 5, size=2), Cell("bob", "sales", 300, size=6), Cell("cid", "sales", 600, size=2)]


# Last year 400 in the north and 600 in the south; 1,100 are wanted, so 100 more.
@pytest.mark.parametrize(
    ("rule", "right"),
    [
        ("proportional", {"ann": 10, "bob": 30, "cid": 60}),
        ("even", {"ann": 25, "bob": 25, "cid": 50}),
        ("last-year+8%", {"ann": 8, "bob": 24, "cid": 48}),
        ("last-year+2.5 %", {"ann": 2.5, "bob": 7.5, "cid": 15}),
        ("column:baseline", {"ann": 10, "bob": 30, "cid": 60}),
        ("column:size", {"ann": 20, "bob": 60, "cid": 20}),
    ],
)
def test_splits_by_hand(rule, right):
    found, notes = asked(scenario(SIZED, [("sales", 0, 1100.0)]), rule)
    assert found == pytest.approx(right) and notes == []


def test_shares_go_by_the_size_of_the_children_not_of_what_lies_below_them():
    rows = [Cell("ann", "sales", -100), Cell("bob", "sales", 300), Cell("cid", "sales", 200)]
    found, _ = asked(scenario(rows, [("sales", 0, 600.0)]), "proportional")
    # north |-100 + 300| = 200 and south 200: 100 each; of north's, ann has 1 in 4.
    assert found == pytest.approx({"ann": 25, "bob": 75, "cid": 100})


def test_where_nothing_was_there_all_get_the_same():
    rows = [Cell("ann", "sales", 0), Cell("bob", "sales", 0), Cell("cid", "sales", 0)]
    assert asked(scenario(rows, [("sales", 0, 8.0)]), "proportional")[0] == {"ann": 2, "bob": 2, "cid": 4}


def test_lower_is_better_and_factors_count():
    rows = [Cell("ann", "sales", 30), Cell("bob", "sales", 10), Cell("cid", "sales", 10)]
    found = scenario(
        rows, [("sales", 0, 40.0)], kpi=[build_kpi("sales", sign=-1)],
        factors={"market": 2.0}, causes={"sales": [Cause("market", -1.0)]},
    )  # fmt: skip
    assert asked(found, "proportional")[0] == pytest.approx({"ann": 4.8, "bob": 1.6, "cid": 1.6})


@pytest.mark.parametrize("rule", ["proportional", "even", "column:size"])
def test_a_mean_grows_by_the_same_percent_everywhere(rule):
    rows = [Cell("ann", "sales", 50, size=1), Cell("bob", "sales", 80, size=3), Cell("cid", "sales", 60, size=4)]
    # (50 + 240 + 240) / 8 = 66.25; 10 % more is 72.875.
    found = scenario(rows, [("sales", 0, 72.875)], kpi=[build_kpi("sales", roll_up="mean")])
    assert asked(found, rule)[0] == pytest.approx({"ann": 5, "bob": 8, "cid": 6})


def test_a_goal_that_is_met_asks_nothing_and_of_several_goals_the_largest_ask_counts():
    assert asked(scenario(SALES, [("sales", 0, 900.0)]), "proportional")[0] == {"ann": 0, "bob": 0, "cid": 0}
    found, _ = asked(scenario(SALES, [("sales", 0, 1100.0), ("sales", 1, 480.0)]), "proportional")
    assert found == pytest.approx({"ann": 20, "bob": 60, "cid": 60})


def test_locked_cells_and_goals_without_cells_are_left_and_told():
    kpis = [build_kpi("sales"), build_kpi("profit", baseline=10)]
    rows = [Cell("ann", "sales", 100, 5, lock=2), *SALES[1:]]
    found, notes = asked(scenario(rows, [("sales", 0, 1100.0), ("profit", 0, 20.0)], kpi=kpis), "proportional")
    assert found == pytest.approx({"ann": 2, "bob": 30, "cid": 60})
    assert notes == ["W-rule-no-cells", "W-rule-locked"]


@pytest.mark.parametrize(
    "rule", ["", "Even", "last-year+8", "last-year+-8%", "column:", "column:nonsense", "column:weight"]
)
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(UsageError):
        asked(scenario(SALES, [("sales", 0, 1100.0)]), rule)


def by_recursion(graph, kind):
    """Plain Python: hand each goal's gap down, child by child."""
    base = graph.scenario
    below = {}
    for tail, head, edge in zip(graph.tail, graph.head, graph.edge_kind, strict=True):
        if edge == EdgeKind.ROLL_UP:
            below.setdefault(int(head), []).append(int(tail))
    stretch = np.zeros(len(base.cells))

    def give(node, gap):
        children = below.get(node, [])
        if not children:
            cell = graph.cell[node]
            if cell >= 0:
                stretch[cell] = max(stretch[cell], gap)
            return
        size = [1.0 if kind == "even" else abs(graph.baseline[child]) for child in children]
        for child, s in zip(children, size, strict=True):
            give(child, gap * (s / sum(size) if sum(size) else 1 / len(size)))

    for goal in base.goals.values():
        node = graph.find_node(goal.kpi, goal.unit)
        give(node, max(0.0, graph.sign[node] * (goal.target - graph.baseline[node])))
    fixed = base.cells.is_locked
    return np.where(fixed, base.cells.lock, stretch)


@pytest.mark.parametrize("seed", rest_at_night(range(40), 10))
def test_random_organizations_split_as_by_recursion(seed):
    from dataclasses import replace

    found = replace(random_scenario(seed, n_units=20), factors={}, initiatives={})
    kpis = {
        k.id: replace(k, drivers=(), roll_up="sum" if k.roll_up == "mean" else k.roll_up) for k in found.kpis.values()
    }
    found = replace(found, kpis=kpis)
    graph, rng = build_graph(found), np.random.default_rng(seed)
    nodes = rng.choice(graph.n_nodes, min(4, graph.n_nodes), replace=False).tolist()
    goals = {}
    for i, node in enumerate(nodes):
        kpi = found.kpi_ids[graph.kpi[node]]
        goals[f"g{i}"] = Goal(f"g{i}", kpi, int(graph.unit[node]), float(graph.baseline[node] + rng.normal(5, 20)))
    graph = build_graph(replace(found, goals=goals))
    for kind in ("proportional", "even"):
        split = split_gaps(graph, parse_rule(kind))
        assert split.stretch == pytest.approx(by_recursion(graph, kind), rel=1e-9, abs=1e-9)
