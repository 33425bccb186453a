"""The farmer of Birge and Louveaux (2011, chapter 1): what a plan on draws is worth, and what knowing would be.

500 acres of wheat, corn and beets; yields are 20 % above, at or 20 % below their mean, each with odds of one third.
What is bought, sold and sold above the quota after the harvest is plain once the yields are known, so it is written
as shortfalls of goals: each ton of wheat that lacks of 200 costs 68 more than it would have brought, each ton of corn
of 240 costs 60, each ton of beets above 6,000 loses 26. The mean of all that over the draws is the step `cvar`
without a share left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.simulation.planning.margins import planning_draws

ACRES = {"wheat": (2.5, 170, 150), "corn": (3.0, 150, 230), "beets": (20.0, 36, 260)}
"""Tons of an acre, what a ton brings, what planting an acre costs."""
LACKING = {"wheat": (200, 68), "corn": (240, 60), "beets": (6000, 26)}
FIXED = 34_000 + 36_000
"""What the tons that are needed would have brought."""
MOST = 300_000
TEXT = """
schema = 1
name = "Farmer"
currency = "USD"
[unit.company]
capacity.land = 500
[odds]
draws = 8192
[decide]
order = ["cvar"]
cvar = 1e-9
"""


def farm(folder: Path, yields: tuple[float, ...]) -> kpiopt.Scenario:
    """Return the farm with these equally likely yields, as shares of their means."""
    rows = [",".join([*ACRES, *(f"{crop}_money" for crop in ACRES)])]
    for share in yields:
        tons = [share * mean for mean, _, _ in ACRES.values()]
        money = [t * price - cost for t, (_, price, cost) in zip(tons, ACRES.values(), strict=True)]
        rows.append(",".join(f"{number:.12g}" for number in (*tons, *money)))
    (folder / "yields.csv").write_text("\n".join(rows) + "\n")
    text = TEXT
    for crop, (needed, price) in LACKING.items():
        down = 'direction = "down"\n' if crop == "beets" else ""
        text += f'[kpi.{crop}]\nname = "{crop}"\nunit = "tons"\nroll_up = "sum"\nbaseline = 0\n{down}'
        text += f"[goal.{crop}]\ntarget = {needed}\nweight = {price * needed / MOST:.15g}\n"
        text += f'[initiative.{crop}]\nunits = ["company"]\nmax = 500\nuses = {{ land = 1 }}\n'
        text += f'effects.{crop} = {{ samples = "yields.csv#{crop}" }}\n'
        text += f'effects.money = {{ samples = "yields.csv#{crop}_money" }}\n'
    text += '[kpi.money]\nname = "Money"\nunit = "USD"\nroll_up = "sum"\nbaseline = 0\n'
    (folder / "farm.toml").write_text(text + f"[goal.money]\ntarget = {MOST}\n")
    return kpiopt.load(folder / "farm.toml")


def plan(scenario: kpiopt.Scenario) -> np.ndarray:
    """Return the acres of wheat, corn and beets."""
    run = kpiopt.solve(scenario, simulate=False)
    names = [run.graph.node_name(node).split(".")[1].partition("@")[0] for node in run.graph.level_node]
    levels = dict(zip(names, run.plan.levels.tolist(), strict=True))
    return np.array([levels[crop] for crop in ACRES])


def profit(scenario: kpiopt.Scenario, acres: np.ndarray) -> float:
    """Return the mean profit of a plan over the planning draws, by the prices of the book."""
    draws = planning_draws(build_graph(scenario)).margins(np.zeros(0), acres)
    lack = dict(zip(scenario.goals, np.minimum(draws, 0.0).mean(axis=1), strict=True))
    return MOST + lack["money"] - FIXED + sum(price * lack[crop] for crop, (_, price) in LACKING.items())


def test_the_farmer_as_published(tmp_path):
    risky = farm(tmp_path, (1.2, 1.0, 0.8))
    ours = plan(risky)
    assert ours == pytest.approx([170, 80, 250], abs=0.5)
    on_draws = profit(risky, ours)
    assert on_draws == pytest.approx(108_390, rel=5e-4)
    known = []
    for number, share in enumerate((1.2, 1.0, 0.8)):
        folder = tmp_path / str(number)
        folder.mkdir()
        certain = farm(folder, (share,))
        acres = plan(certain)
        known.append(profit(certain, acres))
        if share == 1.0:
            average = acres
    assert known == pytest.approx([167_666.67, 118_600, 59_950], rel=1e-6)
    assert average == pytest.approx([120, 80, 300], abs=1e-4)
    of_average = profit(risky, average)
    assert of_average == pytest.approx(107_240, rel=5e-4)
    assert on_draws - of_average == pytest.approx(1_150, abs=10)  # value of the stochastic solution
    assert np.mean(known) - on_draws == pytest.approx(7_016, abs=60)  # value of perfect information
