"""Two solved scenarios side by side: what differs in what was asked, and in what came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kpiopt.analysis.bridge import Bridge, build_bridge
from kpiopt.graph import CausalGraph
from kpiopt.plan import Plan
from kpiopt.program.prices import LimitResult
from kpiopt.scenario.scenario import Goal, Scenario
from kpiopt.simulation import Estimate, Simulation
from kpiopt.simulation.difference import OddsDifference, compare_odds, estimate_change

SAME = 1e-9
"""Targets that differ by less, relative to their size, are the same."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that the planner wrote, and where it stands."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class InputChange:
    """A value that differs; None on the side that does not have it."""

    path: str
    first: Setting | None
    second: Setting | None


@dataclass(frozen=True, slots=True)
class GoalValue:
    """A goal in one plan, in the KPI's unit; `unit` is an id."""

    goal: Goal
    unit: str
    target: float
    plan: float
    shortfall: float


@dataclass(frozen=True)
class Side:
    """A solved scenario, as far as it is compared.

    Attributes
    ----------
    label : str
        What the planner calls it: a file, a variant, a run.
    inputs : mapping of str to Setting
        Final values of the document by path, and those of tables that may differ.
    plan : Plan
    goals : tuple of GoalValue
    limits : tuple of LimitResult
    pay, initiatives : float
        Pay at plan and money for initiatives, in the scenario's currency.
    simulation : Simulation or None
        Drawn with the settings that all sides share.
    """

    label: str
    inputs: Mapping[str, Setting]
    plan: Plan
    goals: tuple[GoalValue, ...]
    limits: tuple[LimitResult, ...]
    pay: float
    initiatives: float
    simulation: Simulation | None

    @property
    def graph(self) -> CausalGraph:
        """The graph of the plan."""
        return self.plan.graph

    @property
    def scenario(self) -> Scenario:
        """The scenario behind the plan."""
        return self.plan.graph.scenario


@dataclass(frozen=True, slots=True)
class GoalChange:
    """A goal on both sides; None on the side that does not have it.

    Attributes
    ----------
    odds : OddsDifference or None
        Paired: from the same draws. None where one side has no odds of this goal.
    """

    goal: str
    first: GoalValue | None
    second: GoalValue | None
    odds: OddsDifference | None


@dataclass(frozen=True, slots=True)
class PayChange:
    """Pay on both sides, in the scenario's currency.

    Attributes
    ----------
    plan : pair of float
        At plan.
    drawn : pair of float, or None
        Mean over the draws.
    difference : Estimate or None
        Mean paired difference, second - first.
    """

    plan: tuple[float, float]
    drawn: tuple[float, float] | None
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class TargetMove:
    """A rounded target that differs; None on the side that has no such target.

    Attributes
    ----------
    share : float
        |second - first| relative to the largest of |baseline|, |first| and |second|; infinite where one side has none.
    """

    unit: str
    kpi: str
    first: float | None
    second: float | None
    share: float


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A limit that binds on one side only."""

    name: str
    first: LimitResult | None
    second: LimitResult | None

    @property
    def begins(self) -> bool:
        """Whether it binds on the second side."""
        return self.second is not None and self.second.binding


@dataclass(frozen=True)
class Comparison:
    """All that differs between two solved scenarios.

    Attributes
    ----------
    inputs : tuple of InputChange
        In the order of the first side's files, then what only the second has.
    goals : tuple of GoalChange
        All goals of either side, also where nothing differs.
    all_goals : OddsDifference or None
    targets : tuple of TargetMove
        Those that moved, the farthest first.
    n_targets : int
        Targets of either side.
    limits : tuple of LimitChange
    bridges : tuple of Bridge
        One for each goal's KPI and unit.
    """

    first: Side
    second: Side
    inputs: tuple[InputChange, ...]
    goals: tuple[GoalChange, ...]
    all_goals: OddsDifference | None
    pay: PayChange
    targets: tuple[TargetMove, ...]
    n_targets: int
    limits: tuple[LimitChange, ...]
    bridges: tuple[Bridge, ...]


def compare(first: Side, second: Side) -> Comparison:
    """Compare two solved scenarios.

    Raises
    ------
    UsageError
        Where both were simulated, but not with the same draws.
    """
    odds = compare_odds(first.simulation, second.simulation) if first.simulation and second.simulation else ()
    by_goal = {difference.goal: difference for difference in odds}
    targets = list(_moves(first.plan, second.plan))
    return Comparison(
        first,
        second,
        tuple(compare_inputs(first.inputs, second.inputs)),
        tuple(_goal_changes(first, second, by_goal)),
        by_goal.get(None),
        _pay_change(first, second),
        tuple(sorted((move for move in targets if move.first != move.second), key=_farthest)),
        len(targets),
        tuple(_limit_changes(first, second)),
        tuple(_bridges(first, second)),
    )


def compare_inputs(first: Mapping[str, Setting], second: Mapping[str, Setting]) -> Iterator[InputChange]:
    """Yield the values that differ; where only the place differs, nothing does."""
    for path in dict.fromkeys([*first, *second]):
        a, b = first.get(path), second.get(path)
        if a is None or b is None or a.value != b.value:
            yield InputChange(path, a, b)


def _goal_changes(first: Side, second: Side, odds: Mapping[str | None, OddsDifference]) -> Iterator[GoalChange]:
    a, b = ({value.goal.id: value for value in side.goals} for side in (first, second))
    for goal in dict.fromkeys([*a, *b]):
        yield GoalChange(goal, a.get(goal), b.get(goal), odds.get(goal))


def _pay_change(first: Side, second: Side) -> PayChange:
    plan = first.pay, second.pay
    a, b = first.simulation, second.simulation
    if a is None or b is None or a.pay is None or b.pay is None:
        return PayChange(plan, None, None)
    drawn = a.pay.total.mean.estimate, b.pay.total.mean.estimate
    return PayChange(plan, drawn, estimate_change(a.kept.pay, b.kept.pay))


def _moves(first: Plan, second: Plan) -> Iterator[TargetMove]:
    """Yield the targets of both plans, unit by unit."""
    a, b = _targets(first), _targets(second)
    for unit, kpi in dict.fromkeys([*a, *b]):
        before, after = a.get((unit, kpi)), b.get((unit, kpi))
        if before is None or after is None:
            yield TargetMove(unit, kpi, before and before[0], after and after[0], float("inf"))
            continue
        size = max(map(abs, (*before, *after)))
        share = abs(after[0] - before[0]) / size if size else 0.0
        yield TargetMove(unit, kpi, before[0], after[0] if share > SAME else before[0], share)


def _targets(plan: Plan) -> dict[tuple[str, str], tuple[float, float]]:
    """Return rounded target and baseline by unit and KPI id."""
    graph, node, scenario = plan.graph, plan.nodes, plan.graph.scenario
    ids = ((scenario.units.ids[u], scenario.kpi_ids[k]) for u, k in zip(graph.unit[node], graph.kpi[node], strict=True))
    return dict(zip(ids, zip(plan.target[node].tolist(), graph.baseline[node].tolist(), strict=True), strict=True))


def _farthest(move: TargetMove) -> tuple[float, str, str]:
    return -move.share, move.unit, move.kpi


def _limit_changes(first: Side, second: Side) -> Iterator[LimitChange]:
    a, b = ({limit.name: limit for limit in side.limits} for side in (first, second))
    for name in dict.fromkeys([*a, *b]):
        before, after = a.get(name), b.get(name)
        if (before is not None and before.binding) != (after is not None and after.binding):
            yield LimitChange(name, before, after)


def _bridges(first: Side, second: Side) -> Iterator[Bridge]:
    places = dict.fromkeys((value.goal.kpi, value.unit) for side in (first, second) for value in side.goals)
    found = (build_bridge(kpi, unit, first.plan, second.plan) for kpi, unit in places)
    yield from (bridge for bridge in found if bridge is not None)
