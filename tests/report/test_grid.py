"""Tables lose no digit, whatever the width."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kpiopt.report.grid import FirstThatFits, Grid, Sentence, narrower
from kpiopt.report.page.kept_files import plain_text

ROWS = [
    ("A rather long name of a unit in the north", "12,345,678.90", "61.2 (60.1 to 62.3)"),
    ("B", "7", "less than 0.02"),
]


def shown(grid: Grid | FirstThatFits, width: int) -> str:
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


def test_a_figure_stands_on_one_line():
    """A number and what follows it are never parted, whatever the width; what is indented stays so on every line."""
    text = "the odds of all 3 are 31.7 % (31.0 % to 32.3 %), pay 91,291 USD."
    for width in range(20, 70):
        lines = list(Sentence(text).lines(width))
        assert " ".join(lines) == text and max(map(len, lines)) <= width
        assert not any(line.startswith(("%", "USD")) for line in lines)
    said = plain_text(Sentence("    " + text, "", 2), 40)
    assert all(line.startswith("      ") for line in said.splitlines()) and max(map(len, said.splitlines())) <= 40
    assert plain_text(Sentence("a" * 50), 30).split() == ["a" * 30, "a" * 20]


def test_columns_that_can_be_spared_go_before_the_table_becomes_a_list():
    grid = Grid(("goal", "baseline", "target", "plan"))
    grid.add("Sales", "1,000,000", "1,100,000", "1,090,000")
    grids = narrower(grid, "baseline", "target")
    assert {"baseline", "target"} <= set(shown(grids, 60).split())
    narrow = shown(grids, 36)
    assert "baseline" not in narrow.split() and "1,100,000" in narrow
    assert "1,100,000" not in shown(grids, 28) and "1,090,000" in shown(grids, 28)
    assert "baseline: 1,000,000" in re.sub(r"\s+", " ", shown(grids, 18))  # nothing is lost in the list
