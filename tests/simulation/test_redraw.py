"""Kept draws give every plan the odds that a simulation of it gives, draw by draw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation.planning.margins import planning_draws
from kpiopt.simulation.redraw import Redraw, draw_book
from kpiopt.simulation.simulate import simulate
from kpiopt.studies import risk

SCENARIOS = Path(__file__).parents[2] / "scenarios"
NAMES = ["adventureworks-base", "hand-solved", "scorecard"]


def load(name, **settings):
    scenario = kpiopt.load(SCENARIOS / f"{name}.toml")
    return replace(scenario, simulation=replace(scenario.simulation, draws=2048, **settings))


def random_plan(graph, seed):
    """Stretch inside its boxes with many zeros, and initiative levels."""
    rng = np.random.default_rng(seed)
    cells = graph.scenario.cells
    share = rng.uniform(size=len(cells)) * (rng.uniform(size=len(cells)) < 0.7)
    return cells.has_decision * share * cells.max_stretch, rng.uniform(0.0, 3.0, graph.n_levels)


def assert_equal(found, simulation):
    assert found.odds == tuple(goal.odds for goal in simulation.goals)
    assert found.all_goals == simulation.all_goals
    assert np.array_equal(found.hits[:, :, : simulation.kept.per_replicate], simulation.kept.hits)


@pytest.mark.parametrize("method", ["sobol", "random"])
@pytest.mark.parametrize("name", NAMES)
def test_odds_are_those_of_a_simulation(name, method):
    graph = build_graph(load(name, method=method))
    redraw = Redraw(graph, draw_book(graph))
    for seed in range(3):
        plan = random_plan(graph, seed)
        assert_equal(redraw.draw(*plan), simulate(graph, *plan))


def test_goals_and_certain_numbers_may_change():
    scenario = load("adventureworks-base")
    graph = build_graph(scenario)
    book = draw_book(graph)
    goals = {k: replace(g, target=0.99 * g.target) for k, g in scenario.goals.items()}
    cells = replace(scenario.cells, baseline=1.01 * scenario.cells.baseline)
    other = build_graph(replace(scenario, goals=goals, cells=cells))
    assert book.fits(other)
    plan = random_plan(other, 5)
    assert_equal(Redraw(other, book).draw(*plan), simulate(other, *plan))


def test_a_book_does_not_serve_other_chances():
    scenario = load("adventureworks-base")
    book = draw_book(build_graph(scenario))
    execution = (Quantity("uniform", (0.5, 0.9)), *scenario.uncertainty.execution[1:])
    factor, *rest = scenario.factors.values()
    for changed in (
        replace(scenario, simulation=replace(scenario.simulation, seed=1)),
        replace(scenario, simulation=replace(scenario.simulation, draws=4096)),
        replace(scenario, uncertainty=replace(scenario.uncertainty, execution=execution)),
        replace(scenario, uncertainty=replace(scenario.uncertainty, common={})),
        replace(scenario, correlation={}) if scenario.correlation else None,
        replace(scenario, factors={f.id: f for f in (replace(factor, value=Quantity("normal", (1.0, 2.0))), *rest)}),
    ):
        assert changed is None or not book.fits(build_graph(changed))


def test_draws_without_a_fixed_number_are_not_kept():
    scenario = load("hand-solved")
    wanted = SimulationSettings(draws=2048, precision=0.01)
    assert draw_book(build_graph(replace(scenario, simulation=wanted))) is None


BY_PERIOD = """schema = 1
name = "risk"
periods = ["a", "b"]
[kpi.q]
step = 0.01
{kpi}
[kpi.x]
season = [0.4, 0.6]
[kpi.q.drivers]
x = {{ contribution = "0.01 to 0.02", at = "team" }}
market = 0.5
[factor.market]
value = ["0 to 1", 0.5]
[goal.q]
target = {target}
[goal.spring]
kpi = "q"
period = "a"
target = 9
[unit.co]
[unit.u]
parent = "co"
level = "team"
[unit.v]
parent = "co"
level = "team"
[cell."u/q"]
baseline = 10
max_stretch = 8
[cell."v/q"]
baseline = {{ normal = [10, 1] }}
max_stretch = 8
[cell."u/x"]
baseline = {{ uniform = [90, 110] }}
max_stretch = 20
[uncertainty]
execution = {{ uniform = [0.5, 1.1] }}
common = 0.3
[odds]
draws = 1024
[simulation]
draws = 4096
"""
KINDS = {
    "mean": ("roll_up = 'mean'", 14),
    "mean with season": ("roll_up = 'mean'\nseason = [0.3, 0.7]", 14),
    "sum": ("season = [0.3, 0.7]", 28),
    "stock": ("kind = 'stock'\ncarry = 0.8", 28),
    "mean of stocks": ("roll_up = 'mean'\nkind = 'stock'\ncarry = 0.8", 14),
}


@pytest.mark.parametrize("kind", KINDS)
def test_by_period_odds_are_those_of_a_simulation_and_effects_are_what_a_unit_of_stretch_does(kind, tmp_path):
    kpi, target = KINDS[kind]
    (tmp_path / "s.toml").write_text(BY_PERIOD.format(kpi=kpi, target=target))
    graph = build_graph(kpiopt.load(tmp_path / "s.toml"))
    redraw = Redraw(graph, draw_book(graph))
    for seed in range(3):
        plan = random_plan(graph, seed)
        assert_equal(redraw.draw(*plan), simulate(graph, *plan))
    draws = planning_draws(graph)
    stretch = np.where(graph.scenario.cells.has_decision, 1.0, 0.0)
    weight = np.zeros((2, 1024))
    weight[:, 7] = 1.0, 2.0
    effects, _ = draws.effects(stretch, plan[1], weight)
    before = np.sum(weight * draws.margins(stretch, plan[1]))
    for cell in np.flatnonzero(graph.scenario.cells.has_decision):
        more = stretch.copy()
        more[cell] += 0.5
        assert np.sum(weight * draws.margins(more, plan[1])) - before == pytest.approx(0.5 * effects[cell], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_by_period_the_plan_on_averages_has_the_odds_that_the_run_tells(kind, tmp_path, monkeypatch):
    kpi, target = KINDS[kind]
    text = BY_PERIOD.format(kpi=kpi, target=target)
    drivers = text[text.index("[kpi.x]") : text.index("[goal.q]")]
    text = text.replace(drivers, "").replace(text[text.index('[cell."u/x"]') : text.index("[uncertainty]")], "")
    (tmp_path / "s.toml").write_text(text.replace("{ normal = [10, 1] }", "10").replace("target = 9", "target = 1"))
    monkeypatch.setattr(risk, "known_share", lambda cascade: 1.0)
    scenario = kpiopt.load(tmp_path / "s.toml")
    monkeypatch.setattr(risk, "SHARES", (0.8,))
    run, study = kpiopt.solve(scenario), risk.study_risk(scenario)
    assert study.average == pytest.approx(run.simulation.all_goals.estimate, abs=0.03)
    assert study.average == pytest.approx(0.5, abs=0.05) and study.best > 0.99
    (price,) = study.prices
    assert price.kept and price.planned == pytest.approx(0.8, abs=0.02)
    margin = study.margins[0]
    assert margin.average == pytest.approx(0.0, abs=0.02) and margin.margin > 0.1
    carried = dict(margin.carried)
    assert set(carried) == {"u", "v"} and sum(carried.values()) == pytest.approx(margin.margin, abs=0.02)
    assert "execution" in study.breaks[0].when
