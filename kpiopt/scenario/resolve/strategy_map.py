"""The strategy map: perspectives, objectives, KPIs with their drivers, factors and initiatives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.strategy_map import DriverEntry, InitiativeEntry, KpiEntry, LinkEntry
from kpiopt.scenario.links import Driver, Effect, Factor, Initiative
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.resolve.actions import check_relations, places_of_effect, resolve_levels
from kpiopt.scenario.resolve.curves import resolve_curve
from kpiopt.scenario.resolve.periods import find_period, kind_of, period_names
from kpiopt.scenario.resolve.quantity_reader import QuantityReader
from kpiopt.scenario.resolve.selection import Selector
from kpiopt.scenario.resolve.shown_names import shown_names
from kpiopt.scenario.roll_up import RollUp
from kpiopt.scenario.scenario import (
    ORGANIZATION,
    Integers,
    Kpi,
    Objective,
    Perspective,
    Units,
)


def resolve_perspectives(model: ScenarioDocument) -> dict[str, Perspective]:
    """Return the perspectives in order of appearance."""
    shown = _shown(model.perspective)
    return {key: Perspective(key, shown[key], entry.description) for key, entry in model.perspective.items()}


def _shown(entries: Mapping[str, Any]) -> dict[str, str]:
    """Return the names to show of things of one kind, by id."""
    return dict(zip(entries, shown_names([*entries], [e.name or key for key, e in entries.items()]), strict=True))


def resolve_objectives(findings: Findings, model: ScenarioDocument) -> dict[str, Objective]:
    """Return the objectives in order of appearance."""
    objectives, shown = {}, _shown(model.objective)
    for key, entry in model.objective.items():
        check_reference(
            findings, "perspective", entry.perspective, model.perspective, ("objective", key, "perspective")
        )
        objectives[key] = Objective(key, shown[key], entry.perspective, entry.description, entry.critical)
    return objectives


def check_reference(findings: Findings, what: str, name: str | None, known: Collection[str], path: KeyPath) -> bool:
    """Whether `name` is known; notes it where it is not even declared."""
    if name is None or name in known:
        return name is not None
    if name not in findings.declared(what.lower().replace(" ", "_")):
        findings.unknown(what, name, known, path, ModelError)
    return False


def resolve_root_baselines(model: ScenarioDocument, reader: QuantityReader) -> dict[str, Quantity]:
    """Return the baselines that KPIs state for the root."""
    read = {
        key: reader.at(("kpi", key, "baseline"), entry.baseline)
        for key, entry in model.kpi.items()
        if entry.baseline is not None
    }
    return {key: quantity for key, quantity in read.items() if quantity is not None}


def resolve_factors(findings: Findings, model: ScenarioDocument, reader: QuantityReader) -> dict[str, Factor]:
    """Return the factors in order of appearance; one with a value for each period stands once for each, in order."""
    factors: dict[str, Factor] = {}
    names, shown = period_names(model), _shown(model.factor)
    for key, entry in model.factor.items():
        path, title = ("factor", key, "value"), shown[key]
        if not isinstance(entry.value, list):
            value = reader.at(path, entry.value)
            factors |= {} if value is None else {key: Factor(key, title, value)}
        elif _has_each_period(findings, model, key, len(entry.value)):
            for t, (name, written) in enumerate(zip(names, entry.value, strict=True)):
                value, of_period = reader.at((*path, t), written), f"{key}/{name}"
                if value is not None:
                    factors[of_period] = Factor(of_period, f"{title} in {name}", value, t, (key, title))
    return factors


def _has_each_period(findings: Findings, model: ScenarioDocument, factor: str, count: int) -> bool:
    """Whether a factor with a list of values has one for each period, under names that nothing else has."""
    names, path = period_names(model), ("factor", factor, "value")
    rule = "a factor has one value for the horizon, or a list with one for each period"
    if not names and findings.is_whole("periods"):
        message, fix = (
            f"{dotted(path)} is a list, but there are no periods",
            "write one value, or [periods] names = […]",
        )
        findings.at("E-no-periods", message, path, rule=rule, fix=fix, kind=ModelError)
    elif names and count != len(names):
        message, fix = f"{dotted(path)} has {count} values for {len(names)} periods", f"write {len(names)} values"
        findings.at("E-factor-periods", message, path, rule=rule, fix=fix, kind=ModelError)
    for taken in (f"{factor}/{name}" for name in names if f"{factor}/{name}" in model.factor):
        message = f"'{taken}' is a factor, and what '{factor}' is in that period"
        findings.at("E-ambiguous-id", message, ("factor", taken), rule=rule, fix="rename it", key=True, kind=ModelError)
    return count == len(names)


@dataclass(frozen=True)
class MapResolver:
    """Resolves what refers to units and KPIs.

    Attributes
    ----------
    roll_up : RollUp
        Which KPIs have a value at which units.
    """

    findings: Findings
    model: ScenarioDocument
    units: Units
    roll_up: RollUp
    reader: QuantityReader

    @cached_property
    def _levels(self) -> NDArray[np.object_]:
        return np.array(self.units.levels, dtype=object)

    def kpis(self, root_baseline: dict[str, Quantity]) -> dict[str, Kpi]:
        """Return the KPIs in order of appearance."""
        kpis, given = {}, self.model.kpi
        names = shown_names([*given], [entry.name or key for key, entry in given.items()])
        for (key, entry), name in zip(given.items(), names, strict=True):
            check_reference(
                self.findings, "objective", entry.objective, self.model.objective, ("kpi", key, "objective")
            )
            if "/" in key or "~" in key:
                message, rule = f"the KPI id '{key}' contains '/' or '~'", 'cells are named "unit/kpi", pairs "a ~ b"'
                self.findings.at("E-kpi-id", message, ("kpi", key), rule=rule, key=True, kind=ModelError)
            kpis[key] = Kpi(
                id=key,
                name=name,
                objective=entry.objective,
                unit=entry.unit,
                sign=1 if entry.direction == "up" else -1,
                roll_up=entry.roll_up,
                step=entry.step,
                kind=kind_of(entry),
                baseline=root_baseline.get(key),
                drivers=self._drivers(key, entry),
                description=entry.description,
                owner=entry.owner,
                low=-np.inf if entry.min is None else entry.min,
                high=np.inf if entry.max is None else entry.max,
                scale=entry.scale,
            )
            self._check_bounds(kpis[key])
        return kpis

    def _check_bounds(self, kpi: Kpi) -> None:
        """Bounds leave room between them, and headroom needs the bound in the KPI's direction."""
        if kpi.low >= kpi.high:
            message, rule = f"KPI '{kpi.id}' has the min {kpi.low:g} and the max {kpi.high:g}", "min is below max"
            self.findings.at("E-bounds", message, ("kpi", kpi.id, "min"), rule=rule, kind=ModelError)
        if kpi.scale == "headroom" and not np.isfinite(kpi.high if kpi.sign > 0 else kpi.low):
            bound = "max" if kpi.sign > 0 else "min"
            message = f"KPI '{kpi.id}' is compared by headroom, but has no {bound}"
            rule, fix = "headroom is the distance to the bound in the KPI's direction", f"write {bound} = …"
            self.findings.at("E-headroom", message, ("kpi", kpi.id, "scale"), rule=rule, fix=fix, kind=ModelError)

    def _drivers(self, kpi: str, entry: KpiEntry) -> tuple[Driver, ...]:
        drivers = [self._driver(kpi, cause, driver) for cause, driver in entry.drivers.items()]
        return tuple(driver for driver in drivers if driver is not None)

    def _driver(self, kpi: str, cause: str, entry: DriverEntry) -> Driver | None:
        path = ("kpi", kpi, "drivers", cause)
        contribution, curve = self._contribution(path, entry), resolve_curve(self.findings, self.model, path, entry)
        if not self._is_cause(kpi, cause, path):
            return None
        units = self._places(kpi, cause, entry.at, path)
        self._check_lag(entry.lag, path)
        if units is None:
            return None
        is_factor = cause not in self.model.kpi
        name = f"kpi.{kpi}.drivers.{cause}"
        contribution = contribution or Quantity.number(0.0)  # it is noted as wrong
        self._warn_unassigned(f"kpi.{kpi}.drivers.{cause}", kpi, units, entry.spread, path)
        return Driver(
            cause, is_factor, contribution, entry.lag, entry.at, units, name, entry.between, entry.spread, curve
        )

    def _contribution(self, path: KeyPath, entry: LinkEntry) -> Quantity | None:
        """Read a contribution written as a value of its own or inside a table; 1 where a curve says what there is."""
        if entry.contribution is None:
            return Quantity.number(1.0)
        inner = (*path, "contribution")
        is_inner = self.findings.document.key_location(inner) != self.findings.document.key_location(path)
        return self.reader.at(inner if is_inner else path, entry.contribution)

    def _is_cause(self, kpi: str, cause: str, path: KeyPath) -> bool:
        """Whether a cause exists, is one thing only, and is not the KPI itself."""
        model, findings = self.model, self.findings
        if cause == kpi:
            message, rule = f"KPI '{kpi}' drives itself", "the strategy map is free of cycles"
            fix = "remove this driver"
            findings.at("E-self-loop", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
            return False
        if cause in model.kpi and cause in model.factor:
            message, rule = f"'{cause}' is both a KPI and a factor", "the key of a driver names one cause"
            others = [("kpi", cause), ("factor", cause)]
            fix = "rename one of them"
            findings.at("E-ambiguous-id", message, path, rule=rule, fix=fix, key=True, kind=ModelError, others=others)
            return False
        if cause in model.kpi or cause in model.factor:
            return True
        if cause in {*findings.declared("kpi"), *findings.declared("factor")}:
            return False
        rule = "a driver's key is the id of a KPI or of a factor"
        fix = findings.nearest(cause, [*model.kpi, *model.factor])
        if cause in findings.declared("initiative"):
            fix = f"write what the initiative does under [initiative.{cause}.effects]"
        message = f"KPI '{kpi}' is driven by '{cause}', which does not exist"
        findings.at("E-unknown-driver", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
        return False

    def _places(self, kpi: str, cause: str, at: str, path: KeyPath) -> Integers | None:
        """Return the units named by `at` where both ends have a value; None and a note where there are none."""
        where = (*path, "at")
        units = self._units_at(at, where)
        if units is None:
            return None
        ids = list(self.model.kpi)
        usable = self.roll_up.find(units, ids.index(kpi)) >= 0
        if cause in self.model.kpi:
            usable &= self.roll_up.find(units, ids.index(cause)) >= 0
        if usable.any():
            return units[usable]
        if not self.findings.is_whole("cell", "cells", "unit", "kpi", "joins"):
            return units  # values may be missing only because of what is noted already; circles are still looked for
        ends_of = [kpi, cause] if cause in self.model.kpi else [kpi]
        if not all(self.roll_up.has_value(ids.index(end)) for end in ends_of):
            return None  # noted with the KPI that has no value anywhere
        place = "the root" if at == ORGANIZATION else f"'{at}'"
        ends = f"'{kpi}' and '{cause}' both have" if cause in self.model.kpi else f"'{kpi}' has"
        message = f"no unit at {place} where {ends} a value"
        rule = 'a driver works at the units named by `at`: "organization" (the root), a level or a unit id'
        fix = "write `at` = a level or unit where both have cells, or give a KPI without cells a baseline at the root"
        self.findings.at("E-driver-nowhere", message, where, rule=rule, fix=fix, kind=ModelError)
        return None

    def _units_at(self, at: str, path: KeyPath) -> Integers | None:
        """Return the units that `at` means; None and a note where it is unknown or means two things."""
        units = self.units
        if at == ORGANIZATION:
            return np.zeros(1, dtype=np.int64)
        level = np.flatnonzero(self._levels == at)
        unit = units.position.get(at)
        if unit is not None and len(level) and level.tolist() != [unit]:
            message, rule = f"'{at}' is both a level and a unit", "`at` names one place"
            self.findings.at("E-ambiguous-at", message, path, rule=rule, fix="rename one of them", kind=ModelError)
            return None
        if unit is not None:
            return np.array([unit], dtype=np.int64)
        if len(level):
            return level
        if not self.findings.is_whole("unit"):
            return None
        known = [ORGANIZATION, *dict.fromkeys(v for v in units.levels if v), *units.ids]
        rule = '`at` is "organization" (the root), a level or a unit id'
        fix = self.findings.nearest(at, known)
        self.findings.at("E-unknown-at", f"there is no level or unit '{at}'", path, rule=rule, fix=fix, kind=ModelError)
        return None

    def _warn_unassigned(self, what: str, kpi: str, units: Integers, spread: str | None, path: KeyPath) -> None:
        """Warn of an effect at a unit above cells of the KPI: it raises that unit's value without being anybody's."""
        position = list(self.model.kpi).index(kpi)
        pair = self.roll_up.find(units, position)
        pair = np.where(pair < 0, self.roll_up.find(0, position)[0], pair)
        above = np.flatnonzero((pair >= 0) & self.roll_up.is_parent[pair]) if self.roll_up.count else pair[:0]
        if spread is not None or not len(above) or not self.findings.is_whole("cell", "cells", "unit", "kpi", "joins"):
            return
        where = self.units.names[self.roll_up.unit[pair[above[0]]]]
        message = f"{what} works at {where}, above cells of '{kpi}': what it changes there is nobody's"
        roll_up = "mean" if self.model.kpi[kpi].roll_up == "mean" else "sum"
        rule = f"a unit's value is the {roll_up} of those below it, but for what works at it alone; unassigned shows it"
        fix = 'write spread = "baseline" (or "size", "even") to hand it down to the cells, or leave it where it is'
        self.findings.at("W-unassigned", message, path, rule=rule, fix=fix, key=True)

    def _check_lag(self, lag: int, path: KeyPath) -> None:
        """An effect arrives within the plan."""
        names = period_names(self.model)
        rule = "a lag counts periods, and what comes after the last one is no part of the plan"
        if lag and not names:
            message = f"{dotted(path)} takes effect after the plan's only period (lag {lag}) and would change nothing"
            fix = "set lag = 0 if it works within the period, or write [periods]"
            self.findings.at("E-lag", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
        elif lag and lag >= len(names):
            message = f"{dotted(path)} takes effect after the last of {len(names)} periods (lag {lag})"
            fix = f"write a lag below {len(names)}, or leave the effect out"
            self.findings.at("E-lag", message, path, rule=rule, fix=fix, key=True, kind=ModelError)

    def initiatives(self) -> dict[str, Initiative]:
        """Return the initiatives in order of appearance."""
        shown = _shown(self.model.initiative)
        resolved = {key: self._initiative(key, shown[key], entry) for key, entry in self.model.initiative.items()}
        check_relations(self.findings, self.model, resolved, self.units)
        return resolved

    def _initiative(self, key: str, name: str, entry: InitiativeEntry) -> Initiative:
        path = ("initiative", key)
        deciding = np.zeros(len(self.units), dtype=bool)
        deciding[0] = True
        if entry.units is not None:
            selector = Selector(self.findings, self.units, self.model)
            deciding = selector.units_of(entry.units, (*path, "units"))
        units = np.flatnonzero(deciding)
        effects = [self._effect(key, kpi, units) for kpi in entry.effects]
        kept = tuple(effect for effect in effects if effect is not None)
        if not entry.effects:
            message, rule = f"initiative '{key}' has no effects", "an initiative is worth what it changes"
            fix = f"write [initiative.{key}.effects]"
            self.findings.at("W-no-effects", message, path, rule=rule, fix=fix, key=True)
        build_up = tuple(entry.build_up or (1.0,))
        most, levels = resolve_levels(self.findings, key, entry)
        return Initiative(
            key, name, units, most, entry.whole, dict(entry.uses), kept, dict(entry.runs),
            self._starts(key, entry), build_up, entry.lasts, levels, tuple(entry.needs or ()),
            tuple(entry.not_with or ()), dict(entry.setup),
        )  # fmt: skip

    def _starts(self, key: str, entry: InitiativeEntry) -> tuple[int, ...] | None:
        """Return the periods in which an initiative may begin; None for all of them."""
        if entry.start is None:
            return None
        path = ("initiative", key, "start")
        found = [find_period(self.findings, self.model, name, path) for name in entry.start]
        return tuple(sorted({period for period in found if period >= 0}))

    def _effect(self, key: str, kpi: str, units: Integers) -> Effect | None:
        path = ("initiative", key, "effects", kpi)
        entry = self.model.initiative[key].effects[kpi]
        contribution, curve = self._contribution(path, entry), resolve_curve(self.findings, self.model, path, entry)
        if kpi not in self.model.kpi:
            if kpi not in self.findings.declared("kpi"):
                fix = self.findings.nearest(kpi, self.model.kpi)
                message = f"initiative '{key}' acts on '{kpi}', which does not exist"
                rule = "effects are keyed by the id of a KPI"
                self.findings.at("E-unknown-kpi", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
            return None
        self._check_lag(entry.lag, path)
        places = None if entry.at is None else self._effect_places(key, kpi, entry.at, units, path)
        if entry.at is None:
            self._check_reach(key, kpi, units, path)
        working = units if places is None else np.array(sorted({unit for _, unit in places}), dtype=np.int64)
        self._warn_unassigned(f"initiative.{key}.effects.{kpi}", kpi, working, entry.spread, path)
        if contribution is None:
            return None
        return Effect(kpi, contribution, entry.lag, ".".join(path), entry.between, entry.spread, places, curve)

    def _effect_places(
        self, key: str, kpi: str, at: str, units: Integers, path: KeyPath
    ) -> tuple[tuple[int, int], ...] | None:
        """Return where an effect with `at` works; None and a note where that is nowhere."""
        named = self._units_at(at, (*path, "at"))
        if named is None:
            return None
        usable = named[self.roll_up.find(named, list(self.model.kpi).index(kpi)) >= 0]
        is_level = at in self.units.levels and at not in (*self.units.ids, ORGANIZATION)
        places = places_of_effect(self.units, units, usable, is_level=is_level)
        reached = {i for i, _ in places}
        missing = [unit for i, unit in enumerate(units.tolist()) if i not in reached]
        if missing and self.findings.is_whole("cell", "cells", "unit", "kpi", "joins", "initiative"):
            message = (
                f"initiative '{key}' of '{self.units.ids[missing[0]]}' acts on '{kpi}' at '{at}', where it has no value"
            )
            rule = "an effect works at every unit of the level `at` at or below the deciding unit that has the KPI"
            fix = f"correct `at`, or give '{kpi}' cells there"
            self.findings.at("E-effect-nowhere", message, (*path, "at"), rule=rule, fix=fix, kind=ModelError)
        return places

    def _check_reach(self, key: str, kpi: str, units: Integers, path: KeyPath) -> None:
        """Note where the KPI has a value neither at a deciding unit nor at the root."""
        position = list(self.model.kpi).index(kpi)
        missing = units[self.roll_up.find(units, position) < 0]
        if not len(missing) or self.roll_up.find(0, position)[0] >= 0 or not self.roll_up.has_value(position):
            return
        if not self.findings.is_whole("cell", "cells", "unit", "kpi", "joins", "initiative"):
            return
        message = (
            f"initiative '{key}' acts on '{kpi}', which has no value at '{self.units.ids[missing[0]]}' or the root"
        )
        rule = "an effect goes to the deciding unit's own value, or to the root's"
        fix = f"give '{kpi}' cells there, or a baseline at the root"
        self.findings.at("E-effect-nowhere", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
