"""Promises on draws of which few differ: the best plan of all, by a whole number for each of these draws.

A program with such whole numbers says which draws to hit, step by step of the order. The plan is then solved as any
other, over the plans that hit these draws (`same_hits`).

Margin that other draws say is missing is no measure here: between two draws that differ there is nothing. So many more
draws are asked for instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.errors import NumericsError
from kpiopt.program.formulation.blocks import Objective
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.promises import Cuts, needed_draws
from kpiopt.program.order.promised.draw_by_draw import Counting, LinearMargins, count_alike, write_draw_by_draw
from kpiopt.program.order.promised.same_hits import hit_draws, hold_draws, place_of
from kpiopt.program.order.promised.search import MOST_AGAIN, is_worse, promise_noise
from kpiopt.program.order.steps import Solution, append_row
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot

CheckOdds = Callable[[Cascade, Solution], Floats]
"""Returns the odds that each promise lacks in draws that the plan was not made on, (n_promises,) float >= 0."""

MOST_ALIKE, MOST_WHOLE = 300, 2_100
"""Draws that differ times promised goals up to which the best plan is looked for draw by draw, and where all that is
decided are whole numbers."""
MOST_COLUMNS = 200
"""Decisions up to which that is done."""
MOST_NODES = 5_000
"""Nodes of the search for the draws of one step: work that does not depend on the machine."""
GIVEN_UP = 0.001
"""Share of the best odds that is left to the steps after it."""
SAME = 1e-6
"""Share of a step's size by which the answers of two programs are the same."""


@dataclass(frozen=True)
class FewDraws:
    """A cascade without cuts whose draws are few, or few of which differ.

    Attributes
    ----------
    cascade : Cascade
    draws : LinearMargins
    options : SolverOptions
    posed : ProgramArrays
        Its program with a whole number for each draw.
    counting : list of Counting
    """

    cascade: Cascade
    draws: LinearMargins
    options: SolverOptions
    posed: ProgramArrays
    counting: list[Counting]

    def solve(self, check: CheckOdds) -> tuple[Cascade, Solution] | None:
        """Return the cascade with its rows and the certified plan; None where it was not found to be the best."""
        asked = np.array([0.0 if p.name == "odds" else p.p_min for p in self.cascade.promises])
        found = self.plan(asked, 0)
        for again in range(1, MOST_AGAIN + 1) if found else ():
            assert found is not None
            missing = check(*found)
            if not missing.any():
                break
            asked = np.minimum(1.0, asked + missing)
            better = self.plan(asked, again)
            if better is None or is_worse(better, found):
                break
            found = better
        return found

    def best_odds(self) -> tuple[float, Cuts] | None:
        """Return the largest share of draws in which the goals of the step "odds" can be hit, and rows for them."""
        end = next(i for i, objective in enumerate(self.cascade.program.objectives) if objective.name == "odds")
        program = self.cascade.program
        posed = replace(program, objectives=program.objectives[: end + 1], reference=None)
        first = replace(self, cascade=replace(self.cascade, program=posed))
        found = first.plan(np.zeros(len(self.counting)), 0)
        return None if found is None else (found[0].cuts.odds, found[0].cuts)

    def plan(self, asked: Floats, made_again: int) -> tuple[Cascade, Solution] | None:
        """Return the plan whose promises hold in shares of the draws."""
        x, values = self._draws_to_hit(asked)
        if x is None:
            return None
        hits = {counting.number: counting.hit(x) for counting in self.counting}
        odds = next(
            (h.mean() for p, h in zip(self.cascade.promises, hits.values(), strict=True) if p.name == "odds"), np.nan
        )
        if odds == 0.0:
            return None
        n = len(self.cascade.promises)
        held_to = Cuts(odds=float(odds), lift=_lifts(self.cascade), added=np.zeros(n), made_again=made_again)
        at = self.cascade.columns.stretch.of(x), self.cascade.columns.level.of(x)
        held, solution = hold_draws(self.cascade, self.draws, hits, held_to, at, self.options)
        for step, value in zip(solution.steps, values, strict=False):
            if step.value > value + 10.0 * SAME * max(1.0, abs(value)):
                return None
        return (held, solution) if self._has(solution, asked) else None

    def _has(self, solution: Solution, asked: Floats) -> bool:
        """Whether draws hit as often as is asked once what is lacking is added, whatever rounding does to rows."""
        at = place_of(self.cascade, solution)
        for number, (promise, share) in enumerate(zip(self.cascade.promises, asked.tolist(), strict=True)):
            hits = hit_draws(self.cascade, self.draws, number, at, -float(solution.x[promise.column]))
            if share > 0.0 and np.count_nonzero(hits) < needed_draws(share, len(hits)):
                return False
        return True

    def _draws_to_hit(self, asked: Floats) -> tuple[Floats | None, list[float]]:
        """Return the best plan with its draws, and what each step comes to; None where that was not settled."""
        posed, values, x = self._with_counts(asked), list[float](), None
        for objective in self.cascade.program.objectives:
            posed, is_odds = self._aimed(posed, objective), objective.name == "odds"
            answer = Session(posed, replace(self.options, most_nodes=MOST_NODES)).solve()
            if answer.status is not Status.OPTIMAL:
                return None, []
            x, value = answer.x, dot(posed.cost, answer.x) + posed.offset
            values.append(0.0 if is_odds else value)
            posed = self._given(posed, objective, value)
        return x, values

    def _aimed(self, posed: ProgramArrays, objective: Objective) -> ProgramArrays:
        """Return the program with a step's cost; that of the step "odds" is the draws that it misses."""
        if objective.name != "odds":
            cost = np.concatenate([objective.cost, np.zeros(posed.n_columns - len(objective.cost))])
            return replace(posed, cost=cost, offset=objective.offset)
        position = next(i for i, promise in enumerate(self.cascade.promises) if promise.name == "odds")
        counting, cost, upper = self.counting[position], np.zeros(posed.n_columns), posed.column_upper.copy()
        cost[counting.columns], upper[self.cascade.promises[position].column] = -counting.times, 0.0
        return replace(posed, cost=cost, offset=0.0, column_upper=upper)

    def _given(self, posed: ProgramArrays, objective: Objective, value: float) -> ProgramArrays:
        """Return the program that keeps what a step has come to."""
        if objective.name == "odds":
            n = int(self.counting[0].times.sum())
            return append_row(posed, posed.cost, -float(needed_draws(-value / n * (1.0 - GIVEN_UP), n)))
        columns = np.flatnonzero(posed.cost)
        is_nothing = value <= SAME and not posed.offset and np.all(posed.cost >= 0.0)
        if is_nothing and np.all(posed.column_lower[columns] == 0.0):  # no draw may be bought with a trifle of it
            upper = posed.column_upper.copy()
            upper[columns] = 0.0
            return replace(posed, column_upper=upper)
        room = objective.slack * abs(value) + SAME * max(1.0, abs(value))
        return append_row(posed, posed.cost, value + room - posed.offset)

    def _with_counts(self, asked: Floats) -> ProgramArrays:
        """Return the program in which enough draws are hit."""
        posed = self.posed
        for counting, share in zip(self.counting, asked.tolist(), strict=True):
            if share > 0.0:
                row = np.zeros(posed.n_columns)
                row[counting.columns] = -counting.times
                posed = append_row(posed, row, -float(needed_draws(share, int(counting.times.sum()))))
        return posed


def few_draws(cascade: Cascade, draws: LinearMargins, options: SolverOptions) -> FewDraws | None:
    """Return the program of each draw; None where it would be too large, or margins are not linear.

    Parameters
    ----------
    cascade : Cascade
        Without cuts.
    """
    columns, promises = cascade.columns, cascade.promises
    is_small = len(columns.stretch) + len(columns.level) <= MOST_COLUMNS
    if not is_small or draws.is_bent or options.solver != "highs" or any(p.is_mean for p in promises):
        return None
    if count_alike(columns, promises, draws) > (MOST_WHOLE if _is_all_whole(cascade) else MOST_ALIKE):
        return None
    try:
        posed, counting = write_draw_by_draw(cascade.program.arrays(), cascade, draws, _lifts(cascade))
    except NumericsError:
        return None
    return FewDraws(cascade, draws, options, posed, counting)


def _is_all_whole(cascade: Cascade) -> bool:
    """Whether all that is decided are whole numbers."""
    arrays = cascade.program.arrays()
    blocks = cascade.columns.stretch, cascade.columns.level
    moves = [arrays.column_upper[block.positions] > arrays.column_lower[block.positions] for block in blocks]
    whole = [arrays.integer[block.positions] for block in blocks]
    return bool(np.all(np.concatenate(whole)[np.concatenate(moves)]))


def _lifts(cascade: Cascade) -> Floats:
    """Return by how much draws have to be hit: by what is as good as nothing, as rows are kept to rounding."""
    return np.array(promise_noise(cascade))
