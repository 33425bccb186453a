"""The package itself: its pipeline opens the door, and the door is light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kpiopt

ROOT = Path(__file__).parents[1]


def test_the_pipeline_of_the_docstring_runs() -> None:
    from kpiopt.graph import build_graph
    from kpiopt.plan.plan import build_plan
    from kpiopt.program.formulation.cascade import build_cascade
    from kpiopt.program.order.whole_numbers import solve_program
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.simulation import simulate

    named = [line.split("=")[1].split("(")[0].strip() for line in (kpiopt.__doc__ or "").splitlines() if " = " in line]
    functions = [kpiopt.load, build_graph, build_cascade, solve_program, build_plan, simulate]
    assert named == [function.__name__ for function in functions]
    scenario = kpiopt.load(ROOT / "scenarios" / "hand-solved.toml")
    cascade = build_cascade(build_graph(scenario))
    solution = solve_program(cascade.program, SolverOptions())
    columns = cascade.columns
    plan = build_plan(cascade.graph, columns.stretch_of_cells(solution.x), columns.level.of(solution.x))
    by_hand = kpiopt.solve(scenario).plan
    assert plan.target.tolist() == by_hand.target.tolist()
    odds = simulate(cascade.graph, plan.stretch, plan.levels, plan.target)
    assert odds.all_goals == kpiopt.solve(scenario).simulation.all_goals


def test_simulate_takes_other_draws_and_the_same_plan() -> None:
    run = kpiopt.solve(kpiopt.load(ROOT / "scenarios" / "hand-solved.toml"))
    assert kpiopt.simulate(run).all_goals == run.simulation.all_goals
    other = kpiopt.simulate(run, draws=4096, seed=0)
    assert (other.draws, other.seed) == (4096, 0)
    assert abs(other.all_goals.estimate - 0.5568) < 0.005


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import kpiopt, sys; print(sorted({'numpy', 'scipy', 'polars', 'highspy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
