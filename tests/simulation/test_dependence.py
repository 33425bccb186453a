"""Copula, execution by cell, common parts, and what is noted or refused about them."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.errors import ModelError, NumericsError
from kpiopt.graph import build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import SimulationSettings, Uncertainty
from kpiopt.simulation.copula import build_copula, cholesky, correlation_matrix
from kpiopt.simulation.inputs import build_inputs, unit_at_level
from kpiopt.simulation.simulate import simulate
from tests.builders import build_units
from tests.simulation.maps import EVEN, compiled, goal, structural, teams


@given(st.integers(1, 8), st.integers(0, 10_000))
def test_cholesky_gives_the_matrix_back(n: int, seed: int) -> None:
    root = np.random.default_rng(seed).normal(size=(n, n + 2))
    matrix = root @ root.T
    factor = cholesky(matrix)
    assert factor == pytest.approx(np.linalg.cholesky(matrix), rel=1e-6, abs=1e-8)
    assert np.array_equal(factor, np.tril(factor))


def test_contradicting_correlations_name_the_eigenvalue_and_the_pair() -> None:
    """Row 81: all four move together, only one pair says otherwise."""
    pairs = {(a, b): 0.9 for i, a in enumerate("abcd") for b in "abcd"[i + 1 :]} | {("b", "c"): 0.2}
    with pytest.raises(NumericsError) as refused:
        build_copula(pairs, {name: i for i, name in enumerate("abcd")})
    matrix = correlation_matrix(pairs, list("abcd"))
    text = str(refused.value)
    assert f"smallest eigenvalue is {np.linalg.eigvalsh(matrix)[0]:.4g}" in text
    assert 'what breaks them is "b ~ c" = 0.2' in text
    low, high = (float(x) for x in re.search(r"between (\S+) and (\S+),", text).groups())
    for value, fits in ((low + 0.01, True), (high - 0.01, True), (low - 0.01, False), (high + 0.01, False)):
        moved = correlation_matrix({**pairs, ("b", "c"): value}, list("abcd"))
        assert (np.linalg.eigvalsh(moved)[0] > 0) == fits


def test_correlations_that_no_single_pair_can_mend_are_refused_too() -> None:
    names = "abcdef"
    pairs = {(a, b): -0.9 for i, a in enumerate(names) for b in names[:i]}
    with pytest.raises(NumericsError, match="and others towards 0"):
        build_copula(pairs, {name: i for i, name in enumerate(names)})


def test_perfect_correlation_is_not_definite() -> None:
    with pytest.raises(NumericsError, match="positive definite"):
        build_copula({("a", "b"): 1.0}, {"a": 0, "b": 1})


def test_the_order_in_which_pairs_are_written_does_not_matter() -> None:
    pairs = {("c", "a"): 0.3, ("a", "b"): 0.5, ("d", "b"): -0.2}
    position = {"d": 0, "c": 1, "b": 2, "a": 3, "z": 4}
    first = build_copula(pairs, position)
    second = build_copula({(b, a): r for (a, b), r in reversed(pairs.items())}, position)
    assert np.array_equal(first.rows, second.rows)
    assert np.array_equal(first.factor, second.factor)
    assert first.rows.tolist() == [3, 2, 1, 0]


def test_scores_get_the_correlation_that_was_asked_and_others_stay() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 100_000))
    before = scores.copy()
    build_copula({("x", "y"): -0.6}, {"x": 0, "other": 1, "y": 2}).correlate(scores)
    assert np.array_equal(scores[:2], before[:2])
    assert np.corrcoef(scores)[0, 2] == pytest.approx(-0.6, abs=0.01)
    assert scores[2].std() == pytest.approx(1, abs=0.01)


def test_rank_correlation_of_any_distributions_is_that_of_the_copula() -> None:
    """Spearman's rho of a Gaussian copula is 6 / pi asin(r / 2), whatever the margins."""
    from scipy.stats import spearmanr

    scenario = structural(
        {"a": {"x": 1.0}, "b": {"y": 1.0}},
        noises={"x": Quantity("pert", (0.0, 1.0, 9.0)), "y": Quantity("lognormal", (0.1, 8.0))},
        correlation={("factor.x", "factor.y"): 0.7},
    )
    simulation = simulate(*compiled(scenario), settings=SimulationSettings(1 << 15, 1))
    a, b = simulation.kept.values.reshape(2, -1)
    assert spearmanr(a, b).statistic == pytest.approx(6 / np.pi * np.arcsin(0.35), abs=0.015)


def test_execution_by_cell() -> None:
    """Two distributions in one organization: means and spreads of each cell by its own."""
    scenario, stretch = teams(4)
    kinds = (Quantity("normal", (0.8, 0.2)), Quantity("uniform", (0.2, 0.6)), Quantity.number(0.9))
    cells = replace(scenario.cells, execution=np.array([1, 0, 2, 1]))
    scenario = replace(scenario, uncertainty=Uncertainty(kinds), cells=cells)
    graph = build_graph(scenario)
    nodes = graph.cell_node
    simulation = simulate(graph, stretch, np.zeros(0), settings=SimulationSettings(4096, 1), watch_nodes=nodes)
    found = [simulation.distribution(int(n)) for n in nodes]
    assert [d.mean.estimate for d in found if d] == pytest.approx([104, 108, 109, 104], abs=0.02)
    assert [d.sd for d in found if d] == pytest.approx([10 * 0.4 / 12**0.5, 2.0, 0.0, 10 * 0.4 / 12**0.5], rel=0.01)


def test_people_attain_their_targets_with_the_odds_of_their_execution() -> None:
    """Target 100 + 10, execution normal: P(xi >= 1); a team asked for less has better odds, and peers show it."""
    scenario, stretch = teams(4)
    graph = build_graph(scenario)
    stretch[3] = 5.0
    targets = graph.baseline + graph.asked_change(np.full(4, 10.0), np.zeros(0))
    targets[graph.cell_node[3]] = 102.0
    simulation = simulate(graph, stretch, np.zeros(0), targets, SimulationSettings(16384, 1))
    assert simulation.cell_odds[:3] == pytest.approx([0.1587] * 3, abs=0.002)
    assert simulation.cell_odds[3] == pytest.approx(0.97725, abs=0.002)
    (peers,) = simulation.peer_spreads
    assert (peers.kpi, peers.group, peers.cells) == ("sales", ("team", ""), 4)
    assert (peers.lowest, peers.highest) == (min(simulation.cell_odds), max(simulation.cell_odds))


def test_levels_of_common_parts() -> None:
    units = build_units(
        {"co": None, "d1": "co", "d2": "co", "t1": "d1", "t2": "d2", "solo": "co"},
        levels={"d1": "department", "d2": "department", "t1": "team", "t2": "team"},
    )
    found = dict(zip(units.ids, unit_at_level(units, "department").tolist(), strict=True))
    at = units.position
    assert found == {"co": -1, "d1": at["d1"], "t1": at["d1"], "d2": at["d2"], "t2": at["d2"], "solo": -1}
    assert unit_at_level(units, "organization").tolist() == [0] * 6


def test_own_and_common_weights_make_scores_of_unit_variance() -> None:
    scenario, stretch = teams(3, common={"organization": 0.2, "team": 0.3, "department": 0.4})
    inputs = build_inputs(build_graph(scenario), stretch)
    squares = np.square(inputs.common_weight.toarray()).sum(axis=1) + inputs.own_weight**2
    assert squares == pytest.approx([1, 1, 1])
    assert inputs.own_weight**2 == pytest.approx([0.5] * 3)  # no department above: its share stays with the cell
    assert inputs.names[:4] == ("uncertainty.execution", *(f"uncertainty.execution@t{i}" for i in range(3)))


def test_correlating_execution_without_a_common_part_is_refused() -> None:
    scenario, stretch = teams(2)
    for name in ("uncertainty.execution", "execution.sellers"):
        refused = replace(scenario, correlation={("factor.market", name): 0.5})
        with pytest.raises(ModelError, match=f"names {name}, but no part of it is common"):
            build_inputs(build_graph(refused), stretch)


def test_correlating_a_plain_number_is_noted() -> None:
    scenario = structural({"k": {"a": 1.0}}, noises={"a": EVEN}, correlation={("factor.a", "kpi.k.drivers.a"): 0.5})
    simulation = simulate(*compiled(scenario), settings=SimulationSettings(64))
    assert [n.code for n in simulation.notes] == ["W-correlation-certain"]
    assert "kpi.k.drivers.a" in simulation.notes[0].message


def test_memory_does_not_grow_with_the_number_of_draws() -> None:
    scenario = structural({"k": {"a": 1.0, "b": 2.0}}, noises=dict.fromkeys("ab", EVEN), goals=[goal("k", 1.0)])
    graph, stretch, levels = compiled(scenario)
    peaks = []
    for draws in (100_000, 1_600_000):
        tracemalloc.start()
        simulate(graph, stretch, levels, settings=SimulationSettings(draws, 1, "random"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]


GOLDEN = {"sobol": (0.3896484375, 323.2510129852645), "random": (0.39697265625, 323.349857109826)}


def test_frozen_odds() -> None:
    """Golden values: the published odds of one small plan, to the last bit."""
    scenario, stretch = teams(3, execution=Quantity("lognormal", (0.55, 1.05)), common={"organization": 0.3})
    scenario = replace(scenario, goals={"sales": goal("sales", 324.0)})
    graph = build_graph(scenario)
    found = {
        method: simulate(graph, stretch, np.zeros(0), settings=SimulationSettings(2048, 7, method)) for method in GOLDEN
    }
    assert {m: (s.goals[0].odds.estimate, s.distributions[0].mean.estimate) for m, s in found.items()} == GOLDEN
