"""Which KPIs each unit answers for where the plan chooses, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from kpiopt.graph import straight
from kpiopt.plan import Plan
from kpiopt.plan.chosen import spared_cells
from kpiopt.scenario.scenario import ChosenKpis, Floats


def chosen_as_dict(plan: Plan) -> list[dict[str, Any]]:
    """Return for each unit whose KPIs are chosen what it answers for, and what it does not.

    `contributes` is what a KPI's stretch is expected to add to each goal's value; of one that is not chosen, what its
    largest stretch would add. Both in the KPI's own unit, along all ways, what it does not change left out.
    """
    scenario, chosen = plan.graph.scenario, plan.graph.scenario.chosen
    if chosen is None:
        return []
    spared, horizon, adds = spared_cells(plan.graph, plan.stretch), scenario.horizon, _adds(plan)
    cells = np.concatenate([chosen.cell, chosen.locked])
    of_unit = np.concatenate([chosen.of_unit, chosen.locked_of_unit])
    answer = []
    for place, unit in enumerate(chosen.unit.tolist()):
        here = np.sort(cells[of_unit == place]).tolist()
        answers = int(np.count_nonzero(~spared[here]))
        kpis = []
        for cell in here:
            stretch = float(plan.whole_stretch[cell])
            moved = float(horizon.max_stretch[cell]) if spared[cell] else stretch
            amounts = {goal: float(added[cell]) * moved for goal, added in adds.items()}
            kpis.append(
                {
                    "kpi": scenario.kpi_ids[horizon.kpi[cell]],
                    "unit": scenario.units.ids[horizon.unit[cell]],
                    "chosen": not spared[cell],
                    "why": _why(plan, chosen, cell, place, answers, is_spared=bool(spared[cell])),
                    "stretch": stretch,
                    "contributes": {goal: amount for goal, amount in amounts.items() if amount},
                }
            )
        least, most = int(chosen.least[place]), min(int(chosen.most[place]), len(here))
        name = scenario.units.ids[unit]
        answer.append({"unit": name, "assign": chosen.name[place], "least": least, "most": most, "kpis": kpis})
    return answer


def _adds(plan: Plan) -> dict[str, Floats]:
    """Return what a unit of each cell's stretch is expected to add to each goal, (n_horizon_cells,) float.

    With periods it is the mean over those in which the stretch is worked for, all of them alike where it is 0.
    """
    graph, scenario = straight(plan.graph, plan.stretch, plan.levels), plan.graph.scenario
    base, n = scenario.cell_base, len(scenario.horizon)
    worked = np.where((plan.whole_stretch == 0.0)[base], 1.0, plan.stretch)
    total = np.bincount(base, worked, n)
    share = np.divide(worked, total[base], out=np.zeros(len(base)), where=total[base] != 0.0)
    found = {}
    for goal in scenario.goals.values():
        weight = np.zeros(graph.n_nodes)
        weight[graph.goal_node(goal)] = 1.0
        rate = graph.sweep_back(weight)[graph.entry_node] * graph.per_stretch * graph.execution_mean
        found[goal.id] = np.bincount(base, share * rate, n).astype(np.float64)
    return found


def _why(plan: Plan, chosen: ChosenKpis, cell: int, place: int, answers: int, *, is_spared: bool) -> str:
    """Say why a unit answers for a cell or not."""
    horizon = plan.graph.scenario.horizon
    at = np.flatnonzero(chosen.cell == cell)
    if not len(at):
        reason = horizon.lock_reason.get(cell)
        return f"locked: {reason}" if reason else "locked"
    if chosen.light[at[0]]:
        return f"weighs {horizon.weight[cell]:g} in pay, which is too little"
    if not is_spared:
        return "its stretch is part of the plan" if plan.whole_stretch[cell] else f"makes up {answers} KPIs"
    if answers == chosen.most[place]:
        return f"the unit has its most of {answers} KPIs" if answers != 1 else "the unit has its most of 1 KPI"
    return "no step of the order asks for it"
