"""Pages in a real headless browser: Chromium, driven by Playwright; tests skip where one of the two is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")

TEXTS = """() => {
  const shown = (element) => element.checkVisibility({ checkOpacity: false, checkVisibilityCSS: true });
  const found = [];
  for (const svg of document.querySelectorAll("svg.map, svg.chart")) {
    if (!shown(svg)) continue;
    const texts = [...svg.querySelectorAll("text")].filter(shown).map((element) => {
      const box = element.getBoundingClientRect();
      return { text: element.textContent, box };
    }).filter((entry) => entry.box.width > 0);
    texts.forEach((a, i) => texts.slice(i + 1).forEach((b) => {
      const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (wide > 2 && high > 4) found.push([svg.getAttribute("aria-label"), a.text, b.text, Math.round(wide)]);
    }));
  }
  return found;
}"""
"""Pairs of texts of one picture that overlap, by what the browser measures; turned texts by the boxes around them."""

OUTSIDE = """() => {
  const found = [];
  for (const card of document.querySelectorAll("svg.map .card")) {
    const box = card.querySelector(".box").getBoundingClientRect();
    for (const text of card.querySelectorAll("text")) {
      const inner = text.getBoundingClientRect();
      if (inner.width && (inner.left < box.left - 1 || inner.right > box.right + 1 || inner.bottom > box.bottom + 1))
        found.push([text.textContent, Math.round(inner.right - box.right)]);
    }
  }
  return found;
}"""
"""Texts of cards that stand out of their card."""


@cache
def browser() -> tuple[Any, Any]:
    """One browser for the tests of a file, and who drives it: starting one takes longer than most of them."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next((found for name in NAMES if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip("there is no Chromium on this machine")
    driver = playwright.sync_playwright().start()
    return driver.chromium.launch(executable_path=executable, args=["--no-sandbox"]), driver


@pytest.fixture(scope="module", autouse=True)
def closed_browser() -> Iterator[None]:
    """Close the browser after the last test of a file: while it is driven, no other event loop can run."""
    yield
    if browser.cache_info().currsize:
        started, driver = browser()
        started.close()
        driver.stop()
        browser.cache_clear()


@contextmanager
def opened(path: Path, *, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """Open a file in a browser without network; what goes wrong is collected in `page.trouble`."""
    page = browser()[0].new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        page.trouble = []
        page.on("console", lambda message: page.trouble.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        address = path.resolve().as_uri()
        page.on("request", lambda r: None if r.url.startswith(address) else page.trouble.append(f"request {r.url}"))
        page.goto(address)
        yield page
        assert page.trouble == [], page.trouble
    finally:
        page.close()


def assert_readable(path: Path, html: str) -> None:
    """Write a page and look at it in three widths: no text over another, nothing wider than the window."""
    path.write_text(html, "utf-8")
    with opened(path) as page:
        for width in (390, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(TEXTS) == [], width
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
