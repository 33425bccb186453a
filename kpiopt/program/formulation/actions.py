"""Whether an initiative runs at all: levels that are one of a list, set-up, what needs or excludes another.

Symbols: o_l is 1 where level l runs, i_l = 1 - o_l where it is idle, z_lv where it stands at v or above. They are those
of initiatives that are more than a level. Of choices that are equally good the one with more idle ones is the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kpiopt.graph import CausalGraph
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder, Terms, label_of
from kpiopt.scenario.actions import exclusions, needed_units
from kpiopt.scenario.links import Initiative
from kpiopt.scenario.scenario import Floats, Integers

LEAST_RUN = 1e-6
"""Share of the largest level from which an initiative by degree counts as run, where another one needs it."""


@dataclass(frozen=True)
class ActionColumns:
    """Columns of the initiatives that are more than a level.

    Attributes
    ----------
    level : (n_switched,) int
        Which levels they are, ascending.
    on, idle : Columns
        o_l and i_l, one for each of them.
    choice : Columns
        z_lv, one for each level above 0 that there is.
    choice_of : (n_choices,) int
        Position in `level` of each choice.
    value : (n_choices,) float
        The level that each choice stands for.
    """

    level: Integers
    on: Columns
    idle: Columns
    choice: Columns
    choice_of: Integers
    value: Floats


def switched_levels(graph: CausalGraph) -> Integers:
    """Return the levels of initiatives that are more than a level, or that another one needs or excludes."""
    initiatives = graph.scenario.initiatives
    named = {name for i in initiatives.values() for name in (*i.needs, *i.not_with)}
    is_one = np.array([*(i.is_switched or i.id in named for i in initiatives.values()), False], dtype=bool)
    return np.flatnonzero(is_one[graph.level_initiative])


def add_switches(build: ProgramBuilder, graph: CausalGraph, names: Columns) -> ActionColumns:
    """o_l and i_l in {0, 1}, whether an initiative runs;  z_lv in {0, 1}, whether it stands at v or above.

    o_l follows from i_l. An initiative whose levels do not hold 0 is never idle where it has one start.
    """
    level = switched_levels(graph)
    of_level = [_initiatives(graph)[i] for i in graph.level_initiative[level].tolist()]
    alone = np.bincount(_group(graph), minlength=1)[_group(graph)][level] == 1
    always = np.array([bool(i.levels) and i.levels[0] > 0.0 for i in of_level], dtype=bool) & alone
    labels = [names.label(place) for place in level.tolist()]
    steps = [[v for v in i.levels if v > 0.0] for i in of_level]
    choice_of = np.repeat(np.arange(len(level)), [len(v) for v in steps])
    value = np.array([v for values in steps for v in values], dtype=np.float64)
    n = len(level)
    on = build.add_columns("on", always.astype(float), np.ones(n), labels.__getitem__)
    stands = [f"{labels[k]}>={v:g}" for k, v in zip(choice_of.tolist(), value.tolist(), strict=True)]
    ones = np.ones(len(value))
    choice = build.add_columns("choice", np.zeros(len(value)), ones, stands.__getitem__, ones.astype(bool))
    idle = build.add_columns("idle", np.zeros(n), (~always).astype(float), labels.__getitem__, np.ones(n, dtype=bool))
    return ActionColumns(level, on, idle, choice, choice_of, value)


def _initiatives(graph: CausalGraph) -> list[Initiative]:
    return list(graph.scenario.initiatives.values())


def _group(graph: CausalGraph) -> Integers:
    """Return the decision of each level: one for an initiative at a unit, whenever it begins."""
    return graph.level_initiative * len(graph.scenario.units) + graph.level_unit


def add_on_rows(build: ProgramBuilder, actions: ActionColumns) -> None:
    """o_l + i_l = 1."""
    each, ones = np.arange(len(actions.level)), np.ones(len(actions.level))
    terms = [Terms(actions.on, each, each, ones), Terms(actions.idle, each, each, ones)]
    build.add_rows("on", terms, ones, ones, actions.on.label)


def add_run_rows(build: ProgramBuilder, graph: CausalGraph, actions: ActionColumns, levels: Columns) -> None:
    """a_l - max_l o_l <= 0;  and a_l - least_l o_l >= 0 where another initiative needs it.

    least_l is 1 where levels are whole or max_l is 0, else a millionth of max_l. An initiative with `levels` has rows
    of its own.
    """
    place = np.flatnonzero([not _initiatives(graph)[i].levels for i in graph.level_initiative[actions.level].tolist()])
    member = actions.level[place]
    most = levels.upper[member]
    each, ones = np.arange(len(place)), np.ones(len(place))
    terms = [Terms(levels, each, member, ones), Terms(actions.on, each, place, -most)]
    label = partial(label_of, [levels.label(k) for k in member.tolist()])
    build.add_rows("run", terms, np.full(len(place), -np.inf), np.zeros(len(place)), label)
    needed = {name for i in _initiatives(graph) for name in i.needs}
    some = np.flatnonzero([_initiatives(graph)[i].id in needed for i in graph.level_initiative[member].tolist()])
    least = np.where(levels.integer[member] | (most == 0.0), 1.0, LEAST_RUN * most)[some]
    each = np.arange(len(some))
    terms = [Terms(levels, each, member[some], np.ones(len(some))), Terms(actions.on, each, place[some], -least)]
    label = partial(label_of, [levels.label(k) for k in member[some].tolist()])
    build.add_rows("least", terms, np.zeros(len(some)), np.full(len(some), np.inf), label)


def add_choice_rows(build: ProgramBuilder, graph: CausalGraph, actions: ActionColumns, levels: Columns) -> None:
    """a_l - sum_v (v - v') z_lv = 0 for an initiative with `levels`, v' the level before v or 0.

    And z_lv - z_lv' <= 0;  z_lv - o_l = 0 for the first one.
    """
    of, value = actions.choice_of, actions.value
    place, first, row = np.unique(of, return_index=True, return_inverse=True)
    each, choice, is_first = np.arange(len(place)), np.arange(len(of)), np.isin(np.arange(len(of)), first)
    rise = np.where(is_first, value, value - np.roll(value, 1))
    terms = [Terms(levels, each, actions.level[place], np.ones(len(place))), Terms(actions.choice, row, choice, -rise)]
    zero, label = np.zeros(len(place)), partial(label_of, [actions.on.label(k) for k in place.tolist()])
    build.add_rows("levels", terms, zero, zero, label)
    later = np.flatnonzero(~is_first)
    terms = [
        Terms(actions.choice, choice, choice, np.ones(len(of))),
        Terms(actions.choice, later, later - 1, -np.ones(len(later))),
        Terms(actions.on, first, place, -np.ones(len(place))),
    ]
    build.add_rows("steps", terms, np.where(is_first, 0.0, -np.inf), np.zeros(len(of)), actions.choice.label)


def add_once_rows(build: ProgramBuilder, graph: CausalGraph, actions: ActionColumns) -> None:
    """sum_u o_lu <= 1 over the periods u in which it may begin, = 1 where 0 is none of its levels."""
    group, row, count = np.unique(_group(graph)[actions.level], return_inverse=True, return_counts=True)
    several = np.flatnonzero(count > 1)
    member = np.flatnonzero(np.isin(row, several))
    initiatives = [_initiatives(graph)[i] for i in (group[several] // len(graph.scenario.units)).tolist()]
    least = np.array([1.0 if i.levels and i.levels[0] > 0.0 else -np.inf for i in initiatives], dtype=np.float64)
    units = (group[several] % len(graph.scenario.units)).tolist()
    labels = [f"{i.id}@{graph.scenario.units.ids[u]}" for i, u in zip(initiatives, units, strict=True)]
    terms = [Terms(actions.on, np.searchsorted(several, row[member]), member, np.ones(len(member)))]
    build.add_rows("once", terms, least, np.ones(len(several)), partial(label_of, labels))


def add_needs_rows(build: ProgramBuilder, graph: CausalGraph, actions: ActionColumns) -> None:
    """o_l - sum_m o_m <= 0 over the levels m of what l needs, at its unit or above, that begin no later."""
    scenario, rows, members, values, labels = graph.scenario, list[int](), list[int](), list[float](), list[str]()
    found = {key: i for i, key in enumerate(scenario.initiatives)}
    start, unit, which = (a[actions.level] for a in (graph.level_start, graph.level_unit, graph.level_initiative))
    for initiative in scenario.initiatives.values():
        for name in initiative.needs:
            counts = needed_units(scenario.units, initiative, scenario.initiatives[name])
            at = dict(zip(initiative.units.tolist(), counts.tolist(), strict=True))
            for own in np.flatnonzero(which == found[initiative.id]).tolist():
                earlier = (which == found[name]) & (unit == at[int(unit[own])]) & (start <= start[own])
                others = np.flatnonzero(earlier).tolist()
                rows += [len(labels)] * (1 + len(others))
                members += [own, *others]
                values += [1.0] + [-1.0] * len(others)
                labels.append(f"{actions.on.label(own)}: {name}")
    terms = [_terms(actions.on, rows, members, values)]
    build.add_rows("needs", terms, np.full(len(labels), -np.inf), np.zeros(len(labels)), partial(label_of, labels))


def add_not_with_rows(build: ProgramBuilder, graph: CausalGraph, actions: ActionColumns) -> None:
    """sum_u o_lu + sum_u o_mu <= 1 for each pair of initiatives of which one excludes the other."""
    scenario, rows, members, labels = graph.scenario, list[int](), list[int](), list[str]()
    ids, members_of = list(scenario.initiatives), dict[tuple[str, int], list[int]]()
    places = zip(graph.level_initiative[actions.level].tolist(), graph.level_unit[actions.level].tolist(), strict=True)
    for k, (i, u) in enumerate(places):
        members_of.setdefault((ids[i], u), []).append(k)
    for (first, u), (second, v) in exclusions(scenario.units, scenario.initiatives):
        both = sorted(members_of[first, u] + members_of[second, v])
        rows += [len(labels)] * len(both)
        members += both
        labels.append(f"{first}@{scenario.units.ids[u]}: {second}@{scenario.units.ids[v]}")
    terms = [_terms(actions.on, rows, members, [1.0] * len(rows))]
    build.add_rows("not_with", terms, np.full(len(labels), -np.inf), np.ones(len(labels)), partial(label_of, labels))


def add_action_rows(build: ProgramBuilder, graph: CausalGraph, actions: ActionColumns, levels: Columns) -> None:
    """Add all rows of the initiatives that are more than a level."""
    add_on_rows(build, actions)
    add_run_rows(build, graph, actions, levels)
    add_choice_rows(build, graph, actions, levels)
    add_once_rows(build, graph, actions)
    add_needs_rows(build, graph, actions)
    add_not_with_rows(build, graph, actions)


def next_steps(actions: ActionColumns, levels: Columns, taken: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Return how much less and how much more of a limit the next level down and up of each initiative takes.

    Parameters
    ----------
    levels : Columns
        All levels.
    taken, x : (n_columns,) float
        What one more of each column takes of the limit, and the plan.
    """
    rate, once, level = levels.of(taken), actions.on.of(taken), levels.of(x)
    less, more = list[float](), list[float]()
    for k, place in enumerate(actions.level.tolist()):
        there, steps = float(level[place]), actions.value[actions.choice_of == k].tolist()
        if not steps and levels.integer[place]:
            there, most = round(there), round(float(levels.upper[place]))
            steps = [v for v in (there - 1, there, there + 1) if 0 < v <= most]
        runs = there > LEAST_RUN * max(steps, default=0.0)
        below = max((v for v in steps if v < there * (1.0 - LEAST_RUN)), default=0.0)
        above = min((v for v in steps if v > there * (1.0 + LEAST_RUN)), default=there)
        if runs:
            less.append(rate[place] * (there - below if steps else 0.0) + (once[k] if below == 0.0 else 0.0))
        if above > there or not steps:
            more.append(rate[place] * (above - there if steps else 0.0) + (0.0 if runs else once[k]))
    down, up = (np.array([v for v in found if v > 0.0], dtype=np.float64) for found in (less, more))
    return down, up


def _terms(columns: Columns, rows: Sequence[int], members: Sequence[int], values: Sequence[float]) -> Terms:
    return Terms(
        columns, np.array(rows, dtype=np.int64), np.array(members, dtype=np.int64), np.array(values, dtype=np.float64)
    )
