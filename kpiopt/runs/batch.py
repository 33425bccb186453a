"""A batch: many scenario files answered one after another, and whether each is good enough."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpiopt.errors import KpioptError, Problem, ScenarioError, UsageError, as_known_error, problem_as_dict
from kpiopt.runs.keep import Keeper
from kpiopt.scenario.load import check_scenario

SCHEMA = "kpiopt.batch/1"
FORM = "a threshold is odds=SHARE (of all goals), odds.GOAL=SHARE or goals=SHARE (of the goals that the plan meets)"


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a scenario must reach.

    Attributes
    ----------
    measure : str
        "odds", "odds.<goal>" or "goals".
    least : float
        Between 0 and 1; an estimate of exactly that passes.
    """

    measure: str
    least: float

    def value(self, answer: dict[str, Any]) -> float | None:
        """Return the measure in an answer "kpiopt.solve/1"; None where it has none."""
        goals = answer["goals"]
        if self.measure == "goals":
            return sum(goal["met"] for goal in goals) / len(goals) if goals else None
        name = self.measure.removeprefix("odds").removeprefix(".")
        odds = next((g["odds"] for g in goals if g["goal"] == name), None) if name else answer["all_goals"]
        return float(odds["estimate"]) if odds else None

    def miss(self, answer: dict[str, Any]) -> Problem | None:
        """Return what is to be said where an answer does not reach the threshold."""
        value = self.value(answer)
        if value is not None and value >= self.least:
            return None
        said = f"is {value:.6g}" if value is not None else f"is not known ({self._why_unknown(answer)})"
        return Problem(
            "E-fail-under",
            f"{self.measure} {said}, at least {self.least:g} is asked for",
            rule="--fail-under ends with exit code 9 where a scenario does not reach its threshold",
        )

    def _why_unknown(self, answer: dict[str, Any]) -> str:
        goals = [goal["goal"] for goal in answer["goals"]]
        name = self.measure.removeprefix("odds").removeprefix(".")
        if not goals:
            return "the scenario has no goals"
        if self.measure != "goals" and name and name not in goals:
            return f"there is no goal {name!r}: the goals are {', '.join(goals)}"
        return "nothing was simulated"


@dataclass(frozen=True)
class BatchEntry:
    """One scenario of a batch.

    Attributes
    ----------
    file : str
        As it was named.
    answer : dict or None
        The document "kpiopt.solve/1"; None where there is none.
    error : KpioptError or None
        Why there is no answer.
    misses : tuple of Problem
        Thresholds that the answer does not reach.
    notes : tuple of Problem
        What is to be said about a scenario that was solved.
    currency : str
        Of its money.
    """

    file: str
    answer: dict[str, Any] | None = None
    error: KpioptError | None = None
    misses: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    currency: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there is an answer that reaches every threshold."""
        return self.error is None and not self.misses

    @property
    def status(self) -> str:
        """Return "optimal", or the kind of error."""
        return "optimal" if self.error is None else type(self.error).__name__.lower()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong."""
        return (*(self.error.problems if self.error else ()), *self.misses)


def read_thresholds(texts: Sequence[str]) -> tuple[Threshold, ...]:
    """Read thresholds as they stand behind `--fail-under`.

    Raises
    ------
    UsageError
        With all that are none.
    """
    found = [(text, _threshold(text)) for text in texts]
    wrong = [text for text, threshold in found if threshold is None]
    if wrong:
        fix = "write a share between 0 and 1, with a point: odds=0.8"
        raise UsageError(*(Problem("E-threshold", f"{text!r} is no threshold", rule=FORM, fix=fix) for text in wrong))
    return tuple(threshold for _, threshold in found if threshold is not None)


def _threshold(text: str) -> Threshold | None:
    measure, _, share = text.partition("=")
    try:
        least = float(share)
    except ValueError:
        return None
    known = measure in ("odds", "goals") or (measure.startswith("odds.") and len(measure) > len("odds."))
    return Threshold(measure, least) if known and 0.0 <= least <= 1.0 else None


def expand_patterns(files: Sequence[Path]) -> list[Path]:
    """Replace patterns such as `scenarios/*.toml` by the files that match, for shells that do not.

    A path that is there, or a pattern that nothing matches, stays what it is.
    """
    return [found for file in files for found in (_matches(file) or [file])]


def require_files(files: Sequence[Path]) -> None:
    """Refuse a batch that names files that are not there, before the first is solved.

    Raises
    ------
    ScenarioError
        With all that are missing.
    """
    missing = [file for file in files if not os.path.lexists(file)]
    if missing:
        fix = "correct the name; nothing was solved"
        raise ScenarioError(*(Problem("E-file-missing", f"there is no file {file}", fix=fix) for file in missing))


def require_goals(thresholds: Sequence[Threshold], goals: Collection[str]) -> None:
    """Refuse thresholds for the odds of goals that there are not, before anything is solved.

    Raises
    ------
    UsageError
    """
    named = {t.measure: t.measure.removeprefix("odds.") for t in thresholds if t.measure.startswith("odds.")}
    unknown = [measure for measure, goal in named.items() if goal not in goals]
    if unknown:
        fix = f"the goals are {', '.join(goals)}" if goals else "the scenario has no goals"
        raise UsageError(*(Problem("E-threshold", f"{m}: there is no such goal", rule=FORM, fix=fix) for m in unknown))


def _matches(file: Path) -> list[Path]:
    try:
        if file.exists() or not file.parts:
            return []
        start = Path(file.anchor)
        return sorted(start.glob(str(file.relative_to(start))))
    except (OSError, ValueError, NotImplementedError):  # no path, and no pattern either: what reads it says so
        return []


def solve_batch(
    files: Sequence[Path],
    variant: str | None,
    overrides: Sequence[str],
    keeper: Keeper,
    thresholds: Sequence[Threshold],
    on_progress: Callable[[str], None] = lambda _: None,
    on_entry: Callable[[BatchEntry], None] = lambda _: None,
) -> list[BatchEntry]:
    """Answer files one after another; an error ends its own file only.

    Parameters
    ----------
    variant, overrides
        For every file.
    keeper : Keeper
        Answers and keeps.
    on_entry
        Told of each file when it is done.
    """
    entries: list[BatchEntry] = []
    for i, file in enumerate(files):
        on_progress(f"{file} ({i + 1} of {len(files)})")
        try:
            entries.append(_entry(file, variant, overrides, keeper, thresholds))
        except Exception as error:  # whatever is wrong with one file, the others go on
            entries.append(BatchEntry(str(file), error=as_known_error(error)))
        on_entry(entries[-1])
    return entries


def _entry(
    file: Path, variant: str | None, overrides: Sequence[str], keeper: Keeper, thresholds: Sequence[Threshold]
) -> BatchEntry:
    scenario, found, document = check_scenario(file, variant=variant, overrides=tuple(overrides))
    if scenario is None or document is None:
        raise ScenarioError(*found.errors)
    kept = keeper.answer(scenario, document)
    misses = [threshold.miss(kept.document) for threshold in thresholds]
    return BatchEntry(
        str(file),
        kept.document,
        misses=tuple(miss for miss in misses if miss),
        notes=(*scenario.warnings, *kept.notes),
        currency=scenario.currency,
    )


def batch_as_dict(entries: Sequence[BatchEntry]) -> dict[str, Any]:
    """Return the JSON document "kpiopt.batch/1"; each scenario's own answer is in its run folder."""
    return {
        "schema": SCHEMA,
        "status": "complete" if all(entry.is_good for entry in entries) else "partial",
        "scenarios": [_entry_as_dict(entry) for entry in entries],
    }


def _entry_as_dict(entry: BatchEntry) -> dict[str, Any]:
    head = {"file": entry.file, "status": entry.status, "passed": entry.is_good}
    problems = [problem_as_dict(problem) for problem in entry.problems]
    if entry.answer is None:
        code = int(entry.error.exit_code) if entry.error else None
        return {**head, "exit_code": code, "problems": problems}
    answer = entry.answer
    return {
        **head,
        "run": answer["run"],
        "folder": answer["folder"],
        "goals": len(answer["goals"]),
        "goals_met": sum(goal["met"] for goal in answer["goals"]),
        "all_goals": answer["all_goals"],
        "pay": answer["pay"]["plan"] if answer["pay"] else None,
        "currency": entry.currency,
        "problems": problems,
        "notes": [problem_as_dict(note) for note in entry.notes],
    }
