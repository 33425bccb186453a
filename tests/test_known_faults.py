"""Inputs that went wrong once, each with its right answer; `tests/data/faults` holds the files.

Those that are not here have a test of their own: `rg faults tests` finds them.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import Infeasible, Problem
from kpiopt.report.page.kept_files import summary_text
from kpiopt.run.run import Run
from kpiopt.scenario.load import check_scenario, load_scenario

FAULTS = Path(__file__).parent / "data" / "faults"
HOSPITAL = FAULTS / "hospital" / "scenario.toml"


def solve(name: str, *overrides: str, simulate: bool = False) -> Run:
    return kpiopt.solve(kpiopt.load(FAULTS / name, overrides=[*overrides]), simulate=simulate)


def problems(name: str | Path, *overrides: str) -> list[Problem]:
    return list(check_scenario(FAULTS / name, overrides=overrides)[1])


def told(name: str | Path, *overrides: str) -> list[tuple[str, str]]:
    """Return code and message of everything that `check` says."""
    return [(p.code, p.message) for p in problems(name, *overrides)]


@pytest.mark.parametrize(
    ("name", "repair", "option"),
    [
        ("pay_limit", "lower min_stretch under co by 20 %", "--set 'cell.\"co/s\".min_stretch=40'"),
        ("min_stretch", "lower min_stretch under co by 98 %", "--set 'cell.\"co/s\".min_stretch=1'"),
        ("lock", "move the lock of co/s from 50 to 1", "--set 'cell.\"co/s\".lock=1'"),
        ("incentives", "raise budget.pay by 10,000 to 110,000", "--set 'budget.pay.limit=110000'"),
    ],
)
def test_the_cheapest_repair_is_named_and_repairs(name: str, repair: str, option: str) -> None:
    with pytest.raises(Infeasible) as failure:
        solve(f"repairs/{name}.toml")
    fix = failure.value.problems[0].fix
    assert f"cheapest repair: {repair}  ({option})" in fix
    override = option.removeprefix("--set '").removesuffix("'")
    assert solve(f"repairs/{name}.toml", override).solution.steps


def test_growth_of_seven_percent_of_a_hundred_is_not_above_seven() -> None:
    run = solve("figures/growth_at_the_bound.toml")
    assert run.plan.stretch.tolist() == pytest.approx([7.0], rel=1e-12)
    assert run.goals[0].shortfall == pytest.approx(793.0)


def test_what_is_short_by_a_part_of_a_step_does_not_look_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["solve", str(FAULTS / "figures" / "short_by_a_part.toml"), "--no-simulation", "--out", str(tmp_path)]
    assert main(words) == 0
    row = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(" steps "))
    assert row == ["steps", "9,000.0", "10,000.0", "9,999.6", "0.4"]


def test_a_new_hire_whose_growth_is_a_share_of_nothing_is_told() -> None:
    (problem,) = [p for p in problems("figures/new_hire.toml") if p.code == "W-growth-of-nothing"]
    assert "hire/sales has the baseline 0" in problem.message and "max_stretch of its own" in problem.fix
    run = solve("figures/new_hire.toml", 'cell."hire/sales".max_stretch=40')
    assert run.goals[0].met and dict(zip(run.scenario.units.ids, run.plan.stretch, strict=False))


def test_a_stated_total_that_differs_is_told_and_the_sum_is_planned() -> None:
    (found,) = told("figures/reconciliation.toml")
    assert found[0] == "W-reconciliation" and "states a baseline of 350" in found[1] and "add up to 300" in found[1]
    run = solve("figures/reconciliation.toml")
    assert run.goals[0].baseline == 300.0 and run.goals[0].met


def test_settings_without_effect_are_told() -> None:
    assert [code for code, _ in told("settings/common_alone.toml")] == ["W-no-effect"]
    found = told("settings/without_effect.toml")
    for what in ("factor 'unused'", "objective 'o'", "pay plan 'q'", "nothing uses 'hours'"):
        assert [code for code, message in found if what in message] == ["W-no-effect"], what
    assert {"W-budget-unused", "W-no-effects"} < {code for code, _ in found}
    assert [m for c, m in found if c == "E-unknown-limit"] == ["there is no limit 'foo'"]


def test_names_that_nobody_knows_are_errors() -> None:
    (misspelt,) = [p for p in problems("settings/relax_misspelt.toml") if p.is_error]
    assert (misspelt.code, misspelt.location.line, misspelt.fix) == (
        "E-unknown-limit",
        23,
        "did you mean 'min_stretch'?",
    )
    unknown = [p for p in problems("settings/relax_unknown.toml") if p.is_error]
    assert [(p.code, p.message) for p in unknown] == [
        ("E-unknown-limit", "there is no limit 'budget.zzz'"),
        ("E-unknown-limit", "there is no limit 'nonsense'"),
    ]


def test_every_variant_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(FAULTS / "settings" / "wrong_variants.toml"), "--json"]) == 3
    found = [p for p in json.loads(capsys.readouterr().out)["problems"] if p["code"].startswith("E-")]
    assert [(p["code"], p["message"].partition(":")[0]) for p in found] == [
        ("E-quantity", "in variant 'v1'"),
        ("E-number-range", "in variant 'v2'"),
        ("E-unknown-kpi", "in variant 'v3'"),
    ]


def test_what_is_wrong_with_one_variant_hides_nothing_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One has a key that nobody knows, the others names that nobody has."""
    wrong = """
[variant.a]
factor.markt.value = 3
[variant.b]
goal.sales.tagret = 3
[variant.c]
"cell"."q/sales".baseline = 4
[variant.d]
kpi.sale.step = 1
"""
    text = 'schema = 1\nname = "v"\n[kpi.sales]\ndrivers = { market = 1 }\n[factor.market]\nvalue = 1\n[unit.co]\n'
    text += '[cell."co/sales"]\nbaseline = 10\nmax_stretch = 5\n[goal.sales]\ntarget = 12\n'
    (tmp_path / "s.toml").write_text(text + wrong)
    assert main(["check", str(tmp_path / "s.toml"), "--json"]) == 3
    found = [p for p in json.loads(capsys.readouterr().out)["problems"] if p["code"].startswith("E-")]
    assert sorted((p["code"], p["message"].removeprefix("in variant ")[:3]) for p in found) == [
        ("E-orphan-kpi", "'d'"),
        ("E-unknown-key", "unk"),
        ("E-unknown-unit", "'c'"),
        ("E-variant-unknown-name", "'a'"),
    ]


def test_lags_without_periods_are_refused() -> None:
    wanted = {"E-lag"}
    assert wanted & {code for code, _ in told("real/lag.toml")}
    lag = "initiative.scheduling.effects.waiting={contribution='-3 to -1',lag=2}"
    (message,) = [message for code, message in told(HOSPITAL, lag) if code in wanted]
    assert "initiative.scheduling.effects.waiting" in message and "lag 2" in message


def test_longer_waiting_that_raises_satisfaction_is_asked_about() -> None:
    assert "W-sign" not in {code for code, _ in told(HOSPITAL)}
    turned = "kpi.satisfaction.drivers.waiting.contribution={normal=[0.4,0.1]}"
    (problem,) = [p for p in problems(HOSPITAL, turned) if p.code == "W-sign"]
    assert "it lowers satisfaction, of which higher is better" in problem.message and "turn the sign" in problem.fix


def test_a_number_that_could_be_either_is_asked_about() -> None:
    (problem,) = [p for p in problems("tables/thousands/s.toml") if p.is_error]
    assert problem.code == "E-number-thousands" and str(problem.location).endswith("cells.csv:3 column baseline")
    dots = 'tables.cells={path="cells.csv",delimiter=";",thousands=".",decimal=","}'
    scenario = load_scenario(FAULTS / "tables" / "thousands" / "s.toml", overrides=[dots])
    assert float(scenario.cells.baseline.sum()) == 13_809.0


def test_each_wrong_number_says_what_to_write() -> None:
    found = {str(p.location).partition(":")[2]: p.fix for p in problems("tables/brackets/s.toml") if p.is_error}
    assert [row.partition(" ")[0] for row in found] == ["2", "3", "4", "5"]
    advice = list(found.values())
    assert "write 2300000" in advice[0] and advice[1] == "write -20000"
    assert "digits only" in advice[2] and advice[3].startswith("write 1200000")


def test_a_line_that_names_the_separator_is_read() -> None:
    assert told("tables/separator_line/s.toml") == []
    assert load_scenario(FAULTS / "tables" / "separator_line" / "s.toml").cells.baseline.tolist() == [200.0, 400.0]


@pytest.mark.parametrize(("name", "cell"), [("comment", "C2"), ("twice", "A2"), ("cdata", "E2")])
def test_a_workbook_that_two_programs_read_differently_is_refused(name: str, cell: str) -> None:
    (problem,) = [p for p in problems(f"workbooks/{name}/s.toml") if p.is_error]
    assert problem.code == "E-workbook-differs" and str(problem.location).endswith(f"b.xlsx!cells!{cell}")


SHEETS = [
    ("titlerow", "N-table-title", "units", "titles are passed over", False),
    ("comment_col", "E-table-column", "cells!H1", "unknown column 'comment'", True),
    ("total_row", "E-table-total", "cells!A399", "seems to be a total of the rows above", True),
    ("pctformat", "E-percent-format", "cells!C4", "the sheet shows 85.6 % here but holds 0.856", True),
]


@pytest.mark.parametrize(("name", "code", "place", "words", "is_error"), SHEETS)
def test_what_peoples_sheets_look_like_is_read_or_asked_in_one_sentence(
    name: str, code: str, place: str, words: str, is_error: bool
) -> None:
    sheets = [f'tables.{table}="xl/{name}.xlsx#{table}"' for table in ("units", "cells")]
    found = problems(HOSPITAL, *sheets)
    (problem,) = [p for p in found if str(p.location).startswith("xl/") or ".xlsx" in str(p.location)]
    assert (problem.code, problem.is_error) == (code, is_error)
    assert str(problem.location).endswith(place) and words in problem.message
    assert [p for p in found if p.is_error] == [problem] * is_error


def test_a_wide_sheet_is_told_in_one_sentence() -> None:
    found = [p for p in problems(HOSPITAL, 'tables.cells="xl/wide.xlsx#cells wide"') if p.is_error]
    assert len(found) == 1 and "wide" in str(found[0].location)


def test_what_an_initiative_uses_of_pay_is_pay_everywhere() -> None:
    run = solve("odds/init_pay.toml", simulate=True)
    assert run.simulation is not None
    pay = run.as_dict()["pay"]
    assert pay["plan"] == pytest.approx(150.0)
    assert pay["mean"] == pytest.approx(150.0, abs=0.1)
    assert pay["over_limit"]["low"] <= 0.5 <= pay["over_limit"]["high"]


def test_a_goal_off_the_step_is_met_by_the_rule_that_its_odds_follow() -> None:
    (problem,) = problems("odds/offgrid.toml")
    assert problem.code == "W-goal-step" and "compared to 0.1" in problem.rule
    run = solve("odds/offgrid.toml", simulate=True)
    assert run.simulation is not None
    assert run.goals[0].met and run.simulation.goals[0].odds.is_certain


def test_what_nothing_uncertain_reaches_is_certain() -> None:
    run = solve("real/certain.toml", simulate=True)
    assert run.simulation is not None
    odds = run.simulation.goals[0].odds
    assert odds.is_certain and odds.text == "certain"


def test_rows_of_one_file_are_drawn_together() -> None:
    run = solve("real/samples_joint.toml", simulate=True)
    assert run.simulation is not None
    rows = np.loadtxt(FAULTS / "real" / "joint.csv", delimiter=",", skiprows=1)
    total = rows.sum(axis=1)
    odds = run.simulation.goals[0].odds.estimate
    assert odds == pytest.approx(float(np.mean(total >= 190.0)), abs=0.01)
    assert float(total.std()) == pytest.approx(20.0, abs=1.0)
    spread = run.odds.filter(run.odds["unit"] == "top")["sd"].item()
    assert spread == pytest.approx(float(total.std()), rel=0.03)


def test_a_lock_below_the_baseline_is_certain_and_costs_nothing() -> None:
    own = 'goal.own={kpi="sales",at="ann",target=95000}'
    run = solve("real/lock_negative.toml", 'uncertainty.execution="0.5 to 1.1"', own, simulate=True)
    targets = {(row["unit"], row["kpi"]): row["target"] for row in run.targets.iter_rows(named=True)}
    assert targets["ann", "sales"] == 95_000.0
    assert run.simulation is not None
    assert run.simulation.goals[-1].odds.is_certain and run.simulation.goals[-1].odds.estimate == 1.0
    assert run.as_dict()["pay"]["plan"] == 0.0


def test_a_share_has_a_ceiling() -> None:
    run = solve("real/ceiling.toml", "kpi.on_time.max=1.0", simulate=True)
    assert run.simulation is not None
    assert run.goals[0].plan <= 1.0 + 1e-12 and not run.goals[0].met
    row = run.odds.filter(run.odds["unit"] == "top")
    assert row["p95"].item() <= 1.0
    assert run.simulation.goals[0].odds.estimate == 0.0


def test_fairness_is_measured_by_the_room_that_there_is() -> None:
    run = solve("real/fair_share.toml", 'kpi.p.scale="headroom"', "kpi.p.max=1.0", "kpi.p.min=0.0")
    weak, strong = run.plan.stretch.tolist()
    assert weak / 0.98 == pytest.approx(strong / 0.1, rel=1e-9)
    assert weak > strong


def test_of_two_goals_that_only_one_can_have_one_is_met() -> None:
    """One full-time post moves either unit by 0.2, or both by half of it, which reaches neither goal."""
    halves = solve("real/half_each.toml")
    assert halves.plan.target.tolist() == pytest.approx([0.7, 0.7, 0.7]) and not any(goal.met for goal in halves.goals)
    one = solve("real/half_each.toml", 'decide.order=["met","goals","fairness","reference"]')
    assert [goal.met for goal in one.goals] == [True, False]
    assert one.plan.target.tolist() == pytest.approx([0.8, 0.6, 0.7])


@pytest.mark.parametrize(
    ("name", "values", "levels", "stretch", "short"),
    [
        ("hair", [0.8, 2.0, 0.001 * (2 / 3) ** 2], [2.0], [], [80.0]),
        ("slack_cont", [0.8, 4.0, 0.04**2], [0.0], [4.0], [96.0]),
        ("weights", [1.0, 10.0, 0.001 / 2], [10.0, 0.0], [], [0.0, 10.0]),
    ],
)
def test_small_choices_by_hand(
    name: str, values: list[float], levels: list[float], stretch: list[float], short: list[float]
) -> None:
    """A third machine would cost a hair more than there is; 0.8 x 1.2 may be short; 1e7 counts before 1."""
    run = solve(f"whole/{name}.toml")
    assert [step.value for step in run.solution.steps] == pytest.approx(values, rel=1e-9)
    assert run.plan.levels == pytest.approx(levels) and run.plan.stretch == pytest.approx(stretch)
    assert [goal.shortfall for goal in run.goals] == pytest.approx(short, abs=1e-9)


@pytest.mark.nightly
def test_hard_goals_that_clash_end_with_the_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand cells, twenty hard goals: one program for the repair, and no more time than is given."""
    began = time.process_time()
    words = ["--time-limit", "4", "--no-simulation", "--out", str(tmp_path), "--json"]
    assert main(["solve", str(FAULTS / "hard" / "scenario.toml"), *words]) in (4, 7)
    assert time.process_time() - began < 8.0
    assert json.loads(capsys.readouterr().out)["exit_code"] in (4, 7)


def test_two_kpis_of_one_name_are_told_apart_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    path = tmp_path / "s.toml"
    path.write_text((FAULTS / "equal_names.toml").read_text("utf-8") + "[simulation]\ndraws = 256\n", "utf-8")
    assert main(["compare", str(path), "--no-study", "--html", str(page)]) == 0
    assert main(["solve", str(path), "--out", str(tmp_path / "runs")]) == 0
    for text in (capsys.readouterr().out, page.read_text("utf-8")):
        assert "Sales (new_sales)" in text and "Sales (old_sales)" in text


def test_two_goals_for_one_value_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.toml"
    more = '[goal.dream]\nkpi = "sales"\ntarget = 140\npriority = 2\n'
    path.write_text((FAULTS / "real" / "certain.toml").read_text("utf-8") + more, "utf-8")
    assert main(["solve", str(path), "--no-simulation", "--out", str(tmp_path / "runs")]) == 0
    text = capsys.readouterr().out
    assert "sales (sales), USD" in text and "sales (dream), USD" in text


def test_what_is_missing_by_a_hair_is_told() -> None:
    """Met by the rule of steps, and short by 1.5e-10 all the same."""
    (_, hair) = solve("missed_by_a_hair.toml").goals
    assert hair.met and hair.shortfall == pytest.approx(1.0 - (0.9948186528497409 + 0.005181347), rel=1e-6)
    assert 1.4e-10 < hair.shortfall < 1.6e-10


@pytest.mark.nightly
def test_rules_of_the_planner_reach_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("scenario.toml", "plan2026.xlsx", "rules.py"):
        shutil.copy(HOSPITAL.parent / name, tmp_path)
    path = tmp_path / "scenario.toml"
    path.write_text(path.read_text("utf-8") + '\n[rules]\nfile = "rules.py"\n', "utf-8")
    assert main(["solve", str(path), "--allow-code", "--no-simulation", "--out", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    (run,) = (tmp_path / "runs").iterdir()
    names = {limit["name"]: limit for limit in json.loads((run / "run.json").read_text("utf-8"))["limits"]}
    bound = [name for name in ("north", "harbour", "park") if names[f"rules.academies_{name}"]["binding"]]
    assert bound and all(f"academies_{name}" in said for name in bound)
    assert "rules.academies_north" in (run / "limits.csv").read_text("utf-8")


def summary_of(name: str, *overrides: str) -> str:
    return summary_text(solve(name, *overrides), Path("run"))


def test_no_table_is_announced_where_there_is_none() -> None:
    met = summary_of("real/lag.toml", "kpi.sales.drivers.visits.lag=0", "goal.sales.target=900")
    assert "0 of 1 targets that can be stretched are.\n" in met
    assert "Nothing can be stretched.\n" in summary_of("real/samples_joint.toml")


def test_a_stretch_over_nothing_is_no_share_of_it() -> None:
    said = summary_of("missed_by_a_hair.toml")
    assert "(new)" in said and "60,498" not in said
