"""A sweep on a terminal: its points, the frontier, where it bends, and what the next point costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from kpiopt.analysis.frontier import Frontier
from kpiopt.errors import printable
from kpiopt.report.grid import Grid
from kpiopt.report.numbers import MAX_DECIMALS, amount, percent
from kpiopt.runs.axes import value_text
from kpiopt.runs.executor import Failure
from kpiopt.runs.sweep import PointResult
from kpiopt.runs.sweep_answer import SweepAnswer, find_frontiers

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_POINTS = 30
SHOWN_FAILURES = 5
ODDS = "odds of all goals"


def render_sweep(answer: SweepAnswer, folder: Path) -> Group:
    """Lay out a sweep for any width."""
    return Group(*_verdict(answer), *_points(answer), *_frontiers(answer), *_failures(answer), *_where(folder))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _line(text: str, style: str = "") -> Padding:
    return Padding(Text(printable(text), style=style), (0, 0, 0, 2), expand=False)


def _verdict(answer: SweepAnswer) -> Iterator[RenderableType]:
    n, solved, failed = len(answer.points), len(answer.solved), len(answer.failures)
    parts = [f"{solved:,} of {n:,} points have a plan"]
    if n - solved - failed:
        parts.append(f"{n - solved - failed:,} have none, proved")
    if failed:
        parts.append(f"{failed:,} failed")
    axes = " and ".join(axis.path for axis in answer.axes)
    yield Text(printable(f"{answer.scenario.name} over {axes}: {', '.join(parts)}."), style="bold")


def _points(answer: SweepAnswer) -> Iterator[RenderableType]:
    """All points, or of many an even choice with both ends."""
    yield _heading("Points")
    paths = tuple(axis.path for axis in answer.axes)
    drawn = any(result.all_goals for result in answer.solved)
    currency = answer.scenario.currency
    names = ["goals met", "largest\nstretch", f"pay at plan\n{currency}".rstrip(), f"initiatives\n{currency}".rstrip()]
    grid = Grid((*paths, "goals met", *((ODDS,) if drawn else ()), *names[1:]), left=0)
    written = point_texts(answer)
    shown = np.unique(np.linspace(0, len(answer.points) - 1, min(SHOWN_POINTS, len(answer.points))).round().astype(int))
    for i in shown.tolist():
        grid.add(*written[i], *_point_row(answer.results[i], drawn))
    yield grid
    if len(shown) < len(answer.points):
        yield _line(f"{len(shown)} of {len(answer.points):,} points shown; all are in points.csv.", "dim")


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
    strain = dict(result.steps).get("fairness")
    return [
        f"{result.goals_met} of {len(result.goals)}",
        *odds,
        "" if strain is None else percent(strain, 2),
        amount(result.pay or 0.0),
        amount(result.initiatives or 0.0),
    ]


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
        yield _heading(f"Efficient frontier: {frontier.x_name} against {frontier.y_name}")
        knees = set(frontier.knees.tolist())
        grid = Grid(
            ("point", frontier.x_name, frontier.y_name, f"price of the next\n{price_unit(frontier)}", ""), left=1
        )
        for i in shown_on_frontier(frontier):
            values = y_text(frontier, frontier.y[i]), price_text(frontier, i)
            grid.add(f"{frontier.points[i]}", amount(float(frontier.x[i])), *values, "knee" if i in knees else "")
        yield grid
        if not knees:
            yield _line("It has no knee: more always buys about as much.", "dim")


def shown_on_frontier(frontier: Frontier) -> list[int]:
    """Return positions on a frontier to show: all of a few, else an even choice with its ends and knees."""
    n = len(frontier.points)
    even = np.linspace(0, n - 1, min(SHOWN_POINTS // 2, n)).round().astype(int)
    return sorted({*even.tolist(), *frontier.knees.tolist()})


def y_text(frontier: Frontier, value: float) -> str:
    """Write the second measure: both kinds are shares."""
    return percent(value, 1 if frontier.y_name == ODDS else 2)


def price_unit(frontier: Frontier) -> str:
    """Return what a price counts, as "budget.pay.limit per percentage point"."""
    return f"{frontier.x_name} per percentage point"


def price_text(frontier: Frontier, position: int) -> str:
    """Write what one percentage point more costs on the way to the next point; "" at the last one."""
    return amount(float(frontier.prices[position]) / 100) if position < len(frontier.prices) else ""


def _failures(answer: SweepAnswer) -> Iterator[RenderableType]:
    if not answer.failures:
        return
    yield _heading("Failed")
    for point, failure in answer.failures[:SHOWN_FAILURES]:
        values = ", ".join(f"{path} = {axis_text(value)}" for path, value in point.values)
        problem = failure.problems[0] if failure.problems else None
        yield _line(f"{values}: {f'{problem.code}: {problem.message}' if problem else failure.kind}")
    if len(answer.failures) > SHOWN_FAILURES:
        yield _line(f"… and {len(answer.failures) - SHOWN_FAILURES:,} more")
    yield _line("The others are kept; the same command tries these again.")


def _where(folder: Path) -> Iterator[RenderableType]:
    yield _heading("Where it is")
    yield _line(f"{folder}: points.csv, sweep.json, summary.txt, scenario.toml")
