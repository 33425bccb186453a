"""What is rounded: targets counted in steps.

All numbers of this module are seen "in the KPI's sense": multiplied by its direction sign, so that a higher number is
always more stretch. A `down` KPI is thereby the mirror image of an `up` KPI.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats, Integers

MOST_STEPS = 2**40  # beyond this many steps a float no longer tells the remainder
FARTHEST = 2**20  # a target is never moved by more steps than this
BOUND_TOLERANCE = 1e-9  # of a bound, relative
TIE_OFFSET = 0.618  # bins of remainders begin at no simple fraction, so that equal ones share a bin despite noise
FLOAT_TOLERANCE = 1e-15  # of a value, relative: a few units in its last place


@dataclass(frozen=True)
class FlowParts:
    """The parts of one flow: as many in every period, in the same order.

    Attributes
    ----------
    part : (T, m) int
        The parts, by period.
    low, high : (m,) int
        Least and largest count over the horizon that ranges and locks allow; `low > high` where there is none.
    """

    part: Integers
    low: Integers
    high: Integers


@dataclass(frozen=True)
class Parts:
    """The quantities that are rounded, sorted by KPI, then period, then unit.

    A part is the target of a node, or the own part of an inner unit in a `sum` roll-up: what its own stretch and its
    own causes add to the sum of its children. Own parts stand behind their node and are children of it.

    Attributes
    ----------
    node, kpi, unit : (m,) int
        The graph's node, its KPI and unit.
    parent : (m,) int
        The part that this one adds to; -1 at the top of a roll-up and where a target is rounded on its own.
    depth : (m,) int
        Distance from the top of the organization, own parts one deeper than their node.
    cell : (m,) int
        The cell whose stretch moves with the part, -1 where no decision does.
    value : (m,) float
        Unrounded value times the direction sign, in the KPI's unit, without the offset.
    offset : (m,) float
        What must stay off the grid and comes on top of the steps: the rest of a cell whose lock or range no multiple
        keeps; for inner parts the sum of those below.
    step : (m,) float
        Rounding step of the KPI.
    low, high : (m,) int
        Least and largest count of steps that the limits of single cells allow; for inner parts the sum of the
        children's. `low > high` where there is no such count.
    last : (m,) int
        The parts below part i in its roll-up are i + 1 ... last[i] - 1.
    flows : tuple of FlowParts
        The KPIs whose targets add up over periods as well.
    """

    node: Integers
    kpi: Integers
    unit: Integers
    parent: Integers
    depth: Integers
    cell: Integers
    value: Floats
    offset: Floats
    step: Floats
    low: Integers
    high: Integers
    last: Integers
    flows: tuple[FlowParts, ...] = ()

    def __len__(self) -> int:
        return len(self.node)

    @cached_property
    def steps(self) -> Floats:
        """Unrounded value in steps, (m,) float; whole where it is so but for noise."""
        return snapped(self.value / self.step)

    @cached_property
    def is_own(self) -> NDArray[np.bool_]:
        """Which parts are own parts of an inner unit, (m,) bool."""
        return np.asarray((self.parent >= 0) & (self.node == self.node[self.parent]))

    @cached_property
    def is_inner(self) -> NDArray[np.bool_]:
        """Which parts are the sum of others, (m,) bool."""
        inner = np.zeros(len(self), dtype=bool)
        inner[self.parent[self.parent >= 0]] = True
        return inner

    @cached_property
    def children_by_depth(self) -> tuple[Integers, ...]:
        """The parts that have a parent, by depth, deepest first."""
        children = np.flatnonzero(self.parent >= 0)
        order = np.argsort(-self.depth[children], kind="stable")
        children = children[order]
        return tuple(np.split(children, np.flatnonzero(np.diff(self.depth[children])) + 1)) if len(children) else ()

    @cached_property
    def top(self) -> Integers:
        """The part at the top of each part's roll-up, itself where it has no parent, (m,) int."""
        top = np.arange(len(self))
        for children in reversed(self.children_by_depth):
            top[children] = top[self.parent[children]]
        return top

    @cached_property
    def off_grid(self) -> Integers:
        """The parts that limits of their own keep off the grid."""
        return np.flatnonzero((self.offset != 0.0) & ~self.is_inner)

    def rolled_up(self, counts: NDArray[Any]) -> NDArray[Any]:
        """Replace the count of every inner part by the sum of its children's; `counts`, (m,) int or float."""
        total = np.where(self.is_inner, 0, counts)
        for children in self.children_by_depth:
            np.add.at(total, self.parent[children], total[children])
        return total


def noise(steps: Floats) -> Floats:
    """Differences in steps that mean nothing: 1e-6 of a step, more where a value has very many steps."""
    return np.clip(1e-9 * np.abs(steps), 1e-6, 1e-3)


def nearest(steps: Floats) -> Integers:
    """Nearest whole count of `steps`, (m,) float, halves up, (m,) int."""
    return np.floor(steps + 0.5 + noise(steps)).astype(np.int64)


def snapped(steps: Floats) -> Floats:
    """Return the whole number where there is one but for noise, else `steps`, (m,) float."""
    whole = np.rint(steps)
    return np.where(np.abs(steps - whole) <= noise(steps), whole, steps)


def binned(remainder: Floats, quantum: Floats | float = 1e-6) -> Floats:
    """Give each `remainder`, (m,) float, that differs by noise only the same number; `quantum`, (m,) float."""
    return np.floor(remainder / quantum + TIE_OFFSET)
