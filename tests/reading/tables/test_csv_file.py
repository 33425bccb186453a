"""CSV tables: exact round trips, and every bad input refused at its row and column."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpiopt.errors import InputError, NumericsError, Problem, TableError
from kpiopt.reading.tables.read import CELLS_TABLE, UNITS_TABLE, Table, TableRule, read_table

HEADER = "unit,kpi,baseline\n"


def read(tmp_path: Path, content: str | bytes, rule: TableRule = CELLS_TABLE, **options: str) -> Table:
    path = tmp_path / f"{rule.name}.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, path.name, rule, **options)


def problems(tmp_path: Path, content: str | bytes, rule: TableRule = CELLS_TABLE, **options: str) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        read(tmp_path, content, rule, **options)
    assert caught.value.exit_code == 3
    return list(caught.value.problems)


def only(found: list[Problem]) -> Problem:
    assert len(found) == 1, [str(p) for p in found]
    return found[0]


def places(found: list[Problem]) -> list[str]:
    return [str(p.location) for p in found]


# Good files -----------------------------------------------------------------------------------------------------


def test_types_and_empty_fields(tmp_path: Path) -> None:
    table = read(
        tmp_path, "unit,kpi,baseline,max_stretch,lock_reason\nnorth,sales,0,,\nsouth,sales,-2.5e3,7,as agreed\n"
    )
    assert table.n_rows == 2
    assert table.texts("unit").tolist() == ["north", "south"]
    assert table.numbers("baseline").tolist() == [0.0, -2500.0]
    assert math.isnan(table.numbers("max_stretch")[0]) and table.numbers("max_stretch")[1] == 7.0
    assert table.texts("lock_reason").tolist() == ["", "as agreed"]
    assert table.has("max_stretch") and not table.has("min_stretch")
    assert np.isnan(table.numbers("min_stretch")).all() and table.texts("kpi").tolist() == ["sales", "sales"]


def test_quantities_keep_their_text_by_row(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + 'a,x,38 to 42\na,y,5\na,z,"{ normal = [3, 1] }"\na,w,\n')
    assert table.quantity_text["baseline"] == {0: "38 to 42", 2: "{ normal = [3, 1] }"}
    assert [math.isnan(v) for v in table.numbers("baseline")] == [True, False, True, True]


def test_column_families_are_open(tmp_path: Path) -> None:
    table = read(tmp_path, "unit,parent,capacity.hours,capacity.cash\nco,,10,\n", UNITS_TABLE)
    assert table.family("capacity.")["hours"].tolist() == [10.0]
    assert set(table.family("capacity.")) == {"hours", "cash"}
    unnamed = only(problems(tmp_path, "unit,parent,capacity.\nco,,10\n", UNITS_TABLE))
    assert "'capacity.'" in unnamed.message


def test_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = (HEADER + "a,x,1\r\n").encode()
    assert read(tmp_path, content).sha256 == hashlib.sha256(content).hexdigest()


def test_rows_are_counted_as_lines_even_across_quoted_breaks_and_blank_lines(tmp_path: Path) -> None:
    content = '\nunit,kpi,baseline,lock_reason\na,x,1,"two\nlines, ""quoted"""\n\n   \nb,x,2,\nc,x,3,"z"'
    table = read(tmp_path, content)
    assert table.row_number.tolist() == [3, 7, 8]
    assert table.texts("lock_reason").tolist() == ['two\nlines, "quoted"', "", "z"]
    assert str(table.location(1, "baseline")) == "cells.csv:7 column baseline"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_line_ends_make_no_difference(tmp_path: Path, line_end: str) -> None:
    table = read(tmp_path, line_end.join(["unit,kpi,baseline", "a,x,1", "b,x,2", ""]))
    assert table.texts("unit").tolist() == ["a", "b"] and table.numbers("baseline").tolist() == [1.0, 2.0]


def test_negative_zero_is_zero(tmp_path: Path) -> None:
    assert math.copysign(1.0, read(tmp_path, HEADER + "a,x,-0.0\n").numbers("baseline")[0]) == 1.0


ids = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=6).map(
    lambda text: unicodedata.normalize("NFC", text)
)
free_text = st.text(st.sampled_from("ab,;\"' \n\té漢🎯|=0"), max_size=12).map(lambda text: text.strip(" "))
floats = st.none() | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(ids, ids, floats, free_text), min_size=1, max_size=30, unique_by=lambda row: row[:2]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_what_the_csv_module_writes_is_read_exactly(
    tmp_path: Path, rows: list[tuple[str, str, float | None, str]], quoting: int, line_end: str, delimiter: str
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=quoting, lineterminator=line_end, delimiter=delimiter)  # type: ignore[arg-type]
    writer.writerow(["unit", "kpi", "max_stretch", "lock_reason", "baseline"])
    writer.writerows([unit, kpi, "" if number is None else number, text, ""] for unit, kpi, number, text in rows)
    table = read(tmp_path, stream.getvalue(), delimiter=delimiter)
    assert table.texts("unit").tolist() == [row[0] for row in rows]
    assert table.texts("kpi").tolist() == [row[1] for row in rows]
    assert table.texts("lock_reason").tolist() == [row[3] for row in rows]
    expected = [math.nan if row[2] is None else row[2] for row in rows]
    np.testing.assert_array_equal(table.numbers("max_stretch"), expected)
    assert np.isnan(table.numbers("baseline")).all()


def test_many_rows_with_quoted_breaks_survive_the_parallel_reader(tmp_path: Path) -> None:
    stream = io.StringIO(newline="")
    rows = [(f"u{i}", "x", i / 7, 'a "b",\n' * (i % 4)) for i in range(30_000)]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["unit", "kpi", "baseline", "lock_reason"])
    writer.writerows(rows)
    table = read(tmp_path, stream.getvalue())
    assert table.texts("lock_reason").tolist() == [row[3] for row in rows]
    assert table.numbers("baseline").tolist() == [row[2] for row in rows]
    heights = np.cumsum([2] + [1 + i % 4 for i in range(len(rows) - 1)])
    assert table.row_number.tolist() == heights.tolist()


def test_row_order_only_permutes_the_result(tmp_path: Path) -> None:
    rows = [f"u{i},x,{i * 1.1}" for i in range(20)]
    straight, turned = read(tmp_path, HEADER + "\n".join(rows)), read(tmp_path, HEADER + "\n".join(rows[::-1]))
    assert straight.texts("unit").tolist() == turned.texts("unit").tolist()[::-1]
    assert straight.numbers("baseline").tolist() == turned.numbers("baseline").tolist()[::-1]


# Structure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["\n\n  \n", "unit,kpi,baseline\n", "unit,kpi,baseline", "unit,kpi,baseline\n\n\n"])
def test_row_26_no_rows(tmp_path: Path, content: str) -> None:
    assert "0 rows" in only(problems(tmp_path, content)).message


def test_row_26_empty_file(tmp_path: Path) -> None:
    assert "empty: 0 rows" in only(problems(tmp_path, "")).message


@pytest.mark.parametrize("unit", ["NA", "null", "None", "nan", "TRUE", "N/A", "inf", "#N/A", "-"])
def test_row_27_words_that_other_readers_lose_stay_text(tmp_path: Path, unit: str) -> None:
    assert read(tmp_path, HEADER + f"{unit},x,1\n").texts("unit").tolist() == [unit]


@pytest.mark.parametrize("unit", ["007", "1e5", "2-3", "+1", "1.0", "0x1F", "1_000"])
def test_row_28_ids_that_look_like_numbers_stay_text(tmp_path: Path, unit: str) -> None:
    assert read(tmp_path, HEADER + f"{unit},x,1\n").texts("unit").tolist() == [unit]


@pytest.mark.parametrize("unit", ["9007199254740993", "12345678901234567", "99999999999999999999"])
def test_row_29_long_digits_stay_text(tmp_path: Path, unit: str) -> None:
    assert read(tmp_path, HEADER + f"{unit},x,1\n").texts("unit").tolist() == [unit]


def test_row_30_duplicate_header_names_both_columns(tmp_path: Path) -> None:
    found = only(problems(tmp_path, "unit,kpi,baseline,weight, baseline \na,x,1,2,3\n"))
    assert "'baseline'" in found.message and "columns 3 and 5" in found.message
    assert str(found.location) == "cells.csv:1"


def test_rows_31_and_32_surplus_and_short_rows(tmp_path: Path) -> None:
    found = problems(tmp_path, HEADER + 'a,x,1\na,y,1,5\n\n"b\nb",x\nc,x,1\n')
    assert [str(p.location) for p in found] == ["cells.csv:3", "cells.csv:5"]
    assert "4 fields, the header has 3" in found[0].message and "only 2 fields" in found[1].message


def test_row_31_other_errors_are_told_in_the_same_breath_and_in_order(tmp_path: Path) -> None:
    found = problems(tmp_path, HEADER + "a,x,one\nb,x\nc,x,2k\nd,,3\n")
    assert [p.location.line for p in found if p.location] == [2, 3, 4, 5]


@pytest.mark.parametrize("record", [",,", '"","",""', " , ,\t"])
def test_row_33_a_record_of_nothing_is_refused_but_blank_lines_are_not(tmp_path: Path, record: str) -> None:
    found = only(problems(tmp_path, HEADER + f"a,x,1\n\n{record}\n"))
    assert found.code == "E-table-empty-row" and str(found.location) == "cells.csv:4 column unit"


def test_row_33_a_row_without_its_key_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, HEADER + ",x,1\na,,1\n")
    assert places(found) == ["cells.csv:2 column unit", "cells.csv:3 column kpi"]


@pytest.mark.parametrize(("separator", "written"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
def test_row_34_another_separator_is_named_and_asked_for(tmp_path: Path, separator: str, written: str) -> None:
    found = only(problems(tmp_path, f"unit,kpi,baseline\na,x,1{separator}5\n".replace(",", separator)))
    assert found.code == "E-table-delimiter" and f'delimiter = "{written}"' in found.fix


def test_row_34_declared_separator_and_decimal_comma_are_read(tmp_path: Path) -> None:
    content = "unit;kpi;baseline;weight\na;x;1,5;0,25\nb;x;1,5 to 2,5;-3e-2\n"
    table = read(tmp_path, content, delimiter=";", decimal=",")
    assert table.numbers("baseline")[0] == 1.5 and table.quantity_text["baseline"] == {1: "1.5 to 2.5"}
    assert table.numbers("weight").tolist() == [0.25, -0.03]
    found = problems(tmp_path, content, delimiter=";")
    assert [str(p.location) for p in found if 'decimal = ","' in p.fix] == [
        "cells.csv:2 column baseline",
        "cells.csv:2 column weight",
        "cells.csv:3 column baseline",
    ]
    assert only(problems(tmp_path, HEADER + "a,x,1\n", delimiter=";")).code == "E-table-delimiter"


@pytest.mark.parametrize("value", ["1.5", "1.5 to 2", "1.000,5"])
def test_row_34_a_point_is_refused_where_the_comma_was_declared(tmp_path: Path, value: str) -> None:
    found = only(problems(tmp_path, f"unit;kpi;baseline\na;x;{value}\n", delimiter=";", decimal=","))
    assert str(found.location) == "cells.csv:2 column baseline"


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": "ab"},
        {"delimiter": "x"},
        {"decimal": "'"},
        {"delimiter": '"'},
        {"thousands": "x"},
        {"decimal": ",", "thousands": ","},
    ],
)
def test_row_34_options_that_cannot_be_used(tmp_path: Path, options: dict[str, str]) -> None:
    assert only(problems(tmp_path, HEADER + "a,x,1\n", **options)).code == "E-table-option"


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ('a,x,1\nb,"x,2\nc,x,3\n', 3, "never closed"),
        ('a,"x"y,2\n', 2, "goes on after its closing quote"),
        ('a,b"x,2\n', 2, "inside a field"),
        ('a, "x",2\n', 2, "inside a field"),
        ('a,"x""\n",2\nc,"x,3\nd,"y",4\n', 4, "goes on after its closing quote in line 5"),
    ],
)
def test_row_37_unbalanced_quotes_name_the_opening_line(tmp_path: Path, body: str, line: int, words: str) -> None:
    found = only(problems(tmp_path, HEADER + body))
    assert found.location is not None and found.location.line == line and words in found.message


# Values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["1,234", "1 234", "1\u00a0234", "1'234", "12,345.6", "1.234,5", "1_000", "1.234.567"]
)
def test_row_35_grouped_numbers_are_refused(tmp_path: Path, value: str) -> None:
    found = only(problems(tmp_path, HEADER + f'a,x,"{value}"\n'))
    assert found.code == "E-number-thousands" and str(found.location) == "cells.csv:2 column baseline"


def test_row_35_three_decimals_are_a_number_unless_the_column_proves_otherwise(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + "a,x,1.234\nb,x,0.125\n").numbers("baseline").tolist() == [1.234, 0.125]
    assert places(problems(tmp_path, HEADER + "a,x,1.234\nb,x,1.234.567\n")) == [
        "cells.csv:2 column baseline",
        "cells.csv:3 column baseline",
    ]
    # 0.5 can only be a decimal, so 1.234 beside it is one as well: one error, not two.
    assert places(problems(tmp_path, HEADER + "a,x,1.234\nb,x,1.234.567\nc,x,0.5\n")) == ["cells.csv:3 column baseline"]


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("5%", "0.05"),
        ("12.5 %", "0.125"),
        ("€3", "write 3"),
        ("3 $", "write 3"),
        ("3k", "in full"),
        ("2.5 mn", "in full"),
    ],
)
def test_row_36_units_are_no_part_of_a_number(tmp_path: Path, value: str, fix: str) -> None:
    found = only(problems(tmp_path, HEADER + f"a,x,{value}\n"))
    assert found.code == "E-number-unit" and fix in found.fix


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\r", "\n", "\t", "\u0085"])
def test_row_38_control_characters_in_ids(tmp_path: Path, character: str) -> None:
    found = only(problems(tmp_path, HEADER + f'a,x,1\n"b{character}c",x,1\n'))
    assert f"U+{ord(character):04X}" in found.message and str(found.location) == "cells.csv:3 column unit"


@pytest.mark.parametrize("column", ["lock_reason", "weight"])
def test_row_38_control_characters_elsewhere(tmp_path: Path, column: str) -> None:
    found = only(problems(tmp_path, f"unit,kpi,baseline,{column}\na,x,1,1\x002\n"))
    assert "U+0000" in found.message and str(found.location) == f"cells.csv:2 column {column}"


def test_row_39_byte_order_mark_is_fine(tmp_path: Path) -> None:
    table = read(tmp_path, b"\xef\xbb\xbf" + (HEADER + "a,x,1\n").encode())
    assert table.has("unit") and [note.code for note in table.notes] == ["N-bom"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_row_39_utf16(tmp_path: Path, encoding: str) -> None:
    found = only(problems(tmp_path, (HEADER + "a,x,1\n").encode(encoding)))
    assert found.code == "E-table-encoding" and "UTF-" in found.message and "byte " in found.message


def test_row_39_windows_1252_names_the_byte(tmp_path: Path) -> None:
    content = (HEADER + "Zürich,x,1\n").encode("cp1252")
    found = only(problems(tmp_path, content))
    assert f"byte {content.index(0xFC)} (line 2)" in found.message
    assert "Windows-1252" in found.message and "'ü'" in found.message


def test_row_39_mixed_encodings(tmp_path: Path) -> None:
    content = (HEADER + "Zürich,x,1\n").encode() + "Köln,x,1\n".encode("cp1252")
    assert "mixes encodings" in only(problems(tmp_path, content)).message


def test_row_39_old_macintosh_line_ends(tmp_path: Path) -> None:
    assert "CR" in only(problems(tmp_path, "unit,kpi,baseline\ra,x,1\r")).message


def test_row_40_ids_are_normalised_and_trimmed_with_a_note(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + "Cafe\u0301,x,1\n north\u00a0, x,1\n")
    assert table.texts("unit").tolist() == ["Caf\u00e9", "north"] and table.texts("kpi").tolist() == ["x", "x"]
    note = table.notes[0]
    assert note.code == "N-id-normalised" and "2 ids of column unit" in note.message and "U+0301" in note.message


@pytest.mark.parametrize("character", ["\u200b", "\u202e", "\u2066", "\ufeff", "\u00ad", "\u2028", "\u00a0"])
def test_row_40_invisible_characters_are_refused(tmp_path: Path, character: str) -> None:
    found = only(problems(tmp_path, HEADER + f"a,x,1\nno{character}rth,x,1\n"))
    assert f"U+{ord(character):04X}" in found.message and str(found.location) == "cells.csv:3 column unit"


def test_row_40_twins_are_listed(tmp_path: Path) -> None:
    found = only(problems(tmp_path, HEADER + "Caf\u00e9,x,1\nz,x,1\nCafe\u0301,x,2\n"))
    assert found.code == "E-table-duplicate" and "rows: 2 and 4" in found.message
    assert "U+00E9" in found.message and "U+0301" in found.message


def test_row_41_mixed_scripts_are_warned_about_once(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + "n\u043erth,x,1\nn\u043erth,y,1\nПермь,x,1\n東京tower,x,1\n")
    assert [(n.code, str(n.location)) for n in table.notes] == [("W-mixed-script", "cells.csv:2 column unit")]
    assert "U+043E" in table.notes[0].message


def test_row_42_duplicates_name_all_rows_and_none_wins(tmp_path: Path) -> None:
    found = problems(tmp_path, HEADER + "a,x,1\nb,x,1\na,x,2\na,y,1\nb,x,1\na,x,1\n")
    assert [p.code for p in found] == ["E-table-duplicate"] * 2
    assert "rows: 2, 4 and 7" in found[0].message and "rows: 3 and 6" in found[1].message
    assert [str(place) for place in found[0].others] == ["cells.csv:4 column unit", "cells.csv:7 column unit"]


@pytest.mark.parametrize("value", ["01/02/2026", "13/02/2026", "2026-01-02", "1.2.2026", "2026-03-29T02:30+01:00"])
def test_rows_44_and_46_dates_are_no_numbers(tmp_path: Path, value: str) -> None:
    found = only(problems(tmp_path, HEADER + f"a,x,{value}\n"))
    assert found.code == "E-number-date" and "YYYY-MM-DD" in found.fix


def test_row_46_a_period_that_stands_twice_and_a_period_of_units(tmp_path: Path) -> None:
    twice = only(problems(tmp_path, "unit,kpi,baseline,period\na,x,1,2026-01\na,x,2,2026-01\n"))
    assert "period '2026-01' stands in 2 rows: 2 and 3" in twice.message
    rest = "unit,parent,period\na,,2026-01\n"
    assert "'period'" in only(problems(tmp_path, rest, UNITS_TABLE)).message


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-Infinity", "1e999", "-1e400", "1e-400", "3e-999"])
def test_numbers_that_cannot_be_computed_with(tmp_path: Path, value: str) -> None:
    with pytest.raises(NumericsError) as caught:
        read(tmp_path, HEADER + f"a,x,{value}\n")
    assert str(caught.value.problems[0].location) == "cells.csv:2 column baseline"


@pytest.mark.parametrize("value", ["0e5", "0.000e-999", "-0"])
def test_true_zeros_are_no_underflow(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, HEADER + f"a,x,{value}\n").numbers("baseline").tolist() == [0.0]


@pytest.mark.parametrize(
    "value",
    ["1 to 2k", "nan to 5", "1,5 to 2", "1 to", "to 3", "about 5", "1..2", "٣", "１", "0x10", "1e", "e5", "--1"],
)
def test_malformed_quantities(tmp_path: Path, value: str) -> None:
    found = only(problems(tmp_path, HEADER + f'a,x,"{value}"\n'))
    assert str(found.location) == "cells.csv:2 column baseline" and value[:2] in found.message


def test_unknown_and_missing_columns_are_told_together_with_a_suggestion(tmp_path: Path) -> None:
    found = problems(tmp_path, "Unit,kpi,base line,baselin\na,x,1,1\n")
    messages = " | ".join(f"{p.message} {p.fix}" for p in found)
    assert "unknown column 'Unit' did you mean 'unit'?" in messages
    assert "unknown column 'base line' did you mean 'baseline'?" in messages
    assert "no column 'unit'" in messages and "no column 'baseline'" in messages
    assert "column 4 has values but no name" in only(problems(tmp_path, "unit,kpi,baseline,\na,x,1,7\n")).message
    assert read(tmp_path, "unit,kpi,baseline,\na,x,1,\n").n_rows == 1


def test_look_alike_header_shows_its_code_point(tmp_path: Path) -> None:
    found = problems(tmp_path, "unit,kpi,b\u0430seline\na,x,1\n")
    assert any("did you mean 'baseline'" in p.fix or "U+0430" in p.fix for p in found)


def test_fifty_errors_of_a_kind_are_spelled_out_and_the_rest_counted_whatever_the_column(tmp_path: Path) -> None:
    rows = "".join(f"u{i},x,bad,{'bad' if i < 3 else 1}\n" for i in range(70))
    found = problems(tmp_path, "unit,kpi,baseline,max_stretch\n" + rows + "u1,x,1,1\n" * 2)
    lines = [p.location.line or 0 for p in found if p.location]
    assert len(lines) == len(found) == 50 + 1 + 3 + 1 and lines == sorted(lines)
    assert [p.message for p in found if p.code == "E-table-duplicate"] == [
        "unit 'u1', kpi 'x' stands in 3 rows: 3, 72 and 73"
    ]
    assert (found[-1].message, found[-1].location) == ("and 20 more of the same kind", found[-1].location)
    assert found[-1].code == found[0].code and found[-1].location and found[-1].location.line == 52


def test_a_text_beyond_any_workbook_cell_is_refused(tmp_path: Path) -> None:
    found = only(problems(tmp_path, HEADER + f"{'a' * 40_000},x,1\n"))
    assert found.code == "E-table-long" and len(str(found)) < 1000


def test_errors_are_table_errors(tmp_path: Path) -> None:
    with pytest.raises(TableError):
        read(tmp_path, HEADER + "a,x,1e999\nb,x,one\n")
