"""The stretch of a locked target is what effects leave of it, below 0 too; what is not followed is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import Infeasible

SCENARIO = """
schema = 1
name = "locked"
[kpi.sales]
step = 1
[kpi.image]
step = 1
baseline = 10
[unit.root]
[unit.a]
parent = "root"
[unit.b]
parent = "root"
[cell."a/sales"]
baseline = 100
lock_target = LOCK
max_stretch = 20
EXTRA
[cell."b/sales"]
baseline = 100
max_stretch = 20
[goal.sales]
target = 205
[goal.image]
target = 20
[initiative.ads]
units = ["a"]
max = 1
uses = { cash = 1 }
effects = { sales = 5, image = 10 }
[budget.cash]
limit = 10
[budget.pay]
limit = 100
"""


def solved(folder: Path, lock: float, extra: str = "") -> kpiopt.Run:
    path = folder / "locked.toml"
    path.write_text(SCENARIO.replace("LOCK", str(lock)).replace("EXTRA", extra))
    return kpiopt.solve(path, simulate=False)


@pytest.mark.parametrize("lock", [102, 104.5, 100, 95, 107])
def test_stretch_of_a_locked_target_may_lie_below_0(tmp_path: Path, lock: float) -> None:
    """Both goals are met with ads at 1, which bring 5 to a; a's stretch is what is left of the lock."""
    run = solved(tmp_path, lock)
    assert run.plan.levels.tolist() == pytest.approx([1.0])
    assert run.plan.stretch.tolist() == pytest.approx([lock - 105.0, max(105.0 - lock, 0.0)], abs=1e-7)
    assert not [note for note in run.plan.notes if note.code == "W-lock-target-held"]


@pytest.mark.parametrize("extra", ["pay_rate = 2", "effort = { cash = 1 }", "execution = 0.5"])
def test_where_pay_or_effort_keep_it_at_0_the_plan_says_so(tmp_path: Path, extra: str) -> None:
    run = solved(tmp_path, 102, extra)
    assert run.plan.stretch[0] >= -1e-9
    assert [note.code for note in run.plan.notes] == ["W-lock-target-held"]
    assert not solved(tmp_path, 106, extra).plan.notes


def test_where_that_leaves_no_plan_the_diagnosis_says_so_too(tmp_path: Path) -> None:
    """Image needs ads at 1, which bring 5 to a: without stretch below 0 the lock of 102 allows 0.4 of them."""
    hard = 'weight = 1\n[goal.must]\nkpi = "image"\ntarget = 20\nhard = true\n'
    path = tmp_path / "locked.toml"
    path.write_text(
        SCENARIO.replace("LOCK", "102")
        .replace("EXTRA", "pay_rate = 2")
        .replace("target = 205", f"target = 205\n{hard}")
    )
    with pytest.raises(Infeasible) as caught:
        kpiopt.solve(path, simulate=False)
    told = [p for p in caught.value.problems if p.code == "W-lock-target-held"]
    assert len(told) == 1 and "a/sales is locked at 102" in told[0].message and "`lock`" in told[0].fix
    path.write_text(path.read_text().replace("pay_rate = 2", ""))
    assert kpiopt.solve(path, simulate=False).plan.levels.tolist() == pytest.approx([1.0])
