"""Which files are opened at all."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kpiopt.errors import ExitCode, KpioptError, LimitReached, SecurityError, TableError, UsageError
from kpiopt.reading.tables import table_file
from kpiopt.reading.tables.read import CELLS_TABLE, read_table

GOOD = "unit,kpi,baseline\na,x,1\n"


def refusal(path: Path, **options: str) -> KpioptError:
    with pytest.raises(KpioptError) as caught:
        read_table(path, f"given/{path.name}", CELLS_TABLE, **options)
    return caught.value


def test_row_25_missing_file_shows_both_paths_and_a_near_name(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").write_text(GOOD)
    error = refusal(tmp_path / "sub" / ".." / "cell.csv")
    assert isinstance(error, TableError)
    assert "given/cell.csv" in str(error) and str(tmp_path.resolve()) in str(error)
    assert "does not exist" in str(error)
    (tmp_path / "sub").mkdir()
    assert "did you mean 'cells.csv'" in str(refusal(tmp_path / "sub" / ".." / "cell.csv"))


def test_row_25_folder_leaves_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "cells.csv").mkdir()
    expected = os.open(tmp_path, os.O_RDONLY)  # the lowest free descriptor
    os.close(expected)
    error = refusal(tmp_path / "cells.csv")
    assert isinstance(error, TableError) and "folder" in str(error)
    after = os.open(tmp_path, os.O_RDONLY)
    os.close(after)
    assert after == expected


def test_row_25_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> int:  # permissions do not bind an administrator, who may run this test
        raise PermissionError(13, "Permission denied")

    (tmp_path / "cells.csv").write_text(GOOD)
    monkeypatch.setattr(table_file.os, "open", deny)
    error = refusal(tmp_path / "cells.csv")
    assert isinstance(error, TableError) and "no permission" in str(error)


def test_row_25_pipes_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cells.csv")
    error = refusal(tmp_path / "cells.csv")
    assert isinstance(error, TableError) and "pipe" in str(error)


def test_row_25_sockets_and_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # socket paths must be short
        server.bind("cells.csv")
        assert isinstance(refusal(Path("cells.csv")), TableError)
    link = tmp_path / "zero.csv"
    link.symlink_to("/dev/zero")
    assert "regular file" in str(refusal(link))


def test_row_25_names_no_system_can_have(tmp_path: Path) -> None:
    for name in ("a\x00b.csv", "a" * 5000 + ".csv"):
        assert isinstance(refusal(tmp_path / name), TableError)


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".joblib", ".yaml", ".yml", ".npy", ".PKL"])
def test_row_59_forms_that_can_run_code_are_never_opened(tmp_path: Path, ending: str) -> None:
    error = refusal(tmp_path / f"cells{ending}")  # not even looked for
    assert isinstance(error, UsageError) and error.exit_code == ExitCode.USAGE
    assert ".csv" in str(error)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("book.xls", TableError, "old Excel"),
        ("book.ods", TableError, "OpenDocument"),
        ("book.xlsb", TableError, "binary Excel"),
        ("book.xlsm", SecurityError, "macros"),
        ("cells.txt", TableError, "'.txt'"),
        ("cells", TableError, "no ending"),
    ],
)
def test_rows_51_and_52_other_forms_say_which(tmp_path: Path, name: str, kind: type[KpioptError], words: str) -> None:
    error = refusal(tmp_path / name)
    assert isinstance(error, kind) and words in str(error) and error.exit_code == ExitCode.INPUT


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04...", b"PAR1....PAR1", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x1f\x8b\x08"]
)
def test_other_files_named_csv(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cells.csv").write_bytes(content)
    assert "named .csv but is" in str(refusal(tmp_path / "cells.csv"))


@pytest.mark.parametrize("name", ["cells.csv", "cells.tsv", "cells.parquet", "cells.xlsx"])
def test_files_beyond_the_size_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_text(GOOD)
    monkeypatch.setattr(table_file, "MAX_FILE_BYTES", len(GOOD) - 1)
    error = refusal(tmp_path / name)
    assert isinstance(error, LimitReached) and error.exit_code == ExitCode.LIMIT
    assert error.problems[0].code == "E-table-size"
    assert f"at most {len(GOOD) - 1:,} bytes" in str(error)


def test_files_of_the_largest_size_are_read_and_those_that_grow_meanwhile_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cells.csv"
    path.write_text(GOOD)
    monkeypatch.setattr(table_file, "MAX_FILE_BYTES", len(GOOD))
    assert read_table(path, "cells.csv", CELLS_TABLE).n_rows == 1
    real = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        path.write_text(GOOD + "more,sales,1\n")
        return found

    monkeypatch.setattr(table_file.os, "fstat", grow)
    assert isinstance(refusal(path), LimitReached)


def test_the_limit_is_what_the_docs_state() -> None:
    page = Path(__file__).parents[3] / "docs" / "format.md"
    assert f"{table_file.MAX_FILE_BYTES:,} bytes" in page.read_text()


@pytest.mark.parametrize("ending", [".csv", ".CSV"])
def test_capitals_in_the_ending_do_not_matter(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"cells{ending}").write_text(GOOD)
    assert read_table(tmp_path / f"cells{ending}", "x", CELLS_TABLE).n_rows == 1


def test_options_that_do_not_fit_the_form(tmp_path: Path) -> None:
    assert "only a workbook" in str(refusal(tmp_path / "cells.csv", sheet="x"))
    assert ".csv files only" in str(refusal(tmp_path / "cells.parquet", delimiter=";"))
