"""A sweep as a page: its frontiers as figures, its points as a table."""

from __future__ import annotations

from kpiopt.analysis.frontier import Frontier
from kpiopt.report.charts import FrontierPoint, frontier_figure
from kpiopt.report.figure_page import Card, Page, PageFigure, PageSection, PageTable, render_page
from kpiopt.report.numbers import amount, percent
from kpiopt.report.sweep import ODDS, axis_text, point_texts, price_text, price_unit, y_text
from kpiopt.runs.executor import Failure
from kpiopt.runs.sweep import PointResult
from kpiopt.runs.sweep_answer import SweepAnswer, find_frontiers

MOST_ROWS = 1000


def render_sweep_page(answer: SweepAnswer) -> str:
    """Return the page."""
    axes = " and ".join(axis.path for axis in answer.axes)
    return render_page(Page(f"{answer.scenario.name} over {axes}", "kpiopt sweep", (sweep_section(answer),)))


def sweep_section(answer: SweepAnswer) -> PageSection:
    """Return a sweep as a section of any page."""
    frontiers = find_frontiers(answer)
    figures = [_figure(answer, frontier) for frontier in frontiers]
    tables = [_frontier_table(frontier) for frontier in frontiers]
    cards = [
        Card("points", f"{len(answer.points):,}", f"{len(answer.solved):,} have a plan"),
        *(_knee_card(frontier, knee) for frontier in frontiers for knee in frontier.knees.tolist()),
    ]
    return PageSection(cards=cards, blocks=[*figures, *tables, _points_table(answer)])


def _knee_card(frontier: Frontier, knee: int) -> Card:
    note = f"{frontier.y_name} {y_text(frontier, float(frontier.y[knee]))}"
    return Card(f"knee of {frontier.x_name}", amount(float(frontier.x[knee])), note)


def _figure(answer: SweepAnswer, frontier: Frontier) -> PageFigure:
    knees = set(frontier.knees.tolist())
    marks = [
        _mark(answer.results[number], float(x), float(y), i in knees, frontier.y_name == ODDS)
        for i, (number, x, y) in enumerate(zip(frontier.points.tolist(), frontier.x, frontier.y, strict=True))
    ]
    figure = frontier_figure(marks, frontier.x_name, frontier.y_name, y_is_share=True)
    return PageFigure(f"{frontier.x_name} against {frontier.y_name}", figure, "plans that no other point beats")


def _mark(result: PointResult | Failure, x: float, y: float, is_knee: bool, is_odds: bool) -> FrontierPoint:
    label, low, high = "", None, None
    if isinstance(result, PointResult):
        label = ", ".join(f"{path} = {axis_text(value)}" for path, value in result.point.values)
        if is_odds and result.all_goals:
            low, high = result.all_goals.low, result.all_goals.high
    return FrontierPoint(x, y, low, high, label, is_knee=is_knee)


def _frontier_table(frontier: Frontier) -> PageTable:
    knees = set(frontier.knees.tolist())
    rows = [
        (
            str(number),
            amount(float(frontier.x[i])),
            y_text(frontier, float(frontier.y[i])),
            price_text(frontier, i),
            "knee" if i in knees else "",
        )
        for i, number in enumerate(frontier.points.tolist())
    ]
    columns = ("point", frontier.x_name, frontier.y_name, f"price of the next, {price_unit(frontier)}", "")
    return PageTable("Price of the next point", columns, rows, caption=f"{frontier.x_name} against {frontier.y_name}")


def _points_table(answer: SweepAnswer) -> PageTable:
    columns = (*(axis.path for axis in answer.axes), "goals met", ODDS, "largest stretch", "pay at plan", "initiatives")
    rows = [
        [*values, *_figures(result)]
        for values, result in zip(point_texts(answer)[:MOST_ROWS], answer.results, strict=False)
    ]
    caption = "" if len(rows) == len(answer.points) else f"the first {len(rows):,}; all are in points.csv"
    return PageTable("Points", columns, rows, left=0, caption=caption)


def _figures(result: PointResult | Failure) -> list[str]:
    if isinstance(result, Failure):
        return ["failed", "", "", "", ""]
    if not result.is_solved:
        return ["no plan", "", "", "", ""]
    strain = dict(result.steps).get("fairness")
    return [
        f"{result.goals_met} of {len(result.goals)}",
        result.all_goals.text if result.all_goals else "",
        "" if strain is None else percent(strain, 2),
        amount(result.pay or 0.0),
        amount(result.initiatives or 0.0),
    ]
