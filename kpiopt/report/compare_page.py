"""The comparison as a page: overview, then for each scenario what differs, with a bridge for each goal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from kpiopt.program.order.prices import LimitResult
from kpiopt.report.charts.bridge import bridge_figure, bridge_range
from kpiopt.report.charts.marks import FrontierPoint, OddsBar, frontier_figure, odds_figure
from kpiopt.report.comparison_text import (
    bridge_step,
    bridge_steps,
    bridge_title,
    goal_name_of,
    goal_row,
    kpi_of,
    level_row,
    limit_name,
    listed_inputs,
    listed_targets,
    measure_lines,
    money_lines,
    odds_note,
    odds_rows,
    rule_lines,
    setting_text,
    side_names,
    target_row,
    targets_line,
    verdict,
)
from kpiopt.report.numbers import amount, change, points
from kpiopt.report.page.page import Card, Page, PageFigure, PageSection, PageTable, render_page
from kpiopt.report.sweep_page import sweep_section
from kpiopt.report.tornado_section import tornado_section
from kpiopt.simulation import Estimate
from kpiopt.studies.comparison.base_study import BaseStudy
from kpiopt.studies.comparison.bridge import Bridge
from kpiopt.studies.comparison.compare import Comparison, LimitChange, Side
from kpiopt.studies.comparison.contenders import Comparisons, Unsolved

MOST_NAMES = 3
MOST_PARTS, FEW_PARTS = 12, 4
MOST_INPUTS, MOST_LEVELS, MOST_LIMITS, MOST_TARGETS = 200, 50, 50, 25


def render_compare_page(found: Comparisons, more: tuple[PageSection, ...] = ()) -> str:
    """Return the page.

    Parameters
    ----------
    found : Comparisons
    more : tuple of PageSection
        Further sections, such as a frontier and a tornado of the base.
    """
    settings = found.settings
    drawn = f" · {settings.draws:,} paired draws, seed {settings.seed}" if found.base.simulation else ""
    sections = [_overview(found)]
    for other in found.others:
        sections.append(_unsolved(other) if isinstance(other, Unsolved) else _comparison(other))
    labels = [other.label if isinstance(other, Unsolved) else other.second.label for other in found.others]
    names = ", ".join(labels) if len(labels) <= MOST_NAMES else f"{len(labels)} others"
    title = f"{found.base.scenario.name}: {found.base.label} against {names}"
    return render_page(Page(title, f"kpiopt compare{drawn}", (*sections, *more)))


def study_sections(label: str, study: BaseStudy) -> tuple[PageSection, ...]:
    """Return what was found about the first scenario alone as sections."""
    sections = []
    if study.sweep is not None:
        axes = " and ".join(axis.path for axis in study.sweep.axes)
        sections.append(replace(sweep_section(study.sweep), title=f"{label[:1].upper()}{label[1:]} over {axes}"))
    if study.sensitivity is not None:
        sections.append(tornado_section(study.sensitivity, label))
    return tuple(sections)


def _overview(found: Comparisons) -> PageSection:
    cards = [_card(found.base)]
    cards += [_no_card(other) if isinstance(other, Unsolved) else _card(other.second) for other in found.others]
    sides = [found.base, *(other.second for other in found.others if isinstance(other, Comparison))]
    blocks = [] if found.base.simulation is None else [*_odds_blocks(sides), *_frontier_blocks(sides)]
    return PageSection(cards=cards, blocks=blocks)


def _card(side: Side) -> Card:
    everything = side.simulation.all_goals if side.simulation else None
    met = f"{sum(goal.met for goal in side.goals)} of {len(side.goals)} goals met"
    pay = f" · pay at plan {amount(side.pay, side.scenario.currency)}" if side.pay else ""
    if everything is None:
        return Card(side.label, met, f"in the plan{pay}")
    value, _, interval = everything.text.partition(" (")
    between = f" ({interval}" if interval else ""
    return Card(side.label, value, f"odds of all goals{between} · {met} in the plan{pay}")


def _no_card(other: Unsolved) -> Card:
    return Card(other.label, "no plan", other.error.problems[0].message, "bad")


def _odds_blocks(sides: list[Side]) -> Iterator[PageFigure]:
    bars = [(side.label, list(_odds_bars(side))) for side in sides]
    if most := max(len(found) for _, found in bars):
        caption = "with 95 % intervals, all from the same draws"
        yield PageFigure("Odds of the goals", odds_figure(bars), caption, wide=most > FEW_PARTS)


def _odds_bars(side: Side) -> Iterator[OddsBar]:
    if side.simulation is None:
        return
    for goal in side.simulation.goals:
        yield _odds_bar(goal_name_of(side, goal.goal), goal.odds)
    if side.simulation.all_goals and len(side.simulation.goals) > 1:
        yield _odds_bar("all goals", side.simulation.all_goals, together=True)


def _odds_bar(name: str, odds: Estimate, *, together: bool = False) -> OddsBar:
    return OddsBar(name, odds.estimate, odds.low, odds.high, odds.text, together)


def _frontier_blocks(sides: list[Side]) -> Iterator[PageFigure]:
    """What each scenario costs, against the odds of all goals; those that no other beats are joined."""
    unit = sides[0].scenario.currency
    plans = _plans([side for side in sides if side.scenario.currency == unit])
    if len(plans) < 2 or not any(cost for cost, _ in plans):
        return
    marks = [
        FrontierPoint(
            cost,
            odds.estimate,
            odds.low,
            odds.high,
            ", ".join(labels),
            is_named=True,
            on_frontier=not any(_beats(other, (cost, odds)) for other in plans),
        )
        for (cost, odds), labels in plans.items()
    ]
    figure = frontier_figure(marks, f"pay at plan and initiatives {unit}", "odds of all goals", y_is_share=True)
    yield PageFigure("Cost against odds", figure, "plans that no other beats are joined")


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


def _unsolved(other: Unsolved) -> PageSection:
    lines = [line for p in other.error.problems for line in (f"{p.code}: {p.message}", p.fix) if line]
    return PageSection(f"{other.label}: no plan", lines=lines)


def _comparison(found: Comparison) -> PageSection:
    tables = [*_inputs(found), _goals(found), *_odds(found), *_levels(found), *_limits(found)]
    bridges = [_bridge(found, bridge) for bridge in found.bridges if bridge.parts]
    lines = [] if found.inputs else ["Nothing was asked differently."]
    title = f"{found.first.label} → {found.second.label}"
    said = [*rule_lines(found), *lines, *measure_lines(found), *money_lines(found)]
    return PageSection(title, lines=said, blocks=[*tables, *bridges, *_targets(found)])


def _first_of(count: int, shown: int) -> str:
    """Say where a table does not show everything."""
    return f"the first {shown:,} of {count:,}" if count > shown else ""


def _inputs(found: Comparison) -> Iterator[PageTable]:
    listed = listed_inputs(found)
    rows = [
        (
            item.path,
            setting_text(item.first),
            setting_text(item.second),
            " → ".join(dict.fromkeys(side.origin for side in (item.first, item.second) if side)),
        )
        for item in listed[:MOST_INPUTS]
    ]
    if rows:
        caption = _first_of(len(listed), len(rows))
        columns = ("value", *side_names(found), "where")
        yield PageTable("What was asked differently", columns, rows, left=4, caption=caption)


def _goals(found: Comparison) -> PageTable:
    rows = [goal_row(found, goal) for goal in found.goals]
    return PageTable("Goals", ("goal", "target", "plan", "short by"), rows)


def _odds(found: Comparison) -> Iterator[PageTable]:
    rows = [
        (name, odds.first.text, odds.second.text, points(odds.difference), verdict(odds))
        for name, odds in odds_rows(found)
    ]
    if rows:
        columns = ("goal", *side_names(found), "difference in percentage points", "verdict")
        note = odds_note(found)
        caption = f"from the same draws, with 95 % intervals{'; ' + note[0].lower() + note[1:] if note else ''}"
        yield PageTable("Odds", columns, rows, caption=caption)


def _levels(found: Comparison) -> Iterator[PageTable]:
    rows = [level_row(found, item) for item in found.initiatives[:MOST_LEVELS]]
    if rows:
        caption = _first_of(len(found.initiatives), len(rows))
        columns = ("initiative", "unit", *side_names(found), "change")
        yield PageTable("Initiatives at another level", columns, rows, left=2, caption=caption)


def _limits(found: Comparison) -> Iterator[PageTable]:
    rows = [_limit_row(found, item) for item in found.limits[:MOST_LIMITS]]
    if rows:
        caption = _first_of(len(found.limits), len(rows))
        columns = ("limit", *(f"used, {name}" for name in side_names(found)), "")
        yield PageTable("What holds the plan back", columns, rows, caption=caption)


def _limit_row(found: Comparison, item: LimitChange) -> tuple[str, str, str, str]:
    said = "used up now" if item.begins else "no longer used up"
    return limit_name(found, item), _use(item.first), _use(item.second), said


def _use(limit: LimitResult | None) -> str:
    if limit is None:
        return "–"
    used = limit.limit if math.isclose(limit.used, limit.limit, rel_tol=1e-7) else limit.used
    return f"{amount(used)} of {amount(limit.limit)}"


def _bridge(found: Comparison, bridge: Bridge) -> PageFigure:
    kpi = kpi_of(found, bridge.kpi)
    start = (f"plan of {found.first.label}", bridge.first)
    end = (f"plan of {found.second.label}", bridge.second)
    steps = bridge_steps(found, bridge, MOST_PARTS)
    low, high = bridge_range(bridge.first, [value for _, value in steps])
    note = "" if low <= 0 <= high else "The axis does not begin at 0."
    return PageFigure(
        f"Bridge, {bridge_title(found, bridge)}",
        bridge_figure(start, steps, end, kpi.unit, more_is_better=kpi.sign > 0),
        "what the change of the plan value is made of",
        wide=len(steps) > FEW_PARTS,
        note=note,
        table=_bridge_table(found, bridge),
    )


def _bridge_table(found: Comparison, bridge: Bridge) -> PageTable:
    """Return all parts of a bridge, also those that the figure puts together."""
    step, unit = bridge_step(found, bridge), kpi_of(found, bridge.kpi).unit
    rows = [
        (f"plan of {found.first.label}", amount(bridge.first, "", step)),
        *((name, change(value, "", step)) for name, value in bridge_steps(found, bridge, len(bridge.parts))),
        (f"plan of {found.second.label}", amount(bridge.second, "", step)),
    ]
    return PageTable("", ("", unit or "amount"), rows)


def _targets(found: Comparison) -> Iterator[PageTable]:
    rows = [target_row(found, move) for move in listed_targets(found, MOST_TARGETS)]
    caption = targets_line(found)
    if len(found.targets) > len(rows):
        caption = f"{caption}; the {len(rows)} farthest"
    if rows:
        yield PageTable("Targets", ("unit", "KPI", *side_names(found), "change"), rows, left=2, caption=caption)
