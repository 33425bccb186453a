"""What a sensitivity study looks at: odds, goal shortfall, pay, or a KPI of a plan, under given assumptions.

Odds and pay come from draws: odds as the share of draws that hit, pay as its mean. Shortfall and KPIs are those of the
plan, that is, of what is expected; they are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph
from kpiopt.program.formulation.columns import scale_of_goals
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation.certainty import varying_nodes
from kpiopt.simulation.hits import goal_rule
from kpiopt.simulation.odds import Estimate, estimate_difference, estimate_mean, judge_odds
from kpiopt.simulation.payout import build_payout
from kpiopt.simulation.propagate import Block, Propagation
from kpiopt.studies.common_draws import CommonDraws

KINDS = ("odds", "shortfall", "pay", "kpi")


@dataclass(frozen=True)
class Outcome:
    """The number that a study is about.

    Attributes
    ----------
    kind : str
        "odds", "shortfall", "pay" or "kpi".
    name : str
        Goal or KPI; empty for all goals together and for pay.
    unit : int
        Position of the unit whose KPI is meant.
    label : str
        What it is in a planner's words.
    measure : str
        Unit of measure; empty for odds and for the shortfall of all goals.
    better : int
        +1 where more is better, -1 where less is.
    """

    kind: str
    name: str
    unit: int
    label: str
    measure: str
    better: int

    @property
    def is_drawn(self) -> bool:
        """Whether it comes from draws."""
        return self.kind in ("odds", "pay")

    @property
    def text(self) -> str:
        """The outcome as it was asked for."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


class Decisions(Protocol):
    """What was decided: a plan, or a solution that can be asked for its targets."""

    @property
    def stretch(self) -> Floats:
        """Stretch of every cell, (n_cells,) float."""

    @property
    def levels(self) -> Floats:
        """Levels of initiatives, (n_levels,) float."""

    @property
    def target(self) -> Floats:
        """Published targets, (n_nodes,) float."""


@dataclass(frozen=True)
class Measured:
    """An outcome's value.

    Attributes
    ----------
    estimate : Estimate
        With its interval; of width 0 for what is exact.
    sample : (n_replicates, size) float or bool, or None
        The values of the draws behind it, to be paired with others.
    """

    estimate: Estimate
    sample: Floats | None = None

    @property
    def value(self) -> float:
        """The value itself."""
        return self.estimate.estimate


def parse_outcome(scenario: Scenario, text: str) -> Outcome:
    """Read an outcome as "odds", "odds:GOAL", "shortfall", "shortfall:GOAL", "pay" or "kpi:KPI[@UNIT]".

    Raises
    ------
    UsageError
        Where there is no such outcome in the scenario.
    """
    kind, _, name = text.partition(":")
    if kind == "pay" and not name:
        if not earns_pay(scenario):
            raise UsageError(Problem("E-sensitivity-output", "nobody earns variable pay in this scenario"))
        return Outcome("pay", "", 0, "pay, on average", scenario.currency, -1)
    if kind == "kpi" and name:
        return _kpi_outcome(scenario, name)
    if kind not in ("odds", "shortfall") or (kind == "odds" and not scenario.goals):
        fix = "write odds, odds:GOAL, shortfall, shortfall:GOAL, pay or kpi:KPI"
        raise UsageError(Problem("E-sensitivity-output", f"there is no output {text!r} here", fix=fix))
    if not name:
        label = (
            "odds of all goals" if kind == "odds" else "shortfall of all goals, weighted, as a share of what they ask"
        )
        return Outcome(kind, "", 0, label, "", 1 if kind == "odds" else -1)
    if name not in scenario.goals:
        raise _no_such("goal", name, scenario.goals)
    goal = scenario.goals[name]
    kpi = scenario.kpis[goal.kpi]
    label, measure = (
        f"{'odds' if kind == 'odds' else 'shortfall'} of {kpi.name}",
        kpi.unit if kind == "shortfall" else "",
    )
    return Outcome(kind, name, goal.unit, label, measure, 1 if kind == "odds" else -1)


def earns_pay(scenario: Scenario) -> bool:
    """Whether anybody has a target incentive or a pay rate, or an initiative uses pay."""
    paid = scenario.units.target_incentive, scenario.cells.pay_rate
    uses = any(
        initiative.uses.get("pay", 0.0) or initiative.setup.get("pay", 0.0)
        for initiative in scenario.initiatives.values()
    )
    return uses or any(bool(np.any(np.nan_to_num(values) != 0.0)) for values in paid)


def usual_outcome(scenario: Scenario) -> str:
    """Return what a study is about unless it says so: the odds of all goals, else pay, else the first KPI."""
    if scenario.goals:
        return "odds"
    return "pay" if earns_pay(scenario) else f"kpi:{scenario.kpi_ids[0]}"


def _kpi_outcome(scenario: Scenario, text: str) -> Outcome:
    name, _, unit = text.partition("@")
    if name not in scenario.kpis:
        raise _no_such("KPI", name, scenario.kpis)
    if unit and unit not in scenario.units.position:
        raise _no_such("unit", unit, scenario.units.ids)
    kpi, position = scenario.kpis[name], scenario.units.position[unit] if unit else 0
    where = f" of {scenario.units.names[position]}" if unit else ""
    return Outcome("kpi", name, position, f"plan value of {kpi.name}{where}", kpi.unit, kpi.sign)


def _no_such(what: str, name: str, known: object) -> UsageError:
    ids = list(known)  # type: ignore[call-overload]
    return UsageError(
        Problem("E-sensitivity-output", f"there is no {what} {name!r}", fix=name_the_right_ones(name, ids))
    )


def measure(outcome: Outcome, graph: CausalGraph, plan: Decisions, draws: CommonDraws) -> Measured:
    """Measure an outcome of a plan under the assumptions of a graph.

    Parameters
    ----------
    graph : CausalGraph
        Of the plan's own scenario, or of one that differs in numbers.
    plan : Decisions
        What was decided and published; targets do not move with the assumptions.
    """
    if outcome.kind == "odds":
        sample = draws.collect(Propagation(graph, plan.stretch, plan.levels), hit_rows(outcome, graph))
        hits = np.asarray(sample.sum(axis=1).round(), dtype=np.int64)
        varies = _varies(outcome, graph, plan) if hits.sum() in (0, sample.size) else True
        return Measured(judge_odds(hits, draws.layout.size, varies=varies), sample)
    if outcome.kind == "pay":
        sample = draws.collect(*draw_pay(graph, plan))
        return Measured(mean_of(sample), sample)
    value = expected_value(outcome, graph, plan)
    return Measured(Estimate(value, value, value, "exact"))


def _varies(outcome: Outcome, graph: CausalGraph, plan: Decisions) -> bool:
    """Whether anything uncertain reaches the goals that odds are about."""
    varies = varying_nodes(graph, plan.stretch, plan.levels)
    goals = [g for g in graph.scenario.goals.values() if outcome.name in ("", g.id)]
    return any(bool(varies[graph.goal_node(g)]) for g in goals)


def mean_of(sample: Floats) -> Estimate:
    """Estimate the mean of values of draws (n_replicates, size)."""
    centre = float(sample.mean())
    near = sample - centre
    found = estimate_mean(near.sum(axis=1), np.square(near).sum(axis=1), sample.shape[1])[0]
    return Estimate(found.estimate + centre, found.low + centre, found.high + centre, found.method)


def difference(first: Measured, second: Measured) -> Estimate:
    """Return second - first with its interval, draw by draw where they were drawn."""
    if first.sample is None or second.sample is None:
        change = second.value - first.value
        return Estimate(change, change, change, "exact")
    if set(np.unique(first.sample)) | set(np.unique(second.sample)) <= {0.0, 1.0}:
        return estimate_difference(first.sample > 0.5, second.sample > 0.5)
    return mean_of(second.sample - first.sample)


def hit_rows(outcome: Outcome, graph: CausalGraph) -> Callable[[Block], Floats]:
    """Return what tells hits (1) from misses (0) in a block of draws."""
    rule, goals = goal_rule(graph), list(graph.scenario.goals)
    if not outcome.name:
        return lambda block: np.asarray(rule.hits(block.delta).all(axis=0), dtype=np.float64)
    row = goals.index(outcome.name)
    return lambda block: np.asarray(rule.hits(block.delta)[row], dtype=np.float64)


def draw_pay(graph: CausalGraph, plan: Decisions) -> tuple[Propagation, Callable[[Block], Floats]]:
    """Return the plan to be drawn and total pay as a function of a block of draws."""
    payout = build_payout(graph, plan.stretch, plan.levels, plan.target)
    propagation = Propagation(graph, plan.stretch, plan.levels, kept_cells=payout.rated_cells)
    return propagation, lambda block: np.asarray(payout.pay(block).sum(axis=0))


def require_node(outcome: Outcome, graph: CausalGraph) -> int:
    """Return the node of a KPI outcome.

    Raises
    ------
    UsageError
        Where the KPI has no value at the unit.
    """
    node = graph.find_node(outcome.name, outcome.unit)
    if node < 0:
        message = f"{outcome.name} has no value at {graph.scenario.units.ids[outcome.unit]}"
        raise UsageError(Problem("E-sensitivity-output", message))
    return node


def expected_value(outcome: Outcome, graph: CausalGraph, plan: Decisions) -> float:
    """Return a shortfall or a KPI as expected under the assumptions of a graph."""
    value = graph.baseline + graph.expected_change(plan.stretch, plan.levels)
    if outcome.kind == "kpi":
        return float(value[require_node(outcome, graph)])
    return float(realised_shortfall(outcome, graph, (value - graph.baseline)[:, None])[0])


def realised_shortfall(outcome: Outcome, graph: CausalGraph, delta: Floats) -> Floats:
    """Return the shortfall of a goal in its KPI's unit, or of all goals as a weighted share of what they ask.

    Parameters
    ----------
    delta : (n_nodes, n) float
        Deviations from the baselines.

    Returns
    -------
    (n,) float
    """
    goals = tuple(graph.scenario.goals.values())
    if not goals:
        return np.zeros(delta.shape[1])
    nodes = np.array([graph.goal_node(g) for g in goals], dtype=np.int64)
    target = np.array([g.target for g in goals])
    gap = graph.sign[nodes] * (target - graph.baseline[nodes])
    short = gap[:, None] - graph.sign[nodes, None] * delta[nodes]
    short = np.where(short > 1e-9 * np.maximum(1.0, np.abs(target))[:, None], short, 0.0)
    if outcome.name:
        return np.asarray(short[list(graph.scenario.goals).index(outcome.name)])
    rate = np.array([g.weight for g in goals]) / scale_of_goals(goals, graph.baseline[nodes])
    return np.asarray(rate @ short)
