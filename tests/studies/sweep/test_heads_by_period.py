"""A head count as an axis of a sweep of a plan by period: ramp, start and attrition follow it, period by period."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt

HIRES = """schema = 1
name = "New hires"
[periods]
names = ["2027-Q1", "2027-Q2"]
[kpi.calls]
step = 1
season = [0.4, 0.6]
[goal.calls]
target = 5000
[unit.co]
[unit.old]
parent = "co"
head_count = 2
[unit.new]
parent = "co"
head_count = 1
start = "2027-Q2"
level = "new"
[cell."old/calls"]
baseline = 1000
max_stretch = 3000
effort.hours = 1
[cell."new/calls"]
baseline = 0
max_stretch = 3000
effort.hours = 1
[capacity.hours]
per_head = 100
season = [0.4, 0.6]
attrition = 0.1
[ramp.first]
where = { level = "new" }
months = [0.3, 0.6, 0.9]
[sweep]
AXIS
"""


@pytest.mark.parametrize("in_table", [False, True])
def test_heads_move_the_capacity_of_each_period(tmp_path: Path, in_table: bool) -> None:
    """Old: h x 100 x (0.4, 0.6 x 0.9); new: h x 100 x (0, 0.6 x mean ramp 0.6). All hours are worked."""
    path, text = tmp_path / "scenario.toml", HIRES
    if in_table:
        head, _, rest = text.partition("[unit.co]\n")
        text = head + '[tables]\nunits = "units.csv"\n' + rest[rest.index("[cell.") :]
        table = "unit,parent,head_count,start,level\nco,,,,\nold,co,2,,\nnew,co,1,2027-Q2,new\n"
        (tmp_path / "units.csv").write_text(table, "utf-8")
    axes = '"unit.old.head_count" = [1, 2, 3.5]\n"unit.new.head_count" = [0, 4]\n'
    path.write_text(text.replace("AXIS", axes), "utf-8")
    frame = kpiopt.sweep(path, simulate=False).frame
    assert len(frame) == 6
    for old, new, plan in frame.select("unit.old.head_count", "unit.new.head_count", "goal.calls.plan").iter_rows():
        want = 1000 + old * 100 * (0.4 + 0.6 * 0.9) + new * 100 * 0.6 * 0.6
        assert plan == pytest.approx(want, rel=1e-9)
    scenario = kpiopt.load(path, overrides=["unit.new.head_count=4", "unit.old.head_count=3.5"])
    run = kpiopt.solve(scenario, simulate=False)
    used = {limit.name: limit.limit for limit in run.limits}
    assert used["capacity.hours@new/2027-Q2"] == pytest.approx(144.0)
    assert used["capacity.hours@old/2027-Q1"] == pytest.approx(140.0)
    assert np.isclose(used["capacity.hours@old/2027-Q2"], 189.0)
