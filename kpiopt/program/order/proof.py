"""The evidence of a solution: what each step claims, with the numbers that prove it, and how the steps hang together.

A step is proved over its face. The face of the next step may fix a column or a row side only where the multipliers of a
step before it make any other value cost more; `follows` checks that from the stored numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, Uncertified
from kpiopt.program.formulation.blocks import LinearProgram, Objective
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.program.trust.certificate import Certificate
from kpiopt.program.trust.evidence import Evidence
from kpiopt.program.trust.tolerances import CERTIFIED
from kpiopt.program.trust.whole_tree import TreeProof

if TYPE_CHECKING:  # the steps bring the solver along, and a proof is checked without it
    from kpiopt.program.order.face import SolvedStep
    from kpiopt.program.order.steps import Solution, StepResult


def gather_evidence(program: LinearProgram, solution: Solution) -> tuple[Evidence, ...]:
    """Return the evidence of all steps, in order; for whole numbers also the tree of all choices.

    Parameters
    ----------
    solution : Solution
        Of this program.
    """
    solved = zip(solution.steps, solution.faces, solution.solved, strict=False)
    steps = [_step_evidence(result, face, done) for result, face, done in solved]
    if program.reference is not None and solution.tie is not None:
        weight, centre = program.reference.weight, program.reference.centre
        face = replace(solution.faces[-1], cost=np.zeros(program.n_columns), offset=program.reference.offset)
        tie = solution.tie
        steps.append(Evidence("reference", "closest", face, tie.x, tie.row_dual, weight=weight, centre=centre))
    if solution.tree is not None:
        arrays = program.arrays()
        steps.append(Evidence("whole numbers", "tree", arrays, solution.x, np.empty(0), tree=solution.tree))
    return tuple(steps)


def _step_evidence(result: StepResult, face: ProgramArrays, done: SolvedStep) -> Evidence:
    ranging = result.ranging
    return Evidence(
        result.label,
        "optimal",
        replace(face, cost=done.cost, offset=done.offset),
        done.x,
        done.row_dual,
        reduced_cost=done.reduced_cost,
        row_from=ranging.row_from if ranging else None,
        row_to=ranging.row_to if ranging else None,
    )


def check_proof(
    evidence: tuple[Evidence, ...], program: LinearProgram, *, has_rules: bool = False
) -> Iterator[tuple[str, bool, str]]:
    """Check that evidence proves a plan, from its numbers alone: what was checked, whether it holds, and figures.

    Parameters
    ----------
    program : LinearProgram
        What the evidence must be about.
    has_rules : bool
        Whether the program has more rows, from a rules file that is not run.
    """
    for step in evidence:
        found = step.verify()
        figures = f"residual {found.primal_residual:.1e}, gap {found.relative_gap:.1e}"
        yield f"step {step.label} is proved", found.passed, figures
    broken = broken_links(evidence)
    yield "no step takes away what an earlier one leaves", not broken, ", ".join(broken)
    chain = [step for step in evidence if step.kind in ("optimal", "closest")]
    tree = next((step for step in evidence if step.tree is not None), None)
    if not has_rules:
        arrays = program.arrays()
        same = is_same_program(chain[0].arrays, arrays) and is_same_tree(tree, program)
        yield "the proof is about the program of the scenario", same, ""
        yield "the solution keeps all limits", is_feasible(arrays, chain[-1].x), ""
    yield "its objectives are the scenario's, in their order", is_same_order(evidence, program), ""
    if tree is not None and tree.tree is not None:
        yield "the proof over whole numbers is about the plan", np.array_equal(tree.tree.plan, chain[-1].x), ""


def checked_certificates(program: LinearProgram, solution: Solution) -> list[Certificate]:
    """Check a solution as `kpiopt verify` checks a kept run; return one certificate for each of its steps.

    Raises
    ------
    Uncertified
        Where anything does not hold.
    """
    evidence = gather_evidence(program, solution)
    failed = [f"{what} ({detail})" for what, holds, detail in check_proof(evidence, program) if not holds]
    if failed:
        raise Uncertified(
            Problem(
                "E-uncertified",
                f"the plan failed the check that a kept run has to pass; not so: {'; '.join(failed)}",
                rule="no certificate, no targets",
                fix="look for numbers of very different size, or limits that contradict each other by a hair",
            )
        )
    if solution.tree is not None:
        return [step.certificate for step in solution.steps]
    return [step.verify() for step in evidence]


def is_same_tree(found: Evidence | None, program: LinearProgram) -> bool:
    """Whether a proof over whole numbers is about a program's rows, boxes and ids; there is none without them."""
    arrays = program.arrays()
    if found is None or found.tree is None:
        return not arrays.integer.any()
    sides = ("row_lower", "row_upper", "column_lower", "column_upper", "integer")
    names = program.order_of_ties().tolist()
    return bool(
        same_matrix(found.arrays, arrays)
        and all(np.array_equal(getattr(found.arrays, side), getattr(arrays, side)) for side in sides)
        and found.tree.names.tolist() == names
    )


def has_same_steps(tree: TreeProof, program: LinearProgram) -> bool:
    """Whether the steps of a proof over whole numbers, with their slacks, are those of a program."""
    nothing = np.zeros(program.n_columns)
    objectives = program.objectives or (Objective("feasibility", None, nothing),)
    wanted: list[list[Any]] = [[o.cost, o.offset, o.slack, None, None] for o in objectives]
    if program.reference is not None:
        wanted.append([nothing, program.reference.offset, 0.0, program.reference.weight, program.reference.centre])
    claimed: list[list[Any]] = [[s.cost, s.offset, s.slack, s.weight, s.centre] for s in tree.steps]
    return len(claimed) == len(wanted) and all(
        np.array_equal(a, b) for x, y in zip(claimed, wanted, strict=True) for a, b in zip(x, y, strict=True)
    )


def proved_values(evidence: tuple[Evidence, ...]) -> list[float]:
    """Return the values of the steps that the evidence proves: over whole numbers, the best of all choices."""
    chain = [step.verify().objective for step in evidence if step.kind in ("optimal", "closest")]
    tree = next((step.tree for step in evidence if step.tree is not None), None)
    linear = [step.best for step in tree.steps if step.weight is None] if tree is not None else []
    return linear + chain[len(linear) :]


def broken_links(evidence: tuple[Evidence, ...]) -> list[str]:
    """Return the labels of steps whose face holds less than the step before it leaves."""
    chain = [step for step in evidence if step.kind in ("optimal", "closest")]
    return [later.label for earlier, later in pairwise(chain) if not follows(earlier, later)]


def follows(earlier: Evidence, later: Evidence) -> bool:
    """Whether the later face leaves out only what the earlier step's multipliers make worse.

    Either rows and boxes are the same but for columns and row sides fixed where the multipliers point, or (with a
    slack) the later program has one row more: the earlier objective, not better than its value.
    """
    before, after = earlier.arrays, later.arrays
    if after.n_rows == before.n_rows + 1:
        return _is_slack_row(earlier, after)
    reduced = before.cost - before.matrix.T @ earlier.row_dual
    return (
        same_matrix(before, after)
        and _fixed_by(reduced, (before.column_lower, before.column_upper), (after.column_lower, after.column_upper))
        and _fixed_by(earlier.row_dual, (before.row_lower, before.row_upper), (after.row_lower, after.row_upper))
    )


def same_matrix(first: ProgramArrays, second: ProgramArrays) -> bool:
    """Whether two programs have the same coefficients."""
    if first.matrix is second.matrix:
        return True
    if first.matrix.shape != second.matrix.shape:
        return False
    difference = first.matrix - second.matrix
    return not difference.data.any()


def _fixed_by(multiplier: Floats, before: tuple[Floats, Floats], after: tuple[Floats, Floats]) -> bool:
    """Whether every side that moved was fixed at the other side, and the multiplier points there."""
    low_moved, high_moved = before[0] != after[0], before[1] != after[1]
    is_down = high_moved & (after[1] == before[0]) & (multiplier > 0)
    is_up = low_moved & (after[0] == before[1]) & (multiplier < 0)
    return bool(np.all(is_down | is_up | ~(low_moved | high_moved)))


def _is_slack_row(earlier: Evidence, after: ProgramArrays) -> bool:
    """Whether the last row holds the earlier objective at its value or worse, and the rest is unchanged."""
    before = earlier.arrays
    top = replace(after, matrix=after.matrix[:-1])
    row = after.matrix[[-1]].toarray()[0]
    value = dot(before.cost, earlier.x)
    keeps_value = after.row_upper[-1] >= value - CERTIFIED * max(1.0, abs(value)) and np.isneginf(after.row_lower[-1])
    return bool(same_matrix(before, top) and np.array_equal(row, before.cost) and keeps_value)


def is_same_program(face: ProgramArrays, program: ProgramArrays) -> bool:
    """Whether a first face is all of a program but for its objective, its whole-number columns fixed in their boxes."""
    free = ~program.integer
    fixed = face.column_lower[program.integer]
    within = (fixed >= program.column_lower[program.integer]) & (fixed <= program.column_upper[program.integer])
    return bool(
        same_matrix(face, program)
        and np.array_equal(face.row_lower, program.row_lower)
        and np.array_equal(face.row_upper, program.row_upper)
        and np.array_equal(face.column_lower[free], program.column_lower[free])
        and np.array_equal(face.column_upper[free], program.column_upper[free])
        and np.array_equal(fixed, face.column_upper[program.integer])
        and within.all()
    )


def is_same_order(evidence: tuple[Evidence, ...], program: LinearProgram) -> bool:
    """Whether the steps minimise the program's objectives in their order, the reference last."""
    linear = [step.arrays for step in evidence if step.kind == "optimal"]
    wanted = program.objectives
    same = [np.array_equal(a.cost, w.cost) and a.offset == w.offset for a, w in zip(linear, wanted, strict=False)]
    closest = [step for step in evidence if step.kind == "closest"]
    same += [has_same_steps(step.tree, program) for step in evidence if step.tree is not None]
    if program.reference is None:
        return all(same) and len(linear) == max(len(wanted), 1) and not closest
    return (
        all(same)
        and len(linear) == max(len(wanted), 1)
        and len(closest) == 1
        and closest[0].weight is not None
        and closest[0].centre is not None
        and np.array_equal(closest[0].weight, program.reference.weight)
        and np.array_equal(closest[0].centre, program.reference.centre)
    )


def is_feasible(arrays: ProgramArrays, x: Floats) -> bool:
    """Whether a point keeps all rows, boxes and whole numbers, to 1e-9 of each row's terms."""
    size = np.maximum(1.0, abs(arrays.matrix) @ np.abs(x))
    activity = arrays.matrix @ x
    rows = (activity >= arrays.row_lower - CERTIFIED * size) & (activity <= arrays.row_upper + CERTIFIED * size)
    near = CERTIFIED * np.maximum(1.0, np.abs(x))
    box = (x >= arrays.column_lower - near) & (x <= arrays.column_upper + near)
    whole: NDArray[np.bool_] = (np.abs(x - np.rint(x)) <= near) | ~arrays.integer
    return bool(rows.all() and box.all() and whole.all())
