"""The report's section on what stands beside the plan: cushions."""

from __future__ import annotations

from collections.abc import Iterator

from kpiopt.report.numbers import percent
from kpiopt.report.page.page import PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.simulation import Estimate


def asks_section(source: ReportSource) -> PageSection | None:
    """Return what is asked beside the plan; None where there is nothing of it."""
    blocks = list(_cushions(source))
    return PageSection("On top of the plan and beside it", blocks=blocks) if blocks else None


def _cushions(source: ReportSource) -> Iterator[PageTable]:
    found = source.document.get("over_assignment") or ()
    rows = [
        (
            entry["level"], percent(entry["share"]), entry["goal"] or "", percent(entry["wanted"], 0)
            if entry["wanted"] else "", Estimate.from_dict(entry["odds"]).text if entry["odds"] else "",
        )
        for entry in found
    ]  # fmt: skip
    if rows:
        columns = ("level", "more than planned", "for the goal", "odds wanted", "odds when it is worked for")
        note = "Targets include it, and pay goes by them; the plan, its limits and the odds of the goals do not."
        yield PageTable("Over-assignment", columns, rows, 1, note=note)
