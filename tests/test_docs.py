"""The pages about the code are those of the code."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import kpiopt

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_rooms_are_drawn_from_the_code():
    """Bring the page up to date with `python docs/architecture.py`."""
    page = ARCHITECTURE.read_text("utf-8")
    assert script("architecture").render_page(page) == page


def test_the_order_of_rooms_is_the_one_that_is_held():
    from tests.test_architecture import ROOMS

    assert script("architecture").rooms() == ROOMS


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?|\w+\.py)`", ARCHITECTURE.read_text("utf-8"))))
)
def test_every_place_that_the_page_names_is_there(path):
    places = (ROOT / "kpiopt" / path, ROOT / path)
    assert any(place.exists() for place in places)


@pytest.mark.parametrize(
    "walk", ARCHITECTURE.read_text("utf-8").split("## Five walks")[1].split("## Where")[0].split("\n\n")[1:-1]
)
def test_a_walk_goes_through_at_most_eight_rooms(walk):
    rooms = {name.split("/")[0] for name in re.findall(r"`(\w+/[\w/.]*)`", walk)}
    assert 1 <= len(rooms) <= 8


def test_the_reference_is_written_from_the_docstrings():
    """Bring the page up to date with `python docs/reference.py`."""
    reference = script("reference")
    assert reference.PAGE.read_text("utf-8") == reference.render_page()
    assert set(re.findall(r"^## (\w+)", reference.render_page(), re.M)) >= {
        "solve",
        "load",
        "Scenario",
        "Run",
        "Errors",
    }


@pytest.mark.parametrize("kind", [kpiopt.Run, kpiopt.Scenario])
def test_the_reference_lists_every_field(kind):
    reference = script("reference")
    _, found = reference.sections(inspect.getdoc(kind) or "")
    listed = {n for names, _ in reference.entries(found["Attributes"]) for n in names.split(" : ")[0].split(", ")}
    assert {field.name for field in fields(kind)} <= listed


def test_the_reference_says_what_every_call_returns():
    calls = re.findall(r"^kpiopt\.\w+\(.*", script("reference").render_page(), re.M)
    assert len(calls) >= 9
    assert all(re.search(r"\) -> [A-Z]?\w+", call) for call in calls)


def test_every_page_is_a_chapter_of_the_site():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(re.findall(r"^- \[[^]]*\]\(([^):]+)\)", index, re.M)) == sorted(pages - {"index.md"})


def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    pytest.importorskip("furo", reason="the theme of the site is not installed")
    words = [sys.executable, "-m", "sphinx", "-qW", "--keep-going", str(ROOT / "docs"), str(tmp_path / "site")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").glob("*.html"):
        fetched = re.findall(
            r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//[^\"]*", page.read_text("utf-8")
        )
        assert not fetched, (page.name, fetched)
    assert (tmp_path / "site" / "search.html").is_file()


def test_every_shipped_scenario_is_in_the_gallery_and_every_picture_is_shown():
    """Make the pictures anew with `python docs/pictures.py`."""
    texts = "".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
    for path in (ROOT / "scenarios").rglob("*.toml"):
        assert f"(../{path.relative_to(ROOT).as_posix()})" in texts
        assert f"(pictures/{path.stem}.png)" in texts
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert {f"pictures/{path.name}" for path in pictures} == set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", texts))
    assert sum(path.stat().st_size for path in pictures) < 2_000_000


def test_decisions_are_numbered_once_and_listed_in_order():
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, file in enumerate(files, start=1):
        assert file.name.startswith(f"{number:04}-"), file.name
        assert file.read_text(encoding="utf-8").startswith(f"# {number}. "), file.name
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    places = [index.index(f"decisions/{file.name}") for file in files]
    assert places == sorted(places)


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_of_a_page_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", (ROOT / "docs" / page).read_text("utf-8")):
        assert (ROOT / "docs" / link).exists(), link


def test_the_glossary_says_what_every_word_means_once():
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)[1:]
    words = [word.strip() for row in rows for word in row.split(",")]
    assert len(words) == len(set(words))
    asked = "cell, stretch, asked, expected, execution, peers, hub, face, level, place, answer, found, period, horizon"
    assert {*asked.split(", "), "promise", "regret", "recourse", "back-test", "model", "plan"} <= set(words)


def test_every_file_that_the_page_of_rooms_names_is_there():
    text = ARCHITECTURE.read_text("utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?|api\.py|errors\.py)`", text))
    assert len(named) > 50
    assert {name for name in named if not ((ROOT / "kpiopt" / name).exists() or (ROOT / name).exists())} == set()
