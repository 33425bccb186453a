"""`[periods]`: names, seasons and carry."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.periods import PeriodSeries
from kpiopt.scenario.format.strategy_map import KpiEntry
from kpiopt.scenario.periods import Periods, SinglePeriods
from kpiopt.scenario.resolve.selection import Selector
from kpiopt.scenario.scenario import Cells, Floats, Recourse, Units

SUM_TOLERANCE = 1e-9
_A_YEAR = {"month": 12, "quarter": 4, "year": 1}
_SPELLINGS = {"month": (r"\d{4}-\d{2}", "2027-01"), "quarter": (r"\d{4}-Q\d", "2027-Q1"), "year": (r"\d{4}", "2027")}
_BY_PERIOD = ("start", "runs", "build_up", "lasts")
_RULE = "shares of the horizon: one for each period, together 1"


def kind_of(entry: KpiEntry) -> str:
    """Return what a KPI does over periods: a mean is a rate and a sum a flow unless it says otherwise."""
    return entry.kind or ("rate" if entry.roll_up == "mean" else "flow")


def period_names(model: ScenarioDocument) -> tuple[str, ...]:
    """Return the names of the periods; none where there is no such section."""
    if model.periods is None:
        return ()
    names = model.periods.names
    return _series(names) if isinstance(names, PeriodSeries) else tuple(names)


def resolve_recourse(findings: Findings, model: ScenarioDocument) -> Recourse | None:
    """Return what is decided later."""
    if model.recourse is None:
        return None
    names, path = period_names(model), ("recourse", "from")
    rule = "what begins before that period is decided now, the rest once the periods before it are known"
    if model.recourse.from_ not in names[1:]:
        what = "the first one" if names[:1] == (model.recourse.from_,) else "none of them"
        message = f"[recourse] from = '{model.recourse.from_}' is {what}" if names else "[recourse] needs [periods]"
        fix = f"name one of {', '.join(names[1:])}" if len(names) > 1 else "write [periods] with two or more names"
        findings.at("E-recourse", message, path, rule=rule, fix=fix, kind=ModelError)
        return None
    return Recourse(names.index(model.recourse.from_), model.recourse.draws)


def _series(series: PeriodSeries) -> tuple[str, ...]:
    """Return the names of periods that follow each other; none where the first one is not spelled as its length is."""
    pattern, _ = _SPELLINGS[series.every]
    if not re.fullmatch(pattern, series.from_):
        return ()
    year, _, part = series.from_.partition("-")
    a_year, start = _A_YEAR[series.every], int(part.removeprefix("Q") or 1) - 1
    if not 0 <= start < a_year:
        return ()
    spell = {"month": "{}-{:02d}", "quarter": "{}-Q{}", "year": "{}"}[series.every]
    each = (divmod(int(year) * a_year + start + i, a_year) for i in range(series.count))
    return tuple(spell.format(y, p + 1) for y, p in each)


def find_period(findings: Findings, model: ScenarioDocument, name: str | None, path: KeyPath) -> int:
    """Return the position of a period by name, -1 where none is given; notes it where there is no such period."""
    names = period_names(model)
    if name is None or name in names:
        return -1 if name is None else names.index(name)
    if not names and findings.is_whole("periods"):
        message, rule = f"{dotted(path)} names a period, but there are none", "periods are named in [periods]"
        findings.at("E-no-periods", message, path, rule=rule, fix="write [periods] names = […]", kind=ModelError)
    else:
        findings.unknown("period", name, names, path, ModelError)
    return -1


def spelled_length(names: Sequence[str]) -> str | None:
    """Return how long periods are that follow each other, as their names are spelled; None where that tells nothing."""
    for every, (pattern, _) in _SPELLINGS.items():
        if names and re.fullmatch(pattern, names[0]):
            series = PeriodSeries.model_validate({"from": names[0], "every": every, "count": len(names)})
            return every if _series(series) == tuple(names) else None
    return None


def shares_of_capacity(model: ScenarioDocument, resource: str) -> Floats:
    """Return the share of a capacity in each period, (T,) float; all of it where there are no periods."""
    names = period_names(model)
    season = model.capacity[resource].season
    if not names or season is None or len(season) != len(names):  # a wrong one is noted with the periods
        return np.full(max(len(names), 1), 1.0 / max(len(names), 1))
    return np.array(season, dtype=np.float64)


def resolve_periods(
    findings: Findings,
    model: ScenarioDocument,
    units: Units,
    cells: Cells,
    by_unit: Mapping[str, Floats],
    single: SinglePeriods | None,
) -> Periods | None:
    """Return the periods; None where there are none.

    Parameters
    ----------
    by_unit : mapping of str to (n_units, T) float
        Shares of capacities in which units differ.
    single : SinglePeriods or None
        What is said about single periods of cells.
    """
    names = period_names(model)
    if model.periods is None:
        _note_idle(findings, model)
        return None
    if not _check_names(findings, model, names):
        return None
    entries = model.kpi.items()
    season = np.array([season_of(findings, model, kpi, len(names)) for kpi in model.kpi])
    carry = np.array([1.0 if entry.carry is None else entry.carry for _, entry in entries], dtype=np.float64)
    for key, entry in entries:
        _check_kind(findings, key, entry)
    capacity = {
        resource: _shares(findings, entry.season, len(names), ("capacity", resource, "season"))
        for resource, entry in model.capacity.items()
        if entry.season is not None
    }
    capacity |= by_unit
    ramp, by_period = _guardrails(findings, model, units, cells)
    return Periods(names, season.reshape(-1, len(names)), carry, capacity, ramp, by_period, single)


def _guardrails(
    findings: Findings, model: ScenarioDocument, units: Units, cells: Cells
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what guardrails say about single periods of each cell; of several that match, the last one that does."""
    ramp, by_period = np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    selector = Selector(findings, units, model)
    for name, entry in model.guardrail.items():
        if entry.ramp is None and not entry.per_period:
            continue
        chosen = selector.cells_of(entry.where, ("guardrail", name, "where"), cells.unit, cells.kpi)
        if entry.ramp is not None:
            ramp[chosen] = entry.ramp
        by_period[chosen] |= entry.per_period
    return ramp, by_period


def _note_idle(findings: Findings, model: ScenarioDocument) -> None:
    """Warn of what speaks of periods where there is only one."""
    paths: list[KeyPath] = [
        *(("kpi", key, "season") for key, entry in model.kpi.items() if entry.season is not None),
        *(("kpi", key, "carry") for key, entry in model.kpi.items() if entry.carry is not None),
        *(("capacity", key, "season") for key, entry in model.capacity.items() if entry.season is not None),
    ]
    paths += [("capacity", key, "attrition") for key, entry in model.capacity.items() if entry.attrition]
    meant: list[KeyPath] = [
        *(("initiative", k, f) for k, e in model.initiative.items() for f in _BY_PERIOD if f in e.model_fields_set),
        *(("budget", k, "every") for k, e in model.budget.items() if e.every == "period"),
        *(("guardrail", k, "ramp") for k, e in model.guardrail.items() if e.ramp is not None),
        *(("guardrail", k, "per_period") for k, e in model.guardrail.items() if e.per_period),
        *(("pay_plan", k, "every") for k, e in model.pay_plan.items() if e.every == "period"),
    ]
    for path in meant if findings.is_whole("periods") else ():
        message, rule = f"{dotted(path)} speaks of periods, but there are none", "periods are named in [periods]"
        fix = "write [periods] names = […], or remove it"
        findings.at("E-no-periods", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
    for path in paths if findings.is_whole("periods") else ():
        message = f"{dotted(path)} speaks of periods, but the plan has only one"
        findings.at("W-no-periods", message, path, fix="write [periods] names = […], or remove it", key=True)


def _check_names(findings: Findings, model: ScenarioDocument, names: tuple[str, ...]) -> bool:
    assert model.periods is not None
    given, path = model.periods.names, ("periods", "names")
    if isinstance(given, PeriodSeries) and not names:
        message, spelling = f"'{given.from_}' is no {given.every}", _SPELLINGS[given.every][1]
        fix = f'write it like "{spelling}"'
        findings.at("E-period-name", message, path, rule="the first period is spelled by its length", fix=fix)
        return False
    twice = sorted({name for name in names if names.count(name) > 1})
    odd = [name for name in names if "/" in name]
    plain = [unicodedata.normalize("NFKC", name).strip().casefold() for name in names]
    alike = [name for i, name in enumerate(names) if plain[i] in plain[:i] and name not in twice]
    for bad, why in (
        (twice, "stands twice"),
        (odd, "contains '/'"),
        (alike, "differs from another by spaces or letter case alone"),
    ):
        if bad:
            rule = 'periods have names of their own; what happens in one is named "unit/kpi/period"'
            findings.at("E-period-name", f"the period '{bad[0]}' {why}", path, rule=rule, fix="rename it")
    return not twice and not odd and not alike


def _check_kind(findings: Findings, key: str, entry: KpiEntry) -> None:
    """What a KPI does over periods fits how it rolls up."""
    path: KeyPath = ("kpi", key, "kind")
    if entry.kind is None and entry.roll_up == "none":
        message = f"it is not said what '{key}' does over periods"
        rule, fix = "with periods, a KPI without roll-up says its kind", 'write kind = "flow", "rate" or "stock"'
        findings.at("E-kind", message, ("kpi", key), rule=rule, fix=fix, key=True, kind=ModelError)
    if entry.kind == "flow" and entry.roll_up == "mean":
        message, rule = f"'{key}' is a mean over units and is added up over periods", "a mean is a rate or a stock"
        findings.at("E-kind", message, path, rule=rule, fix='write kind = "rate" or "stock"', kind=ModelError)
    for field, wrong, rule in (
        ("season", kind_of(entry) == "stock", "a stock is a level; only flows and rates have a season"),
        ("carry", kind_of(entry) != "stock", "only what builds up carries over: a stock"),
    ):
        if wrong and getattr(entry, field) is not None:
            message, fix = f"'{key}' is a {kind_of(entry)} and has a {field}", f"remove {field}, or correct kind"
            findings.at("E-kind", message, ("kpi", key, field), rule=rule, fix=fix, key=True, kind=ModelError)


def season_of(findings: Findings, model: ScenarioDocument, kpi: str, count: int) -> Floats:
    """Return the season of a KPI, through the KPIs that it refers to."""
    path: KeyPath = ("kpi", kpi, "season")
    seen, at = [kpi], model.kpi[kpi].season
    while isinstance(at, str):
        if at not in model.kpi:
            if at not in findings.declared("kpi"):
                findings.unknown("KPI", at, model.kpi, path, ModelError)
            return np.full(count, 1.0 / count)
        if at in seen:
            message, rule = f"the season of '{kpi}' refers to itself", "a season is a list, or a KPI that has one"
            findings.at("E-season", message, path, rule=rule, fix="write the shares", kind=ModelError)
            return np.full(count, 1.0 / count)
        seen.append(at)
        at = model.kpi[at].season
    return _shares(findings, at, count, ("kpi", seen[-1], "season") if len(seen) == 1 else None)


def _shares(findings: Findings, given: Sequence[float] | None, count: int, path: KeyPath | None) -> Floats:
    """Return shares of the horizon; equal where none are given. Errors are noted where there is a path."""
    equal = np.full(count, 1.0 / count)
    if given is None:
        return equal
    total = float(sum(given))
    wrong = ""
    if len(given) != count:
        wrong = f"{len(given)} shares for {count} periods"
    elif abs(total - 1.0) > SUM_TOLERANCE:
        wrong = f"the shares add up to {total:.9g}"
    if wrong and path is not None:
        message = f"{dotted(path)}: {wrong}"
        findings.at("E-season", message, path, rule=_RULE, fix="correct the shares", kind=ModelError)
    return equal if wrong else np.array(given) / total
