"""The decisions of the cascade as columns of the program, and the index arrays that tell what each column means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph
from kpiopt.graph.effort import counted_stretch
from kpiopt.graph.initiative_use import setup_use
from kpiopt.program.formulation.actions import ActionColumns, add_switches
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder
from kpiopt.program.formulation.chosen import add_spared, chosen_cells
from kpiopt.program.formulation.compared import Compared, FairColumns, add_fair, compare
from kpiopt.program.formulation.effort import EffortColumns, add_loads
from kpiopt.program.formulation.elimination import (
    Elimination,
    change_interval,
    eliminate,
    nodes_at_risk,
    stretch_range,
)
from kpiopt.program.formulation.response import ResponseColumns, add_responses
from kpiopt.program.trust.arrays import dot
from kpiopt.scenario.bounds import ROUNDING, closed, is_above
from kpiopt.scenario.peers import PeerGroups, peer_groups
from kpiopt.scenario.scenario import Floats, Goal, Integers, Scenario
from kpiopt.scenario.settings import RISK_STEPS

TOGETHER = "all goals"
"""What a promise about several goals is called."""


@dataclass(frozen=True)
class DecisionColumns:
    """All columns of a cascade.

    Attributes
    ----------
    stretch : Columns
        x_n, one for each cell with a decision.
    stretch_cell, stretch_unit, stretch_kpi, stretch_node : (n_stretch,) int
        Cell, unit and KPI of each stretch column, and the node that it changes first.
    decided : (n_decided,) int
        The rows of `scenario.horizon` with a decision: those of the stretch columns, where there are no periods.
    stretch_decided, stretch_period : (n_stretch,) int
        Position in `decided` and period of each stretch column.
    scale : (n_stretch,) float
        w_n = max(|b_n|, step).
    effort : EffortColumns
        How effort counts each stretch.
    level : Columns
        a_l, one for each initiative, deciding unit and start (order of `graph.level_node`).
    actions : ActionColumns
        Whether those run that are more than a level.
    change : Columns
        delta_h, one for each hub of `ways`.
    responses : ResponseColumns
        What curves make of the changes that reach them.
    shortfall : Columns
        f_g, one for each goal that is not hard; a hard goal with promised odds has one as well, which has to be 0.
    together : Columns
        t, what all goals lack together of their promised odds, as a share of each one's scale; empty without.
    risk : Columns
        What the steps "odds" and "cvar" minimise, one for each of them in the order.
    missed : Columns
        z_g, whether a goal is missed, for the step "met"; empty without it.
    spared : Columns
        s_n, whether a unit is spared a cell, where the plan chooses KPIs (order of `scenario.chosen.cell`).
    fair : FairColumns
        What is compared between peers, and the columns that say how it turns out.
    fixed : (n_fixed,) int
        Positions in `decided` whose target is locked while effects on it are still open.
    at_risk : (n_at_risk,) int
        Nodes whose value could leave its KPI's bounds, as far as interval arithmetic tells.
    goals : tuple of Goal
        All goals in order of appearance; `soft` are the positions of those with a shortfall.
    goal_node, goal_hub : (n_goals,) int
        Node of each goal, and its position among the hubs.
    goal_scale : (n_goals,) float
        |target - baseline|, where that is 0 |target|, else 1.
    """

    graph: CausalGraph
    stretch: Columns
    stretch_cell: Integers
    stretch_unit: Integers
    stretch_kpi: Integers
    stretch_node: Integers
    decided: Integers
    stretch_decided: Integers
    stretch_period: Integers
    scale: Floats
    effort: EffortColumns
    level: Columns
    actions: ActionColumns
    change: Columns
    ways: Elimination
    responses: ResponseColumns
    shortfall: Columns
    together: Columns
    risk: Columns
    missed: Columns
    spared: Columns
    fair: FairColumns
    peers: PeerGroups
    fixed: Integers
    at_risk: Integers
    goals: tuple[Goal, ...]
    soft: Integers
    goal_node: Integers
    goal_hub: Integers
    goal_scale: Floats

    @property
    def scenario(self) -> Scenario:
        """The scenario behind the graph."""
        return self.graph.scenario

    @property
    def largest(self) -> Columns:
        """m_G, one for each peer group; empty where the order has no step "fairness"."""
        return self.fair.largest

    @property
    def compared(self) -> Compared:
        """What is compared between peers."""
        return self.fair.compared

    @property
    def on_average(self) -> Integers:
        """Positions of the goals that are about plan values, in the order of the rows `goal`."""
        return np.array([i for i, goal in enumerate(self.goals) if goal.p_min is None], dtype=np.int64)

    @property
    def soft_goals(self) -> tuple[Goal, ...]:
        """Goals that may fall short, in the order of the shortfall columns."""
        return tuple(self.goals[i] for i in self.soft.tolist())

    def stretch_of_cells(self, x: Floats) -> Floats:
        """Return the stretch of every cell, 0 where it has no decision, (n_cells,) float."""
        stretch = np.zeros(len(self.scenario.cells))
        stretch[self.stretch_cell] = self.stretch.of(x)
        off = chosen_cells(self.graph)[self.spared.of(x) > 0.5]
        stretch[np.isin(self.scenario.cell_base, off)] = 0.0  # and not the dust of a solver
        return stretch

    def use_per_level(self, resource: str, period: int | None = None) -> Floats:
        """Return the use of a resource per unit of each level, in all periods or in one, (n_levels,) float."""
        return self.graph.use_per_level(resource, period)

    def setup_use(self, resource: str, period: int | None = None) -> Floats:
        """Return what each switched initiative uses of a resource once, (n_switched,) float."""
        return setup_use(self.graph, resource, period)[self.actions.level]

    @property
    def per_stretch(self) -> Floats:
        """Change of its node per unit of each stretch, before execution, (n_stretch,) float."""
        return self.graph.per_stretch[self.stretch_cell]

    def effort_per_stretch(self, resource: str) -> Floats:
        """Return the effort per unit of each stretch, (n_stretch,) float."""
        effort = self.scenario.cells.effort.get(resource)
        return (
            np.zeros(len(self.stretch))
            if effort is None
            else np.where(self.is_given_up, 0.0, effort[self.stretch_cell] * self.effort.factor)
        )

    def effort_per_load(self, resource: str) -> Floats:
        """Return the effort per unit of each y_n, (n_stretch,) float by stretch; 0 where there is none."""
        effort = self.scenario.cells.effort.get(resource, np.zeros(len(self.scenario.cells)))[self.stretch_cell]
        return np.where(self.has_load, effort, 0.0)

    @cached_property
    def has_load(self) -> NDArray[np.bool_]:
        """Whether effort counts a stretch by its y_n, (n_stretch,) bool."""
        return np.isin(np.arange(len(self.stretch)), self.effort.loaded)

    def counted(self, x: Floats) -> Floats:
        """Return a point with each y_n at what its stretch comes to; where no limit asks, a solution may have more."""
        if not len(self.effort.loaded):
            return x
        settled, counted = x.copy(), counted_stretch(self.graph, self.stretch_of_cells(x))
        settled[self.effort.load.positions] = counted[self.stretch_cell[self.effort.loaded]]
        return settled

    @property
    def pay_rate(self) -> Floats:
        """Pay per unit of each stretch, (n_stretch,) float; 0 where not given."""
        return np.where(self.is_given_up, 0.0, np.nan_to_num(self.scenario.cells.pay_rate[self.stretch_cell]))

    @property
    def is_given_up(self) -> NDArray[np.bool_]:
        """Whether a stretch is locked below 0: certain, without effort and pay, (n_stretch,) bool."""
        return np.asarray((self.stretch.lower < 0.0) & (self.stretch.upper <= 0.0))

    @property
    def execution(self) -> Floats:
        """Mean execution of each stretch, (n_stretch,) float."""
        return np.where(self.is_given_up, 1.0, self.graph.execution_mean[self.stretch_cell])

    def pay_at_plan(self, x: Floats) -> float:
        """Return sum incentive_u + sum pay_rate_n x_n + initiatives' use of pay, of the whole organization."""
        incentives = float(np.nansum(self.scenario.units.target_incentive))
        levels = dot(self.use_per_level("pay"), self.level.of(x))
        levels += dot(self.setup_use("pay"), self.actions.on.of(x))
        return incentives + dot(self.pay_rate, self.stretch.of(x)) + levels


def add_columns(build: ProgramBuilder, graph: CausalGraph) -> DecisionColumns:
    """Add all columns of a cascade."""
    scenario = graph.scenario
    cell = np.flatnonzero(scenario.cells.has_decision)
    unit, kpi, node = scenario.cells.unit[cell], scenario.cells.kpi[cell], graph.entry_node[cell]
    decided, of_decided = np.unique(scenario.cell_base[cell], return_inverse=True)
    stretch = add_stretch(build, graph, cell)
    level = add_levels(build, graph)
    goals = tuple(scenario.goals.values())
    goal_node = np.array([graph.goal_node(g) for g in goals], dtype=np.int64)
    fixed = _open_locks(scenario, decided, of_decided, stretch)
    at_risk = nodes_that_may_leave(graph)
    held = _held_nodes(graph, node, graph.whole_node[decided[fixed]], at_risk)
    ways = eliminate(graph, np.unique(np.concatenate([goal_node, held])))
    change = add_changes(build, graph, ways, cell, stretch, level)
    goal_hub = np.searchsorted(ways.hub, goal_node)
    goal_scale = scale_of_goals(goals, graph.baseline[goal_node])
    soft = np.array([i for i, goal in enumerate(goals) if not goal.hard or goal.p_min is not None], dtype=np.int64)
    peers = peer_groups(scenario, decided, np.flatnonzero(~scenario.horizon.is_locked[decided]))
    return DecisionColumns(
        graph=graph,
        stretch=stretch,
        stretch_cell=cell,
        stretch_unit=unit,
        stretch_kpi=kpi,
        stretch_node=node,
        decided=decided,
        stretch_decided=of_decided,
        stretch_period=scenario.cell_period[cell],
        scale=graph.stretch_scale[cell],
        level=level,
        change=change,
        ways=ways,
        responses=add_responses(build, graph, ways, change, _wanted(graph, goals, ways, goal_hub, held)),
        shortfall=add_shortfalls(build, graph, goals, soft, goal_node, goal_scale, change, goal_hub),
        together=shared_shortfall(build, scenario),
        risk=risk_of_steps(build, scenario),
        fair=add_fair(build, scenario, compare(graph, peers, decided, of_decided, stretch, level)),
        actions=add_switches(build, graph, level),
        missed=add_missed(build, scenario, goals, soft),
        spared=add_spared(build, graph),
        effort=add_loads(build, graph, cell, stretch),
        peers=peers,
        fixed=fixed,
        at_risk=at_risk,
        goals=goals,
        soft=soft,
        goal_node=goal_node,
        goal_hub=goal_hub,
        goal_scale=goal_scale,
    )


def _open_locks(scenario: Scenario, decided: Integers, of_decided: Integers, stretch: Columns) -> Integers:
    """Return which decided cells have a locked target of which effects leave an amount that is still open."""
    is_open = np.bincount(of_decided, stretch.upper - stretch.lower, len(decided)) > 0.0
    return np.flatnonzero(~np.isnan(scenario.horizon.fixed_target[decided]) & is_open)


def _held_nodes(graph: CausalGraph, node: Integers, locked: Integers, at_risk: Integers) -> Integers:
    """Return the nodes of which a row holds the value itself: locked targets, and bounds of what others move."""
    totals = graph.scenario.totals
    promised = graph.whole_node[totals.cell[~np.isnan(totals.target)]]
    alone = np.isin(at_risk, node) & (graph.topological_level[at_risk] == 0)
    return np.concatenate([locked, promised, at_risk[~alone]])


def _wanted(
    graph: CausalGraph, goals: tuple[Goal, ...], ways: Elimination, goal_hub: Integers, held: Integers
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether more and whether less of each hub's change may help: goals want one way, what is held both, (n_hubs,).

    Rules of the planner's own may ask anything of any hub.
    """
    more, less = np.full((2, len(ways.hub)), graph.scenario.rules is not None)
    sign = graph.sign[ways.hub[goal_hub]] if goals else np.empty(0)
    more[goal_hub[sign > 0]] = True
    less[goal_hub[sign < 0]] = True
    at = np.searchsorted(ways.hub, held)
    more[at], less[at] = True, True
    return more, less


def nodes_that_may_leave(graph: CausalGraph) -> Integers:
    """Return the nodes whose value could leave its KPI's bounds, as far as interval arithmetic tells."""
    if not len(graph.bounded):
        return graph.bounded
    ranges = level_range(graph)
    return nodes_at_risk(graph, *change_interval(graph, stretch_range(graph, ranges), ranges))


def add_stretch(build: ProgramBuilder, graph: CausalGraph, cell: Integers) -> Columns:
    """x_n in [min_stretch_n, max_stretch_n];  a lock fixes x_n = lock_n, a lock_target what effects leave of it."""
    node = graph.cell_node[cell]
    lower, upper = closed(*(bound[cell] for bound in stretch_range(graph, level_range(graph))))
    return build.add_columns("stretch", lower, upper, lambda i: graph.node_name(int(node[i])))


def add_levels(build: ProgramBuilder, graph: CausalGraph) -> Columns:
    """a_l in [0, max_l], a whole number where the initiative says so."""
    whole = np.array([*(i.whole for i in graph.scenario.initiatives.values()), False])[graph.level_initiative]
    lower, upper = level_range(graph)

    def name(member: int) -> str:
        return graph.node_name(int(graph.level_node[member])).removeprefix("initiative.")

    return build.add_columns("level", lower, upper, name, whole)


def level_range(graph: CausalGraph) -> tuple[Floats, Floats]:
    """Return the least and the largest level of each initiative at each unit, a pair of (n_levels,) float."""
    initiatives = list(graph.scenario.initiatives.values())
    whole = np.array([*(i.whole for i in initiatives), False])[graph.level_initiative]
    maximum = np.array([*(i.maximum for i in initiatives), 0.0])[graph.level_initiative]
    return np.zeros(len(maximum)), np.where(whole, np.floor(maximum * (1.0 + ROUNDING)), maximum)


def add_changes(
    build: ProgramBuilder, graph: CausalGraph, ways: Elimination, cell: Integers, stretch: Columns, level: Columns
) -> Columns:
    """delta_h in a finite box, a little wider than interval arithmetic says where it can move at all.

    The certificate needs a finite box; what cannot move at all is left to no solver. What moves by less than the
    rounding of its own size keeps its box: were it held, its equation would hold what moves it. Of a curve it is what
    reaches it.
    """
    lower, upper = np.zeros(len(graph.scenario.cells)), np.zeros(len(graph.scenario.cells))
    lower[cell], upper[cell] = stretch.lower, stretch.upper
    low, high = change_interval(graph, (lower, upper), (level.lower, level.upper))
    low[graph.curves.node], high[graph.curves.node] = low[graph.curves.tail], high[graph.curves.tail]
    margin = 0.01 * (high - low) + 1e-6 * np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-3)
    margin = np.where(low < high, margin, 0.0)
    margin[graph.curves.node] = 0.0  # their pieces are to have the lengths of the file
    hub = ways.hub
    return build.add_columns(
        "change", (low - margin)[hub], (high + margin)[hub], lambda i: graph.node_name(int(hub[i]))
    )


def add_shortfalls(
    build: ProgramBuilder,
    graph: CausalGraph,
    goals: tuple[Goal, ...],
    soft: Integers,
    node: Integers,
    scale: Floats,
    change: Columns,
    hub: Integers,
) -> Columns:
    """f_g in [0, the largest shortfall that the box of delta_g allows + scale_g]; a hard goal has none."""
    sign = graph.sign[node]
    gap = np.array([g.target for g in goals]) - graph.baseline[node]
    worst = np.where(sign > 0, change.lower[hub], -change.upper[hub])
    largest = np.maximum(sign * gap - worst, 0.0) + scale
    return build.add_columns("shortfall", np.zeros(len(soft)), largest[soft], lambda i: goals[soft[i]].id)


def add_missed(build: ProgramBuilder, scenario: Scenario, goals: tuple[Goal, ...], soft: Integers) -> Columns:
    """z_g in {0, 1}, whether goal g is missed; only where the order has the step "met"."""
    n = len(soft) if "met" in scenario.decide.order else 0
    return build.add_columns("missed", np.zeros(n), np.ones(n), lambda i: goals[soft[i]].id, np.ones(n, dtype=bool))


def shared_shortfall(build: ProgramBuilder, scenario: Scenario) -> Columns:
    """T >= 0, where odds of several goals together are promised; the cuts of the promise widen its box."""
    n = int(scenario.odds.p_min is not None and bool(scenario.goals) and "goals" in scenario.decide.order)
    return build.add_columns("together", np.zeros(n), np.ones(n), lambda _: TOGETHER)


def risk_of_steps(build: ProgramBuilder, scenario: Scenario) -> Columns:
    """r_step >= 0 for each of the steps "odds" and "cvar"; their cuts widen its box."""
    steps = risk_steps(scenario)
    return build.add_columns("risk", np.zeros(len(steps)), np.ones(len(steps)), steps.__getitem__)


def risk_steps(scenario: Scenario) -> tuple[str, ...]:
    """Return the steps of the order that look at draws; none without goals."""
    return tuple(step for step in scenario.decide.order if step in RISK_STEPS and scenario.goals)


def scale_of_goals(goals: tuple[Goal, ...], baseline: Floats) -> Floats:
    """Return scale_g = |target_g - baseline_g|, where that is 0 but for rounding |target_g|, else 1.

    `baseline`, (n_goals,) float, is in the KPIs' units, as the scales are.
    """
    target = np.array([g.target for g in goals])
    is_gap = is_above(target, baseline) | is_above(baseline, target)
    return np.where(is_gap, np.abs(target - baseline), np.where(target != 0.0, np.abs(target), 1.0))
