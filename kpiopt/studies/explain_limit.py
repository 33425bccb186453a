"""What a limit is used for, and what an initiative does: who takes how much, what each adds, what holds it back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph, build_graph, straight
from kpiopt.graph.effort import counted_stretch
from kpiopt.graph.initiative_use import runs_at, use_of_levels
from kpiopt.plan.limit_names import limit_called, limit_words, split_variant
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.scenario.links import Initiative
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.studies.explain import TARGET_RULE, GoalEffect, some_of
from kpiopt.studies.paths import Paths

INITIATIVE = "initiative."
ANY = 1e-9
"""The least there can be of more: a share of the largest level, of a limit."""
SLIGHTLY = 1e-6
"""Share of the largest level by which a level that may be any amount is raised to see what more would need."""
Entries = Sequence[Mapping[str, Any]]


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
class Lack:
    """A limit that is not used up, and leaves less than the next level needs.

    Attributes
    ----------
    needed, left : float
        In the resource's unit.
    """

    name: str
    needed: float
    left: float


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
    lacking : tuple of Lack
        Limits that do not bind and leave too little for the next level there is.
    unmet, excluded_by : tuple of str
        Initiatives that it needs and that do not run, and initiatives that run and exclude it.
    next_level : float or None
        The next level there is; None where any amount more is one.
    """

    unit: str
    start: str | None
    level: float
    maximum: float
    per_level: tuple[GoalEffect, ...]
    planned: tuple[GoalEffect, ...]
    limits: tuple[str, ...]
    lacking: tuple[Lack, ...] = ()
    unmet: tuple[str, ...] = ()
    excluded_by: tuple[str, ...] = ()
    next_level: float | None = None


def find_named(
    graph: CausalGraph, entries: Sequence[Mapping[str, Any]], text: str
) -> Mapping[str, Any] | tuple[Initiative, str] | str:
    """Return what a text names: the entry of a limit, an initiative and its unit, or else the words of a target.

    Raises
    ------
    UsageError
        As `find_limit` and `find_initiative`.
    """
    scenario, goal = graph.scenario, text.removeprefix("goal.")
    if goal in scenario.goals:
        return goal
    return find_limit(scenario, entries, text) or find_initiative(graph, text) or text


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
    roomy = [entry for entry in entries if not entry["binding"]]
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
        following = _next_level(initiative, level)
        more = levels.copy()
        more[row] = level + SLIGHTLY * initiative.maximum if following is None else following
        found.append(
            LevelExplanation(
                scenario.units.ids[at], scenario.period_name(start), level, initiative.maximum, one, planned, limits,
                tuple(_lacking(graph, levels, more, row, roomy)), *_at_odds(graph, levels, row), following,
            )
        )  # fmt: skip
    return tuple(found)


def _next_level(initiative: Initiative, level: float) -> float | None:
    """Return the next level there is above one; None where any amount more is a level, or where it is the largest."""
    near = ANY * max(1.0, initiative.maximum)
    if initiative.levels:
        return next((each for each in initiative.levels if each > level + near), None)
    return float(np.floor(level + near) + 1.0) if initiative.whole else None


def _lacking(graph: CausalGraph, levels: Floats, more: Floats, row: int, entries: Entries) -> Iterator[Lack]:
    """Yield limits that are not used up and leave less than one level more needs."""
    for entry in entries:
        place = _place_of(graph, entry["name"])
        if place is not None and place[1] <= graph.level_unit[row] < int(graph.scenario.units.end[place[1]]):
            resource, _, period = place
            needed = float(np.diff([use_of_levels(graph, each, resource, period)[row] for each in (levels, more)])[0])
            left = float(entry["limit"]) - float(entry["used"])
            if needed > left + ANY * max(1.0, abs(float(entry["limit"]))):
                yield Lack(entry["name"], needed, left)


def _at_odds(graph: CausalGraph, levels: Floats, row: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return initiatives that one needs and that do not run where it is decided, and those that run and exclude it."""
    scenario, at = graph.scenario, int(graph.level_unit[row])
    names, units, runs = list(scenario.initiatives), scenario.units, runs_at(graph, levels)
    own = scenario.initiatives[names[graph.level_initiative[row]]]
    if runs[row]:
        return (), ()

    def running(other: str, places: Collection[int]) -> bool:
        return bool(
            np.any(runs & (graph.level_initiative == names.index(other)) & np.isin(graph.level_unit, [*places]))
        )

    above = [at]
    while units.parent[above[-1]] >= 0:
        above.append(int(units.parent[above[-1]]))
    nearest = {n: next((u for u in above if u in scenario.initiatives[n].units.tolist()), -1) for n in own.needs}
    around = {*above, *range(at, int(units.end[at]))}
    rivals = [n for n, i in scenario.initiatives.items() if n in own.not_with or own.id in i.not_with]
    unmet = tuple(scenario.initiatives[n].name for n, u in nearest.items() if not running(n, [u]))
    return unmet, tuple(scenario.initiatives[n].name for n in rivals if running(n, around))


def _place_of(graph: CausalGraph, limit: str) -> tuple[str, int, int | None] | None:
    """Return the resource, the scope and the period of a capacity or budget; None for everything else."""
    name, period = _period_of(graph, split_variant(graph.scenario, limit)[0])
    kind, _, rest = name.partition(".")
    if kind == "capacity":
        resource, _, place = rest.partition("@")
        return resource, graph.scenario.units.position[place], period
    if kind == "budget":
        return graph.scenario.budgets[rest].resource, graph.scenario.budgets[rest].scope, period
    return None


def _uses(graph: CausalGraph, initiative: Initiative, unit: int, start: int, limit: str) -> bool:
    """Whether an initiative begun at a unit counts in a limit."""
    place = _place_of(graph, limit)
    if place is None:
        return False
    resource, scope, period = place
    begun = period is None or period == start
    runs = period is None or period in initiative.runs_in(start, graph.scenario.n_periods)
    used = begun and (initiative.uses.get(resource) or initiative.setup.get(resource))
    used = used or (runs and initiative.runs.get(resource))
    return bool(used) and scope <= unit < int(graph.scenario.units.end[scope])
