"""The scorecard of one unit or person: what is asked, why, what moves it, how likely it is, what it pays.

Nothing of any other unit stands on it, neither a name nor a number: values of a unit's parts and of the units around
it are left out, effects are told from its own KPIs upwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph, EdgeKind, NodeKind
from kpiopt.graph.initiative_use import runs_at
from kpiopt.reading.key_path import did_you_mean
from kpiopt.report.numbers import (
    amount,
    change,
    change_of_target,
    cushion_words,
    goal_beside_target,
    percent,
    target_step,
)
from kpiopt.report.page.page import Block, Card, Page, PageMap, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.report.scorecard.by_period import by_period, moved_by
from kpiopt.report.scorecard.line_of_sight import all_sights, largest, sight_map, sight_sentences
from kpiopt.report.scorecard.pay import pay_blocks, unit_pay
from kpiopt.report.strategy_map.drawing import draw_map
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Kpi
from kpiopt.simulation.odds import CERTAIN, Estimate
from kpiopt.studies.explain import Part

MOST_PARTS = 6
LEAST_REST = 0.05
"""Of a KPI's step: what is less is not told as rounding."""
TINY = 1e-9
WORDS = (
    ("target", "the value that is asked of you"),
    ("without new effort", "where things go if nothing new is done; the target is compared with it"),
    ("odds", "how often the target is attained when the outcome is drawn thousands of times with everything that is "
             "uncertain; in brackets what the number of draws leaves open"),
    ("attainment", "the value that was attained as a share of the target"),
)  # fmt: skip


def find_unit(graph: CausalGraph, text: str) -> int:
    """Return the position of the unit with an id or a name.

    Raises
    ------
    UsageError
    """
    units = graph.scenario.units
    if text in units.position:
        return units.position[text]
    named = [i for i, name in enumerate(units.names) if name.casefold() == text.casefold()]
    if len(named) == 1:
        return named[0]
    message = f"'{text}' is the name of several units" if named else f"there is no unit '{text}'"
    near = ", ".join(units.ids[i] for i in named[:5]) if named else did_you_mean(text, units.ids)
    raise UsageError(Problem("E-unit", message, "a unit is named by its id, or by a name that only it has", near))


def units_with_scorecards(graph: CausalGraph) -> list[int]:
    """Return the units that have a target of their own to read, in the order of the file."""
    units = graph.scenario.units
    found = np.unique(units.home[graph.unit[graph.kind == NodeKind.KPI]])
    return [int(unit) for unit in found[units.order_in_file(found)]]


def build_scorecard(source: ReportSource, unit: int) -> Page:
    """Return the scorecard of a unit as a page.

    Parameters
    ----------
    unit : int
        Position of the unit.

    Raises
    ------
    UsageError
        Where the unit has no target.
    """
    graph, units = source.graph, source.scenario.units
    is_theirs = (graph.kind == NodeKind.KPI) & (graph.period < 0) & (units.home[graph.unit] == unit)
    nodes = [int(n) for n in np.flatnonzero(is_theirs)]
    nodes = sorted((n for n in nodes if np.isfinite(source.targets[n])), key=lambda n: (graph.unit[n], graph.kpi[n]))
    if not nodes:
        raise UsageError(Problem("E-unit", f"{units.ids[unit]} has no target", "a scorecard shows a unit's targets"))
    at_unit = [n for n in nodes if graph.unit[n] == unit]
    pay = unit_pay(source, unit)
    sections = [
        PageSection(cards=list(_tiles(source, nodes)), blocks=[_targets(source, nodes), *by_period(source, nodes)]),
        *_why(source, at_unit),
        *_moves(source, unit, at_unit),
    ]
    if pay is not None:
        sections.append(PageSection("What it pays", blocks=list(pay_blocks(pay))))
    sections.append(PageSection("Words", blocks=[PageTable("", ("word", "what it means"), WORDS, 2)]))
    return Page(
        f"{units.names[unit]}: targets", f"plan {source.name.rpartition('-')[2]}; for {units.names[unit]} only",
        sections, _headline(source, nodes),
    )  # fmt: skip


def _kpi(source: ReportSource, node: int) -> Kpi:
    kpis = list(source.scenario.kpis.values())
    return kpis[int(source.graph.kpi[node])]


def _name(source: ReportSource, node: int) -> str:
    own = source.scenario.units.is_own[source.graph.unit[node]]
    return f"{_kpi(source, node).name}, own part" if own else _kpi(source, node).name


def _odds(source: ReportSource, node: int) -> Estimate | None:
    """Return the odds of a target with their interval; None where they were not drawn."""
    drawn = source.simulation
    if drawn is None or not np.isfinite(drawn.node_odds[node]):
        return None
    low, high = (float(end) for end in drawn.node_intervals[:, node])
    return Estimate(float(drawn.node_odds[node]), low, high, CERTAIN if low == high else "exact")


def _headline(source: ReportSource, nodes: list[int]) -> str:
    asked = [n for n in nodes if source.targets[n] != source.graph.baseline[n]]
    if not asked:
        return "Nothing is asked of you beyond what is expected without new effort."
    goals = {source.graph.goal_node(goal) for goal in source.scenario.goals.values()}
    first = max(asked, key=lambda n: (n in goals, _by_own_effort(source, n), abs(_growth(source, n))))
    kpi, target = _kpi(source, first), float(source.targets[first])
    others = "1 more KPI" if len(asked) == 2 else f"{len(asked) - 1} more KPIs"
    more = f", and of {others}" if len(asked) > 1 else ""
    step = target_step(kpi, target)
    baseline = amount(float(source.graph.baseline[first]), "", step)
    return (
        f"A change is asked of {kpi.name}, from {baseline} to {amount(target, kpi.unit, step)}"
        f"{' (a goal)' if first in goals and len(asked) > 1 else ''}{more}."
    )


def _by_own_effort(source: ReportSource, node: int) -> bool:
    """Whether a target asks for an effort of its own, and not only for what follows from other KPIs."""
    cell = int(source.graph.whole_cell[node])
    return cell >= 0 and abs(float(source.whole_stretch[cell])) > TINY


def _growth(source: ReportSource, node: int) -> float:
    baseline = float(source.graph.baseline[node])
    return (float(source.targets[node]) - baseline) / (abs(baseline) or 1.0)


def _tiles(source: ReportSource, nodes: list[int]) -> Iterator[Card]:
    """Return the unit's figures in large print."""
    asked = sum(source.targets[n] != source.graph.baseline[n] for n in nodes)
    yield Card("Targets", f"{len(nodes)}", f"{asked} ask for a change")
    known = [(odds.estimate, n, odds) for n in nodes if (odds := _odds(source, n)) and not odds.is_certain]
    if known:
        estimate, node, odds = min(known, key=lambda entry: entry[:2])
        value, _, interval = odds.text.partition(" (")
        note = f"{_name(source, node)}{f', 95 % interval {interval.rstrip(chr(41))}' if interval else ''}"
        yield Card("Least likely target", value, note, "good" if estimate >= 0.7 else "")


def _targets(source: ReportSource, nodes: list[int]) -> PageTable:
    """Return what is asked: one row for each KPI."""
    rows, cells = [], source.scenario.horizon
    for node in nodes:
        kpi, cell = _kpi(source, node), int(source.graph.whole_cell[node])
        baseline, target = float(source.graph.baseline[node]), float(source.targets[node])
        odds = _odds(source, node)
        better, step = "higher" if kpi.sign > 0 else "lower", target_step(kpi, target)
        is_share = kpi.unit.strip() == "%"  # its change is in points already
        rows.append((
            _name(source, node), better, amount(baseline, kpi.unit, step), amount(target, kpi.unit, step),
            change(target - baseline, "%" if is_share else "", step),
            "" if is_share else change_of_target(target, baseline, kpi.unit, step),
            odds.text if odds else "", _stopped(source, node, cell),
        ))  # fmt: skip
        if cell >= 0 and cells.is_locked[cell] and cells.lock_reason.get(cell):
            rows[-1] = (*rows[-1][:-1], f"fixed by a person: {cells.lock_reason[cell]}")
    columns = ("KPI", "better is", "without new effort", "target", "change", "in %", "odds", "why not more")
    told = "Without new effort: what is expected then. Odds: how likely the target is, with its 95 % interval."
    note = " ".join([told, *_cushions(source, nodes)])
    return PageTable("What is asked of you", columns, rows, 2, note=note)


def _cushions(source: ReportSource, nodes: list[int]) -> Iterator[str]:
    """Say which targets are more than the plan asks, on purpose."""
    for node in nodes:
        kpi = _kpi(source, node)
        share = float(source.cushion[node])
        if math.isfinite(share):
            yield f"{_name(source, node)}: {cushion_words(kpi, share)}."


def _stopped(source: ReportSource, node: int, cell: int) -> str:
    """Say what keeps a target from being larger, without naming others."""
    cells, graph = source.scenario.horizon, source.graph
    below = graph.tail[(graph.head == node) & (graph.edge_kind == EdgeKind.ROLL_UP)]
    if cell < 0:
        return "adds up from your units" if len(below) else "follows from others"
    if cells.is_locked[cell]:
        return "fixed by a person"
    if not cells.has_decision[cell]:
        return "follows from others"
    unit, kpi = source.scenario.units.ids[source.graph.unit[node]], _kpi(source, node).id
    table = source.table
    here = table.filter((table["unit"] == unit) & (table["kpi"] == kpi))["binding"].fill_null("").to_list()
    if here[0].startswith("max_stretch"):  # of the horizon; rows of periods follow
        return "your range is used up"
    if here[0].startswith("min_stretch") and cells.min_stretch[cell] > 0:
        return "the least of your range is enough"
    named = dict.fromkeys(name for entry in here for name in entry.split("; ") if "." in name)
    own = {name.partition("@")[0].partition(".")[2] for name in named if name.partition("@")[2] == unit}
    if own:
        return f"your {' and your '.join(sorted(own))} {'is' if len(own) == 1 else 'are'} used up"
    return "a limit that is not yours alone is used up" if named else "the goals need no more"


def _why(source: ReportSource, nodes: list[int]) -> Iterator[PageSection]:
    """Return the line of sight to the goals, in words and on a small map."""
    every = all_sights(source, nodes)
    sights = largest(every)
    found = sight_map(source, nodes, sights, every)
    lines = list(dict.fromkeys(sight_sentences(sights, len(every) - len(sights))))
    if source.scenario.periods is not None and lines:
        lines.append("An improvement is meant over all periods: of what adds up by its season, of all else in each.")
    goals = {(g.kpi, g.unit) for g in source.scenario.goals.values()}
    own = [_kpi(source, n).name for n in nodes if (_kpi(source, n).id, int(source.graph.unit[n])) in goals]
    if own:
        lines.insert(0, f"{', '.join(own)}: {'itself a goal' if len(own) == 1 else 'goals themselves'}.")
    for goal in source.scenario.goals.values():
        node = source.graph.goal_node(goal)
        if node in nodes:
            kpi, target = _kpi(source, node), float(source.targets[node])
            told = goal_beside_target(kpi, goal.target, float(source.expected[node]), target)
            lines += [f"{_name(source, node)}: {told}."] if told else []
    blocks: list[Block] = []
    if found is not None:
        blocks.append(PageMap(found.title, draw_map(found, standalone=False), "arrows: what raises or lowers what"))
    yield PageSection("Why it matters", lines or ["No way leads from these KPIs to one of the goals."], blocks=blocks)


def _moves(source: ReportSource, unit: int, nodes: list[int]) -> Iterator[PageSection]:
    """Return what moves the targets: own effort, initiatives, other KPIs, outside influences."""
    rows = []
    own = source.graph.own_change(source.stretch, source.levels, executed=False)
    delta = source.expected - source.graph.baseline
    known = set[str]()
    effort_of = "your own effort" if source.scenario.units.end[unit] == unit + 1 else "effort in your units"
    for node in nodes:
        kpi, (effort, parts) = _kpi(source, node), moved_by(source.straight, own, delta, node)
        shown = []
        if effort:
            shown.append((effort_of, change(effort, kpi.unit), effort))
        for part in parts:
            told = _part(source, unit, node, part)
            if told and part.contribution:
                shown.append((*told, part.contribution))
        known |= {name for name, *_ in shown}
        shown.sort(key=lambda entry: -abs(entry[2]))
        rows += [(kpi.name, name, how, change(value, kpi.unit)) for name, how, value in shown[:MOST_PARTS]]
        if rest := [value for *_, value in shown[MOST_PARTS:]]:
            count = "1 smaller one" if len(rest) == 1 else f"{len(rest)} smaller ones together"
            rows.append((kpi.name, count, "", change(sum(rest), kpi.unit)))
        rows += list(_rest(source, node, sum(value for *_, value in shown)))
    rows += list(_initiatives_for_others(source, unit, nodes, known))
    rows += list(_initiatives_not_taken(source, unit))
    if rows:
        columns = ("your KPI", "what moves it", "in the plan", "adds to your KPI")
        yield PageSection("What moves it", blocks=[PageTable("Actions and causes", columns, rows, 2,
                                                             note=_hours(source, unit))])  # fmt: skip


def _rest(source: ReportSource, node: int, told: float) -> Iterator[tuple[str, str, str, str]]:
    """Yield what a target asks beyond what moves it: a cushion, rounding."""
    kpi, target = _kpi(source, node), float(source.targets[node])
    rest = target - float(source.graph.baseline[node]) - told
    if abs(rest) > LEAST_REST * (kpi.step or max(abs(told), TINY)):
        cushion = math.isfinite(float(source.cushion[node]))
        yield kpi.name, "a cushion, and rounding" if cushion else "rounding", "", change(rest, kpi.unit)


def _part(source: ReportSource, unit: int, node: int, part: Part) -> tuple[str, str] | None:
    """Return a cause by name and what is planned of it; other units' values are left out, their parts altogether."""
    graph, scenario = source.graph, source.scenario
    kind = graph.kind[part.node]
    if kind == NodeKind.FACTOR:
        return list(scenario.factors.values())[graph.factor[part.node]].name, "outside influence"
    at = int(graph.unit[part.node])
    is_own = scenario.units.home[at] == unit
    elsewhere = "below you" if unit <= at < scenario.units.end[unit] else "elsewhere"
    if kind == NodeKind.INITIATIVE:
        initiative = list(scenario.initiatives.values())[graph.level_initiative[graph.level[part.node]]]
        level = f"{amount(part.change)} of {amount(initiative.maximum)}" if is_own else f"decided {elsewhere}"
        begun = scenario.period_name(int(graph.period[part.node])) if is_own else None
        return initiative.name, f"{level}, begun in {begun}" if begun else level
    if graph.kpi[part.node] == graph.kpi[node]:
        return None
    kpi = _kpi(source, part.node)
    return kpi.name, change(part.change, kpi.unit) if is_own else f"{elsewhere} in the organization"


def _initiatives_for_others(
    source: ReportSource, unit: int, nodes: list[int], known: set[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield what the unit decides that acts on KPIs of the units below, and by what it comes back in its own."""
    graph = source.straight
    for row in np.flatnonzero((graph.level_unit == unit) & (source.levels > TINY)).tolist():
        initiative = list(source.scenario.initiatives.values())[graph.level_initiative[row]]
        if initiative.name in known:
            continue
        level, at = float(source.levels[row]), graph.tail == graph.level_node[row]
        own = np.zeros(graph.n_nodes)
        np.add.at(own, graph.head[at], level * graph.coefficient[at])
        added = graph.sweep(own, graph.roll_up_matrix)
        begun = source.scenario.period_name(int(graph.level_start[row]))
        told = f"{amount(level)} of {amount(initiative.maximum)}{f', begun in {begun}' if begun else ''}"
        moved = [(n, _kpi(source, n)) for n in nodes if abs(added[n]) > TINY]
        for node, kpi in moved:
            yield kpi.name, initiative.name, told, change(float(added[node]), kpi.unit)
        if not moved:
            yield "", initiative.name, told, ""


def _initiatives_not_taken(source: ReportSource, unit: int) -> Iterator[tuple[str, str, str, str]]:
    graph = source.graph
    here = graph.level_unit == unit
    taken = np.unique(graph.level_initiative[here & runs_at(graph, source.levels)])
    for position in np.setdiff1d(graph.level_initiative[here], taken).tolist():
        initiative = list(source.scenario.initiatives.values())[position]
        yield "", initiative.name, f"0 of {amount(initiative.maximum)}: not in the plan", ""


def _hours(source: ReportSource, unit: int) -> str:
    """Say how much of the unit's own capacities the plan uses."""
    here = f"@{source.scenario.units.ids[unit]}"
    told = []
    for limit in source.document["limits"]:
        plain, when = split_period(source.scenario.periods, limit["name"])
        kind, _, rest = plain.partition(".")
        if kind == "capacity" and rest.endswith(here):
            share = percent(limit["used"] / limit["limit"], 0) if limit["limit"] else "all"
            what = f"{rest.removesuffix(here)}{when}"
            told.append(f"{amount(limit['used'])} of your {amount(limit['limit'])} {what} ({share})")
    return f"The plan uses {'; '.join(told)}." if told else ""
