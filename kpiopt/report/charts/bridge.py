"""The bridge: from one value to another, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from kpiopt.report.charts.frame import NARROW, SIZE, Figure, Scale, both, left_room, y_axis
from kpiopt.report.drawing.fit import fit, fold
from kpiopt.report.drawing.short import short_pair, short_steps
from kpiopt.report.drawing.svg import Svg, draw, picture

Bars = list[tuple[str, float, float, str, str]]
"""Label, where the bar begins and ends, its text, its colour."""

ROW = 34.0
LEFT = 62.0


def bridge_figure(
    start: tuple[str, float],
    steps: Sequence[tuple[str, float]],
    end: tuple[str, float],
    unit: str = "",
    *,
    more_is_better: bool = True,
) -> Figure:
    """Draw a waterfall from one plan value to another; in narrow places it runs from top to bottom.

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
    bars = _bars(start, steps, end, more_is_better=more_is_better)
    low, high = bridge_range(start[1], [amount for _, amount in steps])
    name = f"Bridge from {start[0]} to {end[0]}" + (f", {unit}" if unit else "")
    return both(lambda width: (_across if _has_room(bars, width) else _down)(bars, low, high, name, unit, width))


def _has_room(bars: Bars, width: float) -> bool:
    """Whether names can stand below upright bars without being cut."""
    slot = (width - LEFT - 8.0) / len(bars)
    return width > NARROW and all(not line.endswith("…") for bar in bars for line in fold(bar[0], SIZE, slot - 4, 3))


def _bars(
    start: tuple[str, float], steps: Sequence[tuple[str, float]], end: tuple[str, float], *, more_is_better: bool
) -> Bars:
    first, last = short_pair(start[1], end[1])
    bars: Bars = [(start[0], float("nan"), start[1], first, "blue")]
    level = start[1]
    for (name, amount), text in zip(steps, short_steps([amount for _, amount in steps]), strict=True):
        good = (amount >= 0) == more_is_better
        bars.append((name, level, level + amount, text, "teal" if good else "red"))
        level += amount
    return [*bars, (end[0], float("nan"), end[1], last, "blue")]


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


def _across(bars: Bars, low: float, high: float, name: str, unit: str, width: float) -> Svg:
    height, bottom, left = 300.0, 238.0, LEFT
    scale, slot = Scale(low, high, bottom, 26.0), (width - left - 8.0) / len(bars)
    pieces = [*y_axis(scale, left, width), draw("text", unit, x=4, y=14, class_="soft")]
    for i, (label, a, b, text, colour) in enumerate(bars):
        x, ends = left + (i + 0.14) * slot, sorted((scale.at(a if a == a else max(low, min(0.0, high))), scale.at(b)))
        pieces.append(draw("rect", x=x, y=ends[0], width=0.72 * slot, height=max(1.0, ends[1] - ends[0]), rx=2,
                           class_=colour))  # fmt: skip
        middle, y = x + 0.36 * slot, ends[0] - 5 if b >= a or a != a else ends[1] + 13
        pieces.append(draw("text", fit(text, SIZE, slot + 6), x=middle, y=y, text_anchor="middle", class_="strong"))
        if i + 1 < len(bars):
            y = scale.at(b)
            pieces.append(draw("line", x1=x + 0.72 * slot, x2=x + 1.28 * slot, y1=y, y2=y, class_="dash"))
        for j, line in enumerate(fold(label, SIZE, slot - 4, 3)):
            pieces.append(draw("text", line, x=middle, y=bottom + 20 + 14 * j, text_anchor="middle", class_="soft"))
    return picture(width, height, name, *pieces)


def _down(bars: Bars, low: float, high: float, name: str, unit: str, width: float) -> Svg:
    left, pieces = (
        left_room([bar[0] for bar in bars], max(128.0, 0.34 * width)),
        [draw("text", unit, x=4, y=14, class_="soft")],
    )
    scale = Scale(low, high, left, width - 66.0)
    for i, (label, a, b, text, colour) in enumerate(bars):
        y = 24 + i * ROW
        ends = sorted((scale.at(a if a == a else max(low, min(0.0, high))), scale.at(b)))
        folded = fold(label, SIZE, left - 10, 2)
        for j, line in enumerate(folded):
            pieces.append(draw("text", line, x=left - 8, y=y + (16 if len(folded) == 1 else 10) + 13 * j,
                               text_anchor="end", class_="soft"))  # fmt: skip
        pieces.append(draw("rect", x=ends[0], y=y, width=max(1.0, ends[1] - ends[0]), height=ROW - 12, rx=2,
                           class_=colour))  # fmt: skip
        pieces.append(draw("text", text, x=ends[1] + 5, y=y + 16, class_="strong"))
    return picture(width, 30 + ROW * len(bars), name, *pieces)
