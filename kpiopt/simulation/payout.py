"""Variable pay in draws.

    pay = target incentive x sum_k weight_k curve(attainment_k) + sum_k pay rate_k x max(realised stretch_k, 0)
        + sum_i use of "pay" per level_i x level_i

of a unit, with attainment = actual / target where higher is better and 2 - actual / target where lower is. The curve
is the unit's pay plan (piecewise linear, flat outside its points, at most its cap), or curve(a) = a where none is
named. The actual is the cell's realised value. The realised stretch is the planned stretch times execution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import ModelError, Problem
from kpiopt.graph import CausalGraph
from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.scenario.scenario import Floats, Integers, PayPlan, Scenario
from kpiopt.simulation.propagate import Block


@dataclass(frozen=True)
class _Incentive:
    """Cells whose units share one pay plan: all that their attainment-based pay needs."""

    plan: PayPlan | None
    nodes: Integers
    baseline: Floats
    target: Floats
    sign: Floats
    money_by_unit: sp.csr_array

    def pay(self, delta: Floats) -> Floats:
        ratio = (delta[self.nodes] + self.baseline[:, None]) / self.target[:, None]
        attainment = np.where(self.sign[:, None] > 0, ratio, 2 - ratio)
        money: Floats = self.money_by_unit @ payout_share(self.plan, attainment)
        return money

    def in_period(self, period: Integers, at: int, count: int) -> _Incentive:
        """Return what falls due in a period: what is attained in it, or an equal part of what the horizon pays."""
        if self.plan is None or not self.plan.by_period:
            return replace(self, money_by_unit=sp.csr_array(self.money_by_unit / count))
        kept = np.flatnonzero(period[self.nodes] == at)
        baseline, target, sign = (values[kept] for values in (self.baseline, self.target, self.sign))
        money = sp.csr_array(self.money_by_unit[:, kept])
        return _Incentive(self.plan, self.nodes[kept], baseline, target, sign, money)


@dataclass(frozen=True)
class PayRules:
    """What pays how much, over the horizon or in one period.

    Attributes
    ----------
    units : (n_paid,) int
        Units with a target incentive, a cell with a pay rate or an initiative that uses pay; everything below is in
        this order.
    incentives : tuple
        By pay plan.
    rated_cells : (n_rated,) int
        Cells with a pay rate; their realised stretch must be kept in the blocks.
    rate_by_unit : (n_paid, n_rated) CSR
    initiatives : (n_paid,) float
        What each unit's initiatives use of pay, the same in every draw.
    """

    units: Integers
    incentives: tuple[_Incentive, ...]
    rated_cells: Integers
    rate_by_unit: sp.csr_array
    initiatives: Floats

    def pay(self, block: Block) -> Floats:
        """Return the pay of each unit in each draw, (n_paid, n_draws) float, in the scenario's currency."""
        pay: Floats = self.rate_by_unit @ np.maximum(block.realised, 0.0)
        pay += self.initiatives[:, None]
        for incentive in self.incentives:
            pay += incentive.pay(block.delta)
        return pay

    def varies(self, nodes: NDArray[np.bool_], cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return whose pay differs between draws, (n_paid,) bool, where nodes' values and cells' execution do."""
        moved: Floats = abs(self.rate_by_unit) @ cells[self.rated_cells]
        for incentive in self.incentives:
            moved += abs(incentive.money_by_unit) @ nodes[incentive.nodes]
        return moved > 0


@dataclass(frozen=True)
class Payout(PayRules):
    """The pay rules of one plan.

    Attributes
    ----------
    plan, all_hit : (n_paid,) float
        Pay that the plan budgets (target incentive, pay rate x stretch, initiatives), and pay when every cell reaches
        its target exactly and realises its stretch.
    """

    plan: Floats
    all_hit: Floats


@dataclass(frozen=True)
class PayLimit:
    """A pay budget that draws are held against.

    Attributes
    ----------
    name : str
        Id of the budget; of one that holds in every period "id/period" for a period, and "id" for any of them.
    scope : slice
        Range of the paid units that it covers.
    periods : tuple of int
        The periods in one of which pay is more than it; none where it is about the horizon.
    """

    name: str
    scope: slice
    limit: float
    periods: tuple[int, ...] = ()


def pay_limits(scenario: Scenario, payout: PayRules) -> tuple[PayLimit, ...]:
    """Return the pay budgets; those that hold in every period first for any of them, then for each."""
    found, count = list[PayLimit](), scenario.n_periods
    for budget in scenario.budgets.values():
        if budget.resource != "pay":
            continue
        scope = units_in_scope(scenario, payout, budget.scope)
        found.append(PayLimit(budget.id, scope, budget.limit, tuple(range(count)) if budget.by_period else ()))
        for t in range(count) if budget.by_period else ():
            found.append(PayLimit(f"{budget.id}/{scenario.period_name(t)}", scope, budget.limit, (t,)))
    return tuple(found)


def rules_by_period(graph: CausalGraph, payout: PayRules, levels: Floats) -> tuple[PayRules, ...]:
    """Return the pay rules of each period; none where no pay budget is about single ones.

    In a period falls due what is attained and worked for in it, what initiatives use in it, and an equal part of what
    goes by the attainment over the horizon.
    """
    scenario, count = graph.scenario, graph.scenario.n_periods
    if not any(b.resource == "pay" and b.by_period for b in scenario.budgets.values()):
        return ()
    of_cell = scenario.cell_period[payout.rated_cells]
    found = []
    for t in range(count):
        mask = sp.diags_array((of_cell == t).astype(np.float64), shape=(len(of_cell), len(of_cell)))
        spent = np.bincount(graph.level_unit, use_of_levels(graph, levels, "pay", t), len(scenario.units))
        found.append(
            PayRules(
                units=payout.units,
                incentives=tuple(i.in_period(graph.period, t, count) for i in payout.incentives),
                rated_cells=payout.rated_cells,
                rate_by_unit=sp.csr_array(payout.rate_by_unit @ mask),
                initiatives=spent[payout.units].astype(np.float64),
            )
        )
    return tuple(found)


def payout_share(plan: PayPlan | None, attainment: Floats) -> Floats:
    """Return the share of target incentive that `attainment`, (…) float, actual / target, earns; in the same shape."""
    if plan is None:
        return attainment
    share = np.interp(attainment, plan.attainment, plan.share)
    return share if plan.cap is None else np.minimum(share, plan.cap)


def build_payout(graph: CausalGraph, stretch: Floats, levels: Floats, targets: Floats) -> Payout:
    """Compile the pay rules.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
    targets : (n_nodes,) float
        Target of each node; actuals are compared with it.

    Raises
    ------
    ModelError
        Where a target that decides about pay is not above 0 (`E-pay-target`), or a pay plan does not exist.
    """
    scenario = graph.scenario
    cells, whole, units = scenario.cells, scenario.horizon, scenario.units
    incentive = np.nan_to_num(units.target_incentive)
    rate, weight = np.nan_to_num(cells.pay_rate), np.nan_to_num(whole.weight)
    rated = np.flatnonzero(rate != 0)
    use = use_of_levels(graph, levels, "pay")
    paid = np.unique(np.concatenate([np.flatnonzero(incentive != 0), cells.unit[rated], graph.level_unit[use != 0]]))
    weighted = np.flatnonzero((weight != 0) & (incentive[whole.unit] != 0))
    _check_targets(graph, graph.whole_node[weighted], targets)
    rate_by_unit = _by_unit(cells.unit[rated], paid, rate[rated])
    full_shares = np.zeros(len(paid))
    incentives = []
    for name in sorted({units.pay_plans[u] for u in whole.unit[weighted].tolist()}):
        plan = scenario.pay_plans[name] if name else None
        rows = weighted[[units.pay_plans[u] == name for u in whole.unit[weighted].tolist()]]
        nodes, times = graph.whole_node[rows], 1
        if plan is not None and plan.by_period:
            times = scenario.n_periods
            rows, period = np.repeat(rows, times), np.tile(np.arange(times), len(rows))
            nodes = graph.find_nodes(whole.unit[rows], whole.kpi[rows], period)
            _check_targets(graph, nodes, targets)
        money = _by_unit(whole.unit[rows], paid, weight[rows] * incentive[whole.unit[rows]] / times)
        incentives.append(_Incentive(plan, nodes, graph.baseline[nodes], targets[nodes], graph.sign[nodes], money))
        full_shares += money @ payout_share(plan, np.ones(len(rows)))
    commission = rate_by_unit @ np.maximum(stretch[rated], 0.0)
    spent = np.bincount(graph.level_unit, use, len(units))[paid].astype(np.float64)
    return Payout(
        units=paid,
        incentives=tuple(incentives),
        rated_cells=rated,
        rate_by_unit=rate_by_unit,
        initiatives=spent,
        plan=incentive[paid] + commission + spent,
        all_hit=full_shares + commission + spent,
    )


def _by_unit(unit: Integers, paid: Integers, money: Floats) -> sp.csr_array:
    """Matrix that sums money of cells by paid unit, (n_paid, n_cells of the list) CSR."""
    rows = np.searchsorted(paid, unit)
    return sp.csr_array((money, (rows, np.arange(len(unit)))), shape=(len(paid), len(unit)))


def _check_targets(graph: CausalGraph, nodes: Integers, targets: Floats) -> None:
    bad = nodes[~(targets[nodes] > 0)]
    if len(bad):
        raise ModelError(*(_no_attainment(graph, int(node), float(targets[node])) for node in bad))


def _no_attainment(graph: CausalGraph, node: int, target: float) -> Problem:
    return Problem(
        "E-pay-target",
        f"the target of {graph.node_name(node)} is {target:g}, so its attainment means nothing, but pay depends on it",
        rule="attainment is actual / target (lower is better: 2 - actual / target); the target must be above 0",
        fix="take the cell's weight away, or measure the KPI on a scale where its target is above 0",
    )


def units_in_scope(scenario: Scenario, payout: PayRules, scope: int) -> slice:
    """Return the range of `payout.units` that lies in the subtree of a unit."""
    first, last = np.searchsorted(payout.units, [scope, int(scenario.units.end[scope])])
    return slice(int(first), int(last))
