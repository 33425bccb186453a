"""Questions that cannot be answered: files that are missing, unknown goals, kept documents that were edited."""

import json
import shutil

import pytest

from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.runs.run_document import seal
from tests.cli.test_paths import SMALL


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a scenario and its run."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "scenario.toml").write_text(SMALL, "utf-8")
        assert main(["solve", "scenario.toml", "--draws", "64", "--beside", "proportional"]) == 0
    return folder


@pytest.fixture
def folder(kept, tmp_path, monkeypatch):
    shutil.copytree(kept, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def run_of(folder):
    return next(folder.glob("runs/*/run.json")).parent


@pytest.mark.parametrize("option", ["--html", "--xlsx"])
def test_a_report_never_replaces_what_the_run_was_made_of(folder, kept, capsys, option):
    scenario = kept / "scenario.toml"  # where it stood when it was solved
    before = scenario.read_bytes()
    assert main(["report", run_of(folder).name, option, str(scenario), "--force"]) == ExitCode.OUTPUT
    assert "E-output-is-input" in capsys.readouterr().err and scenario.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("goals", 0, "kpi"), {"a": 1}, ["report", "RUN", "--html", "x.html"]),
        (("simulation", "draws"), [[]], ["report", "RUN", "--html", "x.html"]),
        (("certificate", "relative_gap"), "x", ["report", "RUN", "--html", "x.html"]),
        (("rules", "proportional", "pay"), "x", ["report", "RUN", "--xlsx", "x.xlsx"]),
        (("steps", 0, "certificate", "objective"), {}, ["verify", "RUN"]),
    ],
)
def test_a_value_of_another_kind_is_a_damaged_run(folder, capsys, path, value, words):
    file = run_of(folder) / "run.json"
    document = json.loads(file.read_text("utf-8"))
    around = document
    for key in path[:-1]:
        around = around[key]
    around[path[-1]] = value
    del document["manifest"]["document_sha256"]
    file.write_text(json.dumps(seal(document)), "utf-8")
    code = main([run_of(folder).name if word == "RUN" else word for word in words])
    said = capsys.readouterr()
    verifies = words[0] == "verify"
    assert code == (ExitCode.UNCERTIFIED if verifies else ExitCode.OUTPUT) and "E-internal" not in said.err
    assert ("E-verify" if verifies else "E-run-damaged") in said.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["solve", "scenario.toml", "--fail-under", "odds.nix=0.8"], ExitCode.USAGE, "E-threshold"),
        (["solve", "scenario.toml", "no.toml"], ExitCode.INPUT, "E-file-missing"),
        (["compare", "scenario.toml", "no.toml"], ExitCode.INPUT, "E-compare-source"),
        (["compare", "no.toml"], ExitCode.INPUT, "E-compare-source"),
        (["compare", "scenario.toml@proportional"], ExitCode.USAGE, "E-compare-alone"),
        (["compare", "scenario.toml:no"], ExitCode.USAGE, "E-variant"),
        (["compare", "scenario.toml", "no.toml:more@even"], ExitCode.INPUT, "E-compare-source"),
        (["check", "scenario.toml", "--set", "rules.file=no.py"], ExitCode.INPUT, "E-file-missing"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_solved(folder, capsys, words, code, said):
    shutil.rmtree(folder / "runs")
    assert main(words) == code
    assert said in capsys.readouterr().err
    assert not list(folder.glob("runs/*/run.json"))
