"""What a report is made of: the answer of a run, its graph and plan, and its draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kpiopt.graph import CausalGraph, straight
from kpiopt.report.strategy_map.collect import MapSource
from kpiopt.run.run import Run
from kpiopt.runs.kept_plan import load_kept_plan, read_targets
from kpiopt.runs.stored_run import StoredRun, read_risk
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation.odds import Estimate
from kpiopt.simulation.results import Simulation
from kpiopt.simulation.simulate import simulate
from kpiopt.studies.paths import Paths

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class ReportSource:
    """A run, made now or kept.

    Attributes
    ----------
    name : str
        Of the run.
    document : mapping
        The answer "kpiopt.solve/1": whatever a page says about goals, limits, pay and steps is taken from it.
    stretch, levels, targets : (n_cells,), (n_levels,), (n_nodes,) float
        The plan, its targets rounded; NaN where a node has none.
    inputs : mapping of str to str
        Every file that was read -> SHA-256 of its bytes.
    table : DataFrame
        The targets table of the run.
    risk : mapping or None
        What odds cost, where that was asked.
    """

    name: str
    document: Mapping[str, Any]
    graph: CausalGraph
    stretch: Floats
    levels: Floats
    targets: Floats
    simulation: Simulation | None
    inputs: Mapping[str, str]
    table: pl.DataFrame
    risk: Mapping[str, Any] | None = None

    @property
    def scenario(self) -> Scenario:
        """What was asked."""
        return self.graph.scenario

    @cached_property
    def expected(self) -> Floats:
        """Plan values, (n_nodes,) float."""
        return self.graph.baseline + self.graph.expected_change(self.stretch, self.levels)

    @cached_property
    def whole_stretch(self) -> Floats:
        """Stretch of each (unit, KPI) pair over the horizon, (n_horizon_cells,) float."""
        return np.asarray(self.stretch.reshape(len(self.scenario.horizon), self.scenario.n_periods).sum(axis=1))

    def goal_node(self, goal: Mapping[str, Any]) -> int:
        """Return the node that a goal of the answer is about."""
        return self.graph.goal_node(self.scenario.goals[goal["goal"]])

    @cached_property
    def goal_odds(self) -> dict[str, Estimate]:
        """Odds by goal id, as the answer has them."""
        return {g["goal"]: Estimate.from_dict(g["odds"]) for g in self.document["goals"] if g["odds"]}

    @property
    def all_goals(self) -> Estimate | None:
        """Odds of all goals together, as the answer has them."""
        odds = self.document["all_goals"]
        return Estimate.from_dict(odds) if odds else None

    @cached_property
    def straight(self) -> CausalGraph:
        """The graph with each curve at its mean slope up to the plan: shares of what the plan changes."""
        return straight(self.graph, self.stretch, self.levels)

    @cached_property
    def paths(self) -> Paths:
        """The graph's edges, to be followed from one more at a node to a goal."""
        return Paths(straight(self.graph, self.stretch, self.levels, tangent=True))

    def map_source(self) -> MapSource:
        """Return what the strategy map is drawn from."""
        drawn = self.simulation
        odds = np.vstack([drawn.node_odds, drawn.node_intervals]) if drawn else None
        return MapSource(self.straight, self.targets, self.levels, self.goal_odds, odds, self.cushion)

    @cached_property
    def cushion(self) -> Floats:
        """Share by which each target is more than the plan asks, on purpose; NaN where it is not. (n_nodes,) float."""
        cushion = np.full(self.graph.n_nodes, np.nan)
        if "over_assignment" in self.table.columns:  # runs kept by versions without cushions have none
            rows = self.table.filter(self.table["over_assignment"].is_not_null())
            unit_at, periods = self.scenario.units.position, self.scenario.periods
            when = {None: -1} | (dict(periods.position) if periods is not None else {})
            named = zip(rows["unit"], rows["kpi"], rows["period"], rows["over_assignment"], strict=True)
            for unit, kpi, period, share in named:
                cushion[self.graph.find_node(kpi, unit_at[unit], when[period])] = share
        return cushion

    def effect_on_goals(self) -> dict[str, Floats]:
        """Return by goal what one of the plan's change at each node adds to it, along all paths; (n_nodes,) each."""
        effects = {}
        for goal in self.scenario.goals.values():
            at = np.zeros(self.graph.n_nodes)
            at[self.graph.goal_node(goal)] = 1.0
            effects[goal.id] = self.straight.sweep_back(at)
        return effects


def map_source_of_kept(stored: StoredRun) -> MapSource:
    """Return what the strategy map of a kept run is drawn from, with the odds as they were simulated.

    Raises
    ------
    OutputError
        When the run folder is not whole.
    """
    plan, document = load_kept_plan(stored), stored.document
    odds = {g["goal"]: Estimate.from_dict(g["odds"]) for g in document["goals"] if g["odds"]}
    graph = straight(plan.graph, plan.stretch, plan.levels)
    return MapSource(graph, plan.targets, plan.levels, odds, plan.odds, plan.cushion)


def source_of_run(run: Run, name: str, risk: Mapping[str, Any] | None = None) -> ReportSource:
    """Return a run that was just made as the source of a report, with what its odds cost where that was asked."""
    plan = run.plan
    return ReportSource(
        name, run.as_dict(), run.graph, plan.stretch, plan.levels, plan.target, run.simulation, run.scenario.files,
        plan.targets, risk,
    )  # fmt: skip


def source_of_kept(stored: StoredRun) -> ReportSource:
    """Return a kept run as the source of a report; its draws are made again, the same ones.

    Raises
    ------
    OutputError
        When the run folder is not whole.
    """
    plan = load_kept_plan(stored)
    simulation, inputs = None, {entry["file"]: entry["sha256"] for entry in stored.manifest["inputs"]}
    if stored.document["simulation"]:
        simulation = simulate(plan.graph, plan.stretch, plan.levels, plan.targets)
    return ReportSource(
        stored.name, stored.document, plan.graph, plan.stretch, plan.levels, plan.targets, simulation, inputs,
        read_targets(stored), read_risk(stored.folder),
    )  # fmt: skip
