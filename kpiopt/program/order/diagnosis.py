"""Why a program has no solution, and what would give it one.

Three answers, in the order a planner wants them: the cheapest repair (elastic relaxation; Chinneck 2008,
doi:10.1007/978-0-387-74932-7), what each limit would have to give way alone, and a smallest set of sides that already
contradict each other (deletion filter; Chinneck & Dravnieks 1991, doi:10.1287/ijoc.3.2.157).

All of it is about *sides*: the lower or upper side of a row or of a column's box. A *handle* moves one or several sides
outward together, such as one budget, or the minimum stretches of a team.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.solver.answer import Answer, SolverOptions, Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.tolerances import PROOF_NOISE, REPAIR_NOISE, SAME_PRICE

SHORT = 30
LONGEST_FILTERED = 200
SMALL_PROGRAM = 20_000
FAR = 1e4


class Side(NamedTuple):
    """The lower or upper side of a row or column."""

    kind: str
    position: int
    is_upper: bool


@dataclass(frozen=True)
class Handle:
    """What may give way.

    Attributes
    ----------
    name : str
        In the words of the file.
    sides : tuple of Side
        Each moves outward by its share times the amount.
    price : float
        Cost of one unit of the amount, > 0.
    most : float
        Largest amount.
    """

    name: str
    sides: tuple[Side, ...]
    shares: tuple[float, ...]
    price: float
    most: float = float("inf")


class Change(NamedTuple):
    """A handle and by how much its sides move outward."""

    handle: Handle
    amount: float


@dataclass(frozen=True)
class Repair:
    """Changes that together make the program feasible.

    Attributes
    ----------
    changes : tuple of Change
        Largest share of the price first.
    """

    changes: tuple[Change, ...]
    price: float


def finite_sides(arrays: ProgramArrays) -> list[Side]:
    """Return every side that limits something."""
    found = []
    for kind, lower, upper in (
        ("row", arrays.row_lower, arrays.row_upper),
        ("column", arrays.column_lower, arrays.column_upper),
    ):
        found += [Side(kind, i, False) for i in np.flatnonzero(np.isfinite(lower)).tolist()]
        found += [Side(kind, i, True) for i in np.flatnonzero(np.isfinite(upper)).tolist()]
    return found


def side_value(arrays: ProgramArrays, side: Side) -> float:
    """Return where a side lies."""
    return float(_vector(arrays, side.kind, side.is_upper)[side.position])


def cheapest_repair(
    arrays: ProgramArrays, handles: Sequence[Handle], options: SolverOptions | None = None
) -> Repair | None:
    """Find the changes of least total price that make the program feasible.

    Returns
    -------
    Repair or None
        None where no change of these handles is enough, or the solver gave no answer.
    """
    elastic = _Elastic(arrays, handles)
    return elastic.repair(Session(elastic.program, options).solve())


def find_repairs(
    arrays: ProgramArrays,
    handles: Sequence[Handle],
    options: SolverOptions | None = None,
    *,
    within: float = np.inf,
    most: int | None = None,
) -> tuple[Repair | None, list[Repair]]:
    """Find the cheapest repair, and handles that are enough alone, cheapest first.

    The duals of the cheapest repair say what each handle alone costs at least; those that may be cheap enough are
    tried, the most promising first, until the time is up.

    Parameters
    ----------
    within : float
        How many times the cheapest price a single handle may cost.
    most : int or None
        How many handles are tried by themselves.

    Returns
    -------
    Repair or None, list of Repair
    """
    options = options or SolverOptions()
    elastic = _Elastic(arrays, handles)
    answer = Session(elastic.program, options).solve()
    cheapest = elastic.repair(answer)
    if cheapest is None:
        return None, []
    least = elastic.least_alone(answer)
    limit = within * cheapest.price * (1.0 + SAME_PRICE)
    ranked = [i for i in np.argsort(least, kind="stable").tolist() if least[i] <= limit][:most]
    session, alone = Session(elastic.closed(), options), []
    for position in ranked:
        if options.deadline.is_over:
            break
        column = np.array([arrays.n_columns + position])
        session.change_column_bounds(column, np.zeros(1), np.array([handles[position].most]))
        alone.append(elastic.repair(session.solve()))
        session.change_column_bounds(column, np.zeros(1), np.zeros(1))
    return cheapest, sorted((r for r in alone if r is not None and r.price <= limit), key=lambda r: r.price)


def farkas_sides(arrays: ProgramArrays, ray: Floats) -> list[Side]:
    """Return the sides that a Farkas proof uses: of rows by its weights, of columns by what they add up to."""
    given = -(arrays.matrix.T @ ray)
    noise = PROOF_NOISE * (abs(arrays.matrix).T @ np.abs(ray))
    rows = [Side("row", i, bool(ray[i] < 0.0)) for i in np.flatnonzero(ray).tolist()]
    columns = np.flatnonzero(np.abs(given) > noise).tolist()
    return rows + [Side("column", j, bool(given[j] < 0.0)) for j in columns]


def find_conflict(arrays: ProgramArrays, ray: Floats, options: SolverOptions | None = None) -> tuple[Side, ...] | None:
    """Find an irreducible conflict: sides that contradict each other, while any of them may be left out to end it.

    Programs of up to 20,000 columns are searched for a shorter conflict that does without one of its members, as long
    as there is time. Whole numbers are not looked at.

    Parameters
    ----------
    ray : (m,) float
        A Farkas proof.

    Returns
    -------
    tuple of Side or None
        None where it has more than `SHORT` members, the proof uses more than 200 sides, or the time is up.
    """
    shortest: Sequence[Side] | None = None
    with suppress(_OutOfTime):
        shortest = _irreducible(arrays, farkas_sides(arrays, ray), options)
        if shortest is not None and arrays.n_columns <= SMALL_PROGRAM and len(shortest) <= SHORT:
            every = finite_sides(arrays)
            for member in shortest:
                proof = _contradiction(arrays, [side for side in every if side != member], options)
                other = _irreducible(arrays, proof, options) if proof is not None else None
                if other is not None and len(other) < len(shortest):
                    shortest = other
    return tuple(shortest) if shortest is not None and len(shortest) <= SHORT else None


class _OutOfTime(Exception):
    """Whether sides contradict each other is not known when the time is up."""


def _irreducible(
    arrays: ProgramArrays, members: Sequence[Side], options: SolverOptions | None
) -> Sequence[Side] | None:
    """Leave out, one after the other, every side without which the rest still contradicts itself."""
    proof = _contradiction(arrays, members, options) if len(members) <= LONGEST_FILTERED else None
    if proof is None:
        return None
    members, kept = proof, 0
    while kept < len(members):
        proof = _contradiction(arrays, [*members[:kept], *members[kept + 1 :]], options)
        if proof is None:
            kept += 1
        else:
            kept -= sum(side not in proof for side in members[:kept])
            members = proof
    return members


def _contradiction(arrays: ProgramArrays, sides: Sequence[Side], options: SolverOptions | None) -> list[Side] | None:
    """Return those of the given sides that prove that they contradict each other, None where they do not."""
    only, rows, columns = _only(arrays, sides)
    answer = Session(only, options).solve()
    if answer.status in (Status.TIME_LIMIT, Status.INTERRUPTED):
        raise _OutOfTime
    if answer.status not in (Status.INFEASIBLE, Status.BORDERLINE) or answer.ray is None:
        return None
    position = {"row": rows, "column": columns}
    proof = {side._replace(position=int(position[side.kind][side.position])) for side in farkas_sides(only, answer.ray)}
    return [side for side in sides if side in proof] if proof <= set(sides) else None


def _only(arrays: ProgramArrays, sides: Sequence[Side]) -> tuple[ProgramArrays, NDArray[np.int64], NDArray[np.int64]]:
    """Return the program that has only the given sides, with the positions of its rows and columns.

    Open columns end far away instead: a proof of a clash can then be checked, and one that needs these ends is none.
    """
    rows = np.unique(np.array([side.position for side in sides if side.kind == "row"], dtype=np.int64))
    matrix = sp.csr_array(arrays.matrix[rows])
    limited = np.array([side.position for side in sides if side.kind == "column"], dtype=np.int64)
    columns = np.unique(np.concatenate([matrix.indices.astype(np.int64), limited]))
    m, n = len(rows), len(columns)
    only = ProgramArrays(
        cost=np.zeros(n),
        offset=0.0,
        matrix=sp.csr_array(matrix[:, columns]),
        row_lower=np.full(m, -np.inf),
        row_upper=np.full(m, np.inf),
        column_lower=-_far_away(arrays)[columns],
        column_upper=_far_away(arrays)[columns],
        integer=np.zeros(n, dtype=bool),
    )
    for side in sides:
        place = int(np.searchsorted(rows if side.kind == "row" else columns, side.position))
        _vector(only, side.kind, side.is_upper)[place] = side_value(arrays, side)
    return only, rows, columns


def _far_away(arrays: ProgramArrays) -> Floats:
    """Return 10,000 times the size of each column's box, and of the largest box for columns that have none."""
    size = np.maximum(np.abs(arrays.column_lower), np.abs(arrays.column_upper))
    largest = size[np.isfinite(size)].max(initial=1.0)
    return FAR * np.where(np.isfinite(size) & (size > 0.0), size, largest)


def _vector(arrays: ProgramArrays, kind: str, is_upper: bool) -> Floats:
    if kind == "row":
        return arrays.row_upper if is_upper else arrays.row_lower
    return arrays.column_upper if is_upper else arrays.column_lower


def _copied(arrays: ProgramArrays) -> ProgramArrays:
    """Return the program with sides of its own, to be written to."""
    return replace(
        arrays,
        row_lower=arrays.row_lower.copy(),
        row_upper=arrays.row_upper.copy(),
        column_lower=arrays.column_lower.copy(),
        column_upper=arrays.column_upper.copy(),
    )


class _Elastic:
    """The program with one column per handle that buys room: every handled side becomes a row of its own.

    minimise price't  over the sides without handle and, per handled side, A x + share t >= L (or A x - share t <= U).
    """

    def __init__(self, arrays: ProgramArrays, handles: Sequence[Handle]) -> None:
        self.handles = handles
        self.start = arrays.n_columns
        sides = list(dict.fromkeys(side for handle in handles for side in handle.sides))
        opened = _copied(arrays)
        for side in sides:
            _vector(opened, side.kind, side.is_upper)[side.position] = np.inf if side.is_upper else -np.inf
        value = np.array([side_value(arrays, side) for side in sides])
        is_upper = np.array([side.is_upper for side in sides], dtype=bool)
        self.program = replace(
            opened,
            cost=np.concatenate([np.zeros(self.start), [handle.price for handle in handles]]),
            offset=0.0,
            matrix=self._matrix(arrays, sides),
            row_lower=np.concatenate([opened.row_lower, np.where(is_upper, -np.inf, value)]),
            row_upper=np.concatenate([opened.row_upper, np.where(is_upper, value, np.inf)]),
            column_lower=np.concatenate([opened.column_lower, np.zeros(len(handles))]),
            column_upper=np.concatenate([opened.column_upper, [handle.most for handle in handles]]),
            integer=np.concatenate([arrays.integer, np.zeros(len(handles), dtype=bool)]),
        )

    def _matrix(self, arrays: ProgramArrays, sides: Sequence[Side]) -> sp.csr_array:
        """Append the handled sides as rows and the handles as columns."""
        every = sp.csr_array(sp.vstack([arrays.matrix, sp.eye_array(self.start)]))
        place = [side.position + (arrays.n_rows if side.kind == "column" else 0) for side in sides]
        row_of = {side: row for row, side in enumerate(sides)}
        moves = [
            (side, share, column)
            for column, handle in enumerate(self.handles)
            for side, share in zip(handle.sides, handle.shares, strict=True)
        ]
        give = np.array([-share if side.is_upper else share for side, share, _ in moves], dtype=float)
        row = np.array([row_of[side] for side, _, _ in moves], dtype=np.int64)
        column = np.array([column for _, _, column in moves], dtype=np.int64)
        buys = sp.csr_array((give, (row, column)), shape=(len(sides), len(self.handles)))
        left = sp.vstack([arrays.matrix, every[place]])
        right = sp.vstack([sp.csr_array((arrays.n_rows, len(self.handles))), buys])
        return sp.csr_array(sp.hstack([left, right]))

    def least_alone(self, answer: Answer) -> Floats:
        """Return a lower bound of what each handle costs alone, (n_handles,) float; inf where it is not enough.

        With y the duals of the cheapest repair and g_h what they pay for one unit of handle h, t y is a dual solution
        of the program in which h alone may give way for every t <= price_h / g_h. Whole numbers have no such duals.
        """
        if np.any(self.program.integer):
            return np.zeros(len(self.handles))
        price = self.program.cost[self.start :]
        most = self.program.column_upper[self.start :]
        gives = np.asarray(self.program.matrix.T @ answer.row_dual)[self.start :]
        excess = np.maximum(gives - price, 0.0)
        worth = answer.objective + float(
            np.where(excess > 0.0, np.where(np.isfinite(most), most, 0.0) * excess, 0.0).sum()
        )
        useful = gives > REPAIR_NOISE * price
        amount = worth / np.where(useful, gives, 1.0)
        enough = useful & (amount <= most * (1.0 + SAME_PRICE))
        return np.where(enough, price * amount, np.inf)

    def closed(self) -> ProgramArrays:
        """Return the program in which no handle gives way yet."""
        upper = self.program.column_upper.copy()
        upper[self.start :] = 0.0
        return replace(self.program, column_upper=upper)

    def repair(self, answer: Answer) -> Repair | None:
        """Read the repair off an answer."""
        if answer.status is not Status.OPTIMAL:
            return None
        amounts = answer.x[self.start :].tolist()
        noise = REPAIR_NOISE * max(answer.objective, 0.0)
        pairs = zip(self.handles, amounts, strict=True)
        changes = [Change(handle, amount) for handle, amount in pairs if handle.price * amount > noise]
        changes.sort(key=lambda change: -change.amount * change.handle.price)
        return Repair(tuple(changes), answer.objective)
