"""Plans with promised odds: the strict order is solved again and again, each time with what the last plan lacked.

    1. Where the mean margin of a promise's worst draws falls short at the plan, the tangent there becomes a row (Kelley
       1960, DOI 10.1137/0108053; the rows are those of `kpiopt.program.formulation.cuts`).
    2. How many draws count as the worst is chosen so that their mean margin is the margin that the promised share of
       draws reaches; it is chosen anew once the cuts hold, since it depends on the shape of the distribution.
    3. What is left between the two is taken out by the rows' side, until the promised share of the planning draws, and
       hardly a draw more, reaches the target less the shortfall.
    4. A plan is fitted to the draws that it is made on. Where others are resolved to say less than was promised, the
       margin that is missing there is asked for as well, and the plan is made again. That is looked at before the third
       step, so that sides are hardly ever moved for two plans, and once more after it.

The first rows are tangents in the middle of all ranges: a plan that no row holds back says nothing about the draws that
will be the worst.

Every plan on the way is the unique one of its program, so that neither the order of rows nor the number of workers
enters. Whole numbers stay as they are until the promises hold with them, and are then chosen anew with all cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kpiopt.errors import Problem, Uncertified
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.cuts import Margins, build_cut, matching_tail, tail_weights, with_cuts
from kpiopt.program.formulation.promises import Cut, Cuts
from kpiopt.program.order.promised.held import ABOVE_WORST, NEAR, Held, Point
from kpiopt.program.order.promised.warm_steps import WarmSteps, are_complete
from kpiopt.program.order.steps import Solution, solve_order
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats, dot, fix_columns
from kpiopt.scenario.target_grid import target_noise

Progress = Callable[[str], None]
Check = Callable[[Cascade, Solution, Floats | None], Floats]
"""Returns the margin that each promise lacks in draws that the plan was not made on, (n_promises,) float >= 0; where it
is given what each has in hand on those that the plan was made on, what it would lack without that."""

MOST_AGAIN = 3
"""How often a plan is made again because other draws say less than it promises."""
MOST_BEGUN = 8
"""Plans of another search at which rows are made from the beginning: its last ones."""
MOST_PLANS = 400
"""Plans after which the search for one that keeps its promises ends."""
MOST_CHOICES, FREE_CHOICES = 24, 12
"""How often whole numbers are chosen anew, and how often while the sides of rows may still come down: two choices may
otherwise take turns, each with sides at which the other is better."""
WORSE = 1e-7
"""Share of a step's value that is rounding when two plans are compared."""
MATCHED = 0.002
"""Share of the draws by which the number of the worst may be another before it is chosen anew."""


def promise_noise(cascade: Cascade) -> list[float]:
    """Return the margin of each promise that is as good as 0."""
    target = np.array([goal.target for goal in cascade.columns.goals])
    noise = 0.1 * target_noise(target, cascade.graph.baseline[cascade.columns.goal_node])
    return [float(np.min(noise[p.goals] / p.scale)) for p in cascade.promises]


def is_worse(again: tuple[Cascade, Solution], found: tuple[Cascade, Solution]) -> bool:
    """Whether a step that is about promises is worse, by more than rounding."""
    columns, objectives = [promise.column for promise in found[0].promises], found[0].program.objectives
    steps = zip(objectives, again[1].steps, found[1].steps, strict=False)  # the reference comes after all of them
    pairs = [(a.value, b.value) for objective, a, b in steps if objective.cost[columns].any()]
    return any(a > b + WORSE * max(1.0, abs(b)) for a, b in pairs)


class Search:
    """The plan so far and the cuts that led to it.

    Parameters
    ----------
    cascade : Cascade
        Without cuts.
    draws : Margins
    near : Cuts, optional
        Rows are made at the plans of these from the beginning.
    check : callable, optional
        Tells what a plan lacks in other draws.
    is_foreseen : bool
        Whether other draws are asked only once a plan is complete.
    """

    def __init__(
        self,
        cascade: Cascade,
        draws: Margins,
        options: SolverOptions,
        progress: Progress,
        near: Cuts | None = None,
        check: Check | None = None,
        *,
        is_foreseen: bool = False,
    ) -> None:
        self.near = near
        self.bare, self.draws, self.options, self.progress, self.check = cascade, draws, options, progress, check
        scale = cascade.columns.goal_scale
        self.held = [Held(p, float(np.max(scale[p.goals] / p.scale))) for p in cascade.promises]
        for held, noise in zip(self.held, promise_noise(cascade), strict=True):
            held.noise, held.is_settled = noise, held.promise.is_mean
        self.plans, self.only_up, self.made_again, self.steps = 0, False, 0, WarmSteps()
        self.is_foreseen = is_foreseen or check is None or self.is_whole or not MOST_AGAIN
        self.seen: tuple[Solution | None, list[Point]] = (None, [])
        self._begin(near)
        self.solution = self._solve_all() if self.is_whole else self._solve_choice()

    def _begin(self, near: Cuts | None) -> None:
        """Make rows at the plans of another search, else in the middle of all ranges where nothing bends margins."""
        cuts = near.cuts if near else ()
        at = list({cut.at_stretch.tobytes() + cut.at_level.tobytes(): cut for cut in cuts}.values())[-MOST_BEGUN:]
        places = [(cut.at_stretch, cut.at_level) for cut in at] or self._middle()
        margins = [self._margins(*place) for place in places]
        for number, held in enumerate(self.held if places else ()):
            held.points = [self._as_point(held, *each) for each in zip(places, margins, strict=True)]
            held.tail = self._matching(held, held.points[-1])
            held.cuts = [self._tangent(number, held, point) for point in held.points]

    def _margins(self, stretch: Floats, levels: Floats) -> Floats:
        """Return the margins of all goals in a plan, its stretch by column."""
        cells = np.zeros(len(self.bare.columns.scenario.cells))
        cells[self.bare.columns.stretch_cell] = stretch
        return self.draws.margins(cells, levels)

    def _middle(self) -> list[tuple[Floats, Floats]]:
        """Return the plan in the middle of all ranges, where margins are straight in the decisions."""
        blocks = self.bare.columns.stretch, self.bare.columns.level
        stretch, levels = (0.5 * (block.lower + block.upper) for block in blocks)
        is_whole = np.all(np.isfinite(stretch)) and np.all(np.isfinite(levels))
        return [(stretch, levels)] if is_whole and not self.draws.is_bent else []

    def _matching(self, held: Held, point: Point) -> float:
        """Return how many draws count as the worst by what a plan says."""
        promise, n = held.promise, len(point.margin)
        return (1.0 - promise.p_min) * n if promise.is_mean else matching_tail(point.margin, promise.needed(n))

    @property
    def is_whole(self) -> bool:
        """Whether anything is decided in whole numbers."""
        return bool(self.bare.program.arrays().integer.any())

    @property
    def cascade(self) -> Cascade:
        """The cascade with the cuts so far."""
        cuts = tuple(cut for held in self.held for cut in (*held.cuts, *held.exact.values()))
        lift, added = (np.array([getattr(held, name) for held in self.held]) for name in ("lift", "added"))
        return with_cuts(
            self.bare, replace(self.bare.cuts, cuts=cuts, lift=lift, added=added, made_again=self.made_again)
        )

    def reached(self, name: str) -> float:
        """Hold the plan to all promises and return the share of draws in which one of them has nothing lacking."""
        for _ in range(MOST_CHOICES):
            self._settle()
            choice = self._choice().tobytes()
            if self.is_whole:
                self.solution = self._solve_all()
            if self._choice().tobytes() == choice:
                break
        return self.hit_share(name)

    def hit_share(self, name: str) -> float:
        """Return the share of draws in which a promise has nothing lacking in the plan so far."""
        return next(held.hit_share(p) for held, p in zip(self.held, self._points(), strict=True) if held.name == name)

    def rows_with_nothing_lacking(self, name: str) -> Cuts:
        """Return the rows so far, with sides that the plan keeps without a shortfall of a promise.

        The last row is the tangent at the plan.
        """
        position = next(i for i, held in enumerate(self.held) if held.name == name)
        held, point, cuts = self.held[position], self._points()[position], self.cascade.cuts
        lift = cuts.lift.copy()
        lift[position] = min(held.lift - point.shortfall, held.tail_mean(point))
        return replace(cuts, cuts=(*cuts.cuts, self._tangent(position, held, point)), lift=lift)

    def run_checked(self) -> tuple[Cascade, Solution]:
        """Find the plan, and again with what other draws say is missing; the last one to which that costs no promise.

        Where the margin cannot be had in full, or not without a promise giving way, the plan stays as it was.
        """
        near, found = self.near, self.run()
        if self.made_again and not self._has_all_that_is_asked():  # asked on the way: there is no plan without it yet
            return Search(self.bare, self.draws, self.options, self.progress, near).run()
        while self.made_again < MOST_AGAIN and self._ask_more(found, None):
            try:
                again = self.run()
            except Uncertified:
                break
            if not self._has_all_that_is_asked() or is_worse(again, found):
                break
            found = again
        return found

    def _has_all_that_is_asked(self) -> bool:
        """Whether no promise lacks anything of the margin that is asked because of other draws."""
        return not any(held.added > 0.0 and self._shortfall(held) > held.noise for held in self.held)

    def _ask_more(self, found: tuple[Cascade, Solution], in_hand: Floats | None) -> bool:
        """Ask for the margin as well that other draws say is missing; whether there is any."""
        assert self.check is not None
        can_have = [self._shortfall(held) <= held.noise for held in self.held]
        missing = np.where(can_have, self.check(*found, in_hand), 0.0)
        if not missing.any():
            return False
        self.made_again += 1
        for held, more in zip(self.held, missing.tolist(), strict=True):
            held.added, held.lift = held.added + more, held.lift + more
            held.restart()
        return True

    def _move(self, points: Sequence[Point]) -> bool:
        """Move the sides of rows; whether any has moved.

        Other draws are asked for the first time with it: what these have in hand before is gone with the move.
        """
        pairs = list(zip(self.held, points, strict=True))
        in_hand = np.array([0.0 if held.is_idle(point) else held.excess(point) for held, point in pairs])
        moved = [held.move(point, only_up=self.only_up) for held, point in pairs]
        if not self.is_foreseen:
            self.is_foreseen = True
            moved.append(self._ask_more((self.cascade, self.solution), in_hand))
        return any(moved)

    def run(self) -> tuple[Cascade, Solution]:
        """Find the plan whose promises hold on the planning draws, as far as its order allows."""
        seen: list[bytes] = []
        for number in range(MOST_CHOICES):
            self.only_up = number >= FREE_CHOICES
            self._settle()
            choice, cascade = self._choice().tobytes(), self.cascade
            if self.is_whole or not are_complete(cascade.program.arrays(), self.options):
                self.solution = solve_program(cascade.program, self.options, self.progress)
            is_last = choice in seen  # two choices in turn: the promises hold, with a draw or two to spare
            if (is_last or self._choice().tobytes() == choice) and self._is_kept():
                return cascade, self.solution
            seen.append(choice)
            for held in self.held:  # where sides were too low or high enough was so with other whole numbers
                held.restart()
        raise self._not_settled()

    def _choice(self) -> Floats:
        """Return the whole numbers of the plan."""
        return np.rint(self.solution.x[: self.bare.program.n_columns][self.bare.program.arrays().integer]) + 0.0

    def _settle(self) -> None:
        """Hold the plan to all promises, whole numbers as they are."""
        while self.plans < MOST_PLANS:
            self.options.deadline.require("the promised odds were settled")
            if not self._improve():
                return
            self.solution = self._solve_choice()
        raise self._not_settled()

    def _solve_all(self) -> Solution:
        self.plans += 1
        return solve_program(self.cascade.program, self.options, self.progress)

    def _solve_choice(self) -> Solution:
        """Solve the order with the whole numbers that there are."""
        self.plans += 1
        self.progress(f"odds, plan {self.plans}")
        program = self.cascade.program
        arrays = program.arrays()
        if arrays.integer.any():
            arrays = fix_columns(arrays, np.flatnonzero(arrays.integer), self._choice())
        self.steps.begin(program, arrays)
        self.steps.last = solve_order(program, arrays, replace(self.options, solver="highs"), solver=self.steps)
        return self.steps.last

    def _improve(self) -> bool:
        """Change cuts, tails or sides by what the plan shows; whether anything had to be changed."""
        points = self._points()
        cut = [self._add_exact(i, held, point) for i, (held, point) in enumerate(zip(self.held, points, strict=True))]
        cut += [self._add_cut(i, held, point) for i, (held, point) in enumerate(zip(self.held, points, strict=True))]
        if any(cut):
            return True
        matched = [self._match(i, held, point) for i, (held, point) in enumerate(zip(self.held, points, strict=True))]
        if any(matched):
            return True
        closer = [held.come_closer() for held in self.held]
        if any(closer):
            return self._improve()
        return self._move(points)

    def _points(self) -> list[Point]:
        """Return what the draws say of the plan, for each promise."""
        if self.seen[0] is not self.solution:
            columns, x = self.bare.columns, self.solution.x
            at = columns.stretch.of(x), columns.level.of(x)
            margins = self._margins(*at)
            self.seen = self.solution, [self._as_point(held, at, margins, self._shortfall(held)) for held in self.held]
        return self.seen[1]

    @staticmethod
    def _as_point(held: Held, at: tuple[Floats, Floats], margins: Floats, shortfall: float = 0.0) -> Point:
        promise = held.promise
        first = margins[promise.goals, 0]
        return Point(at, *promise.margins(margins), promise.certain(margins), first, shortfall)

    def _add_exact(self, position: int, held: Held, point: Point) -> bool:
        """Add a row for each certain goal that is missed: it is the same in all draws."""
        promise, columns, n = held.promise, self.bare.columns, len(point.margin)
        if point.certain.all():
            return False
        lacking = point.first / promise.scale + point.shortfall < -held.noise
        found = [g for g in np.flatnonzero(point.certain & lacking).tolist() if g not in held.exact]
        for g in found:
            counted = np.zeros((len(promise.goals), n), dtype=bool)
            counted[g] = True
            row = build_cut(self.draws, columns, position, promise, np.ones(n), counted, point.at)
            held.exact[g] = replace(row, is_exact=True)
        return bool(found)

    def _add_cut(self, position: int, held: Held, point: Point) -> bool:
        """Add the tangent at the plan where the mean of the worst draws falls short of what the rows ask."""
        if not held.tail:
            held.tail = self._matching(held, point)
        mean = held.tail_mean(point)
        close = 2.0 * held.near(point)
        if not held.promise.is_mean:
            close *= ABOVE_WORST[held.closeness] / NEAR
        if held.points and mean + point.shortfall >= held.lift - close:
            return False
        held.points.append(point)
        held.cuts.append(self._tangent(position, held, point))
        return True

    def _match(self, position: int, held: Held, point: Point) -> bool:
        """Choose anew how many draws count as the worst, where the promise is what holds the plan."""
        n = len(point.margin)
        if held.promise.is_mean:
            return False
        tail = self._matching(held, point)
        if held.is_idle(point) or held.rematches > held.closeness or abs(tail - held.tail) <= MATCHED * n:
            return False
        held.tail, held.lift, held.low, held.high = tail, held.added, -np.inf, np.inf
        held.rematches, held.is_settled = held.rematches + 1, False
        held.points.append(point)
        held.cuts = [self._tangent(position, held, other) for other in held.points]
        return True

    def _tangent(self, position: int, held: Held, point: Point) -> Cut:
        promise, columns = held.promise, self.bare.columns
        weight = tail_weights(point.margin, held.tail)
        mean = dot(weight, point.margin) / held.tail
        return build_cut(self.draws, columns, position, promise, weight, point.counted, point.at, mean)

    def _shortfall(self, held: Held) -> float:
        return float(self.solution.x[held.promise.column])

    def _is_kept(self) -> bool:
        return all(held.excess(point) >= 0.0 for held, point in zip(self.held, self._points(), strict=True))

    def _not_settled(self) -> Uncertified:
        return Uncertified(
            Problem(
                "E-odds-not-settled",
                f"no plan was found in {self.plans} tries whose promised odds hold on the planning draws",
                rule="odds are promised only where the draws that the plan was made on keep them",
                fix="ask for other odds, or for more draws to plan on ([odds] draws)",
            )
        )
