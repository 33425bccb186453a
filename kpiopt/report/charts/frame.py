"""What all charts share: two widths, scales with readable ticks, axes, style."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kpiopt.report.drawing.fit import fit, text_width
from kpiopt.report.drawing.palette import FONT, css
from kpiopt.report.drawing.short import short_ticks
from kpiopt.report.drawing.svg import Svg, draw

WIDE, NARROW, FULL = 620.0, 340.0, 1080.0
SIZE = 11.5

COLOURS = ("blue", "teal", "ochre", "red", "purple", "grey", "pale")
RULES = """
.chart{font-family:@FONT;font-size:11.5px;display:block;width:100%;height:auto}
.chart text{fill:@ink}
.chart .soft{fill:@soft}
.chart .strong{font-weight:700}
.chart .halo{paint-order:stroke;stroke:@paper;stroke-width:4px;stroke-linejoin:round}
.chart .on{fill:@paper;font-weight:700}
.chart .grid{stroke:@line}
.chart .axis{stroke:@grey}
.chart .dash{stroke:@grey;stroke-dasharray:4 3}
.chart .goal{stroke:@red;stroke-dasharray:5 3;stroke-width:1.6}
.chart .whisker{stroke:@ink;stroke-width:1.3;fill:none}
.chart .curve{fill:none;stroke:@blue;stroke-width:2.2}
.chart .trend{fill:none;stroke-width:2}
.chart .span{fill:none;stroke-width:2}
.chart .band{fill-opacity:.16}
.chart .area{fill:@blue;fill-opacity:.16}
.chart .paper{fill:@paper}
.chart .paper.whisker{fill:@paper}
.chart .track{fill:@track}
.chart .gap{stroke:@paper;stroke-width:1.5}
"""
FILLS = "".join(f".chart .{c}{{fill:@{c}}}\n.chart .s-{c}{{stroke:@{c}}}\n" for c in COLOURS)


def chart_style(*, dark: bool = True) -> str:
    """Return the style of charts."""
    return css((RULES + FILLS).replace("@FONT", FONT), dark=dark)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart for wide and for narrow places."""

    wide: Svg
    narrow: Svg


def both(drawn: Callable[[float], Svg], *, full: bool = False) -> Figure:
    """Draw a chart in both widths; `full` ones have much to show and take the width of the page."""
    return Figure(drawn(FULL if full else WIDE), drawn(NARROW))


@dataclass(frozen=True, slots=True)
class Scale:
    """Values low … high onto start … end of a picture."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value is, kept within the picture."""
        span = (self.high - self.low) or 1.0
        share = min(1.05, max(-0.05, (value - self.low) / span))
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Return about so many round values within the scale."""
        span = self.high - self.low
        if not span > 0 or not math.isfinite(span):
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / count))
        step *= next((f for f in (1, 2, 2.5, 5, 10) if span / (f * step) <= count), 10)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def tick_texts(values: Sequence[float], *, share: bool = False) -> list[str]:
    """Write ticks alike: as percentages, or with just the digits that tell them apart."""
    if share:
        step = min((abs(b - a) for a, b in itertools.pairwise(values)), default=1.0)
        digits = max(0, math.ceil(-math.log10(100 * step) - 1e-9)) if step > 0 else 0
        digits += any(abs(round(100 * v, digits) - 100 * v) > 1e-9 for v in values)
        return [f"{100 * v:.{digits}f} %" for v in values]
    return short_ticks(values)


def y_axis(scale: Scale, left: float, right: float, *, share: bool = False) -> list[Svg]:
    """Draw grid lines with their values at the left."""
    ticks = scale.ticks()
    pieces = []
    for value, text in zip(ticks, tick_texts(ticks, share=share), strict=True):
        y = scale.at(value)
        pieces.append(draw("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        pieces.append(draw("text", text, x=left - 6, y=y + 4, text_anchor="end", class_="soft"))
    return pieces


def x_axis(scale: Scale, y: float, *, share: bool = False, title: str = "", top: float | None = None) -> list[Svg]:
    """Draw values below a line, with grid lines up to `top` where it is given; crowded ones are left out."""
    ticks = scale.ticks(max(2, int((scale.end - scale.start) / 80)))
    pieces = [draw("line", x1=scale.start, x2=scale.end, y1=y, y2=y, class_="axis")]
    for value, text in zip(ticks, tick_texts(ticks, share=share), strict=True):
        x, half = scale.at(value), 0.5 * text_width(text, SIZE)
        if top is not None:
            pieces.append(draw("line", x1=x, x2=x, y1=top, y2=y, class_="grid"))
        x = min(max(x, scale.start - 30 + half), scale.end + 10 - half)
        pieces.append(draw("text", text, x=x, y=y + 16, text_anchor="middle", class_="soft"))
    if title:
        pieces.append(draw("text", title, x=scale.end, y=y + 33, text_anchor="end", class_="soft"))
    return pieces


def left_room(texts: Sequence[str], most: float) -> float:
    """Return the room that labels at the left need, at most so much."""
    return min(most, 12.0 + max((text_width(t, SIZE) for t in texts), default=0.0))


def legend(colours: Mapping[str, str], width: float) -> tuple[list[Svg], float]:
    """Name the colours of several things above a picture.

    Returns
    -------
    list of Svg
    float
        Where the picture below it may begin.
    """
    pieces: list[Svg] = []
    x, y = 4.0, 4.0
    for name, colour in colours.items():
        text = fit(name, SIZE, width - 30)
        if x > 4 and x + 22 + text_width(text, SIZE) > width:
            x, y = 4.0, y + 18
        pieces.append(draw("rect", x=x, y=y, width=12, height=10, rx=2, class_=colour))
        pieces.append(draw("text", text, x=x + 17, y=y + 9))
        x += 34 + text_width(text, SIZE)
    return pieces, y + 22


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """Give every name a colour, in their order."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(names))}
