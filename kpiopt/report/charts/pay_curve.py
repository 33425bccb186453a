"""The pay curve: what attainment pays."""

from __future__ import annotations

from collections.abc import Sequence

from kpiopt.report.charts.frame import Figure, Scale, both, x_axis, y_axis
from kpiopt.report.drawing.fit import text_width
from kpiopt.report.drawing.short import short
from kpiopt.report.drawing.svg import Svg, draw, picture

BOTTOM, TOP, HEIGHT = 200.0, 26.0, 246.0


def pay_curve_figure(
    curve: Sequence[tuple[float, float]], marks: Sequence[tuple[float, float]], currency: str
) -> Figure:
    """Draw pay over attainment, with some attainments marked.

    Parameters
    ----------
    curve, marks : sequence of (float, float)
        Attainment as a share, and pay in the currency.
    """
    return both(lambda width: _curve(curve, marks, currency, width))


def _curve(
    curve: Sequence[tuple[float, float]], marks: Sequence[tuple[float, float]], currency: str, width: float
) -> Svg:
    largest = max(pay for _, pay in curve) or 1.0
    y = Scale(0.0, 1.05 * largest, BOTTOM, TOP)
    left = 14 + max(text_width(short(v), 11.5) for v in y.ticks())
    x = Scale(curve[0][0], curve[-1][0], left, width - 24)
    line = "".join(f"{'L' if i else 'M'}{x.at(a):.1f} {y.at(p):.1f}" for i, (a, p) in enumerate(curve))
    pieces = [*y_axis(y, left, width - 6), *x_axis(x, BOTTOM, share=True, title="attainment of every target")]
    pieces += [draw("path", d=f"{line}V{BOTTOM}H{left:.1f}Z", class_="area"), draw("path", d=line, class_="curve")]
    for attainment, pay in marks:
        at, height = x.at(attainment), y.at(pay)
        pieces.append(draw("line", x1=at, x2=at, y1=height, y2=BOTTOM, class_="dash"))
        pieces.append(draw("circle", cx=at, cy=height, r=4, class_="red"))
        pieces.append(draw("text", short(pay, 4), x=at - 6, y=height - 7, text_anchor="end", class_="strong halo"))
    return picture(width, HEIGHT, f"Pay in {currency} by attainment".replace(" in  ", " "), *pieces)
