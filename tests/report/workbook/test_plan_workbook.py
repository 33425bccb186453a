"""The plan's workbook says what the run says, adds up by its own formulas, and holds nothing that runs."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from functools import cache
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

import kpiopt
from kpiopt.cli.app import main
from kpiopt.report.page.source import ReportSource, source_of_run
from kpiopt.report.workbook.plain_sheet import PlainSheet
from kpiopt.report.workbook.plan_workbook import render_workbook
from kpiopt.report.workbook.targets import sheet_name
from kpiopt.runs.workbook_parts import compare_workbooks
from tests.report import by_period
from tests.report.organizations import HOSTILE, write_scorecard
from tests.report.workbook.formulas import WorkbookText

SHIPPED = ("hand-solved", "scorecard", "adventureworks-base", "by-period")
DRAWS = ("simulation.draws=512",)


@cache
def source(name: str) -> ReportSource:
    if name == "by-period":
        return by_period.source()
    run = kpiopt.solve(f"scenarios/{name}.toml", overrides=DRAWS)
    return source_of_run(run, f"{name}-12345678")


@cache
def book(name: str) -> bytes:
    return render_workbook(source(name))


def rows(content: bytes, sheet: str) -> list[dict[str, object]]:
    """The rows of a sheet as a second reader finds them."""
    found = (
        CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    )
    header = [name for name in found[3] if name]
    return [dict(zip(header, row, strict=False)) for row in found[4:] if any(field != "" for field in row[:2])]


def zipped(parts: dict[str, str]) -> bytes:
    """A workbook of parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_stored_value_is_what_its_formula_comes_to(name):
    text = WorkbookText(book(name))
    assert len(text.formulas) > 40
    for sheet, cell in text.formulas:
        stored, found = text.values.get((sheet, cell), ""), text.work_out(sheet, cell)
        if isinstance(stored, float):
            assert math.isclose(found, stored, rel_tol=1e-9, abs_tol=1e-6), (sheet, cell, text.formulas[sheet, cell])
        else:
            assert found == stored, (sheet, cell)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_targets_are_those_of_the_run(name):
    found, table = rows(book(name), "Targets"), source(name).table.to_dicts()
    assert len(found) == len(table)
    for ours, theirs in zip(found, table, strict=True):
        assert ours["unit id"] == theirs["unit"]
        for column in ("baseline", "plan", "target"):
            assert ours[column] == pytest.approx(theirs[column], rel=1e-15)
        assert (ours["stopped by"] == "") == (not theirs["binding"])


@pytest.mark.parametrize("name", SHIPPED)
def test_all_checks_tie_out_and_notice_a_number_that_is_changed(name):
    content = book(name)
    checks = rows(content, "Checks")
    assert checks and {row["result"] for row in checks} == {"OK"}
    text = WorkbookText(content)
    at = next(cell for (sheet, cell) in text.values if sheet == "Targets" and cell == "H5")
    text.values["Targets", at] += 1.0
    assert any(
        text.work_out("Checks", f"B{row}") != text.values["Checks", f"C{row}"]
        or text.work_out("Checks", f"C{row}") != text.values["Checks", f"B{row}"]
        for row in range(5, 5 + len(checks))
        if ("Checks", f"B{row}") in text.formulas and ("Checks", f"C{row}") in text.formulas
    )


def test_totals_are_formulas_over_the_rows_below():
    text = WorkbookText(book("adventureworks-base"))
    totals = [f for (sheet, _), f in text.formulas.items() if sheet == "Sales" and f.startswith("SUM(")]
    inner = [
        row
        for row in source("adventureworks-base").table.to_dicts()
        if row["kpi"] == "sales" and row["unassigned"] is not None
    ]
    assert len(totals) == 3 * len(inner)
    sums = [
        cell
        for (sheet, cell), f in text.formulas.items()
        if sheet == "Sales" and cell[0] == "D" and f.startswith("SUM(")
    ]
    leaf = next(c for c in (f"D{r}" for r in range(6, 40)) if ("Sales", c) not in text.formulas)
    text.values["Sales", leaf] += 1000.0
    moved = [cell for cell in sums if text.work_out("Sales", cell) != text.values["Sales", cell]]
    assert len(moved) == 1


@pytest.mark.parametrize("name", ["scorecard", "by-period"])
def test_targets_of_means_tie_out_but_for_rounding(name):
    """Worked out anew: each is the mean of those below and what is nobody's, and rounding is at most a step."""
    text, kpis = WorkbookText(book(name)), source(name).scenario.kpis.values()
    told = [k for k in kpis if k.roll_up == "mean" and k.name in text.names]
    assert told
    for kpi in told:
        found, above = rows(book(name), kpi.name), []
        for i, row in enumerate(found):
            if row["mean below"] != "":
                cells = text.formulas[kpi.name, f"{kpi_column(text, kpi.name, 'mean below')}{5 + i}"]
                below = [found[r - 5] for r in rows_of_first_span(cells)]
                assert row["mean below"] == pytest.approx(sum(r["counts"] * r["target"] for r in below))
                assert sum(r["counts"] for r in below if r["unit id"]) == pytest.approx(1.0)
                assert row["by rounding"] == pytest.approx(row["target"] - row["mean below"], abs=1e-9)
                assert kpi.step is None or abs(row["by rounding"]) <= kpi.step + 1e-9
                above.append(row)
        assert above
        checks = [r for r in rows(book(name), "Checks") if str(r["check"]).startswith(f"{kpi.name}: targets that")]
        assert [r["result"] for r in checks] == ["OK"]
        column = kpi_column(text, kpi.name, "target")
        text.values[kpi.name, f"{column}5"] += 10 * (kpi.step or 1.0)
        by, beyond = (kpi_column(text, kpi.name, h) for h in ("by rounding", "beyond"))
        text.values[kpi.name, f"{by}5"] = text.work_out(kpi.name, f"{by}5")
        assert text.work_out(kpi.name, f"{beyond}5") == 1.0


def rows_of_first_span(formula: str) -> list[int]:
    """The rows that the first arguments of a formula's SUMPRODUCTs name."""
    found: list[int] = []
    for first, last in re.findall(r"SUMPRODUCT\([A-Z]+(\d+)(?::[A-Z]+(\d+))?,", formula):
        found += range(int(first), int(last or first) + 1)
    return found


def kpi_column(text: WorkbookText, sheet: str, header: str) -> str:
    """The letters of a column."""
    return next(cell[:-1] for (s, cell), value in text.values.items() if s == sheet and value == header)


def test_what_stops_a_target_is_said_in_words():
    stops = {row["stopped by"] for row in rows(book("scorecard"), "Targets")}
    assert stops - {""} and not any("_" in str(text) for text in stops), stops


def test_equal_runs_give_equal_bytes():
    assert render_workbook(source("hand-solved")) == book("hand-solved")


def test_odds_are_never_shown_as_nothing_or_everything():
    styles = WorkbookText(book("hand-solved")).parts["xl/styles.xml"]
    assert "below 0.1%" in styles and "above 99.9%" in styles
    assert {row["odds"] for row in rows(book("hand-solved"), "Goals") if row["goal"] == "Complaints"} == {"certain"}


def test_what_does_not_fit_is_said():
    found = render_workbook(source("adventureworks-base"), 20)
    text = WorkbookText(found)
    assert len(rows(found, "Targets")) == 20
    assert "rows further down are left out, all are in targets.csv" in str(text.values["Targets", "A2"])
    assert {row["result"] for row in rows(found, "Checks")} == {"OK"}


def test_names_from_data_stay_text(tmp_path):
    names = [*HOSTILE, "+1+1", "-2", "@SUM(1)", "\\u0007bell", "'quoted", "History", "a:b*c?d/e[f]", "x" * 300]
    names = [name.replace("\\u0007", "\u0007") for name in names]
    path = write_scorecard(tmp_path, len(names), names=names)
    content = render_workbook(source_of_run(kpiopt.solve(path, overrides=("simulation.draws=64",)), "x-12345678"))
    text = WorkbookText(content)
    assert not any("<hyperlink" in part for part in text.parts.values())
    assert not any("ddeLink" in part or "externalLink" in part for part in text.parts)
    for sheet, cell in text.formulas:  # the second reader refuses whatever is not one of these
        text.work_out(sheet, cell)
    shown = {row["KPI"] for row in rows(content, "Targets")}
    assert "=cmd|' /C calc'!A0" in shown and "http://example.com/x" in shown
    assert not any("\u202e" in str(name) or "\u0007" in str(name) for name in shown)
    assert len({name.casefold() for name in text.names}) == len(text.names)
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in text.names)


def test_names_of_sheets():
    assert sheet_name("Pay", []) == "Pay (2)"
    assert sheet_name("a/b", ["A b"]) == "a b (2)"
    assert sheet_name("'''", []) == "KPI"
    assert len(sheet_name("long " * 50, [])) <= 31


def test_a_run_has_its_workbook_and_verify_compares_it(tmp_path, capsys):
    assert main(["solve", "scenarios/hand-solved.toml", "--out", str(tmp_path), "--draws", "512", "--json"]) == 0
    folder = next(tmp_path.iterdir())
    kept = (folder / "plan.xlsx").read_bytes()
    entry = json.loads((folder / "run.json").read_text("utf-8"))["manifest"]["files"]["plan.xlsx"]
    assert entry["bytes"] == len(kept)
    capsys.readouterr()
    assert main(["verify", str(folder)]) == 0
    assert "plan.xlsx follows from the proof" in capsys.readouterr().out
    assert main(["report", str(folder), "--xlsx", str(tmp_path / "p.xlsx")]) == 0
    assert (tmp_path / "p.xlsx").read_bytes() == kept


def test_a_workbook_that_says_something_else_is_told():
    ours = book("hand-solved")
    assert list(compare_workbooks(ours, ours)) == []
    text = WorkbookText(ours)

    def changed(part: str, old: str, new: str) -> bytes:
        assert old in text.parts[part]
        return zipped({**text.parts, part: text.parts[part].replace(old, new, 1)})

    targets = f"xl/worksheets/sheet{text.names.index('Targets') + 1}.xml"
    assert list(compare_workbooks(changed(targets, "<v>64800</v>", "<v>64800.000000001</v>"), ours)) == []
    assert list(compare_workbooks(changed(targets, "<v>64800</v>", "<v>64801</v>"), ours)) == [
        f"{targets} says something else"
    ]
    assert list(compare_workbooks(changed(targets, "H8-F8", "H8-F9"), ours)) == [f"{targets} says something else"]
    assert list(compare_workbooks(changed("xl/sharedStrings.xml", "Ann", "Bob"), ours)) != []
    assert list(compare_workbooks(b"no zip", ours)) == ["it cannot be read"]


def test_the_workbook_of_a_file_is_for_its_owner_alone(tmp_path: Path):
    assert main(["solve", "scenarios/hand-solved.toml", "--out", str(tmp_path / "r"), "--no-simulation"]) == 0
    folder = next((tmp_path / "r").iterdir())
    assert (folder / "plan.xlsx").stat().st_mode & 0o077 == 0
    text = WorkbookText((folder / "plan.xlsx").read_bytes())
    assert "not simulated" in str(text.values["Summary", "A2"])


def test_periods_stand_beside_the_horizon_and_come_to_it():
    found, content = source("by-period"), book("by-period")
    targets = {(r["unit"], r["kpi"], r["period"]): r["target"] for r in found.table.to_dicts()}
    names = {kpi.name: kpi.id for kpi in found.scenario.kpis.values()}
    periods = rows(content, "Periods")
    assert len(periods) == len([key for key in targets if key[2] is None])
    for row in periods:
        unit, kpi = row["unit id"], names[row["KPI"]]
        assert row["target"] == targets[unit, kpi, None]
        parts = [row[f"target {t}"] for t in ("T1", "T2", "T3")]
        assert parts == [targets[unit, kpi, t] for t in ("T1", "T2", "T3")]
        assert kpi == "quality" or row["periods come to"] == (sum(parts) if kpi == "sales" else parts[-1])
    everything = [(r["unit id"], names[r["KPI"]], None if r["period"] == "in all" else r["period"])
                  for r in rows(content, "Targets")]  # fmt: skip
    assert everything == list(targets)
    limits = {(r["limit"], r["period"]) for r in rows(content, "Limits")}
    assert ("hours of Northerners", "T2") in limits
    assert {r["begins in"] for r in rows(content, "Initiatives")} == {"T1", "T2"}
    text = WorkbookText(content)
    assert text.formulas["Sales", "F5"].startswith("SUM(")  # a period's target of the firm
    at = next(cell for sheet, cell in text.values if sheet == "Periods" and cell == "H7")
    text.values["Periods", at] += 1.0  # a period that does not come to the horizon is noticed
    moved = [text.work_out("Periods", cell) for sheet, cell in text.formulas if sheet == "Periods" and cell[0] == "J"]
    assert moved


@pytest.mark.parametrize("name", ["scorecard", "by-period"])
def test_the_fast_sheet_writes_what_the_library_would(monkeypatch, name):
    from xlsxwriter.worksheet import Worksheet

    for method in ("_prepare_formula", "_write_cell"):
        monkeypatch.setattr(PlainSheet, method, getattr(Worksheet, method))
    assert render_workbook(source(name)) == book(name)
