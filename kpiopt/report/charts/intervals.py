"""Values with their intervals, row below row: differences, contributions, coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpiopt.report.charts.frame import NARROW, SIZE, Figure, Scale, both, colours_of, left_room, legend, x_axis
from kpiopt.report.drawing.fit import fit, fold, text_width
from kpiopt.report.drawing.svg import Svg, draw, picture

STACKED_STEP, MARK_STEP = 17.0, 4.0
"""Pixels from one mark of a row to the next: with words beside each, and without."""


@dataclass(frozen=True, slots=True)
class IntervalMark:
    """One value of a row.

    Attributes
    ----------
    series : str
        Whose it is; each has a colour of its own.
    value, low, high : float
        Without an interval both ends are the value.
    text : str
        How it is read; stands at the right where there is room.
    """

    series: str
    value: float
    low: float
    high: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """Values that belong together; `band` is the range in which they should lie."""

    name: str
    marks: Sequence[IntervalMark]
    band: tuple[float, float] | None = None


def intervals_figure(
    rows: Sequence[IntervalRow],
    title: str,
    x_title: str,
    *,
    share: bool = False,
    zero: float | None = 0.0,
    series: Sequence[str] = (),
    stacked: bool = True,
) -> Figure:
    """Draw values as dots with their intervals as lines.

    Parameters
    ----------
    share : bool
        Whether values are shares, written in per cent.
    zero : float or None
        Where a line stands that says "none"; it is always in the picture.
    series : sequence of str
        All series in the order of their colours, where pictures beside this one have more.
    stacked : bool
        Whether the values of a row stand below each other, each with its text; else on one line, without.
    """
    colours = colours_of([*series, *(mark.series for row in rows for mark in row.marks)])
    return both(lambda width: _intervals(rows, (title, x_title), (zero, colours, stacked), width, share=share))


def _intervals(
    rows: Sequence[IntervalRow],
    titles: tuple[str, str],
    look: tuple[float | None, dict[str, str], bool],
    width: float,
    *,
    share: bool,
) -> Svg:
    zero, colours, stacked = look
    shown = {mark.series for row in rows for mark in row.marks}
    named = {name: colour for name, colour in colours.items() if name in shown}
    pieces, top = legend(named, width) if len(named) > 1 else ([], 4.0)
    ends = [v for row in rows for mark in row.marks for v in (mark.value, mark.low, mark.high)]
    ends += [v for row in rows for v in row.band or ()] + ([] if zero is None else [zero])
    room = 0.04 * (max(ends) - min(ends)) or 0.05 * abs(ends[0]) or 1.0
    left = left_room([row.name for row in rows], 0.36 * width)
    told = 0.0 if width <= NARROW or not stacked else max(text_width(m.text, SIZE) for row in rows for m in row.marks)
    told = 0.0 if told > 0.34 * width else told
    x = Scale(min(ends) - room, max(ends) + room, left + 6, width - 14 - told)
    lines = [len(row.marks) if stacked else 1 for row in rows]
    heights = [
        max(STACKED_STEP * n, 14.0 * len(fold(row.name, SIZE, left - 10, 2))) + 9
        for n, row in zip(lines, rows, strict=True)
    ]
    bottom = top + sum(heights)
    pieces += x_axis(x, bottom, share=share, title=titles[1], top=top)
    if zero is not None:
        pieces.append(draw("line", x1=x.at(zero), x2=x.at(zero), y1=top, y2=bottom, class_="whisker"))
    y = top
    for row, height in zip(rows, heights, strict=True):
        pieces += _row(row, colours, x, (left, y, height, width if told else 0.0), stacked=stacked)
        y += height
    return picture(width, bottom + (40 if titles[1] else 26), titles[0], *pieces)


def _row(
    row: IntervalRow,
    colours: dict[str, str],
    x: Scale,
    place: tuple[float, float, float, float],
    *,
    stacked: bool,
) -> list[Svg]:
    left, y, height, right = place
    middle, pieces = y + 0.5 * height, []
    if row.band:
        start, end = (x.at(v) for v in row.band)
        pieces.append(
            draw("rect", x=start, y=y + 3, width=max(1.0, end - start), height=height - 6, rx=3, class_="track")
        )
    lines = fold(row.name, SIZE, left - 10, 2)
    for i, line in enumerate(lines):
        shift = 4 + 13 * (i - 0.5 * (len(lines) - 1))
        pieces.append(draw("text", line, x=left - 4, y=middle + shift, text_anchor="end"))
    for i, mark in enumerate(row.marks):
        at = middle + (STACKED_STEP if stacked else MARK_STEP) * (i - 0.5 * (len(row.marks) - 1))
        colour = colours[mark.series]
        span = f"M{x.at(mark.low):.1f} {at:.1f}H{x.at(mark.high):.1f}"
        hint = draw("title", f"{row.name}, {mark.series}: {mark.text}".replace(", :", ":"))
        dot = draw("circle", cx=x.at(mark.value), cy=at, r=4.5, class_=f"{colour} gap")
        pieces.append(draw("g", hint, draw("path", d=span, class_=f"span s-{colour}"), dot))
        if right:
            pieces.append(draw("text", fit(mark.text, SIZE, right), x=right - 4, y=at + 4, text_anchor="end"))
    return pieces
