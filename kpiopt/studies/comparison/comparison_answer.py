"""A comparison in JSON: the document "kpiopt.compare/1"."""

from __future__ import annotations

import math
from typing import Any

from kpiopt.errors import problem_as_dict
from kpiopt.program.order.prices import LimitResult
from kpiopt.run.run import broken_as_dict
from kpiopt.simulation.difference import OddsDifference
from kpiopt.studies.comparison.bridge import Bridge
from kpiopt.studies.comparison.compare import (
    Comparison,
    GoalChange,
    GoalValue,
    InputChange,
    LimitChange,
    PayChange,
    Side,
    Unsolved,
)
from kpiopt.studies.comparison.contenders import Comparisons
from kpiopt.studies.comparison.plan_changes import TargetMove

SCHEMA = "kpiopt.compare/1"
LISTED_TARGETS = 1000


def comparisons_as_dict(found: Comparisons) -> dict[str, Any]:
    """Return all comparisons as one document; of targets that differ the first 1,000 are listed, all are counted."""
    settings = found.settings
    return {
        "schema": SCHEMA,
        "base": _side_as_dict(found.base),
        "simulation": {"draws": settings.draws, "seed": settings.seed, "method": settings.method, "paired": True}
        if found.base.simulation
        else None,
        "comparisons": [
            _unsolved_as_dict(other) if isinstance(other, Unsolved) else _comparison_as_dict(other)
            for other in found.others
        ],
        "not_done": [part.as_dict() for part in found.not_done],
    }


def _side_as_dict(side: Side) -> dict[str, Any]:
    everything = side.simulation.all_goals if side.simulation else None
    return {
        "label": side.label,
        "name": side.scenario.name,
        "variant": side.scenario.variant,
        "currency": side.scenario.currency,
        "pay": side.pay,
        "initiatives": side.initiatives,
        "goals_met": sum(goal.met for goal in side.goals),
        "all_goals": everything.as_dict() if everything else None,
        "rule": side.rule,
        "broken_limits": [broken_as_dict(limit) for limit in side.broken],
    }


def _unsolved_as_dict(other: Unsolved) -> dict[str, Any]:
    return {
        "label": other.label,
        "status": type(other.error).__name__.lower(),
        "exit_code": int(other.error.exit_code),
        "problems": [problem_as_dict(problem) for problem in other.error.problems],
    }


def _comparison_as_dict(found: Comparison) -> dict[str, Any]:
    return {
        "label": found.second.label,
        "status": "optimal",
        "scenario": _side_as_dict(found.second),
        "inputs": [_input_as_dict(change) for change in found.inputs],
        "goals": [_goal_as_dict(change) for change in found.goals],
        "all_goals": _odds_as_dict(found.all_goals),
        "same_goals": found.same_goals,
        "pay": _pay_as_dict(found.pay),
        "initiatives": [
            {"initiative": c.initiative, "unit": c.unit, "start": c.start, "first": c.first, "second": c.second}
            for c in found.initiatives
        ],
        "targets": {
            "of": found.n_targets,
            "moved": sum(move.share is not None for move in found.targets),
            "new": sum(move.first is None for move in found.targets),
            "gone": sum(move.second is None for move in found.targets),
            "listed": [_move_as_dict(move) for move in found.targets[:LISTED_TARGETS]],
        },
        "limits": {
            "began": [_limit_as_dict(change) for change in found.limits if change.begins],
            "ceased": [_limit_as_dict(change) for change in found.limits if not change.begins],
        },
        "bridges": [_bridge_as_dict(bridge) for bridge in found.bridges],
        "other_measures": [{"kpi": m.kpi, "first": m.first, "second": m.second} for m in found.other_measures],
    }


def _move_as_dict(move: TargetMove) -> dict[str, Any]:
    return {
        "unit": move.unit, "kpi": move.kpi, "period": move.period,
        "first": move.first, "second": move.second, "share": move.share,
    }  # fmt: skip


def _input_as_dict(change: InputChange) -> dict[str, Any]:
    sides = {"first": change.first, "second": change.second}
    values = {side: setting.value if setting else None for side, setting in sides.items()}
    origins = {f"{side}_origin": setting.origin if setting else None for side, setting in sides.items()}
    return {"path": change.path, **values, **origins}


def _goal_as_dict(change: GoalChange) -> dict[str, Any]:
    either = change.first or change.second
    assert either is not None
    return {
        "goal": change.goal,
        "kpi": either.goal.kpi,
        "unit": either.unit,
        "period": either.period,
        "first": _value_as_dict(change.first),
        "second": _value_as_dict(change.second),
        "odds": _odds_as_dict(change.odds),
    }


def _value_as_dict(value: GoalValue | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"target": value.target, "plan": value.plan, "shortfall": value.shortfall, "met": value.met}


def _odds_as_dict(odds: OddsDifference | None) -> dict[str, Any] | None:
    if odds is None:
        return None
    return {
        "first": odds.first.as_dict(),
        "second": odds.second.as_dict(),
        "difference": odds.difference.as_dict(),
        "resolved": odds.is_resolved,
    }


def _pay_as_dict(change: PayChange) -> dict[str, Any]:
    drawn = change.drawn or (None, None)
    return {
        "first": {"plan": change.plan[0], "mean": drawn[0]},
        "second": {"plan": change.plan[1], "mean": drawn[1]},
        "difference": change.difference.as_dict() if change.difference else None,
    }


def _limit_as_dict(change: LimitChange) -> dict[str, Any]:
    return {"name": change.name, "first": _use_as_dict(change.first), "second": _use_as_dict(change.second)}


def _use_as_dict(limit: LimitResult | None) -> dict[str, Any] | None:
    if limit is None:
        return None
    return {"limit": limit.limit, "used": limit.used, "shadow_price": limit.shadow_price, "unit": limit.unit}


def _bridge_as_dict(bridge: Bridge) -> dict[str, Any]:
    return {
        "kpi": bridge.kpi,
        "unit": bridge.unit,
        "period": bridge.period,
        "first": bridge.first,
        "second": bridge.second,
        "unexplained": bridge.second - bridge.first - math.fsum(part.amount for part in bridge.parts),
        "parts": [
            {"kind": part.kind, "unit": part.unit, "about": part.about, "amount": part.amount} for part in bridge.parts
        ],
    }
