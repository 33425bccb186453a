"""Parts of the answer: pay with its odds, and what persons fixed."""

from __future__ import annotations

from typing import Any

import numpy as np

from kpiopt.plan.plan import Plan
from kpiopt.scenario.scenario import Cells, Scenario
from kpiopt.simulation.results import Simulation


def finite(value: float | None) -> float | None:
    """Return the value, or None where it is not a finite number: JSON has no infinity."""
    return value if value is not None and np.isfinite(value) else None


def pay_as_dict(scenario: Scenario, plan: float, limit: float | None, drawn: Simulation | None) -> dict[str, Any]:
    """Return pay at plan and over the draws."""
    if drawn is None or drawn.pay is None:
        return {"plan": plan, "limit": limit}
    pay = drawn.pay
    budgets = [b for b in scenario.budgets.values() if b.resource == "pay" and b.scope == 0]
    budgets.sort(key=lambda b: b.by_period)
    over = pay.over.get(budgets[0].id) if budgets else None
    return {
        "plan": plan,
        "limit": limit,
        "all_hit": pay.all_hit,
        "mean": pay.total.mean.estimate,
        "p5": pay.total.p5,
        "p95": pay.total.p95,
        "over_limit": over.as_dict() if over else None,
        "over_by_period": [
            {"budget": budget.id, "period": period, **pay.over[f"{budget.id}/{period}"].as_dict()}
            for budget in scenario.budgets.values()
            if budget.resource == "pay" and budget.by_period
            for period in (scenario.period_name(t) for t in range(scenario.n_periods))
        ],
    }


def odds_over(drawn: Simulation | None, name: str) -> dict[str, Any]:
    """Return the odds that draws cost more than a pay budget, where a limit is one."""
    pay = drawn.pay if drawn else None
    over = pay.over.get(name.removeprefix("budget.")) if pay and name.startswith("budget.") else None
    return {"over_limit": over.as_dict()} if over else {}


def locks_as_dict(plan: Plan) -> list[dict[str, Any]]:
    """Return every lock with what it comes to, its reason and who answers for it; of single periods as well."""
    scenario, graph, periods = plan.graph.scenario, plan.graph, plan.graph.scenario.periods
    horizon, cells = scenario.horizon, scenario.cells
    places: list[tuple[Cells, int, int, dict[str, str | None]]]
    places = [(horizon, cell, int(graph.whole_node[cell]), {}) for cell in np.flatnonzero(horizon.is_locked).tolist()]
    if periods is not None and periods.single is not None:
        for cell in np.flatnonzero(~np.isnan(periods.single.lock.ravel())).tolist():
            name = scenario.period_name(int(scenario.cell_period[cell]))
            places.append((cells, cell, int(graph.cell_node[cell]), {"period": name}))
    return [
        {
            "unit": scenario.units.ids[of.unit[cell]],
            "kpi": scenario.kpi_ids[of.kpi[cell]],
            **period,
            "lock": finite(float(of.lock[cell])),
            "lock_target": finite(float(of.written_target[cell])),
            "target": float(plan.target[node]),
            "reason": of.lock_reason.get(cell),
            "owner": of.lock_owner.get(cell),
        }
        for of, cell, node, period in places
    ]
