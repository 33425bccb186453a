"""What must hold on the strategy map: KPIs have values and a purpose, causes go in no circle, figures fit the unit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.scenario.bounds import is_above
from kpiopt.scenario.checks.measures import PERCENT
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.periods import Periods
from kpiopt.scenario.resolve.cells import ResolvedCells
from kpiopt.scenario.scenario import Goal, Kpi, Units
from kpiopt.scenario.target_grid import target_grid

_SHARES = ("share", "fraction", "ratio")


@dataclass(frozen=True)
class MapChecks:
    """Checks of the strategy map of one scenario."""

    findings: Findings
    model: ScenarioDocument
    kpis: Mapping[str, Kpi]
    goals: Mapping[str, Goal]
    units: Units
    resolved: ResolvedCells
    periods: Periods | None = None

    def run(self) -> None:
        """Note everything that is wrong with the map."""
        self.check_cycles()
        if not self.findings.is_whole("kpi", "cell", "cells", "unit", "joins"):
            return
        self.check_values()
        if not self.findings.is_whole("goal"):
            return
        self.check_purpose()
        self.check_measures()
        self.check_goals()

    def check_values(self) -> None:
        """Every KPI has a value somewhere."""
        has_value = np.zeros(len(self.kpis), dtype=bool)
        has_value[self.resolved.roll_up.kpi] = True
        entries = self.model.kpi
        linked = {end for effect, entry in entries.items() for cause in entry.drivers for end in (cause, effect)}
        for position, kpi in enumerate(self.kpis.values()):
            if has_value[position]:
                continue
            is_orphan = kpi.id not in linked
            code, more = (
                ("E-orphan-kpi", ", and nothing drives it or is driven by it")
                if is_orphan
                else ("E-kpi-no-baseline", "")
            )
            message = f"KPI '{kpi.id}' has no cells and no baseline{more}"
            rule = "a KPI has cells in the organization, or a baseline at the root"
            fix = "give it cells, or write baseline = … (0 if it is 0)"
            self.findings.at(code, message, ("kpi", kpi.id), rule=rule, fix=fix, key=True, kind=ModelError)

    def check_purpose(self) -> None:
        """Each part of the map is connected with a goal or with pay."""
        if not self.goals:
            message, rule = "there are no goals", "the plan is decided by its goals first"
            self.findings.at("W-no-goals", message, ("goal",), rule=rule, fix="write [goal.<kpi>] with a target")
        cells, ids = self.resolved.cells, list(self.kpis)
        is_paid = (cells.weight > 0) | (cells.pay_rate > 0)
        wanted = {goal.kpi for goal in self.goals.values()} | {ids[k] for k in np.unique(cells.kpi[is_paid]).tolist()}
        for part in connected_parts(ids, self._causes()):
            if wanted.isdisjoint(part) and self.goals:
                names = ", ".join(part)
                message = f"no goal and no pay is connected with {names}"
                rule = "a part of the map that leads nowhere changes nothing"
                fix = "connect it by a driver, give it a goal or a weight, or remove it"
                self.findings.at("W-orphan", message, ("kpi", part[0]), rule=rule, fix=fix, key=True)

    def _causes(self) -> list[tuple[str, str]]:
        return [(d.cause, kpi.id) for kpi in self.kpis.values() for d in kpi.drivers if not d.is_factor]

    def check_measures(self) -> None:
        """Figures fit the unit of measure they are said to be in."""
        roll_up, linked = self.resolved.roll_up, {end for pair in self._causes() for end in pair}
        leaf = ~roll_up.is_parent
        for position, kpi in enumerate(self.kpis.values()):
            path = ("kpi", kpi.id, "unit")
            own = np.abs(self.resolved.baseline[leaf & (roll_up.kpi == position)])
            measure = kpi.unit.strip().casefold()
            if measure in PERCENT and len(own) and 0 < own.max() <= 1:
                message = f"all baselines of '{kpi.id}' are at most 1 %: are they shares, 0.15 for 15 %?"
                self.findings.at("W-percent", message, path, fix='multiply them by 100, or set unit = "share"')
            if measure in _SHARES and len(own) and own.max() > 1.5 and measure != "ratio":
                message = f"'{kpi.id}' is a {measure}, but a baseline is {own.max():g}: are they percentages?"
                self.findings.at("W-percent", message, path, fix='divide them by 100, or set unit = "%"')
            if measure in (*PERCENT, *_SHARES) and kpi.roll_up == "sum" and len(own) > 1:
                message = f"'{kpi.id}' is in {kpi.unit} and is added up over units"
                fix = 'set roll_up = "mean" with sizes, or "none"'
                self.findings.at("W-percent-sum", message, ("kpi", kpi.id), fix=fix, key=True)
            if not measure and kpi.id in linked:
                message = f"'{kpi.id}' drives or is driven, but has no unit of measure"
                rule = "a contribution is per unit of the cause, so both ends say their unit"
                self.findings.at("W-no-unit", message, ("kpi", kpi.id), rule=rule, fix='write unit = "…"', key=True)

    def check_goals(self) -> None:
        """Targets are on the scale of their KPI."""
        ids = list(self.kpis)
        for goal in self.goals.values():
            pair = int(self.resolved.roll_up.find(goal.unit, ids.index(goal.kpi))[0])
            baseline = float(self.resolved.baseline[pair]) if pair >= 0 else np.nan
            path, kpi = ("goal", goal.id, "target"), self.kpis[goal.kpi]
            self._check_step(goal, kpi)
            share = 1.0  # of the horizon, in the period that the goal is about
            if self.periods is not None and goal.period >= 0 and kpi.kind == "flow":
                share = float(self.periods.season[ids.index(goal.kpi), goal.period])
            baseline *= share
            high, low = share * kpi.high, share * kpi.low
            if is_above(goal.target, high) or is_above(low, goal.target):
                bound = f"max {high:,.12g}" if goal.target > high else f"min {low:,.12g}"
                message = f"goal '{goal.id}' asks for {goal.target:,.12g}, beyond the {bound} of '{kpi.id}'"
                rule, fix = "values of a KPI stay between its min and its max", "correct the target, or the bound"
                self.findings.at("W-goal-bound", message, path, rule=rule, fix=fix)
            size = abs(goal.target / baseline) if baseline and goal.target else 1.0
            if size > 50 or size < 1 / 50:
                message = f"the target of goal '{goal.id}' is {goal.target:,.12g}, the baseline is {baseline:,.12g}"
                rule = "a target is in the unit of its KPI"
                fix = f"check the unit ({kpi.unit or 'none is given'}): thousands, percent, months?"
                self.findings.at("W-goal-scale", message, path, rule=rule, fix=fix)
            elif is_above(kpi.sign * baseline, kpi.sign * goal.target):
                better = "higher" if kpi.sign > 0 else "lower"
                message = f"goal '{goal.id}' asks for {goal.target:,.12g}, the baseline is already {baseline:,.12g}"
                fix = "nothing, if the goal is to hold the level"
                self.findings.at("N-goal-met", message, path, rule=f"for '{kpi.id}' {better} is better", fix=fix)

    def _check_step(self, goal: Goal, kpi: Kpi) -> None:
        """A target off its KPI's step is compared more finely than the KPI's other targets."""
        if kpi.step is None:
            return
        grid = float(target_grid(np.array([goal.target]), np.array([kpi.step]))[0])
        if grid != kpi.step:
            message = f"the target of goal '{goal.id}' is {goal.target:,.12g}, no multiple of the step {kpi.step:g}"
            finer = f"to {grid:g}" if grid else "by all their digits"
            rule = f"value and target of this goal are therefore compared {finer}, not to the step"
            fix = "write a multiple of the step, or a finer step"
            self.findings.at("W-goal-step", message, ("goal", goal.id, "target"), rule=rule, fix=fix)

    def check_cycles(self) -> None:
        """Causes within the period go in no circle at any unit.

        Circles that lead through several units of the organization are found when the graph is compiled.
        """
        links = [
            (d.cause, kpi.id, d.units)
            for kpi in self.kpis.values()
            for d in kpi.drivers
            if not d.is_factor and not d.lag
        ]
        if shortest_cycle([(cause, effect) for cause, effect, _ in links]) is None:
            return
        works = np.zeros((len(self.units), len(links)), dtype=bool)
        for i, (_, _, units) in enumerate(links):
            works[units, i] = True
        patterns, first = np.unique(works, axis=0, return_index=True)
        found = set()
        for pattern, unit in zip(patterns, first.tolist(), strict=True):
            here = [(cause, effect) for (cause, effect, _), at in zip(links, pattern, strict=True) if at]
            while cycle := shortest_cycle(here):
                steps = _steps(cycle)
                here = [link for link in here if link not in steps]
                if frozenset(cycle) not in found:
                    found.add(frozenset(cycle))
                    self._note_cycle(cycle, self.units.ids[unit])

    def _note_cycle(self, cycle: Sequence[str], unit: str) -> None:
        drivers = [
            ("kpi", effect, "drivers", cause) for cause, effect in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        ]
        message = "cause and effect go in a circle: " + " -> ".join(f"{unit}/{kpi}" for kpi in [*cycle, cycle[0]])
        rule = "the strategy map must be free of cycles within a period"
        fix = "remove one of these drivers, or give it a lag"
        self.findings.at(
            "E-cycle", message, drivers[0], rule=rule, fix=fix, key=True, kind=ModelError, others=drivers[1:]
        )


def _steps(cycle: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))


def connected_parts(nodes: Iterable[str], links: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the connected parts of a graph, each in the order of `nodes`; directions do not count."""
    nodes = list(nodes)
    beside: dict[str, set[str]] = {node: set() for node in nodes}
    for a, b in links:
        beside[a].add(b)
        beside[b].add(a)
    part_of: dict[str, int] = {}
    parts: list[list[str]] = []
    for start in nodes:
        if start not in part_of:
            reached = _reach(start, beside)
            part_of |= dict.fromkeys(reached, len(parts))
            parts.append([node for node in nodes if node in reached])
    return parts


def _reach(start: str, beside: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return every node that can be reached from `start` -> the node before it on a shortest way."""
    before = {start: start}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for following in beside[node]:
            if following not in before:
                before[following] = node
                queue.append(following)
    return before


def shortest_cycle(links: Iterable[tuple[str, str]]) -> list[str] | None:
    """Return a shortest cycle of a directed graph from its first node on, None where there is none."""
    after: dict[str, list[str]] = {}
    for cause, effect in links:
        after.setdefault(cause, []).append(effect)
        after.setdefault(effect, [])
    best: list[str] | None = None
    for start in after:
        before = _reach(start, after)
        for last in [node for node in before if start in after[node]]:
            way = [last]
            while way[-1] != start:
                way.append(before[way[-1]])
            if best is None or len(way) < len(best):
                best = way[::-1]
    return best
