"""What the page of a comparison tells about its first scenario: the frontier of its sweep, and its tornado."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kpiopt.deadline import NotDone
from kpiopt.errors import LimitReached, Problem
from kpiopt.run.solve import SolveOptions
from kpiopt.scenario.load import FileReader
from kpiopt.studies.comparison.contenders import Contender
from kpiopt.studies.sensitivity.study import Sensitivity, SensitivityQuestion, study_sensitivity
from kpiopt.studies.sweep.axes import points_of, read_axes
from kpiopt.studies.sweep.point import SweepJob
from kpiopt.studies.sweep.sweep_answer import SweepAnswer
from kpiopt.studies.sweep.sweep_in_memory import answer_points

KINDS = ("uncertain", "limit", "goal")
MOST_CELLS = 2_000
MOST_POINTS = 100
"""Larger scenarios and sweeps are left to `kpiopt sweep` and `kpiopt sensitivity`."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BaseStudy:
    """What was found about one scenario; None where there is nothing to find, or it would take too long.

    Attributes
    ----------
    not_done : tuple of NotDone
        What the time did not reach.
    gaps : tuple of Problem
        What failed, which the rest does without.
    """

    sweep: SweepAnswer | None = None
    sensitivity: Sensitivity | None = None
    not_done: tuple[NotDone, ...] = ()
    gaps: tuple[Problem, ...] = ()


def study_base(
    base: Contender, overrides: Sequence[str], options: SolveOptions, progress: Progress = lambda _: None
) -> BaseStudy:
    """Sweep the first scenario of a comparison over its own axes, and move its inputs one at a time.

    Parameters
    ----------
    base : Contender
        It has a plan.
    overrides : sequence of str
        With which it was read.
    """
    if len(base.scenario.cells) > MOST_CELLS:
        return BaseStudy()
    progress("its frontier")
    sweep = _sweep(base, overrides, options)
    late = sweep.not_done if sweep else ()
    progress("its tornado")
    try:
        found = _sensitivity(base, overrides, options, progress)
    except LimitReached as error:
        if not options.solver.deadline.is_over:
            (why, *_) = error.problems
            gap = replace(why, code="E-study-gap", message=f"the tornado of {base.label}: {why.message} ({why.code})")
            return BaseStudy(sweep, None, late, (gap,))
        return BaseStudy(sweep, None, (*late, NotDone("tornado", f"the tornado of {base.label}: not in the time")))
    return BaseStudy(sweep, found, (*late, *(found.not_done if found else ())), _gaps(found))


def _gaps(found: Sensitivity | None) -> tuple[Problem, ...]:
    return found.tornado.gaps if found and found.tornado else ()


def _sweep(base: Contender, overrides: Sequence[str], options: SolveOptions) -> SweepAnswer | None:
    scenario = base.scenario
    if not scenario.sweep:
        return None
    axes = read_axes(scenario)
    if math.prod(len(axis.values) for axis in axes) > MOST_POINTS:
        return None
    points = points_of(axes)
    words = tuple(overrides)
    job = SweepJob(base.path, scenario.variant, words, options.solver, options.simulate, options.allow_code)
    return SweepAnswer(scenario, axes, points, answer_points(job, points, options.executor))


def _sensitivity(
    base: Contender, overrides: Sequence[str], options: SolveOptions, progress: Progress
) -> Sensitivity | None:
    if not options.simulate:
        return None
    return study_sensitivity(
        base.scenario,
        SensitivityQuestion(kinds=KINDS),
        FileReader(base.path, base.scenario.variant, overrides),
        options.solver,
        allow_code=options.allow_code,
        progress=progress,
        executor=options.executor,
    )
