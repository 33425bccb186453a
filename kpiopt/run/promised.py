"""Promised odds in a run: the draws that the plan is made on, and what became of each promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, Uncertified
from kpiopt.graph import CausalGraph
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.columns import TOGETHER
from kpiopt.program.formulation.promises import Promise, promised_goals
from kpiopt.program.order.steps import Solution
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats
from kpiopt.scenario.scenario import Scenario
from kpiopt.simulation.odds import Estimate, estimate_odds, judge_together
from kpiopt.simulation.planning.margins import checking_draws, is_certain, planning_draws
from kpiopt.simulation.results import Simulation
from kpiopt.simulation.streams import Layout

Progress = Callable[[str], None]
Flags = NDArray[np.bool_]
NEARLY = 0.0005
"""Odds by which draws for checking may say less than is promised without a plan being made again."""


@dataclass(frozen=True)
class PromiseResult:
    """What became of promised odds.

    Attributes
    ----------
    name : str
        The goal's id, or "all goals".
    goals : tuple of str
    p_min : float
    hits, draws : int
        Planning draws that hit, and all of them.
    shortfall : float
        The least by which the target would have to give way for the odds: in the KPI's unit, or for several goals the
        share of each one's way from its baseline.
    cushion : float
        How far the mean over the draws lies above what the promised share of them reaches, in the same unit.
    fresh : Estimate or None
        The odds from draws that the plan was not made on.
    added : float
        Margin that was asked beyond the target, in the same unit, because draws for checking fell short by it.
    made_again : int
        How many times the plan was made again because of such draws.
    """

    name: str
    goals: tuple[str, ...]
    p_min: float
    hits: int
    draws: int
    shortfall: float
    cushion: float
    fresh: Estimate | None = None
    added: float = 0.0
    made_again: int = 0

    @property
    def planned(self) -> float:
        """Share of the planning draws that hit."""
        return self.hits / self.draws

    @property
    def is_kept(self) -> bool:
        """Whether enough planning draws hit."""
        return self.shortfall == 0.0

    @property
    def is_doubtful(self) -> bool:
        """Whether it is kept on the draws it was planned on, and other draws are resolved to say otherwise."""
        return self.is_kept and self.fresh is not None and self.fresh.high < self.p_min

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "promise": self.name,
            "goals": list(self.goals),
            "p_min": self.p_min,
            "kept": self.is_kept,
            "planned": self.planned,
            "draws": self.draws,
            "shortfall": self.shortfall,
            "cushion": self.cushion,
            "added": self.added,
            "made_again": self.made_again,
            "odds": self.fresh.as_dict() if self.fresh else None,
        }


class OddsOutOfReach(Uncertified):
    """A hard goal whose odds no plan was found to have, with the closest plan."""

    def __init__(self, cascade: Cascade, solution: Solution, *problems: Problem) -> None:
        super().__init__(*problems)
        self.cascade, self.solution = cascade, solution


def solve_with_promises(
    cascade: Cascade, options: SolverOptions, progress: Progress = lambda _: None
) -> tuple[Cascade, Solution]:
    """Solve a cascade, whether or not it promises odds.

    Returns
    -------
    Cascade, Solution
        The cascade with what holds it to its promises, and the solution of its program.

    Raises
    ------
    InfeasibleProgram, Unbounded, Uncertified, LimitReached
    """
    if not cascade.promises or cascade.cuts.cuts:
        return cascade, solve_program(cascade.program, options, progress)
    from kpiopt.program.order.promised.plans import solve_promised  # a plan without promises starts without it

    draws = planning_draws(cascade.graph, promised_goals(cascade.promises))
    held, solution = solve_promised(cascade, draws, missing_margins, missing_odds, options, progress)
    _require_hard(held, solution)
    return held, solution


def missing_margins(cascade: Cascade, solution: Solution, in_hand: Floats | None = None) -> Floats:
    """Return what each promise lacks in draws that the plan was not made on, (n_promises,) float.

    0 where it is missed anyway, and where these draws hit as often as is promised, or so nearly that they do not tell.

    Parameters
    ----------
    in_hand : (n_promises,) float, optional
        Of a plan on the way: margin by which the promised share of the planning draws is beyond what is asked of it,
        below 0 where it falls short. What is missing is what would be if that were 0.
    """
    columns, draws = cascade.columns, checking_draws(cascade.graph, promised_goals(cascade.promises))
    at = columns.stretch_of_cells(solution.x), columns.level.of(solution.x)
    margins, layout, missing = draws.margins(*at), draws.book.layout, np.zeros(len(cascade.promises))
    kept = None if in_hand is not None else {r.name for r in promise_results(cascade, *at) if r.is_kept}
    for i, promise in enumerate(cascade.promises):
        if promise.is_mean or promise.name == "odds" or (kept is not None and promise.name not in kept):
            continue
        margin, ahead = promise.margins(margins)[0], 0.0 if in_hand is None else float(in_hand[i])
        flags = _hits(promise, margins, draws.leeway) if in_hand is None else margin >= ahead
        if _denied(promise, flags, layout):
            n = len(margin)
            needed = promise.needed(n)
            missing[i] = max(0.0, ahead - float(np.partition(margin, n - needed)[n - needed]))
    return missing


def missing_odds(cascade: Cascade, solution: Solution) -> Floats:
    """Return the odds that each promise lacks in draws that the plan was not made on, (n_promises,) float."""
    columns, draws = cascade.columns, checking_draws(cascade.graph, promised_goals(cascade.promises))
    at = columns.stretch_of_cells(solution.x), columns.level.of(solution.x)
    kept = {result.name for result in promise_results(cascade, *at) if result.is_kept}
    margins, missing = draws.margins(*at), np.zeros(len(cascade.promises))
    for i, promise in enumerate(cascade.promises):
        if promise.name in kept and promise.name != "odds":
            missing[i] = _denied(promise, _hits(promise, margins, draws.leeway), draws.book.layout)
    return missing


def _denied(promise: Promise, hits: Flags, layout: Layout) -> float:
    """Return by how much draws say less than is promised; 0 where by so little that they do not tell."""
    odds = estimate_odds(np.count_nonzero(hits.reshape(layout.replicates, layout.size), axis=1), layout.size)
    return promise.p_min - odds.estimate if min(odds.high, odds.estimate + NEARLY) < promise.p_min else 0.0


def _hits(promise: Promise, margins: Floats, leeway: Floats) -> Flags:
    """Return the draws that hit; of a goal that is the same in all draws a value that rounds to the target hits."""
    return promise.hits(margins + np.where(is_certain(margins), leeway, 0.0)[:, None])


def _require_hard(cascade: Cascade, solution: Solution) -> None:
    """Refuse a plan that lacks anything of the odds of a hard goal; what else there is cannot be proved impossible."""
    columns = cascade.columns
    hard = {goal.id for goal in columns.goals if goal.hard}
    at = columns.stretch_of_cells(solution.x), columns.level.of(solution.x)
    missed = [p for p in promise_results(cascade, *at) if p.name in hard and not p.is_kept]
    if missed:
        problems = [_out_of_reach(columns.scenario, promise) for promise in missed]
        raise OddsOutOfReach(cascade, solution, *problems)


def _out_of_reach(scenario: Scenario, promise: PromiseResult) -> Problem:
    goal = scenario.goals[promise.name]
    target = promised_target(scenario, promise)
    return Problem(
        "E-odds-out-of-reach",
        f"no plan was found that hits the hard goal '{goal.id}' with odds of {promise.p_min:.4g}; the closest one hits "
        f"it in {promise.planned:.1%} of {promise.draws:,} draws",
        rule="a hard goal with p_min is met with these odds, or there is no plan",
        fix=f"these odds can be had of {target}; lower the target or p_min, give more room, or take `hard` away",
    )


def promised_target(scenario: Scenario, promise: PromiseResult) -> str:
    """Return the target that a missed promise could be about, rounded to what is easier, with its unit."""
    goal = scenario.goals[promise.name]
    kpi = scenario.kpis[goal.kpi]
    from kpiopt.program.order.repair_words import outward, plain  # only where a promise is missed

    target = -kpi.sign * outward(-kpi.sign * goal.target + promise.shortfall, promise.shortfall)
    return f"{plain(target)} {kpi.unit}".rstrip()


def promise_results(cascade: Cascade, stretch: Floats, levels: Floats) -> tuple[PromiseResult, ...]:
    """Judge a plan by the promises of its scenario, draw by draw.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
    """
    if not cascade.promises:
        return ()
    draws = planning_draws(cascade.graph, promised_goals(cascade.promises))
    margins, ids = draws.margins(stretch, levels), [goal.id for goal in cascade.columns.goals]
    cuts = cascade.cuts
    added = dict(enumerate(cuts.added.tolist()))
    return tuple(
        replace(_judge(promise, margins, draws.leeway, ids), added=added.get(i, 0.0), made_again=cuts.made_again)
        for i, promise in enumerate(cascade.promises)
        if not promise.is_mean
    )


def _judge(promise: Promise, margins: Floats, leeway: Floats, ids: Sequence[str]) -> PromiseResult:
    """Count the hits; where they are too few, what is lacking is lacking of the whole target."""
    certain, n = is_certain(margins), margins.shape[1]
    needed = promise.needed(n)
    hits = int(np.count_nonzero(_hits(promise, margins, leeway)))
    margin = promise.worst(margins - np.where(certain, 0.0, leeway)[:, None])
    reached = float(np.partition(margin, n - needed)[n - needed])
    return PromiseResult(
        promise.name,
        tuple(ids[g] for g in promise.goals.tolist()),
        promise.p_min,
        hits,
        n,
        0.0 if hits >= needed else -reached,
        float(margin.mean()) - reached,
    )


def about_odds(
    graph: CausalGraph, short: Floats, met: Flags, promises: Sequence[PromiseResult]
) -> tuple[Floats, Flags]:
    """Return what goals lack and whether they are met, with promised odds in place of plan values where there are any.

    Parameters
    ----------
    short, met : (n_goals,) float and bool
        By plan values.
    """
    own = {promise.goals[0]: promise for promise in promises if promise.name != TOGETHER}
    for i, goal in enumerate(graph.scenario.goals.values()):
        if goal.p_min is not None and goal.id in own:
            short[i], met[i] = own[goal.id].shortfall, own[goal.id].is_kept
    return short, met


def fresh_odds(result: PromiseResult, simulation: Simulation) -> Estimate | None:
    """Return the odds of a promise's goals together from the draws that judge the plan."""
    place = [i for i, goal in enumerate(simulation.goals) if goal.goal in result.goals]
    own = [simulation.goals[i].odds for i in place]
    if len(place) == 1:
        return own[0]
    if len(place) == len(simulation.goals):
        return simulation.all_goals
    hits = simulation.kept.hits[place].all(axis=0)
    if hits.shape[1] < simulation.layout.size and simulation.layout.replicates > 1:
        return estimate_odds(np.array([int(hits.sum())]), hits.size)
    return judge_together(own, np.count_nonzero(hits, axis=1), hits.shape[1])
