"""`kpiopt explain`: why a target is what it is."""

from __future__ import annotations

from typing import Annotated

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, AsJson, RunName, RunsFolder
from kpiopt.cli.terminal import print_answer, print_json


def explain(
    run: RunName,
    target: Annotated[str, typer.Argument(metavar="UNIT/KPI", help="The target, as ann/sales.", show_default=False)],
    out: RunsFolder = DEFAULT_RUNS,
    as_json: AsJson = False,
) -> None:
    """Explain a target of a run: what it is made of, where its change comes from, what it does for the goals."""
    from kpiopt.report.explanation import explanation_document, render_explanation
    from kpiopt.runs.kept_plan import load_kept_plan
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.explain import explain_target, find_target  # numpy and scipy

    plan = load_kept_plan(RunStore(out).find(run))
    found = explain_target(plan.graph, plan.stretch, plan.levels, find_target(plan.graph, target))
    if as_json:
        print_json(explanation_document(plan, found))
    else:
        print_answer(render_explanation(plan, found))
