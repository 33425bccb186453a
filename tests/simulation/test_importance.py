"""Importance against closed forms, and boxes planted in the draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kpiopt.graph import build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation.discovery import find_box
from kpiopt.simulation.importance import explain_odds, first_order_index, rank_correlation
from kpiopt.simulation.streams import Streams, lay_out
from tests.simulation.maps import EVEN, compiled, goal, structural, teams


@pytest.mark.parametrize("method", ["sobol", "random"])
def test_ishigami_first_order_indices(method: str) -> None:
    """Published: S = 0.3139, 0.4424, 0 with a = 7, b = 0.1; the third acts through interaction only."""
    layout = lay_out(1 << 14, method)
    streams = Streams(3, ["x1", "x2", "x3"], layout)
    u = np.concatenate([streams.replicate(r).uniforms(0, layout.size) for r in range(layout.replicates)], axis=1)
    x = np.pi * (2 * u - 1)
    y = np.sin(x[0]) + 7 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0])
    found = [first_order_index(row, y) for row in x]
    assert found == pytest.approx([0.31390519, 0.44241114, 0.0], abs=0.02)
    assert y.mean() == pytest.approx(3.5, abs=0.1)


def test_an_input_without_effect_has_index_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    found = [first_order_index(rng.random(2000), rng.random(2000)) for _ in range(300)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)


def test_rank_correlation_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=500), rng.integers(0, 7, 500).astype(float)
    assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert rank_correlation(x, np.zeros(500)) == 0


def test_shares_of_a_linear_goal_are_its_squared_effects() -> None:
    """Value = 3 a - 2 b + c: first-order shares 9/14, 4/14, 1/14, signs from the ranks."""
    scenario = structural(
        {"mid": {"a": 3.0, "b": -2.0}, "k": {"mid": 1.0, "c": 1.0}},
        noises=dict.fromkeys("abc", EVEN),
        goals=[goal("k", 0.0)],
    )
    drivers = explain_odds(*compiled(scenario), "k", SimulationSettings(16384, 5))
    assert [i.name for i in drivers.importances] == ["factor.a", "factor.b", "factor.c"]
    assert [i.first_order for i in drivers.importances] == pytest.approx([9 / 14, 4 / 14, 1 / 14], abs=0.02)
    assert [np.sign(i.rank_correlation) for i in drivers.importances] == [1, -1, 1]
    assert drivers.variance == pytest.approx(14, rel=0.03)


def test_execution_is_split_into_common_part_single_cells_and_the_rest() -> None:
    """Variance of the sum: 100 cells, share 0.3 in common; 64 cells stand alone, 36 together."""
    scenario, stretch = teams(100, common={"organization": 0.3}, goals=[goal("sales", 10800.0)])
    drivers = explain_odds(build_graph(scenario), stretch, np.zeros(0), "sales", SimulationSettings(16384, 5))
    by_name = {i.name: i.first_order for i in drivers.importances}
    total = 0.3 * 100**2 + 0.7 * 100
    assert len(by_name) == 1 + 64 + 1
    assert by_name["uncertainty.execution"] == pytest.approx(0.3 * 100**2 / total, abs=0.02)
    assert by_name["other cells' execution: sales"] == pytest.approx(0.7 * 36 / total, abs=0.02)


def test_a_planted_box_is_found() -> None:
    rng = np.random.default_rng(2)
    names = ["market", "wind", "execution", "rain"]
    inputs = np.array(
        [rng.normal(size=8192), rng.normal(size=8192), rng.uniform(0.4, 1.2, 8192), rng.normal(size=8192)]
    )
    inside = (inputs[0] < -0.8) & (inputs[2] < 0.7)
    misses = np.where(inside, rng.random(8192) < 0.9, rng.random(8192) < 0.01)
    box = find_box(names, inputs, misses)
    assert box is not None
    assert [(c.name, c.is_below) for c in box.conditions] == [("market", True), ("execution", True)]
    assert [c.bound for c in box.conditions] == pytest.approx([-0.8, 0.7], abs=0.12)
    chosen = (inputs[0] < box.conditions[0].bound) & (inputs[2] < box.conditions[1].bound)
    assert box.draws == pytest.approx(chosen.mean())
    assert box.misses == pytest.approx(chosen[misses].mean())
    assert box.sentence.startswith("the goal fails mostly when market < -0")
    assert box.sentence.endswith("% of draws")


def test_one_condition_is_enough_where_one_quantity_decides() -> None:
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(3, 8192))
    box = find_box(["a", "b", "c"], inputs, inputs[1] > 1.0)
    assert box is not None
    assert [(c.name, c.is_below) for c in box.conditions] == [("b", False)]
    assert box.misses > 0.9


def test_even_odds_are_split_at_the_median_not_described_by_almost_all_draws() -> None:
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(2, 8192))
    box = find_box(["a", "b"], inputs, inputs[0] + 0.5 * inputs[1] < 0)
    assert box is not None
    assert box.draws < 0.65
    assert box.misses > box.draws + 0.3


def test_there_is_no_box_without_misses_or_hits() -> None:
    inputs = np.random.default_rng(4).normal(size=(2, 1000))
    assert find_box(["a", "b"], inputs, np.zeros(1000, dtype=bool)) is None
    assert find_box(["a", "b"], inputs, np.ones(1000, dtype=bool)) is None
    assert find_box([], np.empty((0, 1000)), inputs[0] > 0) is None


def test_a_certain_goal_has_no_drivers() -> None:
    scenario = structural({"k": {}}, constants={"k": 5.0}, goals=[goal("k", 1.0)])
    drivers = explain_odds(*compiled(scenario), "k", SimulationSettings(256, 1))
    assert drivers.importances == ()
    assert drivers.box is None
    assert Quantity.number(1).is_number
