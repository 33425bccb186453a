"""Signs and units of measure that are asked about, settings without effect, names that nobody knows."""

from __future__ import annotations

import pytest

from kpiopt.program.order.infeasible import WEIGHTS
from kpiopt.scenario.checks.measures import money_of
from kpiopt.scenario.checks.names import LIMIT_FAMILIES
from tests.scenario.conftest import ORGANIZATION, Check

MAP = """
[kpi.wait]
direction = "down"
unit = "days"
roll_up = "mean"
[kpi.happy]
unit = "points"
roll_up = "mean"
[kpi.happy.drivers]
wait = {{ contribution = {}, at = "team" }}
[goal.happy]
target = 75
"""
CELLS = "unit,kpi,baseline,max_stretch,size\n" + "".join(
    f"{unit},{kpi},{baseline},3,1\n" for unit in ("north", "south") for kpi, baseline in (("wait", 20), ("happy", 70))
)
SALES = """
[kpi.sales]
unit = "EUR"
[goal.sales]
target = 330
"""
SALES_CELLS = "unit,kpi,baseline,max_stretch\nnorth,sales,100,20\nsouth,sales,200,20\n"


class TestSigns:
    @pytest.mark.parametrize("contribution", ["0.4", "{ normal = [0.4, 0.1] }", '"0.2 to 0.6"'])
    def test_an_improvement_that_makes_things_worse_is_asked_about(self, check: Check, contribution: str) -> None:
        found = check(ORGANIZATION + MAP.format(contribution), cells=CELLS).one("W-sign")
        assert "less wait is better, but it lowers happy" in found.message and found.location.line == 23

    @pytest.mark.parametrize("contribution", ["-0.4", "0.4, trade_off = true"])
    def test_the_other_sign_or_a_declared_trade_off_is_not(self, check: Check, contribution: str) -> None:
        assert "W-sign" not in check(ORGANIZATION + MAP.format(contribution), cells=CELLS).codes

    def test_an_initiative_that_only_harms(self, check: Check) -> None:
        text = ORGANIZATION + MAP.format("-0.4") + "[initiative.i]\nmax = 1\n[initiative.i.effects]\nwait = 2\n"
        assert "makes wait worse" in check(text, cells=CELLS).one("W-sign").message
        assert "W-sign" not in check(text + "happy = 3\n", cells=CELLS).codes


class TestShares:
    @pytest.mark.parametrize(
        ("growth", "asked"), [("[0, 15]", True), ("[0, 2]", True), ("[0.0, 1.5]", False), ("[1.0, 1.15]", True)]
    )
    def test_growth(self, check: Check, growth: str, asked: bool) -> None:
        result = check(f"{ORGANIZATION}{SALES}[guardrail.g]\ngrowth = {growth}\n", cells=SALES_CELLS)
        assert ("W-growth" in result.codes) == asked

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[decide]\nslack = { fairness = 5 }", "write 0.05 if 5 % is meant"),
            ("[decide]\nslack = { fairness = 0.05 }", ""),
            ("[fairness]\nband = 10", "write 0.1 if 10 % is meant"),
            ("[fairness]\nband = 0.1", ""),
            ("[noise.n]\nwhere = {}\nsd = 15", "write 0.15 if 15 % is meant"),
            ("[noise.n]\nwhere = {}\nsd = 15\nadditive = true", ""),
            ("[pay_plan.p]\npayout = [[0, 0], [70, 0], [130, 190]]", "write 1.3 for 130 %"),
            ("[pay_plan.p]\npayout = [[0, 0], [0.7, 0], [1.3, 1.9]]", ""),
        ],
    )
    def test_other_shares_written_as_percent(self, check: Check, text: str, said: str) -> None:
        found = [
            problem
            for problem in check(f"{ORGANIZATION}{SALES}{text}\n", cells=SALES_CELLS).problems
            if problem.code == "W-share"
        ]
        assert [said in problem.fix for problem in found] == [True] * bool(said)

    @pytest.mark.parametrize("text", ['"70 to 110"', "85", "{ normal = [90, 5] }"])
    def test_execution_in_percent_is_refused(self, check: Check, text: str) -> None:
        found = check(f"{ORGANIZATION}{SALES}[uncertainty]\nexecution = {text}\n", cells=SALES_CELLS).only(
            "E-execution"
        )
        assert "share" in found.rule and found.location.line is not None

    def test_execution_of_a_cell(self, check: Check) -> None:
        cells = SALES_CELLS.replace("max_stretch", "max_stretch,execution").replace(",20\n", ",20,80 to 100\n")
        found = [p for p in check(ORGANIZATION + SALES, cells=cells).problems if p.is_error]
        assert [str(p.location).rpartition("/")[2] for p in found] == ["cells.csv:2 column execution"]


class TestScales:
    @pytest.mark.parametrize(
        ("cause", "driven", "contribution", "asked"),
        [
            ("kEUR", "EUR", "1", True),
            ("k€", "€", "0.8", True),
            ("kEUR", "EUR", "1000", False),
            ("EUR", "kEUR", "1", True),
            ("EUR", "kEUR", "0.001", False),
            ("EUR", "EUR", "1", False),
            ("kEUR", "USD", "1", False),
            ("days", "EUR", "1", False),
            ("hours", "minutes", "1", True),
            ("min", "hours", "1", True),
            ("hours", "minutes", "60", False),
            ("days", "hours", "6", False),
            ("hours", "hours", "1", False),
        ],
    )
    def test_one_currency_in_two_scales(
        self, check: Check, cause: str, driven: str, contribution: str, asked: bool
    ) -> None:
        text = (
            f'{SALES.replace("EUR", driven)}[kpi.sales.drivers]\nbase = {contribution}\n[kpi.base]\nunit = "{cause}"\n'
        )
        result = check(ORGANIZATION + text + "baseline = 5\n", cells=SALES_CELLS)
        assert ("W-scale" in result.codes) == asked

    def test_ways_to_write_money(self) -> None:
        assert [money_of(text) for text in ("T€", "EUR thousand", "million USD", "€", "1,000 EUR", "Mio. €")] == [
            (1e3, "eur"), (1e3, "eur"), (1e6, "usd"), (1.0, "eur"), (1e3, "eur"), (1e6, "eur"),
        ]  # fmt: skip
        assert [money_of(text) for text in ("days", "%", "", "cases", "the")] == [None] * 5


class TestIdle:
    TEXT = f"""{ORGANIZATION}{SALES}
[factor.used]
value = 1
[factor.unused]
value = 3
[objective.o]
[pay_plan.q]
payout = [[0.0, 0.0], [1.0, 1.0]]
[unit.x]
parent = "co"
[unit.north.capacity]
hours = 4
[kpi.sales.drivers]
used = 2
[uncertainty]
common = 0.3
[decide]
effort_price = {{ hours = 2 }}
"""

    def test_each_is_told_and_none_stops_the_plan(self, check: Check) -> None:
        text = self.TEXT.replace(
            '[unit.north]\nparent = "co"', '[unit.north]\nparent = "co"\ncapacity.hours = 4'
        ).replace("[unit.north.capacity]\nhours = 4\n", "")
        result = check(text, cells=SALES_CELLS)
        result.fine()
        told = [p.message for p in result.problems if p.code == "W-no-effect"]
        for words in ("'unused'", "objective 'o'", "pay plan 'q'", "nothing uses 'hours'", "`common`", "'x'", "price"):
            assert any(words in message for message in told), (words, told)
        assert not any("'used'" in message for message in told)


class TestNames:
    @pytest.mark.parametrize("key", ["foo", "min_strech", '"budget.zzz"', '"capacity.h@nowhere"'])
    def test_relax_names_a_limit(self, check: Check, key: str) -> None:
        found = check(f"{ORGANIZATION}{SALES}[relax]\n{key} = 1\n", cells=SALES_CELLS).only("E-unknown-limit")
        assert found.location.line is not None

    @pytest.mark.parametrize("key", ["budget", "lock", '"budget.pay"', '"min_stretch under north"', '"goal.sales"'])
    def test_names_that_there_are(self, check: Check, key: str) -> None:
        check(f"{ORGANIZATION}{SALES}[budget.pay]\nlimit = 5\n[relax]\n{key} = 1\n", cells=SALES_CELLS).fine()

    def test_families_are_those_of_the_diagnosis(self) -> None:
        assert set(LIMIT_FAMILIES) == set(WEIGHTS)

    @pytest.mark.parametrize(
        "rows", ["North,co,team", "x,co,Team", "y,co,team\nx,co,Team"], ids=["unit", "level", "level-later"]
    )
    def test_ids_that_differ_in_case_only_in_tables(self, check: Check, rows: str) -> None:
        units = f"unit,parent,level\nco,,\nnorth,co,team\nsouth,co,team\n{rows}\n"
        found = check(SALES, units=units, cells=SALES_CELLS).only("E-key-case")
        assert str(found.location).startswith(str(found.others[0]).partition(":")[0])

    def test_resources_too(self, check: Check) -> None:
        units = "unit,parent,capacity.Hours\nco,,5\nnorth,co,\nsouth,co,\n"
        cells = "unit,kpi,baseline,max_stretch,effort.hours\nnorth,sales,100,20,1\nsouth,sales,200,20,1\n"
        assert "Hours" in check(SALES, units=units, cells=cells).only("E-key-case").message
