"""All scenarios of a comparison at once: what each reaches, how far they differ, and who is asked what in each."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kpiopt.report.charts.intervals import IntervalMark, IntervalRow, intervals_figure
from kpiopt.report.charts.marks import FrontierPoint, OddsBar, frontier_figure, odds_figure
from kpiopt.report.compared.verdict import all_sides, paired
from kpiopt.report.comparison_text import goal_name_of, odds_rows, verdict
from kpiopt.report.numbers import amount, change_of_target, points, relative_change, target_step, with_unit
from kpiopt.report.page.page import Block, Card, PageFigure, PageSection, PageTable
from kpiopt.scenario.scenario import Kpi
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.comparison.compare import Comparison, Side, Unsolved
from kpiopt.studies.comparison.contenders import Comparisons

MOST_SIDES, MOST_UNITS, MOST_KPIS, MOST_ROWS = 6, 12, 4, 14
TONES = {"better": "good", "worse": "bad"}


def overview_section(found: Comparisons) -> PageSection:
    """Return tiles of all scenarios, their odds and the differences, cost against odds, and who is asked what."""
    cards = [_card(found.base, found.base)]
    cards += [_no_card(o) if isinstance(o, Unsolved) else _card(found.base, o.second) for o in found.others]
    sides = all_sides(found)
    blocks: list[Block] = []
    if found.base.simulation is not None:
        blocks = [*_odds_blocks(sides), *_differences(found), *_frontier_blocks(sides)]
    return PageSection(cards=cards, blocks=[*blocks, *_asked(sides)])


def _card(base: Side, side: Side) -> Card:
    everything = side.simulation.all_goals if side.simulation else None
    met = f"{sum(goal.met for goal in side.goals)} of {len(side.goals)} goals met"
    pay = f" · pay at plan {amount(side.pay, side.scenario.currency)}" if side.pay else ""
    broken = f" · {len(side.broken):,} limits broken" if side.broken else ""
    if everything is None:
        return Card(side.label, met, f"in the plan{pay}{broken}")
    value, _, interval = everything.text.partition(" (")
    between = f" ({interval}" if interval else ""
    odds = None if side is base else paired(base, side)
    against = f" · {points(odds.difference)} points: {verdict(odds)}" if odds else ""
    note = f"odds of all goals{between}{against} · {met} in the plan{pay}{broken}"
    return Card(side.label, value, note, TONES.get(verdict(odds), "") if odds else "")


def _no_card(other: Unsolved) -> Card:
    return Card(other.label, "no plan", other.error.problems[0].message, "bad")


def _odds_blocks(sides: list[Side]) -> Iterator[PageFigure]:
    bars = [(side.label, list(_odds_bars(side))) for side in sides]
    if any(found for _, found in bars):
        names = list(dict.fromkeys(bar.goal for _, found in bars for bar in found))
        texts = [{bar.goal: bar.text for bar in found} for _, found in bars]
        rows = [(name, *(text.get(name, "–") for text in texts)) for name in names]
        table = PageTable("", ("goal", *(label for label, _ in bars)), rows)
        caption = "with 95 % intervals, all from the same draws"
        yield PageFigure("Odds of the goals", odds_figure(bars), caption, table=table)


def _odds_bars(side: Side) -> Iterator[OddsBar]:
    if side.simulation is None:
        return
    for goal in side.simulation.goals:
        yield _odds_bar(goal_name_of(side, goal.goal), goal.odds)
    if side.simulation.all_goals and len(side.simulation.goals) > 1:
        yield _odds_bar("all goals", side.simulation.all_goals, together=True)


def _odds_bar(name: str, odds: Estimate, *, together: bool = False) -> OddsBar:
    return OddsBar(name, odds.estimate, odds.low, odds.high, odds.text, together)


def _differences(found: Comparisons) -> Iterator[PageFigure]:
    """Draw by how much the odds of each goal differ from those of the first scenario, paired draw by draw."""
    marks: dict[str, list[IntervalMark]] = {}
    rows = []
    for other in found.others:
        for name, odds in odds_rows(other) if isinstance(other, Comparison) else ():
            ends, label = odds.difference, other.second.label if isinstance(other, Comparison) else ""
            text = points(ends)
            values = (100 * ends.estimate, 100 * ends.low, 100 * ends.high)
            marks.setdefault(name, []).append(IntervalMark(label, *values, text))
            rows.append((name, label, text, verdict(odds)))
    if not marks:
        return
    figure = intervals_figure(
        [IntervalRow(name, drawn) for name, drawn in marks.items()],
        f"Differences of odds to {found.base.label}",
        "percentage points",
        series=[side.label for side in all_sides(found)],
    )
    table = PageTable("", ("goal", "scenario", "percentage points (95 %)", "verdict"), rows, 2)
    caption = "paired draw by draw; an interval that holds 0 decides nothing"
    yield PageFigure(f"Difference to {found.base.label}", figure, caption, table=table)


def _frontier_blocks(sides: list[Side]) -> Iterator[PageFigure]:
    """What each scenario costs, against the odds of all goals; those that no other beats are joined."""
    unit = sides[0].scenario.currency
    plans = _plans([side for side in sides if side.scenario.currency == unit])
    if len(plans) < 2 or not any(cost for cost, _ in plans):
        return
    efficient = {plan: not any(_beats(other, plan) for other in plans) for plan in plans}
    marks = [
        FrontierPoint(
            plan[0], plan[1].estimate, plan[1].low, plan[1].high, ", ".join(labels), on_frontier=efficient[plan],
            is_named=True,
        )
        for plan, labels in plans.items()
    ]  # fmt: skip
    figure = frontier_figure(marks, f"pay at plan and initiatives {unit}", "odds of all goals", y_is_share=True)
    rows = [
        (", ".join(labels), amount(plan[0], unit), plan[1].text, "" if efficient[plan] else "beaten by another")
        for plan, labels in sorted(plans.items(), key=lambda item: item[0][0])
    ]
    table = PageTable("", ("scenario", "cost", "odds of all goals", ""), rows)
    yield PageFigure("Cost against odds", figure, "blue: plans that no other beats in both", table=table)


def _plans(sides: list[Side]) -> dict[tuple[float, Estimate], list[str]]:
    """Return cost and odds of the plans, with the scenarios that have the same."""
    plans: dict[tuple[float, Estimate], list[str]] = {}
    for side in sides:
        if side.simulation and side.simulation.all_goals:
            key = round(side.pay + side.initiatives, 6), side.simulation.all_goals
            plans.setdefault(key, []).append(side.label)
    return plans


def _beats(a: tuple[float, Estimate], b: tuple[float, Estimate]) -> bool:
    """Whether plan a costs no more and has odds no worse, and not both the same."""
    (cost, odds), (other_cost, other_odds) = a, b
    no_worse = cost <= other_cost and odds.estimate >= other_odds.estimate
    return no_worse and (cost, odds.estimate) != (other_cost, other_odds.estimate)


def _asked(sides: list[Side]) -> Iterator[Block]:
    """Who is asked what in each: the organization and the units right below it, goals' KPIs first."""
    shown, base = sides[:MOST_SIDES], sides[0].scenario
    kpis = list(dict.fromkeys([*(g.kpi for g in base.goals.values()), *base.kpis]))
    units = [i for i in range(len(base.units)) if base.units.depth[i] <= 1][: MOST_UNITS + 1]
    pairs = [(kpi, unit) for kpi in kpis for unit in units if _target(sides[0], kpi, base.units.ids[unit]) is not None]
    names = list(dict.fromkeys(kpi for kpi, _ in pairs))[:MOST_KPIS]
    pairs = [pair for pair in pairs if pair[0] in names]
    if not pairs or len(shown) < 2:
        return
    rows = [_asked_row(shown, kpi, base.units.ids[unit]) for kpi, unit in pairs]
    grown = [row for row in (_growth_row(shown, kpi, base.units.ids[unit]) for kpi, unit in pairs) if row]
    if grown:
        figure = intervals_figure(grown[:MOST_ROWS], "Growth that is asked", "target against its baseline", share=True,
                                  stacked=False)  # fmt: skip
        caption = "each scenario's targets against its own baselines"
        yield PageFigure("Growth that is asked", figure, caption)
    left = len(base.kpis) - len(names)
    notes = [f"{left} more KPIs" if left > 1 else "one more KPI"] if left else []
    notes += [f"{len(sides) - len(shown)} more scenarios"] if len(sides) > len(shown) else []
    caption = "in brackets: against the first" + (f"; not shown: {' and '.join(notes)}" if notes else "")
    columns = ("unit", "KPI", *(side.label for side in shown))
    yield PageTable("Who is asked what in each", columns, rows, 2, caption, wide=len(shown) > 3 or not grown)


def _target(side: Side, kpi: str, unit: str) -> tuple[float, float] | None:
    """Return baseline and target of a unit, by ids; None where the side has no such target."""
    scenario, graph = side.scenario, side.graph
    if kpi not in scenario.kpis or unit not in scenario.units.position:
        return None
    node = graph.find_node(kpi, unit)
    if node < 0 or not math.isfinite(side.plan.target[node]):
        return None
    return float(graph.baseline[node]), float(side.plan.target[node])


def _asked_row(sides: list[Side], kpi: str, unit: str) -> list[str]:
    first, base = _target(sides[0], kpi, unit), sides[0].scenario.kpis[kpi]
    texts = []
    for side in sides:
        found = _target(side, kpi, unit)
        if found is None:
            texts.append("–")
            continue
        own = side.scenario.kpis[kpi]
        text = amount(found[1], own.unit if own.unit != base.unit else "", target_step(own, found[1]))
        moved = first is not None and own.unit == base.unit and found[1] != first[1]
        texts.append(f"{text} ({_change(found[1], first[1], base)})" if moved and first else text)
    units = sides[0].scenario.units
    return [units.names[units.position[unit]], with_unit(base.name, base), *texts]


def _change(new: float, old: float, kpi: Kpi) -> str:
    return change_of_target(new, old, kpi.unit, kpi.step)


def _growth_row(sides: list[Side], kpi: str, unit: str) -> IntervalRow | None:
    marks = []
    for side in sides:
        found = _target(side, kpi, unit)
        if found is None or not found[0]:
            return None
        grown = (found[1] - found[0]) / abs(found[0])
        marks.append(IntervalMark(side.label, grown, grown, grown, relative_change(found[1], found[0])))
    units = sides[0].scenario.units
    name = f"{sides[0].scenario.kpis[kpi].name}, {units.names[units.position[unit]]}"
    return IntervalRow(name, marks)
