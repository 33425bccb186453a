"""Plans that hit at least the draws that a plan has hit: that plan is one of them, so that what it found is not lost.

    row       a'x + c + f >= lift     for a draw that is hit, and for the mean of all of them

In each draw the margin is linear in the decisions, so the plans that hit the same draws are a convex set; the order is
solved over it. Rows are added for the draws that a plan misses, until it misses none of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.cuts import Margins, build_cut, with_cuts
from kpiopt.program.formulation.promises import Cut, Cuts, Flags
from kpiopt.program.order.steps import Solution
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats

MOST_ROUNDS, AT_ONCE = 60, 4
"""How often rows are added, and for how many draws of each goal at once."""
HELD = 1e-9
"""Share of what is in hand that is left to rounding."""
BEYOND = 1e-3
"""Share of the least margin that counts by which draws have to be hit beyond it: rows are kept to rounding."""


def hold_hits(
    bare: Cascade, opened: Cascade, draws: Margins, cuts: Cuts, position: int, noise: float,
    at: tuple[Floats, Floats], options: SolverOptions,
) -> tuple[Cascade, Solution]:  # fmt: skip
    """Solve the order over the plans that hit the draws that one has hit.

    What the worst of these draws has in hand is made as large as it can be first, and the draws that are hit besides
    are held as well, as long as there are any.

    Parameters
    ----------
    bare : Cascade
        Without cuts.
    opened : Cascade
        The same up to the promise's step, with a shortfall that may be below 0.
    draws : Margins
    cuts : Cuts
        Of that plan; those of other promises are kept.
    position : int
        Of the promise whose draws are held.
    noise : float
        Its margin that is as good as 0.
    at : pair of (n_stretch,) and (n_levels,) float
        The plan.
    """
    hold = _Hold(draws, cuts, position, at, bare)
    lift, column = BEYOND * noise, bare.promises[position].column
    hits = hold.hit(hold.own(bare, at), lift)
    if not hits.any():
        lift, hits = 0.0, hold.hit(hold.own(bare, at), 0.0)
    best = lift
    for _ in range(MOST_ROUNDS):
        _, solution = hold.solve(opened, hits, 0.0, options)
        at = bare.columns.stretch.of(solution.x), bare.columns.level.of(solution.x)
        more = hold.hit(hold.own(bare, at), lift)
        if np.count_nonzero(more) < np.count_nonzero(hits):
            break
        best = max(lift, -float(solution.x[column]) * (1.0 - HELD) - lift)
        if np.array_equal(more | hits, hits):
            break
        hits = more
    cascade, solution = hold.solve(bare, hits, best, options)
    at = bare.columns.stretch.of(solution.x), bare.columns.level.of(solution.x)
    share = float(np.mean(hold.hit(hold.own(bare, at), 0.0)))
    return replace(cascade, cuts=replace(cascade.cuts, odds=share)), solution


class _Hold:
    """Rows for draws that are hit."""

    def __init__(self, draws: Margins, cuts: Cuts, position: int, at: tuple[Floats, Floats], bare: Cascade) -> None:
        self.draws, self.cuts, self.position, self.at = draws, cuts, position, at
        self.promise = bare.promises[position]
        self.certain = self.promise.certain(self.margins(bare, at))

    def margins(self, cascade: Cascade, at: tuple[Floats, Floats]) -> Floats:
        """Return the margins of all goals in a plan, (n_goals, n_draws) float."""
        cells = np.zeros(len(cascade.columns.scenario.cells))
        cells[cascade.columns.stretch_cell] = at[0]
        return self.draws.margins(cells, at[1])

    def own(self, cascade: Cascade, at: tuple[Floats, Floats]) -> Floats:
        """Return the margins of the promise's goals in a plan, relative to their scales, (k, n_draws) float."""
        return np.asarray(self.margins(cascade, at)[self.promise.goals] / self.promise.scale[:, None])

    def hit(self, own: Floats, least: float) -> Flags:
        """Return the draws in which all goals that are not certain have a margin."""
        return np.asarray(np.all(own[~self.certain] >= least, axis=0))

    def row(self, cascade: Cascade, goal: int, chosen: Flags) -> Cut:
        """Return the row of one goal in some draws."""
        counted = np.zeros((len(self.promise.goals), len(chosen)), dtype=bool)
        counted[goal] = True
        weight = chosen.astype(float)
        cut = build_cut(self.draws, cascade.columns, self.position, self.promise, weight, counted, self.at)
        return replace(cut, is_exact=bool(self.certain[goal]))

    def solve(self, cascade: Cascade, hits: Flags, lift: float, options: SolverOptions) -> tuple[Cascade, Solution]:
        """Solve the order over the plans that hit these draws."""
        columns, sides = cascade.columns, self.cuts.lift.copy()
        sides[self.position] = lift
        rows = [cut for cut in self.cuts.cuts if cut.promise != self.position]
        rows += [self.row(cascade, g, hits) for g in range(len(self.promise.goals))]
        held = with_cuts(cascade, replace(self.cuts, cuts=tuple(rows), lift=sides))
        for _ in range(MOST_ROUNDS):
            solution = solve_program(held.program, options)
            f = float(solution.x[self.promise.column])
            own = self.own(cascade, (columns.stretch.of(solution.x), columns.level.of(solution.x))) + f
            near = 1e-9 * max(1.0, float(np.abs(own).max()))
            more = [(g, d) for g in np.flatnonzero(~self.certain) for d in _missed(own[g], hits, lift - near)]
            if not more:
                break
            rows += [self.row(cascade, int(g), np.arange(len(hits)) == d) for g, d in more]
            held = with_cuts(cascade, replace(self.cuts, cuts=tuple(rows), lift=sides))
        return held, solution


def _missed(margin: Floats, hits: Flags, least: float) -> list[int]:
    """Return the draws that are held and missed by most."""
    missed = np.flatnonzero(hits & (margin < least))
    return [int(d) for d in missed[np.argsort(margin[missed], kind="stable")[:AT_ONCE]]]
