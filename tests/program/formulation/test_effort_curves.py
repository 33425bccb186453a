"""Effort by tiers: worked out by hand, against a second linear program, and where it must be the same as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

import kpiopt
from kpiopt.errors import KpioptError
from kpiopt.graph.effort import counted_stretch
from kpiopt.run.run import Run
from kpiopt.studies.explain_limit import explain_limit

TEAMS = """
schema = 1
name = "tiers"
[kpi.out]
{step}
[unit.co]
capacity.hours = {hours}
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/out"]
baseline = 100
max_stretch = 30
effort.hours = 1
[cell."b/out"]
baseline = 200
max_stretch = 40
effort.hours = 1
[goal.out]
target = {target}
[decide]
order = ["goals", "cost"]
effort_price = {{ hours = 10 }}
"""
CURVE = "[effort_curve.hard]\ntiers = [[0.05, 1.0], [0.10, 2.0], [0.20, 4.0]]\n"


def solve(tmp_path: Path, more: str = CURVE, *, hours: float = 1000, target: float = 330, step: str = "") -> Run:
    path = tmp_path / "s.toml"
    path.write_text(TEAMS.format(hours=hours, target=target, step=step) + more, "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=False)


def stretch_of(run: Run) -> list[float]:
    return run.plan.stretch.tolist()


def test_the_cheap_tiers_are_worked_first(tmp_path: Path) -> None:
    """30 are wanted: 5 and 10 at one hour each, then 15 more at two, shared out as closely to the baselines as can be.

    Both work 10 %, so a has 10 and b 20, for 5 + 2 x 5 and 10 + 2 x 10 hours.
    """
    run = solve(tmp_path)
    assert stretch_of(run) == pytest.approx([10.0, 20.0], abs=1e-6)
    (limit,) = run.limits
    assert limit.used == pytest.approx(45.0, abs=1e-9)
    cost = next(step.value for step in run.solution.steps if step.name == "cost")
    assert cost == pytest.approx(450.0, abs=1e-7)


def test_capacity_counts_the_tiers(tmp_path: Path) -> None:
    """33 hours: 15 for the first tier of both, 18 more make 9 of stretch, so 6 of 30 are missing."""
    run = solve(tmp_path, hours=33)
    assert run.goals[0].shortfall == pytest.approx(6.0, abs=1e-7)
    (limit,) = run.limits
    assert limit.binding
    assert limit.used == pytest.approx(33.0, abs=1e-7)
    assert limit.shadow_price == pytest.approx(0.5 / 30, rel=1e-6)
    assert set(run.plan.binding.tolist()) == {"capacity.hours@co"}
    assert sum(
        use.amount
        for use in explain_limit(
            run.graph,
            run.plan.stretch,
            run.plan.levels,
            {"name": "capacity.hours@co", "limit": 33.0, "used": 33.0, "binding": True},
        ).uses
    ) == pytest.approx(33.0)


def test_the_last_tier_goes_on(tmp_path: Path) -> None:
    """60 are wanted: all of b's 40 cost 10 + 20 + 80 hours, a's 20 cost 5 + 10 + 40."""
    run = solve(tmp_path, CURVE.replace("4.0", "4.0"), target=360)
    assert stretch_of(run) == pytest.approx([20.0, 40.0], abs=1e-5)
    assert run.limits[0].used == pytest.approx(165.0, abs=1e-6)


def test_the_last_curve_that_matches_counts(tmp_path: Path) -> None:
    run = solve(tmp_path, CURVE + '[effort_curve.easy]\nwhere = { unit = "a" }\ntiers = [[1.0, 0.5]]\n')
    assert stretch_of(run) == pytest.approx([30.0, 0.0], abs=1e-6)  # a takes half an hour, all the way
    assert run.limits[0].used == pytest.approx(15.0, abs=1e-9)


def test_rounding_keeps_the_capacity_with_its_tiers(tmp_path: Path) -> None:
    """Targets in steps of 4: what the rounded stretches take by their tiers is within the hours."""
    for hours in (20, 26, 33, 34, 41, 47):
        run = solve(tmp_path, hours=hours, step="step = 4")
        used = counted_stretch(run.graph, run.plan.rounded_stretch).sum()
        assert used <= hours * (1 + 1e-9), hours
        assert all(float(t) % 4 == 0 for t in run.plan.target)


def test_one_tier_of_multiplier_1_changes_nothing(tmp_path: Path) -> None:
    plain = solve(tmp_path, "", hours=25)
    same = solve(tmp_path, "[effort_curve.flat]\ntiers = [[0.1, 1.0]]\n", hours=25)
    twice = solve(tmp_path, "[effort_curve.flat]\ntiers = [[0.1, 1.0], [0.2, 1.0]]\n", hours=25)
    assert str(plain.cascade.program) == str(same.cascade.program) == str(twice.cascade.program)
    doubled = solve(tmp_path, "[effort_curve.flat]\ntiers = [[0.1, 2.0]]\n", hours=25)
    assert doubled.goals[0].shortfall == pytest.approx(30 - 12.5)


def test_tiers_of_a_period_are_relative_to_its_share(tmp_path: Path) -> None:
    """Season 1 to 3, all stretch in proportion: each period works 10 % of its own, so the year takes what it took."""
    year = solve(tmp_path)
    quarters = '[periods]\nnames = ["H1", "H2"]\n[kpi.out]\nseason = [0.25, 0.75]\n'
    path = tmp_path / "p.toml"
    text = TEAMS.format(hours=1000, target=330, step="").replace("[kpi.out]\n", quarters)
    path.write_text(text + "[capacity.hours]\nseason = [0.25, 0.75]\n" + CURVE, "utf-8")
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    assert run.plan.whole_stretch.tolist() == pytest.approx(stretch_of(year), abs=1e-6)
    assert [limit.used for limit in run.limits] == pytest.approx([45 / 4, 45 * 3 / 4], abs=1e-6)


@pytest.mark.parametrize(
    "tiers", ["[[0.05, 2.0], [0.10, 1.0]]", "[[0.10, 1.0], [0.05, 2.0]]", "[[0.0, 1.0]]", "[[0.1, 1.0], [0.1, 2.0]]"]
)
def test_tiers_that_cannot_be(tmp_path: Path, tiers: str) -> None:
    with pytest.raises(KpioptError) as caught:
        solve(tmp_path, f"[effort_curve.wrong]\ntiers = {tiers}\n")
    assert {problem.code for problem in caught.value.problems} == {"E-effort-curve"}


def compare_with_second_program(tmp_path: Path, seed: int) -> None:
    """Goals, then cost, by parts of stretch with a box each: another formulation of the same tiers."""
    rng = np.random.default_rng(seed)
    n, ends = int(rng.integers(2, 5)), np.sort(rng.choice(np.arange(1, 30), 3, replace=False)) / 100.0
    times = np.sort(rng.integers(1, 9, 3)) / 2.0
    base, most = rng.integers(50, 300, n), rng.integers(5, 60, n)
    effort, rate = rng.integers(1, 5, n).astype(float), rng.integers(0, 4, n).astype(float)
    wanted, hours = float(rng.integers(5, most.sum() + 10)), float(rng.integers(10, 300))
    lines = ['schema = 1\nname = "random"\n[kpi.out]\n[unit.co]', f"capacity.hours = {hours}"]
    for i in range(n):
        lines.append(f'[unit.u{i}]\nparent = "co"\n[cell."u{i}/out"]\nbaseline = {base[i]}\nmax_stretch = {most[i]}')
        lines.append(f"effort.hours = {effort[i]}\npay_rate = {rate[i]}")
    tiers = [[float(a), float(b)] for a, b in zip(ends, times, strict=True)]
    lines.append(f"[goal.out]\ntarget = {base.sum() + wanted}\n[effort_curve.c]\ntiers = {tiers}")
    lines.append('[decide]\norder = ["goals", "cost"]\neffort_price = { hours = 2 }')
    path = tmp_path / "s.toml"
    path.write_text("\n".join(lines), "utf-8")
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    starts, width = np.concatenate([[0.0], ends[:-1]]), np.array([*np.diff([0.0, *ends[:-1]]), np.inf])
    assert len(starts) == len(width)
    boxes = [(0.0, float(min(w * b, m))) for b, m in zip(base, most, strict=True) for w in width] + [(0.0, None)]
    takes = [float(e * t) for e in effort for t in times] + [0.0]
    sums = [[-1.0] * (3 * n) + [-1.0], takes]
    sums += [[1.0 if 3 * i <= j < 3 * i + 3 else 0.0 for j in range(3 * n)] + [0.0] for i in range(n)]
    sides = [-wanted, hours, *most.astype(float)]
    first = linprog([0.0] * (3 * n) + [1.0], A_ub=sums, b_ub=sides, bounds=boxes)
    boxes[-1] = (0.0, first.fun + 1e-9)
    cost = [2 * t + rate[j // 3] for j, t in enumerate(takes[:-1])] + [0.0]
    second = linprog(cost, A_ub=sums, b_ub=sides, bounds=boxes)
    assert run.goals[0].shortfall == pytest.approx(first.fun, abs=1e-6), seed
    assert next(s.value for s in run.solution.steps if s.name == "cost") == pytest.approx(second.fun, rel=1e-6), seed
    used = float(effort @ counted_stretch(run.graph, run.plan.stretch))
    assert run.limits[0].used == pytest.approx(used, abs=1e-8), seed


@pytest.mark.parametrize("seed", range(6))
def test_a_second_program_agrees(tmp_path: Path, seed: int) -> None:
    compare_with_second_program(tmp_path, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 300))
def test_a_second_program_agrees_at_length(tmp_path: Path, seed: int) -> None:
    compare_with_second_program(tmp_path, seed)
