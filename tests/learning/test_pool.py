"""The pooled model against dense linear algebra: likelihood, slopes, forecasts."""

from __future__ import annotations

import numpy as np
import pytest

from kpiopt.learning.draws import draw_future
from kpiopt.learning.likely import MANY, likely_variances
from kpiopt.learning.pool import Pool, fit_pool, likelihood_and_slope, noise_of

GROUP = np.array([0, 0, 1, 1, 1, 2, 2])


@pytest.fixture(scope="module")
def pool() -> Pool:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(7, 15)).cumsum(axis=1) * 0.2 + rng.normal(size=(7, 1))
    values[2, :6] = np.nan
    values[4, 3] = np.nan
    return fit_pool(values, np.exp(rng.normal(size=7)), GROUP, 4, 1)


def dense_prior(pool: Pool, unit: np.ndarray, period: np.ndarray, count: int) -> np.ndarray:
    parts = pool.data.components(count)
    common, region = parts.above(pool.variance)
    own = parts.own(pool.variance, pool.data.small)
    at = period[:, None], period[None]
    group = GROUP[unit]
    return common[at] + (group[:, None] == group) * region[at] + (unit[:, None] == unit) * own[unit[:, None], *at]


def test_likelihood_is_that_of_one_dense_normal(pool):
    unit, period = np.nonzero(np.isfinite(pool.data.values))
    y = pool.data.values[unit, period]
    covariance = dense_prior(pool, unit, period, 15) + np.diag(
        noise_of(pool.data, pool.scale, pool.variance, np.arange(7))[unit, period]
    )
    _, logs = np.linalg.slogdet(covariance)
    dense = -0.5 * (len(y) * np.log(2 * np.pi) + logs + y @ np.linalg.solve(covariance, y))
    found, _ = likelihood_and_slope(pool.data, pool.data.components(15), pool.scale, pool.variance)
    assert found == pytest.approx(dense, abs=1e-6)


def test_slopes_are_those_of_differences(pool):
    parts = pool.data.components(15)
    _, slope = likelihood_and_slope(pool.data, parts, pool.scale, pool.variance)
    for name in parts.names:
        step = 1e-5 * pool.variance[name]
        ends = [
            likelihood_and_slope(pool.data, parts, pool.scale, {**pool.variance, name: pool.variance[name] + s})[0]
            for s in (step, -step)
        ]
        assert slope[name] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-3), name


def test_draws_have_the_dense_forecasts_mean_and_covariance(pool):
    unit, period = np.nonzero(np.isfinite(pool.data.values))
    y = pool.data.values[unit, period]
    future_unit, future = np.repeat(np.arange(7), 2), np.tile([15, 16], 7)
    units, periods = np.concatenate([unit, future_unit]), np.concatenate([period, future])
    whole = dense_prior(pool, units, periods, 17)
    k = len(y)
    seen = whole[:k, :k] + np.diag(noise_of(pool.data, pool.scale, pool.variance, np.arange(7))[unit, period])
    cross = whole[k:, :k]
    mean = pool.mean + cross @ np.linalg.solve(seen, y)
    covariance = whole[k:, k:] - cross @ np.linalg.solve(seen, cross.T)
    draws = np.concatenate([v for _, v in draw_future(pool, 2, 40_000, np.random.default_rng(1))], axis=1)
    spread = draws.std(axis=0)
    assert np.abs((draws.mean(axis=0) - mean) / (spread / np.sqrt(40_000))).max() < 5
    off = ~np.eye(14, dtype=bool)
    assert np.abs((np.cov(draws.T) - covariance)[off]).max() < 0.03 * covariance.max()


def test_the_order_of_units_does_not_matter():
    rng = np.random.default_rng(5)
    values, size = rng.normal(size=(6, 12)), np.exp(rng.normal(size=6))
    group = np.array([0, 0, 0, 1, 1, 1])
    order = np.array([3, 5, 4, 1, 0, 2])
    first = fit_pool(values, size, group, 4, 0)
    second = fit_pool(values[order], size[order], group[order], 4, 0)
    assert {k: second.variance[k] for k in first.variance} == pytest.approx(first.variance, rel=1e-3)


def test_few_units_do_not_tell_their_variances_and_ranges_count_that(pool):
    sets = likely_variances(pool, 16, np.random.default_rng(2))
    logs = np.log([[one[name] for name in pool.variance] for one in sets])
    assert (logs.std(axis=0) > 0.1).all()
    spread = [
        np.std([v for _, v in draw_future(pool, 2, 4000, np.random.default_rng(1), which)], axis=1).mean()
        for which in ((), sets)
    ]
    assert spread[1] > 1.02 * spread[0]


def test_many_units_tell_their_own_variances():
    rng = np.random.default_rng(6)
    pool = fit_pool(rng.normal(size=(MANY + 1, 8)), np.ones(MANY + 1), np.arange(MANY + 1) % 3, 1, 0)
    sets = likely_variances(pool, 4, rng)
    assert all(one["noise"] == pytest.approx(pool.variance["noise"]) for one in sets)
    assert len({one["region_walk"] for one in sets}) > 1


def test_noise_does_not_take_up_what_units_remember():
    """Noise of autocorrelation 0.5: at least half of its variance of 0.04 is found as ups and downs or walk."""
    rng = np.random.default_rng(8)
    noise = 0.2 * np.sqrt(0.75) * rng.normal(size=(30, 40))
    for k in range(1, 40):
        noise[:, k] += 0.5 * noise[:, k - 1]
    pool = fit_pool(noise, np.ones(30), np.zeros(30, dtype=np.int64), 4, 0)
    assert pool.variance["swing"] + pool.variance["small_swing"] > 0.02
