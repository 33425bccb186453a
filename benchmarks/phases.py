"""Time every phase of a solve on synthetic cascades, beside a peer that builds the same program with Pyomo.

    python benchmarks/phases.py 50 1000 10000 100000
    python benchmarks/phases.py 10000 100000 --periods 4

Each figure is the best of three processor-time measurements in one process, so that a busy machine disturbs little; the
plan's certificate is asserted, so nothing is timed that did not succeed. Pyomo is measured up to 10,000 cells.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from generate import generate

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.plan.plan import build_plan
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.formulation.pyomo_bridge import build_pyomo
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.reading.tables.read import CELLS_TABLE, UNITS_TABLE, read_table
from kpiopt.simulation.simulate import simulate

REPEATS = 3
PEER_UP_TO = 10_000


def best(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least processor time of a few runs, and what the last one gave."""
    times, result = [], None
    for _ in range(REPEATS):
        started = time.process_time()
        result = action()
        times.append(time.process_time() - started)
    return min(times), result


def measure(cells: int, folder: Path, periods: int = 1) -> dict[str, float]:
    """Measure one size; seconds by phase, and the largest resident memory so far in MB."""
    path = generate(cells, folder / str(cells))
    names = ",".join(f'"P{t + 1}"' for t in range(periods))
    overrides = [f"periods.names=[{names}]"] if periods > 1 else []
    seconds: dict[str, float] = {}

    def tables() -> None:
        read_table(path.parent / "units.csv", "units.csv", UNITS_TABLE)
        read_table(path.parent / "cells.csv", "cells.csv", CELLS_TABLE)

    seconds["tables"], _ = best(tables)
    seconds["load"], scenario = best(lambda: kpiopt.load(path, overrides=overrides))
    seconds["graph"], graph = best(lambda: build_graph(scenario))
    seconds["program"], cascade = best(lambda: build_cascade(graph))
    seconds["arrays"], _ = best(cascade.program.arrays)
    if cells * periods <= PEER_UP_TO:
        seconds["Pyomo"], _ = best(lambda: build_pyomo(cascade.program))
    started = time.process_time()
    solution = solve_program(cascade.program, SolverOptions())
    seconds["solve"] = time.process_time() - started
    assert all(step.certificate.passed for step in solution.steps)
    columns = cascade.columns
    stretch, levels = columns.stretch_of_cells(solution.x), columns.level.of(solution.x)
    seconds["plan"], plan = best(lambda: build_plan(graph, stretch, levels))
    started = time.process_time()
    simulate(graph, plan.stretch, plan.levels, plan.target)
    seconds["odds"] = time.process_time() - started
    seconds["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=int, nargs="+")
    parser.add_argument("--periods", type=int, default=1)
    phases = ["tables", "load", "graph", "program", "arrays", "Pyomo", "solve", "plan", "odds", "MB"]
    print("cells".rjust(8), *(phase.rjust(8) for phase in phases))
    with tempfile.TemporaryDirectory() as folder:
        arguments = parser.parse_args()
        for cells in arguments.cells:
            seconds = measure(cells, Path(folder), arguments.periods)
            row = (f"{seconds[phase]:8.3f}" if phase in seconds else "       -" for phase in phases)
            print(f"{cells:8,}", *row, flush=True)


if __name__ == "__main__":
    main()
