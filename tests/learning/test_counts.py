"""Counts: what is expected of the future adds up to what was counted, and ranges hold it, however seldom it happens."""

from __future__ import annotations

import numpy as np
import pytest

from kpiopt.learning.draws import _of_walks
from kpiopt.learning.forecast import Question, forecast
from kpiopt.learning.history import Series, sizes_of
from kpiopt.learning.links import FEW_COUNTED, link_series
from kpiopt.learning.periods import PeriodGrid
from kpiopt.learning.pool import Counts, fit_pool, linked

MEASURED = [(0.0, 5, 24), (0.05, 20, 24), (0.3, 8, 36), (1.0, 8, 24), (3.0, 8, 24), (10.0, 8, 24), (30.0, 8, 24)]
"""Rates of a month, units, months."""


def asked(value: np.ndarray, per_year: int = 12) -> Question:
    nothing, names = np.full(value.shape, np.nan), tuple(f"u{i}" for i in range(len(value)))
    series = Series("orders", names, value, nothing, nothing, sizes_of(value, None, nothing), nothing)
    grid = PeriodGrid(per_year, 2022 * per_year, value.shape[1])
    return Question(series, grid, np.zeros(len(value), dtype=np.int64), per_year, averages=False)


@pytest.mark.parametrize(("rate", "units", "months"), MEASURED)
def test_a_year_of_what_happens_at_one_rate_is_expected_as_it_was(rate, units, months):
    """No year brings more than another; its last months, of which forecasts tell more, do by chance: two errors."""
    rng = np.random.default_rng([3, units, months])
    year = rng.poisson(rate, (units, 12)).astype(float)
    value = np.concatenate([rng.permuted(year, axis=1) for _ in range(months // 12)], axis=1)
    found = forecast(asked(value), 400, np.random.default_rng(1))
    total, error = found.draws.sum(axis=1), np.sqrt(max(year.sum(), 1.0) * 12 / months)
    assert total.mean() == pytest.approx(year.sum(), abs=2.0 * error)
    future = np.random.default_rng(2).poisson(year.mean() * 12, (400, units))
    low, high = np.percentile(found.draws, [5, 95], axis=0)
    assert np.mean((low <= future) & (future <= high)) >= 0.85
    low, high = np.percentile(total, [5, 95])
    assert np.mean((low <= future.sum(axis=1)) & (future.sum(axis=1) <= high)) >= 0.85


def test_nothing_counted_is_nothing_expected():
    for value, per_year in ((np.zeros((5, 24)), 12), (np.zeros((5, 12)), 4)):
        found = forecast(asked(value, per_year), 400, np.random.default_rng(1))
        assert found.draws.sum(axis=1).mean() < 0.5
        assert any("too few to tell a season" in note for note in found.warnings)


def test_a_unit_with_nothing_beside_busy_ones_is_expected_to_bring_next_to_nothing():
    value = np.random.default_rng(0).poisson(10, (6, 24)).astype(float)
    value[0] = 0.0
    mean = forecast(asked(value), 400, np.random.default_rng(1)).draws.mean(axis=0)
    assert mean[0] < 1.0, "7.2 where logarithms of counts were taken"
    assert mean[1:].sum() == pytest.approx(value[1:, -12:].sum(), rel=0.05)


def test_units_of_many_sizes_are_expected_as_they_were():
    value = np.random.default_rng(5).poisson(np.exp(np.arange(8) - 3.0)[:, None], (8, 36)).astype(float)
    mean, last = forecast(asked(value), 400, np.random.default_rng(1)).draws.mean(axis=0), value[:, -12:].sum(axis=1)
    assert np.all(np.abs(mean - last) < 2.5 * np.sqrt(last + 1.0))
    assert mean.sum() == pytest.approx(last.sum(), rel=0.05)


def test_one_month_far_off_is_not_every_months_level():
    value = np.random.default_rng(0).poisson(1.0, (6, 36)).astype(float)
    value[2, 10] = 500.0
    mean = forecast(asked(value), 200, np.random.default_rng(1)).draws.mean(axis=0)
    assert np.all(mean < 20.0)


def test_what_is_expected_of_the_past_adds_up_to_what_was_counted():
    """The normal posterior that is nearest: expected counts exp(m + s^2 / 2) add up to those seen but for the pull."""
    value = np.random.default_rng(4).poisson(0.6, (6, 24)).astype(float)
    question = asked(value)
    link = link_series(question.series)
    pool = fit_pool(
        link.values, question.series.size, question.group, 12, 0, link.known, Counts(value, link.dispersion)
    )
    data = linked(pool.data, pool.scale, pool.variance)
    expected = link.dispersion / data.known
    assert expected.sum() == pytest.approx(value.sum(), abs=0.02 * value.sum() + 0.5)
    falls = _of_walks(pool, pool.variance, 12)
    assert np.all(np.diff(falls) > 0.0)
    assert not _of_walks(fit_pool(np.log(value + 1.0), question.series.size, question.group, 12, 0), {}, 3).any()


def test_a_few_are_shared_out_by_who_counted_them():
    value = np.zeros((4, 24))
    value[1, [3, 9, 15, 20, 21]] = 1.0
    assert value.sum() < FEW_COUNTED
    mean = forecast(asked(value), 4000, np.random.default_rng(1)).draws.mean(axis=0)
    assert mean.sum() == pytest.approx(5.5 / 2, rel=0.1)
    assert mean[1] == pytest.approx(mean.sum() * 6 / 9, rel=0.1)
