"""Explanations, comparisons, sweeps and actions of plans by period."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import UsageError
from kpiopt.graph import NodeKind
from kpiopt.program.formulation.blocks import LinearProgram
from kpiopt.run.run import Run
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.simulation.intervene import intervene
from kpiopt.studies.explain import explain_target, find_target
from kpiopt.studies.explain_limit import explain_limit
from kpiopt.studies.family import PlanFamily
from kpiopt.studies.sensitivity.study import METHODS, SensitivityQuestion, study_sensitivity
from kpiopt.studies.sweep.point import PointResult
from tests.studies.sensitivity.test_tornado import read, solved_value, tornado_of
from tests.studies.written import written

YEAR = """schema = 1
name = "Two halves"
periods = ["H1", "H2"]
[kpi.sales]
step = 1
season = [0.4, 0.6]
[kpi.quality]
roll_up = "mean"
[kpi.skill]
kind = "stock"
carry = 0.5
[kpi.sales.drivers]
quality = { contribution = 30, lag = 1 }
skill = 2
[kpi.skill.drivers]
sales = { contribution = 0.01, at = "team" }
[goal.sales]
target = 2700
[goal.autumn]
kpi = "sales"
period = "H2"
target = 1700
[unit.co]
[unit.north]
parent = "co"
level = "team"
capacity.hours = 300
[unit.south]
parent = "co"
level = "team"
[cell."north/sales"]
baseline = 1200
max_stretch = 300
effort.hours = 0.5
[cell."south/sales"]
baseline = 800
max_stretch = 300
[cell."north/quality"]
baseline = 60
max_stretch = 4
effort.hours = 2
[cell."south/skill"]
baseline = 70
max_stretch = 4
[initiative.campaign]
units = { level = "team" }
max = 4
uses = { cash = 10 }
runs = { cash = 2 }
effects = { sales = 20 }
[budget.cash]
limit = 30
BUDGET
[capacity.hours]
season = [0.7, 0.3]
[uncertainty]
execution = "0.7 to 1.0"
[simulation]
draws = 256
[variant.lean]
budget.cash.limit = 10
"""


def write(folder: Path, budget: str = "") -> Path:
    path = folder / "scenario.toml"
    path.write_text(YEAR.replace("BUDGET", budget), "utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return kpiopt.solve(kpiopt.load(write(tmp_path_factory.mktemp("year"))), simulate=False)


def test_the_account_of_every_target_adds_up(run: Run) -> None:
    """Of every unit and KPI, in each period and over the horizon, and of what a stock builds up."""
    nodes = np.flatnonzero(np.isin(run.graph.kind, (NodeKind.KPI, NodeKind.BUILT))).tolist()
    assert len(nodes) > 20
    for node in nodes:
        found = explain_target(run.graph, run.plan.stretch, run.plan.levels, node)
        change, asked = found.expected - found.baseline, found.asked - found.baseline
        sums = [
            math.fsum([found.own_expected, *(part.contribution for part in found.parts)]),
            math.fsum(part.contribution for part in found.origins),
        ]
        assert sums == pytest.approx([change, change], rel=1e-9, abs=1e-9), found.name
        told = math.fsum([found.own_asked, *(part.contribution for part in found.asked_parts)])
        assert told == pytest.approx(asked, rel=1e-9, abs=1e-9), found.name


def test_a_period_is_named_behind_the_kpi_and_without_it_the_horizon_is_meant(run: Run) -> None:
    for text, period in (("co/sales", -1), ("co/sales/H2", 1), ("autumn", 1), ("goal.sales", -1)):
        assert run.graph.period[find_target(run.graph, text)] == period
    with pytest.raises(UsageError):
        find_target(run.graph, "co/sales/H3")


def test_the_use_of_every_limit_adds_up(run: Run, tmp_path: Path) -> None:
    by_period = kpiopt.solve(kpiopt.load(write(tmp_path, 'every = "period"')), simulate=False)
    for each in (run, by_period):
        names = {limit.name for limit in each.limits}
        assert {"capacity.hours@north/H1", "capacity.hours@north/H2"} < names
        for entry in each.as_dict()["limits"]:
            found = explain_limit(each.graph, each.plan.stretch, each.plan.levels, entry)
            assert math.fsum(use.amount for use in found.uses) == pytest.approx(entry["used"], abs=1e-9), entry["name"]


def test_a_comparison_says_what_moved_and_when(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = kpiopt.compare(path, f"{path}:lean")
    comparison = found.others[0]
    assert {move.period for move in comparison.targets} >= {None, "H1", "H2"}
    assert {level.start for level in comparison.initiatives} <= {"H1", "H2"}
    assert comparison.initiatives
    assert [(bridge.kpi, bridge.period) for bridge in comparison.bridges] == [("sales", None), ("sales", "H2")]
    for bridge in comparison.bridges:
        moved = math.fsum(part.amount for part in bridge.parts)
        assert moved == pytest.approx(bridge.second - bridge.first, abs=1e-6), bridge.period


@pytest.mark.parametrize("budget", ["", 'every = "period"'])
def test_a_moved_limit_is_as_if_it_had_been_written(tmp_path: Path, budget: str) -> None:
    base = kpiopt.load(write(tmp_path, budget))
    family = PlanFamily(base)
    assert family.base.solution is not None
    cash = replace(base.budgets["cash"], limit=12.0)
    hours = replace(base.units, capacity={"hours": base.units.capacity["hours"] * 0.2})
    other = replace(base, budgets={"cash": cash}, units=hours)
    found = family.plan(family.pose(other))
    text = YEAR.replace("BUDGET", budget).replace("limit = 30", "limit = 12").replace("hours = 300", "hours = 60")
    path = tmp_path / "other.toml"
    path.write_text(text, "utf-8")
    want = kpiopt.solve(kpiopt.load(path), simulate=False)
    assert found.plan.stretch == pytest.approx(want.plan.stretch, abs=1e-5)
    assert found.target.tolist() == pytest.approx(want.plan.target.tolist(), nan_ok=True)


def _program_differs(first: LinearProgram, second: LinearProgram) -> bool:
    a, b = first.arrays(), second.arrays()
    same = a.matrix.shape == b.matrix.shape and abs(a.matrix - b.matrix).max() == 0.0
    sides = ("row_lower", "row_upper", "column_lower", "column_upper")
    same &= all(np.array_equal(getattr(a, s), getattr(b, s)) for s in sides)
    assert first.reference is not None
    assert second.reference is not None
    same &= np.array_equal(first.reference.weight, second.reference.weight)
    return not same


def test_every_number_of_cells_that_is_moved_gives_the_program_that_its_file_gives(tmp_path: Path) -> None:
    """What is said about the horizon is moved, and its periods follow: the program of a file with that value."""
    path = write(tmp_path)
    inputs = Inputs(kpiopt.load(path))
    moved = {name: number.value for name, number in inputs.single.items() if name.startswith("cell.")}
    assert {name.rpartition(".")[2] for name in moved} == {"baseline", "max_stretch", "hours"}
    family = PlanFamily(inputs.scenario)
    for name, value in moved.items():
        other = round(value * 1.25, 6)
        posed = family.pose(inputs.at(name, other)).program
        quoted = ".".join(f'"{part}"' if "/" in part else part for part in name.split("."))
        want = PlanFamily(kpiopt.load(path, overrides=[f"{quoted}={other}"])).cascade.program
        assert not _program_differs(posed, want), name
        assert _program_differs(posed, family.cascade.program), name


def test_a_factor_on_all_cells_is_that_on_each(tmp_path: Path) -> None:
    path = write(tmp_path)
    inputs = Inputs(kpiopt.load(path))
    found = inputs.at("cells.sales.baseline", 1.5)
    assert found.horizon.baseline.tolist() == [1800.0, 60.0, 1200.0, 70.0]
    assert found.cells.baseline[found.cells.kpi == 0].tolist() == pytest.approx([720.0, 1080.0, 480.0, 720.0])


def test_a_sweep_over_numbers_of_cells_is_as_if_each_had_been_written(tmp_path: Path) -> None:
    file = write(tmp_path)
    axes = ['cell."north/sales".baseline=1200,1100', 'cell."north/sales".effort.hours=0.5,1.5']
    sweep = kpiopt.sweep(file, axes, simulate=False)
    assert len(sweep.results) == 4
    for point in sweep.results:
        assert isinstance(point, PointResult)
        overrides = [f"{path}={value}" for path, value in point.point.values]
        want = kpiopt.solve(kpiopt.load(file, overrides=overrides), simulate=False)
        assert [g.plan for g in point.goals] == pytest.approx([g.plan for g in want.goals], rel=1e-7)
        worst = next(step.value for step in want.solution.steps if step.name == "fairness")
        assert point.largest_stretch == pytest.approx(worst, rel=1e-6)


def test_every_end_of_the_tornado_is_what_solving_it_gives(tmp_path: Path) -> None:
    path = write(tmp_path)
    scenario = read(path)
    found = tornado_of(path, "shortfall:autumn")
    compared = 0
    for bar in found.bars:
        for end in (bar.low, bar.high):
            if end.replanned is not None:
                other = read(path, *written(scenario, bar.move.path, end.input_value))
                assert end.replanned.estimate == pytest.approx(solved_value(found.outcome, other), rel=1e-7, abs=1e-7)
                compared += 1
    assert compared >= 20
    assert {bar.move.path for bar in found.bars} >= {"cells.sales.baseline", "cells.max_stretch", "cells.effort.hours"}


def test_sensitivity_answers_every_question_about_a_plan_by_period(tmp_path: Path) -> None:
    path = write(tmp_path)
    scenario = read(path)
    question = SensitivityQuestion(
        methods=METHODS, slack=0.05, information=True, break_even=('cell."north/sales".baseline',), ends=(800.0, 1600.0)
    )
    found = study_sensitivity(scenario, question, lambda further: read(path, *further))
    assert found.not_done == ()
    assert found.alternatives is not None
    ranges = {r.name: r for r in found.alternatives.ranges}
    targets = found.planned.plan.asked
    for name, each in ranges.items():
        if "@" not in name:
            node = find_target(found.planned.graph, name)
            assert each.now == pytest.approx(targets[node], rel=1e-9), name
            assert each.low <= each.now <= each.high
    assert {"north/sales/H1", "south/skill/H2"} <= set(ranges)


def test_an_action_is_taken_in_a_period(run: Run) -> None:
    parts = run.graph, run.plan.stretch, run.plan.levels, run.plan.target
    found = intervene(*parts, do=["sales@south/H1+=10"])
    change = {entry.name: entry.change.estimate for entry in found.changes}
    # half of the 0.1 points of skill is still there in H2; one point is worth 2 x the season there, at the root
    assert change["co/sales/H1"] == pytest.approx(10.0 + 0.1 * 2 * 0.4)
    assert change["co/sales/H2"] == pytest.approx(0.05 * 2 * 0.6)
    assert change["co/sales"] == pytest.approx(10.0 + 0.1 * 2 * 0.4 + 0.05 * 2 * 0.6)
    more = intervene(*parts, act=["campaign@south/H2=4"])
    level = run.plan.levels[(run.graph.level_start == 1) & (run.graph.level_unit == 2)][0]
    assert {e.name: e.change.estimate for e in more.changes}["co/sales/H1"] == pytest.approx(0.0)
    assert {e.name: e.change.estimate for e in more.changes}["co/sales/H2"] > 20 * 0.6 * (4 - level) - 1e-9
    for wrong in (["sales=10"], ["sales/H3=1"]):
        with pytest.raises(UsageError):
            intervene(*parts, do=wrong)
