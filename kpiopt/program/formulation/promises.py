"""Promised odds as rows: what a plan has to keep on average over its worst draws.

In a draw d the margin of goal g, its value less what hits the target (in the goal's direction), is linear in the
decisions: m_gd(x) = a_gd'x + c_gd. Odds of p mean that the margin which a share p of the draws reaches is not below 0
(or not below -f, the shortfall). That is not convex; the mean margin of the worst draws is, and its tangents are rows:

    cut      sum_d w_d (a_gd'x + c_gd) / scale_g + f >= lift,     w_d >= 0,  sum_d w_d = 1

with equal weights on the worst draws at some plan and a part of one on the last of them. Where several goals are
promised together, each draw counts by its worst goal at that plan.

Reference: Rockafellar and Uryasev (2000), Optimization of conditional value-at-risk. DOI 10.21314/JOR.2000.038
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kpiopt.program.formulation.columns import TOGETHER, DecisionColumns, risk_steps
from kpiopt.program.trust.arrays import Floats
from kpiopt.program.trust.tolerances import CERTAIN_MARGIN

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
LEFT = (0.0, 1e-7, 1e-6, 1e-5)
"""Shares of the step "cvar" that are left to the steps after it, one after the other: rows that are nearly equal leave
so thin a face that what the last step gives cannot be certified. What draws can tell is far coarser."""


@dataclass(frozen=True)
class Promise:
    """Odds that the plan promises.

    Attributes
    ----------
    name : str
        The goal's id, "all goals", or the step: "odds" or "cvar".
    goals : (k,) int
        Positions of the goals that have to be hit together.
    scale : (k,) float
        What margins are divided by: 1 for a single goal, whose shortfall is in its KPI's unit.
    p_min : float
        For the step "odds" the best odds that were found, NaN before; for "cvar" the share that is left out.
    column : int
        Column of its shortfall.
    is_mean : bool
        Whether it is about the mean of the worst draws itself, as the step "cvar" is.
    """

    name: str
    goals: Integers
    scale: Floats
    p_min: float
    column: int
    is_mean: bool = False

    def margins(self, margins: Floats) -> tuple[Floats, Flags]:
        """Return the margin of each draw and which goals make it up.

        The worst goal's where several have to be hit together, those that are certain left out; for the step "cvar"
        what all that are missed lack.

        Parameters
        ----------
        margins : (n_goals, n_draws) float
            Of all goals, each in its KPI's unit.

        Returns
        -------
        (n_draws,) float, (k, n_draws) bool
        """
        own = margins[self.goals] / self.scale[:, None]
        if self.is_mean:
            counted = own < 0.0
            return np.sum(np.minimum(own, 0.0), axis=0), counted
        certain = self.certain(margins)
        open_ones = own if certain.all() else np.where(certain[:, None], np.inf, own)
        worst = open_ones.argmin(axis=0)
        return own[worst, np.arange(own.shape[1])], np.arange(len(own))[:, None] == worst

    def certain(self, margins: Floats) -> Flags:
        """Return which of several goals are the same in all draws, (k,) bool; these have rows of their own."""
        own = margins[self.goals] / self.scale[:, None]
        if len(own) == 1 or self.is_mean:
            return np.zeros(len(own), dtype=bool)
        return np.asarray(np.ptp(own, axis=1) <= CERTAIN_MARGIN * np.maximum(1.0, np.abs(own).max(axis=1)))

    def hits(self, margins: Floats) -> Flags:
        """Return in which draws all of its goals are hit, (n_draws,) bool."""
        return np.asarray(np.all(margins[self.goals] >= 0.0, axis=0))

    def worst(self, margins: Floats) -> Floats:
        """Return the worst margin of each draw, (n_draws,) float."""
        return np.asarray((margins[self.goals] / self.scale[:, None]).min(axis=0))

    def needed(self, n_draws: int) -> int:
        """Return how many draws have to hit."""
        return needed_draws(self.p_min, n_draws)


def promised_goals(promises: Sequence[Promise]) -> list[int]:
    """Return the positions of the goals that promises are about, ascending."""
    return sorted({goal for promise in promises for goal in promise.goals.tolist()})


def needed_draws(share: float, n_draws: int) -> int:
    """Return the least number of draws that is at least a share of all; 0.8 of 10 draws are 8, whatever floats say."""
    return min(n_draws, max(1, int(np.ceil(share * n_draws * (1.0 - 1e-12)))))


@dataclass(frozen=True)
class Cut:
    """A row of one promise.

    Attributes
    ----------
    promise : int
        Position among the cascade's promises.
    weight : (n_draws,) float
        1 on the worst draws, a part on the last of them, 0 elsewhere.
    counted : (k, n_draws) bool
        Which of the promise's goals make up the margin of each draw.
    stretch, level : (n_stretch,) and (n_levels,) float
        Mean change of the margin per unit of each decision.
    constant : float
        Mean margin where all decisions are 0.
    at_stretch, at_level : (n_stretch,) and (n_levels,) float
        The plan at which it is the tangent.
    is_exact : bool
        Whether it is about a certain goal, which holds in all draws or in none: it is not lifted.
    """

    promise: int
    weight: Floats
    counted: Flags
    stretch: Floats
    level: Floats
    constant: float
    at_stretch: Floats
    at_level: Floats
    is_exact: bool = False


@dataclass(frozen=True)
class Cuts:
    """What holds a plan to its promises.

    Attributes
    ----------
    cuts : tuple of Cut
    lift : (n_promises,) float
        What the mean margin of each promise has to come to in all its cuts: 0 but for the difference between the mean
        of the worst draws and the margin that the promised share of draws reaches.
    odds : float
        The best odds that were found for the step "odds"; NaN without it.
    added : (n_promises,) float
        Margin that the promised share of draws has to reach beyond the target, because draws that the plan was not made
        on fell short by it.
    made_again : int
        How many times the plan was made again for that.
    left : float
        Share of the step "cvar" that is left to the later ones, where its rows leave too thin a face to be certified.
    """

    cuts: tuple[Cut, ...] = ()
    lift: Floats = field(default_factory=lambda: np.empty(0))
    odds: float = float("nan")
    added: Floats = field(default_factory=lambda: np.empty(0))
    made_again: int = 0
    left: float = 0.0


def promises_of(columns: DecisionColumns, odds: float = float("nan")) -> tuple[Promise, ...]:
    """Return what the draws are asked: single goals in their order, several together, then steps that look at draws.

    Parameters
    ----------
    odds : float
        The best odds that were found for the step "odds".
    """
    goals, scenario = columns.goals, columns.scenario
    is_counted = "goals" in scenario.decide.order
    found = [
        Promise(goals[g].id, np.array([g]), np.ones(1), p, columns.shortfall.start + i)
        for i, g in enumerate(columns.soft.tolist())
        if (p := goals[g].p_min) is not None and (is_counted or goals[g].hard)
    ]
    named = scenario.odds.goals or tuple(goal.id for goal in goals)
    here = np.array([i for i, goal in enumerate(goals) if goal.id in named], dtype=np.int64)
    if len(columns.together) and scenario.odds.p_min is not None:
        found.append(Promise(TOGETHER, here, columns.goal_scale[here], scenario.odds.p_min, columns.together.start))
    weight = np.array([goal.weight for goal in goals])
    for i, step in enumerate(risk_steps(scenario)):
        column = columns.risk.start + i
        if step == "odds":
            found.append(Promise(step, here, columns.goal_scale[here], odds, column))
        else:
            every = np.arange(len(goals))
            found.append(Promise(step, every, columns.goal_scale / weight, scenario.decide.cvar, column, is_mean=True))
    return tuple(found)
