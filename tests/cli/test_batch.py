"""Several scenarios in one command, and thresholds that fail a build."""

import json
import re
import shutil
from pathlib import Path

import pytest

import kpiopt.runs.batch as batches
from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.runs.batch import Threshold, expand_patterns, read_thresholds

CASES = Path(__file__).parents[1] / "cases"
HAND = Path(__file__).parents[2] / "scenarios" / "hand-solved.toml"


@pytest.fixture
def folder(tmp_path):
    """A good scenario, one that breaks a rule, one without a plan."""
    shutil.copytree(HAND.parents[1] / "models" / "hand_solved", tmp_path / "models" / "hand_solved")
    base = HAND.read_text("utf-8")
    clash = "hard = true\n[budget.pay]\nlimit = 0\n[simulation]"
    files = {
        "a": base,
        "b": base.replace("target = 45", "tagret = 45"),
        "c": base.replace("[simulation]", clash),
    }
    (tmp_path / "scenarios").mkdir()
    for name, text in files.items():
        (tmp_path / "scenarios" / f"{name}.toml").write_text(text, "utf-8")
    return tmp_path


def batch(folder, *words):
    files = sorted(str(p) for p in (folder / "scenarios").glob("*.toml"))
    return main(["solve", *files, "--out", str(folder / "runs"), *words])


def test_one_table_for_all_and_every_good_run_is_kept(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert batch(folder) == ExitCode.PARTIAL
    said = capsys.readouterr()
    assert "1 of 3 scenarios solved" in said.out
    assert "not valid" in said.out and "infeasible" in said.out
    assert "tagret" in said.out and re.search(r"b\.toml:\d+:1: E-unknown-key", said.out.replace("\n", ""))
    assert "cheapest repair" in said.out and re.search(r"solved .* 600 USD", said.out)
    assert "2 of 3 scenarios have no answer" in said.err
    assert len(list((folder / "runs").glob("*/run.json"))) == 1


def test_json_is_one_document(folder, capsys):
    assert batch(folder, "--json") == ExitCode.PARTIAL
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (document["schema"], document["status"]) == ("kpiopt.batch/1", "partial")
    good, broken, clash = document["scenarios"]
    assert (good["status"], good["passed"], good["goals_met"]) == ("optimal", True, 2)
    assert json.loads((Path(good["folder"]) / "run.json").read_text("utf-8"))["run"] == good["run"]
    assert [s["exit_code"] for s in (broken, clash)] == [ExitCode.INPUT, ExitCode.INFEASIBLE]


def test_all_good_is_exit_0(tmp_path, capsys):
    files = [str(CASES / name) for name in ("causes.toml", "lock.toml")]
    assert main(["solve", *files, "--out", str(tmp_path / "runs"), "--no-simulation"]) == 0
    assert "2 of 2 scenarios solved" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("threshold", "code"),
    [
        ("odds=0.5", 0),
        ("odds=0.6", 9),
        ("odds.complaints=0.99", 0),
        ("odds.sales=0.6", 9),
        ("goals=1", 0),
        ("odds=0.5568", 0),
    ],
)
def test_a_threshold_decides_the_exit_code_of_one_scenario(tmp_path, capsys, threshold, code):
    """Sales are hit with probability 0.5568, complaints for certain."""
    assert main(["solve", str(HAND), "--out", str(tmp_path / "runs"), "--fail-under", threshold]) == code
    said = capsys.readouterr()
    assert "Hand-solved plan" in said.out  # the answer is printed all the same
    assert ("E-fail-under" in said.err) == (code == 9)


@pytest.mark.parametrize(
    ("threshold", "words", "reason"),
    [
        ("odds=0.1", ["--no-simulation"], "nothing was simulated"),
    ],
)
def test_what_is_not_known_is_said_with_its_reason(tmp_path, capsys, threshold, words, reason):
    assert main(["solve", str(HAND), "--out", str(tmp_path / "runs"), "--fail-under", threshold, *words]) == 9
    assert reason in capsys.readouterr().err


def test_patterns_are_expanded_where_the_shell_does_not(folder, capsys):
    pattern = str(folder / "scenarios" / "[ac].toml")
    assert main(["solve", pattern, "--out", str(folder / "runs"), "--json"]) == ExitCode.PARTIAL
    entries = json.loads(capsys.readouterr().out)["scenarios"]
    assert [Path(e["file"]).name for e in entries] == ["a.toml", "c.toml"]


def test_files_with_brackets_in_their_name_are_themselves(tmp_path, capsys):
    file = tmp_path / "plan [2].toml"
    shutil.copy(CASES / "causes.toml", file)
    assert expand_patterns([file, tmp_path / "no*.toml"]) == [file, tmp_path / "no*.toml"]


def test_a_fault_in_one_scenario_does_not_end_the_batch(folder, monkeypatch, capsys):
    monkeypatch.setattr(batches, "check_scenario", lambda *_, **__: 1 / 0)
    assert batch(folder, "--json") == ExitCode.PARTIAL
    entries = json.loads(capsys.readouterr().out)["scenarios"]
    assert [e["problems"][0]["code"] for e in entries] == ["E-internal"] * 3


def test_interrupted_it_says_what_is_kept(folder, monkeypatch, capsys):
    usual = batches.check_scenario

    def stop(file, **options):
        if file.stem == "c":
            raise KeyboardInterrupt
        return usual(file, **options)

    monkeypatch.setattr(batches, "check_scenario", stop)
    assert batch(folder) == ExitCode.INTERRUPTED
    said = capsys.readouterr()
    assert said.out == "" and "1 of 3 scenarios are solved and kept" in said.err


def test_a_threshold_in_a_batch_marks_its_scenario(folder, capsys):
    (folder / "scenarios" / "b.toml").unlink()
    (folder / "scenarios" / "c.toml").unlink()
    shutil.copy(folder / "scenarios" / "a.toml", folder / "scenarios" / "d.toml")
    assert batch(folder, "--fail-under", "odds=0.9", "--json") == ExitCode.PARTIAL
    entries = json.loads(capsys.readouterr().out)["scenarios"]
    assert [(e["status"], e["passed"], e["problems"][0]["code"]) for e in entries] == [
        ("optimal", False, "E-fail-under")
    ] * 2


@pytest.mark.parametrize("text", ["odds", "odds=", "odds=x", "odds=1.1", "odds.=0.5", "pay=0.5", "odds=nan"])
def test_what_is_no_threshold_is_refused_before_anything_is_solved(text, capsys):
    assert main(["solve", "nowhere.toml", "--fail-under", text]) == ExitCode.USAGE
    assert "is no threshold" in capsys.readouterr().err


def test_thresholds_are_read_in_their_order():
    assert read_thresholds(["odds=0.8", "goals=0"]) == (Threshold("odds", 0.8), Threshold("goals", 0.0))
