"""What holds the plan back and what it costs: limits with prices and ranges, pay over the draws, initiatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kpiopt.graph.initiative_use import runs_at, use_of_levels
from kpiopt.plan.limit_names import limit_words
from kpiopt.program.trust.tolerances import USED_UP
from kpiopt.report.charts.exceedance import histogram_figure, is_spread
from kpiopt.report.charts.heat import heat_map_figure
from kpiopt.report.goal_names import goal_name_in
from kpiopt.report.limits import kept_words, next_sentences, worth_words
from kpiopt.report.numbers import amount, change, percent, round_amount, target_step, with_unit
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.links import Initiative
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Integers, Scenario
from kpiopt.simulation.odds import Estimate

Goals = Sequence[Mapping[str, Any]]
MOST_LIMITS, MOST_LOCKS, MOST_LEVELS, MOST_GOALS = 40, 40, 60, 6
SCARCE, FEW = 0.9, 3
"""Limits of which so much is used are shown at once, and so many in any case."""
ABOVE, ALL = "told above", "all initiatives"
FEW_LEVELS = 12
"""So many levels are listed one by one; of more each initiative has one line."""


def limits_section(source: ReportSource) -> PageSection:
    """Return limits, those that bind first, what the next step of whole numbers would bring, and what is locked."""
    scenario, document, locks = source.scenario, source.document, list(_locks(source))
    entries = sorted(document["limits"], key=lambda e: (not e["binding"], -_used(e)))
    entries = entries[:MOST_LIMITS]
    rows = [_limit_row(scenario, document["goals"], entry) for entry in entries]
    scarce = sum(entry["binding"] or _used(entry) >= SCARCE for entry in entries)
    shown = len(rows) if len(rows) - max(scarce, FEW) <= 1 else max(scarce, FEW)
    if not rows:
        none = "There are no capacities, budgets or rules of your own."
        return PageSection("What holds the plan back", [none], blocks=locks)
    when = () if scenario.periods is None else ("in",)
    columns = ("limit", *when, "is", "used", "a step", "a step more is worth", "a step less costs", "holds from", "to")
    of = len(document["limits"])
    caption = f"the first {len(rows)} of {of:,}; all are in limits.csv" if of > len(rows) else ""
    kept = kept_words(scenario)
    note = f"Prices hold {kept}." if kept else ""
    table = PageTable("Limits, shadow prices and the ranges in which they hold", columns, rows, 1 + len(when), caption,
                      note=note, shown=shown, fold="more that are not used up")  # fmt: skip
    values = {f"{s['step']} {s['priority']}" if "priority" in s else s["step"]: s["value"] for s in document["steps"]}
    lines = list(next_sentences(scenario, document["goals"], entries, values))
    return PageSection("What holds the plan back", lines[:MOST_LIMITS], blocks=[*_over_time(source), table, *locks])


def _over_time(source: ReportSource) -> Iterator[PageFigure]:
    """Shade how much of each limit is used in each period; those that are used most first."""
    scenario, periods = source.scenario, source.scenario.periods
    used: dict[str, dict[str, float]] = {}
    for entry in source.document["limits"]:
        plain, when = split_period(periods, entry["name"])
        if when:
            used.setdefault(plain, {})[when.removeprefix(" in ")] = _used(entry)
    if periods is None or not used:
        return
    ordered = sorted(used, key=lambda name: -sum(used[name].values()))[:MOST_LIMITS]
    shown = sorted(ordered, key=list(used).index)
    names = [limit_words(scenario, name) for name in shown]
    shares = [[used[name].get(period) for period in periods.names] for name in shown]
    title = "Limits by period"
    more = f"; the {len(shown)} of {len(used)} that are used most" if len(used) > len(shown) else ""
    figure = heat_map_figure(names, periods.names, shares, title)
    rows = [(name, *("" if s is None else percent(s, 0) for s in row)) for name, row in zip(names, shares, strict=True)]
    table = PageTable("", ("limit", *periods.names), rows)
    note = "100: all of it is used in that period."
    yield PageFigure(title, figure, f"in % of what there is{more}", wide=True, note=note, table=table)


def _locks(source: ReportSource) -> Iterator[PageTable]:
    """List what a person fixed, why, and who answers for it, in the order of the file."""
    scenario, found = source.scenario, source.document.get("locks") or ()
    units, rows = scenario.units, []
    places = np.array([units.position[lock["unit"]] for lock in found], dtype=np.int64)
    for at in units.order_in_file(places)[:MOST_LOCKS].tolist():
        lock, kpi = found[at], scenario.kpis[found[at]["kpi"]]
        target = amount(lock["target"], kpi.unit, target_step(kpi, lock["target"]))
        given = lock["lock"] is not None and lock["lock_target"] is None
        own = kpi.sign * lock["lock"] if given else 0.0
        fixed = f"a stretch of {change(own, kpi.unit, target_step(kpi, own))}" if given else "the target"
        rows.append((units.names[places[at]], kpi.name, fixed, target, lock["reason"] or "", lock["owner"] or ""))
    if rows:
        columns = ("unit", "KPI", "what is locked", "target", "reason", "who answers for it")
        caption = f"the first {len(rows)} of {len(found):,}; all are in targets.csv" if len(found) > len(rows) else ""
        yield PageTable("Locks", columns, rows, 6, caption)


def _used(entry: Mapping[str, Any]) -> float:
    return float(entry["used"] / entry["limit"]) if entry["limit"] else 1.0


def _limit_row(scenario: Scenario, goals: Goals, entry: Mapping[str, Any]) -> list[str]:
    more = round_amount(abs(entry["limit"]))
    worth = loss = ""
    has_price = entry["shadow_price_less"] is not None or entry["shadow_price_more"] is not None
    if entry["binding"] and entry["name"].startswith("rules.") and not has_price and not entry["no_plan_with_less"]:
        worth = loss = "no price"
    elif entry["binding"]:
        first = entry["step_more"] or entry["step"]
        worth = _worth(scenario, goals, first, entry["shadow_price_more"], more, "less")
        loss = _worth(scenario, goals, entry["step_less"], entry["shadow_price_less"], more, "more")
        loss = "no plan" if entry["no_plan_with_less"] else loss
    worth, loss = _unless_whole(worth, entry.get("next_more")), _unless_whole(loss, entry.get("next_less"))
    ends = [amount(entry[end]) if entry["binding"] and entry[end] is not None else "" for end in ("from", "to")]
    plain, when = split_period(scenario.periods, entry["name"])
    name, used = limit_words(scenario, plain), percent(_used(entry), 1)
    size = amount(more) if entry["binding"] else ""
    if worth == loss == ABOVE:
        size = amount(_next_step(entry))
    at = [] if scenario.periods is None else [when.removeprefix(" in ")]
    return [name, *at, amount(entry["limit"]), "all" if entry["binding"] else used, size, worth, loss, *ends]


def _worth(scenario: Scenario, goals: Goals, step: str | None, price: float | None, move: float, verb: str) -> str:
    return "not known" if price is None else worth_words(scenario, goals, step, move * price, verb)


def _unless_whole(words: str, step: Mapping[str, Any] | None) -> str:
    """Return the words on a price, unless the next step of whole numbers is told in a sentence of its own."""
    return ABOVE if words in ("nothing", "not known") and step else words


def _next_step(entry: Mapping[str, Any]) -> float:
    """Return by how much a limit is moved until whole numbers can change; 0 where that is not so many."""
    step = entry["next_more"] or entry["next_less"]
    found = 0.0 if step.get("at_once") or step["limit"] is None else abs(step["limit"] - entry["limit"])
    return 0.0 if found < USED_UP * max(1.0, abs(entry["limit"])) else found


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
    by_period = pay.get("over_by_period", [])
    if pay["over_limit"]:
        where = " in some period" if pay["limit"] is None and by_period else ""
        rows.append((f"more than the budget{where}", Estimate.from_dict(pay["over_limit"]).text))
    for entry in by_period:
        rows.append((f"more than budget {entry['budget']} in {entry['period']}", Estimate.from_dict(entry).text))
    yield PageFigure(
        "Pay", figure, f"over {drawn.draws:,} draws, with the budget", wide=True, table=PageTable("", ("", "pay"), rows)
    )


def _levels(source: ReportSource) -> Iterator[PageTable]:
    """List initiatives that are chosen with their use of resources and what they add to each goal."""
    graph, scenario = source.graph, source.scenario
    initiatives = list(scenario.initiatives.values())
    chosen = np.flatnonzero(runs_at(graph, source.levels))
    chosen = chosen[scenario.units.order_in_file(graph.level_unit[chosen])]
    chosen = chosen[np.argsort(graph.level_initiative[chosen], kind="stable")]
    if not initiatives:
        return
    goals = list(scenario.goals.values())[:MOST_GOALS]
    effects = source.effect_on_goals()
    resources = list(dict.fromkeys(r for i in initiatives for r in i.resources))
    used = {r: use_of_levels(graph, source.levels, r) for r in resources}
    begins = scenario.periods is not None
    added = np.array([effects[g.id][graph.level_node] * source.levels for g in goals]).reshape(len(goals), -1)

    def row(rows: Integers, place: str, begun: str, level: str, own: Initiative | None) -> list[str]:
        uses = (amount(float(used[r][rows].sum())) if own is None or r in own.resources else "" for r in resources)
        adds = (change(float(add)) if add else "" for add in added[:, rows].sum(axis=1).tolist())
        return [own.name if own else ALL, place, *([begun] if begins else []), level, *uses, *adds]

    summary, single = [], []
    for i, initiative in enumerate(initiatives):
        here, everywhere = chosen[graph.level_initiative[chosen] == i], np.flatnonzero(graph.level_initiative == i)
        for at in here.tolist():
            begun = scenario.period_name(int(graph.level_start[at])) or ""
            level = f"{amount(float(source.levels[at]))} of {amount(initiative.maximum)}"
            single.append(row(np.array([at]), scenario.units.names[graph.level_unit[at]], begun, level, initiative))
        if len(here) > 1:
            units, most = len(np.unique(graph.level_unit[here])), len(np.unique(graph.level_unit[everywhere]))
            level = f"{amount(float(source.levels[here].sum()))} in all, each up to {amount(initiative.maximum)}"
            summary.append(row(here, f"{units} of {most} units", "", level, initiative))
        elif len(here):
            summary.append(single[-1])
    shown = single if len(single) <= FEW_LEVELS else summary
    rows = [*shown, row(chosen, "", "", "", None), *([] if shown is single else single[:MOST_LEVELS])]
    rows[len(shown)] = _of_budgets(source, rows[len(shown)], resources, 3 if begins else 2)
    named = [with_unit(goal_name_in(scenario, g.id), scenario.kpis[g.kpi]) for g in goals]
    columns = ("initiative", "unit", *(["begins in"] if begins else []), "level", *resources, *named)
    count = f"{len(chosen)} of {len(source.levels)} are chosen"
    more = f"; the first {MOST_LEVELS} are listed" if shown is not single and len(single) > MOST_LEVELS else ""
    note = f"The last {len(goals)} columns: what it adds to each goal's plan value." if goals else ""
    yield PageTable("Initiatives", columns, rows if len(chosen) else [], 3 if begins else 2, f"{count}{more}",
                    note=note, shown=len(shown) + 1, fold="levels, unit by unit")  # fmt: skip


def _of_budgets(source: ReportSource, total: list[str], resources: Sequence[str], first: int) -> list[str]:
    """Say in the row of totals how much there is of each resource that one budget limits."""
    budgets, total = source.scenario.budgets.values(), list(total)
    for place, resource in enumerate(resources, start=first + 1):
        held = [b for b in budgets if b.resource == resource]
        limits = [e for e in source.document["limits"] if len(held) == 1 and e["name"] == f"budget.{held[0].id}"]
        for entry in limits:
            used, there_is = (amount(entry[key]) for key in ("used", "limit"))
            total[place] += f" of {there_is}" if total[place] == used else f"; with other efforts {used} of {there_is}"
    return total
