"""The figure of a tornado: what moving each input alone does to an outcome, see `kpiopt.report.charts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpiopt.report.chart_style import (
    AMBER,
    BLUE,
    INK,
    PAPER,
    SHARE,
    TWO_LINES,
    Figure,
    distinct,
    layout,
    plain,
    wrapped,
)


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


def tornado_figure(
    bars: Sequence[TornadoBar], base: float, title: str, *, is_share: bool = False, base_text: str = ""
) -> Figure:
    """Draw a tornado: bars from the base to the outcome at both ends of each input, the widest on top.

    Parameters
    ----------
    base_text : str
        The outcome as planned, as it is to be read.
    """
    ordered = sorted(bars, key=lambda bar: abs(bar.at_high - bar.at_low))
    label = _base_label(base, base_text)
    wide, narrow = (_tornado(ordered, base, title, is_share=is_share, narrow=narrow) for narrow in (False, True))
    for figure in (wide, narrow):
        figure["layout"]["annotations"] = [label]
    return {**wide, "narrow": narrow}


def _tornado(bars: Sequence[TornadoBar], base: float, title: str, *, is_share: bool, narrow: bool) -> Figure:
    columns, lines = (TWO_LINES, 2) if narrow else (40, 1)
    names = distinct([wrapped(bar.name, columns, lines) for bar in bars])
    traces = [
        _tornado_side("input low", AMBER, names, bars, [(b.at_low, b.low_label) for b in bars], base),
        _tornado_side("input high", BLUE, names, bars, [(b.at_high, b.high_label) for b in bars], base),
        *_replanned(bars, names),
    ]
    if narrow:
        traces = [trace | {"textposition": "none"} for trace in traces]
    drawn = layout(height=max(280, 110 + (34 if narrow else 28) * len(names)))
    drawn |= {"barmode": "overlay", "shapes": [_vertical_line(base)]}
    drawn["margin"]["t"] = 64
    drawn["legend"] |= {"y": 1.0, "yref": "container", "yanchor": "top"}
    tick = {"tickformat": SHARE} if is_share else {}
    drawn["xaxis"] |= {"title": {"text": plain(title)}, "range": _tornado_range(bars, base), "nticks": 6, **tick}
    drawn["yaxis"] |= {"showgrid": False, "tickfont": {"size": 11}}
    return {"data": traces, "layout": drawn}


def _tornado_range(bars: Sequence[TornadoBar], base: float) -> list[float]:
    values = [base, *(value for bar in bars for value in _ends(bar))]
    room = 0.12 * (max(values) - min(values)) or 0.1 * abs(base) or 1.0
    return [min(values) - room, max(values) + room]


def _ends(bar: TornadoBar) -> list[float]:
    """Return all outcomes of a bar."""
    anew = [value for value in (bar.replanned_low, bar.replanned_high) if value is not None]
    return [bar.at_low, bar.at_high, *anew]


def _tornado_side(
    name: str,
    color: str,
    labels: Sequence[str],
    bars: Sequence[TornadoBar],
    ends: Sequence[tuple[float, str]],
    base: float,
) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": list(labels),
        "x": [value - base for value, _ in ends],
        "base": base,
        "text": [f"\u2002{plain(label)}\u2002" for _, label in ends],  # clear of a mark at the end of the bar
        "textposition": "outside",
        "textfont": {"size": 11},
        "cliponaxis": False,
        "customdata": [[value, plain(bar.name), plain(end)] for (value, end), bar in zip(ends, bars, strict=True)],
        "hovertemplate": "%{customdata[1]}<br>input %{customdata[2]}: %{customdata[0]:.4~g}<extra></extra>",
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
    marker = {"color": PAPER, "symbol": "diamond", "size": 8, "line": {"color": INK, "width": 1.5}}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "planned anew",
            "x": [x for x, _ in points],
            "y": [y for _, y in points],
            "marker": marker,
            "hovertemplate": "planned anew: %{x:.4~g}<extra></extra>",
        }
    ]


def _vertical_line(x: float) -> Figure:
    line = {"color": INK, "width": 1.5}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _base_label(base: float, text: str) -> Figure:
    place = {"x": base, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
    return {**place, "text": plain(f"as planned {text}".rstrip()), "font": {"size": 11}}
