"""`kpiopt simulate`: the odds of a plan that stands, under other assumptions or when an action is taken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import (
    DEFAULT_RUNS,
    NO_LIMIT,
    AsJson,
    ExecutorName,
    Overrides,
    RunName,
    RunsFolder,
    TimeLimit,
    Variants,
    Workers,
    joined,
)
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.solve import read_scenario
from kpiopt.cli.terminal import print_answer, print_json, say_problems, showing_progress
from kpiopt.deadline import Deadline, NotDone, ended_by, not_done_problems
from kpiopt.errors import LimitReached, Problem, UsageError

if TYPE_CHECKING:
    from kpiopt.runs.kept_plan import KeptPlan
    from kpiopt.scenario.scenario import Scenario, SimulationSettings
    from kpiopt.simulation.importance import GoalDrivers
    from kpiopt.simulation.intervene import Intervention
    from kpiopt.simulation.results import Simulation


def simulate(
    run: RunName,
    do: Annotated[
        list[str] | None,
        typer.Option(
            "--do",
            metavar="KPI=VALUE",
            help="Set a KPI (or KPI@UNIT) and what rolls up to it, causes cut; KPI+=AMOUNT moves it, causes go on.",
        ),
    ] = None,
    act: Annotated[
        list[str] | None, typer.Option("--act", metavar="INITIATIVE=LEVEL", help="Set an initiative's level.")
    ] = None,
    under: Annotated[
        Path | None, typer.Option("--under", metavar="SCENARIO", help="Take uncertainty and map of another scenario.")
    ] = None,
    variants: Variants = None,
    overrides: Overrides = None,
    draws: Annotated[
        int | None, typer.Option("--draws", metavar="N", min=2, max=10**9, help="Random draws; the scenario's own.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Seed.")] = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    time_limit: TimeLimit = NO_LIMIT,
    out: RunsFolder = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Simulate the plan of a run again: with other draws or assumptions, or with an action and what it changes."""
    deadline = command_deadline(time_limit)
    from kpiopt.report import outlook  # numpy and rich
    from kpiopt.run.in_time import draw_in_time
    from kpiopt.run.spread import spread_by
    from kpiopt.runs.kept_plan import load_kept_plan
    from kpiopt.runs.store import RunStore
    from kpiopt.workers.executor import choose_executor

    spread = spread_by(choose_executor(executor, workers))
    stored = RunStore(out).find(run)
    plan = load_kept_plan(stored, _other_scenario(under, joined(variants), overrides))
    decided = plan.graph, plan.stretch, plan.levels, plan.targets
    settings = plan.graph.scenario.simulation.drawn(draws, seed)
    with showing_progress("simulating"):
        if do or act:
            from kpiopt.simulation.intervene import intervene

            def change(settings: SimulationSettings) -> Intervention:
                return intervene(*decided, settings, do=do or (), act=act or (), spread=spread, deadline=deadline)

            changed = draw_in_time(change, settings, deadline)
            mark_certified()
            answer, document = outlook.render_intervention(changed), outlook.intervention_document(changed)
            notes = (*changed.after.notes, *not_done_problems(changed.after.not_done))
        else:
            from kpiopt.simulation.simulate import simulate as draw

            found = draw_in_time(
                lambda settings: draw(*decided, settings, spread=spread, deadline=deadline), settings, deadline
            )
            mark_certified()
            drivers, late = _drivers(plan, found, deadline)
            answer, document = outlook.render_simulation(found, drivers), outlook.simulation_document(found, drivers)
            notes = (*found.notes, *not_done_problems((*found.not_done, *late)))
    say_problems(notes)
    print_json({"run": stored.name, **document}) if as_json else print_answer(answer)


def _drivers(plan: KeptPlan, found: Simulation, deadline: Deadline) -> tuple[list[GoalDrivers], list[NotDone]]:
    """Return what drives each goal that has odds, from the same draws, and what the time left of that."""
    from kpiopt.simulation.importance import explain_odds
    from kpiopt.simulation.intervene import settings_of

    open_goals = [goal.goal for goal in found.goals if not goal.odds.is_certain]
    drivers: list[GoalDrivers] = []
    try:
        with ended_by(deadline, "what drives the odds was known"):
            for goal in open_goals:
                drivers.append(explain_odds(plan.graph, plan.stretch, plan.levels, goal, settings_of(found)))
    except LimitReached:
        count, total = len(drivers), len(open_goals)
        text = f"what drives the odds was found for {count} of {total} goals: the time was up"
        return drivers, [NotDone("drivers", text, count, total)] * (count < total)
    return drivers, []


def _other_scenario(under: Path | None, variant: str | None, overrides: list[str] | None) -> Scenario | None:
    """Read the scenario to look at the plan in; None for the run's own."""
    if under is not None:
        return read_scenario(under, variant, list(overrides or ()))[0]
    if variant or overrides:
        raise UsageError(Problem("E-usage", "--variant and --set need --under SCENARIO", fix="name the scenario"))
    return None
