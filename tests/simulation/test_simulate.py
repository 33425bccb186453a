"""Simulated plans against closed forms, quadrature and published cases."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from kpiopt.errors import NumericsError, UsageError
from kpiopt.graph import build_graph
from kpiopt.run.spread import spread_by
from kpiopt.scenario.quantity import Quantity, parse_quantity
from kpiopt.scenario.scenario import Scenario, SimulationSettings
from kpiopt.simulation.results import Simulation
from kpiopt.simulation.simulate import simulate
from kpiopt.workers.job import Executor, Place
from tests.simulation.maps import EVEN, compiled, goal, structural, teams

DRAWS = 1 << 14
METHODS = ["sobol", "random"]


def run(
    scenario: Scenario, method: str = "sobol", *, draws: int = DRAWS, seed: int = 7, **options: object
) -> Simulation:
    graph, stretch, levels = compiled(scenario)
    return simulate(graph, stretch, levels, settings=SimulationSettings(draws, seed, method), **options)


def spread(variance: float, mean: float = 0.0) -> Quantity:
    return Quantity("normal", (mean, variance**0.5))


def kept(simulation: Simulation, kpi: str) -> np.ndarray:
    """The kept values of a KPI at the root, one row."""
    node = simulation.graph.find_node(kpi)
    return simulation.kept.values[np.searchsorted(simulation.kept.nodes, node)].ravel()


@pytest.mark.parametrize("method", METHODS)
def test_koller_friedman_chain(method: str) -> None:
    """Koller and Friedman (2009), example 7.3: joint mean, covariance and one tail probability are published."""
    scenario = structural(
        {"x1": {}, "x2": {"x1": 0.5}, "x3": {"x2": -1.0}},
        constants={"x1": 1, "x2": -4.5, "x3": 8.5},
        noises={"x1": spread(4), "x2": spread(4), "x3": spread(3)},
        goals=[goal("x3", 10.0)],
    )
    simulation = run(scenario, method)
    values = np.array([kept(simulation, k) for k in ("x1", "x2", "x3")])
    covariance = np.array([[4, 2, -2], [2, 5, -5], [-2, -5, 8]])
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / DRAWS)
    assert np.abs(values.mean(axis=1) - [1, -4.5, 8.5]).max() < 4 * np.sqrt(8 / DRAWS)
    assert (np.abs(np.cov(values) - covariance) < 4 * error).all()
    p = 0.29794154528258887
    assert abs(simulation.goals[0].odds.estimate - p) < 4 * np.sqrt(p * (1 - p) / DRAWS)


@pytest.mark.parametrize("seed", range(6))
def test_random_linear_gaussian_graphs(seed: int) -> None:
    """Twenty KPIs, random causes: mean, covariance and odds from (I - C)^-1 formed densely."""
    rng = np.random.default_rng(seed)
    n = 20
    order = rng.permutation(n)
    names = [f"k{order[i]:02d}" for i in range(n)]
    matrix = np.tril(rng.normal(0, 0.6, (n, n)) * (rng.random((n, n)) < 0.3), -1)
    means, sds = rng.normal(0, 5, n), rng.uniform(0.1, 3, n)
    total = np.linalg.inv(np.eye(n) - matrix)
    covariance = total @ np.diag(sds**2) @ total.T
    signs = rng.choice([1, -1], n)
    targets = means + rng.normal(0, 1, n) * np.sqrt(np.diag(covariance))
    scenario = structural(
        {names[i]: {names[j]: matrix[i, j] for j in range(i) if matrix[i, j]} for i in range(n)},
        constants=dict(zip(names, means, strict=True)),
        noises={names[i]: spread(sds[i] ** 2) for i in range(n)},
        signs=dict(zip(names, signs.tolist(), strict=True)),
        goals=[goal(names[i], targets[i]) for i in range(n)],
    )
    simulation = run(scenario, METHODS[seed % 2], seed=seed)
    values = np.array([kept(simulation, k) for k in names])
    z = (targets - means) / np.sqrt(np.diag(covariance))
    p = stats.norm.sf(signs * z)
    odds = np.array([simulation.goal(k).odds.estimate for k in names])
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / DRAWS)
    assert (np.abs(values.mean(axis=1) - means) < 4.5 * np.sqrt(np.diag(covariance) / DRAWS)).all()
    assert (np.abs(np.cov(values) - covariance) < 4.5 * error).all()
    assert (np.abs(odds - p) < 4.5 * np.sqrt(p * (1 - p) / DRAWS) + 1e-4).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, 3, 7])
def test_equally_correlated_goals_are_all_hit_with_one_in_n_plus_one(method: str, n: int) -> None:
    """Even odds each and correlation 0.5: P(all n) = 1 / (n + 1); given the others, n / (n + 1)."""
    names = [f"k{i}" for i in range(n)]
    correlation = {(f"factor.noise-{a}", f"factor.noise-{b}"): 0.5 for i, a in enumerate(names) for b in names[:i]}
    scenario = structural(
        {k: {} for k in names},
        noises=dict.fromkeys(names, EVEN),
        goals=[goal(k, 0.0) for k in names],
        correlation=correlation,
    )
    simulation = run(scenario, method)
    p = 1 / (n + 1)
    assert simulation.all_goals is not None
    assert abs(simulation.all_goals.estimate - p) < 4 * np.sqrt(p * (1 - p) / DRAWS)
    for odds in simulation.goals:
        assert abs(odds.odds.estimate - 0.5) < 4 * np.sqrt(0.25 / DRAWS)
        assert odds.given_others is not None
        share = n / (n + 1)
        assert abs(odds.given_others.estimate - share) < 4 * np.sqrt(share * (1 - share) / (DRAWS / n))


def test_resistance_and_load() -> None:
    """R - S with R ~ N(4, 1), S ~ N(2, 1): P(R < S) is published as 0.0786496."""
    scenario = structural(
        {"margin": {"r": 1.0, "s": -1.0}},
        noises={"r": spread(1, 4), "s": spread(1, 2)},
        signs={"margin": -1},
        goals=[goal("margin", 0.0)],
    )
    p = 0.07864960352514251
    assert abs(run(scenario).goals[0].odds.estimate - p) < 4 * np.sqrt(p * (1 - p) / DRAWS)


def test_newsvendor_order_is_a_quantile_of_demand() -> None:
    """The best order is the p / (p + h) quantile of demand N(50, 8): published S* = 56.604."""
    scenario = structural(
        {"demand": {"d": 1.0}}, noises={"d": spread(64, 50)}, goals=[goal("demand", 56.60395592743389)]
    )
    share = 0.7 / (0.7 + 0.18)
    odds = run(scenario).goals[0].odds
    assert abs(odds.estimate - (1 - share)) < 4 * np.sqrt(share * (1 - share) / DRAWS)


SHAPES = ["0.5 to 2", {"triangular": [0, 1, 4]}, {"pert": [-1, 0, 3]}, {"beta": [2, 5, 0, 3]}, {"uniform": [-1, 2]}]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_of_distributions_by_quadrature(method: str, shape: object) -> None:
    """Contribution x factor + another factor: mean, standard deviation and odds by numerical integration."""
    first, second = parse_quantity(shape), parse_quantity({"triangular": [1, 2, 6]})
    scenario = structural(
        {"k": {"f": 1.0}},
        noises={"f": second, "k": EVEN},
        contributions={("k", "f"): first},
        goals=[goal("k", 3.0)],
    )
    simulation = run(scenario, method)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    u, w = (nodes + 1) / 2, weights / 2
    product = first.quantile(u)[:, None] * second.quantile(u)[None, :]
    both = w[:, None] * w[None, :]
    mean = float((product * both).sum())
    variance = float(((product - mean) ** 2 * both).sum()) + 1
    p = float((stats.norm.sf(3.0 - product) * both).sum())
    spread_of = simulation.distribution(simulation.graph.find_node("k"))
    assert spread_of is not None
    assert mean == pytest.approx(first.mean * second.mean, rel=1e-3)
    assert abs(spread_of.mean.estimate - mean) < 4 * np.sqrt(variance / DRAWS)
    assert spread_of.sd == pytest.approx(np.sqrt(variance), rel=0.05)
    assert abs(simulation.goals[0].odds.estimate - p) < 4 * np.sqrt(p * (1 - p) / DRAWS)


def test_a_sum_of_uniforms_by_its_known_law() -> None:
    """Irwin-Hall with three terms: P(sum > 2) = 1/6."""
    uniform = parse_quantity({"uniform": [0, 1]})
    scenario = structural(
        {"k": {"a": 1.0, "b": 1.0, "c": 1.0}}, noises=dict.fromkeys("abc", uniform), goals=[goal("k", 2.0)]
    )
    simulation = run(scenario)
    assert abs(simulation.goals[0].odds.estimate - 1 / 6) < 4 * np.sqrt(5 / 36 / DRAWS)
    values = kept(simulation, "k")
    assert np.mean(values) == pytest.approx(1.5, abs=4 * np.sqrt(0.25 / DRAWS))


def test_correlated_lognormals_by_quadrature() -> None:
    """E[XY] of two lognormals with correlated scores has a closed form; it travels through contribution x factor."""
    a, b, r = parse_quantity("0.5 to 2"), parse_quantity("1 to 3"), 0.7
    scenario = structural(
        {"k": {"f": 1.0}},
        noises={"f": b},
        contributions={("k", "f"): a},
        correlation={("factor.f", "kpi.k.drivers.f"): r},
    )
    z95 = stats.norm.ppf(0.95)
    sa, sb = np.log(2 / 0.5) / 2 / z95, np.log(3) / 2 / z95
    expected = np.exp(np.log(3) / 2 + (sa**2 + sb**2 + 2 * r * sa * sb) / 2)
    values = kept(run(scenario), "k")
    assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(DRAWS)
    assert abs(expected - a.mean * b.mean) > 10 * values.std() / np.sqrt(DRAWS)


def test_common_share_correlates_the_units() -> None:
    """Variance of the sum: n x^2 sd^2 (1 + (n - 1) share); department shares act inside a department only."""
    scenario, stretch = teams(10, common={"organization": 0.3})
    graph = build_graph(scenario)
    simulation = simulate(graph, stretch, np.zeros(0), settings=SimulationSettings(DRAWS, 1))
    total = simulation.distribution(graph.find_node("sales"))
    assert total is not None
    assert total.mean.estimate == pytest.approx(1000 + 10 * 10 * 0.8, abs=0.5)
    assert total.sd == pytest.approx(10 * 0.2 * np.sqrt(10 * (1 + 9 * 0.3)), rel=0.03)
    by_team = replace(scenario, uncertainty=replace(scenario.uncertainty, common={"organization": 0.1, "team": 0.2}))
    graph = build_graph(by_team)
    total = simulate(graph, stretch, np.zeros(0), settings=SimulationSettings(DRAWS, 1)).distribution(
        graph.find_node("sales")
    )
    assert total is not None
    assert total.sd == pytest.approx(10 * 0.2 * np.sqrt(10 * (1 + 9 * 0.1)), rel=0.03)


def test_execution_can_be_correlated_with_the_market() -> None:
    """The organization's common part of execution against a factor."""
    scenario, stretch = teams(1, common={"organization": 0.5})
    base = structural({"own": {"market": 1.0}}, noises={"market": EVEN})
    together = replace(
        scenario,
        kpis={**scenario.kpis, **base.kpis},
        factors=base.factors,
        correlation={("factor.market.value", "uncertainty.execution"): 0.8},
    )
    simulation = simulate(build_graph(together), stretch, np.zeros(0))
    r = np.corrcoef(kept(simulation, "own"), kept(simulation, "sales"))[0, 1]
    assert r == pytest.approx(0.8 * np.sqrt(0.5), abs=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_identical_bits_for_every_number_of_workers(method: str) -> None:
    scenario, stretch = teams(40, goals=[goal("sales", 4320.0)], common={"organization": 0.3})
    graph = build_graph(scenario)
    settings = SimulationSettings(20_000, 3, method)
    digests = set()
    for workers in (1, 2, 8):
        s = simulate(graph, stretch, np.zeros(0), settings=settings, spread=spread_by(Executor(Place.THREADS, workers)))
        assert s.kept.values.shape[1:] == ((16, 2048) if method == "sobol" else (1, 20_000))
        digests.add(repr((s.goals, s.all_goals, s.distributions, s.node_odds.tobytes(), s.kept.values.tobytes())))
    assert len(digests) == 1


@pytest.mark.parametrize("method", METHODS)
def test_adding_a_unit_or_a_kpi_leaves_the_other_draws_unchanged(method: str) -> None:
    settings = SimulationSettings(1024, 3, method)
    values = []
    for n in (3, 5):
        scenario, stretch = teams(n)
        if n == 5:
            extra = structural({"a-new-kpi": {"wind": 2.0}}, noises={"wind": EVEN})
            scenario = replace(scenario, kpis={**extra.kpis, **scenario.kpis}, factors=extra.factors)
            cells = replace(scenario.cells, kpi=np.full(n, 1))
            scenario = replace(scenario, cells=cells)
        graph = build_graph(scenario)
        nodes = np.array([graph.find_node("sales", f"t{i}") for i in range(3)])
        simulation = simulate(graph, stretch, np.zeros(0), settings=settings, watch_nodes=nodes)
        values.append(simulation.kept.values[np.searchsorted(simulation.kept.nodes, nodes)])
    assert np.array_equal(values[0], values[1])


def test_draws_do_not_depend_on_uncorrelated_neighbours_of_a_correlated_group() -> None:
    base = {"correlation": {("factor.a", "factor.b"): 0.6}}
    more = {"correlation": {("factor.a", "factor.b"): 0.6, ("factor.x", "factor.y"): -0.3}}
    found = []
    for settings in (base, more):
        scenario = structural(
            {"k": {"a": 1.0, "b": 1.0}, "l": {"x": 1.0, "y": 2.0}}, noises=dict.fromkeys("abxy", EVEN), **settings
        )
        found.append(kept(run(scenario), "k"))
    assert np.array_equal(found[0], found[1])


def test_a_plan_without_uncertainty_hits_exactly() -> None:
    """A goal that the plan meets to the last digit but for float noise is a hit in every draw."""
    scenario = structural({"k": {"c": 0.1}, "c": {}}, constants={"k": 0.3, "c": 3.0}, goals=[goal("k", 0.1 + 0.2)])
    odds = run(scenario).goals[0].odds
    assert odds.estimate == 1
    assert odds.text == "certain"


@pytest.mark.parametrize(
    ("sign", "target", "value", "hit"),
    [
        (1, 100, 99.5, True),
        (1, 100, 99.49, False),
        (-1, 100, 100.5, True),
        (-1, 100, 100.51, False),
        (1, 99.2, 99.5, True),
    ],
)
def test_a_value_hits_when_it_rounds_to_the_target(sign: int, target: float, value: float, hit: bool) -> None:
    scenario = structural(
        {"k": {}}, constants={"k": value}, signs={"k": sign}, steps={"k": 1.0}, goals=[goal("k", target)]
    )
    assert run(scenario, draws=32).goals[0].odds.estimate == (1.0 if hit else 0.0)


def test_shortfall_when_missed() -> None:
    """For a standard normal and target 0: mean shortfall of misses = sqrt(2 / pi); worst 5 % by integration."""
    scenario = structural({"k": {}}, noises={"k": EVEN}, goals=[goal("k", 0.0)])
    odds = run(scenario).goals[0]
    assert odds.shortfall == pytest.approx(np.sqrt(2 / np.pi), rel=0.02)
    worst, _ = integrate.quad(lambda u: -stats.norm.ppf(u), 0, 0.025)
    assert odds.worst_shortfall == pytest.approx(worst / 0.025, rel=0.02)


def test_precision_is_reached_and_gives_the_bits_of_its_number_of_draws() -> None:
    scenario = structural({"k": {"a": 1.0, "b": 1.0}}, noises=dict.fromkeys("ab", EVEN), goals=[goal("k", 0.5)])
    graph, stretch, levels = compiled(scenario)
    for method in METHODS:
        precise = simulate(graph, stretch, levels, settings=SimulationSettings(64, 1, method, precision=0.004))
        assert precise.half_width <= 0.004
        again = simulate(graph, stretch, levels, settings=SimulationSettings(precise.draws, 1, method))
        assert again.goals == precise.goals
        assert precise.draws > 4096


def test_no_kept_draw_is_lost_when_there_are_many() -> None:
    scenario = structural({"k": {}}, noises={"k": EVEN}, goals=[goal("k", 1.0)])
    simulation = run(scenario, "random", draws=200_000)
    assert simulation.draws == 200_000
    assert simulation.kept.pay.shape == (1, 1 << 16)
    p = stats.norm.sf(1.0)
    assert abs(simulation.goals[0].odds.estimate - p) < 4 * np.sqrt(p * (1 - p) / 200_000)


def test_a_value_that_is_not_finite_names_the_kpi_and_the_draw() -> None:
    wild = big = Quantity("normal", (0.0, 1e160))
    scenario = structural({"k": {"a": 1.0}}, noises={"a": big}, contributions={("k", "a"): wild})
    with pytest.raises(NumericsError, match=r"the value of co/k is not finite in draw \d+"):
        run(scenario)


def test_a_value_that_is_not_finite_in_a_later_block_names_its_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """The draw is counted from the first one of all, however the draws are cut into blocks."""
    rare, wild = Quantity("discrete", (0.0, 0.9995, 1e150, 0.0005)), Quantity("normal", (0.0, 1e162))
    scenario = structural({"k": {"a": 1.0}}, noises={"a": rare}, contributions={("k", "a"): wild})
    told = []
    for size in (1 << 14, 64, 500):
        module = importlib.import_module("kpiopt.simulation.simulate")
        monkeypatch.setattr(module, "block_size", lambda *_, size=size: size)
        with pytest.raises(NumericsError, match=r"the value of co/k is not finite in draw \d+") as caught:
            run(scenario, "random", draws=1 << 16)
        told.append(int(re.findall(r"draw (\d+)", str(caught.value))[0]))
    assert told[0] > 500 and set(told) == {told[0]}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (SimulationSettings(0), "draws are 2 to"),
        (SimulationSettings(1), "draws are 2 to"),
        (SimulationSettings(10**12), "draws are 2 to"),
        (SimulationSettings(64, -1), "a seed is 0 to"),
        (SimulationSettings(64, 2**200), "a seed is 0 to"),
        (SimulationSettings(64, 0, "halton"), '"halton" is no method'),
        (SimulationSettings(64, 0, "random", 0.0), "precision is 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: SimulationSettings, words: str) -> None:
    """Row 84."""
    graph, stretch, levels = compiled(structural({"k": {}}))
    with pytest.raises(UsageError, match=words):
        simulate(graph, stretch, levels, settings=settings)


def test_seed_zero_is_a_seed() -> None:
    scenario = structural({"k": {}}, noises={"k": EVEN})
    assert not np.array_equal(kept(run(scenario, seed=0), "k"), kept(run(scenario, seed=1), "k"))
    assert np.array_equal(kept(run(scenario, seed=0), "k"), kept(run(scenario, seed=0), "k"))


def test_uncertain_baselines_travel_along_the_causes() -> None:
    scenario = structural({"orders": {}, "sales": {"orders": 20.0}}, constants={"sales": 1000.0})
    kpis = {**scenario.kpis, "orders": replace(scenario.kpis["orders"], baseline=spread(25, 50))}
    simulation = run(replace(scenario, kpis=kpis))
    orders, sales = kept(simulation, "orders"), kept(simulation, "sales")
    assert orders.mean() == pytest.approx(50, abs=0.01)
    assert orders.std() == pytest.approx(5, rel=0.01)
    assert sales == pytest.approx(1000 + 20 * (orders - 50))
