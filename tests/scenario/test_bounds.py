"""Figures that only rounding keeps apart are equal, wherever bounds of the file are compared."""

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import ModelError
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.scenario.bounds import ROUNDING, closed, is_above
from kpiopt.scenario.load import check_scenario

CELL = """
schema = 1
name = "bounds"
[kpi.sales]
step = 1
baseline = {root}
[unit.co]
{unit}
[cell."co/sales"]
baseline = 100
{cell}
[guardrail.all]
growth = [{low}, 0.5]
[goal.sales]
target = {target}
{more}
"""
USUAL = {"root": 100, "unit": "", "cell": "max_stretch = 7", "low": 0.0, "target": 900, "more": ""}


def read(tmp_path, **parts):
    path = tmp_path / "s.toml"
    path.write_text(CELL.format(**{**USUAL, **parts}), "utf-8")
    return kpiopt.load(path)


@pytest.mark.parametrize(
    ("value", "bound", "above"),
    [
        (0.07 * 100, 7.0, False),
        (7.0, 0.07 * 100, False),
        (7.00001, 7.0, True),
        (7.0 * (1 + 0.9 * ROUNDING), 7.0, False),
        (7.0 * (1 + 1.1 * ROUNDING), 7.0, True),
        (-7.0, -7.0 * (1 + 1.1 * ROUNDING), True),
        (-7.0, -7.0 * (1 + 0.9 * ROUNDING), False),
        (1e-300, 0.0, True),
        (0.0, 0.0, False),
        (float("nan"), 0.0, False),
        (1.0, float("nan"), False),
    ],
)
def test_above_means_by_more_than_rounding(value, bound, above):
    assert bool(is_above(value, bound)) is above


def test_boxes_that_rounding_keeps_open_or_inside_out_are_points():
    lower = np.array([0.07 * 100, 7.0, 0.0, 1.0, np.nan, 3.0, 0.0])
    upper = np.array([7.0, 0.07 * 100, 0.0, 2.0, 5.0, np.nan, 1e-300])
    low, high = closed(lower, upper)
    assert low.tolist() == pytest.approx([7.0, 7.0, 0.0, 1.0, np.nan, 3.0, 0.0], rel=0, nan_ok=True)
    assert high.tolist() == pytest.approx([7.0, 7.0, 0.0, 2.0, 5.0, np.nan, 1e-300], rel=0, nan_ok=True)


def test_crossed_boxes_stay_crossed_for_the_check():
    assert [ends.tolist() for ends in closed(np.array([8.0]), np.array([7.0]))] == [[8.0], [7.0]]


@pytest.mark.parametrize(
    "cell", ["max_stretch = 7", "max_stretch = 7\nlock = 7", "max_stretch = 7\nmin_stretch = 7.0000000000001"]
)
def test_a_least_stretch_in_percent_may_meet_the_largest(tmp_path, cell):
    scenario = read(tmp_path, low=0.07, cell=cell)
    assert scenario.cells.min_stretch.tolist() == scenario.cells.max_stretch.tolist() == [7.0]
    program = build_cascade(build_graph(scenario)).program
    for block in ("stretch", "change"):
        assert program.column_block(block).lower.tolist() == program.column_block(block).upper.tolist() == [7.0]


@pytest.mark.parametrize("cell", ["max_stretch = 6.9999", "max_stretch = 5\nmin_stretch = 6"])
def test_what_is_beyond_rounding_is_said(tmp_path, cell):
    with pytest.raises(ModelError) as error:
        read(tmp_path, low=0.07, cell=cell)
    assert [problem.code for problem in error.value.problems] == ["E-min-above-max"]


@pytest.mark.parametrize(("lock", "capacity", "warned"), [(0.7, 0.07, False), (0.7, 0.0699999, True)])
def test_limits_are_compared_by_the_same_rule(tmp_path, lock, capacity, warned):
    cell = f"lock = {lock}\neffort.h = 0.1"
    scenario = read(tmp_path, unit=f"capacity.h = {capacity}", cell=cell)
    assert ("W-infeasible-capacity" in {p.code for p in scenario.warnings}) is warned


def test_a_goal_at_the_baseline_is_not_said_to_be_met_already(tmp_path):
    codes = [{p.code for p in read(tmp_path, target=t).warnings} for t in (100.00000000000001, 99.0)]
    assert ["N-goal-met" in found for found in codes] == [False, True]


def test_a_goal_at_the_baseline_has_the_target_for_its_scale(tmp_path):
    scenario = read(tmp_path, target=100.00000000000001)
    objective = build_cascade(build_graph(scenario)).program.objectives[0]
    assert objective.cost.max() == pytest.approx(0.01)


@pytest.mark.parametrize(("most", "whole"), [("28.999999999999996", 29.0), ("28.9", 28.0)])
def test_a_most_of_whole_numbers_that_rounding_keeps_below_is_met(tmp_path, most, whole):
    more = f"""[initiative.i]
max = {most}
whole = true
uses = {{ cash = 1 }}
effects = {{ sales = 1 }}
[budget.cash]
limit = 100"""
    program = build_cascade(build_graph(read(tmp_path, more=more))).program
    assert program.column_block("level").upper.tolist() == [whole]


NOISY = 0.07 * 100  # 7.000000000000001


@pytest.mark.parametrize(
    "text",
    [
        f"[kpi.k]\nstep = 1\nmin = 0\nmax = 7\n[unit.co]\n[cell.'co/k']\nbaseline = {NOISY!r}\n"
        f"[goal.k]\ntarget = {NOISY!r}\n",
        "[kpi.k]\nstep = 1\n[unit.co]\n[unit.a]\nparent = 'co'\n[cell.'a/k']\nbaseline = 1\nmax_stretch = 9\n"
        f"[cell.'co/k']\nmin_stretch = {NOISY!r}\nmax_stretch = 7\n[goal.k]\ntarget = 8\n",
    ],
)
def test_rounding_noise_is_no_news_at_the_bounds_of_a_kpi_or_a_total(tmp_path, text):
    (tmp_path / "s.toml").write_text(f"schema = 1\nname = 'noise'\n{text}")
    _, found, _ = check_scenario(tmp_path / "s.toml")
    assert not {problem.code for problem in found} & {"W-bound", "W-goal-bound", "E-min-above-max"}
    assert kpiopt.solve(tmp_path / "s.toml", simulate=False).goals[0].shortfall == pytest.approx(0.0, abs=1e-9)
