"""What Python calls are given: a path, a scenario or a run, wherever that makes sense, and words one or many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kpiopt.deadline import Deadline, ended_by
from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.reading.key_path import KeyPath, with_value
from kpiopt.run.run import Run, limit_as_dict
from kpiopt.runs.kept_plan import load_kept_plan
from kpiopt.runs.store import RunStore
from kpiopt.runs.stored_run import StoredRun
from kpiopt.scenario.checks.promise import require_promise
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Floats, Scenario

Words = str | Sequence[str]
Variants = Words | None
Source = Scenario | Run | str | Path
Kept = Run | str | Path


@dataclass(frozen=True)
class Decided:
    """What a run decided, of one in memory or a kept one alike.

    Attributes
    ----------
    stretch, levels, targets : float
        As `KeptPlan` has them.
    limits : sequence of mapping
        As the answer of the run has them.
    """

    graph: CausalGraph
    stretch: Floats
    levels: Floats
    targets: Floats
    limits: Sequence[Mapping[str, Any]]


def decided_by(run: Run | StoredRun) -> Decided:
    """Return what a run decided.

    Raises
    ------
    OutputError
        When a run folder is not whole.
    """
    if isinstance(run, StoredRun):
        kept = load_kept_plan(run)
        return Decided(kept.graph, kept.stretch, kept.levels, kept.targets, run.document["limits"])
    limits = [limit_as_dict(limit) for limit in run.limits]
    return Decided(run.graph, run.plan.stretch, run.plan.levels, run.plan.target, limits)


def joined(variant: Variants) -> str | None:
    """Return several variants as one name, the last on top."""
    return variant if variant is None or isinstance(variant, str) else "+".join(variant) or None


def words_of(words: Words) -> tuple[str, ...]:
    """Return words as they are written; a single text is one of them."""
    return (words,) if isinstance(words, str) else tuple(words)


def wrong(given: object, rule: str, fix: str) -> UsageError:
    """Return the error for a value of a kind that is not taken."""
    return UsageError(Problem("E-usage", f"a {type(given).__name__} is not what is asked for here", rule, fix))


def scenario_of(source: Source, variant: Variants = None, overrides: Words = ()) -> Scenario:
    """Return the scenario of a file, of a run, or itself.

    Raises
    ------
    InputError
        Where a file cannot be read.
    UsageError
        Where a scenario or a run at hand is to be changed by variant or overrides, and for anything else.
    """
    if isinstance(source, str | Path):
        return load_scenario(Path(source), variant=joined(variant), overrides=words_of(overrides))
    if not isinstance(source, Run | Scenario):
        raise wrong(source, "it takes a path, a Scenario or a Run", 'name the file: "scenario.toml"')
    if joined(variant) or overrides:
        message = f"a {type(source).__name__} at hand cannot be changed by variant or overrides"
        raise UsageError(Problem("E-usage", message, fix="load the file with them: load(path, variant=…, overrides=…)"))
    return source.scenario if isinstance(source, Run) else source


def run_of(run: Kept, runs: str | Path) -> Run | StoredRun:
    """Return a run at hand, or a kept one by its name or folder.

    Raises
    ------
    UsageError
        Where there is none.
    """
    if isinstance(run, str | Path):
        return RunStore(Path(runs)).find(str(run))
    if not isinstance(run, Run):
        fix = "solve the scenario first: solve(scenario)"
        raise wrong(run, "it takes a Run, or the name or folder of a kept one", fix)
    return run


@contextmanager
def done_within(time_limit: float, what: str) -> Iterator[None]:
    """End what is told whole or not at all after so many seconds, see `ended_by`."""
    with ended_by(Deadline.after(time_limit), what):
        yield


def within(time_limit: float, solver: str = "highs") -> SolverOptions:
    """Return a solver that ends in time: the clock starts here."""
    return SolverOptions(deadline=Deadline.after(time_limit), solver=solver)


def promising(source: Source, confidence: float | None, variant: Variants = None, overrides: Words = ()) -> Scenario:
    """Return a scenario with other odds to promise of all goals together, refused where its file would be with them.

    Parameters
    ----------
    source, variant, overrides
        As for `scenario_of`.
    confidence : float or None
        None leaves the scenario's own.

    Raises
    ------
    InputError
        Where the scenario takes no such promise.
    UsageError
        Where these are no odds.
    """
    if confidence is None:
        return scenario_of(source, variant, overrides)
    if not 0 < confidence < 1:
        raise UsageError(Problem("E-confidence", f"confidence = {confidence:g} are no odds", fix="give odds, as 0.8"))
    if isinstance(source, str | Path):
        return scenario_of(source, variant, (*words_of(overrides), f"odds.p_min={float(confidence)}"))
    scenario = scenario_of(source, variant, overrides)
    promised = replace(scenario, odds=replace(scenario.odds, p_min=float(confidence)))
    return require_promise(_noted(promised, ("odds", "p_min"), float(confidence)))


def drawn_as(scenario: Scenario, draws: int | None, seed: int | None) -> Scenario:
    """Return a scenario with another number of draws, exactly so many, or another seed; None leaves each."""
    given = {name: value for name, value in (("draws", draws), ("seed", seed)) if value is not None}
    if not given:
        return scenario
    settings = scenario.simulation.drawn(draws, seed)
    dropped = {"precision"} if draws is not None else set()
    kept = {key: value for key, value in scenario.document.get("simulation", {}).items() if key not in dropped}
    return _noted(replace(scenario, simulation=settings), ("simulation",), {**kept, **given})


def _noted(scenario: Scenario, path: KeyPath, value: Any) -> Scenario:
    """Write what an option changed into the document as well: a comparison tells what it finds there."""
    return replace(scenario, document=with_value(scenario.document, path, value))
