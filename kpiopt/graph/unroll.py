"""Nodes and edges of one period -> those of all periods and of the horizon.

Every KPI's node stands once in each period and once for the horizon, whose value is the sum of a flow, the mean of a
rate weighted by its season, and the last value of a stock. What a stock builds up has a node of its own in each period,
of which the share `carry` is still there one period later; it adds to the stock's value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kpiopt.graph.curves import CurveDraft
from kpiopt.graph.kinds import EdgeKind, NodeKind
from kpiopt.scenario.scenario import Floats, Integers, Scenario


class Edges(NamedTuple):
    """A batch of edges of one kind and one coefficient's quantity."""

    tail: Integers
    head: Integers
    coefficient: Floats
    share: Floats
    kind: EdgeKind
    quantity: int
    between: Integers
    lag: int = 0


@dataclass(frozen=True)
class Unrolled:
    """Nodes of all periods: KPI nodes by period, then the horizon's, what stocks build up, factors and levels.

    Attributes
    ----------
    unit, kpi : (n,) int
        The KPI nodes of one period.
    builds_up : (n,) bool
        Which of them have something that builds up.
    level_initiative, level_unit : (n_once,) int
        The initiative decisions without periods.
    curves, bent : CurveDraft
        The curves of one period; those of all periods, which `edges` fills.
    """

    scenario: Scenario
    unit: Integers
    kpi: Integers
    builds_up: np.ndarray[tuple[int], np.dtype[np.bool_]]
    n_factors: int
    level_initiative: Integers
    level_unit: Integers
    curves: CurveDraft
    bent: CurveDraft = field(default_factory=CurveDraft)

    @property
    def count(self) -> int:
        """Number of KPI nodes of one period."""
        return len(self.unit)

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return self.scenario.n_periods

    @cached_property
    def by_period(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which factors hold in one period alone, the other periods' following in order, (n_factors,) bool."""
        return np.array([f.period >= 0 for f in self.scenario.factors.values()], dtype=bool)

    @cached_property
    def built(self) -> Integers:
        """The nodes of one period that build up, ascending, (n_built,) int."""
        return np.flatnonzero(self.builds_up)

    @property
    def counts(self) -> list[int]:
        """Number of KPI nodes, of nodes that build up, of factors and of levels."""
        periods = self.n_periods
        return [(periods + 1) * self.count, periods * len(self.built), self.n_factors, len(self.starts)]

    @cached_property
    def starts(self) -> Integers:
        """The start of each level, (n_levels,) int."""
        each = [self._starts_of(i) for i in self.level_initiative.tolist()]
        return np.array([start for starts in each for start in starts], dtype=np.int64)

    @cached_property
    def once(self) -> Integers:
        """The decision without periods that each level belongs to, (n_levels,) int."""
        counts = [len(self._starts_of(i)) for i in self.level_initiative.tolist()]
        return np.repeat(np.arange(len(self.level_unit)), counts)

    def _starts_of(self, initiative: int) -> tuple[int, ...]:
        starts = list(self.scenario.initiatives.values())[initiative].starts
        return tuple(range(self.n_periods)) if starts is None else starts

    @cached_property
    def kind(self) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        """What each KPI node's value does over periods, (n,) str."""
        return np.array([*(k.kind for k in self.scenario.kpis.values()), ""], dtype=object)[self.kpi]

    @cached_property
    def season(self) -> Floats:
        """w_t of each KPI node, (n, T) float."""
        assert self.scenario.periods is not None
        return self.scenario.periods.season[self.kpi]

    def in_period(self, node: Integers, period: int) -> Integers:
        """Return KPI nodes of a period; the horizon's for period T."""
        return period * self.count + node

    def building(self, node: Integers, period: int) -> Integers:
        """Return what KPI nodes build up until a period."""
        first = (self.n_periods + 1) * self.count
        return first + period * len(self.built) + np.searchsorted(self.built, node)

    def edges(self, batches: Iterable[Edges]) -> list[Edges]:
        """Return the edges of all periods and those over time."""
        first = self.count
        found = [part for batch in batches for part in self._repeat(batch, first)]
        return [*found, *self._over_time()]

    def _repeat(self, batch: Edges, first: int) -> list[Edges]:
        """Return a batch in every period in which it can act."""
        if not len(batch.head):
            return [batch]
        first_curve = first + self.n_factors + len(self.level_unit)
        if batch.head[0] >= first_curve:
            return []  # made with what leads on from the curve
        if batch.tail[0] >= first_curve:
            return [part for t in range(batch.lag, self.n_periods) for part in self._bent(batch, t, first_curve)]
        if batch.kind == EdgeKind.INITIATIVE:
            return self._of_levels(batch)
        periods, found = range(batch.lag, self.n_periods), []
        flows = batch.kind == EdgeKind.CAUSE and self.kind[batch.tail[0]] == "flow"
        for t in periods:
            tail = self.in_period(batch.tail, t - batch.lag)
            if batch.kind == EdgeKind.FACTOR:
                tail = sum(self.counts[:2]) + batch.tail - first
                tail = tail + np.where(self.by_period[batch.tail - first], t - batch.lag, 0)
            factor = self._rate(batch.head, t, flows=flows, rolls=batch.kind == EdgeKind.ROLL_UP)
            into_stock = flows and self.kind[batch.head[0]] == "stock"
            head = self.building(batch.head, t) if into_stock else self.in_period(batch.head, t)
            found.append(_scaled(batch, tail, head, factor))
        return found

    def _bent(self, batch: Edges, period: int, first_curve: int) -> Iterator[Edges]:
        """Yield what leads to the curves that act in a period, and on from them.

        A curve f is about the horizon's value per change over the horizon of a flow, or of what holds in all periods.
        From a flow with delta in the period it makes w f(delta / w) in a flow and a stock, and f(delta / w) in a rate;
        from all else w f(delta) in a flow, and f(delta) in a rate and a stock. A level counts by what is running.
        """
        which, back = np.unique(batch.tail - first_curve, return_inverse=True)
        origin, before, strength = np.array(self.curves.tails, dtype=np.int64)[which], period - batch.lag, 1.0
        if batch.kind == EdgeKind.CAUSE:
            tail = self.in_period(origin, before)
        elif batch.kind == EdgeKind.FACTOR:
            place = origin - self.count
            tail = sum(self.counts[:2]) + place + np.where(self.by_period[place], before, 0)
        else:
            once = origin - self.count - self.n_factors
            initiative = int(self.level_initiative[once[0]])
            (start,) = self._starts_of(initiative)
            strength = list(self.scenario.initiatives.values())[initiative].strength(start, before)
            tail = sum(self.counts[:3]) + np.searchsorted(self.once, once)
            if before < start or not strength:
                return
        flows = batch.kind == EdgeKind.CAUSE and self.kind[origin[0]] == "flow"
        kind, share = self.kind[batch.head[0]], float(self.season[batch.head[0], period])
        effect = share if kind == "flow" or (flows and kind == "stock") else 1.0
        first = sum(self.counts) + self.bent.count
        for at in which.tolist():
            self.bent.curves.append(self.curves.curves[at].scaled(share if flows else 1.0 / strength, effect))
            self.bent.paths.append(f"{self.curves.paths[at]}{self._where(self.curves.tails[at])}{self._named(period)}")
        self.bent.tails += tail.tolist()
        node, each = first + np.arange(len(which)), np.ones(len(which))
        yield Edges(tail, node, each, each, batch.kind, -1, np.full(len(which), -1))
        into_stock = flows and kind == "stock"
        head = self.building(batch.head, period) if into_stock else self.in_period(batch.head, period)
        yield batch._replace(tail=node[back], head=head)

    def _where(self, node: int) -> str:
        """Return the unit of a node of one period, "" of a factor."""
        if self.count <= node < self.count + self.n_factors:
            return ""
        units = self.unit if node < self.count else self.level_unit
        return f"@{self.scenario.units.ids[units[node if node < self.count else node - self.count - self.n_factors]]}"

    def _named(self, period: int) -> str:
        return f"/{self.scenario.period_name(period)}"

    def _rate(self, head: Integers, period: int, *, flows: bool, rolls: bool) -> Floats:
        """What a contribution counts in a period: c per unit of a flow's total, or of what holds in all periods."""
        kind, season = self.kind[head], self.season[head, period]
        if rolls:
            return np.ones(len(head))
        if flows:
            return np.where(kind == "rate", 1.0 / season, 1.0)
        return np.where(kind == "flow", season, 1.0)

    def _of_levels(self, batch: Edges) -> list[Edges]:
        """Return the effects of levels begun in each period: from then on, after the lag."""
        first_level, before = self.count + self.n_factors, sum(self.counts[:3])
        once = batch.tail - first_level
        initiative = list(self.scenario.initiatives.values())[self.level_initiative[once[0]]]
        starts, found = self._starts_of(int(self.level_initiative[once[0]])), []
        for i, start in enumerate(starts):
            tail = before + np.searchsorted(self.once, once) + i
            for t in range(start + batch.lag, self.n_periods):
                rate = self._rate(batch.head, t, flows=False, rolls=False)
                strength = initiative.strength(start, t - batch.lag)
                if strength:
                    found.append(_scaled(batch, tail, self.in_period(batch.head, t), rate * strength))
        return found or [_scaled(batch, *(np.empty(0, dtype=np.int64),) * 2, np.empty(0))]

    def _over_time(self) -> list[Edges]:
        """Return what a stock builds up from period to period, and the horizon's value of every KPI."""
        assert self.scenario.periods is not None
        last, node, built = self.n_periods, np.arange(self.count), self.built
        carry = self.scenario.periods.carry[self.kpi[built]]
        found = [_plain(self.building(built, t), self.in_period(built, t), np.ones(len(built))) for t in range(last)]
        found += [_plain(self.building(built, t - 1), self.building(built, t), carry) for t in range(1, last)]
        for t in range(last):
            weight = np.where(self.kind == "flow", 1.0, self.season[:, t])
            weight = np.where(self.kind == "stock", float(t == last - 1), weight)
            some = node[weight != 0.0]
            found.append(_plain(self.in_period(some, t), self.in_period(some, last), weight[some]))
        return found


def _scaled(batch: Edges, tail: Integers, head: Integers, factor: Floats) -> Edges:
    if not len(tail):
        nothing = np.empty(0)
        return batch._replace(tail=tail, head=head, coefficient=nothing, share=nothing, between=tail)
    return batch._replace(tail=tail, head=head, coefficient=batch.coefficient * factor, share=batch.share * factor)


def _plain(tail: Integers, head: Integers, coefficient: Floats) -> Edges:
    each = np.ones(len(tail))
    return Edges(tail, head, coefficient, each, EdgeKind.TIME, -1, np.full(len(tail), -1))


def kinds_of_nodes(counts: list[int]) -> Integers:
    """Return the kind of each node, in the order of `Unrolled.counts`."""
    kinds = [int(k) for k in (NodeKind.KPI, NodeKind.BUILT, NodeKind.FACTOR, NodeKind.INITIATIVE)]
    return np.repeat(np.array(kinds), counts)
