"""A back-test as a page: verdict, reliability of past odds, coverage, errors beside simpler forecasts, targets anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from kpiopt.learning.backtests.results import BINS, Backtest, LevelScore
from kpiopt.learning.backtests.scores import Reliability
from kpiopt.report.charts.intervals import IntervalMark, IntervalRow, intervals_figure
from kpiopt.report.charts.lines import Line, lines_figure
from kpiopt.report.learning.text import gain_text, plans_grid, scores_grid, targets_grid
from kpiopt.report.numbers import percent
from kpiopt.report.page.page import Block, Card, Page, PageFigure, PageSection, PageTable, render_page

MOST_ROWS, PIT_BINS = 20, 10


def backtest_page(found: Backtest, name: str, kpis: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a back-test as one self-contained page without scripts.

    Parameters
    ----------
    name : str
        Of the model that was tested.
    kpis : mapping of str to str
        Names of KPIs by id.
    """
    found = replace(
        found,
        scores=tuple(replace(score, kpi=kpis.get(score.kpi, score.kpi)) for score in found.scores),
        plans=tuple(replace(plan, kpi=kpis.get(plan.kpi, plan.kpi)) for plan in found.plans),
    )
    sections = [
        PageSection(cards=list(_cards(found)), blocks=[*_reliability(found), *_coverage(found)]),
        PageSection("Forecasts", blocks=[*_errors(found), *_transform(found), _scores_table(found)]),
    ]
    if found.plans:
        sections.append(PageSection("Targets planned anew as of then", blocks=list(_plans(found))))
    if found.notes:
        sections.append(PageSection("What to know", lines=[f"{note}." for note in found.notes]))
    subtitle = f"kpiopt backtest · stood at {', '.join(found.origins)}"
    verdict = found.verdict[:1].upper() + found.verdict[1:]
    return render_page(Page(f"{name}: how past forecasts and odds did", subtitle, sections, f"{verdict}."))


def _cards(found: Backtest) -> Iterator[Card]:
    word = "calibrated" if found.is_calibrated else found.verdict.partition(":")[0]
    note = "coverage in its band, no odds contradicted" if found.is_calibrated else "see the sentence above"
    yield Card("Verdict", word, note, "good" if found.is_calibrated else "bad")
    yield Card("Stood at", f"{len(found.origins)} periods", f"{found.origins[0]} to {found.origins[-1]}")
    right = sum(score.coverage.is_right for score in found.scores)
    tone = "good" if right == len(found.scores) else "bad"
    yield Card("Ranges that held what they should", f"{right} of {len(found.scores)}", "KPIs, levels, horizons", tone)
    if found.scores:
        better = sum(score.crps < score.naive for score in found.scores)
        best = max(found.scores, key=lambda score: score.gain[0])
        value, _, interval = gain_text(best.gain).partition(" (")
        ends = f", 95 % interval {interval.rstrip(')')} %" if interval else ""
        note = f"KPIs, levels, horizons; error smaller by {value} at best ({best.kpi}, {best.level}{ends})"
        yield Card("Better than last year's values", f"{better} of {len(found.scores)}", note)
    if found.targets is not None:
        count = len(found.targets.given)
        yield Card("Odds of past targets", f"Brier {found.targets.brier:.3f}", f"{count} targets; 0 is perfect")


def _reliability(found: Backtest) -> Iterator[PageFigure]:
    """Draw odds given against what was hit: fifths with intervals, the isotonic curve, the diagonal."""
    if found.targets is None or not len(found.targets.given):
        return
    figure = lines_figure(
        list(_reliability_lines(found.targets)),
        "Reliability",
        "odds that were given",
        "share that was hit",
        share=True,
        x_share=True,
    )
    grid = targets_grid(found.targets)
    table = PageTable("", grid.columns, [[field.plain for field in row] for row in grid.rows])
    caption = "odds given to the history's own targets; on the dashes odds are what they say"
    yield PageFigure("Reliability", figure, caption, table=table)


def _reliability_lines(targets: Reliability) -> Iterator[Line]:
    places, shares, lows, highs = [], [], [], []
    for start in BINS:
        count, share, low, high = targets.bin(start, start + 0.2)
        if count:
            inside = targets.given[(targets.given >= start) & (targets.given <= start + 0.2)]
            places.append(float(inside.mean()))
            shares.append(share)
            lows.append(low)
            highs.append(high)
    yield Line("by fifths, 95 % band", places, shares, lows, highs)
    given, first = np.unique(targets.given, return_index=True)
    yield Line("isotonic", given.tolist(), targets.calibrated[first].tolist())
    yield Line("as given", [0.0, 1.0], [0.0, 1.0], dashed=True)


def _coverage(found: Backtest) -> Iterator[PageFigure]:
    """Draw how often 5-to-95 % ranges held, each beside the band in which the share should lie."""
    rows = []
    for score in found.scores[:MOST_ROWS]:
        held = score.coverage
        mark = IntervalMark("", held.share, held.share, held.share, f"{percent(held.share, 0)} of {held.count}")
        rows.append(IntervalRow(_name(score), [mark], (held.low, held.high)))
    if rows:
        figure = intervals_figure(rows, "Coverage", "share of cases in the 5-to-95 % range", share=True, zero=0.9)
        caption = "grey: where the share lies in 95 of 100 cases if the ranges are right; line: 90 %"
        yield PageFigure("Coverage", figure, caption)


def _errors(found: Backtest) -> Iterator[PageFigure]:
    """Draw the errors of the forecasts beside those of last year's and the last period's values."""
    rows = []
    for score in found.scores[:MOST_ROWS]:
        named = (("forecast", score.crps), ("last year", score.naive), ("last period", score.last))
        marks = [IntervalMark(name, error, error, error, percent(error)) for name, error in named]
        rows.append(IntervalRow(_name(score), marks))
    if rows:
        figure = intervals_figure(rows, "Errors", "error as a share of what happened", share=True)
        yield PageFigure("Errors", figure, "smaller is better; CRPS, which is the absolute error of a single number")


def _transform(found: Backtest) -> Iterator[PageFigure]:
    """Draw where in their forecast distribution things happened: even, where forecasts are right."""
    lines = []
    for score in found.scores:
        values = np.array(score.transform)
        if len(values) >= 2 * PIT_BINS:
            counts, edges = np.histogram(values, PIT_BINS, (0.0, 1.0))
            middles = (0.5 * (edges[1:] + edges[:-1])).tolist()
            lines.append(Line(_name(score), middles, (counts / len(values)).tolist()))
    if lines:
        even = Line("even", [0.0, 1.0], [1.0 / PIT_BINS] * 2, dashed=True)
        title, share = "place in the forecast distribution", "share of cases"
        figure = lines_figure([*lines[:4], even], "Where things happened", title, share, share=True, x_share=True)
        caption = "on the dashes forecasts are right; high at both ends, they are too narrow"
        yield PageFigure("Where things happened", figure, caption)


def _scores_table(found: Backtest) -> PageTable:
    grid = scores_grid(found)
    rows = [[field.plain for field in row] for row in grid.rows]
    return PageTable("Errors as shares of what happened, and ranges", grid.columns, rows, 2)


def _plans(found: Backtest) -> Iterator[Block]:
    rows = []
    for score in found.plans[:MOST_ROWS]:
        named = [("planned", score.plan.error), ("last year + x %", score.last_year)]
        named += [("last period + x %", score.last_period)]
        named += [] if score.given is None else [("set then", score.given)]
        marks = [IntervalMark(name, error, error, error, percent(error)) for name, error in named]
        rows.append(IntervalRow(f"{score.kpi}, {score.horizon} ahead", marks))
    figure = intervals_figure(rows, "Targets anew", "mean absolute error, share of what happened", share=True)
    grid = plans_grid(found)
    table = PageTable("Targets planned anew", grid.columns, [[field.plain for field in row] for row in grid.rows])
    yield PageFigure("How near targets came", figure, "smaller is nearer; all with the same total", wide=True)
    yield table


def _name(score: LevelScore) -> str:
    return f"{score.kpi}, {score.level}, {score.horizon} ahead"
