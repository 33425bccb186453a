"""Levers where causes act by curves and KPIs have bounds: the figures of `kpiopt simulate --act/--do`, draw by draw."""

import numpy as np
import pytest

from kpiopt.cli.app import main
from kpiopt.graph import build_graph
from kpiopt.report.page.levers import why_no_levers
from kpiopt.scenario.load import load_scenario
from kpiopt.studies.bends import MOST_BENDS
from kpiopt.studies.levers import lever_settings
from tests.report.browser import opened
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
        levels = {entry["name"]: entry["level"] for entry in page.evaluate(DATA)["levers"]}
        lever = {name: page.locator(f"#lever-list input[data-lever='{name}']") for name in levels}
        for wanted in ({"ads@north": 20, "care@south": 6}, {"ads@south": 0, "ads@north": 3}, {"care@north": 0}):
            page.locator("#lever-reset").click()
            for name, level in wanted.items():
                lever[f"initiative.{name}"].evaluate(SET, level - levels[f"initiative.{name}"])
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
    graph = build_graph(load_scenario(tmp_path / "s.toml"))
    assert lever_settings(graph) is None
    assert "kpiopt simulate" in why_no_levers(graph) and "40" in why_no_levers(graph)
    assert np.isfinite(graph.baseline).all()
