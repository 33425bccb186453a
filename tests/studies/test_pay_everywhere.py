"""One definition of pay: solve, simulate, compare, sweep and sensitivity say the same, and plain NumPy agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.graph import CausalGraph
from kpiopt.run.run import Run
from kpiopt.run.solve import solve_scenario
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation.payout import build_payout
from kpiopt.simulation.propagate import Propagation

SPIFF = """
schema = 1
name = "pay of an initiative"
currency = "USD"
[kpi.g]
baseline = 100
[unit.company]
target_incentive = 0
[cell."company/v"]
baseline = 100
max_stretch = 10
pay_rate = 10
[kpi.v]
[kpi.g.drivers]
v = 1
[initiative.spiff]
max = 1
uses = { pay = 60 }
effects = { g = 10 }
[budget.pay]
limit = 150
[goal.g]
target = 120
[uncertainty]
execution = { uniform = [0.5, 1.5] }
[decide]
order = ["goals", "cost"]
"""

ORGANIZATION = """
schema = 1
name = "two teams"
currency = "USD"
[kpi.sales]
step = 1
[unit.company]
[unit.north]
parent = "company"
target_incentive = 1000
pay_plan = "rep"
[unit.south]
parent = "company"
target_incentive = 500
[cell."north/sales"]
baseline = 1000
max_stretch = 100
weight = 1
pay_rate = 2
[cell."south/sales"]
baseline = 800
max_stretch = 100
weight = 1
[initiative.spiff]
units = { unit = ["north", "south"] }
max = 3
uses = { pay = 40, cash = 5 }
effects = { sales = 20 }
[pay_plan.rep]
payout = [[0.8, 0.0], [1.0, 1.0], [1.2, 2.5]]
cap = 2.0
[budget.all]
resource = "pay"
limit = 1900
[budget.south]
resource = "pay"
scope = "south"
limit = 620
[budget.cash]
limit = 30
[goal.sales]
target = 2050
[uncertainty]
execution = "0.5 to 1.3"
[simulation]
draws = 2048
"""


def read(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


def answer(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_an_initiative_uses_of_pay_is_pay_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nine units of stretch at 10 and one level at 60 are 150; the draws of execution lie evenly about that."""
    path, runs = read(tmp_path, SPIFF), tmp_path / "runs"
    solved = answer(capsys, "solve", path, "--out", runs)
    pay = solved["pay"]
    assert [pay["plan"], pay["mean"], pay["all_hit"]] == pytest.approx([150, 150, 150], abs=1e-2)
    assert [pay["p5"], pay["p95"]] == pytest.approx([60 + 90 * 0.55, 60 + 90 * 1.45], rel=5e-3)
    assert pay["over_limit"]["estimate"] == pytest.approx(0.5, abs=1e-3)
    simulated = answer(capsys, "simulate", solved["run"], "--out", runs)
    assert simulated["pay"]["mean"] == pytest.approx(pay["mean"], rel=1e-12)
    without = answer(capsys, "simulate", solved["run"], "--act", "spiff=0", "--out", runs)
    assert without["pay"]["mean"] == pytest.approx(90, abs=1e-2)
    tornado = answer(capsys, "sensitivity", path, "--output", "pay")
    assert tornado["output"]["estimate"] == pytest.approx(150, abs=1e-2)
    swept = answer(capsys, "sweep", path, "--over", "budget.pay.limit=150,160", "--out", runs)
    assert [point["pay"] for point in swept["points"]] == pytest.approx([150, 160])
    assert [point["initiatives"] for point in swept["points"]] == [0, 0]
    compared = answer(capsys, "compare", path, runs / solved["run"], "--out", runs)
    sides = compared["base"], compared["comparisons"][0]["scenario"]
    assert [(side["pay"], side["initiatives"]) for side in sides] == [(pytest.approx(150), 0)] * 2


def pay_of_draws(graph: CausalGraph, run: Run, delta: Floats, realised: Floats) -> Floats:
    """Pay of each unit in each draw by DESIGN's formula, unit by unit, cell by cell."""
    scenario, plan = run.scenario, run.plan
    units, cells = scenario.units, scenario.cells
    pay = np.zeros((len(units), delta.shape[1]))
    for c in range(len(cells)):
        unit, node = int(cells.unit[c]), int(graph.cell_node[c])
        attainment = (graph.baseline[node] + delta[node]) / plan.target[node]
        curve = scenario.pay_plans[units.pay_plans[unit]] if units.pay_plans[unit] else None
        share = attainment if curve is None else np.minimum(np.interp(attainment, curve.attainment, curve.share), 2.0)
        pay[unit] += np.nan_to_num(units.target_incentive[unit]) * np.nan_to_num(cells.weight[c]) * share
        pay[unit] += np.nan_to_num(cells.pay_rate[c]) * np.maximum(realised[c], 0)
    for row, unit in enumerate(graph.level_unit.tolist()):
        pay[unit] += 40 * plan.levels[row]
    return pay


def test_pay_in_draws_is_the_formula_in_plain_numpy(tmp_path: Path) -> None:
    run = solve_scenario(load_scenario(read(tmp_path, ORGANIZATION)))
    graph, plan, simulation = run.graph, run.plan, run.simulation
    assert plan.levels.sum() > 1
    cells = np.arange(len(run.scenario.cells))
    propagation = Propagation(graph, plan.stretch, plan.levels, kept_cells=cells)
    scores = np.random.default_rng(3).standard_normal((len(propagation.inputs.names), 500))
    block = propagation.run(lambda rows: scores[rows].copy(), 500)
    expected = pay_of_draws(graph, run, block.delta, block.realised)
    payout = build_payout(graph, plan.stretch, plan.levels, plan.target)
    rated = Propagation(graph, plan.stretch, plan.levels, kept_cells=payout.rated_cells)
    found = payout.pay(rated.run(lambda rows: scores[rows].copy(), 500))
    np.testing.assert_allclose(found, expected[payout.units], rtol=1e-12)
    assert run.spending.pay == pytest.approx(1500 + 2 * plan.stretch[0] + 40 * plan.levels.sum())
    assert run.spending.initiatives == pytest.approx(5 * plan.levels.sum())
    assert simulation is not None
    assert simulation.pay is not None
    assert simulation.pay.plan == pytest.approx(run.spending.pay)
    assert set(simulation.pay.over) == {"all", "south"}


def test_rounding_counts_what_initiatives_use_of_pay(tmp_path: Path) -> None:
    """The pay budget is used up by 4.5 of stretch at 20 and a level at 60; rounding stretch to 5 would break it."""
    text = SPIFF.replace("[kpi.v]", "[kpi.v]\nstep = 1").replace("pay_rate = 10", "pay_rate = 20")
    run = solve_scenario(load_scenario(read(tmp_path, text)))
    assert run.plan.stretch[0] == pytest.approx(4.5)
    assert run.plan.rounded_stretch[0] == 4
