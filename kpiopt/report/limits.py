"""What holds the plan back and what it runs, in words: limits and what more of each is worth; chosen initiatives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.program.order.prices import LimitResult
from kpiopt.report.numbers import amount, change, round_amount
from kpiopt.run.initiatives import contributions
from kpiopt.run.run import GoalResult, Run
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Floats, Kpi, Scenario

SHOWN_INITIATIVES = 8
SHOWN_ADDED = 3


@dataclass(frozen=True)
class PricedLimit:
    """A limit with a shadow price, in a planner's words.

    Attributes
    ----------
    name : str
        "hours of Team North".
    limit : str
        What it is now, with its unit.
    more : str
        The addition that is priced, "+1" or "+1,000".
    worth : str
        What the addition would do: "210 USD less cost".
    holds : str
        The range of the limit in which that is so.
    """

    name: str
    limit: str
    more: str
    worth: str
    holds: str


def priced_limits(run: Run) -> list[PricedLimit]:
    """Return the limits of which more is worth something, those of earlier steps first, then the most valuable."""
    priced = [limit for limit in run.limits if _more_is_worth(limit)]
    order = {step.label: i for i, step in enumerate(run.solution.steps)}
    value = {limit.name: float(f"{(limit.shadow_price or 0.0) * abs(limit.limit):.6g}") for limit in priced}
    priced.sort(key=lambda x: (order.get(x.step or "", len(order)), -value[x.name], x.name))
    return [_in_words(run, limit) for limit in priced]


def used_up(run: Run) -> list[str]:
    """Return the names of limits that are used up while more of them is known to be worth nothing."""
    idle = [x for x in run.limits if x.binding and not _more_is_worth(x)]
    idle = [x for x in idle if not _has_no_price(x)]
    return [limit_name(run.scenario, x) for x in idle if x.next_more is None or not x.next_more.step]


def without_price(run: Run) -> list[str]:
    """Return the names of limits that bind and whose price is not computed: rules, and further whole numbers."""
    return [limit_name(run.scenario, x) for x in run.limits if x.binding and _has_no_price(x)]


def _has_no_price(limit: LimitResult) -> bool:
    """Whether neither side has a price, also none of 0."""
    return limit.price_less is None and limit.price_more is None and not limit.shadow_price and limit.next_more is None


def next_steps(run: Run) -> list[str]:
    """Return sentences on limits that whole numbers use up: what the next step down and up would bring."""
    return [text for limit in run.limits for text in _next_in_words(run, limit)]


def _next_in_words(run: Run, limit: LimitResult) -> Iterator[str]:
    name = limit_name(run.scenario, limit)
    for step, word in ((limit.next_less, "less"), (limit.next_more, "more")):
        if step is None or (step.has_plan and step.step is None):
            continue
        moved = f"{name}: {amount(abs(step.limit - limit.limit))} {word} ({amount(step.limit)})"
        if not step.has_plan:
            yield f"{moved} would leave no plan."
        elif step.change > 0.0:
            yield f"{moved} would mean {_loss(run, step.step or '', step.change)}, with other levels of initiatives."
        else:
            gain = _worth(run, replace(limit, step=step.step), -step.change)
            yield f"{moved} would bring {gain}, with other levels of initiatives."


def _more_is_worth(limit: LimitResult) -> bool:
    return bool(limit.binding and limit.shadow_price and limit.price_more != 0.0)


def prices_of_less(run: Run) -> list[str]:
    """Return a sentence for each limit of which less would cost something else than more would bring."""
    return [_less_in_words(run, limit) for limit in run.limits if limit.binding and _has_two_prices(limit)]


def _has_two_prices(limit: LimitResult) -> bool:
    if not limit.price_less or (math.isinf(limit.price_less) and limit.next_less is not None):
        return False
    return limit.step_less != limit.step_more or not math.isclose(limit.price_less, limit.price_more or 0.0)


def _less_in_words(run: Run, limit: LimitResult) -> str:
    name, price = limit_name(run.scenario, limit), limit.price_less or 0.0
    if math.isinf(price):
        return f"{name}: with less of it there is no plan."
    move = round_amount(abs(limit.limit))
    loss = _loss(run, limit.step_less or "", move * price)
    return f"{name}: {amount(move)} less would mean {loss}."


def limit_name(scenario: Scenario, limit: LimitResult) -> str:
    """Return a limit's name for a planner: "hours of Team North", "cash budget", "rule academies_north"."""
    name, when = split_period(scenario.periods, limit.name)
    kind, _, rest = name.partition(".")
    if kind == "budget":
        return f"{rest} budget{when}"
    if kind == "rules":
        return f"rule {rest}{when}"
    unit = rest.rpartition("@")[2]
    return f"{limit.resource} of {scenario.units.names[scenario.units.position[unit]]}{when}"


def limit_unit(scenario: Scenario, limit: LimitResult) -> str:
    """Return what a limit is counted in: the currency for pay, else the resource."""
    return (scenario.currency or "units") if limit.resource == "pay" else limit.resource


def _in_words(run: Run, limit: LimitResult) -> PricedLimit:
    more = round_amount(abs(limit.limit))
    return PricedLimit(
        limit_name(run.scenario, limit),
        amount(limit.limit, limit_unit(run.scenario, limit)),
        change(more),
        _worth(run, limit, more * (limit.shadow_price or 0.0)),
        f"{_side(limit.lower)} to {_side(limit.upper)}",
    )


def _worth(run: Run, limit: LimitResult, gain: float) -> str:
    """Say what a step's improvement by `gain` means."""
    step = limit.step or ""
    if step == "cost":
        return f"{amount(gain, run.scenario.currency)} less cost"
    if step == "fairness":
        return f"average of the peer groups' largest stretches {_points(gain)} lower"
    if step == "maximize":
        return f"weighted goal value {amount(gain)} higher"
    short = [g for g in run.goals if not g.met and step in ("goals", f"goals {g.goal.priority}")]
    if len(short) == 1:
        kpi = run.scenario.kpis[short[0].goal.kpi]
        closer = gain * _scale(short[0]) / short[0].goal.weight
        return f"{kpi.name} {amount(closer, kpi.unit)} closer to its target"
    return f"shortfall of {_goals_of(step)} {_points(gain)} lower"


def _loss(run: Run, step: str, loss: float) -> str:
    """Say what a step's worsening by `loss` means."""
    if step == "cost":
        return f"{amount(loss, run.scenario.currency)} more cost"
    if step == "fairness":
        return f"average of the peer groups' largest stretches {_points(loss)} higher"
    if step == "maximize":
        return f"weighted goal value {amount(loss)} lower"
    goals = [g for g in run.goals if not g.goal.hard and step in ("goals", f"goals {g.goal.priority}")]
    if len(goals) == 1:
        kpi = run.scenario.kpis[goals[0].goal.kpi]
        return f"{kpi.name} {amount(loss * _scale(goals[0]) / goals[0].goal.weight, kpi.unit)} further from its target"
    return f"shortfall of {_goals_of(step)} {_points(loss)} higher"


def _goals_of(step: str) -> str:
    """Return what a step's goals are called: "goals 2" are the goals of priority 2."""
    kind, _, priority = step.partition(" ")
    return f"the goals of priority {priority}" if kind == "goals" and priority else f"the {step}"


def _points(share: float) -> str:
    return f"{amount(100 * share)} percentage points"


def _scale(result: GoalResult) -> float:
    """What a goal's shortfall is measured by: its distance from the baseline, else its size, else 1."""
    return abs(result.target - result.baseline) or abs(result.target) or 1.0


def _side(value: float | None) -> str:
    return amount(value) if value is not None and math.isfinite(value) else "any"


def locked_text(run: Run, cell: int, kpi: Kpi) -> str:
    """Return the target of a locked cell; where its stretch is locked and causes add to it, both of these too."""
    target = float(run.plan.target[run.graph.whole_node[cell]])
    text, cells = amount(target, kpi.unit, kpi.step), run.scenario.horizon
    own = float(kpi.sign * run.plan.whole_stretch[cell])
    caused = target - float(cells.baseline[cell]) - own
    if not math.isnan(cells.fixed_target[cell]) or abs(caused) <= max(0.5 * (kpi.step or 0.0), 1e-9 * abs(target)):
        return text
    added = f"{change(caused, kpi.unit, kpi.step)} from what drives it"
    return f"a stretch of {change(own, kpi.unit, kpi.step)}; with {added} the target is {text}"


def initiative_lines(run: Run) -> Iterator[str]:
    """Say which initiatives are chosen, where and when, what they use and what they add to the first goals."""
    graph, scenario = run.graph, run.scenario
    initiatives = list(scenario.initiatives.values())
    levels = run.plan.levels
    chosen = np.flatnonzero(levels > 1e-9)
    if not initiatives:
        return
    if not len(chosen):
        yield "No initiative is chosen."
        return
    cost, pay = amount(run.spending.initiatives, scenario.currency), float(use_of_levels(graph, levels, "pay").sum())
    paid = f", and {amount(pay, scenario.currency)} that is counted in pay" if pay else ""
    yield f"Initiatives: {len(chosen):,} of {len(levels):,} are chosen, for {cost}{paid}."
    chosen = chosen[scenario.units.order_in_file(graph.level_unit[chosen])]
    chosen = chosen[np.argsort(graph.level_initiative[chosen], kind="stable")]
    goals = {g.id: graph.goal_node(g) for g in list(scenario.goals.values())[:SHOWN_ADDED]}
    added = contributions(graph, levels, goals)
    for i in chosen[:SHOWN_INITIATIVES].tolist():
        initiative, unit = initiatives[graph.level_initiative[i]], scenario.units.names[graph.level_unit[i]]
        uses = ", ".join(
            _use(scenario, resource, float(use_of_levels(graph, levels, resource)[i]))
            for resource in initiative.resources
        )
        start = scenario.period_name(int(graph.level_start[i]))
        begun = "" if start is None else f", begun in {start}"
        level = f"{amount(float(levels[i]))} of {amount(initiative.maximum)}"
        yield f"  {initiative.name} at {unit}{begun}: {level} ({uses}){_added(scenario, added, i)}"
    if len(chosen) > SHOWN_INITIATIVES:
        yield f"  … and {len(chosen) - SHOWN_INITIATIVES:,} more"


def _added(scenario: Scenario, added: dict[str, Floats], row: int) -> str:
    """Say what an initiative is expected to change of the first goals' values."""
    kpis = {goal.id: scenario.kpis[goal.kpi] for goal in scenario.goals.values()}
    parts = [f"{change(float(by[row]), kpis[g].unit)} of {kpis[g].name}" for g, by in added.items() if by[row]]
    return f": {', '.join(parts)}" if parts else ""


def _use(scenario: Scenario, resource: str, used: float) -> str:
    """Say how much of a resource is used; of a budget that is money, in the currency."""
    is_money = any(budget.resource == resource and budget.money for budget in scenario.budgets.values())
    return f"{amount(used, scenario.currency)} of {resource}" if is_money else amount(used, resource)
