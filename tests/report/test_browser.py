"""Pages in a real browser: no error, no request, no text over another, tracing by mouse and keyboard."""

import re

import pytest

from kpiopt.cli.app import main
from tests.report.browser import OUTSIDE, TEXTS, opened
from tests.report.organizations import HOSTILE, write_scorecard

KPIS = [12, 40, 80]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports of made-up organizations, by number of KPIs, and one with hostile names."""
    found = {}
    for n, names in [*((n, None) for n in KPIS), (len(HOSTILE), HOSTILE), (120, None)]:
        folder = tmp_path_factory.mktemp(f"kpis{n}")
        path = write_scorecard(folder, n, names=names)
        assert main(["solve", str(path), "--draws", "256", "--out", str(folder / "runs")]) == 0
        found[n] = next((folder / "runs").iterdir()) / "report.html"
    return found


@pytest.mark.parametrize("n", KPIS)
def test_no_text_stands_over_another_at_any_width(pages, n):
    for width in (390, 1280, 1920):
        with opened(pages[n], width=width) as page:
            assert page.evaluate(TEXTS) == []
            assert page.evaluate(OUTSIDE) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_run_nothing_and_fetch_nothing(pages):
    with opened(pages[len(HOSTILE)], scheme="dark") as page:
        page.on("dialog", lambda dialog: page.trouble.append(dialog.message))
        assert page.evaluate("document.querySelectorAll('img, iframe, foreignObject').length") == 0
        page.locator("svg.map [data-card]").first.click()


def traced(page):
    return set(page.evaluate("[...document.querySelectorAll('svg.map .card.on')].map((c) => c.dataset.id)"))


def test_a_click_traces_causes_and_effects(pages):
    from kpiopt.graph import build_graph
    from kpiopt.report.strategy_map.collect import MapSource, collect_map
    from kpiopt.report.strategy_map.tracing import reached
    from kpiopt.scenario.load import load_scenario

    arrows = collect_map(MapSource(build_graph(load_scenario(pages[40].parent / "scenario.toml")))).arrows
    with opened(pages[40]) as page:
        card = page.locator("svg.map [data-id='kpi.k12']")
        card.click()
        expected = reached(arrows, "kpi.k12", upstream=True) | reached(arrows, "kpi.k12", upstream=False)
        assert traced(page) == expected
        assert card.get_attribute("aria-pressed") == "true"
        assert "causes and" in page.locator(".traceline").inner_text()
        card.click()
        assert traced(page) == set() and page.locator("svg.map.traced").count() == 0


def test_the_keyboard_traces_follows_arrows_and_clears(pages):
    with opened(pages[12]) as page:
        page.locator("svg.map [data-id='kpi.k11']").focus()
        page.keyboard.press("Enter")
        assert "kpi.k11" in traced(page)
        page.keyboard.press("ArrowUp")
        reached_by_key = page.evaluate("document.activeElement.dataset.id")
        assert reached_by_key != "kpi.k11" and reached_by_key in traced(page)
        page.keyboard.press(" ")
        assert page.locator("svg.map .chosen").get_attribute("data-id") == reached_by_key
        page.keyboard.press("Escape")
        assert traced(page) == set()


def test_many_kpis_are_grouped_by_objective_and_open_on_demand(pages):
    with opened(pages[120]) as page:
        assert page.locator("svg.map").first.locator(".card.objective").count() > 10
        assert page.locator(".opened:visible").count() == 0
        card = page.locator("svg.map .card.objective").first
        card.click()
        assert page.locator(".opened:visible").count() == 1
        assert page.locator(".opened:visible svg.map .card.kpi").count() >= 4
        page.locator(".opened:visible button.close").click()
        assert page.locator(".opened:visible").count() == 0


def test_a_map_prints_on_one_landscape_page(pages, tmp_path):
    with opened(pages[40]) as page:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 1050, "height": 730})
        box = page.locator("svg.map").first.bounding_box()
        assert box["width"] <= 1050 and box["height"] <= 700


def test_the_first_printed_page_holds_the_goals_and_pictures_stand_in_pairs(pages):
    with opened(pages[12]) as page:
        printed = page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 9
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 1050, "height": 730})
        first, picture = page.locator(".onlypaper").all(), page.locator(".mapblock").first.bounding_box()
        assert len(first) == 2 and all(block.bounding_box()["y"] < picture["y"] for block in first)  # goals and limits
        assert not page.locator(".onlyscreen").first.is_visible()
        page.emulate_media(media="screen")
        assert not any(block.is_visible() for block in first) and page.locator(".onlyscreen").first.is_visible()


def test_a_wide_map_on_a_small_screen_begins_where_cards_are(pages):
    for n in KPIS:
        with opened(pages[n], width=390) as page:
            assert page.evaluate(CARDS_SEEN) >= 2, n


CARDS_SEEN = """() => {
  const frame = document.querySelector(".mapframe").getBoundingClientRect();
  const boxes = [...document.querySelectorAll(".mapframe [data-card]")].map((card) => card.getBoundingClientRect());
  return boxes.filter((box) => box.left >= frame.left && box.right <= frame.right).length;
}"""
