"""`[assign.NAME]`: how many KPIs people answer for, and what each of them weighs."""

from __future__ import annotations

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.scenario.format.asks import AssignEntry
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.resolve.cells import ResolvedCells
from kpiopt.scenario.resolve.selection import Mask, Selector
from kpiopt.scenario.scenario import Units


def check_assign(findings: Findings, model: ScenarioDocument, units: Units, found: ResolvedCells) -> None:
    """Refuse units with too few or too many KPIs, and KPIs that weigh too little."""
    selector = Selector(findings, units, model)
    for name, entry in model.assign.items():
        path: KeyPath = ("assign", name)
        chosen = selector.units_of(entry.where, (*path, "where"))
        if entry.choose:
            message, rule = f"assign '{name}' would choose KPIs", "which KPIs a unit answers for is written, not chosen"
            fix = "leave choose out: numbers and weights are then checked"
            findings.at("E-assign-choose", message, (*path, "choose"), rule=rule, fix=fix, kind=ModelError)
        asks = (entry.kpis is not None and entry.kpis[1] > 0) or entry.least_weight is not None
        if not asks and not entry.choose:
            message, fix = (
                f"assign '{name}' asks for nothing",
                "write kpis = [least, most] or least_weight, or remove it",
            )
            findings.at("W-no-effect", message, path, fix=fix, key=True)
        elif chosen.any() and not np.any(chosen[units.home[found.cells.unit]]):
            message, fix = f"assign '{name}' chooses units without cells", "choose those who answer for KPIs"
            findings.at("W-no-effect", message, (*path, "where"), fix=fix, key=True)
        if entry.kpis is not None and not 0 <= entry.kpis[0] <= entry.kpis[1]:
            message, rule = f"assign '{name}' asks for {entry.kpis[0]} to {entry.kpis[1]} KPIs", "kpis = [least, most]"
            findings.at("E-assign", message, (*path, "kpis"), rule=rule, fix="correct the numbers", kind=ModelError)
        elif findings.is_whole("cell", "cells", "unit", "units", "kpi", "joins"):
            _check_numbers(findings, path, entry, units, found, chosen)
            _check_weights(findings, path, entry, units, found, chosen)


def _check_numbers(
    findings: Findings, path: KeyPath, entry: AssignEntry, units: Units, found: ResolvedCells, chosen: Mask
) -> None:
    """A unit with cells has as many KPIs with a decision as it should; what it does itself counts as its own."""
    if entry.kpis is None:
        return
    cells, (least, most) = found.cells, entry.kpis
    home = units.home[cells.unit]
    count = np.bincount(home, cells.has_decision, len(units)).astype(np.int64)
    has_cells = np.bincount(home, minlength=len(units)) > 0
    wrong = np.flatnonzero(chosen & has_cells & ((count < least) | (count > most)))

    def problem(unit: int) -> Problem:
        many = f"{count[unit]} KPIs" if count[unit] != 1 else "1 KPI"
        message = f"{units.ids[unit]} answers for {many} with a decision"
        fix = "give it more or fewer cells with a max_stretch, or change the numbers"
        where = findings.document.origin((*path, "kpis"))
        return Problem("E-assign", message, f"{least} to {most} are asked for", fix, where)

    findings.each(wrong.tolist(), problem, ModelError)


def _check_weights(
    findings: Findings, path: KeyPath, entry: AssignEntry, units: Units, found: ResolvedCells, chosen: Mask
) -> None:
    """A weight that is given is not too small; one that is not given is not 0."""
    if entry.least_weight is None:
        return
    cells, least = found.cells, entry.least_weight
    light = cells.has_decision & chosen[units.home[cells.unit]] & (cells.weight < least - 1e-12)

    def problem(cell: int) -> Problem:
        message = f"{found.table.name(cell)} weighs {cells.weight[cell]:g} in pay"
        fix = f"give it a weight of {least:g} or more, or take it out of pay"
        return Problem(
            "E-assign", message, f"each weighs {least:g} at least", fix, found.table.location(cell, "weight")
        )

    findings.each(np.flatnonzero(light).tolist(), problem, ModelError)
