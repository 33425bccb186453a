"""Capacity as people know it, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import Infeasible, KpioptError
from kpiopt.run.run import Run

TEAM = """
schema = 1
name = "people"
{periods}
[kpi.out]
{kpi}
[unit.co]
[unit.a]
parent = "co"
level = "team"
head_count = 4
{unit}
[cell."a/out"]
baseline = 100
max_stretch = 1000
effort.hours = 10
[goal.out]
target = 10000
[capacity.hours]
per_head = 1500
{capacity}
{more}
"""


def write(tmp_path: Path, **parts: str) -> Path:
    path, empty = tmp_path / "s.toml", dict.fromkeys(("periods", "kpi", "unit", "capacity", "more"), "")
    path.write_text(TEAM.format(**{**empty, **parts}), "utf-8")
    return path


def limits(tmp_path: Path, **parts: str) -> list[float]:
    run: Run = kpiopt.solve(kpiopt.load(write(tmp_path, **parts)), simulate=False)
    return [limit.limit for limit in run.limits]


QUARTERS = '[periods]\nnames = ["2027-Q1", "2027-Q2", "2027-Q3", "2027-Q4"]'
NEW = '[ramp.new]\nwhere = { level = "team" }\nmonths = [0.2, 0.5, 0.8, 1.0]'


def test_heads_times_availability_times_hours(tmp_path: Path) -> None:
    assert limits(tmp_path) == [6000.0]
    assert limits(tmp_path, unit="availability = 0.8") == [pytest.approx(4800.0)]
    assert limits(tmp_path, capacity="scale = 0.5") == [3000.0]


def test_an_amount_of_its_own_counts_before_heads(tmp_path: Path) -> None:
    assert limits(tmp_path, unit="capacity.hours = 77") == [77.0]


def test_without_periods_a_ramp_takes_its_mean_over_a_year(tmp_path: Path) -> None:
    """0.2, 0.5, 0.8, then nine full months of twelve."""
    assert limits(tmp_path, more=NEW) == [pytest.approx(6000.0 * 10.5 / 12)]


def test_by_quarter_with_start_ramp_and_season(tmp_path: Path) -> None:
    """They start in Q2 with half of a quarter's work (0.2, 0.5, 0.8), and are full from Q3 on."""
    found = limits(
        tmp_path, periods=QUARTERS, unit='start = "2027-Q2"', capacity="season = [0.1, 0.2, 0.3, 0.4]", more=NEW
    )
    assert found == pytest.approx([0.0, 6000 * 0.2 * 0.5, 6000 * 0.3, 6000 * 0.4])


def test_by_month_the_ramp_is_what_is_written(tmp_path: Path) -> None:
    months = '[periods]\nnames = { from = "2027-01", every = "month", count = 6 }'
    found = limits(tmp_path, periods=months, unit='start = "2027-02"', more=NEW)
    assert found == pytest.approx([1000 * share for share in (0.0, 0.2, 0.5, 0.8, 1.0, 1.0)])


def test_who_leaves_is_missing_from_the_next_period_on(tmp_path: Path) -> None:
    found = limits(tmp_path, periods=QUARTERS, capacity="attrition = 0.1")
    assert found == pytest.approx([1500.0, 1500 * 0.9, 1500 * 0.81, 1500 * 0.729])


def test_one_year_as_the_only_period_is_no_periods(tmp_path: Path) -> None:
    year = '[periods]\nnames = ["2027"]'
    assert limits(tmp_path, periods=year, more=NEW) == pytest.approx(limits(tmp_path, more=NEW))


def test_the_plan_keeps_the_capacity_of_every_period(tmp_path: Path) -> None:
    """10 hours for one more: what the quarters have is what is asked in them, rounded to whole ones."""
    path = write(tmp_path, periods=QUARTERS, kpi="step = 1", unit='start = "2027-Q2"', more=NEW)
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    assert run.plan.stretch.tolist() == pytest.approx([0.0, 75.0, 150.0, 150.0], abs=1e-6)
    assert np.all(run.plan.rounded_stretch * 10 <= np.array([0.0, 750.0, 1500.0, 1500.0]) + 1e-6)


def test_a_repair_is_said_in_heads(tmp_path: Path) -> None:
    """50 more need 500 hours; with 0.2 heads there are 300, so a third of a head is wanted."""
    path = write(tmp_path, more="[goal.hard]\nkpi = 'out'\ntarget = 150\nhard = true")
    path.write_text(path.read_text("utf-8").replace("head_count = 4", "head_count = 0.2"), "utf-8")
    with pytest.raises(Infeasible) as caught:
        kpiopt.solve(kpiopt.load(path), simulate=False)
    assert "heads instead of 0.2" in str(caught.value.problems[0]) + str(caught.value.details)
    assert "head_count=0.333" in str(caught.value.details)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"unit": 'start = "2027-Q2"'}, "E-people"),
        ({"periods": QUARTERS, "unit": 'start = "2027-Q9"'}, "E-people"),
        ({"unit": "availability = 1.5"}, "E-value"),
        ({"periods": '[periods]\nnames = ["early", "late"]', "more": NEW}, "E-ramp"),
        ({"more": NEW.replace("team", "squad")}, "E-unknown-level"),
        ({"more": "[capacity.days]\nper_head = 200\n[unit.b]\nparent = 'co'\n"}, ""),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, parts: dict[str, str], code: str) -> None:
    path = write(tmp_path, **parts)
    if not code:
        assert "W-no-effect" in {problem.code for problem in kpiopt.load(path).warnings}  # nobody uses days
        return
    with pytest.raises(KpioptError) as caught:
        kpiopt.load(path)
    assert code in {problem.code for problem in caught.value.problems}


def test_heads_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text("unit,parent,head_count,availability\nco,,,\na,co,3,0.5\nb,co,2,\n", "utf-8")
    path = tmp_path / "t.toml"
    path.write_text(
        'schema = 1\nname = "t"\n[kpi.out]\n[capacity.hours]\nper_head = 100\n[tables]\nunits = "units.csv"\n'
        '[cell."a/out"]\nbaseline = 1\nmax_stretch = 9\neffort.hours = 1\n', "utf-8"
    )  # fmt: skip
    capacity = kpiopt.load(path).units.capacity["hours"]
    assert capacity.tolist() == pytest.approx([np.nan, 150.0, 200.0], nan_ok=True)


def told(tmp_path: Path, head: str, capacity: str) -> list[str]:
    text = TEAM.replace("head_count = 4", head).replace("per_head = 1500", capacity)
    path = tmp_path / "s.toml"
    path.write_text(text.format(periods=QUARTERS, kpi="", unit="", capacity="", more=""), "utf-8")
    return [problem.message for problem in kpiopt.load(path).warnings if problem.code == "W-no-effect"]


@pytest.mark.parametrize(
    ("head", "capacity", "message"),
    [
        ('start = "2027-Q2"\ncapacity.hours = 40', "scale = 1", "has start, but no capacity counts people"),
        ('start = "2027-Q2"\ncapacity.hours = 40', "season = [0.1, 0.2, 0.3, 0.4]", "has start, but no capacity"),
        ('start = "2027-Q2"\ncapacity.hours = 40', "per_head = 20", "has start, but no head_count"),
        ('head_count = 2\nstart = "2027-Q2"\ncapacity.hours = 40', "scale = 1", "has head_count and start, but no cap"),
        ('head_count = 2\nstart = "2027-Q2"\ncapacity.hours = 40', "per_head = 20", "of its own count before it"),
        ("availability = 0.5\ncapacity.hours = 40", "scale = 1", "has availability, but no capacity counts people"),
        (
            'head_count = 2\nstart = "2027-Q2"\ncapacity.hours = 40\n[capacity.calls]\nper_head = 5',
            "scale = 1",
            "the start of unit 'a' does not change its hours",
        ),
    ],
)
def test_what_changes_no_capacity_is_always_told(head: str, capacity: str, message: str, tmp_path: Path) -> None:
    found = told(tmp_path, head, capacity)
    assert any(message in each for each in found), found
