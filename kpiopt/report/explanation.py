"""Why a target is what it is, on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.graph import CausalGraph, NodeKind, straight
from kpiopt.plan.limit_names import limit_words, stopped_words
from kpiopt.report.explanation_limit import limit_sentences
from kpiopt.report.goal_names import goal_at, kpi_of, node_title
from kpiopt.report.grid import Grid
from kpiopt.report.limits import Entries
from kpiopt.report.numbers import amount, change, goal_beside_target, lock_words, percent, target_step
from kpiopt.runs.kept_plan import KeptPlan
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Scenario
from kpiopt.simulation.odds import CERTAIN, Estimate
from kpiopt.studies.explain import Explanation, Part, horizon_cell
from kpiopt.studies.explain_limit import LimitExplanation
from kpiopt.studies.paths import Chain, Paths, one_more
from kpiopt.studies.swap import StepChange, Swap, Taken

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_PARTS = 8
SHOWN_TAKEN, SHOWN_WAYS, SHOWN_ROWS = 3, 3, 15
NOISE, NET, LITTLE = 1e-9, 1e-6, 1e-3


def render_explanation(
    plan: KeptPlan, found: Explanation, swap: Swap | None = None, limits: Entries = (), goals: Entries = ()
) -> Group:
    """Lay out an explanation: what is asked, what it is made of, why not less or someone else, what it is good for.

    Parameters
    ----------
    swap : Swap, optional
        What asking less of the cell would mean.
    limits, goals : sequence of mapping
        Of the answer "kpiopt.solve/1".
    """
    return Group(
        *_headline(plan, found, goals), *_asked(plan, found), *_made_of(plan, found), *_origins(plan, found),
        *_changes(plan, found, swap, limits), *_goals(plan, found), *_ways(plan, found),
    )  # fmt: skip


def explanation_document(plan: KeptPlan, found: Explanation, swap: Swap | None = None) -> dict[str, Any]:
    """Return the JSON form: schema `kpiopt.explain/1`; `total_effects`: what one more at each node adds here."""
    graph = plan.graph
    here = straight(graph, plan.stretch, plan.levels, tangent=True)
    effects = Paths(here).effects(found.node)
    target, odds = float(plan.targets[found.node]), _odds_of(plan, found.node)
    return {
        "schema": "kpiopt.explain/1",
        **asdict(found),
        "target": target if math.isfinite(target) else None,
        "odds": odds.as_dict() if odds else None,
        "over_assignment": cushion if math.isfinite(cushion := float(plan.cushion[found.node])) else None,
        "stopped_by": plan.binding.get(found.name),
        "lock_reason": plan.graph.scenario.horizon.lock_reason.get(horizon_cell(graph, found.node)),
        "lock_owner": plan.graph.scenario.horizon.lock_owner.get(horizon_cell(graph, found.node)),
        "total_effects": {graph.node_name(n): float(effects[n]) for n in np.flatnonzero(effects).tolist()},
        "ways": [_way_as_dict(graph, goal, total, chain) for goal, total, chains in ways(here, found.node)
                 for chain in chains],
        "swap": asdict(swap) if swap else None,
    }  # fmt: skip


def ways(graph: CausalGraph, node: int) -> Iterator[tuple[str, float, list[Chain]]]:
    """Yield each goal that a node reaches with the total effect of one more and the chains that carry it."""
    paths, one = Paths(graph), one_more(graph, node)
    for goal in graph.scenario.goals.values():
        at = graph.goal_node(goal)
        chains = paths.chains(node, at) if at != node else []
        if chains:
            effects = paths.effects(at)
            yield goal.id, float(sum(effects[n] * change for n, change in one.items())), chains


def _way_as_dict(graph: CausalGraph, goal: str, total: float, chain: Chain) -> dict[str, Any]:
    kpis = [graph.scenario.kpi_ids[link.kpi] for link in chain.links]
    return {"goal": goal, "kpis": kpis, "effect": chain.effect, "share": chain.effect / total if total else None}


def _ways(plan: KeptPlan, found: Explanation) -> Iterator[RenderableType]:
    """The ways to each goal with their shares, where there is more than one KPI on the way."""
    scenario, rows = plan.graph.scenario, []
    for goal, total, chains in ways(straight(plan.graph, plan.stretch, plan.levels, tangent=True), found.node):
        for chain in chains[:SHOWN_WAYS]:
            names = " → ".join(list(scenario.kpis.values())[link.kpi].name for link in chain.links)
            share = percent(chain.effect / total, 0) if total else ""
            rows.append((goal, names, change(chain.effect, scenario.kpis[scenario.goals[goal].kpi].unit), share))
    if any(" → " in row[1] for row in rows):
        yield Text("\nThe ways to the goals", style="bold")
        grid = Grid(("goal", "way", "one more brings", "share"), left=2)
        for row in rows[:SHOWN_ROWS]:
            grid.add(*row)
        yield grid


def _changes(
    plan: KeptPlan, found: Explanation, swap: Swap | None, limits: Sequence[Mapping[str, Any]]
) -> Iterator[RenderableType]:
    """Why not less, why not someone else, what would change it."""
    lines = [*(swap_sentences(plan, found, swap) if swap else ()), *limit_lines(plan, found, limits)]
    if lines:
        yield Text("\nWhy not less, why not someone else, what would change it", style="bold")
        yield from (Text(printable(f"  {line}")) for line in lines)


def swap_sentences(plan: KeptPlan, found: Explanation, swap: Swap) -> Iterator[str]:
    """Say who would take over if less were asked, in all, and what that would cost; from a plan made anew."""
    scenario, kpi = plan.graph.scenario, kpi_of(plan.graph, found.node)
    unit = scenario.units.names[plan.graph.unit[found.node]]
    less = f"If {change(swap.less, kpi.unit).removeprefix('+')} less effort were asked of {unit}"
    if not swap.has_plan:
        yield f"{less}, there would be no plan: its limits clash."
        return
    levels = [_level_words(scenario, *entry) for entry in swap.levels]
    if len(swap.taken) + len(levels) <= SHOWN_TAKEN:
        told = [*(_taken_words(scenario, t) for t in swap.taken), *levels]
    else:
        more = [f"{len(levels) - SHOWN_TAKEN:,} more changes of initiatives"] if len(levels) > SHOWN_TAKEN else []
        told = [*_groups(scenario, swap.taken), *levels[:SHOWN_TAKEN], *more]
    yield f"{less}, the cheapest swap would be: {'; '.join(told) or 'nothing else'}."
    if kpi.roll_up == "sum" and len(same := [t for t in swap.taken if t.kpi == kpi.id]) > 1:
        net = sum(t.amount for t in same) - swap.less
        is_nothing = abs(net) <= NET * sum(abs(t.amount) for t in same)
        what = "as much as before" if is_nothing else f"{change(net, kpi.unit)} against before"
        yield f"Of all units together that is {what} in {kpi.name}."
    if swap.cost is None:
        yield "That plan would be as good in every step; it is only further from the reference, which breaks ties."
    else:
        yield _cost_words(swap.cost)


def _cost_words(cost: StepChange) -> str:
    """Say which step gets worse, by how much, from what to what, with the digits that tell them apart."""
    moved = cost.after - cost.before
    digits = max(0, 1 - math.floor(math.log10(abs(moved) or 1.0)))
    by = f"{abs(moved):,.{digits}f}" if abs(moved) < 1 else amount(abs(moved))
    ends = [f"{value:,.{digits}f}" if abs(moved) < 1 else amount(value) for value in (cost.before, cost.after)]
    little = " next to nothing" if abs(moved) < LITTLE * abs(cost.before) else ""
    way = "rises" if moved > 0 else "falls"
    return f"It would cost{little}: {cost.step} {way} by {by}, from {ends[0]} to {ends[1]} ({cost.unit})."


def _groups(scenario: Scenario, taken: Sequence[Taken]) -> Iterator[str]:
    """Say of each KPI how many units would be asked for more and for less, and how much that is."""
    for kpi in dict.fromkeys(t.kpi for t in taken):
        entry = scenario.kpis[kpi]
        for way, word in ((1, "more"), (-1, "less")):
            these = sorted((t for t in taken if t.kpi == kpi and t.amount * way > 0), key=lambda t: -abs(t.amount))
            if not these:
                continue
            units = [scenario.units.position[name] for name in dict.fromkeys(t.unit for t in these)]
            roles = {scenario.units.roles[unit] for unit in units}
            role = f" ({next(iter(roles))})" if len(roles) == 1 and roles != {""} and len(units) > 1 else ""
            who = scenario.units.names[units[0]] if len(units) == 1 else f"{len(units):,} units{role}"
            size = sum(abs(t.amount) for t in these) if entry.roll_up == "sum" else abs(these[0].amount)
            much = change(size, entry.unit).removeprefix("+")
            is_all = entry.roll_up == "sum" or len(these) == 1
            most = f", most of all {scenario.units.names[units[0]]}" if len(units) > 1 else ""
            yield f"{who} {'' if is_all else 'up to '}{much} {word} effort for {entry.name}{most}"


def _taken_words(scenario: Scenario, taken: Taken) -> str:
    kpi = scenario.kpis[taken.kpi]
    place = scenario.units.names[scenario.units.position[taken.unit]]
    return f"{change(taken.amount, kpi.unit)} {kpi.name} at {place}" + (f" in {taken.period}" if taken.period else "")


def _level_words(scenario: Scenario, name: str, moved: float) -> str:
    plain, when = split_period(scenario.periods, name)
    initiative, _, unit = plain.removeprefix("initiative.").partition("@")
    place = scenario.units.names[scenario.units.position[unit]]
    return f"{change(moved)} {scenario.initiatives[initiative].name} at {place}{when}"


def limit_lines(plan: KeptPlan, found: Explanation, limits: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say what stops the target from being larger, with what one more of each limit is worth."""
    stopped = plan.binding.get(found.name, "")
    for entry in limits:
        if entry["binding"] and entry["name"] in stopped.split("; "):
            sentences = " ".join(limit_sentences(plan.graph.scenario, LimitExplanation(entry, ())))
            yield f"It is held by {limit_words(plan.graph.scenario, entry['name'])}. {sentences}"
    if "max_stretch" in stopped:
        yield "It is as large as its range allows: a larger max_stretch would change it."
    elif not stopped and found.own_asked:
        why = "the goals need no more of it, or other ways are better by the order of decisions"
        yield f"No limit stops it: {why}. Other goals, limits or prices would change it."


def _unit_of_measure(graph: CausalGraph, node: int) -> str:
    """Return what a node is counted in; empty for factors and levels."""
    return kpi_of(graph, node).unit if graph.kind[node] in (NodeKind.KPI, NodeKind.BUILT) else ""


def _headline(plan: KeptPlan, found: Explanation, goals: Entries) -> Iterator[RenderableType]:
    kpi, target = kpi_of(plan.graph, found.node), float(plan.targets[found.node])
    asked = target if math.isfinite(target) else found.asked
    title = f"{node_title(plan.graph, found.node)}: {amount(asked, kpi.unit, target_step(kpi, asked))} are asked"
    yield Text(printable(f"{title}, {amount(found.expected, kpi.unit, kpi.step)} can be expected."), style="bold")
    yield Text(f"  Without new effort: {amount(found.baseline, kpi.unit, kpi.step)}.")
    stopped = plan.binding.get(found.name)
    if stopped:
        yield Text(printable(f"  Stopped by: {stopped_words(plan.graph.scenario, stopped)}."))
    cells, cell = plan.graph.scenario.horizon, horizon_cell(plan.graph, found.node)
    if cell >= 0 and cells.is_locked[cell]:
        yield Text(
            printable(f"  Locked by a person{lock_words(cells.lock_reason.get(cell), cells.lock_owner.get(cell))}.")
        )
    yield from map(Text, _odds_of_goals(plan, found, goals))
    odds = _odds_of(plan, found.node)
    if odds:
        reason = ": nothing uncertain reaches this target" if odds.is_certain else ""
        yield Text(f"  Probability of attaining the target: {odds.text}{reason}.")
    for goal in plan.graph.scenario.goals.values():
        told = goal_beside_target(kpi, goal.target, found.expected, target)
        if told and plan.graph.goal_node(goal) == found.node:
            yield Text(printable(f"  The target is what is asked; {told}."))


def _odds_of_goals(plan: KeptPlan, found: Explanation, goals: Entries) -> Iterator[str]:
    """Say how likely the goals at a node are, which is not how likely the target is."""
    kpi = kpi_of(plan.graph, found.node)
    for entry in goals:
        goal = plan.graph.scenario.goals[entry["goal"]]
        if entry["odds"] and plan.graph.goal_node(goal) == found.node:
            odds = Estimate.from_dict(entry["odds"]).text
            yield printable(f"  Probability of reaching the goal of {amount(goal.target, kpi.unit, kpi.step)}: {odds}.")


def _odds_of(plan: KeptPlan, node: int) -> Estimate | None:
    """Return the odds of a target with their interval; of width 0 only where they are certain."""
    odds, low, high = plan.odds[:, node].tolist()
    if not math.isfinite(odds):
        return None
    return Estimate(odds, low, high, CERTAIN if low == high else "kept")


def _asked(plan: KeptPlan, found: Explanation) -> Iterator[RenderableType]:
    """Account for the target down to the last unit: these lines add up to it."""
    kpi, target = kpi_of(plan.graph, found.node), float(plan.targets[found.node])
    yield Text("\nWhat is asked, down to the last unit", style="bold")
    grid = Grid(("", f"amount {kpi.unit}".rstrip()))
    grid.add("expected without new effort", amount(found.baseline))
    if found.own_asked:
        grid.add("own effort that is asked", change(found.own_asked))
    for part in _shown(found.asked_parts):
        grid.add(node_title(plan.graph, part.node), change(part.contribution))
    rest = [part for part in found.asked_parts if part.contribution][SHOWN_PARTS:]
    if rest:
        grid.add(f"… and {len(rest):,} more", change(math.fsum(part.contribution for part in rest)))
    told = math.fsum([found.baseline, found.own_asked, *_amounts(found.asked_parts)])
    _add_beyond(grid, plan, found.asked - told, found)
    cushion, asked = float(plan.cushion[found.node]), found.asked
    if math.isfinite(cushion):
        low, high = plan.graph.bounds[:, found.node].tolist()
        asked = min(max(asked * (1.0 + kpi.sign * cushion), low), high)
        grid.add(f"cushion of {percent(cushion)}, asked and not planned", change(asked - found.asked))
    if math.isfinite(target):
        to = f"whole {kpi.unit or 'numbers'}" if kpi.step == 1 else amount(kpi.step or 0.0, kpi.unit, kpi.step)
        is_off = target_step(kpi, target) != kpi.step
        rounded = f"rounding; a lock or a range keeps it off {to}" if is_off else f"rounding to {to}"
        grid.add("rounding" if kpi.step is None else rounded, change(target - asked))
        grid.add("target", amount(target, "", target_step(kpi, target)))
    yield grid
    if found.own_share is not None:
        own = f"  Own effort is {percent(found.own_share)} of the baseline"
        yield Text(f"{own}; {_peer_words(found)}.")


def _peer_words(found: Explanation) -> str:
    if found.peer_share is None:
        return "there are no peers to compare with"
    if found.peers == 1:
        return f"that of its only peer is {percent(found.peer_share)}"
    return f"the mean of {found.peers} peers is {percent(found.peer_share)}"


def _made_of(plan: KeptPlan, found: Explanation) -> Iterator[RenderableType]:
    """The direct causes: they add up to the expected change."""
    kpi, graph = kpi_of(plan.graph, found.node), plan.graph
    total = found.expected - found.baseline
    yield Text(f"\nWhat the expected change of {change(total, kpi.unit)} is made of", style="bold")
    grid = Grid(("cause", "its change", "effect of one", "contribution"))
    if found.own_asked:
        grid.add("own stretch, as far as it is realised", change(found.own_asked, kpi.unit), *_own(found))
    for part in _shown(found.parts):
        grid.add(node_title(graph, part.node), *_fields(graph, part))
    _add_rest(grid, found.parts)
    _add_beyond(grid, plan, total - math.fsum([found.own_expected, *_amounts(found.parts)]), found)
    yield grid


def _amounts(parts: Sequence[Part]) -> list[float]:
    return [part.contribution for part in parts]


def _add_beyond(grid: Grid, plan: KeptPlan, beyond: float, found: Explanation) -> None:
    """Add what causes and effort would bring beyond a bound of the KPI, where there can be nothing."""
    if abs(beyond) > NOISE * max(1.0, abs(found.baseline), abs(found.asked)):
        low, high = plan.graph.bounds[:, found.node].tolist()
        kpi = kpi_of(plan.graph, found.node)
        bound = amount(high if beyond < 0.0 else low, kpi.unit, kpi.step)
        grid.add(
            f"beyond the bound of {bound}, where there is nothing", *[""] * (len(grid.columns) - 2), change(beyond)
        )


def _own(found: Explanation) -> tuple[str, str]:
    return amount(found.own_expected / found.own_asked), change(found.own_expected)


def _shown(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.contribution][:SHOWN_PARTS]


def _fields(graph: CausalGraph, part: Part) -> tuple[str, str, str]:
    measure = _unit_of_measure(graph, part.node)
    return change(part.change, measure), amount(part.coefficient), change(part.contribution)


def _add_rest(grid: Grid, parts: Sequence[Part]) -> None:
    rest = [part for part in parts if part.contribution][SHOWN_PARTS:]
    if rest:
        total = math.fsum(part.contribution for part in rest)
        grid.add(f"… and {len(rest):,} more", "", "", change(total))


def _origins(plan: KeptPlan, found: Explanation) -> Iterator[RenderableType]:
    """Where the change comes from in the end, when that is not the node's own stretch alone."""
    if not any(part.node != found.node for part in found.origins):
        return
    yield Text("\nWhere it comes from in the end, along all paths of the map", style="bold")
    grid = Grid(("origin", "realised", "effect of one", "contribution"))
    for part in _shown(found.origins):
        grid.add(node_title(plan.graph, part.node), *_fields(plan.graph, part))
    _add_rest(grid, found.origins)
    yield grid


def _goals(plan: KeptPlan, found: Explanation) -> Iterator[RenderableType]:
    """What the node does for the goals."""
    scenario, kpi = plan.graph.scenario, kpi_of(plan.graph, found.node)
    lines = []
    for effect in found.goals:
        goal = scenario.goals[effect.goal]
        driven = scenario.kpis[goal.kpi]
        if effect.per_unit:
            lines.append(f"  {goal_at(scenario, effect.goal)}: {change(effect.per_unit, driven.unit)}")
    yield Text()
    one = "point" if kpi.unit.strip() == "%" else kpi.unit or "unit"
    if scenario.periods is not None and plan.graph.period[found.node] < 0:
        one += ", spread by its season" if kpi.kind == "flow" else ", in every period"
    yield Text(printable(f"What one more of it ({one}) does for the goals"), style="bold")
    yield from (Text(printable(line)) for line in lines or ["  nothing: no path leads to a goal"])
