"""Rare outcomes: published reliability problems and closed forms in the tail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from kpiopt.graph import build_graph
from kpiopt.run.solve import solve_scenario
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation.rare import Distance, find_design_point, sample_rare
from kpiopt.simulation.simulate import simulate
from kpiopt.simulation.streams import Streams, lay_out
from tests.simulation.maps import EVEN, compiled, goal, structural, teams


def rp22(z: np.ndarray) -> np.ndarray:
    return 2.5 - (z[0] + z[1]) / np.sqrt(2) + 0.1 * (z[0] - z[1]) ** 2


def rp107(z: np.ndarray) -> np.ndarray:
    return 5 * np.sqrt(10) - z.sum(axis=0)


def resistance(z: np.ndarray) -> np.ndarray:
    return (4 + z[0]) - (2 + z[1])


PUBLISHED = [(rp22, 2, 0.004207305511299616), (rp107, 10, 2.866515718791933e-07), (resistance, 2, 0.07864960352514251)]


@pytest.mark.parametrize("method", ["sobol", "random"])
@pytest.mark.parametrize(("distance", "n", "exact"), PUBLISHED, ids=["RP22", "RP107", "R-S"])
def test_published_reliability_problems(distance: Distance, n: int, exact: float, method: str) -> None:
    point = find_design_point(distance, n)
    assert point is not None
    assert abs(distance(point[:, None])[0]) < 1e-2
    misses = 0
    for seed in range(20):
        odds, events = sample_rare(distance, point, Streams(seed, [f"x{i}" for i in range(n)], lay_out(4096, method)))
        assert odds.estimate == pytest.approx(exact, rel=0.25)
        assert events > 200
        misses += not odds.low <= exact <= odds.high
    assert misses <= 4  # 20 intervals at 95 %: more than 4 outside has a chance of 0.003


@pytest.mark.parametrize("sigmas", [3.3, 4.0, 4.75, 5.5])
def test_one_in_ten_thousand_is_told_from_one_in_a_million(sigmas: float) -> None:
    """A goal that is missed only beyond some standard deviations, for `up` and `down` alike."""
    exact = stats.norm.sf(sigmas)
    for sign in (1, -1):
        scenario = structural(
            {"k": {"a": 1.0, "b": 2.0}},
            noises=dict.fromkeys("ab", EVEN),
            signs={"k": sign},
            goals=[goal("k", -sign * sigmas * np.sqrt(5))],
        )
        odds = simulate(*compiled(scenario)).goals[0]
        assert odds.odds.low < 1 - exact < odds.odds.high
        assert odds.rare is not None
        assert odds.rare.outcome == "miss"
        assert odds.rare.odds.estimate == pytest.approx(exact, rel=0.15)
        assert abs(odds.rare.odds.estimate - exact) < odds.rare.odds.high - odds.rare.odds.low
        assert odds.rare.distance == pytest.approx(sigmas, rel=1e-3)


def test_rare_hits_through_a_product_by_quadrature() -> None:
    """Contribution x factor, both normal: P(product >= 12) by integration over one of them."""
    contribution = Quantity("normal", (1.0, 0.3))
    scenario = structural(
        {"k": {"f": 1.0}},
        noises={"f": Quantity("normal", (2.0, 1.0))},
        contributions={("k", "f"): contribution},
        goals=[goal("k", 12.0)],
    )
    z = np.linspace(-10, 10, 200_000)  # no point where the factor is exactly 0
    f = 2 + z
    above = np.where(f > 0, stats.norm.sf((12 / f - 1) / 0.3), stats.norm.cdf((12 / f - 1) / 0.3))
    exact = float(np.sum(above * stats.norm.pdf(z)) * (z[1] - z[0]))
    rare = simulate(*compiled(scenario)).goals[0].rare
    assert rare is not None
    assert rare.outcome == "hit"
    assert 1e-8 < exact < 1e-6
    assert rare.odds.estimate == pytest.approx(exact, rel=0.25)


def test_rare_misses_of_many_units_with_common_execution() -> None:
    scenario, stretch = teams(50, goals=[goal("sales", 5200.0)], common={"organization": 0.2})
    graph = build_graph(scenario)
    sd = 10 * 0.2 * np.sqrt(50 * (1 + 49 * 0.2))
    exact = stats.norm.cdf((5200 - (5000 + 50 * 8)) / sd)
    rare = simulate(graph, stretch, np.zeros(0), settings=SimulationSettings(1024)).goals[0].rare
    assert rare is not None
    assert rare.odds.estimate == pytest.approx(exact, rel=0.2)


def test_certain_plans_and_impossible_outcomes_have_no_rare_odds() -> None:
    certain = structural({"k": {}}, constants={"k": 5.0}, goals=[goal("k", 1.0)])
    assert simulate(*compiled(certain)).goals[0].rare is None
    bounded = structural({"k": {"u": 1.0}}, noises={"u": Quantity("uniform", (0.0, 1.0))}, goals=[goal("k", -1.0)])
    assert simulate(*compiled(bounded)).goals[0].rare is None


FAULTS = Path(__file__).parents[1] / "data" / "faults"
TAILS = {
    "normal": Quantity("normal", (0.7, 0.1)),
    "lognormal": Quantity("lognormal", (0.5, 0.9)),
    "triangular": Quantity("triangular", (0.3, 0.9, 1.1)),
    "pert": Quantity("pert", (0.3, 0.9, 1.1)),
    "uniform": Quantity("uniform", (0.3, 1.1)),
    "beta": Quantity("beta", (3.0, 3.0, 0.3, 1.1)),
    "discrete": Quantity("discrete", (0.3, 0.2, 0.9, 0.6, 1.1, 0.2)),
    "samples": Quantity("samples", (0.3, 0.8, 0.9, 1.1)),
}


def test_pert_execution_does_not_end_the_run() -> None:
    run = solve_scenario(load_scenario(FAULTS / "pert_tails" / "scenario.toml"))
    assert run.simulation is not None
    assert len(run.simulation.goals) == len(run.goals) == 1


@pytest.mark.parametrize("kind", TAILS)
@pytest.mark.parametrize("target", [150.0, 330.5, 332.9, 400.0, 1e9])
def test_the_search_for_rare_outcomes_never_fails_a_run(kind: str, target: float) -> None:
    scenario, stretch = teams(3, execution=TAILS[kind], goals=[goal("sales", target)])
    odds = simulate(build_graph(scenario), stretch, np.zeros(0), settings=SimulationSettings(512)).goals[0]
    assert 0 <= odds.odds.low <= odds.odds.high <= 1


def test_a_value_that_overflows_on_the_way_only_ends_the_search() -> None:
    """Two huge lognormal factors multiply: finite in ordinary draws, not at the far points that the search tries."""
    wild = Quantity("lognormal", (1e-28, 1e8))
    scenario = structural(
        {"k": {"a": 1.0}}, noises={"a": wild}, contributions={("k", "a"): wild}, goals=[goal("k", 1e200)]
    )
    assert simulate(*compiled(scenario)).goals[0].rare is None
