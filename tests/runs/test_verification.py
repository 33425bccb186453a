"""A kept run verifies as it was written, and no longer when anything in it is changed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kpiopt.cli import main
from kpiopt.program.trust.evidence import load_evidence, save_evidence
from kpiopt.runs.stored_run import read_run
from kpiopt.runs.verification import verify_run
from kpiopt.workers.versions import hash_file


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A run of the starter scenario, which has whole-number levels."""
    folder = tmp_path_factory.mktemp("original")
    assert main(["init", str(folder)]) == 0
    words = ["--out", str(folder / "runs"), "--no-simulation"]
    assert main(["solve", str(folder / "scenario.toml"), *words]) == 0
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture
def run(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / original.name))


def failed(folder: Path) -> list[str]:
    return [finding.what for finding in verify_run(read_run(folder)) if not finding.passed]


def renew_manifest(folder: Path) -> None:
    """Make the manifest fit again, as a careful forger would."""
    document = json.loads((folder / "run.json").read_text())
    for name, entry in document["manifest"]["files"].items():
        entry.update(bytes=(folder / name).stat().st_size, sha256=hash_file(folder / name))
    (folder / "run.json").write_text(json.dumps(document))


def edit_answer(folder: Path, change) -> None:
    document = json.loads((folder / "run.json").read_text())
    change(document)
    (folder / "run.json").write_text(json.dumps(document))


def test_a_run_verifies_without_the_solver(run):
    script = (
        "import sys; from kpiopt.cli import main; code = main(sys.argv[1:]); sys.exit(code or 'highspy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, "verify", str(run)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the proof is about the program of the scenario" in done.stdout
    assert done.stdout.endswith("verified\n")


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
    assert failed(run) == ["targets are those of the solution"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda d: d["goals"][0].update(plan=d["goals"][0]["plan"] + 1), "plan values of the goals"),
        (lambda d: d["steps"][2].update(value=0.0), "values of the steps"),
        (lambda d: d["initiatives"][0].update(level=d["initiatives"][0]["level"] + 1), "targets are those"),
    ],
)
def test_a_forged_answer_is_found(run, change, found):
    edit_answer(run, change)
    assert [what for what in failed(run) if what.startswith(found)]


def test_a_loosened_limit_in_the_kept_scenario_is_found(run):
    path = run / "scenario.toml"
    path.write_text(path.read_text().replace("62000", "72000"))
    renew_manifest(run)
    assert failed(run) == ["the proof is about the program of the scenario"]


def test_a_changed_goal_in_the_kept_scenario_is_found(run):
    path = run / "scenario.toml"
    path.write_text(path.read_text().replace("priority = 1", "priority = 1\nweight = 3"))
    renew_manifest(run)
    assert failed(run) == ["its objectives are the scenario's, in their order"]


def forge(run: Path, step: int, **changes) -> None:
    from dataclasses import replace

    evidence = list(load_evidence(run / "evidence.npz"))
    evidence[step] = replace(evidence[step], **changes)
    save_evidence(run / "evidence.npz", evidence)
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


def test_a_run_that_does_not_verify_exits_with_6(run, capsys):
    (run / "targets.csv").write_text("unit,kpi\n")
    assert main(["verify", str(run)]) == 6
    assert "targets.csv" in capsys.readouterr().err
