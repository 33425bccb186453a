"""Draws through random organizations, checked against the deterministic graph with the drawn values put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Factor, Scenario, Uncertainty
from kpiopt.simulation.propagate import Propagation
from tests.builders import random_decisions, random_scenario
from tests.nights import rest_at_night

EXECUTION = (Quantity("normal", (0.8, 0.3)), Quantity.number(0.9), Quantity("pert", (0.1, 0.5, 1.0)))


def uncertain(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    """The same scenario with distributions for factors, most contributions and effects, and execution."""

    def blur(q: Quantity) -> Quantity:
        return Quantity("uniform", (q.mean - 1, q.mean + 1)) if rng.random() < 0.8 else q

    kpis = {
        k: replace(v, drivers=tuple(replace(d, contribution=blur(d.contribution)) for d in v.drivers))
        for k, v in scenario.kpis.items()
    }
    initiatives = {
        k: replace(v, effects=tuple(replace(e, contribution=blur(e.contribution)) for e in v.effects))
        for k, v in scenario.initiatives.items()
    }
    factors = {k: Factor(k, k, Quantity("normal", (f.value.mean, 2.0))) for k, f in scenario.factors.items()}
    return replace(scenario, kpis=kpis, initiatives=initiatives, factors=factors, uncertainty=Uncertainty(EXECUTION))


def with_values(scenario: Scenario, values: dict[str, float], execution: np.ndarray) -> Scenario:
    """The same scenario with every named quantity at a value, and one certain execution for each cell."""

    def at(name: str, q: Quantity) -> Quantity:
        return Quantity.number(values.get(name, q.mean))

    kpis = {
        k: replace(v, drivers=tuple(replace(d, contribution=at(d.path, d.contribution)) for d in v.drivers))
        for k, v in scenario.kpis.items()
    }
    initiatives = {
        k: replace(v, effects=tuple(replace(e, contribution=at(e.path, e.contribution)) for e in v.effects))
        for k, v in scenario.initiatives.items()
    }
    factors = {k: Factor(k, k, at(f"factor.{k}", f.value)) for k, f in scenario.factors.items()}
    certain = Uncertainty(tuple(Quantity.number(e) for e in execution))
    cells = replace(scenario.cells, execution=np.arange(len(scenario.cells)))
    return replace(scenario, kpis=kpis, initiatives=initiatives, factors=factors, uncertainty=certain, cells=cells)


@pytest.mark.parametrize("seed", rest_at_night(range(25), 8))
def test_a_draw_is_the_deterministic_graph_with_the_drawn_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenario = uncertain(random_scenario(seed, n_units=14), rng)
    graph = build_graph(scenario)
    stretch, levels = random_decisions(scenario, seed, graph.n_levels)
    rated = np.flatnonzero(np.nan_to_num(scenario.cells.pay_rate))
    propagation = Propagation(graph, stretch, levels, kept_cells=rated)
    scores = rng.normal(size=(len(propagation.inputs.names), 4))
    block = propagation.run(lambda rows: scores[rows].copy(), 4)
    drawn = dict(zip(propagation.inputs.names, scores, strict=True))
    quantities = {q.name: q.quantity for q in graph.quantities}
    for draw in range(4):
        values = {n: float(q.at_score(drawn[n][[draw]])[0]) for n, q in quantities.items() if n in drawn}
        execution = graph.execution_mean.copy()
        for cell, node in enumerate(graph.cell_node.tolist()):
            name = f"cell.{graph.node_name(node)}.execution"
            if name in drawn:
                execution[cell] = EXECUTION[scenario.cells.execution[cell]].at_score(drawn[name][[draw]])[0]
        fixed = build_graph(with_values(scenario, values, execution))
        expected = fixed.expected_change(stretch, levels)
        order = [fixed_node(graph, fixed, node) for node in range(graph.n_nodes)]
        assert block.delta[:, draw] == pytest.approx(expected[order], rel=1e-9, abs=1e-9)
        assert block.realised[:, draw] == pytest.approx((execution * stretch)[rated], rel=1e-9, abs=1e-12)


def fixed_node(graph, fixed, node: int) -> int:
    names = {fixed.node_name(i): i for i in range(fixed.n_nodes)}
    return names[graph.node_name(node)]


def test_fixed_nodes_keep_their_value_and_pass_it_on() -> None:
    scenario = random_scenario(3, n_units=10)
    graph = build_graph(scenario)
    stretch, levels = random_decisions(scenario, 3, graph.n_levels)
    node = int(graph.head[-1])
    tails = graph.tail[graph.head == node]
    cut = Propagation(graph, stretch, levels, {node: 7.0}).run(lambda rows: np.zeros((0, 2)), 2)
    free = Propagation(graph, stretch, levels).run(lambda rows: np.zeros((0, 2)), 2)
    assert cut.delta[node] == pytest.approx([7.0 - graph.baseline[node]] * 2)
    assert np.array_equal(cut.delta[tails], free.delta[tails])
