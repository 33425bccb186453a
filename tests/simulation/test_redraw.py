"""Kept draws give every plan the odds that a simulation of it gives, draw by draw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation import simulate
from kpiopt.simulation.redraw import Redraw, draw_book

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
