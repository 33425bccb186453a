"""Factors, ranges and refusals of correlations, with figures that can be followed on paper."""

from __future__ import annotations

import numpy as np
import pytest

from kpiopt.errors import Location, NumericsError
from kpiopt.simulation.copula import build_copula, cholesky, correlation_matrix, fitting_range


def test_factor_of_three() -> None:
    matrix = np.array([[4.0, 12.0, -16.0], [12.0, 37.0, -43.0], [-16.0, -43.0, 98.0]])
    assert cholesky(matrix).tolist() == [[2, 0, 0], [6, 1, 0], [-8, 5, 3]]


def test_scores_are_mixed_in_the_order_of_names_from_what_they_were() -> None:
    """c = 0.6 a + 0.8 c', and b has 0.5 with a: rows stand in another order than names, and one is not in it."""
    copula = build_copula({("a", "c"): 0.6, ("b", "a"): 0.5}, {"c": 0, "free": 1, "b": 2, "a": 3})
    scores = np.array([[1.0, 2.0], [7.0, 8.0], [3.0, 4.0], [5.0, -1.0]])
    copula.correlate(scores)
    root = np.sqrt(0.75)
    # L: b = 0.5 a + root b'; c = 0.6 a - 0.3 / root b' + sqrt(1 - 0.36 - 0.12) c'
    last = np.sqrt(0.52)
    right = [
        [0.6 * 5 - 0.3 / root * 3 + last, -0.6 - 0.3 / root * 4 + last * 2],
        [7, 8],
        [0.5 * 5 + root * 3, -0.5 + root * 4],
        [5, -1],
    ]
    assert scores == pytest.approx(np.array(right))


def test_pairs_with_what_is_certain_are_left_out() -> None:
    copula = build_copula({("a", "certain"): 0.9, ("certain", "b"): 0.9, ("a", "b"): -0.6}, {"a": 1, "b": 0})
    assert copula.rows.tolist() == [1, 0]
    assert copula.factor == pytest.approx(np.array([[1, 0], [-0.6, 0.8]]))
    assert build_copula({("a", "certain"): 0.9}, {"a": 0}).rows.tolist() == []


def test_range_in_which_one_pair_fits() -> None:
    assert fitting_range(np.eye(2), 0, 1) == (-1.0, 1.0)
    # 0.6 x 0.8 with the third, and sqrt(1 - 0.36) sqrt(1 - 0.64) of freedom
    matrix = correlation_matrix({("a", "c"): 0.6, ("b", "c"): 0.8}, list("abc"))
    assert fitting_range(matrix, 0, 1) == pytest.approx((0.0, 0.96))
    assert fitting_range(matrix, 1, 0) == pytest.approx((0.0, 0.96))
    # One of the two is the third already, or more than it: no value of the pair helps.
    for name in "ab":
        for r in (1.0, 1.2):
            matrix = correlation_matrix({(name, "c"): r}, list("abc"))
            assert fitting_range(matrix, 0, 1) is None
    # The others contradict each other.
    matrix = correlation_matrix({("c", "d"): 1.0}, list("abcd"))
    assert fitting_range(matrix, 0, 1) is None


def test_the_pair_that_must_move_least_is_named_with_its_range_and_place() -> None:
    """b ~ c may be at most 0.16 + sqrt(0.96 x 0.36) = 0.748; a ~ c would have to move by 0.114, a ~ b by 0.164."""
    pairs = {("a", "b"): -0.2, ("a", "c"): -0.8, ("b", "c"): 0.85}
    places = {("b", "c"): Location("scenario.toml", 7)}
    with pytest.raises(NumericsError) as refused:
        build_copula(pairs, {"a": 0, "b": 1, "c": 2}, places)
    (problem,) = refused.value.problems
    assert problem.message.endswith('what breaks them is "b ~ c" = 0.85')
    assert problem.fix == 'give "b ~ c" a value between -0.428 and 0.748, or correct the others'
    assert problem.location == places["b", "c"]


def test_where_no_single_pair_helps_the_one_that_helps_most_is_named() -> None:
    """Of two contradictory threes the first is worse (-0.8 against -0.6): without a ~ b, -0.6 is left."""
    pairs = dict.fromkeys(("ab", "ac", "bc"), -0.9) | dict.fromkeys(("de", "df", "ef"), -0.8)
    with pytest.raises(NumericsError) as refused:
        build_copula(pairs, {name: i for i, name in enumerate("abcdef")})
    (problem,) = refused.value.problems
    assert problem.fix == 'move "a ~ b" and others towards 0'
    assert "smallest eigenvalue is -0.8" in problem.message
