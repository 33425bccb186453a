"""A sweep: one scenario solved for many values of some of its numbers.

A worker loads the scenario once, solves it once (the anchor), draws once, and answers each point from there. A point's
answer depends on the job and the point alone, never on what was answered before it or by whom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from kpiopt.errors import Infeasible, KpioptError
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.program.formulation.cascade import Cascade, build_cascade, move_budgets
from kpiopt.program.formulation.columns import DecisionColumns
from kpiopt.program.formulation.objectives import money_per_level
from kpiopt.program.formulation.rules_file import apply_rules
from kpiopt.program.order.live_program import LiveProgram
from kpiopt.program.order.steps import InfeasibleProgram, Solution
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import dot
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.resolve.patch import patch_scenario
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation import Estimate, simulate
from kpiopt.simulation.hits import fall_short
from kpiopt.simulation.redraw import DrawBook, Redraw, draw_book
from kpiopt.studies.sweep.axes import Point, as_mapping

OPTIMAL, INFEASIBLE = "optimal", "infeasible"
BINDING = 1e-9


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
    point : Point
    status : str
        "optimal", or "infeasible": proved.
    goals : tuple of GoalAtPoint
    all_goals : Estimate or None
    steps : tuple of (str, float)
        Value of each step of the order but the last; steps with a slack give up a part of it afterwards.
    largest_stretch : float or None
        Largest relative stretch among peers in the plan itself, the groups weighted by their size; None without any
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
    variant : str or None
    overrides : tuple of str
        "path=value" for all points.
    solver : SolverOptions
    simulate : bool
        Whether odds are estimated.
    allow_code : bool
        Whether the scenario's rules file may be run.
    files : tuple of (str, bytes)
        The scenario file and its inputs, named from the file's folder, for workers on machines that cannot read them.
    """

    path: Path
    variant: str | None = None
    overrides: tuple[str, ...] = ()
    solver: SolverOptions = field(default_factory=SolverOptions)
    simulate: bool = True
    allow_code: bool = False
    files: tuple[tuple[str, bytes], ...] = ()

    def prepare(self) -> Callable[[Point], PointResult]:
        """Return the function that answers a point, after loading the scenario and solving it once."""
        return PointSolver(self).answer


class PointSolver:
    """Answers the points of a sweep, from one live program and one set of draws.

    Parameters
    ----------
    job : SweepJob
    """

    def __init__(self, job: SweepJob) -> None:
        self._job = job
        self._own, self._path = _unpack(job)
        self._base = load_scenario(self._path, variant=job.variant, overrides=job.overrides)
        self._graph = build_graph(self._base)
        self._cascade = self._write(self._graph)
        self._live = self._open()
        self._book = draw_book(self._graph) if job.simulate else None
        self._redraw: Redraw | None = None
        self._drawn: tuple[CausalGraph, Floats, Floats, tuple[Estimate, ...], Estimate | None] | None = None

    def _open(self) -> LiveProgram | None:
        """Solve the scenario as it stands; None where it has no plan to start from."""
        try:
            return LiveProgram(self._cascade.program, self._job.solver)
        except (KpioptError, InfeasibleProgram):
            return None

    def _write(self, graph: CausalGraph) -> Cascade:
        return apply_rules(build_cascade(graph), allow_code=self._job.allow_code)

    def answer(self, point: Point) -> PointResult:
        """Solve one point.

        Raises
        ------
        KpioptError
            Where the point cannot be read or solved; that there is proved to be no plan is an answer.
        """
        self._job.solver.deadline.require("this point was begun")
        cascade = self._cascade_at(point)
        try:
            solution = self._live.solve(cascade.program) if self._live else self._solve_fresh(cascade)
        except (InfeasibleProgram, Infeasible):
            return PointResult(point, INFEASIBLE)
        return self._result(point, cascade, solution)

    def _solve_fresh(self, cascade: Cascade) -> Solution:
        return solve_program(cascade.program, self._job.solver)

    def _cascade_at(self, point: Point) -> Cascade:
        """Return a point's program: patched where its numbers are plain, else written from the file read again."""
        patched = patch_scenario(self._base, as_mapping(point))
        if patched is None:
            overrides = (*self._job.overrides, *point.overrides)
            scenario = load_scenario(self._path, variant=self._job.variant, overrides=overrides)
            return self._write(build_graph(scenario))
        if patched.goals is self._base.goals and self._base.rules is None:
            return move_budgets(self._cascade, {b.id: b.limit for b in patched.budgets.values()})
        return self._write(replace(self._graph, scenario=patched))

    def _result(self, point: Point, cascade: Cascade, solution: Solution) -> PointResult:
        columns, x = cascade.columns, solution.x
        stretch, levels = columns.stretch_of_cells(x), columns.level.of(x)
        expected = cascade.graph.baseline + cascade.graph.expected_change(stretch, levels)
        odds, together = self._odds(cascade.graph, stretch, levels)
        return PointResult(
            point=point,
            status=OPTIMAL,
            goals=_goals(cascade, expected, odds),
            all_goals=together,
            steps=tuple((step.label, step.value) for step in solution.steps if step.name != "reference"),
            largest_stretch=_largest_stretch(columns, x),
            pay=columns.pay_at_plan(x),
            initiatives=dot(money_per_level(columns), levels),
            effort=_effort(cascade, x),
            used_up=_used_up(cascade, solution),
        )

    def _odds(
        self, graph: CausalGraph, stretch: Floats, levels: Floats
    ) -> tuple[tuple[Estimate, ...] | None, Estimate | None]:
        """Return the odds of each goal and of all: from kept draws where these fit, else from a simulation."""
        if not self._job.simulate:
            return None, None
        self._job.solver.deadline.require("the odds of this point were drawn")
        if self._book is None or not self._book.fits(graph):
            found = simulate(graph, stretch, levels)
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
        return path.read_bytes() == content
    except OSError:
        return False


def _same_draws(first: CausalGraph, second: CausalGraph) -> bool:
    """Whether two graphs share nodes and edges and their scenarios the goals."""
    a, b = first.scenario, second.scenario
    return first.tail is second.tail and first.coefficient is second.coefficient and a.goals == b.goals


def _goals(cascade: Cascade, expected: Floats, odds: tuple[Estimate, ...] | None) -> tuple[GoalAtPoint, ...]:
    short, met = fall_short(cascade.graph, expected)
    at = cascade.columns.goal_node.tolist()
    return tuple(
        GoalAtPoint(
            goal.id, goal.target, float(expected[at[i]]), float(short[i]), bool(met[i]), odds[i] if odds else None
        )
        for i, goal in enumerate(cascade.columns.goals)
    )


def _largest_stretch(columns: DecisionColumns, x: Floats) -> float | None:
    """Return sum_G n_G m_G / sum_G n_G of a plan, whether or not the order has the step "fairness"."""
    count, member = columns.peers.count, columns.peers.member
    if not len(count):
        return None
    largest = np.zeros(len(count))
    np.maximum.at(largest, columns.peers.group, (columns.stretch.of(x) / columns.scale)[member])
    return float(largest @ count) / float(count.sum())


def _effort(cascade: Cascade, x: Floats) -> tuple[tuple[str, float], ...]:
    """Return what the whole organization uses of each resource that is effort: what cells need, or units have."""
    columns, scenario = cascade.columns, cascade.columns.scenario
    used = {resource for initiative in scenario.initiatives.values() for resource in initiative.uses}
    resources = [*scenario.cells.effort, *(r for r in scenario.units.capacity if r in used)]
    return tuple(
        (
            resource,
            dot(columns.effort_per_stretch(resource), columns.stretch.of(x))
            + dot(columns.use_per_level(resource), columns.level.of(x)),
        )
        for resource in dict.fromkeys(resources)
    )


def _used_up(cascade: Cascade, solution: Solution) -> tuple[str, ...]:
    """Return the limits of which nothing is left."""
    activity = solution.faces[0].matrix @ solution.x
    used = ((limit, float(activity[limit.row]) + limit.base) for limit in cascade.limits)
    return tuple(limit.name for limit, use in used if limit.value - use <= BINDING * max(1.0, abs(limit.value)))
