"""Numbers stored as text become numbers in a copy; the workbook itself and everything else stay as they are."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import python_calamine
import xlsxwriter

from kpiopt.cli.app import main
from kpiopt.reading.tables.text_numbers import Wanted, mend_text_numbers

CELLS = [["unit", "kpi", "baseline", "max_stretch"], ["a", "sales", "120 ", 12], ["b", "sales", 80, "\u00a07.5"],
         ["007", "sales", "1.5e2", "+3"]]  # fmt: skip
UNITS = [["unit", "parent", "size"], ["top", "", ""], ["a", "top", "3"], ["b", "top", 2], ["007", "top", 2]]
SCENARIO = """schema = 1
name = "Text"
[kpi.sales]
name = "Sales"
[goal.sales]
target = 360
[tables]
units = "book.xlsx#units"
cells = "book.xlsx#cells"
"""


def write(folder: Path, cells: list[list[object]] = CELLS) -> Path:
    book = xlsxwriter.Workbook(str(folder / "book.xlsx"))
    bold = book.add_format({"bold": True})
    for name, rows in (("units", UNITS), ("cells", cells), ("#notes", [["12", "left alone"]])):
        sheet = book.add_worksheet(name)
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                write_one = sheet.write_string if isinstance(value, str) else sheet.write_number
                write_one(r, c, value, bold)
    book.close()
    (folder / "s.toml").write_text(SCENARIO, encoding="utf-8")
    return folder / "s.toml"


def sheet(data: bytes, name: str) -> list[list[object]]:
    return python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_name(name).to_python()


def test_a_mended_copy_checks_and_the_workbook_stays(tmp_path, capsys):
    path, before = write(tmp_path), (write(tmp_path).parent / "book.xlsx").read_bytes()
    assert main(["check", str(path)]) == 3
    assert "--fix-text-numbers" in capsys.readouterr().err
    assert main(["check", str(path), "--fix-text-numbers", str(tmp_path / "mended.xlsx")]) == 0
    said = capsys.readouterr().err
    assert "5 numbers that were text" in said and all(f"cells!{c}" in said for c in ("C2", "D3", "C4", "D4"))
    assert (tmp_path / "book.xlsx").read_bytes() == before
    mended = (tmp_path / "mended.xlsx").read_bytes()
    assert sheet(mended, "cells")[1:] == [
        ["a", "sales", 120.0, 12.0],
        ["b", "sales", 80.0, 7.5],
        ["007", "sales", 150.0, 3.0],
    ]
    assert sheet(mended, "units")[2] == ["a", "top", 3.0]
    assert sheet(mended, "#notes") == [["12", "left alone"]]
    old, new = zipfile.ZipFile(io.BytesIO(before)), zipfile.ZipFile(io.BytesIO(mended))
    assert old.namelist() == new.namelist()
    same = [n for n in old.namelist() if "worksheets" not in n]
    assert all(old.read(n) == new.read(n) for n in same)
    path.write_text(SCENARIO.replace("book.xlsx", "mended.xlsx"), encoding="utf-8")
    assert main(["check", str(path)]) == 0


def test_it_is_never_written_over_the_workbook_or_another_file(tmp_path, capsys):
    path = write(tmp_path)
    before = (tmp_path / "book.xlsx").read_bytes()
    for force in ([], ["--force"]):
        assert main(["check", str(path), "--fix-text-numbers", str(tmp_path / "book.xlsx"), *force]) == 8
    (tmp_path / "mine.xlsx").write_bytes(b"mine")
    assert main(["check", str(path), "--fix-text-numbers", str(tmp_path / "mine.xlsx")]) == 8
    assert (tmp_path / "book.xlsx").read_bytes() == before and (tmp_path / "mine.xlsx").read_bytes() == b"mine"


def test_what_could_mean_two_things_or_nothing_is_left_and_told(tmp_path, capsys):
    path = write(tmp_path, [*CELLS[:2], ["b", "sales", "1,234", "n/a"], ["007", "sales", 10, "12"]])
    assert main(["check", str(path), "--fix-text-numbers", str(tmp_path / "m.xlsx")]) == 3
    said = capsys.readouterr().err
    assert "cells!C3" in said and "cells!D3: E-number" in said and "cells!C2: E-number-as-text" not in said
    assert sheet((tmp_path / "m.xlsx").read_bytes(), "cells")[2:] == [
        ["b", "sales", "1,234", "n/a"],
        ["007", "sales", 10.0, 12.0],
    ]


def test_where_nothing_is_text_nothing_is_written(tmp_path, capsys):
    assert main(["check", "scenarios/hand-solved.toml", "--fix-text-numbers", str(tmp_path / "n.xlsx")]) == 0
    assert "nothing was written" in capsys.readouterr().err and not (tmp_path / "n.xlsx").exists()


def test_a_scenario_workbook_is_mended_where_numbers_are_wanted(tmp_path, capsys):
    book = tmp_path / "plan.xlsx"
    assert main(["init", "--excel", str(book)]) == 0
    parts = {n: zipfile.ZipFile(book).read(n) for n in zipfile.ZipFile(book).namelist()}
    name = "xl/worksheets/sheet4.xml"  # kpis
    old = b"<v>1</v></c>"
    at = parts[name].index(old)
    start = parts[name].rindex(b"<c ", 0, at)
    cell = parts[name][start : at + len(old)]
    text = cell.replace(b"><v>1</v>", b' t="inlineStr"><is><t> 1 </t></is>')
    parts[name] = parts[name].replace(cell, text, 1)
    with zipfile.ZipFile(book, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    assert main(["check", str(book)]) == 3
    assert main(["check", str(book), "--fix-text-numbers", str(tmp_path / "mended.xlsx")]) == 0
    assert zipfile.ZipFile(tmp_path / "mended.xlsx").read(name).count(cell) >= 1
    assert main(["check", str(tmp_path / "mended.xlsx")]) == 0


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('<x:c r="A1" s="3" t="inlineStr"><x:is><x:t>5</x:t></x:is></x:c>', '<x:c r="A1" s="3"><x:v>5</x:v></x:c>'),
        ('<x:c t="str"><x:v>1e400</x:v></x:c>', None),
        ('<x:c t="str"><x:f>1&amp;2</x:f><x:v>12</x:v></x:c>', None),
        ('<x:c t="str"><x:v>1 234</x:v></x:c>', None),
        ('<x:c t="str"><x:v>12345678901234567890</x:v></x:c>', '<x:c r="A1"><x:v>1.2345678901234567e+19</x:v></x:c>'),
        ('<!-- <x:c t="str"><x:v>9</x:v></x:c> --><x:c t="str"><x:v>.5</x:v></x:c>',
         '<!-- <x:c t="str"><x:v>9</x:v></x:c> --><x:c r="A1"><x:v>0.5</x:v></x:c>'),
    ],
)  # fmt: skip
def test_cells_as_other_programs_write_them(cell, expected):
    main_part = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    xml = f'<x:worksheet xmlns:x="{main_part}"><x:sheetData><x:row r="1">{cell}</x:row></x:sheetData></x:worksheet>'
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", xml)
        archive.writestr("xl/workbook.xml", f'<workbook xmlns="{main_part}" xmlns:r="{office}"><sheets>'
                         '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>')  # fmt: skip
        archive.writestr("xl/_rels/workbook.xml.rels", '<Relationships><Relationship Id="r1" '
                         'Target="worksheets/sheet1.xml"/></Relationships>')  # fmt: skip
    data, cells = mend_text_numbers(stream.getvalue(), "b.xlsx", {"S": Wanted({1: 1})})
    found = zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").decode()
    assert found == (xml.replace(cell, expected) if expected else xml)
    assert cells == (["S!A1"] if expected else [])
