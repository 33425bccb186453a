"""What odds cost, as a planner reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from kpiopt.report.grid import Grid
from kpiopt.report.numbers import amount, percent
from kpiopt.studies.risk import OddsPrice, RiskStudy

if TYPE_CHECKING:
    from rich.console import RenderableType


def render_risk(study: RiskStudy, currency: str) -> Group:
    """Lay out what each odds of all goals cost, and what planning on draws is worth."""
    grid = Grid(("odds of all goals", "cost", "more than before", "promise"), left=1)
    before: float | None = None
    for price in study.prices:
        more = "" if before is None or not price.kept else amount(price.cost - before, currency)
        grid.add(percent(price.odds, 0), amount(price.cost, currency), more, _promise(price))
        before = price.cost if price.kept else before
    lines: list[RenderableType] = [Padding(Text(text), (0, 0, 0, 2), expand=False) for text in risk_sentences(study)]
    return Group(Text("\nWhat odds cost", style="bold"), grid, *lines)


def _promise(price: OddsPrice) -> str:
    if price.kept:
        return "kept"
    return f"missed: {percent(price.planned)}; kept if every goal gave way by {percent(price.shortfall)} of its way"


def risk_sentences(study: RiskStudy) -> Iterator[str]:
    """Say where it becomes expensive, and what draws are worth to the plan."""
    if study.knee is not None:
        yield f"Beyond {percent(study.knee, 0)} each further point costs much more."
    worth = _points(study.best - study.average)
    yield (
        f"Planned on averages, all goals are hit in {_share(study.average)} of {study.draws:,} draws; the best plan "
        f"found within the same limits hits them in {_share(study.best)}: planning on draws is worth {worth}."
    )
    if study.known is not None:
        known = max(study.known, study.best)
        yield (
            f"Were each draw known before anything is decided, {_share(known)} could be hit: "
            f"knowing is worth at most {_points(known - study.best)}."
        )


def _share(share: float) -> str:
    """Write odds, never as 0 % or 100 %."""
    if share < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if share > 0.999 else percent(share)


def _points(share: float) -> str:
    return f"{100 * share:.1f} points of odds"
