"""Scenario -> CausalGraph: nodes and edges are collected in batches, then numbered topologically."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import ModelError, Problem
from kpiopt.graph.by_period import baselines_by_period, rolled_up
from kpiopt.graph.causal_graph import CausalGraph
from kpiopt.graph.curves import CurveDraft
from kpiopt.graph.kinds import EdgeKind, NamedQuantity, NodeKind
from kpiopt.graph.topology import drivers_of, look_up, shortest_cycle, topological_levels
from kpiopt.graph.unroll import Edges, Unrolled, kinds_of_nodes
from kpiopt.scenario.links import Driver, Effect
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.roll_up import distinct
from kpiopt.scenario.scenario import Floats, Integers, Scenario


def build_graph(scenario: Scenario) -> CausalGraph:
    """Compile a scenario to its causal graph.

    Raises
    ------
    ModelError
        Where cause and effect form a cycle (`E-cycle`, the cycle is named), a `mean` roll-up has total size 0, or a
        KPI is wanted at a unit where it has no value.
    """
    draft = _Draft(scenario)
    draft.add_kpi_nodes()
    draft.add_factor_nodes()
    draft.add_initiative_nodes()
    draft.add_roll_ups()
    draft.add_causes()
    draft.add_effects()
    return draft.compile()


class _Nodes(NamedTuple):
    """What is known of each node, in the order of the draft; -1 or NaN where a node has none of it."""

    kind: Integers
    unit: Integers
    kpi: Integers
    period: Integers
    factor: Integers
    level: Integers
    cell: Integers
    whole_cell: Integers
    baseline: Floats
    size: Floats
    quantity: Integers
    quantity_share: Floats
    sign: Floats


class _Draft:
    """Nodes and edges while they are collected, in order of discovery."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.n_kpis = len(scenario.kpis)
        self.keys = np.empty(0, dtype=np.int64)
        self.n_kpi_nodes = 0
        self.edges: list[Edges] = []
        self.quantities: list[NamedQuantity] = []
        self.problems: list[Problem] = []
        self.curves = CurveDraft()

    def add_kpi_nodes(self) -> None:
        """Add a node for every cell, for its ancestors where the KPI rolls up, and for KPIs given at the root."""
        cells, units = self.scenario.horizon, self.scenario.units
        keys = cells.unit * self.n_kpis + cells.kpi
        rolls = np.array([k.roll_up != "none" for k in self.scenario.kpis.values()], dtype=bool)
        at_root = [i for i, k in enumerate(self.scenario.kpis.values()) if k.baseline is not None]
        found = [keys, np.array(at_root, dtype=np.int64)]
        frontier = keys[rolls[cells.kpi]]
        while len(frontier):
            parent = units.parent[frontier // self.n_kpis]
            frontier = distinct(parent[parent >= 0] * self.n_kpis + (frontier % self.n_kpis)[parent >= 0])
            found.append(frontier)
        self.keys = distinct(np.concatenate(found))
        self.n_kpi_nodes = len(self.keys)
        self.unit, self.kpi = np.divmod(self.keys, max(self.n_kpis, 1))
        self.cell = np.full(self.n_kpi_nodes, -1, dtype=np.int64)
        self.cell[np.searchsorted(self.keys, keys)] = np.arange(len(cells))

    def add_factor_nodes(self) -> None:
        """Add a node for every factor."""
        self.first_factor = self.n_kpi_nodes
        self.factor_quantity = [self._register(f"factor.{f.id}", f.value) for f in self.scenario.factors.values()]

    def add_initiative_nodes(self) -> None:
        """Add a node for every initiative at every deciding unit."""
        self.first_level = self.first_factor + len(self.factor_quantity)
        initiatives = list(self.scenario.initiatives.values())
        counts = [len(i.units) for i in initiatives]
        self.level_initiative = np.repeat(np.arange(len(initiatives)), counts)
        self.level_unit = np.concatenate([np.empty(0, dtype=np.int64), *(i.units for i in initiatives)])

    def add_roll_ups(self) -> None:
        """Add child -> parent edges and the sizes they are weighted by."""
        roll_up = np.array([k.roll_up for k in self.scenario.kpis.values()], dtype=object)[self.kpi]
        parent_unit = self.scenario.units.parent[self.unit]
        child = np.flatnonzero((roll_up != "none") & (parent_unit >= 0))
        parent = self._nodes(parent_unit[child], self.kpi[child])
        coefficient = np.ones(len(child))
        self.size = np.full(self.n_kpi_nodes, np.nan)
        is_mean = roll_up[child] == "mean"
        self._fill_sizes(roll_up == "mean", child[is_mean], parent[is_mean])
        total = np.bincount(parent[is_mean], self.size[child[is_mean]], self.n_kpi_nodes)
        empty = np.flatnonzero((total == 0) & np.isin(np.arange(self.n_kpi_nodes), parent[is_mean]))
        self._report_empty_means(empty)
        with np.errstate(divide="ignore", invalid="ignore"):
            coefficient[is_mean] = self.size[child[is_mean]] / total[parent[is_mean]]
        nobody = np.full(len(child), -1)
        self.edges.append(Edges(child, parent, coefficient, np.ones(len(child)), EdgeKind.ROLL_UP, -1, nobody))
        self.roll_up_edges = child, parent, coefficient

    def _fill_sizes(self, is_mean: NDArray[np.bool_], child: Integers, parent: Integers) -> None:
        """Size of a node: its cell's, else its unit's, else the sum of its children's, else 1."""
        cells, units = self.scenario.horizon, self.scenario.units
        own = np.where(self.cell >= 0, cells.size[self.cell], np.nan) if len(cells) else self.size
        self.size = np.where(is_mean, np.where(np.isnan(own), units.size[self.unit], own), np.nan)
        depth = units.depth[self.unit]
        for level in range(int(depth.max(initial=0)), -1, -1):
            here = np.flatnonzero(is_mean & (depth == level) & np.isnan(self.size))
            below = depth[child] == level + 1
            total = np.bincount(parent[below], self.size[child[below]], self.n_kpi_nodes)
            is_parent = np.isin(here, parent[below])
            self.size[here] = np.where(is_parent, total[here], 1.0)

    def _report_empty_means(self, nodes: Integers) -> None:
        for node in nodes.tolist():
            self.problems.append(
                Problem(
                    "E-mean-size",
                    f"the units below {self._name(node)} have a total size of 0",
                    rule='roll_up = "mean" weights children by size / total size',
                    fix="give the units or cells below a size above 0",
                )
            )

    def add_causes(self) -> None:
        """Add driver and factor edges at the units they are written for; a lag leads out of the only period."""
        factors = {f.cause: i - max(f.period, 0) for i, f in enumerate(self.scenario.factors.values())}
        for position, kpi in enumerate(self.scenario.kpis.values()):
            for driver in kpi.drivers:
                if driver.lag > 0 and self.scenario.periods is None:
                    continue
                head = self._nodes(driver.units, position)
                if driver.is_factor:
                    tail = np.full(len(head), self.first_factor + factors[driver.cause])
                else:
                    tail = self._nodes(driver.units, self.scenario.kpi_position[driver.cause])
                kind = EdgeKind.FACTOR if driver.is_factor else EdgeKind.CAUSE
                keep = (head >= 0) & (tail >= 0)
                self._add_edges(tail[keep], head[keep], self.unit[head[keep]], driver, kind)

    def add_effects(self) -> None:
        """Add initiative edges to the deciding unit's node, or to the root's where the KPI has none there."""
        first = self.first_level
        for initiative in self.scenario.initiatives.values():
            tail = first + np.arange(len(initiative.units))
            first += len(tail)
            for effect in initiative.effects:
                if effect.lag > 0 and self.scenario.periods is None:
                    continue
                kpi = self.scenario.kpi_position[effect.kpi]
                source, unit = tail, np.asarray(initiative.units, dtype=np.int64)
                root = self._nodes(np.zeros(1, dtype=np.int64), kpi)[0]
                if effect.places is not None:
                    pairs = np.array(effect.places, dtype=np.int64).reshape(-1, 2)
                    source, unit, root = tail[pairs[:, 0]], pairs[:, 1], np.int64(-1)
                head = self._nodes(unit, kpi)
                head = np.where(head >= 0, head, root)
                if np.any(head < 0):
                    self._report_no_target(initiative.id, effect.kpi)
                    continue
                self._add_edges(source, head, unit, effect, EdgeKind.INITIATIVE)

    def _report_no_target(self, initiative: str, kpi: str) -> None:
        self.problems.append(
            Problem(
                "E-effect-nowhere",
                f"initiative.{initiative} acts on {kpi}, which has no value at the deciding unit or at the root",
                rule="an effect goes to the deciding unit's own cell, or to the root's",
                fix=f"give {kpi} cells, or a baseline at the root",
            )
        )

    def _register(self, name: str, quantity: Quantity) -> int:
        if quantity.is_number:
            return -1
        self.quantities.append(NamedQuantity(name, quantity))
        return len(self.quantities) - 1

    def _add_edges(self, tail: Integers, head: Integers, unit: Integers, link: Driver | Effect, kind: EdgeKind) -> None:
        if link.curve is not None:
            tail, into = self.curves.add(tail, link.path, link.curve, self.first_level + len(self.level_unit))
            each, nobody = np.ones(len(into[0])), np.full(len(into[0]), -1)
            self.edges.append(Edges(into[0], into[1], each, each, kind, -1, nobody))
        share = np.ones(len(tail))
        if link.spread is not None:
            tail, head, share = self._hand_down(tail, head, link.spread)
            unit = self.unit[head]
        quantity, between = self._register(link.path, link.contribution), np.full(len(tail), -1)
        if link.between:
            ids, factor = self.scenario.units.ids, Quantity.around_one(link.between)
            at, place = np.unique(unit, return_inverse=True)
            between = np.array([self._register(f"{link.path}@{ids[u]}", factor) for u in at.tolist()], dtype=np.int64)
            between = between[place]
        self.edges.append(Edges(tail, head, link.contribution.mean * share, share, kind, quantity, between, link.lag))

    def _hand_down(self, tail: Integers, head: Integers, spread: str) -> tuple[Integers, Integers, Floats]:
        """Replace edges into nodes above cells of the KPI by edges into these cells.

        Of an effect c each cell gets c |b_n| / sum |b| ("baseline"; equal shares where all are 0), c size_n / sum size
        or c / count in a `sum` roll-up, and c in a `mean`.
        """
        parent, inner = self.roll_up_edges[1], np.zeros(self.n_kpi_nodes, dtype=bool)
        inner[parent] = True
        tails, heads, shares = [], [], []
        for source, node in zip(tail.tolist(), head.tolist(), strict=True):
            below = np.array([node])
            if inner[node]:
                first, last = np.searchsorted(self.unit, [self.unit[node], self.scenario.units.end[self.unit[node]]])
                below = first + np.flatnonzero(~inner[first:last] & (self.kpi[first:last] == self.kpi[node]))
            tails.append(np.full(len(below), source))
            heads.append(below)
            shares.append(self._shares(below, spread) if inner[node] else np.ones(1))
        empty = np.empty(0, dtype=np.int64)
        return np.concatenate([empty, *tails]), np.concatenate([empty, *heads]), np.concatenate([np.empty(0), *shares])

    def _shares(self, node: Integers, spread: str) -> Floats:
        cells, units = self.scenario.horizon, self.scenario.units
        if list(self.scenario.kpis.values())[self.kpi[node[0]]].roll_up == "mean":
            return np.ones(len(node))
        weight = np.ones(len(node))
        if spread == "baseline":
            weight = np.abs(cells.baseline[self.cell[node]])
        elif spread == "size":
            given = np.where(
                np.isnan(cells.size[self.cell[node]]), units.size[self.unit[node]], cells.size[self.cell[node]]
            )
            weight = np.where(np.isnan(given), 1.0, given)
        return weight / weight.sum() if weight.sum() > 0.0 else np.full(len(node), 1.0 / len(node))

    def _nodes(self, unit: Integers, kpi: Integers | int) -> Integers:
        return look_up(self.keys, np.arange(self.n_kpi_nodes), unit * self.n_kpis + kpi)

    def _name(self, node: int) -> str:
        return f"{self.scenario.units.ids[self.unit[node]]}/{self.scenario.kpi_ids[self.kpi[node]]}"

    def _baselines(self) -> tuple[Floats, Integers]:
        """Baselines of nodes without children from their cell or the root, of the others by the same roll-up."""
        cells = self.scenario.horizon
        baseline = np.where(self.cell >= 0, cells.baseline[self.cell], 0.0) if len(cells) else np.zeros(len(self.cell))
        quantity = np.full(len(baseline), -1, dtype=np.int64)
        node_of_cell = np.empty(len(cells), dtype=np.int64)
        node_of_cell[self.cell[self.cell >= 0]] = np.flatnonzero(self.cell >= 0)
        is_parent = np.isin(np.arange(len(baseline)), self.roll_up_edges[1])
        for row, amount in cells.baseline_quantity.items():
            node = node_of_cell[row]
            if not is_parent[node]:
                quantity[node] = self._register(f"cell.{self._name(node)}.baseline", amount)
        kpis = list(self.scenario.kpis.values())
        for node in np.flatnonzero((self.cell < 0) & ~is_parent).tolist():
            if (kpi := kpis[self.kpi[node]]).baseline is not None:
                baseline[node] = kpi.baseline.mean
                quantity[node] = self._register(f"kpi.{kpi.id}.baseline", kpi.baseline)
        return rolled_up(baseline, self.roll_up_edges, self.scenario.units.depth[self.unit]), quantity

    @property
    def _n_named(self) -> int:
        """Number of KPI nodes, by period and for the horizon."""
        return self.n_kpi_nodes * (1 if self.scenario.periods is None else self.scenario.n_periods + 1)

    def _number_nodes(self, n: int, tail: Integers, head: Integers) -> tuple[Integers, Integers]:
        """Return each node's topological level and the order that sorts by it."""
        level = topological_levels(n, tail, head)
        if np.any(level < 0):
            raise ModelError(self._cycle_problem(np.flatnonzero(level < 0), tail, head))
        return level, np.argsort(level, kind="stable")

    def compile(self) -> CausalGraph:
        """Number the nodes topologically and freeze everything."""
        baseline, quantity = self._baselines()
        if self.problems:
            raise ModelError(*self.problems)
        unrolled = self._unroll()
        if unrolled is None:
            nodes, edges = self._nodes_at_once(baseline, quantity), self.edges
            once, start = np.arange(len(self.level_unit)), np.full(len(self.level_unit), -1)
        else:
            nodes, edges = self._nodes_by_period(unrolled, baseline, quantity), unrolled.edges(self.edges)
            once, start, self.curves = unrolled.once, unrolled.starts, unrolled.bent
        return self._freeze(nodes, edges, once, start)

    def _freeze(self, nodes: _Nodes, edges: Sequence[Edges], once: Integers, start: Integers) -> CausalGraph:
        """Number nodes and edges; levels come last but for curves, each of a decision `once` with its start."""
        nodes = self._with_curves(nodes)
        tail = np.concatenate([e.tail for e in edges]).astype(np.int64)
        head = np.concatenate([e.head for e in edges]).astype(np.int64)
        n = len(nodes.kind)
        level, order = self._number_nodes(n, tail, head)
        number = np.empty(n, dtype=np.int64)
        number[order] = np.arange(n)
        edge_order = np.lexsort((number[tail], number[head]))

        def joined(values: Sequence[int]) -> Integers:
            """Repeat one value per batch of edges into edge order."""
            return np.repeat(np.array(values, dtype=np.int64), [len(e.tail) for e in edges])[edge_order]

        first_curve = n - self.curves.count
        laid = _Nodes._make(values[order] for values in nodes)
        return CausalGraph(
            scenario=self.scenario,
            kind=laid.kind,
            unit=laid.unit,
            kpi=laid.kpi,
            period=laid.period,
            factor=laid.factor,
            level=laid.level,
            cell=laid.cell,
            whole_cell=laid.whole_cell,
            sign=laid.sign,
            baseline=laid.baseline,
            size=laid.size,
            topological_level=level[order],
            tail=number[tail][edge_order],
            head=number[head][edge_order],
            coefficient=np.concatenate([e.coefficient for e in edges])[edge_order],
            share=np.concatenate([e.share for e in edges])[edge_order],
            edge_kind=joined([int(e.kind) for e in edges]),
            edge_quantity=joined([e.quantity for e in edges]),
            edge_between=np.concatenate([e.between for e in edges]).astype(np.int64)[edge_order],
            quantities=tuple(self.quantities),
            node_quantity=laid.quantity,
            quantity_share=laid.quantity_share,
            level_initiative=self.level_initiative[once],
            level_unit=self.level_unit[once],
            level_start=start,
            level_node=number[first_curve - len(once) + np.arange(len(once))],
            curves=self.curves.freeze(number, first_curve, self._where),
        )

    def _with_curves(self, nodes: _Nodes) -> _Nodes:
        """Add the nodes of curves, which have nothing of what others have."""
        blank = (NodeKind.CURVE, -1, -1, -1, -1, -1, -1, -1, 0.0, np.nan, -1, 1.0, 1.0)  # in the order of the fields
        more = [np.full(self.curves.count, v, dtype=old.dtype) for old, v in zip(nodes, blank, strict=True)]
        return _Nodes._make(np.concatenate(pair) for pair in zip(nodes, more, strict=True))

    def _where(self, node: int) -> str:
        """Return the unit of a node, "" of a factor; with periods, paths of curves have it already."""
        if self.scenario.periods is not None or self.first_factor <= node < self.first_level:
            return ""
        unit = self.unit[node] if node < self.n_kpi_nodes else self.level_unit[node - self.first_level]
        return f"@{self.scenario.units.ids[unit]}"

    def _nodes_at_once(self, baseline: Floats, quantity: Integers) -> _Nodes:
        """Lay out the nodes of a plan without periods: KPIs, factors, levels, curves."""
        n_factors, n_levels = len(self.factor_quantity), len(self.level_unit)
        nowhere, unknown = np.full(n_factors, -1), np.full(n_factors + n_levels, np.nan)
        both = np.full(n_factors + n_levels, -1)
        cell = np.concatenate([self.cell, both])
        return _Nodes(
            kind=kinds_of_nodes([self.n_kpi_nodes, 0, n_factors, n_levels]),
            unit=np.concatenate([self.unit, nowhere, self.level_unit]),
            kpi=np.concatenate([self.kpi, both]),
            period=np.full(len(cell), -1),
            factor=np.concatenate([np.full(self.n_kpi_nodes, -1), np.arange(n_factors), np.full(n_levels, -1)]),
            level=np.concatenate([np.full(self.n_kpi_nodes, -1), nowhere, np.arange(n_levels)]),
            cell=cell,
            whole_cell=cell,
            baseline=np.concatenate([baseline, np.zeros(len(both))]),
            size=np.concatenate([self.size, unknown]),
            quantity=np.concatenate([quantity, np.array(self.factor_quantity, dtype=np.int64), np.full(n_levels, -1)]),
            quantity_share=np.ones(len(cell)),
            sign=np.concatenate([self.scenario.kpi_sign[self.kpi], np.ones(len(both))]),
        )

    def _unroll(self) -> Unrolled | None:
        """Return what lays nodes and edges out by period; None where there are no periods."""
        scenario = self.scenario
        if scenario.periods is None:
            return None
        stock = np.array([k.kind == "stock" for k in scenario.kpis.values()], dtype=bool)
        flow = np.array([k.kind == "flow" for k in scenario.kpis.values()], dtype=bool)
        builds = np.zeros(self.n_kpi_nodes, dtype=bool)
        builds[self.cell >= 0] = scenario.horizon.has_decision[self.cell[self.cell >= 0]]
        origin = np.concatenate([np.arange(self.first_level + len(self.level_unit)), self.curves.tails]).astype(
            np.int64
        )
        for batch in self.edges:
            if batch.kind == EdgeKind.CAUSE and len(batch.head) and batch.head[0] < self.n_kpi_nodes:
                builds[batch.head[flow[self.kpi[origin[batch.tail]]]]] = True
        return Unrolled(
            scenario, self.unit, self.kpi, builds & stock[self.kpi], len(self.factor_quantity),
            self.level_initiative, self.level_unit, self.curves,
        )  # fmt: skip

    def _nodes_by_period(self, plan: Unrolled, baseline: Floats, quantity: Integers) -> _Nodes:
        """Lay out the nodes of a plan with periods, see `Unrolled`."""
        count, built, n_factors, n_levels = plan.counts
        periods, rest = plan.n_periods, built + n_factors + n_levels
        kpi_period = np.repeat([*range(periods), -1], plan.count)
        share = np.where(plan.kind == "flow", plan.season.T, 1.0).ravel()
        first_cell, whole = np.where(self.cell >= 0, self.cell * periods, -1), np.full(plan.count, -1)
        cell = np.concatenate([np.where(first_cell >= 0, first_cell + t, -1) for t in range(periods)])
        depth = self.scenario.units.depth[self.unit]
        by_period, drawn = baselines_by_period(self.scenario, baseline, share, self.cell, self.roll_up_edges, depth)
        none, places = np.full(rest, -1), np.tile(plan.built, periods)
        draws = np.concatenate([np.tile(quantity, periods), whole, np.full(built, -1)])
        kpi = np.concatenate([np.tile(self.kpi, periods + 1), self.kpi[places], np.full(n_factors + n_levels, -1)])
        return _Nodes(
            kind=kinds_of_nodes(plan.counts),
            unit=np.concatenate(
                [np.tile(self.unit, periods + 1), self.unit[places], np.full(n_factors, -1), self.level_unit[plan.once]]
            ),
            kpi=kpi,
            period=np.concatenate(
                [kpi_period, np.repeat(np.arange(periods), len(plan.built)), np.full(n_factors, -1), plan.starts]
            ),
            factor=np.concatenate([np.full(count + built, -1), np.arange(n_factors), np.full(n_levels, -1)]),
            level=np.concatenate([np.full(count + built + n_factors, -1), np.arange(n_levels)]),
            cell=np.concatenate([cell, whole, none]),
            whole_cell=np.concatenate([np.full(periods * plan.count, -1), self.cell, none]),
            baseline=np.concatenate([by_period, baseline, np.zeros(rest)]),
            size=np.concatenate([np.tile(self.size, periods + 1), np.full(rest, np.nan)]),
            quantity=np.concatenate([draws, np.array(self.factor_quantity, dtype=np.int64), np.full(n_levels, -1)]),
            quantity_share=np.concatenate([drawn, np.ones(plan.count + rest)]),
            sign=np.append(self.scenario.kpi_sign, 1.0)[kpi],
        )

    def _cycle_problem(self, nodes: Integers, tail: Integers, head: Integers) -> Problem:
        found = shortest_cycle(nodes, tail, head)
        cycle = [self._name(node % self.n_kpi_nodes) for node in found if node < self._n_named]
        return Problem(
            "E-cycle",
            "cause and effect go in a circle: " + " -> ".join([*cycle, cycle[0]]),
            rule="the strategy map must be free of cycles within a period",
            fix=f"remove one of these drivers, or give it a lag: {drivers_of(cycle)}",
        )
