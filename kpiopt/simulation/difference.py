"""Two simulations of the same draws: what changed, and whether the difference is more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, UsageError
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation.odds import CERTAIN, Estimate, estimate_difference, estimate_mean
from kpiopt.simulation.results import Simulation

Number = TypeVar("Number", np.bool_, np.float64)


@dataclass(frozen=True, slots=True)
class OddsDifference:
    """Odds before and after, and their paired difference.

    Attributes
    ----------
    goal : str or None
        Goal id; None for all goals together.
    difference : Estimate
        P(second) - P(first), from the draws kept by both.
    """

    goal: str | None
    first: Estimate
    second: Estimate
    difference: Estimate

    @property
    def is_unchanged(self) -> bool:
        """Whether it is known that both odds are the same."""
        return self.difference.low == self.difference.high == 0

    @property
    def is_resolved(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return self.difference.low > 0 or self.difference.high < 0


def compare_odds(first: Simulation, second: Simulation) -> tuple[OddsDifference, ...]:
    """Compare the odds of the goals that both simulations have, and of all goals of each.

    Draws with the same number use the same random numbers wherever both plans have the same quantity, so that the
    difference is far more precise than the two odds.

    Raises
    ------
    UsageError
        Where the two were not drawn alike: other seed, method or number of draws.
    """
    _check_alike(first, second)
    both = [g.goal for g in first.goals if g.goal in {h.goal for h in second.goals}]
    result = [_goal_difference(first, second, goal) for goal in both]
    if first.all_goals and second.all_goals:
        hits = _same_length(np.all(first.kept.hits, axis=0), np.all(second.kept.hits, axis=0))
        result.append(_difference(None, first.all_goals, second.all_goals, hits))
    return tuple(result)


def _goal_difference(first: Simulation, second: Simulation, goal: str) -> OddsDifference:
    at = [[g.goal for g in s.goals].index(goal) for s in (first, second)]
    hits = _same_length(first.kept.hits[at[0]], second.kept.hits[at[1]])
    return _difference(goal, first.goals[at[0]].odds, second.goals[at[1]].odds, hits)


def _difference(
    goal: str | None, first: Estimate, second: Estimate, hits: tuple[NDArray[np.bool_], NDArray[np.bool_]]
) -> OddsDifference:
    if first.is_certain and second.is_certain:
        change = second.estimate - first.estimate
        return OddsDifference(goal, first, second, Estimate(change, change, change, CERTAIN))
    return OddsDifference(goal, first, second, estimate_difference(*hits))


def _same_length(first: NDArray[Number], second: NDArray[Number]) -> tuple[NDArray[Number], NDArray[Number]]:
    n = min(first.shape[1], second.shape[1])
    return first[:, :n], second[:, :n]


def _check_alike(first: Simulation, second: Simulation) -> None:
    if (first.seed, first.layout) != (second.seed, second.layout):
        raise UsageError(
            Problem(
                "E-not-paired",
                f"one simulation has {first.as_dict()}, the other {second.as_dict()}",
                rule="paired differences need the same seed, method and number of draws",
                fix="simulate both with the same settings",
            )
        )


def estimate_change(first: Floats, second: Floats) -> Estimate:
    """Estimate the mean paired change from kept values `first` to `second`, (n_replicates, n_kept) float each."""
    change = np.subtract(*reversed(_same_length(first, second)))
    return estimate_mean(change.sum(axis=1), np.square(change).sum(axis=1), change.shape[1])[0]
