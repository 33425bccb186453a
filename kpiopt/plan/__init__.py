"""The plan: from a solution to values, targets and their rounding."""

from kpiopt.plan.plan import Plan, build_plan
from kpiopt.plan.rounding import Rounding, round_targets

__all__ = ["Plan", "Rounding", "build_plan", "round_targets"]
