"""Levers where causes act by curves and KPIs have bounds: the figures of `kpiopt simulate --act/--do`, draw by draw."""

import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.report.page.levers import lever_data, why_no_levers
from kpiopt.report.page.page import render_page
from kpiopt.report.page.report import build_report
from kpiopt.report.page.source import source_of_run
from kpiopt.report.strategy_map.collect import collect_map
from kpiopt.studies.bends import MOST_BENDS
from kpiopt.studies.levers import lever_settings
from tests.report.browser import opened
from tests.report.organizations import SPREAD
from tests.report.test_levers import DATA, SET, shown, simulated

BENT = """
schema = 1
name = "Ads with diminishing returns"
[kpi.sales]
unit = "USD"
step = 1
[kpi.sales.drivers]
reach = { curve = [[-20, -150], [0, 0], [8, 90], [30, 180]], at = "team" }
satisfaction = { contribution = "30 to 60", at = "team" }
market = { contribution = 12, at = "company" }
[kpi.reach]
unit = "points"
roll_up = "mean"
[kpi.satisfaction]
unit = "points"
roll_up = "mean"
max = 75
drivers.reach = { contribution = "0.1 to 0.3", at = "team" }
[factor.market]
value = { normal = [0, 3] }
[initiative.ads]
units = { level = "team" }
max = 20
uses = { cash = 10 }
effects.reach = { curve = [[0, 0], [5, 6], [20, 12]] }
[initiative.care]
units = { level = "team" }
max = 6
uses = { cash = 20 }
effects.satisfaction = "0.3 to 0.9"
[budget.cash]
limit = 260
[goal.sales]
target = 2450
[goal.satisfaction]
target = 74
[uncertainty]
execution = "0.6 to 1.0"
[simulation]
draws = 4096
[unit.company]
[unit.north]
parent = "company"
level = "team"
[unit.south]
parent = "company"
level = "team"
[cell."north/sales"]
baseline = "1000 to 1200"
max_stretch = 60
[cell."south/sales"]
baseline = "900 to 1100"
max_stretch = 60
[cell."north/satisfaction"]
baseline = "70 to 74"
max_stretch = 2
[cell."south/satisfaction"]
baseline = 73
max_stretch = 3
[cell."north/reach"]
baseline = 40
max_stretch = 5
[cell."south/reach"]
baseline = 40
max_stretch = 4
"""


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bent")
    (folder / "s.toml").write_text(BENT, "utf-8")
    assert main(["solve", str(folder / "s.toml"), "--out", str(folder / "runs")]) == 0
    run = next((folder / "runs").iterdir())
    assert main(["report", str(run), "--html", str(folder / "report.html")]) == 0
    return run, folder / "report.html"


def same(page, found, draws=4096):
    """Odds agree to two draws and means to five digits: effects stand in the page with 16 bits."""
    odds, badges = shown(page)
    for row, entry in zip(odds, found["odds"], strict=True):
        assert int(row["before"]) / draws == pytest.approx(entry["before"]["estimate"], abs=1e-12)
        assert int(row["after"]) / draws == pytest.approx(entry["after"]["estimate"], abs=2.01 / draws)
    changes = {c["node"].removeprefix("company/"): c["change"]["estimate"] for c in found["kpis"]}
    assert any(abs(change) > 0.01 for change in changes.values())
    for kpi, change in changes.items():
        assert badges.get(f"kpi.{kpi}", 0.0) == pytest.approx(change, rel=2e-4, abs=1e-6)


def test_curves_and_bounds_bend_what_levers_do(solved, capsys):
    run, file = solved
    with opened(file) as page:
        names = [entry["name"] for entry in page.evaluate(DATA)["levers"]]
        lever = {name: page.locator(f"#lever-list input[data-lever='{name}']") for name in names}
        for wanted in ({"ads@north": 20, "care@south": 6}, {"ads@south": 0, "ads@north": 3}, {"care@north": 0}):
            page.locator("#lever-reset").click()
            for name, level in wanted.items():
                lever[f"initiative.{name}"].evaluate(SET, level)
            acts = [word for name, level in wanted.items() for word in ("--act", f"{name}={level}")]
            same(page, simulated(run, capsys, *acts))
        page.locator("#lever-reset").click()
        lever["kpi.reach"].evaluate(SET, 3)
        lever["kpi.satisfaction"].evaluate(SET, 1)
        moves = {name: float(lever[f"kpi.{name}"].input_value()) for name in ("reach", "satisfaction")}
        assert moves["reach"] > 1 and moves["satisfaction"] > 0.2
        same(page, simulated(run, capsys, *(w for name, move in moves.items() for w in ("--do", f"{name}+={move}"))))
        flows = page.evaluate("[...document.querySelectorAll('#lever-arrows li')].map((item) => item.textContent)")
        assert any("reach" in text and "sales" in text for text in flows)


def test_too_many_curves_for_a_page_are_told_with_what_to_do(tmp_path):
    units = "".join(f'[unit.u{i}]\nparent = "company"\nlevel = "team"\n' for i in range(MOST_BENDS))
    cells = "".join(f'[cell."u{i}/sales"]\nbaseline = 1\nmax_stretch = 1\n' for i in range(MOST_BENDS))
    (tmp_path / "s.toml").write_text(BENT + units + cells, "utf-8")
    found = source_of_run(kpiopt.solve(tmp_path / "s.toml", overrides=["simulation.draws=256"]), "s-1")
    assert lever_settings(found.graph) is None
    assert "kpiopt simulate" in why_no_levers(found) and "40" in why_no_levers(found)
    page = render_page(build_report(found, levers=True))
    assert "Nothing can be moved here" in page
    assert "All levers" not in page and "Back to the plan" not in page and 'id="lever-odds"' not in page


PEOPLE = 30


def of_people(draws: int = 1024) -> str:
    """Percentages of thirty people, most of them far from both of their bounds, two of them near one."""
    head = SPREAD.partition("[unit.ann]")[0].replace("draws = 1024", f"draws = {draws}")
    head = head.replace("target = 1100", "target = 7700")
    head = head.replace("target = 900_000", "target = 9_300_000").replace("target = 45", "target = 400")
    people = "".join(f'[unit.p{i}]\nparent = "{("north", "south")[i % 2]}"\nlevel = "person"\n' for i in range(PEOPLE))
    rows = (("revenue", 300_000, 9_000), ("visits", 500, 30), ("renewal", 74, 3), ("complaints", 15, 3), ("days", 3, 0))
    cells = "".join(
        f'[cell."p{i}/{kpi}"]\nbaseline = {base}\n{f"max_stretch = {most}" if most else ""}\n'
        for i in range(PEOPLE) for kpi, base, most in (*rows, ("repair", 95 if i < 2 else 70 + i / 2, 4))
    )  # fmt: skip
    return f"{head}{people}{cells}" + "".join(f'[cell."{d}/mood"]\nbaseline = 60\n' for d in ("north", "south"))


def test_bounds_that_no_draw_can_reach_take_no_room(tmp_path):
    (tmp_path / "s.toml").write_text(of_people(), "utf-8")
    found = source_of_run(kpiopt.solve(tmp_path / "s.toml"), "s-1")
    assert len(found.graph.bounded) > MOST_BENDS
    data = lever_data(found, collect_map(found.map_source()))
    assert data is not None and 2 <= len(data["bends"]) <= MOST_BENDS and len(data["levers"]) > PEOPLE


def test_levers_of_an_organization_with_bounds_give_what_simulate_gives(tmp_path, capsys):
    """Among them people that the bound stops in some draws, which the page has to know of."""
    (tmp_path / "s.toml").write_text(of_people(draws=4096), "utf-8")
    assert main(["solve", str(tmp_path / "s.toml"), "--out", str(tmp_path / "runs")]) == 0
    run, file = next((tmp_path / "runs").iterdir()), tmp_path / "page.html"
    assert main(["report", str(run), "--html", str(file)]) == 0
    with opened(file) as page:
        for name, level in (("p0", 6), ("p1", 5.5), ("p7", 6), ("p8", 0)):
            page.locator(f"#lever-list input[data-lever='initiative.training@{name}']").evaluate(SET, level)
        page.locator("#lever-list input[data-lever='kpi.repair']").evaluate(SET, -1)
        move = page.locator("#lever-list input[data-lever='kpi.repair']").input_value()
        acts = [w for n, v in (("p0", 6), ("p1", 5.5), ("p7", 6), ("p8", 0)) for w in ("--act", f"training@{n}={v}")]
        found = simulated(run, capsys, *acts, "--do", f"repair+={move}")
        found["kpis"] = [{**c, "node": c["node"][3:]} for c in found["kpis"] if c["node"].startswith("co/")]
        same(page, found)
        page.locator("#lever-reset").click()
        page.locator("input[data-onmap='initiative.training']").evaluate(SET, 6)
        found = simulated(run, capsys, "--act", "training=6")
        found["kpis"] = [{**c, "node": c["node"][3:]} for c in found["kpis"] if c["node"].startswith("co/")]
        same(page, found)
        assert "all 30 at 6" in page.locator(".badge[data-badge='initiative.training']").inner_text()


def test_a_lever_says_its_value_in_steps_that_reach_it(tmp_path):
    (tmp_path / "s.toml").write_text(of_people(draws=256), "utf-8")
    found = source_of_run(kpiopt.solve(tmp_path / "s.toml"), "s-1")
    file = tmp_path / "page.html"
    file.write_text(render_page(build_report(found, levers=True)), "utf-8")
    with opened(file) as page:
        entries = {entry["name"]: entry for entry in page.evaluate(DATA)["levers"]}
        row = page.locator("#lever-list .leverrow").filter(has=page.locator("[data-lever='initiative.training@p3']"))
        page.locator("#lever-list").evaluate("(list) => { list.closest('details').open = true; }")
        slider, field = row.locator("input[type=range]"), row.locator("input[type=number]")
        level = entries["initiative.training@p3"]["level"]
        assert float(field.input_value()) == pytest.approx(level)
        assert [slider.get_attribute(name) for name in ("min", "max", "step")] == ["0", "6", "0.1"]
        field.fill("2.5")
        field.press("Enter")
        assert float(slider.input_value()) == 2.5 and "level 2.5 of 6" in slider.get_attribute("aria-valuetext")
        slider.focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        assert float(slider.input_value()) == 3 and float(field.input_value()) == 3
        on_map = page.locator("input[data-onmap='initiative.training']")
        on_map.evaluate(SET, 2)
        assert on_map.get_attribute("aria-valuetext").startswith("all 30 at 2")
        for entry in entries.values():
            first, last, step = entry["slide"]
            assert abs(last / step - round(last / step)) < 1e-6 or entry.get("levels"), entry["name"]
            assert first <= 0 + entry["level"] <= last


def test_what_no_draw_hits_is_said_alike_by_tile_and_table(tmp_path):
    text = of_people(draws=256).replace("[goal.satisfaction]\ntarget = 33", "[goal.satisfaction]\ntarget = 90")
    (tmp_path / "s.toml").write_text(text, "utf-8")
    found = source_of_run(kpiopt.solve(tmp_path / "s.toml"), "s-1")
    (tmp_path / "page.html").write_text(render_page(build_report(found, levers=True)), "utf-8")
    assert found.all_goals is not None and found.all_goals.text.startswith("less than")
    with opened(tmp_path / "page.html") as page:
        rows = page.evaluate("[...document.querySelectorAll('#lever-odds tr')].map((r) => r.children[1].textContent)")
        assert rows[-1] == found.all_goals.text
