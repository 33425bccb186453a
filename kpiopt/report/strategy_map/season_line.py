"""The periods of a KPI as a small line on its card: what is expected without new effort, and the targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kpiopt.report.drawing.short import short
from kpiopt.report.drawing.svg import Svg, draw
from kpiopt.report.strategy_map.content import CardPeriod

HEIGHT = 20.0
MOST_DOTS = 12

RULES = """
.map .season{fill:none;stroke-width:1.6}
.map .season.before{stroke:@pale}
.map .season.aim{stroke:@blue}
.map .dot{fill:@blue}
.map .dot.wanted{fill:@ochre;stroke:@paper}
"""


def season_line(periods: Sequence[CardPeriod], x: float, y: float, width: float) -> Iterator[Svg]:
    """Draw baselines and targets from the first period to the last, in a strip whose top is at y."""
    targets = [period.target for period in periods if period.target is not None]
    values = [*(period.baseline for period in periods), *targets]
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    inner = HEIGHT - 6.0
    places = [x + 3.0 + (width - 6.0) * (i + 0.5) / len(periods) for i in range(len(periods))]

    def line(amounts: Sequence[float], look: str) -> tuple[Svg, list[float]]:
        heights = [y + 3.0 + inner * (1.0 - (value - low) / span if high > low else 0.5) for value in amounts]
        points = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(places, heights, strict=True))
        return draw("path", d=f"M{points}", class_=f"season {look}"), heights

    yield line([period.baseline for period in periods], "before")[0]
    if len(targets) < len(periods):
        return
    drawn, heights = line(targets, "aim")
    yield drawn
    for period, a, b in zip(periods, places, heights, strict=True):
        if period.is_goal:
            yield draw("circle", cx=a, cy=b, r=3.4, class_="dot wanted")
        elif len(periods) <= MOST_DOTS:
            yield draw("circle", cx=a, cy=b, r=2.0, class_="dot")


def season_words(periods: Sequence[CardPeriod]) -> str:
    """Say what the line shows: "2027-Q1 110 to 112, 2027-Q2 …"; empty without periods."""
    return ", ".join(
        f"{period.name} {short(period.baseline)}"
        + ("" if period.target is None else f" to {short(period.target)}")
        + (" (a goal)" if period.is_goal else "")
        for period in periods
    )
