"""The steps of the strict order, one short function each; the docstring is its formula (symbols: `constraints`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpiopt.program.formulation.blocks import Columns, Objective, Reference
from kpiopt.program.formulation.columns import DecisionColumns, risk_steps
from kpiopt.program.trust.arrays import dot
from kpiopt.scenario.scenario import Floats, Integers

LEVEL_WEIGHT = 0.001


def hard_promises(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """Min sum_{hard g with p_min} f_g / scale_g;  there is no plan unless it is 0."""
    value = np.array([g.hard for g in columns.soft_goals]) / columns.goal_scale[columns.soft]
    cost = _cost(columns.shortfall, value, n_columns)
    return [Objective("hard promises", None, cost, 0.0, 0.0, "goal shortfall")] if np.any(cost) else []


def goal_objectives(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """For each priority p:  min sum_{g of p} weight_g f_g / scale_g;  then, where they are promised together, min t."""
    goals, scale = columns.soft_goals, columns.goal_scale[columns.soft]
    value = np.where([g.hard for g in goals], 0.0, [g.weight for g in goals]) / scale
    priority = np.array([g.priority for g in goals], dtype=np.int64)
    slack = _slack(columns, "goals")
    found = [
        Objective(
            "goals", p, _cost(columns.shortfall, value * (priority == p), n_columns), 0.0, slack, "goal shortfall"
        )
        for p in sorted({g.priority for g in goals if not g.hard})
    ]
    if len(columns.together):
        after = columns.scenario.odds.priority
        cost = _cost(columns.together, np.ones(1), n_columns)
        place = next((i for i, o in enumerate(found) if after is not None and (o.priority or 0) > after), len(found))
        found.insert(place, Objective("promise", None, cost, 0.0, slack, "share of each goal's distance to target"))
    return found


def met_objective(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """For each priority p:  min sum_{g of p} weight_g z_g, the weighted number of goals that are missed."""
    if not len(columns.missed):
        return []
    weight = np.array([0.0 if g.hard else g.weight for g in columns.soft_goals])
    priority = np.array([g.priority for g in columns.soft_goals], dtype=np.int64)
    return [
        Objective("met", p, _cost(columns.missed, weight * (priority == p), n_columns), 0.0, 0.0, "goals missed")
        for p in sorted({g.priority for g in columns.soft_goals if not g.hard})
    ]


def odds_objective(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """Min r_odds, what all goals lack together of the best odds that were found, as a share of each one's distance."""
    return _risk_objective(columns, n_columns, "odds", "share of each goal's distance to target")


def cvar_objective(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """Min r_cvar, the mean over the worst 1 - cvar of the draws of sum_g weight_g (what g lacks) / scale_g."""
    return _risk_objective(columns, n_columns, "cvar", "weighted shortfall in the worst draws")


def _risk_objective(columns: DecisionColumns, n_columns: int, step: str, unit: str) -> list[Objective]:
    steps = risk_steps(columns.scenario)
    if step not in steps:
        return []
    cost = _cost(columns.risk, np.array([float(name == step) for name in steps]), n_columns)
    return [Objective(step, None, cost, 0.0, _slack(columns, step), unit)]


def maximize_objective(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """Max sum_g weight_g s_k (b_g + delta_g) / scale_g, written as a minimum."""
    if not columns.goals:
        return []
    graph, node = columns.graph, columns.goal_node
    rate = np.array([g.weight for g in columns.goals]) * graph.sign[node] / columns.goal_scale
    value = np.zeros(len(columns.change))
    np.add.at(value, columns.goal_hub, -rate)
    offset = -float(rate @ graph.baseline[node])
    cost = _cost(columns.change, value, n_columns)
    return [Objective("maximize", None, cost, offset, _slack(columns, "maximize"), "weighted goal value")]


def fairness_objective(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """Min sum_G n_G m_G / sum_G n_G;  with leximin then for k = 2, 3, … min sum_G n_G s_Gk / sum_G n_G.

    s_Gk = k t_Gk + sum_i d_Gki is what the k worst of group G come to together.
    """
    if not len(columns.largest):
        return []
    compared, ranks, slack = columns.compared, columns.fair.ranks, _slack(columns, "fairness")
    share = compared.count / compared.count.sum()
    cost = _cost(columns.largest, share, n_columns)
    number = 1 if len(ranks.worst) else None
    found = [Objective("fairness", number, cost, 0.0, slack, compared.unit)]
    for k in range(2, int(ranks.rank.max(initial=1)) + 1):
        worst = np.where(ranks.rank == k, k * share[ranks.group], 0.0)
        beyond = np.where(ranks.rank == k, share[ranks.group], 0.0)[ranks.of_worst]
        cost = _cost(ranks.worst, worst, n_columns) + _cost(ranks.beyond, beyond, n_columns)
        found.append(Objective("fairness", k, cost, 0.0, slack, compared.unit))
    return found


def cost_objective(columns: DecisionColumns, n_columns: int) -> list[Objective]:
    """Min sum incentive_u + sum pay_rate_n x_n + initiatives' use of pay and money budgets + effort x effort_price."""
    scenario = columns.scenario
    stretch, level = columns.pay_rate, columns.use_per_level("pay") + money_per_level(columns)
    once, load = columns.setup_use("pay") + money_of_setup(columns), np.zeros(len(columns.stretch))
    for resource, price in scenario.decide.effort_price.items():
        stretch = stretch + price * np.where(columns.has_load, 0.0, columns.effort_per_stretch(resource))
        load = load + price * columns.effort_per_load(resource)
        level = level + price * columns.use_per_level(resource)
        once = once + price * columns.setup_use(resource)
    cost = _cost(columns.stretch, stretch, n_columns) + _cost(columns.level, level, n_columns)
    cost += _cost(columns.actions.on, once, n_columns) + _cost(
        columns.effort.load, load[columns.effort.loaded], n_columns
    )
    incentives = float(np.nansum(scenario.units.target_incentive))
    return [Objective("cost", None, cost, incentives, _slack(columns, "cost"), scenario.currency or "money")]


def money_per_level(columns: DecisionColumns) -> Floats:
    """Return what one unit of each level takes from budgets of money that cover its unit, (n_levels,) float.

    Pay is apart: what initiatives use of it is a part of pay, see `DecisionColumns.pay_at_plan`.
    """
    return _of_money(columns, columns.graph.level_unit, columns.use_per_level)


def money_of_setup(columns: DecisionColumns) -> Floats:
    """Return what each switched initiative takes from these budgets once, (n_switched,) float."""
    return _of_money(columns, columns.graph.level_unit[columns.actions.level], columns.setup_use)


def money_at_plan(columns: DecisionColumns, x: Floats) -> float:
    """Return what all initiatives take from budgets of money other than pay."""
    once = dot(money_of_setup(columns), columns.actions.on.of(x))
    return dot(money_per_level(columns), columns.level.of(x)) + once


def _of_money(columns: DecisionColumns, at: Integers, use: Callable[[str], Floats]) -> Floats:
    units, covered = columns.scenario.units, dict[str, Floats]()
    for budget in columns.scenario.budgets.values():
        if budget.money and budget.resource != "pay":
            inside = (at >= budget.scope) & (at < units.end[budget.scope])
            covered[budget.resource] = np.maximum(covered.get(budget.resource, 0.0), inside)
    return sum((mask * use(r) for r, mask in sorted(covered.items())), np.zeros(len(at)))


def build_reference(columns: DecisionColumns, n_columns: int) -> Reference:
    """Min sum_k sum_{n in k} x_n^2 / (w_n W_k) + 0.001 mean_l (a_l / max_l)^2, with W_k the sum of w_n in k.

    A cell with a reference value r_n has (b_n + s_k x_n - r_n)^2 in place of x_n^2; one with an offer o_n goes the
    share `reconcile.weight` of the way from r_n (b_n without one) to o_n. With periods each x_nt stands over
    w_t w_n W_k, and r_n - b_n comes to its share w_t of it, w_t the season (1 / T in a stock).
    """
    graph, level, scenario = columns.graph, columns.level, columns.scenario
    n_kpis, each = len(scenario.kpis), np.arange(len(columns.stretch))
    first = each[np.unique(columns.stretch_decided, return_index=True)[1]]
    total = np.bincount(columns.stretch_kpi[first], columns.scale[first], n_kpis)
    share = np.ones(len(each))
    if scenario.periods is not None:
        share = scenario.periods.season[columns.stretch_kpi, columns.stretch_period]
    weight = _cost(columns.stretch, 1.0 / (share * columns.scale * total[columns.stretch_kpi]), n_columns)
    wanted, base = scenario.horizon.reference[columns.decided], graph.baseline[graph.whole_node[columns.decided]]
    away, offer = np.where(np.isnan(wanted), 0.0, wanted - base), scenario.horizon.offered[columns.decided] - base
    away = np.where(np.isnan(offer), away, away + scenario.reconcile * (offer - away))
    distance = share * graph.sign[columns.stretch_node] * away[columns.stretch_decided]
    distance = _of_single_periods(columns, distance)
    centre = _cost(columns.stretch, distance, n_columns)
    size = np.where(level.upper > 0.0, level.upper, np.inf)
    weight += _cost(level, LEVEL_WEIGHT / (max(len(level), 1) * size**2), n_columns)
    return Reference(weight, centre)


def _of_single_periods(columns: DecisionColumns, distance: Floats) -> Floats:
    """Put in place what references and baselines of single periods are apart, in stretch: of a rate w_t of it."""
    graph, scenario = columns.graph, columns.scenario
    if scenario.periods is None or scenario.periods.single is None:
        return distance
    cell, node = columns.stretch_cell, graph.cell_node[columns.stretch_cell]
    own = scenario.periods.single.reference.ravel()[cell]
    away = (own - graph.baseline[node]) / graph.per_stretch[cell]
    return np.where(np.isnan(own), distance, away)


def _cost(block: Columns, value: Floats, n_columns: int) -> Floats:
    cost = np.zeros(n_columns)
    cost[block.positions] = value
    return cost


def _slack(columns: DecisionColumns, step: str) -> float:
    return columns.scenario.decide.slack.get(step, 0.0)


OBJECTIVES: dict[str, Callable[[DecisionColumns, int], list[Objective]]] = {
    "met": met_objective,
    "goals": goal_objectives,
    "maximize": maximize_objective,
    "fairness": fairness_objective,
    "cost": cost_objective,
}

RISK_OBJECTIVES: dict[str, Callable[[DecisionColumns, int], list[Objective]]] = {
    "odds": odds_objective,
    "cvar": cvar_objective,
}
"""The steps that look at draws."""
