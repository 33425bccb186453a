"""The formulas of the graph by recursion over names: slow, and without a single array of the compiled graph."""

from __future__ import annotations

import math
from functools import cache

from kpiopt.scenario.scenario import Floats, Scenario

Key = tuple[str, str]


class Recursion:
    """Baselines, plan values and targets of one scenario and one set of decisions.

    `levels` is keyed by (initiative, unit); `stretch` stands in the order of the cells.
    """

    def __init__(self, scenario: Scenario, stretch: Floats, levels: dict[Key, float]) -> None:
        self.scenario, self.levels = scenario, levels
        units, cells = scenario.units, scenario.cells
        keys = [(units.ids[u], scenario.kpi_ids[k]) for u, k in zip(cells.unit, cells.kpi, strict=True)]
        self.row = {key: i for i, key in enumerate(keys)}
        self.stretch = {key: float(x) for key, x in zip(keys, stretch, strict=True)}
        self.children: dict[str, list[str]] = {u: [] for u in units.ids}
        for unit, parent in zip(units.ids, units.parent.tolist(), strict=True):
            if parent >= 0:
                self.children[units.ids[parent]].append(unit)
        self.exists = cache(self._exists)
        self.baseline = cache(self._baseline)
        self.size = cache(self._size)
        self.expected = cache(self._expected)
        self.asked = cache(self._asked)

    def _exists(self, unit: str, kpi: str) -> bool:
        rule = self.scenario.kpis[kpi]
        at_root = unit == self.scenario.units.ids[0] and rule.baseline is not None
        return (unit, kpi) in self.row or at_root or bool(self.below(unit, kpi))

    def below(self, unit: str, kpi: str) -> list[str]:
        if self.scenario.kpis[kpi].roll_up == "none":
            return []
        return [child for child in self.children[unit] if self.exists(child, kpi)]

    def share(self, child: str, unit: str, kpi: str) -> float:
        if self.scenario.kpis[kpi].roll_up == "sum":
            return 1.0
        return self.size(child, kpi) / math.fsum(self.size(c, kpi) for c in self.below(unit, kpi))

    def _size(self, unit: str, kpi: str) -> float:
        units, cells = self.scenario.units, self.scenario.cells
        if (unit, kpi) in self.row and not math.isnan(cells.size[self.row[unit, kpi]]):
            return float(cells.size[self.row[unit, kpi]])
        if not math.isnan(units.size[units.position[unit]]):
            return float(units.size[units.position[unit]])
        return math.fsum(self.size(c, kpi) for c in self.below(unit, kpi)) if self.below(unit, kpi) else 1.0

    def _baseline(self, unit: str, kpi: str) -> float:
        below = self.below(unit, kpi)
        if below:
            return math.fsum(self.share(c, unit, kpi) * self.baseline(c, kpi) for c in below)
        if (unit, kpi) in self.row:
            return float(self.scenario.cells.baseline[self.row[unit, kpi]])
        start = self.scenario.kpis[kpi].baseline
        return 0.0 if start is None else start.mean

    def caused(self, unit: str, kpi: str) -> float:
        """What drivers, factors and initiatives add at one node."""
        return math.fsum([*self._driven(unit, kpi), *self._funded(unit, kpi)])

    def _driven(self, unit: str, kpi: str) -> list[float]:
        found = []
        for driver in self.scenario.kpis[kpi].drivers:
            if driver.lag or self.scenario.units.position[unit] not in driver.units.tolist():
                continue
            if driver.is_factor:
                found.append(driver.contribution.mean * self.scenario.factors[driver.cause].value.mean)
            elif self.exists(unit, driver.cause):
                found.append(driver.contribution.mean * self.expected(unit, driver.cause))
        return found

    def _funded(self, unit: str, kpi: str) -> list[float]:
        found, ids = [], self.scenario.units.ids
        for initiative in self.scenario.initiatives.values():
            for effect in initiative.effects:
                if effect.kpi != kpi:
                    continue
                for at in (ids[u] for u in initiative.units.tolist()):
                    if (at if self.exists(at, kpi) else ids[0]) == unit:
                        found.append(effect.contribution.mean * self.levels[initiative.id, at])
        return found

    def own(self, unit: str, kpi: str) -> tuple[float, float]:
        """Stretch of the node's own cell in the KPI's direction, and its mean execution."""
        if (unit, kpi) not in self.row:
            return 0.0, 1.0
        execution = self.scenario.uncertainty.execution[self.scenario.cells.execution[self.row[unit, kpi]]]
        return self.scenario.kpis[kpi].sign * self.stretch[unit, kpi], execution.mean

    def _expected(self, unit: str, kpi: str) -> float:
        stretch, execution = self.own(unit, kpi)
        rolled = math.fsum(self.share(c, unit, kpi) * self.expected(c, kpi) for c in self.below(unit, kpi))
        return execution * stretch + rolled + self.caused(unit, kpi)

    def _asked(self, unit: str, kpi: str) -> float:
        rolled = math.fsum(self.share(c, unit, kpi) * self.asked(c, kpi) for c in self.below(unit, kpi))
        return self.own(unit, kpi)[0] + rolled + self.caused(unit, kpi)
