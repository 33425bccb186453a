"""LibreOffice works out the plan's workbook anew and saves scenarios: the totals are ours, the scenario is the same.

LibreOffice starts once for all files of the ordinary tests, and once more at night. Without it these tests skip.
"""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

import kpiopt
from kpiopt.cli import main
from kpiopt.reading.tables.workbook_sheet import column_letters
from kpiopt.report.page.source import source_of_run
from kpiopt.report.workbook.plan_workbook import render_workbook
from kpiopt.scenario.load import load_scenario
from tests.cli.test_convert import require_same
from tests.report import by_period
from tests.report.organizations import HOSTILE, write_scorecard
from tests.report.workbook.formulas import WorkbookText

ROOT = Path(__file__).parents[3]
AT_NIGHT = sorted((ROOT / "scenarios").rglob("*.toml"))
SETTINGS = ("simulation.draws=256",)


def without_values(content: bytes) -> bytes:
    """The same workbook without what its formulas came to, so that whoever opens it must work them out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb"</f><v>[^<]*</v>", b"</f>", old.read(name)))
    return stream.getvalue()


def with_another_target(content: bytes) -> bytes:
    """The same workbook with 1 more in the first row of its targets."""
    text, stream = WorkbookText(content), io.BytesIO()
    targets = f"xl/worksheets/sheet{text.names.index('Targets') + 1}.xml"
    old = re.search(r'<c r="H5"[^>]*><v>([^<]*)</v>', text.parts[targets])
    assert old
    changed = old.group().replace(old.group(1), str(float(old.group(1)) + 1))
    with zipfile.ZipFile(stream, "w") as archive:
        for name, part in text.parts.items():
            archive.writestr(name, part.replace(old.group(), changed) if name == targets else part)
    return stream.getvalue()


def saved_by_office(folder: Path, workbooks: dict[str, bytes]) -> dict[str, Path]:
    """Each workbook as LibreOffice saves it after opening, all by one start of it."""
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        pytest.skip("there is no LibreOffice on this machine")
    for name, content in workbooks.items():
        (folder / f"{name}.xlsx").write_bytes(content)
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    form = ["--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(folder / "saved")]
    paths = [str(folder / f"{name}.xlsx") for name in workbooks]
    subprocess.run([office, "--headless", profile, *form, *paths], check=True, capture_output=True, timeout=540)
    return {name: folder / "saved" / f"{name}.xlsx" for name in workbooks}


def cells(path: Path) -> dict[tuple[str, str], object]:
    """What a reader that is neither ours nor the office's finds in each cell."""
    found: dict[tuple[str, str], object] = {}
    book = CalamineWorkbook.from_path(path)
    for name in book.sheet_names:
        for r, row in enumerate(book.get_sheet_by_name(name).to_python(skip_empty_area=False), start=1):
            found |= {(name, f"{column_letters(c)}{r}"): value for c, value in enumerate(row, start=1) if value != ""}
    return found


def require_worked_out(content: bytes, path: Path) -> None:
    """Whatever stands in a workbook of ours stands in the office's, each total worked out there; all checks tie out."""
    ours, theirs = WorkbookText(content), cells(path)
    assert len(ours.formulas) > 40
    for at, value in ours.values.items():
        found = theirs.get(at, "")
        if isinstance(value, float):
            assert isinstance(found, float | int), (at, value, found)
            assert math.isclose(value, found, rel_tol=1e-12, abs_tol=1e-9), (at, value, found, ours.formulas.get(at))
        else:
            assert found == value, (at, ours.formulas.get(at))
    assert not [at for at, value in theirs.items() if at in ours.formulas and str(value).startswith(("#", "Err:"))]
    results = [value for (sheet, _), value in theirs.items() if sheet == "Checks" and value in ("OK", "DIFFERS")]
    assert results and set(results) == {"OK"}
    assert "All checks tie out" in [value for (sheet, _), value in theirs.items() if sheet == "Summary"]


def plan_of(path: Path) -> bytes:
    return render_workbook(source_of_run(kpiopt.solve(path, overrides=SETTINGS), "x-12345678"))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], dict[str, Path]]:
    folder = tmp_path_factory.mktemp("office")
    assert main(["init", "--excel", str(folder / "scenario.xlsx")]) == 0
    scenario = (folder / "scenario.xlsx").read_bytes()
    names = ["=1+1", "+2", "-3", "@SUM(A1)", "'quoted", *HOSTILE]
    hostile = write_scorecard(folder, len(names), names=names)
    found = {
        "hand-solved": plan_of(ROOT / "scenarios" / "hand-solved.toml"),
        "by-period": render_workbook(by_period.source()),
        "of-a-workbook": plan_of(folder / "scenario.xlsx"), "hostile": plan_of(hostile),
    }  # fmt: skip
    changed = with_another_target(found["hand-solved"])
    opened = {**found, "changed": changed}
    paths = saved_by_office(folder, {"scenario": scenario, **{k: without_values(v) for k, v in opened.items()}})
    return folder, found, paths


@pytest.mark.parametrize("name", ["hand-solved", "by-period", "of-a-workbook", "hostile"])
def test_an_office_works_out_the_same(office, name):
    _, found, paths = office
    require_worked_out(found[name], paths[name])


def test_a_changed_number_is_noticed_there(office):
    _, found, paths = office
    with pytest.raises(AssertionError):
        require_worked_out(found["hand-solved"], paths["changed"])
    assert "Some checks do not tie out" in cells(paths["changed"]).values()


def test_a_scenario_that_an_office_saved_is_the_same(office):
    folder, _, paths = office
    require_same(load_scenario(folder / "scenario.xlsx"), load_scenario(paths["scenario"]))


@pytest.mark.nightly
def test_an_office_works_out_every_shipped_scenario_and_saves_it(tmp_path):
    found = {path.stem: plan_of(path) for path in AT_NIGHT}
    for path in AT_NIGHT:
        assert main(["init", "--excel", str(tmp_path / f"in-{path.stem}.xlsx"), "--from", str(path)]) == 0
    written = {f"in-{path.stem}": (tmp_path / f"in-{path.stem}.xlsx").read_bytes() for path in AT_NIGHT}
    paths = saved_by_office(tmp_path, written | {name: without_values(content) for name, content in found.items()})
    for path in AT_NIGHT:
        require_worked_out(found[path.stem], paths[path.stem])
        require_same(load_scenario(path), load_scenario(paths[f"in-{path.stem}"]))
