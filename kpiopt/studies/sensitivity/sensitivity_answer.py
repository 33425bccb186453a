"""A sensitivity study in JSON: the document "kpiopt.sensitivity/1"."""

from __future__ import annotations

from typing import Any

from kpiopt.errors import problem_as_dict
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.sensitivity.break_even import BreakEven, Crossing
from kpiopt.studies.sensitivity.information import Information
from kpiopt.studies.sensitivity.near_optimal import Alternatives
from kpiopt.studies.sensitivity.study import Sensitivity
from kpiopt.studies.sensitivity.tornado import Bar, End

SCHEMA = "kpiopt.sensitivity/1"


def sensitivity_as_dict(found: Sensitivity) -> dict[str, Any]:
    """Return a study as one document; parts that were not asked for are null."""
    outcome, settings = found.outcome, found.settings
    return {
        "schema": SCHEMA,
        "status": "optimal",
        "name": found.scenario.name,
        "variant": found.scenario.variant,
        "output": {
            "asked": outcome.text,
            "label": outcome.label,
            "unit": outcome.measure or None,
            "better": "up" if outcome.better > 0 else "down",
            **_estimate(found.base.estimate),
        },
        "simulation": {"draws": settings.draws, "seed": settings.seed, "method": settings.method, "paired": True},
        "tornado": [_bar(bar) for bar in found.tornado.bars] if found.tornado else None,
        "left_out": [{"count": item.count, "what": item.what, "fix": item.fix} for item in found.left_out],
        "morris": _screening(found) or None,
        "sobol": _shares(found),
        "break_even": [_break_even(item) for item in found.break_evens] or None,
        "alternatives": _alternatives(found, found.alternatives) if found.alternatives else None,
        "information": [_information(item) for item in found.information] or None,
        "not_done": [part.as_dict() for part in found.not_done],
    }


def _estimate(estimate: Estimate) -> dict[str, float]:
    return estimate.as_dict()


def _or_none(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else estimate.as_dict()


def _bar(bar: Bar) -> dict[str, Any]:
    move = bar.move
    return {
        "input": move.path,
        "kind": move.kind,
        "now": move.now,
        "swing": bar.swing,
        "low": _end(bar.low),
        "high": _end(bar.high),
    }


def _end(end: End) -> dict[str, Any]:
    return {
        "value": end.input_value,
        "fixed": _or_none(end.fixed),
        "fixed_change": _or_none(end.fixed_change),
        "replanned": _or_none(end.replanned),
        "replanned_change": _or_none(end.replanned_change),
        "replanning_worth": _or_none(end.worth),
        "broken_limits": list(end.broken),
        "problem": problem_as_dict(end.problem) if end.problem else None,
    }


def _screening(found: Sensitivity) -> list[dict[str, Any]]:
    return [
        {
            "group": group.name,
            "members": list(group.members),
            "mu_star": effects.strength.as_dict(),
            "mu": effects.mean,
            "sigma": effects.spread,
        }
        for group, effects in found.screening
    ]


def _shares(found: Sensitivity) -> dict[str, Any] | None:
    if found.variance is None:
        return None
    groups = [
        {
            "group": group.name,
            "members": list(group.members),
            "first": share.first.as_dict(),
            "total": share.total.as_dict(),
        }
        for group, share in found.shares
    ]
    return {"variance": found.variance, "groups": groups}


def _break_even(item: BreakEven) -> dict[str, Any]:
    return {
        "path": item.path,
        "now": item.now,
        "searched": {"from": item.low, "to": item.high},
        "kind": {"below": _crossing(item.kind_below), "above": _crossing(item.kind_above)},
        "targets": {"below": _crossing(item.targets_below), "above": _crossing(item.targets_above)},
    }


def _crossing(crossing: Crossing | None) -> dict[str, Any] | None:
    if crossing is None:
        return None
    return {
        "value": crossing.value,
        "inside": crossing.inside,
        "outside": crossing.outside,
        "changes": list(crossing.changes),
        "confirmed": crossing.confirmed,
    }


def _alternatives(found: Sensitivity, item: Alternatives) -> dict[str, Any]:
    plan, other = found.planned.plan, item.different
    graph = plan.graph
    return {
        "slack": item.slack,
        "steps": [{"step": name, "value": value, "may_worsen_to": limit} for name, value, limit in item.steps],
        "ranges": [
            {"name": r.name, "kind": "initiative" if r.cell < 0 else "target", "now": r.now, "low": r.low,
             "high": r.high, "share": r.share}
            for r in item.ranges
        ],
        "different_plan": {
            "distance": item.distance,
            "targets": [
                {"target": graph.node_name(node), "now": float(plan.target[node]), "then": float(other.target[node])}
                for node in plan.nodes.tolist()
                if plan.target[node] != other.target[node]
            ],
            "levels": [
                {"initiative": graph.node_name(node).removeprefix("initiative."), "now": float(a), "then": float(b)}
                for node, a, b in zip(graph.level_node.tolist(), plan.levels, other.levels, strict=True)
                if a != b
            ],
        },
    }  # fmt: skip


def _information(item: Information) -> dict[str, Any]:
    return {
        "input": item.name,
        "worth": item.worth.as_dict(),
        "replanning": item.replanning.as_dict(),
        "values": item.values,
        "without_plan": item.without_plan,
    }
