"""What would buy odds that a plan cannot promise: so much more of a limit, or so much less of the targets.

How far a limit has to move is guessed from the rows that hold the plan, with what the promises lack shut out (elastic
relaxation, as for a scenario without a plan), and carried on along the line through the last two plans. What is
published has been tried: a plan made from scratch with these very numbers keeps every promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kpiopt.deadline import NotDone, not_done_problems
from kpiopt.errors import Infeasible, KpioptError, LimitReached, Problem, Uncertified
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.formulation.columns import TOGETHER
from kpiopt.program.formulation.promises import promised_goals
from kpiopt.program.order.diagnosis import Change, Repair, find_repairs
from kpiopt.program.order.infeasible import limit_levers, quoted
from kpiopt.program.order.promised.plans import find_best_odds, solve_promised
from kpiopt.program.order.repair_words import Words, outward, plain
from kpiopt.program.order.steps import InfeasibleProgram, Solution
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.run.promised import OddsOutOfReach, PromiseResult, missing_margins, missing_odds, promise_results
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.scenario import Scenario
from kpiopt.scenario.settings import RISK_STEPS
from kpiopt.simulation.planning.margins import planning_draws

MOST_CELLS = 500
"""Decisions up to which repairs are looked for: each is tried by several plans."""
MOST_LIMITS = 3
MOST_TRIES = 6
FIRST_TRY = 0.98
"""Share of the guess that is tried first: two plans that lack a little tell how much is enough."""
BEYOND = 1.0005
NO_PROGRESS = 0.98
"""Where a move leaves so much of what was lacking, it is not what the promise lacks."""

Claimed = Sequence[Sequence[tuple[str, float]]]
Move = Callable[[float], "OddsRepair"]
"""Returns what is moved for a multiple of the guess."""


@dataclass(frozen=True)
class OddsRepair:
    """A change with which all promises are kept; a plan made with it was checked.

    Attributes
    ----------
    text : str
        Such as "raise budget.cash by 1,200 USD to 91,200".
    assignments : tuple of str
        The words of `--set` that make it.
    moves : tuple of (str, float)
        What is moved, as "budget.cash" or "goal.sales", and the value that it gets.
    """

    text: str
    assignments: tuple[str, ...]
    moves: tuple[tuple[str, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        together = zip(self.moves, self.assignments, strict=True)
        moves = [{"what": what, "to": value, "set": assignment} for (what, value), assignment in together]
        return {"text": self.text, "set": list(self.assignments), "moves": moves}


@dataclass(frozen=True)
class MissedOdds:
    """What there is to be had where promised odds are missed.

    Attributes
    ----------
    best : dict of str to float
        By promise the largest share of the planning draws that was found to hit within the limits.
    repairs : tuple of OddsRepair
        Each is enough by itself; limits first, then the targets.
    """

    best: dict[str, float]
    repairs: tuple[OddsRepair, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "best": [{"promise": name, "odds": odds} for name, odds in self.best.items()],
            "repairs": [repair.as_dict() for repair in self.repairs],
        }


def mend_odds(
    cascade: Cascade, solution: Solution, options: SolverOptions, claimed: Claimed | None = None
) -> tuple[MissedOdds | None, tuple[NotDone, ...]]:
    """Look for what would keep the promises that a plan misses.

    Parameters
    ----------
    cascade : Cascade
        With what holds it to its promises.
    claimed : list of list of (str, float), optional
        What each repair of a kept run moves, and the value that it gets: each is tried by one plan, nothing is looked
        for. A claim that does not keep the promises is left out.

    Returns
    -------
    MissedOdds or None, tuple of NotDone
        None where every promise is kept, where the scenario has rules of its own, and where it is too large.
    """
    results = _results(cascade, solution)
    missed = [result for result in results if not result.is_kept]
    too_large = len(cascade.columns.stretch) > MOST_CELLS
    if not missed or cascade.graph.scenario.rules is not None or too_large:
        return None, ()
    late = NotDone("repairs", "what would keep the missed promises was not looked for to the end in the time")
    if options.deadline.ends("repairs", 0, 1):
        return None, (late,)
    try:
        best = {result.name: _best(cascade, result, options) for result in missed}
        looked_for = _repairs(cascade, solution, missed, options)
        repairs = looked_for if claimed is None else _confirmed(cascade, missed, claimed, options)
        return MissedOdds(best, tuple(repairs)), ()
    except LimitReached:
        if not options.deadline.ends("repairs", 0, 1):
            raise
        return None, (late,)


def with_repairs(failure: OddsOutOfReach, options: SolverOptions) -> Uncertified:
    """Return the error that says as well what would give a hard goal its odds."""
    found, late = mend_odds(failure.cascade, failure.solution, options)
    notes = list(not_done_problems(late))
    if found:
        for name, odds in found.best.items():
            notes.append(Problem("N-best-odds", f"the best odds of {name} that were found are {100 * odds:.1f} %"))
        for repair in found.repairs:
            notes.append(Problem("N-alternative", f"enough: {repair.text}", fix=set_words(repair.assignments)))
    return Uncertified(*failure.problems, *notes)


def set_words(assignments: tuple[str, ...]) -> str:
    """Return the options that make a change, to be copied into a shell."""
    return " ".join(f"--set {quoted(assignment)}" for assignment in assignments)


def _results(cascade: Cascade, solution: Solution) -> list[PromiseResult]:
    columns = cascade.columns
    at = columns.stretch_of_cells(solution.x), columns.level.of(solution.x)
    return [result for result in promise_results(cascade, *at) if result.name != "odds"]


def _posed(cascade: Cascade, scenario: Scenario) -> Cascade:
    """Write the program of a scenario that differs in what neither nodes nor edges of the graph hold."""
    return build_cascade(replace(cascade.graph, scenario=scenario))


def _best(cascade: Cascade, missed: PromiseResult, options: SolverOptions) -> float:
    """Return the best odds of a promise's goals that the limits allow, whatever else is promised."""
    scenario = cascade.graph.scenario
    goals = {
        key: replace(goal, p_min=None, hard=goal.hard and goal.p_min is None) for key, goal in scenario.goals.items()
    }
    order = ("odds", *(step for step in scenario.decide.order if step not in RISK_STEPS))
    odds = replace(scenario.odds, p_min=None, goals=missed.goals, priority=None)
    posed = _posed(cascade, replace(scenario, goals=goals, odds=odds, decide=replace(scenario.decide, order=order)))
    try:
        draws = planning_draws(posed.graph, promised_goals(posed.promises))
        return max(missed.planned, find_best_odds(posed, draws, options)[0])
    except LimitReached:
        raise
    except (KpioptError, InfeasibleProgram):
        return missed.planned


def _repairs(
    cascade: Cascade, solution: Solution, missed: list[PromiseResult], options: SolverOptions
) -> Iterator[OddsRepair]:
    lacking = _lacking(cascade, missed)
    for move in (*_limit_moves(cascade, solution, missed, options), _target_move(cascade, missed)):
        repair = _tried(cascade, move, lacking, options)
        if repair is not None:
            yield repair


def _confirmed(
    cascade: Cascade, missed: list[PromiseResult], claimed: Claimed, options: SolverOptions
) -> Iterator[OddsRepair]:
    """Yield the claims that one plan confirms, in the words that they have to stand in; no more than may be found."""
    levers = {lever.handle.name: lever for lever in limit_levers(cascade)}
    words, gives = Words(cascade, levers), {f"goal.{name}" for result in missed for name in result.goals}
    for moves in claimed[: MOST_LIMITS + 1]:
        if moves and all(what in gives for what, _ in moves):
            repair = _to_targets(cascade, {what.removeprefix("goal."): value for what, value in moves})
        elif moves and all(what in levers for what, _ in moves):
            said = [words.limit_at(levers[what], value) for what, value in moves]
            assignments = tuple(assignment for _, each in said for assignment in each)
            repair = OddsRepair(", and ".join(text for text, _ in said), assignments, tuple(moves))
        else:
            continue
        if _left(cascade, repair.assignments, options) == 0.0:
            yield repair


def _tried(cascade: Cascade, move: Move, lacking: float, options: SolverOptions) -> OddsRepair | None:
    """Move farther and farther until the plan made anew keeps all promises; None where that does not help."""
    before, share, left_before = 0.0, FIRST_TRY, lacking
    for _ in range(MOST_TRIES):
        repair = move(share)
        left = _left(cascade, repair.assignments, options)
        if left == 0.0:
            return repair
        if (left > NO_PROGRESS * left_before and share > 1.0) or left > NO_PROGRESS * lacking:
            return None
        slope = (left_before - left) / (share - before)
        farther = share + left / slope if slope > 0.0 else 2.0 * share
        before, share, left_before = share, max(farther, share) * BEYOND, left
    return None


def _left(cascade: Cascade, assignments: tuple[str, ...], options: SolverOptions) -> float:
    """Return what promises lack in the plan made anew with other numbers; 0 where all are kept."""
    scenario = cascade.graph.scenario
    for assignment in assignments:
        path, _, value = assignment.rpartition("=")
        scenario = Inputs(scenario).at(path, float(value))
    posed = _posed(cascade, scenario)
    try:
        draws = planning_draws(posed.graph, promised_goals(posed.promises))
        held, solution = solve_promised(posed, draws, missing_margins, missing_odds, options)
    except LimitReached:
        raise
    except (KpioptError, InfeasibleProgram, Infeasible):
        return np.inf
    return _lacking(held, [result for result in _results(held, solution) if not result.is_kept])


def _lacking(cascade: Cascade, missed: list[PromiseResult]) -> float:
    """Return what promises lack together, each as a share of the way from the baseline."""
    scale = dict(zip([goal.id for goal in cascade.columns.goals], cascade.columns.goal_scale.tolist(), strict=True))
    return float(sum(result.shortfall / scale.get(result.name, 1.0) for result in missed))


def _limit_moves(
    cascade: Cascade, solution: Solution, missed: list[PromiseResult], options: SolverOptions
) -> Iterator[Move]:
    """Yield the limits that may be enough by themselves, the cheapest by `[relax]` first; else some together."""
    levers = {lever.handle.name: lever for lever in limit_levers(cascade)}
    if "adjust" in cascade.graph.scenario.document:  # it changes a capacity after `--set` has
        levers = {name: lever for name, lever in levers.items() if lever.kind == "budget"}
    handles = [lever.handle for lever in levers.values()]
    if not handles:
        return
    words = Words(cascade, levers)
    together, alone = find_repairs(_shut(cascade, solution, missed), handles, options, most=2 * MOST_LIMITS)
    found = alone[:MOST_LIMITS] or ([together] if together is not None and together.changes else [])
    for repair in found:
        if repair.changes:
            yield _limit_move(words, repair)


def _limit_move(words: Words, repair: Repair) -> Move:
    def move(share: float) -> OddsRepair:
        changes = tuple(Change(handle, amount * share) for handle, amount in repair.changes)
        said = words.repair(Repair(changes, repair.price * share))
        moves = tuple((str(change["limit"]), float(change["to"])) for change in said["changes"])
        return OddsRepair(str(said["text"]), tuple(said["set"]), moves)

    return move


def _shut(cascade: Cascade, solution: Solution, missed: list[PromiseResult]) -> ProgramArrays:
    """Return the program in which nothing may be lacking of what is missed, and nothing more of any other goal."""
    arrays, columns = cascade.program.arrays(), cascade.columns
    upper = arrays.column_upper.copy()
    for block in (columns.shortfall, columns.together):
        upper[block.positions] = np.maximum(solution.x[block.positions], 0.0)
    names = {result.name for result in missed}
    for promise in cascade.promises:
        if promise.name in names:
            upper[promise.column] = 0.0
    lower = arrays.column_lower.copy()
    lower[columns.change.positions] = -np.inf  # more of a limit may carry these further than the data do
    for block in (columns.change, *columns.fair.blocks):
        upper[block.positions] = np.inf
    upper = np.maximum(upper, lower)
    return replace(arrays, column_lower=lower, column_upper=upper, integer=np.zeros_like(arrays.integer))


def _target_move(cascade: Cascade, missed: list[PromiseResult]) -> Move:
    """Return the move of targets by what is lacking of them, those of several goals by the same share of their ways."""
    scenario, columns = cascade.graph.scenario, cascade.columns
    scale = dict(zip([goal.id for goal in columns.goals], columns.goal_scale.tolist(), strict=True))
    gives = dict.fromkeys((goal for result in missed for goal in result.goals), 0.0)
    for result in missed:
        for goal in result.goals:
            gives[goal] = max(gives[goal], result.shortfall * (scale[goal] if result.name == TOGETHER else 1.0))

    def move(share: float) -> OddsRepair:
        after = {}
        for name, amount in gives.items():
            goal, moved = scenario.goals[name], amount * max(share, 1.0)
            sign = scenario.kpis[goal.kpi].sign
            after[name] = -sign * outward(-sign * goal.target + moved, moved)
        return _to_targets(cascade, after)

    return move


def _to_targets(cascade: Cascade, after: Mapping[str, float]) -> OddsRepair:
    """Return the move of goals' targets to other values."""
    scenario, texts = cascade.graph.scenario, []
    for name, value in after.items():
        goal = scenario.goals[name]
        kpi = scenario.kpis[goal.kpi]
        verb = "lower" if kpi.sign > 0 else "raise"
        texts.append(f"{verb} goal.{name} from {plain(goal.target)} to {plain(value)} {kpi.unit}".rstrip())
    assignments = tuple(f'goal."{name}".target={value:.15g}' for name, value in after.items())
    return OddsRepair(", and ".join(texts), assignments, tuple((f"goal.{n}", value) for n, value in after.items()))
