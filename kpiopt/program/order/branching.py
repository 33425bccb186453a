"""The search for a proof over whole numbers: a tree of branchings that writes down why each branch is closed.

Nothing here is trusted: bounds are those of `kpiopt.program.trust.whole_tree`, which checks the finished tree again.
Every step of the order goes on with the branches that the steps before it left open, so that one tree serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp

from kpiopt.program.formulation.blocks import Integers, Reference
from kpiopt.program.order.pieces import in_pieces
from kpiopt.program.order.root_box import implied_levels
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.interior import scale_program, solve_interior
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, column_sums
from kpiopt.program.trust.tolerances import CERTIFIED, PROVED_CHOICE, SAME_REFERENCE, VALUE_SLIP, WHOLE
from kpiopt.program.trust.whole_tree import Bound, OrderStep, Relaxation, TreeProof, limit_slip

NODES = 4_000
"""Nodes of the tree at which the search gives up."""
TOLD = 100
"""Nodes after which a long search says again how far it is."""
MARGIN = 0.5
"""Share of what the check allows that the search uses."""
RESTARTS = 30
"""How often the last step's tree is begun anew at a better choice: one that aims at the plan itself is far smaller."""
PREFERRED = 0.5
"""Share of the first level's part in the reference by which proposals prefer what goes first of equal choices."""
NEARLY = 1e-3
"""Distance from a whole number that the search takes for one where it only looks for a proposal."""
PASSES = 8
"""How often what single limits leave of levels is passed on to other levels, at most."""


class Rivals(Protocol):
    """The choices known so far, as the search of one step sees them."""

    @property
    def step(self) -> OrderStep:
        """The step with the point of the best known value; an empty witness where no choice is known."""

    @property
    def choice(self) -> list[float]:
        """The whole numbers of the plan as it would be published now, none where no choice is known."""

    def propose(self) -> None:
        """Look for a better choice outside the tree, once in a step."""

    def consider(self, levels: Floats) -> None:
        """Evaluate a choice, and take it where it is better."""

    def point(self, levels: Floats) -> Floats | None:
        """Return the plan of one choice, None where it has none."""

    def is_behind(self, low: Floats, high: Floats) -> bool:
        """Whether every choice within a box gives way to the best one where both are equally good."""

    def undecided(self, low: Floats, high: Floats) -> tuple[int, float] | None:
        """Return the first whole number that tells a box's choices from the best one, and where; None where all do."""

    def tell(self, branchings: int, lowest: float) -> None:
        """Say how far a long search is: no open branch has less than `lowest`."""

    def giving_way(self) -> Floats:
        """Return how early each whole number gives way where choices are equally good, from 0 to 1."""


class TreeTooLarge(Exception):
    """The search has given up; no point of the open branches has less than `lowest`."""

    def __init__(self, lowest: float) -> None:
        super().__init__(lowest)
        self.lowest = lowest


class _Relaxed(NamedTuple):
    """What the program without whole numbers says about a node."""

    multipliers: Floats
    bound: Bound
    x: Floats | None


@dataclass
class _Open:
    """A node that is yet to be closed, the bound of its parent, and its multipliers where they may do for both."""

    node: int
    inherited: float
    multipliers: Floats | None = None


class Branching:
    """One tree for all steps.

    Attributes
    ----------
    root : int
        The node that holds all that single limits leave.
    """

    def __init__(self, arrays: ProgramArrays, options: SolverOptions) -> None:
        self.arrays, self.whole = arrays, np.flatnonzero(arrays.integer)
        self._options = replace(options, solver="highs", method="simplex")
        low, high = np.ceil(arrays.column_lower[self.whole]), np.floor(arrays.column_upper[self.whole])
        self.boxes = [(low, high)]
        self.splits = [[-1, 0, -1, -1]]
        self.records: list[tuple[int, int, int, int]] = []
        self.vectors: list[Floats] = []
        self.root = 0
        self._leave_out()
        self.open, self._first = [self.root], len(self.splits)

    def _leave_out(self) -> None:
        """Split off the levels that a single limit rules out, where that leaves much less of them."""
        over = Relaxation(self.arrays, ())
        for _ in range(PASSES):
            before = self.root
            for implied in list(implied_levels(self.arrays, self.whole, *self.boxes[before])):
                (low, high), i = self.boxes[self.root], implied.i
                v = implied.level if implied.is_most else implied.level - 1.0
                if not low[i] <= v < high[i]:
                    continue
                outside = (low.copy(), high) if implied.is_most else (low, high.copy())
                outside[0 if implied.is_most else 1][i] = v + implied.is_most
                ray = np.zeros(self.arrays.n_rows)
                ray[implied.row] = implied.sign
                if over.bound(None, ray, *outside).sure > 0.0:
                    children = self.branch(self.root, i, v)
                    self.root, beyond = children if implied.is_most else reversed(children)
                    self.note(0, beyond, ray, is_empty=True)
            if self.root == before:
                return

    def settle(self, position: int, over: Relaxation, rivals: Rivals) -> None:
        """Close every open branch for a step; those that only this step closes stay open for the next.

        Raises
        ------
        TreeTooLarge, KeyboardInterrupt
        """
        search = _StepSearch(self, position, over, rivals, self._options)
        mark, left = (len(self.splits), len(self.records), len(self.vectors)), RESTARTS
        search.dive()
        while (closed := self._close_all(search, can_restart=left > 0)) is None:
            self._forget(mark)
            left -= 1
        step = rivals.step
        if len(step.witness):
            limit = step.limit + 1.5 * limit_slip(step, over.reach)
            self.open = [node for node, sure in closed if sure <= limit]

    def is_late(self) -> bool:
        """Whether the time is up."""
        return self._options.deadline.is_over

    def _close_all(self, search: _StepSearch, *, can_restart: bool) -> list[tuple[int, float]] | None:
        """Close every open branch; None where a better choice is found after a start that aimed at another one."""
        todo = [_Open(node, -np.inf) for node in reversed(self.open)]
        closed: list[tuple[int, float]] = []
        told = (len(self.splits) - self._first) // TOLD
        aim = search.rivals.choice
        while todo:
            if len(self.splits) - self._first > NODES or self.is_late():
                raise TreeTooLarge(min(entry.inherited for entry in todo))
            closed += search.close(todo.pop(), todo)
            if todo and (count := len(self.splits) - self._first) // TOLD > told:
                told = count // TOLD
                search.rivals.tell(count, min(entry.inherited for entry in todo))
            if can_restart and search.reference is not None and todo and search.rivals.choice != aim:
                return None
        return closed

    def _forget(self, mark: tuple[int, int, int]) -> None:
        """Go back to where a step began."""
        nodes, records, vectors = mark
        del self.splits[nodes:], self.boxes[nodes:], self.records[records:], self.vectors[vectors:]
        for node in self.open:
            self.splits[node] = [-1, 0, -1, -1]

    def branch(self, node: int, i: int, v: float) -> tuple[int, int]:
        """Split a node at whole number `i`: at most v, or at least v + 1."""
        (low, high), first = self.boxes[node], len(self.splits)
        below, above = high.copy(), low.copy()
        below[i], above[i] = v, v + 1.0
        self.boxes += [(low, below), (above, high)]
        self.splits += [[-1, 0, -1, -1], [-1, 0, -1, -1]]
        self.splits[node] = [int(self.whole[i]), int(v), first, first + 1]
        return first, first + 1

    def note(self, position: int, node: int, multipliers: Floats, *, is_empty: bool = False) -> None:
        """Write down what closes a node."""
        if not self.vectors or self.vectors[-1] is not multipliers:
            self.vectors.append(multipliers)
        self.records.append((position, node, len(self.vectors) - 1, int(is_empty)))

    def proof(self, steps: tuple[OrderStep, ...], plan: Floats, names: Integers) -> TreeProof:
        """Return the tree as a proof about a plan."""
        width = self.arrays.n_rows + sum(step.weight is None for step in steps)
        rows = [np.concatenate([y[:width], np.zeros(max(0, width - len(y)))]) for y in self.vectors]
        return TreeProof(
            steps, plan, names, np.array(self.splits, dtype=np.int64),
            np.array(self.records, dtype=np.int64).reshape(-1, 4),
            sp.csr_array(np.array(rows).reshape(len(rows), width)),
        )  # fmt: skip


class _StepSearch:
    """The branches of one step."""

    def __init__(
        self, tree: Branching, position: int, over: Relaxation, rivals: Rivals, options: SolverOptions
    ) -> None:
        self.tree, self.position, self.over, self.rivals = tree, position, over, rivals
        step = rivals.step
        self.reference = None
        if step.weight is not None and step.centre is not None:
            self.reference = Reference(step.weight, step.centre, step.offset)
        arrays = over.within(*tree.boxes[tree.root])
        slip = over.slip_of(arrays)
        posed = replace(
            arrays,
            cost=step.cost,
            offset=0.0,
            row_lower=arrays.row_lower - slip,
            row_upper=arrays.row_upper + slip,
            integer=np.zeros(arrays.n_columns, dtype=bool),
        )
        self.posed, self.bent = posed, self.reference
        if self.reference is not None:
            self.posed, self.bent = in_pieces(posed, self.reference, tree.whole)
            self.preferred = self.posed.cost.copy()
            self.preferred[tree.whole] += PREFERRED * self.reference.weight[tree.whole] * rivals.giving_way()
        self.session = Session(self.posed, options)

    def close(self, entry: _Open, todo: list[_Open]) -> Iterator[tuple[int, float]]:
        """Close a node or branch it; yield the nodes that are closed for this step, with their sure bounds."""
        node = entry.node
        relaxed = self._inherited(entry) or self._relax(node)
        if relaxed is None:
            return
        if not self._has_no_better(relaxed.bound):
            self.rivals.propose()
            if relaxed.x is not None:
                self._look_at(relaxed.x)
        if self._is_closed(node, relaxed.bound):
            self.tree.note(self.position, node, relaxed.multipliers)
            yield node, relaxed.bound.sure
            return
        low, high = self.tree.boxes[node]
        if np.array_equal(low, high):
            yield from self._close_choice(node, low, relaxed)
            return
        if relaxed.x is not None:
            for outside, rest in self._exclude(node, relaxed):
                node = rest
                yield outside
        low, high = self.tree.boxes[node]
        inherited = max(entry.inherited, relaxed.bound.sure)
        if np.array_equal(low, high):
            todo.append(_Open(node, inherited))
            return
        i, v, goes_up = self._pick(low, high, relaxed)
        children = self.tree.branch(node, i, v)
        y = None if self.reference is None else relaxed.multipliers
        todo += [_Open(child, inherited, y) for child in (children if goes_up else reversed(children))]

    def dive(self) -> None:
        """Look for a choice close to the reference, first by id, by fixing level after level; a proposal, no more."""
        if self.bent is None or self.reference is None:
            return
        low, high = (end.copy() for end in self.tree.boxes[self.tree.root])
        while np.any(low < high) and not self.tree.is_late():
            x = self._near(low, high, self.preferred)[1][self.tree.whole]
            off = np.where(low < high, np.abs(x - np.rint(x)), np.inf)
            now = (low < high) & ((off <= NEARLY) | (off == off.min()))
            low[now] = high[now] = np.clip(np.rint(x[now]), low[now], high[now])
        self.rivals.consider(low)

    def _inherited(self, entry: _Open) -> _Relaxed | None:
        """Return what the parent's multipliers say, where that is enough to close a node."""
        if entry.multipliers is None:
            return None
        found = self.over.bound(self.rivals.step, entry.multipliers, *self.tree.boxes[entry.node])
        return _Relaxed(entry.multipliers, found, None) if self._is_closed(entry.node, found) else None

    def _relax(self, node: int) -> _Relaxed | None:
        """Bound a node; None where it holds no point, which is written down."""
        low, high = self.tree.boxes[node]
        if self.reference is None:
            return self._solve(node, None)
        found = self._closest(low, high)
        if self._is_closed(node, found.bound):
            return found
        exact = self._solve(node, found.x)
        return exact if exact is None or exact.bound.value > found.bound.value else found

    def _solve(self, node: int, near: Floats | None) -> _Relaxed | None:
        """Bound a node by a linear program; for the reference by its tangent at a point, which is handed back."""
        low, high = self.tree.boxes[node]
        if near is not None and self.bent is not None:
            self.session.change_costs(
                self.posed.cost + 2.0 * self.bent.weight * (self._filled(near) - self.bent.centre)
            )
        self.session.change_column_bounds(self.tree.whole, low, high)
        answer = self.session.solve()
        if answer.status in (Status.INFEASIBLE, Status.BORDERLINE) and answer.ray is not None:
            for ray in (answer.ray, -answer.ray):
                if self.over.bound(None, ray, low, high).sure > 0.0:
                    self.tree.note(self.position, node, ray, is_empty=True)
                    return None
        is_optimal = answer.status is Status.OPTIMAL
        y = answer.row_dual if is_optimal else np.zeros(self.posed.n_rows)
        x = answer.x if is_optimal and near is None else near
        return _Relaxed(y, self.over.bound(self.rivals.step, y, low, high), x)

    def _closest(self, low: Floats, high: Floats) -> _Relaxed:
        """Minimise the reference without regard to whole numbers, roughly."""
        y, x = self._near(low, high, self.posed.cost)
        return _Relaxed(y, self.over.bound(self.rivals.step, y, low, high), x)

    def _near(self, low: Floats, high: Floats, cost: Floats) -> tuple[Floats, Floats]:
        """Return rough multipliers and the point closest to the reference, its whole numbers in pieces at a cost."""
        assert self.bent is not None
        lower, upper = self.posed.column_lower.copy(), self.posed.column_upper.copy()
        lower[self.tree.whole], upper[self.tree.whole] = low, high
        problem = scale_program(
            replace(self.posed, column_lower=lower, column_upper=upper), self.bent.weight, self.bent.centre
        )
        point = solve_interior(replace(problem, linear=problem.linear + cost * problem.scale))
        y, x = point.multiplier / problem.row_scale, np.clip(point.y * problem.scale, lower, upper)
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
            y, x = np.zeros(len(y)), np.clip(self._filled(self.rivals.step.witness), lower, upper)
        return y, x

    def _filled(self, x: Floats) -> Floats:
        """Return a point with a place for each piece, whose own value does not matter."""
        return np.append(x, np.zeros(self.posed.n_columns - len(x)))

    def _has_no_better(self, found: Bound) -> bool:
        """Whether no choice of a node would be taken for better than the best one; which of equals is not told."""
        step = self.rivals.step
        if self.reference is not None or not len(step.witness):
            return False
        return found.value >= step.best - VALUE_SLIP * step.size(self.over.reach)

    def _look_at(self, x: Floats) -> None:
        """Let a point whose levels are whole be a rival."""
        levels = x[self.tree.whole]
        if np.all(np.abs(levels - np.rint(levels)) <= WHOLE):
            self.rivals.consider(np.rint(levels))

    def _is_closed(self, node: int, found: Bound) -> bool:
        """Whether a bound is enough for a node that holds other choices than the best one."""
        step = self.rivals.step
        if not len(step.witness):
            return False
        size, value = step.size(self.over.reach), step.best
        if found.value < value - MARGIN * PROVED_CHOICE * size:
            return False
        is_far = self.reference is None or found.sure >= value + (1.0 + MARGIN) * SAME_REFERENCE * size
        return is_far or self.rivals.is_behind(*self.tree.boxes[node])

    def _is_tie(self, found: Bound) -> bool:
        """Whether nothing but the rule for ties is missing to close a node."""
        step = self.rivals.step
        if self.reference is None or not len(step.witness):
            return False
        return found.value >= step.value(step.witness) - MARGIN * PROVED_CHOICE * step.size(self.over.reach)

    def _close_choice(self, node: int, levels: Floats, relaxed: _Relaxed) -> Iterator[tuple[int, float]]:
        """Close a node of one choice at the plan that its own order leads to; the check judges if that is enough."""
        self.rivals.consider(levels)
        x = self.rivals.point(levels)
        exact = self._solve(node, x) if x is not None and self.reference is not None else None
        found = exact or relaxed
        self.tree.note(self.position, node, found.multipliers)
        yield node, found.bound.sure

    def _exclude(self, node: int, relaxed: _Relaxed) -> Iterator[tuple[tuple[int, float], int]]:
        """Split off the levels that the multipliers alone show to be too far; yield what is closed and what is left."""
        step = self.rivals.step
        if not len(step.witness) or relaxed.x is None:
            return
        size, value = step.size(self.over.reach), step.best
        least = max(value, step.limit + 2.0 * limit_slip(step, self.over.reach)) + relaxed.bound.paid
        least = (
            max(least, value + 2.0 * SAME_REFERENCE * size if self.reference is not None else value) + CERTIFIED * size
        )
        arrays = self.over.arrays
        y = relaxed.multipliers[: arrays.n_rows]
        d = (step.cost - column_sums(arrays.matrix, y))[self.tree.whole]
        nearest = np.rint(relaxed.x[self.tree.whole])
        for i in np.flatnonzero(self.tree.boxes[node][0] < self.tree.boxes[node][1]).tolist():
            for goes_up in (True, False):
                low, high = self.tree.boxes[node]
                part = (nearest[i] + 1.0, high[i]) if goes_up else (low[i], nearest[i] - 1.0)
                if not low[i] <= nearest[i] <= high[i] or part[0] > part[1]:
                    continue
                bound = relaxed.bound.value - self._least(i, d[i], low[i], high[i]) + self._least(i, d[i], *part)
                if bound > least:
                    first, second = self.tree.branch(node, i, nearest[i] if goes_up else nearest[i] - 1.0)
                    outside, node = (second, first) if goes_up else (first, second)
                    self.tree.note(self.position, outside, relaxed.multipliers)
                    yield (outside, bound - relaxed.bound.paid), node

    def _least(self, i: int, d: float, low: float, high: float) -> float:
        """Return the least that a whole number adds to a bound within [low, high]."""
        if self.reference is None or not self.reference.weight[j := int(self.tree.whole[i])]:
            return d * (low if d > 0.0 else high)
        w, c = float(self.reference.weight[j]), float(self.reference.centre[j])
        below = np.floor(c - d / (2.0 * w))
        tries = (min(max(v, low), high) for v in (below, below + 1.0))
        return float(min(w * (v - c) ** 2 + d * v for v in tries))

    def _pick(self, low: Floats, high: Floats, relaxed: _Relaxed) -> tuple[int, float, bool]:
        """Return the whole number to branch on, where, and which side to look at first."""
        free, x = np.flatnonzero(low < high), relaxed.x
        undecided = self.rivals.undecided(low, high) if self._is_tie(relaxed.bound) else None
        if undecided is not None:
            return *undecided, True
        if x is None:
            i = int(free[np.argmax(high[free] - low[free])])
            return i, float(np.floor((low[i] + high[i]) / 2.0)), True
        levels = x[self.tree.whole]
        share = np.abs(levels - np.rint(levels))
        i = int(free[np.argmax(share[free])])
        if share[i] <= WHOLE:
            v = float(np.clip(np.rint(levels[i]), low[i], high[i] - 1.0))
            return i, v, False
        below = np.floor(levels[i])  # the box may have shrunk since this point was found
        return i, float(np.clip(below, low[i], high[i] - 1.0)), bool(levels[i] - below > 0.5)
