"""The site of these pages: `sphinx-build -W docs site`, by Sphinx with MyST and the theme Furo; nothing is fetched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent
project = "kpiopt"
author = "the kpiopt authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "kpiopt"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
myst_heading_anchors = 4
reports = sorted((DOCS / "reports").glob("*.html"))  # made by `python docs/pictures.py --reports`
html_extra_path = ["reports"] if reports else []


def add_chapters(app: Sphinx, page: str, source: list[str]) -> None:
    """Turn the lists of links in index.md into the site's chapters; link the gallery's reports where they are made."""
    if page == "gallery" and reports:
        links = ", ".join(f'<a href="{path.name}">{path.stem}</a>' for path in reports)
        source[0] += f"\n## Finished reports\n\n{links}\n"
    if page != "index":
        return
    chapters = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", source[0], re.MULTILINE | re.DOTALL)
    for title, links in chapters:
        pages = "\n".join(re.findall(r"^- \[[^]]*\]\(([^):]+)\.md\)", links, re.MULTILINE))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"


def name_places(app: Sphinx, page: str, source: list[str]) -> None:
    """Name folders and pages of the project that are not on the site; single files are handed out."""

    def told(link: re.Match[str]) -> str:
        is_file = (DOCS.parent / link[2]).is_file() and not link[2].endswith(".md")
        return link[0] if is_file else f"`{link[2]}`"

    if "/" not in page:
        source[0] = re.sub(r"\[([^]]+)\]\(\.\./([^)]+)\)", told, source[0])


def setup(app: Sphinx) -> None:
    """Register what happens while pages are read."""
    app.connect("source-read", add_chapters)
    app.connect("source-read", name_places)
