"""The parts of a plan: which of its targets are rounded, and the boxes that limits of single cells leave them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.plan.parts import BOUND_TOLERANCE, FARTHEST, FLOAT_TOLERANCE, FlowParts, Parts, noise, snapped
from kpiopt.scenario.scenario import Cells, Floats, Integers


def build_parts(graph: CausalGraph, own: Floats, asked: Floats, stretch: Floats, wanted: NDArray[np.bool_]) -> Parts:
    """Collect the parts of the KPIs that are rounded.

    Parameters
    ----------
    own : (n_nodes,) float
        What each node's own stretch and causes add, in the KPI's unit.
    asked : (n_nodes,) float
        Unrounded targets.
    stretch : (n_cells,) float
    wanted : (n_kpis,) bool
        Which KPIs are rounded; each needs a step.
    """
    node = _rounded_nodes(graph, wanted)
    above = _roll_up_parent(graph)
    inner = np.zeros(graph.n_nodes, dtype=bool)
    inner[above[above >= 0]] = True
    step = graph.scenario.kpi_step
    has_own = _in_all_periods(graph, node, inner[node] & (np.abs(own[node]) > 1e-6 * step[graph.kpi[node]]))
    is_own = np.arange(len(node) + np.count_nonzero(has_own)) >= len(node)
    node = np.concatenate([node, node[has_own]])
    order = np.lexsort((is_own, graph.unit[node], graph.period[node], graph.kpi[node]))
    node, is_own = node[order], is_own[order]
    place = np.empty(graph.n_nodes, dtype=np.int64)
    place[node[~is_own]] = np.flatnonzero(~is_own)
    kpi, n_units = graph.kpi[node], len(graph.scenario.units)
    tree = (kpi * (graph.scenario.n_periods + 1) + graph.period[node] + 1) * n_units
    key = tree + graph.unit[node]
    nothing = np.zeros(len(node), dtype=np.int64)
    parts = Parts(
        node=node,
        kpi=kpi,
        unit=graph.unit[node],
        parent=np.where(is_own, place[node], np.where(above[node] >= 0, place[above[node]], -1)),
        depth=graph.scenario.units.depth[graph.unit[node]] + is_own,
        cell=np.where(inner[node] & ~is_own, -1, _decided(graph)[node]),
        value=graph.sign[node] * np.where(is_own, own[node], asked[node]),
        offset=np.zeros(len(node)),
        step=step[kpi],
        low=nothing,
        high=nothing,
        last=np.searchsorted(key, tree + graph.scenario.units.end[graph.unit[node]]),
    )
    low, high = _boxes(graph, parts, stretch)
    if graph.scenario.periods is not None:
        flows, offset = flow_parts(graph, parts, stretch)
        parts = replace(parts, flows=flows)
        _hold_sums(parts, offset, low, high)
        return with_offsets(replace(parts, offset=offset), low, high)
    least, most = _boxes_of_totals(graph, parts, stretch)
    return _take_offsets(parts, low, high, least, most, parts.offset)


def _rounded_nodes(graph: CausalGraph, wanted: NDArray[np.bool_]) -> Integers:
    """Return the nodes that are rounded: over the horizon only rates, where there are periods."""
    node = np.flatnonzero(graph.kind == NodeKind.KPI)
    node = node[wanted[graph.kpi[node]]]
    if graph.scenario.periods is None:
        return node
    is_rate = np.array([k.kind == "rate" for k in graph.scenario.kpis.values()], dtype=bool)
    kept = (graph.period[node] >= 0) | is_rate[graph.kpi[node]]
    return np.asarray(node[kept], dtype=np.int64)


def _in_all_periods(graph: CausalGraph, node: Integers, has_own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give a node of a flow an own part in every period if it has one in any."""
    if graph.scenario.periods is None or not np.any(has_own):
        return has_own
    pair = graph.unit[node] * len(graph.scenario.kpis) + graph.kpi[node]
    return np.asarray(np.isin(pair, pair[has_own]))


def flow_parts(graph: CausalGraph, parts: Parts, stretch: Floats) -> tuple[tuple[FlowParts, ...], Floats]:
    """Collect the flows and their boxes over the horizon; what no multiple keeps is an offset in the largest period.

    Returns
    -------
    flows : tuple of FlowParts
    offset : (m,) float
        What locks and ranges over the horizon keep off the grid.
    """
    scenario, offset = graph.scenario, np.zeros(len(parts))
    count, flows, totals = scenario.n_periods, [], scenario.totals
    whole = np.bincount(scenario.cell_base, stretch, len(scenario.horizon)).astype(np.float64)
    least, most = stretch_box(scenario.horizon, whole)
    for position, kpi in enumerate(scenario.kpis.values()):
        here = np.flatnonzero(parts.kpi == position)
        if kpi.kind != "flow" or not len(here):
            continue
        part = here.reshape(count, -1)
        value, step = parts.value[part].sum(axis=0), float(parts.step[here[0]])
        steps = snapped(value / step)
        low, high = np.floor(steps) - FARTHEST, np.ceil(steps) + FARTHEST
        decided = np.flatnonzero(parts.cell[part[0]] >= 0)
        cell = scenario.cell_base[parts.cell[part[0]][decided]]
        slack = BOUND_TOLERANCE * np.maximum(np.abs(most[cell]), step) + FLOAT_TOLERANCE * np.abs(value[decided])
        is_fixed = ~np.isnan(scenario.horizon.fixed_target[cell])
        slack = np.where(is_fixed, noise(value[decided] / step) * step, slack)
        lowest, may_fall = (
            value[decided] + least[cell] - whole[cell],
            (least == 0.0)[cell] & ~scenario.horizon.is_locked[cell],
        )
        low[decided] = np.where(may_fall, np.floor((lowest + slack) / step), np.ceil((lowest - slack) / step))
        high[decided] = np.floor((value[decided] + most[cell] - whole[cell] + slack) / step)
        off = np.flatnonzero(low > high)
        rest = value[off] - np.rint(steps[off]) * step
        largest = np.argmax(np.abs(stretch[parts.cell[part[:, off]]]), axis=0) if len(off) else off
        offset[part[largest, off]] = rest
        low[off] = high[off] = np.rint(steps[off])
        below = parts.parent[part[0]] - part[0, 0]
        inner = np.unique(below[parts.parent[part[0]] >= 0])
        low[inner] = high[inner] = 0.0
        for j in range(len(low) - 1, -1, -1):  # parts stand behind the one that they add to
            if parts.parent[part[0, j]] >= 0:
                low[below[j]], high[below[j]] = low[below[j]] + low[j], high[below[j]] + high[j]
        for row in np.flatnonzero(scenario.horizon.kpi[totals.cell] == position).tolist():
            unit = scenario.horizon.unit[totals.cell[row]]
            i = np.flatnonzero((parts.unit[part[0]] == unit) & ~parts.is_own[part[0]])
            inside = (scenario.horizon.unit >= unit) & (scenario.horizon.unit < scenario.units.end[unit])
            asked = whole[inside & (scenario.horizon.kpi == position)].sum()
            hair = noise(steps[i])
            ends = [value[i] + totals.low[row] - asked, value[i] + totals.high[row] - asked]
            if not np.isnan(totals.target[row]):
                ends = [scenario.kpi_sign[position] * totals.target[row]] * 2
            low[i] = np.maximum(low[i], np.ceil(ends[0] / step - hair))
            high[i] = np.minimum(high[i], np.floor(ends[1] / step + hair))
        flows.append(FlowParts(part, low.astype(np.int64), high.astype(np.int64)))
    return tuple(flows), offset


def _hold_sums(parts: Parts, offset: Floats, low: Integers, high: Integers) -> None:
    """Narrow boxes of flows to what the range over the horizon leaves when the other periods stay next to theirs."""
    steps = snapped((parts.value - offset) / parts.step)
    floor, ceil = np.floor(steps).astype(np.int64), np.ceil(steps).astype(np.int64)
    for flow in parts.flows:
        free = parts.cell[flow.part[0]] >= 0
        part = flow.part[:, free]
        others = [ends[part].sum(axis=0) - ends[part] for ends in (ceil, floor)]
        low[part] = np.minimum(np.maximum(low[part], flow.low[free] - others[0]), ceil[part])
        high[part] = np.maximum(np.minimum(high[part], flow.high[free] - others[1]), floor[part])


def _take_offsets(parts: Parts, low: Integers, high: Integers, least: Floats, most: Floats, known: Floats) -> Parts:
    """Give parts their boxes; what a box without any multiple keeps off the grid becomes an offset.

    Where it is the box of a total in a sum, the cell below it with most stretch to decide takes the offset.
    """
    off = np.flatnonzero((low > high) & ~parts.is_inner)
    offset = known.copy()
    low[off] = high[off] = np.rint(parts.steps[off]).astype(np.int64)
    offset[off] = (parts.value - low * parts.step)[off]
    for total in np.flatnonzero(least == most)[::-1].tolist():
        missing = parts.rolled_up(offset)[total]
        rest = least[total] * parts.step[total] - missing
        rest -= np.rint(rest / parts.step[total]) * parts.step[total]
        if abs(rest) > noise(parts.steps[[total]])[0] * parts.step[total]:
            below = np.arange(total + 1, parts.last[total]) if parts.is_inner[total] else np.array([total])
            takers = below[~parts.is_inner[below] & ((high > low)[below] | ~parts.is_inner[total])]
            if len(takers):
                taker = takers[np.argmax((high - low)[takers])]
                offset[taker] += rest
                if parts.cell[taker] >= 0:
                    low[taker] += rest < 0.0
                    high[taker] -= rest > 0.0
    offset = parts.rolled_up(offset)
    value = parts.value - offset
    value[off] = (low * parts.step)[off]
    low, high = parts.rolled_up(low), parts.rolled_up(high)
    bounded = np.flatnonzero(parts.is_inner & (least <= most))
    first = np.ceil(least - offset / parts.step - noise(parts.steps))[bounded]
    last = np.floor(most - offset / parts.step + noise(parts.steps))[bounded]
    fits = (first <= last) & (first <= high[bounded]) & (last >= low[bounded])
    bounded, first, last = bounded[fits], first[fits], last[fits]
    low[bounded] = np.maximum(low[bounded], np.maximum(first, -FARTHEST * FARTHEST)).astype(np.int64)
    high[bounded] = np.minimum(high[bounded], np.minimum(last, FARTHEST * FARTHEST)).astype(np.int64)
    return replace(parts, value=value, offset=offset, low=low, high=high)


def with_offsets(parts: Parts, low: Integers, high: Integers) -> Parts:
    """Give parts their boxes; what a box without any multiple keeps off the grid becomes an offset."""
    nothing_said = np.full(len(parts), np.nan)
    return _take_offsets(parts, low, high, nothing_said, nothing_said, parts.offset)


def _boxes_of_totals(graph: CausalGraph, parts: Parts, stretch: Floats) -> tuple[Floats, Floats]:
    """Least and largest target of totals with a range, a lock or a locked target, in steps; NaN elsewhere."""
    totals, least, most = graph.scenario.totals, np.full(len(parts), np.nan), np.full(len(parts), np.nan)
    if not len(totals.cell):
        return least, most
    node = graph.cell_node[totals.cell]
    place = np.full(graph.n_nodes, -1, dtype=np.int64)
    place[parts.node[~parts.is_own]] = np.flatnonzero(~parts.is_own)
    own = np.zeros(graph.n_nodes)
    own[graph.cell_node] = stretch
    asked = graph.sweep(own, graph.roll_up_matrix)[node]
    here = np.flatnonzero(place[node] >= 0)
    part = place[node[here]]
    fixed = graph.sign[node] * totals.target
    is_fixed = ~np.isnan(fixed[here])
    for side, bound in ((least, totals.low), (most, totals.high)):
        ends = parts.value[part] + (bound - asked)[here]
        side[part] = np.where(is_fixed, fixed[here], ends) / parts.step[part]
    return least, most


def _roll_up_parent(graph: CausalGraph) -> Integers:
    """The node above in a `sum` roll-up, -1 where there is none, (n_nodes,) int."""
    adds_up = np.array([k.roll_up == "sum" for k in graph.scenario.kpis.values()], dtype=bool)
    above = graph.roll_up_above[0]
    return np.asarray(np.where((above >= 0) & adds_up[graph.kpi], above, -1), dtype=np.int64)


def _decided(graph: CausalGraph) -> Integers:
    """The cell of each node where its stretch is a decision, else -1, (n_nodes,) int."""
    decided = np.full(graph.n_nodes, -1, dtype=np.int64)
    cells = np.flatnonzero(graph.scenario.cells.has_decision)
    decided[graph.cell_node[cells]] = cells
    return decided


def stretch_box(cells: Cells, stretch: Floats) -> tuple[Floats, Floats]:
    """Least and largest stretch of every cell, locks applied, a pair of (n_cells,) float.

    Parameters
    ----------
    stretch : (n_cells,) float
        What the plan asks: all that a locked target leaves.
    """
    fixed = np.where(np.isnan(cells.fixed_target), cells.lock, stretch)
    free = np.isnan(fixed)
    return np.where(free, cells.min_stretch, fixed), np.where(free, cells.max_stretch, fixed)


def _boxes(graph: CausalGraph, parts: Parts, stretch: Floats) -> tuple[Integers, Integers]:
    """Least and largest counts: the cell's box where there is a decision, the nearest two counts elsewhere.

    The stretch of a stock counts in later periods too: its targets stay near the plan's.
    """
    scenario, cells = graph.scenario, graph.scenario.cells
    floor, ceil = np.floor(parts.steps), np.ceil(parts.steps)
    low, high = floor - FARTHEST, ceil + FARTHEST
    here = np.flatnonzero(parts.cell >= 0)
    cell, value, step = parts.cell[here], parts.value[here], parts.step[here]
    least, most = (bound[cell] for bound in stretch_box(cells, stretch))
    # A least stretch of 0 is nobody's promise: a baseline off the grid may be rounded to the multiple below it.
    may_fall = (least == 0.0) & ~cells.is_locked[cell]
    gain = np.abs(graph.per_stretch[cell])
    if scenario.periods is not None:
        least, may_fall = np.where(may_fall, -step / gain, least), np.zeros(len(here), dtype=bool)
        least, most = np.where(least < 0.0, np.minimum(least, -step / gain), least), np.maximum(most, 0.0)
        fixed = ~np.isnan(scenario.horizon.fixed_target[scenario.cell_base[cell]])  # held over the horizon
        least, most = (
            np.where(fixed, stretch[cell] + far * step / gain, end)
            for far, end in ((-FARTHEST, least), (FARTHEST, most))
        )
    for bound, side, limits in ((least, -1.0, low), (most, 1.0, high)):
        room = (bound - stretch[cell]) * gain
        slack = BOUND_TOLERANCE * np.maximum(np.abs(bound), step) + FLOAT_TOLERANCE * np.abs(value)
        slack = np.where(np.isnan(cells.fixed_target[cell]), slack, noise(value / step) * step)
        is_floor = may_fall | (side > 0)
        counts = (value + room + np.where(is_floor, slack, -slack)) / step
        counts = np.where(is_floor, np.floor(counts), np.ceil(counts))
        limits[here] = np.clip(counts, floor[here] - FARTHEST, ceil[here] + FARTHEST)
    builds = np.zeros(len(parts), dtype=bool)
    builds[here] = (graph.kind[graph.entry_node[cell]] == NodeKind.BUILT) & (scenario.n_periods > 1)
    # What is less by a step has to be done again one period later, unless that is less by a step as well.
    fewer = np.where(builds, graph.period[parts.node], 0)
    fixed = (parts.cell < 0) | builds
    low[fixed], high[fixed] = (floor - fewer)[fixed], ceil[fixed]
    if scenario.periods is not None:
        _hold_ranges(graph, parts, stretch, low, high)
    return low.astype(np.int64), high.astype(np.int64)


def _hold_ranges(graph: CausalGraph, parts: Parts, stretch: Floats, low: Floats, high: Floats) -> None:
    """Narrow the boxes of rates and stocks so that the range of a cell over the horizon holds however they are rounded.

    A rate over the horizon is a mean: it keeps the range where every period does. A stock may move by a part of that in
    each, because what does not carry over adds up. A largest stretch is held by `repair`, unless the range is narrow.
    """
    scenario, horizon, periods = graph.scenario, graph.scenario.horizon, graph.scenario.periods
    assert periods is not None
    kinds = np.array([kpi.kind for kpi in scenario.kpis.values()], dtype=object)
    flow, carry = kinds == "flow", np.where(kinds == "stock", periods.carry, 1.0)
    is_whole = graph.period[parts.node] < 0
    cell = np.where(
        parts.cell >= 0, scenario.cell_base[parts.cell], np.where(is_whole, graph.whole_cell[parts.node], -1)
    )
    here = np.flatnonzero((cell >= 0) & horizon.has_decision[cell] & ~flow[parts.kpi])
    cell, step, value = cell[here], parts.step[here], parts.value[here]
    whole = np.bincount(scenario.cell_base, stretch, len(horizon)).astype(np.float64)
    least, most = (bound[cell] for bound in stretch_box(horizon, whole))
    spread = 1.0 + (1.0 - carry[parts.kpi[here]]) * (len(periods) - 1)
    slack = [BOUND_TOLERANCE * np.maximum(np.abs(b), step) + FLOAT_TOLERANCE * np.abs(value) for b in (least, most)]
    lowest, may_fall = value + (least - whole[cell]) / spread, (least == 0.0) & ~horizon.is_locked[cell]
    lowest = np.where(may_fall, np.floor((lowest + slack[0]) / step), np.ceil((lowest - slack[0]) / step))
    highest = np.floor((value + (most - whole[cell]) / spread + slack[1]) / step)
    fixed = ~np.isnan(horizon.fixed_target[cell])
    ends = is_whole[here] | ((kinds == "stock")[parts.kpi[here]] & (graph.period[parts.node[here]] == len(periods) - 1))
    near = noise(value / step)
    lowest = np.where(fixed, np.where(ends, np.ceil(value / step - near), low[here]), lowest)
    highest = np.where(fixed, np.where(ends, np.floor(value / step + near), high[here]), highest)
    promised, narrow = ~may_fall | (len(periods) == 1), (most - least < step) | fixed
    low[here] = np.where(promised, np.maximum(low[here], lowest), low[here])
    high[here] = np.where(narrow | is_whole[here], np.minimum(high[here], highest), high[here])
