"""What moves a KPI from outside: factors, its drivers, and initiatives with their effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.curve import Curve
from kpiopt.scenario.quantity import Quantity

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Factor:
    """An outside influence nobody controls; its quantity is named "factor.<id>".

    One that has a value for each period stands once for each, with the id "<cause>/<period>".

    Attributes
    ----------
    period : int
        Position in `Periods`; -1 where the value holds in all of them.
    whole : (str, str) or None
        Id and name in the file, where those of a period differ.
    """

    id: str
    name: str
    value: Quantity
    period: int = -1
    whole: tuple[str, str] | None = None

    @property
    def cause(self) -> str:
        """The id that drivers name it by."""
        return self.id if self.whole is None else self.whole[0]

    @property
    def title(self) -> str:
        """Its name, over all periods."""
        return self.name if self.whole is None else self.whole[1]


@dataclass(frozen=True, slots=True)
class Driver:
    """Cause and effect: one more unit of `cause` changes the driven KPI by `contribution` (natural units).

    Attributes
    ----------
    cause : str
        Id of a KPI or of a factor.
    is_factor : bool
        Which of the two.
    contribution : Quantity
        Change of the driven KPI per unit change of the cause.
    lag : int
        Periods between cause and effect.
    spread : str or None
        How an effect at a unit above cells of the KPI is handed down to them: "baseline", "size" or "even".
    at : str
        "organization" (the root), a level, or a unit id.
    units : (n,) int
        The units that `at` names, as positions in `Units`.
    path : str
        The quantity's name, "kpi.<driven>.drivers.<cause>".
    between : float
        Relative standard deviation of the contribution between units.
    curve : Curve, optional
        What the cause does where that is no fixed contribution; `contribution` is then 1.
    """

    cause: str
    is_factor: bool
    contribution: Quantity
    lag: int
    at: str
    units: Integers
    path: str
    between: float = 0.0
    spread: str | None = None
    curve: Curve | None = None

    @property
    def slope(self) -> float:
        """The mean contribution, of a curve that from its first point to its last."""
        return self.contribution.mean if self.curve is None else self.curve.mean_slope


@dataclass(frozen=True, slots=True)
class Effect:
    """What one unit of an initiative's level adds to a KPI.

    Attributes
    ----------
    places : tuple of (int, int), optional
        Pairs of a position among the deciding units and the unit at which it works; at the deciding unit itself, else
        at the root, where None.
    curve : Curve, optional
        What a level does where that is no fixed contribution; `contribution` is then 1.
    """

    kpi: str
    contribution: Quantity
    lag: int
    path: str
    between: float = 0.0
    spread: str | None = None
    places: tuple[tuple[int, int], ...] | None = None
    curve: Curve | None = None

    @property
    def slope(self) -> float:
        """The mean contribution, of a curve that from its first point to its last."""
        return self.contribution.mean if self.curve is None else self.curve.mean_slope


@dataclass(frozen=True, slots=True)
class Initiative:
    """An action that units can fund: one level in [0, maximum] for each unit in `units`.

    Attributes
    ----------
    units : (n,) int
        Deciding units, positions in `Units`.
    maximum : float
        Largest level.
    whole : bool
        Whether the level must be a whole number.
    uses, runs : mapping of str to float
        Resource use per unit of level: once, when it begins, and in every period in which it runs.
    starts : tuple of int, optional
        Periods in which it may begin; all where None.
    build_up : tuple of float
        Share of its effect in the first, second … period in which it runs, the last one for good.
    lasts : int, optional
        Number of periods in which it runs; to the end of the plan where None.
    levels : tuple of float
        The levels there are, ascending; empty where every level up to the largest is possible.
    needs, not_with : tuple of str
        Initiatives that must be above 0 where this one is, and those that must not.
    setup : mapping of str to float
        Resource use once where the level is above 0, in the period in which it begins.
    """

    id: str
    name: str
    units: Integers
    maximum: float
    whole: bool
    uses: Mapping[str, float]
    effects: tuple[Effect, ...]
    runs: Mapping[str, float] = field(default_factory=dict)
    starts: tuple[int, ...] | None = None
    build_up: tuple[float, ...] = (1.0,)
    lasts: int | None = None
    levels: tuple[float, ...] = ()
    needs: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()
    setup: Mapping[str, float] = field(default_factory=dict)

    @property
    def resources(self) -> tuple[str, ...]:
        """What it uses."""
        return tuple(dict.fromkeys((*self.uses, *self.runs, *self.setup)))

    @property
    def is_switched(self) -> bool:
        """Whether it is more than a level: whether it runs at all counts by itself."""
        return bool(self.levels or self.needs or self.not_with or self.setup)

    def runs_in(self, start: int, n_periods: int) -> range:
        """Return the periods in which a level begun in one of them runs."""
        return range(start, n_periods if self.lasts is None else min(n_periods, start + self.lasts))

    def strength(self, start: int, period: int) -> float:
        """Return the share of its effect in a period of a level begun in one; 0 where it does not run."""
        after = period - start
        if after < 0 or (self.lasts is not None and after >= self.lasts):
            return 0.0
        return self.build_up[min(after, len(self.build_up) - 1)]
