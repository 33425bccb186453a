"""How often fresh draws say less than a plan promised, over random scenarios, with and without making it again.

Run `python benchmarks/kept_promises.py --write docs/promises.md` to measure and put the table into the page. Only
promises that bind are counted: kept, and by hardly a draw more than it takes. What is kept with room to spare is not
in doubt.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from table_in_page import write_table

import kpiopt
from kpiopt.program.order.promised import search
from kpiopt.run.promised import missing_margins

BINDING = 0.004
"""Share of the planning draws by which a promise that binds may be exceeded."""


def scenario_text(number: int, draws: int) -> str:
    """Return a random organization of a few teams with one to three uncertain KPIs, some of them promised together."""
    rng = np.random.default_rng(number)
    n_kpis, n_teams = int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])), int(rng.integers(2, 7))
    lines = [
        'schema = 1\nname = "Random"\ncurrency = "USD"\n[decide]\norder = ["goals", "cost", "reference"]',
        f"effort_price = {{ hours = 1 }}\n[odds]\ndraws = {draws}\nseed = {number}",
    ]
    if n_kpis > 1:
        lines.append(f"p_min = {rng.uniform(0.3, 0.8):.3f}")
    low, high = rng.uniform(0.3, 0.8), rng.uniform(0.9, 1.3)
    lines.append(f'[uncertainty]\nexecution = "{low:.2f} to {high:.2f}"\ncommon = {rng.uniform(0, 0.6):.2f}')
    lines += ["[unit.company]", *(f'[unit.t{t}]\nparent = "company"' for t in range(n_teams))]
    lines.append('[factor.market]\nname = "Market"\nvalue = { normal = [0, 1] }')
    for k in range(n_kpis):
        lines.append(f'[kpi.k{k}]\nname = "KPI {k}"\nunit = "points"\nroll_up = "sum"')
        lines.append(f"drivers.market = {{ normal = [{rng.uniform(-5, 15):.2f}, {rng.uniform(0, 4):.2f}] }}")
        own = "" if n_kpis > 1 and rng.random() < 0.4 else f"\np_min = {rng.uniform(0.55, 0.95):.3f}"
        lines.append(f"[goal.k{k}]\ntarget = {100 * n_teams + rng.uniform(10, 40) * n_teams:.1f}{own}")
        for t in range(n_teams):
            effort = rng.uniform(0.5, 3)
            lines.append(f'[cell."t{t}/k{k}"]\nbaseline = 100\nmax_stretch = 90\neffort.hours = {effort:.2f}')
    return "\n".join(lines) + "\n"


def count(run: kpiopt.Run) -> tuple[int, int, int]:
    """Return how many promises bind, how many of them fresh draws deny, and how often the plan was made again."""
    binding = [p for p in run.promises if p.is_kept and (p.planned <= p.p_min + BINDING or p.added)]
    return len(binding), sum(p.is_doubtful for p in binding), max((p.made_again for p in run.promises), default=0)


def counts(scenario: kpiopt.Scenario) -> tuple[int, ...]:
    """Count in the plan that is made once, and in the one that is published."""
    search.MOST_AGAIN = 0
    once = run = kpiopt.solve(scenario)
    search.MOST_AGAIN = 3
    if missing_margins(once.cascade, once.solution).any():
        run = kpiopt.solve(scenario)
    return *count(once), *count(run)


def measure(draws: int, scenarios: int) -> str:
    """Return the row of the table for a number of planning draws."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.toml"
        for number in range(scenarios):
            path.write_text(scenario_text(number, draws))
            found.append(counts(kpiopt.load(path)))
            print(number, *found[-1], file=sys.stderr, flush=True)
    bound, denied, _, bound_checked, denied_checked, again = np.array(found).T
    shares = denied.sum() / bound.sum(), denied_checked.sum() / bound_checked.sum()
    return (
        f"| {draws:,} | {bound.sum()} | {100 * shares[0]:.1f} % | {100 * shares[1]:.1f} % "
        f"| {np.count_nonzero(again)} of {scenarios} | {again.max()} |"
    )


def main() -> None:
    """Measure, print, and write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, nargs="*", default=[1024, 4096, 16384])
    parser.add_argument("--scenarios", type=int, default=200)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    lines = [
        f"{options.scenarios} random scenarios, judged on 16,384 fresh draws.",
        "",
        "| planning draws | that bind | denied if made once | denied as published | made again | most often |",
        "|---|---|---|---|---|---|",
        *(measure(draws, options.scenarios) for draws in options.draws),
    ]
    print("\n".join(lines))
    if options.write:
        write_table(options.write, "kept promises", "\n".join(lines))


if __name__ == "__main__":
    main()
