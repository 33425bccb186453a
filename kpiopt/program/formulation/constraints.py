"""The rules of the cascade, one short function each; the docstring is its formula.

Symbols
-------
x_n      stretch of cell n >= 0, in the KPI's own unit          s_k   direction sign, +1 up, -1 down
a_l      level of an initiative at one unit                    e_n   mean execution of cell n
delta_h  expected change of hub h                              b_n   baseline
f_g      shortfall of goal g >= 0                              w_n   max(|b_n|, step), the scale of relative stretch
m_G      largest relative stretch of peer group G              c     mean contribution along an edge or a way
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kpiopt.graph import NodeKind
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder, Terms
from kpiopt.program.formulation.columns import DecisionColumns
from kpiopt.scenario.scenario import Budget, Floats, Integers

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
        Row of the program.
    """

    name: str
    resource: str
    unit: int
    value: float
    base: float
    row: int


def add_value_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """delta_h - sum_n s_k e_n c_nh x_n - sum_l c_lh a_l - sum_m c_mh delta_m = sum_factors c_fh E[factor]."""
    graph, ways = columns.graph, columns.ways
    each = np.arange(len(ways.hub))
    constant = np.zeros(len(ways.hub))
    np.add.at(constant, ways.into, ways.weight * graph.factor_mean[ways.tail])
    terms = [Terms(columns.change, each, each, np.ones(len(each))), _stretch_ways(columns), *_ways_between(columns)]
    build.add_rows("value", terms, constant, constant, columns.change.label)


def _stretch_ways(columns: DecisionColumns) -> Terms:
    """- s_k e_n c_nh x_n, for each cell that reaches a hub."""
    graph, ways = columns.graph, columns.ways
    member = np.flatnonzero(ways.hub_of[columns.stretch_node] >= 0)
    node = columns.stretch_node[member]
    execution = columns.execution[member]
    return Terms(columns.stretch, ways.hub_of[node], member, -graph.sign[node] * execution * ways.coefficient[node])


def _ways_between(columns: DecisionColumns) -> list[Terms]:
    """- c_mh delta_m for ways from other hubs, - c_lh a_l for ways from initiatives."""
    graph, ways = columns.graph, columns.ways
    kind = graph.kind[ways.tail]
    hubs, levels = kind == NodeKind.KPI, kind == NodeKind.INITIATIVE
    member = np.searchsorted(ways.hub, ways.tail[hubs])
    return [
        Terms(columns.change, ways.into[hubs], member, -ways.weight[hubs]),
        Terms(columns.level, ways.into[levels], graph.level[ways.tail[levels]], -ways.weight[levels]),
    ]


def add_goal_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """s_k (b_g + delta_g - target_g) + f_g >= 0;  a hard goal has no f_g."""
    goals, soft = columns.goals, columns.soft
    sign, baseline = columns.graph.sign[columns.goal_node], columns.graph.baseline[columns.goal_node]
    gap = np.array([g.target for g in goals]) - baseline
    terms = [
        Terms(columns.change, np.arange(len(goals)), columns.goal_hub, sign),
        Terms(columns.shortfall, soft, np.arange(len(soft)), np.ones(len(soft))),
    ]
    build.add_rows("goal", terms, sign * gap, np.full(len(goals), np.inf), lambda i: goals[i].id)


def add_lock_target_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """delta_n + s_k (1 - e_n) x_n = lock_target_n - b_n: what is asked of the cell, effects included, is the target."""
    graph, fixed, each = columns.graph, columns.fixed, np.arange(len(columns.fixed))
    node = columns.stretch_node[fixed]
    gap = graph.scenario.cells.fixed_target[columns.stretch_cell[fixed]] - graph.baseline[node]
    terms = [
        Terms(columns.change, each, np.searchsorted(columns.ways.hub, node), np.ones(len(fixed))),
        Terms(columns.stretch, each, fixed, graph.sign[node] * (1.0 - columns.execution[fixed])),
    ]
    build.add_rows("lock_target", terms, gap, gap, lambda i: columns.stretch.label(fixed[i]))


def add_capacity_rows(build: ProgramBuilder, columns: DecisionColumns) -> list[Limit]:
    """For each unit u, resource r:  sum_{n below u} effort_nr x_n + sum_{l below u} use_lr a_l <= capacity_ur."""
    units, limits = columns.scenario.units, []
    for resource, capacity in units.capacity.items():
        holder = np.flatnonzero(~np.isnan(capacity))
        row_of = np.full(len(units), -1, dtype=np.int64)
        row_of[holder] = np.arange(len(holder))
        terms = [
            _in_rows_above(
                columns, columns.stretch, columns.stretch_unit, columns.effort_per_stretch(resource), row_of
            ),
            _in_rows_above(columns, columns.level, columns.graph.level_unit, columns.use_per_level(resource), row_of),
        ]
        label = partial(_id_of, units.ids, holder)
        rows = build.add_rows(f"capacity.{resource}", terms, np.full(len(holder), -np.inf), capacity[holder], label)
        names = [f"capacity.{resource}@{units.ids[u]}" for u in holder.tolist()]
        limits += [
            Limit(name, resource, u, float(capacity[u]), 0.0, rows.start + i)
            for i, (name, u) in enumerate(zip(names, holder.tolist(), strict=True))
        ]
    return limits


def _id_of(ids: Sequence[str], positions: Integers, member: int) -> str:
    return ids[int(positions[member])]


def _in_rows_above(columns: DecisionColumns, block: Columns, unit: Integers, value: Floats, row_of: Integers) -> Terms:
    """Give each member a term in the row of its unit and of every unit above that has a row."""
    member = np.flatnonzero(value)
    at, rows, members = unit[member], [EMPTY], [EMPTY]
    while len(at):
        has_row = row_of[at] >= 0
        rows.append(row_of[at[has_row]])
        members.append(member[has_row])
        above = columns.scenario.units.parent[at]
        member, at = member[above >= 0], above[above >= 0]
    found = np.concatenate(members)
    return Terms(block, np.concatenate(rows), found, value[found])


def add_budget_rows(build: ProgramBuilder, columns: DecisionColumns) -> list[Limit]:
    """pay: sum incentive_u + sum pay_rate_n x_n + sum_l use_l a_l <= limit;  others: sum_l use_lr a_l <= limit."""
    budgets = list(columns.scenario.budgets.values())
    base = np.array([target_incentives(columns, b) for b in budgets])
    limit = np.array([b.limit for b in budgets])
    terms = [term for row, budget in enumerate(budgets) for term in _spending(columns, row, budget)]
    rows = build.add_rows("budget", terms, np.full(len(budgets), -np.inf), limit - base, lambda i: budgets[i].id)
    return [
        Limit(f"budget.{b.id}", b.resource, b.scope, b.limit, float(base[i]), rows.start + i)
        for i, b in enumerate(budgets)
    ]


def target_incentives(columns: DecisionColumns, budget: Budget) -> float:
    """Return the target incentives in the scope of a pay budget, 0 for other budgets."""
    if budget.resource != "pay":
        return 0.0
    units = columns.scenario.units
    return float(np.nansum(units.target_incentive[budget.scope : units.end[budget.scope]]))


def _spending(columns: DecisionColumns, row: int, budget: Budget) -> list[Terms]:
    first, last = budget.scope, columns.scenario.units.end[budget.scope]
    at = columns.graph.level_unit
    use = np.where((at >= first) & (at < last), columns.use_per_level(budget.resource), 0.0)
    terms = [_one_row(columns.level, row, use)]
    if budget.resource == "pay":
        inside = (columns.stretch_unit >= first) & (columns.stretch_unit < last)
        terms.append(_one_row(columns.stretch, row, np.where(inside, columns.pay_rate, 0.0)))
    return terms


def _one_row(block: Columns, row: int, value: Floats) -> Terms:
    member = np.flatnonzero(value)
    return Terms(block, np.full(len(member), row), member, value[member])


def add_fairness_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """x_n / w_n - m_G <= 0 for every cell n of peer group G that no lock takes."""
    n = len(columns.peers.member) if len(columns.largest) else 0
    each, member = np.arange(n), columns.peers.member[:n]
    terms = [
        Terms(columns.stretch, each, member, 1.0 / columns.scale[member]),
        Terms(columns.largest, each, columns.peers.group[:n], -np.ones(n)),
    ]
    build.add_rows("fairness", terms, np.full(n, -np.inf), np.zeros(n), lambda i: columns.stretch.label(member[i]))
