"""The plans that simple rules would give, beside this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kpiopt.plan.limit_names import limit_words
from kpiopt.report.charts.marks import FrontierPoint, frontier_figure
from kpiopt.report.numbers import amount, percent
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.run.judge import stretches
from kpiopt.simulation.odds import Estimate

OURS = "this plan"
MOST_BROKEN = 4


def rules_section(source: ReportSource) -> PageSection | None:
    """Return how the plans of rules do, judged by the same draws; None where no rule was judged."""
    document = source.document
    if not document["rules"]:
        return None
    met = sum(goal["met"] for goal in document["goals"])
    worst, _ = stretches(source.graph, source.stretch)
    ours = {"goals_met": met, "all_goals": document["all_goals"], "pay": document["pay"], "broken_limits": [],
            "worst_stretch": worst}  # fmt: skip
    plans = {OURS: ours, **document["rules"]}
    rows = [_row(source, name, plan) for name, plan in plans.items()]
    columns = ("plan", "limits broken", "goals met", "odds of all goals", "pay at plan", "largest stretch")
    note = "A spreadsheet's rule splits each goal down the tree and looks at no limit; same draws, same pay plans."
    table = PageTable("Beside the plans of simple rules", columns, rows, 2, note=note)
    return PageSection("What a simple rule would give", blocks=[*_figure(source, plans), table])


def _row(source: ReportSource, name: str, plan: Mapping[str, Any]) -> tuple[str, ...]:
    goals, broken = len(source.document["goals"]), plan["broken_limits"]
    odds = Estimate.from_dict(plan["all_goals"]).text if plan["all_goals"] else ""
    names = ", ".join(limit_words(source.scenario, limit["name"]) for limit in broken[:MOST_BROKEN])
    more = " …" if len(broken) > MOST_BROKEN else ""
    stretch = plan.get("worst_stretch")
    return (
        name, f"{len(broken)}: {names}{more}" if broken else "none", f"{plan['goals_met']} of {goals}", odds,
        amount(plan["pay"]["plan"], source.scenario.currency) if plan["pay"] else "",
        percent(stretch) if stretch is not None else "",
    )  # fmt: skip


def _figure(source: ReportSource, plans: Mapping[str, Mapping[str, Any]]) -> Iterator[PageFigure]:
    """Draw pay against odds, where plans differ in them."""
    known = [(name, plan["pay"]["plan"], plan["all_goals"]) for name, plan in plans.items()
             if plan["pay"] and plan["all_goals"]]  # fmt: skip
    if len({(pay, odds["estimate"]) for _, pay, odds in known}) < 2 or len({pay for _, pay, _ in known}) < 2:
        return
    points = [
        FrontierPoint(pay, odds["estimate"], odds["low"], odds["high"], name, on_frontier=name == OURS, is_named=True)
        for name, pay, odds in known
    ]
    x = f"pay at plan, {source.scenario.currency}".rstrip(", ")
    figure = frontier_figure(points, x, "odds of all goals", y_is_share=True)
    yield PageFigure("Pay against odds", figure, "up and to the left is better; what breaks limits cannot be done")
