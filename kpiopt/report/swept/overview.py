"""A sweep at once: where the odds are best, how they move along the axes, and which limits are used up where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kpiopt.plan.limit_names import limit_words
from kpiopt.report.charts.heat import heat_map_figure
from kpiopt.report.charts.lines import Line, lines_figure
from kpiopt.report.goal_names import goal_name_in
from kpiopt.report.input_names import input_name
from kpiopt.report.numbers import amount
from kpiopt.report.page.page import Card, PageFigure, PageTable
from kpiopt.report.sweep import axis_texts, counts, point_texts, where_text
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.sweep.point import PointResult
from kpiopt.studies.sweep.sweep_answer import SweepAnswer, money

MOST_GOALS, MOST_PLACES, MOST_VALUES = 6, 6, 24

Numbered = list[tuple[int, PointResult]]


def axis_names(answer: SweepAnswer) -> str:
    """Return what is swept, in a planner's words where there are some."""
    return " and ".join(input_name(answer.scenario, axis.path) for axis in answer.axes)


def sweep_headline(answer: SweepAnswer) -> str:
    """Say where the odds of all goals are best, or else where most goals are met, and where there is no plan."""
    text = f"{', '.join(counts(answer)).capitalize()}."
    solved = _solved(answer)
    drawn = [(number, result.all_goals) for number, result in solved if result.all_goals]
    if drawn:
        number, best = max(drawn, key=lambda entry: entry[1].estimate)
        least, worst = min(drawn, key=lambda entry: entry[1].estimate)
        if worst.estimate == best.estimate:
            return f"The odds of all goals are {worst.text} at every point. {text}"
        ends = f"from {worst.text} with {where_text(answer, least)} to {best.text} with {where_text(answer, number)}"
        return f"The odds of all goals go {ends}. {text}"
    if solved:
        number, most = max(solved, key=lambda entry: entry[1].goals_met)
        return f"Most goals are met with {where_text(answer, number)}: {most.goals_met} of {len(most.goals)}. {text}"
    return text


def points_cards(answer: SweepAnswer) -> Iterator[Card]:
    """Say how many points there are, where the odds are best, and which plan that meets most goals costs least."""
    none = len(answer.points) - len(answer.solved)
    yield Card("points", f"{len(answer.points):,}", ", ".join(counts(answer)), "bad" if none else "")
    solved = _solved(answer)
    drawn = [(number, result.all_goals) for number, result in solved if result.all_goals]
    if drawn:
        number, odds = max(drawn, key=lambda entry: entry[1].estimate)
        value, _, interval = odds.text.partition(" (")
        between = f"95 % interval {interval.rstrip(')')}; " if interval else ""
        yield Card("best odds of all goals", value, f"{between}{where_text(answer, number)}", "good")
    if solved:
        most = max(result.goals_met for _, result in solved)
        meeting = [(number, result) for number, result in solved if result.goals_met == most]
        number, cheapest = min(meeting, key=lambda entry: money(entry[1]) or 0.0)
        goals = f"{most} of {len(cheapest.goals)} goals met on average"
        cost = amount(money(cheapest) or 0.0, answer.scenario.currency)
        yield Card("cheapest plan that meets most goals", cost, f"{goals}; {where_text(answer, number)}")


def odds_figures(answer: SweepAnswer) -> Iterator[PageFigure]:
    """Draw odds, cost and stretch along a single axis, or the odds over two axes."""
    if len(answer.axes) == 1:
        yield from _along(answer)
    elif len(answer.axes) == 2 and len(answer.points) == len(answer.axes[0].values) * len(answer.axes[1].values):
        yield from _over_two(answer)


def _along(answer: SweepAnswer) -> Iterator[PageFigure]:
    solved, values = _solved(answer), answer.axes[0].values
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    is_numeric = len(numbers) == len(values)
    places = [float(v) for v in numbers] if is_numeric else [float(i) for i in range(len(values))]
    names, title = [] if is_numeric else axis_texts(values), axis_names(answer)
    if len(solved) < 2:
        return
    order = sorted(solved, key=lambda entry: places[entry[0]])
    lines = list(_odds_lines(answer, order, places))
    if lines:
        figure = lines_figure(lines, f"Odds over {title}", title, "odds", share=True, x_names=names)
        yield PageFigure("Odds", figure, f"over {title}; bands: 95 % intervals")
    measures: list[tuple[str, str, Callable[[PointResult], float | None], bool]] = [
        ("Cost", f"pay at plan and initiatives, {answer.scenario.currency}".rstrip(", "), money, False),
        ("Peers' largest stretch", "average over groups, relative to baseline", lambda r: r.largest_stretch, True),
    ]
    for name, what, of, share in measures:
        known = [(places[number], value) for number, result in order if (value := of(result)) is not None]
        if len({value for _, value in known}) > 1:
            line = Line(what, [x for x, _ in known], [y for _, y in known])
            figure = lines_figure([line], f"{name} over {title}", title, what, share=share, x_names=names)
            yield PageFigure(name, figure, f"over {title}")


def _odds_lines(answer: SweepAnswer, order: Numbered, places: Sequence[float]) -> Iterator[Line]:
    goals = list(answer.scenario.goals)
    if len(goals) > 1 and (found := [(places[n], r.all_goals) for n, r in order if r.all_goals]):
        yield _odds_line("all goals", found)
    for goal in goals[:MOST_GOALS]:
        at = [(places[n], g.odds) for n, r in order for g in r.goals if g.goal == goal and g.odds]
        if at:
            yield _odds_line(goal_name_in(answer.scenario, goal), at)


def _odds_line(name: str, found: Sequence[tuple[float, Estimate]]) -> Line:
    x, odds = [place for place, _ in found], [estimate for _, estimate in found]
    return Line(name, x, [o.estimate for o in odds], [o.low for o in odds], [o.high for o in odds])


def _over_two(answer: SweepAnswer) -> Iterator[PageFigure]:
    """Shade the odds of all goals over both axes."""
    first, second = ([*axis.values][:MOST_VALUES] for axis in answer.axes)
    width = len(answer.axes[1].values)
    results = [[answer.results[i * width + j] for j in range(len(second))] for i in range(len(first))]
    odds = [[r.all_goals if isinstance(r, PointResult) else None for r in row] for row in results]
    known = [o.estimate for row in odds for o in row if o]
    if not known:
        return
    low, span = min(known), max(known) - min(known) or 1.0
    shares = [[None if o is None else (o.estimate - low) / span for o in row] for row in odds]
    texts = [["no plan" if o is None else o.text.partition(" (")[0] for o in row] for row in odds]
    names = [input_name(answer.scenario, axis.path) for axis in answer.axes]
    figure = heat_map_figure(axis_texts(first), axis_texts(second), shares, "Odds of all goals", texts, tone="odds")
    yield PageFigure(
        "Odds of all goals", figure, f"down: {names[0]}; across: {names[1]}; the stronger the colour, the likelier"
    )


def used_up_table(answer: SweepAnswer) -> Iterator[PageTable]:
    """List the limits of which nothing is left, and where."""
    places: dict[str, list[int]] = {}
    for number, result in _solved(answer):
        for name in result.used_up:
            places.setdefault(name, []).append(number)
    rows = [
        (limit_words(answer.scenario, name), f"{len(found):,} of {len(answer.solved):,}", _places(answer, found))
        for name, found in sorted(places.items(), key=lambda item: -len(item[1]))
    ]
    if rows:
        names = " × ".join(input_name(answer.scenario, axis.path) for axis in answer.axes)
        yield PageTable("What holds the plan back", ("limit, used up", "points", f"where ({names})"), rows, 3)


def _places(answer: SweepAnswer, numbers: Sequence[int]) -> str:
    if len(numbers) == len(answer.solved):
        return "everywhere"
    texts = point_texts(answer)
    shown = "; ".join(" × ".join(texts[number]) for number in numbers[:MOST_PLACES])
    return f"{shown} and {len(numbers) - MOST_PLACES} more" if len(numbers) > MOST_PLACES else shown


def _solved(answer: SweepAnswer) -> Numbered:
    return [(i, r) for i, r in enumerate(answer.results) if isinstance(r, PointResult) and r.is_solved]
