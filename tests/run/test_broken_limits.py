"""`broken_limits` is what the program forbids: a plan breaks nothing exactly where the program allows it.

The plans of random organizations with every kind of limit are drawn from the program itself, moved a little, and put
back into it as they are: SciPy says whether its rows and boxes hold.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.plan.split_rule import SplitPlan
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.run.judge import judge_plan, judge_rule

UNITS = {"co": None, "n": "co", "s": "co", "a": "n", "b": "n", "d": "s", "e": "s"}
PEOPLE = ("a", "b", "d", "e")

TWO = """
schema = 1
name = "two"
[kpi.f]
unit = "x"
[unit.c]
[unit.r]
parent = "c"
[unit.a]
parent = "r"
[unit.b]
parent = "r"
[cell."a/f"]
baseline = 50
max_stretch = 20
[cell."b/f"]
baseline = 50
max_stretch = 20
[goal.f]
target = 130
"""


def judged(folder: Path, more: str, asked: dict[str, float] | str, text: str = TWO) -> list[tuple[str, float, float]]:
    """Return what a plan breaks: stretches by unit, or a rule."""
    (folder / "s.toml").write_text(text + more, "utf-8")
    rule = asked
    if isinstance(asked, dict):
        rows = ["unit,kpi,stretch", *(f"{unit},f,{stretch}" for unit, stretch in asked.items())]
        (folder / "plan.csv").write_text("\n".join(rows), "utf-8")
        rule = str(folder / "plan.csv")
    found = judge_rule(build_graph(kpiopt.load(folder / "s.toml")), str(rule))
    return [(b.name, pytest.approx(b.limit), pytest.approx(b.used)) for b in found.broken]


TOTAL = '[cell."r/f"]\n'
BAND_BROKEN = [("fairness.band@a/f", 0.21, 0.4), ("fairness.band@b/f", 0.19, 0)]
LOCKED = TOTAL + 'lock_reason = "x"\n'


@pytest.mark.parametrize(
    ("more", "asked", "broken"),
    [
        (TOTAL + "max_stretch = 10", "even", [("max_stretch@r/f", 10, 30)]),
        (TOTAL + "max_stretch = 10", {"a": 15, "b": 15}, [("max_stretch@r/f", 10, 30)]),
        (TOTAL + "max_stretch = 10", {"a": 5, "b": 5}, []),
        (TOTAL + "max_stretch = 39", {"a": 21, "b": 20}, [("max_stretch@a/f", 20, 21), ("max_stretch@r/f", 39, 41)]),
        (TOTAL + "min_stretch = 35", "even", [("min_stretch@r/f", 35, 30)]),
        (LOCKED + "lock = 12", "even", [("lock@r/f", 12, 30)]),
        (LOCKED + "lock = 12", {"a": 15, "b": 15}, [("lock@r/f", 12, 30)]),
        (LOCKED + "lock = 30", {"a": 15, "b": 15}, []),
        (LOCKED + "lock_target = 112", {"a": 15, "b": 15}, [("lock@r/f", 12, 30)]),
        (LOCKED + "lock_target = 130", "even", []),
        ("[fairness]\nband = 0.01", {"a": 20, "b": 0}, BAND_BROKEN),
        ("[fairness]\nband = 0.2", {"a": 20, "b": 0}, []),
        ("[guardrail.g]\nmost = 1.2", {"a": 20, "b": 0}, [("most@a/f", 0.24, 0.4)]),
        ("[guardrail.g]\nleast = 0.5", {"a": 20, "b": 0}, [("least@b/f", 0.1, 0)]),
    ],
)  # fmt: skip
def test_limits_of_totals_and_of_peers_are_named(more, asked, broken, tmp_path):
    assert judged(tmp_path, more, asked) == broken


def test_bounds_of_kpis_and_hard_goals_are_named(tmp_path):
    bounded = TWO.replace('unit = "x"', 'unit = "x"\nroll_up = "mean"\nmax = 60').replace("130", "58\nhard = true")
    assert judged(tmp_path, "", {"a": 12, "b": 4}, bounded) == [("max@a/f", 60, 62)]
    assert judged(tmp_path, "", {"a": 8, "b": 4}, bounded) == [("goal.f", 58, 56)]
    assert judged(tmp_path, "", {"a": 8, "b": 8}, bounded) == []


def test_a_band_of_loads_is_that_of_the_units(tmp_path):
    loads = TWO.replace("max_stretch = 20", "max_stretch = 20\neffort.hours = 1")
    for unit, hours in (("a", 40), ("b", 80)):
        loads = loads.replace(f"[unit.{unit}]", f"[unit.{unit}]\ncapacity.hours = {hours}")
    more = '[fairness]\nmeasure = "load"\nband = 0.1'
    # 20 of 40 hours and 8 of 80: 0.5 and 0.1, their mean 0.3.
    assert judged(tmp_path, more, {"a": 20, "b": 8}, loads) == [
        ("fairness.band@hours@a", 0.4, 0.5),
        ("fairness.band@hours@b", 0.2, 0.1),
    ]
    found = judge_rule(build_graph(kpiopt.load(tmp_path / "s.toml")), str(tmp_path / "plan.csv"))
    assert found.fairness == pytest.approx(0.5)  # of loads, as the step has it


def test_too_few_kpis_are_named(tmp_path):
    more = "[assign.q]\nkpis = [1, 1]\nchoose = true"
    assert judged(
        tmp_path, more, {"a": 5, "b": 0}, TWO.replace("max_stretch = 20", "max_stretch = 20\nmin_stretch = 5")
    )[0] == ("assign.q@b", 1, 0)
    assert judged(tmp_path, more, {"a": 5, "b": 0}) == []


class Organization:
    """A random organization with limits of every kind."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.lines = ["schema = 1", f'name = "o{seed}"']
        by_period = self.chance(0.4)
        if by_period:
            self.add("[periods]", 'names = ["p", "q"]')
        mean = self.chance(0.3)
        self.add("[kpi.f]", 'unit = "x"', f'roll_up = "{"mean" if mean else "sum"}"')
        if self.chance(0.5):
            self.add(f"max = {rng.integers(50, 60) if mean else rng.integers(200, 240)}")
        self.add("[kpi.g]", 'unit = "y"')
        if self.chance(0.5):
            self.add("[kpi.f.drivers]", f"g = {{ contribution = {rng.choice([0.5, 1, -0.5])}, at = 'a' }}")
        for unit, parent in UNITS.items():
            self.add(f"[unit.{unit}]", *([f'parent = "{parent}"'] if parent else []))
            self.add(f'level = "{"rep" if unit in PEOPLE else "head"}"')
            if self.chance(0.3):
                self.add(f"capacity.hours = {rng.integers(3, 40)}")
        self.choosing = self.chance(0.25)
        for unit in PEOPLE:
            for kpi in ("f", "g"):
                self.cell(unit, kpi)
        self.totals(mean, by_period)
        self.goals_and_guardrails(mean, by_period)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def add(self, *lines: str) -> None:
        self.lines += lines

    def cell(self, unit: str, kpi: str) -> None:
        rng = self.rng
        self.add(f'[cell."{unit}/{kpi}"]', f"baseline = {rng.integers(30, 60)}")
        if self.chance(0.15) and not self.choosing:
            self.add(f"lock = {rng.integers(0, 10)}" if self.chance(0.5) else f"lock_target = {rng.integers(60, 70)}")
        elif self.chance(0.9):
            self.add(f"max_stretch = {rng.integers(8, 20)}")
            if self.chance(0.2):
                self.add(f"min_stretch = {rng.integers(1, 4)}")
            self.add(f"effort.hours = {rng.choice([0, 0.5, 1])}", f"pay_rate = {rng.choice([0, 1])}")

    def totals(self, mean: bool, by_period: bool) -> None:
        rng = self.rng
        for unit, count in (("n", 2), ("s", 2), ("co", 4)):
            if not self.chance(0.4):
                continue
            size = 1 if mean else count
            self.add(f'[cell."{unit}/f"]')
            kind = rng.integers(0, 4)
            if kind == 0:
                self.add(f"lock = {5 * size}")
            elif kind == 1:
                self.add(f"lock_target = {52 * size}")
            else:
                self.add(f"max_stretch = {rng.integers(4, 9) * size}")
                if kind == 3:
                    self.add(f"min_stretch = {rng.integers(0, 4) * size}")

    def goals_and_guardrails(self, mean: bool, by_period: bool) -> None:
        rng = self.rng
        self.add("[goal.f]", f"target = {48 if mean else 192}")
        self.add("[goal.g]", f"target = {rng.integers(170, 200)}", f"hard = {str(self.chance(0.4)).lower()}")
        self.add("[budget.pay]", f"limit = {rng.integers(20, 120)}")
        if self.choosing:
            self.add("[assign.q]", f"kpis = [{rng.integers(1, 3)}, {rng.integers(1, 3)}]", "choose = true")
        else:
            if self.chance(0.3):
                self.add("[fairness]", f"band = {rng.choice([0.05, 0.1, 0.2])}")
            if self.chance(0.3):
                self.add("[guardrail.near]", 'where = { kpi = "g" }', "least = 0.5", "most = 1.4")
        if by_period and self.chance(0.4):
            self.add("[guardrail.smooth]", "ramp = 0.1", f"per_period = {str(self.chance(0.5)).lower()}")
        if self.chance(0.1):
            self.add('[initiative.i]\nunits = ["a"]\nlevels = [2, 4]\neffects = { g = 1 }\nmax = 4')


def is_allowed(program, columns, stretch):
    """Whether the program has a plan with these stretches and no initiative."""
    arrays = program.arrays()
    low, high = arrays.column_lower.copy(), arrays.column_upper.copy()
    at = columns.stretch.positions
    if np.any(stretch < low[at] - 1e-7) or np.any(stretch > high[at] + 1e-7):
        return False
    low[at] = high[at] = np.clip(stretch, low[at], high[at])
    high[columns.level.positions] = np.minimum(high[columns.level.positions], 0.0)
    rows = LinearConstraint(arrays.matrix, arrays.row_lower, arrays.row_upper)
    return bool(
        milp(np.zeros(len(low)), integrality=arrays.integer, bounds=Bounds(low, high), constraints=rows).success
    )


def vertex(program, columns, rng):
    """A plan of the program without initiatives, at random; None where there is none."""
    arrays = program.arrays()
    low, high = arrays.column_lower, arrays.column_upper.copy()
    high[columns.level.positions] = np.minimum(high[columns.level.positions], 0.0)
    cost = np.zeros(len(low))
    cost[columns.stretch.positions] = rng.normal(size=len(columns.stretch))
    rows = LinearConstraint(arrays.matrix, arrays.row_lower, arrays.row_upper)
    found = milp(cost, integrality=arrays.integer, bounds=Bounds(low, high), constraints=rows)
    return columns.stretch.of(found.x) if found.success else None


def compared(seed: int, folder: Path) -> tuple[int, int]:
    """Compare plans of one organization; return how many break something and how many do not."""
    organization = Organization(seed)
    path = folder / f"{seed}.toml"
    path.write_text("\n".join(organization.lines), "utf-8")
    try:
        graph = build_graph(kpiopt.load(path))
    except kpiopt.errors.InputError:
        return 0, 0  # such as more locks than may be chosen
    cascade, rng, count = build_cascade(graph), organization.rng, [0, 0]
    columns, program = cascade.columns, cascade.program
    for trial in range(6):
        stretch = vertex(program, columns, rng)
        if stretch is None:
            stretch = rng.uniform(0.0, columns.stretch.upper)
        if trial % 3:
            i, j = rng.choice(len(stretch), 2, replace=False)
            amount = float(rng.choice([0.5, 1.0, 3.0]))
            stretch[i] += amount
            if trial % 3 == 2:
                stretch[j] -= amount
        cells = np.zeros(len(graph.scenario.cells))
        cells[columns.stretch_cell] = np.round(stretch, 9)
        broken = judge_plan(graph, "drawn", SplitPlan(cells, ())).broken
        broken = [b for b in broken if abs(b.used - b.limit) > 1e-6 * max(1.0, abs(b.limit))]
        allowed = is_allowed(program, columns, cells[columns.stretch_cell])
        assert allowed == (not broken), (seed, trial, allowed, broken)
        count[bool(broken)] += 1
    return count[1], count[0]


def test_a_plan_breaks_nothing_exactly_where_the_program_allows_it(tmp_path):
    counts = np.array([compared(seed, tmp_path) for seed in range(40)]).sum(axis=0)
    assert counts.min() > 25, counts


@pytest.mark.nightly
def test_more_plans_break_nothing_exactly_where_the_program_allows_them(tmp_path):
    counts = np.array([compared(seed, tmp_path) for seed in range(1000, 1600)]).sum(axis=0)
    assert counts.min() > 400, counts
