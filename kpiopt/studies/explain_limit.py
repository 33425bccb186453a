"""What a limit is used for, and what an initiative does: who takes how much, what each adds, what holds it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph, build_graph, straight
from kpiopt.graph.effort import counted_stretch
from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.plan.limit_names import limit_called, limit_words, split_variant
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.scenario.links import Initiative
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.studies.explain import TARGET_RULE, GoalEffect, some_of
from kpiopt.studies.paths import Paths

INITIATIVE = "initiative."


@dataclass(frozen=True, slots=True)
class Use:
    """What uses a limit.

    Attributes
    ----------
    name : str
        "unit/kpi" for effort or pay of a cell, "initiative.<id>@<unit>", "target_incentive@<unit>".
    amount : float
        In the resource's unit.
    """

    name: str
    amount: float


@dataclass(frozen=True)
class LimitExplanation:
    """A limit with what uses it.

    Attributes
    ----------
    entry : mapping
        The limit in the answer "kpiopt.solve/1".
    uses : tuple of Use
        The largest first; they add up to what is used. Empty for a rule of the planner's own.
    """

    entry: Mapping[str, Any]
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class LevelExplanation:
    """An initiative at one unit.

    Attributes
    ----------
    unit : str
    start : str or None
        The period in which it begins, where there are several.
    level, maximum : float
    per_level, planned : tuple of GoalEffect
        What one more level adds to each goal's value, and what the planned level adds.
    limits : tuple of str
        Limits that it uses and that bind.
    """

    unit: str
    start: str | None
    level: float
    maximum: float
    per_level: tuple[GoalEffect, ...]
    planned: tuple[GoalEffect, ...]
    limits: tuple[str, ...]


def find_limit(scenario: Scenario, entries: Sequence[Mapping[str, Any]], text: str) -> Mapping[str, Any] | None:
    """Return the limit with a name, as limits.csv or the summary has it; None where there is none.

    Raises
    ------
    UsageError
        Where it is a limit of several periods, and none of them is named.
    """
    by_name = {entry["name"]: entry for entry in entries}
    found = limit_called(scenario, by_name, text)
    ends = {f" in {name}": name for name in scenario.periods.names} if scenario.periods is not None else {}
    among = [name for name in by_name if found is None for end in ends if _is_in(scenario, name, text, end)]
    if among:
        words = [limit_words(scenario, name) for name in among]
        message, fix = f"{text} is a limit in each of {len(among)} periods", f"say in which: {some_of(words)}"
        raise UsageError(Problem("E-target", message, TARGET_RULE, fix))
    return by_name.get(found or "")


def _is_in(scenario: Scenario, name: str, text: str, end: str) -> bool:
    """Whether a limit is the one that a text names, in the period that an ending stands for."""
    plain = name.rpartition("/")[0]
    of_period = limit_words(scenario, name).casefold() == f"{text}{end}".casefold()
    return of_period or (plain == text and name == f"{text}/{end.removeprefix(' in ')}")


def find_initiative(graph: CausalGraph, text: str) -> tuple[Initiative, str] | None:
    """Return the initiative that "initiative.<id>", "<id>" or a name stands for, and the unit behind "@" or "".

    Raises
    ------
    UsageError
        Where "initiative.…" names none, or a unit that does not decide about it.
    """
    plain, _, unit = text.removeprefix(INITIATIVE).partition("@")
    initiatives = graph.scenario.initiatives
    found = initiatives.get(plain) or next(
        (i for i in initiatives.values() if i.name.casefold() == plain.casefold()), None
    )
    if found is None:
        if text.startswith(INITIATIVE):
            raise UsageError(
                Problem("E-target", f"there is no initiative {plain!r}", fix=name_the_right_ones(plain, initiatives))
            )
        return None
    deciding = [graph.scenario.units.ids[u] for u in found.units.tolist()]
    if unit and unit not in deciding:
        raise UsageError(
            Problem("E-target", f"{unit} does not decide about {plain}", fix=name_the_right_ones(unit, deciding))
        )
    return found, unit


def explain_limit(graph: CausalGraph, stretch: Floats, levels: Floats, entry: Mapping[str, Any]) -> LimitExplanation:
    """Share the use of a capacity or budget out among cells and initiatives."""
    plain, variant, scenario = split_variant(graph.scenario, entry["name"])
    graph = build_graph(scenario) if variant else graph
    name, period = _period_of(graph, plain)
    kind, _, rest = name.partition(".")
    if kind == "capacity":
        resource, _, unit = rest.partition("@")
        scope = scenario.units.position[unit]
    elif kind == "budget":
        resource, scope = scenario.budgets[rest].resource, scenario.budgets[rest].scope
    else:
        return LimitExplanation(entry, ())
    inside = range(scope, int(scenario.units.end[scope]))
    uses = [
        *_of_cells(graph, stretch, resource, kind, inside, period),
        *_of_levels(graph, levels, resource, inside, period),
    ]
    if resource == "pay" and kind == "budget":
        given = np.nan_to_num(scenario.units.target_incentive)
        given = given if period is None else given / scenario.n_periods
        uses += [Use(f"target_incentive@{scenario.units.ids[u]}", float(given[u])) for u in inside if given[u]]
    return LimitExplanation(entry, tuple(sorted((u for u in uses if u.amount), key=lambda u: (-u.amount, u.name))))


def _of_cells(
    graph: CausalGraph, stretch: Floats, resource: str, kind: str, inside: range, period: int | None
) -> list[Use]:
    cells = graph.scenario.cells
    if kind == "capacity":
        rate, counted = cells.effort.get(resource, np.zeros(len(cells))), counted_stretch(graph, stretch)
    else:
        counted = np.maximum(stretch, 0.0)
        rate = np.nan_to_num(cells.pay_rate) if resource == "pay" else np.zeros(len(cells))
    here = True if period is None else graph.scenario.cell_period == period
    used = np.where(here, rate * counted, 0.0)
    here = np.flatnonzero((used != 0) & (cells.unit >= inside.start) & (cells.unit < inside.stop))
    return [Use(graph.node_name(int(graph.cell_node[c])), float(used[c])) for c in here.tolist()]


def _period_of(graph: CausalGraph, name: str) -> tuple[str, int | None]:
    """Split the name of a limit into what it is about and the position of its period, None over the horizon."""
    rest, _, last = name.rpartition("/")
    periods = graph.scenario.periods
    return (name, None) if periods is None or last not in periods.position else (rest, periods.position[last])


def _of_levels(graph: CausalGraph, levels: Floats, resource: str, inside: range, period: int | None) -> list[Use]:
    used = use_of_levels(graph, levels, resource, period)
    here = np.flatnonzero((used != 0) & (graph.level_unit >= inside.start) & (graph.level_unit < inside.stop))
    return [Use(graph.node_name(int(graph.level_node[row])), float(used[row])) for row in here.tolist()]


def explain_initiative(
    graph: CausalGraph,
    stretch: Floats,
    levels: Floats,
    entries: Sequence[Mapping[str, Any]],
    initiative: Initiative,
    unit: str,
) -> tuple[LevelExplanation, ...]:
    """Explain an initiative at each unit that decides about it, or at one.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
        The plan's.
    entries : sequence of mapping
        Limits of the answer "kpiopt.solve/1".
    """
    scenario, found = graph.scenario, []
    mean, here = (Paths(straight(graph, stretch, levels, tangent=tangent)) for tangent in (False, True))
    position = list(scenario.initiatives).index(initiative.id)
    binding = [entry["name"] for entry in entries if entry["binding"]]
    shares, effects = (
        {g.id: paths.effects(graph.goal_node(g)) for g in scenario.goals.values()} for paths in (mean, here)
    )
    for row in np.flatnonzero(graph.level_initiative == position).tolist():
        at, level, node = int(graph.level_unit[row]), float(levels[row]), int(graph.level_node[row])
        if unit and scenario.units.ids[at] != unit:
            continue
        one = tuple(GoalEffect(goal, float(effect[node])) for goal, effect in effects.items())
        planned = tuple(GoalEffect(goal, float(effect[node]) * level) for goal, effect in shares.items())
        start = int(graph.level_start[row])
        limits = tuple(name for name in binding if _uses(graph, initiative, at, start, name))
        begins, most = scenario.period_name(start), initiative.maximum
        found.append(LevelExplanation(scenario.units.ids[at], begins, level, most, one, planned, limits))
    return tuple(found)


def _uses(graph: CausalGraph, initiative: Initiative, unit: int, start: int, limit: str) -> bool:
    """Whether an initiative begun at a unit counts in a limit."""
    name, period = _period_of(graph, split_variant(graph.scenario, limit)[0])
    kind, _, rest = name.partition(".")
    units = graph.scenario.units
    if kind == "capacity":
        resource, _, place = rest.partition("@")
        scope = units.position[place]
    elif kind == "budget":
        resource, scope = graph.scenario.budgets[rest].resource, graph.scenario.budgets[rest].scope
    else:
        return False
    begun = period is None or period == start
    runs = period is None or period in initiative.runs_in(start, graph.scenario.n_periods)
    used = begun and (initiative.uses.get(resource) or initiative.setup.get(resource))
    used = used or (runs and initiative.runs.get(resource))
    return bool(used) and scope <= unit < int(units.end[scope])
