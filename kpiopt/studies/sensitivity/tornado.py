"""Tornado: what an outcome does when one input moves, with the plan as it is and with the plan made anew.

Both are measured in the same draws. The difference between them is what re-planning is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.deadline import NotDone
from kpiopt.errors import InputError, LimitReached, Problem
from kpiopt.program.formulation.blocks import Columns
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.variants import other_cascades
from kpiopt.program.trust.tolerances import USED_UP, is_exceeded
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.scenario import Floats, SimulationSettings
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.common_draws import CommonDraws
from kpiopt.studies.family import FamilySettings, NoPlan, PlanFamily, Planned
from kpiopt.studies.sensitivity.moves import Move
from kpiopt.studies.sensitivity.outcome import Measured, Outcome, difference, measure
from kpiopt.workers.executor import Ready, answers
from kpiopt.workers.job import SERIAL, Executor, Job, Place

Count = Callable[[str, int, int], None]


@dataclass(frozen=True)
class End:
    """An outcome with one input at one end of its move.

    Attributes
    ----------
    fixed, replanned : Estimate or None
        The outcome with the plan as it is, and with the plan made anew; None where the file does not allow the value,
        or no plan is left.
    fixed_change, replanned_change : Estimate or None
        Against the outcome as things stand, draw by draw.
    worth : Estimate or None
        What re-planning is worth: replanned - fixed, in the outcome's unit; better where the outcome says so.
    broken : tuple of str
        Limits that the plan as it is would break, "level of INITIATIVE@UNIT" and "range of UNIT/KPI" among them.
    problem : Problem or None
        Why there is no plan.
    is_open : bool
        Whether it is not known if there is one: the search for it ended without a proof.
    """

    input_value: float
    fixed: Estimate | None = None
    fixed_change: Estimate | None = None
    replanned: Estimate | None = None
    replanned_change: Estimate | None = None
    worth: Estimate | None = None
    broken: tuple[str, ...] = ()
    problem: Problem | None = None
    is_open: bool = False


@dataclass(frozen=True)
class Bar:
    """What one input does to the outcome, at both ends of its move."""

    move: Move
    low: End
    high: End

    @property
    def swing(self) -> float:
        """The larger of the two spreads, with the plan as it is and made anew; a side without a plan counts for 0."""
        return max(
            _spread(self.low.fixed_change, self.high.fixed_change),
            _spread(self.low.replanned_change, self.high.replanned_change),
        )

    @property
    def stops(self) -> bool:
        """Whether there is no plan at one of the ends."""
        return any(end.problem is not None for end in (self.low, self.high))


def _spread(low: Estimate | None, high: Estimate | None) -> float:
    """Distance between the changes at two ends, no change included."""
    values = [0.0, *(change.estimate for change in (low, high) if change is not None)]
    return max(values) - min(values)


@dataclass(frozen=True)
class Tornado:
    """All bars, those first that move the outcome most.

    Attributes
    ----------
    base : Estimate
        The outcome as things stand.
    moves : int
        Inputs that were to be moved; more than there are bars where the time was up.
    """

    outcome: Outcome
    base: Estimate
    bars: tuple[Bar, ...]
    moves: int = 0

    @property
    def gaps(self) -> tuple[Problem, ...]:
        """What failed at ends of single inputs, which the others do without."""
        return tuple(
            replace(end.problem, code="E-study-gap", message=f"the tornado at {bar.move.path} = {end.input_value:.6g}: "
                    f"{end.problem.message} ({end.problem.code})")
            for bar in self.bars for end in (bar.low, bar.high) if end.problem is not None and end.is_open
        )  # fmt: skip

    @property
    def not_done(self) -> tuple[NotDone, ...]:
        """What the time did not reach."""
        late = self.moves - len(self.bars)
        if late <= 0:
            return ()
        text = f"{late:,} of {self.moves:,} inputs were not moved in the time"
        return (NotDone("tornado", text, len(self.bars), self.moves),)


def make_tornado(
    family: PlanFamily,
    inputs: Inputs,
    outcome: Outcome,
    moves: Sequence[Move],
    draws: CommonDraws,
    progress: Count = lambda _path, _done, _total: None,
    executor: Executor = SERIAL,
) -> Tornado:
    """Move inputs one at a time.

    Parameters
    ----------
    family : PlanFamily
        With the plan of the inputs' scenario.
    progress : callable, optional
        (path, how many are done, how many there are) -> None.
    executor : Executor
        Where inputs are moved; the answer does not depend on it.
    """
    study = _Study(family, inputs, outcome, draws, measure(outcome, family.base.graph, family.base, draws))
    job: Job[Move, Bar | None] = Ready(study.bar)
    if executor.place is not Place.SERIAL:
        job = TornadoJob(family.settings, inputs, outcome, draws.settings)
    paths = [*(move.path for move in moves), "done"]
    progress(paths[0], 0, len(moves))
    found = answers(job, moves, executor, lambda done: progress(paths[done], done, len(moves)))
    bars = [bar for bar in found if bar is not None]
    bars.sort(key=lambda bar: (-bar.swing, bar.move.path))
    return Tornado(outcome, study.now.estimate, tuple(bars), len(moves))


@dataclass(frozen=True)
class TornadoJob:
    """What is done with every input elsewhere: the plan is made there once, with the same draws."""

    family: FamilySettings
    inputs: Inputs
    outcome: Outcome
    draws: SimulationSettings

    def prepare(self) -> Callable[[Move], Bar | None]:
        """Return the function that moves an input."""
        family = PlanFamily(self.inputs.scenario, self.family.options, allow_code=self.family.allow_code)
        draws = CommonDraws(self.draws, self.family.options.deadline)
        now = measure(self.outcome, family.base.graph, family.base, draws)
        return _Study(family, self.inputs, self.outcome, draws, now).bar


@dataclass(frozen=True)
class _Study:
    """What all bars share."""

    family: PlanFamily
    inputs: Inputs
    outcome: Outcome
    draws: CommonDraws
    now: Measured

    def bar(self, move: Move) -> Bar | None:
        """Move one input down and up; None where the time is up."""
        try:
            self.draws.deadline.require("all inputs were moved")
            return Bar(move, self.end(move.path, move.low), self.end(move.path, move.high))
        except LimitReached:
            if not self.draws.deadline.is_over:
                raise
            return None

    def end(self, path: str, value: float) -> End:
        """Move one input to a value."""
        end = End(value)
        try:
            cascade = self.family.pose(self.inputs.at(path, value))
            fixed = measure(self.outcome, cascade.graph, self.family.base, self.draws)
            change, broken = difference(self.now, fixed), broken_limits(self.family.base, cascade)
            end = replace(end, fixed=fixed.estimate, fixed_change=change, broken=broken)
            planned = self.family.plan(cascade)
            made = fixed if self._is_same(planned) else measure(self.outcome, cascade.graph, planned, self.draws)
        except NoPlan as failure:
            return replace(end, problem=failure.problem, is_open=failure.is_open)
        except InputError as error:
            return replace(end, problem=error.problems[0])
        change, worth = difference(self.now, made), difference(fixed, made)
        return replace(end, replanned=made.estimate, replanned_change=change, worth=worth)

    def _is_same(self, planned: Planned) -> bool:
        """Whether a plan cannot differ in the outcome: it decides the same, and that is not about its targets."""
        base = self.family.base
        same = np.array_equal(base.stretch, planned.stretch) and np.array_equal(base.levels, planned.levels)
        return same and self.outcome.kind != "pay"


def broken_limits(base: Planned, cascade: Cascade) -> tuple[str, ...]:
    """Return what the plan as it is would break in another program: limits, and ranges of its decisions, by name.

    Of a robust plan also of variants, "capacity.hours@north (lean)", where they are not the own ones of the scenario.
    """
    ours, x = cascade.program.arrays(), base.solution.x
    if len(x) != ours.n_columns:
        return ()
    used = ours.matrix @ x
    limits = [
        limit.name
        for limit in (*cascade.limits, *cascade.variant_limits)
        if is_exceeded(limit.value, used[limit.row] + limit.base)
    ]
    own = [*_outside(cascade.columns.level, "level of ", x), *_outside(cascade.columns.stretch, "range of ", x)]
    return (*limits, *own, *_outside_in_variants(cascade, x, own))


def _outside_in_variants(cascade: Cascade, x: Floats, own: Sequence[str]) -> Iterator[str]:
    """Yield the decisions outside of ranges that only variants of a robust plan have, each with its variant."""
    words = {"level": "level of ", "stretch": "range of "}
    joint = [block for block in cascade.program.columns if block.name in words]
    if set(own).issuperset(name for block in joint for name in _outside(block, words[block.name], x)):
        return
    for variant, other in other_cascades(cascade):
        for block in joint:
            theirs = replace(other.program.column_block(block.name), start=block.start)
            outside = _outside(theirs, words[block.name], x)
            yield from (f"{name} ({variant})" for name in outside if name not in own)


def _outside(columns: Columns, what: str, x: Floats) -> Iterator[str]:
    """Yield the names of decisions outside of their ranges."""
    values, room = columns.of(x), USED_UP * np.maximum(1.0, np.abs(columns.upper))
    for i in np.flatnonzero((values > columns.upper + room) | (values < columns.lower - room)).tolist():
        yield what + columns.label(i)
