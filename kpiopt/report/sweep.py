"""A sweep on a terminal: its points, the frontier, where it bends, and what the next point costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.reading.key_path import key_text
from kpiopt.reading.toml.emit import value_text
from kpiopt.reading.toml.text import read_path
from kpiopt.report.grid import Grid, heading, indented, narrower
from kpiopt.report.input_names import input_name
from kpiopt.report.numbers import MAX_DECIMALS, amount, percent
from kpiopt.studies.sweep.frontier import Frontier
from kpiopt.studies.sweep.point import PointResult
from kpiopt.studies.sweep.sweep_answer import (
    ODDS,
    SweepAnswer,
    find_best_in_both,
    find_frontiers,
    odds_on,
    unit_of_cost,
)
from kpiopt.workers.job import Failure

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_POINTS = 30
LONGEST_HEADING = 14
MONEY_COLUMNS = 2
SHOWN_FAILURES = 5
NO_KNEE = "No knee stands out."


def render_sweep(answer: SweepAnswer, folder: Path) -> Group:
    """Lay out a sweep for any width."""
    return Group(*_verdict(answer), *_points(answer), *_frontiers(answer), *_failures(answer), *_where(folder))


def _verdict(answer: SweepAnswer) -> Iterator[RenderableType]:
    axes = " and ".join(axis.path for axis in answer.axes)
    yield Text(printable(f"{answer.scenario.name} over {axes}: {', '.join(counts(answer))}."), style="bold")


def counts(answer: SweepAnswer) -> list[str]:
    """Say how many points have a plan, have none, and failed."""
    n, solved, failed = len(answer.points), len(answer.solved), len(answer.failures)
    parts = [f"{solved:,} of {n:,} points have a plan"]
    if n - solved - failed:
        parts.append(f"{n - solved - failed:,} have none, proved")
    if failed:
        parts.append(f"{failed:,} failed")
    return parts


def _points(answer: SweepAnswer) -> Iterator[RenderableType]:
    """All points, or of many an even choice with both ends."""
    yield heading("Points")
    drawn = any(result.all_goals for result in answer.solved)
    written = point_texts(answer)
    shown = np.unique(np.linspace(0, len(answer.points) - 1, min(SHOWN_POINTS, len(answer.points))).round().astype(int))
    columns = _point_columns(answer, drawn)
    grid = Grid(columns)
    for i in shown.tolist():
        grid.add(f"{i}", *written[i], *_point_row(answer.results[i], drawn))
    yield narrower(grid, *columns[-MONEY_COLUMNS:])
    if len(shown) < len(answer.points):
        yield indented(f"{len(shown)} of {len(answer.points):,} points shown; all are in points.csv.", "dim")


def point_texts(answer: SweepAnswer) -> list[list[str]]:
    """Return the values of every point as texts."""
    texts = [dict(zip(map(value_text, a.values), axis_texts(a.values), strict=True)) for a in answer.axes]
    return [[texts[i][value_text(value)] for i, (_, value) in enumerate(point.values)] for point in answer.points]


def _point_row(result: PointResult | Failure, drawn: bool) -> list[str]:
    if isinstance(result, Failure):
        return ["failed", *[""] * (3 + drawn)]
    if not result.is_solved:
        return ["no plan", *[""] * (3 + drawn)]
    odds = [result.all_goals.text if result.all_goals else ""] if drawn else []
    strain = result.largest_stretch
    return [
        f"{result.goals_met} of {len(result.goals)}",
        *odds,
        "" if strain is None else percent(strain, 2),
        amount(result.pay or 0.0),
        amount(result.initiatives or 0.0),
    ]


def _point_columns(answer: SweepAnswer, drawn: bool) -> tuple[str, ...]:
    currency = answer.scenario.currency
    odds = (ODDS,) if drawn else ()
    money = (f"pay at plan\n{currency}".rstrip(), f"initiatives\n{currency}".rstrip())
    axes = (_folded(axis.path) for axis in answer.axes)
    return ("point", *axes, "goals\nmet", *odds, "peers' largest\nstretch", *money)


def _folded(name: str) -> str:
    """Break a long path behind the dots of its keys, or a long name between its words, to stand as a heading."""
    key = read_path(name)
    parts = [key_text(str(part)) + "." for part in key[:-1]] + [key_text(str(key[-1]))] if key else name.split()
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1] + part) > LONGEST_HEADING:
            lines.append("")
        lines[-1] += part if key or not lines[-1] else f" {part}"
    return "\n".join(lines)


def axis_text(value: Any, decimals: int | None = None) -> str:
    """Write a value of an axis: numbers with separators, the rest as in the file but for the quotes of a text.

    Examples
    --------
    >>> axis_text(500_000), axis_text(0.9), axis_text(13.5, 2), axis_text(True), axis_text("sobol")
    ('500,000', '0.9', '13.50', 'true', 'sobol')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value_text(value)
    return f"{value:,.10g}" if decimals is None else f"{value:,.{decimals}f}"


def axis_texts(values: Sequence[Any]) -> list[str]:
    """Write the values of one axis, numbers with as many decimals as tell them apart."""
    numbers = sorted({float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)})
    decimals = _decimals_apart(numbers)
    return [axis_text(value, decimals) for value in values]


def _decimals_apart(numbers: Sequence[float]) -> int | None:
    """Return the fewest decimals that show sorted numbers to a hundredth of their distance; None where ten do not."""
    gaps = [b - a for a, b in itertools.pairwise(numbers)] or [abs(n) for n in numbers]
    allowed = 0.005 * min(gaps, default=0.0)
    fitting = (d for d in range(MAX_DECIMALS + 1) if all(abs(n - round(n, d)) <= allowed for n in numbers))
    return next(fitting, None)


def _frontiers(answer: SweepAnswer) -> Iterator[RenderableType]:
    for frontier in find_frontiers(answer):
        yield heading(f"Efficient frontier: {frontier.x_name} against {frontier.y_name}")
        knees, x, y = set(frontier.knees.tolist()), axis_texts(frontier.x.tolist()), y_texts(answer, frontier)
        price = "price of the next\n" + price_unit(answer, frontier).replace(" per ", " per\n")
        grid = Grid(("point", _folded(frontier.x_name), frontier.y_name, price, ""), left=1)
        for i in shown_on_frontier(frontier):
            grid.add(f"{frontier.points[i]}", x[i], y[i], price_text(frontier, i), "knee" if i in knees else "")
        yield grid
        if not knees and len(frontier.points) > 2:
            yield indented(NO_KNEE, "dim")
    yield from (indented(text) for text in remarks(answer))


def where_text(answer: SweepAnswer, number: int) -> str:
    """Say where a point lies: "Goal for Sales = 2,200,000, cash budget = 4,000"."""
    values = zip(answer.axes, point_texts(answer)[number], strict=True)
    return ", ".join(f"{input_name(answer.scenario, axis.path)} = {text}" for axis, text in values)


def remarks(answer: SweepAnswer) -> list[str]:
    """Say where nothing is to be traded off, and which odds are not about the same thing."""
    same = [
        f"No trade-off between {input_name(answer.scenario, frontier.x_name)} and {frontier.y_name}: the "
        f"plan with {where_text(answer, frontier.points[0])} is best in both."
        for frontier in find_best_in_both(answer)
    ]
    goals = [
        input_name(answer.scenario, axis.path) for axis in answer.axes if (read_path(axis.path) or ("",))[0] == "goal"
    ]
    drawn = any(result.all_goals for result in answer.solved)
    return (
        [*same, f"{' and '.join(goals)}: the odds of each point are those of what is wanted there."]
        if goals and drawn
        else same
    )


def shown_on_frontier(frontier: Frontier) -> list[int]:
    """Return positions on a frontier to show: all of a few, else an even choice with its ends and knees."""
    n = len(frontier.points)
    even = np.linspace(0, n - 1, min(SHOWN_POINTS // 2, n)).round().astype(int)
    return sorted({*even.tolist(), *frontier.knees.tolist()})


def y_texts(answer: SweepAnswer, frontier: Frontier) -> list[str]:
    """Write the second measure of a frontier's points: odds with their intervals, stretch as a share."""
    odds = odds_on(answer, frontier)
    return [percent(value, 2) for value in frontier.y] if odds is None else [estimate.text for estimate in odds]


def price_unit(answer: SweepAnswer, frontier: Frontier) -> str:
    """Return what a price counts, as "USD per percentage point"."""
    return f"{unit_of_cost(answer, frontier)} per percentage point".lstrip()


def price_text(frontier: Frontier, position: int) -> str:
    """Write what one percentage point more costs on the way to the next point; "" at the last one."""
    return amount(float(frontier.prices[position]) / 100) if position < len(frontier.prices) else ""


def _failures(answer: SweepAnswer) -> Iterator[RenderableType]:
    if not answer.failures:
        return
    yield heading("Failed")
    for point, failure in answer.failures[:SHOWN_FAILURES]:
        values = ", ".join(f"{path} = {axis_text(value)}" for path, value in point.values)
        problem = failure.problems[0] if failure.problems else None
        yield indented(f"{values}: {f'{problem.code}: {problem.message}' if problem else failure.kind}")
    if len(answer.failures) > SHOWN_FAILURES:
        yield indented(f"… and {len(answer.failures) - SHOWN_FAILURES:,} more")
    kept = "The others are kept; the" if len(answer.failures) < len(answer.points) else "The"
    yield indented(f"{kept} same command tries these again.")


def _where(folder: Path) -> Iterator[RenderableType]:
    yield heading("Where it is")
    yield indented(f"{folder}: points.csv (every figure of every point), sweep.json, summary.txt, scenario.toml")
