"""Whole numbers: the search finds what trying every choice finds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.program.formulation.blocks import LinearProgram
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.steps import InfeasibleProgram, Solution, solve_order
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import fix_columns
from kpiopt.scenario.load import load_scenario
from tests.nights import rest_at_night

SCENARIOS = Path(__file__).parents[3] / "scenarios"
TIE = 1e-6


def program_of(path: Path) -> LinearProgram:
    return build_cascade(build_graph(load_scenario(path))).program


def write_scenario(path: Path, seed: int) -> Path:
    """Three units that may buy machines of different worth and price; several choices lead to the goals, or none."""
    rng = np.random.default_rng(seed)
    text = ['schema = 1\nname = "machines"\n[kpi.output]\n[kpi.errors]\ndirection = "down"\n[unit.plant]']
    for unit in ("a", "b", "c"):
        text.append(f'[unit.{unit}]\nparent = "plant"\ncapacity.hours = {rng.integers(20, 60)}')
        for kpi in ("output", "errors"):
            text.append(f'[cell."{unit}/{kpi}"]\nbaseline = {rng.integers(50, 120)}')
            text.append(f"max_stretch = {rng.integers(5, 30)}\neffort.hours = {rng.integers(1, 3)}")
    for name, units, most in (("presses", '["a", "b"]', 2), ("robots", '["b", "c"]', 2)):
        text.append(f"[initiative.{name}]\nunits = {units}\nmax = {most}\nwhole = true")
        text.append(f"uses = {{ hours = {rng.integers(2, 9)}, cash = {rng.integers(2, 9) * 100} }}")
        text.append(f"[initiative.{name}.effects]\noutput = {rng.integers(5, 20)}\nerrors = -{rng.integers(1, 5)}")
    text.append(f"[budget.cash]\nlimit = {rng.integers(8, 30) * 100}")
    text.append(f"[goal.output]\ntarget = {rng.integers(300, 420)}\n[goal.errors]\ntarget = {rng.integers(150, 250)}")
    text.append("priority = 2")
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def all_choices(program: LinearProgram) -> dict[tuple[float, ...], Solution]:
    arrays = program.arrays()
    whole = np.flatnonzero(arrays.integer)
    ranges = [range(round(arrays.column_upper[j]) + 1) for j in whole.tolist()]
    found = {}
    for levels in product(*ranges):
        fixed = fix_columns(arrays, whole, np.array(levels, dtype=float))
        try:
            found[levels] = solve_order(program, fixed, SolverOptions())
        except InfeasibleProgram:
            continue
    return found


def values(solution: Solution) -> list[float]:
    return [step.value for step in solution.steps]


def is_before(one: list[float], other: list[float]) -> bool:
    """Whether one list of step values is better than another, in the strict order and beyond rounding."""
    for a, b in zip(one, other, strict=True):
        if abs(a - b) > TIE * max(1.0, abs(a), abs(b)):
            return a < b
    return False


@pytest.mark.parametrize("seed", rest_at_night(range(6), 2))
def test_no_choice_is_better_than_the_one_that_is_found(tmp_path: Path, seed: int) -> None:
    program = program_of(write_scenario(tmp_path / "machines.toml", seed))
    found = solve_program(program, SolverOptions())
    whole = np.flatnonzero(program.arrays().integer)
    everything = all_choices(program)
    mine = tuple(np.rint(found.x[whole]).astype(int).tolist())
    assert values(everything[mine]) == pytest.approx(values(found), rel=1e-7, abs=1e-9)
    better = [levels for levels, solution in everything.items() if is_before(values(solution), values(found))]
    assert not better


@pytest.mark.parametrize("seed", rest_at_night(range(6), 2))
def test_where_the_search_begins_makes_no_difference(tmp_path: Path, seed: int) -> None:
    program = program_of(write_scenario(tmp_path / "machines.toml", seed))
    cold = solve_program(program, SolverOptions())
    whole, rng = np.flatnonzero(program.arrays().integer), np.random.default_rng(seed)
    for _ in range(4):
        begin = cold.x.copy()
        begin[whole] = rng.integers(0, 4, len(whole))
        warm = solve_program(program, SolverOptions(), near=replace(cold, x=begin))
        assert warm.x == pytest.approx(cold.x, rel=1e-9, abs=1e-9)
        assert values(warm) == pytest.approx(values(cold), rel=1e-9, abs=1e-12)
        assert all(step.certificate.passed for step in warm.steps)


def write_alike(path: Path, order: str = "") -> Path:
    """One machine, two units that are alike."""
    path.write_text(
        'schema = 1\nname = "alike"\n[kpi.output]\n[unit.plant]\n'
        + "".join(f'[unit.{u}]\nparent = "plant"\n[cell."{u}/output"]\nbaseline = 100\nmax_stretch = 1\n' for u in "ba")
        + '[initiative.press]\nunits = ["b", "a"]\nmax = 2\nwhole = true\nuses = { cash = 1 }\n'
        + "[initiative.press.effects]\noutput = 10\n[budget.cash]\nlimit = 1\n[goal.output]\ntarget = 210\n"
        + order,
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize("begin", [None, "a", "b"])
def test_equal_choices_go_by_id(tmp_path: Path, begin: str | None) -> None:
    """The first id gets it, whatever the order in the file and wherever the search begins."""
    cascade = build_cascade(build_graph(load_scenario(write_alike(tmp_path / "alike.toml"))))
    near = None
    if begin:
        level, x = cascade.columns.level, np.zeros(cascade.program.n_columns)
        x[level.positions] = [level.label(i).endswith(f"@{begin}") for i in range(len(level))]
        near = replace(solve_program(cascade.program, SolverOptions()), x=x)
    solution = solve_program(cascade.program, SolverOptions(), near=near)
    graph = cascade.graph
    bought = dict(
        zip(map(graph.node_name, graph.level_node.tolist()), cascade.columns.level.of(solution.x), strict=True)
    )
    assert bought == pytest.approx({"initiative.press@a": 1.0, "initiative.press@b": 0.0})


def test_whole_numbers_without_an_objective_are_closest_to_the_reference(tmp_path: Path) -> None:
    program = program_of(write_alike(tmp_path / "alike.toml", '[decide]\norder = ["reference"]\n'))
    solution = solve_program(program, SolverOptions())
    assert solution.x[np.flatnonzero(program.arrays().integer)] == pytest.approx(0.0)


def test_a_choice_between_its_bounds_is_not_proposed_for_ever() -> None:
    """The best choice of the scorecard has 11 of 12 account reviews; its bound lies a hair below its exact value."""
    program = program_of(SCENARIOS / "scorecard.toml")
    solution = solve_program(program, SolverOptions())
    levels = solution.x[np.flatnonzero(program.arrays().integer)]
    assert levels == pytest.approx(np.rint(levels))
    assert 0 < levels.max() < 12
