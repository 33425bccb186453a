"""What optimization buys over a spreadsheet on the shipped models: the table of docs/comparing.md is the program's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "comparing.md"


@pytest.fixture(scope="module")
def page_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("beside_spreadsheets", ROOT / "docs" / "beside_spreadsheets.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_model_s_rows_are_what_the_program_says(page_script: ModuleType) -> None:
    """Write them anew with `python docs/beside_spreadsheets.py`."""
    page, (first, *_) = PAGE.read_text("utf-8"), page_script.ASKED
    for line in page_script.rows(*first):
        assert line in page


def test_no_optimized_plan_breaks_a_limit_and_every_spreadsheet_s_does(page_script: ModuleType) -> None:
    lines = PAGE.read_text("utf-8").split("<!-- beside spreadsheets -->")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]
    assert len(rows) == 3 * len(page_script.ASKED)
    for _, plan, *_, broken in rows:
        assert (int(broken) == 0) == (plan == "optimized")


@pytest.mark.nightly
def test_the_whole_table_is_what_the_program_says(page_script: ModuleType) -> None:
    page = PAGE.read_text("utf-8")
    assert page_script.render_page(page, page_script.table()) == page
