"""Names of goals as they are shown."""

from __future__ import annotations

from kpiopt.scenario.scenario import Scenario


def goal_kpi(scenario: Scenario, goal: str) -> str:
    """Return the name of a goal's KPI; with the goal's id where another goal is about the same value."""
    wanted = scenario.goals[goal]
    about = [g.id for g in scenario.goals.values() if (g.kpi, g.unit) == (wanted.kpi, wanted.unit)]
    name = scenario.kpis[wanted.kpi].name
    return name if len(about) == 1 else f"{name} ({goal})"
