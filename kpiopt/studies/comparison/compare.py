"""Two solved scenarios side by side: what differs in what was asked, and in what came out."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kpiopt.errors import KpioptError
from kpiopt.graph import CausalGraph
from kpiopt.plan import Plan
from kpiopt.program.order.prices import LimitResult
from kpiopt.run.run import BrokenLimit
from kpiopt.scenario.scenario import Goal, Scenario
from kpiopt.simulation.difference import OddsDifference, compare_odds, estimate_change
from kpiopt.simulation.odds import Estimate
from kpiopt.simulation.results import Simulation
from kpiopt.studies.comparison.bridge import Bridge, build_bridge
from kpiopt.studies.comparison.plan_changes import (
    LevelChange,
    OtherMeasure,
    TargetMove,
    compare_levels,
    compare_targets,
    find_other_measures,
)

NO_MONEY = 1e-9
"""Changes of pay that are less, relative to it, are rounding residue."""

SIDE_COLUMNS = {
    "scenario": str, "goals_met": int, "goals": int, "odds": float, "odds_low": float, "odds_high": float, "pay": float,
    "initiatives": float, "problem": str,
}  # fmt: skip

Place = tuple[str, str, str, str | None]
"""Ids of a goal, its KPI and its unit, and its period."""


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
    """A goal in one plan, in the KPI's unit; `unit` is an id, `period` a name, None for the horizon."""

    goal: Goal
    unit: str
    target: float
    plan: float
    shortfall: float
    met: bool
    period: str | None = None

    @property
    def place(self) -> Place:
        """What makes it the same goal in another scenario: its id and what it is about."""
        return self.goal.id, self.goal.kpi, self.unit, self.period


@dataclass(frozen=True)
class Side:
    """A solved scenario, as far as it is compared.

    Attributes
    ----------
    label : str
        What the planner calls it: a file, a variant, a run.
    inputs : mapping of str to Setting
        Final values of the document by path, and those of tables that may differ.
    pay, initiatives : float
        Pay at plan and money for initiatives, in the scenario's currency.
    simulation : Simulation or None
        Drawn with the settings that all sides share.
    rule : str or None
        The rule that made the plan instead of a program.
    broken : tuple of BrokenLimit
        Limits that it would break.
    """

    label: str
    inputs: Mapping[str, Setting]
    plan: Plan
    goals: tuple[GoalValue, ...]
    limits: tuple[LimitResult, ...]
    pay: float
    initiatives: float
    simulation: Simulation | None
    rule: str | None = None
    broken: tuple[BrokenLimit, ...] = ()

    def __repr__(self) -> str:
        met = sum(goal.met for goal in self.goals)
        everything = self.simulation.all_goals if self.simulation else None
        odds = f"odds of all goals {everything.text}" if everything else "not simulated"
        return f"Side({self.label!r}: {met} of {len(self.goals)} goals met, {odds})"

    @property
    def row(self) -> dict[str, Any]:
        """Its row in a frame."""
        drawn = self.simulation.all_goals if self.simulation else None
        odds = {"odds": drawn.estimate, "odds_low": drawn.low, "odds_high": drawn.high} if drawn else {}
        met = {"goals_met": sum(goal.met for goal in self.goals), "goals": len(self.goals)}
        return {"scenario": self.label, **met, **odds, "pay": self.pay, "initiatives": self.initiatives}

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
    """A goal on both sides; None on the side that does not have it, or has it for another KPI or unit.

    Attributes
    ----------
    goal : str
        Its id.
    odds : OddsDifference or None
        Paired: from the same draws. None where one side has no odds of this goal.
    """

    goal: str
    first: GoalValue | None
    second: GoalValue | None
    odds: OddsDifference | None


@dataclass(frozen=True, slots=True)
class PayChange:
    """Pay on both sides, in each scenario's currency.

    Attributes
    ----------
    plan : pair of float
        At plan.
    drawn : pair of float, or None
        Mean over the draws.
    difference : Estimate or None
        Mean paired difference, second - first; None where the currencies differ.
    """

    plan: tuple[float, float]
    drawn: tuple[float, float] | None
    difference: Estimate | None


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
class Unsolved:
    """A scenario without a plan, and why."""

    label: str
    error: KpioptError

    @property
    def row(self) -> dict[str, Any]:
        """Its row in a frame."""
        return {"scenario": self.label, "problem": self.error.problems[0].message}

    def __repr__(self) -> str:
        return f"Unsolved({self.label!r}: {self.error.problems[0].message})"


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
        Of all goals of each side; see `same_goals`.
    targets : tuple of TargetMove
        Those that moved, the farthest first, then those of one side only.
    n_targets : int
        Targets of either side.
    bridges : tuple of Bridge
        One for each goal's KPI and unit.
    other_measures : tuple of OtherMeasure
        KPIs whose unit of measure differs: they have no bridge, and their targets are not compared.
    """

    first: Side
    second: Side
    inputs: tuple[InputChange, ...]
    goals: tuple[GoalChange, ...]
    all_goals: OddsDifference | None
    pay: PayChange
    targets: tuple[TargetMove, ...]
    n_targets: int
    initiatives: tuple[LevelChange, ...]
    limits: tuple[LimitChange, ...]
    bridges: tuple[Bridge, ...]
    other_measures: tuple[OtherMeasure, ...]

    @property
    def row(self) -> dict[str, Any]:
        """The row of the second in a frame."""
        return self.second.row

    def __repr__(self) -> str:
        parts = [f"inputs that differ: {len(self.inputs):,}"]
        if odds := self.all_goals:
            d = odds.difference
            difference = f"{100 * d.estimate:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f}) points"
            parts.append(f"odds of all goals {difference}{'' if odds.is_resolved else ', no difference seen'}")
        moved = sum(move.share is not None for move in self.targets)
        parts.append(f"{moved:,} of {self.n_targets:,} targets move")
        return f"Comparison({self.first.label!r} -> {self.second.label!r}: {', '.join(parts)})"

    @property
    def same_goals(self) -> bool:
        """Whether both sides have the same goals, so that the odds of all goals answer one question."""
        return all(goal.first and goal.second for goal in self.goals)

    @property
    def same_currency(self) -> bool:
        """Whether money of both sides can be compared; a currency that is not given is taken for the other's."""
        return _same_currency(self.first, self.second)


def compare(first: Side, second: Side) -> Comparison:
    """Compare two solved scenarios.

    Raises
    ------
    UsageError
        Where both were simulated, but not with the same draws.
    """
    odds = compare_odds(first.simulation, second.simulation) if first.simulation and second.simulation else ()
    by_goal = {difference.goal: difference for difference in odds}
    moved, n_targets = compare_targets(first.plan, second.plan)
    other = find_other_measures(first.plan, second.plan)
    return Comparison(
        first,
        second,
        tuple(compare_inputs(first.inputs, second.inputs)),
        tuple(_goal_changes(first, second, by_goal)),
        by_goal.get(None),
        _pay_change(first, second),
        moved,
        n_targets,
        compare_levels(first.plan, second.plan),
        tuple(_limit_changes(first, second)),
        tuple(_bridges(first, second, {measure.kpi for measure in other})),
        other,
    )


def compare_inputs(first: Mapping[str, Setting], second: Mapping[str, Setting]) -> Iterator[InputChange]:
    """Yield the values that differ; where only the place differs, nothing does.

    A value that is a number on one side and a table on the other, such as a distribution, is one value.
    """
    first, second = _joined(first, second), _joined(second, first)
    for path in dict.fromkeys([*first, *second]):
        a, b = first.get(path), second.get(path)
        if a is None or b is None or a.value != b.value:
            yield InputChange(path, a, b)


def _joined(settings: Mapping[str, Setting], other: Mapping[str, Setting]) -> dict[str, Setting]:
    """Put values below a path that has one value on the other side together into one."""
    found: dict[str, Setting] = {}
    for path, setting in settings.items():
        above = next((head for head in _heads(path) if head in other and head not in settings), None)
        if above is None:
            found[path] = setting
            continue
        before = found.get(above, Setting({}, setting.origin))
        found[above] = Setting({**before.value, path[len(above) + 1 :]: setting.value}, before.origin)
    return found


def _heads(path: str) -> Iterator[str]:
    """Yield the paths above a path, the highest first."""
    yield from (path[:i] for i, character in enumerate(path) if character == ".")


def _goal_changes(first: Side, second: Side, odds: Mapping[str | None, OddsDifference]) -> Iterator[GoalChange]:
    a, b = ({value.place: value for value in side.goals} for side in (first, second))
    for place in dict.fromkeys([*a, *b]):
        both = place in a and place in b
        yield GoalChange(place[0], a.get(place), b.get(place), odds.get(place[0]) if both else None)


def _pay_change(first: Side, second: Side) -> PayChange:
    plan = first.pay, second.pay
    a, b = first.simulation, second.simulation
    if a is None or b is None or a.pay is None or b.pay is None:
        return PayChange(plan, None, None)
    drawn = a.pay.total.mean.estimate, b.pay.total.mean.estimate
    if not _same_currency(first, second):
        return PayChange(plan, drawn, None)
    difference = estimate_change(a.kept.pay, b.kept.pay)
    residue = NO_MONEY * max(map(abs, drawn))
    same = max(abs(difference.low), abs(difference.high)) <= residue
    return PayChange(plan, drawn, Estimate(0.0, 0.0, 0.0, difference.method) if same else difference)


def _same_currency(first: Side, second: Side) -> bool:
    return len({side.scenario.currency for side in (first, second)} - {""}) < 2


def _limit_changes(first: Side, second: Side) -> Iterator[LimitChange]:
    a, b = ({limit.name: limit for limit in side.limits} for side in (first, second))
    for name in dict.fromkeys([*a, *b]):
        before, after = a.get(name), b.get(name)
        if (before is not None and before.binding) != (after is not None and after.binding):
            yield LimitChange(name, before, after)


def _bridges(first: Side, second: Side, without: Container[str]) -> Iterator[Bridge]:
    places = dict.fromkeys((g.goal.kpi, g.unit, g.period) for side in (first, second) for g in side.goals)
    plans = first.plan, second.plan
    found = (build_bridge(kpi, unit, *plans, period) for kpi, unit, period in places if kpi not in without)
    yield from (bridge for bridge in found if bridge is not None)
