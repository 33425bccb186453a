"""The comparison as a page: overview, then for each scenario what differs, with a bridge for each goal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kpiopt.program.order.prices import LimitResult
from kpiopt.report.charts.bridge import bridge_figure, bridge_range
from kpiopt.report.charts.intervals import IntervalMark, IntervalRow, intervals_figure
from kpiopt.report.compared.overview import overview_section
from kpiopt.report.compared.verdict import headline
from kpiopt.report.comparison_text import (
    bridge_step,
    bridge_steps,
    bridge_title,
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
from kpiopt.report.page.page import Page, PageFigure, PageSection, PageTable, render_page
from kpiopt.report.sweep_page import sweep_section
from kpiopt.report.swept.overview import axis_names
from kpiopt.report.tornado_section import tornado_section
from kpiopt.studies.comparison.base_study import BaseStudy
from kpiopt.studies.comparison.bridge import Bridge
from kpiopt.studies.comparison.compare import Comparison, LimitChange, Unsolved
from kpiopt.studies.comparison.contenders import Comparisons

MOST_NAMES = 3
MOST_PARTS = 8
MOST_INPUTS, MOST_LEVELS, MOST_LIMITS, MOST_TARGETS, MOST_MOVES = 200, 50, 50, 25, 14


def render_compare_page(found: Comparisons, more: tuple[PageSection, ...] = ()) -> str:
    """Return the page.

    Parameters
    ----------
    more : tuple of PageSection
        Further sections, such as a frontier and a tornado of the base.
    """
    settings = found.settings
    drawn = f" · {settings.draws:,} paired draws, seed {settings.seed}" if found.base.simulation else ""
    sections = compare_sections(found)
    labels = [other.label if isinstance(other, Unsolved) else other.second.label for other in found.others]
    names = ", ".join(labels) if len(labels) <= MOST_NAMES else f"{len(labels)} others"
    title = f"{found.base.scenario.name}: {found.base.label} against {names}"
    return render_page(Page(title, f"kpiopt compare{drawn}", (*sections, *more), headline(found)))


def compare_sections(found: Comparisons) -> list[PageSection]:
    """Return all scenarios together, then each beside the first."""
    each = [_unsolved(other) if isinstance(other, Unsolved) else _comparison(other) for other in found.others]
    return [overview_section(found), *each]


def study_sections(label: str, study: BaseStudy) -> tuple[PageSection, ...]:
    """Return what was found about the first scenario alone as sections."""
    sections = []
    if study.sweep is not None:
        axes = axis_names(study.sweep)
        sections.append(replace(sweep_section(study.sweep), title=f"{label[:1].upper()}{label[1:]} over {axes}"))
    if study.sensitivity is not None:
        sections.append(tornado_section(study.sensitivity, label))
    return tuple(sections)


def _unsolved(other: Unsolved) -> PageSection:
    lines = [line for p in other.error.problems for line in (f"{p.code}: {p.message}", p.fix) if line]
    return PageSection(f"{other.label}: no plan", lines=lines)


def _comparison(found: Comparison) -> PageSection:
    tables = [*_inputs(found), _goals(found), *_odds(found)]
    bridges = [_bridge(found, bridge) for bridge in found.bridges if bridge.parts]
    lines = [] if found.inputs else ["Nothing was asked differently."]
    title = f"{found.first.label} → {found.second.label}"
    said = [*rule_lines(found), *lines, *measure_lines(found), *money_lines(found)]
    blocks = [*tables, *bridges, *_levels(found), *_limits(found), *_targets(found)]
    return PageSection(title, lines=said, blocks=blocks)


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
        yield PageTable("Initiatives at another level", columns, rows, left=2, caption=caption, wide=False)


def _limits(found: Comparison) -> Iterator[PageTable]:
    rows = [_limit_row(found, item) for item in found.limits[:MOST_LIMITS]]
    if rows:
        caption = _first_of(len(found.limits), len(rows))
        columns = ("limit", *(f"used, {name}" for name in side_names(found)), "")
        yield PageTable("What holds the plan back", columns, rows, caption=caption, wide=False)


def _limit_row(found: Comparison, item: LimitChange) -> tuple[str, str, str, str]:
    said = "used up now" if item.begins else "no longer used up"
    return limit_name(found, item), _use(item.first), _use(item.second), said


def _use(limit: LimitResult | None) -> str:
    if limit is None:
        return "–"
    used = limit.limit if limit.binding else limit.used
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


def _targets(found: Comparison) -> Iterator[PageTable | PageFigure]:
    moves = listed_targets(found, MOST_TARGETS)
    rows = [target_row(found, move) for move in moves]
    caption = targets_line(found)
    if len(found.targets) > len(rows):
        caption = f"{caption}; the {len(rows)} farthest"
    table = PageTable("Targets", ("unit", "KPI", *side_names(found), "change"), rows, left=2, caption=caption)
    drawn = [
        _moved(row, move.share if move.second >= move.first else -move.share)
        for row, move in zip(rows, moves, strict=True)
        if move.share is not None and move.first is not None and move.second is not None
    ][:MOST_MOVES]
    if drawn:
        figure = intervals_figure(drawn, "Targets that move", "change against the target's size", share=True)
        yield PageFigure("Targets that move", figure, caption, wide=True, table=table)
    elif rows:
        yield table


def _moved(row: list[str], share: float) -> IntervalRow:
    mark = IntervalMark("", share, min(share, 0.0), max(share, 0.0), row[-1])
    return IntervalRow(f"{row[1]}, {row[0]}", [mark])
