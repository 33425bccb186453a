"""References that are reached exactly: a distance of 0 is proved wherever it lies, at an end, at a lock or inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.cli import main
from tests.from_text import run_of

HEAD = """schema = 1
name = "reached"
[kpi.v]
unit = "x"
step = {step}
[unit.co]
"""
ONE = (
    HEAD
    + '[cell."co/v"]\nbaseline = {baseline}\nmax_stretch = {most}\nreference = {reference}\n'
    + "[goal.v]\ntarget = {reference}\n"
)
LOCKED = (
    HEAD
    + '[unit.free]\nparent = "co"\n[unit.held]\nparent = "co"\n'
    + '[cell."free/v"]\nbaseline = 0\nmax_stretch = {most}\n'
    + '[cell."held/v"]\nbaseline = {baseline}\nlock = {lock}\nreference = {reference}\n'
    + '[goal.v]\ntarget = {target}\nat = "free"\n[decide]\n{decide}\n'
)


@pytest.mark.parametrize(
    ("baseline", "most", "reference", "step"),
    [
        (100, 100, 200, 1),
        (0, 3, 3, 1),
        (0, 30, 30, 1),
        (0, 3000, 3000, 1),
        (3, 3, 6, 1),
        (1000, 8000, 9000, 1),
        (0, 3e6, 3e6, 1e3),
        (0, 3e9, 3e9, 1),
        (1e9, 3e9, 4e9, 1e-3),
        (0, 0.003, 0.003, 0.001),
        (0, 3e9, 3e9, 1e6),
        (0, 0.7, 0.7, 1e-3),
    ],
)
def test_a_reference_at_the_end_of_the_range_is_reached(tmp_path: Path, baseline, most, reference, step) -> None:
    run = run_of(tmp_path, ONE.format(baseline=baseline, most=most, reference=reference, step=step))
    last = run.solution.steps[-1]
    assert run.plan.stretch.tolist() == pytest.approx([reference - baseline], rel=1e-9)
    assert (last.value, last.certificate.relative_gap) == (0.0, pytest.approx(0.0, abs=1e-12))


@pytest.mark.parametrize("decide", ["", "slack = { fairness = 0.1 }", 'order = ["goals", "reference"]'])
@pytest.mark.parametrize(
    ("most", "baseline", "lock"), [(0, 0, 3), (0.1, 0, 3), (0.1, 0, 3000), (0, 8000, 5), (2, 0, 7)]
)
def test_a_reference_at_a_lock_is_reached(tmp_path: Path, decide, most, baseline, lock) -> None:
    text = LOCKED.format(
        step=1, most=most, baseline=baseline, lock=lock, reference=baseline + lock, target=4, decide=decide
    )
    run = run_of(tmp_path, text)
    assert run.plan.stretch.tolist() == pytest.approx([most, lock], rel=1e-9)
    assert run.solution.steps[-1].certificate.passed


def test_the_kept_run_is_accepted_by_its_own_computation(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(ONE.format(baseline=100, most=100, reference=200, step=1), "utf-8")
    assert main(["solve", "s.toml", "--no-simulation"]) == 0
    assert main(["verify", str(next(Path("runs").glob("reached-*")))]) == 0
