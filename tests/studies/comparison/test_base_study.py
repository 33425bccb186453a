"""The page of a comparison holds bridges, the first scenario's frontier and its tornado."""

from dataclasses import replace
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.report.compare_page import study_sections
from kpiopt.run.solve import SolveOptions
from kpiopt.runs.store import RunStore
from kpiopt.studies.comparison import base_study
from kpiopt.studies.comparison.base_study import study_base
from kpiopt.studies.comparison.contenders import read_contenders

HAND = Path(__file__).parents[3] / "scenarios" / "hand-solved.toml"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return read_contenders([str(HAND)], RunStore(tmp_path_factory.mktemp("runs")))[0]


def test_the_sweep_is_the_files_own_and_the_tornado_has_its_odds(base):
    study = study_base(base, (), SolveOptions())
    assert [point.values[0][1] for point in study.sweep.points] == [200, 300, 400, 500, 600, 700]
    assert study.sensitivity.base.estimate.estimate == pytest.approx(0.5568, abs=0.02)
    titles = [section.title for section in study_sections("base", study)]
    assert titles == ["Base over Budget for pay", "What base hinges on"]


def test_large_scenarios_are_left_to_their_own_commands(base, monkeypatch):
    monkeypatch.setattr(base_study, "MOST_CELLS", 3)
    assert study_sections("base", study_base(base, (), SolveOptions())) == ()


def test_without_axes_there_is_no_frontier(base):
    plain = replace(base, scenario=replace(base.scenario, sweep={}))
    assert study_base(plain, (), SolveOptions()).sweep is None


def test_the_page_holds_all_figures(tmp_path, capsys):
    page = tmp_path / "compare.html"
    assert main(["compare", str(HAND), "--html", str(page)]) == 0
    html = page.read_text("utf-8")
    assert len(html) < 1_000_000 and html.count('class="chart"') >= 8  # four figures, for wide and for narrow places
    assert all(title in html for title in ("Tornado", "Bridge, Sales", "Odds of the goals", "against odds"))
    assert main(["compare", str(HAND), "--html", str(page), "--no-study"]) == 0
    assert "Tornado" not in page.read_text("utf-8")
