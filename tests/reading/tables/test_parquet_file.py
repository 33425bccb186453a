"""Parquet tables: exact values of allowed types, and no other type or damaged file."""

from __future__ import annotations

import io
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpiopt.errors import InputError, LimitReached, NumericsError, Problem, TableError
from kpiopt.reading.tables import parquet_file, parquet_pages
from kpiopt.reading.tables.parquet_pages import PageError, check_pages
from kpiopt.reading.tables.read import CELLS_TABLE, Table, read_table

IDS = {"unit": ["a", "b"], "kpi": ["x", "x"]}


def parquet(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


def read(tmp_path: Path, source: pl.DataFrame | bytes) -> Table:
    path = tmp_path / "cells.parquet"
    path.write_bytes(source if isinstance(source, bytes) else parquet(source))
    return read_table(path, "cells.parquet", CELLS_TABLE)


def problems(tmp_path: Path, source: pl.DataFrame | bytes) -> list[Problem]:
    with pytest.raises(TableError) as caught:
        read(tmp_path, source)
    return list(caught.value.problems)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    whole=st.integers(-(2**53), 2**53),
)
def test_values_are_read_exactly(tmp_path: Path, values: list[float | None], whole: int) -> None:
    n = len(values)
    units = [f"u{i}" for i in range(n)]
    table = read(
        tmp_path,
        pl.DataFrame(
            {"unit": units, "kpi": ["x"] * n, "baseline": pl.Series(values, dtype=pl.Float64), "size": [whole] * n}
        ),
    )
    assert table.texts("unit").tolist() == units
    np.testing.assert_array_equal(table.numbers("baseline"), [np.nan if v is None else v for v in values])
    assert [int(v) for v in table.numbers("size")] == [whole] * n


@pytest.mark.parametrize(
    "dtype", [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.Float32, pl.Float64]
)
def test_allowed_number_types(tmp_path: Path, dtype: type[pl.DataType]) -> None:
    table = read(tmp_path, pl.DataFrame(IDS | {"baseline": pl.Series([7, None], dtype=dtype)}))
    np.testing.assert_array_equal(table.numbers("baseline"), [7.0, np.nan])
    assert str(table.location(1, "baseline")) == "cells.parquet:2 column baseline"


def test_rows_27_to_29_text_ids_stay_and_whole_numbers_keep_all_digits(tmp_path: Path) -> None:
    table = read(tmp_path, pl.DataFrame({"unit": ["NA", "007"], "kpi": [9007199254740993, -1], "baseline": [1, 2]}))
    assert table.texts("unit").tolist() == ["NA", "007"]
    assert table.texts("kpi").tolist() == ["9007199254740993", "-1"]
    assert [note.code for note in table.notes] == ["N-text-from-number"]


def test_quantities_as_text(tmp_path: Path) -> None:
    table = read(tmp_path, pl.DataFrame(IDS | {"baseline": ["38 to 42", "5"], "execution": [None, "0.9 to 1"]}))
    assert table.quantity_text == {"baseline": {0: "38 to 42"}, "execution": {1: "0.9 to 1"}}
    assert table.numbers("baseline")[1] == 5.0 and np.isnan(table.numbers("execution")).all()


def test_row_50_text_in_a_number_column(tmp_path: Path) -> None:
    found = problems(tmp_path, pl.DataFrame(IDS | {"baseline": [1, 2], "size": ["3", None]}))
    assert [(p.code, str(p.location)) for p in found] == [("E-number-as-text", "cells.parquet:1 column size")]
    assert "Excel" not in found[0].fix


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([[1], [2]]),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([1, 2], dtype=pl.UInt64),
        pl.Series([datetime(2026, 1, 1)] * 2, dtype=pl.Datetime("ns")),
        pl.Series([datetime(2026, 1, 1).date()] * 2),
        pl.Series([True, False]),
        pl.Series([b"1", b"2"]),
    ],
    ids=lambda series: str(series.dtype),
)
def test_row_56_types_that_are_not_on_the_list(tmp_path: Path, column: pl.Series) -> None:
    found = problems(tmp_path, pl.DataFrame(IDS | {"baseline": column}))
    assert [p.code for p in found] == ["E-table-type"] and str(found[0].location) == "cells.parquet column baseline"
    assert str(column.dtype).split("(")[0] in found[0].message


def test_row_56_categories_decimals_and_empty_columns_are_read(tmp_path: Path) -> None:
    ids = {"unit": pl.Series(["a", "b"], dtype=pl.Categorical), "kpi": pl.Series(["x", "x"], dtype=pl.Enum(["x"]))}
    numbers = {"baseline": [Decimal("1.25"), None], "max_stretch": pl.Series([None, None]), "lock_reason": [None, None]}
    table = read(tmp_path, pl.DataFrame(ids | numbers))
    assert table.texts("unit").tolist() == ["a", "b"] and table.texts("lock_reason").tolist() == ["", ""]
    assert table.numbers("baseline")[0] == 1.25 and np.isnan(table.numbers("baseline")[1])
    assert np.isnan(table.numbers("max_stretch")).all()


def test_row_56_ids_are_never_decimals(tmp_path: Path) -> None:
    found = problems(tmp_path, pl.DataFrame(IDS | {"unit": [Decimal("1.0"), Decimal("2.0")], "baseline": [1, 2]}))
    assert [p.code for p in found] == ["E-table-type"]


def test_row_56_ids_are_never_floats(tmp_path: Path) -> None:
    found = problems(tmp_path, pl.DataFrame({"unit": [1.0, 2.0], "kpi": ["x", "x"], "baseline": [1, 2]}))
    assert str(found[0].location) == "cells.parquet column unit"


def test_row_57_unknown_extension_types_are_refused(tmp_path: Path) -> None:
    class Opaque(pl.BaseExtension):
        """A type that another program would unpickle."""

    pl.register_extension_type("test.opaque", Opaque)
    try:
        data = parquet(pl.DataFrame(IDS | {"baseline": pl.Series([1, 2]).ext.to(Opaque("test.opaque", pl.Int64()))}))
    finally:
        pl.unregister_extension_type("test.opaque")
    found = problems(tmp_path, data)[0]
    assert found.code == "E-table-type" and str(found.location) == "cells.parquet column baseline"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_row_58_truncated_files(tmp_path: Path, share: float) -> None:
    data = parquet(pl.DataFrame(IDS | {"baseline": [1.0, 2.0]}))
    assert problems(tmp_path, data[: max(1, int(len(data) * share))])[0].code == "E-table-damaged"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_row_58_damaged_files_are_refused_or_keep_their_shape(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(parquet(pl.DataFrame(IDS | {"baseline": [1.0, 2.0]})))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    try:
        table = read(tmp_path, bytes(content))
    except (InputError, LimitReached):
        return
    assert table.n_rows == len(table.texts("unit")) == len(table.numbers("baseline"))


def test_claims_beyond_the_row_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "MAX_ROWS", 1)
    with pytest.raises(LimitReached, match="2 rows"):
        read(tmp_path, pl.DataFrame(IDS | {"baseline": [1, 2]}))


@pytest.mark.parametrize("values", [[float("nan"), 1.0], [float("inf"), 1.0], [2**53 + 1, 1], [-(2**62), 1]])
def test_numbers_that_cannot_be_held_exactly(tmp_path: Path, values: list[float]) -> None:
    with pytest.raises(NumericsError) as caught:
        read(tmp_path, pl.DataFrame(IDS | {"baseline": values}))
    assert str(caught.value.problems[0].location) == "cells.parquet:1 column baseline"


def test_keys_columns_and_rows_follow_the_same_rules(tmp_path: Path) -> None:
    assert "0 rows" in problems(tmp_path, pl.DataFrame(IDS | {"baseline": [1, 2]}).head(0))[0].message
    assert "'weight'" in problems(tmp_path, pl.DataFrame(IDS | {"baseline": [1, 2], "wieght": [1, 2]}))[0].fix
    assert (
        "rows: 1 and 2" in problems(tmp_path, pl.DataFrame(IDS | {"unit": ["a", "a"], "baseline": [1, 2]}))[0].message
    )
    found = problems(tmp_path, pl.DataFrame({"unit": ["a", None], "kpi": ["x", None], "baseline": [1.0, None]}))
    assert [(p.code, str(p.location)) for p in found] == [("E-table-empty-row", "cells.parquet:2 column unit")]


@pytest.mark.parametrize("compression", ["uncompressed", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_row_58_the_page_walk_agrees_with_honest_files(compression: str) -> None:
    n = 5_000
    frame = pl.DataFrame(
        {
            "unit": [f"u{i}" for i in range(n)],
            "few": ["x", "y", None, "z"] * (n // 4),
            "number": [None if i % 7 == 0 else i / 3 for i in range(n)],
            "whole": list(range(n)),
            "empty": pl.Series([None] * n, dtype=pl.Float64),
        }
    )
    stream = io.BytesIO()
    frame.write_parquet(stream, compression=compression, row_group_size=700, data_page_size=2_000)  # type: ignore[arg-type]
    assert check_pages(stream.getvalue()) == n


@pytest.mark.parametrize("limit", ["MAX_UNPACKED"])
def test_row_53_pages_that_unpack_without_bound(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(parquet_pages, limit, 10)
    with pytest.raises(PageError, match="unpacks to"):
        check_pages(parquet(pl.DataFrame({"unit": ["a" * 50]})))


@pytest.mark.parametrize("name", ["panic1", "panic3", "panic4"])
def test_a_crash_of_the_reader_is_not_seen(name, capfd):
    """Rust code announces its crashes on standard error before Python hears of them."""
    path = Path(__file__).parents[2] / "data" / "faults" / "parquet" / f"{name}.parquet"
    with pytest.raises(TableError):
        read_table(path, f"{name}.parquet", CELLS_TABLE)
    assert capfd.readouterr().err == ""


def test_what_others_say_meanwhile_is_passed_on(capfd):
    with parquet_file._without_panics():
        os.write(2, b"a word\n")
    assert capfd.readouterr().err == "a word\n"
