"""Correctly rounded sums of products: what a certificate computes with.

A product of two floats is split without error into a head and a tail (Dekker 1971, doi:10.1007/BF01397083, with
Veltkamp's splitting); `math.fsum` then rounds the sum of all heads and tails once (Shewchuk 1997,
doi:10.1007/PL00009321). The splitting is exact where factors lie below 1e150 and products are 0 or above 1e-290 in
size; the gate of the session is far inside.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.program.trust.arrays import Floats

UNIT_ROUNDOFF = 2.0**-53
_SHORT = 32
_FEW = 5_000
"""Entries below which rows are summed faster one by one."""
_SPLITTER = 2.0**27 + 1.0


def split_products(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return head and tail with head + tail = a * b exactly, elementwise; `a` and `b`, (n,) float."""
    head = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    tail = a_low * b_low - (((head - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return head, tail


def _split(a: Floats) -> tuple[Floats, Floats]:
    """Split 53 bits into two halves of at most 26."""
    shifted = _SPLITTER * a
    high = shifted - (shifted - a)
    return high, a - high


def exact_dot(a: Floats, b: Floats, plus: float = 0.0) -> float:
    """Return a'b + plus, correctly rounded; `a` and `b`, (n,) float."""
    head, tail = split_products(a, b)
    return math.fsum([*head.tolist(), *tail.tolist(), plus])


class Lines(NamedTuple):
    """Some rows of a CSR matrix, or columns of a CSC one, as its arrays: to be summed, and nothing else.

    Attributes
    ----------
    data, indices, indptr : arrays
    """

    data: Floats
    indices: NDArray[Any]
    indptr: NDArray[Any]

    @classmethod
    def of(cls, matrix: sp.csr_array | sp.csc_array, which: NDArray[np.int64]) -> Lines:
        """Take lines in a given order."""
        length = np.diff(matrix.indptr)[which]
        ends = np.concatenate([[0], np.cumsum(length)])
        places = np.repeat(matrix.indptr[which] - ends[:-1], length) + np.arange(ends[-1])
        return cls(matrix.data[places], matrix.indices[places], ends)


def exact_row_sums(matrix: sp.csr_array | sp.csc_array | Lines, x: Floats, plus: Floats) -> Floats:
    """Return matrix @ x + plus, every entry correctly rounded; of a CSC matrix, with its columns for rows.

    In large matrices, rows of the same few entries are summed together; where that does not settle the rounding, and
    for long rows, `math.fsum` does.

    Parameters
    ----------
    matrix : (m, n) sparse CSR or (n, m) sparse CSC, float
    x : (n,) float
    plus : (m,) float
        Summand of each row, such as minus its limit.

    Returns
    -------
    (m,) float
    """
    head, tail = split_products(matrix.data, x[matrix.indices])
    if len(head) < _FEW:
        return _sum_rows(np.arange(len(plus)), matrix.indptr, head, tail, plus)
    starts, length = matrix.indptr[:-1], np.diff(matrix.indptr)
    sums, is_open = np.empty(len(plus)), length > _SHORT
    for entries in np.unique(length[~is_open]).tolist():
        rows = np.flatnonzero(length == entries)
        places = starts[rows] + np.arange(entries)[:, None]
        sums[rows], is_open[rows] = _sum_short([*head[places], *tail[places], plus[rows]])
    left = np.flatnonzero(is_open)
    sums[left] = _sum_rows(left, matrix.indptr, head, tail, plus)
    return sums


def _sum_rows(rows: NDArray[np.int64], ends: NDArray[Any], head: Floats, tail: Floats, plus: Floats) -> Floats:
    """Sum rows one by one."""
    if len(rows) == len(plus):  # all of them: lists are cut faster than arrays
        heads, tails, stops, extras = head.tolist(), tail.tolist(), ends.tolist(), plus.tolist()
        cuts = zip(stops[:-1], stops[1:], extras, strict=True)
        return np.array([math.fsum([*heads[i:j], *tails[i:j], extra]) for i, j, extra in cuts])
    here = [(slice(ends[row], ends[row + 1]), plus[row]) for row in rows.tolist()]
    return np.array([math.fsum([*head[cut].tolist(), *tail[cut].tolist(), extra]) for cut, extra in here])


def _sum_short(terms: list[Floats]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return elementwise sums, and where they may not be correctly rounded.

    Two passes of error-free transformations leave the sum in its last term and what rounding took off in the others
    (SumK; Ogita, Rump & Oishi 2005, doi:10.1137/030601818). Only adding up these others is not exact, by less than
    2 k u of their sizes, with k terms and u the unit roundoff: both ends of that range must round to the same float.
    """
    for _ in range(2):
        terms = _distil(terms)
    others = np.array(terms[:-1])
    total, rest = _two_sum(terms[-1], others.sum(axis=0))
    unknown = 2.0 * len(terms) * UNIT_ROUNDOFF * np.abs(others).sum(axis=0)
    return total, (total + (rest + unknown) != total) | (total + (rest - unknown) != total)


def _distil(terms: list[Floats]) -> list[Floats]:
    """Return terms of the same exact sum: the rounded sum last, before it the errors of each addition."""
    total, errors = terms[0], []
    for term in terms[1:]:
        total, error = _two_sum(total, term)
        errors.append(error)
    return [*errors, total]


def _two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return the rounded sum and its error: exact for all floats (Knuth)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def lower_sum(values: Floats, magnitudes: Floats, roundings: int) -> float:
    """Bound a sum from below whose summands were each computed with a few roundings.

    Parameters
    ----------
    values : (k,) float
        Computed summands; -inf is allowed.
    magnitudes : (k,) float
        For each summand the sum of the sizes of the intermediate results it was computed from.
    roundings : int
        No summand took more rounded operations than that.

    Returns
    -------
    float
        Not above the exact sum.
    """
    if np.any(values == -np.inf):
        return -np.inf
    slip = 2.0 * roundings * UNIT_ROUNDOFF * math.fsum(magnitudes.tolist())
    total = math.fsum([*values.tolist(), -slip])
    return math.nextafter(total, -math.inf)
