"""The tornado: what moving each input alone does to an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kpiopt.report.charts.frame import NARROW, SIZE, Figure, Scale, both, left_room, x_axis
from kpiopt.report.drawing.fit import fit, fold, text_width
from kpiopt.report.drawing.svg import Svg, draw, picture

ROW = 30.0


@dataclass(frozen=True, slots=True)
class TornadoBar:
    """What moving one input does to an outcome.

    Attributes
    ----------
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

    @property
    def outcomes(self) -> list[float]:
        """All outcomes of the bar."""
        anew = [value for value in (self.replanned_low, self.replanned_high) if value is not None]
        return [self.at_low, self.at_high, *anew]


def tornado_figure(
    bars: Sequence[TornadoBar], base: float, title: str, *, is_share: bool = False, base_text: str = ""
) -> Figure:
    """Draw a tornado: bars from the base to the outcome at both ends of each input, the widest on top.

    Parameters
    ----------
    base_text : str
        The outcome as planned, as it is to be read.
    """
    ordered = sorted(bars, key=lambda bar: -abs(bar.at_high - bar.at_low))
    return both(
        lambda width: _tornado(ordered, (base, f"as planned {base_text}".rstrip()), title, width, share=is_share)
    )


def _tornado(bars: Sequence[TornadoBar], base: tuple[float, str], title: str, width: float, *, share: bool) -> Svg:
    narrow = width <= NARROW
    ends = 0.0 if narrow else 12 + max(text_width(t, SIZE) for b in bars for t in (b.low_label, b.high_label))
    left = left_room([bar.name for bar in bars], 0.4 * width)
    values = [base[0], *(value for bar in bars for value in bar.outcomes)]
    room = 0.02 * (max(values) - min(values)) or 0.1 * abs(base[0]) or 1.0
    x = Scale(min(values) - room, max(values) + room, left + ends, width - ends - 14)
    bottom = 52 + ROW * len(bars)
    middle = x.at(base[0])
    half = 0.5 * text_width(base[1], SIZE, bold=True)
    at = min(max(middle, half + 2), width - half - 2)
    pieces = [*_legend(bars), *x_axis(x, bottom, share=share, title=title, top=44)]
    for i, bar in enumerate(bars):
        pieces += _bar(bar, x, middle, 50 + ROW * i, left, labelled=not narrow)
    pieces.append(draw("line", x1=middle, x2=middle, y1=40, y2=bottom, class_="whisker"))
    pieces.append(draw("text", base[1], x=at, y=36, text_anchor="middle", class_="strong"))
    return picture(width, bottom + 40, title, *pieces)


def _legend(bars: Sequence[TornadoBar]) -> list[Svg]:
    pieces, x = [], 4.0
    named = [("input low", "ochre"), ("input high", "blue")]
    if any(len(bar.outcomes) > 2 for bar in bars):
        named.append(("planned anew", "paper whisker"))
    for text, colour in named:
        pieces.append(draw("rect", x=x, y=4, width=12, height=10, rx=2, class_=colour))
        pieces.append(draw("text", text, x=x + 17, y=13))
        x += 34 + text_width(text, SIZE)
    return pieces


def _bar(bar: TornadoBar, x: Scale, middle: float, y: float, left: float, *, labelled: bool) -> list[Svg]:
    lines = fold(bar.name, SIZE, left - 10, 2)
    pieces = [
        draw("text", line, x=left - 8, y=y + (14 if len(lines) == 1 else 8) + 13 * j, text_anchor="end")
        for j, line in enumerate(lines)
    ]
    marks = bar.outcomes[2:]
    for value, label, colour in ((bar.at_low, bar.low_label, "ochre"), (bar.at_high, bar.high_label, "blue")):
        end = x.at(value)
        hint = draw("title", f"{bar.name}, input {label}: {value:.4g}")
        pieces.append(draw("rect", hint, x=min(end, middle), y=y, width=max(1.0, abs(end - middle)), height=ROW - 10,
                           class_=colour))  # fmt: skip
        is_left = end < middle or (end == middle and colour == "ochre")
        if labelled:
            text = fit(label, SIZE, 90)
            anchor = "end" if is_left else "start"
            beside = [end + (-6 if is_left else 6), *(x.at(v) + (-10 if is_left else 10) for v in marks)]
            place = min(beside) if is_left else max(beside)
            pieces.append(draw("text", text, x=place, y=y + 14, text_anchor=anchor))
    for value in marks:
        cx, cy = x.at(value), y + 10
        pieces.append(draw("path", d=f"M{cx - 5:.1f} {cy}L{cx:.1f} {cy - 5}L{cx + 5:.1f} {cy}L{cx:.1f} {cy + 5}Z",
                           class_="paper whisker"))  # fmt: skip
    return pieces
