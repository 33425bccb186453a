"""`kpiopt solve`: from a scenario to certified targets, their odds and a run folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
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
    TimeLimit,
    Variants,
    Workers,
    joined,
)
from kpiopt.cli.batch import require_thresholds, solve_files
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.terminal import (
    in_brief,
    print_answer,
    print_json,
    print_lines,
    say,
    say_problems,
    showing_progress,
)
from kpiopt.deadline import NotDone
from kpiopt.errors import LimitReached, Problem, ScenarioError, Uncertified, UsageError
from kpiopt.report.page.kept_files import report_pages, summary_text

CERTIFIED_PHASES = ("prices", "odds")
"""What solving tells about once the plan is certified."""

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kpiopt.reading.document import Document
    from kpiopt.run.run import Run
    from kpiopt.run.solve import SolveOptions
    from kpiopt.runs.keep import KeptAnswer
    from kpiopt.scenario.scenario import Scenario


def solve(
    context: typer.Context,
    scenarios: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCENARIO...",
            help="Scenario file (TOML); several are solved one after another.",
            show_default=False,
            readable=False,
        ),
    ],
    variants: Variants = None,
    overrides: Overrides = None,
    out: RunsFolder = DEFAULT_RUNS,
    draws: Annotated[
        int | None, typer.Option("--draws", metavar="N", min=2, max=10**9, help="Random draws for the odds.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Seed of the draws.")
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            "--confidence", metavar="ODDS", help="Odds that the plan promises of all goals together, such as 0.8."
        ),
    ] = None,
    time_limit: TimeLimit = NO_LIMIT,
    executor: ExecutorName = None,
    workers: Workers = None,
    no_simulation: Annotated[bool, typer.Option("--no-simulation", help="Plan only, no odds.")] = False,
    solver: Annotated[
        str, typer.Option("--solver", metavar="NAME", help="highs, or any solver that Pyomo finds here.")
    ] = "highs",
    allow_code: AllowCode = False,
    force: Annotated[bool, typer.Option("--force", help="Solve although the answer is kept already.")] = False,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-under",
            metavar="MEASURE=SHARE",
            help="End with exit code 9 below odds=0.8 (of all goals), odds.GOAL=0.8 or goals=1. May be repeated.",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="RULE",
            help="Judge the plan of even, proportional, last-year+8% or column:NAME instead of solving.",
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="TABLE",
            help="Judge targets made elsewhere (unit, kpi, target or stretch) instead of solving.",
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", metavar="RULE", help="Judge the plan of this rule beside the optimal one."),
    ] = None,
    risk: Annotated[
        bool, typer.Option("--risk", help="Tell what odds of 50 to 90 % cost and what planning on draws is worth.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Solve scenarios: targets that add up, certified; their odds; what holds them back; kept in run folders."""
    deadline = command_deadline(time_limit)
    from kpiopt.plan.split_rule import rules_beside  # numpy
    from kpiopt.program.solver.answer import SolverOptions  # the solver
    from kpiopt.run.solve import SolveOptions
    from kpiopt.runs.batch import expand_patterns, read_thresholds, require_files, require_goals
    from kpiopt.runs.folder import Occasion
    from kpiopt.runs.keep import Keeper
    from kpiopt.runs.stored_run import read_risk
    from kpiopt.workers.executor import choose_executor

    thresholds = read_thresholds(fail_under or ())
    occasion = Occasion.now(["kpiopt", *(context.obj or ())])
    words = [*(overrides or ()), *_settings(draws, seed, confidence)]
    options = SolveOptions(
        SolverOptions(deadline=deadline, solver=solver),
        simulate=not no_simulation,
        executor=choose_executor(executor, workers),
        allow_code=allow_code,
        beside=rules_beside(beside) if beside else None,
        risk=risk,
    )
    if rule is not None or given is not None:
        _judge(scenarios, joined(variants), words, options, _one_plan(rule, given), as_json=as_json)
        return
    keeper = Keeper(out, options, occasion, summary_text, force, pages_with_study)
    if risk:
        keeper = replace(keeper, study=partial(with_risk, options))
    scenarios = expand_patterns(scenarios)
    if len(scenarios) > 1:
        require_files(scenarios)
        solve_files(scenarios, joined(variants), words, keeper, thresholds, as_json=as_json)
        return
    checked, document = read_scenario(scenarios[0], joined(variants), words, has_summary=not as_json)
    require_goals(thresholds, checked.goals)
    if risk:
        _require_risk(checked)
    with showing_progress("solving") as progress:
        if risk:
            keeper = replace(keeper, study=partial(with_risk, options, progress=progress))
        answer = keeper.answer(checked, document, _marking(progress))
    say_problems(answer.notes if as_json else _not_in_summary(answer.notes))
    study = read_risk(answer.folder) if risk else None
    if as_json and study is not None:
        answer = replace(answer, document={**answer.document, "risk": study})
    _print(answer, as_json)
    if not as_json and study is not None:
        print_answer(_risk_text(study, checked))
    if not as_json and (line := _past_odds(document)):
        print_lines([line])
    require_thresholds(answer.document, thresholds)


def _not_in_summary(notes: Iterable[Problem]) -> list[Problem]:
    """Leave out what the summary says with its amounts; `kpiopt check` names the places."""
    from kpiopt.report.summary import TOLD_HERE  # rich

    return [note for note in notes if note.code not in TOLD_HERE]


def _one_plan(rule: str | None, given: Path | None) -> str:
    """Return the rule or the table that is to be judged."""
    if given is None:
        return rule or ""
    if rule is not None:
        raise UsageError(Problem("E-rule", "--rule and --plan are two plans", fix="judge one after the other"))
    from kpiopt.plan.split_rule import parse_rule

    if parse_rule(str(given)).kind != "table":
        fix = "name a table: .csv, .tsv, .parquet or .xlsx"
        raise UsageError(Problem("E-rule", f"--plan takes a table, and {given} is a rule", fix=fix))
    return str(given)


def with_risk(
    options: SolveOptions, run: Run, progress: Callable[[str], None] = lambda _: None
) -> tuple[Run, Mapping[str, Any] | None]:
    """Return a run and what its odds cost; where that comes to no end the plan stands without it, and says so."""
    from kpiopt.studies.risk import study_risk
    from kpiopt.studies.risk_exact import solve_exactly

    plan = run.plan.stretch, run.plan.levels
    try:
        exact = solve_exactly(run.cascade, run.solution, options.solver)
        found = study_risk(
            run.scenario, options.solver, allow_code=options.allow_code, plan=plan, exact=exact, progress=progress
        )  # fmt: skip
    except (LimitReached, Uncertified) as error:
        why = "in the time" if options.solver.deadline.is_over else f"to the end: {error.problems[0].message}"
        late = NotDone("risk", f"what odds cost (--risk) was not found out {why}")
        return replace(run, not_done=(*run.not_done, late)), None
    return run, None if found is None else found.as_dict()


def pages_with_study(run: Run, folder: Path, risk: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Return the report and the workbook of a run, and what its odds cost where that was studied."""
    from kpiopt.runs.stored_run import RISK_FILE

    kept = {} if risk is None else {RISK_FILE: json.dumps(risk, indent=1).encode()}
    return {**report_pages(run, folder, risk), **kept}


def _require_risk(scenario: Scenario) -> None:
    """Refuse before anything is solved what `--risk` does not understand."""
    from kpiopt.studies.risk import require_understood

    require_understood(scenario)


def _risk_text(study: Mapping[str, Any], scenario: Scenario) -> RenderableType:
    from kpiopt.report.promised.prices import render_risk  # rich

    return render_risk(study, scenario)


def _marking(progress: Callable[[str], None]) -> Callable[[str], None]:
    """Tell the guard of the time limit when what is worked on follows from a certified plan."""

    def tell(phase: str) -> None:
        if phase in CERTIFIED_PHASES:
            mark_certified()
        progress(phase)

    return tell


def _judge(
    scenarios: list[Path], variant: str | None, words: list[str], options: SolveOptions, rule: str, *, as_json: bool
) -> None:
    """Print the plan that a spreadsheet would give and how it would turn out; nothing is solved and nothing kept."""
    from kpiopt.report.rule import render_judged  # rich
    from kpiopt.run.solve import judge_scenario

    if len(scenarios) > 1:
        fix = "name one scenario, or compare them: kpiopt compare a.toml@proportional b.toml@proportional"
        raise UsageError(Problem("E-rule-many", f"--rule judges one scenario, and {len(scenarios)} are named", fix=fix))
    judged = judge_scenario(read_scenario(scenarios[0], variant, words)[0], rule, options)
    say_problems(judged.plan.notes)
    if as_json:
        print_json(judged.as_dict())
    else:
        print_answer(render_judged(judged))


def _print(answer: KeptAnswer, as_json: bool) -> None:
    """Print an answer; one that was kept reads as when it was solved."""
    if as_json:
        print_json(answer.document)
    elif answer.run is None or not sys.stdout.isatty():
        print_lines([answer.summary.rstrip("\n")])
    else:
        print_answer(_summary(answer.run, answer.folder))
    if answer.run is None:
        say(f"{answer.folder.name} was solved before; --force solves it again")


def _past_odds(document: Document) -> str | None:
    """Return how odds like these did in the past, where a back-test is kept beside the scenario or its model."""
    from kpiopt.learning.backtests.odds_line import read_odds_line

    folders = dict.fromkeys(Path(file).parent for file in document.files)
    lines = (read_odds_line(folder, document) for folder in folders)
    return next((f"Back-test: {line}." for line in lines if line), None)


def _settings(draws: int | None, seed: int | None, confidence: float | None = None) -> list[str]:
    """Return `--draws`, `--seed`, `--confidence` as overrides: they are part of the question like any other value."""
    named = {"simulation.draws": draws, "simulation.seed": seed, "odds.p_min": confidence}
    return [f"{name}={value}" for name, value in named.items() if value is not None]


def read_scenario(
    path: Path, variant: str | None, overrides: list[str], *, has_summary: bool = False
) -> tuple[Scenario, Document]:
    """Read and check a scenario; warnings go to stderr in brief, but for those that a summary says with its amounts.

    Raises
    ------
    ScenarioError
        With everything that is wrong.
    """
    from kpiopt.scenario.load import check_scenario  # numpy and polars

    scenario, found, document = check_scenario(path, variant=variant, overrides=tuple(overrides))
    if scenario is None or document is None:
        raise ScenarioError(*found.errors, *found.warnings)
    say_problems(in_brief(_not_in_summary(found.warnings) if has_summary else found.warnings))
    return scenario, document


def _summary(run: Run, folder: Path) -> RenderableType:
    from kpiopt.report.summary import render_summary  # rich

    return render_summary(run, folder)
