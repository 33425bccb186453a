"""`kpiopt report`: a kept run as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, Replace, RunName, RunsFolder
from kpiopt.cli.terminal import say, showing_progress


def report(
    run: RunName,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where to write; RUN-report.html by default.")
    ] = None,
    no_levers: Annotated[
        bool, typer.Option("--no-levers", help="Leave out what answers 'what if': a smaller page.")
    ] = False,
    out: RunsFolder = DEFAULT_RUNS,
    force: Replace = False,
) -> None:
    """Write a run as one page: goals, odds, strategy map, who is asked what, what holds the plan back, proof."""
    from kpiopt.report.page.report import render_report  # jinja2
    from kpiopt.report.page.source import source_of_kept
    from kpiopt.runs.durable import require_place, write_output
    from kpiopt.runs.store import RunStore

    stored = RunStore(out).find(run)
    file = html or Path(f"{stored.name}-report.html")
    require_place(file, stored.files, force=force)
    with showing_progress("drawing"):
        page = render_report(source_of_kept(stored), levers=not no_levers)
    write_output(file, page.encode(), stored.files, force=force)
    say(f"wrote {file}")
