"""`solve` end to end: what it prints, what it keeps, and what it leaves behind when it cannot."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from kpiopt.cli import main
from kpiopt.runs.lock import hold_lock

TARGET_COLUMNS = ["unit", "kpi", "period", "baseline", "plan", "target", "stretch", "min_stretch", "max_stretch"]
TARGET_COLUMNS += ["reference", "binding", "odds", "odds_low", "odds_high", "lock_reason", "lock_owner"]
TARGET_COLUMNS += ["unassigned", "unassigned_target", "over_assignment"]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def starter_in_whole_sessions(tmp_path, monkeypatch, capsys) -> Path:
    """The starter scenario as it is, in an empty folder that is the working folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "."]) == 0
    capsys.readouterr()
    return tmp_path / "scenario.toml"


def with_parts_of_sessions(path: Path) -> Path:
    """Let sessions be parts too: the starter is solved in a fifth of the time."""
    text = path.read_text()
    assert text.count("whole = true\n") == 1
    path.write_text(text.replace("whole = true\n", ""))
    return path


@pytest.fixture
def starter(starter_in_whole_sessions) -> Path:
    """The starter scenario with parts of sessions."""
    return with_parts_of_sessions(starter_in_whole_sessions)


@pytest.fixture(scope="module")
def solved_once(tmp_path_factory) -> Path:
    """A folder with the starter and its kept run."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["init", "."]) == 0
        with_parts_of_sessions(folder / "scenario.toml")
        assert main(["solve", "scenario.toml", "--json"]) == 0
    return folder


@pytest.fixture
def kept_starter(solved_once, tmp_path, monkeypatch, capsys) -> Path:
    """The starter with its kept run, in a working folder of its own; its answer comes from the store."""
    folder = Path(shutil.copytree(solved_once, tmp_path / "kept"))
    monkeypatch.chdir(folder)
    capsys.readouterr()
    return folder / "scenario.toml"


def solved(capsys, *words: str) -> dict:
    assert main(["solve", "scenario.toml", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_starter_is_sound_and_solves_without_a_warning(starter_in_whole_sessions, capsys):
    assert main(["check", "scenario.toml"]) == 0
    out, err = capsys.readouterr()
    assert "7 units, 12 cells (12 with a decision), 3 KPIs, 2 goals" in out
    assert err == ""
    assert main(["solve", "scenario.toml"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "the plan is possible, and both goals are met on average; the odds of both are" in " ".join(out.split())


def test_the_answer_is_one_document_and_agrees_with_the_run_folder(starter, capsys):
    answer = solved(capsys)
    folder = starter.parent / answer["folder"]
    kept = json.loads((folder / "run.json").read_text())
    manifest = kept.pop("manifest")
    assert kept == answer
    assert answer["schema"] == "kpiopt.solve/1"
    assert answer["status"] == "optimal"
    assert answer["certificate"]["passed"] is True
    assert folder.name == answer["run"]
    assert manifest["seed"] == answer["simulation"]["seed"] == 7
    assert manifest["command"] == ["kpiopt", "solve", "scenario.toml", "--json"]
    for name, entry in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    inputs = {i["file"]: i for i in manifest["inputs"]}
    assert set(inputs) == {"scenario.toml", "units.csv", "cells.csv"}
    assert all(i["sha256"] == i["sha256_at_end"] for i in inputs.values())
    assert set(everything(folder)) == {*manifest["files"], "run.json"}


def test_targets_add_up_through_the_tables(kept_starter, capsys):
    folder = kept_starter.parent / solved(capsys)["folder"]
    numbers = dict.fromkeys(("reference", "over_assignment"), pl.Float64)
    targets = pl.read_csv(folder / "targets.csv", schema_overrides={"period": pl.String, **numbers})
    assert targets.columns == TARGET_COLUMNS
    assert targets.drop("period").equals(pl.read_parquet(folder / "targets.parquet").drop("period"))
    of_ann = targets.row(by_predicate=(pl.col("unit") == "ann") & (pl.col("kpi") == "sales"), named=True)
    assert (of_ann["min_stretch"], of_ann["max_stretch"]) == (0.0, 60_000.0)
    value = {(u, k): t for u, k, t in zip(targets["unit"], targets["kpi"], targets["target"], strict=True)}
    for kpi in ("sales", "visits", "complaints"):
        assert value["company", kpi] == value["north", kpi] + value["south", kpi]
        assert value["north", kpi] == value["ann", kpi] + value["bob", kpi]
        assert value["south", kpi] == value["cleo", kpi] + value["dan", kpi]


def test_limits_of_the_folder_hold_in_the_tables(starter_in_whole_sessions, capsys):
    folder = starter_in_whole_sessions.parent / solved(capsys)["folder"]
    limits = pl.read_csv(folder / "limits.csv")
    assert limits.columns == ["name", "limit", "used", "binding", "step", "shadow_price", "from", "to", "unit"]
    assert (limits["used"] <= limits["limit"] * (1 + 1e-9)).all()
    levels = pl.read_csv(folder / "initiatives.csv")
    assert levels["level"].to_list() == [round(x) for x in levels["level"]]
    cash = limits.filter(pl.col("name") == "budget.cash")["used"].item()
    assert cash == pytest.approx(400 * levels["level"].sum())


def test_the_same_question_gives_the_same_answer_to_the_last_byte(starter, capsys):
    first = solved(capsys)
    before = everything(starter.parent / "runs")
    assert solved(capsys) == first
    assert everything(starter.parent / "runs") == before


def test_the_kept_question_solves_by_itself_to_the_same_answer(kept_starter, capsys, tmp_path, monkeypatch):
    answer = solved(capsys)
    copy = tmp_path / "copy"
    (kept_starter.parent / answer["folder"]).rename(copy)
    monkeypatch.chdir(copy)
    again = solved(capsys)
    assert again == answer


def test_another_question_gets_another_folder(starter, capsys):
    names = {
        solved(capsys, *words)["run"] for words in ([], ["--variant", "lean"], ["--seed", "8"], ["--no-simulation"])
    }
    assert len(names) == 4


def test_without_simulation_there_are_no_odds_but_all_tables(starter, capsys):
    answer = solved(capsys, "--no-simulation")
    assert answer["simulation"] is None
    assert answer["goals"][0]["odds"] is None
    folder = starter.parent / answer["folder"]
    assert (folder / "odds.csv").read_text().startswith("kpi,unit,period,goal,mean,sd")


def test_a_damaged_run_is_made_again(kept_starter, capsys):
    folder = kept_starter.parent / solved(capsys)["folder"]
    whole = (folder / "targets.csv").read_bytes()
    (folder / "targets.csv").write_bytes(whole.replace(b"1", b"2"))
    solved(capsys)
    assert (folder / "targets.csv").read_bytes() == whole


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--set", "goal.sales.tagret=1"], 3),
        (["--set", "goal.sales.target=9_000_000", "--set", "goal.sales.hard=true"], 4),
        (["--time-limit", "0"], 7),
        (["--draws", "0"], 2),
        (["--draws", "1000000000000"], 2),
        (["--seed", "-1"], 2),
        (["--variant", "nope"], 2),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_a_refusal_has_its_code_and_leaves_nothing_behind(starter, capsys, words, code, form):
    before = everything(starter.parent)
    assert main(["solve", "scenario.toml", *words, *form]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert sorted(p.name for p in starter.parent.iterdir()) == sorted(before)
    assert everything(starter.parent) == before
    if form:
        document = json.loads(out)
        assert document["exit_code"] == code
        assert document["problems"][0]["message"]
    else:
        assert out == ""
        assert err.strip()


def test_row_95_the_output_is_tested_before_the_solve(starter, capsys, monkeypatch):
    def never(*_, **__):
        raise AssertionError("solved before the output was tested")

    monkeypatch.setattr("kpiopt.runs.keep.solve_scenario", never)
    (starter.parent / "file").write_text("x")
    for out, words in [
        ("file", "is a file"),
        (".", "is the folder of the scenario"),
        ("no/where", "there is no folder"),
        ("/proc/runs", "cannot be written"),
    ]:
        assert main(["solve", "scenario.toml", "--out", out]) == 8
        err = capsys.readouterr().err
        assert words in err
        assert "fix:" in err
    assert sorted(p.name for p in starter.parent.iterdir()) == [
        "cells.csv",
        "file",
        "kpiopt.schema.json",
        "scenario.toml",
        "units.csv",
    ]


def test_row_100_a_run_in_the_making_is_not_disturbed(kept_starter, capsys):
    name = solved(capsys)["run"]
    with hold_lock(kept_starter.parent / "runs" / f".{name}.lock"):
        assert main(["solve", "scenario.toml", "--force"]) == 10
    assert f"process {os.getpid()}" in capsys.readouterr().err


def test_an_input_that_changes_while_it_is_solved_publishes_nothing(starter, capsys, monkeypatch):
    import kpiopt.runs.keep as keep

    real = keep.solve_scenario

    def solve_and_edit(*arguments, **options):
        result = real(*arguments, **options)
        with (starter.parent / "units.csv").open("a") as file:
            file.write("\n")
        return result

    monkeypatch.setattr(keep, "solve_scenario", solve_and_edit)
    assert main(["solve", "scenario.toml"]) == 3
    assert "units.csv: E-input-changed: the file changed while it was being solved" in capsys.readouterr().err
    assert not (starter.parent / "runs").exists()
    monkeypatch.undo()


@pytest.fixture
def never_solved(monkeypatch):
    """Any attempt to solve fails."""

    def refuse(*_, **__):
        raise AssertionError("solved although the answer is kept")

    return lambda: monkeypatch.setattr("kpiopt.runs.keep.solve_scenario", refuse)


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_an_identical_question_is_answered_from_the_store(starter, capsys, monkeypatch, never_solved, form):
    monkeypatch.setenv("COLUMNS", "70")
    outputs = []
    for _ in range(2):
        assert main(["solve", "scenario.toml", *form]) == 0
        out, err = capsys.readouterr()
        outputs.append(out)
        never_solved()
    assert outputs[0] == outputs[1]
    assert "was solved before; --force solves it again" in err
    assert main(["solve", "scenario.toml", "--force"]) == 1
    assert "solved although the answer is kept" in capsys.readouterr().err


def test_a_kept_answer_speaks_of_the_folder_as_it_was_asked_for(kept_starter, capsys, never_solved):
    solved(capsys)
    never_solved()
    elsewhere = str(kept_starter.parent / "runs")
    assert solved(capsys, "--out", elsewhere)["folder"].startswith(elsewhere)
    assert main(["solve", "scenario.toml", "--out", elsewhere]) == 0
    assert f"kpiopt runs show {elsewhere}/" in capsys.readouterr().out


def test_an_equal_question_in_other_words_is_the_same_question(kept_starter, capsys, never_solved):
    """Comments, order and the place of the files do not matter; the bytes of a table do."""
    first = solved(capsys)
    kept_starter.write_text("# a comment\n" + kept_starter.read_text())
    never_solved()
    assert solved(capsys) == first
    with (kept_starter.parent / "cells.csv").open("a") as file:
        file.write("\n")
    assert main(["solve", "scenario.toml"]) == 1  # it is solved, which is refused here


def test_names_from_data_cannot_forge_output(starter, capsys):
    text = (starter.parent / "units.csv").read_text()
    (starter.parent / "units.csv").write_text(text.replace("Team North", '"=HYPERLINK(1)"').replace("Ann", "[bold]Ann"))
    folder = starter.parent / solved(capsys, "--set", 'name="[red]x \\u001b[31m"')["folder"]
    assert folder.name.startswith("red-x")
    summary = (folder / "summary.txt").read_text()
    assert "[bold]Ann" in summary
    assert "\x1b" not in summary


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_row_97_an_interrupted_solve_leaves_nothing_half_written(starter, number, code):
    """A million draws take long enough to be interrupted in."""
    command = [sys.executable, "-m", "kpiopt", "solve", "scenario.toml", "--draws", "500000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while not list(starter.parent.glob("runs/.*.partial/inputs/*.csv")):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)
    started = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert time.monotonic() - started < 2.0
    assert (out, b"Traceback" in err) == (b"", False)
    assert not [p for p in starter.parent.glob("runs/*") if not p.name.startswith(".")]


def test_runs_are_listed_shown_compared_and_removed(kept_starter, capsys):
    first, second = solved(capsys)["run"], solved(capsys, "--variant", "lean")["run"]
    assert main(["runs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [first, second]
    assert main(["runs", "show", first]) == 0
    shown = capsys.readouterr().out
    assert "the plan is possible" in shown
    assert main(["runs", "diff", first, second]) == 0
    text = capsys.readouterr().out
    assert "budget.pay.limit: 62,000 -> 58,000" in text
    assert main(["runs", "rm", first]) == 0
    capsys.readouterr()
    assert main(["runs", "list", "--json"]) == 0
    assert [row["run"] for row in json.loads(capsys.readouterr().out)["runs"]] == [second]


def test_what_is_to_be_said_about_a_plan_is_said_again_from_the_store(tmp_path, capsys):
    words = ["solve", str(ROOT / "scenarios" / "adventureworks-base.toml"), "--out", str(tmp_path), "--no-simulation"]
    said = []
    for _ in range(2):
        assert main([*words, "--json"]) == 0
        said.append(capsys.readouterr().err)
    assert "W-rounding-total" in said[0] and "W-unassigned" in said[0]
    assert said[1] == f"{said[0]}{next(tmp_path.iterdir()).name} was solved before; --force solves it again\n"


def test_what_the_summary_says_is_not_said_beside_it(tmp_path, capsys):
    """A first look is calm: totals that limits hold away from the nearest stand in the summary, with their figures."""
    words = ["solve", str(ROOT / "scenarios" / "adventureworks-base.toml"), "--out", str(tmp_path), "--no-simulation"]
    assert main(words) == 0
    answer = capsys.readouterr()
    assert answer.err == ""
    assert "Limits hold the rounded total of adventureworks/lines at 31,499, where" in answer.out
    (run,) = tmp_path.iterdir()
    summary = (run / "summary.txt").read_text()
    assert max(map(len, summary.splitlines())) <= 80 and "   baseline: " not in summary


def test_two_goals_of_one_kpi_are_compared_each(starter, capsys):
    more = ["--set", 'goal.floor={kpi="sales",target=1}', "--set", "goal.floor.priority=0"]
    first, second = solved(capsys, *more)["run"], solved(capsys, *more, "--set", "goal.sales.target=1_000_000")["run"]
    assert main(["runs", "diff", first, second]) == 0
    assert "  goal sales plan: " in capsys.readouterr().out


PAGES = (["sweep", "--html"], ["compare", "--html"], ["export", "--out"])


@pytest.mark.parametrize(("command", "option"), PAGES)
@pytest.mark.parametrize(
    ("place", "code"),
    [("scenario.toml", "E-output-is-input"), ("cells.csv", "E-output-is-input"), (".", "E-output"),
     ("no/page.html", "E-output-missing")],
)  # fmt: skip
def test_a_page_is_written_over_no_input_and_into_a_folder(starter, capsys, command, option, place, code):
    before = everything(starter.parent)
    assert main([command, "scenario.toml", option, place]) == 8
    said = capsys.readouterr().err
    assert f"{code}: " in said and place in said
    assert everything(starter.parent) == before


def test_a_comparison_is_written_over_no_kept_run_and_no_given_plan(kept_starter, capsys):
    folder = solved(capsys)["folder"]
    rows = (kept_starter.parent / folder / "targets.csv").read_text().splitlines()
    Path("plan.csv").write_text("unit,kpi,target\n" + "".join(",".join(r.split(",")[:2]) + ",1\n" for r in rows[1:]))
    before = everything(kept_starter.parent)
    for source, place in [(folder, f"{folder}/{name}") for name in ("run.json", "summary.txt", "targets.csv")] + [
        ("scenario.toml@plan.csv", "plan.csv")
    ]:
        assert main(["compare", "scenario.toml", source, "--no-simulation", "--force", "--html", place]) == 8
        assert "E-output-is-input: " in capsys.readouterr().err
    assert everything(kept_starter.parent) == before


def test_a_run_compared_with_itself_has_no_difference(kept_starter, capsys):
    name = solved(capsys)["run"]
    assert main(["runs", "diff", name, name, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["inputs"], document["results"], document["targets"]) == ([], [], [])


def test_a_damaged_run_is_listed_as_such_and_not_shown(kept_starter, capsys):
    folder = kept_starter.parent / solved(capsys)["folder"]
    (folder / "targets.csv").unlink()
    assert main(["runs", "list"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("damaged")
    assert main(["runs", "show", folder.name]) == 8
    assert "targets.csv" in capsys.readouterr().err


def test_export_writes_the_program_of_a_step(starter, capsys, tmp_path):
    assert main(["export", "scenario.toml", "--step", "cost"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[1] == "Minimize"
    assert "capacity.hours.ann:" in text
    assert main(["export", "scenario.toml", "--format", "mps", "--out", "program.mps"]) == 0
    assert (starter.parent / "program.mps").read_text().endswith("ENDATA\n")
    assert main(["export", "scenario.toml", "--step", "nope"]) == 2
    assert "goals 1" in capsys.readouterr().err


def test_check_shows_where_every_value_comes_from(starter, capsys):
    assert main(["check", "scenario.toml", "--variant", "lean", "--set", "simulation.seed=3", "--show-origin"]) == 0
    out = capsys.readouterr().out
    line = 1 + (starter.read_text().splitlines().index("budget.pay.limit = 58_000"))
    assert f"budget.pay.limit = 58000    # scenario.toml:{line}:20" in out
    assert "simulation.seed = 3    # --set" in out


def test_check_reports_all_errors_at_once_in_both_forms(starter, capsys):
    text = starter.read_text()
    starter.write_text(
        text.replace("target = 105", "tagret = 105").replace('direction = "down"', 'direction = "sideways"')
    )
    assert main(["check", "scenario.toml"]) == 3
    err = capsys.readouterr().err
    assert "did you mean 'target'?" in err
    assert "sideways" in err
    assert "^" in err
    assert main(["check", "scenario.toml", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert {p["code"] for p in document["problems"]} >= {"E-unknown-key", "E-value"}
    assert all(p["file"] == "scenario.toml" and p["line"] for p in document["problems"])


@pytest.mark.parametrize("name", ["", "\\n", "a/b", "../../etc", "CON", "x" * 300])
def test_row_93_folder_names_come_from_no_user_text_as_it_is(starter, capsys, name):
    words = ["--no-simulation", "--set", f'name="{name}"']
    code = main(["solve", "scenario.toml", "--json", *words])
    document = json.loads(capsys.readouterr().out)
    if code == 3:  # a name that the format refuses
        assert "name" in document["problems"][0]["message"]
        return
    assert code == 0
    assert [p.name for p in (starter.parent / "runs").iterdir()] == [document["run"]]
    assert len(document["run"]) <= 49
