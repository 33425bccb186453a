"""From a graph and a plan to the content of a map: who stands where, and how much goes along each arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kpiopt.graph import CausalGraph, EdgeKind, NodeKind
from kpiopt.graph.hand_down import one_over_horizon, share_below, weight_above
from kpiopt.report.drawing.short import short_pair
from kpiopt.report.numbers import amount, cushion_words, goal_amounts, target_step
from kpiopt.report.strategy_map.content import FOOT, REST, Arrow, Band, Card, CardPeriod, Group, StrategyMap
from kpiopt.scenario.links import Initiative
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Floats, Integers, Kpi
from kpiopt.simulation.odds import CERTAIN, Estimate

INITIATIVES, FACTORS, OTHER = "initiatives", "factors", "other"
LARGE, SAME = 1e5, 1e-12
"""Amounts from here on are written short on cards."""


@dataclass(frozen=True)
class MapSource:
    """A graph and what is known about its nodes.

    Attributes
    ----------
    targets : (n_nodes,) float or None
        None where nothing has been solved.
    levels : (n_levels,) float or None
        Levels of initiatives.
    goal_odds : mapping of str to Estimate
        By goal id.
    node_odds : (3, n_nodes) float or None
        Odds that each node attains its target, and the ends of their intervals.
    cushion : (n_nodes,) float or None
        Share by which each target is more than the plan asks, NaN where it is not.
    """

    graph: CausalGraph
    targets: Floats | None = None
    levels: Floats | None = None
    goal_odds: Mapping[str, Estimate] = field(default_factory=dict)
    node_odds: Floats | None = None
    cushion: Floats | None = None


def collect_map(source: MapSource, unit: int = 0) -> StrategyMap:
    """Return the map of a unit.

    Parameters
    ----------
    unit : int
        Position of the unit; the organization by default. Cards stand for its own values, arrows for what happens in
        it and below it.
    """
    graph, scenario = source.graph, source.graph.scenario
    cards = [*_kpi_cards(source, unit), *_initiative_cards(source, unit), *_factor_cards(graph)]
    arrows = _arrows(graph, unit)
    joined = {a.cause for a in arrows} | {a.effect for a in arrows}
    cards = [card for card in cards if card.kind == "kpi" or card.id in joined]
    bands, groups = _bands_and_groups(source, {card.group for card in cards})
    whose = "" if unit == 0 else f", {scenario.units.names[unit]}"
    kept = {card.id for card in cards}
    arrows = [a for a in arrows if a.cause in kept and a.effect in kept]
    return StrategyMap(
        f"{scenario.name}: strategy map{whose}", scenario.units.ids[unit], bands, groups, tuple(cards), tuple(arrows)
    )


def _bands_and_groups(source: MapSource, used: set[str]) -> tuple[tuple[Band, ...], tuple[Group, ...]]:
    """Return perspectives with their objectives, then the foot; only what is used."""
    scenario = source.graph.scenario
    bands: list[Band] = []
    groups: list[Group] = []
    for band in [*scenario.perspectives.values(), None]:
        inside = [
            Group(f"objective.{o.id}", o.name, len(bands), o.critical, o.description)
            for o in scenario.objectives.values()
            if (o.perspective or None) == (band.id if band else None) and f"objective.{o.id}" in used
        ]
        if band is None and OTHER in used:
            inside.append(Group(OTHER, "", len(bands)))
        if inside:
            bands.append(Band(band.id, band.name) if band else REST)
            groups += inside
    foot = [(INITIATIVES, "Initiatives"), (FACTORS, "Outside influences")]
    if any(id in used for id, _ in foot):
        groups += [Group(id, name, len(bands)) for id, name in foot if id in used]
        bands.append(FOOT)
    return tuple(bands), tuple(groups)


def _kpi_cards(source: MapSource, unit: int) -> Iterator[Card]:
    graph, scenario = source.graph, source.graph.scenario
    goals = {(g.kpi, g.unit): g.id for g in scenario.goals.values() if g.period < 0}
    goals_of_periods = {(g.kpi, g.unit, g.period) for g in scenario.goals.values()}
    for position, kpi in enumerate(scenario.kpis.values()):
        node = int(graph.find_nodes(np.array([unit]), position)[0])
        if node < 0:
            continue
        goal = goals.get((kpi.id, unit))
        before, after = values_on_card(graph, source.targets, kpi, node)
        wanted = _goal_beside(source.targets, kpi, node, scenario.goals[goal].target) if goal else ""
        group = f"objective.{kpi.objective}" if kpi.objective else OTHER
        odds = source.goal_odds.get(goal or "") or _odds_at(source, node)
        periods = [
            replace(period, is_goal=(kpi.id, unit, t) in goals_of_periods)
            for t, period in enumerate(periods_on_card(graph, source.targets, kpi, unit))
        ]
        is_goal = goal is not None or any(period.is_goal for period in periods)
        yield Card(
            f"kpi.{kpi.id}", kpi.name, group, before, after, kpi.unit, kpi.owner, odds, is_goal, kpi.sign,
            node, "; ".join(filter(None, [_cushion(source, kpi, node), kpi.description])), tuple(periods), wanted,
        )  # fmt: skip


def periods_on_card(graph: CausalGraph, targets: Floats | None, kpi: Kpi, unit: int) -> list[CardPeriod]:
    """Return baseline and target of a KPI at a unit in each period; none without periods."""
    names = () if graph.scenario.periods is None else graph.scenario.periods.names
    found = []
    for t, name in enumerate(names):
        node = graph.find_node(kpi.id, unit, t)
        target = None if targets is None else float(targets[node])
        found.append(CardPeriod(name, float(graph.baseline[node]), target))
    return found


def _cushion(source: MapSource, kpi: Kpi, node: int) -> str:
    """Say that the target on a card holds a cushion; "" where it holds none."""
    share = float("nan") if source.cushion is None else float(source.cushion[node])
    return "" if np.isnan(share) else cushion_words(kpi, share)


def _goal_beside(targets: Floats | None, kpi: Kpi, node: int, goal: float) -> str:
    """Write a goal that is not the target that is asked; "" where it is the same."""
    if targets is None or np.isnan(targets[node]) or np.isclose(targets[node], goal, rtol=SAME, atol=0.0):
        return ""
    target = float(targets[node])
    return short_pair(target, goal)[1] if max(abs(target), abs(goal)) >= LARGE else goal_amounts(kpi, goal, goal)[0]


def values_on_card(graph: CausalGraph, targets: Floats | None, kpi: Kpi, node: int) -> tuple[str, str]:
    """Return baseline and target as a card shows them; short where they are large."""
    baseline = float(graph.baseline[node])
    target = baseline if targets is None or np.isnan(targets[node]) else float(targets[node])
    if max(abs(baseline), abs(target)) >= LARGE:
        before, after = short_pair(baseline, target)
    else:
        before, after = (amount(value, "", target_step(kpi, target)) for value in (baseline, target))
    return before, "" if targets is None else after


def _odds_at(source: MapSource, node: int) -> Estimate | None:
    if source.node_odds is None or np.isnan(source.node_odds[0, node]):
        return None
    share, low, high = source.node_odds[:, node].tolist()
    return Estimate(share, low, high, CERTAIN if low == high else "exact")


def _initiative_cards(source: MapSource, unit: int) -> Iterator[Card]:
    graph, scenario = source.graph, source.graph.scenario
    acting = graph.tail[weight_above(graph, unit)[graph.head] != 0]  # whoever decides about it
    inside = (graph.level_unit >= unit) & (graph.level_unit < scenario.units.end[unit])
    inside |= np.isin(graph.level_node, acting)
    for position, initiative in enumerate(scenario.initiatives.values()):
        rows = np.flatnonzero(inside & (graph.level_initiative == position))
        if not len(rows):
            continue
        node = int(graph.level_node[rows[0]]) if len(rows) == 1 else -1
        said = _level_text(graph, source.levels, initiative, rows)
        name, path = initiative.name, f"initiative.{initiative.id}"
        yield Card(path, name, INITIATIVES, said, node=node, description=getattr(initiative, "description", ""))


def _level_text(graph: CausalGraph, levels: Floats | None, initiative: Initiative, rows: Integers) -> str:
    units = len(np.unique(graph.level_unit[rows]))
    where = f"{units} units" if units > 1 else "1 unit"
    if levels is None:
        return f"up to {amount(initiative.maximum)} at {where}"
    chosen = float(levels[rows].sum())
    if units == 1:
        return f"level {amount(chosen)} of {amount(initiative.maximum)}"
    return f"{amount(chosen)} of {amount(initiative.maximum * units)} at {where}"


def _factor_cards(graph: CausalGraph) -> Iterator[Card]:
    factors = list(graph.scenario.factors.values())
    for position, factor in enumerate(factors):
        if factor.period > 0:
            continue  # its card is that of the first period
        node = int(np.flatnonzero(graph.factor == position)[0])
        said = _spread_text(factor.value)
        if factor.period == 0:
            means = [other.value.mean for other in factors if other.cause == factor.cause]
            said = f"{amount(min(means))} to {amount(max(means))} by period"
        yield Card(f"factor.{factor.cause}", factor.title, FACTORS, said, node=node)


def _spread_text(value: Quantity) -> str:
    if value.is_number:
        return amount(value.mean)
    low, high = (float(x) for x in value.quantile(np.array([0.05, 0.95])))
    return f"{low:.3g} to {high:.3g}, mean {value.mean:.3g}"


def _arrows(graph: CausalGraph, unit: int) -> list[Arrow]:
    """Add up the graph's edges by cause and effect, weighted by what they count at the map's unit."""
    scenario = graph.scenario
    above = weight_above(graph, unit)
    own = np.where((graph.kind != NodeKind.KPI) | (graph.unit == unit), one_over_horizon(graph), 0.0)
    below = share_below(graph, own)
    reach = movable(graph)
    between = ~np.isin(graph.edge_kind, [EdgeKind.ROLL_UP, EdgeKind.TIME])
    sums: dict[tuple[str, str], tuple[float, float]] = {}
    lags: dict[tuple[str, str], int] = {}
    for edge in np.flatnonzero(between & (above[graph.head] != 0)).tolist():
        tail, head = int(graph.tail[edge]), int(graph.head[edge])
        weight = float(above[head] * graph.coefficient[edge])
        key = card_id(graph, tail), f"kpi.{scenario.kpi_ids[graph.kpi[head]]}"
        amount_, moved = sums.get(key, (0.0, 0.0))
        sums[key] = amount_ + weight * float(below[tail]), moved + abs(weight) * float(reach[tail])
        if graph.period[tail] >= 0:
            lag = int(graph.period[head] - graph.period[tail])
            lags[key] = min(lag, lags.get(key, lag))
    at_unit = {f"kpi.{k}": graph.find_node(k, unit) for k in scenario.kpi_ids}
    return [
        Arrow(
            cause, effect, total, min(1.0, moved / max(float(reach[at_unit[effect]]), 1e-300)),
            lags.get((cause, effect), 0),
        )
        for (cause, effect), (total, moved) in sums.items()
    ]  # fmt: skip


def card_id(graph: CausalGraph, node: int) -> str:
    """Return the id of the card that a node belongs to."""
    scenario = graph.scenario
    if graph.kind[node] == NodeKind.FACTOR:
        return f"factor.{list(scenario.factors.values())[graph.factor[node]].cause}"
    if graph.kind[node] == NodeKind.INITIATIVE:
        return f"initiative.{list(scenario.initiatives)[graph.level_initiative[graph.level[node]]]}"
    return f"kpi.{scenario.kpi_ids[graph.kpi[node]]}"


def movable(graph: CausalGraph) -> Floats:
    """Return by how much decisions and factors could move each node, if all moved it the same way, (n_nodes,)."""
    scenario, cells, one = graph.scenario, graph.scenario.horizon, one_over_horizon(graph)
    own = np.zeros(graph.n_nodes)
    span = np.where(cells.has_decision, np.nan_to_num(cells.max_stretch - cells.min_stretch), 0.0)[scenario.cell_base]
    if scenario.periods is not None:  # as a season has it
        span = span * scenario.periods.season[scenario.cells.kpi, scenario.cell_period]
    own[graph.entry_node] = np.abs(graph.per_stretch) * span
    largest = np.array([i.maximum for i in scenario.initiatives.values()] + [0.0])
    own[graph.level_node] = largest[graph.level_initiative] * one[graph.level_node]
    for position, factor in enumerate(scenario.factors.values()):
        ends = [factor.value.mean] * 2 if factor.value.is_number else factor.value.quantile(np.array([0.05, 0.95]))
        own[graph.factor == position] = float(ends[1] - ends[0])
    matrix = graph.matrix.copy()
    matrix.data = np.abs(matrix.data)
    return graph.sweep(own, matrix)
