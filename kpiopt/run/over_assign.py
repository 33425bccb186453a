"""Over-assignment in a run: cushions that give a goal its odds, and what they would use beyond a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from kpiopt.errors import Problem, Uncertified
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.plan import Plan
from kpiopt.plan.cushion import with_cushions
from kpiopt.plan.factors import target_factors
from kpiopt.plan.split_rule import leaf_cells
from kpiopt.program.formulation.promises import needed_draws
from kpiopt.program.order.prices import LimitResult
from kpiopt.program.trust.tolerances import is_exceeded
from kpiopt.run.asks import CushionResult
from kpiopt.run.broken import use_of_limits
from kpiopt.scenario.over_assignment import Cushion
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation.planning.margins import is_certain, planning_draws
from kpiopt.simulation.results import Simulation

FINEST = 1000
"""Cushions are found to this part: 0.1 %."""
SHOWN = 5


def over_assign(plan: Plan) -> tuple[Plan, tuple[CushionResult, ...]]:
    """Return a plan with the cushions of its scenario in its targets, and what each of them is.

    Cushions that are found from odds are found one after the other from the top down, those below them at what is
    given.

    Raises
    ------
    Uncertified
        Where no cushion gives a goal its odds.
    """
    settings = plan.graph.scenario.over_assignment
    if not settings.cushions:
        return plan, ()
    shares, found = dict(settings.given), []
    for cushion in settings.cushions:
        planned = None
        if cushion.share is None:
            shares[cushion.level], planned = _smallest(plan, shares, cushion)
        found.append(CushionResult(cushion, shares[cushion.level], planned))
    return with_cushions(plan, shares), tuple(found)


def asked_stretch(plan: Plan, shares: Mapping[str, float] | None = None) -> Floats:
    """Return the stretch that targets with cushions ask of every cell, (n_cells,) float.

    Parameters
    ----------
    shares : mapping of str to float, optional
        By level; those of the plan by default.
    """
    graph, asked = plan.graph, plan.asked
    if shares is None:
        cushioned = asked if plan.cushioned is None else plan.cushioned
    else:
        factor = np.where(asked < 0.0, 1.0, target_factors(graph, shares))
        cushioned = np.where(factor == 1.0, asked, np.clip(asked * factor, *graph.bounds))
    node = graph.cell_node
    more = np.where(leaf_cells(graph), graph.sign[node] * (cushioned - asked)[node], 0.0)
    return plan.stretch + _worked_for(graph, more)


def _worked_for(graph: CausalGraph, more: Floats) -> Floats:
    """Return the stretch that makes cells so much better, (n_cells,) float: of a stock what is not there yet."""
    stretch, periods = more / np.abs(graph.per_stretch), graph.scenario.periods
    if periods is None:
        return stretch
    builds, of = graph.kind[graph.entry_node] == NodeKind.BUILT, graph.scenario.cell_period
    later = np.flatnonzero(builds & (of < len(periods) - 1))
    stretch[later + 1] -= periods.carry[graph.scenario.cells.kpi[later]] * more[later]
    return stretch


def _smallest(plan: Plan, shares: Mapping[str, float], cushion: Cushion) -> tuple[float, float]:
    """Return the smallest share that gives the goal its odds on the planning draws, and these odds."""
    graph = _as_asked(plan, {**shares, cushion.level: 0.5})
    draws, place = planning_draws(graph), list(graph.scenario.goals).index(cushion.goal)

    def hits(steps: int) -> int:
        stretch = asked_stretch(plan, {**shares, cushion.level: steps / FINEST})
        margin = draws.margins(stretch, plan.levels)[[place]]
        margin = margin + (draws.leeway[place] if is_certain(margin)[0] else 0.0)
        return int(np.count_nonzero(margin >= 0.0))

    size = draws.book.layout.draws
    needed = needed_draws(cushion.odds, size)
    low, high = -1, FINEST - 1
    if hits(high) < needed:
        raise Uncertified(_out_of_reach(cushion, hits(0) / size, hits(high) / size))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if hits(middle) >= needed else (middle, high)
    return high / FINEST, hits(high) / size


def _as_asked(plan: Plan, shares: Mapping[str, float]) -> CausalGraph:
    """Return the graph with execution for every cell that a cushion asks something of."""
    graph, cells = plan.graph, plan.graph.scenario.cells
    stretched = asked_stretch(plan, shares) != plan.stretch
    if not np.any(stretched & ~cells.has_decision):
        return graph
    opened = replace(cells, has_decision=cells.has_decision | stretched)
    return replace(graph, scenario=replace(graph.scenario, cells=opened))


def _out_of_reach(cushion: Cushion, now: float, most: float) -> Problem:
    return Problem(
        "E-over-assignment-odds",
        f"no cushion of level '{cushion.level}' gives the goal '{cushion.goal}' odds of {cushion.odds:.4g}: they are "
        f"{now:.1%} without one and {most:.1%} with 99.9 %",
        rule="the smallest cushion is taken that gives the goal these odds",
        fix="lower the odds, or write a share",
    )


def with_fresh_odds(
    found: tuple[CushionResult, ...], plan: Plan, draw: Callable[[Floats], Simulation]
) -> tuple[CushionResult, ...]:
    """Return cushions that were found from odds with these odds from other draws, all cushions in place."""
    if all(result.planned is None for result in found):
        return found
    goals = {g.goal: g.odds for g in draw(asked_stretch(plan)).goals}
    return tuple(r if r.planned is None else replace(r, odds=goals[r.cushion.goal]) for r in found)


def beyond_limits(plan: Plan, limits: tuple[LimitResult, ...]) -> list[Problem]:
    """Say which capacities and budgets what is asked with cushions would use more of than there is."""
    if plan.cushioned is None:
        return []
    before, after = (
        {limit.name: limit.used for limit in use_of_limits(plan.graph, stretch)}
        for stretch in (plan.stretch, asked_stretch(plan))
    )
    over = [
        f"{limit.used + more:,.6g} of {limit.name}, where there are {limit.limit:,.6g}"
        for limit in limits
        if limit.name in after
        for more in (after[limit.name] - before[limit.name],)
        if more > 0.0 and is_exceeded(limit.limit, limit.used + more)
    ]
    if not over:
        return []
    left = f"; and {len(over) - SHOWN:,} limits more" if len(over) > SHOWN else ""
    return [
        Problem(
            "W-over-assignment-use",
            f"to reach the targets with their cushions would take {'; '.join(over[:SHOWN])}{left}",
            rule="a cushion is asked and not planned: limits hold for the plan",
            fix="take a smaller cushion, or know that not all can reach their targets",
        )
    ]
