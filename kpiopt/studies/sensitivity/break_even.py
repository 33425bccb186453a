"""Break-even: how far one number may move before the plan becomes another one.

A plan stays the same in kind while the same goals are met, the same limits are used up, the same stretches stand at an
end of their range and initiatives are funded to the same degree. Its targets stay while none moves by more than its
rounding step. Both are looked for outwards from the present value: on a grid, then by bisection, and the two sides of
what is found are solved once more from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

import numpy as np

from kpiopt.errors import InputError, Problem, UsageError
from kpiopt.graph import NodeKind
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.studies.family import NoPlan, PlanFamily, Planned

GRID = 10
PRECISION = 1e-5
"""Width of the last bracket, as a share of the range that is searched."""

NEAR = 1e-6
NOT_ALLOWED = "not allowed: "
TAILS = 0.005
WITHOUT_STEP = 0.01
"""Share of a baseline that counts as a step where targets are not rounded."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Crossing:
    """Where the plan becomes another one.

    Attributes
    ----------
    inside, outside : float
        Values next to each other: with the first the plan is still the same, with the second no longer.
    changes : tuple of str
        What is different outside.
    confirmed : bool
        Whether solving both sides from scratch shows the same.
    """

    inside: float
    outside: float
    changes: tuple[str, ...]
    confirmed: bool

    @property
    def value(self) -> float:
        """The number of fewest digits between the two: any of them may be the exact one."""
        return shortest_between(self.inside, self.outside)

    @property
    def is_forbidden(self) -> bool:
        """Whether the file does not allow what lies outside."""
        return bool(self.changes) and self.changes[0].startswith(NOT_ALLOWED)


def shortest_between(first: float, second: float) -> float:
    """Return the decimal number of fewest digits in a closed range.

    Examples
    --------
    >>> shortest_between(599.993, 600.007), shortest_between(0.30996, 0.31004)
    (600.0, 0.31)
    """
    low, high = sorted((first, second))
    if low <= 0.0 <= high:
        return 0.0
    if low == high:
        return low
    for digits in range(-math.floor(math.log10(max(abs(low), abs(high)))), 18):
        unit = Decimal(1).scaleb(-digits)
        found = (Decimal(low) / unit).to_integral_value(ROUND_CEILING) * unit
        if found <= Decimal(high):
            return float(found)
    return first


@dataclass(frozen=True)
class BreakEven:
    """How far one number may move.

    Attributes
    ----------
    now : float
        Its value, or its mean.
    low, high : float
        The range that was searched.
    kind_below, kind_above : Crossing or None
        Where the plan changes in kind; None where it does not within the range.
    targets_below, targets_above : Crossing or None
        Where a target moves by more than its step.
    """

    path: str
    now: float
    low: float
    high: float
    kind_below: Crossing | None
    kind_above: Crossing | None
    targets_below: Crossing | None
    targets_above: Crossing | None


def find_break_even(
    family: PlanFamily,
    inputs: Inputs,
    path: str,
    ends: tuple[float, float] | None = None,
    progress: Progress = lambda _: None,
) -> BreakEven:
    """Find how far a number may move before the plan changes.

    Parameters
    ----------
    family : PlanFamily
        With the plan of the inputs' scenario.
    ends : (float, float), optional
        The range to search; by default the middle 99 % of a distribution, or from 0 to twice a number.

    Raises
    ------
    UsageError
        Where there is no such number, or the range does not hold its present value.
    """
    now, low, high = require_range(inputs, path, ends)
    path = inputs.resolve(path)
    search = _Search(family, inputs, path, PRECISION * (high - low), progress)
    return BreakEven(
        path,
        now,
        low,
        high,
        search.outwards(kind_changes, now, low),
        search.outwards(kind_changes, now, high),
        search.outwards(target_changes, now, low),
        search.outwards(target_changes, now, high),
    )


def require_range(inputs: Inputs, path: str, ends: tuple[float, float] | None) -> tuple[float, float, float]:
    """Return the present value of a number and the ends of the range to search.

    Raises
    ------
    UsageError
        Where there is no such number, or the range does not hold its present value.
    """
    now = inputs.value(path)
    inputs.require_common(path)
    low, high = ends or _usual_ends(inputs, path, now)
    if not low <= now <= high:
        message = f"the range {low:g} to {high:g} does not hold the present value {now:g} of {path}"
        raise UsageError(Problem("E-break-even-range", message, fix="give a range around it"))
    if ends is not None:
        inputs.check(path, ends, f"--range {low:g}:{high:g}")
    return now, low, high


def _usual_ends(inputs: Inputs, path: str, now: float) -> tuple[float, float]:
    quantity = inputs.quantities.get(inputs.resolve(path))
    if quantity is not None and not quantity.is_number:
        low, high = quantity.quantile(np.array([TAILS, 1.0 - TAILS])).tolist()
        return min(low, now), max(high, now)
    if now == 0.0:
        fix = "give a range with --range low:high"
        raise UsageError(Problem("E-break-even-range", f"{path} is 0, so no range around it suggests itself", fix=fix))
    return min(0.0, 2.0 * now), max(0.0, 2.0 * now)


Changes = Callable[[Planned, Planned], tuple[str, ...]]


@dataclass
class _Search:
    """Plans along one number."""

    family: PlanFamily
    inputs: Inputs
    path: str
    width: float
    progress: Progress
    plans: dict[float, Planned | str] = field(default_factory=dict)

    def outwards(self, changes: Changes, now: float, end: float) -> Crossing | None:
        """Find the first value between now and an end at which the plan has changed."""
        inside = now
        for outside in np.linspace(now, end, GRID + 1)[1:].tolist():
            if outside != now and self._differs(changes, outside):
                return self._bisect(changes, inside, outside)
            inside = outside
        return None

    def _bisect(self, changes: Changes, inside: float, outside: float) -> Crossing:
        while abs(outside - inside) > self.width:
            middle = inside + (outside - inside) / 2.0
            if middle in (inside, outside):
                break
            if self._differs(changes, middle):
                outside = middle
            else:
                inside = middle
        fresh = [self._compare(changes, self._solve(value, self.family.plan_afresh)) for value in (inside, outside)]
        found = self._compare(changes, self._plan(outside))
        return Crossing(inside, outside, found, confirmed=not fresh[0] and bool(fresh[1]))

    def _differs(self, changes: Changes, value: float) -> bool:
        return bool(self._compare(changes, self._plan(value)))

    def _compare(self, changes: Changes, found: Planned | str) -> tuple[str, ...]:
        return (found,) if isinstance(found, str) else changes(self.family.base, found)

    def _plan(self, value: float) -> Planned | str:
        if value not in self.plans:
            self.progress(f"{self.path} = {value:.6g}")
            self.plans[value] = self._solve(value, self.family.plan)
        return self.plans[value]

    def _solve(self, value: float, plan: Callable[..., Planned]) -> Planned | str:
        """Return the plan at a value, or why there is none."""
        try:
            return plan(self.family.pose(self.inputs.at(self.path, value)))
        except NoPlan as failure:
            return f"no plan: {failure.problem.message}"
        except InputError as error:
            return f"{NOT_ALLOWED}{error.problems[0].message}"


def kind_changes(first: Planned, second: Planned) -> tuple[str, ...]:
    """Return in what two plans differ in kind, each as "what: before -> after"."""
    before, after = dict(_kind(first)), dict(_kind(second))
    names = dict.fromkeys([*before, *after])
    return tuple(
        f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in names
        if before.get(name) != after.get(name)
    )


def _kind(planned: Planned) -> Iterator[tuple[str, str]]:
    """Yield what a plan is in kind: goals, limits, initiatives, stretches."""
    graph, columns, x = planned.graph, planned.cascade.columns, planned.solution.x
    for goal, node, scale in zip(columns.goals, columns.goal_node.tolist(), columns.goal_scale.tolist(), strict=True):
        short = float(graph.sign[node]) * (goal.target - float(planned.plan.expected[node]))
        yield f"goal {goal.id}", "missed" if short > NEAR * scale else "met"
    used = planned.cascade.program.arrays().matrix @ x
    for limit in planned.cascade.limits:
        left = limit.value - limit.base - float(used[limit.row])
        yield limit.name, "used up" if left <= NEAR * max(1.0, abs(limit.value)) else "has room"
    yield from zip(*_initiatives(planned), strict=True)
    names = [f"stretch {columns.stretch.label(i)}" for i in range(len(columns.stretch))]
    words = _places(columns.stretch.of(x), columns.stretch.lower, columns.stretch.upper, ("least", "between", "most"))
    yield from zip(names, words, strict=True)


def _initiatives(planned: Planned) -> tuple[list[str], list[str]]:
    level, x = planned.cascade.columns.level, planned.solution.x
    names = [f"initiative {level.label(i)}" for i in range(len(level))]
    words = _places(level.of(x), level.lower, level.upper, ("not funded", "in part", "in full"))
    whole = level.integer.tolist()
    counts = [f"{value:.0f}" for value in level.of(x)]
    return names, [count if is_whole else word for word, count, is_whole in zip(words, counts, whole, strict=True)]


def _places(values: np.ndarray, lower: np.ndarray, upper: np.ndarray, words: tuple[str, str, str]) -> list[str]:
    """Say of every value whether it stands at the lower end of its range, between, or at the upper end."""
    near = NEAR * (upper - lower)
    place = np.where(values <= lower + near, 0, np.where(values >= upper - near, 2, 1))
    return [words[p] for p in place.tolist()]


def target_changes(first: Planned, second: Planned) -> tuple[str, ...]:
    """Return which targets differ by more than their step, those first that move most steps."""
    graph = first.graph
    if second.graph.n_nodes != graph.n_nodes:
        return ("the map itself is different",)
    node = np.flatnonzero(graph.kind == NodeKind.KPI)
    step = graph.scenario.kpi_step[graph.kpi[node]]
    step = np.where(step > 0.0, step, WITHOUT_STEP * np.maximum(np.abs(graph.baseline[node]), 1e-9))
    moved = np.abs(second.plan.target[node] - first.plan.target[node]) / step
    order = [i for i in np.argsort(-moved, kind="stable").tolist() if moved[i] > 1.0 + NEAR]
    values = first.plan.target, second.plan.target
    return tuple(
        f"target {graph.node_name(int(node[i]))}: {values[0][node[i]]:,.10g} -> {values[1][node[i]]:,.10g}"
        for i in order
    )
