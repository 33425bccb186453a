"""What can do nothing in any plan: effects that come too late, actions that never run, entries that ask for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.plan import FieldChanges
from kpiopt.scenario.links import Effect, Initiative
from kpiopt.scenario.peers import peer_groups
from kpiopt.scenario.resolve.selection import Selector
from kpiopt.scenario.roll_up import RollUp
from kpiopt.scenario.scenario import Integers, Scenario


class Idle(NamedTuple):
    """A setting that changes nothing: where it stands, why, and what to write."""

    path: KeyPath
    message: str
    fix: str


def check_never(findings: Findings, model: ScenarioDocument, scenario: Scenario, roll_up: RollUp) -> None:
    """Note what can change nothing, whatever is planned; effects after the last period are errors."""
    if not findings.is_whole("kpi", "unit", "units", "cell", "cells", "initiative", "periods", "joins", "capacity"):
        return
    _check_arrivals(findings, scenario)
    found = (
        _initiatives(scenario), _one_period(model, scenario), _guardrails(findings, model, scenario),
        _edits(model), _tiers(model), _seasons(model, scenario), _trade_offs(model, scenario),
        _handed_down(model, scenario, roll_up),
    )  # fmt: skip
    for part in found:
        for idle in part:
            rule = "what is written in a scenario changes something"
            findings.at("W-no-effect", idle.message, idle.path, rule=rule, fix=idle.fix, key=True)


def _begins(initiative: Initiative, scenario: Scenario) -> tuple[int, ...]:
    return tuple(range(scenario.n_periods)) if initiative.starts is None else initiative.starts


def _first_share(initiative: Initiative) -> int | None:
    """Return in which of the periods in which it runs an initiative first has an effect; None where in none."""
    return next((k for k, share in enumerate(initiative.build_up) if share > 0.0), None)


def _check_arrivals(findings: Findings, scenario: Scenario) -> None:
    """An effect of an initiative that begins as early as it may arrives within the plan."""
    for initiative in scenario.initiatives.values():
        begins, first = _begins(initiative, scenario), _first_share(initiative)
        if scenario.periods is None or not begins or first is None:
            continue
        for effect in initiative.effects:
            late = min(begins) + effect.lag + first
            if late < scenario.n_periods or effect.lag >= scenario.n_periods:  # the latter is told with the lag
                continue
            names, path = scenario.periods.names, ("initiative", initiative.id, "effects", effect.kpi)
            later = f"{effect.lag + first} period{'s' if effect.lag + first > 1 else ''} later"
            message = f"{dotted(path)} begins in {names[min(begins)]} at the earliest and works {later}, after the last"
            rule = "a lag counts periods, and what comes after the last one is no part of the plan"
            fix = "let it begin earlier, write a smaller lag, or leave the effect out"
            findings.at("E-lag", message, path, rule=rule, fix=fix, key=True, kind=ModelError)


def _initiatives(scenario: Scenario) -> Iterator[Idle]:
    earliest = _earliest(scenario)
    for key, initiative in scenario.initiatives.items():
        path: KeyPath = ("initiative", key)
        begins, first = _begins(initiative, scenario), _first_share(initiative)
        if scenario.periods is None or not begins:
            continue
        left = scenario.n_periods - min(begins)
        if first is None:
            yield Idle(
                (*path, "build_up"), f"initiative '{key}' has no share of its effect in any period", "correct it"
            )
        elif initiative.lasts is not None and first >= initiative.lasts:
            message = f"initiative '{key}' is over before it has any share of its effect"
            yield Idle((*path, "lasts"), message, "let it last longer, or build up sooner")
        elif len(initiative.build_up) > left:
            message = (
                f"initiative '{key}' builds up over {len(initiative.build_up)} periods, and at most {left} are left"
            )
            yield Idle((*path, "build_up"), message, "leave out the shares that no period is left for")
        if initiative.lasts is not None and initiative.lasts >= left:
            message = f"initiative '{key}' lasts {initiative.lasts} periods, and at most {left} are left: to the end"
            yield Idle((*path, "lasts"), message, "write fewer periods, or leave it out")
        for other in initiative.needs:
            at = earliest.get(other)
            if earliest[key] is None and at is not None and at > max(begins):
                names = scenario.periods.names
                message = (
                    f"initiative '{key}' can never run: it begins in {names[max(begins)]} at the latest, and needs "
                )
                message += f"'{other}', which begins in {names[at]} at the earliest"
                yield Idle((*path, "needs"), message, f"let '{other}' begin earlier, or '{key}' later")


def _earliest(scenario: Scenario) -> dict[str, int | None]:
    """Return the first period in which each initiative can begin, what it needs included; None where in none."""
    found: dict[str, int | None] = {
        key: min(_begins(initiative, scenario), default=None) for key, initiative in scenario.initiatives.items()
    }
    for _ in range(len(found)):
        for key, initiative in scenario.initiatives.items():
            needed = [found.get(name, 0) for name in initiative.needs]
            after = max((at for at in needed if at is not None), default=0)
            can = [at for at in _begins(initiative, scenario) if at >= after]
            found[key] = None if None in needed else min(can, default=None)
    return found


def _one_period(model: ScenarioDocument, scenario: Scenario) -> Iterator[Idle]:
    """Yield what speaks of several periods where only one is named."""
    if scenario.periods is None or scenario.n_periods > 1:
        return
    paths: list[KeyPath] = [("kpi", key, "carry") for key, entry in model.kpi.items() if entry.carry is not None]
    paths += [("capacity", key, "attrition") for key, entry in model.capacity.items() if entry.attrition]
    paths += [("guardrail", key, "ramp") for key, entry in model.guardrail.items() if entry.ramp is not None]
    paths += [("guardrail", key, "per_period") for key, entry in model.guardrail.items() if entry.per_period]
    for path in paths:
        message = f"{dotted(path)} is about the periods that follow, and there is only one"
        yield Idle(path, message, "name more periods, or remove it")


def _guardrails(findings: Findings, model: ScenarioDocument, scenario: Scenario) -> Iterator[Idle]:
    cells, alone = scenario.horizon, _without_peers(scenario)
    for name, entry in model.guardrail.items():
        path: KeyPath = ("guardrail", name)
        beside = [side for side in ("least", "most") if getattr(entry, side) is not None]
        if entry.growth is None and entry.ramp is None and not beside and not entry.per_period:
            message = f"guardrail '{name}' asks for nothing"
            yield Idle(path, message, "write growth, ramp, least, most or per_period, or remove it")
        if not beside or scenario.fairness.measure != "stretch":
            continue
        selector = Selector(findings, scenario.units, model)
        chosen = selector.cells_of(entry.where, (*path, "where"), cells.unit, cells.kpi) & cells.has_decision
        if chosen.any() and np.all(alone[chosen]):
            message = f"guardrail '{name}' compares cells with peers, and none of those it is about has any"
            yield Idle((*path, beside[0]), message, "correct `where` or [decide] peers, or remove it")


def _without_peers(scenario: Scenario) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether nobody is compared with a cell, or it with nobody, (n_cells,) bool."""
    cells, alone = scenario.horizon, np.ones(len(scenario.horizon), dtype=bool)
    decided = np.flatnonzero(cells.has_decision)
    peers = peer_groups(scenario, decided, np.flatnonzero(~cells.is_locked[decided]))
    alone[decided[peers.member]] = peers.count[peers.group] == 1
    return alone


def _edits(model: ScenarioDocument) -> Iterator[Idle]:
    for name, entry in model.adjust.items():
        if not any(_says(changes) for changes in (entry.scale, entry.set, entry.add)):
            message = f"adjust '{name}' changes nothing: it has neither scale nor set nor add"
            yield Idle(("adjust", name), message, "write what is to change, such as scale = { max_stretch = 1.1 }")


def _says(changes: FieldChanges) -> bool:
    return bool(changes.model_dump(exclude_none=True, exclude_defaults=True))


def _tiers(model: ScenarioDocument) -> Iterator[Idle]:
    for name, entry in model.effort_curve.items():
        if all(times == 1.0 for _, times in entry.tiers):
            message = f"effort curve '{name}' multiplies effort by 1 throughout"
            yield Idle(
                ("effort_curve", name, "tiers"), message, "write tiers such as [[0.05, 1], [0.1, 2]], or remove it"
            )


def _seasons(model: ScenarioDocument, scenario: Scenario) -> Iterator[Idle]:
    """Yield the KPIs that take their season from one that has none."""
    for key, entry in model.kpi.items():
        seen, at = {key}, entry.season
        while isinstance(at, str) and at in model.kpi and at not in seen:
            seen.add(at)
            last, at = at, model.kpi[at].season
        if scenario.periods is not None and isinstance(entry.season, str) and at is None:
            message = f"KPI '{key}' takes the season of '{last}', which has none: its periods have equal shares"
            yield Idle(("kpi", key, "season"), message, "write the shares, or name a KPI that has them")


def _trade_offs(model: ScenarioDocument, scenario: Scenario) -> Iterator[Idle]:
    for kpi in scenario.kpis.values():
        for driver in kpi.drivers:
            if not model.kpi[kpi.id].drivers[driver.cause].trade_off:
                continue
            cause, path = scenario.kpis.get(driver.cause), ("kpi", kpi.id, "drivers", driver.cause, "trade_off")
            if cause is None or cause.sign * driver.slope * kpi.sign >= 0:
                message = f"nothing is traded off between '{driver.cause}' and '{kpi.id}': "
                message += "a factor is nobody's aim" if cause is None else "what is better for one is for the other"
                yield Idle(path, message, "remove it, or correct the sign of the contribution")


def _handed_down(model: ScenarioDocument, scenario: Scenario, roll_up: RollUp) -> Iterator[Idle]:
    """Yield the effects with `spread` that work only where nothing is below."""
    places: dict[KeyPath, tuple[str, Integers]] = {
        ("kpi", kpi.id, "drivers", driver.cause): (kpi.id, driver.units)
        for kpi in scenario.kpis.values()
        for driver in kpi.drivers
        if driver.spread is not None
    }
    for initiative in scenario.initiatives.values():
        for effect in (effect for effect in initiative.effects if effect.spread is not None):
            places["initiative", initiative.id, "effects", effect.kpi] = effect.kpi, _units_of(initiative, effect)
    ids = list(model.kpi)
    for path, (kpi, units) in places.items():
        pair = roll_up.find(units, ids.index(kpi))
        pair = np.where(pair < 0, roll_up.find(0, ids.index(kpi))[0], pair)
        if len(pair) and not np.any((pair >= 0) & roll_up.is_parent[pair]):
            message = f"{dotted(path)} hands its effect down, and works where no unit below has '{kpi}'"
            yield Idle((*path, "spread"), message, "remove spread, or correct `at`")


def _units_of(initiative: Initiative, effect: Effect) -> Integers:
    if effect.places is None:
        return initiative.units
    return np.array(sorted({unit for _, unit in effect.places}), dtype=np.int64)
