"""Cells: boxes from their own figures, guardrails and bulk edits; every contradiction named before a solver sees it."""

from __future__ import annotations

import numpy as np
import pytest

from kpiopt.errors import ModelError
from kpiopt.scenario.load import load_scenario
from tests.scenario.conftest import ORGANIZATION, Check

MAP = """
[perspective.money]
[objective.grow]
perspective = "money"
[kpi.sales]
unit = "USD"
objective = "grow"
[kpi.defects]
unit = "pieces"
direction = "down"
[goal.sales]
target = 330
[goal.defects]
target = 10
"""
BASE = f"{ORGANIZATION}{MAP}"
HEAD = "unit,kpi,baseline,min_stretch,max_stretch,lock,weight,pay_rate,size,reference,effort.hours,lock_reason\n"
CELLS = f"""{HEAD}north,sales,100,,20,,,,,,,
south,sales,200,,,,,,,,,
north,defects,8,,,,,,,,,
south,defects,4,1,3,,,,,,,
"""


def test_a_decision_is_where_there_is_a_largest_stretch_or_a_lock(check: Check) -> None:
    cells = check(BASE, cells=CELLS.replace("north,defects,8,,,,", "north,defects,8,,,2,")).fine().cells
    assert cells.has_decision.tolist() == [True, True, False, True]
    assert cells.min_stretch.tolist() == [0, 2, 0, 1]
    assert cells.max_stretch.tolist() == [20, 2, 0, 3]
    assert cells.lock[1] == 2 and np.isnan(cells.lock[[0, 2, 3]]).all()


def test_guardrails_fill_what_cells_do_not_say_the_last_one_counts(check: Check) -> None:
    text = f"""{BASE}
[guardrail.all]
growth = [0.0, 0.1]
[guardrail.fewer]
where = {{ kpi = "defects" }}
growth = [0.05, 0.5]
"""
    cells = check(text, cells=CELLS).fine().cells
    assert cells.max_stretch.tolist() == [20, 4, 20, 3]  # 200 x 0.1; 8 x 0.5; own figures stay
    np.testing.assert_allclose(cells.min_stretch, [0, 0.4, 0, 1])
    assert cells.has_decision.all()


def test_a_guardrail_is_a_share_of_the_size_of_the_baseline(check: Check) -> None:
    cells = CELLS.replace("south,sales,200", "south,sales,-200")
    scenario = check(
        f"{BASE}[guardrail.g]\nwhere.unit = 'south'\nwhere.kpi = 'sales'\ngrowth = [0.1, 0.2]", cells=cells
    )
    assert (scenario.fine().cells.min_stretch[2], scenario.fine().cells.max_stretch[2]) == (20, 40)


@pytest.mark.parametrize(
    ("where", "changed"),
    [
        ('unit = "north"', [0, 1]),
        ('kpi = "sales"', [0, 2]),
        ('kpi = ["sales", "defects"]', [0, 1, 2, 3]),
        ('level = "team"', [0, 1, 2, 3]),
        ('role = "field", unit = ["south"]', [2, 3]),
        ('parent = "co", kpi = "defects"', [1, 3]),
        ('under = "co"', [0, 1, 2, 3]),
        ('under = "south"', [2, 3]),
        ('objective = "grow"', [0, 2]),
        ('perspective = "money"', [0, 2]),
    ],
)
def test_a_selection_means_cells_for_which_all_its_keys_hold(check: Check, where: str, changed: list[int]) -> None:
    cells = check(f"{BASE}[adjust.x]\nwhere = {{ {where} }}\nset = {{ pay_rate = 9 }}", cells=CELLS).fine().cells
    assert np.flatnonzero(cells.pay_rate == 9).tolist() == changed
    assert np.isnan(np.delete(cells.pay_rate, changed)).all()


def test_bulk_edits_apply_in_order_of_appearance(check: Check) -> None:
    text = f"""{BASE}
[adjust.b]
where = {{ unit = "south", kpi = "sales" }}
scale = {{ baseline = 2 }}
add = {{ baseline = 1 }}
set = {{ max_stretch = 50, effort.hours = 3 }}
[adjust.a]
where = {{ unit = "south", kpi = "sales" }}
scale = {{ baseline = 10, max_stretch = 1.1, effort.hours = 0.5 }}
"""
    cells = check(text, cells=CELLS).fine().cells
    assert cells.baseline[2] == (200 * 2 + 1) * 10
    assert cells.max_stretch[2] == pytest.approx(55)
    assert cells.effort["hours"].tolist() == [0, 0, 1.5, 0]
    assert cells.baseline[[0, 1, 3]].tolist() == [100, 8, 4]


def test_guardrails_see_edited_baselines(check: Check) -> None:
    text = "[guardrail.g]\nwhere.kpi='sales'\ngrowth = [0, 0.5]\n[adjust.a]\nset.baseline = 1000\nwhere.unit = 'south'"
    assert check(f"{BASE}{text}", cells=CELLS).fine().cells.max_stretch[2] == 500


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[adjust.a]\nwhere.kpi = 'slaes'\nset.weight = 1", "E-unknown-kpi", "did you mean 'sales'?"),
        ("[adjust.a]\nwhere.level = 'taem'\nset.weight = 1", "E-unknown-level", "did you mean 'team'?"),
        ("[guardrail.g]\nwhere.under = 'nort'\ngrowth = [0, 1]", "E-unknown-unit", "did you mean 'north'?"),
        ("[guardrail.g]\nwhere.objective = 'grwo'\ngrowth = [0, 1]", "E-unknown-objective", "did you mean 'grow'?"),
        ("[execution.e]\nwhere.level = 'company'\nvalue = 1", "E-where-empty", "no cell is meant"),
        ("[adjust.a]\nwhere.kpi = 'defects'\nscale.reference = 2", "E-adjust-nothing", "no reference of their own"),
        (
            "[guardrail.g]\nwhere = {unit = 'south', kpi = 'sales'}\ngrowth = [0.2, 0.1]",
            "E-min-above-max",
            "from a guard",
        ),
        ('[cell."north"]\nbaseline = 1', "E-cell-name", '[cell."unit/kpi"]'),
        ('[cell."nort/sales"]\nbaseline = 1', "E-unknown-unit", "did you mean 'north'?"),
        ('[cell."north/sale"]\nbaseline = 1', "E-unknown-kpi", "did you mean 'sales'?"),
        ('[cell."south/sales"]\nmin_stretch = 1', "E-min-without-max", "no max_stretch"),
        ('[cell."co/sales"]\nweight = 1\n[adjust.a]\nwhere.unit = "co"\nadd.weight = -2', "E-negative", "weight -1"),
    ],
)
def test_faults_of_cells_and_selections_are_named(check: Check, text: str, code: str, words: str) -> None:
    assert words in str(check(f"{BASE}{text}", cells=CELLS).only(code))


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("north,sales,100,,20", "north,sales,100,-1,20", "E-negative", "always at least 0"),
        ("north,sales,100,,20", "north,sales,100,,-20", "E-negative", "north/sales"),
        ("south,defects,4,1,3", "south,defects,4,5,3", "E-min-above-max", "min_stretch 5 above its max_stretch 3"),
        ("south,defects,4,1,3,", "south,defects,4,1,3,9", "W-lock-outside", "locked at 9, outside its range 1 to 3"),
        ("south,defects,4,1,3,", "south,defects,4,1,3,0.5", "W-lock-outside", "locked at 0.5"),
        ("south,sales,200,,", "south,sales,200,7,", "E-min-without-max", "min_stretch of 7"),
        ("south,sales,200,,,,,", "south,sales,200,,,,,-3", "E-negative", "pay_rate -3"),
        ("south,sales,200,,,,,,", "south,sales,200,,,,,,-3", "E-negative", "size -3"),
        ("south,sales,200,,,,,,,,", "south,sales,200,,,,,,,,-3", "E-negative", "effort.hours -3"),
        ("south,sales,200", "south,sales,", "E-cell-baseline", "not 0"),
        ("north,sales,100", "north,sales,0", "E-zero-baseline", "[kpi.sales] a step"),
        ("south,sales", "sotuh,sales", "E-unknown-unit", "did you mean 'south'?"),
        ("south,sales", "south,slaes", "E-unknown-kpi", "did you mean 'sales'?"),
        ("north,sales,100", "north,sales,5 to 1", "E-quantity", "runs backwards"),  # row 82
    ],
)
def test_row_67_faults_in_the_table_are_named_with_their_row(
    check: Check, old: str, new: str, code: str, words: str
) -> None:
    table = CELLS.replace(old, new)
    problems = [p for p in check(BASE, cells=table).problems if p.code == code]
    assert problems and any(words in str(p) for p in problems)
    line = next(i for i, row in enumerate(table.splitlines(), 1) if row.startswith(new))
    assert {p.location.line for p in problems if p.location} == {line}


def test_a_step_makes_a_zero_baseline_fine(check: Check) -> None:
    text = BASE.replace('unit = "USD"', 'unit = "USD"\nstep = 10')
    assert check(text, cells=CELLS.replace("north,sales,100", "north,sales,0")).fine().cells.baseline[0] == 0


def test_a_lock_reason_without_a_lock_is_not_lost_silently(check: Check) -> None:
    result = check(BASE, cells=CELLS.replace("south,sales,200,,,,,,,,,", "south,sales,200,,,,,,,,,agreed"))
    assert "south/sales" in result.one("W-lock-reason").message


@pytest.mark.parametrize("value", ["1e-10", "-1e13", "1e20", "1e308", "1e-320"])
def test_rows_71_and_74_numbers_out_of_range_are_refused(check: Check, value: str) -> None:
    problem = check(BASE, cells=CELLS.replace("south,sales,200", f"south,sales,{value}")).only("E-number-range")
    assert "cells.csv:3 column baseline" in str(problem)
    problem = check(BASE.replace("target = 330", f"target = {value}"), cells=CELLS).only("E-number-range")
    assert "goal.sales.target" in problem.message


def test_row_71_minus_zero_is_zero(check: Check) -> None:
    cells = check(BASE, cells=CELLS.replace("south,defects,4,1", "south,defects,4,-0.0")).fine().cells
    assert not np.signbit(cells.min_stretch).any()


class TestWeights:
    UNITS = "unit,parent,target_incentive\nco,,\nnorth,co,1000\nsouth,co,\n"

    def table(self, sales: str, defects: str) -> str:
        return f"unit,kpi,baseline,weight\nnorth,sales,100,{sales}\nnorth,defects,5,{defects}\nsouth,sales,100,0.7\n"

    @pytest.mark.parametrize("weights", [("0.4", "0.6"), ("1", ""), ("0.3333333", "0.6666666")])
    def test_weights_that_add_up_are_fine(self, check: Check, weights: tuple[str, str]) -> None:
        assert check(MAP, self.UNITS, self.table(*weights)).fine()

    @pytest.mark.parametrize(
        ("weights", "words"),
        [(("0.4", "0.7"), "1.1"), (("0", "0"), "0"), (("", "0.99"), "0.99"), (("", ""), "no weight on any")],
    )
    def test_row_68_weights_that_do_not_are_refused_with_their_sum(
        self, check: Check, weights: tuple[str, str], words: str
    ) -> None:
        problem = check(MAP, self.UNITS, self.table(*weights)).only("E-weights")
        assert "'north'" in problem.message and words in problem.message

    def test_row_68_negative_weights_are_refused(self, check: Check) -> None:
        assert "E-negative" in check(MAP, self.UNITS, self.table("-0.5", "1.5")).codes


class TestSizes:
    TEXT = "[kpi.score]\nunit = 'points'\nroll_up = 'mean'\n[goal.score]\ntarget = 80\n"
    UNITS = "unit,parent,size\nco,,\nnorth,co,{north}\na,north,{a}\nb,north,{b}\nsouth,co,{south}\n"

    def check_sizes(self, check: Check, sizes: str, cell_size: str = "") -> list[str]:
        units = self.UNITS.format(**dict(zip(("north", "a", "b", "south"), sizes.split(","), strict=True)))
        cells = f"unit,kpi,baseline,size\na,score,70,{cell_size}\nb,score,80,\nsouth,score,60,\n"
        return [p.message.split(" ")[0] for p in check(self.TEXT, units, cells).problems if p.code == "E-size"]

    @pytest.mark.parametrize("sizes", [",,,", ",3,1,2", "5,3,1,2", ",0,1,2"])
    def test_sizes_for_all_or_none_are_fine(self, check: Check, sizes: str) -> None:
        assert self.check_sizes(check, sizes) == []

    @pytest.mark.parametrize(
        ("sizes", "without"),
        [
            (",3,,2", ["b/score"]),
            (",3,1,", ["south/score"]),
            (",,,2", ["a/score", "b/score"]),
            ("4,,,", ["south/score"]),
        ],
    )
    def test_parts_without_a_size_beside_parts_with_one_are_named(
        self, check: Check, sizes: str, without: list[str]
    ) -> None:
        assert self.check_sizes(check, sizes) == without

    def test_a_cell_may_give_its_own_size(self, check: Check) -> None:
        assert self.check_sizes(check, ",,1,2", cell_size="3") == []


class TestExecution:
    def test_the_most_specific_statement_counts(self, check: Check) -> None:
        text = f"""{BASE}
[uncertainty]
execution = "0.5 to 1.1"
[execution.fewer]
where.kpi = "defects"
value = 0.9
[execution.south]
where.unit = "south"
value = {{ uniform = [0.2, 0.8] }}
"""
        table = CELLS.replace("effort.hours", "execution").replace(
            "north,defects,8,,,,,,,,", "north,defects,8,,,,,,,,0.7"
        )
        scenario = check(text, cells=table).fine()
        means = [scenario.uncertainty.execution[i].mean for i in scenario.cells.execution]
        assert means[1:] == [0.7, 0.5, 0.5]
        assert scenario.uncertainty.execution[scenario.cells.execution[0]].kind == "lognormal"
        assert scenario.uncertainty.paths == (
            "uncertainty.execution",
            "execution.fewer.value",
            "execution.south.value",
            "cell.north/defects.execution",
        )

    def test_without_a_word_it_is_certainly_one(self, check: Check) -> None:
        scenario = check(BASE, cells=CELLS).fine()
        assert [q.mean for q in scenario.uncertainty.execution] == [1.0] and not scenario.cells.execution.any()

    @pytest.mark.parametrize("value", ["0", "{ normal = [-1, 1] }"])
    def test_it_is_positive_on_average(self, check: Check, value: str) -> None:
        check(f"{BASE}[uncertainty]\nexecution = {value}", cells=CELLS).only("E-execution")

    @pytest.mark.parametrize(
        ("common", "code"),
        [("1.0", "E-value"), ("{ team = 0.6, company = 0.4 }", "E-common"), ("{ taem = 0.1 }", "E-unknown-level")],
    )
    def test_common_shares_leave_something_to_each_cell(self, check: Check, common: str, code: str) -> None:
        check(f"{BASE}[uncertainty]\ncommon = {common}", cells=CELLS).only(code)

    def test_a_common_share_may_be_given_by_level(self, check: Check) -> None:
        text = f"{BASE}[uncertainty]\ncommon = {{ organization = 0.2, team = 0.1 }}"
        assert check(text, cells=CELLS).fine().uncertainty.common == {"organization": 0.2, "team": 0.1}


def test_edits_of_distributions_are_refused_except_by_replacing(check: Check) -> None:
    table = CELLS.replace("south,sales,200", "south,sales,150 to 250")
    assert (
        "distribution"
        in check(f"{BASE}[adjust.a]\nscale.baseline = 2", cells=table).only("E-adjust-distribution").message
    )
    scenario = check(
        f"{BASE}[adjust.a]\nwhere.unit = 'south'\nwhere.kpi = 'sales'\nset.baseline = 5", cells=table
    ).fine()
    assert scenario.cells.baseline[2] == 5 and not scenario.cells.baseline_quantity


def test_an_edit_that_misses_some_selected_cells_says_so(check: Check) -> None:
    result = check(f"{BASE}[adjust.a]\nscale.max_stretch = 2", cells=CELLS)
    assert result.fine().cells.max_stretch.tolist() == [40, 0, 0, 6]
    assert "2 of the 4" in result.one("W-adjust-partly").message


@pytest.mark.parametrize(
    ("name", "is_told"), [("Total", True), ("Summe", True), ("Grand total", True), ("nord", False)]
)
def test_a_total_with_a_kpi_is_asked_about_as_one(tmp_path, name, is_told):
    (tmp_path / "cells.csv").write_text(f"unit,kpi,baseline\na,x,5\n{name},x,5\n", "utf-8")
    text = 'schema = 1\nname = "t"\n[tables]\ncells = { path = "cells.csv", delimiter = ",", decimal = "." }\n'
    text += '[kpi.x]\n[unit.co]\n[unit.a]\nparent = "co"\n'
    (tmp_path / "s.toml").write_text(text, "utf-8")
    with pytest.raises(ModelError) as refused:
        load_scenario(tmp_path / "s.toml")
    (found,) = refused.value.problems
    assert found.code == "E-unknown-unit"
    assert ("delete the row if it is a total" in (found.fix or "")) == is_told
