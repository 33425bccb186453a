"""The format, fifth part: effort and capacity as people know them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kpiopt.scenario.format.values import CellSelection, NonNegative, Section, UnitSelection


class EffortCurveEntry(Section):
    """Effort that grows faster than stretch; of several that match a cell the last one counts."""

    where: CellSelection = Field(default=CellSelection(), description="which cells; all where absent")
    tiers: Annotated[
        list[Annotated[list[NonNegative], Field(min_length=2, max_length=2)]],
        Field(min_length=1),
    ] = Field(
        description="points [relative stretch, multiplier]: up to this stretch, relative to what it is compared with, "
        "the effort of a cell counts so many times; the last tier goes on, and no multiplier is below the one before"
    )


class RampEntry(Section):
    """How new people come up to speed; of several that match a unit the last one counts."""

    where: UnitSelection = Field(default=UnitSelection(), description="which units; all where absent")
    months: Annotated[list[NonNegative], Field(min_length=1)] = Field(
        description="share of a full capacity in the first, second … month after the unit's `start` (the first period "
        "where it has none), the last one for good"
    )
