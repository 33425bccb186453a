"""The page, the terminal and the JSON document say the same of one plan, in the words of a planner."""

import json

import kpiopt
from kpiopt.cli.app import main
from kpiopt.report.limits import next_steps, worth_words
from kpiopt.report.page.limits import limits_section
from kpiopt.report.page.proof import proof_section
from kpiopt.report.page.source import source_of_run

STEPS = """
schema = 1
name = "Booths"
currency = "EUR"
[kpi.sales]
unit = "EUR"
step = 1
[kpi.waits]
name = "Waiting"
unit = "days"
direction = "down"
step = 1
[unit.co]
[unit.ann]
name = "Ann"
parent = "co"
level = "person"
[cell."ann/sales"]
baseline = 100
lock = 20
lock_reason = "agreed with the works council"
lock_owner = "Dr. M."
[cell."ann/waits"]
baseline = 30
lock = 4
[goal.sales]
target = 500
[initiative.booth]
max = 5
whole = true
uses = { cash = 2 }
[initiative.booth.effects]
sales = 3
[budget.cash]
limit = 4
"""
MAXIMIZE = """
schema = 1
name = "As much as can be"
[kpi.sales]
baseline = 100
[unit.co]
[goal.sales]
target = 200
[initiative.booth]
max = 5
uses = { cash = 2 }
[initiative.booth.effects]
sales = 3
[budget.cash]
limit = 4
[decide]
order = ["maximize", "cost", "reference"]
"""


def solved(tmp_path, text):
    path = tmp_path / "s.toml"
    path.write_text(text, "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=False)


def test_the_page_says_who_locked_what_and_why_and_what_the_next_whole_step_brings(tmp_path):
    """Two booths take all 4; one booth takes 2, three take 6: each is told with what it does to sales."""
    run = solved(tmp_path, STEPS)
    section = limits_section(source_of_run(run, "s"))
    assert list(section.lines) == next_steps(run) and len(section.lines) == 2
    assert section.lines[0].startswith("cash budget: 2 less (2) would mean sales 3 EUR further from its target")
    assert section.lines[1].startswith("cash budget: 2 more (6) would bring sales 3 EUR closer to its target")
    assert list(section.blocks[0].rows[0][4:6]) == ["see above", "see above"]
    (table,) = (block for block in section.blocks if block.title == "Locks")
    assert list(table.rows) == [
        ("Ann", "sales", "a stretch of +20 EUR", "120 EUR", "agreed with the works council", "Dr. M."),
        ("Ann", "Waiting", "a stretch of -4 days", "26 days", "", ""),
    ]


def test_the_value_of_maximize_is_published_as_a_planner_reads_it(tmp_path, capsys):
    """Two booths bring 6: (100 + 6) / (200 - 100) of the goal's way, above 0 wherever it is published."""
    path, runs = tmp_path / "s.toml", tmp_path / "runs"
    run, told = solved(tmp_path, MAXIMIZE), 1.06
    section = proof_section(source_of_run(run, "s"))
    (table,) = (block for block in section.blocks if block.title == "Certificate")
    assert table.rows[0][1].startswith("1.060 ")
    assert main(["solve", str(path), "--out", str(runs), "--no-simulation", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert abs(document["steps"][0]["value"] - told) < 1e-9
    folder = runs / document["run"]
    kept = json.loads((folder / "certificate.json").read_text("utf-8"))["steps"][0]
    assert abs(kept["value"] - told) < 1e-9
    assert main(["verify", str(folder)]) == 0
    swept = ["sweep", str(path), "--over", "budget.cash.limit=4:6:2", "--out", str(runs), "--no-simulation", "--json"]
    capsys.readouterr()
    assert main(swept) == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert [round(point["steps"]["maximize"], 9) for point in points] == [1.06, 1.09]
    assert "shortfall of maximize" not in (folder / "report.html").read_text("utf-8")


def test_no_step_is_called_the_shortfall_of_itself(tmp_path):
    scenario = solved(tmp_path, MAXIMIZE).scenario
    for step in ("maximize", "fairness", "fairness 2", "cost", "met 1", "odds", "cvar", "promise"):
        for verb in ("less", "more"):
            assert f"shortfall of {step}" not in worth_words(scenario, (), step, 0.5, verb)
    assert worth_words(scenario, (), "maximize", 0.5, "less") == "weighted goal value 0.5000 higher"
    assert worth_words(scenario, (), "maximize", 0.5, "more") == "weighted goal value 0.5000 lower"
    assert worth_words(scenario, (), "goals 2", 0.5, "less") == (
        "shortfall of the goals of priority 2 50 percentage points lower"
    )
