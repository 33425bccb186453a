"""Figures of reports, from plain data: bridge, frontier, odds with intervals.

A figure is a dictionary in Plotly's JSON form, `{"data": [...], "layout": {...}}`, with another one for narrow pages
as "narrow" where that differs. It is built without Plotly itself: its script draws in the reader's browser, and
building figures costs no start-up time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kpiopt.report.chart_style import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    INK,
    PALE,
    PURPLE,
    RED,
    SHARE,
    TEAL,
    TWO_LINES,
    Figure,
    distinct,
    layout,
    plain,
    short_pair,
    short_steps,
    wrapped,
)

ROW = 30


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A plan in a figure of two measures.

    Attributes
    ----------
    x, y : float
    low, high : float or None
        Interval of y.
    label : str
        Shown where the pointer is.
    on_frontier, is_knee : bool
    is_named : bool
        Whether the label stands beside the point.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""
    on_frontier: bool = True
    is_knee: bool = False
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class OddsBar:
    """Odds with their interval, for one scenario.

    Attributes
    ----------
    text : str
        How they are read.
    together : bool
        Whether these are the odds of all goals, which stand last.
    """

    goal: str
    estimate: float
    low: float
    high: float
    text: str = ""
    together: bool = False


def bridge_figure(
    start: tuple[str, float],
    steps: Sequence[tuple[str, float]],
    end: tuple[str, float],
    unit: str = "",
    *,
    more_is_better: bool = True,
) -> Figure:
    """Draw a waterfall from one plan value to another; on narrow pages it runs from top to bottom.

    Parameters
    ----------
    start, end : (str, float)
        Label and value at both ends.
    steps : sequence of (str, float)
        Amounts that lead from one to the other.
    unit : str
        Unit of measure of all values.
    more_is_better : bool
        Whether what raises the value is drawn as good.
    """
    names = [start[0], *(name for name, _ in steps), end[0]]
    values = [start[1], *(amount for _, amount in steps), end[1]]
    ends = short_pair(start[1], end[1])
    texts = [ends[0], *short_steps([amount for _, amount in steps]), ends[1]]
    amounts, title = [amount for _, amount in steps], {"title": {"text": plain(unit), "standoff": 12}}
    across = layout(showlegend=False)
    across["yaxis"] |= {"range": bridge_range(start[1], amounts)} | title
    across["xaxis"] |= {"showgrid": False, "tickangle": 0, "tickfont": {"size": 11}}
    labels = distinct([wrapped(name, 12, 3) for name in names])
    trace = _waterfall(names, values, texts) | _colors(more_is_better=more_is_better)
    down = layout(height=90 + ROW * len(names), showlegend=False)
    down["xaxis"] |= {"range": bridge_range(start[1], amounts, room=0.5), "nticks": 4} | title
    down["yaxis"] |= {"showgrid": False, "autorange": "reversed", "tickfont": {"size": 11}}
    rows = distinct([wrapped(name, TWO_LINES, 2) for name in names])
    return {
        "data": [trace | {"x": labels, "y": values}],
        "layout": across,
        "narrow": {"data": [trace | {"y": rows, "x": values, "orientation": "h"}], "layout": down},
    }


def _waterfall(names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> Figure:
    return {
        "type": "waterfall",
        "measure": ["absolute", *("relative" for _ in values[1:-1]), "total"],
        "text": list(texts),
        "textposition": "outside",
        "textfont": {"size": 11},
        "constraintext": "none",
        "cliponaxis": False,
        "connector": {"line": {"color": GREY, "width": 1}},
        "customdata": [[plain(name), f"{value:,.6g}"] for name, value in zip(names, values, strict=True)],
        "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    }


def _colors(*, more_is_better: bool) -> Figure:
    good, bad = {"marker": {"color": GREEN}}, {"marker": {"color": RED}}
    rising, falling = (good, bad) if more_is_better else (bad, good)
    return {"increasing": rising, "decreasing": falling, "totals": {"marker": {"color": BLUE}}}


def bridge_range(start: float, amounts: Sequence[float], *, room: float = 0.25) -> list[float]:
    """Return an axis that shows the steps and not only the large values at both ends.

    Parameters
    ----------
    room : float
        For the numbers beside the bars at both ends, as a share of what the steps span.
    """
    level, levels = start, [start]
    for amount in amounts:
        level += amount
        levels.append(level)
    low, high = min(levels), max(levels)
    room = room * (high - low) or 0.05 * abs(high) or 1.0
    return [max(0.0, low - room) if low >= 0 else low - room, min(0.0, high + room) if high <= 0 else high + room]


def frontier_figure(points: Sequence[FrontierPoint], x_title: str, y_title: str, *, y_is_share: bool = False) -> Figure:
    """Draw an efficient frontier: its points in a line, its knees marked, dominated points beside it."""
    ordered = sorted((p for p in points if p.on_frontier), key=lambda p: p.x)
    beside = [p for p in points if not p.on_frontier]
    knees = [p for p in ordered if p.is_knee]
    spread = _spread(points)
    traces = [_dominated(beside, spread)] if beside else []  # below the others
    traces += [_dots(ordered, "frontier", BLUE, spread, lines=True)]
    traces += [_dots([replace(p, is_named=False) for p in knees], "knee", RED, spread, size=13)] if knees else []
    drawn = layout(showlegend=len(traces) > 1)
    drawn["xaxis"] |= {"title": {"text": plain(x_title)}, "tickformat": ",.6~g"}
    drawn["yaxis"] |= {"title": {"text": plain(y_title), "standoff": 12}}
    if y_is_share:
        drawn["yaxis"] |= {"tickformat": SHARE}
    if any(p.is_named for p in points):
        drawn["xaxis"] |= {"range": spread.x_range}
    return {"data": traces, "layout": drawn}


@dataclass(frozen=True, slots=True)
class _Spread:
    """Where all points of a figure are, so that labels can keep clear of each other."""

    named: Sequence[FrontierPoint]
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def x_range(self) -> list[float]:
        """An axis with room for the labels beside the points at both ends."""
        room = 0.12 * (self.x[1] - self.x[0]) or 0.1 * abs(self.x[0]) or 1.0
        return [self.x[0] - room, self.x[1] + room]

    def position(self, point: FrontierPoint) -> str:
        """Return where a label stands: towards the middle, clear of the line and of labels that are near."""
        side = "right" if 2 * point.x <= self.x[0] + self.x[1] else "left"
        if point.on_frontier:  # the line rises: it is below to the left of a point, above to the right
            return "bottom right" if side == "right" else "top left"
        near = [other for other in self.named if other is not point and self._is_near(point, other)]
        if not near:
            return f"middle {side}"
        return f"{'top' if all(point.y >= other.y for other in near) else 'bottom'} {side}"

    def _is_near(self, a: FrontierPoint, b: FrontierPoint) -> bool:
        width, height = self.x[1] - self.x[0], self.y[1] - self.y[0]
        return abs(a.x - b.x) <= 0.4 * width and abs(a.y - b.y) <= 0.08 * height


def _spread(points: Sequence[FrontierPoint]) -> _Spread:
    x, y = [p.x for p in points] or [0.0], [p.y for p in points] or [0.0]
    return _Spread([p for p in points if p.is_named], (min(x), max(x)), (min(y), max(y)))


def _dominated(points: Sequence[FrontierPoint], spread: _Spread) -> Figure:
    """Draw the points that others beat; where they have no names they are only background."""
    color, size = (GREY, 8) if any(point.is_named for point in points) else (PALE, 6)
    return {**_dots(points, "dominated", color, spread, size=size), "legendrank": 1001}


def _dots(
    points: Sequence[FrontierPoint], name: str, color: str, spread: _Spread, *, lines: bool = False, size: int = 8
) -> Figure:
    trace: Figure = {
        "type": "scatter",
        "name": name,
        "mode": ("lines+markers" if lines else "markers") + ("+text" if any(p.is_named for p in points) else ""),
        "textposition": [spread.position(p) for p in points],
        "cliponaxis": False,
        "x": [p.x for p in points],
        "y": [p.y for p in points],
        "text": [wrapped(p.label, TWO_LINES, 2) for p in points],
        "customdata": [plain(p.label) for p in points],
        "hovertemplate": "%{customdata}<br>%{x:,.6~g}<br>%{y:.4~g}<extra></extra>",
        "marker": {"color": color, "size": size, "symbol": "diamond" if name == "knee" else "circle"},
    }
    if all(p.low is not None and p.high is not None for p in points):
        above = [(p.high or p.y) - p.y for p in points]
        below = [p.y - (p.low if p.low is not None else p.y) for p in points]
        trace["error_y"] = _error_bars(above, below)
    return trace


def _error_bars(above: Sequence[float], below: Sequence[float], color: str = GREY) -> Figure:
    sides = {"array": list(above), "arrayminus": list(below)}
    return {"type": "data", "symmetric": False, **sides, "thickness": 1.2, "color": color}


def odds_figure(scenarios: Sequence[tuple[str, Sequence[OddsBar]]]) -> Figure:
    """Draw the odds of each goal with their intervals, scenario beside scenario; on narrow pages one below another."""
    found = sorted((bar for _, bars in scenarios for bar in bars), key=lambda bar: bar.together)
    goals = list(dict.fromkeys(bar.goal for bar in found))
    across, down = layout(), layout(height=110 + (12 + 14 * len(scenarios)) * len(goals))
    across |= {"barmode": "group"}
    across["yaxis"] |= {"tickformat": SHARE, "rangemode": "tozero"}
    across["xaxis"] |= {"showgrid": False, "tickangle": 0, "tickfont": {"size": 11}}
    down |= {"barmode": "group"}
    down["xaxis"] |= {"tickformat": SHARE, "rangemode": "tozero", "nticks": 5}
    down["yaxis"] |= {"showgrid": False, "autorange": "reversed", "tickfont": {"size": 11}}
    labels = [
        dict(zip(goals, distinct([wrapped(goal, columns, lines) for goal in goals]), strict=True))
        for columns, lines in ((12, 3), (TWO_LINES, 2))
    ]
    for axis, names in ((across["xaxis"], labels[0]), (down["yaxis"], labels[1])):
        axis |= {"categoryorder": "array", "categoryarray": list(names.values())}
    narrow = {"data": _odds_traces(scenarios, labels[1], "x"), "layout": down}
    return {"data": _odds_traces(scenarios, labels[0], "y"), "layout": across, "narrow": narrow}


def _odds_traces(
    scenarios: Sequence[tuple[str, Sequence[OddsBar]]], labels: Mapping[str, str], value: str
) -> list[Figure]:
    """Return one trace for each scenario; `value` names the axis of the odds."""
    colors = (GREY, BLUE, AMBER, GREEN, PURPLE, TEAL, RED)
    return [
        {
            "type": "bar",
            "orientation": "v" if value == "y" else "h",
            "name": wrapped(label, 30, 1),
            "x" if value == "y" else "y": [labels[bar.goal] for bar in bars],
            value: [bar.estimate for bar in bars],
            f"error_{value}": _error_bars(
                [bar.high - bar.estimate for bar in bars], [bar.estimate - bar.low for bar in bars], INK
            ),
            "marker": {"color": colors[i % len(colors)]},
            "customdata": [[plain(bar.goal), plain(bar.text)] for bar in bars],
            "hovertemplate": "%{customdata[0]}<br>%{customdata[1]}<extra>%{fullData.name}</extra>",
        }
        for i, (label, bars) in enumerate(scenarios)
    ]
