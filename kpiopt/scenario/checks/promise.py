"""Odds promised of a scenario that is read already: what its file would be refused or warned for with them."""

from __future__ import annotations

from dataclasses import replace

from kpiopt.errors import ModelError, Problem
from kpiopt.scenario.checks.robust import not_with_robust
from kpiopt.scenario.curve import NO_ODDS, WITHOUT_PROMISE
from kpiopt.scenario.resolve.plan import without_effect
from kpiopt.scenario.scenario import Scenario


def require_promise(scenario: Scenario) -> Scenario:
    """Return a scenario whose plan can promise the odds of all goals that it names, warned where that changes nothing.

    Raises
    ------
    ModelError
        `E-robust`, `E-curve-odds`
    """
    problems = not_with_robust(scenario) if scenario.decide.robust else []
    if scenario.curved:
        message = f"odds.p_min asks the plan for odds, and {scenario.curved[0]} is a curve"
        fix = f"leave the promise out; {WITHOUT_PROMISE}, or write a contribution in place of the curve"
        problems.append(Problem("E-curve-odds", message, NO_ODDS, fix))
    if problems:
        raise ModelError(*problems)
    idle = without_effect("goals" in scenario.decide.order, bool(scenario.goals))
    return scenario if idle is None else replace(scenario, warnings=(*scenario.warnings, idle))
