"""Locks: as a stretch, below 0, as a target with effects on the cell; who is compared; what is said about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import Infeasible, InputError
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from tests.from_text import run_of
from tests.nights import rest_at_night
from tests.second_linprog import solve_by_linprog

NEGATIVE = """
schema = 1
name = "Locks"
[kpi.sales]
unit = "USD"
step = 1
[uncertainty]
execution = "0.5 to 1.1"
[unit.company]
capacity.hours = 100
[unit.ann]
parent = "company"
[unit.bob]
parent = "company"
[cell."ann/sales"]
baseline = 100_000
max_stretch = 9_000
lock = -5000
lock_reason = "parental leave"
lock_owner = "HR"
effort.hours = 0.01
pay_rate = 0.1
[cell."bob/sales"]
baseline = 100_000
max_stretch = 20_000
effort.hours = 0.01
pay_rate = 0.1
[goal.sales]
target = 220_000
[budget.pay]
limit = 5_000
"""

TARGET = """
schema = 1
name = "Locks"
[kpi.leads]
step = 1
[kpi.sales]
step = 1
drivers.leads = { contribution = 3, at = "person" }
[uncertainty]
execution = { uniform = [0.4, 1.0] }
[unit.company]
[unit.ann]
parent = "company"
level = "person"
[unit.bob]
parent = "company"
level = "person"
[cell."ann/leads"]
baseline = 10
max_stretch = 4
[cell."ann/sales"]
baseline = 100
max_stretch = 5
lock_target = 120
lock_reason = "signed"
[cell."bob/sales"]
baseline = 100
max_stretch = 30
[goal.sales]
target = 240
"""


def row_of(run: Run, unit: str, kpi: str) -> dict[str, object]:
    rows = run.targets.to_dicts()
    return next(row for row in rows if (row["unit"], row["kpi"]) == (unit, kpi))


def test_what_is_given_up_costs_nothing_and_is_certain(tmp_path: Path) -> None:
    run = run_of(tmp_path, NEGATIVE, simulate=True)
    ann = row_of(run, "ann", "sales")
    assert (ann["stretch"], ann["plan"], ann["target"]) == (-5000.0, 95_000.0, 95_000.0)
    assert (ann["lock_reason"], ann["lock_owner"]) == ("parental leave", "HR")
    hours = next(limit for limit in run.limits if limit.name == "capacity.hours@company")
    bob = float(run.plan.stretch[1])
    assert hours.used == pytest.approx(0.01 * bob)  # 100 hours are enough for 10,000: Ann's 5,000 free nothing
    assert bob == pytest.approx(10_000.0)
    assert run.spending.pay == pytest.approx(1_000.0)
    assert run.simulation is not None and run.simulation.pay is not None
    assert run.simulation.pay.all_hit == pytest.approx(1_000.0)
    sd = float(run.simulation.distributions[0].sd)
    only_bob = run_of(tmp_path, NEGATIVE.replace("lock = -5000", "lock = 0"), simulate=True)
    assert only_bob.simulation is not None
    assert sd == pytest.approx(only_bob.simulation.distributions[0].sd, rel=1e-12)


def test_a_lock_counts_whatever_the_range_says_and_a_word_is_said(tmp_path: Path) -> None:
    text = NEGATIVE.replace("lock = -5000", "lock = 9500")
    run = run_of(tmp_path, text)
    assert row_of(run, "ann", "sales")["stretch"] == 9500.0
    assert "W-lock-outside" in [problem.code for problem in run.scenario.warnings]


def test_what_is_asked_of_a_locked_target_comes_to_it_exactly(tmp_path: Path) -> None:
    run = run_of(tmp_path, TARGET)
    ann = row_of(run, "ann", "sales")
    node = run.graph.find_node("sales", "ann")
    assert ann["target"] == 120.0
    assert run.plan.asked[node] == pytest.approx(120.0, abs=1e-9)
    leads = float(run.plan.stretch[0])
    assert float(run.plan.stretch[1]) == pytest.approx(20.0 - 3 * 0.7 * leads)  # what the leads leave of the 20
    assert ann["binding"] == "lock"


def test_a_locked_target_without_effects_is_a_fixed_stretch(tmp_path: Path) -> None:
    text = TARGET.replace('drivers.leads = { contribution = 3, at = "person" }\n', "")
    run = run_of(tmp_path, text.replace("lock_target = 120", "lock_target = 93"))
    assert row_of(run, "ann", "sales")["stretch"] == -7.0
    assert "lock_target" not in str(run.cascade.program)


def test_a_lock_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run_of(tmp_path, TARGET.replace("lock_target = 120", "lock_target = 120\nlock = 3"))
    assert [problem.code for problem in caught.value.problems] == ["E-lock-twice"]


def test_locks_are_in_the_answer(tmp_path: Path) -> None:
    locks = json.loads(json.dumps(run_of(tmp_path, NEGATIVE).as_dict()))["locks"]
    assert locks == [
        {
            "unit": "ann", "kpi": "sales", "lock": -5000.0, "lock_target": None, "target": 95000.0,
            "reason": "parental leave", "owner": "HR",
        }
    ]  # fmt: skip


def test_one_high_lock_does_not_blind_the_comparison(tmp_path: Path) -> None:
    cells = "".join(
        f'[unit.{u}]\nparent = "top"\n[cell."{u}/k"]\nbaseline = 100\nmax_stretch = {most}\neffort.h = {effort}\n'
        for u, most, effort in (("a", 60, 1), ("b", 60, 3), ("c", 60, 1))
    )
    text = 'schema = 1\nname = "Locks"\n[kpi.k]\nstep = 0.001\n[unit.top]\n' + cells + "[goal.k]\ntarget = 390\n"
    text += "[decide]\neffort_price = { h = 1 }\n"
    run = run_of(tmp_path, text.replace('[cell."c/k"]', '[cell."c/k"]\nlock = 50'))
    assert run.plan.stretch == pytest.approx([20.0, 20.0, 50.0])  # not 40 and 0, though c's 50 is the largest
    fairness = next(step for step in run.solution.steps if step.name == "fairness")
    assert fairness.value == pytest.approx(0.2)


def test_growth_of_nothing_is_told_with_what_to_write(tmp_path: Path) -> None:
    text = """
schema = 1
name = "Locks"
[kpi.sales]
step = 1
unit = "USD"
[unit.co]
[unit.old]
parent = "co"
level = "rep"
[unit.hire]
parent = "co"
level = "rep"
[cell."old/sales"]
baseline = 100
[cell."hire/sales"]
baseline = 0
[guardrail.g]
growth = [0.0, 0.3]
[goal.sales]
target = 150
"""
    run = run_of(tmp_path, text)
    (problem,) = [p for p in run.scenario.warnings if p.code == "W-growth-of-nothing"]
    assert "hire/sales" in problem.message and "max_stretch of its own in USD" in problem.fix
    assert not run_of(tmp_path, text.replace("baseline = 0", "baseline = 5")).scenario.warnings
    own = text.replace("baseline = 0", "baseline = 0\nmax_stretch = 40")
    assert not [p for p in run_of(tmp_path, own).scenario.warnings if p.code == "W-growth-of-nothing"]


def random_locks(seed: int) -> str:
    """Three people, two KPIs, one drives the other; some cells locked in one way or another."""
    rng = np.random.default_rng(seed)
    lines = [
        "schema = 1",
        'name = "Locks"',
        "[kpi.leads]",
        f'roll_up = "{rng.choice(["sum", "mean"])}"',
        "step = 0.01",
        "[kpi.sales]",
    ]
    lines += [f'direction = "{rng.choice(["up", "down"])}"', "step = 0.01"]
    lines += [f'drivers.leads = {{ contribution = {rng.uniform(-2, 3):.2f}, at = "person" }}']
    lines += ["[uncertainty]", f"execution = {rng.choice([1.0, 0.8, 0.6])}", "[unit.top]", "capacity.h = 60"]
    for unit in "abc":
        lines += [f"[unit.{unit}]", 'parent = "top"', 'level = "person"']
        for kpi in ("leads", "sales"):
            baseline = round(float(rng.uniform(20, 80)), 1)
            lines += [f'[cell."{unit}/{kpi}"]', f"baseline = {baseline}", "max_stretch = 9", "effort.h = 2"]
            kind = rng.choice(["", "", "lock", "lock_target"])
            if kind == "lock":
                lines.append(f"lock = {rng.uniform(-3, 6):.1f}")
            elif kind:
                lines.append(f"lock_target = {baseline + float(rng.uniform(-2, 3)):.1f}")
    lines += ["[goal.sales]", "target = 190", "[goal.leads]", "target = 100", "priority = 2", 'at = "a"']
    return "\n".join(lines)


@pytest.mark.parametrize("block", rest_at_night(range(4), 1))
def test_random_locks_agree_with_a_second_solution(tmp_path: Path, block: int) -> None:
    answered = 0
    for seed in range(12 * block, 12 * block + 12):
        (tmp_path / "s.toml").write_text(random_locks(seed), encoding="utf-8")
        values = solve_by_linprog(tmp_path / "s.toml")
        try:
            run = solve_scenario(kpiopt.load(tmp_path / "s.toml"), options=SolveOptions(simulate=False))
        except Infeasible:
            assert values is None, seed
            continue
        assert values is not None, seed
        got = [step.value for step in run.solution.steps if step.name in ("goals", "fairness")]
        assert got == pytest.approx(values, abs=2e-7), seed
        answered += 1
    assert answered >= 4
