"""Excel sheets: typed values with their cells, and every doubtful or harmful workbook refused.

The workbooks are written here part by part, so that each test holds exactly the XML it is about.
"""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpiopt.errors import InputError, Problem, SecurityError, TableError
from kpiopt.reading.tables import workbook, workbook_archive
from kpiopt.reading.tables.read import CELLS_TABLE, Table, read_table
from kpiopt.reading.tables.workbook_sheet import cell_position, column_letters

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DATE_STYLE = "1"

Cells = Mapping[str, object]
HEADER: dict[str, object] = {"A1": "unit", "B1": "kpi", "C1": "baseline"}


class Raw(str):
    """XML of a cell: its attributes, a bar, its content."""


def sheet_xml(cells: Cells, before: str = "", after: str = "", rows: Mapping[int, str] | None = None) -> str:
    by_row: dict[int, list[str]] = {}
    for reference, value in sorted(cells.items(), key=lambda item: cell_position(item[0])):
        by_row.setdefault(cell_position(reference)[0], []).append(cell_xml(reference, value))
    body = "".join(f'<row r="{r}" {(rows or {}).get(r, "")}>{"".join(c)}</row>' for r, c in by_row.items())
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{body}</sheetData>{after}</worksheet>'


def cell_xml(reference: str, value: object) -> str:
    if isinstance(value, Raw):
        attributes, _, content = value.partition("|")
        return f'<c r="{reference}" {attributes}>{content}</c>'
    if isinstance(value, str):
        return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c r="{reference}"><v>{value!r}</v></c>'


def parts(sheets: Mapping[str, str], *, workbook: str = "", calculation: str = "", state: str = "") -> dict[str, str]:
    listed = "".join(
        f"<sheet name={quoteattr(name)} sheetId='{i}' r:id='r{i}' {state if i > 1 else ''}/>"
        for i, name in enumerate(sheets, start=1)
    )
    relations = "".join(
        f'<Relationship Id="r{i}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    styles = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs>'
    return {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" '
        f'ContentType="application/xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{workbook}<sheets>{listed}</sheets>'
        f"{calculation}</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{relations}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
    } | {f"xl/worksheets/sheet{i}.xml": xml for i, xml in enumerate(sheets.values(), start=1)}


def packed(content: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in content.items():
            archive.writestr(name, xml)
    return stream.getvalue()


def book(cells: Cells, **sheet: object) -> bytes:
    return packed(parts({"cells": sheet_xml(cells, **sheet)}))  # type: ignore[arg-type]


def read(tmp_path: Path, data: bytes, sheet: str | None = None) -> Table:
    path = tmp_path / "plan.xlsx"
    path.write_bytes(data)
    return read_table(path, "plan.xlsx", CELLS_TABLE, sheet=sheet)


def problems(
    tmp_path: Path, data: bytes, kind: type[InputError] = TableError, sheet: str | None = None
) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        read(tmp_path, data, sheet)
    assert type(caught.value) is kind, str(caught.value)
    return list(caught.value.problems)


def cells_of(found: list[Problem]) -> list[str]:
    return [str(problem.location) for problem in found]


# Good sheets ------------------------------------------------------------------------------------------------------


def test_values_and_their_cells(tmp_path: Path) -> None:
    cells = {"B3": "unit", "C3": "kpi", "D3": "baseline", "E3": "size"} | {"B5": "a", "C5": "x", "D5": 1.5, "E5": 2}
    table = read(tmp_path, book(cells | {"B7": "b", "C7": "x", "D7": "38 to 42"}), "cells")
    assert table.texts("unit").tolist() == ["a", "b"]
    assert table.numbers("baseline")[0] == 1.5 and table.quantity_text["baseline"] == {1: "38 to 42"}
    np.testing.assert_array_equal(table.numbers("size"), [2.0, np.nan])
    assert table.row_number.tolist() == [5, 7]
    assert str(table.location(1, "baseline")) == "plan.xlsx!cells!D7"


def test_cells_without_references_stand_one_after_another(tmp_path: Path) -> None:
    rows = [["unit", "kpi", "baseline"], ["a", "x", 0.1]]
    body = "".join(
        "<row>" + "".join(re.sub(r' r="[A-Z0-9]+"', "", cell_xml("A1", v)) for v in row) + "</row>" for row in rows
    )
    table = read(
        tmp_path, packed(parts({"cells": f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'}))
    )
    assert table.numbers("baseline").tolist() == [0.1]


def test_sheets_are_chosen_by_name(tmp_path: Path) -> None:
    other = sheet_xml(HEADER | {"A2": "z", "B2": "x", "C2": 9})
    data = packed(parts({"cells": sheet_xml(HEADER | {"A2": "a", "B2": "x", "C2": 1}), "R&D <2>": other}))
    assert read(tmp_path, data, "R&D <2>").texts("unit").tolist() == ["z"]
    assert read(tmp_path, data, "cells").texts("unit").tolist() == ["a"]
    assert "did you mean 'cells'" in problems(tmp_path, data, sheet="cell")[0].fix
    assert "2 sheets" in problems(tmp_path, data)[0].message


finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
names = st.text(st.characters(codec="utf-8", categories=["Lu", "Ll", "Lo", "Nd"]), min_size=1, max_size=6).map(
    lambda text: unicodedata.normalize("NFC", text)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, finite | st.none()), min_size=1, max_size=12, unique_by=lambda row: row[0]))
def test_random_sheets_are_read_exactly(tmp_path: Path, rows: list[tuple[str, float | None]]) -> None:
    cells = dict(HEADER)
    for number, (unit, value) in enumerate(rows, start=2):
        cells |= {f"A{number}": unit, f"B{number}": "x"} | ({} if value is None else {f"C{number}": value})
    table = read(tmp_path, book(cells))
    assert table.texts("unit").tolist() == [row[0] for row in rows]
    np.testing.assert_array_equal(table.numbers("baseline"), [np.nan if v is None else v for _, v in rows])


def test_whole_numbers_are_ids_by_their_digits_with_a_note(tmp_path: Path) -> None:
    table = read(tmp_path, book(HEADER | {"A2": 1001, "B2": "x", "C2": 1, "A3": "007", "B3": "x", "C3": 1}))
    assert table.texts("unit").tolist() == ["1001", "007"]
    assert [(n.code, str(n.location)) for n in table.notes] == [("N-text-from-number", "plan.xlsx!cells!A2")]
    found = problems(tmp_path, book(HEADER | {"A2": 1.5, "B2": "x", "C2": 1, "A3": 1e17, "B3": "x", "C3": 1}))
    assert cells_of(found) == ["plan.xlsx!cells!A2", "plan.xlsx!cells!A3"]


@pytest.mark.parametrize(
    ("number", "letters"), [(1, "A"), (26, "Z"), (27, "AA"), (702, "ZZ"), (703, "AAA"), (16384, "XFD")]
)
def test_column_letters(number: int, letters: str) -> None:
    assert column_letters(number) == letters and cell_position(f"{letters}9") == (9, number)


# Doubtful sheets --------------------------------------------------------------------------------------------------


def test_row_26_no_rows(tmp_path: Path) -> None:
    assert "0 rows" in problems(tmp_path, book(HEADER))[0].message
    assert "0 rows" in problems(tmp_path, book({}))[0].message


def test_row_30_and_columns(tmp_path: Path) -> None:
    found = problems(tmp_path, book(HEADER | {"D1": "kpi", "A2": "a"}))
    assert "columns 2 and 4" in found[0].message and str(found[0].location) == "plan.xlsx!cells!D1"
    found = problems(tmp_path, book(HEADER | {"E1": "wieght", "A2": "a", "B2": "x"}))
    assert "'weight'" in found[0].fix


def test_row_31_values_beside_the_table(tmp_path: Path) -> None:
    found = problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "F2": "see mail"}))
    assert cells_of(found) == ["plan.xlsx!cells!F2"] and "'see mail'" in found[0].message


def test_row_42_duplicates(tmp_path: Path) -> None:
    found = problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": 1, "A4": "a ", "B4": "x", "C4": 2}))
    assert cells_of(found) == ["plan.xlsx!cells!A2"] and "rows: 2 and 4" in found[0].message


@pytest.mark.parametrize(
    ("setting", "system", "day"), [("", "1900", "2026-01-02"), ('<workbookPr date1904="1"/>', "1904", "2030-01-03")]
)
def test_row_45_dates_name_their_system(tmp_path: Path, setting: str, system: str, day: str) -> None:
    cells = HEADER | {"A2": "a", "B2": "x", "C2": Raw(f's="{DATE_STYLE}"|<v>46024</v>')}
    found = problems(tmp_path, packed(parts({"cells": sheet_xml(cells)}, workbook=setting)))
    assert cells_of(found) == ["plan.xlsx!cells!C2"]
    assert system in found[0].message and day in found[0].message


def test_row_45_an_id_that_became_a_date(tmp_path: Path) -> None:
    found = problems(tmp_path, book(HEADER | {"A2": Raw(f's="{DATE_STYLE}"|<v>46024</v>'), "B2": "x", "C2": 1}))
    assert [p.code for p in found] == ["E-table-date"] and cells_of(found) == ["plan.xlsx!cells!A2"]


@pytest.mark.parametrize("content", ["<f>1+1</f>", "<f>1+1</f><v/>", "<f>1+1</f><v></v>"])
def test_row_47_formulas_without_value(tmp_path: Path, content: str) -> None:
    found = problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": Raw(f"|{content}")}))
    assert cells_of(found) == ["plan.xlsx!cells!C2"] and "open and save" in found[0].fix


def test_row_47_formulas_with_value_are_read_and_an_empty_text_is_a_value(tmp_path: Path) -> None:
    cells = HEADER | {
        "D1": "size",
        "A2": "a",
        "B2": Raw('t="str"|<f>"x"</f><v>x</v>'),
        "C2": Raw("|<f>1+1</f><v>2</v>"),
    }
    sheets = {"cells": sheet_xml(cells | {"D2": Raw('t="str"|<f>""</f><v></v>')})}
    table = read(tmp_path, packed(parts(sheets)))
    assert table.numbers("baseline").tolist() == [2.0] and table.texts("kpi").tolist() == ["x"]
    assert np.isnan(table.numbers("size")[0]) and table.notes == ()
    stale = read(tmp_path, packed(parts(sheets, calculation='<calcPr fullCalcOnLoad="1"/>')))
    assert [note.code for note in stale.notes] == ["W-workbook-formula"]


@pytest.mark.parametrize("value", ["#N/A", "#REF!", "#DIV/0!", "#VALUE!"])
def test_row_48_error_values(tmp_path: Path, value: str) -> None:
    found = problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": Raw(f't="e"|<f>x</f><v>{value}</v>')}))
    assert cells_of(found) == ["plan.xlsx!cells!C2"] and value in found[0].message


def test_row_49_hidden_is_counted_and_read(tmp_path: Path) -> None:
    cells = HEADER | {"A2": "a", "B2": "x", "C2": 1, "A3": "b", "B3": "x", "C3": 2}
    before = '<cols><col min="2" max="3" hidden="1"/></cols>'
    sheets = {"cells": sheet_xml(cells, before=before, rows={3: 'hidden="1"'}), "old": sheet_xml({})}
    table = read(tmp_path, packed(parts(sheets, state='state="veryHidden"')), "cells")
    assert table.numbers("baseline").tolist() == [1.0, 2.0]
    assert [note.code for note in table.notes] == ["N-workbook-hidden"]
    for words in ("1 hidden rows", "2 hidden columns", "1 hidden sheets"):
        assert words in table.notes[0].message


def test_row_49_merged_cells_are_refused(tmp_path: Path) -> None:
    after = '<mergeCells count="1"><mergeCell ref="A2:A3"/></mergeCells>'
    found = problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": 1}, after=after))
    assert cells_of(found) == ["plan.xlsx!cells!A2:A3"]


def test_row_50_numbers_stored_as_text_are_listed(tmp_path: Path) -> None:
    found = problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": "12", "A3": "b", "B3": "x", "C3": " 1.5 "}))
    assert cells_of(found) == ["plan.xlsx!cells!C2", "plan.xlsx!cells!C3"]
    assert all(p.code == "E-number-as-text" and "Text to Columns" in p.fix for p in found)


def test_row_36_units_in_a_sheet(tmp_path: Path) -> None:
    found = problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": "5%"}))
    assert found[0].code == "E-number-unit" and "0.05" in found[0].fix


@pytest.mark.parametrize("value", ["1e999", "-1e999", "nan"])
def test_numbers_that_are_not_finite(tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError):
        read(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": Raw(f"|<v>{value}</v>")}))


@pytest.mark.parametrize("reference", ["A2", "C2"])
def test_logical_values_are_refused(tmp_path: Path, reference: str) -> None:
    cells = HEADER | {"A2": "a", "B2": "x", "C2": 1} | {reference: Raw('t="b"|<v>1</v>')}
    found = problems(tmp_path, book(cells))
    assert cells_of(found) == [f"plan.xlsx!cells!{reference}"] and "TRUE" in found[0].message


# Harmful or broken files ------------------------------------------------------------------------------------------

GOOD = HEADER | {"A2": "a", "B2": "x", "C2": 1}


def test_row_51_macros_under_another_name(tmp_path: Path) -> None:
    found = problems(tmp_path, packed(parts({"cells": sheet_xml(GOOD)}) | {"xl/vbaProject.bin": "x"}), SecurityError)
    assert found[0].code == "E-workbook-macros"


def test_row_51_links_and_dde_are_ignored_with_a_note(tmp_path: Path) -> None:
    link = f'<externalLink xmlns="{MAIN}"><ddeLink ddeService="cmd" ddeTopic="/c calc"/></externalLink>'
    table = read(tmp_path, packed(parts({"cells": sheet_xml(GOOD)}) | {"xl/externalLinks/externalLink1.xml": link}))
    assert [note.code for note in table.notes] == ["N-workbook-links"] and table.n_rows == 1


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 512


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (OLE + "EncryptedPackage".encode("utf-16-le"), "password"),
        (OLE + "Workbook".encode("utf-16-le"), ".xls"),
        (b"unit,kpi\n", "damaged"),
        (packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}), ".ods"),
        (packed({"xl/workbook.bin": "x"}), ".xlsb"),
        (packed({"word/document.xml": "<x/>"}), "no Excel workbook"),
        (packed(parts({"cells": sheet_xml(GOOD)}))[:-200], "damaged"),
        (packed(parts({"cells": "<worksheet><sheetData>"})), "not well-formed"),
        (packed(parts({"cells": sheet_xml(GOOD).replace('r="C2"', 'r="2C"')})), "damaged"),
        (packed(parts({"cells": sheet_xml(GOOD).replace('r="C2"', 'r="C9999999"')})), "damaged"),
    ],
    ids=["password", "xls", "text", "ods", "xlsb", "docx", "cut", "xml", "reference", "row"],
)
def test_row_52_says_which_kind_of_unreadable(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in problems(tmp_path, data)[0].message


def test_row_52_encrypted_zip_entries(tmp_path: Path) -> None:
    data = bytearray(packed(parts({"cells": sheet_xml(GOOD)})))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = data.find(mark)
        while position >= 0:
            data[position + offset] |= 1
            position = data.find(mark, position + 4)
    assert problems(tmp_path, bytes(data))[0].code == "E-workbook-password"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_row_52_damaged_bytes_never_crash_nor_change_a_value(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(packed(parts({"cells": sheet_xml(GOOD)})))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    try:
        table = read(tmp_path, bytes(content))
    except InputError:
        return
    assert table.texts("unit").tolist() == ["a"] and table.numbers("baseline").tolist() == [1.0]


def test_row_53_zip_bombs_by_ratio(tmp_path: Path) -> None:
    bomb = packed(parts({"cells": sheet_xml(GOOD)}) | {"xl/media/x.bin": b"\0" * 3_000_000})
    found = problems(tmp_path, bomb, SecurityError)
    assert found[0].code == "E-workbook-bomb" and "times its size" in found[0].message


@pytest.mark.parametrize(("limit", "words"), [("MAX_ENTRIES", "parts"), ("MAX_UNPACKED", "bytes")])
def test_row_53_zip_bombs_by_size_and_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    monkeypatch.setattr(workbook_archive, limit, 5)
    found = problems(tmp_path, book(GOOD), SecurityError)
    assert found[0].code == "E-workbook-bomb" and words in found[0].message


def test_row_53_limits_are_those_promised() -> None:
    assert (workbook_archive.MAX_RATIO, workbook_archive.MAX_UNPACKED, workbook_archive.MAX_ENTRIES) == (
        100,
        2**29,
        10_000,
    )


def test_row_53_a_header_that_lies_about_its_size(tmp_path: Path) -> None:
    content = parts({"cells": sheet_xml(GOOD)})
    data = packed(content)
    size = len(content["xl/worksheets/sheet1.xml"]).to_bytes(4, "little")
    assert size in data
    problems(tmp_path, data.replace(size, (50).to_bytes(4, "little")))


def test_row_53_a_far_cell_does_not_fill_the_memory(tmp_path: Path) -> None:
    found = problems(tmp_path, book(GOOD | {"XFD1048576": 1}), SecurityError)
    assert found[0].code == "E-workbook-span"
    assert workbook.MAX_GRID < 1_048_576 * 16_384


ENTITY = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml", "docProps/core.xml"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_row_54_entities_are_refused_in_every_part_and_encoding(tmp_path: Path, part: str, encoding: str) -> None:
    content: dict[str, str | bytes] = dict(parts({"cells": sheet_xml(GOOD)}))
    content[part] = (ENTITY + str(content.get(part, "<x/>"))).encode(encoding)
    assert problems(tmp_path, packed(content), SecurityError)[0].code == "E-workbook-entities"


def test_row_54_external_entities_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("top secret")
    doctype = f'<!DOCTYPE x [<!ENTITY s SYSTEM "{secret.as_uri()}">]>'
    content = parts({"cells": doctype + sheet_xml(GOOD)})
    assert problems(tmp_path, packed(content), SecurityError)[0].code == "E-workbook-entities"


@pytest.mark.parametrize(
    "name", ["../evil.xml", "xl/../../evil.xml", "/etc/evil.xml", "C:/evil.xml", "xl\\..\\evil.xml"]
)
def test_row_55_unsafe_names(tmp_path: Path, name: str) -> None:
    found = problems(tmp_path, packed(parts({"cells": sheet_xml(GOOD)}) | {name: "<x/>"}), SecurityError)
    assert found[0].code == "E-workbook-names"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan.xlsx"]


def test_row_55_two_parts_of_one_name_could_show_each_reader_another_sheet(tmp_path: Path) -> None:
    content = parts({"cells": sheet_xml(GOOD)}) | {"XL/worksheets/Sheet1.xml": sheet_xml(GOOD | {"C2": 9})}
    assert problems(tmp_path, packed(content), SecurityError)[0].code == "E-workbook-names"
