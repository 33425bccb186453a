"""Lines with bands: values over time, or over the values of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpiopt.report.charts.frame import SIZE, Figure, Scale, both, colours_of, legend, tick_texts, x_axis, y_axis
from kpiopt.report.drawing.fit import text_width
from kpiopt.report.drawing.svg import Svg, draw, picture

MOST_DOTS = 40


@dataclass(frozen=True, slots=True)
class Line:
    """Points from left to right.

    Attributes
    ----------
    low, high : sequence of float, optional
        Interval of each y; drawn as a band.
    dashed : bool
        For what is a rule or a reference.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False


def lines_figure(
    lines: Sequence[Line],
    title: str,
    x_title: str,
    y_title: str,
    *,
    share: bool = False,
    x_names: Sequence[str] = (),
    x_share: bool = False,
) -> Figure:
    """Draw lines with their bands.

    Parameters
    ----------
    share : bool
        Whether y is a share, written in per cent.
    x_names : sequence of str
        Names of x = 0, 1, 2, …, such as periods, instead of numbers.
    x_share : bool
        Whether x is a share as well.
    """
    return both(lambda width: _lines(lines, (title, x_title, y_title), x_names, width, (x_share, share)))


def _lines(
    lines: Sequence[Line],
    titles: tuple[str, str, str],
    x_names: Sequence[str],
    width: float,
    shares: tuple[bool, bool],
) -> Svg:
    x_share, share = shares
    colours = colours_of([line.name for line in lines]) | {line.name: "grey" for line in lines if line.dashed}
    pieces, top = legend(colours, width) if len(lines) > 1 else ([], 4.0)
    ys = [v for line in lines for values in (line.y, line.low, line.high) for v in values]
    xs = [v for line in lines for v in line.x]
    room = 0.06 * (max(ys) - min(ys)) or 0.05 * abs(ys[0]) or 0.5
    low = min(ys) - room if min(ys) < 0 else max(0.0, min(ys) - room)
    top, bottom = top + 26, top + 226
    y = Scale(low, min(1.0, max(ys) + room) if share and max(ys) <= 1 else max(ys) + room, bottom, top)
    left = 14 + max(text_width(text, SIZE) for text in tick_texts(y.ticks(), share=share))
    span = max(xs) - min(xs) or 1.0
    x = Scale(min(xs) - 0.02 * span, max(xs) + 0.02 * span, left, width - 14)
    pieces += [draw("text", titles[2], x=4, y=top - 13, class_="soft"), *y_axis(y, left, width - 8, share=share)]
    pieces += (
        _named_axis(x, bottom, x_names, titles[1]) if x_names else x_axis(x, bottom, title=titles[1], share=x_share)
    )
    pieces += [_line(line, x, y, colours[line.name]) for line in lines]
    return picture(width, bottom + (40 if titles[1] else 26), titles[0], *pieces)


def _named_axis(x: Scale, y: float, names: Sequence[str], title: str) -> list[Svg]:
    """Draw names below a line; where they are crowded, every second, third … one."""
    wide = 10 + max(text_width(name, SIZE) for name in names)
    step = next(n for n in range(1, len(names) + 2) if abs(x.at(n) - x.at(0)) >= wide or n > len(names))
    pieces = [draw("line", x1=x.start, x2=x.end, y1=y, y2=y, class_="axis")]
    for i, name in list(enumerate(names))[::step]:
        half = 0.5 * text_width(name, SIZE)
        at = min(max(x.at(i), half), x.end + 12 - half)
        pieces.append(draw("text", name, x=at, y=y + 16, text_anchor="middle", class_="soft"))
    if title:
        pieces.append(draw("text", title, x=x.end, y=y + 33, text_anchor="end", class_="soft"))
    return pieces


def _line(line: Line, x: Scale, y: Scale, colour: str) -> Svg:
    places = [(x.at(a), y.at(b)) for a, b in zip(line.x, line.y, strict=True)]
    pieces = [draw("title", line.name)]
    if line.low and line.high:
        upper = "L".join(f"{x.at(a):.1f} {y.at(b):.1f}" for a, b in zip(line.x, line.high, strict=True))
        lower = "L".join(f"{x.at(a):.1f} {y.at(b):.1f}" for a, b in reversed(list(zip(line.x, line.low, strict=True))))
        pieces.append(draw("path", d=f"M{upper}L{lower}Z", class_=f"band {colour}"))
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    kind = "dash" if line.dashed else f"span s-{colour}"
    pieces.append(draw("path", d=path, class_=kind))
    if len(places) <= MOST_DOTS and not line.dashed:
        pieces += [draw("circle", cx=a, cy=b, r=3.2, class_=colour) for a, b in places]
    return draw("g", *pieces)
