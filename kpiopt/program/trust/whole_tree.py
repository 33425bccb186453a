"""A proof that a plan with whole numbers is the best one of a strict order, checked without any solver.

The order minimises f_0, f_1, … one after the other, linear steps first, the separable quadratic reference last:

    f_k(x) = sum_j weight_kj (x_j - centre_kj)^2 + cost_k'x + offset_k,      z_k = f_k(witness_k)

Later steps live where f_k <= L_k = z_k + slack_k |z_k|; without slack the witness is the plan itself. Claimed is, for
every k: no point of the program with f_i <= L_i for all i < k has f_k < z_k.

The proof is one tree for all steps. A node splits a whole-number column (x_j <= v, or x_j >= v + 1). A record puts
multipliers y of the rows and of the limits f_i <= L_i at a node; whatever y is, no point of its box has less than

    sum_i y_i side_i + sum_j min { weight_j (x - centre_j)^2 + (cost - A'y)_j x : x in box_j, whole where j is }

(and where cost and weight are left out, a bound above 0 says that the node holds no point at all). A record of an
earlier step whose bound is above that step's limit closes its node for all later steps. To rule points out a bound has
to hold also where rows may be missed by a slip that rounding explains, `paid` = sum_i |y_i| slip_i: no choice is lost
to rounding. Of choices with the same reference the one that has less of the last level by name goes first, then of the
one before it: no level is there that nothing asks for, and of those that are alike the first have more. What has no
part in the reference goes by name after that, more of it first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot, row_sizes
from kpiopt.program.trust.certificate import (
    Certificate,
    linear_bound,
    primal_residual,
    quadratic_bound,
    verify_infeasible,
)
from kpiopt.program.trust.exact import exact_dot
from kpiopt.program.trust.tolerances import (
    BORDERLINE,
    CERTIFIED,
    PROVED_CHOICE,
    ROW_SLIP,
    SAME_REFERENCE,
    VALUE_SLIP,
)

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class OrderStep:
    """One step of the order and the point that shows its value.

    Attributes
    ----------
    cost : (n,) float
    witness : (n,) float
        A point of value z; the plan itself where there is no slack.
    weight, centre : (n,) float or None
        Of the reference, which is the last step.
    """

    cost: Floats
    offset: float
    slack: float
    witness: Floats
    weight: Floats | None = None
    centre: Floats | None = None

    def value(self, x: Floats) -> float:
        """Return f(x), the linear part correctly rounded."""
        bent = 0.0 if self.weight is None or self.centre is None else dot(self.weight, (x - self.centre) ** 2)
        return exact_dot(self.cost, x, self.offset) + bent

    @cached_property
    def best(self) -> float:
        """The value of the witness."""
        return self.value(self.witness)

    @property
    def limit(self) -> float:
        """What later steps may bring the value to."""
        return worst_allowed(self.best, self.slack)

    def size(self, reach: Floats) -> float:
        """Return what a gap of this step is compared with, `reach` being the largest sizes of the columns."""
        if self.weight is not None:
            return max(self.best, 1e-6)
        return max(abs(self.best - self.offset), min(1.0, dot(np.abs(self.cost), reach))) or 1.0


def worst_allowed(value: float, slack: float) -> float:
    """Return what later steps may bring a value to."""
    return value + slack * abs(value)


@dataclass(frozen=True)
class TreeProof:
    """The tree and its records.

    Attributes
    ----------
    steps : tuple of OrderStep
        Empty where the claim is that there is no plan at all.
    plan : (n,) float
        The published point; empty without steps.
    names : (whole,) int
        The whole-number columns in the order that decides ties.
    splits : (nodes, 4) int
        Column (-1: none), v, left and right child.
    records : (records, 4) int
        Step, node, row of `multipliers`, 1 where cost and weight are left out.
    multipliers : (vectors, m + linear steps) sparse CSR, float
    """

    steps: tuple[OrderStep, ...]
    plan: Floats
    names: Integers
    splits: Integers
    records: Integers
    multipliers: sp.csr_array


class Bound(NamedTuple):
    """What a record proves: a value that no point of its node goes below, and how much less where rows slip."""

    value: float
    paid: float

    @property
    def sure(self) -> float:
        """The bound where rows may slip."""
        return self.value - self.paid


class Relaxation:
    """A program with a row for the limit of each earlier step: what bounds of a step are computed over.

    Parameters
    ----------
    earlier : sequence of OrderStep
        Linear steps, with their witnesses.
    """

    def __init__(self, arrays: ProgramArrays, earlier: Sequence[OrderStep]) -> None:
        whole = arrays.integer
        lower = np.where(whole, np.ceil(arrays.column_lower), arrays.column_lower)
        upper = np.where(whole, np.floor(arrays.column_upper), arrays.column_upper)
        self.reach = np.maximum(np.abs(lower), np.abs(upper))
        limits = np.array([step.limit - step.offset for step in earlier])
        sides = [np.where(np.isfinite(a), np.abs(a), 0.0) for a in (arrays.row_lower, arrays.row_upper)]
        self._side = np.maximum(*sides)
        self.row_size = np.maximum(self._side, row_sizes(arrays.matrix, self.reach))
        self.limit_slip = np.array([limit_slip(step, self.reach) for step in earlier])
        self.slip = np.concatenate([ROW_SLIP * self.row_size, self.limit_slip])
        matrix = sp.csr_array(sp.vstack([arrays.matrix, *(sp.csr_array(step.cost[None, :]) for step in earlier)]))
        self.arrays = replace(
            arrays,
            matrix=matrix,
            row_lower=np.concatenate([arrays.row_lower, np.full(len(limits), -np.inf)]),
            row_upper=np.concatenate([arrays.row_upper, limits]),
            column_lower=lower,
            column_upper=upper,
        )

    def within(self, low: Floats, high: Floats) -> ProgramArrays:
        """Return the program with its whole numbers within [low, high]."""
        ends = self.arrays.column_lower.copy(), self.arrays.column_upper.copy()
        ends[0][self.arrays.integer], ends[1][self.arrays.integer] = low, high
        return replace(self.arrays, column_lower=ends[0], column_upper=ends[1])

    def slip_of(self, within: ProgramArrays) -> Floats:
        """Return by how much rounding may let each row be missed where columns are within their boxes."""
        reach = np.maximum(np.abs(within.column_lower), np.abs(within.column_upper))
        sizes = row_sizes(within.matrix, reach)[: len(self._side)]
        return np.concatenate([ROW_SLIP * np.maximum(self._side, sizes), self.limit_slip])

    def bound(self, step: OrderStep | None, multipliers: Floats, low: Floats, high: Floats) -> Bound:
        """Bound a step (none: the claim that there is no point) over whole numbers within [low, high]."""
        y = multipliers[: self.arrays.n_rows]
        cost = np.zeros(self.arrays.n_columns) if step is None else step.cost
        posed = replace(self.within(low, high), cost=cost)
        if step is None or step.weight is None or step.centre is None:
            value = linear_bound(posed, y)
        else:
            value = quadratic_bound(posed, step.weight, step.centre, y)
        if step is not None and step.offset:
            value = math.nextafter(value + step.offset, -math.inf)
        return Bound(value, float(np.abs(y) @ self.slip_of(posed)) * (1.0 + 1e-9))


def limit_slip(step: OrderStep, reach: Floats) -> float:
    """Return by how much the limit of a step may be missed."""
    return VALUE_SLIP * max(abs(step.best) if step.slack else 0.0, step.size(reach))


def tie_order(step: OrderStep, names: Integers) -> list[tuple[int, float]]:
    """Return the whole numbers in the order that decides ties, each with the sign of what goes first: -1 for less."""
    counts = np.zeros(len(step.cost)) if step.weight is None else step.weight
    levels = [(j, -1.0) for j in reversed(names.tolist()) if counts[j] > 0.0]
    return levels + [(j, 1.0) for j in names.tolist() if counts[j] <= 0.0]


def comes_after(step: OrderStep, plan: Floats, names: Integers, box: dict[int, tuple[float, float]]) -> bool:
    """Whether no choice in a box goes before the plan's."""
    for j, sign in tie_order(step, names):
        first = sign * box[j][1 if sign > 0.0 else 0]
        if first != sign * plan[j]:
            return bool(first < sign * plan[j])
    return True


def verify_tree(arrays: ProgramArrays, proof: TreeProof) -> tuple[Certificate, ...]:
    """Check a proof; return one certificate for each step, or the one that says that there is no plan.

    Parameters
    ----------
    arrays : ProgramArrays
        The program; its cost is not looked at.
    """
    count = max(len(proof.steps), 1)
    if not _is_sound(arrays, proof):
        return (_failed(proof),) * count
    check = _Check(arrays, proof)
    if not check.read_tree():
        return (_failed(proof),) * count
    if not proof.steps:
        return (check.nothing(),)
    return tuple(check.step(k) for k in range(len(proof.steps)))


def _failed(proof: TreeProof) -> Certificate:
    kind = "optimal" if proof.steps else "infeasible"
    return Certificate(kind, passed=False, primal_residual=math.inf, relative_gap=math.inf)


def _is_sound(arrays: ProgramArrays, proof: TreeProof) -> bool:
    """Tell whether shapes agree, numbers are finite and steps are of the kinds that the claim is about."""
    m, n = arrays.matrix.shape
    vectors = [proof.plan, *(s.witness for s in proof.steps), *(s.cost for s in proof.steps)]
    for step in proof.steps:
        vectors += [v for v in (step.weight, step.centre) if v is not None]
    boxes = np.concatenate([arrays.column_lower, arrays.column_upper])
    numbers = np.concatenate([arrays.matrix.data, boxes, proof.multipliers.data, *vectors])
    linear = sum(step.weight is None for step in proof.steps)
    return bool(
        (not proof.steps or all(len(v) == n for v in vectors))
        and np.all(np.isfinite(numbers))
        and all(math.isfinite(s.offset) and math.isfinite(s.slack) and s.slack >= 0.0 for s in proof.steps)
        and all(s.weight is None for s in proof.steps[:-1])
        and all(s.centre is not None and np.all(s.weight >= 0.0) for s in proof.steps if s.weight is not None)
        and sorted(proof.names.tolist()) == np.flatnonzero(arrays.integer).tolist()
        and proof.multipliers.shape[1] == m + linear
        and proof.splits.ndim == proof.records.ndim == 2
        and proof.splits.shape[1] == proof.records.shape[1] == 4
        and len(proof.splits) > 0
        and np.all((proof.records >= 0) & (proof.records[:, 1] < len(proof.splits))[:, None])
        and np.all(proof.records[:, 2] < proof.multipliers.shape[0])
        and np.all(proof.records[:, 0] < max(len(proof.steps), 1))
    )


class _Check:
    """One check of one proof."""

    def __init__(self, arrays: ProgramArrays, proof: TreeProof) -> None:
        self.arrays, self.proof = arrays, proof
        self.whole = np.flatnonzero(arrays.integer)
        linear = [step for step in proof.steps if step.weight is None]
        self.over = [Relaxation(arrays, linear[:k]) for k in range(len(proof.steps) or 1)]
        self.reach = self.over[0].reach
        self.boxes: list[tuple[Floats, Floats] | None] = [None] * len(proof.splits)
        self.at: dict[int, list[int]] = {}
        for r, (_, node, _, _) in enumerate(proof.records.tolist()):
            self.at.setdefault(node, []).append(r)
        self.known: dict[int, Bound] = {}

    def read_tree(self) -> bool:
        """Derive the box of every node from the branchings; False where they are no tree."""
        place = {j: i for i, j in enumerate(self.whole.tolist())}
        lower, upper = self.over[0].arrays.column_lower, self.over[0].arrays.column_upper
        self.boxes[0] = lower[self.whole], upper[self.whole]
        todo = [0]
        while todo:
            node = todo.pop()
            column, v, *children = self.proof.splits[node].tolist()
            if column < 0:
                continue
            low, high = self.box(node)
            i = place.get(column, -1)
            fresh = all(0 < child < len(self.boxes) and self.boxes[child] is None for child in children)
            if i < 0 or children[0] == children[1] or not fresh or not low[i] <= v < high[i]:
                return False
            below, above = high.copy(), low.copy()
            below[i], above[i] = v, v + 1
            self.boxes[children[0]], self.boxes[children[1]] = (low, below), (above, high)
            todo += children
        return all(box is not None for box in self.boxes)

    def box(self, node: int) -> tuple[Floats, Floats]:
        """Return the whole numbers' box at a node."""
        box = self.boxes[node]
        assert box is not None
        return box

    def bound(self, r: int) -> Bound:
        """Return what a record proves."""
        if r not in self.known:
            k, node, vector, is_empty = self.proof.records[r].tolist()
            y = self.proof.multipliers[[vector]].toarray()[0]
            step = None if is_empty else self.proof.steps[k]
            self.known[r] = self.over[k].bound(step, y, *self.box(node))
        return self.known[r]

    def nothing(self) -> Certificate:
        """Certify that the program has no point."""
        margin = math.inf
        todo = [0]
        while todo:
            node = todo.pop()
            shares = [self._margin(r) for r in self.at.get(node, ()) if self.proof.records[r, 3]]
            if max(shares, default=0.0) > 0.0:
                margin = min(margin, max(shares))
            elif self.proof.splits[node, 0] >= 0:
                todo += self.proof.splits[node, 2:].tolist()
            else:
                return replace(_failed(self.proof), margin=0.0)
        return Certificate("infeasible", passed=margin > BORDERLINE, margin=margin)

    def _margin(self, r: int) -> float:
        """Return by what share of what they ask the rows contradict the node's box; 0 where they do not for certain."""
        found = self.bound(r)
        if found.sure <= 0.0:
            return 0.0
        _, node, vector, _ = self.proof.records[r].tolist()
        y, within = self.proof.multipliers[[vector]].toarray()[0], self.over[0].within(*self.box(node))
        return verify_infeasible(within, y[: within.n_rows]).margin * found.sure / found.value

    def step(self, k: int) -> Certificate:
        """Certify one step: its witness is a point of the order's program, and no point is better."""
        step = self.proof.steps[k]
        points = [(step.witness, k)]
        if k == len(self.proof.steps) - 1:
            points.append((self.proof.plan, len(self.over[k].limit_slip)))
        residual = max(self._residual(x, earlier) for x, earlier in points)
        if step.weight is None:
            over = step.value(self.proof.plan) - step.limit
            residual = max(residual, 0.0 if over <= limit_slip(step, self.reach) else math.inf)
            is_own = step.slack > 0.0 or np.array_equal(step.witness, self.proof.plan)
            residual = residual if is_own else math.inf
        gap, value = self._gap(k), step.best
        passed = residual <= CERTIFIED and gap <= CERTIFIED
        return Certificate("optimal", passed, residual, gap, value, value - gap * step.size(self.reach))

    def _residual(self, x: Floats, earlier: int) -> float:
        """Return by what share a point misses a row or box; without end where it is no point of the order's program.

        Whole numbers are whole, and what they alone decide holds to rounding.
        """
        arrays, over = self.over[earlier].arrays, self.over[earlier]
        if np.any(x[self.whole] != np.rint(x[self.whole])):
            return math.inf
        if np.any(x < arrays.column_lower) or np.any(x > arrays.column_upper):
            return math.inf
        m = self.arrays.n_rows
        activity = arrays.matrix @ x
        missed = np.maximum(arrays.row_lower - activity, activity - arrays.row_upper)
        free = ~arrays.integer & (arrays.column_lower < arrays.column_upper)
        decided = row_sizes(self.arrays.matrix, free.astype(float)) == 0.0
        rounding = over.slip + 1e-15 * np.append(over.row_size, abs(arrays.matrix[m:]) @ np.abs(x))
        if np.any(missed[m:] > rounding[m:]) or np.any((missed[:m] > rounding[:m]) & decided):
            return math.inf
        return primal_residual(self.arrays, x)[0]

    def _gap(self, k: int) -> float:
        """Walk down the tree until every branch is closed for a step; return the widest gap, inf where one is open."""
        gap, todo = 0.0, [0]
        while todo:
            node = todo.pop()
            if any(self._rules_out(r, k) for r in self.at.get(node, ())):
                continue
            own = [r for r in self.at.get(node, ()) if self.proof.records[r, 0] == k and not self.proof.records[r, 3]]
            here = min((self._left_open(k, node, self.bound(r)) for r in own), default=math.inf)
            if here < math.inf:
                gap = max(gap, here)
            elif self.proof.splits[node, 0] >= 0:
                todo += self.proof.splits[node, 2:].tolist()
            else:
                return math.inf
        return gap

    def _rules_out(self, r: int, k: int) -> bool:
        """Whether a record leaves no point of its node to step k."""
        i, _, _, is_empty = self.proof.records[r].tolist()
        if i > k:
            return False
        if is_empty:
            return self.bound(r).sure > 0.0
        step = self.proof.steps[i]
        return bool(i < k and self.bound(r).sure > step.limit + limit_slip(step, self.reach))

    def _left_open(self, k: int, node: int, found: Bound) -> float:
        """Return what a bound leaves open at its node, as a share of the step's size; inf where that is too much."""
        step, plan = self.proof.steps[k], self.proof.plan
        size, value = step.size(self.reach), step.best
        is_last = step.weight is not None
        gap = (value - found.value) / size
        if self._is_alone(node, step.witness):
            gap, most = abs(gap), CERTIFIED
        elif is_last and self._is_alone(node, plan):
            gap, most = abs(step.value(plan) - found.value) / size, CERTIFIED
        else:
            most = PROVED_CHOICE
        if gap > most:
            return math.inf
        if is_last and found.sure < value + SAME_REFERENCE * size and not self._comes_after(node):
            return math.inf
        if is_last and self._is_alone(node, plan) and step.value(plan) > value + SAME_REFERENCE * size:
            return math.inf
        return max(gap, 0.0)

    def _is_alone(self, node: int, x: Floats) -> bool:
        """Whether a node holds the choice of a point and no other: only there rounding may count."""
        low, high = self.box(node)
        return bool(np.all(low == x[self.whole]) and np.all(high == x[self.whole]))

    def _comes_after(self, node: int) -> bool:
        low, high = self.box(node)
        box = dict(zip(self.whole.tolist(), zip(low.tolist(), high.tolist(), strict=True), strict=True))
        return comes_after(self.proof.steps[-1], self.proof.plan, self.proof.names, box)
