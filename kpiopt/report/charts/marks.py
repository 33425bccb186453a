"""Points and bars with intervals: the frontier, odds of scenarios, peers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpiopt.report.charts.frame import COLOURS, SIZE, Figure, Scale, both, colours_of, left_room, legend, x_axis, y_axis
from kpiopt.report.drawing.fit import fit, fold, text_width
from kpiopt.report.drawing.svg import Svg, draw, picture


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A plan in a figure of two measures.

    Attributes
    ----------
    low, high : float or None
        Interval of y.
    label : str
        Shown where the pointer is.
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


def frontier_figure(points: Sequence[FrontierPoint], x_title: str, y_title: str, *, y_is_share: bool = False) -> Figure:
    """Draw an efficient frontier: its points in a line, its knees marked, dominated points beside it."""
    return both(lambda width: _frontier(points, x_title, y_title, width, share=y_is_share))


def _frontier(points: Sequence[FrontierPoint], x_title: str, y_title: str, width: float, *, share: bool) -> Svg:
    bottom, left = 240.0, 58.0
    xs = [p.x for p in points] or [0.0]
    ys = [v for p in points for v in (p.y, p.low, p.high) if v is not None] or [0.0]
    room_x, room_y = 0.08 * (max(xs) - min(xs)) or 1.0, 0.08 * (max(ys) - min(ys)) or 0.05
    x = Scale(min(xs) - room_x, max(xs) + room_x, left, width - 16)
    y = Scale(max(0.0, min(ys) - room_y) if min(ys) >= 0 else min(ys) - room_y, max(ys) + room_y, bottom, 34.0)
    line = sorted((p for p in points if p.on_frontier), key=lambda p: p.x)
    path = "M" + "L".join(f"{x.at(p.x):.1f} {y.at(p.y):.1f}" for p in line) if len(line) > 1 else ""
    ordered = sorted(points, key=lambda p: (p.on_frontier, p.is_knee))
    marks, at = [], list[tuple[float, float]]()
    for p in ordered:
        same = sum(abs(x.at(p.x) - cx) + abs(y.at(p.y) - cy) < 2.0 for cx, cy in at)
        at.append((x.at(p.x), y.at(p.y)))
        marks.append(_mark(p, *at[-1], y, same))
    taken = [(cx - 7, cx + 7, cy - 7, cy + 7) for cx, cy in at]
    taken += [
        (x.at(p.x) - 3, x.at(p.x) + 3, y.at(p.high), y.at(p.low))
        for p in points
        if p.low is not None and p.high is not None
    ]
    marks += [_label(p, *place, taken, width) for p, place in zip(ordered, at, strict=True) if p.is_named]
    return picture(
        width, 282.0, f"{y_title} against {x_title}",
        draw("text", y_title, x=4, y=14, class_="soft"), *y_axis(y, left, width - 8, share=share),
        *x_axis(x, bottom, title=x_title), *([draw("path", d=path, class_="curve")] if path else []), *marks,
    )  # fmt: skip


def _mark(point: FrontierPoint, cx: float, cy: float, y: Scale, same: int) -> Svg:
    """Draw a point with its interval; one that lies on `same` others as a ring around them."""
    colour = "red" if point.is_knee else "blue" if point.on_frontier else "grey"
    pieces = [draw("title", point.label)]
    if point.low is not None and point.high is not None:
        pieces.append(draw("path", d=f"M{cx:.1f} {y.at(point.low):.1f}V{y.at(point.high):.1f}", class_="whisker"))
    radius = (5.5 if point.is_knee else 4.0) + 3.5 * same
    look = f"span s-{colour}" if same else colour
    return draw("g", *pieces, draw("circle", cx=cx, cy=cy, r=radius, class_=look))


def _label(
    point: FrontierPoint, cx: float, cy: float, taken: list[tuple[float, float, float, float]], width: float
) -> Svg:
    """Write a point's name beside it, where neither points nor intervals nor other names are, if there is room."""
    text = fit(point.label, SIZE, 150)
    wide = text_width(text, SIZE)
    places = [(s, cy + d) for d in (4, -8, 16, -20, 28, -32, 40, -44) for s in (cx + 9, cx - 9 - wide)]
    inside = [(s, h) for s, h in places if s >= 2 and s + wide < width and 28 < h < 236] or places[:1]
    free = [
        (s, h)
        for s, h in inside
        if not any(a < s + wide and s < b and t < h + 3 and h - 10 < u for a, b, t, u in taken)
    ]
    start, high = (free or inside)[0]
    taken.append((start, start + wide, high - 10, high + 3))
    return draw("text", text, x=start, y=high, class_="halo")


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


def odds_figure(scenarios: Sequence[tuple[str, Sequence[OddsBar]]]) -> Figure:
    """Draw the odds of each goal with their intervals, scenario below scenario."""
    found = sorted((bar for _, bars in scenarios for bar in bars), key=lambda bar: bar.together)
    goals = list(dict.fromkeys(bar.goal for bar in found))
    return both(lambda width: _odds(scenarios, goals, width))


def _odds(scenarios: Sequence[tuple[str, Sequence[OddsBar]]], goals: Sequence[str], width: float) -> Svg:
    left, bar = left_room(goals, 0.36 * width), 15.0
    pieces, top = legend(colours_of([label for label, _ in scenarios]), width) if len(scenarios) > 1 else ([], 8.0)
    block = bar * len(scenarios) + 12
    bottom = top + block * len(goals)
    x = Scale(0.0, 1.0, left, width - 20)
    pieces += x_axis(x, bottom, share=True, top=top)
    for g, goal in enumerate(goals):
        y = top + block * g + 4
        lines = fold(goal, SIZE, left - 12, 2 if block > 26 else 1)
        for j, line in enumerate(lines):
            shift = 0.5 * block - 4 + 4 + 13 * (j - 0.5 * (len(lines) - 1))
            pieces.append(draw("text", line, x=left - 8, y=y + shift, text_anchor="end"))
        for i, (_, bars) in enumerate(scenarios):
            for found in (b for b in bars if b.goal == goal):
                pieces.append(_odds_bar(found, x, y + i * bar, COLOURS[i % len(COLOURS)]))
    return picture(width, bottom + 26, "Odds of the goals with 95 % intervals", *pieces)


def _odds_bar(found: OddsBar, x: Scale, y: float, colour: str) -> Svg:
    ends = f"M{x.at(found.low):.1f} {y + 6:.1f}H{x.at(found.high):.1f}"
    return draw(
        "g",
        draw("title", f"{found.goal}: {found.text}"),
        draw("rect", x=x.start, y=y, width=max(1.5, x.at(found.estimate) - x.start), height=12, rx=2, class_=colour),
        draw("path", d=ends, class_="whisker"),
    )


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A group of peers: the stretch of each, as a share of its baseline.

    Attributes
    ----------
    name, role : str
        What is cut where there is no room, and what follows it in any case.
    """

    name: str
    role: str
    shares: Sequence[float]
    hints: Sequence[str]


def peers_figure(rows: Sequence[PeerRow], x_title: str) -> Figure:
    """Draw every peer of each group as a dot on one line, so that unequal asks are seen at once."""
    return both(lambda width: _peers(rows, x_title, width))


def _peers(rows: Sequence[PeerRow], x_title: str, width: float) -> Svg:
    left = left_room([row.name + row.role for row in rows], 0.42 * width)
    high = max(max(row.shares) for row in rows)
    low = min(0.0, min(min(row.shares) for row in rows))
    x, pieces = Scale(low, high * 1.04 or 0.01, left, width - 16), []
    bottom = 8 + 26.0 * len(rows)
    pieces += x_axis(x, bottom, title=x_title, share=True, top=4)
    for i, row in enumerate(rows):
        y = 20 + 26.0 * i
        pieces.append(draw("text", _peer_label(row, left - 12), x=left - 8, y=y + 4, text_anchor="end"))
        span = f"M{x.at(min(row.shares)):.1f} {y}H{x.at(max(row.shares)):.1f}"
        pieces.append(draw("path", d=span, class_="whisker"))
        for share, hint in zip(row.shares, row.hints, strict=True):
            pieces.append(draw("circle", draw("title", hint), cx=x.at(share), cy=y, r=4.5, class_="blue gap"))
    return picture(width, bottom + 40, x_title, *pieces)


def _peer_label(row: PeerRow, room: float) -> str:
    """Return the name of a group: the KPI is cut before the role, by which rows differ."""
    role = fit(row.role, SIZE, 0.7 * room)
    return fit(row.name, SIZE, room - text_width(role, SIZE)) + role
