"""Initiatives of many people who are alike: equally good choices are told apart without looking at each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.program.order import branching
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.run.run import Run
from tests.from_text import run_of
from tests.program.order.test_whole_numbers import program_of

ORGANIZATION = """schema = 1
name = "alike"
[kpi.sales]
drivers.skill = 2
[kpi.skill]
[initiative.course]
max = {most}
whole = true
units.level = "person"
uses = {{ hours = 8, cash = 400 }}
effects.skill = 1
[budget.cash]
limit = {cash}
[goal.sales]
target = {target}
[unit.all]
level = "all"
"""
PERSON = """[unit.{name}]
parent = "all"
level = "person"
capacity.hours = {hours}
[cell."{name}/sales"]
baseline = {sales}
max_stretch = 12
effort.hours = 3
[cell."{name}/skill"]
baseline = 4
max_stretch = 2
effort.hours = 10
"""


def people(count: int, seed: int = 4) -> list[str]:
    rng = np.random.default_rng(seed)
    hours, sales = rng.choice([40, 50, 60], count), rng.integers(90, 110, count)
    return [PERSON.format(name=f"p{i:02}", hours=hours[i], sales=sales[i]) for i in range(count)]


def organization(count: int, most: int = 6, courses: float = 1.5) -> str:
    cash = round(courses * count) * 400
    return ORGANIZATION.format(most=most, cash=cash, target=count * 107)


def levels(run: Run) -> dict[str, int]:
    program, x = run.cascade.program, run.solution.x
    return {program.column_name(j): round(x[j]) for j in np.flatnonzero(program.arrays().integer).tolist()}


def targets(run: Run) -> dict[tuple[str, str], float]:
    rows = run.targets.select("unit", "kpi", "target").iter_rows()
    return {(unit, kpi): target for unit, kpi, target in rows}


@pytest.mark.parametrize(("count", "most"), [(10, 6), (30, 6), (30, 3), (30, 10)])
def test_equally_good_choices_are_told_apart_in_few_branchings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, most: int
) -> None:
    monkeypatch.setattr(branching, "NODES", 20 * count)
    run = run_of(tmp_path, organization(count, most) + "".join(people(count)))
    assert all(step.certificate.passed for step in run.solution.steps)
    assert sum(levels(run).values()) > 0


@pytest.mark.parametrize("order", [1, 2])
def test_the_plan_does_not_depend_on_the_order_of_people(tmp_path: Path, order: int) -> None:
    rows = people(24)
    first = run_of(tmp_path, organization(24) + "".join(rows))
    np.random.default_rng(order).shuffle(rows)
    second = run_of(tmp_path, organization(24) + "".join(rows))
    assert levels(first) == levels(second)
    assert targets(first) == targets(second)


def test_a_long_search_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branching, "TOLD", 5)
    (tmp_path / "s.toml").write_text(organization(10) + "".join(people(10)), "utf-8")
    said: list[str] = []
    solve_program(program_of(tmp_path / "s.toml"), SolverOptions(), said.append)
    told = [words for words in said if "branchings over whole numbers" in words]
    assert told
    assert told[-1].startswith("step reference: ")
    assert "at most" in told[-1]
