"""A promise while its plan is looked for: what its rows ask, and what the draws of a plan say about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kpiopt.program.formulation.cuts import tail_weights
from kpiopt.program.formulation.promises import Cut, Flags, Promise
from kpiopt.program.trust.arrays import Floats, dot

ABOVE_WORST = (1e-2, 5e-4)
"""Share of the spread of margins by which rows may lie above the mean of the worst draws, at first and in the end. What
they leave is far below what draws can tell, and the odds themselves are held by the rows' sides."""
NEAR = 1e-6
"""Share of the spread of margins that is as good as nothing."""
SPARE = 0.001
"""Share of the draws that may hit beyond what is promised."""


@dataclass(frozen=True)
class Point:
    """A plan and one promise's margins in it.

    Attributes
    ----------
    at : pair of (n_stretch,) and (n_levels,) float
    margin : (n_draws,) float
    counted : (k, n_draws) bool
        Which of the promise's goals make up the margin of each draw.
    certain : (k,) bool
        Which of them are the same in all draws.
    first : (k,) float
        By how much each is beyond its target in one draw.
    shortfall : float
        The promise's in this plan.
    """

    at: tuple[Floats, Floats]
    margin: Floats
    counted: Flags
    certain: Flags
    first: Floats
    shortfall: float = 0.0


@dataclass
class Held:
    """One promise: how many draws count as the worst, the side of its rows, and the plans at which it has a row.

    Attributes
    ----------
    promise : Promise
    size : float
        Of its goals' ways from their baselines, in the unit of its margins.
    noise : float
        Margin that is as good as 0.
    tail : float
        How many draws count as the worst.
    lift, added : float
        The rows' side, and what the target is exceeded by because other draws fell short.
    low, high : float
        Sides at which too few and more than enough draws hit.
    """

    promise: Promise
    size: float
    noise: float = 0.0
    tail: float = 0.0
    lift: float = 0.0
    added: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    rematches: int = 0
    closeness: int = 0
    is_settled: bool = False
    points: list[Point] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    exact: dict[int, Cut] = field(default_factory=dict)
    direction: int = 0
    strides: int = 0

    @property
    def name(self) -> str:
        """The promise's."""
        return self.promise.name

    def come_closer(self) -> bool:
        """Ask rows to be closer; False where they are as close as they get."""
        if self.promise.is_mean or self.closeness == len(ABOVE_WORST) - 1:
            return False
        self.closeness += 1
        return True

    def restart(self) -> None:
        """Forget at which sides of its rows too many or too few draws have hit."""
        self.low, self.high, self.strides, self.is_settled = -np.inf, np.inf, 0, self.promise.is_mean

    def near(self, point: Point) -> float:
        """Return what is as good as nothing beside the spread of margins."""
        return NEAR * max(float(point.margin.std()), 1e-3 * self.size)

    def tail_mean(self, point: Point) -> float:
        """Return the mean margin of the worst draws."""
        return dot(tail_weights(point.margin, self.tail), point.margin) / self.tail

    def room(self, point: Point) -> float:
        """Return by how much the mean of the worst draws is above what the rows ask."""
        return self.tail_mean(point) + point.shortfall - self.lift

    def is_idle(self, point: Point) -> bool:
        """Whether something else than the promise holds the plan."""
        return self.room(point) > 4.0 * self.near(point) and self.excess(point) >= 0.0

    def excess(self, point: Point) -> float:
        """Return by how much the promised share of draws reaches more than is asked less the shortfall, 0 for noise."""
        n = len(point.margin)
        if self.promise.is_mean:
            return 0.0
        reached = np.partition(point.margin, n - self.promise.needed(n))[n - self.promise.needed(n)]
        excess = float(reached) + point.shortfall - self.added
        is_certain = point.certain.all() or float(np.ptp(point.margin)) <= self.noise
        return 0.0 if is_certain and abs(excess) <= self.noise else excess

    def hit_share(self, point: Point) -> float:
        """Return the share of draws in which all goals are hit, certain ones as well."""
        if point.certain.all():
            return float(np.mean(point.margin >= -self.noise))
        is_missed = point.certain & (point.first / self.promise.scale < -self.noise)
        return 0.0 if is_missed.any() else float(np.mean(point.margin >= 0.0))

    def stride(self, direction: int, least: float) -> float:
        """Return by how much the rows' side moves: ever farther while it moves one way."""
        self.strides = self.strides + 1 if direction == self.direction else 0
        self.direction = direction
        return least * 2.0 ** max(0, self.strides - 1)

    def is_spare(self, point: Point, *, is_above: bool) -> bool:
        """Whether more draws hit than is promised."""
        n = len(point.margin)
        hits = np.count_nonzero(point.margin + point.shortfall >= self.added - self.noise)
        return is_above or bool(hits - self.promise.needed(n) > SPARE * n)

    def move(self, point: Point, *, only_up: bool) -> bool:
        """Move the side of the rows by what the draws hit too rarely or too often; whether it has moved."""
        excess, near = self.excess(point), self.near(point)
        room, lift = self.room(point), self.lift
        if excess < 0.0:
            self.low, self.is_settled = max(self.low, lift), False
            lift = max(lift, lift + room) + self.stride(1, 0.5 * near - excess)
            if lift >= self.high:
                lift = self.high if self.high - self.low <= near else 0.5 * (self.low + self.high)
        elif room <= 4.0 * near and not (self.is_settled or only_up) and self.is_spare(point, is_above=excess > near):
            self.high = min(self.high, lift)
            lift -= self.stride(-1, max(excess, near) - 0.5 * near)
            if lift <= self.low:
                self.is_settled = self.high - self.low <= near
                lift = self.high if self.is_settled else 0.5 * (self.low + self.high)
        else:
            return False
        moved, self.lift = lift != self.lift, lift
        return moved
