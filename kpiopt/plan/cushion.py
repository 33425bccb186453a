"""Over-assignment: targets of lower levels are more than those above them, on purpose; the plan stays as it is.

The target of a node is its own unrounded target without cushions times F = the product of (1 + c) over the levels on
its path (1 - c where lower is better), inside its KPI's bounds. Children that are multiplied like their parent add up
to its rounded target; the others to the multiple next to what theirs come to unrounded, split by largest remainders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.plan.apportionment import apportion
from kpiopt.plan.factors import target_factors
from kpiopt.plan.parts import FARTHEST, FlowParts, Parts, noise, snapped
from kpiopt.plan.parts_of_plan import with_offsets
from kpiopt.plan.plan import Plan
from kpiopt.plan.rounding import step_values
from kpiopt.scenario.scenario import Floats, Integers


def with_cushions(plan: Plan, shares: Mapping[str, float]) -> Plan:
    """Return a plan whose targets include the cushions of some levels, with notes on targets below 0.

    Parameters
    ----------
    shares : mapping of str to float
        By level.
    """
    graph = plan.graph
    factor = target_factors(graph, shares)
    below = np.flatnonzero((factor != 1.0) & (plan.asked < 0.0))
    notes = plan.notes
    if len(below):
        factor[_in_any_period(graph, below)] = 1.0
        notes = (*notes, _below_zero(graph, below))
    asked = np.where(factor == 1.0, plan.asked, np.clip(plan.asked * factor, *graph.bounds))
    asked = _over_horizon(graph, asked, factor != 1.0)
    target = np.where(factor == 1.0, plan.target, asked)
    section = (factor != 1.0) & plan.is_rounded[graph.kpi]
    if section.any():
        capped = np.flatnonzero((factor != 1.0) & (plan.asked * factor != asked) & is_rounded_alone(graph))
        parts = _parts(graph, asked, _in_any_period(graph, capped), factor, section & is_rounded_alone(graph))
        counts = apportion(parts)
        node = parts.node
        rounded = step_values(counts, parts.kpi, parts.step) + parts.offset
        shown = (node >= 0) & ~parts.is_own
        target[node[shown]] = graph.sign[node[shown]] * rounded[shown] + 0.0
        _add_up(graph, parts, counts, target)
    return replace(plan, target=target, cushioned=asked, factor=factor, notes=notes)


def is_rounded_alone(graph: CausalGraph) -> NDArray[np.bool_]:
    """Which nodes of a flow are rounded: with periods those of each period, which add up to the horizon. (n_nodes,)."""
    if graph.scenario.periods is None:
        return np.ones(graph.n_nodes, dtype=bool)
    return np.asarray(graph.period >= 0)


def _in_any_period(graph: CausalGraph, nodes: Integers) -> NDArray[np.bool_]:
    """Which nodes are one of some nodes in this period or another, (n_nodes,) bool."""
    pair = graph.unit * len(graph.scenario.kpis) + graph.kpi
    return np.asarray(np.isin(pair, pair[nodes]) & (graph.kind == NodeKind.KPI))


def _over_horizon(graph: CausalGraph, asked: Floats, section: NDArray[np.bool_]) -> Floats:
    """Give the horizon of flows what is asked in their periods."""
    whole = section & ~is_rounded_alone(graph)
    return np.where(whole, graph.time_matrix @ asked, asked) if whole.any() else asked


def _add_up(graph: CausalGraph, parts: Parts, counts: Integers, target: Floats) -> None:
    """Give the horizon of flows the sum of its periods' targets."""
    for flow in parts.flows:
        part = flow.part[:, (parts.node[flow.part[0]] >= 0) & ~parts.is_own[flow.part[0]]]
        node = graph.find_nodes(parts.unit[part[0]], parts.kpi[part[0]])
        total = step_values(counts[part].sum(axis=0), parts.kpi[part[0]], parts.step[part[0]])
        target[node] = graph.sign[node] * (total + parts.offset[part].sum(axis=0)) + 0.0


def _parts(
    graph: CausalGraph, asked: Floats, capped: NDArray[np.bool_], factor: Floats, section: NDArray[np.bool_]
) -> Parts:
    """Collect the targets with cushions, and what those add up to that are not multiplied like their parent.

    The latter is a part without a node, at the top of a roll-up of its own.
    """
    above = graph.roll_up_above[0]
    child = np.flatnonzero(section & (above >= 0))
    parent = above[child]
    differs = np.zeros(graph.n_nodes, dtype=bool)
    alike = (factor[child] == factor[parent]) & section[parent] & ~capped[child] & ~capped[parent]
    differs[parent[~alike]] = True
    own = asked.copy()
    np.subtract.at(own, parent, asked[child])
    step = graph.scenario.kpi_step
    inner = np.zeros(graph.n_nodes, dtype=bool)
    inner[parent] = True
    nodes = np.flatnonzero(section)
    owners = np.flatnonzero(section & inner & ~differs)
    some = owners[np.abs(own[owners]) > 1e-6 * step[graph.kpi[owners]]]
    owners = owners[_in_any_period(graph, some)[owners]]
    totals = np.flatnonzero(differs)
    at = np.concatenate([nodes, totals, owners])
    role = np.repeat([0, 1, 2], [len(nodes), len(totals), len(owners)])
    order = np.lexsort((role, graph.unit[at], graph.period[at], graph.kpi[at]))
    at, role = at[order], role[order]
    place, total = np.full(graph.n_nodes, -1, dtype=np.int64), np.full(graph.n_nodes, -1, dtype=np.int64)
    place[at[role == 0]], total[at[role == 1]] = np.flatnonzero(role == 0), np.flatnonzero(role == 1)
    summed = np.zeros(graph.n_nodes)
    np.add.at(summed, parent, asked[child])
    over = np.maximum(above[at], 0)
    up = np.where(differs[over], total[over], place[over])
    value = np.choose(role, [asked[at], summed[at], own[at]])
    kpi = graph.kpi[at]
    nothing = np.zeros(len(at), dtype=np.int64)
    parts = Parts(
        node=np.where(role == 1, -1, at),
        kpi=kpi,
        unit=graph.unit[at],
        parent=np.choose(role, [np.where(above[at] >= 0, up, -1), np.full(len(at), -1), place[at]]),
        depth=graph.scenario.units.depth[graph.unit[at]] + (role == 2),
        cell=np.full(len(at), -1),
        value=graph.sign[at] * value,
        offset=np.zeros(len(at)),
        step=step[kpi],
        low=nothing,
        high=nothing,
        last=nothing,
    )
    return _with_boxes(graph, parts)


def _with_boxes(graph: CausalGraph, parts: Parts) -> Parts:
    """Give parts their boxes; with periods flows have theirs over the horizon as well."""
    low, high = _boxes(graph, parts)
    if graph.scenario.periods is None:
        return with_offsets(parts, low, high)
    offset, flows = np.zeros(len(parts)), []
    exact = _locked(graph)[np.maximum(parts.node, 0)] & (parts.node >= 0) & ~parts.is_own
    for kpi in np.unique(parts.kpi).tolist():
        part = np.flatnonzero(parts.kpi == kpi).reshape(graph.scenario.n_periods, -1)
        steps = snapped(parts.value[part].sum(axis=0) / parts.step[part[0]])
        fixed = exact[part[0]]
        least = np.where(fixed, np.ceil(steps), np.floor(steps) - FARTHEST)
        most = np.where(fixed, np.floor(steps), np.ceil(steps) + FARTHEST)
        off = np.flatnonzero(least > most)
        largest = part[np.argmax(np.abs(parts.value[part[:, off]]), axis=0), off] if len(off) else off
        offset[largest] = (steps[off] - np.rint(steps[off])) * parts.step[largest]
        least[off] = most[off] = np.rint(steps[off])
        flows.append(FlowParts(part, least.astype(np.int64), most.astype(np.int64)))
    return with_offsets(replace(parts, flows=tuple(flows), offset=offset), low, high)


def _locked(graph: CausalGraph) -> NDArray[np.bool_]:
    """Which nodes have a locked target, that of the horizon in each period, (n_nodes,) bool."""
    fixed = np.zeros(graph.n_nodes, dtype=bool)
    fixed[graph.whole_node[~np.isnan(graph.scenario.horizon.fixed_target)]] = True
    return _in_any_period(graph, np.flatnonzero(fixed))


def _boxes(graph: CausalGraph, parts: Parts) -> tuple[Integers, Integers]:
    """Least and largest counts: bounds of the KPI, and locked targets; crossed where no multiple keeps a lock."""
    steps, sign = parts.steps, graph.sign[np.maximum(parts.node, 0)]
    low, high = np.floor(steps) - FARTHEST, np.ceil(steps) + FARTHEST
    most = np.where(sign > 0, graph.bounds[1, parts.node], -graph.bounds[0, parts.node]) / parts.step
    shown = (parts.node >= 0) & ~parts.is_own
    high = np.where(shown & np.isfinite(most), np.minimum(high, np.floor(most + noise(steps))), high)
    exact = shown & _locked(graph)[np.maximum(parts.node, 0)] & (graph.scenario.periods is None)
    low, high = np.where(exact, np.ceil(steps), low), np.where(exact, np.floor(steps), high)
    return low.astype(np.int64), high.astype(np.int64)


def _below_zero(graph: CausalGraph, nodes: Integers) -> Problem:
    more = f" and {len(nodes) - 1:,} more" if len(nodes) > 1 else ""
    return Problem(
        "W-over-assignment-sign",
        f"the target of {graph.node_name(int(nodes[0]))}{more} is below 0 and gets no cushion",
        rule="a cushion is a share of the target; a share of what is below 0 would ask for less",
        fix="leave the KPI out: [over_assignment] kpi = […]",
    )
