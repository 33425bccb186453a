"""Studies that do not understand one plan for several variants say so."""

from __future__ import annotations

from kpiopt.errors import Problem, UsageError
from kpiopt.scenario.scenario import Scenario


def refuse_robust(scenario: Scenario, what: str) -> None:
    """Refuse a scenario whose plan is judged in variants: what is asked would say nothing about these.

    Raises
    ------
    UsageError
        `E-robust-study`
    """
    if scenario.decide.robust:
        rule = "odds are those of the scenario alone; promises in it would say nothing about its variants"
        fix = "ask it of the scenario without `robust`, or of each variant: --variant NAME"
        raise UsageError(Problem("E-robust-study", f"{what} does not understand [decide] robust", rule, fix))
