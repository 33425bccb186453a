"""Value of information where it can be worked out, and its properties elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.numbers.quantities import quantities_of
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Scenario, SimulationSettings
from kpiopt.simulation.propagate import Propagation
from kpiopt.studies.common_draws import CommonDraws
from kpiopt.studies.family import PlanFamily
from kpiopt.studies.sensitivity.information import (
    Information,
    distinct_values,
    learnable,
    value_everything,
    value_information,
)
from kpiopt.studies.sensitivity.learning import Finding, learn
from kpiopt.studies.sensitivity.outcome import parse_outcome

SCENARIOS = Path(__file__).parents[3] / "scenarios"
HAND_SOLVED = SCENARIOS / "hand-solved.toml"
VISITS = "kpi.sales.drivers.visits"
SETTINGS = SimulationSettings(draws=1024, seed=3)


def worth_of(path: Path, output: str, *names: str, overrides: tuple[str, ...] = ()) -> tuple[Information, ...]:
    scenario = replace(load_scenario(path, overrides=overrides), simulation=SETTINGS)
    return value_information(PlanFamily(scenario), parse_outcome(scenario, output), names, CommonDraws(SETTINGS))


def test_knowing_the_only_unknown_makes_the_goal_certain() -> None:
    """Once the worth of a visit is known, a plan that meets the goal can be made; without, that happens where a visit
    brings 97.14 or more, for sales are rounded to 100 and miss by 17.5 x (100 - v)."""
    (found,) = worth_of(HAND_SOLVED, "odds:sales", VISITS)
    missed = 0.5 * math.erfc((50.0 / 17.5 / 20.0) / math.sqrt(2.0))
    assert found.worth.low <= missed <= found.worth.high
    assert found.worth.estimate == pytest.approx(missed, abs=0.03)
    assert found.worth.high - found.worth.low < 0.1
    assert found.values == 8 and found.without_plan == 0


def test_shortfall_avoided_is_the_mean_over_the_bad_half() -> None:
    """Sales miss by 17.5 x (100 - v) where v is below 100: all of it is avoided by visits."""
    (found,) = worth_of(HAND_SOLVED, "shortfall:sales", VISITS)
    exact = 17.5 * 20.0 / math.sqrt(2.0 * math.pi)
    assert found.worth.estimate == pytest.approx(exact, rel=1e-3)
    assert found.worth.low < exact < found.worth.high


def test_few_values_are_weighed_by_their_probabilities() -> None:
    """With 1 in 10 a visit brings only 60: 17.5 x 40 would be missed then, and nothing otherwise."""
    law = "{discrete=[[60, 0.1], [104.44444444444444, 0.9]]}"
    (found,) = worth_of(HAND_SOLVED, "shortfall:sales", VISITS, overrides=(f"{VISITS}.contribution={law}",))
    assert found.values == 2
    assert found.worth.estimate == pytest.approx(70.0, rel=1e-6)
    assert found.worth.low == found.worth.high


def test_values_without_probability_are_left_out() -> None:
    values, ends = distinct_values(Quantity("discrete", (1.0, 0.25, 2.0, 0.0, 3.0, 0.75)))
    assert values.tolist() == [1.0, 3.0] and ends.tolist() == [0.0, 0.25, 1.0]
    values, ends = distinct_values(Quantity("samples", (1.0, 1.0, 4.0, 4.0)))
    assert values.tolist() == [1.0, 4.0] and ends.tolist() == [0.0, 0.5, 1.0]


CORRELATED = """
schema = 1
name = "Correlated"
[kpi.sales]
[kpi.sales.drivers]
market = 1
rates = 1
mood = 1
[factor.market]
value = { normal = [0, 2] }
[factor.rates]
value = { normal = [5, 3] }
[factor.mood]
value = { normal = [1, 1] }
[unit.company]
[unit.team]
parent = "company"
[cell."team/sales"]
baseline = 100
max_stretch = 50
[goal.sales]
target = 120
[uncertainty]
execution = { uniform = [0.5, 1.0] }
common = 0.36
[correlation]
"factor.market ~ factor.rates" = 0.8
"factor.market ~ factor.mood.value" = -0.6
"factor.rates ~ factor.mood" = -0.3
"""


@pytest.fixture
def correlated(tmp_path: Path) -> Path:
    (tmp_path / "model.toml").write_text(CORRELATED, "utf-8")
    return tmp_path / "model.toml"


def test_learning_one_value_tells_about_those_it_goes_with(correlated: Path) -> None:
    told = learn(load_scenario(correlated), Finding("factor.market", 3.0, np.array([1.5])))
    quantities = quantities_of(told)
    assert quantities["factor.market"].mean == 3.0
    assert quantities["factor.rates"].mean == pytest.approx(5.0 + 3.0 * 0.8 * 1.5)
    assert quantities["factor.rates"].standard_deviation == pytest.approx(3.0 * 0.6, rel=0.01)
    assert quantities["factor.mood"].mean == pytest.approx(1.0 - 0.6 * 1.5)
    left = (-0.3 + 0.8 * 0.6) / (0.6 * 0.8)
    assert told.correlation == {("factor.mood", "factor.rates"): pytest.approx(left)}


def test_learning_is_what_selecting_draws_shows(correlated: Path) -> None:
    """Sales in those of many draws in which the market comes near to 3, against draws of the scenario that knows it."""
    scenario = load_scenario(correlated)
    told = learn(scenario, Finding("factor.market", 3.0, np.array([1.5])))
    draws = CommonDraws(SimulationSettings(draws=1 << 17, seed=1))

    def sales(which: Scenario) -> tuple[np.ndarray, np.ndarray]:
        graph = build_graph(which)
        plan = Propagation(graph, np.array([20.0]), np.empty(0))
        market, node = int(np.flatnonzero(graph.factor == 0)[0]), graph.find_node("sales", 0)
        return (
            draws.collect(plan, lambda block: block.delta[market].copy()),
            draws.collect(plan, lambda block: block.delta[node].copy()),
        )

    market, all_sales = sales(scenario)
    chosen = all_sales[np.abs(market - 3.0) < 0.05]
    _, known = sales(told)
    assert known.mean() == pytest.approx(chosen.mean(), abs=0.2)
    assert known.std() == pytest.approx(chosen.std(), rel=0.05)


def test_the_common_part_of_execution_can_be_learnt(correlated: Path) -> None:
    """36 % of the variance of the score is common: at the score 1 its mean is that of a score of mean 0.6, sd 0.8."""
    scenario = load_scenario(correlated)
    assert learnable(scenario, ["factor.mood", "uncertainty.execution"]) == ("factor.mood", "uncertainty.execution")
    told = learn(scenario, Finding("uncertainty.execution", 1.0, np.array([1.0])))
    exact = 0.5 + 0.5 * 0.5 * math.erfc(-0.6 / math.sqrt(1.0 + 0.64) / math.sqrt(2.0))
    assert told.uncertainty.execution[0].mean == pytest.approx(exact, abs=1e-3)
    assert told.uncertainty.common["organization"] == pytest.approx(0.0)


def test_execution_of_single_cells_cannot_be_learnt() -> None:
    scenario = load_scenario(HAND_SOLVED, overrides=['uncertainty.execution="0.8 to 1.1"'])
    assert learnable(scenario, [VISITS, "uncertainty.execution"]) == (VISITS,)


def test_nobody_pays_for_what_can_be_kept() -> None:
    names = ["kpi.retention.drivers.satisfaction", "factor.winter"]
    for found in worth_of(SCENARIOS / "scorecard.toml", "odds:retention", *names):
        assert found.worth.estimate >= max(0.0, found.replanning.estimate) - 1e-12
        assert 0.0 <= found.worth.low <= found.worth.estimate <= found.worth.high


def test_a_quantity_that_reaches_no_goal_is_worth_nothing() -> None:
    (found,) = worth_of(SCENARIOS / "scorecard.toml", "odds:cash_days", "factor.winter")
    assert found.worth.estimate == 0.0


def test_everything_at_once_is_worth_what_the_only_quantity_is() -> None:
    scenario = replace(load_scenario(HAND_SOLVED), simulation=SETTINGS)
    outcome, draws, family = parse_outcome(scenario, "odds:sales"), CommonDraws(SETTINGS), PlanFamily(scenario)
    found = value_everything(family, outcome, draws)
    assert found.worth.low <= 0.443 <= found.worth.high
    assert found.worth.estimate == pytest.approx(0.443, abs=0.1)
    (single,) = value_information(family, outcome, [VISITS], draws)
    both = value_everything(family, outcome, draws, [single])
    assert both.worth.estimate >= single.worth.estimate and both.worth.low >= single.worth.low
