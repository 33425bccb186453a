"""Value of information where it can be worked out, and its properties elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpiopt.analysis.common_draws import CommonDraws
from kpiopt.analysis.information import QUANTILES, Information, value_everything, value_information
from kpiopt.analysis.moves import Inputs
from kpiopt.analysis.outcome import parse_outcome
from kpiopt.analysis.replanning import Replanner
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import SimulationSettings

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SETTINGS = SimulationSettings(draws=1024, seed=3)


def worth_of(path: Path, output: str, *names: str) -> tuple[Information, ...]:
    scenario = replace(load_scenario(path), simulation=SETTINGS)
    outcome = parse_outcome(scenario, output)
    return value_information(Replanner(scenario), Inputs(scenario), outcome, names, CommonDraws(SETTINGS))


def test_knowing_the_only_unknown_makes_the_goal_certain() -> None:
    """Once the worth of a visit is known, a plan that meets the goal can be made; without, that happens in the upper
    half of its values, and rounding helps a little: the quantile just below the middle is 25 % and 42 %."""
    (found,) = worth_of(SCENARIOS / "hand-solved.toml", "odds:sales", "kpi.sales.drivers.visits")
    assert found.worth.estimate == pytest.approx(0.5)
    assert found.values == QUANTILES and found.without_plan == 0


def test_shortfall_avoided_is_the_mean_over_the_bad_half() -> None:
    """Sales miss by 17.5 x (100 - v) where v is below 100, less nothing: all of it is avoided by visits."""
    (found,) = worth_of(SCENARIOS / "hand-solved.toml", "shortfall:sales", "kpi.sales.drivers.visits")
    scenario = load_scenario(SCENARIOS / "hand-solved.toml")
    quantity = next(d.contribution for d in scenario.kpis["sales"].drivers if d.cause == "visits")
    values = quantity.quantile((np.arange(QUANTILES) + 0.5) / QUANTILES)
    assert found.worth.estimate == pytest.approx(17.5 * np.maximum(100.0 - values, 0.0).mean(), rel=1e-9)
    assert found.worth.low == found.worth.high


def test_nobody_pays_for_what_can_be_kept() -> None:
    names = ["kpi.retention.drivers.satisfaction", "factor.winter"]
    for found in worth_of(SCENARIOS / "scorecard.toml", "odds:retention", *names):
        assert found.worth.estimate >= max(0.0, found.replanning.estimate) - 1e-12
        assert found.worth.low <= found.worth.estimate <= found.worth.high


def test_a_quantity_that_reaches_no_goal_is_worth_nothing() -> None:
    (found,) = worth_of(SCENARIOS / "scorecard.toml", "odds:cash_days", "factor.winter")
    assert found.worth.estimate == 0.0


def test_everything_at_once_is_worth_what_the_only_quantity_is() -> None:
    path = SCENARIOS / "hand-solved.toml"
    scenario = replace(load_scenario(path), simulation=SETTINGS)
    found = value_everything(Replanner(scenario), parse_outcome(scenario, "odds:sales"), CommonDraws(SETTINGS))
    assert found.worth.low <= 0.5 <= found.worth.high
    assert found.worth.estimate == pytest.approx(0.5, abs=0.13)
