"""Correctly rounded sums of products: what a certificate computes with.

A product of two floats is split without error into a head and a tail (Dekker 1971, doi:10.1007/BF01397083, with
Veltkamp's splitting); `math.fsum` then rounds the sum of all heads and tails once (Shewchuk 1997,
doi:10.1007/PL00009321). The splitting is exact where factors lie below 1e150 and products are 0 or above 1e-290 in
size; the gate of the session is far inside.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp

from kpiopt.program.arrays import Floats

UNIT_ROUNDOFF = 2.0**-53
_SPLITTER = 2.0**27 + 1.0


def split_products(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return head and tail with head + tail = a * b exactly, elementwise."""
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
    """Return a'b + plus, correctly rounded."""
    head, tail = split_products(a, b)
    return math.fsum([*head.tolist(), *tail.tolist(), plus])


def exact_row_sums(matrix: sp.csr_array, x: Floats, plus: Floats) -> Floats:
    """Return matrix @ x + plus, every entry correctly rounded.

    Parameters
    ----------
    matrix : (m, n) sparse CSR, float
    x : (n,) float
    plus : (m,) float
        Summand of each row, such as minus its limit.

    Returns
    -------
    (m,) float
    """
    head, tail = split_products(matrix.data, x[matrix.indices])
    terms = np.column_stack([head, tail]).ravel().tolist()
    ends = (2 * matrix.indptr).tolist()
    sums = [
        math.fsum([*terms[start:stop], extra])
        for start, stop, extra in zip(ends[:-1], ends[1:], plus.tolist(), strict=True)
    ]
    return np.array(sums)


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
