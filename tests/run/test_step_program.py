"""The exported program of every step, solved by another solver from the file, gives the step's value."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyscipopt
import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.formulation.exchange import export_lines
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.run.solve import solve_cascade
from kpiopt.run.step_program import program_of_step
from tests.nights import rest_at_night
from tests.program.program_file import read_program

ROOT = Path(__file__).parents[2]
FAULT = ROOT / "tests" / "data" / "faults" / "export_step.toml"
SHIPPED = sorted(path for path in (ROOT / "scenarios").glob("*.toml"))


def optimum(path: Path, feasibility: float = 1e-6) -> float:
    """What SCIP finds for a file."""
    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/time", 20.0)
    model.setParam("numerics/feastol", feasibility)
    model.readProblem(str(path))
    model.optimize()
    assert model.getStatus() == "optimal", (path, model.getStatus())
    return float(model.getObjVal())


def check_steps(cascade: Cascade, tmp_path: Path, formats: tuple[str, ...] = ("lp", "mps"), rel: float = 1e-6) -> None:
    _, solution = solve_cascade(cascade, SolverOptions())
    assert len(solution.steps) == len(cascade.program.objectives) + 1
    for step in solution.steps[:-1]:
        program = program_of_step(cascade, step.label, SolverOptions())
        for file_format in formats:
            path = tmp_path / f"step.{file_format}"
            path.write_text("\n".join(export_lines(program, file_format, step.label)) + "\n", "utf-8")
            assert optimum(path) == pytest.approx(step.value, rel=rel, abs=rel), (step.label, file_format)


def cascade_of(path: Path, **options) -> Cascade:
    return build_cascade(build_graph(kpiopt.load(path, **options)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario(path, tmp_path):
    check_steps(cascade_of(path), tmp_path)


def test_earlier_steps_hold_in_the_exported_program(tmp_path):
    cascade = cascade_of(FAULT)
    check_steps(cascade, tmp_path)
    values = {step.label: step.value for step in solve_cascade(cascade, SolverOptions())[1].steps}
    assert (values["fairness"], values["cost"]) == (pytest.approx(0.3), pytest.approx(700.0))


@pytest.mark.parametrize("slack", ["goals = 0.05", "fairness = 0.1", "goals = 0.02, fairness = 0.2"])
@pytest.mark.parametrize("whole", ["", "whole = true"])
def test_with_slack_and_whole_numbers(tmp_path, slack, whole):
    path = tmp_path / "s.toml"
    path.write_text(PLAN.format(slack=slack, whole=whole), "utf-8")
    cascade = cascade_of(path)
    check_steps(cascade, tmp_path)
    kept = program_of_step(cascade, "cost", SolverOptions()).row_block("kept")
    n_kept = 2 if whole else slack.count("=")
    assert kept is not None
    assert len(kept) == n_kept
    assert kept.label(0) == ("fairness" if "goals" not in slack and not whole else "goals 1")


PLAN = """
schema = 1
name = "slack"
decide.slack = {{ {slack} }}
[kpi.sales]
[kpi.sales.drivers]
coverage = 0.5
[kpi.coverage]
[unit.co]
capacity.h = 30
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/sales"]
baseline = 100
max_stretch = 30
pay_rate = 2
effort.h = 1
[cell."b/sales"]
baseline = 220
max_stretch = 40
pay_rate = 1
effort.h = 2
[cell."a/coverage"]
baseline = 50
max_stretch = 20
effort.h = 0.5
[initiative.i]
units = ["b"]
max = 6
{whole}
uses = {{ cash = 10, h = 0.7 }}
effects = {{ sales = 1.3 }}
[budget.cash]
limit = 45
[goal.sales]
target = 390
[goal.coverage]
target = 55
weight = 0.3
"""


@pytest.mark.parametrize("seed", rest_at_night(range(8), 3))
def test_random_scenarios(tmp_path, seed):
    rng = np.random.default_rng(seed)
    slack = str(rng.choice(["", "goals = 0.1", "fairness = 0.05"]))
    text = PLAN.format(slack=slack, whole=str(rng.choice(["", "whole = true"])))
    path = tmp_path / "s.toml"
    path.write_text(re.sub(r"\b\d+(\.\d+)?$", lambda m: varied(rng, m.group()), text, flags=re.M), "utf-8")
    check_steps(cascade_of(path), tmp_path)


def varied(rng: np.random.Generator, number: str) -> str:
    """The number times 0.7 to 1.4; `schema = 1` and other ones stay."""
    return number if number == "1" else f"{float(number) * rng.uniform(0.7, 1.4):.3f}"


def test_the_reference_stands_over_what_all_steps_leave(tmp_path):
    cascade = cascade_of(FAULT)
    path = tmp_path / "step.lp"
    program = program_of_step(cascade, "reference", SolverOptions())
    path.write_text("\n".join(export_lines(program, "lp", "reference")) + "\n", "utf-8")
    _, solution = solve_cascade(cascade, SolverOptions())
    assert read_program(path).arrays.column_upper.tolist() == solution.faces[-1].column_upper.tolist()
    assert optimum(path, 1e-9) == pytest.approx(solution.steps[-1].value, rel=1e-6)


def test_steps_before_that_have_no_plan_are_diagnosed(tmp_path, capsys):
    path = tmp_path / "s.toml"
    text = PLAN.format(slack="", whole="").replace("max_stretch = 30", "lock = 31")
    path.write_text(text, "utf-8")
    assert main(["export", str(path), "--step", "goals 1"]) == 0
    assert "goal.sales" in capsys.readouterr().out
    assert main(["export", str(path), "--step", "cost"]) == 4
    assert "E-infeasible" in capsys.readouterr().err


def test_the_command_writes_what_earlier_steps_have_left(tmp_path, capsys):
    out = tmp_path / "cost.mps"
    assert main(["export", str(FAULT), "--step", "cost", "--format", "mps", "--out", str(out)]) == 0
    assert optimum(out) == pytest.approx(700.0)
    words = ["export", str(FAULT), "--step", "cost", "--force", "--out"]
    assert main([*words, str(out)]) == main([*words, str(tmp_path / "cost.lp")]) == 0  # in the format of the name
    assert optimum(out) == optimum(tmp_path / "cost.lp") == pytest.approx(700.0)


def test_an_export_ends_at_its_time_limit(capsys):
    assert main(["export", str(FAULT), "--step", "reference", "--time-limit", "0"]) == 7
    assert "--time-limit" in capsys.readouterr().err
