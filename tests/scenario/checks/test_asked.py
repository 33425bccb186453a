"""What is written and says nothing is told: names that stand twice, steps and priorities that are not there."""

from __future__ import annotations

import pytest

import kpiopt

TEXT = """
schema = 1
name = "Asked"
currency = "USD"
[kpi.sales]
[unit.co]
[unit.a]
parent = "co"
level = "p"
capacity.hours = 100
[cell."a/sales"]
baseline = 100
max_stretch = 30
effort.hours = 1
[goal.sales]
target = 120
"""


def told(tmp_path, text: str) -> list[str]:
    path = tmp_path / "asked.toml"
    path.write_text(TEXT + text)
    found = kpiopt.check(path)
    assert not found.errors
    return [warning.message for warning in found.warnings if warning.code == "W-no-effect"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[odds]\np_min = 0.6\ngoals = ["sales", "sales"]\n[uncertainty]\nexecution = "0.7 to 1"', "odds.goals"),
        ('[initiative.x]\nunits = ["a", "a"]\nmax = 1\neffects.sales = 1', "initiative.x.units"),
        ('[guardrail.g]\nwhere = { kpi = ["sales", "sales"] }\ngrowth = [0.1, 0.2]', "guardrail.g.where.kpi"),
        ('[decide]\npeers = ["level", "level"]', "decide.peers"),
    ],
)
def test_a_name_that_stands_twice(tmp_path, text, path):
    (message,) = told(tmp_path, text)
    assert message.startswith(f"{path} names ") and "twice" in message
    names = text.rpartition('", "')
    assert told(tmp_path, names[0] + '"' + names[2].partition('"')[2]) == []


@pytest.mark.parametrize(("setting", "step"), [("cvar = 0.8", "cvar"), ("effort_price = { hours = 3 }", "cost")])
def test_a_setting_of_a_step_that_is_not_taken(tmp_path, setting, step):
    (message,) = told(tmp_path, f'[decide]\norder = ["goals"]\n{setting}')
    assert f"the step `{step}` is not in the order" in message
    assert told(tmp_path, f'[decide]\norder = ["goals", "{step}"]\n{setting}') == []


@pytest.mark.parametrize(
    ("priority", "where"), [(7, "after those of priority 3"), (2, "after those of priority 1"), (0, "before all goals"),
                            (1, None), (3, None)],
)  # fmt: skip
def test_a_priority_that_no_goal_has(tmp_path, priority, where):
    text = f'[goal.more]\nkpi = "sales"\ntarget = 125\npriority = 3\n[odds]\np_min = 0.6\npriority = {priority}'
    found = told(tmp_path, text)
    assert [where in message for message in found] == ([True] if where else [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[relax]\nassign = 1\n", ["relax.assign changes nothing: the scenario has none"]),
        ("[relax]\nbudget = 1\ncapacity = 2\n", ["relax.budget changes nothing: the scenario has none"]),
        ("[relax]\nbudget = 1\n[variant.v.budget.cash]\nlimit = 5\n", []),
        ("[relax]\ncapacity = 2\nmax_stretch = 3\n", []),
        ("[odds]\ndraws = 64\n", ["odds.draws changes nothing of the plan: it promises no odds"]),
        ("[odds]\nseed = 3\n", ["odds.seed changes nothing of the plan: it promises no odds"]),
        ("p_min = 0.5\n[odds]\ndraws = 64\n", []),
        ("[odds]\ndraws = 64\n[variant.v]\ngoal.sales.p_min = 0.5\n", []),
        (
            "[guardrail.g]\ngrowth = [0, 0.1]\n",
            ["guardrail.g.growth changes nothing: every cell that it is about has a range of its own"],
        ),
        ("[guardrail.g]\ngrowth = [0.02, 0.1]\n", []),
        ("[guardrail.g]\ngrowth = [0, 0.1]\n[unit.b]\nparent = 'co'\n[cell.'b/sales']\nbaseline = 5\n", []),
    ],
)
def test_settings_that_nothing_depends_on_are_told(tmp_path, text, said):
    assert told(tmp_path, text) == said
