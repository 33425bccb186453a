"""Planted faults: 18 kinds of damage, 60 programs each, and every one is caught; true answers never raise an alarm.

A fault is planted where it matters: in a row or column whose dual is not 0, by an amount that changes the answer.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from kpiopt.program.solver.session import Answer, Session, Status
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.certificate import verify_infeasible, verify_optimal
from tests.nights import rest_at_night
from tests.program.random_programs import INF, program, random_program

CASES = 60


@dataclass(frozen=True)
class Solved:
    """A program with its right answer: a row binds, a column's value lies strictly inside its box."""

    arrays: ProgramArrays
    answer: Answer
    binding: int
    inside: int


def solve(arrays: ProgramArrays) -> Answer:
    return Session(arrays).solve()


def find_cases() -> list[Solved]:
    rng = np.random.default_rng(11)
    found: list[Solved] = []
    while len(found) < CASES:
        arrays = random_program(rng, spread=1.0)
        answer = solve(arrays)
        reach = np.abs(answer.row_dual) * (abs(arrays.matrix) @ (arrays.column_upper - arrays.column_lower))
        width = arrays.column_upper - arrays.column_lower
        margin = np.minimum(answer.x - arrays.column_lower, arrays.column_upper - answer.x) / width
        coefficient = abs(arrays.matrix)[[int(reach.argmax())]].toarray()[0]
        matters = margin * (coefficient > 1e-3)
        case = Solved(arrays, answer, int(reach.argmax()), int(matters.argmax()))
        if matters.max() > 1e-2 and changes_the_answer(case, without_row(case)):
            found.append(case)
    return found


def changes_the_answer(case: Solved, damaged: ProgramArrays) -> bool:
    """Whether the objective moves by more than a thousandth: the row really holds the answer."""
    objective = solve(damaged).objective
    return abs(objective - case.answer.objective) > 1e-3 * (abs(case.answer.objective) + 1e-3)


def without_row(case: Solved) -> ProgramArrays:
    return replace(
        case.arrays,
        row_lower=with_entry(case.arrays.row_lower, case.binding, -INF),
        row_upper=with_entry(case.arrays.row_upper, case.binding, INF),
    )


def active_side(case: Solved) -> str:
    return "row_lower" if case.answer.row_dual[case.binding] > 0 else "row_upper"


def with_entry(vector: Floats, position: int, value: float) -> Floats:
    changed = vector.copy()
    changed[position] = value
    return changed


def with_coefficient(arrays: ProgramArrays, row: int, column: int, factor: float) -> ProgramArrays:
    dense = arrays.matrix.toarray()
    dense[row, column] *= factor
    return replace(arrays, matrix=type(arrays.matrix)(dense))


def claims(case: Solved, x: Floats | None = None, y: Floats | None = None) -> bool:
    """Whether the certificate lets a claim pass."""
    x = case.answer.x if x is None else x
    return verify_optimal(case.arrays, x, case.answer.row_dual if y is None else y).passed


def claims_answer_of(case: Solved, damaged: ProgramArrays) -> bool:
    """Whether the answer of a damaged program passes for one of the program itself; a refusal is right too."""
    answer = solve(damaged)
    if answer.status is not Status.OPTIMAL:
        return False
    return claims(case, answer.x, np.resize(answer.row_dual, case.arrays.n_rows))


def changed_value(case: Solved) -> bool:
    width = case.arrays.column_upper - case.arrays.column_lower
    return claims(
        case, x=with_entry(case.answer.x, case.inside, case.answer.x[case.inside] + 1e-3 * width[case.inside])
    )


def value_outside_its_box(case: Solved) -> bool:
    return claims(
        case, x=with_entry(case.answer.x, case.inside, case.arrays.column_upper[case.inside] * (1 + 1e-6) + 1e-6)
    )


def swapped_values(case: Solved) -> bool:
    x = case.answer.x.copy()
    other = int(np.abs(x - x[case.inside]).argmax())
    x[[case.inside, other]] = x[[other, case.inside]]
    return other != case.inside and claims(case, x=x)


def rounded_values(case: Solved) -> bool:
    x = np.array([float(f"{v:.3g}") for v in case.answer.x])
    return bool(np.abs(x - case.answer.x).max() > 1e-6) and claims(case, x=x)


def values_left_scaled(case: Solved) -> bool:
    return claims(case, x=case.answer.x * 2.0)


def flipped_sign_of_a_value(case: Solved) -> bool:
    return claims(case, x=with_entry(case.answer.x, case.inside, -case.answer.x[case.inside] - 1e-3))


def wrong_dual(case: Solved) -> bool:
    return claims(case, y=with_entry(case.answer.row_dual, case.binding, 1.01 * case.answer.row_dual[case.binding]))


def flipped_sign_of_a_dual(case: Solved) -> bool:
    return claims(case, y=with_entry(case.answer.row_dual, case.binding, -case.answer.row_dual[case.binding]))


def dropped_dual(case: Solved) -> bool:
    return claims(case, y=with_entry(case.answer.row_dual, case.binding, 0.0))


def duals_left_scaled(case: Solved) -> bool:
    return claims(case, y=case.answer.row_dual * 2.0**-3)


def dropped_row(case: Solved) -> bool:
    return claims_answer_of(case, without_row(case))


def dropped_coefficient(case: Solved) -> bool:
    return claims_answer_of(case, with_coefficient(case.arrays, case.binding, case.inside, 0.0))


def flipped_sign_of_a_coefficient(case: Solved) -> bool:
    return claims_answer_of(case, with_coefficient(case.arrays, case.binding, case.inside, -1.0))


def changed_coefficient(case: Solved) -> bool:
    return claims_answer_of(case, with_coefficient(case.arrays, case.binding, case.inside, 1.001))


def changed_side(case: Solved) -> bool:
    side = getattr(case.arrays, active_side(case))
    out = -1.0 if active_side(case) == "row_lower" else 1.0
    moved = side[case.binding] + out * 1e-3 * (abs(side[case.binding]) + 1.0)
    return claims_answer_of(case, replace(case.arrays, **{active_side(case): with_entry(side, case.binding, moved)}))


def flipped_objective(case: Solved) -> bool:
    return claims_answer_of(case, replace(case.arrays, cost=-case.arrays.cost))


def not_a_number(case: Solved) -> bool:
    return claims(case, x=with_entry(case.answer.x, case.inside, np.nan))


def stopped_early(case: Solved) -> bool:
    """A feasible point that is not optimal: part of the way to the answer of the opposite objective."""
    other = solve(replace(case.arrays, cost=-case.arrays.cost))
    loss = -other.objective + 2 * case.arrays.offset - case.answer.objective
    share = 1e-5 * max(1.0, abs(case.answer.objective)) / loss if loss > 1e-4 else 1.0
    return loss > 1e-4 and claims(case, x=case.answer.x + min(share, 1.0) * (other.x - case.answer.x))


cases = cache(find_cases)
FAULTS = [
    changed_value,
    value_outside_its_box,
    swapped_values,
    rounded_values,
    values_left_scaled,
    flipped_sign_of_a_value,
    wrong_dual,
    flipped_sign_of_a_dual,
    dropped_dual,
    duals_left_scaled,
    dropped_row,
    dropped_coefficient,
    flipped_sign_of_a_coefficient,
    changed_coefficient,
    changed_side,
    flipped_objective,
    not_a_number,
    stopped_early,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_planted_fault_is_caught(fault):
    assert all(claims(case) for case in cases()[:5])
    missed = [i for i, case in enumerate(cases()) if fault(case)]
    assert missed == []


def test_faults_in_proofs_of_infeasibility_are_caught():
    rng, caught = np.random.default_rng(13), 0
    while caught < CASES:
        arrays = random_program(rng, spread=1.0)
        rows = np.flatnonzero(np.isfinite(arrays.row_lower) & (np.diff(arrays.matrix.indptr) > 0))
        if not len(rows):
            continue
        row = int(rows[0])
        reach = float((abs(arrays.matrix) @ np.maximum(np.abs(arrays.column_lower), np.abs(arrays.column_upper)))[row])
        impossible = replace(
            arrays,
            row_lower=with_entry(arrays.row_lower, row, 1.1 * reach + 1.0),
            row_upper=with_entry(arrays.row_upper, row, INF),
        )
        answer = solve(impossible)
        assert answer.status is Status.INFEASIBLE and answer.ray is not None
        assert verify_infeasible(impossible, answer.ray).passed
        assert not verify_infeasible(impossible, -answer.ray).passed
        assert not verify_infeasible(impossible, with_entry(answer.ray, row, 0.0)).passed
        assert not verify_infeasible(arrays, answer.ray).passed
        caught += 1


@pytest.mark.parametrize("seed", rest_at_night(range(2026, 2036), 1))
def test_true_answers_never_raise_an_alarm(seed):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        arrays = random_program(rng, spread=6.0, most=8)
        answer = solve(arrays)
        certificate = verify_optimal(arrays, answer.x, answer.row_dual)
        assert answer.status is Status.OPTIMAL and certificate.passed, certificate


def test_an_optimum_that_is_not_unique_passes_at_each_end():
    tie = program([[1, 1]], [1, 1], columns=(0, 10), rows=(4, INF))
    for x in ([4.0, 0.0], [0.0, 4.0], [1.5, 2.5]):
        assert verify_optimal(tie, np.array(x), np.array([1.0])).passed
