"""What holds the plan back and what it costs: limits with prices and ranges, pay over the draws, initiatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.report.charts.exceedance import histogram_figure, is_spread
from kpiopt.report.numbers import amount, change, percent, round_amount
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Scenario
from kpiopt.simulation import Estimate

Goals = Sequence[Mapping[str, Any]]
MOST_LIMITS, MOST_LEVELS, MOST_GOALS = 40, 60, 6


def limit_words(scenario: Scenario, name: str) -> str:
    """Return a limit's name for a planner: "hours of Team North", "cash budget"."""
    bound, _, cell = name.partition("@")
    unit, _, kpi = cell.rpartition("/")
    if bound in ("max_stretch", "min_stretch") and unit in scenario.units.position and kpi in scenario.kpis:
        return f"range of {scenario.kpis[kpi].name} at {scenario.units.names[scenario.units.position[unit]]}"
    plain, when = split_period(scenario.periods, name)
    kind, _, rest = plain.partition(".")
    if kind != "capacity":
        return {"budget": f"{rest} budget{when}", "rules": f"rule {rest}{when}"}.get(kind, name)
    resource, _, unit = rest.partition("@")
    position = scenario.units.position.get(unit)
    return name if position is None else f"{resource} of {scenario.units.names[position]}{when}"


def limits_section(source: ReportSource) -> PageSection:
    """Return limits, those that bind first."""
    entries = sorted(source.document["limits"], key=lambda e: (not e["binding"], -_used(e)))
    rows = [_limit_row(source.scenario, source.document["goals"], entry) for entry in entries[:MOST_LIMITS]]
    if not rows:
        return PageSection("What holds the plan back", ["There are no capacities, budgets or rules of your own."])
    columns = ("limit", "is", "used", "a step", "a step more is worth", "a step less costs", "holds from", "to")
    caption = f"the first {len(rows)} of {len(entries):,}; all are in limits.csv" if len(entries) > len(rows) else ""
    whole = any(i.whole or i.is_switched for i in source.scenario.initiatives.values())
    note = "Prices hold with the whole-number levels of initiatives as they are." if whole else ""
    table = PageTable("Limits, shadow prices and the ranges in which they hold", columns, rows, 1, caption, note=note)
    return PageSection("What holds the plan back", blocks=[table])


def _used(entry: Mapping[str, Any]) -> float:
    return float(entry["used"] / entry["limit"]) if entry["limit"] else 1.0


def _limit_row(scenario: Scenario, goals: Goals, entry: Mapping[str, Any]) -> list[str]:
    more = round_amount(abs(entry["limit"]))
    worth = loss = ""
    has_price = entry["shadow_price_less"] is not None or entry["shadow_price_more"] is not None
    if entry["binding"] and entry["name"].startswith("rules.") and not has_price and not entry["no_plan_with_less"]:
        worth = loss = "no price"
    elif entry["binding"]:
        worth = worth_words(
            scenario, goals, entry["step_more"] or entry["step"], more * (entry["shadow_price_more"] or 0.0), "less"
        )
        cost = more * (entry["shadow_price_less"] or 0.0)
        loss = (
            "no plan" if entry["no_plan_with_less"] else worth_words(scenario, goals, entry["step_less"], cost, "more")
        )
    ends = [amount(entry[end]) if entry["binding"] and entry[end] is not None else "" for end in ("from", "to")]
    name, used = limit_words(scenario, entry["name"]), percent(_used(entry), 1)
    size = amount(more) if entry["binding"] else ""
    return [name, amount(entry["limit"]), "all" if entry["binding"] else used, size, worth, loss, *ends]


def worth_words(scenario: Scenario, goals: Goals, step: str | None, gain: float, verb: str) -> str:
    """Say by how much a step's value changes, `verb` being "less" or "more": in the unit of the one goal it is about.

    Parameters
    ----------
    scenario : Scenario
    goals : sequence of mapping
        As the answer of a run has them.
    step : str or None
    gain : float
    verb : str
    """
    if not gain or not step:
        return "nothing"
    if step == "cost":
        return f"{amount(gain, scenario.currency)} {verb} cost"
    short = [g for g in goals if not g["met"] and step in ("goals", f"goals {scenario.goals[g['goal']].priority}")]
    if len(short) == 1:
        kpi = scenario.kpis[short[0]["kpi"]]
        way = abs(short[0]["target"] - short[0]["baseline"]) or abs(short[0]["target"]) or 1.0
        moved = gain * way / scenario.goals[short[0]["goal"]].weight
        return f"{kpi.name} {amount(moved, kpi.unit)} {'closer to' if verb == 'less' else 'further from'} its target"
    what = "largest stretch of peers" if step == "fairness" else f"shortfall of {step}"
    return f"{what} {amount(100 * gain)} points {'lower' if verb == 'less' else 'higher'}"


def money_section(source: ReportSource) -> PageSection:
    """Return pay over the draws, and initiatives with what each adds to each goal."""
    return PageSection("What it costs and what it brings", blocks=[*_pay(source), *_levels(source)])


def _pay(source: ReportSource) -> Iterator[PageFigure]:
    drawn, pay, currency = source.simulation, source.document["pay"], source.scenario.currency
    if drawn is None or drawn.pay is None or not is_spread(drawn.kept.pay.ravel()):
        return
    figure = histogram_figure(drawn.kept.pay.ravel(), pay["limit"], pay["plan"], currency, "Pay over the draws")
    rows = [("at plan", amount(pay["plan"], currency)), ("when every target is hit", amount(pay["all_hit"], currency)),
            ("mean", amount(pay["mean"], currency)),
            ("9 of 10 draws", f"{amount(pay['p5'])} to {amount(pay['p95'], currency)}")]  # fmt: skip
    if pay["over_limit"]:
        rows.append(("more than the budget", Estimate.from_dict(pay["over_limit"]).text))
    yield PageFigure(
        "Pay", figure, f"over {drawn.draws:,} draws, with the budget", wide=True, table=PageTable("", ("", "pay"), rows)
    )


def _levels(source: ReportSource) -> Iterator[PageTable]:
    """List initiatives that are chosen with their use of resources and what they add to each goal."""
    graph, scenario = source.graph, source.scenario
    initiatives = list(scenario.initiatives.values())
    chosen = np.flatnonzero(source.levels > 1e-9)
    chosen = chosen[scenario.units.order_in_file(graph.level_unit[chosen])]
    chosen = chosen[np.argsort(graph.level_initiative[chosen], kind="stable")]
    if not initiatives:
        return
    goals = list(scenario.goals.values())[:MOST_GOALS]
    effects = source.effect_on_goals()
    resources = list(dict.fromkeys(r for i in initiatives for r in i.resources))
    used = {r: use_of_levels(graph, source.levels, r) for r in resources}
    rows = []
    for row in chosen[:MOST_LEVELS].tolist():
        initiative, level = initiatives[graph.level_initiative[row]], float(source.levels[row])
        adds = [float(effects[g.id][graph.level_node[row]]) * level for g in goals]
        rows.append([
            initiative.name, scenario.units.names[graph.level_unit[row]],
            f"{amount(level)} of {amount(initiative.maximum)}",
            *(amount(float(used[r][row])) if r in initiative.resources else "" for r in resources),
            *(change(add) if add else "" for add in adds),
        ])  # fmt: skip
    named = [f"{scenario.kpis[g.kpi].name}, {scenario.kpis[g.kpi].unit}".rstrip(", ") for g in goals]
    columns = ("initiative", "unit", "level", *resources, *named)
    count = f"{len(chosen)} of {len(source.levels)} are chosen"
    more = f"; the first {len(rows)}" if len(chosen) > len(rows) else ""
    note = f"The last {len(goals)} columns: what it adds to each goal's plan value." if goals else ""
    yield PageTable("Initiatives", columns, rows, 2, f"{count}{more}", note=note)
