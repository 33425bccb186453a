"""Capacity as people know it: heads x availability x what a head has, ramped up from a start, less who leaves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.periods import PeriodSeries
from kpiopt.scenario.resolve.periods import period_names, shares_of_capacity, spelled_length
from kpiopt.scenario.resolve.selection import Selector
from kpiopt.scenario.resolve.units import ResolvedUnits
from kpiopt.scenario.scenario import Floats

A_YEAR = 12
"""Months of a plan without periods."""


def resolve_people(
    findings: Findings, model: ScenarioDocument, resolved: ResolvedUnits
) -> tuple[ResolvedUnits, dict[str, Floats]]:
    """Add the capacities that follow from head counts; a unit's own amount counts before them.

    Returns
    -------
    resolved : ResolvedUnits
        With the horizon's amounts.
    share : dict of str to (n_units, T) float
        By resource: share of its amount that each unit has in each period; only for resources per head.
    """
    units, people = resolved.units, _People(findings, model, resolved)
    per_head = {key: entry for key, entry in model.capacity.items() if entry.per_head is not None}
    people.check(has_rate=bool(per_head))
    capacity, heads, share = dict(units.capacity), dict(units.heads), dict[str, Floats]()
    for resource, entry in per_head.items():
        own = capacity.get(resource, np.full(len(units), np.nan))
        here = np.isnan(own) & ~np.isnan(people.count)
        if not np.any(here) and np.all(np.isnan(own)):
            if not findings.is_whole("unit", "units"):
                continue  # the heads may be what is wrong there
            message, rule = f"no unit has a head count for the capacity of '{resource}'", "capacity is heads x per_head"
            fix, path = "give units a column head_count, or remove per_head", ("capacity", resource, "per_head")
            findings.at("E-unknown-resource", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
            continue
        if not np.any(here) and findings.is_whole("unit", "units"):
            message = f"no unit without an amount of its own has a head count for the capacity of '{resource}'"
            rule, fix = "capacity is heads x per_head", "give units a column head_count, or remove per_head"
            path = ("capacity", resource, "per_head")
            findings.at("W-no-effect", message, path, rule=rule, fix=fix, key=True)
        season = shares_of_capacity(model, resource)
        each = people.present(entry.attrition or 0.0) * season  # (n_units, T)
        amount = people.count * people.availability * float(entry.per_head or 0.0) * entry.scale * each.sum(axis=1)
        capacity[resource] = np.where(here, amount, own)
        heads[resource] = np.where(here, people.count, np.nan)
        total = each.sum(axis=1, keepdims=True)
        by_unit = np.where(total > 0.0, each / np.where(total > 0.0, total, 1.0), season)
        share[resource] = np.where(here[:, None], by_unit, season)
    people.check_use(heads, per_head)
    return replace(resolved, units=replace(units, capacity=capacity, heads=heads)), share


class _People:
    """Heads of every unit, from when on, and how they come up to speed."""

    def __init__(self, findings: Findings, model: ScenarioDocument, resolved: ResolvedUnits) -> None:
        self.findings, self.model, self.resolved = findings, model, resolved
        self.names = period_names(model)
        rows, order = resolved.rows, resolved.row
        self.count = rows.numbers("head_count")[order]
        given = rows.numbers("availability")[order]
        self.is_available, self.availability = ~np.isnan(given), np.where(np.isnan(given), 1.0, given)
        self.begins = rows.texts("start")[order]
        self.start = np.array([self.names.index(name) if name in self.names else 0 for name in self.begins])

    def check(self, *, has_rate: bool) -> None:
        """Note amounts that cannot be, starts that are no periods, and what counts for nothing."""
        rows, row = self.resolved.rows, self.resolved.row
        ids = self.resolved.units.ids

        def wrong(field: str, bad: NDArray[np.bool_], rule: str) -> None:
            def problem(i: int) -> Problem:
                text = self.begins[i] if field == "start" else f"{rows.numbers(field)[row[i]]:g}"
                message = f"unit '{ids[i]}' has the {field} {text}"
                return Problem("E-people", message, rule, "correct it", rows.location(int(row[i]), field))

            self.findings.each(np.flatnonzero(bad).tolist(), problem, ModelError)

        wrong("head_count", self.count < 0, "a head count is at least 0")
        wrong("availability", (self.availability < 0) | (self.availability > 1), "availability is a share, 0 to 1")
        unknown = np.array([bool(name) and name not in self.names for name in self.begins], dtype=bool)
        wrong("start", unknown, "a start is the name of a period, see [periods]")
        counted = ~np.isnan(self.count)
        given = {"head_count": counted, "availability": self.is_available, "start": self.begins != ""}
        present = given["availability"] | given["start"]
        lost = np.flatnonzero(present & ~counted if has_rate else counted | present).tolist()
        for i in lost[:1]:
            who = f"unit '{ids[i]}' has" if len(lost) == 1 else f"unit '{ids[i]}' and {len(lost) - 1:,} more have"
            named = [column for column, here in given.items() if here[i]]
            what = " and ".join([", ".join(named[:-1]), named[-1]] if named[1:] else named)
            what += ", but no head_count" if has_rate else ", but no capacity counts people"
            fix = "write head_count" if has_rate else "write [capacity.hours] per_head = …"
            fix += ", or remove it: what a unit has as an amount of its own, it has in every period"
            place = rows.location(int(row[i]), "head_count" if counted[i] else "unit")
            rule = "capacity is head count x availability x per_head, from the start on"
            self.findings.warn("W-no-effect", f"{who} {what}", place, rule=rule, fix=fix)

    def check_use(self, heads: Mapping[str, Floats], per_head: Collection[str]) -> None:
        """Note ramps, starts, attrition and head counts that no capacity follows from."""
        units, rows = self.resolved.units, self.resolved.rows
        counted = np.zeros(len(units), dtype=bool)
        for amounts in heads.values():
            counted |= ~np.isnan(amounts)
        rule = "head counts make the capacity of units that have no amount of their own, by per_head"
        selector = Selector(self.findings, units, self.model)
        for name, entry in self.model.ramp.items():
            if not np.any(selector.units_of(entry.where, ("ramp", name, "where")) & counted):
                message = f"ramp '{name}' is about no unit whose capacity follows from a head count"
                fix = "give these units a head_count and the capacity a per_head, or remove the ramp"
                self.findings.at("W-no-effect", message, ("ramp", name), rule=rule, fix=fix, key=True)
        for resource, capacity in self.model.capacity.items():
            if capacity.attrition and resource not in per_head and self.names:
                message, path = f"nobody leaves: '{resource}' has no per_head", ("capacity", resource, "attrition")
                self.findings.at("W-no-effect", message, path, rule=rule, fix="write per_head = …", key=True)
        for i in np.flatnonzero(~np.isnan(self.count) & ~counted)[:1].tolist() if per_head else ():
            message = f"unit '{units.ids[i]}' has a head_count, and capacities of its own count before it"
            place, fix = rows.location(int(self.resolved.row[i]), "head_count"), "remove one of the two"
            self.findings.warn("W-no-effect", message, place, rule=rule, fix=fix)
        self._check_own_amounts(heads)
        for unit, entry in self.findings.document.data.get("unit", {}).items():
            if isinstance(entry, dict) and entry.get("start") == "":
                fix = "name a period, or remove it"
                message = f"unit '{unit}' has start = \"\", which is no start: it is there from the first period on"
                self.findings.at("W-no-effect", message, ("unit", unit, "start"), fix=fix)

    def _check_own_amounts(self, heads: Mapping[str, Floats]) -> None:
        """Note a start or an availability beside amounts that do not follow from the heads that it is about."""
        units, about = self.resolved.units, self.is_available | (self.begins != "")
        for resource, amount in units.capacity.items():
            by_heads = ~np.isnan(heads.get(resource, np.full(len(units), np.nan)))
            others = np.any([~np.isnan(h) for h in heads.values()], axis=0) if heads else by_heads
            for i in np.flatnonzero(about & others & ~by_heads & ~np.isnan(amount))[:1].tolist():
                message = (
                    f"the {'start' if self.begins[i] else 'availability'} of unit '{units.ids[i]}' does not change "
                )
                message += f"its {resource}: they are an amount of its own"
                place = self.resolved.rows.location(int(self.resolved.row[i]), "unit")
                rule = "an amount of its own holds in every period; heads, their start and availability make others"
                fix = f"leave out capacity.{resource} and give [capacity.{resource}] a per_head, if it is to follow"
                self.findings.warn("W-no-effect", message, place, rule=rule, fix=fix)

    def present(self, attrition: float) -> Floats:
        """Return the share of its heads' work that each unit has in each period, (n_units, T) float."""
        count = max(len(self.names), 1)
        since = np.arange(count)[None, :] - self.start[:, None]
        share = np.where(since >= 0, (1.0 - attrition) ** np.maximum(since, 0), 0.0)
        return np.asarray(share * self._ramped(since))

    def _ramped(self, since: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Floats:
        """Mean over a period's months of the ramp of each unit, 1 where it has none; (n_units, T) float."""
        ramped, selector = np.ones(since.shape), Selector(self.findings, self.resolved.units, self.model)
        for name, entry in self.model.ramp.items():
            path: KeyPath = ("ramp", name)
            chosen = selector.units_of(entry.where, (*path, "where"))
            months = self._months(path)
            if max(entry.months) > 1.0:
                message = f"ramp '{name}' has the share {max(entry.months):g} of a head's work"
                rule, fix = "shares are 0 to 1", "write 0.2 for 20 %"
                self.findings.at("E-ramp", message, (*path, "months"), rule=rule, fix=fix, kind=ModelError)
            first = np.maximum(since[chosen], 0)[:, :, None] * months + np.arange(months)
            steps = np.array(entry.months)
            ramped[chosen] = steps[np.minimum(first, len(steps) - 1)].mean(axis=2)
        return ramped

    def _months(self, path: KeyPath) -> int:
        """Return how many months a period has; noted where its names do not say so."""
        if self.model.periods is None:
            return A_YEAR
        names = self.model.periods.names
        length = names.every if isinstance(names, PeriodSeries) else spelled_length(self.names)
        if length is None:
            message = f"ramp '{path[1]}' counts months, and the names of the periods do not say how long each is"
            rule = "a ramp has one share for each month, and periods follow each other"
            fix = "name periods like 2027-01, 2027-Q1 or 2027, or write names = { from = …, every = …, count = … }"
            self.findings.at("E-ramp", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
            return 1
        return {"month": 1, "quarter": 3, "year": A_YEAR}[length]
