"""What `import kpiopt` offers: the words of the command line as typed functions. Rooms are imported when used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpiopt.runs.checked_words import checked

if TYPE_CHECKING:
    from kpiopt.errors import Problems
    from kpiopt.run.run import Run
    from kpiopt.runs.at_hand import Kept, Source, Variants, Words
    from kpiopt.runs.verification import Finding
    from kpiopt.scenario.scenario import Scenario, SimulationSettings
    from kpiopt.simulation.intervene import Intervention
    from kpiopt.simulation.results import Simulation
    from kpiopt.studies.comparison.contenders import Comparisons
    from kpiopt.studies.explain import Explanation
    from kpiopt.studies.explain_limit import LevelExplanation, LimitExplanation
    from kpiopt.studies.sensitivity.study import Sensitivity
    from kpiopt.studies.sweep.sweep_answer import SweepAnswer

RUNS = "runs"
NO_LIMIT = float("inf")


@checked
def load(path: str | Path, *, variant: Variants = None, overrides: Words = ()) -> Scenario:
    """Read a scenario file, strictly.

    Parameters
    ----------
    path : str or Path
        TOML document or workbook.
    variant : str or sequence of str, optional
        Names of `[variant.NAME]` tables to apply, the last on top.
    overrides : str or sequence of str
        "path=value" assignments, as with `--set`.

    Raises
    ------
    InputError
        With everything that is wrong, each with file, line and what to do.
    """
    from kpiopt.runs.at_hand import joined, words_of, wrong
    from kpiopt.scenario.load import load_scenario

    if not isinstance(path, str | Path):
        raise wrong(path, "a path", "what is at hand is loaded already")
    return load_scenario(Path(path), variant=joined(variant), overrides=words_of(overrides))


@checked
def check(scenario: Source, *, variant: Variants = None, overrides: Words = ()) -> Problems:
    """Say everything there is to say about a scenario: `.errors` and `.warnings`; nothing is raised for them.

    Parameters
    ----------
    scenario : Scenario, Run, str or Path
        What is at hand has no errors, and the warnings with which it was read.
    variant, overrides
        As for `load`; for a path only.

    Raises
    ------
    UsageError
        If the file or the variant does not exist.
    """
    from kpiopt.errors import Problems
    from kpiopt.runs.at_hand import joined, scenario_of, words_of
    from kpiopt.scenario.load import check_scenario

    if not isinstance(scenario, str | Path):
        return Problems(list(scenario_of(scenario, variant, overrides).warnings))
    return check_scenario(Path(scenario), variant=joined(variant), overrides=words_of(overrides))[1]


@checked
def solve(
    scenario: Source,
    *,
    variant: Variants = None,
    overrides: Words = (),
    draws: int | None = None,
    seed: int | None = None,
    confidence: float | None = None,
    beside: Words | None = None,
    simulate: bool = True,
    workers: int | None = None,
    executor: str | None = None,
    time_limit: float = NO_LIMIT,
    solver: str = "highs",
    allow_code: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Run:
    """Solve a scenario: certified plan, rounded targets, odds.

    Parameters
    ----------
    scenario : Scenario, Run, str or Path
        A path is read first, with `variant` and `overrides`; of a run its scenario is solved anew.
    variant, overrides
        As for `load`; for a path only.
    draws, seed : int, optional
        Of the odds; the scenario's own by default.
    confidence : float, optional
        Odds that the plan promises of all goals together, such as 0.8; the scenario's own by default.
    beside : str or sequence of str, optional
        Rules whose plans are judged beside the optimal one, no tables; "proportional" by default in small
        organizations.
    simulate : bool
        Whether odds are estimated.
    workers : int, optional
        Short for the executor "threads:<workers>".
    executor : str, optional
        As behind `--executor`, as "processes:4" or "dask://host:port"; serial by default. The answer is the same.
    time_limit : float
        Seconds for all of it.
    solver : str
        "highs", or any solver that Pyomo finds.
    allow_code : bool
        Whether the scenario's rules file may be run.
    progress : callable
        Told what is being done.

    Raises
    ------
    InputError, UsageError
        Where a path or an option cannot be read.
    Infeasible, Unbounded, Uncertified, LimitReached
        Nothing is published then.
    """
    from kpiopt.plan.split_rule import rules_beside
    from kpiopt.run.solve import SolveOptions, solve_scenario
    from kpiopt.runs.at_hand import drawn_as, promising, within, words_of
    from kpiopt.workers.executor import choose_executor

    solver_options = within(time_limit, solver)
    asked = promising(scenario, confidence, variant, overrides)
    asked = drawn_as(asked, draws, seed)
    rules = None if beside is None else rules_beside(words_of(beside))
    options = SolveOptions(solver_options, simulate, choose_executor(executor, workers), allow_code, rules)
    return solve_scenario(asked, options=options, progress=progress)


@checked
def simulate(
    run: Kept,
    *,
    do: Words = (),
    act: Words = (),
    draws: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    executor: str | None = None,
    time_limit: float = NO_LIMIT,
    runs: str | Path = RUNS,
) -> Simulation | Intervention:
    """Estimate the odds of a run's plan anew, or what an action changes.

    Parameters
    ----------
    run : Run, str or Path
        A run, or the name or folder of a kept one.
    do, act : str or sequence of str
        "kpi=value" and "initiative=level", as with `--do` and `--act`; with them an `Intervention` is returned.
    draws, seed : int, optional
        The scenario's own by default.
    workers, executor, time_limit
        As for `solve`.
    runs : str or Path
        Folder in which names of runs are looked up.

    Raises
    ------
    UsageError
        Where there is no such run or executor.
    NumericsError
        Where a value of a draw is not finite.
    LimitReached
    """
    from kpiopt.deadline import Deadline
    from kpiopt.run.in_time import draw_in_time
    from kpiopt.run.spread import spread_by
    from kpiopt.runs.at_hand import decided_by, run_of, words_of
    from kpiopt.simulation.intervene import intervene
    from kpiopt.simulation.simulate import simulate as draw
    from kpiopt.workers.executor import choose_executor

    deadline = Deadline.after(time_limit)
    plan, spread = decided_by(run_of(run, runs)), spread_by(choose_executor(executor, workers))
    decided = plan.graph, plan.stretch, plan.levels, plan.targets
    settings = plan.graph.scenario.simulation.drawn(draws, seed)
    if do or act:

        def change(settings: SimulationSettings) -> Intervention:
            return intervene(*decided, settings, do=words_of(do), act=words_of(act), spread=spread, deadline=deadline)

        return draw_in_time(change, settings, deadline)
    return draw_in_time(lambda settings: draw(*decided, settings, spread=spread, deadline=deadline), settings, deadline)


@checked
def explain(
    run: Kept, target: str, *, time_limit: float = NO_LIMIT, runs: str | Path = RUNS
) -> Explanation | LimitExplanation | tuple[LevelExplanation, ...]:
    """Explain a target, a limit or an initiative: what it is made of, where it comes from, what it does for the goals.

    Parameters
    ----------
    run, time_limit, runs
        As for `simulate`.
    target : str
        "unit/kpi" by ids or names, the id of a goal, a limit such as "budget.pay", or an initiative.

    Raises
    ------
    UsageError
        Where there is no such target; the message names what there is.
    LimitReached
    """
    from kpiopt.runs.at_hand import decided_by, done_within, run_of
    from kpiopt.studies.explain import explain_target, find_target
    from kpiopt.studies.explain_limit import explain_initiative, explain_limit, find_named

    with done_within(time_limit, "it was explained"):
        plan = decided_by(run_of(run, runs))
        decided = plan.graph, plan.stretch, plan.levels
        named = find_named(plan.graph, plan.limits, target)
        if isinstance(named, str):
            return explain_target(*decided, find_target(plan.graph, named))
        if isinstance(named, tuple):
            return explain_initiative(*decided, plan.limits, *named)
        return explain_limit(*decided, named)


@checked
def verify(
    run: Kept,
    *,
    workers: int | None = None,
    executor: str | None = None,
    time_limit: float = NO_LIMIT,
    allow_code: bool = False,
    runs: str | Path = RUNS,
) -> tuple[Finding, ...]:
    """Check a run again, without the solver: every finding says what was checked and whether it passed.

    Parameters
    ----------
    run : Run, str or Path
        Name or folder of a kept run; of one in memory the proof is checked, and that the plan follows from it.
    workers, executor, time_limit, allow_code, runs
        As for `solve` and `simulate`.

    Raises
    ------
    UsageError
        Where there is no such run or executor, or what is there cannot be read as one.
    LimitReached
        Nothing is said then of what was checked.
    """
    from kpiopt.report.page.kept_files import summary_text, workbook_of
    from kpiopt.runs.at_hand import done_within, run_of
    from kpiopt.runs.recomputation import Told
    from kpiopt.runs.verification import verify_run
    from kpiopt.workers.executor import choose_executor

    place = choose_executor(executor, workers)
    with done_within(time_limit, "the run was verified"):
        return verify_run(run_of(run, runs), Told(summary_text, workbook_of), executor=place, allow_code=allow_code)


@checked
def compare(
    *sources: Source,
    overrides: Words = (),
    simulate: bool = True,
    workers: int | None = None,
    executor: str | None = None,
    time_limit: float = NO_LIMIT,
    allow_code: bool = False,
    runs: str | Path = RUNS,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparisons:
    """Compare scenarios, variants or kept runs with the first one, all drawn with the same random numbers.

    Parameters
    ----------
    *sources : str, Path, Scenario or Run
        Scenario files, "file.toml:variant", each also with "@rule" or "@table.csv", run folders, names of runs; a
        single file is compared with its variants.
    overrides : str or sequence of str
        "path=value" for all files.
    simulate, workers, executor, time_limit, allow_code, progress, runs
        As for `solve` and `simulate`.

    Raises
    ------
    InputError, UsageError
    Infeasible, Unbounded, Uncertified, LimitReached
        Where the first has no plan.
    """
    from kpiopt.run.solve import SolveOptions
    from kpiopt.runs.at_hand import scenario_of, within, words_of
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.comparison.contenders import compare_contenders, read_contenders
    from kpiopt.workers.executor import choose_executor

    solver = within(time_limit)
    for source in sources:
        if not isinstance(source, str | Path):
            scenario_of(source)
    found = read_contenders(sources, RunStore(Path(runs)), words_of(overrides))
    options = SolveOptions(solver, simulate, choose_executor(executor, workers), allow_code)
    return compare_contenders(found, options, progress)


@checked
def sweep(
    scenario: Source,
    over: Words = (),
    *,
    zipped: bool = False,
    variant: Variants = None,
    overrides: Words = (),
    simulate: bool = True,
    executor: str | None = None,
    workers: int | None = None,
    time_limit: float = NO_LIMIT,
    allow_code: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SweepAnswer:
    """Solve a scenario for many values of some of its numbers; `.frame` holds one row for each point.

    Parameters
    ----------
    scenario : Scenario, Run, str or Path
        Of a scenario or a run at hand only numbers can be changed that need no reading; of a file every one.
    over : str or sequence of str
        "path=first:last:number" or "path=value,value,…"; the file's own `[sweep]` where empty.
    zipped : bool
        Whether the axes' values go together instead of in every combination.
    variant, overrides
        As for `load`; for a path only.
    simulate, workers, executor, time_limit, allow_code
        As for `solve`. A script that starts processes runs from a file, below `if __name__ == "__main__":`.
    on_progress : callable
        Called with the number of points that are done and of all.

    Raises
    ------
    InputError, UsageError
        Where the scenario, an axis or the executor cannot be read; points that fail are part of the answer.
    LimitReached
        Where workers die without having begun a point.
    """
    from kpiopt.runs.at_hand import joined, scenario_of, within, words_of
    from kpiopt.studies.sweep.point import SweepJob
    from kpiopt.studies.sweep.sweep_in_memory import sweep_in_memory
    from kpiopt.workers.executor import choose_executor

    job = SweepJob(Path(), solver=within(time_limit), simulate=simulate, allow_code=allow_code)
    if isinstance(scenario, str | Path):
        job = replace(job, path=Path(scenario), variant=joined(variant), overrides=words_of(overrides))
    else:
        at_hand = scenario_of(scenario, variant, overrides)
        job = replace(job, path=Path(at_hand.source), scenario=at_hand)
    place = choose_executor(executor, workers)
    return sweep_in_memory(job, words_of(over), place, zipped=zipped, on_progress=on_progress)


@checked
def sensitivity(
    scenario: Source,
    *,
    output: str | None = None,
    methods: Words = ("tornado",),
    kinds: Words = ("uncertain", "limit", "goal", "assumption"),
    only: Words = (),
    changes: Mapping[str, tuple[float, float]] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    break_even: Words = (),
    ends: tuple[float, float] | None = None,
    alternatives: float | None = None,
    information: bool = False,
    draws: int | None = None,
    seed: int | None = None,
    variant: Variants = None,
    overrides: Words = (),
    workers: int | None = None,
    executor: str | None = None,
    time_limit: float = NO_LIMIT,
    allow_code: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Sensitivity:
    """Find what a plan hinges on.

    Parameters
    ----------
    scenario : Scenario, Run, str or Path
        Of a scenario or a run at hand only numbers can be changed that need no reading; of a file every one.
    output : str, optional
        "odds", "odds:GOAL", "shortfall", "shortfall:GOAL", "pay" or "kpi:KPI".
    methods : str or sequence of str
        Any of "tornado", "morris", "sobol"; none of them where only the other questions are asked.
    kinds : str or sequence of str
        Which inputs the tornado moves.
    only : str or sequence of str
        Paths or patterns that the tornado is confined to.
    changes : mapping of str to (float, float), optional
        Low and high value by path.
    groups : mapping of str to sequence of str, optional
        Uncertain quantities that "morris" and "sobol" take together.
    break_even : str or sequence of str
        Numbers of which it is asked how far they may move before the plan changes, between the `ends`.
    ends : (float, float), optional
        The lowest and the highest value that is looked at.
    alternatives : float, optional
        Share that nearly as good plans may give up, as 0.01.
    information : bool
        Whether it is asked what knowing an uncertain input before planning is worth.
    variant, overrides
        As for `load`; for a path only.
    draws, seed, workers, executor, time_limit, allow_code, progress
        As for `solve`.

    Raises
    ------
    InputError, UsageError, Infeasible, Unbounded, Uncertified, LimitReached
    """
    from kpiopt.runs.at_hand import joined, scenario_of, within, words_of
    from kpiopt.scenario.load import FileReader
    from kpiopt.studies.sensitivity.study import SensitivityQuestion, study_sensitivity
    from kpiopt.workers.executor import choose_executor

    question = SensitivityQuestion(
        output, words_of(methods), words_of(kinds), words_of(only), changes or {}, groups or {},
        words_of(break_even), ends, alternatives, information, draws, seed,
    )  # fmt: skip
    solver, place, reader = within(time_limit), choose_executor(executor, workers), None
    if isinstance(scenario, str | Path):
        reader = FileReader(scenario, joined(variant), words_of(overrides))
    at_hand = reader() if reader else scenario_of(scenario, variant, overrides)
    return study_sensitivity(
        at_hand, question, reader, solver, allow_code=allow_code, progress=progress, executor=place
    )  # fmt: skip
