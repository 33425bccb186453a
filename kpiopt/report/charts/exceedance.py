"""The exceedance curve: how likely a value is to reach each level, with the goal and its odds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from kpiopt.report.charts.frame import NARROW, SIZE, Figure, Scale, both, x_axis, y_axis
from kpiopt.report.drawing.fit import text_width
from kpiopt.report.drawing.short import short
from kpiopt.report.drawing.svg import Svg, draw, picture
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation.odds import Estimate

POINTS = 80
Point = tuple[float, float]


def exceedance_figure(
    values: Floats, goal: tuple[float, float], odds: Estimate, unit: str, plan: float, *, sign: int = 1
) -> Figure:
    """Draw the share of draws that reach each level, from the 0.5 % to the 99.5 % point.

    Parameters
    ----------
    values : (n_draws,) float
        Values of the KPI over the draws.
    goal : (float, float)
        Target, and the least value that hits it: both are rounded before they are compared.
    odds : Estimate
        Of the goal, shown at it with its interval.
    sign : int
        +1 where the value is to be at least a level, -1 where at most.
    """
    target, hit = goal
    levels = np.sort(np.append(np.quantile(values, np.linspace(0.005, 0.995, POINTS)), hit))
    ordered = np.sort(values)
    below = np.searchsorted(ordered, levels, "left" if sign > 0 else "right") / len(ordered)
    shares = 1.0 - below if sign > 0 else below
    reached = levels + (target - hit)
    return both(lambda width: _drawn(reached, shares, (target, plan, sign), odds, unit, width))


def _drawn(
    levels: Floats, shares: Floats, marks: tuple[float, float, int], odds: Estimate, unit: str, width: float
) -> Svg:
    goal, plan, sign = marks
    left, bottom, top = 48.0, 252.0, 34.0 if width <= NARROW else 16.0
    low, high = min(float(levels[0]), goal, plan), max(float(levels[-1]), goal, plan)
    x, y = Scale(low, high, left, width - 14.0), Scale(0.0, 1.0, bottom, top)
    points = [(x.at(float(v)), y.at(float(s))) for v, s in zip(levels, shares, strict=True)]
    line = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    at, height = x.at(goal), y.at(odds.estimate)
    text = f"goal {short(goal, 4)}: {odds.text}"
    planned = x.at(plan)
    lines = [*pairwise(points), ((planned, top), (planned, bottom)), ((at, height), (at, bottom)),
             ((left, height), (at, height))]  # fmt: skip
    label_x, label_y, anchor = _free_place(
        (at, height), text_width(text, SIZE, bold=True), lines, (left, width, bottom)
    )
    verb = "at least" if sign > 0 else "at most"
    title = f"Probability of {verb} each level of {unit}".strip()
    whisker = f"M{at:.1f} {y.at(odds.low):.1f}V{y.at(odds.high):.1f}"
    return picture(
        width, 296.0, f"{title}; {text}",
        *y_axis(y, left, width - 6, share=True), *x_axis(x, bottom, title=f"{unit}, {verb}"),
        draw("path", d=f"{line}V{bottom}H{points[0][0]:.1f}Z", class_="area"),
        draw("path", d=line, class_="curve"),
        draw("line", x1=planned, x2=planned, y1=top, y2=bottom, class_="dash"),
        draw("line", x1=at, x2=at, y1=height, y2=bottom, class_="goal"),
        draw("line", x1=left, x2=at, y1=height, y2=height, class_="goal"),
        draw("path", d=whisker, class_="whisker"),
        draw("circle", cx=at, cy=height, r=4.5, class_="red"),
        draw("text", text, x=label_x, y=label_y, text_anchor=anchor, class_="strong halo"),
    )  # fmt: skip


def _free_place(
    point: Point, long: float, lines: Sequence[tuple[Point, Point]], room: tuple[float, float, float]
) -> tuple[float, float, str]:
    """Return where a label stands beside a point, and its anchor: as near as can be without a line through it."""
    (at, height), (left, width, bottom) = point, room
    rows = [height - 10, height + 18, *(height + sign * away for away in range(26, 240, 12) for sign in (-1, 1))]
    best: tuple[int, float, float, str] | None = None
    for row in rows:
        for start, place, anchor in ((at + 8, at + 8, "start"), (at - 8 - long, at - 8, "end")):
            if not (left + 2 <= start and start + long <= width - 2 and 26 <= row <= bottom - 6):
                continue
            box = start - 2, row - 11.0, start + long + 2, row + 4.0
            crossed = sum(_crosses(line, box) for line in lines)
            if best is None or crossed < best[0]:
                best = crossed, place, row, anchor
    is_free = best is not None and (not best[0] or width > NARROW)
    return best[1:] if best and is_free else (width - 4.0, 30.0 if width > NARROW else 18.0, "end")


def _crosses(line: tuple[Point, Point], box: tuple[float, float, float, float]) -> bool:
    """Whether a line from one point to another has a part inside a box."""
    (x0, y0), (x1, y1) = line
    low, high = 0.0, 1.0
    for start, way, first, last in ((x0, x1 - x0, box[0], box[2]), (y0, y1 - y0, box[1], box[3])):
        if not way:
            if not first < start < last:
                return False
            continue
        ends = sorted(((first - start) / way, (last - start) / way))
        low, high = max(low, ends[0]), min(high, ends[1])
    return low < high


def histogram_figure(values: Floats, limit: float | None, plan: float, unit: str, name: str) -> Figure:
    """Draw how a value spreads over the draws, with a limit and the plan.

    Parameters
    ----------
    values : (n_draws,) float
    limit : float or None
        Drawn red; what lies above it is drawn as bad.
    plan : float
        Drawn dashed.
    """
    low, high = float(np.quantile(values, 0.001)), float(np.quantile(values, 0.999))
    low, high = min(low, plan), max(high, plan)
    if not high > low:
        low, high = low - 0.5 * (abs(low) or 1.0) * 0.1, high + 0.5 * (abs(high) or 1.0) * 0.1
    counts, edges = np.histogram(np.clip(values, low, high), 32, (low, high))
    shares = counts / len(values)
    return both(lambda width: _bars(shares, edges, (limit, plan), unit, name, width))


def _bars(shares: Floats, edges: Floats, marks: tuple[float | None, float], unit: str, name: str, width: float) -> Svg:
    limit, plan = marks
    bottom, left = 196.0, 8.0
    high = float(edges[-1])
    shown = limit is not None and limit <= high + 0.6 * (high - float(edges[0]))
    x = Scale(float(edges[0]), max(high, limit or high) if shown else high, left + 24, width - 28.0)
    y = Scale(0.0, float(shares.max()) or 1.0, bottom, 44.0)
    pieces = x_axis(x, bottom, title=unit)
    for share, a, b in zip(shares.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        colour = "red" if limit is not None and a >= limit else "blue"
        wide = max(0.8, x.at(b) - x.at(a) - 1)
        pieces.append(draw("rect", x=x.at(a), y=y.at(share), width=wide, height=bottom - y.at(share), class_=colour))
    marked = [(plan, f"plan {short(plan, 4)}", "dash", 34.0)]
    if limit is not None and shown:
        marked.append((limit, f"budget {short(limit, 4)}", "goal", 18.0))
    elif limit is not None:
        pieces.append(
            draw("text", f"budget {short(limit, 4)} →", x=width - 4, y=18, text_anchor="end", class_="strong")
        )
    for value, text, kind, top in marked:
        half = 0.5 * text_width(text, SIZE)
        pieces.append(draw("line", x1=x.at(value), x2=x.at(value), y1=top + 4, y2=bottom, class_=kind))
        place = min(max(x.at(value), half + 2), width - half - 2)
        pieces.append(draw("text", text, x=place, y=top, text_anchor="middle", class_="strong"))
    return picture(width, 240.0, name, *pieces)


def is_spread(values: Floats) -> bool:
    """Whether values differ enough for a picture of how they spread."""
    return (
        bool(len(values))
        and math.isfinite(float(values.sum()))
        and float(np.ptp(values)) > 1e-9 * float(np.abs(values).max())
    )
