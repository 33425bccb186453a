"""Names that have a comma read as one, amounts of money say their currency, and one answer rounds by one rule."""

import re

import pytest

from kpiopt.cli import main

TEXT = """schema = 1
name = "row"
currency = "EUR"
[kpi.sales]
name = "Sales"
unit = "EUR"
step = {step}
[kpi.calls]
unit = "days"
[unit.co]
[unit.n]
parent = "co"
[unit.a]
parent = "n"
capacity.hours = 3.6
[unit.b]
parent = "n"
capacity.hours = 3.6
[cell."a/sales"]
baseline = 200
lock = 12.4
lock_reason = "r"
[cell."b/sales"]
baseline = 100
max_stretch = 20
effort.hours = 1
[cell."n/sales"]
own = true
baseline = 40
max_stretch = 5
[cell."a/calls"]
baseline = 20
max_stretch = 5
effort.hours = 1
[initiative.kit]
units = ["a", "b"]
max = 2
setup = {{ pay = 2.5 }}
uses = {{ cash = 10, pay = 3 }}
effects = {{ sales = 2 }}
[budget.cash]
limit = 35
[budget.pay]
limit = 9
[goal.sales]
target = 390
[goal.calls]
target = 23
priority = 2
"""


@pytest.fixture
def run(tmp_path, capsys):
    path, out = tmp_path / "s.toml", tmp_path / "runs"
    path.write_text(TEXT.format(step=1), "utf-8")
    assert main(["solve", str(path), "--no-simulation", "--out", str(out)]) == 0
    return next(out.glob("*-*")), capsys.readouterr().out


def said(capsys, *arguments):
    main(["explain", *map(str, arguments)])
    written = capsys.readouterr()
    return " ".join((written.out + written.err).split())


def test_one_level_says_what_is_money(run, capsys):
    told = said(capsys, run[0], "initiative.kit")
    assert "One level uses 10 EUR of cash, 3 EUR of pay." in told
    assert "set up once with 2.500 EUR of pay, " in told


def test_a_name_with_a_comma_is_one_name(run, capsys):
    assert "'n, own'" in said(capsys, run[0], "zzz/sales")
    assert "'n, own'" in said(capsys, run[0], "zzz")


def test_one_day_less(run, capsys):
    assert not re.search(r"If 1 days", said(capsys, run[0], "a/calls"))


def test_a_total_off_the_step_is_rounded_by_one_rule(run, capsys):
    told = said(capsys, run[0], "co/sales")
    shown = re.search(r"co: ([\d.]+) EUR are asked", told)[1]
    assert float(shown) % 1
    assert "rounding to whole EUR" not in told
    assert "rounding; a lock or a range keeps it off" in told
    assert shown in run[1]
    for total in re.findall(r"the rounded total of co/sales at\s+([\d.,]+?),", run[1]):
        assert float(total) == float(shown)
