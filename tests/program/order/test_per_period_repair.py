"""`per_period` of a guardrail in a contradiction: named, and every repair that is told leads to a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import Infeasible

TEXT = """schema = 1
name = "Per period"
[periods]
names = ["1", "2", "3", "4"]
[kpi.sales]
season = [0.1, 0.2, 0.3, 0.4]
[unit.co]
[unit.north]
parent = "co"
capacity.hours = 400
[unit.south]
parent = "co"
[cell."north/sales"]
baseline = 1000
max_stretch = 100
effort.hours = 1
[cell."south/sales"]
baseline = 1000
max_stretch = 100
[goal.first]
kpi = "sales"
period = "1"
target = 230
hard = true
[guardrail.smooth]
per_period = true
"""


def refused(path: Path, text: str) -> Infeasible:
    path.write_text(text, "utf-8")
    with pytest.raises(Infeasible) as caught:
        kpiopt.solve(path, simulate=False)
    return caught.value


@pytest.mark.parametrize(
    "change",
    [
        ("", ""),
        # a lock over the year: it moves its shares along
        ("max_stretch = 100\neffort.hours = 1\n[goal", "lock = 90\n[goal"),
        # hours of the first quarter are as short as the share
        ("capacity.hours = 400", "capacity.hours = 36"),
        # the first period has a largest stretch of its own beside its share
        ("[goal.first]", '[cell."north/sales/1"]\nmax_stretch = 12\n[goal.first]'),
        ("[guardrail.smooth]", "[guardrail.smooth]\nwhere = { unit = \"north\" }"),
        ("target = 230", "target = 235"),
    ],
)  # fmt: skip
def test_repairs_lead_to_plans(tmp_path: Path, change: tuple[str, str]) -> None:
    text = TEXT.replace(*change) if change[0] else TEXT
    path = tmp_path / "scenario.toml"
    if "where" in text:
        text = text.replace("target = 230", "target = 320")
    error = refused(path, text)
    repair, others = error.details["repair"], error.details["alternatives"]
    assert repair["set"] and repair["text"]
    for found in (repair, *others):
        run = kpiopt.solve(kpiopt.load(path, overrides=found["set"]), simulate=False)
        assert run.goals[0].met, found


def test_it_is_named_in_the_contradiction_and_can_be_taken_away(tmp_path: Path) -> None:
    """Each may have a tenth of 100 in the first quarter, 220 in all; 230 take half as much again."""
    error = refused(tmp_path / "scenario.toml", TEXT)
    assert error.details["repair"]["set"] == ["guardrail.smooth.per_period=false"]
    assert {tuple(other["set"]) for other in error.details["alternatives"]} == {
        ('cell."north/sales".max_stretch=150', 'cell."south/sales".max_stretch=150')
    }
    assert set(error.details["conflict"]) == {"goal.first (hard)", "per_period of guardrail.smooth"}


def test_a_stretch_that_its_share_keeps_below_what_is_asked_is_named(tmp_path: Path) -> None:
    """No repair by per_period alone where it is not what stands in the way."""
    text = TEXT.replace("target = 230", "target = 500")
    error = refused(tmp_path / "scenario.toml", text)
    assert error.details["repair"]["set"]
    run = kpiopt.solve(
        kpiopt.load(tmp_path / "scenario.toml", overrides=error.details["repair"]["set"]), simulate=False
    )
    assert run.goals[0].met
