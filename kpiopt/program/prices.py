"""What holds the plan back: use of every limit, and the shadow prices of those that bind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpiopt.program.cascade import Cascade
from kpiopt.program.constraints import Limit
from kpiopt.program.steps import Solution, StepResult
from kpiopt.scenario.scenario import Floats

BINDING = 1e-9


@dataclass(frozen=True)
class LimitResult:
    """A limit in the plan.

    Attributes
    ----------
    name : str
        "capacity.<resource>@<unit>" or "budget.<id>".
    limit, used : float
        In the resource's unit.
    binding : bool
        Whether nothing is left (to 1e-9 of the limit).
    step : str or None
        First step of the order in which one more unit of the limit is worth something.
    shadow_price : float or None
        By how much that step's value improves per unit of the limit; >= 0.
    lower, upper : float or None
        Range of the limit in which the price holds.
    unit : str
        "goal shortfall per hours", "USD per hours" …
    """

    name: str
    resource: str
    limit: float
    used: float
    binding: bool
    step: str | None = None
    shadow_price: float | None = None
    lower: float | None = None
    upper: float | None = None
    unit: str = ""


def price_limits(cascade: Cascade, solution: Solution) -> tuple[LimitResult, ...]:
    """Return use and shadow price of every capacity and budget, in the order of the program."""
    activity = cascade.program.arrays().matrix @ solution.x
    duals = [_significant(step, cascade) for step in solution.steps if step.name != "reference"]
    return tuple(_result(limit, activity, solution.steps, duals, cascade) for limit in cascade.limits)


def _significant(step: StepResult, cascade: Cascade) -> Floats:
    """Duals of the program's rows, rounding residue set to 0: what could not move the value by 1e-9 of its size."""
    dual = step.row_dual[: cascade.program.n_rows]
    side = np.array([limit.value for limit in cascade.limits])
    effect = np.zeros(len(dual))
    rows = [limit.row for limit in cascade.limits]
    effect[rows] = np.abs(dual[rows]) * np.maximum(np.abs(side), 1.0)
    return np.where(effect > 1e-9 * max(abs(step.value), 1e-3), dual, 0.0)


def _result(
    limit: Limit, activity: Floats, steps: Sequence[StepResult], duals: Sequence[Floats], cascade: Cascade
) -> LimitResult:
    used = float(activity[limit.row]) + limit.base
    binding = bool(limit.value - used <= BINDING * max(1.0, abs(limit.value)))
    plain = LimitResult(limit.name, limit.resource, limit.value, used, binding)
    for step, dual in zip(steps, duals, strict=False):
        if binding and dual[limit.row] < 0.0:
            return _priced(plain, limit, step, float(dual[limit.row]), cascade)
    return plain


def _priced(plain: LimitResult, limit: Limit, step: StepResult, dual: float, cascade: Cascade) -> LimitResult:
    lower = upper = None
    if step.ranging is not None:
        lower = float(step.ranging.row_from[limit.row]) + limit.base
        upper = float(step.ranging.row_to[limit.row]) + limit.base
    worth = "money" if step.name == "cost" and not cascade.graph.scenario.currency else step.unit
    resource = cascade.graph.scenario.currency if limit.resource == "pay" else limit.resource
    return LimitResult(
        plain.name, plain.resource, plain.limit, plain.used, True, step.label, -dual, lower, upper,
        f"{worth} per {resource or 'unit'}",
    )  # fmt: skip
