"""kpiopt: target allocation with certified plans and honest odds.

The rooms are the pipeline: errors, deadline, reading, scenario, graph, program, plan, simulation, workers, run, runs,
studies, learning, report, cli. One value after the other::

    scenario  = load("scenario.toml")          # what the planner wrote      kpiopt.scenario
    graph     = build_graph(scenario)          # cause and effect            kpiopt.graph
    cascade   = build_cascade(graph)           # the linear program          kpiopt.program
    solution  = solve_program(cascade.program) # certified, step by step
    plan      = build_plan(graph, …)           # values and rounded targets  kpiopt.plan
    odds      = simulate(graph, …)             # draws                       kpiopt.simulation

`solve(scenario)` does all of it and returns a `Run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpiopt.api import check, compare, explain, load, sensitivity, simulate, solve, sweep, verify
from kpiopt.errors import (
    Infeasible,
    InputError,
    KpioptError,
    LimitReached,
    ModelError,
    NumericsError,
    OutputError,
    ScenarioError,
    SecurityError,
    TableError,
    Unbounded,
    Uncertified,
    UsageError,
)

if TYPE_CHECKING:
    from kpiopt.run.run import Run
    from kpiopt.scenario.scenario import Scenario

__version__ = "0.1.0"

__all__ = [
    "Infeasible",
    "InputError",
    "KpioptError",
    "LimitReached",
    "ModelError",
    "NumericsError",
    "OutputError",
    "Run",
    "Scenario",
    "ScenarioError",
    "SecurityError",
    "TableError",
    "Unbounded",
    "Uncertified",
    "UsageError",
    "__version__",
    "check",
    "compare",
    "explain",
    "load",
    "sensitivity",
    "simulate",
    "solve",
    "sweep",
    "verify",
]

_LATER = {"Run": "kpiopt.run.run", "Scenario": "kpiopt.scenario.scenario"}


def __getattr__(name: str) -> Any:
    """Import the types of values when they are asked for: `import kpiopt` stays light."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"kpiopt has no {name!r}; it has {', '.join(n for n in __all__ if n != '__version__')}")


def __dir__() -> list[str]:
    """List the types as well that are imported when they are asked for."""
    return sorted({*globals(), *__all__})
