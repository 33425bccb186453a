"""The format, first part: the strategy map (perspectives, objectives, KPIs, drivers, factors, initiatives)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kpiopt.reading.layer import DISTRIBUTIONS
from kpiopt.scenario.format.periods import Season
from kpiopt.scenario.format.values import (
    QUANTITY_SCHEMA,
    Names,
    NonNegative,
    Number,
    OrShort,
    Positive,
    QuantityByPeriod,
    QuantityValue,
    Section,
    Text,
    UnitSelection,
)


class PerspectiveEntry(Section):
    """A band of the strategy map: financial, customer, internal process, learning and growth, or your own.

    Order of appearance is order on the map, top first.
    """

    name: Text | None = Field(default=None, description="name to show; the id where absent")
    description: str = Field(default="", description="free text for the report")


class ObjectiveEntry(Section):
    """An intended result that KPIs measure."""

    name: Text | None = Field(default=None, description="name to show; the id where absent")
    perspective: Text | None = Field(default=None, description="id of the perspective it belongs to")
    critical: bool = Field(default=False, description="whether it is a critical success factor")
    description: str = Field(default="", description="free text for the report")


class LinkEntry(Section):
    """An effect with its settings, where the contribution alone does not say it all."""

    contribution: QuantityValue | None = Field(
        default=None,
        description="change of the driven KPI per unit change of the cause, both in their own units; needed unless "
        "there is a `curve`",
    )
    curve: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]], Field(min_length=2)] | None = (
        Field(
            default=None,
            description="instead of a contribution: points [change of the cause, change of the driven KPI], straight "
            "between them and beyond the last; no change of the cause is no change of the KPI",
        )
    )
    unit: str = Field(
        default="",
        description='unit of the contribution, such as "USD per point"; `check --lint` compares it',
    )
    lag: Annotated[int, Field(ge=0)] = Field(default=0, description="periods between cause and effect")
    between: NonNegative = Field(
        default=0.0,
        description="relative standard deviation of the contribution between units: in every draw each unit's is the "
        "drawn one times a lognormal number of mean 1",
    )
    spread: Literal["baseline", "size", "even"] | None = Field(
        default=None,
        description="how an effect at a unit above cells of the KPI is handed down to them, decided or not: by their "
        "|baseline|, their size, or evenly (each gets all of it where the roll-up is a mean); it stays nobody's where "
        "absent",
    )


class DriverEntry(LinkEntry):
    """A cause of the KPI: its key is the id of another KPI or of a factor.

    The value is the contribution (a quantity), or a table where a lag or a place is to be said as well.
    """

    at: Text = Field(
        default="organization",
        description='where it works: "organization" (the root), a level (at each unit of it), or a unit id',
    )
    trade_off: bool = Field(default=False, description="confirms that an improvement of the cause makes this KPI worse")


class EffectEntry(LinkEntry):
    """What an initiative does to a KPI: its key is the id of the KPI.

    The value is the contribution (a quantity), or a table where a lag or a place is to be said as well.
    """

    at: Text | None = Field(
        default=None,
        description='where it works: a level (at each unit of it at or below the deciding unit), "organization" (the '
        "root) or a unit id; at the deciding unit where absent",
    )


def _as_link(value: Any) -> Any:
    is_table = isinstance(value, dict) and not (len(value) == 1 and next(iter(value)) in DISTRIBUTIONS)
    return value if is_table else {"contribution": value}


Driver = Annotated[DriverEntry, BeforeValidator(_as_link), OrShort(QUANTITY_SCHEMA)]
Link = Annotated[EffectEntry, BeforeValidator(_as_link), OrShort(QUANTITY_SCHEMA)]


class KpiEntry(Section):
    """A quantified indicator."""

    name: Text | None = Field(default=None, description="name to show; the id where absent")
    objective: Text | None = Field(default=None, description="id of the objective it measures")
    unit: str = Field(
        default="", description='unit of measure, such as "USD", "%" or "days"; shown everywhere and checked'
    )
    direction: Literal["up", "down"] = Field(
        default="up", description='"up" where higher is better, "down" where lower is'
    )
    roll_up: Literal["sum", "mean", "none"] = Field(
        default="sum",
        description='how a unit\'s value follows from the units below: "sum", "mean" (weighted by size), or "none"',
    )
    step: Positive | None = Field(
        default=None, description="rounding step of targets; targets are not rounded where absent"
    )
    min: Number | None = Field(default=None, description="least value there can be; plans and draws stay inside")
    max: Number | None = Field(default=None, description="largest value there can be, such as 100 for a share in %")
    scale: Literal["baseline", "headroom"] | Positive = Field(
        default="baseline",
        description='what stretch is compared with among peers: "baseline" (its amount, at least the step), "headroom" '
        "(the distance to the bound in the KPI's direction), or a number in the KPI's unit",
    )
    kind: Literal["flow", "rate", "stock"] | None = Field(
        default=None,
        description='"flow" adds up over periods, "rate" averages over them, "stock" is a level of which the last '
        'period counts; where absent "rate" for a mean and "flow" for a sum',
    )
    season: Season | None = Field(
        default=None,
        description="share of the horizon's volume in each period, together 1, or the id of a KPI whose season it "
        "has; equal where absent",
    )
    carry: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="share of a stock's improvement that is still there one period later; 1 where absent"
    )
    baseline: QuantityValue | None = Field(
        default=None, description="value at the root without new effort, for a KPI that has no cells below"
    )
    drivers: dict[str, Driver] = Field(default={}, description="cause and effect, keyed by the cause")
    owner: str = Field(default="", description="who answers for it, shown on the strategy map")
    description: str = Field(default="", description="free text for the report")


class FactorEntry(Section):
    """An outside influence nobody controls, such as the market or an exchange rate."""

    name: Text | None = Field(default=None, description="name to show; the id where absent")
    value: QuantityByPeriod = Field(
        description="its value, a quantity, or a list with one for each period; deviations from 0 act on what it drives"
    )
    description: str = Field(default="", description="free text for the report")


def _as_selection(value: Any) -> Any:
    return {"unit": value} if isinstance(value, str | list) else value


UnitChoice = Annotated[
    UnitSelection,
    BeforeValidator(_as_selection),
    OrShort({"type": "array", "items": {"type": "string"}, "minItems": 1}),
]


class InitiativeEntry(Section):
    """An action or process change that units can fund; its level is a decision for each deciding unit."""

    name: Text | None = Field(default=None, description="name to show; the id where absent")
    units: UnitChoice | None = Field(
        default=None,
        description='deciding units: a selection such as { level = "team" }, or a list of ids; the root if absent',
    )
    max: NonNegative | None = Field(
        default=None, description="largest level; the level lies in [0, max]; may be left out where `levels` is given"
    )
    whole: bool = Field(default=False, description="whether the level must be a whole number")
    levels: Annotated[list[NonNegative], Field(min_length=1)] | None = Field(
        default=None, description="the levels there are, such as [0, 10, 25]: the level is one of these"
    )
    needs: Names | None = Field(
        default=None,
        description="initiatives that it needs: its level is above 0 only where theirs are, at the same unit or else "
        "at the nearest one above that decides on them",
    )
    not_with: Names | None = Field(
        default=None,
        description="initiatives that it excludes: not both are above 0 at one unit, or at a unit and one above it",
    )
    setup: dict[str, NonNegative] = Field(
        default={}, description="resource use, by resource, once where the level is above 0, whatever the level"
    )
    uses: dict[str, NonNegative] = Field(
        default={}, description="resource use per unit of level, by resource; with periods in that in which it begins"
    )
    runs: dict[str, NonNegative] = Field(
        default={}, description="resource use per unit of level in every period in which it runs, the first included"
    )
    start: Names | None = Field(default=None, description="periods in which it may begin; all where absent")
    build_up: Annotated[list[NonNegative], Field(min_length=1)] | None = Field(
        default=None,
        description="share of its effect in the first, second … period in which it runs, the last one for good",
    )
    lasts: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="number of periods in which it runs; to the end where absent"
    )
    effects: dict[str, Link] = Field(
        default={},
        description="by KPI: contribution per unit of level to the deciding unit's value (else to the root's)",
    )
    description: str = Field(default="", description="free text for the report")
