"""Tables that never cut a number, as a list where they do not fit, and sentences that never part a figure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kpiopt.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

NARROWEST_TEXT = 16
GAP = 3


_NUMBER = re.compile(r"[(+-]?[0-9][0-9.,]*")


@dataclass(frozen=True)
class Sentence:
    """A text of its own, indented on every line; a number and its unit of measure stand on one line.

    Examples
    --------
    >>> list(Sentence("the odds of all of them are 31.7 %.").lines(34))
    ['the odds of all of them are', '31.7 %.']
    """

    text: str
    style: str = ""
    indent: int = 0

    def lines(self, width: int) -> Iterator[str]:
        """Yield the lines that a width takes; what is wider than a line is left to whoever prints it."""
        line = ""
        for words in self._together():
            if line and cell_len(line) + 1 + cell_len(words) > width:
                yield line
                line = ""
            line = f"{line} {words}" if line else words
        yield line

    def _together(self) -> Iterator[str]:
        """Yield the words, a number with what follows it."""
        held = ""
        for word in printable(self.text).strip(" ").split(" "):
            held = f"{held} {word}" if held else word
            if not _NUMBER.fullmatch(word):
                yield held
                held = ""
        if held:
            yield held

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Padding]:
        own = len(self.text) - len(self.text.lstrip(" "))
        for line in self.lines(options.max_width - self.indent - own):
            yield Padding(Text(line, style=self.style), (0, 0, 0, self.indent + own), expand=False)


def heading(text: str) -> Text:
    """Return the heading of a part of a page, an empty line before it."""
    return Text(f"\n{printable(text)}", style="bold")


def indented(text: str, style: str = "", indent: int = 2) -> Sentence:
    """Return a sentence below a heading."""
    return Sentence(text, style, indent)


def capital(text: str) -> str:
    """Return a text as it begins a sentence."""
    return text[:1].upper() + text[1:]


@dataclass
class Grid:
    """Rows of texts under a heading; the first `left` columns hold names, which may be folded, the rest numbers.

    Attributes
    ----------
    left : int
        Number of text columns.
    """

    columns: tuple[str, ...]
    left: int = 1
    rows: list[list[Text]] = field(default_factory=list)

    def add(self, *fields: str | Text) -> None:
        """Add a row; plain texts come from data, so control characters are escaped."""
        self.rows.append([Text(printable(f)) if isinstance(f, str) else f for f in fields])

    def without(self, name: str) -> Grid:
        """Return the grid without a column."""
        kept = [i for i, column in enumerate(self.columns) if column != name]
        columns, rows = tuple(self.columns[i] for i in kept), [[row[i] for i in kept] for row in self.rows]
        return Grid(columns, sum(i < self.left for i in kept), rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        if self.fits(options.max_width):
            yield self._table(self._least_widths())
        else:
            yield from self._list()

    def fits(self, width: int) -> bool:
        """Whether the rows can stand as a table of a width."""
        return sum(self._least_widths()) + GAP * len(self.columns) <= width

    def _least_widths(self) -> list[int]:
        """Widths at which numbers stay whole, and names break between words only."""
        words = (
            max((cell_len(word) for text in column for word in text.split()), default=0) for column in self._texts()
        )
        return [
            min(w, max(NARROWEST_TEXT, word)) if i < self.left else w
            for i, (w, word) in enumerate(zip(self._widths(), words, strict=True))
        ]

    def _texts(self) -> list[tuple[str, ...]]:
        """The texts of each column, its heading first."""
        return list(zip(self.columns, *([field.plain for field in row] for row in self.rows), strict=True))

    def _widths(self) -> list[int]:
        """Widths at which no column needs a second line."""
        return [max(cell_len(line) for text in column for line in text.split("\n")) for column in self._texts()]

    def _table(self, least: list[int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False, header_style="")
        for i, name in enumerate(self.columns):
            is_text = i < self.left
            table.add_column(
                Text(name),
                justify="left" if is_text else "right",
                no_wrap=not is_text,
                overflow="fold",
                min_width=least[i],
            )
        for row in self.rows:
            table.add_row(*row)
        return table

    def _list(self) -> Iterator[Text]:
        """Yield each row as its name and what follows, for narrow terminals."""
        for row in self.rows:
            yield Text(f" {', '.join(f.plain.strip() for f in row[: self.left] if f.plain.strip())}", style="bold")
            for name, value in zip(self.columns[self.left :], row[self.left :], strict=True):
                if value.plain:
                    yield Text.assemble(f"   {name.replace(chr(10), ' ')}: ", Text(" ").join(value.split()))


@dataclass(frozen=True)
class FirstThatFits:
    """Grids of the same rows, the fullest first; the first that fits as a table is shown, else the last."""

    grids: tuple[Grid, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Grid]:
        yield next((grid for grid in self.grids if grid.fits(options.max_width)), self.grids[-1])


def narrower(grid: Grid, *spare: str) -> FirstThatFits:
    """Return a grid that does without some columns, one after the other, where it would not fit; else all as a list."""
    grids = [grid]
    for name in spare:
        grids.append(grids[-1].without(name))
    return FirstThatFits((*grids, grid))
