"""What holds the plan back, in sentences: limits that are used up, and what a little more of each would be worth."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kpiopt.program.prices import LimitResult
from kpiopt.report.numbers import amount, percent, round_amount
from kpiopt.runs.run import GoalResult, Run
from kpiopt.scenario.scenario import Scenario


def price_sentences(run: Run) -> list[str]:
    """Return one sentence for each limit with a shadow price, the most valuable first."""
    priced = [limit for limit in run.limits if limit.binding and limit.shadow_price]
    order = {step.label: i for i, step in enumerate(run.solution.steps)}
    priced.sort(key=lambda x: (order.get(x.step or "", len(order)), -(x.shadow_price or 0.0) * abs(x.limit), x.name))
    return [_sentence(run, limit) for limit in priced]


def used_up(run: Run) -> list[str]:
    """Return the names of limits that are used up without a price at the margin."""
    return [limit_name(run.scenario, x) for x in run.limits if x.binding and not x.shadow_price]


def limit_name(scenario: Scenario, limit: LimitResult) -> str:
    """Return a limit's name for a planner: "hours of Team North", "cash budget"."""
    kind, _, rest = limit.name.partition(".")
    if kind == "budget":
        return f"{rest} budget"
    unit = rest.rpartition("@")[2]
    return f"{limit.resource} of {scenario.units.names[scenario.units.position[unit]]}"


def limit_unit(scenario: Scenario, limit: LimitResult) -> str:
    """Return what a limit is counted in: the currency for pay, else the resource."""
    return (scenario.currency or "units") if limit.resource == "pay" else limit.resource


def _sentence(run: Run, limit: LimitResult) -> str:
    unit = limit_unit(run.scenario, limit)
    more = round_amount(abs(limit.limit))
    worth = _worth(run, limit, more * (limit.shadow_price or 0.0))
    holds = "".join(_range(limit))
    name = limit_name(run.scenario, limit)
    return f"{name} ({amount(limit.limit, unit)}, used up): {amount(more)} more {worth}{holds}."


def _worth(run: Run, limit: LimitResult, gain: float) -> str:
    """Say what a step's improvement by `gain` means."""
    step = limit.step or ""
    if step == "cost":
        return f"would save {amount(gain, run.scenario.currency)} of cost"
    if step == "fairness":
        return f"would lower the largest relative stretch of peers by {percent(gain, 3)}"
    short = [g for g in run.goals if g.shortfall > 0 and step in ("goals", f"goals {g.goal.priority}")]
    if len(short) == 1:
        kpi = run.scenario.kpis[short[0].goal.kpi]
        closer = gain * _scale(short[0]) / short[0].goal.weight
        return f"would bring {kpi.name} {amount(closer, kpi.unit)} closer to its target"
    return f"would lower the weighted shortfall of {step} by {percent(gain, 3)}"


def _scale(result: GoalResult) -> float:
    """What a goal's shortfall is measured by: its distance from the baseline, else its size, else 1."""
    return abs(result.target - result.baseline) or abs(result.target) or 1.0


def _range(limit: LimitResult) -> Iterator[str]:
    """Say in which range of the limit its price holds, as far as it is known."""
    if limit.lower is not None and math.isfinite(limit.lower):
        yield f"; holds from {amount(limit.lower)}"
    if limit.upper is not None and math.isfinite(limit.upper):
        yield f" up to {amount(limit.upper)}"
