"""The page, the terminal and the JSON document say the same of one plan, in the words of a planner."""

import json
from dataclasses import replace

import kpiopt
from kpiopt.cli.app import main
from kpiopt.cli.terminal import in_brief, say_problems
from kpiopt.errors import Problem
from kpiopt.report.limits import initiative_lines, next_steps, worth_words
from kpiopt.report.page.goals import goals_section
from kpiopt.report.page.kept_files import summary_text
from kpiopt.report.page.limits import limits_section
from kpiopt.report.page.proof import proof_section
from kpiopt.report.page.source import source_of_run
from kpiopt.report.scorecard.scorecard import build_scorecard
from kpiopt.report.strategy_map.collect import collect_map

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
    less, more = (f"sales would be 3 EUR {way} its target, at other levels" for way in ("further from", "closer to"))
    assert section.lines[0] == f"With 2 less of the cash budget (2), {less} of initiatives."
    assert section.lines[1] == f"With 2 more of the cash budget (6), {more} of initiatives."
    assert list(section.blocks[0].rows[0][4:6]) == ["told above", "told above"]
    (table,) = (block for block in section.blocks if block.title == "Locks")
    assert list(table.rows) == [
        ("Ann", "sales", "a stretch of +20 EUR", "120 EUR", "agreed with the works council", "Dr. M."),
        ("Ann", "Waiting", "a stretch of -4 days", "26 days", "", ""),
    ]


def test_the_value_of_maximize_is_published_as_a_planner_reads_it(tmp_path, capsys):
    """Two booths bring 6: (100 + 6) / (200 - 100) of the distance to the target, above 0 wherever it is published."""
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


def test_what_an_initiative_adds_to_two_goals_on_one_kpi_is_told_once(tmp_path):
    """A booth adds 3 to the sales of the whole and of its unit: the same 6 are no 12."""
    goal = '[goal.anns]\nkpi = "sales"\nat = "ann"\ntarget = 300\n'
    text = STEPS.replace("[initiative.booth]", f"{goal}[initiative.booth]")
    text = text.replace("whole = true", 'whole = true\nunits = ["ann"]')
    told = list(initiative_lines(solved(tmp_path, text)))
    assert told[1].count("+6 EUR of sales") == 1 and "EUR of sales of Ann" not in told[1]


def test_a_card_says_that_its_target_holds_a_cushion(tmp_path):
    lock = 'lock = 20\nlock_reason = "agreed with the works council"\nlock_owner = "Dr. M."'
    text = STEPS.replace(lock, "max_stretch = 50")
    run = solved(tmp_path, f"{text}[over_assignment]\nperson.share = 0.05\n")
    source = source_of_run(run, "s")
    note = build_scorecard(source, source.scenario.units.position["ann"]).sections[0].blocks[0].note
    assert "sales: the target holds a cushion, 5.0 % above what the plan asks." in note
    bare = build_scorecard(source_of_run(solved(tmp_path, text), "s"), 1).sections[0].blocks[0].note
    assert "cushion" not in bare


def test_many_warnings_of_a_kind_are_one_line_and_errors_are_all_told():
    many = [Problem("W-unassigned", f"place {n}") for n in range(3)]
    other = [Problem("W-other", "a"), Problem("W-other", "b"), *(Problem("E-bad", str(n)) for n in range(4))]
    first, *rest = in_brief([*many, *other])
    assert (first.message, first.fix) == ("3 of this kind, the first: place 0", "kpiopt check lists them")
    assert rest == other


def test_neighbouring_warnings_share_their_advice_and_errors_keep_theirs(capsys):
    warnings = [Problem("W-outlier", f"cell {n}", "a rule", "look") for n in range(3)]
    errors = [Problem("E-bad", f"cell {n}", "another rule", "mend it") for n in range(2)]
    say_problems([*warnings, Problem("W-outlier", "cell 3", "a rule", "look twice"), *errors])
    told = capsys.readouterr().err
    assert told.count("W-outlier") == 4 and told.count("    rule: a rule\n") == 2 and told.count("fix:  look\n") == 1
    assert told.index("cell 2") < told.index("a rule") < told.index("cell 3")
    assert told.count("mend it") == 2


ASKED = """
schema = 1
name = "Asked and expected"
[kpi.sales]
unit = "USD"
step = 1000
[uncertainty]
execution = { uniform = [0.7, 1.0] }
[unit.co]
level = "company"
[unit.ann]
parent = "co"
level = "person"
[cell."ann/sales"]
baseline = 300_000
max_stretch = 90_000
[goal.sales]
target = 340_000
[goal.anns]
kpi = "sales"
at = "ann"
target = 340_000
"""


def test_what_is_asked_is_told_from_the_target(tmp_path):
    """40,000 / 0.85 more are asked; the target is a multiple of 1,000, and Ann's holds a cushion on top."""
    said = " ".join(summary_text(solved(tmp_path, ASKED), tmp_path).split())
    assert "both goals are met on average" in said
    assert (
        "sales: 347,059 USD are asked so that 340,000 USD can be expected; rounded, the target is 347,000 USD." in said
    )
    cushioned = solved(tmp_path, f"{ASKED}[over_assignment]\nperson = 0.05\n")
    said = " ".join(summary_text(cushioned, tmp_path).split())
    assert "; with its cushion of 5.0 %, the target is 364,000 USD." in said
    section = goals_section(source_of_run(cushioned, "s"))
    wanted = "goal 340,000 USD; 347,059 USD are asked so that the plan can be expected (as a target 364,000 USD)"
    assert wanted in [getattr(block, "caption", "") for block in section.blocks]


def test_a_map_says_which_targets_hold_a_cushion(tmp_path):
    source = source_of_run(solved(tmp_path, f"{ASKED}[over_assignment]\nperson = 0.05\n"), "s")
    whole, anns = (collect_map(replace(source.map_source(), goal_odds={}), unit).cards[0] for unit in (0, 1))
    assert anns.description == "the target holds a cushion, 5.0 % above what the plan asks"
    assert whole.description == ""


def test_a_goal_has_one_interval_wherever_it_stands():
    run = kpiopt.solve("scenarios/scorecard.toml", overrides=("simulation.draws=2048",))
    rows = {(row["unit"], row["kpi"]): row for row in run.targets.to_dicts()}
    same = 0
    for goal in run.as_dict()["goals"]:
        row, told = rows[goal["unit"], goal["kpi"]], goal["odds"]
        if row["target"] == goal["target"]:
            same += 1
            assert [row[k] for k in ("odds", "odds_low", "odds_high")] == [told[k] for k in ("estimate", "low", "high")]
    assert same >= 2
