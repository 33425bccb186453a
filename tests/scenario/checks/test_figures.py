"""Figures that contradict their hierarchy or their peers, on made-up and on published targets."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpiopt.errors import Problem
from kpiopt.scenario.checks.outliers import fit_two_way, group_medians
from kpiopt.scenario.roll_up import build_roll_up
from kpiopt.scenario.scenario import Units
from tests.scenario.conftest import Check

UNITS = """unit,parent,level,size
co,,company,
north,co,team,
a,north,rep,1
b,north,rep,3
south,co,team,
c,south,rep,4
"""
KPIS = """
[kpi.sales]
unit = "USD"
[goal.sales]
target = 100
[kpi.score]
unit = "points"
roll_up = "mean"
[goal.score]
target = 80
"""
HEAD = "unit,kpi,baseline,reference\n"
LEAVES = "a,sales,10,12\nb,sales,20,22\nc,sales,40,44\na,score,60,\nb,score,80,\nc,score,70,\n"


def gaps(check: Check, rows: str, text: str = KPIS) -> list[Problem]:
    result = check(text, UNITS, HEAD + LEAVES + rows)
    assert result.fine()
    return [p for p in result.problems if p.code == "W-reconciliation"]


class TestReconciliation:
    def test_figures_that_agree_are_not_mentioned(self, check: Check) -> None:
        rows = "north,sales,30,34\nco,sales,70,78\nnorth,score,75,\nco,score,72.5,\n"
        assert not gaps(check, rows, KPIS.replace('unit = "USD"', 'unit = "USD"\nbaseline = 70'))

    def test_a_sum_that_differs_is_reported_with_both_figures_and_the_gap(self, check: Check) -> None:
        (gap,) = gaps(check, "north,sales,33,34\n")
        assert "baseline of 33" in gap.message and "add up to 30" in gap.message and "+3, 10.00%" in gap.message
        assert str(gap.location).endswith("cells.csv:8 column baseline")

    def test_a_mean_is_weighted_by_size(self, check: Check) -> None:
        (gap,) = gaps(check, "north,score,70,\n")  # not 70 = (60 + 80) / 2 but 75 = (60 + 3 x 80) / 4
        assert "average to 75" in gap.message

    def test_a_mean_may_be_stated_rounded(self, check: Check) -> None:
        assert not gaps(check, "co,score,73,\n")  # 72.5
        assert gaps(check, "co,score,73.1,\n")

    def test_every_gap_is_reported(self, check: Check) -> None:
        rows = "north,sales,31,35\nsouth,sales,41,45\nco,sales,71,79\n"
        assert len(gaps(check, rows)) == 6

    def test_references_are_compared_with_the_level_below(self, check: Check) -> None:
        # North's reference of 40 contradicts its people (34); the company's 84 = 40 + 44 agrees with its teams.
        found = gaps(check, "north,sales,,40\nco,sales,,84\n")
        assert [p.message.split(" ")[0] for p in found] == ["north/sales"]

    def test_references_that_are_not_known_below_are_not_compared(self, check: Check) -> None:
        assert not gaps(check, "north,score,,99\n")

    def test_a_baseline_of_the_kpi_is_compared_with_its_cells(self, check: Check) -> None:
        (gap,) = gaps(check, "", KPIS.replace('unit = "USD"', 'unit = "USD"\nbaseline = 77'))
        assert "states a baseline of 77" in gap.message and "add up to 70" in gap.message
        assert gap.location is not None and gap.location.text == "baseline = 77"

    def test_the_plan_uses_the_rolled_up_figure(self, check: Check) -> None:
        scenario = check(KPIS, UNITS, HEAD + LEAVES + "north,sales,33,\nco,sales,,\n").fine()
        ids = [scenario.units.ids[u] for u in scenario.cells.unit]
        baseline = dict(zip(zip(ids, scenario.cells.kpi.tolist(), strict=True), scenario.cells.baseline, strict=True))
        assert baseline["north", 0] == 30 and baseline["co", 0] == 70

    def test_a_distribution_above_other_cells_is_not_lost_silently(self, check: Check) -> None:
        result = check(KPIS, UNITS, f"{HEAD}{LEAVES}north,sales,20 to 40,\n")
        assert "north/sales" in result.one("W-inner-distribution").message


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.data())
@settings(deadline=None, max_examples=100)
def test_roll_up_is_that_of_a_recursive_definition(parents: list[int], data: st.DataObject) -> None:
    n = len(parents) + 1
    parent = np.array([-1, *(p % (i + 1) for i, p in enumerate(parents))], dtype=np.int64)
    units = Units(
        *(tuple(map(str, range(n))),) * 2, parent, parent, ("",) * n, ("",) * n, np.full(n, np.nan), np.full(n, np.nan),
        ("",) * n, {},
    )  # fmt: skip
    leaves = [i for i in range(n) if i not in parent.tolist()]
    value = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=n, max_size=n)), dtype=np.float64)
    size = np.array(data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)), dtype=np.float64)

    def below(unit: int) -> list[int]:
        return [i for i in range(n) if parent[i] == unit]

    def total_size(unit: int) -> float:
        return sum(map(total_size, below(unit))) if below(unit) else size[unit]

    def total(unit: int, *, mean: bool) -> float:
        if not below(unit):
            return float(value[unit])
        parts = [total(i, mean=mean) * (total_size(i) if mean else 1.0) for i in below(unit)]
        return sum(parts) / (total_size(unit) if mean else 1.0)

    for mean in (False, True):
        cells = np.array(leaves, dtype=np.int64)
        roll_up = build_roll_up(units, cells, np.zeros(len(cells), dtype=np.int64), [True], [False])
        assert roll_up.unit.tolist() == list(range(n))
        leaf = np.isin(np.arange(n), leaves)
        coefficient, _ = roll_up.weights(np.where(leaf, size, np.nan), np.array([mean]))
        found = roll_up.total(np.where(leaf, value, np.nan), coefficient)
        np.testing.assert_allclose(found, [total(i, mean=mean) for i in range(n)], atol=1e-9)


class TestOutliers:
    def table(self, values: dict[str, float], level: str = "rep") -> tuple[str, str]:
        units = "unit,parent,level\nco,,company\n" + "".join(f"{u},co,{level}\n" for u in values)
        return units, "unit,kpi,baseline\n" + "".join(f"{u},sales,{v:g}\n" for u, v in values.items())

    TEXT = '[kpi.sales]\nunit = "USD"\n[goal.sales]\ntarget = 10_000\n'

    def outliers(self, check: Check, values: dict[str, float]) -> list[str]:
        units, cells = self.table(values)
        result = check(self.TEXT, units, cells)
        assert result.fine()
        return [p.message.split("/")[0] for p in result.problems if p.code == "W-outlier"]

    PEERS: ClassVar[dict[str, float]] = {"a": 900, "b": 1000, "c": 1100, "d": 950, "e": 1200, "f": 1050}

    @pytest.mark.parametrize("factor", [10, 0.1, 100, 1000, 0.001])
    def test_a_slip_of_the_decimal_point_is_found(self, check: Check, factor: float) -> None:
        assert self.outliers(check, {**self.PEERS, "x": 1000 * factor}) == ["x"]

    @pytest.mark.parametrize("factor", [1, 2, 0.5, 5, 0.2])
    def test_honest_differences_are_not(self, check: Check, factor: float) -> None:
        assert self.outliers(check, {**self.PEERS, "x": 1000 * factor}) == []

    def test_where_peers_differ_by_powers_of_ten_anyway_nothing_is_odd(self, check: Check) -> None:
        assert self.outliers(check, {u: 10.0 ** (i % 4) for i, u in enumerate("abcdefghijkl")}) == []

    def test_few_peers_tell_nothing(self, check: Check) -> None:
        assert self.outliers(check, {"a": 10, "b": 11, "x": 100}) == []

    def test_other_levels_are_no_peers(self, check: Check) -> None:
        units, cells = self.table(self.PEERS)
        units += "boss,co,chief\n"
        cells += "boss,sales,10000\n"
        assert "W-outlier" not in check(self.TEXT, units, cells).codes

    def test_what_is_reported_is_the_field_the_peers_figure_and_the_factor(self, check: Check) -> None:
        units, cells = self.table({**self.PEERS, "x": 10250})
        problem = check(self.TEXT, units, cells).one("W-outlier")
        assert (
            problem.message
            == "x/sales has the baseline 10,250, where its peers suggest about 1,050: 9.76 times too large; "
            "likely 10 times too large, a slip of the decimal point"
        )
        assert str(problem.location).endswith("cells.csv:8 column baseline")


class TestPublishedTargets:
    """Monthly targets of the AdventureWorks sample company (thousand USD), as published, with their six slips."""

    DATA = Path(__file__).parents[3] / "models" / "adventureworks" / "data" / "targets_monthly_tidy.csv"

    def problems(self, check: Check) -> tuple[Problem, ...]:
        rows = list(csv.DictReader(self.DATA.open(encoding="utf-8")))
        managers = {"272": "277", "290": "277", "294": "277", "277": ""}
        units = "".join(f"{e},{managers.get(e, '272')}\n" for e in sorted({r["EmployeeKey"] for r in rows}))
        cells = "".join(f"{r['EmployeeKey']},m{r['month']},{r['target_kusd']}\n" for r in rows)
        kpis = "".join(f'[kpi.m{m}]\nunit = "k USD"\nstep = 1\n' for m in sorted({r["month"] for r in rows}))
        result = check(kpis, f"unit,parent\n{units}", f"unit,kpi,baseline\n{cells}")
        assert result.fine()
        return result.problems

    def test_the_six_cells_ten_times_too_large_are_found_and_no_other(self, check: Check) -> None:
        found = [p.message for p in self.problems(check) if p.code == "W-outlier"]
        large = {message.split(" has ")[0] for message in found if "too large" in message}
        small = {message.split(" has ")[0] for message in found if "too small" in message}
        assert large == {
            f"{who}/m{year}-{month}" for who, month in (("277", "09"), ("287", "08")) for year in (2019, 2020, 2021)
        }
        assert small == {"272/m2019-06", "296/m2020-02"}  # 200 between 2000 and 2000; 10 between 100 and 100

    def test_the_hierarchy_contradicts_itself(self, check: Check) -> None:
        gaps = [p.message for p in self.problems(check) if p.code == "W-reconciliation"]
        assert any(message.startswith("277/m2019-09 states a baseline of 30,000") for message in gaps)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-9, 12)), min_size=1, max_size=40))
@settings(deadline=None)
def test_medians_by_group_are_those_of_numpy(pairs: list[tuple[int, float]]) -> None:
    group = np.array([g for g, _ in pairs], dtype=np.int64)
    values = np.array([v for _, v in pairs])
    found = group_medians(values, group)
    for g in range(int(group.max()) + 1):
        inside = values[group == g]
        assert np.isnan(found[g]) if not len(inside) else abs(found[g] - np.median(inside)) < 1e-9


def test_the_two_way_fit_recovers_effects_past_a_few_wrong_figures() -> None:
    rng = np.random.default_rng(3)
    row, column = (grid.ravel() for grid in np.meshgrid(np.arange(8), np.arange(12), indexing="ij"))
    effects = rng.uniform(0, 3, 8)[row] + rng.uniform(0, 1, 12)[column]
    wrong = rng.choice(96, 5, replace=False)
    figures = effects.copy()
    figures[wrong] += 1
    np.testing.assert_allclose(fit_two_way(figures, row, column), effects, atol=0.02)
