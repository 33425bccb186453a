"""A solution made again from the evidence that was kept of it: all that follows from it can be computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kpiopt.program.formulation.blocks import LinearProgram
from kpiopt.program.order.face import SolvedStep, restrict_to_face
from kpiopt.program.order.proof import checked_certificates
from kpiopt.program.order.steps import REFERENCE_UNIT, Solution, StepResult, objectives_of, proved_by_tree, value_of
from kpiopt.program.solver.answer import Ranging
from kpiopt.program.trust.evidence import Evidence
from kpiopt.program.trust.whole_tree import verify_tree


def with_checked_certificates(program: LinearProgram, solution: Solution) -> Solution:
    """Return a solution whose steps bear what the check of its evidence finds: the very figures of `kpiopt verify`.

    Raises
    ------
    Uncertified
        Where the check fails.
    """
    found = checked_certificates(program, solution)
    steps = [replace(step, certificate=certificate) for step, certificate in zip(solution.steps, found, strict=True)]
    return replace(solution, steps=tuple(steps))


def restore_solution(program: LinearProgram, evidence: Sequence[Evidence]) -> Solution:
    """Return the solution that the evidence of a program's steps is about.

    Parameters
    ----------
    program : LinearProgram
        The one that the evidence was checked against.
    """
    chain = [step for step in evidence if step.kind in ("optimal", "closest")]
    optimal = [step for step in chain if step.kind == "optimal"]
    results, solved = [], []
    for objective, step in zip(objectives_of(program), optimal, strict=True):
        value = value_of(objective, step.x)
        solved.append(_solved(step, value))
        name, priority = objective.name, objective.priority
        results.append(_result(step, name, priority, value, objective.unit))
    last, faces = chain[-1], [step.arrays for step in chain]
    if program.reference is None:
        faces.append(restrict_to_face(last.arrays, solved[-1]))
    else:
        results.append(_result(last, "reference", None, program.reference.value(last.x), REFERENCE_UNIT))
    solution = Solution(last.x, tuple(results), None, tuple(faces), tuple(solved))
    proof = next((step for step in evidence if step.tree is not None), None)
    if proof is None or proof.tree is None:
        return solution
    return proved_by_tree(solution, proof.tree, verify_tree(proof.arrays, proof.tree))


def _result(step: Evidence, name: str, priority: int | None, value: float, unit: str) -> StepResult:
    return StepResult(name, priority, value, unit, step.row_dual, _ranging(step), step.verify(), "", 0.0)


def _solved(step: Evidence, value: float) -> SolvedStep:
    arrays = step.arrays
    reduced = arrays.cost - arrays.matrix.T @ step.row_dual if step.reduced_cost is None else step.reduced_cost
    return SolvedStep(arrays.cost, arrays.offset, value, step.row_dual, reduced, step.x, 0.0)


def _ranging(step: Evidence) -> Ranging | None:
    if step.row_from is None or step.row_to is None:
        return None
    return Ranging(step.row_from, step.row_to)
