"""Scenarios to compare: files, variants of a file and finished runs, all solved and drawn alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kpiopt.deadline import NotDone
from kpiopt.errors import KpioptError, LimitReached, OutputError, Problem, ScenarioError, UsageError
from kpiopt.graph.initiative_use import NOTHING
from kpiopt.plan import Plan, build_plan
from kpiopt.plan.split_rule import parse_rule
from kpiopt.program.order.prices import LimitResult
from kpiopt.reading.document import Document
from kpiopt.reading.regular_file import is_regular
from kpiopt.run.frames import Shown, frame_of
from kpiopt.run.over_assign import over_assign
from kpiopt.run.run import JudgedPlan, Run
from kpiopt.run.solve import SolveOptions, judge_scenario, solve_scenario
from kpiopt.run.spread import spread_by
from kpiopt.runs.kept_plan import KeptPlan, load_kept_plan
from kpiopt.runs.store import RunStore
from kpiopt.runs.stored_run import RUN_FILE, StoredRun, is_intact
from kpiopt.scenario.load import check_scenario
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Scenario, SimulationSettings
from kpiopt.simulation.simulate import simulate
from kpiopt.studies.comparison.compare import SIDE_COLUMNS, Comparison, GoalValue, Setting, Side, Unsolved, compare
from kpiopt.studies.comparison.settings import document_settings, table_settings, written_settings

if TYPE_CHECKING:
    import polars as pl

Progress = Callable[[str], None]
Source = str | Path | Scenario | Run


@dataclass(frozen=True)
class Contender:
    """A scenario to compare, read and checked.

    Attributes
    ----------
    document : Document or None
        None where the scenario was not read here.
    stored : StoredRun or None
        The finished run whose plan is taken instead of solving again.
    rule : str or None
        The rule whose plan is taken instead of an optimal one.
    run : Run or None
        The run whose plan is taken, where it is at hand.
    """

    label: str
    scenario: Scenario
    document: Document | None
    stored: StoredRun | None = None
    rule: str | None = None
    run: Run | None = None

    @property
    def path(self) -> Path:
        """The scenario file."""
        return self.document.source if self.document else Path(self.scenario.source)

    @property
    def files(self) -> tuple[str, ...]:
        """Everything that it is made of: a given plan and a kept run's own files are inputs as well."""
        given = (self.rule,) if self.rule and parse_rule(self.rule).kind == "table" else ()
        kept = (*self.stored.manifest["files"], RUN_FILE) if self.stored else ()
        return (*self.scenario.files, *given, *(str(self.stored.folder / name) for name in kept if self.stored))


@dataclass(frozen=True)
class Comparisons(Shown):
    """The first scenario against each of the others.

    Attributes
    ----------
    base : Side
    others : tuple of Comparison or Unsolved
        In the order asked for.
    settings : SimulationSettings
        How all of them were drawn: those of the first.
    not_done : tuple of NotDone
        What the time did not reach.
    """

    base: Side
    others: tuple[Comparison | Unsolved, ...]
    settings: SimulationSettings
    not_done: tuple[NotDone, ...] = ()

    def __repr__(self) -> str:
        return "\n".join(["Comparisons:", f"  {self.base!r}", *(f"  {other!r}" for other in self.others)])

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each scenario: goals met, odds of all goals with their interval, pay; empty without a plan."""
        return frame_of([self.base.row, *(other.row for other in self.others)], SIDE_COLUMNS)


def read_contenders(sources: Sequence[Source], store: RunStore, overrides: Sequence[str] = ()) -> list[Contender]:
    """Read what is to be compared.

    Parameters
    ----------
    sources : sequence of str, Path, Scenario or Run
        Scenarios and runs at hand, scenario files, `file.toml:variant`, both also with
        `@rule`, run folders, or names of runs in `store`. A single file stands for itself and all its variants.
    overrides : sequence of str
        "path=value" for all of them; a finished run is what it is and takes none.

    Raises
    ------
    ScenarioError
        With everything that is wrong with any of them.
    UsageError
        Where a source does not exist, or there is nothing to compare.
    """
    if not sources:
        fix = "name a scenario file with variants, or two scenarios or runs"
        raise UsageError(Problem("E-compare-alone", "there is nothing to compare", fix=fix))
    if len(sources) == 1 and isinstance(sources[0], str | Path):
        return _file_with_variants(str(sources[0]), store, overrides)
    found = [_take_source(source, store, overrides) for source in sources]
    if len(found) == 1:
        raise _alone(found[0].label)
    by_folder = [_with_folder(contender, found) for contender in found]
    return [_numbered(contender, by_folder, i) for i, contender in enumerate(by_folder)]


def _with_folder(contender: Contender, all_of_them: Sequence[Contender]) -> Contender:
    """Tell equal labels of files in different folders apart by the folder."""
    if contender.document is None:
        return contender
    twins = {c.document.source for c in all_of_them if c.document and c.label == contender.label}
    folder = contender.document.source.resolve().parent.name
    return replace(contender, label=f"{folder}/{contender.label}") if len(twins) > 1 else contender


def _numbered(contender: Contender, all_of_them: Sequence[Contender], position: int) -> Contender:
    """Tell labels that are still equal apart by their number."""
    twins = [c.label for c in all_of_them].count(contender.label) > 1
    return replace(contender, label=f"{contender.label} ({position + 1})") if twins else contender


def _file_with_variants(text: str, store: RunStore, overrides: Sequence[str]) -> list[Contender]:
    path = Path(text)
    if not is_regular(path):
        if _names_part_of_file(text):
            raise _alone(_read_source(text, store, overrides).label)
        if _names_file(text):
            raise _missing(text)
        rule = "one source alone is a scenario file, which is compared with its variants"
        fix = "name what it is to be compared with, or one scenario file with variants"
        raise UsageError(Problem("E-compare-source", f"there is no scenario file {text!r}", rule=rule, fix=fix))
    base = _read_file(path, None, "base", overrides)
    if not base.scenario.variants:
        fix = "add a [variant.NAME] to the file, or name a second scenario"
        raise UsageError(Problem("E-compare-alone", f"{text} has no variants to compare it with", fix=fix))
    return [base, *(_read_file(path, variant, variant, overrides) for variant in base.scenario.variants)]


def _take_source(source: Source, store: RunStore, overrides: Sequence[str]) -> Contender:
    """Take a scenario or a run that is at hand as it is, or read what is named."""
    if isinstance(source, str | Path):
        return _read_source(str(source), store, overrides)
    if overrides:
        fix = "give the overrides to kpiopt.load, or name the file"
        raise UsageError(Problem("E-compare-set", "a scenario at hand cannot be changed by overrides", fix=fix))
    run, scenario = (source, source.scenario) if isinstance(source, Run) else (None, source)
    return Contender(scenario.name, scenario, None, run=run)


def _read_source(text: str, store: RunStore, overrides: Sequence[str]) -> Contender:
    path = Path(text)
    if is_regular(path):
        return _read_file(path, None, path.stem, overrides)
    of, at, rule = text.rpartition("@")
    if at and _names_part_of_file(text):
        contender = _read_source(of, store, overrides)
        return replace(contender, label=f"{contender.label}@{rule}", rule=parse_rule(rule).text)
    file, mark, variant = text.rpartition(":")
    if mark and is_regular(Path(file)):
        return _read_file(Path(file), variant, f"{Path(file).stem}:{variant}", overrides)
    if is_regular(path / RUN_FILE) or not (mark or _names_file(text)):
        return read_stored(store.find(text), overrides)
    raise _missing(text)


def _alone(label: str) -> UsageError:
    fix = "name what it is to be compared with"
    return UsageError(Problem("E-compare-alone", f"{label!r} stands alone", fix=fix))


def _names_part_of_file(text: str) -> bool:
    """Whether a source is a variant of a file that there is, or a rule for one, whether or not these exist."""
    of = text.rpartition("@")[0] or text
    return any(is_regular(Path(part)) for part in (of, of.rpartition(":")[0]) if part and part != text)


def _names_file(text: str) -> bool:
    """Whether a source that does not exist is written as a scenario file, with or without a variant and a rule."""
    return Path(text.partition("@")[0].partition(":")[0]).suffix.lower() in (".toml", ".xlsx")


def _missing(text: str) -> ScenarioError:
    fix = "write a scenario file, file.toml:variant, file.toml@proportional, a run folder or the name of a run"
    return ScenarioError(Problem("E-compare-source", f"there is no scenario or run {text!r}", fix=fix))


def _read_file(path: Path, variant: str | None, label: str, overrides: Sequence[str]) -> Contender:
    scenario, found, document = check_scenario(path, variant=variant, overrides=tuple(overrides))
    if scenario is None or document is None:
        raise ScenarioError(*found.errors)
    return Contender(label, scenario, document)


def read_stored(stored: StoredRun, overrides: Sequence[str] = ()) -> Contender:
    """Read the scenario of a finished run, whose plan is taken as it is.

    Raises
    ------
    OutputError
        Where the run is not as it was written.
    UsageError
        Where it is to be changed.
    """
    if not is_intact(stored):
        raise OutputError(
            Problem(
                "E-run-damaged",
                f"{stored.folder} is not as it was written",
                rule="a run is used as it was written or not at all",
                fix="solve its scenario again",
            )
        )
    if overrides:
        fix = "name the scenario file instead of the run"
        raise UsageError(Problem("E-compare-set", f"{stored.name} is a finished run; --set cannot change it", fix=fix))
    return replace(_read_file(stored.folder / "scenario.toml", None, stored.name, ()), stored=stored)


def compare_contenders(
    contenders: Sequence[Contender], options: SolveOptions, progress: Progress = lambda _: None
) -> Comparisons:
    """Solve what is not solved yet, draw all plans with the first one's settings, and compare.

    Raises
    ------
    KpioptError
        Where the first has no plan; of the others that is part of the answer.
    """
    base = _side(contenders[0], options, progress)
    sides: list[Side | Unsolved] = []
    for contender in contenders[1:]:
        try:
            sides.append(_side(contender, options, progress))
        except KpioptError as error:
            sides.append(Unsolved(contender.label, error))
    settings, not_done = contenders[0].scenario.simulation, tuple(_late(sides))
    if options.simulate:
        base, sides, settings, late = _drawn(base, sides, settings, options, progress)
        not_done = (*not_done, *late)
    others = tuple(
        side if isinstance(side, Unsolved) else compare(*_with_tables(contenders[0], base, contender, side))
        for contender, side in zip(contenders[1:], sides, strict=True)
    )
    return Comparisons(base, others, settings, not_done)


def _late(sides: Sequence[Side | Unsolved]) -> Iterator[NotDone]:
    """Yield the scenarios that the time did not reach."""
    for side in sides:
        if isinstance(side, Unsolved) and isinstance(side.error, LimitReached):
            yield NotDone("plan", f"{side.label} was not solved in the time")


def _drawn(
    base: Side,
    sides: Sequence[Side | Unsolved],
    settings: SimulationSettings,
    options: SolveOptions,
    progress: Progress,
) -> tuple[Side, list[Side | Unsolved], SimulationSettings, tuple[NotDone, ...]]:
    """Draw all plans alike; where the time is up before that, none: only the same draws can be compared."""
    try:
        first = _simulated(base, settings, options, progress)
        assert first.simulation is not None
        settings = replace(settings, draws=first.simulation.draws, precision=None)
        drawn = [s if isinstance(s, Unsolved) else _simulated(s, settings, options, progress) for s in sides]
    except LimitReached:
        if not options.solver.deadline.is_over:
            raise
        text = "the odds were not computed in the time: only the same draws of all plans can be compared"
        return base, list(sides), settings, (NotDone("odds", text),)
    return first, drawn, settings, ()


def _side(contender: Contender, options: SolveOptions, progress: Progress) -> Side:
    progress(contender.label)
    return _side_of_run(contender) if contender.stored else _side_of_scenario(contender, options)


def _simulated(side: Side, settings: SimulationSettings, options: SolveOptions, progress: Progress) -> Side:
    progress(f"odds of {side.label}")
    plan, deadline = side.plan, options.solver.deadline
    simulation = simulate(
        plan.graph, plan.stretch, plan.levels, plan.target, settings,
        spread=spread_by(options.executor), deadline=deadline,
    )  # fmt: skip
    if simulation.asked:
        raise deadline.reached("all plans were drawn")
    return replace(side, simulation=simulation)


def _side_of_scenario(contender: Contender, options: SolveOptions) -> Side:
    options = replace(options, simulate=False, beside=())
    if contender.rule is None:
        found: Run | JudgedPlan = contender.run or solve_scenario(contender.scenario, options=options)
    else:
        found = judge_scenario(contender.scenario, contender.rule, options)
    goals = tuple(
        GoalValue(
            g.goal, g.unit, g.target, g.plan, g.shortfall, g.met, contender.scenario.period_name(g.goal.period)
        )
        for g in found.goals
    )  # fmt: skip
    inputs, spent = _settings(contender), found.spending
    broken = found.broken if isinstance(found, JudgedPlan) else ()
    return Side(
        contender.label, inputs, found.plan, goals, found.limits, spent.pay, spent.initiatives, None,
        contender.rule, broken,
    )  # fmt: skip


def _side_of_run(contender: Contender) -> Side:
    """Rebuild the plan of a finished run from its files; nothing is solved again."""
    stored, scenario = contender.stored, contender.scenario
    assert stored is not None
    kept = load_kept_plan(stored, scenario)
    plan, _ = over_assign(build_plan(kept.graph, kept.stretch, kept.levels))
    _require_same_targets(stored, plan, kept)
    document = stored.document
    goals = tuple(
        GoalValue(
            goal,
            entry["unit"],
            entry["target"],
            entry["plan"],
            entry["shortfall"],
            entry.get("met", not entry["shortfall"]),
            entry.get("period"),
        )
        for goal, entry in zip(scenario.goals.values(), document["goals"], strict=True)
    )
    limits = tuple(_limit(scenario, entry) for entry in document["limits"])
    inputs = _settings(contender)
    uses = _money_for_initiatives(scenario, document["initiatives"])
    return Side(contender.label, inputs, plan, goals, limits, document["pay"]["plan"], uses, None)


def _require_same_targets(stored: StoredRun, plan: Plan, kept: KeptPlan) -> None:
    """Raise where another version made the run: its targets would not be those that are compared."""
    if not np.array_equal(kept.targets[plan.nodes], plan.target[plan.nodes]):
        raise OutputError(
            Problem(
                "E-run-other-version",
                f"the targets of {stored.name} do not follow from its plan any more",
                rule="a run is compared with others of the same version",
                fix="solve its scenario again",
            )
        )


def _limit(scenario: Scenario, entry: dict[str, Any]) -> LimitResult:
    name = entry["name"]
    kind, _, rest = split_period(scenario.periods, name)[0].partition(".")
    resource = "" if kind == "rules" else rest.rpartition("@")[0]
    resource = scenario.budgets[rest].resource if kind == "budget" else resource
    return LimitResult(
        name=name,
        resource=resource,
        limit=entry["limit"],
        used=entry["used"],
        binding=entry["binding"],
        step=entry["step"],
        shadow_price=entry["shadow_price"],
        lower=entry["from"],
        upper=entry["to"],
        unit=entry["unit"] or "",
    )


def _money_for_initiatives(scenario: Scenario, entries: Sequence[dict[str, Any]]) -> float:
    """What initiatives take from budgets of money other than pay that cover their unit."""
    units, total = scenario.units, 0.0
    for entry in entries:
        unit = units.position[entry["unit"]]
        covering = (b for b in scenario.budgets.values() if b.scope <= unit < units.end[b.scope])
        money = {b.resource for b in covering if b.money and b.resource != "pay"}
        initiative, level = scenario.initiatives[entry["initiative"]], entry["level"]
        total += level * sum(rate for resource, rate in initiative.uses.items() if resource in money)
        if scenario.periods is not None:
            runs = len(initiative.runs_in(scenario.periods.position[entry["start"]], scenario.n_periods))
            total += level * runs * sum(rate for resource, rate in initiative.runs.items() if resource in money)
        if level > NOTHING * initiative.maximum:
            total += sum(once for resource, once in initiative.setup.items() if resource in money)
    return total


def _settings(contender: Contender) -> dict[str, Setting]:
    """Return what a planner wrote; a scenario at hand still has the values of its document."""
    if contender.document is not None:
        return document_settings(contender.document)
    return written_settings(contender.scenario.document, contender.scenario.source)


def _with_tables(first: Contender, a: Side, second: Contender, b: Side) -> tuple[Side, Side]:
    """Add the values of tables whose bytes differ, so that the rows that differ are found."""
    if first.document is None or second.document is None:
        return a, b
    extra = table_settings(first.document, second.document)
    return (replace(a, inputs={**a.inputs, **extra[0]}), replace(b, inputs={**b.inputs, **extra[1]}))
