"""The program of one step as the steps before it leave it: what another solver is given to find the step's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kpiopt.program.formulation.blocks import Columns, LinearProgram, Objective, Rows, Terms
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.order.steps import Solution
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.run.solve import solve_cascade


def program_of_step(cascade: Cascade, step: str | None, options: SolverOptions) -> LinearProgram:
    """Return a cascade's program with what the steps before one have settled; those are solved for it.

    Without whole numbers an earlier step has fixed columns and rows at the sides where its duals hold them, or, with a
    slack, added a row `kept[<step>]`, its objective <= value and slack. With whole numbers every earlier step has such
    a row.

    Parameters
    ----------
    step : str or None
        Label of an objective such as "goals 1", or "reference"; the first by default. One that is not there is left to
        the export to refuse.

    Raises
    ------
    Infeasible, Unbounded, Uncertified, LimitReached
        Where the steps before have no answer.
    """
    if cascade.promises and not cascade.cuts.cuts:
        cascade, _ = solve_cascade(cascade, options)
    program = cascade.program
    labels = [objective.label for objective in program.objectives]
    position = len(labels) if step == "reference" else labels.index(step) if step in labels else 0
    earlier = program.objectives[:position]
    if not earlier:
        return program
    posed = replace(cascade, program=replace(program, objectives=earlier, reference=None))
    posed, solution = solve_cascade(posed, options)
    if any(block.integer.any() for block in program.columns):
        return _with_kept_rows(program, earlier, _limits(earlier, solution))
    face = solution.faces[-1]
    given_up = [objective for objective in earlier if objective.slack > 0.0]
    return _with_kept_rows(_narrowed(program, face), given_up, face.row_upper[program.n_rows :])


def _limits(earlier: Sequence[Objective], solution: Solution) -> Floats:
    """Return what each objective may come to, its constant left out."""
    pairs = zip(earlier, solution.steps, strict=True)
    return np.array([step.value + o.slack * abs(step.value) - o.offset for o, step in pairs])


def _narrowed(program: LinearProgram, face: ProgramArrays) -> LinearProgram:
    """Return the program with the boxes and sides of a face."""

    def columns(block: Columns) -> Columns:
        return replace(block, lower=block.of(face.column_lower), upper=block.of(face.column_upper))

    def rows(block: Rows) -> Rows:
        here = slice(block.start, block.start + len(block))
        return replace(block, lower=face.row_lower[here], upper=face.row_upper[here])

    return replace(program, columns=tuple(map(columns, program.columns)), rows=tuple(map(rows, program.rows)))


def _with_kept_rows(program: LinearProgram, kept: Sequence[Objective], limits: Floats) -> LinearProgram:
    """Return the program with a row cost'x <= limit for each of some objectives."""
    if not kept:
        return program
    terms = [_terms(block, row, objective) for row, objective in enumerate(kept) for block in program.columns]
    open_side = np.full(len(kept), -np.inf)
    labels = [objective.label for objective in kept]
    rows = Rows("kept", program.n_rows, open_side, limits, tuple(terms), labels.__getitem__)
    return replace(program, rows=(*program.rows, rows))


def _terms(block: Columns, row: int, objective: Objective) -> Terms:
    cost = block.of(objective.cost)
    member = np.flatnonzero(cost)
    return Terms(block, np.full(len(member), row), member, cost[member])
