"""`kpiopt compare`: what is different between scenarios, and whether it is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import (
    DEFAULT_RUNS,
    NO_LIMIT,
    AllowCode,
    AsJson,
    ExecutorName,
    Overrides,
    Replace,
    RunsFolder,
    TimeLimit,
    Workers,
)
from kpiopt.cli.failure import end_with_gaps
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.terminal import in_brief, print_answer, print_json, say_problems, showing_progress
from kpiopt.deadline import not_done_problems
from kpiopt.errors import ExitCode, Problem

if TYPE_CHECKING:
    from kpiopt.report.page.page import PageSection
    from kpiopt.run.solve import SolveOptions
    from kpiopt.studies.comparison.contenders import Comparisons, Contender


def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENARIO...",
            help="Scenario files, file.toml:variant, file.toml@rule, finished runs; a single file with its variants.",
            show_default=False,
        ),
    ],
    overrides: Overrides = None,
    out: RunsFolder = DEFAULT_RUNS,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page with figures.")
    ] = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    no_study: Annotated[
        bool, typer.Option("--no-study", help="Leave the first scenario's frontier and tornado out of the page.")
    ] = False,
    no_simulation: Annotated[bool, typer.Option("--no-simulation", help="Plans only, no odds.")] = False,
    allow_code: AllowCode = False,
    force: Replace = False,
    time_limit: TimeLimit = NO_LIMIT,
    as_json: AsJson = False,
) -> None:
    """Compare scenarios, variants or finished runs with the first one, all drawn with the same random numbers."""
    deadline = command_deadline(time_limit)
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.run.solve import SolveOptions
    from kpiopt.runs.durable import require_place, write_output
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.comparison.contenders import compare_contenders, read_contenders  # the solver and numpy
    from kpiopt.workers.executor import choose_executor

    place = choose_executor(executor, workers)
    contenders = read_contenders(sources, RunStore(out), tuple(overrides or ()))
    notes = dict.fromkeys(note for contender in contenders for note in contender.scenario.warnings)
    say_problems(notes if as_json else in_brief(notes))
    inputs = [file for contender in contenders for file in contender.files]
    if html is not None:
        require_place(html, inputs, force=force)
    solver = SolverOptions(deadline=deadline)
    options = SolveOptions(solver, simulate=not no_simulation, executor=place, allow_code=allow_code)
    with showing_progress("comparing") as progress:
        found = compare_contenders(contenders, options, progress)
        study: tuple[PageSection, ...] = ()
        gaps: tuple[Problem, ...] = ()
        if html is not None:
            if not no_study:
                study, gaps = _study(contenders[0], overrides or (), options, progress)
            write_output(html, _page(found, study), inputs, force=force)
    mark_certified()
    _answer(found, as_json)
    say_problems(not_done_problems(found.not_done))
    if any(part.what == "plan" for part in found.not_done):
        raise typer.Exit(int(ExitCode.LIMIT))
    end_with_gaps(gaps)


def _answer(found: Comparisons, as_json: bool) -> None:
    if as_json:
        from kpiopt.studies.comparison.comparison_answer import comparisons_as_dict

        print_json(comparisons_as_dict(found))
    else:
        from kpiopt.report.comparison import render_comparisons  # rich

        print_answer(render_comparisons(found))


def _study(
    base: Contender, overrides: Sequence[str], options: SolveOptions, progress: Callable[[str], None]
) -> tuple[tuple[PageSection, ...], tuple[Problem, ...]]:
    """Return what a page tells about the first scenario alone, and what of it failed."""
    from kpiopt.report.compare_page import study_sections
    from kpiopt.studies.comparison.base_study import study_base

    study = study_base(base, overrides, options, progress)
    say_problems(not_done_problems(study.not_done))
    return study_sections(base.label, study), study.gaps


def _page(found: Comparisons, more: tuple[PageSection, ...]) -> bytes:
    from kpiopt.report.compare_page import render_compare_page  # jinja2

    return render_compare_page(found, more).encode()
