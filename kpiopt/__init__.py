"""kpiopt: target allocation with certified plans and honest odds.

The pipeline, one room after the other::

    scenario  = load("scenario.toml")          # what the planner wrote      kpiopt.scenario
    graph     = build_graph(scenario)          # cause and effect            kpiopt.graph
    cascade   = build_cascade(graph)           # the linear program          kpiopt.program
    solution  = solve_program(cascade.program) # certified, step by step
    plan      = build_plan(graph, …)           # values and rounded targets  kpiopt.plan
    odds      = simulate(graph, …)             # draws                       kpiopt.simulation

`solve(scenario)` does all of it and returns a `Run`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpiopt.run.run import Run
    from kpiopt.scenario.scenario import Scenario
    from kpiopt.simulation import Simulation
    from kpiopt.studies.comparison.contenders import Comparisons
    from kpiopt.studies.sweep.sweep_answer import SweepAnswer

__version__ = "0.1.0"

__all__ = ["__version__", "compare", "load", "simulate", "solve", "sweep"]


def load(path: str | Path, *, variant: str | None = None, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file, strictly.

    Parameters
    ----------
    path : str or Path
    variant : str, optional
        Name of a `[variant.NAME]` table to apply.
    overrides : sequence of str
        "path=value" assignments, as with `--set`.

    Raises
    ------
    InputError
        With everything that is wrong, each with file, line and what to do.
    """
    from kpiopt.scenario.load import load_scenario  # `import kpiopt` stays light

    return load_scenario(Path(path), variant=variant, overrides=overrides)


def solve(scenario: Scenario, **options: Any) -> Run:
    """Solve a scenario: certified plan, rounded targets, odds.

    Parameters
    ----------
    scenario : Scenario
    **options
        Fields of `kpiopt.run.solve.SolveOptions`; `executor` also as behind `--executor`, such as "processes:4".

    Raises
    ------
    Infeasible, Unbounded, Uncertified, LimitReached
        Nothing is published then.
    """
    from kpiopt.run.solve import SolveOptions, solve_scenario
    from kpiopt.workers.executor import parse_executor

    if isinstance(options.get("executor"), str):
        options["executor"] = parse_executor(options["executor"])
    return solve_scenario(scenario, options=SolveOptions(**options))


def simulate(
    run: Run, *, draws: int | None = None, seed: int | None = None, workers: int = 1, executor: str = "serial"
) -> Simulation:
    """Estimate the odds of a run's plan anew.

    Parameters
    ----------
    run : Run
    draws, seed : int, optional
        The scenario's own by default.
    workers : int
        Threads of this process.
    executor : str
        As behind `--executor`, such as "processes:4" or "dask://host:port"; the result depends on neither.

    Raises
    ------
    UsageError
        Where there is no such executor.
    NumericsError
        Where a value of a draw is not finite.
    """
    from dataclasses import replace

    from kpiopt.run.spread import spread_by
    from kpiopt.simulation import simulate as simulate_plan  # `import kpiopt` stays light
    from kpiopt.workers.executor import parse_executor

    usual = run.scenario.simulation
    settings = replace(usual, draws=usual.draws if draws is None else draws, seed=usual.seed if seed is None else seed)
    plan = run.plan
    spread = spread_by(parse_executor(executor))
    return simulate_plan(run.graph, plan.stretch, plan.levels, plan.target, settings, workers=workers, spread=spread)


def compare(
    *sources: str | Path, overrides: Sequence[str] = (), runs: str | Path = "runs", **options: Any
) -> Comparisons:
    """Compare scenarios, variants or kept runs with the first one, all drawn with the same random numbers.

    Parameters
    ----------
    *sources : str or Path
        Scenario files, "file.toml:variant", run folders, or names of runs; a single file is compared with its variants.
    overrides : sequence of str
        "path=value" for all of them.
    runs : str or Path
        Folder in which names of runs are looked up.
    **options
        Fields of `kpiopt.run.solve.SolveOptions`.

    Raises
    ------
    InputError, UsageError
    Infeasible, Unbounded, Uncertified, LimitReached
        Where the first has no plan.
    """
    from kpiopt.run.solve import SolveOptions
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.comparison.contenders import compare_contenders, read_contenders  # `import kpiopt` stays light

    found = read_contenders([str(source) for source in sources], RunStore(Path(runs)), overrides)
    return compare_contenders(found, SolveOptions(**options))


def sweep(
    path: str | Path,
    over: Sequence[str] = (),
    *,
    zipped: bool = False,
    variant: str | None = None,
    overrides: Sequence[str] = (),
    simulate: bool = True,
    executor: str = "serial",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SweepAnswer:
    """Solve a scenario for many values of some of its numbers; `.frame` holds one row for each point.

    Parameters
    ----------
    path : str or Path
    over : sequence of str
        "path=first:last:number" or "path=value,value,…"; the file's own `[sweep]` where empty.
    zipped : bool
        Whether the axes' values go together instead of in every combination.
    variant, overrides
        As for `load`.
    simulate : bool
        Whether odds are estimated.
    executor : str
        As behind `--executor`, such as "processes:4" or "dask://host:port"; the answer does not depend on it. A script
        that starts processes runs from a file, below `if __name__ == "__main__":`.
    on_progress : callable
        Called with the number of points that are done and of all.

    Raises
    ------
    InputError, UsageError
        Where the scenario, an axis or the executor cannot be read; points that fail are part of the answer.
    LimitReached
        Where workers die without having begun a point.
    """
    from kpiopt.studies.sweep.point import SweepJob
    from kpiopt.studies.sweep.sweep_in_memory import sweep_in_memory
    from kpiopt.workers.executor import parse_executor

    job = SweepJob(Path(path), variant, tuple(overrides), simulate=simulate)
    return sweep_in_memory(job, over, parse_executor(executor), zipped=zipped, on_progress=on_progress)
