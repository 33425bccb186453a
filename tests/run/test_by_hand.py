"""Small organizations whose answers are worked out by hand: what single changes of the code once left unnoticed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from kpiopt.run.run import Run
from tests.from_text import run_of

HEAD = 'schema = 1\nname = "by hand"\n[simulation]\ndraws = 4096\n'


def stretch_of(run: Run) -> dict[str, float]:
    units = run.scenario.units.ids
    return {units[unit]: x for unit, x in zip(run.scenario.cells.unit.tolist(), run.plan.stretch.tolist(), strict=True)}


def spread_of(run: Run, kpi: str) -> float:
    """Return the standard deviation of a KPI at the root."""
    return float(run.odds.filter((run.odds["kpi"] == kpi) & (run.odds["unit"] == "co"))["sd"].item())


SCOPED = """
[kpi.s]
roll_up = "none"
[unit.co]
[unit.a]
parent = "co"
target_incentive = 1000
[unit.m]
parent = "co"
[unit.m1]
parent = "m"
target_incentive = 5
[unit.z]
parent = "co"
target_incentive = 7
[budget.middle]
resource = "pay"
scope = "m"
limit = 20
"""


def test_a_pay_budget_of_a_middle_unit_counts_that_unit_and_what_is_below_it_alone(tmp_path: Path) -> None:
    """5 for the incentive below, 2 x_m + x_m1 at most 15: m1 is cheaper by half and goes first."""
    rates = {"a": 5, "m": 2, "m1": 1, "z": 3}
    cells = "".join(
        f'[cell."{unit}/s"]\nbaseline = 100\nmax_stretch = 10\npay_rate = {rate}\n'
        f"{'weight = 1' if unit != 'm' else ''}\n"
        f'[goal.{unit}]\nkpi = "s"\nat = "{unit}"\ntarget = 110\n'
        for unit, rate in rates.items()
    )
    run = run_of(tmp_path, HEAD + SCOPED + cells)
    assert stretch_of(run) == pytest.approx({"a": 10.0, "m": 2.5, "m1": 10.0, "z": 10.0})
    (limit,) = run.limits
    assert (limit.used, limit.binding) == (pytest.approx(20.0), True)


TEAMS = "[kpi.s]\n[unit.co]\n" + "".join(
    f'[unit.{unit}]\nparent = "co"\nlevel = "{level}"\n[cell."{unit}/s"]\nbaseline = 100\nmax_stretch = 50\n'
    for unit, level in (("a1", "a"), ("b1", "b"), ("b2", "b"), ("b3", "b"))
)


def test_peer_groups_count_by_their_size(tmp_path: Path) -> None:
    goals = '[goal.a]\nkpi = "s"\nat = "a1"\ntarget = 120\n[goal.b]\nkpi = "s"\nat = "b1"\ntarget = 110\n'
    run = run_of(tmp_path, HEAD + TEAMS + goals)
    values = {step.label: step.value for step in run.solution.steps}
    assert values["fairness"] == pytest.approx((1 * 0.2 + 3 * 0.1) / 4)


FUNDED = """
[kpi.g]
roll_up = "none"
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/g"]
baseline = 100
[cell."b/g"]
baseline = 100
[goal.a]
kpi = "g"
at = "a"
target = 110
[goal.b]
kpi = "g"
at = "b"
target = 110
[initiative.one]
units = ["a", "b"]
max = 10
uses = { cash = 2, points = 3 }
effects = { g = 2 }
[budget.points]
limit = 1000
money = false
"""


def test_a_budget_that_is_no_money_costs_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path, HEAD + FUNDED + "[budget.cash]\nlimit = 1000\n")
    assert run.plan.levels.tolist() == pytest.approx([5.0, 5.0])
    values = {step.label: step.value for step in run.solution.steps}
    assert values["cost"] == pytest.approx(20.0)


def test_two_budgets_of_one_resource_hold_both_also_at_the_unit_that_has_one(tmp_path: Path) -> None:
    budgets = '[budget.cash]\nlimit = 12\n[budget.at_a]\nresource = "cash"\nscope = "a"\nlimit = 4\n'
    run = run_of(tmp_path, HEAD + FUNDED + budgets)
    assert run.plan.levels.tolist() == pytest.approx([2.0, 4.0])
    assert {limit.name: limit.used for limit in run.limits if "cash" in limit.name or "at_a" in limit.name} == (
        pytest.approx({"budget.cash": 12.0, "budget.at_a": 4.0})
    )


def test_effects_of_two_initiatives_add_up(tmp_path: Path) -> None:
    second = (
        '[initiative.two]\nunits = ["b"]\nmax = 1\nuses = { cash = 1 }\neffects = { g = 3 }\n[budget.cash]\nlimit = 9\n'
    )
    run = run_of(tmp_path, HEAD + FUNDED + second)
    plans = {goal.goal.id: goal.plan for goal in run.goals}
    assert sum(plans.values()) == pytest.approx(200 + 3 + 2 * 4)


UNCERTAIN = """
[kpi.root]
baseline = { normal = [50, 2] }
[kpi.s]
[unit.co]
[unit.m]
parent = "co"
[unit.x]
parent = "m"
[unit.y]
parent = "co"
[cell."x/s"]
baseline = { normal = [100, 3] }
lock = 10
[cell."y/s"]
baseline = { normal = [100, 4] }
[goal.s]
target = 200
[goal.root]
target = 50
"""


def test_uncertain_baselines_of_inner_units_and_of_the_root_add_as_variances(tmp_path: Path) -> None:
    run = run_of(tmp_path, HEAD + UNCERTAIN, simulate=True)
    assert spread_of(run, "s") == pytest.approx(5.0, rel=0.02)
    assert spread_of(run, "root") == pytest.approx(2.0, rel=0.02)


def test_a_cell_may_be_uncertain_in_baseline_and_execution(tmp_path: Path) -> None:
    run = run_of(tmp_path, HEAD + UNCERTAIN + "[uncertainty]\nexecution = { uniform = [0.5, 1.5] }\n", simulate=True)
    assert spread_of(run, "s") == pytest.approx(math.sqrt(9 + 16 + 100 / 12), rel=0.02)


def test_correlation_holds_for_the_pair_that_is_named_whatever_the_order(tmp_path: Path) -> None:
    factors = "".join(
        f"[factor.{name}]\nvalue = {{ normal = [0, {sd}] }}\n" for name, sd in (("c", 3), ("a", 1), ("b", 2))
    )
    text = "[kpi.k]\nbaseline = 100\ndrivers = { a = 1, c = 1, b = 1 }\n[unit.co]\n[goal.k]\ntarget = 100\n"
    run = run_of(tmp_path, HEAD + text + factors + '[correlation]\n"factor.b ~ factor.a" = 0.5\n', simulate=True)
    assert spread_of(run, "k") == pytest.approx(math.sqrt(1 + 4 + 9 + 2 * 0.5 * 1 * 2), rel=0.02)
    other = run_of(tmp_path, HEAD + text + factors + '[correlation]\n"factor.c ~ factor.b" = -0.5\n', simulate=True)
    assert spread_of(other, "k") == pytest.approx(math.sqrt(1 + 4 + 9 - 2 * 0.5 * 2 * 3), rel=0.02)


def test_pay_of_an_initiative_is_its_use_times_its_level_also_when_all_targets_are_hit(tmp_path: Path) -> None:
    text = """
    [kpi.g]
    unit = "u"
    [unit.co]
    target_incentive = 1000
    [cell."co/g"]
    baseline = 100
    weight = 1
    [initiative.spiff]
    max = 9
    uses = { pay = 60 }
    effects = { g = 10 }
    [budget.pay]
    limit = 9000
    [goal.g]
    target = 130
    """
    pay = run_of(tmp_path, HEAD + "\n".join(line.strip() for line in text.splitlines()), simulate=True).as_dict()["pay"]
    assert pay["plan"] == pytest.approx(1000 + 3 * 60)
    assert pay["mean"] == pytest.approx(1000 + 3 * 60)
    assert pay["all_hit"] == pytest.approx(1000 + 3 * 60)
