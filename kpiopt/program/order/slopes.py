"""Slopes: what the strict order gives for a little more, or a little less, of one limit.

The value of a step is convex and piecewise linear in a limit b. A dual solution y tells its slope for as long as y is
optimal, that is, for as long as some point of the moved program is complementary to y. So the piece that belongs to y
is found by one more column t, the move of the limit, over the face complementary to y: from the least t to the largest
(parametric programming; Gal & Nedoma 1972, doi:10.1287/mnsc.18.7.406). Where a piece ends at b itself the duals are
not unique: the order is solved anew with the limit moved a little, and the piece found there must reach back to b.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import LimitReached, Uncertified
from kpiopt.program.formulation.blocks import Integers, LinearProgram
from kpiopt.program.order.face import restrict_to_face
from kpiopt.program.order.steps import InfeasibleProgram, Solution, StepResult, solve_order
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.tolerances import PRICE_NOISE, SAME_PLACE

NUDGES = (1e-3, 1e-5, 1e-7)


@dataclass(frozen=True)
class Piece:
    """One linear piece of the order's values as a function of the upper side of a row.

    Attributes
    ----------
    position : int or None
        The first step whose value changes; None where none does.
    slope : float
        Improvement of that step's value per unit of the side, >= 0; inf where the program has no solution.
    lower, upper : float
        The sides between which it holds; ±inf where it has no end.
    """

    position: int | None
    slope: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Slopes:
    """The pieces on both sides of where a limit stands; the same piece twice unless there is a kink.

    Attributes
    ----------
    less, more : Piece or None
        None where it could not be told.
    """

    less: Piece | None
    more: Piece | None


class MovingLimits:
    """The solved order of a program, in which upper sides of rows are moved.

    Parameters
    ----------
    program : LinearProgram
        Whole numbers are taken as fixed where `arrays` fixes them.
    arrays : ProgramArrays
        What `solution` was solved over.
    sizes : (m,) float
        What a move of each row's side is measured by.
    """

    def __init__(
        self,
        program: LinearProgram,
        arrays: ProgramArrays,
        solution: Solution,
        sizes: Floats,
        options: SolverOptions | None = None,
    ) -> None:
        self._program = replace(program, reference=None)
        self._arrays = arrays
        self._solution = solution
        self._options = options or SolverOptions()
        self._sizes = sizes
        self._reach = abs(arrays.matrix) @ (arrays.column_upper - arrays.column_lower)

    def slopes(self, rows: Integers) -> Iterator[Slopes]:
        """Yield the slopes at each of some rows' upper sides, in their order, until the time is up."""
        if self._options.deadline.ends("prices", 0, len(rows)):
            return
        positions = np.array([first_priced(self._solution, row) for row in rows.tolist()])
        pieces: dict[int, Piece] = {}
        for position in np.unique(positions).tolist():
            here = rows[positions == position]
            pieces |= zip(here.tolist(), self._pieces(self._solution, self._arrays, position, here), strict=True)
        for done, row in enumerate(rows.tolist()):
            try:
                found = self._both_sides(row, pieces[row])
            except LimitReached:
                return
            if self._options.deadline.ends("prices", done, len(rows)):  # what was cut short is not known to be right
                return
            yield found

    def _pieces(self, solution: Solution, arrays: ProgramArrays, position: int, rows: Integers) -> Iterator[Piece]:
        """Yield the piece on which each row lies whose first priced step is `position` (the last one + 1 for none)."""
        priced = position < len(solution.solved)
        duals = solution.solved[position].row_dual if priced else np.zeros(arrays.n_rows)
        moves = _moves(solution, position, rows, self._reach[rows], self._options)
        for row, (down, up) in zip(rows.tolist(), moves, strict=True):
            side = float(arrays.row_upper[row])
            yield Piece(position if priced else None, abs(float(duals[row])), side + down, side + up)

    def _both_sides(self, row: int, piece: Piece) -> Slopes:
        side = float(self._arrays.row_upper[row])
        near = SAME_PLACE * self._size(row)
        less = piece if piece.lower < side - near else self._beside(row, -1.0)
        return Slopes(less, piece if piece.upper > side + near else self._beside(row, 1.0))

    def _size(self, row: int) -> float:
        """What a move of a limit is measured by."""
        return max(float(self._sizes[row]), 1e-3 * float(self._reach[row]), 1e-12)

    def _beside(self, row: int, direction: float) -> Piece | None:
        """Solve with the limit moved a little, until the piece found there reaches back to where the limit stands."""
        side, no_plan = float(self._arrays.row_upper[row]), None
        for nudge in NUDGES:
            moved = self._arrays.row_upper.copy()
            moved[row] = side + direction * nudge * self._size(row)
            arrays = replace(self._arrays, row_upper=moved)
            try:
                solution = solve_order(self._program, arrays, self._options)
            except InfeasibleProgram:
                no_plan = Piece(None, np.inf, -np.inf, side)
                continue
            except Uncertified:  # infeasible by a hair
                continue
            (piece,) = self._pieces(solution, arrays, first_priced(solution, row), np.array([row]))
            back = piece.lower - side if direction > 0 else side - piece.upper
            if back <= SAME_PLACE * self._size(row) + 1e-6 * abs(moved[row] - side):
                return piece
        return no_plan


def first_priced(solution: Solution, row: int) -> int:
    """Return the position of the first step whose dual of a row is not 0; the number of steps where there is none."""
    for position, (step, solved) in enumerate(zip(solution.steps, solution.solved, strict=False)):
        if is_significant(step, float(solved.row_dual[row]), solution.faces[position], row):
            return position
    return len(solution.solved)


def is_significant(step: StepResult, dual: float, face: ProgramArrays, row: int) -> bool:
    """Whether a dual is more than rounding: a limit's whole size times it moves the step's value by 1e-9 of its own."""
    side = max(abs(float(face.row_upper[row])), 1.0) if np.isfinite(face.row_upper[row]) else 1.0
    return abs(dual) * side > PRICE_NOISE * max(abs(step.value), 1e-3)


def _moves(
    solution: Solution, position: int, rows: Integers, reach: Floats, options: SolverOptions
) -> list[tuple[float, float]]:
    """Return how far down and up each row's upper side may move while the steps' duals up to `position` stay optimal.

    A step with slack leaves more than its optimal face to the steps after it, so its own face is asked as well.
    """
    last = min(position, len(solution.solved) - 1)
    faces = [restrict_to_face(solution.faces[last], solution.solved[last])]
    if position >= len(solution.solved):
        faces = [solution.faces[-1]]
    given_up = [k for k in range(last) if solution.faces[k + 1].n_rows > solution.faces[k].n_rows]
    faces += [restrict_to_face(solution.faces[k], solution.solved[k]) for k in given_up]
    if position >= len(solution.solved) and solution.faces[-1].n_rows > solution.faces[-2].n_rows:
        faces.append(restrict_to_face(solution.faces[last], solution.solved[last]))
    found = [_moves_on(face, rows, reach, options) for face in faces]
    return [(max(down for down, _ in each), min(up for _, up in each)) for each in zip(*found, strict=True)]


def _moves_on(face: ProgramArrays, rows: Integers, reach: Floats, options: SolverOptions) -> list[tuple[float, float]]:
    """Return the least and the largest move of each row's side for which the face still has a point."""
    n, count = face.n_columns, len(rows)
    far = 2.0 * (reach + np.abs(face.row_upper[rows]) + 1.0)
    moving = sp.csr_array((-np.ones(count), (rows, np.arange(count))), shape=(face.n_rows, count))
    arrays = replace(
        face,
        cost=np.zeros(n + count),
        offset=0.0,
        matrix=sp.csr_array(sp.hstack([face.matrix, moving])),
        column_lower=np.concatenate([face.column_lower, np.zeros(count)]),
        column_upper=np.concatenate([face.column_upper, np.zeros(count)]),
        integer=np.zeros(n + count, dtype=bool),
    )
    session = Session(arrays, options)
    return [
        (-_farthest(session, n + i, -1.0, float(far[i])), _farthest(session, n + i, 1.0, float(far[i])))
        for i in range(count)
    ]


def _farthest(session: Session, column: int, direction: float, far: float) -> float:
    """Return how far a column held at 0 can move in a direction; inf where nothing stops it, 0 where unsolved."""
    cost = np.zeros(session.arrays.n_columns)
    cost[column] = -direction
    here, box = np.array([column]), np.array([min(0.0, direction * far), max(0.0, direction * far)])
    session.change_column_bounds(here, box[:1], box[1:])
    session.change_costs(cost)
    answer = session.solve()
    session.change_column_bounds(here, np.zeros(1), np.zeros(1))
    if answer.status is not Status.OPTIMAL:
        return 0.0
    moved = abs(float(answer.x[column]))
    return np.inf if moved > 0.99 * far else moved
