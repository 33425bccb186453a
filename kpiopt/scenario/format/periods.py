"""The format, third part: the periods of a plan."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kpiopt.scenario.format.values import OrShort, Positive, Section, Text

Season = Annotated[
    list[Positive] | Text,
    Field(union_mode="left_to_right"),
]
"""Shares of the horizon by period, or the id of a KPI that has them."""


class PeriodSeries(Section):
    """Periods that follow each other."""

    from_: Text = Field(alias="from", description='the first one: "2027-01", "2027-Q1" or "2027"')
    every: Literal["month", "quarter", "year"] = Field(description="their length")
    count: Annotated[int, Field(ge=1, le=120)] = Field(description="how many there are")


class RecourseSection(Section):
    """What is decided later, once the first periods are known; `kpiopt solve --risk` tells what that is worth."""

    from_: Text = Field(
        alias="from",
        description="the first period of which stretch and initiatives are decided later; what begins before is "
        "decided now",
    )
    draws: Annotated[int, Field(ge=16, le=4096)] = Field(
        default=256, description="planning draws that are looked at, each with decisions of its own"
    )


def _as_names(value: Any) -> Any:
    return {"names": value} if isinstance(value, list) or (isinstance(value, dict) and "from" in value) else value


class PeriodsEntry(Section):
    """The periods that the plan is made for, first to last. Without this section there is one."""

    names: Annotated[list[Text], Field(min_length=1, max_length=120)] | PeriodSeries = Field(
        description='their names, such as ["2027-Q1", "2027-Q2"], or { from = "2027-01", every = "month", count = 12 }'
    )


PeriodsSection = Annotated[
    PeriodsEntry,
    BeforeValidator(_as_names),
    OrShort({"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
