"""`kpiopt solve`: from a scenario to certified targets, their odds and a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kpiopt.cli.arguments import DEFAULT_RUNS, AllowCode, AsJson, Overrides, RunsFolder, ScenarioPath, Variant
from kpiopt.cli.terminal import plain_text, print_answer, print_json, say_problems, showing_progress
from kpiopt.errors import Problem, ScenarioError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kpiopt.runs.folder import Occasion
    from kpiopt.runs.question import Question
    from kpiopt.runs.run import Run, SolveOptions
    from kpiopt.runs.store import Staging
    from kpiopt.scenario.document import Document
    from kpiopt.scenario.scenario import Scenario


def solve(
    context: typer.Context,
    scenario: ScenarioPath,
    variant: Variant = None,
    overrides: Overrides = None,
    out: RunsFolder = DEFAULT_RUNS,
    draws: Annotated[
        int | None, typer.Option("--draws", metavar="N", min=2, max=10**9, help="Random draws for the odds.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Seed of the draws.")
    ] = None,
    time_limit: Annotated[
        float, typer.Option("--time-limit", metavar="SECONDS", min=0.0, help="Stop the solver after so long.")
    ] = float("inf"),
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Threads for the draws.")] = 1,
    no_simulation: Annotated[bool, typer.Option("--no-simulation", help="Plan only, no odds.")] = False,
    solver: Annotated[
        str, typer.Option("--solver", metavar="NAME", help="highs, or any solver that Pyomo finds here.")
    ] = "highs",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Solve a scenario: targets that add up, certified; their odds; what holds them back; kept in a run folder."""
    from kpiopt.program.session import SolverOptions  # the solver and numpy
    from kpiopt.runs.folder import Occasion, named_answer
    from kpiopt.runs.run import SolveOptions

    occasion = Occasion.now(["kpiopt", *(context.obj or ())])
    words = [*(overrides or ()), *_settings(draws, seed)]
    checked, document = read_scenario(scenario, variant, words)
    options = SolveOptions(
        SolverOptions(time_limit=time_limit, solver=solver),
        simulate=not no_simulation,
        workers=workers,
        allow_code=allow_code,
    )
    run, folder = _solve_into(out, checked, document, options, occasion)
    if as_json:
        print_json(named_answer(run, folder))
    else:
        print_answer(_summary(run, folder))


def _settings(draws: int | None, seed: int | None) -> list[str]:
    """Return `--draws` and `--seed` as overrides: they are part of the question like any other value."""
    named = {"draws": draws, "seed": seed}
    return [f"simulation.{name}={value}" for name, value in named.items() if value is not None]


def read_scenario(path: Path, variant: str | None, overrides: list[str]) -> tuple[Scenario, Document]:
    """Read and check a scenario; warnings go to stderr.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    from kpiopt.scenario.load import check_scenario  # numpy and polars

    scenario, found, document = check_scenario(path, variant=variant, overrides=tuple(overrides))
    if scenario is None or document is None:
        raise ScenarioError(*found.errors, *found.warnings)
    say_problems(found.warnings)
    return scenario, document


def _solve_into(
    out: Path, scenario: Scenario, document: Document, options: SolveOptions, occasion: Occasion
) -> tuple[Run, Path]:
    """Solve and keep the run; an equal run that is there and unaltered is left alone."""
    from kpiopt.runs.folder import stage_question
    from kpiopt.runs.question import pose_question, require_same_files
    from kpiopt.runs.run import solve_scenario
    from kpiopt.runs.store import is_intact, open_store, read_run

    question = pose_question(document, {"simulate": options.simulate})
    require_same_files(question, scenario.files)
    inputs = [document.source, *(Path(file) for file in question.documents), *(copy.path for copy in question.inputs)]
    store = open_store(out, inputs)
    with store.staging(question.name) as staging:
        stage_question(staging, question)
        with showing_progress("solving") as progress:
            run = solve_scenario(scenario, options=options, progress=progress)
        say_problems([*run.plan.notes, *(run.simulation.notes if run.simulation else ())])
        _stage(staging, run, question, occasion)
        if not is_intact(read_run(staging.target)):
            staging.publish()
    return run, store.root / question.name


def _stage(staging: Staging, run: Run, question: Question, occasion: Occasion) -> None:
    """Write the results beside the question; say so when an input has changed in the meantime."""
    from kpiopt.runs.folder import changed_inputs, stage_answer

    summary = plain_text(_summary(run, staging.target)).encode()
    document = stage_answer(staging, run, question, occasion, {"summary.txt": summary})
    say_problems(
        Problem(
            "W-input-changed",
            f"{file} has changed since it was read",
            rule="the answer is about the file as it was read; its copy is in the run folder",
            fix="solve again",
        )
        for file in changed_inputs(document)
    )


def _summary(run: Run, folder: Path) -> RenderableType:
    from kpiopt.report.summary import render_summary  # rich

    return render_summary(run, folder)
