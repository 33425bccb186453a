"""Sections as sheets: figures that are shown as percentages, settings that a table cannot make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.learning.history_file import read_history
from kpiopt.learning.known_names import meet_model
from kpiopt.plan.given_plan import read_given_plan
from kpiopt.scenario.load import check_scenario

BASE = """schema = 1
name = "Shares"
currency = "EUR"
[kpi.sat]
unit = "{unit}"
roll_up = "mean"
[factor.visits]
value = 0
[unit.co]
[unit.a]
parent = "co"
[cell."a/sat"]
baseline = 80
max_stretch = 10
[initiative.i]
max = 0
[tables]
{tables}
"""
GOALS = [["goal", "target"], ["sat", 85]]


def codes(folder: Path, sheets: dict[str, list[list[Any]]], unit: str = "%") -> list[str]:
    """Write sheets of rows, figures in lists as percentages, and return what `check` finds."""
    with xlsxwriter.Workbook(folder / "b.xlsx") as book:
        percent = book.add_format({"num_format": "0%"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for i, row in enumerate(rows):
                for j, value in enumerate(row):
                    sheet.write(i, j, *(value if isinstance(value, list) else [value]), *([percent] * (value == [0.9])))
    tables = "\n".join(f'{name} = "b.xlsx#{name}"' for name in sheets)
    (folder / "s.toml").write_text(BASE.format(unit=unit, tables=tables))
    _, found, _ = check_scenario(folder / "s.toml")
    return [f"{problem.code} {problem.location.cell}" for problem in found.errors if problem.location]


@pytest.mark.parametrize(
    ("name", "rows", "cell"),
    [
        ("goals", [["goal", "target"], ["sat", [0.9]]], "B2"),
        ("goals", [["goal", "kpi", "target"], ["g", "sat", [0.9]]], "C2"),
        ("settings", [["key", "value"], ["goal.sat.target", [0.9]]], "B2"),
        ("kpis", [["kpi", "max"], ["sat", [0.9]]], "B2"),
        ("drivers", [["kpi", "cause", "contribution"], ["sat", "visits", [0.9]]], "C2"),
        ("effects", [["initiative", "kpi", "contribution", "lag"], ["i", "sat", [0.9], 1]], "C2"),
        ("cells", [["unit", "kpi", "baseline", "lock_target"], ["a", "sat", 80, [0.9]]], "D2"),
        ("cells", [["unit", "kpi", "baseline", "noise_sd"], ["a", "sat", 80, [0.9]]], "D2"),
    ],
)
@pytest.mark.parametrize("unit", ["%", "Prozent"])
def test_what_is_shown_as_a_percentage_is_no_figure_in_percent(tmp_path: Path, name, rows, cell, unit) -> None:
    assert f"E-percent-format {name}!{cell}" in codes(tmp_path, {"goals": GOALS} | {name: rows}, unit)


@pytest.mark.parametrize("unit", ["points", "EUR", "% of sales", ""])
@pytest.mark.parametrize(
    ("name", "rows", "cell"),
    [
        ("goals", [["goal", "target"], ["sat", [0.9]]], "B2"),
        ("kpis", [["kpi", "step"], ["sat", [0.9]]], "B2"),
        ("drivers", [["kpi", "cause", "contribution"], ["sat", "visits", [0.9]]], "C2"),
        ("effects", [["initiative", "kpi", "contribution"], ["i", "sat", [0.9]]], "C2"),
        ("factors", [["factor", "value"], ["market", [0.9]]], "B2"),
        ("budgets", [["budget", "limit"], ["cash", [0.9]]], "B2"),
        ("initiatives", [["initiative", "uses.cash", "max"], ["i", [0.9], 1]], "B2"),
        ("settings", [["key", "value"], ["initiative.j.max", [0.9]]], "B2"),
        ("settings", [["key", "value"], ["decide.effort_price.cash", [0.9]]], "B2"),
        ("cells", [["unit", "kpi", "baseline", "max_stretch"], ["a", "sat", 80, [0.9]]], "D2"),
        ("cells", [["unit", "kpi", "baseline", "effort.hours"], ["a", "sat", 80, [0.9]]], "D2"),
        ("cells", [["unit", "kpi", "baseline", "size"], ["a", "sat", 80, 3], ["b", "sat", 80, [0.9]]], "D3"),
        ("units", [["unit", "parent", "capacity.hours"], ["b", "co", [0.9]]], "C2"),
        ("units", [["unit", "parent", "target_incentive"], ["b", "co", [0.9]]], "C2"),
        ("units", [["unit", "parent", "head_count"], ["b", "co", [0.9]]], "C2"),
    ],
)
def test_no_percentage_is_read_where_it_may_be_another_number(tmp_path: Path, name, rows, cell, unit) -> None:
    found = codes(tmp_path, {"goals": GOALS} | {name: rows}, unit)
    assert f"E-percent-format {name}!{cell}" in found, found
    assert len([code for code in found if "percent" in code]) == 1


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("goals", [["goal", "target", "weight", "p_min"], ["sat", 85, [0.9], [0.9]]]),
        ("kpis", [["kpi", "carry"], ["sat", [0.9]]]),
        ("guardrails", [["guardrail", "ramp"], ["g", [0.9]]]),
        ("pay_plans", [["pay_plan", "attainment", "payout"], ["p", [0.9], [0.9]]]),
        ("correlations", [["first", "second", "correlation"], ["x", "y", [0.9]]]),
        ("settings", [["key", "value"], ["uncertainty.execution", [0.9]]]),
        ("settings", [["key", "value"], ["decide.slack.cost", [0.9]]]),
        ("settings", [["key", "value"], ["noise.n.sd", [0.9]]]),
        ("settings", [["key", "value"], ["adjust.x.scale.max_stretch", [0.9]]]),
        ("cells", [["unit", "kpi", "baseline", "execution", "weight", "size"], ["a", "sat", 80, [0.9], [0.9], [0.9]]]),
        ("cells", [["unit", "kpi", "baseline", "noise_sd", "pay_rate"], ["a", "sat", 80, [0.9], [0.9]]]),
        ("units", [["unit", "parent", "availability", "size"], ["b", "co", [0.9], [0.9]]]),
    ],
)
def test_what_is_a_share_by_nature_stays_readable(tmp_path: Path, name, rows) -> None:
    found = codes(tmp_path, {"goals": GOALS} | {name: rows}, "EUR")
    assert not [code for code in found if "percent" in code], found


def test_a_variant_is_asked_about_as_the_scenario_is(tmp_path: Path) -> None:
    codes(tmp_path, {"goals": GOALS, "settings": [["key", "value"], ["variant.v.goal.sat.target", [0.9]]]}, "EUR")
    _, found, _ = check_scenario(tmp_path / "s.toml", variant="v")
    assert [(p.code, p.location.cell) for p in found.errors if p.location] == [("E-percent-format", "settings!B2")]


def test_samples_histories_and_plans_are_asked_about_as_cells_are(tmp_path: Path) -> None:
    sheets = {"goals": GOALS, "factors": [["factor", "value"], ["market", '{ samples = "h.xlsx#value" }']]}
    rows = [["unit", "kpi", "period", "value"], *(["a", "sat", f"2026-{month:02}", [0.9]] for month in range(1, 13))]
    codes(tmp_path, {"history": rows}, "EUR")
    (tmp_path / "b.xlsx").rename(tmp_path / "h.xlsx")
    assert codes(tmp_path, sheets, "EUR") == ["E-percent-format history!D2"]
    codes(tmp_path, {"plan": [["unit", "kpi", "target"], ["a", "sat", [0.9]]]}, "EUR")
    (tmp_path / "b.xlsx").rename(tmp_path / "p.xlsx")
    assert codes(tmp_path, {"goals": GOALS}, "EUR") == []
    model = kpiopt.load(tmp_path / "s.toml")
    with pytest.raises(kpiopt.InputError, match=r"the sheet shows 90 % here but holds 0\.9, and 'sat' is in EUR"):
        read_given_plan(build_graph(model), tmp_path / "p.xlsx")
    with pytest.raises(kpiopt.InputError, match=r"holds 0\.9, and 'sat' is in EUR \(12 such cells\)"):
        meet_model(read_history(tmp_path / "h.xlsx"), model)


def test_shares_may_be_shown_as_percentages(tmp_path: Path) -> None:
    goals = [["goal", "target", "p_min"], ["sat", 85, [0.9]]]
    assert codes(tmp_path, {"goals": goals}) == []
    assert codes(tmp_path, {"goals": [["goal", "target"], ["sat", [0.9]]]}, "share") == []
    assert kpiopt.load(tmp_path / "s.toml").goals["sat"].target == 0.9


@pytest.mark.parametrize("row", [["extends", "no.toml"], ["schema", 2], ["tables.goals", "b.xlsx#g"]])
def test_settings_that_a_table_cannot_make_are_refused(tmp_path: Path, row: list[Any]) -> None:
    found = codes(tmp_path, {"settings": [["key", "value"], ["schema", 1]], "goals": GOALS})
    assert found == []
    assert codes(tmp_path, {"settings": [["key", "value"], row]}) == ["E-table-setting settings!B2"]
