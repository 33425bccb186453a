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
    from collections.abc import Sequence

    from kpiopt.runs.run import Run
    from kpiopt.scenario.scenario import Scenario
    from kpiopt.simulation import Simulation

__version__ = "0.1.0"

__all__ = ["__version__", "load", "simulate", "solve"]


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
        Fields of `kpiopt.runs.run.SolveOptions`.

    Raises
    ------
    Infeasible, Unbounded, Uncertified, LimitReached
        Nothing is published then.
    """
    from kpiopt.runs.run import SolveOptions, solve_scenario  # `import kpiopt` stays light

    return solve_scenario(scenario, options=SolveOptions(**options))


def simulate(run: Run, *, draws: int | None = None, seed: int | None = None, workers: int = 1) -> Simulation:
    """Estimate the odds of a run's plan anew.

    Parameters
    ----------
    run : Run
    draws, seed : int, optional
        The scenario's own by default.
    workers : int
        Threads; the result does not depend on it.
    """
    from dataclasses import replace

    from kpiopt.simulation import simulate as simulate_plan  # `import kpiopt` stays light

    usual = run.scenario.simulation
    settings = replace(usual, draws=usual.draws if draws is None else draws, seed=usual.seed if seed is None else seed)
    plan = run.plan
    return simulate_plan(run.graph, plan.stretch, plan.levels, plan.target, settings, workers=workers)
