"""`[assign.NAME]`: how many KPIs people answer for, and what each of them weighs."""

from __future__ import annotations

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.scenario.format.asks import AssignEntry
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.periods import SinglePeriods
from kpiopt.scenario.resolve.cells import ResolvedCells
from kpiopt.scenario.resolve.selection import Mask, Selector
from kpiopt.scenario.scenario import Cells, ChosenKpis, Integers, Units


def check_assign(findings: Findings, model: ScenarioDocument, units: Units, found: ResolvedCells) -> None:
    """Refuse units with too few or too many KPIs, and KPIs that weigh too little."""
    selector = Selector(findings, units, model)
    for name, entry in model.assign.items():
        path: KeyPath = ("assign", name)
        chosen = selector.units_of(entry.where, (*path, "where"))
        asks = entry.kpis is not None or entry.least_weight is not None
        if not asks:
            message, fix = (
                f"assign '{name}' asks for nothing",
                "write kpis = [least, most] or least_weight, or remove it",
            )
            findings.at("W-no-effect", message, path, fix=fix, key=True)
        elif chosen.any() and not np.any(chosen[units.home[found.cells.unit[~_of_totals(found)]]]):
            message, fix = f"assign '{name}' chooses units without cells", "choose those who answer for KPIs"
            findings.at("W-no-effect", message, (*path, "where"), fix=fix, key=True)
        if entry.kpis is not None and not 0 <= entry.kpis[0] <= entry.kpis[1]:
            message, rule = f"assign '{name}' asks for {entry.kpis[0]} to {entry.kpis[1]} KPIs", "kpis = [least, most]"
            findings.at("E-assign", message, (*path, "kpis"), rule=rule, fix="correct the numbers", kind=ModelError)
        elif entry.choose:
            continue
        elif findings.is_whole("cell", "cells", "unit", "units", "kpi", "joins"):
            _check_numbers(findings, path, entry, units, found, chosen)
            _check_weights(findings, path, entry, units, found, chosen)


def _check_numbers(
    findings: Findings, path: KeyPath, entry: AssignEntry, units: Units, found: ResolvedCells, chosen: Mask
) -> None:
    """A unit with cells has as many KPIs with a decision as it should; what it does itself counts as its own.

    A row about a total is no cell: nobody answers for it by a decision of their own.
    """
    if entry.kpis is None:
        return
    cells, (least, most) = found.cells, entry.kpis
    home = units.home[cells.unit]
    count = np.bincount(home, cells.has_decision, len(units)).astype(np.int64)
    has_cells = np.bincount(home[~_of_totals(found)], minlength=len(units)) > 0
    wrong = np.flatnonzero(chosen & has_cells & ((count < least) | (count > most)))

    def problem(unit: int) -> Problem:
        many = f"{count[unit]} KPIs" if count[unit] != 1 else "1 KPI"
        message = f"{units.ids[unit]} answers for {many} with a decision"
        fix = "give it more or fewer cells with a max_stretch, or change the numbers"
        where = findings.document.origin((*path, "kpis"))
        return Problem("E-assign", message, f"{least} to {most} are asked for", fix, where)

    findings.each(wrong.tolist(), problem, ModelError)


def _of_totals(found: ResolvedCells) -> Mask:
    return np.asarray(found.roll_up.is_parent[found.roll_up.cell >= 0])


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


def resolve_chosen(
    findings: Findings, model: ScenarioDocument, units: Units, cells: Cells, single: SinglePeriods | None
) -> ChosenKpis | None:
    """Return the units whose KPIs the plan chooses, and refuse what no choice could keep.

    Where several entries choose for one unit all of their numbers and weights hold.
    """
    selector, path = Selector(findings, units, model), ("assign",)
    home, decided = units.home[cells.unit], cells.has_decision
    least, most = np.zeros(len(units), dtype=np.int64), np.full(len(units), len(model.kpi) + len(cells))
    light, names = np.zeros(len(cells), dtype=bool), dict[int, str]()
    has_decision = np.bincount(home, decided, len(units)) > 0
    for name, entry in model.assign.items():
        if not entry.choose:
            continue
        here = selector.units_of(entry.where, (*path, name, "where")) & has_decision
        names |= dict.fromkeys(np.flatnonzero(here).tolist(), name)
        if entry.kpis is not None:
            least = np.where(here, np.maximum(least, entry.kpis[0]), least)
            most = np.where(here, np.minimum(most, entry.kpis[1]), most)
        if entry.least_weight is not None:
            light |= here[home] & (cells.weight < entry.least_weight - 1e-12)
    if not names:
        return None
    unit = np.array(sorted(names), dtype=np.int64)
    chosen = np.isin(home, unit) & decided
    free, locked = np.flatnonzero(chosen & ~cells.is_locked), np.flatnonzero(chosen & cells.is_locked)
    found = ChosenKpis(
        unit, tuple(names[u] for u in unit.tolist()), least[unit], most[unit], free,
        np.searchsorted(unit, home[free]), light[free], locked, np.searchsorted(unit, home[locked]),
    )  # fmt: skip
    if findings.is_whole("cell", "cells", "unit", "units", "kpi", "joins"):
        _refuse_numbers(findings, units, found)
        _refuse_light_locks(findings, units, cells, model, found, locked[light[locked]])
        _refuse_peers(findings, model, cells, found)
        _refuse_periods(findings, found, single)
        _tell_weights(findings, found, cells)
    return found


def _refuse_numbers(findings: Findings, units: Units, found: ChosenKpis) -> None:
    """Refuse units that have fewer KPIs to choose from than they should, or more locked ones."""
    able = np.bincount(found.of_unit, ~found.light, len(found.unit)).astype(np.int64)
    for place, unit in enumerate(found.unit.tolist()):
        name, least, most = found.name[place], int(found.least[place]), int(found.most[place])
        locked = int(found.n_locked[place])
        rule = f"assign '{name}' asks for {least} to {most}"
        if least > most:
            message, fix = f"no number of KPIs is right for {units.ids[unit]}", "let its entries agree"
        elif locked > most:
            message, fix = f"{units.ids[unit]} has {locked} locked KPIs", "take locks away, or allow more"
        elif able[place] + locked < least:
            message = f"{units.ids[unit]} has {able[place] + locked} KPIs that may be chosen"
            fix = "give it more cells with a max_stretch and enough weight, or ask for fewer"
        else:
            continue
        findings.at("E-assign-choose", message, ("assign", name), rule=rule, fix=fix, key=True, kind=ModelError)


def _refuse_light_locks(
    findings: Findings, units: Units, cells: Cells, model: ScenarioDocument, found: ChosenKpis, light: Integers
) -> None:
    """Refuse locked cells that weigh too little to be chosen."""
    kpis = list(model.kpi)
    for cell in light.tolist():
        where = f"{units.ids[cells.unit[cell]]}/{kpis[cells.kpi[cell]]}"
        name = found.name[int(np.searchsorted(found.unit, units.home[cells.unit[cell]]))]
        message = f"{where} is locked, and weighs {cells.weight[cell]:g} in pay"
        rule, fix = "a locked KPI is chosen, and each weighs least_weight at least", "give it more weight, or no lock"
        findings.at("E-assign-choose", message, ("assign", name), rule=rule, fix=fix, key=True, kind=ModelError)


def _refuse_peers(findings: Findings, model: ScenarioDocument, cells: Cells, found: ChosenKpis) -> None:
    """Refuse to hold cells near their peers that may have no stretch at all."""
    near = np.flatnonzero(~np.isnan(cells.beside_peers[:, found.cell]).all(axis=0))
    has_band = model.fairness is not None and model.fairness.band is not None
    if not has_band and not len(near):
        return
    name = found.name[int(found.of_unit[near[0]])] if len(near) else found.name[0]
    what = "a band" if has_band else "a guardrail beside peers"
    message = f"assign '{name}' chooses KPIs, and {what} holds stretches near those of peers"
    rule = "a KPI that is not chosen has no stretch, which is near nobody's"
    fix = "leave the band and least and most out, or write who has which KPI"
    findings.at("E-assign-choose", message, ("assign", name, "choose"), rule=rule, fix=fix, kind=ModelError)


def _refuse_periods(findings: Findings, found: ChosenKpis, single: SinglePeriods | None) -> None:
    """Refuse to promise a stretch in a single period to a KPI that may not be chosen."""
    if single is None:
        return
    held = (np.nan_to_num(single.min_stretch) > 0.0) | ~np.isnan(single.lock)
    for place in np.unique(found.of_unit[held[found.cell].any(axis=1)]).tolist():
        name = found.name[place]
        message = f"assign '{name}' chooses KPIs, and some have a lock or a min_stretch in a single period"
        rule = "a KPI that is not chosen has no stretch in any period"
        fix = "take these out of single periods, or write who has which KPI"
        findings.at("E-assign-choose", message, ("assign", name, "choose"), rule=rule, fix=fix, kind=ModelError)


def _tell_weights(findings: Findings, found: ChosenKpis, cells: Cells) -> None:
    """Tell that a KPI that is not chosen is paid for all the same."""
    weighs = np.nan_to_num(cells.weight[found.cell]) > 0.0
    for name in dict.fromkeys(found.name[place] for place in np.unique(found.of_unit[weighs]).tolist()):
        message = f"assign '{name}' chooses among KPIs with a weight in pay"
        rule = "a KPI that is not chosen keeps its weight, and pays for keeping its baseline"
        fix = "write the weights anew once the choice stands"
        findings.at("W-assign-weight", message, ("assign", name, "choose"), rule=rule, fix=fix)
