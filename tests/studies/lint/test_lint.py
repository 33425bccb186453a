"""`check --lint`: every question is asked where it should be, and none where the map is whole."""

import json
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.graph import build_graph
from kpiopt.scenario.load import check_scenario
from kpiopt.studies.lint import lint_map
from kpiopt.studies.lint.units_of_measure import Measures

WHOLE = """
schema = 1
name = "Whole"
[objective.grow]
critical = true
[objective.serve]
[kpi.sales]
objective = "grow"
unit = "kUSD"
[kpi.sales.drivers]
visits = { contribution = 2, at = "person", unit = "kUSD per visit" }
[kpi.visits]
objective = "serve"
unit = "visits"
[unit.co]
[unit.ann]
parent = "co"
level = "person"
[unit.bob]
parent = "co"
level = "person"
[cell."ann/sales"]
baseline = 100
max_stretch = 10
[cell."ann/visits"]
baseline = 10
max_stretch = 5
[cell."bob/sales"]
baseline = 100
max_stretch = 10
[cell."bob/visits"]
baseline = 10
max_stretch = 5
[goal.sales]
target = 220
"""


def asked(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "s.toml"
    path.write_text(text, "utf-8")
    scenario, found, document = check_scenario(path)
    assert scenario is not None, list(found)
    questions = lint_map(build_graph(scenario), document)
    assert all(q.message and q.rule and q.fix for q in questions)
    return [f"{q.code}: {q.message}" for q in questions]


def test_nothing_is_asked_of_a_whole_map(tmp_path):
    assert asked(tmp_path, WHOLE) == []


@pytest.mark.parametrize(
    ("old", "new", "question"),
    [
        ("[objective.serve]", "[objective.serve]\n[objective.learn]",
         "L-objective-no-kpi: no KPI measures objective 'learn'"),
        ("[objective.serve]", "[objective.serve]\ncritical = true",
         "L-critical-open: critical objective 'serve' has neither a goal nor an initiative"),
        ("[kpi.visits]", "[kpi.price]\nunit = \"USD\"\nbaseline = 3\n[kpi.visits]",
         "L-kpi-fixed: nothing that anybody decides moves 'price'"),
        ("[goal.sales]", "[goal.price]\ntarget = 4\n[goal.sales]", "L-goal-fixed: no decision reaches goal 'price'"),
        ('[cell."bob/visits"]\nbaseline = 10\nmax_stretch = 5\n', '', "L-few-kpis: bob has one KPI alone"),
        ('unit = "kUSD per visit"', 'unit = "USD per visit"',
         "L-unit: the contribution of visits to sales is in USD per visit, and the KPIs are in kUSD per visits"),
        ('unit = "kUSD per visit"', 'unit = "kUSD per day"',
         "L-unit: the contribution of visits to sales is in kUSD per day, and the KPIs are in kUSD per visits"),
    ],
)  # fmt: skip
def test_each_question_where_it_belongs(tmp_path, old, new, question):
    text = WHOLE.replace(old, new, 1)
    if "price" in new and "[kpi.price]" not in text:
        text = text.replace("[kpi.visits]", '[kpi.price]\nunit = "USD"\nbaseline = 3\n[kpi.visits]')
    assert question in asked(tmp_path, text)


def test_people_with_many_kpis(tmp_path):
    each = '[kpi.k{0}]\n[cell."bob/k{0}"]\nbaseline = 1\nmax_stretch = 1\n[goal.k{0}]\ntarget = 2\n'
    more = "".join(each.format(i) for i in range(6))
    found = asked(tmp_path, WHOLE + more)
    assert "L-many-kpis: bob has more than 7 KPIs" in found


def test_who_cannot_see_a_goal(tmp_path):
    dana = '[kpi.tidy]\n[unit.dana]\nparent = "co"\n[cell."dana/tidy"]\nbaseline = 1\nmax_stretch = 1\n'
    assert "L-no-line-of-sight: nothing that dana can move reaches a goal" in asked(tmp_path, WHOLE + dana)


def test_a_map_of_results_alone(tmp_path):
    text = WHOLE.replace(
        '[kpi.sales.drivers]\nvisits = { contribution = 2, at = "person", unit = "kUSD per visit" }\n', ""
    )
    more = '[kpi.third]\n[cell."bob/third"]\nbaseline = 1\nmax_stretch = 1\n[goal.third]\ntarget = 1\n'
    assert any(q.startswith("L-balance: none of the 3 KPIs drives another") for q in asked(tmp_path, text + more))


@pytest.mark.parametrize(
    ("declared", "effect", "cause", "factor"),
    [
        ("USD per pt", "USD", "%", 1.0),
        ("USD per pt", "kUSD", "points", 1e-3),
        ("kUSD/hour", "USD", "minutes", 1000 / 60),
        ("USD per visit", "USD", "visits", 1.0),
        ("€ per day", "EUR", "days", 1.0),
        ("minutes per 1,000 systems", "minutes", "systems", 1e-3),
        ("USD per pt", "USD", "days", None),
        ("visits", "visits per day", "days", None),
        ("1", "%", "points", 1.0),
        ("1 per visit", "%", "visits", None),
        ("__x per ._", "__x", "._", 1.0),
        ("kUSD per session", "USD", None, 1000.0),
        ("hours per session", "kUSD", None, None),
        ("per session", "%", None, None),
    ],
)
def test_arithmetic_of_units(declared, effect, cause, factor):
    found = Measures().factor(declared, effect, cause)
    assert found == (None if factor is None else pytest.approx(factor, rel=1e-12))


def test_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "s.toml"
    path.write_text(WHOLE.replace("[objective.serve]", "[objective.serve]\n[objective.learn]"), "utf-8")
    assert main(["check", str(path), "--lint"]) == 0
    said = capsys.readouterr().out
    assert "L-objective-no-kpi" in said and "questions about the map: 1" in said
    assert main(["check", str(path), "--lint", "--json"]) == 0
    assert [q["code"] for q in json.loads(capsys.readouterr().out)["lint"]] == ["L-objective-no-kpi"]


DAYS = WHOLE.replace('unit = "kUSD"', 'unit = "days"').replace("kUSD per visit", "hours per visit")


def questions(tmp_path: Path, text: str):
    (tmp_path / "s.toml").write_text(text, "utf-8")
    scenario, _, document = check_scenario(tmp_path / "s.toml")
    return {q.message: q for q in lint_map(build_graph(scenario), document) if q.code == "L-unit"}


def test_days_on_the_calendar_and_at_work_are_told_apart(tmp_path):
    (question,) = questions(tmp_path, DAYS).values()
    assert "0.0416667 (1 day = 24 hours" in question.fix and "0.125 (1 day = 8 hours" in question.fix
    assert question.location.line == 11


@pytest.mark.parametrize("unit", ["kUSD per 0 visits", "kUSD per ", "kUSD / / visits", "0", "/", "per", "1e999", " "])
def test_what_is_no_unit_is_asked_about_and_breaks_nothing(unit, tmp_path):
    found = questions(tmp_path, WHOLE.replace("kUSD per visit", unit, 1))
    assert len(found) == (unit.strip() != "")


@pytest.mark.parametrize("unit", ["0 visits", "/", "%/", "per", "_", "."])
def test_units_of_kpis_break_nothing(unit, tmp_path):
    questions(tmp_path, WHOLE.replace('unit = "visits"', f'unit = "{unit}"'))


def test_a_unit_beside_a_kpi_without_one_is_asked_about(tmp_path):
    (message,) = questions(tmp_path, WHOLE.replace('unit = "visits"\n', ""))
    assert message.endswith("is in kUSD per visit, and visits has no unit of measure")


@pytest.mark.parametrize(
    ("unit", "fix"),
    [
        ("USD per session", "multiply it by 0.001"),
        ("USD", "multiply it by 0.001"),
        ("hours per session", 'write it in "kUSD per unit of tool"'),
        ("kUSD per session", None),
    ],
)
def test_units_of_effects_and_of_factors_are_compared(unit, fix, tmp_path):
    tool = '[initiative.tool]\nmax = 2\n[initiative.tool.effects]\nsales = { contribution = 5, unit = "UNIT" }\n'
    market = "[factor.tool]\nvalue = 1\n"
    driver = '[kpi.sales.drivers]\ntool = { contribution = 2, unit = "UNIT" }\n'
    for text in (WHOLE + tool, WHOLE.replace("[kpi.sales.drivers]\n", driver) + market):
        found = list(questions(tmp_path, text.replace("UNIT", unit)).values())
        assert len(found) == (fix is not None)
        assert fix is None or (fix in found[0].fix and "tool to sales is in " + unit in found[0].message)


ONLY = """
schema = 1
name = "only"
[kpi.d]
direction = "down"
unit = "days"
[unit.c]
[cell."c/d"]
baseline = 9
{}
[goal.d]
target = 8
"""
NO_CASH = "[budget.cash]\nlimit = 0\n[initiative.i]\nmax = 2\nuses.cash = 1\neffects = { d = -1 }"
NO_LEVEL = "[initiative.i]\nmax = 0\neffects = { d = -1 }"


@pytest.mark.parametrize("more", ["max_stretch = 0", "lock = 1\nlock_reason = 'x'", NO_CASH, NO_LEVEL])
def test_what_has_no_room_moves_nothing(more, tmp_path):
    found = asked(tmp_path, ONLY.format(more))
    assert any(q.startswith("L-kpi-fixed") for q in found) and any(q.startswith("L-goal-fixed") for q in found)
    if "initiative" not in more:
        assert any(q.startswith("L-no-line-of-sight") for q in found)


def test_what_makes_a_goal_worse_is_asked_about(tmp_path):
    more = "max_stretch = 2\n[kpi.f]\nbaseline = 3\n[initiative.i]\nmax = 2\neffects = { f = 2, d = SIGN3 }"
    said = "L-sign: initiative 'i' makes 'd' worse, of which lower is better and a goal asks"
    assert said in asked(tmp_path, ONLY.format(more.replace("SIGN", "")))
    assert said not in asked(tmp_path, ONLY.format(more.replace("SIGN", "-")))


@pytest.mark.parametrize(("lag", "start", "fixed"), [(0, "A", False), (1, "A", True), (0, "B", True)])
def test_a_goal_of_a_period_that_nothing_reaches_in_time(lag, start, fixed, tmp_path):
    periods = '[periods]\nnames = ["A", "B"]\n[kpi.d]\nkind = "flow"\n'
    text = ONLY.replace("[kpi.d]\n", periods).replace("target = 8", 'target = 4\nperiod = "A"')
    driven = '[initiative.i]\nmax = 2\nstart = ["START"]\neffects = { d = { contribution = -1, lag = LAG } }'
    cause = (
        '[kpi.s]\n[kpi.d.drivers]\ns = { contribution = -1, lag = LAG }\n[cell."c/s"]\nbaseline = 9\nmax_stretch = 2'
    )
    for more in (driven, cause) if start == "A" else (driven,):
        found = asked(tmp_path, text.format(more.replace("START", start).replace("LAG", str(lag))))
        assert any(q.startswith("L-goal-fixed") for q in found) == fixed
