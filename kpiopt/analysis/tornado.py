"""Tornado: what an outcome does when one input moves, with the plan as it is and with the plan made anew.

Both are measured in the same draws. The difference between them is what re-planning is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from kpiopt.analysis.common_draws import CommonDraws
from kpiopt.analysis.moves import Inputs, Move
from kpiopt.analysis.outcome import Measured, Outcome, difference, measure
from kpiopt.analysis.replanning import NoPlan, Planned, Replanner
from kpiopt.errors import InputError, Problem
from kpiopt.program.cascade import Cascade
from kpiopt.simulation import Estimate

Progress = Callable[[str], None]
BROKEN = 1e-9


@dataclass(frozen=True)
class End:
    """An outcome with one input at one end of its move.

    Attributes
    ----------
    input_value : float
    fixed, replanned : Estimate or None
        The outcome with the plan as it is, and with the plan made anew; None where the file does not allow the value,
        or no plan is left.
    fixed_change, replanned_change : Estimate or None
        Against the outcome as things stand, draw by draw.
    worth : Estimate or None
        What re-planning is worth: replanned - fixed, in the outcome's unit; better where the outcome says so.
    broken : tuple of str
        Limits that the plan as it is would break.
    problem : Problem or None
        Why there is no plan.
    """

    input_value: float
    fixed: Estimate | None = None
    fixed_change: Estimate | None = None
    replanned: Estimate | None = None
    replanned_change: Estimate | None = None
    worth: Estimate | None = None
    broken: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True)
class Bar:
    """What one input does to the outcome, at both ends of its move."""

    move: Move
    low: End
    high: End

    @property
    def swing(self) -> float:
        """The larger of the two spreads, with the plan as it is and made anew; a side without a plan counts for 0."""
        return max(
            _spread(self.low.fixed_change, self.high.fixed_change),
            _spread(self.low.replanned_change, self.high.replanned_change),
        )

    @property
    def stops(self) -> bool:
        """Whether there is no plan at one of the ends."""
        return any(end.problem is not None for end in (self.low, self.high))


def _spread(low: Estimate | None, high: Estimate | None) -> float:
    """Distance between the changes at two ends, no change included."""
    values = [0.0, *(change.estimate for change in (low, high) if change is not None)]
    return max(values) - min(values)


@dataclass(frozen=True)
class Tornado:
    """All bars, those first that move the outcome most.

    Attributes
    ----------
    outcome : Outcome
    base : Estimate
        The outcome as things stand.
    bars : tuple of Bar
    """

    outcome: Outcome
    base: Estimate
    bars: tuple[Bar, ...]


def make_tornado(
    replanner: Replanner,
    inputs: Inputs,
    outcome: Outcome,
    moves: Iterable[Move],
    draws: CommonDraws,
    progress: Progress = lambda _: None,
) -> Tornado:
    """Move inputs one at a time.

    Parameters
    ----------
    replanner : Replanner
        With the plan of the inputs' scenario.
    """
    study = _Study(replanner, outcome, draws, measure(outcome, replanner.base.graph, replanner.base, draws))
    bars = []
    for move in moves:
        progress(move.path)
        bars.append(Bar(move, study.end(inputs, move.path, move.low), study.end(inputs, move.path, move.high)))
    bars.sort(key=lambda bar: (-bar.swing, bar.move.path))
    return Tornado(outcome, study.now.estimate, tuple(bars))


@dataclass(frozen=True)
class _Study:
    """What all bars share."""

    replanner: Replanner
    outcome: Outcome
    draws: CommonDraws
    now: Measured

    def end(self, inputs: Inputs, path: str, value: float) -> End:
        """Move one input to a value."""
        try:
            cascade = self.replanner.pose(inputs.at(path, value))
        except InputError as error:
            return End(value, problem=error.problems[0])
        base = self.replanner.base
        fixed = measure(self.outcome, cascade.graph, base, self.draws)
        common = {
            "fixed": fixed.estimate,
            "fixed_change": difference(self.now, fixed),
            "broken": broken_limits(base, cascade),
        }
        try:
            planned = self.replanner.plan(cascade)
        except NoPlan as failure:
            return End(value, **common, problem=failure.problem)  # type: ignore[arg-type]
        made = fixed if self._is_same(base, planned) else measure(self.outcome, cascade.graph, planned, self.draws)
        return End(
            value,
            **common,  # type: ignore[arg-type]
            replanned=made.estimate,
            replanned_change=difference(self.now, made),
            worth=difference(fixed, made),
        )

    def _is_same(self, first: Planned, second: Planned) -> bool:
        """Whether two plans cannot differ in the outcome: they decide the same, and it is not about their targets."""
        same = np.array_equal(first.stretch, second.stretch) and np.array_equal(first.levels, second.levels)
        return same and self.outcome.kind != "pay"


def broken_limits(base: Planned, cascade: Cascade) -> tuple[str, ...]:
    """Return the names of the limits of another program that the plan as it is would break."""
    ours, x = cascade.program.arrays(), base.solution.x
    if len(x) != ours.n_columns or not cascade.limits:
        return ()
    used = ours.matrix @ x
    return tuple(
        limit.name
        for limit in cascade.limits
        if used[limit.row] > ours.row_upper[limit.row] + BROKEN * max(1.0, abs(limit.value))
    )
