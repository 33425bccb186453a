"""A response curve: what a cause does to a KPI where that is no fixed amount per unit of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, UsageError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A piecewise linear function that is 0 at 0, extended by its first and its last slope.

    Attributes
    ----------
    points : tuple of (float, float)
        Change of the cause, ascending, and the change of the driven KPI, each in its own unit; at least two.
    """

    points: tuple[tuple[float, float], ...]

    def scaled(self, cause: float, effect: float) -> Curve:
        """Return the curve in other units: so many times the causes, so many times the effects."""
        return Curve(tuple((x * cause, y * effect) for x, y in self.points))

    @cached_property
    def cause(self) -> Floats:
        """Changes of the cause at the points, (n_points,) float."""
        return np.array([x for x, _ in self.points])

    @cached_property
    def effect(self) -> Floats:
        """Changes of the driven KPI at the points, (n_points,) float."""
        return np.array([y for _, y in self.points])

    @cached_property
    def slopes(self) -> Floats:
        """Change of the driven KPI per unit of the cause between the points, (n_points - 1,) float."""
        return np.asarray(np.diff(self.effect) / np.diff(self.cause))

    @cached_property
    def bends(self) -> Floats:
        """Changes of the cause at which the slope changes, ascending."""
        return np.asarray(self.cause[1:-1][self.slopes[1:] != self.slopes[:-1]])

    @property
    def mean_slope(self) -> float:
        """Change of the driven KPI per unit of the cause from the first point to the last."""
        return float((self.effect[-1] - self.effect[0]) / (self.cause[-1] - self.cause[0]))

    def at(self, change: Floats) -> Floats:
        """Return the change of the driven KPI, in its unit, for its cause's, `change`, (…) float, in the same shape."""
        beyond = self.slopes[0] * np.minimum(change - self.cause[0], 0.0)
        beyond += self.slopes[-1] * np.maximum(change - self.cause[-1], 0.0)
        return np.asarray(np.interp(change, self.cause, self.effect) + beyond)

    def slope_at(self, change: float) -> float:
        """Return the slope where the cause has changed by so much: at a bend that of what comes after it."""
        piece = int(np.searchsorted(self.cause[1:-1], change, side="right"))
        return float(self.slopes[piece])

    def chord(self, change: float) -> float:
        """Return the effect per unit of a change of the cause: on average from 0 up to it, at 0 the slope there."""
        return float(self.at(np.array(change))) / change if change else self.slope_at(0.0)

    def pieces(self, low: float, high: float) -> tuple[Floats, Floats]:
        """Return the ends of the straight pieces between two changes of the cause, and what the curve says there."""
        inside = self.bends[(self.bends > low) & (self.bends < high)]
        ends = np.concatenate([[low], inside, [high]])
        return ends, self.at(ends)


NO_ODDS = (
    "odds are promised by rows that no plan which keeps the promise breaks; along a curve each draw has a slope of its "
    "own, and such a row could shut out the best plan"
)
"""Why plans with curves promise no odds."""
WITHOUT_PROMISE = (
    "add a second goal on the same KPI with a higher target, and see at which the first has the odds that are wanted "
    "(kpiopt sweep --over goal.SECOND.target=FIRST:LAST:NUMBER)"
)
"""What to do instead."""


def refuse_curves(paths: Sequence[str], what: str, why: str = "") -> None:
    """Raise where a question is answered only for effects that are proportional.

    Parameters
    ----------
    paths : sequence of str
        The drivers and effects with curves.
    what : str
        Such as "the price of odds".
    why : str
        Why it is not answered.

    Raises
    ------
    UsageError
        `E-curve-study`
    """
    if paths:
        message = f"{what} is not told with curves, and {paths[0]} is one"
        rule = why or "a plan with curves is solved, simulated, explained, compared, swept and kept"
        fix = "ask it of a variant with a contribution in place of the curve"
        if why:
            fix = f"{WITHOUT_PROMISE}, or {fix}"
        raise UsageError(Problem("E-curve-study", message, rule, fix))
