"""How much dearer plans with promised odds are than the cheapest there are, in random small organizations.

Run `python benchmarks/promise_gaps.py --write docs/promises.md` to measure and put the table into the page. The
cheapest plan is found by SciPy from margins of the same planning draws, one whole number for each draw: first what is
lacking is made as little as it can be, then the cost. Organizations with which SciPy comes to no end in 20 seconds, or
whose goals cannot be met on average, do not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import LinearConstraint, milp
from table_in_page import write_table

import kpiopt
from kpiopt.program.formulation.promises import needed_draws
from kpiopt.simulation.planning.margins import planning_draws

SECONDS = 20.0
ROUNDING, SAME = 1e-7, 1e-5


def _spread(rng: np.random.Generator, mean: float, sd: float, *, discrete: bool) -> str:
    kind = "discrete" if discrete else rng.choice(["normal", "uniform", "discrete"])
    if kind == "normal":
        return f"{{ normal = [{mean:.3f}, {sd:.3f}] }}"
    if kind == "uniform":
        return f"{{ uniform = [{mean - 1.7 * sd:.3f}, {mean + 1.7 * sd:.3f}] }}"
    low, high = mean + sd * rng.normal(size=2)
    return f"{{ discrete = [[{low:.3f}, 0.5], [{high:.3f}, 0.5]] }}"


def scenario_text(number: int, draws: int, *, discrete: bool, share: float | None = None) -> str:
    """Return an organization of one or two goals and two to four initiatives, two out of five in whole numbers."""
    rng = np.random.default_rng(number)
    n_goals, n = int(rng.integers(1, 3)), int(rng.integers(2, 5))
    whole, sign = "whole = true\n" if rng.random() < 0.4 else "", (-1, 1)
    text = 'schema = 1\nname = "Random"\n[unit.org]\n'
    for g in range(n_goals):
        moved = f"drivers = {{ f0 = {{ contribution = 1 }}, f1 = {{ contribution = {rng.choice([-1, 1])} }} }}"
        text += f'[kpi.k{g}]\nunit = "u"\ndirection = "{("down", "up")[g]}"\nroll_up = "sum"\nbaseline = 100\n{moved}\n'
    text += "".join(f"[factor.f{f}]\nvalue = {_spread(rng, 0, 4, discrete=discrete)}\n" for f in range(2))
    effect, most, cost = rng.uniform(0.6, 2, (n, n_goals)), rng.integers(3, 9, n), rng.integers(20, 90, n)
    for i in range(n):
        text += f'[initiative.a{i}]\nunits = ["org"]\nmax = {most[i]}\n{whole}uses = {{ cash = {cost[i]} }}\n'
        for g in range(n_goals):
            mean = sign[g] * effect[i, g]
            told = _spread(rng, mean, 0.35 * abs(mean), discrete=discrete) if rng.random() < 0.8 else f"{mean:.3f}"
            text += f"effects.k{g} = {told}\n"
    for g in range(n_goals):
        text += f"[goal.k{g}]\ntarget = {100 + sign[g] * rng.uniform(0.25, 0.6) * float(effect[:, g] @ most):.2f}\n"
    p = rng.choice([0.6, 0.7, 0.8, 0.9]) if share is None else share
    limit = int(cost @ most * rng.uniform(0.75, 1))
    text += f"[odds]\np_min = {p}\ndraws = {draws}\n[budget.cash]\nlimit = {limit}\n"
    return text + '[decide]\norder = ["goals", "cost"]\n'


def cheapest(run: kpiopt.Run) -> tuple[float, float]:
    """Return the least that any plan lacks of the promise, and the least cost of those that lack no more.

    Where other draws asked for more margin, or for more draws that hit, as much is asked here.
    """
    (promise,), draws, told = run.cascade.promises, planning_draws(run.graph), run.promises[0]
    most, n = run.cascade.columns.level.upper, told.draws
    whole = run.cascade.program.arrays().integer[run.cascade.columns.level.positions]
    price = np.array([run.scenario.document["initiative"][f"a{i}"]["uses"]["cash"] for i in range(len(most))], float)
    margin = [draws.margins(np.zeros(0), at)[promise.goals] for at in (0.37 * most, *np.diag(0.5 * most) + 0.37 * most)]
    start, k = margin[0] / promise.scale[:, None], len(promise.goals)
    slope = np.array(
        [(each - margin[0]) / promise.scale[:, None] / (0.5 * m) for each, m in zip(margin[1:], most, strict=True)]
    )
    rest = start - np.einsum("ikn,i->kn", slope, 0.37 * most) - told.added
    needed = needed_draws(promise.p_min, n)
    if told.made_again and not told.added:
        needed = max(needed, round(told.planned * n))
    every = np.concatenate([slope.reshape(-1, n), rest]).T
    _, first, times = np.unique(np.round(every, 9), axis=0, return_index=True, return_counts=True)
    slope, rest, n = slope[..., first], rest[:, first], len(first)
    big = np.maximum(0.0, -(rest + np.minimum(slope * most[:, None, None], 0.0).sum(axis=0))).ravel()
    rows = np.hstack(
        [slope.reshape(len(most), -1).T, np.ones((k * n, 1)), -(big[:, None] * np.tile(np.eye(n), (k, 1)))]
    )
    spent = np.concatenate([price, np.zeros(n + 1)])
    counted = np.concatenate([np.zeros(len(most) + 1), times])
    held = [
        LinearConstraint(rows, -rest.ravel() - big, np.inf),
        LinearConstraint(counted, needed, np.inf),
        LinearConstraint(spent, -np.inf, run.scenario.document["budget"]["cash"]["limit"]),
    ]
    integer = np.concatenate([whole, [False], np.ones(n, bool)]).astype(int)
    lacking = np.eye(len(spent))[len(most)]

    def least(cost: np.ndarray, ceiling: float) -> float:
        upper = np.concatenate([most, [ceiling], np.ones(n)])
        options = {"time_limit": SECONDS, "mip_rel_gap": 0.0}
        found = milp(cost, integrality=integer, bounds=(0, upper), constraints=held, options=options)
        return float(found.fun) if found.status == 0 else np.nan

    short = least(lacking, np.inf)
    short = 0.0 if short <= ROUNDING else short
    return short, least(spent, max(short, told.shortfall) * (1.0 + ROUNDING))


def gap(path: Path) -> tuple[float, float]:
    """Return how much more a plan lacks and by which share it is dearer than it has to; NaN where it is not known."""
    run = kpiopt.solve(path, simulate=False)
    ours = {step.name: step.value for step in run.solution.steps}
    if ours["goals"] > ROUNDING:  # plan values come first in the order, and are nothing that SciPy is asked
        return np.nan, np.nan
    short, cost = cheapest(run)
    return run.promises[0].shortfall - short, ours["cost"] / cost - 1.0


def measure(draws: int, scenarios: int, *, discrete: bool) -> str:
    """Return the row of the table for a kind of organizations."""
    with tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder) / "random.toml", list[tuple[float, float]]()
        for number in range(scenarios):
            path.write_text(scenario_text(number, draws, discrete=discrete))
            found.append(gap(path))
            print(number, *found[-1], file=sys.stderr, flush=True)
    known = np.array([each for each in found if np.all(np.isfinite(each))]).reshape(-1, 2)
    short, dearer = known[:, 0], np.maximum(known[:, 1], 0.0)
    return (
        f"| {'discrete' if discrete else 'any'} | {draws:,} | {len(known)} of {scenarios} "
        f"| {np.count_nonzero(short > SAME)} | {np.count_nonzero(dearer > SAME)} | {100 * np.median(dearer):.2f} % "
        f"| {100 * np.quantile(dearer, 0.9):.2f} % | {100 * dearer.max():.2f} % |"
    )


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=20)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    kinds = [(1024, True), (64, False)]
    lines = [
        "| spread | planning draws | compared | lacking more | dearer | by (median) | 90 % of them | most |",
        "|---|---|---|---|---|---|---|---|",
        *(measure(draws, options.scenarios, discrete=discrete) for draws, discrete in kinds),
    ]
    print("\n".join(lines))
    if options.write:
        write_table(options.write, "promise gaps", "\n".join(lines))


if __name__ == "__main__":
    main()
