"""What is counted while draws go by: bounded memory, whatever their number.

Draws come in spans of fixed bounds. Counts and sums of a span depend on nothing but the span, and spans are combined
in their order, so that the result does not depend on who computed what. The first draws of every replicate are kept
one by one, at most `KEPT_DRAWS` in all; quantiles, worst cases and paired differences are taken from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.hits import HitRule, as_rows
from kpiopt.simulation.payout import PayLimit, Payout, PayRules
from kpiopt.simulation.propagate import Block
from kpiopt.simulation.streams import Layout

KEPT_DRAWS = 1 << 16
KEPT_NUMBERS = 1 << 23
MIN_KEPT_DRAWS = 1 << 10


@dataclass(frozen=True)
class Watch:
    """What the draws are asked.

    Attributes
    ----------
    goals : HitRule
        The goals, in the scenario's order.
    people : HitRule
        Nodes with a target of their own.
    nodes : (n_watched,) int
        Nodes whose distribution is wanted.
    centre : (n_nodes,) float
        A point near the mean deviation of each node; sums are taken relative to it.
    pay_by_period : tuple of PayRules
        What falls due in each period; empty where no budget asks.
    varies : (n_nodes,) bool
        Nodes whose value differs between draws.
    pay_varies : (n_paid,) bool
        Units whose pay does.
    """

    goals: HitRule
    people: HitRule
    nodes: Integers
    centre: Floats
    payout: Payout
    pay_by_period: tuple[PayRules, ...]
    pay_limits: tuple[PayLimit, ...]
    varies: NDArray[np.bool_]
    pay_varies: NDArray[np.bool_]


@dataclass
class Counts:
    """Counts and sums of some draws.

    Attributes
    ----------
    goals, others : (n_goals,) int
        Draws that hit each goal, and draws that hit all the others.
    people : (n_people,) int
        Draws in which each node attained its target.
    sums, squares : (n_watched,) float
        Of deviations relative to the centre.
    pay : (n_paid,) float
        Of each unit's pay relative to the plan.
    total_pay, total_pay_squares : float
        Of total pay relative to the plan.
    over : (n_budgets,) int
        Draws in which pay exceeds each budget.
    """

    goals: Integers
    others: Integers
    all_goals: int
    people: Integers
    sums: Floats
    squares: Floats
    pay: Floats
    total_pay: float
    total_pay_squares: float
    over: Integers

    def add(self, other: Counts) -> None:
        """Add the counts of further draws."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def no_counts(watch: Watch) -> Counts:
    """Return the counts of no draws."""
    n_goals, n_paid = len(watch.goals.nodes), len(watch.payout.units)

    def zeros(n: int) -> Integers:
        return np.zeros(n, dtype=np.int64)

    return Counts(
        goals=zeros(n_goals),
        others=zeros(n_goals),
        all_goals=0,
        people=zeros(len(watch.people.nodes)),
        sums=np.zeros(len(watch.nodes)),
        squares=np.zeros(len(watch.nodes)),
        pay=np.zeros(n_paid),
        total_pay=0.0,
        total_pay_squares=0.0,
        over=zeros(len(watch.pay_limits)),
    )


@dataclass(frozen=True)
class Kept:
    """Draws that are kept one by one: the first ones of every replicate.

    Attributes
    ----------
    nodes : (n_watched,) int
    values : (n_watched, n_replicates, n_kept) float
        Values of the watched nodes, each in its KPI's unit.
    hits : (n_goals, n_replicates, n_kept) bool
    pay : (n_replicates, n_kept) float
        Total pay.
    """

    nodes: Integers
    values: Floats
    hits: NDArray[np.bool_]
    pay: Floats

    @property
    def per_replicate(self) -> int:
        """Kept draws of each replicate."""
        return int(self.pay.shape[1])


def make_room(watch: Watch, layout: Layout) -> Kept:
    """Return empty room for the draws to be kept."""
    wanted = max(MIN_KEPT_DRAWS, min(KEPT_DRAWS, KEPT_NUMBERS // max(1, len(watch.nodes))))
    per_replicate = min(layout.size, 1 << ((wanted // layout.replicates).bit_length() - 1))
    shape = (layout.replicates, per_replicate)
    return Kept(
        watch.nodes,
        np.empty((len(watch.nodes), *shape)),
        np.empty((len(watch.goals.nodes), *shape), dtype=bool),
        np.empty(shape),
    )


def count_block(watch: Watch, baseline: Floats, block: Block, kept: Kept, replicate: int, start: int) -> Counts:
    """Count one block of draws, and keep those of its draws that belong to the kept ones.

    Parameters
    ----------
    baseline : (n_nodes,) float
        Mean baselines.
    kept : Kept
        Filled in place; blocks never overlap.
    replicate, start : int
        Where the block's first draw stands.
    """
    counts = no_counts(watch)
    hits = watch.goals.hits(block.delta)
    missed = len(hits) - np.count_nonzero(hits, axis=0)
    counts.goals = np.count_nonzero(hits, axis=1)
    counts.all_goals = int(np.count_nonzero(missed == 0))
    counts.others = counts.all_goals + np.count_nonzero(~hits & (missed == 1), axis=1)
    counts.people = np.count_nonzero(watch.people.hits(block.delta), axis=1)
    watched = block.delta[as_rows(watch.nodes)]
    relative = watched - watch.centre[watch.nodes, None]
    counts.sums, counts.squares = relative.sum(axis=1), np.einsum("ij,ij->i", relative, relative)
    pay = watch.payout.pay(block)
    total = _count_pay(watch, counts, pay, [rules.pay(block) for rules in watch.pay_by_period])
    stop = min(start + block.delta.shape[1], kept.per_replicate)
    if start < stop:
        kept.values[:, replicate, start:stop] = watched[:, : stop - start] + baseline[watch.nodes, None]
        kept.hits[:, replicate, start:stop] = hits[:, : stop - start]
        kept.pay[replicate, start:stop] = total[: stop - start]
    return counts


def _count_pay(watch: Watch, counts: Counts, pay: Floats, by_period: list[Floats]) -> Floats:
    """Add one block's pay (n_paid, n_draws), whole and by period, to the counts and return total pay, (n_draws,)."""
    relative = pay - watch.payout.plan[:, None]
    counts.pay = relative.sum(axis=1)
    for i, held in enumerate(watch.pay_limits):
        parts = [by_period[t] for t in held.periods] or [pay]
        over = [part[held.scope].sum(axis=0) > held.limit * (1 + 1e-12) for part in parts]
        counts.over[i] = np.count_nonzero(np.any(over, axis=0))
    total: Floats = pay.sum(axis=0)
    centred = total - watch.payout.plan.sum()
    counts.total_pay, counts.total_pay_squares = float(centred.sum()), float(np.square(centred).sum())
    return total
