"""Over-assignment: lower levels are asked for more than what is planned, on purpose, as a cushion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cushion:
    """What one level is asked on top of its targets.

    Attributes
    ----------
    share : float or None
        Share of the targets; None where it is found from the odds.
    goal : str
        Id of the goal that should have the odds; empty where the share is given.
    odds : float
        Odds wanted of the goal.
    """

    level: str
    share: float | None
    goal: str = ""
    odds: float = 0.0


@dataclass(frozen=True)
class OverAssignment:
    """All cushions, from the top down, and the KPIs that they are of.

    Attributes
    ----------
    kpis : tuple of bool
        Which KPIs, by position.
    """

    cushions: tuple[Cushion, ...] = ()
    kpis: tuple[bool, ...] = ()

    @property
    def given(self) -> Mapping[str, float]:
        """Shares that are written in the scenario, by level."""
        return {c.level: c.share for c in self.cushions if c.share is not None}

    @property
    def wanted(self) -> tuple[Cushion, ...]:
        """Cushions whose share is found from the odds of a goal."""
        return tuple(c for c in self.cushions if c.share is None)
