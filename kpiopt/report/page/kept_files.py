"""What a run folder keeps for people: the summary as text, the report and the workbook."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kpiopt.run.run import Run

PLAIN_WIDTH = 80
"""Columns of what is kept, or printed where no terminal says how many it has: it is read on any screen."""


def plain_text(answer: RenderableType, width: int = PLAIN_WIDTH) -> str:
    """Return a renderable answer as text without colours, as it is kept in a file."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(answer)
    return without_padding(captured.get())


def without_padding(text: str) -> str:
    """Drop the spaces with which tables fill their lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def summary_text(run: Run, folder: Path) -> str:
    """Return the summary of a run as it is kept in its folder."""
    from kpiopt.report.summary import render_summary  # rich

    return plain_text(render_summary(run, folder))


def report_pages(run: Run, folder: Path, risk: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Return the report and the workbook of a run as they are kept in its folder."""
    from kpiopt.report.page.report import render_report  # jinja2
    from kpiopt.report.page.source import source_of_run
    from kpiopt.report.workbook.plan_workbook import render_workbook
    from kpiopt.runs.stored_run import REPORT_FILE, WORKBOOK_FILE

    source = source_of_run(run, folder.name, risk)
    return {REPORT_FILE: render_report(source).encode(), WORKBOOK_FILE: render_workbook(source)}


def workbook_of(run: Run, folder: Path) -> bytes:
    """Return the workbook of a run as it is kept in its folder."""
    from kpiopt.report.page.source import source_of_run
    from kpiopt.report.workbook.plan_workbook import render_workbook

    return render_workbook(source_of_run(run, folder.name))
