"""Plans that hit at least the draws that a plan has hit: that plan is one of them, so that what it found is not lost.

    row       a'x + c + f >= lift     for a draw that is hit, and for the mean of all of them

In each draw the margin is linear in the decisions, so the plans that hit the same draws are a convex set; the order is
solved over it. Rows are added for the draws that a plan misses, until it misses none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.cuts import Margins, build_cut, with_cuts
from kpiopt.program.formulation.promises import Cut, Cuts, Flags
from kpiopt.program.order.steps import Solution
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats

Place = tuple[Floats, Floats]
"""A plan: its stretch by column, and its levels."""
MOST_ROUNDS, AT_ONCE = 60, 4
"""How often rows are added, and for how many draws of each goal at once."""
NEAR = 1e-12
"""Share of the largest margin that is rounding."""
HELD = 1e-9
"""Share of what is in hand that is left to rounding."""
BEYOND = 1e-3
"""Share of the least margin that counts by which draws have to be hit beyond it: rows are kept to rounding."""


def hold_hits(
    bare: Cascade, opened: Cascade, draws: Margins, cuts: Cuts, position: int, noise: float,
    at: Place, options: SolverOptions,
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
    lift, column = BEYOND * noise, bare.promises[position].column
    others = replace(cuts, cuts=tuple(cut for cut in cuts.cuts if cut.promise != position))

    def held(cascade: Cascade, least: float) -> tuple[Cascade, Solution]:
        sides = cuts.lift.copy()
        sides[position] = least
        return hold_draws(cascade, draws, {position: hits}, replace(others, lift=sides), at, options)

    hits = hit_draws(bare, draws, position, at, lift)
    if not hits.any():
        lift, hits = 0.0, hit_draws(bare, draws, position, at, 0.0)
    best = lift
    for _ in range(MOST_ROUNDS):
        _, solution = held(opened, 0.0)
        more = hit_draws(bare, draws, position, place_of(bare, solution), lift)
        if np.count_nonzero(more) < np.count_nonzero(hits):
            break
        best = max(lift, -float(solution.x[column]) * (1.0 - HELD) - lift)
        if np.array_equal(more | hits, hits):
            break
        hits = more
    cascade, solution = held(bare, best)
    share = float(np.mean(hit_draws(bare, draws, position, place_of(bare, solution), 0.0)))
    return replace(cascade, cuts=replace(cascade.cuts, odds=share)), solution


def hold_draws(
    bare: Cascade, draws: Margins, hits: Mapping[int, Flags], held_to: Cuts, at: Place, options: SolverOptions
) -> tuple[Cascade, Solution]:
    """Solve the order over the plans that hit given draws.

    Parameters
    ----------
    bare : Cascade
        Without cuts.
    draws : Margins
    hits : dict of int to (n_draws,) bool
        By promise the draws that are to be hit.
    held_to : Cuts
        Rows of the other promises, and the margin that a hit needs.
    at : pair of (n_stretch,) and (n_levels,) float
        A plan that hits them.
    """
    rows, lift = list(held_to.cuts), held_to.lift
    certain = {p: bare.promises[p].certain(_margins(bare, draws, at)) for p in hits}

    def row(position: int, goal: int, chosen: Flags) -> Cut:
        promise = bare.promises[position]
        counted = np.zeros((len(promise.goals), len(chosen)), dtype=bool)
        counted[goal] = True
        cut = build_cut(draws, bare.columns, position, promise, chosen.astype(float), counted, at)
        return replace(cut, is_exact=bool(certain[position][goal]))

    rows += [row(p, g, chosen) for p, chosen in hits.items() for g in range(len(certain[p]))]
    alone = set[tuple[int, int, int]]()
    for _ in range(MOST_ROUNDS):
        held = with_cuts(bare, replace(held_to, cuts=tuple(rows)))
        solution = solve_program(held.program, options)
        margins, more = _margins(bare, draws, place_of(bare, solution)), set[tuple[int, int, int]]()
        for p, chosen in hits.items():
            promise = bare.promises[p]
            own = margins[promise.goals] / promise.scale[:, None] + float(solution.x[promise.column])
            near = NEAR * max(1.0, float(np.abs(own).max()))
            for g in np.flatnonzero(~certain[p]).tolist():
                more.update((p, g, d) for d in _missed(own[g], chosen, lift[p] - near))
        if not more - alone:
            break
        rows += [row(p, g, np.arange(len(hits[p])) == d) for p, g, d in sorted(more - alone)]
        alone |= more
    return held, solution


def hit_draws(cascade: Cascade, draws: Margins, position: int, at: Place, least: float) -> Flags:
    """Return the draws in which all goals of a promise that are not certain have a margin, (n_draws,) bool."""
    promise, margins = cascade.promises[position], _margins(cascade, draws, at)
    own = margins[promise.goals] / promise.scale[:, None]
    return np.asarray(np.all(own[~promise.certain(margins)] >= least, axis=0))


def place_of(cascade: Cascade, solution: Solution) -> Place:
    """Return the decisions of a solution."""
    return cascade.columns.stretch.of(solution.x), cascade.columns.level.of(solution.x)


def _margins(cascade: Cascade, draws: Margins, at: Place) -> Floats:
    """Return the margins of all goals in a plan, (n_goals, n_draws) float."""
    cells = np.zeros(len(cascade.columns.scenario.cells))
    cells[cascade.columns.stretch_cell] = at[0]
    return draws.margins(cells, at[1])


def _missed(margin: Floats, hits: Flags, least: float) -> list[int]:
    """Return the draws that are held and missed by most, draws that are alike once."""
    missed = np.flatnonzero(hits & (margin < least))
    _, first = np.unique(np.round(margin[missed] / max(1e-300, float(np.abs(margin).max())), 9), return_index=True)
    return [int(d) for d in missed[first[:AT_ONCE]]]
