"""The nearest limits at which whole numbers make another plan: found by a program for them, then solved there.

What more brings is the least limit at which a step of the order gets better with those before it kept; what less costs
begins below the largest of the least uses that keep the value of each step. What is told about either is the plan
solved at that limit. Where continuous amounts use the limit too, values may change by degrees from there on: then the
plan is solved some way past that limit, and the limit up to which nothing changes is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor, gcd, lcm, log10

import numpy as np

from kpiopt.deadline import Deadline
from kpiopt.errors import LimitReached, Uncertified
from kpiopt.program.formulation.blocks import Integers, LinearProgram, Objective
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.constraints import Limit
from kpiopt.program.order.steps import InfeasibleProgram, Solution, append_row
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.other_solver import open_session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, fix_columns
from kpiopt.program.trust.tolerances import USED_UP
from kpiopt.program.trust.whole_tree import worst_allowed

BETTER = 1e-6
"""By which share of its size a step gets better where a limit is looked for: far above what a solver errs by."""
SMALLEST_MOVE = 1e-6
"""Share of a limit that is taken away where nothing says what the next smaller use is."""
BY_DEGREES = 1.5
"""Where twice the way changes a value more than this many times as much, it changes by degrees and not at once."""
EDGE_DIGITS = 7
"""To which a limit is known from which on values change by degrees."""
DIGITS = 12
"""To which the use of a limit is known."""


@dataclass(frozen=True)
class NextStep:
    """What the plan would be at the nearest limit at which whole numbers can change, found by solving it there.

    Attributes
    ----------
    limit : float
        In the resource's unit.
    step : str or None
        First step of the order that gets another value; None where none does at this limit (what lies beyond it was
        not tried), or where there is no plan.
    change : float
        By how much that value grows; below 0 it gets better.
    start : float or None
        The limit up to which no step's value changes, where that is not known to be the limit before this one.
    at_once : bool
        Whether what is told holds from `start` on, however little is taken away.
    other_levels : bool
        Whether initiatives have other levels there.
    """

    limit: float
    step: str | None
    change: float
    has_plan: bool = True
    start: float | None = None
    at_once: bool = False
    other_levels: bool = False


class NotFound(Exception):
    """The search ended without an answer."""


class NextLimits:
    """Looks for the nearest other plans of one limit."""

    def __init__(self, cascade: Cascade, limit: Limit, solution: Solution, deadline: Deadline) -> None:
        self.cascade, self.limit, self.solution, self.deadline = cascade, limit, solution, deadline
        self.options = SolverOptions(deadline=deadline)
        self.arrays = cascade.program.arrays()
        self.taken = self.arrays.matrix[[limit.row]].toarray()[0]
        self.side = float(self.arrays.row_upper[limit.row])

    def more(self) -> NextStep | None:
        """Return the first plan that more of the limit makes better; None where no more does, which is proved.

        Raises
        ------
        NotFound
            Where that is not known.
        LimitReached
            Where the deadline ends it.
        """
        reach = np.where(self.taken > 0.0, self.arrays.column_upper, self.arrays.column_lower)
        most = max(self.side, float(self.taken @ reach)) + 1.0
        least = self._first_better(most, BETTER)
        if least == most:
            if self.at(most - self.side).step is not None:
                raise NotFound
            return None
        found = self.at(least - self.side)
        if found.step is None:
            raise NotFound
        if self._grid() is not None or not self._is_hardly_better(found):
            return found
        return self._by_degrees(least, most)

    def less(self) -> NextStep:
        """Return the first plan that less of the limit makes worse.

        Raises
        ------
        NotFound
            Where it was not found.
        LimitReached
            Where the deadline ends it.
        """
        uses = [self._least_use(posed, self.side) for posed in self._keeping()]
        if None in uses:
            raise NotFound
        least = max(use for use in uses if use is not None)
        if not self.has_less(least):
            raise NotFound
        grid = self._grid()
        found = self._below(least) if grid is None else self.at(least - grid - self.side)
        if found.has_plan and found.step is None:
            raise NotFound
        return found

    def _first_better(self, most: float, share: float) -> float:
        """Return the least limit at which a step is better by a share of its size; `most` where there is none."""
        least = most
        for posed in self._better(share):
            uses = self._least_use(posed, least)
            least = least if uses is None else min(least, uses)
        return least

    def _is_hardly_better(self, found: NextStep) -> bool:
        value = next(step.value for step in self.solution.steps if step.label == found.step)
        return abs(found.change) <= BY_DEGREES * BETTER * max(1.0, abs(value))

    def _by_degrees(self, least: float, most: float) -> NextStep:
        """Return a plan some way past the limit from which on values get better by degrees."""
        ahead = self._first_better(most, 2.0 * BETTER)
        edge = float(f"{max(self.limit.value, self._told(2.0 * least - ahead)):.{EDGE_DIGITS}g}")
        found = self.at(max(least - self.side, edge + self._way() - self.limit.value))
        if found.step is None:
            raise NotFound
        return replace(found, start=edge)

    def _below(self, least: float) -> NextStep:
        """Return what is below a limit: at once where values jump there, some way below where they do not."""
        hair = SMALLEST_MOVE * max(1.0, abs(least))
        near, start = self.at(least - hair - self.side), self._told(least)
        if not near.has_plan:
            return replace(near, start=start, at_once=True)
        if near.step is not None:
            further = self.at(least - 2.0 * hair - self.side)
            if further.step == near.step and abs(further.change) < BY_DEGREES * abs(near.change):
                return replace(near, start=start, at_once=True)
        edge = float(f"{start:.{EDGE_DIGITS}g}")
        there = edge - self._way()
        if not self.has_less(there + self.side - self.limit.value):
            there = edge / 2.0
        return replace(self.at(there - self.limit.value), start=edge)

    def has_less(self, side: float) -> bool:
        """Whether there can be less than a side: not below 0 of a resource."""
        return not self.limit.resource or self._told(side) > 0.0

    def _way(self) -> float:
        """Return how far past a limit is looked where values change by degrees: a fifth to a fiftieth of the limit."""
        size = abs(self.limit.value)
        return 10.0 ** floor(log10(size / 5.0)) if size > 0.0 else 1.0

    def _told(self, side: float) -> float:
        """Return a side of the row as the limit that it is."""
        return float(f"{self.limit.value + side - self.side:.{DIGITS}g}")

    def at(self, change: float) -> NextStep:
        """Solve the program with the limit moved.

        Raises
        ------
        NotFound
            Where that ends without a proof.
        LimitReached
            Where the deadline ends it.
        """
        rows, program, limit = [], self.cascade.program, self.limit
        for block in program.rows:
            upper = block.upper.copy()
            if block.start <= limit.row < block.start + len(block):
                upper[limit.row - block.start] += change
            rows.append(replace(block, upper=upper))
        moved = self._told(self.side + change)
        try:
            found, other_levels = self._solved(replace(program, rows=tuple(rows)))
        except InfeasibleProgram:
            return NextStep(moved, None, 0.0, has_plan=False)
        except Uncertified:
            raise NotFound from None
        except LimitReached:
            if self.deadline.is_over:
                raise
            raise NotFound from None
        for now, then in zip(self.solution.steps[: len(program.objectives)], found.steps, strict=False):
            if abs(then.value - now.value) > USED_UP * max(1.0, abs(now.value)):
                return NextStep(moved, now.label, then.value - now.value, other_levels=other_levels)
        return NextStep(moved, None, 0.0, other_levels=other_levels)

    def _solved(self, program: LinearProgram) -> tuple[Solution, bool]:
        """Solve a moved program; also say whether initiatives have other levels there.

        The plan's own levels are tried first and given up for better ones alone: where they are given up, no plan with
        them is as good, and which of the others is closest to the reference need not be known.
        """
        whole, level = self.arrays.integer, self.cascade.columns.level
        if program.reference is not None and np.all(np.isin(np.flatnonzero(whole), level.positions)):
            found = solve_program(replace(program, reference=None), self.options, near=self.solution)
            if np.any(np.rint(found.x[whole] - self.solution.x[whole])):
                return found, True
        found = solve_program(program, self.options, near=self.solution)
        now, then = level.of(self.solution.x), level.of(found.x)
        return found, not np.allclose(then, now, rtol=SMALLEST_MOVE, atol=SMALLEST_MOVE)

    def _kept(self) -> Iterator[tuple[Objective, float, float]]:
        """Yield every objective with its value and the value that later steps leave it."""
        for objective, step in zip(self.cascade.program.objectives, self.solution.steps, strict=False):
            yield objective, step.value, worst_allowed(step.value, objective.slack)

    def _better(self, share: float) -> Iterator[ProgramArrays]:
        """Yield for each step the program of the plans in which it is better and those before it are kept."""
        kept = self.arrays
        for objective, value, allowed in self._kept():
            size = max(1.0, abs(value))
            yield append_row(kept, objective.cost, value - share * size - objective.offset)
            kept = append_row(kept, objective.cost, allowed + USED_UP * size - objective.offset)

    def _keeping(self) -> Iterator[ProgramArrays]:
        """Yield the programs of the plans that keep a step's value: of each with slack, and of all others together.

        With slack no single plan need have all values of the order, but for each there has to be one.
        """
        kept, last = self.arrays, len(self.cascade.program.objectives) - 1
        if last < 0:
            yield kept
        for position, (objective, value, allowed) in enumerate(self._kept()):
            room = USED_UP * max(1.0, abs(value)) - objective.offset
            if objective.slack > 0.0 or position == last:
                yield append_row(kept, objective.cost, value + room)
            kept = append_row(kept, objective.cost, allowed + room)

    def _least_use(self, posed: ProgramArrays, side: float) -> float | None:
        """Return the least use of the limit in a program, up to a side; None where it has no plan."""
        upper = posed.row_upper.copy()
        upper[self.limit.row] = side
        posed = replace(posed, row_upper=upper, cost=self.taken, offset=0.0)
        answer = open_session(posed, self.options).solve()
        if answer.status in (Status.INFEASIBLE, Status.BORDERLINE):
            return None
        if answer.status is not Status.OPTIMAL:
            self.deadline.require("the next steps were found")
            raise NotFound
        whole = np.flatnonzero(posed.integer)
        fixed = fix_columns(posed, whole, np.rint(answer.x[whole]))
        exact = open_session(fixed, self.options).solve()
        if exact.status is not Status.OPTIMAL:
            raise NotFound
        return float(f"{self.taken @ exact.x:.{DIGITS}g}")

    def _grid(self) -> float | None:
        """Return the largest amount of which every use of the limit is a multiple, None where there is none."""
        actions, level = self.cascade.columns.actions, self.cascade.columns.level
        parts = list[Floats]()
        decided = self.arrays.integer.copy()
        parts.append(self.taken[self.arrays.integer])
        if len(actions.level):
            places: Integers = level.positions[actions.level[actions.choice_of]]
            parts.append(self.taken[places] * actions.value)
            parts.append(self.taken[actions.on.positions])
            decided[places] = decided[actions.on.positions] = True
        if np.any(self.taken[~decided]):
            return None
        fine = [Fraction(f"{v:.{DIGITS}g}") for v in np.concatenate(parts).tolist() if v]
        if not fine:
            return None
        under = lcm(*(f.denominator for f in fine))
        grid = gcd(*(int(f * under) for f in fine)) / under
        return grid if grid > SMALLEST_MOVE * max(abs(float(v)) for v in fine) else None
