"""The one writer of the program that a plan is made with: cascade, rules file, variants."""

from __future__ import annotations

from kpiopt.graph import CausalGraph
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.formulation.rules_file import apply_rules
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.run.robust import add_variants


def write_program(graph: CausalGraph, options: SolverOptions | None = None, *, allow_code: bool) -> Cascade:
    """Write all of the program of a scenario's graph.

    Parameters
    ----------
    options : SolverOptions, optional
        For the plans of the variants by themselves.
    allow_code : bool
        Whether the scenario's rules file may be run.

    Raises
    ------
    SecurityError
        Where there is a rules file and no permission to run it.
    ModelError
        Where the rules file fails, or a variant has other decisions.
    Infeasible
        Where a variant has no plan.
    LimitReached
        Where the time is up.
    """
    return add_variants(apply_rules(build_cascade(graph), allow_code=allow_code), options)
