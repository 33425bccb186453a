"""Noise of baselines and contributions that differ between units: against closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from kpiopt.errors import InputError
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Floats, SimulationSettings
from kpiopt.simulation.inputs import build_inputs
from kpiopt.simulation.propagate import Propagation
from kpiopt.simulation.redraw import Redraw, draw_book
from kpiopt.simulation.simulate import simulate
from kpiopt.simulation.streams import Streams, lay_out

TEAMS = """
schema = 1
name = "noise"
[kpi.sales]
unit = "USD"
[unit.co]
level = "company"
[unit.east]
parent = "co"
level = "region"
[unit.west]
parent = "co"
level = "region"
[unit.e1]
parent = "east"
[unit.e2]
parent = "east"
[unit.w1]
parent = "west"
[cell."e1/sales"]
baseline = 50
max_stretch = 10
[cell."e2/sales"]
baseline = 100
[cell."w1/sales"]
baseline = 150
[goal.sales]
target = 280
"""
NOISE = (
    TEAMS
    + """
[noise.market]
sd = 0.2
size = -0.5
common = { organization = 0.2, region = 0.3 }
"""
)
BETWEEN = """
schema = 1
name = "between"
[kpi.visits]
unit = "visits"
[kpi.sales]
unit = "USD"
[kpi.sales.drivers]
visits = { contribution = CONTRIBUTION, at = "team", between = 0.3 }
[unit.co]
[unit.a]
parent = "co"
level = "team"
[unit.b]
parent = "co"
level = "team"
[cell."a/visits"]
baseline = 10
lock = 4
[cell."b/visits"]
baseline = 10
lock = 6
[cell."a/sales"]
baseline = 1000
[cell."b/sales"]
baseline = 1000
"""


def graph_of(folder: Path, text: str) -> CausalGraph:
    (folder / "scenario.toml").write_text(text)
    return build_graph(load_scenario(folder / "scenario.toml"))


def values_of(graph: CausalGraph, *names: str, stretch: Floats | None = None) -> Floats:
    """Drawn values of "unit/kpi" nodes, (n, draws): from the streams, as `simulate` draws them."""
    stretch = np.zeros(len(graph.scenario.cells)) if stretch is None else stretch
    propagation = Propagation(graph, stretch, np.zeros(graph.n_levels))
    layout = lay_out(1 << 15, "random")
    points = Streams(3, propagation.inputs.names, layout).replicate(0)
    delta = propagation.run(points.scores(0, layout.size), layout.size).delta
    nodes = [graph.find_node(*reversed(name.split("/"))) for name in names]
    return delta[nodes] + graph.baseline[nodes, None]


def test_a_baseline_is_lognormal_with_its_mean_kept_and_small_ones_scatter_more(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, NOISE)
    values = values_of(graph, "e1/sales", "e2/sales", "w1/sales", "co/sales")
    for drawn, b in zip(values, (50, 100, 150), strict=False):
        sd = 0.2 * (b / 100) ** -0.5
        expected = stats.lognorm(sd, scale=b * np.exp(-(sd**2) / 2))
        assert expected.mean() == pytest.approx(b)
        assert stats.kstest(drawn, expected.cdf).pvalue > 0.001
    assert values[3] == pytest.approx(values[:3].sum(axis=0))


def test_common_shares_by_level(tmp_path: Path) -> None:
    logs = np.log(values_of(graph_of(tmp_path, NOISE), "e1/sales", "e2/sales", "w1/sales"))
    found = np.corrcoef(logs)
    assert [found[0, 1], found[0, 2], found[1, 2]] == pytest.approx([0.5, 0.2, 0.2], abs=0.02)


def test_odds_against_the_closed_form(tmp_path: Path) -> None:
    text = NOISE.replace('[cell."e1/sales"]\nbaseline = 50\nmax_stretch = 10\n', "").replace("280", "140")
    text = text.replace('[cell."w1/sales"]\nbaseline = 150\n', "").replace("size = -0.5\n", "")
    graph = graph_of(tmp_path, text.replace("max_stretch = 10\n", ""))
    odds = simulate(graph, np.zeros(1), np.zeros(0), settings=SimulationSettings(1 << 18)).goals[0].odds
    assert odds.estimate == pytest.approx(stats.norm.sf((np.log(1.4) + 0.02) / 0.2), abs=4 * 3.7e-4)


def test_additive_noise_and_a_cell_s_own(tmp_path: Path) -> None:
    text = NOISE.replace("sd = 0.2\nsize = -0.5", "sd = 12\nadditive = true")
    text = text.replace("baseline = 100", "baseline = 0\nnoise_sd = 7")
    values = values_of(graph_of(tmp_path, text), "e1/sales", "e2/sales", "w1/sales")
    assert values.mean(axis=1) == pytest.approx([50, 0, 150], abs=0.3)
    assert values.std(axis=1) == pytest.approx([12, 7, 12], rel=0.02)
    assert stats.kstest(values[1] / 7, "norm").pvalue > 0.001


def test_noise_of_an_uncertain_baseline_multiplies_what_is_drawn(tmp_path: Path) -> None:
    text = TEAMS.replace("baseline = 100", "baseline = { normal = [100, 10] }\nnoise_sd = 0.3")
    drawn = values_of(graph_of(tmp_path, text), "e2/sales")[0]
    relative = np.expm1(0.3**2)
    assert drawn.mean() == pytest.approx(100, rel=0.01)
    assert drawn.var() == pytest.approx((100**2 + 10**2) * (1 + relative) - 100**2, rel=0.03)


def test_streams_are_keyed_by_name(tmp_path: Path) -> None:
    """One more team leaves the draws of the others as they are; so does the order of rows."""
    names = ("e1/sales", "w1/sales")
    first = values_of(graph_of(tmp_path, NOISE.replace("size = -0.5\n", "")), *names)
    more = NOISE.replace("size = -0.5\n", "") + '[unit.d1]\nparent = "east"\n[cell."d1/sales"]\nbaseline = 20\n'
    assert np.array_equal(values_of(graph_of(tmp_path, more), *names), first)
    inputs = build_inputs(build_graph(load_scenario(tmp_path / "scenario.toml")), np.zeros(4))
    assert inputs.names == (
        "noise.market", "noise.market@east", "noise.market@west",
        *(f"cell.{unit}/sales.noise" for unit in ("d1", "e1", "e2", "w1")),
    )  # fmt: skip


@pytest.mark.parametrize(("contribution", "mean", "sd"), [("100", 100, 0), ("{ normal = [100, 20] }", 100, 20)])
def test_contributions_that_differ_between_units(tmp_path: Path, contribution: str, mean: float, sd: float) -> None:
    """Each unit's is the drawn one times a lognormal of mean 1 and relative sd 0.3, drawn apart."""
    graph = graph_of(tmp_path, BETWEEN.replace("CONTRIBUTION", contribution))
    drawn = values_of(graph, "a/sales", "b/sales", stretch=_locks(graph))
    a, b = (drawn - 1000) / np.array([[4.0], [6.0]])
    for one in (a, b):
        assert one.mean() == pytest.approx(mean, rel=0.01)
        assert one.std() == pytest.approx(np.sqrt((mean**2 + sd**2) * 1.09 - mean**2), rel=0.03)
        assert one.min() > 0 or sd
    assert np.cov(a, b)[0, 1] == pytest.approx(sd**2, abs=30)
    if not sd:
        expected = stats.lognorm(np.sqrt(np.log(1.09)), scale=100 / np.sqrt(1.09))
        assert stats.kstest(a, expected.cdf).pvalue > 0.001


def _locks(graph: CausalGraph) -> Floats:
    return np.nan_to_num(graph.scenario.cells.lock)


def test_effects_of_initiatives_differ_between_units_too(tmp_path: Path) -> None:
    text = (
        TEAMS
        + """
[initiative.course]
units = { unit = ["e1", "e2"] }
max = 10
uses = { cash = 1 }
effects = { sales = { contribution = 2, between = 0.5 } }
[budget.cash]
limit = 100
"""
    )
    graph = graph_of(tmp_path, text)
    propagation = Propagation(graph, np.zeros(3), np.array([10.0, 5.0]))
    assert set(propagation.inputs.names) == {f"initiative.course.effects.sales@{u}" for u in ("e1", "e2")}
    scores = np.random.default_rng(0).standard_normal((2, 20000))
    delta = propagation.run(lambda rows: scores[rows].copy(), 20000).delta
    nodes = [graph.find_node("sales", u) for u in ("e1", "e2")]
    assert delta[nodes].mean(axis=1) == pytest.approx([20, 10], rel=0.02)
    assert delta[nodes].std(axis=1) == pytest.approx([10, 5], rel=0.04)
    assert np.corrcoef(delta[nodes])[0, 1] == pytest.approx(0, abs=0.03)


def test_kept_draws_give_the_same_hits(tmp_path: Path) -> None:
    text = (
        BETWEEN.replace("CONTRIBUTION", '"80 to 120"')
        + """
[goal.sales]
target = 2950
[noise.all]
sd = 0.1
common = 0.4
[uncertainty]
execution = "0.5 to 1.2"
[simulation]
draws = 1024
"""
    )
    graph = graph_of(tmp_path, text)
    book = draw_book(graph)
    assert book is not None
    found = simulate(graph, _locks(graph), np.zeros(0))
    assert np.array_equal(Redraw(graph, book).draw(_locks(graph), np.zeros(0)).hits, found.kept.hits)
    other = replace(graph.scenario, noise=replace(graph.scenario.noise, sd=graph.scenario.noise.sd * 2))
    assert not book.fits(build_graph(other))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NOISE.replace("region = 0.3", "area = 0.3"), "area"),
        (NOISE.replace("region = 0.3", "region = 0.9"), "common shares add up to 1.1"),
        (NOISE.replace("sd = 0.2", "sd = -0.2"), "noise.market.sd"),
        (
            NOISE.replace("sd = 0.2", "sd = 2\nadditive = true").replace("baseline = 50", "baseline = 0"),
            "grows without",
        ),
        (NOISE.replace("[noise.market]", '[noise.market]\nwhere = { kpi = "sale" }'), "sale"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        graph_of(tmp_path, text)
