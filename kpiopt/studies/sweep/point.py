"""A sweep: one scenario solved for many values of some of its numbers.

A worker loads the scenario once, solves it once (the anchor), draws once, and answers each point from there. A point's
answer depends on the job and the point alone, never on what was answered before it or by whom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from kpiopt.errors import Infeasible
from kpiopt.graph import CausalGraph
from kpiopt.graph.effort import counted_stretch
from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.columns import DecisionColumns
from kpiopt.program.order.steps import InfeasibleProgram, Solution
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import dot
from kpiopt.program.trust.tolerances import is_used_up
from kpiopt.reading.regular_file import open_regular
from kpiopt.run.promised import about_odds, promise_results
from kpiopt.scenario.load import FileReader
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation.hits import fall_short
from kpiopt.simulation.odds import Estimate
from kpiopt.simulation.redraw import DrawBook, Redraw, draw_book
from kpiopt.simulation.simulate import simulate
from kpiopt.studies.family import NoPlan, PlanFamily, Planned
from kpiopt.studies.sweep.axes import Point, as_mapping

OPTIMAL, INFEASIBLE = "optimal", "infeasible"


@dataclass(frozen=True, slots=True)
class GoalAtPoint:
    """A goal in one point's plan, in the KPI's unit."""

    goal: str
    target: float
    plan: float
    shortfall: float
    met: bool
    odds: Estimate | None


@dataclass(frozen=True, slots=True)
class PointResult:
    """What came of one point; the money in the scenario's currency.

    Attributes
    ----------
    status : str
        "optimal", or "infeasible": proved.
    steps : tuple of (str, float)
        Value of each step of the order but the last; steps with a slack give up a part of it afterwards.
    largest_stretch : float or None
        Average of the peer groups' largest relative stretches in the plan, weighted by their size; None without any
        decision.
    pay, initiatives : float or None
        Pay at plan, and what initiatives take from budgets that are money; None without a plan.
    effort : tuple of (str, float)
        Use of each resource that efforts and initiatives take, by the whole organization.
    used_up : tuple of str
        Limits of which nothing is left.
    """

    point: Point
    status: str
    goals: tuple[GoalAtPoint, ...] = ()
    all_goals: Estimate | None = None
    steps: tuple[tuple[str, float], ...] = ()
    largest_stretch: float | None = None
    pay: float | None = None
    initiatives: float | None = None
    effort: tuple[tuple[str, float], ...] = ()
    used_up: tuple[str, ...] = ()

    @property
    def is_solved(self) -> bool:
        """Whether there is a plan."""
        return self.status == OPTIMAL

    @property
    def goals_met(self) -> int:
        """How many goals the plan meets."""
        return sum(goal.met for goal in self.goals)


@dataclass(frozen=True)
class SweepJob:
    """What is done with every point; it can be pickled.

    Attributes
    ----------
    path : Path
        The scenario file.
    overrides : tuple of str
        "path=value" for all points.
    simulate : bool
        Whether odds are estimated.
    allow_code : bool
        Whether the scenario's rules file may be run.
    files : tuple of (str, bytes)
        The scenario file and its inputs, named from the file's folder, for workers on machines that cannot read them.
    scenario : Scenario, optional
        Taken as it is instead of being read; only numbers that need no reading can then be changed.
    """

    path: Path
    variant: str | None = None
    overrides: tuple[str, ...] = ()
    solver: SolverOptions = field(default_factory=SolverOptions)
    simulate: bool = True
    allow_code: bool = False
    files: tuple[tuple[str, bytes], ...] = ()
    scenario: Scenario | None = None

    def prepare(self) -> Callable[[Point], PointResult]:
        """Return the function that answers a point, after loading the scenario and solving it once."""
        return PointSolver(self).answer


class PointSolver:
    """Answers the points of a sweep, from one live program and one set of draws."""

    def __init__(self, job: SweepJob) -> None:
        self._job = job
        self._own, path = _unpack(job)
        reader = FileReader(path, job.variant, job.overrides)
        base = job.scenario or reader()
        self._inputs = Inputs(base, reader if job.scenario is None else None)
        self._family = PlanFamily(base, job.solver, allow_code=job.allow_code)
        self._graph = self._family.cascade.graph
        self._redraw: Redraw | None = None
        self._drawn: tuple[CausalGraph, Floats, Floats, tuple[Estimate, ...], Estimate | None] | None = None

    @cached_property
    def _book(self) -> DrawBook | None:
        """The draws that all points have in common, made where the first of them needs odds."""
        return draw_book(self._graph, deadline=self._job.solver.deadline)

    def answer(self, point: Point) -> PointResult:
        """Solve one point.

        Raises
        ------
        KpioptError
            Where the point cannot be read or solved; that there is proved to be no plan is an answer.
        """
        self._job.solver.deadline.require("this point was begun")
        moved = self._inputs.written(as_mapping(point))
        try:
            planned = self._family.solve(self._family.pose(moved))
        except (InfeasibleProgram, Infeasible, NoPlan):
            return PointResult(point, INFEASIBLE)
        return self._result(point, planned)

    def _result(self, point: Point, planned: Planned) -> PointResult:
        cascade, x, spending = planned.cascade, planned.solution.x, planned.spending
        odds, together = self._odds(planned.graph, planned.stretch, planned.levels)
        return PointResult(
            point=point,
            status=OPTIMAL,
            goals=_goals(planned, odds),
            all_goals=together,
            steps=tuple((step.label, step.reached) for step in planned.solution.steps if step.name != "reference"),
            largest_stretch=_largest_stretch(cascade.columns, x),
            pay=spending.pay,
            initiatives=spending.initiatives,
            effort=_effort(cascade, x),
            used_up=_used_up(cascade, planned.solution),
        )

    def _odds(
        self, graph: CausalGraph, stretch: Floats, levels: Floats
    ) -> tuple[tuple[Estimate, ...] | None, Estimate | None]:
        """Return the odds of each goal and of all: from kept draws where these fit, else from a simulation."""
        if not self._job.simulate:
            return None, None
        self._job.solver.deadline.require("the odds of this point were drawn")
        if self._book is None or not self._book.fits(graph):
            found = simulate(graph, stretch, levels, deadline=self._job.solver.deadline)
            self._job.solver.deadline.require("the odds of this point were drawn")
            return tuple(goal.odds for goal in found.goals), found.all_goals
        return self._drawn_odds(self._book, graph, stretch, levels)

    def _drawn_odds(
        self, book: DrawBook, graph: CausalGraph, stretch: Floats, levels: Floats
    ) -> tuple[tuple[Estimate, ...], Estimate | None]:
        """Draw, unless the last plan was the same one with the same goals."""
        last = self._drawn
        if last is not None and _same_draws(last[0], graph):
            if np.array_equal(last[1], stretch) and np.array_equal(last[2], levels):
                return last[3], last[4]
        else:
            self._redraw = Redraw(graph, book)
        assert self._redraw is not None
        drawn = self._redraw.draw(stretch, levels)
        self._drawn = graph, stretch, levels, drawn.odds, drawn.all_goals
        return drawn.odds, drawn.all_goals


def _unpack(job: SweepJob) -> tuple[TemporaryDirectory[str] | None, Path]:
    """Return the scenario file; where this machine does not have it as it was packed, in a folder of its own."""
    if all(_holds(job.path.parent / name, content) for name, content in job.files):
        return None, job.path
    own = TemporaryDirectory(prefix="kpiopt-")
    for name, content in job.files:
        place = Path(own.name, name)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    return own, Path(own.name, job.path.name)


def _holds(path: Path, content: bytes) -> bool:
    try:
        with open_regular(path) as stream:
            return stream.read() == content
    except OSError:
        return False


def _same_draws(first: CausalGraph, second: CausalGraph) -> bool:
    """Whether two graphs share nodes and edges and their scenarios the goals."""
    a, b = first.scenario, second.scenario
    return first.tail is second.tail and first.coefficient is second.coefficient and a.goals == b.goals


def _goals(planned: Planned, odds: tuple[Estimate, ...] | None) -> tuple[GoalAtPoint, ...]:
    graph = planned.graph
    expected = graph.baseline + graph.expected_change(planned.stretch, planned.levels)
    promises = promise_results(planned.cascade, planned.stretch, planned.levels)
    short, met = about_odds(graph, *fall_short(graph, expected), promises)
    columns = planned.cascade.columns
    return tuple(
        GoalAtPoint(
            goal.id, goal.target, float(expected[node]), float(short[i]), bool(met[i]), odds[i] if odds else None
        )
        for i, (goal, node) in enumerate(zip(columns.goals, columns.goal_node.tolist(), strict=True))
    )


def _largest_stretch(columns: DecisionColumns, x: Floats) -> float | None:
    """Return sum_G n_G m_G / sum_G n_G of a plan, whether or not the order has the step "fairness"."""
    count, member = columns.peers.count, columns.peers.member
    if not len(count):
        return None
    largest, n_decided = np.zeros(len(count)), len(columns.decided)
    relative = np.bincount(columns.stretch_decided, columns.stretch.of(x) / columns.scale, n_decided)
    np.maximum.at(largest, columns.peers.group, relative[member])
    return float(largest @ count) / float(count.sum())


def _effort(cascade: Cascade, x: Floats) -> tuple[tuple[str, float], ...]:
    """Return what the whole organization uses of each resource that is effort: what cells need, or units have."""
    columns, scenario = cascade.columns, cascade.columns.scenario
    used = {resource for initiative in scenario.initiatives.values() for resource in initiative.resources}
    counted = counted_stretch(columns.graph, columns.stretch_of_cells(x))
    resources = [*scenario.cells.effort, *(r for r in scenario.units.capacity if r in used)]
    return tuple(
        (
            resource,
            dot(scenario.cells.effort.get(resource, np.zeros(len(counted))), counted)
            + float(use_of_levels(columns.graph, columns.level.of(x), resource).sum()),
        )
        for resource in dict.fromkeys(resources)
    )


def _used_up(cascade: Cascade, solution: Solution) -> tuple[str, ...]:
    """Return the limits of which nothing is left."""
    activity = solution.faces[0].matrix @ cascade.columns.counted(solution.x)
    used = ((limit, float(activity[limit.row]) + limit.base) for limit in cascade.limits)
    return tuple(limit.name for limit, use in used if is_used_up(limit.value, use))
