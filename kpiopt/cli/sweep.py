"""`kpiopt sweep`: one scenario for many values of some of its numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kpiopt.cli.arguments import (
    DEFAULT_RUNS,
    NO_LIMIT,
    AllowCode,
    AsJson,
    ExecutorName,
    Overrides,
    RunsFolder,
    ScenarioPath,
    TimeLimit,
    Variants,
    Workers,
    joined,
)
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.solve import read_scenario
from kpiopt.cli.terminal import (
    print_answer,
    print_json,
    print_lines,
    say,
    say_problems,
    showing_progress,
)
from kpiopt.deadline import TIME_LIMIT
from kpiopt.errors import ExitCode, Problem
from kpiopt.report.page.kept_files import plain_text

if TYPE_CHECKING:
    from kpiopt.runs.folder import Occasion
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.sweep.sweep_answer import SweepAnswer
    from kpiopt.studies.sweep.sweep_folder import StoredSweep, SweepQuestion
    from kpiopt.workers.job import Executor


def sweep(
    context: typer.Context,
    scenario: ScenarioPath,
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="AXIS",
            help="path=first:last:number or path=value,value,…; instead of [sweep]. May be repeated.",
        ),
    ] = None,
    zipped: Annotated[
        bool, typer.Option("--zip", help="Take the axes' first values together, the second ones, and so on.")
    ] = False,
    variants: Variants = None,
    overrides: Overrides = None,
    out: RunsFolder = DEFAULT_RUNS,
    executor: ExecutorName = None,
    workers: Workers = None,
    force: Annotated[bool, typer.Option("--force", help="Solve again what is kept; replace a foreign file.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page with figures.")
    ] = None,
    no_simulation: Annotated[bool, typer.Option("--no-simulation", help="Plans only, no odds.")] = False,
    time_limit: TimeLimit = NO_LIMIT,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Solve a scenario for many values of some of its numbers: table, efficient frontier, knees, price of more."""
    deadline = command_deadline(time_limit)
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.runs.durable import require_place, write_output
    from kpiopt.runs.folder import Occasion
    from kpiopt.runs.store import open_store
    from kpiopt.studies.sweep.axes import points_of, read_axes  # numpy
    from kpiopt.studies.sweep.point import SweepJob
    from kpiopt.studies.sweep.sweep_folder import pose_sweep, stored_answer
    from kpiopt.workers.executor import choose_executor

    occasion = Occasion.now(["kpiopt", *(context.obj or ())])
    place = choose_executor(executor, workers)
    checked, document = read_scenario(scenario, joined(variants), list(overrides or ()))
    if html is not None:
        require_place(html, checked.files, force=force)
    axes = read_axes(checked, over or ())
    points = points_of(axes, zipped=zipped)
    solver = SolverOptions(deadline=deadline)
    job = SweepJob(document.source, solver=solver, simulate=not no_simulation, allow_code=allow_code)
    posed = pose_sweep(checked, document, axes, points, job)
    store = open_store(out, [document.source, *(copy.path for copy in posed.question.inputs)])
    kept = None if force else stored_answer(store, posed)
    if kept is not None:
        if html is not None:
            write_output(html, _page(kept.answer), checked.files, force=force)
        _print_kept(kept, as_json)
        say(f"{posed.name} was solved before; --force solves it again")
        return
    answer, written = _answer(store, posed, place, occasion)
    if html is not None:
        write_output(html, _page(answer), checked.files, force=force)
    if as_json:
        print_json(written)
    else:
        _print(_render(answer, store.root / posed.name))
    _end(answer)


def _print(answer: Any) -> None:
    """Print an answer; outside of a terminal as it is kept."""
    if sys.stdout.isatty():
        print_answer(answer)
    else:
        print_lines([plain_text(answer).rstrip("\n")])


def _print_kept(kept: StoredSweep, as_json: bool) -> None:
    """Answer an identical question from the store."""
    if as_json:
        print_json(kept.document)
    else:
        print_lines([kept.summary.rstrip("\n")])


def _answer(
    store: RunStore, posed: SweepQuestion, place: Executor, occasion: Occasion
) -> tuple[SweepAnswer, dict[str, Any]]:
    from kpiopt.studies.sweep.sweep_folder import answer_sweep
    from kpiopt.workers.time_left import TimeLeft

    clock = TimeLeft()
    try:
        with showing_progress("sweeping") as progress:
            return answer_sweep(
                store,
                posed,
                place,
                occasion,
                _summary_text,
                lambda done, total: progress(clock.tell(done, total)),
            )
    except KeyboardInterrupt:
        say("interrupted; what is answered is kept, and the same command goes on from there")
        raise


def _summary_text(answer: SweepAnswer, folder: Path) -> str:
    mark_certified()
    return plain_text(_render(answer, folder))


def _render(answer: SweepAnswer, folder: Path) -> Any:
    from kpiopt.report.sweep import render_sweep  # rich

    return render_sweep(answer, folder)


def _page(answer: SweepAnswer) -> bytes:
    from kpiopt.report.sweep_page import render_sweep_page

    return render_sweep_page(answer).encode()


def _end(answer: SweepAnswer) -> None:
    """End with exit code 9 where points failed, 7 where no point was reached; that there is no plan is an answer."""
    if answer.failures:
        count = f"{len(answer.failures):,} of {len(answer.points):,} points"
        if answer.late:
            late = f"{answer.late:,} of {len(answer.points):,} points were not answered in the time"
            say_problems([Problem(TIME_LIMIT, late, fix="the same command goes on from there")])
        if answer.late == len(answer.points):
            raise typer.Exit(int(ExitCode.LIMIT))
        say_problems(
            [Problem("E-sweep-partial", f"{count} failed; the others are kept", fix="the same command tries again")]
        )
        raise typer.Exit(int(ExitCode.PARTIAL))
