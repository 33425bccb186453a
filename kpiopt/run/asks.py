"""What a run says about who is asked for how much: cushions, offers, and how alike peers are treated."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kpiopt.scenario.over_assignment import Cushion
from kpiopt.simulation.odds import Estimate


@dataclass(frozen=True)
class CushionResult:
    """The cushion of one level.

    Attributes
    ----------
    cushion : Cushion
        As it is written.
    share : float
        Share of the targets that is asked on top.
    planned : float or None
        Share of the planning draws in which the goal is hit when what is asked is realised by execution; None where
        the share was given.
    odds : Estimate or None
        The same from draws that the cushion was not found on.
    """

    cushion: Cushion
    share: float
    planned: float | None = None
    odds: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "level": self.cushion.level,
            "share": self.share,
            "odds": self.odds.as_dict() if self.odds else None,
            "goal": self.cushion.goal or None,
            "wanted": self.cushion.odds or None,
            "planned": self.planned,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """What is wanted of a unit, what it offers, and what the plan says, in the KPI's unit.

    Attributes
    ----------
    top_down : float or None
        What the goals, split in proportion, would ask; None where no goal reaches the unit.
    bottom_up : float
        Its offer, or what is offered below it; what offers nothing counts as its baseline.
    plan, target : float
        What is expected of it, and what it is asked for.
    """

    unit: str
    kpi: str
    top_down: float | None
    bottom_up: float
    plan: float
    target: float

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PeersCompared:
    """One group of peers in the plan.

    Attributes
    ----------
    name : str
        Such as "sales, level rep".
    largest, mean : float
        Of what is compared.
    """

    name: str
    count: int
    largest: float
    mean: float


@dataclass(frozen=True)
class WithoutFairness:
    """What the plan would be if peers were not compared.

    Attributes
    ----------
    goals : tuple of mapping
        goal, plan, shortfall and odds of each.
    cost, cost_with : float
        Value of the step `cost` of that plan, and of this one.
    all_goals : Estimate or None
        Odds of all goals together.
    """

    goals: tuple[dict[str, Any], ...]
    cost: float
    cost_with: float
    all_goals: Estimate | None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        odds = self.all_goals.as_dict() if self.all_goals else None
        return {"goals": list(self.goals), "cost": self.cost, "cost_with": self.cost_with, "odds": odds}


@dataclass(frozen=True)
class FairnessResult:
    """How alike peers are treated, and what that costs; `price` is None where it was not looked at."""

    measure: str
    groups: tuple[PeersCompared, ...] = ()
    price: WithoutFairness | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "measure": self.measure,
            "groups": [asdict(group) for group in self.groups],
            "price": self.price.as_dict() if self.price else None,
        }
