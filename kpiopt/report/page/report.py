"""The report of a run: everything about one plan on one page."""

from __future__ import annotations

from kpiopt.report.page.cascade import cascade_section
from kpiopt.report.page.goals import goals_section, headline, tiles
from kpiopt.report.page.limits import limits_section, money_section
from kpiopt.report.page.page import Page, PageMap, PageSection, PageTable, render_page
from kpiopt.report.page.proof import assumptions_section, proof_section
from kpiopt.report.page.source import ReportSource
from kpiopt.report.strategy_map.collect import collect_map
from kpiopt.report.strategy_map.content import StrategyMap
from kpiopt.report.strategy_map.drawing import arrow_text, draw_map
from kpiopt.report.strategy_map.selection import fold_large

MOST_ARROWS = 300


def render_report(source: ReportSource) -> str:
    """Return the report as one HTML document."""
    drawn = source.document["simulation"]
    draws = f" · {drawn['draws']:,} draws, seed {drawn['seed']}" if drawn else ""
    variant = f" · variant {source.scenario.variant}" if source.scenario.variant else ""
    sections = (
        PageSection(cards=tiles(source), blocks=[map_block(fold_large(collect_map(source.map_source())))]),
        goals_section(source),
        cascade_section(source),
        limits_section(source),
        money_section(source),
        assumptions_section(source),
        proof_section(source),
    )
    subtitle = f"run {source.name}{variant}{draws}"
    page = Page(f"{source.scenario.name}: target plan", subtitle, sections, headline(source), scripts=("map.js",))
    return render_page(page)


def render_map_page(found: StrategyMap) -> str:
    """Return a strategy map alone as one HTML document."""
    return render_page(Page(found.title, found.note, [PageSection(blocks=[map_block(found)])], scripts=("map.js",)))


def map_block(found: StrategyMap) -> PageMap:
    """Return a strategy map as a block of a page."""
    caption = found.note or "choose a card to see what drives it and what it drives; arrow keys follow the arrows"
    folded = {card: draw_map(part, standalone=False) for card, part in found.folded.items()}
    return PageMap("Strategy map", draw_map(found, standalone=False), caption, folded, _arrow_table(found))


def _arrow_table(found: StrategyMap) -> PageTable:
    names = {card.id: card.name for card in found.cards}
    rows = [(names[a.cause], names[a.effect], arrow_text(found, a).partition(": ")[2]) for a in found.arrows]
    caption = f"the first {MOST_ARROWS} of {len(rows):,}" if len(rows) > MOST_ARROWS else ""
    return PageTable("", ("cause", "effect", "how much"), rows[:MOST_ARROWS], 3, caption)
