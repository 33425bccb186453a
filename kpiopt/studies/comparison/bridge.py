"""A bridge: how the plan value of a goal's KPI gets from one plan to another, in amounts that add up exactly.

With T the total effect of one unit at a node on the goal's node, a plan value is a sum over everything that moves it,

    v = b + sum_n T_n s_n e_n x_n + sum_l T_l a_l + sum_f T_f E[factor]

(stretch x with sign s and mean execution e, initiative levels a). Between two plans each product changes by one factor
at a time, so that the parts of a change telescope:

    T'e'x' - T e x  =  T e (x' - x)  +  T (e' - e) x'  +  (T' - T) e'x'

Along a response curve T has its mean slope up to where the plan is; that it is another in the other plan is told as a
change of links.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal

import numpy as np

from kpiopt.graph import CausalGraph, NodeKind, straight
from kpiopt.plan import Plan
from kpiopt.scenario.scenario import Floats, Integers, Units

NOTHING = 1e-12
"""Amounts below this share of the two values are rounding residue."""

Kind = Literal["baseline", "stretch", "initiative", "factor", "execution", "links"]


@dataclass(frozen=True, slots=True)
class BridgePart:
    """One amount between two plans.

    Attributes
    ----------
    kind : str
        "baseline", "stretch" (of one KPI in one group of units), "initiative", "factor", "execution" (the share of
        stretch that is expected) or "links" (strength of cause and effect).
    amount : float
        In the goal KPI's unit.
    unit : str or None
        Of stretch: the unit below the goal's unit whose subtree the cells are in, or that unit itself.
    about : str or None
        Id of the KPI, the initiative or the factor.
    """

    kind: Kind
    amount: float
    unit: str | None = None
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """From one plan value to another.

    Attributes
    ----------
    kpi, unit : str
        Ids of the goal's node.
    period : str or None
        None for the horizon.
    first, second : float
        Plan values; second - first is the sum of the parts.
    parts : tuple of BridgePart
        By kind, largest first; amounts that are rounding residue are left out.
    """

    kpi: str
    unit: str
    first: float
    second: float
    parts: tuple[BridgePart, ...]
    period: str | None = None


@dataclass(frozen=True)
class _Terms:
    """What moves the goal's node in one plan, keyed across plans; amount = effect * share * size.

    Attributes
    ----------
    key : list of (kind, unit, about, member)
        `member` tells cells or units of the same part apart; a KPI with another direction or unit of measure is
        another member, as its stretches are of another kind.
    effect, share, size : (n,) float
        T; s e for stretch, else 1; x, a or the factor's mean.
    """

    key: list[tuple[Kind, str | None, str, str]]
    effect: Floats
    share: Floats
    size: Floats


def build_bridge(kpi: str, unit: str, first: Plan, second: Plan, period: str | None = None) -> Bridge | None:
    """Explain the change of a plan value; None where one of the plans has no such node.

    Parameters
    ----------
    kpi, unit : str
        Ids of the goal's node.
    first, second : Plan
        Each with its own graph; the two scenarios may differ in anything.
    period : str, optional
        The horizon by default.
    """
    nodes = [_find(plan.graph, kpi, unit, period) for plan in (first, second)]
    if min(nodes) < 0:
        return None
    values = [float(plan.expected[node]) for plan, node in zip((first, second), nodes, strict=True)]
    baselines = [float(plan.graph.baseline[node]) for plan, node in zip((first, second), nodes, strict=True)]
    terms = [_terms(plan, node) for plan, node in zip((first, second), nodes, strict=True)]
    parts = [BridgePart("baseline", baselines[1] - baselines[0]), *_changes(*terms)]
    least = NOTHING * max(abs(values[0]), abs(values[1]))
    kept = [part for part in _added_up(parts) if abs(part.amount) > least]
    return Bridge(kpi, unit, values[0], values[1], tuple(sorted(kept, key=_rank)), period)


def _find(graph: CausalGraph, kpi: str, unit: str, period: str | None) -> int:
    scenario = graph.scenario
    names = (None,) if scenario.periods is None else (None, *scenario.periods.names)
    if kpi not in scenario.kpi_position or unit not in scenario.units.position or period not in names:
        return -1
    return graph.find_node(kpi, unit, names.index(period) - 1)


def _terms(plan: Plan, node: int) -> _Terms:
    """Collect all that has an effect on a node."""
    graph, scenario = straight(plan.graph, plan.stretch, plan.levels), plan.graph.scenario
    weight = np.zeros(graph.n_nodes)
    weight[node] = 1.0
    total = graph.sweep_back(weight)
    cell = np.flatnonzero(total[graph.entry_node])
    level = np.flatnonzero(total[graph.level_node])
    factor = np.flatnonzero((graph.kind == NodeKind.FACTOR) & (total != 0.0))
    key = [
        *_cell_keys(graph, cell, int(graph.unit[node])),
        *_level_keys(graph, level),
        *(("factor", None, list(scenario.factors)[graph.factor[n]], "") for n in factor.tolist()),
    ]
    at = graph.entry_node[cell]
    share = np.where(plan.stretch[cell] < 0.0, 1.0, graph.execution_mean[cell])
    return _Terms(
        key,
        np.concatenate([total[at], total[graph.level_node[level]], total[factor]]),
        np.concatenate([graph.per_stretch[cell] * share, np.ones(len(level) + len(factor))]),
        np.concatenate([plan.stretch[cell], plan.levels[level], graph.factor_mean[factor]]),
    )


def _cell_keys(graph: CausalGraph, cell: Integers, unit: int) -> Iterator[tuple[Kind, str, str, str]]:
    scenario, units = graph.scenario, graph.scenario.units
    group = groups_below(units, unit)
    columns = (scenario.cells.unit[cell], scenario.cells.kpi[cell], scenario.cell_period[cell])
    for u, k, t in zip(*(column.tolist() for column in columns), strict=True):
        kpi = scenario.kpi_ids[k]
        kind = f"{scenario.kpis[kpi].sign:+d} {scenario.kpis[kpi].unit} {scenario.period_name(t) or ''}"
        yield "stretch", units.ids[group[u]], kpi, f"{units.ids[u]} {kind}"


def _level_keys(graph: CausalGraph, level: Integers) -> Iterator[tuple[Kind, None, str, str]]:
    initiatives = list(graph.scenario.initiatives)
    columns = (graph.level_initiative[level], graph.level_unit[level], graph.level_start[level])
    for i, u, t in zip(*(column.tolist() for column in columns), strict=True):
        yield "initiative", None, initiatives[i], f"{graph.scenario.units.ids[u]} {graph.scenario.period_name(t) or ''}"


def groups_below(units: Units, unit: int) -> Integers:
    """Return for every unit the unit that stands for it, seen from one unit.

    The unit itself and those above it stand for themselves; everybody else belongs to the subtree that branches off
    there.

    Returns
    -------
    (n_units,) int
    """
    spine = {unit}
    while units.parent[unit] >= 0:
        unit = int(units.parent[unit])
        spine.add(unit)
    group = np.arange(len(units))
    for i, parent in enumerate(units.parent.tolist()):
        if i not in spine and parent not in spine:
            group[i] = group[parent]
    return group


def _changes(first: _Terms, second: _Terms) -> Iterator[BridgePart]:
    """Split the change of every product into the changes of its factors."""
    keys = list(dict.fromkeys([*first.key, *second.key]))
    a, b = (_aligned(terms, other, keys) for terms, other in ((first, second), (second, first)))
    sized = a.effect * a.share * (b.size - a.size)
    shared = a.effect * (b.share - a.share) * b.size
    linked = (b.effect - a.effect) * b.share * b.size
    for (kind, unit, about, _), amount in zip(keys, sized.tolist(), strict=True):
        yield BridgePart(kind, amount, unit, about)
    yield BridgePart("execution", fsum(shared))
    yield BridgePart("links", fsum(linked))


def _aligned(terms: _Terms, other: _Terms, keys: Sequence[tuple[Kind, str | None, str, str]]) -> _Terms:
    """Bring terms into the order of `keys`; one that a plan does not have is there with size 0."""
    own, others = ({key: i for i, key in enumerate(t.key)} for t in (terms, other))
    at = np.array([own.get(key, -1) for key in keys], dtype=np.int64)
    there = np.array([others.get(key, -1) for key in keys], dtype=np.int64)

    def pick(values: Floats, else_values: Floats) -> Floats:
        return np.where(at >= 0, np.append(values, 0.0)[at], np.append(else_values, 0.0)[there])

    size = np.where(at >= 0, np.append(terms.size, 0.0)[at], 0.0)
    return _Terms(list(keys), pick(terms.effect, other.effect), pick(terms.share, other.share), size)


def _added_up(parts: Sequence[BridgePart]) -> Iterator[BridgePart]:
    """Add up the amounts of the same part."""
    amounts: dict[tuple[Kind, str | None, str | None], list[float]] = {}
    for part in parts:
        amounts.setdefault((part.kind, part.unit, part.about), []).append(part.amount)
    yield from (BridgePart(kind, fsum(a), unit, about) for (kind, unit, about), a in amounts.items())


def _rank(part: BridgePart) -> tuple[int, float, str, str]:
    kinds = ("baseline", "stretch", "initiative", "factor", "execution", "links")
    return kinds.index(part.kind), -abs(part.amount), part.unit or "", part.about or ""
