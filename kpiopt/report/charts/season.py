"""A KPI over the periods: what is expected without new effort, the target, the range of the draws, goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kpiopt.report.charts.frame import SIZE, Figure, Scale, both, y_axis
from kpiopt.report.drawing.fit import fit, text_width
from kpiopt.report.drawing.short import short
from kpiopt.report.drawing.svg import Svg, draw, picture

TOP, BOTTOM = 34.0, 196.0


@dataclass(frozen=True)
class Season:
    """One KPI in each period.

    Attributes
    ----------
    names : sequence of str
        Of the periods, first to last.
    spread : sequence of (float, float)
        Of the draws in each period, 5 % and 95 % points; empty where there are none.
    goals : mapping of int to float
        Period -> what is wanted of it.
    """

    names: Sequence[str]
    baseline: Sequence[float]
    target: Sequence[float]
    spread: Sequence[tuple[float, float]] = ()
    goals: Mapping[int, float] = field(default_factory=dict)


def season_figure(season: Season, name: str, unit: str = "") -> Figure:
    """Draw baseline and target of a KPI by period."""
    return both(lambda width: _drawn(season, name, unit, width))


def _drawn(season: Season, name: str, unit: str, width: float) -> Svg:
    values = [*season.baseline, *season.target, *(v for ends in season.spread for v in ends), *season.goals.values()]
    low, high = min(values), max(values)
    room = 0.08 * ((high - low) or abs(high) or 1.0)
    y, left = Scale(low - room, high + room, BOTTOM, TOP), 54.0
    slot = (width - left - 12.0) / len(season.names)
    x = [left + (i + 0.5) * slot for i in range(len(season.names))]
    pieces = [*y_axis(y, left, width - 6), *_names(season.names, x, slot), *_legend(season, unit, left, width)]
    for at, (low, high) in zip(x, season.spread, strict=False):
        half = min(16.0, 0.3 * slot)
        pieces.append(draw("rect", x=at - half, y=y.at(high), width=2 * half, height=max(1.0, y.at(low) - y.at(high)),
                           rx=2, class_="area"))  # fmt: skip
    pieces.append(_line(x, [y.at(v) for v in season.baseline], "dash"))
    pieces.append(_line(x, [y.at(v) for v in season.target], "s-blue"))
    for i, (at, value, before) in enumerate(zip(x, season.target, season.baseline, strict=True)):
        hint = f"{season.names[i]}: {short(before, 4)} to {short(value, 4)} {unit}".strip()
        pieces.append(draw("circle", draw("title", hint), cx=at, cy=y.at(value), r=3.6, class_="blue"))
        text = short(value, 4)
        if text_width(text, SIZE, bold=True) < slot - 2:
            under = value < before and y.at(value) + 21.0 < BOTTOM
            place = y.at(value) + (19.0 if under else -9.0)
            pieces.append(draw("text", text, x=at, y=place, text_anchor="middle", class_="strong halo"))
    for period, wanted in season.goals.items():
        half = min(20.0, 0.4 * slot)
        hint = draw("title", f"{season.names[period]}: goal {short(wanted, 4)} {unit}".strip())
        pieces.append(draw("line", hint, x1=x[period] - half, x2=x[period] + half, y1=y.at(wanted), y2=y.at(wanted),
                           class_="goal"))  # fmt: skip
    return picture(width, BOTTOM + 26.0, name, *pieces)


def _line(x: Sequence[float], y: Sequence[float], look: str) -> Svg:
    points = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    return draw("path", d=f"M{points}", class_=f"trend {look}")


def _names(names: Sequence[str], x: Sequence[float], slot: float) -> list[Svg]:
    """Name the periods; where they are crowded some of them only."""
    every = next(n for n in range(1, len(names) + 1) if max(text_width(t, SIZE) for t in names) + 6 < n * slot
                 or n == len(names))  # fmt: skip
    return [
        draw("text", fit(name, SIZE, every * slot), x=at, y=BOTTOM + 18.0, text_anchor="middle", class_="soft")
        for name, at in list(zip(names, x, strict=True))[::every]
    ]


def _legend(season: Season, unit: str, left: float, width: float) -> list[Svg]:
    """Say what the lines mean, as far as there is room."""
    shown = [("dash", "without new effort"), ("s-blue", "target")]
    pieces, x = [], left
    if season.spread:
        shown.append(("area", "9 of 10 draws"))
    if season.goals:
        shown.append(("goal", "goal"))
    for look, text in shown:
        if x + 30 + text_width(text, SIZE) > width:
            break
        mark = (
            draw("rect", x=x, y=8, width=18, height=8, rx=2, class_="area")
            if look == "area"
            else draw("path", d=f"M{x:.1f} 12h18", class_=f"trend {look}")
        )
        pieces += [mark, draw("text", text, x=x + 23, y=16, class_="soft")]
        x += 23 + text_width(text, SIZE) + 14
    if unit and x + text_width(unit, SIZE) < width - 6:
        pieces.append(draw("text", unit, x=width - 6, y=16, text_anchor="end", class_="soft"))
    return pieces
