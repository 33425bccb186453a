"""What a run says about who is asked for how much: cushions on top of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kpiopt.scenario.over_assignment import Cushion
from kpiopt.simulation import Estimate


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
