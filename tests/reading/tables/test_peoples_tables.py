"""Tables as people make them: titles, remarks, totals, wide sheets, marks that could mean two things."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from kpiopt.errors import TableError
from kpiopt.reading.tables.raw import find_header
from kpiopt.reading.tables.read import UNITS_TABLE, read_table
from kpiopt.reading.tables.table import CELLS_TABLE, ColumnRule, TableRule
from tests.reading.tables.test_csv_file import only, problems, read
from tests.reading.tables.test_workbook import HEADER, MAIN, Raw, book, packed, parts, sheet_xml
from tests.reading.tables.test_workbook import problems as book_problems
from tests.reading.tables.test_workbook import read as read_book

STYLES = """<styleSheet><numFmts><numFmt numFmtId="170" formatCode="0.0%"/><numFmt numFmtId="171"
formatCode="0&quot;%&quot;"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="{}"/></cellXfs></styleSheet>"""
SEMICOLONS = "unit;kpi;baseline\n"


def of(tmp_path: Path, *values: str, **options: str) -> list[float]:
    rows = "".join(f'u{i};sales;"{value}"\n' for i, value in enumerate(values))
    return read(tmp_path, SEMICOLONS + rows, **({"delimiter": ";"} | options)).numbers("baseline").tolist()


def refused(tmp_path: Path, *values: str, **options: str) -> list[str]:
    rows = "".join(f'u{i};sales;"{value}"\n' for i, value in enumerate(values))
    return [f"{p.code} {p.location}" for p in problems(tmp_path, SEMICOLONS + rows, **({"delimiter": ";"} | options))]


class TestNumbersThatCouldBeEither:
    @pytest.mark.parametrize("values", [("850", "1.299", "640", "1.120"), ("1.299",), ("-1.500", "12.000")])
    def test_are_asked_about_once(self, tmp_path: Path, values: tuple[str, ...]) -> None:
        row = next(i for i, value in enumerate(values) if "." in value) + 2
        assert refused(tmp_path, *values) == [f"E-number-thousands cells.csv:{row} column baseline"]

    def test_the_question_shows_both_readings_and_both_declarations(self, tmp_path: Path) -> None:
        found = only(problems(tmp_path, SEMICOLONS + "a;x;1.299\nb;x;1.120\n", delimiter=";"))
        assert "1299 or 1.299 (2 such numbers" in found.message
        assert 'thousands = "." (and decimal = ",")' in found.fix and 'decimal = "."' in found.fix

    @pytest.mark.parametrize(
        ("values", "right"),
        [(("1.299", "0.5"), [1.299, 0.5]), (("1.299", "12.25"), [1.299, 12.25]), (("0.125",), [0.125])],
    )
    def test_one_certain_decimal_settles_the_column(
        self, tmp_path: Path, values: tuple[str, ...], right: list[float]
    ) -> None:
        assert of(tmp_path, *values) == right

    def test_a_declaration_settles_it(self, tmp_path: Path) -> None:
        assert of(tmp_path, "1.299", "850", decimal=".") == [1.299, 850]
        assert of(tmp_path, "1.299", "850,5", "1.234.567,25", thousands=".") == [1299, 850.5, 1234567.25]
        assert of(tmp_path, "1,299", "850.5", thousands=",") == [1299, 850.5]
        assert of(tmp_path, "1 299", "1\u00a0299,5", thousands=" ", decimal=",") == [1299, 1299.5]
        assert of(tmp_path, "1'299.5", thousands="'") == [1299.5]

    def test_groups_of_other_sizes_are_still_refused(self, tmp_path: Path) -> None:
        assert refused(tmp_path, "1.29", thousands=".") == ["E-number-decimal cells.csv:2 column baseline"]
        assert refused(tmp_path, "123.45.678", thousands=".") == ["E-number-thousands cells.csv:2 column baseline"]

    def test_ranges_are_asked_about_too(self, tmp_path: Path) -> None:
        assert refused(tmp_path, "1.200 to 1.500") == ["E-number-thousands cells.csv:2 column baseline"]
        table = read(tmp_path, SEMICOLONS + "a;x;1.200 to 1.500\n", delimiter=";", thousands=".")
        assert table.quantity_text["baseline"] == {0: "1200 to 1500"}

    def test_commas_between_fields_leave_no_doubt(self, tmp_path: Path) -> None:
        assert read(tmp_path, "unit,kpi,baseline\na,x,1.299\n").numbers("baseline").tolist() == [1.299]

    @pytest.mark.parametrize("column", ["baseline", "execution"])
    def test_ranges_in_a_workbook(self, tmp_path: Path, column: str) -> None:
        head = {"A1": "unit", "B1": "kpi", "C1": "baseline", "D1": "execution", "A2": "a", "B2": "x", "C2": 5, "D2": 1}
        cell = "C2" if column == "baseline" else "D2"
        found = only(book_problems(tmp_path, book(head | {cell: "1.200 to 1.500"})))
        assert found.code == "E-number-thousands" and str(found.location).endswith(cell)
        assert "1200 or 1.200" in found.message and "declare" not in found.fix
        table = read_book(tmp_path, book(head | {cell: "0.900 to 1.100"}))
        assert table.quantity_text[column] == {0: "0.900 to 1.100"}

    @pytest.mark.parametrize("written", ["300 - 700", "300\u2013700", "1,5-2,5"])
    def test_a_range_without_its_word(self, tmp_path: Path, written: str) -> None:
        assert '"to"' in only(problems(tmp_path, f'unit,kpi,baseline\na,x,"{written}"\n')).fix

    def test_settings_of_a_workbook(self, tmp_path: Path) -> None:
        rule = TableRule("drivers", (ColumnRule("kpi", "id"), ColumnRule("contribution", "value")), (), ())
        found = book({"A1": "kpi", "B1": "contribution", "A2": "x", "B2": "1.200 to 1.500"})
        (tmp_path / "book.xlsx").write_bytes(found)
        with pytest.raises(TableError, match=r"1200 or 1\.200"):
            read_table(tmp_path / "book.xlsx", "book.xlsx", rule)


class TestAnotherDecimalMark:
    def test_is_one_finding_for_each_column(self, tmp_path: Path) -> None:
        rows = "".join(f"u{i};x;{i},5;{i},25\n" for i in range(70))
        found = problems(tmp_path, f"unit;kpi;baseline;max_stretch\n{rows}", delimiter=";")
        assert [(p.code, str(p.location)) for p in found] == [
            ("E-number-decimal", "cells.csv:2 column baseline"),
            ("E-number-decimal", "cells.csv:2 column max_stretch"),
        ]
        assert all("(70 such numbers" in p.message for p in found)

    def test_what_is_wrong_otherwise_is_told_beside_it(self, tmp_path: Path) -> None:
        found = refused(tmp_path, "1,5", "soon", "2,5", "1,234")
        assert found == [
            "E-number-decimal cells.csv:2 column baseline",
            "E-number cells.csv:3 column baseline",
            "E-number-thousands cells.csv:5 column baseline",
        ]


class TestFlags:
    @pytest.mark.parametrize("cell", ["TRUE", "yes", 1, Raw('t="b"|<v>1</v>')])
    def test_of_a_workbook(self, tmp_path: Path, cell: object) -> None:
        table = read_book(tmp_path, book(HEADER | {"D1": "own", "A2": "a", "B2": "x", "C2": 5, "D2": cell}))
        assert table.texts("own")[0].casefold() in ("true", "yes", "1") and table.notes == ()

    def test_of_a_parquet_file(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"unit": ["a", "b"], "kpi": ["x", "x"], "baseline": [1.0, 2.0], "own": [True, None]})
        frame.write_parquet(tmp_path / "cells.parquet")
        table = read_table(tmp_path / "cells.parquet", "cells.parquet", CELLS_TABLE)
        assert table.texts("own").tolist() == ["true", ""]


class TestForms:
    def test_tabs_separate_a_tsv_file(self, tmp_path: Path) -> None:
        path = tmp_path / "cells.tsv"
        path.write_text("unit\tkpi\tbaseline\na\tx\t5\n")
        assert read_table(path, "cells.tsv", UNITS_TABLE.__class__("t", (), (("", "id"),), ())).n_rows == 1

    @pytest.mark.parametrize("line", ["sep=;", '"sep=;"'])
    def test_excels_hint_names_the_delimiter(self, tmp_path: Path, line: str) -> None:
        text = f"{line}\nunit;kpi;baseline\nn;sales;200\n"
        assert read(tmp_path, text).numbers("baseline").tolist() == [200]
        table = read(tmp_path, text, delimiter=";")
        assert table.n_rows == 1 and table.location(0, "kpi").line == 3
        assert only(problems(tmp_path, text, delimiter="|")).code == "E-table-delimiter"

    def test_quoted_decimal_commas_between_commas(self, tmp_path: Path) -> None:
        text = 'unit,kpi,baseline\na,x,"1,5"\nb,x,2\n'
        found = only(problems(tmp_path, text))
        assert 'decimal = ","' in found.fix
        assert read(tmp_path, text, decimal=",").numbers("baseline").tolist() == [1.5, 2]

    @pytest.mark.parametrize(
        ("value", "right"),
        [("2,300,000", "2300000"), ("(20,000)", "-20000"), ("$1.2m", "1200000"), ("€ 3.5k", "3500"), ("3k", "3000")],
    )
    def test_advice_can_be_followed(self, tmp_path: Path, value: str, right: str) -> None:
        found = only(problems(tmp_path, f'unit,kpi,baseline\na,x,"{value}"\n'))
        assert right in found.fix.replace(";", " ").split()
        assert read(tmp_path, f"unit,kpi,baseline\na,x,{right}\n").n_rows == 1

    def test_a_percent_sign_asks_for_the_unit(self, tmp_path: Path) -> None:
        assert "write 12 where" in only(problems(tmp_path, "unit,kpi,baseline\na,x,12 %\n")).fix


class TestTitlesRemarksAndTotals:
    def test_lines_above_the_header(self, tmp_path: Path) -> None:
        table = read(tmp_path, "Plan 2027,,\nas of 1 January,,\nunit,kpi,baseline\na,x,5\n")
        assert table.numbers("baseline").tolist() == [5] and table.location(0, "kpi").line == 4
        assert [note.code for note in table.notes] == ["N-table-title"] and "Plan 2027" in table.notes[0].message

    @pytest.mark.parametrize("name", ["#", "# my remark", "#kpi", "notes"])
    def test_remark_columns(self, tmp_path: Path, name: str) -> None:
        assert read(tmp_path, f"unit,{name},kpi,baseline\na,see mail,x,5\n").numbers("baseline").tolist() == [5]

    def test_another_header_is_asked_about_in_one_sentence(self, tmp_path: Path) -> None:
        found = only(problems(tmp_path, "unit,kpi,baseline,,comment\na,x,5,,see mail\nb,x,5,,\n"))
        assert "'comment'" in found.message and '"#comment"' in found.fix

    @pytest.mark.parametrize("word", ["Total", "TOTAL", "Grand total", "Sum", "Summe", "Total sales"])
    def test_a_total_row(self, tmp_path: Path, word: str) -> None:
        found = only(problems(tmp_path, f"unit,kpi,baseline\na,x,5\n{word},,5\n"))
        assert found.code == "E-table-total" and found.location is not None and found.location.line == 3

    @pytest.mark.parametrize("row", [",,11", ",,11,20"])
    def test_a_total_row_that_does_not_say_so(self, tmp_path: Path, row: str) -> None:
        columns = ",max_stretch" if row.count(",") == 3 else ""
        data = f"unit,kpi,baseline{columns}\na,x,5{',9' if columns else ''}\nb,x,6{',11' if columns else ''}\n{row}\n"
        found = only(problems(tmp_path, data))
        assert (found.code, str(found.location)) == ("E-table-total", "cells.csv:4 column unit")
        sheet = HEADER | {"A2": "a", "B2": "x", "C2": 5, "A3": "b", "B3": "x", "C3": 6, "C4": 11}
        assert only(book_problems(tmp_path, book(sheet))).code == "E-table-total"

    def test_a_wide_table(self, tmp_path: Path) -> None:
        found = only(problems(tmp_path, "unit,cases,waiting\na,5,12\nb,4,11\n"))
        assert found.code == "E-table-wide" and "'cases'" in found.message

    @pytest.mark.parametrize(
        "header", ["Unit,Sales 2026,Sales 2027", "Unit,KPI,2026,2027", "UNIT,kpi,2026,2027", "unit,KPI,Jan,Feb"]
    )
    def test_a_wide_table_with_headers_of_its_own(self, tmp_path: Path, header: str) -> None:
        row = "a,x,5,6" if header.count(",") == 3 else "a,5,6"
        found = only(problems(tmp_path, f"{header}\n{row}\n"))
        assert found.code == "E-table-wide" and "nit'" not in found.message and "KPI'" not in found.message

    @pytest.mark.parametrize("periods", ["Jan,Feb", "Q1,Q2,Q3", "2027-01,2027-02"])
    def test_a_table_with_a_column_for_each_period(self, tmp_path: Path, periods: str) -> None:
        row = "a,x," + ",".join("5" for _ in periods.split(","))
        found = only(problems(tmp_path, f"unit,kpi,{periods}\n{row}\n"))
        assert found.code == "E-table-wide" and f"'{periods.split(',')[0]}'" in found.message
        assert "period" in found.fix

    @pytest.mark.parametrize(
        ("header", "pairs"),
        [
            ("Unit,KPI,Baseline,Max stretch", ("unit for 'Unit'", "kpi for 'KPI'", "max_stretch for 'Max stretch'")),
            ("UNIT,kpi,BASELINE,Lock-Reason", ("unit for 'UNIT'", "lock_reason for 'Lock-Reason'")),
        ],
    )
    def test_names_written_otherwise_are_asked_about_in_one_sentence(
        self, tmp_path: Path, header: str, pairs: tuple[str, ...]
    ) -> None:
        found = only(problems(tmp_path, f"{header}\na,x,5,9\n"))
        assert found.code == "E-table-column" and all(pair in found.fix for pair in pairs)

    def test_titles_above_hide_no_other_delimiter(self, tmp_path: Path) -> None:
        found = only(problems(tmp_path, "Sales 2027;;\nas of May;;\n;;\nunit;kpi;baseline\na;x;5\n"))
        assert found.code == "E-table-delimiter" and "semicolon" in found.message


class TestWorkbooks:
    @pytest.mark.parametrize(
        ("header", "meant"),
        [("Einheit,kpi,baseline", "unit"), ("unit,KENNZAHL,baseline", "kpi"), ("unit,kpi,Ist-Wert", "baseline"),
         ("unit,kpi,Basiswert", "baseline"), ("Bereich,kpi,baseline", "unit")],
    )  # fmt: skip
    def test_german_names_of_required_columns(self, tmp_path: Path, header: str, meant: str) -> None:
        found = [p for p in problems(tmp_path, f"{header}\na,x,5\n") if "unknown column" in p.message]
        assert len(found) == 1 and found[0].fix.startswith(f"did you mean '{meant}'?")

    def test_rows_above_the_header_merged_or_not(self, tmp_path: Path) -> None:
        cells = {"A1": "Plan 2027", "A3": "unit", "B3": "kpi", "C3": "baseline", "A4": "a", "B4": "x", "C4": 5}
        xml = sheet_xml(cells, after='<mergeCells><mergeCell ref="A1:C1"/></mergeCells>')
        table = read_book(tmp_path, packed(parts({"cells": xml})))
        assert table.numbers("baseline").tolist() == [5] and str(table.location(0, "baseline")) == "plan.xlsx!cells!C4"
        assert "Plan 2027" in table.notes[0].message

    def test_rows_above_that_say_they_are_remarks_need_no_note(self, tmp_path: Path) -> None:
        cells = {"A1": "# one row per unit and KPI", "A2": "unit", "B2": "kpi", "C2": "baseline", "A3": "a", "B3": "x"}
        assert read_book(tmp_path, book(cells | {"C3": 5})).notes == ()

    def test_remarks_beside_the_table_may_hold_anything(self, tmp_path: Path) -> None:
        remark = {"E1": "#remark", "E2": Raw('t="e"|<v>#N/A</v>'), "E3": "only a remark in this row"}
        table = read_book(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": 5} | remark))
        assert table.n_rows == 1

    def test_a_column_with_another_header_names_its_own_cell(self, tmp_path: Path) -> None:
        found = book_problems(tmp_path, book(HEADER | {"E1": "comment", "A2": "a", "B2": "x", "C2": 5, "E2": "mail"}))
        assert [str(p.location) for p in found] == ["plan.xlsx!cells!E1"]

    @pytest.mark.parametrize(
        ("xml", "cell"),
        [("|<v>2<!-- x -->00</v>", "C2"), ("|<v><![CDATA[200]]></v>", "C2")],
    )
    def test_values_that_two_readers_see_differently(self, tmp_path: Path, xml: str, cell: str) -> None:
        found = book_problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": Raw(xml), "D1": "max_stretch"}))
        assert [(p.code, str(p.location)) for p in found] == [("E-workbook-differs", f"plan.xlsx!cells!{cell}")]

    @pytest.mark.parametrize("written", ["2200000 ", " 2200000", "\t2.5e3 ", "2200000\n"])
    def test_a_number_with_blanks_beside_it_is_said_to_have_them(self, tmp_path: Path, written: str) -> None:
        found = book_problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": Raw(f"|<v>{written}</v>")}))
        assert f"the number '{written.strip()}' has blanks beside it" in found[0].message

    def test_a_number_that_is_none_is_said_to_be_none(self, tmp_path: Path) -> None:
        found = book_problems(tmp_path, book(HEADER | {"A2": "a", "B2": "x", "C2": Raw("|<v>200,5</v>")}))
        assert "the file holds '200,5' as a number here, which is none" in found[0].message

    def test_repeated_rows_and_cells(self, tmp_path: Path) -> None:
        xml = sheet_xml(HEADER | {"A2": "a", "B2": "x", "C2": 5})
        again = xml.replace("</sheetData>", '<row r="2"><c r="C2"><v>7</v></c></row></sheetData>')
        found = book_problems(tmp_path, packed(parts({"cells": again})))
        assert {p.code for p in found} == {"E-workbook-differs"} and "twice" in found[0].message
        again = xml.replace('<c r="C2">', '<c r="C2"><v>7</v></c><c r="C2">')
        found = book_problems(tmp_path, packed(parts({"cells": again})))
        assert [str(p.location) for p in found] == ["plan.xlsx!cells!C2"]

    def test_shared_strings_are_compared_too(self, tmp_path: Path) -> None:
        given = parts({"cells": sheet_xml(HEADER | {"A2": Raw('t="s"|<v>0</v>'), "B2": "x", "C2": 5})})
        for text in ["<t>north</t>", "<t><![CDATA[no]]>rth</t>", "<t>n<!-- -->orth</t>", "<t>n&#111;rth</t>"]:
            with_strings = packed(given | {"xl/sharedStrings.xml": f"<sst xmlns='{MAIN}'><si>{text}</si></sst>"})
            try:
                assert read_book(tmp_path, with_strings).texts("unit").tolist() == ["north"]
            except TableError as error:
                assert [p.code for p in error.problems] == ["E-workbook-differs"] and text != "<t>north</t>"

    def test_rich_text_and_phonetic_hints_are_read_alike(self, tmp_path: Path) -> None:
        rich = Raw('t="inlineStr"|<is><r><t>no</t></r><r><t>rth</t></r><rPh sb="0" eb="1"><t>x</t></rPh></is>')
        assert read_book(tmp_path, book(HEADER | {"A2": rich, "B2": "x", "C2": 5})).texts("unit").tolist() == ["north"]

    @pytest.mark.parametrize(("number", "shown"), [(9, {0}), (10, {0}), (170, {0}), (171, set()), (2, set())])
    def test_which_numbers_are_shown_as_percentages(self, tmp_path: Path, number: int, shown: set[int]) -> None:
        cells = HEADER | {"A2": "a", "B2": "x", "C2": Raw('s="1"|<v>0.81</v>'), "A3": "b", "B3": "x", "C3": 5}
        given = parts({"cells": sheet_xml(cells)}) | {"xl/styles.xml": STYLES.format(number)}
        assert read_book(tmp_path, packed(given)).percent.get("baseline", set()) == shown


class TestGroupsThatCannotBeThousands:
    @pytest.mark.parametrize("options", [{"decimal": ","}, {"thousands": "."}, {"thousands": ".", "decimal": ","}])
    def test_the_point_of_a_number_below_one_is_its_decimal_mark(self, tmp_path: Path, options) -> None:
        found = problems(tmp_path, SEMICOLONS + "a;x;0.125\nb;x;0.250\n", delimiter=";", **options)
        assert [p.code for p in found] == ["E-number-decimal"]
        assert 'declare decimal = "."' in found[0].fix and "thousands" not in found[0].fix

    def test_nor_in_a_range_or_with_commas(self, tmp_path: Path) -> None:
        assert refused(tmp_path, "0.125 to 0.250", thousands=".") == ["E-number-decimal cells.csv:2 column baseline"]
        assert refused(tmp_path, "0,125", thousands=",") == ["E-number-decimal cells.csv:2 column baseline"]

    def test_a_decimal_comma_before_a_percent_sign_has_the_same_advice(self, tmp_path: Path) -> None:
        fix = only(problems(tmp_path, SEMICOLONS + "a;x;8,4 %\n", delimiter=";", decimal=",")).fix
        assert "write 8,4 where" in fix and "0,084 where" in fix


class TestDataAboveTheHeader:
    @pytest.mark.parametrize("above", ["a,sales,5\nb,sales,7", "Unit,KPI,Base", "a,,5"])
    def test_is_refused_in_csv(self, tmp_path: Path, above: str) -> None:
        found = problems(tmp_path, f"{above}\nunit,kpi,baseline\nc,sales,1\n")
        assert [p.code for p in found] == ["E-table-header"] * (above.count("\n") + 1)

    def test_titles_and_remarks_are_not(self, tmp_path: Path) -> None:
        text = "Plan 2027\nas of,June\n#a,sales,5\nunit,kpi,baseline\nc,sales,1\n"
        assert read(tmp_path, text).numbers("baseline").tolist() == [1]


@pytest.mark.parametrize("text", ["1.299", "1.299 to 2.599"])
def test_text_of_a_parquet_file_that_could_be_either_is_asked_about(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cells.parquet"
    pl.DataFrame({"unit": ["a"], "kpi": ["sales"], "baseline": [text]}).write_parquet(path)
    with pytest.raises(TableError, match=r"E-number-thousands.*1299 or 1.299"):
        read_table(path, "cells.parquet", CELLS_TABLE)


def test_a_header_that_lost_a_required_name_is_still_the_header():
    help_row = ["# id", "id", "value expected without new effort", "largest stretch"]
    assert find_header([help_row, ["unit", "kpi", "", "max_stretch"], ["ann", "sales", "5", "1"]], CELLS_TABLE) == 1
    assert find_header([["a", "b"], ["c", "d"]], CELLS_TABLE) == 0 and find_header([], CELLS_TABLE) == 0


@pytest.mark.parametrize("form", ["#,##0,", '0.0,,"M"', '#,##0,"k"', "#,##0,;-#,##0,", "0,.0", "[>=1000000]0.0,,;0"])
def test_numbers_that_a_sheet_shows_in_thousands_are_asked_about(tmp_path: Path, form: str) -> None:
    """In kEUR, 200000 that is shown as 200 is a thousand times what its author means."""
    with pytest.raises(TableError, match="E-scaled-format") as failed:
        read_table(formatted(tmp_path, form), "b.xlsx", CELLS_TABLE)
    assert [str(problem.location) for problem in failed.value.problems] == ["b.xlsx!cells!C2"]


@pytest.mark.parametrize(
    "form", ["#,##0", "#,##0.00", '0" thousand, rounded"', "_(* #,##0_);_(* (#,##0);@", "0\\,", "General"]
)
def test_numbers_whose_format_only_groups_them_are_read(tmp_path: Path, form: str) -> None:
    table = read_table(formatted(tmp_path, form), "b.xlsx", CELLS_TABLE)
    assert table.numbers("baseline").tolist() == [200_000.0, 7.0]


def formatted(tmp_path: Path, form: str) -> Path:
    path = tmp_path / "b.xlsx"
    with xlsxwriter.Workbook(path) as written:
        sheet = written.add_worksheet("cells")
        shown = written.add_format({"num_format": form})
        for row, cells in enumerate([["unit", "kpi", "baseline"], ["a", "v", 200_000], ["b", "v", 7]]):
            for column, cell in enumerate(cells):
                sheet.write(row, column, cell, shown if (row, column) == (1, 2) else None)
    return path
