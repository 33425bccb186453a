"""The cascade: a causal graph becomes a linear program in three statements: columns, rows, objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kpiopt.graph import CausalGraph
from kpiopt.graph.capacities import season_of_capacity
from kpiopt.graph.effort import counted_stretch
from kpiopt.program.formulation.actions import add_action_rows
from kpiopt.program.formulation.blocks import Columns, LinearProgram, ProgramBuilder
from kpiopt.program.formulation.chosen import add_kpis_rows, add_spared_rows
from kpiopt.program.formulation.columns import DecisionColumns, add_columns
from kpiopt.program.formulation.constraints import (
    Limit,
    add_band_rows,
    add_bound_rows,
    add_budget_rows,
    add_capacity_rows,
    add_fairness_rows,
    add_goal_rows,
    add_lock_target_rows,
    add_mean_rows,
    add_met_rows,
    add_peer_rows,
    add_ramp_rows,
    add_range_rows,
    add_rank_rows,
    add_start_rows,
    add_total_rows,
    add_value_rows,
)
from kpiopt.program.formulation.effort import add_effort_curve_rows
from kpiopt.program.formulation.objectives import OBJECTIVES, RISK_OBJECTIVES, build_reference, hard_promises
from kpiopt.program.formulation.promises import Cuts, Promise, promises_of
from kpiopt.program.formulation.response import add_curve_rows, add_part_rows
from kpiopt.program.trust.arrays import Floats
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Budget, Scenario


@dataclass(frozen=True)
class VariantStep:
    """A step about goals of a variant that the plan is judged in.

    Attributes
    ----------
    variant, step : str
        Names of the variant and of its step, such as "lean" and "goals 1".
    alone : float
        What the variant could have for itself.
    cost : (n,) float
    offset : float
        The step over the columns of the joint program.
    """

    variant: str
    step: str
    alone: float
    cost: Floats
    offset: float


@dataclass(frozen=True)
class Cascade:
    """A program and what its columns and rows mean.

    Attributes
    ----------
    program : LinearProgram
        Columns stretch, level, change, response, shortfall, largest; rows value, curve, pieces, filled, goal,
        lock_target, total, bound, range, ramp, start, those of `actions` and `chosen`, effort_curve,
        capacity.<resource>, budget, fairness, mean, band, peers, rank.
    limits : tuple of Limit
        Capacities and budgets with their rows.
    cuts : Cuts
        What holds the plan to promised odds; a cascade as it is written has none of them yet.
    variants : tuple of VariantStep
        Of a robust plan: what the variants' goals come to in it.
    variant_limits : tuple of Limit
        Of a robust plan: the capacities and budgets of variants that are not the scenario's own, "budget.pay (lean)".
    variant_loads : tuple of (Columns, DecisionColumns)
        How effort counts stretch in each variant: its columns in the joint program, and what they are of.
    """

    program: LinearProgram
    columns: DecisionColumns
    limits: tuple[Limit, ...]
    cuts: Cuts = field(default_factory=Cuts)
    variants: tuple[VariantStep, ...] = ()
    variant_limits: tuple[Limit, ...] = ()
    variant_loads: tuple[tuple[Columns, DecisionColumns], ...] = ()

    def counted(self, x: Floats) -> Floats:
        """Return a point with the effort of each stretch at what it comes to, in variants as well."""
        settled = self.columns.counted(x)
        if self.variant_loads:
            settled, stretch = settled.copy(), self.columns.stretch_of_cells(x)
            for block, columns in self.variant_loads:
                cell = columns.stretch_cell[columns.effort.loaded]
                settled[block.positions] = counted_stretch(columns.graph, stretch)[cell]
        return settled

    @property
    def promises(self) -> tuple[Promise, ...]:
        """What the plan is held to over draws."""
        return promises_of(self.columns, self.cuts.odds)

    @property
    def graph(self) -> CausalGraph:
        """The graph the program was written for."""
        return self.columns.graph


def build_cascade(graph: CausalGraph) -> Cascade:
    """Write the program of a scenario's graph."""
    build = ProgramBuilder(graph.scenario.name)
    columns = add_columns(build, graph)
    add_value_rows(build, columns)
    add_curve_rows(build, columns.responses, columns.change)
    add_part_rows(build, columns.responses, columns.change)
    add_goal_rows(build, columns)
    add_met_rows(build, columns)
    add_lock_target_rows(build, columns)
    add_total_rows(build, columns)
    add_bound_rows(build, columns)
    add_range_rows(build, columns)
    add_ramp_rows(build, columns)
    add_start_rows(build, columns)
    add_action_rows(build, graph, columns.actions, columns.level)
    stretch_base = columns.decided[columns.stretch_decided]
    add_spared_rows(build, graph, columns.spared, columns.stretch, stretch_base)
    add_kpis_rows(build, graph, columns.spared)
    add_effort_curve_rows(build, graph, columns.effort, columns.stretch, columns.stretch_cell)
    limits = [*add_capacity_rows(build, columns), *add_budget_rows(build, columns)]
    add_fairness_rows(build, columns)
    add_mean_rows(build, columns)
    add_band_rows(build, columns)
    add_peer_rows(build, columns)
    add_rank_rows(build, columns)
    order = [step for step in graph.scenario.decide.order if step != "reference"]
    steps = {**OBJECTIVES, **RISK_OBJECTIVES}
    objectives = hard_promises(columns, build.n_columns)
    objectives += [o for step in order for o in steps[step](columns, build.n_columns)]
    program = build.finish(objectives, build_reference(columns, build.n_columns))
    return Cascade(program, columns, tuple(limits))


def move_limits(cascade: Cascade, scenario: Scenario) -> Cascade:
    """Return the program of a scenario that differs in limits of budgets and capacities only, without writing it again.

    Parameters
    ----------
    scenario : Scenario
        With the budgets and the units with capacities that the cascade's scenario has.
    """
    before, after = cascade.graph.scenario.units.capacity, scenario.units.capacity
    amounts = {f"capacity.{r}": amount.tolist() for r, amount in after.items() if amount is not before[r]}
    rows, moved, first = [], list(cascade.limits), {limit.row: i for i, limit in enumerate(cascade.limits)}
    for block in cascade.program.rows:
        if block.name == "budget" or block.name in amounts:
            upper = block.upper.copy()
            for position, row in enumerate(block.positions.tolist()):
                old = moved[first[row]]
                is_capacity = block.name in amounts
                amount = _capacity(scenario, old, amounts[block.name]) if is_capacity else _budget(scenario, old).limit
                moved[first[row]] = Limit(old.name, old.resource, old.unit, amount, old.base, row)
                upper[position] = amount - old.base
            block = replace(block, upper=upper)
        rows.append(block)
    columns = replace(cascade.columns, graph=replace(cascade.graph, scenario=scenario))
    return replace(cascade, program=replace(cascade.program, rows=tuple(rows)), columns=columns, limits=tuple(moved))


def _capacity(scenario: Scenario, limit: Limit, amounts: Sequence[float]) -> float:
    """Return what a unit has of a resource, in the limit's period where it is about one."""
    if scenario.periods is None:
        return amounts[limit.unit]
    period = scenario.periods.position[limit.name.rpartition("/")[2]]
    return amounts[limit.unit] * float(season_of_capacity(scenario, limit.resource, np.array([limit.unit]))[period, 0])


def _budget(scenario: Scenario, limit: Limit) -> Budget:
    return scenario.budgets[split_period(scenario.periods, limit.name)[0].removeprefix("budget.")]
