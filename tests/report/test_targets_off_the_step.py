"""Targets that a limit keeps off their step are shown with what they are off it, so that sums on a screen are sums."""

import re

import pytest

from kpiopt.cli import main
from kpiopt.report.numbers import amount, target_step
from kpiopt.scenario.scenario import Kpi

PERIODS = """schema = 1
name = "halves"
periods = ["p1", "p2"]
[kpi.sales]
name = "Sales"
step = {step}
[unit.co]
[unit.n]
parent = "co"
[unit.s]
parent = "co"
[cell."n/sales"]
baseline = 1125
max_stretch = 60
[cell."n/sales/p2"]
lock = 20
lock_reason = "r"
[cell."s/sales"]
baseline = 400
max_stretch = 60
[goal.sales]
target = 1600
"""
YEAR = """schema = 1
name = "halves"
[kpi.sales]
name = "Sales"
step = {step}
[unit.co]
[unit.n]
parent = "co"
[unit.s]
parent = "co"
[cell."n/sales"]
baseline = 562.5
lock = 20
lock_reason = "r"
[cell."s/sales"]
baseline = 400
max_stretch = 60
[goal.sales]
target = 1000
"""


@pytest.mark.parametrize(
    ("target", "step", "shown"),
    [
        (592, 1, "592"),
        (592.5, 1, "592.5"),
        (-592.5, 1, "-592.5"),
        (592.25, 1, "592.25"),
        (592 + 1 / 3, 1, "592.33"),
        (592 + 1e-10, 1, "592"),
        (12.3, 0.5, "12.3"),
        (12.34, 0.5, "12.34"),
        (12.5, 0.25, "12.50"),
        (21_500, 1000, "21,500"),
        (21_500.5, 1000, "21,500.5"),
        (592.5, None, "592.5"),
    ],
)
def test_a_target_has_the_decimals_of_its_step_or_those_it_needs(target, step, shown):
    kpi = Kpi("sales", "Sales", None, "", 1, "sum", step, "flow", None, ())
    assert amount(target, "", target_step(kpi, target)) == shown


def number(text):
    return float(text.replace(",", ""))


def solved(tmp_path, capsys, text):
    path, out = tmp_path / "s.toml", tmp_path / "runs"
    path.write_text(text.format(step=1), "utf-8")
    assert main(["solve", str(path), "--no-simulation", "--out", str(out)]) == 0
    return next(out.glob("*-*")), capsys.readouterr().out


def test_the_screens_of_a_plan_by_period_add_up(tmp_path, capsys):
    """n is locked at 20 above 562.5 in the second half: its target there is 582.5, and so are the halves above it."""
    run, summary = solved(tmp_path, capsys, PERIODS)
    (row,) = [line.split() for line in summary.splitlines() if re.match(r" +Sales +[\d,.]+ +[\d,.]+ +[\d,.]+$", line)]
    whole, first, second = map(number, row[1:])
    assert first + second == whole
    assert second % 1 == 0.5
    assert main(["explain", str(run), "n/sales/p2"]) == 0
    account = capsys.readouterr().out
    assert "582.5 are asked" in account
    assert re.search(r"target +582\.5\n", account)


def test_a_lock_of_a_year_is_shown_as_it_is(tmp_path, capsys):
    run, summary = solved(tmp_path, capsys, YEAR)
    assert "582.5" in summary
    for command in (["report", str(run), "--no-levers"], ["report", str(run), "--scorecard", "n"]):
        page = tmp_path / "p.html"
        assert main([*command, "--html", str(page)]) == 0
        assert re.search(r">582\.5<", page.read_text("utf-8"))
    assert main(["explain", str(run), "co/sales"]) == 0
    assert ".5 are asked" in capsys.readouterr().out
