"""A scenario as a workbook and back: the same scenario, the same plan, the same odds; every finding names its cell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import python_calamine
import xlsxwriter

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import Problem
from kpiopt.reading.sections import BULK_TABLES, SECTIONS
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.plan import TablesSection
from kpiopt.scenario.load import check_scenario, load_scenario
from kpiopt.scenario.scenario import Scenario
from tests.nights import rest_at_night

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "kpiopt" / "templates" / "scenario.toml"
QUARTERS = ROOT / "scenarios" / "by_period" / "scorecard-quarters.toml"
SHIPPED = [*sorted((ROOT / "scenarios").glob("*.toml")), QUARTERS, STARTER]
ALIKE = ("adventureworks-base", "adventureworks-targets-check")
"""Scenarios of a model of which another is tried."""


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def resolved(scenario: Scenario) -> dict[str, object]:
    """Return everything that the document says, short forms written out, without what stands in tables."""
    kept = {k: v for k, v in scenario.document.items() if k not in ("tables", "unit", "cell", "rules")}
    return ScenarioDocument.model_validate({"tables": {}, **kept}).model_dump()


def require_same(one: Scenario, other: Scenario) -> None:
    assert resolved(one) == resolved(other)
    assert one.variants == other.variants and one.kpi_ids == other.kpi_ids
    assert (one.units.ids, one.units.names, one.units.levels, one.units.roles) == (
        other.units.ids, other.units.names, other.units.levels, other.units.roles,
    )  # fmt: skip
    for part in ("parent", "size", "target_incentive"):
        np.testing.assert_array_equal(getattr(one.units, part), getattr(other.units, part))
    cells = ("unit", "kpi", "baseline", "min_stretch", "max_stretch", "lock", "reference", "pay_rate", "weight", "size")
    for part in cells:
        np.testing.assert_array_equal(getattr(one.cells, part), getattr(other.cells, part), err_msg=part)
    assert one.cells.baseline_quantity == other.cells.baseline_quantity
    assert one.uncertainty.execution == other.uncertainty.execution
    for name in one.cells.effort:
        np.testing.assert_array_equal(one.cells.effort[name], other.cells.effort[name])


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.nightly] if path.stem in ALIKE else [], id=path.stem) for path in SHIPPED],
)
def test_shipped_scenarios_survive_the_round_trip(tmp_path: Path, path: Path) -> None:
    (tmp_path / "kpiopt.toml").touch()
    run("convert", path, tmp_path / "plan.xlsx")
    run("convert", tmp_path / "plan.xlsx", tmp_path / "back.toml")
    book = python_calamine.load_workbook(tmp_path / "plan.xlsx")
    heads = {name: book.get_sheet_by_name(name).to_python()[:2] for name in book.sheet_names}
    unhelped = [
        (s, c) for s, (helps, columns) in heads.items() for h, c in zip(helps, columns, strict=True) if len(h) < 4
    ]
    assert not unhelped
    original = load_scenario(path)
    for name in ("plan.xlsx", "back.toml"):
        require_same(original, load_scenario(tmp_path / name))
    for variant in original.variants:
        require_same(load_scenario(path, variant=variant), load_scenario(tmp_path / "plan.xlsx", variant=variant))


@pytest.mark.parametrize(
    "path", rest_at_night([ROOT / "scenarios" / "hand-solved.toml", STARTER, QUARTERS], 1), ids=str
)
def test_the_plan_and_its_odds_are_the_same(tmp_path: Path, path: Path) -> None:
    run("convert", path, tmp_path / "plan.xlsx")
    one, other = (
        kpiopt.solve(kpiopt.load(source, overrides=["simulation.draws=512"]))
        for source in (path, tmp_path / "plan.xlsx")
    )
    assert one.plan.targets.equals(other.plan.targets)
    assert str(one.odds) == str(other.odds)


def test_init_excel_gives_a_scenario_that_solves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("init", "--excel", "plan.xlsx")
    run("solve", "plan.xlsx", "--no-simulation", "--set", "initiative.coaching.whole=false")
    run("init", "--excel", "other.xlsx", "--from", "plan.xlsx")
    require_same(load_scenario("plan.xlsx"), load_scenario("other.xlsx"))
    assert main(["init", "--excel", "plan.xlsx"]) == 8
    assert main(["init", "--excel", "plan.csv"]) == 2


@pytest.mark.nightly
def test_a_workbook_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("init", "--excel", tmp_path / "plan.xlsx")
    capsys.readouterr()
    run("compare", tmp_path / "plan.xlsx", "--no-simulation", "--json")
    compared = json.loads(capsys.readouterr().out)["comparisons"]
    assert len(compared) == len(load_scenario(tmp_path / "plan.xlsx").variants) > 0


def test_the_workbook_has_all_sheets_help_and_no_formula(tmp_path: Path) -> None:
    run("init", "--excel", tmp_path / "plan.xlsx")
    book = python_calamine.load_workbook(tmp_path / "plan.xlsx")
    assert tuple(book.sheet_names) == (*SECTIONS, *BULK_TABLES)
    for name in book.sheet_names:
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        assert str(rows[0][0]).startswith("#") and all(rows[1])


def test_every_sheet_is_named_in_the_format() -> None:
    assert set(TablesSection.model_fields) == {*SECTIONS, "units", "cells"}


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> list[Problem]:
    """Write a workbook and return what `check` has to say about it."""
    book = xlsxwriter.Workbook(path)
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for i, row in enumerate(rows):
            sheet.write_row(i, 0, row)
    book.close()
    return list(check_scenario(path)[1])


SMALL: dict[str, list[list[object]]] = {
    "settings": [["key", "value"], ["schema", 1], ["name", "Small"], ["decide.order", '["goals", "reference"]']],
    "kpis": [["kpi", "unit", "step", "#why"], ["sales", "EUR", 10, "see mail"], ["visits", "visits", None, ""]],
    "drivers": [["kpi", "cause", "contribution", "at"], ["sales", "visits", "3 to 5", "team"]],
    "goals": [["goal", "kpi", "target", "hard"], ["more", "sales", 330, False]],
    "pay_plans": [["pay_plan", "attainment", "payout", "cap"], ["p", 0, 0, 2], ["p", 1, 1, None]],
    "units": [["unit", "parent", "level"], ["co", "", ""], ["n", "co", "team"], ["s", "co", "team"]],
    "cells": [
        ["unit", "kpi", "baseline", "max_stretch"],
        *([unit, kpi, 100, 20] for unit in "ns" for kpi in ("sales", "visits")),
    ],
}  # fmt: skip


def test_a_workbook_is_a_whole_scenario(tmp_path: Path) -> None:
    assert not [p for p in workbook(tmp_path / "plan.xlsx", SMALL) if p.is_error]
    scenario = load_scenario(tmp_path / "plan.xlsx", overrides=["kpi.sales.step=5"])
    assert scenario.kpis["sales"].step == 5 and scenario.goals["more"].target == 330
    assert scenario.decide.order == ("goals", "reference") and len(scenario.cells) == 4
    assert scenario.document["pay_plan"]["p"] == {"payout": [[0, 0], [1, 1]], "cap": 2}


@pytest.mark.parametrize(
    ("sheet", "row", "column", "value", "code", "cell"),
    [
        ("kpis", 1, 2, -3, "E-value", "kpis!C2"),
        ("kpis", 0, 2, "stepp", "E-unknown-key", "kpis!C2"),
        ("drivers", 1, 1, "visit", "E-unknown-driver", "drivers!"),
        ("goals", 1, 1, "nope", "E-unknown-kpi", "goals!B2"),
        ("goals", 1, 2, "many", "E-type", "goals!C2"),
        ("settings", 3, 1, '["goals"', "E-table-value", "settings!B4"),
        ("settings", 3, 0, "decide.ordre", "E-unknown-key", "settings!"),
        ("cells", 1, 2, "x", "E-number", "cells!C2"),
    ],
)
def test_every_finding_names_sheet_and_cell(
    tmp_path: Path, sheet: str, row: int, column: int, value: object, code: str, cell: str
) -> None:
    sheets = {name: [list(r) for r in rows] for name, rows in SMALL.items()}
    sheets[sheet][row][column] = value
    found = [p for p in workbook(tmp_path / "plan.xlsx", sheets) if p.is_error]
    assert code in [p.code for p in found], [str(p) for p in found]
    assert any(f"plan.xlsx!{cell}" in str(p.location) for p in found if p.code == code)


def test_unknown_sheets_are_refused_and_remarks_are_not(tmp_path: Path) -> None:
    found = workbook(tmp_path / "a.xlsx", SMALL | {"goal": [["goal"]]})
    assert [p.code for p in found if p.is_error] == ["E-workbook-sheet"] and "'goals'" in found[0].fix
    assert not [p for p in workbook(tmp_path / "b.xlsx", SMALL | {"#scratch": [["x", 1]]}) if p.is_error]
    assert [p.code for p in workbook(tmp_path / "c.xlsx", {"Sheet1": [["x"]]})] == ["E-workbook-scenario"]


class TestTablesBesideToml:
    TEXT = """schema = 1
name = "t"
[kpi.sales]
step = 7
[tables]
kpis = "kpis.csv"
goals = { path = "goals.csv", delimiter = ";", decimal = "," }
drivers = "drivers.csv"
[unit.co]
[cell."co/sales"]
baseline = 100
max_stretch = 20
[variant.other.tables]
goals = "others.csv"
"""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        for name, text in {
            "kpis.csv": "kpi,unit,step\nsales,EUR,10\nvisits,visits,\n",
            "goals.csv": "goal;kpi;target\nmore;sales;110,5\n",
            "others.csv": "goal,target\nsales,115\n",
            "drivers.csv": "kpi,cause,contribution\nsales,visits,0.5\n",
            "scenario.toml": self.TEXT + "[kpi.visits]\nbaseline = 5\n",
        }.items():
            (tmp_path / name).write_text(text)
        return tmp_path / "scenario.toml"

    def test_the_document_lies_over_its_tables(self, path: Path) -> None:
        scenario = load_scenario(path)
        assert scenario.kpis["sales"].step == 7 and scenario.kpis["sales"].unit == "EUR"
        assert scenario.goals["more"].target == 110.5 and scenario.kpis["sales"].drivers[0].cause == "visits"
        assert {Path(name).name for name in scenario.files} >= {"kpis.csv", "goals.csv", "drivers.csv"}
        assert load_scenario(path, variant="other").goals["sales"].target == 115

    def test_findings_name_the_line(self, path: Path) -> None:
        (path.parent / "kpis.csv").write_text("kpi,unit,direction\nsales,EUR,sideways\n")
        found = [p for p in check_scenario(path)[1] if p.code == "E-value"]
        assert [str(p.location).rpartition("/")[2] for p in found] == ["kpis.csv:2 column direction"]

    def test_a_kept_run_needs_only_its_folder(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path.parent)
        run("solve", path, "--no-simulation")
        folder = next((path.parent / "runs").iterdir())
        run("verify", folder)
        assert load_scenario(folder / "scenario.toml").goals["more"].target == 110.5


YEARS = """schema = 1
name = "Years"
[periods]
names = { from = "2027", every = "year", count = 3 }
[kpi.sales]
step = 1
season = [0.2, 0.3, 0.5]
[kpi.cost]
direction = "down"
season = "sales"
[kpi.skill]
kind = "stock"
carry = 0.5
[kpi.sales.drivers]
skill = { contribution = 3, lag = 1 }
[goal.sales]
target = 1100
[goal.mid]
kpi = "sales"
period = "2028"
target = 340
[initiative.course]
units = { level = "team" }
max = 4
start = ["2027", "2029"]
uses = { hours = 5 }
runs = { hours = 1 }
build_up = [0.5, 1.0]
lasts = 2
effects = { sales = 4 }
[capacity.hours]
season = [0.3, 0.3, 0.4]
[budget.cash]
limit = 10
every = "period"
[pay_plan.p]
every = "period"
payout = [[0.8, 0.0], [1.0, 1.0]]
[guardrail.steady]
where = { kpi = ["sales"] }
per_period = true
ramp = 0.5
[unit.co]
[unit.north]
parent = "co"
level = "team"
target_incentive = 100
pay_plan = "p"
capacity.hours = 100
[cell."north/sales"]
baseline = 1000
max_stretch = 150
effort.hours = 0.5
weight = 1.0
[cell."co/cost"]
baseline = 100
[cell."co/skill"]
baseline = 10
max_stretch = 5
[uncertainty]
execution = "0.7 to 1.1"
[simulation]
draws = 256
"""


def test_a_plan_by_period_is_one_workbook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of years are texts, seasons lists or names, and every command takes the workbook."""
    path, book, back = tmp_path / "years.toml", tmp_path / "plan.xlsx", tmp_path / "back.toml"
    path.write_text(YEARS, "utf-8")
    run("init", "--excel", book, "--from", path)
    run("convert", book, back)
    one = load_scenario(path)
    for other in (book, back):
        require_same(one, load_scenario(other))
        found = load_scenario(other)
        assert found.periods is not None and found.periods.names == ("2027", "2028", "2029")
        np.testing.assert_array_equal(found.periods.season, one.periods.season)
        assert found.initiatives == one.initiatives and found.goals == one.goals
    first, second = (kpiopt.solve(kpiopt.load(source)) for source in (path, book))
    assert first.plan.targets.equals(second.plan.targets)
    assert str(first.odds) == str(second.odds)
    run("check", book)
    run("solve", book, "--out", tmp_path / "runs")
    capsys.readouterr()
    run("compare", path, book, "--json", "--out", tmp_path / "runs")
    document = json.loads(capsys.readouterr().out)
    assert document["schema"].startswith("kpiopt.compare")


DISTRIBUTIONS = (
    "{ normal = [4000, 300] }", "{ lognormal = [3e3, 5e3] }", "{ triangular = [3000, 4000.5, 6000] }",
    "{ pert = [3000, 4000, 6000] }", "{ uniform = [-1.234, 5.678] }", "{ beta = [2, 3, 0, 1000] }",
    "{ discrete = [[10, 0.25], [12, 0.75]] }", '{ samples = "data/s.csv#c" }',
)  # fmt: skip
"""Every way to write a distribution in braces."""


def write_distributions(folder: Path) -> Path:
    """Write a scenario whose cells hold a distribution each, the first two with a row of a table as well."""
    (folder / "data").mkdir()
    (folder / "data" / "s.csv").write_text("c\n3000\n3500\n5000\n")
    (folder / "kpiopt.toml").touch()
    (folder / "cells.csv").write_text("unit,kpi,baseline,max_stretch\nu0,sales,1 to 2,9\nu7,sales,5,8\n")
    units = "".join(f'[unit.u{i}]\nparent = "co"\n' for i in range(len(DISTRIBUTIONS)))
    cells = "".join(f'[cell."u{i}/sales"]\nbaseline = {text}\n' for i, text in enumerate(DISTRIBUTIONS))
    path = folder / "w.toml"
    path.write_text(
        f'schema = 1\nname = "W"\n[tables]\ncells = "cells.csv"\n[kpi.sales]\n[unit.co]\n{units}{cells}'
        "[goal.sales]\ntarget = 9000\n"
    )
    return path


@pytest.mark.parametrize("form", ["plan.xlsx", "plan.toml"])
def test_distributions_of_cells_survive_the_round_trip(tmp_path: Path, form: str) -> None:
    """In another folder as well: files of samples are named from there."""
    path = write_distributions(tmp_path)
    there = tmp_path / "there" / form
    run("convert", path, there)
    run("check", there)
    run("convert", there, tmp_path / "back.toml")
    first = load_scenario(path)
    assert {q.kind for q in first.cells.baseline_quantity.values()} == {text.split()[1] for text in DISTRIBUTIONS}
    for other in (there, tmp_path / "back.toml"):
        require_same(first, load_scenario(other))


def test_a_distribution_in_a_table_is_checked_where_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Broken braces, a distribution that cannot be and samples, which only the document can name."""
    path = write_distributions(tmp_path)
    (tmp_path / "cells.csv").write_text(
        "unit,kpi,baseline\n"
        'a,sales,"{ normal = [4, -3] }"\nb,sales,{ normal = [4\nc,sales,"{ samples = ""data/s.csv#c"" }"\n'
        'd,sales,"{ uniform = [1, 1e300] }"\ne,sales,"{ pert = [1, 2, 3] }"\n'
    )
    units = "".join(f'[unit.{unit}]\nparent = "co"\n' for unit in "abcde")
    path.write_text('schema = 1\nname = "W"\n[tables]\ncells = "cells.csv"\n[kpi.sales]\n[unit.co]\n' + units)
    assert main(["check", str(path)]) != 0
    said = capsys.readouterr().err
    assert [f"cells.csv:{line} column baseline: E-" in said for line in range(2, 7)] == [*[True] * 4, False]
    assert "standard deviation of normal is -3" in said and "under [cell." in said and "5e+299" in said
