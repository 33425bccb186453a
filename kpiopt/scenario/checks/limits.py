"""Limits that clash before anything is solved, and resources that nobody limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.scenario.bounds import is_above
from kpiopt.scenario.resolve.plan import PAY
from kpiopt.scenario.resolve.units import ResolvedUnits
from kpiopt.scenario.scenario import Floats, Integers, Scenario


@dataclass(frozen=True)
class LimitChecks:
    """Checks of budgets, capacities and resources."""

    findings: Findings
    scenario: Scenario
    organization: ResolvedUnits

    def run(self) -> None:
        """Note everything that is wrong with limits."""
        if self.findings.is_whole("initiative", "unit", "units", "budget"):
            self.check_uses()
        if self.findings.is_whole("cell", "cells", "unit"):
            self.check_effort()
            self.check_budgets()
            self.check_capacities()

    def check_uses(self) -> None:
        """Whatever an initiative uses is limited somewhere."""
        limited = {*self.scenario.units.capacity, *(b.resource for b in self.scenario.budgets.values())}
        for initiative in self.scenario.initiatives.values():
            for resource in initiative.resources:
                if resource not in limited:
                    message = f"initiative '{initiative.id}' uses '{resource}', of which there is no budget or capacity"
                    rule = "a resource that initiatives use has a budget or a capacity"
                    fix = self.findings.nearest(resource, sorted(limited))
                    fix = (
                        fix
                        if fix.startswith("did")
                        else f"write [budget.{resource}], or give units capacity.{resource}"
                    )
                    field = next(f for f in ("uses", "runs", "setup") if resource in getattr(initiative, f))
                    path = ("initiative", initiative.id, field, resource)
                    self.findings.at("E-resource", message, path, rule=rule, fix=fix, key=True, kind=ModelError)

    def check_effort(self) -> None:
        """Effort is limited or has a price; else it is worth a warning."""
        known = {*self.scenario.units.capacity, *self.scenario.decide.effort_price}
        for resource, effort in self.scenario.cells.effort.items():
            if resource not in known and effort.any():
                message = f"cells use '{resource}', of which no unit has a capacity and which has no price"
                fix = f"give units capacity.{resource}, or write [decide] effort_price = {{ {resource} = … }}"
                rule = "effort counts where it is limited or has a price"
                self.findings.at("W-effort-free", message, ("tables", "cells"), rule=rule, fix=fix)

    def _smallest(self) -> Floats:
        """Return the smallest stretch that each cell can have, (n_cells,) float."""
        cells = self.scenario.cells
        free = np.where(np.isnan(cells.fixed_target), cells.min_stretch, 0.0)
        return np.where(np.isnan(cells.lock), free, np.maximum(cells.lock, 0.0))

    def _least_multiplier(self) -> Floats:
        """Return how many times the effort of each cell counts at least, (n_cells,) float."""
        curves = self.scenario.effort_curves
        if curves is None:
            return np.ones(len(self.scenario.cells))
        return np.array([*(tiers[0][1] for tiers in curves.tiers), 1.0])[curves.group]

    def _below(self, value: Floats) -> Floats:
        """Return sums of cells over each unit's subtree, (n_units,) float."""
        own: Floats = np.bincount(self.scenario.cells.unit, value, len(self.scenario.units)).astype(np.float64)
        return total_below(own, self.scenario.units.end)

    def check_budgets(self) -> None:
        """The target incentives and smallest stretches alone fit into each pay budget."""
        units, cells = self.scenario.units, self.scenario.cells
        rate = np.where(np.isnan(cells.pay_rate), 0.0, cells.pay_rate) * self._smallest()
        incentive = np.where(np.isnan(units.target_incentive), 0.0, units.target_incentive)
        fixed = total_below(incentive, units.end)
        least = fixed + self._below(rate)
        for budget in self.scenario.budgets.values():
            times = self.scenario.n_periods if budget.by_period else 1
            due, need = float(fixed[budget.scope]) / times, float(least[budget.scope]) / times
            if budget.resource != PAY or not is_above(need, budget.limit):
                continue
            parts = f"target incentives of {due:,.12g}"
            if need > due:
                parts += f" and pay for the smallest stretches of {need - due:,.12g}"
            each = " in every period" if times > 1 else ""
            come = "come on average" if times > 1 else "come"
            message = f"budget '{budget.id}' is {budget.limit:,.12g}{each}, but {parts} {come} to {need:,.12g}"
            rule = "a pay budget covers target incentives and pay rates; no plan can keep this one"
            path = ("budget", budget.id, "limit")
            self.findings.at(
                "W-infeasible-budget", message, path, rule=rule, fix="raise the limit, or lower what is paid"
            )

    def check_capacities(self) -> None:
        """The smallest stretches alone fit into each capacity."""
        units, cells = self.scenario.units, self.scenario.cells
        smallest = self._smallest()
        least = self._least_multiplier()
        for resource, capacity in units.capacity.items():
            effort = cells.effort.get(resource)
            if effort is None:
                continue
            need = self._below(effort * least * smallest)
            noise = 1e-12 * np.abs(need).max(initial=0.0)  # of sums that cancel
            for unit in np.flatnonzero(is_above(need - noise, capacity)).tolist():
                has, needs = f"{capacity[unit]:,.12g}", f"{need[unit]:,.12g}"
                message = f"unit '{units.ids[unit]}' has {has} {resource}, but its smallest stretches need {needs}"
                rule = "effort of a unit's subtree stays within its capacity; no plan can keep this one"
                place = self.organization.rows.location(int(self.organization.row[unit]), f"capacity.{resource}")
                self.findings.warn(
                    "W-infeasible-capacity", message, place, rule=rule, fix="raise the capacity, or lower min_stretch"
                )


def total_below(values: Floats, end: Integers) -> Floats:
    """Return sums over subtrees.

    Parameters
    ----------
    values : (n_units,) float
        By unit in depth-first order.
    end : (n_units,) int
        `Units.end`.

    Returns
    -------
    (n_units,) float
    """
    running = np.concatenate(([0.0], np.cumsum(values)))
    total: Floats = running[end] - running[:-1]
    return total
