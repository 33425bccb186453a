"""A plan looked at again: its odds under other assumptions, and what happens on the map when an action is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.report.explanation import kpi_of, node_title
from kpiopt.report.grid import Grid
from kpiopt.report.numbers import amount, certain_words, change
from kpiopt.simulation import Distribution, Estimate, Simulation
from kpiopt.simulation.difference import OddsDifference
from kpiopt.simulation.intervene import Intervention

if TYPE_CHECKING:
    from rich.console import RenderableType


def render_simulation(found: Simulation) -> Group:
    """Lay out the odds of a plan: goals, KPIs at the top, pay."""
    return Group(*_goal_odds(found), *_spreads(found), *_pay(found))


def render_intervention(found: Intervention) -> Group:
    """Lay out what an action changes: every KPI at the top along the map, then the odds, before and after."""
    return Group(*_changes(found), *_odds(found))


def simulation_document(found: Simulation) -> dict[str, Any]:
    """Return the JSON form: schema `kpiopt.simulate/1`."""
    return {"schema": "kpiopt.simulate/1", **_outlook(found), "change": None}


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
    return {"schema": "kpiopt.simulate/1", **_outlook(found.after), "change": {"kpis": kpis, "odds": odds}}


def _outlook(found: Simulation) -> dict[str, Any]:
    pay = found.pay
    return {
        "goals": [{"goal": g.goal, "odds": g.odds.as_dict()} for g in found.goals],
        "all_goals": found.all_goals.as_dict() if found.all_goals else None,
        "kpis": [{"node": found.graph.node_name(n), **_spread(d)} for n, d in _watched(found)],
        "pay": {**_spread(pay.total), "over": {b: o.as_dict() for b, o in pay.over.items()}} if pay else None,
        "simulation": found.as_dict(),
    }


def _watched(found: Simulation) -> Iterator[tuple[int, Distribution]]:
    yield from zip(found.nodes.tolist(), found.distributions, strict=True)


def _spread(spread: Distribution) -> dict[str, float]:
    return {"mean": spread.mean.estimate, "sd": spread.sd, "p5": spread.p5, "p50": spread.p50, "p95": spread.p95}


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _goal_odds(found: Simulation) -> Iterator[RenderableType]:
    layout = found.layout
    yield Text(f"{found.draws:,} draws, method {layout.method}, seed {found.seed}.", style="dim")
    yield _heading("Goals")
    grid = Grid(("goal", "odds (95 % interval)", "mean miss when missed", "worst 5 % of misses"))
    for goal in found.goals:
        kpi = kpi_of(found.graph, goal.node)
        misses = (amount(m, kpi.unit, kpi.step) if m else "" for m in (goal.shortfall, goal.worst_shortfall))
        grid.add(node_title(found.graph, goal.node), goal.odds.text, *misses)
    yield grid
    for goal in found.goals:
        if goal.odds.is_certain:
            yield Text(printable(f"  {node_title(found.graph, goal.node)}: {certain_words(goal.odds)}."))
    if found.all_goals and len(found.goals) > 1:
        yield Text(f"  All goals together: {found.all_goals.text}.")


def _spreads(found: Simulation) -> Iterator[RenderableType]:
    yield _heading("How values spread")
    grid = Grid(("KPI", "mean", "5 %", "50 %", "95 %"))
    for node, spread in _watched(found):
        kpi = kpi_of(found.graph, node)
        values = (spread.mean.estimate, spread.p5, spread.p50, spread.p95)
        grid.add(node_title(found.graph, node), *(amount(v, "", kpi.step) for v in values))
    yield grid


def _pay(found: Simulation) -> Iterator[RenderableType]:
    if found.pay is None:
        return
    currency, total = found.graph.scenario.currency, found.pay.total
    yield _heading("Pay")
    yield Text(
        f"  {amount(total.mean.estimate, currency)} on average, "
        f"{amount(total.p5)} to {amount(total.p95, currency)} in 9 of 10."
    )
    for budget, odds in found.pay.over.items():
        yield Text(printable(f"  Probability of paying more than budget {budget}: {odds.text}."))


def _changes(found: Intervention) -> Iterator[RenderableType]:
    yield Text("What changes on the map, in the mean of the same draws", style="bold")
    grid = Grid(("KPI", "before", "after", "change", "95 % interval"))
    graph = found.before.graph
    for entry in found.changes:
        step = kpi_of(graph, entry.node).step
        interval = f"{change(entry.change.low, '', step)} to {change(entry.change.high, '', step)}"
        numbers = amount(entry.before, "", step), amount(entry.after, "", step)
        grid.add(node_title(graph, entry.node), *numbers, change(entry.change.estimate, "", step), interval)
    yield grid


def _odds(found: Intervention) -> Iterator[RenderableType]:
    yield _heading("Odds")
    grid = Grid(("goal", "before, %", "after, %", "difference in points\n(95 % interval)"))
    for entry in found.odds:
        grid.add(_goal_name(found, entry), _short(entry.first), _short(entry.second), _points(entry))
    yield grid


def _goal_name(found: Intervention, entry: OddsDifference) -> str:
    return node_title(found.before.graph, found.before.goal(entry.goal).node) if entry.goal else "all goals together"


def _short(odds: Estimate) -> str:
    return odds.text.replace(" %", "")


def _points(entry: OddsDifference) -> str:
    d = entry.difference
    if d.low == d.estimate == d.high == 0.0:
        return "unchanged"
    text = f"{100 * d.estimate:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"
    return text if entry.is_resolved else f"{text}, could be chance alone"
