"""What each lever does in every draw: initiatives unit by unit, and KPIs that people can move.

The graph is linear in a draw, so the change of a goal is the sum over levers of their moves times an effect that
differs from draw to draw. These effects are all that a page needs to answer "what if" by itself. Curves and bounds bend
it: there the graph is cut (`kpiopt.studies.bends`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kpiopt.graph import CausalGraph, straight
from kpiopt.graph.hand_down import leaves_below, one_over_horizon
from kpiopt.scenario.scenario import Floats, SimulationSettings
from kpiopt.simulation.hits import HitRule, goal_rule
from kpiopt.simulation.propagate import Propagation
from kpiopt.simulation.streams import Layout, Streams, lay_out
from kpiopt.studies.bends import MOST_BENDS, BendEffects, Cuts, Shown, bend_nodes

MOST_DRAWS = 4096
MOST_NUMBERS = 1 << 26
"""Numbers that a sweep of all nodes and draws may take; larger graphs have fewer draws."""
LEAST_DRAWS = 256


@dataclass(frozen=True)
class Lever:
    """One thing that can be moved.

    Attributes
    ----------
    name : str
        "initiative.<id>@<unit>" or "kpi.<id>"; in one period "…/<period>".
    own : (n_nodes,) float
        What a move by 1 adds at each node.
    """

    name: str
    own: Floats


@dataclass(frozen=True)
class LeverEffects:
    """What levers do.

    Attributes
    ----------
    margins : (n_goals, n_draws) float
        By how much each goal is hit in each draw before anything is moved: hit from 0 on.
    on_goals : (n_levers, n_goals, n_draws) float
        Change of these margins for a move by 1.
    on_nodes : (n_levers, n_nodes) float
        Mean change of every node for a move by 1.
    carried : (n_levers, n_edges) float
        Mean change that every edge carries for a move by 1.
    bends : BendEffects
        Where the graph is cut; the above is what happens while nothing changes there.
    """

    layout: Layout
    levers: tuple[Lever, ...]
    margins: Floats
    on_goals: Floats
    on_nodes: Floats
    carried: Floats
    bends: BendEffects


def lever_settings(graph: CausalGraph, bends: int | None = None) -> SimulationSettings | None:
    """Return the draws that levers are judged by, at most the scenario's own.

    None where the graph is too large, or is bent at too many places by curves and bounds: `bends`, by default all.
    """
    settings = graph.scenario.simulation
    bends = len(bend_nodes(graph)) if bends is None else bends
    if bends > MOST_BENDS:
        return None
    most = MOST_NUMBERS // max(1, (graph.n_nodes + len(graph.tail)) * (1 + bends))
    draws = min(MOST_DRAWS, settings.draws, 1 << max(0, most.bit_length() - 1))
    return replace(settings, draws=draws, precision=None) if draws >= min(LEAST_DRAWS, settings.draws) else None


def find_levers(graph: CausalGraph, most: int) -> tuple[Lever, ...]:
    """Return a lever for each KPI at the root with decisions below, and for each initiative at each unit.

    With periods a KPI's lever acts over the horizon, and it has one more for each period; an initiative has one for
    each period in which it may begin.

    Parameters
    ----------
    most : int
        Where there are more, the initiatives that can change the goals most are taken.
    """
    cells, periods = graph.scenario.cells, graph.scenario.periods
    decided = np.unique(cells.kpi[cells.has_decision]).tolist()
    kpis = [graph.scenario.kpi_ids[k] for k in decided if graph.find_node(graph.scenario.kpi_ids[k]) >= 0][:most]
    levers = [Lever(f"kpi.{kpi}", _over_horizon(graph, kpi)) for kpi in kpis]
    for node in _strongest(graph, most - len(levers)):
        own = np.zeros(graph.n_nodes)
        own[node] = 1.0
        levers.append(Lever(graph.node_name(node), own))
    for kpi in kpis if periods is not None else ():
        assert periods is not None
        if len(levers) + len(periods) <= most:
            names = enumerate(periods.names)
            levers += [Lever(f"kpi.{kpi}/{t}", leaves_below(graph, graph.find_node(kpi, 0, i))) for i, t in names]
    return tuple(levers)


def _over_horizon(graph: CausalGraph, kpi: str) -> Floats:
    """Return what one more of a KPI over the horizon is at each node: by its season, or held in every period."""
    if graph.scenario.periods is None:
        return leaves_below(graph, graph.find_node(kpi))
    one = one_over_horizon(graph)
    nodes = [graph.find_node(kpi, 0, t) for t in range(graph.scenario.n_periods)]
    return np.asarray(sum(one[node] * leaves_below(graph, node) for node in nodes))


def _strongest(graph: CausalGraph, most: int) -> list[int]:
    """Return the nodes of the initiatives that can change goals most, relative to each goal's distance."""
    reach = np.zeros(graph.n_levels)
    even = straight(graph, np.zeros(len(graph.scenario.cells)), np.zeros(graph.n_levels))
    largest = np.array([i.maximum for i in graph.scenario.initiatives.values()] + [0.0])[graph.level_initiative]
    for goal in graph.scenario.goals.values():
        at, node = np.zeros(graph.n_nodes), graph.goal_node(goal)
        at[node] = 1.0
        distance = abs(goal.target - float(graph.baseline[node])) or abs(goal.target) or 1.0
        reach = np.maximum(reach, np.abs(even.sweep_back(at)[graph.level_node]) * largest / distance)
    chosen = np.sort(np.argsort(-np.round(reach, 9), kind="stable")[:most])
    return [int(node) for node in graph.level_node[chosen]]


def measure_levers(
    graph: CausalGraph,
    stretch: Floats,
    levels: Floats,
    levers: tuple[Lever, ...],
    settings: SimulationSettings,
    shown: Shown | None = None,
) -> LeverEffects:
    """Draw a plan and what each lever does to it.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
    shown : Shown, optional
        What of the graph is watched draw by draw where it is cut.
    """
    layout = lay_out(settings.draws, settings.method)
    rule, propagation = goal_rule(graph), Propagation(graph, stretch, levels)
    streams = Streams(settings.seed, propagation.inputs.names, layout)
    n_goals = len(rule.nodes)
    margins = np.empty((n_goals, layout.draws))
    on_goals = np.empty((len(levers), n_goals, layout.draws))
    on_nodes = np.zeros((len(levers), graph.n_nodes))
    carried = np.zeros((len(levers), len(graph.tail)))
    cuts = Cuts(propagation, rule, layout, len(levers), shown)
    workspace = propagation.make_workspace(layout.size)
    for replicate in range(layout.replicates):
        part = slice(replicate * layout.size, (replicate + 1) * layout.size)
        scores = streams.replicate(replicate).scores(0, layout.size)
        drawn = propagation.run(scores, layout.size, part.start, workspace, cuts.watch_base(part))
        margins[:, part] = _margins(rule, drawn.delta)
        values, _ = propagation.inputs.draw_shared(scores, layout.size)
        for i, lever in enumerate(levers):
            change, flows = propagation.respond(values, lever.own, workspace, cuts.still, cuts.watch_lever(i, part))
            on_goals[i, :, part] = np.where(rule.is_down, -1.0, 1.0)[:, None] * change[rule.nodes]
            on_nodes[i] += change.mean(axis=1) / layout.replicates
            carried[i] += flows / layout.replicates
        cuts.measure(values, workspace, part)
    return LeverEffects(layout, levers, margins, on_goals, on_nodes, carried, cuts.effects)


def _margins(rule: HitRule, delta: Floats) -> Floats:
    """Return by how much each goal is hit, from 0 on; the sign is exactly that of the hit."""
    reached = delta[rule.nodes] - rule.threshold[:, None]
    distance = np.abs(np.where(reached == 0, 1e-300, reached))
    return np.where(rule.hits(delta), distance, -distance)
