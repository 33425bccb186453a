"""A sweep that keeps nothing: its answer goes to the caller, as from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kpiopt.reading.document import read_document
from kpiopt.runs.question import pose_question, require_same_files
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Scenario
from kpiopt.studies.sweep.axes import Point, points_of, read_axes
from kpiopt.studies.sweep.point import PointResult, SweepJob
from kpiopt.studies.sweep.sweep_answer import SweepAnswer
from kpiopt.workers.executor import execute
from kpiopt.workers.job import Executor, Failure, Place


def sweep_in_memory(
    job: SweepJob,
    over: Sequence[str],
    executor: Executor,
    *,
    zipped: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SweepAnswer:
    """Answer the points of a scenario.

    Parameters
    ----------
    job : SweepJob
        The scenario file and how points are solved.
    over : sequence of str
        Axes as behind `--over`; the file's own where empty.
    zipped : bool
        Whether the axes' values go together instead of in every combination.
    on_progress : callable
        Called with the number of points that are done and of all.

    Raises
    ------
    InputError, UsageError
    LimitReached
        Where workers die without having begun a point.
    """
    scenario = job.scenario or load_scenario(job.path, variant=job.variant, overrides=job.overrides)
    axes = read_axes(scenario, over)
    points = points_of(axes, zipped=zipped)
    if executor.place is Place.DASK and job.scenario is None:
        job = _packed(job, scenario)
    return SweepAnswer(scenario, axes, points, answer_points(job, points, executor, on_progress))


def _packed(job: SweepJob, scenario: Scenario) -> SweepJob:
    """Return a job that carries its files, for workers that may not see ours."""
    question = pose_question(read_document(job.path, variant=job.variant, overrides=job.overrides))
    require_same_files(question, scenario.files)
    return replace(job, path=Path("scenario.toml"), variant=None, overrides=(), files=question.files)


def answer_points(
    job: SweepJob,
    points: Sequence[Point],
    executor: Executor,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[PointResult | Failure, ...]:
    """Answer points, in their order; one without an answer is marked, and the others go on."""
    found: dict[str, PointResult | Failure] = {}

    def take(key: str, answer: PointResult | Failure) -> None:
        found[key] = answer
        on_progress(len(found), len(points))

    on_progress(0, len(points))
    execute(job, {str(point.number): point for point in points}, executor, take)
    return tuple(found[str(point.number)] for point in points)
