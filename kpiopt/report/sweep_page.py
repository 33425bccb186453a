"""A sweep as a page: its frontiers as figures, its points as a table."""

from __future__ import annotations

import numpy as np

from kpiopt.report.charts.marks import FrontierPoint, frontier_figure
from kpiopt.report.input_names import input_name
from kpiopt.report.numbers import amount, percent
from kpiopt.report.page.page import Block, Card, Page, PageFigure, PageSection, PageTable, render_page
from kpiopt.report.sweep import (
    axis_text,
    axis_texts,
    point_texts,
    price_text,
    price_unit,
    remarks,
    y_texts,
)
from kpiopt.report.swept.overview import axis_names, odds_figures, points_cards, sweep_headline, used_up_table
from kpiopt.studies.sweep.frontier import Frontier
from kpiopt.studies.sweep.point import PointResult
from kpiopt.studies.sweep.sweep_answer import ODDS, SweepAnswer, find_frontiers, unit_of_cost
from kpiopt.workers.job import Failure

MOST_ROWS = 1000


def render_sweep_page(answer: SweepAnswer) -> str:
    """Return the page."""
    drawn = answer.scenario.simulation
    odds = f" · {drawn.draws:,} draws, seed {drawn.seed}" if any(r.all_goals for r in answer.solved) else ""
    title = f"{answer.scenario.name} over {axis_names(answer)}"
    return render_page(Page(title, f"kpiopt sweep{odds}", (sweep_section(answer),), sweep_headline(answer)))


def sweep_section(answer: SweepAnswer) -> PageSection:
    """Return a sweep as a section of any page."""
    frontiers = find_frontiers(answer)
    figures = [
        _figure(answer, frontier, _frontier_table(answer, frontier) if len(frontier.points) else None)
        for frontier in frontiers
    ]
    cards = [
        *points_cards(answer),
        *(_knee_card(answer, frontier, knee) for frontier in frontiers for knee in frontier.knees.tolist()),
    ]
    blocks: list[Block] = [*odds_figures(answer), *figures, *used_up_table(answer), _points_table(answer)]
    return PageSection("", remarks(answer), cards, blocks)


def _knee_card(answer: SweepAnswer, frontier: Frontier, knee: int) -> Card:
    note = f"{frontier.y_name} {y_texts(answer, frontier)[knee]}"
    return Card(f"knee of {input_name(answer.scenario, frontier.x_name)}", axis_texts(frontier.x.tolist())[knee], note)


def _figure(answer: SweepAnswer, frontier: Frontier, table: PageTable | None) -> PageFigure:
    places = {number: i for i, number in enumerate(frontier.points.tolist())}
    knees = set(frontier.knees.tolist())
    names = {axis.path: input_name(answer.scenario, axis.path) for axis in answer.axes}
    marks = [
        _mark(answer, frontier, number, number in places, places.get(number) in knees, names)
        for number in np.flatnonzero(np.isfinite(frontier.all_x) & np.isfinite(frontier.all_y)).tolist()
    ]
    unit = unit_of_cost(answer, frontier)
    name = input_name(answer.scenario, frontier.x_name)
    x_title = name if unit in ("", frontier.x_name) else f"{name} ({unit})"
    figure = frontier_figure(marks, x_title, frontier.y_name, y_is_share=True)
    caption = "blue: no other point is better in both" + ("; red: a knee" if knees else "")
    return PageFigure(f"{name} against {frontier.y_name}", figure, caption, table=table)


def _mark(
    answer: SweepAnswer, frontier: Frontier, number: int, on_frontier: bool, is_knee: bool, names: dict[str, str]
) -> FrontierPoint:
    values = ", ".join(f"{names[path]} = {axis_text(value)}" for path, value in answer.points[number].values)
    result = answer.results[number]
    odds = result.all_goals if frontier.y_name == ODDS and isinstance(result, PointResult) else None
    x, y = float(frontier.all_x[number]), float(frontier.all_y[number])
    low, high = (odds.low, odds.high) if odds else (None, None)
    return FrontierPoint(x, y, low, high, f"point {number}: {values}", on_frontier, is_knee)


def _frontier_table(answer: SweepAnswer, frontier: Frontier) -> PageTable:
    knees, x, y = set(frontier.knees.tolist()), axis_texts(frontier.x.tolist()), y_texts(answer, frontier)
    rows = [
        (str(number), x[i], y[i], price_text(frontier, i), "knee" if i in knees else "")
        for i, number in enumerate(frontier.points.tolist())
    ]
    name = input_name(answer.scenario, frontier.x_name)
    columns = ("point", name, frontier.y_name, f"price of the next, {price_unit(answer, frontier)}", "")
    return PageTable("Efficient points", columns, rows, caption=f"{name} against {frontier.y_name}")


def _points_table(answer: SweepAnswer) -> PageTable:
    unit = f", {answer.scenario.currency}" if answer.scenario.currency else ""
    money = (f"pay at plan{unit}", f"initiatives{unit}")
    columns = (
        "point",
        *(input_name(answer.scenario, axis.path) for axis in answer.axes),
        "goals met",
        ODDS,
        "peers' largest stretch",
        *money,
    )
    rows = [
        [str(number), *values, *_figures(result)]
        for number, (values, result) in enumerate(zip(point_texts(answer)[:MOST_ROWS], answer.results, strict=False))
    ]
    caption = "" if len(rows) == len(answer.points) else f"the first {len(rows):,}; all are in points.csv"
    return PageTable("Points", columns, rows, caption=caption)


def _figures(result: PointResult | Failure) -> list[str]:
    if isinstance(result, Failure):
        return ["failed", "", "", "", ""]
    if not result.is_solved:
        return ["no plan", "", "", "", ""]
    strain = result.largest_stretch
    return [
        f"{result.goals_met} of {len(result.goals)}",
        result.all_goals.text if result.all_goals else "",
        "" if strain is None else percent(strain, 2),
        amount(result.pay or 0.0),
        amount(result.initiatives or 0.0),
    ]
