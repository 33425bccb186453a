"""In which order a plan is decided, and on which draws it is made and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

RISK_STEPS = ("odds", "cvar")
"""Steps of the order that need draws while planning."""


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
class ChosenKpis:
    """Units whose KPIs the plan chooses, by `[assign.NAME] choose`.

    Attributes
    ----------
    unit : (n_units,) int
        The units, ascending; what one does itself besides counts as its own.
    name : tuple of str
        The entry that chooses for each of them, the last one where several do.
    least, most : (n_units,) int
        Numbers of KPIs that each answers for.
    cell : (n,) int
        Rows of the horizon's cells that are chosen or not: with a decision and without a lock.
    of_unit : (n,) int
        Position in `unit` of each of them.
    light : (n,) bool
        Whether it weighs too little in pay to be chosen.
    locked : (n_locked,) int
        Rows of the cells that a lock has chosen.
    locked_of_unit : (n_locked,) int
        Position in `unit` of each of these.
    """

    unit: NDArray[np.int64]
    name: tuple[str, ...]
    least: NDArray[np.int64]
    most: NDArray[np.int64]
    cell: NDArray[np.int64]
    of_unit: NDArray[np.int64]
    light: NDArray[np.bool_]
    locked: NDArray[np.int64]
    locked_of_unit: NDArray[np.int64]

    @property
    def n_locked(self) -> NDArray[np.int64]:
        """How many KPIs of each unit a lock has chosen, (n_units,) int."""
        return np.bincount(self.locked_of_unit, minlength=len(self.unit)).astype(np.int64)


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

    def drawn(self, draws: int | None, seed: int | None) -> SimulationSettings:
        """Return the settings with another number of draws, exactly so many, or another seed; None leaves each."""
        settings = self if draws is None else replace(self, draws=draws, precision=None)
        return settings if seed is None else replace(settings, seed=seed)


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
