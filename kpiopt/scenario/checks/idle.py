"""Settings without effect: each is told, so that nobody waits for what it would do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.scenario.checks.names import note_variant_name
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.scenario import Scenario

_RULE = "what is written in a scenario changes something"
_SHOWN = 5

NAMED = ("factor", "perspective", "objective", "pay_plan")
"""Sections of entries that do nothing unless something names them."""

Note = Callable[[str, KeyPath, str], None]
"""Takes a message, the path of the setting and what to do."""


def check_idle(findings: Findings, model: ScenarioDocument, scenario: Scenario) -> None:
    """Note factors, pay plans, objectives, units, capacities, prices and shares that nothing depends on."""

    def note(message: str, path: KeyPath, fix: str) -> None:
        if path[0] in NAMED and findings.is_new_in_variant(path):
            note_variant_name(findings, path, message, findings.nearest(str(path[1]), known(path)) or fix)
            return
        findings.at("W-no-effect", message, path, rule=_RULE, fix=fix, key=True)

    def known(path: KeyPath) -> list[str]:
        return list(findings.document.merged.data.get(str(path[0]), {}))

    if not findings.is_whole("kpi", "factor", "unit", "units", "cell", "cells", "initiative", "joins"):
        return
    _check_named(findings, scenario, note)
    _check_uncertainty(scenario, note)
    _check_resources(model, scenario, note)
    _check_units(findings, scenario)


def _check_named(findings: Findings, scenario: Scenario, note: Note) -> None:
    """What something else has to name is named."""
    driving = {driver.cause for kpi in scenario.kpis.values() for driver in kpi.drivers if driver.is_factor}
    for factor in dict.fromkeys(f.cause for f in scenario.factors.values()):
        if factor not in driving:
            fix = f"name it as a driver, [kpi.….drivers] {factor} = …, or remove it"
            note(f"factor '{factor}' drives no KPI", ("factor", factor), fix)
    banded = {objective.perspective for objective in scenario.objectives.values()}
    for perspective in scenario.perspectives:
        path: KeyPath = ("perspective", perspective)
        if perspective not in banded:
            note(f"perspective '{perspective}' has no objective", path, "name it in an objective, or remove it")
    measured = {kpi.objective for kpi in scenario.kpis.values()}
    for objective in scenario.objectives:
        if objective not in measured:
            fix = f'give it one, objective = "{objective}", or remove it'
            note(f"objective '{objective}' has no KPI that measures it", ("objective", objective), fix)
    for plan in scenario.pay_plans:
        if plan not in scenario.units.pay_plans:
            note(f"no unit has the pay plan '{plan}'", ("pay_plan", plan), "name it in a unit's pay_plan, or remove it")


def _check_uncertainty(scenario: Scenario, note: Note) -> None:
    """Common shares are of the variance of execution, so they need an execution that varies."""
    used = np.unique(scenario.cells.execution[scenario.cells.has_decision]).tolist()
    certain = all(scenario.uncertainty.execution[entry].is_number for entry in used)
    if scenario.uncertainty.common and certain:
        message = "`common` shares the variance of execution, but execution is certain"
        note(message, ("uncertainty", "common"), 'write [uncertainty] execution = "0.7 to 1.1", or remove it')


def _check_resources(model: ScenarioDocument, scenario: Scenario, note: Note) -> None:
    """A capacity or a price is of something that effort or initiatives use."""
    used = {name for name, effort in scenario.cells.effort.items() if np.any(effort)}
    used |= {name for initiative in scenario.initiatives.values() for name in initiative.resources}
    for resource in scenario.units.capacity:
        if resource not in used:
            path: KeyPath = ("capacity", resource) if resource in model.capacity else ("tables", "units")
            holder = next((unit for unit, entry in model.unit.items() if resource in entry.capacity), None)
            path = path if holder is None else ("unit", holder, "capacity", resource)
            fix = f"give cells effort.{resource} or initiatives uses.{resource}, or remove the capacity"
            note(f"nothing uses '{resource}', so its capacity limits nothing", path, fix)
    for resource in model.decide.effort_price:
        if resource not in {name for name, effort in scenario.cells.effort.items() if np.any(effort)}:
            path = ("decide", "effort_price", resource)
            note(f"no effort uses '{resource}', so its price costs nothing", path, "correct or remove it")


def _check_units(findings: Findings, scenario: Scenario) -> None:
    """Each unit has cells, initiatives or pay in its subtree."""
    units = scenario.units
    busy = np.zeros(len(units) + 1, dtype=np.int64)
    np.add.at(busy, scenario.cells.unit + 1, 1)
    for initiative in scenario.initiatives.values():
        np.add.at(busy, np.asarray(initiative.units) + 1, 1)
    busy[1:] += np.nan_to_num(units.target_incentive) > 0
    total = np.cumsum(busy)
    idle = [i for i in range(1, len(units)) if total[units.end[i]] == total[i]]
    if idle and len(idle) < len(units) - 1:
        names = ", ".join(f"'{units.ids[i]}'" for i in idle[:_SHOWN]) + (", …" if len(idle) > _SHOWN else "")
        message = f"{len(idle):,} of {len(units):,} units have neither cells nor initiatives nor pay: {names}"
        path = ("unit", units.ids[idle[0]])
        fix = "give them cells, or remove them"
        findings.at("W-no-effect", message, path, rule=_RULE, fix=fix, key=True)
