"""Many random organizations with whole numbers: every choice tried, every published run verified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.steps import InfeasibleProgram
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.scenario.load import load_scenario
from tests.program.whole_oracle import EveryChoice, write_organization

SAME = 2e-6
"""What 1e-9 of slack in an earlier step, which SciPy needs, is worth in a later one at a price of some 1,000."""


def blocks(count: int, size: int) -> list[object]:
    """Return ranges of seeds: the first is part of the ordinary tests."""
    starts = range(0, count, size)
    marks = [[] if start == 0 else pytest.mark.nightly for start in starts]
    return [pytest.param(range(s, s + size), marks=m, id=f"from {s}") for s, m in zip(starts, marks, strict=True)]


def differences(path: Path) -> list[str]:
    """Return in what the plan of an organization differs from what trying every choice gives."""
    program = build_cascade(build_graph(load_scenario(path))).program
    truth = EveryChoice(program).truth()
    try:
        solution = solve_program(program, SolverOptions())
    except InfeasibleProgram as failure:
        assert failure.certificate.passed
        return [] if truth is None else [f"no plan, but {truth.choices[0]} has one"]
    if truth is None:
        return ["a plan where there is none"]
    found = [
        f"{step.label}: {step.value} instead of {value}"
        for step, value in zip(solution.steps, truth.values, strict=False)
        if abs(step.value - value) > SAME * max(1.0, abs(value))
    ]
    assert program.reference is not None
    last, size = solution.steps[-1].value, max(truth.highest, 1e-6)
    if not truth.doubtful and not truth.lowest - SAME * size <= last <= truth.highest + SAME * size:
        found.append(f"reference: {last} instead of {truth.lowest} to {truth.highest}")
    whole = np.flatnonzero(program.arrays().integer)
    levels = tuple(np.rint(solution.x[whole]).astype(int).tolist())
    if not truth.doubtful and levels not in truth.choices:
        found.append(f"levels: {levels} instead of {truth.choices}")
    for objective, value in zip(program.objectives, truth.values, strict=True):
        kept = float(objective.cost @ solution.x) + objective.offset
        if kept > value + objective.slack * abs(value) + SAME * max(1.0, abs(value)):
            found.append(f"slack: {objective.label} is {kept}, {value} at best")
    return found


@pytest.mark.parametrize("seeds", blocks(1000, 5))
def test_trying_every_choice_finds_the_same(tmp_path: Path, seeds: range) -> None:
    wrong = {seed: differences(write_organization(tmp_path / f"{seed}.toml", seed)) for seed in seeds}
    assert not {seed: found for seed, found in wrong.items() if found}


@pytest.mark.parametrize("seeds", blocks(2000, 5))
def test_every_published_run_verifies(tmp_path: Path, seeds: range) -> None:
    codes = {}
    for seed in seeds:
        path, runs = write_organization(tmp_path / f"{seed}.toml", 10_000 + seed), tmp_path / str(seed)
        codes[seed] = main(["solve", str(path), "--no-simulation", "--out", str(runs)])
        if codes[seed] == 0:
            (run,) = runs.iterdir()
            codes[seed] = -main(["verify", str(run)])
    assert not {seed: code for seed, code in codes.items() if code not in (0, 4)}
