"""What a kept run says of its promises is found out where it was changed, although all digests fit again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.formulation.promises import Cuts
from kpiopt.program.trust.evidence import load_evidence
from kpiopt.run.run import Run
from kpiopt.runs.kept_cuts import CUTS_FILE, cuts_bytes, held_to, load_cuts
from kpiopt.runs.kept_risk import risk_differences
from kpiopt.runs.recomputation import differences, recompute_run
from kpiopt.runs.run_document import seal
from kpiopt.runs.stored_run import RISK_FILE, read_run
from kpiopt.runs.verification import RISK, verify_proof
from kpiopt.workers.versions import hash_file
from tests.run.test_promised_few import WHOLE
from tests.run.test_promised_kept import FEW_HIT, MADE_AGAIN
from tests.runs.test_verification import TOLD

FEW = MADE_AGAIN.replace("p_min = 0.97", "p_min = 0.9")
BY_ROWS = FEW_HIT.replace('["odds", "cost"]', '["goals", "cost"]').replace("draws = 1024", "draws = 512\np_min = 0.05")
STEP = FEW_HIT.replace("draws = 1024", "draws = 512")
MISSED = WHOLE.replace("draws = 1024", "draws = 256")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return a run of a scenario that is kept once."""
    runs: dict[str, Path] = {}

    def keep(text: str, *words: str) -> Path:
        key = text + " ".join(words)
        if key not in runs:
            folder = tmp_path_factory.mktemp("kept")
            (folder / "plan.toml").write_text(text)
            out = ["--out", str(folder / "runs"), "--draws", "256"]
            assert main(["solve", str(folder / "plan.toml"), *out, *words]) == 0
            (runs[key],) = (folder / "runs").iterdir()
        return runs[key]

    return keep


def failed(folder: Path) -> list[str]:
    return [finding.what for finding in kpiopt.verify(folder) if not finding.passed]


@pytest.fixture(scope="module")
def follows(kept):
    """Return what follows from the proof of a kept run, computed once."""
    found: dict[Path, Run] = {}

    def recompute(folder: Path) -> Run:
        if folder not in found:
            cascade, _ = held_to(build_cascade(build_graph(kpiopt.load(folder / "scenario.toml"))), folder)
            found[folder] = recompute_run(read_run(folder), cascade, load_evidence(folder / "evidence.npz"))
        return found[folder]

    return recompute


def forged(folder: Path, tmp_path: Path, *, document=None, cuts=None, risk=None) -> Path:
    """Return a copy with something changed, and every digest made to fit."""
    copy = Path(shutil.copytree(folder, tmp_path / "forged" / folder.name))
    told = json.loads((copy / "run.json").read_text())
    if document:
        document(told)
    if cuts:
        cascade = build_cascade(build_graph(kpiopt.load(copy / "scenario.toml")))
        (copy / CUTS_FILE).write_bytes(cuts_bytes(cuts(load_cuts(copy / CUTS_FILE, cascade))))
    if risk:
        study = json.loads((copy / RISK_FILE).read_text())
        risk(study)
        (copy / RISK_FILE).write_text(json.dumps(study, indent=1))
    for name, entry in told["manifest"]["files"].items():
        entry.update(bytes=(copy / name).stat().st_size, sha256=hash_file(copy / name))
    (copy / "run.json").write_text(json.dumps(seal(told)))
    return copy


SAID = {
    "kept": lambda entry: {"kept": not entry["kept"]},
    "planned": lambda entry: {"planned": entry["planned"] - 0.01},
    "shortfall": lambda entry: {"shortfall": entry["shortfall"] + 0.01},
    "cushion": lambda entry: {"cushion": entry["cushion"] * 1.01 + 1e-3},
    "added": lambda entry: {"added": entry["added"] + 0.5},
    "made_again": lambda entry: {"made_again": entry["made_again"] + 1},
    "p_min": lambda entry: {"p_min": entry["p_min"] + 0.01},
    "lost odds": lambda entry: {"kept": False, "planned": 0.0, "shortfall": 0.1},
    "half": lambda entry: {"kept": False, "planned": 0.0, "p_min": 0.5},
}


@pytest.mark.parametrize(
    "text",
    [*map(pytest.param, (FEW, BY_ROWS, STEP)), pytest.param(MISSED, marks=pytest.mark.nightly)],
    ids=["few", "by rows", "step odds", "missed"],
)
@pytest.mark.parametrize("what", SAID)
def test_what_is_said_of_a_promise_is_computed_again(kept, follows, tmp_path, text, what):
    folder = kept(text)
    copy = forged(folder, tmp_path, document=lambda told: told["promises"][0].update(SAID[what](told["promises"][0])))
    found = [where for where, wrong in differences(read_run(copy), follows(folder), TOLD) if wrong]
    assert found[0] == "run.json"


def test_a_promise_that_is_left_out_is_found(kept, tmp_path):
    assert "run.json follows from the proof" in failed(
        forged(kept(STEP), tmp_path, document=lambda told: told["promises"].clear())
    )


def first(held: Cuts, **values) -> Cuts:
    return replace(held, cuts=(replace(held.cuts[0], **values), *held.cuts[1:]))


EVIDENCE = {
    "row": lambda held: first(held, constant=held.cuts[0].constant + 1e-3),
    "slope": lambda held: first(held, level=held.cuts[0].level * 1.001),
    "draws": lambda held: first(held, weight=np.arange(len(held.cuts[0].weight)) % 2.0),
    "no draws": lambda held: first(held, weight=np.zeros_like(held.cuts[0].weight)),
    "goals": lambda held: first(held, counted=~held.cuts[0].counted),
    "exact": lambda held: first(held, is_exact=True),
    "rows left out": lambda held: replace(held, cuts=held.cuts[:1]),
    "side": lambda held: replace(held, lift=held.lift - 0.5),
    "added": lambda held: replace(held, added=held.added + 0.1),
    "made again": lambda held: replace(held, made_again=held.made_again + 1),
    "odds": lambda held: replace(held, odds=0.001),
}
UNSAID = {"few": ("odds",), "by rows": ("odds",), "step odds": ()}
"""What says nothing of a plan: odds of the step "odds" where there is no such step."""


@pytest.mark.parametrize("kind", ["few", "by rows", "step odds"])
@pytest.mark.parametrize("what", EVIDENCE)
def test_forged_evidence_of_a_promise_is_found(kept, tmp_path, kind, what):
    text = {"few": FEW, "by rows": BY_ROWS, "step odds": STEP}[kind]
    copy = forged(kept(text), tmp_path, cuts=EVIDENCE[what])
    wrong = [finding.what for finding in verify_proof(read_run(copy)) if not finding.passed]
    assert wrong or failed(copy) or what in UNSAID[kind]


STUDY = {
    "margin": lambda study: study["margins"][0].update(margin=study["margins"][0]["margin"] + 0.01),
    "goal": lambda study: study["margins"][0].update(goal="other"),
    "share": lambda study: study["breaks"][0].update(share_of_misses=0.5),
    "best": lambda study: study.update(best=0.1),
    "value": lambda study: study.update(value_of_planning_on_draws=0.001),
    "draws": lambda study: study.update(draws=16),
}


def test_forged_margins_are_found(kept, follows, tmp_path):
    folder = kept(FEW, "--risk")
    assert failed(folder) == [] and risk_differences(folder, follows(folder)) == []
    for name, change in STUDY.items():
        copy = forged(folder, tmp_path / name, risk=change)
        assert risk_differences(copy, follows(folder)), name
    assert failed(copy) == [RISK]
