"""The cascade: a causal graph becomes a linear program in three statements: columns, rows, objectives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.graph import CausalGraph
from kpiopt.program.formulation.blocks import LinearProgram, ProgramBuilder, Rows
from kpiopt.program.formulation.columns import DecisionColumns, add_columns
from kpiopt.program.formulation.constraints import (
    Limit,
    add_bound_rows,
    add_budget_rows,
    add_capacity_rows,
    add_fairness_rows,
    add_goal_rows,
    add_lock_target_rows,
    add_total_rows,
    add_value_rows,
)
from kpiopt.program.formulation.objectives import OBJECTIVES, build_reference


@dataclass(frozen=True)
class Cascade:
    """A program and what its columns and rows mean.

    Attributes
    ----------
    program : LinearProgram
        Columns stretch, level, change, shortfall, largest; rows value, goal, lock_target, total, bound,
        capacity.<resource>, budget, fairness.
    columns : DecisionColumns
    limits : tuple of Limit
        Capacities and budgets with their rows.
    """

    program: LinearProgram
    columns: DecisionColumns
    limits: tuple[Limit, ...]

    @property
    def graph(self) -> CausalGraph:
        """The graph the program was written for."""
        return self.columns.graph


def build_cascade(graph: CausalGraph) -> Cascade:
    """Write the program of a scenario's graph."""
    build = ProgramBuilder(graph.scenario.name)
    columns = add_columns(build, graph)
    add_value_rows(build, columns)
    add_goal_rows(build, columns)
    add_lock_target_rows(build, columns)
    add_total_rows(build, columns)
    add_bound_rows(build, columns)
    limits = [*add_capacity_rows(build, columns), *add_budget_rows(build, columns)]
    add_fairness_rows(build, columns)
    order = [step for step in graph.scenario.decide.order if step != "reference"]
    objectives = [o for step in order for o in OBJECTIVES[step](columns, build.n_columns)]
    program = build.finish(objectives, build_reference(columns, build.n_columns))
    return Cascade(program, columns, tuple(limits))


def move_budgets(cascade: Cascade, limits: Mapping[str, float]) -> Cascade:
    """Return the same program with other limits of some budgets, without writing it again.

    Parameters
    ----------
    limits : mapping of str to float
        Budget id -> limit, for budgets of the scenario; the scenario behind the graph stays as it was.
    """
    moved = tuple(
        replace(limit, value=limits.get(limit.name.removeprefix("budget."), limit.value)) if is_budget else limit
        for limit, is_budget in ((limit, limit.name.startswith("budget.")) for limit in cascade.limits)
    )
    side = {limit.row: limit.value - limit.base for limit in moved}

    def with_sides(block: Rows) -> Rows:
        return replace(block, upper=np.array([side[row] for row in block.positions.tolist()]))

    rows = tuple(with_sides(block) if block.name == "budget" else block for block in cascade.program.rows)
    return replace(cascade, program=replace(cascade.program, rows=rows), limits=moved)
