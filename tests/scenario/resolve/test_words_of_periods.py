"""What is said about wrong rows of single periods: figures that are there, English, and one fault told once."""

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import InputError

TEXT = """schema = 1
name = "m"
periods = ["p1", "p2"]
[kpi.sales]
[kpi.rate]
roll_up = "none"
kind = "rate"
[unit.co]
[unit.a]
parent = "co"
[cell."a/sales"]
baseline = 100
RANGE
[cell."a/rate"]
baseline = 3
[goal.sales]
target = 200
"""


def told(tmp_path: Path, rows: str, range_: str = "max_stretch = 20") -> dict[str, str]:
    path = tmp_path / "s.toml"
    path.write_text(TEXT.replace("RANGE", range_) + rows, "utf-8")
    found = kpiopt.check(path)
    return {problem.code: problem.message for problem in (*found.errors, *found.warnings)}


@pytest.mark.parametrize(
    ("range_", "rows", "figures"),
    [
        ("max_stretch = 20", "min_stretch = 30", "at least 30 together, at most 20 over the horizon"),
        ("min_stretch = 20\nmax_stretch = 40", "max_stretch = 5", "at most 10 together, at least 20 over the horizon"),
    ],
)
def test_a_clash_of_ranges_has_the_two_figures_that_clash(tmp_path: Path, range_: str, rows: str, figures: str) -> None:
    both = "".join(f'[cell."a/sales/p{t}"]\n{rows}\n' for t in ((1,) if "min" in rows else (1, 2)))
    message = told(tmp_path, both, range_)["E-min-above-max"]
    assert message.endswith(figures)
    assert "nan" not in message
    assert "inf" not in message


@pytest.mark.parametrize("field", ["effort.hours", "execution", "size"])
def test_what_is_about_the_horizon_is_named_in_english(tmp_path: Path, field: str) -> None:
    message = told(tmp_path, f'[cell."a/sales/p1"]\n{field} = 1\n')["E-period-field"]
    assert message == f"a/sales/p1 has its own {field}"


@pytest.mark.parametrize(
    "row", ["baseline = 30", "reference = 30", "max_stretch = 4", "baseline = 30\nmax_stretch = 4"]
)
def test_a_period_of_a_total_is_one_fault(tmp_path: Path, row: str) -> None:
    found = told(tmp_path, f'[cell."co/sales/p1"]\n{row}\n')
    assert [code for code in found if code.startswith("E-")] == ["E-total-field"]


def test_a_kpi_that_does_not_roll_up_has_no_totals(tmp_path: Path) -> None:
    assert told(tmp_path, '[cell."co/rate/p1"]\nbaseline = 30\n')["E-cell-baseline"] == "co/rate has no baseline in p2"


GROWTH = """schema = 1
name = "Growth"
[periods]
names = ["1", "2"]
[kpi.sales]
[unit.co]
[unit.north]
parent = "co"
[cell."north/sales"]
baseline = 1000
[cell."north/sales/1"]
ENDS
[cell."north/sales/2"]
ENDS
[goal.sales]
target = 1050
[guardrail.g]
growth = [0.02, 0.1]
"""


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ("min_stretch = 60", "min_stretch 120 (of its periods together) above its max_stretch 100 (from a guardrail)"),
        ("max_stretch = 8", "min_stretch 20 (from a guardrail) above its max_stretch 16 (of its periods together)"),
        ("min_stretch = 50", None),
        ("max_stretch = 10", None),
    ],
)
def test_growth_over_the_year_is_compared_with_what_the_periods_leave(
    tmp_path: Path, ends: str, message: str | None
) -> None:
    """An early error with both figures, not a clash of the program; at the very end there is a plan."""
    path = tmp_path / "scenario.toml"
    path.write_text(GROWTH.replace("ENDS", ends), "utf-8")
    if message is None:
        assert kpiopt.load(path).cells.has_decision.any()
        return
    with pytest.raises(InputError) as caught:
        kpiopt.load(path)
    (problem,) = caught.value.problems
    assert problem.code == "E-min-above-max" and message in problem.message
