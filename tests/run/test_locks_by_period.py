"""Locked targets of plans by period: met exactly over the horizon, whatever its periods and effects do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import Infeasible
from kpiopt.run.run import Run
from tests.run.test_periods import random_text

TEXT = """schema = 1
name = "A locked target"
PERIODS
[kpi.calls]
[kpi.sales]
step = STEP
KIND
[kpi.sales.drivers.calls]
contribution = 2
at = "team"
trade_off = true
[unit.co]
[unit.a]
parent = "co"
level = "team"
[unit.b]
parent = "co"
level = "team"
[cell."a/calls"]
baseline = 100
max_stretch = 20
[cell."a/sales"]
baseline = 400
lock_target = TARGET
max_stretch = 5
[cell."b/sales"]
baseline = 600
max_stretch = 60
effort.hours = 1
[goal.calls]
target = 110
[goal.sales]
target = 1080
MORE
"""
HALVES = 'periods = ["H1", "H2"]'


def run_of(
    tmp_path: Path, *, periods: str = HALVES, kind: str = "", target: float = 450, step: float = 1, more: str = ""
) -> Run:
    text = TEXT.replace("PERIODS", periods).replace("KIND", kind).replace("TARGET", str(target))
    path = tmp_path / "scenario.toml"
    path.write_text(text.replace("STEP", str(step)).replace("MORE", more), "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=False)


def target_of(run: Run, unit: str, period: str | None = None, kpi: str = "sales") -> float:
    node = run.graph.find_node(kpi, unit, -1 if period is None else run.scenario.periods.position[period])
    return float(run.plan.target[node])


KINDS = ["season = [0.4, 0.6]", 'kind = "rate"\nroll_up = "none"', 'kind = "stock"\ncarry = 0.5', 'kind = "stock"']


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("execution", ["", "[uncertainty]\nexecution = { uniform = [0.6, 1.0] }\n"])
def test_what_effects_leave_of_the_target_is_asked_of_the_cell(tmp_path: Path, kind: str, execution: str) -> None:
    """10 more calls bring 20, of a rate and a stock as well; a target of 450 leaves 30 for the cell's own stretch."""
    kind = kind.replace('roll_up = "none"', "") if "rate" in kind else kind
    run = run_of(tmp_path, kind=kind, more=execution)
    node = run.graph.find_node("sales", "a")
    assert run.plan.asked[node] == pytest.approx(450, rel=1e-9)
    assert target_of(run, "a") == 450
    cell = [i for i, n in enumerate(run.graph.cell_node) if run.graph.node_name(int(n)).startswith("a/sales")]
    if "kind" not in kind:
        assert run.plan.stretch[cell].sum() == pytest.approx(30, rel=1e-7)
    assert run.fairness.groups  # the locked cell is compared with nobody
    assert sum(group.count for group in run.fairness.groups) == 2


def test_one_period_equals_none(tmp_path: Path) -> None:
    for execution in ("", "[uncertainty]\nexecution = 0.8\n"):
        none, one = (
            run_of(tmp_path, periods="", more=execution),
            run_of(tmp_path, periods='periods = ["Y"]', more=execution),
        )
        assert target_of(one, "co") == target_of(none, "co")
        assert [s.value for s in one.solution.steps] == pytest.approx(
            [s.value for s in none.solution.steps], rel=1e-7, abs=1e-9
        )


def test_a_target_between_two_steps_is_kept_and_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, target=452.5, step=5, kind="season = [0.4, 0.6]")
    assert target_of(run, "a") == pytest.approx(452.5, abs=1e-9)
    assert target_of(run, "a", "H1") + target_of(run, "a", "H2") == pytest.approx(452.5, abs=1e-9)
    assert "W-off-grid" in [note.code for note in run.plan.notes]


def test_a_target_below_what_effects_bring_gives_up_stretch(tmp_path: Path) -> None:
    """Effects bring 20: 410 is 10 less. Effort or execution would count it, so that there the calls are left out."""
    run = run_of(tmp_path, target=410)
    assert target_of(run, "a") == 410
    assert run.plan.asked[run.graph.find_node("sales", "a")] == pytest.approx(410)
    held = run_of(tmp_path, target=410, more="[uncertainty]\nexecution = 0.8\n")
    assert "W-lock-target-held" in [note.code for note in held.plan.notes]
    assert target_of(held, "a") == 410


def test_a_locked_total(tmp_path: Path) -> None:
    more = '[cell."co/sales"]\nlock_target = 1080\n'
    run = run_of(tmp_path, more=more, kind="season = [0.4, 0.6]")
    assert (target_of(run, "co"), target_of(run, "a"), target_of(run, "b")) == (1080, 450, 630)
    assert target_of(run, "co", "H1") + target_of(run, "co", "H2") == 1080


def test_a_target_that_limits_forbid_is_named_with_what_would_mend_it(tmp_path: Path) -> None:
    more = "[kpi.x]\n[unit.a.capacity]\nhours = 4\n"
    text = TEXT.replace("PERIODS", HALVES).replace("KIND", "").replace("TARGET", "450").replace("STEP", "1")
    text = text.replace("lock_target = 450\n", "lock_target = 450\neffort.hours = 1\n").replace("MORE", more)
    path = tmp_path / "scenario.toml"
    path.write_text(text.replace("[kpi.x]\n", ""), "utf-8")
    with pytest.raises(Infeasible) as caught:
        kpiopt.solve(kpiopt.load(path), simulate=False)
    assert "a/sales" in " ".join(p.message + p.fix for p in caught.value.problems) or "hours" in str(caught.value)


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 200), marks=pytest.mark.nightly)], ids=str)
def test_random_locked_targets_are_met_exactly(tmp_path: Path, seeds: range) -> None:
    """Where there is a plan, what is asked of the cell comes to its lock; no target of the others changes the sums."""
    solved = 0
    for seed in seeds:
        random = np.random.default_rng(10_000 + seed)
        unit, kpi = f"t{random.integers(2)}", "abcd"[random.integers(4)]
        head = f'[cell."{unit}/{kpi}"]\nbaseline = '
        text = random_text(seed)
        base = int(text.partition(head)[2].partition("\n")[0])
        sign = (
            -1
            if f"[kpi.{kpi}]" in text and 'direction = "down"' in text.partition(f"[kpi.{kpi}]")[2].partition("[")[0]
            else 1
        )
        target = base + sign * int(random.integers(0, 30))
        path = tmp_path / "scenario.toml"
        path.write_text(text.replace(head, head.replace("baseline", f"lock_target = {target}\nbaseline")), "utf-8")
        try:
            run = kpiopt.solve(kpiopt.load(path), simulate=False)
        except Infeasible:
            continue
        solved += 1
        assert run.plan.asked[run.graph.find_node(kpi, unit)] == pytest.approx(target, rel=1e-8)
    assert solved >= len(seeds) // 2
