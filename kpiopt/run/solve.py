"""Solving: from a scenario to a run, one phase after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kpiopt.deadline import NotDone
from kpiopt.errors import Infeasible, InputError, LimitReached, Problem, UsageError
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.plan import Plan, build_plan
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.columns import level_range
from kpiopt.program.formulation.elimination import held_at_zero
from kpiopt.program.formulation.objectives import money_at_plan
from kpiopt.program.order.kept_solution import with_checked_certificates
from kpiopt.program.order.prices import LimitResult, not_priced, price_limits
from kpiopt.program.order.rounded_rules import broken_rules
from kpiopt.program.order.steps import BorderlineProgram, InfeasibleProgram, Solution
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.solver.other_solver import require_solver
from kpiopt.run.fairness import compare_peers, is_priced, judge_without, without_fairness
from kpiopt.run.gaps import find_gaps
from kpiopt.run.judge import goal_results, judge_rule
from kpiopt.run.over_assign import beyond_limits, over_assign, with_fresh_odds
from kpiopt.run.program import write_program
from kpiopt.run.promised import OddsOutOfReach, fresh_odds, promise_results, solve_with_promises
from kpiopt.run.robust import variant_results
from kpiopt.run.run import JudgedPlan, Run, Spending
from kpiopt.run.spread import spread_by
from kpiopt.scenario.curve import NO_ODDS, refuse_curves
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation.results import Simulation
from kpiopt.simulation.simulate import simulate
from kpiopt.simulation.streams import lay_out
from kpiopt.workers.job import SERIAL, Executor

if TYPE_CHECKING:
    from kpiopt.run.odds_repair import Claimed, MissedOdds

Progress = Callable[[str], None]
USUAL_RULE = "proportional"
CELLS_BESIDE = 20_000
"""Cells up to which a plan stands beside that of the usual rule without being asked for."""


@dataclass(frozen=True)
class SolveOptions:
    """How to solve; none of it changes the plan.

    Attributes
    ----------
    simulate : bool
        Whether odds are estimated.
    executor : Executor
        Who computes the simulation's draws.
    allow_code : bool
        Whether the scenario's rules file may be run; a scenario without one does not ask.
    beside : tuple of str, optional
        Rules whose plans are judged beside this one; "proportional" by default where there are at most 20,000 cells.
    risk : bool
        Whether what odds cost is studied as well and kept with the run.
    claimed : list of list of (str, float), optional
        What the repairs of missed odds move in a kept run, see `mend_odds`.
    """

    solver: SolverOptions = field(default_factory=SolverOptions)
    simulate: bool = True
    executor: Executor = SERIAL
    allow_code: bool = False
    beside: tuple[str, ...] | None = None
    risk: bool = False
    claimed: Claimed | None = None


def solve_scenario(
    scenario: Scenario, *, options: SolveOptions | None = None, progress: Progress = lambda _: None
) -> Run:
    """Solve a scenario: graph, program, certified solution, plan with rounded targets, odds.

    Raises
    ------
    UsageError
        A solver that is not there.
    SecurityError
        A rules file without permission to run it.
    ModelError
        Cycles of cause and effect; rules that cannot be taken over.
    Infeasible, Unbounded, Uncertified, LimitReached
        Nothing is published then.
    """
    options = options or SolveOptions()
    require_solver(options.solver.solver)
    refuse_curves(scenario.curved if options.risk else (), "what odds cost", NO_ODDS)
    seconds: dict[str, float] = {}
    options.solver.deadline.require("the scenario was solved")
    with _timed(seconds, "graph"):
        graph = build_graph(scenario)
    options.solver.deadline.require("the program was written")
    with _timed(seconds, "program"):
        cascade = write_program(graph, options.solver, allow_code=options.allow_code)
    with _timed(seconds, "solve"):
        cascade, solution = solve_cascade(cascade, options.solver, progress)
    return complete_run(cascade, solution, options, progress, seconds)


def complete_run(
    cascade: Cascade,
    solution: Solution,
    options: SolveOptions,
    progress: Progress = lambda _: None,
    seconds: dict[str, float] | None = None,
) -> Run:
    """Return all that follows from a solution: plan, targets, prices of limits, odds.

    Everything a run publishes is computed here, so that a kept run is checked by computing it again from its proof.

    Parameters
    ----------
    seconds : dict of str to float, optional
        Wall time of the phases so far; those of this function are added.
    """
    graph, seconds = cascade.graph, {} if seconds is None else seconds
    progress("prices")
    with _timed(seconds, "plan"):
        limits = price_limits(cascade, solution, options.solver.deadline)
        plan, cushions = over_assign(make_plan(cascade, solution, limits))
        plan = replace(plan, notes=(*plan.notes, *beyond_limits(plan, limits)))
        promises = promise_results(cascade, plan.stretch, plan.levels)
        missed_odds, late = _mended(cascade, solution, options)
    run = Run(
        graph.scenario, graph, cascade, solution, plan, goal_results(plan, promises), limits,
        plan_spending(cascade, solution), None, seconds, (*not_priced(cascade, limits), *late),
        promises=promises, missed_odds=missed_odds, cushions=cushions, gaps=find_gaps(plan),
        fairness=compare_peers(cascade, plan), variants=variant_results(cascade, solution.x),
    )  # fmt: skip
    if options.simulate:
        progress("odds")
        with _timed(seconds, "odds"):
            run = _with_odds(run, options)
    with _timed(seconds, "fairness"):
        run = _with_price_of_fairness(run, options)
    with _timed(seconds, "rules"):
        return _with_rules(run, options)


def _mended(
    cascade: Cascade, solution: Solution, options: SolveOptions
) -> tuple[MissedOdds | None, tuple[NotDone, ...]]:
    """Look for what would keep the promises that a plan misses, where it makes any."""
    if not cascade.promises:
        return None, ()
    from kpiopt.run.odds_repair import mend_odds  # a plan without promises starts without it

    return mend_odds(cascade, solution, options.solver, options.claimed)


def _with_odds(run: Run, options: SolveOptions) -> Run:
    """Simulate a run's plan; where the time is up before there are odds, the plan stands without them."""
    plan = run.plan
    try:
        simulation = _draw(options, plan)
    except LimitReached:
        settings = run.scenario.simulation
        draws = lay_out(settings.draws, settings.method).draws
        if not options.solver.deadline.ends("odds", 0, draws):
            raise
        late = NotDone("odds", "the odds were not computed in the time", 0, draws)
        return replace(run, not_done=(*run.not_done, late))
    odds = np.vstack([simulation.node_odds, simulation.node_intervals])
    plan = plan.annotate(odds=odds)
    promises = tuple(replace(promise, fresh=fresh_odds(promise, simulation)) for promise in run.promises)
    not_done = (*run.not_done, *simulation.not_done)
    run = replace(run, simulation=simulation, plan=plan, promises=promises, not_done=not_done)
    return _with_odds_of_cushions(run, options)


def _with_odds_of_cushions(run: Run, options: SolveOptions) -> Run:
    """Draw the odds that cushions were found for once more, where the time allows."""

    def draw(stretch: Floats) -> Simulation:
        if options.solver.deadline.ends("cushions", 0, 1):
            raise options.solver.deadline.reached("the odds with cushions were drawn")
        return _draw(options, replace(run.plan, stretch=stretch), like=run.simulation)

    try:
        return replace(run, cushions=with_fresh_odds(run.cushions, run.plan, draw))
    except LimitReached:
        late = NotDone("cushions", "the odds with cushions were not drawn in the time")
        return replace(run, not_done=(*run.not_done, late))


def _with_price_of_fairness(run: Run, options: SolveOptions) -> Run:
    """Make one more plan that does not compare peers, where that is asked for, to tell what comparing them costs."""
    if run.fairness is None or not is_priced(run.scenario):
        return run
    try:
        if options.solver.deadline.ends("fairness", 0, 1):
            raise options.solver.deadline.reached("the plan without fairness was made")
        graph = replace(run.graph, scenario=without_fairness(run.scenario))
        free = write_program(graph, options.solver, allow_code=options.allow_code)
        free, solution = solve_cascade(free, options.solver)
        draw = partial(_draw, options, like=run.simulation) if run.simulation else None
        price = judge_without(run.cascade, run.solution.x, run.plan, free, solution.x, draw)
        return replace(run, fairness=replace(run.fairness, price=price))
    except LimitReached:
        late = NotDone("fairness", "the plan without fairness was not made in the time")
        return replace(run, not_done=(*run.not_done, late))


def judge_scenario(scenario: Scenario, rule: str, options: SolveOptions) -> JudgedPlan:
    """Judge the plan that a spreadsheet would give a scenario by a rule; nothing is solved.

    Raises
    ------
    UsageError
        Where there is no such rule, or the cells have not what it needs.
    ModelError
        Cycles of cause and effect.
    """
    return judge_rule(build_graph(scenario), rule, partial(_draw, options) if options.simulate else None)


def _draw(options: SolveOptions, plan: Plan, *, like: Simulation | None = None) -> Simulation:
    """Estimate the odds of a plan; of one beside another from the same draws and no others."""
    settings = plan.graph.scenario.simulation
    if like:
        settings = replace(settings, draws=like.draws, precision=None)
    found = simulate(
        plan.graph, plan.stretch, plan.levels, plan.target, settings,
        spread=spread_by(options.executor), rare=like is None, deadline=options.solver.deadline,
    )  # fmt: skip
    if like and found.draws < like.draws:
        raise options.solver.deadline.reached("all plans were drawn alike")
    return found


def _with_rules(run: Run, options: SolveOptions) -> Run:
    """Judge the plans of rules from the draws of a run; what nobody asked for and cannot be judged is left out."""
    rules = options.beside
    if rules is None:
        usual = run.goals and len(run.scenario.cells) <= CELLS_BESIDE
        rules = (USUAL_RULE,) if usual else ()
    if not rules:
        return run
    try:
        if options.solver.deadline.ends("rules", 0, 1):
            raise options.solver.deadline.reached("the plans of rules were judged")
        draw = partial(_draw, options, like=run.simulation) if run.simulation else None
        return replace(run, rules=tuple(judge_rule(run.graph, rule, draw) for rule in rules))
    except LimitReached:
        late = NotDone("rules", "the plans of rules were not judged in the time")
        return replace(run, not_done=(*run.not_done, late))
    except (InputError, UsageError):
        if options.beside is not None:
            raise
        return run


def solve_cascade(
    cascade: Cascade, options: SolverOptions, progress: Progress = lambda _: None
) -> tuple[Cascade, Solution]:
    """Solve the program; a proof that there is no plan becomes a diagnosis in the planner's words.

    Returns
    -------
    Cascade, Solution
        The cascade with what holds it to promised odds, and its certified solution.

    Raises
    ------
    Infeasible, Unbounded, Uncertified, LimitReached
    """
    try:
        cascade, solution = solve_with_promises(cascade, options, progress)
        return cascade, with_checked_certificates(cascade.program, solution)
    except OddsOutOfReach as failure:
        from kpiopt.run.odds_repair import with_repairs

        progress("looking for what would keep the odds")
        raise with_repairs(failure, options) from None
    except InfeasibleProgram as failure:
        from kpiopt.program.order.infeasible import explain_infeasible  # only where there is no plan

        progress("looking for what would mend it")
        error = explain_infeasible(cascade, failure.certificate, failure.ray, options)
        held = _held_locks(cascade.graph)
        raise Infeasible(*error.problems, *held, details=error.details) from None
    except BorderlineProgram:
        from kpiopt.program.order.infeasible import explain_borderline

        raise explain_borderline(cascade, options) from None


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started


def make_plan(cascade: Cascade, solution: Solution, limits: tuple[LimitResult, ...]) -> Plan:
    """Turn a solution's columns into a plan whose cells know which limits stop them."""
    columns = cascade.columns
    plan = build_plan(cascade.graph, columns.stretch_of_cells(solution.x), columns.level.of(solution.x))
    notes = (*_held_locks(cascade.graph), *broken_rules(cascade, plan.rounded_stretch, plan.levels))
    plan = replace(plan, notes=(*plan.notes, *notes))
    return plan.annotate(binding_limits=binding_of_cells(cascade, limits))


def _held_locks(graph: CausalGraph) -> list[Problem]:
    """Note every locked target that keeps initiatives and causes from bringing more than it says."""
    target = graph.scenario.horizon.written_target
    return [
        Problem(
            "W-lock-target-held",
            f"{graph.node_name(int(graph.whole_node[cell]))} is locked at {target[cell]:,.10g}: what would bring more "
            "is left out, though giving up stretch there might allow it",
            rule="what may lie on both sides of 0 stays at 0 or above where effort, pay or execution count it",
            fix="to plan with less than 0 there, write `lock` with that stretch instead of lock_target",
        )
        for cell in held_at_zero(graph, level_range(graph)).tolist()
    ]


def binding_of_cells(cascade: Cascade, limits: tuple[LimitResult, ...]) -> np.ndarray[Any, Any]:
    """Return for each cell the first priced limit that its stretch uses, "" where there is none, (n_cells,) object."""
    names = np.full(len(cascade.graph.scenario.cells), "", dtype=object)
    columns, matrix = cascade.columns, cascade.program.arrays().matrix
    first, last = columns.stretch.start, columns.stretch.start + len(columns.stretch)
    for limit, result in reversed(list(zip((*cascade.limits, *cascade.variant_limits), limits, strict=False))):
        if result.binding and (result.shadow_price or cascade.variants):
            used = matrix.indices[matrix.indptr[limit.row] : matrix.indptr[limit.row + 1]]
            load = columns.effort.loaded[used[np.isin(used, columns.effort.load.positions)] - columns.effort.load.start]
            used = used[(used >= first) & (used < last)] - first
            names[columns.stretch_cell[np.concatenate([used, load])]] = limit.name
    return names


def plan_spending(cascade: Cascade, solution: Solution) -> Spending:
    """Return pay at plan and the initiatives' use of other money."""
    columns, scenario = cascade.columns, cascade.graph.scenario
    whole = [b.limit for b in scenario.budgets.values() if b.resource == "pay" and b.scope == 0 and not b.by_period]
    initiatives = money_at_plan(columns, solution.x)
    return Spending(columns.pay_at_plan(solution.x), min(whole, default=None), initiatives)
