"""What odds cost: the plan for each of several odds, and what planning on draws is worth against planning on averages.

    average plan      made on means, without any promise; judged on the planning draws
    best plan         the largest odds of all goals that any plan of the study, or the scenario's own, was found to have
    known draw        share of draws in which all goals could be hit by a plan made for that draw alone

Value of planning on draws: best plan less average plan. Value of knowing: known draw less best plan (an upper end, as
what is known there is known before anything is decided).

Reference: Birge and Louveaux (2011), Introduction to Stochastic Programming, chapter 4. DOI 10.1007/978-1-4614-0237-4
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.columns import TOGETHER
from kpiopt.program.formulation.cuts import build_cut
from kpiopt.program.formulation.objectives import cost_objective
from kpiopt.program.formulation.promises import Cut, Promise
from kpiopt.program.order.infeasible import explain_infeasible
from kpiopt.program.order.steps import InfeasibleProgram
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, dot
from kpiopt.run.judge import stretches
from kpiopt.run.program import write_program
from kpiopt.run.promised import PromiseResult, promise_results, solve_with_promises
from kpiopt.scenario.curve import NO_ODDS, refuse_curves
from kpiopt.scenario.scenario import Scenario
from kpiopt.scenario.settings import RISK_STEPS
from kpiopt.simulation.planning.margins import is_certain, planning_draws
from kpiopt.studies.recourse import RecourseStudy, study_recourse
from kpiopt.studies.risk_exact import NOT_ASKED, ExactPlan
from kpiopt.studies.risk_margins import BreakingDraws, GoalMargin, PlanValues, breaking_draws, goal_margins
from kpiopt.studies.robust_scenarios import refuse_robust

SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
NEAR = 0.99
"""Odds that are asked for besides where no plan has them yet: the search for the best may end below."""
KNOWN_DRAWS = 200
"""How many draws `known_share` looks at, evenly spread over all."""
"""Draws for which a plan of their own is sought."""
USUAL = 0.8
"""Odds that a planner would ask for, where the scenario asks for none."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class OddsPrice:
    """The plan that promises some odds of all goals together.

    Attributes
    ----------
    odds : float
        What is promised.
    planned : float
        Share of the planning draws that hit.
    kept : bool
    shortfall : float
        What is lacking, as a share of every goal's way.
    cost : float
        Pay at plan, what initiatives take, and effort at its price; in the scenario's currency.
    stretch : float
        The largest stretch, relative to its baseline.
    """

    odds: float
    planned: float
    kept: bool
    shortfall: float
    cost: float
    stretch: float

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "odds": self.odds, "planned": self.planned, "kept": self.kept, "shortfall": self.shortfall,
            "cost": self.cost, "largest_stretch": self.stretch,
        }  # fmt: skip


@dataclass(frozen=True)
class RiskStudy:
    """What odds cost in a scenario.

    Attributes
    ----------
    prices : tuple of OddsPrice
    knee : float or None
        The odds after which each further point costs much more; None where fewer than three can be kept.
    average, best : float
        Odds of the plan on averages and of the best plan, on the planning draws.
    average_cost : float
    known : float or None
        Share of draws that could be hit if each were known before; None with whole numbers.
    draws : int
        Planning draws.
    judged : str
        The plan that `margins` and `breaks` are about: "this plan", or one of those above.
    margins : tuple of GoalMargin
        What it keeps in hand of each goal, and who carries that.
    breaks : tuple of BreakingDraws
        When it misses goals.
    exact : ExactPlan
        The scenario's own plan beside what its promises come to when they are solved exactly, or why that was not done.
    recourse : RecourseStudy or None
        What to decide now and later, where the scenario has `[recourse]`.
    """

    prices: tuple[OddsPrice, ...]
    knee: float | None
    average: float
    average_cost: float
    best: float
    known: float | None
    draws: int
    judged: str = ""
    margins: tuple[GoalMargin, ...] = ()
    breaks: tuple[BreakingDraws, ...] = ()
    exact: ExactPlan = NOT_ASKED
    recourse: RecourseStudy | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        known = None if self.known is None else max(self.known, self.best)
        return {
            "prices": [price.as_dict() for price in self.prices],
            "knee": self.knee,
            "average": {"odds": self.average, "cost": self.average_cost},
            "best": self.best,
            "known": known,
            "value_of_planning_on_draws": self.best - self.average,
            "value_of_knowing": None if known is None else known - self.best,
            "draws": self.draws,
            "judged": self.judged,
            "margins": [margin.as_dict() for margin in self.margins],
            "breaks": [draws.as_dict() for draws in self.breaks],
            "exact": [step.as_dict() for step in self.exact.steps],
            "exact_reason": self.exact.reason or None,
            **({"recourse": self.recourse.as_dict()} if self.recourse else {}),
        }


def study_risk(
    scenario: Scenario,
    options: SolverOptions | None = None,
    *,
    allow_code: bool = False,
    progress: Progress = lambda _: None,
    plan: PlanValues | None = None,
    exact: ExactPlan = NOT_ASKED,
) -> RiskStudy | None:
    """Solve a scenario for several odds of all goals; None where it has no goals.

    Parameters
    ----------
    plan : tuple of (n_cells,) and (n_levels,) float, optional
        The scenario's own plan: where it promises odds, its margins are told.
    exact : ExactPlan
        What became of that plan's promises when they were solved exactly, to be kept with the study.

    Raises
    ------
    Infeasible, Unbounded, Uncertified, LimitReached
        Where the scenario has no plan.
    """
    if not scenario.goals:
        return None
    require_understood(scenario)
    solver = _Solver(options or SolverOptions(), allow_code=allow_code)
    order = scenario.decide.order
    order = order if "goals" in order else ("goals", *order)
    progress("odds: the plan on averages")
    plain = _plain(scenario)
    cascade, average, average_cost = solver.plan(plain)
    on_averages, plans = solver.at, {}
    progress("odds: the best plan")
    first = ("odds", *(step for step in order if step not in RISK_STEPS))
    _, best, _ = solver.plan(replace(plain, decide=replace(plain.decide, order=first)))
    prices = []
    for share in SHARES:
        progress(f"odds of {share:.0%}")
        odds = replace(scenario.odds, p_min=share, goals=(), priority=None)
        asked = replace(scenario, odds=odds, decide=replace(scenario.decide, order=order))
        held, planned, cost = solver.plan(asked)
        found = next(p for p in solver.promises(held) if p.name == TOGETHER)
        stretch, _ = stretches(held.graph, solver.at[0])
        prices.append(OddsPrice(share, planned, found.is_kept, found.shortfall, cost, stretch))
        plans[share] = solver.at, found.is_kept
    if plan is not None:
        best = max(best, odds_of(cascade, plan))
    if max(best, *(p.planned for p in prices)) < NEAR:
        progress(f"odds of {NEAR:.0%}")
        odds = replace(scenario.odds, p_min=NEAR, goals=(), priority=None)
        _, more, _ = solver.plan(replace(scenario, odds=odds, decide=replace(scenario.decide, order=order)))
        best = max(best, more)
    known = None if cascade.program.arrays().integer.any() else known_share(cascade)
    best, draws = max(best, average, *(p.planned for p in prices)), planning_draws(cascade.graph).book.layout.draws
    study = RiskStudy(tuple(prices), find_knee(prices), average, average_cost, best, known, draws, exact=exact)
    if scenario.recourse is not None:
        progress("what to decide now and later")
    study = replace(study, recourse=study_recourse(scenario, options))
    judged, at = ("this plan", plan) if plan is not None and _promises(scenario) else _judged(plans, on_averages)
    margins = goal_margins(cascade.graph, at, on_averages)
    return replace(study, judged=judged, margins=margins, breaks=breaking_draws(cascade.graph, at))


def require_understood(scenario: Scenario) -> None:
    """Refuse scenarios whose plans cannot be made for other odds.

    Raises
    ------
    UsageError
    """
    refuse_curves(scenario.curved, "what odds cost", NO_ODDS)
    refuse_robust(scenario, "what odds cost")


def _promises(scenario: Scenario) -> bool:
    return scenario.odds.p_min is not None or any(goal.p_min is not None for goal in scenario.goals.values())


def _judged(plans: dict[float, tuple[PlanValues, bool]], on_averages: PlanValues) -> tuple[str, PlanValues]:
    """Return the plan whose margins are told: that of the odds a planner would ask for, as far as they can be kept."""
    kept = [share for share, (_, is_kept) in plans.items() if is_kept and share <= USUAL]
    if not kept:
        return "the plan on averages", on_averages
    return f"the plan for odds of {max(kept):.0%}", plans[max(kept)][0]


def _plain(scenario: Scenario) -> Scenario:
    """Return the scenario planned on averages: without promised odds, and without steps that look at draws."""
    return replace(
        scenario,
        goals={key: replace(goal, p_min=None) for key, goal in scenario.goals.items()},
        odds=replace(scenario.odds, p_min=None, goals=(), priority=None),
        decide=replace(scenario.decide, order=tuple(s for s in scenario.decide.order if s not in RISK_STEPS)),
    )


class _Solver:
    """Plans one scenario after the other, and judges each on the planning draws."""

    def __init__(self, options: SolverOptions, *, allow_code: bool) -> None:
        self._options, self._allow_code, self._kept = options, allow_code, dict[str, Any]()
        self.at: PlanValues = np.empty(0), np.empty(0)

    def plan(self, scenario: Scenario) -> tuple[Cascade, float, float]:
        """Return the solved cascade, the odds of all goals on the planning draws, and the cost."""
        graph = replace(build_graph(scenario), kept=self._kept)
        cascade = write_program(graph, self._options, allow_code=self._allow_code)
        try:
            held, solution = solve_with_promises(cascade, self._options)
        except InfeasibleProgram as failure:
            raise explain_infeasible(cascade, failure.certificate, failure.ray, self._options) from None
        columns = held.columns
        self.at = columns.stretch_of_cells(solution.x), columns.level.of(solution.x)
        (cost,) = cost_objective(columns, len(solution.x))
        return held, odds_of(held, self.at), dot(cost.cost, solution.x) + cost.offset

    def promises(self, cascade: Cascade) -> tuple[PromiseResult, ...]:
        """Return what became of the last plan's promises."""
        return promise_results(cascade, *self.at)


def odds_of(cascade: Cascade, at: PlanValues) -> float:
    """Return the share of the planning draws in which a plan hits all goals."""
    draws = planning_draws(cascade.graph)
    margins = draws.margins(*at)
    return float(np.all(margins + np.where(is_certain(margins), draws.leeway, 0.0)[:, None] >= 0.0, axis=0).mean())


def known_share(cascade: Cascade) -> float:
    """Return the share of planning draws in which a plan made for the draw alone hits all goals.

    Parameters
    ----------
    cascade : Cascade
        Without promises and whole numbers.
    """
    columns, draws = cascade.columns, planning_draws(cascade.graph)
    margins = draws.margins(np.zeros(len(columns.scenario.cells)), np.zeros(len(columns.level)))
    n = margins.shape[1]
    certain = is_certain(margins)
    looked_at = np.unique(np.linspace(0, n - 1, min(KNOWN_DRAWS, n)).astype(np.int64))
    at = np.zeros(len(columns.stretch)), np.zeros(len(columns.level))
    hit = 0
    for draw in looked_at.tolist():
        weight = np.zeros(n)
        weight[draw] = 1.0
        cuts = [
            build_cut(draws, columns, g, _alone(g), weight, np.ones((1, n), dtype=bool), at, float(margins[g, draw]))
            for g in range(len(columns.goals))
        ]
        hit += _is_possible(cascade, cuts, np.where(certain, draws.leeway, 0.0))
    return hit / len(looked_at)


def _alone(goal: int) -> Promise:
    return Promise("", np.array([goal]), np.ones(1), 1.0, -1)


def _is_possible(cascade: Cascade, cuts: Sequence[Cut], leeway: Floats) -> bool:
    """Whether the limits leave a plan that hits every goal in one draw; goals on average are not looked at."""
    arrays, columns = cascade.program.arrays(), cascade.columns
    rows = np.zeros((len(cuts), arrays.n_columns))
    rows[:, columns.stretch.positions] = [cut.stretch for cut in cuts]
    rows[:, columns.level.positions] = [cut.level for cut in cuts]
    side = np.array([-cut.constant for cut in cuts]) - leeway
    posed = replace(
        arrays,
        matrix=sp.csr_array(sp.vstack([arrays.matrix, sp.csr_array(rows)])),
        row_lower=np.concatenate([arrays.row_lower, side]),
        row_upper=np.concatenate([arrays.row_upper, np.full(len(cuts), np.inf)]),
    )
    return Session(posed).solve().status is Status.OPTIMAL


def find_knee(prices: Sequence[OddsPrice]) -> float | None:
    """Return the odds that lie furthest below the line from the first to the last price that is kept.

    Reference: Satopaa et al. (2011), Finding a "Kneedle" in a Haystack. DOI 10.1109/ICDCSW.2011.20
    """
    kept = [price for price in prices if price.kept]
    if len(kept) < 3:
        return None
    odds, cost = np.array([p.odds for p in kept]), np.array([p.cost for p in kept])
    if cost[-1] <= cost[0]:
        return None
    below = (odds - odds[0]) / (odds[-1] - odds[0]) - (cost - cost[0]) / (cost[-1] - cost[0])
    at = int(below.argmax())
    return float(odds[at]) if below[at] > 1e-6 else None
