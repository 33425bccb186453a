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
    assert "L-many-kpis: bob has more than 7 KPIs each" in found


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
