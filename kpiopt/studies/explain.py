"""Why a target is what it is: what it is made of, where its change comes from in the end, what it does for the goals.

The graph is linear, so every account is exact: the parts add up to the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph, NodeKind, straight
from kpiopt.plan.plan import asked_inside_bounds
from kpiopt.reading.key_path import did_you_mean
from kpiopt.scenario.peers import peer_groups
from kpiopt.scenario.scenario import Floats, Goal, Scenario
from kpiopt.studies.paths import one_more

TARGET_RULE = "a target is named unit/kpi, by ids or by names, and in a period unit/kpi/period"
SHOWN = 12
"""How many names a message spells out."""
NOISE = 1e-12
"""Contributions that are a smaller share of the largest one are rounding residue."""


@dataclass(frozen=True, slots=True)
class Part:
    """One cause of a change.

    Attributes
    ----------
    name : str
        "unit/kpi", "factor.<id>" or "initiative.<id>@<unit>".
    change : float
        Change of the cause, in its own unit; the level of an initiative.
    coefficient : float
        Change of the explained value per unit of it.
    contribution : float
        Their product, in the explained KPI's unit.
    """

    node: int
    name: str
    change: float
    coefficient: float
    contribution: float


@dataclass(frozen=True, slots=True)
class GoalEffect:
    """What one more unit at the explained node adds to a goal's value, in the goal's unit; along all paths.

    One more of a horizon is spread over its periods as a contribution is meant.
    """

    goal: str
    per_unit: float


@dataclass(frozen=True)
class Explanation:
    """An account of one node of the plan, in the KPI's unit.

    Attributes
    ----------
    node : int
    name : str
        "unit/kpi".
    baseline, expected, asked : float
        Baseline, plan value, unrounded target.
    own_expected, own_asked : float
        Change by the node's own stretch: times mean execution, and in full. Signed: negative where lower is better.
    parts : tuple of Part
        Direct causes (roll-up, drivers, factors, initiatives), the largest contribution first. Together with
        `own_expected` they add up to `expected` - `baseline`, but for what would lie beyond a bound of the KPI.
    origins : tuple of Part
        Where the change comes from in the end: stretches of cells, levels of initiatives, factors, each along all
        paths. They add up to `expected` - `baseline`, but for what would lie beyond a bound.
    asked_parts : tuple of Part
        What the unrounded target is asked for: the node's own stretch in full, what is asked below it, and what causes
        are expected to bring. With `own_asked` they add up to `asked` - `baseline`, but for what would lie beyond a
        bound, which nobody is asked for.
    own_share, peer_share : float or None
        Own stretch as a share of the baseline, and the mean of that among its peers; None where there is no decision.
    peers : int
        How many peers have a decision about this KPI.
    goals : tuple of GoalEffect
    """

    node: int
    name: str
    baseline: float
    expected: float
    asked: float
    own_expected: float
    own_asked: float
    parts: tuple[Part, ...]
    origins: tuple[Part, ...]
    asked_parts: tuple[Part, ...]
    own_share: float | None
    peer_share: float | None
    peers: int
    goals: tuple[GoalEffect, ...]


def list_targets(graph: CausalGraph) -> list[str]:
    """Return the names of everything that can be explained, unit by unit in the order of the file."""
    nodes, units = np.flatnonzero(graph.kind == NodeKind.KPI), graph.scenario.units
    place = np.argsort(units.order_in_file(np.arange(len(units))))
    nodes = nodes[np.lexsort((graph.period[nodes], graph.kpi[nodes], place[graph.unit[nodes]]))]
    return [graph.node_name(node) for node in nodes.tolist()]


def find_target(graph: CausalGraph, text: str) -> int:
    """Return the node of "unit/kpi", both ids or names; or of a goal, by its id or by a name that no other goal has.

    Raises
    ------
    UsageError
        When there is none, or a name that several have; the message names what comes near, or what there is.
    """
    scenario = graph.scenario
    goal = scenario.goals.get(text.removeprefix("goal.")) or _goal_named(scenario, text)
    if goal is not None and "/" not in text:
        return graph.goal_node(goal)
    if "/" not in text:
        message = f"there is nothing to explain that is called {text!r}"
        raise UsageError(Problem("E-target", message, TARGET_RULE, _what_there_is(graph, text)))
    pair, period = text, -1
    if scenario.periods is not None and text.rpartition("/")[2] in scenario.periods.position:
        pair, _, name = text.rpartition("/")
        period = scenario.periods.position[name]
    unit, _, kpi = pair.rpartition("/")
    names = {kpi_id: entry.name for kpi_id, entry in scenario.kpis.items()}
    unit = _id_of("unit", unit, dict(zip(scenario.units.ids, scenario.units.names, strict=True)), text)
    kpi = _id_of("KPI", kpi, names, text)
    node = graph.find_node(kpi, scenario.units.position[unit], period)
    if node >= 0:
        return node
    there = [name for name in list_targets(graph) if name.rpartition("/")[0] == unit]
    fix = f"there are: {', '.join(there)}" if there else "this unit has no KPI"
    raise UsageError(Problem("E-target", f"{kpi} has no value at {unit}", rule=TARGET_RULE, fix=fix))


def _goal_named(scenario: Scenario, text: str) -> Goal | None:
    """Return the one goal whose KPI has a name; None where there is none, or several."""
    named = [g for g in scenario.goals.values() if scenario.kpis[g.kpi].name.casefold() == text.casefold()]
    return named[0] if len(named) == 1 else None


def _what_there_is(graph: CausalGraph, text: str) -> str:
    """Say which targets hold a name, which name comes near, or what there is."""
    scenario, targets = graph.scenario, list_targets(graph)
    holding = [name for name in targets if text.casefold() in name.casefold().split("/")]
    if holding:
        return f"say which target: {some_of(holding)}"
    units = np.arange(len(scenario.units))
    initiatives, budgets = tuple(scenario.initiatives), tuple(f"budget.{name}" for name in scenario.budgets)
    near = did_you_mean(text, (*scenario.goals, *initiatives, *budgets, *targets))
    kinds = (
        ("goals", tuple(scenario.goals)),
        ("units", tuple(scenario.units.ids[u] for u in scenario.units.order_in_file(units).tolist())),
        ("KPIs", scenario.kpi_ids),
        ("initiatives", initiatives),
        ("budgets", budgets),
    )
    there = "; ".join(f"{kind} {some_of(ids)}" for kind, ids in kinds if ids)
    return near or f"there are {there}; kpiopt explain RUN lists all targets, goals, limits and initiatives"


def some_of(names: Sequence[str]) -> str:
    """Return the first names in a row, in quotes where a name has a comma itself; the others are counted."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(f"'{name}'" if ", " in name else name for name in names[:SHOWN]) + more


def _id_of(what: str, text: str, names: dict[str, str], target: str) -> str:
    """Return the id of what is named by its id or its name."""
    if text in names:
        return text
    given = {key: (name, name.removesuffix(f" ({key})")) for key, name in names.items()}  # shared names carry the id
    named = [key for key, both in given.items() if text.casefold() in (name.casefold() for name in both)]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(
            Problem("E-target", f"'{text}' is the name of {', '.join(named)}", rule="names may be shared, ids are not")
        )
    near = did_you_mean(text, names) or did_you_mean(text, list(names.values()))
    raise UsageError(
        Problem(
            "E-target", f"there is no target {target!r}: no {what} is called {text!r}", rule=TARGET_RULE,
            fix=near or f"there are: {some_of(list(names))}",
        )
    )  # fmt: skip


def explain_target(graph: CausalGraph, stretch: Floats, levels: Floats, node: int) -> Explanation:
    """Explain the value of one node of a plan.

    Where a response curve is on the way, each cause has its share of what the plan's change does together; what one
    more would do is told by the slope at the plan.

    Parameters
    ----------
    stretch : (n_cells,) float
        In each cell's KPI unit.
    levels : (n_levels,) float
    """
    here, graph = straight(graph, stretch, levels, tangent=True), straight(graph, stretch, levels)
    own, delta = graph.own_change(stretch, levels), graph.expected_change(stretch, levels)
    in_full = graph.own_change(stretch, levels, executed=False)
    asked, baseline = asked_inside_bounds(graph, stretch, levels)[1], float(graph.baseline[node])
    return Explanation(
        node,
        graph.node_name(node),
        baseline,
        float(np.clip(baseline + delta[node], *graph.bounds[:, node])),
        float(asked[node]),
        float(own[node]),
        float(in_full[node]),
        direct_parts(graph, delta, node),
        _origins(graph, own, node),
        _asked_parts(graph, asked - graph.baseline, delta, node),
        *_among_peers(graph, stretch, node),
        _goal_effects(here, node),
    )


def _asked_parts(graph: CausalGraph, asked: Floats, delta: Floats, node: int) -> tuple[Part, ...]:
    """Return the direct causes of what is asked: what is asked of units below counts in full, causes as expected."""
    edges = np.flatnonzero(graph.head == node)
    is_value = np.isin(graph.kind[graph.tail[edges]], (NodeKind.KPI, NodeKind.BUILT))
    same_kpi = is_value & (graph.kpi[graph.tail[edges]] == graph.kpi[node])
    moved = np.where(same_kpi, asked[graph.tail[edges]], delta[graph.tail[edges]])
    rows = zip(graph.tail[edges].tolist(), moved.tolist(), graph.coefficient[edges].tolist(), strict=True)
    return _ordered([_part(graph, tail, change, coefficient) for tail, change, coefficient in rows])


def horizon_cell(graph: CausalGraph, node: int) -> int:
    """Return the row in `scenario.horizon` that a node is about, in any period; -1 where there is none."""
    whole, cell = int(graph.whole_cell[node]), int(graph.cell[node])
    return max(whole, cell // graph.scenario.n_periods if cell >= 0 else -1)


def _among_peers(graph: CausalGraph, stretch: Floats, node: int) -> tuple[float | None, float | None, int]:
    """Return the cell's stretch as a share of its baseline, the mean among its peers, and how many they are."""
    scenario, cells, cell = graph.scenario, graph.scenario.horizon, horizon_cell(graph, node)
    if cell < 0 or not cells.has_decision[cell]:
        return None, None, 0
    scale, count, period = graph.stretch_scale[:: scenario.n_periods], scenario.n_periods, int(graph.period[node])
    worked = stretch.reshape(-1, count).sum(axis=1)
    if scenario.periods is not None and period >= 0:  # as a share of what is the period's
        worked = stretch.reshape(-1, count)[:, period] / scenario.periods.season[cells.kpi, period]
    share = worked / np.where(scale > 0.0, scale, 1.0)
    decided = np.flatnonzero(cells.has_decision)
    groups = peer_groups(scenario, decided, np.arange(len(decided))).group
    peers = decided[groups == groups[np.searchsorted(decided, cell)]]
    peers = peers[peers != cell]
    return float(share[cell]), float(share[peers].mean()) if len(peers) else None, len(peers)


def direct_parts(graph: CausalGraph, delta: Floats, node: int) -> tuple[Part, ...]:
    """Return the direct causes of a node's change, the largest contribution first.

    Parameters
    ----------
    delta : (n_nodes,) float
        Expected change of every node.
    """
    edges = np.flatnonzero(graph.head == node)
    pairs = zip(graph.tail[edges].tolist(), graph.coefficient[edges].tolist(), strict=True)
    return _ordered([_part(graph, tail, float(delta[tail]), coefficient) for tail, coefficient in pairs])


def _origins(graph: CausalGraph, own: Floats, node: int) -> tuple[Part, ...]:
    """Share a node's change out among everything that changes of its own accord: row `node` of (I - C)^-1."""
    unit = np.zeros(graph.n_nodes)
    unit[node] = 1.0
    effect = graph.sweep_back(unit)
    contribution = np.abs(effect * own)
    sources = np.flatnonzero(contribution > NOISE * contribution.max(initial=0.0)).tolist()
    return _ordered([_part(graph, m, float(own[m]), float(effect[m])) for m in sources])


def _part(graph: CausalGraph, node: int, change: float, coefficient: float) -> Part:
    return Part(node, graph.node_name(node), change, coefficient, coefficient * change)


def _ordered(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda p: (-abs(p.contribution), p.name)))


def _goal_effects(graph: CausalGraph, node: int) -> tuple[GoalEffect, ...]:
    """Follow one more unit at the node along the map to every goal's node."""
    unit = np.zeros(graph.n_nodes)
    for at, change in one_more(graph, node).items():
        unit[at] = change
    reached = graph.sweep(unit)
    goals = graph.scenario.goals.values()
    return tuple(GoalEffect(g.id, float(reached[graph.goal_node(g)])) for g in goals)
