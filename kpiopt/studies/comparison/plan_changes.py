"""What is different between two plans: rounded targets that moved, initiatives that are funded otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.plan import Plan

SAME = 1e-9
"""Targets and levels that differ by less, relative to their size, are the same."""

Key = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class OtherMeasure:
    """A KPI that the two scenarios measure in different units; its values cannot be held against each other."""

    kpi: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class TargetMove:
    """A rounded target that differs; None on the side that has no such target.

    Attributes
    ----------
    share : float or None
        How far it moved: |second - first| relative to the size of this target (the largest of |baseline|, |first| and
        |second|), or to the mean size of the KPI's targets on the same level where that is larger, so that a small
        step from nothing is a small move. None where one side has no such target.
    period : str or None
        None for the horizon.
    """

    unit: str
    kpi: str
    first: float | None
    second: float | None
    share: float | None
    period: str | None = None


@dataclass(frozen=True, slots=True)
class LevelChange:
    """An initiative that a unit funds at another level; None on the side that has no such decision.

    `start` is the period in which it begins, None where there is only one.
    """

    initiative: str
    unit: str
    first: float | None
    second: float | None
    start: str | None = None


def find_other_measures(first: Plan, second: Plan) -> tuple[OtherMeasure, ...]:
    """Return the KPIs of both plans that have another unit of measure in the second."""
    a, b = (plan.graph.scenario.kpis for plan in (first, second))
    return tuple(OtherMeasure(kpi, a[kpi].unit, b[kpi].unit) for kpi in a if kpi in b and a[kpi].unit != b[kpi].unit)


def compare_targets(first: Plan, second: Plan) -> tuple[tuple[TargetMove, ...], int]:
    """Return the targets that moved, the farthest first and those of one side only last; and how many there are.

    Targets of KPIs with another unit of measure are left out of both.
    """
    other = {measure.kpi for measure in find_other_measures(first, second)}
    a, b = ({key: value for key, value in _targets(plan).items() if key[1] not in other} for plan in (first, second))
    moves = [_move(key, a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b])]
    sizes = _mean_sizes(first, second, a, b)
    found = [_relative_to(move, a, b, sizes) for move in moves if move.first != move.second]
    return tuple(sorted(found, key=_farthest)), len(moves)


def _targets(plan: Plan) -> dict[Key, tuple[float, float]]:
    """Return rounded target and baseline by unit, KPI and period."""
    graph, node, scenario = plan.graph, plan.nodes, plan.graph.scenario
    ids = (
        (scenario.units.ids[u], scenario.kpi_ids[k], scenario.period_name(t))
        for u, k, t in zip(
            graph.unit[node].tolist(), graph.kpi[node].tolist(), graph.period[node].tolist(), strict=True
        )
    )
    return dict(zip(ids, zip(plan.target[node].tolist(), graph.baseline[node].tolist(), strict=True), strict=True))


def _move(key: Key, before: tuple[float, float] | None, after: tuple[float, float] | None) -> TargetMove:
    """Return a target on both sides; what differs by a rounding residue is the same."""
    unit, kpi, period = key
    if before is None or after is None:
        return TargetMove(unit, kpi, before and before[0], after and after[0], None, period)
    same = abs(after[0] - before[0]) <= SAME * max(map(abs, (*before, *after)))
    return TargetMove(unit, kpi, before[0], before[0] if same else after[0], 0.0, period)


def _mean_sizes(
    first: Plan, second: Plan, a: Mapping[Key, tuple[float, float]], b: Mapping[Key, tuple[float, float]]
) -> dict[Key, float]:
    """Return the mean size of targets by level of the organization, KPI and period."""
    levels = {
        unit: level
        for plan in (first, second)
        for unit, level in zip(plan.graph.scenario.units.ids, plan.graph.scenario.units.levels, strict=True)
    }
    sizes: dict[Key, list[float]] = {}
    for unit, kpi, period in dict.fromkeys([*a, *b]):
        sizes.setdefault((levels[unit], kpi, period), []).append(_size((unit, kpi, period), a, b))
    means = {peers: float(np.mean(found)) for peers, found in sizes.items()}
    return {(unit, kpi, period): means[levels[unit], kpi, period] for unit, kpi, period in dict.fromkeys([*a, *b])}


def _size(key: Key, a: Mapping[Key, tuple[float, float]], b: Mapping[Key, tuple[float, float]]) -> float:
    values = (*a.get(key, ()), *b.get(key, ()))
    return float(max(abs(value) for value in values))


def _relative_to(
    move: TargetMove,
    a: Mapping[Key, tuple[float, float]],
    b: Mapping[Key, tuple[float, float]],
    mean_sizes: Mapping[Key, float],
) -> TargetMove:
    if move.first is None or move.second is None:
        return move
    key = move.unit, move.kpi, move.period
    return replace(move, share=abs(move.second - move.first) / max(_size(key, a, b), mean_sizes[key]))


def _farthest(move: TargetMove) -> tuple[bool, float, str, str, str]:
    return move.share is None, -(move.share or 0.0), move.unit, move.kpi, move.period or ""


def compare_levels(first: Plan, second: Plan) -> tuple[LevelChange, ...]:
    """Return the initiatives whose level differs, in the order of the first plan, then those only the second has.

    A decision that one side does not have and that the other leaves at 0 is no difference.
    """
    a, b = _levels(first), _levels(second)
    keys = dict.fromkeys([*a, *b])
    changes = (LevelChange(i, u, a.get((i, u, t)), b.get((i, u, t)), t) for i, u, t in keys)
    return tuple(change for change in changes if _differs(change.first or 0.0, change.second or 0.0))


def _levels(plan: Plan) -> dict[Key, float]:
    graph = plan.graph
    initiatives, units = list(graph.scenario.initiatives), graph.scenario.units.ids
    starts = [graph.scenario.period_name(start) for start in graph.level_start.tolist()]
    return {
        (initiatives[i], units[u], start): level
        for i, u, start, level in zip(
            graph.level_initiative, graph.level_unit, starts, plan.levels.tolist(), strict=True
        )
    }


def _differs(first: float, second: float) -> bool:
    return abs(second - first) > SAME * max(1.0, abs(first), abs(second))
