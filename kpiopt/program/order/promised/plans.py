"""Plans with promised odds: the best of those that several searches find.

A search ends at one plan of many, since promised odds are not convex. Whatever was found stays a plan that may be
published: the best odds are looked for first, and held; what other draws ask for besides is dropped where it costs a
promise; a search begins at the plans of searches for other odds as well.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from kpiopt.errors import Uncertified
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.promises import LEFT, Cuts
from kpiopt.program.order.promised.draw_by_draw import LinearMargins
from kpiopt.program.order.promised.few_draws import CheckOdds, few_draws
from kpiopt.program.order.promised.same_hits import hold_hits
from kpiopt.program.order.promised.search import Check, Progress, Search, promise_noise
from kpiopt.program.order.steps import Solution
from kpiopt.program.solver.answer import SolverOptions

FIRST_SHARE, MOST_SHARES, FEWEST_MORE = 0.5, 12, 0.0005
GIVEN_UP = (0.001, 0.003, 0.01, 0.05)
"""Shares of the best odds that are left to the steps after it, one after the other: at the very best a single plan is
left, so tightly held that rounding decides whether its rows can be kept at all."""
FAR = 100.0
"""How many times its way from the baseline a goal may be exceeded or missed where the best odds are looked for."""


def solve_promised(
    cascade: Cascade,
    draws: LinearMargins,
    check: Check,
    check_odds: CheckOdds,
    options: SolverOptions,
    progress: Progress = lambda _: None,
) -> tuple[Cascade, Solution]:
    """Solve a cascade so that it keeps its promises, or lacks as little as its order allows.

    Parameters
    ----------
    cascade : Cascade
        Without cuts.
    draws : Margins
    check, check_odds : callable
        Tell what a plan lacks in other draws: of the margin, and of the odds.

    Returns
    -------
    Cascade, Solution
        The cascade with its cuts, and the certified solution of its program.

    Raises
    ------
    InfeasibleProgram, Unbounded, Uncertified, LimitReached
    """
    few = few_draws(cascade, draws, options)
    found = few.solve(check_odds) if few else None
    if found:
        return found
    if any(promise.name == "odds" for promise in cascade.promises):
        return _hold_best(cascade, draws, check, options, progress)
    begun = [Cuts(left=left) for left in LEFT[: None if any(p.is_mean for p in cascade.promises) else 1]]
    for cuts in begun[:-1]:
        with suppress(Uncertified):
            return Search(replace(cascade, cuts=cuts), draws, options, progress, None, check).run_checked()
    return Search(replace(cascade, cuts=begun[-1]), draws, options, progress, None, check).run_checked()


def _hold_best(
    cascade: Cascade, draws: LinearMargins, check: Check, options: SolverOptions, progress: Progress
) -> tuple[Cascade, Solution]:
    """Return the plan of all steps that is left the best odds that were found, and if need be their very plan."""
    best, found = find_best_odds(cascade, draws, options, progress)
    for given_up in GIVEN_UP:
        bare, is_lacking = replace(cascade, cuts=Cuts(odds=(best or FIRST_SHARE) * (1.0 - given_up))), False
        for near in (None, found) if found else (None,):
            with suppress(Uncertified):
                search = Search(bare, draws, options, progress, near, check)
                plan = search.run_checked()
                if found is None or search.hit_share("odds") >= bare.cuts.odds:
                    return plan
                is_lacking = True
        if is_lacking:
            break
    if found is None:
        bare = replace(cascade, cuts=Cuts(odds=FIRST_SHARE))
        return Search(bare, draws, options, progress, None, check).run_checked()
    position = next(i for i, promise in enumerate(cascade.promises) if promise.name == "odds")
    at = found.cuts[-1].at_stretch, found.cuts[-1].at_level
    return hold_hits(cascade, _opened(cascade), draws, found, position, promise_noise(cascade)[position], at, options)


def find_best_odds(
    cascade: Cascade, draws: LinearMargins, options: SolverOptions, progress: Progress = lambda _: None
) -> tuple[float, Cuts | None]:
    """Return the largest share of the planning draws in which all goals are hit together, as far as it is found.

    What all goals have in hand at odds of p is made as large as the steps before allow; the share of draws that are hit
    by that plan is the next p, until it grows no more. Then nothing is in hand, and nothing is lacking. Where nothing
    is hit, half the odds are tried.

    Parameters
    ----------
    cascade : Cascade
        Without cuts; its order has the step "odds".
    draws : Margins

    Returns
    -------
    float, Cuts or None
        The share, and rows that this plan keeps with nothing lacking, the last of them made at the plan itself; None
        where no draw is hit.
    """
    few = few_draws(cascade, draws, options)
    exact = few.best_odds() if few else None
    if exact:
        return exact
    opened = _opened(cascade)
    best, share, found = 0.0, FIRST_SHARE, None
    for _ in range(MOST_SHARES):
        search = Search(replace(opened, cuts=Cuts(odds=share)), draws, options, progress)
        hit = search.reached("odds")
        if hit > best:
            found = search.rows_with_nothing_lacking("odds")
        elif best:
            break
        if best and hit <= best + FEWEST_MORE:
            return hit, found
        best, share = hit, hit or 0.5 * share
    return best, found


def _opened(cascade: Cascade) -> Cascade:
    """Return the steps up to "odds", with what goals lack together below 0 where they have something in hand."""
    program = cascade.program
    position = next(i for i, objective in enumerate(program.objectives) if objective.name == "odds")
    risk = program.column_block("risk")
    is_odds = np.array([risk.label(i) == "odds" for i in range(len(risk))])
    opened = replace(risk, lower=np.where(is_odds, -FAR, risk.lower), upper=np.where(is_odds, FAR, risk.upper))
    blocks = tuple(opened if block.name == "risk" else block for block in program.columns)
    posed = replace(program, columns=blocks, objectives=program.objectives[: position + 1], reference=None)
    return replace(cascade, program=posed)
