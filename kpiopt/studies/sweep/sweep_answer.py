"""The answer of a sweep: its measures, its frontiers, the document "kpiopt.sweep/1" and the table points.csv."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kpiopt.deadline import TIME_LIMIT, NotDone
from kpiopt.errors import LimitReached, problem_as_dict
from kpiopt.reading.toml.text import read_path
from kpiopt.run.frames import Shown
from kpiopt.scenario.resolve.plan import PAY
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.sweep.axes import Axis, Point
from kpiopt.studies.sweep.frontier import Frontier, find_frontier
from kpiopt.studies.sweep.point import OPTIMAL, GoalAtPoint, PointResult
from kpiopt.workers.job import Failure

if TYPE_CHECKING:
    import polars as pl

SCHEMA = "kpiopt.sweep/1"
ODDS, STRETCH, MONEY = "odds of all goals", "the peers' largest stretch", "pay at plan and initiatives"


@dataclass(frozen=True)
class SweepAnswer(Shown):
    """All points of a sweep.

    Attributes
    ----------
    scenario : Scenario
        As it stands without the axes.
    axes : tuple of Axis
    points : tuple of Point
    results : tuple of PointResult or Failure
        In the order of the points.
    """

    scenario: Scenario
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    results: tuple[PointResult | Failure, ...]

    @property
    def failures(self) -> tuple[tuple[Point, Failure], ...]:
        """Points without an answer."""
        pairs = zip(self.points, self.results, strict=True)
        return tuple((point, result) for point, result in pairs if isinstance(result, Failure))

    @property
    def late(self) -> int:
        """How many points the time did not reach."""
        return sum(f.kind == LimitReached.__name__ and f.problems[0].code == TIME_LIMIT for _, f in self.failures)

    @property
    def not_done(self) -> tuple[NotDone, ...]:
        """What the time did not reach."""
        late, total = self.late, len(self.points)
        text = f"{late:,} of {total:,} points were not answered in the time"
        return (NotDone("points", text, total - late, total),) if late else ()

    @property
    def solved(self) -> tuple[PointResult, ...]:
        """Points that have a plan."""
        return tuple(r for r in self.results if isinstance(r, PointResult) and r.is_solved)

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each point, as in points.csv."""
        return points_frame(self)

    def measure(self, of: Callable[[PointResult], float | None]) -> Floats:
        """Return one figure of every point, NaN where there is none, (n_points,) float."""
        values = (of(r) if isinstance(r, PointResult) and r.is_solved else None for r in self.results)
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def money(result: PointResult) -> float | None:
    """Return what a plan costs: pay at plan and initiatives."""
    return None if result.pay is None else result.pay + (result.initiatives or 0.0)


def all_goals(result: PointResult) -> float | None:
    """Return the odds of all goals."""
    return result.all_goals.estimate if result.all_goals else None


def largest_stretch(result: PointResult) -> float | None:
    """Return the average of the peer groups' largest stretches."""
    return result.largest_stretch


def effort_of(resource: str) -> Callable[[PointResult], float | None]:
    """Return the measure "use of a resource"."""
    return lambda result: dict(result.effort).get(resource)


def find_frontiers(answer: SweepAnswer) -> tuple[Frontier, ...]:
    """Return the frontiers of a sweep: two measures of which more of one costs more of the other.

    Money against the odds of all goals (a swept budget's limit in place of the money that a plan takes of it), and each
    effort against the largest relative stretch of peers.
    """
    return tuple(frontier for frontier in _all_frontiers(answer) if len(frontier.points) > 1)


def find_best_in_both(answer: SweepAnswer) -> tuple[Frontier, ...]:
    """Return what would be frontiers, had they more than one point: nothing is to be traded off there."""
    many = len(answer.solved) > 1
    return tuple(frontier for frontier in _all_frontiers(answer) if many and len(frontier.points) == 1)


def _all_frontiers(answer: SweepAnswer) -> Iterator[Frontier]:
    odds, strain = answer.measure(all_goals), answer.measure(largest_stretch)
    yield find_frontier(*_money_axis(answer), ODDS, odds)
    for resource in sorted({name for result in answer.solved for name, _ in result.effort}):
        use = answer.measure(effort_of(resource))
        yield find_frontier(resource, use, STRETCH, strain, more_is_better=False)


def unit_of_cost(answer: SweepAnswer, frontier: Frontier) -> str:
    """Return what the first measure of a frontier counts: the currency, or a resource."""
    if frontier.x_name == MONEY:
        return answer.scenario.currency
    if not _is_budget_limit(frontier.x_name):
        return frontier.x_name
    budget = answer.scenario.budgets[str((read_path(frontier.x_name) or ())[1])]
    return answer.scenario.currency if budget.money or budget.resource == PAY else budget.resource


def odds_on(answer: SweepAnswer, frontier: Frontier) -> list[Estimate] | None:
    """Return the odds of a frontier's points with their intervals; None where its second measure is another one."""
    if frontier.y_name != ODDS:
        return None
    results = (answer.results[number] for number in frontier.points.tolist())
    return [r.all_goals for r in results if isinstance(r, PointResult) and r.all_goals is not None]


def _money_axis(answer: SweepAnswer) -> tuple[str, Floats]:
    budgets = [axis.path for axis in answer.axes if _is_budget_limit(axis.path)]
    if len(budgets) == 1:
        place = [axis.path for axis in answer.axes].index(budgets[0])
        return budgets[0], np.array([float(point.values[place][1]) for point in answer.points])
    return MONEY, answer.measure(money)


def _is_budget_limit(path: str) -> bool:
    key = read_path(path) or ()
    return len(key) == 3 and key[0] == "budget" and key[2] == "limit"


def sweep_as_dict(answer: SweepAnswer) -> dict[str, Any]:
    """Return the JSON document without the folder's name."""
    settings = answer.scenario.simulation
    drawn = {"draws": settings.draws, "seed": settings.seed, "method": settings.method}
    return {
        "schema": SCHEMA,
        "status": "partial" if answer.failures else "complete",
        "axes": [{"path": axis.path, "values": list(axis.values)} for axis in answer.axes],
        "simulation": drawn if any(result.all_goals for result in answer.solved) else None,
        "points": [_point_as_dict(p, r) for p, r in zip(answer.points, answer.results, strict=True)],
        "frontiers": [_frontier_as_dict(answer, frontier) for frontier in find_frontiers(answer)],
        "not_done": [part.as_dict() for part in answer.not_done],
    }


def _point_as_dict(point: Point, result: PointResult | Failure) -> dict[str, Any]:
    head = {"point": point.number, "values": dict(point.values)}
    if isinstance(result, Failure):
        problems = [problem_as_dict(problem) for problem in result.problems]
        return {**head, "status": "failed", "kind": result.kind, "attempts": result.attempts, "problems": problems}
    if not result.is_solved:
        return {**head, "status": result.status}
    return {
        **head,
        "status": result.status,
        "goals": [_goal_as_dict(goal) for goal in result.goals],
        "all_goals": result.all_goals.as_dict() if result.all_goals else None,
        "steps": dict(result.steps),
        "largest_stretch": result.largest_stretch,
        "pay": result.pay,
        "initiatives": result.initiatives,
        "effort": dict(result.effort),
        "used_up": list(result.used_up),
    }


def _goal_as_dict(goal: GoalAtPoint) -> dict[str, Any]:
    return {
        "goal": goal.goal,
        "target": goal.target,
        "plan": goal.plan,
        "shortfall": goal.shortfall,
        "met": goal.met,
        "odds": goal.odds.as_dict() if goal.odds else None,
    }


def _frontier_as_dict(answer: SweepAnswer, frontier: Frontier) -> dict[str, Any]:
    odds = odds_on(answer, frontier)
    return {
        "x": frontier.x_name,
        "y": frontier.y_name,
        "more_is_better": frontier.more_is_better,
        "points": frontier.points.tolist(),
        "x_values": frontier.x.tolist(),
        "y_values": frontier.y.tolist(),
        "odds": None if odds is None else [estimate.as_dict() for estimate in odds],
        "knees": frontier.points[frontier.knees].tolist(),
        "price_of_next": [*frontier.prices.tolist(), None],
    }


def read_results(points: Sequence[Point], document: Mapping[str, Any]) -> tuple[PointResult, ...]:
    """Return the results of a document without failures, as they were before it was written."""
    return tuple(_read_point(point, entry) for point, entry in zip(points, document["points"], strict=True))


def _read_point(point: Point, entry: Mapping[str, Any]) -> PointResult:
    if entry["status"] != OPTIMAL:
        return PointResult(point, entry["status"])
    return PointResult(
        point=point,
        status=OPTIMAL,
        goals=tuple(GoalAtPoint(**{**goal, "odds": _read_odds(goal["odds"])}) for goal in entry["goals"]),
        all_goals=_read_odds(entry["all_goals"]),
        steps=tuple(entry["steps"].items()),
        largest_stretch=entry["largest_stretch"],
        pay=entry["pay"],
        initiatives=entry["initiatives"],
        effort=tuple(entry["effort"].items()),
        used_up=tuple(entry["used_up"]),
    )


def _read_odds(entry: Mapping[str, float] | None) -> Estimate | None:
    return None if entry is None else Estimate.from_dict(entry)


def points_frame(answer: SweepAnswer) -> pl.DataFrame:
    """Return points.csv: one row for each point, a column for each axis and each figure."""
    import polars as pl  # only where a table is wanted

    rows = [_row(p, r) for p, r in zip(answer.points, answer.results, strict=True)]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pl.DataFrame({name: _series(values) for name, values in columns.items()}, strict=False)


def _series(values: Sequence[Any]) -> list[Any]:
    """Numbers stay numbers; a column with anything else is text."""
    if all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values):
        return (
            [None if v is None else float(v) for v in values]
            if any(isinstance(v, float) for v in values)
            else [*values]
        )
    return [None if v is None else str(v) for v in values]


def _row(point: Point, result: PointResult | Failure) -> dict[str, Any]:
    head = {"point": point.number, **dict(point.values)}
    if isinstance(result, Failure):
        return {**head, "status": "failed", "problem": result.problems[0].message if result.problems else result.kind}
    row = {**head, "status": result.status}
    for goal in result.goals:
        row |= {f"goal.{goal.goal}.plan": goal.plan, f"goal.{goal.goal}.shortfall": goal.shortfall}
        row |= _odds_columns(f"goal.{goal.goal}.odds", goal.odds)
    row |= _odds_columns("all_goals.odds", result.all_goals)
    row |= {f"step.{label}": value for label, value in result.steps}
    row |= {"largest_stretch": result.largest_stretch, "pay": result.pay, "initiatives": result.initiatives}
    row |= {f"effort.{resource}": use for resource, use in result.effort}
    return {**row, "used_up": " ".join(result.used_up)} if result.is_solved else row


def _odds_columns(name: str, odds: Estimate | None) -> Mapping[str, float]:
    return {} if odds is None else {name: odds.estimate, f"{name}.low": odds.low, f"{name}.high": odds.high}
