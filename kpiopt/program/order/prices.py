"""What holds the plan back: use of every limit, and what a little more or less of those that bind is worth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.deadline import NEVER, Deadline, NotDone
from kpiopt.errors import LimitReached
from kpiopt.program.formulation.actions import next_steps
from kpiopt.program.formulation.blocks import LinearProgram
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.constraints import Limit
from kpiopt.program.order.next_steps import SMALLEST_MOVE, NextLimits, NextStep, NotFound
from kpiopt.program.order.slopes import MovingLimits, Piece, Slopes, first_priced
from kpiopt.program.order.steps import Solution, StepResult
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import ProgramArrays, fix_columns
from kpiopt.program.trust.tolerances import is_used_up
from kpiopt.scenario.scenario import Floats

WORK = 100_000
"""Binding limits times columns up to which pieces are found exactly: that takes about as long as the solve."""
STEPPED = 6
"""Limits used up by whole numbers whose next steps are solved."""
SMALL = 2_000
"""Columns of a program up to which that is done."""
LARGEST = 30_000
"""Columns up to which pieces are found at all."""


@dataclass(frozen=True)
class LimitResult:
    """A limit in the plan.

    Where the plan is degenerate one more unit and one unit less are worth different amounts; `shadow_price` is then
    that of one more unit, or of one unit less where more is worth nothing.

    Attributes
    ----------
    name : str
        "capacity.<resource>@<unit>", "budget.<id>" or "rules.<constraint of the rules file>".
    limit, used : float
        In the resource's unit. Of a rule with two sides the nearer one.
    binding : bool
        Whether nothing is left (to 1e-9 of the limit).
    step : str or None
        First step of the order in which one more unit of the limit is worth something.
    shadow_price : float or None
        By how much that step's value improves per unit of the limit; >= 0.
    lower, upper : float or None
        Range of the limit in which the price holds.
    unit : str
        "goal shortfall per hours", "USD per hours" …
    price_less, price_more : float or None
        What the last unit is worth and what one more would be; both 0 for a limit that binds without a price, inf
        where no plan is left with less, None where it could not be told.
    step_less, step_more : str or None
        The steps that these prices are about.
    lower_less : float or None
        The limit down to which the price of less holds.
    next_less, next_more : NextStep or None
        Of the first limits that whole numbers use up; prices hold with the whole numbers as they are.
    in_time : bool
        False where the time was up before both sides were known, and the price is the dual as the solver found it.
    period : str or None
        The period that a capacity is about.
    """

    name: str
    resource: str
    limit: float
    used: float
    binding: bool
    step: str | None = None
    shadow_price: float | None = None
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    price_less: float | None = None
    price_more: float | None = None
    step_less: str | None = None
    step_more: str | None = None
    lower_less: float | None = None
    next_less: NextStep | None = None
    next_more: NextStep | None = None
    in_time: bool = True
    period: str | None = None


def price_limits(cascade: Cascade, solution: Solution, deadline: Deadline = NEVER) -> tuple[LimitResult, ...]:
    """Return use and shadow price of every capacity, budget and rule of the planner's own, in the program's order.

    A robust plan has the limits of its variants beside them, and no prices. Whole numbers are fixed at their values in
    the plan. Where moving every binding limit would take longer than the
    plan itself, or until after the deadline, the prices beyond the most valuable are the steps' duals as the solver
    found them, with its ranges if it has any.
    """
    arrays = cascade.program.arrays()
    activity = arrays.matrix @ cascade.counted(solution.x)
    rules, unpriced = _rule_limits(cascade.program, activity)
    limits = (*cascade.limits, *cascade.variant_limits, *rules)
    takers = np.diff(arrays.matrix.indptr)
    plain = [_plain(limit, float(activity[limit.row]) + limit.base, takers[limit.row] > 0) for limit in limits]
    if cascade.variants:  # what a variant could have for itself would move with its limits, and so would each regret
        return (*plain, *unpriced)
    bound = [limit for limit, result in zip(limits, plain, strict=True) if result.binding]
    fixed = _with_fixed_whole_numbers(arrays, solution.x)
    slopes, late = _slopes(cascade, fixed, solution, bound, deadline)
    by_name = {limit.name: slope for limit, slope in zip(bound, slopes, strict=True)}
    near = [limit for limit, result in zip(limits, plain, strict=True) if not result.binding]
    stepped = [limit.name for limit in bound if any(map(len, _whole_steps(cascade, arrays, limit.row, solution.x)))]
    stepped += [limit.name for limit in near if _is_within_a_step(cascade, arrays, limit, activity, solution.x)]
    stepped = stepped[:STEPPED]
    results = (
        _with_next_steps(
            _priced(result, limit, by_name.get(limit.name), solution.steps, cascade),
            limit, cascade, solution, deadline, is_solved=limit.name in stepped,
        )
        if result.binding or limit.name in stepped else result
        for limit, result in zip(limits, plain, strict=True)
    )  # fmt: skip
    return (*(replace(result, in_time=result.in_time and result.name not in late) for result in results), *unpriced)


def _rule_limits(program: LinearProgram, activity: Floats) -> tuple[list[Limit], list[LimitResult]]:
    """Return the planner's own constraints: those with an upper side only, which are priced, and the others.

    What is moved for a price is an upper side; a lower side, an equation and a range have a use and no price.
    """
    block, priced, others = program.row_block("rules"), [], []
    for i, row in enumerate(block.positions.tolist() if block else ()):
        assert block is not None
        name, lower, upper, used = f"rules.{block.label(i)}", block.lower[i], block.upper[i], activity[row]
        if np.isneginf(lower):
            priced.append(Limit(name, "", 0, float(upper), 0.0, row))
            continue
        side = upper if upper - used < used - lower else lower
        binding = is_used_up(side, used) and is_used_up(-side, -used)
        others.append(LimitResult(name, "", float(side), float(used), binding))
    return priced, others


def _whole_uses(arrays: ProgramArrays, row: int) -> Floats:
    """Return what one more of each whole number takes from a limit, (n,) float."""
    if not np.any(arrays.integer) or arrays.n_columns > SMALL:
        return np.zeros(arrays.n_columns)
    return np.where(arrays.integer, np.maximum(arrays.matrix[[row]].toarray()[0], 0.0), 0.0)


def _decided(cascade: Cascade, arrays: ProgramArrays) -> NDArray[np.bool_]:
    """Which columns are whole numbers, or follow from some, (n,) bool."""
    found, actions = arrays.integer.copy(), cascade.columns.actions
    found[actions.on.positions] = True
    found[cascade.columns.level.positions[actions.level[actions.choice_of]]] = True
    return found


def _whole_steps(cascade: Cascade, arrays: ProgramArrays, row: int, x: Floats) -> tuple[Floats, Floats]:
    """Return what single whole numbers of a plan would take less and more of a limit, by their next steps."""
    uses, columns = _whole_uses(arrays, row), cascade.columns
    uses[columns.level.positions[columns.actions.level]] = 0.0  # what else they take is told with them
    less = uses[(uses > 0.0) & (np.rint(x) > arrays.column_lower)]
    more = uses[(uses > 0.0) & (np.rint(x) < arrays.column_upper)]
    if not len(columns.actions.level) or arrays.n_columns > SMALL:
        return less, more
    steps = next_steps(columns.actions, columns.level, arrays.matrix[[row]].toarray()[0], x)
    return np.concatenate([less, steps[0]]), np.concatenate([more, steps[1]])


def _is_within_a_step(cascade: Cascade, arrays: ProgramArrays, limit: Limit, activity: Floats, x: Floats) -> bool:
    """Whether what is left of a limit is less than one whole number would take more of it."""
    more = _whole_steps(cascade, arrays, limit.row, x)[1]
    return len(more) > 0 and float(arrays.row_upper[limit.row] - activity[limit.row]) < float(more.max())


def _with_next_steps(
    result: LimitResult,
    limit: Limit,
    cascade: Cascade,
    solution: Solution,
    deadline: Deadline,
    *,
    is_solved: bool,
) -> LimitResult:
    """Add what the next steps of a limit that whole numbers use up would bring; without them "no plan" is not known."""
    program = cascade.program
    arrays = program.arrays()
    if len(cascade.columns.missed) and result.price_less == np.inf:
        result = replace(result, price_less=None)  # with less, other goals may be met
    if not np.any(arrays.integer) or not np.any(arrays.matrix[[limit.row]].toarray()[0][_decided(cascade, arrays)]):
        return result
    result = replace(result, price_less=None) if result.price_less == np.inf else result
    if not is_solved or deadline.ends(
        "next steps", 0, 1
    ):  # a price holds with whole numbers as they are; 0 says nothing
        known = result if result.shadow_price else replace(result, price_less=None, price_more=None)
        return replace(known, in_time=not is_solved)
    search = NextLimits(cascade, limit, solution, deadline)
    fewer, more = _whole_steps(cascade, arrays, limit.row, solution.x)
    try:
        if result.binding and search.side:  # nobody can use less than nothing
            result = _with_less(result, search, fewer)
        return _with_more(result, search, more)
    except LimitReached:
        return replace(result, in_time=False)


def _with_less(result: LimitResult, search: NextLimits, steps: Floats) -> LimitResult:
    """Add what less would cost: from the first use that is worse, or where a price tells that, by one step."""
    try:
        found = None if result.price_less else search.less()
    except NotFound:
        found = None
    if found is None and len(steps) and search.has_less(search.side - float(steps.min()) + SMALLEST_MOVE):
        with suppress(NotFound):
            found = search.at(-float(steps.min()))
    no_plan = found is not None and not found.has_plan
    return replace(result, next_less=found, price_less=np.inf if no_plan else result.price_less)


def _with_more(result: LimitResult, search: NextLimits, steps: Floats) -> LimitResult:
    """Add what more would bring: from the first limit that is better, or where a price tells that, by one step.

    No next step and a price of 0 say that more is worth nothing, whatever the whole numbers are.
    """
    if not result.price_more:
        with suppress(NotFound):
            found = search.more()
            return replace(result, next_more=found, price_more=0.0 if found is None else result.price_more)
    if len(steps):
        with suppress(NotFound):
            return replace(result, next_more=search.at(float(steps.min())))
    return result if result.price_more else replace(result, price_more=None)


def not_priced(cascade: Cascade, limits: Sequence[LimitResult]) -> tuple[NotDone, ...]:
    """Return what there was no time for, if anything."""
    binding, late = sum(limit.binding for limit in limits), sum(not limit.in_time for limit in limits)
    if not late:
        return ()
    which = "the limit that binds was" if binding == 1 else f"{late:,} of the {binding:,} limits that bind were"
    text = f"the price of {which}" if binding == 1 else f"the prices of {which}"
    total = min(binding, WORK // max(1, cascade.program.n_columns))
    text = f"{text} not computed in the time; the solver's own stand there"
    return (NotDone("prices", text, total - late, total),)


def _plain(limit: Limit, used: float, has_takers: np.bool_) -> LimitResult:
    binding = (bool(has_takers) or used != 0.0) and is_used_up(limit.value, used)
    return LimitResult(limit.name, limit.resource, limit.value, used, binding, period=limit.period)


def _with_fixed_whole_numbers(arrays: ProgramArrays, x: Floats) -> ProgramArrays:
    whole = np.flatnonzero(arrays.integer)
    return fix_columns(arrays, whole, np.rint(x[whole])) if len(whole) else arrays


def _slopes(
    cascade: Cascade, arrays: ProgramArrays, solution: Solution, bound: Sequence[Limit], deadline: Deadline
) -> tuple[Sequence[Slopes], set[str]]:
    """Return the slopes at every binding limit, and the names of those that there was no time for."""
    if not arrays.n_columns:
        return [Slopes(None, None)] * len(bound), set()
    solved = {limit.row: _as_solved(solution, limit.row) for limit in bound}
    first = sorted(bound, key=lambda limit: _rank(limit, solved[limit.row]))[: WORK // arrays.n_columns]
    late: set[str] = set()
    if arrays.n_columns <= LARGEST:
        rows = np.array([limit.row for limit in first], dtype=np.int64)
        sizes = np.zeros(arrays.n_rows)
        sizes[rows] = [max(abs(limit.value), 1.0) for limit in first]
        moving = MovingLimits(cascade.program, arrays, solution, sizes, SolverOptions(deadline=deadline))
        found = dict(zip(rows.tolist(), moving.slopes(rows), strict=False))
        solved, late = solved | found, {limit.name for limit in first if limit.row not in found}
    return [solved[limit.row] for limit in bound], late


def _rank(limit: Limit, slopes: Slopes) -> tuple[int, float, str]:
    """Order limits as a planner reads them: by step, then by what all of the limit is worth."""
    piece = slopes.more or slopes.less
    if piece is None or piece.position is None:
        return sys.maxsize, 0.0, limit.name
    return piece.position, -piece.slope * abs(limit.value), limit.name


def _as_solved(solution: Solution, row: int) -> Slopes:
    """Return the dual that the solver found, with its own range where it has one."""
    position = first_priced(solution, row)
    if position == len(solution.solved):
        return Slopes(None, None)
    side, dual = float(solution.faces[position].row_upper[row]), abs(float(solution.solved[position].row_dual[row]))
    ranging = solution.steps[position].ranging
    if ranging is None:
        return Slopes(None, Piece(position, dual, side, side))
    piece = Piece(position, dual, float(ranging.row_from[row]), float(ranging.row_to[row]))
    return Slopes(piece if piece.lower < side else None, piece if piece.upper > side else None)


def _priced(
    plain: LimitResult, limit: Limit, slopes: Slopes | None, steps: Sequence[StepResult], cascade: Cascade
) -> LimitResult:
    """Say both sides, and the one that counts as the shadow price."""
    if slopes is None:
        return plain
    less, more = slopes.less, slopes.more
    result = replace(
        plain,
        price_less=less.slope if less else None,
        price_more=more.slope if more else None,
        step_less=_label(steps, less),
        step_more=_label(steps, more),
        lower_less=less.lower + limit.base if less else None,
    )
    piece = next((p for p in (more, less) if p is not None and p.position is not None), None)
    if piece is None or piece.position is None:
        return result
    step = steps[piece.position]
    worth = "money" if step.name == "cost" and not cascade.graph.scenario.currency else step.unit
    resource = cascade.graph.scenario.currency if limit.resource == "pay" else limit.resource
    has_range = piece.lower < piece.upper
    return replace(
        result,
        step=step.label,
        shadow_price=piece.slope,
        lower=piece.lower + limit.base if has_range else None,
        upper=piece.upper + limit.base if has_range else None,
        unit=f"{worth} per {resource or 'unit'}",
    )


def _label(steps: Sequence[StepResult], piece: Piece | None) -> str | None:
    return None if piece is None or piece.position is None else steps[piece.position].label
