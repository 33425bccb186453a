"""Time a plan that promises odds beside the plain solve of the same scenario, in one process.

    python benchmarks/promised.py 2000 --draws 4096 --goals 5
    python benchmarks/promised.py 2000 --whole

Processor seconds of finding the plan, without reading and without the odds that judge it; draws are counted in. It is
asserted that all promises are kept. With `--whole`, those of `kpiopt solve`, from reading to the report, with as many
draws to judge the plan as it is made on: what a planner waits for.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from generate import generate

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.run.promised import promise_results
from kpiopt.run.solve import solve_cascade

P_MIN = 0.6


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of an action, and what it gave."""
    started = time.process_time()
    found = action()
    return time.process_time() - started, found


def measure_whole(cells: int, draws: int, goals: int, folder: Path) -> tuple[float, float, int]:
    """Return the processor seconds of solving without and with promises, and how many promises were kept."""
    path = generate(cells, folder / str(cells))
    names = list(kpiopt.load(path).goals)[:goals]
    promises = [f"odds.draws={draws}", *(f'goal."{name}".p_min={P_MIN}' for name in names)]
    seconds, kept = [], 0
    for overrides in ([], promises):
        words = ["solve", str(path), "--json", "--draws", str(draws), "--out", str(folder / "runs")]
        words += [word for text in overrides for word in ("--set", text)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "kpiopt", *words], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        kept = sum(promise["kept"] for promise in json.loads(done.stdout)["promises"])
    assert kept == goals
    return seconds[0], seconds[1], kept


def measure(cells: int, draws: int, goals: int, folder: Path) -> tuple[float, float, int]:
    """Return the processor seconds of the plain plan and of the one with promises, and how many rows these took."""
    path = generate(cells, folder / str(cells))
    plain = build_cascade(build_graph(kpiopt.load(path)))
    seconds, _ = timed(lambda: solve_cascade(plain, SolverOptions()))
    names = list(plain.graph.scenario.goals)[:goals]
    overrides = [f"odds.draws={draws}", *(f'goal."{name}".p_min={P_MIN}' for name in names)]
    promised = build_cascade(build_graph(kpiopt.load(path, overrides=overrides)))
    longer, (held, solution) = timed(lambda: solve_cascade(promised, SolverOptions()))
    columns = held.columns
    results = promise_results(held, columns.stretch_of_cells(solution.x), columns.level.of(solution.x))
    assert len(results) == goals and all(result.is_kept for result in results)
    return seconds, longer, len(held.cuts.cuts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=int, nargs="+")
    parser.add_argument("--draws", type=int, default=4096)
    parser.add_argument("--goals", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="time kpiopt solve, from reading to the report")
    arguments = parser.parse_args()
    action, last = (measure_whole, "kept") if arguments.whole else (measure, "rows")
    print(f"| cells | plain | with promises | times | {last} |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number in arguments.cells:
            before, after, rows = action(number, arguments.draws, arguments.goals, Path(folder))
            print(f"| {number:,} | {before:.2f} | {after:.2f} | {after / before:.1f} | {rows} |")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
