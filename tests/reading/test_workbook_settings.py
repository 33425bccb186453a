"""Sections as sheets: figures that are shown as percentages, settings that a table cannot make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

import kpiopt
from kpiopt.scenario.load import check_scenario

BASE = """schema = 1
name = "Shares"
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
