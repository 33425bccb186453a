"""The report of a run: everything about one plan on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kpiopt.report.asks.section import asks_section
from kpiopt.report.page.cascade import cascade_section
from kpiopt.report.page.goals import goals_section, headline, tiles
from kpiopt.report.page.limits import limits_section, money_section
from kpiopt.report.page.page import Page, PageMap, PageSection, PageTable, render_page
from kpiopt.report.page.periods import periods_section
from kpiopt.report.page.promises import promises_section
from kpiopt.report.page.proof import assumptions_section, proof_section
from kpiopt.report.page.rules import rules_section
from kpiopt.report.page.source import ReportSource
from kpiopt.report.strategy_map.collect import collect_map
from kpiopt.report.strategy_map.content import StrategyMap
from kpiopt.report.strategy_map.drawing import arrow_text, draw_map
from kpiopt.report.strategy_map.selection import fold_large

MOST_ARROWS, MOST_BRIEF = 300, 10


def render_report(source: ReportSource) -> str:
    """Return the report as one HTML document, its map with levers where they are found out at once."""
    from kpiopt.report.page.levers import are_light

    return render_page(build_report(source, levers=are_light(source)))


def build_report(source: ReportSource, *, levers: bool = False, more: Sequence[PageSection] = ()) -> Page:
    """Return the report as a page, for a browser or for paper.

    Parameters
    ----------
    levers : bool
        Whether its map has levers: what happens when an action is taken, offline.
    more : sequence of PageSection
        Further sections, such as a frontier and a tornado of the plan.
    """
    found = fold_large(collect_map(source.map_source()))
    moved, why = None, ""
    if levers:
        from kpiopt.report.page.levers import lever_data, why_no_levers  # only where they are asked for

        moved = lever_data(source, found)
        why = why_no_levers(source) if moved is None else ""
    elif source.simulation is not None and source.scenario.goals:
        why = f"What happens when an action is taken: kpiopt report {source.name} writes this page with levers."
    drawn = source.document["simulation"]
    draws = f" · {drawn['draws']:,} draws, seed {drawn['seed']}" if drawn else ""
    variant = f" · variant {source.scenario.variant}" if source.scenario.variant else ""
    beside = [section for section in (asks_section(source), rules_section(source)) if section]
    promised = [section for section in (promises_section(source),) if section]
    by_period = [periods_section(source)] if source.scenario.periods is not None else []
    goals = goals_section(source)
    limits, money = limits_section(source), money_section(source)
    first = [replace(block, only="paper") for block in goals.blocks if isinstance(block, PageTable)]
    first += _in_brief(limits, "Limits, ", MOST_BRIEF - len(source.document["goals"]))
    pictures = [replace(block, only="screen") if isinstance(block, PageTable) else block for block in goals.blocks]
    sections = (
        PageSection(cards=tiles(source), blocks=[*first, map_block(found, moved, why)]),
        replace(goals, blocks=pictures),
        *promised,
        *by_period,
        cascade_section(source),
        limits,
        money,
        *beside,
        *more,
        assumptions_section(source),
        proof_section(source),
    )
    subtitle = f"run {source.name}{variant}{draws}"
    said = [section for section in sections if section.lines or section.cards or section.blocks]
    data = {"lever-data": moved} if moved else {}
    scripts = ("map.js", "levers.js") if moved else ("map.js",)
    return Page(f"{source.scenario.name}: target plan", subtitle, said, headline(source), data, scripts)


def _in_brief(section: PageSection, title: str, most: int) -> list[PageTable]:
    """Return the table of a section for the first page on paper, where what it shows at once is short."""
    tables = [block for block in section.blocks if isinstance(block, PageTable) and block.title.startswith(title)]
    brief = [replace(t, only="paper", rows=t.rows[: t.shown], shown=None, note="") for t in tables]
    return [table for table in brief if 0 < len(table.rows) <= most]


def render_map_page(found: StrategyMap) -> str:
    """Return a strategy map alone as one HTML document."""
    return render_page(Page(found.title, found.note, [PageSection(blocks=[map_block(found)])], scripts=("map.js",)))


def map_block(found: StrategyMap, moved: dict[str, Any] | None = None, why: str = "") -> PageMap:
    """Return a strategy map as a block of a page, with levers where their data is given, else why there are none."""
    caption = found.note or "choose a card to see what drives it and what it drives; arrow keys follow the arrows"
    folded = {card: draw_map(part, standalone=False) for card, part in found.folded.items()}
    cards, lines = set[str](), [why] * bool(why)
    if moved:
        from kpiopt.report.page.levers import lever_cards, lever_lines

        cards, lines = lever_cards(moved, found), list(lever_lines(moved))
    drawn = draw_map(found, standalone=False, levers=cards)
    return PageMap("Strategy map", drawn, caption, folded, _arrow_table(found), lines, bool(moved))


def _arrow_table(found: StrategyMap) -> PageTable:
    names = {card.id: card.name for card in found.cards}
    rows = [(names[a.cause], names[a.effect], arrow_text(found, a).partition(": ")[2]) for a in found.arrows]
    caption = f"the first {MOST_ARROWS} of {len(rows):,}" if len(rows) > MOST_ARROWS else ""
    return PageTable("", ("cause", "effect", "how much"), rows[:MOST_ARROWS], 3, caption)
