"""A page on paper: the same sections, tables and pictures as PDF by Typst, tagged for screen readers (PDF/UA)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kpiopt.errors import printable
from kpiopt.report.charts.frame import chart_style
from kpiopt.report.charts.heat import shade_style
from kpiopt.report.drawing.svg import Svg, draw
from kpiopt.report.page.page import Block, Page, PageMap, PageTable, is_tall, template_text
from kpiopt.report.strategy_map.drawing import map_style
from kpiopt.report.strategy_map.export import typeset

MOST_ROWS = 60
"""Rows of one table on paper; the others are counted."""

INTERVAL = re.compile(r"\(([\d.,]+) % to ([\d.,]+) %\)")
LARGER = ".map{font-size:12px}.map .name{font-size:13.5px}"
"""Maps are made smaller on paper; the widths of their texts are on the safe side and leave room for that."""
TITLE = 28.0
"""Height of the title of a map."""


def render_pdf(page: Page, *, landscape: bool = False, one_page: bool = False) -> bytes:
    """Return a page as PDF; equal pages give equal bytes.

    Parameters
    ----------
    one_page : bool
        Whether all of it stands on one sheet: one page or front and back, where there is too much with less of each
        table.

    Raises
    ------
    UsageError
        Where the extra `pdf` is not installed.
    """
    with TemporaryDirectory(prefix="kpiopt-") as name:
        folder = Path(name)
        document = _document(page, folder) | {"landscape": landscape, "one-page": one_page}
        (folder / "page.json").write_text(json.dumps(document, ensure_ascii=False), "utf-8")
        return typeset(folder, template_text("page.typ"), pdf_standards=["ua-1"], timestamp=0)


def _document(page: Page, folder: Path) -> dict[str, Any]:
    """Return what the template reads; pictures are written beside it. Names from data are data, never markup."""
    style = draw("style", Svg(chart_style(dark=False) + shade_style(dark=False) + map_style(dark=False) + LARGER))
    count = 0
    sections = []
    for section in page.sections:
        blocks = []
        for block in section.blocks:
            if isinstance(block, PageTable) and block.only == "screen":
                continue
            count += 1
            blocks.append(_block(block, f"picture{count}.svg", folder, style))
        cards = [
            {
                "title": printable(c.title),
                "value": printable(c.value),
                "note": printable(c.note),
                "tone": c.tone or "plain",
            }
            for c in section.cards
        ]
        lines = [printable(line) for line in section.lines]
        sections.append({"title": printable(section.title), "lines": lines, "cards": cards, "blocks": blocks})
    texts = {"title": page.title, "subtitle": page.subtitle, "headline": page.headline}
    return {**{key: printable(text) for key, text in texts.items()}, "sections": sections}


def _block(block: Block, name: str, folder: Path, style: Svg) -> dict[str, Any]:
    if isinstance(block, PageTable):
        return _table(block)
    svg = block.picture if isinstance(block, PageMap) else block.figure.wide
    head, mark, rest = (_without_title(svg) if isinstance(block, PageMap) else svg).partition(">")
    (folder / name).write_text(f"{head}{mark}{style}{rest}", "utf-8")
    note = "" if isinstance(block, PageMap) else block.note
    return {"kind": block.kind, "title": printable(block.title) or "picture", "caption": printable(block.caption),
            "picture": name, "note": printable(note), "full": isinstance(block, PageMap) or block.full,
            "tall": not isinstance(block, PageMap) and is_tall(svg)}  # fmt: skip


def _without_title(svg: str) -> str:
    """Begin a map below its title, which stands above the picture on paper."""
    width, height = (float(size) for size in svg.partition('viewBox="0 0 ')[2].partition('"')[0].split())
    place = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    return svg.replace(place, f'viewBox="0 {TITLE:.0f} {width:.0f} {height - TITLE:.0f}"', 1).replace(
        f' height="{height:.0f}"', f' height="{height - TITLE:.0f}"', 1
    )


def _short(text: str) -> str:
    """Write odds with their interval as short as on a card of the map."""
    return INTERVAL.sub(r"(\1–\2)", text)


def _table(table: PageTable) -> dict[str, Any]:
    rows = [
        [_short(printable(field)) for field in row] for row in table.rows[: min(MOST_ROWS, table.shown or MOST_ROWS)]
    ]
    left = len(table.rows) - len(rows)
    told = table.told(rows)
    more = f" {left:,} {table.fold} are left out on paper." if left else ""
    return {
        "kind": "table", "title": printable(table.title), "caption": printable(table.caption), "left": table.left,
        "columns": [printable(table.columns[i]) for i in told], "rows": [[row[i] for i in told] for row in rows],
        "note": printable(table.note) + more,
    }  # fmt: skip
