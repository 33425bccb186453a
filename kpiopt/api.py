"""What `import kpiopt` offers: the words of the command line as typed functions. Rooms are imported when used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpiopt.errors import Problems
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.run.run import Run
    from kpiopt.runs.verification import Finding
    from kpiopt.scenario.scenario import Scenario
    from kpiopt.simulation import Simulation
    from kpiopt.simulation.intervene import Intervention
    from kpiopt.studies.comparison.contenders import Comparisons
    from kpiopt.studies.explain import Explanation
    from kpiopt.studies.explain_limit import LevelExplanation, LimitExplanation
    from kpiopt.studies.sensitivity.study import Sensitivity
    from kpiopt.studies.sweep.sweep_answer import SweepAnswer

Variants = str | Sequence[str] | None
RUNS = "runs"
NO_LIMIT = float("inf")


def load(path: str | Path, *, variant: Variants = None, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file, strictly.

    Parameters
    ----------
    path : str or Path
    variant : str or sequence of str, optional
        Names of `[variant.NAME]` tables to apply, the last on top.
    overrides : sequence of str
        "path=value" assignments, as with `--set`.

    Raises
    ------
    InputError
        With everything that is wrong, each with file, line and what to do.
    """
    from kpiopt.scenario.load import load_scenario

    return load_scenario(Path(path), variant=_joined(variant), overrides=overrides)


def check(path: str | Path, *, variant: Variants = None, overrides: Sequence[str] = ()) -> Problems:
    """Say everything there is to say about a scenario: `.errors` and `.warnings`; nothing is raised for them.

    Parameters
    ----------
    path, variant, overrides
        As for `load`.

    Raises
    ------
    UsageError
        If the file or the variant does not exist.
    """
    from kpiopt.scenario.load import check_scenario

    return check_scenario(Path(path), variant=_joined(variant), overrides=tuple(overrides))[1]


def solve(
    scenario: Scenario | str | Path,
    *,
    variant: Variants = None,
    overrides: Sequence[str] = (),
    draws: int | None = None,
    seed: int | None = None,
    confidence: float | None = None,
    beside: Sequence[str] | None = None,
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
    scenario : Scenario, str or Path
        A path is read first, with `variant` and `overrides`.
    variant, overrides
        As for `load`; for a path only.
    draws, seed : int, optional
        Of the odds; the scenario's own by default.
    confidence : float, optional
        Odds that the plan promises of all goals together, such as 0.8; the scenario's own by default.
    beside : sequence of str, optional
        Rules whose plans are judged beside the optimal one; "proportional" by default in small organizations.
    simulate : bool
        Whether odds are estimated.
    workers : int, optional
        Short for the executor "threads:<workers>".
    executor : str, optional
        As behind `--executor`, such as "processes:4"; serial by default. The answer depends on neither.
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
    InputError
        Where a path cannot be read.
    UsageError
        Where an option cannot be.
    Infeasible, Unbounded, Uncertified, LimitReached
        Nothing is published then.
    """
    from kpiopt.run.solve import SolveOptions, solve_scenario
    from kpiopt.workers.executor import choose_executor

    solver_options = _within(time_limit, solver)
    if isinstance(scenario, str | Path):
        scenario = load(scenario, variant=variant, overrides=overrides)
    scenario = _drawn_otherwise(_promising(scenario, confidence), draws, seed)
    rules = None if beside is None else tuple(beside)
    options = SolveOptions(solver_options, simulate, choose_executor(executor, workers), allow_code, rules)
    return solve_scenario(scenario, options=options, progress=progress)


def simulate(
    run: Run | str | Path,
    *,
    do: Sequence[str] = (),
    act: Sequence[str] = (),
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
    do, act : sequence of str
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
    from kpiopt.run.spread import spread_by
    from kpiopt.simulation import simulate as draw
    from kpiopt.simulation.intervene import intervene
    from kpiopt.workers.executor import choose_executor

    deadline = Deadline.after(time_limit)
    graph, stretch, levels, targets = _plan_of(run, runs)
    settings = _drawn_otherwise(graph.scenario, draws, seed).simulation
    spread = spread_by(choose_executor(executor, workers))
    if do or act:
        return intervene(
            graph, stretch, levels, targets, settings, do=do, act=act, spread=spread, deadline=deadline
        )  # fmt: skip
    return draw(graph, stretch, levels, targets, settings, spread=spread, deadline=deadline)


def explain(
    run: Run | str | Path, target: str, *, runs: str | Path = RUNS
) -> Explanation | LimitExplanation | tuple[LevelExplanation, ...]:
    """Explain a target, a limit or an initiative: what it is made of, where it comes from, what it does for the goals.

    Parameters
    ----------
    run, runs
        As for `simulate`.
    target : str
        "unit/kpi" by ids or names, the id of a goal, a limit such as "budget.pay", or an initiative.

    Raises
    ------
    UsageError
        Where there is no such target; the message names what there is.
    """
    from kpiopt.studies.explain import explain_target, find_target
    from kpiopt.studies.explain_limit import explain_initiative, explain_limit, find_initiative, find_limit

    graph, stretch, levels, _ = _plan_of(run, runs)
    limits = _limits_of(run, runs)
    if not (is_goal := target in graph.scenario.goals) and (limit := find_limit(graph.scenario, limits, target)):
        return explain_limit(graph, stretch, levels, limit)
    if not is_goal and (found := find_initiative(graph, target)):
        return explain_initiative(graph, stretch, levels, limits, *found)
    return explain_target(graph, stretch, levels, find_target(graph, target))


def verify(run: str | Path | Run, *, allow_code: bool = False, runs: str | Path = RUNS) -> tuple[Finding, ...]:
    """Check a run again, without the solver: every finding says what was checked and whether it passed.

    Parameters
    ----------
    run : str, Path or Run
        Name or folder of a kept run; of one in memory the proof is checked, and that the plan follows from it.
    allow_code : bool
        Whether the scenario's rules file may be run.
    runs : str or Path
        Folder in which names are looked up.
    """
    from kpiopt.cli.solve import summary_text, workbook_of
    from kpiopt.runs.recomputation import Told
    from kpiopt.runs.store import RunStore
    from kpiopt.runs.verification import verify_in_memory, verify_run

    if not isinstance(run, str | Path):
        return verify_in_memory(run)
    told = Told(summary_text, workbook_of)
    return verify_run(RunStore(Path(runs)).find(str(run)), told, allow_code=allow_code)


def compare(
    *sources: str | Path | Scenario | Run,
    overrides: Sequence[str] = (),
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
    overrides : sequence of str
        "path=value" for all files.
    simulate, workers, executor, time_limit, allow_code, progress
        As for `solve`.
    runs : str or Path
        Folder in which names of runs are looked up.

    Raises
    ------
    InputError, UsageError
    Infeasible, Unbounded, Uncertified, LimitReached
        Where the first has no plan.
    """
    from kpiopt.run.solve import SolveOptions
    from kpiopt.runs.store import RunStore
    from kpiopt.studies.comparison.contenders import compare_contenders, read_contenders
    from kpiopt.workers.executor import choose_executor

    solver = _within(time_limit)
    found = read_contenders(sources, RunStore(Path(runs)), overrides)
    options = SolveOptions(solver, simulate, choose_executor(executor, workers), allow_code)
    return compare_contenders(found, options, progress)


def sweep(
    scenario: Scenario | str | Path,
    over: Sequence[str] = (),
    *,
    zipped: bool = False,
    variant: Variants = None,
    overrides: Sequence[str] = (),
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
    scenario : Scenario, str or Path
        Of a scenario at hand only numbers can be changed that need no reading; of a file every one.
    over : sequence of str
        "path=first:last:number" or "path=value,value,…"; the file's own `[sweep]` where empty.
    zipped : bool
        Whether the axes' values go together instead of in every combination.
    variant, overrides
        As for `load`; for a path only.
    simulate : bool
        Whether odds are estimated.
    workers : int, optional
        Short for the executor "threads:<workers>".
    executor : str, optional
        As behind `--executor`, such as "processes:4" or "dask://host:port"; the answer does not depend on it. A script
        that starts processes runs from a file, below `if __name__ == "__main__":`.
    time_limit, allow_code
        As for `solve`.
    on_progress : callable
        Called with the number of points that are done and of all.

    Raises
    ------
    InputError, UsageError
        Where the scenario, an axis or the executor cannot be read; points that fail are part of the answer.
    LimitReached
        Where workers die without having begun a point.
    """
    from kpiopt.studies.sweep.point import SweepJob
    from kpiopt.studies.sweep.sweep_in_memory import sweep_in_memory
    from kpiopt.workers.executor import choose_executor

    solver = _within(time_limit)
    if isinstance(scenario, str | Path):
        job = SweepJob(Path(scenario), _joined(variant), tuple(overrides), solver, simulate, allow_code)
    else:
        job = SweepJob(
            Path(scenario.source), solver=solver, simulate=simulate, allow_code=allow_code, scenario=scenario
        )  # fmt: skip
    return sweep_in_memory(job, over, choose_executor(executor, workers), zipped=zipped, on_progress=on_progress)


def sensitivity(
    scenario: Scenario | Run | str | Path,
    *,
    output: str | None = None,
    methods: Sequence[str] = ("tornado",),
    only: Sequence[str] = (),
    changes: Mapping[str, tuple[float, float]] | None = None,
    draws: int | None = None,
    seed: int | None = None,
    variant: Variants = None,
    overrides: Sequence[str] = (),
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
    methods : sequence of str
        Any of "tornado", "morris", "sobol".
    only : sequence of str
        Paths or patterns that the tornado is confined to.
    changes : mapping of str to (float, float), optional
        Low and high value by path.
    draws, seed : int, optional
    variant, overrides
        As for `load`; for a path only.
    time_limit, allow_code, progress
        As for `solve`.

    Raises
    ------
    InputError, UsageError
    """
    from kpiopt.studies.sensitivity.study import SensitivityQuestion, study_sensitivity

    question = SensitivityQuestion(
        output=output, methods=tuple(methods), only=tuple(only), changes=changes or {}, draws=draws, seed=seed
    )

    solver = _within(time_limit)
    if isinstance(scenario, str | Path):
        path = scenario

        def read(further: Sequence[str]) -> Scenario:
            return load(path, variant=variant, overrides=[*overrides, *further])

        return study_sensitivity(
            read(()), question, read, options=solver, allow_code=allow_code, progress=progress
        )  # fmt: skip
    from kpiopt.run.run import Run

    at_hand = scenario.scenario if isinstance(scenario, Run) else scenario
    return study_sensitivity(at_hand, question, options=solver, allow_code=allow_code, progress=progress)


def _joined(variant: Variants) -> str | None:
    """Return several variants as one name, the last on top."""
    return variant if variant is None or isinstance(variant, str) else "+".join(variant) or None


def _plan_of(run: Run | str | Path, runs: str | Path) -> tuple:  # type: ignore[type-arg]
    """Return graph, stretch, levels and targets of a run, or of a kept one."""
    if isinstance(run, str | Path):
        from kpiopt.runs.kept_plan import load_kept_plan
        from kpiopt.runs.store import RunStore

        kept = load_kept_plan(RunStore(Path(runs)).find(str(run)))
        return kept.graph, kept.stretch, kept.levels, kept.targets
    return run.graph, run.plan.stretch, run.plan.levels, run.plan.target


def _limits_of(run: Run | str | Path, runs: str | Path) -> Sequence[Mapping[str, Any]]:
    """Return the limits of a run as its answer has them."""
    if not isinstance(run, str | Path):
        limits: Sequence[Mapping[str, Any]] = run.as_dict()["limits"]
        return limits
    from kpiopt.runs.store import RunStore

    return RunStore(Path(runs)).find(str(run)).document["limits"]  # type: ignore[no-any-return]


def _within(time_limit: float, solver: str = "highs") -> SolverOptions:
    """Return a solver that ends in time: the clock starts here."""
    from kpiopt.deadline import Deadline
    from kpiopt.program.solver.answer import SolverOptions

    return SolverOptions(deadline=Deadline.after(time_limit), solver=solver)


def _promising(scenario: Scenario, confidence: float | None) -> Scenario:
    """Return the scenario with other odds to promise of all goals together."""
    from kpiopt.errors import Problem, UsageError

    if confidence is None:
        return scenario
    if not 0 < confidence < 1:
        raise UsageError(Problem("E-confidence", f"confidence = {confidence:g} are no odds", fix="give odds, as 0.8"))
    return replace(scenario, odds=replace(scenario.odds, p_min=confidence))


def _drawn_otherwise(scenario: Scenario, draws: int | None, seed: int | None) -> Scenario:
    """Return the scenario with other draws."""
    usual = scenario.simulation
    settings = usual if draws is None else replace(usual, draws=draws, precision=None)
    return replace(scenario, simulation=settings if seed is None else replace(settings, seed=seed))
