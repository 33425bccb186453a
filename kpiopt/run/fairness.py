"""How alike peers are treated in a plan, and what the plan would be without that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kpiopt.plan import Plan, build_plan
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.objectives import cost_objective
from kpiopt.program.trust.arrays import Floats, dot
from kpiopt.run.asks import FairnessResult, PeersCompared, WithoutFairness
from kpiopt.run.judge import goal_results
from kpiopt.run.promised import promise_results
from kpiopt.scenario.scenario import Fairness, Scenario
from kpiopt.simulation.results import Simulation

CELLS_PRICED = 20_000
"""Cells up to which one more plan is made without being asked for twice."""


def compare_peers(cascade: Cascade, plan: Plan) -> FairnessResult:
    """Return what is compared of each group of peers, the largest group value first where groups are as written."""
    compared, columns = cascade.columns.compared, cascade.columns
    values = compared.values(plan.stretch[columns.stretch_cell], plan.levels)
    largest = np.full(len(compared.count), -np.inf)
    np.maximum.at(largest, compared.group, values)
    mean = np.bincount(compared.group, values, len(compared.count)) / np.maximum(compared.count, 1)
    rows = zip(compared.names, compared.count.tolist(), largest.tolist(), mean.tolist(), strict=True)
    return FairnessResult(columns.scenario.fairness.measure, tuple(PeersCompared(*row) for row in rows))


def is_priced(scenario: Scenario) -> bool:
    """Whether it is told what the plan would be without fairness."""
    settings = scenario.fairness
    acts = "fairness" in scenario.decide.order or settings.band is not None
    return settings.price and acts and len(scenario.cells) <= CELLS_PRICED


def without_fairness(scenario: Scenario) -> Scenario:
    """Return a scenario that does not compare peers; its guardrails stay."""
    order = tuple(step for step in scenario.decide.order if step != "fairness")
    return replace(scenario, decide=replace(scenario.decide, order=order), fairness=Fairness())


def judge_without(
    cascade: Cascade, x: Floats, plan: Plan, without: Cascade, other: Floats, draw: Callable[[Plan], Simulation] | None
) -> WithoutFairness:
    """Return how the plan without fairness does beside the plan with it.

    Parameters
    ----------
    cascade, x, plan : Cascade, (n,) float, Plan
        With fairness: its program, its solution and what that means.
    without, other : Cascade, (n,) float
        The program without fairness and its solution.
    draw : callable, optional
        Estimates the odds of a plan.
    """
    columns = without.columns
    free = build_plan(without.graph, columns.stretch_of_cells(other), columns.level.of(other))
    free = replace(free, graph=plan.graph)
    found = goal_results(free, promise_results(without, free.stretch, free.levels))
    simulation = draw(free) if draw else None
    odds = [g.odds.as_dict() for g in simulation.goals] if simulation else [None] * len(found)
    goals = tuple(
        {"goal": g.goal.id, "plan": g.plan, "shortfall": g.shortfall, "met": g.met, "odds": o}
        for g, o in zip(found, odds, strict=True)
    )
    return WithoutFairness(
        goals, _cost(without, other), _cost(cascade, x), simulation.all_goals if simulation else None
    )


def _cost(cascade: Cascade, x: Floats) -> float:
    """Value of the step `cost`, whether or not it is in the order."""
    (objective,) = cost_objective(cascade.columns, cascade.program.n_columns)
    return dot(objective.cost, x[: cascade.program.n_columns]) + objective.offset
