"""A plan looked at again: its odds under other assumptions, and what happens on the map when an action is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.report.goal_names import kpi_of, node_title
from kpiopt.report.grid import Grid, heading
from kpiopt.report.limits import over_budget_lines
from kpiopt.report.numbers import amount, certain_words, change, moved_step, percent, points
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation.difference import OddsDifference
from kpiopt.simulation.odds import Estimate
from kpiopt.simulation.results import Distribution, PeerSpread, Simulation

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kpiopt.simulation.importance import GoalDrivers
    from kpiopt.simulation.intervene import Intervention


LEAST_SHARE = 0.01
SHOWN_DRIVERS = 4


def render_simulation(found: Simulation, drivers: Sequence[GoalDrivers] = ()) -> Group:
    """Lay out the odds of a plan: goals and what drives them, KPIs at the top, peers, pay."""
    parts = *_goal_odds(found), *_drivers(found, drivers), *_spreads(found), *_peers(found), *_pay(found)
    return Group(*parts)


def render_intervention(found: Intervention) -> Group:
    """Lay out what an action changes: every KPI at the top along the map, then the odds, before and after."""
    return Group(*_changes(found), *_odds(found))


def simulation_document(found: Simulation, drivers: Sequence[GoalDrivers] = ()) -> dict[str, Any]:
    """Return the JSON form: schema `kpiopt.simulate/1`."""
    driven = [drivers_as_dict(d) for d in drivers]
    not_done = [part.as_dict() for part in found.not_done]
    return {
        "schema": "kpiopt.simulate/1", **_outlook(found), "drivers": driven, "change": None, "not_done": not_done,
    }  # fmt: skip


def intervention_document(found: Intervention) -> dict[str, Any]:
    """Return the JSON form of an intervention: the outlook after it, and what it changed."""
    kpis = [{"node": c.name, "before": c.before, "after": c.after, "change": c.change.as_dict()} for c in found.changes]
    odds = [
        {
            "goal": o.goal,
            "before": o.first.as_dict(),
            "after": o.second.as_dict(),
            "difference": o.difference.as_dict(),
            "resolved": o.is_resolved,
        }
        for o in found.odds
    ]
    changed = {"kpis": kpis, "odds": odds}
    return {"schema": "kpiopt.simulate/1", **_outlook(found.after), "change": changed, "not_done": []}


def _outlook(found: Simulation) -> dict[str, Any]:
    pay = found.pay
    return {
        "goals": [{"goal": g.goal, **found.goal_as_dict(i)} for i, g in enumerate(found.goals)],
        "all_goals": found.all_goals.as_dict() if found.all_goals else None,
        "kpis": [{"node": found.graph.node_name(n), **_spread(d)} for n, d in _watched(found)],
        "pay": {**_spread(pay.total), "over": {b: o.as_dict() for b, o in pay.over.items()}} if pay else None,
        "peers": [_peers_as_dict(p) for p in found.peer_spreads],
        "simulation": found.as_dict(),
    }


def _peers_as_dict(peers: PeerSpread) -> dict[str, Any]:
    return {
        "kpi": peers.kpi,
        "group": list(peers.group),
        "cells": peers.cells,
        **dict(zip(("lowest", "median", "highest"), (e.as_dict() for e in peers.estimates), strict=True)),
    }


def drivers_as_dict(found: GoalDrivers) -> dict[str, Any]:
    """Return what drives a goal, in JSON form; the most important quantities first."""
    named = [(i.name, i.first_order, i.rank_correlation) for i in found.importances if i.first_order > 0]
    return {
        "goal": found.goal,
        "importances": [dict(zip(("name", "share_of_variance", "rank_correlation"), n, strict=True)) for n in named],
        "fails_mostly_when": found.box.sentence if found.box else None,
    }


def _watched(found: Simulation) -> Iterator[tuple[int, Distribution]]:
    yield from ((int(found.nodes[i]), found.distributions[i]) for i in found.reading_order)


def _spread(spread: Distribution) -> dict[str, float]:
    return {"mean": spread.mean.estimate, "sd": spread.sd, "p5": spread.p5, "p50": spread.p50, "p95": spread.p95}


def _goal_odds(found: Simulation) -> Iterator[RenderableType]:
    layout = found.layout
    yield Text(f"{found.draws:,} draws, method {layout.method}, seed {found.seed}.", style="dim")
    yield heading("Goals")
    grid = Grid(("goal", "odds (95 % interval)", "mean miss when missed", "worst 5 % of misses"))
    for goal in found.goals:
        kpi = kpi_of(found.graph, goal.node)
        misses = (amount(m, kpi.unit, kpi.step) if m else "" for m in (goal.shortfall, goal.worst_shortfall))
        grid.add(node_title(found.graph, goal.node), goal.odds.text, *misses)
    yield grid
    for goal in found.goals:
        if goal.odds.is_certain:
            yield Text(printable(f"  {node_title(found.graph, goal.node)}: {certain_words(goal.odds)}."))
    yield from (Text(printable(f"  {line}")) for line in rare_sentences(found))
    if found.all_goals and len(found.goals) > 1:
        yield Text(f"  All goals together: {found.all_goals.text}.")
        for goal in found.goals:
            if goal.given_others and not goal.odds.is_certain:
                title = node_title(found.graph, goal.node)
                yield Text(printable(f"  {title}, when all the others are hit: {goal.given_others.text}."))


def rare_sentences(found: Simulation) -> Iterator[str]:
    """Say how rare the outcomes are that ordinary draws hardly ever show."""
    for goal in found.goals:
        if goal.rare:
            what = "missed" if goal.rare.outcome == "miss" else "hit"
            yield f"{node_title(found.graph, goal.node)} is {what} with odds of {goal.rare.odds.text}, sampled apart."


def curve_sentences(found: Simulation | None, expected: Floats) -> Iterator[str]:
    """Say by how much the drawn mean of each goal's value differs from the plan, where the draws resolve that.

    Parameters
    ----------
    expected : (n_nodes,) float
        Plan values.
    """
    if found is None or not found.graph.scenario.curved:
        return
    drawn = dict(zip(found.nodes.tolist(), found.distributions, strict=True))
    for node in dict.fromkeys(goal.node for goal in found.goals):
        mean, plan = drawn[node].mean, float(expected[node])
        if mean.low <= plan <= mean.high:
            continue
        kpi = list(found.graph.scenario.kpis.values())[found.graph.kpi[node]]
        yield (
            f"{node_title(found.graph, node)} is {amount(mean.estimate, kpi.unit)} on average over the draws, "
            f"{change(mean.estimate - plan, kpi.unit)} from the plan: causes act by curves, and the plan takes each at "
            "its mean."
        )


def _drivers(found: Simulation, drivers: Sequence[GoalDrivers]) -> Iterator[RenderableType]:
    lines = [line for one in drivers for line in _driver_lines(found, one)]
    if lines:
        yield heading("What the odds hinge on")
        yield from (Text(printable(f"  {line}")) for line in lines)


def _driver_lines(found: Simulation, one: GoalDrivers) -> Iterator[str]:
    title = node_title(found.graph, found.goal(one.goal).node)
    largest = [i for i in one.importances if i.first_order >= LEAST_SHARE][:SHOWN_DRIVERS]
    if largest:
        shares = ", ".join(f"{i.name} {percent(i.first_order, 0)}" for i in largest)
        yield f"{title}: of its variance would go, if it were known: {shares}."
    if one.box:
        yield f"{title}: {one.box.sentence}."


def _peers(found: Simulation) -> Iterator[RenderableType]:
    if not found.peer_spreads:
        return
    yield heading("How equal the chances of peers are to attain their targets")
    grid = Grid(("KPI", "peers", "targets", "lowest, %", "median, %", "highest, %"), left=2)
    for peers in found.peer_spreads:
        name = found.graph.scenario.kpis[peers.kpi].name
        odds = (_short(estimate) for estimate in peers.estimates)
        grid.add(name, ", ".join(g for g in peers.group if g), f"{peers.cells:,}", *odds)
    yield grid


def _spreads(found: Simulation) -> Iterator[RenderableType]:
    yield heading("How values spread")
    grid = Grid(("KPI", "mean", "5 %", "50 %", "95 %"))
    for node, spread in _watched(found):
        kpi = kpi_of(found.graph, node)
        values = (spread.mean.estimate, spread.p5, spread.p50, spread.p95)
        grid.add(node_title(found.graph, node), *(amount(v, kpi.unit, kpi.step) for v in values))
    yield grid


def _pay(found: Simulation) -> Iterator[RenderableType]:
    if found.pay is None:
        return
    currency, total = found.graph.scenario.currency, found.pay.total
    yield heading("Pay")
    yield Text(
        f"  {amount(total.mean.estimate, currency)} on average, "
        f"{amount(total.p5)} to {amount(total.p95, currency)} in 9 of 10."
    )
    for line in over_budget_lines(found.graph.scenario, found.pay.over):
        yield Text(printable(f"  {line}"))


def _changes(found: Intervention) -> Iterator[RenderableType]:
    yield Text("What changes on the map, in the mean of the same draws", style="bold")
    grid = Grid(("KPI", "before", "after", "change", "95 % interval"))
    graph = found.before.graph
    for entry in found.changes:
        kpi, moved = kpi_of(graph, entry.node), entry.change
        unit, step = kpi.unit, moved_step(kpi.step, entry.before, entry.after, moved.low, moved.high)
        interval = f"{change(moved.low, '', step)} to {change(moved.high, '', step)}"
        numbers = amount(entry.before, unit, step), amount(entry.after, unit, step)
        grid.add(node_title(graph, entry.node), *numbers, change(moved.estimate, unit, step), interval)
    yield grid


def _odds(found: Intervention) -> Iterator[RenderableType]:
    yield heading("Odds")
    grid = Grid(("goal", "before, %", "after, %", "difference in points\n(95 % interval)"))
    for entry in found.odds:
        grid.add(_goal_name(found, entry), _short(entry.first), _short(entry.second), _points(entry))
    yield grid


def _goal_name(found: Intervention, entry: OddsDifference) -> str:
    return node_title(found.before.graph, found.before.goal(entry.goal).node) if entry.goal else "all goals together"


def _short(odds: Estimate) -> str:
    return odds.text.replace(" %", "")


def _points(entry: OddsDifference) -> str:
    if entry.is_unchanged:
        return "unchanged"
    text = points(entry.difference)
    if not entry.difference.estimate:
        return f"{text}, no difference seen"
    return text if entry.is_resolved else f"{text}, could be chance alone"
