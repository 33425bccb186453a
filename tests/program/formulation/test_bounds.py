"""Bounds and scales of KPIs: plans and draws stay inside, what is clipped is not passed on, who is compared by what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli.app import main
from kpiopt.errors import Infeasible, InputError
from kpiopt.graph import build_graph
from kpiopt.simulation.redraw import Redraw, draw_book
from tests.from_text import run_of
from tests.nights import rest_at_night
from tests.second_linprog import solve_by_linprog

CEILING = """
schema = 1
name = "A share above 100 percent"
[kpi.on_time]
unit = "share"
roll_up = "mean"
max = 1
[uncertainty]
execution = "0.5 to 1.5"
[unit.top]
[unit.a]
parent = "top"
size = 100
[cell."a/on_time"]
baseline = "0.93 to 0.99"
max_stretch = 0.3
[goal.on_time]
target = 1.05
"""

SHARES = """
schema = 1
name = "Fairness and small baselines"
[kpi.p]
unit = "share"
roll_up = "mean"
step = 0.0001
max = 1
SCALE
[unit.top]
[unit.a]
parent = "top"
[unit.b]
parent = "top"
[cell."a/p"]
baseline = 0.02
max_stretch = 0.9
[cell."b/p"]
baseline = 0.90
max_stretch = 0.1
[goal.p]
target = 0.50
"""

CLIPPED = """
schema = 1
name = "A market beyond the bound"
[kpi.occupancy]
max = 100
drivers.market = { contribution = 10, at = "top" }
[kpi.sales]
baseline = 500
drivers.occupancy = 2
[factor.market]
value = VALUE
[unit.top]
[cell."top/occupancy"]
baseline = 80
max_stretch = 10
[goal.sales]
target = 600
"""


def test_no_plan_and_no_draw_is_above_a_hundred_percent(tmp_path: Path) -> None:
    run = run_of(tmp_path, CEILING, simulate=True)
    (goal,) = run.goals
    assert goal.plan == pytest.approx(1.0, abs=1e-9) and goal.plan <= 1.0
    assert goal.shortfall == pytest.approx(0.05)
    assert np.nanmax(run.plan.target) <= 1.0
    assert run.simulation is not None
    assert run.simulation.distributions[0].p95 <= 1.0
    assert run.simulation.kept.values.max() <= 1e-9 + 1.0
    assert "W-goal-bound" in [problem.code for problem in run.scenario.warnings]


@pytest.mark.parametrize(
    ("scale", "stretch"),
    [("", [0.08 * 0.02 / 0.92, 0.08 * 0.9 / 0.92]), ('scale = "headroom"', [0.08 * 0.98 / 1.08, 0.08 * 0.1 / 1.08]),
     ("scale = 0.5", [0.04, 0.04])],
)  # fmt: skip
def test_peers_are_compared_by_the_scale_that_the_kpi_names(tmp_path: Path, scale: str, stretch: list[float]) -> None:
    assert run_of(tmp_path, SHARES.replace("SCALE", scale)).plan.stretch == pytest.approx(stretch)


def test_what_breaks_a_bound_without_any_decision_is_clipped_and_not_passed_on(tmp_path: Path) -> None:
    run = run_of(tmp_path, CLIPPED.replace("VALUE", "5"))
    graph, plan = run.graph, run.plan
    assert plan.expected[graph.find_node("occupancy")] == pytest.approx(100.0)  # 80 + 50, clipped
    assert plan.expected[graph.find_node("sales")] == pytest.approx(540.0)  # 20 points of occupancy, not 50
    assert plan.stretch == pytest.approx([0.0])


def test_draws_are_clipped_the_same_in_both_ways_of_drawing(tmp_path: Path) -> None:
    text = CLIPPED.replace("VALUE", "{ normal = [1, 2] }") + '[uncertainty]\nexecution = "0.5 to 1"\n'
    run = run_of(tmp_path, text + "[simulation]\ndraws = 4096\n", simulate=True)
    assert run.simulation is not None
    sales = run.simulation.nodes.tolist().index(run.graph.find_node("sales"))
    assert run.simulation.kept.values[sales].max() <= 540.0 + 1e-9
    book = draw_book(run.graph)
    assert book is not None
    again = Redraw(run.graph, book).draw(run.plan.stretch, run.plan.levels).odds
    assert [odds.estimate for odds in again] == [goal.odds.estimate for goal in run.simulation.goals]


def test_bounds_that_leave_no_room_and_headroom_without_a_bound_are_refused(tmp_path: Path) -> None:
    for old, new, code in (
        ("max = 1", "max = 1\nmin = 2", "E-bounds"),
        ("max = 1", 'scale = "headroom"', "E-headroom"),
    ):
        with pytest.raises(InputError) as caught:
            run_of(tmp_path, SHARES.replace("SCALE", "").replace(old, new, 1))
        assert [problem.code for problem in caught.value.problems] == [code]


def test_a_baseline_outside_is_clipped_and_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, SHARES.replace("SCALE", "").replace("baseline = 0.90", "baseline = 1.20"))
    assert "W-bound" in [problem.code for problem in run.scenario.warnings]
    assert run.graph.baseline[run.graph.find_node("p", "b")] == 1.0


def random_shares(seed: int) -> str:
    """Shares and counts with bounds, driven by each other and by a market, in sums and means."""
    rng = np.random.default_rng(seed)
    lines = ["schema = 1", 'name = "Random"', "[kpi.share]", 'roll_up = "mean"', "step = 0.1", "max = 100", "min = 0"]
    lines += [f'scale = "{rng.choice(["baseline", "headroom"])}"']
    lines += [
        f'drivers.market = {{ contribution = {rng.uniform(-9, 9):.1f}, at = "{rng.choice(["person", "region"])}" }}'
    ]
    lines += ["[kpi.count]", f'direction = "{rng.choice(["up", "down"])}"', "step = 0.1", "min = 5"]
    lines += [f'drivers.share = {{ contribution = {rng.uniform(-1, 1):.2f}, at = "person" }}']
    lines += ["[factor.market]", "value = 2", "[uncertainty]", f"execution = {rng.choice([1.0, 0.8])}", "[unit.top]"]
    people = {"a": "n", "b": "n", "c": "s"}
    lines += ["[unit.n]", 'parent = "top"', 'level = "region"', "[unit.s]", 'parent = "top"', 'level = "region"']
    for unit, parent in people.items():
        lines += [f"[unit.{unit}]", f'parent = "{parent}"', 'level = "person"', f"size = {rng.integers(1, 5)}"]
        lines += [f'[cell."{unit}/share"]', f"baseline = {rng.uniform(60, 99):.1f}", "max_stretch = 25"]
        lines += [f'[cell."{unit}/count"]', f"baseline = {rng.uniform(6, 20):.1f}", "max_stretch = 9"]
    lines += [
        "[goal.share]",
        f"target = {rng.uniform(85, 110):.1f}",
        "[goal.count]",
        f"target = {rng.uniform(10, 60):.1f}",
    ]
    return "\n".join([*lines, f"priority = {rng.choice([1, 2])}"])


@pytest.mark.parametrize("block", rest_at_night(range(6), 2))
def test_random_bounds_agree_with_a_second_solution(tmp_path: Path, block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        text = random_shares(seed)
        (tmp_path / "s.toml").write_text(text, encoding="utf-8")
        values = solve_by_linprog(tmp_path / "s.toml")
        try:
            run = run_of(tmp_path, text)
        except Infeasible:
            assert values is None, seed
            continue
        assert values is not None, seed
        got = [step.value for step in run.solution.steps if step.name in ("goals", "fairness")]
        assert got == pytest.approx(values, abs=1e-6), seed
        graph = build_graph(run.scenario)
        low, high = graph.bounds
        assert np.all((run.plan.expected >= low) & (run.plan.expected <= high)), seed
        plain = graph.baseline + graph.expected_change(run.plan.stretch, run.plan.levels)
        assert np.all((plain >= low - 1e-9) & (plain <= high + 1e-9)), seed


ABOVE = """
schema = 1
name = "A cause above a bounded mean"
[kpi.q]
unit = "%"
roll_up = "mean"
max = 100
step = 0.1
drivers = { t = { contribution = 1, at = "organization" } }
[kpi.t]
unit = "d"
baseline = 0
[initiative.i]
max = 2
uses = { cash = 1 }
effects = { t = 1 }
[budget.cash]
limit = 10
[uncertainty]
execution = { uniform = [0.6, 1.0] }
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/q"]
baseline = 96
max_stretch = 4
[cell."b/q"]
baseline = 95
max_stretch = 5
[goal.q]
target = 99.9
"""


def test_no_unit_is_asked_for_more_than_its_kpi_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The teams are asked for 98.5 on average, a cause above them adds 2: 100.5 would be more than there can be."""
    run = run_of(tmp_path, ABOVE)
    (goal,), node = run.goals, run.graph.find_node("q")
    assert goal.plan == pytest.approx(99.9)
    assert goal.asked == pytest.approx(100.0) and run.plan.target[node] == pytest.approx(100.0)
    assert main(["solve", str(tmp_path / "s.toml"), "--no-simulation", "--out", str(tmp_path / "runs")]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    capsys.readouterr()
    assert main(["explain", str(folder), "co/q"]) == 0
    said = capsys.readouterr().out
    assert "beyond the bound of 100.0 %, where there is nothing" in said and "rounding to 0.1 %" in said


def test_a_stock_at_its_bound_stays_there(tmp_path: Path) -> None:
    """Twelve and a half are asked in the first quarter so that ten can be expected: 100 then, and 100 from then on."""
    text = (
        'schema = 1\nname = "stock"\nperiods.names = ["p1", "p2", "p3"]\n'
        "uncertainty.execution = { uniform = [0.6, 1.0] }\n"
        '[kpi.q]\nkind = "stock"\nroll_up = "mean"\nmax = 100\n[unit.co]\n[unit.a]\nparent = "co"\n'
        '[cell."a/q"]\nbaseline = 90\nmax_stretch = 20\n[goal.q]\ntarget = 100\nperiod = "p1"\n'
    )
    run = run_of(tmp_path, text)
    nodes = [run.graph.find_node("q", 1, period) for period in (0, 1, 2)]
    assert run.plan.expected[nodes] == pytest.approx([100.0, 100.0, 100.0])
    assert run.plan.asked[nodes] == pytest.approx([100.0, 100.0, 100.0])
