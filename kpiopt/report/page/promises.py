"""What a plan promises of its odds, on a page: what became of it, what would buy more, and what odds cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kpiopt.report.charts.marks import FrontierPoint, frontier_figure
from kpiopt.report.numbers import amount, percent
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.report.promised.prices import PRICE_COLUMNS, margin_sentences, missed_sentences, price_rows, risk_sentences
from kpiopt.report.promised.sentences import DISTANCE
from kpiopt.simulation.odds import Estimate

TOLD = 10


def promises_section(source: ReportSource) -> PageSection | None:
    """Return what is promised; None where nothing is, and what odds cost was not asked."""
    promises, missed = source.document.get("promises") or (), source.document.get("missed_odds")
    lines = list(_repairs(missed)) if missed else []
    blocks: list[PageTable | PageFigure] = []
    if promises:
        columns = ("promise", "odds", "draws it was made on", "other draws", "kept in hand", "made again", "")
        blocks.append(PageTable("What the plan promises", columns, [_row(source, entry) for entry in promises]))
    if source.risk is not None:
        blocks += _prices(source, source.risk)
        lines += [
            *missed_sentences(source.risk),
            *risk_sentences(source.risk),
            *list(margin_sentences(source.risk, source.scenario))[:TOLD],
        ]
    return PageSection("Promised odds", lines, blocks=blocks) if lines or blocks else None


def _row(source: ReportSource, entry: Mapping[str, Any]) -> tuple[str, ...]:
    goal = source.scenario.goals.get(entry["promise"])
    if goal is None:
        in_hand = f"{percent(entry['cushion'])} {DISTANCE}"
    else:
        kpi = source.scenario.kpis[goal.kpi]
        in_hand = amount(entry["cushion"], kpi.unit, kpi.step)
    times = entry["made_again"]
    return (
        entry["promise"] if goal else " and ".join(entry["goals"]),
        f"{100 * entry['p_min']:.4g} %", percent(entry["planned"]),
        Estimate.from_dict(entry["odds"]).text if entry["odds"] else "not simulated",
        in_hand, "" if not times else "once" if times == 1 else f"{times} times",
        "kept" if entry["kept"] else "missed",
    )  # fmt: skip


def _repairs(missed: Mapping[str, Any]) -> Iterator[str]:
    for entry in missed["best"]:
        yield f"The best odds of {entry['promise']} that were found within the limits are {percent(entry['odds'])}."
    for number, repair in enumerate(missed["repairs"]):
        yield f"{'All promises are kept' if number == 0 else 'Or'} if you {repair['text']} (tried)."


def _prices(source: ReportSource, risk: Mapping[str, Any]) -> Iterator[PageTable | PageFigure]:
    rows, currency = list(price_rows(risk, source.scenario.currency)), source.scenario.currency
    table = PageTable("What odds cost", PRICE_COLUMNS, rows)
    points = [
        FrontierPoint(
            price["cost"], price["odds"], None, None, percent(price["odds"], 0), on_frontier=price["kept"],
            is_knee=price["odds"] == risk["knee"], is_named=True,
        )
        for price in risk["prices"]
    ]  # fmt: skip
    if len({point.x for point in points}) < 2:
        yield table
        return
    figure = frontier_figure(points, f"cost, {currency}".rstrip(", "), "odds of all goals", y_is_share=True)
    yield PageFigure("What odds cost", figure, "pay at plan, initiatives, and effort at its price", table=table)
