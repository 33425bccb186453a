"""One plan for several variants of the file, worst regret first: the program, and how the plan does in each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kpiopt.errors import Infeasible, Problem
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.variants import goal_steps, other_cascades, with_variants
from kpiopt.program.order.steps import InfeasibleProgram
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats, dot


@dataclass(frozen=True)
class VariantResult:
    """How a robust plan does in one variant, in one step about goals.

    Attributes
    ----------
    alone : float
        What the variant could have for itself: the weighted shortfall of its goals.
    plan : float
        What it has with this plan.
    """

    variant: str
    step: str
    alone: float
    plan: float

    @property
    def regret(self) -> float:
        """What the variant gives up for the others; below 0 where an earlier step left it more."""
        return self.plan - self.alone

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "variant": self.variant, "step": self.step, "alone": self.alone, "plan": self.plan, "regret": self.regret
        }  # fmt: skip


def add_variants(cascade: Cascade, options: SolverOptions | None = None) -> Cascade:
    """Return a cascade whose plan is judged in the variants that its scenario names as robust, if any.

    Raises
    ------
    ModelError
        Where a variant has other decisions.
    Infeasible
        Where a variant has no plan.
    """
    others = other_cascades(cascade)
    alone = {key: value for name, other in others for key, value in _solve_alone(name, other, options).items()}
    return with_variants(cascade, others, alone)


def _solve_alone(name: str, other: Cascade, options: SolverOptions | None) -> dict[tuple[str, str], float]:
    steps = goal_steps(other)
    try:
        found = solve_program(replace(other.program, objectives=steps, reference=None), options or SolverOptions())
    except InfeasibleProgram:
        raise Infeasible(
            Problem(
                "E-robust-infeasible",
                f"variant '{name}' has no plan by itself",
                rule="a robust plan has to be possible in each of its variants",
                fix=f"see what is in its way: kpiopt solve --variant {name}, without `robust`",
            )
        ) from None
    return {(name, step.label): step.value for step in found.steps if step.name == "goals"}


def variant_results(cascade: Cascade, x: Floats) -> tuple[VariantResult, ...]:
    """Judge a plan in the variants of its cascade."""
    return tuple(
        VariantResult(step.variant, step.step, step.alone, dot(step.cost, x) + step.offset) for step in cascade.variants
    )
