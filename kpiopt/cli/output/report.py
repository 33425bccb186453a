"""`kpiopt report`: a kept run as one page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, Replace, RunName, RunsFolder
from kpiopt.cli.terminal import say, showing_progress
from kpiopt.errors import OutputError, Problem

if TYPE_CHECKING:
    from kpiopt.report.page.source import ReportSource


def report(
    run: RunName,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where to write; RUN-report.html by default.")
    ] = None,
    xlsx: Annotated[
        Path | None, typer.Option("--xlsx", metavar="FILE", help="Write the plan as a workbook instead, with all rows.")
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
    files: dict[Path, Callable[[ReportSource], bytes]] = {}
    if xlsx is not None:
        files[xlsx] = _workbook
    if html is not None or not files:
        files[html or Path(f"{stored.name}-report.html")] = lambda s: render_report(s, levers=not no_levers).encode()
    for file in files:
        require_place(file, stored.files, force=force)
    with showing_progress("drawing"):
        source = source_of_kept(stored)
        contents = {file: render(source) for file, render in files.items()}
    for file, content in contents.items():
        write_output(file, content, stored.files, force=force)
        say(f"wrote {file}")


def _workbook(source: ReportSource) -> bytes:
    """Return a run as a workbook with all its rows.

    Raises
    ------
    OutputError
        Where there are more than a sheet can hold.
    """
    from kpiopt.report.workbook.plan_workbook import ROWS_OF_EXCEL, render_workbook

    if source.table.height > ROWS_OF_EXCEL:
        message = f"the plan has {source.table.height:,} targets, and a sheet of a workbook holds {ROWS_OF_EXCEL:,}"
        fix = "read its targets.csv, or take plan.xlsx of its folder: the rows nearest to the top"
        raise OutputError(Problem("E-workbook-rows", message, rule="a workbook leaves nothing out unsaid", fix=fix))
    return render_workbook(source, ROWS_OF_EXCEL)
