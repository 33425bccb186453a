"""In which order a plan is decided, and on which draws it is made and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Decide:
    """The strict order of objectives and its settings (DESIGN 5.3)."""

    order: tuple[str, ...] = ("goals", "fairness", "cost", "reference")
    slack: Mapping[str, float] = field(default_factory=dict)
    peers: tuple[str, ...] = ("level", "role")
    effort_price: Mapping[str, float] = field(default_factory=dict)
    cvar: float = 0.9
    robust: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OddsSettings:
    """What the plan promises of several goals at once, and the draws it is made on.

    Attributes
    ----------
    p_min : float or None
        Odds of hitting all of `goals` together; None where nothing is promised of them.
    goals : tuple of str
        All goals where empty.
    priority : int or None
        After the goals of which priority; after the last one where None.
    draws, seed : int
    """

    p_min: float | None = None
    goals: tuple[str, ...] = ()
    priority: int | None = None
    draws: int = 16384
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Recourse:
    """What is decided later: from which period on, and how many draws tell what that is worth."""

    start: int
    draws: int


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """How odds are estimated; `precision` (half width of the widest interval) may stop earlier or later than draws."""

    draws: int = 16384
    seed: int = 0
    method: str = "sobol"
    precision: float | None = None


@dataclass(frozen=True, slots=True)
class Fairness:
    """How peers are compared.

    Attributes
    ----------
    measure : str
        "stretch" (relative to max(|baseline|, step)), "load" (effort / capacity) or "chance" (equal odds).
    band : float or None
        How far everyone may be from the mean of the peers.
    leximin : bool
        Whether after the worst the next worst is looked at, to the end.
    price : bool
        Whether it is found out what the goals, cost and odds would be without fairness.
    """

    measure: str = "stretch"
    band: float | None = None
    leximin: bool = False
    price: bool = False
