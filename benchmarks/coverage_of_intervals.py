"""Measured coverage of every printed 95 % interval: how often it holds the exact value, over many seeds.

Run `python benchmarks/coverage_of_intervals.py --write docs/odds.md` to measure and put the table into the page. The
subject is two KPIs that are sums of the same normal factors with correlation 0.6, so that everything has a closed form.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from sampling import NOTHING, no_cells, one_unit
from scipy import stats
from table_in_page import write_table

from kpiopt.graph import CausalGraph, build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Driver, Factor, Goal, Kpi, Scenario, SimulationSettings
from kpiopt.simulation.odds import estimate_difference
from kpiopt.simulation.results import Simulation
from kpiopt.simulation.simulate import simulate

CORRELATION = 0.6
EASIER = 1.2
"""The third goal asks less: its odds are so much higher than the first one's."""

Interval = tuple[str, float, float, float]
"""What is estimated, its exact value, and the interval's ends."""


def build_subject(p: float, n_factors: int) -> Scenario:
    """Two KPIs of unit variance: one the sum of all factors, the other with signs that give the correlation."""
    ahead = round(n_factors * (1 + CORRELATION) / 2)
    signs = np.where(np.arange(n_factors) < ahead, 1.0, -1.0)
    kpis = {
        name: Kpi(name, "", None, "", 1, "none", None, "flow", Quantity.number(0.0), drivers(name, weights))
        for name, weights in (("first", np.ones(n_factors)), ("second", signs))
    }
    factors = {f"f{i}": Factor(f"f{i}", "", Quantity("normal", (0.0, 1.0))) for i in range(n_factors)}
    targets = {"first": ("first", p), "second": ("second", p), "easier": ("first", EASIER * p)}
    goals = {g: Goal(g, kpi, 0, float(stats.norm.isf(share))) for g, (kpi, share) in targets.items()}
    return Scenario("coverage", "", {}, {}, kpis, factors, {}, goals, {}, {}, one_unit(), no_cells())


def drivers(kpi: str, weights: np.ndarray) -> tuple[Driver, ...]:
    """Contributions of the factors, scaled to unit variance."""
    scale = np.sqrt(len(weights))
    return tuple(
        Driver(f"f{i}", True, Quantity.number(float(w / scale)), 0, "organization", np.zeros(1, np.int64), f"{kpi}-{i}")
        for i, w in enumerate(weights)
    )


def intervals(simulation: Simulation, p: float, n_factors: int) -> Iterator[Interval]:
    """Yield every printed interval with the exact value."""
    ahead = round(n_factors * (1 + CORRELATION) / 2)
    r = (2 * ahead - n_factors) / n_factors
    target = stats.norm.isf(p)
    both = p if r == 1 else float(stats.multivariate_normal([0, 0], [[1, r], [r, 1]]).cdf([-target, -target]))
    first, second, _ = simulation.goals
    yield "odds of a goal", p, first.odds.low, first.odds.high
    if simulation.all_goals:
        yield "odds of all goals", both, simulation.all_goals.low, simulation.all_goals.high
    if second.given_others:
        yield "odds given the others", both / p, second.given_others.low, second.given_others.high
    difference = estimate_difference(simulation.kept.hits[0], simulation.kept.hits[2])
    yield "paired difference", (EASIER - 1) * p, difference.low, difference.high
    spread = simulation.distributions[int(np.searchsorted(simulation.nodes, first.node))]
    yield "mean", 0.0, spread.mean.low, spread.mean.high
    for quantile in spread.quantiles:
        if quantile.low is not None and quantile.high is not None:
            yield (
                f"{100 * quantile.share:.0f} % point",
                float(stats.norm.ppf(quantile.share)),
                quantile.low,
                quantile.high,
            )


def measure(task: tuple[str, float, int, int, int]) -> dict[str, tuple[float, float]]:
    """Return coverage and mean width of each interval for one (method, p, factors, draws, seeds)."""
    method, p, n_factors, draws, seeds = task
    graph: CausalGraph = build_graph(build_subject(p, n_factors))
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for seed in range(seeds):
        simulation = simulate(graph, NOTHING, NOTHING, settings=SimulationSettings(draws, seed, method))
        for name, exact, low, high in intervals(simulation, p, n_factors):
            found[name].append((low <= exact <= high, high - low))
    return {n: (float(np.mean([c for c, _ in v])), float(np.mean([w for _, w in v]))) for n, v in found.items()}


def table(draws: int, seeds: int, factors: list[int], workers: int) -> str:
    """Return the Markdown table of all measurements."""
    tasks = [(m, p, n, draws, seeds) for m in ("random", "sobol") for p in (0.5, 0.05, 0.001) for n in factors]
    lines = [
        f"{seeds:,} seeds, {draws:,} draws; standard error of each figure about {100 * (0.0475 / seeds) ** 0.5:.1f} %.",
        "",
        "| interval | p | factors | random | sobol | width sobol / random |",
        "|---|---|---|---|---|---|",
    ]
    with ProcessPoolExecutor(workers) as pool:
        found = dict(zip(tasks, pool.map(measure, tasks), strict=True))
    for p in (0.5, 0.05, 0.001):
        for n in factors:
            random, sobol = (found[m, p, n, draws, seeds] for m in ("random", "sobol"))
            for name in random:
                (held, width), (net_held, net_width) = random[name], sobol[name]
                ratio = net_width / width if width else 1.0
                lines.append(f"| {name} | {p} | {n} | {100 * held:.1f} % | {100 * net_held:.1f} % | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=16384)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--factors", type=int, nargs="*", default=[1, 3, 20])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    measured = table(options.draws, options.seeds, options.factors, options.workers)
    print(measured)
    if options.write:
        write_table(options.write, "coverage", measured)


if __name__ == "__main__":
    main()
