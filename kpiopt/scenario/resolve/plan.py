"""Goals, budgets, pay plans and settings."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.plan import GoalEntry
from kpiopt.scenario.resolve.periods import find_period
from kpiopt.scenario.resolve.strategy_map import check_reference
from kpiopt.scenario.roll_up import RollUp
from kpiopt.scenario.scenario import (
    ORGANIZATION,
    Budget,
    Decide,
    Goal,
    OddsSettings,
    PayPlan,
    SimulationSettings,
    Units,
)

ADD_GOALS = 'add "goals" to the order, or remove p_min'
PAY = "pay"
"""The built-in resource: variable compensation."""


def resolve_goals(findings: Findings, model: ScenarioDocument, units: Units, roll_up: RollUp) -> dict[str, Goal]:
    """Return the goals in order of appearance."""
    resolved = {key: _goal(findings, model, units, roll_up, key, entry) for key, entry in model.goal.items()}
    return {key: goal for key, goal in resolved.items() if goal is not None}


def _goal(
    findings: Findings, model: ScenarioDocument, units: Units, roll_up: RollUp, key: str, entry: GoalEntry
) -> Goal | None:
    kpi = entry.kpi or key
    path = ("goal", key)
    is_known = check_reference(findings, "KPI", kpi, model.kpi, (*path, "kpi") if entry.kpi else path)
    unit = _unit_at(findings, units, entry.at, (*path, "at"))
    if not is_known or unit is None:
        return None
    position = list(model.kpi).index(kpi)
    is_absent = roll_up.find(unit, position)[0] < 0 and roll_up.has_value(position)
    if is_absent and findings.is_whole("cell", "cells", "unit", "kpi", "joins", "goal"):
        message = f"goal '{key}' is about '{kpi}' at '{units.ids[unit]}', where it has no value"
        rule = "a goal needs a value: a cell at or below the unit, or a baseline at the root"
        fix = "correct `at`, or give the KPI cells"
        findings.at("E-goal-nowhere", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
    return Goal(
        key, kpi, unit, entry.target, entry.weight, entry.priority, entry.p_min, entry.hard, entry.description,
        find_period(findings, model, entry.period, (*path, "period")),
    )  # fmt: skip


def _unit_at(findings: Findings, units: Units, name: str | None, path: KeyPath) -> int | None:
    """Return the unit that `at` or `scope` names, the root where it is not given; None and a note where unknown."""
    if name in (None, ORGANIZATION) and (name is None or name not in units.position):
        return 0
    if name in units.position:
        return units.position[name]
    check_reference(findings, "unit", name, units.position, path)
    return None


def resolve_budgets(findings: Findings, model: ScenarioDocument, units: Units) -> dict[str, Budget]:
    """Return the budgets in order of appearance."""
    budgets = {}
    for key, entry in model.budget.items():
        scope = _unit_at(findings, units, entry.scope, ("budget", key, "scope"))
        resource = entry.resource or key
        _check_spent(findings, model, key, resource)
        if scope is not None:
            budgets[key] = Budget(key, resource, entry.limit, scope, entry.money, entry.every == "period")
    return budgets


def _check_spent(findings: Findings, model: ScenarioDocument, key: str, resource: str) -> None:
    used = {PAY, *(name for entry in model.initiative.values() for name in (*entry.uses, *entry.runs, *entry.setup))}
    if resource in used or not findings.is_whole("initiative"):
        return
    path: KeyPath = ("budget", key, "resource") if model.budget[key].resource else ("budget", key)
    message = f"nothing spends '{resource}', so budget '{key}' limits nothing"
    rule = 'a budget limits "pay" or a resource that initiatives use'
    fix = findings.nearest(resource, sorted(used))
    code = "E-variant-unknown-name" if findings.is_new_in_variant(path) else "W-budget-unused"
    findings.at(code, message, path, rule=rule, fix=fix, key=True, kind=ModelError)


def resolve_pay_plans(findings: Findings, model: ScenarioDocument) -> dict[str, PayPlan]:
    """Return the payout curves in order of appearance."""
    plans = {}
    for key, entry in model.pay_plan.items():
        attainment, share = zip(*entry.payout, strict=True)
        path = ("pay_plan", key, "payout")
        rule = "points are [attainment, share of target incentive], attainment ascending"
        if any(b <= a for a, b in pairwise(attainment)):
            message = f"the attainments of pay plan '{key}' do not ascend: {', '.join(f'{a:g}' for a in attainment)}"
            findings.at("E-payout", message, path, rule=rule, fix="put the points in order", kind=ModelError)
        if min(share) < 0 or min(attainment) < 0:
            message = f"pay plan '{key}' has a negative point"
            findings.at("E-payout", message, path, rule=rule, fix="pay is never negative", kind=ModelError)
        if any(b < a for a, b in pairwise(share)):
            message = f"pay plan '{key}' pays less for more attainment"
            findings.at("W-payout", message, path, rule=rule, fix="check the points")
        at_target = float(np.interp(1.0, attainment, share))
        at_target = at_target if entry.cap is None else min(at_target, entry.cap)
        if abs(at_target - 1.0) > 1e-9:
            message = f"pay plan '{key}' pays {at_target:g} times the target incentive where targets are just met"
            counted = "pay budgets and the step `cost` count the target incentive once: it is what meeting targets pays"
            fix = "write points that pay 1 at an attainment of 1, and the target incentive that is meant"
            findings.at("W-payout-at-target", message, path, rule=counted, fix=fix)
        plans[key] = PayPlan(key, attainment, share, entry.cap, entry.every == "period")
    return plans


def resolve_decide(findings: Findings, model: ScenarioDocument, resources: set[str]) -> Decide:
    """Return the order of objectives; `reference` is last, written or not."""
    entry = model.decide
    steps = [step for step in entry.order if step != "reference"]
    if len(set(entry.order)) < len(entry.order):
        message, rule = f"a step stands twice in {list(entry.order)}", "each step is taken once"
        findings.at("E-order", message, ("decide", "order"), rule=rule, fix="remove one", kind=ModelError)
    if "reference" in entry.order[:-1]:
        rule = "`reference` makes the plan unique and is always the last step"
        message = "the step `reference` is not the last one"
        findings.at("E-order", message, ("decide", "order"), rule=rule, fix="move it to the end", kind=ModelError)
    for key, goal in model.goal.items() if "met" in entry.order else ():
        if goal.p_min is not None:
            message = f"goal '{key}' has p_min, and the order has the step `met`"
            rule = "`met` counts the goals that the plan meets on average; a promise of odds is kept or it is not"
            fix = 'leave out p_min, or "met"'
            findings.at("E-order", message, ("decide", "order"), rule=rule, fix=fix, kind=ModelError)
    for resource in entry.effort_price:
        if resource not in resources and findings.is_whole("initiative", "cell", "cells", "unit", "units", "budget"):
            findings.unknown("resource", resource, sorted(resources), ("decide", "effort_price", resource), ModelError)
    for step in entry.slack:
        if step not in entry.order:
            message = f"there is slack for the step `{step}`, which is not in the order"
            findings.at("W-slack", message, ("decide", "slack", step), fix="remove it, or add the step", key=True)
    order = (*steps, "reference")
    return Decide(
        order, {k: float(v) for k, v in entry.slack.items()}, tuple(entry.peers), dict(entry.effort_price), entry.cvar,
        tuple(entry.robust or ()),
    )  # fmt: skip


def check_common(
    findings: Findings, common: Mapping[str, float], units: Units, path: KeyPath = ("uncertainty", "common")
) -> None:
    """Note levels that do not exist and shares that leave nothing for the cells themselves."""
    known = [ORGANIZATION, *dict.fromkeys(level for level in units.levels if level)]
    for level in common:
        if level not in known:
            findings.unknown("level", level, known, (*path, level), ModelError)
    if sum(common.values()) >= 1:
        message = f"the common shares add up to {sum(common.values()):g}"
        rule = "together they stay below 1; the rest of the variance is each cell's own"
        findings.at("E-common", message, path, rule=rule, fix="lower them", kind=ModelError)


def resolve_odds(findings: Findings, model: ScenarioDocument) -> OddsSettings:
    """Return what the plan promises of several goals at once."""
    entry, counted = model.odds, "goals" in model.decide.order
    for i, name in enumerate(entry.goals or ()):
        check_reference(findings, "goal", name, model.goal, ("odds", "goals", i))
    for key, goal in model.goal.items():
        if goal.p_min is not None and not counted:
            message = f"the odds required of goal '{key}' change nothing: the step `goals` is not in the order"
            findings.at("W-no-effect", message, ("goal", key, "p_min"), fix=ADD_GOALS, key=True)
    idle = without_effect(counted, bool(model.goal)) if entry.p_min is not None else None
    if idle is not None:
        findings.at(idle.code, idle.message, ("odds", "p_min"), fix=idle.fix, key=True)
    if entry.p_min is None and "odds" not in model.decide.order:
        for key in ("goals", "priority"):
            if getattr(entry, key) is not None:
                message = f"[odds] {key} changes nothing: nothing is promised of several goals at once"
                findings.at("W-no-effect", message, ("odds", key), fix="add p_min, or remove it", key=True)
    return OddsSettings(entry.p_min, tuple(entry.goals or ()), entry.priority, entry.draws, entry.seed)


def without_effect(counted: bool, has_goals: bool) -> Problem | None:
    """Return why promised odds of all goals change nothing; None where they do."""
    if counted and has_goals:
        return None
    why = "the step `goals` is not in the order" if has_goals else "there are no goals"
    message = f"the odds required of all goals change nothing: {why}"
    return Problem("W-no-effect", message, fix=ADD_GOALS if has_goals else "name goals")


def resolve_simulation(model: ScenarioDocument) -> SimulationSettings:
    """Return how odds are estimated."""
    entry = model.simulation
    return SimulationSettings(entry.draws, entry.seed, entry.method, entry.precision)
