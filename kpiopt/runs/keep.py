"""A question answered from the runs that are kept, or solved and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kpiopt.deadline import NotDone
from kpiopt.errors import Location, OutputError, Problem, ScenarioError
from kpiopt.reading.document import Document
from kpiopt.run.run import Run
from kpiopt.run.solve import Progress, SolveOptions, solve_scenario
from kpiopt.runs.durable import make_folder, remove_tree
from kpiopt.runs.folder import Occasion, changed_inputs, named_answer, run_notes, stage_answer, stage_question
from kpiopt.runs.question import Question, pose_question, require_same_files
from kpiopt.runs.store import RunStore, Staging, open_store
from kpiopt.runs.stored_run import RUN_FILE, SUMMARY_FILE, StoredRun, altered_files, is_intact, read_run, read_summary
from kpiopt.scenario.scenario import Scenario

Study = Mapping[str, Any] | None


@dataclass(frozen=True)
class KeptAnswer:
    """An answer and where it is kept.

    Attributes
    ----------
    document : dict
        The answer "kpiopt.solve/1".
    summary : str
        As it stands in the folder.
    run : Run or None
        None where the answer was there already.
    notes : tuple of Problem
        What is to be said about the plan and its odds.
    """

    folder: Path
    document: dict[str, Any]
    summary: str
    run: Run | None
    notes: tuple[Problem, ...]


LEFT = NotDone("risk", "what odds cost (--risk) was not found out: the command ended before")
"""What the plan lacks that is kept before it is studied further."""


@dataclass(frozen=True)
class Keeper:
    """How questions are answered and kept.

    Attributes
    ----------
    root : Path
        The runs folder.
    summarise : callable
        Returns the summary of a run in its folder, as text.
    force : bool
        Whether to solve although the answer is there.
    pages : callable
        Returns further files for the folder of a run, by name, such as its report, given what was studied of it.
    study : callable
        Studies a run further and returns it, with what was not done in the time, and the study, if any.
    """

    root: Path
    options: SolveOptions
    occasion: Occasion
    summarise: Callable[[Run, Path], str]
    force: bool = False
    pages: Callable[[Run, Path, Study], Mapping[str, bytes]] = lambda run, folder, study: {}
    study: Callable[[Run], tuple[Run, Study]] = lambda run: (run, None)

    def answer(self, scenario: Scenario, document: Document, progress: Progress = lambda _: None) -> KeptAnswer:
        """Answer a scenario from its kept run, where that is whole and unaltered; else solve it and keep the run.

        Parameters
        ----------
        document : Document
            The one that the scenario was made of.

        Raises
        ------
        ScenarioError
            When an input changed while it was read or solved; nothing is published then.
        Locked
            When another process solves the same question.
        OutputError
        Infeasible, Unbounded, Uncertified, LimitReached
        """
        question = pose_question(document, _settings(self.options))
        require_same_files(question, scenario.files)
        inputs = [document.source, *(Path(file) for file in question.documents), *(c.path for c in question.inputs)]
        store = open_store(self.root, inputs)
        stored = read_run(store.root / question.name)
        kept = None if self.force else find_answer(stored, question)
        if kept:
            return kept
        why = () if self.force else _why_again(stored)
        answer = self._solve(store, scenario, question, progress)
        return replace(answer, notes=(*why, *answer.notes))

    def _solve(self, store: RunStore, scenario: Scenario, question: Question, progress: Progress) -> KeptAnswer:
        with store.staging(question.name) as staging:
            stage_question(staging, question)
            run, study = solve_scenario(scenario, options=self.options, progress=progress), None
            if self.options.risk:
                self._publish(staging, replace(run, not_done=(*run.not_done, LEFT)), question)
                make_folder(staging.folder)
                stage_question(staging, question)
                run, study = self.study(run)
            summary = self._publish(staging, run, question, study)
            return KeptAnswer(staging.target, named_answer(run, staging.target), summary, run, run_notes(run))

    def _publish(self, staging: Staging, run: Run, question: Question, study: Study = None) -> str:
        """Write a run and put it in its place, unless a whole answer stands there; return its summary."""
        summary = self.summarise(run, staging.target)
        more = {SUMMARY_FILE: summary.encode(), **self.pages(run, staging.target, study)}
        self._stage(staging, run, question, more)
        if _is_answered(read_run(staging.target)):
            remove_tree(staging.folder)
        else:
            staging.publish()
        return summary

    def _stage(self, staging: Staging, run: Run, question: Question, more: Mapping[str, bytes]) -> None:
        """Write the results beside the question, unless an input has changed in the meantime."""
        document = stage_answer(staging, run, question, self.occasion, more)
        changed = changed_inputs(document)
        if changed:
            raise ScenarioError(
                *(
                    Problem(
                        "E-input-changed",
                        "the file changed while it was being solved",
                        rule="a run answers its inputs as they are",
                        fix="solve again",
                        location=Location(file),
                    )
                    for file in changed
                )
            )


def find_answer(stored: StoredRun, question: Question) -> KeptAnswer | None:
    """Return the kept answer to a question; None where it is not complete, whole and unaltered, or answers another."""
    if stored.manifest.get("digest") != question.digest or not _is_answered(stored):
        return None
    try:
        summary = read_summary(stored)
    except OutputError:  # removed by another process in this moment
        return None
    notes = tuple(
        Problem(note["code"], note["message"], note["rule"], note["fix"]) for note in stored.manifest.get("notes", [])
    )
    return KeptAnswer(stored.folder, stored.answer, _in_folder(summary, stored), None, notes)


def _why_again(stored: StoredRun) -> tuple[Problem, ...]:
    """Say that a kept run was not used because it is not as it was written."""
    if not (stored.folder / RUN_FILE).exists():
        return ()
    altered = list(dict.fromkeys([*stored.damage, *altered_files(stored)]))
    if not altered:
        return ()
    more = f" ({stored.reason})" if stored.reason else ""
    message = f"{stored.folder} was not as it was written, so it was solved again: {', '.join(altered[:5])}{more}"
    return (Problem("W-run-altered", message, rule="a run is used as it was written or not at all"),)


def _is_answered(stored: StoredRun) -> bool:
    """Whether a run is whole and unaltered, and no part of its answer was cut short by a time limit."""
    return is_intact(stored) and not stored.document.get("not_done")


def _settings(options: SolveOptions) -> dict[str, Any]:
    """Return what a run depends on beside its document: another solver is asked for a second opinion."""
    solver = {} if options.solver.solver == "highs" else {"solver": options.solver.solver}
    beside = {} if options.beside is None else {"beside": list(options.beside)}
    risk = {"risk": True} if options.risk else {}
    return {"simulate": options.simulate, **solver, **beside, **risk}


def _in_folder(summary: str, stored: StoredRun) -> str:
    """Return a summary with the folder as it was asked for."""
    return summary.replace(str(stored.document["folder"]), str(stored.folder))
