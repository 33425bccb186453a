"""Money: budgets, and the curves by which attainment is paid."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what a subtree spends of a resource, in every period or in all; "pay" is variable compensation."""

    id: str
    resource: str
    limit: float
    scope: int
    money: bool = True
    by_period: bool = False


@dataclass(frozen=True, slots=True)
class PayPlan:
    """Payout curve: attainment -> share of target incentive, piecewise linear, flat outside its points.

    It pays by what was attained in each period, or over the horizon.
    """

    id: str
    attainment: tuple[float, ...]
    share: tuple[float, ...]
    cap: float | None = None
    by_period: bool = False
