"""Groups of sources: what belongs together, what is refused; screening and indices of whole scenarios."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.plan import build_plan
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Scenario, SimulationSettings
from kpiopt.studies.family import PlanFamily, Planned
from kpiopt.studies.sensitivity.outcome import parse_outcome
from kpiopt.studies.sensitivity.screening import screen_response
from kpiopt.studies.sensitivity.sobol_indices import share_variance
from kpiopt.studies.sensitivity.source_groups import REST, Response, SourceGroup, build_groups, build_response
from tests.simulation.maps import structural

SCORECARD = Path(__file__).parents[3] / "scenarios" / "scorecard.toml"


@pytest.fixture(scope="module")
def planned() -> Planned:
    return PlanFamily(load_scenario(SCORECARD)).base


def groups_of(planned: Planned, given: dict[str, list[str]] | None = None) -> tuple[SourceGroup, ...]:
    response = build_response(parse_outcome(planned.scenario, "odds"), planned.graph, planned.plan, smooth=True)
    return build_groups(planned.scenario, response.propagation.inputs, given)


def test_every_source_is_in_one_group_and_correlated_ones_are_together(planned: Planned) -> None:
    found = groups_of(planned)
    rows = np.concatenate([g.rows for g in found])
    assert sorted(rows.tolist()) == list(range(len(rows)))
    members = [set(g.members) for g in found]
    assert {"factor.market", "factor.wages", "factor.labour_market"} in members
    assert {"execution"} in members and {"factor.winter"} in members


def test_named_groups_take_patterns_and_leave_the_rest(planned: Planned) -> None:
    found = {g.name: g for g in groups_of(planned, {"outside": ["factor.*"], "people": ["execution"]})}
    assert set(found) == {"outside", "people", REST}
    assert len(found["outside"].members) == 4
    assert len(found["people"].rows) > 10


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": ["factor.market"], "b": ["factor.wages", "factor.labour_market"]}, "correlated"),
        ({"a": ["factor.*"], "b": ["factor.winter"]}, "more than one group"),
        ({"a": ["factor.wind"]}, "no uncertain quantity"),
        ({"everything else": ["factor.market"]}, "no group can be called"),
    ],
)
def test_groups_that_make_no_sense_are_refused(planned: Planned, given: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        groups_of(planned, given)


def linear_scenario() -> Scenario:
    """Profit = 3 a + 2 b - c with normal a, b, c of standard deviations 1, 2, 3: parts 9, 16 and 9 of 34."""
    return structural(
        {"profit": {"a": 3.0, "b": 2.0, "c": -1.0}},
        constants={"profit": 1000.0},
        noises={name: Quantity("normal", (5.0, sd)) for name, sd in (("a", 1.0), ("b", 2.0), ("c", 3.0))},
    )


def linear_response() -> tuple[Response, tuple[SourceGroup, ...]]:
    scenario = linear_scenario()
    graph = build_graph(scenario)
    plan = build_plan(graph, np.zeros(0), np.zeros(0))
    response = build_response(parse_outcome(scenario, "kpi:profit"), graph, plan, smooth=False)
    return response, build_groups(scenario, response.propagation.inputs)


def test_indices_of_a_linear_map_are_its_squared_slopes() -> None:
    response, groups = linear_response()
    shares, variance = share_variance(response, groups, SimulationSettings(draws=1 << 14, seed=1))
    assert variance == pytest.approx(34.0, rel=0.02)
    found = {group.name: share for group, share in shares}
    for name, part in (("factor.a", 9.0), ("factor.b", 16.0), ("factor.c", 9.0)):
        for estimate in (found[name].first, found[name].total):
            assert estimate.estimate == pytest.approx(part / 34.0, abs=0.02)
            assert estimate.low - 0.005 <= part / 34.0 <= estimate.high + 0.005


def test_screening_of_a_linear_map_finds_size_and_direction() -> None:
    response, groups = linear_response()
    found = {group.name: effects for group, effects in screen_response(response, groups, seed=1)}
    assert list(found) == ["factor.b", "factor.a", "factor.c"] or list(found) == ["factor.b", "factor.c", "factor.a"]
    for name, slope in (("factor.a", 3.0), ("factor.b", 4.0), ("factor.c", -3.0)):
        effects = found[name]
        assert effects.mean is not None
        assert np.sign(effects.mean) == np.sign(slope)
        assert effects.strength.estimate / found["factor.b"].strength.estimate == pytest.approx(
            abs(slope) / 4.0, rel=0.15
        )


@pytest.mark.parametrize("output", ["odds", "odds:retention", "shortfall", "pay", "kpi:operating_profit"])
def test_parts_of_a_whole_scenario_are_plausible(planned: Planned, output: str) -> None:
    outcome = parse_outcome(planned.scenario, output)
    response = build_response(outcome, planned.graph, planned.plan, smooth=False)
    groups = build_groups(planned.scenario, response.propagation.inputs, {"outside": ["factor.*"], "people": ["exec*"]})
    shares, variance = share_variance(response, groups, replace(planned.scenario.simulation, draws=2048))
    assert variance > 0.0
    total_first = sum(share.first.estimate for _, share in shares)
    total = sum(share.total.estimate for _, share in shares)
    assert -0.1 < total_first < 1.15
    assert total > 0.85
    totals = [share.total.estimate for _, share in shares]
    assert totals == sorted(totals, reverse=True)
