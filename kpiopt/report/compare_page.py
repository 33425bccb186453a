"""The comparison as a page: overview, then for each scenario what differs, with a bridge for each goal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kpiopt.analysis.bridge import Bridge
from kpiopt.analysis.compare import Comparison, Side
from kpiopt.report.charts import FrontierPoint, OddsBar, bridge_figure, frontier_figure, odds_figure
from kpiopt.report.comparison_text import (
    bridge_steps,
    bridge_title,
    goal_name,
    goal_row,
    limit_text,
    points,
    setting_text,
    target_row,
    verdict,
)
from kpiopt.report.figure_page import Card, Page, PageFigure, PageSection, PageTable, render_page
from kpiopt.report.numbers import amount, change, percent
from kpiopt.report.sweep_page import sweep_section
from kpiopt.report.tornado_section import tornado_section
from kpiopt.runs.base_study import BaseStudy
from kpiopt.runs.comparison import Comparisons, Unsolved

MOST_PARTS, FEW_PARTS = 12, 5
MOST_TARGETS = 25


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
    names = ", ".join(other.label if isinstance(other, Unsolved) else other.second.label for other in found.others)
    title = f"{found.base.scenario.name}: {found.base.label} against {names}"
    return render_page(Page(title, f"kpiopt compare{drawn}", (*sections, *more)))


def study_sections(label: str, study: BaseStudy) -> tuple[PageSection, ...]:
    """Return what was found about the first scenario alone as sections."""
    sections = []
    if study.sweep is not None:
        axes = " and ".join(axis.path for axis in study.sweep.axes)
        sections.append(replace(sweep_section(study.sweep), title=f"{label} over {axes}"))
    if study.sensitivity is not None:
        sections.append(tornado_section(study.sensitivity, label))
    return tuple(sections)


def _overview(found: Comparisons) -> PageSection:
    sides = [found.base, *(o.second for o in found.others if isinstance(o, Comparison))]
    cards = [_card(side) for side in sides]
    blocks = [] if found.base.simulation is None else [*_odds_blocks(sides), *_frontier_blocks(sides)]
    return PageSection(cards=cards, blocks=blocks)


def _card(side: Side) -> Card:
    everything = side.simulation.all_goals if side.simulation else None
    met = sum(not goal.shortfall for goal in side.goals)
    value = percent(everything.estimate) if everything else f"{met} of {len(side.goals)}"
    note = f"odds of all goals; {met} of {len(side.goals)} met in the plan; pay {amount(side.pay)}"
    return Card(side.label, value, note if everything else "goals met in the plan")


def _odds_blocks(sides: list[Side]) -> Iterator[PageFigure]:
    bars = [(side.label, list(_odds_bars(side))) for side in sides]
    if any(found for _, found in bars):
        yield PageFigure("Odds of the goals", odds_figure(bars), "with 95 % intervals, all from the same draws")


def _odds_bars(side: Side) -> Iterator[OddsBar]:
    if side.simulation is None:
        return
    for goal in side.simulation.goals:
        yield OddsBar(_short_name(side, goal.goal), goal.odds.estimate, goal.odds.low, goal.odds.high)
    if side.simulation.all_goals:
        together = side.simulation.all_goals
        yield OddsBar("all goals", together.estimate, together.low, together.high)


def _short_name(side: Side, goal: str) -> str:
    """Return the name of a goal's KPI; the goal's id where it is about a part of the organization."""
    wanted = side.scenario.goals[goal]
    return side.scenario.kpis[wanted.kpi].name if wanted.unit == 0 else goal


def _frontier_blocks(sides: list[Side]) -> Iterator[PageFigure]:
    """What each scenario costs, against the odds of all goals; those that no other beats are joined."""
    drawn = [(s, s.simulation.all_goals) for s in sides if s.simulation and s.simulation.all_goals]
    spent = [(side.pay + side.initiatives, odds) for side, odds in drawn]
    if not any(cost for cost, _ in spent):
        return
    marks = [
        FrontierPoint(
            cost,
            odds.estimate,
            odds.low,
            odds.high,
            side.label,
            is_named=True,
            on_frontier=not any(
                c <= cost and o.estimate >= odds.estimate and (c, o.estimate) != (cost, odds.estimate) for c, o in spent
            ),
        )
        for (side, odds), (cost, _) in zip(drawn, spent, strict=True)
    ]
    unit = sides[0].scenario.currency
    figure = frontier_figure(marks, f"pay at plan and initiatives {unit}", "odds of all goals", y_is_share=True)
    yield PageFigure("Cost against odds", figure, "plans that no other beats are joined")


def _unsolved(other: Unsolved) -> PageSection:
    lines = [line for p in other.error.problems for line in (f"{p.code}: {p.message}", p.fix) if line]
    return PageSection(f"{other.label}: no plan", lines=lines)


def _comparison(found: Comparison) -> PageSection:
    tables = [_inputs(found), _goals(found), *_odds(found), *_limits(found)]
    bridges = [_bridge(found, bridge) for bridge in found.bridges if bridge.parts]
    lines = [] if found.inputs else ["Nothing was asked differently."]
    title = f"{found.first.label} → {found.second.label}"
    return PageSection(title, lines=[*lines, *_money(found)], blocks=[*tables, *bridges, _targets(found)])


def _money(found: Comparison) -> Iterator[str]:
    currency, pay = found.second.scenario.currency, found.pay
    if any(pay.plan):
        yield f"Pay at plan {amount(pay.plan[0])} → {amount(pay.plan[1], currency)}."
    if pay.drawn and pay.difference:
        d = pay.difference
        yield f"Mean pay over the draws: {change(d.estimate, currency)} ({change(d.low)} to {change(d.high)})."


def _inputs(found: Comparison) -> PageTable:
    rows = [
        (
            item.path,
            setting_text(item.first),
            setting_text(item.second),
            " → ".join(dict.fromkeys(side.origin for side in (item.first, item.second) if side)),
        )
        for item in found.inputs
    ]
    return PageTable("What was asked differently", ("value", "first", "second", "where"), rows, left=4)


def _goals(found: Comparison) -> PageTable:
    rows = [goal_row(found, goal) for goal in found.goals]
    return PageTable("Goals", ("goal", "target", "plan", "short by"), rows)


def _odds(found: Comparison) -> Iterator[PageTable]:
    drawn = [(goal_name(found, goal), goal.odds) for goal in found.goals if goal.odds]
    if found.all_goals and len(found.goals) > 1:
        drawn.append(("All goals together", found.all_goals))
    rows = [
        (name, percent(o.first.estimate), percent(o.second.estimate), points(o.difference), verdict(o))
        for name, o in drawn
    ]
    if rows:
        columns = ("goal", "first", "second", "difference in percentage points (95 % interval)", "verdict")
        yield PageTable("Odds", columns, rows, caption="paired: both from the same draws")


def _limits(found: Comparison) -> Iterator[PageTable]:
    rows = [("used up now" if item.begins else "no longer used up", limit_text(found, item)) for item in found.limits]
    if rows:
        yield PageTable("What holds the plan back", ("", "limit"), rows, left=2)


def _bridge(found: Comparison, bridge: Bridge) -> PageFigure:
    start = (f"plan of {found.first.label}", bridge.first)
    end = (f"plan of {found.second.label}", bridge.second)
    figure = bridge_figure(start, bridge_steps(found, bridge, MOST_PARTS), end)
    title, caption = f"Bridge, {bridge_title(found, bridge)}", "what the change of the plan value is made of"
    return PageFigure(title, figure, caption, wide=len(bridge.parts) > FEW_PARTS)


def _targets(found: Comparison) -> PageTable:
    rows = [target_row(found, move) for move in found.targets[:MOST_TARGETS]]
    caption = f"{len(found.targets):,} of {found.n_targets:,} move; the farthest {len(rows)}"
    return PageTable("Targets", ("unit", "KPI", "first", "second", "change"), rows, left=2, caption=caption)
