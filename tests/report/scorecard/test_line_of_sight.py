"""Each amount of a line of sight is what following that way by hand does there, and words and map tell the same."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from kpiopt.report.page.page import PageTable
from kpiopt.report.page.source import ReportSource, source_of_run
from kpiopt.report.scorecard.line_of_sight import all_sights, largest, sight_map, sight_sentences
from kpiopt.report.scorecard.scorecard import build_scorecard
from tests.from_text import run_of
from tests.report.organizations import SPREAD

CLAUSE = re.compile(
    r"(?:by way of (?P<way>\w+) elsewhere )?(?P<verb>raises|lowers) (?P<your>your )?(?P<kpi>\w+)"
    r"(?P<whole> of the (?:organization|unit with that goal))? by (?:about )?(?P<n>[\d,.]+)"
)


@cache
def source() -> ReportSource:
    with TemporaryDirectory() as folder:
        return source_of_run(run_of(Path(folder), SPREAD), "spread-12345678")


def own_nodes(unit: int) -> list[int]:
    graph = source().graph
    return [n for n in range(graph.n_nodes) if graph.unit[n] == unit and np.isfinite(source().targets[n])]


def followed(start: int, way: list[int]) -> np.ndarray:
    """Send one more at a node along a way of KPIs, edge by edge; nothing else takes part."""
    graph = source().graph
    steps = set(zip(way, way, strict=True)) | set(pairwise(way))
    moved = np.zeros(graph.n_nodes)
    moved[start] = 1.0
    order = np.argsort(graph.tail, kind="stable")  # tails come before heads
    for edge in order.tolist():
        tail, head = int(graph.tail[edge]), int(graph.head[edge])
        if (int(graph.kpi[tail]), int(graph.kpi[head])) in steps:
            moved[head] += moved[tail] * graph.coefficient[edge]
    return moved


@pytest.mark.parametrize("unit", ["co", "north", "south", "ann", "bob", "cyd"])
def test_every_amount_is_what_following_its_way_gives(unit):
    found, units = source(), source().scenario.units
    at, names = units.position[unit], {k.name: i for i, k in enumerate(found.scenario.kpis.values())}
    told = 0
    for sight in all_sights(found, own_nodes(at)):
        for sentence in sight_sentences([sight]):
            if sentence.startswith("Along"):
                continue
            clauses = list(CLAUSE.finditer(sentence))
            assert len(clauses) == len(re.findall("raises|lowers", sentence))
            way = [names[sight.kpi.name]]
            for clause in clauses:
                way += [names[name] for name in (clause["way"], clause["kpi"]) if name and names[name] != way[-1]]
            moved = followed(found.graph.find_node(sight.kpi.id, at), way) * sight.change
            for clause in clauses:
                kpi = list(found.scenario.kpis.values())[names[clause["kpi"]]]
                where = at if clause["your"] else 0 if "organization" in clause["whole"] else int(sight.goal.unit)
                size = float(clause["n"].rstrip(".,").replace(",", "")) * (1 if clause["verb"] == "raises" else -1)
                assert size == pytest.approx(moved[found.graph.find_node(kpi.id, where)], rel=0.051), sentence
                told += 1
    assert told >= 20 or unit in ("north", "south")


def test_what_has_left_a_unit_is_told_of_the_organization():
    """Ten days are 0.2 points less leaving, 6 visits of everybody (not the share of the first person), 6 · 480 EUR."""
    found = source()
    north = own_nodes(found.scenario.units.position["north"])
    lines = [line for sight in all_sights(found, north) for line in sight_sentences([sight])]
    begun = "Improving Days by 10 lowers Leaving of the organization by 0.2 points, which raises "
    assert (
        f"{begun}Visits of the organization by 6, which raises Revenue of the organization by about 2,900 EUR." in lines
    )
    assert f"{begun}your Visits by about 3.6." in lines  # 6 · 910 / 1,500


@pytest.mark.parametrize("unit", ["co", "north", "ann", "cyd"])
def test_words_and_map_go_the_same_ways(unit):
    found = source()
    nodes = own_nodes(found.scenario.units.position[unit])
    sights = largest(all_sights(found, nodes))
    drawn = sight_map(found, nodes, sights)
    assert drawn is not None
    names = {card.id: card.name for card in drawn.cards}
    arrows = {(names[a.cause], names[a.effect], a.amount > 0) for a in drawn.arrows}
    told = set()
    for sentence in sight_sentences(sights):
        if not sentence.startswith("Improving"):
            continue
        name = sentence.split()[1]
        before, sign = f"Your {name}", next(k.sign for k in found.scenario.kpis.values() if k.name == name)
        clauses = list(CLAUSE.finditer(sentence))
        for i, clause in enumerate(clauses):
            after = f"{'Your ' if clause['your'] and i < len(clauses) - 1 else ''}{clause['kpi']}"
            up = 1 if clause["verb"] == "raises" else -1
            told.add((before, after, up == sign))
            before, sign = after, up
    assert told == arrows
    every = all_sights(found, nodes)
    more = sight_map(found, nodes, sights, every)
    assert more is not None and [c.id for c in more.cards] == [c.id for c in drawn.cards]
    assert {(a.cause, a.effect) for a in more.arrows} >= {(a.cause, a.effect) for a in drawn.arrows}


def test_arrows_between_cards_are_those_of_every_way(tmp_path):
    """Ann's Repair acts on her Renewals, her Complaints and her Visits: all three arrows stand where the cards do."""
    found = source()
    nodes = own_nodes(found.scenario.units.position["ann"])
    every = all_sights(found, nodes)
    drawn = sight_map(found, nodes, largest(every), every)
    assert drawn is not None
    own = {a.effect for a in drawn.arrows if a.cause == "kpi.own.repair"}
    cards = {card.id for card in drawn.cards}
    assert own == {f"kpi.own.{kpi}" for kpi in ("visits", "renewal", "complaints")} & cards and len(own) >= 2


@pytest.mark.parametrize("unit", ["co", "north", "south", "ann", "bob", "cyd"])
def test_what_moves_a_kpi_adds_up_to_what_is_asked(unit):
    found, scenario = source(), source().scenario
    page = build_scorecard(found, scenario.units.position[unit])
    blocks = [b for s in page.sections for b in s.blocks if isinstance(b, PageTable)]
    asked = next(b for b in blocks if b.title == "What is asked of you")
    moved = next(b for b in blocks if b.title == "Actions and causes")
    kpis = {k.name: k for k in scenario.kpis.values()}
    told = {}
    for name, _, _, size in moved.rows:
        if name:
            told[name] = told.get(name, 0.0) + float(size.split()[0].replace(",", ""))
    for row in asked.rows:
        node = found.graph.find_node(kpis[row[0]].id, unit)
        change = float(found.targets[node] - found.graph.baseline[node])
        step = kpis[row[0]].step or abs(change) / 100
        assert told.get(row[0], 0.0) == pytest.approx(change, rel=0.004, abs=0.06 * step), row[0]
        assert row[-1], row[0]  # why not more


def test_the_headline_names_a_goal_first():
    found = source()
    assert "A change is asked of Complaints, from 60 to" in build_scorecard(found, 0).headline
    north = build_scorecard(found, found.scenario.units.position["north"]).headline
    assert "A change is asked of Visits, from 910 to" in north and "(a goal)" in north
