"""Scores against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kpiopt.learning.backtests.results import Backtest, LevelScore
from kpiopt.learning.backtests.scores import (
    Coverage,
    add_coverage,
    by_cluster,
    coverage,
    crps,
    log_score,
    reliability,
    transform,
)
from kpiopt.report.learning.text import gain_text


def test_crps_of_normal_draws_is_the_closed_form():
    draws = np.random.default_rng(0).normal(2.0, 3.0, size=(40_000, 3))
    happened = np.array([2.0, 5.0, -4.0])
    z = (happened - 2.0) / 3.0
    exact = 3.0 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(draws, happened) == pytest.approx(exact, abs=0.03)


def test_crps_of_one_certain_number_is_its_absolute_error():
    assert crps(np.full((10, 2), 4.0), np.array([3.0, 6.5])).tolist() == [1.0, 2.5]


def test_coverage_and_transform():
    draws = np.arange(1, 1001, dtype=float)[:, None] * np.ones(4)
    happened = np.array([10.0, 500.0, 940.0, 990.0])
    found = coverage(draws, happened)
    assert (found.held, found.count) == (2, 4)
    assert add_coverage([found, found]).share == 0.5
    assert transform(draws, np.array([500.0] * 4)).tolist() == [0.4995] * 4


def test_a_wrong_share_lies_outside_of_its_band():
    assert not coverage(np.linspace(0, 1, 101)[:, None] * np.ones(100), np.full(100, 0.999)).is_right


def test_log_score_prefers_the_sharper_right_forecast():
    rng = np.random.default_rng(1)
    sharp, wide = (np.exp(rng.normal(3.0, s, size=(4000, 1))) for s in (0.1, 0.5))
    assert log_score(sharp, np.exp([3.0]))[0] < log_score(wide, np.exp([3.0]))[0]


def test_brier_is_miscalibration_less_discrimination_plus_uncertainty():
    rng = np.random.default_rng(2)
    given = rng.random(500)
    happened = (rng.random(500) < given**2).astype(float)
    found = reliability(given, happened)
    assert found.brier == pytest.approx(found.miscalibration - found.discrimination + found.uncertainty, abs=1e-12)
    assert np.all(np.diff(found.calibrated) >= 0)
    assert found.miscalibration > 0
    count, share, low, high = found.bin(0.4, 0.6)
    assert count and low <= share <= high


def test_few_cases_cannot_call_ranges_right():
    """Of 35 cases all may lie in a 90 % range by chance; nothing is called calibrated from that."""
    happened = np.zeros(40)
    draws = np.linspace(-1.0, 1.0, 101)[:, None] * np.ones(40)
    assert [coverage(draws[:, :n], happened[:n]).can_tell for n in (0, 35, 36, 40)] == [False, False, True, True]

    def verdict(count, held):
        part = Coverage(held, count, *(float(v) / count for v in stats.binom.ppf([0.025, 0.975], count, 0.9)))
        score = LevelScore("k", "unit", 1, 0.1, 0.2, 0.2, 0.0, part, (), (0.0, 0.0, 0.0))
        return Backtest(("2026-Q1",), (score,), None, 0)

    assert verdict(6, 6).verdict.startswith("cannot tell: 6 cases of k are too few")
    assert not verdict(6, 6).is_calibrated
    assert verdict(100, 90).is_calibrated
    assert verdict(100, 90).verdict.startswith("calibrated")
    assert verdict(100, 99).verdict.startswith("not right")


def test_a_comparison_without_any_error_is_no_number():
    """Where last year's values were exactly right there is no share of their error."""
    none, some, names = np.zeros(3), np.ones(3), ["a", "b", "c"]
    assert by_cluster(none, none, names)[0] == 0.0
    assert by_cluster(some, none, names)[0] == float("-inf")
    assert gain_text(by_cluster(some, none, names)) == "much larger"
    assert gain_text(by_cluster(some, some * 1e-9, names)) == "much larger"
