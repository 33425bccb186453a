"""`kpiopt report`: a kept run as one page, as a workbook, on paper, or as the scorecards of its units."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import (
    DEFAULT_RUNS,
    NO_LIMIT,
    AllowCode,
    Replace,
    RunName,
    RunsFolder,
    TimeLimit,
    named_folder,
)
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.terminal import say, say_problems, showing_progress
from kpiopt.deadline import NEVER, Deadline, ended_by, not_done_problems
from kpiopt.errors import OutputError, Problem, UsageError, printable

if TYPE_CHECKING:
    from kpiopt.report.page.page import Page, PageSection
    from kpiopt.report.page.source import ReportSource
    from kpiopt.runs.stored_run import StoredRun

Render = Callable[["ReportSource", "Sequence[PageSection]"], bytes]


def report(
    run: RunName,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where to write; RUN-report.html by default.")
    ] = None,
    xlsx: Annotated[
        Path | None, typer.Option("--xlsx", metavar="FILE", help="Write the plan as a workbook, with all rows.")
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option("--pdf", metavar="FILE", help="Write on paper: the report, or the scorecard.")
    ] = None,
    scorecard: Annotated[
        str | None,
        typer.Option("--scorecard", metavar="UNIT", help="The page of one unit or person instead, for them alone."),
    ] = None,
    everyone: Annotated[
        Path | None,
        typer.Option(
            "--all", metavar="FOLDER", help="Write the scorecard of every unit into a folder.", parser=named_folder
        ),
    ] = None,
    no_levers: Annotated[
        bool, typer.Option("--no-levers", help="Leave out what answers 'what if': a smaller page.")
    ] = False,
    study: Annotated[
        bool, typer.Option("--study", help="Add what the plan hinges on: its tornado, and the frontier of its [sweep].")
    ] = False,
    time_limit: TimeLimit = NO_LIMIT,
    allow_code: AllowCode = False,
    out: RunsFolder = DEFAULT_RUNS,
    force: Replace = False,
) -> None:
    """Write a run as one page: goals, odds, strategy map, who is asked what, what holds the plan back, proof."""
    deadline = command_deadline(time_limit)
    from kpiopt.report.page.source import source_of_kept
    from kpiopt.runs.durable import require_place, write_output
    from kpiopt.runs.store import RunStore
    from kpiopt.runs.stored_run import reading_kept

    if everyone is not None and (html or xlsx or pdf or scorecard):
        fix = "leave the others out; or write one scorecard with --scorecard UNIT"
        raise UsageError(Problem("E-usage", "--all FOLDER names all its files itself", fix=fix))
    if scorecard is not None and xlsx is not None:
        raise UsageError(Problem("E-usage", "a scorecard is no workbook", fix="write --html or --pdf"))
    if study and (scorecard is not None or everyone is not None):
        raise UsageError(Problem("E-usage", "a scorecard tells nothing of the whole plan", fix="leave --study out"))
    stored = RunStore(out).find(run)
    if everyone is not None:
        with showing_progress("drawing"), reading_kept(stored), ended_by(deadline, "all scorecards were drawn"):
            contents = _all_scorecards(source_of_kept(stored), everyone)
        _make_folder(everyone)
    else:
        files = _files(stored.name, html, xlsx, pdf, scorecard, levers=not no_levers)
        for file in files:
            require_place(file, stored.files, force=force)
        with showing_progress("drawing"), reading_kept(stored):
            with ended_by(deadline, "the run was read"):
                source = source_of_kept(stored)
            more = _study(stored, deadline, allow_code=allow_code) if study else ()
            mark_certified()  # a study that the time cut short is still to be drawn
            with ended_by(NEVER if study else deadline, "the run was drawn"):
                contents = {file: render(source, more) for file, render in files.items()}
    for file in contents:
        require_place(file, stored.files, force=force)
    for file, content in contents.items():
        write_output(file, content, stored.files, force=force)
    told = list(contents) if everyone is None else [f"{len(contents):,} scorecards to {everyone}"]
    for what in told:
        say(f"wrote {printable(str(what))}")


def _files(
    name: str, html: Path | None, xlsx: Path | None, pdf: Path | None, unit: str | None, *, levers: bool
) -> dict[Path, Render]:
    """Return what is to be written and how."""
    from kpiopt.report.page.page import render_page  # jinja2
    from kpiopt.report.page.pdf import render_pdf
    from kpiopt.report.page.report import build_report

    def page(source: ReportSource, more: Sequence[PageSection], *, levers: bool = False) -> Page:
        return build_report(source, levers=levers, more=more) if unit is None else _scorecard(source, unit)

    files: dict[Path, Render] = {}
    if xlsx is not None:
        files[xlsx] = lambda source, _: _workbook(source)
    if pdf is not None:
        files[pdf] = lambda *found: render_pdf(page(*found), landscape=unit is None, one_page=unit is not None)
    if html is not None or not files:
        usual = f"{name}-report.html" if unit is None else f"{name}-{_slug(unit)}.html"
        files[html or Path(usual)] = lambda *found: render_page(page(*found, levers=levers)).encode()
    return files


def _study(stored: StoredRun, deadline: Deadline, *, allow_code: bool) -> Sequence[PageSection]:
    """Sweep a kept run over the axes of its file and move its inputs one at a time."""
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.report.compare_page import study_sections
    from kpiopt.run.solve import SolveOptions
    from kpiopt.studies.comparison.base_study import MOST_CELLS, study_base
    from kpiopt.studies.comparison.contenders import read_stored

    contender = read_stored(stored)
    if len(contender.scenario.cells) > MOST_CELLS:
        message = f"the study is left out: the plan has more than {MOST_CELLS:,} cells"
        say_problems([Problem("W-study-size", message, fix="ask `kpiopt sensitivity` and `kpiopt sweep`")])
    simulate = bool(stored.document["simulation"])
    options = SolveOptions(SolverOptions(deadline=deadline), simulate=simulate, allow_code=allow_code)
    found = study_base(contender, (), options)
    say_problems([*not_done_problems(found.not_done), *found.gaps])
    return study_sections("the plan", found)


def _scorecard(source: ReportSource, unit: str) -> Page:
    from kpiopt.report.scorecard.scorecard import build_scorecard, find_unit

    return build_scorecard(source, find_unit(source.graph, unit))


def _all_scorecards(source: ReportSource, folder: Path) -> dict[Path, bytes]:
    """Return the scorecards of all units by file: names of units become names of files that no two share."""
    from kpiopt.report.page.page import render_page
    from kpiopt.report.scorecard.scorecard import build_scorecard, units_with_scorecards

    ids = source.scenario.units.ids
    return {
        folder / f"{_slug(ids[unit])}.html": render_page(build_scorecard(source, unit)).encode()
        for unit in units_with_scorecards(source.graph)
    }


def _slug(text: str) -> str:
    """Return a unit's id as a part of a file's name; where characters are lost, its digest tells ids apart."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    if plain == text and not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)", plain):
        return plain
    return f"{plain or 'unit'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _make_folder(folder: Path) -> None:
    from kpiopt.runs.durable import failing_as_output

    with failing_as_output(folder):
        folder.mkdir(parents=True, exist_ok=True)


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
