"""What is asked of the solver and what it answers: options, endings, values, duals, ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray

from kpiopt.deadline import NEVER, Deadline
from kpiopt.program.trust.arrays import Floats
from kpiopt.program.trust.tolerances import ASKED_FOR

_EMPTY: Floats = np.empty(0)


class Status(Enum):
    """How a solve ended. Only OPTIMAL has an answer that may be published, once it is certified."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    BORDERLINE = "borderline"
    """The limits contradict each other, but by so little that rounding decides."""
    UNBOUNDED = "unbounded"
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class SolverOptions:
    """How to solve; the answer does not depend on it, only the way there.

    Attributes
    ----------
    deadline : Deadline
        When to stop, wherever the work stands; one for all solves of a command.
    random_seed : int
        0 is a seed like any other.
    solver : str
        "highs", or the name of any solver that Pyomo finds here.
    method : str
        Of HiGHS: "simplex" or "ipm" (interior point with crossover).
    feasibility_tolerance : float
        Of rows, bounds and reduced costs in the scaled program, at least 1e-10.
    precise : bool
        Whether answers are refined as far as floats carry, rather than until they are good.
    most_nodes : int
        Nodes after which a search for whole numbers ends, INTERRUPTED; 0 for any number.
    exact : bool
        Whether small programs are solved in fractions at once, not only where nothing else succeeds.
    """

    deadline: Deadline = NEVER
    threads: int = 1
    presolve: bool = True
    random_seed: int = 0
    solver: str = "highs"
    method: str = "simplex"
    feasibility_tolerance: float = ASKED_FOR
    precise: bool = False
    most_nodes: int = 0
    exact: bool = False


@dataclass(frozen=True)
class Answer:
    """The solver's answer in the original, unscaled data.

    Attributes
    ----------
    x : (n,) float
        Empty where there is no point. On TIME_LIMIT or INTERRUPTED the best whole-number point found, if any.
    row_dual : (m,) float
        y, change of the objective per unit of the row's active side: >= 0 on an active lower side, <= 0 on an upper
        one. For whole-number programs the duals of the program with the whole numbers fixed.
    reduced_cost : (n,) float
        cost - A'y, exactly 0 for basic columns.
    objective : float
        cost'x + offset; nan without a point.
    ray : (m,) or (n,) float or None
        INFEASIBLE, BORDERLINE: weights of the rows of a Farkas proof, signs as `row_dual`. UNBOUNDED: a direction.
    attempt : str
        Rung of the retry ladder that gave the answer.
    """

    status: Status
    x: Floats = field(default_factory=lambda: _EMPTY)
    row_dual: Floats = field(default_factory=lambda: _EMPTY)
    reduced_cost: Floats = field(default_factory=lambda: _EMPTY)
    objective: float = float("nan")
    ray: Floats | None = None
    iterations: int = 0
    attempt: str = ""
    seconds: float = 0.0

    @property
    def has_point(self) -> bool:
        """Whether there are values to read."""
        return len(self.x) > 0


@dataclass(frozen=True)
class Ranging:
    """Where the duals of a linear program hold.

    Attributes
    ----------
    row_from, row_to : (m,) float
        The row's dual holds while its active side stays in between. For a row that does not bind, its upper side (its
        lower one where it has no upper) may move as far as the row's value.
    """

    row_from: Floats
    row_to: Floats


class At(IntEnum):
    """Where a basis puts a column or row; the numbers are those of HiGHS."""

    LOWER = 0
    BASIC = 1
    UPPER = 2
    ZERO = 3
    NONBASIC = 4


@dataclass(frozen=True)
class Basis:
    """A warm start: where the solver's basis puts each column and row.

    Attributes
    ----------
    columns : (n,) int8
        Values of `At`; -1 throughout where there is no basis.
    rows : (m,) int8
    """

    columns: NDArray[np.int8]
    rows: NDArray[np.int8]
