"""Small plans solved by hand: each file in `cases/` works its answer out in its comments, exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction as F
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kpiopt.graph import NodeKind
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario

CASES = Path(__file__).parent / "cases"
SCENARIOS = Path(__file__).parent.parent / "scenarios"
EXACT = 1e-9
Number = F | float


@dataclass(frozen=True)
class Case:
    """Expected answer of one file and variant: step values in order, stretches, plan values and levels by name."""

    file: str
    variant: str | None
    steps: tuple[Number, ...]
    stretch: dict[str, Number]
    plan: dict[str, Number] = field(default_factory=dict)
    target: dict[str, Number] = field(default_factory=dict)
    levels: dict[str, Number] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return (SCENARIOS if self.file == "hand-solved" else CASES) / f"{self.file}.toml"


HAND_SOLVED = Case(
    "hand-solved",
    None,
    (0, 0, F(65, 1000), 1300, F("0.014825")),
    {
        "ann/sales": 3600,
        "bob/sales": 2400,
        "ann/visits": F(21, 2),
        "bob/visits": 7,
        "ann/complaints": 3,
        "bob/complaints": 2,
    },
    {"ann/sales": 64_800, "bob/sales": 43_200, "company/sales": 108_000, "company/complaints": 45},
    {"ann/sales": 64_800, "bob/sales": 43_200, "company/sales": 108_000, "company/visits": 517.5},
)
WITH_LESS_PAY = {"ann/sales": 3000, "bob/sales": 2000, "ann/visits": F(33, 2), "bob/visits": 11}
CASE_LIST = (
    HAND_SOLVED,
    Case("hand-solved", "lean", (0, 0, F(205, 3000), 1600, F("0.015525")), WITH_LESS_PAY),
    Case(
        "two_priorities",
        None,
        (0, F(1, 3), F(1, 4), 0, F(13, 100)),
        {"ann/alpha": 18, "bob/alpha": 12, "ann/beta": 24, "bob/beta": 16},
        {"company/alpha": 130, "company/beta": 240},
    ),
    Case(
        "two_priorities",
        "beta_first",
        (0, F(1, 3), F(1, 4), 0, F(13, 100)),
        {"ann/alpha": 12, "bob/alpha": 8, "ann/beta": 36, "bob/beta": 24},
        {"company/alpha": 120, "company/beta": 260},
    ),
    Case(
        "lower_is_better",
        None,
        (0, F(1, 5), 0, F(1, 25)),
        {"a/errors": 12, "b/errors": 8},
        {"a/errors": 48, "b/errors": 32, "company/errors": 80, "company/costs": 190_000},
    ),
    Case(
        "lower_is_better",
        "out_of_reach",
        (F(1, 7), F(3, 4), 0, (F(900, 60) + F(900, 40)) / 100),
        {"a/errors": 30, "b/errors": 30},
        {"company/errors": 40, "company/costs": 170_000},
    ),
    Case(
        "weighted_mean",
        None,
        (0, F(2, 65), 0, F(24, 13) ** 2 / (60 * 140) + F(32, 13) ** 2 / (80 * 140)),
        {"a/satisfaction": F(24, 13), "b/satisfaction": F(32, 13)},
        {"company/satisfaction": 67, "a/satisfaction": 60 + F(24, 13)},
    ),
    Case(
        "weighted_mean",
        "closest",
        (0, F(72, 31) ** 2 / (60 * 140) + F(32, 31) ** 2 / (80 * 140)),
        {"a/satisfaction": F(72, 31), "b/satisfaction": F(32, 31)},
    ),
    Case(
        "whole_machines",
        None,
        (F(1, 5), F(1, 5), 2000, F("0.04016")),
        {"crew/output": 20},
        {"plant/output": 180},
        levels={"machines@crew": 2},
    ),
    Case(
        "whole_machines",
        "parts",
        (F(1, 50), F(1, 5), 2600, F("0.04") + F("0.001") * F(26, 50) ** 2),
        {"crew/output": 20},
        {"plant/output": 198},
        levels={"machines@crew": F(26, 10)},
    ),
    Case(
        "whole_machines",
        "less",
        (0, F(1, 10), 2000, F("0.01016")),
        {"crew/output": 10},
        {"plant/output": 170},
        levels={"machines@crew": 2},
    ),
    Case(
        "department_capacity",
        None,
        (0, F(1, 5), 0, F(1, 40)),
        {"ann/sales": 10, "bob/sales": 10, "cleo/sales": 40},
        {"north/sales": 220, "south/sales": 240, "company/sales": 460},
    ),
    Case(
        "execution",
        None,
        (0, F(1, 4), 0, F(1, 16)),
        {"a/sales": 25, "b/sales": 25},
        {"a/sales": 120, "company/sales": 240},
        {"a/sales": 125, "company/sales": 250},
    ),
    Case(
        "proportional",
        None,
        (0, F("0.0144")),
        {"a/sales": 6, "b/sales": F(36, 10), "c/sales": F(24, 10)},
        {"a/sales": 56, "b/sales": 33.6, "c/sales": 22.4, "company/sales": 112},
    ),
    Case(
        "fairness",
        None,
        (0, F(1, 5), 82.5, F(11, 400)),
        {"a/sales": 5, "b/sales": 20, "c/sales": 20},
        {"company/sales": 345},
    ),
    Case(
        "fairness",
        "cheapest",
        (0, 42.5, F(2, 5), F(25 + 1600, 30_000)),
        {"a/sales": 5, "b/sales": 40, "c/sales": 0},
    ),
    Case(
        "fairness",
        "slack",
        (0, F(1, 5), 72.5, F(25 + 625 + 225, 30_000)),
        {"a/sales": 5, "b/sales": 25, "c/sales": 15},
    ),
    Case(
        "budget_scope",
        None,
        (0, F(3, 20), 130, F(13, 800)),
        {"ann/sales": 10, "bob/sales": 10, "cleo/sales": 30},
        {"north/sales": 220, "company/sales": 450},
    ),
    Case("lock", None, (0, F(1, 5), 0, F(11, 400)), {"a/sales": 5, "b/sales": 20, "c/sales": 20}),
    Case("causes", None, (0, F(1, 20), 50, F(1, 100)), {"ann/sales": 100, "ann/visits": 0}),
    Case("causes", "cheapest", (0, 25, F(1, 4)), {"ann/sales": 0, "ann/visits": 25}, {"company/sales": 1100}),
    Case(
        "causes",
        "closest",
        (0, F(1250, 13_000) ** 2 + F(125, 130 * 50) ** 2),
        {"ann/sales": F(1250, 13), "ann/visits": F(125, 130)},
        {"company/sales": 1100},
    ),
)
each_case = pytest.mark.parametrize("case", CASE_LIST, ids=lambda c: f"{c.file}-{c.variant or 'base'}")


@cache
def solve(path: Path, variant: str | None) -> Run:
    return solve_scenario(load_scenario(path, variant=variant), options=SolveOptions(simulate=False))


def values_by_name(run: Run, values: np.ndarray) -> dict[str, float]:
    graph = run.graph
    nodes = np.flatnonzero(graph.kind == NodeKind.KPI)
    return {graph.node_name(node): float(values[node]) for node in nodes.tolist()}


def stretch_by_name(run: Run) -> dict[str, float]:
    nodes = run.graph.cell_node.tolist()
    return {run.graph.node_name(node): float(x) for node, x in zip(nodes, run.plan.stretch, strict=True)}


def levels_by_name(run: Run) -> dict[str, float]:
    nodes = run.graph.level_node.tolist()
    names = (run.graph.node_name(node).removeprefix("initiative.") for node in nodes)
    return dict(zip(names, run.plan.levels.tolist(), strict=True))


def assert_exact(found: dict[str, float], expected: dict[str, Number]) -> None:
    assert {name: found[name] for name in expected} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=EXACT, abs=EXACT
    )


@each_case
def test_steps_are_exact(case: Case) -> None:
    found = [step.value for step in solve(case.path, case.variant).solution.steps]
    assert found == pytest.approx([float(value) for value in case.steps], rel=EXACT, abs=EXACT)


@each_case
def test_stretch_and_levels_are_exact(case: Case) -> None:
    run = solve(case.path, case.variant)
    assert_exact(stretch_by_name(run), case.stretch)
    assert_exact(levels_by_name(run), case.levels)


@each_case
def test_plan_values_and_targets_are_exact(case: Case) -> None:
    run = solve(case.path, case.variant)
    assert_exact(values_by_name(run, run.plan.expected), case.plan)
    assert_exact(values_by_name(run, run.plan.target), case.target)


@each_case
def test_every_answer_is_certified(case: Case) -> None:
    assert all(step.certificate.passed for step in solve(case.path, case.variant).solution.steps)


def test_every_case_file_has_an_expected_answer() -> None:
    assert {path.stem for path in CASES.glob("*.toml")} <= {case.file for case in CASE_LIST}


def test_an_hour_for_the_department_is_worth_a_four_hundredth_of_the_largest_stretch() -> None:
    run = solve(CASES / "department_capacity.toml", None)
    (limit,) = (limit for limit in run.limits if limit.name == "capacity.hours@north")
    assert limit.step == "fairness"
    assert abs(limit.shadow_price) == pytest.approx(1 / 400, rel=EXACT)


def test_odds_of_the_hand_solved_plan_have_a_closed_form() -> None:
    """Sales are 108,000 + 350 z and count from 107,950 on."""
    run = solve_scenario(load_scenario(SCENARIOS / "hand-solved.toml"))
    odds = next(goal["odds"] for goal in run.as_dict()["goals"] if goal["kpi"] == "sales")
    assert odds["estimate"] == pytest.approx(0.5567985, abs=0.001)
    assert 0.0 < odds["low"] < odds["estimate"] < odds["high"] < 0.56
