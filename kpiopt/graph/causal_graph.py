"""The weighted causal graph: scenario -> nodes in topological order and sparse coefficients.

A node is a (unit, KPI) pair of the horizon or of one of its periods, what a stock has built up, a factor, or the level
of an initiative at one unit. Nodes are numbered so that every edge goes from a lower to a higher number; the same
arrays serve the program, the simulation, the explanation and the picture. Total effects (I - C)^-1 are swept, never
formed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpiopt.graph.curves import ResponseCurves
from kpiopt.graph.kinds import EdgeKind, NamedQuantity, NodeKind
from kpiopt.graph.topology import look_up
from kpiopt.scenario.scenario import Floats, Goal, Integers, Scenario


@dataclass(frozen=True)
class CausalGraph:
    """The compiled graph.

    Attributes
    ----------
    scenario : Scenario
        What it was built from.
    kind, unit, kpi, factor, level : (n,) int
        Kind of each node and its position among units, KPIs, factors and initiative levels; -1 where it has none.
    period : (n,) int
        Position among the periods, the start of a level; -1 for the horizon, for factors and without periods.
    cell, whole_cell : (n,) int
        Row in `scenario.cells` of a period's node and in `scenario.horizon` of the horizon's, -1 where there is none.
        Without periods the two are the same.
    sign : (n,) float
        +1 where higher is better, -1 where lower is better; +1 for factors and initiatives.
    baseline : (n,) float
        Mean baseline in the KPI's unit; 0 for factors and initiatives.
    size : (n,) float
        Weight of the node in a `mean` roll-up; NaN elsewhere.
    topological_level : (n,) int
        Longest path from a node without parents; nodes are numbered by it.
    tail, head : (n_edges,) int
        Edges, sorted by head then tail.
    coefficient : (n_edges,) float
        Mean change of head per unit change of tail.
    share : (n_edges,) float
        Part of the contribution that an edge carries: below 1 where an effect is handed down to several cells.
    edge_kind : (n_edges,) int
    edge_quantity : (n_edges,) int
        Index into `quantities` where the coefficient is uncertain, else -1.
    edge_between : (n_edges,) int
        Index into `quantities` of what the coefficient of this unit is multiplied by in draws, else -1.
    quantities : tuple of NamedQuantity
        Uncertain factors, contributions, effects and baselines (execution is apart: it belongs to cells).
    node_quantity : (n,) int
        Index into `quantities` of a factor's value or of a node's uncertain baseline, else -1.
    quantity_share : (n,) float
        Part of a drawn baseline that a node has: the share of a period in a flow, else 1.
    level_initiative, level_unit, level_start, level_node : (n_levels,) int
        The initiative decisions: which initiative, at which unit, begun in which period (-1 without any), which node.
    curves : ResponseCurves
        Nodes that hand a change on along a curve.
    kept : dict
        What later rooms keep as long as a graph lives, such as draws to plan on. Graphs that are made of one by
        `replace` share it; other processes get none of it.
    """

    scenario: Scenario
    kind: Integers
    unit: Integers
    kpi: Integers
    period: Integers
    factor: Integers
    level: Integers
    cell: Integers
    whole_cell: Integers
    sign: Floats
    baseline: Floats
    size: Floats
    topological_level: Integers
    tail: Integers
    head: Integers
    coefficient: Floats
    share: Floats
    edge_kind: Integers
    edge_quantity: Integers
    edge_between: Integers
    quantities: tuple[NamedQuantity, ...]
    node_quantity: Integers
    quantity_share: Floats
    level_initiative: Integers
    level_unit: Integers
    level_start: Integers
    level_node: Integers
    curves: ResponseCurves
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Travel without what is kept: it is large, and made again where it is needed."""
        return {**vars(self), "kept": {}}

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.kind)

    @property
    def n_levels(self) -> int:
        """Number of initiative decisions (one for each initiative and deciding unit)."""
        return len(self.level_node)

    @cached_property
    def matrix(self) -> sp.csr_array:
        """C, (n, n) CSR: row = head, column = tail; strictly lower triangular."""
        return self.select_edges(EdgeKind)

    def select_edges(self, kinds: Iterable[EdgeKind]) -> sp.csr_array:
        """Return C restricted to edges of some kinds, (n, n) CSR."""
        keep = np.isin(self.edge_kind, [int(k) for k in kinds])
        shape = (self.n_nodes, self.n_nodes)
        return sp.csr_array((self.coefficient[keep], (self.head[keep], self.tail[keep])), shape=shape)

    @cached_property
    def roll_up_matrix(self) -> sp.csr_array:
        """The part of C that adds up values of one KPI: roll-up over units and over time."""
        return self.select_edges([EdgeKind.ROLL_UP, EdgeKind.TIME])

    @cached_property
    def time_matrix(self) -> sp.csr_array:
        """The part of C that leads over time: what a stock has built up, and the horizon's value."""
        return self.select_edges([EdgeKind.TIME])

    @cached_property
    def units_matrix(self) -> sp.csr_array:
        """Roll-up over units alone, in every period and over the horizon."""
        if self.scenario.periods is None:
            return self.roll_up_matrix
        above, coefficient = self.roll_up_above
        tail = np.flatnonzero(above >= 0)
        return sp.csr_array((coefficient[tail], (above[tail], tail)), shape=(self.n_nodes, self.n_nodes))

    def over_time(self, own: Floats) -> Floats:
        """Return each node's `own`, (n_nodes,) float, with what stocks have built up of it, and over the horizon."""
        return own if self.scenario.periods is None else self.sweep(own, self.time_matrix)

    @cached_property
    def cause_matrix(self) -> sp.csr_array:
        """The part of C that is not roll-up: causes, factors and initiatives."""
        return self.select_edges([EdgeKind.CAUSE, EdgeKind.FACTOR, EdgeKind.INITIATIVE])

    @cached_property
    def level_bounds(self) -> Integers:
        """Node numbers at which the topological levels begin, with n at the end."""
        n_levels = int(self.topological_level[-1]) + 1 if self.n_nodes else 0
        return np.searchsorted(self.topological_level, np.arange(n_levels + 1))

    @cached_property
    def cell_node(self) -> Integers:
        """Node of each cell, (n_cells,) int."""
        node = np.empty(len(self.scenario.cells), dtype=np.int64)
        has_cell = np.flatnonzero(self.cell >= 0)
        node[self.cell[has_cell]] = has_cell
        return node

    @cached_property
    def whole_node(self) -> Integers:
        """Node of each cell of `scenario.horizon`: that of the horizon, (n_horizon_cells,) int."""
        node = np.empty(len(self.scenario.horizon), dtype=np.int64)
        has_cell = np.flatnonzero(self.whole_cell >= 0)
        node[self.whole_cell[has_cell]] = has_cell
        return node

    @cached_property
    def entry_node(self) -> Integers:
        """Node that the stretch of each cell changes first: what a stock builds up, else the cell's node."""
        entry, built = self.cell_node.copy(), np.flatnonzero(self.kind == NodeKind.BUILT)
        if len(built):
            keys = self._keys(self.unit[built], self.kpi[built], self.period[built])
            order = np.argsort(keys)
            own = self._keys(self.unit[entry], self.kpi[entry], self.period[entry])
            found = look_up(keys[order], built[order], own)
            entry = np.where(found >= 0, found, entry)
        return entry

    @cached_property
    def per_stretch(self) -> Floats:
        """Change of the entry node per unit of stretch: the direction sign, of a rate over w_t; (n_cells,) float."""
        sign, scenario = self.sign[self.cell_node], self.scenario
        if scenario.periods is None:
            return sign
        rate = np.array([k.kind == "rate" for k in scenario.kpis.values()])[scenario.cells.kpi]
        share = scenario.periods.season[scenario.cells.kpi, scenario.cell_period]
        return np.where(rate, sign / share, sign)

    @cached_property
    def execution_mean(self) -> Floats:
        """Mean execution of each cell, (n_cells,) float."""
        means = np.array([q.mean for q in self.scenario.uncertainty.execution])
        return means[self.scenario.cells.execution]

    @cached_property
    def roll_up_above(self) -> tuple[Integers, Floats]:
        """The node that each node rolls up to, -1 where there is none, and the coefficient; (n,) int, (n,) float."""
        edges = np.flatnonzero(self.edge_kind == EdgeKind.ROLL_UP)
        above, coefficient = np.full(self.n_nodes, -1, dtype=np.int64), np.zeros(self.n_nodes)
        above[self.tail[edges]], coefficient[self.tail[edges]] = self.head[edges], self.coefficient[edges]
        if self.scenario.periods is not None:  # the horizon's values add up as those of each period do
            first = edges[self.period[self.head[edges]] == 0]
            tail, head = (
                self.find_nodes(self.unit[end], self.kpi[end]) for end in (self.tail[first], self.head[first])
            )
            above[tail], coefficient[tail] = head, self.coefficient[first]
        return above, coefficient

    def ways_up(self, node: Integers, top: Integers) -> tuple[Integers, Integers, Floats]:
        """Return every pair of a node and a node of `top`, (k,) int, that it is or rolls up to.

        Returns
        -------
        position in `top`, member of `node`, weight of the member in it; (n_pairs,) int, int, float
        """
        row_of = np.full(self.n_nodes, -1, dtype=np.int64)
        row_of[top] = np.arange(len(top))
        above, coefficient = self.roll_up_above
        at, member, weight = node, np.arange(len(node)), np.ones(len(node))
        rows, members, weights = [row_of[:0]], [row_of[:0]], [coefficient[:0]]
        while len(at) and len(top):
            held = row_of[at] >= 0
            rows.append(row_of[at[held]])
            members.append(member[held])
            weights.append(weight[held])
            on = above[at] >= 0
            at, member, weight = above[at[on]], member[on], weight[on] * coefficient[at[on]]
        return np.concatenate(rows), np.concatenate(members), np.concatenate(weights)

    def executed(self, stretch: Floats) -> Floats:
        """Return the stretch of each cell times its mean execution; what is below 0 is certain. (n_cells,) float."""
        return np.where(stretch > 0.0, self.execution_mean, 1.0) * stretch

    @cached_property
    def bounds(self) -> Floats:
        """Least and largest value of each node by its KPI's bounds, (2, n) float; infinite where there is none.

        A flow's bounds are those of the horizon; a period has its share of them.
        """
        ends = [(k.low, k.high) for k in self.scenario.kpis.values()] + [(-np.inf, np.inf)]
        kpi = np.where(self.kind == NodeKind.KPI, self.kpi, -1)
        share, periods = np.ones(self.n_nodes), self.scenario.periods
        if periods is not None:
            here = np.flatnonzero((self.kind == NodeKind.KPI) & (self.period >= 0))
            flow = np.array([k.kind == "flow" for k in self.scenario.kpis.values()], dtype=bool)
            here = here[flow[self.kpi[here]]]
            share[here] = periods.season[self.kpi[here], self.period[here]]
        return np.array(ends, dtype=np.float64)[kpi].T * share

    @cached_property
    def bounded(self) -> Integers:
        """Nodes of KPIs with a bound, ascending."""
        return np.flatnonzero(np.isfinite(self.bounds).any(axis=0))

    @cached_property
    def clipped(self) -> Floats:
        """What bounds take from or give to each node without any decision, (n,) float; it is not passed on."""
        clipped = np.zeros(self.n_nodes)
        if not len(self.bounded):
            return clipped
        total = self.factor_mean.copy()
        for start, stop in pairwise(self.level_bounds):
            here = slice(start, stop)
            total[here] += self.matrix[here] @ total
            self.curves.bend(total, start, stop)
            inside = np.clip(self.baseline[here] + total[here], *self.bounds[:, here]) - self.baseline[here]
            inside = np.where(self.kind[here] == NodeKind.KPI, inside, total[here])
            clipped[here] = np.where(
                np.abs(inside - total[here]) > 1e-12 * np.abs(self.baseline[here]), inside - total[here], 0.0
            )
            total[here] += clipped[here]
        return clipped

    @cached_property
    def stretch_scale(self) -> Floats:
        """What the stretch of each cell is relative to, (n_cells,) float, in its KPI's unit.

        w_n = max(|b_n|, step) by baseline; max(distance to the bound in the KPI's direction, step) by headroom (where
        both are 0, the size of the bound); else the amount that the KPI gives.
        """
        kpi, kpis = self.scenario.horizon.kpi, list(self.scenario.kpis.values())
        baseline, step = self.baseline[self.whole_node], self.scenario.kpi_step[kpi]
        scale = np.maximum(np.abs(baseline), step)
        for position, entry in enumerate(kpis):
            here = kpi == position
            if entry.scale == "headroom":
                bound = entry.high if entry.sign > 0 else entry.low
                room = np.maximum(np.abs(bound - baseline[here]), step[here])
                scale[here] = np.where(room > 0.0, room, abs(bound) or 1.0)
            elif entry.scale != "baseline":
                scale[here] = float(entry.scale)
        return scale[self.scenario.cell_base]

    @cached_property
    def factor_mean(self) -> Floats:
        """Mean of the drawn value of factor nodes, 0 elsewhere, (n,) float."""
        values = np.array([f.value.mean for f in self.scenario.factors.values()] + [0.0])
        return values[self.factor]

    @cached_property
    def _node_by_key(self) -> tuple[Integers, Integers]:
        nodes = np.flatnonzero(self.kind == NodeKind.KPI)
        keys = self._keys(self.unit[nodes], self.kpi[nodes], self.period[nodes])
        order = np.argsort(keys)
        return keys[order], nodes[order]

    def _keys(self, unit: Integers, kpi: Integers | int, period: Integers | int) -> Integers:
        """Return a number for each (unit, KPI, period); the horizon is period -1."""
        pair = np.asarray(unit) * len(self.scenario.kpis) + np.asarray(kpi)
        return np.asarray(pair * (self.scenario.n_periods + 1) + np.asarray(period) + 1, dtype=np.int64)

    def find_nodes(self, unit: Integers, kpi: Integers | int, period: Integers | int = -1) -> Integers:
        """Return the nodes of (unit, KPI) pairs by position, of the horizon by default; -1 where there is none."""
        keys, nodes = self._node_by_key
        return look_up(keys, nodes, self._keys(unit, kpi, period))

    def find_node(self, kpi: str, unit: str | int = 0, period: int = -1) -> int:
        """Return the node of a KPI at a unit (the root by default), or -1 where there is none."""
        position = self.scenario.units.position[unit] if isinstance(unit, str) else unit
        return int(self.find_nodes(np.array([position]), self.scenario.kpi_position[kpi], period)[0])

    def goal_node(self, goal: Goal) -> int:
        """Return the node that a goal is about."""
        return self.find_node(goal.kpi, goal.unit, goal.period)

    def node_name(self, node: int) -> str:
        """Return a node's name: "unit/kpi", "factor.<id>" or "initiative.<id>@<unit>"; in a period "…/<period>"."""
        name, period = self._name(node), self.scenario.period_name(int(self.period[node]))
        return name if period is None else f"{name}/{period}"

    def _name(self, node: int) -> str:
        scenario = self.scenario
        if self.kind[node] == NodeKind.CURVE:
            return self.curves.label[int(np.searchsorted(self.curves.node, node))]
        if self.kind[node] == NodeKind.FACTOR:
            return f"factor.{list(scenario.factors)[self.factor[node]]}"
        unit = scenario.units.ids[self.unit[node]]
        if self.kind[node] == NodeKind.INITIATIVE:
            level = self.level[node]
            return f"initiative.{list(scenario.initiatives)[self.level_initiative[level]]}@{unit}"
        return f"{unit}/{scenario.kpi_ids[self.kpi[node]]}{' built up' * int(self.kind[node] == NodeKind.BUILT)}"

    def use_per_level(self, resource: str, period: int | None = None) -> Floats:
        """Return the use of a resource per unit of each level, in all periods or in one, (n_levels,) float."""
        initiatives = list(self.scenario.initiatives.values())
        used = np.array([*(i.uses.get(resource, 0.0) for i in initiatives), 0.0])[self.level_initiative]
        if self.scenario.periods is None:
            return used
        count = self.scenario.n_periods
        runs = [[len(i.runs_in(u, count)) for u in range(count)] for i in initiatives]
        if period is not None:
            used = np.where(self.level_start == period, used, 0.0)
            runs = [[int(period in i.runs_in(u, count)) for u in range(count)] for i in initiatives]
        rate = np.array([*(i.runs.get(resource, 0.0) for i in initiatives), 0.0])[self.level_initiative]
        times = np.array(runs, dtype=np.float64).reshape(-1, count)
        return used + rate * times[self.level_initiative, self.level_start] if len(used) else used

    def sweep(self, own: Floats, matrix: sp.csr_array | None = None) -> Floats:
        """Propagate along the edges, and along curves where no matrix is given: solve y = own + C y, level by level.

        Parameters
        ----------
        own : (n,) or (n, k) float
            Change of each node of its own, in its KPI's unit.
        matrix : (n, n) CSR, optional
            `roll_up_matrix` or `cause_matrix` instead of all of C.

        Returns
        -------
        (n,) or (n, k) float
            Total change of each node.
        """
        edges, total = self.matrix if matrix is None else matrix, np.array(own, dtype=np.float64)
        for start, stop in pairwise(self.level_bounds[1:]):
            total[start:stop] += edges[start:stop] @ total
            if matrix is None:
                self.curves.bend(total, start, stop)
        return total

    def sweep_back(self, weight: Floats, matrix: sp.csr_array | None = None) -> Floats:
        """Solve y = weight + C' y: the total effect of one unit at each node on a weighted sum of nodes.

        Of a graph with curves ask `straight`.

        Parameters
        ----------
        weight : (n,) or (n, k) float
            Weight of each node in the sum, such as 1 at a goal's node.
        matrix : (n, n) CSR, optional
            `roll_up_matrix` or `cause_matrix` instead of all of C.

        Returns
        -------
        (n,) or (n, k) float
            Total effects, row `weight` of (I - C)^-1.
        """
        matrix = self.matrix if matrix is None else matrix
        total = np.array(weight, dtype=np.float64)
        bounds = self.level_bounds
        for stop, start in pairwise(bounds[:0:-1]):
            total += matrix[start:stop].T @ total[start:stop]
        return total

    def own_change(self, stretch: Floats, levels: Floats, *, executed: bool = True) -> Floats:
        """Return what cells, initiatives and factors add at their own nodes.

        Parameters
        ----------
        stretch : (n_cells,) float
        levels : (n_levels,) float
        executed : bool
            Whether stretch counts times its mean execution (expected) or in full (asked).

        Returns
        -------
        (n,) float
        """
        own = self.factor_mean + self.clipped
        own[self.entry_node] += self.per_stretch * (self.executed(stretch) if executed else stretch)
        own[self.level_node] += levels
        return own

    def expected_change(self, stretch: Floats, levels: Floats) -> Floats:
        """Return delta: the expected deviation of every node from its baseline, (n,) float."""
        return self.sweep(self.own_change(stretch, levels))

    def asked_change(self, stretch: Floats, levels: Floats) -> Floats:
        """Return asked: stretch in full, rolled up, plus the expected effect of causes, (n,) float."""
        caused = self.cause_matrix @ self.expected_change(stretch, levels)
        return self.sweep(self.own_change(stretch, levels, executed=False) + caused, self.roll_up_matrix)

    def __repr__(self) -> str:
        return f"CausalGraph({self.n_nodes:,} nodes, {len(self.tail):,} edges, {len(self.level_bounds) - 1} levels)"
