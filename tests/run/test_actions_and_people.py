"""Actions that belong together, and settings that do nothing or cannot be: each is said where it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.run.judge import judge_rule
from kpiopt.simulation.intervene import intervene
from tests.from_text import codes, run_of

PAIR = """
schema = 1
name = "pair"
[kpi.out]
[unit.co]
[unit.a]
parent = "co"
[cell."a/out"]
baseline = 100
max_stretch = 0
[initiative.crm]
levels = [{least}1]
uses = {{ cash = 20 }}
{crm}
[initiative.course]
units = {{ unit = "a" }}
levels = [0, 1]
uses = {{ cash = 10 }}
effects = {{ out = 12 }}
{course}
[budget.cash]
limit = {cash}
[goal.out]
target = 112
"""
BOTH = {"crm": 'needs = ["course"]', "course": 'needs = ["crm"]', "least": "0, "}


@pytest.mark.parametrize(("cash", "levels"), [(29, [0, 0]), (30, [1, 1])])
def test_two_that_need_each_other_run_both_or_neither(tmp_path: Path, cash: int, levels: list[int]) -> None:
    """The course is worth 12 and costs 10, but only with the CRM, which costs 20 more and does nothing by itself.

    Both are decided by the same unit: what is needed is decided there or above.
    """
    text = PAIR.format(cash=cash, **BOTH).replace('units = { unit = "a" }\n', "")
    assert run_of(tmp_path, text).plan.levels.tolist() == levels


def test_an_action_does_not_pass_over_what_it_needs(tmp_path: Path) -> None:
    text = PAIR.format(cash=5, crm="", course='needs = ["crm"]', least="0, ")
    run = run_of(tmp_path, text)
    graph, stretch, levels = run.graph, run.plan.stretch, run.plan.levels
    with pytest.raises(UsageError, match="course at a needs crm at co"):
        intervene(graph, stretch, levels, act=["course=1"])
    found = intervene(graph, stretch, levels, act=["course=1", "crm=1"])
    assert found.after.goals[0].odds.estimate == 1
    with pytest.raises(UsageError, match="course at a needs crm at co"):
        intervene(graph, stretch, np.ones(graph.n_levels), act=["crm=0"])


def test_an_action_does_not_pass_over_what_excludes_it(tmp_path: Path) -> None:
    text = PAIR.format(cash=20, crm="", course='not_with = ["crm"]', least="0, ")
    run = run_of(tmp_path, text)
    with pytest.raises(UsageError, match="course at a and crm at co exclude each other"):
        intervene(run.graph, run.plan.stretch, run.plan.levels, act=["crm=1"])


def test_a_rule_leaves_out_what_runs_in_every_plan(tmp_path: Path) -> None:
    text = PAIR.format(cash=30, crm="", course="", least="")
    (tmp_path / "s.toml").write_text(text, "utf-8")
    judged = judge_rule(build_graph(kpiopt.load(tmp_path / "s.toml")), "proportional")
    broken = {limit.name: (limit.limit, limit.used) for limit in judged.broken}
    assert broken == {"initiative.crm@co": (1, 0), "max_stretch@a/out": (0, 12)}


PEERS = """
schema = 1
name = "peers"
unit.co.level = "company"
unit.a = {{ parent = "co", level = "rep" }}
unit.b = {{ parent = "co", level = "rep" }}
kpi.sales = {{ step = 1 }}
goal.sales.target = 330
[cell]
"a/sales" = {{ baseline = 200, max_stretch = 100 }}
"b/sales" = {{ baseline = 100, max_stretch = 100 }}
[guardrail.x]
{guardrail}
"""


@pytest.mark.parametrize(
    ("guardrail", "refused"),
    [
        ("least = 1.2", True),
        ("most = 0.9", True),
        ('least = 1.2\nwhere = { unit = "a" }', False),
        ('least = 2.5\nwhere = { unit = "a" }', True),
        ("least = 1.0", False),
        ('most = 0.9\nwhere = { unit = "a" }', False),
    ],
)
def test_not_all_peers_are_above_their_mean(tmp_path: Path, guardrail: str, refused: bool) -> None:
    text = PEERS.format(guardrail=guardrail)
    if refused:
        assert codes(tmp_path, text) == ["E-guardrail-peers"]
    else:
        assert run_of(tmp_path, text).goals[0].met


PEOPLE = """
schema = 1
name = "people"
unit = {{ co = {{ level = "company" }}, a = {{ parent = "co", level = "rep", {unit} }} }}
kpi.sales = {{ step = 1 }}
goal.sales.target = 230
[cell."a/sales"]
baseline = 200
max_stretch = 50
effort.hours = 1
{more}
"""
RATE, RAMP = "[capacity.hours]\nper_head = 100", "[ramp.new]\nmonths = [0.5, 1.0]"


@pytest.mark.parametrize(
    ("unit", "more", "words"),
    [
        ("capacity = { hours = 100 }", RAMP, "ramp 'new' is about no unit whose capacity follows from a head count"),
        ('head_count = 1, start = ""', RATE, 'start = "", which is no start'),
        ('capacity = { hours = 100 }, start = ""', "", 'start = "", which is no start'),
        ("head_count = 2, capacity = { hours = 100 }", RATE, "capacities of its own count before it"),
        (
            "capacity = { hours = 100 }",
            '[capacity.hours]\nattrition = 0.1\n[periods]\nnames = ["H1", "H2"]',
            "nobody leaves: 'hours' has no per_head",
        ),
    ],
)
def test_what_no_capacity_follows_from_is_told(tmp_path: Path, unit: str, more: str, words: str) -> None:
    (tmp_path / "s.toml").write_text(PEOPLE.format(unit=unit, more=more), "utf-8")
    said = [p.message for p in kpiopt.check(tmp_path / "s.toml").warnings if p.code == "W-no-effect"]
    assert [message for message in said if words in message] != [], said


def test_heads_that_are_used_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(PEOPLE.format(unit="head_count = 1", more=f"{RATE}\n{RAMP}"), "utf-8")
    assert [p.message for p in kpiopt.check(tmp_path / "s.toml").warnings] == []


def test_a_wrong_head_count_is_the_only_finding(tmp_path: Path) -> None:
    """Not that no unit has one; and 80 % of availability is a share."""
    table = "unit,parent,level,head_count,availability\nco,,company,,\na,co,rep,x,80%\n"
    (tmp_path / "u.csv").write_text(table, "utf-8")
    unit = PEOPLE[PEOPLE.index("unit =") : PEOPLE.index("kpi.sales")]
    text = PEOPLE.replace(unit, "").format(unit="", more=f'{RATE}\n[tables]\nunits = "u.csv"')
    assert codes(tmp_path, text) == ["E-number", "E-number-unit"]
    fix = kpiopt.check(tmp_path / "s.toml").errors[1].fix
    assert fix == "write 0.8: availability is a share, 1 is all of it"
