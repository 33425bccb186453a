"""One self-contained page with figures: works offline, runs nothing but its own script, sends nothing anywhere.

Everything that comes from data is escaped: text by the template, figures as JSON in which no character can end the
script that holds it. The page's content security policy names the two scripts by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kpiopt.errors import InternalError, printable

DRAWING = """
const figures = document.getElementById("figures").textContent;
const options = { responsive: true, displaylogo: false, displayModeBar: false };
let width = 0;
function themed(style) {
  return (key, value) => (/color$/.test(key) && /^--/.test(value) ? style.getPropertyValue(value).trim() : value);
}
function draw() {
  width = innerWidth;
  const style = getComputedStyle(document.documentElement);
  for (const [id, figure] of Object.entries(JSON.parse(figures, themed(style)))) {
    const place = document.getElementById(id);
    const { data, layout } = figure.narrow && place.clientWidth < 480 ? figure.narrow : figure;
    Plotly.react(place, data, layout, options);
  }
}
draw();
addEventListener("resize", () => innerWidth !== width && draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
"""
"""Draws the figures in the page's own colours, and again when it becomes wider, narrower, lighter or darker."""


@dataclass(frozen=True, slots=True)
class Card:
    """One figure in large print; `tone` is "good", "bad" or ""."""

    title: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table; its first `left` columns hold text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    caption: str = ""
    wide: bool = True


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A figure in Plotly's JSON form, see `kpiopt.report.charts`.

    Attributes
    ----------
    note : str
        Stands below the figure, such as what its axes leave out.
    table : PageTable or None
        The figure's numbers, for who cannot see it or wants them.
    """

    title: str
    figure: dict[str, Any]
    caption: str = ""
    wide: bool = False
    note: str = ""
    table: PageTable | None = None


@dataclass(frozen=True, slots=True)
class PageSection:
    """A part of the page under one heading."""

    title: str = ""
    lines: Sequence[str] = ()
    cards: Sequence[Card] = ()
    blocks: Sequence[PageTable | PageFigure] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its title, what it is about, and its sections."""

    title: str
    subtitle: str
    sections: Sequence[PageSection] = field(default=())


@dataclass(frozen=True, slots=True)
class _Placed:
    """A figure with its place on the page."""

    figure: PageFigure
    wide: bool
    number: int

    @property
    def title(self) -> str:
        return self.figure.title

    @property
    def caption(self) -> str:
        return self.figure.caption


def render_page(page: Page) -> str:
    """Return a page as one HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only where a page is written
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("kpiopt.report", "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.finalize = _readable
    placed, figures = _place_figures(page)
    plotly = _plotly_script()
    return environment.get_template("figure_page.html").render(
        page=placed,
        figures=Markup(script_json(figures)),
        plotly=Markup(plotly),
        drawing=Markup(DRAWING),
        script_hashes=Markup(" ".join(f"'sha256-{_hash(script)}'" for script in (plotly, DRAWING))),
    )


def _readable(value: Any) -> Any:
    """Escape control and format characters of texts, as on a terminal; what is marked as safe stays."""
    return printable(value) if type(value) is str else value


def _place_figures(page: Page) -> tuple[dict[str, Any], dict[str, Any]]:
    """Number the figures; return the page for the template and the figures by their place."""
    figures: dict[str, Any] = {}
    sections = []
    for section in page.sections:
        blocks: list[PageTable | _Placed] = []
        for block, wide in zip(section.blocks, _widths(section.blocks), strict=True):
            if isinstance(block, PageFigure):
                number = len(figures) + 1
                figures[f"figure-{number}"] = block.figure
                blocks.append(_Placed(block, wide, number))
            else:
                blocks.append(block)
        sections.append({"title": section.title, "lines": section.lines, "cards": section.cards, "blocks": blocks})
    return {"title": page.title, "subtitle": page.subtitle, "sections": sections}, figures


def _widths(blocks: Sequence[PageTable | PageFigure]) -> list[bool]:
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


def _plotly_script() -> str:
    """Return the script that draws, as the installed package holds it."""
    from plotly.offline import get_plotlyjs

    script = str(get_plotlyjs())
    if "</script" in script.lower() or "<!--" in script:
        raise InternalError("the plotting script cannot stand inside a page")
    return script


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
