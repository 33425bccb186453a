"""The formulation: a causal graph becomes a linear program, one short function per rule.

Every function's docstring opens with its formula in the symbols of `docs/formulation.md`; the golden programs in
`tests/program/golden/` hold each of them as text.

Symbols
-------
x_n      stretch of cell n >= 0, in the KPI's own unit          s_k   direction sign, +1 up, -1 down
a_l      level of an initiative at one unit                    e_n   mean execution of cell n
delta_h  expected change of hub h                              b_n   baseline
f_g      shortfall of goal g >= 0                              w_n   max(|b_n|, step), the scale of relative stretch
m_G      largest relative stretch of peer group G              c     mean contribution along an edge or a way
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.program.blocks import Columns, LinearProgram, Objective, ProgramBuilder, Reference, Rows, Terms
from kpiopt.program.elimination import Elimination, change_interval, eliminate
from kpiopt.scenario.scenario import Budget, Floats, Goal, Integers, Scenario

EMPTY = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Limit:
    """A capacity or a budget as a row of the program.

    Attributes
    ----------
    name : str
        "capacity.<resource>@<unit>" or "budget.<id>".
    resource : str
    unit : int
        Whose subtree it holds for.
    value : float
        The limit as the planner wrote it (capacity times scale).
    base : float
        Use that no decision changes: target incentives for pay, 0 elsewhere.
    row : int
        Row of the program; -1 where no decision uses the resource.
    """

    name: str
    resource: str
    unit: int
    value: float
    base: float
    row: int


@dataclass(frozen=True)
class PeerGroups:
    """Cells that are compared: same KPI and same values of `peers`.

    Attributes
    ----------
    group : (n_stretch,) int
        Group of each stretch column.
    count : (n_groups,) int
    names : tuple of str
        Such as "sales, level rep, role hunter".
    """

    group: Integers
    count: Integers
    names: tuple[str, ...]


@dataclass(frozen=True)
class Cascade:
    """A program and what its columns and rows mean.

    Attributes
    ----------
    stretch_cell : (n_stretch,) int
        Cell of each stretch column.
    scale : (n_stretch,) float
        w_n of each stretch column.
    goals : tuple of Goal
        Soft goals in the order of the shortfall columns.
    goal_scale : mapping of goal id to float
        |target - baseline|, or |target|, or 1.
    """

    graph: CausalGraph
    program: LinearProgram
    stretch: Columns
    stretch_cell: Integers
    scale: Floats
    level: Columns
    change: Columns
    shortfall: Columns
    largest: Columns
    goals: tuple[Goal, ...]
    goal_scale: Mapping[str, float]
    peers: PeerGroups
    limits: tuple[Limit, ...]

    def stretch_of_cells(self, x: Floats) -> Floats:
        """Return the stretch of every cell, 0 where it has no decision, (n_cells,) float."""
        stretch = np.zeros(len(self.graph.scenario.cells))
        stretch[self.stretch_cell] = self.stretch.of(x)
        return stretch

    def levels(self, x: Floats) -> Floats:
        """Return the initiative levels, (n_levels,) float."""
        return self.level.of(x)


def build_cascade(graph: CausalGraph) -> Cascade:
    """Write the program of a scenario's graph.

    Returns
    -------
    Cascade
        Columns stretch, level, change, shortfall, largest; rows value, goal, capacity, budget, fairness; the
        objectives in the planner's order; the reference.
    """
    draft = _Draft(graph)
    draft.add_decisions()
    draft.add_changes()
    draft.add_goals()
    draft.add_capacities()
    draft.add_budgets()
    draft.add_fairness()
    return draft.finish()


class _Draft:
    """The blocks while the program is written."""

    def __init__(self, graph: CausalGraph) -> None:
        self.graph = graph
        self.scenario: Scenario = graph.scenario
        self.build = ProgramBuilder(self.scenario.name)
        self.limits: list[Limit] = []

    def add_decisions(self) -> None:
        """x_n in [min_stretch, max_stretch] (a lock fixes it);  a_l in [0, max], whole where the planner says so."""
        cells, ids, kpis = self.scenario.cells, self.scenario.units.ids, self.scenario.kpi_ids
        self.cell = np.flatnonzero(cells.has_decision)
        locked = ~np.isnan(cells.lock[self.cell])
        lower = np.where(locked, cells.lock[self.cell], cells.min_stretch[self.cell])
        upper = np.where(locked, cells.lock[self.cell], cells.max_stretch[self.cell])
        unit, kpi = cells.unit[self.cell], cells.kpi[self.cell]
        self.stretch = self.build.add_columns("stretch", lower, upper, lambda i: f"{ids[unit[i]]}/{kpis[kpi[i]]}")
        initiatives = list(self.scenario.initiatives.values())
        which, where = self.graph.level_initiative, self.graph.level_unit
        maximum = np.array([i.maximum for i in initiatives] + [0.0])[which]
        whole = np.array([i.whole for i in initiatives] + [False])[which]
        maximum = np.where(whole, np.floor(maximum), maximum)
        self.level = self.build.add_columns(
            "level", np.zeros(len(which)), maximum, lambda i: f"{initiatives[which[i]].id}@{ids[where[i]]}", whole
        )
        node = self.graph.cell_node[self.cell]
        self.scale = np.maximum(np.abs(self.graph.baseline[node]), self.scenario.kpi_step[kpi])

    def add_changes(self) -> None:
        """delta_h - sum_n s_k e_n c_nh x_n - sum_l c_lh a_l - sum_m c_mh delta_m = sum_factors c_fh E[factor]."""
        graph = self.graph
        goals = self.scenario.goals.values()
        self.goal_node = {g.id: graph.find_node(g.kpi, g.unit) for g in goals}
        ways = eliminate(graph, np.unique(np.array(list(self.goal_node.values()), dtype=np.int64)))
        low, high = self._change_box(ways.hub)
        self.change = self.build.add_columns("change", low, high, lambda i: graph.node_name(int(ways.hub[i])))
        self.position = {int(node): i for i, node in enumerate(ways.hub.tolist())}
        constant: Floats = np.bincount(ways.into, ways.weight * graph.factor_mean[ways.tail], len(ways.hub)).astype(
            float
        )
        terms = [
            Terms(self.change, np.arange(len(ways.hub)), np.arange(len(ways.hub)), np.ones(len(ways.hub))),
            self._stretch_ways(ways),
            *self._ways_between(ways),
        ]
        self.build.add_rows("value", terms, constant, constant, lambda i: graph.node_name(int(ways.hub[i])))

    def _change_box(self, hub: Integers) -> tuple[Floats, Floats]:
        """A finite box around every change, a little wider than interval arithmetic says."""
        lower, upper = (np.zeros(len(self.scenario.cells)) for _ in range(2))
        lower[self.cell], upper[self.cell] = self.stretch.lower, self.stretch.upper
        low, high = change_interval(self.graph, (lower, upper), (self.level.lower, self.level.upper))
        margin = 0.01 * (high - low) + 1e-6 * np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-3)
        return (low - margin)[hub], (high + margin)[hub]

    def _stretch_ways(self, ways: Elimination) -> Terms:
        node = self.graph.cell_node[self.cell]
        used = np.flatnonzero(ways.hub_of[node] >= 0)
        node = node[used]
        value = -self.graph.sign[node] * self.graph.execution_mean[self.cell[used]] * ways.coefficient[node]
        return Terms(self.stretch, ways.hub_of[node], used, value)

    def _ways_between(self, ways: Elimination) -> list[Terms]:
        kind = self.graph.kind[ways.tail]
        from_hub, from_level = kind == NodeKind.KPI, kind == NodeKind.INITIATIVE
        member = np.searchsorted(ways.hub, ways.tail[from_hub])
        level = self.graph.level[ways.tail[from_level]]
        return [
            Terms(self.change, ways.into[from_hub], member, -ways.weight[from_hub]),
            Terms(self.level, ways.into[from_level], level, -ways.weight[from_level]),
        ]

    def add_goals(self) -> None:
        """s_k (b_g + delta_g - target_g) + f_g >= 0;  a hard goal has no f_g."""
        scenario, graph = self.scenario, self.graph
        goals = list(scenario.goals.values())
        node = np.array([self.goal_node[g.id] for g in goals], dtype=np.int64)
        gap = np.array([g.target for g in goals]) - graph.baseline[node]
        sign = graph.sign[node]
        target = np.array([abs(g.target) for g in goals])
        scale = np.where(gap != 0.0, np.abs(gap), np.where(target != 0.0, target, 1.0))
        self.goal_scale = {g.id: float(size) for g, size in zip(goals, scale, strict=True)}
        hub = np.array([self.position[int(n)] for n in node], dtype=np.int64)
        soft = np.array([i for i, g in enumerate(goals) if not g.hard], dtype=np.int64)
        worst = np.where(sign > 0, self.change.lower[hub], -self.change.upper[hub])
        largest = np.maximum(sign * gap - worst, 0.0) + scale
        self.soft_goals = tuple(goals[i] for i in soft)
        self.shortfall = self.build.add_columns(
            "shortfall", np.zeros(len(soft)), largest[soft], lambda i: self.soft_goals[i].id
        )
        terms = [
            Terms(self.change, np.arange(len(goals)), hub, sign),
            Terms(self.shortfall, soft, np.arange(len(soft)), np.ones(len(soft))),
        ]
        self.build.add_rows("goal", terms, sign * gap, np.full(len(goals), np.inf), lambda i: goals[i].id)

    def add_capacities(self) -> None:
        """For each unit u, resource r:  sum_{n below u} effort_nr x_n + sum_{l below u} use_lr a_l <= capacity_ur."""
        units = self.scenario.units
        for resource, capacity in units.capacity.items():
            holder = np.flatnonzero(~np.isnan(capacity))
            row_of = np.full(len(units), -1, dtype=np.int64)
            row_of[holder] = np.arange(len(holder))
            effort = self.scenario.cells.effort.get(resource, np.zeros(len(self.scenario.cells)))[self.cell]
            terms = [
                self._below(self.stretch, self.scenario.cells.unit[self.cell], effort, row_of),
                self._below(self.level, self.graph.level_unit, self._use(resource), row_of),
            ]
            names = [f"capacity.{resource}@{units.ids[u]}" for u in holder.tolist()]
            rows = self.build.add_rows(
                f"capacity.{resource}", terms, np.full(len(holder), -np.inf), capacity[holder],
                partial(_id_of, units.ids, holder),
            )  # fmt: skip
            self.limits += [
                Limit(name, resource, u, float(capacity[u]), 0.0, rows.start + i)
                for i, (name, u) in enumerate(zip(names, holder.tolist(), strict=True))
            ]

    def _use(self, resource: str) -> Floats:
        """Use of a resource per unit of each level, (n_levels,) float."""
        uses = [i.uses.get(resource, 0.0) for i in self.scenario.initiatives.values()]
        return np.array([*uses, 0.0])[self.graph.level_initiative]

    def _below(self, block: Columns, unit: Integers, value: Floats, row_of: Integers) -> Terms:
        """Give each member a term in the row of its unit and of every unit above that has a row."""
        member = np.flatnonzero(value)
        at, rows, members = unit[member], [EMPTY], [EMPTY]
        while len(at):
            has_row = row_of[at] >= 0
            rows.append(row_of[at[has_row]])
            members.append(member[has_row])
            above = self.scenario.units.parent[at]
            member, at = member[above >= 0], above[above >= 0]
        found = np.concatenate(members)
        return Terms(block, np.concatenate(rows), found, value[found])

    def add_budgets(self) -> None:
        """pay: sum incentive_u + sum pay_rate_n x_n <= limit;  others: sum_l use_lr a_l <= limit, over the scope."""
        budgets = list(self.scenario.budgets.values())
        base = np.array([self._incentives(b) for b in budgets])
        terms = [term for i, budget in enumerate(budgets) for term in self._spending(i, budget)]
        limit = np.array([b.limit for b in budgets])
        rows = self.build.add_rows(
            "budget", terms, np.full(len(budgets), -np.inf), limit - base, lambda i: budgets[i].id
        )
        self.limits += [
            Limit(f"budget.{b.id}", b.resource, b.scope, b.limit, float(base[i]), rows.start + i)
            for i, b in enumerate(budgets)
        ]

    def _incentives(self, budget: Budget) -> float:
        if budget.resource != "pay":
            return 0.0
        units = self.scenario.units
        return float(np.nansum(units.target_incentive[budget.scope : units.end[budget.scope]]))

    def _spending(self, row: int, budget: Budget) -> list[Terms]:
        cells, units = self.scenario.cells, self.scenario.units
        first, last = budget.scope, units.end[budget.scope]
        inside = (self.graph.level_unit >= first) & (self.graph.level_unit < last)
        level = np.flatnonzero((self._use(budget.resource) != 0.0) & inside)
        terms = [Terms(self.level, np.full(len(level), row), level, self._use(budget.resource)[level])]
        if budget.resource == "pay":
            unit, rate = cells.unit[self.cell], np.nan_to_num(cells.pay_rate[self.cell])
            paid = np.flatnonzero((rate != 0.0) & (unit >= first) & (unit < last))
            terms.append(Terms(self.stretch, np.full(len(paid), row), paid, rate[paid]))
        return terms

    def add_fairness(self) -> None:
        """x_n / w_n - m_G <= 0 for every cell n of peer group G."""
        self.peers = peer_groups(self.scenario, self.cell)
        wanted = "fairness" in self.scenario.decide.order
        n_groups = len(self.peers.count) if wanted else 0
        relative = self.stretch.upper / self.scale
        highest = np.zeros(n_groups)
        if wanted:
            np.maximum.at(highest, self.peers.group, relative)
        self.largest = self.build.add_columns(
            "largest", np.zeros(n_groups), 1.01 * highest, lambda i: self.peers.names[i]
        )
        n = len(self.cell) if wanted else 0
        member = np.arange(n)
        terms = [
            Terms(self.stretch, member, member, 1.0 / self.scale[:n]),
            Terms(self.largest, member, self.peers.group[:n], -np.ones(n)),
        ]
        self.build.add_rows("fairness", terms, np.full(n, -np.inf), np.zeros(n), self.stretch.label)

    def finish(self) -> Cascade:
        """Add the objectives in the planner's order and freeze."""
        decide = self.scenario.decide
        writers = {
            "goals": self._goal_objectives,
            "fairness": self._fairness_objective,
            "cost": self._cost_objective,
            "maximize": self._maximize_objective,
        }
        objectives = [o for step in decide.order if step != "reference" for o in writers[step]()]
        return Cascade(
            self.graph, self.build.finish(objectives, self._reference()), self.stretch, self.cell, self.scale,
            self.level, self.change, self.shortfall, self.largest, self.soft_goals, self.goal_scale, self.peers,
            tuple(self.limits),
        )  # fmt: skip

    def _objective(self, name: str, block: Columns, value: Floats, unit: str, priority: int | None = None) -> Objective:
        cost = np.zeros(self.build.n_columns)
        cost[block.positions] = value
        return Objective(name, priority, cost, 0.0, self.scenario.decide.slack.get(name, 0.0), unit)

    def _goal_objectives(self) -> list[Objective]:
        """For each priority p:  min sum_{g of p} weight_g f_g / scale_g."""
        value = np.array([g.weight / self.goal_scale[g.id] for g in self.soft_goals])
        priority = np.array([g.priority for g in self.soft_goals], dtype=np.int64)
        return [
            self._objective("goals", self.shortfall, np.where(priority == p, value, 0.0), "goal shortfall", p)
            for p in sorted(set(priority.tolist()))
        ]

    def _maximize_objective(self) -> list[Objective]:
        """Max sum_g weight_g s_k (b_g + delta_g) / scale_g, written as a minimum."""
        cost, offset = np.zeros(self.build.n_columns), 0.0
        for goal in self.scenario.goals.values():
            node = self.goal_node[goal.id]
            rate = goal.weight * self.graph.sign[node] / self.goal_scale[goal.id]
            cost[self.change.start + self.position[node]] -= rate
            offset -= rate * float(self.graph.baseline[node])
        slack = self.scenario.decide.slack.get("maximize", 0.0)
        return [Objective("maximize", None, cost, offset, slack, "weighted goal value")] if self.goal_node else []

    def _fairness_objective(self) -> list[Objective]:
        """Min sum_G n_G m_G / sum_G n_G."""
        if not len(self.largest):
            return []
        return [
            self._objective("fairness", self.largest, self.peers.count / self.peers.count.sum(), "relative stretch")
        ]

    def _cost_objective(self) -> list[Objective]:
        """Min pay at plan + initiatives' use of money budgets + effort x effort_price."""
        cells, decide = self.scenario.cells, self.scenario.decide
        cost = np.zeros(self.build.n_columns)
        rate = np.nan_to_num(cells.pay_rate[self.cell])
        level = sum((self._money_use(r) for r in self._used_resources()), np.zeros(len(self.level)))
        for resource, price in decide.effort_price.items():
            if resource in cells.effort:
                rate = rate + price * cells.effort[resource][self.cell]
            level = level + price * self._use(resource)
        cost[self.stretch.positions] = rate
        cost[self.level.positions] = level
        incentives = float(np.nansum(self.scenario.units.target_incentive))
        return [
            Objective("cost", None, cost, incentives, decide.slack.get("cost", 0.0), self.scenario.currency or "money")
        ]

    def _used_resources(self) -> list[str]:
        return sorted({resource for i in self.scenario.initiatives.values() for resource in i.uses})

    def _money_use(self, resource: str) -> Floats:
        """Use of a resource per unit of level where a money budget covers the deciding unit, (n_levels,) float."""
        units, at = self.scenario.units, self.graph.level_unit
        covered = np.zeros(len(at), dtype=bool)
        for budget in self.scenario.budgets.values():
            if budget.resource == resource and budget.money:
                covered |= (at >= budget.scope) & (at < units.end[budget.scope])
        return np.where(covered, self._use(resource), 0.0)

    def _reference(self) -> Reference:
        """Min sum_k sum_{n in k} x_n^2 / (w_n W_k) + 0.001 mean_l (a_l / max_l)^2, with W_k the sum of w_n in k.

        A cell with a reference value r_n has (b_n + s_k x_n - r_n)^2 in place of x_n^2.
        """
        cells, kpi = self.scenario.cells, self.scenario.cells.kpi[self.cell]
        weight, centre = (np.zeros(self.build.n_columns) for _ in range(2))
        total = np.bincount(kpi, self.scale, len(self.scenario.kpis))
        weight[self.stretch.positions] = 1.0 / (self.scale * total[kpi])
        reference, node = cells.reference[self.cell], self.graph.cell_node[self.cell]
        distance = self.graph.sign[node] * (reference - self.graph.baseline[node])
        centre[self.stretch.positions] = np.where(np.isnan(reference), 0.0, distance)
        with np.errstate(divide="ignore"):
            per_level = 0.001 / (max(len(self.level), 1) * self.level.upper**2)
        weight[self.level.positions] = np.where(self.level.upper > 0, per_level, 0.0)
        return Reference(weight, centre)


def _id_of(ids: tuple[str, ...], positions: Integers, member: int) -> str:
    return ids[positions[member]]


def peer_groups(scenario: Scenario, cell: Integers) -> PeerGroups:
    """Group cells by KPI and the `peers` attributes of their units.

    Parameters
    ----------
    cell : (n,) int
        Positions in `scenario.cells`.
    """
    units, cells = scenario.units, scenario.cells
    columns = {
        "level": np.array(units.levels, dtype=object),
        "role": np.array(units.roles, dtype=object),
        "pay_plan": np.array(units.pay_plans, dtype=object),
        "parent": np.array([units.ids[p] if p >= 0 else "" for p in units.parent.tolist()], dtype=object),
    }
    codes, values = [cells.kpi[cell]], []
    for peer in scenario.decide.peers:
        names, code = np.unique(columns[peer].astype(str), return_inverse=True)
        codes.append(code[cells.unit[cell]])
        values.append(names)
    keys, group, count = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True, return_counts=True)
    labels = tuple(
        ", ".join(
            [scenario.kpi_ids[key[0]]]
            + [f"{p} {v[c]}" for p, v, c in zip(scenario.decide.peers, values, key[1:], strict=True) if v[c]]
        )
        for key in keys.tolist()
    )
    return PeerGroups(group.ravel(), count, labels)


__all__ = ["Cascade", "Limit", "PeerGroups", "Rows", "build_cascade", "peer_groups"]
