"""What a move of a lever takes of each limit: an initiative's use, or the effort and the pay of the stretch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kpiopt.graph import NodeKind
from kpiopt.graph.effort import bends_of_effort
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Floats
from kpiopt.studies.levers import Lever


class _Held(NamedTuple):
    """A limit: on what, for the units first … end - 1, in which period (-1 for all of them)."""

    place: int
    resource: str
    first: int
    end: int
    period: int


class LeverUses:
    """The limits of a plan, and what moves take of them."""

    def __init__(self, source: ReportSource) -> None:
        self.source, self.graph = source, source.graph
        self.limits = [held for n, e in enumerate(source.document["limits"]) if (held := self._held(n, e["name"]))]
        self.counts = bends_of_effort(source.graph).rate(source.stretch)

    def of(self, lever: Lever) -> list[list[float]]:
        """Return the number of each limit that a move by 1 changes, and by how much."""
        rate = self._of_initiative if lever.name.startswith("initiative.") else self._of_kpi
        return [[n, used] for n, used in rate(lever) if used]

    def _held(self, place: int, name: str) -> _Held | None:
        scenario = self.source.scenario
        plain, when = split_period(scenario.periods, name)
        period = -1 if scenario.periods is None or not when else scenario.periods.position[when.removeprefix(" in ")]
        kind, _, rest = plain.partition(".")
        if kind == "capacity":
            resource, _, unit = rest.partition("@")
            scope = scenario.units.position[unit]
        elif kind == "budget" and rest in scenario.budgets:
            resource, scope = scenario.budgets[rest].resource, scenario.budgets[rest].scope
        else:
            return None
        return _Held(place, resource, scope, int(scenario.units.end[scope]), period)

    def _of_initiative(self, lever: Lever) -> list[tuple[int, float]]:
        graph, row = self.graph, int(self.graph.level[np.flatnonzero(lever.own)[0]])
        unit, found = int(graph.level_unit[row]), []
        for held in self.limits:
            if held.first <= unit < held.end:
                used = graph.use_per_level(held.resource, None if held.period < 0 else held.period)
                found.append((held.place, float(used[row])))
        return found

    def _of_kpi(self, lever: Lever) -> list[tuple[int, float]]:
        stretch, cells = self._stretch(lever.own), self.source.scenario.cells
        moved = np.flatnonzero(stretch)
        unit, period, found = cells.unit[moved], self.source.scenario.cell_period[moved], []
        for held in self.limits:
            here = (unit >= held.first) & (unit < held.end) & ((held.period < 0) | (period == held.period))
            at = moved[here]
            if held.resource == "pay":
                rate = cells.pay_rate[at]
            elif held.resource in cells.effort:
                rate = cells.effort[held.resource][at] * self.counts[at]
            else:
                continue
            found.append((held.place, float(np.nansum(stretch[at] * rate))))
        return found

    def _stretch(self, own: Floats) -> Floats:
        """Return the stretch that a change of values takes, (n_cells,) float; of a stock what is there is kept."""
        graph, scenario = self.graph, self.source.scenario
        change = graph.sign[graph.cell_node] * own[graph.cell_node]
        builds = graph.kind[graph.entry_node] == NodeKind.BUILT
        if scenario.periods is not None and builds.any():
            before = np.where(scenario.cell_period > 0, np.roll(change, 1), 0.0)
            change = np.where(builds, change - scenario.periods.carry[scenario.cells.kpi] * before, change)
        return np.asarray(change / np.abs(graph.per_stretch))
