"""A kept run verifies as it was written, and no longer when anything in it is changed."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.trust.evidence import evidence_bytes, load_evidence
from kpiopt.report.page.kept_files import summary_text, workbook_of
from kpiopt.run.run import Run
from kpiopt.runs.question import digest_of, run_name
from kpiopt.runs.recomputation import Told, differences, recompute_run
from kpiopt.runs.run_document import seal
from kpiopt.runs.stored_run import read_run
from kpiopt.runs.verification import verify_proof, verify_run
from kpiopt.scenario.load import load_scenario
from kpiopt.workers.versions import hash_file
from tests.program.formulation.test_rules_file import SCENARIO as SCENARIO_WITH_RULES

BOOKS: dict[Path, bytes] = {}


def workbook_once(run: Run, folder: Path) -> bytes:
    """The workbook of a run folder, written once: what is forged in these tests does not reach it."""
    if folder not in BOOKS:
        BOOKS[folder] = workbook_of(run, folder)
    return BOOKS[folder]


TOLD = Told(summary_text, workbook_once)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A run of the starter scenario, which has whole-number levels."""
    folder = tmp_path_factory.mktemp("original")
    assert main(["init", str(folder)]) == 0
    words = ["--out", str(folder / "runs"), "--draws", "256"]
    assert main(["solve", str(folder / "scenario.toml"), *words]) == 0
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def recomputed(original) -> Run:
    """What follows from the proof of the run."""
    cascade = build_cascade(build_graph(load_scenario(original / "scenario.toml")))
    return recompute_run(read_run(original), cascade, load_evidence(original / "evidence.npz"))


@pytest.fixture
def run(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / original.name))


def failed(folder: Path) -> list[str]:
    return [finding.what for finding in verify_run(read_run(folder), TOLD) if not finding.passed]


def unlike(folder: Path, recomputed: Run) -> list[str]:
    """Return what `verify` finds changed, as in `failed`, without computing again what follows from the same proof."""
    wrong = [finding.what for finding in verify_proof(read_run(folder)) if not finding.passed]
    found = differences(read_run(folder), recomputed, TOLD)
    return wrong or [f"{what} follows from the proof" for what, why in found if why]


def renew_manifest(folder: Path) -> None:
    """Make every digest fit again, as a careful forger would."""
    document = json.loads((folder / "run.json").read_text())
    manifest = document["manifest"]
    for name, entry in manifest["files"].items():
        entry.update(bytes=(folder / name).stat().st_size, sha256=hash_file(folder / name))
    for entry in manifest["inputs"]:
        if entry["copy"]:
            entry.update(sha256=hash_file(folder / entry["copy"]), sha256_at_end=hash_file(folder / entry["copy"]))
    inputs = {name: entry["sha256"] for name, entry in manifest["files"].items() if name.startswith("inputs/")}
    toml = (folder / "scenario.toml").read_text()
    manifest["digest"] = digest_of(toml, inputs, manifest["versions"], manifest["settings"])
    document["run"] = run_name("Starter plan", manifest["digest"])
    (folder / "run.json").write_text(json.dumps(seal(document)))


RENAMED = "the run bears the name of its question"
"""A forger who changes the question gives the run another name."""


def edit_answer(folder: Path, change) -> None:
    document = json.loads((folder / "run.json").read_text())
    change(document)
    (folder / "run.json").write_text(json.dumps(seal(document)))


def test_a_proof_is_checked_without_the_solver(run):
    script = (
        "import sys; from pathlib import Path; from kpiopt.runs.stored_run import read_run\n"
        "from kpiopt.runs.verification import verify_proof\n"
        "found = verify_proof(read_run(Path(sys.argv[1])))\n"
        "print(*(finding.what for finding in found if finding.passed), sep='\\n')\n"
        "sys.exit('highspy' in sys.modules or not all(finding.passed for finding in found))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(run)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the proof is about the program of the scenario" in done.stdout


def test_a_run_verifies(run, capsys):
    assert main(["verify", str(run)]) == 0
    said = capsys.readouterr().out
    assert "summary.txt follows from the proof" in said
    assert said.endswith("verified\n")


def test_every_file_is_watched(run):
    for name in read_run(run).manifest["files"]:
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert failed(run) == ["files are as they were written"]
        (run / name).write_bytes(content)
    assert failed(run) == []


def test_a_forged_target_is_found(run):
    path = run / "targets.parquet"
    frame = pl.read_parquet(path)
    moved = pl.when(pl.col("unit") == "ann").then(pl.col("stretch") + 1).otherwise(pl.col("stretch"))
    frame.with_columns(moved.alias("stretch")).write_parquet(path)
    renew_manifest(run)
    assert failed(run) == ["targets.parquet follows from the proof", "targets.csv follows from the proof"]


NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def changed(number: str) -> str:
    """Another number that is written alike."""
    digits = [i for i, c in enumerate(number) if c.isdigit()]
    place = next((i for i in digits if number[i] != "0"), digits[-1])
    return number[:place] + str((int(number[place]) + 1) % 10 or 1) + number[place + 1 :]


def leaves(value, path=()):
    """Every number of a document, with the way to it."""
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(child, (*path, key))
    elif isinstance(value, int | float):
        yield path, value


def put(document, path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.nightly)])
def test_no_number_of_the_document_can_be_changed(run, recomputed, every):
    """Figures of run.json, with all digests made to fit; times are records, and so are the sizes of files."""
    text = (run / "run.json").read_text()
    records = {("manifest", "seconds"), ("manifest", "files"), ("manifest", "inputs"), ("manifest", "settings")}
    figures = [leaf for leaf in leaves(json.loads(text)) if leaf[0][:2] not in records]
    assert len(figures) > 100
    for path, value in figures[::every]:
        document = json.loads(text)
        put(document, path, (not value) if isinstance(value, bool) else value + 1)
        (run / "run.json").write_text(json.dumps(seal(document)))
        assert any(why for _, why in differences(read_run(run), recomputed, TOLD)), path


TABLES = ["targets.csv", "goals.csv", "limits.csv", "odds.csv", "initiatives.csv"]


def test_no_column_of_a_table_can_be_changed(run, recomputed):
    tried = 0
    for name in TABLES:
        text = (run / name).read_text()
        rows = [line.split(",") for line in text.splitlines()]
        for column in range(len(rows[0])):
            row = next((r for r in range(1, len(rows)) if NUMBER.fullmatch(rows[r][column])), None)
            if row is None:
                continue
            forged = [list(line) for line in rows]
            forged[row][column] = changed(forged[row][column])
            (run / name).write_text("".join(",".join(line) + "\n" for line in forged))
            wrong = [what for what, why in differences(read_run(run), recomputed, TOLD) if why]
            assert wrong == [name], (name, rows[0][column])
            tried += 1
        (run / name).write_text(text)
    frame = pl.read_parquet(run / "targets.parquet")
    for name in frame.columns:
        if frame[name].dtype == pl.Float64 and frame[name].is_not_null().any():
            frame.with_columns(pl.col(name) + 1).write_parquet(run / "targets.parquet")
            wrong = [what for what, why in differences(read_run(run), recomputed, TOLD) if why]
            assert "targets.parquet" in wrong, name
            tried += 1
    assert tried > 35


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.nightly)])
def test_no_number_of_the_summary_or_the_certificate_can_be_changed(run, recomputed, every):
    for name in ("summary.txt", "certificate.json"):
        text = (run / name).read_text()
        for match in list(NUMBER.finditer(text))[::every]:
            forged = text[: match.start()] + changed(match.group()) + text[match.end() :]
            (run / name).write_text(forged)
            assert [what for what, why in differences(read_run(run), recomputed, TOLD) if why] == [name], match
        (run / name).write_text(text)


@pytest.mark.parametrize("name", ["goals.csv", "targets.csv", "summary.txt", "odds.csv", "certificate.json"])
def test_a_forged_file_whose_digests_fit_is_refused(run, recomputed, name):
    text = (run / name).read_text()
    match = list(NUMBER.finditer(text))[-1]
    (run / name).write_text(text[: match.start()] + changed(match.group()) + text[match.end() :])
    renew_manifest(run)
    assert unlike(run, recomputed) == [f"{name} follows from the proof"]


@pytest.mark.parametrize("name", ["scenario.toml", "inputs/units.csv", "inputs/cells.csv"])
def test_no_number_of_the_question_can_be_changed(run, name):
    """With every digest made to fit, and the run's name in its document; one number of each line."""
    text = (run / name).read_text()
    lines = text.splitlines(keepends=True)
    for i, line in enumerate(lines):
        match = next(iter(NUMBER.finditer(line.partition("#")[0])), None)
        if match is None or line.startswith("schema"):
            continue
        forged = line[: match.start()] + changed(match.group()) + line[match.end() :]
        (run / name).write_text("".join([*lines[:i], forged, *lines[i + 1 :]]))
        renew_manifest(run)
        assert failed(run), line


def test_a_question_of_another_name_is_found(run):
    edit_answer(run, lambda d: d["manifest"]["versions"].update(highspy="9.9.9"))
    assert failed(run) == ["the run bears the name of its question"]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["goals"][0].update(plan=d["goals"][0]["plan"] + 1),
        lambda d: d["steps"][2].update(value=0.0),
        lambda d: d["initiatives"][0].update(level=d["initiatives"][0]["level"] + 1),
        lambda d: d["limits"][0].update(used=1.0),
        lambda d: d["pay"].update(plan=1.0),
        lambda d: d["goals"].pop(),
        lambda d: d.update(free_targets=0, surprise=1),
    ],
)
def test_a_forged_answer_is_found(run, recomputed, change):
    edit_answer(run, change)
    assert "run.json follows from the proof" in unlike(run, recomputed)


def test_another_setting_is_found(run):
    edit_answer(run, lambda d: d["manifest"]["settings"].update(simulate=False))
    assert failed(run) == ["the run bears the name of its question"]


def test_an_edited_document_is_not_read(run):
    (run / "run.json").write_text((run / "run.json").read_text().replace("2200000.0", "2200001.0", 1))
    assert failed(run) == ["files are as they were written"]


def test_a_loosened_limit_in_the_kept_scenario_is_found(run):
    path = run / "scenario.toml"
    path.write_text(path.read_text().replace("62000", "72000"))
    renew_manifest(run)
    assert failed(run) == [RENAMED, "the proof is about the program of the scenario"]


@pytest.mark.parametrize(("code", "told"), [(None, False), ("0123456789ab", True)])
def test_a_run_of_other_code_that_tells_it_otherwise_is_no_mystery(run, capsys, code, told):
    (run / "summary.txt").write_text((run / "summary.txt").read_text().replace("Goals", "What is wanted"))
    document = json.loads((run / "run.json").read_text())
    document["manifest"]["versions"]["code"] = code or document["manifest"]["versions"]["code"]
    (run / "run.json").write_text(json.dumps(document))
    renew_manifest(run)
    run = run.rename(run.parent / json.loads((run / "run.json").read_text())["run"])  # versions are part of the name
    assert main(["verify", str(run)]) == 6
    error = capsys.readouterr().err
    assert "summary.txt follows from the proof" in error
    assert ("made by other versions (kpiopt's code)" in error) is told


def test_a_changed_goal_in_the_kept_scenario_is_found(run):
    path = run / "scenario.toml"
    path.write_text(path.read_text().replace("priority = 1", "priority = 1\nweight = 3"))
    renew_manifest(run)
    assert failed(run) == [RENAMED, "its objectives are the scenario's, in their order"]


def forge(run: Path, step: int, **changes) -> None:
    from dataclasses import replace

    evidence = list(load_evidence(run / "evidence.npz"))
    evidence[step] = replace(evidence[step], **changes)
    (run / "evidence.npz").write_bytes(evidence_bytes(evidence))
    renew_manifest(run)


def test_a_forged_proof_is_found(run):
    evidence = load_evidence(run / "evidence.npz")
    fairness = next(i for i, step in enumerate(evidence) if step.label == "fairness")
    forge(run, fairness, row_dual=-evidence[fairness].row_dual)
    assert "step fairness is proved" in failed(run)


def test_a_proof_over_too_small_a_face_is_found(run):
    """A later step may not fix what the steps before it leave open."""
    from dataclasses import replace

    evidence = load_evidence(run / "evidence.npz")
    last = next(i for i, step in enumerate(evidence) if step.kind == "closest")
    arrays, x = evidence[last].arrays, evidence[last].x
    free = np.flatnonzero(arrays.column_upper > arrays.column_lower)[0]
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    lower[free] = upper[free] = x[free]
    forge(run, last, arrays=replace(arrays, column_lower=lower, column_upper=upper))
    assert failed(run) == ["no step takes away what an earlier one leaves"]


def test_changed_inputs_are_told_apart_from_a_broken_run(original, capsys):
    cells = original.parents[1] / "cells.csv"
    before = cells.read_text()
    try:
        cells.write_text(before.replace("560000", "560001"))
        assert main(["verify", str(original)]) == 3
        assert "cells.csv has changed" in capsys.readouterr().err
        cells.unlink()
        assert main(["verify", str(original), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["passed"] is True
        assert "cells.csv is not there" in document["checks"][-1]["detail"]
    finally:
        cells.write_text(before)


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_a_run_that_says_its_input_changed_meanwhile_was_not_published(run, digest):
    document = json.loads((run / "run.json").read_text())
    document["manifest"]["inputs"][0]["sha256_at_end"] = digest
    (run / "run.json").write_text(json.dumps(seal(document)))
    assert failed(run) == ["no input changed while it was solved"]


def test_a_run_that_does_not_verify_exits_with_6(run, capsys):
    (run / "targets.csv").write_text("unit,kpi\n")
    assert main(["verify", str(run)]) == 6
    assert "targets.csv" in capsys.readouterr().err


RULES = """
import pyomo.environ as pyo
def add_rules(model, scenario):
    model.more_from_north = pyo.Constraint(expr=model.stretch["north/sales"] >= 3 * model.stretch["south/sales"])
"""


def test_a_run_with_rules_verifies_with_and_without_running_them(tmp_path, capsys):
    (tmp_path / "scenario.toml").write_text(SCENARIO_WITH_RULES)
    (tmp_path / "rules.py").write_text(RULES)
    assert main(["solve", str(tmp_path / "scenario.toml"), "--out", str(tmp_path / "runs"), "--allow-code"]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    capsys.readouterr()
    assert main(["verify", str(run)]) == 0
    assert "the scenario's rules file was not run" in capsys.readouterr().out
    assert main(["verify", str(run), "--allow-code"]) == 0
    assert "summary.txt follows from the proof" in capsys.readouterr().out
    edit_answer(run, lambda d: d["goals"][0].update(plan=d["goals"][0]["plan"] + 1))
    assert main(["verify", str(run)]) == 6
    assert "plan values of the goals" in capsys.readouterr().err


def test_an_edited_run_answers_no_equal_question(original, tmp_path, capsys):
    shutil.copytree(original.parents[1], tmp_path, dirs_exist_ok=True)
    words = ["solve", str(tmp_path / "scenario.toml"), "--out", str(tmp_path / "runs"), "--draws", "256", "--json"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "was solved before" in said.err
    first = json.loads(said.out)
    run = tmp_path / "runs" / original.name
    (run / "run.json").write_text((run / "run.json").read_text().replace("2200000.0", "2300000.0"))
    assert main(words) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == first
    assert "W-run-altered" in said.err
    assert read_run(run).document["goals"] == first["goals"]
    assert main(words) == 0
    assert "was solved before" in capsys.readouterr().err


def test_a_run_of_a_variant_is_verified(tmp_path):
    from kpiopt.cli.app import main

    path = tmp_path / "s.toml"
    text = Path(__file__).parents[2] / "models" / "hand_solved" / "model.toml"
    (tmp_path / "kpiopt.toml").touch()
    model = text.read_text("utf-8")
    (tmp_path / "model.toml").write_text(model)
    scenario = (Path(__file__).parents[2] / "scenarios" / "hand-solved.toml").read_text("utf-8")
    lines = [line for line in scenario.splitlines() if not line.startswith("#:schema")]
    changed = "\n".join(lines).replace("../models/hand_solved/model.toml", "model.toml")
    path.write_text(f"{changed}\n[variant.fewer]\nsimulation.draws = 512\n")
    assert main(["solve", str(path), "--variant", "fewer", "--out", str(tmp_path / "runs")]) == 0
    (kept,) = (tmp_path / "runs").glob("hand*")
    assert main(["verify", str(kept)]) == 0


def test_a_workbook_that_was_changed_is_found(run, recomputed):
    found = differences(read_run(run), recomputed, Told(summary_text, workbook_of))
    assert [what for what, why in found if why] == []
    (run / "plan.xlsx").write_bytes((run / "plan.xlsx").read_bytes()[:-40])
    found = differences(read_run(run), recomputed, TOLD)
    assert [what for what, why in found if why] == ["plan.xlsx"]


def test_a_run_in_memory_is_verified_and_what_is_bent_in_it_is_found() -> None:
    hand_solved = Path(__file__).parents[2] / "scenarios" / "hand-solved.toml"
    run = kpiopt.solve(kpiopt.load(hand_solved), simulate=False)
    assert all(finding.passed for finding in kpiopt.verify(run))
    *others, last = run.solution.solved
    unproved = replace(last, row_dual=np.zeros_like(last.row_dual))
    bent = {
        "targets are those of the solution": replace(run, plan=replace(run.plan, stretch=run.plan.stretch * 1.01)),
        "plan values of the goals are those of the solution": replace(
            run, goals=(replace(run.goals[0], plan=run.goals[0].plan + 1.0), *run.goals[1:])
        ),
        "the proof is about the program of the scenario": replace(
            run, scenario=kpiopt.load(hand_solved, variant="lean")
        ),
        f"step {run.solution.steps[len(others)].label} is proved": replace(
            run, solution=replace(run.solution, solved=(*others, unproved))
        ),
    }
    for what, other in bent.items():
        assert what in [finding.what for finding in kpiopt.verify(other) if not finding.passed], what


@pytest.mark.parametrize(
    "part",
    [{"not_done": [{"what": "odds", "text": "x"}]}, {"goals": [{}]}, {"steps": [3]}, {"robust": [{"step": "a"}]}],
)
def test_a_document_of_another_kind_is_not_trusted_and_told_without_exceptions(run, part, capsys):
    edit_answer(run, lambda document: document.update(part))
    assert main(["verify", str(run)]) == 6
    said = "".join(capsys.readouterr())
    assert "Error" not in said and "Traceback" not in said
