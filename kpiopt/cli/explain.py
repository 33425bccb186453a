"""`kpiopt explain`: why a target is what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, NO_LIMIT, AsJson, RunName, RunsFolder, TimeLimit
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.terminal import print_answer, print_json, print_lines, say_problems, showing_progress
from kpiopt.deadline import Deadline, NotDone, ended_by, not_done_problems
from kpiopt.errors import LimitReached, printable

if TYPE_CHECKING:
    from kpiopt.runs.kept_plan import KeptPlan
    from kpiopt.scenario.links import Initiative


def explain(
    run: RunName,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[UNIT/KPI | GOAL | LIMIT | INITIATIVE]",
            help="A target as ann/sales, a goal, a limit as budget.pay, an initiative; without it all are listed.",
            show_default=False,
        ),
    ] = None,
    time_limit: TimeLimit = NO_LIMIT,
    out: RunsFolder = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Explain a target, a limit or an initiative: what it is made of, why not less or someone else, what it brings."""
    deadline = command_deadline(time_limit)
    from kpiopt.runs.kept_plan import load_kept_plan
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.explain import list_targets  # numpy and scipy
    from kpiopt.studies.explain_limit import find_named

    stored = RunStore(out).find(run)
    with ended_by(deadline, "the run was read"):
        plan, limits = load_kept_plan(stored), stored.document["limits"]
    if target is None:
        there = plan.graph.scenario
        _list({"targets": list_targets(plan.graph), "goals": list(there.goals),
               "limits": [limit["name"] for limit in limits], "initiatives": list(there.initiatives)},
              as_json=as_json)  # fmt: skip
        return
    named = find_named(plan.graph, limits, target)
    if isinstance(named, str):
        _explain_target(plan, stored.document, named, deadline, as_json=as_json)
    elif isinstance(named, tuple):
        _explain_initiative(plan, limits, *named, as_json=as_json)
    else:
        _explain_limit(plan, named, stored.document["goals"], as_json=as_json)


def _list(there: dict[str, list[str]], *, as_json: bool) -> None:
    """Print what can be explained."""
    if as_json:
        print_json({"schema": "kpiopt.explain/1", **there})
        return
    goals, initiatives = ([f"{kind}.{name}" for name in there[f"{kind}s"]] for kind in ("goal", "initiative"))
    print_lines(map(printable, [*there["targets"], *goals, *there["limits"], *initiatives]))


def _explain_limit(
    plan: KeptPlan, entry: Mapping[str, Any], goals: Sequence[Mapping[str, Any]], *, as_json: bool
) -> None:
    from kpiopt.report.explanation_limit import limit_document, render_limit
    from kpiopt.studies.explain_limit import explain_limit

    found = explain_limit(plan.graph, plan.stretch, plan.levels, entry)
    print_json(limit_document(found)) if as_json else print_answer(render_limit(plan.graph, found, goals))


def _explain_initiative(
    plan: KeptPlan, limits: Sequence[Mapping[str, Any]], initiative: Initiative, unit: str, *, as_json: bool
) -> None:
    from kpiopt.report.explanation_limit import initiative_document, render_initiative
    from kpiopt.studies.explain_limit import explain_initiative

    found = explain_initiative(plan.graph, plan.stretch, plan.levels, limits, initiative, unit)
    if as_json:
        print_json(initiative_document(initiative, found))
    else:
        print_answer(render_initiative(plan.graph, initiative, found))


def _explain_target(
    plan: KeptPlan, document: Mapping[str, Any], target: str, deadline: Deadline, *, as_json: bool
) -> None:
    from kpiopt.report.explanation import explanation_document, render_explanation
    from kpiopt.studies.explain import explain_target, find_target
    from kpiopt.studies.swap import find_swap

    graph = plan.graph
    found = explain_target(graph, plan.stretch, plan.levels, find_target(graph, target))
    mark_certified()
    try:
        with showing_progress("planning without it"), ended_by(deadline, "a plan that asks less was found"):
            swap = find_swap(graph, plan.stretch, plan.levels, document["steps"], int(graph.cell[found.node]))
    except LimitReached:
        swap = None
        say_problems(not_done_problems([NotDone("swap", "what asking less would mean was not found out in the time")]))
    if as_json:
        print_json(explanation_document(plan, found, swap))
    else:
        print_answer(render_explanation(plan, found, swap, document["limits"], document["goals"]))
