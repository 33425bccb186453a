"""Tables lose no digit, whatever the width."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kpiopt.report.grid import Grid

ROWS = [
    ("A rather long name of a unit in the north", "12,345,678.90", "61.2 (60.1 to 62.3)"),
    ("B", "7", "less than 0.02"),
]


def shown(grid: Grid, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(grid)
    return captured.get()


@pytest.mark.parametrize("width", range(24, 120, 4))
def test_every_number_is_whole_at_every_width(width):
    grid = Grid(("unit", "target", "odds in %\n(95 % interval)"))
    for row in ROWS:
        grid.add(*row)
    text = shown(grid, width)
    assert all(len(line) <= width for line in text.splitlines())
    for row in ROWS:
        assert row[1] in text
        assert row[2] in re.sub(r"\s+", " ", text)


def test_wide_is_a_table_and_narrow_a_list():
    grid = Grid(("unit", "target"))
    grid.add("North", "1,000")
    assert "─" in shown(grid, 60)
    assert "target: 1,000" in shown(grid, 16)


@given(st.text(max_size=30))
def test_names_from_data_cannot_control_the_terminal(name):
    grid = Grid(("unit", "target"))
    grid.add(name, "1")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f‪-‮]", shown(grid, 100))
