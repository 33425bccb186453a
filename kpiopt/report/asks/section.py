"""The report's section on what stands on top of the plan and beside it: cushions, offers, fairness."""

from __future__ import annotations

from collections.abc import Iterator

from kpiopt.report.asks.sentences import largest_gaps
from kpiopt.report.numbers import amount, change, percent
from kpiopt.report.page.page import PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.simulation.odds import Estimate

MOST_GAPS = 40


def asks_section(source: ReportSource) -> PageSection | None:
    """Return what is asked beside the plan; None where there is nothing of it."""
    blocks = [*_cushions(source), *_gaps(source), *_fairness(source)]
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


def _gaps(source: ReportSource) -> Iterator[PageTable]:
    scenario, gaps = source.scenario, source.document.get("gap") or ()
    if not gaps:
        return
    largest = {(row["unit"], row["kpi"]) for row in largest_gaps(source.document)[:MOST_GAPS]}
    shown = [row for row in gaps if len(gaps) <= MOST_GAPS or (row["unit"], row["kpi"]) in largest]
    rows = []
    for row in shown:
        kpi, position = scenario.kpis[row["kpi"]], scenario.units.position[row["unit"]]
        names = ("top_down", "bottom_up", "plan", "target")
        amounts = ["" if row[name] is None else amount(row[name], "", kpi.step) for name in names]
        indent = "\u2003" * int(scenario.units.depth[position])
        missing = change(row["bottom_up"] - row["target"], kpi.unit, kpi.step)
        rows.append((indent + scenario.units.names[position], kpi.name, *amounts, missing))
    left = len(gaps) - len(shown)
    more = f" {left:,} smaller gaps are left out, all are in gap.csv." if left else ""
    note = f"Who offers nothing counts at the baseline in what is rolled up.{more}"
    columns = (
        "unit",
        "KPI",
        "top-down: goal in proportion",
        "bottom-up: offered",
        "plan",
        "target",
        "offered - target",
    )
    yield PageTable("Top-down meets bottom-up", columns, rows, 2, note=note)


def _fairness(source: ReportSource) -> Iterator[PageTable]:
    """The price of fairness, where it was looked at: goals, cost and odds with and without."""
    found = source.document.get("fairness") or {}
    price = found.get("price")
    if not price:
        return
    currency, rows = source.scenario.currency, []
    for goal, free in zip(source.document["goals"], price["goals"], strict=True):
        kpi = source.scenario.kpis[goal["kpi"]]
        plan, other = (amount(entry["plan"], kpi.unit, kpi.step) for entry in (goal, free))
        odds = [Estimate.from_dict(entry["odds"]).text if entry["odds"] else "" for entry in (goal, free)]
        rows.append((f"goal {goal['goal']}", f"{plan}, {odds[0]}".rstrip(", "), f"{other}, {odds[1]}".rstrip(", ")))
    rows.append(("cost", amount(price["cost_with"], currency), amount(price["cost"], currency)))
    note = f"Peers are compared by {found['measure']}."
    yield PageTable("What comparing peers costs", ("", "with fairness", "without"), rows, 1, note=note)
