"""`[over_assignment]`: which levels are asked for more than is planned, of which KPIs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.scenario.format.asks import CushionEntry
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.over_assignment import Cushion, OverAssignment
from kpiopt.scenario.resolve.periods import kind_of
from kpiopt.scenario.resolve.strategy_map import check_reference
from kpiopt.scenario.scenario import Floats, Scenario, Units

SECTION = "over_assignment"
KPI = "kpi"
_RULE = "targets below are more than those above in KPIs that add up, over units (sum) and over periods (flow)"


def resolve_over_assignment(findings: Findings, model: ScenarioDocument, units: Units) -> OverAssignment:
    """Return the cushions, from the top of the organization down."""
    entries = {level: entry for level, entry in model.over_assignment.items() if level != KPI}
    if not entries and KPI not in model.over_assignment:
        return OverAssignment()
    kpis = _kpis(findings, model)
    depth: dict[str, int] = {}
    for level, at in zip(units.levels, units.depth.tolist(), strict=True):
        depth[level] = min(at, depth.get(level, at))
    known = [level for level in depth if level]
    found = []
    for level, entry in entries.items():
        path: KeyPath = (SECTION, level)
        if level not in known:
            if findings.is_whole("unit", "units"):
                findings.unknown("level", level, known, path, ModelError)
            continue
        cushion = _cushion(findings, model, level, entry, path)
        if cushion is not None:
            found.append(cushion)
    if not entries:
        message, fix = "there are KPIs, but no level to over-assign", "write a level, such as team = 0.05"
        findings.at("W-no-effect", message, (SECTION, KPI), fix=fix, key=True)
    return OverAssignment(tuple(sorted(found, key=lambda c: (depth[c.level], c.level))), kpis)


def _kpis(findings: Findings, model: ScenarioDocument) -> tuple[bool, ...]:
    """Return which KPIs are over-assigned, by position."""
    fits = {kpi: entry.roll_up == "sum" and kind_of(entry) == "flow" for kpi, entry in model.kpi.items()}
    path: KeyPath = (SECTION, KPI)
    entry = model.over_assignment.get(KPI)
    named = None if entry is None else entry.kpis
    if entry is not None and named is None:
        message, rule = "`kpi` names the KPIs that are over-assigned", "every other key is a level"
        findings.at("E-over-assignment", message, path, rule=rule, fix='write kpi = ["…"]', kind=ModelError)
    for name in named or ():
        if check_reference(findings, "KPI", name, model.kpi, path) and not fits[name]:
            kind = f"roll_up = {model.kpi[name].roll_up}, kind = {kind_of(model.kpi[name])}"
            message = f"'{name}' cannot be over-assigned ({kind})"
            findings.at("E-over-assignment", message, path, rule=_RULE, fix="take it out", kind=ModelError)
    return tuple(fits[kpi] and (named is None or kpi in named) for kpi in model.kpi)


def _cushion(
    findings: Findings, model: ScenarioDocument, level: str, entry: CushionEntry, path: KeyPath
) -> Cushion | None:
    by_odds = entry.goal is not None or entry.odds is not None
    whole = entry.kpis is None and (
        (entry.share is not None and not by_odds)
        or (entry.share is None and entry.goal is not None and entry.odds is not None)
    )
    if not whole:
        message, rule = f"what level '{level}' is asked on top is not clear", "it is a share, or a goal and its odds"
        fix = f'write {level} = 0.05, or {level} = {{ goal = "…", odds = 0.8 }}'
        findings.at("E-over-assignment", message, path, rule=rule, fix=fix, kind=ModelError)
        return None
    if entry.goal is None:
        return Cushion(level, entry.share)
    if not check_reference(findings, "goal", entry.goal, model.goal, (*path, "goal")):
        return None
    return Cushion(level, None, entry.goal, entry.odds or 0.0)


def check_cushioned_locks(findings: Findings, scenario: Scenario) -> None:
    """Refuse locked targets at levels whose cushion is still to be found, and totals off the grid at others."""
    cushions, cells, totals = scenario.over_assignment, scenario.cells, scenario.totals
    if not cushions.cushions:
        return
    any_share = dict.fromkeys((c.level for c in cushions.cushions), 0.5)
    wanted = dict.fromkeys((c.level for c in cushions.wanted), 0.5)
    for cell in np.flatnonzero(~np.isnan(cells.fixed_target)).tolist():
        unit, kpi = int(cells.unit[cell]), int(cells.kpi[cell])
        name = f"{scenario.units.ids[scenario.units.home[unit]]}/{scenario.kpi_ids[kpi]}"
        if factors(scenario, wanted, unit, kpi) != 1.0:
            message = f"the target of {name} is locked, and the cushion of its level is to be found from odds"
            rule = "a locked target includes its cushion, which must be known before there is a plan"
            fix = "write `lock` with its stretch, or give the level a share"
            findings.at("E-over-assignment-lock", message, (SECTION,), rule=rule, fix=fix, key=True, kind=ModelError)
        step, target = scenario.kpi_step[kpi], float(cells.fixed_target[cell])
        off = step > 0 and abs(target / step - round(target / step)) > 1e-6
        if cell in totals.cell and off and factors(scenario, any_share, unit, kpi) != 1.0:
            message = f"the total of {name} is locked at {target:,.10g}, which is no multiple of {step:,g}"
            rule = "at a level with a cushion, a locked total is a multiple of the KPI's step"
            fix = "lock a multiple, or give the KPI a finer step"
            findings.at("E-over-assignment-lock", message, (SECTION,), rule=rule, fix=fix, key=True, kind=ModelError)


def factors(scenario: Scenario, shares: dict[str, float], unit: int, kpi: int) -> float:
    """Return what the target of one unit is multiplied by."""
    units, factor = scenario.units, 1.0
    if not scenario.over_assignment.kpis[kpi]:
        return factor
    levels = dict.fromkeys(levels_above(units, unit))
    for level in levels:
        factor *= 1.0 + scenario.kpi_sign[kpi] * shares.get(level, 0.0)
    return factor


def levels_above(units: Units, unit: int) -> list[str]:
    """Return the levels on the way from the top to a unit; what a unit does itself stands at the unit's own level."""
    levels: list[str] = []
    while unit >= 0:
        if not units.is_own[unit]:
            levels.insert(0, units.levels[unit])
        unit = int(units.parent[unit])
    return levels


def take_out_of_locks(scenario: Scenario) -> Scenario:
    """Return the scenario with what its plan has to come to where a locked target includes a cushion.

    The program plans without cushions: b + asked = lock_target / F there.
    """
    cells, totals = scenario.cells, scenario.totals
    locked = np.flatnonzero(~np.isnan(cells.fixed_target))
    shares = dict(scenario.over_assignment.given)
    if not shares or not len(locked):
        return scenario
    each = [factors(scenario, shares, int(cells.unit[i]), int(cells.kpi[i])) for i in locked.tolist()]
    factor: Floats = np.ones(len(cells))
    factor[locked] = each
    cells = replace(cells, lock_target=cells.fixed_target / factor, lock_factor=factor)
    return replace(scenario, cells=cells, totals=replace(totals, target=totals.target / factor[totals.cell]))
