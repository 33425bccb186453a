"""What a terminal and a pipe show of a problem: lines of its width on the one, one line each in the other."""

import io

import pytest

from kpiopt.cli.terminal import say_problems
from kpiopt.errors import Location, Problem, format_problem

SOURCE = 'target = "as much as last year and then a little more, as the board said in its meeting"'
SET = "--set 'cell.\"b/v\".max_stretch = 4'"
PROBLEM = Problem(
    "E-clash",
    "the goals of sales and of margin cannot both be held while the budget of travel is what it was in the year before",
    rule="what is hard holds in every plan, and limits that contradict each other leave none that could be made at all",
    fix=f"raise the largest stretch of the units under co by 33 per cent of what it is, as here ({SET}), or less",
    location=Location("organization/scenario.toml", 12, 10, text=SOURCE),
    others=(Location("organization/" + "very-long-name-of-a-folder/" * 3 + "table.csv", 7),),
)


class Stream(io.StringIO):
    """A stream that is a terminal, or is not."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def said(monkeypatch: pytest.MonkeyPatch, problem: Problem, *, is_terminal: bool) -> list[str]:
    stream = Stream(is_terminal=is_terminal)
    monkeypatch.setattr("sys.stderr", stream)
    say_problems([problem])
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_terminal_shows_a_problem_in_its_width_and_breaks_no_word(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    lines = said(monkeypatch, PROBLEM, is_terminal=True)
    assert f"    | {SOURCE}" in lines and "    | " + " " * 9 + "^" in lines
    long = [line for line in lines if len(line) > width and "    | " not in line]
    assert all(len(line.split()) == 1 or SET in line or line.startswith("    also: ") for line in long), long
    assert " ".join(" ".join(lines).split()) == " ".join(format_problem(PROBLEM).split())
    assert any(SET in line for line in lines)
    rule = next(i for i, line in enumerate(lines) if line.startswith("    rule: "))
    assert lines[rule + 1].startswith(" " * 10) and lines[rule + 1][10] != " "
    assert lines[1].startswith("    ") and lines[1][4] not in " |"


def test_colour_counts_for_no_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    coloured = said(monkeypatch, PROBLEM, is_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = said(monkeypatch, PROBLEM, is_terminal=True)
    assert [line.replace("\x1b[1;31m", "").replace("\x1b[0m", "") for line in coloured] == plain


def test_wide_characters_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    lines = said(monkeypatch, Problem("W-x", "売上 " * 30), is_terminal=True)
    assert max(map(len, lines)) <= 28


def test_a_pipe_has_one_line_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert said(monkeypatch, PROBLEM, is_terminal=False) == format_problem(PROBLEM).splitlines()
