"""Throughput of the simulation, as a ratio to merely generating its random numbers with NumPy; and its memory.

Run `python benchmarks/sampling.py`. The subject is a strategy map of 500 KPIs with uncertain baselines and 2,000
causes, one in ten of them with an uncertain contribution, and a goal on the last KPI.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

from kpiopt.graph import CausalGraph, build_graph
from kpiopt.run.spread import spread_by
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Cells, Driver, Goal, Kpi, Scenario, SimulationSettings, Units
from kpiopt.simulation.simulate import simulate
from kpiopt.workers.job import Executor, Place

NOTHING = np.empty(0)


def build_map(n_kpis: int, n_causes: int, seed: int = 0) -> Scenario:
    """A random acyclic map at one unit; each KPI's baseline is normal, every tenth contribution is a range."""
    rng = np.random.default_rng(seed)
    heads = rng.integers(1, n_kpis, 2 * n_causes)
    tails = (heads * rng.random(2 * n_causes)).astype(int)
    edges = sorted(set(zip(heads.tolist(), tails.tolist(), strict=True)))
    chosen = [edges[i] for i in np.sort(rng.permutation(len(edges))[:n_causes])]
    drivers: list[list[Driver]] = [[] for _ in range(n_kpis)]
    for i, (head, tail) in enumerate(chosen):
        amount = Quantity("lognormal", (0.01, 0.1)) if i % 10 == 0 else Quantity.number(float(rng.normal(0, 0.1)))
        path = f"kpi.k{head:04d}.drivers.k{tail:04d}"
        drivers[head].append(Driver(f"k{tail:04d}", False, amount, 0, "organization", np.zeros(1, np.int64), path))
    baseline = Quantity("normal", (100.0, 10.0))
    kpis = {
        f"k{i:04d}": Kpi(f"k{i:04d}", "", None, "count", 1, "none", None, "flow", baseline, tuple(drivers[i]))
        for i in range(n_kpis)
    }
    goal = Goal("last", f"k{n_kpis - 1:04d}", 0, 105.0)
    return Scenario("sampling", "USD", {}, {}, kpis, {}, {}, {"last": goal}, {}, {}, one_unit(), no_cells())


def one_unit() -> Units:
    """An organization of one unit."""
    nan = np.full(1, np.nan)
    return Units(("co",), ("co",), np.array([-1]), np.array([1]), ("",), ("",), nan, nan, ("",), {})


def no_cells() -> Cells:
    """An empty cells table."""
    integers = np.empty(0, dtype=np.int64)
    return Cells(
        integers, integers, NOTHING, {}, NOTHING, NOTHING, np.empty(0, dtype=bool),
        *(NOTHING,) * 5, {}, integers,
    )  # fmt: skip


def seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Best wall time of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def generate_only(n_numbers: int, draws: int) -> None:
    """The floor: as many standard normal numbers from NumPy's default generator, in blocks of 1,024 draws."""
    rng = np.random.default_rng(0)
    out = np.empty((n_numbers, 1024))
    for _ in range(-(-draws // 1024)):
        rng.standard_normal(out=out)


def run_simulation(graph: CausalGraph, draws: int, method: str, workers: int) -> None:
    """Simulate and make sure that every draw was really made."""
    settings = SimulationSettings(draws, 1, method)
    simulation = simulate(
        graph, NOTHING, NOTHING, settings=settings, spread=spread_by(Executor(Place.THREADS, workers))
    )
    assert simulation.draws >= draws
    assert 0.0 < simulation.goals[0].odds.estimate < 1.0


def main() -> None:
    """Print seconds and ratios for both methods, then the memory of ever longer runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kpis", type=int, default=500)
    parser.add_argument("--causes", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--memory", type=int, nargs="*", default=[], help="numbers of draws to watch memory at")
    options = parser.parse_args()
    graph = build_graph(build_map(options.kpis, options.causes))
    n_numbers = len(graph.quantities)
    floor = seconds(lambda: generate_only(n_numbers, options.draws))
    print(f"{graph}, {n_numbers:,} uncertain quantities, {options.draws:,} draws, {options.workers} workers")
    print(f"numbers only       {floor:7.2f} s")
    for method in ("random", "sobol"):
        # "sobol" rounds up to its next power of two: the ratio is by draws really made.
        made = options.draws if method == "random" else 1 << (options.draws - 1).bit_length()
        taken = seconds(lambda m=method: run_simulation(graph, options.draws, m, options.workers))  # type: ignore[misc]
        print(f"simulate, {method:8} {taken:7.2f} s, {taken / floor * options.draws / made:5.2f} times the floor")
    for draws in options.memory:
        run_simulation(graph, draws, "random", options.workers)
        print(f"{draws:>12,} draws: peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
