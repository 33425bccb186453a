"""Limits, initiatives and swaps explained: every figure is one that a plan made anew, or the graph moved, gives."""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.plan.limit_names import stopped_words, unit_of_limit
from kpiopt.report.explanation_limit import level_sentences, limit_sentences
from kpiopt.report.page.kept_files import plain_text
from kpiopt.report.summary import render_summary
from kpiopt.run.run import Run
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.explain import list_targets
from kpiopt.studies.explain_limit import explain_initiative, explain_limit, find_initiative, find_limit
from kpiopt.studies.swap import find_swap

SHIPPED = ("hand-solved", "adventureworks-base")


@cache
def run(name: str) -> Run:
    return kpiopt.solve(f"scenarios/{name}.toml", simulate=False)


def limits(name: str) -> list[dict]:
    return run(name).as_dict()["limits"]


@pytest.mark.parametrize("name", SHIPPED)
def test_what_uses_a_limit_adds_up_to_what_is_used(name):
    plan = run(name).plan
    for entry in limits(name):
        found = explain_limit(run(name).graph, plan.stretch, plan.levels, entry)
        assert sum(use.amount for use in found.uses) == pytest.approx(entry["used"], rel=1e-9, abs=1e-9), entry["name"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("capacity.hours@michael-blythe", "capacity.hours@michael-blythe"),
        ("hours of Michael Blythe", "capacity.hours@michael-blythe"),
        ("Hours@michael-blythe", "capacity.hours@michael-blythe"),
        ("pay budget", "budget.pay"),
        ("pay", "budget.pay"),
        ("hours", None),
    ],
)
def test_a_limit_is_found_by_the_words_that_the_summary_has_for_it(text, name):
    found = find_limit(run("adventureworks-base").scenario, limits("adventureworks-base"), text)
    assert (found["name"] if found else None) == name


def test_what_stops_a_target_is_told_in_the_words_of_the_limits():
    scenario = run("adventureworks-base").scenario
    words = stopped_words(scenario, "max_stretch; capacity.hours@michael-blythe")
    assert words == "largest stretch; hours of Michael Blythe"
    assert [stopped_words(scenario, name) for name in ("", "lock", "min_stretch")] == ["", "lock", "smallest stretch"]


def test_what_one_more_of_a_limit_is_worth_is_what_solving_again_gives():
    name = "adventureworks-base"
    entry = next(e for e in limits(name) if e["name"] == "capacity.hours@michael-blythe")
    found = explain_limit(run(name).graph, run(name).plan.stretch, run(name).plan.levels, entry)
    told = next(iter(limit_sentences(run(name).scenario, found)))
    worth = float(re.search(r"the cost would be ([\d.,]+) USD lower", told)[1].replace(",", ""))
    units = run(name).scenario.units
    hours = dict(units.capacity)
    hours["hours"] = hours["hours"].copy()
    hours["hours"][units.position["michael-blythe"]] += 1.0
    from dataclasses import replace

    other = kpiopt.solve(replace(run(name).scenario, units=replace(units, capacity=hours)), simulate=False)
    cost = [next(s.value for s in r.solution.steps if s.name == "cost") for r in (run(name), other)]
    assert cost[0] - cost[1] == pytest.approx(worth, rel=1e-3)


def test_an_initiative_adds_what_moving_its_level_adds():
    name = "adventureworks-base"
    graph, plan, scenario = run(name).graph, run(name).plan, run(name).scenario
    initiative, unit = find_initiative(graph, "product_training")
    assert unit == ""
    for level in explain_initiative(graph, plan.stretch, plan.levels, limits(name), initiative, ""):
        row = next(i for i, u in enumerate(graph.level_unit.tolist()) if scenario.units.ids[u] == level.unit)
        more = plan.levels.copy()
        more[row] += 1.0
        moved = graph.expected_change(plan.stretch, more) - graph.expected_change(plan.stretch, plan.levels)
        for effect in level.per_level:
            goal = scenario.goals[effect.goal]
            assert effect.per_unit == pytest.approx(moved[graph.find_node(goal.kpi, goal.unit)], rel=1e-6, abs=1e-6)
        (sentence,) = level_sentences(scenario, [level])
        assert ("as much as it may" in sentence) == (level.level == level.maximum)


def test_a_swap_is_the_plan_made_anew_and_its_first_worse_step():
    name, scenario = "hand-solved", run("hand-solved").scenario
    graph, plan, steps = run(name).graph, run(name).plan, run(name).as_dict()["steps"]
    told = 0
    for cell in range(len(scenario.cells)):
        swap = find_swap(graph, plan.stretch, plan.levels, steps, cell)
        if swap is None:
            assert plan.stretch[cell] <= scenario.cells.min_stretch[cell] + 1e-6
            continue
        told += 1
        unit, kpi = scenario.units.ids[scenario.cells.unit[cell]], scenario.kpi_ids[scenario.cells.kpi[cell]]
        most = float(plan.stretch[cell]) - swap.less
        again = kpiopt.solve(
            "scenarios/hand-solved.toml", simulate=False, overrides=[f'cell."{unit}/{kpi}".max_stretch={most!r}']
        )
        worse = [(a, b.value) for a, b in zip(steps, again.solution.steps, strict=True) if b.value > a["value"] + 1e-6]
        assert swap.cost is not None and worse
        assert swap.cost.after == pytest.approx(worse[0][1], rel=1e-6)
        moved = again.plan.stretch - plan.stretch
        for taken in swap.taken:
            at = graph.cell[graph.find_node(taken.kpi, taken.unit)]
            assert taken.amount == pytest.approx(moved[at], rel=1e-6)
        assert np.count_nonzero(np.abs(moved) > 1e-3) <= len(swap.taken) + 1
    assert told


def test_names_that_are_none_are_told():
    graph = run("adventureworks-base").graph
    assert find_initiative(graph, "nothing") is None
    assert find_initiative(graph, "Product training")[0].id == "product_training"
    for text in ("initiative.product_trainin", "product_training@adventureworks"):
        with pytest.raises(UsageError):
            find_initiative(graph, text)


def test_the_command_explains_each_kind(tmp_path, capsys):
    assert main(["solve", "scenarios/hand-solved.toml", "--out", str(tmp_path), "--no-simulation", "--json"]) == 0
    folder = str(next(tmp_path.iterdir()))
    capsys.readouterr()

    def answer(*words: str) -> dict:
        assert main(["explain", folder, *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    everything = answer()
    assert "budget.pay" in everything["limits"] and "ann/sales" in everything["targets"]
    assert answer("budget.pay")["limit"]["name"] == "budget.pay"
    found = answer("ann/sales")
    assert found["total_effects"]["ann/sales"] == 1.0 and found["swap"]["less"] == 1000.0
    shares = {}
    for way in found["ways"]:
        shares[way["goal"]] = shares.get(way["goal"], 0.0) + way["share"]
    assert shares and all(total == pytest.approx(1.0) for total in shares.values())
    assert main(["explain", folder, "ann/sales"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "If 1,000 USD less effort were asked of Ann" in said and "It would cost: " in said


def test_a_goal_is_explained_with_its_own_odds_before_those_of_its_target(tmp_path, capsys):
    words = ["--out", str(tmp_path), "--draws", "256"]
    assert main(["solve", "scenarios/hand-solved.toml", *words]) == 0
    (kept,) = tmp_path.iterdir()
    document = json.loads((kept / "run.json").read_text())
    capsys.readouterr()
    for goal in document["goals"]:
        assert main(["explain", str(kept), goal["goal"]]) == 0
        told = capsys.readouterr().out
        odds = Estimate.from_dict(goal["odds"]).text
        assert re.search(rf"reaching the goal of [\d.,]+ ?.*: {re.escape(odds)}\.", told), told
        assert told.index("reaching the goal") < told.index("attaining the target")


def test_what_is_left_of_a_limit_is_told_in_its_unit():
    entry = next(e for e in limits("adventureworks-base") if e["name"] == "budget.pay")
    scenario = run("adventureworks-base").scenario
    told = " ".join(limit_sentences(scenario, explain_limit(run("adventureworks-base").graph, *at(), entry)))
    assert re.search(r"[\d,]+ USD are left\. Less than [\d,]+ USD would change the plan\.", told), told
    units = [unit_of_limit(scenario, name) for name in ("capacity.hours@michael-blythe", "budget.pay", "rules.x")]
    assert units == ["hours", "USD", ""]


def at() -> tuple[np.ndarray, np.ndarray]:
    return run("adventureworks-base").plan.stretch, run("adventureworks-base").plan.levels


LOCKED_TOTAL = """
schema = 1
name = "A total that a person fixed"
[kpi.k]
unit = "EUR"
step = 1
DRIVERS
[kpi.d]
unit = "calls"
[unit.co]
[unit.b]
parent = "co"
[unit.c]
parent = "co"
[cell."co/k"]
lock = 4
lock_reason = "board"
lock_owner = "Ann"
[cell."b/k"]
baseline = 20
max_stretch = 5
[cell."c/k"]
baseline = 10
max_stretch = 5
[cell."b/d"]
baseline = 10
max_stretch = 6
[goal.k]
target = 47
[goal.d]
target = 16
"""


@pytest.mark.parametrize(
    ("drivers", "said"),
    [
        ("", "Locked: k of co at 34 EUR: board (Ann)."),
        (
            'drivers = { d = { contribution = 2, spread = "even" } }',
            "k of co at a stretch of +4 EUR; with +12 EUR from what drives it the target is 46 EUR: board (Ann).",
        ),
    ],
)
def test_a_locked_total_is_no_stretch_of_nothing_and_no_part_of_a_swap(tmp_path, drivers, said):
    (tmp_path / "s.toml").write_text(LOCKED_TOTAL.replace("DRIVERS", drivers))
    locked = kpiopt.solve(tmp_path / "s.toml", simulate=False)
    assert said in " ".join(plain_text(render_summary(locked), 110).split())
    cell = locked.graph.cell[locked.graph.find_node("k", locked.scenario.units.position["b"])]
    stretch = locked.plan.stretch.copy()
    stretch[~locked.scenario.cells.has_decision] = 4.0  # as a kept plan says it of totals
    swap = find_swap(locked.graph, stretch, locked.plan.levels, locked.as_dict()["steps"], int(cell))
    assert [(taken.unit, taken.kpi) for taken in swap.taken] == [("c", "k")]
    assert swap.taken[0].amount == pytest.approx(swap.less)


def test_targets_are_listed_in_the_order_of_the_file(tmp_path):
    text = LOCKED_TOTAL.replace("DRIVERS", "drivers = { d = 2 }").replace(
        "[unit.b]", "[unit.zz]\nparent = 'co'\n[unit.b]"
    )
    (tmp_path / "s.toml").write_text(text + '[cell."zz/k"]\nbaseline = 3\n')
    graph = build_graph(kpiopt.load(tmp_path / "s.toml"))
    assert list_targets(graph) == ["co/k", "co/d", "zz/k", "b/k", "b/d", "c/k"]
