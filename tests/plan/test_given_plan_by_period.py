"""Plans made elsewhere by period: what is left to periods without a row is told, and shown with its period."""

import json

import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.graph import build_graph
from kpiopt.run.judge import judge_rule

TEXT = """schema = 1
name = "m"
periods = ["p1", "p2", "p3"]
[kpi.sales]
KIND
[unit.co]
[unit.a]
parent = "co"
[cell."a/sales"]
baseline = 90
max_stretch = 200
[goal.sales]
target = 300
"""
HEAD = "unit,kpi,period,stretch,target\n"


def judged(tmp_path, rows, kind="", more=""):
    scenario, table = tmp_path / "s.toml", tmp_path / "plan.csv"
    scenario.write_text(TEXT.replace("KIND", kind) + more, "utf-8")
    table.write_text(HEAD + rows, "utf-8")
    return judge_rule(build_graph(kpiopt.load(scenario)), str(table))


@pytest.mark.parametrize(
    ("rows", "kind", "derived"),
    [
        ("a,sales,,10,\na,sales,p1,60,\n", "", [60, -25, -25]),
        ("a,sales,p2,60,\na,sales,,,100\n", "", [-25, 60, -25]),
        ("a,sales,,10,\na,sales,p1,60,\n", 'roll_up = "mean"', [60, -25, -25]),
        ("a,sales,,,100\na,sales,p1,,60\n", "", [30, -10, -10]),
        ("a,sales,,,100\na,sales,p1,40,\n", 'kind = "stock"', [40, -15, -15]),
    ],
)
def test_a_stretch_below_nothing_that_is_left_to_a_period_is_told(tmp_path, rows, kind, derived):
    found = judged(tmp_path, rows, kind)
    assert found.plan.stretch == pytest.approx(derived)
    (note,) = [note for note in found.notes if note.code == "W-period-rest"]
    for t, x in enumerate(derived):
        assert (f"{x} in p{t + 1}" in note.message) == (x < 0)
    assert f"plan.csv:{2 if rows.startswith('a,sales,,') else 3}" in str(note.location)
    broken = {limit.name: (limit.limit, limit.used) for limit in found.broken}
    assert broken == {f"min_stretch@a/sales/p{t + 1}": pytest.approx((0.0, x)) for t, x in enumerate(derived) if x < 0}


@pytest.mark.parametrize(
    "rows",
    [
        "a,sales,,60,\na,sales,p1,60,\n",
        "a,sales,,60,\na,sales,p1,10,\n",
        "a,sales,,,100\na,sales,p1,,40\n",
        "a,sales,p1,60,\na,sales,p2,60,\na,sales,p3,0,\n",
    ],
)
def test_what_leaves_the_others_something_or_nothing_is_not(tmp_path, rows):
    found = judged(tmp_path, rows)
    assert [note.code for note in found.notes] == []
    assert found.broken == ()


def test_less_over_the_horizon_is_one_limit_and_not_one_for_each_period(tmp_path):
    found = judged(tmp_path, "a,sales,,-6,\n")
    assert [(limit.name, limit.used) for limit in found.broken] == [("min_stretch@a/sales", -6.0)]
    found = judged(tmp_path, "a,sales,p1,-6,\na,sales,p2,6,\na,sales,p3,0,\n")
    assert [(limit.name, limit.used) for limit in found.broken] == [("min_stretch@a/sales/p1", -6.0)]
    assert found.notes == ()


def test_a_lock_below_the_baseline_is_no_broken_range(tmp_path):
    more = '[cell."a/sales/p2"]\nlock = -3\nlock_reason = "works"\n'
    found = judged(tmp_path, "a,sales,p1,6,\na,sales,p2,-3,\na,sales,p3,0,\n", more=more)
    assert found.broken == ()


def test_targets_are_shown_with_their_period(tmp_path, capsys):
    judged(tmp_path, "a,sales,p1,60,\na,sales,p2,40,\na,sales,p3,0,\n")
    words = ["solve", str(tmp_path / "s.toml"), "--plan", str(tmp_path / "plan.csv"), "--no-simulation"]
    assert main(words) == 0
    lines = [line.split() for line in capsys.readouterr().out.partition("Targets")[2].splitlines()]
    assert ["unit", "KPI", "period", "baseline", "target", "change"] in lines
    rows = [["in", "all", "90", "190", "+111.1", "%"], ["p1", "30", "90", "+200.0", "%"], ["p2", "30", "70", "+133.3"]]
    for unit in ("co", "a"):
        shown = [line[2:] for line in lines if line[:2] == [unit, "sales"]]
        assert [line[: len(row)] for line, row in zip(shown, rows, strict=True)] == rows
    assert main([*words, "--json"]) == 0
    assert {row["period"] for row in json.loads(capsys.readouterr().out)["targets"]} == {None, "p1", "p2", "p3"}


def test_a_row_without_a_figure_is_named_with_its_period(tmp_path):
    with pytest.raises(kpiopt.errors.TableError, match="a/sales/p2 has neither a target nor a stretch"):
        judged(tmp_path, "a,sales,p1,60,\na,sales,p2,,\na,sales,p3,0,\n")
