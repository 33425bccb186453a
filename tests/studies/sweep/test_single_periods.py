"""Rows of single periods as axes of a sweep, and as numbers that a study moves."""

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import UsageError
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.studies.sweep.axes import read_axes
from tests.studies.sensitivity.test_tornado import read

TEXT = """schema = 1
name = "m"
TABLES
[periods]
names = ["p1", "p2", "p3.5"]
[kpi.sales]
[unit.co]
[unit.a]
parent = "co"
[goal.first]
kpi = "sales"
period = "p1"
target = 60
[goal.last]
kpi = "sales"
period = "p3.5"
target = 60
"""
ROWS = """[cell."a/sales"]
baseline = 90
max_stretch = 30
[cell."a/sales/p1"]
baseline = 20
max_stretch = 5
[cell."a/sales/p3.5"]
lock = 3
lock_reason = "r"
"""
TABLE = (
    "unit,kpi,period,baseline,max_stretch,lock,lock_reason\na,sales,,90,30,,\na,sales,p1,20,5,,\na,sales,p3.5,,,3,r\n"
)
MAX, LOCK, BASE = 'cell."a/sales/p1".max_stretch', 'cell."a/sales/p3.5".lock', 'cell."a/sales/p1".baseline'


@pytest.fixture(params=["toml", "csv"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    scenario, is_table = tmp_path / "s.toml", request.param == "csv"
    (tmp_path / "cells.csv").write_text(TABLE, "utf-8")
    tables = 'tables.cells = "cells.csv"' if is_table else ""
    scenario.write_text(TEXT.replace("TABLES", tables) + ("" if is_table else ROWS), "utf-8")
    return scenario


@pytest.mark.parametrize(
    ("axis", "values", "right"),
    [
        (MAX, (2, 5), [(22, 38), (25, 38)]),
        (LOCK, (0, 12), [(25, 35), (25, 47)]),
        (BASE, (20, 26), [(25, 38), (31, 35)]),
    ],
)
def test_a_row_of_a_period_is_swept(path: Path, axis: str, values: tuple[int, int], right: list[tuple[int]]) -> None:
    """The first period has its baseline and its range, the last half of what that leaves of 90 and its lock."""
    frame = kpiopt.sweep(path, f"{axis}={values[0]},{values[1]}", simulate=False).frame
    assert frame[axis].to_list() == list(values)
    for row, (first, last) in zip(frame.iter_rows(named=True), right, strict=True):
        assert (row["goal.first.plan"], row["goal.last.plan"]) == pytest.approx((first, last))
        run = kpiopt.solve(kpiopt.load(path, overrides=[f"{axis}={row[axis]}"]), simulate=False)
        assert [goal.plan for goal in run.goals] == pytest.approx([first, last])


def test_the_files_own_axes_name_them_too(path: Path) -> None:
    path.write_text(path.read_text("utf-8") + f"[sweep]\n'{MAX}' = [2, 3]\n", "utf-8")
    assert not kpiopt.check(path).errors
    assert [axis.path for axis in read_axes(kpiopt.load(path))] == [MAX]


def test_a_period_without_a_row_has_nothing_to_sweep(path: Path) -> None:
    scenario = kpiopt.load(path)
    for name in ("a/sales/p2", "a/sales/p9"):
        with pytest.raises(UsageError, match=f"there is no cell '{name}'"):
            read_axes(scenario, [f'cell."{name}".lock=1,2'])


def test_a_study_moves_them_when_they_are_named(path: Path) -> None:
    inputs = Inputs(read(path), lambda further: read(path, *further))
    values = {name: inputs.value(name) for name in (MAX, LOCK, BASE)}
    assert values == {MAX: 5, LOCK: 3, BASE: 20}
    assert inputs.value(MAX.replace('"', "")) == 5
    assert not {MAX, LOCK, BASE} & inputs.plain.keys()
    moved = inputs.at(BASE, 26).cells.baseline
    assert moved.tolist() == pytest.approx([26, 32, 32])
    assert inputs.at(MAX, 7).cells.max_stretch.tolist()[0] == 7
    assert 'cell."a/sales/p2".baseline' not in inputs.single
