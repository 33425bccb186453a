"""Locks of single periods take the year of a peer below 0: what is compared is then below 0 as well, solved by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kpiopt
from kpiopt.run.run import Run
from tests.from_text import run_of

HEAD = """schema = 1
name = "peers"
currency = "USD"
[periods]
names = ["q1", "q2"]
[kpi.s]
[goal.s]
target = TARGET
[unit.co]
"""
UNIT = """[unit.{0}]
parent = "co"
level = "t"
{2}
[cell."{0}/s"]
baseline = 100
max_stretch = 50
{1}
"""
LOCK = '[cell."{0}/s/q1"]\nlock = {1}\nlock_reason = "agreed"\n'


def solved(folder: Path, units: dict[str, str], more: str, target: float, holds: dict[str, str] | None = None) -> Run:
    text = HEAD.replace("TARGET", str(target))
    text += "".join(
        UNIT.format(name, fields if "pay_rate" in fields else f"pay_rate = 1\n{fields}", (holds or {}).get(name, ""))
        for name, fields in units.items()
    )
    run = run_of(folder, text + more)
    assert all(check.passed for check in kpiopt.verify(run))
    return run


def year(run: Run) -> list[float]:
    return list(run.plan.whole_stretch.tolist())


def steps(run: Run) -> dict[str, float]:
    return {step.label: step.value for step in run.solution.steps}


def group(run: Run) -> dict[str, Any]:
    (found,) = run.as_dict()["fairness"]["groups"]
    return dict(found)


@pytest.mark.parametrize("fair", ["", "[fairness]\nband = 0.01\n", "[fairness]\nleximin = true\n"])
def test_all_peers_below_zero(tmp_path: Path, fair: str) -> None:
    """Both give up 3 of 100 and the goal asks for nothing: the one who is asked most is asked for -3 %, at no cost."""
    run = solved(tmp_path, {"a": "", "b": ""}, LOCK.format("a", -3) + LOCK.format("b", -3) + fair, 190)
    assert year(run) == pytest.approx([-3, -3])
    assert steps(run)["fairness 1" if "leximin" in fair else "fairness"] == pytest.approx(-0.03)
    assert steps(run)["cost"] == pytest.approx(0, abs=1e-9)
    assert (group(run)["largest"], group(run)["mean"]) == pytest.approx((-0.03, -0.03))


def test_a_band_around_a_mean_below_zero(tmp_path: Path) -> None:
    """a gives up 3 and must come within 2 of b, who gives nothing: 1 is enough, and the mean is -1 %."""
    run = solved(tmp_path, {"a": "", "b": ""}, LOCK.format("a", -3) + "[fairness]\nband = 0.01\n", 190)
    assert year(run) == pytest.approx([-2, 0], abs=1e-6)
    assert steps(run)["cost"] == pytest.approx(1)
    assert group(run)["mean"] == pytest.approx(-0.01)


def test_a_guardrail_beside_a_mean_below_zero(tmp_path: Path) -> None:
    """a and b give up 3, c nothing: c may have half of their common mean of -2 % at the least, and has more."""
    rail = '[guardrail.near]\nwhere = { unit = "c" }\nleast = 0.5\n'
    run = solved(tmp_path, {"a": "", "b": "", "c": ""}, LOCK.format("a", -3) + LOCK.format("b", -3) + rail, 190)
    assert year(run) == pytest.approx([-3, -3, 0], abs=1e-6)


def test_leximin_sums_what_is_below_zero(tmp_path: Path) -> None:
    """b must give 5, c gives nothing, a gave up 3: the three come to 2 %, although last year would have a at 0."""
    more = LOCK.format("a", -3) + '[cell."a/s/q2"]\nreference = 53\n[fairness]\nleximin = true\n'
    run = solved(tmp_path, {"a": "pay_rate = 0", "b": "min_stretch = 5", "c": ""}, more, 290)
    assert [v for label, v in steps(run).items() if "fair" in label] == pytest.approx([0.05, 0.05, 0.02])
    assert year(run) == pytest.approx([-3, 5, 0], abs=1e-6)


@pytest.mark.parametrize(("lock", "free"), [(2, 18), (-3, 23)])
def test_load_leaves_out_what_single_periods_lock(tmp_path: Path, lock: float, free: float) -> None:
    """What locks leave of 20 is shared by 10 and 40 hours: a fifth and four fifths of it."""
    hours = "effort.hours = 1"
    more = LOCK.format("a", lock) + '[fairness]\nmeasure = "load"\n'
    holds = {"a": "capacity.hours = 10", "b": "capacity.hours = 40"}
    run = solved(tmp_path, {"a": hours, "b": hours}, more, 220, holds)
    assert year(run) == pytest.approx([lock + free / 5, 4 * free / 5])
    assert steps(run)["fairness"] == pytest.approx(free / 50)
