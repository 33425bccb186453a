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
const figures = JSON.parse(document.getElementById("figures").textContent);
for (const [id, figure] of Object.entries(figures)) {
  Plotly.newPlot(id, figure.data, figure.layout, { responsive: true, displaylogo: false, displayModeBar: false });
}
"""


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
    """A figure in Plotly's JSON form, see `kpiopt.report.charts`."""

    title: str
    figure: dict[str, Any]
    caption: str = ""
    wide: bool = False


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

    title: str
    caption: str
    wide: bool
    number: int


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
        for block in section.blocks:
            if isinstance(block, PageFigure):
                number = len(figures) + 1
                figures[f"figure-{number}"] = block.figure
                blocks.append(_Placed(block.title, block.caption, block.wide, number))
            else:
                blocks.append(block)
        sections.append({"title": section.title, "lines": section.lines, "cards": section.cards, "blocks": blocks})
    return {"title": page.title, "subtitle": page.subtitle, "sections": sections}, figures


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
