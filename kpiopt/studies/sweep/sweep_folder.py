"""A sweep from its question to its folder: answered point by point into a journal, published when it is done.

runs/sweep-base-3f2a91c0/       points.csv, sweep.json, summary.txt, the resolved question with copies of its inputs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kpiopt.errors import OutputError
from kpiopt.reading.document import Document
from kpiopt.runs.csv_text import csv_bytes
from kpiopt.runs.durable import make_folder, remove_tree
from kpiopt.runs.folder import Occasion, json_bytes, manifest_of, stage_question
from kpiopt.runs.journal import answer_points, open_journal
from kpiopt.runs.question import Question, pose_question, require_same_files
from kpiopt.runs.run_document import seal
from kpiopt.runs.store import RunStore, Staging
from kpiopt.runs.stored_run import SUMMARY_FILE, SWEEP_FILE, is_intact, read_run, read_summary
from kpiopt.scenario.scenario import Scenario
from kpiopt.studies.sweep.axes import Axis, Point
from kpiopt.studies.sweep.point import PointResult, SweepJob
from kpiopt.studies.sweep.sweep_answer import SweepAnswer, points_frame, read_results, sweep_as_dict
from kpiopt.workers.job import Executor


@dataclass(frozen=True)
class SweepQuestion:
    """A scenario, the axes, and how points are solved.

    Attributes
    ----------
    question : Question
        Its digest covers the axes too.
    job : SweepJob
        Without its path: workers read the copy that the journal keeps.
    """

    scenario: Scenario
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    question: Question
    job: SweepJob

    @property
    def name(self) -> str:
        """Name of the sweep's folder."""
        return f"sweep-{self.question.name}"


@dataclass(frozen=True)
class StoredSweep:
    """A kept sweep: the answer, its document and its summary."""

    answer: SweepAnswer
    document: dict[str, Any]
    summary: str


def pose_sweep(
    scenario: Scenario, document: Document, axes: Sequence[Axis], points: Sequence[Point], job: SweepJob
) -> SweepQuestion:
    """Gather what a sweep depends on.

    Raises
    ------
    OutputError
        When an input cannot be read any more.
    ScenarioError
        When an input is no longer what was checked.
    """
    settings = {"points": [point.overrides for point in points], "simulate": job.simulate}
    question = pose_question(document, settings)
    require_same_files(question, scenario.files)
    return SweepQuestion(scenario, tuple(axes), tuple(points), question, job)


def stored_answer(store: RunStore, posed: SweepQuestion) -> StoredSweep | None:
    """Return a sweep that is kept; None where there is none complete, whole and unaltered."""
    stored = read_run(store.root / posed.name)
    is_answer = stored.document.get("status") == "complete" and stored.manifest["digest"] == posed.question.digest
    if not is_answer or not is_intact(stored):
        return None
    document, folder = stored.answer, str(stored.document["folder"])
    try:
        summary = read_summary(stored)
        results = read_results(posed.points, document)
    except (OutputError, ValueError, KeyError, TypeError, AttributeError):  # removed in this moment, or of another form
        return None
    answer = SweepAnswer(posed.scenario, posed.axes, posed.points, results)
    return StoredSweep(answer, document, summary.replace(folder, str(stored.folder)))


def answer_sweep(
    store: RunStore,
    posed: SweepQuestion,
    executor: Executor,
    occasion: Occasion,
    summarise: Callable[[SweepAnswer, Path], str],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[SweepAnswer, dict[str, Any]]:
    """Answer all points, going on where an earlier call was stopped, and publish the sweep's folder.

    Parameters
    ----------
    summarise : callable
        Answer and folder -> the summary that is kept beside them.

    Returns
    -------
    SweepAnswer
    dict
        The document "kpiopt.sweep/1"; `sweep.json` adds the manifest.

    Raises
    ------
    Locked
        When another process works on the same sweep.
    OutputError, KeyboardInterrupt
        What was answered is kept.
    """
    with open_journal(store.root, posed.name, posed.question.digest, PointResult) as journal:
        job = _job_on_copy(posed, journal.folder / "question")
        keyed = {" ".join(point.overrides): point for point in posed.points}
        found = answer_points(job, keyed, executor, journal, on_progress)
        answer = SweepAnswer(posed.scenario, posed.axes, posed.points, tuple(found.values()))
        document = _publish(store, posed, answer, occasion, summarise)
        if not answer.failures:
            journal.remove()
    return answer, document


def _job_on_copy(posed: SweepQuestion, folder: Path) -> SweepJob:
    """Write the resolved question into the journal and pack it: all workers, also of a later call, read the same."""
    remove_tree(folder)
    make_folder(folder)
    stage_question(Staging(folder, folder), posed.question)
    path = (folder / "scenario.toml").resolve()
    return replace(posed.job, path=path, variant=None, overrides=(), files=posed.question.files)


def _publish(
    store: RunStore,
    posed: SweepQuestion,
    answer: SweepAnswer,
    occasion: Occasion,
    summarise: Callable[[SweepAnswer, Path], str],
) -> dict[str, Any]:
    folder = store.root / posed.name
    document: Mapping[str, Any] = sweep_as_dict(answer)
    named = {"schema": document["schema"], "sweep": posed.name, "folder": str(folder), **document}
    files = {"points.csv": csv_bytes(points_frame(answer)), SUMMARY_FILE: summarise(answer, folder).encode()}
    manifest = {**manifest_of(posed.question, occasion, files), **_asked(posed.scenario)}
    with store.staging(posed.name) as staging:
        stage_question(staging, posed.question)
        for name, content in files.items():
            staging.write(name, content)
        staging.write(SWEEP_FILE, json_bytes(seal({**named, "manifest": manifest})))
        staging.publish()
    return dict(named)


def _asked(scenario: Scenario) -> dict[str, Any]:
    return {"variant": scenario.variant, "seed": scenario.simulation.seed}
