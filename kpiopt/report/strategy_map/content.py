"""What stands on a strategy map: bands, groups, cards and arrows, from a graph and what a plan makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kpiopt.simulation.odds import Estimate


@dataclass(frozen=True, slots=True)
class Band:
    """A perspective, or the foot of the map with what acts on it from outside."""

    id: str
    name: str


REST, FOOT = Band("other", "Other KPIs"), Band("foot", "What acts on it")
"""Bands that no file names: KPIs without a perspective, and the foot."""


@dataclass(frozen=True, slots=True)
class Group:
    """An objective with its KPIs; a critical success factor is marked."""

    id: str
    name: str
    band: int
    critical: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class CardPeriod:
    """One period of a KPI on its card: baseline and target, which is None where nothing has been solved."""

    name: str
    baseline: float
    target: float | None
    is_goal: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A KPI, an initiative, a factor, or an objective that stands for its KPIs.

    Attributes
    ----------
    id : str
        "kpi.sales", "initiative.coaching", "factor.market"; "in.objective.grow" stands for the KPIs of an objective.
    group : str
        Id of its group.
    before, after : str
        Baseline and target as texts; for others `after` is empty and `before` says what there is to say.
    unit : str
        Unit of measure.
    odds : Estimate or None
        Of the goal, or else of the target at the map's unit.
    sign : int
        +1 where higher is better, -1 where lower is, 0 where neither.
    node : int
        Of the graph, -1 where there is none of its own.
    description : str
        More about it, for a hint.
    periods : tuple of CardPeriod
        Of a plan with periods; `before` and `after` are of the horizon then.
    goal_value : str
        What the goal is, where that is not the target; the odds are the goal's.
    """

    id: str
    name: str
    group: str
    before: str = ""
    after: str = ""
    unit: str = ""
    owner: str = ""
    odds: Estimate | None = None
    is_goal: bool = False
    sign: int = 0
    node: int = -1
    description: str = ""
    periods: tuple[CardPeriod, ...] = ()
    goal_value: str = ""

    @property
    def kind(self) -> str:
        """Return "kpi", "initiative", "factor" or "objective"."""
        kind = self.id.partition(".")[0]
        return "objective" if kind == "in" else kind


@dataclass(frozen=True, slots=True)
class Arrow:
    """Cause and effect between two cards.

    Attributes
    ----------
    cause, effect : str
        Ids of cards.
    amount : float
        Change of the effect at the map's unit when the cause changes by 1 wherever it stands; factors by 1,
        initiatives by one level at each of their units.
    share : float
        Share of all that can move the effect which comes along this arrow, between 0 and 1.
    lag : int
        Periods between cause and effect.
    tells_share : bool
        Whether the share is one: a unit's scorecard does not know what else moves a KPI.
    """

    cause: str
    effect: str
    amount: float
    share: float
    lag: int = 0
    tells_share: bool = True


@dataclass(frozen=True)
class StrategyMap:
    """A map of one unit.

    Attributes
    ----------
    unit : str
        Whose map it is.
    note : str
        How to read it, where that is not plain.
    folded : mapping of str to StrategyMap
        Maps that cards open to.
    """

    title: str
    unit: str
    bands: tuple[Band, ...]
    groups: tuple[Group, ...]
    cards: tuple[Card, ...]
    arrows: tuple[Arrow, ...]
    note: str = ""
    folded: Mapping[str, StrategyMap] = field(default_factory=dict)

    def card(self, id: str) -> Card:
        """Return a card by its id."""
        return next(card for card in self.cards if card.id == id)

    @property
    def n_kpis(self) -> int:
        """Number of KPIs."""
        return sum(card.kind == "kpi" for card in self.cards)
