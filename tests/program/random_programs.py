"""Programs as arrays: written by hand in one line, or random by seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from kpiopt.program.trust.arrays import Floats, ProgramArrays

INF = np.inf
DATA = Path(__file__).parents[1] / "data"
Numbers = float | Sequence[float] | Floats


def program(
    matrix: Sequence[Sequence[float]] | Floats,
    cost: Numbers,
    columns: tuple[Numbers, Numbers] = (0.0, INF),
    rows: tuple[Numbers, Numbers] = (-INF, INF),
    whole: Sequence[int] = (),
    offset: float = 0.0,
) -> ProgramArrays:
    """Write a program in one line; a single number stands for all."""
    a = sp.csr_array(np.atleast_2d(np.array(matrix, dtype=float)))
    m, n = a.shape

    def spread(value: Numbers, length: int) -> Floats:
        return np.broadcast_to(np.array(value, dtype=float), (length,)).copy()

    integer = np.isin(np.arange(n), whole)
    sides = [spread(rows[0], m), spread(rows[1], m), spread(columns[0], n), spread(columns[1], n)]
    return ProgramArrays(spread(cost, n), offset, a, *sides, integer)


def random_program(rng: np.random.Generator, spread: float = 0.0, most: int = 10, whole: float = 0.0) -> ProgramArrays:
    """A feasible program whose coefficients, costs and boxes each vary over 10^-spread … 10^spread."""
    m, n = rng.integers(1, most + 1, 2)

    def size(*shape: int) -> Floats:
        return 10.0 ** rng.uniform(-spread, spread, shape)

    matrix = rng.standard_normal((m, n)) * size(m, n) * (rng.random((m, n)) < 0.6)
    width = size(n) * rng.uniform(0.5, 2.0, n)
    lower = np.where(rng.random(n) < 0.5, 0.0, -width * rng.random(n))
    upper = lower + width
    integer = rng.random(n) < whole
    lower, upper = np.where(integer, np.floor(lower), lower), np.where(integer, np.ceil(upper), upper)
    inside = lower + rng.random(n) * (upper - lower)
    inside = np.where(integer, np.rint(inside), inside)
    activity = matrix @ inside
    slack = np.abs(activity) * rng.random(m) * (rng.random(m) < 0.7)
    row_lower = np.where(rng.random(m) < 0.6, activity - slack, -INF)
    row_upper = np.where(rng.random(m) < 0.6, activity + slack, INF)
    cost = rng.standard_normal(n) * size(n)
    a = sp.csr_array(matrix)
    return ProgramArrays(cost, float(rng.normal()), a, row_lower, row_upper, lower, upper, integer)
