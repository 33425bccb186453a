"""`check --lint`: what a strategy map leaves open though every figure in it is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph
from kpiopt.reading.document import Document
from kpiopt.scenario.links import Initiative
from kpiopt.scenario.scenario import Integers, Scenario
from kpiopt.studies.lint.units_of_measure import AROUND_THE_CLOCK, AT_WORK, Measures, UnreadableUnit

FEWEST, MOST = 2, 7
"""KPIs of a person that are neither too few nor too many: the balanced scorecard's authors and quota handbooks agree
that one alone invites neglect of all else, and that beyond seven none is attended to."""
SHOWN = 5
"""Ids that are named where a finding is about many."""


def lint_map(graph: CausalGraph, document: Document) -> tuple[Problem, ...]:
    """Return questions about the map: codes "L-…", each with why it matters and what to write.

    Parameters
    ----------
    document : Document
        Where every value of the scenario stands.
    """
    lint = _Lint(graph, document)
    parts = (
        lint.objectives(), lint.kpis_without_lever(), lint.goals_without_lever(),
        lint.effects_for_worse(), lint.balance(), lint.loads(),
        lint.units_without_sight(), lint.measures(),
    )  # fmt: skip
    return tuple(problem for part in parts for problem in part)


@dataclass
class _Lint:
    graph: CausalGraph
    document: Document

    @property
    def scenario(self) -> Scenario:
        return self.graph.scenario

    def objectives(self) -> Iterator[Problem]:
        """Objectives that no KPI measures; critical ones without a goal or an action."""
        scenario = self.scenario
        acted = {effect.kpi for initiative in scenario.initiatives.values() for effect in initiative.effects}
        wanted = {goal.kpi for goal in scenario.goals.values()}
        for objective in scenario.objectives.values():
            measured = {kpi.id for kpi in scenario.kpis.values() if kpi.objective == objective.id}
            if not measured:
                why = "what is not measured cannot be planned, and nobody can tell whether it was reached"
                fix = f'write objective = "{objective.id}" in a KPI that shows it, or take the objective out'
                yield self._at(
                    "L-objective-no-kpi",
                    f"no KPI measures objective '{objective.id}'",
                    why,
                    fix,
                    "objective",
                    objective.id,
                )
            elif objective.critical and not measured & (acted | wanted):
                why = "a critical success factor decides over the rest; a plan that asks nothing of it hopes"
                fix = f"write a [goal.…] on {_listed(sorted(measured))}, or an initiative with an effect on it"
                message = f"critical objective '{objective.id}' has neither a goal nor an initiative"
                yield self._at("L-critical-open", message, why, fix, "objective", objective.id)

    def kpis_without_lever(self) -> Iterator[Problem]:
        """KPIs that nobody can move."""
        graph = self.graph
        moved = np.unique(graph.kpi[self._downstream(self._decisions) & (graph.kpi >= 0)])
        for position, kpi in enumerate(self.scenario.kpis):
            if position not in moved:
                why = "a KPI that no stretch and no initiative reaches is a forecast, not a target"
                fix = "give its cells a max_stretch, draw what drives it, or add an initiative with an effect on it"
                yield self._at("L-kpi-fixed", f"nothing that anybody decides moves '{kpi}'", why, fix, "kpi", kpi)

    def goals_without_lever(self) -> Iterator[Problem]:
        """Goals that no decision reaches."""
        reached = self._downstream(self._decisions)
        for goal in self.scenario.goals.values():
            if not reached[self.graph.goal_node(goal)]:
                why = "whatever is planned, this goal is as near or as far as before"
                fix = f"draw what drives {goal.kpi}, give its cells a max_stretch, or take the goal out"
                yield self._at("L-goal-fixed", f"no decision reaches goal '{goal.id}'", why, fix, "goal", goal.id)

    def effects_for_worse(self) -> Iterator[Problem]:
        """Initiatives that take a KPI with a goal the wrong way while they better another."""
        wanted = {goal.kpi for goal in self.scenario.goals.values()}
        for initiative in self.scenario.initiatives.values():
            signs = {e.kpi: e.slope * self.scenario.kpis[e.kpi].sign for e in initiative.effects}
            if all(sign <= 0.0 for sign in signs.values()):
                continue  # plain `check` asks
            for kpi in [k for k, sign in signs.items() if sign < 0.0 and k in wanted]:
                why = "an effect is the change of the KPI: below 0 where less is wanted"
                better = "higher" if self.scenario.kpis[kpi].sign > 0 else "lower"
                message = (
                    f"initiative '{initiative.id}' makes '{kpi}' worse, of which {better} is better and a goal asks"
                )
                fix = "turn the sign, if it is not meant as the price of what gets better"
                yield self._at("L-sign", message, why, fix, "initiative", initiative.id, "effects", kpi)

    def balance(self) -> Iterator[Problem]:
        """Causes and results among the KPIs: leading ones drive others, lagging ones are driven."""
        kpis = self.scenario.kpis
        leading = {d.cause for kpi in kpis.values() for d in kpi.drivers if not d.is_factor}
        lagging = [kpi.id for kpi in kpis.values() if kpi.id not in leading]
        if len(kpis) < 3:
            return
        if not leading:
            why = "results alone tell in the end what happened; causes tell early, and are what people can act on"
            message = f"none of the {len(kpis)} KPIs drives another: all are results, none is a leading indicator"
            yield Problem("L-balance", message, why, "draw the causes of your goals under [kpi.….drivers]")
        elif not lagging or len(leading) > 8 * len(lagging):
            why = "every line of cause and effect ends in a result that somebody wants"
            message = f"{len(leading)} of {len(kpis)} KPIs drive others and {len(lagging)} are results"
            yield Problem("L-balance", message, why, "take out activities that no result needs, or add the results")
        elif len(lagging) > 4 * len(leading):
            why = "results alone tell in the end what happened; causes tell early, and are what people can act on"
            message = f"{len(lagging)} of {len(kpis)} KPIs are results and only {len(leading)} drive them"
            yield Problem("L-balance", message, why, "draw what drives the others under [kpi.….drivers]")

    def loads(self) -> Iterator[Problem]:
        """People with too many KPIs or too few."""
        units, cells = self.scenario.units, self.scenario.horizon
        count = np.bincount(cells.unit[cells.has_decision | cells.is_locked], minlength=len(units))
        is_leaf = units.end == np.arange(len(units)) + 1
        asked = is_leaf & (count > 0)
        for code, which, what, why, fix in (
            ("L-many-kpis", asked & (count > MOST), f"more than {MOST} KPIs",
             "nobody attends to so many, and each counts little", "keep those that a person can move most"),
            ("L-few-kpis", asked & (count < FEWEST), "one KPI alone",
             "a single target invites neglect of all that it does not show", "add one that balances it"),
        ):  # fmt: skip
            found = [units.ids[u] for u in np.flatnonzero(which).tolist()]
            if found:
                what += " each" if len(found) > 1 and code == "L-many-kpis" else ""
                who = f"{_listed(found)} {'has' if len(found) == 1 else 'have'}"
                yield Problem(code, f"{who} {what}", why, fix)

    def units_without_sight(self) -> Iterator[Problem]:
        """Units whose targets reach no goal."""
        graph, cells = self.graph, self.scenario.cells
        goals = np.zeros(graph.n_nodes, dtype=bool)
        goals[[graph.goal_node(goal) for goal in self.scenario.goals.values()]] = True
        if not goals.any():
            return
        leads = self._upstream(goals)
        decided = np.flatnonzero(cells.has_decision)
        asked = np.unique(cells.unit[decided])
        seeing = np.unique(cells.unit[self._movable & leads[graph.entry_node]])
        blind = [self.scenario.units.ids[u] for u in np.setdiff1d(asked, seeing).tolist()]
        if blind:
            why = "people accept a target when they see which goal it serves"
            fix = "draw the causes that lead from their KPIs to a goal, or add a goal for what they do"
            yield Problem("L-no-line-of-sight", f"nothing that {_listed(blind)} can move reaches a goal", why, fix)

    def measures(self) -> Iterator[Problem]:
        """Contributions whose declared unit is not the effect's per the cause's."""
        calendar, work, kpis = Measures(), Measures(AT_WORK), self.scenario.kpis
        for path, kpi, cause in self._links():
            entry = self._written(path)
            declared = str(entry.get("unit") or "").strip() if isinstance(entry, dict) else ""
            if not declared:
                continue
            bare = [k for k in (kpi, cause) if k in kpis and not kpis[k].unit.strip()]
            if bare:
                why = "a contribution is compared with the units of measure of what it ties together"
                message = f"the contribution of {cause} to {kpi} is in {declared}, and {bare[0]} has no unit of measure"
                yield self._at("L-unit", message, why, f"write unit = … under [kpi.{bare[0]}]", *path)
                continue
            effect, has_unit = kpis[kpi].unit, cause in kpis
            wanted = f"{effect} per {kpis[cause].unit if has_unit else f'unit of {cause}'}"
            try:
                factors = [m.factor(declared, effect, kpis[cause].unit if has_unit else None) for m in (calendar, work)]
            except UnreadableUnit as error:
                why = f'a unit of measure is a word, with "per" or "/" between two, and "{error}" is none'
                message = (
                    f"the contribution of {cause} to {kpi} is in {declared}, which cannot be compared with {wanted}"
                )
                yield self._at("L-unit", message, why, f'write it in "{wanted}", or correct the unit', *path)
                continue
            factor, at_work = factors
            if declared == wanted or any(f is not None and abs(f - 1.0) < 1e-12 for f in factors):
                continue
            why = "a contribution is the change of the driven KPI per unit of its cause, each in its own unit"
            fix = f'write it in "{wanted}"'
            if factor and at_work and abs(factor / at_work - 1.0) > 1e-12:
                fix = f"multiply it by {factor:.6g} ({AROUND_THE_CLOCK}) or by {at_work:.6g} ({AT_WORK}) and {fix}"
            elif factor:
                fix = f"multiply it by {factor:.6g} and {fix}"
            what = "the KPIs are" if has_unit else f"{kpi} is"
            message = (
                f"the contribution of {cause} to {kpi} is in {declared}, and {what} in {wanted if has_unit else effect}"
            )
            yield self._at("L-unit", message, why, fix, *path)

    def _links(self) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """Yield where every contribution is written, what it changes, and by what."""
        for kpi in self.scenario.kpis.values():
            for cause in dict.fromkeys(driver.cause for driver in kpi.drivers):
                yield ("kpi", kpi.id, "drivers", cause), kpi.id, cause
        for initiative in self.scenario.initiatives.values():
            for driven in dict.fromkeys(effect.kpi for effect in initiative.effects):
                yield ("initiative", initiative.id, "effects", driven), driven, initiative.id

    def _written(self, path: tuple[str, ...]) -> object:
        """Return what the document says at a path, None where it says nothing."""
        found: object = self.document.data
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    @cached_property
    def _decisions(self) -> NDArray[np.bool_]:
        """Nodes at which somebody decides, (n_nodes,) bool."""
        graph = self.graph
        own = np.zeros(graph.n_nodes, dtype=bool)
        own[graph.entry_node[self._movable]] = True
        initiatives = list(self.scenario.initiatives.values())
        which, unit = graph.level_initiative.tolist(), graph.level_unit.tolist()
        runs = [
            initiatives[i].maximum > 0.0 and not self._is_barred(initiatives[i], u)
            for i, u in zip(which, unit, strict=True)
        ]
        own[graph.level_node[np.array(runs, dtype=bool)]] = True
        return own

    @property
    def _movable(self) -> NDArray[np.bool_]:
        """Cells with a stretch that somebody decides: their range has room, and no lock takes them, (n_cells,) bool."""
        cells, horizon = self.scenario.cells, self.scenario.horizon
        locked = cells.is_locked | horizon.is_locked[self.scenario.cell_base]
        return np.asarray(cells.has_decision & (cells.max_stretch > 0.0) & ~locked)

    def _is_barred(self, initiative: Initiative, unit: int) -> bool:
        """Whether a budget of 0 pays for none of an initiative."""
        units, used = self.scenario.units, {r for r, amount in initiative.uses.items() if amount > 0.0}
        return any(
            budget.limit == 0.0 and budget.resource in used and budget.scope <= unit < units.end[budget.scope]
            for budget in self.scenario.budgets.values()
        )

    def _downstream(self, start: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return _reach(start, self.graph.tail, self.graph.head, self._works)

    def _upstream(self, start: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return _reach(start, self.graph.head, self.graph.tail, self._works)

    @property
    def _works(self) -> NDArray[np.bool_]:
        return np.asarray(self.graph.coefficient != 0.0)

    def _at(self, code: str, message: str, why: str, fix: str, *path: str) -> Problem:
        return Problem(code, message, why, fix, self.document.origin(path))


def _reach(start: NDArray[np.bool_], tail: Integers, head: Integers, works: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the nodes that edges lead to from some, these included."""
    found, tail, head = start.copy(), tail[works], head[works]
    while True:
        more = found.copy()
        more[head[found[tail]]] = True
        if more.sum() == found.sum():
            return found
        found = more


def _listed(ids: list[str]) -> str:
    more = len(ids) - SHOWN
    if more > 0:
        return f"{', '.join(ids[:SHOWN])} and {more:,} more"
    return ids[0] if len(ids) == 1 else f"{', '.join(ids[:-1])} and {ids[-1]}"
