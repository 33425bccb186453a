"""Plans of many scenarios that differ from one in numbers: each is solved from where the first one's solution is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from kpiopt.errors import Infeasible, KpioptError, LimitReached, Problem, Unbounded, Uncertified
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.plan import Plan, build_plan
from kpiopt.program.formulation.blocks import LinearProgram
from kpiopt.program.formulation.cascade import Cascade, move_limits
from kpiopt.program.order.infeasible import explain_infeasible
from kpiopt.program.order.live_program import LiveProgram
from kpiopt.program.order.steps import InfeasibleProgram, Solution
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.run.over_assign import over_assign
from kpiopt.run.program import write_program
from kpiopt.run.promised import solve_with_promises
from kpiopt.run.run import Spending
from kpiopt.run.solve import plan_spending
from kpiopt.scenario.scenario import Floats, Scenario

NO_PLAN = (Infeasible, Uncertified, Unbounded)

TOLD = frozenset({"document", "files", "warnings", "source", "sweep", "variants", "variant", "relax"})
LIMITS = TOLD | {"budgets", "units.capacity"}
OUTSIDE_GRAPH = LIMITS | {"goals", "pay_plans", "decide", "simulation", "odds", "correlation", "units.target_incentive"}
"""Parts of a scenario that say nothing to the program, that are limits in it, and that neither nodes nor edges hold."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Planned:
    """A scenario with its plan."""

    cascade: Cascade
    solution: Solution

    @cached_property
    def plan(self) -> Plan:
        """The plan with its rounded targets, without odds."""
        return over_assign(build_plan(self.graph, self.stretch, self.levels))[0]

    @cached_property
    def stretch(self) -> Floats:
        """Stretch of every cell, (n_cells,) float."""
        return self.cascade.columns.stretch_of_cells(self.solution.x)

    @property
    def spending(self) -> Spending:
        """Pay at plan, and what initiatives take from other budgets that are money."""
        return plan_spending(self.cascade, self.solution)

    @property
    def levels(self) -> Floats:
        """Levels of initiatives, (n_levels,) float."""
        return self.cascade.columns.level.of(self.solution.x)

    @property
    def target(self) -> Floats:
        """Rounded targets, (n_nodes,) float."""
        return self.plan.target

    @property
    def graph(self) -> CausalGraph:
        """The scenario's graph."""
        return self.cascade.graph

    @property
    def scenario(self) -> Scenario:
        """The scenario."""
        return self.cascade.graph.scenario


class NoPlan(Exception):
    """A scenario that has no plan, or none that could be proved; `problem` says why, `is_open` that it is not known."""

    def __init__(self, problem: Problem, *, is_open: bool = False) -> None:
        super().__init__(problem.message)
        self.problem, self.is_open = problem, is_open


@dataclass(frozen=True)
class FamilySettings:
    """How the plans of a family are made, wherever that is: the solver's options, and whether rules files may run."""

    options: SolverOptions
    allow_code: bool


class PlanFamily:
    """Plans one scenario, and then others that differ in numbers; nothing is solved before a plan is asked for.

    Parameters
    ----------
    allow_code : bool
        Whether the scenario's rules file may be run.
    progress : callable, optional
    """

    def __init__(
        self,
        scenario: Scenario,
        options: SolverOptions | None = None,
        *,
        allow_code: bool = False,
        progress: Progress = lambda _: None,
    ) -> None:
        self.scenario, self._options = scenario, options or SolverOptions()
        self._allow_code, self._progress = allow_code, progress
        self.cascade = self._write(build_graph(scenario))

    @property
    def settings(self) -> FamilySettings:
        """How these plans are made."""
        return FamilySettings(self._options, self._allow_code)

    def _write(self, graph: CausalGraph) -> Cascade:
        return write_program(graph, self._options, allow_code=self._allow_code)

    @cached_property
    def _live(self) -> LiveProgram:
        return LiveProgram(self.cascade.program, self._options, self._progress)

    @cached_property
    def base(self) -> Planned:
        """The plan of the scenario itself.

        Raises
        ------
        Infeasible, Unbounded, Uncertified, LimitReached
            Where it has none.
        """
        try:
            if self.cascade.promises:
                return Planned(*solve_with_promises(self.cascade, self._options, self._progress))
            return Planned(self.cascade, self._live.solution)
        except InfeasibleProgram as failure:
            raise explain_infeasible(self.cascade, failure.certificate, failure.ray, self._options) from None

    def pose(self, scenario: Scenario) -> Cascade:
        """Write the program of a scenario; what it shares with the first one is not written again.

        Where only limits have moved, rows get other sides. Where what has moved is in neither nodes nor edges, these
        are kept.

        Raises
        ------
        NoPlan
            Where one of the variants that a robust plan is judged in has none.
        """
        try:
            return self._posed(scenario)
        except Infeasible as error:
            raise NoPlan(error.problems[0]) from None

    def _posed(self, scenario: Scenario) -> Cascade:
        if _moved(self.scenario, scenario) <= LIMITS and scenario.rules is None:
            return move_limits(self.cascade, scenario)
        if _moved(self.scenario, scenario) <= OUTSIDE_GRAPH:
            return self._write(replace(self.cascade.graph, scenario=scenario))
        return self._write(replace(build_graph(scenario), kept=self.cascade.graph.kept))

    def solve(self, cascade: Cascade) -> Planned:
        """Solve another program of the family from where the first one's solution is, if it has any.

        Raises
        ------
        InfeasibleProgram, Unbounded, Uncertified, LimitReached
        """
        if cascade.promises or self.cascade.promises:
            return Planned(*solve_with_promises(cascade, self._options))
        return Planned(cascade, self._solve(cascade.program))

    def _solve(self, program: LinearProgram) -> Solution:
        try:
            live = self._live
        except (KpioptError, InfeasibleProgram):
            self._options.deadline.require("this plan was begun")
            return solve_program(program, self._options)
        first = self.cascade.program
        if self._is_same(program):
            return live.solution
        if program.n_columns == first.n_columns and np.any(self._arrays.integer):
            return solve_program(program, self._options, near=live.solution)
        return live.solve(program)

    @cached_property
    def _arrays(self) -> ProgramArrays:
        return self.cascade.program.arrays()

    def plan(self, cascade: Cascade) -> Planned:
        """Solve another scenario's program; the answer is that of a solution from scratch.

        Raises
        ------
        NoPlan
        LimitReached
            Where the time is up.
        """
        return self._solved(cascade, self.solve)

    def plan_afresh(self, cascade: Cascade) -> Planned:
        """Solve another scenario's program from scratch, as a second opinion.

        Raises
        ------
        NoPlan
        LimitReached
            Where the time is up.
        """
        return self._solved(cascade, lambda posed: Planned(*solve_with_promises(posed, self._options)))

    def _solved(self, cascade: Cascade, solve: Callable[[Cascade], Planned]) -> Planned:
        try:
            return solve(cascade)
        except InfeasibleProgram:
            raise NoPlan(Problem("E-infeasible", "the limits leave no plan")) from None
        except NO_PLAN as error:
            raise NoPlan(error.problems[0], is_open=isinstance(error, Uncertified)) from None
        except LimitReached as error:  # a search that ends without a proof costs the others nothing
            if self._options.deadline.is_over:
                raise
            raise NoPlan(error.problems[0], is_open=True) from None

    def _is_same(self, program: LinearProgram) -> bool:
        """Whether a program is the first one, number by number."""
        ours, theirs, first = self._arrays, program.arrays(), self.cascade.program
        if ours.matrix.shape != theirs.matrix.shape or len(first.objectives) != len(program.objectives):
            return False
        pairs = [
            (ours.matrix.indptr, theirs.matrix.indptr),
            (ours.matrix.indices, theirs.matrix.indices),
            (ours.matrix.data, theirs.matrix.data),
            (ours.row_lower, theirs.row_lower),
            (ours.row_upper, theirs.row_upper),
            (ours.column_lower, theirs.column_lower),
            (ours.column_upper, theirs.column_upper),
            (ours.integer, theirs.integer),
        ]
        steps = list(zip(first.objectives, program.objectives, strict=True))
        pairs += [(a.cost, b.cost) for a, b in steps]
        if first.reference is not None and program.reference is not None:
            pairs += [(first.reference.weight, program.reference.weight)]
            pairs += [(first.reference.centre, program.reference.centre)]
        return all(np.array_equal(a, b) for a, b in pairs) and all(
            (a.label, a.slack, a.offset) == (b.label, b.slack, b.offset) for a, b in steps
        )


def _moved(first: Scenario, second: Scenario) -> set[str]:
    """Return the parts that two scenarios do not share, those of the units one by one."""
    apart = {f.name for f in fields(Scenario) if getattr(first, f.name) is not getattr(second, f.name)}
    if "units" not in apart:
        return apart
    a, b = first.units, second.units
    return apart - {"units"} | {f"units.{f.name}" for f in fields(a) if getattr(a, f.name) is not getattr(b, f.name)}
