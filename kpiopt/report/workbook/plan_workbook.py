"""The workbook of a run: what is true first, then a sheet for each table, then the checks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kpiopt.report.page.goals import headline, tiles
from kpiopt.report.page.source import ReportSource
from kpiopt.report.workbook.book import BLUE, FORMATS, LINE, NAVY, RED, SOFT, Book, Page
from kpiopt.report.workbook.checks import checks_sheet, overall
from kpiopt.report.workbook.rows import PlanRows
from kpiopt.report.workbook.sheet import Formula, Sheet
from kpiopt.report.workbook.tables import (
    goals_sheet,
    initiatives_sheet,
    limits_sheet,
    odds_sheet,
    pay_sheet,
    proof_sheet,
    rules_sheet,
)
from kpiopt.report.workbook.targets import periods_sheet, targets_sheet, tree_sheets

ROWS_OF_RUNS = 4_000
"""Rows of one table in the workbook that every run writes; `kpiopt report --xlsx` writes all."""
ROWS_OF_EXCEL = 1_048_000
SUMMARY_COLUMNS = ("goal", "baseline", "target", "plan", "growth planned", "odds")
WIDTHS = (34, 17, 17, 17, 17, 17)

TELLS = {
    "Goals": "what is wanted, what is planned, how likely each is",
    "Targets": "what is asked of whom: every target of the plan",
    "Periods": "each target with those of its periods",
    "Odds": "how the values of KPIs spread over the draws",
    "Limits": "capacities and budgets: use, shadow price, range",
    "Initiatives": "levels, what they use, what they add to each goal",
    "Pay": "variable pay of each unit; confidential",
    "Rules": "the plans that simple rules would give",
    "Checks": "formulas that tie the sheets together",
    "Proof": "what the independent check found",
}


def render_workbook(source: ReportSource, most: int = ROWS_OF_RUNS) -> bytes:
    """Return a run as a workbook; equal runs give equal bytes.

    Parameters
    ----------
    most : int
        Rows that one table may have; what is left out is said on its sheet.
    """
    plan = PlanRows(source, most)
    trees, positions, left = tree_sheets(plan)
    found: list[Sheet | None] = [goals_sheet(plan), targets_sheet(plan), periods_sheet(plan), *trees,
                                 odds_sheet(plan), limits_sheet(plan),
                                 initiatives_sheet(plan), pay_sheet(plan), rules_sheet(plan)]  # fmt: skip
    sheets = {sheet.name: sheet for sheet in found if sheet is not None}
    names = {tree.name: position for tree, position in zip(trees, positions, strict=True)}
    sheets["Checks"] = checks_sheet(plan, sheets, names)
    sheets["Proof"] = proof_sheet(plan)
    book = Book()
    _write_summary(book, plan, list(sheets.values()), left)
    for sheet in sheets.values():
        book.add(sheet, f"kpiopt run {source.name}")
    return book.content()


def _write_summary(book: Book, plan: PlanRows, sheets: Sequence[Sheet], left: int) -> None:
    """Write the first sheet: headline, figures, goals with their odds, what stands where."""
    source, page = plan.source, book.page("Summary")
    page.widths(*WIDTHS, 44)
    variant = f", variant {source.scenario.variant}" if source.scenario.variant else ""
    page.put(1, 1, f"{source.scenario.name}{variant}: target plan", bold=True, font_size=18, font_color=NAVY)
    page.put(2, 1, f"kpiopt run {source.name}{_draws(source)}", font_color=SOFT)
    page.across(4, WIDTHS, headline(source), bold=True, font_size=11)
    cards = tiles(source)[:6]
    for i, card in enumerate(cards):
        colour = {"good": "#1F7A54", "bad": RED}.get(card.tone, NAVY)
        page.put(6, i + 1, card.title, font_color=SOFT, top=2, top_color=NAVY)
        page.put(7, i + 1, card.value, bold=True, font_size=13, font_color=colour, shrink=True)
        page.put(8, i + 1, card.note, font_color=SOFT, font_size=9, text_wrap=True, valign="top")
    page.height(8, 12.5 * max(math.ceil(1.1 * len(c.note) / w) for c, w in zip(cards, WIDTHS, strict=False)))
    goals = sheets[0]
    row = _write_goals(page, plan, goals, 10)
    checks = next(sheet for sheet in sheets if sheet.name == "Checks")
    page.put(row + 1, 1, overall(checks), bold=True, font_color=BLUE)
    row += 3
    page.put(row, 1, "What stands where", bold=True, font_color=NAVY, bottom=1, bottom_color=LINE)
    for i, sheet in enumerate(sheets):
        page.put(row + 1 + i, 1, sheet.name, bold=True)
        page.put(row + 1 + i, 2, TELLS.get(sheet.name, f"{sheet.title}: split among the units"))
    row += len(sheets) + 2
    if left:
        page.put(row, 1, f"{left} more KPIs that are split among units stand in the sheet Targets.", font_color=SOFT)
    page.prepare(f"kpiopt run {source.name}", 1, 0)


def _draws(source: ReportSource) -> str:
    drawn = source.document["simulation"]
    return f", {drawn['draws']:,} draws, seed {drawn['seed']}" if drawn else ", odds were not simulated"


def _write_goals(page: Page, plan: PlanRows, goals: Sheet, row: int) -> int:
    """Write the goals as references to their own sheet; return the row below them."""
    for i, header in enumerate(SUMMARY_COLUMNS):
        look = {"bold": True, "bg_color": NAVY, "font_color": "#FFFFFF", "align": "right" if i else "left"}
        page.put(row, i + 1, header, **look)
    headers = [c.header for c in goals.columns]
    for i, values in enumerate(goals.rows):
        for j, header in enumerate(SUMMARY_COLUMNS):
            value = values[headers.index(header)]
            form = {"growth planned": "0.0%", "odds": FORMATS["odds"]}.get(header, goals.formats[i])
            value = value.value if isinstance(value, Formula) else value
            if value is not None:
                value = Formula(f"={goals.cell(header, i)}", value)
            page.put(
                row + 1 + i, j + 1, value, num_format=form, bottom=1, bottom_color=LINE, align="right" if j else "left"
            )
    if goals.rows:
        page.show("bar", len(SUMMARY_COLUMNS), row + 1, row + len(goals.rows))
    return row + len(goals.rows) + 1
