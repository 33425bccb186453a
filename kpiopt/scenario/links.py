"""What moves a KPI from outside: its drivers, and the effects of initiatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.quantity import Quantity

Integers = NDArray[np.int64]


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


@dataclass(frozen=True, slots=True)
class Effect:
    """What one unit of an initiative's level adds to a KPI at the deciding unit."""

    kpi: str
    contribution: Quantity
    lag: int
    path: str
    between: float = 0.0
    spread: str | None = None
