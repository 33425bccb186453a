"""Figures of reports, from plain data: bridge, frontier, tornado, odds with intervals.

A figure is a dictionary in Plotly's JSON form, `{"data": [...], "layout": {...}}`, built without Plotly itself: its
script draws in the reader's browser, and building figures costs no start-up time.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kpiopt.errors import printable

BLUE, GREEN, RED, AMBER, GREY = "#2a5c9f", "#1d7f5c", "#b5372c", "#c46a2b", "#5f6b7a"
INK, LINE, PALE = "#1f2933", "#dde3ea", "#aab4c0"

Figure = dict[str, Any]


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
class TornadoBar:
    """What moving one input does to an outcome.

    Attributes
    ----------
    name : str
    at_low, at_high : float
        The outcome with the input at its low and at its high value.
    low_label, high_label : str
        These values, as text.
    replanned_low, replanned_high : float or None
        The same with the plan made anew.
    """

    name: str
    at_low: float
    at_high: float
    low_label: str = ""
    high_label: str = ""
    replanned_low: float | None = None
    replanned_high: float | None = None


@dataclass(frozen=True, slots=True)
class OddsBar:
    """Odds with their interval, for one scenario."""

    goal: str
    estimate: float
    low: float
    high: float


def bridge_figure(start: tuple[str, float], steps: Sequence[tuple[str, float]], end: tuple[str, float]) -> Figure:
    """Draw a waterfall from one plan value to another.

    Parameters
    ----------
    start, end : (str, float)
        Label and value at both ends.
    steps : sequence of (str, float)
        Amounts that lead from one to the other.
    """
    names = _distinct([start[0], *(name for name, _ in steps), end[0]])
    trace = {
        "type": "waterfall",
        "x": names,
        "y": [start[1], *(amount for _, amount in steps), end[1]],
        "measure": ["absolute", *("relative" for _ in steps), "total"],
        "text": [_short(start[1]), *(f"{_short(amount, sign=True)}" for _, amount in steps), _short(end[1])],
        "textposition": "outside",
        "textfont": {"size": 11},
        "constraintext": "none",
        "cliponaxis": False,
        "connector": {"line": {"color": LINE, "width": 1}},
        "increasing": {"marker": {"color": GREEN}},
        "decreasing": {"marker": {"color": RED}},
        "totals": {"marker": {"color": BLUE}},
        "hovertemplate": "%{x}<br>%{y:,.6~g}<extra></extra>",
    }
    layout = _layout(showlegend=False)
    layout["yaxis"] |= {"range": _bridge_range(start[1], [amount for _, amount in steps])}
    layout["xaxis"] |= {"showgrid": False, "tickangle": -35}
    return {"data": [trace], "layout": layout}


def _bridge_range(start: float, amounts: Sequence[float]) -> list[float]:
    """Return an axis that shows the steps and not only the large values at both ends."""
    level, levels = start, [start]
    for amount in amounts:
        level += amount
        levels.append(level)
    low, high = min(levels), max(levels)
    room = 0.25 * (high - low) or 0.05 * abs(high) or 1.0
    return [low - room, high + room]


def frontier_figure(points: Sequence[FrontierPoint], x_title: str, y_title: str, *, y_is_share: bool = False) -> Figure:
    """Draw an efficient frontier: its points in a line, its knees marked, dominated points beside it."""
    ordered = sorted((p for p in points if p.on_frontier), key=lambda p: p.x)
    beside = [p for p in points if not p.on_frontier]
    knees = [p for p in ordered if p.is_knee]
    traces = [{**_dots(beside, "dominated", PALE, size=6), "legendrank": 1001}] if beside else []  # below the others
    traces += [_dots(ordered, "frontier", BLUE, lines=True)]
    traces += [_dots(knees, "knee", RED, size=13)] if knees else []
    layout = _layout()
    layout["xaxis"] |= {"title": {"text": plain(x_title)}}
    layout["yaxis"] |= {"title": {"text": plain(y_title)}, **({"tickformat": ".2~%"} if y_is_share else {})}
    return {"data": traces, "layout": layout}


def _dots(points: Sequence[FrontierPoint], name: str, color: str, *, lines: bool = False, size: int = 8) -> Figure:
    trace: Figure = {
        "type": "scatter",
        "name": name,
        "mode": ("lines+markers" if lines else "markers") + ("+text" if any(p.is_named for p in points) else ""),
        "textposition": _inwards(len(points)),
        "x": [p.x for p in points],
        "y": [p.y for p in points],
        "text": [plain(p.label) for p in points],
        "hovertemplate": "%{text}<br>%{x:,.6~g}<br>%{y:.4~g}<extra></extra>",
        "marker": {"color": color, "size": size, "symbol": "diamond" if name == "knee" else "circle"},
    }
    if all(p.low is not None and p.high is not None for p in points):
        above = [(p.high or p.y) - p.y for p in points]
        below = [p.y - (p.low if p.low is not None else p.y) for p in points]
        trace["error_y"] = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1}
    return trace


def _inwards(n: int) -> list[str]:
    """Place labels above their points, those at both ends towards the middle, where there is room."""
    return ["top right", *["top center"] * (n - 2), "top left"] if n > 1 else ["top center"] * n


def tornado_figure(bars: Sequence[TornadoBar], base: float, title: str, *, is_share: bool = False) -> Figure:
    """Draw a tornado: bars from the base to the outcome at both ends of each input, the widest on top."""
    ordered = sorted(bars, key=lambda bar: abs(bar.at_high - bar.at_low))
    names = _distinct([bar.name for bar in ordered])
    ends = [
        ("low", AMBER, [b.at_low for b in ordered], [b.low_label for b in ordered]),
        ("high", BLUE, [b.at_high for b in ordered], [b.high_label for b in ordered]),
    ]
    traces = [
        _tornado_side(f"input {name}", color, names, values, labels, base) for name, color, values, labels in ends
    ]
    traces += _replanned(ordered, names)
    layout = _layout(height=max(280, 60 + 28 * len(names)))
    layout |= {"barmode": "overlay", "shapes": [_vertical_line(base)]}
    values = [base, *(value for bar in bars for value in _ends(bar))]
    room = 0.2 * (max(values) - min(values)) or 0.1 * abs(base) or 1.0
    span = {"range": [min(values) - room, max(values) + room]}
    layout["xaxis"] |= {"title": {"text": plain(title)}, **span, **({"tickformat": ".2~%"} if is_share else {})}
    layout["yaxis"] |= {"showgrid": False, "automargin": True}
    return {"data": traces, "layout": layout}


def _ends(bar: TornadoBar) -> list[float]:
    """Return all outcomes of a bar."""
    anew = [value for value in (bar.replanned_low, bar.replanned_high) if value is not None]
    return [bar.at_low, bar.at_high, *anew]


def _tornado_side(
    name: str, color: str, names: Sequence[str], values: Sequence[float], labels: Sequence[str], base: float
) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": list(names),
        "x": [value - base for value in values],
        "base": base,
        "text": [plain(label) for label in labels],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": list(values),
        "hovertemplate": "%{y}<br>input %{text}: %{customdata:.4~g}<extra></extra>",
        "marker": {"color": color},
    }


def _replanned(bars: Sequence[TornadoBar], names: Sequence[str]) -> list[Figure]:
    """Mark where the outcome is when the plan is made anew."""
    points = [
        (value, name)
        for bar, name in zip(bars, names, strict=True)
        for value in (bar.replanned_low, bar.replanned_high)
        if value is not None
    ]
    if not points:
        return []
    marker = {"color": INK, "symbol": "line-ns-open", "size": 14}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "planned anew",
            "x": [x for x, _ in points],
            "y": [y for _, y in points],
            "marker": marker,
            "hovertemplate": "%{y}<br>planned anew: %{x:.4~g}<extra></extra>",
        }
    ]


def _vertical_line(x: float) -> Figure:
    line = {"color": INK, "width": 1.5}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def odds_figure(scenarios: Sequence[tuple[str, Sequence[OddsBar]]]) -> Figure:
    """Draw the odds of each goal with their intervals, scenario beside scenario."""
    colors = (GREY, BLUE, AMBER, GREEN, RED)
    traces = [
        {
            "type": "bar",
            "name": plain(label),
            "x": [plain(bar.goal) for bar in bars],
            "y": [bar.estimate for bar in bars],
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [bar.high - bar.estimate for bar in bars],
                "arrayminus": [bar.estimate - bar.low for bar in bars],
                "thickness": 1,
            },
            "marker": {"color": colors[i % len(colors)]},
            "hovertemplate": "%{x}<br>%{y:.1%}<extra>%{fullData.name}</extra>",
        }
        for i, (label, bars) in enumerate(scenarios)
    ]
    layout = _layout()
    layout |= {"barmode": "group"}
    layout["yaxis"] |= {"tickformat": ".2~%", "rangemode": "tozero"}
    layout["xaxis"] |= {"showgrid": False}
    return {"data": traces, "layout": layout}


def _layout(*, height: int = 360, showlegend: bool = True) -> Figure:
    axis = {"gridcolor": LINE, "zerolinecolor": LINE, "linecolor": LINE, "automargin": True}
    return {
        "height": height,
        "showlegend": showlegend,
        "legend": {"orientation": "h", "y": 1.12, "x": 0},
        "margin": {"l": 60, "r": 24, "t": 24, "b": 48},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "xaxis": dict(axis),
        "yaxis": dict(axis),
    }


def plain(name: str) -> str:
    """Return a name that Plotly shows as it is: it would take tags in it for formatting."""
    return html.escape(printable(name), quote=False)


def _distinct(names: Sequence[str]) -> list[str]:
    """Tell equal names apart by invisible characters, as Plotly puts equal names in one place."""
    seen: dict[str, int] = {}
    result = []
    for name in map(plain, names):
        seen[name] = seen.get(name, -1) + 1
        result.append(name + "\u200b" * seen[name])
    return result


def _short(value: float, *, sign: bool = False) -> str:
    """Write an amount with at most six digits, as "1,635 k"."""
    size = abs(value)
    for limit, unit in ((1e9, " bn"), (1e7, " M"), (1e5, " k")):
        if size >= limit:
            scale = {" bn": 1e9, " M": 1e6, " k": 1e3}[unit]
            return f"{value / scale:{'+' if sign else ''},.{1 if size / scale >= 100 else 2}f}{unit}"
    decimals = 0 if size >= 1000 else 1 if size >= 10 else 3
    return f"{value:{'+' if sign else ''},.{decimals}f}"
