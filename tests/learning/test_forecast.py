"""Forecasts know what repeats: units' own places in the quarter, orders that come again, noise that falls with size."""

from __future__ import annotations

import numpy as np
import pytest

from kpiopt.learning.backtests.results import Planned, plan_score
from kpiopt.learning.forecast import (
    Question,
    _apart,
    _density,
    _share,
    forecast,
    last_period,
    naive_draws,
    seasonal_naive,
)
from kpiopt.learning.history import Series
from kpiopt.learning.links import _counts, _dispersion
from kpiopt.learning.periods import PeriodGrid


def series_of(value: np.ndarray) -> Series:
    nothing = np.full(value.shape, np.nan)
    names = tuple(f"u{i}" for i in range(len(value)))
    return Series("sales", names, value, nothing, nothing, np.nanmean(value, axis=1), nothing)


def question(value: np.ndarray, per_year: int, horizon: int) -> Question:
    group = np.zeros(len(value), dtype=np.int64)
    return Question(series_of(value), PeriodGrid(per_year, 0, value.shape[1]), group, horizon, averages=False)


def test_a_units_own_month_of_the_quarter_is_no_noise():
    """Each unit has its own month in which customers order; ranges are as wide as the rest of the noise, 10 %."""
    rng = np.random.default_rng(3)
    place = np.exp(rng.normal(size=(12, 3)))[:, np.arange(31) % 3]
    found = forecast(question(100 * place * np.exp(0.1 * rng.normal(size=place.shape)), 12, 1), 600, rng)
    low, high = np.percentile(found.draws, [5, 95], axis=0)
    spread = np.log(high / low) / 3.29
    assert np.median(spread) < 0.25, "0.9 where the own month is taken for noise"
    truth = 100 * np.exp(np.log(place[:, 1]))
    assert np.mean((low < truth) & (truth < high)) >= 0.75


def test_counts_that_come_again_are_no_poisson_counts():
    rng = np.random.default_rng(1)
    often = np.array([4.0, 12.0, 8.0])[np.arange(36) % 3]
    again = often + rng.integers(-1, 2, size=(10, 36))
    assert _dispersion(again) < 0.2
    assert _dispersion(rng.poisson(often, size=(10, 36)).astype(float)) > 0.8
    assert _dispersion(np.zeros((2, 9))) == 1.0


@pytest.mark.parametrize("shape", [(10, 36)])
def test_drawn_counts_vary_as_those_of_the_past(shape):
    rng = np.random.default_rng(1)
    link = _counts(series_of(8.0 + rng.integers(-1, 2, size=shape)))
    drawn = link.back(np.full((4000, 1), np.log(8.0)), 0, rng)
    assert drawn.mean() == pytest.approx(8.0, abs=0.1)
    assert drawn.var() == pytest.approx(8.0 * link.dispersion, abs=0.3)
    assert np.all(drawn == np.round(drawn)) and np.all(drawn >= 0)


def test_last_years_values_move_less_where_units_are_large():
    rng = np.random.default_rng(5)
    small = np.array([0.25] * 20 + [4.0] * 20)
    found = _apart(0.1 * np.sqrt(small)[:, None] * rng.normal(size=(40, 30)), small)
    assert found[0] == pytest.approx(0.05, rel=0.15)
    assert found[-1] == pytest.approx(0.2, rel=0.15)
    assert np.isfinite(_apart(np.full((2, 3), 0.1), np.ones(2))).all()
    draws = naive_draws(question(np.exp(rng.normal(size=(4, 9))), 4, 1), 50, rng)
    assert draws.shape == (50, 4)


def test_idle_units_are_scored_by_their_share_of_idle_draws():
    """p(busy) x the density of what is busy; p(idle) where nothing came; the same scale for all forecasts."""
    rng = np.random.default_rng(2)
    logs = rng.normal(3.0, 0.5, size=(20_000, 1))
    draws = np.where(rng.random(logs.shape) < 0.25, 0.0, np.exp(logs))
    peak = 1 / (0.5 * np.sqrt(2 * np.pi))
    assert _density(draws, np.array([np.exp(3.0)]))[0] == pytest.approx(0.75 * peak, rel=0.02)
    assert _density(draws, np.array([0.0]))[0] == pytest.approx(0.25, rel=0.02)
    never = np.zeros((10, 1))
    assert _density(never, np.array([5.0]))[0] == 0.0
    assert _density(never, np.array([0.0]))[0] == 1.0


@pytest.mark.parametrize(("best", "origins", "share"), [(0, 2, 0.45), (10, 2, 0.95), (0, 1, 0.6), (5, 2, 0.7)])
def test_two_origins_do_not_give_everything_to_one_forecast(best, origins, share):
    scores = -np.abs(np.arange(11) - best) * np.ones((origins, 1))
    assert _share(scores) == pytest.approx(share)


def test_of_many_units_some_of_every_size_judge_the_past():
    value = np.exp(np.linspace(0, 5, 50))[:, None] * np.ones((1, 9))
    some = question(value, 4, 1).of_some(11)
    assert len(some.series.units) == len(some.group) == 11
    assert {"u0", "u49"} <= set(some.series.units)
    assert question(value, 4, 1).of_some(50).series.units == tuple(f"u{i}" for i in range(50))


def test_targets_on_fitted_baselines_do_not_ask_for_last_years_luck_again():
    """Units alike but for luck: against last year's values who was lucky attains least, against fitted ones nobody."""
    rng = np.random.default_rng(6)
    value = 100 * np.exp(0.1 * rng.normal(size=(120, 1)) + 0.4 * rng.normal(size=(120, 13)))
    asked, happened = question(value[:, :12], 4, 1), value[:, 12]
    found, odds = forecast(asked, 400, rng), np.full(120, 0.5)
    naive, last, nothing = seasonal_naive(asked), last_period(asked), np.full(120, np.nan)
    plan = found.draws.mean(axis=0)
    score = plan_score("sales", 1, [Planned(found.units, plan, odds, naive, last, nothing, happened, happened >= plan)])
    fitted, last_year = score.by_size
    assert last_year < -0.5
    assert abs(fitted) < 0.25, "2.7 standard errors of 120 units"
    assert score.plan.error < 0.8 * score.last_year
