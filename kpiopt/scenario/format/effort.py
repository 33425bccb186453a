"""The format, fifth part: effort and capacity as people know them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kpiopt.scenario.format.values import CellSelection, NonNegative, Section


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
