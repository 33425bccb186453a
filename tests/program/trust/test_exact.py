"""Sums are compared with rational arithmetic, which has no rounding at all."""

from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.program.trust import exact
from kpiopt.program.trust.exact import exact_dot, exact_row_sums, lower_sum, split_products

NUMBERS = st.floats(-1e12, 1e12).filter(lambda v: v == 0.0 or abs(v) > 1e-12)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12)


def rational(a, b, plus=0.0):
    return sum((Fraction(p) * Fraction(q) for p, q in zip(a, b, strict=True)), Fraction(plus))


@given(PAIRS)
def test_head_and_tail_are_the_product(pairs):
    a, b = np.array(pairs).T
    head, tail = split_products(a, b)
    for i in range(len(a)):
        assert Fraction(head[i]) + Fraction(tail[i]) == Fraction(a[i]) * Fraction(b[i])


@given(PAIRS, NUMBERS)
def test_dot_is_the_rational_sum_rounded_once(pairs, plus):
    a, b = np.array(pairs).T
    assert exact_dot(a, b, plus) == float(rational(a, b, plus))


def test_cancellation_that_plain_sums_lose_is_kept():
    a, b = np.array([1e8, 1.0, -1e8]), np.array([1e8 + 1, 1e-3, 1e8 + 1])
    assert exact_dot(a, b) == 1e-3
    assert float(a @ b) != 1e-3


@given(st.integers(0, 10_000))
def test_rows_are_rational_sums_rounded_once(seed):
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((4, 6)) * 10.0 ** rng.integers(-9, 9, (4, 6)) * (rng.random((4, 6)) < 0.5)
    x, plus = rng.standard_normal(6) * 1e5, rng.standard_normal(4)
    sums = exact_row_sums(sp.csr_array(dense), x, plus)
    assert sums.tolist() == [float(rational(dense[i], x, plus[i])) for i in range(4)]


def test_empty_rows_give_what_is_added():
    sums = exact_row_sums(sp.csr_array((2, 3)), np.ones(3), np.array([0.5, -2.0]))
    assert sums.tolist() == [0.5, -2.0]


@given(PAIRS)
def test_lower_sum_is_below_and_close(pairs):
    a, b = np.array(pairs).T
    products = a * b
    bound, exact = lower_sum(products, np.abs(products), 1), rational(a, b)
    assert Fraction(bound) <= exact
    assert exact - Fraction(bound) <= Fraction(1e-14) * sum(abs(Fraction(p)) for p in products) + Fraction(1e-300)


def test_lower_sum_of_an_open_side_is_minus_infinity():
    assert lower_sum(np.array([1.0, -np.inf]), np.array([1.0, 1.0]), 1) == -np.inf


@pytest.mark.parametrize("few", [0, 5_000], ids=["together", "one by one"])
@given(seed=st.integers(0, 10_000))
def test_rows_that_cancel_or_lie_between_two_floats_are_rounded_once(few, seed):
    """What is added takes the sum off but for the last bits, or puts it next to the middle of two floats."""
    with patch.object(exact, "_FEW", few):
        check_rows(seed)


def check_rows(seed):
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((5, 7)) * 10.0 ** rng.integers(-6, 6, (5, 7)) * (rng.random((5, 7)) < 0.7)
    x, matrix = rng.standard_normal(7) * 1e3, sp.csr_array(dense)
    rest = -exact_row_sums(matrix, x, np.zeros(5))
    assert exact_row_sums(matrix, x, rest).tolist() == [float(rational(dense[i], x, rest[i])) for i in range(5)]
    for ulps, tiny in ((0.5, 0.0), (0.5, 1e-40), (0.5, -1e-40), (1.5, 0.0)):
        row = sp.csr_array(np.array([[1.0, 1.0, 1.0]]))
        terms = np.array([-rest[0] or 1.0, ulps * np.spacing(rest[0]), tiny])
        assert exact_row_sums(row, terms, np.zeros(1))[0] == float(rational([1, 1, 1], terms))


def test_long_rows_are_rounded_once(monkeypatch):
    monkeypatch.setattr(exact, "_FEW", 0)
    rng = np.random.default_rng(3)
    dense, x = rng.standard_normal((3, 500)), rng.standard_normal(500)
    dense[0, 40:] = 0.0
    sums = exact_row_sums(sp.csr_array(dense), x, -(dense @ x))
    assert sums.tolist() == [float(rational(dense[i], x, -(dense @ x)[i])) for i in range(3)]
