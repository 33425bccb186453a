"""One self-contained page: works offline, runs nothing but its own scripts, sends nothing anywhere.

Everything that comes from data is escaped: text by the template, pictures by `kpiopt.report.drawing.svg`, data as JSON
in which no character can end the script that holds it. The page's content security policy names its style and its
scripts by their hashes and allows nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from kpiopt.errors import printable
from kpiopt.report.charts.frame import Figure, chart_style
from kpiopt.report.charts.heat import shade_style
from kpiopt.report.drawing.palette import css
from kpiopt.report.drawing.svg import Svg

if TYPE_CHECKING:
    from jinja2 import Template

SMALLEST, LARGEST, PRINTED = 0.79, 1.4, 0.75
"""Maps are shown at this share of their size at least and at most, and on paper; smaller places scroll sideways."""
MOST_HUNDREDS = 40
TALL = 0.8
MOST_ROWS = 24
"""Further rows of a table are folded."""
NARROW_LETTERS = 62
"""Letters of a line of a table that has room beside a picture."""


@dataclass(frozen=True, slots=True)
class Card:
    """One figure in large print; `tone` is "good", "bad" or ""."""

    title: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table; its first `left` columns hold text.

    Attributes
    ----------
    note : str
        Stands below the table.
    only : str
        "paper" or "screen" where it stands elsewhere on the other; "" on both.
    shown : int or None
        Rows above the fold; None for all, but not too many.
    fold : str
        What is said of those below it, after how many they are.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    caption: str = ""
    wide: bool = True
    note: str = ""
    only: str = ""
    shown: int | None = None
    fold: str = "more rows"

    kind = "table"

    def above_the_fold(self) -> int:
        """Return how many rows are shown at once."""
        if self.shown is not None:
            return self.shown
        return len(self.rows) if len(self.rows) <= MOST_ROWS + 4 else MOST_ROWS

    def told(self, rows: Sequence[Sequence[str]]) -> list[int]:
        """Return the columns that say something in some of these rows; those with names always do."""
        return [i for i in range(len(self.columns)) if i < self.left or not rows or any(row[i] for row in rows)]

    @property
    def is_narrow(self) -> bool:
        """Whether it has room beside a picture."""
        lines = [self.columns, *self.rows]
        return sum(max(map(len, column)) for column in zip(*lines, strict=True)) <= NARROW_LETTERS


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A chart.

    Attributes
    ----------
    note : str
        Stands below the figure, such as what its axes leave out.
    table : PageTable or None
        The figure's numbers, for who cannot see it or wants them.
    full : bool
        Whether it is drawn for the whole width of the page.
    """

    title: str
    figure: Figure
    caption: str = ""
    wide: bool = False
    note: str = ""
    table: PageTable | None = None
    full: bool = False

    kind = "figure"


@dataclass(frozen=True, slots=True)
class PageMap:
    """A strategy map that can be traced, with the maps that its cards open to.

    Attributes
    ----------
    folded : mapping of str to Svg
        By the id of the card that opens it.
    table : PageTable or None
        Its causes and effects as a list.
    levers : sequence of str
        What is to be said about its levers, or why it has none.
    movable : bool
        Whether it has levers.
    """

    title: str
    picture: Svg
    caption: str = ""
    folded: Mapping[str, Svg] = field(default_factory=dict)
    table: PageTable | None = None
    levers: Sequence[str] = ()
    movable: bool = False
    wide: bool = True

    kind = "map"


Block = PageTable | PageFigure | PageMap


@dataclass(frozen=True, slots=True)
class PageSection:
    """A part of the page under one heading."""

    title: str = ""
    lines: Sequence[str] = ()
    cards: Sequence[Card] = ()
    blocks: Sequence[Block] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its title, what it is about, what is to be known first, and its sections.

    Attributes
    ----------
    data : mapping of str to Any
        For the page's scripts, by the id of the element that holds it.
    scripts : tuple of str
        Names of scripts in `kpiopt/report/page/templates`.
    """

    title: str
    subtitle: str
    sections: Sequence[PageSection] = field(default=())
    headline: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()


@cache
def _template() -> Template:
    """Return the template of every page; it is compiled once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only where a page is written

    environment = Environment(
        loader=PackageLoader("kpiopt.report.page", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.finalize = _readable
    environment.filters["picture"] = _as_picture
    environment.filters["readable"] = _readable_width
    environment.filters["tall"] = is_tall
    return environment.get_template("page.html")


def render_page(page: Page) -> str:
    """Return a page as one HTML document."""
    from markupsafe import Markup

    style = page_style()
    scripts = [template_text(name) for name in page.scripts]
    sections = [(section, list(zip(section.blocks, widths(section.blocks), strict=True))) for section in page.sections]
    return _template().render(
        page=page,
        sections=sections,
        style=Markup(style),
        style_hash=Markup(_hash(style)),
        data={name: Markup(script_json(value)) for name, value in page.data.items()},
        scripts=[Markup(script) for script in scripts],
        script_sources=Markup(" ".join(f"'sha256-{_hash(script)}'" for script in scripts) or "'none'"),
    )


def _as_picture(value: object) -> Any:
    """Let a finished picture stand as it is; anything else is text."""
    from markupsafe import Markup, escape

    return Markup(value) if isinstance(value, Svg) else escape(value)


def is_tall(picture: Svg) -> bool:
    """Whether a picture has many rows, so that it is as high as wide or higher: on paper it needs more of a page."""
    width, height = picture.partition('viewBox="0 0 ')[2].partition('"')[0].split()
    return float(height) > TALL * float(width)


def _readable_width(picture: Svg) -> str:
    """Return the class of a wide picture: neither so small that it cannot be read nor larger than drawn for."""
    width = float(picture.partition(' width="')[2].partition('"')[0])
    return f"least-{min(MOST_HUNDREDS, round(width / 100))}"


def _widths_style() -> str:
    hundreds = range(MOST_HUNDREDS + 1)
    screen = (
        f".least-{i}{{min-width:{round(100 * i * SMALLEST)}px;max-width:{round(100 * i * LARGEST)}px}}"
        for i in hundreds
    )
    paper = (f".least-{i}{{max-width:{round(100 * i * PRINTED)}px}}" for i in hundreds)
    return f"@media screen{{{''.join(screen)}}}@media print{{{''.join(paper)}}}"


def _readable(value: Any) -> Any:
    """Escape control and format characters of texts, as on a terminal; what is marked as safe stays."""
    return printable(value) if type(value) is str else value


@cache
def template_text(name: str) -> str:
    """Return a file of the page's templates."""
    return (files("kpiopt.report.page") / "templates" / name).read_text("utf-8")


@cache
def page_style() -> str:
    """Return the style of pages, their charts and maps."""
    from kpiopt.report.strategy_map.drawing import map_style

    own = template_text("page.css")
    plain, _, coloured = own.partition("/* colours */")
    return plain.strip() + css(coloured.strip()) + _widths_style() + chart_style() + shade_style() + map_style()


def widths(blocks: Sequence[Block]) -> list[bool]:
    """Say which blocks take the whole width: those that want to, and the last of an odd number that do not."""
    wide, run = [block.wide for block in blocks], 0
    for i, block in enumerate(blocks):
        run = 0 if block.wide else run + 1
        if run % 2 and (i + 1 == len(blocks) or blocks[i + 1].wide):
            wide[i] = True
    return wide


def script_json(value: Any) -> str:
    """Write JSON that can stand in a script element: <, >, & and the line separators of JavaScript are escaped."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
