"""The plan of a rule in words: beside an optimal plan in one line, and by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.plan.limit_names import limit_words
from kpiopt.report.grid import Grid, capital, heading, indented
from kpiopt.report.limits import over_budget_lines
from kpiopt.report.numbers import amount, change_of_target, goal_amounts, percent, target_step
from kpiopt.run.run import BrokenLimit, JudgedPlan, Run
from kpiopt.scenario.scenario import Scenario
from kpiopt.simulation.odds import Estimate

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_BROKEN = 3
SHOWN_TARGETS = 20


def beside_lines(run: Run) -> Iterator[str]:
    """Say how the plans of rules do, from the draws of the run."""
    for judged in run.rules:
        yield f"Beside {_named(judged.label)}: {_measures(judged)}."


def _named(label: str) -> str:
    """Return a rule with its article."""
    return {"proportional": "a proportional split", "even": "an even split"}.get(label, f"the plan {label}")


def _measures(judged: JudgedPlan) -> str:
    met, count = sum(goal.met for goal in judged.goals), len(judged.goals)
    together = judged.simulation.all_goals if judged.simulation else None
    odds = [_odds_words(together, count)] if together else []
    pay = [f"pay {amount(judged.spending.pay, judged.scenario.currency)}"] if judged.spending.pay else []
    broken = broken_words(judged.scenario, judged.broken)
    return ", ".join([f"{met} of {count} goals met on average", *odds, *pay, broken])


def _odds_words(together: Estimate, count: int) -> str:
    if together.is_certain:
        return "for certain" if together.estimate else f"never {'all of them' if count > 1 else 'in any draw'}"
    return f"odds {'of all ' if count > 1 else ''}{together.text}"


def broken_words(scenario: Scenario, broken: Sequence[BrokenLimit]) -> str:
    """Say how many limits are not kept, and name the first."""
    if not broken:
        return "no limit broken"
    names = [limit_words(scenario, limit.name) for limit in broken[:SHOWN_BROKEN]]
    named = ("; " if any(", " in name for name in names) else ", ").join(names)
    named += " …" if len(broken) > SHOWN_BROKEN else ""
    return f"{len(broken):,} {'limit' if len(broken) == 1 else 'limits'} broken ({named})"


def render_judged(judged: JudgedPlan) -> Group:
    """Lay out a plan that a rule or a person made, with its odds, its pay and what it breaks."""
    title = f"{judged.scenario.name}: {_named(judged.label)} as it would turn out"
    return Group(
        Text(printable(title), style="bold yellow" if judged.broken else "bold"),
        indented(f"Not certified: no program chose this plan. {capital(_measures(judged))}."),
        *(indented(f"{capital(note.message)}.") for note in judged.notes),
        *_goals(judged),
        *_broken(judged),
        *_costs(judged),
        *_targets(judged),
    )


def _goals(judged: JudgedPlan) -> Iterator[RenderableType]:
    if not judged.goals:
        return
    yield heading("Goals")
    grid = Grid(("goal", "baseline", "target", "plan", "short by", "odds"))
    for i, goal in enumerate(judged.goals):
        kpi = judged.scenario.kpis[goal.goal.kpi]
        target, plan, missing, baseline = goal_amounts(kpi, goal.target, goal.plan, goal.baseline)
        odds = judged.simulation.goals[i].odds.text if judged.simulation else ""
        grid.add(goal.goal.id, baseline, target, plan, "met" if goal.met else missing, odds)
    yield grid


def _broken(judged: JudgedPlan) -> Iterator[RenderableType]:
    if not judged.broken:
        return
    yield heading("Limits that it breaks")
    grid = Grid(("limit", "is", "asked"))
    for limit in judged.broken[:SHOWN_TARGETS]:
        grid.add(limit_words(judged.scenario, limit.name), amount(limit.limit), amount(limit.used))
    yield grid
    if len(judged.broken) > SHOWN_TARGETS:
        yield indented(f"… and {len(judged.broken) - SHOWN_TARGETS:,} more; all are in --json.")


def _costs(judged: JudgedPlan) -> Iterator[RenderableType]:
    """Pay and fairness."""
    currency, pay = judged.scenario.currency, judged.simulation.pay if judged.simulation else None
    yield heading("What it costs")
    limit = judged.spending.pay_limit
    budget = "" if limit is None else f" of a budget of {amount(limit, currency)}"
    yield indented(f"Pay at plan: {amount(judged.spending.pay, currency)}{budget}.")
    yield from (indented(text) for text in over_budget_lines(judged.scenario, pay.over if pay else {}))
    fairness = "" if judged.fairness is None else f"; over the groups of peers {percent(judged.fairness)}"
    yield indented(f"Largest stretch, relative to baseline: {percent(judged.worst_stretch)}{fairness}.")


def _targets(judged: JudgedPlan) -> Iterator[RenderableType]:
    """The targets that the rule moves, in the order of the units."""
    plan, graph, scenario = judged.plan, judged.graph, judged.scenario
    moved = [n for n in plan.nodes.tolist() if not np.isclose(plan.target[n], graph.baseline[n], rtol=1e-12, atol=0)]
    if not moved:
        return
    yield heading("Targets")
    kpis, period = list(scenario.kpis.values()), ("period",) if scenario.periods is not None else ()
    grid = Grid(("unit", "KPI", *period, "baseline", "target", "change"), left=2 + len(period))
    for node in moved[:SHOWN_TARGETS]:
        here = [scenario.period_name(int(graph.period[node])) or "in all" for _ in period]
        kpi, baseline, target = kpis[graph.kpi[node]], float(graph.baseline[node]), float(plan.target[node])
        step = target_step(kpi, target)
        grid.add(
            scenario.units.names[graph.unit[node]], kpi.name, *here, amount(baseline, "", step),
            amount(target, kpi.unit, step), change_of_target(target, baseline, kpi.unit, step),
        )  # fmt: skip
    yield grid
    if len(moved) > SHOWN_TARGETS:
        yield indented(f"… and {len(moved) - SHOWN_TARGETS:,} more; all are in --json.")
