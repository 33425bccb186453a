"""A tornado as a section of any page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kpiopt.report.charts.tornado import TornadoBar, tornado_figure
from kpiopt.report.drawing.short import short
from kpiopt.report.input_names import input_name
from kpiopt.report.numbers import amount
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.sensitivity.study import Sensitivity
from kpiopt.studies.sensitivity.tornado import Bar, End, Tornado

MOST_BARS = 15


def tornado_section(found: Sensitivity, label: str) -> PageSection:
    """Return the tornado of a study as a section; without bars it says so.

    Parameters
    ----------
    label : str
        Of the scenario that was studied.
    """
    title = f"What {label} hinges on"
    bars = list(_bars(found, found.tornado)) if found.tornado else []
    if not bars or found.tornado is None:
        return PageSection(title, lines=["No input moves the outcome."])
    outcome = found.outcome
    is_share = outcome.kind == "odds"
    name = outcome.label if is_share else f"{outcome.label} {outcome.measure}".rstrip()
    base = found.tornado.base
    text = base.text if is_share else amount(base.estimate, outcome.measure)
    figure = tornado_figure(bars, base.estimate, name, is_share=is_share, base_text=text)
    caption = f"each input moved alone, {found.settings.draws:,} draws; bars: the plan as it is, marks: planned anew"
    table = _table(found, _shown(found.tornado), is_share=is_share)
    lines = [f"Not moved ({item.count:,}): {item.what}." for item in found.left_out]
    return PageSection(
        title, lines=lines, blocks=[PageFigure(f"Tornado, {outcome.label}", figure, caption, wide=True, table=table)]
    )


def _table(found: Sensitivity, bars: Sequence[Bar], *, is_share: bool) -> PageTable:
    """Return the figure's numbers; odds with their intervals."""

    def write(value: Estimate | None) -> str:
        return "" if value is None else value.text if is_share else amount(value.estimate)

    columns = ("input", "low", "high", "outcome at low", "at high", "planned anew at low", "at high, planned anew")
    rows = [
        (
            _name(found, bar),
            short(bar.move.low),
            short(bar.move.high),
            *map(write, (bar.low.fixed, bar.high.fixed, bar.low.replanned, bar.high.replanned)),
        )
        for bar in bars
    ]
    return PageTable("", columns, rows)


def _shown(tornado: Tornado) -> list[Bar]:
    return [b for b in tornado.bars[:MOST_BARS] if b.low.fixed is not None and b.high.fixed is not None]


def _bars(found: Sensitivity, tornado: Tornado) -> Iterator[TornadoBar]:
    for bar in _shown(tornado):
        assert bar.low.fixed is not None and bar.high.fixed is not None
        yield TornadoBar(
            _name(found, bar),
            bar.low.fixed.estimate,
            bar.high.fixed.estimate,
            short(bar.move.low),
            short(bar.move.high),
            _anew(bar.low),
            _anew(bar.high),
        )


def _name(found: Sensitivity, bar: Bar) -> str:
    return input_name(found.scenario, bar.move.path)


def _anew(end: End) -> float | None:
    return end.replanned.estimate if end.replanned else None
