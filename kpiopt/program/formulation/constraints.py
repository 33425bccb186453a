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

from dataclasses import dataclass
from functools import partial

import numpy as np

from kpiopt.graph import NodeKind
from kpiopt.graph.by_period import added_by_stretch
from kpiopt.graph.capacities import capacity_names, season_of_capacity
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder, Terms, label_of
from kpiopt.program.formulation.chosen import chosen_cells
from kpiopt.program.formulation.columns import DecisionColumns
from kpiopt.program.formulation.compared import Weighted
from kpiopt.program.formulation.response import response_ways
from kpiopt.scenario.bounds import closed
from kpiopt.scenario.scenario import Budget, Floats, Integers
from kpiopt.scenario.target_grid import target_grid

EMPTY = np.empty(0, dtype=np.int64)
HALF = 0.5 * (1.0 - 1e-6)
"""Share of a step that rounding forgives a goal, kept off the border by more than rounding can tell."""


@dataclass(frozen=True)
class Limit:
    """A capacity or a budget as a row of the program.

    Attributes
    ----------
    name : str
        "capacity.<resource>@<unit>" or "budget.<id>".
    unit : int
        Whose subtree it holds for.
    value : float
        The limit as the planner wrote it (capacity times scale).
    base : float
        Use that no decision changes: target incentives for pay, 0 elsewhere.
    row : int
        Row of the program.
    period : str or None
        The period that it is about; None for the horizon.
    """

    name: str
    resource: str
    unit: int
    value: float
    base: float
    row: int
    period: str | None = None


def add_value_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """delta_h - sum_n s_k e_n c_nh x_n - sum_l c_lh a_l - sum_m c_mh delta_m = sum_factors c_fh E[factor] + cut_h.

    cut_h is what bounds take away without any decision (0 where KPIs have none). Of a curve, delta is what reaches it;
    what it hands on to others is its y.
    """
    graph, ways = columns.graph, columns.ways
    each = np.arange(len(ways.hub))
    constant = np.zeros(len(ways.hub))
    np.add.at(constant, ways.into, ways.weight * graph.factor_mean[ways.tail])
    cut = np.flatnonzero((graph.clipped != 0.0) & (ways.hub_of >= 0))
    np.add.at(constant, ways.hub_of[cut], ways.coefficient[cut] * graph.clipped[cut])
    terms = [Terms(columns.change, each, each, np.ones(len(each))), _stretch_ways(columns), *_ways_between(columns)]
    terms.append(response_ways(graph, ways, columns.responses))
    build.add_rows("value", terms, constant, constant, columns.change.label)


def _stretch_ways(columns: DecisionColumns) -> Terms:
    """- s_k e_n c_nh x_n, for each cell that reaches a hub."""
    ways = columns.ways
    member = np.flatnonzero(ways.hub_of[columns.stretch_node] >= 0)
    node = columns.stretch_node[member]
    change = columns.per_stretch[member] * columns.execution[member]
    return Terms(columns.stretch, ways.hub_of[node], member, -change * ways.coefficient[node])


def _ways_between(columns: DecisionColumns) -> list[Terms]:
    """- c_mh delta_m for ways from other hubs, - c_lh a_l for ways from initiatives."""
    graph, ways = columns.graph, columns.ways
    kind = graph.kind[ways.tail]
    hubs, levels = (kind == NodeKind.KPI) | (kind == NodeKind.BUILT), kind == NodeKind.INITIATIVE
    member = np.searchsorted(ways.hub, ways.tail[hubs])
    return [
        Terms(columns.change, ways.into[hubs], member, -ways.weight[hubs]),
        Terms(columns.level, ways.into[levels], graph.level[ways.tail[levels]], -ways.weight[levels]),
    ]


def add_goal_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """s_k (b_g + delta_g - target_g) + f_g >= 0;  a hard goal has no f_g.

    A goal with p_min has no such row: it is about its odds, and the cuts of its promise stand in its place.
    """
    goals, here = columns.goals, columns.on_average
    sign, baseline = columns.graph.sign[columns.goal_node], columns.graph.baseline[columns.goal_node]
    gap = np.array([g.target for g in goals]) - baseline
    soft, member = np.flatnonzero(np.isin(here, columns.soft)), np.flatnonzero(np.isin(columns.soft, here))
    terms = [
        Terms(columns.change, np.arange(len(here)), columns.goal_hub[here], sign[here]),
        Terms(columns.shortfall, soft, member, np.ones(len(soft))),
    ]
    build.add_rows("goal", terms, (sign * gap)[here], np.full(len(here), np.inf), lambda i: goals[here[i]].id)


def add_met_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """f_g - (most_g - h_g) z_g <= h_g, so that a goal that is not missed falls short by no more than h_g.

    h_g is what rounding to the KPI's step forgives (a hair less than half of it), 0 where it has none; most_g is the
    largest shortfall.
    """
    graph, n = columns.graph, len(columns.missed)
    node, each = columns.goal_node[columns.soft[:n]], np.arange(n)
    target = np.array([goal.target for goal in columns.soft_goals[:n]])
    grid = target_grid(target, graph.scenario.kpi_step[graph.kpi[node]])
    forgiven, most = HALF * grid, columns.shortfall.upper[:n]
    terms = [
        Terms(columns.shortfall, each, each, np.ones(n)),
        Terms(columns.missed, each, each, forgiven - most),
    ]
    build.add_rows("met", terms, np.full(n, -np.inf), forgiven, columns.missed.label)


def add_lock_target_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """delta_n + s_k sum_{m in n} r_mn (1 - e_m) x_m = lock_target_n / F_n - b_n: all that is asked is the target.

    F_n is what over-assignment multiplies the target by, 1 without any. The sum is over the cells that roll up to a
    total, r_mn their weight in it; for a cell it is the cell alone. With periods it is the target over the
    horizon, the sum is over x_mt, and r_mn counts what is left of a stock's in the last period.
    """
    graph, totals = columns.graph, columns.scenario.totals
    total = totals.cell[~np.isnan(totals.target)]
    cell = np.concatenate([columns.decided[columns.fixed], total])
    node = graph.whole_node[cell]
    gap = graph.scenario.horizon.fixed_target[cell] - graph.baseline[node]
    row, member, weight = graph.ways_up(graph.whole_node[columns.decided][columns.stretch_decided], node)
    added = added_by_stretch(columns.scenario)[columns.stretch_kpi, np.maximum(columns.stretch_period, 0)]
    weight = weight * graph.sign[node[row]] * ((1.0 - columns.execution) * added)[member]
    terms = [
        Terms(columns.change, np.arange(len(node)), np.searchsorted(columns.ways.hub, node), np.ones(len(node))),
        Terms(columns.stretch, row, member, weight),
    ]
    build.add_rows("lock_target", terms, gap, gap, lambda i: graph.node_name(int(node[i])))


def add_bound_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """min_k <= b_n + delta_n <= max_k wherever the boxes of the decisions do not say as much.

    Where nothing but its own stretch moves a cell, s_k e_n x_n stands for delta_n.
    """
    graph, node = columns.graph, columns.at_risk
    hub = columns.ways.hub
    place = np.minimum(np.searchsorted(hub, node), max(len(hub) - 1, 0))
    is_hub = hub[place] == node if len(hub) else np.zeros(len(node), dtype=bool)
    member_of = np.full(graph.n_nodes, -1, dtype=np.int64)
    member_of[columns.stretch_node] = np.arange(len(columns.stretch))
    own, each = np.flatnonzero(~is_hub & (member_of[node] >= 0)), np.flatnonzero(is_hub)
    member = member_of[node[own]]
    terms = [
        Terms(columns.change, each, place[each], np.ones(len(each))),
        Terms(columns.stretch, own, member, columns.per_stretch[member] * columns.execution[member]),
    ]
    low, high = graph.bounds[:, node] - graph.baseline[node]
    build.add_rows("bound", terms, low, high, lambda i: graph.node_name(int(node[i])))


def add_total_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """min_stretch_u <= sum_{m in u} r_mu x_m <= max_stretch_u for the total of u;  a lock is both.

    r_mu is 1 in a sum, and the cell's share of the size in a mean. Left out where the cells' own ranges say as much.
    With periods x_m is the sum of the cell's stretches.
    """
    graph, totals, stretch = columns.graph, columns.scenario.totals, columns.stretch
    node = graph.whole_node[totals.cell]
    row, member, weight = graph.ways_up(graph.whole_node[columns.decided][columns.stretch_decided], node)
    least, most = (np.bincount(row, weight * b[member], len(node)) for b in (stretch.lower, stretch.upper))
    hair = 1e-9 * np.maximum(np.abs(least), np.abs(most))
    kept = np.flatnonzero((totals.low > least + hair) | (totals.high < most - hair))
    at = np.searchsorted(kept, row)
    here = np.isin(row, kept)
    terms = [Terms(stretch, at[here], member[here], weight[here])]
    build.add_rows("total", terms, totals.low[kept], totals.high[kept], lambda i: graph.node_name(int(node[kept[i]])))


def add_range_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """min_stretch_n <= sum_t x_nt <= max_stretch_n for each cell of a plan with periods;  a lock is both.

    A locked target has a row of its own and counts whatever the range says; here stands what its columns allow.
    Where the plan chooses whether the unit answers for it, `spared_least` stands in place of min_stretch_n.
    """
    scenario = columns.scenario
    horizon, count = scenario.horizon, len(columns.decided) if scenario.periods is not None else 0
    lock, cell = horizon.lock[columns.decided[:count]], columns.decided[:count]
    low, high = (np.where(np.isnan(lock), b[cell], lock) for b in (horizon.min_stretch, horizon.max_stretch))
    free, n = ~np.isnan(horizon.fixed_target[cell]), len(columns.stretch) if count else 0
    box = [
        np.bincount(columns.stretch_decided[:n], end[:n], count)
        for end in (columns.stretch.lower, columns.stretch.upper)
    ]
    low, high = np.where(free, box[0], low), np.where(free, box[1], high)
    low = np.where(np.isin(cell, chosen_cells(columns.graph)), np.minimum(low, 0.0), low)
    terms = [Terms(columns.stretch, columns.stretch_decided[:n], np.arange(n), np.ones(n))]
    node = columns.graph.whole_node[cell]
    build.add_rows("range", terms, *closed(low, high), lambda i: columns.graph.node_name(int(node[i])))


def add_ramp_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """-ramp_n <= x_nt / (w_t w_n) - x_nu / (w_u w_n) <= ramp_n for u = t - 1, where a guardrail gives a ramp."""
    periods, cell = columns.scenario.periods, columns.stretch_cell
    if periods is None:
        return
    ramp = periods.ramp[columns.decided[columns.stretch_decided]]
    now = np.flatnonzero(~np.isnan(ramp) & (columns.stretch_period > 0))
    value = 1.0 / (periods.season[columns.stretch_kpi, columns.stretch_period] * columns.scale)
    each, before = np.arange(len(now)), now - 1
    terms = [
        Terms(columns.stretch, each, now, value[now]),
        Terms(columns.stretch, each, before, -value[before]),
    ]
    node = columns.graph.cell_node[cell[now]]
    build.add_rows("ramp", terms, -ramp[now], ramp[now], partial(_node_of, columns, node))


def add_start_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """sum_u a_lu <= max_l over the periods u in which an initiative may begin."""
    graph, ids = columns.graph, columns.scenario.units.ids
    initiatives = list(columns.scenario.initiatives.values())
    pair = graph.level_initiative * len(ids) + graph.level_unit
    each, row = np.unique(pair[graph.level_start >= 0], return_inverse=True)
    which, unit = np.divmod(each, len(ids))
    most = np.zeros(len(each))
    np.maximum.at(most, row, columns.level.upper[graph.level_start >= 0])
    terms = [Terms(columns.level, row, np.arange(len(row)), np.ones(len(row)))]
    label = partial(label_of, [f"{initiatives[i].id}@{ids[u]}" for i, u in zip(which, unit, strict=True)])
    build.add_rows("start", terms, np.full(len(each), -np.inf), most, label)


def add_capacity_rows(build: ProgramBuilder, columns: DecisionColumns) -> list[Limit]:
    """For each unit u, resource r:  sum_{n below u} effort_nr x_n + sum_{l below u} use_lr a_l <= capacity_ur.

    In each period t with what is worked, begun and available in it. What an initiative is set up with, setup_lr o_l,
    counts as well.
    """
    units, limits = columns.scenario.units, []
    switched = columns.graph.level_unit[columns.actions.level]
    for resource, capacity in units.capacity.items():
        holder = np.flatnonzero(~np.isnan(capacity))
        share = season_of_capacity(columns.scenario, resource, holder)
        row_of, terms = np.full(len(units), -1, dtype=np.int64), []
        for period in range(len(share)) if columns.scenario.periods is not None else (-1,):
            row_of[holder] = np.arange(len(holder)) + max(period, 0) * len(holder)
            now = columns.stretch_period == period
            effort = np.where(now & ~columns.has_load, columns.effort_per_stretch(resource), 0.0)
            loaded = np.where(now, columns.effort_per_load(resource), 0.0)[columns.effort.loaded]
            use = columns.use_per_level(resource, period)
            terms += [
                _in_rows_above(columns, columns.stretch, columns.stretch_unit, effort, row_of),
                _in_rows_above(
                    columns, columns.effort.load, columns.stretch_unit[columns.effort.loaded], loaded, row_of
                ),
                _in_rows_above(columns, columns.level, columns.graph.level_unit, use, row_of),
                _in_rows_above(columns, columns.actions.on, switched, columns.setup_use(resource, period), row_of),
            ]
        available = (share * capacity[holder]).ravel()
        names = capacity_names(columns.scenario, resource, holder)
        label = partial(label_of, [name.partition("@")[2] for name in names])
        rows = build.add_rows(f"capacity.{resource}", terms, np.full(len(available), -np.inf), available, label)
        limits += [
            Limit(
                name, resource, int(holder[i % len(holder)]), float(available[i]), 0.0, rows.start + i,
                None if columns.scenario.periods is None else columns.scenario.periods.names[i // len(holder)],
            )
            for i, name in enumerate(names)
        ]  # fmt: skip
    return limits


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
    """pay: sum incentive_u + sum pay_rate_n x_n + sum_l use_l a_l <= limit;  others: sum_l use_lr a_l <= limit.

    A budget that holds in every period has a row for each, with 1 / T of the incentives. What an initiative is set up
    with, setup_lr o_l, counts as well.
    """
    each = [
        (budget, period)
        for budget in columns.scenario.budgets.values()
        for period in (range(columns.scenario.n_periods) if budget.by_period else (-1,))
    ]
    base = np.array([target_incentives(columns, b) / (columns.scenario.n_periods if t >= 0 else 1) for b, t in each])
    limit = np.array([b.limit for b, _ in each])
    terms = [term for row, (budget, period) in enumerate(each) for term in _spending(columns, row, budget, period)]
    names = [columns.scenario.period_name(t) for _, t in each]
    labels = [b.id if name is None else f"{b.id}/{name}" for (b, _), name in zip(each, names, strict=True)]
    label = partial(label_of, labels)
    rows = build.add_rows("budget", terms, np.full(len(each), -np.inf), limit - base, label)
    return [
        Limit(f"budget.{labels[i]}", b.resource, b.scope, b.limit, float(base[i]), rows.start + i, names[i])
        for i, (b, _) in enumerate(each)
    ]


def target_incentives(columns: DecisionColumns, budget: Budget) -> float:
    """Return the target incentives in the scope of a pay budget, 0 for other budgets."""
    if budget.resource != "pay":
        return 0.0
    units = columns.scenario.units
    return float(np.nansum(units.target_incentive[budget.scope : units.end[budget.scope]]))


def _spending(columns: DecisionColumns, row: int, budget: Budget, period: int) -> list[Terms]:
    first, last = budget.scope, columns.scenario.units.end[budget.scope]
    at = columns.graph.level_unit
    spent = columns.use_per_level(budget.resource, period if period >= 0 else None)
    terms = [_one_row(columns.level, row, np.where((at >= first) & (at < last), spent, 0.0))]
    once, at = columns.setup_use(budget.resource, period if period >= 0 else None), at[columns.actions.level]
    terms.append(_one_row(columns.actions.on, row, np.where((at >= first) & (at < last), once, 0.0)))
    if budget.resource == "pay":
        inside = (columns.stretch_unit >= first) & (columns.stretch_unit < last)
        if period >= 0:
            inside &= columns.stretch_period == period
        terms.append(_one_row(columns.stretch, row, np.where(inside, columns.pay_rate, 0.0)))
    return terms


def _one_row(block: Columns, row: int, value: Floats) -> Terms:
    member = np.flatnonzero(value)
    return Terms(block, np.full(len(member), row), member, value[member])


def add_fairness_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """v_i - m_G <= 0 for every member i of peer group G.

    v_i is x_n / w_n of a cell that no lock takes, with periods sum_t x_nt / w_n; or a unit's load, effort / capacity.
    """
    compared, n = columns.compared, len(columns.compared) if len(columns.largest) else 0
    terms = [*_compared(columns, n), Terms(columns.largest, np.arange(n), compared.group[:n], -np.ones(n))]
    build.add_rows("fairness", terms, np.full(n, -np.inf), np.zeros(n), compared.label)


def _compared(columns: DecisionColumns, n: int) -> list[Terms]:
    """v_i as terms of row i, for all members or for none."""
    return [
        Terms(block, part.row[: len(part.row) if n else 0], part.member[: len(part.row) if n else 0],
              part.value[: len(part.row) if n else 0])
        for block, part in ((columns.stretch, columns.compared.stretch), (columns.level, columns.compared.level))
    ]  # fmt: skip


def add_mean_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """sum_{i in G} v_i - n_G u_G = 0 for every peer group G that is held near its mean u_G."""
    compared, n = columns.compared, len(columns.fair.mean)
    terms = [Terms(t.columns, compared.group[t.row], t.member, t.value) for t in _compared(columns, n)]
    terms.append(Terms(columns.fair.mean, np.arange(n), np.arange(n), -compared.count[:n].astype(np.float64)))
    build.add_rows("mean", terms, np.zeros(n), np.zeros(n), lambda i: compared.names[i])


def add_band_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """-band <= v_i - u_G <= band for every member i of peer group G, where there is a band."""
    compared, band = columns.compared, columns.scenario.fairness.band
    n = len(compared) if band is not None and len(columns.fair.mean) else 0
    width = np.full(n, band or 0.0)
    terms = [*_compared(columns, n), Terms(columns.fair.mean, np.arange(n), compared.group[:n], -np.ones(n))]
    build.add_rows("band", terms, -width, width, compared.label)


def add_peer_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """v_n - most_n u_G <= 0 and least_n u_G - v_n <= 0 for the cells n whose guardrails speak of their peers."""
    compared, peers = columns.compared, columns.peers
    least, most = columns.scenario.horizon.beside_peers[:, columns.decided[peers.member]]
    over, under = np.flatnonzero(~np.isnan(most)), np.flatnonzero(~np.isnan(least))
    member, side = np.concatenate([over, under]), np.repeat([1.0, -1.0], [len(over), len(under)])
    bound, row = np.concatenate([most[over], least[under]]), np.arange(len(member))
    at, decision, value = _repeated(compared.stretch, member)
    terms = [
        Terms(columns.stretch, at, decision, side[at] * value),
        Terms(columns.fair.mean, row, compared.group[member], -side * bound),
    ]
    ends = ["most"] * len(over) + ["least"] * len(under)
    label = partial(label_of, [f"{compared.label(i)}, {end}" for i, end in zip(member.tolist(), ends, strict=True)])
    build.add_rows("peers", terms, np.full(len(member), -np.inf), np.zeros(len(member)), label)


def add_rank_rows(build: ProgramBuilder, columns: DecisionColumns) -> None:
    """v_i - t_Gk - d_Gki <= 0 for every member i of peer group G and k = 2, 3, … to its size."""
    compared, ranks = columns.compared, columns.fair.ranks
    each = np.arange(len(ranks.member))
    terms = [
        Terms(columns_of, *_repeated(part, ranks.member))
        for columns_of, part in ((columns.stretch, compared.stretch), (columns.level, compared.level))
    ]
    terms += [
        Terms(ranks.worst, each, ranks.of_worst, -np.ones(len(each))),
        Terms(ranks.beyond, each, each, -np.ones(len(each))),
    ]
    label = partial(label_of, [ranks.beyond.label(j) for j in each.tolist()])
    build.add_rows("rank", terms, np.full(len(each), -np.inf), np.zeros(len(each)), label)


def _repeated(part: Weighted, member: Integers) -> tuple[Integers, Integers, Floats]:
    """Return the terms of some members, one row for each mention."""
    order = np.argsort(part.row, kind="stable")
    first, last = (np.searchsorted(part.row[order], member, side=side) for side in ("left", "right"))
    count = last - first
    row = np.repeat(np.arange(len(member)), count)
    at = order[np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)]
    return row, part.member[at], part.value[at]


def _node_of(columns: DecisionColumns, nodes: Integers, member: int) -> str:
    return columns.graph.node_name(int(nodes[member]))
