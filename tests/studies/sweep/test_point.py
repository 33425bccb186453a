"""A sweep: every point is what a solve of it says; kept, resumed, and honest about points that fail."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.report.sweep import axis_texts, render_sweep
from kpiopt.studies.sweep.axes import Point, points_of, read_axes, spaced
from kpiopt.studies.sweep.point import INFEASIBLE, SweepJob
from kpiopt.workers.job import Failure

ROOT = Path(__file__).parents[3]
HAND, ADVENTURE = ROOT / "scenarios" / "hand-solved.toml", ROOT / "scenarios" / "adventureworks-base.toml"


def answers(path, *over, **options):
    job = SweepJob(path, **options)
    points = points_of(read_axes(kpiopt.load(path), over))
    return [(point, answer) for point, answer in zip(points, map(job.prepare(), points), strict=True)]


def assert_is_the_solve_of(result, run):
    assert result.is_solved
    for ours, theirs, odds in zip(result.goals, run.goals, run.simulation.goals, strict=True):
        assert (ours.goal, ours.target) == (theirs.goal.id, theirs.target)
        assert ours.plan == pytest.approx(theirs.plan, rel=1e-9)
        assert ours.shortfall == pytest.approx(theirs.shortfall, rel=1e-9, abs=1e-9 * abs(theirs.target))
        assert ours.odds.estimate == pytest.approx(odds.odds.estimate, abs=2e-4)
    assert result.all_goals.estimate == pytest.approx(run.simulation.all_goals.estimate, abs=2e-4)
    assert result.pay == pytest.approx(run.spending.pay, rel=1e-9)
    assert result.initiatives == pytest.approx(run.spending.initiatives, rel=1e-9, abs=1e-6)
    assert set(result.used_up) == {limit.name for limit in run.limits if limit.binding}
    values = {step.label: step.value for step in run.solution.steps if step.name != "reference"}
    assert dict(result.steps) == pytest.approx(values, rel=1e-9, abs=1e-11)
    if "fairness" in values and not run.scenario.decide.slack.get("fairness"):
        assert result.largest_stretch == pytest.approx(values["fairness"], rel=1e-9)


def test_a_factor_on_the_tables_is_a_bulk_edit():
    for point, result in answers(HAND, "cells.max_stretch=0.5,0.8"):
        adjust = f"adjust.all={{ scale = {{ max_stretch = {point.values[0][1]} }} }}"
        assert_is_the_solve_of(result, kpiopt.solve(kpiopt.load(HAND, overrides=[adjust])))


@pytest.mark.parametrize(
    ("path", "over"),
    [
        (ADVENTURE, ["budget.pay.limit=60_000:130_000:2"]),
        (ADVENTURE, ["goal.sales.target=37_000_000,40_000_000", "capacity.hours.scale=0.8,1.1"]),
        (HAND, ["budget.pay.limit=200:700:3"]),
        (HAND, ["kpi.sales.drivers.visits=80,120"]),
        (HAND, ['kpi.sales.drivers.visits.contribution="80 to 120",{ normal = [100, 5] }']),
        (HAND, ["decide.order=['goals'],['cost','goals']"]),
    ],
    ids=str,
)
def test_points_are_what_a_solve_of_each_says(path, over):
    for point, result in answers(path, *over):
        run = kpiopt.solve(kpiopt.load(path, overrides=list(point.overrides)))
        assert_is_the_solve_of(result, run)


GIVING_UP = """
schema = 1
name = "giving up"
[unit.shop]
[kpi.sales]
unit = "USD"
baseline = 100
[initiative.training]
max = 10
uses = { cash = 1 }
effects = { sales = 1 }
[goal.sales]
target = 120
[budget.cash]
limit = 12
[decide]
order = ["goals", "cost"]
slack = { goals = 0.5 }
"""


def test_a_step_that_gives_up_a_part_of_its_value_still_feels_its_own_limits(tmp_path):
    """All 10 sessions leave 10 of 20 USD short; 5 more may be given up, so 5 are held. With money for 7 it is less."""
    path = tmp_path / "scenario.toml"
    path.write_text(GIVING_UP, encoding="utf-8")
    for point, result in answers(path, "budget.cash.limit=5,7,12"):
        run = kpiopt.solve(kpiopt.load(path, overrides=list(point.overrides)))
        assert_is_the_solve_of(result, run)


def test_a_point_without_a_plan_is_an_answer():
    found = answers(HAND, "goal.sales.hard=true", "budget.pay.limit=0,700", simulate=False)
    assert [r.status for _, r in found] == [INFEASIBLE, "optimal"]


def test_a_base_without_a_plan_does_not_stop_the_sweep():
    job = SweepJob(HAND, variant="impossible")
    answer = job.prepare()
    assert answer(Point(0, (("budget.pay.limit", 0),))).status == INFEASIBLE
    assert answer(Point(1, (("budget.pay.limit", 700),))).is_solved


def sweep(out, *words):
    return main(["sweep", str(HAND), "--out", str(out), *words])


def test_the_folder_holds_table_document_summary_and_question(tmp_path, capsys):
    assert sweep(tmp_path, "--json") == 0
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    folder = Path(document["folder"])
    kept = json.loads((folder / "sweep.json").read_text("utf-8"))
    manifest = kept.pop("manifest")
    assert kept == document
    assert (manifest["seed"], manifest["variant"], manifest["command"][:2]) == (1, None, ["kpiopt", "sweep"])
    assert all(entry["sha256"] == entry["sha256_at_end"] for entry in manifest["inputs"])
    assert set(manifest["files"]) == {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")} - {"sweep.json"}
    assert (document["schema"], document["status"]) == ("kpiopt.sweep/1", "complete")
    rows = list(csv.DictReader(io.StringIO((folder / "points.csv").read_text("utf-8"))))
    assert [float(row["budget.pay.limit"]) for row in rows] == [200, 300, 400, 500, 600, 700]
    assert [float(row["pay"]) for row in rows] == pytest.approx([200, 300, 400, 500, 600, 600], rel=1e-9)
    assert kpiopt.load(folder / "scenario.toml").goals["sales"].target == 108_000
    assert sorted(p.name for p in tmp_path.iterdir()) == [folder.name]


def test_an_equal_question_is_answered_from_the_store(tmp_path, capsys, monkeypatch):
    sweep(tmp_path)
    first = capsys.readouterr().out
    assert max(map(len, first.splitlines())) <= 80  # it is read on any screen
    pages = [tmp_path / "first.html", tmp_path / "again.html"]
    sweep(tmp_path, "--force", "--html", str(pages[0]))
    capsys.readouterr()
    monkeypatch.setattr(SweepJob, "prepare", lambda _: pytest.fail("solved again"))
    assert sweep(tmp_path, "--html", str(pages[1])) == 0
    said = capsys.readouterr()
    assert said.out == first
    assert "was solved before; --force solves it again" in said.err
    assert pages[0].read_bytes() == pages[1].read_bytes()
    with pytest.raises(pytest.fail.Exception):
        sweep(tmp_path, "--over", "budget.pay.limit=200:700:5")


def test_force_solves_again_and_says_the_same(tmp_path, capsys):
    sweep(tmp_path, "--json")
    first = capsys.readouterr().out
    assert sweep(tmp_path, "--json", "--force") == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("executor", ["threads:2", "processes:2"])
def test_every_executor_says_the_same(tmp_path, capsys, executor):
    sweep(tmp_path / ".." / tmp_path.name, "--json")
    first = json.loads(capsys.readouterr().out)
    assert sweep(tmp_path, "--json", "--force", "--executor", executor) == 0
    assert json.loads(capsys.readouterr().out) == {**first, "folder": str(tmp_path / first["sweep"])}


def test_zipped_axes(tmp_path, capsys):
    words = ["--zip", "--over", "budget.pay.limit=500,600", "--over", "goal.sales.target=107_000,108_000", "--json"]
    assert sweep(tmp_path, *words) == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert [p["values"] for p in points] == [
        {"budget.pay.limit": 500, "goal.sales.target": 107_000},
        {"budget.pay.limit": 600, "goal.sales.target": 108_000},
    ]


def test_a_point_that_cannot_be_read_is_marked_and_the_others_go_on(tmp_path, capsys):
    words = ["--over", "budget.pay.limit=-5,600", "--json"]
    assert sweep(tmp_path, *words) == ExitCode.PARTIAL
    said = capsys.readouterr()
    bad, good = json.loads(said.out)["points"]
    assert (bad["status"], good["status"]) == ("failed", "optimal")
    assert "budget.pay.limit" in bad["problems"][0]["message"]
    assert "1 of 2 points failed" in said.err
    assert sweep(tmp_path, *words) == ExitCode.PARTIAL  # tried again, not taken from the store


def test_terminal_shows_points_frontier_and_its_price(tmp_path, capsys):
    words = ["sweep", str(ADVENTURE), "--over", "budget.pay.limit=80_000:130_000:6", "--out", str(tmp_path)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "6 of 6 points have a plan" in shown
    assert "Efficient frontier: budget.pay.limit against odds of all goals" in shown
    assert "price of the next" in shown and "percentage point" in shown and "USD per" in shown


def test_odds_on_a_frontier_carry_their_interval(tmp_path, capsys):
    words = ["--over", "budget.pay.limit=0:700:8", "--json"]
    assert sweep(tmp_path, *words) == 0
    document = json.loads(capsys.readouterr().out)
    (frontier,) = document["frontiers"]
    assert frontier["odds"] == [document["points"][i]["all_goals"] for i in frontier["points"]]
    assert [odds["estimate"] for odds in frontier["odds"]] == frontier["y_values"]
    assert sweep(tmp_path, *words[:-1]) == 0
    part = " ".join(capsys.readouterr().out.partition("Efficient frontier")[2].split())
    assert part.count(" to ") == len(frontier["points"]) and "budget.pay. limit: 0" not in part  # a table
    assert "No trade-off between hours and the peers' largest stretch: the plan with" in part
    assert "is best in both" in part


def test_odds_of_other_goals_are_said_to_be_that(tmp_path, capsys):
    assert sweep(tmp_path, "--over", "goal.sales.target=107_000,108_000") == 0
    assert "Goal for Sales: the odds of each point are those of what is wanted there." in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--no-simulation"], ["--over", "budget.pay.limit=700"]])
def test_where_there_is_no_frontier_there_is_none(tmp_path, capsys, words):
    assert sweep(tmp_path, *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)["frontiers"]
    assert [f for f in found if f["y"] == "odds of all goals"] == []


def test_effort_of_initiatives_counts(tmp_path):
    path = tmp_path / "scenario.toml"
    text = GIVING_UP.replace("uses = { cash = 1 }", "uses = { cash = 1, hours = 2 }")
    path.write_text(text.replace("[unit.shop]", "[unit.shop]\ncapacity.hours = 30"), encoding="utf-8")
    ((_, result),) = answers(path, "budget.cash.limit=12")
    assert dict(result.effort) == pytest.approx({"hours": 10.0})


def test_values_of_an_axis_show_what_tells_them_apart():
    assert axis_texts((500_000, 500_000.5)) == ["500,000.0", "500,000.5"]
    assert axis_texts((0.5, 1)) == ["0.5", "1.0"]
    assert axis_texts(spaced(10, 20, 4)) == ["10.00", "13.33", "16.67", "20.00"]
    assert axis_texts((1e-9, 2e-9)) == ["1e-09", "2e-09"]
    assert axis_texts((True, "sobol", [1], {"normal": [0, 1]})) == ["true", "sobol", "[1]", "{ normal = [0, 1] }"]


def test_the_largest_stretch_is_that_of_the_plan_and_not_what_a_slack_gave_up():
    """With no price on hours pay decides, and what fairness gives up goes to visits, which are not paid."""
    (_, strict), (_, loose) = answers(
        HAND, "decide.effort_price.hours=0", "decide.slack.fairness=0,0.2", simulate=False
    )
    assert dict(loose.steps)["fairness"] == pytest.approx(dict(strict.steps)["fairness"])
    assert strict.largest_stretch == pytest.approx(0.065)
    assert loose.largest_stretch == pytest.approx(0.065 * 1.2)
    assert loose.pay < strict.pay


def test_effort_stands_against_fairness_without_that_step():
    answer = kpiopt.sweep(HAND, ["budget.pay.limit=200:700:6"], overrides=['decide.order=["goals", "cost"]'])
    strain = [result.largest_stretch for result in answer.solved]
    assert strain == sorted(strain, reverse=True) and len(set(strain)) > 1


@pytest.mark.parametrize(("width", "has_money"), [(110, True), (80, False)])
def test_a_narrow_terminal_has_a_table_too(width, has_money):
    console = Console(width=width)
    with console.capture() as shown:
        console.print(render_sweep(kpiopt.sweep(HAND), Path("runs")))
    table = shown.get().partition("Efficient")[0]
    assert ("initiatives" in table) == has_money
    assert "6.50 %" in table and "goals met:" not in table


def test_a_page_with_frontiers(tmp_path, capsys):
    page = tmp_path / "sweep.html"
    assert sweep(tmp_path, "--html", str(page)) == 0
    assert "Content-Security-Policy" in page.read_text("utf-8")


def test_inputs_that_change_while_it_runs_do_not_matter(tmp_path, capsys, monkeypatch):
    """Workers read the copy that was taken when the question was posed."""
    shutil.copytree(ROOT / "models", tmp_path / "models")
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    prepare = SweepJob.prepare

    def tampering(job):
        (tmp_path / "scenarios" / "hand-solved.toml").write_text("nonsense", "utf-8")
        return prepare(job)

    monkeypatch.setattr(SweepJob, "prepare", tampering)
    words = ["sweep", str(tmp_path / "scenarios" / "hand-solved.toml"), "--out", str(tmp_path / "runs"), "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "complete"


def test_failures_are_told_apart_from_results():
    assert Failure.of(ValueError("x")).exit_code == ExitCode.INTERNAL
