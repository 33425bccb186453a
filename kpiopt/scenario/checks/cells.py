"""What must hold in every cell before a solver sees it: boxes, locks, weights, sizes, baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.scenario.bounds import is_above
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.resolve.cells import ResolvedCells, bounds_of, given_sizes
from kpiopt.scenario.resolve.selection import Mask, Selector
from kpiopt.scenario.resolve.units import ResolvedUnits
from kpiopt.scenario.scenario import Scenario

WEIGHT_TOLERANCE = 1e-6
"""How far the weights of a unit may be from adding up to 1."""

_NOT_NEGATIVE = ("min_stretch", "max_stretch", "pay_rate", "weight", "size")
_STRETCH_RULE = "stretch is an improvement over the baseline and always at least 0, whatever the KPI's direction"


@dataclass(frozen=True)
class CellChecks:
    """Checks of the cells of one scenario."""

    findings: Findings
    model: ScenarioDocument
    organization: ResolvedUnits
    resolved: ResolvedCells

    def run(self) -> None:
        """Note everything that is wrong with cells."""
        self.check_signs()
        self.check_boxes()
        self.check_locks()
        self.check_totals()
        self.check_baselines()
        self.check_zero_baselines()
        self.check_growth_of_nothing()
        self.check_bounds()
        self.check_weights()
        self.check_sizes()

    def _each(self, wrong: Mask, column: str, describe: Callable[[int], tuple[str, str, str, str]]) -> None:
        """Note one problem per cell; `describe` returns code, message, rule and fix."""
        table = self.resolved.table

        def problem(cell: int) -> Problem:
            code, message, rule, fix = describe(cell)
            return Problem(code, message, rule, fix, table.location(cell, column))

        self.findings.each(np.flatnonzero(wrong).tolist(), problem, ModelError)

    def check_signs(self) -> None:
        """No stretch, rate, weight, size or effort is negative."""
        table = self.resolved.table
        for field, values in table.fields.items():
            if field in _NOT_NEGATIVE or field.startswith("effort."):
                rule = _STRETCH_RULE if field in ("min_stretch", "max_stretch") else f"{field} is at least 0"
                self._each(
                    values < 0,
                    field,
                    lambda cell, field=field, values=values, rule=rule: (  # type: ignore[misc]
                        "E-negative",
                        f"{table.name(cell)} has the {field} {values[cell]:g}",
                        rule,
                        "correct the number, or leave the field empty where nothing is given",
                    ),
                )

    def check_boxes(self) -> None:
        """A smallest stretch comes with a largest one that is not below it."""
        table, cells = self.resolved.table, self.resolved.cells
        lower, upper = cells.min_stretch, cells.max_stretch
        own = table.fields["min_stretch"]
        is_whole = self.findings.is_whole("cell", "guardrail", "adjust")
        inner = self.resolved.roll_up.is_parent[self.resolved.roll_up.cell >= 0]
        alone = ~np.isnan(own) & ~cells.has_decision & ~inner & is_whole
        self._each(
            alone,
            "min_stretch",
            lambda cell: (
                "E-min-without-max",
                f"{table.name(cell)} has a min_stretch of {own[cell]:g} but no max_stretch",
                "a cell has a decision where it has a max_stretch, its own or from a guardrail",
                "give it a max_stretch, or remove the min_stretch",
            ),
        )
        self._check_single_periods(inner | cells.has_decision)
        self._each(
            is_above(lower, upper) & cells.has_decision & (upper >= 0),
            "min_stretch",
            lambda cell: (
                "E-min-above-max",
                f"{table.name(cell)} has the min_stretch {lower[cell]:g}{self._origin('min_stretch', cell)} above its "
                f"max_stretch {upper[cell]:g}{self._origin('max_stretch', cell)}",
                "min_stretch is at most max_stretch",
                "correct one of them",
            ),
        )

    def _origin(self, field: str, cell: int) -> str:
        """Say where an end of a range comes from that its cell's row does not hold."""
        own, single = float(self.resolved.table.fields[field][cell]), self.resolved.single
        if np.isnan(own):
            return " (from a guardrail)"
        periods = np.empty(0) if single is None else getattr(single, field)[cell]
        together = float(np.nansum(periods))
        is_sum = not np.isnan(periods).all() and abs(own - together) <= 1e-9 * max(1.0, abs(own))
        return " (of its periods together)" if is_sum else ""

    def _check_single_periods(self, is_fine: Mask) -> None:
        """What single periods say about a stretch needs a decision over the horizon, or all periods."""
        table, single = self.resolved.table, self.resolved.single
        if single is None or not self.findings.is_whole("cell", "guardrail", "adjust"):
            return

        def wrong(cell: int) -> Problem:
            row = int(table.single_row[table.single_cell == cell][0])
            message = f"{table.name(cell)} has a range or a lock in single periods, but no decision over the horizon"
            rule = "a cell has a decision where it has a max_stretch, over the horizon or in every period"
            fix = "write max_stretch for every period, or in a row without a period, or a guardrail"
            return Problem("E-min-without-max", message, rule, fix, table.rows.location(row, "period"))

        self.findings.each(np.flatnonzero(single.said & ~is_fine).tolist(), wrong, ModelError)

    def check_locks(self) -> None:
        """A lock is said once; one outside the cell's range is worth a word; a reason and an owner belong to a lock."""
        table, cells = self.resolved.table, self.resolved.cells
        lower, upper, lock = cells.min_stretch, cells.max_stretch, cells.lock
        self._each(
            ~np.isnan(lock) & ~np.isnan(cells.fixed_target),
            "lock_target",
            lambda cell: (
                "E-lock-twice",
                f"{table.name(cell)} has a lock of {lock[cell]:g} and a lock_target of {cells.fixed_target[cell]:g}",
                "lock fixes the stretch, lock_target the target; one of them says it all",
                "remove one of them",
            ),
        )
        least = np.fmax(lower, table.fields["min_stretch"])  # the own one counts where there is no largest
        outside = is_above(least, lock) | is_above(lock, upper)
        self._each(
            outside & ~is_above(lower, upper),
            "lock",
            lambda cell: (
                "W-lock-outside",
                f"{table.name(cell)} is locked at {lock[cell]:g}, outside its range {least[cell]:g} to {upper[cell]:g}",
                "a lock counts whatever min_stretch and max_stretch say",
                "nothing, if it is meant; else move the lock"
                if self.resolved.single is None or not self.resolved.single.said[cell]
                else "move the lock, or the ranges of its periods, which do not give way to it",
            ),
        )
        for column, what in (("lock_reason", "a reason explains"), ("lock_owner", "an owner answers for")):
            given = table.has_row & (table.rows.texts(column)[table.row] != "").astype(bool)
            self._each(
                ~cells.is_locked & given,
                column,
                lambda cell, column=column, what=what: (  # type: ignore[misc]
                    "W-lock-reason",
                    f"{table.name(cell)} has a {column} but no lock",
                    f"{what} a lock",
                    f"give the lock, or remove the {column}",
                ),
            )

    def check_totals(self) -> None:
        """A row about a total carries no effort, pay, noise or execution of its own; an own part no weight."""
        table, cells, totals = self.resolved.table, self.resolved.cells, self.resolved.totals
        inner = self.resolved.roll_up.is_parent[self.resolved.roll_up.cell >= 0]
        texts = np.isin(table.row, list(table.rows.quantities.get("execution", {})))
        execution = np.where(texts, 1.0, table.rows.numbers("execution")[table.row])
        self._check_periods_of_totals(inner)
        for field, values in {**table.fields, "execution": execution}.items():
            if field in ("pay_rate", "noise_sd", "execution") or field.startswith("effort."):
                self._each(
                    inner & (values > 0),
                    field,
                    lambda cell, field=field: (  # type: ignore[misc]
                        "E-total-field",
                        f"{table.name(cell)} has its own {field}, but units below have cells of this KPI",
                        "a row of a unit above cells of the KPI is about their total, without effort, pay or noise",
                        "write own = true if it is what the unit does itself, or give it to the cells below",
                    ),
                )
        is_own = self.organization.units.is_own[cells.unit] if len(cells) else inner
        self._each(
            is_own & (cells.weight > 0),
            "weight",
            lambda cell: (
                "E-own-weight",
                f"{table.name(cell)} has a weight",
                "pay by attainment goes by a unit's whole value",
                "give the weight to the unit's row without own = true",
            ),
        )
        crossed = np.zeros(len(cells), dtype=bool)
        crossed[totals.cell] = is_above(totals.low, totals.high)
        self._each(
            crossed,
            "min_stretch",
            lambda cell: (
                "E-min-above-max",
                f"{table.name(cell)} has a min_stretch above its max_stretch",
                "min_stretch is at most max_stretch",
                "correct one of them",
            ),
        )

    def _check_periods_of_totals(self, inner: Mask) -> None:
        """A total is about the horizon."""
        table, single = self.resolved.table, np.zeros(len(inner), dtype=bool)
        single[table.single_cell] = True

        def wrong(cell: int) -> Problem:
            row = int(table.single_row[table.single_cell == cell][0])
            message = f"{table.name(cell)} has a row about a single period, but units below have cells of this KPI"
            rule = "a row of a unit above cells of the KPI is about their total over the horizon"
            fix = "give it to the cells below, or write a [goal.NAME] with at and period"
            return Problem("E-total-field", message, rule, fix, table.rows.location(row, "period"))

        self.findings.each(np.flatnonzero(inner & single).tolist(), wrong, ModelError)

    def check_baselines(self) -> None:
        """Every cell without cells below has a baseline."""
        table, roll_up = self.resolved.table, self.resolved.roll_up
        inner = roll_up.is_parent[roll_up.cell >= 0]
        missing = np.isnan(table.fields["baseline"]) & ~inner & table.has_row  # else it is said of the periods
        if not self.findings.is_whole("cell", "adjust"):
            return
        self._each(
            missing,
            "baseline",
            lambda cell: (
                "E-cell-baseline",
                f"{table.name(cell)} has no baseline",
                "empty means not given, which is not 0; only units above other cells of the KPI may leave it out",
                "give the value expected without new effort",
            ),
        )

    def check_zero_baselines(self) -> None:
        """Relative stretch x / max(|b|, step) is defined for every decision."""
        table, cells = self.resolved.table, self.resolved.cells
        has_step = np.array([entry.step is not None for entry in self.model.kpi.values()], dtype=bool)
        without = ~has_step[cells.kpi] if len(cells) else np.zeros(0, dtype=bool)
        if not self.findings.is_whole("cell", "kpi"):
            return
        by_baseline = np.array([entry.scale == "baseline" for entry in self.model.kpi.values()], dtype=bool)[cells.kpi]
        self._each(
            cells.has_decision & (cells.baseline == 0) & without & by_baseline,
            "baseline",
            lambda cell: (
                "E-zero-baseline",
                f"{table.name(cell)} has a decision and the baseline 0, and KPI '{table.kpi_ids[cells.kpi[cell]]}' "
                "has no step",
                "stretch is compared relative to max(|baseline|, step)",
                f"give [kpi.{table.kpi_ids[cells.kpi[cell]]}] a step",
            ),
        )

    def check_bounds(self) -> None:
        """A baseline outside its KPI's bounds is clipped, and told."""
        table, cells = self.resolved.table, self.resolved.cells
        if not len(cells) or not self.findings.is_whole("cell", "kpi"):
            return
        low, high = bounds_of(self.model)[:, cells.kpi]
        inner, stated = self.resolved.roll_up.is_parent[self.resolved.roll_up.cell >= 0], table.fields["baseline"]
        self._each(
            ~inner & (is_above(low, stated) | is_above(stated, high)),
            "baseline",
            lambda cell: (
                "W-bound",
                f"{table.name(cell)} has the baseline {stated[cell]:,.12g}, outside the bounds of its KPI; "
                f"{np.clip(stated[cell], low[cell], high[cell]):,.12g} is used",
                "values of a KPI stay between its min and its max",
                "correct the baseline, or the bound",
            ),
        )

    def check_growth_of_nothing(self) -> None:
        """Growth in percent of a baseline of 0 is no room at all: say so, and what to write."""
        table, cells = self.resolved.table, self.resolved.cells
        if cells.growth is None or not self.findings.is_whole("cell", "guardrail"):
            return
        growth = cells.growth[1]
        self._each(
            (cells.baseline == 0) & (growth > 0) & ~cells.is_locked,
            "baseline",
            lambda cell: (
                "W-growth-of-nothing",
                f"{table.name(cell)} has the baseline 0, and its guardrail allows growth of at most "
                f"{growth[cell]:.4g} times that: its target stays 0",
                "growth is a share of the baseline, and a share of 0 is 0",
                f"give {table.name(cell)} a max_stretch of its own in {self._measure(cell)}, or the baseline that "
                "is expected of it",
            ),
        )

    def _measure(self, cell: int) -> str:
        """Return what a cell's KPI is counted in."""
        kpi = self.resolved.table.kpi_ids[self.resolved.cells.kpi[cell]]
        return self.model.kpi[kpi].unit or f"the unit of {kpi}"

    def check_weights(self) -> None:
        """The weights of a unit with a target incentive add up to 1."""
        if not self.findings.is_whole("unit", "cell", "cells", "kpi", "adjust", "joins"):
            return
        cells, units = self.resolved.cells, self.organization.units
        weight = np.where(np.isnan(cells.weight), 0.0, cells.weight)
        total = np.bincount(cells.unit, weight, len(units))
        given = np.bincount(cells.unit, ~np.isnan(cells.weight), len(units))
        wrong = (units.target_incentive > 0) & (np.abs(total - 1.0) > WEIGHT_TOLERANCE)

        def problem(unit: int) -> Problem:
            incentive = f"unit '{units.ids[unit]}' has a target incentive of {units.target_incentive[unit]:g}"
            cells_of = np.flatnonzero(cells.unit == unit)
            if not given[unit]:
                place = self.organization.rows.location(int(self.organization.row[unit]), "target_incentive")
                message = f"{incentive} but no weight on any of its cells"
            else:
                first = int(cells_of[~np.isnan(cells.weight[cells_of])][0])
                place = self.resolved.table.location(first, "weight")
                message = f"{incentive}, but its weights add up to {total[unit]:.9g}"
            rule = "the weights of a unit with a target incentive add up to 1; nothing is normalised silently"
            return Problem("E-weights", message, rule, "correct the weights, or remove the incentive", place)

        self.findings.each(np.flatnonzero(wrong).tolist(), problem, ModelError)

    def check_sizes(self) -> None:
        """Where some parts of a mean have a size, all of them have one."""
        roll_up, table = self.resolved.roll_up, self.resolved.table
        is_mean = np.array([entry.roll_up == "mean" for entry in self.model.kpi.values()], dtype=bool)
        if not is_mean.any() or not roll_up.count or not self.findings.is_whole("cell", "unit", "kpi", "joins"):
            return
        given = ~np.isnan(given_sizes(roll_up, table))
        sized = self._sized(given)
        mean = is_mean[roll_up.kpi]
        leaf = mean & ~roll_up.is_parent
        some_leaf = np.bincount(roll_up.kpi[leaf], given[leaf], len(is_mean)) > 0
        beside = self._has_sized_sibling(sized)
        wrong = mean & ~sized & np.where(some_leaf[roll_up.kpi], leaf, beside)

        def problem(pair: int) -> Problem:
            kpi, unit = table.kpi_ids[roll_up.kpi[pair]], int(roll_up.unit[pair])
            cell = int(roll_up.cell[pair])
            row = int(self.organization.row[unit])
            place = table.location(cell, "size") if cell >= 0 else self.organization.rows.location(row, "size")
            message = f"{self.organization.units.ids[unit]}/{kpi} has no size, while other parts of the mean have one"
            rule = "a mean is weighted by size: the cell's, else the unit's, else the sum below; given for all or none"
            return Problem("E-size", message, rule, "give it a size, or remove all sizes", place)

        self.findings.each(np.flatnonzero(wrong).tolist(), problem, ModelError)

    def _sized(self, given: Mask) -> Mask:
        """Whether a pair has a size of its own, or all pairs below it have one."""
        roll_up = self.resolved.roll_up
        sized = given.copy()
        for level in range(int(roll_up.depth.max(initial=0)), 0, -1):
            edges = roll_up.depth[roll_up.child] == level
            unsized = np.bincount(roll_up.parent[edges], ~sized[roll_up.child[edges]], roll_up.count)
            parents = roll_up.is_parent & (roll_up.depth == level - 1)
            sized |= parents & (unsized == 0)
        return sized

    def _has_sized_sibling(self, sized: Mask) -> Mask:
        roll_up = self.resolved.roll_up
        below = np.bincount(roll_up.parent, sized[roll_up.child], roll_up.count) > 0
        beside = np.zeros(roll_up.count, dtype=bool)
        beside[roll_up.child] = below[roll_up.parent]
        return beside


def check_shares(findings: Findings, model: ScenarioDocument, scenario: Scenario, found: ResolvedCells) -> None:
    """The smallest stretch of a single period is not above the share of the largest that a guardrail gives it."""
    periods, single, cells, table = scenario.periods, found.single, found.cells, found.table
    if periods is None or single is None or not periods.by_period.any():
        return
    share = periods.share(cells.kpi, cells.max_stretch, cells.lock)
    above = is_above(single.min_stretch, share) & np.isnan(single.lock)
    here = above & (periods.by_period & cells.has_decision)[:, None]
    selector = Selector(findings, scenario.units, model)
    by = {
        cell: name
        for name, entry in model.guardrail.items()
        if entry.per_period
        for cell in np.flatnonzero(
            selector.cells_of(entry.where, ("guardrail", name, "where"), cells.unit, cells.kpi)
        ).tolist()
    }

    def wrong(at: int) -> Problem:
        cell, period = divmod(at, len(periods))
        row = int(table.single_row[(table.single_cell == cell) & (table.single_period == period)][0])
        low, high = float(single.min_stretch[cell, period]), float(share[cell, period])
        message = f"{table.name(cell)}/{periods.names[period]} has the min_stretch {low:g} above the {high:g} that "
        message += f"guardrail.{by[cell]} leaves it: its share of the max_stretch {cells.max_stretch[cell]:g}"
        rule = "with per_period = true each period has at most its season's share of the largest stretch"
        fix = "lower the min_stretch, raise the max_stretch over the horizon, or take the cell out of the guardrail"
        return Problem("E-min-above-max", message, rule, fix, table.rows.location(row, "min_stretch"))

    findings.each(np.flatnonzero(here).tolist(), wrong, ModelError)
