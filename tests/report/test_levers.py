"""Levers of a page give the figures of `kpiopt simulate --act/--do` on the same draws."""

import json

import numpy as np
import pytest

from kpiopt.cli.app import main
from kpiopt.graph import build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.simulation.intervene import intervene
from kpiopt.studies.levers import find_levers, lever_settings, measure_levers
from tests.report.browser import OUTSIDE, TEXTS, opened
from tests.report.organizations import TOOLED, write_scorecard


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levers")
    path = write_scorecard(folder, 12, draws=4096)
    assert main(["solve", str(path), "--out", str(folder / "runs")]) == 0
    run = next((folder / "runs").iterdir())
    assert main(["report", str(run), "--html", str(folder / "levers.html")]) == 0
    return run, folder / "levers.html"


def test_effects_in_draws_are_those_of_interventions():
    graph = build_graph(load_scenario("scenarios/scorecard.toml"))
    stretch, levels = 0.5 * graph.scenario.cells.max_stretch, np.zeros(graph.n_levels)
    stretch[~graph.scenario.cells.has_decision] = 0.0
    settings = lever_settings(graph)
    settings = type(settings)(512, settings.seed, settings.method)
    levers = {lever.name: lever for lever in find_levers(graph, 100)}
    chosen = (levers["kpi.response_time"], levers["initiative.technician_academy@field-east"])
    found = measure_levers(graph, stretch, levels, chosen, settings)
    moved = found.margins - 4.0 * found.on_goals[0] + 2.0 * found.on_goals[1]
    do, act = ["response_time+=-4"], ["technician_academy@field-east=2"]
    after = intervene(graph, stretch, levels, None, settings, do=do, act=act)
    assert [float(np.mean(m >= 0)) for m in found.margins] == [o.first.estimate for o in after.odds[:-1]]
    assert [float(np.mean(m >= 0)) for m in moved] == [o.second.estimate for o in after.odds[:-1]]
    for entry in after.changes:
        mean = -4.0 * found.on_nodes[0, entry.node] + 2.0 * found.on_nodes[1, entry.node]
        assert entry.change.estimate == pytest.approx(mean, rel=1e-9, abs=1e-12)


def test_the_strongest_initiatives_are_taken_where_there_are_many():
    graph = build_graph(load_scenario("scenarios/scorecard.toml"))
    everything = [lever.name for lever in find_levers(graph, 1000)]
    few = [lever.name for lever in find_levers(graph, len(everything) - 5)]
    kpis = [name for name in everything if name.startswith("kpi.")]
    assert len(everything) == graph.n_levels + len(kpis)
    assert set(few) < set(everything) and set(kpis) < set(few) and len(few) == len(everything) - 5


def simulated(run, capsys, *words):
    capsys.readouterr()
    assert main(["simulate", str(run), "--draws", "4096", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)["change"]


def shown(page):
    """Rows of the odds on the page and the badges on its cards."""
    odds = page.evaluate("[...document.querySelectorAll('#lever-odds tbody tr')].map((r) => ({...r.dataset}))")
    badges = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.badge')].map((b) => [b.dataset.badge, +b.dataset.change]))"
    )
    return odds, badges


def compare(page, found, draws=4096):
    """Odds agree to one draw, which rounding to 16 bits may turn; means to rounding."""
    odds, badges = shown(page)
    assert len(odds) == len(found["odds"])
    for row, entry in zip(odds, found["odds"], strict=True):
        assert int(row["before"]) / draws == pytest.approx(entry["before"]["estimate"], abs=1e-12)
        assert int(row["after"]) / draws == pytest.approx(entry["after"]["estimate"], abs=1.01 / draws)
        ends = [float(x) for x in row["difference"].split()]
        expected = [entry["difference"][key] for key in ("estimate", "low", "high")]
        assert ends == pytest.approx(expected, abs=2.5 / draws)
    changes = {c["node"].removeprefix("company/"): c["change"]["estimate"] for c in found["kpis"]}
    for kpi, change in changes.items():
        assert badges.get(f"kpi.{kpi}", 0.0) == pytest.approx(change, rel=1e-6, abs=1e-9)


DATA = "JSON.parse(document.getElementById('lever-data').textContent)"
SET = "(input, value) => { input.value = String(value); input.dispatchEvent(new Event('input', { bubbles: true })); }"


def test_moving_levers_gives_what_simulate_gives(solved, capsys):
    run, file = solved
    with opened(file) as page:
        page.locator("#lever-list input[data-lever='initiative.academy@team0']").evaluate(SET, 2)
        page.locator("#lever-list input[data-lever='kpi.k8']").evaluate(SET, 0.8)
        moved = float(page.locator("#lever-list input[data-lever='kpi.k8']").input_value())
        assert moved == pytest.approx(0.8)
        compare(page, simulated(run, capsys, "--act", "academy@team0=2", "--do", f"k8+={moved}"))
        flows = page.locator("svg.map .arrow.flow").count()
        assert flows > 0 and page.locator("#lever-arrows li").count() == flows
        page.locator("#lever-reset").click()
        odds, badges = shown(page)
        assert badges == {} and all(row["before"] == row["after"] for row in odds)


def test_the_lever_on_the_map_sets_all_units_and_goes_by_keyboard(solved, capsys):
    run, file = solved
    with opened(file) as page:
        lever = page.locator("input[data-onmap='initiative.academy']")
        lever.evaluate(SET, 3)
        compare(page, simulated(run, capsys, "--act", "academy=3"))
        page.locator("#lever-reset").click()
        lever = page.locator("input[data-onmap='kpi.k8']")
        lever.focus()
        page.keyboard.press("ArrowRight")
        moved = float(lever.input_value())
        assert moved > 0 and "1 moved" in page.locator("#lever-state").inner_text()
        compare(page, simulated(run, capsys, "--do", f"k8+={moved}"))


def test_beyond_a_limit_is_allowed_and_marked(solved):
    with opened(solved[1]) as page:
        page.locator("input[data-onmap='initiative.academy']").evaluate(SET, 3)
        assert "beyond the limit" in page.locator("#lever-uses li").first.text_content()
        assert page.locator("#lever-uses li").first.get_attribute("class") == "bad"
        said = page.locator("#lever-state .bad").inner_text()
        assert "cash budget, 900 of 500" in said, said
        card = page.locator(".badge.beyond[data-badge='initiative.academy']")
        assert card.inner_text() == "all 3 at 3, beyond a limit"
        page.locator("#lever-reset").click()
        assert page.locator(".bad:visible, .badge").count() == 0
        page.locator("#lever-list input[data-lever='kpi.k8']").evaluate(SET, 1e9)  # as far as it goes
        assert page.locator("#lever-state .bad").inner_text() == "; beyond: the range of 1 lever"
        assert "beyond its range" in page.locator(".badge.beyond[data-badge='kpi.k8']").inner_text()


def test_pages_with_levers_stay_readable_and_small(solved):
    assert solved[1].stat().st_size < 3_000_000
    for width in (390, 1280):
        with opened(solved[1], width=width) as page:
            assert page.evaluate(TEXTS) == [] and page.evaluate(OUTSIDE) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.locator(".onmap:visible").count() > 0
            page.emulate_media(media="print")
            assert page.locator(".onmap:visible, .badge:visible").count() == 0  # a map on paper is of another size


def test_a_lever_stands_on_the_levels_there_are_and_percentages_change_by_points(tmp_path):
    """Levels 1 and 3: from 3 the slider goes to the nearest of 0, 1 and 3, and by keys to the next, as --act allows."""
    file = tmp_path / "tooled.toml"
    file.write_text(TOOLED.replace("[goal.jobs]", '[uncertainty]\nexecution = "0.7 to 1.1"\n[goal.jobs]'))
    assert main(["solve", str(file), "--set", "simulation.draws=64", "--out", str(tmp_path / "runs")]) == 0
    page_file, run = tmp_path / "page.html", next((tmp_path / "runs").iterdir())
    assert main(["report", str(run), "--html", str(page_file)]) == 0
    with opened(page_file) as page:
        (tool,) = (e for e in page.evaluate(DATA)["levers"] if e["name"] == "initiative.tool@co")
        assert (tool["level"], tool["levels"]) == (3, [0, 1, 3])
        lever = page.locator("#lever-list input[data-lever='initiative.tool@co']")
        for value, level in ((1.6, 1), (2.1, 3), (0.3, 0)):
            lever.evaluate(SET, value)
            assert float(lever.input_value()) == level, value
        on_map = page.locator("input[data-onmap='initiative.tool']")
        on_map.evaluate(SET, 2.4)
        assert float(on_map.input_value()) == 3
        on_map.focus()
        for key, level in (("ArrowLeft", 1), ("ArrowLeft", 0), ("ArrowRight", 1), ("ArrowUp", 3), ("ArrowUp", 3)):
            page.keyboard.press(key)
            assert float(on_map.input_value()) == level
            assert float(lever.input_value()) == level
        assert {unit for unit, *_ in page.evaluate(DATA)["cards"]} == {"points", "jobs", ""}


def test_the_odds_stay_in_sight_while_a_lever_low_on_the_map_is_moved(solved):
    with opened(solved[1], width=1280) as page:
        lever = page.locator(".onmap").last
        lever.scroll_into_view_if_needed()
        page.mouse.wheel(0, 200)
        lever.focus()
        lever.press("ArrowLeft")
        page.wait_for_timeout(100)
        seen = page.evaluate("document.querySelector('#lever-odds').getBoundingClientRect()['top']")
        assert 0 <= seen < 300 and page.locator("#lever-reset").bounding_box()["y"] >= 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
