"""The format, fourth part: how what is asked is shared out, and what stands beside it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kpiopt.scenario.format.values import NonNegative, OrShort, Section, Text, UnitSelection


class CushionEntry(Section):
    """What a level is asked on top of its targets: a share of them, or the smallest one that gives a goal its odds."""

    share: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="share of its targets; a number alone means this"
    )
    goal: Text | None = Field(default=None, description="id of the goal that should get the odds")
    odds: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="odds of the goal when what is asked, cushion included, is realised by execution; the smallest "
        "share that gives them is taken, to 0.1 %",
    )
    kpis: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="under the key `kpi` only: the KPIs that are meant; a list alone means this"
    )


def _as_cushion(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    return {"kpis": [value] if isinstance(value, str) else value} if isinstance(value, str | list) else {"share": value}


Cushion = Annotated[
    CushionEntry,
    BeforeValidator(_as_cushion),
    OrShort({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class ReconcileSection(Section):
    """How far the plan goes towards what units offer (`commit`), where nothing before it decides."""

    weight: Annotated[float, Field(ge=0, le=1)] = Field(
        description="share of the way from the reference of the last step, 0 stretch where none is given, to the offer"
    )


class FairnessSection(Section):
    """How peers are compared, and how far apart they may be."""

    band: NonNegative | None = Field(
        default=None, description="largest distance of everyone from the mean of the peers, such as 0.1"
    )
    measure: Literal["stretch", "load"] = Field(
        default="stretch",
        description="what is compared: stretch of cells relative to their baseline, or effort of units relative to "
        "their capacity",
    )
    leximin: bool = Field(default=False, description="whether after the worst the next worst is looked at, to the end")
    price: bool = Field(
        default=True, description="whether one more plan is made to tell what goals, cost and odds would be without it"
    )


class AssignEntry(Section):
    """How many KPIs people answer for, and how much each of them weighs: checked, or chosen."""

    where: UnitSelection = Field(default=UnitSelection(), description="which units; all with cells where absent")
    kpis: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="[least, most] KPIs with a decision of each unit"
    )
    least_weight: NonNegative | None = Field(
        default=None, description="least weight in pay of each KPI with a decision, where it has one"
    )
    choose: bool = Field(
        default=False,
        description="whether the plan chooses which KPIs each unit answers for; the others keep baselines",
    )
