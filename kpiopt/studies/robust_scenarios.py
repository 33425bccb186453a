"""Studies that do not understand one plan for several variants say so."""

from __future__ import annotations

from kpiopt.errors import Problem, UsageError
from kpiopt.scenario.scenario import Scenario


def refuse_robust(scenario: Scenario, what: str) -> None:
    """Refuse a scenario whose plan is judged in variants: a number moved in it would stay where it is in these.

    Raises
    ------
    UsageError
        `E-robust-study`
    """
    if scenario.decide.robust:
        rule = "a robust plan is solved, simulated, compared, kept and verified; in a study the variants would not move"
        fix = "ask it of the scenario without `robust`, or of each variant: --variant NAME"
        raise UsageError(Problem("E-robust-study", f"{what} does not understand [decide] robust", rule, fix))
