"""A tornado as a section of any page."""

from __future__ import annotations

from collections.abc import Iterator

from kpiopt.analysis.tornado import Bar, End, Tornado
from kpiopt.report.charts import TornadoBar, tornado_figure
from kpiopt.report.figure_page import PageFigure, PageSection
from kpiopt.report.input_names import input_name
from kpiopt.report.numbers import amount
from kpiopt.runs.sensitivity import Sensitivity

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
    figure = tornado_figure(bars, found.tornado.base.estimate, name, is_share=is_share)
    caption = "each input moved alone; bars: the plan as it is, marks: planned anew"
    return PageSection(title, blocks=[PageFigure(f"Tornado, {outcome.label}", figure, caption, wide=True)])


def _bars(found: Sensitivity, tornado: Tornado) -> Iterator[TornadoBar]:
    for bar in tornado.bars[:MOST_BARS]:
        if bar.low.fixed is None or bar.high.fixed is None:
            continue
        yield TornadoBar(
            _name(found, bar),
            bar.low.fixed.estimate,
            bar.high.fixed.estimate,
            amount(bar.move.low),
            amount(bar.move.high),
            _anew(bar.low),
            _anew(bar.high),
        )


def _name(found: Sensitivity, bar: Bar) -> str:
    return input_name(found.scenario, bar.move.path)


def _anew(end: End) -> float | None:
    return end.replanned.estimate if end.replanned else None
