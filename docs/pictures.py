"""Make the pictures of the tutorial and the gallery: `python docs/pictures.py [SCENARIO …]`.

With `--reports` the finished reports are kept too, for the site to show. Sheets and maps are SVG; pages are
photographed in a headless Chromium (Debian's package) by Playwright.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from python_calamine import CalamineWorkbook

from kpiopt.cli import main

DOCS = Path(__file__).parent
PICTURES = DOCS / "pictures"
REPORTS = DOCS / "reports"
SCENARIOS = DOCS.parent / "scenarios"
GALLERY = sorted(path.relative_to(SCENARIOS).with_suffix("").as_posix() for path in SCENARIOS.rglob("*.toml"))
WITHOUT_MAP = ("adventureworks-quarters", "canada-service-standards")  # cards without arrows; a single card
ROW, LETTER = 22, 6.6
FILLS = {"help": "#eef1f5", "head": "#1f4e9c", "input": "#fff8e0"}


def run(*words: object) -> None:
    """Run one command; what it says on the way stays unsaid."""
    if code := main([str(word) for word in words]):
        raise SystemExit(f"kpiopt {' '.join(map(str, words))} ended with {code}")


def sheet_picture(book: Path, name: str, columns: int, rows: int) -> str:
    """Draw the upper left corner of a sheet as a spreadsheet shows it."""
    cells = [row[:columns] for row in CalamineWorkbook.from_path(str(book)).get_sheet_by_name(name).to_python()[:rows]]
    texts = [[_shown(value, 20) for value in row] for row in cells]
    widths = [max(70, *(14 + LETTER * len(row[i]) for row in texts if i < len(row))) for i in range(len(cells[1]))]
    lefts = [34 + sum(widths[:i]) for i in range(len(widths))]
    parts = []
    for i, left in enumerate(lefts):
        parts.append(_cell(left, 0, widths[i], chr(65 + i), "help"))
    for n, row in enumerate(texts, start=1):
        parts.append(_cell(0, n * ROW, 34, str(n), "help"))
        kind = "help" if n == 1 else "head" if n == 2 else "input"
        parts += [_cell(lefts[i], n * ROW, widths[i], text, kind) for i, text in enumerate(row)]
    size = f"{34 + sum(widths):.0f} {(len(texts) + 1) * ROW}"
    style = 'font-family="Arial, Liberation Sans, sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" {style}>{"".join(parts)}</svg>\n'


def _shown(value: object, most: int) -> str:
    if isinstance(value, float):
        return f"{value:,.10g}"
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cell(left: float, top: float, width: float, text: str, kind: str) -> str:
    box = f'x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{ROW}" fill="{FILLS[kind]}" stroke="#c9d1dc"'
    ink = "#fff" if kind == "head" else "#5b6675" if kind == "help" else "#1a2433"
    return f'<rect {box}/><text x="{left + 6:.0f}" y="{top + 15:.0f}" fill="{ink}">{escape(text)}</text>'


@contextmanager
def browser() -> Iterator[Any]:
    """Open Debian's Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield found
        found.close()


def photograph(found: Any, page: Path, picture: str, *, width: int, height: int, scale: float = 1) -> None:
    """Write the upper part of a page as PNG."""
    view = found.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
    view.goto(page.resolve().as_uri())
    view.screenshot(path=PICTURES / picture)
    view.close()


def only_run(folder: Path) -> Path:
    """Return the one run folder that is there."""
    (found,) = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return found


def tutorial_pictures(found: Any) -> None:
    """Go through the tutorial and take its pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("init", "--excel", folder / "plan.xlsx")
        for sheet, columns, rows in (("goals", 7, 4), ("cells", 7, 9)):
            picture = sheet_picture(folder / "plan.xlsx", sheet, columns, rows)
            (PICTURES / f"sheet-{sheet}.svg").write_text(picture, encoding="utf-8")
        settings = ("--set", "goal.sales.target=2210000")
        run("solve", folder / "plan.xlsx", *settings, "--out", folder / "runs")
        report, card = folder / "report.html", folder / "ann.html"
        run("report", only_run(folder / "runs"), "--html", report)
        run("report", only_run(folder / "runs"), "--scorecard", "ann", "--html", card)
        photograph(found, report, "report.png", width=1200, height=1000)
        photograph(found, card, "ann.png", width=1000, height=1150)
        move_a_lever(found, report)


def move_a_lever(found: Any, report: Path) -> None:
    """Photograph the map of a report while a lever is moved."""
    view = found.new_page(viewport={"width": 1100, "height": 1400})
    view.goto(report.resolve().as_uri())
    view.locator("input[data-onmap='initiative.coaching']").focus()
    for _ in range(2):
        view.keyboard.press("ArrowRight")
    view.locator(".mapblock").first.screenshot(path=PICTURES / "levers.png")
    view.close()


def gallery_pictures(found: Any, chosen: list[str]) -> None:
    """Solve every shipped (or named) scenario; photograph its report and draw its map."""
    with tempfile.TemporaryDirectory() as name:
        for scenario in (one for one in GALLERY if not chosen or Path(one).name in chosen):
            title = Path(scenario).name
            folder = Path(name) / title
            run("solve", SCENARIOS / f"{scenario}.toml", "--out", folder)
            report = only_run(folder) / "report.html"
            photograph(found, report, f"{title}.png", width=1280, height=1100, scale=0.6)
            if title not in WITHOUT_MAP:
                run("map", only_run(folder), "--file", PICTURES / f"{title}-map.svg", "--force")
            if "--reports" in sys.argv:
                REPORTS.mkdir(exist_ok=True)
                shutil.copyfile(report, REPORTS / f"{title}.html")


if __name__ == "__main__":
    os.umask(0o022)
    PICTURES.mkdir(exist_ok=True)
    with browser() as chromium:
        named = [word for word in sys.argv[1:] if not word.startswith("-")]
        if not named:
            tutorial_pictures(chromium)
        gallery_pictures(chromium, named)
