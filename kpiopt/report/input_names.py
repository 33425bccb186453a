"""Names of inputs for people: what a path of the file means."""

from __future__ import annotations

import re

from kpiopt.reading.key_path import dotted
from kpiopt.scenario.scenario import Scenario


def input_name(scenario: Scenario, path: str) -> str:
    """Return what a path means in a planner's words; the path itself where there are none.

    Examples
    --------
    >>> input_name(scenario, "kpi.retention.drivers.satisfaction")     # doctest: +SKIP
    'Customer satisfaction on Contract retention'
    """
    known = _quantity_names(scenario).get(path) or _plain_names(scenario).get(path)
    return known or _single_name(scenario, path) or path


def _quantity_names(scenario: Scenario) -> dict[str, str]:
    names = {f"factor.{f.id}": f.name for f in scenario.factors.values()}
    factors = {f.cause: f.title for f in scenario.factors.values()}
    for kpi in scenario.kpis.values():
        names[f"kpi.{kpi.id}.baseline"] = f"Baseline of {kpi.name}"
        for driver in kpi.drivers:
            cause = factors[driver.cause] if driver.is_factor else scenario.kpis[driver.cause].name
            names[driver.path] = f"{cause} on {kpi.name}"
    for initiative in scenario.initiatives.values():
        for effect in initiative.effects:
            names[effect.path] = f"{initiative.name} on {scenario.kpis[effect.kpi].name}"
    cells = scenario.horizon
    for row in cells.baseline_quantity:
        unit, kpi = int(cells.unit[row]), scenario.kpi_ids[cells.kpi[row]]
        path = f"cell.{scenario.units.ids[unit]}/{kpi}.baseline"
        names[path] = f"Baseline of {scenario.kpis[kpi].name}, {scenario.units.names[unit]}"
    names |= {path: f"Execution ({path.split('.')[1]})" for path in scenario.uncertainty.paths[1:]}
    return names | {scenario.uncertainty.paths[0]: "Execution", "execution": "Execution"}


def _plain_names(scenario: Scenario) -> dict[str, str]:
    names = {f"budget.{b.id}.limit": f"Budget for {b.id}" for b in scenario.budgets.values()}
    names |= {f"capacity.{r}.scale": f"Capacity, {r} (1 = as planned)" for r in scenario.units.capacity}
    for goal in scenario.goals.values():
        when = scenario.period_name(goal.period)
        where = f" in {when}" if when else ""
        where += "" if goal.unit == 0 else f" ({scenario.units.names[goal.unit]})"
        names[f"goal.{goal.id}.target"] = f"Goal for {scenario.kpis[goal.kpi].name}{where}"
        names[f"goal.{goal.id}.weight"] = f"Weight of the goal for {scenario.kpis[goal.kpi].name}{where}"
    for initiative in scenario.initiatives.values():
        names[f"initiative.{initiative.id}.max"] = f"Largest level of {initiative.name}"
        for resource in initiative.uses:
            names[f"initiative.{initiative.id}.uses.{resource}"] = f"{resource} that {initiative.name} uses"
        for resource in initiative.setup:
            names[f"initiative.{initiative.id}.setup.{resource}"] = f"{resource} that sets up {initiative.name}"
    for plan in scenario.pay_plans:
        names[f"pay_plan.{plan}.payout"] = f"Payout of pay plan {plan} (1 = as planned)"
        names[f"pay_plan.{plan}.cap"] = f"Cap of pay plan {plan}"
    names |= {f"decide.slack.{step}": f"Slack of the step {step}" for step in scenario.decide.slack}
    names |= {f"decide.effort_price.{r}": f"Price of {r}" for r in scenario.decide.effort_price}
    names["uncertainty.common"] = "Common share of execution"
    names["units.target_incentive"] = "Target incentives (1 = as planned)"
    for name in scenario.document.get("guardrail", {}):
        for position, word in enumerate(("Smallest", "Largest")):
            names[dotted(("guardrail", name, "growth", position))] = f"{word} growth of guardrail {name}"
    return names | _table_names(scenario)


def _table_names(scenario: Scenario) -> dict[str, str]:
    """Names of the factors on what stands in the cells table."""
    fields = {"baseline": "Baselines", "max_stretch": "Largest stretches", "min_stretch": "Smallest stretches"}
    fields |= {"pay_rate": "Pay rates"} | {f"effort.{r}": f"Efforts, {r}" for r in scenario.cells.effort}
    names = {f"cells.{field}": f"{name} (1 = as planned)" for field, name in fields.items()}
    for kpi in scenario.kpis.values():
        own = {f"cells.{kpi.id}.{field}": f"{name} of {kpi.name} (1 = as planned)" for field, name in fields.items()}
        names |= own
    return names


OWNER_AND_FIELD = re.compile(r"(.+?)\.((?:effort|capacity)\.[^.]+|[^.]+)", re.DOTALL)
ONE = {
    "baseline": "Baseline", "max_stretch": "Largest stretch", "min_stretch": "Smallest stretch",
    "pay_rate": "Pay rate", "target_incentive": "Target incentive",
}  # fmt: skip


def _single_name(scenario: Scenario, path: str) -> str:
    """Name a number of one cell or one unit; an empty text where it is neither."""
    table, _, rest = path.partition(".")
    parts = OWNER_AND_FIELD.fullmatch(rest)
    owner, field = parts.groups() if parts else ("", "")
    family, _, resource = field.partition(".")
    what = f"{family.capitalize()}, {resource}" if resource else ONE.get(field, "")
    unit, _, kpi = owner.rpartition("/") if table == "cell" else (owner, "", "")
    if not what or unit not in scenario.units.position:
        return ""
    where = scenario.units.names[scenario.units.position[unit]]
    if table == "cell":
        return f"{what} of {scenario.kpis[kpi].name}, {where}" if kpi in scenario.kpis else ""
    return f"{what}, {where}" if table == "unit" else ""
