"""The package itself: its pipeline opens the door, and the door is light."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import kpiopt

ROOT = Path(__file__).parents[1]


def test_the_pipeline_of_the_docstring_runs() -> None:
    from kpiopt.graph import build_graph
    from kpiopt.plan.plan import build_plan
    from kpiopt.program.formulation.cascade import build_cascade
    from kpiopt.program.order.whole_numbers import solve_program
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.simulation.simulate import simulate

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


def test_functions_take_paths_runs_and_kept_runs(tmp_path, monkeypatch) -> None:
    from kpiopt.cli.app import main

    path = ROOT / "scenarios" / "hand-solved.toml"
    run = kpiopt.solve(path, overrides=["simulation.draws=512"])
    assert isinstance(run, kpiopt.Run)
    assert isinstance(run.scenario, kpiopt.Scenario)
    assert main(["solve", str(path), "--draws", "512", "--out", str(tmp_path)]) == 0
    (kept,) = (p.name for p in tmp_path.iterdir() if p.is_dir() and not p.name.startswith("."))
    name = f"{run.scenario.units.ids[1]}/{run.scenario.kpi_ids[0]}"
    goal = next(iter(run.scenario.goals))
    assert kpiopt.explain(run, goal) == kpiopt.explain(kept, goal, runs=tmp_path), name
    assert kpiopt.simulate(run).all_goals == kpiopt.simulate(kept, runs=tmp_path).all_goals
    assert all(finding.passed for finding in kpiopt.verify(kept, runs=tmp_path))
    assert kpiopt.check(path).errors == []


def test_scenarios_and_runs_at_hand_are_taken_as_they_are() -> None:
    path = ROOT / "scenarios" / "hand-solved.toml"
    scenario, lean = kpiopt.load(path), kpiopt.load(path, variant="lean")
    run = kpiopt.solve(scenario, draws=512, seed=3)
    assert (run.simulation.draws, run.simulation.seed) == (512, 3)
    named = kpiopt.compare(path, f"{path}:lean", overrides=["simulation.draws=512", "simulation.seed=3"])
    at_hand = kpiopt.compare(run, replace(lean, simulation=run.scenario.simulation))
    assert at_hand.others[0].goals == named.others[0].goals
    assert {change.path for change in at_hand.others[0].inputs} >= {"budget.pay.limit"}
    with pytest.raises(kpiopt.UsageError, match="stands alone"):
        kpiopt.compare(run)
    with pytest.raises(kpiopt.UsageError, match="cannot be changed by overrides"):
        kpiopt.compare(run, scenario, overrides=["simulation.draws=512"])
    axis = "budget.pay.limit=100:130:3"
    of_file, of_scenario = (kpiopt.sweep(it, [axis], simulate=False).frame for it in (path, scenario))
    assert of_file.equals(of_scenario)
    bars = [kpiopt.sensitivity(it, only=["budget.pay.limit"], draws=512).tornado.bars for it in (path, scenario, run)]
    assert bars[0] == bars[1]
    assert [bar.move for bar in bars[2]] == [bar.move for bar in bars[0]]


def test_every_function_takes_what_makes_sense_and_says_what_it_takes() -> None:
    path = ROOT / "scenarios" / "hand-solved.toml"
    scenario = kpiopt.load(str(path), overrides="budget.pay.limit=650")
    run = kpiopt.solve(scenario, simulate=False)
    assert run.scenario.budgets["pay"].limit == 650
    again = kpiopt.solve(run, simulate=False, beside="even")
    assert np.array_equal(again.plan.target, run.plan.target, equal_nan=True) and len(again.rules) == 1
    assert [p.code for p in kpiopt.check(run)] == [p.code for p in kpiopt.check(scenario)]
    assert kpiopt.sweep(run, "budget.pay.limit=650", simulate=False).frame.height == 1
    only = kpiopt.sensitivity(run, methods=(), break_even="budget.pay.limit", ends=(500.0, 800.0), draws=64)
    assert only.tornado is None and only.break_evens[0].path == "budget.pay.limit"
    of_path = {"methods": "tornado", "only": "budget.pay.limit", "draws": 64}
    serial, threads = (kpiopt.sensitivity(path, **of_path, workers=n) for n in (None, 2))
    assert serial.tornado == threads.tornado
    one_bar = kpiopt.sensitivity(path, **of_path, kinds="goal", changes={"budget.pay.limit": (600, 700)}).tornado.bars
    assert len(one_bar) == 1


@pytest.mark.parametrize("word", ["check", "solve", "sweep", "sensitivity"])
def test_what_is_at_hand_is_not_changed_in_silence(word) -> None:
    scenario = kpiopt.load(ROOT / "scenarios" / "hand-solved.toml")
    for words in ({"overrides": ["budget.pay.limit=650"]}, {"variant": "lean"}):
        with pytest.raises(kpiopt.UsageError, match="at hand cannot be changed by variant or overrides"):
            getattr(kpiopt, word)(scenario, **words)


@pytest.mark.parametrize(("word", "more"), [
    ("load", ()), ("check", ()), ("solve", ()), ("simulate", ()), ("sweep", ()), ("sensitivity", ()), ("verify", ()),
    ("compare", ("scenario.toml",)), ("explain", ("sales",)),
])  # fmt: skip
def test_things_of_another_kind_are_named(word, more) -> None:
    wrong = [{"path": 1}] if word == "compare" else [{"path": 1}, None]
    if word in ("simulate", "verify", "explain"):
        wrong.append(kpiopt.load(ROOT / "scenarios" / "hand-solved.toml"))
    for thing in wrong:
        with pytest.raises(kpiopt.UsageError, match="is not what is asked for here"):
            getattr(kpiopt, word)(thing, *more)


@pytest.mark.parametrize(("words", "listed"), [
    ({"methods": "tornad"}, "tornado, morris, sobol"), ({"kinds": ["limits"]}, "uncertain, limit, goal, assumption"),
    ({"only": "budget.pya.limit"}, "budget.pay.limit"), ({"output": "odd"}, "odds"),
])  # fmt: skip
def test_wrong_names_in_a_study_list_the_right_ones(words, listed) -> None:
    with pytest.raises(kpiopt.UsageError) as caught:
        kpiopt.sensitivity(ROOT / "scenarios" / "hand-solved.toml", **words)
    (problem,) = caught.value.problems
    assert listed in f"{problem.message} {problem.rule} {problem.fix}"


def test_options_of_the_command_are_those_of_the_function(tmp_path) -> None:
    path = ROOT / "scenarios" / "hand-solved.toml"
    assert not kpiopt.solve(path, simulate=False, beside=[]).rules
    assert len(kpiopt.solve(path, simulate=False, beside=["even", "proportional"]).rules) == 2
    assert kpiopt.solve(path, draws=512, confidence=0.2).promises
    with pytest.raises(kpiopt.UsageError, match="confidence = 2"):
        kpiopt.solve(path, confidence=2)
    run = kpiopt.solve(path, simulate=False)
    limit = run.as_dict()["limits"][0]["name"]
    assert kpiopt.explain(run, limit).entry["name"] == limit
    for name in run.scenario.initiatives:
        assert kpiopt.explain(run, name)[0].level >= 0
    with pytest.raises(kpiopt.LimitReached):
        kpiopt.compare(path, path, time_limit=0)


def test_every_function_of_the_surface_is_the_same_word_as_a_command() -> None:
    from kpiopt.cli.manual import commands

    functions = [name for name in kpiopt.__all__ if callable(getattr(kpiopt, name)) and name.islower()]
    assert set(functions) - {"load"} <= {name.split()[1] for name in commands()}


def test_names_that_are_not_there_are_told() -> None:
    with pytest.raises(AttributeError, match="it has Infeasible, InputError"):
        _ = kpiopt.solve_scenario


NOT_FOR_A_PLAIN_PLAN = {
    "scipy.stats",
    "scipy.optimize",
    "networkx",
    "pyomo",
    "kpiopt.program.order.diagnosis",
    "kpiopt.program.order.infeasible",
    "kpiopt.program.order.promised.search",
    "kpiopt.program.solver.large",
    "kpiopt.reading.tables.parquet_file",
    "kpiopt.reading.tables.workbook",
    "kpiopt.report.explanation",
    "kpiopt.run.odds_repair",
    "kpiopt.simulation.importance",
    "kpiopt.simulation.intervene",
    "kpiopt.studies.swap",
}


def test_solving_loads_no_more_than_it_needs(tmp_path):
    """`scipy.stats` alone takes longer to load than a small scenario takes to solve."""
    code = (
        "import sys; from kpiopt.cli import main\n"
        f"assert main(['solve', {str(ROOT / 'scenarios' / 'hand-solved.toml')!r}, '--out', {str(tmp_path)!r}]) == 0\n"
        f"print(sorted({NOT_FOR_A_PLAIN_PLAN!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(find_spec(name) for name in NOT_FOR_A_PLAIN_PLAN)


NOT_FOR_A_CHECK = {
    "highspy",
    "jinja2",
    "kpiopt.simulation.simulate",
    "numpy.f2py.crackfortran",
    "numpy.testing._private",
    "rich",
    "scipy.linalg",
    "scipy.special",
    "xlsxwriter",
}


def test_checking_loads_no_more_than_it_needs():
    """As the command is started: there numpy's side rooms are put off, which scipy names at its start."""
    code = (
        "import sys, atexit; from kpiopt.cli import console\n"
        f"loaded, unwanted = sys.modules, {NOT_FOR_A_CHECK!r}\n"
        "atexit.register(lambda: print(sorted(unwanted & set(loaded)), 'scipy.sparse' in loaded))\n"
        f"sys.argv = ['kpiopt', 'check', {str(ROOT / 'scenarios' / 'hand-solved.toml')!r}]; console()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] True"
    assert all(find_spec(name) for name in NOT_FOR_A_CHECK)


def test_what_is_put_off_works_when_it_is_used():
    code = (
        "import sys, atexit; from kpiopt.cli import console\n"
        "def use():\n"
        "    import numpy as np\n"
        "    np.testing.assert_allclose(np.polynomial.Polynomial([1, 2])(3.0), 7.0); print(np.f2py.__name__)\n"
        "atexit.register(use); sys.argv = ['kpiopt', '--version']; console()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "numpy.f2py"


def test_the_starter_asks_the_solver_no_more_than_it_must(tmp_path, monkeypatch):
    """Counted and not timed: a small scenario takes as long as its programs are many."""
    from kpiopt.cli import main
    from kpiopt.program.order.whole_numbers import _Search
    from kpiopt.program.solver.highs import Solver

    asked = Counter()

    def counting(kind, name):
        original = getattr(kind, name)

        def counted(*args, **kwargs):
            asked[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(kind, name, counted)

    for kind, name in ((Solver, "load"), (Solver, "run"), (_Search, "_solve_choice")):
        counting(kind, name)
    assert main(["init", str(tmp_path)]) == 0
    kpiopt.solve(tmp_path / "scenario.toml", simulate=False)
    # Three searches: the plan, brought closest to its reference, and a little less and a little more of the budget.
    assert 0 < asked["_solve_choice"] <= 13
    assert 0 < asked["load"] <= 96
    assert 0 < asked["run"] <= 107
