"""A card shows the target that targets.csv has; a goal that is another figure stands beside it, with its own odds."""

from __future__ import annotations

import numpy as np
import pytest

from kpiopt.report.page.source import source_of_run
from kpiopt.report.strategy_map.collect import collect_map
from kpiopt.report.strategy_map.drawing import card_text, draw_map
from kpiopt.report.strategy_map.texts import map_as_dict, map_as_dot, map_as_mermaid
from tests.from_text import run_of
from tests.report.organizations import SPREAD


def test_each_card_has_the_target_and_what_its_odds_are_about(tmp_path):
    source = source_of_run(run_of(tmp_path, SPREAD, simulate=True), "s-1")
    found, scenario = collect_map(source.map_source()), source.scenario
    document = {card["id"]: card for card in map_as_dict(found)["cards"]}
    goals = {g.kpi: g for g in scenario.goals.values() if g.unit == 0}
    beside = 0
    for card in found.cards:
        if card.kind != "kpi":
            continue
        kpi = card.id.removeprefix("kpi.")
        target = float(source.targets[card.node])
        if abs(target) < 1e5:
            assert float(card.after.replace(",", "")) == pytest.approx(target, rel=1e-3), kpi
        if kpi not in goals or np.isnan(target):
            assert card.goal_value == ""
            continue
        goal, odds = goals[kpi], source.goal_odds[kpi]
        assert card.odds == odds
        assert (card.goal_value == "") == (target == goal.target)
        if card.goal_value:
            beside += 1
            assert f"goal {card.goal_value} {card.unit}; odds of the goal {odds.text}" in card_text(found, card)
            assert f"goal {card.goal_value}, its odds:" in str(draw_map(found))
            assert all(f"goal {card.goal_value}: " in text for text in (map_as_dot(found), map_as_mermaid(found)))
        assert document[card.id]["goal_value"] == (card.goal_value or None)
    assert beside


def test_a_goal_that_is_the_target_stands_once(tmp_path):
    text = (
        'schema = 1\nname = "s"\n[kpi.a]\nunit = "cases"\nstep = 1\n[unit.co]\n[cell."co/a"]\nbaseline = 100\n'
        "max_stretch = 40\n[goal.a]\ntarget = 110\n[simulation]\ndraws = 64\n"
    )
    (card,) = collect_map(source_of_run(run_of(tmp_path, text, simulate=True), "s-1").map_source()).cards
    assert (card.before, card.after, card.goal_value) == ("100", "110", "")
