"""Contributions and execution on organizations made with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from kpiopt.learning.contributions import Panel, best_lag, combine, estimate_slopes, paule_mandel
from kpiopt.learning.execution import estimate_execution
from kpiopt.learning.history import Series
from kpiopt.learning.implied import find_missing


def panel(rng, units=8, periods=16, truth=2.0, noise=0.0, between=0.0):
    unit, period = (a.ravel() for a in np.meshgrid(np.arange(units), np.arange(periods), indexing="ij"))
    season = rng.normal(size=periods)[period] * 3
    x = rng.normal(size=units)[unit] * 4 + season + rng.normal(size=len(unit))
    slope = truth + between * rng.normal(size=units)[unit]
    y = slope * x + rng.normal(size=units)[unit] * 5 - 2 * season + rng.normal(size=len(unit))
    seen = x + noise * rng.normal(size=len(unit))
    return Panel(unit, period, y, seen[:, None], np.array([noise**2]))


def test_a_slope_without_noise_is_found_exactly():
    rng = np.random.default_rng(0)
    made = panel(rng)
    exact = Panel(
        made.unit, made.period, 3 * made.drivers[:, 0] + made.unit * 7.0 + made.period, made.drivers, made.noise
    )
    (slope,) = estimate_slopes(exact)
    assert slope.estimate == pytest.approx(3.0, abs=1e-9)
    assert slope.standard_error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("units", [5, 17])
def test_intervals_hold_the_truth_as_often_as_they_say(units):
    rng = np.random.default_rng(units)
    held, estimates = 0, []
    for _ in range(200):
        (slope,) = estimate_slopes(panel(rng, units))
        low, high = slope.interval()
        held += low <= 2.0 <= high
        estimates.append(slope.estimate)
    assert stats.binom.ppf(0.001, 200, 0.95) <= held <= 200
    assert abs(np.mean(estimates) - 2.0) < 4 * np.std(estimates) / np.sqrt(200)


def test_known_measurement_noise_is_taken_out():
    rng = np.random.default_rng(1)
    with_it = [estimate_slopes(panel(rng, 20, noise=0.7))[0].estimate for _ in range(60)]
    made = [panel(rng, 20, noise=0.7) for _ in range(60)]
    without = [estimate_slopes(Panel(m.unit, m.period, m.driven, m.drivers, np.zeros(1)))[0].estimate for m in made]
    assert np.mean(with_it) == pytest.approx(2.0, abs=0.05)
    assert np.mean(without) < 1.6


def test_the_deviation_between_units_is_found():
    rng = np.random.default_rng(2)
    assert np.mean([estimate_slopes(panel(rng, 30, between=0.5))[0].between for _ in range(20)]) == pytest.approx(
        0.5, abs=0.08
    )
    assert paule_mandel(np.array([1.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.3])) == 0.0


def test_too_few_units_cannot_tell():
    assert estimate_slopes(panel(np.random.default_rng(0), units=2)) is None


def test_prior_and_history_together_are_narrower_and_contradictions_are_told():
    (slope,) = estimate_slopes(panel(np.random.default_rng(4), 12))
    near, far = combine(slope, 1.6, 2.4), combine(slope, 4.0, 5.0)
    assert near.conflict > 0.3
    assert far.conflict < 0.01
    low, high = slope.interval(0.9)
    assert near.high - near.low < min(0.8, high - low) + 1e-9


def test_the_lag_is_found_by_held_out_units():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(17, 24))
    y = np.zeros_like(x)
    y[:, 1:] = 1.5 * x[:, :-1]
    y += rng.normal(size=y.shape)
    unit, period = np.meshgrid(np.arange(17), np.arange(24), indexing="ij")
    panels = []
    for lag in range(3):
        moved = np.full(x.shape, np.nan)
        moved[:, lag:] = x[:, : 24 - lag]
        keep = period.ravel() >= 2
        panels.append(
            Panel(unit.ravel()[keep], period.ravel()[keep], y.ravel()[keep], moved.ravel()[keep, None], np.zeros(1))
        )
    assert best_lag(panels) == 1


def history_of_asks(rng, share=0.8, drift=-0.1, units=12, years=4, spread=0.15):
    value, target = np.full((units, years * 4), np.nan), np.full((units, years * 4), np.nan)
    value[:, :4] = 100 * np.exp(rng.normal(size=(units, 4)) * 0.2)
    for t in range(4, years * 4):
        common = rng.normal() * spread
        ask = 0.1 + common + rng.normal(size=units) * spread
        target[:, t] = value[:, t - 4] * (1 + ask)
        value[:, t] = value[:, t - 4] * (1 + drift + share * ask + 0.08 * rng.normal(size=units))
    nothing = np.full(value.shape, np.nan)
    return Series("sales", tuple(f"u{i}" for i in range(units)), value, target, nothing, np.ones(units), nothing)


def test_execution_and_drift_are_found_and_honest():
    rng = np.random.default_rng(8)
    held, slopes, drifts, alarms = 0, [], [], 0
    for _ in range(30):
        found = estimate_execution(history_of_asks(rng), np.zeros(12, dtype=np.int64), 4)
        assert found.is_told
        half = stats.t.ppf(0.975, 11) * found.slope_error
        held += abs(found.slope - 0.8) <= half
        slopes.append(found.slope)
        drifts.append(found.drift)
        alarms += found.leak is not None and found.leak < 0.05
    assert np.mean(slopes) == pytest.approx(0.8, abs=0.02)
    assert np.mean(drifts) == pytest.approx(-0.1, abs=0.02)
    assert held >= stats.binom.ppf(0.001, 30, 0.93)
    assert alarms <= 7


def test_targets_made_from_the_values_tell_nothing():
    """Each target is its value + 10 %: without any scatter nobody reached by effort what was asked."""
    series = history_of_asks(np.random.default_rng(0))
    made = replace(series, target=np.where(np.isfinite(series.target), 1.1 * series.value, np.nan))
    found = estimate_execution(made, np.zeros(12, dtype=np.int64), 4)
    assert not found.is_told
    assert "as if one were made from the other" in found.verdict


def test_asks_that_hardly_differ_tell_nothing():
    series = history_of_asks(np.random.default_rng(0), spread=0.001)
    assert not estimate_execution(series, np.zeros(12, dtype=np.int64), 4).is_told
    no_targets = Series(
        series.kpi,
        series.units,
        series.value,
        np.full_like(series.value, np.nan),
        series.volume,
        series.size,
        series.measurement_sd,
    )
    assert estimate_execution(no_targets, np.zeros(12, dtype=np.int64), 4) is None


def test_a_link_that_the_map_lacks_is_found_and_one_that_is_not_there_is_not():
    rng = np.random.default_rng(9)
    a = rng.normal(size=(20, 20))
    b = a + rng.normal(size=a.shape)
    c = b + rng.normal(size=a.shape)
    d = c + 0.8 * a + rng.normal(size=a.shape)
    found = {
        (m.cause, m.effect): m
        for m in find_missing({"a": a, "b": b, "c": c, "d": d}, {"b": ("a",), "c": ("b",), "d": ("c",)})
    }
    assert found["a", "d"].p_value < 1e-3
    assert found["a", "c"].p_value > 0.05
