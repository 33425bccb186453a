"""Odds from as many draws as the time allows, where far more are asked for than it may hold.

Odds come from whole nets of draws. Where millions are asked for, the time may end within the first net, and all draws
of it would be lost. So smaller numbers of draws come first, each a multiple of the last; together they take a small
part of the time that the whole takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from kpiopt.deadline import Deadline
from kpiopt.errors import LimitReached
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation.intervene import Intervention
from kpiopt.simulation.results import Simulation

FIRST = 1 << 12
GROWTH = 8
"""How many times the draws before each number of draws is."""
FEW = 16
"""Draws that are not worth that: a whole is done soon after so many times the first."""

Answer = TypeVar("Answer", Simulation, Intervention)


def draw_in_time(
    draw: Callable[[SimulationSettings], Answer], settings: SimulationSettings, deadline: Deadline
) -> Answer:
    """Return the answer from all draws, or from the most that the time allowed, which then says how many were asked.

    Parameters
    ----------
    draw : callable
        Simulates with settings until the deadline.

    Raises
    ------
    LimitReached
        Where the time is up before the first of them.
    """
    best: Answer | None = None
    for draws in _ladder(settings, deadline):
        try:
            found = draw(replace(settings, draws=draws))
        except LimitReached:
            if best is None:
                raise
            break
        if best is not None and _draws(found) <= _draws(best):
            break
        best = found
        if _draws(found) < draws:
            break
    assert best is not None
    return best if settings.precision is not None or _draws(best) >= settings.draws else _cut(best, settings.draws)


def _ladder(settings: SimulationSettings, deadline: Deadline) -> Iterator[int]:
    draws = FIRST
    while math.isfinite(deadline.moment) and settings.precision is None and FEW * draws < settings.draws:
        yield draws
        draws *= GROWTH
    yield settings.draws


def _draws(answer: Simulation | Intervention) -> int:
    return answer.draws if isinstance(answer, Simulation) else answer.after.draws


def _cut(answer: Answer, asked: int) -> Answer:
    """Return an answer that says how many draws were asked for."""
    cut: dict[str, Any] = {"asked": asked}
    if isinstance(answer, Intervention):
        cut = {"before": replace(answer.before, asked=asked), "after": replace(answer.after, asked=asked)}
    return replace(answer, **cut)
