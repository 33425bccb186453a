"""Cells over the horizon become one cell for each period; what rows say about single periods counts there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Location, ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.scenario.bounds import is_above
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.periods import Periods, SinglePeriods, spread_noise
from kpiopt.scenario.resolve.cell_table import NUMBER_FIELDS, TRUE, CellTable
from kpiopt.scenario.resolve.periods import kind_of, period_names, season_of
from kpiopt.scenario.scenario import Cells, Floats, Scenario

_OF_PERIODS = ("baseline", "min_stretch", "max_stretch", "lock", "reference")
_NEAR = 1e-9
"""How far apart, relative to their size, two ways to the same number may lie."""


def spread_over_periods(scenario: Scenario) -> Scenario:
    """Return the scenario with one cell for each cell and period; itself where there are no periods."""
    periods = scenario.periods
    if periods is None:
        return scenario
    noise = spread_noise(scenario.noise, periods, _share(scenario, periods, scenario.cells))
    return with_cells(replace(scenario, noise=noise), scenario.cells)


def with_cells(scenario: Scenario, whole: Cells) -> Scenario:
    """Return the scenario in which other things are said about the same (unit, KPI) pairs over the horizon."""
    periods = scenario.periods
    if periods is None:
        return replace(scenario, cells=whole)
    return replace(scenario, cells=_by_period(scenario, periods, whole), whole=whole)


def _share(scenario: Scenario, periods: Periods, whole: Cells) -> Floats:
    """Part of what is said about the horizon's value that a period has, (n_cells * T,) float."""
    kinds = np.array([kpi.kind for kpi in scenario.kpis.values()] + [""], dtype=object)[whole.kpi]
    return np.where((kinds == "flow")[:, None], periods.season[whole.kpi], 1.0).ravel()


def _by_period(scenario: Scenario, periods: Periods, whole: Cells) -> Cells:
    """Spread cells: what a person fixed or allowed holds for the sum over the periods."""
    count, share = len(periods), _share(scenario, periods, whole)

    def each(values: NDArray[np.float64]) -> Floats:
        return np.repeat(values, count)

    lock = np.where(whole.lock == 0.0, 0.0, np.nan)
    low = np.where(whole.lock < 0.0, whole.lock, 0.0)
    high = np.where(np.isnan(whole.lock), whole.max_stretch, np.maximum(whole.lock, 0.0))
    largest = np.where(periods.by_period[:, None], periods.season[whole.kpi], 1.0).ravel()
    cells = Cells(
        unit=np.repeat(whole.unit, count),
        kpi=np.repeat(whole.kpi, count),
        baseline=each(whole.baseline) * share,
        baseline_quantity={},
        min_stretch=each(low),
        max_stretch=each(high) * largest,
        has_decision=np.repeat(whole.has_decision, count),
        lock=each(lock),
        reference=each(whole.reference) * share,
        pay_rate=each(whole.pay_rate),
        weight=each(whole.weight),
        size=each(whole.size),
        effort={resource: each(effort) for resource, effort in whole.effort.items()},
        execution=np.repeat(whole.execution, count),
        lock_reason=periods.rows(whole.lock_reason),
        growth=None,
        lock_owner=periods.rows(whole.lock_owner),
    )
    return cells if periods.single is None else _with_single(scenario, periods, periods.single, whole, cells)


def _with_single(scenario: Scenario, periods: Periods, single: SinglePeriods, whole: Cells, cells: Cells) -> Cells:
    """Lay what is said about single periods over what follows from the horizon."""
    count = len(periods)
    is_flow = np.array([kpi.kind == "flow" for kpi in scenario.kpis.values()], dtype=bool)[whole.kpi]
    fixed, ends = single.lock, (single.bound("min", whole.min_stretch), single.bound("max", whole.max_stretch))
    said = whole.has_decision & single.said
    ranges = periods.ranges(whole.kpi, whole.max_stretch, whole.lock, ends, fixed)
    low, high = (np.where(said[:, None], end, np.nan) for end in ranges)
    lock = np.where((np.nansum(fixed, axis=1) != 0.0).repeat(count), np.nan, cells.lock)

    def laid(values: Floats, below: Floats) -> Floats:
        return np.where(np.isnan(values.ravel()), below, values.ravel())

    def texts(own: Mapping[tuple[int, int], str], of_cell: Mapping[int, str]) -> dict[int, str]:
        return {**of_cell, **{cell * count + period: text for (cell, period), text in own.items()}}

    return replace(
        cells,
        baseline=laid(single.baselines(whole.baseline, periods.season[whole.kpi], is_flow), cells.baseline),
        min_stretch=laid(low, cells.min_stretch),
        max_stretch=laid(high, cells.max_stretch),
        lock=laid(np.where(said[:, None], fixed, np.nan), lock),
        reference=laid(single.reference, cells.reference),
        lock_reason=texts(single.lock_reason, cells.lock_reason),
        lock_owner=texts(single.lock_owner, cells.lock_owner),
    )


def resolve_single_periods(
    findings: Findings, model: ScenarioDocument, table: CellTable
) -> tuple[CellTable, SinglePeriods | None]:
    """Read the rows of single periods.

    Returns
    -------
    the table with what follows from these rows for the horizon, and what they say; None where there are none
    """
    if not len(table.single_row):
        return table, None
    reader = _SingleRows(findings, model, table, period_names(model))
    reader.check_fields()
    own = {name: reader.by_period(name) for name in _OF_PERIODS}
    has_row, has_baseline = np.zeros(own["lock"].shape, dtype=bool), ~np.isnan(own["baseline"])
    has_row[table.single_cell, table.single_period] = True
    fields = {**table.fields, "baseline": reader.over_horizon("baseline", own["baseline"])}
    fields["reference"] = reader.over_horizon("reference", own["reference"])
    for name in ("lock", "max_stretch", "min_stretch"):
        counts = np.where(np.isnan(own["lock"]), own[name], own["lock"])  # a lock counts whatever the range says
        summed = np.where(np.isnan(own[name]).all(axis=1), np.nan, counts.sum(axis=1))
        if name != "lock":
            summed = np.maximum(summed, 0.0)
        if name == "min_stretch":
            summed = np.where(np.isnan(fields["max_stretch"]), summed, np.minimum(summed, fields["max_stretch"]))
        fields[name] = np.where(np.isnan(table.fields[name]), summed, table.fields[name])
    reader.check_ranges(own, fields)
    reader.check_locks(own, fields)
    found = SinglePeriods(
        **own,
        has_row=has_row,
        has_baseline=has_baseline,
        of_baseline=fields["baseline"],
        of_min=fields["min_stretch"],
        of_max=fields["max_stretch"],
        lock_reason=reader.texts("lock_reason"),
        lock_owner=reader.texts("lock_owner"),
    )
    return replace(table, fields=fields), found


@dataclass(frozen=True)
class _SingleRows:
    """The rows of single periods, and what is wrong with them."""

    findings: Findings
    model: ScenarioDocument
    table: CellTable
    names: tuple[str, ...]

    def _place(self, cell: int, column: str, period: int | None = None) -> Location:
        """Return where a cell's row of a period stands; of any period where none is given."""
        table = self.table
        here = table.single_cell == cell
        if period is not None:
            here &= table.single_period == period
        rows = table.single_row[here]
        given = [row for row in rows.tolist() if table.rows.numbers(column)[row] == table.rows.numbers(column)[row]]
        return table.rows.location((given or rows.tolist())[0], column)

    def _each(self, cells: Iterable[int], column: str, describe: Callable[[int], tuple[str, str, str, str]]) -> None:
        def problem(cell: int) -> Problem:
            code, message, rule, fix = describe(cell)
            return Problem(code, message, rule, fix, self._place(cell, column))

        self.findings.each([int(cell) for cell in cells], problem, ModelError)

    def _row_name(self, i: int) -> str:
        return f"{self.table.name(int(self.table.single_cell[i]))}/{self.names[self.table.single_period[i]]}"

    def by_period(self, column: str) -> Floats:
        """Return a column's numbers by cell and period, NaN where not given, (n_cells, T) float."""
        table, found = self.table, np.full((len(self.table), len(self.names)), np.nan)
        found[table.single_cell, table.single_period] = table.rows.numbers(column)[table.single_row]
        return found

    def texts(self, column: str) -> dict[tuple[int, int], str]:
        """Return a text column's fields that are given, by cell and period."""
        table, texts = self.table, self.table.rows.texts(column)[self.table.single_row]
        places = zip(table.single_cell.tolist(), table.single_period.tolist(), texts.tolist(), strict=True)
        return {(cell, period): text for cell, period, text in places if text}

    def _note(self, wrong: NDArray[Any], column: str, describe: Callable[[int], tuple[str, str, str, str]]) -> None:
        """Note one problem for each of the rows of single periods, by position."""
        table = self.table

        def problem(i: int) -> Problem:
            code, message, rule, fix = describe(i)
            return Problem(code, message, rule, fix, table.rows.location(int(table.single_row[i]), column))

        self.findings.each(np.flatnonzero(wrong).tolist(), problem, ModelError)

    def check_fields(self) -> None:
        """Only what can differ between periods stands in their rows, as a number; no stretch is below 0."""
        table, rows = self.table, self.table.single_row
        others = [name for name in NUMBER_FIELDS if name not in _OF_PERIODS]
        for column in [*others, "execution", *(f"effort.{r}" for r in table.resources)]:
            texts = np.isin(rows, list(table.rows.quantities.get(column, {})))
            self._note(
                ~np.isnan(table.rows.numbers(column)[rows]) | texts,
                column,
                lambda i, column=column: (  # type: ignore[misc]
                    "E-period-field",
                    f"{self._row_name(i)} has its own {column}",
                    f"rows of single periods hold {', '.join(_OF_PERIODS)}; all else is about the horizon",
                    f"write the {column} in the row without a period",
                ),
            )
        self._note(
            np.isin(rows, list(table.rows.quantities.get("baseline", {}))),
            "baseline",
            lambda i: (
                "E-period-field",
                f"the baseline of {self._row_name(i)} is a distribution",
                "the baseline of a single period is a number; what is uncertain is drawn for the horizon",
                "write the distribution in the row without a period, or [noise]",
            ),
        )
        self._check_signs()
        is_stock = np.array([kind_of(entry) == "stock" for entry in self.model.kpi.values()], dtype=bool)
        self._note(
            ~np.isnan(table.rows.numbers("reference")[rows]) & is_stock[table.kpi[table.single_cell]],
            "reference",
            lambda i: (
                "E-period-field",
                f"{self._row_name(i)} has a reference, and its KPI is a stock",
                "a stock is built up: its reference is the level at the end of the horizon",
                "write the reference in the row without a period",
            ),
        )

        whole, own = self.table.fields["baseline"], set(self.table.single_cell.tolist())
        self._each(
            [cell for cell in self.table.baseline_quantity if cell in own and whole[cell] == 0.0],
            "baseline",
            lambda cell: (
                "E-period-field",
                f"{self.table.name(cell)} has an uncertain baseline with the mean 0, and rows of single periods",
                "what is drawn for the horizon moves the periods in proportion to their baselines",
                "write the baseline as a number, and its noise as [noise]",
            ),
        )

    def _check_signs(self) -> None:
        """No stretch is below 0, own and what is said of a lock belong to something."""
        table, rows = self.table, self.table.single_row
        for column in ("min_stretch", "max_stretch"):
            values = table.rows.numbers(column)[rows]
            self._note(
                values < 0.0,
                column,
                lambda i, column=column, values=values: (  # type: ignore[misc]
                    "E-negative",
                    f"{self._row_name(i)} has the {column} {values[i]:g}",
                    "stretch is an improvement over the baseline and always at least 0, whatever the KPI's direction",
                    "correct the number, or leave the field empty where nothing is given",
                ),
            )
        self._note(
            np.isin(np.char.lower(table.rows.texts("own")[rows].astype(str)), TRUE) & ~table.has_row[table.single_cell],
            "own",
            lambda i: (
                "E-period-field",
                f"{self._row_name(i)} says own = true, and no row without a period does",
                "whether a row is what a unit does itself is said of the horizon, and again in those of its periods",
                "write own = true in the row without a period, or remove it here",
            ),
        )
        locked = ~np.isnan(table.rows.numbers("lock")[rows])
        for column in ("lock_reason", "lock_owner"):
            self._note(
                ~locked & (table.rows.texts(column)[rows] != "").astype(bool),
                column,
                lambda i, column=column: (  # type: ignore[misc]
                    "W-lock-reason",
                    f"{self._row_name(i)} has a {column} but no lock",
                    "a reason and an owner belong to a lock",
                    f"give the lock, or remove the {column}",
                ),
            )

    def over_horizon(self, column: str, own: Floats) -> Floats:
        """Fill the periods that have none of their own, in place, and return what all come to over the horizon.

        A flow adds up over the periods and a rate averages over them: what the horizon's value leaves is shared out by
        season. A stock stays at the horizon's value, which its last period is.
        """
        whole, kinds = self.table.fields[column].copy(), [kind_of(entry) for entry in self.model.kpi.values()]
        seasons = [season_of(self.findings, self.model, kpi, len(self.names)) for kpi in self.model.kpi]
        missing, differ, turned = list[int](), list[int](), list[int]()
        for cell in self.table.without_totals(np.flatnonzero(~np.isnan(own).all(axis=1)), self.model):
            given, at = ~np.isnan(own[cell]), int(self.table.kpi[cell])
            weight = {"flow": np.ones(len(given)), "rate": seasons[at]}.get(kinds[at], np.eye(len(given))[-1])
            total = float(weight[given] @ own[cell][given])
            if (np.isnan(whole[cell]) and not given.all()) or kinds[at] == "stock":
                own[cell][~given] = whole[cell]
            elif not given.all():
                share = seasons[at][~given] if kinds[at] == "flow" else np.ones(np.count_nonzero(~given))
                rest = (whole[cell] - total) / float(weight[~given] @ share)
                own[cell][~given] = share * rest
                turned += [cell] * bool(rest * whole[cell] < 0.0)
            if np.isnan(own[cell]).any():
                missing += [cell] * (column == "baseline")
                continue
            total = float(weight @ own[cell])
            near = _NEAR * max(abs(total), float(np.abs(own[cell]).max()))
            if np.isnan(whole[cell]) or ((given.all() or given[-1]) and abs(total - whole[cell]) > near):
                differ += [cell] * bool(not np.isnan(whole[cell]))
                whole[cell] = total
        self._tell(column, (missing, differ, turned), self.table.fields[column], whole, own)
        return whole

    def _tell(
        self, column: str, found: tuple[list[int], list[int], list[int]], before: Floats, whole: Floats, own: Floats
    ) -> None:
        """Say which periods have no value, and which values do not come to that of the horizon."""
        missing, differ, turned = found
        name, drawn = self.table.name, self.table.baseline_quantity
        self._each(
            missing,
            column,
            lambda cell: (
                "E-cell-baseline",
                f"{name(cell)} has no {column} in {self.names[int(np.argmax(np.isnan(own[cell])))]}",
                "where the horizon has no value of its own, every period has one",
                f"give each period its {column}, or write that of the horizon in a row without a period",
            ),
        )
        self._each(
            differ,
            column,
            lambda cell: (
                "E-period-sum" if column == "baseline" and cell in drawn else "W-period-sum",
                f"{name(cell)} has the {column} {before[cell]:,.12g} over the horizon, and its periods come to "
                f"{whole[cell]:,.12g}",
                "the values of all periods are those of the horizon: a flow adds up, a rate is averaged by its season, "
                "a stock's is the last; they count",
                f"correct them, or remove the {column} of the row without a period",
            ),
        )
        self._each(
            turned,
            column,
            lambda cell: (
                "W-period-rest",
                f"{name(cell)} has the {column} {whole[cell]:,.12g} over the horizon, and single periods leave less "
                "than nothing of it to the others",
                "what single periods leave of the horizon's value is shared out over the others by season",
                "correct the single periods, or the horizon",
            ),
        )

    def check_ranges(self, own: dict[str, Floats], fields: Mapping[str, Floats]) -> None:
        """Ranges of single periods fit each other, the horizon's, and the locks."""
        name, low, high = self.table.name, own["min_stretch"], own["max_stretch"]
        crossed = is_above(low, high)
        self._each(
            np.flatnonzero(crossed.any(axis=1)),
            "min_stretch",
            lambda cell: (
                "E-min-above-max",
                f"{name(cell)}/{self.names[int(np.argmax(crossed[cell]))]} has a min_stretch above its max_stretch",
                "min_stretch is at most max_stretch",
                "correct one of them",
            ),
        )
        self._check_sums(own, fields, np.asarray(crossed.any(axis=1)))
        outside = is_above(low, own["lock"]) | is_above(own["lock"], high)
        self._each(
            np.flatnonzero(outside.any(axis=1)),
            "lock",
            lambda cell: (
                "W-lock-outside",
                f"{name(cell)}/{self.names[int(np.argmax(outside[cell]))]} is locked outside its range",
                "a lock counts whatever min_stretch and max_stretch say",
                "nothing, if it is meant; else move the lock",
            ),
        )

    def _check_sums(self, own: dict[str, Floats], fields: Mapping[str, Floats], crossed: NDArray[np.bool_]) -> None:
        """Ranges of periods leave that of the horizon something; where only their locks do not, it gives way."""
        name, locked, whole = self.table.name, ~np.isnan(own["lock"]), (fields["min_stretch"], fields["max_stretch"])
        ends = np.nan_to_num(own["min_stretch"]), np.where(np.isnan(own["max_stretch"]), np.inf, own["max_stretch"])
        least, most = (np.where(locked, free, end).sum(axis=1) for free, end in zip((0.0, np.inf), ends, strict=True))
        least_held, most_held = (np.where(locked, own["lock"], end).sum(axis=1) for end in ends)
        low = is_above(least, whole[1])
        beyond, clash = low | is_above(whole[0], most), np.where(low, (least, whole[1]), (most, whole[0]))
        self._each(
            np.flatnonzero(beyond & ~crossed),
            "min_stretch",
            lambda cell: (
                "E-min-above-max",
                f"the periods of {name(cell)} leave its range over the horizon no stretch: "
                f"at {('most', 'least')[int(low[cell])]} {clash[0][cell]:g} together, "
                f"at {('least', 'most')[int(low[cell])]} {clash[1][cell]:g} over the horizon",
                "the stretches of all periods add up to that of the horizon",
                "correct one of them",
            ),
        )
        outside = (is_above(least_held, whole[1]) | is_above(whole[0], most_held)) & ~beyond & np.isnan(fields["lock"])
        self._each(
            np.flatnonzero(outside & locked.any(axis=1)),
            "lock",
            lambda cell: (
                "W-lock-outside",
                f"{name(cell)} is locked in single periods outside what its range over the horizon leaves them",
                "a lock counts whatever min_stretch and max_stretch say, those of the horizon too",
                "nothing, if it is meant; else move the lock",
            ),
        )

    def check_locks(self, own: dict[str, Floats], fields: Mapping[str, Floats]) -> None:
        """Locks of single periods leave the horizon's lock something it can be; a locked target stands alone."""
        name, lock, whole = self.table.name, own["lock"], fields["lock"]
        total, all_locked = np.nansum(lock, axis=1), ~np.isnan(lock).any(axis=1)
        near = _NEAR * np.maximum(np.abs(whole), np.nanmax(np.abs(np.nan_to_num(lock)), axis=1))
        left = whole - total
        wrong = np.where(all_locked, np.abs(left) > near, np.where(whole < 0.0, left > near, left < -near))
        self._each(
            np.flatnonzero(wrong.astype(bool) & ~np.isnan(whole) & ~np.isnan(lock).all(axis=1)),
            "lock",
            lambda cell: (
                "E-lock-twice",
                f"{name(cell)} is locked at {whole[cell]:g} over the horizon, and its periods at {total[cell]:g} "
                "together",
                "the stretches of all periods add up to that of the horizon",
                "correct one of the locks, or remove that of the horizon",
            ),
        )
        fixed = ~np.isnan(fields["lock_target"])
        said = ~np.isnan(np.stack([lock, own["min_stretch"], own["max_stretch"]])).all(axis=(0, 2))
        self._each(
            np.flatnonzero(fixed & said),
            "lock",
            lambda cell: (
                "E-lock-twice",
                f"{name(cell)} has a lock_target, and a lock or a range in single periods",
                "a locked target is that of the horizon; what effects leave of it is shared out over the periods",
                "remove one of them",
            ),
        )
