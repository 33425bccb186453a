"""`kpiopt explain`: why a target is what it is."""

from __future__ import annotations

from typing import Annotated

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, AsJson, RunName, RunsFolder
from kpiopt.cli.terminal import print_answer, print_json, print_lines
from kpiopt.errors import printable


def explain(
    run: RunName,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[UNIT/KPI]",
            help="The target, as ann/sales, by ids or names; or a goal's id. Without it all are listed.",
            show_default=False,
        ),
    ] = None,
    out: RunsFolder = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Explain a target of a run: what it is made of, where its change comes from, what it does for the goals."""
    from kpiopt.report.explanation import explanation_document, render_explanation
    from kpiopt.runs.kept_plan import load_kept_plan
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.explain import explain_target, find_target, list_targets  # numpy and scipy

    plan = load_kept_plan(RunStore(out).find(run))
    if target is None:
        names = list_targets(plan.graph)
        print_json({"schema": "kpiopt.explain/1", "targets": names}) if as_json else print_lines(map(printable, names))
        return
    found = explain_target(plan.graph, plan.stretch, plan.levels, find_target(plan.graph, target))
    if as_json:
        print_json(explanation_document(plan, found))
    else:
        print_answer(render_explanation(plan, found))
