"""A history held against the model: who is meant, what nobody knows, and totals that are no units."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, TableError
from kpiopt.learning.history import Floats, History, Series
from kpiopt.learning.period_names import read_period
from kpiopt.learning.periods import PeriodGrid
from kpiopt.reading.key_path import did_you_mean
from kpiopt.reading.tables.columns import reads_like_a_total
from kpiopt.scenario.checks.percent_formats import percent_problem, reads_as_share
from kpiopt.scenario.scenario import Scenario

Integers = NDArray[np.int64]

SHARE_OF_SUMS = 0.9
"""Share of periods in which a unit is the sum of all others, from which on it is their total."""
NEAR = 1e-3
"""Relative distance within which a value is the sum of others: sums are rounded."""
FEW_BELOW = 0.05
"""Share of values below 0 up to which they may be slips of the sign."""
FAR_ABOVE = 100.0
"""Times the unit's middle value above which a value may be a slip of the unit of measure."""
GAP = 20.0
"""Times the largest of the unit's other values that such a slip is: where values spread widely, they lie closer."""
FEW_OF_UNIT = 4
"""Values of a unit below which its baseline is mostly that of its peers."""


def meet_model(history: History, model: Scenario | None) -> History:
    """Return the history with the model's ids, and notes of what is learned in vain.

    A name or another spelling of one id of the model is read as that id.

    Raises
    ------
    TableError
        Where rows are totals of the others, or nothing of the history is in the model.
    """
    if model is None:
        _refuse_totals(history, ())
        return history
    _refuse_percent(history, model)
    kpi_names = {kpi.id: kpi.name for kpi in model.kpis.values()}
    unit_names = dict(zip(model.units.ids, model.units.names, strict=True))
    units = [u for key, u in history.places if key == "unit"]
    kpis, kpi_notes = _ids(history, "KPI", list(history.series), kpi_names)
    read, unit_notes = _ids(history, "unit", units, unit_names)
    series = {
        kpis.get(kpi, kpi): replace(s, kpi=kpis.get(kpi, kpi), units=tuple(read.get(u, u) for u in s.units))
        for kpi, s in history.series.items()
    }
    met = replace(history, series=series, notes=(*history.notes, *kpi_notes, *unit_notes))
    _refuse_totals(met, unit_names)
    _refuse_strangers(met, model)
    return replace(met, notes=(*met.notes, *_notes(met, model)))


def _ids(
    history: History, what: str, names: Collection[str], known: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the id that is meant by names that are none, and what was read; two for one id are refused."""
    by_spelling: dict[str, set[str]] = {}
    for key, name in known.items():
        for spelling in (key, name):
            by_spelling.setdefault(_plain(spelling), set()).add(key)
    found: dict[str, str] = {}
    for name in names:
        meant = by_spelling.get(_plain(name), set())
        if name not in known and len(meant) == 1:
            found[name] = next(iter(meant))
    problems = []
    for name, key in found.items():
        others = [other for other in names if other != name and found.get(other, other) == key]
        if others:
            rule = f"one spelling for each {what}"
            place = history.places.get((what.lower(), name))
            problems.append(Problem("E-history-name", f"'{name}' and '{others[0]}' both mean {what} {key}", rule,
                                    f"write {key} everywhere", place))  # fmt: skip
    if problems:
        raise TableError(*problems)
    if not found:
        return {}, []
    name, key = next(iter(found.items()))
    return found, [f"{len(found)} names of the history are read as ids of the model, such as {name} as {what} {key}"]


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _refuse_totals(history: History, known: Collection[str]) -> None:
    """Refuse units that nobody knows and that are the sum of all others, or are called so."""
    problems = []
    for kpi, series in history.series.items():
        for i, unit in enumerate(series.units):
            if unit in known or len(series.units) < 3:
                continue
            is_sum = _is_sum(series.value[i], np.delete(series.value, i, axis=0))
            if is_sum or (known and reads_like_a_total(unit)):
                what = "is the sum of all other units" if is_sum else "seems to be a total"
                problems.append(
                    Problem("E-history-total", f"'{unit}' of {kpi} {what}", "totals follow from the units below",
                            "delete its rows, or write its id where the model has such a unit",
                            history.places.get(("unit", unit)))
                )  # fmt: skip
    if problems:
        raise TableError(*problems)


def _is_sum(total: Floats, others: Floats) -> bool:
    seen = np.isfinite(total) & np.isfinite(others).any(axis=0)
    if seen.sum() < FEW_OF_UNIT or not np.abs(total[seen]).any():
        return False
    away = np.abs(total[seen] - np.nansum(others[:, seen], axis=0))
    return float((away <= NEAR * np.abs(total[seen])).mean()) >= SHARE_OF_SUMS


def _refuse_percent(history: History, model: Scenario) -> None:
    """A cell that shows 81 % holds 0.81, which only a KPI that is a share needs."""
    shown = {kpi: cells for kpi, cells in history.percent.items() if kpi in model.kpis}
    problems = [
        percent_problem(cells, model.kpis[kpi])
        for kpi, cells in shown.items()
        if not reads_as_share(model.kpis[kpi].unit)
    ]
    if problems:
        raise TableError(*problems)


def _refuse_strangers(history: History, model: Scenario) -> None:
    """Refuse a history of which the model has no single cell: nothing would be learned for it."""
    cells = _cells(model)
    if any((unit, kpi) in cells for kpi, series in history.series.items() for unit in series.units):
        return
    kpi, series = next(iter(history.series.items()))
    kind, name, known = "kpi", kpi, tuple(model.kpis)
    if kpi in model.kpis:
        kind, name, known = "unit", series.units[0], model.units.ids
    raise TableError(
        Problem(
            "E-history-unknown",
            f"no unit and KPI of the history is a cell of the model; it begins with {kind} '{name}'",
            "the history names units and KPIs by the ids of the model",
            did_you_mean(name, known) or f"write ids such as {', '.join(known[:3])}",
            history.places.get((kind, name)),
        )
    )


def _cells(model: Scenario) -> set[tuple[str, str]]:
    ids, kpis = model.units.ids, model.kpi_ids
    return {(ids[u], kpis[k]) for u, k in zip(model.cells.unit.tolist(), model.cells.kpi.tolist(), strict=True)}


def _notes(history: History, model: Scenario) -> list[str]:
    """Tell what the model does not have, what has no past, and totals that are not what the units below add up to."""
    notes: list[str] = []
    cells = _cells(model)
    for kpi, series in history.series.items():
        if kpi not in model.kpis:
            notes.append(f"{kpi}: the KPI is not in the model{_meant(kpi, model.kpis)}")
            continue
        strange = sorted(u for u in series.units if u not in model.units.position)
        if strange:
            first = strange[0] + _meant(strange[0], model.units.ids)
            notes.append(f"{kpi}: {_count(strange, 'unit')} of the history not in the model, such as {first}")
        notes += _totals(
            history, series, [u for u in series.units if u not in strange and (u, kpi) not in cells], model
        )
        without = [u for u, k in sorted(cells) if k == kpi and u not in series.units]
        if without:
            stays = "its baseline stays" if len(without) == 1 else "their baselines stay"
            notes.append(
                f"{kpi}: {_count(without, 'cell')} of the model without a past, such as {without[0]}; {stays} as the "
                "model says"
            )
    silent = [kpi for kpi in model.kpis if kpi not in history.series and any(k == kpi for _, k in cells)]
    if silent:
        notes.append(f"{_count(silent, 'KPI')} of the model without a past, such as {silent[0]}: baselines stay there")
    unknown = [name for name in history.factors if name not in model.factors]
    return notes + [f"{name}: the factor is not in the model{_meant(name, model.factors)}" for name in unknown]


def _totals(history: History, series: Series, inner: list[str], model: Scenario) -> list[str]:
    """Tell of units without a cell: their past is the roll-up of those below, and where it is another it is told."""
    position, end = model.units.position, model.units.end
    notes = []
    for unit in inner:
        total = series.value[series.units.index(unit)]
        leaves = [
            i for i, u in enumerate(series.units)
            if u not in inner and position[unit] < position.get(u, -1) < end[position[unit]]
        ]  # fmt: skip
        if not leaves:
            notes.append(f"{series.kpi}: {unit} has no cell in the model and no unit below it: its past is not used")
        elif model.kpis[series.kpi].roll_up == "sum":
            notes += _not_their_sum(history, series.kpi, unit, total, series.value[leaves])
    asked = [u for u in inner if np.isfinite(series.target[series.units.index(u)]).any()]
    if asked:
        notes.append(f"{series.kpi}: targets of units above others, such as {asked[0]}, are not judged")
    return notes


def _not_their_sum(history: History, kpi: str, unit: str, total: Floats, parts: Floats) -> list[str]:
    seen = np.isfinite(total) & np.isfinite(parts).all(axis=0)
    added = parts.sum(axis=0)
    wrong = np.flatnonzero(seen & (np.abs(total - added) > NEAR * np.abs(total)))
    if len(wrong) <= (1.0 - SHARE_OF_SUMS) * seen.sum():
        return []
    at = int(wrong[0])
    beside = f"{total[at]:.10g} beside {added[at]:.10g} in {history.grid.names[at]}"
    return [
        f"{kpi}: {unit} is not what its units add up to in {len(wrong)} of {int(seen.sum())} periods, such as "
        f"{beside}; what the units say is used"
    ]


def has_periods_of(model: Scenario, grid: PeriodGrid) -> bool:
    """Whether a plan's periods are as long as those of a history, so that a lag counts the same in both."""
    if model.periods is None:
        return False
    known = [read_period(name) for name in model.periods.names]
    return all(period is not None and period.form[0] == grid.per_year for period in known)


def averages(kpi: str, model: Scenario | None) -> bool:
    """Whether a KPI's horizon is the mean of its periods: where it does not add up over units either."""
    return model is not None and kpi in model.kpis and model.kpis[kpi].roll_up != "sum"


def weights_of(kpi: str, units: tuple[str, ...], model: Scenario | None) -> Floats | None:
    """Return the weight of each unit in the mean of all: the size of its cell, else its own, else 1.

    Units above have the size that is given for them, which those below share; else what these have together. None
    where a KPI adds up over units.
    """
    if model is None or not averages(kpi, model):
        return None
    tree, size = model.units, _sizes(kpi, model)
    at = [tree.position.get(unit, -1) for unit in units]
    inside = np.zeros(len(size), dtype=bool)
    below, weight = np.zeros(len(size)), np.zeros(len(size))
    inside[[unit for unit in at if unit >= 0]] = True
    for unit in range(len(size) - 1, 0, -1):  # those below come after those above
        if inside[unit]:
            size[unit] = (below[unit] or 1.0) if np.isnan(size[unit]) else size[unit]
            inside[tree.parent[unit]] = True
            below[tree.parent[unit]] += size[unit]
    weight[0] = below[0] or 1.0
    for unit in (np.flatnonzero(inside[1:]) + 1).tolist():
        above = int(tree.parent[unit])
        weight[unit] = weight[above] * size[unit] / (below[above] or 1.0)
    found = np.array([weight[unit] if unit >= 0 else 1.0 for unit in at])
    return found if found.sum() > 0.0 else np.ones(len(units))


def _sizes(kpi: str, model: Scenario) -> Floats:
    """Return the size given for each unit where a KPI is a mean: that of its cell, else its own; NaN where none is."""
    cells, size = model.horizon, model.units.size.copy()
    for i, unit in enumerate(cells.unit.tolist()):
        if cells.kpi[i] == model.kpi_position[kpi] and np.isfinite(cells.size[i]):
            size[unit] = cells.size[i]
    return size


def scale_of(kpi: str, model: Scenario | None) -> tuple[float, float]:
    """Return the rounding step of a KPI (0 for none) and its sign: -1 where lower is better."""
    if model is None or kpi not in model.kpis:
        return 0.0, 1.0
    position = model.kpi_position[kpi]
    return float(model.kpi_step[position]), float(model.kpi_sign[position])


def leaf_series(series: Series, model: Scenario | None, notes: list[str]) -> Series:
    """Return the units that have no unit below them in the history: the others' past is the roll-up of these."""
    if model is None:
        return series
    position, end = model.units.position, model.units.end
    known = {position[u] for u in series.units if u in position}
    above = {u for u in series.units if u in position and any(position[u] < k < end[position[u]] for k in known)}
    if above:
        what = "unit" if len(above) == 1 else "units"
        notes.append(f"{series.kpi}: {len(above)} {what} above others left to the roll-up, such as {min(above)}")
    return series.of(np.array([i for i, u in enumerate(series.units) if u not in above], dtype=np.int64))


def regions_of(units: tuple[str, ...], model: Scenario | None) -> Integers:
    """Return the region of each unit: the unit right below the root on its path, (n,) int from 0."""
    if model is None:
        return np.zeros(len(units), dtype=np.int64)
    position, parent, depth = model.units.position, model.units.parent, model.units.depth
    names = []
    for unit in units:
        at = position.get(unit, 0)
        while depth[at] > 1:
            at = int(parent[at])
        names.append(at)
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def silent_units(history: History, model: Scenario | None) -> list[str]:
    """Tell of units that are new or have had no value for a year, and of values that look like slips."""
    notes = []
    for kpi, series in history.series.items():
        if model is None or kpi in model.kpis:
            found = (*_silent(series, history), *_below_zero(series, history), *_far_above(series, history))
            notes += [f"{kpi}: {note}" for note in found]
    return notes


def _silent(series: Series, history: History) -> list[str]:
    seen, year, names = np.isfinite(series.value), history.grid.per_year, history.grid.names
    few = [u for u, n in zip(series.units, seen.sum(axis=1).tolist(), strict=True) if n < FEW_OF_UNIT]
    gone = [
        u for u, row in zip(series.units, seen, strict=True) if u not in few and row.any() and not row[-year:].any()
    ]
    notes = []
    if few:
        notes.append(
            f"{_count(few, 'unit')} with fewer than {FEW_OF_UNIT} values, such as {few[0]}: what is expected there is "
            "mostly what is usual elsewhere"
        )
    if gone:
        last = names[int(np.flatnonzero(seen[series.units.index(gone[0])])[-1])]
        notes.append(
            f"{_count(gone, 'unit')} without a value for a year or more, such as {gone[0]} since {last}: leave out who "
            "is gone"
        )
    return notes


def _below_zero(series: Series, history: History) -> list[str]:
    seen, below = np.isfinite(series.value), series.value < 0.0
    if not 0 < below.sum() <= FEW_BELOW * seen.sum():
        return []
    unit, period = np.argwhere(below)[0].tolist()
    first = f"{series.value[unit, period]:.10g} of {series.units[unit]} in {history.grid.names[period]}"
    return [
        f"{int(below.sum())} of {int(seen.sum())} values are below 0, such as {first}: changes are taken as amounts, "
        "not as shares; correct a slip of the sign"
    ]


def _far_above(series: Series, history: History) -> list[str]:
    sizes, busy = np.nan_to_num(np.abs(series.value)), np.zeros(series.value.shape, dtype=bool)
    busy[(sizes > 0.0).sum(axis=1) >= FEW_OF_UNIT] = True
    middle = np.array([np.median(row[row > 0.0]) if row.any() else np.inf for row in sizes])
    far = busy & (sizes > FAR_ABOVE * middle[:, None])
    far &= sizes > GAP * np.where(far, 0.0, sizes).max(axis=1, keepdims=True)
    if not far.any():
        return []
    unit, period = np.argwhere(far)[0].tolist()
    first = f"{series.value[unit, period]:,.10g} of {series.units[unit]} in {history.grid.names[period]}"
    return [
        f"{int(far.sum())} of {int(np.isfinite(series.value).sum())} values: more than {FAR_ABOVE:g} times what is "
        f"usual for its unit, such as {first}, where {middle[unit]:,.4g} is usual: correct a slip of the unit of "
        "measure"
    ]


def _count(items: Collection[str], word: str) -> str:
    return f"{len(items)} {word}{'s' if len(items) != 1 else ''}"


def _meant(name: str, known: Iterable[str]) -> str:
    near = did_you_mean(name, known)
    return f" ({near})" if near else ""
