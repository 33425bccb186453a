"""Intervals and estimates against their formulas, with figures that can be followed on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from kpiopt.simulation.odds import (
    Estimate,
    binomial_interval,
    binomial_ranks,
    certain_odds,
    draws_for_quantile,
    estimate_conditional_odds,
    estimate_difference,
    estimate_mean,
    estimate_odds,
    estimate_quantiles,
    interval_ends,
    judge_odds,
    judge_together,
    student,
)


def t(degrees: int) -> float:
    return float(stats.t.ppf(0.975, degrees))


def ends(found: Estimate) -> tuple[float, float, float]:
    return found.estimate, found.low, found.high


def test_students_t_is_that_of_scipy() -> None:
    assert [student(n) for n in (1, 2, 15)] == pytest.approx([t(1), t(2), t(15)])
    assert student(5, 0.9) == pytest.approx(float(stats.t.ppf(0.95, 5)))


def test_odds_from_replicates() -> None:
    """Hits 60, 70 and 80 of 150: squares 100 + 0 + 100, and 1.75 for the grid."""
    found = estimate_odds(np.array([60, 70, 80]), 150)
    half = t(2) * math.sqrt((200 + 1.75) / 2 / 3) / 150
    assert found.method == "replicates"
    assert ends(found) == pytest.approx((7 / 15, 7 / 15 - half, 7 / 15 + half))
    # Two replicates that differ widely: the interval ends where odds do.
    assert ends(estimate_odds(np.array([0, 100]), 200)) == (0.25, 0.0, 1.0)
    assert estimate_odds(np.full(4, 25), 1000).method == "replicates"
    assert estimate_odds(np.array([25, 25, 25, 24]), 1000).method == "exact"
    assert estimate_odds(np.array([975, 975, 975, 976]), 1000).method == "exact"


def test_odds_on_a_condition() -> None:
    """120 of 240; what the replicates have beyond half of their condition is 0, -10 and 10, of 80 on average."""
    found = estimate_conditional_odds(np.array([30, 40, 50]), np.array([60, 100, 80]))
    assert found is not None
    half = t(2) * math.sqrt((200 + 1.75) / 2 / 3) / 80
    assert ends(found) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    wide = estimate_conditional_odds(np.array([0, 100]), np.array([100, 100]))
    assert wide is not None
    assert ends(wide) == (0.5, 0.0, 1.0)
    assert estimate_conditional_odds(np.array([0, 0]), np.array([0, 0])) is None
    for both, condition, exact in (([500], [900], True), ([50, 49], [300, 300], True), ([50, 50], [300, 300], False)):
        found = estimate_conditional_odds(np.array(both), np.array(condition))
        assert found is not None
        assert (found.method == "exact") == exact
        if exact:
            n = sum(condition)
            assert ends(found) == pytest.approx((sum(both) / n, *binomial_interval(sum(both), n)))
    near = estimate_conditional_odds(np.array([250, 251]), np.array([300, 300]))
    assert near is not None
    assert near.method == "exact"  # 99 misses


def test_intervals_of_many_are_those_of_each() -> None:
    found = interval_ends(np.array([[3, 0, 10, 3]]), 10)
    assert found.T.tolist() == [list(binomial_interval(h, 10)) for h in (3, 0, 10, 3)]
    assert interval_ends(np.zeros((16, 0), dtype=int), 10).shape == (2, 0)


def test_what_is_certain() -> None:
    yes, no = certain_odds(hit=True), certain_odds(hit=False)
    assert (ends(yes), ends(no)) == ((1, 1, 1), (0, 0, 0))
    assert (yes.text, no.text) == ("certain", "never")
    assert judge_odds(np.array([4, 4]), 4, varies=False) == yes
    assert judge_odds(np.array([0, 0]), 4, varies=False) == no
    assert judge_odds(np.array([4, 4]), 4, varies=True).method == "exact"
    open_odds, hits, none = estimate_odds(np.array([4, 3]), 4), np.array([4, 3]), np.array([0, 0])
    assert judge_together([], hits, 4) is None
    assert judge_together([yes, yes], np.array([4, 4]), 4) == yes
    assert judge_together([open_odds, no], none, 4) == no  # one that is never met settles it
    together = judge_together([open_odds, yes], hits, 4)
    assert together is not None
    assert not together.is_certain
    assert together.estimate == 7 / 8
    assert Estimate.from_dict(yes.as_dict()) == yes
    assert not Estimate.from_dict(together.as_dict()).is_certain
    assert ends(Estimate.from_dict(together.as_dict())) == ends(together)


@pytest.mark.parametrize(
    ("share", "low", "high", "text"),
    [
        (0.5, 0.25, 0.75, "50.0 % (25.0 % to 75.0 %)"),
        (0.1, 0.05, 0.15, "10.0 % (5.0 % to 15.0 %)"),
        (0.099, 0.0123, 0.2, "9.9 % (1.2 % to 20.0 %)"),
        (0.012, 0.0101, 0.0199, "1.2 % (1.0 % to 2.0 %)"),
        (0.00123, 0.00101, 0.00149, "0.12 % (0.10 % to 0.15 %)"),
        (0.95, 0.92, 1.0, "95.0 % (92.0 % to 100 %)"),
        (0.05, 0.0, 0.1, "5.0 % (0 % to 10.0 %)"),
        (0.0, 0.0, 1e-9, "less than 0.00000010 %"),
        (0.0, 0.0, 9e-10, "less than 0.0000001 %"),
        (1.0, 1 - 9e-10, 1.0, "more than 99.9999999 %"),
    ],
)
def test_odds_in_words(share: float, low: float, high: float, text: str) -> None:
    assert Estimate(share, low, high, "exact").text == text


def test_a_difference_of_few_draws() -> None:
    """Of 1,000 draws 6 are gained and 2 lost: 8 of 1,000 differ and 6 of 8 are gained, each at 97.5 %."""
    first, second = np.zeros((1, 1000), dtype=bool), np.zeros((1, 1000), dtype=bool)
    second[0, :6], first[0, 6:8] = True, True
    found = estimate_difference(first, second)
    least, most = binomial_interval(8, 1000, 0.975)
    low, high = binomial_interval(6, 8, 0.975)
    assert low < 0.5 < high
    assert found.method == "exact"
    assert ends(found) == pytest.approx((0.004, (2 * low - 1) * most, (2 * high - 1) * most))
    # All gained: the low end of the share counts fully, and the least of the draws that differ with it.
    second[0, :20], first[0, :] = True, False
    least, most = binomial_interval(20, 1000, 0.975)
    low, _ = binomial_interval(20, 20, 0.975)
    assert ends(estimate_difference(first, second)) == pytest.approx((0.02, (2 * low - 1) * least, most))
    # Turned round it is its mirror image.
    assert ends(estimate_difference(second, first)) == pytest.approx((-0.02, -most, -(2 * low - 1) * least))
    # No draw differs.
    none = estimate_difference(second, second)
    assert ends(none) == pytest.approx(
        (0.0, -binomial_interval(0, 1000, 0.975)[1], binomial_interval(0, 1000, 0.975)[1])
    )


def test_a_difference_of_many_draws() -> None:
    """Of 400 draws 70 are gained and 30 lost, in one replicate and in two."""
    first, second = np.zeros((1, 400), dtype=bool), np.zeros((1, 400), dtype=bool)
    second[0, :70], first[0, 300:330] = True, True
    found = estimate_difference(first, second)
    half = 1.959963984540054 * math.sqrt((100 / 400 - 0.1**2) / 400)
    assert found.method == "sample"
    assert ends(found) == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    # By halves: +70 and -30 of 200.
    found = estimate_difference(first.reshape(2, 200), second.reshape(2, 200))
    assert found.method == "replicates"
    half = t(1) * math.sqrt((2 * 50**2 + 1.75) / 1 / 2) / 200
    assert half > 1
    assert ends(found) == (0.1, -1.0, 1.0)
    found = estimate_difference(first.reshape(4, 100), second.reshape(4, 100))
    half = t(3) * math.sqrt(((70 - 10) ** 2 + 10**2 + 10**2 + 40**2 + 1.75) / 3 / 4) / 100
    assert ends(found) == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    # 99 that differ are few, whatever the replicates.
    second[0, 69] = False
    assert estimate_difference(first.reshape(4, 100), second.reshape(4, 100)).method == "exact"


def test_means() -> None:
    """Three replicates of four draws with means 2.5, 3.5 and 3."""
    found, sd = estimate_mean(np.array([10.0, 14.0, 12.0]), np.array([30.0, 60.0, 40.0]), 4)
    half = t(2) * math.sqrt(0.5 / 2 / 3)
    assert (found.method, ends(found)) == ("replicates", pytest.approx((3, 3 - half, 3 + half)))
    assert sd == pytest.approx(math.sqrt((130 / 12 - 9) * 12 / 11))
    found, sd = estimate_mean(np.array([12.0]), np.array([50.0]), 4)
    half = t(3) * math.sqrt((12.5 - 9) * 4 / 3 / 4)
    assert (found.method, ends(found)) == ("sample", pytest.approx((3, 3 - half, 3 + half)))
    assert sd == pytest.approx(math.sqrt((12.5 - 9) * 4 / 3))
    found, sd = estimate_mean(np.array([5.0]), np.array([25.0]), 1)
    assert (ends(found), sd) == ((5, 5, 5), 0)


def test_quantiles() -> None:
    assert [draws_for_quantile(s) for s in (0.5, 0.05, 0.95, 0.1)] == [6, 72, 72, 36]
    # P(X <= 39) = 0.0176 and P(X <= 40) = 0.0284; P(X <= 59) = 0.9716 and P(X <= 60) = 0.9824.
    assert binomial_ranks(100, 0.5) == (39, 60)
    (found,) = estimate_quantiles(np.arange(100.0).reshape(1, 100), [0.5])
    assert (found.value, found.low, found.high) == (49.0, 39.0, 60.0)
    (found,) = estimate_quantiles(np.arange(400.0).reshape(1, 400), [0.5])
    assert (found.low, found.high) == tuple(float(r) for r in binomial_ranks(400, 0.5))
    # Two replicates of 200: the values up to the median are 150 of the first and 50 of the second.
    values = np.array([[*range(150), *range(250, 300)], [*range(150, 200), *range(200, 250), *range(300, 400)]])
    (found,) = estimate_quantiles(values.astype(float), [0.5])
    assert (found.value, found.low, found.high) == (199.0, 0.0, 399.0)
    # Four that are alike: 100 up to the median in each but for what the grid adds.
    values = np.arange(400.0).reshape(100, 4).T
    (found,) = estimate_quantiles(values, [0.5])
    half = t(3) * math.sqrt(1.75 / 3 / 4) / 100
    assert (found.value, found.low, found.high) == (
        199.0, float(math.floor(400 * (0.5 - half)) - 1), float(math.ceil(400 * (0.5 + half)) - 1),
    )  # fmt: skip
    # A quarter of 400 is enough for the replicates; less of it goes by ranks.
    (quarter, less) = estimate_quantiles(values, [0.25, 0.24])
    assert (quarter.low, quarter.high) == (
        float(math.floor(400 * (0.25 - half)) - 1), float(math.ceil(400 * (0.25 + half)) - 1),
    )  # fmt: skip
    assert (less.low, less.high) == tuple(float(r) for r in binomial_ranks(400, 0.24))


def test_many_intervals_are_those_of_each():
    hits = np.random.default_rng(5).binomial(64, [0.5, 0.02, 0.97, 0.0, 1.0, 0.11], (16, 6))
    for n_replicates in (1, 16):
        found = interval_ends(hits[:n_replicates], 64)
        for i in range(6):
            one = estimate_odds(hits[:n_replicates, i], 64)
            assert (one.low, one.high) == (found[0, i], found[1, i])
