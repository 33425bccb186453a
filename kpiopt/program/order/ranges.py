"""What the objectives leave open: which columns are free on the optimal face, and how far each target could go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import InternalError
from kpiopt.program.solver.active_set import factorise
from kpiopt.program.solver.answer import Status
from kpiopt.program.solver.reduction import is_large
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.program.trust.tolerances import FACE_ROOM, MOVES

DIRECTIONS = 2
REFINEMENTS = 4


def find_ranges(face: ProgramArrays, functions: sp.csr_array) -> tuple[Floats, Floats]:
    """Return the least and largest values of linear functions over a face.

    Parameters
    ----------
    face : ProgramArrays
        Without whole-number columns; not empty.
    functions : (k, n) sparse CSR

    Returns
    -------
    low, high : (k,) float

    Raises
    ------
    InternalError
        Where the face has no point after all.
    """
    if not face.n_columns:
        return np.zeros(functions.shape[0]), np.zeros(functions.shape[0])
    session = Session(replace(face, cost=np.zeros(face.n_columns), offset=0.0))
    ends = [(_least(session, row), -_least(session, -row)) for row in _dense_rows(functions)]
    low, high = np.array(ends).reshape(-1, 2).T
    return low, high


def _dense_rows(functions: sp.csr_array) -> Iterator[Floats]:
    for i in range(functions.shape[0]):
        yield functions[[i]].toarray()[0]


def _least(session: Session, cost: Floats) -> float:
    session.change_costs(cost)
    answer = session.solve()
    if answer.status is not Status.OPTIMAL:
        raise InternalError(f"the optimal face gave no range ({answer.status.value})")
    return dot(cost, answer.x)


def find_free(face: ProgramArrays) -> NDArray[np.bool_]:
    """Tell which columns can move on a face, (n,) bool.

    A linear program gives as many sides as possible some room; sides that get none hold with equality everywhere on
    the face. A column moves where a direction drawn at random, projected onto the null space of these equations, does.
    """
    span = face.column_upper - face.column_lower
    moving = span > 0.0
    rows = face.row_lower == face.row_upper
    if not is_large(face) and np.any(moving):
        rows, held = _sides_without_room(face, span)
        moving &= ~held
    free = np.zeros(face.n_columns, dtype=bool)
    inside = np.flatnonzero(moving)
    equations = sp.csr_array(face.matrix[np.flatnonzero(rows)][:, inside] @ sp.diags_array(span[inside]))
    free[inside] = _moves(equations)
    return free


def _sides_without_room(face: ProgramArrays, span: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows and which columns have a side that no point of the face can leave."""
    m, n = face.n_rows, face.n_columns
    reach = abs(face.matrix) @ span
    room = FACE_ROOM * np.concatenate([np.where(reach > 0.0, reach, 1.0), span])
    matrix = sp.csr_array(sp.vstack([face.matrix, sp.eye_array(n)]))
    lower = np.concatenate([face.row_lower, face.column_lower])
    upper = np.concatenate([face.row_upper, face.column_upper])
    equal = lower == upper
    sides = [np.flatnonzero(np.isfinite(side) & ~equal) for side in (lower, upper)]
    count = len(sides[0]) + len(sides[1])
    shares = [sp.csr_array((room[side], (np.arange(len(side)), np.arange(len(side))))) for side in sides]
    asked = sp.vstack(
        [
            sp.hstack([matrix[sides[0]], -shares[0], sp.csr_array((len(sides[0]), len(sides[1])))]),
            sp.hstack([matrix[sides[1]], sp.csr_array((len(sides[1]), len(sides[0]))), shares[1]]),
        ]
    )
    posed = ProgramArrays(
        cost=np.concatenate([np.zeros(n), -np.ones(count)]),
        offset=0.0,
        matrix=sp.csr_array(sp.vstack([sp.hstack([face.matrix, sp.csr_array((m, count))]), asked])),
        row_lower=np.concatenate([face.row_lower, lower[sides[0]], np.full(len(sides[1]), -np.inf)]),
        row_upper=np.concatenate([face.row_upper, np.full(len(sides[0]), np.inf), upper[sides[1]]]),
        column_lower=np.concatenate([face.column_lower, np.zeros(count)]),
        column_upper=np.concatenate([face.column_upper, np.ones(count)]),
        integer=np.zeros(n + count, dtype=bool),
    )
    answer = Session(posed).solve()
    tight = equal.copy()
    if answer.status is Status.OPTIMAL:
        tight[np.concatenate(sides)[answer.x[n:] < 0.5]] = True
    return tight[:m], tight[m:]


def _moves(equations: sp.csr_array) -> NDArray[np.bool_]:
    """Tell which columns a projected random direction moves, (n,) bool."""
    n = equations.shape[1]
    rng = np.random.default_rng(0)
    moved = np.zeros(n, dtype=bool)
    for direction in rng.standard_normal((DIRECTIONS, n)):
        moved |= np.abs(_projected(equations, direction)) > MOVES
    return moved


def _projected(equations: sp.csr_array, direction: Floats) -> Floats:
    """Project a direction onto the null space of equations."""
    size = np.sqrt((equations**2).sum(axis=1))
    scaled = sp.csr_array(sp.diags_array(1.0 / np.where(size > 0.0, size, 1.0)) @ equations)
    if not scaled.shape[0]:
        return direction
    return np.asarray(direction - scaled.T @ _weights(scaled, direction))


def _weights(equations: sp.csr_array, direction: Floats) -> Floats:
    """Solve d + E'w = direction, E d = 0 for w by regularised factors, refined against the true system."""
    m, n = equations.shape
    solve = factorise(np.ones(n), equations)
    found = np.zeros(n + m)
    for _ in range(REFINEMENTS):
        d, w = found[:n], found[n:]
        found = found + solve(np.concatenate([direction - d - equations.T @ w, -(equations @ d)]))
    return found[n:]
