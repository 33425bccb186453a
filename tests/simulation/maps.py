"""Small strategy maps for tests of the simulation, with distributions wherever the test wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from kpiopt.graph import CausalGraph, build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Factor, Goal, Scenario, Uncertainty
from tests.builders import Cause, Cell, build_kpi, build_scenario, build_units

EVEN = Quantity("normal", (0.0, 1.0))


def structural(
    equations: Mapping[str, Mapping[str, float]],
    *,
    constants: Mapping[str, float] | None = None,
    noises: Mapping[str, Quantity] | None = None,
    contributions: Mapping[tuple[str, str], Quantity] | None = None,
    goals: Sequence[Goal] = (),
    signs: Mapping[str, int] | None = None,
    steps: Mapping[str, float] | None = None,
    **settings: object,
) -> Scenario:
    """KPIs at the root: value = constant + sum of contribution x cause + noise.

    `equations` is KPI -> cause -> contribution; each entry of `noises` is a factor named after what it is added to,
    unless an equation names it as a cause itself. `contributions` replaces a number by a distribution.
    """
    noises = dict(noises or {})
    causes = {kpi: [Cause(c, b) for c, b in terms.items()] for kpi, terms in equations.items()}
    for name in noises:
        if name in equations:
            causes[name].append(Cause(f"noise-{name}", 1.0))
    factors = {(f"noise-{n}" if n in equations else n): q for n, q in noises.items()}
    constants, signs, steps = constants or {}, signs or {}, steps or {}
    scenario = build_scenario(
        build_units({"co": None}),
        [build_kpi(k, baseline=constants.get(k, 0.0), sign=signs.get(k, 1), step=steps.get(k)) for k in equations],
        [],
        causes=causes,
        factors={name: q.mean for name, q in factors.items()},
        goals=goals,
        **settings,
    )
    uncertain = {name: Factor(name, name, q) for name, q in factors.items()}
    kpis = {
        k: replace(
            kpi,
            drivers=tuple(
                replace(d, contribution=(contributions or {}).get((k, d.cause), d.contribution)) for d in kpi.drivers
            ),
        )
        for k, kpi in scenario.kpis.items()
    }
    return replace(scenario, factors=uncertain, kpis=kpis)


def teams(
    n_teams: int,
    *,
    stretch: float = 10.0,
    execution: Quantity | None = None,
    common: Mapping[str, float] | None = None,
    goals: Sequence[Goal] = (),
    **settings: object,
) -> tuple[Scenario, np.ndarray]:
    """A company of teams with one `sales` cell of baseline 100 each, and the stretch of every cell."""
    parents: dict[str, str | None] = {"co": None, **{f"t{i}": "co" for i in range(n_teams)}}
    levels = {"co": "company", **{f"t{i}": "team" for i in range(n_teams)}}
    scenario = build_scenario(
        build_units(parents, levels=levels),
        [build_kpi("sales")],
        [Cell(f"t{i}", "sales", 100.0, 50.0) for i in range(n_teams)],
        goals=goals,
        **settings,
    )
    uncertainty = Uncertainty((execution or Quantity("normal", (0.8, 0.2)),), ("uncertainty.execution",), common or {})
    return replace(scenario, uncertainty=uncertainty), np.full(n_teams, stretch)


def compiled(scenario: Scenario) -> tuple[CausalGraph, np.ndarray, np.ndarray]:
    """The graph of a scenario, no stretch and no initiatives."""
    graph = build_graph(scenario)
    return graph, np.zeros(len(scenario.cells)), np.zeros(graph.n_levels)


def goal(kpi: str, target: float, **settings: object) -> Goal:
    """A goal at the root named after its KPI."""
    return Goal(kpi, kpi, 0, target, **settings)
