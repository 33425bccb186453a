"""The interior-point method on programs of many sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.solver import interior
from kpiopt.program.solver.reduction import reduce_program

ROOT = Path(__file__).parents[3]


@pytest.mark.nightly
def test_the_gap_of_half_a_million_sides_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goals that can all be met, by quarter: the value is 0, so that only the gap's absolute size counts."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from generate import generate

    path = generate(50_000, tmp_path)
    scenario = kpiopt.load(path, overrides=['periods.names=["Q1","Q2","Q3","Q4"]'])
    program = build_cascade(build_graph(scenario)).program
    goals = program.objectives[0]
    reduction = reduce_program(replace(program.arrays(), cost=goals.cost, offset=goals.offset))
    assert reduction is not None
    problem, _ = interior.scale_linear(reduction.left)
    monkeypatch.setitem(
        interior.SETTINGS, "max_iter", 40
    )  # without end it would take all that are allowed, three times
    _, is_solved = interior._run(problem, interior.COST_SIZES[0] * float(np.sqrt(len(problem.linear))))
    assert is_solved
