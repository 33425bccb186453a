"""Histories as people keep them: what can mean one thing is read, the rest is asked about in a sentence."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import xlsxwriter

import kpiopt
from kpiopt.cli.app import main
from kpiopt.errors import TableError
from kpiopt.learning.history_file import read_history
from kpiopt.learning.known_names import meet_model, silent_units
from kpiopt.learning.period_names import read_period, read_periods
from kpiopt.reading.tables.csv_file import CsvStyle


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("2026", (1, 2026)), ("FY26", (1, 2026, True)), ("FY2026", (1, 2026, True)),
        ("2026-Q3", (4, 8106)), ("2026Q3", (4, 8106)), ("2026 q3", (4, 8106)), ("Q3 2026", (4, 8106)),
        ("Q3/26", (4, 8106)), ("FY26 Q3", (4, 8106, True)), ("Q3 FY2026", (4, 8106, True)),
        ("2026-02", (12, 24313)), ("2026-2", (12, 24313)), ("2026/02", (12, 24313)), ("202602", (12, 24313)),
        ("02/2026", (12, 24313)), ("2.2026", (12, 24313)), ("2026-M02", (12, 24313)), ("Feb 2026", (12, 24313)),
        ("February 2026", (12, 24313)), ("Februar 2026", (12, 24313)), ("2026-Feb", (12, 24313)),
        ("Mär 2026", (12, 24314)), ("Sept. 2026", (12, 24320)), ("FY26-M02", (12, 24313, True)),
        ("Feb-26", None), ("26", None), ("01/02/2026", None), ("2026-Q5", None), ("2026-13", None), ("2026-00", None),
        ("2026W05", None), ("Foo 2026", None), ("Q1", None), ("2026-H1", None), ("", None), ("2023/24", None),
    ],
)  # fmt: skip
def test_a_period_is_read_where_its_name_can_mean_one_thing(name, read):
    found = read_period(name)
    assert (found and (found.per_year, found.number, *[True] * found.fiscal)) == read


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["2026-01-01", "2026-02-01", "2026-03-01"], [(12, 24312), (12, 24313), (12, 24314)]),
        (["2024-01-31", "2024-02-29", "2024-05-31 00:00:00"], [(12, 24288), (12, 24289), (12, 24292)]),
        (["2025-03-31", "2025-06-30", "2025-12-31"], [(4, 8100), (4, 8101), (4, 8103)]),
        (["2025-01-01", "2025-04-01", "2025-07-01"], [(4, 8100), (4, 8101), (4, 8102)]),
        (["2023-12-31", "2024-12-31", "2025-12-31"], [(1, 2023), (1, 2024), (1, 2025)]),
        (["2025-01-01", "2025-01-02", "2025-02-01"], [None, None, None]),
        (["2025-02-30", "2025-03-31"], [None, (12, 24302)]),
        (["2010/11", "2011/12"], [None, None]),
        (["2010/11", "2010/12"], [(12, 24130), (12, 24131)]),
    ],
)
def test_dates_are_periods_where_all_are_first_or_last_days(names, read):
    found, why = read_periods(names)
    assert [period and (period.per_year, period.number) for period in found] == read
    assert set(why) == {name for name, period in zip(names, found, strict=True) if period is None}


def written(folder, rows, head="unit,kpi,period,value"):
    path = folder / "h.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["a,k,2026W01,1", "b,k,2026W02,1"], ["h.csv:2", "'2026W01' names a week", "2 such rows", "add the weeks up"]),
        (["a,k,01/02/2026,1"], ["'01/02/2026' may have the day or the month first", "write 2026-01"]),
        (["a,k,Jan-26,1"], ["may name a day or a year"]),
        (["a,k,2026-02-01,1", "a,k,2026-02-02,1"], ["is a day", "add the days up"]),
        (["a,k,2026-Q1,1", "a,k,2026-01,1", "a,k,2026-02,1"], ["h.csv:2", "'2026-Q1' is not a period like the others"]),
        (["a,k,2026-13,1", "a,k,2026-01,1"], ["'2026-13' names a part that a year does not have"]),
        (["a,k,2026-01,1", "a,k,Jan 2026,2"], ["two rows for 2026-01", "h.csv:3", "keep one of the rows"]),
        (["a,k,2026-01,1", "a,k,2062-01,2"], ["'2026-01' is 36 years from the next period"]),
        (["a,k,2026-01,1", "a,k,2026-02,2", "a,k,0206-03,2"], ["h.csv:4", "'0206-03' is 1819 years"]),
        (["a,k,2026-01,1e300"], ["h.csv:2", "the value is 1e+300", "values are below 1e+15"]),
    ],
)
def test_what_may_mean_several_things_is_asked_once(tmp_path, rows, said):
    with pytest.raises(TableError) as error:
        read_history(written(tmp_path, rows))
    assert len(error.value.problems) == 1
    assert all(words in str(error.value) for words in said)


def test_a_table_with_a_column_for_every_period_is_one_question(tmp_path):
    head = "unit,kpi," + ",".join(f"2026-{m:02d}" for m in range(1, 13))
    with pytest.raises(TableError, match="12 columns are periods, such as '2026-01'") as error:
        read_history(written(tmp_path, ["a,k" + ",1" * 12], head))
    assert len(error.value.problems) == 1
    with pytest.raises(TableError, match="unknown column 'commment'"):
        read_history(written(tmp_path, ["a,k" + ",1" * 13], head + ",commment"))


@pytest.mark.parametrize(("column", "value"), [("volume", -1), ("measurement_sd", -0.5), ("size", 0), ("target", 1e16)])
def test_numbers_that_cannot_be_are_refused(tmp_path, column, value):
    with pytest.raises(TableError, match=f"the {column} is"):
        read_history(written(tmp_path, [f"a,k,2026-01,1,{value}"], f"unit,kpi,period,value,{column}"))


def test_marks_of_a_csv_file_are_declared_on_the_command_line(tmp_path, capsys):
    path = written(tmp_path, ["a;k;2026-01;1.234,5"], "unit;kpi;period;value")
    assert main(["fit", str(path)]) == 3
    assert 'add --delimiter ";", and --decimal ","' in capsys.readouterr().err.replace("\n", " ")
    read = read_history(path, style=CsvStyle(";", ",", "."))
    assert read.series["k"].value.tolist() == [[1234.5]]
    with pytest.raises(TableError, match='add --decimal ","'):
        read_history(written(tmp_path, ['a,k,2026-01,"27,5"']))


def test_a_sheet_with_dates_and_percentages(tmp_path, folder):
    book = xlsxwriter.Workbook(tmp_path / "h.xlsx")
    sheet, other = book.add_worksheet("past"), book.add_worksheet("notes")
    other.write(0, 0, "x")
    day, share = book.add_format({"num_format": "mmm yy"}), book.add_format({"num_format": "0 %"})
    sheet.write_row(0, 0, ["unit", "kpi", "period", "value"])
    for row in range(1, 13):
        sheet.write_row(row, 0, ["t0", "sales"])
        sheet.write_datetime(row, 2, date(2025, row, 1), day)
        sheet.write_number(row, 3, 0.8, share)
    book.close()
    path = tmp_path / "h.xlsx#past"
    history = read_history(path)
    assert history.grid.names[::11] == ("2025-01", "2025-12")
    assert any("2025-01 where 2025-01-01 is written" in note for note in history.notes)
    text = (folder / "model.toml").read_text()
    for unit in ("USD", "%", "share"):
        (folder / "model.toml").write_text(text.replace('"USD"', f'"{unit}"'))
        model = kpiopt.load(folder / "model.toml")
        if unit == "share":
            assert meet_model(history, model).series["sales"].value[0, 0] == 0.8
            continue
        with pytest.raises(
            TableError, match=rf"h.xlsx!past!D2.*shows 80 % here but holds 0.8, and 'sales' is in {unit}"
        ):
            meet_model(history, model)


def test_periods_still_to_come_do_not_move_the_horizon(tmp_path):
    rows = [f"a,k,2026-0{m},{m if m < 8 else ''},5" for m in range(1, 10)]
    history = read_history(written(tmp_path, rows, "unit,kpi,period,value,target"))
    assert history.grid.names[-1] == "2026-07"
    assert "2026-08 to 2026-09 have rows without a value: what is known ends with 2026-07" in history.notes


def test_factors_by_other_periods_are_refused_and_later_ones_told(tmp_path):
    past = written(tmp_path, ["a,k,2026-01,1", "a,k,2026-02,1"])
    (tmp_path / "f.csv").write_text("factor,period,value\nmarket,Feb 2026,3\nmarket,2027-01,3\n")
    history = read_history(past, tmp_path / "f.csv")
    assert history.factors["market"][1] == 3.0
    assert any("1 row of the factors outside of the history, such as 2027-01" in note for note in history.notes)
    (tmp_path / "f.csv").write_text("factor,period,value\nmarket,2026-Q1,3\n")
    with pytest.raises(TableError, match="is not a period like those of the history, such as 2026-01"):
        read_history(past, tmp_path / "f.csv")


def test_volumes_say_how_large_units_are(tmp_path):
    rows = [f"{u},k,2026-0{m},0.9,{size}" for u, size in (("a", 10), ("b", 1000)) for m in (1, 2)]
    history = read_history(written(tmp_path, rows, "unit,kpi,period,value,volume"))
    assert history.series["k"].size.tolist() == [10.0, 1000.0]
    assert history.until(1).series["k"].size.tolist() == [10.0, 1000.0]


def changed(folder, change):
    """The history of the folder's organization, its rows changed, as it meets the model."""
    lines = (folder / "history.csv").read_text().splitlines()
    rows = [row for line in lines[1:] for row in change(*line.split(","))]
    (folder / "history.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    model = kpiopt.load(folder / "model.toml")
    return meet_model(read_history(folder / "history.csv"), model), model


def test_names_of_the_model_and_other_spellings_are_read_as_its_ids(folder):
    units = (folder / "units.csv").read_text().replace("unit,parent", "unit,name,parent").splitlines()
    named = [f"{u},{'Anna Meier' if u == 't0' else u},{rest}" for u, rest in (r.split(",", 1) for r in units[1:])]
    (folder / "units.csv").write_text("\n".join([units[0], *named]) + "\n")
    history, _ = changed(folder, lambda u, k, p, v: [f"{'Anna meier' if u == 't0' else u.upper()},{k},{p},{v}"])
    assert history.series["sales"].units == tuple(f"t{i}" for i in range(6))
    assert any("Anna meier as unit t0" in note for note in history.notes)


def test_two_spellings_of_one_unit_are_refused(folder):
    with pytest.raises(TableError, match="'T0' and 't0' both mean unit t0"):
        changed(folder, lambda u, k, p, v: [f"{'T0' if (u, k) == ('t0', 'sales') else u},{k},{p},{v}"])


@pytest.mark.parametrize("name", ["Total", "everything"])
def test_totals_are_no_units(folder, name):
    with pytest.raises(TableError, match=f"'{name}' of sales (seems to be a total|is the sum of all other units)"):
        changed(folder, lambda u, k, p, v: [f"{u},{k},{p},{v}"] + [f"{name},{k},{p},{SUMS[k, p]}"] * (u == "t0"))


class _Sums(dict):
    def __missing__(self, key):
        return 0.0


SUMS = _Sums()


@pytest.fixture(autouse=True)
def _sums(request):
    SUMS.clear()
    if "folder" in request.fixturenames:
        for line in (request.getfixturevalue("folder") / "history.csv").read_text().splitlines()[1:]:
            _, kpi, period, value = line.split(",")
            SUMS[kpi, period] += float(value)


def test_totals_of_the_model_that_are_no_sum_are_told(folder):
    history, _ = changed(folder, lambda u, k, p, v: [f"{u},{k},{p},{v}"] + [f"co,{k},{p},{SUMS[k, p]}"] * (u == "t0"))
    assert not any("add up" in note for note in history.notes)
    history, _ = changed(folder, lambda u, k, p, v: [f"{u},{k},{p},{7 if u == 'co' else v}"])
    assert any("sales: co is not what its units add up to in 14 of 14 periods" in note for note in history.notes)


def test_a_history_of_strangers_is_refused(folder):
    with pytest.raises(TableError, match=r"no unit and KPI of the history is a cell.*kpi 'visitx'"):
        changed(folder, lambda u, k, p, v: [f"{u},{k[:-1]}x,{p},{v}"])


def test_what_is_learned_in_vain_and_what_is_not_learned_is_told(folder):
    def change(unit, kpi, period, value):
        if unit == "t5" and kpi == "sales":
            return []
        if unit == "t4" and period > "2023-Q4":
            return []
        if unit == "t3" and period < "2026-Q2":
            return []
        return [f"{unit},{kpi},{period},{value}"]

    history, model = changed(folder, change)
    notes = [*history.notes, *silent_units(history, model)]
    assert any("1 cell of the model without a past, such as t5" in note for note in notes)
    assert any("sales: 1 unit without a value for a year or more, such as t4 since 2023-Q4" in note for note in notes)
    assert any("sales: 1 unit with fewer than 4 values, such as t3" in note for note in notes)
    history, model = changed(folder, lambda u, k, p, v: [f"{u},{k},{p},{v}"] * (k == "sales"))
    assert any("1 KPI of the model without a past, such as visits" in note for note in history.notes)


def test_a_single_value_below_zero_is_told(folder):
    slip = ("t0", "sales", "2024-Q1")
    history, model = changed(folder, lambda u, k, p, v: [f"{u},{k},{p},{'-' * ((u, k, p) == slip)}{v}"])
    assert any("sales: 1 of 84 values are below 0, such as -" in note for note in silent_units(history, model))


def test_a_single_value_a_thousand_times_the_others_is_told(folder):
    """Values that spread widely are no slip, nor is what a unit always has."""
    wide = iter(np.exp(1.5 * np.random.default_rng(3).standard_normal(400)))
    text = (folder / "history.csv").read_text()
    for change in (
        lambda u, k, p, v: [f"{u},{k},{p},{v}"],
        lambda u, k, p, v: [f"{u},{k},{p},{float(v) * 1000 ** (u == 't0')}"],
        lambda u, k, p, v: [f"{u},{k},{p},{next(wide)}"],
    ):
        (folder / "history.csv").write_text(text)
        history, model = changed(folder, change)
        assert not [note for note in silent_units(history, model) if "times what is usual" in note]
    (folder / "history.csv").write_text(text)
    slip = ("t0", "sales", "2024-Q1")
    history, model = changed(folder, lambda u, k, p, v: [f"{u},{k},{p},{float(v) * 1000 ** ((u, k, p) == slip)}"])
    (note,) = [note for note in silent_units(history, model) if "times what is usual" in note]
    assert note.startswith("sales: 1 of 84 values: more than 100 times") and "of t0 in 2024-Q1" in note


def test_a_kpi_begun_last_year_is_learned_and_one_nobody_asks_for_does_no_harm(folder):
    """Before its first year there was nothing to compare forecasts with; too short a KPI of the model is refused."""
    text = (folder / "history.csv").read_text()
    rows = [line for line in text.splitlines() if not (",visits," in line and line.split(",")[2] < "2025-Q2")]
    (folder / "history.csv").write_text("\n".join([*rows, "t0,calls,2026-Q2,3"]) + "\n")
    words = ["fit", str(folder / "history.csv"), "--model", str(folder / "model.toml"), "--draws", "100"]
    assert main([*words, "--out", str(folder / "fitted")]) == 0
    few = [line for line in rows if not (",visits," in line and line.split(",")[2] < "2026-Q1")]
    (folder / "history.csv").write_text("\n".join(few) + "\n")
    assert main([*words, "--out", str(folder / "other")]) == 3
    assert not (folder / "other").exists()


def test_a_driver_that_does_not_move_tells_nothing(folder):
    text = (folder / "history.csv").read_text().splitlines()
    rows = [line.rpartition(",")[0] + ",10" if ",visits," in line else line for line in text]
    (folder / "history.csv").write_text("\n".join(rows) + "\n")
    words = ["fit", str(folder / "history.csv"), "--model", str(folder / "model.toml"), "--draws", "100"]
    assert main([*words, "--out", str(folder / "fitted")]) == 0
    text = (folder / "fitted" / "fit.json").read_text()
    assert "visits does not move by itself within units and periods" in text
    assert np.isclose(kpiopt.load(folder / "fitted" / "fitted.toml").kpis["sales"].drivers[0].contribution.mean, 5, 0.2)
